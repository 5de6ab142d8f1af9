package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
)

// newCheckout makes a deploy checkout with those within it, and a remote.
func newCheckout(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
			t.Fatal("git is missing")
		}
		t.Skip("git is missing")
	}
	root := t.TempDir()
	git(t, root, "init", "-q", "-b", "main", "seed")
	git(t, root, "-C", "seed", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", "commit", "-q", "--allow-empty", "-m", "first")
	git(t, root, "clone", "-q", "--bare", "seed", "remote")
	for _, to := range []string{"deploy", "deploy/pillar/private", "deploy/salt/private"} {
		git(t, root, "clone", "-q", "remote", to)
	}
	return filepath.Join(root, "deploy")
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func TestPreflight(t *testing.T) {
	dir := newCheckout(t)
	w := newWorld(t)
	w.holds(t, "Bob Ray")
	if _, err := w.kingfisher.StartSpider(kingfisher.Spider{Project: "kingfisher", Name: "honduras_portal"}); err != nil {
		t.Fatal(err)
	}

	// Neither the holder nor what runs changes the exit status.
	status, out, stderr := w.bot(t, "preflight", dir)
	if status != 0 || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
	for _, part := range []string{"deploy: in order, on main", "Ready", "Bob Ray holds", "Kingfisher is busy", "honduras_portal"} {
		if !strings.Contains(out, part) {
			t.Errorf("doesn't say %q:\n%s", part, out)
		}
	}
	if n := strings.Count(out, "\n"); n > 24 {
		t.Errorf("%d lines:\n%s", n, out)
	}

	git(t, dir, "-C", "salt/private", "switch", "-q", "-c", "feature")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		if err := os.WriteFile(filepath.Join(dir, "pillar/private", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, out, _ = w.bot(t, "preflight", dir)
	for _, part := range []string{
		"salt/private: it is on the branch feature, not main.", "/deploy/salt/private switch main.",
		"pillar/private: 7 files or folders are untracked: a, b, c, d, e, and 2 more.", "Not ready: 2 problems.",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("doesn't say %q:\n%s", part, out)
		}
	}
	if status != 1 {
		t.Errorf("status %d", status)
	}

	w.google.Close()
	status, out, _ = w.bot(t, "preflight", "--update", "--json", dir)
	var report struct {
		Ready        *bool
		Stopped      *string
		Repositories []struct {
			Name, Directory, Branch, Commit string
			DefaultBranch                   string `json:"default_branch"`
			Done                            []string
			Problems                        []struct {
				Kind, Message, Remedy string
				Files                 []string
			}
		}
		Token struct{ State, Reason string }
		Busy  struct{ State string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if status != 1 || report.Ready == nil || *report.Ready || report.Stopped == nil || *report.Stopped != "" || len(report.Repositories) != 3 {
		t.Fatalf("status %d: %s", status, out)
	}
	pillar, salt := report.Repositories[1], report.Repositories[2]
	if len(pillar.Problems) != 1 || pillar.Problems[0].Kind != "untracked" || len(pillar.Problems[0].Files) != 7 {
		t.Errorf("%s", out)
	}
	if len(salt.Problems) != 0 || salt.Branch != "main" || salt.DefaultBranch != "main" || len(salt.Done) != 1 || len(salt.Commit) != 40 {
		t.Errorf("%s", out)
	}
	if report.Token.State != "unknown" || report.Token.Reason == "" || report.Busy.State != "busy" {
		t.Errorf("%s", out)
	}
}

// Without a configuration, it says nothing of what it can't know.
func TestPreflightAlone(t *testing.T) {
	dir := newCheckout(t)
	run := func(env []string, args ...string) (int, string, string) {
		t.Helper()
		var out, errs strings.Builder
		c := exec.Command(binary(t), append([]string{"preflight"}, args...)...)
		c.Dir, c.Env = dir, append(env, "PATH="+os.Getenv("PATH"), "HOME="+dir)
		c.Stdout, c.Stderr = &out, &errs
		if err := c.Run(); err != nil && c.ProcessState == nil {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), out.String(), errs.String()
	}
	if status, out, stderr := run(nil); status != 0 || strings.Count(out, "\n") != 4 || stderr != "" {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}
	if status, out, _ := run(nil, "--json"); status != 0 || !strings.Contains(out, `"token":null,"busy":null`) {
		t.Errorf("status %d: %s", status, out)
	}
	if status, out, _ := run([]string{"PREFLIGHT_REPOSITORIES=pillar/private"}); status != 0 || strings.Count(out, "\n") != 2 {
		t.Errorf("status %d: %s", status, out)
	}
	if status, _, stderr := run(nil, "nowhere"); status != 1 || !strings.Contains(stderr, "nowhere is not a folder") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if status, _, stderr := run(nil, "a", "b"); status != 2 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d: %s", status, stderr)
	}
	if status, _, stderr := run([]string{"GOOGLE_DOCUMENT=/"}); status != 1 || !strings.Contains(stderr, "google.document") {
		t.Errorf("status %d: %s", status, stderr)
	}
}
