package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// However a secret, or what has one in it, is written, it doesn't show.
func TestSecretsDoNotShow(t *testing.T) {
	c := mustLoad(t, "", required.with(
		"SCRAPYD_USERNAME", "hidden", "SCRAPYD_PASSWORD", "hidden", "KINGFISHER_TIMEOUT", "5s",
		"STORE_URL", "postgres://bot:hidden@db/bot?sslpassword=hidden",
	), Serve)
	secret := NewSecret("hidden")
	values := map[string]any{
		"a secret":                     secret,
		"a pointer":                    &secret,
		"in a list":                    []Secret{secret},
		"in a map":                     map[string]any{"key": secret},
		"as a map's key":               map[Secret]string{secret: ""},
		"in an exported field":         struct{ Secret Secret }{secret},
		"in an unexported field":       struct{ secret Secret }{secret},
		"a pointer in an unexported":   struct{ secret *Secret }{&secret},
		"embedded":                     struct{ Secret }{secret},
		"the configuration":            c,
		"the configuration, by value":  *c,
		"the configuration, unwrapped": struct{ c Config }{*c},
		"the store":                    c.Store,
		"Kingfisher":                   c.Kingfisher,
		"an error":                     fmt.Errorf("with %v", secret),
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s", "%t", "%p", "%T", "%w"} {
				fmt.Fprintf(&out, verb+"\n", value)
			}
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				slog.New(handler).Info("logged", "value", value, slog.Group("group", "value", value))
			}
			for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
				// What can't be encoded leaves an error, which mustn't show it either.
				text, err := marshal(value)
				fmt.Fprintf(&out, "%s %v\n", text, err)
			}
			for _, trace := range []string{"hidden", "68696464656e", "68696464656E"} {
				if strings.Contains(out.String(), trace) {
					t.Errorf("the secret shows:\n%s", &out)
				}
			}
		})
	}
}

func TestSecret(t *testing.T) {
	secret := NewSecret("hidden")
	if secret.Reveal() != "hidden" || secret.Empty() || secret.String() != "[secret]" {
		t.Errorf("the secret is %q, empty %t, shown as %s", secret.Reveal(), secret.Empty(), secret)
	}
	for _, empty := range []Secret{{}, NewSecret("")} {
		if empty.Reveal() != "" || !empty.Empty() || fmt.Sprintf("%v", empty) != "" {
			t.Errorf("the empty secret is %q, empty %t, shown as %s", empty.Reveal(), empty.Empty(), empty)
		}
	}
}

func TestStoreURLsAreMasked(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"sqlite:token.db", "sqlite:token.db"},
		{"postgres://bot@db/bot", "postgres://bot@db/bot"},
		{"postgres://bot:hidden@db:5432/bot?sslmode=require", "postgres://bot:xxxxx@db:5432/bot?sslmode=require"},
		{"postgresql://bot:hid@den@db/bot", "postgresql://bot:xxxxx@db/bot"},
		{"postgres://bot:hid%2Fden@a:1,b:2/bot", "postgres://bot:xxxxx@a:1,b:2/bot"},
		{"postgres://bot:@db/bot", "postgres://bot:xxxxx@db/bot"},
		{"postgres:///bot?user=bot&Password=hidden&password=hidden", "postgres:///bot?Password=xxxxx&password=xxxxx&user=bot"},
	} {
		got, err := storeURL(test.url)
		if err != nil {
			t.Errorf("%s: %v", test.url, err)
			continue
		}
		if got.String() != test.want || got.Reveal() != test.url {
			t.Errorf("%s is shown as %s, want %s", test.url, got, test.want)
		}
	}
	for _, url := range []string{
		"postgres://bot:hid/den@db/bot", "postgres://bot:1#hidden@db/bot", "postgres://bot:1?hidden@db/bot",
		"postgres://bot:hid den@db/bot", "postgres:bot:hidden@db/bot", "postgres://bot@db/bot?password=hid%zzden",
	} {
		got, err := storeURL(url)
		if err == nil {
			t.Errorf("%s was taken and is shown as %s", url, got)
		} else if strings.Contains(err.Error(), "hid") {
			t.Errorf("%s: the error shows it: %v", url, err)
		}
	}
}

func TestShownConfiguration(t *testing.T) {
	c := mustLoad(t, "", required.with("KINGFISHER_PEOPLE", "jm=U1", "SERVERS", "registry,docs",
		"STORE_URL", "postgres://bot:hidden@db/bot"), Serve)
	shown, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	const want = `slack:
    channel: C0123456789
    api_url: https://slack.com/api/
google:
    document: 1abc
    spreadsheet: 1xyz
    label: 'Held by:'
    sheet: ""
    history_columns: [taken, released, name, purpose, summary, consent, entry]
    endpoint: ""
    watch_interval: 15s
kingfisher:
    scrapyd_url: https://collect.kingfisher.open-contracting.org/
    ssh:
        address: collect.kingfisher.open-contracting.org:22
        user: root
        identity_file: /etc/deploytoken/id_ed25519
        known_hosts_file: /etc/deploytoken/known_hosts
        knock_address: collect.kingfisher.open-contracting.org:8255
    tmux_users: []
    long_query: 1h
    timeout: 20s
    people: {jm: U1}
    consent_group: ""
    words: [kingfisher]
    override_url: ""
timezone: Etc/UTC
reminders:
    schedule: 0 9-17 * * 1-5
    stale_after: 2h
    working_hours: '* 9-17 * * 1-5'
waitlist:
    turn: 10m
servers: [registry, docs]
access:
    group: ""
    force_group: ""
preflight:
    repositories: [., pillar/private, salt/private]
store:
    url: postgres://bot:xxxxx@db/bot
http:
    address: 127.0.0.1:8080

# SLACK_BOT_TOKEN: set
# SLACK_APP_TOKEN: set
# GOOGLE_APPLICATION_CREDENTIALS: not set
# SCRAPYD_USERNAME: not set
# SCRAPYD_PASSWORD: not set
`
	if string(shown) != want {
		t.Errorf("shown as\n%swant\n%s", shown, want)
	}

	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("configured", "config", c)
	for _, want := range []string{"config.slack.channel=C0123456789", "config.google.watch_interval=15s",
		`config.servers="[registry docs]"`, "config.kingfisher.people=map[jm:U1]",
		"config.store.url=postgres://bot:xxxxx@db/bot", "config.SLACK_BOT_TOKEN=[secret]"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("logged %s, want %s in it", &out, want)
		}
	}
}
