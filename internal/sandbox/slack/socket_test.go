package slack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	goslack "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

func TestTicketsAreUsedOnce(t *testing.T) {
	clock := newClock()
	cfg := config()
	cfg.Clock = clock.Now
	s := start(t, cfg)
	ticket := func() string {
		_, o := api(t, s, appToken, "apps.connections.open", nil)
		return o["url"].(string)
	}
	try := func(url string) int {
		ws, res, err := websocket.Dial(t.Context(), url, nil)
		if err == nil {
			ws.CloseNow()
		}
		return res.StatusCode
	}
	url := ticket()
	if got := try(url); got != http.StatusSwitchingProtocols {
		t.Fatalf("a fresh ticket: %d", got)
	}
	if got := try(url); got != http.StatusForbidden {
		t.Errorf("a used ticket: %d", got)
	}
	url = ticket()
	clock.advance(time.Minute)
	if got := try(url); got != http.StatusForbidden {
		t.Errorf("an old ticket: %d", got)
	}
}

func TestHelloAndPings(t *testing.T) {
	cfg := config()
	cfg.PingInterval = 20 * time.Millisecond
	s := start(t, cfg)
	_, o := api(t, s, appToken, "apps.connections.open", nil)
	pings := make(chan struct{}, 100)
	ws, _, err := websocket.Dial(t.Context(), o["url"].(string), &websocket.DialOptions{
		HTTPHeader:     http.Header{"Origin": {"https://api.slack.com"}},
		OnPingReceived: func(context.Context, []byte) bool { pings <- struct{}{}; return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	_, frame, err := ws.Read(t.Context())
	want := `{"connection_info":{"app_id":"A0APP"},"debug_info":{"approximate_connection_time":3600,"build_number":1,"host":"applink-local"},"num_connections":1,"type":"hello"}`
	if err != nil || string(frame) != want {
		t.Fatalf("hello is %s, %v", frame, err)
	}
	read := ws.CloseRead(t.Context())
	for range 3 {
		<-pings
	}
	if err := ws.Ping(t.Context()); err != nil {
		t.Errorf("the server does not answer pings: %v", err)
	}
	if read.Err() != nil {
		t.Error("the connection has ended")
	}
}

func TestTheEleventhConnectionIsTooMany(t *testing.T) {
	s := start(t, config())
	var apps []*app
	for range 10 {
		apps = append(apps, dial(t, s, ackAll))
	}
	extra := dial(t, s, ackAll)
	if m := extra.next(); m["type"] != "disconnect" || m["reason"] != "too_many_websockets" {
		t.Errorf("the eleventh connection was told %v", m)
	}
	if m := extra.next(); m != nil {
		t.Errorf("the eleventh connection is served: %v", m)
	}
	for range 200 {
		if inv, err := s.Slash(t.Context(), alice, general, "/x", ""); err != nil || !inv.Acked {
			t.Fatalf("%+v, %v", inv, err)
		}
	}
	served := 0
	for _, a := range apps {
		if len(a.received) > 0 {
			served++
		}
	}
	// 200 envelopes leave one of ten connections without any about once in 10⁸ runs.
	if served != 10 {
		t.Errorf("only %d of 10 connections got envelopes", served)
	}
}

func TestACommandThatIsNotAcknowledgedShowsAnError(t *testing.T) {
	cfg := config()
	cfg.AckTimeout = 50 * time.Millisecond
	s := start(t, cfg)
	inv, err := s.Slash(t.Context(), alice, general, "/x", "")
	if err != nil || inv.Trouble != "dispatch_failed" {
		t.Errorf("with no connection: %+v, %v", inv, err)
	}
	a := dial(t, s, nil)
	inv, err = s.Slash(t.Context(), alice, general, "/x", "")
	if err != nil || !inv.TimedOut() || inv.Acked {
		t.Errorf("without an acknowledgement: %+v, %v", inv, err)
	}
	seen := s.Visible(alice, general)
	if len(seen) != 2 || seen[1].User != "USLACKBOT" || seen[1].Text != `/x failed with the error "operation_timeout"` || len(s.Visible(bob, general)) != 0 {
		t.Errorf("the person sees %+v", seen)
	}
	a.ack(inv.EnvelopeID, map[string]any{"text": "too late"})
	waitDelivery(t, s, inv.EnvelopeID, func(d slack.Delivery) bool { return d.Late })
	if n := len(s.Visible(alice, general)); n != 2 {
		t.Error("a late acknowledgement was shown")
	}

	must(t, s, "chat.postMessage", map[string]any{"channel": general, "text": "x", "blocks": []any{actions(button("go", ""))}})
	inv, err = s.Click(t.Context(), bob, s.Messages(general)[0].Target(), slack.Action{ID: "go"})
	if err != nil || !inv.TimedOut() || len(s.Visible(bob, general)) != 2 {
		t.Errorf("a click: %+v, %v", inv, err)
	}
}

// waitDelivery waits until cond is true of the envelope.
func waitDelivery(t *testing.T, s *slack.Server, id string, cond func(slack.Delivery) bool) slack.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var found slack.Delivery
	if _, err := s.WaitFor(ctx, func(slack.State) bool {
		d, ok := s.Delivery(id)
		found = d
		return ok && cond(d)
	}); err != nil {
		t.Fatalf("the delivery is %+v", found)
	}
	return found
}

func TestOnlyTheConnectionThatCarriedItAcknowledges(t *testing.T) {
	cfg := config()
	cfg.AckTimeout = 100 * time.Millisecond
	s := start(t, cfg)
	apps := []*app{dial(t, s, nil), dial(t, s, nil)}
	done := slashLater(t, s)
	select {
	case m := <-apps[0].received:
		apps[1].ack(m["envelope_id"].(string), nil)
	case m := <-apps[1].received:
		apps[0].ack(m["envelope_id"].(string), nil)
	}
	if inv := <-done; !inv.TimedOut() {
		t.Errorf("the wrong connection's acknowledgement counted: %+v", inv)
	}
}

func TestDisconnects(t *testing.T) {
	for _, reason := range []string{"warning", "refresh_requested"} {
		t.Run(reason, func(t *testing.T) {
			cfg := config()
			cfg.Grace = time.Hour
			s := start(t, cfg)
			a := dial(t, s, ackAll)
			a.toldToLeave(s, reason)
			for range 2 {
				if inv, err := s.Slash(t.Context(), alice, general, "/x", ""); err != nil || !inv.Acked {
					t.Errorf("before the end of the grace period: %+v, %v", inv, err)
				}
			}
			if c := s.State().Connections; len(c) != 1 || c[0].Leaving != reason || c[0].Closing {
				t.Errorf("the connections are %+v", c)
			}
		})
	}
	for _, reason := range []string{"link_disabled", "too_many_websockets"} {
		t.Run(reason, func(t *testing.T) {
			s := start(t, config())
			a := dial(t, s, ackAll)
			a.toldToLeave(s, reason)
			a.closed()
		})
	}
	s := start(t, config())
	if _, err := s.Disconnect("boredom"); err == nil {
		t.Error("a reason that Slack doesn't have was accepted")
	}
}

// toldToLeave has the server disconnect its one connection.
func (a *app) toldToLeave(s *slack.Server, reason string) {
	a.t.Helper()
	if n, err := s.Disconnect(reason); n != 1 || err != nil {
		a.t.Fatal(n, err)
	}
	if m := a.next(); m["type"] != "disconnect" || m["reason"] != reason {
		a.t.Errorf("the app was told %v", m)
	}
}

// closed waits for the connection's end, before which nothing more may come.
func (a *app) closed() {
	a.t.Helper()
	for m := a.next(); m != nil; m = a.next() {
		a.t.Errorf("before the end came %v", m)
	}
	if status := websocket.CloseStatus(a.err); status != websocket.StatusNormalClosure {
		a.t.Errorf("the connection ended with %v", a.err)
	}
}

// TestNothingIsLostAtTheEndOfTheGrace: a connection whose time is over gets no more envelopes, but its
// acknowledgements are waited for.
func TestNothingIsLostAtTheEndOfTheGrace(t *testing.T) {
	for _, reason := range []string{"warning", "refresh_requested"} {
		t.Run(reason, func(t *testing.T) {
			cfg := config()
			cfg.Grace = time.Millisecond
			s := start(t, cfg)
			a := dial(t, s, nil)
			first := slashLater(t, s)
			id := a.next()["envelope_id"].(string)
			a.toldToLeave(s, reason)
			over(t, s)
			if inv, err := s.Slash(t.Context(), bob, general, "/x", ""); err != nil || inv.Trouble != "dispatch_failed" {
				t.Errorf("after the grace period: %+v, %v", inv, err)
			}
			a.ack(id, nil)
			if inv := <-first; !inv.Acked {
				t.Errorf("what came before the end of the grace period: %+v", inv)
			}
			a.closed()
		})
	}
}

// TestAnAppThatAcknowledgesNothingIsClosedToo: only for as long as an acknowledgement would count.
func TestAnAppThatAcknowledgesNothingIsClosedToo(t *testing.T) {
	cfg := config()
	cfg.Grace, cfg.AckTimeout = time.Millisecond, 100*time.Millisecond
	s := start(t, cfg)
	a := dial(t, s, nil)
	if inv, err := s.Slash(t.Context(), alice, general, "/x", ""); err != nil || !inv.TimedOut() {
		t.Errorf("%+v, %v", inv, err)
	}
	a.next()
	// One acknowledgement of an envelope that came twice leaves one to wait for.
	s.DuplicateEnvelopes(1)
	once := slashLater(t, s)
	a.ack(a.next()["envelope_id"].(string), nil)
	a.next()
	<-once
	last := slashLater(t, s)
	a.next()
	a.toldToLeave(s, "warning")
	a.closed()
	if inv := <-last; !inv.TimedOut() {
		t.Errorf("%+v", inv)
	}
}

// slashLater types a command, and hands over what became of it.
func slashLater(t *testing.T, s *slack.Server) <-chan *slack.Invocation {
	done := make(chan *slack.Invocation, 1)
	go func() {
		inv, err := s.Slash(context.Background(), alice, general, "/x", "")
		if err != nil {
			t.Error(err)
		}
		done <- inv
	}()
	return done
}

// over waits until the grace of the one connection is over.
func over(t *testing.T, s *slack.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if st, err := s.WaitFor(ctx, func(st slack.State) bool { return st.Connections[0].Closing }); err != nil {
		t.Fatalf("the connections are %+v", st.Connections)
	}
}

func TestCutLeavesNoCloseFrame(t *testing.T) {
	s := start(t, config())
	first, second := dial(t, s, ackAll), dial(t, s, ackAll)
	if n := s.Cut(s.State().Connections[0].ID); n != 1 {
		t.Fatalf("%d connections were cut", n)
	}
	if m := first.next(); m != nil || websocket.CloseStatus(first.err) != -1 || !errors.Is(first.err, io.EOF) {
		t.Errorf("the cut connection got %v and ended with %v", m, first.err)
	}
	if inv, err := s.Slash(t.Context(), alice, general, "/x", ""); err != nil || !inv.Acked {
		t.Errorf("the other connection is not served: %+v, %v", inv, err)
	}
	second.next()
}

func TestSilence(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.AckTimeout = time.Second
	s := start(t, cfg)
	a := dial(t, s, ackAll)
	s.Silence(true)
	inv, err := s.Slash(t.Context(), alice, general, "/x", "lost")
	if err != nil || !inv.TimedOut() {
		t.Errorf("over a silent connection: %+v, %v", inv, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := a.ws.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent connection answers pings: %v", err)
	}
	s.Silence(false)
	// The wait for an acknowledgement is short here: a busy machine may need another.
	for inv.TimedOut() {
		if inv, err = s.Slash(t.Context(), alice, general, "/x", "heard"); err != nil {
			t.Fatal(err)
		}
	}
	if m := a.next(); !inv.Acked || payload(m)["text"] != "heard" {
		t.Errorf("after the silence: %+v; the app got %v", inv, m)
	}
}

func TestDuplicates(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	s.DuplicateEnvelopes(1)
	for want := 2; want > 0; want-- {
		inv, err := s.Slash(t.Context(), alice, general, "/x", "")
		if err != nil {
			t.Fatal(err)
		}
		waitDelivery(t, s, inv.EnvelopeID, func(d slack.Delivery) bool { return d.Acks == want })
		for range want {
			if m := a.next(); m["envelope_id"] != inv.EnvelopeID {
				t.Errorf("got %v, want %s", m, inv.EnvelopeID)
			}
		}
	}
}

func TestUnacknowledgedEventsAreSentAgain(t *testing.T) {
	cfg := config()
	cfg.AckTimeout = 20 * time.Millisecond
	cfg.EventRetries = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	s := start(t, cfg)
	a := dial(t, s, nil)
	inv, err := s.OpenHome(t.Context(), alice)
	if err != nil || !inv.TimedOut() {
		t.Fatalf("%+v, %v", inv, err)
	}
	for attempt := range 3 {
		m := a.next()
		reason := "timeout"
		if attempt == 0 {
			reason = ""
		}
		if m["envelope_id"] != inv.EnvelopeID || m["retry_attempt"] != float64(attempt) || m["retry_reason"] != reason ||
			m["type"] != "events_api" || payload(m)["event"].(map[string]any)["type"] != "app_home_opened" {
			t.Errorf("sending %d was %v", attempt, m)
		}
	}
	a.ack(inv.EnvelopeID, nil)
	waitDelivery(t, s, inv.EnvelopeID, func(d slack.Delivery) bool { return d.Acks == 1 })
}

func TestSlackGoReconnects(t *testing.T) {
	cfg := config()
	cfg.PingInterval = 100 * time.Millisecond
	s := start(t, cfg)
	connect(t, s, func(sm *socketmode.Client, e socketmode.Event) {
		if _, ok := e.Data.(goslack.SlashCommand); ok {
			sm.Ack(*e.Request)
		}
	})
	for i, end := range []func(){
		func() { s.Cut() },
		func() { s.Disconnect("warning") },
	} {
		old := s.State().Connections[0].ID
		end()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := s.WaitFor(ctx, func(st slack.State) bool {
			return len(st.Connections) == 1 && st.Connections[0].ID != old
		})
		cancel()
		if err != nil {
			t.Fatalf("end %d: slack-go did not come back: %v", i, err)
		}
		if inv, err := s.Slash(t.Context(), alice, general, "/x", fmt.Sprint(i)); err != nil || !inv.Acked {
			t.Errorf("end %d: %+v, %v", i, inv, err)
		}
	}
	dials := slices.DeleteFunc(s.Calls(), func(c slack.Call) bool { return c.Method != "websocket" })
	if len(dials) != 3 {
		t.Errorf("slack-go connected %d times", len(dials))
	}
}

func TestManyAtOnce(t *testing.T) {
	s := start(t, config())
	for range 3 {
		dial(t, s, func(e map[string]any) any { return map[string]any{"text": payload(e)["text"]} })
	}
	const people = 32
	errs := make(chan error, people)
	for i := range people {
		go func() {
			user := []string{alice, bob}[i%2]
			inv, err := s.Slash(context.Background(), user, general, "/x", fmt.Sprint(i))
			if err == nil && !inv.Acked {
				err = fmt.Errorf("command %d: %+v", i, inv)
			}
			errs <- err
		}()
	}
	for range people {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := len(s.Visible(alice, general)) + len(s.Visible(bob, general)); n != people {
		t.Errorf("%d answers were seen", n)
	}
}
