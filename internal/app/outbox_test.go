package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// board is a messenger and a history that keep what they are given.
type board struct {
	mu    sync.Mutex
	posts []string
	rows  []string
	// fault is asked before each message and row; lands says whether it is
	// delivered all the same.
	fault func(key string, attempt int) (lands bool, err error)
	tries map[string]int
	last  deploytoken.Delivery
	// began is how long after the test's start the drainer's process began.
	began time.Duration
	// sweepFault is what the first removal of doubles returns, though done, and
	// seemFor is how long after it they still seem to be there.
	sweepFault error
	seemFor    time.Duration
	removed    time.Time
	// sweepPanics is whether the first removal of doubles panics, though done.
	sweepPanics bool
	// toldBefore are messages that an attempt that isn't known of has posted, each
	// by the keys that it tells.
	toldBefore [][]string
	// during, if not nil, is called in each delivery of a message.
	during func(ctx context.Context)
	// over, if not nil, is what the drainer sees of the store.
	over func(deploytoken.Outbox) deploytoken.Outbox
	// clock, if not nil, is the bot's.
	clock func() time.Time
	// logged is what the drainer logs.
	logged bytes.Buffer
}

func (b *board) try(key string) (lands bool, err error) {
	if b.tries == nil {
		b.tries = map[string]int{}
	}
	b.tries[key]++
	if b.fault == nil {
		return true, nil
	}
	return b.fault(key, b.tries[key])
}

func (b *board) Deliver(ctx context.Context, d deploytoken.Delivery) (r deploytoken.Receipt, told int, err error) {
	if b.during != nil {
		b.during(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	lands, err := b.try(d.Key)
	told = 1 + len(d.Late)
	for _, keys := range b.toldBefore {
		if err == nil && keys[0] == d.Key {
			return deploytoken.Receipt{}, min(told, len(keys)), nil
		}
	}
	if lands {
		b.posts = append(b.posts, d.Key)
		b.last = d
	}
	if err != nil {
		return deploytoken.Receipt{}, 0, err
	}
	return deploytoken.Receipt{Channel: "C1", Timestamp: fmt.Sprint(len(b.posts))}, told, nil
}

func (b *board) Append(ctx context.Context, e deploytoken.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	lands, err := b.try(e.ID)
	if lands {
		b.rows = append(b.rows, e.ID)
	}
	return err
}

func (b *board) Count(ctx context.Context, id string) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rows {
		if r == id {
			n++
		}
	}
	if b.lags() {
		n++
	}
	return n, nil
}

// lags reports whether what was removed still seems to be there.
func (b *board) lags() bool { return !b.removed.IsZero() && time.Since(b.removed) < b.seemFor }

func (b *board) RemoveDoubles(ctx context.Context, id string) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lags() {
		// The number of the row that is gone is another's now.
		b.rows = b.rows[:len(b.rows)-1]
		return 1, nil
	}
	b.removed, err, b.sweepFault = time.Now(), b.sweepFault, nil
	seen := false
	b.rows = slices.DeleteFunc(b.rows, func(r string) bool {
		double := r == id && seen
		seen = seen || r == id
		if double {
			n++
		}
		return double
	})
	if b.sweepPanics {
		b.sweepPanics = false
		panic("no such thing")
	}
	return n, err
}

func (b *board) Recent(context.Context, int) ([]deploytoken.Entry, error) { return nil, nil }
func (b *board) Link() string                                             { return "https://sheets.example" }

func (b *board) seen() (posts, rows []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.posts), slices.Clone(b.rows)
}

// drained runs the drainer of a store over what f inserts.
func drained(t *testing.T, b *board, f func(store *ledger.Store, insert func(...deploytoken.Effect))) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		if b.clock == nil {
			b.clock = time.Now
		}
		store, err := ledger.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "s.db"), ledger.Options{Exclusive: true, Now: b.clock})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		d := &drainer{
			outbox: store, messenger: b, history: b, channel: deploytoken.ToChannel("C1"), clock: b.clock, began: b.clock().Add(b.began),
			log: slog.New(slog.NewTextHandler(&b.logged, nil)), lookEvery: 10 * time.Second,
			status: func(context.Context) (deploytoken.Status, error) {
				return deploytoken.Status{Token: deploytoken.Token{State: deploytoken.Free}}, nil
			},
		}
		if b.over != nil {
			d.outbox = b.over(store)
		}
		running, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		inserted := make(chan struct{}, 1)
		go func() { done <- d.run(running, inserted) }()
		f(store, func(e ...deploytoken.Effect) {
			t.Helper()
			for i := range e {
				e[i].Notice.At = b.clock()
			}
			if err := store.Commit(ctx, deploytoken.Change{Document: "doc", IfSeq: -1, At: b.clock(), Effects: e}); err != nil {
				t.Fatal(err)
			}
			select {
			case inserted <- struct{}{}:
			default:
			}
		})
		stop()
		<-done
	})
}

// away is an outbox in which nothing can be recorded until then.
type away struct {
	deploytoken.Outbox
	until time.Time
}

func (a away) Delivered(ctx context.Context, l deploytoken.Lease, done []string, r deploytoken.Receipt, follow []deploytoken.Effect, now time.Time) error {
	if time.Now().Before(a.until) {
		return &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "The store is away."}
	}
	return a.Outbox.Delivered(ctx, l, done, r, follow, now)
}

// pass lets time pass, and what is then to be done be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func message(key string) deploytoken.Effect {
	return deploytoken.Effect{Key: key, Destination: deploytoken.ToChannel("C1"), Notice: deploytoken.Notice{Kind: deploytoken.NoticeTaken}}
}

// ended is a holding that has begun and ended, with its row to be written.
func ended(t *testing.T, store *ledger.Store, insert func(...deploytoken.Effect), id string) {
	t.Helper()
	ctx := context.Background()
	h := &deploytoken.Holding{ID: id, Name: "Ana", Since: time.Now()}
	if err := store.Commit(ctx, deploytoken.Change{Document: "doc", IfSeq: -1, At: time.Now(), Begin: h}); err != nil {
		t.Fatal(err)
	}
	end := *h
	end.Ended = time.Now()
	if err := store.Commit(ctx, deploytoken.Change{Document: "doc", IfSeq: -1, At: time.Now(), End: &end}); err != nil {
		t.Fatal(err)
	}
	insert(deploytoken.Effect{Key: "row:" + id, Destination: deploytoken.ToSheet, Notice: deploytoken.Notice{Kind: deploytoken.NoticeRow, Holding: id}})
}

func TestDelivery(t *testing.T) {
	unavailable := &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "It is down."}

	t.Run("a delivery that hangs doesn't keep the bot from stopping", func(t *testing.T) {
		var took time.Duration
		b := &board{during: func(ctx context.Context) {
			began := time.Now()
			<-ctx.Done()
			took = time.Since(began)
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"))
			pass(time.Second)
		})
		if took != time.Second+endWithin {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("in order, also after a failure", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) {
			if key == "a" && n < 3 {
				return false, unavailable
			}
			return true, nil
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"))
			insert(message("c"))
			pass(time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"a", "b", "c"}) {
				t.Errorf("posts %v", posts)
			}
		})
	})
	t.Run("what can never be delivered makes way", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) {
			if key == "a" {
				return false, fmt.Errorf("%w: gone", deploytoken.ErrUndeliverable)
			}
			return true, nil
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"))
			pass(time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"b"}) || b.tries["a"] != 1 {
				t.Errorf("posts %v, tries %v", posts, b.tries)
			}
		})
	})
	t.Run("who wants something of another is told that it can't be sent", func(t *testing.T) {
		const question, untold = "question:1", "untold:question:1:946684800"
		b := &board{fault: func(key string, n int) (bool, error) {
			if key == question {
				return false, fmt.Errorf("%w: gone", deploytoken.ErrUndeliverable)
			}
			return true, nil
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(deploytoken.Effect{Key: question, Destination: deploytoken.ToPerson("U0ANN"),
				Notice: deploytoken.Notice{Kind: deploytoken.NoticeQuestion, PersonID: "U0DEE"}})
			pass(time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{untold}) || b.last.Destination != deploytoken.ToPerson("U0DEE") || b.last.Notice.PersonID != "U0ANN" {
				t.Errorf("posts %v, the last %+v", posts, b.last)
			}
		})
	})
	t.Run("a person's message that is refused makes way within minutes", func(t *testing.T) {
		const question, untold = "question:1", "untold:question:1:946684800"
		refused := &deploytoken.Fault{Kind: deploytoken.ErrRefused, Message: "Slack refuses it."}
		for name, tt := range map[string]struct {
			to    string
			fault func(since time.Duration) error
			after time.Duration // by when all is delivered that can be
			want  []string      // of the question, the answer behind it, and the word of it
		}{
			"refused always": {deploytoken.ToPerson("U0ANN"), func(time.Duration) error { return refused }, 5 * time.Minute, []string{"answer", untold}},
			"refused by a slip": {deploytoken.ToPerson("U0ANN"), func(since time.Duration) error {
				if since < time.Minute {
					return refused
				}
				return nil
			}, 3 * time.Minute, []string{question, "answer"}},
			"refused by a slip after an outage": {deploytoken.ToPerson("U0ANN"), func(since time.Duration) error {
				switch {
				case since < time.Hour:
					return unavailable
				case since < time.Hour+time.Minute:
					return refused
				}
				return nil
			}, 65 * time.Minute, []string{question, "answer"}},
			"refused now and then": {deploytoken.ToPerson("U0ANN"), func(since time.Duration) error {
				switch {
				case since >= time.Hour:
					return nil
				case since/(2*time.Minute)%2 == 0:
					return refused
				}
				return unavailable
			}, 65 * time.Minute, []string{question, "answer"}},
			"misconfigured": {deploytoken.ToPerson("U0ANN"), func(time.Duration) error {
				return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "Slack refuses the token."}
			}, time.Hour, nil},
			"to the channel": {deploytoken.ToChannel("C1"), func(time.Duration) error { return refused }, time.Hour, nil},
		} {
			b := &board{}
			drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
				began := time.Now()
				b.fault = func(key string, n int) (bool, error) {
					if key != question {
						return true, nil
					}
					err := tt.fault(time.Since(began))
					return err == nil, err
				}
				insert(
					deploytoken.Effect{Key: question, Destination: tt.to, Notice: deploytoken.Notice{Kind: deploytoken.NoticeQuestion, PersonID: "U0DEE"}},
					deploytoken.Effect{Key: "answer", Destination: tt.to, Notice: deploytoken.Notice{Kind: deploytoken.NoticeAnswer}})
				pass(tt.after)
				posts, _ := b.seen()
				if slices.Sort(posts); !slices.Equal(posts, slices.Sorted(slices.Values(tt.want))) {
					t.Errorf("%s: posts %v, want %v", name, posts, tt.want)
				}
			})
		}
	})
	t.Run("a message of before the start is looked for, from when it may have been posted", func(t *testing.T) {
		b := &board{began: time.Hour}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"))
			pass(time.Minute)
			if b.last.Attempt != 2 {
				t.Errorf("attempt %d", b.last.Attempt)
			}
		})
		b = &board{}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"))
			pass(time.Minute)
			if b.last.Attempt != 1 {
				t.Errorf("attempt %d", b.last.Attempt)
			}
		})
	})
	t.Run("a message that can't be put into words makes way", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) {
			if key == "a" {
				panic("no words")
			}
			return true, nil
		}}
		// A panic leaves the board's lock held unless it is deferred, which it is.
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"))
			pass(time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"b"}) {
				t.Errorf("posts %v", posts)
			}
		})
	})
	t.Run("what was delivered while the store was away is not delivered again", func(t *testing.T) {
		b := &board{over: func(o deploytoken.Outbox) deploytoken.Outbox { return away{o, time.Now().Add(9 * time.Minute)} }}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"))
			pass(10 * time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"a", "b"}) {
				t.Errorf("posts %v", posts)
			}
		})
	})
	t.Run("a delivery whose destination is another's stops", func(t *testing.T) {
		var stopped time.Duration
		b := &board{during: func(ctx context.Context) {
			began := time.Now()
			<-ctx.Done()
			stopped = time.Since(began)
		}}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			ctx := context.Background()
			insert(message("a"))
			pass(10 * time.Second)
			if stopped != 0 {
				t.Errorf("stopped after %v without a reason", stopped)
			}
			if err := store.Unlease(ctx, deploytoken.Lease{Name: "deliver channel:C1", Epoch: 1}); err != nil {
				t.Fatal(err)
			}
			lease, claimed, err := store.Claim(ctx, "channel:C1", time.Now(), 1, time.Hour)
			if err != nil || len(claimed) != 1 {
				t.Fatalf("%+v %v", claimed, err)
			}
			pass(time.Minute)
			if stopped < 10*time.Second || stopped > 10*time.Second+2*holdEvery {
				t.Errorf("stopped after %v", stopped)
			}
			// Nothing of it was recorded.
			if err := store.Delivered(ctx, lease, []string{"a"}, deploytoken.Receipt{}, nil, time.Now()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("no oftener than once a minute in the long run", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) { return false, unavailable }}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"))
			pass(10 * time.Minute)
			if n := b.tries["a"]; n < 10 || n > 20 {
				t.Errorf("%d tries", n)
			}
		})
	})
	t.Run("as long as the other side asks", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) {
			return n > 1, &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Slow down.", RetryAfter: 5 * time.Minute}
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"))
			pass(4 * time.Minute)
			if b.tries["a"] != 1 {
				t.Errorf("%d tries", b.tries["a"])
			}
		})
	})
	t.Run("no longer than the outbox takes, whatever the other side asks", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) {
			if n > 1 {
				return true, nil
			}
			return false, &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Slow down.", RetryAfter: 24 * time.Hour}
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"))
			pass(deploytoken.MaxPause - time.Second)
			if posts, _ := b.seen(); len(posts) > 0 {
				t.Errorf("too soon: posts %v", posts)
			}
			pass(time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"a"}) {
				t.Errorf("posts %v", posts)
			}
		})
	})
	t.Run("though the clock was ahead, and is set back", func(t *testing.T) {
		var ahead atomic.Int64
		ahead.Store(int64(2 * time.Hour))
		b := &board{
			clock: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			fault: func(key string, n int) (bool, error) {
				if key == "a" && n == 1 {
					return false, unavailable
				}
				return true, nil
			},
		}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"))
			pass(100 * time.Millisecond)
			ahead.Store(0)
			insert(message("c"))
			pass(time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"a", "b", "c"}) {
				t.Errorf("posts %v", posts)
			}
		})
	})
	t.Run("one summary of what is over an hour late", func(t *testing.T) {
		down := true
		b := &board{fault: func(key string, n int) (bool, error) {
			if down {
				return false, unavailable
			}
			return true, nil
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"), message("c"))
			pass(2 * time.Hour)
			insert(message("d"))
			b.mu.Lock()
			down = false
			b.mu.Unlock()
			pass(2 * time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"a", "d"}) {
				t.Errorf("posts %v", posts)
			}
		})
	})
	t.Run("what a summary that was posted before doesn't tell is told after it", func(t *testing.T) {
		down := true
		b := &board{toldBefore: [][]string{{"a"}, {"b", "c"}}, fault: func(key string, n int) (bool, error) {
			if down {
				return false, unavailable
			}
			return true, nil
		}}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(message("a"), message("b"), message("c"), message("d"), message("e"))
			pass(2 * time.Hour)
			b.mu.Lock()
			down = false
			b.mu.Unlock()
			pass(2 * time.Minute)
			if posts, _ := b.seen(); !slices.Equal(posts, []string{"d"}) || len(b.last.Late) != 1 || b.last.Late[0].Key != "e" {
				t.Errorf("posts %v, the last with %+v", posts, b.last.Late)
			}
		})
	})
	t.Run("a late answer comes with what the document says now", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) { return n > 6, unavailable }}
		b.fault = func(key string, n int) (bool, error) {
			if n > 6 {
				return true, nil
			}
			return false, unavailable
		}
		drained(t, b, func(_ *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(deploytoken.Effect{Key: "answer", Destination: deploytoken.ToPerson("U1"), Notice: deploytoken.Notice{Kind: deploytoken.NoticeAnswer}})
			pass(5 * time.Minute)
			if b.last.Now == nil || b.last.Now.Token.State != deploytoken.Free {
				t.Errorf("delivery %+v", b.last)
			}
		})
	})
}

func TestHistoryRows(t *testing.T) {
	t.Run("one row, though the answer was lost", func(t *testing.T) {
		b := &board{fault: func(key string, n int) (bool, error) {
			if key == "h1" && n == 1 {
				return true, &deploytoken.Fault{Kind: deploytoken.ErrAmbiguous, Message: "No answer."}
			}
			return true, nil
		}}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			ended(t, store, insert, "h1")
			ended(t, store, insert, "h2")
			pass(time.Minute)
			if _, rows := b.seen(); !slices.Equal(rows, []string{"h1", "h2"}) {
				t.Errorf("rows %v", rows)
			}
		})
	})
	t.Run("a panic loses no row, and doubles none", func(t *testing.T) {
		for _, landed := range []bool{false, true} {
			b := &board{}
			b.fault = func(key string, n int) (bool, error) {
				if key == "h1" && n < 3 {
					if landed && n == 1 {
						b.rows = append(b.rows, "h1")
					}
					panic("no such thing")
				}
				return true, nil
			}
			drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
				ended(t, store, insert, "h1")
				ended(t, store, insert, "h2")
				pass(time.Minute)
				if _, rows := b.seen(); !slices.Equal(rows, []string{"h1", "h2"}) {
					t.Errorf("landed %v: rows %v", landed, rows)
				}
				if n := strings.Count(b.logged.String(), "board).Append"); n == 0 {
					t.Errorf("landed %v: the log doesn't say where: %s", landed, b.logged.String())
				}
			})
		}
	})
	t.Run("a panic ends no sweep", func(t *testing.T) {
		b := &board{rows: []string{"h1", "h1", "h2"}, seemFor: time.Minute, sweepPanics: true}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(deploytoken.Effect{Key: "sweep:h1", Destination: deploytoken.ToSweep, Notice: deploytoken.Notice{Kind: deploytoken.NoticeSweep, Holding: "h1"}})
			pass(2 * sweepAfter)
			if _, rows := b.seen(); !slices.Equal(rows, []string{"h1", "h2"}) {
				t.Errorf("rows %v", rows)
			}
			backlog, err := store.Pending(context.Background(), "doc")
			if len(backlog) > 0 || err != nil {
				t.Errorf("left: %+v, %v", backlog, err)
			}
		})
	})
	t.Run("a row of before the start may be there already", func(t *testing.T) {
		b := &board{rows: []string{"h1", "h2"}}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			now := time.Now()
			h := &deploytoken.Holding{ID: "h1", Name: "Ana", Since: now.Add(-time.Hour)}
			for _, c := range []deploytoken.Change{{Begin: h}, {End: &deploytoken.Holding{ID: "h1", Ended: now}}} {
				c.Document, c.IfSeq, c.At = "doc", -1, now
				if err := store.Commit(context.Background(), c); err != nil {
					t.Fatal(err)
				}
			}
			insert(deploytoken.Effect{Key: "row:h1", Destination: deploytoken.ToSheet, Notice: deploytoken.Notice{Kind: deploytoken.NoticeRow, Holding: "h1"}})
			pass(time.Minute)
			if _, rows := b.seen(); !slices.Equal(rows, []string{"h1", "h2"}) {
				t.Errorf("rows %v", rows)
			}
		})
	})
	t.Run("a late append's double is removed", func(t *testing.T) {
		b := &board{}
		b.fault = func(key string, n int) (bool, error) {
			if key == "h1" && n == 1 {
				return false, &deploytoken.Fault{Kind: deploytoken.ErrAmbiguous, Message: "No answer."}
			}
			return true, nil
		}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			ended(t, store, insert, "h1")
			pass(time.Minute)
			b.mu.Lock()
			b.rows = append(b.rows, "h1") // what the first request did in the end
			b.mu.Unlock()
			pass(sweepAfter)
			if _, rows := b.seen(); !slices.Equal(rows, []string{"h1"}) {
				t.Errorf("rows %v", rows)
			}
		})
	})
	t.Run("a double that may be gone is not removed again before that can be seen", func(t *testing.T) {
		b := &board{rows: []string{"h1", "h1", "h2"}, seemFor: time.Minute,
			sweepFault: &deploytoken.Fault{Kind: deploytoken.ErrAmbiguous, Message: "No answer."}}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			insert(deploytoken.Effect{Key: "sweep:h1", Destination: deploytoken.ToSweep, Notice: deploytoken.Notice{Kind: deploytoken.NoticeSweep, Holding: "h1"}})
			pass(2 * sweepAfter)
			if _, rows := b.seen(); !slices.Equal(rows, []string{"h1", "h2"}) {
				t.Errorf("rows %v", rows)
			}
			if due, err := store.Due(context.Background(), time.Now().Add(time.Hour)); len(due) > 0 || err != nil {
				t.Errorf("still to be done: %v, %v", due, err)
			}
		})
	})
	t.Run("an hour's outage: one word of it, then every row, and one of its end", func(t *testing.T) {
		down := true
		b := &board{}
		b.fault = func(key string, n int) (bool, error) {
			if down && key[0] == 'h' {
				return false, &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Sheets is down."}
			}
			return true, nil
		}
		drained(t, b, func(store *ledger.Store, insert func(...deploytoken.Effect)) {
			for i := range 3 {
				ended(t, store, insert, fmt.Sprint("h", i))
				pass(20 * time.Minute)
			}
			r, err := store.Record(context.Background(), "doc")
			if err != nil || r.PendingRows != 3 {
				t.Errorf("%d pending, %v", r.PendingRows, err)
			}
			b.mu.Lock()
			down = false
			b.mu.Unlock()
			pass(2 * time.Minute)
			posts, rows := b.seen()
			if !slices.Equal(rows, []string{"h0", "h1", "h2"}) || !slices.Equal(posts, []string{"trouble:row:h0", "mended:row:h0"}) {
				t.Errorf("rows %v, posts %v", rows, posts)
			}
		})
	})
}

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute} {
		if got := backoff(attempt, errors.New("x")); got < want || got > want+want/4 {
			t.Errorf("after attempt %d: %v, want about %v", attempt, got, want)
		}
	}
}
