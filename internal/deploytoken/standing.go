package deploytoken

import (
	"cmp"
	"maps"
	"slices"
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

// asks reports whether the person was asked by a message of their own.
func (q *Question) asks(person string) bool { return slices.Contains(q.Asked, ToPerson(person)) }

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

// concerns reports whether the question is about what blocks the deployment.
func (d Deployment) concerns(q Question) bool {
	return slices.ContainsFunc(d.Standing, func(s Standing) bool {
		return slices.ContainsFunc(s.Works, func(w Work) bool { return w.Ended.IsZero() && q.asksAbout(w) })
	})
}

// gone reports whether the work has ended by the report: it is not there any
// more, and its check was made in full.
func gone(w Work, r BusyReport, running map[string]bool) bool {
	return !running[w.ID] && slices.ContainsFunc(r.Checks, func(c CheckResult) bool {
		return c.Check == w.Check && (c.State == Idle || c.State == Busy) && !c.Partial
	})
}

// outlived takes in what has ended of what stood in the way of a deployment that
// is under way.
func (d Deployment) outlived(r BusyReport, running map[string]bool, now time.Time) Deployment {
	d.Standing = slices.Clone(d.Standing)
	for i := range d.Standing {
		s := &d.Standing[i]
		s.Works = slices.Clone(s.Works)
		for j := range s.Works {
			if w := &s.Works[j]; w.Ended.IsZero() && gone(*w, r, running) {
				w.Ended = now
			}
		}
	}
	return d
}

// standsDifferently reports whether there is something new to tell of the
// standings.
func standsDifferently(a, b Deployment) bool {
	return !slices.EqualFunc(a.Standing, b.Standing, func(a, b Standing) bool {
		return a.OwnerID == b.OwnerID && a.Answer == b.Answer && a.Until.Equal(b.Until) && a.Why == b.Why &&
			slices.EqualFunc(a.Works, b.Works, func(a, b Work) bool { return a.ID == b.ID && a.Ended.IsZero() == b.Ended.IsZero() })
	}) || !slices.Equal(a.Unknown, b.Unknown)
}
