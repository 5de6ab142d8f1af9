package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What is made of the program for a release calls it by the name that packages
// install it as, and has a manual page for each command.
func TestReleaseNames(t *testing.T) {
	program := filepath.Join(t.TempDir(), "deploytoken")
	output(t, "", "go", "build", "-trimpath", "-ldflags=-s -w -X main.program=deploytoken", "-o", program, ".")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")

	pages := t.TempDir()
	output(t, "", program, "man", pages)
	text := output(t, "", program, "help")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		said := output(t, "", program, "completion", shell)
		if !strings.Contains(said, "deploytoken") {
			t.Errorf("the completion for %s is not for deploytoken", shell)
		}
		text += said
	}
	commands := regexp.MustCompile(`(?m)^  ([a-z]+) +[A-Z]`).FindAllStringSubmatch(output(t, "", program, "help"), -1)
	if len(commands) < 8 {
		t.Fatalf("the help has only the commands %q", commands)
	}
	for _, c := range commands {
		text += output(t, "", program, "help", c[1])
		page := filepath.Join(pages, "deploytoken-"+c[1]+".1")
		if _, err := os.Stat(page); err != nil && c[1] != "help" {
			t.Errorf("there is no manual page of %s: %v", c[1], err)
		}
	}
	files, err := filepath.Glob(pages + "/*.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		page := read(t, file)
		if !strings.Contains(page, `"Nov 2023"`) {
			t.Errorf("%s has not the release's date:\n%.200s", file, page)
		}
		text += page
	}
	for _, line := range regexp.MustCompile(`(?m)^.*\bbot (serve|guard|status|busy|audit|doctor|demo|config)\b.*$`).FindAllString(text, -1) {
		t.Errorf("it calls itself bot: %s", line)
	}
	// What is its own in the output of a guarded command is known by its name.
	if !strings.Contains(output(t, "", program, "help", "guard"), "begins with “deploytoken”") {
		t.Error("the help on guard has another name")
	}
	w := newWorld(t)
	c := exec.Command(program, "guard", "--as", "Ana Díaz", "--", "true")
	c.Env = w.environment()
	if said, _ := c.CombinedOutput(); !strings.HasPrefix(string(said), "deploytoken guard: nobody holds") {
		t.Errorf("guard says %q", said)
	}
	if said := output(t, "", program, "version"); len(strings.Fields(said)) < 2 {
		t.Errorf("the version is %q", said)
	}
}
