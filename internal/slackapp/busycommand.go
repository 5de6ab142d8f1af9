package slackapp

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

const (
	// busyWithin bounds the wait for the checks, that for a free place
	// included. A checker has its own, shorter timeout.
	busyWithin = 2 * time.Minute
	// busyShared is how long ago the checks may have begun that one more
	// person's request is answered with.
	busyShared = time.Second
	// busyAtOnce is how many times the checks are made at once.
	busyAtOnce = 2
	// busyInterim is how many answers are sent before the last one. Slack takes
	// five through a response_url, of which the last may need two.
	busyInterim = 3
	// busyPause is the least time between two answers before the last one:
	// where the checks are quick, there is only one.
	busyPause = 2 * time.Second
)

// answerBusy answers with what is known of the busy checks, then with more as
// they come in, and at last with the report.
func (in *Inbound) answerBusy(ctx context.Context, r request) {
	run := in.busy.join()
	report, pending, changed := run.state()
	for sent := 0; changed != nil; report, pending, changed = run.state() {
		if sent < busyInterim {
			sent++
			in.respond(r, in.busyMessage(report, pending, r))
		}
		if !in.busy.next(ctx, run, changed) {
			report = run.unfinished(in.config.Now(), "It did not finish in time, or the bot was restarted meanwhile. Ask again.")
			break
		}
	}
	final := in.busyMessage(report, nil, r)
	if in.respond(r, final) != nil {
		sleep(ctx, time.Second)
		in.respond(r, final)
	}
}

// A busyDesk makes the busy checks for whoever asks, and for those who ask at
// about the same time only once.
type busyDesk struct {
	ctx     context.Context // of the checks
	checker deploytoken.BusyChecker
	log     *slog.Logger
	now     func() time.Time
	tasks   *sync.WaitGroup
	places  chan struct{}
	pause   time.Duration

	mu       sync.Mutex
	latest   *busyRun
	complete *deploytoken.BusyReport // the last one; nil before the first
}

func newBusyDesk(ctx context.Context, checker deploytoken.BusyChecker, log *slog.Logger, now func() time.Time, tasks *sync.WaitGroup) *busyDesk {
	return &busyDesk{ctx: ctx, checker: checker, log: log, now: now, tasks: tasks, places: make(chan struct{}, busyAtOnce), pause: busyPause}
}

// join returns checks that have not begun yet or only just, and begins them if
// there are none.
func (d *busyDesk) join() *busyRun {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.latest != nil && d.latest.freshAt(d.now()) {
		return d.latest
	}
	run := &busyRun{changed: make(chan struct{}), done: make(chan struct{})}
	d.latest = run
	d.tasks.Go(func() { d.make(run) })
	return run
}

// next waits until more is known and the pause after an answer is over, or
// until all is known; it returns false where ctx ends first.
func (d *busyDesk) next(ctx context.Context, run *busyRun, changed <-chan struct{}) bool {
	pause := time.NewTimer(d.pause)
	defer pause.Stop()
	select {
	case <-changed:
	case <-ctx.Done():
		return false
	}
	select {
	case <-pause.C:
	case <-run.done:
	case <-ctx.Done():
		return false
	}
	return true
}

func (d *busyDesk) make(run *busyRun) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("panic in the busy checks", "panic", p, "stack", string(debug.Stack()))
			run.finish(run.unfinished(d.now(), "The check failed; the bot's log says more."))
		}
	}()
	ctx, cancel := context.WithTimeout(d.ctx, busyWithin)
	defer cancel()
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-ctx.Done():
		run.finish(run.unfinished(d.now(), "The check was not begun in time."))
		return
	}
	run.begin(d.now())
	report := d.checker.Busy(ctx, nil, run.progress)
	d.mu.Lock()
	if d.complete == nil || report.At.After(d.complete.At) {
		d.complete = &report
	}
	d.mu.Unlock()
	run.finish(report)
}

// last returns the latest report; nil before the first.
func (d *busyDesk) last() *deploytoken.BusyReport {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.complete
}

// A busyRun is one time that the busy checks are made.
type busyRun struct {
	mu      sync.Mutex
	began   time.Time // zero before it has
	results []deploytoken.CheckResult
	report  *deploytoken.BusyReport
	changed chan struct{} // closed, and replaced, by each change; nil at the end
	done    chan struct{} // closed at the end
}

// freshAt reports whether the checks can answer a request that came at t.
func (r *busyRun) freshAt(t time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.began.IsZero() && r.report == nil || t.Sub(r.began) <= busyShared
}

func (r *busyRun) begin(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = t
}

func (r *busyRun) progress(result deploytoken.CheckResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.report != nil {
		return
	}
	r.results = append(r.results, result)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *busyRun) finish(report deploytoken.BusyReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report = &report
	close(r.changed)
	close(r.done)
	r.changed = nil
}

// state returns what is known so far, which checks are still to come in, and a
// channel that is closed when there is more, nil at the end.
func (r *busyRun) state() (report deploytoken.BusyReport, pending []string, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.report != nil {
		return *r.report, nil, nil
	}
	report.Checks, pending = r.known()
	return report, pending, r.changed
}

// unfinished returns what is known so far, with the rest unknown for the
// reason.
func (r *busyRun) unfinished(at time.Time, reason string) deploytoken.BusyReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	checks, pending := r.known()
	for _, check := range pending {
		checks = append(checks, deploytoken.CheckResult{Check: check, Reason: reason, Partial: true})
	}
	return deploytoken.BusyReport{Checks: checks, At: at}
}

// known returns the results so far in the order of reports, and the checks that
// have none. The caller holds the lock.
func (r *busyRun) known() (results []deploytoken.CheckResult, pending []string) {
next:
	for _, check := range deploytoken.Checks() {
		for _, result := range r.results {
			if result.Check == check {
				results = append(results, result)
				continue next
			}
		}
		pending = append(pending, check)
	}
	return results, pending
}

func (in *Inbound) busyMessage(report deploytoken.BusyReport, pending []string, r request) Message {
	return busyMessage(report, pending, r.Person, busyOptions{OverrideURL: in.config.OverrideURL})
}
