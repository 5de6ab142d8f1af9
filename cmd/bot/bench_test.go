package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// percentiles reports the 50th and 99th percentile of what was measured.
func percentiles(b *testing.B, what string, d []time.Duration) {
	at := func(p float64) float64 { return float64(quantile(d, p)) / float64(time.Millisecond) }
	b.ReportMetric(at(.5), what+"-p50-ms")
	b.ReportMetric(at(.99), what+"-p99-ms")
}

// quantile sorts d and returns its p-quantile; 0 where there is nothing.
func quantile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(p*float64(len(d))))]
}

// resident is a process's memory in MiB, by the kernel.
func resident(b testing.TB, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("no /proc to read a process's memory from")
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(n) / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// BenchmarkStart measures the time from starting the program to its connection
// to Slack, and to its being ready; its memory then, and the binary's size.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b, slacksTimes)
	binary(b)
	var connected, ready []time.Duration
	var memory float64
	for range b.N {
		began := time.Now()
		bot := w.start(b)
		w.until(b, "the socket", func() bool { return len(w.slack.State().Connections) > 0 })
		connected = append(connected, time.Since(began))
		bot.waitLog(b, `"msg":"ready"`)
		ready = append(ready, time.Since(began))
		memory = resident(b, bot.command.Process.Pid)
		bot.stop(b)
		w.until(b, "the socket's end", func() bool { return len(w.slack.State().Connections) == 0 })
	}
	percentiles(b, "connected", connected)
	percentiles(b, "ready", ready)
	b.ReportMetric(memory, "MiB")
	info, err := os.Stat(binary(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "binary-MB")
}

// BenchmarkAcknowledge measures the time from an envelope to its
// acknowledgement at 50 commands a second, takes and releases in turn, and the
// memory after them.
func BenchmarkAcknowledge(b *testing.B) {
	w := newWorld(b, slacksTimes)
	bot := w.serve(b)
	idle := resident(b, bot.command.Process.Pid)
	acknowledged(b, func(i int) (*slack.Invocation, error) {
		user, text := []string{ana, bob}[i%2], []string{"take", "release"}[i/2%2]
		return w.slack.Slash(b.Context(), user, channel, "/deploy-token", text)
	})
	b.ReportMetric(idle, "idle-MiB")
	b.ReportMetric(resident(b, bot.command.Process.Pid), "after-MiB")
}

// BenchmarkClick measures the time from a click to its acknowledgement at 50
// clicks a second: of those that are recorded first, and of those that open a
// form, whose first words are looked up first.
func BenchmarkClick(b *testing.B) {
	for _, bb := range []struct{ name, user, action string }{{"recorded", bob, "ask"}, {"form", ana, "release"}} {
		b.Run(bb.name, func(b *testing.B) {
			w := newWorld(b, slacksTimes)
			w.serve(b)
			w.slash(b, ana, "/deploy-token", "take the registry")
			on := w.announced(b, "the registry").Target()
			acknowledged(b, func(int) (*slack.Invocation, error) {
				return w.slack.Click(b.Context(), bb.user, on, slack.Action{ID: bb.action})
			})
		})
	}
}

// acknowledged does something b.N times, 50 times a second, and reports how long
// the acknowledgements took.
func acknowledged(b *testing.B, do func(i int) (*slack.Invocation, error)) {
	var mu sync.Mutex
	var acks []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	for i := range b.N {
		<-tick.C
		wg.Go(func() {
			inv, err := do(i)
			if err != nil || !inv.Acked {
				b.Errorf("%+v %v", inv, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, inv.Latency)
		})
	}
	wg.Wait()
	b.StopTimer()
	if b.N > 1 {
		percentiles(b, "ack", acks)
	}
}

// BenchmarkTakeRelease measures the time from a command to its answer, and the
// requests to the document that it takes.
func BenchmarkTakeRelease(b *testing.B) {
	w := newWorld(b, slacksTimes)
	w.config["GOOGLE_WATCH_INTERVAL"] = "1h"
	w.serve(b)
	requests := func() (n int) {
		for _, r := range w.google.Requests() {
			if strings.Contains(r.Path, "/v1/documents/") {
				n++
			}
		}
		return n
	}
	var answers []time.Duration
	before := requests()
	b.ResetTimer()
	for range b.N {
		for _, text := range []string{"take", "release"} {
			began := time.Now()
			w.slash(b, ana, "/deploy-token", text)
			answers = append(answers, time.Since(began))
		}
	}
	b.StopTimer()
	percentiles(b, "answer", answers)
	b.ReportMetric(float64(requests()-before)/float64(2*b.N), "document-requests/command")
}
