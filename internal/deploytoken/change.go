package deploytoken

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"
)

// The keys of effects, which make each unique by what it tells of.
func beganKey(holding string) string   { return "began:" + holding }
func endedKey(holding string) string   { return "ended:" + holding }
func rowKey(holding string) string     { return "row:" + holding }
func answerKey(command string) string  { return "answer:" + command }
func retiredKey(message string) string { return "retired:" + message }
func reminderKey(holding string, n int) string {
	return "reminder:" + holding + ":" + strconv.Itoa(n)
}
func seqKey(what, document string, seq int64) string {
	return what + ":" + document + ":" + strconv.FormatInt(seq, 10)
}

// answerTo is the effect that tells the asker how their command ended.
func answerTo(c Command, o Outcome, now time.Time, fill func(*Notice)) Effect {
	n := Notice{Kind: NoticeAnswer, Command: c.ID, Outcome: o, PersonID: c.PersonID, At: now}
	if fill != nil {
		fill(&n)
	}
	return Effect{Key: answerKey(c.ID), Destination: ToPerson(c.PersonID), Notice: n}
}

// endEffects are what follows from a holding's end, by whatever hand: its row,
// and that the messages about it have no buttons any more.
func (s *Service) endEffects(h Holding, now time.Time) []Effect {
	effects := []Effect{rowOf(h, now)}
	retire := []string{beganKey(h.ID)}
	if h.Reminders > 0 {
		retire = append(retire, reminderKey(h.ID, 1))
	}
	for _, message := range retire {
		effects = append(effects, Effect{
			Key: retiredKey(message), Destination: s.channel,
			Notice: Notice{Kind: NoticeRetired, Holding: h.ID, Edits: message, At: now},
		})
	}
	return effects
}

// rowOf is the effect that writes a holding's row.
func rowOf(h Holding, now time.Time) Effect {
	return Effect{Key: rowKey(h.ID), Destination: ToSheet, Notice: Notice{Kind: NoticeRow, Holding: h.ID, At: now}}
}

// finish ends a command without a write, by d.
// Errors: ErrStale, ErrNotOwner, ErrUnavailable.
func (s *Service) finish(ctx context.Context, log *slog.Logger, c Command, record Record, d decision, token Token, intent *Intent) error {
	now := s.clock()
	change := Change{Document: c.Document, IfSeq: -1, Finish: c.ID, Outcome: d.outcome, At: now, Update: d.update, End: d.end}
	if d.update != nil || d.end != nil {
		change.IfSeq = record.Seq
	}
	if intent != nil {
		change.CloseIntent, change.Epoch = intent.Operation, intent.Epoch
	}
	holding := ""
	if h := record.Holding; h.Open() && (situation{token: token, record: record}).recorded() {
		holding = h.ID
	}
	if d.end != nil {
		change.Effects = append(change.Effects, s.endEffects(*d.end, now)...)
		change.Effects = append(change.Effects, Effect{
			Key: endedKey(d.end.ID), Destination: s.channel,
			Notice: Notice{Kind: NoticeChanged, Previous: d.end.ID, PersonID: c.PersonID, Token: &token, At: now},
		})
		holding = d.end.ID
	}
	if d.ask {
		holder := cmp.Or(d.update, record.Holding).PersonID
		change.Effects = append(change.Effects, Effect{
			Key:         "ask:" + record.Holding.ID + ":" + c.PersonID + ":" + now.UTC().Format("2006010215"),
			Destination: ToPerson(holder),
			Notice:      Notice{Kind: NoticeAsked, Holding: record.Holding.ID, PersonID: c.PersonID, At: now},
		})
	}
	change.Effects = append(change.Effects, answerTo(c, d.outcome, now, func(n *Notice) {
		n.Holding, n.Detail, n.Until = holding, d.detail, d.until
		if token != (Token{}) {
			n.Token = &token
		}
	}))
	change.Audit = []AuditEvent{{At: now, Event: string(d.outcome), Command: c.ID, Holding: holding, Person: c.PersonID, Detail: d.detail}}
	if err := s.commit(ctx, change); err != nil {
		return err
	}
	log.Info("command ended", "outcome", d.outcome, "detail", d.detail, "took", now.Sub(c.At))
	return nil
}

// close records what became of an intent that landed or was superseded, and
// all that follows of it.
// Errors: ErrUnavailable; the intent is then left to Recover.
func (s *Service) close(ctx context.Context, log *slog.Logger, i *Intent, v verdict) error {
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		err := s.tryClose(ctx, log, i, v)
		if err == nil || errors.Is(err, ErrNotOwner) {
			return err
		}
		log.Error("what became of a write is not recorded yet", "operation", i.Operation, "error", err)
		if pause > 2*time.Second || !sleep(ctx, pause) {
			return errors.Join(errUnsettled, err)
		}
	}
}

func (s *Service) tryClose(ctx context.Context, log *slog.Logger, i *Intent, v verdict) error {
	record, err := s.ledger.Record(ctx, i.Document)
	if err != nil {
		return err
	}
	c, ended, err := s.ledger.Command(ctx, i.Command)
	if err != nil {
		return err
	}
	now := s.clock()
	change := Change{Document: i.Document, IfSeq: record.Seq, CloseIntent: i.Operation, Epoch: i.Epoch, Observed: now, At: now}
	outcome := OutcomeSuperseded
	var token *Token
	if !v.reading.At.IsZero() {
		t := Interpret(v.reading, cmp.Or(i.Written, record.LastName))
		token = &t
	}
	var subject string
	if v.landed {
		outcome = s.landedChange(&change, i, record, c, now)
		if i.Began != nil {
			subject = i.Began.ID
		} else {
			subject = i.Ends
		}
		// What was written may have been written over since.
		if token != nil && !(i.Began == nil && token.State == Free || i.Began != nil && token.State == Held && sameName(token.Holder, i.Written)) {
			outcome = OutcomeSuperseded
		}
	} else if h := record.Holding; i.Ends != "" && h.Open() && h.ID == i.Ends && !i.EndsByHand && token.State == Held && !sameName(token.Holder, h.Name) {
		// A release that somebody's name was written over. The holding is over
		// either way; what its holder said of it is kept.
		end := *h
		end.Ended, end.EndedByHand, end.Summary = now, true, i.Summary
		change.End, subject = &end, h.ID
		change.Effects = append(change.Effects, s.endEffects(end, now)...)
		if !outlived(i, s.ledger.StoreID(), v.reading) {
			// That name may be gone before it counts as a change by hand.
			change.Effects = append(change.Effects, Effect{
				Key: endedKey(end.ID), Destination: s.channel,
				Notice: Notice{Kind: NoticeChanged, Previous: end.ID, Token: token, At: now},
			})
		}
	}
	if c != nil && ended == "" {
		change.Finish, change.Outcome = c.ID, outcome
		change.Effects = append(change.Effects, answerTo(*c, outcome, now, func(n *Notice) { n.Holding, n.Token = subject, token }))
	}
	asker := ""
	if c != nil {
		asker = c.PersonID
	}
	change.Audit = append(change.Audit, AuditEvent{
		At: now, Event: string(outcome), Command: i.Command, Holding: subject, Person: asker,
		Detail: "read “" + i.Read + "”, wrote “" + i.Written + "”",
	})
	if err := s.commit(ctx, change); err != nil {
		return err
	}
	signal(s.wrote)
	if c != nil {
		log.Info("command ended", "outcome", outcome, "holding", subject, "operation", i.Operation, "took", now.Sub(c.At))
	}
	return nil
}

// landedChange adds to change what a write that landed has changed, and
// returns the command's outcome.
func (s *Service) landedChange(change *Change, i *Intent, record Record, c *Command, now time.Time) Outcome {
	if h := record.Holding; i.Ends != "" && h.Open() && h.ID == i.Ends {
		end := *h
		end.Ended, end.EndedByHand, end.Summary = i.Decided, i.EndsByHand, i.Summary
		if end.Ended.Before(end.Since) {
			// The clocks of two machines differ.
			end.Ended = end.Since
		}
		if !i.EndsByHand && end.PersonID == "" && c != nil {
			end.PersonID = c.PersonID
		}
		change.End = &end
		change.Effects = append(change.Effects, s.endEffects(end, now)...)
		n := Notice{Kind: NoticeReleased, Holding: end.ID, PersonID: end.PersonID, At: now}
		if i.EndsByHand {
			n = Notice{Kind: NoticeChanged, Previous: end.ID, At: now}
		}
		change.Effects = append(change.Effects, Effect{Key: endedKey(end.ID), Destination: s.channel, Notice: n})
	}
	if i.Began == nil {
		return OutcomeReleased
	}
	begin := *i.Began
	change.Begin = &begin
	change.Effects = append(change.Effects, Effect{
		Key: beganKey(begin.ID), Destination: s.channel,
		Notice: Notice{Kind: NoticeTaken, Holding: begin.ID, PersonID: begin.PersonID, At: now},
	})
	return OutcomeTaken
}

// commit makes the change and tells whoever delivers its effects.
func (s *Service) commit(ctx context.Context, change Change) error {
	if err := s.ledger.Commit(ctx, change); err != nil {
		return err
	}
	if len(change.Effects) > 0 {
		signal(s.inserted)
	}
	return nil
}
