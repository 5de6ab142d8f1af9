// Package app wires the parts of the bot together, starts them, keeps them
// running and stops them in order.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/slack-go/slack"
	"golang.org/x/sync/errgroup"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/gdoc"
	"github.com/open-contracting/deploytoken/internal/ledger"
	"github.com/open-contracting/deploytoken/internal/slackapp"
)

const (
	// finishWithin bounds how long commands that were taken in are worked on
	// once the bot is told to stop; flushWithin how long their answers are
	// delivered after that. What is left then is in the store.
	finishWithin = 15 * time.Second
	flushWithin  = 5 * time.Second
	// startRetry is the pause before a dependency that could not be reached at
	// the start is tried again, doubled up to a minute.
	startRetry = time.Second
	// heardWithin is how lately Slack must have been heard from for the bot to
	// be ready: Slack pings about every 10 s.
	heardWithin = time.Minute
	// tokenEvery is how often Slack is asked whether it still takes the bot's
	// token.
	tokenEvery = time.Minute
	// readWithin, and four intervals, is how lately the document must have been
	// read for the bot to be ready.
	readWithin = 30 * time.Second
)

// Options are what a process adds to the configuration.
type Options struct {
	// Log takes one line an event.
	Log *slog.Logger
	// Clock tells the time; time.Now where nil.
	Clock func() time.Time
	// Listening, if not nil, is called with the address of the health checks
	// and metrics once they are served.
	Listening func(net.Addr)
	// Ready, if not nil, is called once, when Slack's socket is connected and
	// the document and the history were found in order.
	Ready func()
}

// An App is one running bot: a replica, where there are several.
type App struct {
	config   *config.Config
	log      *slog.Logger
	clock    func() time.Time
	schedule cron.Schedule
	// workingHours reports whether a holder may be reminded at a time of theirs.
	workingHours func(time.Time) bool
	metrics      *metrics
	options      Options

	document *gdoc.Document
	// reached is whether this process has read the document: what the store
	// knows of it may be another's, or of before.
	reached atomic.Bool
	history *gdoc.History
	busy    deploytoken.BusyChecker // nil where Kingfisher isn't configured

	store   *ledger.Store
	leases  renewals
	service *deploytoken.Service
	slack   *slack.Client
	people  *slackapp.Directory
	inbound *slackapp.Inbound
	// refused is sent on when Slack refuses a message for what an operator has
	// to mend.
	refused chan struct{}
}

// Serve runs the bot until ctx ends; then it stops taking work, finishes what
// it has, and returns nil. It returns an error early only for what an operator
// must mend: what passes by itself is tried again for ever.
func Serve(ctx context.Context, c *config.Config, o Options) error {
	a, err := newApp(c, o)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.HTTP.Address)
	if err != nil {
		return fmt.Errorf("http.address: can't listen on %s: %w. Another program may use that port; choose another", c.HTTP.Address, err)
	}
	if o.Listening != nil {
		o.Listening(listener.Addr())
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	probes := make(chan []probe, 1)
	served := make(chan error, 1)
	go func() {
		err := a.serveHTTP(serving, listener, probes)
		if err != nil {
			a.log.Error("health checks and metrics are not served any more", "error", err)
		}
		served <- err
	}()
	err = a.run(ctx, probes)
	stopServing()
	return errors.Join(err, <-served)
}

func newApp(c *config.Config, o Options) (*App, error) {
	a := &App{config: c, log: o.Log, clock: o.Clock, metrics: newMetrics(), options: o, refused: make(chan struct{}, 1)}
	if a.clock == nil {
		a.clock = time.Now
	}
	var err error
	if a.schedule, err = cron.ParseStandard(c.Reminders.Schedule); err != nil {
		return nil, fmt.Errorf("reminders.schedule: %w", err)
	}
	if a.workingHours, err = fits(c.Reminders.WorkingHours); err != nil {
		return nil, fmt.Errorf("reminders.working_hours: %w", err)
	}
	google, err := gdoc.NewClient(gdoc.Config{
		CredentialsFile: c.Google.CredentialsFile, Endpoint: c.Google.Endpoint, Logger: o.Log, Clock: a.clock,
	})
	if err != nil {
		return nil, err
	}
	a.document = google.Document(c.Google.Document, c.Google.Label)
	if a.history, err = google.History(gdoc.HistoryConfig{
		Spreadsheet: c.Google.Spreadsheet, Sheet: c.Google.Sheet, Columns: c.Google.HistoryColumns, Location: c.Timezone,
	}); err != nil {
		return nil, err
	}
	if c.Kingfisher != nil {
		if a.busy, err = newChecker(c.Kingfisher, o.Log, a.clock); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// run opens the store and runs all the parts on it until ctx ends.
func (a *App) run(ctx context.Context, probes chan<- []probe) error {
	err := a.until(ctx, "the store", func(ctx context.Context) (err error) {
		a.store, err = ledger.Open(ctx, a.config.Store.URL.Reveal(), ledger.Options{Exclusive: true, Now: a.clock})
		return err
	})
	if err != nil || a.store == nil {
		return err
	}
	defer a.store.Close()
	a.wire()
	a.watchState()
	probes <- a.probes()

	// The parts outlast ctx: they finish what was taken in before it ended.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	g, failed := errgroup.WithContext(parts)
	delivering, stopDelivering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDelivering()
	delivered := make(chan error, 1)
	d := a.drainer()
	go func() { delivered <- d.run(delivering, a.service.Inserted()) }()

	g.Go(func() error { return a.inbound.Run(failed) })
	g.Go(func() error { a.people.Run(failed); return nil })
	g.Go(func() error { return a.start(failed) })
	g.Go(func() error { return a.checkToken(failed) })
	g.Go(func() error { return a.watch(failed) })
	g.Go(func() error { return a.remind(failed, a.schedule, a.config.Timezone) })
	g.Go(func() error { return a.takeTurns(failed) })
	g.Go(func() error { return a.lookAround(failed) })
	g.Go(func() error { return a.recoverLeft(failed) })
	g.Go(func() error { return a.keep(failed) })
	g.Go(func() error { return a.prune(failed) })

	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case <-failed.Done():
	}
	finishing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	if err := a.inbound.Shutdown(finishing); err != nil {
		a.log.Warn("commands are left for the next start", "error", err)
	}
	stopParts()
	err = g.Wait()
	d.flush(context.WithoutCancel(ctx), flushWithin)
	stopDelivering()
	<-delivered
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	if err == nil {
		a.log.Info("stopped")
	}
	return err
}

// start checks, once, that the document, the history and the channel are in
// order, and then says that the bot is ready. What only an operator can mend
// ends the bot; the rest is tried again.
func (a *App) start(ctx context.Context) error {
	began := time.Now()
	checks, cctx := errgroup.WithContext(ctx)
	checks.Go(func() error {
		return a.until(cctx, "the Deploy token document", func(ctx context.Context) error {
			err := a.document.Ready(ctx)
			a.reached.Store(err == nil)
			return err
		})
	})
	checks.Go(func() error {
		return a.until(cctx, "the Deploy history spreadsheet", a.history.Ready)
	})
	checks.Go(func() error {
		return a.until(cctx, "Slack", func(ctx context.Context) error {
			access := a.config.Access
			remark, err := slackapp.Check(ctx, a.slack, a.config.Slack.Channel, access.Group, access.ForceGroup)
			if err == nil && remark != "" {
				a.log.Warn(remark)
			}
			return err
		})
	})
	checks.Go(func() error { return a.until(cctx, "the channel's members", a.people.Ready) })
	checks.Go(func() error {
		return a.until(cctx, "Slack's socket", func(context.Context) error {
			if connected, _, _ := a.inbound.Health(); !connected {
				return errConnecting
			}
			return nil
		})
	})
	if err := checks.Wait(); err != nil || ctx.Err() != nil {
		return err
	}
	a.log.Info("ready", "took", time.Since(began).Round(time.Millisecond))
	if a.options.Ready != nil {
		a.options.Ready()
	}
	return nil
}

// errConnecting: the socket's own loop is at work, and says itself what is
// wrong.
var errConnecting = errors.New("not connected yet")

// until calls f until it succeeds, ctx ends, or it fails for a reason that only
// an operator can mend, which it returns.
func (a *App) until(ctx context.Context, what string, f func(context.Context) error) error {
	t := troubles{log: a.log, what: "reaching " + what}
	pause := startRetry
	for {
		tctx, cancel := context.WithTimeout(ctx, tickWithin)
		err := f(tctx)
		cancel()
		switch {
		case err == nil:
			t.note(nil)
			return nil
		case errors.Is(err, deploytoken.ErrMisconfigured):
			return err
		case errors.Is(err, errConnecting):
			pause = 10 * time.Millisecond
		default:
			t.note(err)
		}
		if !wait(ctx, pause) {
			return nil
		}
		pause = min(2*pause, time.Minute)
	}
}
