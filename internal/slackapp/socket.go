package slackapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// socketTiming holds the durations that a socket lives by.
type socketTiming struct {
	// openEvery is the least time between two calls of apps.connections.open.
	openEvery time.Duration
	// connect bounds one attempt, from that call to Slack's hello.
	connect time.Duration
	// silence is how long nothing may be heard on a connection, not even a ping,
	// before Slack is asked for a sign of life. It pings about every 10 s.
	silence time.Duration
	// pong is how long Slack may take to answer that.
	pong time.Duration
	// grace is how long a connection is still read once another has replaced
	// it. Slack closes it itself about 10 s after its warning.
	grace time.Duration
	// write bounds one acknowledgement.
	write time.Duration
	// goodbye bounds the closing handshake.
	goodbye time.Duration
	// backoff and backoffMax bound the waits between failed attempts.
	backoff, backoffMax time.Duration
	// settled is how long a connection must last for the next wait to be short
	// again.
	settled time.Duration
}

func defaultTiming() socketTiming {
	return socketTiming{
		openEvery:  time.Second,
		connect:    15 * time.Second,
		silence:    10 * time.Second,
		pong:       5 * time.Second,
		grace:      30 * time.Second,
		write:      2 * time.Second,
		goodbye:    time.Second,
		backoff:    time.Second,
		backoffMax: 30 * time.Second,
		settled:    10 * time.Second,
	}
}

const (
	// maxConnections bounds the connections that are open at once, those being
	// let go included. Slack allows an app ten, which replicas share.
	maxConnections = 8
	// maxPayload bounds one message from Slack, in bytes. Payloads of modals
	// carry whole views, which outgrow the library's default of 32 KiB.
	maxPayload = 4 << 20
)

// The reasons of Slack's disconnect message.
const (
	reasonWarning      = "warning"
	reasonRefresh      = "refresh_requested"
	reasonLinkDisabled = "link_disabled"
)

// A socket keeps a Socket Mode connection to Slack open, and replaces it
// before it is let go. The protocol is described at
// https://docs.slack.dev/apis/events-api/using-socket-mode.
type socket struct {
	// open calls apps.connections.open and returns the connection's address,
	// which holds a secret ticket.
	open func(ctx context.Context) (string, error)
	// receive takes each envelope. It is called by the connection's reader, and
	// must not block for longer than it takes to write an acknowledgement.
	receive func(*envelope)
	log     *slog.Logger
	now     func() time.Time
	timing  socketTiming

	slots  chan struct{}
	tasks  sync.WaitGroup // those of the connections
	opened time.Time      // the end of the last apps.connections.open

	mu        sync.Mutex
	live      map[*connection]bool // true once Slack has said hello
	lastHeard time.Time
	lastErr   error
}

func newSocket(open func(context.Context) (string, error), receive func(*envelope), log *slog.Logger, now func() time.Time, timing socketTiming) *socket {
	return &socket{
		open: open, receive: receive, log: log, now: now, timing: timing,
		slots: make(chan struct{}, maxConnections),
		live:  map[*connection]bool{},
	}
}

// run keeps the socket connected until ctx ends, and then returns nil; the
// connections stay open until close is called, so that what they brought can
// still be acknowledged. It returns an error early only where nobody but an
// operator can help: ErrMisconfigured.
func (s *socket) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var current *connection
	for failures := 0; ; {
		next, err := s.connect(ctx, cancel)
		if err != nil {
			if ctx.Err() != nil {
				return misconfigured(context.Cause(ctx))
			}
			s.failed(err)
			if misconfigured(err) != nil {
				return err
			}
			failures++
			wait := max(s.wait(failures), retryAfter(err))
			s.log.Warn("cannot connect to Slack", "error", err, "attempt", failures, "retry_in", wait)
			sleep(ctx, wait)
			continue
		}
		if current != nil {
			current.retire()
		}
		current = next
		began := s.now()
		s.log.Info("connected to Slack")

		select {
		case <-current.leaving:
		case <-current.done:
		case <-ctx.Done():
			return misconfigured(context.Cause(ctx))
		}
		why := current.why()
		s.log.Info("replacing the connection to Slack", "reason", why)
		if why == reasonWarning || why == reasonRefresh {
			failures = 0
			continue
		}
		s.failed(fmt.Errorf("the connection to Slack ended: %s", why))
		current.retire()
		if s.now().Sub(began) >= s.timing.settled {
			failures = 0
			continue
		}
		failures++
		sleep(ctx, s.wait(failures))
	}
}

// connect makes one attempt at a connection that Slack has said hello on. end
// ends the whole run, for what only an operator can mend.
func (s *socket) connect(ctx context.Context, end context.CancelCauseFunc) (_ *connection, err error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	release := func() { <-s.slots }
	if !sleep(ctx, s.timing.openEvery-s.now().Sub(s.opened)) {
		release()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, s.timing.connect)
	defer cancel()

	// Counted from the answer on, as the call's own way to Slack may take long
	// once and short the next time.
	address, err := s.open(ctx)
	s.opened = s.now()
	if err != nil {
		release()
		return nil, err
	}
	c := &connection{
		socket: s, end: end, quiet: time.NewTimer(s.timing.silence),
		hello: make(chan struct{}), leaving: make(chan struct{}), replaced: make(chan struct{}), done: make(chan struct{}),
	}
	c.ctx, c.cut = context.WithCancelCause(context.Background())
	c.ws, _, err = websocket.Dial(ctx, address, &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool { c.heard(); return true },
	})
	if err != nil {
		c.cut(nil)
		release()
		return nil, fmt.Errorf("cannot open Slack's socket: %w", withoutURL(err))
	}
	c.ws.SetReadLimit(maxPayload)
	s.mu.Lock()
	s.live[c] = false
	s.mu.Unlock()
	s.tasks.Go(func() {
		defer release()
		c.read()
	})
	s.tasks.Go(c.watch)
	select {
	case <-c.hello:
		return c, nil
	case <-c.leaving:
		c.retire()
		return nil, fmt.Errorf("told by Slack to leave before its hello: %s", c.why())
	case <-c.done:
		return nil, fmt.Errorf("the socket closed before Slack's hello: %s", c.why())
	case <-ctx.Done():
		c.cut(errNoHello)
		return nil, fmt.Errorf("no hello from Slack: %w", ctx.Err())
	}
}

// close says goodbye on each connection, then closes them all and waits for
// their goroutines.
func (s *socket) close() {
	s.mu.Lock()
	for c := range s.live {
		s.tasks.Go(c.goodbye)
	}
	s.mu.Unlock()
	s.tasks.Wait()
}

// health reports whether a connection is up, when something, be it a ping, was
// last heard on any, and what last went wrong, nil once connected again.
func (s *socket) health() (connected bool, lastHeard time.Time, lastErr error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, hello := range s.live {
		connected = connected || hello
	}
	return connected, s.lastHeard, s.lastErr
}

func (s *socket) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = err
}

// wait is how long to wait after the given number of failures in a row: twice
// as long each time, with a random part so that replicas spread out.
func (s *socket) wait(failures int) time.Duration {
	d := s.timing.backoffMax
	if n := failures - 1; n < 16 {
		d = min(d, s.timing.backoff<<n)
	}
	return d/2 + rand.N(d/2+1)
}

var (
	errNoHello = errors.New("no hello came in time")
	errSilence = errors.New("nothing was heard from Slack for too long")
	errClosed  = errors.New("closed")
)

// A connection is one WebSocket connection to Slack.
type connection struct {
	socket *socket
	ws     *websocket.Conn
	end    context.CancelCauseFunc
	ctx    context.Context // of all reads and writes
	cut    context.CancelCauseFunc
	quiet  *time.Timer // fires when nothing was heard for too long

	hello    chan struct{} // closed by Slack's hello
	leaving  chan struct{} // closed once it is to be replaced
	replaced chan struct{} // closed once it has been, or has failed
	done     chan struct{} // closed when it can no longer be read

	mu     sync.Mutex
	reason string // of Slack's disconnect, or of the end
}

// read takes in what Slack sends until the connection ends.
func (c *connection) read() {
	defer func() {
		c.cut(nil)
		c.socket.mu.Lock()
		delete(c.socket.live, c)
		c.socket.mu.Unlock()
		close(c.done)
	}()
	for {
		_, data, err := c.ws.Read(c.ctx)
		if err != nil {
			if cause := context.Cause(c.ctx); cause != nil {
				err = cause
			}
			c.because(err.Error())
			// Sent where the library has not closed it already.
			_ = c.ws.CloseNow()
			return
		}
		c.heard()
		c.take(data)
	}
}

// take handles one message.
func (c *connection) take(data []byte) {
	received := c.socket.now()
	var m struct {
		Type            string          `json:"type"`
		Reason          string          `json:"reason"`
		EnvelopeID      string          `json:"envelope_id"`
		AcceptsResponse bool            `json:"accepts_response_payload"`
		RetryAttempt    int             `json:"retry_attempt"`
		Payload         json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(data, &m); err != nil && m.EnvelopeID == "" {
		c.socket.log.Warn("ignoring a message from Slack that cannot be read", "error", err, "bytes", len(data))
		return
	}
	switch {
	case m.EnvelopeID != "":
		c.socket.receive(&envelope{
			ID: m.EnvelopeID, Type: m.Type, Payload: m.Payload, Retry: m.RetryAttempt,
			AcceptsResponse: m.AcceptsResponse, Received: received, conn: c,
		})
	case m.Type == "hello":
		c.greeted()
	case m.Type == "disconnect" && m.Reason == reasonLinkDisabled:
		c.end(&deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "Slack has closed the connection because Socket Mode is turned off for the app. Turn it on in the app's settings, under Socket Mode.",
		})
	case m.Type == "disconnect":
		c.leave(m.Reason)
	default:
		c.socket.log.Debug("ignoring a message from Slack of an unknown type", "type", m.Type)
	}
}

func (c *connection) greeted() {
	select {
	case <-c.hello:
		return
	default:
	}
	c.socket.mu.Lock()
	c.socket.live[c] = true
	c.socket.lastErr = nil
	c.socket.mu.Unlock()
	close(c.hello)
}

// leave marks the connection as to be replaced.
func (c *connection) leave(reason string) {
	select {
	case <-c.leaving:
		return
	default:
	}
	c.because(reason)
	close(c.leaving)
}

// retire lets the connection go once its time of grace is over, unless Slack
// closes it first. Only run and connect call it, in one goroutine.
func (c *connection) retire() {
	select {
	case <-c.replaced:
	default:
		close(c.replaced)
	}
}

// watch ends the connection when its time of grace is over, or when Slack gives
// no sign of life though asked for one.
func (c *connection) watch() {
	defer c.quiet.Stop()
	replaced := c.replaced
	var over <-chan time.Time
	for {
		select {
		case <-replaced:
			replaced, over = nil, time.After(c.socket.timing.grace)
		case <-over:
			c.goodbye()
			return
		case <-c.quiet.C:
			ctx, cancel := context.WithTimeout(c.ctx, c.socket.timing.pong)
			err := c.ws.Ping(ctx)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				err = errSilence
			}
			if err != nil {
				c.cut(err)
				return
			}
			c.heard()
		case <-c.done:
			return
		}
	}
}

// goodbye closes the connection, and tells Slack so, lest it sends something
// more over it.
func (c *connection) goodbye() {
	timer := time.AfterFunc(c.socket.timing.goodbye, func() { c.cut(errClosed) })
	defer timer.Stop()
	// An error says that Slack closed it first, or never will.
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	c.cut(errClosed)
}

// heard notes a sign of life.
func (c *connection) heard() {
	c.quiet.Reset(c.socket.timing.silence)
	c.socket.mu.Lock()
	defer c.socket.mu.Unlock()
	c.socket.lastHeard = c.socket.now()
}

func (c *connection) because(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" {
		c.reason = reason
	}
}

// why says why the connection is over or to be replaced.
func (c *connection) why() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// An envelope is one thing that Slack wants acknowledged.
type envelope struct {
	// ID is the same in each repetition of the envelope.
	ID string
	// Type is slash_commands, interactive or events_api.
	Type string
	// Payload depends on the type.
	Payload json.RawMessage
	// AcceptsResponse is whether the acknowledgement may carry an answer.
	AcceptsResponse bool
	// Retry counts the repetitions of an event.
	Retry int
	// Received is when it came.
	Received time.Time

	conn *connection
}

// ack acknowledges the envelope through the connection that it came by, with
// an answer unless payload is nil. That it was sent is no proof that it
// arrived.
func (e *envelope) ack(payload any) error {
	data, err := json.Marshal(struct {
		ID      string `json:"envelope_id"`
		Payload any    `json:"payload,omitempty"`
	}{e.ID, payload})
	if err != nil {
		return fmt.Errorf("cannot encode the answer to an envelope: %w", err)
	}
	ctx, cancel := context.WithTimeout(e.conn.ctx, e.conn.socket.timing.write)
	defer cancel()
	if err := e.conn.ws.Write(ctx, websocket.MessageText, data); err != nil {
		return fmt.Errorf("cannot acknowledge an envelope: %w", err)
	}
	return nil
}

// openConnection calls apps.connections.open.
// Errors: ErrMisconfigured where only an operator can mend it, else
// ErrUnavailable.
func openConnection(ctx context.Context, client *slack.Client) (string, error) {
	_, address, err := client.StartSocketModeContext(ctx)
	if err == nil && address == "" {
		err = errors.New("its answer has no address")
	}
	if err == nil {
		return address, nil
	}
	f := &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Cannot open a connection to Slack just now.", Cause: withoutURL(err)}
	if e, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		f.RetryAfter = askedPause(e)
	}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		why, bad := badToken[e.Err]
		if e.Err == "missing_scope" || e.Err == "no_permission" {
			why, bad = "it lacks the scope connections:write", true
		}
		if bad {
			f.Kind, f.Cause = deploytoken.ErrMisconfigured, nil
			f.Message = fmt.Sprintf("Cannot open a connection to Slack: Slack refuses the app-level token, as %s (%s). Set SLACK_APP_TOKEN to an app-level token (xapp-…) with the scope connections:write, from the app's settings, under Basic Information.", why, e.Err)
		}
	}
	return "", f
}

// misconfigured returns err if only an operator can mend it, else nil.
func misconfigured(err error) error {
	if errors.Is(err, deploytoken.ErrMisconfigured) {
		return err
	}
	return nil
}

// maxRetryAfter is the longest pause that Slack may ask for. Its limits are by the
// minute; a longer one would keep what is to be told from people for as long.
const maxRetryAfter = 5 * time.Minute

// askedPause returns how long Slack asks to wait before the next call.
func askedPause(e *slack.RateLimitedError) time.Duration {
	return min(max(e.RetryAfter, 0), maxRetryAfter)
}

func retryAfter(err error) time.Duration {
	if f, ok := errors.AsType[*deploytoken.Fault](err); ok {
		return f.RetryAfter
	}
	return 0
}

// sleep waits for d, and reports whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
