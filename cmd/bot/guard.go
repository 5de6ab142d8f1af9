package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/open-contracting/deploytoken/internal/app"
	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/guard"
)

const exitNotHeld = 5 // bot guard: the token is not, or no longer, held

func guardCommand(stderr *os.File, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "guard --as NAME [flags] -- COMMAND …",
		Short: "Run a command only if you hold the token",
		Long: `guard runs COMMAND if the Deploy token document says that NAME holds the token, and watches the document meanwhile. It only reads the document; it needs no Slack token and no store.

NAME must be the holder's full name as the document has it, case and white space aside.

When the token is lost while COMMAND runs, guard warns; with --strict, it sends COMMAND a SIGTERM, and after 10 seconds a SIGKILL (what COMMAND itself has started gets neither). While Google can't be reached or the document is unclear, it warns and lets COMMAND go on.

Signals are passed on, and the exit status is COMMAND's: 128 and the signal's number where a signal ended it. Else:
  1    it could not be found out who holds the token, or the configuration is wrong
  2    the command line is not right
  3    with --busy: something would be interrupted
  4    with --busy: it is unknown whether something would be
  5    NAME doesn't hold the token, the document is unclear, or the token was lost (--strict)
  126  COMMAND can't be executed
  127  COMMAND wasn't found

Where the status is guard's own, a line on standard error that begins with “bot” says why.`,
		Example: `  bot guard --config bot.yaml --as "Ana Díaz" -- ./run.py 'docs' state.apply
  bot guard --config bot.yaml --as "Ana Díaz" --strict --busy --without postgres -- ./run.py 'kingfisher' state.apply`,
	}
	flags := c.Flags()
	// What follows COMMAND is COMMAND's, also without the two dashes.
	flags.SetInterspersed(false)
	load, loadBusy := configFlag(c, config.Guard, env), func() (*config.Config, error) {
		return config.Load(flags.Lookup("config").Value.String(), env, config.GuardBusy)
	}
	name := flags.String("as", "", "the `name` that the document must have as the holder's")
	strict := flags.Bool("strict", false, "stop COMMAND when the token is lost")
	busy := flags.Bool("busy", false, "first make the busy checks of bot busy, and run COMMAND only if Kingfisher is idle")
	without := flags.StringSlice("without", nil, "with --busy, leave a `check` out: scrapyd, tmux, postgres")
	c.RunE = func(c *cobra.Command, command []string) error {
		o := app.GuardOptions{Name: *name, Strict: *strict, Warn: func(m string) { fmt.Fprintf(stderr, "%s guard: %s\n", program, m) }}
		switch {
		case strings.TrimSpace(*name) == "":
			return usageError{errors.New(`--as: say who must hold the token, as in --as "Ana Díaz"`)}
		case len(command) == 0 || command[0] == "":
			return usageError{fmt.Errorf(`say what to run, as in %s guard --as "Ana Díaz" -- ./run.py 'docs' state.apply`, program)}
		case len(*without) > 0 && !*busy:
			return usageError{errors.New("--without goes with --busy")}
		case *busy:
			var err error
			if o.Checks, err = app.ChecksWithout(*without); err != nil {
				return usageError{err}
			}
			load = loadBusy
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		// The signals are the guard's to pass on, not to end by.
		ended, err := app.Guard(context.WithoutCancel(c.Context()), cfg, o, command)
		if err != nil {
			return refused(err, stderr, cfg)
		}
		if ended.Interrupted {
			interrupt()
		}
		if ended.Status != 0 {
			return exit(ended.Status)
		}
		return nil
	}
	return c
}

// refused says why a guarded command was not run, or not to its end, and
// returns the exit status.
func refused(err error, stderr *os.File, cfg *config.Config) error {
	status := exitFailed
	var (
		notHeld  *guard.NotHeldError
		stopped  *guard.StoppedError
		notIdle  *app.NotIdleError
		notBegun *guard.StartError
	)
	switch {
	case errors.As(err, &notHeld), errors.As(err, &stopped):
		status = exitNotHeld
	case errors.As(err, &notBegun):
		status = notBegun.Status
	case errors.As(err, &notIdle):
		status = exitUnknown
		if notIdle.Report.State().String() == "busy" {
			status = exitBusy
		}
		if err := app.WriteBusy(stderr, notIdle.Report, false, cfg.Kingfisher.OverrideURL); err != nil {
			return err
		}
	}
	fmt.Fprintf(stderr, "%s guard: %s\n", program, err)
	return exit(status)
}

// interrupt ends the process by SIGINT, as a shell that runs it expects of what
// Ctrl-C has ended: it then ends its script, too.
func interrupt() {
	signal.Reset(os.Interrupt)
	if syscall.Kill(os.Getpid(), syscall.SIGINT) == nil {
		time.Sleep(time.Second) // it comes at once
	}
}
