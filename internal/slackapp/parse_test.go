package slackapp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestParseWords(t *testing.T) {
	long := strings.Repeat("é", maxWords+10)
	for _, tt := range []struct {
		command, text string
		ask           ask
		words         string
	}{
		{"/deploy-token", "", askStatus, ""},
		{"/deploy-token", "  \t ", askStatus, ""},
		{"/deploy-token", "status", askStatus, ""},
		{"/deploy-token", "STATUS ", askStatus, ""},
		{"/deploy-token", "status of what", askNotUnderstood, "status of what"},
		{"/deploy-token", "take", askTake, ""},
		{"/deploy-token", "Take the  registry\n and more", askTake, "the registry and more"},
		{"/deploy-token", "take for the registry", askTake, "the registry"},
		{"/deploy-token", "take For the registry", askTake, "the registry"},
		{"/deploy-token", "take for", askTake, ""},
		{"/deploy-token", "take formal steps", askTake, "formal steps"},
		{"/deploy-token", "take\u00a0docs", askTake, "docs"},
		{"/deploy-token", "take " + long, askTake, strings.Repeat("é", maxWords-1) + "…"},
		{"/deploy-token", "take a &lt;b&gt; &amp;amp; <https://x.org/a?b=1&amp;c=2>", askTake, "a <b> &amp; https://x.org/a?b=1&c=2"},
		{"/deploy-token", "taken", askNotUnderstood, "taken"},
		{"/deploy-token", "release", askRelease, ""},
		{"/deploy-token", "release for good", askRelease, "for good"},
		{"/deploy-token", "release deployed &lt;3 with <@U1|jane> in <#C1|ops>", askRelease, "deployed <3 with @jane in #ops"},
		{"/deploy-token", "release \u202eevil", askRelease, "evil"},
		{"/deploy-token", "help", askHelp, ""},
		{"/deploy-token", "help me please", askHelp, ""},
		{"/deploy-token", "wait", askNotUnderstood, "wait"},
		{"/deploy-token", "leave", askNotUnderstood, "leave"},
		{"/deploy-token", "give <@U2|joe>", askNotUnderstood, "give @joe"},
		{"/deploy-token", "force-release they left", askNotUnderstood, "force-release they left"},
		{"/deploy-token", "history 3", askNotUnderstood, "history 3"},
		{"/deploy-token", "busy", askNotUnderstood, "busy"},
		{"/kingfisher", "", askHelp, ""},
		{"/kingfisher", "help", askHelp, ""},
		{"/kingfisher", "Busy", askBusy, ""},
		{"/kingfisher", "busy without postgres", askNotUnderstood, "busy without postgres"},
		{"/kingfisher", "take", askNotUnderstood, "take"},
		{"/other", "", askHelp, ""},
		{"/other", "take", askNotUnderstood, "take"},
	} {
		ask, words := parseWords(tt.command, tt.text)
		if ask != tt.ask || words != tt.words {
			t.Errorf("parseWords(%q, %q) = %q, %q, want %q, %q", tt.command, tt.text, ask, words, tt.ask, tt.words)
		}
	}
}

func TestPlainText(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                            "plain",
		"<@U1|jane>":                       "@jane",
		"<@U1>":                            "@U1",
		"<@U1|>":                           "@U1",
		"<#C1|ops>":                        "#ops",
		"<#C1>":                            "#C1",
		"<#C1|>":                           "#C1",
		"<!here>":                          "@here",
		"<!here|here>":                     "@here",
		"<!subteam^S1|@deployers>":         "@deployers",
		"<!subteam^S1>":                    "@subteam",
		"<!date^1392734382^{date}|Feb 18>": "Feb 18",
		"<https://x.org>":                  "https://x.org",
		"<https://x.org/|x.org>":           "https://x.org/",
		"<https://x.org|x.org>":            "https://x.org",
		"<https://x.org/a|the docs>":       "the docs (https://x.org/a)",
		"<mailto:a@x.org|a@x.org>":         "a@x.org",
		"<mailto:a@x.org>":                 "a@x.org",
		"<https://x.org/?a=1&amp;b=2>":     "https://x.org/?a=1&b=2",
		"&lt;@U1&gt;":                      "<@U1>",
		"&amp;lt;":                         "&lt;",
		"&amp;amp;":                        "&amp;",
		"&nbsp;":                           "&nbsp;",
		"a < b":                            "a < b",
		"a < b <@U1|jane>":                 "a < b @jane",
		"a > b":                            "a > b",
		"<":                                "<",
		"<>":                               "",
		"<|>":                              "",
	} {
		if got := plainText(text); got != want {
			t.Errorf("plainText(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParseEnvelope(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const click = `{"type":"block_actions","team":{"id":"T1","domain":"d"},"user":{"id":"U1","team_id":"T1"},
		"channel":{"id":"C1"},"response_url":"https://h","trigger_id":"1",
		"container":{"type":"message","message_ts":"5.6","channel_id":"C1","is_ephemeral":true},
		"message":{"ts":"5.6"},"state":{"values":{}},"actions":[{"action_id":"ACTION","value":"h1","type":"button"}]}`
	clicked := func(a ask) request {
		return request{
			ID: "e", Ask: a, Person: "U1", Team: "T1", Channel: "C1", ResponseURL: "https://h",
			Holding: "h1", Message: "5.6", Ephemeral: true, Received: at,
		}
	}
	nothing := request{ID: "e", Ask: askNothing, Received: at}
	for name, tt := range map[string]struct {
		kind, payload string
		want          request
		wrong         bool
	}{
		"slash": {
			"slash_commands", `{"team_id":"T1","channel_id":"C1","user_id":"U1","user_name":"jane","command":"/deploy-token","text":"take it","response_url":"https://h","is_enterprise_install":"false"}`,
			request{ID: "e", Ask: askTake, Slash: "/deploy-token", Person: "U1", Team: "T1", Channel: "C1", ResponseURL: "https://h", Words: "it", Received: at}, false,
		},
		"release":         {"interactive", strings.Replace(click, "ACTION", actionRelease, 1), clicked(askRelease), false},
		"ask":             {"interactive", strings.Replace(click, "ACTION", actionAsk, 1), clicked(askAsk), false},
		"still working":   {"interactive", strings.Replace(click, "ACTION", actionStillWorking, 1), clicked(askStillWorking), false},
		"claim":           {"interactive", strings.Replace(click, "ACTION", actionClaim, 1), clicked(askClaim), false},
		"another button":  {"interactive", strings.Replace(click, "ACTION", "dance", 1), nothing, false},
		"no team":         {"interactive", `{"type":"block_actions","team":null,"user":{"id":"U1"},"container":{"channel_id":"C1"},"actions":[{"action_id":"ask","value":"h1"}]}`, request{ID: "e", Ask: askAsk, Person: "U1", Channel: "C1", Holding: "h1", Received: at}, false},
		"no actions":      {"interactive", `{"type":"block_actions","user":{"id":"U1"}}`, nothing, false},
		"no holding":      {"interactive", strings.NewReplacer("ACTION", actionRelease, `"h1"`, `""`).Replace(click), nothing, true},
		"no user":         {"interactive", strings.NewReplacer("ACTION", actionRelease, `"U1"`, `""`).Replace(click), nothing, true},
		"view submission": {"interactive", `{"type":"view_submission","view":{"id":"V1"}}`, nothing, false},
		"slash, no user":  {"slash_commands", `{"command":"/deploy-token"}`, nothing, true},
		"slash, no name":  {"slash_commands", `{"user_id":"U1"}`, nothing, true},
		"no payload":      {"slash_commands", ``, nothing, true},
		"wrong payload":   {"interactive", `{"type":7}`, nothing, true},
		"event":           {"events_api", `{"event":{}}`, nothing, false},
		"unknown":         {"pancake", `[]`, nothing, false},
	} {
		got, err := parseEnvelope(&envelope{ID: "e", Type: tt.kind, Payload: json.RawMessage(tt.payload), Received: at})
		if got != tt.want || (err != nil) != tt.wrong {
			t.Errorf("%s: parseEnvelope = %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
}

func FuzzParseWords(f *testing.F) {
	for _, text := range []string{"", "take for x", "release <@U1|jane> &amp; <#C1|ops>", "<https://x|y> < > <", "help", "take \xff\u202e\x00"} {
		f.Add("/deploy-token", text)
		f.Add("/kingfisher", text)
	}
	f.Fuzz(func(t *testing.T, command, text string) {
		ask, words := parseWords(command, text)
		switch {
		case ask == askNothing || ask == "":
			t.Errorf("no answer to what somebody typed: %q", ask)
		case utf8.RuneCountInString(words) > maxWords || !utf8.ValidString(words):
			t.Errorf("words %q", words)
		case words != deploytoken.CleanLine(words, maxWords):
			t.Errorf("words are not on one clean line: %q", words)
		case ask.changes() && command != commandToken:
			t.Errorf("%s changes the token", command)
		}
	})
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add("slash_commands", []byte(`{"user_id":"U1","command":"/deploy-token","text":"take"}`))
	f.Add("interactive", []byte(`{"type":"block_actions","team":null,"user":{"id":"U1"},"container":{"channel_id":"C1"},"actions":[{"action_id":"ask","value":"h1"}]}`))
	f.Add("interactive", []byte(`{"type":"view_submission"}`))
	f.Add("events_api", []byte(`[]`))
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		r, err := parseEnvelope(&envelope{ID: "e", Type: kind, Payload: payload})
		if r.ID != "e" {
			t.Errorf("the request lost its ID: %+v", r)
		}
		if err != nil && r.Ask != askNothing {
			t.Errorf("asks for %q in spite of %v", r.Ask, err)
		}
		if r.Ask != askNothing && r.Person == "" {
			t.Errorf("nobody asks for %q", r.Ask)
		}
		if r.Slash == "" && r.Ask.changes() && r.Holding == "" {
			t.Errorf("a click for no holding: %+v", r)
		}
	})
}
