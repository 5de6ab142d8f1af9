package deploytoken

import (
	"strings"
	"time"
)

// takeWithin is how long after it was asked for a take still makes sense.
const takeWithin = 2 * time.Minute

// A situation is what a decision is made on.
type situation struct {
	command Command
	// token is by a reading; fresh is whether that began after the command came.
	token Token
	fresh bool
	// record is what the ledger knows.
	record Record
	// named are the people whom the name in the document could mean, if they
	// were looked up.
	named    []Person
	lookedUp bool
	// purpose, asker, other and forbidden are of the command's subject.
	purpose   string
	asker     string
	other     Person
	forbidden string
	// deployment is the one that the command is for, and kingfisher whether the
	// busy checks come before it: look, once they are made.
	deployment Deployment
	kingfisher bool
	look       *look
	// lapsed is whether the command names a deployment that is over.
	lapsed bool
	// zone is that of times in the history.
	zone *time.Location
	// quietFor is how long "still working" keeps reminders quiet.
	quietFor time.Duration
	now      time.Time
}

// A step is what a decision asks for next.
type step int

const (
	// stepRead: decide again on a reading begun after the command came.
	stepRead step = iota
	// stepLookUp: decide again once it is known whom the name could mean.
	stepLookUp
	// stepAdopt: record the change by hand that the reading shows, at once,
	// and decide again.
	stepAdopt
	// stepLook: decide again once the busy checks are made.
	stepLook
	// stepWrite: write a new value.
	stepWrite
	// stepAnswer: there is nothing to write; the command ends with an outcome.
	stepAnswer
)

// A decision is what is to be done about a command in a situation.
type decision struct {
	step step
	// release is whether stepWrite writes Nobody; else the asker's name.
	release bool
	// force is whether that releases another's holding; offer is by which the
	// asker takes the token over, and deployment what they take it for; nil for
	// none.
	force      bool
	offer      *Offer
	deployment *Deployment
	// outcome is how the command ends.
	outcome Outcome
	// detail is a sentence for the asker.
	detail string
	// update is the lasting holding as the command changes it; nil for no change.
	update *Holding
	// end is the lasting holding as it is ended by hand, with the summary that
	// its holder gave afterwards; nil for no change.
	end *Holding
	// until is when reminders begin again.
	until time.Time
	// ask is whether the holder is asked to release the token.
	ask bool
	// matter is what the answer tells of, and number a position in the waitlist.
	matter MatterRef
	number int
	// put and effects are recorded with the outcome, and the report of look.
	put     []Matter
	effects []Effect
	look    *look
}

func answer(o Outcome) decision { return decision{step: stepAnswer, outcome: o} }

// ownership is whose the name in the document is, as seen by the asker.
type ownership int

const (
	others ownership = iota
	yours
	maybeYours
	unknownYet
)

// recorded reports whether the holding that lasts by the ledger is the one
// that the document speaks of.
func (s situation) recorded() bool {
	return s.token.State == Held && s.record.Holding.Open() && sameName(s.record.Holding.Name, s.token.Holder)
}

// whose tells whose the name in the document is. What the ledger has recorded
// of a person goes before what a name could mean.
func (s situation) whose() ownership {
	if s.recorded() && s.record.Holding.PersonID != "" {
		if s.record.Holding.PersonID == s.command.PersonID {
			return yours
		}
		return others
	}
	if !s.lookedUp {
		return unknownYet
	}
	for _, p := range s.named {
		if p.ID == s.command.PersonID {
			if len(s.named) == 1 {
				return yours
			}
			return maybeYours
		}
	}
	return others
}

func sameName(a, b string) bool {
	return strings.EqualFold(Visible(CleanName(a)), Visible(CleanName(b)))
}

// decide is the whole of what the commands mean. A cached reading serves only
// a decision to write, which the revision guards; any other is made on a
// reading begun after the command came.
func decide(s situation) decision {
	switch s.command.Kind {
	case KindTake, KindTakeOutOfTurn, KindTakeAnyway, KindTakeWithoutPostgres:
		return decideTake(s)
	case KindRelease:
		return decideRelease(s)
	case KindWait:
		return decideWait(s)
	case KindLeave:
		return decideLeave(s)
	case KindGive:
		return decideGive(s)
	case KindAccept:
		return decideAccept(s)
	case KindDecline:
		return decideDecline(s)
	case KindForce, KindForceConfirmed:
		return decideForce(s)
	case KindConsent:
		return decideConsent(s)
	case KindAgree, KindAskToWait:
		return decideAnswer(s)
	case KindWatch, KindUnwatch:
		return decideWatch(s)
	case KindPrefer:
		return decidePrefer(s)
	case KindAsk, KindStillWorking, KindClaim:
		return decideButton(s)
	}
	return decision{step: stepAnswer, outcome: OutcomeFailed}
}

func decideTake(s situation) decision {
	if s.now.Sub(s.command.At) > takeWithin {
		return answer(OutcomeTooLate)
	}
	if s.token.State == Free {
		return decideTakeFree(s)
	}
	if !s.fresh {
		return decision{step: stepRead}
	}
	if s.token.State == Unclear {
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}
	}
	switch s.whose() {
	case unknownYet:
		return decision{step: stepLookUp}
	case yours:
		return s.onRecord(answer(OutcomeAlreadyYours))
	case maybeYours:
		return s.onRecord(answer(OutcomeMaybeYours))
	}
	return answer(OutcomeHeld)
}

// decideTakeFree decides on taking a free token: whose turn it is comes first,
// then what a deployment to Kingfisher would interrupt.
func decideTakeFree(s situation) decision {
	if next := s.record.Matters.Next(s.now); next != nil && next.PersonID != s.command.PersonID && !s.deployment.OutOfTurn {
		if !s.fresh {
			return decision{step: stepRead}
		}
		_, place := s.record.Matters.Waiter(s.command.PersonID)
		return decision{step: stepAnswer, outcome: OutcomeOutOfTurn, matter: next.Ref(), number: place}
	}
	if s.lapsed {
		if !s.fresh {
			return decision{step: stepRead}
		}
		return answer(OutcomeEnded)
	}
	if !s.kingfisher {
		return decision{step: stepWrite}
	}
	if s.look == nil {
		return decision{step: stepLook}
	}
	d := s.deployment.looked(*s.look, s.record.Matters.Questions, s.now)
	if s.command.Kind != KindTakeAnyway && (d.Blocked() || len(d.Unknown) > 0) {
		if !s.fresh {
			return decision{step: stepRead}
		}
		result := decision{step: stepAnswer, outcome: OutcomeBusy, matter: d.Ref(), look: s.look}
		if d.Asked && standsDifferently(s.deployment, d) {
			result.effects, d.News = append(result.effects, d.tell(s.now)), d.state()
		}
		result.put = []Matter{&d}
		return result
	}
	d.Seen = seen(s.look.report)
	return decision{step: stepWrite, deployment: &d}
}

// onRecord returns d if the ledger has recorded the holding that the document
// speaks of, with the asker as its holder if that is certain; else it asks for
// what is missing.
func (s situation) onRecord(d decision) decision {
	if !s.recorded() {
		return decision{step: stepAdopt}
	}
	if s.record.Holding.PersonID == "" && s.whose() == yours {
		h := *s.record.Holding
		h.PersonID = s.command.PersonID
		d.update = &h
	}
	return d
}

func decideRelease(s situation) decision {
	h := s.record.Holding
	meant := h.Open() && s.command.Holding == h.ID
	if h.Open() && h.ByHand && s.command.Holding == "" && s.command.Message == "" && s.timely() {
		// The name was typed before the command, and recorded after it.
		meant = true
	}
	if h.Open() && h.PersonID == s.command.PersonID && s.command.Message == "" && s.command.Subject != "" && s.timely() {
		// The asker's take came before the command, and ended after it.
		meant = true
	}
	if s.token.State == Unclear {
		if !s.fresh {
			return decision{step: stepRead}
		}
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}
	}
	if meant && s.recorded() {
		switch s.whose() {
		case yours:
			return decision{step: stepWrite, release: true}
		case unknownYet:
			return decision{step: stepLookUp}
		case maybeYours:
			if s.fresh {
				return answer(OutcomeMaybeYours)
			}
		default:
			if s.fresh {
				return answer(OutcomeHeld)
			}
		}
		return decision{step: stepRead}
	}
	if !s.fresh {
		return decision{step: stepRead}
	}
	if s.token.State == Free {
		if meant && h.PersonID == s.command.PersonID {
			ended := *h
			ended.Ended, ended.EndedByHand, ended.Summary = s.now, true, s.command.Words
			return decision{step: stepAnswer, outcome: OutcomeEnded, end: &ended}
		}
		if s.command.Message != "" {
			return answer(OutcomeEnded)
		}
		return answer(OutcomeFree)
	}
	if s.recorded() || s.command.Message != "" {
		// It was asked for another holding than the one that lasts: one that
		// a button stood for, or that was over before this one began.
		return answer(OutcomeEnded)
	}
	switch s.whose() {
	case unknownYet:
		return decision{step: stepLookUp}
	case yours, maybeYours:
		if !s.timely() || s.command.Holding != "" && !meant {
			return answer(OutcomeEnded)
		}
		return decision{step: stepAdopt}
	}
	return answer(OutcomeHeld)
}

// timely reports whether the command came so lately that what it was about may
// be told from what stands in the document now.
func (s situation) timely() bool { return s.now.Sub(s.command.At) <= takeWithin }

// decideButton decides what changes only the ledger: asking the holder, keeping
// reminders quiet, and saying whom a name means.
func decideButton(s situation) decision {
	if !s.fresh {
		return decision{step: stepRead}
	}
	switch s.token.State {
	case Unclear:
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}
	case Free:
		return answer(OutcomeFree)
	}
	if s.command.Kind == KindAsk && !s.recorded() && s.command.Holding == "" {
		return decision{step: stepAdopt}
	}
	if !s.recorded() || (s.command.Holding != "" && s.command.Holding != s.record.Holding.ID) {
		return answer(OutcomeEnded)
	}
	h := *s.record.Holding
	who := s.whose()
	if who == unknownYet {
		return decision{step: stepLookUp}
	}
	switch s.command.Kind {
	case KindAsk:
		if who == yours {
			return answer(OutcomeAlreadyYours)
		}
		if h.PersonID == "" && len(s.named) == 1 {
			h.PersonID = s.named[0].ID
			return decision{step: stepAnswer, outcome: OutcomeAsked, ask: true, update: &h}
		}
		if h.PersonID == "" {
			return answer(OutcomeHolderUnknown)
		}
		return decision{step: stepAnswer, outcome: OutcomeAsked, ask: true}
	case KindStillWorking:
		if who == maybeYours {
			return answer(OutcomeMaybeYours)
		}
		if who != yours {
			return answer(OutcomeHeld)
		}
		h.PersonID = s.command.PersonID
		h.NextReminder = s.now.Add(s.quietFor)
		return decision{step: stepAnswer, outcome: OutcomeQuiet, update: &h, until: h.NextReminder}
	case KindClaim:
		if who != yours && who != maybeYours {
			return answer(OutcomeNotYours)
		}
		h.PersonID = s.command.PersonID
		return decision{step: stepAnswer, outcome: OutcomeClaimed, update: &h}
	}
	return answer(OutcomeFailed)
}
