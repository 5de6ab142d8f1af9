package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// A gate is one replica's way to PostgreSQL.
type gate struct {
	url string // of the store, through the gate

	mu    sync.Mutex
	muted chan struct{} // closed when nothing is held back any more; nil while nothing is
	shut  bool
	conns map[net.Conn]struct{}
}

// newGate makes a gate to the store at the URL.
func newGate(t *testing.T, store string) *gate {
	t.Helper()
	u, err := url.Parse(store)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := u.Host
	u.Host = l.Addr().String()
	g := &gate{url: u.String(), conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil || !g.open(in, out) {
				in.Close()
				continue
			}
			wg.Go(func() { g.pump(in, out) })
			wg.Go(func() { g.pump(out, in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		g.cut()
		wg.Wait()
	})
	return g
}

func (g *gate) open(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		if g.shut {
			c.Close()
			continue
		}
		g.conns[c] = struct{}{}
	}
	return !g.shut
}

func (g *gate) pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		g.mu.Lock()
		muted := g.muted
		g.mu.Unlock()
		if muted != nil {
			<-muted
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// mute holds everything back, as a network does that loses all packets.
func (g *gate) mute() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.muted = make(chan struct{})
}

// cut ends all connections and takes no new ones, as a server does that is down.
func (g *gate) cut() {
	g.restore()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for c := range g.conns {
		c.Close()
	}
	clear(g.conns)
}

// restore ends the muting, or the cut.
func (g *gate) restore() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
	if g.muted != nil {
		close(g.muted)
		g.muted = nil
	}
}

// A replica is a bot with its own way to the store.
type replica struct {
	*bot
	gate *gate
}

// replica starts one more bot on the store, and waits until it is ready.
func (w *world) replica(t *testing.T, store string) replica {
	t.Helper()
	g := newGate(t, store)
	w.config["STORE_URL"] = g.url
	return replica{w.serve(t), g}
}

// three starts three bots on one store, and waits until each has seen that the
// document was read.
func (w *world) three(t *testing.T) {
	t.Helper()
	w.config["STORE_URL"] = ledgertest.StartPostgres(t, "fsync=off").URL(t)
	bots := []*bot{w.start(t), w.start(t), w.start(t)}
	for _, b := range bots {
		b.waitLog(t, `"msg":"ready"`)
		b.isReady(t)
	}
}

// TestThreeSeeOneChange: each change by hand is told of once, whoever saw it.
func TestThreeSeeOneChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.three(t)
	names := []string{"Cy", "Dee", "Nobody", "Eve"}
	for _, name := range names {
		if err := w.document.SetHolder(person, name); err != nil {
			t.Fatal(err)
		}
		w.until(t, "a word of "+name, func() bool {
			all := w.announcements("by hand")
			return len(all) > 0 && strings.Contains(strings.ToLower(all[len(all)-1].Shown()), strings.ToLower(name))
		})
	}
	says(t, w.slash(t, ana, "/deploy-token", "take"), "Eve")
	w.rows(t, 3)
	if all := w.slack.Messages(channel); len(all) != len(names) {
		t.Errorf("%d messages tell of %d changes", len(all), len(names))
	}
}

// TestThreeRemindOnce: a reminder a tick, though each of three keeps the schedule.
func TestThreeRemindOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.config["REMINDERS_SCHEDULE"], w.config["REMINDERS_STALE_AFTER"] = "@every 1s", "1s"
	w.three(t)
	began := time.Now()
	says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
	const reminders = 5
	w.until(t, "reminders", func() bool { return len(w.reminders(ana)) >= reminders })
	if took := time.Since(began); took < (reminders-2)*time.Second {
		t.Errorf("%d reminders within %s", reminders, took)
	}
	says(t, w.slash(t, ana, "/deploy-token", "release at last"), "released")
	w.announcedOnce(t, "at last")
	w.rows(t, 2)
}

// A loss is a way in which a replica is lost to the others.
type loss struct {
	name   string
	lose   func(replica)
	regain func(replica) // nil: it is gone
}

var losses = []loss{
	{"killed", func(r replica) { r.command.Process.Kill() }, nil},
	{
		"stopped", func(r replica) { r.command.Process.Signal(syscall.SIGSTOP) },
		func(r replica) { r.command.Process.Signal(syscall.SIGCONT) },
	},
	{"cut off from the store", func(r replica) { r.gate.mute() }, func(r replica) { r.gate.restore() }},
}

// TestReplicaLost: what a replica leaves in the middle another finishes within
// seconds; and what it would do once it is back comes to nothing.
func TestReplicaLost(t *testing.T) {
	for _, moment := range []struct {
		name  string
		fault google.Fault
		done  string // what the other replica logs when it has done it
	}{
		{"before the write", google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayRequest}, `"msg":"command ended"`},
		{"after the write, before its answer", google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer}, `"msg":"command ended"`},
		{"before the row", google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.DelayRequest}, `"msg":"delivered","effect":"row:`},
		{"after the row, before its answer", google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.DelayAnswer}, `"msg":"delivered","effect":"row:`},
	} {
		for _, loss := range losses {
			t.Run(moment.name+", "+loss.name, func(t *testing.T) {
				t.Parallel()
				for !loseReplica(t, moment.fault, moment.done, loss) {
					t.Log("the replica had given up the call before it was lost: once more")
				}
			})
		}
	}
}

// loseReplica loses a replica while fault holds it up, and sees that another
// finishes what it had begun, which that logs as done. It returns false where
// the machine is too slow for that.
func loseReplica(t *testing.T, fault google.Fault, done string, l loss) (inTime bool) {
	t.Helper()
	w := newWorld(t)
	store := ledgertest.StartPostgres(t, "fsync=off").URL(t)
	lost := w.replica(t, store)
	says(t, w.slash(t, ana, "/deploy-token", "take the registry"), "You hold")
	before := w.answers(ana)
	lost.waitLog(t, `"msg":"delivered","effect":"answer:`)
	fault.Count = 1
	held := w.fault(t, fault)
	w.say(t, ana, "release upgraded it")
	eventually(t, "the moment", func() bool { return w.google.Faults()[0].Waiting > 0 })
	if fault.Operation == google.SheetsBatchUpdate {
		eventually(t, "the record of both answers", func() bool {
			return strings.Count(lost.log.String(), `"msg":"delivered","effect":"answer:`) >= 2
		})
	}
	other := w.replica(t, store)
	l.lose(lost)
	began := time.Now()
	if lost.log.line("the write had no answer") != "" || lost.log.line(`"msg":"not delivered"`) != "" {
		return false
	}

	other.waitLog(t, done)
	w.rows(t, 2)
	w.announcedOnce(t, "upgraded it")
	w.until(t, "an answer", func() bool { return w.answers(ana) > before })
	t.Logf("all was done %s after the loss", time.Since(began).Round(100*time.Millisecond))

	w.google.Release(held)
	if l.regain != nil {
		l.regain(lost)
		lost.waitLog(t, "left to another")
		lost.isReady(t)
	}
	const turns = 4
	for i := range turns {
		says(t, w.slash(t, bob, "/deploy-token", fmt.Sprintf("take turn %d", i)), "You hold")
		says(t, w.slash(t, bob, "/deploy-token", "release"), "released")
	}
	rows := w.rows(t, 2+turns)
	for i, row := range rows[2:] {
		if row[3] != fmt.Sprintf("turn %d", i) {
			t.Errorf("row %q", row)
		}
	}
	w.announcedOnce(t, "upgraded it")
	if got := w.answers(ana); got != before+1 {
		t.Errorf("%d answers to a command", got-before)
	}
	if l.regain != nil {
		if status := lost.stop(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	if status := other.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	w.rows(t, 2+turns)
	return true
}

// TestStoreAway: while PostgreSQL can't be reached, commands are answered so and
// nothing is changed; what was being changed then is told of once it is back.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store := ledgertest.StartPostgres(t, "fsync=off").URL(t)
	bots := []replica{w.replica(t, store), w.replica(t, store)}
	away := func() {
		for _, b := range bots {
			b.gate.cut()
		}
	}
	back := func() {
		for _, b := range bots {
			b.gate.restore()
		}
	}

	away()
	for _, text := range []string{"take", "release"} {
		says(t, w.slash(t, ana, "/deploy-token", text), "try again")
	}
	if got := w.document.Holder(); got != "Nobody" {
		t.Errorf("the document says %q", got)
	}
	for _, b := range bots {
		if code, body := b.get(t, "/readyz"); code != 503 || !strings.Contains(body, "store") {
			t.Errorf("/readyz: %d %s", code, body)
		}
	}
	back()
	for _, b := range bots {
		b.isReady(t)
	}

	// It goes away between the write and its record, and between the row and
	// its record.
	for i, step := range []struct {
		text    string
		reached func() bool
		answer  string
	}{
		{"take the registry", func() bool { return w.document.Holder() == "Ana Díaz" }, "You hold"},
		{"release upgraded it", func() bool { return w.document.Holder() == "Nobody" }, "released"},
	} {
		before := w.answers(ana)
		fault := w.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer, Count: 1})
		w.say(t, ana, step.text)
		eventually(t, "the write", step.reached)
		away()
		w.google.Release(fault)
		eventually(t, "a word of it in the log", func() bool {
			n := 0
			for _, b := range bots {
				n += strings.Count(b.log.String(), "what became of a write is not recorded yet")
			}
			return n > i
		})
		if w.answers(ana) > before {
			t.Errorf("%s: told before it was recorded", step.text)
		}
		back()
		says(t, w.answer(t, ana, before), step.answer)
	}
	w.announced(t, "the registry")
	w.announcedOnce(t, "upgraded it")
	w.rows(t, 2)
	for _, b := range bots {
		b.isReady(t)
		if status := b.stop(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	w.rows(t, 2)
}
