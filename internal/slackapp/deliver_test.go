package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	sandbox "github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

const (
	sandboxBotToken = "xoxb-do-not-show-this"
	sandboxAppToken = "xapp-do-not-show-this"
	sandboxChannel  = "C0DEPLOY"
)

// movedClock is a clock that stands still until it is moved.
type movedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *movedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *movedClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// workspaceOf is a workspace with the deployers' channel.
func workspaceOf() sandbox.Config {
	return sandbox.Config{
		Team:     sandbox.Team{ID: "T0TEAM", Name: "Team"},
		App:      sandbox.App{ID: "A0APP", Name: "deploytoken", UserID: "U0BOT", BotID: "B0BOT"},
		BotToken: sandboxBotToken, AppToken: sandboxAppToken,
		AckTimeout: patience,
		Users: []sandbox.User{
			{ID: "U0ALICE", Name: "alice", RealName: "Alice Ng", DisplayName: "ali"},
			{ID: "U0BOB", Name: "bob", RealName: "Bob Brown"},
			{ID: "U0CAROL", Name: "carol", RealName: "Carol Clark"},
			{ID: "U0GONE", Name: "gone", RealName: "Gone", Deleted: true},
		},
		Channels: []sandbox.Channel{
			{ID: sandboxChannel, Name: "deploy", Members: []string{"U0ALICE", "U0BOB", "U0BOT"}},
			{ID: "C0OTHER", Name: "other", Members: []string{"U0ALICE"}},
		},
	}
}

func startSlack(t testing.TB, c sandbox.Config) *sandbox.Server {
	t.Helper()
	s, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	// The test's own context ends before its clients are done.
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func clientOf(s *sandbox.Server) *slack.Client {
	return NewClient(sandboxBotToken, sandboxAppToken, s.URL()+"/api")
}

func delivererOf(s *sandbox.Server) *Deliverer {
	c := clientOf(s)
	return NewDeliverer(c, testOverride)
}

// listen connects to the sandbox as the bot does, acknowledges all, and returns
// the payloads.
func listen(t testing.TB, s *sandbox.Server) <-chan map[string]any {
	t.Helper()
	_, address, err := clientOf(s).StartSocketModeContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ws, _, err := websocket.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	if _, _, err := ws.Read(t.Context()); err != nil { // the hello
		t.Fatal(err)
	}
	payloads := make(chan map[string]any, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, data, err := ws.Read(context.WithoutCancel(t.Context()))
			if err != nil {
				return
			}
			var e struct {
				ID      string         `json:"envelope_id"`
				Payload map[string]any `json:"payload"`
			}
			if json.Unmarshal(data, &e) != nil || e.ID == "" {
				continue
			}
			payloads <- e.Payload
			ws.Write(t.Context(), websocket.MessageText, []byte(`{"envelope_id":"`+e.ID+`"}`))
		}
	}()
	t.Cleanup(func() {
		ws.CloseNow()
		<-done
	})
	return payloads
}

// typed returns a command as typed by Alice now, with its response URL.
func typed(t testing.TB, s *sandbox.Server, payloads <-chan map[string]any, now time.Time) *deploytoken.Command {
	t.Helper()
	inv, err := s.Slash(t.Context(), "U0ALICE", sandboxChannel, "/deploy-token", "take")
	if err != nil || inv.Trouble != "" {
		t.Fatalf("the command did not come: %+v, %v", inv, err)
	}
	p := await(t.(*testing.T), payloads, "the command")
	return &deploytoken.Command{
		ID: "e1", Kind: deploytoken.KindTake, PersonID: "U0ALICE", ChannelID: sandboxChannel,
		ResponseURL: p["response_url"].(string), At: now,
	}
}

// delivery completes one to the channel.
func delivery(n deploytoken.Notice, h *deploytoken.Holding) deploytoken.Delivery {
	n.At = ago(time.Second)
	return deploytoken.Delivery{
		Key: string(n.Kind) + ":h1", Destination: deploytoken.ToChannel(sandboxChannel), Notice: n, Holding: h,
		Attempt: 1, Inserted: time.Now().Add(-time.Second), At: noon, Link: testDocument, HistoryLink: testHistory,
	}
}

func answerTo(c *deploytoken.Command, o deploytoken.Outcome) deploytoken.Delivery {
	d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeAnswer, Outcome: o, Token: heldBy("Bob"), PersonID: c.PersonID}, bob())
	d.Destination, d.Command = deploytoken.ToPerson(c.PersonID), c
	return d
}

func deliver(t testing.TB, s *Deliverer, d deploytoken.Delivery) deploytoken.Receipt {
	t.Helper()
	r, told, err := s.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + len(d.Late); told != want {
		t.Errorf("%s: %d told, want %d", d.Key, told, want)
	}
	return r
}

func actionsOf(m sandbox.Message) []string {
	var ids []string
	for _, e := range m.Elements() {
		ids = append(ids, e.ActionID)
	}
	return ids
}

func TestChannelMessageFromTakeToRelease(t *testing.T) {
	s := startSlack(t, workspaceOf())
	out := delivererOf(s)
	taken := deliver(t, out, delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice()))
	if taken.Channel != sandboxChannel || taken.Timestamp == "" {
		t.Fatalf("receipt %+v", taken)
	}
	first := s.Messages(sandboxChannel)[0]
	if got := actionsOf(first); !slices.Equal(got, []string{actionRelease, actionAsk}) || first.Elements()[0].Value != "h1" {
		t.Errorf("elements %+v", first.Elements())
	}
	if want := `"event_payload":{"key":"taken:h1"}`; !strings.Contains(string(first.Metadata), want) {
		t.Errorf("metadata %s, want %s", first.Metadata, want)
	}

	reminder := deliver(t, out, delivery(deploytoken.Notice{Kind: deploytoken.NoticeReminder, Number: 1}, alice()))
	again := delivery(deploytoken.Notice{Kind: deploytoken.NoticeReminder, Number: 2}, alice())
	again.Thread = reminder
	deliver(t, out, again)
	if thread := s.Thread(sandboxChannel, reminder.Timestamp); len(thread) != 2 || strings.Contains(thread[1].Text, "<@") {
		t.Errorf("thread %+v", thread)
	}

	over := delivery(deploytoken.Notice{Kind: deploytoken.NoticeRetired}, with(alice(), ended))
	over.Edits = taken
	if r := deliver(t, out, over); r != taken {
		t.Errorf("receipt of the edit %+v, want %+v", r, taken)
	}
	first = s.Messages(sandboxChannel)[0]
	if len(first.Elements()) != 0 || !strings.Contains(first.Text, "had the deploy token") || len(first.Blocks) == 0 {
		t.Errorf("the edited message: %s %s", first.Text, first.Blocks)
	}
	if got := len(s.Messages(sandboxChannel)); got != 3 {
		t.Errorf("%d messages, want 3", got)
	}
}

func TestNothingIsSentOfWhatIsOver(t *testing.T) {
	s := startSlack(t, workspaceOf())
	out := delivererOf(s)
	for _, d := range []deploytoken.Delivery{
		delivery(deploytoken.Notice{Kind: deploytoken.NoticeRetired}, with(alice(), ended)), // whose message was never seen to be sent
		delivery(deploytoken.Notice{Kind: deploytoken.NoticeReminder, Number: 1}, with(alice(), ended)),
	} {
		if r := deliver(t, out, d); r != (deploytoken.Receipt{}) {
			t.Errorf("%s: receipt %+v", d.Key, r)
		}
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("calls %+v", calls)
	}
}

func TestDeletedMessageIsNotEdited(t *testing.T) {
	s := startSlack(t, workspaceOf())
	d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeRetired}, with(alice(), ended))
	d.Edits = deploytoken.Receipt{Channel: sandboxChannel, Timestamp: "1.000001"}
	deliver(t, delivererOf(s), d)
}

func TestSummaryIsNoMessageToEdit(t *testing.T) {
	s := startSlack(t, workspaceOf())
	d := lateSummary()
	d.Key, d.Destination, d.At, d.Inserted = "began:h1", deploytoken.ToChannel(sandboxChannel), noon, time.Now()
	// The second attempt finds what the first has posted.
	for d.Attempt = 1; d.Attempt <= 2; d.Attempt++ {
		if r := deliver(t, delivererOf(s), d); r != (deploytoken.Receipt{}) {
			t.Errorf("attempt %d: receipt %+v", d.Attempt, r)
		}
	}
	m := s.Messages(sandboxChannel)
	if len(m) != 1 || !strings.Contains(m[0].Text, "Carol Wu took the deploy token") {
		t.Errorf("messages %+v", m)
	}
}

func TestAnswersGoWhereTheyWereAsked(t *testing.T) {
	s := startSlack(t, workspaceOf())
	payloads := listen(t, s)
	out := delivererOf(s)
	c := typed(t, s, payloads, ago(time.Minute))
	if r := deliver(t, out, answerTo(c, deploytoken.OutcomeHeld)); r != (deploytoken.Receipt{}) {
		t.Errorf("receipt %+v", r)
	}
	seen := s.Visible("U0ALICE", sandboxChannel)
	if len(seen) != 1 || !strings.Contains(seen[0].Text, "Bob") || !slices.Equal(actionsOf(seen[0]), []string{actionAsk, actionWait}) {
		t.Fatalf("Alice sees %+v", seen)
	}
	if others := s.Visible("U0BOB", sandboxChannel); len(others) != 0 {
		t.Errorf("Bob sees %+v", others)
	}
}

func TestAnswersToAClickLeaveTheMessage(t *testing.T) {
	s := startSlack(t, workspaceOf())
	payloads := listen(t, s)
	out := delivererOf(s)
	taken := deliver(t, out, delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice()))
	before := s.Messages(sandboxChannel)[0]
	if inv, err := s.Click(t.Context(), "U0BOB", before.Target(), sandbox.Action{ID: actionAsk}); err != nil || inv.Trouble != "" {
		t.Fatalf("the click did not come: %+v, %v", inv, err)
	}
	p := await(t, payloads, "the click")
	c := &deploytoken.Command{
		ID: "e2", Kind: deploytoken.KindAsk, PersonID: "U0BOB", Holding: "h1", ChannelID: sandboxChannel,
		ResponseURL: p["response_url"].(string), Message: taken.Timestamp, At: ago(time.Second),
	}
	deliver(t, out, answerTo(c, deploytoken.OutcomeAsked))
	if after := s.Messages(sandboxChannel); len(after) != 1 || after[0].Text != before.Text || after[0].EditedTS != "" {
		t.Errorf("the channel's message is now %+v", after)
	}
	if seen := s.Visible("U0BOB", sandboxChannel); len(seen) != 2 || !strings.Contains(seen[1].Text, "direct message") {
		t.Errorf("Bob sees %+v", seen)
	}
}

func TestAnswersThatCannotGoThereAreDirectMessages(t *testing.T) {
	clock := &movedClock{now: time.Now()}
	config := workspaceOf()
	config.Clock = clock.Now
	s := startSlack(t, config)
	payloads := listen(t, s)
	out := delivererOf(s)

	tests := []struct {
		name   string
		change func(*deploytoken.Command)
	}{
		{"erased", func(c *deploytoken.Command) { c.ResponseURL = "" }},
		{"old by the bot's clock", func(c *deploytoken.Command) { c.At = ago(answerableFor) }},
		{"unknown to Slack", func(c *deploytoken.Command) { c.ResponseURL += "x" }},
		{"used up", func(c *deploytoken.Command) {
			for range 5 {
				if err := out.responder.respond(t.Context(), c.ResponseURL, say(line{words("So far.")}), true); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"expired", func(*deploytoken.Command) { clock.move(31 * time.Minute) }},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := typed(t, s, payloads, ago(time.Second))
			tt.change(c)
			r := deliver(t, out, answerTo(c, deploytoken.OutcomeHeld))
			direct := s.Direct("U0ALICE")
			if len(direct) != i+1 || !strings.Contains(direct[i].Text, "Bob") || r.Timestamp != direct[i].TS || !strings.HasPrefix(r.Channel, "D") {
				t.Errorf("receipt %+v, direct messages %+v", r, direct)
			}
		})
	}
}

func TestAskedIsADirectMessage(t *testing.T) {
	s := startSlack(t, workspaceOf())
	d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeAsked, PersonID: "U0BOB"}, alice())
	d.Destination = deploytoken.ToPerson("U0ALICE")
	deliver(t, delivererOf(s), d)
	if m := s.Direct("U0ALICE"); len(m) != 1 || !slices.Equal(actionsOf(m[0]), []string{actionRelease}) {
		t.Errorf("Alice was told %+v", m)
	}
}

func TestErrorsOfDelivery(t *testing.T) {
	channel := delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice())
	person := func(id string) deploytoken.Delivery {
		d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeAsked, PersonID: "U0BOB"}, alice())
		d.Destination = deploytoken.ToPerson(id)
		return d
	}
	fault := func(method string, kind sandbox.FaultKind, word string) func(*sandbox.Server) error {
		return func(s *sandbox.Server) error {
			return s.AddFault(sandbox.Fault{Method: method, Kind: kind, Error: word, RetryAfter: 7 * time.Second})
		}
	}
	const post = "chat.postMessage"
	elsewhere := channel
	elsewhere.Destination = deploytoken.ToChannel("C0OTHER")
	nowhere := channel
	nowhere.Destination = deploytoken.ToChannel("C0NONE")
	edit := delivery(deploytoken.Notice{Kind: deploytoken.NoticeRetired}, with(alice(), ended))
	edit.Edits = deploytoken.Receipt{Channel: sandboxChannel, Timestamp: "1.2"}
	sheet := channel
	sheet.Destination = deploytoken.ToSheet

	tests := []struct {
		name  string
		d     deploytoken.Delivery
		fault func(*sandbox.Server) error
		kind  error
		says  string
	}{
		{"no answer", channel, fault(post, sandbox.FaultLost, ""), deploytoken.ErrAmbiguous, "does not answer"},
		{"server error", channel, fault(post, sandbox.FaultServerError, ""), deploytoken.ErrAmbiguous, "does not answer"},
		{"fatal error", channel, fault(post, sandbox.FaultError, "fatal_error"), deploytoken.ErrAmbiguous, "trouble"},
		{"rate limit", channel, fault(post, sandbox.FaultRateLimited, ""), deploytoken.ErrUnavailable, "fewer calls"},
		{"not in the channel", elsewhere, nil, deploytoken.ErrMisconfigured, "/invite"},
		{"no such channel", nowhere, nil, deploytoken.ErrMisconfigured, "slack.channel"},
		{"archived", channel, fault(post, sandbox.FaultError, "is_archived"), deploytoken.ErrMisconfigured, "archived"},
		{"revoked", channel, fault(post, sandbox.FaultError, "token_revoked"), deploytoken.ErrMisconfigured, "SLACK_BOT_TOKEN"},
		{"revoked, to a person", person("U0ALICE"), fault("conversations.open", sandbox.FaultError, "token_revoked"), deploytoken.ErrMisconfigured, "SLACK_BOT_TOKEN"},
		{"scope to write to a person", person("U0ALICE"), func(s *sandbox.Server) error { s.SetScopes("chat:write"); return nil }, deploytoken.ErrMisconfigured, "im:write"},
		{"scope", channel, func(s *sandbox.Server) error { s.SetScopes("im:write"); return nil }, deploytoken.ErrMisconfigured, "chat:write"},
		{"unknown word", channel, fault(post, sandbox.FaultError, "some_new_thing"), deploytoken.ErrMisconfigured, "some_new_thing"},
		{"unknown word to a person", person("U0ALICE"), fault(post, sandbox.FaultError, "restricted_action"), deploytoken.ErrRefused, "restricted_action"},
		{"the app is shut out", person("U0ALICE"), fault(post, sandbox.FaultError, "access_denied"), deploytoken.ErrMisconfigured, "access_denied"},
		{"too long", channel, fault(post, sandbox.FaultError, "msg_too_long"), deploytoken.ErrUndeliverable, "msg_too_long"},
		{"nobody", person("U0NONE"), nil, deploytoken.ErrUndeliverable, "knows no such person"},
		{"deleted account", person("U0GONE"), nil, deploytoken.ErrUndeliverable, "deactivated"},
		{"a bot", person("USLACKBOT"), nil, deploytoken.ErrUndeliverable, "are a bot"},
		{"direct message not opened", person("U0ALICE"), fault("conversations.open", sandbox.FaultServerError, ""), deploytoken.ErrUnavailable, "does not answer"},
		{"edit", edit, fault("chat.update", sandbox.FaultError, "edit_window_closed"), deploytoken.ErrUndeliverable, "edit_window_closed"},
		{"no messenger's", sheet, nil, deploytoken.ErrUndeliverable, "sheet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startSlack(t, workspaceOf())
			if tt.fault != nil {
				if err := tt.fault(s); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := delivererOf(s).Deliver(t.Context(), tt.d)
			if !errors.Is(err, tt.kind) {
				t.Fatalf("error %v, want %v", err, tt.kind)
			}
			f, ok := errors.AsType[*deploytoken.Fault](err)
			if !ok || !strings.Contains(f.Message, tt.says) {
				t.Errorf("%q doesn't say %q", err, tt.says)
			}
			if tt.kind == deploytoken.ErrMisconfigured && strings.HasPrefix(tt.d.Destination, deploytoken.ToPerson("")) && errors.Is(err, deploytoken.ErrRefused) {
				t.Errorf("%v would be given up", err)
			}
			if strings.Contains(err.Error(), "do-not-show-this") || strings.Contains(err.Error(), "http://") {
				t.Errorf("the error gives away too much: %v", err)
			}
			if want := 7 * time.Second; tt.name == "rate limit" && f.RetryAfter != want {
				t.Errorf("retry after %v, want %v", f.RetryAfter, want)
			}
		})
	}
}

func TestUnreachableSlack(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	wrong := NewClient(sandboxBotToken, "", address+"/api/")
	_, err := Identify(t.Context(), wrong)
	if !errors.Is(err, deploytoken.ErrMisconfigured) || !strings.Contains(err.Error(), "slack.api_url") {
		t.Errorf("a wrong address: %v", err)
	}
	server.Close()
	out := NewDeliverer(NewClient(sandboxBotToken, "", address), "")
	_, _, err = out.Deliver(t.Context(), delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice()))
	if !errors.Is(err, deploytoken.ErrUnavailable) || errors.Is(err, deploytoken.ErrAmbiguous) {
		t.Errorf("no connection: %v", err)
	}
	err = newResponder().respond(t.Context(), address+"/response/do-not-show-this", say(line{words("x")}), true)
	if !errors.Is(err, deploytoken.ErrUnavailable) || strings.Contains(err.Error(), "do-not-show-this") {
		t.Errorf("no connection for an answer: %v", err)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	err := newResponder().respond(t.Context(), server.URL, say(line{words("x")}), true)
	if !errors.Is(err, deploytoken.ErrUndeliverable) {
		t.Errorf("error %v", err)
	}
}

func TestPostWithoutAnswerIsFoundAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		scopes []string
		thread bool
		want   int
	}{
		{"may read the channel", []string{"chat:write", "channels:history"}, false, 1},
		{"may read the thread", []string{"chat:write", "channels:history"}, true, 1},
		{"may not read the channel", []string{"chat:write"}, false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startSlack(t, workspaceOf())
			out := delivererOf(s)
			d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeReminder, Number: 2}, alice())
			before := 0
			if tt.thread {
				d.Thread = deliver(t, out, delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice()))
				before = 1
			}
			s.SetScopes(tt.scopes...)
			if err := s.AddFault(sandbox.Fault{Method: "chat.postMessage", Kind: sandbox.FaultLost, Count: 1}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := out.Deliver(t.Context(), d); !errors.Is(err, deploytoken.ErrAmbiguous) {
				t.Fatalf("first attempt: %v", err)
			}
			d.Attempt = 2
			r := deliver(t, out, d)
			m := s.Messages(sandboxChannel)[before:]
			if len(m) != tt.want || r.Timestamp != m[len(m)-1].TS {
				t.Errorf("receipt %+v, messages %+v", r, m)
			}
		})
	}
}

// Between the attempts, what is late has become more, and so a summary: of what
// an earlier one told, none is told again, and none of the rest is passed over.
func TestSummaryTellsWhatWasNotTold(t *testing.T) {
	at := func(key, name string) deploytoken.Delivery {
		h := alice()
		h.Name = name
		d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, h)
		d.Key = key
		return d
	}
	all := []deploytoken.Delivery{at("began:h1", "Ann"), at("began:h2", "Ben"), at("began:h3", "Cat"), at("began:h4", "Dan")}
	together := func(n int) deploytoken.Delivery {
		d := all[0]
		d.Late = all[1:n]
		return d
	}
	for _, tt := range []struct {
		name   string
		before int // how many the first attempt told
		after  int // how many the second is to tell
		told   int
		thread bool
	}{
		{"one, then a summary", 1, 4, 1, false},
		{"one in a thread, then a summary", 1, 4, 1, true},
		{"a summary, then a longer one", 3, 4, 3, false},
		{"a summary, then the same", 4, 4, 4, false},
		{"a summary, then a shorter one", 4, 2, 2, false},
		{"a summary, then one, by a clock that was set back", 4, 1, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startSlack(t, workspaceOf())
			out := delivererOf(s)
			var thread deploytoken.Receipt
			before := 0
			if tt.thread {
				thread = deliver(t, out, at("began:h0", "Zoe"))
				before = 1
			}
			s.SetScopes("chat:write", "channels:history")
			if err := s.AddFault(sandbox.Fault{Method: "chat.postMessage", Kind: sandbox.FaultLost, Count: 1}); err != nil {
				t.Fatal(err)
			}
			first, second := together(tt.before), together(tt.after)
			first.Thread, second.Thread = thread, thread
			if _, _, err := out.Deliver(t.Context(), first); !errors.Is(err, deploytoken.ErrAmbiguous) {
				t.Fatalf("first attempt: %v", err)
			}
			second.Attempt, second.At = 9, second.At.Add(2*time.Hour)
			r, told, err := out.Deliver(t.Context(), second)
			if err != nil {
				t.Fatal(err)
			}
			m := s.Messages(sandboxChannel)[before:]
			if told != tt.told || len(m) != 1 {
				t.Fatalf("%d told, want %d, by %d messages, want 1", told, tt.told, len(m))
			}
			want := deploytoken.Receipt{}
			if tt.before == 1 {
				want = deploytoken.Receipt{Channel: sandboxChannel, Timestamp: m[0].TS}
			}
			if r != want {
				t.Errorf("receipt %+v, want %+v", r, want)
			}
			if told == len(all) {
				return
			}
			rest := all[told]
			rest.Late = all[told+1:]
			deliver(t, out, rest)
			m = s.Messages(sandboxChannel)[before:]
			for _, d := range all[max(told, tt.before):] {
				if !strings.Contains(m[1].Text, d.Holding.Name) {
					t.Errorf("%s is not told: %s", d.Holding.Name, m[1].Text)
				}
			}
		})
	}
}

func TestHistoryThatCannotBeReadNowDelaysTheSecondAttempt(t *testing.T) {
	s := startSlack(t, workspaceOf())
	if err := s.AddFault(sandbox.Fault{Method: "conversations.history", Kind: sandbox.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	d := delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice())
	d.Attempt = 2
	if _, _, err := delivererOf(s).Deliver(t.Context(), d); !errors.Is(err, deploytoken.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if m := s.Messages(sandboxChannel); len(m) != 0 {
		t.Errorf("messages %+v", m)
	}
}

func TestRefusedBlocksLeaveTheText(t *testing.T) {
	s := startSlack(t, workspaceOf())
	out := delivererOf(s)
	for _, method := range []string{"chat.postMessage", "chat.update"} {
		if err := s.AddFault(sandbox.Fault{Method: method, Kind: sandbox.FaultError, Error: "invalid_blocks", Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	r := deliver(t, out, delivery(deploytoken.Notice{Kind: deploytoken.NoticeTaken}, alice()))
	if m := s.Messages(sandboxChannel); len(m) != 1 || !strings.Contains(m[0].Text, "took the deploy token") {
		t.Errorf("messages %+v", m)
	}
	over := delivery(deploytoken.Notice{Kind: deploytoken.NoticeRetired}, with(alice(), ended))
	over.Edits = r
	deliver(t, out, over)
	if m := s.Messages(sandboxChannel); !strings.Contains(m[0].Text, "had the deploy token") {
		t.Errorf("messages %+v", m)
	}
}

// TestAllMessagesAreWithinSlacksLimits posts every message, and the worst that
// people can make of each.
func TestAllMessagesAreWithinSlacksLimits(t *testing.T) {
	s := startSlack(t, workspaceOf())
	out := delivererOf(s)
	all := messages()
	for i, nasty := range []string{
		strings.Repeat("W", 4_000),
		strings.Repeat("😀", 4_000),
		strings.Repeat("`*_~<@U0BOB>&<!channel>|", 170),
		strings.Repeat("ab\n\u202e\u0000", 800),
		strings.Repeat("שלום עולם ", 400),
		strings.Repeat("https://example.com/"+strings.Repeat("p", 300)+" ", 12),
		strings.Repeat("&", 4_000),
	} {
		for name, m := range worst(nasty) {
			all[fmt.Sprintf("worst %d, %s", i, name)] = m
		}
	}
	for name, m := range all {
		if _, err := out.post(t.Context(), sandboxChannel, name, "", m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m.Text == "" || strings.Contains(m.Text, "<!channel>") {
			t.Errorf("%s: text %q", name, m.Text)
		}
	}
	for _, c := range s.Calls() {
		if c.Error != "" {
			t.Errorf("%s: %s", c.Method, c.Error)
		}
	}
	for _, m := range s.Messages(sandboxChannel) {
		if len(m.Blocks) == 0 {
			t.Errorf("a message without blocks: %s", m.Text)
		}
	}
}

// worst are messages with nasty wherever people's words stand.
func worst(nasty string) map[string]Message {
	h := alice()
	h.Name, h.Purpose, h.Summary = nasty, nasty, nasty
	over := *h
	over.Ended = noon
	t := &deploytoken.Token{State: deploytoken.Held, Holder: nasty}
	m := map[string]Message{
		"not understood": notUnderstood(commandToken, nasty, true),
		"refusal":        refusal(nasty),
	}
	queue := nastyQueue(nasty)
	for _, o := range constants("Outcome") {
		d := answerOf(deploytoken.Outcome(o), deploytoken.KindRelease, h, t)
		d.Notice.Detail, d.Command.Words, d.Matter = nasty, nasty, nastily(d.Matter, nasty)
		m["answer "+o] = tell(d)
		m["late answer "+o] = tell(late(d))
	}
	busy := late(answerOf(deploytoken.OutcomeBusy, deploytoken.KindTake, h, t))
	busy.Matter = nastily(busy.Matter, nasty)
	busy.Now.Token, busy.Now.Matters.Waiters = *freeToken, queue
	m["late answer, busy and waiting"] = tell(busy)
	for _, k := range constants("NoticeKind") {
		for _, destination := range []string{deploytoken.ToPerson("U0BOB"), deploytoken.ToPerson("U0CAROL"), deploytoken.ToChannel("C1")} {
			d := notice(deploytoken.NoticeKind(k), h, previous(&over), read(t), edited(nasty), to(destination), of(nastily(matterOfNotice(deploytoken.NoticeKind(k)), nasty)))
			d.Notice.Detail, d.Notice.Name, d.Notice.Works = nasty, nasty, nastyWorks(nasty)
			if message, ok := tellIf(d); ok {
				m["notice "+k+" to "+destination] = message
			}
		}
	}
	offered := deploytoken.Offer{ID: "o1", Holding: h.ID, FromID: "U0ALICE", From: nasty, ToID: "U0BOB", To: nasty}
	for _, st := range []deploytoken.Status{
		status(h, deploytoken.Matters{Waiters: queue, Offers: []deploytoken.Offer{offered}, Deployments: []deploytoken.Deployment{*deployment(holds)}}),
		status(nil, deploytoken.Matters{Waiters: queue}),
	} {
		m["status, "+st.Token.State.String()] = statusMessage(st, "U0BOB", noon)
	}
	d := lateSummary()
	for range 50 {
		d.Late = append(d.Late,
			deploytoken.Delivery{Notice: deploytoken.Notice{Kind: deploytoken.NoticeTrouble, Detail: nasty}},
			deploytoken.Delivery{Notice: deploytoken.Notice{Kind: deploytoken.NoticeChanged, Token: t}})
	}
	m["summary"] = tell(d)
	var r deploytoken.BusyReport
	for _, check := range deploytoken.Checks() {
		c := deploytoken.CheckResult{Check: check, State: deploytoken.Busy, Reason: nasty}
		for range 500 {
			c.Findings = append(c.Findings, deploytoken.Finding{Owner: nasty, OwnerID: "U0BOB", What: nasty, Where: nasty, Note: nasty, Age: time.Hour, Blocks: true})
		}
		r.Checks = append(r.Checks, c)
	}
	m["busy"] = busyMessage(r, nil, "U0ALICE", busyOptions{OverrideURL: testOverride})
	m["busy, public"] = busyMessage(r, nil, "", busyOptions{OverrideURL: testOverride})
	return m
}

func nastyQueue(nasty string) []deploytoken.Waiter {
	list := make([]deploytoken.Waiter, 50)
	for i := range list {
		list[i] = deploytoken.Waiter{ID: fmt.Sprint(i), PersonID: fmt.Sprint("U", i), Name: nasty, Purpose: nasty, Since: ago(time.Hour)}
	}
	list[0].Turn = noon.Add(time.Minute)
	return list
}

func nastyWorks(nasty string) []deploytoken.Work {
	list := make([]deploytoken.Work, 500)
	for i := range list {
		list[i] = deploytoken.Work{Check: deploytoken.CheckTmux, Owner: nasty, OwnerID: "U0BOB", What: nasty, Where: nasty, Note: nasty, Since: ago(time.Hour)}
	}
	return list
}

// nastily is the matter with nasty wherever people's words stand, and as much of
// everything as there may be.
func nastily(m deploytoken.Matter, nasty string) deploytoken.Matter {
	switch m := m.(type) {
	case *deploytoken.Waiter:
		m.Name, m.Purpose = nasty, nasty
	case *deploytoken.Offer:
		m.From, m.To = nasty, nasty
	case *deploytoken.Question:
		m.Name, m.By, m.Purpose, m.Answerer, m.Why, m.Works = nasty, nasty, nasty, nasty, nasty, nastyWorks(nasty)
		m.Answer, m.Until = deploytoken.AnswerWait, noon
	case *deploytoken.Deployment:
		m.Name, m.Purpose, m.Unknown, m.Standing, m.Report.Checks = nasty, nasty, slices.Repeat([]string{nasty}, 20), nil, nil
		for i := range 50 {
			m.Standing = append(m.Standing, deploytoken.Standing{
				OwnerID: fmt.Sprint("U", i), Name: nasty, Marks: slices.Repeat([]string{nasty}, 5), Works: nastyWorks(nasty)[:i],
				Answer: deploytoken.AnswerWait, By: nasty, Until: noon, Why: nasty,
			})
		}
		m.Standing[0].OwnerID, m.Standing[0].Name = "", ""
		for _, check := range deploytoken.Checks() {
			c := deploytoken.CheckResult{Check: check, State: deploytoken.Busy, Partial: true, Reason: nasty}
			for range 500 {
				c.Findings = append(c.Findings, deploytoken.Finding{Owner: nasty, OwnerID: "U0BOB", What: nasty, Where: nasty, Note: nasty, Age: time.Hour, Blocks: true})
			}
			m.Report.Checks = append(m.Report.Checks, c)
		}
	}
	return m
}

func TestDirectMessagesAreEdited(t *testing.T) {
	s := startSlack(t, workspaceOf())
	out := delivererOf(s)
	to := func(n deploytoken.Notice, m deploytoken.Matter) deploytoken.Delivery {
		d := delivery(n, nil)
		d.Destination, d.Matter = deploytoken.ToPerson("U0BOB"), m
		return d
	}
	first := deliver(t, out, to(deploytoken.Notice{Kind: deploytoken.NoticeQuestion}, question()))
	if !strings.HasPrefix(first.Channel, "D") || first.Timestamp == "" {
		t.Fatalf("receipt %+v", first)
	}
	for _, step := range []struct {
		question *deploytoken.Question
		buttons  []string
	}{
		{question(agreed), []string{actionAskToWait}},
		{question(wait), []string{actionAgree}},
		{question(wait, allEnded), nil},
	} {
		edit := to(deploytoken.Notice{Kind: deploytoken.NoticeQuestion, Edits: "question:q1"}, step.question)
		edit.Edits = first
		if r := deliver(t, out, edit); r != first {
			t.Errorf("receipt of the edit %+v, want %+v", r, first)
		}
		m := s.Direct("U0BOB")
		if len(m) != 1 || !slices.Equal(actionsOf(m[0]), step.buttons) || m[0].EditedTS == "" {
			t.Errorf("Bob sees %+v", m)
		}
	}
}

func TestEditsOfWhatWasNeverSentAreNotSent(t *testing.T) {
	s := startSlack(t, workspaceOf())
	out := delivererOf(s)
	for _, n := range []struct {
		kind   deploytoken.NoticeKind
		matter deploytoken.Matter
	}{
		{deploytoken.NoticeTurnOver, waiter(left(deploytoken.WaiterLapsed))},
		{deploytoken.NoticeOfferOver, offer(deploytoken.OfferDeclined)},
		{deploytoken.NoticeQuestion, question(agreed)},
		{deploytoken.NoticeConsent, deployment()},
	} {
		d := delivery(deploytoken.Notice{Kind: n.kind, Edits: "first"}, nil)
		d.Destination, d.Matter = deploytoken.ToPerson("U0BOB"), n.matter
		if r := deliver(t, out, d); r != (deploytoken.Receipt{}) {
			t.Errorf("%s: receipt %+v", n.kind, r)
		}
	}
	if calls := s.Calls(); len(calls) != 0 {
		t.Errorf("calls %+v", calls)
	}
}

func TestLookingIsSaidWhereTheAnswerWillStand(t *testing.T) {
	s := startSlack(t, workspaceOf())
	payloads := listen(t, s)
	out := delivererOf(s)
	c := typed(t, s, payloads, ago(2*time.Second))
	looking := delivery(deploytoken.Notice{Kind: deploytoken.NoticeLooking}, nil)
	looking.Destination, looking.Command = deploytoken.ToPerson("U0ALICE"), c
	deliver(t, out, looking)
	seen := s.Visible("U0ALICE", sandboxChannel)
	if len(seen) != 1 || !strings.Contains(seen[0].Text, "Looking at what runs") {
		t.Fatalf("Alice sees %+v", seen)
	}
	busy := answerTo(c, deploytoken.OutcomeBusy)
	busy.Matter = deployment()
	deliver(t, out, busy)
	seen = s.Visible("U0ALICE", sandboxChannel)
	if last := seen[len(seen)-1]; !slices.Contains(actionsOf(last), actionTakeAnyway) {
		t.Errorf("Alice sees %+v", seen)
	}

	// Where it can't stand there, or not in time, nothing is said.
	before := len(seen)
	for name, change := range map[string]func(d *deploytoken.Delivery, c *deploytoken.Command){
		"the address is erased":      func(_ *deploytoken.Delivery, c *deploytoken.Command) { c.ResponseURL = "" },
		"the address isn't known":    func(_ *deploytoken.Delivery, c *deploytoken.Command) { c.ResponseURL += "x" },
		"it comes too late":          func(d *deploytoken.Delivery, _ *deploytoken.Command) { d.Notice.At = ago(time.Minute) },
		"it may have been said once": func(d *deploytoken.Delivery, _ *deploytoken.Command) { d.Attempt = 2 },
		"no command is known":        func(d *deploytoken.Delivery, _ *deploytoken.Command) { d.Command = nil },
	} {
		d, command := looking, *c
		d.Command = &command
		change(&d, &command)
		if r := deliver(t, out, d); r != (deploytoken.Receipt{}) {
			t.Errorf("%s: receipt %+v", name, r)
		}
		if m := s.Direct("U0ALICE"); len(m) != 0 || len(s.Visible("U0ALICE", sandboxChannel)) != before {
			t.Errorf("%s: Alice was told %+v", name, m)
		}
	}
}

func TestResponsesAreEphemeralAndReplace(t *testing.T) {
	bodies := make(chan map[string]any, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		bodies <- body
		io.WriteString(w, "ok")
	}))
	defer server.Close()
	out := NewDeliverer(NewClient(sandboxBotToken, "", server.URL), "")
	c := command(deploytoken.KindAsk)
	c.ResponseURL = server.URL
	deliver(t, out, answerTo(c, deploytoken.OutcomeHeld))
	c.Message = "1.2"
	deliver(t, out, answerTo(c, deploytoken.OutcomeHeld))
	for _, replaces := range []bool{true, false} {
		if b := await(t, bodies, "an answer"); b["replace_original"] != replaces || b["response_type"] != "ephemeral" || b["text"] == "" || b["blocks"] == nil {
			t.Errorf("sent %v", b)
		}
	}
}

// TestCheckSaysWhatIsDoneLessWell: who lets the bot look for messages hears of
// nothing.
func TestCheckSaysWhatIsDoneLessWell(t *testing.T) {
	for _, more := range append(OptionalScopes(), "") {
		s := startSlack(t, workspaceOf())
		s.SetScopes(append(RequiredScopes(), more)...)
		remark, err := Check(t.Context(), clientOf(s), sandboxChannel)
		if err != nil || strings.Contains(remark, "channels:history") == strings.HasSuffix(more, ":history") {
			t.Errorf("with %q: %q, %v", more, remark, err)
		}
	}
}

func TestCheck(t *testing.T) {
	config := workspaceOf()
	config.UserGroups = []sandbox.UserGroup{{ID: "S0DEPLOY", Handle: "deployers", Members: []string{"U0ALICE"}}}
	tests := []struct {
		name    string
		channel string
		group   string
		change  func(*sandbox.Server)
		says    []string
	}{
		{"all well", sandboxChannel, "S0DEPLOY", nil, nil},
		{"not in the channel", "C0OTHER", "", nil, []string{"/invite @deploytoken", "#other"}},
		{"no such channel", "C0NONE", "", nil, []string{"slack.channel"}},
		{"no such group", sandboxChannel, "S0NONE", nil, []string{"S0NONE"}},
		{"a scope is missing", sandboxChannel, "S0DEPLOY", func(s *sandbox.Server) {
			s.SetScopes("commands", "chat:write", "users:read", "channels:read")
		}, []string{"im:write", "usergroups:read", "OAuth & Permissions"}},
		{"a bad token", sandboxChannel, "", func(s *sandbox.Server) { s.SetTokenError(sandbox.BotToken, "invalid_auth") }, []string{"SLACK_BOT_TOKEN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startSlack(t, config)
			if tt.change != nil {
				tt.change(s)
			}
			_, err := Check(t.Context(), clientOf(s), tt.channel, tt.group)
			if len(tt.says) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, deploytoken.ErrMisconfigured) {
				t.Fatalf("error %v", err)
			}
			for _, words := range tt.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q doesn't say %q", err, words)
				}
			}
		})
	}
}
