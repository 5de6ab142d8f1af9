package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// TestForgedClick: a button does only what who clicks it may do, and only to
// the holding that it was shown for.
func TestForgedClick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(t)
	w.slash(t, ana, "/deploy-token", "take the first")
	first := w.announced(t, "the first")
	says(t, w.click(t, bob, first, "release"), "Ana Díaz")
	if got := w.document.Holder(); got != "Ana Díaz" {
		t.Fatalf("somebody else's click released the token: the document says %q", got)
	}
	// The form of a holding that somebody has just ended by hand.
	form := w.form(t, ana, first.Target(), "release")
	if err := w.document.SetHolder(person, "Bob Ray"); err != nil {
		t.Fatal(err)
	}
	says(t, w.answered(t, ana, func() { w.submit(t, ana, form, nil) }), "Bob Ray")
	if got := w.document.Holder(); got != "Bob Ray" {
		t.Errorf("the form of an ended holding released the next: the document says %q", got)
	}
}

// TestSpoofedName: who calls themselves what the holder is called is not the
// holder, and is told apart.
func TestSpoofedName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.serve(t)
	w.slash(t, ana, "/deploy-token", "take")
	b.stop(t)
	if err := w.slack.PutUser(slack.User{ID: bob, Name: "bob", RealName: "Ana Díaz", DisplayName: "ana"}); err != nil {
		t.Fatal(err)
	}
	b = w.serve(t) // which knows nobody from before
	w.slash(t, bob, "/deploy-token", "release")
	if got := w.document.Holder(); got != "Ana Díaz" {
		t.Fatalf("a namesake released the token: the document says %q", got)
	}
	says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
	w.slash(t, bob, "/deploy-token", "take")
	if got := w.document.Holder(); got != "Ana Díaz (bob)" {
		t.Errorf("the document says %q", got)
	}
	_, out, _ := w.bot(t, "audit", "--person", bob, "--json")
	if strings.Count(out, "\n") != 2 {
		t.Errorf("what the namesake asked for:\n%s", out)
	}
	b.stop(t)
}

// TestFlood: who sends commands without end keeps nobody else from being
// served.
func TestFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(t)
	done := make(chan error, 300)
	for range cap(done) {
		go func() {
			_, err := w.slack.Slash(t.Context(), bob, channel, "/deploy-token", "release nothing")
			done <- err
		}()
	}
	says(t, w.slash(t, ana, "/deploy-token", "take the registry"), "You hold")
	for range cap(done) {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
	w.rows(t, 2)
}

// TestHostileDocument: whatever people make of the document, the bot writes
// nothing where it can't tell what it says, and shows text as text.
func TestHostileDocument(t *testing.T) {
	for name, holder := range map[string]string{
		"another's name twice": "Ana Díaz Nobody",
		"markup":               "<!channel> <@" + bob + "> `x`",
		"direction":            "\u202eyboN",
		"long":                 strings.Repeat("Long Name ", 400),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.serve(t)
			w.slash(t, ana, "/deploy-token", "take")
			w.slash(t, ana, "/deploy-token", "release")
			w.rows(t, 2)
			if err := w.document.SetHolder(person, holder); err != nil {
				t.Fatal(err)
			}
			written := w.document.Holder()
			w.slash(t, bob, "/deploy-token", "take")
			if got := w.document.Holder(); got != written {
				t.Errorf("%q was written over %q", got, written)
			}
			for _, m := range append(w.slack.Messages(channel), w.ephemeral(bob)...) {
				if strings.Contains(m.Text, "<!channel>") || strings.Contains(m.Text, "<@"+bob+">") {
					t.Errorf("markup that means something: %q", m.Text)
				}
			}
			status, out, stderr := w.bot(t, "status")
			if status != 0 || len(out) > 10_000 || strings.ContainsAny(out, "\u202e\x1b") {
				t.Errorf("status %d: %q %s", status, out, stderr)
			}
			if line := b.log.line(`"level":"ERROR"`); line != "" {
				t.Error(line)
			}
			if status := b.stop(t); status != 0 {
				t.Errorf("exit status %d", status)
			}
		})
	}
}

// TestThreatsAreTested: the tests that docs/security.md names are there.
func TestThreatsAreTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, m := range regexp.MustCompile("`((Test|Fuzz)\\w+)`").FindAllStringSubmatch(string(page), -1) {
		missing[m[1]] = true
	}
	if len(missing) == 0 {
		t.Fatal("it names none")
	}
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range regexp.MustCompile(`(?m)^func (\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			delete(missing, m[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range missing {
		t.Errorf("docs/security.md names %s, which isn't there", name)
	}
}
