package deploytoken

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// maxWaiters bounds the waitlist.
const maxWaiters = 50

func turnKey(w Waiter) string     { return "turn:" + w.ID + ":" + strconv.Itoa(w.Turns) }
func turnOverKey(w Waiter) string { return "turn-over:" + w.ID + ":" + strconv.Itoa(w.Turns) }

// Waiter returns the person's place in the waitlist and their position in it,
// from 1; nil and 0 where they don't wait.
func (ms Matters) Waiter(person string) (*Waiter, int) {
	for i := range ms.Waiters {
		if ms.Waiters[i].PersonID == person {
			return &ms.Waiters[i], i + 1
		}
	}
	return nil, 0
}

// Next returns whose turn it is once the token is free, at the given time: the
// first in line who has not let their turn pass; nil where nobody waits.
func (ms Matters) Next(now time.Time) *Waiter {
	for i := range ms.Waiters {
		if w := &ms.Waiters[i]; w.Turn.IsZero() || w.Turn.After(now) {
			return w
		}
	}
	return nil
}

// decideWait decides KindWait. Who waits is told when it is their turn.
func decideWait(s situation) decision {
	if !s.fresh {
		return decision{step: stepRead}
	}
	waiters := s.record.Matters.Waiters
	switch s.token.State {
	case Unclear:
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}
	case Free:
		if len(waiters) == 0 {
			return answer(OutcomeFree)
		}
	case Held:
		switch s.whose() {
		case unknownYet:
			return decision{step: stepLookUp}
		case yours:
			return s.onRecord(answer(OutcomeAlreadyYours))
		}
	}
	w := Waiter{ID: s.command.ID, PersonID: s.command.PersonID, Name: s.asker, Purpose: s.purpose, Since: s.now}
	place := len(waiters) + 1
	if there, position := s.record.Matters.Waiter(s.command.PersonID); there != nil {
		w, place = *there, position
		if s.purpose != "" {
			w.Purpose = s.purpose
		}
	} else if len(waiters) >= maxWaiters {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "The waitlist is full."}
	}
	return decision{step: stepAnswer, outcome: OutcomeWaiting, put: []Matter{&w}, matter: w.Ref(), number: place}
}

// decideLeave decides KindLeave.
func decideLeave(s situation) decision {
	w, _ := s.record.Matters.Waiter(s.command.PersonID)
	if w == nil {
		return answer(OutcomeNotWaiting)
	}
	left := *w
	d := decision{step: stepAnswer, outcome: OutcomeLeft, matter: left.Ref()}
	d.effects = leave(&left, WaiterGone, s.now)
	d.put = []Matter{&left}
	return d
}

// leave takes w off the waitlist, and returns the effects.
func leave(w *Waiter, why WaiterLeft, now time.Time) []Effect {
	effects := turnOver(*w, nil, now)
	w.Left, w.Why, w.Turn = now, why, time.Time{}
	return effects
}

// turnOver is the effect that takes the buttons off the message of w's turn, if
// it has one.
func turnOver(w Waiter, token *Token, now time.Time) []Effect {
	if w.Turn.IsZero() {
		return nil
	}
	ref := w.Ref()
	return []Effect{{
		Key: turnOverKey(w), Destination: ToPerson(w.PersonID),
		Notice: Notice{Kind: NoticeTurnOver, PersonID: w.PersonID, Matter: &ref, Token: token, Edits: turnKey(w), At: now},
	}}
}

// callNext adds to the change that the token is free, and it is the turn of the
// first in line for as long as a turn lasts.
func callNext(change *Change, waiters []Waiter, turn time.Duration, now time.Time) {
	if len(waiters) == 0 || !waiters[0].Turn.IsZero() {
		return
	}
	w := waiters[0]
	w.Turn, w.Turns = now.Add(turn), w.Turns+1
	ref := w.Ref()
	change.Put = append(change.Put, &w)
	change.Effects = append(change.Effects, Effect{
		Key: turnKey(w), Destination: ToPerson(w.PersonID),
		Notice: Notice{Kind: NoticeTurn, PersonID: w.PersonID, Matter: &ref, Until: w.Turn, At: now},
	})
}

// taken adds to the change what the holding that begins means for the waitlist:
// its holder waits no longer, and whoever had the turn is first in line still.
func taken(change *Change, waiters []Waiter, begun Holding, now time.Time) {
	for _, w := range waiters {
		switch {
		case begun.PersonID != "" && w.PersonID == begun.PersonID:
			change.Effects = append(change.Effects, leave(&w, WaiterTook, now)...)
		case !w.Turn.IsZero():
			change.Effects = append(change.Effects, turnOver(w, &Token{State: Held, Holder: begun.Name}, now)...)
			w.Turn = time.Time{}
		default:
			continue
		}
		change.Put = append(change.Put, &w)
	}
}

// TakeTurns ends turns that have lasted long enough, and begins the next where
// the token is free. It is to be called every second or so, by one Service at a
// time.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Service) TakeTurns(ctx context.Context) error {
	record, err := s.ledger.Record(ctx, s.document.ID())
	if err != nil || !turnDue(record, s.clock()) {
		return err
	}
	reading, err := s.read(ctx, s.clock())
	if err != nil {
		return err
	}
	if Interpret(reading, record.LastName).State != Free {
		return nil // the watcher will see it
	}
	now := s.clock()
	change := Change{Document: s.document.ID(), IfSeq: record.Seq, At: now}
	waiters := record.Matters.Waiters
	for len(waiters) > 0 && !waiters[0].Turn.IsZero() && !waiters[0].Turn.After(now) {
		w := waiters[0]
		waiters = waiters[1:]
		change.Effects = append(change.Effects, leave(&w, WaiterLapsed, now)...)
		change.Put = append(change.Put, &w)
		change.Audit = append(change.Audit, AuditEvent{At: now, Event: string(NoticeTurnOver), Person: w.PersonID})
	}
	callNext(&change, waiters, s.turn, now)
	for _, w := range waiters[:min(1, len(waiters))] {
		change.Audit = append(change.Audit, AuditEvent{At: now, Event: string(NoticeTurn), Person: w.PersonID})
	}
	if err := s.commit(ctx, change); err != nil && !errors.Is(err, ErrStale) {
		return err
	}
	return nil
}

// turnDue reports whether the first in line is to be told that it is their
// turn, or has let it pass. While the document is unclear, it is neither.
func turnDue(record Record, now time.Time) bool {
	waiters := record.Matters.Waiters
	return len(waiters) > 0 && !record.Holding.Open() && !record.IntentOpen && record.Unclear == "" && !waiters[0].Turn.After(now)
}
