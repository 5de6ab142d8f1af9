package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the pages of a release link to is in it.
func TestReleaseLinks(t *testing.T) {
	const root = "../.."
	packed := regexp.MustCompile(`(?m)^cp -RL (.+) "\$work/common"$`).FindStringSubmatch(read(t, filepath.Join(root, "deploy/release.sh")))
	if packed == nil {
		t.Fatal("what deploy/release.sh packs is not known")
	}
	tops := strings.Fields(packed[1])
	link := regexp.MustCompile(`\]\(([^)\s]+)|(?:src|href)="([^"]+)"`)
	pages, links := 0, 0
	for _, top := range tops {
		err := filepath.WalkDir(filepath.Join(root, top), func(page string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(page) != ".md" {
				return err
			}
			pages++
			for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
				target, _, _ := strings.Cut(m[1]+m[2], "#")
				if target == "" || strings.Contains(target, ":") {
					continue
				}
				links++
				file := filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
				inside, err := filepath.Rel(root, file)
				if err != nil {
					return err
				}
				first, _, _ := strings.Cut(filepath.ToSlash(inside), "/")
				if _, err := os.Stat(file); err != nil || !slices.Contains(tops, first) {
					t.Errorf("%s links to %s, which a release has not", page, target)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if pages < 5 || links < 20 {
		t.Errorf("only %d pages with %d links were found", pages, links)
	}
}

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
		help := output(t, "", program, "help", c[1])
		if regexp.MustCompile(`the deploytoken (depends|runs)`).MatchString(help) {
			t.Errorf("the help of %s calls the bot by its program's name", c[1])
		}
		text += help
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
