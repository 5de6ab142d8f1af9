package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

// The behaviours of the ports, each of which runs against every database.
var behaviours = []struct {
	name string
	test func(t *testing.T, url string)
}{
	{"commands are accepted once", testAccept},
	{"a release follows a take", testReleaseAfterTake},
	{"a command can be read as it was recorded", testCommandRoundTrip},
	{"orphaned commands are claimed, the oldest first", testClaimCommands},
	{"orphaned commands are claimed by one owner", testClaimOnce},
	{"a command ends once", testFinishOnce},
	{"a document nobody spoke of has an empty record", testEmptyRecord},
	{"holdings begin, change and end", testHoldings},
	{"a change decided on an old record is refused", testStale},
	{"commands that end without a change make nobody decide again", testRefusalsApart},
	{"a change is made whole or not at all", testAllOrNothing},
	{"an intent is refused where it may not be opened", testOpenIntentRefused},
	{"an intent comes back as it was kept", testIntentRoundTrip},
	{"an intent taken over is fenced", testIntentFencing},
	{"one of 32 intents is opened", testOneIntent},
	{"effects are delivered in order", testOutboxOrder},
	{"a failed effect holds back the others", testOutboxFailed},
	{"a clock that is set back holds up nothing", testOutboxClock},
	{"an effect given up is kept, and the next comes up", testOutboxGivenUp},
	{"attempts are counted before they are made", testAttempts},
	{"effects are unique by key", testEffectOnce},
	{"deliveries come with what they refer to", testDeliveryFilled},
	{"deliveries come with their matter as it is then", testDeliveryMatter},
	{"matters are put, replaced and over", testMatters},
	{"the record is read without the look", testRecordWithoutLook},
	{"what people wrote of a matter can be kept", testMatterText},
	{"a claim taken over is fenced", testClaimFencing},
	{"two drainers deliver everything once and in order", testTwoDrainers},
	{"response URLs are erased", testResponseURLs},
	{"what is old is pruned, and what is needed kept", testPrune},
	{"matters that are over are pruned", testPruneMatters},
	{"much that is old is pruned bit by bit", testPruneMuch},
	{"the backlog is counted", testPending},
	{"decisions can be looked up", testAudit},
	{"leases", testLease},
	{"everything outlives a restart", testRestart},
	{"a store of an older release is brought up to date", testMigration},
	{"reading beside a writer", testReadOnly},
	{"eight stores start at once", testConcurrentStarts},
	{"the end of a context ends the wait", testContext},
	{"8 goroutines do everything at once", testEverythingAtOnce},
}

func TestSQLite(t *testing.T) {
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.test(t, ledgertest.SQLite(t)) })
	}
}

func TestPostgres(t *testing.T) {
	server := ledgertest.StartPostgres(t, "fsync=off")
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) { b.test(t, server.URL(t)) })
	}
	t.Run("faults", func(t *testing.T) { testPostgresFaults(t, server) })
	t.Run("a replica that stops in a transaction", func(t *testing.T) { testStopped(t, server) })
	t.Run("a replica that dies", func(t *testing.T) { testDeath(t, server) })
}

const doc = "document-1"

// start is when the tests' decisions are made.
var start = time.Date(2026, 3, 14, 9, 26, 53, 589e6, time.UTC)

var channel = deploytoken.ToChannel("C1")

func open(t *testing.T, url, owner string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, Options{Owner: owner, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got error %v, want %v", got, want)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func accept(t *testing.T, s *Store, id string) deploytoken.Command {
	t.Helper()
	c := deploytoken.Command{ID: id, Document: doc, Kind: deploytoken.KindTake, PersonID: "U1", ResponseURL: "https://hooks.example/" + id, At: start}
	fresh, err := s.Accept(t.Context(), c)
	check(t, err)
	if !fresh {
		t.Fatalf("command %s was there already", id)
	}
	return c
}

func record(t *testing.T, s *Store) deploytoken.Record {
	t.Helper()
	r, err := s.Record(t.Context(), doc)
	check(t, err)
	return r
}

func commit(t *testing.T, s *Store, c deploytoken.Change) {
	t.Helper()
	check(t, s.Commit(t.Context(), change(c)))
}

// change fills in what every change has.
func change(c deploytoken.Change) deploytoken.Change {
	c.Document = doc
	if c.IfSeq == 0 {
		c.IfSeq = -1
	}
	if c.At.IsZero() {
		c.At = start
	}
	return c
}

func holding(id, name string) *deploytoken.Holding {
	return &deploytoken.Holding{ID: id, Name: name, PersonID: "U1", Purpose: "Kingfisher’s “views”", Since: start, SinceKnown: true}
}

func ended(h deploytoken.Holding) *deploytoken.Holding {
	h.Ended, h.Summary = start.Add(time.Hour), "done"
	return &h
}

func effect(key, destination string) deploytoken.Effect {
	return deploytoken.Effect{Key: key, Destination: destination, Notice: deploytoken.Notice{Kind: deploytoken.NoticeTaken, At: start}}
}

func insert(t *testing.T, s *Store, effects ...deploytoken.Effect) {
	t.Helper()
	commit(t, s, deploytoken.Change{Effects: effects})
}

func claim(t *testing.T, s *Store, destination string, now time.Time, limit int) (deploytoken.Lease, []deploytoken.Delivery) {
	t.Helper()
	l, ds, err := s.Claim(t.Context(), destination, now, limit, time.Minute)
	check(t, err)
	return l, ds
}

func keys(ds []deploytoken.Delivery) (ks []string) {
	for _, d := range ds {
		ks = append(ks, d.Key)
	}
	return ks
}

func ids(cs []deploytoken.Command) (is []string) {
	for _, c := range cs {
		is = append(is, c.ID)
	}
	return is
}

func testAccept(t *testing.T, url string) {
	s := open(t, url, "a")
	accept(t, s, "e1")
	fresh, err := s.Accept(t.Context(), deploytoken.Command{ID: "e1", Document: doc, Kind: deploytoken.KindRelease, At: start})
	check(t, err)
	if fresh {
		t.Error("a duplicate was taken for a new command")
	}
	c, _, err := s.Command(t.Context(), "e1")
	check(t, err)
	if c.Kind != deploytoken.KindTake {
		t.Errorf("the duplicate replaced the command: %+v", c)
	}
	var wg sync.WaitGroup
	fresher := make(chan bool, 32)
	for range 32 {
		wg.Go(func() {
			fresh, err := s.Accept(t.Context(), deploytoken.Command{ID: "e2", Document: doc, At: start})
			if err != nil {
				t.Error(err)
			}
			if fresh {
				fresher <- true
			}
		})
	}
	wg.Wait()
	equal(t, "commands accepted as new", len(fresher), 1)
	_, err = s.Accept(t.Context(), deploytoken.Command{})
	wantErr(t, err, errMisuse)
}

// testReleaseAfterTake: a release that was typed is recorded with the asker's
// latest take that has yet to end.
func testReleaseAfterTake(t *testing.T, url string) {
	s := open(t, url, "a")
	n := 0
	expect := func(name string, c deploytoken.Command, want string) {
		t.Helper()
		n++
		c.ID, c.Document, c.At = fmt.Sprint("c", n), doc, start.Add(time.Minute)
		_, err := s.Accept(t.Context(), c)
		check(t, err)
		got, _, err := s.Command(t.Context(), c.ID)
		check(t, err)
		equal(t, "the take before what is "+name, got.Subject, want)
	}
	release := deploytoken.Command{Kind: deploytoken.KindRelease, PersonID: "U1"}
	clicked, known, another, others := release, release, release, release
	clicked.Message, known.Holding, another.Kind, others.PersonID = "1.2", "h1", deploytoken.KindWait, "U2"

	expect("alone", release, "")
	accept(t, s, "take-1")
	accept(t, s, "take-2")
	expect("typed", release, "take-2")
	expect("clicked", clicked, "")
	expect("for a holding", known, "")
	expect("no release", another, "")
	expect("somebody else's", others, "")
	commit(t, s, deploytoken.Change{Finish: "take-2", Outcome: deploytoken.OutcomeHeld})
	expect("typed after the second has ended", release, "take-1")
	commit(t, s, deploytoken.Change{Finish: "take-1", Outcome: deploytoken.OutcomeHeld})
	expect("typed after both have", release, "")
}

func testCommandRoundTrip(t *testing.T, url string) {
	s := open(t, url, "a")
	want := deploytoken.Command{
		ID: "e1", Document: doc, Kind: deploytoken.KindRelease, PersonID: "U1", Words: "mended Scrapyd’s 🪣\n'; --", Holding: "h0",
		Subject: "o1", Until: start.Add(time.Hour), ChannelID: "C1", ResponseURL: "https://hooks.example/1", Message: "1.2", Ephemeral: true, At: start,
	}
	_, err := s.Accept(t.Context(), want)
	check(t, err)
	got, outcome, err := s.Command(t.Context(), "e1")
	check(t, err)
	equal(t, "command", *got, want)
	equal(t, "outcome", outcome, deploytoken.Outcome(""))

	got, _, err = s.Command(t.Context(), "none")
	check(t, err)
	equal(t, "a command that there is not", got, (*deploytoken.Command)(nil))

	// Without a holding, it is about the one that lasts.
	accept(t, s, "e2")
	commit(t, s, deploytoken.Change{Begin: holding("h1", "Ana")})
	accept(t, s, "e3")
	for id, want := range map[string]string{"e2": "", "e3": "h1"} {
		c, _, err := s.Command(t.Context(), id)
		check(t, err)
		equal(t, "holding of "+id, c.Holding, want)
	}

	fresh, err := s.Accept(t.Context(), deploytoken.Command{ID: "e4", Document: doc, Words: "a\x00b\xff", Subject: "\x00c\xff", At: start})
	check(t, err)
	got, _, err = s.Command(t.Context(), "e4")
	check(t, err)
	if !fresh || got.Words != "ab\uFFFD" || got.Subject != "c\uFFFD" {
		t.Errorf("words came back as %q, the subject as %q", got.Words, got.Subject)
	}
}

func testClaimCommands(t *testing.T, url string) {
	a, b := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	for i, id := range []string{"e3", "e1", "e2"} {
		_, err := a.Accept(ctx, deploytoken.Command{ID: id, Document: doc, At: start.Add(time.Duration(i) * time.Second)})
		check(t, err)
	}
	_, err := a.Accept(ctx, deploytoken.Command{ID: "elsewhere", Document: "document-2", At: start})
	check(t, err)
	claimed, err := b.ClaimCommands(ctx, doc, 10, time.Minute)
	check(t, err)
	equal(t, "commands that are kept", ids(claimed), []string(nil))

	check(t, a.KeepCommands(ctx, []string{"e1", "unknown"}, 0))
	claimed, err = b.ClaimCommands(ctx, doc, 1, 0)
	check(t, err)
	equal(t, "the one that nobody keeps", ids(claimed), []string{"e1"})
	check(t, a.KeepCommands(ctx, []string{"e3", "e2"}, 0))
	claimed, err = b.ClaimCommands(ctx, doc, 2, 0)
	check(t, err)
	equal(t, "the oldest two", ids(claimed), []string{"e3", "e1"})

	// Another owner can neither keep nor end them now, nor open an intent.
	check(t, a.KeepCommands(ctx, []string{"e3"}, time.Hour))
	wantErr(t, a.Commit(ctx, change(deploytoken.Change{Finish: "e3", Outcome: deploytoken.OutcomeHeld})), deploytoken.ErrNotOwner)
	claimed, err = a.ClaimCommands(ctx, doc, 10, time.Minute)
	check(t, err)
	equal(t, "all", ids(claimed), []string{"e3", "e1", "e2"})

	commit(t, a, deploytoken.Change{Finish: "e1", Outcome: deploytoken.OutcomeHeld})
	_, err = a.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op", Command: "e2"}, record(t, a).Seq, 0)
	check(t, err)
	check(t, a.KeepCommands(ctx, []string{"e1", "e2", "e3"}, 0))
	claimed, err = b.ClaimCommands(ctx, doc, 10, time.Minute)
	check(t, err)
	equal(t, "neither the finished nor the one with an intent", ids(claimed), []string{"e3"})
}

func testClaimOnce(t *testing.T, url string) {
	stores := []*Store{open(t, url, "a"), open(t, url, "b")}
	ctx := t.Context()
	const n = 48
	var orphans []string
	for i := range n {
		orphans = append(orphans, accept(t, stores[0], fmt.Sprintf("e%02d", i)).ID)
	}
	check(t, stores[0].KeepCommands(ctx, orphans, 0))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var claimed []string
	for i := range 16 {
		wg.Go(func() {
			for range n / 16 {
				cs, err := stores[i%2].ClaimCommands(ctx, doc, 3, time.Minute)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				claimed = append(claimed, ids(cs)...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(claimed)
	if len(slices.Compact(slices.Clone(claimed))) != len(claimed) {
		t.Errorf("claimed twice: %v", claimed)
	}
	for _, s := range stores {
		for len(claimed) < n {
			cs, err := s.ClaimCommands(ctx, doc, n, time.Minute)
			check(t, err)
			if len(cs) == 0 {
				break
			}
			claimed = append(claimed, ids(cs)...)
		}
	}
	equal(t, "commands claimed", len(claimed), n)
}

func testFinishOnce(t *testing.T, url string) {
	s := open(t, url, "a")
	accept(t, s, "e1")
	commit(t, s, deploytoken.Change{Finish: "e1", Outcome: deploytoken.OutcomeHeld})
	wantErr(t, s.Commit(t.Context(), change(deploytoken.Change{Finish: "e1", Outcome: deploytoken.OutcomeFailed})), deploytoken.ErrNotOwner)
	wantErr(t, s.Commit(t.Context(), change(deploytoken.Change{Finish: "none", Outcome: deploytoken.OutcomeFailed})), deploytoken.ErrNotOwner)
	_, outcome, err := s.Command(t.Context(), "e1")
	check(t, err)
	equal(t, "outcome", outcome, deploytoken.OutcomeHeld)
}

func testEmptyRecord(t *testing.T, url string) {
	s := open(t, url, "a")
	equal(t, "record", record(t, s), deploytoken.Record{})
	h, err := s.Holding(t.Context(), "none")
	check(t, err)
	equal(t, "holding", h, (*deploytoken.Holding)(nil))
	if len(s.StoreID()) != 12 || strings.Trim(s.StoreID(), "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("store ID %q", s.StoreID())
	}
	check(t, s.Ping(t.Context()))
}

func testHoldings(t *testing.T, url string) {
	s := open(t, url, "a")
	h := holding("h1", "Ana")
	commit(t, s, deploytoken.Change{Begin: h, Observed: start})
	equal(t, "record", record(t, s), deploytoken.Record{Seq: 1, Holding: h, LastName: "Ana", Observed: start})
	wantErr(t, s.Commit(t.Context(), change(deploytoken.Change{Begin: holding("h2", "Ben")})), deploytoken.ErrStale)

	h.PersonID, h.NextReminder, h.Reminders, h.Consent = "U2", start.Add(time.Minute), 3, "Ada agreed"
	unclear := "two names"
	commit(t, s, deploytoken.Change{Update: h, SetUnclear: &unclear})
	equal(t, "record", record(t, s), deploytoken.Record{Seq: 2, Holding: h, LastName: "Ana", Observed: start, Unclear: unclear})
	wantErr(t, s.Commit(t.Context(), change(deploytoken.Change{Update: holding("h2", "Ben")})), deploytoken.ErrStale)

	over, clear := ended(*h), ""
	over.EndedByHand = true
	next := holding("h2", "Ben")
	commit(t, s, deploytoken.Change{End: over, Begin: next, SetUnclear: &clear})
	equal(t, "record", record(t, s), deploytoken.Record{Seq: 3, Holding: next, LastName: "Ben", Observed: start})
	got, err := s.Holding(t.Context(), "h1")
	check(t, err)
	equal(t, "ended holding", got, over)

	wantErr(t, s.Commit(t.Context(), change(deploytoken.Change{End: over})), deploytoken.ErrStale)
	next = ended(*next)
	next.EndedBy = "U3"
	commit(t, s, deploytoken.Change{End: next})
	got, err = s.Holding(t.Context(), "h2")
	check(t, err)
	equal(t, "holding that another released", got, next)
	equal(t, "record", record(t, s), deploytoken.Record{Seq: 4, Observed: start})
	if err := s.Commit(t.Context(), change(deploytoken.Change{Begin: holding("h1", "Ana")})); err == nil {
		t.Error("an ended holding resumed")
	}
}

func testStale(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	c := change(deploytoken.Change{Observed: start})
	c.IfSeq = 0
	check(t, s.Commit(ctx, c))
	wantErr(t, s.Commit(ctx, c), deploytoken.ErrStale)
	c.IfSeq = 1
	check(t, s.Commit(ctx, c))
	equal(t, "seq", record(t, s).Seq, int64(2))

	// Of changes decided on one record, one is made.
	var wg sync.WaitGroup
	made := make(chan int, 32)
	for i := range 32 {
		wg.Go(func() {
			c := c
			c.IfSeq = 2
			switch err := s.Commit(ctx, c); {
			case err == nil:
				made <- i
			case !errors.Is(err, deploytoken.ErrStale):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "changes made", len(made), 1)
}

func testAllOrNothing(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	h := holding("h1", "Ana")
	there := waiter("w1")
	there.Name = "Ben"
	commit(t, s, deploytoken.Change{Begin: h, Effects: []deploytoken.Effect{effect("there", channel)}, Put: []deploytoken.Matter{there}})
	accept(t, s, "e1")
	intent, err := s.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op", Command: "e1"}, record(t, s).Seq, time.Minute)
	check(t, err)
	unclear := "two names"
	whole := func() deploytoken.Change {
		return change(deploytoken.Change{
			CloseIntent: "op", Epoch: intent.Epoch, End: ended(*h), Begin: holding("h2", "Ben"), Update: holding("h2", "Ben"),
			Finish: "e1", Outcome: deploytoken.OutcomeTaken, Observed: start, SetUnclear: &unclear,
			Put:     []deploytoken.Matter{waiter("w1"), waiter("w2")},
			Effects: []deploytoken.Effect{effect("k1", channel), effect("k2", deploytoken.ToSheet)},
			Audit:   []deploytoken.AuditEvent{{At: start, Event: "taken"}},
		})
	}
	before := withoutBeats(dump(t, s))
	for name, part := range map[string]struct {
		want error
		fail func(*deploytoken.Change)
	}{
		"seq":           {deploytoken.ErrStale, func(c *deploytoken.Change) { c.IfSeq = 77 }},
		"intent":        {deploytoken.ErrNotOwner, func(c *deploytoken.Change) { c.CloseIntent = "other" }},
		"epoch":         {deploytoken.ErrNotOwner, func(c *deploytoken.Change) { c.Epoch = 9 }},
		"end":           {deploytoken.ErrStale, func(c *deploytoken.Change) { c.End.ID = "h9" }},
		"end missing":   {deploytoken.ErrStale, func(c *deploytoken.Change) { c.End = nil }},
		"end unset":     {errMisuse, func(c *deploytoken.Change) { c.End.Ended = time.Time{} }},
		"begin again":   {nil, func(c *deploytoken.Change) { c.Begin.ID = "h1" }},
		"begin ended":   {errMisuse, func(c *deploytoken.Change) { c.Begin.Ended = start }},
		"update":        {deploytoken.ErrStale, func(c *deploytoken.Change) { c.Update.ID = "h1" }},
		"update ended":  {errMisuse, func(c *deploytoken.Change) { c.Update.Ended = start }},
		"command":       {deploytoken.ErrNotOwner, func(c *deploytoken.Change) { c.Finish = "e9" }},
		"no outcome":    {errMisuse, func(c *deploytoken.Change) { c.Outcome = "" }},
		"no matter":     {errMisuse, func(c *deploytoken.Change) { c.Put[1] = nil }},
		"matter":        {errMisuse, func(c *deploytoken.Change) { c.Put[1] = waiter("") }},
		"matter's kind": {errMisuse, func(c *deploytoken.Change) { c.Put[1] = strange{} }},
		"matter's time": {nil, func(c *deploytoken.Change) {
			c.Put[1].(*deploytoken.Waiter).Since = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)
		}},
		"effect":         {errMisuse, func(c *deploytoken.Change) { c.Effects[1].Key = "" }},
		"unencodable":    {nil, func(c *deploytoken.Change) { c.Effects[1].Notice.At = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }},
		"other document": {deploytoken.ErrNotOwner, func(c *deploytoken.Change) { c.Document = "document-2" }},
		"no document":    {errMisuse, func(c *deploytoken.Change) { c.Document = "" }},
		"no time":        {errMisuse, func(c *deploytoken.Change) { c.At = time.Time{} }},
	} {
		t.Run(name, func(t *testing.T) {
			c := whole()
			part.fail(&c)
			err := s.Commit(ctx, c)
			if err == nil || part.want != nil && !errors.Is(err, part.want) {
				t.Errorf("got error %v, want %v", err, part.want)
			}
			equal(t, "the store after a refused change", withoutBeats(dump(t, s)), before)
		})
	}
	check(t, s.Commit(ctx, whole()))
	r := record(t, s)
	if r.Holding == nil || r.Holding.ID != "h2" || r.IntentOpen || r.PendingRows != 1 || r.Unclear != unclear ||
		len(r.Matters.Waiters) != 2 || r.Matters.Waiters[0].Name != "Ana" {
		t.Errorf("the whole change: %+v", r)
	}
}

// strange is a matter of a kind that there is not.
type strange struct{}

func (strange) Ref() deploytoken.MatterRef { return deploytoken.MatterRef{Kind: "strange", ID: "1"} }
func (strange) Over() time.Time            { return time.Time{} }

// dump returns all that the store holds, row by row.
func dump(t *testing.T, s *Store) []string {
	t.Helper()
	var all []string
	for _, table := range []string{"store", "document", "holding", "matter", "command", "intent", "destination", "outbox", "lease", "audit"} {
		rows, err := s.read.QueryContext(t.Context(), "SELECT * FROM "+table)
		check(t, err)
		columns, err := rows.Columns()
		check(t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(string)
			}
			check(t, rows.Scan(values...))
			line := table
			for _, v := range values {
				line += "|" + *v.(*string)
			}
			all = append(all, line)
		}
		check(t, rows.Err())
		check(t, rows.Close())
	}
	slices.Sort(all)
	return all
}

// withoutBeats leaves out what each replica writes every second.
func withoutBeats(lines []string) []string {
	return slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "lease|"+lives) })
}

func testOpenIntentRefused(t *testing.T, url string) {
	a, b := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	for _, id := range []string{"e1", "e2", "done"} {
		accept(t, a, id)
	}
	accept(t, b, "other’s")
	commit(t, a, deploytoken.Change{Finish: "done", Outcome: deploytoken.OutcomeHeld})
	seq := record(t, a).Seq
	before := withoutBeats(dump(t, a))
	for _, c := range []struct {
		command string
		seq     int64
		want    error
	}{
		{"e1", seq - 1, deploytoken.ErrStale},
		{"e1", seq + 1, deploytoken.ErrStale},
		{"done", seq, deploytoken.ErrNotOwner},
		{"other’s", seq, deploytoken.ErrNotOwner},
		{"none", seq, deploytoken.ErrNotOwner},
		{"", seq, errMisuse},
	} {
		_, err := a.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op", Command: c.command}, c.seq, time.Minute)
		if !errors.Is(err, c.want) {
			t.Errorf("command %q at seq %d: got error %v, want %v", c.command, c.seq, err, c.want)
		}
	}
	equal(t, "the store after refused intents", withoutBeats(dump(t, a)), before)
	_, err := a.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op1", Command: "e1"}, seq, time.Minute)
	check(t, err)
	_, err = a.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op2", Command: "e2"}, record(t, a).Seq, time.Minute)
	wantErr(t, err, deploytoken.ErrIntentOpen)
}

func fullIntent() deploytoken.Intent {
	return deploytoken.Intent{
		Operation: "op", Document: doc, Command: "e1", Read: "Nobody", Written: "Ana Ñandú 🦜",
		Removes: []deploytoken.Mark{{Store: "s", Operation: "o"}},
		Batch:   deploytoken.Batch{Revision: "r1", Body: []byte("{\x00\xff}")},
		Settle:  deploytoken.Batch{Revision: "r2", Body: []byte("{}")}, SettleMark: "m",
		Began: holding("h1", "Ana"), Ends: "h0", Summary: "done", EndsByHand: true, Decided: start,
		Deployment: fullDeployment(deploytoken.Work{}, deploytoken.BusyReport{At: start}), Offer: "o1", Asker: "Ben", Force: true, Why: "Ana is away",
	}
}

func testIntentRoundTrip(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	accept(t, s, "e1")
	i, err := s.OpenIntent(ctx, fullIntent(), 0, time.Minute)
	check(t, err)
	r := record(t, s)
	if !r.IntentOpen || r.Seq != 1 {
		t.Errorf("record with an open intent: %+v", r)
	}
	i.Batch.Revision, i.Read = "r3", "Ben"
	check(t, s.KeepIntent(ctx, i, time.Minute))
	got, err := s.ClaimIntent(ctx, doc, time.Minute)
	check(t, err)
	want := i
	want.Epoch = i.Epoch + 1
	equal(t, "intent", *got, want)
}

func testIntentFencing(t *testing.T, url string) {
	a, b := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	none, err := b.ClaimIntent(ctx, doc, time.Minute)
	check(t, err)
	equal(t, "no intent", none, (*deploytoken.Intent)(nil))

	accept(t, a, "e1")
	i, err := a.OpenIntent(ctx, fullIntent(), 0, time.Minute)
	check(t, err)
	kept, err := b.ClaimIntent(ctx, doc, time.Minute)
	check(t, err)
	equal(t, "an intent that its owner keeps", kept, (*deploytoken.Intent)(nil))

	check(t, a.KeepIntent(ctx, i, 0))
	taken, err := b.ClaimIntent(ctx, doc, time.Minute)
	check(t, err)
	if taken == nil || taken.Epoch <= i.Epoch {
		t.Fatalf("an intent whose time has passed: %+v", taken)
	}
	wantErr(t, a.KeepIntent(ctx, i, time.Minute), deploytoken.ErrNotOwner)
	end := change(deploytoken.Change{CloseIntent: i.Operation, Epoch: i.Epoch})
	wantErr(t, a.Commit(ctx, end), deploytoken.ErrNotOwner)
	end.Epoch = taken.Epoch
	wantErr(t, a.Commit(ctx, end), deploytoken.ErrNotOwner)
	wantErr(t, a.Commit(ctx, change(deploytoken.Change{Finish: "e1", Outcome: deploytoken.OutcomeFailed})), deploytoken.ErrNotOwner)

	// Its own it may take over at any time, under a new epoch again.
	again, err := b.ClaimIntent(ctx, doc, time.Minute)
	check(t, err)
	wantErr(t, b.KeepIntent(ctx, *taken, time.Minute), deploytoken.ErrNotOwner)
	commit(t, b, deploytoken.Change{CloseIntent: i.Operation, Epoch: again.Epoch, Finish: "e1", Outcome: deploytoken.OutcomeTaken})
	if record(t, a).IntentOpen {
		t.Error("the intent is still open")
	}
	wantErr(t, b.Commit(ctx, change(deploytoken.Change{CloseIntent: i.Operation, Epoch: again.Epoch})), deploytoken.ErrNotOwner)
}

func testOneIntent(t *testing.T, url string) {
	stores := []*Store{open(t, url, "a"), open(t, url, "b")}
	ctx := t.Context()
	seq := record(t, stores[0]).Seq
	for i := range 32 {
		accept(t, stores[i%2], fmt.Sprint("e", i))
	}
	var wg sync.WaitGroup
	opened := make(chan string, 32)
	for i := range 32 {
		wg.Go(func() {
			intent, err := stores[i%2].OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: fmt.Sprint("op", i), Command: fmt.Sprint("e", i)}, seq, time.Minute)
			switch {
			case err == nil:
				opened <- intent.Operation
			case !errors.Is(err, deploytoken.ErrIntentOpen) && !errors.Is(err, deploytoken.ErrStale):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "intents opened", len(opened), 1)
}

func testOutboxOrder(t *testing.T, url string) {
	a, b := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	insert(t, a, effect("k1", channel), effect("row", deploytoken.ToSheet), effect("k2", channel))
	insert(t, b, effect("k3", channel), deploytoken.Effect{Key: "later", Destination: deploytoken.ToSweep, NotBefore: start.Add(time.Minute)})
	due, err := a.Due(ctx, start)
	check(t, err)
	equal(t, "due", due, []string{channel, deploytoken.ToSheet})
	due, err = a.Due(ctx, start.Add(time.Minute))
	check(t, err)
	equal(t, "due a minute later", due, []string{channel, deploytoken.ToSheet, deploytoken.ToSweep})

	l, ds := claim(t, a, channel, start, 2)
	equal(t, "claimed", keys(ds), []string{"k1", "k2"})
	for _, s := range []*Store{a, b} {
		_, ds, err := s.Claim(ctx, channel, start, 2, time.Minute)
		check(t, err)
		equal(t, "claimed twice", keys(ds), []string(nil))
		due, err := s.Due(ctx, start)
		check(t, err)
		equal(t, "due while claimed", due, []string{deploytoken.ToSheet})
	}
	check(t, a.Delivered(ctx, l, []string{"k1"}, deploytoken.Receipt{}, []deploytoken.Effect{effect("k4", channel)}, start))
	l, ds = claim(t, b, channel, start, 9)
	equal(t, "the rest", keys(ds), []string{"k2", "k3", "k4"})
	wantErr(t, b.Delivered(ctx, l, []string{"k3"}, deploytoken.Receipt{}, nil, start), errMisuse)
	check(t, b.Delivered(ctx, l, []string{"k2", "k3", "k4"}, deploytoken.Receipt{}, nil, start))
	if _, ds := claim(t, a, channel, start, 9); ds != nil {
		t.Errorf("delivered twice: %v", keys(ds))
	}
	if _, ds := claim(t, a, deploytoken.ToSweep, start, 9); ds != nil {
		t.Errorf("delivered too early: %v", keys(ds))
	}
	_, ds = claim(t, a, deploytoken.ToSweep, start.Add(time.Minute), 9)
	equal(t, "in its time", keys(ds), []string{"later"})
}

func testOutboxFailed(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	insert(t, s, effect("k1", channel), effect("k2", channel))
	l, _ := claim(t, s, channel, start, 1)
	again := start.Add(time.Second)
	check(t, s.Failed(ctx, l, "k1", "Slack is down", again, []deploytoken.Effect{effect("trouble", deploytoken.ToPerson("U1"))}))
	if _, ds := claim(t, s, channel, start, 9); ds != nil {
		t.Errorf("claimed before its time, or out of order: %v", keys(ds))
	}
	due, err := s.Due(ctx, start)
	check(t, err)
	equal(t, "due", due, []string{deploytoken.ToPerson("U1")})
	l, ds := claim(t, s, channel, again, 9)
	equal(t, "claimed again", keys(ds), []string{"k1", "k2"})
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, nil, again))
	wantErr(t, s.Failed(ctx, l, "k1", "late", again, nil), deploytoken.ErrNotOwner)
	l, _ = claim(t, s, deploytoken.ToPerson("U1"), start, 1)
	wantErr(t, s.Failed(ctx, l, "k1", "another destination’s", again, nil), errMisuse)
}

func testOutboxClock(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	ahead := start.Add(2 * time.Hour)
	person, sheet := deploytoken.ToPerson("U1"), deploytoken.ToSheet
	check(t, s.Commit(ctx, deploytoken.Change{Document: doc, IfSeq: -1, At: ahead, Effects: []deploytoken.Effect{
		effect("k1", channel), effect("k2", channel), effect("k3", person), effect("row", sheet),
		{Key: "sweep", Destination: deploytoken.ToSweep, NotBefore: ahead.Add(time.Minute)},
	}}))
	l, _ := claim(t, s, channel, ahead, 1)
	check(t, s.Failed(ctx, l, "k1", "Slack is down", ahead.Add(time.Second), nil))
	l, _ = claim(t, s, sheet, ahead, 1)
	check(t, s.Failed(ctx, l, "row", "Sheets is down", start.Add(deploytoken.MaxPause), nil))

	// What was inserted or tried by the clock that was ahead is due; what is to
	// wait for a time of its own, or no longer than anything may, isn't.
	insert(t, s, effect("k4", channel))
	due, err := s.Due(ctx, start)
	check(t, err)
	equal(t, "due", due, []string{person, channel})
	_, ds := claim(t, s, channel, start, 9)
	equal(t, "claimed", keys(ds), []string{"k1", "k2", "k4"})
	_, ds = claim(t, s, person, start, 9)
	equal(t, "claimed of what never was tried", keys(ds), []string{"k3"})
	for _, destination := range []string{sheet, deploytoken.ToSweep} {
		if _, ds := claim(t, s, destination, start, 9); ds != nil {
			t.Errorf("claimed before its time: %v", keys(ds))
		}
	}
	_, ds = claim(t, s, sheet, start.Add(deploytoken.MaxPause), 9)
	equal(t, "claimed in its time", keys(ds), []string{"row"})
}

func testOutboxGivenUp(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	insert(t, s, effect("k1", channel), effect("k2", channel))
	l, _ := claim(t, s, channel, start, 1)
	check(t, s.Failed(ctx, l, "k1", "no such channel", time.Time{}, nil))
	_, ds := claim(t, s, channel, start, 9)
	equal(t, "the next", keys(ds), []string{"k2"})
	backlog, err := s.Pending(ctx, doc)
	check(t, err)
	equal(t, "backlog", backlog, []Backlog{{To: "channel", Waiting: 1, Due: 1, Oldest: start, GivenUp: 1}})
	var reason string
	check(t, s.read.QueryRow(`SELECT reason FROM outbox WHERE effect = 'k1'`).Scan(&reason))
	equal(t, "reason", reason, "no such channel")
}

func testAttempts(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	insert(t, s, effect("k1", channel), effect("k2", channel))
	attempts := func(l deploytoken.Lease, ds []deploytoken.Delivery) (as []int) {
		for _, d := range ds {
			as = append(as, d.Attempt)
		}
		return as
	}
	// Nobody hears of the first claim again.
	_, first, err := s.Claim(ctx, channel, start, 9, 0)
	check(t, err)
	equal(t, "the first", attempts(deploytoken.Lease{}, first), []int{1, 1})
	l, ds := claim(t, s, channel, start, 9)
	equal(t, "after a crash", attempts(l, ds), []int{2, 2})
	check(t, s.Failed(ctx, l, "k1", "no", start, nil))
	l, ds = claim(t, s, channel, start, 9)
	equal(t, "the first failed, the second wasn’t tried", attempts(l, ds), []int{3, 2})
	check(t, s.Delivered(ctx, l, []string{"k1"}, deploytoken.Receipt{}, nil, start))
	l, ds = claim(t, s, channel, start, 9)
	equal(t, "the second wasn’t tried", attempts(l, ds), []int{2})
}

func testEffectOnce(t *testing.T, url string) {
	s := open(t, url, "a")
	insert(t, s, effect("k1", channel), effect("k1", channel))
	insert(t, s, effect("k1", deploytoken.ToSheet), effect("k2", channel))
	l, ds := claim(t, s, channel, start, 9)
	equal(t, "claimed", keys(ds), []string{"k1", "k2"})
	check(t, s.Delivered(t.Context(), l, keys(ds), deploytoken.Receipt{}, nil, start))
	insert(t, s, effect("k1", channel))
	due, err := s.Due(t.Context(), start)
	check(t, err)
	equal(t, "due", due, []string(nil))
}

func testDeliveryFilled(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	command := accept(t, s, "e1")
	h0, h1 := holding("h0", "Ana"), holding("h1", "Ben")
	commit(t, s, deploytoken.Change{Begin: h0, Effects: []deploytoken.Effect{effect("root", channel), effect("head", channel)}})
	commit(t, s, deploytoken.Change{End: ended(*h0), Begin: h1})
	l, ds := claim(t, s, channel, start, 9)
	receipt := deploytoken.Receipt{Channel: "C1", Timestamp: "1.1"}
	check(t, s.Delivered(ctx, l, keys(ds), receipt, nil, start))

	token := deploytoken.Token{State: deploytoken.Held, Holder: "Ben"}
	notice := deploytoken.Notice{
		Kind: deploytoken.NoticeAnswer, Holding: "h1", Previous: "h0", Command: "e1", Outcome: deploytoken.OutcomeTaken, Token: &token,
		PersonID: "U1", Editor: "Eve", Detail: "it was", Number: 2, Until: start, BlindSince: start, At: start, Edits: "root", Thread: "head",
	}
	insert(t, s, deploytoken.Effect{Key: "k", Destination: channel, Notice: notice})
	// The receipt is that of the first of what was delivered together; the
	// state is that of this delivery.
	h1.Reminders = 1
	commit(t, s, deploytoken.Change{Update: h1})
	_, ds = claim(t, s, channel, start.Add(time.Second), 9)
	command.Holding = ""
	equal(t, "delivery", ds, []deploytoken.Delivery{{
		Key: "k", Destination: channel, Notice: notice, Attempt: 1, Inserted: start, Holding: h1, Previous: ended(*h0),
		Command: &command, Edits: receipt, At: start.Add(time.Second),
	}})
}

func testClaimFencing(t *testing.T, url string) {
	a, b := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	insert(t, a, effect("k1", channel))
	old, _, err := a.Claim(ctx, channel, start, 1, 0)
	check(t, err)
	l, ds := claim(t, b, channel, start, 1)
	equal(t, "claimed by another", keys(ds), []string{"k1"})
	before := withoutBeats(dump(t, a))
	wantErr(t, a.Delivered(ctx, old, []string{"k1"}, deploytoken.Receipt{}, nil, start), deploytoken.ErrNotOwner)
	wantErr(t, a.Failed(ctx, old, "k1", "no", start, nil), deploytoken.ErrNotOwner)
	wantErr(t, a.Delivered(ctx, l, []string{"k1"}, deploytoken.Receipt{}, nil, start), deploytoken.ErrNotOwner)
	equal(t, "the store", withoutBeats(dump(t, a)), before)

	// Another goroutine of the same owner is fenced in the same way.
	check(t, b.Failed(ctx, l, "k1", "no", start, nil))
	old, _, err = b.Claim(ctx, channel, start, 1, 0)
	check(t, err)
	l, _ = claim(t, b, channel, start, 1)
	wantErr(t, b.Delivered(ctx, old, []string{"k1"}, deploytoken.Receipt{}, nil, start), deploytoken.ErrNotOwner)
	check(t, b.Delivered(ctx, l, []string{"k1"}, deploytoken.Receipt{}, nil, start))
}

// isSQLite tells of a store whose writers wait for each other unfairly, and no
// longer than seconds, where two have it open, as only tests do.
func isSQLite(url string) bool { return strings.HasPrefix(url, "sqlite:") }

func testTwoDrainers(t *testing.T, url string) {
	stores := []*Store{open(t, url, "a"), open(t, url, "b")}
	ctx := t.Context()
	n := 40
	if isSQLite(url) {
		n = 12
	}
	destinations := []string{channel, deploytoken.ToSheet, deploytoken.ToPerson("U1")}
	var mu sync.Mutex
	delivered := map[string][]string{}
	total := func() (sum int) {
		mu.Lock()
		defer mu.Unlock()
		for _, ks := range delivered {
			sum += len(ks)
		}
		return sum
	}
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			for k := range n / 2 {
				var effects []deploytoken.Effect
				for _, d := range destinations {
					effects = append(effects, effect(fmt.Sprintf("%s/%d/%02d", d, i, k), d))
				}
				// Each gives its effects in another order.
				if i == 1 {
					slices.Reverse(effects)
				}
				if err := s.Commit(ctx, change(deploytoken.Change{Effects: effects})); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for range 2 {
			wg.Go(func() {
				for total() < n*len(destinations) && !t.Failed() {
					due, err := s.Due(ctx, start)
					if err != nil {
						t.Error(err)
						return
					}
					for _, d := range due {
						l, ds, err := s.Claim(ctx, d, start, 3, time.Minute)
						if err != nil {
							t.Error(err)
							return
						}
						if len(ds) == 0 {
							continue
						}
						mu.Lock()
						delivered[d] = append(delivered[d], keys(ds)...)
						mu.Unlock()
						if err := s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, nil, start); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
	}
	wg.Wait()
	for _, d := range destinations {
		// As inserted: in the order of commits, of which each store's own are known.
		for i := range stores {
			var own []string
			for _, k := range delivered[d] {
				if strings.HasPrefix(k, fmt.Sprintf("%s/%d/", d, i)) {
					own = append(own, k)
				}
			}
			if len(own) != n/2 || !slices.IsSorted(own) || len(slices.Compact(slices.Clone(own))) != len(own) {
				t.Errorf("delivered to %s from store %d: %v", d, i, own)
			}
		}
	}
}

func testResponseURLs(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	for _, id := range []string{"answered", "told", "pending", "failed"} {
		accept(t, s, id)
	}
	person := deploytoken.ToPerson("U1")
	about := func(kind deploytoken.NoticeKind, command string) deploytoken.Effect {
		return deploytoken.Effect{Key: string(kind) + command, Destination: person, Notice: deploytoken.Notice{Kind: kind, Command: command}}
	}
	insert(t, s, about(deploytoken.NoticePending, "pending"), about(deploytoken.NoticeAnswer, "answered"), about(deploytoken.NoticeAnswer, "told"), about(deploytoken.NoticeAnswer, "failed"))
	l, ds := claim(t, s, person, start, 3)
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, nil, start))
	l, _ = claim(t, s, person, start, 1)
	check(t, s.Failed(ctx, l, "answerfailed", "gone", time.Time{}, nil))
	for id, want := range map[string]bool{"answered": false, "told": false, "pending": true, "failed": false} {
		c, _, err := s.Command(ctx, id)
		check(t, err)
		equal(t, "URL left of "+id, c.ResponseURL != "", want)
	}
	s.now = func() time.Time { return start.Add(urlLife) }
	check(t, s.Prune(ctx, start))
	c, _, err := s.Command(ctx, "pending")
	check(t, err)
	equal(t, "URL after half an hour", c.ResponseURL != "", true)
	s.now = func() time.Time { return start.Add(urlLife + time.Second) }
	check(t, s.Prune(ctx, start))
	c, _, err = s.Command(ctx, "pending")
	check(t, err)
	equal(t, "URL after over half an hour", c.ResponseURL, "")
}

func testPrune(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	for _, id := range []string{"old", "asked", "unfinished"} {
		accept(t, s, id)
	}
	of := func(key, destination, holding string) deploytoken.Effect {
		e := effect(key, destination)
		e.Notice.Holding = holding
		return e
	}
	h0, h1 := holding("h0", "Ana"), holding("h1", "Ben")
	commit(t, s, deploytoken.Change{Begin: h0, Finish: "old", Outcome: deploytoken.OutcomeTaken, Effects: []deploytoken.Effect{
		of("began:h0", channel, "h0"), of("gone:h0", channel, "h0"),
	}, Audit: []deploytoken.AuditEvent{{At: start, Event: "taken"}}})
	commit(t, s, deploytoken.Change{End: ended(*h0), Begin: h1, Finish: "asked", Outcome: deploytoken.OutcomeAsked, Effects: []deploytoken.Effect{of("began:h1", channel, "h1")}})
	l, ds := claim(t, s, channel, start, 9)
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{Channel: "C1", Timestamp: "1"}, nil, start))
	insert(t, s, effect("lost", channel),
		deploytoken.Effect{Key: "retired", Destination: deploytoken.ToPerson("U1"), Notice: deploytoken.Notice{Kind: deploytoken.NoticeAnswer, Command: "asked", Edits: "began:h0"}})
	l, _ = claim(t, s, channel, start, 9)
	check(t, s.Failed(ctx, l, "lost", "no such channel", time.Time{}, nil))

	left := func() (all []string) {
		for _, line := range dump(t, s) {
			parts := strings.SplitN(line, "|", 3)
			if parts[0] == "outbox" || parts[0] == "command" || parts[0] == "holding" || parts[0] == "audit" {
				all = append(all, parts[0]+" "+parts[1])
			}
		}
		return all
	}
	before := left()
	s.now = func() time.Time { return start.Add(duplicatesLife) }
	check(t, s.Prune(ctx, start.Add(duplicatesLife)))
	equal(t, "left within a day", left(), before)
	s.now = func() time.Time { return start.Add(duplicatesLife + time.Second) }
	check(t, s.Prune(ctx, start))
	equal(t, "left of what is no older than asked for", left(), before)
	check(t, s.change(ctx, "let replicas die", func(t *tx) error {
		_, err := t.exec(`INSERT INTO lease (name, owner, epoch, until) VALUES
			('replica gone', 'gone', 1, {now} - $1), ('replica stopped', '', 1, 0), ('replica lately', 'lately', 1, {now} - 1000), ('watch', '', 7, 0)`,
			duplicatesLife.Milliseconds()+1000)
		return err
	}))
	check(t, s.Prune(ctx, s.now()))
	var leases []string
	for _, line := range dump(t, s) {
		if parts := strings.Split(line, "|"); parts[0] == "lease" && parts[1] != lives+"a" && parts[1] != deliveries+channel {
			leases = append(leases, parts[1])
		}
	}
	equal(t, "leases left", leases, []string{"replica lately", "watch"})
	equal(t, "left", left(), []string{
		"audit document-1", "command asked", "command unfinished", "holding h0", "holding h1",
		"outbox began:h0", "outbox began:h1", "outbox lost", "outbox retired",
	})
}

func testPruneMuch(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	const many = 2*pruneAtOnce + 1
	commit(t, s, deploytoken.Change{Observed: start})
	fill := func(t *tx, i int) error {
		if _, err := t.exec(`
			INSERT INTO command (id, document, kind, person, words, holding, channel, response_url, message, at, outcome, finished, owner, until)
			VALUES ($1, $2, 'take', 'U1', '', '', 'C1', '', '', 1, 'held', 1, '', 0)`, fmt.Sprint(i), doc); err != nil {
			return err
		}
		// More of these, so that the rounds for the others are not enough.
		for _, id := range []string{fmt.Sprint(i), fmt.Sprint(i, "b")} {
			if err := t.putMatter(doc, over(waiter(id), time.UnixMilli(1))); err != nil {
				return err
			}
		}
		return nil
	}
	// A transaction has a few seconds only.
	for from := 0; from < many; from += 100 {
		check(t, s.change(ctx, "fill the store", func(t *tx) error {
			for i := from; i < min(from+100, many); i++ {
				if err := fill(t, i); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	check(t, s.Prune(ctx, start))
	var left int
	check(t, s.read.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM command) + (SELECT COUNT(*) FROM matter)`).Scan(&left))
	equal(t, "commands and matters left", left, 0)
}

func testPending(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	insert(t, s, effect("k1", channel), effect("k2", deploytoken.ToChannel("C2")), effect("row", deploytoken.ToSheet),
		deploytoken.Effect{Key: "sweep", Destination: deploytoken.ToSweep, NotBefore: start.Add(time.Hour)})
	l, _ := claim(t, s, channel, start, 1)
	check(t, s.Failed(ctx, l, "k1", "Slack is down", start.Add(time.Minute), nil))
	equal(t, "rows to be written", record(t, s).PendingRows, 1)
	got, err := s.Pending(ctx, doc)
	check(t, err)
	equal(t, "backlog", got, []Backlog{
		{To: "channel", Waiting: 2, Due: 2, Oldest: start, Reason: "Slack is down"},
		{To: deploytoken.ToSheet, Waiting: 1, Due: 1, Oldest: start},
		{To: deploytoken.ToSweep, Waiting: 1},
	})
	none, err := s.Pending(ctx, "document-2")
	check(t, err)
	equal(t, "another document’s", none, []Backlog{})
	l, ds := claim(t, s, deploytoken.ToSheet, start, 1)
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, nil, start))
	equal(t, "rows to be written", record(t, s).PendingRows, 0)
}

func testLease(t *testing.T, url string) {
	a, b := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	lease := func(s *Store, ttl time.Duration) (deploytoken.Lease, bool) {
		t.Helper()
		l, ok, err := s.Lease(ctx, "watch", ttl)
		check(t, err)
		return l, ok
	}
	first, ok := lease(a, time.Minute)
	if !ok {
		t.Fatal("nobody had the lease")
	}
	if _, ok := lease(b, time.Minute); ok {
		t.Fatal("two owners have the lease")
	}
	renewed, ok := lease(a, 0)
	if !ok || renewed != first {
		t.Fatalf("renewed: %+v, %t", renewed, ok)
	}
	second, ok := lease(b, time.Minute)
	if !ok || second.Epoch <= first.Epoch {
		t.Fatalf("taken over: %+v, %t", second, ok)
	}
	check(t, a.Unlease(ctx, first))
	check(t, a.Unlease(ctx, second))
	if _, ok := lease(a, time.Minute); ok {
		t.Fatal("somebody else gave the lease back")
	}
	check(t, b.Unlease(ctx, second))
	third, ok := lease(a, 200*time.Millisecond)
	if !ok || third.Epoch <= second.Epoch {
		t.Fatalf("given back: %+v, %t", third, ok)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, ok := lease(b, time.Minute); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease does not end with its time")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func testRestart(t *testing.T, url string) {
	s, err := Open(t.Context(), url, Options{Owner: "a", Exclusive: true})
	check(t, err)
	accept(t, s, "e1")
	_, err = s.OpenIntent(t.Context(), fullIntent(), 0, time.Minute)
	check(t, err)
	commit(t, s, deploytoken.Change{Begin: holding("h1", "Ana"), Put: fullMatters(), Effects: []deploytoken.Effect{effect("k1", channel)}, Audit: []deploytoken.AuditEvent{{At: start, Event: "taken"}}})
	accept(t, s, "e2")
	claim(t, s, channel, start, 1)
	before, id := rest(dump(t, s)), s.StoreID()
	check(t, s.Close())

	s = open(t, url, "b")
	equal(t, "the store after a restart", rest(dump(t, s)), before)
	equal(t, "its ID", s.StoreID(), id)

	// What the one before had claimed was given back.
	if i, err := s.ClaimIntent(t.Context(), doc, time.Minute); err != nil || i == nil {
		t.Errorf("the intent: %+v, %v", i, err)
	}
	commands, err := s.ClaimCommands(t.Context(), doc, 9, time.Minute)
	check(t, err)
	equal(t, "commands", ids(commands), []string{"e2"})
	_, ds := claim(t, s, channel, start, 1)
	equal(t, "effects", keys(ds), []string{"k1"})
}

// rest leaves out of a dump what says who claimed what.
func rest(dump []string) []string {
	return slices.DeleteFunc(dump, func(line string) bool {
		table, _, _ := strings.Cut(line, "|")
		return slices.Contains([]string{"command", "intent", "lease"}, table)
	})
}

func testReadOnly(t *testing.T, url string) {
	ctx := t.Context()
	_, err := Open(ctx, url, Options{ReadOnly: true})
	wantErr(t, err, ErrNoStore)
	s := open(t, url, "a")
	commit(t, s, deploytoken.Change{Begin: holding("h1", "Ana")})
	r, err := Open(ctx, url, Options{ReadOnly: true})
	check(t, err)
	defer r.Close()
	equal(t, "record", record(t, r), record(t, s))
	equal(t, "store ID", r.StoreID(), s.StoreID())
	_, err = r.Accept(ctx, deploytoken.Command{ID: "e1", Document: doc, At: start})
	wantErr(t, err, deploytoken.ErrMisconfigured)
	commit(t, s, deploytoken.Change{End: ended(*holding("h1", "Ana"))})
	equal(t, "record later", record(t, r), record(t, s))

	// A schema of another release.
	_, err = s.write.ExecContext(ctx, `INSERT INTO `+versionTable+` (version_id, is_applied) SELECT 99, is_applied FROM `+versionTable+` WHERE version_id = 1`)
	check(t, err)
	for _, opts := range []Options{{ReadOnly: true}, {}} {
		_, err = Open(ctx, url, opts)
		wantErr(t, err, deploytoken.ErrMisconfigured)
		if !strings.Contains(err.Error(), "newer release") {
			t.Errorf("a newer schema: %v", err)
		}
	}
	_, err = s.write.ExecContext(ctx, `DELETE FROM `+versionTable+` WHERE version_id > 0`)
	check(t, err)
	_, err = Open(ctx, url, Options{ReadOnly: true})
	wantErr(t, err, ErrNoStore)
}

func testConcurrentStarts(t *testing.T, url string) {
	var wg sync.WaitGroup
	ids := make(chan string, 8)
	for range 8 {
		wg.Go(func() {
			s, err := Open(t.Context(), url, Options{})
			// SQLite's lock is waited for a second only, which seven others may
			// need on a busy machine.
			for until := time.Now().Add(time.Minute); errors.Is(err, deploytoken.ErrMisconfigured) && time.Now().Before(until); {
				s, err = Open(t.Context(), url, Options{})
			}
			if err != nil {
				t.Error(err)
				return
			}
			ids <- s.StoreID()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(ids)
	id := ""
	for other := range ids {
		if id != "" && other != id {
			t.Errorf("two store IDs: %s and %s", id, other)
		}
		id = other
	}
}

func testContext(t *testing.T, url string) {
	s, other := open(t, url, "a"), open(t, url, "b")
	commit(t, s, deploytoken.Change{Observed: start})
	// Somebody else is at the document, and doesn't finish.
	held := make(chan struct{})
	finish := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(finish)
	wg.Go(func() {
		// PostgreSQL breaks it off if it takes too long.
		_ = other.change(context.Background(), "hold the document", func(tx *tx) error {
			_, _, err := tx.advance(doc, true)
			close(held)
			<-finish
			return err
		})
	})
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := s.Commit(ctx, change(deploytoken.Change{Observed: start}))
	wantErr(t, err, deploytoken.ErrUnavailable)
	wantErr(t, err, context.DeadlineExceeded)
	_, err = s.Record(ctx, doc)
	wantErr(t, err, deploytoken.ErrUnavailable)
	// Reading doesn't wait for who writes.
	equal(t, "seq", record(t, s).Seq, int64(1))
}

// TestAlters: whatever a change has that isn't known to leave the record as it is
// alters it, so that no field is forgotten.
func TestAlters(t *testing.T) {
	leaves := []string{"Document", "IfSeq", "Epoch", "Finish", "Outcome", "Effects", "Audit", "At"}
	for f := range reflect.TypeFor[deploytoken.Change]().Fields() {
		var c deploytoken.Change
		v := reflect.ValueOf(&c).Elem().FieldByIndex(f.Index)
		switch f.Type.Kind() {
		case reflect.Pointer:
			v.Set(reflect.New(f.Type.Elem()))
		case reflect.Slice:
			v.Set(reflect.MakeSlice(f.Type, 1, 1))
		case reflect.String:
			v.SetString("x")
		case reflect.Int64:
			v.SetInt(1)
		default:
			v.Set(reflect.ValueOf(start))
		}
		if want := !slices.Contains(leaves, f.Name); alters(c) != want {
			t.Errorf("a change with %s alters the record: %t, want %t", f.Name, alters(c), want)
		}
	}
}

// testRefusalsApart: commands that end without a change of the record keep
// nobody from writing who has decided on it; each is an audited decision still.
func testRefusalsApart(t *testing.T, url string) {
	s, other := open(t, url, "a"), open(t, url, "b")
	ctx := t.Context()
	accept(t, s, "e1")
	commit(t, s, deploytoken.Change{Observed: start})
	seq := record(t, s).Seq
	var wg sync.WaitGroup
	for i := range 16 {
		s := []*Store{s, other}[i%2]
		id := fmt.Sprint("refused-", i)
		accept(t, s, id)
		wg.Go(func() {
			c := change(deploytoken.Change{Finish: id, Outcome: deploytoken.OutcomeHeld, Effects: []deploytoken.Effect{effect("answer:"+id, deploytoken.ToPerson("U1"))}})
			c.Audit = []deploytoken.AuditEvent{{At: start, Event: "held", Command: id}, {At: start, Event: "asked", Command: id}}
			if err := s.Commit(ctx, c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "seq", record(t, s).Seq, seq)
	_, err := s.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op", Command: "e1"}, seq, time.Minute)
	check(t, err)
	equal(t, "seq", record(t, s).Seq, seq+1)

	records, err := s.Audit(ctx, AuditFilter{})
	check(t, err)
	decisions := map[int64]string{}
	for _, r := range records {
		if c, known := decisions[r.Seq]; known && c != r.Command {
			t.Errorf("the decisions about %s and %s have one number", c, r.Command)
		}
		decisions[r.Seq] = r.Command
	}
	equal(t, "decisions", len(decisions), 16)

	// Where it says so, such a decision does hold for one record only.
	late := change(deploytoken.Change{IfSeq: seq, Effects: []deploytoken.Effect{effect("late", channel)}})
	wantErr(t, s.Commit(ctx, late), deploytoken.ErrStale)
	late.IfSeq = seq + 1
	check(t, s.Commit(ctx, late))
}

func testEverythingAtOnce(t *testing.T, url string) {
	stores := []*Store{open(t, url, "a"), open(t, url, "b")}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	rounds := 12
	if isSQLite(url) {
		rounds = 3
	}
	var wg sync.WaitGroup
	for g := range 8 {
		s := stores[g%2]
		wg.Go(func() {
			for i := range rounds {
				id := fmt.Sprintf("e-%d-%d", g, i)
				_, err := s.Accept(ctx, deploytoken.Command{ID: id, Document: doc, At: start})
				if err != nil {
					t.Error(err)
				}
				_, _, err1 := s.Lease(ctx, "watch", time.Millisecond)
				err2 := s.KeepCommands(ctx, []string{id}, time.Minute)
				_, err3 := s.Record(ctx, doc)
				err4 := s.Commit(ctx, change(deploytoken.Change{Finish: id, Outcome: deploytoken.OutcomeHeld, Put: []deploytoken.Matter{waiter(fmt.Sprint("w", g)), waiter("w")}, Effects: []deploytoken.Effect{
					effect("sheet:"+id, deploytoken.ToSheet), effect("channel:"+id, channel), effect("person:"+id, deploytoken.ToPerson(fmt.Sprint("U", g))),
				}}))
				_, err5 := s.Due(ctx, start)
				l, ds, err6 := s.Claim(ctx, channel, start, 5, time.Minute)
				var err7 error
				if len(ds) > 0 {
					err7 = s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, []deploytoken.Effect{effect("follow:"+id, deploytoken.ToSheet)}, start)
				}
				_, err8 := s.Pending(ctx, doc)
				err9 := s.Prune(ctx, start)
				if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "seq", record(t, stores[0]).Seq, int64(8*rounds))
	equal(t, "waiters", len(record(t, stores[0]).Matters.Waiters), 9)
}
