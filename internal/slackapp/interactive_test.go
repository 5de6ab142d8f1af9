package slackapp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	local "github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// These tests run forms and homes against the local Slack.

// post has the bot post a message with the buttons, and returns where it stands.
func (l *localInbound) post(buttons ...button) local.Target {
	l.t.Helper()
	m := compose([]group{{lines: []line{{words("Press.")}}}}, buttons)
	channel, ts, err := l.config.Client.PostMessageContext(context.Background(), localChannel, content(m)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return local.Target{Channel: channel, TS: ts}
}

func (l *localInbound) click(person string, on local.Target, b button) *local.Invocation {
	l.t.Helper()
	inv, err := l.slack.Click(context.Background(), person, on, local.Action{ID: b.action, Value: b.value})
	if err != nil {
		l.t.Fatal(err)
	}
	if !inv.Acked || inv.Trouble != "" {
		l.t.Errorf("a click on %q: %+v", b.action, inv)
	}
	return inv
}

// form waits for the person's open form.
func (l *localInbound) form(person string) local.View {
	l.t.Helper()
	var view local.View
	l.waitFor("a form opens", func(s local.State) bool {
		for _, v := range s.Views(person) {
			if v.Type == "modal" {
				view = v
				return true
			}
		}
		return false
	})
	return view
}

func (l *localInbound) waitFor(what string, condition func(local.State) bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := l.slack.WaitFor(ctx, condition); err != nil {
		l.t.Fatalf("waited in vain until %s:\n%s", what, l.log)
	}
}

func (l *localInbound) submit(person string, view local.View, values map[string][]string) *local.Invocation {
	l.t.Helper()
	inv, err := l.slack.SubmitView(context.Background(), person, view.ID, values)
	if err != nil {
		l.t.Fatal(err)
	}
	if !inv.Acked || inv.Trouble != "" {
		l.t.Errorf("a submission: %+v", inv)
	}
	return inv
}

// forms are the forms that the person has open.
func (l *localInbound) forms(person string) (open []local.View) {
	for _, v := range l.slack.Views(person) {
		if v.Type == "modal" {
			open = append(open, v)
		}
	}
	return open
}

func (l *localInbound) home(person, text string) local.View {
	l.t.Helper()
	var home local.View
	l.waitFor(fmt.Sprintf("the home of %s has %q", person, text), func(s local.State) bool {
		v, ok := s.Home(person)
		home = v
		return ok && strings.Contains(string(v.Blocks), text)
	})
	return home
}

// last returns the latest command that was done.
func (l *localInbound) last(n int) deploytoken.Command {
	l.t.Helper()
	eventually(l.t, fmt.Sprint(n, " commands are done"), func() bool { return len(strings.Fields(l.commands.doneIDs())) >= n })
	l.commands.mu.Lock()
	defer l.commands.mu.Unlock()
	if len(l.commands.done) != n {
		l.t.Fatalf("did %+v", l.commands.done)
	}
	return l.commands.done[n-1]
}

// checkLog fails where the log holds what is secret.
func (l *localInbound) checkLog() {
	l.t.Helper()
	log := l.log.String()
	for _, secret := range []string{"response_url", "/respond", "/commands/", "hooks", "private_metadata", "xoxb-", "xapp-"} {
		if strings.Contains(log, secret) {
			l.t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
}

// theirs is a Draft of a holding that is the person's, for the purpose.
func theirs(person, purpose string) func(string, string, string) (string, bool, error) {
	return func(p, holding, command string) (string, bool, error) {
		switch {
		case command != "":
			return "what " + command + " said", p == person, nil
		case p == person:
			return purpose, true, nil
		}
		return "", false, nil
	}
}

func TestReleaseForm(t *testing.T) {
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) { in.Servers = []string{"kingfisher-main", "registry", "docs"} })
	l.connected()
	person, other := localPerson(1), localPerson(2)
	l.commands.draft = theirs(person, "upgrade <PostgreSQL>")
	message := l.post(releaseButton("h1"), askButton("h1"))

	l.click(person, message, releaseButton("h1"))
	view := l.form(person)
	if view.CallbackID != formRelease || view.Title != "Release token" || !strings.Contains(string(view.Blocks), `upgrade \u003cPostgreSQL\u003e`) && !strings.Contains(string(view.Blocks), "upgrade <PostgreSQL>") {
		t.Errorf("opened %+v: %s", view, view.Blocks)
	}
	if got := l.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q by opening a form", got)
	}
	inv := l.submit(person, view, map[string][]string{
		fieldDone: {"upgraded & restarted\nit"}, fieldWhere: {"registry", "docs"}, fieldLinks: {"https://x.org/1\nhttps://x.org/2"},
	})
	if inv.Payload != nil || len(l.forms(person)) != 0 {
		t.Errorf("the form stays open: %s", inv.Payload)
	}
	c := l.last(1)
	want := deploytoken.Command{
		ID: inv.EnvelopeID, Kind: deploytoken.KindRelease, PersonID: person, Holding: "h1",
		Words:     "upgraded & restarted it (registry, docs) https://x.org/1 https://x.org/2",
		ChannelID: localChannel, Message: message.TS, ResponseURL: c.ResponseURL, At: c.At,
	}
	if c != want || c.ResponseURL == "" {
		t.Errorf("did %+v, want %+v", c, want)
	}
	// The answer comes where the click was.
	if err := newResponder().respond(context.Background(), c.ResponseURL, say(line{words("Thank you!")}), c.Message == ""); err != nil {
		t.Error(err)
	}
	l.sees(person, "Thank you!")

	// Whoever isn't known to be the holder is answered by the rules, at once.
	l.click(other, message, releaseButton("h1"))
	if c := l.last(2); c.Kind != deploytoken.KindRelease || c.Holding != "h1" || c.Subject != "" || c.Words != "" || c.PersonID != other {
		t.Errorf("did %+v", c)
	}
	// A draft that was turned down comes back, for the holder in a form.
	again := releaseAgainButton("h1", "c1")
	message = l.post(again)
	l.click(person, message, again)
	if view := l.form(person); !strings.Contains(string(view.Blocks), "what c1 said") {
		t.Errorf("opened %s", view.Blocks)
	} else {
		l.submit(person, view, nil)
	}
	if c := l.last(3); c.Words != "what c1 said" || c.Subject != "" {
		t.Errorf("did %+v", c)
	}
	l.click(other, message, again)
	if c := l.last(4); c.Words != "what c1 said" || c.Kind != deploytoken.KindRelease || c.Subject != "" {
		t.Errorf("did %+v", c)
	}
	if len(l.forms(other)) != 0 {
		t.Error("a form opened for somebody else")
	}
	// Where it can't be looked up, the release itself finds out.
	l.commands.draft = func(string, string, string) (string, bool, error) { return "", true, errors.New("no store") }
	l.click(person, l.post(releaseButton("h1")), releaseButton("h1"))
	if c := l.last(5); c.Kind != deploytoken.KindRelease || c.PersonID != person {
		t.Errorf("did %+v", c)
	}
	// But a draft isn't lost to that.
	l.click(person, message, again)
	l.sees(person, refusal(noReleaseForm).Text)
	l.last(5)
	l.checkLog()
}

// TestUnreadableFormStaysOpen has a form come back that doesn't know what it is
// about.
func TestUnreadableFormStaysOpen(t *testing.T) {
	l := runLocal(t, nil)
	l.connected()
	person := localPerson(1)
	l.commands.draft = theirs(person, "")
	l.click(person, l.post(releaseButton("h1")), releaseButton("h1"))
	view := l.form(person)
	broken := releaseForm(origin{}, "", nil)
	if _, err := l.config.Client.UpdateViewContext(context.Background(), broken, "", "", view.ID); err != nil {
		t.Fatal(err)
	}
	l.submit(person, view, map[string][]string{fieldDone: {"much"}})
	if open := l.forms(person); len(open) != 1 || open[0].Errors[fieldDone] != sorry {
		t.Errorf("the form is %+v", open)
	}
}

// TestFormsThatDoNotOpen has Slack refuse to open them.
func TestFormsThatDoNotOpen(t *testing.T) {
	for name, fault := range map[string]local.Fault{
		"server error": {Method: "views.open", Kind: local.FaultServerError, Count: 1},
		"expired":      {Method: "views.open", Kind: local.FaultError, Error: "expired_trigger_id", Count: 1},
		"dropped":      {Method: "views.open", Kind: local.FaultDropped, Count: 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := runLocal(t, nil)
			l.connected()
			person := localPerson(1)
			l.commands.draft = theirs(person, "")
			for _, tt := range []struct {
				button button
				told   string
			}{{releaseButton("h1"), noReleaseForm}, {askToWaitButton("q1"), noForm}} {
				if err := l.slack.AddFault(fault); err != nil {
					t.Fatal(err)
				}
				l.click(person, l.post(tt.button), tt.button)
				if m := l.sees(person, refusal(tt.told).Text); m.EphemeralTo != person {
					t.Errorf("told everybody: %+v", m)
				}
			}
			if got := l.commands.acceptedIDs(); got != "" {
				t.Errorf("recorded %q", got)
			}
			l.checkLog()
		})
	}
}

// TestFormsKeepDrafts has the store fail when a form is submitted: it stays
// open, with what was filled in, until the store takes it.
func TestFormsKeepDrafts(t *testing.T) {
	l := runLocal(t, nil)
	l.connected()
	person := localPerson(1)
	l.commands.draft = theirs(person, "")
	var down atomic.Bool
	l.commands.accept = func(context.Context, deploytoken.Command) error {
		if down.Load() {
			return errors.New("no store")
		}
		return nil
	}
	l.click(person, l.post(releaseButton("h1")), releaseButton("h1"))
	view := l.form(person)
	down.Store(true)
	l.submit(person, view, map[string][]string{fieldDone: {"much"}})
	open := l.forms(person)
	if len(open) != 1 || open[0].Errors[fieldDone] != turnedDownLate {
		t.Fatalf("the form is %+v", open)
	}
	down.Store(false)
	l.submit(person, open[0], nil)
	if c := l.last(1); c.Words != "much" {
		t.Errorf("did %+v", c)
	}
	if len(l.forms(person)) != 0 {
		t.Error("the form stays open")
	}
}

// TestFormsOfOthers has people use forms who may not use the bot, or not any
// more.
func TestFormsOfOthers(t *testing.T) {
	var may atomic.Bool
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) {
		in.Members = memberFunc(func(context.Context, string) (bool, error) { return may.Load(), nil })
	})
	l.connected()
	person := localPerson(1)
	l.commands.draft = theirs(person, "")
	message := l.post(releaseButton("h1"))
	l.click(person, message, releaseButton("h1"))
	l.sees(person, refusal(refusedPerson).Text)
	l.slack.Reload(person) // which takes what only they saw away
	if open := l.forms(person); len(open) != 0 {
		t.Errorf("opened %+v", open)
	}
	may.Store(true)
	l.click(person, message, releaseButton("h1"))
	view := l.form(person)
	may.Store(false)
	l.submit(person, view, nil)
	if open := l.forms(person); len(open) != 1 || open[0].Errors[fieldDone] != refusedPerson {
		t.Errorf("the form is %+v", open)
	}
	if got := l.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
}

// TestWaitFormOfTheAsked has somebody use the form of a question who may not use
// the bot: they may have been asked.
func TestWaitFormOfTheAsked(t *testing.T) {
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) {
		in.Members = memberFunc(func(context.Context, string) (bool, error) { return false, nil })
	})
	l.connected()
	person := localPerson(1)
	l.click(person, l.post(askToWaitButton("q1")), askToWaitButton("q1"))
	l.submit(person, l.form(person), nil)
	if c := l.last(1); c.Kind != deploytoken.KindAskToWait || c.Subject != "q1" {
		t.Errorf("did %+v", c)
	}
}

func TestWaitForm(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) { in.Now = func() time.Time { return now } })
	l.connected()
	person := localPerson(1)
	l.click(person, l.post(agreeButton("q1"), askToWaitButton("q1")), askToWaitButton("q1"))
	view := l.form(person)
	for _, past := range []time.Time{now, now.Add(-time.Hour)} {
		l.submit(person, view, map[string][]string{fieldUntil: {fmt.Sprint(past.Unix())}, fieldWhy: {"my job"}})
		if open := l.forms(person); len(open) != 1 || open[0].Errors[fieldUntil] == "" {
			t.Fatalf("until %v: the form is %+v", past, open)
		}
	}
	if got := l.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
	inv := l.submit(person, view, map[string][]string{fieldUntil: {fmt.Sprint(now.Add(time.Hour).Unix())}})
	c := l.last(1)
	want := deploytoken.Command{
		ID: inv.EnvelopeID, Kind: deploytoken.KindAskToWait, PersonID: person, Subject: "q1", Words: "my job", Until: now.Add(time.Hour),
		ChannelID: localChannel, ResponseURL: c.ResponseURL, Message: c.Message, At: now,
	}
	if c != want || c.ResponseURL == "" {
		t.Errorf("did %+v, want %+v", c, want)
	}
}

// TestDuplicateClicksOpenOneForm has Slack deliver each envelope twice.
func TestDuplicateClicksOpenOneForm(t *testing.T) {
	l := runLocal(t, nil)
	l.connected()
	person := localPerson(1)
	l.commands.draft = theirs(person, "")
	l.slack.DuplicateEnvelopes(1)
	l.click(person, l.post(releaseButton("h1")), releaseButton("h1"))
	l.form(person)
	eventually(t, "the duplicate came", func() bool { return strings.Contains(l.log.String(), "came before") })
	if n := len(l.forms(person)); n != 1 {
		t.Errorf("%d forms", n)
	}
	if got := l.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
}

type fakeHistory struct {
	mu      sync.Mutex
	entries []deploytoken.Entry
	err     error
	asked   []int
}

func (h *fakeHistory) Recent(_ context.Context, n int) ([]deploytoken.Entry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, n)
	return h.entries, h.err
}

func (h *fakeHistory) Link() string { return "https://sheets.example/s" }

func TestHistoryCommand(t *testing.T) {
	history := &fakeHistory{entries: []deploytoken.Entry{{Name: "Cat Poe", Purpose: "registry", Released: time.Now()}}}
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) { in.History = history })
	l.connected()
	person := localPerson(1)
	l.slash(person, "/deploy-token", "history 3")
	if m := l.sees(person, "Cat Poe"); m.EphemeralTo != person {
		t.Errorf("shown to everybody: %+v", m)
	}
	if len(history.asked) != 1 || history.asked[0] != 3 {
		t.Errorf("asked for %v entries", history.asked)
	}
	for text, want := range map[string]string{
		"history 21": howManyEntries, "give": howToGive, "force-release": howToForce,
	} {
		l.slash(person, "/deploy-token", text)
		l.sees(person, refusal(want).Text)
	}
	history.err = &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Google does not answer."}
	l.slash(person, "/deploy-token", "history")
	l.sees(person, "Google does not answer.")
	if got := l.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
}

// TestWorkflowCommands types each command that changes something.
func TestWorkflowCommands(t *testing.T) {
	checker := newSteppedChecker()
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) { in.Busy = checker })
	l.connected()
	person := localPerson(1)
	for n, tt := range []struct {
		command, text string
		want          deploytoken.Command
	}{
		{"/deploy-token", "wait for docs", deploytoken.Command{Kind: deploytoken.KindWait, Words: "docs"}},
		{"/deploy-token", "leave", deploytoken.Command{Kind: deploytoken.KindLeave}},
		{"/deploy-token", "give @person2", deploytoken.Command{Kind: deploytoken.KindGive, Subject: localPerson(2)}},
		{"/deploy-token", "force-release away", deploytoken.Command{Kind: deploytoken.KindForce, Words: "away"}},
		{"/kingfisher", "consent upgrade", deploytoken.Command{Kind: deploytoken.KindConsent, Words: "upgrade"}},
		{"/kingfisher", "watch free", deploytoken.Command{Kind: deploytoken.KindWatch, Subject: deploytoken.WatchFree}},
		{"/kingfisher", "unwatch", deploytoken.Command{Kind: deploytoken.KindUnwatch}},
	} {
		inv := l.slash(person, tt.command, tt.text)
		c := l.last(n + 1)
		tt.want.ID, tt.want.PersonID, tt.want.ChannelID, tt.want.ResponseURL, tt.want.At = inv.EnvelopeID, person, localChannel, c.ResponseURL, c.At
		if c != tt.want {
			t.Errorf("%s %s: did %+v, want %+v", tt.command, tt.text, c, tt.want)
		}
	}
}

func TestHome(t *testing.T) {
	history := &fakeHistory{entries: []deploytoken.Entry{{Name: "Cat Poe", Purpose: "registry", Released: time.Now()}}}
	checker := newSteppedChecker()
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) { in.History, in.Busy = history, checker })
	l.connected()
	person := localPerson(1)
	l.commands.draft = theirs(person, "upgrade")
	var mu sync.Mutex
	st := freeStatus
	holding := deploytoken.Holding{ID: "h1", Name: "Person 1", PersonID: person, Since: time.Now().Add(-time.Hour)}
	l.commands.status = func(context.Context) (deploytoken.Status, error) {
		mu.Lock()
		defer mu.Unlock()
		return st, nil
	}
	l.commands.do = func(_ context.Context, c deploytoken.Command) {
		mu.Lock()
		defer mu.Unlock()
		if c.Kind == deploytoken.KindPrefer {
			st.Matters.Preferences = []deploytoken.Preference{{PersonID: c.PersonID, Direct: c.Subject == deploytoken.RemindDirectly}}
		}
		if c.Kind == deploytoken.KindTake {
			st.Token, st.Holding = deploytoken.Token{State: deploytoken.Held, Holder: holding.Name}, &holding
		}
		if c.Kind == deploytoken.KindRelease {
			st.Token, st.Holding = freeStatus.Token, nil
		}
	}
	opens := func(who string) {
		t.Helper()
		if inv, err := l.slack.OpenHome(context.Background(), who); err != nil || !inv.Acked {
			t.Fatalf("opening the home of %s: %+v, %v", who, inv, err)
		}
	}
	opens(person)
	home := l.home(person, "Cat Poe")
	l.home(person, "Nobody holds the deploy token")

	// A click there is recorded without a place to answer, and shown there.
	l.click(person, home.Target(), preferButton(deploytoken.RemindDirectly))
	if c := l.last(1); c.Kind != deploytoken.KindPrefer || c.Subject != deploytoken.RemindDirectly || c.ChannelID != "" || c.ResponseURL != "" || c.Message != "" {
		t.Errorf("did %+v", c)
	}
	home = l.home(person, "by direct message.")
	l.click(person, home.Target(), takeButton(""))
	home = l.home(person, "You have")
	l.last(2)

	// So is a form that was opened there.
	l.click(person, home.Target(), releaseButton("h1"))
	l.submit(person, l.form(person), nil)
	if c := l.last(3); c.Kind != deploytoken.KindRelease || c.Holding != "h1" || c.Words != "upgrade" || c.ChannelID != "" || c.ResponseURL != "" {
		t.Errorf("did %+v", c)
	}
	home = l.home(person, "Nobody holds the deploy token")
	l.click(person, home.Target(), takeButton(""))
	l.last(4)
	l.home(person, "You have")

	// What can't be done is said there.
	if err := l.slack.AddFault(local.Fault{Method: "views.open", Kind: local.FaultServerError, Count: 1}); err != nil {
		t.Fatal(err)
	}
	home, _ = l.slack.Home(person)
	l.click(person, home.Target(), releaseButton("h1"))
	home = l.home(person, "The form didn't open")

	// A look at Kingfisher shows what it found.
	l.click(person, home.Target(), lookButton())
	l.home(person, "Looking at what runs")
	checker.steps <- deploytoken.CheckResult{Check: deploytoken.CheckTmux, State: deploytoken.Busy, Findings: []deploytoken.Finding{{Owner: "zed", What: "make secret_plan", Blocks: true}}}
	close(checker.steps)
	home = l.home(person, "zed")
	if strings.Contains(string(home.Blocks), "secret_plan") {
		t.Errorf("shows another's command: %s", home.Blocks)
	}

	// Who may not use the bot is told who may.
	opens(localGuest)
	if home := l.home(localGuest, "Only members"); strings.Contains(string(home.Blocks), "Cat Poe") {
		t.Errorf("a guest sees %s", home.Blocks)
	}

	// A part that can't be read spoils no other.
	history.mu.Lock()
	history.err = errors.New("no history")
	history.mu.Unlock()
	opens(person)
	l.home(person, "I can't read the history just now")
	l.home(person, "You have")
	l.commands.status = func(context.Context) (deploytoken.Status, error) {
		return deploytoken.Status{}, &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "No store."}
	}
	opens(person)
	l.home(person, "No store.")
	l.checkLog()
}

// TestHomeSurvives has the parts of a home fail in the worst way.
func TestHomeSurvives(t *testing.T) {
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) { in.History = panickyHistory{} })
	l.connected()
	person := localPerson(1)
	if _, err := l.slack.OpenHome(context.Background(), person); err != nil {
		t.Fatal(err)
	}
	l.home(person, "I can't read the history just now")
	l.commands.status = func(context.Context) (deploytoken.Status, error) { panic("status") }
	if _, err := l.slack.OpenHome(context.Background(), person); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the panic is logged", func() bool { return strings.Contains(l.log.String(), "panic while showing somebody their home") })
}

type panickyHistory struct{}

func (panickyHistory) Recent(context.Context, int) ([]deploytoken.Entry, error) { panic("history") }
func (panickyHistory) Link() string                                             { return "" }

// BenchmarkClickAck measures the time from a click to its acknowledgement, the
// local Slack's own part included.
func BenchmarkClickAck(b *testing.B) {
	l := runLocal(b, func(_ *local.Config, in *InboundConfig) { in.Members = memberFunc(everybody) })
	l.connected()
	l.commands.draft = func(string, string, string) (string, bool, error) { return "draft", true, nil }
	for name, on := range map[string]button{"form": releaseButton("h1"), "command": askButton("h1")} {
		b.Run(name, func(b *testing.B) {
			message := l.post(on)
			latencies := make([]time.Duration, 0, b.N)
			for b.Loop() {
				inv, err := l.slack.Click(context.Background(), localPerson(1), message, local.Action{ID: on.action})
				if err != nil || !inv.Acked {
					b.Fatalf("lost: %+v, %v", inv, err)
				}
				latencies = append(latencies, inv.Latency)
			}
			reportLatencies(b, latencies)
		})
	}
}
