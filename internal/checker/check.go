package checker

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// The columns of a row.
const (
	columnName    = 2
	columnPurpose = 3
	columnSummary = 4
	columnEntry   = 6
	columns       = 7
)

// A Problem is a rule that was broken.
type Problem struct {
	// Missing is whether something has not happened that still might.
	Missing bool
	// At is when, as far as is known.
	At   time.Time
	Text string
}

func (p Problem) String() string { return p.Text }

// Check returns the rules that the history breaks. The model's checker gives up
// after the time given, which is a problem, too.
func (h *History) Check(within time.Duration) []Problem {
	a := h.account()
	problems := a.problems
	for _, o := range h.Operations {
		for _, a := range o.Answers {
			if a.Told == ToldUnknown {
				problems = append(problems, Problem{At: a.At, Text: fmt.Sprintf("%s was told what the checker doesn't understand: %q", o, a.Text)})
			}
		}
	}
	switch result := porcupine.CheckOperationsTimeout(Model(), a.actions(), within); result {
	case porcupine.Illegal:
		problems = append(problems, Problem{Text: "what people were told is not linearizable", At: a.stuck()})
	case porcupine.Unknown:
		problems = append(problems, Problem{Text: "whether what people were told is linearizable was not found out in time"})
	}
	return problems
}

// stuck is about when the history stops being linearizable: the call of the
// first operation that has no place in the longest order that there is.
func (a *accounting) stuck() time.Time {
	actions := a.actions()
	_, info := porcupine.CheckOperationsVerbose(Model(), actions, time.Minute)
	slices.SortFunc(actions, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	placed, began := map[string]bool{}, a.Began
	for _, part := range info.PartialLinearizationsOperations() {
		for _, order := range part {
			for _, o := range order {
				placed[fmt.Sprint(o.Call, o.Input)] = true
			}
		}
	}
	for _, a := range actions {
		if !placed[fmt.Sprint(a.Call, a.Input)] {
			return began.Add(time.Duration(a.Call))
		}
	}
	return began
}

func (o *Operation) String() string {
	return fmt.Sprintf("%s's %s %s", o.Person.Name, o.Kind, o.Words)
}

// account checks all rules but the order of what people were told.
func (h *History) account() *accounting {
	a := &accounting{History: h, write: map[*Operation]google.Write{}, byHand: map[*Operation]bool{}, rows: map[string]int{}}
	a.writes()
	a.answers()
	a.entries()
	a.announcements()
	return a
}

type accounting struct {
	*History
	problems []Problem
	// write is the write of the bot that did what the operation asked for.
	write map[*Operation]google.Write
	// undone are earlier writes of an operation, which people undid, together
	// with their mark, before the bot could know that they had landed: to it,
	// the document says what it said before, and it decides again.
	undone []action
	// byHand are the operations whose wish somebody wrote by hand before the
	// bot could know that it had not.
	byHand map[*Operation]bool
	// rows counts them by the words of the operations that began and ended them.
	rows map[string]int
}

func (a *accounting) wrong(at time.Time, format string, args ...any) {
	a.problems = append(a.problems, Problem{At: at, Text: fmt.Sprintf(format, args...)})
}

func (a *accounting) missing(at time.Time, format string, args ...any) {
	a.problems = append(a.problems, Problem{At: at, Text: fmt.Sprintf(format, args...), Missing: true})
}

// writes finds for each write of the bot the operation that it did.
func (a *accounting) writes() {
	for _, w := range a.Writes {
		if w.Operation == "" {
			continue
		}
		before, after := holder(w.TextBefore), holder(w.TextAfter)
		if !w.Guarded {
			a.wrong(w.Time, "a write of the bot was not guarded: %q over %q", after, before)
		}
		if before == after {
			continue
		}
		if before != nobody && after != nobody {
			a.wrong(w.Time, "the bot wrote %q over %q", after, before)
			continue
		}
		var done *Operation
		for _, o := range a.Operations {
			if _, used := a.write[o]; !used && o.couldHave(w.Time, before, after) && (done == nil || o.likelier(done)) {
				done = o
			}
		}
		if done == nil {
			done = a.redone(w, before, after)
		}
		if done == nil {
			a.wrong(w.Time, "the bot wrote %q over %q, which nobody was waiting for", after, before)
			continue
		}
		a.write[done] = w
	}
	for _, o := range a.Operations {
		answer, _ := o.final()
		_, written := a.write[o]
		if (answer.Told == ToldTaken || answer.Told == ToldReleased) && !written {
			if a.byHand[o] = a.wroteByHand(o); a.byHand[o] {
				continue
			}
			a.wrong(answer.At, "%s: told %q, but the bot did not write that between the asking and the answer", o, answer.Told)
		}
	}
}

// redone finds the operation whose earlier write was undone by hand before w.
func (a *accounting) redone(w google.Write, before, after string) *Operation {
	for o, earlier := range a.write {
		if !o.couldHave(w.Time, before, after) || !slices.ContainsFunc(a.Writes, func(e google.Write) bool {
			return e.Operation == "" && e.Seq > earlier.Seq && e.Seq < w.Seq && holder(e.TextBefore) != holder(e.TextAfter)
		}) {
			continue
		}
		told := ToldTaken
		if o.Kind == Release {
			told = ToldReleased
		}
		a.undone = append(a.undone, action{op: o, answer: Answer{At: earlier.Time, Told: told}})
		return o
	}
	return nil
}

// wroteByHand reports whether the document came to say what the operation asked
// for by somebody's hand: while it was worked on, or after the reading, kept
// from earlier, that it was decided on. A write whose first sending had no
// answer then looks as if it had landed.
func (a *accounting) wroteByHand(o *Operation) bool {
	answer, _ := o.final()
	found := false
	for _, w := range a.Writes {
		if w.Time.After(answer.At) {
			break
		}
		after := holder(w.TextAfter)
		wished := o.Kind == Take && after == o.Person.Name || o.Kind == Release && after == nobody
		found = w.Operation == "" && wished || found && (wished || w.Time.After(o.Asked))
	}
	return found
}

// couldHave reports whether the operation may be why before became after.
func (o *Operation) couldHave(t time.Time, before, after string) bool {
	answer, answered := o.final()
	if o.Unsent || t.Before(o.Asked) || answered && t.After(answer.At) {
		return false
	}
	switch answer.Told {
	case "", ToldTaken, ToldReleased, ToldSuperseded, ToldFailed:
	default:
		return false
	}
	if o.Kind == Take {
		return before == nobody && after == o.Person.Name && answer.Told != ToldReleased
	}
	return after == nobody && o.Person.means(before) && answer.Told != ToldTaken
}

// likelier reports whether a write that could be of either is rather o's.
func (o *Operation) likelier(other *Operation) bool {
	rank := func(o *Operation) (int, int64) {
		a, ok := o.final()
		switch {
		case !ok:
			return 2, 0
		case a.Told == ToldTaken, a.Told == ToldReleased:
			return 0, a.At.UnixNano()
		}
		return 1, a.At.UnixNano()
	}
	r1, t1 := rank(o)
	r2, t2 := rank(other)
	return r1 < r2 || r1 == r2 && t1 < t2
}

// answers checks that each operation was answered once.
func (a *accounting) answers() {
	for _, o := range a.Operations {
		var finals []Answer
		late := false
		for _, answer := range o.Answers {
			late = late || answer.Told == ToldLate
			if answer.final() {
				finals = append(finals, answer)
			}
		}
		if o.Acked && len(finals) == 0 && !late {
			a.missing(o.Asked, "%s was acknowledged and not answered", o)
		}
		for i := 1; i < len(finals); i++ {
			first, next := finals[i-1], finals[i]
			if next.Told != first.Told {
				a.wrong(next.At, "%s was answered twice: %q, then %q", o, first.Text, next.Text)
			} else if !a.doublesBetween(first.At.Add(-time.Second), next.At) {
				a.wrong(next.At, "%s was answered twice with nothing that explains it: %q", o, next.Text)
			}
		}
	}
}

func (h *History) doublesBetween(from, to time.Time) bool {
	return slices.ContainsFunc(h.Disruptions, func(d Disruption) bool {
		return d.Doubles && !d.At.Before(from) && !d.At.After(to)
	})
}

var words = regexp.MustCompile(`^job-\d+$`)

// entries checks the rows of the history.
func (a *accounting) entries() {
	operation := map[string]*Operation{}
	for _, o := range a.Operations {
		operation[o.Words] = o
	}
	entries := map[string]int{}
	byHand := 0
	var last *Operation
	for _, row := range a.Rows {
		if len(row) < columns || row[columnEntry] == "" {
			a.wrong(time.Time{}, "a row without an Entry ID: %q", row)
			continue
		}
		entries[row[columnEntry]]++
		purpose, summary := row[columnPurpose], row[columnSummary]
		if purpose == "" {
			byHand++
		}
		for column, of := range map[int]Kind{columnPurpose: Take, columnSummary: Release} {
			if !words.MatchString(row[column]) {
				continue
			}
			o := operation[row[column]]
			if o == nil || o.Kind != of || !o.Person.means(row[columnName]) {
				a.wrong(time.Time{}, "a row that no %s asked for: %q", of, row)
				continue
			}
			a.rows[o.Words]++
		}
		if o := operation[summary]; o != nil {
			if answer, ok := o.final(); ok && last != nil && answer.At.Before(last.Asked) {
				a.wrong(answer.At, "the row of %s stands below that of %s, which came later", o, last)
			}
			last = o
		}
	}
	for id, n := range entries {
		if n > 1 {
			a.wrong(time.Time{}, "the entry %s has %d rows", id, n)
		}
	}
	changes := 0
	for _, w := range a.Writes {
		if w.Operation == "" && holder(w.TextBefore) != holder(w.TextAfter) {
			changes++
		}
	}
	if byHand > changes {
		a.wrong(time.Time{}, "%d rows of holdings that began by hand, of %d changes by hand", byHand, changes)
	}
	// What was superseded by somebody's edit may have ended before the bot saw
	// it: then it leaves no row.
	for _, o := range a.Operations {
		answer, _ := o.final()
		_, written := a.write[o]
		n := a.rows[o.Words]
		switch exactly, atMost := answer.Told == ToldTaken || answer.Told == ToldReleased || answer.Told == ToldFreed,
			answer.Told == ToldSuperseded || written; {
		case exactly && n == 0:
			a.missing(answer.At, "%s (told %q) has no row", o, answer.Told)
		case n > 1:
			a.wrong(answer.At, "%s has %d rows", o, n)
		case n > 0 && !exactly && !atMost:
			a.wrong(answer.At, "%s was told %q and has a row", o, answer.Told)
		}
	}
}

// announcements checks the channel's messages.
func (a *accounting) announcements() {
	count := map[string]int{}
	for _, m := range a.Messages {
		if m.User != "UBOT" {
			continue
		}
		k := key(m)
		if k == "" {
			a.wrong(m.At, "a message of the bot that can't be recognised: %q", m.Shown())
			continue
		}
		if count[k]++; count[k] == 2 {
			a.wrong(m.At, "announced twice (%s): %q", k, m.Shown())
		}
	}
	operation := map[string]*Operation{}
	for _, o := range a.Operations {
		operation[o.Words] = o
	}
	for _, row := range a.Rows {
		if len(row) < columns {
			continue
		}
		id := row[columnEntry]
		if count["began:"+id] == 0 {
			a.missing(time.Time{}, "the beginning of %q was not announced", row)
		}
		if o := operation[row[columnSummary]]; o != nil && count["ended:"+id] == 0 {
			if answer, ok := o.final(); ok && answer.Told != ToldSuperseded {
				a.missing(answer.At, "%s was not announced", o)
			}
		}
	}
}

// Summary says how much there was of everything.
func (h *History) Summary() string {
	told := map[Told]int{}
	for _, o := range h.Operations {
		a, _ := o.final()
		told[cmp.Or(a.Told, "no answer")]++
	}
	var tolds []string
	for t, n := range told {
		tolds = append(tolds, fmt.Sprintf("%s %d", t, n))
	}
	slices.Sort(tolds)
	bot := 0
	for _, w := range h.Writes {
		if w.Operation != "" {
			bot++
		}
	}
	kills := 0
	for _, d := range h.Disruptions {
		if d.What == "kill" {
			kills++
		}
	}
	return fmt.Sprintf("seed %d: %d operations (%s), %d writes of the bot and %d by hand, %d rows, %d messages, %d disruptions (%d kills) in %s",
		h.Config.Seed, len(h.Operations), strings.Join(tolds, ", "), bot, len(h.Writes)-bot, len(h.Rows), len(h.Messages),
		len(h.Disruptions), kills, time.Since(h.Began).Round(time.Second))
}

// Timeline writes down what happened, in order.
func (h *History) Timeline(to io.Writer) {
	type event struct {
		at   time.Time
		what string
	}
	var events []event
	for _, o := range h.Operations {
		events = append(events, event{o.Asked, fmt.Sprintf("%s asked (acknowledged: %t, unsent: %t)", o, o.Acked, o.Unsent)})
		for _, a := range o.Answers {
			events = append(events, event{a.At, fmt.Sprintf("%s answered: %s %s: %q", o, a.Told, a.Holder, a.Text)})
		}
	}
	for _, w := range h.Writes {
		events = append(events, event{w.Time, fmt.Sprintf("document %d to %d by %s %s%s: %q to %q",
			w.RevisionBefore, w.RevisionAfter, w.Who.Name, w.Operation, w.Edit, holder(w.TextBefore), holder(w.TextAfter))})
	}
	for _, m := range h.Messages {
		events = append(events, event{m.At, fmt.Sprintf("message %s: %q", key(m), m.Shown())})
	}
	for _, d := range h.Disruptions {
		events = append(events, event{d.At, "*** " + d.What})
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, e := range events {
		fmt.Fprintf(to, "%9.3f %s\n", e.at.Sub(h.Began).Seconds(), e.what)
	}
	for _, r := range h.Rows {
		fmt.Fprintf(to, "row %q\n", r)
	}
}
