package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	// localWithin bounds a git command that stays on the machine.
	localWithin = 30 * time.Second
	// killAfter is how long a command that is ended has to remove its locks.
	killAfter = 3 * time.Second
)

// elsewhere are the variables that point git to another repository than the one
// that it is run in, as they do in hooks: git rev-parse --local-env-vars, but
// for those that configure it.
var elsewhere = []string{
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_OBJECT_DIRECTORY",
	"GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS",
	"GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
}

// environment is git's: it asks nobody for a password, opens no editor, and
// speaks English.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains(elsewhere, name) {
			env = append(env, v)
		}
	}
	return append(env,
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS_REQUIRE=never",
		"GIT_EDITOR=false", "GIT_SEQUENCE_EDITOR=false",
		"GIT_OPTIONAL_LOCKS=0", "LC_ALL=C",
	)
}

// A gitError is why a git command failed.
type gitError struct {
	status  int
	message string
}

func (e *gitError) Error() string { return e.message }

// git runs a git command in the checkout and returns what it wrote.
// Errors: *gitError, where git ran and failed; any other has a text for people,
// too.
func (k *checkout) git(ctx context.Context, within time.Duration, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	all := append([]string{
		"-C", k.Directory, "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.fsmonitor=false",
		"-c", "rebase.autoStash=false", "-c", "rebase.updateRefs=false",
	}, arguments...)
	c := exec.CommandContext(ctx, k.program, all...)
	c.Env = environment()
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	// In a session of its own, neither git nor ssh has a terminal to ask on, and
	// both can be ended together.
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = killAfter
	err := c.Run()
	if err == nil {
		return stdout.String(), nil
	}
	if ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return "", fmt.Errorf("there was no answer within %s", within)
		}
		return "", errors.New("it was interrupted")
	}
	failed, ran := errors.AsType[*exec.ExitError](err)
	if !ran {
		return "", fmt.Errorf("git can't be run: %w", err)
	}
	return "", &gitError{failed.ExitCode(), explain(stderr.String(), failed)}
}

// local runs a git command that stays on the machine.
func (k *checkout) local(ctx context.Context, arguments ...string) (string, error) {
	out, err := k.git(ctx, localWithin, arguments...)
	return strings.TrimSuffix(out, "\n"), err
}

// says tells whether a git command that answers by its exit status says yes.
func (k *checkout) says(ctx context.Context, arguments ...string) bool {
	_, err := k.local(ctx, arguments...)
	return err == nil
}

// credentials are the user name and password in an address.
var credentials = regexp.MustCompile(`://[^/\s'"]*@`)

// explain takes what matters out of git's complaint: its first error, else its
// last line.
func explain(stderr string, err error) string {
	const most = 200
	message := ""
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		for _, prefix := range []string{"fatal: ", "error: ", "ERROR: "} {
			if rest, ok := strings.CutPrefix(line, prefix); ok && rest != "" {
				return cut(mask(rest), most)
			}
		}
		if line != "" {
			message = line
		}
	}
	if message == "" {
		message = "git: " + err.Error()
	}
	return cut(mask(message), most)
}

func mask(text string) string { return credentials.ReplaceAllString(Printable(text), "://[…]@") }

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// Printable is text that does nothing to a terminal: as it is, or quoted as in
// Go.
func Printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(text)
	}
	return text
}

// plain matches what a shell takes as it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./@%+=:,][A-Za-z0-9_./@%+=:,-]*$`)

// quote writes text for a shell; what can't be shown is written as bash, zsh
// and ksh read it.
func quote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	if Printable(text) == text {
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	b.WriteString("'")
	return b.String()
}
