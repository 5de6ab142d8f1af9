package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

var (
	socketCommands     = flag.Int("socket-commands", 60, "the commands of TestSocketLosesNothing")
	socketDisturbances = flag.Int("socket-disturbances", 5, "how often TestSocketLosesNothing disturbs the socket")
)

// disturbances are what befalls the socket, in turns. A short run doesn't get to
// the silence, which takes long to be noticed.
var disturbances = []string{
	"refresh_requested", "cut", "warning", "too_many_websockets", "refresh_requested",
	"warning", "cut", "refresh_requested", "warning", "silence",
}

// TestSocketLosesNothing has people give commands without a break while Slack
// replaces, refuses, cuts and silences the socket, with the time that Slack
// gives, and delivers envelopes twice: every command that Slack gets through has its one answer and is done
// once, and Slack gets each through, but for those that it sent over a
// connection as that was cut, or had none for.
//
// The long form takes about four minutes:
//
//	go test ./cmd/bot -run TestSocketLosesNothing -v -timeout 30m -socket-commands 1000 -socket-disturbances 50
func TestSocketLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slacksTimes)
	store := filepath.Join(w.dir, "store.db")
	c := &crowd{world: w, tick: time.NewTicker(100 * time.Millisecond), leftAt: map[string]time.Time{}}
	defer c.tick.Stop()
	members := []string{ana, bob, "UBOT"}
	for n := range 8 {
		u := slack.User{ID: fmt.Sprintf("UCROWD%d", n), Name: fmt.Sprint("crowd", n), RealName: fmt.Sprint("Crowd ", n)}
		if err := w.slack.PutUser(u); err != nil {
			t.Fatal(err)
		}
		members = append(members, u.ID)
	}
	if err := w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: members}); err != nil {
		t.Fatal(err)
	}

	b := w.serve(t)
	var people sync.WaitGroup
	for n, user := range members[3:] {
		people.Go(func() { c.talk(t, user, n) })
	}
	befell := map[string]int{}
	for n := range *socketDisturbances {
		c.wait(t, "some more commands", func() bool {
			return c.answered.Load() >= int64((n+1)**socketCommands/(*socketDisturbances+1))
		})
		kind := disturbances[n%len(disturbances)]
		befell[kind]++
		c.disturb(t, kind)
	}
	people.Wait()
	// Whoever holds the token gives it back, so that each holding has its row.
	if err := c.free(t); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all rows", func() bool { return b.metric(t, "deploytoken_history_rows_pending") == 0 })
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	c.account(t, store, befell)
}

// A crowd is people who give commands, and what became of them.
type crowd struct {
	*world
	tick     *time.Ticker // of the next command
	begun    atomic.Int64 // commands
	answered atomic.Int64

	mu      sync.Mutex
	said    []*said
	outages []*outage
	leftAt  map[string]time.Time // when each connection was told to leave
}

// What one person said once.
type said struct {
	user, kind string
	at, over   time.Time // over: when Slack had said what it has to say
	i          *slack.Invocation
	took       time.Duration // to the answer
}

// An outage is a time in which Slack can't reach the bot, or its
// acknowledgements can't reach Slack.
type outage struct {
	kind     string
	from, to time.Time // to is zero while it lasts
}

// talk gives commands, from the n'th kind on and one after the other's answer,
// until there were enough.
func (c *crowd) talk(t *testing.T, user string, n int) {
	for ; c.begun.Add(1) <= int64(*socketCommands); n++ {
		switch kind := []string{"take", "release", "status", "release"}[n%4]; kind {
		case "status":
			c.insist(t, user, kind, kind)
		default:
			c.insist(t, user, kind, fmt.Sprintf("%s job %d of %s", kind, n, user))
		}
	}
}

// insist gives a command, and again where Slack says that it failed.
func (c *crowd) insist(t *testing.T, user, kind, text string) {
	for range 100 {
		<-c.tick.C
		s := &said{user: user, kind: kind, at: time.Now()}
		var err error
		if s.i, err = c.slack.Slash(context.Background(), user, channel, "/deploy-token", text); err != nil {
			t.Error(err)
			return
		}
		s.over = time.Now()
		if s.i.Acked && s.i.Payload == nil {
			c.wait(t, "an answer to "+s.i.EnvelopeID, func() bool {
				d, _ := c.slack.Delivery(s.i.EnvelopeID)
				return d.Responses > 0
			})
			s.took = time.Since(s.at)
		}
		c.mu.Lock()
		c.said = append(c.said, s)
		c.mu.Unlock()
		if s.i.Acked && s.i.Payload == nil {
			c.answered.Add(1)
			return
		}
		c.wait(t, "a connection", func() bool {
			return slices.ContainsFunc(c.slack.State().Connections, func(c slack.Connection) bool { return !c.Closing })
		})
	}
	t.Errorf("%s can't get %q through", user, text)
}

// wait waits for what may take as long as noticing a silence, and then some.
func (c *crowd) wait(t *testing.T, what string, so func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(3 * time.Minute); !so(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Errorf("waited in vain for %s", what)
			return
		}
	}
}

// disturb has something befall the socket, and waits until there is a new
// connection.
func (c *crowd) disturb(t *testing.T, kind string) {
	known, current := map[string]bool{}, []string{}
	for _, conn := range c.slack.State().Connections {
		known[conn.ID] = true
		if conn.Leaving == "" {
			current = append(current, conn.ID)
		}
	}
	o := &outage{kind: kind, from: time.Now()}
	graceful := kind == "warning" || kind == "refresh_requested"
	c.mu.Lock()
	if !graceful {
		c.outages = append(c.outages, o)
	}
	for _, id := range current {
		c.leftAt[id] = o.from
	}
	c.mu.Unlock()
	c.slack.DuplicateEnvelopes(3)
	switch kind {
	case "cut":
		c.slack.Cut()
	case "silence":
		c.slack.Silence(true)
	default:
		if _, err := c.slack.Disconnect(kind, current...); err != nil {
			t.Error(err)
		}
	}
	c.wait(t, "a new connection, and the end of those that are silent", func() bool {
		now := c.slack.State().Connections
		return slices.ContainsFunc(now, func(conn slack.Connection) bool { return !known[conn.ID] }) &&
			!slices.ContainsFunc(now, func(conn slack.Connection) bool { return conn.Silent })
	})
	c.mu.Lock()
	o.to = time.Now()
	c.mu.Unlock()
}

// free has the holder release the token, if there is one.
func (c *crowd) free(t *testing.T) error {
	holder := c.document.Holder()
	for _, u := range c.slack.State().Users {
		if u.RealName == holder {
			c.insist(t, u.ID, "release", "release at the end")
		}
	}
	if now := c.document.Holder(); now != "Nobody" {
		return fmt.Errorf("the document says %q", now)
	}
	return nil
}

// account holds what was said and done together.
func (c *crowd) account(t *testing.T, store string, befell map[string]int) {
	db, err := sql.Open("sqlite", "file:"+store+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	outcomes := column(t, db, `SELECT id, outcome FROM command`)
	answers := column(t, db, `SELECT command, count(*) FROM outbox WHERE kind = 'answer' GROUP BY command`)
	holdings := column(t, db, `SELECT id, ended FROM holding`)

	var took []time.Duration
	through, twice, refused, unacknowledged, slow, onOld := 0, 0, 0, 0, 0, 0
	for _, s := range c.said {
		d, ok := c.slack.Delivery(s.i.EnvelopeID)
		outcome, recorded := outcomes[d.EnvelopeID]
		changes := s.kind != "status"
		switch {
		case !ok:
			t.Fatalf("the local Slack has forgotten %s", s.i.EnvelopeID)
		case recorded && (outcome == "" || answers[d.EnvelopeID] != "1" || d.Responses != 1):
			t.Errorf("%s of %s is in the store with the outcome %q, %s answers inserted, %d answers given",
				s.kind, d.EnvelopeID, outcome, answers[d.EnvelopeID], d.Responses)
		case s.i.Acked && s.i.Payload != nil:
			refused++
		case s.i.Acked && (d.Responses != 1 || changes && !recorded):
			t.Errorf("%s of %s was acknowledged, and has %d answers; in the store: %t", s.kind, d.EnvelopeID, d.Responses, recorded)
		case s.i.Acked:
			through++
			if len(d.Connections) > 1 {
				twice++
			}
			took = append(took, s.took)
			if left, ok := c.leftAt[d.Connections[0]]; ok && d.SentAt.After(left) {
				onOld++
			}
		case d.Responses > 1:
			t.Errorf("%s of %s, which was not acknowledged, has %d answers", s.kind, d.EnvelopeID, d.Responses)
		case d.Acks > 0:
			slow++ // the machine was too busy to acknowledge in time
		default:
			unacknowledged++
			if !slices.ContainsFunc(c.outages, func(o *outage) bool { return s.at.Before(o.to) && s.over.After(o.from) }) {
				t.Errorf("%s of %s was lost while the socket was well: %+v", s.kind, d.EnvelopeID, d)
			}
		}
	}
	if want := int64(*socketCommands); c.answered.Load() < want || through < int(want) {
		t.Errorf("%d commands were answered, want %d", through, want)
	}

	// Each holding was begun and ended by one write, and has one row.
	var done = map[string]int{}
	for _, o := range outcomes {
		done[o]++
	}
	writes := 0
	for _, change := range c.google.Writes() {
		if change.File == c.document.ID() && change.Operation != "" && change.TextBefore != change.TextAfter {
			writes++
		}
	}
	rows, entries := c.sheet.Rows("")[1:], map[string]bool{}
	for _, row := range rows {
		entry := row[len(row)-1]
		if _, ok := holdings[entry]; !ok || entries[entry] {
			t.Errorf("a row that is doubled, or of no holding: %q", row)
		}
		entries[entry] = true
	}
	n := len(holdings)
	if len(rows) != n || done["taken"] != n || done["released"] != n || writes != 2*n || n == 0 {
		t.Errorf("%d holdings, with %d rows and %d writes; the outcomes are %v", n, len(rows), writes, done)
	}

	var opens []time.Time
	for _, call := range c.slack.Calls() {
		if call.Method == "apps.connections.open" {
			opens = append(opens, call.At)
		}
	}
	least := time.Hour
	for i, at := range opens[1:] {
		least = min(least, at.Sub(opens[i]))
	}
	if least < time.Second {
		t.Errorf("apps.connections.open was called again after %v", least)
	}

	slices.Sort(took)
	var outage []string
	for _, o := range c.outages {
		outage = append(outage, fmt.Sprintf("%s %.1f s", o.kind, o.to.Sub(o.from).Seconds()))
	}
	t.Logf("%d commands through, %d of them over a connection told to leave, %d delivered twice; lost while the socket was well: 0; "+
		"refused by Slack during an outage, and said again: %d; turned down by the bot: %d; acknowledged late: %d",
		through, onOld, twice, unacknowledged, refused, slow)
	t.Logf("disturbances %v; without a connection: %s", befell, strings.Join(outage, ", "))
	t.Logf("%d calls of apps.connections.open, the least gap %v", len(opens), least)
	t.Logf("%d holdings, rows %d, writes %d; outcomes %v", n, len(rows), writes, done)
	t.Logf("to the answer: median %v, slowest %v", took[len(took)/2], took[len(took)-1])
}

// column reads a query's two columns as a map.
func column(t *testing.T, db *sql.DB, query string) map[string]string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var key, value string
		if err := rows.Scan(&key, &value); err != nil {
			t.Fatal(err)
		}
		found[key] = value
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
