package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
)

// newGuarded is a world in which Ana holds the token, for a guard that may read
// the document and has nothing else: no Slack token, no spreadsheet, no store.
func newGuarded(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	share(t, w, "document1", google.Viewer)
	w.config = map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": w.config["GOOGLE_APPLICATION_CREDENTIALS"],
		"GOOGLE_DOCUMENT":                "document1",
		"GOOGLE_ENDPOINT":                w.config["GOOGLE_ENDPOINT"],
		"GOOGLE_WATCH_INTERVAL":          "100ms",
		"STORE_URL":                      "sqlite:/nowhere/store.db",
	}
	w.holds(t, "Ana Díaz")
	return w
}

func (w *world) holds(t *testing.T, name string) {
	t.Helper()
	if err := w.document.SetHolder(person, name); err != nil {
		t.Fatal(err)
	}
}

// guard runs a guarded command to its end.
func (w *world) guard(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := exec.Command(binary(t), append([]string{"guard"}, args...)...)
	c.Dir, c.Env = w.dir, w.environment()
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestGuardIsTransparent(t *testing.T) {
	w := newGuarded(t)
	files := map[string]struct {
		content string
		mode    os.FileMode
	}{
		"plain":       {"#!/bin/sh\n", 0o644},
		"no-first":    {"echo it ran\n", 0o755},
		"interpreter": {"#!/nowhere/python\n", 0o755},
		"script":      {"#!/bin/sh\necho \"$#: $*\"\n", 0o755},
	}
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(f.content), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		args    []string
		stdin   string
		status  int
		stdout  string
		refuses string // what guard itself says
	}{
		{name: "success", args: []string{"--", "true"}},
		{name: "failure", args: []string{"--", "sh", "-c", "echo out; echo err >&2; exit 7"}, status: 7, stdout: "out\n", refuses: "err"},
		{name: "an exit status that guard has, too", args: []string{"--", "sh", "-c", "exit 5"}, status: 5},
		{name: "a signal", args: []string{"--", "sh", "-c", "kill -TERM $$"}, status: 128 + 15},
		{name: "another", args: []string{"--", "sh", "-c", "kill -KILL $$"}, status: 128 + 9},
		{name: "what SIGINT ended without a terminal", args: []string{"--", "sh", "-c", "kill -INT $$"}, status: 128 + 2},
		{name: "standard input", args: []string{"--", "cat"}, stdin: "a\nb", stdout: "a\nb"},
		{name: "flags that are the command's", args: []string{"./script", "--as", "Bob", "--", "x y"}, stdout: "4: --as Bob -- x y\n"},
		{name: "the name written otherwise", args: []string{"--as", "  ana DI\u0301AZ ", "--", "true"}},
		{name: "no such command", args: []string{"--", "no-such-command"}, status: 127, refuses: "bot guard: no-such-command can't be run: there is no such command in PATH"},
		{name: "no such file", args: []string{"--", "./no-such-file"}, status: 127, refuses: "there is no such file"},
		{name: "no such interpreter", args: []string{"--", "./interpreter"}, status: 127, refuses: "the interpreter that its first line names isn't there"},
		{name: "not executable", args: []string{"--", "./plain"}, status: 126, refuses: "chmod +x"},
		{name: "a folder", args: []string{"--", "./"}, status: 126, refuses: "it is a folder"},
		{name: "neither program nor script", args: []string{"--", "./no-first"}, status: 126, refuses: "#!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := w.guard(t, tt.stdin, append([]string{"--as", "Ana Díaz"}, tt.args...)...)
			if status != tt.status || stdout != tt.stdout || (tt.refuses == "") != (stderr == "") || !strings.Contains(stderr, tt.refuses) {
				t.Errorf("status %d, wrote %q and %q", status, stdout, stderr)
			}
		})
	}
}

func TestGuardRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		make   func(*testing.T, *world)
		args   []string
		status int
		says   []string
	}{
		{"nobody holds it", func(t *testing.T, w *world) { w.holds(t, "Nobody") }, nil, 5, []string{"nobody holds", "/deploy-token take", "/document1/"}},
		{"somebody else does", func(t *testing.T, w *world) { w.holds(t, "Bob Ray") }, nil, 5, []string{"Bob Ray holds", "not Ana Díaz", "/document1/"}},
		{"the name without its accent", func(t *testing.T, w *world) { w.holds(t, "Ana Diaz") }, nil, 5, []string{"--as 'Ana Diaz'"}},
		{"the document is unclear", func(t *testing.T, w *world) { w.holds(t, "Ana Díaz Nobody") }, nil, 5, []string{"clearly", "Leave one of the two"}},
		{"Google is slow", func(t *testing.T, w *world) {
			w.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.DelayRequest})
		}, nil, 1, []string{"can't be found out", "took too long"}},
		{"Google has trouble", func(t *testing.T, w *world) {
			w.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.FailBefore})
		}, nil, 1, []string{"can't be found out", "503"}},
		{"Google can't be reached", func(_ *testing.T, w *world) { w.google.Close() }, nil, 1, []string{"can't be found out", "can't be reached"}},
		{"the document isn't shared", func(t *testing.T, w *world) { share(t, w, "document1", google.NoAccess) }, nil, 1, []string{botAccount}},
		{"no document is configured", func(_ *testing.T, w *world) { delete(w.config, "GOOGLE_DOCUMENT") }, nil, 1, []string{"GOOGLE_DOCUMENT"}},
		{"nobody is named", func(*testing.T, *world) {}, []string{"--as", " "}, 2, []string{"--as"}},
		{"--without alone", func(*testing.T, *world) {}, []string{"--without", "tmux"}, 2, []string{"--busy"}},
		{"a check that there isn't", func(*testing.T, *world) {}, []string{"--busy", "--without", "cpu"}, 2, []string{"cpu"}},
		{"--busy without Kingfisher", func(*testing.T, *world) {}, []string{"--busy"}, 1, []string{"kingfisher: missing"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newGuarded(t)
			tt.make(t, w)
			args := append([]string{"--as", "Ana Díaz"}, tt.args...)
			status, stdout, stderr := w.guard(t, "", append(args, "--", "touch", "it-ran")...)
			if status != tt.status || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d: %s%s", status, stdout, stderr)
			}
			for _, part := range tt.says {
				if !strings.Contains(stderr, part) {
					t.Errorf("doesn't say %q: %s", part, stderr)
				}
			}
			if _, err := os.Stat(filepath.Join(w.dir, "it-ran")); err == nil {
				t.Error("the command ran")
			}
		})
	}
	t.Run("no command", func(t *testing.T) {
		w := newGuarded(t)
		if status, _, stderr := w.guard(t, "", "--as", "Ana Díaz"); status != 2 || !strings.Contains(stderr, "what to run") {
			t.Errorf("status %d: %s", status, stderr)
		}
	})
}

func TestGuardBusy(t *testing.T) {
	whole := newWorld(t)
	whole.holds(t, "Ana Díaz")
	run := func(args ...string) (int, string, string) {
		t.Helper()
		return whole.guard(t, "", append(append([]string{"--as", "Ana Díaz", "--busy"}, args...), "--", "echo", "ran")...)
	}
	if status, out, stderr := run(); status != 0 || out != "ran\n" || stderr != "" {
		t.Errorf("idle: status %d: %s%s", status, out, stderr)
	}
	if _, err := whole.kingfisher.StartSpider(kingfisher.Spider{Project: "kingfisher", Name: "honduras_portal"}); err != nil {
		t.Fatal(err)
	}
	if status, out, stderr := run(); status != 3 || out != "" || !strings.Contains(stderr, "honduras_portal") || !strings.Contains(stderr, "bot guard: Kingfisher is busy, so nothing was run") {
		t.Errorf("busy: status %d: %s%s", status, out, stderr)
	}
	if status, out, stderr := run("--without", "scrapyd"); status != 0 || out != "ran\n" {
		t.Errorf("without Scrapyd: status %d: %s%s", status, out, stderr)
	}
	whole.kingfisher.Close()
	if status, out, stderr := run("--without", "scrapyd,postgres"); status != 4 || out != "" || !strings.Contains(stderr, "unknown") {
		t.Errorf("unknown: status %d: %s%s", status, out, stderr)
	}
	whole.holds(t, "Bob Ray")
	if status, _, stderr := run(); status != 5 || !strings.Contains(stderr, "Bob Ray") || strings.Contains(stderr, "Kingfisher") {
		t.Errorf("not held: status %d: %s", status, stderr)
	}
}

// A guarded command that runs.
type guarded struct {
	command *exec.Cmd
	stdout  *syncBuffer
	stderr  *syncBuffer
	stdin   io.WriteCloser
	exited  chan struct{}
}

// startGuard starts a guarded command, and waits until it says that it is ready.
func (w *world) startGuard(t *testing.T, args ...string) *guarded {
	t.Helper()
	g := &guarded{stdout: &syncBuffer{}, stderr: &syncBuffer{}, exited: make(chan struct{})}
	g.command = exec.Command(binary(t), append([]string{"guard", "--as", "Ana Díaz"}, args...)...)
	g.command.Dir, g.command.Env = w.dir, w.environment()
	g.command.Stdout, g.command.Stderr = g.stdout, g.stderr
	g.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
	var err error
	if g.stdin, err = g.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := g.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(g.exited)
		g.command.Wait()
	}()
	t.Cleanup(func() {
		syscall.Kill(-g.command.Process.Pid, syscall.SIGKILL)
		<-g.exited
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", g.stdout, g.stderr)
		}
	})
	eventually(t, "the command's start", func() bool { return g.stdout.line("ready") != "" })
	return g
}

// status waits for the guard's end.
func (g *guarded) status(t *testing.T) int {
	t.Helper()
	select {
	case <-g.exited:
		return g.command.ProcessState.ExitCode()
	case <-time.After(60 * time.Second):
		t.Fatal("the guard has not ended")
		return -1
	}
}

func (g *guarded) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, "“"+text+"” on standard error", func() bool { return g.stderr.line(text) != "" })
}

// untilTold reads lines and does what they say: so it ends when it is told to,
// whatever signals it gets.
const untilTold = `echo ready; while read -r line; do eval "$line"; done`

func (g *guarded) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(g.stdin, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// Every signal to the guard alone reaches the command, once.
func TestGuardPassesSignals(t *testing.T) {
	w := newGuarded(t)
	for name, s := range map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	} {
		t.Run(name, func(t *testing.T) {
			// With a program of its own for the shell to wait for, a trap would come late.
			g := w.startGuard(t, "--", "bash", "-c", `trap 'echo got `+name+`' `+name+`; `+untilTold)
			for i := range 2 {
				g.command.Process.Signal(s)
				eventually(t, "the signal", func() bool { return strings.Count(g.stdout.String(), "got") == i+1 })
			}
			g.tell(t, "exit 9")
			if status := g.status(t); status != 9 {
				t.Errorf("status %d", status)
			}
			if got := g.stdout.String(); strings.Count(got, "got "+name) != 2 || g.stderr.String() != "" {
				t.Errorf("wrote %q", got)
			}
		})
	}
	t.Run("untrapped", func(t *testing.T) {
		g := w.startGuard(t, "--", "bash", "-c", untilTold)
		g.command.Process.Signal(syscall.SIGTERM)
		if status := g.status(t); status != 128+15 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("ignored from before", func(t *testing.T) {
		c := exec.Command("bash", "-c", `trap '' INT HUP; exec "$0" guard --as "Ana Díaz" -- sh -c 'kill -INT $$; kill -HUP $$; echo alive'`, binary(t))
		c.Env = w.environment()
		if out, err := c.CombinedOutput(); err != nil || string(out) != "alive\n" {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("before the command", func(t *testing.T) {
		id := w.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.DelayRequest})
		defer w.google.RemoveFault(id)
		c := exec.Command(binary(t), "guard", "--as", "Ana Díaz", "--", "touch", "it-ran")
		c.Dir, c.Env = w.dir, w.environment()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the read", func() bool {
			for _, f := range w.google.Faults() {
				if f.ID == id {
					return f.Waiting > 0
				}
			}
			return false
		})
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
		if status := c.ProcessState.ExitCode(); status != 128+15 {
			t.Errorf("status %d", status)
		}
		if _, err := os.Stat(filepath.Join(w.dir, "it-ran")); err == nil {
			t.Error("the command ran")
		}
	})
}

// What becomes of the token while the command runs is said, and ends nothing.
func TestGuardWarns(t *testing.T) {
	w := newGuarded(t)
	g := w.startGuard(t, "--", "bash", "-c", untilTold)
	w.holds(t, "Bob Ray")
	g.says(t, "bot guard: Ana Díaz doesn't hold the deploy token any more, but Bob Ray does.")
	w.holds(t, "Ana Díaz")
	g.says(t, "says again that Ana Díaz holds")
	w.holds(t, "Ana Díaz Nobody")
	g.says(t, "The command goes on: mend the document.")
	w.holds(t, "Ana Díaz")
	eventually(t, "the clear document", func() bool { return strings.Count(g.stderr.String(), "says again") == 2 })
	const unknown = "can't be found out any more whether Ana Díaz holds"
	said := strings.Count(g.stderr.String(), unknown)
	id := w.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.FailBefore})
	eventually(t, "a warning", func() bool { return strings.Count(g.stderr.String(), unknown) > said })
	hits := func() int {
		for _, f := range w.google.Faults() {
			if f.ID == id {
				return f.Hits
			}
		}
		return 0
	}
	before := hits()
	eventually(t, "more attempts", func() bool { return hits() > before+5 })
	if n := strings.Count(g.stderr.String(), unknown); n != said+1 {
		t.Errorf("warned %d times", n-said)
	}
	w.google.RemoveFault(id)
	g.says(t, "can be read again: Ana Díaz holds")
	g.tell(t, "exit 0")
	if status := g.status(t); status != 0 {
		t.Errorf("status %d", status)
	}
}

// A strict guard stops the command when somebody else has the token, and not
// when it isn't known.
func TestGuardStrict(t *testing.T) {
	w := newGuarded(t)
	g := w.startGuard(t, "--strict", "--", "bash", "-c", `trap 'echo got TERM; exit 0' TERM; `+untilTold)
	w.holds(t, "Ana Díaz Nobody")
	g.says(t, "clearly")
	w.holds(t, "Ana Díaz")
	g.says(t, "says again")
	id := w.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.DropBefore})
	g.says(t, "can't be found out any more")
	w.google.RemoveFault(id)
	g.says(t, "can be read again")
	g.tell(t, "echo still")
	eventually(t, "the command, still there", func() bool { return g.stdout.line("still") != "" })
	w.holds(t, "Bob Ray")
	if status := g.status(t); status != 5 {
		t.Errorf("status %d", status)
	}
	if g.stdout.line("got TERM") == "" || g.stderr.line("The command is being stopped") == "" || g.stderr.line("bot guard: the command was stopped because the deploy token was lost (exit status 0)") == "" {
		t.Error("not stopped as it should be")
	}
}
