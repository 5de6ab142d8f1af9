package checker

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// A deed is a write of the bot's that changed who holds the token.
type deed struct {
	google.Write
	before, after string
	// mark is the named range by which the bot recognises the write later.
	mark string
	// erased is when somebody removed the mark, before the bot did; zero if
	// nobody has. From then on, nothing in the document tells the bot that the
	// write has landed, if what was written is gone, too.
	erased time.Time
}

// erasedBy reports whether the mark was gone at some moment until t.
func (d *deed) erasedBy(t time.Time) bool { return !d.erased.IsZero() && !d.erased.After(t) }

// deeds finds for each deed the operation that it was done for, and checks that
// each operation was done at most once, and its asker told. The only excuse is
// that somebody has erased the write together with its mark: the bot then sees
// a document in which the write has not landed, and may decide again.
func (a *accounting) deeds() {
	for _, w := range a.Writes {
		if w.Operation == "" {
			continue
		}
		d := &deed{Write: w, before: holder(w.TextBefore), after: holder(w.TextAfter), mark: markOf(w), erased: a.erased(w)}
		if !w.Guarded {
			a.wrong(w.Time, RuleGuard, "a write of the bot was not guarded: %q over %q", d.after, d.before)
		}
		if d.before == d.after {
			continue
		}
		o := a.whose(d)
		if d.before != nobody && d.after != nobody && o == nil {
			a.wrong(w.Time, RuleGuard, "the bot wrote %q over %q", d.after, d.before)
			continue
		}
		if o == nil {
			a.wrong(w.Time, RuleOnce, "the bot wrote %q over %q, which nobody was waiting for", d.after, d.before)
			continue
		}
		a.deedsOf[o] = append(a.deedsOf[o], d)
	}
	for _, o := range a.Operations {
		deeds := a.deedsOf[o]
		if len(deeds) == 0 {
			continue
		}
		for i, d := range deeds[:len(deeds)-1] {
			if !d.erasedBy(deeds[i+1].Time) {
				a.wrong(deeds[i+1].Time, RuleOnce, "%s was done twice", o)
			}
		}
		last := deeds[len(deeds)-1]
		answer, ok := o.final()
		switch {
		case !ok:
			a.missing(last.Time, RuleAnswered, "%s was done, and its asker was not told", o)
		case answer.done(), answer.Told == ToldSuperseded, last.erasedBy(answer.At):
		default:
			a.wrong(answer.At, RuleTold, "%s was told %q, but the bot had written %q", o, answer.Text, last.after)
		}
	}
}

// did returns the write that the operation's asker was told of, nil for none.
func (a *accounting) did(o *Operation) *deed {
	deeds := a.deedsOf[o]
	if answer, _ := o.final(); !answer.done() || len(deeds) == 0 {
		return nil
	}
	return deeds[len(deeds)-1]
}

// whose finds the operation that a write was made for; nil for none. Where it
// may be one of several of a person, which is so only where they gave up waiting
// for an answer, it is the likeliest.
func (a *accounting) whose(d *deed) *Operation {
	var best *Operation
	var rank []int
	for _, o := range a.Operations {
		answer, answered := o.final()
		if o.Unsent || d.Time.Before(o.Asked) || answered && d.Time.After(answer.At) {
			continue
		}
		if !a.fits(o, d) {
			continue
		}
		earlier := a.deedsOf[o]
		again := slices.ContainsFunc(earlier, func(e *deed) bool { return e.mark == d.mark })
		undone := len(earlier) == 0 || earlier[len(earlier)-1].erasedBy(d.Time)
		// Of several who confirm the release of one holding, the row tells who did it.
		another := o.Kind == Confirm && slices.ContainsFunc(a.Rows, func(r Row) bool {
			by, _ := r.forcedBy()
			return r.ID == o.Button && by != "" && by != o.Person.Name
		})
		r := []int{bit(another), bit(!again), bit(!undone), bit(!answer.done()), bit(!answered), int(answer.At.UnixMicro())}
		if best == nil || slices.Compare(r, rank) < 0 {
			best, rank = o, r
		}
	}
	return best
}

// fits reports whether the write is what the operation asks for.
func (a *accounting) fits(o *Operation, d *deed) bool {
	switch o.Kind {
	case Take, TakeOutOfTurn:
		return d.before == nobody && d.after == o.Person.Name
	case Release:
		return d.after == nobody && o.Person.means(d.before)
	case Accept:
		return d.after == o.Person.Name && a.giver(o).means(d.before)
	case Confirm:
		return d.after == nobody && strings.EqualFold(d.before, o.Shown)
	}
	return false
}

// giver is who offered the token that the operation accepts or declines.
func (a *accounting) giver(o *Operation) Person {
	if give := a.byEnvelope[o.Of]; give != nil && give.Kind == Give && o.Kind != Give {
		return give.Person
	}
	return Person{ID: "none", Name: "no one", Handle: "no one"}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// markOf is the name of the named range that a write of the bot's creates.
func markOf(w google.Write) string {
	var body struct {
		Requests []struct {
			CreateNamedRange struct {
				Name string `json:"name"`
			} `json:"createNamedRange"`
		} `json:"requests"`
	}
	_ = json.Unmarshal(w.Body, &body)
	mark := ""
	for _, r := range body.Requests {
		mark = cmp.Or(r.CreateNamedRange.Name, mark)
	}
	return mark
}

// erased is when somebody removed the mark of a write of the bot's.
func (h *History) erased(of google.Write) time.Time {
	mark := markOf(of)
	for _, w := range h.Writes {
		switch {
		case w.Seq <= of.Seq || slices.Contains(w.NamedRanges, mark):
		case w.Operation == "":
			return w.Time
		default:
			return time.Time{} // the bot did, which knew of it
		}
	}
	return time.Time{}
}
