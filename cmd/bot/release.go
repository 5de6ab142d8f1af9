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

// example finds a command of the program in a text that helps.
var example = regexp.MustCompile(`\bbot( [a-z]|”)`)

// named makes the help of a command and those below it call the program by its
// name.
func named(c *cobra.Command) *cobra.Command {
	if program == "bot" {
		return c
	}
	ours := func(text string) string { return example.ReplaceAllString(text, program+"$1") }
	c.Long, c.Example = ours(c.Long), ours(c.Example)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Usage = ours(f.Usage) })
	for _, below := range c.Commands() {
		named(below)
	}
	return c
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
