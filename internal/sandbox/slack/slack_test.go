package slack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	goslack "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

const (
	botToken = "xoxb-test"
	appToken = "xapp-test"
	general  = "C0GENERAL"
	random   = "C0RANDOM" // without the app
	private  = "C0PRIVATE"
	hidden   = "C0HIDDEN" // private, without the app
	alice    = "U0ALICE"
	bob      = "U0BOB"
	carol    = "U0CAROL"
	gone     = "U0GONE"
	botUser  = "U0BOT"
)

// config is a workspace that waits long for acknowledgements, as the machine may be busy; tests in which
// none comes wait less.
func config() slack.Config {
	return slack.Config{
		AckTimeout: time.Minute, TriggerLife: time.Minute,
		Team:     slack.Team{ID: "T0TEAM", Name: "Open Contracting", Domain: "ocp"},
		App:      slack.App{ID: "A0APP", Name: "deploytoken", UserID: botUser, BotID: "B0BOT"},
		BotToken: botToken,
		AppToken: appToken,
		Users: []slack.User{
			{ID: alice, Name: "alice", RealName: "Alice Adams", DisplayName: "ali", TZ: "America/Toronto"},
			{ID: bob, Name: "bob.b", RealName: "Bob Brown"},
			{ID: carol, Name: "carol", RealName: "Carol Clark", Guest: slack.SingleChannelGuest, TeamID: "T0OTHER"},
			{ID: gone, Name: "gone", RealName: "Gone Girl", Deleted: true},
		},
		Channels: []slack.Channel{
			{ID: general, Name: "general", Members: []string{alice, bob, botUser}},
			{ID: random, Name: "random", Members: []string{alice, bob, carol}},
			{ID: private, Name: "secret", Private: true, Members: []string{alice, botUser}},
			{ID: hidden, Name: "hidden", Private: true, Members: []string{alice}},
		},
		UserGroups: []slack.UserGroup{{ID: "S0DEPLOY", Handle: "deployers", Members: []string{alice, bob}}},
	}
}

// TestMain also checks that Close has ended every goroutine of every server.
func TestMain(m *testing.M) {
	code := m.Run()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if code == 0 && bytes.Contains(stacks, []byte("sandbox/slack.(*Server)")) {
		fmt.Fprintf(os.Stderr, "goroutines are left:\n%s", stacks)
		code = 1
	}
	os.Exit(code)
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// start starts a server that ends with the test.
func start(t testing.TB, cfg slack.Config) *slack.Server {
	t.Helper()
	s, err := slack.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// The test's own context ends before its clients are done.
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func client(s *slack.Server) *goslack.Client {
	return goslack.New(botToken, goslack.OptionAppLevelToken(appToken), goslack.OptionAPIURL(s.URL()+"/api/"))
}

// api calls a method with a JSON body and a bearer token, and returns the answer's status and object.
func api(t *testing.T, s *slack.Server, token, method string, args any) (*http.Response, map[string]any) {
	t.Helper()
	if m, ok := args.(map[string]any); args == nil || ok && m == nil {
		args = map[string]any{}
	}
	body, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/api/"+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (*http.Response, map[string]any) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") && string(body) != "null" {
		if err := json.Unmarshal(body, &o); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
	} else {
		o = map[string]any{"body": string(body)}
	}
	return res, o
}

// must calls a method with the bot token and fails the test where Slack refuses.
func must(t *testing.T, s *slack.Server, method string, args any) map[string]any {
	t.Helper()
	_, o := api(t, s, botToken, method, args)
	if o["ok"] != true {
		t.Fatalf("%s: %v", method, o)
	}
	return o
}

// app is an app connected over one WebSocket of the test's own, which sees everything on the wire.
type app struct {
	t        *testing.T
	ws       *websocket.Conn
	received chan map[string]any // everything but hello; closed when the connection ends
	err      error               // why it ended, once received is closed
}

// dial connects an app, which has had its hello when dial returns. What handle returns is the payload of
// the acknowledgement; with no handle nothing is acknowledged.
func dial(t *testing.T, s *slack.Server, handle func(envelope map[string]any) any) *app {
	t.Helper()
	_, o := api(t, s, appToken, "apps.connections.open", nil)
	url, _ := o["url"].(string)
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatalf("dialing %v: %v", o, err)
	}
	ws.SetReadLimit(1 << 20)
	a := &app{t: t, ws: ws, received: make(chan map[string]any, 1000)}
	if hello := a.read(); hello["type"] != "hello" {
		t.Fatalf("the first message is %v", hello)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(a.received)
		for {
			m := a.read()
			if m == nil {
				return
			}
			// Who knows of the acknowledgement can be sure to find what it is for.
			a.received <- m
			if id, ok := m["envelope_id"].(string); ok && handle != nil {
				a.ack(id, handle(m))
			}
		}
	}()
	t.Cleanup(func() { ws.CloseNow(); <-done })
	return a
}

func (a *app) read() map[string]any {
	_, frame, err := a.ws.Read(context.Background())
	if err != nil {
		a.err = err
		return nil
	}
	var m map[string]any
	if err := json.Unmarshal(frame, &m); err != nil {
		a.t.Errorf("%s: %v", frame, err)
	}
	return m
}

func (a *app) ack(envelopeID string, payload any) {
	ack := map[string]any{"envelope_id": envelopeID}
	if payload != nil {
		ack["payload"] = payload
	}
	frame, err := json.Marshal(ack)
	if err != nil {
		a.t.Error(err)
	}
	// A failure shows as a missing acknowledgement.
	_ = a.ws.Write(context.Background(), websocket.MessageText, frame)
}

// next returns the next message, or nil where the connection has ended.
func (a *app) next() map[string]any {
	a.t.Helper()
	select {
	case m := <-a.received:
		return m
	case <-time.After(20 * time.Second):
		a.t.Fatal("nothing came for 20 s")
		return nil
	}
}

func payload(envelope map[string]any) map[string]any {
	p, _ := envelope["payload"].(map[string]any)
	return p
}

func ackAll(map[string]any) any { return nil }

func section(text string) map[string]any {
	return map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": text}}
}

func plain(text string) map[string]any { return map[string]any{"type": "plain_text", "text": text} }

func button(id, value string) map[string]any {
	return map[string]any{"type": "button", "action_id": id, "text": plain("Press"), "value": value}
}

func actions(elements ...any) map[string]any {
	return map[string]any{"type": "actions", "block_id": "acts", "elements": elements}
}

// connect runs slack-go's Socket Mode client, whose events go to handle, until the test ends.
func connect(t *testing.T, s *slack.Server, handle func(*socketmode.Client, socketmode.Event)) {
	t.Helper()
	sm := socketmode.New(client(s))
	ctx, cancel := context.WithCancel(t.Context())
	ready, ran, handled := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ran)
		// It ends with the context; that it connected is what ready says.
		_ = sm.RunContext(ctx)
	}()
	go func() {
		defer close(handled)
		hello := sync.OnceFunc(func() { close(ready) })
		for {
			select {
			case e := <-sm.Events:
				if e.Type == socketmode.EventTypeHello {
					hello()
				}
				handle(sm, e)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ran; <-handled })
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("slack-go did not connect")
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*slack.Config)
		want   string
	}{
		"no team":        {func(c *slack.Config) { c.Team.ID = "" }, "the team needs an ID"},
		"wrong token":    {func(c *slack.Config) { c.BotToken = "secret" }, "the bot token must start with xoxb-"},
		"swapped tokens": {func(c *slack.Config) { c.AppToken = c.BotToken }, "the app token must start with xapp-"},
		"twice":          {func(c *slack.Config) { c.Users = append(c.Users, c.Users[0]) }, "user U0ALICE is given twice"},
		"no such member": {func(c *slack.Config) { c.Channels[0].Members = []string{"U9"} }, "channel C0GENERAL: no user U9"},
		"time zone":      {func(c *slack.Config) { c.Users[0].TZ = "Mars/Olympus" }, "user U0ALICE: unknown time zone"},
		"command":        {func(c *slack.Config) { c.Commands = []slack.Command{{Name: "x"}} }, `the command "x" must start`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config()
			c.change(&cfg)
			_, err := slack.New(cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a token: %v", err)
			}
		})
	}
}

func TestCloseIsIdempotentAndEndsSubscriptions(t *testing.T) {
	s := start(t, config())
	changes, stop := s.Subscribe()
	dial(t, s, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range changes {
	}
	stop()
	inv, err := s.Slash(t.Context(), alice, general, "/x", "")
	if err != nil || inv.Trouble != "dispatch_failed" {
		t.Errorf("after Close a command gave %+v, %v", inv, err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	cfg := config()
	cfg.HistoryLimit = 3
	s := start(t, cfg)
	before := s.State()
	for i := range 5 {
		if _, err := s.PostMessage(alice, general, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, m := range s.Messages(general) {
		got = append(got, m.Text)
	}
	if strings.Join(got, "") != "234" {
		t.Errorf("kept %q", got)
	}
	if len(before.Messages(general)) != 0 {
		t.Error("an old State shows new messages")
	}
}
