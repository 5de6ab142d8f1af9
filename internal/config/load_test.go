package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Each file breaks rules; beside it is the error that this must give.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	mentioned := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c, err := Load(file, required.lookUp, Serve)
			if err == nil {
				t.Fatal("Load gave no error")
			}
			if c != nil {
				t.Error("Load gave a configuration beside its error")
			}
			got := err.Error() + "\n"
			for l := range strings.Lines(got) {
				if !strings.HasPrefix(l, file+":") {
					t.Errorf("a line doesn't begin with the file's name: %q", l)
				}
				if parts := strings.SplitN(l, ": ", 3); len(parts) == 3 {
					mentioned[parts[1]] = true
				}
			}
			if strings.Contains(got, "hidden") {
				t.Errorf("a secret is in the error:\n%s", got)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("Load gave\n%swant\n%s", got, want)
			}
		})
	}
	for _, k := range defaults().keys() {
		if k.path != "" && !mentioned[k.path] {
			t.Errorf("no file under testdata/bad has a mistake in %s", k.path)
		}
	}
}

// goodValues are what the file may have for a key, and what becomes of it.
var goodValues = []struct {
	path, yaml string
	want       string
}{
	{"slack.channel", "G0123456789", "G0123456789"},
	{"slack.api_url", "http://127.0.0.1:8083/api", "http://127.0.0.1:8083/api/"},
	{"google.document", "https://docs.google.com/document/d/1a-_Z/edit?tab=t.0#heading=h.1", "1a-_Z"},
	{"google.document", "https://docs.google.com/document/d/1a-_Z", "1a-_Z"},
	{"google.document", "https://docs.google.com/document/u/0/d/1a-_Z/edit", "1a-_Z"},
	{"google.document", "https://docs.google.com/a/example.org/document/d/1a-_Z/edit", "1a-_Z"},
	{"google.document", "docs.google.com/document/d/1a-_Z/", "1a-_Z"},
	{"google.spreadsheet", "http://docs.google.com/a/example.org/spreadsheets/u/1/d/1a-_Z/edit#gid=0", "1a-_Z"},
	{"google.spreadsheet", "1a-_Z", "1a-_Z"},
	{"google.label", `" Token held by "`, "Token held by"},
	{"google.sheet", "2026", `"2026"`},
	{"google.sheet", "2026-01-01", `"2026-01-01"`},
	{"google.history_columns", `["", entry, "", name]`, `["", entry, "", name]`},
	{"google.endpoint", "http://[::1]:8085", "http://[::1]:8085/"},
	{"google.watch_interval", "100ms", "100ms"},
	{"kingfisher.ssh.address", "server.example.org", "server.example.org:22"},
	{"kingfisher.ssh.address", "server.example.org:2222", "server.example.org:2222"},
	{"kingfisher.ssh.address", `"::1"`, "'[::1]:22'"},
	{"kingfisher.ssh.address", `"[::1]"`, "'[::1]:22'"},
	{"kingfisher.ssh.address", `"[::1]:2222"`, "'[::1]:2222'"},
	{"kingfisher.ssh.address", `"[fe80::1%eth0]:22"`, "'[fe80::1%eth0]:22'"},
	{"kingfisher.ssh.knock_address", `""`, `""`},
	{"kingfisher.tmux_users", "[root, ocdskfs]", "[root, ocdskfs]"},
	{"kingfisher.timeout", "1m30s", "1m30s"},
	{"kingfisher.long_query", "90m", "1h30m"},
	{"kingfisher.people", `{jm: U0123, 10.0.0.7: W0456}`, `{10.0.0.7: W0456, jm: U0123}`},
	{"kingfisher.words", "[]", "[]"},
	{"kingfisher.override_url", "https://example.org/page?a=b#c", "https://example.org/page?a=b#c"},
	{"timezone", "America/Guatemala", "America/Guatemala"},
	{"reminders.schedule", `"@every 1s"`, `'@every 1s'`},
	{"reminders.schedule", "30 8 29 2 *", "30 8 29 2 *"},
	{"preflight.repositories", "[./, pillar//private/, /srv/salt]", "[., pillar/private, /srv/salt]"},
	{"store.url", "sqlite:/var/lib/deploytoken/token.db", "sqlite:/var/lib/deploytoken/token.db"},
	{"store.url", "postgres://bot@db.example.org/bot?sslmode=verify-full", "postgres://bot@db.example.org/bot?sslmode=verify-full"},
	{"store.url", "postgresql:///bot?host=/run/postgresql", "postgresql:///bot?host=/run/postgresql"},
	{"http.address", `":0"`, `:0`},
}

// nested is a file that has that for the key at path, and nothing else.
func nested(path, yaml string) string {
	var content strings.Builder
	for i, name := range strings.Split(path, ".") {
		fmt.Fprintf(&content, "\n%s%s: ", strings.Repeat("  ", i), name)
	}
	return content.String() + yaml
}

func TestGoodValues(t *testing.T) {
	for _, test := range goodValues {
		t.Run(test.path+" "+test.yaml, func(t *testing.T) {
			base := required.without(strings.ToUpper(strings.ReplaceAll(test.path, ".", "_")))
			c, err := Load(write(t, nested(test.path, test.yaml)), base.lookUp, Preflight)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range c.keys() {
				if k.path != test.path {
					continue
				}
				got, err := yaml.Marshal(k.value.node())
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.TrimSpace(string(got)); got != test.want {
					t.Errorf("%s became %s, want %s", test.yaml, got, test.want)
				}
			}
		})
	}
}

func TestEnvironmentGoesFirst(t *testing.T) {
	file := write(t, `
slack: {channel: C0123456789}
google: {sheet: History, watch_interval: 30s}
kingfisher: {tmux_users: [root], people: {jm: U0123}, words: [kingfisher]}
servers: [docs]
`)
	c := mustLoad(t, file, required.with(
		"SLACK_CHANNEL", "C0456789012",
		"GOOGLE_DOCUMENT", "https://docs.google.com/document/d/1env/edit",
		"GOOGLE_SHEET", "",
		"GOOGLE_HISTORY_COLUMNS", "taken, ,entry",
		"GOOGLE_WATCH_INTERVAL", "1s",
		"KINGFISHER_SSH_ADDRESS", "127.0.0.1",
		"KINGFISHER_SSH_KNOCK_ADDRESS", "",
		"KINGFISHER_TMUX_USERS", "",
		"KINGFISHER_PEOPLE", "mark=U123, a=b=U456",
		"KINGFISHER_WORDS", "kingfisher, collect",
		"SERVERS", "registry,docs",
		"TIMEZONE", "Europe/London",
		"REMINDERS_STALE_AFTER", "100ms",
		"STORE_URL", "postgres://bot:hidden@db.example.org/bot",
	), Serve)
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"slack.channel", c.Slack.Channel, "C0456789012"},
		{"google.document", c.Google.Document, "1env"},
		{"google.sheet", c.Google.Sheet, ""},
		{"google.history_columns", c.Google.HistoryColumns, []string{"taken", "", "entry"}},
		{"google.watch_interval", c.Google.WatchInterval, time.Second},
		{"kingfisher.ssh.address", c.Kingfisher.SSH.Address, "127.0.0.1:22"},
		{"kingfisher.ssh.knock_address", c.Kingfisher.SSH.KnockAddress, ""},
		{"kingfisher.tmux_users", c.Kingfisher.TmuxUsers, []string(nil)},
		{"kingfisher.people", c.Kingfisher.People, map[string]string{"mark": "U123", "a=b": "U456"}},
		{"kingfisher.words", c.Kingfisher.Words, []string{"kingfisher", "collect"}},
		{"servers", c.Servers, []string{"registry", "docs"}},
		{"timezone", c.Timezone.String(), "Europe/London"},
		{"reminders.stale_after", c.Reminders.StaleAfter, 100 * time.Millisecond},
		{"reminders.working_hours", c.Reminders.WorkingHours, "* 9-17 * * 1-5"},
		{"store.url", c.Store.URL.Reveal(), "postgres://bot:hidden@db.example.org/bot"},
		{"store.url shown", c.Store.URL.String(), "postgres://bot:xxxxx@db.example.org/bot"},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s is %v, want %v", check.name, check.got, check.want)
		}
	}
}

// Every key can be given by its variable alone.
func TestEveryKeyHasItsVariable(t *testing.T) {
	for _, k := range defaults().keys() {
		if k.path == "" {
			continue
		}
		_, err := Load("", required.with(k.variable, "\xff").lookUp, Preflight)
		if err == nil {
			t.Errorf("%s isn't read", k.variable)
			continue
		}
		want := k.variable + ": " + k.path + ": "
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("the error is %q, want it to begin with %q", err, want)
		}
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, test := range []struct{ name, variable, value, want string }{
		{"bad value", "SLACK_CHANNEL", "#deploys",
			`SLACK_CHANNEL: slack.channel: "#deploys" is not a channel's ID, such as C0123456789: in Slack, it stands at the end of the channel's details`},
		{"empty where something is needed", "GOOGLE_WATCH_INTERVAL", "",
			`GOOGLE_WATCH_INTERVAL: google.watch_interval: empty: give a duration from 100ms to 1h, such as 15s`},
		{"empty list where something is needed", "GOOGLE_HISTORY_COLUMNS", "",
			`GOOGLE_HISTORY_COLUMNS: google.history_columns: has no entry: add it, for the bot knows its rows by that column`},
		{"entry of a list", "KINGFISHER_TMUX_USERS", "root,",
			`KINGFISHER_TMUX_USERS: kingfisher.tmux_users: "" is not a Unix user's name, such as root`},
		{"person without an ID", "KINGFISHER_PEOPLE", "jm=U1,kw",
			`KINGFISHER_PEOPLE: kingfisher.people: "kw" is not NAME=ID: write it as jm=U0123456789,kw=U0456789012`},
		{"person twice", "KINGFISHER_PEOPLE", "jm=U1,jm=U2",
			`KINGFISHER_PEOPLE: kingfisher.people: "jm" is there twice: remove one`},
		{"too many", "SERVERS", manyServers(101),
			`SERVERS: servers: has 101 entries: Slack offers at most 100`},
		{"no UTF-8", "GOOGLE_LABEL", "\xff",
			`GOOGLE_LABEL: google.label: it is not valid UTF-8`},
		{"bot token", "SLACK_BOT_TOKEN", "xapp-hidden",
			`SLACK_BOT_TOKEN: the value is not a bot token, which begins with xoxb-`},
		{"token with a line break", "SLACK_APP_TOKEN", "xapp-hidden\n",
			`SLACK_APP_TOKEN: the value is not an app-level token, which begins with xapp-: it has a space or another character that tokens don't have`},
		{"token without anything", "SLACK_APP_TOKEN", "xapp-",
			`SLACK_APP_TOKEN: the value is not an app-level token, which begins with xapp-`},
		{"token left blank", "SLACK_BOT_TOKEN", "",
			`SLACK_BOT_TOKEN: missing: set it to a bot token, which begins with xoxb-, or SLACK_BOT_TOKEN_FILE to the path of a file that holds it`},
		{"store", "STORE_URL", "postgres://bot:hid%zzden@db/bot",
			`STORE_URL: store.url: the value is not sqlite:PATH or postgres://USER@HOST/DATABASE: in the user name and the password, write / ? # @ : % and spaces percent-encoded, as %2F %3F %23 %40 %3A %25 %20`},
		{"credentials", "GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json",
			`GOOGLE_APPLICATION_CREDENTIALS: "/nowhere/key.json" is not the path of a service account's key file: it can't be opened: no such file or directory`},
		{"credentials that are a folder", "GOOGLE_APPLICATION_CREDENTIALS", "/",
			`GOOGLE_APPLICATION_CREDENTIALS: "/" is not the path of a service account's key file: it can't be read: is a directory`},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantError(t, "", required.with(test.variable, test.value), Serve, test.want)
		})
	}

	kingfisher := required.with("KINGFISHER_TIMEOUT", "5s")
	const half = "SCRAPYD_USERNAME and SCRAPYD_PASSWORD: only one is given: give both, or neither"
	wantError(t, "", kingfisher.with("SCRAPYD_USERNAME", "hidden"), Serve, half)
	wantError(t, "", kingfisher.with("SCRAPYD_PASSWORD", "hidden"), Busy, half)
	wantError(t, "", kingfisher.with("SCRAPYD_USERNAME", "hid:den", "SCRAPYD_PASSWORD", "hid\nden"), Serve,
		"SCRAPYD_USERNAME: the value is not a user name without a colon",
		"SCRAPYD_PASSWORD: the value is not a password without control characters: it has a line break or another control character")
}

func manyServers(n int) string {
	var names []string
	for i := range n {
		names = append(names, strings.Repeat("s", i/26+1)+string(rune('a'+i%26)))
	}
	return strings.Join(names, ",")
}

// Mistakes of the file come first, by line, then those of the environment and
// what is missing, all at once.
func TestAllMistakesAtOnce(t *testing.T) {
	file := write(t, "timezone: Nowhere\nslack:\n  chanel: C1\nhttp: {address: x}\n")
	wantError(t, file, required.with("WAITLIST_TURN", "0s").without("SLACK_CHANNEL", "SLACK_APP_TOKEN"), Serve,
		file+`:1: timezone: "Nowhere" is not a time zone's name, such as Etc/UTC or America/Guatemala`,
		file+`:3: slack.chanel: there is no such key: did you mean slack.channel?`,
		file+`:4: http.address: "x" is not host:port, such as 127.0.0.1:8080: it has no port, or more than one colon outside brackets`,
		`WAITLIST_TURN: waitlist.turn: "0s" is not a duration from 100ms to 168h, such as 10m`,
		file+`: slack.channel: missing: give a channel's ID, such as C0123456789 here or in SLACK_CHANNEL`,
		`SLACK_APP_TOKEN: missing: set it to an app-level token, which begins with xapp-, or SLACK_APP_TOKEN_FILE to the path of a file that holds it`,
	)
}

func TestSecretsFromFiles(t *testing.T) {
	base := required.without("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN").with("KINGFISHER_TIMEOUT", "5s")
	c := mustLoad(t, "", base.with(
		"SLACK_BOT_TOKEN", "", // as in a template
		"SLACK_BOT_TOKEN_FILE", write(t, "xoxb-1\n"),
		"SLACK_APP_TOKEN_FILE", write(t, "xapp-1\r\n"),
		"SCRAPYD_USERNAME_FILE", write(t, "user"),
		"SCRAPYD_PASSWORD_FILE", write(t, " pass word \n"),
		"STORE_URL_FILE", write(t, "postgres://bot:hidden@db/bot\n"),
		"GOOGLE_APPLICATION_CREDENTIALS", write(t, "{}"),
	), Serve)
	for _, check := range []struct{ name, got, want string }{
		{"SLACK_BOT_TOKEN", c.Slack.BotToken.Reveal(), "xoxb-1"},
		{"SLACK_APP_TOKEN", c.Slack.AppToken.Reveal(), "xapp-1"},
		{"SCRAPYD_USERNAME", c.Kingfisher.ScrapydUsername.Reveal(), "user"},
		{"SCRAPYD_PASSWORD", c.Kingfisher.ScrapydPassword.Reveal(), " pass word "},
		{"STORE_URL", c.Store.URL.Reveal(), "postgres://bot:hidden@db/bot"},
	} {
		if check.got != check.want {
			t.Errorf("%s is %q, want %q", check.name, check.got, check.want)
		}
	}

	empty, large, bad := write(t, "\n"), write(t, strings.Repeat("hidden", 20000)), write(t, "hidden\n")
	for _, test := range []struct{ name, path, want string }{
		{"missing", "/nowhere/token", `SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN: the file "/nowhere/token" can't be read: no such file or directory`},
		{"folder", "/", `SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN: the file "/" can't be read: is a directory`},
		{"empty", empty, `SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN: the file "` + empty + `" is empty`},
		{"large", large, `SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN: the file "` + large + `" can't be read: it is larger than 64 KiB`},
		{"wrong", bad, `SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN: the value is not a bot token, which begins with xoxb-`},
		{"the token itself", "xoxb-1-2-hidden", `SLACK_BOT_TOKEN_FILE: SLACK_BOT_TOKEN: the file [not shown, for it looks like a secret] can't be read: no such file or directory`},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantError(t, "", required.without("SLACK_BOT_TOKEN").with("SLACK_BOT_TOKEN_FILE", test.path), Serve, test.want)
		})
	}
	wantError(t, "", required.with("SLACK_BOT_TOKEN_FILE", bad), Serve,
		"SLACK_BOT_TOKEN: both SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are set: unset one")
}

func TestFileCannotBeRead(t *testing.T) {
	_, err := Load("/nowhere/bot.yaml", required.lookUp, Serve)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the error is %v, want fs.ErrNotExist", err)
	}
	wantError(t, "/nowhere/bot.yaml", required, Serve, "/nowhere/bot.yaml: the configuration can't be read: no such file or directory")
	large := write(t, strings.Repeat("#", maxFile+1))
	wantError(t, large, required, Serve, large+": the configuration can't be read: it is larger than 1024 KiB")
}

func TestEmptyFile(t *testing.T) {
	for _, content := range []string{"", "\n", "# nothing\n", "---\n", "slack:\naccess:\n"} {
		mustLoad(t, write(t, content), required, Serve)
	}
}

func TestAlias(t *testing.T) {
	c := mustLoad(t, write(t, "access: {group: &g S0123, force_group: *g}\nservers: &s [docs]\nkingfisher: {words: *s}"), required, Serve)
	if c.Access.ForceGroup != "S0123" || len(c.Kingfisher.Words) != 1 {
		t.Errorf("aliases were not followed: %+v", c)
	}
}

// Whatever the file and a variable hold, Load gives an error of one line for
// each mistake, or a configuration that is right by the schema and loads again
// from what it shows.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(Example()), uint8(0), "")
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, uint8(i), "registry,jm=U1")
	}
	keys := defaults().keys()
	schema := compiled(f)
	f.Fuzz(func(t *testing.T, content []byte, which uint8, value string) {
		env := required
		if k := keys[int(which)%len(keys)]; value != "" && k.variable != "GOOGLE_APPLICATION_CREDENTIALS" {
			env = required.with(k.variable, value)
		}
		c, err := load("bot.yaml", content, env.lookUp, Serve)
		if err != nil {
			if c != nil || strings.Contains(err.Error(), "hidden") && !strings.Contains(value+string(content), "hidden") {
				t.Fatalf("error %q beside %v", err, c)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
				t.Fatalf("control characters in %q", err)
			}
			return
		}
		if v, err := decoded(content); err == nil && v != nil {
			if err := schema.Validate(v); err != nil {
				t.Fatalf("what loads isn't right by the schema: %v", err)
			}
		}
		shown, err := yaml.Marshal(c)
		if err != nil {
			t.Fatalf("%v of %+v", err, c)
		}
		secrets := variables{
			"SLACK_BOT_TOKEN":  c.Slack.BotToken.Reveal(),
			"SLACK_APP_TOKEN":  c.Slack.AppToken.Reveal(),
			"STORE_URL":        c.Store.URL.Reveal(),
			"SCRAPYD_USERNAME": "",
		}
		if c.Store.URL.masked() {
			return
		}
		again, err := load("shown", shown, secrets.lookUp, Serve)
		if err != nil {
			t.Fatalf("what was shown doesn't load: %v\n%s", err, shown)
		}
		twice, err := yaml.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if string(shown) != string(twice) {
			t.Fatalf("shown as\n%s, then as\n%s", shown, twice)
		}
	})
}
