package deploytoken

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// forgottenAfter is how many times as long as a holding may last before it is
	// reminded of makes it seem forgotten, and forgottenReminders after how many
	// reminders at least.
	forgottenAfter     = 3
	forgottenReminders = 2
)

// Remind reminds of a holding that has lasted too long, at most once until
// quietUntil: it is to be called on the schedule, with the time halfway to the
// next call, by one Service at a time.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Service) Remind(ctx context.Context, quietUntil time.Time) error {
	for {
		if err := s.remindOnce(ctx, quietUntil); !errors.Is(err, ErrStale) {
			return err
		}
	}
}

func (s *Service) remindOnce(ctx context.Context, quietUntil time.Time) error {
	record, err := s.ledger.Record(ctx, s.document.ID())
	if err != nil || !remindable(record, s.clock(), s.quietFor) {
		return err
	}
	if len(record.Matters.Waiters) == 0 && !s.atWork(ctx, record.Holding.PersonID) {
		return nil
	}
	reading, err := s.read(ctx, s.clock())
	if err != nil {
		return err
	}
	if caught, err := s.catchUp(ctx, reading, record); caught || err != nil {
		return err
	}
	token := Interpret(reading, record.LastName)
	if !(situation{token: token, record: record}).recorded() {
		return nil
	}
	now := s.clock()
	h := *record.Holding
	h.Reminders++
	h.NextReminder = quietUntil
	if h.PersonID == "" {
		h.PersonID = s.certain(ctx, token)
	}
	change := Change{
		Document: s.document.ID(), IfSeq: record.Seq, Update: &h, At: now,
		Effects: []Effect{s.reminder(h, record.Matters, now)},
		Audit:   []AuditEvent{{At: now, Event: string(NoticeReminder), Holding: h.ID, Person: h.PersonID}},
	}
	if forgotten(h, now, s.quietFor) {
		for _, w := range record.Matters.Waiters {
			if may, err := s.inForceGroup(ctx, w.PersonID); err == nil && !may {
				continue // it is not theirs to release
			}
			ref := w.Ref()
			change.Effects = append(change.Effects, Effect{
				Key: "forgotten:" + h.ID + ":" + w.PersonID, Destination: ToPerson(w.PersonID),
				Notice: Notice{Kind: NoticeForgotten, Holding: h.ID, PersonID: w.PersonID, Matter: &ref, At: now},
			})
		}
	}
	if err = s.commit(ctx, change); err == nil {
		s.log.Info("reminded", "holding", h.ID, "number", h.Reminders)
	}
	return err
}

// reminder is the effect that reminds of the holding, where its holder wants
// that: a direct message, or the channel's first and then its thread.
func (s *Service) reminder(h Holding, ms Matters, now time.Time) Effect {
	n := Notice{Kind: NoticeReminder, Holding: h.ID, Number: h.Reminders, At: now}
	direct := h.PersonID != "" && slices.ContainsFunc(ms.Preferences, func(p Preference) bool { return p.PersonID == h.PersonID && p.Direct })
	if direct {
		return Effect{Key: reminderKey(h.ID, h.Reminders), Destination: ToPerson(h.PersonID), Notice: n}
	}
	if h.Reminders > 1 {
		n.Thread = reminderKey(h.ID, 1)
	}
	return Effect{Key: reminderKey(h.ID, h.Reminders), Destination: s.channel, Notice: n}
}

// remindable reports whether the record has a holding to be reminded of. Where
// somebody waits for the token, it is so after half the time.
func remindable(record Record, now time.Time, staleAfter time.Duration) bool {
	h := record.Holding
	if len(record.Matters.Waiters) > 0 {
		staleAfter /= 2
	}
	return h.Open() && !record.IntentOpen && now.Sub(h.Since) >= staleAfter && !now.Before(h.NextReminder)
}

// forgotten reports whether the holding seems to have been forgotten. That its
// holder says they are still working puts the next reminder off, and this too.
func forgotten(h Holding, now time.Time, staleAfter time.Duration) bool {
	return now.Sub(h.Since) >= forgottenAfter*staleAfter && h.Reminders > forgottenReminders
}

// atWork reports whether it is within the person's working hours, by the clock
// of their time zone; where that isn't known, it may be.
func (s *Service) atWork(ctx context.Context, person string) bool {
	if person == "" || s.workingHours == nil {
		return true
	}
	p, err := s.person(ctx, person)
	return err != nil || p.Zone == nil || s.workingHours(s.clock().In(p.Zone))
}

// decidePrefer decides KindPrefer.
func decidePrefer(s situation) decision {
	p := Preference{PersonID: s.command.PersonID, Direct: s.command.Subject == RemindDirectly}
	return decision{step: stepAnswer, outcome: OutcomePreferred, matter: p.Ref(), put: []Matter{&p}}
}
