package slackapp

import (
	"fmt"
	"slices"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// maxList is what a list of people takes of a message, in characters, and
// maxListed what each of them wrote takes of that.
const (
	maxList   = 5500
	maxListed = 120
)

// named is a person's name; it stands in for one that isn't at hand.
func named(name string) span {
	if name = deploytoken.CleanName(name); name != "" {
		return strong(name)
	}
	return words("someone")
}

// inTurn is who may take the token before the others now; nil for nobody.
func inTurn(waiters []deploytoken.Waiter, now time.Time) *deploytoken.Waiter {
	for i := range waiters {
		if waiters[i].Turn.After(now) {
			return &waiters[i]
		}
	}
	return nil
}

// placeOf is the asker's place in the waitlist, from 0; -1 where they don't wait.
func placeOf(waiters []deploytoken.Waiter, asker string) int {
	return slices.IndexFunc(waiters, func(w deploytoken.Waiter) bool { return w.PersonID == asker })
}

func joinOrLeave(waiters []deploytoken.Waiter, asker string) button {
	if placeOf(waiters, asker) >= 0 {
		return leaveButton()
	}
	return waitButton()
}

// free says that nobody holds the token, and whose turn it is to take it.
func free(waiters []deploytoken.Waiter, asker string, now time.Time) (line, []button) {
	switch next := inTurn(waiters, now); {
	case next == nil:
		buttons := []button{takeButton("")}
		if placeOf(waiters, asker) >= 0 {
			buttons = append(buttons, leaveButton())
		}
		return line{words("Nobody holds the deploy token. To take it, type "), code("/deploy-token take"), words(" and what for.")}, buttons
	case next.PersonID == asker:
		return line{words("Nobody holds the deploy token, and it is your turn to take it, until "), moment(next.Turn), words(".")},
			[]button{takeButton(next.ID), leaveButton()}
	default:
		return line{words("Nobody holds the deploy token, but it is "), named(next.Name), words("'s turn to take it, until "), moment(next.Turn), words(".")},
			[]button{joinOrLeave(waiters, asker), takeOutOfTurnButton("", next.Name)}
	}
}

// waitlist says who waits for the token, in order.
func waitlist(st deploytoken.Status, asker string, now time.Time) []group {
	waiters := st.Matters.Waiters
	if len(waiters) == 0 {
		return nil
	}
	next := inTurn(waiters, now)
	tell := func(w deploytoken.Waiter) line { return waiting(w, asker, next != nil && w.ID == next.ID) }
	kept, more := fit(waiters, maxList, func(w deploytoken.Waiter) int { return tell(w).size() })
	g := group{
		lines:    []line{{words(count(len(waiters), "person waits", "people wait") + " for the deploy token:")}},
		numbered: true,
	}
	for _, w := range kept {
		g.bullets = append(g.bullets, tell(w))
	}
	groups := []group{g}
	if more > 0 {
		rest := line{words("and " + count(more, "more", "more") + ".")}
		if place := placeOf(waiters, asker); place >= len(kept) {
			rest = append(rest, words(fmt.Sprintf(" You are number %d.", place+1)))
		}
		groups = append(groups, group{lines: []line{rest}})
	}
	return groups
}

// waiting tells of one who waits.
func waiting(w deploytoken.Waiter, asker string, turn bool) line {
	who := named(w.Name)
	if w.PersonID == asker {
		who = strong("You")
	}
	l := line{who, words(", since "), moment(w.Since)}
	if turn {
		l = append(l, words(", with the turn until "), moment(w.Turn))
	}
	if purpose := deploytoken.CleanLine(w.Purpose, maxListed); purpose != "" {
		l = append(l, words(": "), phrase(purpose))
	}
	return l
}

// turn tells who is first in line that it is their turn. Where that comes too
// late, it tells of it as of the past.
func (d teller) turn() (Message, bool) {
	w := matterOf[deploytoken.Waiter](d)
	switch {
	case w == nil:
		return Message{}, false
	case w.Why == deploytoken.WaiterLapsed, w.Left.IsZero() && !w.Turn.IsZero() && !w.Turn.After(d.At):
		return d.turnOver()
	case !w.Left.IsZero(), w.Turn.IsZero():
		return Message{}, false
	}
	lines := []line{{words("The deploy token is free, and it is your turn to take it, until "), moment(w.Turn), words(".")}}
	if w.Purpose != "" {
		lines = append(lines, line{words("You want it for: "), phrase(w.Purpose)})
	}
	lines = append(lines, line{words("If you don't take it by then, you leave the waitlist, and the next in line is told.")})
	return compose([]group{{lines: lines}}, []button{takeButton(w.ID), leaveButton()}), true
}

// turnOver tells who had the turn what became of it.
func (d teller) turnOver() (Message, bool) {
	w := matterOf[deploytoken.Waiter](d)
	if w == nil {
		return Message{}, false
	}
	t := d.Notice.Token
	switch {
	case w.Why == deploytoken.WaiterTook:
		return say(line{words("It was your turn, and you took the deploy token.")}), true
	case w.Why == deploytoken.WaiterGone:
		return say(line{words("It was your turn to take the deploy token, and you left the waitlist.")}), true
	case w.Why == deploytoken.WaiterLapsed || !w.Turn.IsZero() && !w.Turn.After(d.At):
		first := line{words("It was your turn to take the deploy token")}
		end := w.Turn
		if end.IsZero() {
			end = w.Left
		}
		if !end.IsZero() {
			first = append(first, words(", until "), moment(end))
		}
		lines := []line{append(first, words(". That time has passed, so you are no longer on the waitlist."))}
		lines = append(lines, line{words("If you still want it, join again.")})
		return compose([]group{{lines: lines}}, []button{waitButton()}), true
	}
	first := line{words("It was your turn to take the deploy token, but it is no longer free.")}
	if t != nil && t.State == deploytoken.Held {
		first = line{words("It was your turn to take the deploy token, but "), named(t.Holder), words(" has taken it meanwhile.")}
	}
	second := line{words("You stay on the waitlist, and hear from me when it is your turn again.")}
	return compose([]group{{lines: []line{first, second}}}, []button{leaveButton()}), true
}

// forgotten offers a person who waits to release what the holder seems to have
// forgotten.
func (d teller) forgotten() (Message, bool) {
	h := d.Holding
	if !h.Open() {
		return Message{}, false
	}
	return compose([]group{{lines: []line{
		held(line{holder(h), words(" has")}, h, d.At),
		{words("You are waiting for it, and I think that it was forgotten. Ask them first. If they are away, you can release it for them.")},
	}}}, []button{askButton(h.ID), forceButton(h.ID, "", h.Name)}), true
}

// waitlistAnswer answers what was asked of the waitlist.
func (d teller) waitlistAnswer() ([]line, []button) {
	w := matterOf[deploytoken.Waiter](d)
	switch d.Notice.Outcome {
	case deploytoken.OutcomeOutOfTurn:
		name, until := "", line{}
		if w != nil {
			name = w.Name
			if !w.Turn.IsZero() {
				until = line{words(", until "), moment(w.Turn)}
			}
		}
		wait := line{words("Join the waitlist to be told when it is yours.")}
		place := waitButton()
		if n := d.Notice.Number; n > 0 {
			wait = line{words(fmt.Sprintf("You are number %d on the waitlist, and I'll tell you when it is yours.", n))}
			place = leaveButton()
		}
		return []line{
			join(line{words("The deploy token is free, but it is "), named(name), words("'s turn to take it")}, until, line{words(". I haven't taken it for you.")}),
			append(wait, words(" Take it all the same only if that is all right with them.")),
		}, []button{place, takeOutOfTurnButton(d.subject(), name)}
	case deploytoken.OutcomeLeft:
		return []line{{words("You are no longer on the waitlist for the deploy token.")}}, nil
	case deploytoken.OutcomeNotWaiting:
		return []line{{words("You were not on the waitlist for the deploy token. Nothing was changed.")}}, nil
	}
	place := "You are on the waitlist for the deploy token"
	switch n := d.Notice.Number; {
	case n == 1:
		place = "You are first in line for the deploy token"
	case n > 1:
		place = fmt.Sprintf("You are number %d on the waitlist for the deploy token", n)
	}
	if w == nil {
		return []line{{words(place + ".")}}, []button{leaveButton()}
	}
	if w.Turn.After(d.At) {
		return []line{{words("It is your turn to take the deploy token, until "), moment(w.Turn), words(".")}},
			[]button{takeButton(w.ID), leaveButton()}
	}
	lines := []line{append(line{words(place)}, ending(w.Purpose)...)}
	if t := d.Notice.Token; t != nil && t.State == deploytoken.Held {
		lines = append(lines, d.present())
	}
	return append(lines, line{words("I'll tell you in a direct message when it is your turn.")}), []button{leaveButton()}
}

// subject is what a further command is about that the asker may give by a
// button of the answer: what their command was about, else the command.
func (d teller) subject() string {
	if d.Command == nil {
		return ""
	}
	return orElse(d.Command.Subject, d.Command.ID)
}

// waitlistPast says in the past tense what came of asking the waitlist.
func (d teller) waitlistPast() line {
	w := matterOf[deploytoken.Waiter](d)
	switch d.Notice.Outcome {
	case deploytoken.OutcomeOutOfTurn:
		who := words("Someone")
		if w != nil && w.Name != "" {
			who = named(w.Name)
		}
		return line{who, words(" had the turn to take it then, and I didn't take it for you.")}
	case deploytoken.OutcomeLeft:
		return line{words("You left it.")}
	case deploytoken.OutcomeNotWaiting:
		return line{words("You weren't on it, and nothing was changed.")}
	}
	if n := d.Notice.Number; n > 0 {
		return line{words(fmt.Sprintf("You joined it as number %d.", n))}
	}
	return line{words("You joined it.")}
}
