package deploytoken

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
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

// end adds to the change that the holding ends, by whatever hand, and what
// follows of that: its row; that the messages about it have no buttons any more;
// that nobody can accept an offer of it; and, where it was for a deployment to
// Kingfisher, that this is over. Offer is the ID of the offer that it ends by; the
// deployment then goes on with the next holding.
func (s *Service) end(change *Change, record Record, end Holding, offer string) {
	now := change.At
	change.End = &end
	change.Effects = append(change.Effects, rowOf(end, now))
	retire := []string{beganKey(end.ID)}
	if end.Reminders > 0 {
		retire = append(retire, reminderKey(end.ID, 1))
	}
	for _, message := range retire {
		change.Effects = append(change.Effects, Effect{
			Key: retiredKey(message), Destination: s.channel,
			Notice: Notice{Kind: NoticeRetired, Holding: end.ID, Edits: message, At: now},
		})
	}
	for _, o := range record.Matters.Offers {
		result := OfferVoid
		if o.ID == offer {
			result = OfferAccepted
		}
		change.Effects = append(change.Effects, o.end(result, now)...)
		change.Put = append(change.Put, &o)
	}
	for _, d := range record.Matters.Deployments {
		if d.Holding == end.ID && offer == "" {
			d.end(change, record.Matters)
		}
	}
}

// end adds to the change that the deployment is over, of which whoever was asked
// or told of it is told; what they weren't asked in vain about stays answered.
func (d *Deployment) end(change *Change, ms Matters) {
	now := change.At
	d.Ended = now
	ref := d.Ref()
	change.Put = append(change.Put, d)
	for _, person := range d.Informed {
		if person == d.PersonID {
			continue // who was asked has taken it over
		}
		change.Effects = append(change.Effects, Effect{
			Key: "deployed:" + d.Holding + ":" + person, Destination: ToPerson(person),
			Notice: Notice{Kind: NoticeDeployed, Holding: d.Holding, PersonID: d.PersonID, Name: d.Name, Matter: &ref, At: now},
		})
	}
	for _, q := range ms.Questions {
		if ms.unneeded(q, d.ID) {
			change.Effects = append(change.Effects, q.settle(now)...)
			change.Put = append(change.Put, &q)
		}
	}
	if d.Asked {
		change.Effects = append(change.Effects, d.tell(now))
	}
}

// handOver adds to the change that the deployment goes on with the holding that
// begins.
func (d *Deployment) handOver(change *Change, zone *time.Location) {
	if d.Asked {
		change.Effects = append(change.Effects, d.tell(change.At))
	}
	d.Holding, d.PersonID, d.Name, d.Message = change.Begin.ID, change.Begin.PersonID, change.Begin.Name, ""
	// Who hands it over need not be asked about what is theirs.
	d.Standing = slices.DeleteFunc(slices.Clone(d.Standing), func(s Standing) bool { return s.Answer == AnswerOwn })
	change.Begin.Consent = d.consent(zone)
	if d.Asked {
		change.Effects = append(change.Effects, d.tell(change.At))
	}
	change.Put = append(change.Put, d)
}

// rowOf is the effect that writes a holding's row.
func rowOf(h Holding, now time.Time) Effect {
	return Effect{Key: rowKey(h.ID), Destination: ToSheet, Notice: Notice{Kind: NoticeRow, Holding: h.ID, At: now}}
}

// finish ends a command without a write, by d.
// Errors: ErrStale, ErrNotOwner, ErrUnavailable.
func (s *Service) finish(ctx context.Context, log *slog.Logger, c Command, record Record, d decision, token Token, intent *Intent) error {
	now := s.clock()
	change := Change{Document: c.Document, IfSeq: -1, Finish: c.ID, Outcome: d.outcome, At: now, Update: d.update, Put: d.put, Effects: d.effects}
	if d.look != nil {
		change.Put = append(change.Put, &Look{Report: d.look.report})
	}
	if d.update != nil || d.end != nil || len(d.put) > 0 {
		change.IfSeq = record.Seq
	}
	if intent != nil {
		change.CloseIntent, change.Epoch = intent.Operation, intent.Epoch
	}
	holding := ""
	switch h := record.Holding; {
	case h.Open() && (situation{token: token, record: record}).recorded():
		holding = h.ID
	case c.Kind == KindRelease && token.State == Unclear:
		// Nothing says that it is over: what was written for it isn't lost.
		holding = c.Holding
	}
	if d.end != nil {
		s.end(&change, record, *d.end, "")
		change.Effects = append(change.Effects, Effect{
			Key: endedKey(d.end.ID), Destination: s.channel,
			Notice: Notice{Kind: NoticeChanged, Previous: d.end.ID, PersonID: c.PersonID, Token: &token, At: now},
		})
		callNext(&change, record.Matters.Waiters, s.turn, now)
		holding = d.end.ID
	}
	if d.ask {
		holder := cmp.Or(d.update, record.Holding).PersonID
		change.Effects = append(change.Effects, Effect{
			Key:         "ask:" + record.Holding.ID + ":" + c.PersonID + ":" + now.UTC().Format("2006010215"),
			Again:       true,
			Destination: ToPerson(holder),
			Notice:      Notice{Kind: NoticeAsked, Holding: record.Holding.ID, PersonID: c.PersonID, At: now},
		})
	}
	change.Effects = append(change.Effects, answerTo(c, d.outcome, now, func(n *Notice) {
		n.Holding, n.Detail, n.Until, n.Number = holding, d.detail, d.until, d.number
		if d.matter != (MatterRef{}) {
			n.Matter = &d.matter
		}
		if token != (Token{}) {
			n.Token = &token
		}
	}))
	change.Audit = append(change.Audit, AuditEvent{At: now, Event: string(d.outcome), Command: c.ID, Holding: holding, Person: c.PersonID, Detail: d.detail})
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
		outcome = s.landedChange(&change, i, record, c)
		if i.Began == nil && (token == nil || token.State == Free) {
			callNext(&change, record.Matters.Waiters, s.turn, now)
		}
		if i.Began != nil {
			subject = i.Began.ID
		} else {
			subject = i.Ends
		}
		// What was written may have been written over since.
		if token != nil && !(i.Began == nil && token.State == Free || i.Began != nil && token.State == Held && sameName(token.Holder, i.Written)) {
			outcome = OutcomeSuperseded
		}
	} else if h := record.Holding; i.Ends != "" && i.Began == nil && h.Open() && h.ID == i.Ends && !i.EndsByHand && token.State == Held && !sameName(token.Holder, h.Name) {
		// A release that somebody's name was written over. The holding is over
		// either way; what its holder said of it is kept.
		end := *h
		end.Ended, end.EndedByHand, end.Summary = now, true, i.Summary
		subject = h.ID
		if i.Force {
			// Nobody knows whether that came before the name, and its holder didn't
			// ask for it.
			end.Summary = ""
			if h.PersonID != "" {
				change.Effects = append(change.Effects, Effect{
					Key: "displaced:" + h.ID, Destination: ToPerson(h.PersonID),
					Notice: Notice{Kind: NoticeDisplaced, Holding: h.ID, Token: token, At: now},
				})
			}
		}
		s.end(&change, record, end, "")
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
func (s *Service) landedChange(change *Change, i *Intent, record Record, c *Command) Outcome {
	now := change.At
	outcome := OutcomeReleased
	if h := record.Holding; i.Ends != "" && h.Open() && h.ID == i.Ends {
		end := *h
		end.Ended, end.EndedByHand, end.Summary = i.Decided, i.EndsByHand, i.Summary
		if end.Ended.Before(end.Since) {
			// The clocks of two machines differ.
			end.Ended = end.Since
		}
		switch {
		case i.Force && c != nil:
			end.EndedBy = c.PersonID
		case i.Began == nil && end.PersonID == "" && c != nil:
			end.PersonID = c.PersonID
		}
		s.end(change, record, end, i.Offer)
		n := Notice{Kind: NoticeReleased, Holding: end.ID, PersonID: end.PersonID, At: now}
		switch {
		case i.EndsByHand:
			n = Notice{Kind: NoticeChanged, Previous: end.ID, At: now}
		case i.Force:
			n = Notice{Kind: NoticeForceReleased, Holding: end.ID, PersonID: end.EndedBy, Name: i.Asker, Detail: i.Why, At: now}
			if end.PersonID != "" && end.PersonID != end.EndedBy {
				told := n
				told.Kind = NoticeForced
				change.Effects = append(change.Effects, Effect{Key: "forced:" + end.ID, Destination: ToPerson(end.PersonID), Notice: told})
			}
		}
		if i.Offer == "" {
			change.Effects = append(change.Effects, Effect{Key: endedKey(end.ID), Destination: s.channel, Notice: n})
		}
	}
	if i.Force {
		outcome = OutcomeForced
	}
	if i.Began == nil {
		return outcome
	}
	begin := *i.Began
	change.Begin = &begin
	n := Notice{Kind: NoticeTaken, Holding: begin.ID, PersonID: begin.PersonID, At: now}
	outcome = OutcomeTaken
	if i.Offer != "" {
		n.Kind, n.Previous, outcome = NoticeHandedOver, i.Ends, OutcomeHandedOver
		for _, d := range record.Matters.Deployments {
			if d.Holding == i.Ends {
				d.handOver(change, s.zone)
			}
		}
	}
	change.Effects = append(change.Effects, Effect{Key: beganKey(begin.ID), Destination: s.channel, Notice: n})
	taken(change, record.Matters.Waiters, begin, now)
	if i.Deployment != nil {
		change.Put = append(change.Put, &Look{Report: i.Deployment.Report})
		begun(change, record, *i.Deployment, s.zone)
	}
	return outcome
}

// begun adds to the change that the token was taken for the deployment. Those
// who haven't agreed to what it interrupts are told at once.
func begun(change *Change, record Record, d Deployment, zone *time.Location) {
	for _, known := range record.Matters.Deployments {
		if known.ID == d.ID {
			// Somebody may have answered since the write was decided.
			known.Holding, known.Seen, known.Report = d.Holding, d.Seen, d.Report
			known.Standing, known.Unknown = d.Standing, d.Unknown
			known.WithoutPostgres, known.OutOfTurn, known.Purpose = d.WithoutPostgres, d.OutOfTurn, d.Purpose
			d = known.answered(record.Matters.Questions, change.At)
		}
	}
	change.Begin.Consent = d.consent(zone)
	for _, s := range d.Standing {
		for _, to := range s.To {
			switch {
			case s.Answer == AnswerAgreed:
				d.inform(to)
			case weight[s.Answer] > weight[AnswerAgreed]:
				change.Effects = append(change.Effects, d.warnOwner(*change.Begin, s.OwnerID, to, s.Works, change.At))
			}
		}
	}
	if d.Asked {
		change.Effects = append(change.Effects, d.tell(change.At))
	}
	change.Put = append(change.Put, &d)
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
