package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// A clock tells the real time and what was skipped of it.
type clock struct{ skipped atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(c.Skipped()) }

// Skipped is how far the clock is ahead.
func (c *clock) Skipped() time.Duration { return time.Duration(c.skipped.Load()) }

func (c *clock) skip(d time.Duration) { c.skipped.Add(int64(d)) }

// Attach ties a bot to the demo that runs it. Through the bot's standard input
// the demo says how far its clock is ahead, a line each time, and that it lives:
// now is the demo's time, and the context ends when the demo does.
func Attach(ctx context.Context, standardInput io.Reader) (attached context.Context, now func() time.Time, err error) {
	lines := bufio.NewScanner(standardInput)
	c := new(clock)
	next := func() error {
		if !lines.Scan() {
			return io.EOF
		}
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			return fmt.Errorf("not how far a clock is ahead: %w", err)
		}
		c.skipped.Store(int64(d))
		return nil
	}
	if err := next(); err != nil {
		return nil, nil, fmt.Errorf("this is run by “bot demo”, which says on standard input what the time is: %w", err)
	}
	attached, end := context.WithCancelCause(ctx)
	go func() {
		for {
			if err := next(); err != nil {
				end(fmt.Errorf("the demo has ended: %w", err))
				return
			}
		}
	}()
	return attached, c.Now, nil
}
