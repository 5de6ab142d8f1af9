package app

import (
	"context"
	"errors"
	"time"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/gdoc"
	"github.com/open-contracting/deploytoken/internal/guard"
)

const (
	// guardSettle is how long a guard waits before it believes what the document
	// says newly: people are typing.
	guardSettle = 5 * time.Second
	// guardGrace is how long a command that is stopped has to end by itself.
	guardGrace = 10 * time.Second
)

// GuardOptions are what a guard's command line adds to the configuration.
type GuardOptions struct {
	// Name is whose the token must be.
	Name string
	// Strict has the command stopped when the token is lost.
	Strict bool
	// Checks are the busy checks to make first; none where empty.
	Checks []string
	// Warn is told what becomes of the token while the command runs.
	Warn func(message string)
}

// A NotIdleError is why a guarded command was not run: something on Kingfisher
// would be interrupted, or it could not be told.
type NotIdleError struct{ Report deploytoken.BusyReport }

// Error says that Kingfisher is busy, or may be.
func (e *NotIdleError) Error() string {
	if e.Report.State() == deploytoken.Busy {
		return "Kingfisher is busy, so nothing was run: ask the owners, by /kingfisher consent in Slack, or leave out by --without what your deployment doesn't interrupt"
	}
	return "it is unknown whether Kingfisher is busy, so nothing was run: mend what the checks say, or leave out by --without what your deployment doesn't interrupt"
}

// Guard runs the command while the named person holds the token, and returns
// how it ended.
// Errors: *NotIdleError, and those of guard.Guard's Run.
func Guard(ctx context.Context, c *config.Config, o GuardOptions, command []string) (guard.Exit, error) {
	google, err := gdoc.NewClient(gdoc.Config{CredentialsFile: c.Google.CredentialsFile, Endpoint: c.Google.Endpoint})
	if err != nil {
		return guard.Exit{}, err
	}
	defer google.Close()
	g := guard.Guard{
		Name:     deploytoken.CleanName(o.Name),
		Document: guardedDocument{google.Document(c.Google.Document, c.Google.Label)},
		Strict:   o.Strict,
		Interval: c.Google.WatchInterval,
		Settle:   min(guardSettle, c.Google.WatchInterval),
		Grace:    guardGrace,
		Warn:     o.Warn,
	}
	if len(o.Checks) > 0 {
		g.Idle = func(ctx context.Context) error {
			report, err := Busy(ctx, c, o.Checks)
			if err == nil && report.State() != deploytoken.Idle {
				err = &NotIdleError{report}
			}
			return err
		}
	}
	return g.Run(ctx, command)
}

// A guardedDocument is the Deploy token document, as a guard reads it.
type guardedDocument struct{ document *gdoc.Document }

func (d guardedDocument) Link() string { return d.document.Link() }

func (d guardedDocument) Token(ctx context.Context) (guard.Token, error) {
	r, err := d.document.Read(ctx)
	if err != nil {
		return guard.Token{}, errors.New(deploytoken.Explain(err))
	}
	switch t := deploytoken.Interpret(r, ""); t.State {
	case deploytoken.Held:
		return guard.Token{State: guard.Held, Holder: t.Holder}, nil
	case deploytoken.Free:
		return guard.Token{State: guard.Free}, nil
	default:
		return guard.Token{Reason: t.Reason}, nil
	}
}
