package deploytoken

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A look is a report of the busy checks, with who its owners are.
type look struct {
	report BusyReport
	// asker is the name of the person for whom it was made.
	asker string
	// names are the names of the owners, by Slack user ID.
	names map[string]string
	// unowned are the destinations of what goes to owners who aren't known.
	unowned []string
}

// blocking returns what of the report a deployment would interrupt.
func blocking(r BusyReport, withoutPostgres bool) []Work {
	var works []Work
	for _, c := range r.Checks {
		if c.Check == CheckPostgres && withoutPostgres {
			continue
		}
		for _, f := range c.Findings {
			if f.Blocks {
				works = append(works, workOf(c.Check, f, r.At))
			}
		}
	}
	return works
}

// workOf is the work that a finding is of.
func workOf(check string, f Finding, at time.Time) Work {
	w := Work{ID: f.ID, Check: check, Owner: f.Owner, OwnerID: f.OwnerID, What: f.What, Where: f.Where, Note: f.Note}
	if f.Age > 0 {
		w.Since = at.Add(-f.Age)
	}
	if w.ID == "" {
		w.ID = strings.Join([]string{check, f.Owner, f.What, f.Where}, "|")
	}
	return w
}

// unknowns says in sentences what of the report isn't known.
func unknowns(r BusyReport, withoutPostgres bool) []string {
	var reasons []string
	for _, c := range r.Checks {
		if c.Check == CheckPostgres && withoutPostgres {
			continue
		}
		if c.State != Idle && c.State != Busy || c.Partial {
			reasons = append(reasons, cmp.Or(c.Reason, "The check of "+c.Check+" could not be made."))
		}
	}
	if len(r.Checks) == 0 {
		reasons = append(reasons, "No check was made.")
	}
	return reasons
}

// looked returns the deployment with a new report, and what its owners have
// answered.
func (d Deployment) looked(l look, questions []Question, now time.Time) Deployment {
	d.Report = l.report
	d.Unknown = unknowns(l.report, d.WithoutPostgres)
	works, names, unowned := blocking(l.report, d.WithoutPostgres), maps.Clone(l.names), l.unowned
	running := running(l.report)
	for _, s := range d.Standing {
		for _, w := range s.Works {
			if running[w.ID] || d.leavesOut(w.Check) {
				continue
			}
			// What could not be looked at has not ended by that.
			if w.Ended.IsZero() && gone(w, l.report, running) {
				w.Ended = now
			}
			if !d.counts(w) {
				continue
			}
			works = append(works, w)
			switch {
			case s.OwnerID != "":
				names[s.OwnerID] = cmp.Or(names[s.OwnerID], s.Name)
			case unowned == nil:
				unowned = s.To
			}
		}
	}
	return d.stand(works, names, unowned, questions, now)
}

// leavesOut reports whether what the check finds doesn't matter to the
// deployment.
func (d Deployment) leavesOut(check string) bool { return d.WithoutPostgres && check == CheckPostgres }

// answered returns the deployment with what its owners have answered since.
func (d Deployment) answered(questions []Question, now time.Time) Deployment {
	var works []Work
	names, unowned := map[string]string{}, []string(nil)
	for _, s := range d.Standing {
		if s.OwnerID != "" {
			names[s.OwnerID] = s.Name
		} else {
			unowned = s.To
		}
		for _, w := range s.Works {
			if d.counts(w) {
				works = append(works, w)
			}
		}
	}
	return d.stand(works, names, unowned, questions, now)
}

// counts reports whether the work bears on what the deployment has the consent
// for: once that is under way, also what has ended, which it may have interrupted.
func (d Deployment) counts(w Work) bool { return w.Ended.IsZero() || d.Holding != "" }

// stand sets the deployment's standings by what blocks it and what was answered
// to the questions. Owners of whom nothing is left keep theirs, as ended.
func (d Deployment) stand(works []Work, names map[string]string, unowned []string, questions []Question, now time.Time) Deployment {
	before := d.Standing
	d.Standing = nil
	stood := map[string]Standing{}
	if d.Holding != "" {
		for _, s := range before {
			for _, w := range s.Works {
				stood[w.ID] = s
			}
		}
	}
	at := map[string]int{}
	for _, w := range works {
		i, there := at[w.OwnerID]
		if !there {
			i = len(d.Standing)
			at[w.OwnerID] = i
			s := Standing{OwnerID: w.OwnerID, Name: names[w.OwnerID], To: unowned, Answer: AnswerEnded}
			if w.OwnerID != "" {
				s.To = []string{ToPerson(w.OwnerID)}
			}
			d.Standing = append(d.Standing, s)
		}
		s := &d.Standing[i]
		s.Works = append(s.Works, w)
		if w.Owner != "" && !slices.Contains(s.Marks, w.Owner) {
			s.Marks = append(s.Marks, w.Owner)
		}
		if w.OwnerID != "" && w.OwnerID == d.PersonID {
			s.Answer = AnswerOwn
			continue
		}
		answer, q := answerFor(w, questions, now)
		var given Standing
		switch {
		case q != nil && q.AnswererID != w.OwnerID:
			given.By = q.Answerer
		case q == nil:
			// What was answered before the deployment began stays so.
			if given = stood[w.ID]; given.Works != nil {
				answer = given.Answer
			}
		}
		if q != nil && answer == AnswerWait {
			given.Until, given.Why = q.Until, q.Why
		}
		switch {
		case weight[answer] > weight[s.Answer]:
			s.Answer, s.By, s.Until, s.Why = answer, given.By, given.Until, given.Why
		case answer == s.Answer && given.By != "" && !strings.Contains(s.By, given.By):
			s.By += ", " + given.By
		}
	}
	for _, s := range before {
		if _, there := at[s.OwnerID]; there {
			continue
		}
		s.Works = slices.DeleteFunc(slices.Clone(s.Works), func(w Work) bool {
			return d.leavesOut(w.Check) || slices.ContainsFunc(works, func(now Work) bool { return now.ID == w.ID }) // another's since
		})
		if len(s.Works) == 0 {
			continue
		}
		for i := range s.Works {
			if s.Works[i].Ended.IsZero() {
				s.Works[i].Ended = now
			}
		}
		s.Answer, s.By, s.Until, s.Why = AnswerEnded, "", time.Time{}, ""
		d.Standing = append(d.Standing, s)
	}
	return d
}

// weight says which answer counts for an owner who has given several.
var weight = map[Answer]int{AnswerEnded: 0, AnswerOwn: 1, AnswerAgreed: 2, AnswerNone: 3, AnswerUnasked: 4, AnswerWait: 5}

// answerFor returns what was answered for the work: the latest answer that
// stands, else whether it was asked about.
func answerFor(w Work, questions []Question, now time.Time) (Answer, *Question) {
	answer, of := AnswerUnasked, (*Question)(nil)
	for i := range questions {
		q := &questions[i]
		if !q.asksAbout(w) || q.Answer == AnswerWait && !q.Until.After(now) {
			continue
		}
		if of == nil || q.Answered.After(of.Answered) {
			answer, of = q.Answer, q
		}
	}
	return answer, of
}

// asksAbout reports whether the question is about the work, and of what it took
// to have ended only about what has.
func (q *Question) asksAbout(work Work) bool {
	return slices.ContainsFunc(q.Works, func(w Work) bool {
		return w.ID == work.ID && (w.Ended.IsZero() || !work.Ended.IsZero())
	})
}

// Blocked reports whether anybody whose work it would interrupt has not agreed
// to that.
func (d Deployment) Blocked() bool {
	return slices.ContainsFunc(d.Standing, func(s Standing) bool { return weight[s.Answer] > weight[AnswerAgreed] })
}

// state is what the answers come to: "" while some are to come in.
func (d Deployment) state() ConsentNews {
	switch {
	case !d.Blocked():
		return ConsentGiven
	case d.count(AnswerWait) > 0:
		return ConsentRefused
	case d.count(AnswerUnasked) > 0:
		return ConsentLapsed
	}
	return ""
}

func (d Deployment) count(a Answer) (n int) {
	for _, s := range d.Standing {
		if s.Answer == a {
			n++
		}
	}
	return n
}

// consent says for the history who agreed to what the deployment interrupts.
func (d Deployment) consent(zone *time.Location) string {
	var said []string
	anyone := false
	for _, s := range d.Standing {
		who := s.Name
		if s.OwnerID == "" {
			who = "somebody unknown"
			if len(s.Marks) > 0 {
				who = strings.Join(s.Marks, ", ")
			}
		}
		switch s.Answer {
		case AnswerAgreed:
			if s.By != "" {
				who = s.By + " agreed for " + who
			} else {
				who += " agreed"
			}
		case AnswerWait:
			who += " asked to wait until " + s.Until.In(zone).Format("2006-01-02 15:04")
		case AnswerNone:
			who += " was asked and had not answered"
		case AnswerUnasked:
			who += " was not asked"
		default:
			continue
		}
		anyone = true
		said = append(said, who)
	}
	if d.Blocked() {
		said = append([]string{"taken without consent"}, said...)
	}
	if !anyone && len(d.Unknown) == 0 {
		said = append(said, "nothing would be interrupted")
	}
	if len(d.Unknown) > 0 {
		said = append(said, "not everything could be checked")
	}
	if d.WithoutPostgres {
		said = append(said, "PostgreSQL not restarted")
	}
	return CleanLine(strings.Join(said, "; "), 500)
}

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

// running has the IDs of everything that the report found.
func running(r BusyReport) map[string]bool {
	ids := map[string]bool{}
	for _, c := range r.Checks {
		for _, f := range c.Findings {
			ids[workOf(c.Check, f, r.At).ID] = true
		}
	}
	return ids
}

// seen are the IDs of what a deployment would interrupt by the report.
func seen(r BusyReport) []string {
	var ids []string
	for _, w := range blocking(r, false) {
		ids = append(ids, w.ID)
	}
	return ids
}

// decideAnswer decides KindAgree and KindAskToWait.
func decideAnswer(s situation) decision {
	ref := MatterRef{MatterQuestion, s.command.Subject}
	i := slices.IndexFunc(s.record.Matters.Questions, func(q Question) bool { return q.ID == s.command.Subject })
	if i < 0 {
		return decision{step: stepAnswer, outcome: OutcomeEnded, matter: ref}
	}
	q := s.record.Matters.Questions[i]
	toAnyone := slices.ContainsFunc(q.Asked, func(to string) bool { return !strings.HasPrefix(to, ToPerson("")) })
	if !toAnyone && !slices.Contains(q.Asked, ToPerson(s.command.PersonID)) {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "That question is for somebody else."}
	}
	q.Answer, q.Until, q.Why = AnswerAgreed, time.Time{}, ""
	if s.command.Kind == KindAskToWait {
		if !s.command.Until.After(s.now) {
			return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "The time that you gave has passed already."}
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

// concerns reports whether the question is about what blocks the deployment.
func (d Deployment) concerns(q Question) bool {
	return slices.ContainsFunc(d.Standing, func(s Standing) bool {
		return slices.ContainsFunc(s.Works, func(w Work) bool { return w.Ended.IsZero() && q.asksAbout(w) })
	})
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

// watchFor is how long the bot looks for somebody who wants to be told when
// Kingfisher is idle: a working day.
const watchFor = 9 * time.Hour

// decideWatch decides KindWatch and KindUnwatch. A person has at most one.
func decideWatch(s situation) decision {
	var d decision
	for _, w := range s.record.Matters.Watches {
		if w.PersonID == s.command.PersonID {
			w.Ended, w.Result = s.now, WatchStopped
			d.put, d.matter = append(d.put, &w), w.Ref()
		}
	}
	d.step, d.outcome = stepAnswer, OutcomeUnwatched
	if s.command.Kind == KindWatch {
		w := Watch{ID: s.command.ID, PersonID: s.command.PersonID, Free: s.command.Subject == WatchFree, At: s.now, Until: s.now.Add(watchFor)}
		if dep := s.deployment; dep.ID == s.command.Subject && dep.ID != "" {
			w.Free, w.WithoutPostgres, w.Deployment = dep.Takes && dep.Holding == "", dep.WithoutPostgres, dep.ID
		}
		d.put, d.matter, d.outcome = append(d.put, &w), w.Ref(), OutcomeWatching
	}
	return d
}

// decidePrefer decides KindPrefer.
func decidePrefer(s situation) decision {
	p := Preference{PersonID: s.command.PersonID, Direct: s.command.Subject == RemindDirectly}
	return decision{step: stepAnswer, outcome: OutcomePreferred, matter: p.Ref(), put: []Matter{&p}}
}
