package config

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files")

// variables is an environment of those variables.
type variables map[string]string

func (v variables) lookUp(name string) (string, bool) {
	value, ok := v[name]
	return value, ok
}

// with is the environment with more variables, given as NAME, VALUE, ….
func (v variables) with(more ...string) variables {
	all := maps.Clone(v)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func (v variables) without(names ...string) variables {
	some := maps.Clone(v)
	for _, name := range names {
		delete(some, name)
	}
	return some
}

// required is all that serve needs.
var required = variables{
	"SLACK_CHANNEL":      "C0123456789",
	"GOOGLE_DOCUMENT":    "1abc",
	"GOOGLE_SPREADSHEET": "1xyz",
	"SLACK_BOT_TOKEN":    "xoxb-1-2-hidden",
	"SLACK_APP_TOKEN":    "xapp-1-2-hidden",
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustLoad(t *testing.T, path string, env variables, cmd Command) *Config {
	t.Helper()
	c, err := Load(path, env.lookUp, cmd)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func wantError(t *testing.T, path string, env variables, cmd Command, want ...string) {
	t.Helper()
	c, err := Load(path, env.lookUp, cmd)
	if err == nil {
		t.Fatal("Load gave no error")
	}
	if c != nil {
		t.Error("Load gave a configuration beside its error")
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("Load gave\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestDefaults(t *testing.T) {
	zone, err := time.LoadLocation("Etc/UTC")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Slack: Slack{Channel: "C0123456789", APIURL: "https://slack.com/api/",
			BotToken: NewSecret("xoxb-1-2-hidden"), AppToken: NewSecret("xapp-1-2-hidden")},
		Google: Google{Document: "1abc", Spreadsheet: "1xyz", Label: "Held by:",
			HistoryColumns: []string{"taken", "released", "name", "purpose", "summary", "consent", "entry"},
			WatchInterval:  15 * time.Second},
		Timezone:  zone,
		Reminders: Reminders{Schedule: "0 9-17 * * 1-5", StaleAfter: 2 * time.Hour, WorkingHours: "* 9-17 * * 1-5"},
		Waitlist:  Waitlist{Turn: 10 * time.Minute},
		Preflight: PreflightChecks{Repositories: []string{".", "pillar/private", "salt/private"}},
		Store:     Store{URL: shownSecret("sqlite:deploytoken.db", "sqlite:deploytoken.db")},
		HTTP:      HTTP{Address: "127.0.0.1:8080"},
	}
	if got := mustLoad(t, "", required, Serve); !reflect.DeepEqual(got, want) {
		t.Errorf("without Kingfisher:\n%+v, want\n%+v", got, want)
	}

	want.Kingfisher = &Kingfisher{
		ScrapydURL: "https://collect.kingfisher.open-contracting.org/",
		SSH: SSH{Address: "collect.kingfisher.open-contracting.org:22", User: "root",
			IdentityFile: "/etc/deploytoken/id_ed25519", KnownHostsFile: "/etc/deploytoken/known_hosts",
			KnockAddress: "collect.kingfisher.open-contracting.org:8255"},
		LongQuery: time.Hour,
		Timeout:   20 * time.Second,
		Words:     []string{"kingfisher"},
	}
	if got := mustLoad(t, write(t, "kingfisher: {}"), required, Serve); !reflect.DeepEqual(got, want) {
		t.Errorf("with Kingfisher:\n%+v, want\n%+v", got, want)
	}
}

// The example has every key, in the order in which they are declared, each with
// its default and a comment, and would work.
func TestExample(t *testing.T) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(Example()), &root); err != nil {
		t.Fatal(err)
	}
	made := []string{"slack.channel", "google.document", "google.spreadsheet"}
	type leaf struct {
		value   any
		comment string
	}
	example := map[string]leaf{}
	var order []string
	decode := func(n *yaml.Node) (value any) {
		if err := n.Decode(&value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		for i := 0; i < len(n.Content); i += 2 {
			name, content := n.Content[i], n.Content[i+1]
			if content.Kind == yaml.MappingNode && len(content.Content) > 0 {
				walk(path+name.Value+".", content)
				continue
			}
			order = append(order, path+name.Value)
			example[path+name.Value] = leaf{decode(content), name.HeadComment}
		}
	}
	walk("", root.Content[0])

	var want []string
	for _, k := range defaults().keys() {
		if k.path == "" {
			continue
		}
		want = append(want, k.path)
		got, ok := example[k.path]
		if !ok {
			continue
		}
		if got.comment == "" {
			t.Errorf("the example doesn't explain %s", k.path)
		}
		isRequired := strings.Contains(got.comment, "Required.")
		if isRequired != k.required || k.required != slices.Contains(made, k.path) {
			t.Errorf("%s: the comment is %q, but required is %t", k.path, got.comment, k.required)
		}
		if want := decode(k.value.node()); !isRequired && !reflect.DeepEqual(got.value, want) {
			t.Errorf("%s: the example has %v, but the default is %v", k.path, got.value, want)
		}
	}
	if !slices.Equal(order, want) {
		t.Errorf("the example has the keys\n%v, want\n%v", order, want)
	}

	c := mustLoad(t, write(t, Example()), required.without("SLACK_CHANNEL", "GOOGLE_DOCUMENT", "GOOGLE_SPREADSHEET"), Serve)
	if c.Google.Document != "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE" {
		t.Errorf("the document is %q", c.Google.Document)
	}
}

// Every field of the configuration is behind a key, so that none can be
// forgotten in the example and in the documentation.
func TestEveryFieldHasAKey(t *testing.T) {
	c := defaults()
	kept := map[uintptr]bool{}
	for _, k := range c.keys() {
		kept[reflect.ValueOf(k.value).FieldByName("at").Pointer()] = true
	}
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		if v.Kind() == reflect.Pointer && v.Type() != reflect.TypeFor[*time.Location]() {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[Secret]() {
			if !kept[v.Addr().Pointer()] {
				t.Errorf("%s has no key", name)
			}
			return
		}
		for i := range v.NumField() {
			walk(name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
	walk("Config", reflect.ValueOf(c))
}

func TestDocumentation(t *testing.T) {
	content, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for row := range strings.Lines(string(content)) {
		if cells := strings.Split(row, "|"); len(cells) > 3 {
			rows[strings.Trim(cells[1], " `")] = row
		}
	}
	for _, k := range defaults().keys() {
		row, ok := rows[k.name()]
		if !ok {
			t.Errorf("docs/configuration.md has no row for %s", k.name())
			continue
		}
		delete(rows, k.name())
		delete(rows, k.variable)
		if !strings.Contains(row, "`"+k.variable+"`") {
			t.Errorf("docs/configuration.md doesn't name the variable of %s", k.path)
		}
		if k.path == "" || k.required {
			continue
		}
		shown := "empty"
		if n := k.value.node(); n.Kind != yaml.ScalarNode || n.Value != "" {
			text, err := yaml.Marshal(n)
			if err != nil {
				t.Fatal(err)
			}
			shown = "`" + strings.Trim(string(text), "\n'\"") + "`"
		}
		if !strings.Contains(row, "| "+shown+" |") {
			t.Errorf("docs/configuration.md doesn't give %s the default %s", k.path, shown)
		}
	}
	for name := range rows {
		if strings.Contains(name, ".") || strings.Contains(name, "_") {
			t.Errorf("docs/configuration.md has a row for %s, which is no key", name)
		}
	}
}

func TestWhatEachCommandNeeds(t *testing.T) {
	none := variables{}
	document := none.with("GOOGLE_DOCUMENT", "1abc")
	kingfisher := none.with("KINGFISHER_SSH_USER", "bot")
	for _, test := range []struct {
		name string
		cmd  Command
		env  variables
		want []string
	}{
		{"serve with all", Serve, required, nil},
		{"serve with nothing", Serve, none, []string{
			"slack.channel: missing: set SLACK_CHANNEL to a channel's ID, such as C0123456789, or name a file that has it with --config",
			"google.document: missing: set GOOGLE_DOCUMENT to the ID or link of a Google document, or name a file that has it with --config",
			"google.spreadsheet: missing: set GOOGLE_SPREADSHEET to the ID or link of a Google spreadsheet, or name a file that has it with --config",
			"SLACK_BOT_TOKEN: missing: set it to a bot token, which begins with xoxb-, or SLACK_BOT_TOKEN_FILE to the path of a file that holds it",
			"SLACK_APP_TOKEN: missing: set it to an app-level token, which begins with xapp-, or SLACK_APP_TOKEN_FILE to the path of a file that holds it",
		}},
		{"doctor as serve", Doctor, required.without("GOOGLE_SPREADSHEET"), []string{
			"google.spreadsheet: missing: set GOOGLE_SPREADSHEET to the ID or link of a Google spreadsheet, or name a file that has it with --config",
		}},
		{"busy", Busy, kingfisher, nil},
		{"busy without Kingfisher", Busy, required, []string{
			"kingfisher: missing: add the section, if only as kingfisher: {}, or set one of its variables, such as KINGFISHER_SSH_ADDRESS",
		}},
		{"status", Status, document, nil},
		{"status without the document", Status, kingfisher, []string{
			"google.document: missing: set GOOGLE_DOCUMENT to the ID or link of a Google document, or name a file that has it with --config",
		}},
		{"guard", Guard, document, nil},
		{"guard without the document", Guard, none, []string{
			"google.document: missing: set GOOGLE_DOCUMENT to the ID or link of a Google document, or name a file that has it with --config",
		}},
		{"guard opens no store", Guard, document.with("STORE_URL_FILE", "/nowhere"), nil},
		{"guard with busy checks", GuardBusy, document.with("KINGFISHER_SSH_USER", "bot", "SLACK_BOT_TOKEN_FILE", "/nowhere"), nil},
		{"guard with busy checks without anything", GuardBusy, none, []string{
			"kingfisher: missing: add the section, if only as kingfisher: {}, or set one of its variables, such as KINGFISHER_SSH_ADDRESS",
			"google.document: missing: set GOOGLE_DOCUMENT to the ID or link of a Google document, or name a file that has it with --config",
		}},
		{"preflight", Preflight, none, nil},
		{"show", Show, none, nil},
		{"show reads everything", Show, none.with("SLACK_APP_TOKEN_FILE", "/nowhere"), []string{
			`SLACK_APP_TOKEN_FILE: SLACK_APP_TOKEN: the file "/nowhere" can't be read: no such file or directory`,
		}},
		{"what isn't needed must be right", Status, document.with("SLACK_BOT_TOKEN", "hidden", "HTTP_ADDRESS", "8080"), []string{
			"HTTP_ADDRESS: http.address: \"8080\" is not host:port, such as 127.0.0.1:8080: it has no port, or more than one colon outside brackets",
			"SLACK_BOT_TOKEN: the value is not a bot token, which begins with xoxb-",
		}},
		{"files that aren't needed aren't opened", Status, document.with("SLACK_BOT_TOKEN_FILE", "/nowhere", "SCRAPYD_PASSWORD_FILE", "/nowhere",
			"SCRAPYD_USERNAME", "user", "KINGFISHER_TIMEOUT", "5s"), nil},
		{"nor are credentials", Busy, kingfisher.with("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere", "STORE_URL_FILE", "/nowhere"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want == nil {
				mustLoad(t, "", test.env, test.cmd)
				return
			}
			wantError(t, "", test.env, test.cmd, test.want...)
		})
	}
}

func TestLinks(t *testing.T) {
	c := mustLoad(t, "", required, Serve)
	if got, want := c.Google.DocumentLink(), "https://docs.google.com/document/d/1abc/edit"; got != want {
		t.Errorf("the document's link is %s, want %s", got, want)
	}
	if got, want := c.Google.SpreadsheetLink(), "https://docs.google.com/spreadsheets/d/1xyz/edit"; got != want {
		t.Errorf("the spreadsheet's link is %s, want %s", got, want)
	}
	if got := (Google{}).DocumentLink(); got != "" {
		t.Errorf("the link of no document is %s", got)
	}
}
