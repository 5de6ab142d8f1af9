package deploytoken_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// paper is a Deploy token document in memory: a value, a revision, marks.
type paper struct {
	id       string // "doc" where empty
	mu       sync.Mutex
	value    string
	problem  string
	revision int
	marks    []deploytoken.Mark
	reads    int
	polls    int
	// writes are the batches that landed.
	writes []paperBatch
	// fault, if set, is asked before each write what becomes of it.
	fault func(n int, b paperBatch) paperFault
	sent  int
	// readFault, if set, is asked before each read or poll.
	readFault func() error
	editor    string
	viewer    bool
}

type paperBatch struct {
	Revision int
	Read     string
	Value    string
	Mark     deploytoken.Mark
	Removes  []deploytoken.Mark
}

// A paperFault is what goes wrong with one write: done first, then the batch
// lands unless lost, then err is returned where it isn't nil.
type paperFault struct {
	first func()
	lost  bool
	err   error
}

func (p *paper) ID() string   { return cmp.Or(p.id, "doc") }
func (p *paper) Link() string { return "https://docs.example/doc" }

func (p *paper) Read(ctx context.Context) (deploytoken.Reading, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	if p.readFault != nil {
		if err := p.readFault(); err != nil {
			return deploytoken.Reading{}, err
		}
	}
	r := deploytoken.Reading{Value: p.value, Problem: p.problem, Marks: slices.Clone(p.marks)}
	if !p.viewer {
		r.Revision = fmt.Sprint(p.revision)
	}
	return r, nil
}

func (p *paper) Revision(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls++
	if p.readFault != nil {
		if err := p.readFault(); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(p.revision), nil
}

func (p *paper) Prepare(r deploytoken.Reading, value string, mark deploytoken.Mark, remove []deploytoken.Mark) (deploytoken.Batch, error) {
	if r.Revision == "" {
		return deploytoken.Batch{}, &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "The bot may not edit the document."}
	}
	if r.Problem != "" {
		return deploytoken.Batch{}, &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "The document is unclear: " + r.Problem}
	}
	var n int
	fmt.Sscan(r.Revision, &n)
	body, err := json.Marshal(paperBatch{Revision: n, Read: r.Value, Value: value, Mark: mark, Removes: remove})
	return deploytoken.Batch{Revision: r.Revision, Body: body}, err
}

func (p *paper) Write(ctx context.Context, batch deploytoken.Batch) error {
	var b paperBatch
	if err := json.Unmarshal(batch.Body, &b); err != nil {
		return err
	}
	p.mu.Lock()
	p.sent++
	n, fault := p.sent, p.fault
	p.mu.Unlock()
	var f paperFault
	if fault != nil {
		f = fault(n, b)
	}
	if f.first != nil {
		f.first()
	}
	if f.lost {
		return f.err
	}
	if err := p.land(b); err != nil {
		return errors.Join(f.err, err)
	}
	return f.err
}

func (p *paper) land(b paperBatch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.Revision != p.revision {
		return deploytoken.ErrConflict
	}
	p.revision++
	p.value = b.Value
	p.marks = slices.DeleteFunc(p.marks, func(m deploytoken.Mark) bool { return slices.Contains(b.Removes, m) })
	p.marks = append(p.marks, b.Mark)
	p.writes = append(p.writes, b)
	return nil
}

func (p *paper) LastEditor(ctx context.Context) (string, error) { return p.editor, nil }

// edit changes the value by hand.
func (p *paper) edit(value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = value
	p.revision++
}

func (p *paper) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}

// people is a channel of people, by Slack user ID.
type people map[string]string

func (d people) Person(ctx context.Context, id string) (deploytoken.Person, error) {
	name, ok := d[id]
	if !ok {
		return deploytoken.Person{}, &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "No such person."}
	}
	return deploytoken.Person{ID: id, Name: name, Zone: zones[id]}, nil
}

// zones are the time zones of those who have set one.
var zones = map[string]*time.Location{}

func (d people) Match(ctx context.Context, name string) (found []deploytoken.Person, err error) {
	for id, n := range d {
		if strings.EqualFold(n, name) || strings.EqualFold(strings.Fields(n)[0], name) {
			found = append(found, deploytoken.Person{ID: id, Name: n})
		}
	}
	return found, nil
}

func (d people) Member(ctx context.Context, id string) (bool, error) {
	return d[id] != "" && !outsiders[id], nil
}

// outsiders are those who may not use the bot.
var outsiders = map[string]bool{}

func (d people) Group(ctx context.Context, group string) (found []deploytoken.Person, err error) {
	for _, id := range groups[group] {
		found = append(found, deploytoken.Person{ID: id, Name: d[id]})
	}
	return found, nil
}

// groups are the user groups, with the IDs of who is in them.
var groups = map[string][]string{"SFORCE": {ann}, "SDATA": {zoe, ann}}

// A team is a service with its ports, and what its people were told.
type team struct {
	*deploytoken.Service
	t     *testing.T
	paper *paper
	store *ledger.Store
	url   string
	n     int

	kingfisher               *server
	consentGroup, forceGroup string
	workingHours             func(time.Time) bool
}

func itoa(n int) string { return strconv.Itoa(n) }

// The faults of what the bot calls.
var (
	noAnswer    = &deploytoken.Fault{Kind: deploytoken.ErrAmbiguous, Message: "Google gave no answer."}
	unreachable = &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "It can't be reached."}
)

// unanswered is the fault by which every write is lost, and nobody told so.
func unanswered(int, paperBatch) paperFault { return paperFault{lost: true, err: noAnswer} }

const ana, bob, ann, zoe, noone = "UANA", "UBOB", "UANN", "UZOE", "UNOONE"

var everyone = people{ana: "Ana Díaz", bob: "Bob Ray", ann: "Ann Ray", zoe: " Zoe\n\u202E Li", noone: "Nobody Special"}

func newTeam(t *testing.T) *team {
	t.Helper()
	return (&team{t: t, paper: &paper{value: "Nobody", revision: 1}, url: "sqlite:" + filepath.Join(t.TempDir(), "store.db"), kingfisher: &server{}}).start()
}

// start opens the store and starts a service on it, as a restart does.
func (m *team) start() *team {
	m.t.Helper()
	store, err := ledger.Open(context.Background(), m.url, ledger.Options{Exclusive: true})
	if err != nil {
		m.t.Fatal(err)
	}
	m.store = store
	m.t.Cleanup(func() { store.Close() })
	m.Service = m.service()
	return m
}

func (m *team) service() *deploytoken.Service { return m.over(m.store) }

// over returns a service on the same document and people, over that ledger.
func (m *team) over(l deploytoken.Ledger) *deploytoken.Service {
	return deploytoken.New(deploytoken.Config{
		Document: m.paper, Directory: everyone, Ledger: l,
		Channel: "C1", StaleAfter: 2 * time.Hour, WatchInterval: 15 * time.Second, WorkingHours: m.workingHours,
		Busy: m.kingfisher, KingfisherWords: []string{"kingfisher"}, ConsentGroup: m.consentGroup, ForceGroup: m.forceGroup,
	})
}

// restart closes the store under the service, as a crash does, and starts anew.
func (m *team) restart() {
	m.store.Close()
	m.start()
}

func (m *team) command(kind deploytoken.Kind, person, words string) deploytoken.Command {
	m.n++
	return deploytoken.Command{ID: fmt.Sprintf("e%d", m.n), Kind: kind, PersonID: person, Words: words, At: time.Now()}
}

func (m *team) accept(c deploytoken.Command) deploytoken.Command {
	m.t.Helper()
	c.Document = "doc"
	fresh, err := m.Accept(context.Background(), c)
	if err != nil || !fresh {
		m.t.Fatalf("accept: %v %v", fresh, err)
	}
	return c
}

func (m *team) do(kind deploytoken.Kind, person, words string) deploytoken.Outcome {
	m.t.Helper()
	return m.run(m.command(kind, person, words))
}

// click is a command by a button that stands for a holding.
func (m *team) click(kind deploytoken.Kind, person, holding string) deploytoken.Outcome {
	m.t.Helper()
	c := m.command(kind, person, "")
	c.Holding, c.Message = holding, "1.1"
	return m.run(c)
}

func (m *team) run(c deploytoken.Command) deploytoken.Outcome {
	m.t.Helper()
	m.Do(context.Background(), m.accept(c))
	return m.outcome(c.ID)
}

func (m *team) outcome(id string) deploytoken.Outcome {
	m.t.Helper()
	c, o, err := m.store.Command(context.Background(), id)
	if err != nil || c == nil {
		m.t.Fatalf("command %s: %v %v", id, c, err)
	}
	return o
}

func (m *team) record() deploytoken.Record {
	m.t.Helper()
	r, err := m.store.Record(context.Background(), "doc")
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// recover settles and does what was left.
func (m *team) recover() {
	m.t.Helper()
	if err := m.Recover(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *team) watch() time.Duration {
	m.t.Helper()
	again, err := m.Watch(context.Background())
	if err != nil {
		m.t.Fatal(err)
	}
	return again
}

// notice watches until a change by hand counts.
func (m *team) notice() {
	m.t.Helper()
	for again := m.watch(); again < 15*time.Second; again = m.watch() {
		time.Sleep(again)
	}
}

// delivered delivers the outbox and returns what it held: "destination kind
// outcome", in order for each destination.
func (m *team) delivered() (told []string) {
	m.t.Helper()
	ctx := context.Background()
	for {
		due, err := m.store.Due(ctx, time.Now())
		if err != nil {
			m.t.Fatal(err)
		}
		if len(due) == 0 {
			return told
		}
		slices.Sort(due)
		for _, destination := range due {
			lease, found, err := m.store.Claim(ctx, destination, time.Now(), 100, time.Minute)
			if err != nil {
				m.t.Fatal(err)
			}
			var keys []string
			for _, d := range found {
				told = append(told, strings.TrimSpace(fmt.Sprintf("%s %s %s", destination, d.Notice.Kind, d.Notice.Outcome)))
				keys = append(keys, d.Key)
			}
			if err := m.store.Delivered(ctx, lease, keys, deploytoken.Receipt{}, nil, time.Now()); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// notices delivers what waits for one destination and returns it.
func (m *team) notices(destination string) (all []deploytoken.Notice) {
	m.t.Helper()
	lease, found, err := m.store.Claim(context.Background(), destination, time.Now(), 100, time.Minute)
	if err != nil {
		m.t.Fatal(err)
	}
	var keys []string
	for _, d := range found {
		all, keys = append(all, d.Notice), append(keys, d.Key)
	}
	if err := m.store.Delivered(context.Background(), lease, keys, deploytoken.Receipt{}, nil, time.Now()); err != nil {
		m.t.Fatal(err)
	}
	return all
}

func (m *team) holding(id string) *deploytoken.Holding {
	m.t.Helper()
	h, err := m.store.Holding(context.Background(), id)
	if err != nil || h == nil {
		m.t.Fatalf("holding %s: %v %v", id, h, err)
	}
	return h
}

// typed has a name typed and recorded that nobody could be found for then.
func (m *team) typed(name string) (holding string) {
	m.t.Helper()
	m.paper.edit(name)
	stranger := deploytoken.New(deploytoken.Config{Document: m.paper, Directory: people{}, Ledger: m.store, Channel: "C1"})
	if _, err := stranger.Watch(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	time.Sleep(time.Second)
	return m.record().Holding.ID
}

func (m *team) expect(got deploytoken.Outcome, want deploytoken.Outcome) {
	m.t.Helper()
	if got != want {
		m.t.Fatalf("outcome %q, want %q", got, want)
	}
}

func (m *team) says(want string) {
	m.t.Helper()
	if got := m.paper.text(); got != want {
		m.t.Fatalf("the document says %q, want %q", got, want)
	}
}

func (m *team) told(want ...string) {
	m.t.Helper()
	if got := m.delivered(); !slices.Equal(got, want) {
		m.t.Fatalf("told\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func scenario(t *testing.T, name string, f func(*team)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newTeam(t)
			defer func() { m.store.Close() }()
			f(m)
		})
	})
}

func TestTakeAndRelease(t *testing.T) {
	scenario(t, "take, refuse another, release", func(m *team) {
		m.expect(m.do(deploytoken.KindTake, ana, "the registry"), deploytoken.OutcomeTaken)
		m.says("Ana Díaz")
		time.Sleep(time.Minute)
		m.expect(m.do(deploytoken.KindTake, bob, ""), deploytoken.OutcomeHeld)
		m.expect(m.do(deploytoken.KindRelease, bob, ""), deploytoken.OutcomeHeld)
		m.says("Ana Díaz")
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeAlreadyYours)
		m.expect(m.do(deploytoken.KindRelease, ana, "upgraded it"), deploytoken.OutcomeReleased)
		m.says("Nobody")
		m.told(
			"channel:C1 taken", "channel:C1 retired", "channel:C1 released",
			"person:UANA answer taken", "person:UANA answer already-yours", "person:UANA answer released",
			"person:UBOB answer held", "person:UBOB answer held",
			"sheet row")
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeFree)
	})
	scenario(t, "the row tells of the holding", func(m *team) {
		m.do(deploytoken.KindTake, ana, "the registry")
		taken := time.Now()
		id := m.record().Holding.ID
		time.Sleep(time.Hour)
		m.do(deploytoken.KindRelease, ana, "upgraded it")
		h, err := m.store.Holding(context.Background(), id)
		if err != nil {
			m.t.Fatal(err)
		}
		e := h.Entry()
		if e.ID != id || e.Name != "Ana Díaz" || e.Purpose != "the registry" || e.Summary != "upgraded it" ||
			!e.Taken.Equal(taken) || e.Released.Sub(e.Taken) != time.Hour {
			m.t.Errorf("entry %+v", e)
		}
	})
	scenario(t, "one mark in the document, the latest", func(m *team) {
		for range 3 {
			m.do(deploytoken.KindTake, ana, "")
			m.do(deploytoken.KindRelease, ana, "")
		}
		if len(m.paper.marks) != 1 || m.paper.marks[0].Store != m.store.StoreID() {
			m.t.Errorf("marks %v", m.paper.marks)
		}
	})
	scenario(t, "two round trips, and one when the watcher has just looked", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		if m.paper.reads != 1 || m.paper.sent != 1 {
			m.t.Errorf("%d reads, %d writes", m.paper.reads, m.paper.sent)
		}
		for range 5 {
			time.Sleep(10 * time.Second)
			m.watch()
		}
		m.paper.reads, m.paper.sent = 0, 0
		m.do(deploytoken.KindRelease, ana, "")
		if m.paper.reads != 0 || m.paper.sent != 1 {
			m.t.Errorf("%d reads, %d writes", m.paper.reads, m.paper.sent)
		}
	})
	scenario(t, "a take that was asked for too long ago", func(m *team) {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		time.Sleep(3 * time.Minute)
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTooLate)
		m.says("Nobody")
	})
	scenario(t, "a take whose time passes while Google takes no write", func(m *team) {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		time.Sleep(2*time.Minute - time.Second)
		m.paper.fault = func(n int, _ paperBatch) paperFault {
			if n < 4 {
				return paperFault{lost: true, err: unreachable}
			}
			return paperFault{}
		}
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTooLate)
		m.says("Nobody")
		if m.record().IntentOpen {
			m.t.Error("the intent is open")
		}
	})
	scenario(t, "a button for an earlier holding releases nothing", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		old := m.record().Holding.ID
		m.do(deploytoken.KindRelease, ana, "")
		m.do(deploytoken.KindTake, ana, "")
		m.expect(m.click(deploytoken.KindRelease, ana, old), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
		m.expect(m.click(deploytoken.KindRelease, ana, m.record().Holding.ID), deploytoken.OutcomeReleased)
	})
	scenario(t, "a name with Nobody in it is refused", func(m *team) {
		m.expect(m.do(deploytoken.KindTake, noone, ""), deploytoken.OutcomeRefused)
		m.says("Nobody")
		if n := m.notices("person:" + noone); len(n) != 1 || !strings.Contains(n[0].Detail, "Nobody") {
			m.t.Errorf("told %+v", n)
		}
	})
	scenario(t, "a name is written on one line", func(m *team) {
		m.expect(m.do(deploytoken.KindTake, zoe, ""), deploytoken.OutcomeTaken)
		m.says("Zoe Li")
	})
	scenario(t, "what was read before a write serves no decision after it", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindRelease, ana, "")
		if m.paper.sent != 2 {
			m.t.Errorf("%d writes", m.paper.sent)
		}
	})
	scenario(t, "the answer tells what it is about", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		id := m.record().Holding.ID
		m.delivered()
		m.click(deploytoken.KindStillWorking, ana, id)
		n := m.notices("person:" + ana)
		if len(n) != 1 || n[0].Holding != id || n[0].Token == nil || n[0].Token.Holder != "Ana Díaz" || time.Until(n[0].Until) != 2*time.Hour {
			m.t.Errorf("told %+v", n)
		}
	})
	scenario(t, "whoever delivers and whoever watches is woken", func(m *team) {
		woken := func(c <-chan struct{}) {
			m.t.Helper()
			select {
			case <-c:
			default:
				m.t.Error("not woken")
			}
		}
		m.paper.fault = func(n int, _ paperBatch) paperFault {
			if n == 1 {
				return paperFault{err: noAnswer}
			}
			return paperFault{}
		}
		m.do(deploytoken.KindTake, ana, "")
		woken(m.Inserted())
		woken(m.Wrote())
	})
	scenario(t, "a failure is the answer", func(m *team) {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Fail(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeFailed)
		m.told("person:UANA answer failed")
	})
	scenario(t, "a viewer can't take", func(m *team) {
		m.paper.viewer = true
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeRefused)
		m.says("Nobody")
	})
	scenario(t, "an unclear document is left alone", func(m *team) {
		m.paper.edit("Nobody Ana")
		m.expect(m.do(deploytoken.KindTake, bob, ""), deploytoken.OutcomeUnclear)
		m.says("Nobody Ana")
	})
	scenario(t, "the answer to a release that isn't done names the holding", func(m *team) {
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		h := m.record().Holding.ID
		m.delivered()
		m.paper.edit("Nobody Ana")
		m.expect(m.do(deploytoken.KindRelease, ana, "upgraded it"), deploytoken.OutcomeUnclear)
		if n := m.notices("person:" + ana); len(n) != 1 || n[0].Holding != h {
			m.t.Errorf("unclear: %+v", n)
		}
		m.paper.edit("Ana Díaz")
		m.paper.viewer = true
		m.expect(m.do(deploytoken.KindRelease, ana, "upgraded it"), deploytoken.OutcomeRefused)
		if n := m.notices("person:" + ana); len(n) != 1 || n[0].Holding != h {
			m.t.Errorf("refused: %+v", n)
		}
	})
	scenario(t, "a duplicate does nothing", func(m *team) {
		c := m.command(deploytoken.KindTake, ana, "")
		m.run(c)
		if fresh, err := m.Accept(context.Background(), c); fresh || err != nil {
			m.t.Errorf("accepted twice: %v %v", fresh, err)
		}
		// Done all the same, it must change nothing.
		m.Do(context.Background(), c)
		m.told("channel:C1 taken", "person:UANA answer taken")
	})
}

func TestManyTakes(t *testing.T) {
	scenario(t, "32 at once", func(m *team) {
		services := []*deploytoken.Service{m.Service, m.service(), m.service()}
		var wg sync.WaitGroup
		var commands []deploytoken.Command
		for i := range 32 {
			commands = append(commands, m.accept(m.command(deploytoken.KindTake, []string{ana, bob, ann}[i%3], "")))
		}
		for i, c := range commands {
			wg.Go(func() { services[i%3].Do(context.Background(), c) })
		}
		wg.Wait()
		count := map[deploytoken.Outcome]int{}
		for _, c := range commands {
			count[m.outcome(c.ID)]++
		}
		if count[deploytoken.OutcomeTaken] != 1 || count[deploytoken.OutcomeTaken]+count[deploytoken.OutcomeHeld]+count[deploytoken.OutcomeAlreadyYours] != 32 {
			m.t.Errorf("outcomes %v", count)
		}
		for _, w := range m.paper.writes {
			if w.Value != deploytoken.Nobody && w.Read != deploytoken.Nobody {
				m.t.Errorf("%q was written over %q", w.Value, w.Read)
			}
		}
	})
}

func TestConflicts(t *testing.T) {
	scenario(t, "someone types a name between read and write", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			if n == 1 {
				return paperFault{first: func() { m.paper.edit("Bob Ray") }}
			}
			return paperFault{}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeHeld)
		m.says("Bob Ray")
		if m.record().IntentOpen {
			m.t.Error("the intent is open")
		}
	})
	scenario(t, "the revision changes for nothing", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			if n < 4 {
				return paperFault{first: func() { m.paper.edit("Nobody") }}
			}
			return paperFault{}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "it is edited slowly, again and again", func(m *team) {
		m.paper.fault = func(int, paperBatch) paperFault {
			return paperFault{first: func() { time.Sleep(8 * time.Second); m.paper.edit("Nobody") }}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeContended)
		if m.paper.sent != 3 {
			m.t.Errorf("%d writes", m.paper.sent)
		}
	})
	scenario(t, "a conflict with one's own write", func(m *team) {
		m.paper.fault = func(_ int, b paperBatch) paperFault {
			m.paper.land(b)
			return paperFault{lost: true, err: deploytoken.ErrConflict}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
	})
	for _, err := range []error{unreachable, deploytoken.ErrGuardUnusable} {
		scenario(t, "a write that is refused once is made: "+err.Error(), func(m *team) {
			m.paper.fault = func(n int, _ paperBatch) paperFault {
				if n == 1 {
					return paperFault{lost: true, err: err}
				}
				return paperFault{}
			}
			m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		})
	}
	scenario(t, "another's name typed between the look at the asker's and its release", func(m *team) {
		m.typed("Ana")
		m.paper.fault = func(int, paperBatch) paperFault {
			return paperFault{first: func() { m.paper.edit("Bob Ray") }}
		}
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeHeld)
		m.says("Bob Ray")
	})
	scenario(t, "it never stops changing", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			return paperFault{first: func() { m.paper.edit("Nobody") }}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeContended)
		if m.paper.sent != 5 {
			m.t.Errorf("%d writes", m.paper.sent)
		}
		m.paper.fault = nil
		m.expect(m.do(deploytoken.KindTake, bob, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "the asker's own name typed between read and write", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			return paperFault{first: func() { m.paper.edit("Ana Díaz") }}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeAlreadyYours)
		if h := m.record().Holding; h == nil || h.PersonID != ana || !h.ByHand {
			m.t.Errorf("holding %+v", h)
		}
	})
}

func TestAmbiguousWrites(t *testing.T) {
	once := func(f paperFault) func(int, paperBatch) paperFault {
		return func(n int, _ paperBatch) paperFault {
			if n == 1 {
				return f
			}
			return paperFault{}
		}
	}
	scenario(t, "it landed, and the answer was lost", func(m *team) {
		m.paper.fault = once(paperFault{err: noAnswer})
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		if len(m.paper.writes) != 1 {
			m.t.Errorf("%d writes landed", len(m.paper.writes))
		}
	})
	scenario(t, "it was lost, and lands the second time", func(m *team) {
		m.paper.fault = once(paperFault{lost: true, err: noAnswer})
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "it was lost, and someone else's name stands there since", func(m *team) {
		m.paper.fault = once(paperFault{first: func() { m.paper.edit("Bob Ray") }, lost: true, err: noAnswer})
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeSuperseded)
		m.says("Bob Ray")
		m.notice()
		if h := m.record().Holding; h == nil || h.PersonID != bob {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "it landed, and was written over before anyone could know", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			switch n {
			case 1:
				return paperFault{err: noAnswer}
			case 2:
				return paperFault{first: func() { m.paper.edit("Bob Ray") }}
			}
			return paperFault{}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeSuperseded)
		m.notice()
		m.told(
			"channel:C1 taken", "channel:C1 retired", "channel:C1 changed",
			"person:UANA answer superseded", "person:UANA displaced", "sheet row")
	})
	scenario(t, "the revision can't be used any more, and it had landed", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			switch n {
			case 1:
				return paperFault{err: noAnswer}
			case 2:
				return paperFault{lost: true, err: deploytoken.ErrGuardUnusable}
			}
			return paperFault{}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "the revision can't be used any more, and it had not landed", func(m *team) {
		m.paper.fault = func(n int, b paperBatch) paperFault {
			switch n {
			case 1:
				return paperFault{lost: true, err: noAnswer}
			case 2:
				return paperFault{lost: true, err: deploytoken.ErrGuardUnusable}
			}
			return paperFault{}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		if len(m.paper.writes) != 2 || m.paper.writes[0].Value != "Nobody" {
			m.t.Errorf("writes %+v", m.paper.writes)
		}
	})
	scenario(t, "a release was lost, and someone else's name stands there since", func(m *team) {
		m.watch()
		m.paper.edit("Ana Díaz")
		m.notice()
		id := m.record().Holding.ID
		m.delivered()
		m.paper.fault = once(paperFault{first: func() { m.paper.edit("Bob Ray") }, lost: true, err: noAnswer})
		m.expect(m.do(deploytoken.KindRelease, ana, "upgraded it"), deploytoken.OutcomeSuperseded)
		m.says("Bob Ray")
		if h := m.holding(id); h.Summary != "upgraded it" || !h.EndedByHand {
			m.t.Errorf("holding %+v", h)
		}
		// The end is told even if that name is gone before it counts.
		m.paper.edit("Nobody")
		m.notice()
		m.told("channel:C1 retired", "channel:C1 changed", "person:UANA answer superseded", "sheet row")
	})
	scenario(t, "a typed name's release tells whose it was", func(m *team) {
		id := m.typed("Ana")
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		if h := m.holding(id); h.PersonID != ana {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "no answer for long: pending, then settled", func(m *team) {
		m.paper.fault = unanswered
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), "")
		m.told("person:UANA pending")
		if !m.record().IntentOpen {
			m.t.Fatal("the intent is closed")
		}
		if again := m.watch(); again != time.Second || m.record().Holding != nil {
			m.t.Errorf("watched while a write may land: %v", again)
		}
		m.paper.fault = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
		m.told("channel:C1 taken", "person:UANA answer taken")
	})
	scenario(t, "others are refused when a write may land for long", func(m *team) {
		m.paper.fault = unanswered
		m.Do(context.Background(), m.accept(m.command(deploytoken.KindTake, ana, "")))
		m.expect(m.do(deploytoken.KindRelease, bob, ""), deploytoken.OutcomeRefused)
	})
	scenario(t, "others wait for a write that may land", func(m *team) {
		m.paper.fault = unanswered
		m.Do(context.Background(), m.accept(m.command(deploytoken.KindTake, ana, "")))
		m.expect(m.do(deploytoken.KindTake, bob, ""), deploytoken.OutcomeTooLate)
		m.says("Nobody")
	})
}

func TestRestart(t *testing.T) {
	// die makes the write with the given number the last thing that happens.
	die := func(m *team, lost bool) func(int, paperBatch) paperFault {
		return func(int, paperBatch) paperFault {
			return paperFault{lost: lost, first: func() { m.store.Close() }, err: noAnswer}
		}
	}
	for _, lost := range []bool{false, true} {
		scenario(t, fmt.Sprintf("killed during a take's write, lost %v", lost), func(m *team) {
			m.paper.fault = die(m, lost)
			c := m.accept(m.command(deploytoken.KindTake, ana, ""))
			m.Do(expiring(m.t, time.Second), c)
			m.paper.fault = nil
			m.restart()
			m.recover()
			m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
			m.says("Ana Díaz")
			m.told("channel:C1 taken", "person:UANA answer taken")
		})
		scenario(t, fmt.Sprintf("killed during a release's write, lost %v", lost), func(m *team) {
			m.do(deploytoken.KindTake, ana, "")
			m.delivered()
			m.paper.fault = die(m, lost)
			c := m.accept(m.command(deploytoken.KindRelease, ana, "done"))
			m.Do(expiring(m.t, time.Second), c)
			m.paper.fault = nil
			m.restart()
			time.Sleep(time.Hour)
			m.recover()
			m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
			m.says("Nobody")
			m.told("channel:C1 retired", "channel:C1 released", "person:UANA answer released", "sheet row")
		})
	}
	scenario(t, "killed during a take's write, and someone else's name stands there since", func(m *team) {
		m.paper.fault = die(m, true)
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(expiring(m.t, time.Second), c)
		m.paper.fault = nil
		m.restart()
		m.paper.edit("Bob Ray")
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeSuperseded)
	})
	scenario(t, "what is sent again is what was decided last", func(m *team) {
		var sent []paperBatch
		m.paper.fault = func(n int, b paperBatch) paperFault {
			sent = append(sent, b)
			switch n {
			case 1:
				return paperFault{first: func() { m.paper.edit("Nobody") }}
			case 2:
				return paperFault{first: func() { m.store.Close() }, lost: true, err: noAnswer}
			}
			return paperFault{}
		}
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(expiring(m.t, time.Second), c)
		m.restart()
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
		if len(sent) != 3 || sent[2].Revision != sent[1].Revision {
			m.t.Errorf("sent %+v", sent)
		}
	})
	scenario(t, "a release ends when it was decided, however long it takes to find out", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		id := m.record().Holding.ID
		time.Sleep(time.Minute)
		m.paper.fault = die(m, false)
		decided := time.Now()
		m.Do(expiring(m.t, time.Second), m.accept(m.command(deploytoken.KindRelease, ana, "")))
		m.paper.fault = nil
		m.restart()
		time.Sleep(time.Hour)
		m.recover()
		if h := m.holding(id); !h.Ended.Equal(decided) {
			m.t.Errorf("ended %v, want %v", h.Ended, decided)
		}
	})
	scenario(t, "whoever asked is told, once, that it isn't known yet", func(m *team) {
		m.paper.fault = die(m, true)
		m.Do(expiring(m.t, time.Second), m.accept(m.command(deploytoken.KindTake, ana, "")))
		m.paper.fault = unanswered
		m.restart()
		m.recover()
		m.recover()
		m.told("person:UANA pending")
	})
	scenario(t, "a command that makes the bot panic has failed", func(m *team) {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.paper.readFault = func() error { panic("of the test") }
		m.restart()
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeFailed)
	})
	scenario(t, "a write that makes the bot panic is left open", func(m *team) {
		m.paper.fault = die(m, true)
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(expiring(m.t, time.Second), c)
		m.restart()
		m.paper.fault = func(int, paperBatch) paperFault { panic("of the test") }
		if err := m.Recover(context.Background()); err == nil {
			m.t.Error("no error")
		}
		m.Fail(context.Background(), c)
		m.expect(m.outcome(c.ID), "")
	})
	scenario(t, "a command that was accepted and left", func(m *team) {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.restart()
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
	})
	scenario(t, "a take that was left for too long", func(m *team) {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.restart()
		time.Sleep(time.Hour)
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTooLate)
		m.says("Nobody")
	})
	scenario(t, "nothing is announced twice", func(m *team) {
		m.watch()
		m.paper.edit("Bob Ray")
		m.notice()
		m.told("channel:C1 changed")
		m.restart()
		m.notice()
		m.told()
	})
	scenario(t, "the store is lost", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		old := m.store.StoreID()
		m.url = "sqlite:" + filepath.Join(m.t.TempDir(), "other.db")
		m.restart()
		if m.store.StoreID() == old {
			m.t.Fatal("the same store")
		}
		m.notice()
		m.told()
		h := m.record().Holding
		if h == nil || h.Name != "Ana Díaz" || h.PersonID != ana || h.SinceKnown {
			m.t.Fatalf("holding %+v", h)
		}
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		if len(m.paper.marks) != 1 || m.paper.marks[0].Store != m.store.StoreID() {
			m.t.Errorf("marks %v", m.paper.marks)
		}
	})
}

// expiring is a context that ends after d, as a process that is killed does.
func expiring(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestWatch(t *testing.T) {
	scenario(t, "the first look announces nothing", func(m *team) {
		m.paper.edit("Bob Ray")
		m.watch()
		m.told()
		r := m.record()
		if h := r.Holding; h == nil || h.PersonID != bob || h.SinceKnown || !h.ByHand {
			m.t.Errorf("holding %+v", h)
		}
		if r.Observed.IsZero() {
			m.t.Error("not observed")
		}
	})
	scenario(t, "a change counts once it has been seen twice", func(m *team) {
		m.watch()
		m.paper.edit("B")
		m.watch()
		time.Sleep(4 * time.Second)
		m.paper.edit("Bob Ray")
		m.watch()
		time.Sleep(4 * time.Second)
		m.watch()
		m.told()
		for range 5 {
			time.Sleep(10 * time.Second)
			m.watch()
		}
		m.told("channel:C1 changed")
		if h := m.record().Holding; h == nil || h.Name != "Bob Ray" || !h.SinceKnown {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "a change that was taken back meanwhile has to be seen twice again", func(m *team) {
		m.watch()
		for range 3 {
			m.paper.edit("Bob Ray")
			m.watch()
			time.Sleep(3 * time.Second)
			m.paper.edit("Nobody")
			m.watch()
		}
		m.told()
	})
	scenario(t, "an ended holding and its end by hand are told of", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		id := m.record().Holding.ID
		m.delivered()
		m.paper.edit("Bob Ray")
		m.notice()
		if h := m.holding(id); !h.EndedByHand || h.Entry().Summary != "changed by hand" {
			m.t.Errorf("holding %+v", h)
		}
		if n := m.notices("channel:C1"); len(n) != 2 || n[1].Previous != id || n[1].Holding != m.record().Holding.ID {
			m.t.Errorf("told %+v", n)
		}
	})
	scenario(t, "the holder's other name isn't another's", func(m *team) {
		m.watch()
		m.paper.edit("Ana")
		m.notice()
		m.delivered()
		m.paper.edit("Ana Díaz")
		m.notice()
		m.told("channel:C1 retired", "channel:C1 changed", "sheet row")
	})
	scenario(t, "a name typed over another", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		m.paper.edit("Bob Ray")
		m.notice()
		m.told("channel:C1 retired", "channel:C1 changed", "person:UANA displaced", "sheet row")
		m.expect(m.do(deploytoken.KindRelease, bob, ""), deploytoken.OutcomeReleased)
	})
	scenario(t, "the holder clears it by hand and isn't told so", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		m.paper.editor = "Ana Díaz"
		m.paper.edit("Nobody")
		m.notice()
		m.told("channel:C1 retired", "channel:C1 changed", "sheet row")
	})
	scenario(t, "the same name typed over itself changes nothing", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		before := m.record().Holding.ID
		m.paper.edit("Ana  Díaz")
		m.notice()
		m.told()
		if after := m.record().Holding; after == nil || after.ID != before {
			m.t.Errorf("holding %+v", after)
		}
	})
	scenario(t, "the same name's return is a new holding", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		before := m.record().Holding.ID
		m.paper.edit("Nobody")
		m.notice()
		m.paper.edit("Ana Díaz")
		m.notice()
		if after := m.record().Holding; after == nil || after.ID == before {
			m.t.Errorf("holding %+v", after)
		}
	})
	scenario(t, "unclear is told once, and that it is clear again", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		m.paper.edit("Ana Díaz Bob")
		m.notice()
		m.notice()
		m.told("channel:C1 unclear")
		if m.record().Holding == nil {
			m.t.Error("the holding ended")
		}
		m.paper.edit("Ana Díaz")
		m.notice()
		m.notice()
		m.told("channel:C1 clear")
		if r := m.record(); r.Unclear != "" {
			m.t.Errorf("unclear: %s", r.Unclear)
		}
	})
	scenario(t, "an unclear document is mended with another name", func(m *team) {
		m.watch()
		m.paper.edit("Nobody Bob")
		m.notice()
		m.paper.edit("Bob Ray")
		m.notice()
		m.told("channel:C1 unclear", "channel:C1 changed")
		if r := m.record(); r.Unclear != "" {
			m.t.Errorf("unclear: %s", r.Unclear)
		}
	})
	scenario(t, "another store's mark is warned of once", func(m *team) {
		var log strings.Builder
		m.paper.marks = []deploytoken.Mark{{Store: "other", Operation: "op"}}
		s := deploytoken.New(deploytoken.Config{
			Document: m.paper, Directory: everyone, Ledger: m.store, Channel: "C1", Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		for range 2 {
			if _, err := s.Watch(context.Background()); err != nil {
				m.t.Fatal(err)
			}
		}
		if n := strings.Count(log.String(), "store=other"); n != 1 {
			m.t.Errorf("%d warnings:\n%s", n, log.String())
		}
	})
	scenario(t, "after the bot was blind", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		m.watch()
		seen := time.Now()
		time.Sleep(5 * time.Hour)
		m.paper.edit("Bob Ray")
		m.notice()
		_, d, err := m.store.Claim(context.Background(), "channel:C1", time.Now(), 9, time.Minute)
		if err != nil || len(d) != 2 {
			m.t.Fatalf("%v %v", d, err)
		}
		if got := d[1].Notice.BlindSince; got.Sub(seen).Abs() > time.Second {
			m.t.Errorf("blind since %v, want %v", got, seen)
		}
		if m.record().Holding.SinceKnown {
			m.t.Error("pretends to know since when")
		}
	})
	scenario(t, "a name typed after a release may have the released one's in it", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindRelease, ana, "")
		m.paper.edit("Eva Ana Díaz")
		m.notice()
		if h := m.record().Holding; h == nil || h.Name != "Eva Ana Díaz" {
			m.t.Errorf("holding %+v, unclear: %q", h, m.record().Unclear)
		}
	})
	scenario(t, "another document in the same store is told of, too", func(m *team) {
		m.watch()
		m.paper.edit("Nobody or Ana")
		m.notice()
		m.told("channel:C1 unclear")
		// The document was replaced by another, whose record begins anew.
		m.paper = &paper{id: "doc2", value: "Nobody", revision: 1}
		m.Service = m.service()
		m.watch()
		m.paper.edit("Nobody or Bob")
		m.notice()
		m.told("channel:C1 unclear")
	})
	scenario(t, "a release of what was typed a moment ago", func(m *team) {
		m.watch()
		m.paper.edit("Ana")
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		m.says("Nobody")
		m.told("channel:C1 changed", "channel:C1 retired", "channel:C1 released", "person:UANA answer released", "sheet row")
	})
	scenario(t, "a release of what the holder has just cleared keeps the summary", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		id := m.record().Holding.ID
		m.paper.edit("Nobody")
		m.expect(m.do(deploytoken.KindRelease, ana, "restarted it"), deploytoken.OutcomeEnded)
		if h := m.holding(id); h.Entry().Summary != "restarted it" || !h.EndedByHand {
			m.t.Errorf("holding %+v", h)
		}
		var kinds []deploytoken.NoticeKind
		for _, n := range m.notices("channel:C1") {
			kinds = append(kinds, n.Kind)
			if n.Kind == deploytoken.NoticeChanged && (n.Token == nil || n.Token.State != deploytoken.Free) {
				m.t.Errorf("the channel isn't told that nobody holds it: %+v", n)
			}
		}
		if want := []deploytoken.NoticeKind{deploytoken.NoticeTaken, deploytoken.NoticeRetired, deploytoken.NoticeChanged}; !slices.Equal(kinds, want) {
			m.t.Errorf("the channel is told %v", kinds)
		}
		m.told("person:UANA answer taken", "person:UANA answer ended", "sheet row")
	})
	scenario(t, "a take of what its holder has cleared ends that holding", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		id := m.record().Holding.ID
		m.paper.edit("Nobody")
		m.expect(m.do(deploytoken.KindTake, bob, ""), deploytoken.OutcomeTaken)
		m.told("channel:C1 retired", "channel:C1 changed", "channel:C1 taken", "person:UBOB answer taken", "sheet row")
		if h := m.holding(id); !h.EndedByHand {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "it costs one poll, and no read, while nothing changes", func(m *team) {
		m.watch()
		m.paper.reads = 0
		for range 10 {
			time.Sleep(m.watch())
		}
		if m.paper.reads != 0 || m.paper.polls != 10 {
			m.t.Errorf("%d reads, %d polls", m.paper.reads, m.paper.polls)
		}
	})
}

func TestWhoseName(t *testing.T) {
	scenario(t, "a name that could be several people's", func(m *team) {
		d := people{ana: "Ana Díaz", bob: "Ana Ray"}
		m.Service = deploytoken.New(deploytoken.Config{Document: m.paper, Directory: d, Ledger: m.store, Channel: "C1", StaleAfter: time.Hour})
		m.paper.edit("Ana")
		m.notice()
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeMaybeYours)
		m.says("Ana")
		m.expect(m.click(deploytoken.KindClaim, bob, m.record().Holding.ID), deploytoken.OutcomeClaimed)
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeHeld)
		m.expect(m.do(deploytoken.KindRelease, bob, ""), deploytoken.OutcomeReleased)
	})
}

func TestAsk(t *testing.T) {
	scenario(t, "the holder is asked, once an hour by each", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		id := m.record().Holding.ID
		for range 2 {
			m.expect(m.click(deploytoken.KindAsk, bob, id), deploytoken.OutcomeAsked)
			time.Sleep(time.Minute)
		}
		m.told("person:UANA asked", "person:UBOB answer asked", "person:UBOB answer asked")
		time.Sleep(time.Hour)
		m.click(deploytoken.KindAsk, bob, id)
		m.told("person:UANA asked", "person:UBOB answer asked")
	})
	scenario(t, "who could not be asked can be asked again", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		for range 2 {
			m.expect(m.do(deploytoken.KindAsk, bob, ""), deploytoken.OutcomeAsked)
			lease, asked, err := m.store.Claim(context.Background(), deploytoken.ToPerson(ana), time.Now(), 1, time.Minute)
			if err != nil || len(asked) != 1 {
				m.t.Fatal(asked, err)
			}
			gone := deploytoken.Effect{Key: asked[0].Key, Destination: asked[0].Destination, Notice: asked[0].Notice}
			untold, _ := gone.Untold("no", time.Now())
			if err := m.store.Failed(context.Background(), lease, gone.Key, "no", time.Time{}, []deploytoken.Effect{untold}); err != nil {
				m.t.Fatal(err)
			}
			m.told("person:UBOB answer asked", "person:UBOB untold")
			time.Sleep(time.Minute)
		}
		m.expect(m.do(deploytoken.KindAsk, bob, ""), deploytoken.OutcomeAsked)
		m.told("person:UANA asked", "person:UBOB answer asked")
	})
	scenario(t, "a holder who is found by the typed name is asked", func(m *team) {
		id := m.typed("Ana")
		m.expect(m.click(deploytoken.KindAsk, bob, id), deploytoken.OutcomeAsked)
		m.told("person:UANA asked", "person:UBOB answer asked")
		if h := m.record().Holding; h.PersonID != ana {
			m.t.Errorf("holding %+v", h)
		}
	})
}

func TestStatus(t *testing.T) {
	status := func(m *team) deploytoken.Status {
		m.t.Helper()
		st, err := m.Status(context.Background())
		if err != nil {
			m.t.Fatal(err)
		}
		return st
	}
	scenario(t, "it is by a new reading", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.watch()
		time.Sleep(time.Second)
		if st := status(m); st.Holding == nil || st.Holding.PersonID != ana || st.Changing || st.PendingRows != 0 {
			m.t.Errorf("status %+v", st)
		}
		m.paper.edit("Bob Ray")
		time.Sleep(time.Second)
		if st := status(m); st.Token.Holder != "Bob Ray" || st.Holding != nil {
			m.t.Errorf("status %+v", st)
		}
	})
	scenario(t, "rows that wait, and a write that may land", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindRelease, ana, "")
		m.paper.fault = unanswered
		m.Do(context.Background(), m.accept(m.command(deploytoken.KindTake, ana, "")))
		if st := status(m); st.PendingRows != 1 || !st.Changing {
			m.t.Errorf("status %+v", st)
		}
	})
}

func TestRemind(t *testing.T) {
	remind := func(m *team) {
		m.t.Helper()
		if err := m.Remind(context.Background(), time.Now().Add(30*time.Minute)); err != nil {
			m.t.Fatal(err)
		}
	}
	scenario(t, "once for each tick, later ones in the thread", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		time.Sleep(time.Hour)
		remind(m)
		m.told()
		time.Sleep(time.Hour)
		remind(m)
		remind(m)
		m.told("channel:C1 reminder")
		time.Sleep(time.Hour)
		remind(m)
		_, d, _ := m.store.Claim(context.Background(), "channel:C1", time.Now(), 9, time.Minute)
		if len(d) != 1 || d[0].Notice.Number != 2 || d[0].Notice.Thread == "" {
			m.t.Errorf("delivery %+v", d)
		}
	})
	scenario(t, "still working", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		time.Sleep(2 * time.Hour)
		remind(m)
		m.expect(m.click(deploytoken.KindStillWorking, bob, m.record().Holding.ID), deploytoken.OutcomeHeld)
		m.expect(m.click(deploytoken.KindStillWorking, ana, m.record().Holding.ID), deploytoken.OutcomeQuiet)
		m.delivered()
		time.Sleep(2*time.Hour - time.Minute)
		remind(m)
		m.told()
		time.Sleep(time.Minute)
		remind(m)
		m.told("channel:C1 reminder")
	})
	scenario(t, "its buttons go when the holding ends", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		time.Sleep(2 * time.Hour)
		remind(m)
		m.delivered()
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		m.told("channel:C1 retired", "channel:C1 retired", "channel:C1 released", "person:UANA answer released", "sheet row")
	})
	scenario(t, "not of what was released by hand", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		time.Sleep(3 * time.Hour)
		m.watch()
		m.paper.edit("Nobody")
		time.Sleep(time.Second)
		remind(m)
		m.told()
	})
	scenario(t, "a holder who is found by the typed name is reminded", func(m *team) {
		m.typed("Ana")
		time.Sleep(2 * time.Hour)
		remind(m)
		if h := m.record().Holding; h.PersonID != ana {
			m.t.Errorf("holding %+v", h)
		}
	})
}

func TestUnavailable(t *testing.T) {
	scenario(t, "a short outage is sat out", func(m *team) {
		n := 0
		m.paper.readFault = func() error {
			if n++; n < 3 {
				return unreachable
			}
			return nil
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "a longer one is told", func(m *team) {
		m.paper.readFault = func() error { return unreachable }
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeRefused)
		if _, err := m.Status(context.Background()); !errors.Is(err, deploytoken.ErrUnavailable) {
			m.t.Errorf("status: %v", err)
		}
	})
	scenario(t, "a refused write changes nothing", func(m *team) {
		m.paper.fault = func(int, paperBatch) paperFault {
			return paperFault{lost: true, err: &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "Not shared."}}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeRefused)
		if m.record().IntentOpen {
			m.t.Error("the intent is open")
		}
	})
}
