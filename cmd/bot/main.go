// Command bot answers for a team's deploy token in Slack: who holds it, by the
// Deploy token document, and what a deployment would interrupt.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // the configured time zone must be there on any machine

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/open-contracting/deploytoken/internal/app"
	"github.com/open-contracting/deploytoken/internal/config"
)

// The exit statuses, which scripts rely on.
const (
	exitFailed  = 1 // it could not be done
	exitUsage   = 2 // the command line is not right
	exitBusy    = 3 // bot busy: something would be interrupted
	exitUnknown = 4 // bot busy: it could not be told
)

// An exit is an exit status that isn't an error to be printed.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usage error is one of the command line.
type usageError struct{ error }

func main() {
	ends := []os.Signal{syscall.SIGTERM}
	if !signal.Ignored(os.Interrupt) { // as shells have it for what runs in the background
		ends = append(ends, os.Interrupt)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	program = cmp.Or(program, invoked(os.Args[0]))
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.LookupEnv))
}

// run runs the command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr *os.File, env func(string) (string, bool)) int {
	root := command(stdout, stderr, env)
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	var status exit
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %s. See “%s help%s”.\n", program, usage, program, topic(c))
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "%s: called off\n", program)
		return exitFailed
	}
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "%s: %s\n", program, strings.TrimRight(line, "\n"))
	}
	return exitFailed
}

// topic is what to ask the help about for a mistake in the use of c.
func topic(c *cobra.Command) string {
	if c.Name() == "help" {
		return ""
	}
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name())
}

func command(stdout, stderr *os.File, env func(string) (string, bool)) *cobra.Command {
	root := &cobra.Command{
		Use:           program,
		Short:         "The deploy token, in Slack",
		Long:          program + " answers for the deploy token in Slack: one person at a time may change any server, the one named in the Deploy token document.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.Version = version()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{plainly(err)} })
	root.AddCommand(
		serveCommand(stdout, stderr, env),
		statusCommand(stdout, stderr, env),
		busyCommand(stdout, env),
		guardCommand(stderr, env),
		preflightCommand(stdout, env),
		auditCommand(stdout, env),
		demoCommand(stdout, stderr, env),
		doctorCommand(stdout, env),
		configCommand(stdout, env),
		healthCommand(stdout, env),
		versionCommand(stdout),
		manCommand(root),
	)
	strict(root)
	return named(root)
}

// strict has Cobra's own commands refuse what they don't know, which they would
// answer with a help, as if it were what was asked for.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(c *cobra.Command, args []string) error {
				if _, unknown, err := root.Find(args); err != nil || len(unknown) > 0 {
					return unknownArgument(c, strings.Join(args, " "))
				}
				return nil
			}
		case "completion":
			c.Args = noArguments
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
			for _, shell := range c.Commands() {
				shell.Args = noArguments
			}
		}
	}
}

// plainly says in plain words what is wrong with a flag's value.
func plainly(err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	wanted := map[string]string{"int": "a whole number", "bool": "true or false"}[invalid.GetFlag().Value.Type()]
	if wanted == "" {
		return err
	}
	return fmt.Errorf("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(), wanted)
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownArgument(c, args[0])
	}
	return nil
}

func unknownArgument(c *cobra.Command, argument string) error {
	err := fmt.Errorf("unknown command or argument %q", argument)
	if c.HasParent() {
		err = fmt.Errorf("%s: %w", strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" "), err)
	}
	return usageError{err}
}

// configFlag adds --config to a subcommand, and returns how to load the file.
func configFlag(c *cobra.Command, needs config.Command, env func(string) (string, bool)) func() (*config.Config, error) {
	path := c.Flags().String("config", "", "the configuration `file`; without it, the environment alone")
	return func() (*config.Config, error) { return config.Load(*path, env, needs) }
}

func serveCommand(stdout, stderr *os.File, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the bot until SIGTERM or SIGINT",
		Args:  noArguments,
	}
	load := configFlag(c, config.Serve, env)
	level := c.Flags().String("log-level", "info", "log what is at least of this `level`: debug, info, warn, error")
	c.RunE = func(c *cobra.Command, _ []string) error {
		log, err := newLog(stderr, *level)
		if err != nil {
			return usageError{err}
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		log.Info("starting", "version", version(), "config", cfg)
		return app.Serve(c.Context(), cfg, app.Options{
			Log:       log,
			Listening: func(a net.Addr) { log.Info("serving health checks and metrics", "address", a.String()) },
		})
	}
	return c
}

// newLog logs text on a terminal and JSON otherwise.
func newLog(w *os.File, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is not one of debug, info, warn, error", level)
	}
	options := &slog.HandlerOptions{Level: l, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		// In JSON, a duration would be a number of nanoseconds.
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}
	if term.IsTerminal(int(w.Fd())) {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(w, options)), nil
}

func statusCommand(stdout, stderr io.Writer, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Say who holds the token, by the document",
		Args:  noArguments,
	}
	load := configFlag(c, config.Status, env)
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		status, remark, err := app.Status(c.Context(), cfg)
		if err != nil {
			return err
		}
		if remark != "" {
			fmt.Fprintf(stderr, "%s: %s\n", program, remark)
		}
		return app.WriteStatus(stdout, status, *asJSON, time.Now())
	}
	return c
}

func busyCommand(stdout io.Writer, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "busy",
		Short: "Say what a deployment to Kingfisher would interrupt",
		Long: "busy says what a deployment to the Kingfisher server would interrupt: Scrapyd's spiders, commands in tmux sessions, long PostgreSQL queries.\n\n" +
			"It exits 0 where that is nothing, 3 where it is something, and 4 where it could not be told.",
		Args: noArguments,
	}
	load := configFlag(c, config.Busy, env)
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	without := c.Flags().StringSlice("without", nil, "leave a `check` out: scrapyd, tmux, postgres")
	c.RunE = func(c *cobra.Command, _ []string) error {
		checks, err := app.ChecksWithout(*without)
		if err != nil {
			return usageError{err}
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		report, err := app.Busy(c.Context(), cfg, checks)
		if err != nil {
			return err
		}
		if err := app.WriteBusy(stdout, report, *asJSON, cfg.Kingfisher.OverrideURL); err != nil {
			return err
		}
		switch report.State().String() {
		case "idle":
			return nil
		case "busy":
			return exit(exitBusy)
		}
		return exit(exitUnknown)
	}
	return c
}

func versionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(stdout, version())
			return err
		},
	}
}

// version is what the build says of itself: the module's version, the commit
// that it is built from, and Go's version.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := cmp.Or(info.Main.Version, "(devel)")
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v + " " + info.GoVersion
}
