package deploytoken

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decideConsent decides KindConsent: whoever has not been asked about what
// blocks the deployment is asked.
func decideConsent(s situation) decision {
	if s.look == nil {
		return decision{step: stepLook}
	}
	before := s.deployment
	if h := s.record.Holding; before.Holding == "" && h.Open() && h.PersonID == s.command.PersonID {
		before.Holding, before.Seen = h.ID, seen(s.look.report)
	}
	d := before.looked(*s.look, s.record.Matters.Questions, s.now)
	ref := d.Ref()
	asked := 0
	result := decision{step: stepAnswer, matter: ref, look: s.look}
	questions := s.record.Matters.Questions
	for _, st := range d.Standing {
		var works []Work
		for _, w := range st.Works {
			if answer, _ := answerFor(w, questions, s.now); answer == AnswerUnasked && w.Ended.IsZero() {
				works = append(works, w)
			}
		}
		if len(works) == 0 || st.Answer == AnswerOwn || len(st.To) == 0 {
			continue
		}
		asked++
		q := Question{
			ID: s.command.ID + "-" + strconv.Itoa(asked), OwnerID: st.OwnerID, Name: st.Name, Asked: st.To, Works: works,
			Deployment: d.ID, ByID: d.PersonID, By: d.Name, Purpose: d.Purpose, At: s.now,
		}
		questions = append(slices.Clip(questions), q)
		result.put = append(result.put, &q)
		for _, to := range q.Asked {
			result.effects = append(result.effects, q.ask(to, s.now))
			d.inform(to)
		}
	}
	switch {
	case d.Blocked():
		d = d.answered(questions, s.now)
		result.outcome, d.Asked, d.News = OutcomeConsentAsked, true, d.state()
		result.effects = append(result.effects, d.tell(s.now))
	default:
		result.outcome = OutcomeNothingRuns
		if !d.Takes && d.Holding == "" && !d.Asked {
			d.Ended = s.now
		}
	}
	if h := s.record.Holding; h.Open() && d.Holding == h.ID {
		update := *h
		update.Consent = d.consent(s.zone)
		result.update = &update
	}
	result.put = append(result.put, &d)
	return result
}

// ask is the effect that asks the question at the destination.
func (q *Question) ask(to string, now time.Time) Effect {
	ref := q.Ref()
	return Effect{
		Key: "question:" + q.ID + ":" + to, Destination: to,
		Notice: Notice{Kind: NoticeQuestion, PersonID: q.ByID, Name: q.By, Matter: &ref, At: now},
	}
}

// edit is the effects that bring the question's messages up to date.
func (q *Question) edit(now time.Time) []Effect {
	q.Edits++
	effects := make([]Effect, 0, len(q.Asked))
	for _, to := range q.Asked {
		e := q.ask(to, now)
		e.Notice.Edits = e.Key
		e.Key += ":" + strconv.Itoa(q.Edits)
		effects = append(effects, e)
	}
	return effects
}

// settle ends the question, and returns the effects.
func (q *Question) settle(now time.Time) []Effect {
	q.Settled = now
	if q.Answer == AnswerNone {
		q.Answer = AnswerEnded
	}
	return q.edit(now)
}

// inform adds whoever the destination is to those who are told when the
// deployment is over.
func (d *Deployment) inform(destination string) {
	if id, isPerson := strings.CutPrefix(destination, ToPerson("")); isPerson && id != d.PersonID && !slices.Contains(d.Informed, id) {
		d.Informed = append(slices.Clip(d.Informed), id)
	}
}

// tell is the effect that tells the deployer, or brings the message up to date
// that does.
func (d *Deployment) tell(now time.Time) Effect {
	ref := d.Ref()
	e := Effect{
		Key: fmt.Sprintf("consent:%s:%d", d.ID, d.Edits), Destination: ToPerson(d.PersonID),
		Notice: Notice{Kind: NoticeConsent, PersonID: d.PersonID, Matter: &ref, Edits: d.Message, At: now},
	}
	d.Message = cmp.Or(d.Message, e.Key)
	d.Edits++
	return e
}

// longestWait bounds for how long somebody may ask a deployer to wait.
const longestWait = 366 * 24 * time.Hour

// decideAnswer decides KindAgree and KindAskToWait.
func decideAnswer(s situation) decision {
	ref := MatterRef{MatterQuestion, s.command.Subject}
	i := slices.IndexFunc(s.record.Matters.Questions, func(q Question) bool { return q.ID == s.command.Subject })
	if i < 0 {
		return decision{step: stepAnswer, outcome: OutcomeEnded, matter: ref}
	}
	q := s.record.Matters.Questions[i]
	toAnyone := slices.ContainsFunc(q.Asked, func(to string) bool { return !strings.HasPrefix(to, ToPerson("")) })
	if s.forbidden != "" {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: s.forbidden}
	}
	if !toAnyone && !q.asks(s.command.PersonID) {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "That question is for somebody else."}
	}
	if q.OwnerID == "" && s.command.PersonID == q.ByID {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "You asked that yourself, so somebody else is to answer it. If it is your own work, have whoever runs this bot add your mark to its configuration (kingfisher.people)."}
	}
	q.Answer, q.Until, q.Why = AnswerAgreed, time.Time{}, ""
	if s.command.Kind == KindAskToWait {
		if !s.command.Until.After(s.now) {
			return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "The time that you gave has passed already."}
		}
		if s.command.Until.After(s.now.Add(longestWait)) {
			return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "The time that you gave is over a year away. Give an earlier one; when it has passed, they can ask you again."}
		}
		q.Answer, q.Until, q.Why = AnswerWait, s.command.Until, s.command.Words
	}
	q.AnswererID, q.Answerer, q.Answered = s.command.PersonID, s.asker, s.now
	d := decision{step: stepAnswer, outcome: OutcomeAnswered, matter: ref}
	d.effects = q.edit(s.now)
	d.put = []Matter{&q}
	questions := slices.Clone(s.record.Matters.Questions)
	questions[i] = q
	for _, dep := range s.record.Matters.Deployments {
		if dep.concerns(q) {
			d.reconsider(dep, dep.answered(questions, s.now), s)
		}
	}
	return d
}

// unneeded reports whether nobody needs an answer to the question once the
// deployments with the IDs are over.
func (ms Matters) unneeded(q Question, over ...string) bool {
	return q.Answer == AnswerNone && !slices.ContainsFunc(ms.Deployments, func(d Deployment) bool {
		return !slices.Contains(over, d.ID) && (d.ID == q.Deployment || d.concerns(q))
	})
}

// reconsider adds to the decision what a change of a deployment's standings
// means: its deployer is told, and what stands with the holding.
func (d *decision) reconsider(before, after Deployment, s situation) {
	if after.Asked {
		d.effects = append(d.effects, after.tell(s.now))
		news := after.state()
		tell := news != "" && (news != after.News || news == ConsentRefused && after.count(AnswerWait) > before.count(AnswerWait))
		if after.News = news; tell {
			after.Told++
			ref := after.Ref()
			d.effects = append(d.effects, Effect{
				Key: fmt.Sprintf("consent-news:%s:%d", after.ID, after.Told), Destination: ToPerson(after.PersonID),
				Notice: Notice{Kind: NoticeConsentNews, PersonID: after.PersonID, Matter: &ref, At: s.now},
			})
		}
	}
	if h := s.record.Holding; h.Open() && after.Holding == h.ID {
		update := *cmp.Or(d.update, h)
		update.Consent = after.consent(s.zone)
		d.update = &update
	}
	d.put = append(d.put, &after)
}
