package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// quickTiming is the default with everything that a test would wait for cut
// short.
func quickTiming() socketTiming {
	t := defaultTiming()
	t.openEvery = 20 * time.Millisecond
	t.pong = patience
	t.write = patience
	t.backoff = 10 * time.Millisecond
	t.backoffMax = 40 * time.Millisecond
	return t
}

// A ranSocket is a socket that runs against a scripted Slack, and acknowledges
// what comes at once.
type ranSocket struct {
	*socket
	log    strings.Builder
	stop   context.CancelFunc
	result chan error
}

func runSocket(t *testing.T, f *scriptedSlack, timing socketTiming) *ranSocket {
	r := &ranSocket{result: make(chan error, 1)}
	client := f.client()
	open := func(ctx context.Context) (string, error) { return openConnection(ctx, client) }
	receive := func(e *envelope) {
		if err := e.ack(nil); err != nil {
			t.Logf("ack: %v", err)
		}
	}
	r.socket = newSocket(open, receive, slog.New(slog.NewTextHandler(&r.log, nil)), time.Now, timing)
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() {
		err := r.run(ctx)
		r.close()
		r.result <- err
	}()
	t.Cleanup(func() {
		cancel()
		if r.result != nil {
			await(t, r.result, "the end of the socket")
		}
		if strings.Contains(r.log.String(), testTicket) {
			t.Errorf("the log holds the ticket:\n%s", r.log.String())
		}
	})
	return r
}

// ended returns what run returned.
func (r *ranSocket) ended(t *testing.T) error {
	t.Helper()
	err := await(t, r.result, "the end of the socket")
	r.result <- err
	return err
}

func TestSocketReplacesBeforeItLetsGo(t *testing.T) {
	for _, reason := range []string{reasonWarning, reasonRefresh} {
		t.Run(reason, func(t *testing.T) {
			f := newScriptedSlack(t)
			r := runSocket(t, f, quickTiming())
			old := f.next()
			old.disconnect(reason)
			young := f.next()
			eventually(t, "two connections are up", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return len(r.live) == 2
			})

			// Both still serve, each for itself.
			old.say(`{"envelope_id":"on-old","type":"events_api","payload":{}}`)
			if a := old.ack(); a.ID != "on-old" {
				t.Errorf("acknowledged %q on the old connection", a.ID)
			}
			young.say(`{"envelope_id":"on-young","type":"events_api","payload":{}}`)
			if a := young.ack(); a.ID != "on-young" {
				t.Errorf("acknowledged %q on the new connection", a.ID)
			}
			select {
			case <-old.gone:
				t.Error("the old connection was let go before Slack closed it")
			default:
			}
		})
	}
}

func TestSocketLetsGoAfterGrace(t *testing.T) {
	f := newScriptedSlack(t)
	timing := quickTiming()
	timing.grace = 50 * time.Millisecond
	runSocket(t, f, timing)
	old := f.next()
	old.disconnect(reasonWarning)
	young := f.next()
	await(t, old.gone, "the end of the old connection")
	young.say(`{"envelope_id":"e","type":"events_api"}`)
	young.ack()
}

func TestSocketBoundsOpenConnections(t *testing.T) {
	f := newScriptedSlack(t)
	timing := quickTiming()
	timing.openEvery = time.Millisecond
	f.greet = func(n int) []string {
		return []string{hello, `{"type":"disconnect","reason":"refresh_requested"}`}
	}
	runSocket(t, f, timing)
	var conns []*scriptedConn
	for range maxConnections {
		conns = append(conns, f.next())
	}
	// The next waits until one of these is gone.
	conns[0].ws.CloseNow()
	f.next()
	if n := len(f.opened()); n > maxConnections+1 {
		t.Errorf("%d connections with one gone, want at most %d", n, maxConnections+1)
	}
}

// TestSocketReconnects has the connection lost in each way that Slack or the
// network may lose it.
func TestSocketReconnects(t *testing.T) {
	for name, lose := range map[string]func(*scriptedConn){
		"too many":       func(c *scriptedConn) { c.disconnect("too_many_websockets") },
		"unknown reason": func(c *scriptedConn) { c.disconnect("moon_phase") },
		"cut":            func(c *scriptedConn) { c.ws.CloseNow() },
		"closed":         func(c *scriptedConn) { c.ws.Close(1001, "going away") },
		"silence":        func(c *scriptedConn) { c.deaf.Store(true) },
		"too large":      func(c *scriptedConn) { c.say(`"` + strings.Repeat("x", maxPayload) + `"`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newScriptedSlack(t)
			timing := quickTiming()
			if name == "silence" {
				timing.silence, timing.pong = 10*time.Millisecond, 5*time.Second
			}
			r := runSocket(t, f, timing)
			c := f.next()
			lose(c)
			c = f.next()
			c.say(`{"envelope_id":"again","type":"events_api"}`)
			if a := c.ack(); a.ID != "again" {
				t.Errorf("acknowledged %q", a.ID)
			}
			if connected, heard, _ := r.health(); !connected || heard.IsZero() {
				t.Errorf("health is %v, %v after reconnecting", connected, heard)
			}
		})
	}
}

// TestSocketAsksForSignsOfLife has Slack say nothing by itself, but answer: the
// connection is kept.
func TestSocketAsksForSignsOfLife(t *testing.T) {
	f := newScriptedSlack(t)
	timing := quickTiming()
	timing.silence = 10 * time.Millisecond
	r := runSocket(t, f, timing)
	c := f.next()
	_, before, _ := r.health()
	eventually(t, "Slack is asked again and again", func() bool { return c.pings.Load() >= 5 })
	eventually(t, "the answers are heard", func() bool { _, heard, _ := r.health(); return heard.After(before) })
	c.say(`{"envelope_id":"same","type":"events_api"}`)
	if a := c.ack(); a.ID != "same" {
		t.Errorf("acknowledged %q", a.ID)
	}
	if n := len(f.opened()); n != 1 {
		t.Errorf("%d connections, although Slack answered", n)
	}
}

func TestSocketHearsPings(t *testing.T) {
	f := newScriptedSlack(t)
	timing := quickTiming()
	timing.silence = time.Hour
	r := runSocket(t, f, timing)
	c := f.next()
	eventually(t, "the hello is heard", func() bool { connected, _, _ := r.health(); return connected })
	_, before, _ := r.health()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Ping(ctx); err != nil {
		t.Fatalf("ping: %v", err)
	}
	if _, heard, _ := r.health(); !heard.After(before) {
		t.Errorf("last heard at %v, after a ping at %v", heard, before)
	}
	if n := c.pings.Load(); n != 0 {
		t.Errorf("asked Slack %d times for a sign of life, although it had given one", n)
	}
}

// TestSocketStorm has Slack refuse every connection right after its hello, as
// it does when replicas hold all ten.
func TestSocketStorm(t *testing.T) {
	f := newScriptedSlack(t)
	timing := quickTiming()
	f.greet = func(n int) []string {
		return []string{hello, `{"type":"disconnect","reason":"too_many_websockets"}`}
	}
	runSocket(t, f, timing)
	for range 6 {
		f.next().ws.CloseNow()
	}
	opens := f.opened()
	for i, at := range opens[1:] {
		if gap := at.Sub(opens[i]); gap < timing.openEvery {
			t.Errorf("apps.connections.open was called again after %v", gap)
		}
	}
}

func TestSocketFatal(t *testing.T) {
	for _, code := range []string{"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type", "no_permission", "missing_scope"} {
		t.Run(code, func(t *testing.T) {
			f := newScriptedSlack(t)
			f.open = func(n int, w http.ResponseWriter) bool {
				fmt.Fprintf(w, `{"ok":false,"error":%q}`, code)
				return true
			}
			r := runSocket(t, f, quickTiming())
			err := r.ended(t)
			if !errors.Is(err, deploytoken.ErrMisconfigured) {
				t.Fatalf("run returned %v", err)
			}
			if !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), "SLACK_APP_TOKEN") {
				t.Errorf("the error does not name what to mend: %v", err)
			}
			if connected, _, last := r.health(); connected || last == nil {
				t.Errorf("health is %v, %v", connected, last)
			}
		})
	}
	t.Run("link disabled", func(t *testing.T) {
		f := newScriptedSlack(t)
		r := runSocket(t, f, quickTiming())
		f.next().disconnect(reasonLinkDisabled)
		if err := r.ended(t); !errors.Is(err, deploytoken.ErrMisconfigured) || !strings.Contains(err.Error(), "Socket Mode") {
			t.Errorf("run returned %v", err)
		}
	})
	t.Run("link disabled before hello", func(t *testing.T) {
		f := newScriptedSlack(t)
		f.greet = func(int) []string { return []string{`{"type":"disconnect","reason":"link_disabled"}`} }
		r := runSocket(t, f, quickTiming())
		if err := r.ended(t); !errors.Is(err, deploytoken.ErrMisconfigured) {
			t.Errorf("run returned %v", err)
		}
	})
}

// TestSocketKeepsTrying has the first attempts fail in ways that pass.
func TestSocketKeepsTrying(t *testing.T) {
	for name, fail := range map[string]func(http.ResponseWriter){
		"500":            func(w http.ResponseWriter) { w.WriteHeader(500) },
		"no JSON":        func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"internal_error": func(w http.ResponseWriter) { fmt.Fprint(w, `{"ok":false,"error":"internal_error"}`) },
		"no error":       func(w http.ResponseWriter) { fmt.Fprint(w, `{"ok":false}`) },
		"refused": func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"ok":true,"url":"ws://127.0.0.1:1/link/?ticket=`+testTicket+`"}`)
		},
		"no address": func(w http.ResponseWriter) { fmt.Fprint(w, `{"ok":true,"url":":`+testTicket+`"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newScriptedSlack(t)
			var well atomic.Bool
			f.open = func(n int, w http.ResponseWriter) bool {
				if well.Load() {
					return false
				}
				fail(w)
				return true
			}
			r := runSocket(t, f, quickTiming())
			eventually(t, "the failure shows", func() bool {
				connected, _, err := r.health()
				if err != nil && strings.Contains(err.Error(), testTicket) {
					t.Errorf("the error holds the ticket: %v", err)
				}
				return !connected && err != nil && len(f.opened()) > 3
			})
			well.Store(true)
			f.next()
			eventually(t, "it is connected", func() bool {
				connected, _, err := r.health()
				return connected && err == nil
			})
		})
	}
}

func TestSocketHonoursRetryAfter(t *testing.T) {
	f := newScriptedSlack(t)
	f.open = func(n int, w http.ResponseWriter) bool {
		if n == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return n == 1
	}
	runSocket(t, f, quickTiming())
	f.next()
	if opens := f.opened(); opens[1].Sub(opens[0]) < time.Second {
		t.Errorf("tried again after %v", opens[1].Sub(opens[0]))
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		-time.Second: 0, 0: 0, time.Minute: time.Minute, maxRetryAfter: maxRetryAfter, 24 * time.Hour: maxRetryAfter,
	} {
		err := &slack.RateLimitedError{RetryAfter: asked}
		if got := retryAfter(fault(err, "post a message", true)); got != want {
			t.Errorf("asked to wait %v, a call waits %v, want %v", asked, got, want)
		}
	}
	f := newScriptedSlack(t)
	f.open = func(_ int, w http.ResponseWriter) bool {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	if _, err := openConnection(t.Context(), f.client()); retryAfter(err) != maxRetryAfter {
		t.Errorf("a connection waits %v", retryAfter(err))
	}
}

func TestSocketWithoutHello(t *testing.T) {
	f := newScriptedSlack(t)
	f.greet = func(n int) []string {
		switch n {
		case 1:
			return nil
		case 2:
			return []string{`{"type":"disconnect","reason":"too_many_websockets"}`}
		}
		return []string{hello}
	}
	timing := quickTiming()
	timing.connect = time.Second
	r := runSocket(t, f, timing)
	f.next()
	f.next()
	f.next()
	eventually(t, "it is connected", func() bool { connected, _, _ := r.health(); return connected })
}

func TestSocketOddMessages(t *testing.T) {
	f := newScriptedSlack(t)
	runSocket(t, f, quickTiming())
	c := f.next()
	for _, odd := range []string{``, `null`, `[]`, `{`, `"x"`, `{"type":7}`, `{"type":"pancake"}`, `{"envelope_id":7}`, hello} {
		c.say(odd)
	}
	c.say(`{"envelope_id":"odd-type","type":"quantum","payload":{}}`)
	if a := c.ack(); a.ID != "odd-type" {
		t.Errorf("acknowledged %q", a.ID)
	}
	c.say(`{"envelope_id":"odd-field","type":7,"retry_attempt":"x"}`)
	if a := c.ack(); a.ID != "odd-field" {
		t.Errorf("acknowledged %q", a.ID)
	}
	c.say(`{"envelope_id":"large","type":"interactive","payload":{"x":"` + strings.Repeat("y", maxPayload/2) + `"}}`)
	if a := c.ack(); a.ID != "large" {
		t.Errorf("acknowledged %q", a.ID)
	}
}

func TestWait(t *testing.T) {
	s := &socket{timing: defaultTiming()}
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 6: 30 * time.Second, 100: 30 * time.Second} {
		for range 100 {
			if d := s.wait(failures); d < want/2 || d > want {
				t.Fatalf("wait(%d) = %v, want %v to %v", failures, d, want/2, want)
			}
		}
	}
}
