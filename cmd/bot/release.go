package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// program is what the program calls itself: what it was started as, unless the
// linker says so: -X main.program=deploytoken, as releases have it.
var program string

// invoked is the name that the program was started by.
func invoked(arg0 string) string {
	name := strings.TrimSuffix(filepath.Base(arg0), ".exe")
	if !ordinary.MatchString(name) {
		return "bot"
	}
	return name
}

// ordinary is a program's name that needs no quoting.
var ordinary = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$`)

// named makes the help of the commands call the program by its name, where it is
// told how to call it: the bot that runs is still the bot.
func named(root *cobra.Command) *cobra.Command {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	call := regexp.MustCompile(`\bbot( (?:` + strings.Join(names, "|") + `)\b|”)`)
	ours := func(text string) string { return call.ReplaceAllString(text, program+"$1") }
	var rename func(*cobra.Command)
	rename = func(c *cobra.Command) {
		c.Long, c.Example = ours(c.Long), ours(c.Example)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Usage = ours(f.Usage) })
		for _, below := range c.Commands() {
			rename(below)
		}
	}
	rename(root)
	return root
}

// manCommand is for those who make a release.
func manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:    "man FOLDER",
		Short:  "Write the manual pages",
		Hidden: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("man: give the folder to write to")}
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			// The date comes from SOURCE_DATE_EPOCH, where that is set.
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: version(), Manual: "Deploy token"}
			return doc.GenManTree(root, header, args[0])
		},
	}
}
