package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/app"
)

// TestAudit: what was decided can be looked up beside the running bot, and
// exported.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if status, _, stderr := w.bot(t, "audit"); status != 1 || !strings.Contains(stderr, "no store yet: the bot makes it when it first starts") {
		t.Errorf("before the bot ran: status %d: %s", status, stderr)
	}
	sqlite := w.config["STORE_URL"]
	w.config["STORE_URL"] = "postgres://bot:hunter2@" + closedAddress(t) + "/db"
	if status, _, stderr := w.bot(t, "audit"); status != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "see that it runs") || strings.Contains(stderr, "hunter2") {
		t.Errorf("without the database: status %d: %s", status, stderr)
	}
	w.config["STORE_URL"] = sqlite
	b := w.serve(t)
	w.slash(t, ana, "/deploy-token", "take the registry")
	w.slash(t, bob, "/deploy-token", "take")
	w.slash(t, ana, "/deploy-token", "release upgraded it")
	status, out, stderr := w.bot(t, "audit", "--json")
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	type event struct {
		At                                            time.Time
		Seq                                           int64
		Event, Person, Holding, Name, Command, Detail string
	}
	var events []event
	for line := range strings.Lines(out) {
		var e event
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, e)
	}
	if len(events) != 3 {
		t.Fatalf("%d events: %s", len(events), out)
	}
	for i, want := range []event{{Event: "taken", Person: ana}, {Event: "held", Person: bob}, {Event: "released", Person: ana}} {
		e := events[i]
		if e.Event != want.Event || e.Person != want.Person || e.Name != "Ana Díaz" || e.Command == "" || e.Holding != events[0].Holding || time.Since(e.At) > time.Hour {
			t.Errorf("event %d is %+v", i+1, e)
		}
	}
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"--person", bob}, 1},
		{[]string{"--holding", events[0].Holding, "--limit", "2"}, 2},
		{[]string{"--command", events[2].Command}, 1},
		{[]string{"--since", "1h"}, 3},
		{[]string{"--until", "1h"}, 0},
	} {
		_, out, _ := w.bot(t, append([]string{"audit", "--json"}, tt.args...)...)
		if got := strings.Count(out, "\n"); got != tt.want {
			t.Errorf("%v: %d events, want %d", tt.args, got, tt.want)
		}
	}
	_, out, _ = w.bot(t, "audit")
	if lines := strings.Split(out, "\n"); len(lines) != 5 || !strings.HasPrefix(lines[0], "WHEN") || !strings.Contains(lines[1], "taken") {
		t.Errorf("%s", out)
	}
	for _, args := range [][]string{{"--since", "yesterday"}, {"--limit", "-1"}} {
		if status, _, stderr := w.bot(t, append([]string{"audit"}, args...)...); status != exitUsage || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d: %s", args, status, stderr)
		}
	}
	b.stop(t)
}

func TestParseTime(t *testing.T) {
	zone := time.FixedZone("", -6*3600)
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"":                     {},
		"2026-03-01":           time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC),
		"2026-03-01T09:30":     time.Date(2026, 3, 1, 15, 30, 0, 0, time.UTC),
		"2026-03-01T09:30:00Z": time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC),
		"36h":                  now.Add(-36 * time.Hour),
		"7d":                   now.Add(-7 * 24 * time.Hour),
	} {
		if got, err := parseTime(in, now, zone); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"yesterday", "7 d", "-1h", "-1d", "7d1", "1e9d", "2026-13-01"} {
		if got, err := parseTime(in, now, zone); err == nil {
			t.Errorf("%q is %v", in, got)
		}
	}
}

// TestWriteAuditIsSafe: what people wrote can't steer a terminal.
func TestWriteAuditIsSafe(t *testing.T) {
	var b strings.Builder
	err := app.WriteAudit(&b, []app.AuditEvent{{Event: "held", Name: "Ana\x1b[2J", Detail: "a\tb\nc"}}, false, time.UTC)
	if err != nil || strings.ContainsAny(b.String(), "\x1b\t") || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%q %v", b.String(), err)
	}
}
