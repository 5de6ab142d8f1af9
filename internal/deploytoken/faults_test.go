package deploytoken_test

import (
	"context"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// lossy is a store with hooks where a call or its answer may get lost, or
// somebody else be quicker. Each hook may be nil.
type lossy struct {
	*ledger.Store
	// looked is called once a command was looked up.
	looked func()
	// opened is called once an intent is open; its error is the answer.
	opened func() error
	// committing is called before a change is made; its error refuses it.
	committing func(deploytoken.Change) error
	// keeping is called with the commands that are kept.
	keeping func(ids []string)
}

func (l *lossy) KeepCommands(ctx context.Context, ids []string, ttl time.Duration) error {
	if l.keeping != nil {
		l.keeping(ids)
	}
	return l.Store.KeepCommands(ctx, ids, ttl)
}

func (l *lossy) Command(ctx context.Context, id string) (*deploytoken.Command, deploytoken.Outcome, error) {
	c, o, err := l.Store.Command(ctx, id)
	if l.looked != nil {
		l.looked()
	}
	return c, o, err
}

func (l *lossy) OpenIntent(ctx context.Context, i deploytoken.Intent, seq int64, ttl time.Duration) (deploytoken.Intent, error) {
	i, err := l.Store.OpenIntent(ctx, i, seq, ttl)
	if err == nil && l.opened != nil {
		err = l.opened()
	}
	return i, err
}

func (l *lossy) Commit(ctx context.Context, c deploytoken.Change) error {
	if l.committing != nil {
		if err := l.committing(c); err != nil {
			return err
		}
	}
	return l.Store.Commit(ctx, c)
}

// slow is a document whose reads take time: read, if set, is done between the
// moment that is read and the answer.
type slow struct {
	*paper
	read func()
}

func (d *slow) Read(ctx context.Context) (deploytoken.Reading, error) {
	r, err := d.paper.Read(ctx)
	if read := d.read; read != nil {
		d.read = nil
		read()
	}
	return r, err
}

// bounded is a document that takes no call without a deadline.
type bounded struct {
	*paper
	t *testing.T
}

func (d bounded) hold(ctx context.Context, call string) {
	if at, ok := ctx.Deadline(); !ok || time.Until(at) > 10*time.Second {
		d.t.Errorf("%s has no deadline, or a late one: %v", call, at)
	}
}

func (d bounded) Read(ctx context.Context) (deploytoken.Reading, error) {
	d.hold(ctx, "Read")
	return d.paper.Read(ctx)
}

func (d bounded) Revision(ctx context.Context) (string, error) {
	d.hold(ctx, "Revision")
	return d.paper.Revision(ctx)
}

func (d bounded) Write(ctx context.Context, b deploytoken.Batch) error {
	d.hold(ctx, "Write")
	return d.paper.Write(ctx, b)
}

func (d bounded) LastEditor(ctx context.Context) (string, error) {
	d.hold(ctx, "LastEditor")
	return d.paper.LastEditor(ctx)
}

// once returns a hook that fails the first time.
func once(err error) func() error {
	return func() error {
		now := err
		err = nil
		return now
	}
}

func TestLostAnswers(t *testing.T) {
	scenario(t, "nothing is said of an intent that the store opened and didn't confirm, while the document is down", func(m *team) {
		m.Service = m.over(&lossy{Store: m.store, opened: once(unreachable)})
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		time.Sleep(time.Second)
		m.Status(context.Background()) // the reading that the take is decided on
		m.paper.readFault = func() error { return unreachable }
		m.Do(expiring(m.t, time.Minute), c)
		m.expect(m.outcome(c.ID), "")
		m.paper.readFault = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
		m.says("Ana Díaz")
	})
	scenario(t, "a command isn't refused while an intent of its own is open", func(m *team) {
		m.do(deploytoken.KindTake, bob, "")
		m.Service = m.over(&lossy{Store: m.store, opened: once(unreachable)})
		m.paper.fault = unanswered
		c := m.accept(m.command(deploytoken.KindRelease, bob, ""))
		m.Do(expiring(m.t, 3*time.Minute), c)
		m.expect(m.outcome(c.ID), "")
		m.paper.fault = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
	})
	scenario(t, "a conflict with one's own write is recognised, also if nothing can be read after it", func(m *team) {
		m.paper.fault = func(_ int, b paperBatch) paperFault {
			m.paper.land(b)
			m.paper.readFault = func() error { return unreachable }
			return paperFault{lost: true, err: deploytoken.ErrConflict}
		}
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), "")
		m.paper.fault, m.paper.readFault = nil, nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
	})
	scenario(t, "a rewrite whose answer was lost is given up once the document says so", func(m *team) {
		m.paper.fault = unanswered
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), "")
		rewrites := 0
		m.paper.fault = func(_ int, b paperBatch) paperFault {
			if b.Value == b.Read {
				if rewrites++; rewrites == 1 {
					return paperFault{err: noAnswer}
				}
			} else if b.Revision == 1 {
				return paperFault{lost: true, err: deploytoken.ErrGuardUnusable}
			}
			return paperFault{}
		}
		for range 5 {
			m.Recover(context.Background())
			time.Sleep(2 * time.Second)
		}
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
		if m.record().IntentOpen {
			m.t.Error("the intent is open")
		}
	})
	for _, err := range []error{noAnswer, deploytoken.ErrGuardUnusable} {
		scenario(t, "a rewrite that was refused or had no answer settles nothing: "+err.Error(), func(m *team) {
			rewrites := 0
			m.paper.fault = func(n int, b paperBatch) paperFault {
				if b.Value == b.Read {
					if rewrites++; rewrites == 1 {
						return paperFault{lost: true, err: err}
					}
					return paperFault{}
				}
				switch {
				case n == 1:
					return paperFault{lost: true, err: noAnswer}
				case b.Revision == 1:
					return paperFault{lost: true, err: deploytoken.ErrGuardUnusable}
				}
				return paperFault{}
			}
			m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
			if rewrites != 2 {
				m.t.Errorf("%d rewrites", rewrites)
			}
		})
	}
	scenario(t, "what a write has become is recorded, if not at once", func(m *team) {
		l := &lossy{Store: m.store}
		m.Service = m.over(l)
		l.committing = func(deploytoken.Change) error { l.committing = nil; return unreachable }
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "what a write has become is left to be found out while the store is down", func(m *team) {
		l := &lossy{Store: m.store, committing: func(deploytoken.Change) error { return unreachable }}
		m.Service = m.over(l)
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		ctx := expiring(m.t, time.Minute)
		m.Do(ctx, c)
		if ctx.Err() != nil {
			m.t.Error("the command was not left")
		}
		l.committing = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
	})
	scenario(t, "a take that was left doesn't land when its time has passed", func(m *team) {
		m.paper.fault = unanswered
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(expiring(m.t, time.Second), c)
		m.paper.fault = nil
		m.restart()
		time.Sleep(time.Hour)
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTooLate)
		m.says("Nobody")
	})
	scenario(t, "a take that was left is settled though the document has become unclear", func(m *team) {
		m.paper.fault = unanswered
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(expiring(m.t, time.Second), c)
		m.paper.fault = nil
		m.restart()
		m.paper.edit("")
		m.paper.problem = "two lines start with “Held by:”."
		time.Sleep(time.Hour)
		m.recover()
		if m.record().IntentOpen {
			m.t.Error("the intent is open")
		}
		m.expect(m.outcome(c.ID), deploytoken.OutcomeSuperseded)
	})
	scenario(t, "a reminder isn't lost to an observation made meanwhile", func(m *team) {
		l := &lossy{Store: m.store}
		m.Service = m.over(l)
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		time.Sleep(3 * time.Hour)
		l.committing = func(deploytoken.Change) error {
			l.committing = nil
			now := time.Now()
			return m.store.Commit(context.Background(), deploytoken.Change{Document: "doc", IfSeq: -1, At: now, Observed: now})
		}
		if err := m.Remind(context.Background(), time.Now().Add(30*time.Minute)); err != nil {
			m.t.Fatal(err)
		}
		m.told("channel:C1 reminder")
	})
}

func TestMeanwhile(t *testing.T) {
	// meanwhile has f done just before the next change is made.
	meanwhile := func(m *team, f func()) *lossy {
		l := &lossy{Store: m.store}
		l.committing = func(deploytoken.Change) error {
			l.committing = nil
			f()
			return nil
		}
		return l
	}
	scenario(t, "nobody is reminded who has just said that they are still working", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		time.Sleep(3 * time.Hour)
		s := m.over(meanwhile(m, func() { m.click(deploytoken.KindStillWorking, ana, m.record().Holding.ID) }))
		if err := s.Remind(context.Background(), time.Now().Add(30*time.Minute)); err != nil {
			m.t.Fatal(err)
		}
		m.told("person:UANA answer quiet")
	})
	scenario(t, "a click keeps what was recorded of the holding since it was read", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		time.Sleep(3 * time.Hour)
		other := m.service()
		m.Service = m.over(meanwhile(m, func() { other.Remind(context.Background(), time.Now()) }))
		m.expect(m.click(deploytoken.KindStillWorking, ana, m.record().Holding.ID), deploytoken.OutcomeQuiet)
		if h := m.record().Holding; h.Reminders != 1 {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "a change by hand isn't recorded over a command that has seen it", func(m *team) {
		m.watch()
		m.paper.edit("Bob Ray")
		other := m.service()
		c := m.command(deploytoken.KindRelease, bob, "")
		m.Service = m.over(meanwhile(m, func() {
			other.Accept(context.Background(), c)
			other.Do(context.Background(), c)
		}))
		m.notice()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
		m.says("Nobody")
		if h := m.record().Holding; h != nil {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "a command is kept while it is worked on", func(m *team) {
		var kept [][]string
		m.Service = m.over(&lossy{Store: m.store, keeping: func(ids []string) { kept = append(kept, ids) }})
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.paper.fault = func(int, paperBatch) paperFault { return paperFault{first: func() { m.Keep(context.Background()) }} }
		m.Do(context.Background(), c)
		m.Keep(context.Background())
		if len(kept) != 1 || len(kept[0]) != 1 || kept[0][0] != c.ID {
			m.t.Errorf("kept %v", kept)
		}
	})
	scenario(t, "a write is settled by nobody else in its process", func(m *team) {
		m.paper.fault = func(n int, _ paperBatch) paperFault {
			return paperFault{first: func() {
				if n == 1 {
					m.Recover(expiring(m.t, time.Second))
				}
			}}
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		if m.paper.sent != 1 {
			m.t.Errorf("%d writes", m.paper.sent)
		}
	})
	scenario(t, "a holding doesn't end before it began, whatever the clocks say", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		h := m.record().Holding
		behind := deploytoken.New(deploytoken.Config{
			Document: m.paper, Directory: everyone, Ledger: m.store, Channel: "C1",
			Clock: func() time.Time { return time.Now().Add(-time.Minute) },
		})
		behind.Do(context.Background(), m.accept(m.command(deploytoken.KindRelease, ana, "")))
		if end := m.holding(h.ID); !end.Ended.Equal(h.Since) {
			m.t.Errorf("holding %+v", end)
		}
	})
}

func TestWhileAWriteMayLand(t *testing.T) {
	// takePending leaves a take of ana's without an answer.
	takePending := func(m *team) deploytoken.Command {
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), "")
		return c
	}
	// waits does a command for a while, and holds that it has no answer yet.
	waits := func(m *team, kind deploytoken.Kind, person string) deploytoken.Command {
		c := m.accept(m.command(kind, person, ""))
		m.Do(expiring(m.t, 10*time.Second), c)
		m.expect(m.outcome(c.ID), "")
		return c
	}
	scenario(t, "nobody is told that the token is free", func(m *team) {
		m.paper.fault = unanswered
		takePending(m)
		waits(m, deploytoken.KindRelease, ana)
	})
	scenario(t, "nobody is told that the document is unclear", func(m *team) {
		m.watch()
		m.paper.edit("Ana")
		m.notice()
		m.do(deploytoken.KindRelease, ana, "")
		m.paper.sent = 0
		m.paper.fault = func(n int, _ paperBatch) paperFault { return paperFault{lost: n > 1, err: noAnswer} }
		takePending(m)
		m.says("Ana Díaz")
		waits(m, deploytoken.KindTake, bob)
	})
	scenario(t, "what it may have written isn't taken for a change by hand", func(m *team) {
		m.paper.fault = func(n int, _ paperBatch) paperFault { return paperFault{lost: n > 1, err: noAnswer} }
		takePending(m)
		m.says("Ana Díaz")
		waits(m, deploytoken.KindTake, ana)
		if h := m.record().Holding; h != nil {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "a second release doesn't take the place of the first one in the row", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		id := m.record().Holding.ID
		m.paper.fault = func(n int, _ paperBatch) paperFault { return paperFault{lost: n > 2, err: noAnswer} }
		c := m.accept(m.command(deploytoken.KindRelease, ana, "upgraded"))
		m.Do(context.Background(), c)
		m.says("Nobody")
		waits(m, deploytoken.KindRelease, ana)
		m.paper.fault = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
		if h := m.holding(id); h.Summary != "upgraded" || h.EndedByHand {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "commands that were left wait until it is settled", func(m *team) {
		m.paper.fault = unanswered
		left := m.accept(m.command(deploytoken.KindTake, bob, ""))
		c := takePending(m)
		m.restart()
		m.Recover(context.Background())
		m.expect(m.outcome(left.ID), "")
		m.paper.fault = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
		m.expect(m.outcome(left.ID), deploytoken.OutcomeHeld)
	})
	scenario(t, "nobody is told that it is pending once another process has settled it", func(m *team) {
		m.store.Close()
		open := func(owner string) *ledger.Store {
			store, err := ledger.Open(context.Background(), m.url, ledger.Options{Owner: owner})
			if err != nil {
				m.t.Fatal(err)
			}
			m.t.Cleanup(func() { store.Close() })
			return store
		}
		m.store = open("other")
		m.Service = m.service()
		l := &lossy{Store: open("suspended")}
		suspended := m.over(l)
		l.looked = func() {
			if !m.record().IntentOpen {
				return
			}
			// It is suspended here until its time has passed.
			l.looked = nil
			open("suspended").Close()
			m.paper.fault = nil
			m.recover()
		}
		m.paper.fault = unanswered
		c := m.command(deploytoken.KindTake, ana, "")
		if _, err := suspended.Accept(context.Background(), c); err != nil {
			m.t.Fatal(err)
		}
		suspended.Do(context.Background(), c)
		m.told("channel:C1 taken", "person:UANA answer taken")
	})
}

func TestWhichHolding(t *testing.T) {
	scenario(t, "a release means the holding that lasts when it comes, named or not", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		c := m.command(deploytoken.KindRelease, ana, "")
		m.Accept(context.Background(), c) // which names the document, too
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
	})
	scenario(t, "a release means a name that was typed before it and recorded after it", func(m *team) {
		m.watch()
		m.paper.edit("Ana")
		m.watch()
		time.Sleep(5 * time.Second)
		c := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		time.Sleep(time.Millisecond)
		m.watch()
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
	})
	scenario(t, "a release means what the take that was asked for before it is about to begin", func(m *team) {
		take := m.accept(m.command(deploytoken.KindTake, ana, "upgrade"))
		release := m.accept(m.command(deploytoken.KindRelease, ana, "upgraded"))
		m.Do(context.Background(), take)
		m.Do(context.Background(), release)
		m.expect(m.outcome(take.ID), deploytoken.OutcomeTaken)
		m.expect(m.outcome(release.ID), deploytoken.OutcomeReleased)
		m.says("Nobody")
	})
	scenario(t, "also where it was asked for in an earlier turn", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		first := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		take := m.accept(m.command(deploytoken.KindTake, ana, ""))
		second := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		m.restart()
		m.recover()
		for _, c := range []deploytoken.Command{first, second} {
			m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
		}
		m.expect(m.outcome(take.ID), deploytoken.OutcomeTaken)
		m.says("Nobody")
	})
	scenario(t, "a release ends nothing that was taken after it was asked for", func(m *team) {
		release := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		m.do(deploytoken.KindTake, ana, "")
		m.Do(context.Background(), release)
		m.expect(m.outcome(release.ID), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
	})
	scenario(t, "a release that was left for long doesn't end a holding typed since", func(m *team) {
		m.watch()
		c := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		m.restart()
		time.Sleep(time.Hour)
		m.paper.edit("Ana Díaz")
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
	})
	scenario(t, "a release that was left doesn't end another holding of the same name", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		c := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		m.restart()
		m.paper.edit("Nobody")
		m.notice()
		m.paper.edit("Ana Díaz")
		m.notice()
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
	})
	scenario(t, "what was adopted for a release is what it means when it is done again", func(m *team) {
		m.watch()
		m.paper.edit("Ana")
		m.paper.fault = unanswered
		c := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), "")
		if meant, _, err := m.store.Command(context.Background(), c.ID); err != nil || meant.Holding != m.record().Holding.ID {
			m.t.Errorf("command %+v %v", meant, err)
		}
		m.paper.edit("Ana") // the revision moves on, and the write can't land any more
		m.paper.fault = nil
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeReleased)
	})
	scenario(t, "a release works after the first name was made the whole name", func(m *team) {
		m.watch()
		m.paper.edit("Ana")
		m.notice()
		m.paper.edit("Ana Díaz")
		m.notice()
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
	})
	scenario(t, "a name that was read before it was released isn't adopted after that", func(m *team) {
		other := m.service()
		other.Watch(context.Background())
		m.paper.edit("Ana Díaz")
		c := m.accept(m.command(deploytoken.KindTake, ana, ""))
		time.Sleep(time.Second)
		other.Watch(context.Background())
		time.Sleep(time.Second)
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		other.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
		m.says("Ana Díaz")
	})
	scenario(t, "a take decided on what was read before one's own take begins nothing", func(m *team) {
		other := m.service()
		other.Watch(context.Background()) // sees Nobody
		m.do(deploytoken.KindTake, bob, "the registry")
		id := m.record().Holding.ID
		m.paper.sent, m.paper.fault = 0, func(n int, _ paperBatch) paperFault {
			if n == 1 {
				return paperFault{lost: true, err: noAnswer}
			}
			return paperFault{}
		}
		c := m.accept(m.command(deploytoken.KindTake, bob, ""))
		other.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeAlreadyYours)
		if h := m.record().Holding; h == nil || h.ID != id {
			m.t.Errorf("holding %+v", h)
		}
	})
}

func TestReadings(t *testing.T) {
	// slowly has the team read slowly: read is done during the next read.
	slowly := func(m *team, read func()) {
		m.Service = deploytoken.New(deploytoken.Config{
			Document: &slow{m.paper, read}, Directory: everyone, Ledger: m.store, Channel: "C1", StaleAfter: time.Hour,
		})
	}
	scenario(t, "one that began before the command came refuses nothing", func(m *team) {
		m.paper.edit("Bob Ray")
		var c deploytoken.Command
		slowly(m, func() {
			m.paper.edit("Nobody")
			time.Sleep(time.Second)
			c = m.accept(m.command(deploytoken.KindTake, ana, ""))
			time.Sleep(time.Second)
		})
		m.Status(context.Background())
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeTaken)
	})
	scenario(t, "one that began before a write ended is not kept", func(m *team) {
		c := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		time.Sleep(time.Second)
		slowly(m, func() {
			time.Sleep(time.Second)
			m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		})
		m.Status(context.Background()) // finds Nobody
		m.Do(context.Background(), c)
		m.expect(m.outcome(c.ID), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
	})
	scenario(t, "each call has a deadline", func(m *team) {
		m.Service = deploytoken.New(deploytoken.Config{
			Document: bounded{m.paper, m.t}, Directory: everyone, Ledger: m.store, Channel: "C1", StaleAfter: time.Hour,
		})
		m.watch()
		m.watch()
		m.do(deploytoken.KindTake, ana, "")
		m.paper.edit("Bob Ray")
		m.notice()
	})
	scenario(t, "the service is left alone for as long as it asked", func(m *team) {
		var reads []time.Time
		m.paper.readFault = func() error {
			if reads = append(reads, time.Now()); len(reads) == 1 {
				return &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Too many requests.", RetryAfter: 3 * time.Second}
			}
			return nil
		}
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		if wait := reads[1].Sub(reads[0]); wait < 3*time.Second {
			m.t.Errorf("read again after %v", wait)
		}
	})
}
