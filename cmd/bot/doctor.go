package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/open-contracting/deploytoken/internal/app"
	"github.com/open-contracting/deploytoken/internal/doctor"
)

func doctorCommand(stdout *os.File, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Try everything that the bot depends on, and say what to do about each failure",
		Long: "doctor tries everything that the bot depends on, for real: Slack, the document, the history, the store, the Kingfisher server.\n" +
			"It changes nothing, and may run beside bot serve. Run it with the bot's environment, and in the folder that the bot runs in.\n\n" +
			"It exits 1 where anything failed, or it was called off.",
		Args: noArguments,
	}
	path := c.Flags().String("config", "", "the configuration `file`; without it, the environment alone")
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		checks, done := app.Diagnosis(*path, env, time.Now)
		defer done()
		var report doctor.Report
		if *asJSON {
			report = doctor.Run(c.Context(), checks, nil)
			if err := report.WriteJSON(stdout); err != nil {
				return err
			}
		} else {
			width, _, err := term.GetSize(int(stdout.Fd()))
			if err != nil {
				width = 0 // not a terminal
			}
			p := doctor.NewPrinter(stdout, checks, width)
			report = doctor.Run(c.Context(), checks, p.Result)
			p.Summary(report)
			if err := p.Err(); err != nil {
				return err
			}
		}
		if report.State() == doctor.Failed || c.Context().Err() != nil {
			return exit(exitFailed)
		}
		return nil
	}
	return c
}
