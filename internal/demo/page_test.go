package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// quiet is a world whose bot does nothing.
func quiet(t *testing.T) *world {
	t.Helper()
	w, err := newWorld(t.TempDir(), Config{Bot: []string{os.Args[0], "-test.run=^$"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// TestServedToThisMachineAlone: neither a page of another site, nor one whose
// name was made to lead here, sees or does anything.
func TestServedToThisMachineAlone(t *testing.T) {
	h := quiet(t).handler()
	for _, c := range []struct {
		method, path, host string
		header             http.Header
		status             int
	}{
		{"GET", "/", "127.0.0.1:8080", nil, 200},
		{"GET", "/", "localhost:8080", nil, 200},
		{"GET", "/", "localhost", nil, 200},
		{"GET", "/", "[::1]:8080", nil, 200},
		{"GET", "/", "evil.example:8080", nil, 421},
		{"GET", "/", "127.0.0.1.evil.example", nil, 421},
		{"GET", "/", "10.0.0.1:8080", nil, 421},
		{"GET", "/events", "evil.example", nil, 421},
		{"POST", "/clock", "localhost:8080", nil, 200},
		{"POST", "/clock", "localhost:8080", http.Header{"Origin": {"http://localhost:8080"}}, 200},
		{"POST", "/clock", "localhost:8080", http.Header{"Origin": {"http://localhost:3000"}}, 403},
		{"POST", "/clock", "localhost:8080", http.Header{"Origin": {"null"}}, 403},
		{"POST", "/slack/slash", "localhost:8080", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"POST", "/slack/slash", "evil.example", nil, 421},
		{"GET", "/slack/slash", "localhost:8080", nil, 404},
		{"GET", "/slack/calls", "localhost:8080", nil, 404},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(`{"skip": "1s"}`))
		r.Host = c.host
		for k, v := range c.header {
			r.Header[k] = v
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code != c.status {
			t.Errorf("%s http://%s%s %v: %d, not %d: %s", c.method, c.host, c.path, c.header, answer.Code, c.status, answer.Body)
		}
		if answer.Code == 200 && !strings.Contains(answer.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s %s: no content policy", c.method, c.path)
		}
	}
}

func TestListensOnTheLoopbackInterfaceAlone(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "example.org:0", "[::]:0", "8080", "127.0.0.1:no"} {
		if l, err := listen(t.Context(), address); err == nil {
			t.Errorf("it listens on %s", l.Addr())
		} else if !strings.HasPrefix(err.Error(), "--address: ") {
			t.Errorf("%s: %v", address, err)
		}
	}
	l, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := listen(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "--address 127.0.0.1:0") {
		t.Errorf("a port that is taken: %v", err)
	}
}

func TestBadRequestsChangeNothing(t *testing.T) {
	w := quiet(t)
	h := w.handler()
	ahead := w.clock.Skipped()
	for path, body := range map[string]string{
		"/clock":               `{"skip": "-1h"}`,
		"/clock?2":             `{"skip": "soon"}`,
		"/clock?3":             `{"skip": "10000h"}`,
		"/clock?4":             `{"skip": "1h", "more": 1}`,
		"/clock?5":             `{`,
		"/faults/fire":         `{"on": true}`,
		"/faults/fire?2":       `{"on": false}`,
		"/slack/slash":         `{"user": "nobody"}`,
		"/google/edit":         `{"document": "another"}`,
		"/kingfisher/spider":   `{}`,
		"/kingfisher/nonsense": `{}`,
	} {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Host = "localhost"
		h.ServeHTTP(answer, r)
		if answer.Code != 400 && answer.Code != 404 {
			t.Errorf("%s %s: %d %s", path, body, answer.Code, answer.Body)
		}
	}
	if now := w.clock.Skipped(); now != ahead {
		t.Errorf("the clock is %s ahead, and was %s", now, ahead)
	}
	for _, f := range w.faultViews() {
		if f.On {
			t.Errorf("%s is on", f.ID)
		}
	}
}

// TestFaultsAreSwitched: each can be switched on and off, and one that strikes
// once can be switched on again when it has struck.
func TestFaultsAreSwitched(t *testing.T) {
	w := quiet(t)
	on := func() (ids []string) {
		for _, f := range w.faultViews() {
			if f.On {
				ids = append(ids, f.ID)
			}
		}
		return ids
	}
	for _, f := range faults {
		for _, want := range []bool{true, true, false, false, true} {
			if err := w.setFault(f.id, want); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(on(), " ") == f.id; got != want {
				t.Errorf("%s was switched to %t: %v", f.id, want, on())
			}
		}
		if err := w.setFault(f.id, false); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.google.Faults()) + len(w.slack.State().Faults); n != 0 {
		t.Errorf("%d faults are left", n)
	}
}

// TestCommandsAreTheManifests holds what the page completes to the app's manifest.
func TestCommandsAreTheManifests(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("..", "..", "deploy", "slack-app-manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Features struct {
			SlashCommands []struct {
				Command, Description string
				UsageHint            string `yaml:"usage_hint"`
			} `yaml:"slash_commands"`
		}
	}
	if err := yaml.Unmarshal(file, &manifest); err != nil {
		t.Fatal(err)
	}
	var want []slashCommand
	for _, c := range manifest.Features.SlashCommands {
		want = append(want, slashCommand{c.Command, c.Description, c.UsageHint})
	}
	if !reflect.DeepEqual(commands, want) {
		t.Errorf("the commands are\n%v\nand the manifest's\n%v", commands, want)
	}
}

// TestPageSize holds all that the page loads under 300 KB.
func TestPageSize(t *testing.T) {
	var size int64
	err := fs.WalkDir(pageFiles, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", size)
	if size > 300_000 {
		t.Errorf("the page is %d bytes", size)
	}
}

// TestEvents: what has changed is streamed, and the rest isn't sent again.
func TestEvents(t *testing.T) {
	w := quiet(t)
	server := httptest.NewServer(w.handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	events := subscribe(t, ctx, server.URL+"/events")
	seen := map[string]json.RawMessage{}
	for len(seen) < len(w.sections()) {
		event, ok := <-events
		if !ok {
			t.Fatal("the stream has ended")
		}
		maps.Copy(seen, event)
	}
	if err := w.kingfisher.SetFault("unreachable"); err != nil {
		t.Fatal(err)
	}
	for {
		event, ok := <-events
		if !ok {
			t.Fatal("the stream has ended")
		}
		if section, ok := event["kingfisher"]; ok {
			if !strings.Contains(string(section), `"unreachable"`) {
				t.Errorf("the section is %s", section)
			}
			return
		}
		for name := range event {
			if name != "world" && name != "log" { // of the bot, which ends at once
				t.Errorf("%s has not changed", name)
			}
		}
	}
}

// TestBeginsInWorkingHours: when the demo is started at night or on a Sunday,
// it is the next working morning in it.
func TestBeginsInWorkingHours(t *testing.T) {
	toronto, err := time.LoadLocation("America/Toronto")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ now, then time.Time }{
		{time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC), time.Date(2026, 3, 3, 9, 0, 0, 0, time.UTC)},
		{time.Date(2026, 3, 3, 15, 59, 59, 0, time.UTC), time.Date(2026, 3, 3, 15, 59, 59, 0, time.UTC)},
		{time.Date(2026, 3, 3, 8, 59, 0, 0, time.UTC), time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)},
		{time.Date(2026, 3, 3, 16, 0, 0, 0, time.UTC), time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)},
		{time.Date(2026, 3, 6, 20, 0, 0, 0, toronto), time.Date(2026, 3, 9, 10, 0, 0, 0, toronto)}, // over the change to summer time
		{time.Date(2026, 3, 7, 9, 30, 0, 0, time.UTC), time.Date(2026, 3, 9, 10, 0, 0, 0, time.UTC)},
	} {
		if got := c.now.Add(untilWork(c.now)); !got.Equal(c.then) {
			t.Errorf("at %s, it begins at %s, not %s", c.now, got, c.then)
		}
	}
	for name, seconds := range map[string]int{"Etc/UTC": 0, "Etc/GMT-2": 7200, "Etc/GMT+5": -5 * 3600, "Etc/GMT-6": 5*3600 + 1800, "Etc/GMT-14": 14 * 3600, "Etc/GMT+12": -12 * 3600} {
		got := timezone(time.Date(2026, 3, 3, 9, 0, 0, 0, time.FixedZone("", seconds)))
		if _, err := time.LoadLocation(got); err != nil || got != name {
			t.Errorf("%d s from UTC is %s, not %s (%v)", seconds, got, name, err)
		}
	}
}

// TestAttach: a bot has the demo's time, and ends with it.
func TestAttach(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := new(clock)
	c.skip(time.Hour)
	b := &bot{input: w, clock: c, changed: func() {}}
	b.tellTime()
	ctx, now, err := Attach(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	ahead := func() time.Duration { return time.Until(now()).Round(time.Minute) }
	if ahead() != time.Hour {
		t.Errorf("%s ahead", ahead())
	}
	b.skip(24 * time.Hour)
	for deadline := time.Now().Add(patience); ahead() != 25*time.Hour; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s ahead", ahead())
		}
	}
	w.Close()
	<-ctx.Done()
	if _, _, err := Attach(t.Context(), strings.NewReader("")); err == nil {
		t.Error("attached to nothing")
	}
	if _, _, err := Attach(t.Context(), strings.NewReader("soon\n")); err == nil {
		t.Error("attached to nonsense")
	}
}

// subscribe reads server-sent events until ctx ends.
func subscribe(t *testing.T, ctx context.Context, url string) <-chan map[string]json.RawMessage {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan map[string]json.RawMessage)
	go func() {
		defer close(events)
		defer answer.Body.Close()
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var event map[string]json.RawMessage
				if err := json.Unmarshal([]byte(data), &event); err != nil {
					t.Error(err)
					return
				}
				select {
				case events <- event:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return events
}
