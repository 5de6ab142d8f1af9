package main

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/open-contracting/deploytoken/internal/app"
	"github.com/open-contracting/deploytoken/internal/config"
)

func preflightCommand(stdout io.Writer, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "preflight [DIR]",
		Short: "Say whether the deployment repositories are in order",
		Long: `preflight is the first step of a deployment. It looks at the deploy checkout, which is DIR or where you are, and at pillar/private and salt/private within it (preflight.repositories in the configuration names others). It asks their remotes, and says which of them is not on its default branch, clean (untracked files count, ignored ones don't) and up to date, and what to do about it.

With a configuration it also says who holds the deploy token and what a deployment to Kingfisher would interrupt. These don't change the exit status, which is 0 where the repositories are in order, and 1 where they aren't.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("preflight: name one folder, the deploy checkout")}
			}
			return nil
		},
	}
	load := configFlag(c, config.Preflight, env)
	update := c.Flags().Bool("update", false, "switch each to its default branch and pull with rebase, unless its files are changed; stop where that can't be done")
	asJSON := c.Flags().Bool("json", false, "write one JSON object")
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		dir := "."
		if len(args) == 1 {
			dir = args[0]
		}
		report, err := app.Preflight(c.Context(), cfg, dir, *update)
		if err != nil {
			return err
		}
		if err := app.WritePreflight(stdout, report, *asJSON, time.Now()); err != nil {
			return err
		}
		if !report.Ready() {
			return exit(exitFailed)
		}
		return nil
	}
	return c
}
