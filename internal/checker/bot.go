package checker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyWithin bounds how long a process may take until it serves.
const readyWithin = 60 * time.Second

// A replica is one “bot serve”, started again whenever it was killed.
type replica struct {
	binary  string
	env     []string
	logFile string

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{}
	from    int64 // where the running process's lines begin in the log
}

// start starts the process, unless it runs.
func (r *replica) start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.command != nil {
		return nil
	}
	log, err := os.OpenFile(r.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("the bot's log: %w", err)
	}
	defer log.Close()
	end, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("the bot's log: %w", err)
	}
	c := exec.Command(r.binary, "serve")
	c.Env, c.Stdout, c.Stderr = r.env, log, log
	c.SysProcAttr = withParent()
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", r.binary, err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); c.Wait() }()
	r.command, r.ended, r.from = c, ended, end
	return nil
}

// kill ends the process by SIGKILL, and waits for that.
func (r *replica) kill() { r.end(os.Kill) }

// stop asks the process to end, and returns how it did.
func (r *replica) stop() error {
	c := r.end(syscall.SIGTERM)
	if c != nil && c.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("the bot ended with %s; its log is %s", c.ProcessState, r.logFile)
	}
	return nil
}

func (r *replica) end(s os.Signal) *exec.Cmd {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.command
	if c == nil {
		return nil
	}
	c.Process.Signal(s)
	select {
	case <-r.ended:
	case <-time.After(readyWithin):
		c.Process.Kill()
		<-r.ended
	}
	r.command = nil
	return c
}

// ready waits until the process serves.
func (r *replica) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		r.mu.Lock()
		running, ended, from := r.command != nil, r.ended, r.from
		r.mu.Unlock()
		if !running {
			return nil
		}
		log, err := os.ReadFile(r.logFile)
		if err == nil && bytes.Contains(log[min(from, int64(len(log))):], []byte(`"msg":"ready"`)) {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the bot ended by itself; its log is %s", r.logFile)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the bot, whose log is %s: %w", r.logFile, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// claimLost is what a replica meets that was taken for dead while it delivered.
const claimLost = "claim lost alive"

// lostClaims are the deliveries that the log says another replica took over.
func (r *replica) lostClaims() ([]Disruption, error) {
	log, err := os.ReadFile(r.logFile)
	if err != nil {
		return nil, fmt.Errorf("the bot's log: %w", err)
	}
	var out []Disruption
	for line := range bytes.Lines(log) {
		var l struct {
			Time time.Time `json:"time"`
			Msg  string    `json:"msg"`
		}
		if json.Unmarshal(line, &l) == nil && l.Msg == "delivery left to another replica" {
			out = append(out, Disruption{At: l.Time, What: claimLost, Doubles: true})
		}
	}
	return out, nil
}

// Build builds the program from the module in the directory module, as it is
// released, into the directory into, and returns its path.
func Build(ctx context.Context, module, into string) (string, error) {
	// Reading the folders tells “go test” what a test that uses the program
	// depends on: else it would repeat an earlier program's result. What can't be
	// read, the build complains of.
	_ = filepath.WalkDir(module, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != module && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return nil
	})
	path := filepath.Join(into, "bot")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/bot")
	c.Dir = module
	if out, err := c.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("building the bot in %s: %w", module, err), errors.New(string(out)))
	}
	return path, nil
}
