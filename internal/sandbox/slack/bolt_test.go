package slack_test

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// lacking skips a test that needs more than Go, or fails it where everything must run.
func lacking(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// startBolt installs Bolt and runs the app of testdata/bolt until the test ends.
func startBolt(t *testing.T, s *slack.Server) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		lacking(t, "the check with @slack/bolt needs Node.js: %v", err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		lacking(t, "the check with @slack/bolt needs npm: %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "bolt"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		lacking(t, "the check with @slack/bolt needs its packages from the npm registry: %v\n%s", err, out)
	}

	app := exec.Command(node, "check.mjs")
	app.Dir = dir
	app.Env = append(os.Environ(), "SLACK_API_URL="+s.URL()+"/api/", "SLACK_BOT_TOKEN="+botToken, "SLACK_APP_TOKEN="+appToken)
	var stderr bytes.Buffer
	app.Stderr = &stderr
	stdout, err := app.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if lines.Text() == "ready" {
				close(ready)
			}
		}
	}()
	t.Cleanup(func() {
		if err := app.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		kill := time.AfterFunc(time.Minute, func() { app.Process.Kill() })
		defer kill.Stop()
		<-ended
		if err := app.Wait(); err != nil || t.Failed() {
			t.Errorf("Bolt ended with %v and said:\n%s", err, stderr.String())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("Bolt did not start:\n%s", stderr.String())
	case <-time.After(2 * time.Minute):
		t.Fatal("Bolt did not connect within two minutes")
	}
}

// TestBolt checks the server with a client that shares nothing with slack-go: Slack's own framework for
// Node.js, which must connect, answer a command and a button, open and refuse a modal, and publish a home.
func TestBolt(t *testing.T) {
	s := start(t, config())
	startBolt(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	wait := func(what string, cond func(slack.State) bool) slack.State {
		t.Helper()
		st, err := s.WaitFor(ctx, cond)
		if err != nil {
			t.Fatalf("waiting for %s: %v; the calls were %+v", what, err, s.Calls())
		}
		return st
	}

	inv, err := s.Slash(ctx, alice, general, "/bolt", "<hi> @bob.b")
	if err != nil || !inv.Acked {
		t.Fatalf("the command: %+v, %v", inv, err)
	}
	st := wait("the answer to the command", func(st slack.State) bool { return len(st.Visible(alice, general)) == 2 })
	seen := st.Visible(alice, general)
	if seen[0].Text != "got &lt;hi&gt; <@U0BOB|bob.b>" || seen[1].Shown() != "Press *it*\nPress" || len(st.Visible(bob, general)) != 0 {
		t.Errorf("the person sees %+v", seen)
	}

	if inv, err = s.Click(ctx, alice, seen[1].Target(), slack.Action{ID: "press"}); err != nil || !inv.Acked {
		t.Fatalf("the click: %+v, %v", inv, err)
	}
	st = wait("the modal", func(st slack.State) bool { return len(st.Views(alice)) == 1 })
	if m := st.Visible(alice, general)[1]; m.Text != "pressed v1" || m.Blocks != nil {
		t.Errorf("the button's message became %+v", m)
	}

	view := st.Views(alice)[0]
	if inv, err = s.SubmitView(ctx, alice, view.ID, map[string][]string{"text": {"bad"}}); err != nil || !inv.Acked {
		t.Fatalf("the submission: %+v, %v", inv, err)
	}
	if v := s.Views(alice); len(v) != 1 || v[0].Errors["summary"] != "Not that." {
		t.Errorf("after a refused submission the views are %+v", v)
	}
	if inv, err = s.SubmitView(ctx, alice, view.ID, map[string][]string{"summary": {"good"}, "where": {"docs", "registry"}}); err != nil || !inv.Acked {
		t.Fatalf("the submission: %+v, %v", inv, err)
	}
	wait("the message after the submission", func(st slack.State) bool {
		return slices.ContainsFunc(st.Messages(general), func(m slack.Message) bool { return m.Text == "summary: good" })
	})
	if v := s.Views(alice); len(v) != 1 || v[0].Shown() != "updated: docs registry" {
		t.Errorf("after an update the views are %+v", v)
	}
	if inv, err = s.SubmitView(ctx, alice, view.ID, nil); err != nil || !inv.Acked {
		t.Fatalf("the submission: %+v, %v", inv, err)
	}
	pushed := s.Views(alice)
	if len(pushed) != 2 || pushed[1].Shown() != "pushed" {
		t.Fatalf("after a push the views are %+v", pushed)
	}
	if inv, err = s.SubmitView(ctx, alice, pushed[1].ID, nil); err != nil || !inv.Acked || len(s.Views(alice)) != 0 {
		t.Errorf("after clear: %+v, %v, %+v", inv, err, s.Views(alice))
	}

	if inv, err = s.Slash(ctx, alice, general, "/who", ""); err != nil || !inv.Acked {
		t.Fatalf("the command: %+v, %v", inv, err)
	}
	wait("who is there", func(st slack.State) bool {
		return slices.ContainsFunc(st.Visible(alice, general), func(m slack.Message) bool {
			return strings.HasPrefix(m.Text, "America/Toronto -") && strings.HasSuffix(m.Text, "00 deployers U0ALICE,U0BOB")
		})
	})

	if inv, err = s.OpenHome(ctx, bob); err != nil || !inv.Acked {
		t.Fatalf("the home: %+v, %v", inv, err)
	}
	st = wait("the home", func(st slack.State) bool { _, ok := st.Home(bob); return ok })
	if home, _ := st.Home(bob); home.Shown() != "Hello <@U0BOB>" {
		t.Errorf("the home shows %q", home.Shown())
	}
	home, _ := st.Home(bob)
	if inv, err = s.Select(ctx, bob, home.Target(), slack.Action{ID: "home"}, "registry"); err != nil || !inv.Acked {
		t.Fatalf("the choice: %+v, %v", inv, err)
	}
	wait("the home anew", func(st slack.State) bool { v, _ := st.Home(bob); return v.Shown() == "chose registry" })

	s.Cut()
	wait("Bolt to come back", func(st slack.State) bool { return len(st.Connections) == 1 })
	if inv, err = s.Slash(ctx, bob, general, "/bolt", "again"); err != nil || !inv.Acked {
		t.Errorf("after the reconnection: %+v, %v", inv, err)
	}
}
