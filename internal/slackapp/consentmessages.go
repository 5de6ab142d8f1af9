package slackapp

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// What a message of a deployment takes for its lists, in characters: the
// findings of each check where a report is one part of it, what runs, who has
// answered what, and why there may be more.
const (
	maxPartFindings  = 1400
	maxWorks         = 5500
	maxStandings     = 6000
	maxPartStandings = 2600
	maxUnknown       = 1200
	maxReason        = 250 // of one of these
)

// forKingfisher says what a holding is for.
func forKingfisher(d deploytoken.Deployment) line {
	if d.WithoutPostgres {
		return line{words("It is for a deployment to Kingfisher that doesn't restart PostgreSQL.")}
	}
	return line{words("It is for a deployment to Kingfisher.")}
}

// kingfisherFirst is how people begin what a deployment to Kingfisher is for.
var kingfisherFirst = regexp.MustCompile(`(?i)^kingfisher\s*(?:[:,;–—-]\s*|$)`)

// aimOf is what a deployment to Kingfisher is for, to end a line that names
// Kingfisher.
func aimOf(purpose string) line { return ending(kingfisherFirst.ReplaceAllString(purpose, "")) }

// found is what was found that bears on the deployment.
func found(d *deploytoken.Deployment) deploytoken.BusyReport {
	r := d.Report
	if d.WithoutPostgres {
		r.Checks = slices.DeleteFunc(slices.Clone(r.Checks), func(c deploytoken.CheckResult) bool { return c.Check == deploytoken.CheckPostgres })
	}
	return r
}

// partial reports whether there may be more than was found.
func partial(r deploytoken.BusyReport) bool {
	return len(r.Checks) == 0 || slices.ContainsFunc(r.Checks, func(c deploytoken.CheckResult) bool {
		return c.Partial || c.State == deploytoken.Unknown
	})
}

// unknowns says why there may be more than was found.
func unknowns(d *deploytoken.Deployment) []line {
	if len(d.Unknown) == 0 {
		return nil
	}
	var reasons []line
	for _, reason := range d.Unknown {
		reasons = append(reasons, prose(deploytoken.CleanLine(reason, maxReason)))
	}
	kept, more := fit(reasons, maxUnknown, line.size)
	lines := append([]line{{words("I couldn't look at everything, so there may be more:")}}, kept...)
	if more > 0 {
		lines = append(lines, line{words("and " + count(more, "more reason", "more reasons") + ".")})
	}
	return lines
}

// settled reports whether an owner's standing doesn't keep the deployment from
// going ahead.
func settled(s deploytoken.Standing) bool {
	switch s.Answer {
	case deploytoken.AnswerAgreed, deploytoken.AnswerEnded, deploytoken.AnswerOwn:
		return true
	}
	return false
}

// standings says who has answered what, in at most limit characters.
func standings(d *deploytoken.Deployment, limit int) []line {
	kept, more := fit(d.Standing, limit, func(s deploytoken.Standing) int { return standing(s).size() })
	var lines []line
	for _, s := range kept {
		lines = append(lines, standing(s))
	}
	if more == 0 {
		return lines
	}
	rest, open := "and "+count(more, "more", "more"), 0
	for _, s := range d.Standing[len(kept):] {
		if !settled(s) {
			open++
		}
	}
	if open > 0 {
		rest += fmt.Sprintf(", of whom %d did not agree so far", open)
	}
	return append(lines, line{words(rest)})
}

// ownersName names the owner of a standing.
func ownersName(s deploytoken.Standing) line {
	marks := deploytoken.CleanLine(strings.Join(s.Marks, ", "), maxWhere)
	switch {
	case s.Name != "":
		return line{named(s.Name)}
	case s.OwnerID == "" && marks != "":
		return line{strong("Owner unknown"), words(" ("), phrase(marks), words(")")}
	case s.OwnerID == "":
		return line{strong("Owner unknown")}
	}
	return line{strong(orElse(marks, s.OwnerID))}
}

// standing says what one owner has answered.
func standing(s deploytoken.Standing) line {
	l := append(ownersName(s), words(", "+count(len(s.Works), "thing", "things")+": "))
	by := line{}
	if s.By != "" {
		by = line{words(", says "), named(s.By)}
	}
	switch s.Answer {
	case deploytoken.AnswerUnasked:
		return append(l, words("not asked yet"))
	case deploytoken.AnswerAgreed:
		return join(l, line{words("go ahead")}, by)
	case deploytoken.AnswerWait:
		l = join(l, line{strong("please wait")}, until(s.Until), by)
		if why := deploytoken.CleanLine(s.Why, maxNote); why != "" {
			l = append(l, words(": "), phrase(why))
		}
		return l
	case deploytoken.AnswerEnded:
		return append(l, words("ended by itself"))
	case deploytoken.AnswerOwn:
		return append(l, words("yours"))
	}
	return append(l, words("no answer yet"))
}

// until is " until …", where a time is known.
func until(t time.Time) line {
	if t.IsZero() {
		return nil
	}
	return line{words(" until "), moment(t)}
}

// workLine tells of something that runs: whose it is, if owner isn't nil, and
// the rest of what is known, or, where others see it, only its kind and age.
func workLine(w deploytoken.Work, owner line, public bool, now time.Time) line {
	what, where := deploytoken.CleanLine(w.What, maxWhat), deploytoken.CleanLine(w.Where, maxWhere)
	var parts []line
	if owner != nil {
		parts = append(parts, owner)
	}
	if what != "" && !public {
		parts = append(parts, line{code(what)})
	}
	parts = append(parts, line{words(orElse(checkTitles[w.Check], w.Check))})
	if where != "" && !public {
		parts = append(parts, line{phrase(where)})
	}
	switch since := w.Since; {
	case !w.Ended.IsZero():
		parts = append(parts, line{words("ended since")})
	case !since.IsZero():
		parts = append(parts, line{words("for " + age(max(0, now.Sub(since))))})
	}
	var l line
	for i, part := range parts {
		if i > 0 {
			l = append(l, words(", "))
		}
		l = append(l, part...)
	}
	if note := deploytoken.CleanLine(w.Note, maxNote); note != "" && !public {
		l = append(l, words("; "))
		l = append(l, prose(note)...)
	}
	return l
}

// workList tells of what runs. Owner names the owner of each; nil for those that
// are all the reader's.
func workList(works []deploytoken.Work, owner func(deploytoken.Work) line, public bool, now time.Time) []line {
	tell := func(w deploytoken.Work) line {
		var whose line
		if owner != nil {
			whose = owner(w)
		}
		return workLine(w, whose, public, now)
	}
	kept, more := fit(works, maxWorks, func(w deploytoken.Work) int { return tell(w).size() })
	var lines []line
	for _, w := range kept {
		lines = append(lines, tell(w))
	}
	if more > 0 {
		lines = append(lines, line{words("and " + count(more, "more", "more"))})
	}
	return lines
}

// markOf names the owner of what runs by their mark on the server.
func markOf(w deploytoken.Work) line {
	if mark := deploytoken.CleanLine(w.Owner, maxOwner); mark != "" {
		return line{strong(mark)}
	}
	return line{words("owner unknown")}
}

// looking tells the asker that the busy checks are being made.
func (d teller) looking() Message {
	if d.kind() == deploytoken.KindConsent {
		return say(line{words("Looking at what runs on Kingfisher, to see whom to ask …")})
	}
	return say(line{words("Looking at what runs on Kingfisher before I take the deploy token for you …")})
}

// consentAnswer answers what was asked for a deployment to Kingfisher. It
// returns false where the answer is about something else.
func (d teller) consentAnswer() ([]group, []button, bool) {
	dep := matterOf[deploytoken.Deployment](d)
	switch d.Notice.Outcome {
	case deploytoken.OutcomeBusy:
		groups, buttons := d.busy(dep)
		return groups, buttons, true
	case deploytoken.OutcomeConsentAsked:
		if dep == nil {
			return []group{{lines: []line{{words("I have asked the owners of what runs on Kingfisher.")}}}}, nil, true
		}
		g := group{lines: []line{{words("I have asked the owners of what your deployment to Kingfisher would interrupt:")}}, bullets: standings(dep, maxStandings)}
		after := append(unknowns(dep), line{words("Their answers come in to you in a direct message. I'll tell you when all have agreed, or when somebody asks you to wait.")})
		return []group{g, {lines: after}}, nil, true
	case deploytoken.OutcomeNothingRuns:
		groups, buttons := d.nothingRuns(dep)
		return groups, buttons, true
	}
	return nil, nil, false
}

// busy tells the asker why the token wasn't taken for a deployment yet, and what
// they can do.
func (d teller) busy(dep *deploytoken.Deployment) ([]group, []button) {
	if dep == nil {
		return []group{{lines: []line{
			{words("A deployment would interrupt, or might, what runs on Kingfisher, so I haven't taken the deploy token yet.")},
			{words("Look with "), code("/kingfisher busy"), words(", then try again.")},
		}}}, nil
	}
	r := found(dep)
	head := []line{busyHeadline(r, nil)}
	if r.State() == deploytoken.Busy && partial(r) {
		head = append(head, line{words("There may be more, as I couldn't look at everything.")})
	}
	head = append(head, line{words("I haven't taken the deploy token yet.")})
	groups := []group{{lines: head}}
	for _, check := range checkOrder(r, nil) {
		groups = append(groups, checkGroup(r, check, dep.PersonID, maxPartFindings))
	}
	answered := slices.ContainsFunc(dep.Standing, func(s deploytoken.Standing) bool {
		return s.Answer != deploytoken.AnswerUnasked && s.Answer != deploytoken.AnswerOwn
	})
	if answered {
		groups = append(groups, group{lines: []line{{words("This is what the owners have said so far:")}}, bullets: standings(dep, maxPartStandings)})
	}

	var buttons []button
	var can []string
	unasked := slices.ContainsFunc(dep.Standing, func(s deploytoken.Standing) bool { return s.Answer == deploytoken.AnswerUnasked })
	if unasked || len(dep.Standing) == 0 && r.State() == deploytoken.Busy {
		if answered {
			buttons = append(buttons, consentAgainButton(dep.ID))
		} else {
			buttons = append(buttons, consentButton(dep.ID))
		}
		can = append(can, "ask the owners for their consent")
	}
	buttons = append(buttons, watchButton(dep.ID))
	can = append(can, "have me tell you when it is idle")
	if !dep.WithoutPostgres && slices.ContainsFunc(r.Checks, func(c deploytoken.CheckResult) bool {
		return c.Check == deploytoken.CheckPostgres && c.State != deploytoken.Idle
	}) {
		buttons = append(buttons, withoutPostgresButton(dep.ID))
		can = append(can, "leave PostgreSQL out, if your deployment doesn't restart it")
	}
	buttons = append(buttons, takeAnywayButton(dep.ID))
	anyway := " If you take the token anyway, every owner is told at once, and the Deploy history says that you took it without consent, and what each of them had answered."
	if len(dep.Standing) == 0 && r.State() == deploytoken.Unknown {
		anyway = " If you take the token anyway, the Deploy history says so."
	}
	last := []line{{words("You can " + either(can) + "." + anyway)}}
	if d.overrideURL != "" {
		last = append(last, override(d.overrideURL))
	}
	if looked := lookedAt(r); looked != nil {
		last = append(last, looked)
	}
	return append(groups, group{lines: last}), buttons
}

// either joins what there is to choose from.
func either(choices []string) string {
	if n := len(choices) - 1; n > 0 {
		return strings.Join(choices[:n], ", ") + ", or " + choices[n]
	}
	return strings.Join(choices, "")
}

// nothingRuns tells the asker that there is nobody to ask.
func (d teller) nothingRuns(dep *deploytoken.Deployment) ([]group, []button) {
	lines := []line{{words("Nothing runs on Kingfisher that a deployment would interrupt, so there is nobody to ask.")}}
	if dep == nil {
		return []group{{lines: lines}}, nil
	}
	r := found(dep)
	switch {
	case partial(r):
		lines = []line{{words("I found nobody to ask, but I couldn't look at everything, so I can't tell that Kingfisher is idle.")}}
		var groups []group
		for _, check := range checkOrder(r, nil) {
			groups = append(groups, checkGroup(r, check, dep.PersonID, maxPartFindings))
		}
		return append([]group{{lines: lines}}, groups...), []button{watchButton(dep.ID)}
	case slices.ContainsFunc(dep.Standing, func(s deploytoken.Standing) bool { return s.Answer == deploytoken.AnswerAgreed }):
		lines = []line{{words("All whose work a deployment to Kingfisher would interrupt have agreed to that, so there is nobody left to ask.")}}
	case r.State() == deploytoken.Busy:
		lines = []line{{words("All that a deployment to Kingfisher would interrupt is yours, so there is nobody to ask.")}}
	}
	if looked := lookedAt(r); looked != nil {
		lines = append(lines, looked)
	}
	if dep.Holding != "" {
		return []group{{lines: lines}}, nil
	}
	return []group{{lines: lines}}, []button{takeButton(dep.ID)}
}

// question asks for consent, or says what has become of the question. The
// channel sees whose what runs is, of which kind, and its age; those who are
// asked in person all of it.
func (d teller) question() (Message, bool) {
	q := matterOf[deploytoken.Question](d)
	if q == nil || !q.Settled.IsZero() && d.Notice.Edits == "" {
		return Message{}, false
	}
	reader := d.reader()
	own := reader != "" && reader == q.OwnerID
	wants, about := " wants to deploy to Kingfisher", "That would interrupt this, and I don't know whom to ask about it:"
	if own {
		about = "That would interrupt what you run there:"
	}
	if !q.Settled.IsZero() {
		wants, about = " wanted to deploy to Kingfisher", "This was about:"
	}
	g := group{lines: []line{append(line{named(q.By), words(wants)}, aimOf(q.Purpose)...), {words(about)}}}
	if own {
		g.bullets = workList(q.Works, nil, false, d.At)
	} else {
		g.bullets = workList(q.Works, markOf, reader == "", d.At)
	}
	said := d.said(q)
	if !q.Settled.IsZero() {
		return compose([]group{g, {lines: append(said, questionOver(q))}}, nil), true
	}
	switch q.Answer {
	case deploytoken.AnswerAgreed:
		said = append(said, line{words("To take that back, press "), strong("Please wait"), words(".")})
		return compose([]group{g, {lines: said}}, []button{askToWaitButton(q.ID)}), true
	case deploytoken.AnswerWait:
		said = append(said, line{words("If they need not wait any more, press "), strong("Go ahead"), words(".")})
		return compose([]group{g, {lines: said}}, []button{agreeButton(q.ID)}), true
	}
	ask := []line{{words("Press "), strong("Go ahead"), words(" if that is all right, or "), strong("Please wait"), words(" to say until when, and why.")}}
	switch {
	case own:
		ask = append(ask, line{words("Your answer counts until these have ended, also for somebody else who deploys.")})
	case reader != "":
		ask[0] = line{words("If you can decide that, press "), strong("Go ahead"), words(", or "), strong("Please wait"), words(" to say until when, and why.")}
	default:
		ask[0] = line{words("If one of these is yours, press "), strong("Go ahead"), words(", or "), strong("Please wait"), words(" to say until when, and why. To see more of them, type "), code("/kingfisher busy"), words(".")}
	}
	return compose([]group{g, {lines: ask}}, []button{agreeButton(q.ID), askToWaitButton(q.ID)}), true
}

// said tells which answer was given to the question, and by whom.
func (d teller) said(q *deploytoken.Question) []line {
	who, has := named(q.Answerer), " has"
	if q.AnswererID != "" && q.AnswererID == d.reader() {
		who, has = words("You"), " have"
	}
	switch q.Answer {
	case deploytoken.AnswerAgreed:
		l := line{who, words(has + " said that "), named(q.By), words(" may go ahead")}
		if !q.Answered.IsZero() {
			l = append(l, words(" ("), moment(q.Answered), words(")"))
		}
		return []line{append(l, words("."))}
	case deploytoken.AnswerWait:
		why := q.Why
		if d.reader() == "" {
			why = "" // it may say more of what runs than the channel is to see
		}
		return []line{join(line{who, words(has + " asked "), named(q.By), words(" to wait")}, until(q.Until), ending(why))}
	}
	return nil
}

// questionOver says why nobody needs an answer any more.
func questionOver(q *deploytoken.Question) line {
	left := slices.ContainsFunc(q.Works, func(w deploytoken.Work) bool { return w.Ended.IsZero() })
	switch {
	case !left && len(q.Works) > 0:
		return line{words("All of it has ended by itself, so there is nothing to answer any more.")}
	case q.Answer == deploytoken.AnswerWait && !q.Until.IsZero() && !q.Until.After(q.Settled):
		return line{words("That time has passed.")}
	}
	return line{words("This is over since "), moment(q.Settled), words(", and needs no answer any more.")}
}

// aim names a deployment of the reader's.
func aim(dep *deploytoken.Deployment) line {
	l := append(line{strong("Your deployment to Kingfisher")}, aimOf(dep.Purpose)...)
	if dep.WithoutPostgres {
		l = append(l, words(" (without a restart of PostgreSQL)"))
	}
	return l
}

// consent tells a deployer who has answered what.
func (d teller) consent() (Message, bool) {
	dep := matterOf[deploytoken.Deployment](d)
	if dep == nil || !dep.Ended.IsZero() && d.Notice.Edits == "" {
		return Message{}, false
	}
	open, waits := 0, 0
	for _, s := range dep.Standing {
		if !settled(s) {
			open++
		}
		if s.Answer == deploytoken.AnswerWait {
			waits++
		}
	}
	lines := []line{aim(dep)}
	var buttons []button
	handedOver := d.Notice.PersonID != "" && d.Notice.PersonID != dep.PersonID
	switch {
	case handedOver:
		lines = append(lines, line{words("It goes on with "), named(dep.Name), words(", who has taken the deploy token over. This is what the owners had answered:")})
	case !dep.Ended.IsZero():
		lines = append(lines, line{words("It is over. This is what the owners had answered:")})
	case waits > 0:
		lines = append(lines, line{words("You are asked to wait:")})
	case open > 0:
		lines = append(lines, line{words("I have asked the owners of what it would interrupt. This is what they have answered so far:")})
	case len(dep.Unknown) > 0:
		lines = append(lines, line{words("All whom I could ask have agreed, or what they ran has ended:")})
	default:
		lines = append(lines, line{words("Nothing stands in your way: all have agreed, or what they ran has ended.")})
		if dep.Holding == "" {
			buttons = []button{takeButton(dep.ID)}
		}
	}
	groups := []group{{lines: lines, bullets: standings(dep, maxStandings)}}
	var last []line
	if dep.Ended.IsZero() && !handedOver {
		last = unknowns(dep)
		if open > 0 && waits == 0 && dep.Holding == "" {
			last = append(last, line{words("If you can't wait for them, type "), code("/deploy-token take"), words(" and what it is for: you can then take the token anyway.")})
		}
		if dep.Holding != "" {
			last = append(last, line{words("You have taken the deploy token for it.")})
		}
	}
	if len(last) > 0 {
		groups = append(groups, group{lines: last})
	}
	return compose(groups, buttons), true
}

// consentNews tells a deployer what has come of asking.
func (d teller) consentNews() (Message, bool) {
	dep := matterOf[deploytoken.Deployment](d)
	if dep == nil || !dep.Ended.IsZero() {
		return Message{}, false
	}
	lines := []line{aim(dep)}
	var who []line
	var buttons []button
	switch dep.News {
	case deploytoken.ConsentGiven:
		given := "Nothing stands in your way any more: all have agreed, or what they ran has ended."
		if len(dep.Unknown) > 0 {
			given = "All whom I could ask have agreed, or what they ran has ended."
		}
		if dep.Holding == "" {
			given += " When you take the token, I look once more."
			buttons = []button{takeButton(dep.ID)}
		}
		lines = append(append(lines, line{words(given)}), unknowns(dep)...)
	case deploytoken.ConsentRefused:
		who = whose(dep, deploytoken.AnswerWait)
		lines = append(lines, line{words("You are asked to wait:")})
		buttons = []button{watchButton(dep.ID)}
		if dep.Holding == "" {
			buttons = append(buttons, takeAnywayButton(dep.ID))
		}
	case deploytoken.ConsentLapsed:
		who = whose(dep, deploytoken.AnswerUnasked)
		lines = append(lines, line{words("There is somebody to ask again: the time that they asked you to wait for has passed, or something new runs.")})
		buttons = []button{consentAgainButton(dep.ID)}
	default:
		return Message{}, false
	}
	return compose([]group{{lines: lines, bullets: who}}, buttons), true
}

// whose are the standings with that answer.
func whose(dep *deploytoken.Deployment, a deploytoken.Answer) []line {
	some := *dep
	some.Standing = slices.DeleteFunc(slices.Clone(dep.Standing), func(s deploytoken.Standing) bool { return s.Answer != a })
	return standings(&some, maxStandings)
}

// deploying tells the owner of what runs that a deployment is under way that
// would interrupt it, or those who may know the owner. The channel sees whose it
// is, of which kind, and its age.
func (d teller) deploying() (Message, bool) {
	dep := matterOf[deploytoken.Deployment](d)
	if dep == nil || !dep.Ended.IsZero() {
		return Message{}, false
	}
	reader, works, began := d.reader(), d.Notice.Works, dep.At
	if d.Holding != nil {
		began = d.Holding.Since
	}
	own := reader != "" && !slices.ContainsFunc(works, func(w deploytoken.Work) bool { return w.OwnerID != reader })
	since := len(works) > 0 && !slices.ContainsFunc(works, func(w deploytoken.Work) bool { return !w.Since.After(began) })
	owner := ""
	if own {
		owner = reader
	}
	i := slices.IndexFunc(dep.Standing, func(s deploytoken.Standing) bool { return s.OwnerID == owner })
	agreed := !since && i >= 0 && settled(dep.Standing[i])
	consent := map[bool]string{true: " without waiting for your consent", false: " without waiting for consent"}[own]
	if since || agreed || i < 0 {
		consent = ""
	}
	first := join(line{named(dep.Name), words(" is deploying to Kingfisher" + consent)}, d.when(), aimOf(dep.Purpose))

	var second, last line
	var bullets []line
	switch {
	case own && since:
		second = line{words("You have started something there meanwhile, which it may interrupt:")}
	case own && agreed:
		second = line{words("You have agreed that it interrupts what you run there:")}
	case own:
		second = line{words("It may interrupt what you run there:")}
	case since:
		second = line{words("This was started there meanwhile. It may be interrupted, and I don't know whose it is:")}
	case agreed:
		second = line{words("As agreed, it interrupts this, of which I don't know whose it is:")}
	default:
		second = line{words("It may interrupt this, and I don't know whose it is:")}
	}
	switch {
	case len(works) == 0:
		second = line{words("It may interrupt what runs there.")}
	case own:
		bullets = workList(works, nil, false, d.At)
	default:
		bullets = workList(works, markOf, reader == "", d.At)
	}
	switch {
	case own && !agreed:
		last = line{words("If that is a problem, talk to "), named(dep.Name), words(" now.")}
	case !agreed:
		last = line{words("If one of these is yours, and that is a problem, talk to "), named(dep.Name), words(" now.")}
	}
	if reader != "" && len(last) > 0 {
		last = append(last, words(" "))
	}
	if reader != "" {
		last = append(last, words("I'll tell you when it is over."))
	}
	groups := []group{{lines: []line{first, second}, bullets: bullets}}
	if len(last) > 0 {
		groups = append(groups, group{lines: []line{last}})
	}
	return compose(groups, nil), true
}

// deployed tells a person who was asked or told of a deployment that it is over.
func (d teller) deployed() (Message, bool) {
	dep := matterOf[deploytoken.Deployment](d)
	if dep == nil {
		return Message{}, false
	}
	first := join(line{named(dep.Name), words("'s deployment to Kingfisher is over")}, d.when(), aimOf(dep.Purpose))
	lines := []line{first}
	if h := d.Holding; h != nil && h.Summary != "" {
		lines = append(lines, line{words("What was done: "), phrase(h.Summary)})
	}
	return say(append(lines, line{words("You can start again what it has interrupted.")})...), true
}

// newWork tells the holder what was started on Kingfisher meanwhile.
func (d teller) newWork() (Message, bool) {
	h := d.Holding
	if !h.Open() || len(d.Notice.Works) == 0 {
		return Message{}, false
	}
	who := func(w deploytoken.Work) line {
		return ownerOf(deploytoken.Finding{Owner: w.Owner, OwnerID: w.OwnerID}, h.PersonID)
	}
	return compose([]group{
		{
			lines:   []line{{words("You hold the deploy token for Kingfisher, and this was started there meanwhile:")}},
			bullets: workList(d.Notice.Works, who, false, d.At),
		},
		{lines: []line{{words("I tell those whom I know that a deployment is under way. If you haven't begun yet, look again with "), code("/kingfisher busy"), words(".")}}},
	}, nil), true
}

// answeredQuestion tells whoever was asked that their answer is recorded.
func (d teller) answeredQuestion() []line {
	q := matterOf[deploytoken.Question](d)
	if q == nil {
		return []line{{words("Thank you. Your answer is recorded, and whoever wants to deploy is told.")}}
	}
	if q.Answer == deploytoken.AnswerWait {
		return []line{
			join(line{words("Thank you. "), named(q.By), words(" is told that you ask them to wait")}, until(q.Until), ending(q.Why)),
			{words("If they can go ahead earlier, press "), strong("Go ahead"), words(" where I asked you.")},
		}
	}
	return []line{{words("Thank you. "), named(q.By), words(" is told that they may go ahead.")}}
}

// consentPast says in the past tense what came of asking for a deployment.
func (d teller) consentPast() line {
	dep := matterOf[deploytoken.Deployment](d)
	switch d.Notice.Outcome {
	case deploytoken.OutcomeBusy:
		if dep != nil && found(dep).State() == deploytoken.Unknown {
			return line{words("I couldn't tell whether Kingfisher was busy, so I didn't take it.")}
		}
		return line{words("Kingfisher was busy, so I didn't take it.")}
	case deploytoken.OutcomeConsentAsked:
		return line{words("The owners were asked.")}
	case deploytoken.OutcomeNothingRuns:
		if dep != nil && partial(found(dep)) {
			return line{words("I found nobody to ask, but couldn't look at everything.")}
		}
		return line{words("There was nobody to ask.")}
	}
	return line{words("Your answer was recorded.")}
}
