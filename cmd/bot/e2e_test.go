package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

func says(t *testing.T, m slack.Message, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(m.Shown(), p) {
			t.Errorf("the message doesn't say %q:\n%s", p, m.Shown())
		}
	}
}

// TestServe is a day with the bot: every program and every protocol is the real
// one, but for the servers that stand in for Slack, Google and Kingfisher.
func TestServe(t *testing.T) {
	w := newWorld(t)
	b := w.serve(t)

	says(t, w.slash(t, ana, "/deploy-token", ""), "Nobody")
	says(t, w.slash(t, ana, "/deploy-token", "take upgrade the <registry> & more"), "You")
	if got := w.document.Holder(); got != "Ana Díaz" {
		t.Fatalf("the document says %q", got)
	}
	taken := w.announced(t, "Ana Díaz")
	says(t, taken, "upgrade the <registry> & more")

	refused := w.slash(t, bob, "/deploy-token", "take")
	says(t, refused, "Ana Díaz", "upgrade the <registry> & more")
	says(t, w.slash(t, bob, "/deploy-token", "release"), "Ana Díaz")
	w.click(t, bob, refused, "ask")
	w.until(t, "a direct message to the holder", func() bool {
		m := w.slack.Direct(ana)
		return len(m) == 1 && strings.Contains(m[0].Text, "<@"+bob+">")
	})

	says(t, w.slash(t, bob, "/deploy-token", "nonsense"), "nonsense", "/deploy-token take")

	says(t, w.release(t, ana, taken, map[string][]string{"done": {"upgraded it"}}), "You have released", "upgraded it")
	if got := w.document.Holder(); got != "Nobody" {
		t.Fatalf("the document says %q", got)
	}
	w.announced(t, "released")
	rows := w.rows(t, 2)
	if fmt.Sprint(rows[0]) != "[Taken Released Name Purpose Summary Consent Entry ID]" {
		t.Errorf("headers %q", rows[0])
	}
	if rows[1][2] != "Ana Díaz" || rows[1][3] != "upgrade the <registry> & more" || rows[1][4] != "upgraded it" || rows[1][6] == "" {
		t.Errorf("row %q", rows[1])
	}
	w.until(t, "the buttons' end", func() bool {
		for _, m := range w.slack.Messages(channel) {
			if m.TS == taken.TS {
				return len(m.Elements()) == 0
			}
		}
		return false
	})

	if err := w.document.SetHolder(person, "bob"); err != nil {
		t.Fatal(err)
	}
	says(t, w.announced(t, "by hand"), "bob", person.Name)
	says(t, w.slash(t, bob, "/deploy-token", "release =2+2"), "released")
	rows = w.rows(t, 3)
	if rows[2][2] != "bob" || rows[2][4] != "=2+2" {
		t.Errorf("row %q", rows[2])
	}

	b.isReady(t)
	if code, body := b.get(t, "/metrics"); code != 200 || !strings.Contains(body, "deploytoken_slack_ack_seconds_bucket") {
		t.Errorf("/metrics: %d", code)
	}
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	for _, secret := range []string{"xoxb-", "xapp-", "/response/", "sandbox\""} {
		if line := b.log.line(secret); line != "" {
			t.Errorf("the log holds a secret: %s", line)
		}
	}
}

func TestReminder(t *testing.T) {
	w := newWorld(t)
	w.config["REMINDERS_SCHEDULE"], w.config["REMINDERS_STALE_AFTER"] = "@every 1s", "500ms"
	w.serve(t)
	w.slash(t, ana, "/deploy-token", "take")
	var first slack.Message
	w.until(t, "two reminders", func() bool {
		for _, m := range w.slack.Messages(channel) {
			if m.ThreadTS == "" && strings.Contains(m.Text, "<@"+ana+">") {
				first = m
				return len(w.slack.Thread(channel, m.TS)) > 1
			}
		}
		return false
	})
	says(t, w.click(t, ana, first, "still-working"), "I won't remind you again before")
	w.release(t, ana, first, nil)
	w.announced(t, "released")
}

// TestManyTakes: of 32 who want the token at once, one is told that it is
// theirs, and the others who holds it.
func TestManyTakes(t *testing.T) {
	w := newWorld(t)
	for i := range 32 {
		u := slack.User{ID: fmt.Sprintf("U%03d", i), Name: fmt.Sprintf("p%d", i), RealName: fmt.Sprintf("Person N%03d", i)}
		if err := w.slack.PutUser(u); err != nil {
			t.Fatal(err)
		}
	}
	members := []string{ana, bob, "UBOT"}
	for i := range 32 {
		members = append(members, fmt.Sprintf("U%03d", i))
	}
	if err := w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: members}); err != nil {
		t.Fatal(err)
	}
	w.serve(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			if _, err := w.slack.Slash(t.Context(), fmt.Sprintf("U%03d", i), channel, "/deploy-token", "take"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := map[bool]int{}
	for i := range 32 {
		user := fmt.Sprintf("U%03d", i)
		m := w.answer(t, user, 0)
		mine := w.document.Holder() == fmt.Sprintf("Person N%03d", i)
		got[mine]++
		if mine {
			says(t, m, "You hold the deploy token")
		} else {
			says(t, m, w.document.Holder())
		}
	}
	if got[true] != 1 || got[false] != 31 {
		t.Errorf("holders and others: %v", got)
	}
	for _, write := range w.google.Writes() {
		if write.File != w.document.ID() {
			continue
		}
		before, after := holder(write.TextBefore), holder(write.TextAfter)
		if after != "Nobody" && before != "Nobody" && before != after {
			t.Errorf("%q was written over %q", after, before)
		}
	}
}

func holder(text string) string {
	for line := range strings.Lines(text) {
		if _, name, ok := strings.Cut(line, "Held by:"); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

func TestKingfisherBusy(t *testing.T) {
	w := newWorld(t)
	if status, out, _ := w.bot(t, "busy"); status != 0 || !strings.Contains(out, "idle") {
		t.Fatalf("status %d: %s", status, out)
	}
	if _, err := w.kingfisher.StartSpider(kingfisher.Spider{Project: "kingfisher", Name: "honduras_portal"}); err != nil {
		t.Fatal(err)
	}
	status, out, _ := w.bot(t, "busy", "--json")
	var report struct {
		State  string
		Checks []struct {
			Check, State string
			Findings     []struct {
				What   string
				Blocks bool
			}
		}
		Took *float64 `json:"took_seconds"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if status != 3 || report.State != "busy" || len(report.Checks) != 3 || report.Took == nil || !strings.Contains(out, "honduras_portal") {
		t.Errorf("status %d: %s", status, out)
	}
	w.serve(t)
	w.slash(t, ana, "/kingfisher", "busy")
	w.until(t, "the report", func() bool {
		all := w.ephemeral(ana)
		return len(all) > 0 && strings.Contains(all[len(all)-1].Shown(), "honduras_portal")
	})
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	status, out, stderr := w.bot(t, "status")
	if status != 0 || !strings.Contains(out, "Nobody holds") {
		t.Fatalf("status %d: %s%s", status, out, stderr)
	}
	b := w.serve(t)
	w.slash(t, ana, "/deploy-token", "take the registry")
	status, out, stderr = w.bot(t, "status", "--json")
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 {
		t.Fatalf("status %d: %s%s", status, out, stderr)
	}
	if got["state"] != "held" || got["holder"] != "Ana Díaz" || got["purpose"] != "the registry" || got["since"] == nil {
		t.Errorf("%s", out)
	}
	b.stop(t)
}

// TestBadStart: what only an operator can mend ends the start with one line that
// names it.
func TestBadStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  func(*testing.T, *world)
		says []string
	}{
		{"a wrong Slack token", func(_ *testing.T, w *world) { w.config["SLACK_BOT_TOKEN"] = "xoxb-other" }, []string{"SLACK_BOT_TOKEN", "invalid_auth"}},
		{"a wrong app-level token", func(_ *testing.T, w *world) { w.config["SLACK_APP_TOKEN"] = "xapp-other" }, []string{"SLACK_APP_TOKEN"}},
		{"a missing scope", func(_ *testing.T, w *world) { w.slack.SetScopes("commands", "chat:write", "im:write", "channels:read") }, []string{"users:read"}},
		{"a channel without the bot", func(t *testing.T, w *world) {
			if err := w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: []string{ana}}); err != nil {
				t.Fatal(err)
			}
		}, []string{"/invite"}},
		{"a document that isn't shared", func(t *testing.T, w *world) { share(t, w, "document1", google.NoAccess) }, []string{botAccount, "Editor"}},
		{"a document that is shared to view only", func(t *testing.T, w *world) { share(t, w, "document1", google.Viewer) }, []string{botAccount, "Editor"}},
		{"a document that isn't there", func(_ *testing.T, w *world) { w.config["GOOGLE_DOCUMENT"] = "nowhere" }, []string{"google.document"}},
		{"a spreadsheet that is shared to view only", func(t *testing.T, w *world) { share(t, w, "spreadsheet1", google.Viewer) }, []string{botAccount, "Editor"}},
		{"a spreadsheet without the tab", func(_ *testing.T, w *world) { w.config["GOOGLE_SHEET"] = "Elsewhere" }, []string{"Elsewhere", "google.sheet"}},
		{"a missing key file", func(_ *testing.T, w *world) { w.config["GOOGLE_APPLICATION_CREDENTIALS"] = "/nowhere.json" }, []string{"GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json"}},
		{"a bad schedule", func(_ *testing.T, w *world) { w.config["REMINDERS_SCHEDULE"] = "whenever" }, []string{"reminders.schedule", "whenever"}},
		{"an unwritable store", func(_ *testing.T, w *world) { w.config["STORE_URL"] = "sqlite:/nowhere/store.db" }, []string{"/nowhere"}},
		{"a port in use", func(_ *testing.T, w *world) { w.config["HTTP_ADDRESS"] = strings.TrimPrefix(w.slack.URL(), "http://") }, []string{"http.address"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.bad(t, w)
			status, _, stderr := w.bot(t, "serve")
			if status != 1 {
				t.Errorf("exit status %d", status)
			}
			var lines []string
			for line := range strings.Lines(stderr) {
				if strings.HasPrefix(line, "bot: ") {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 {
				t.Fatalf("%d lines:\n%s", len(lines), stderr)
			}
			for _, part := range tt.says {
				if !strings.Contains(lines[0], part) {
					t.Errorf("doesn't say %q: %s", part, lines[0])
				}
			}
			if strings.Contains(stderr, "xoxb-other") || strings.Contains(stderr, "xapp-other") {
				t.Errorf("holds a token: %s", stderr)
			}
		})
	}
	t.Run("a second bot on the store", func(t *testing.T) {
		w := newWorld(t)
		w.serve(t)
		status, _, stderr := w.bot(t, "serve")
		if status != 1 || !strings.Contains(stderr, filepath.Join(w.dir, "store.db")) {
			t.Errorf("status %d: %s", status, stderr)
		}
	})
	t.Run("several mistakes at once", func(t *testing.T) {
		w := newWorld(t)
		file := filepath.Join(w.dir, "bot.yaml")
		if err := os.WriteFile(file, []byte("slack: {chanel: C1}\ngoogle: {watch_interval: often}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		status, _, stderr := w.bot(t, "serve", "--config", file)
		if status != 1 || strings.Count(stderr, "bot: ") != 2 || !strings.Contains(stderr, "slack.chanel") || !strings.Contains(stderr, "google.watch_interval") {
			t.Errorf("status %d: %s", status, stderr)
		}
	})
}

func share(t *testing.T, w *world, file string, role google.Role) {
	t.Helper()
	if err := w.google.Share(file, botAccount, role); err != nil {
		t.Fatal(err)
	}
}

// TestUnavailableStart: what passes by itself is waited for.
func TestUnavailableStart(t *testing.T) {
	w := newWorld(t)
	if err := w.slack.AddFault(slack.Fault{Method: "auth.test", Kind: slack.FaultServerError, Count: 3}); err != nil {
		t.Fatal(err)
	}
	b := w.start(t)
	if code, _ := b.get(t, "/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	b.waitLog(t, `"msg":"ready"`)
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{"sereve"}, {"serve", "--confg", "x"}, {"busy", "--without", "cpu"}, {"status", "extra"}, {"serve", "--log-level", "loud"},
		{"audit", "--limit", "x"}, {"demo", "--address", "here"}, {"help", "sereve"}, {"help", "config", "shema"}, {"completion", "fsh"}, {"completion", "bash", "extra"}, {"preflight", "a", "b"}} {
		status, out, stderr := w.bot(t, args...)
		if status != 2 || strings.Count(stderr, "\n") != 1 || out != "" {
			t.Errorf("%v: status %d: %s%s", args, status, out, stderr)
		}
	}
	for _, args := range [][]string{{"version"}, {"--version"}, {"help", "config", "schema"}, {"completion"}, {"completion", "bash"}, {"help", "completion", "zsh"}} {
		if status, out, stderr := w.bot(t, args...); status != 0 || out == "" || stderr != "" {
			t.Errorf("%v: status %d: %s%s", args, status, out, stderr)
		}
	}
	if _, _, stderr := w.bot(t, "config", "shema"); stderr != "bot: config: unknown command or argument \"shema\". See “bot help config”.\n" {
		t.Error(stderr)
	}
	if _, _, stderr := w.bot(t, "audit", "--limit", "x"); stderr != "bot: --limit: \"x\" is not a whole number. See “bot help audit”.\n" {
		t.Error(stderr)
	}
}
