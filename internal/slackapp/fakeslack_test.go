package slackapp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/slack-go/slack"
)

const (
	testTeam   = "T0TEAM"
	testTicket = "do-not-show-this-ticket"
)

// A scriptedSlack is a Slack that does to its connections exactly what a test
// says, protocol errors included.
type scriptedSlack struct {
	t      *testing.T
	server *httptest.Server
	// conns gets each connection that was opened.
	conns chan *scriptedConn

	mu      sync.Mutex
	opens   []time.Time
	open    func(n int, w http.ResponseWriter) bool // answers the n'th open, from 1, and reports whether it did
	greet   func(n int) []string                    // what is said at once on the n'th connection
	dials   int
	answers []scriptedAnswer
	refuse  int // how many of the next answers are refused
}

type scriptedConn struct {
	t    *testing.T
	ws   *websocket.Conn
	n    int
	acks chan scriptedAck
	gone chan struct{} // closed when the client is

	deaf  atomic.Bool  // it answers no pings
	pings atomic.Int32 // how many it was sent
}

// A scriptedAnswer is what was posted to the response URL of the envelope.
type scriptedAnswer struct {
	ID      string
	Text    string `json:"text"`
	Replace bool   `json:"replace_original"`
}

type scriptedAck struct {
	ID      string `json:"envelope_id"`
	Payload *struct {
		ResponseType string `json:"response_type"`
		Text         string `json:"text"`
	} `json:"payload"`
}

const hello = `{"type":"hello","num_connections":1,"connection_info":{"app_id":"A1"}}`

func newScriptedSlack(t *testing.T) *scriptedSlack {
	f := &scriptedSlack{t: t, conns: make(chan *scriptedConn, 100)}
	f.greet = func(int) []string { return []string{hello} }
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/auth.test", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"ok":true,"team_id":%q,"user_id":"U0BOT","bot_id":"B0BOT"}`, testTeam)
	})
	mux.HandleFunc("POST /api/apps.connections.open", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.opens = append(f.opens, time.Now())
		n, open := len(f.opens), f.open
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if open != nil && open(n, w) {
			return
		}
		fmt.Fprintf(w, `{"ok":true,"url":"ws%s/link/?ticket=%s"}`, strings.TrimPrefix(f.server.URL, "http"), testTicket)
	})
	mux.HandleFunc("GET /link/", f.serveSocket)
	mux.HandleFunc("POST /response/{id}", func(w http.ResponseWriter, r *http.Request) {
		a := scriptedAnswer{ID: r.PathValue("id")}
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Errorf("an answer that is no JSON: %v", err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answers = append(f.answers, a)
		if f.refuse > 0 {
			f.refuse--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "ok")
	})
	f.server = httptest.NewServer(mux)
	t.Cleanup(f.server.Close)
	return f
}

func (f *scriptedSlack) serveSocket(w http.ResponseWriter, r *http.Request) {
	c := &scriptedConn{t: f.t, acks: make(chan scriptedAck, 1000), gone: make(chan struct{})}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OnPingReceived: func(context.Context, []byte) bool { c.pings.Add(1); return !c.deaf.Load() },
	})
	if err != nil {
		return // the client has given up
	}
	defer ws.CloseNow()
	f.mu.Lock()
	f.dials++
	c.ws, c.n = ws, f.dials
	greet := f.greet
	f.mu.Unlock()
	for _, m := range greet(c.n) {
		if ws.Write(r.Context(), websocket.MessageText, []byte(m)) != nil {
			return // the client has given up
		}
	}
	f.conns <- c
	defer close(c.gone)
	for {
		_, data, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		var a scriptedAck
		if err := json.Unmarshal(data, &a); err != nil {
			f.t.Errorf("an acknowledgement that is no JSON: %v", err)
		}
		c.acks <- a
	}
}

// client returns a client for the two tokens of the fake.
func (f *scriptedSlack) client() *slack.Client {
	return slack.New("xoxb-test", slack.OptionAppLevelToken("xapp-test"), slack.OptionAPIURL(f.server.URL+"/api/"))
}

// next returns the next connection.
func (f *scriptedSlack) next() *scriptedConn {
	f.t.Helper()
	return await(f.t, f.conns, "a connection")
}

func (f *scriptedSlack) opened() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.opens...)
}

// told returns what was answered to the envelope, refused answers included.
func (f *scriptedSlack) told(id string) []scriptedAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	var told []scriptedAnswer
	for _, a := range f.answers {
		if a.ID == id {
			told = append(told, a)
		}
	}
	return told
}

// answer returns the first answer to the envelope.
func (f *scriptedSlack) answer(id string) scriptedAnswer {
	f.t.Helper()
	eventually(f.t, id+" is answered", func() bool { return len(f.told(id)) > 0 })
	return f.told(id)[0]
}

// say sends a message to the client.
func (c *scriptedConn) say(message string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		c.t.Errorf("cannot send on connection %d: %v", c.n, err)
	}
}

func (c *scriptedConn) disconnect(reason string) {
	c.say(fmt.Sprintf(`{"type":"disconnect","reason":%q,"debug_info":{"host":"applink-1"}}`, reason))
}

// ack returns the next acknowledgement.
func (c *scriptedConn) ack() scriptedAck {
	c.t.Helper()
	return await(c.t, c.acks, "an acknowledgement")
}

// slash sends a slash command.
func (f *scriptedSlack) slash(c *scriptedConn, id, person, command, text string) {
	c.say(f.slashEnvelope(id, person, command, text))
}

func (f *scriptedSlack) slashEnvelope(id, person, command, text string) string {
	return mustJSON(map[string]any{
		"envelope_id": id, "type": "slash_commands", "accepts_response_payload": true,
		"payload": map[string]any{
			"team_id": testTeam, "channel_id": "C1", "user_id": person, "command": command, "text": text,
			"response_url": f.server.URL + "/response/" + id, "trigger_id": "1.2",
		},
	})
}

// click sends a click on a button in a message that everybody sees.
func (f *scriptedSlack) click(c *scriptedConn, id, person, action, holding string) {
	c.say(mustJSON(map[string]any{
		"envelope_id": id, "type": "interactive", "accepts_response_payload": true,
		"payload": map[string]any{
			"type": "block_actions", "team": map[string]any{"id": testTeam, "domain": "d"},
			"user": map[string]any{"id": person}, "channel": map[string]any{"id": "C1"},
			"container":    map[string]any{"type": "message", "message_ts": "1.000001", "channel_id": "C1", "is_ephemeral": false},
			"response_url": f.server.URL + "/response/" + id,
			"actions":      []any{map[string]any{"action_id": action, "block_id": "b", "type": "button", "value": holding}},
		},
	}))
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// patience is how long a test waits for what must come, on a busy machine, too.
const patience = 30 * time.Second

// await returns what comes through the channel, or fails the test.
func await[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// eventually waits for the condition, or fails the test.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
