package deploytoken_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// each calls f after each period, as the program's loops do, until the returned
// function has ended that.
func each(period time.Duration, f func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(period):
				f(ctx)
			}
		}
	}()
	return func() { cancel(); <-done }
}

// A keptLedger notes which commands are kept.
type keptLedger struct {
	*ledger.Store
	kept *[]string
}

func (l keptLedger) KeepCommands(ctx context.Context, ids []string, ttl time.Duration) error {
	*l.kept = slices.Sorted(slices.Values(ids))
	return l.Store.KeepCommands(ctx, ids, ttl)
}

// slowPeople take their time to be looked up.
type slowPeople struct{ people }

func (p slowPeople) Person(ctx context.Context, id string) (deploytoken.Person, error) {
	time.Sleep(3 * time.Second)
	return p.people.Person(ctx, id)
}

// An oddLedger can't store some changes, however often it is tried.
type oddLedger struct {
	*ledger.Store
	odd func(deploytoken.Change) bool
}

func (l oddLedger) Commit(ctx context.Context, c deploytoken.Change) error {
	if l.odd(c) {
		return errors.New("it can't be encoded")
	}
	return l.Store.Commit(ctx, c)
}

func TestCommandsLeft(t *testing.T) {
	scenario(t, "what waits for its turn is kept, lest it be done before its turn", func(m *team) {
		var kept []string
		m.Service = m.over(keptLedger{m.store, &kept})
		keeps := func(want ...string) {
			m.t.Helper()
			kept = nil
			if err := m.Keep(context.Background()); err != nil || !slices.Equal(kept, want) {
				m.t.Errorf("kept %q (%v), want %q", kept, err, want)
			}
		}
		first := m.accept(m.command(deploytoken.KindTake, ana, ""))
		second := m.accept(m.command(deploytoken.KindRelease, ana, ""))
		third := m.accept(m.command(deploytoken.KindTake, bob, ""))
		fourth := m.accept(m.command(deploytoken.KindTake, ann, ""))
		keeps("e1", "e2", "e3", "e4")
		if fresh, err := m.Accept(context.Background(), first); fresh || err != nil {
			m.t.Fatal(fresh, err)
		}
		m.Do(context.Background(), first)
		keeps("e2", "e3", "e4")
		m.Leave(third)
		keeps("e2", "e4")
		m.Fail(context.Background(), fourth)
		m.Do(context.Background(), second)
		keeps()
	})
	scenario(t, "a write without an answer doesn't hold up what else was left", func(m *team) {
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		release := m.accept(m.command(deploytoken.KindRelease, ana, "done"))
		time.Sleep(10 * time.Millisecond)
		take := m.accept(m.command(deploytoken.KindTake, bob, ""))
		m.restart()
		back := time.Now().Add(10 * time.Second)
		m.paper.fault = func(int, paperBatch) paperFault {
			if time.Now().Before(back) {
				return paperFault{lost: true, err: noAnswer}
			}
			return paperFault{}
		}
		defer each(2*time.Second, func(ctx context.Context) { m.Recover(ctx) })()
		time.Sleep(40 * time.Second)
		m.expect(m.outcome(release.ID), deploytoken.OutcomeReleased)
		m.expect(m.outcome(take.ID), deploytoken.OutcomeTaken)
		m.says("Bob Ray")
	})
	scenario(t, "nor does one that is begun while the next that was left is about to be done", func(m *team) {
		m.Service = deploytoken.New(deploytoken.Config{Document: m.paper, Directory: slowPeople{everyone}, Ledger: m.store, Channel: "C1"})
		wait := m.accept(m.command(deploytoken.KindWait, bob, ""))
		time.Sleep(10 * time.Millisecond)
		left := m.accept(m.command(deploytoken.KindTake, ann, ""))
		if err := m.store.KeepCommands(context.Background(), []string{wait.ID, left.ID}, 0); err != nil {
			m.t.Fatal(err)
		}
		take := m.accept(m.command(deploytoken.KindTake, ana, ""))
		back := time.Now().Add(20 * time.Second)
		m.paper.fault = func(int, paperBatch) paperFault {
			if time.Now().Before(back) {
				return paperFault{lost: true, err: noAnswer}
			}
			return paperFault{}
		}
		defer each(time.Second, func(ctx context.Context) { m.Recover(ctx) })()
		time.Sleep(2 * time.Second) // the wait has begun
		go m.Do(context.Background(), take)
		time.Sleep(40 * time.Second)
		m.expect(m.outcome(wait.ID), deploytoken.OutcomeFree)
		m.expect(m.outcome(take.ID), deploytoken.OutcomeTaken)
		m.expect(m.outcome(left.ID), deploytoken.OutcomeHeld)
	})
	scenario(t, "a command whose end can't be stored fails, and holds nobody up", func(m *team) {
		odd := oddLedger{m.store, func(c deploytoken.Change) bool { return c.Outcome == deploytoken.OutcomeWaiting }}
		m.Service = m.over(odd)
		m.expect(m.do(deploytoken.KindTake, ana, ""), deploytoken.OutcomeTaken)
		began := time.Now()
		m.expect(m.do(deploytoken.KindWait, bob, ""), deploytoken.OutcomeFailed)
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		if took := time.Since(began); took > time.Minute {
			m.t.Errorf("it took %s", took)
		}
	})
}
