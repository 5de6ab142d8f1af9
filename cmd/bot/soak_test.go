package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/open-contracting/deploytoken/internal/ledger"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

var (
	soakFor  = flag.Duration("soak", 0, "how long TestSoak runs; 0 skips it")
	soakRate = flag.Int("soak-rate", 20, "the commands a second of TestSoak")
	soakSeed = flag.Uint64("soak-seed", 1, "what decides which commands, edits and faults TestSoak makes")
	soakDir  = flag.String("soak-dir", "", "a directory that TestSoak leaves the bot's log and store in")
)

// TestSoak runs the bot for a long time under many people's commands while
// everything that it talks to has faults, and looks for what grows: memory,
// goroutines, file descriptors, the store. It also counts what nobody may lose:
// answers and rows.
func TestSoak(t *testing.T) {
	if *soakFor == 0 {
		t.Skip("takes an hour: go test ./cmd/bot -run TestSoak -v -timeout 2h -soak 1h")
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc to read a process's memory and file descriptors from")
	}
	dir := *soakDir
	if dir == "" {
		dir = t.TempDir()
	}
	w := newWorld(t, slacksTimes)
	store := filepath.Join(dir, "store.db")
	w.config["STORE_URL"] = "sqlite:" + store
	s := &soak{world: w, seats: w.seats(t, 200), random: rand.New(rand.NewPCG(*soakSeed, 0))}
	if _, err := w.kingfisher.StartSpider(kingfisher.Spider{Project: "kingfisher", Name: "honduras_portal"}); err != nil {
		t.Fatal(err)
	}
	b := w.serve(t)
	log, err := os.Create(filepath.Join(dir, "bot.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	b.log.divert(log)

	began := time.Now()
	interval := min(30*time.Second, *soakFor/20)
	samples := []sample{s.sample(t, b, store, began)}
	t.Log(sampleTitles)
	ctx, cancel := context.WithTimeout(t.Context(), *soakFor)
	defer cancel()
	var others, commands sync.WaitGroup
	others.Go(func() { s.disturb(ctx, t) })
	others.Go(func() { s.edit(ctx, t) })
	tick, look := time.NewTicker(time.Second/time.Duration(*soakRate)), time.NewTicker(interval)
	defer tick.Stop()
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-look.C:
			samples = append(samples, s.sample(t, b, store, began))
			t.Log(samples[len(samples)-1])
		case <-tick.C:
			if seat, kind := s.next(); seat != nil {
				commands.Go(func() { s.give(t, seat, kind) })
			}
		}
	}
	others.Wait()
	w.google.ClearFaults()
	w.slack.ClearFaults()
	w.sheet.StaleReads(0)
	commands.Wait()
	s.settle(t, b)
	samples = append(samples, s.sample(t, b, store, began))
	t.Log(samples[len(samples)-1], " at rest")
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}

	s.account(t, store)
	levels(t, samples[:len(samples)-1])
	retained(t, store, samples[len(samples)-1].Answered)
}

// A soak is a run of TestSoak.
type soak struct {
	*world
	seats  []*seat
	random *rand.Rand // of the commands

	mu         sync.Mutex
	given      []*given
	acks, told []time.Duration // since the last sample
	waited     int             // times that nobody was free to say anything
	lost       int             // faults of answers
	answers    int
}

// A given command is one that somebody gave.
type given struct {
	kind     string
	envelope string
	acked    bool
	heard    heard
}

// next chooses somebody who waits for no answer, and what they say. Who holds
// the token by the document releases it about once a second.
func (s *soak) next() (*seat, string) {
	holder := s.document.Holder()
	if s.random.IntN(*soakRate) == 0 {
		for _, st := range s.seats {
			if st.name == holder && st.take() {
				return st, "release"
			}
		}
	}
	kind := "take"
	switch n := s.random.IntN(200); {
	case n < 50:
		kind = "status"
	case n < 66:
		kind = "release"
	case n < 74:
		kind = "help"
	case n < 75:
		kind = "busy"
	}
	for range 2 * len(s.seats) {
		if st := s.seats[s.random.IntN(len(s.seats))]; st.take() {
			return st, kind
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waited++
	return nil, ""
}

// give gives a command, and waits for its answer.
func (s *soak) give(t *testing.T, st *seat, kind string) {
	defer st.leave()
	g := &given{kind: kind}
	s.mu.Lock()
	s.given = append(s.given, g)
	s.mu.Unlock()
	command, text := "/deploy-token", kind
	switch kind {
	case "busy":
		command = "/kingfisher"
	case "take", "release":
		text += " " + st.name + "'s change of the servers"
	}
	began := time.Now()
	i, err := s.slack.Slash(context.Background(), st.user, st.room, command, text)
	if err != nil {
		t.Error(err)
		return
	}
	patience := 5 * time.Minute
	switch {
	case i.Trouble == "dispatch_failed":
		patience = 0
	case !i.Acked, kind != "take" && kind != "release":
		patience = time.Minute
	}
	h := st.await(patience)
	took := time.Since(began)
	if h.answers > 0 && s.document.Holder() != st.name {
		// What comes doubled would come now; a holder's next answer counts as such.
		time.Sleep(3 * time.Second)
		h = st.heard()
	}
	if kind == "busy" {
		h.answers = min(h.answers, 1) // before the last, others say what is known so far
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g.envelope, g.acked, g.heard = i.EnvelopeID, i.Acked, h
	if i.Acked {
		s.acks = append(s.acks, i.Latency)
	}
	if h.answers > 0 {
		s.told = append(s.told, took)
		s.answers++
	}
}

// edit changes the document by hand now and then, until ctx ends.
func (s *soak) edit(ctx context.Context, t *testing.T) {
	r := rand.New(rand.NewPCG(*soakSeed, 1))
	for pause(ctx, time.Duration(5+r.IntN(20))*time.Second) {
		name := s.seats[r.IntN(len(s.seats))].name
		var err error
		switch r.IntN(8) {
		case 0:
			err = s.document.SetHolder(person, person.Name)
		case 1:
			err = s.document.SetHolder(person, name)
		case 2:
			err = s.document.TypeHolder(ctx, person, name, 20*time.Millisecond)
		case 3:
			err = s.document.DeleteNamedRanges(person, "deploytoken:")
		case 4:
			err = s.document.RestoreRevision(person, max(1, s.document.Revision()-1-r.IntN(5)))
		case 5:
			s.document.BeforeNextBatch(person, google.Edit{Kind: google.SetHolder, Text: name})
		case 6:
			s.document.MergeIntoNextBatch(person, google.Edit{Kind: google.SetHolder, Text: name}, time.Duration(r.IntN(300))*time.Millisecond)
		case 7:
			err = s.document.TouchRevision()
		}
		if err != nil && ctx.Err() == nil {
			t.Logf("an edit that the document doesn't allow: %v", err)
		}
		// Somebody mends what nobody at a seat can release.
		if pause(ctx, time.Duration(1+r.IntN(3))*time.Second) && !s.usable() {
			_ = s.document.SetHolder(person, "Nobody")
		}
	}
}

// usable reports whether the document says Nobody, or somebody's name who has a
// seat.
func (s *soak) usable() bool {
	holder := s.document.Holder()
	return holder == "Nobody" || slices.ContainsFunc(s.seats, func(st *seat) bool { return st.name == holder })
}

// disturb breaks one thing after the other, until ctx ends.
func (s *soak) disturb(ctx context.Context, t *testing.T) {
	r := rand.New(rand.NewPCG(*soakSeed, 2))
	var away sync.WaitGroup
	defer away.Wait()
	sheets, document := time.NewTicker(8*time.Minute), time.NewTicker(10*time.Minute)
	defer sheets.Stop()
	defer document.Stop()
	// gone has Google fail in some way for a while.
	gone := func(f google.Fault, d time.Duration) {
		id, err := s.google.AddFault(f)
		if err != nil {
			t.Error(err)
			return
		}
		away.Go(func() {
			pause(ctx, d)
			s.google.RemoveFault(id)
		})
	}
	for pause(ctx, time.Duration(1000+r.IntN(4000))*time.Millisecond) {
		select {
		case <-sheets.C:
			kind := []google.FaultKind{google.FailBefore, google.FailAfter, google.DropAfter}[r.IntN(3)]
			gone(google.Fault{File: s.sheet.ID(), Kind: kind}, time.Duration(2+r.IntN(3))*time.Minute)
		case <-document.C:
			gone(google.Fault{File: s.document.ID(), Kind: google.FailBefore}, 10*time.Second)
		default:
		}
		switch n := r.IntN(100); {
		case n < 45:
			// Where requests are few, as while retries wait, faults must not pile up.
			gone(googleFault(r), 3*time.Second)
		case n < 75:
			s.faultSlack(t, r)
		case n < 82:
			s.slack.DuplicateEnvelopes(1 + r.IntN(3))
		case n < 86:
			s.sheet.StaleReads(time.Duration(r.IntN(3000)) * time.Millisecond)
		case n < 95:
			if _, err := s.slack.Disconnect([]string{"warning", "refresh_requested"}[r.IntN(2)]); err != nil {
				t.Error(err)
			}
		default:
			s.slack.Cut()
		}
	}
}

// googleFault is a request of some kind that goes wrong.
func googleFault(r *rand.Rand) google.Fault {
	operation := []google.Operation{
		google.DocsBatchUpdate, google.DocsBatchUpdate, google.DocsGet, google.DriveGet, google.TokenIssue,
		google.SheetsBatchUpdate, google.SheetsBatchUpdate, google.SheetsValuesGet,
	}[r.IntN(8)]
	kinds := []google.FaultKind{google.DropBefore, google.FailBefore, google.RateLimit, google.DelayRequest, google.DelayAnswer}
	if operation == google.DocsBatchUpdate || operation == google.SheetsBatchUpdate {
		kinds = append(kinds, google.DropAfter, google.FailAfter, google.DelayCommit)
	}
	return google.Fault{
		Operation: operation, Kind: kinds[r.IntN(len(kinds))], Count: 1 + r.IntN(2), Delay: time.Duration(100+r.IntN(1400)) * time.Millisecond,
	}
}

// faultSlack makes a call to Slack go wrong.
func (s *soak) faultSlack(t *testing.T, r *rand.Rand) {
	f := slack.Fault{
		Method: []string{"chat.postMessage", "chat.update", "response_url", "apps.connections.open"}[r.IntN(4)],
		Kind:   []slack.FaultKind{slack.FaultRateLimited, slack.FaultServerError, slack.FaultDropped, slack.FaultLost, slack.FaultDelayed}[r.IntN(5)],
		Count:  1, RetryAfter: time.Duration(1+r.IntN(3)) * time.Second,
	}
	if f.Kind == slack.FaultDelayed {
		f.Delay = time.Duration(100+r.IntN(1400)) * time.Millisecond
	}
	if f.Method == "response_url" {
		s.mu.Lock()
		s.lost++
		s.mu.Unlock()
	}
	if err := s.slack.AddFault(f); err != nil {
		t.Error(err)
	}
}

// settle frees the token, and waits until everything that follows is delivered.
func (s *soak) settle(t *testing.T, b *bot) {
	t.Helper()
	if err := s.document.SetHolder(person, "Nobody"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	for b.metric(t, "deploytoken_history_rows_pending") != 0 {
		if !pause(ctx, time.Second) {
			t.Fatal("entries of the history are still to be written")
		}
	}
	pause(ctx, 90*time.Second) // messages, connections and rests of requests
}

// account compares what people and the spreadsheet got with the store.
func (s *soak) account(t *testing.T, store string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+store+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ids := func(query string) map[string]bool {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		found := map[string]bool{}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			found[id] = true
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return found
	}
	taken, finished := ids(`SELECT id FROM command`), ids(`SELECT id FROM command WHERE outcome <> ''`)
	count := map[string]int{}
	for _, g := range s.given {
		reads := g.kind != "take" && g.kind != "release"
		switch {
		case g.heard.answers > 0:
			count["answered"]++
			if again := g.heard.answers - 1; reads {
				count["reads answered again"] += again
			} else {
				count["changes answered again"] += again
			}
		case taken[g.envelope]:
			count["changes without an answer"]++
		case g.heard.put > 0:
			count["turned down"]++
		case reads && g.acked:
			count["reads without an answer"]++
		case g.acked:
			count["changes without an answer"]++
		default:
			count["not acknowledged, so not taken in"]++
		}
		if taken[g.envelope] && !finished[g.envelope] {
			count["without an outcome"]++
		}
	}
	ended := ids(`SELECT id FROM holding WHERE ended <> 0`)
	rows, doubled := map[string]bool{}, 0
	for _, row := range s.sheet.Rows("")[1:] {
		id := row[len(row)-1]
		if rows[id] {
			doubled++
		}
		rows[id] = true
		if !ended[id] {
			t.Errorf("a row of no holding that ended: %q", row)
		}
	}
	t.Logf("%d commands, %d times nobody was free: %v; %d holdings ended, %d rows, %d faults of answers",
		len(s.given), s.waited, count, len(ended), len(rows), s.lost)
	if count["changes without an answer"] > 0 || count["without an outcome"] > 0 {
		t.Error("changes have no answer")
	}
	// An answer to a change whose confirmation was lost is sent again. What only
	// reads is answered as often as it is delivered, and an answer to it sent once.
	if n := max(count["changes answered again"], count["reads without an answer"]); n > s.lost {
		t.Errorf("more answers are doubled or missing than faults account for: %d", n)
	}
	if len(rows) != len(ended) || doubled > 0 {
		t.Errorf("%d rows and %d doubles for %d holdings that ended", len(rows), doubled, len(ended))
	}
}

// A sample is what the bot takes up at a moment, and what it did since the last.
type sample struct {
	At              time.Duration
	Answered, Rows  int
	RSS, Heap       float64 // MiB
	Goroutines, FDs float64
	Store, WAL      float64 // MiB
	CPU             float64 // seconds since the start
	Ack, Answer     [2]time.Duration
}

const sampleTitles = "     time commands  rows RSS MiB heap MiB goroutines fds store MiB WAL MiB CPU s ack p50/p99 ms answer p50/p99 ms"

func (s sample) String() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%9s %8d %5d %7.1f %8.1f %10.0f %3.0f %9.2f %7.2f %5.0f %6.1f %7.1f %8.1f %8.1f", s.At.Round(time.Second), s.Answered, s.Rows,
		s.RSS, s.Heap, s.Goroutines, s.FDs, s.Store, s.WAL, s.CPU, ms(s.Ack[0]), ms(s.Ack[1]), ms(s.Answer[0]), ms(s.Answer[1]))
}

func (s *soak) sample(t *testing.T, b *bot, store string, began time.Time) sample {
	t.Helper()
	size := func(path string) float64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return float64(info.Size()) / (1 << 20)
	}
	pid := b.command.Process.Pid
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	acks, told, answers := s.acks, s.told, s.answers
	s.acks, s.told = nil, nil
	s.mu.Unlock()
	quantiles := func(d []time.Duration) [2]time.Duration { return [2]time.Duration{quantile(d, .5), quantile(d, .99)} }
	return sample{
		At: time.Since(began), Answered: answers, Rows: max(0, len(s.sheet.Rows(""))-1),
		RSS: resident(t, pid), Heap: b.metric(t, "go_memstats_heap_alloc_bytes") / (1 << 20),
		Goroutines: b.metric(t, "go_goroutines"), FDs: float64(len(fds)),
		Store: size(store), WAL: size(store + "-wal"), CPU: b.metric(t, "process_cpu_seconds_total"),
		Ack: quantiles(acks), Answer: quantiles(told),
	}
}

// levels says how everything grew in the second half, and fails where that
// can't be chance.
func levels(t *testing.T, samples []sample) {
	t.Helper()
	half := samples[len(samples)/2:]
	for _, m := range []struct {
		what   string
		of     func(sample) float64
		digits int
		most   float64 // more over the second half than this is a leak
	}{
		{"resident memory, MiB", func(s sample) float64 { return s.RSS }, 2, 32},
		{"heap, MiB", func(s sample) float64 { return s.Heap }, 2, 32},
		{"goroutines", func(s sample) float64 { return s.Goroutines }, 1, 50},
		{"file descriptors", func(s sample) float64 { return s.FDs }, 1, 30},
		{"write-ahead log, MiB", func(s sample) float64 { return s.WAL }, 2, 32},
	} {
		grew := slope(half, m.of) * (half[len(half)-1].At - half[0].At).Seconds()
		t.Logf("%s: %+.*f by the trend of the second half", m.what, m.digits, grew)
		if grew > m.most {
			t.Errorf("%s: grew by %.1f", m.what, grew)
		}
	}
	each := func(of []sample) (store, cpu float64) {
		first, last := of[0], of[len(of)-1]
		n := float64(last.Answered - first.Answered)
		return (last.Store - first.Store) * (1 << 20) / n, (last.CPU - first.CPU) * 1000 / n
	}
	store1, cpu1 := each(samples[:len(samples)/2+1])
	store2, cpu2 := each(half)
	t.Logf("store: %.0f bytes a command in the first half, %.0f in the second", store1, store2)
	t.Logf("processor: %.1f ms a command in the first half, %.1f in the second", cpu1, cpu2)
	if store2 > 1.5*store1 {
		t.Error("the store grows faster and faster")
	}
}

// slope is the least squares' growth of something, a second.
func slope(samples []sample, of func(sample) float64) float64 {
	var sx, sy, sxx, sxy float64
	for _, s := range samples {
		x, y := s.At.Seconds(), of(s)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	n := float64(len(samples))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// retained says what is left in the store of the commands once they are so old
// that the bot removes them.
func retained(t *testing.T, store string, commands int) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "store.db")
	content, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }
	l, err := ledger.Open(t.Context(), "sqlite:"+copied, ledger.Options{Exclusive: true, Now: later})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err = l.Prune(t.Context(), later())
	took := time.Since(began)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+copied+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	number := func(query string) (n int64) {
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	pages, free, size := number("PRAGMA page_count"), number("PRAGMA freelist_count"), number("PRAGMA page_size")
	var kept []string
	for _, table := range []string{"command", "outbox", "holding", "audit"} {
		kept = append(kept, fmt.Sprintf("%d of %s", number("SELECT COUNT(*) FROM "+table), table))
	}
	t.Logf("after the retention's end: %.2f MiB, of which %.2f MiB are free to be used again, so %.0f bytes a command are kept for good (%s); removing the rest took %s",
		float64(pages*size)/(1<<20), float64(free*size)/(1<<20), float64((pages-free)*size)/float64(commands), strings.Join(kept, ", "), took.Round(time.Millisecond))
}

// pause waits, and reports whether ctx lasted so long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A seat is a person in a channel of their own, where they say one thing after
// the other.
type seat struct {
	w                *world
	user, name, room string
	came             chan struct{} // has room for one: a message came
	busy             sync.Mutex
	seen             int // messages of the room before the command under way
}

// heard counts what somebody heard of a command.
type heard struct {
	answers int // that no other needs to follow
	put     int // that say that it is not known yet, or can't be taken in
	last    slack.Message
}

// seats has n people join the team, and tells them of messages.
func (w *world) seats(t testing.TB, n int) []*seat {
	t.Helper()
	members := []string{ana, bob, "UBOT"}
	byRoom := map[string]*seat{}
	all := make([]*seat, n)
	for i := range all {
		st := &seat{
			w: w, user: fmt.Sprintf("U%04d", i), name: fmt.Sprintf("Person N%04d", i), room: fmt.Sprintf("C1ROOM%04d", i),
			came: make(chan struct{}, 1),
		}
		all[i], byRoom[st.room] = st, st
		members = append(members, st.user)
		if err := w.slack.PutUser(slack.User{ID: st.user, Name: fmt.Sprintf("p%d", i), RealName: st.name}); err != nil {
			t.Fatal(err)
		}
		if err := w.slack.PutChannel(slack.Channel{ID: st.room, Name: strings.ToLower(st.room), Members: []string{st.user}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: members}); err != nil {
		t.Fatal(err)
	}
	changes, stop := w.slack.Subscribe()
	t.Cleanup(stop)
	go func() {
		var last uint64
		for c := range changes {
			missed := c.Seq != last+1
			last = c.Seq
			st := byRoom[c.Channel]
			switch {
			case missed:
				for _, st := range all {
					st.poke()
				}
			case st != nil:
				st.poke()
			}
		}
	}()
	return all
}

func (st *seat) poke() {
	select {
	case st.came <- struct{}{}:
	default:
	}
}

// take takes the seat, unless somebody has it.
func (st *seat) take() bool {
	if !st.busy.TryLock() {
		return false
	}
	st.seen = len(st.w.slack.Visible(st.user, st.room))
	return true
}

func (st *seat) leave() { st.busy.Unlock() }

// heard counts what was heard since the seat was taken.
func (st *seat) heard() (h heard) {
	for _, m := range st.w.slack.Visible(st.user, st.room)[st.seen:] {
		switch {
		case m.User != "UBOT":
		case strings.Contains(m.Text, "I don't know yet whether"), strings.Contains(m.Text, "take that in"), strings.Contains(m.Text, "taken that in"):
			h.put++
		default:
			h.answers++
			h.last = m
		}
	}
	return h
}

// await waits for an answer; a minute more where it was put off.
func (st *seat) await(patience time.Duration) heard {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	put := false
	for {
		h := st.heard()
		if h.answers > 0 {
			return h
		}
		if h.put > 0 && !put {
			put = true
			enough.Reset(min(patience, time.Minute))
		}
		select {
		case <-st.came:
		case <-enough.C:
			return h
		}
	}
}
