package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	_ "modernc.org/sqlite"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// A diagnosis is what bot doctor --json says.
type diagnosis struct {
	State  string
	Checks []struct{ Check, Title, State, Found, Problem, Because string }
	status int
}

// doctor runs bot doctor, both for people and for programs.
func (w *world) doctor(t *testing.T) (d diagnosis, text string) {
	t.Helper()
	var (
		stderr string
		status int
		people sync.WaitGroup
	)
	people.Go(func() { status, text, stderr = w.bot(t, "doctor") })
	d = w.diagnose(t)
	people.Wait()
	if (d.State == "failed") != (status == 1) || stderr != "" {
		t.Errorf("%s: exit status %d, on standard error %q", d.State, status, stderr)
	}
	keepsSecrets(t, text)
	return d, text
}

// diagnose runs bot doctor for programs alone.
func (w *world) diagnose(t *testing.T) (d diagnosis) {
	t.Helper()
	status, out, stderr := w.bot(t, "doctor", "--json")
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if (d.State == "failed") != (status == 1) || stderr != "" {
		t.Errorf("%s: exit status %d, on standard error %q", d.State, status, stderr)
	}
	d.status = status
	keepsSecrets(t, out)
	return d
}

func keepsSecrets(t *testing.T, output string) {
	t.Helper()
	for _, secret := range []string{"xoxb-sandbox", "xoxb-wrong", "xapp-sandbox", "xapp-wrong", "ticket", "PRIVATE KEY", "hunter2"} {
		if strings.Contains(output, secret) {
			t.Errorf("the output holds the secret %s:\n%s", secret, output)
		}
	}
}

// A symptom is what the doctor must say of one check.
type symptom struct {
	check, state string
	says         []string // or, of a skipped check, the one because of which
}

func failed(check string, says ...string) symptom { return symptom{check, "failed", says} }
func warns(check string, says ...string) symptom  { return symptom{check, "warning", says} }
func skipped(check string, because string) symptom {
	return symptom{check, "skipped", []string{because}}
}

// isWell holds the diagnosis to there being nothing to mend or to mind.
func (d diagnosis) isWell(t *testing.T) {
	t.Helper()
	if d.State != "ok" {
		t.Errorf("it is %s: %+v", d.State, d.Checks)
	}
}

// shows holds the diagnosis to the symptoms; whatever they don't name must be
// well.
func (d diagnosis) shows(t *testing.T, text string, symptoms ...symptom) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("\n%s", text)
		}
	}()
	left := slices.Clone(symptoms)
	for _, c := range d.Checks {
		i := slices.IndexFunc(left, func(s symptom) bool { return s.check == c.Check })
		if i < 0 {
			if c.State != "ok" || c.Problem != "" || c.Because != "" {
				t.Errorf("%s is %s: %s%s", c.Check, c.State, c.Problem, c.Because)
			}
			continue
		}
		s := left[i]
		left = slices.Delete(left, i, i+1)
		if c.State != s.state {
			t.Errorf("%s is %s, want %s: %s", c.Check, c.State, s.state, c.Problem)
		}
		for _, says := range s.says {
			if s.state == "skipped" && c.Because != says || s.state != "skipped" && !strings.Contains(c.Problem, says) {
				t.Errorf("%s: %q %q, want %q", c.Check, c.Problem, c.Because, says)
			}
		}
		word := map[string]string{"failed": "FAILED ", "warning": "WARNING", "skipped": "skipped"}[s.state]
		if !strings.Contains(text, word+"  "+c.Title) {
			t.Errorf("no line with %s  %s", word, c.Title)
		}
	}
	for _, s := range left {
		t.Errorf("there is no check %s", s.check)
	}
}

// TestDoctor breaks each dependency for real, sees the doctor say so, does what
// it says, and sees that all is well.
func TestDoctor(t *testing.T) {
	w := newWorld(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	set := func(key, value string) func() { return func() { w.config[key] = value } }
	unset := func(keys ...string) func() {
		return func() {
			for _, key := range keys {
				delete(w.config, key)
			}
		}
	}
	file := func(name string) string { return filepath.Join(w.dir, name) }
	write := func(name string, content []byte) { must(os.WriteFile(file(name), content, 0o600)) }
	text := func(name, content string) func() { return func() { write(name, []byte(content)) } }
	share := func(id string, role google.Role) func() { return func() { must(w.google.Share(id, botAccount, role)) } }
	scopes := func(but ...string) func() {
		return func() {
			all := []string{"commands", "chat:write", "users:read", "usergroups:read", "im:write", "channels:read"}
			w.slack.SetScopes(slices.DeleteFunc(all, func(s string) bool { return slices.Contains(but, s) })...)
		}
	}
	members := func(m ...string) func() {
		return func() { must(w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: m})) }
	}
	group := func(m ...string) func() {
		return func() {
			must(w.slack.PutUserGroup(slack.UserGroup{ID: "S0DEPLOYERS", Handle: "deployers", Name: "Deployers", Members: m}))
		}
	}
	line := func(from, to string) func() { return func() { must(w.document.ReplaceLine(person, from, to)) } }
	cell := func(at string, value any) func() { return func() { must(w.sheet.Set(person, "", at, value)) } }
	disable := func(apis ...string) func() {
		return func() { must(w.google.SetBehavior(google.Behavior{DisabledAPIs: apis})) }
	}
	fault := func(f kingfisher.Fault) func() { return func() { must(w.kingfisher.SetFault(f)) } }
	key := func(name, passphrase string) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		must(err)
		block, err := ssh.MarshalPrivateKey(private, "")
		if passphrase != "" {
			block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
		}
		must(err)
		write(name, pem.EncodeToMemory(block))
	}
	hosts, err := os.ReadFile(w.config["KINGFISHER_SSH_KNOWN_HOSTS_FILE"])
	must(err)
	address, _, _ := strings.Cut(string(hosts), " ")
	_, otherHost, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	otherSigner, err := ssh.NewSignerFromKey(otherHost)
	must(err)
	closed := closedAddress(t)
	office, err := w.google.NewDocument(google.DocumentSpec{ID: "office1", Office: true})
	must(err)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	sandbox := maps.Clone(w.config)
	restore := func(keys ...string) func() {
		return func() {
			for _, key := range keys {
				w.config[key] = sandbox[key]
			}
		}
	}
	afterSSH := func(because string, from int) (s []symptom) {
		for _, check := range []string{"kingfisher.ssh.host_key", "kingfisher.ssh.login", "kingfisher.script", "kingfisher.processes", "kingfisher.tmux", "kingfisher.postgres"}[from:] {
			s = append(s, skipped(check, because))
		}
		return s
	}
	ofSlack := func(because string) []symptom {
		return []symptom{skipped("slack.scopes", because), skipped("slack.channel", because), skipped("slack.people", because)}
	}
	ofFiles := []symptom{
		skipped("google.document.read", "google.sign_in"), skipped("google.document.holder", "google.sign_in"), skipped("google.document.write", "google.sign_in"),
		skipped("google.spreadsheet.tab", "google.sign_in"), skipped("google.spreadsheet.write", "google.sign_in"),
	}
	ofDocument := []symptom{skipped("google.document.holder", "google.document.read"), skipped("google.document.write", "google.document.read")}
	ofTab := skipped("google.spreadsheet.write", "google.spreadsheet.tab")

	scopes()()
	for _, tt := range []struct {
		name     string
		breaks   func()
		symptoms []symptom
		mends    func()
	}{
		{
			name: "a token is not set", breaks: unset("SLACK_APP_TOKEN"),
			symptoms: []symptom{
				failed("configuration", "SLACK_APP_TOKEN: missing: set it to an app-level token"),
				skipped("slack.app_token", "configuration"), skipped("slack.socket", "configuration"),
			},
			mends: restore("SLACK_APP_TOKEN"),
		},
		{
			name: "most is not set", breaks: unset("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "GOOGLE_DOCUMENT", "GOOGLE_SPREADSHEET", "SLACK_CHANNEL"),
			symptoms: slices.Concat([]symptom{
				failed("configuration", "SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "google.document", "google.spreadsheet", "slack.channel"),
				skipped("slack.app_token", "configuration"), skipped("slack.socket", "configuration"), skipped("slack.bot_token", "configuration"),
				skipped("google.document.read", "configuration"), skipped("google.document.holder", "configuration"), skipped("google.document.write", "configuration"),
				skipped("google.spreadsheet.tab", "configuration"), skipped("google.spreadsheet.write", "configuration"),
			}, ofSlack("configuration")),
			mends: restore("SLACK_APP_TOKEN", "SLACK_BOT_TOKEN", "GOOGLE_DOCUMENT", "GOOGLE_SPREADSHEET", "SLACK_CHANNEL"),
		},
		{
			name: "a value can't be right", breaks: set("REMINDERS_SCHEDULE", "at nine"),
			symptoms: []symptom{failed("configuration", "REMINDERS_SCHEDULE"), skipped("everything.else", "configuration")},
			mends:    unset("REMINDERS_SCHEDULE"),
		},
		{
			name: "no Google key file", breaks: set("GOOGLE_APPLICATION_CREDENTIALS", file("absent.json")),
			symptoms: []symptom{
				failed("configuration", file("absent.json")), skipped("google.sign_in", "configuration"),
				skipped("google.document.read", "configuration"), skipped("google.document.holder", "configuration"), skipped("google.document.write", "configuration"),
				skipped("google.spreadsheet.tab", "configuration"), skipped("google.spreadsheet.write", "configuration"),
			},
			mends: restore("GOOGLE_APPLICATION_CREDENTIALS"),
		},

		{
			name: "a revoked bot token", breaks: func() { must(w.slack.SetTokenError(slack.BotToken, "token_revoked")) },
			symptoms: append(ofSlack("slack.bot_token"), failed("slack.bot_token", "it was revoked", "Set SLACK_BOT_TOKEN to the bot token")),
			mends:    func() { must(w.slack.SetTokenError(slack.BotToken, "")) },
		},
		{
			name: "a wrong bot token", breaks: set("SLACK_BOT_TOKEN", "xoxb-wrong"),
			symptoms: append(ofSlack("slack.bot_token"), failed("slack.bot_token", "not valid", "SLACK_BOT_TOKEN")),
			mends:    restore("SLACK_BOT_TOKEN"),
		},
		{
			name: "a wrong app-level token", breaks: set("SLACK_APP_TOKEN", "xapp-wrong"),
			symptoms: []symptom{failed("slack.app_token", "Set SLACK_APP_TOKEN", "connections:write"), skipped("slack.socket", "slack.app_token")},
			mends:    restore("SLACK_APP_TOKEN"),
		},
		{
			name: "a missing scope", breaks: scopes("im:write"),
			symptoms: []symptom{failed("slack.scopes", "im:write", "https://api.slack.com/apps", "OAuth & Permissions", "install the app again")},
			mends:    scopes(),
		},
		{
			name: "a scope without which people can't be looked up", breaks: scopes("users:read"),
			symptoms: []symptom{failed("slack.scopes", "users:read"), failed("slack.people", "users:read")},
			mends:    scopes(),
		},
		{
			name: "a scope that isn't needed yet", breaks: scopes("usergroups:read"),
			symptoms: []symptom{warns("slack.scopes", "usergroups:read", "No user group is configured")},
			mends:    scopes(),
		},
		{
			name: "a bot that wasn't invited", breaks: members(ana, bob),
			symptoms: []symptom{failed("slack.channel", "#deploys", "/invite @deploytoken"), skipped("slack.people", "slack.channel")},
			mends:    members(ana, bob, "UBOT"),
		},
		{
			name: "another channel's ID", breaks: set("SLACK_CHANNEL", "C0NOSUCH"),
			symptoms: []symptom{failed("slack.channel", "correct slack.channel"), skipped("slack.people", "slack.channel")},
			mends:    restore("SLACK_CHANNEL"),
		},
		{
			name: "a channel with nobody else in it", breaks: members("UBOT"),
			symptoms: []symptom{warns("slack.people", "Nobody may use the bot")},
			mends:    members(ana, bob, "UBOT"),
		},
		{
			name: "a user group that isn't there", breaks: func() {
				w.config["ACCESS_GROUP"], w.config["ACCESS_FORCE_GROUP"] = "S0DEPLOYERS", "S0DEPLOYERS"
				w.config["KINGFISHER_CONSENT_GROUP"] = "S0DEPLOYERS"
			},
			symptoms: []symptom{
				failed("slack.people", "S0DEPLOYERS"), failed("access.group", "no such user group"),
				failed("access.force_group", "S0DEPLOYERS"), failed("kingfisher.consent_group", "S0DEPLOYERS"),
			},
			mends: group(ana),
		},
		{
			name: "a user group that is empty", breaks: group(),
			symptoms: []symptom{
				warns("slack.people", "Nobody", "S0DEPLOYERS"), warns("access.group", "has no members"),
				warns("access.force_group", "has no members"), warns("kingfisher.consent_group", "has no members"),
			},
			mends: unset("ACCESS_GROUP", "ACCESS_FORCE_GROUP", "KINGFISHER_CONSENT_GROUP"),
		},
		{
			name: "no Slack", breaks: set("SLACK_API_URL", "http://"+closed+"/api/"),
			symptoms: append(ofSlack("slack.bot_token"),
				failed("slack.bot_token", "Slack can't be reached", "connection refused"), failed("slack.app_token", "refused"), skipped("slack.socket", "slack.app_token")),
			mends: restore("SLACK_API_URL"),
		},
		{
			name: "another address than Slack's", breaks: set("SLACK_API_URL", web.URL),
			symptoms: append(ofSlack("slack.bot_token"),
				failed("slack.bot_token", "Correct slack.api_url"), failed("slack.app_token"), skipped("slack.socket", "slack.app_token")),
			mends: restore("SLACK_API_URL"),
		},

		{
			name: "a Google key file that is none", breaks: func() {
				text("none.json", "{}")()
				set("GOOGLE_APPLICATION_CREDENTIALS", file("none.json"))()
			},
			symptoms: append(slices.Clone(ofFiles), failed("google.sign_in", file("none.json"), "GOOGLE_APPLICATION_CREDENTIALS")),
			mends:    restore("GOOGLE_APPLICATION_CREDENTIALS"),
		},
		{
			name: "a deleted Google key", breaks: func() { w.google.DeleteKey(botAccount) },
			symptoms: append(slices.Clone(ofFiles), failed("google.sign_in", "invalid_grant", botAccount, "make another")),
			mends: func() {
				key, err := w.google.CredentialsJSON(botAccount)
				must(err)
				write("credentials.json", key)
			},
		},
		{
			name: "a document that isn't shared", breaks: share("document1", google.NoAccess),
			symptoms: append(slices.Clone(ofDocument), failed("google.document.read", "Share it with "+botAccount+" as Editor")),
			mends:    share("document1", google.Editor),
		},
		{
			name: "a document that may only be read", breaks: share("document1", google.Viewer),
			symptoms: []symptom{failed("google.document.write", "may read", "Share it with "+botAccount+" as Editor")},
			mends:    share("document1", google.Editor),
		},
		{
			name: "another document's ID", breaks: set("GOOGLE_DOCUMENT", "nosuchdocument"),
			symptoms: append(slices.Clone(ofDocument), failed("google.document.read", "nosuchdocument", "Check google.document")),
			mends:    restore("GOOGLE_DOCUMENT"),
		},
		{
			name: "an Office file", breaks: set("GOOGLE_DOCUMENT", office.ID()),
			symptoms: append(slices.Clone(ofDocument), failed("google.document.read", "Office file", "Save as", "google.document")),
			mends:    restore("GOOGLE_DOCUMENT"),
		},
		{
			name: "no holder line", breaks: line("Held by: Nobody", "Free for all"),
			symptoms: []symptom{failed("google.document.holder", "unclear", "Held by:", "https://docs.google.com/document/d/document1/edit")},
			mends:    line("Free for all", "Held by: Nobody"),
		},
		{
			name: "two holder lines", breaks: line("Who may deploy?", "Held by: Ana"),
			symptoms: []symptom{failed("google.document.holder", "unclear")},
			mends:    line("Held by: Ana", "Who may deploy?"),
		},
		{
			name: "two names on the holder line", breaks: line("Held by: Nobody", "Held by: Nobody Ana"),
			symptoms: []symptom{failed("google.document.holder", "Nobody Ana", "Leave one of the two")},
			mends:    line("Held by: Nobody Ana", "Held by: Nobody"),
		},
		{
			name: "an API that isn't enabled", breaks: disable("docs.googleapis.com"),
			symptoms: append(slices.Clone(ofDocument), failed("google.document.read", "Enable it at https://console.developers.google.com/apis/api/docs.googleapis.com/overview?project=")),
			mends:    disable(),
		},
		{
			name: "Drive isn't enabled", breaks: disable("drive.googleapis.com"),
			symptoms: []symptom{
				warns("google.document.write", "who edits the document by hand", "https://console.developers.google.com/apis/api/drive.googleapis.com/"),
				warns("google.spreadsheet.write", "doesn't tell whether", "https://console.developers.google.com/apis/api/drive.googleapis.com/"),
			},
			mends: disable(),
		},
		{
			name: "a spreadsheet that isn't shared", breaks: share("spreadsheet1", google.NoAccess),
			symptoms: []symptom{failed("google.spreadsheet.tab", "Deploy history", "Share it with "+botAccount+" as Editor"), ofTab},
			mends:    share("spreadsheet1", google.Editor),
		},
		{
			name: "a spreadsheet that may only be read", breaks: share("spreadsheet1", google.Viewer),
			symptoms: []symptom{failed("google.spreadsheet.write", "Share it with "+botAccount+" as Editor")},
			mends:    share("spreadsheet1", google.Editor),
		},
		{
			name: "another tab", breaks: set("GOOGLE_SHEET", "History"),
			symptoms: []symptom{failed("google.spreadsheet.tab", "no tab “History”", "“Sheet1”", "google.sheet"), ofTab},
			mends:    func() { must(w.sheet.RenameTab(person, "Sheet1", "History")) },
		},
		{
			name: "headers in another order", breaks: cell("A1", "Entry ID"),
			symptoms: []symptom{failed("google.spreadsheet.tab", "“Entry ID” stands in column A, and is configured for column G"), ofTab},
			mends:    cell("A1", "Taken"),
		},
		{
			name: "no Google", breaks: set("GOOGLE_ENDPOINT", "http://"+closed+"/"),
			symptoms: append(slices.Clone(ofDocument), failed("google.document.read", "Google can't be reached", "connection refused"),
				failed("google.spreadsheet.tab", "Google can't be reached"), ofTab),
			mends: restore("GOOGLE_ENDPOINT"),
		},

		{
			name: "a clock that is behind", breaks: func() {
				w.config["SLACK_API_URL"] = shiftedClock(t, w.slack.URL(), 3*time.Minute) + "/api/"
				w.config["GOOGLE_ENDPOINT"] = shiftedClock(t, w.google.URL(), 4*time.Minute) + "/"
			},
			symptoms: []symptom{failed("clock", " behind that of 127.0.0.1", "timedatectl set-ntp true")},
			mends:    restore("SLACK_API_URL", "GOOGLE_ENDPOINT"),
		},
		{
			name: "a clock that is a little ahead", breaks: func() {
				w.config["SLACK_API_URL"] = shiftedClock(t, w.slack.URL(), -40*time.Second) + "/api/"
				w.config["GOOGLE_ENDPOINT"] = shiftedClock(t, w.google.URL(), -50*time.Second) + "/"
			},
			symptoms: []symptom{warns("clock", " ahead of that of 127.0.0.1", "timedatectl set-ntp true")},
			mends:    restore("SLACK_API_URL", "GOOGLE_ENDPOINT"),
		},

		{
			name: "a store in no folder", breaks: set("STORE_URL", "sqlite:"+file("stores/store.db")),
			symptoms: []symptom{failed("store", file("stores")+", which does not exist", "create that directory")},
			mends:    func() { must(os.Mkdir(file("stores"), 0o700)) },
		},
		{
			name: "a store that is none", breaks: text("stores/store.db", strings.Repeat("no database ", 100)),
			symptoms: []symptom{failed("store", "no SQLite database", "Move it away")},
			mends:    func() { must(os.Remove(file("stores/store.db"))) },
		},
		{
			name: "another program on the bot's port", breaks: set("HTTP_ADDRESS", strings.TrimPrefix(web.URL, "http://")),
			symptoms: []symptom{failed("http.address", "another program", "Choose another")},
			mends:    restore("HTTP_ADDRESS"),
		},

		{
			name: "no user name for Scrapyd", breaks: unset("SCRAPYD_USERNAME", "SCRAPYD_PASSWORD"),
			symptoms: []symptom{failed("kingfisher.scrapyd", "set SCRAPYD_USERNAME and SCRAPYD_PASSWORD")},
			mends:    restore("SCRAPYD_USERNAME", "SCRAPYD_PASSWORD"),
		},
		{
			name: "a wrong password for Scrapyd", breaks: set("SCRAPYD_PASSWORD", "hunter2"),
			symptoms: []symptom{failed("kingfisher.scrapyd", "refuses its user name or password", "correct SCRAPYD_USERNAME and SCRAPYD_PASSWORD")},
			mends:    restore("SCRAPYD_PASSWORD"),
		},
		{
			name: "another address than Scrapyd's", breaks: set("KINGFISHER_SCRAPYD_URL", web.URL),
			symptoms: []symptom{failed("kingfisher.scrapyd", "no Scrapyd at "+web.URL, "kingfisher.scrapyd_url")},
			mends:    restore("KINGFISHER_SCRAPYD_URL"),
		},
		{
			name: "no Scrapyd", breaks: set("KINGFISHER_SCRAPYD_URL", "http://"+closed),
			symptoms: []symptom{failed("kingfisher.scrapyd", "was refused: check that it runs")},
			mends:    restore("KINGFISHER_SCRAPYD_URL"),
		},
		{
			name: "no key to log in with", breaks: set("KINGFISHER_SSH_IDENTITY_FILE", file("absent")),
			symptoms: append(afterSSH("kingfisher.ssh.key", 0), failed("kingfisher.ssh.key", file("absent")+" does not exist")),
			mends:    restore("KINGFISHER_SSH_IDENTITY_FILE"),
		},
		{
			name: "a key with a passphrase", breaks: func() {
				key("locked", "hunter2")
				set("KINGFISHER_SSH_IDENTITY_FILE", file("locked"))()
			},
			symptoms: append(afterSSH("kingfisher.ssh.key", 0), failed("kingfisher.ssh.key", "ssh-keygen -p -f "+file("locked"))),
			mends:    restore("KINGFISHER_SSH_IDENTITY_FILE"),
		},
		{
			name: "a key that isn't let in", breaks: func() {
				key("stranger", "")
				set("KINGFISHER_SSH_IDENTITY_FILE", file("stranger"))()
			},
			symptoms: append(afterSSH("kingfisher.ssh.login", 2), failed("kingfisher.ssh.login", "refused the user root", "authorized_keys", "SHA256:")),
			mends:    restore("KINGFISHER_SSH_IDENTITY_FILE"),
		},
		{
			name: "no known hosts", breaks: set("KINGFISHER_SSH_KNOWN_HOSTS_FILE", file("absent")),
			symptoms: append(afterSSH("kingfisher.ssh.host_key", 1), failed("kingfisher.ssh.host_key", file("absent")+" does not exist", "kingfisher.ssh.known_hosts_file")),
			mends:    restore("KINGFISHER_SSH_KNOWN_HOSTS_FILE"),
		},
		{
			name: "an unknown host", breaks: text("known_hosts", "# nobody yet\n"),
			symptoms: append(afterSSH("kingfisher.ssh.host_key", 1), failed("kingfisher.ssh.host_key", "is not in "+file("known_hosts"), "add it with ssh-keyscan -p", "SHA256:")),
			mends:    text("known_hosts", string(hosts)),
		},
		{
			name: "a changed host key", breaks: text("known_hosts", address+" "+string(ssh.MarshalAuthorizedKey(otherSigner.PublicKey()))),
			symptoms: append(afterSSH("kingfisher.ssh.host_key", 1), failed("kingfisher.ssh.host_key", "has changed", "someone may be in between", file("known_hosts")+":1")),
			mends:    text("known_hosts", string(hosts)),
		},
		{
			name: "no server", breaks: func() {
				w.config["KINGFISHER_SSH_ADDRESS"], w.config["KINGFISHER_SSH_KNOCK_ADDRESS"] = closed, closed
			},
			symptoms: append(afterSSH("kingfisher.ssh.connection", 0), failed("kingfisher.ssh.connection", "refused the connection to "+closed, "also after the knock at "+closed)),
			mends:    restore("KINGFISHER_SSH_ADDRESS", "KINGFISHER_SSH_KNOCK_ADDRESS"),
		},
		{
			name: "a server that says nothing", breaks: func() {
				fault(kingfisher.FaultHang)()
				set("KINGFISHER_TIMEOUT", "5s")()
			},
			symptoms: append(afterSSH("kingfisher.ssh.host_key", 1), failed("kingfisher.ssh.host_key", "did not go on with it within 5s", "look at its sshd"),
				failed("kingfisher.scrapyd", "did not answer within 5s")),
			mends: func() {
				fault(kingfisher.FaultNone)()
				unset("KINGFISHER_TIMEOUT")()
			},
		},
		{
			name: "a server that hangs up", breaks: fault(kingfisher.FaultUnreachable),
			symptoms: append(afterSSH("kingfisher.ssh.host_key", 1), failed("kingfisher.ssh.host_key", "closed the connection at once"),
				failed("kingfisher.scrapyd", "could not be reached")),
			mends: fault(kingfisher.FaultNone),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.breaks()
			d, text := w.doctor(t)
			d.shows(t, text, tt.symptoms...)
			tt.mends()
			w.diagnose(t).isWell(t)
		})
	}
	w.lookedOn(t)
}

// lookedOn is whether the doctor changed nothing: in Google, people did all that
// was done, and in Slack, only these methods were called.
func (w *world) lookedOn(t *testing.T) {
	t.Helper()
	for _, write := range w.google.Writes() {
		if write.Operation != "" {
			t.Errorf("%s wrote %s", write.Operation, write.File)
		}
	}
	reads := []string{"api.test", "auth.test", "apps.connections.open", "conversations.info", "conversations.members", "users.list", "usergroups.users.list"}
	for _, c := range w.slack.Calls() {
		if !slices.Contains(reads, c.Method) {
			t.Errorf("%s was called", c.Method)
		}
	}
}

// closedAddress is one where nothing listens, nor can until the test ends.
func closedAddress(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(socket)
	t.Cleanup(func() { syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

// shiftedClock serves what is at the address, with a clock that is ahead by so
// much.
func shiftedClock(t *testing.T, address string, ahead time.Duration) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			return nil
		},
	})
	t.Cleanup(server.Close)
	return server.URL
}

// TestDoctorBesideABot: the doctor looks on while a bot runs, says how that one
// is, and takes nothing away from it.
func TestDoctorBesideABot(t *testing.T) {
	w := newWorld(t)
	fault, err := w.google.AddFault(google.Fault{Operation: google.DocsGet, Kind: google.FailBefore})
	if err != nil {
		t.Fatal(err)
	}
	b := w.start(t)
	eventually(t, "the store", func() bool {
		_, ready := b.get(t, "/readyz")
		return strings.Contains(ready, `"store":"ok"`)
	})
	listens := strings.TrimPrefix(b.address, "http://")
	w.config["HTTP_ADDRESS"] = listens
	d, text := w.doctor(t)
	d.shows(t, text,
		failed("http.address", "on "+listens+" is not ready", "document: not read yet", "look at its log"),
		failed("google.document.read", "Google has trouble (503)"),
		skipped("google.document.holder", "google.document.read"), skipped("google.document.write", "google.document.read"))

	// It would try again, sooner or later.
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	w.google.RemoveFault(fault)
	w.config["HTTP_ADDRESS"] = "127.0.0.1:0"
	b = w.serve(t)
	listens = strings.TrimPrefix(b.address, "http://")
	w.config["HTTP_ADDRESS"] = listens
	b.isReady(t)
	envelopes := len(w.slack.Deliveries())
	for range 3 {
		d, text = w.doctor(t)
		d.shows(t, text)
		says(t, w.slash(t, ana, "/deploy-token", ""), "Nobody")
	}
	if n := len(w.slack.Deliveries()) - envelopes; n != 3 {
		t.Errorf("%d envelopes were delivered, want 3", n)
	}
	if !strings.Contains(text, "in use by a bot that runs") || !strings.Contains(text, "ready, on "+listens) {
		t.Errorf("the bot that runs isn't spoken of:\n%s", text)
	}

	// What waits for Sheets is said.
	if _, err := w.google.AddFault(google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.FailBefore}); err != nil {
		t.Fatal(err)
	}
	says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
	says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
	d, text = w.doctor(t)
	d.shows(t, text, warns("store", "1 of the history's entries"))
	w.google.ClearFaults()
	// The bot tries again at growing intervals of up to a minute.
	for deadline := time.Now().Add(3 * time.Minute); w.diagnose(t).State != "ok"; {
		if time.Now().After(deadline) {
			t.Fatal("the entry is still to be written")
		}
	}
	w.rows(t, 2)
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	w.config["HTTP_ADDRESS"] = "127.0.0.1:0"
	d, text = w.doctor(t)
	d.shows(t, text)
	if !strings.Contains(text, "store.db: of this release, can be written by ") {
		t.Errorf("the store isn't spoken of:\n%s", text)
	}

	// A store of a newer release is left as it is.
	store, err := sql.Open("sqlite", filepath.Join(w.dir, "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Exec("INSERT INTO schema_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	d, text = w.doctor(t)
	d.shows(t, text, failed("store", "by a newer release of the bot. Run that release or a later one, or use another store"))
	if _, err := store.Exec("DELETE FROM schema_version WHERE version_id = 99999"); err != nil {
		t.Fatal(err)
	}
	d, text = w.doctor(t)
	d.shows(t, text)
}

// TestDoctorOfPostgres: the store on PostgreSQL is looked at, and neither made
// nor migrated.
func TestDoctorOfPostgres(t *testing.T) {
	w := newWorld(t)
	server := ledgertest.StartPostgres(t, "fsync=off")
	good := server.URL(t)
	u, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{server.Password, "hunter2"}
	for _, tt := range []struct {
		breaks func(*url.URL)
		says   string
	}{
		{func(u *url.URL) { u.Path = "/nosuch" }, "There is no such database. Create it"},
		{func(u *url.URL) { u.User = url.UserPassword("postgres", "hunter2") }, "refused the user postgres: check the name and the password in store.url or STORE_URL"},
		{func(u *url.URL) { u.Host = closedAddress(t) }, "can't be reached: see that it runs"},
	} {
		broken := *u
		tt.breaks(&broken)
		w.config["STORE_URL"] = broken.String()
		d, text := w.doctor(t)
		d.shows(t, text, failed("store", tt.says))
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("the output holds a password:\n%s", text)
			}
		}
	}
	w.config["STORE_URL"] = good
	for range 2 {
		d, text := w.doctor(t)
		d.shows(t, text)
		if !strings.Contains(text, "nothing there yet; the bot sets it up when it starts") {
			t.Errorf("the empty store isn't spoken of:\n%s", text)
		}
	}
	if status := w.serve(t).stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	d, text := w.doctor(t)
	d.shows(t, text)
	if strings.Contains(text, server.Password) || !strings.Contains(text, "of this release, can be written") {
		t.Errorf("the store isn't spoken of:\n%s", text)
	}
}

// TestDoctorWithoutKingfisher: what is not configured is not a failure.
func TestDoctorWithoutKingfisher(t *testing.T) {
	w := newWorld(t)
	maps.DeleteFunc(w.config, func(key, _ string) bool { return strings.HasPrefix(key, "KINGFISHER_") })
	d, text := w.doctor(t)
	d.shows(t, text, skipped("kingfisher", ""))
	if d.status != 0 || !strings.Contains(text, "no busy checks") {
		t.Errorf("exit status %d:\n%s", d.status, text)
	}
}

// TestDoctorOfAFile: the configuration is a file, whose mistakes are told, all
// of them.
func TestDoctorOfAFile(t *testing.T) {
	w := newWorld(t)
	delete(w.config, "SLACK_CHANNEL")
	file := filepath.Join(w.dir, "bot.yaml")
	for _, tt := range []struct {
		name, content string
		status        int
		says          []string
	}{
		{"right", "slack:\n  channel: " + channel + "\n", 0, []string{"ok       configuration           " + file, "All 26 checks are well"}},
		{"incomplete", "timezone: Europe/Madrid\n", 1, []string{
			"FAILED   configuration           " + file + ": slack.channel: missing: give a channel's ID, such as C0123456789 here or in SLACK_CHANNEL",
			"skipped  Slack: channel          until “configuration” is mended", "(Europe/Madrid)", "Of 26 checks, 1 failed, 2 not tried",
		}},
		{"wrong", "slack:\n  chanel: " + channel + "\ntimezone: Nowhere\n", 1, []string{
			file + ":2: slack.chanel: there is no such key: did you mean slack.channel?", file + ":3: timezone: ",
			"skipped  everything else  until “configuration” is mended",
		}},
		{"no YAML", "slack: [", 1, []string{"this is not valid YAML"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			status, text, stderr := w.bot(t, "doctor", "--config", file)
			if status != tt.status || stderr != "" {
				t.Errorf("exit status %d, want %d: %s", status, tt.status, stderr)
			}
			for _, says := range tt.says {
				if !strings.Contains(text, says) {
					t.Errorf("it doesn't say %q:\n%s", says, text)
				}
			}
		})
	}
	if status, text, _ := w.bot(t, "doctor", "--config", filepath.Join(w.dir, "absent.yaml")); status != 1 || !strings.Contains(text, "absent.yaml: the configuration can't be read") {
		t.Errorf("exit status %d without a file:\n%s", status, text)
	}
	if status, text, stderr := w.bot(t, "doctor", "slack"); status != 2 || text != "" || !strings.Contains(stderr, `unknown command or argument "slack"`) {
		t.Errorf("exit status %d with an argument: %s%s", status, text, stderr)
	}
}

// TestDoctorCalledOff: what is known is written at once, and an interrupt ends
// what hangs.
func TestDoctorCalledOff(t *testing.T) {
	w := newWorld(t)
	w.config["KINGFISHER_TIMEOUT"] = "10m"
	if err := w.kingfisher.SetFault(kingfisher.FaultHang); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(binary(t), "doctor")
	c.Env = w.environment()
	out := &syncBuffer{}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.Wait() }()
	t.Cleanup(func() { c.Process.Kill() })
	eventually(t, "what is known", func() bool { return out.line("history: write") != "" })
	c.Process.Signal(syscall.SIGINT)
	select {
	case <-exited:
	case <-time.After(time.Minute):
		t.Fatal("it has not ended")
	}
	if status := c.ProcessState.ExitCode(); status != 1 || out.line("FAILED   Kingfisher: Scrapyd     It was called off before it was done.") == "" || out.line("ok       Slack: bot token") == "" {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}
