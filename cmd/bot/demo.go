package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/open-contracting/deploytoken/internal/app"
	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/demo"
)

func demoCommand(stdout, stderr *os.File, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Try the bot in a browser, with nothing to install and no account",
		Long: "demo runs the bot against local servers that stand in for Slack, Google and Kingfisher, and serves a page to try it on.\n\n" +
			"Nothing of it leaves this machine, and nothing is left when it ends.",
		Args: noArguments,
	}
	address := c.Flags().String("address", "127.0.0.1:8080", "where to serve the page: `host:port` on the loopback interface")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if _, _, err := hostAndPort(*address); err != nil {
			return err
		}
		log, err := newLog(stderr, "info")
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("demo: can't tell where this program is, to run the bot: %w", err)
		}
		return demo.Run(c.Context(), demo.Config{
			Address: *address,
			Bot:     []string{self, "demo", "bot"},
			Listening: func(url string) {
				fmt.Fprintf(stdout, "The demo is at %s\nTo end it, press Ctrl+C.\n", url)
			},
			Log: log,
		})
	}
	c.AddCommand(demoBotCommand(stderr, env))
	return c
}

// demoBotCommand is “bot serve” with the clock of the demo that runs it.
func demoBotCommand(stderr *os.File, env func(string) (string, bool)) *cobra.Command {
	return &cobra.Command{
		Use:    "bot",
		Short:  "Run the bot of a demo",
		Hidden: true,
		Args:   noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := newLog(stderr, "info")
			if err != nil {
				return err
			}
			ctx, now, err := demo.Attach(c.Context(), os.Stdin)
			if err != nil {
				return err
			}
			cfg, err := config.Load("", env, config.Serve)
			if err != nil {
				return err
			}
			return app.Serve(ctx, cfg, app.Options{Log: log, Clock: now})
		},
	}
}
