package slackapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// TestManifest holds the app's manifest to the scopes, the commands and the
// events of the code.
func TestManifest(t *testing.T) {
	content, err := os.ReadFile("../../deploy/slack-app-manifest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Features struct {
			AppHome struct {
				HomeTab     bool `yaml:"home_tab_enabled"`
				MessagesTab bool `yaml:"messages_tab_enabled"`
			} `yaml:"app_home"`
			SlashCommands []struct {
				Command      string
				UsageHint    string `yaml:"usage_hint"`
				ShouldEscape bool   `yaml:"should_escape"`
			} `yaml:"slash_commands"`
		}
		OAuthConfig struct {
			Scopes struct{ Bot []string }
		} `yaml:"oauth_config"`
		Settings struct {
			SocketMode    bool `yaml:"socket_mode_enabled"`
			Interactivity struct {
				Enabled bool `yaml:"is_enabled"`
			}
			EventSubscriptions struct {
				BotEvents []string `yaml:"bot_events"`
			} `yaml:"event_subscriptions"`
		}
	}
	if err := yaml.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	got, want := slices.Sorted(slices.Values(manifest.OAuthConfig.Scopes.Bot)), slices.Sorted(slices.Values(RequiredScopes()))
	if !slices.Equal(got, want) {
		t.Errorf("the manifest asks for the scopes %q, and the bot needs %q", got, want)
	}
	var commands []string
	for _, c := range manifest.Features.SlashCommands {
		commands = append(commands, c.Command)
		if !c.ShouldEscape {
			t.Errorf("%s: mentions would come as plain text", c.Command)
		}
		hints := strings.Split(strings.Trim(c.UsageHint, "[]"), " | ")
		for _, hint := range hints {
			if r := parseText(c.Command, hint); r.Ask == askNotUnderstood {
				t.Errorf("%s: the hint has %q, which is not understood", c.Command, hint)
			}
		}
		for _, l := range usage(c.Command, true).bullets {
			for _, s := range l {
				said, ok := strings.CutPrefix(s.text, c.Command+" ")
				if verb, _, _ := strings.Cut(said, " "); ok && s.kind == spanCode &&
					!slices.ContainsFunc(hints, func(h string) bool { return h == verb || strings.HasPrefix(h, verb+" ") }) {
					t.Errorf("%s: the help has %q, and the hint %q doesn't", c.Command, verb, c.UsageHint)
				}
			}
		}
	}
	if want := []string{commandToken, commandKingfisher}; !slices.Equal(commands, want) {
		t.Errorf("the manifest has the commands %q, and the bot answers %q", commands, want)
	}
	if !manifest.Settings.SocketMode || !manifest.Settings.Interactivity.Enabled {
		t.Errorf("neither commands nor clicks would arrive: %+v", manifest.Settings)
	}
	if got, want := manifest.Settings.EventSubscriptions.BotEvents, []string{eventHomeOpened}; !slices.Equal(got, want) {
		t.Errorf("the manifest subscribes to %q, and the bot takes %q", got, want)
	}
	if home := manifest.Features.AppHome; !home.HomeTab || !home.MessagesTab {
		t.Errorf("there would be no home, or no direct messages: %+v", home)
	}
}

func TestJudgeScopes(t *testing.T) {
	but := func(scopes ...string) []string {
		return slices.DeleteFunc(RequiredScopes(), func(s string) bool { return slices.Contains(scopes, s) })
	}
	for _, tt := range []struct {
		name                 string
		granted              []string
		groups               bool
		found, warning, fail string
	}{
		{"Slack doesn't say", nil, true, "", "doesn't say", ""},
		{"all", RequiredScopes(), true, "all that are needed. Without the scope channels:history (groups:history for a private channel), a message to the channel may come twice", "", ""},
		{"the optional ones too", append(RequiredScopes(), OptionalScopes()...), true, "all that are needed", "", ""},
		{"more", append(RequiredScopes(), "files:read", "im:read"), true, "and some that aren't: files:read, im:read", "", ""},
		{"none", []string{}, false, "", "", "commands, chat:write"},
		{"one is missing", but("im:write"), false, "", "", "a scope: im:write. Add it"},
		{"no groups to read", but("usergroups:read"), false, "", "No user group is configured", ""},
		{"groups to read", but("usergroups:read"), true, "", "", "usergroups:read"},
		{"no groups to read, and another is missing", but("usergroups:read", "commands"), false, "", "", "commands, usergroups:read"},
		{"a private channel", append(but("channels:read"), "groups:read"), true, "all that are needed", "", ""},
		{"no channel to read", but("channels:read"), true, "", "", "channels:read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, warning, err := judgeScopes(tt.granted, tt.groups)
			if tt.fail != "" != errors.Is(err, deploytoken.ErrMisconfigured) || err != nil && !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("error %v, want %q", err, tt.fail)
			}
			if tt.found != "" != (found != "") || !strings.Contains(found, tt.found) || tt.warning != "" != (warning != "") || !strings.Contains(warning, tt.warning) {
				t.Errorf("%q %q, want %q %q", found, warning, tt.found, tt.warning)
			}
		})
	}
}

func TestAppOf(t *testing.T) {
	for token, want := range map[string]string{
		"xapp-1-A0123456789-1234567890-abcdef": "A0123456789",
		"xapp-sandbox":                         "",
		"xapp-1-B0123456789-1234567890-abcdef": "",
		"":                                     "",
	} {
		if got := appOf(token); got != want {
			t.Errorf("appOf(%q) = %q, want %q", token, got, want)
		}
	}
}

// answering is a Slack that answers each method by what is given.
func answering(t *testing.T, answers map[string]any) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[strings.TrimPrefix(r.URL.Path, "/api/")]
		if !ok {
			answer = map[string]any{"ok": false, "error": "unknown_method"}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api/"
}

// Two tokens of different apps both work, and nothing arrives.
func TestDiagnosisOfTwoApps(t *testing.T) {
	type object = map[string]any
	answers := map[string]any{
		"apps.connections.open": object{"ok": true, "url": "wss://example.invalid/link/?ticket=" + testTicket},
		"auth.test":             object{"ok": true, "bot_id": "B1"},
		"bots.info":             object{"ok": true, "bot": object{"id": "B1", "app_id": "A0BOT"}},
	}
	url := answering(t, answers)
	try := func(appToken string) error {
		found, _, err := NewDiagnosis("xoxb-1", appToken, url, "C1", "", false).AppToken(t.Context())
		if (err == nil) != (found != "") {
			t.Errorf("%q %v", found, err)
		}
		return err
	}
	if err := try("xapp-1-A0BOT-1-x"); err != nil {
		t.Errorf("of one app: %v", err)
	}
	err := try("xapp-1-A0OTHER-1-x")
	for _, says := range []string{"SLACK_APP_TOKEN is of the app A0OTHER and SLACK_BOT_TOKEN of A0BOT", "https://api.slack.com/apps/A0BOT/general", "https://api.slack.com/apps/A0OTHER/oauth"} {
		if !errors.Is(err, deploytoken.ErrMisconfigured) || !strings.Contains(err.Error(), says) {
			t.Errorf("of two apps: %v, want %q", err, says)
		}
	}
	if err := try("xapp-sandbox"); err != nil {
		t.Errorf("a token that names no app: %v", err)
	}
	delete(answers, "bots.info")
	if err := try("xapp-1-A0OTHER-1-x"); err != nil {
		t.Errorf("where Slack doesn't tell: %v", err)
	}
	delete(answers, "auth.test")
	if err := try("xapp-1-A0OTHER-1-x"); err != nil {
		t.Errorf("where the bot token is bad: %v", err)
	}
}

// The socket's host is tried, and the ticket is neither sent nor shown.
func TestDiagnosisOfTheSocket(t *testing.T) {
	var asked []string
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("Upgrade"))
		http.NotFound(w, r)
	}))
	defer host.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	socket := func(address string) string {
		return "ws" + strings.TrimPrefix(address, "http") + "/link/?ticket=" + testTicket
	}
	for _, tt := range []struct{ name, address, fail string }{
		{"it is there", socket(host.URL), ""},
		{"it can't be reached", socket(gone.URL), "can't be reached at " + strings.TrimPrefix(gone.URL, "http://") + ". Let this machine connect out"},
		{"no host", "/link/?ticket=" + testTicket, "is not one"},
		{"nonsense", "ws://\x7f/?ticket=" + testTicket, "is not one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDiagnosis("xoxb-1", "xapp-1", answering(t, map[string]any{
				"apps.connections.open": map[string]any{"ok": true, "url": tt.address},
			}), "C1", "", false)
			if _, _, err := d.AppToken(t.Context()); err != nil {
				t.Fatal(err)
			}
			found, warning, err := d.Socket(t.Context())
			if (err != nil) != (tt.fail != "") || err != nil && !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("error %v, want %q", err, tt.fail)
			}
			if strings.Contains(fmt.Sprint(found, warning, err), testTicket) {
				t.Errorf("the ticket is shown: %q %q %v", found, warning, err)
			}
		})
	}
	if want := []string{"GET / "}; !slices.Equal(asked, want) {
		t.Errorf("the host was asked %q, want %q", asked, want)
	}
}
