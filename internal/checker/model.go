package checker

import (
	"fmt"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// nobody is what the document says when the token is free.
const nobody = "Nobody"

// A Person is someone of the team.
type Person struct {
	ID, Name, Handle string
}

// means reports whether a name in the document is the person's: in full, or
// their first name, which is their handle too.
func (p Person) means(name string) bool {
	return strings.EqualFold(name, p.Name) || strings.EqualFold(name, p.Handle)
}

// An action is an operation of the model: what someone was told, or a change of
// the document that nobody was told of as their own.
type action struct {
	told *Operation // nil for a change
	// answer is what they were told, and did, whether that tells of a write of
	// the bot's for them.
	answer Answer
	did    bool
	// from is whose name stood in the document before what was written for a
	// hand-over.
	from Person
	// before and after are what the document said around the change.
	before, after string
}

func (a action) String() string {
	if a.told == nil {
		return fmt.Sprintf("%q to %q", a.before, a.after)
	}
	return fmt.Sprintf("%s: %s %s", a.told, a.answer.Told, a.answer.Holder)
}

// Model is the token as people may understand it: one register that says who
// holds it. The state is what the document says. A take leads from Nobody to its
// asker, a release from its asker to Nobody, an acceptance in one step from who
// gave the token to who accepted it, and a confirmed force-release from the holder
// who was shown to Nobody.
func Model() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return nobody },
		Step: func(state, input, _ any) (bool, any) {
			ok, next := input.(action).step(state.(string))
			return ok, next
		},
		DescribeOperation: func(input, _ any) string { return input.(action).String() },
		DescribeState:     func(state any) string { return fmt.Sprint(state) },
	}
}

// step reports whether the action can happen while the document says state, and
// what it says then.
func (a action) step(state string) (bool, string) {
	switch {
	case a.told == nil:
		return state == a.before, a.after
	case !a.did:
		return a.told.truly(a.answer, state), state
	case a.told.Kind.takes():
		return state == nobody, a.told.Person.Name
	case a.told.Kind == Accept:
		return a.from.means(state), a.told.Person.Name
	case a.told.Kind == Confirm:
		return strings.EqualFold(state, a.told.Shown), nobody
	default:
		return a.told.Person.means(state), nobody
	}
}

// truly reports whether what the person was told is true while the document
// says state, if nothing is written for them.
func (o *Operation) truly(a Answer, state string) bool {
	yours := o.Person.means(state)
	if a.Holder != "" && !strings.EqualFold(a.Holder, state) {
		return false
	}
	switch a.Told {
	case ToldTaken, ToldYours:
		return yours
	case ToldReleased, ToldFree, ToldFreed, ToldOutOfTurn, ToldForced:
		return state == nobody
	case ToldOffered:
		return yours
	case ToldHeld:
		// A status says the name as it stands, even to whom it means.
		return state != nobody && (o.Kind == Status || !yours)
	case ToldAsked, ToldConfirm:
		return state != nobody && !yours
	case ToldUnclear:
		return state == "" || garbled(state)
	}
	return true
}

// garbled reports whether what the document says is Nobody or a name of the
// team's, together with something else.
func garbled(said string) bool {
	for _, whole := range append([]Person{{Name: nobody}}, people...) {
		if !strings.EqualFold(said, whole.Name) && strings.Contains(strings.ToLower(said), strings.ToLower(whole.Name)) {
			return true
		}
	}
	return false
}

// actions are those of the history, in the form that the model's checker takes.
// What the bot wrote for someone has its place anywhere between their asking and
// their being told; what it wrote and they were not told, and every edit by
// hand, has it exactly when it was made.
func (a *accounting) actions() []porcupine.Operation {
	at := func(t time.Time) int64 { return t.Sub(a.Began).Nanoseconds() }
	var out []porcupine.Operation
	told := map[int]bool{} // the writes that someone was told of, by Seq
	for _, o := range a.Operations {
		answer, ok := o.final()
		if !ok {
			continue
		}
		done := a.did(o)
		if done != nil {
			told[done.Seq] = true
		}
		out = append(out, porcupine.Operation{
			ClientId: a.index(o.Person), Input: action{told: o, answer: answer, did: done != nil, from: a.giver(o)}, Call: at(o.Asked), Return: at(answer.At),
		})
	}
	for _, w := range a.Writes {
		if before, after := holder(w.TextBefore), holder(w.TextAfter); before != after && !told[w.Seq] {
			out = append(out, porcupine.Operation{ClientId: len(a.People), Input: action{before: before, after: after}, Call: at(w.Time), Return: at(w.Time)})
		}
	}
	return out
}

func (h *History) index(p Person) int {
	for i := range h.People {
		if h.People[i].ID == p.ID {
			return i
		}
	}
	return len(h.People)
}

// A saying is what the document says from a moment on.
type saying struct {
	from time.Time
	says string
}

// sayings are what the document said, one after the other.
func (h *History) sayings() []saying {
	out := []saying{{says: nobody}}
	for _, w := range h.Writes {
		out = append(out, saying{w.Time, holder(w.TextAfter)})
	}
	return out
}

// said reports whether the document said something that fits at some moment
// between the two.
func (a *accounting) said(from, to time.Time, fits func(string) bool) bool {
	for i, s := range a.says {
		ended := i+1 < len(a.says) && a.says[i+1].from.Before(from)
		if !ended && !s.from.After(to) && fits(s.says) {
			return true
		}
	}
	return false
}

// holder is what the document's text says after its label.
func holder(text string) string {
	for line := range strings.Lines(text) {
		if _, name, ok := strings.Cut(line, "Held by:"); ok {
			return strings.Join(strings.Fields(name), " ")
		}
	}
	return ""
}
