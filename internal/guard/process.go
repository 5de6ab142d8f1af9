package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// The exit statuses of what can't be run, as shells have them.
const (
	StatusNotExecutable = 126
	StatusNotFound      = 127
)

// An Exit is how a command ended.
type Exit struct {
	// Status is its exit status, or 128 and the number of the signal that ended
	// it, as shells have it.
	Status int
	// Interrupted is whether it ended by SIGINT in the foreground of a terminal,
	// as by Ctrl-C. A program that ends by that signal itself then tells the shell
	// script that it is part of to end, too.
	Interrupted bool
}

// A StartError is why a command can't be run.
type StartError struct {
	// Status is StatusNotFound or StatusNotExecutable.
	Status  int
	message string
}

// Error names the command.
func (e *StartError) Error() string { return e.message }

// A process is a command that runs.
type process struct {
	command *exec.Cmd
	name    string
	done    chan struct{} // closed when the command has ended
}

func (p *process) start() error {
	if err := p.command.Start(); err != nil {
		return startError(p.name, p.command.Path, err)
	}
	go func() {
		// What it has to say of how the command ended is in ProcessState.
		_ = p.command.Wait()
		close(p.done)
	}()
	return nil
}

func startError(name, path string, err error) error {
	status, reason := StatusNotExecutable, ""
	_, missing := os.Stat(path)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		status, reason = StatusNotFound, "there is no such command in PATH"
	case errors.Is(err, fs.ErrNotExist) && missing == nil:
		status, reason = StatusNotFound, "the interpreter that its first line names isn't there"
	case errors.Is(err, fs.ErrNotExist):
		status, reason = StatusNotFound, "there is no such file"
	case errors.Is(err, syscall.EISDIR):
		reason = "it is a folder"
	case errors.Is(err, fs.ErrPermission):
		reason = "it isn't executable: see chmod +x"
	case errors.Is(err, syscall.ENOEXEC):
		reason = "it is neither a program for this machine nor a script with #! in its first line"
	default:
		reason = err.Error()
	}
	return &StartError{status, fmt.Sprintf("%s can't be run: %s", printable(name), reason)}
}

// relayed are the signals that are passed on to the command. SIGINT and SIGQUIT
// are not where the terminal has sent them: it sends them to the whole process
// group in its foreground, of which the command is. The signals of job control
// have their usual effect.
var relayed = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
}

// relay has the process's signals sent to the channel until stop is called. It
// leaves alone those that whoever started the process has it ignore (as nohup
// does, and shells for what runs in the background): the command inherits that.
func relay(to chan<- os.Signal) (stop func()) {
	for _, s := range relayed {
		if !signal.Ignored(s) {
			signal.Notify(to, s)
		}
	}
	return func() { signal.Stop(to) }
}

// pass passes a signal on, unless the command has it already.
func (p *process) pass(s os.Signal) {
	if (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground() {
		return
	}
	_ = p.command.Process.Signal(s) // fails only where the command has ended
}

// terminate asks the command to end, and reports whether it ran until then.
func (p *process) terminate() bool { return p.command.Process.Signal(syscall.SIGTERM) == nil }

func (p *process) kill() { _ = p.command.Process.Kill() }

// exit is how the command ended, once it has.
func (p *process) exit() Exit {
	state := p.command.ProcessState
	if w := state.Sys().(syscall.WaitStatus); w.Signaled() {
		return ended(w.Signal())
	}
	return Exit{Status: state.ExitCode()}
}

// ended is how a command ends, or would have if it was started, by s. Whether
// the signal came here too isn't asked: the command may have ended by Ctrl-C
// before it does.
func ended(s os.Signal) Exit {
	return Exit{Status: 128 + int(s.(syscall.Signal)), Interrupted: s == syscall.SIGINT && inForeground()}
}

// inForeground tells whether the process is of the group in the foreground of
// its terminal.
func inForeground() bool {
	tty, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(tty)
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
