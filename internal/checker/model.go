package checker

import (
	"fmt"
	"math"
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

// An action is an operation of the model: what someone asked for and was told,
// or an edit by hand.
type action struct {
	op     *Operation // nil for an edit
	answer Answer
	// before and after are what the document said around an edit.
	before, after string
}

// Model is the token as people may understand it: one register that says who
// holds it. A state is what the document says.
func Model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{nobody} },
		Step:  func(state, input, _ any) []any { return input.(action).step(state.(string)) },
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(input, _ any) string {
			return input.(action).String()
		},
		DescribeState: func(state any) string { return fmt.Sprint(state) },
	}
	return m.ToModel()
}

func (a action) String() string {
	if a.op == nil {
		return fmt.Sprintf("by hand: %q to %q", a.before, a.after)
	}
	return fmt.Sprintf("%s %ss (%s): %s %s", a.op.Person.Name, a.op.Kind, a.op.Words, a.answer.Told, a.answer.Holder)
}

// step returns what the document may say after the action; nothing, where it
// can't have happened in that state.
func (a action) step(state string) []any {
	same := []any{state}
	if a.op == nil {
		if state != a.before {
			return nil
		}
		return []any{a.after}
	}
	me := a.op.Person
	var can bool
	switch a.answer.Told {
	case ToldTaken:
		if state != nobody {
			return nil
		}
		return []any{me.Name}
	case ToldReleased:
		if !me.means(state) {
			return nil
		}
		return []any{nobody}
	case ToldYours:
		can = me.means(state)
	case ToldHeld:
		can = !me.means(state) && state != nobody && (a.answer.Holder == "" || a.answer.Holder == state)
	case ToldFree, ToldFreed:
		can = state == nobody
	case ToldUnclear:
		can = state != nobody && state != a.op.Person.Name
	case ToldNothing:
		can = true
	default: // it may have happened
		switch {
		case a.op.Kind == Take && state == nobody:
			return []any{state, me.Name}
		case a.op.Kind == Release && me.means(state):
			return []any{state, nobody}
		}
		can = true
	}
	if !can {
		return nil
	}
	return same
}

// actions are the operations of the history, in the form that the model's
// checker takes.
func (a *accounting) actions() []porcupine.Operation {
	at := func(t time.Time) int64 { return t.Sub(a.Began).Nanoseconds() }
	var out []porcupine.Operation
	for _, o := range a.Operations {
		if o.Unsent {
			continue
		}
		answer, ok := o.final()
		end := int64(math.MaxInt64)
		if ok {
			end = at(answer.At)
		}
		if a.byHand[o] {
			// It had become true by another hand.
			answer.Told = map[Told]Told{ToldTaken: ToldYours, ToldReleased: ToldFree}[answer.Told]
		}
		out = append(out, porcupine.Operation{ClientId: a.index(o.Person), Input: action{op: o, answer: answer}, Call: at(o.Asked), Return: end})
	}
	for _, u := range a.undone {
		t := at(u.answer.At)
		out = append(out, porcupine.Operation{ClientId: a.index(u.op.Person), Input: u, Call: t, Return: t})
	}
	for _, w := range a.Writes {
		before, after := holder(w.TextBefore), holder(w.TextAfter)
		if w.Operation == "" && before != after {
			t := at(w.Time)
			out = append(out, porcupine.Operation{ClientId: len(a.People), Input: action{before: before, after: after}, Call: t, Return: t})
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

// holder is what the document's text says after its label.
func holder(text string) string {
	for line := range strings.Lines(text) {
		if _, name, ok := strings.Cut(line, "Held by:"); ok {
			return strings.Join(strings.Fields(name), " ")
		}
	}
	return ""
}
