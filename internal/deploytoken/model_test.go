package deploytoken_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// A model is two replicas on one store and one document, with everything going
// wrong that may, and what a bystander sees of it.
type model struct {
	t     *testing.T
	url   string
	paper *paper
	rand  *rand.Rand
	late  sync.WaitGroup // writes that land after their sender gave up

	mu       sync.Mutex // guards rand and what follows
	faulty   bool
	asked    map[string]string              // commands by operation
	landed   map[string][]paperBatch        // batches by operation, rewrites aside
	commands map[string]deploytoken.Command // those accepted
	// cleared is whether somebody wrote Nobody by hand while the document had no
	// mark yet: nothing then tells that from a release whose answer was lost.
	cleared bool
}

func (m *model) chance(percent int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.faulty && m.rand.IntN(100) < percent
}

func (m *model) upTo(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rand.IntN(n)
}

// land lands the batch if its revision matches, and holds what was read
// against what stood there.
func (m *model) land(b paperBatch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.paper.text()
	if err := m.paper.land(b); err != nil {
		return err
	}
	if before != b.Read {
		m.t.Errorf("%q was written over %q, which nobody read", b.Value, before)
	}
	if b.Value != b.Read {
		m.landed[b.Mark.Operation] = append(m.landed[b.Mark.Operation], b)
	}
	return nil
}

// edit changes the value by hand; "" changes something else in the document.
func (m *model) edit(value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == "" {
		value = m.paper.text()
	}
	m.paper.mu.Lock()
	unmarked := len(m.paper.marks) == 0
	m.paper.mu.Unlock()
	m.cleared = m.cleared || unmarked && value == deploytoken.Nobody
	m.paper.edit(value)
}

// A replica is one process: a service, its ports, and its loops.
type replica struct {
	*deploytoken.Service
	*model
	store   *ledger.Store
	owner   string
	ctx     context.Context
	kill    context.CancelFunc
	working sync.WaitGroup
}

// start starts a process that shares the store.
func (m *model) start(n int) *replica {
	m.t.Helper()
	r := &replica{model: m, owner: fmt.Sprintf("process-%d", n)}
	r.ctx, r.kill = context.WithCancel(context.Background())
	r.store = m.open(r.owner)
	r.Service = deploytoken.New(deploytoken.Config{
		Document: modelDocument{m.paper, r}, Directory: people{ana: "Ana Díaz", bob: "Bob Ray", ann: "Ann Ray"},
		Ledger: modelLedger{r.store, r}, Channel: "C1", StaleAfter: 2 * time.Hour, WatchInterval: 15 * time.Second,
	})
	loop := func(f func() time.Duration) {
		r.working.Go(func() {
			for again := f(); ; again = f() {
				select {
				case <-r.ctx.Done():
					return
				case <-time.After(again):
				}
			}
		})
	}
	loop(func() time.Duration { r.Recover(r.ctx); return 2 * time.Second })
	loop(func() time.Duration { again, _ := r.Watch(r.ctx); return again })
	loop(func() time.Duration { r.TakeTurns(r.ctx); return time.Second })
	return r
}

func (m *model) open(owner string) *ledger.Store {
	m.t.Helper()
	store, err := ledger.Open(context.Background(), m.url, ledger.Options{Owner: owner})
	if err != nil {
		m.t.Fatal(err)
	}
	return store
}

// stop kills the process; what it had claimed lapses, and a write of it that
// is on its way may land yet.
func (r *replica) stop() {
	r.kill()
	r.working.Wait()
	r.store.Close()
}

// lapse lets the time of all that the process has claimed pass, as if it had
// been suspended meanwhile.
func (r *replica) lapse() { r.open(r.owner).Close() }

// ask has the process accept a command and do it.
func (r *replica) ask(c deploytoken.Command) {
	if fresh, err := r.Accept(r.ctx, c); err != nil || !fresh {
		return
	}
	r.mu.Lock()
	r.commands[c.ID] = c
	r.mu.Unlock()
	r.working.Go(func() { r.Do(r.ctx, c) })
}

// modelDocument is the document as one process reaches it.
type modelDocument struct {
	*paper
	r *replica
}

func (d modelDocument) Read(ctx context.Context) (deploytoken.Reading, error) {
	time.Sleep(time.Duration(d.r.upTo(300)) * time.Millisecond)
	if ctx.Err() != nil || d.r.chance(3) {
		return deploytoken.Reading{}, unreachable
	}
	return d.paper.Read(ctx)
}

func (d modelDocument) Write(ctx context.Context, batch deploytoken.Batch) error {
	var b paperBatch
	if err := json.Unmarshal(batch.Body, &b); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return unreachable
	}
	time.Sleep(time.Duration(d.r.upTo(300)) * time.Millisecond)
	switch {
	case d.r.chance(5):
		d.r.edit([]string{"Nobody", "Bob", ""}[d.r.upTo(3)])
	case d.r.chance(3):
		return unreachable
	case d.r.chance(3):
		return deploytoken.ErrGuardUnusable
	case d.r.chance(10):
		return noAnswer
	case d.r.chance(10):
		d.r.late.Go(func() {
			time.Sleep(time.Duration(d.r.upTo(60)) * time.Second)
			d.r.land(b)
		})
		return noAnswer
	}
	err := d.r.land(b)
	if err == nil && (ctx.Err() != nil || d.r.chance(15)) {
		return noAnswer
	}
	return err
}

// modelLedger is the store as one process reaches it.
type modelLedger struct {
	*ledger.Store
	r *replica
}

// unsure makes the call, unless the store can't be reached, and sometimes
// loses its answer.
func (l modelLedger) unsure(f func() error) error {
	if l.r.ctx.Err() != nil || l.r.chance(2) {
		return unreachable
	}
	if err := f(); err != nil {
		return err
	}
	if l.r.ctx.Err() != nil || l.r.chance(2) {
		return unreachable
	}
	return nil
}

func (l modelLedger) Record(ctx context.Context, document string) (r deploytoken.Record, err error) {
	err = l.unsure(func() (err error) { r, err = l.Store.Record(ctx, document); return err })
	return r, err
}

func (l modelLedger) OpenIntent(ctx context.Context, i deploytoken.Intent, seq int64, ttl time.Duration) (deploytoken.Intent, error) {
	l.r.mu.Lock()
	l.r.asked[i.Operation] = i.Command
	l.r.mu.Unlock()
	err := l.unsure(func() (err error) { i, err = l.Store.OpenIntent(ctx, i, seq, ttl); return err })
	return i, err
}

func (l modelLedger) KeepIntent(ctx context.Context, i deploytoken.Intent, ttl time.Duration) error {
	return l.unsure(func() error { return l.Store.KeepIntent(ctx, i, ttl) })
}

func (l modelLedger) Commit(ctx context.Context, c deploytoken.Change) error {
	return l.unsure(func() error { return l.Store.Commit(ctx, c) })
}

// More seeds take longer: go test ./internal/deploytoken -run TestModel -seeds 50
var seeds = flag.Uint64("seeds", 1, "how many runs TestModel makes, each of another seed")

// TestModel has people work with two replicas while everything goes wrong that
// may, and then holds what was recorded and told against what happened.
func TestModel(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { runModel(t, seed) }) })
	}
}

func runModel(t *testing.T, seed uint64) {
	m := &model{
		t: t, url: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), paper: &paper{value: "Nobody", revision: 1},
		rand: rand.New(rand.NewPCG(seed, 1)), faulty: true,
		asked: map[string]string{}, landed: map[string][]paperBatch{}, commands: map[string]deploytoken.Command{},
	}
	bystander := m.open("bystander")
	defer bystander.Close()
	replicas := []*replica{m.start(0), m.start(1)}
	started := len(replicas)
	time.Sleep(20 * time.Second) // the first look, which announces nothing

	for n := range 80 {
		time.Sleep(time.Duration(m.upTo(4000)) * time.Millisecond)
		at := m.upTo(len(replicas))
		switch do := m.upTo(100); {
		case do < 3:
			replicas[at].stop()
			replicas[at] = m.start(started)
			started++
		case do < 5:
			replicas[at].lapse()
		case do < 15:
			m.edit([]string{"Nobody", "Ana", "Bob", "Nobody Ann", ""}[m.upTo(5)])
		default:
			c := deploytoken.Command{
				ID: fmt.Sprint("e", n), Document: "doc", Kind: deploytoken.KindTake, Words: fmt.Sprint("words ", n),
				PersonID: []string{ana, bob, ann}[m.upTo(3)], At: time.Now(),
			}
			record, err := bystander.Record(context.Background(), "doc")
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case do >= 95:
				c.Kind = deploytoken.KindForceConfirmed
			case do >= 80 && len(record.Matters.Offers) > 0:
				c.Kind, c.Subject = deploytoken.KindAccept, record.Matters.Offers[0].ID
				if do < 92 {
					c.PersonID = record.Matters.Offers[0].ToID
				}
			case do >= 65 && do < 80:
				c.Kind, c.Subject = deploytoken.KindGive, []string{ana, bob, ann}[m.upTo(3)]
				if record.Holding.Open() && do < 75 {
					c.PersonID = record.Holding.PersonID
				}
			case do >= 60 && do < 65:
				c.Kind = deploytoken.KindWait
			case do >= 58 && do < 60:
				c.Kind = deploytoken.KindLeave
			case do >= 40:
				c.Kind = deploytoken.KindRelease
			case do >= 35:
				c.Kind = deploytoken.KindTakeOutOfTurn
			}
			if (do >= 50 && do < 58 || c.Kind == deploytoken.KindForceConfirmed) && record.Holding.Open() {
				c.Holding, c.Message = record.Holding.ID, "1.1"
			}
			if c.PersonID != "" {
				replicas[at].ask(c)
			}
		}
	}

	// The dust settles: nothing fails any more, and what was left is taken up.
	m.mu.Lock()
	m.faulty = false
	m.mu.Unlock()
	for _, r := range replicas {
		r.lapse()
	}
	time.Sleep(5 * time.Minute)
	m.late.Wait()
	m.edit("Nobody")
	time.Sleep(time.Minute)
	for _, r := range replicas {
		r.stop()
	}
	m.check(bystander)
}

// check holds what was recorded and told against what happened.
func (m *model) check(store *ledger.Store) {
	ctx := context.Background()
	record, err := store.Record(ctx, "doc")
	if err != nil {
		m.t.Fatal(err)
	}
	if record.IntentOpen {
		m.t.Error("an intent is open")
	}
	if record.Holding.Open() {
		m.t.Errorf("the document says Nobody, the record %+v", record.Holding)
	}
	if len(record.Matters.Offers) > 0 {
		m.t.Errorf("offers of what nobody holds: %+v", record.Matters.Offers)
	}
	for i, w := range record.Matters.Waiters {
		if i == 0 && !w.Turn.After(time.Now()) || i > 0 && !w.Turn.IsZero() {
			m.t.Errorf("%d in line: %+v", i+1, w)
		}
	}

	answers, rows, holdings := map[string][]deploytoken.Notice{}, map[string]int{}, map[string]bool{}
	for _, n := range m.told(store) {
		for _, id := range []string{n.Holding, n.Previous} {
			if id != "" {
				holdings[id] = true
			}
		}
		switch n.Kind {
		case deploytoken.NoticeAnswer:
			answers[n.Command] = append(answers[n.Command], n)
		case deploytoken.NoticeRow:
			rows[n.Holding]++
		}
	}

	writes := map[string][]paperBatch{}
	for operation, batches := range m.landed {
		writes[m.asked[operation]] = append(writes[m.asked[operation]], batches...)
	}
	outcomes, accepted := map[deploytoken.Outcome]int{}, map[string]int{}
	for id, c := range m.commands {
		_, outcome, err := store.Command(ctx, id)
		if err != nil {
			m.t.Fatal(err)
		}
		outcomes[outcome]++
		if len(answers[id]) != 1 || answers[id][0].Outcome != outcome || answers[id][0].PersonID != c.PersonID {
			m.t.Errorf("%s %s by %s ended with %q, and was answered %+v", c.Kind, id, c.PersonID, outcome, answers[id])
		}
		m.checkOutcome(c, outcome, writes[id])
		switch c.Kind {
		case deploytoken.KindAccept:
			offer, err := store.Matter(ctx, "doc", deploytoken.MatterRef{Kind: deploytoken.MatterOffer, ID: c.Subject})
			if err != nil {
				m.t.Fatal(err)
			}
			o, _ := offer.(*deploytoken.Offer)
			for _, b := range writes[id] {
				if o == nil || o.ToID != c.PersonID || b.Read != o.From {
					m.t.Errorf("%+v handed over by %+v", b, o)
				}
				accepted[c.Subject]++
			}
		case deploytoken.KindForceConfirmed:
			h, err := store.Holding(ctx, c.Holding)
			if err != nil {
				m.t.Fatal(err)
			}
			for _, b := range writes[id] {
				if h == nil || !strings.EqualFold(b.Read, h.Name) {
					m.t.Errorf("%+v released %+v", b, h)
				}
			}
		}
	}

	for offer, n := range accepted {
		if n > 1 {
			m.t.Errorf("offer %s was accepted %d times", offer, n)
		}
	}
	begun := map[string]int{}
	for id := range holdings {
		h, err := store.Holding(ctx, id)
		if err != nil || h == nil {
			m.t.Fatalf("holding %s: %v %v", id, h, err)
		}
		if !h.ByHand {
			begun[h.Name]++
		}
		if rows[id] != 1 {
			m.t.Errorf("%d rows for %+v", rows[id], h)
		}
		if h.Ended.Before(h.Since) {
			m.t.Errorf("ended before it began: %+v", h)
		}
	}
	names := map[string]int{}
	for _, batches := range m.landed {
		for _, b := range batches {
			if b.Value != deploytoken.Nobody {
				names[b.Value]++
			}
		}
	}
	if fmt.Sprint(names) != fmt.Sprint(begun) {
		m.t.Errorf("names written %v, holdings begun by command %v", names, begun)
	}
	m.t.Logf("%d commands %v, %d writes, %d holdings", len(m.commands), outcomes, len(m.paper.writes), len(holdings))
}

// checkOutcome holds how a command ended against the writes of it that landed.
func (m *model) checkOutcome(c deploytoken.Command, outcome deploytoken.Outcome, writes []paperBatch) {
	done, ok := map[deploytoken.Kind]deploytoken.Outcome{
		deploytoken.KindTake: deploytoken.OutcomeTaken, deploytoken.KindTakeOutOfTurn: deploytoken.OutcomeTaken,
		deploytoken.KindRelease: deploytoken.OutcomeReleased, deploytoken.KindForceConfirmed: deploytoken.OutcomeForced,
		deploytoken.KindAccept: deploytoken.OutcomeHandedOver,
	}[c.Kind]
	switch {
	case !ok && len(writes) > 0:
		m.t.Errorf("%s %s wrote %+v", c.Kind, c.ID, writes)
	case len(writes) > 1:
		m.t.Errorf("%s %s was written %d times", c.Kind, c.ID, len(writes))
	case len(writes) == 1 && outcome != done && outcome != deploytoken.OutcomeSuperseded:
		m.t.Errorf("%s %s was done, and its asker was told %q", c.Kind, c.ID, outcome)
	case c.Kind == deploytoken.KindRelease && outcome == done && len(writes) == 0 && m.cleared:
	case ok && outcome == done && len(writes) == 0:
		m.t.Errorf("%s %s was not done, and its asker was told %q", c.Kind, c.ID, outcome)
	}
}

// told empties the outbox.
func (m *model) told(store *ledger.Store) (all []deploytoken.Notice) {
	ctx := context.Background()
	for {
		due, err := store.Due(ctx, time.Now())
		if err != nil {
			m.t.Fatal(err)
		}
		if len(due) == 0 {
			return all
		}
		for _, destination := range due {
			lease, found, err := store.Claim(ctx, destination, time.Now(), 1000, time.Minute)
			if err != nil {
				m.t.Fatal(err)
			}
			var keys []string
			for _, d := range found {
				all = append(all, d.Notice)
				keys = append(keys, d.Key)
			}
			if err := store.Delivered(ctx, lease, keys, deploytoken.Receipt{}, nil, time.Now()); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}
