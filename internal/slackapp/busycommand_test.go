package slackapp

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A steppedChecker makes the busy checks one by one, as a test says.
type steppedChecker struct {
	began chan struct{}
	steps chan deploytoken.CheckResult // closed: the report
}

func newSteppedChecker() *steppedChecker {
	return &steppedChecker{began: make(chan struct{}, 10), steps: make(chan deploytoken.CheckResult)}
}

func (c *steppedChecker) Busy(ctx context.Context, checks []string, progress func(deploytoken.CheckResult)) deploytoken.BusyReport {
	c.began <- struct{}{}
	var report deploytoken.BusyReport
	for {
		select {
		case r, ok := <-c.steps:
			if !ok {
				return report
			}
			if r.Check == "panic" {
				panic("busy")
			}
			report.Checks = append(report.Checks, r)
			progress(r)
		case <-ctx.Done():
			return report
		}
	}
}

func idle(check string) deploytoken.CheckResult {
	return deploytoken.CheckResult{Check: check, State: deploytoken.Idle}
}

func busyText(pending []string, checks ...deploytoken.CheckResult) string {
	return busyMessage(deploytoken.BusyReport{Checks: checks}, pending, "U1", busyOptions{}).Text
}

func runBusy(t *testing.T) (*ranInbound, *steppedChecker) {
	checker := newSteppedChecker()
	r := runInbound(t, func(c *InboundConfig, _ *recordedCommands) { c.Busy = checker })
	r.busy.pause = 0
	return r, checker
}

func TestBusyIsAnsweredAsItComesIn(t *testing.T) {
	r, checker := runBusy(t)
	r.slack.slash(r.conn, "b", "U1", "/kingfisher", "busy")
	if a := r.conn.ack(); a.Payload != nil {
		t.Errorf("acknowledged with %+v", a.Payload)
	}
	await(t, checker.began, "the checks")
	want := []string{busyText(deploytoken.Checks())}
	expect := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("there are %d answers", n), func() bool { return len(r.slack.told("b")) >= n })
		for i, a := range r.slack.told("b") {
			if a.Text != want[i] {
				t.Errorf("answer %d is %q, want %q", i+1, a.Text, want[i])
			}
		}
	}
	expect(1)
	checker.steps <- idle(deploytoken.CheckTmux)
	want = append(want, busyText([]string{deploytoken.CheckScrapyd, deploytoken.CheckPostgres}, idle(deploytoken.CheckTmux)))
	expect(2)
	checker.steps <- idle(deploytoken.CheckScrapyd)
	want = append(want, busyText([]string{deploytoken.CheckPostgres}, idle(deploytoken.CheckScrapyd), idle(deploytoken.CheckTmux)))
	expect(3)
	// The last answer is tried once more, within the five that Slack takes.
	r.slack.mu.Lock()
	r.slack.refuse = 1
	r.slack.mu.Unlock()
	checker.steps <- idle(deploytoken.CheckPostgres)
	close(checker.steps)
	eventually(t, "the report is there twice", func() bool { return len(r.slack.told("b")) == 5 })
	told := r.slack.told("b")
	if told[3] != told[4] || told[4].Text == told[2].Text {
		t.Errorf("the last answers are %+v", told[2:])
	}
}

func TestBusyIsSharedWhileFresh(t *testing.T) {
	r, checker := runBusy(t)
	now := time.Now()
	r.busy.now = func() time.Time { return now }
	first := r.busy.join()
	await(t, checker.began, "the checks")
	eventually(t, "the time of the beginning is known", func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return !first.began.IsZero()
	})
	if r.busy.join() != first {
		t.Error("two requests at once are two runs")
	}
	now = now.Add(busyShared + time.Millisecond)
	second := r.busy.join()
	if second == first {
		t.Error("a request shares a run that began too long before it")
	}
	await(t, checker.began, "the second run")
	eventually(t, "the time of the second beginning is known", func() bool { return second.freshAt(now) })
	now = now.Add(time.Minute)
	// Both places are taken: all who come now share the run that waits.
	third := r.busy.join()
	now = now.Add(time.Minute)
	if third == second || r.busy.join() != third {
		t.Error("a run that has not begun is not shared")
	}
	select {
	case <-checker.began:
		t.Errorf("more than %d runs at once", busyAtOnce)
	default:
	}
	close(checker.steps)
	for _, run := range []*busyRun{first, second, third} {
		await(t, run.done, "the end of a run")
	}
}

func TestBusyPanic(t *testing.T) {
	r, checker := runBusy(t)
	r.slack.slash(r.conn, "b", "U1", "/kingfisher", "busy")
	r.conn.ack()
	checker.steps <- idle(deploytoken.CheckTmux)
	checker.steps <- deploytoken.CheckResult{Check: "panic"}
	run := r.busy.latest
	await(t, run.done, "the end of the run")
	report, pending, _ := run.state()
	if len(pending) != 0 || len(report.Checks) != 3 || report.State() != deploytoken.Unknown {
		t.Errorf("after a panic, the report is %+v, %v", report, pending)
	}
	for _, c := range report.Checks {
		if c.State == deploytoken.Unknown && c.Reason == "" {
			t.Errorf("%s is unknown for no reason", c.Check)
		}
	}
}

// TestBusyAtShutdown ends the bot while a check hangs: the asker is told.
func TestBusyAtShutdown(t *testing.T) {
	r, checker := runBusy(t)
	r.slack.slash(r.conn, "b", "U1", "/kingfisher", "busy")
	r.conn.ack()
	eventually(t, "the beginning is answered", func() bool { return len(r.slack.told("b")) == 1 })
	checker.steps <- idle(deploytoken.CheckTmux)
	eventually(t, "the first check is answered", func() bool { return len(r.slack.told("b")) == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := r.Shutdown(ctx); err == nil {
		t.Error("Shutdown does not say that it interrupted the checks")
	}
	told := r.slack.told("b")
	if len(told) != 3 || told[2].Text == told[1].Text {
		t.Errorf("told %+v", told)
	}
}
