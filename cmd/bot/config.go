package main

import (
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/open-contracting/deploytoken/internal/config"
)

func configCommand(stdout io.Writer, env func(string) (string, bool)) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration as the bot takes it, with secrets masked",
		Long: "config shows the configuration as the bot takes it: the file, what the environment overrides, and the defaults. " +
			"Of the secrets it says only which are set.",
		Args: noArguments,
	}
	load := configFlag(c, config.Show, env)
	c.RunE = func(*cobra.Command, []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		e := yaml.NewEncoder(stdout)
		e.SetIndent(2)
		if err := e.Encode(cfg); err != nil {
			return err
		}
		return e.Close()
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "example",
			Short: "Print a bot.yaml with every key, its default and what it means",
			Args:  noArguments,
			RunE: func(*cobra.Command, []string) error {
				_, err := io.WriteString(stdout, config.Example())
				return err
			},
		},
		&cobra.Command{
			Use:   "schema",
			Short: "Print a JSON Schema of bot.yaml, for editors",
			Args:  noArguments,
			RunE: func(*cobra.Command, []string) error {
				_, err := stdout.Write(config.Schema())
				return err
			},
		},
	)
	return c
}
