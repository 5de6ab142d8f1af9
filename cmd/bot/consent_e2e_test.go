package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// spiderOf is a spider that carries the name of who has started it.
func spiderOf(who, name string) kingfisher.Spider {
	s := kingfisher.Spider{Project: "kingfisher", Name: name}
	if who != "" {
		s.Note = "Started by " + strings.ToUpper(who) + "."
	}
	return s
}

// spider starts a spider, and returns its ID.
func (w *world) spider(t testing.TB, who, name string) string {
	t.Helper()
	s, err := w.kingfisher.StartSpider(spiderOf(who, name))
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

// ends ends what runs on Kingfisher.
func (w *world) ends(t testing.TB, id string) {
	t.Helper()
	if err := w.kingfisher.Stop(id); err != nil {
		t.Fatal(err)
	}
}

// TestTakeForKingfisher: where something would be interrupted, the token is
// taken only against the advice, which is recorded and told.
func TestTakeForKingfisher(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "take kingfisher: apply the states", "You hold the deploy token now", "nothing would be interrupted")
	w.holder(t, "Ana Díaz")
	w.types(t, ana, "/deploy-token", "release", "You have released")

	w.spider(t, "chidi", "honduras_portal")
	query, err := w.kingfisher.StartQuery(kingfisher.Query{User: "dee", Text: "SELECT count(*) FROM release", Started: w.now().Add(-2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	report := w.types(t, ana, "/deploy-token", "take kingfisher: upgrade PostgreSQL", "I haven't taken the deploy token yet", "honduras_portal", "SELECT count(*)")
	offers(t, report, "consent", "watch", "take-without-postgres", "take-anyway")
	if !confirms(report, "take-anyway", "Every owner is told at once") {
		t.Errorf("no dialog: %s", report.Blocks)
	}
	later := w.types(t, ana, "/deploy-token", "take kingfisher: upgrade PostgreSQL", "I haven't taken the deploy token yet")
	ofBob := w.types(t, bob, "/deploy-token", "take Kingfisher", "I haven't taken the deploy token yet")
	b = w.restart(t, b, true)
	without := w.press(t, ana, report, "take-without-postgres", "I haven't taken the deploy token yet", "honduras_portal")
	offers(t, without, "consent", "watch", "take-anyway")
	saysNot(t, without, "SELECT")
	w.holder(t, "Nobody")

	b = w.restart(t, b, false)
	w.hears(t, ana, func() {
		w.tap(t, ana, without.Target(), "take-anyway")
		w.kill(t, b)
		b = w.serve(t)
	}, "You hold the deploy token now", "taken without consent; Chidi Okafor was not asked; PostgreSQL not restarted")
	w.holder(t, "Ana Díaz")
	w.told(t, chidi, 1, "", "Ana Díaz", "is deploying to Kingfisher without waiting for your consent", "honduras_portal")
	w.press(t, bob, ofBob, "take-anyway", "Ana Díaz", "once it is released")

	taken := w.announced(t, "upgrade PostgreSQL")
	saysNot(t, taken, "honduras_portal")
	b = w.restart(t, b, true)
	w.release(t, ana, taken, map[string][]string{"done": {"PostgreSQL 18"}})
	w.told(t, chidi, 1, "", "'s deployment to Kingfisher is over", "PostgreSQL 18")
	// The report is of a deployment that is over.
	w.press(t, ana, later, "take-anyway", "an earlier deployment, which is over")
	w.holder(t, "Nobody")

	// A query matters again to who hasn't said that PostgreSQL won't restart.
	again := w.types(t, bob, "/deploy-token", "take kingfisher", "I haven't taken the deploy token yet", "SELECT count(*)")
	w.press(t, bob, again, "take-without-postgres", "I haven't taken the deploy token yet", "honduras_portal")
	w.ends(t, query.ID)
	w.history(t,
		[4]string{"Ana Díaz", "kingfisher: apply the states", "", "nothing would be interrupted"},
		[4]string{"Ana Díaz", "kingfisher: upgrade PostgreSQL", "PostgreSQL 18", "taken without consent; Chidi Okafor was not asked; PostgreSQL not restarted"},
	)
	b.stop(t)
	if n := w.tellings(dee, ""); n > 0 {
		t.Errorf("Dee, whose query isn't interrupted, was told %d things", n)
	}
}

// TestTakeForKingfisherUnknown: what couldn't be looked at never counts as idle.
func TestTakeForKingfisherUnknown(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	if err := w.kingfisher.SetFault(kingfisher.FaultUnreachable); err != nil {
		t.Fatal(err)
	}
	b := w.serve(t)
	report := w.types(t, ana, "/deploy-token", "take kingfisher: upgrade", "I can't tell whether Kingfisher is busy", "I haven't taken the deploy token yet")
	offers(t, report, "watch", "take-without-postgres", "take-anyway")
	w.types(t, ana, "/kingfisher", "consent upgrade", "I found nobody to ask, but I couldn't look at everything")
	w.holder(t, "Nobody")
	b = w.restart(t, b, true)
	without := w.press(t, ana, report, "take-without-postgres", "I can't tell whether Kingfisher is busy")
	w.holder(t, "Nobody")
	w.press(t, ana, without, "take-anyway", "You hold the deploy token now", "not everything could be checked; PostgreSQL not restarted")
	w.holder(t, "Ana Díaz")
	w.types(t, ana, "/deploy-token", "release", "You have released")
	w.history(t, [4]string{"Ana Díaz", "kingfisher: upgrade", "", "not everything could be checked; PostgreSQL not restarted"})
	b.stop(t)
}

// TestConsent: a deployment waits for those whose work it would interrupt.
func TestConsent(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.skips = true
	b := w.serve(t)
	honduras := w.spider(t, "chidi", "honduras_portal")
	if err := w.kingfisher.OpenSession(kingfisher.Session{User: "ocdskfp", Name: "dn-dump", Command: "pg_dump --all"}); err != nil {
		t.Fatal(err)
	}
	report := w.types(t, ana, "/deploy-token", "take kingfisher: upgrade PostgreSQL", "I haven't taken the deploy token yet", "honduras_portal", "pg_dump")
	w.press(t, ana, report, "consent", "I have asked the owners", "Chidi Okafor", "Dee Novak", "no answer yet")
	ofChidi := w.told(t, chidi, 1, "agree", "Ana Díaz", "wants to deploy to Kingfisher", "upgrade PostgreSQL", "honduras_portal")
	ofDee := w.told(t, dee, 1, "agree", "Ana Díaz", "wants to deploy to Kingfisher", "pg_dump")
	offers(t, ofDee, "agree", "ask-to-wait")
	saysNot(t, ofDee, "honduras_portal")
	saysNot(t, ofChidi, "pg_dump")
	answers := w.told(t, ana, 1, "", "Your deployment to Kingfisher", "I have asked the owners of what it would interrupt", "no answer yet")

	b = w.restart(t, b, true)
	w.hears(t, chidi, func() {
		w.tap(t, chidi, ofChidi.Target(), "agree")
		w.kill(t, b)
		b = w.serve(t)
	}, "Thank you", "is told that they may go ahead")
	offers(t, w.becomes(t, chidi, ofChidi, "You have said that"), "ask-to-wait")
	w.becomes(t, ana, answers, "Chidi Okafor", "go ahead", "no answer yet")

	form := w.form(t, dee, ofDee.Target(), "ask-to-wait")
	past := map[string][]string{"until": until(w.now().Add(-time.Hour)), "why": {"the dump ends at noon"}}
	if i, err := w.slack.SubmitView(t.Context(), dee, form.ID, past); err != nil || !i.Acked {
		t.Fatalf("%+v %v", i, err)
	}
	if views := w.slack.Views(dee); len(views) != 1 || !strings.Contains(views[0].Errors["until"], "over already") {
		t.Fatalf("a time that has passed: %+v", views)
	}
	b = w.restart(t, b, false)
	w.hears(t, dee, func() {
		w.submit(t, dee, form, map[string][]string{"until": until(w.now().Add(2 * time.Hour))})
	}, "is told that you ask them to wait", "the dump ends at noon")
	offers(t, w.becomes(t, dee, ofDee, "You have asked", "the dump ends at noon"), "agree")
	news := w.told(t, ana, 1, "take-anyway", "You are asked to wait", "Dee Novak", "the dump ends at noon")
	offers(t, news, "watch", "take-anyway")
	saysNot(t, news, "Chidi")
	w.becomes(t, ana, answers, "You are asked to wait", "go ahead", "the dump ends at noon")

	// What ends by itself needs no answer any more.
	b = w.restart(t, b, true)
	if err := w.kingfisher.CloseSession("ocdskfp", "dn-dump"); err != nil {
		t.Fatal(err)
	}
	w.later(t, time.Minute+time.Second, dee, "All of it has ended by itself")
	offers(t, w.becomes(t, dee, ofDee, "All of it has ended by itself"))
	given := w.told(t, ana, 1, "take", "Nothing stands in your way any more")
	w.becomes(t, ana, answers, "Nothing stands in your way", "ended by itself")

	// New work meanwhile asks again, and only for that.
	panama := w.spider(t, "chidi", "panama_releases")
	asks := w.press(t, ana, given, "take", "I haven't taken the deploy token yet", "panama_releases", "not asked yet")
	w.holder(t, "Nobody")
	b = w.restart(t, b, true)
	w.press(t, ana, asks, "consent", "I have asked the owners", "Chidi Okafor")
	second := w.told(t, chidi, 1, "agree", "wants to deploy to Kingfisher", "panama_releases")
	saysNot(t, second, "honduras_portal")
	w.press(t, chidi, second, "agree", "is told that they may go ahead")
	again := w.told(t, ana, 2, "take", "Nothing stands in your way any more")
	b = w.restart(t, b, false)
	w.press(t, ana, again, "take", "You hold the deploy token now", "Chidi Okafor agreed")
	w.holder(t, "Ana Díaz")
	w.becomes(t, ana, answers, "You have taken the deploy token for it")
	w.types(t, ana, "/deploy-token", "release upgraded", "You have released")
	for _, user := range []string{chidi, dee} {
		w.told(t, user, 1, "", "Ana Díaz", "'s deployment to Kingfisher is over", "upgraded")
	}
	w.becomes(t, ana, answers, "It is over")

	// The answer stands for the next deployer, until what it is about has ended.
	b = w.restart(t, b, true)
	w.types(t, bob, "/deploy-token", "take kingfisher: a fix", "You hold the deploy token now", "Chidi Okafor agreed")
	w.holder(t, "Bob Ray")
	w.types(t, bob, "/deploy-token", "release", "You have released")
	w.told(t, chidi, 1, "", "Bob Ray", "'s deployment to Kingfisher is over")
	w.ends(t, honduras)
	w.ends(t, panama)
	w.laterUntil(t, 15*time.Minute+time.Second, "the end of what was asked about", func() bool {
		return slices.ContainsFunc(w.slack.Direct(chidi), func(m slack.Message) bool {
			return m.Target() == second.Target() && holds(m, "All of it has ended by itself")
		})
	})
	offers(t, w.becomes(t, chidi, second, "All of it has ended by itself"))
	w.spider(t, "chidi", "honduras_portal")
	w.types(t, bob, "/deploy-token", "take kingfisher: a fix", "I haven't taken the deploy token yet", "honduras_portal")
	w.history(t,
		[4]string{"Ana Díaz", "kingfisher: upgrade PostgreSQL", "upgraded", "Chidi Okafor agreed"},
		[4]string{"Bob Ray", "kingfisher: a fix", "", "Chidi Okafor agreed"},
	)
	b.stop(t)
	if n := w.tellings(dee, "is over"); n != 1 {
		t.Errorf("Dee was told %d times that a deployment is over", n)
	}
}

// TestConsentWait: the time that somebody asked to wait for passes, and they are
// to be asked again; the answer to a question that is settled changes nothing.
func TestConsentWait(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.skips = true
	b := w.serve(t)
	id := w.spider(t, "chidi", "honduras_portal")
	w.types(t, ana, "/kingfisher", "consent upgrade PostgreSQL", "I have asked the owners", "Chidi Okafor")
	question := w.told(t, chidi, 1, "agree", "wants to deploy to Kingfisher", "upgrade PostgreSQL")
	form := w.form(t, chidi, question.Target(), "ask-to-wait")
	w.hears(t, chidi, func() {
		w.submit(t, chidi, form, map[string][]string{"until": until(w.now().Add(30 * time.Minute))})
	}, "is told that you ask them to wait")
	refused := w.told(t, ana, 1, "watch", "You are asked to wait")
	b = w.restart(t, b, true)
	w.skip(31 * time.Minute)
	offers(t, w.becomes(t, chidi, question, "That time has passed"))
	lapsed := w.told(t, ana, 1, "consent", "There is somebody to ask again", "Chidi Okafor")
	w.press(t, ana, lapsed, "consent", "I have asked the owners")
	second := w.told(t, chidi, 1, "agree", "wants to deploy to Kingfisher", "honduras_portal")

	// It ends while Slack takes no edits: the button stands, and does nothing.
	if err := w.slack.AddFault(slack.Fault{Method: "chat.update", Kind: slack.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	w.ends(t, id)
	w.laterUntil(t, time.Minute+time.Second, "an edit that Slack doesn't take", func() bool {
		return slices.ContainsFunc(w.slack.Calls(), func(c slack.Call) bool { return c.Method == "chat.update" && c.Fault != "" })
	})
	w.hears(t, chidi, func() {
		w.tap(t, chidi, second.Target(), "agree")
		w.slack.ClearFaults()
	}, "That question is settled already")
	w.told(t, ana, 1, "take", "Nothing stands in your way any more")
	// The token is taken with no consent at all: the report says that.
	w.press(t, ana, refused, "take-anyway", "You hold the deploy token now", "nothing would be interrupted")
	b.stop(t)
}

// TestConsentOfTheUnknown: where an owner is unknown, the consent group is
// asked, and where there is none, the channel.
func TestConsentOfTheUnknown(t *testing.T) {
	t.Parallel()
	t.Run("group", func(t *testing.T) {
		t.Parallel()
		w := newTeam(t)
		w.config["KINGFISHER_CONSENT_GROUP"] = "S0DATA"
		if err := w.slack.PutUserGroup(slack.UserGroup{ID: "S0DATA", Handle: "data", Name: "Data", Members: []string{chidi, dee}}); err != nil {
			t.Fatal(err)
		}
		w.spider(t, "", "panama_releases")
		b := w.serve(t)
		w.types(t, ana, "/kingfisher", "consent upgrade PostgreSQL", "I have asked the owners", "Owner unknown")
		ofChidi := w.told(t, chidi, 1, "agree", "Ana Díaz", "I don't know whom to ask about it", "panama_releases")
		ofDee := w.told(t, dee, 1, "agree", "Ana Díaz", "I don't know whom to ask about it", "panama_releases")
		b = w.restart(t, b, true)
		w.press(t, dee, ofDee, "agree", "is told that they may go ahead")
		w.becomes(t, chidi, ofChidi, "Dee Novak", "has said that")
		given := w.told(t, ana, 1, "take", "Nothing stands in your way any more")
		b = w.restart(t, b, false)
		w.press(t, ana, given, "take", "You hold the deploy token now", "Dee Novak agreed for somebody unknown")
		w.holder(t, "Ana Díaz")
		w.types(t, ana, "/deploy-token", "release", "You have released")
		for _, user := range []string{chidi, dee} {
			w.told(t, user, 1, "", "'s deployment to Kingfisher is over")
		}
		w.history(t, [4]string{"Ana Díaz", "upgrade PostgreSQL", "", "Dee Novak agreed for somebody unknown"})
		b.stop(t)
	})
	t.Run("channel", func(t *testing.T) {
		t.Parallel()
		w := newTeam(t)
		if err := w.kingfisher.OpenSession(kingfisher.Session{User: "ocdskfp", Name: "zz-load", Command: "psql --secret-table", Started: w.now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		b := w.serve(t)
		w.types(t, ana, "/kingfisher", "consent upgrade PostgreSQL", "I have asked the owners", "Owner unknown")
		question := w.announced(t, "wants to deploy to Kingfisher")
		says(t, question, "Ana Díaz", "zz", "tmux", "1 h")
		saysNot(t, question, "psql", "secret-table")
		b = w.restart(t, b, true)
		w.press(t, bob, question, "agree", "is told that they may go ahead")
		w.becomes(t, ana, question, "Bob Ray", "has said that")
		given := w.told(t, ana, 1, "take", "Nothing stands in your way any more")
		w.press(t, ana, given, "take", "You hold the deploy token now", "Bob Ray agreed for")
		b.stop(t)
	})
}

// TestStartOfWork: while somebody deploys to Kingfisher, they are told of what
// is started there, and its owners, once, that a deployment is under way.
func TestStartOfWork(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.skips = true
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "take kingfisher: upgrade", "You hold the deploy token now", "nothing would be interrupted")
	w.spider(t, "chidi", "honduras_portal")
	w.later(t, 5*time.Minute+time.Second, ana, "this was started there meanwhile")
	says(t, w.told(t, ana, 1, "", "this was started there meanwhile"), "CHIDI", "honduras_portal")
	w.told(t, chidi, 1, "", "Ana Díaz", "is deploying to Kingfisher", "You have started something there meanwhile", "honduras_portal")
	b = w.restart(t, b, true)
	w.spider(t, "chidi", "panama_releases")
	if err := w.kingfisher.OpenSession(kingfisher.Session{User: "ocdskfp", Name: "dn-dump", Command: "pg_dump --all"}); err != nil {
		t.Fatal(err)
	}
	w.later(t, 5*time.Minute+time.Second, ana, "this was started there meanwhile", "panama_releases")
	second := w.told(t, ana, 2, "", "this was started there meanwhile")
	says(t, second, "panama_releases", "pg_dump")
	saysNot(t, second, "honduras_portal")
	saysNot(t, w.told(t, dee, 1, "", "You have started something there meanwhile", "pg_dump"), "panama_releases")
	b = w.restart(t, b, false)
	w.types(t, ana, "/deploy-token", "release upgraded", "You have released")
	for _, user := range []string{chidi, dee} {
		w.told(t, user, 1, "", "'s deployment to Kingfisher is over", "upgraded")
	}
	w.history(t, [4]string{"Ana Díaz", "kingfisher: upgrade", "upgraded", "nothing would be interrupted"})
	b.stop(t)
	if n := w.tellings(chidi, "is deploying"); n != 1 {
		t.Errorf("Chidi was told %d times that a deployment is under way", n)
	}
}

// later moves the clock ahead until user is told something by a look at
// Kingfisher.
func (w *world) later(t testing.TB, d time.Duration, user string, parts ...string) {
	t.Helper()
	w.laterUntil(t, d, fmt.Sprintf("%s being told %q", user, parts), func() bool { return w.tellings(user, parts...) > 0 })
}

// laterUntil moves the clock ahead until what a look at Kingfisher brings is so:
// one that began before may have ended after.
func (w *world) laterUntil(t testing.TB, d time.Duration, what string, so func() bool) {
	t.Helper()
	w.skip(d)
	skipped := time.Now()
	eventually(t, what, func() bool {
		if time.Since(skipped) > 7*time.Second {
			w.skip(time.Minute + time.Second)
			skipped = time.Now()
		}
		return so()
	})
}

// TestTellMeWhen: who wants to know when Kingfisher is idle, or that and the
// token free, is told once.
func TestTellMeWhen(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.skips = true
	b := w.serve(t)
	// At once, where it is so already.
	w.types(t, chidi, "/kingfisher", "watch free", "Kingfisher is idle and the deploy token free")
	w.told(t, chidi, 1, "take", "Kingfisher is idle", "the deploy token is free")

	spider := w.spider(t, "chidi", "honduras_portal")
	report := w.types(t, dee, "/deploy-token", "take kingfisher: upgrade", "I haven't taken the deploy token yet")
	w.press(t, dee, report, "watch", "Kingfisher is idle and the deploy token free")
	w.types(t, ana, "/deploy-token", "take the registry", "You hold the deploy token now")
	w.types(t, ana, "/kingfisher", "watch", "I'll tell you once")
	w.types(t, bob, "/kingfisher", "watch free", "Kingfisher is idle and the deploy token free")
	not := w.types(t, chidi, "/kingfisher", "watch", "I'll tell you once")
	b = w.restart(t, b, true)
	w.press(t, chidi, not, "unwatch", "I don't look any more")
	w.ends(t, spider)
	w.later(t, time.Minute+time.Second, ana, "Kingfisher is idle")
	idle := w.told(t, ana, 1, "take", "Kingfisher is idle", "a deployment would interrupt nothing")
	b = w.restart(t, b, false)
	for _, user := range []string{bob, dee} {
		if w.tellings(user, "Kingfisher is idle") > 0 {
			t.Errorf("%s was told though the token is held", user)
		}
	}
	w.press(t, ana, idle, "take", "yours already")
	w.types(t, ana, "/deploy-token", "release", "You have released")
	w.later(t, time.Minute+time.Second, bob, "Kingfisher is idle")
	ofBob := w.told(t, bob, 1, "take", "Kingfisher is idle", "the deploy token is free")
	ofDee := w.told(t, dee, 1, "take", "Kingfisher is idle", "the deploy token is free")
	b = w.restart(t, b, true)
	w.press(t, dee, ofDee, "take", "You hold the deploy token now", "kingfisher: upgrade", "nothing would be interrupted")
	w.holder(t, "Dee Novak")
	w.press(t, bob, ofBob, "take", "Dee Novak", "once it is released")

	// A watch ends by itself after a working day.
	w.spider(t, "dee", "panama_releases")
	w.types(t, bob, "/kingfisher", "watch", "I'll tell you once")
	w.later(t, 9*time.Hour+time.Second, bob, "I have stopped looking")
	ended := w.told(t, bob, 1, "watch", "I have stopped looking")
	w.press(t, bob, ended, "watch", "I'll tell you once")
	w.types(t, bob, "/kingfisher", "unwatch", "I don't look any more")
	b.stop(t)
	if n := w.tellings(chidi, "Kingfisher is idle"); n != 1 {
		t.Errorf("Chidi was told %d times", n)
	}
}

// TestManyFindings: whatever runs on Kingfisher, Slack takes what is said of it.
func TestManyFindings(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	long := strings.Repeat("x", 150)
	for i := range 167 {
		who := []string{"chidi", "dee", ""}[i%3]
		w.spider(t, who, fmt.Sprintf("spider_%03d_%s", i, long))
		session := kingfisher.Session{User: "ocdskfp", Name: fmt.Sprintf("%s-%03d", []string{"co", "dn", "zz"}[i%3], i), Command: "pg_dump --table " + long}
		if err := w.kingfisher.OpenSession(session); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 166 {
		query := kingfisher.Query{User: []string{"chidi", "dee", "analyst"}[i%3], Text: fmt.Sprintf("SELECT %d, '%s'", i, long), Started: w.now().Add(-2 * time.Hour)}
		if _, err := w.kingfisher.StartQuery(query); err != nil {
			t.Fatal(err)
		}
	}
	b := w.serve(t)
	report := w.types(t, ana, "/deploy-token", "take kingfisher: upgrade", "would interrupt 500 things", "I haven't taken the deploy token yet")
	offers(t, report, "consent", "watch", "take-without-postgres", "take-anyway")
	w.press(t, ana, report, "consent", "I have asked the owners", "Chidi Okafor", "Dee Novak", "Owner unknown")
	question := w.told(t, chidi, 1, "agree", "wants to deploy to Kingfisher", "and ")
	w.told(t, dee, 1, "agree", "wants to deploy to Kingfisher")
	saysNot(t, w.announced(t, "wants to deploy to Kingfisher"), "spider_", "pg_dump")
	w.press(t, chidi, question, "agree", "is told that they may go ahead")
	w.becomes(t, chidi, question, "You have said that")
	w.press(t, ana, w.types(t, ana, "/deploy-token", "take kingfisher: upgrade", "I haven't taken"), "take-anyway", "You hold the deploy token now", "taken without consent")
	w.told(t, dee, 1, "", "is deploying to Kingfisher without waiting for your consent")
	w.announced(t, "is deploying to Kingfisher")
	if i, err := w.slack.OpenHome(t.Context(), ana); err != nil || !i.Acked {
		t.Fatalf("%+v %v", i, err)
	}
	w.until(t, "a home", func() bool {
		v, ok := w.slack.Home(ana)
		return ok && strings.Contains(v.Shown(), "Kingfisher is busy")
	})
	for _, c := range w.slack.Calls() {
		if c.Error != "" {
			t.Errorf("%s was refused: %s", c.Method, c.Error)
		}
	}
	b.stop(t)
}
