package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"golang.org/x/sys/unix"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestUpcoming(t *testing.T) {
	for _, tt := range []struct{ schedule, zone, now, want string }{
		{"0 9-17 * * 1-5", "Etc/UTC", "2026-11-24T03:00:00Z", "next on Tue 24 Nov at 09:00, 10:00 and 11:00 (Etc/UTC)"},
		{"0 9-17 * * 1-5", "Etc/UTC", "2026-11-27T16:30:00Z", "next on Fri 27 Nov at 17:00, Mon 30 Nov at 09:00 and 10:00 (Etc/UTC)"},
		{"0 9-17 * * 1-5", "America/Guatemala", "2026-11-24T03:00:00Z", "next on Tue 24 Nov at 09:00, 10:00 and 11:00 (America/Guatemala)"},
		{"30 12 1 * *", "Europe/Madrid", "2026-11-24T03:00:00Z", "next on Tue 1 Dec at 12:30, Fri 1 Jan 2027 at 12:30, Mon 1 Feb 2027 at 12:30 (Europe/Madrid)"},
		// Where the clock is put forward, 02:30 doesn't come.
		{"30 2 * * *", "Europe/Madrid", "2026-03-28T12:00:00Z", "next on Mon 30 Mar at 02:30, Tue 31 Mar at 02:30, Wed 1 Apr at 02:30 (Europe/Madrid)"},
		{"@every 40s", "Etc/UTC", "2026-11-24T23:58:50Z", "next on Tue 24 Nov at 23:59:30, Wed 25 Nov at 00:00:10 and 00:00:50 (Etc/UTC)"},
		{"0 0 31 2 *", "Etc/UTC", "2026-11-24T03:00:00Z", "never again"},
	} {
		t.Run(tt.schedule, func(t *testing.T) {
			schedule, err := cron.ParseStandard(tt.schedule)
			if err != nil {
				t.Fatal(err)
			}
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := upcoming(schedule, now, zone); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestExplainForOperators(t *testing.T) {
	refused := errors.New("dial tcp:\n connection refused")
	fault := func(kind error) error {
		return &deploytoken.Fault{Kind: kind, Message: "It can't be reached.", Cause: refused}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fault(deploytoken.ErrUnavailable), "It can't be reached. (dial tcp: connection refused)"},
		{fmt.Errorf("wrapped: %w", fault(deploytoken.ErrMisconfigured)), "It can't be reached."},
		{&deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Too many calls."}, "Too many calls."},
		{errors.New("no fault"), "no fault"},
	} {
		if got := explain(tt.err); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// The names are what programs know the checks by: they stay, and each comes
// after what it needs.
func TestDiagnosisNames(t *testing.T) {
	dir := t.TempDir()
	whole := map[string]string{
		"SLACK_CHANNEL": "C0123456789", "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1",
		"GOOGLE_DOCUMENT": "document1234567890", "GOOGLE_SPREADSHEET": "spreadsheet1234567890",
		"KINGFISHER_SSH_IDENTITY_FILE": filepath.Join(dir, "key"), "ACCESS_GROUP": "S0123456789", "KINGFISHER_CONSENT_GROUP": "S0123456780",
	}
	all := []string{
		"configuration", "reminders.schedule", "clock", "store", "http.address",
		"slack.bot_token", "slack.scopes", "slack.channel", "slack.people", "access.group", "kingfisher.consent_group", "slack.app_token", "slack.socket",
		"google.sign_in", "google.document.read", "google.document.holder", "google.document.write", "google.spreadsheet.tab", "google.spreadsheet.write",
		"kingfisher.scrapyd", "kingfisher.ssh.key", "kingfisher.ssh.connection", "kingfisher.ssh.host_key", "kingfisher.ssh.login",
		"kingfisher.script", "kingfisher.processes", "kingfisher.tmux", "kingfisher.postgres",
	}
	without := func(leave ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool {
			return slices.ContainsFunc(leave, func(l string) bool { return strings.HasPrefix(name, l) })
		})
	}
	for _, tt := range []struct {
		name   string
		change func(env map[string]string)
		want   []string
	}{
		{"everything", func(map[string]string) {}, all},
		{"no tokens", func(env map[string]string) { delete(env, "SLACK_BOT_TOKEN"); delete(env, "SLACK_APP_TOKEN") }, all},
		{"a token's file that isn't there", func(env map[string]string) {
			delete(env, "SLACK_BOT_TOKEN")
			env["SLACK_BOT_TOKEN_FILE"] = filepath.Join(dir, "absent")
		}, all},
		{"no files of Google's", func(env map[string]string) { delete(env, "GOOGLE_DOCUMENT"); delete(env, "GOOGLE_SPREADSHEET") }, all},
		{"no key of Google's", func(env map[string]string) { env["GOOGLE_APPLICATION_CREDENTIALS"] = filepath.Join(dir, "absent") }, all},
		{"no groups", func(env map[string]string) { delete(env, "ACCESS_GROUP"); delete(env, "KINGFISHER_CONSENT_GROUP") }, without("access.group", "kingfisher.consent_group")},
		{"no Kingfisher", func(env map[string]string) {
			delete(env, "KINGFISHER_SSH_IDENTITY_FILE")
			delete(env, "KINGFISHER_CONSENT_GROUP")
		}, append(without("kingfisher"), "kingfisher")},
		{"nothing that can be read", func(env map[string]string) { env["TIMEZONE"] = "Nowhere" }, []string{"configuration", "everything.else"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{}
			for k, v := range whole {
				env[k] = v
			}
			tt.change(env)
			checks, done := Diagnosis("", func(name string) (string, bool) { v, ok := env[name]; return v, ok }, time.Now)
			defer done()
			var names []string
			for _, c := range checks {
				if c.Leave == "" && c.Within <= 0 {
					t.Errorf("%s has no time", c.Name)
				}
				for _, need := range c.Needs {
					if !slices.Contains(names, need) {
						t.Errorf("%s needs %s, which isn't before it", c.Name, need)
					}
				}
				if slices.Contains(names, c.Name) {
					t.Errorf("%s is there twice", c.Name)
				}
				names = append(names, c.Name)
			}
			if !slices.Equal(names, tt.want) {
				t.Errorf("the checks are\n%q, want\n%q", names, tt.want)
			}
		})
	}
}

func TestTryRunning(t *testing.T) {
	answering := func(status int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	for _, tt := range []struct{ name, address, found, fail string }{
		{"ready", answering(200, `{"document":"ok","slack":"ok","store":"ok"}`), "ready, on 127.0.0.1:", ""},
		{"not ready", answering(503, `{"document":"not read yet.","slack":"ok","store":"not opened yet"}`), "", "is not ready: document: not read yet; store: not opened yet. "},
		{"another program", answering(200, "ok"), "", "another program"},
		{"another program that speaks JSON", answering(200, `{"status":"ok"}`), "", "another program"},
		{"any port", "127.0.0.1:0", "chosen when it starts", ""},
		{"a port that is taken by what doesn't answer", taken(t), "", "no bot answers on 127.0.0.1:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			found, _, err := tryRunning(ctx, tt.address)
			if (err != nil) != (tt.fail != "") || err != nil && !strings.Contains(err.Error(), tt.fail) || !strings.Contains(found, tt.found) {
				t.Errorf("%q %v, want %q %q", found, err, tt.found, tt.fail)
			}
		})
	}
}

// taken is an address that nobody listens on, and nobody can.
func taken(t *testing.T) string {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(socket)
	t.Cleanup(func() { unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
}

// The file that an SQLite store is in, by those who may do what with it.
func TestMayWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	if err := mayMake(path); err != nil {
		t.Errorf("in a folder of one's own: %v", err)
	}
	if err := mayMake(filepath.Join(dir, "absent", "store.db")); err == nil || !strings.Contains(err.Error(), "create that directory") {
		t.Errorf("in no folder: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if state, err := mayWrite(path); err != nil || state != "can be written by "+account() {
		t.Errorf("%q %v", state, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("files were made: %v %v", entries, err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 4711, 4711); err != nil {
			t.Fatal(err)
		}
		if state, err := mayWrite(path); err != nil || state != "can be written by root; the file is the user ID 4711's" {
			t.Errorf("%q %v", state, err)
		}
		return
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := mayWrite(path); err == nil || !strings.Contains(err.Error(), "tried as the user ID") {
		t.Errorf("a file that may only be read: %v", err)
	}
}
