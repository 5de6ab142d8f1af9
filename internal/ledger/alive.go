package ledger

import (
	"context"
	"sync"
	"time"
)

const (
	// aliveFor is how long an owner's claims outlast its last sign of life,
	// which it gives every beatEvery.
	aliveFor  = 5 * time.Second
	beatEvery = time.Second
	// lives is what the names of the leases on being alive begin with.
	lives = "replica "
)

// A pulse is an owner's signs of life, for stores that several owners share.
// Claims are made for as long as their work may take; that their owner is dead
// is seen within seconds by its pulse, and then they are free.
type pulse struct {
	stop context.CancelFunc
	done chan struct{}

	mu sync.Mutex
	// last is when the latest sign was given, and since when the first of those
	// that followed each other within aliveFor was. They are of this machine's
	// clock, which goes on while the process is stopped.
	since, last time.Time
}

// startPulse gives the first sign of life, and the others until stopPulse.
func (s *Store) startPulse(ctx context.Context) error {
	if err := s.beat(ctx); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.pulse.stop, s.pulse.done = stop, make(chan struct{})
	go func() {
		defer close(s.pulse.done)
		tick := time.NewTicker(beatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				bctx, cancel := context.WithTimeout(ctx, aliveFor)
				// Whatever else uses the store says what is wrong with it.
				_ = s.beat(bctx)
				cancel()
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

func (s *Store) stopPulse() {
	if s.pulse.stop != nil {
		s.pulse.stop()
		<-s.pulse.done
	}
}

func (s *Store) beat(ctx context.Context) error {
	err := s.change(ctx, "say that it is alive", func(t *tx) error {
		_, err := t.exec(`
			INSERT INTO lease (name, owner, epoch, until) VALUES ($1, $2, 1, {now} + $3)
			ON CONFLICT (name) DO UPDATE SET until = {now} + $3`, lives+s.owner, s.owner, aliveFor.Milliseconds())
		return err
	})
	if err != nil {
		return err
	}
	p := &s.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.last) > aliveFor {
		p.since = now
	}
	p.last = now
	return nil
}

// steady reports whether this owner could itself give its signs of life for so
// long that the lack of another's means its death, and not that the database
// was away: what an owner did meanwhile it is to record first.
func (s *Store) steady() bool {
	p := &s.pulse
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	return now.Sub(p.last) <= aliveFor && now.Sub(p.since) > aliveFor
}

// lapsed is the condition that a claim, in a row of the named table, is over:
// its time has passed, or its owner is dead.
func (t *tx) lapsed(table string) string {
	if !t.steady {
		return table + ".until <= {now}"
	}
	return "(" + table + ".until <= {now} OR NOT EXISTS (SELECT 1 FROM lease alive WHERE alive.name = '" + lives + "' || " + table + ".owner AND alive.until > {now}))"
}
