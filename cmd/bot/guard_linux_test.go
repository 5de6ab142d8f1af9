package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal is the far side of one: what is typed, and what is shown.
type terminal struct {
	*os.File
	shown *syncBuffer
}

// onTerminal starts a shell command with a terminal of its own.
func onTerminal(t *testing.T, w *world, script string) (*terminal, *exec.Cmd) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	raw, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := -1
	var failed error
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	near, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	c := exec.Command("bash", "-c", script, binary(t))
	c.Dir, c.Env = w.dir, w.environment()
	c.Stdin, c.Stdout, c.Stderr = near, near, near
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{far, &syncBuffer{}}
	go io.Copy(term.shown, far)
	t.Cleanup(func() {
		c.Process.Kill()
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", term.shown)
		}
	})
	return term, c
}

func (term *terminal) shows(t *testing.T, text string) {
	t.Helper()
	eventually(t, "“"+text+"” on the terminal", func() bool { return strings.Contains(term.shown.String(), text) })
}

const ctrlC = "\x03"

// What the terminal sends, the command gets once, and it has the terminal.
func TestGuardOnTerminal(t *testing.T) {
	w := newGuarded(t)
	term, shell := onTerminal(t, w, `"$0" guard --as 'Ana Díaz' -- bash -c '
		trap "n=\$((n + 1)); echo interrupt \$n" INT
		[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && stty size >/dev/null && echo has the terminal
		while read -r line || true; do eval "$line"; done'; echo "status $?"`)
	term.shows(t, "has the terminal")
	io.WriteString(term, ctrlC)
	term.shows(t, "interrupt 1")
	// A signal that is passed on comes after whatever was passed on before.
	guard := childOf(t, shell.Process.Pid)
	io.WriteString(term, "trap \"echo total \\$n.\" USR1\n")
	io.WriteString(term, "echo trapped\n")
	term.shows(t, "\ntrapped")
	syscall.Kill(guard, syscall.SIGUSR1)
	term.shows(t, "total 1.")
	io.WriteString(term, ctrlC)
	term.shows(t, "interrupt 2")
	io.WriteString(term, "exit 3\n")
	term.shows(t, "status 3")
}

// childOf is the one child of a process.
func childOf(t *testing.T, pid int) (child int) {
	t.Helper()
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := fmt.Sscan(string(list), &child); n != 1 || err != nil {
		t.Fatalf("children %q: %v", list, err)
	}
	return child
}

// Where Ctrl-C ends the command, the script around it ends too, as it would
// without a guard.
func TestGuardInterruptedScript(t *testing.T) {
	w := newGuarded(t)
	term, shell := onTerminal(t, w, `"$0" guard --as 'Ana Díaz' -- sh -c 'echo ready; exec sleep 1000'; echo went on`)
	term.shows(t, "ready")
	io.WriteString(term, ctrlC)
	shell.Wait()
	if s := shell.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGINT || strings.Contains(term.shown.String(), "went on") {
		t.Errorf("the script ended with %v", shell.ProcessState)
	}
}

// A command that Ctrl-C ends may be gone before the guard has the signal itself.
func TestGuardOfAnInterruptedCommand(t *testing.T) {
	w := newGuarded(t)
	_, guard := onTerminal(t, w, `exec "$0" guard --as 'Ana Díaz' -- sh -c 'kill -INT $$'`)
	guard.Wait()
	if s := guard.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGINT {
		t.Errorf("the guard ended with %v", guard.ProcessState)
	}
}

// Ctrl-Z stops the command and its guard, and fg takes up both.
func TestGuardJobControl(t *testing.T) {
	w := newGuarded(t)
	term, _ := onTerminal(t, w, `set -m
		"$0" guard --as 'Ana Díaz' -- bash -c 'echo ready; read -r line; echo "read $line"; exit 4'
		echo "status $?"; fg; echo "status $?"`)
	term.shows(t, "ready")
	io.WriteString(term, "\x1a")
	term.shows(t, "status 148")
	io.WriteString(term, "on\n")
	term.shows(t, "read on")
	term.shows(t, "status 4")
}
