package demo

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// logKept is how many lines of the bot's log the page can show.
const logKept = 100

// A botState is what the bot is doing.
type botState string

const (
	botStarting botState = "starting"
	botRunning  botState = "running"
	botKilled   botState = "killed"
	botEnded    botState = "ended" // by itself, which it should not
)

// A bot is a process that runs the bot, or that did.
type bot struct {
	command []string
	env     []string
	clock   *clock
	log     *slog.Logger
	changed func()

	mu      sync.Mutex
	state   botState
	starts  int
	process *exec.Cmd
	input   io.WriteCloser
	exited  chan struct{} // closed when process has ended and its log was read
	lines   []string
	closed  bool
}

// start starts the bot, unless it runs.
func (b *bot) start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.state == botStarting || b.state == botRunning {
		return errors.New("the bot runs already")
	}
	process := exec.Command(b.command[0], b.command[1:]...)
	process.Env = b.env
	input, err := process.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting the bot: %w", err)
	}
	stderr, err := process.StderrPipe()
	if err != nil {
		return fmt.Errorf("starting the bot: %w", err)
	}
	if err := process.Start(); err != nil {
		return fmt.Errorf("starting the bot: %w", err)
	}
	b.process, b.input, b.exited = process, input, make(chan struct{})
	b.state = botStarting
	b.starts++
	b.tellTime()
	b.changed()
	go b.follow(process, stderr, b.exited)
	return nil
}

// follow reads the log of a process and waits for its end.
func (b *bot) follow(process *exec.Cmd, stderr io.Reader, exited chan<- struct{}) {
	defer close(exited)
	for reader := bufio.NewReader(stderr); ; {
		line, err := reader.ReadString('\n')
		if line != "" {
			b.hear(process, line)
		}
		if err != nil {
			break
		}
	}
	err := process.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process == process && b.state != botKilled {
		b.state = botEnded
		if !b.closed {
			last := ""
			if n := len(b.lines); n > 0 {
				last = b.lines[n-1]
			}
			b.log.Error("the bot has ended by itself", "error", err, "last", last)
		}
	}
	b.changed()
}

// hear takes in a line of the log.
func (b *bot) hear(process *exec.Cmd, line string) {
	var event struct{ Msg string }
	ready := json.Unmarshal([]byte(line), &event) == nil && event.Msg == "ready"
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	b.lines = slices.Clone(b.lines[max(0, len(b.lines)-logKept):])
	if ready && b.process == process && b.state == botStarting {
		b.state = botRunning
	}
	b.changed()
}

// kill ends the bot at once, and waits until it is gone.
func (b *bot) kill() error {
	b.mu.Lock()
	if b.state != botStarting && b.state != botRunning {
		b.mu.Unlock()
		return errors.New("the bot doesn't run")
	}
	b.state = botKilled
	err := b.process.Process.Kill()
	exited := b.exited
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("killing the bot: %w", err)
	}
	<-exited
	return nil
}

// tellTime tells the bot how far its clock is ahead. A bot that is gone misses
// nothing: it is told when it is started. b.mu is held.
func (b *bot) tellTime() { _, _ = fmt.Fprintln(b.input, b.clock.Skipped()) }

// skip moves the clock ahead.
func (b *bot) skip(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock.skip(d)
	if b.input != nil {
		b.tellTime()
	}
	b.changed()
}

// close ends the bot for good.
func (b *bot) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	_ = b.kill() // there may be none
}

// botView is the bot as the page shows it.
type botView struct {
	State  botState `json:"state"`
	Starts int      `json:"starts"`
}

func (b *bot) view() botView {
	b.mu.Lock()
	defer b.mu.Unlock()
	return botView{b.state, b.starts}
}

// logLines are the last lines of the log, the oldest first.
func (b *bot) logLines() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lines
}
