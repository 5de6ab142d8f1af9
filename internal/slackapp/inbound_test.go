package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	local "github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// These tests run an Inbound against the local Slack, which behaves as Slack
// does, over real connections and with the real directory.

const (
	localChannel = "C0DEPLOY"
	localBot     = "U0BOT"
	localGuest   = "U0GUEST"
)

type localInbound struct {
	*Inbound
	t        testing.TB
	slack    *local.Server
	commands *recordedCommands
	log      *lockedBuffer
	result   chan error
}

func localPerson(n int) string { return fmt.Sprintf("U%04d", n) }

func runLocal(t testing.TB, change func(*local.Config, *InboundConfig), timings ...func(*socketTiming)) *localInbound {
	config := local.Config{
		Team:     local.Team{ID: testTeam, Name: "Team"},
		App:      local.App{ID: "A0", Name: "deploytoken", UserID: localBot, BotID: "B0"},
		BotToken: "xoxb-local", AppToken: "xapp-local",
		AckTimeout: patience, TriggerLife: patience,
		Users: []local.User{{ID: localGuest, Name: "guest", RealName: "Guest", Guest: local.SingleChannelGuest}},
	}
	members := []string{localBot, localGuest}
	for n := range 20 {
		config.Users = append(config.Users, local.User{ID: localPerson(n), Name: fmt.Sprint("person", n), RealName: fmt.Sprint("Person ", n)})
		members = append(members, localPerson(n))
	}
	config.Channels = []local.Channel{{ID: localChannel, Name: "deploy", Members: members}}

	l := &localInbound{t: t, commands: &recordedCommands{}, log: &lockedBuffer{}, result: make(chan error, 1)}
	inbound := InboundConfig{Commands: l.commands, Log: slog.New(slog.NewTextHandler(l.log, nil))}
	if change != nil {
		change(&config, &inbound)
	}
	var err error
	if l.slack, err = local.New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := l.slack.Start(ctx); err != nil {
		t.Fatal(err)
	}
	inbound.Client = NewClient(config.BotToken, config.AppToken, l.slack.URL()+"/api/")
	if inbound.Members == nil {
		inbound.Members = NewDirectory(inbound.Client, localChannel, "", time.Now)
	}
	l.Inbound = NewInbound(inbound)
	l.timing.takeIn, l.timing.access, l.timing.accept, l.timing.join = patience, patience, patience, patience
	l.timing.draft, l.timing.form = patience, patience
	l.socket.timing.write = patience
	for _, timing := range timings {
		timing(&l.socket.timing)
	}
	go func() { l.result <- l.Run(ctx) }()
	t.Cleanup(func() {
		stopping, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if err := l.Shutdown(stopping); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		cancel()
		l.slack.Close()
	})
	return l
}

// connected waits until the Inbound is.
func (l *localInbound) connected() {
	l.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if ok, _, _ := l.Health(); ok {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("not connected:\n%s", l.log)
		}
	}
}

func (l *localInbound) slash(person, command, text string) *local.Invocation {
	l.t.Helper()
	inv, err := l.slack.Slash(context.Background(), person, localChannel, command, text)
	if err != nil {
		l.t.Fatal(err)
	}
	return inv
}

// opened returns when apps.connections.open was called.
func (l *localInbound) opened() []time.Time {
	var times []time.Time
	for _, c := range l.slack.Calls() {
		if c.Method == "apps.connections.open" {
			times = append(times, c.At)
		}
	}
	return times
}

func (l *localInbound) checkOpens() {
	l.t.Helper()
	opens := l.opened()
	for i := range opens[1:] {
		if gap := opens[i+1].Sub(opens[i]); gap < time.Second {
			l.t.Errorf("apps.connections.open was called again after %v", gap)
		}
	}
}

// sees waits until the person sees a message with the text.
func (l *localInbound) sees(person, text string) local.Message {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var found local.Message
	state, err := l.slack.WaitFor(ctx, func(s local.State) bool {
		for _, m := range s.Visible(person, localChannel) {
			if strings.Contains(m.Text, text) {
				found = m
				return true
			}
		}
		return false
	})
	if err != nil {
		l.t.Fatalf("%s does not see %q but %+v", person, text, state.Visible(person, localChannel))
	}
	return found
}

func TestLocalSlack(t *testing.T) {
	l := runLocal(t, func(_ *local.Config, in *InboundConfig) {
		in.Busy = func() deploytoken.BusyChecker {
			c := newSteppedChecker()
			close(c.steps)
			return c
		}()
	})
	l.connected()
	person := localPerson(1)
	if inv := l.slash(person, "/deploy-token", "take for @person2 & co"); !inv.Acked || inv.Payload != nil {
		t.Errorf("take: %+v", inv)
	}
	eventually(t, "it is done", func() bool { return l.commands.doneIDs() != "" })
	if c := l.commands.done[0]; c.Words != "@person2 & co" && !strings.HasPrefix(c.Words, "@U") {
		t.Errorf("words %q", c.Words)
	}
	for text, want := range map[string]string{
		"":      statusMessage(freeStatus, person, time.Now()).Text,
		"help":  helpMessage(commandToken, true).Text,
		"waltz": notUnderstood(commandToken, "waltz", true).Text,
	} {
		if inv := l.slash(person, "/deploy-token", text); !inv.Acked || inv.Trouble != "" {
			t.Errorf("%q: %+v", text, inv)
		}
		if m := l.sees(person, want); m.EphemeralTo != person {
			t.Errorf("%q is answered for all to see: %+v", text, m)
		}
	}
	l.slash(person, "/kingfisher", "busy")
	l.sees(person, busyMessage(deploytoken.BusyReport{}, nil, person, busyOptions{}).Text)

	// Who may not use the bot is told so by the acknowledgement itself.
	if inv := l.slash(localGuest, "/deploy-token", "take"); !inv.Acked || inv.Trouble != "" {
		t.Errorf("a guest's take: %+v", inv)
	}
	if m := l.sees(localGuest, refusal(refusedPerson).Text); m.EphemeralTo != localGuest {
		t.Errorf("a guest is refused for all to see: %+v", m)
	}
	if n := len(l.commands.acceptedIDs()); n != len(l.commands.done[0].ID) {
		t.Errorf("recorded %q", l.commands.acceptedIDs())
	}
}

func TestLocalAccessUnknown(t *testing.T) {
	l := runLocal(t, nil)
	l.connected()
	for _, method := range []string{"users.info", "users.list", "conversations.members", "usergroups.users.list"} {
		if err := l.slack.AddFault(local.Fault{Method: method, Kind: local.FaultServerError}); err != nil {
			t.Fatal(err)
		}
	}
	if inv := l.slash(localPerson(1), "/deploy-token", "take"); !inv.Acked || inv.Trouble != "" {
		t.Errorf("take: %+v", inv)
	}
	l.sees(localPerson(1), refusal(accessUnknown).Text)
	if got := l.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
}

// TestLocalRefreshLosesNothing has people say things all the while that Slack
// refreshes the connection and repeats envelopes: each is acknowledged, and done
// once.
func TestLocalRefreshLosesNothing(t *testing.T) {
	l := runLocal(t, func(c *local.Config, in *InboundConfig) {
		c.Grace = 10 * time.Second
		in.Members = memberFunc(everybody)
	})
	l.connected()
	l.slack.DuplicateEnvelopes(50)
	talking, hush := context.WithCancel(context.Background())
	var people sync.WaitGroup
	var mu sync.Mutex
	said := 0
	for n := range 10 {
		people.Go(func() {
			for {
				select {
				case <-talking.Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
				inv, err := l.slack.Slash(context.Background(), localPerson(n), localChannel, "/deploy-token", "take")
				if err != nil || !inv.Acked || inv.Trouble != "" || inv.Payload != nil {
					t.Errorf("lost: %+v, %v", inv, err)
				}
				mu.Lock()
				said++
				mu.Unlock()
			}
		})
	}
	defer people.Wait()
	defer hush()
	for i := range 4 {
		if _, err := l.slack.Disconnect([]string{"warning", "refresh_requested"}[i%2]); err != nil {
			t.Error(err)
		}
		eventually(t, "the connection is replaced", func() bool {
			return slices.ContainsFunc(l.slack.State().Connections, func(c local.Connection) bool { return c.Leaving == "" })
		})
	}
	eventually(t, "the old connections are closed", func() bool { return len(l.slack.State().Connections) == 1 })
	hush()
	people.Wait()
	eventually(t, "all is done", func() bool { return len(strings.Fields(l.commands.doneIDs())) == said })
	done := strings.Fields(l.commands.doneIDs())
	slices.Sort(done)
	if len(slices.Compact(done)) != said {
		t.Error("something was done twice")
	}
	l.checkOpens()
	t.Logf("%d commands over %d connections", said, len(l.opened()))
}

// TestLocalFaults loses the connection in each way, and finds it again.
func TestLocalFaults(t *testing.T) {
	for name, lose := range map[string]func(*local.Server){
		"too many": func(s *local.Server) { s.Disconnect("too_many_websockets") },
		"cut":      func(s *local.Server) { s.Cut() },
		"silence":  func(s *local.Server) { s.Silence(true) },
		"server errors": func(s *local.Server) {
			s.AddFault(local.Fault{Method: "apps.connections.open", Kind: local.FaultServerError, Count: 1})
			s.Cut()
		},
		"rate limit": func(s *local.Server) {
			s.AddFault(local.Fault{Method: "apps.connections.open", Kind: local.FaultRateLimited, Count: 1, RetryAfter: time.Second})
			s.Cut()
		},
		"lost answer": func(s *local.Server) {
			s.AddFault(local.Fault{Method: "apps.connections.open", Kind: local.FaultLost, Count: 1})
			s.Cut()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runLocal(t, func(c *local.Config, in *InboundConfig) {
				c.PingInterval = 200 * time.Millisecond
				c.AckTimeout = 3 * time.Second
			}, func(timing *socketTiming) { timing.silence, timing.pong = time.Second, 2*time.Second })
			l.connected()
			before := len(l.slack.State().Connections)
			lose(l.slack)
			opens := len(l.opened())
			eventually(t, "a new connection is asked for", func() bool { return len(l.opened()) >= opens && len(l.opened()) > before })
			eventually(t, "a command gets through", func() bool {
				inv := l.slash(localPerson(1), "/deploy-token", "take")
				return inv.Acked
			})
			eventually(t, "it is done", func() bool { return l.commands.doneIDs() != "" })
			l.checkOpens()
		})
	}
}

func TestLocalStorm(t *testing.T) {
	l := runLocal(t, nil)
	l.connected()
	began := time.Now()
	for time.Since(began) < 4*time.Second {
		if _, err := l.slack.Disconnect("too_many_websockets"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.checkOpens()
	t.Logf("apps.connections.open was called %d times in %v", len(l.opened()), time.Since(began))
}

func TestLocalFatal(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*local.Server)
		want string
	}{
		"link disabled": {func(s *local.Server) { s.Disconnect("link_disabled") }, "Socket Mode"},
		"token revoked": {func(s *local.Server) { s.SetTokenError("app", "token_revoked"); s.Cut() }, "SLACK_APP_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			l := runLocal(t, nil)
			l.connected()
			tt.end(l.slack)
			err := await(t, l.result, "the end of Run")
			if !errors.Is(err, deploytoken.ErrMisconfigured) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run returned %v", err)
			}
		})
	}
}

// BenchmarkAck measures the time from an envelope's sending to its
// acknowledgement at 50 commands a second, the local Slack's own part
// included.
func BenchmarkAck(b *testing.B) {
	l := runLocal(b, func(_ *local.Config, in *InboundConfig) { in.Members = memberFunc(everybody) })
	l.connected()
	var mu sync.Mutex
	var took []time.Duration
	var people sync.WaitGroup
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	b.ResetTimer()
	for n := range b.N {
		<-tick.C
		people.Go(func() {
			inv, err := l.slack.Slash(context.Background(), localPerson(n%20), localChannel, "/deploy-token", "take")
			if err != nil || !inv.Acked {
				b.Errorf("lost: %+v, %v", inv, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, inv.Latency)
		})
	}
	people.Wait()
	reportLatencies(b, took)
}

func reportLatencies(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
