package slackapp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// The people's matters, as they are at noon.

func waiter(changes ...func(*deploytoken.Waiter)) *deploytoken.Waiter {
	w := &deploytoken.Waiter{ID: "w1", PersonID: "U0BOB", Name: "Bob Brown", Purpose: "renew certificates", Since: ago(30 * time.Minute), Turns: 1}
	for _, change := range changes {
		change(w)
	}
	return w
}

func hasTurn(w *deploytoken.Waiter) { w.Turn = noon.Add(10 * time.Minute) }
func alices(w *deploytoken.Waiter) {
	w.ID, w.PersonID, w.Name, w.Purpose = "w2", "U0ALICE", "Alice Ng", ""
}
func left(why deploytoken.WaiterLeft) func(*deploytoken.Waiter) {
	return func(w *deploytoken.Waiter) { w.Turn, w.Left, w.Why = time.Time{}, ago(time.Minute), why }
}

func offer(result deploytoken.OfferResult) *deploytoken.Offer {
	o := &deploytoken.Offer{ID: "o1", Holding: "h1", FromID: "U0ALICE", From: "Alice Ng", ToID: "U0BOB", To: "Bob Brown", At: ago(5 * time.Minute)}
	if o.Result = result; result != "" {
		o.Ended = ago(time.Minute)
	}
	return o
}

func works() []deploytoken.Work {
	return []deploytoken.Work{
		{ID: "f1", Check: deploytoken.CheckScrapyd, Owner: "bb", OwnerID: "U0BOB", What: "chile_compra", Where: "project kingfisher", Note: "see https://colab.research.google.com/drive/1", Since: ago(26 * time.Hour)},
		{ID: "f2", Check: deploytoken.CheckTmux, Owner: "bb", OwnerID: "U0BOB", What: "./manage.py load --note 'by <bb> & co'", Where: "session bb_load, user ocdskfp", Since: ago(2 * time.Hour)},
	}
}

func stray() deploytoken.Work {
	return deploytoken.Work{ID: "f3", Check: deploytoken.CheckPostgres, Owner: "10.0.0.9", What: "SELECT secret FROM suppliers", Where: "database kingfisher, from 10.0.0.9", Since: ago(90 * time.Minute)}
}

func deployment(changes ...func(*deploytoken.Deployment)) *deploytoken.Deployment {
	d := &deploytoken.Deployment{
		ID: "d1", PersonID: "U0ALICE", Name: "Alice Ng", Purpose: "kingfisher: upgrade PostgreSQL", At: ago(20 * time.Minute), Takes: true,
		Report: report(
			deploytoken.CheckResult{Check: deploytoken.CheckScrapyd, State: deploytoken.Idle},
			deploytoken.CheckResult{Check: deploytoken.CheckTmux, State: deploytoken.Busy, Findings: findings()},
			deploytoken.CheckResult{Check: deploytoken.CheckPostgres, State: deploytoken.Busy, Findings: []deploytoken.Finding{
				{Owner: "10.0.0.9", What: "SELECT secret FROM suppliers", Where: "database kingfisher, from 10.0.0.9", Age: 90 * time.Minute, Blocks: true},
			}},
		),
		Standing: []deploytoken.Standing{
			{OwnerID: "U0BOB", Name: "Bob Brown", Marks: []string{"bb"}, Works: works(), Answer: deploytoken.AnswerUnasked},
			{Marks: []string{"10.0.0.9"}, Works: []deploytoken.Work{stray()}, Answer: deploytoken.AnswerUnasked},
			{OwnerID: "U0ALICE", Name: "Alice Ng", Marks: []string{"jm"}, Works: works()[:1], Answer: deploytoken.AnswerOwn},
		},
	}
	for _, change := range changes {
		change(d)
	}
	return d
}

// answers sets what the owners have answered, in the order of the standings.
func answers(list ...deploytoken.Answer) func(*deploytoken.Deployment) {
	return func(d *deploytoken.Deployment) {
		for i, a := range list {
			s := &d.Standing[i]
			if s.Answer = a; a == deploytoken.AnswerWait {
				s.Until, s.Why = noon.Add(3*time.Hour), "the load ends then"
			}
			if s.Name == "" && (a == deploytoken.AnswerAgreed || a == deploytoken.AnswerWait) {
				s.By = "Carol Wu"
			}
		}
	}
}

func holds(d *deploytoken.Deployment)           { d.Holding = "h1" }
func over(d *deploytoken.Deployment)            { d.Ended = ago(time.Minute) }
func withoutPostgres(d *deploytoken.Deployment) { d.WithoutPostgres = true }
func news(n deploytoken.ConsentNews) func(*deploytoken.Deployment) {
	return func(d *deploytoken.Deployment) { d.News = n }
}
func unsure(d *deploytoken.Deployment) {
	d.Report.Checks[0] = deploytoken.CheckResult{Check: deploytoken.CheckScrapyd, Reason: "Scrapyd does not answer."}
	d.Unknown = []string{"Scrapyd does not answer."}
}
func onlyUnknown(d *deploytoken.Deployment) {
	unsure(d)
	d.Report.Checks, d.Standing = d.Report.Checks[:1], nil
}
func isIdle(d *deploytoken.Deployment) {
	d.Report.Checks, d.Standing = d.Report.Checks[:1], nil
}

func question(changes ...func(*deploytoken.Question)) *deploytoken.Question {
	q := &deploytoken.Question{
		ID: "q1", OwnerID: "U0BOB", Name: "Bob Brown", Asked: []string{deploytoken.ToPerson("U0BOB")}, Works: works(),
		Deployment: "d1", ByID: "U0ALICE", By: "Alice Ng", Purpose: "kingfisher: upgrade PostgreSQL", At: ago(20 * time.Minute),
	}
	for _, change := range changes {
		change(q)
	}
	return q
}

func nobodys(q *deploytoken.Question) {
	q.OwnerID, q.Name, q.Works = "", "", []deploytoken.Work{stray(), {Check: deploytoken.CheckTmux, What: "top", Where: "session 0, user root"}}
}
func agreed(q *deploytoken.Question) {
	q.Answer, q.AnswererID, q.Answerer, q.Answered = deploytoken.AnswerAgreed, "U0BOB", "Bob Brown", ago(5*time.Minute)
}
func wait(q *deploytoken.Question) {
	agreed(q)
	q.Answer, q.Until, q.Why = deploytoken.AnswerWait, noon.Add(3*time.Hour), "the load ends then"
}
func settledAt(q *deploytoken.Question) { q.Settled = ago(time.Minute) }
func allEnded(q *deploytoken.Question) {
	settledAt(q)
	for i := range q.Works {
		q.Works[i].Ended = ago(2 * time.Minute)
	}
	if q.Answer == deploytoken.AnswerNone {
		q.Answer = deploytoken.AnswerEnded
	}
}

func watch(changes ...func(*deploytoken.Watch)) *deploytoken.Watch {
	w := &deploytoken.Watch{ID: "v1", PersonID: "U0ALICE", At: ago(4 * time.Hour), Until: noon.Add(4 * time.Hour)}
	for _, change := range changes {
		change(w)
	}
	return w
}

func andFree(w *deploytoken.Watch) { w.Free = true }
func lapsed(w *deploytoken.Watch) {
	w.Until, w.Ended, w.Result = ago(time.Minute), ago(time.Minute), deploytoken.WatchLapsed
}
func seen(w *deploytoken.Watch) { w.Ended, w.Result = ago(time.Second), deploytoken.WatchSeen }

// matterOfOutcome is what an answer of that outcome tells of.
func matterOfOutcome(o deploytoken.Outcome) deploytoken.Matter {
	switch o {
	case deploytoken.OutcomeOutOfTurn:
		return waiter(hasTurn)
	case deploytoken.OutcomeWaiting:
		return waiter(alices)
	case deploytoken.OutcomeOffered, deploytoken.OutcomeHandedOver, deploytoken.OutcomeDeclined:
		return offer("")
	case deploytoken.OutcomeBusy:
		return deployment()
	case deploytoken.OutcomeConsentAsked:
		return deployment(answers("", "", deploytoken.AnswerOwn))
	case deploytoken.OutcomeNothingRuns:
		return deployment(isIdle)
	case deploytoken.OutcomeAnswered:
		return question(agreed)
	case deploytoken.OutcomeWatching:
		return watch()
	case deploytoken.OutcomePreferred:
		return &deploytoken.Preference{PersonID: "U0ALICE", Direct: true}
	}
	return nil
}

// matterOfNotice is what a notice of that kind tells of.
func matterOfNotice(k deploytoken.NoticeKind) deploytoken.Matter {
	switch k {
	case deploytoken.NoticeTurn, deploytoken.NoticeTurnOver:
		return waiter(hasTurn)
	case deploytoken.NoticeOffered, deploytoken.NoticeUntold:
		return offer("")
	case deploytoken.NoticeOfferOver, deploytoken.NoticeOfferAnswered:
		return offer(deploytoken.OfferDeclined)
	case deploytoken.NoticeQuestion:
		return question()
	case deploytoken.NoticeConsent, deploytoken.NoticeDeploying, deploytoken.NoticeDeployed:
		return deployment()
	case deploytoken.NoticeConsentNews:
		return deployment(news(deploytoken.ConsentGiven))
	case deploytoken.NoticeWatched:
		return watch(seen)
	case deploytoken.NoticeWatchEnded:
		return watch(lapsed)
	}
	return nil
}

func of(m deploytoken.Matter) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Matter = m }
}
func to(destination string) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Destination = destination }
}
func toBob(d *deploytoken.Delivery)     { d.Destination = deploytoken.ToPerson("U0BOB") }
func toCarol(d *deploytoken.Delivery)   { d.Destination = deploytoken.ToPerson("U0CAROL") }
func toAlice(d *deploytoken.Delivery)   { d.Destination = deploytoken.ToPerson("U0ALICE") }
func toAll(d *deploytoken.Delivery)     { d.Destination = deploytoken.ToChannel("C1") }
func editing(d *deploytoken.Delivery)   { d.Notice.Edits = "first" }
func byCarol(d *deploytoken.Delivery)   { d.Notice.PersonID, d.Notice.Name = "U0CAROL", "Carol Wu" }
func withWorks(d *deploytoken.Delivery) { d.Notice.Works = works() }
func because(d *deploytoken.Delivery)   { d.Notice.Detail = "She is on holiday, and *the site* is down." }
func unreached(d *deploytoken.Delivery) {
	d.Notice.PersonID = "U0BOB"
	d.Notice.Detail = "Cannot send a direct message: their Slack account is deactivated."
}
func saying(text string) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Command.Words = text }
}
func numbered(n int) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Notice.Number = n }
}
func begun(h *deploytoken.Holding)  { h.Since = ago(20 * time.Minute) }
func forced(h *deploytoken.Holding) { ended(h); h.Summary, h.EndedBy = "", "U0CAROL" }

// bobs is the holding that Alice's was handed over to.
func bobs() *deploytoken.Holding {
	return &deploytoken.Holding{ID: "h2", Name: "Bob Brown", PersonID: "U0BOB", Purpose: "upgrade PostgreSQL", Since: ago(time.Minute), SinceKnown: true}
}

// status is what is so at noon.
func status(h *deploytoken.Holding, m deploytoken.Matters) deploytoken.Status {
	st := deploytoken.Status{Token: *freeToken, Matters: m, Link: testDocument, At: noon}
	if h != nil {
		st.Token, st.Holding = *heldBy(h.Name), h
	}
	return st
}

func queue(n int) []deploytoken.Waiter {
	list := make([]deploytoken.Waiter, n)
	for i := range list {
		list[i] = deploytoken.Waiter{ID: fmt.Sprintf("w%d", i), PersonID: fmt.Sprintf("U%d", i), Name: fmt.Sprintf("Person Number %d", i), Purpose: "the registry", Since: ago(time.Duration(n-i) * time.Minute)}
	}
	return list
}

// workflowMessages are the messages of waiting, handing over and consent, by name.
func workflowMessages() map[string]Message {
	o := func(o deploytoken.Outcome, kind deploytoken.Kind, h *deploytoken.Holding, t *deploytoken.Token, changes ...func(*deploytoken.Delivery)) Message {
		d := answerOf(o, kind, h, t)
		for _, change := range changes {
			change(&d)
		}
		return tell(d)
	}
	n := func(k deploytoken.NoticeKind, h *deploytoken.Holding, changes ...func(*deploytoken.Delivery)) Message {
		return tell(notice(k, h, append([]func(*deploytoken.Delivery){of(matterOfNotice(k))}, changes...)...))
	}
	two := deploytoken.Matters{Waiters: []deploytoken.Waiter{*waiter(), *waiter(alices)}}
	turn := deploytoken.Matters{Waiters: []deploytoken.Waiter{*waiter(hasTurn), *waiter(alices)}}
	offered := deploytoken.Matters{Offers: []deploytoken.Offer{*offer("")}}
	deploys := deploytoken.Matters{Deployments: []deploytoken.Deployment{*deployment(holds), *deployment()}}
	late := func(o deploytoken.Outcome, kind deploytoken.Kind, st deploytoken.Status, changes ...func(*deploytoken.Delivery)) Message {
		d := late(answerOf(o, kind, alice(), nil))
		d.Now = &st
		for _, change := range changes {
			change(&d)
		}
		return tell(d)
	}
	return map[string]Message{
		"status-waiting":          statusMessage(status(alice(), two), "U0ALICE", noon),
		"status-waiting-another":  statusMessage(status(alice(), two), "U0CAROL", noon),
		"status-waiting-oneself":  statusMessage(status(alice(), two), "U0BOB", noon),
		"status-waiting-free":     statusMessage(status(nil, two), "U0BOB", noon),
		"status-turn":             statusMessage(status(nil, turn), "U0BOB", noon),
		"status-turn-another's":   statusMessage(status(nil, turn), "U0CAROL", noon),
		"status-turn-next":        statusMessage(status(nil, turn), "U0ALICE", noon),
		"status-turn-passed":      statusMessage(status(nil, turn), "U0CAROL", noon.Add(time.Hour)),
		"status-offered-by":       statusMessage(status(alice(), offered), "U0ALICE", noon),
		"status-offered-to":       statusMessage(status(alice(), offered), "U0BOB", noon),
		"status-offered-another":  statusMessage(status(alice(), offered), "U0CAROL", noon),
		"status-kingfisher":       statusMessage(status(alice(), deploys), "U0CAROL", noon),
		"status-many-waiting":     statusMessage(status(alice(), deploytoken.Matters{Waiters: queue(50)}), "U49", noon),
		"status-too-many-waiting": statusMessage(status(alice(), deploytoken.Matters{Waiters: queue(200)}), "U199", noon),

		"answer-waiting":             o(deploytoken.OutcomeWaiting, deploytoken.KindWait, bobs(), heldBy("Bob Brown"), of(waiter()), numbered(2)),
		"answer-waiting-first":       o(deploytoken.OutcomeWaiting, deploytoken.KindWait, bobs(), heldBy("Bob Brown"), of(waiter(alices)), numbered(1)),
		"answer-waiting-turn":        o(deploytoken.OutcomeWaiting, deploytoken.KindWait, nil, freeToken, of(waiter(hasTurn)), numbered(1)),
		"answer-left":                o(deploytoken.OutcomeLeft, deploytoken.KindLeave, nil, nil),
		"answer-not-waiting":         o(deploytoken.OutcomeNotWaiting, deploytoken.KindLeave, nil, nil),
		"answer-out-of-turn":         o(deploytoken.OutcomeOutOfTurn, deploytoken.KindTake, nil, freeToken, of(waiter(hasTurn))),
		"answer-out-of-turn-waiting": o(deploytoken.OutcomeOutOfTurn, deploytoken.KindTake, nil, freeToken, of(waiter(hasTurn)), func(d *deploytoken.Delivery) { d.Notice.Number = 2 }),
		"answer-free-wait":           o(deploytoken.OutcomeFree, deploytoken.KindWait, nil, freeToken),
		"answer-offered":             o(deploytoken.OutcomeOffered, deploytoken.KindGive, alice(), heldBy("Alice Ng"), of(offer(""))),
		"answer-free-give":           o(deploytoken.OutcomeFree, deploytoken.KindGive, nil, freeToken),
		"answer-held-give":           o(deploytoken.OutcomeHeld, deploytoken.KindGive, bobs(), heldBy("Bob Brown")),
		"answer-handed-over":         o(deploytoken.OutcomeHandedOver, deploytoken.KindAccept, alice(), nil, of(offer(deploytoken.OfferAccepted))),
		"answer-declined":            o(deploytoken.OutcomeDeclined, deploytoken.KindDecline, bobs(), heldBy("Bob Brown"), of(offer(deploytoken.OfferDeclined))),
		"answer-ended-offer":         o(deploytoken.OutcomeEnded, deploytoken.KindAccept, nil, freeToken),
		"answer-confirm":             o(deploytoken.OutcomeConfirm, deploytoken.KindForce, bobs(), heldBy("Bob Brown"), saying("he is on holiday")),
		"answer-confirm-over":        o(deploytoken.OutcomeConfirm, deploytoken.KindForce, with(alice(), ended), freeToken, saying("he is on holiday")),
		"answer-forced":              o(deploytoken.OutcomeForced, deploytoken.KindForceConfirmed, with(alice(), forced), nil),
		"answer-forced-unmatched":    o(deploytoken.OutcomeForced, deploytoken.KindForceConfirmed, with(alice(), forced, unknown), nil),
		"answer-ended-forced":        o(deploytoken.OutcomeEnded, deploytoken.KindRelease, with(alice(), forced), freeToken, saying("PostgreSQL is at 18")),
		"answer-busy":                o(deploytoken.OutcomeBusy, deploytoken.KindTake, nil, freeToken, of(deployment())),
		"answer-busy-partly":         o(deploytoken.OutcomeBusy, deploytoken.KindTake, nil, freeToken, of(deployment(unsure))),
		"answer-busy-unknown":        o(deploytoken.OutcomeBusy, deploytoken.KindTake, nil, freeToken, of(deployment(onlyUnknown))),
		"answer-busy-no-postgres":    o(deploytoken.OutcomeBusy, deploytoken.KindTakeWithoutPostgres, nil, freeToken, of(deployment(withoutPostgres))),
		"answer-busy-answered":       o(deploytoken.OutcomeBusy, deploytoken.KindTake, nil, freeToken, of(deployment(answers(deploytoken.AnswerWait, deploytoken.AnswerNone)))),
		"answer-busy-again":          o(deploytoken.OutcomeBusy, deploytoken.KindTake, nil, freeToken, of(deployment(answers(deploytoken.AnswerAgreed, deploytoken.AnswerUnasked)))),
		"answer-busy-many":           o(deploytoken.OutcomeBusy, deploytoken.KindTake, nil, freeToken, of(deployment(crowded))),
		"answer-taken-consent":       o(deploytoken.OutcomeTaken, deploytoken.KindTake, with(alice(), func(h *deploytoken.Holding) { h.Consent = "Bob Brown agreed." }), nil),
		"answer-consent-asked":       o(deploytoken.OutcomeConsentAsked, deploytoken.KindConsent, nil, nil, of(deployment(unsure, answers(deploytoken.AnswerNone, deploytoken.AnswerNone)))),
		"answer-nothing-runs":        o(deploytoken.OutcomeNothingRuns, deploytoken.KindConsent, nil, nil, of(deployment(isIdle))),
		"answer-nothing-runs-held":   o(deploytoken.OutcomeNothingRuns, deploytoken.KindConsent, nil, nil, of(deployment(isIdle, holds))),
		"answer-nothing-runs-unsure": o(deploytoken.OutcomeNothingRuns, deploytoken.KindConsent, nil, nil, of(deployment(onlyUnknown))),
		"answer-nothing-runs-all":    o(deploytoken.OutcomeNothingRuns, deploytoken.KindConsent, nil, nil, of(deployment(answers(deploytoken.AnswerAgreed, deploytoken.AnswerAgreed)))),
		"answer-nothing-runs-own":    o(deploytoken.OutcomeNothingRuns, deploytoken.KindConsent, nil, nil, of(deployment(func(d *deploytoken.Deployment) { d.Standing = d.Standing[2:] }))),
		"answer-answered":            o(deploytoken.OutcomeAnswered, deploytoken.KindAgree, nil, nil, of(question(agreed))),
		"answer-answered-wait":       o(deploytoken.OutcomeAnswered, deploytoken.KindAskToWait, nil, nil, of(question(wait))),
		"answer-ended-question":      o(deploytoken.OutcomeEnded, deploytoken.KindAgree, nil, nil),
		"answer-ended-deployment":    o(deploytoken.OutcomeEnded, deploytoken.KindTakeAnyway, nil, freeToken),
		"answer-watching":            o(deploytoken.OutcomeWatching, deploytoken.KindWatch, nil, nil, of(watch())),
		"answer-watching-free":       o(deploytoken.OutcomeWatching, deploytoken.KindWatch, nil, nil, of(watch(andFree, func(w *deploytoken.Watch) { w.WithoutPostgres = true }))),
		"answer-unwatched":           o(deploytoken.OutcomeUnwatched, deploytoken.KindUnwatch, nil, nil),
		"answer-preferred-direct":    o(deploytoken.OutcomePreferred, deploytoken.KindPrefer, nil, nil, of(&deploytoken.Preference{Direct: true})),
		"answer-preferred-channel":   o(deploytoken.OutcomePreferred, deploytoken.KindPrefer, nil, nil, of(&deploytoken.Preference{})),
		"answer-release-refused":     o(deploytoken.OutcomeRefused, deploytoken.KindRelease, alice(), nil, saying("upgraded *PostgreSQL* to 18")),
		"answer-release-contended":   o(deploytoken.OutcomeContended, deploytoken.KindRelease, alice(), nil, saying("upgraded *PostgreSQL* to 18")),
		"answer-refused-wait":        o(deploytoken.OutcomeRefused, deploytoken.KindWait, nil, nil, func(d *deploytoken.Delivery) { d.Notice.Detail = "The waitlist is full." }),
		"answer-too-late-accept":     o(deploytoken.OutcomeTooLate, deploytoken.KindAccept, alice(), heldBy("Alice Ng")),

		"late-answer-busy-now-free":        late(deploytoken.OutcomeBusy, deploytoken.KindTake, status(nil, turn), of(deployment())),
		"late-answer-busy-unknown":         late(deploytoken.OutcomeBusy, deploytoken.KindTake, status(alice(), two), of(deployment(onlyUnknown))),
		"late-answer-confirm-still":        late(deploytoken.OutcomeConfirm, deploytoken.KindForce, status(alice(), two), func(d *deploytoken.Delivery) { d.Command.PersonID = "U0BOB" }),
		"late-answer-release-refused":      late(deploytoken.OutcomeRefused, deploytoken.KindRelease, status(alice(), two), saying("upgraded PostgreSQL to 18")),
		"late-answer-waiting-position":     late(deploytoken.OutcomeWaiting, deploytoken.KindWait, status(bobs(), two), numbered(2)),
		"late-answer-answered-to-question": late(deploytoken.OutcomeAnswered, deploytoken.KindAskToWait, status(bobs(), two)),

		"turn":                      n(deploytoken.NoticeTurn, nil),
		"turn-no-purpose":           n(deploytoken.NoticeTurn, nil, of(waiter(alices, hasTurn))),
		"turn-too-late":             n(deploytoken.NoticeTurn, nil, of(waiter(left(deploytoken.WaiterLapsed)))),
		"turn-over-taken":           n(deploytoken.NoticeTurnOver, nil, of(waiter()), read(heldBy("Carol Wu"))),
		"turn-over-unclear":         n(deploytoken.NoticeTurnOver, nil, of(waiter()), read(unclearToken)),
		"turn-over-lapsed":          n(deploytoken.NoticeTurnOver, nil, of(waiter(left(deploytoken.WaiterLapsed)))),
		"turn-over-took":            n(deploytoken.NoticeTurnOver, nil, of(waiter(left(deploytoken.WaiterTook)))),
		"turn-over-left":            n(deploytoken.NoticeTurnOver, nil, of(waiter(left(deploytoken.WaiterGone)))),
		"forgotten":                 n(deploytoken.NoticeForgotten, alice(), toBob),
		"offered":                   n(deploytoken.NoticeOffered, alice(), toBob),
		"offer-over-accepted":       n(deploytoken.NoticeOfferOver, nil, of(offer(deploytoken.OfferAccepted))),
		"offer-over-declined":       n(deploytoken.NoticeOfferOver, nil, of(offer(deploytoken.OfferDeclined))),
		"offer-over-withdrawn":      n(deploytoken.NoticeOfferOver, nil, of(offer(deploytoken.OfferWithdrawn))),
		"offer-over-void":           n(deploytoken.NoticeOfferOver, nil, of(offer(deploytoken.OfferVoid))),
		"offer-answered-accepted":   n(deploytoken.NoticeOfferAnswered, with(alice(), ended), of(offer(deploytoken.OfferAccepted))),
		"offer-answered-declined":   n(deploytoken.NoticeOfferAnswered, alice(), of(offer(deploytoken.OfferDeclined))),
		"handed-over":               n(deploytoken.NoticeHandedOver, bobs(), previous(with(alice(), ended))),
		"handed-over-over":          n(deploytoken.NoticeHandedOver, with(bobs(), ended), previous(with(alice(), ended))),
		"force-released":            n(deploytoken.NoticeForceReleased, with(alice(), forced), byCarol, because),
		"force-released-late":       n(deploytoken.NoticeForceReleased, with(alice(), forced), byCarol, decided(10*time.Minute)),
		"forced":                    n(deploytoken.NoticeForced, with(alice(), forced), byCarol, because, toAlice),
		"retired-forced":            n(deploytoken.NoticeRetired, with(alice(), forced)),
		"reminder-direct":           n(deploytoken.NoticeReminder, alice(), toAlice),
		"untold-question":           n(deploytoken.NoticeUntold, nil, toAlice, unreached, of(question())),
		"untold-offer":              n(deploytoken.NoticeUntold, alice(), toAlice, unreached, of(offer(""))),
		"untold-request":            n(deploytoken.NoticeUntold, bobs(), toAlice, unreached, of(nil)),
		"looking":                   n(deploytoken.NoticeLooking, nil),
		"looking-consent":           n(deploytoken.NoticeLooking, nil, func(d *deploytoken.Delivery) { d.Command = command(deploytoken.KindConsent) }),
		"question-owner":            n(deploytoken.NoticeQuestion, nil, toBob),
		"question-owner-agreed":     n(deploytoken.NoticeQuestion, nil, toBob, editing, of(question(agreed))),
		"question-owner-waits":      n(deploytoken.NoticeQuestion, nil, toBob, editing, of(question(wait))),
		"question-owner-ended":      n(deploytoken.NoticeQuestion, nil, toBob, editing, of(question(allEnded))),
		"question-owner-over":       n(deploytoken.NoticeQuestion, nil, toBob, editing, of(question(agreed, settledAt))),
		"question-owner-passed":     n(deploytoken.NoticeQuestion, nil, toBob, editing, of(question(wait, settledAt, func(q *deploytoken.Question) { q.Until = ago(2 * time.Minute) }))),
		"question-owner-one-ended":  n(deploytoken.NoticeQuestion, nil, toBob, editing, of(question(func(q *deploytoken.Question) { q.Works[0].Ended = ago(time.Minute) }))),
		"question-group":            n(deploytoken.NoticeQuestion, nil, toCarol, of(question(nobodys))),
		"question-group-agreed":     n(deploytoken.NoticeQuestion, nil, toCarol, editing, of(question(nobodys, agreed))),
		"question-channel":          n(deploytoken.NoticeQuestion, nil, toAll, of(question(nobodys))),
		"question-channel-waits":    n(deploytoken.NoticeQuestion, nil, toAll, editing, of(question(nobodys, wait))),
		"question-channel-ended":    n(deploytoken.NoticeQuestion, nil, toAll, editing, of(question(nobodys, allEnded))),
		"consent":                   n(deploytoken.NoticeConsent, nil, of(deployment(answers(deploytoken.AnswerNone, deploytoken.AnswerNone)))),
		"consent-partly":            n(deploytoken.NoticeConsent, nil, editing, of(deployment(unsure, withoutPostgres, answers(deploytoken.AnswerAgreed, deploytoken.AnswerNone)))),
		"consent-waits":             n(deploytoken.NoticeConsent, nil, editing, of(deployment(answers(deploytoken.AnswerWait, deploytoken.AnswerAgreed)))),
		"consent-all":               n(deploytoken.NoticeConsent, nil, editing, of(deployment(answers(deploytoken.AnswerAgreed, deploytoken.AnswerEnded)))),
		"consent-all-but-unsure":    n(deploytoken.NoticeConsent, nil, editing, of(deployment(unsure, answers(deploytoken.AnswerAgreed, deploytoken.AnswerAgreed)))),
		"consent-taken":             n(deploytoken.NoticeConsent, nil, editing, of(deployment(holds, answers(deploytoken.AnswerAgreed, deploytoken.AnswerAgreed)))),
		"consent-handed-over":       n(deploytoken.NoticeConsent, nil, editing, of(deployment(holds, answers(deploytoken.AnswerAgreed, deploytoken.AnswerNone))), byCarol),
		"consent-over":              n(deploytoken.NoticeConsent, nil, editing, of(deployment(over, holds, answers(deploytoken.AnswerAgreed, deploytoken.AnswerWait)))),
		"consent-news-given":        n(deploytoken.NoticeConsentNews, nil),
		"consent-news-given-held":   n(deploytoken.NoticeConsentNews, nil, of(deployment(holds, news(deploytoken.ConsentGiven)))),
		"consent-news-refused":      n(deploytoken.NoticeConsentNews, nil, of(deployment(news(deploytoken.ConsentRefused), answers(deploytoken.AnswerWait, deploytoken.AnswerWait)))),
		"consent-news-lapsed":       n(deploytoken.NoticeConsentNews, nil, of(deployment(news(deploytoken.ConsentLapsed), answers(deploytoken.AnswerAgreed, deploytoken.AnswerUnasked)))),
		"deploying-agreed":          n(deploytoken.NoticeDeploying, alice(), toBob, withWorks, of(deployment(holds, answers(deploytoken.AnswerAgreed)))),
		"deploying-without":         n(deploytoken.NoticeDeploying, alice(), toBob, withWorks, of(deployment(holds, answers(deploytoken.AnswerWait)))),
		"deploying-new":             n(deploytoken.NoticeDeploying, alice(), toBob, of(deployment(holds)), startedSince),
		"deploying-unlisted":        n(deploytoken.NoticeDeploying, alice(), toBob, of(deployment(holds))),
		"deploying-unknown-owner":   n(deploytoken.NoticeDeploying, with(alice(), begun), toCarol, strays, of(deployment(holds))),
		"deploying-channel":         n(deploytoken.NoticeDeploying, with(alice(), begun), toAll, strays, of(deployment(holds))),
		"deploying-channel-agreed":  n(deploytoken.NoticeDeploying, with(alice(), begun), toAll, strays, of(deployment(holds, answers(deploytoken.AnswerNone, deploytoken.AnswerAgreed)))),
		"deploying-channel-new":     n(deploytoken.NoticeDeploying, alice(), toAll, strays, of(deployment(holds))),
		"consent-news-given-partly": n(deploytoken.NoticeConsentNews, nil, of(deployment(unsure, news(deploytoken.ConsentGiven)))),
		"deployed":                  n(deploytoken.NoticeDeployed, with(alice(), ended), toBob, of(deployment(holds, over))),
		"deployed-by-hand":          n(deploytoken.NoticeDeployed, with(alice(), byHand), toBob, of(deployment(holds, over))),
		"new-work":                  n(deploytoken.NoticeNewWork, alice(), toAlice, startedSince),
		"watched":                   n(deploytoken.NoticeWatched, nil),
		"watched-free":              n(deploytoken.NoticeWatched, nil, of(watch(seen, andFree)), read(freeToken)),
		"watched-held":              n(deploytoken.NoticeWatched, nil, read(heldBy("Bob Brown"))),
		"watched-late":              n(deploytoken.NoticeWatched, nil, of(watch(seen, andFree)), decided(20*time.Minute)),
		"watch-ended":               n(deploytoken.NoticeWatchEnded, nil),
		"watch-ended-free":          n(deploytoken.NoticeWatchEnded, nil, of(watch(lapsed, andFree))),
	}
}

// strays are works whose owners aren't known.
func strays(d *deploytoken.Delivery) { d.Notice.Works = []deploytoken.Work{stray()} }

// startedSince is what Bob and others have started since Alice holds the token.
func startedSince(d *deploytoken.Delivery) {
	d.Notice.Works = works()
	if d.Notice.Kind == deploytoken.NoticeNewWork {
		d.Notice.Works = append(works(), stray())
	}
	for i := range d.Notice.Works {
		d.Notice.Works[i].Since = ago(3 * time.Minute)
	}
}

// crowded is as much as there may be: 500 findings of each check, 50 owners.
func crowded(d *deploytoken.Deployment) {
	d.Report.Checks = nil
	for _, check := range deploytoken.Checks() {
		d.Report.Checks = append(d.Report.Checks, deploytoken.CheckResult{Check: check, State: deploytoken.Busy, Partial: true, Reason: "The sessions of root could not be listed.", Findings: many(500)})
	}
	d.Standing = nil
	for i := range 50 {
		d.Standing = append(d.Standing, deploytoken.Standing{
			OwnerID: fmt.Sprintf("U%d", i), Name: fmt.Sprintf("Person Number %d", i), Works: make([]deploytoken.Work, 10), Answer: deploytoken.AnswerAgreed,
		})
	}
	d.Standing[49].Answer = deploytoken.AnswerUnasked
}

func TestTheAskerSeesHowToGoOn(t *testing.T) {
	m := workflowMessages()["answer-busy-many"]
	blocks, err := json.Marshal(m.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"If you take the token anyway, every owner is told at once", "how not to lose what runs", "Person Number 0", "of whom 1 did not agree so far", "PostgreSQL"} {
		if !strings.Contains(string(blocks), words) {
			t.Errorf("the message with much in it doesn't say %q", words)
		}
	}
	if got := buttonsOf(m); !slices.Contains(got, actionTakeAnyway) {
		t.Errorf("the message with much in it has the buttons %q", got)
	}
}

func TestAllWhoWaitAreListed(t *testing.T) {
	m := workflowMessages()["status-many-waiting"]
	blocks, err := json.Marshal(m.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 49 {
		if !strings.Contains(string(blocks), fmt.Sprintf(`"Person Number %d"`, i)) {
			t.Errorf("number %d is missing", i+1)
		}
	}
	if got := buttonsOf(m); !slices.Equal(got, []string{actionAsk, actionLeave}) {
		t.Errorf("buttons %q", got)
	}
	if m := workflowMessages()["status-too-many-waiting"]; !strings.Contains(string(mustJSON(m.Blocks)), "You are number 200.") {
		t.Error("who is far back isn't told so")
	}
}

// TestChannelSeesNoCommands looks for what runs in what the channel is asked.
func TestChannelSeesNoCommands(t *testing.T) {
	for name, m := range workflowMessages() {
		if !strings.HasPrefix(name, "question-channel") && !strings.HasPrefix(name, "deploying-channel") {
			continue
		}
		all := m.Text + mustJSON(m.Blocks)
		for _, secret := range []string{"secret", "top", "session 0", "database"} {
			if strings.Contains(all, secret) {
				t.Errorf("%s: the channel sees %q", name, secret)
			}
		}
		if !strings.Contains(all, "10.0.0.9") || !strings.Contains(all, "PostgreSQL") {
			t.Errorf("%s: the channel doesn't see whose it is, and of which kind: %s", name, m.Text)
		}
	}
}

func TestUnknownIsNoConsent(t *testing.T) {
	all := workflowMessages()
	for _, name := range []string{"answer-busy-unknown", "answer-busy-partly", "answer-nothing-runs-unsure", "consent-all-but-unsure", "consent-news-given-partly"} {
		m := all[name]
		if buttons := buttonsOf(m); slices.Contains(buttons, actionTake) && !strings.Contains(m.Text, "I look once more") {
			t.Errorf("%s has the buttons %q", name, buttons)
		}
		if strings.Contains(m.Text, "Nothing stands in your way") || strings.Contains(m.Text, "Nothing runs") {
			t.Errorf("%s: %s", name, m.Text)
		}
		if !strings.Contains(m.Text, "Scrapyd does not answer.") {
			t.Errorf("%s doesn't say why: %s", name, m.Text)
		}
	}
}

func TestWhatIsOverIsNotTold(t *testing.T) {
	n := func(k deploytoken.NoticeKind, h *deploytoken.Holding, changes ...func(*deploytoken.Delivery)) deploytoken.Delivery {
		return notice(k, h, changes...)
	}
	for name, d := range map[string]deploytoken.Delivery{
		"a turn that was taken":         n(deploytoken.NoticeTurn, nil, of(waiter(left(deploytoken.WaiterTook)))),
		"a turn that passed to another": n(deploytoken.NoticeTurn, nil, of(waiter())),
		"a forgotten token":             n(deploytoken.NoticeForgotten, with(alice(), ended)),
		"an offer":                      n(deploytoken.NoticeOffered, alice(), of(offer(deploytoken.OfferVoid))),
		"an offer that isn't over":      n(deploytoken.NoticeOfferOver, alice(), of(offer("")), editing),
		"a void offer's answer":         n(deploytoken.NoticeOfferAnswered, alice(), of(offer(deploytoken.OfferVoid))),
		"a question":                    n(deploytoken.NoticeQuestion, nil, toBob, of(question(settledAt))),
		"consent":                       n(deploytoken.NoticeConsent, nil, of(deployment(over))),
		"news of consent":               n(deploytoken.NoticeConsentNews, nil, of(deployment(over, news(deploytoken.ConsentGiven)))),
		"no news of consent":            n(deploytoken.NoticeConsentNews, nil, of(deployment())),
		"a deployment":                  n(deploytoken.NoticeDeploying, alice(), toBob, withWorks, of(deployment(over))),
		"new work":                      n(deploytoken.NoticeNewWork, with(alice(), ended), startedSince),
		"a watch that was stopped":      n(deploytoken.NoticeWatched, nil, of(watch(func(w *deploytoken.Watch) { w.Result = deploytoken.WatchStopped }))),
		"a watch that saw it":           n(deploytoken.NoticeWatchEnded, nil, of(watch(seen))),
	} {
		if m, ok := tellIf(d); ok {
			t.Errorf("%s: %q", name, m.Text)
		}
	}
}

// TestWhatCannotBeUndoneIsConfirmed looks at each button of all messages.
func TestWhatCannotBeUndoneIsConfirmed(t *testing.T) {
	must := []string{actionTakeAnyway, actionTakeOutOfTurn, actionForceConfirmed}
	found := map[string]bool{}
	for name, m := range messages() {
		for _, b := range elementsOf(m) {
			if want := slices.Contains(must, b.ActionID); want != (b.Confirm != nil) || want != (b.Style == "danger") {
				t.Errorf("%s: the button %q is confirmed: %v, in the style %q", name, b.Text.Text, b.Confirm != nil, b.Style)
			}
			if b.Value == "" {
				t.Errorf("%s: the button %q has no value", name, b.Text.Text)
			}
			found[b.ActionID] = true
		}
	}
	for _, action := range must {
		if !found[action] {
			t.Errorf("no message has the button %s", action)
		}
	}
}

// TestWhatPeopleWroteIsText puts markup into each text that comes of people, in
// forms, commands and names, and looks for it in the messages.
func TestWhatPeopleWroteIsText(t *testing.T) {
	const hostile = "<!channel> <@U0BOB> <https://evil.example|here> *b* &lt;"
	w := works()
	for i := range w {
		w[i].What, w[i].Where, w[i].Note, w[i].Owner = hostile, hostile, hostile, hostile
	}
	ask := func(q *deploytoken.Question) { q.By, q.Purpose, q.Name, q.Works = hostile, hostile, hostile, w }
	answered := func(q *deploytoken.Question) { q.Answerer, q.Why = hostile, hostile }
	dep := func(d *deploytoken.Deployment) {
		d.Name, d.Purpose, d.Unknown = hostile, hostile, []string{hostile}
		for i := range d.Standing {
			s := &d.Standing[i]
			s.Name, s.By, s.Why, s.Marks, s.Works = hostile, hostile, hostile, []string{hostile}, w
		}
	}
	offered := offer("")
	offered.From, offered.To = hostile, hostile
	said := func(d *deploytoken.Delivery) {
		d.Notice.Name, d.Notice.Detail, d.Notice.Works = hostile, hostile, w
	}
	holding := with(alice(), func(h *deploytoken.Holding) { h.Name, h.Purpose, h.Summary = hostile, hostile, hostile })
	n := func(k deploytoken.NoticeKind, m deploytoken.Matter) deploytoken.Delivery {
		return notice(k, holding, toBob, of(m), said)
	}
	for name, d := range map[string]deploytoken.Delivery{
		"a question":    n(deploytoken.NoticeQuestion, question(ask)),
		"a refusal":     n(deploytoken.NoticeQuestion, question(ask, wait, answered)),
		"the answers":   n(deploytoken.NoticeConsent, deployment(answers(deploytoken.AnswerWait, deploytoken.AnswerAgreed), dep)),
		"their news":    n(deploytoken.NoticeConsentNews, deployment(answers(deploytoken.AnswerWait), news(deploytoken.ConsentRefused), dep)),
		"a deployment":  n(deploytoken.NoticeDeploying, deployment(dep)),
		"its end":       n(deploytoken.NoticeDeployed, deployment(dep)),
		"new work":      n(deploytoken.NoticeNewWork, deployment(dep)),
		"a turn":        n(deploytoken.NoticeTurn, waiter(func(w *deploytoken.Waiter) { w.Name, w.Purpose, w.Turn = hostile, hostile, noon.Add(time.Minute) })),
		"an offer":      n(deploytoken.NoticeOffered, offered),
		"a release":     n(deploytoken.NoticeForced, nil),
		"the channel's": n(deploytoken.NoticeForceReleased, nil),
	} {
		m, ok := tellIf(d)
		if !ok || !strings.Contains(m.Text, "evil.example") {
			t.Errorf("%s: %q", name, m.Text)
		}
		blocks := mustJSON(m.Blocks)
		for _, markup := range []string{"<!channel", "<https://evil.example|", "\u200b*\u200bb*"} {
			if strings.Contains(m.Text, markup) {
				t.Errorf("%s: the text has %s: %s", name, markup, m.Text)
			}
		}
		for _, markup := range []string{`"mrkdwn"`, `"broadcast"`, `"text":"here"`} {
			if strings.Contains(blocks, markup) {
				t.Errorf("%s: a block has %s: %s", name, markup, blocks)
			}
		}
	}
}
