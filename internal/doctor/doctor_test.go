package doctor

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func well(found string) Probe {
	return func(context.Context) (string, string, error) { return found, "", nil }
}

func warns(found, warning string) Probe {
	return func(context.Context) (string, string, error) { return found, warning, nil }
}

func fails(problem string) Probe {
	return func(context.Context) (string, string, error) { return "not said", "not said", Problem(problem) }
}

func TestRun(t *testing.T) {
	minute := func(c Check) Check {
		c.Within = time.Minute
		return c
	}
	for _, tt := range []struct {
		name   string
		checks []Check
		want   []string // state, found, problem and because of each
		state  State
	}{
		{"nothing", nil, nil, OK},
		{"all is well", []Check{{Name: "a", Probe: well("x")}, {Name: "b", Needs: []string{"a"}, Probe: well("")}},
			[]string{"ok x||", "ok ||"}, OK},
		{"a warning keeps nothing from being tried", []Check{{Name: "a", Probe: warns("x", "Mind.")}, {Name: "b", Needs: []string{"a"}, Probe: well("y")}},
			[]string{"warning x|Mind.|", "ok y||"}, Warning},
		{"a failure keeps what needs it from being tried", []Check{
			{Name: "a", Probe: fails("Broken.")}, {Name: "b", Needs: []string{"a"}, Probe: well("")},
			{Name: "c", Needs: []string{"b"}, Probe: well("")}, {Name: "d", Probe: warns("", "Mind.")},
		}, []string{"failed |Broken.|", "skipped ||a", "skipped ||a", "warning |Mind.|"}, Failed},
		{"the first of two that are needed is named", []Check{
			{Name: "a", Probe: well("")}, {Name: "b", Probe: fails("B.")}, {Name: "c", Probe: fails("C.")},
			{Name: "d", Needs: []string{"a", "c", "b"}, Probe: well("")},
		}, []string{"ok ||", "failed |B.|", "failed |C.|", "skipped ||c"}, Failed},
		{"what is left out is no failure", []Check{{Name: "a", Leave: "Not configured."}, {Name: "b", Needs: []string{"a"}, Probe: well("")}},
			[]string{"skipped |Not configured.|", "skipped ||a"}, OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var checks []Check
			for _, c := range tt.checks {
				checks = append(checks, minute(c))
			}
			var reported []Result
			report := Run(t.Context(), checks, func(r Result) { reported = append(reported, r) })
			var got []string
			for _, r := range report.Checks {
				got = append(got, fmt.Sprintf("%s %s|%s|%s", r.State, r.Found, r.Problem, r.Because))
			}
			if !slices.Equal(got, tt.want) || report.State() != tt.state {
				t.Errorf("%s %q, want %s %q", report.State(), got, tt.state, tt.want)
			}
			if !slices.Equal(reported, report.Checks) {
				t.Errorf("reported %+v, returned %+v", reported, report.Checks)
			}
		})
	}
}

// What doesn't wait for another is tried at once, each within its time.
func TestRunInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int32
		slow := func(ctx context.Context) (string, string, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-ctx.Done()
			return "", "", errors.New("too slow")
		}
		var checks []Check
		for i := range 5 {
			checks = append(checks, Check{Name: fmt.Sprint(i), Within: time.Duration(5-i) * time.Second, Probe: slow})
		}
		began := time.Now()
		var when []time.Duration
		report := Run(t.Context(), checks, func(Result) { when = append(when, time.Since(began)) })
		if most.Load() != 5 || report.Took != 5*time.Second {
			t.Errorf("%d at once, in %s", most.Load(), report.Took)
		}
		for i, r := range report.Checks {
			if r.State != Failed || r.Took != time.Duration(5-i)*time.Second || when[i] != 5*time.Second {
				t.Errorf("%+v, reported after %s", r, when[i])
			}
		}
	})
}

func TestRunCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	go func() {
		<-begun
		cancel()
	}()
	report := Run(ctx, []Check{
		{Name: "a", Within: time.Minute, Probe: well("x")},
		{Name: "b", Needs: []string{"a"}, Within: time.Minute, Probe: func(ctx context.Context) (string, string, error) {
			close(begun)
			<-ctx.Done()
			return "", "", ctx.Err()
		}},
		{Name: "c", Needs: []string{"b"}, Within: time.Minute, Probe: well("")},
	}, nil)
	var got []string
	for _, r := range report.Checks {
		got = append(got, strings.TrimSpace(fmt.Sprint(r.State, " ", r.Problem, r.Because)))
	}
	want := []string{"ok", "failed It was called off before it was done.", "skipped It was called off before it was begun."}
	if !slices.Equal(got, want) || report.State() != Failed {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRunOutOfOrder(t *testing.T) {
	defer func() {
		if said := fmt.Sprint(recover()); said != "the check a needs b, which doesn't come before it" {
			t.Errorf("it panicked with %q", said)
		}
	}()
	Run(t.Context(), []Check{{Name: "a", Needs: []string{"b"}}, {Name: "b"}}, nil)
}

// some has a result of every kind.
var some = []Result{
	{Name: "slack.bot_token", Title: "Slack: bot token", State: OK, Found: "@deploytoken in the workspace Team", Took: 1500 * time.Microsecond},
	{Name: "slack.scopes", Title: "Slack: scopes", State: Warning, Problem: "The token lacks a scope that isn't needed yet."},
	{Name: "google.document.read", Title: "document: read", State: Failed, Took: 2 * time.Second,
		Problem: "Google doesn't let the bot read the document. Share it with bot@project.iam.gserviceaccount.com as Editor. It is at https://docs.google.com/document/d/1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789/edit?a=1&b=<2>"},
	{Name: "google.document.write", Title: "document: write", State: Skipped, Because: "google.document.read"},
	{Name: "configuration", Title: "configuration", State: Failed, Problem: "SLACK_APP_TOKEN: missing\nslack.channel: missing: give a channel's ID, such as C0123456789 here or in SLACK_CHANNEL"},
	{Name: "drive", Title: "Drïve 表", State: Warning, Found: "may be written", Problem: "Hostile \x1b[31m\u202ename\ttext\r that\u0000 hides."},
	{Name: "kingfisher", Title: "Kingfisher", State: Skipped, Problem: "It isn't configured."},
	{Name: "clock", Title: "clock", State: OK},
}

func TestPrinter(t *testing.T) {
	for _, tt := range []struct {
		golden  string
		width   int
		results []Result
	}{
		{"wide.txt", 200, some},
		{"80.txt", 80, some},
		{"narrow.txt", 20, some},
		{"pipe.txt", 0, some},
		{"well.txt", 80, []Result{some[0], some[7]}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			var checks []Check
			for _, r := range tt.results {
				checks = append(checks, Check{Name: r.Name, Title: r.Title})
			}
			var b bytes.Buffer
			p := NewPrinter(&b, checks, tt.width)
			for _, r := range tt.results {
				p.Result(r)
			}
			p.Summary(Report{Checks: tt.results, Took: 2345 * time.Millisecond})
			if p.Err() != nil {
				t.Error(p.Err())
			}
			golden(t, tt.golden, b.Bytes())
		})
	}
}

func TestPrinterThatCantWrite(t *testing.T) {
	p := NewPrinter(full{}, []Check{{Name: some[0].Name, Title: some[0].Title}}, 80)
	p.Result(some[0])
	p.Summary(Report{})
	if p.Err() == nil {
		t.Error("nothing is said of it")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteJSON(t *testing.T) {
	var b bytes.Buffer
	if err := (Report{Checks: some, Took: 2345678 * time.Microsecond}).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 1 {
		t.Errorf("%d lines", n)
	}
	golden(t, "report.json", b.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
