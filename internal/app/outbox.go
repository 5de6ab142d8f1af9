package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

const (
	// deliverWithin bounds one attempt at a delivery, and deliverTTL how long its
	// destination is a drainer's that lives: so long that what was delivered
	// while the store is away is recorded first when it is back.
	deliverWithin = 30 * time.Second
	deliverTTL    = 10 * time.Minute
	// endWithin bounds how long deliveries under way are finished once the bot
	// stops. What is cut off then is tried again at the next start, as after a kill.
	endWithin = 5 * time.Second
	// holdEvery is how often a drainer looks whether the destination that it
	// delivers to is still its own, and holdFor for how long one look counts.
	holdEvery = time.Second
	holdFor   = 5 * time.Second
	// deliverAtOnce bounds how many destinations are delivered to at once.
	deliverAtOnce = 8
	// minBackoff and maxBackoff bound the pause before the next attempt.
	minBackoff = time.Second
	maxBackoff = time.Minute
	// lateAfter is how late a message must be for several of them to become one
	// summary.
	lateAfter = time.Hour
	// summaryOf bounds how many messages one summary stands for.
	summaryOf = 20
	// staleAnswer is how old a decision may be for its answer to speak of it as
	// the present.
	staleAnswer = 30 * time.Second
	// personalFor is how long a message to a person is tried, and refusedFor how
	// long one that is refused each time, so that an operator's slip costs none
	// and those behind it don't wait long.
	personalFor = 24 * time.Hour
	refusedFor  = 3 * time.Minute
	// troubleAt is the attempt whose failure is told to the channel.
	troubleAt = 5
	// sweepAfter is how long after a row that was tried more than once it is
	// looked for a double: longer than a request can be on its way.
	sweepAfter = 10 * time.Minute
	// sheetLag is how long to wait before reading again that a row is absent.
	sheetLag = 2 * time.Second
)

// A messenger delivers messages to channels and people.
type messenger interface {
	// Deliver sends the message and returns where it stands, and how many are
	// done with, of d and then its Late: at least d.
	// Errors: ErrUndeliverable (never try again), ErrAmbiguous (it may have
	// been sent), ErrUnavailable, ErrMisconfigured, ErrRefused (others may be
	// sent).
	Deliver(ctx context.Context, d deploytoken.Delivery) (r deploytoken.Receipt, told int, err error)
}

// A drainer delivers the outbox's effects: in order for each destination, one
// at a time, until they are delivered. What can never be delivered is given up,
// and so is, in the end, what a person could not be told.
type drainer struct {
	outbox    deploytoken.Outbox
	messenger messenger
	history   deploytoken.History
	// status reads the document, for an answer that comes late.
	status  func(context.Context) (deploytoken.Status, error)
	link    string
	channel string
	clock   func() time.Time
	// began is when this process did: what is older may be of a backup, and have
	// been delivered by the store whose place that has taken.
	began time.Time
	// lookEvery is how often the outbox is looked at where nothing was inserted
	// here: a retry is due, or another replica inserted something.
	lookEvery   time.Duration
	log         *slog.Logger
	onDelivered func(destination string, err error)

	mu   sync.Mutex
	busy map[string]bool // the destinations being delivered to
	// refusals are, by destination, what was refused at the last attempt.
	refusals map[string]refusal
}

// A refusal is since when, by this process, each attempt at an effect was
// refused.
type refusal struct {
	key   string
	since time.Time
}

// refusedSince notes whether the attempt at the destination's effect failed
// with ErrRefused, and returns since when each has; zero if this one didn't.
func (d *drainer) refusedSince(destination, key string, err error) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !errors.Is(err, deploytoken.ErrRefused) {
		delete(d.refusals, destination)
		return time.Time{}
	}
	r := d.refusals[destination]
	if r.key != key {
		if d.refusals == nil {
			d.refusals = map[string]refusal{}
		}
		// Not by d.clock, so that setting the clock changes nothing.
		r = refusal{key, time.Now()}
		d.refusals[destination] = r
	}
	return r.since
}

func (d *drainer) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.busy) == 0
}

// run delivers until ctx ends, then finishes the deliveries under way.
func (d *drainer) run(ctx context.Context, inserted <-chan struct{}) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var wg sync.WaitGroup
	free := make(chan struct{}, 1)
	tick := time.NewTicker(d.lookEvery)
	defer tick.Stop()
	reported := false
	for {
		due, err := d.outbox.Due(ctx, d.clock())
		if err != nil && ctx.Err() == nil {
			if !reported {
				d.log.Error("the outbox can't be read", "error", err)
			}
			reported = true
		} else {
			reported = false
		}
		d.mu.Lock()
		for _, destination := range due {
			if d.busy[destination] || len(d.busy) >= deliverAtOnce {
				continue
			}
			if d.busy == nil {
				d.busy = map[string]bool{}
			}
			d.busy[destination] = true
			wg.Go(func() {
				d.drain(work, ctx.Done(), destination)
				d.mu.Lock()
				delete(d.busy, destination)
				d.mu.Unlock()
				select {
				case free <- struct{}{}:
				default:
				}
			})
		}
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			late := time.AfterFunc(endWithin, cut)
			defer late.Stop()
			wg.Wait()
			return nil
		case <-inserted:
		case <-free:
		case <-tick.C:
		}
	}
}

// flush waits until nothing is due any more, while run delivers it, or the time
// has passed.
func (d *drainer) flush(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		due, err := d.outbox.Due(ctx, d.clock())
		if err != nil || len(due) == 0 && d.idle() || !wait(ctx, 20*time.Millisecond) {
			return
		}
	}
}

// drain delivers what is due for one destination, until nothing is or stop.
func (d *drainer) drain(ctx context.Context, stop <-chan struct{}, destination string) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		again, err := d.next(ctx, stop, destination)
		switch {
		case errors.Is(err, deploytoken.ErrNotOwner):
			d.log.Warn("delivery left to another replica", "destination", destination)
		case err != nil:
			d.log.Error("delivery not recorded", "destination", destination, "error", err)
		}
		if err != nil || !again {
			return
		}
	}
}

// next makes one attempt at the destination's first effect, and reports
// whether there may be another one due.
func (d *drainer) next(ctx context.Context, stop <-chan struct{}, destination string) (again bool, err error) {
	lease, claimed, err := d.outbox.Claim(ctx, destination, d.clock(), summaryOf, deliverTTL)
	if err != nil || len(claimed) == 0 {
		return false, err
	}
	first := d.gather(ctx, claimed)
	log := d.log.With("effect", first.Key, "destination", destination, "attempt", first.Attempt)
	if id := first.Notice.Command; id != "" {
		log = log.With("command", id)
	}
	if id := first.Notice.Holding; id != "" {
		log = log.With("holding", id)
	}
	dctx, cancel := context.WithTimeout(ctx, deliverWithin)
	dctx, release := d.hold(dctx, lease)
	receipt, told, follow, err := d.deliver(dctx, first, log)
	release()
	cancel()
	if d.onDelivered != nil {
		d.onDelivered(destination, err)
	}
	personal := strings.HasPrefix(destination, deploytoken.ToPerson(""))
	troubling, row := destination != d.channel && !personal, ""
	if first.Notice.Kind == deploytoken.NoticeRow {
		row = first.Notice.Holding
	}
	refused := d.refusedSince(destination, first.Key, err)
	if err == nil {
		if troubling && first.Attempt > troubleAt {
			follow = append(follow, deploytoken.Effect{
				Key: "mended:" + first.Key, Destination: d.channel,
				Notice: deploytoken.Notice{Kind: deploytoken.NoticeMended, Holding: row, Edits: troubleKey(first.Key), At: d.clock()},
			})
		}
		// What wasn't told is still due: the next turn's.
		done := []string{first.Key}
		for _, late := range first.Late[:told-1] {
			done = append(done, late.Key)
		}
		late := d.clock().Sub(first.Inserted).Round(time.Millisecond)
		err = d.insist(ctx, stop, func() error { return d.outbox.Delivered(ctx, lease, done, receipt, follow, d.clock()) })
		if err != nil {
			log.Warn("delivered, which is not recorded, so that it may be delivered again", "with", len(done)-1, "late", late, "error", err)
			return true, err
		}
		log.Info("delivered", "with", len(done)-1, "late", late)
		return true, nil
	}
	when := d.clock().Add(backoff(first.Attempt, err))
	over := d.clock().Sub(first.Inserted) > personalFor || !refused.IsZero() && time.Since(refused) > refusedFor
	if errors.Is(err, deploytoken.ErrUndeliverable) || personal && over {
		log.Error("given up", "error", err)
		when = time.Time{}
		gone := deploytoken.Effect{Key: first.Key, Destination: destination, Notice: first.Notice}
		if untold, ok := gone.Untold(deploytoken.Explain(err), d.clock()); ok {
			follow = append(follow, untold)
		}
	} else {
		log.Warn("not delivered", "again", when, "error", err)
	}
	if troubling && first.Attempt >= troubleAt {
		follow = append(follow, deploytoken.Effect{
			Key: troubleKey(first.Key), Destination: d.channel,
			Notice: deploytoken.Notice{Kind: deploytoken.NoticeTrouble, Holding: row, Detail: deploytoken.Explain(err), At: d.clock()},
		})
	}
	return when.IsZero(), d.insist(ctx, stop, func() error {
		return d.outbox.Failed(ctx, lease, first.Key, deploytoken.Explain(err), when, follow)
	})
}

// troubleKey is the key of the effect that tells the channel what keeps failing.
func troubleKey(effect string) string { return "trouble:" + effect }

// hold returns a context that ends once the lease is lost, or nothing has been
// heard of it for so long that it may be. The function returned ends both.
func (d *drainer) hold(ctx context.Context, l deploytoken.Lease) (context.Context, func()) {
	ctx, lose := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for until := time.Now().Add(holdFor); wait(ctx, holdEvery); {
			began := time.Now()
			lctx, cancel := context.WithDeadline(ctx, until)
			held, err := d.outbox.Holds(lctx, l)
			cancel()
			switch {
			case err == nil && held:
				until = began.Add(holdFor)
			case err == nil, !time.Now().Before(until):
				lose()
				return
			}
		}
	}()
	return ctx, func() {
		lose()
		<-done
	}
}

// insist tries to record what became of a delivery until stop: what isn't
// recorded is delivered again. It succeeds as long as no other has taken over.
func (d *drainer) insist(ctx context.Context, stop <-chan struct{}, record func() error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := record()
		if !errors.Is(err, deploytoken.ErrUnavailable) && !errors.Is(err, deploytoken.ErrMisconfigured) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-stop:
			return err
		}
	}
}

// gather completes the first delivery of a claim, and takes along those after
// it that one summary of late messages can stand for.
func (d *drainer) gather(ctx context.Context, claimed []deploytoken.Delivery) deploytoken.Delivery {
	first := claimed[0]
	now := d.clock()
	first.At, first.Link, first.HistoryLink = now, d.link, d.history.Link()
	if summarised(first, now) {
		for _, next := range claimed[1:] {
			if !summarised(next, now) {
				break
			}
			first.Late = append(first.Late, next)
		}
	}
	if first.Notice.Kind == deploytoken.NoticeAnswer && now.Sub(first.Notice.At) > staleAnswer {
		st, err := d.status(ctx)
		if err != nil {
			st = deploytoken.Status{Token: deploytoken.Token{Reason: deploytoken.Explain(err)}, Link: d.link}
		}
		first.Now = &st
	}
	return first
}

// summarised reports whether the delivery is one that several late ones of may
// be told in one message.
func summarised(d deploytoken.Delivery, now time.Time) bool {
	if now.Sub(d.Inserted) <= lateAfter {
		return false
	}
	switch d.Notice.Kind {
	case deploytoken.NoticeTaken, deploytoken.NoticeReleased, deploytoken.NoticeChanged, deploytoken.NoticeReminder,
		deploytoken.NoticeUnclear, deploytoken.NoticeClear, deploytoken.NoticeTrouble, deploytoken.NoticeHandedOver, deploytoken.NoticeForceReleased:
		return true
	case deploytoken.NoticeRetired, deploytoken.NoticeMended:
		// The message that it would edit was never sent.
		return d.Edits.Timestamp == ""
	}
	return false
}

// deliver makes one attempt. Told is how many are done with, of n and then its
// Late.
func (d *drainer) deliver(ctx context.Context, n deploytoken.Delivery, log *slog.Logger) (r deploytoken.Receipt, told int, follow []deploytoken.Effect, err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a delivery", "panic", p, "stack", string(debug.Stack()))
			err = panicked(n.Notice.Kind, p)
		}
	}()
	told = 1
	switch n.Notice.Kind {
	case deploytoken.NoticeRow:
		follow, err = d.writeRow(ctx, n, log)
	case deploytoken.NoticeSweep:
		err = d.sweep(ctx, n, log)
	default:
		if since, old := d.old(n); old {
			n.Attempt, n.Inserted = max(n.Attempt, 2), since
		}
		r, told, err = d.messenger.Deliver(ctx, n)
	}
	return r, told, follow, err
}

// panicked is the error of an attempt that panicked with p. A message that can't
// be put into words must not stop the others; but no row of the history is given
// up, though those after it wait.
func panicked(kind deploytoken.NoticeKind, p any) error {
	cause := fmt.Errorf("panic: %v", p)
	switch kind {
	case deploytoken.NoticeRow:
		return &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Cannot write to the history: the bot made a mistake that its log says more about.", Cause: cause}
	case deploytoken.NoticeSweep:
		// What was removed must be seen to be gone before anything else is.
		return &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Cannot look for doubled rows in the history: the bot made a mistake that its log says more about.", RetryAfter: sweepAfter, Cause: cause}
	}
	return fmt.Errorf("%w: %w", deploytoken.ErrUndeliverable, cause)
}

// old reports whether n, or what it tells of, is older than this process, and
// since when it may have been delivered: it is looked for first.
func (d *drainer) old(n deploytoken.Delivery) (since time.Time, old bool) {
	since = n.Inserted
	for _, h := range []*deploytoken.Holding{n.Holding, n.Previous} {
		if h != nil && h.Since.Before(since) {
			since = h.Since
		}
	}
	return since, since.Before(d.began)
}

// writeRow writes a holding's row, unless an earlier attempt is seen to have.
func (d *drainer) writeRow(ctx context.Context, n deploytoken.Delivery, log *slog.Logger) ([]deploytoken.Effect, error) {
	if n.Holding == nil {
		return nil, fmt.Errorf("%w: the holding %s is not in the store", deploytoken.ErrUndeliverable, n.Notice.Holding)
	}
	var follow []deploytoken.Effect
	looks := 0
	if _, old := d.old(n); old {
		looks = 1
	}
	if n.Attempt > 1 {
		looks = 2 // as reads may lag
		follow = []deploytoken.Effect{{
			Key: "sweep:" + n.Holding.ID, Destination: deploytoken.ToSweep, NotBefore: d.clock().Add(sweepAfter),
			Notice: deploytoken.Notice{Kind: deploytoken.NoticeSweep, Holding: n.Holding.ID, At: d.clock()},
		}}
	}
	for look := range looks {
		if look > 0 && !wait(ctx, sheetLag) {
			return nil, ctx.Err()
		}
		rows, err := d.history.Count(ctx, n.Holding.ID)
		if err != nil {
			return nil, err
		}
		if rows > 0 {
			log.Info("the row was there already", "rows", rows)
			return follow, nil
		}
	}
	if err := d.history.Append(ctx, n.Holding.Entry()); err != nil {
		return nil, err
	}
	return follow, nil
}

// sweep removes the doubles of a row, which a late append may have left. Rows
// are deleted by their numbers: what was deleted before must be seen to be gone,
// lest the row that has its number now goes as well.
func (d *drainer) sweep(ctx context.Context, n deploytoken.Delivery, log *slog.Logger) error {
	if n.Attempt > 1 {
		rows, err := d.history.Count(ctx, n.Notice.Holding)
		if err != nil || rows < 2 {
			return err
		}
		if !wait(ctx, sheetLag) {
			return ctx.Err()
		}
	}
	removed, err := d.history.RemoveDoubles(ctx, n.Notice.Holding)
	if removed > 0 {
		log.Warn("doubled rows removed from the history", "holding", n.Notice.Holding, "removed", removed)
	}
	if errors.Is(err, deploytoken.ErrAmbiguous) {
		return &deploytoken.Fault{Kind: deploytoken.ErrAmbiguous, Message: deploytoken.Explain(err), RetryAfter: sweepAfter, Cause: err}
	}
	return err
}

// backoff is how long to wait after the attempt failed: a second, doubled with
// each attempt up to a minute, with some jitter, and no less than was asked for,
// up to what the outbox takes.
func backoff(attempt int, err error) time.Duration {
	pause := maxBackoff
	if attempt < 7 {
		pause = min(minBackoff<<(attempt-1), maxBackoff)
	}
	pause += rand.N(pause / 4)
	if fault, ok := errors.AsType[*deploytoken.Fault](err); ok {
		pause = min(max(pause, fault.RetryAfter), deploytoken.MaxPause)
	}
	return pause
}

// wait waits for t, and reports whether ctx lasted so long.
func wait(ctx context.Context, t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
