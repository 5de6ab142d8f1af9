package slack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	writeTimeout = 5 * time.Second

	// pongTimeout is how long a client may leave a ping unanswered before its connection is cut.
	pongTimeout = 30 * time.Second

	maxFrame = 1 << 20
)

// sockets are the Socket Mode connections and what was sent over them. s.mu guards them.
type sockets struct {
	tickets    map[string]time.Time
	conns      []*socket
	deliveries ring[*delivery]
	byEnvelope map[string]*delivery
}

func newSockets() sockets {
	return sockets{
		tickets:    make(map[string]time.Time),
		deliveries: newRing[*delivery](maxKept),
		byEnvelope: make(map[string]*delivery),
	}
}

// socket is one WebSocket of the app.
type socket struct {
	id       string
	ws       *websocket.Conn
	since    time.Time
	silent   atomic.Bool
	greeted  chan struct{} // closed when hello has been sent, before which nothing else is
	finished chan struct{} // closed when its reader has ended

	// s.mu guards these.
	leaving string         // the reason of the disconnect message that it was sent
	closing bool           // its time is over, and no envelope is sent over it any more
	waiting map[string]int // how many acknowledgements of each envelope may still come over it in time
}

// Connection is one WebSocket of the app, as a State shows it.
type Connection struct {
	ID      string    `json:"id"`
	Since   time.Time `json:"since"`
	Silent  bool      `json:"silent,omitempty"`
	Leaving string    `json:"leaving,omitempty"` // the reason it was told to disconnect for
	Closing bool      `json:"closing,omitempty"` // it is sent nothing more, and closed once its envelopes are done with
}

// Delivery is one envelope: when it was sent over which connection, and how it was acknowledged.
type Delivery struct {
	EnvelopeID   string        `json:"envelope_id"`
	Type         string        `json:"type"`
	Connections  []string      `json:"connections"` // every connection that it was sent over, in order
	SentAt       time.Time     `json:"sent_at"`
	RetryAttempt int           `json:"retry_attempt,omitempty"`
	Acks         int           `json:"acks"`
	Latency      time.Duration `json:"latency_ns,omitempty"` // from the last sending to the first acknowledgement
	Late         bool          `json:"late,omitempty"`       // acknowledged after it had timed out
	TimedOut     bool          `json:"timed_out,omitempty"`
	Responses    int           `json:"responses,omitempty"` // how often the app has used its response URL
}

type delivery struct {
	Delivery
	sent    time.Time     // real time of the last sending
	acked   chan struct{} // closed by the first acknowledgement
	payload json.RawMessage
	answers []Message
}

// envelope is what goes over the wire.
type envelope struct {
	EnvelopeID             string  `json:"envelope_id"`
	Type                   string  `json:"type"`
	AcceptsResponsePayload bool    `json:"accepts_response_payload"`
	Payload                any     `json:"payload"`
	RetryAttempt           *int    `json:"retry_attempt,omitempty"`
	RetryReason            *string `json:"retry_reason,omitempty"`
}

var errNoConnection = errors.New("the app is not connected")

func (s *Server) connectionList() []Connection {
	list := make([]Connection, len(s.conns))
	for i, c := range s.conns {
		list[i] = Connection{ID: c.id, Since: c.since, Silent: c.silent.Load(), Leaving: c.leaving, Closing: c.closing}
	}
	return list
}

// serveSocket is one WebSocket from its opening to its end.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	s.mu.Lock()
	issued, ok := s.tickets[ticket]
	delete(s.tickets, ticket)
	ok = ok && s.cfg.Clock().Sub(issued) <= ticketLife
	s.mu.Unlock()
	if !ok {
		s.record(Call{Method: "websocket", Token: noToken, Status: http.StatusForbidden, Error: "invalid_ticket"})
		http.Error(w, "the ticket is unknown, used or expired", http.StatusForbidden)
		return
	}

	c := &socket{
		id: rand.Text()[:8], since: s.cfg.Clock(), waiting: make(map[string]int),
		greeted: make(chan struct{}), finished: make(chan struct{}),
	}
	defer close(c.finished)
	// Clients send the origin of the real Slack; the ticket is what lets them in.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true,
		OnPingReceived:     func(context.Context, []byte) bool { return !c.silent.Load() },
	})
	if err != nil {
		s.log.Debug("websocket refused", "error", err)
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(maxFrame)
	c.ws = ws
	s.record(Call{Method: "websocket", Token: noToken, Status: http.StatusSwitchingProtocols})

	// It counts as connected before hello is sent: who has read hello can be sure to be reached.
	s.mu.Lock()
	crowded := len(s.conns) >= maxConnections
	if !crowded {
		s.conns = append(slices.Clone(s.conns), c)
		s.notify(Change{Kind: "connection"})
	}
	count := len(s.conns)
	s.mu.Unlock()
	if !crowded {
		defer s.forget(c)
	}
	if err := s.write(c, s.hello(count)); err != nil {
		return
	}
	close(c.greeted)
	if crowded {
		s.leave(c, "too_many_websockets")
	}
	s.log.Debug("app connected", "connection", c.id)
	s.spawn(func() { s.ping(c) })
	s.read(c)
	s.log.Debug("app disconnected", "connection", c.id)
}

func (s *Server) hello(count int) object {
	return object{
		"type": "hello", "num_connections": count, "connection_info": object{"app_id": s.cfg.App.ID},
		"debug_info": object{"host": "applink-local", "build_number": 1, "approximate_connection_time": 3600},
	}
}

func (s *Server) forget(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(slices.Clone(s.conns), func(other *socket) bool { return other == c })
	s.notify(Change{Kind: "connection"})
}

// read takes acknowledgements until the connection ends.
func (s *Server) read(c *socket) {
	for {
		_, frame, err := c.ws.Read(s.ctx)
		if err != nil {
			return
		}
		if c.silent.Load() {
			continue
		}
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(frame, &ack) == nil && ack.EnvelopeID != "" {
			s.acknowledge(c, ack.EnvelopeID, ack.Payload)
		}
	}
}

// acknowledge counts an acknowledgement. One that comes over a connection that didn't carry the envelope
// is for nothing.
func (s *Server) acknowledge(c *socket, id string, payload json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byEnvelope[id]
	if d == nil || !slices.Contains(d.Connections, c.id) {
		s.log.Debug("stray acknowledgement", "envelope_id", id, "connection", c.id)
		return
	}
	d.Acks++
	if c.waiting[id]--; c.waiting[id] <= 0 {
		delete(c.waiting, id)
	}
	if d.Acks == 1 {
		d.Latency, d.Late, d.payload = time.Since(d.sent), d.TimedOut, payload
		close(d.acked)
	}
	s.notify(Change{Kind: "ack"})
}

// ping pings the client until its reader ends, and cuts the connection if it leaves a ping unanswered.
func (s *Server) ping(c *socket) {
	ticker := time.NewTicker(s.cfg.PingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-c.finished:
			return
		case <-ticker.C:
		}
		if c.silent.Load() {
			continue
		}
		ctx, cancel := context.WithTimeout(s.ctx, pongTimeout)
		err := c.ws.Ping(ctx)
		cancel()
		if err != nil && !c.silent.Load() {
			c.ws.CloseNow()
			return
		}
	}
}

func (s *Server) write(c *socket, v any) error {
	if c.silent.Load() {
		return nil // it goes nowhere, and nobody notices
	}
	ctx, cancel := context.WithTimeout(s.ctx, writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, encode(v))
}

// send writes an envelope to one of the app's connections, chosen at random, and notes it in d.
func (s *Server) send(d *delivery, e envelope) error {
	for {
		s.mu.Lock()
		open := slices.DeleteFunc(slices.Clone(s.conns), func(c *socket) bool { return c.closing })
		if len(open) == 0 {
			s.mu.Unlock()
			return errNoConnection
		}
		c := open[mathrand.IntN(len(open))]
		d.Connections = append(slices.Clone(d.Connections), c.id)
		d.sent = time.Now()
		c.waiting[d.EnvelopeID]++
		s.mu.Unlock()
		select {
		case <-c.greeted:
		case <-c.finished:
			continue
		}
		if err := s.write(c, e); err == nil {
			return nil
		}
		if s.ctx.Err() != nil {
			return errNoConnection
		}
		c.ws.CloseNow()
		<-c.finished
	}
}

// deliver sends an envelope and waits until it is acknowledged or its time is up.
func (s *Server) deliver(ctx context.Context, d *delivery, e envelope) error {
	if err := s.send(d, e); err != nil {
		return err
	}
	s.mu.Lock()
	twice := s.duplicates > 0
	if twice {
		s.duplicates--
	}
	s.mu.Unlock()
	if twice {
		if err := s.send(d, e); err != nil {
			s.log.Debug("the duplicate was not delivered", "error", err)
		}
	}
	timer := time.NewTimer(s.cfg.AckTimeout)
	defer timer.Stop()
	select {
	case <-d.acked:
		return nil
	case <-timer.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.Acks > 0 {
			return nil
		}
		d.TimedOut = true
		for _, c := range s.conns {
			delete(c.waiting, d.EnvelopeID)
		}
		return errTimedOut
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

var errTimedOut = errors.New("the app did not acknowledge in time")

func (s *Server) newDelivery(kind string) *delivery {
	d := &delivery{
		Delivery: Delivery{EnvelopeID: newUUID(), Type: kind, SentAt: s.cfg.Clock()},
		acked:    make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byEnvelope[d.EnvelopeID] = d
	if old, fell := s.deliveries.add(d); fell {
		delete(s.byEnvelope, old.EnvelopeID)
	}
	return d
}

// newUUID returns a random UUID, the form of Slack's envelope IDs.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// deliverEvent sends an event, and again after each of the configured waits until it is acknowledged.
// It returns what became of the first sending.
func (s *Server) deliverEvent(ctx context.Context, payload object) (*delivery, error) {
	d := s.newDelivery("events_api")
	attempt, reason := 0, ""
	e := envelope{EnvelopeID: d.EnvelopeID, Type: d.Type, Payload: payload, RetryAttempt: &attempt, RetryReason: &reason}
	err := s.deliver(ctx, d, e)
	if err != nil && s.ctx.Err() == nil {
		s.spawn(func() { s.retryEvent(d, e) })
	}
	return d, err
}

func (s *Server) retryEvent(d *delivery, e envelope) {
	for i, wait := range s.cfg.EventRetries {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-d.acked:
			timer.Stop()
			return
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
		attempt, reason := i+1, "timeout"
		e.RetryAttempt, e.RetryReason = &attempt, &reason
		s.mu.Lock()
		d.RetryAttempt = attempt
		s.mu.Unlock()
		if s.deliver(s.ctx, d, e) == nil {
			return
		}
	}
}

// pick returns the connections with these IDs, or all of them.
func (s *Server) pick(ids []string) []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*socket
	for _, c := range s.conns {
		if len(ids) == 0 || slices.Contains(ids, c.id) {
			list = append(list, c)
		}
	}
	return list
}

// Disconnect tells connections (all of them, where no ID is given) to disconnect, for the reason that
// Slack would give: warning, refresh_requested, link_disabled or too_many_websockets. After one of the
// first two the connection is served for the grace period like any other. Then it is sent nothing more, and
// is closed as soon as each envelope that it was sent is acknowledged or has timed out. After the other two
// it is closed at once. It returns how many connections were told.
func (s *Server) Disconnect(reason string, ids ...string) (int, error) {
	if !slices.Contains([]string{"warning", "refresh_requested", "link_disabled", "too_many_websockets"}, reason) {
		return 0, fmt.Errorf("no disconnect reason %q", reason)
	}
	list := s.pick(ids)
	for _, c := range list {
		s.leave(c, reason)
	}
	return len(list), nil
}

func (s *Server) leave(c *socket, reason string) {
	graceful := reason == "warning" || reason == "refresh_requested"
	s.mu.Lock()
	c.leaving, c.closing = reason, c.closing || !graceful
	s.notify(Change{Kind: "connection"})
	s.mu.Unlock()
	message := object{"type": "disconnect", "reason": reason, "debug_info": object{"host": "applink-local"}}
	if err := s.write(c, message); err != nil {
		s.log.Debug("the disconnect message was not sent", "connection", c.id, "error", err)
	}
	s.spawn(func() {
		if graceful && !s.serveOut(c) {
			return
		}
		// A failed closing handshake leaves the connection closed all the same.
		c.ws.Close(websocket.StatusNormalClosure, "")
	})
}

// serveOut serves a connection for the grace period, and then waits until every envelope that it was sent is
// acknowledged, or too late to be. It returns false where the connection or the server ends first.
func (s *Server) serveOut(c *socket) bool {
	grace := time.NewTimer(s.cfg.Grace)
	defer grace.Stop()
	select {
	case <-grace.C:
	case <-c.finished:
		return false
	case <-s.ctx.Done():
		return false
	}
	s.mu.Lock()
	c.closing = true
	s.notify(Change{Kind: "connection"})
	s.mu.Unlock()
	late := time.NewTimer(s.cfg.AckTimeout)
	defer late.Stop()
	for {
		s.mu.Lock()
		left, changed := len(c.waiting), s.changed
		s.mu.Unlock()
		if left == 0 {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return true
		case <-c.finished:
			return false
		case <-s.ctx.Done():
			return false
		}
	}
}

// Cut ends connections (all of them, where no ID is given) with no close frame, as a broken network does.
// It returns how many there were.
func (s *Server) Cut(ids ...string) int {
	list := s.pick(ids)
	for _, c := range list {
		c.ws.CloseNow()
		<-c.finished
	}
	return len(list)
}

// Silence makes connections (all of them, where no ID is given) say nothing any more, no pings, pongs or
// envelopes, and hear nothing, though they stay up; or ends that. What is sent to a silent connection is
// lost. It returns how many there were.
func (s *Server) Silence(on bool, ids ...string) int {
	list := s.pick(ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range list {
		c.silent.Store(on)
	}
	s.notify(Change{Kind: "connection"})
	return len(list)
}
