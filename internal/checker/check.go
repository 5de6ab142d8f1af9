package checker

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// A Rule is something that must hold of every history.
type Rule string

// The rules. The package's documentation says what each of them means.
const (
	RuleGuard     Rule = "guarded"
	RuleOnce      Rule = "done once"
	RuleTold      Rule = "told the truth"
	RuleOrder     Rule = "linearizable"
	RuleAnswered  Rule = "answered once"
	RuleRow       Rule = "one row"
	RuleAnnounced Rule = "announced once"
	RuleOffer     Rule = "handed over"
	RuleForced    Rule = "force-released"
	RuleTurn      Rule = "one turn"
)

// A Problem is a rule that was broken.
type Problem struct {
	Rule Rule
	// Missing is whether something has not happened that still might.
	Missing bool
	// At is when, as far as is known.
	At   time.Time
	Text string
}

func (p Problem) String() string { return string(p.Rule) + ": " + p.Text }

// Check returns the rules that the history breaks. The model's checker gives up
// after the time given, which is a problem, too.
func (h *History) Check(within time.Duration) []Problem {
	a := h.account()
	switch porcupine.CheckOperationsTimeout(Model(), a.actions(), within) {
	case porcupine.Illegal:
		a.wrong(time.Time{}, RuleOrder, "what people were told is not linearizable")
	case porcupine.Unknown:
		a.wrong(time.Time{}, RuleOrder, "whether what people were told is linearizable was not found out in time")
	}
	return a.problems
}

// account checks all rules but the order of what people were told.
func (h *History) account() *accounting {
	a := &accounting{History: h, says: h.sayings(), deedsOf: map[*Operation][]*deed{}, byEnvelope: map[string]*Operation{}}
	for _, o := range h.Operations {
		if o.click == nil && o.Envelope != "" {
			a.byEnvelope[o.Envelope] = o
		}
	}
	a.deeds()
	a.truth()
	a.answers()
	a.rows()
	a.announcements()
	a.offers()
	a.forced()
	a.turns()
	return a
}

type accounting struct {
	*History
	problems []Problem
	says     []saying
	deedsOf  map[*Operation][]*deed // by operation, in order
	// byEnvelope are the operations but those by a form, by their Envelope.
	byEnvelope map[string]*Operation
}

func (a *accounting) wrong(at time.Time, r Rule, format string, args ...any) {
	a.problems = append(a.problems, Problem{At: at, Rule: r, Text: fmt.Sprintf(format, args...)})
}

func (a *accounting) missing(at time.Time, r Rule, format string, args ...any) {
	a.problems = append(a.problems, Problem{At: at, Rule: r, Text: fmt.Sprintf(format, args...), Missing: true})
}

// truth checks that each answer was true at some moment between the asking and
// the answer. What the bot did is true by its write, which lies between them.
// Who is told that they took or released the token without a write of the bot's
// is told the truth if somebody had made the document say so: a write whose
// answer was lost is then taken to have landed.
func (a *accounting) truth() {
	for _, o := range a.Operations {
		late := slices.ContainsFunc(o.Answers, func(answer Answer) bool { return answer.Told == ToldLate })
		for _, answer := range o.Answers {
			switch {
			case answer.Told == ToldUnknown:
				a.wrong(answer.At, RuleTold, "%s was told what the checker doesn't understand: %q", o, answer.Text)
			case answer.Told == ToldFailed && !late:
				a.wrong(answer.At, RuleTold, "%s failed: %q", o, answer.Text)
			case a.did(o) == nil && !a.said(o.Asked, answer.At, func(s string) bool { return o.truly(answer, s) }):
				a.wrong(answer.At, RuleTold, "%s was told %q, which was at no time true", o, answer.Text)
			}
			asStatus := &Operation{Person: o.Person, Kind: Status}
			if now := answer.Now; now != nil && !a.said(o.Asked, answer.At, func(s string) bool { return asStatus.truly(*now, s) }) {
				a.wrong(answer.At, RuleTold, "%s was told %q, which is not how it was", o, answer.Text)
			}
		}
	}
}

// answers checks that each command was answered once. A status, which changes
// nothing, is not kept: it may go unanswered where a process is killed, and is
// answered twice where Slack delivers it twice. Nor is a click that opens a form.
func (a *accounting) answers() {
	for _, o := range a.Operations {
		if o.Kind == Status || o.Opened {
			continue
		}
		var finals []Answer
		late := false
		for _, answer := range o.Answers {
			late = late || answer.Told == ToldLate
			if answer.final() {
				finals = append(finals, answer)
			}
		}
		if o.Acked && len(finals) == 0 && !late {
			a.missing(o.Asked, RuleAnswered, "%s was acknowledged and not answered", o)
		}
		for i := 1; i < len(finals); i++ {
			first, next := finals[i-1], finals[i]
			from := first.At.Add(-time.Second)
			if o.click != nil {
				from = o.Asked // it may be the other's of two submissions that comes again
			}
			if next.Told != first.Told {
				a.wrong(next.At, RuleAnswered, "%s was answered twice: %q, then %q", o, first.Text, next.Text)
			} else if !a.doublesBetween(from, next.At) && !a.claimLostAround(next.At) {
				a.wrong(next.At, RuleAnswered, "%s was answered twice with nothing that explains it: %q", o, next.Text)
			}
		}
	}
}

func (h *History) doublesBetween(from, to time.Time) bool {
	return slices.ContainsFunc(h.Disruptions, func(d Disruption) bool {
		return d.Doubles && !d.At.Before(from) && !d.At.After(to)
	})
}

// claimLostAround reports whether a replica that was alive had been taken for
// dead at about that time. What it was posting can't be stopped, as Slack's posts
// can't be guarded, and may come after the other replica has looked for it.
func (h *History) claimLostAround(t time.Time) bool {
	return slices.ContainsFunc(h.Disruptions, func(d Disruption) bool {
		return d.What == claimLost && d.At.Sub(t).Abs() < 15*time.Second
	})
}

// A Row is a row of the history.
type Row struct {
	Taken, Released                 time.Time
	Name, Purpose, Summary, Consent string
	// ID is the Entry ID, which is the holding's.
	ID string
}

// begins reports whether the holding began at that time, as far as is known.
func (r Row) begins(at time.Time) bool { return r.Taken.IsZero() || r.Taken.Equal(at) }

// changedByHand is the summary of a holding whose end nobody told the bot of.
const changedByHand = "changed by hand"

// rows checks that each holding has one row, in order, that says what was said
// when it was taken and released, and that no other row is there.
func (a *accounting) rows() {
	count, together := map[string]int{}, map[string]*shared{}
	for i, r := range a.Rows {
		if count[r.ID]++; r.ID == "" || count[r.ID] > 1 {
			a.wrong(r.Released, RuleRow, "the entry %q has %d rows", r.ID, count[r.ID])
		}
		if r.Released.Before(r.Taken) || i > 0 && r.Released.Before(a.Rows[i-1].Released) || i > 0 && !r.Taken.IsZero() && r.Taken.Before(a.Rows[i-1].Released) {
			a.wrong(r.Released, RuleRow, "rows out of order: %v", r)
		}
		// Rows tell seconds; a take when the bot decided, which is before it
		// wrote, and a name typed by hand when it was recorded, which is after
		// it was read: two calls that may take ten seconds each lie between.
		if !a.said(r.Taken.Add(-22*time.Second), r.Released.Add(2*time.Second), func(s string) bool { return strings.EqualFold(s, r.Name) }) {
			a.wrong(r.Released, RuleRow, "a row of a holding that there was not: %v", r)
		}
		over := i > 0 && a.Rows[i-1].handsOverTo(r)
		by, why := r.forcedBy()
		switch {
		case r.Purpose != "" && !over && !a.asked(Take, r.Purpose, r.Name) && !a.asked(Wait, r.Purpose, r.Name),
			over && r.Purpose != a.Rows[i-1].Purpose,
			by != "" && !a.asked(Force, why, by),
			r.Summary != "" && r.Summary != changedByHand && by == "" && r.handedTo() == "" && !a.asked(Release, r.Summary, r.Name):
			a.wrong(r.Released, RuleRow, "a row of what nobody asked for: %v", r)
		case r.handedTo() != "" && (i+1 == len(a.Rows) || !r.handsOverTo(a.Rows[i+1])):
			a.missing(r.Released, RuleRow, "the holding that was taken over has no row: %v", r)
		}
		if !over {
			count["purpose "+a.purposeKey(r.Purpose)]++
		}
		if to := r.handedTo(); to != "" {
			count["to "+to]++
		}
	}
	for _, o := range a.Operations {
		for _, answer := range o.Answers {
			if answer.Now == nil && answer.recorded() && !a.recorded(o, answer) {
				a.missing(answer.At, RuleRow, "%s was told of a holding that has no row: %q", o, answer.Text)
			}
		}
		n := 0
		least, most := a.rowsOf(o)
		switch key := a.key(o); {
		case o.Kind == Release:
			for _, r := range a.Rows {
				n += bit(o.Words != "" && r.Summary == o.Words || o.Words == "" && r.ID == o.Button)
			}
		case o.Kind == Confirm:
			for _, r := range a.Rows {
				by, _ := r.forcedBy()
				n += bit(r.ID == o.Button && by == o.Person.Name)
			}
			if a.forcedTwice(o) {
				most = 1 // and it may be the other's
			}
		case key != "":
			// Takes that may be for the same have their rows together.
			sum := together[key]
			if sum == nil {
				sum = &shared{first: o, n: count[key]}
				together[key] = sum
			}
			sum.least, sum.most = sum.least+least, sum.most+most
			continue
		default:
			continue
		}
		a.counted(o, n, least, most)
	}
	for _, sum := range together {
		a.counted(sum.first, sum.n, sum.least, sum.most)
	}
}

// A shared count is of rows that can't be told apart by operation.
type shared struct {
	first          *Operation
	n, least, most int
}

func (a *accounting) counted(o *Operation, n, least, most int) {
	switch {
	case n < least:
		a.missing(o.Asked, RuleRow, "%s has %d rows of at least %d", o, n, least)
	case n > most:
		a.wrong(o.Asked, RuleRow, "%s has %d rows of at most %d", o, n, most)
	}
}

// forcedTwice reports whether the same button was clicked another time.
func (a *accounting) forcedTwice(o *Operation) bool {
	return slices.ContainsFunc(a.Operations, func(other *Operation) bool {
		return other != o && other.Kind == Confirm && other.Button == o.Button && other.Person == o.Person
	})
}

// key says in which rows' count the operation's are; "" for none.
func (a *accounting) key(o *Operation) string {
	switch {
	case o.Kind == Accept:
		return "to " + o.Person.Name
	case !o.Kind.takes():
		return ""
	case o.Of == "":
		return "purpose " + a.purposeKey(o.Words)
	}
	if of := a.byEnvelope[o.Of]; of != nil {
		return "purpose " + a.purposeKey(of.Words)
	}
	return ""
}

// purposeKey is the purpose, or where it was waited for with that, whose: what
// someone waits for the token for may be said anew.
func (a *accounting) purposeKey(purpose string) string {
	for _, o := range a.Operations {
		if o.Kind == Wait && o.Words == purpose {
			return "of the waiting " + o.Person.Name
		}
	}
	return purpose
}

// handedTo is to whom the holding was handed over; "" where it ended otherwise.
func (r Row) handedTo() string {
	to, ok := strings.CutPrefix(r.Summary, "handed over to ")
	if !ok {
		return ""
	}
	return to
}

// handsOverTo reports whether the next row's holding began by that.
func (r Row) handsOverTo(next Row) bool {
	return strings.EqualFold(r.handedTo(), next.Name) && next.begins(r.Released)
}

// forcedBy is who released the token for its holder, and why; "" where nobody
// did.
func (r Row) forcedBy() (name, why string) {
	said, ok := strings.CutPrefix(r.Summary, "released by ")
	if !ok {
		return "", ""
	}
	name, why, _ = strings.Cut(said, ": ")
	return name, why
}

// recorded reports whether there is a row of the holding that an answer tells of.
// Rows tell when an end was decided, which may be long before it was seen where
// the document's service was slow.
func (h *History) recorded(o *Operation, answer Answer) bool {
	return slices.ContainsFunc(h.Rows, func(r Row) bool {
		fits := strings.EqualFold(r.Name, answer.Holder) || answer.Holder == "" && o.Person.means(r.Name)
		return fits && !r.Taken.After(answer.At) && r.Released.After(o.Asked.Add(-30*time.Second))
	})
}

// rowsOf is how many rows must and may tell of the operation.
func (a *accounting) rowsOf(o *Operation) (least, most int) {
	answer, answered := o.final()
	deeds := a.deedsOf[o]
	switch {
	case o.Opened:
		return 0, 1
	case answer.done(), answer.Told == ToldFreed:
		return 1, 1
	case answer.Told == ToldSuperseded && len(deeds) > 0 && !deeds[len(deeds)-1].erasedBy(answer.At):
		// Its mark has told the bot that it landed.
		return 1, 1
	case answer.Told == ToldSuperseded, o.Button != "" && o.Words == "" && o.Kind != Confirm, !answered:
		// A holding that somebody ended before the bot saw it leaves no trace.
		// The row of a button's holding may tell of another release. What was
		// not answered yet may have come further than is seen.
		return 0, 1
	}
	return 0, 0
}

// asked reports whether a person whom the name means asked for that.
func (h *History) asked(k Kind, words, name string) bool {
	return slices.ContainsFunc(h.Operations, func(o *Operation) bool {
		return o.Kind == k && o.Words == words && o.Person.means(name)
	})
}

// announcements checks that the channel was told of each holding's beginning
// and end once.
func (a *accounting) announcements() {
	count := map[string]int{}
	for _, m := range a.Messages {
		if m.User != botUser {
			continue
		}
		k := key(m)
		if k == "" {
			a.wrong(m.At, RuleAnnounced, "a message of the bot that can't be recognised: %q", m.Shown())
			continue
		}
		if count[k]++; count[k] > 1 && !a.claimLostAround(m.At) {
			a.wrong(m.At, RuleAnnounced, "announced twice (%s): %q", k, m.Shown())
		}
		kind, id, _ := strings.Cut(k, ":")
		if (kind == "began" || kind == "ended") && !slices.ContainsFunc(a.Rows, func(r Row) bool { return r.ID == id }) {
			a.missing(m.At, RuleRow, "what was announced has no row (%s): %q", k, m.Shown())
		}
	}
	for i, r := range a.Rows {
		if count["began:"+r.ID] == 0 {
			a.missing(r.Taken, RuleAnnounced, "the beginning was not announced: %v", r)
		}
		// A name that is written over another ends one holding and begins the
		// next at once, which is announced in one message.
		over := i+1 < len(a.Rows) && a.Rows[i+1].Purpose == "" && a.Rows[i+1].begins(r.Released)
		switch ended := count["ended:"+r.ID]; {
		case r.handedTo() != "" && ended > 0:
			a.wrong(r.Released, RuleAnnounced, "a hand-over was announced as an end, too: %v", r)
		case r.handedTo() == "" && ended == 0 && !over:
			a.missing(r.Released, RuleAnnounced, "the end was not announced: %v", r)
		}
	}
	for _, o := range a.Operations {
		if answer, _ := o.final(); answer.Told != ToldReleased && answer.Told != ToldFreed {
			continue
		}
		for _, r := range a.Rows {
			if o.Words != "" && r.Summary == o.Words && count["ended:"+r.ID] == 0 {
				a.missing(r.Released, RuleAnnounced, "%s was not announced", o)
			}
		}
	}
}

// Summary says how much there was of everything.
func (h *History) Summary() string {
	told, disruptions := map[string]int{}, map[string]int{}
	sent := 0
	for _, o := range h.Operations {
		a, ok := o.final()
		switch {
		case o.Unsent:
			continue
		case !ok:
			a.Told = "no answer"
		}
		sent++
		told[string(o.Kind)+" "+string(a.Told)]++
	}
	for _, d := range h.Disruptions {
		disruptions[d.What]++
	}
	directs := map[string]int{}
	for _, messages := range h.Direct {
		for _, m := range messages {
			kind, _, _ := strings.Cut(key(m), ":")
			directs[kind] += bit(kind != "")
		}
	}
	bot := 0
	for _, w := range h.Writes {
		bot += bit(w.Operation != "")
	}
	return fmt.Sprintf("seed %d: %d operations (%s), %d writes of the bot and %d by hand, %d rows, %d messages, direct messages (%s), %d kills of %d disruptions (%s), in %s",
		h.Config.Seed, sent, list(told), bot, len(h.Writes)-bot, len(h.Rows), len(h.Messages), list(directs), disruptions[killed], len(h.Disruptions),
		list(disruptions), h.Took.Round(time.Second))
}

func list(counts map[string]int) string {
	var out []string
	for what, n := range counts {
		out = append(out, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// Timeline writes down what happened, in order, and then the rows and problems.
func (h *History) Timeline(to io.Writer, problems []Problem) {
	type event struct {
		at   time.Time
		what string
	}
	var events []event
	note := func(at time.Time, format string, args ...any) {
		events = append(events, event{at, fmt.Sprintf(format, args...)})
	}
	for _, o := range h.Operations {
		note(o.Asked, "%s asked (acknowledged: %t, unsent: %t)", o, o.Acked, o.Unsent)
		for _, a := range o.Answers {
			note(a.At, "%s answered: %s %s: %q", o, a.Told, a.Holder, a.Text)
		}
	}
	for _, w := range h.Writes {
		note(w.Time, "document %d to %d by %s %s%s: %q to %q, marks %q", w.RevisionBefore, w.RevisionAfter,
			w.Who.Name, w.Operation, w.Edit, holder(w.TextBefore), holder(w.TextAfter), w.NamedRanges)
	}
	for _, m := range h.Messages {
		note(m.At, "message %s: %q", key(m), m.Shown())
	}
	for _, d := range h.Disruptions {
		note(d.At, "*** %s", d.What)
	}
	for _, p := range problems {
		if !p.At.IsZero() {
			note(p.At, "PROBLEM %s", p)
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, e := range events {
		fmt.Fprintf(to, "%s %9.3f %s\n", e.at.Format("15:04:05.000"), e.at.Sub(h.Began).Seconds(), e.what)
	}
	for _, r := range h.Rows {
		fmt.Fprintf(to, "row %v\n", r)
	}
	for _, p := range problems {
		fmt.Fprintf(to, "problem: %s\n", p)
	}
}
