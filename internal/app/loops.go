package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/slackapp"
)

const (
	// leaseTTL is how long a replica watches, or keeps the schedule, without
	// renewing; after that another takes over.
	leaseTTL = 10 * time.Second
	// recheckAfter is how long after a write the document is read once more.
	recheckAfter = 3 * time.Second
	// turnEvery is how often it is looked whether a turn has ended.
	turnEvery = time.Second
	// recoverEvery is how often commands and writes that were left are looked for.
	recoverEvery = 2 * time.Second
	// keepEvery is how often the commands being worked on are kept.
	keepEvery = 10 * time.Second
	// pruneEvery is how often what is finished and old is removed from the store.
	pruneEvery = 10 * time.Minute
	// keepFinished is how long finished commands and delivered messages are kept.
	keepFinished = 7 * 24 * time.Hour
	// tickWithin bounds one turn of a loop.
	tickWithin = time.Minute
)

// troubles logs the first of a run of failures, and the recovery from it.
type troubles struct {
	log  *slog.Logger
	what string
	last string
}

func (t *troubles) note(err error) {
	switch {
	case err == nil && t.last != "":
		t.log.Info(t.what + " works again")
		t.last = ""
	case err != nil && err.Error() != t.last && !errors.Is(err, context.Canceled):
		t.log.Error(t.what+" failed; trying again", "error", err)
		t.last = err.Error()
	}
}

// watch looks at the document while this replica has the lease, and a few
// seconds after each of its own writes.
func (a *App) watch(ctx context.Context) error {
	t := troubles{log: a.log, what: "watching the document"}
	recheck := time.NewTimer(time.Hour)
	defer recheck.Stop()
	renew := time.NewTimer(0)
	defer renew.Stop()
	var due time.Time
	look := func() {
		tctx, cancel := context.WithTimeout(ctx, tickWithin)
		defer cancel()
		again := leaseTTL / 3
		t.note(safely(func() (err error) {
			again, err = a.service.Watch(tctx)
			return err
		}))
		due = time.Now().Add(again)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.service.Wrote():
			recheck.Reset(recheckAfter)
			continue
		case <-recheck.C:
			look()
		case <-renew.C:
			mine, err := a.leased(ctx, "watch")
			switch {
			case err != nil:
				t.note(err)
				due = time.Now().Add(leaseTTL / 3)
			case !mine:
				due = time.Now().Add(leaseTTL / 3)
			case !time.Now().Before(due):
				look()
			}
		}
		renew.Reset(min(leaseTTL/3, max(time.Until(due), 10*time.Millisecond)))
	}
}

// remind wakes on the schedule, by the injected clock. Replicas whose schedules
// fire at different times leave each other's reminders alone, as a reminder
// keeps quiet until halfway to the next.
func (a *App) remind(ctx context.Context, schedule cron.Schedule, location *time.Location) error {
	due := schedule.Next(a.clock().In(location))
	return a.every(ctx, time.Second, "reminding", func(ctx context.Context) error {
		now := a.clock().In(location)
		next := schedule.Next(now)
		if due = earlier(due, next); now.Before(due) {
			return errNotDue
		}
		due = next
		if retry := now.Add(time.Minute); retry.Before(next) {
			due = retry
		}
		mine, err := a.leased(ctx, "schedule")
		if err == nil && mine {
			err = a.service.Remind(ctx, now.Add(next.Sub(now)/2))
		}
		if err == nil {
			due = next
		}
		return err
	})
}

// earlier returns the earlier time. A schedule's next time is never later than
// what the clock says now has it: the clock may have been set back.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// fits returns whether a minute fits the cron specification; nil for "".
func fits(spec string) (func(time.Time) bool, error) {
	if spec == "" {
		return nil, nil
	}
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		return nil, err
	}
	return func(t time.Time) bool {
		minute := t.Truncate(time.Minute)
		return schedule.Next(minute.Add(-time.Second)).Equal(minute)
	}, nil
}

// takeTurns keeps the waitlist's turns.
func (a *App) takeTurns(ctx context.Context) error {
	return a.every(ctx, turnEvery, "keeping the waitlist", func(ctx context.Context) error {
		mine, err := a.leased(ctx, "waitlist")
		if err == nil && mine {
			err = a.service.TakeTurns(ctx)
		}
		return err
	})
}

// lookAround looks at Kingfisher where somebody waits for what runs there, or a
// deployment is under way.
func (a *App) lookAround(ctx context.Context) error {
	var due time.Time
	return a.every(ctx, time.Second, "looking at Kingfisher for those who wait", func(ctx context.Context) error {
		if time.Now().Before(due) {
			return errNotDue
		}
		again := leaseTTL / 2
		defer func() { due = time.Now().Add(again) }()
		mine, err := a.leased(ctx, "kingfisher")
		if err == nil && mine {
			again, err = a.service.LookAround(ctx)
		}
		return err
	})
}

// checkToken ends the bot once Slack no longer takes the bot's token, which
// leaves the socket open: it asks every minute, and when a message is refused.
func (a *App) checkToken(ctx context.Context) error {
	tick := time.NewTicker(tokenEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.refused:
		}
		tctx, cancel := context.WithTimeout(ctx, tickWithin)
		_, err := slackapp.Identify(tctx, a.slack)
		cancel()
		if errors.Is(err, deploytoken.ErrMisconfigured) {
			return err
		}
	}
}

// recoverLeft settles and does what other replicas, or an earlier run, left.
func (a *App) recoverLeft(ctx context.Context) error {
	return a.every(ctx, recoverEvery, "recovering what was left", a.service.Recover)
}

func (a *App) keep(ctx context.Context) error {
	return a.every(ctx, keepEvery, "keeping the commands being worked on", a.service.Keep)
}

func (a *App) prune(ctx context.Context) error {
	return a.every(ctx, pruneEvery, "pruning the store", func(ctx context.Context) error {
		return a.store.Prune(ctx, a.clock().Add(-keepFinished))
	})
}

// leased reports whether this replica has the lease on doing something for the
// document.
func (a *App) leased(ctx context.Context, what string) (bool, error) {
	return a.leases.has(ctx, a.store, what+":"+a.config.Google.Document)
}

// errNotDue: there was nothing to do yet, so that nothing failed or went well.
var errNotDue = errors.New("not due yet")

// every calls f at once and then after each period, until ctx ends. What f fails
// with, or panics, is logged as the failure of what it does; errNotDue is neither.
func (a *App) every(ctx context.Context, period time.Duration, what string, f func(context.Context) error) error {
	t := troubles{log: a.log, what: what}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		tctx, cancel := context.WithTimeout(ctx, 3*tickWithin)
		if err := safely(func() error { return f(tctx) }); !errors.Is(err, errNotDue) {
			t.note(err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// safely calls f, with a panic as an error.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
