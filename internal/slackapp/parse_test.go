package slackapp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestParseText(t *testing.T) {
	long := strings.Repeat("é", maxWords+10)
	for _, tt := range []struct {
		command, text string
		want          request
	}{
		{"/deploy-token", "", request{Ask: askStatus}},
		{"/deploy-token", "  \t ", request{Ask: askStatus}},
		{"/deploy-token", "status", request{Ask: askStatus}},
		{"/deploy-token", "STATUS ", request{Ask: askStatus}},
		{"/deploy-token", "status of what", request{Ask: askNotUnderstood, Words: "status of what"}},
		{"/deploy-token", "take", request{Ask: askTake}},
		{"/deploy-token", "Take the  registry\n and more", request{Ask: askTake, Words: "the registry and more"}},
		{"/deploy-token", "take for the registry", request{Ask: askTake, Words: "the registry"}},
		{"/deploy-token", "take For the registry", request{Ask: askTake, Words: "the registry"}},
		{"/deploy-token", "take for", request{Ask: askTake}},
		{"/deploy-token", "take formal steps", request{Ask: askTake, Words: "formal steps"}},
		{"/deploy-token", "take\u00a0docs", request{Ask: askTake, Words: "docs"}},
		{"/deploy-token", "take " + long, request{Ask: askTake, Words: strings.Repeat("é", maxWords-1) + "…"}},
		{"/deploy-token", "take a &lt;b&gt; &amp;amp; <https://x.org/a?b=1&amp;c=2>", request{Ask: askTake, Words: "a <b> &amp; https://x.org/a?b=1&c=2"}},
		{"/deploy-token", "taken", request{Ask: askNotUnderstood, Words: "taken"}},
		{"/deploy-token", "release", request{Ask: askRelease}},
		{"/deploy-token", "release for good", request{Ask: askRelease, Words: "for good"}},
		{"/deploy-token", "release deployed &lt;3 with <@U1|jane> in <#C1|ops>", request{Ask: askRelease, Words: "deployed <3 with @jane in #ops"}},
		{"/deploy-token", "release \u202eevil", request{Ask: askRelease, Words: "evil"}},
		{"/deploy-token", "help", request{Ask: askHelp}},
		{"/deploy-token", "help me please", request{Ask: askHelp}},
		{"/deploy-token", "wait", request{Ask: askWait}},
		{"/deploy-token", "Wait for the registry", request{Ask: askWait, Words: "the registry"}},
		{"/deploy-token", "leave", request{Ask: askLeave}},
		{"/deploy-token", "leave me alone", request{Ask: askNotUnderstood, Words: "leave me alone"}},
		{"/deploy-token", "give <@U2|joe>", request{Ask: askGive, Subject: "U2"}},
		{"/deploy-token", " GIVE \u00a0 <@W0AB12> ", request{Ask: askGive, Subject: "W0AB12"}},
		{"/deploy-token", "give <@U2|joe (away) &amp; co>", request{Ask: askGive, Subject: "U2"}},
		{"/deploy-token", "give", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give @joe", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give U2", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give <@U2|joe> <@U3|ann>", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give <@U2|joe><@U3|ann>", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give it to <@U2|joe>", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give <@U2|joe> please", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give <!subteam^S1|@deployers>", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give <#C1|ops>", request{Ask: askGiveToWhom}},
		{"/deploy-token", "give &lt;@U2&gt;", request{Ask: askGiveToWhom}},
		{"/deploy-token", "force-release they left", request{Ask: askForce, Words: "they left"}},
		{"/deploy-token", "Force-Release", request{Ask: askForceWhy}},
		{"/deploy-token", "force-release \u202e", request{Ask: askForceWhy}},
		{"/deploy-token", "force release they left", request{Ask: askNotUnderstood, Words: "force release they left"}},
		{"/deploy-token", "history", request{Ask: askHistory, Entries: 5}},
		{"/deploy-token", "history 3", request{Ask: askHistory, Entries: 3}},
		{"/deploy-token", "History 20", request{Ask: askHistory, Entries: 20}},
		{"/deploy-token", "history 21", request{Ask: askHistoryHowMany}},
		{"/deploy-token", "history 0", request{Ask: askHistoryHowMany}},
		{"/deploy-token", "history -1", request{Ask: askHistoryHowMany}},
		{"/deploy-token", "history 99999999999999999999", request{Ask: askHistoryHowMany}},
		{"/deploy-token", "history all of it", request{Ask: askHistoryHowMany}},
		{"/deploy-token", "busy", request{Ask: askNotUnderstood, Words: "busy"}},
		{"/deploy-token", "consent", request{Ask: askNotUnderstood, Words: "consent"}},
		{"/kingfisher", "", request{Ask: askHelp}},
		{"/kingfisher", "help", request{Ask: askHelp}},
		{"/kingfisher", "Busy", request{Ask: askBusy}},
		{"/kingfisher", "busy without postgres", request{Ask: askNotUnderstood, Words: "busy without postgres"}},
		{"/kingfisher", "consent", request{Ask: askConsent}},
		{"/kingfisher", "consent for a new PostgreSQL", request{Ask: askConsent, Words: "a new PostgreSQL"}},
		{"/kingfisher", "watch", request{Ask: askWatch}},
		{"/kingfisher", "Watch FREE", request{Ask: askWatch, Subject: deploytoken.WatchFree}},
		{"/kingfisher", "watch out", request{Ask: askNotUnderstood, Words: "watch out"}},
		{"/kingfisher", "unwatch", request{Ask: askUnwatch}},
		{"/kingfisher", "unwatch free", request{Ask: askNotUnderstood, Words: "unwatch free"}},
		{"/kingfisher", "take", request{Ask: askNotUnderstood, Words: "take"}},
		{"/other", "", request{Ask: askHelp}},
		{"/other", "take", request{Ask: askNotUnderstood, Words: "take"}},
	} {
		if got := parseText(tt.command, tt.text); got != tt.want {
			t.Errorf("parseText(%q, %q) = %+v, want %+v", tt.command, tt.text, got, tt.want)
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
			Holding: "h1", Message: "5.6", Ephemeral: true, Trigger: "1", Received: at,
		}
	}
	// pressed is a click on a button with the value.
	pressed := func(action, value string) string {
		return strings.NewReplacer("ACTION", action, `"h1"`, mustJSON(value)).Replace(click)
	}
	about := func(a ask, holding, subject string) request {
		r := clicked(a)
		r.Holding, r.Subject = holding, subject
		return r
	}
	const homeClick = `{"type":"block_actions","team":{"id":"T1"},"user":{"id":"U1"},"trigger_id":"1",
		"container":{"type":"view","view_id":"V1"},"view":{"id":"V1","type":"home"},
		"actions":[{"action_id":"ACTION","value":"VALUE","type":"button"}]}`
	atHome := func(a ask, subject string) request {
		return request{ID: "e", Ask: a, Person: "U1", Team: "T1", Subject: subject, Home: true, Trigger: "1", Received: at}
	}
	submitted := func(form, metadata, values string) string {
		return fmt.Sprintf(`{"type":"view_submission","team":{"id":"T1"},"user":{"id":"U1"},"trigger_id":"2","response_urls":[],
			"view":{"id":"V1","type":"modal","callback_id":%q,"private_metadata":%s,"state":{"values":%s}}}`, form, mustJSON(metadata), values)
	}
	const from = `{"holding":"h1","subject":"q1","channel":"C1","message":"5.6","ephemeral":true,"response_url":"https://h"}`
	const filled = `{"done":{"done":{"type":"plain_text_input","value":"a &amp; b\nc"}},
		"where":{"where":{"type":"multi_static_select","selected_options":[{"text":{"type":"plain_text","text":"docs"},"value":"docs"},{"value":"registry"}]}},
		"links":{"links":{"type":"plain_text_input","value":"https://x.org/1\nhttps://x.org/2"}}}`
	releasing := request{
		ID: "e", Ask: askRelease, Person: "U1", Team: "T1", Channel: "C1", ResponseURL: "https://h", Holding: "h1", Form: formRelease,
		Message: "5.6", Ephemeral: true, Words: "a & b c (docs, registry) https://x.org/1 https://x.org/2", Received: at,
	}
	unread := func(form string) request { return request{ID: "e", Ask: askNothing, Form: form, Received: at} }
	empty := releasing
	empty.Words = ""
	waiting := request{
		ID: "e", Ask: askAskToWait, Person: "U1", Team: "T1", Channel: "C1", ResponseURL: "https://h", Subject: "q1", Form: formAskToWait,
		Message: "5.6", Ephemeral: true, Words: "my job", Until: time.Unix(1767400000, 0).UTC(), Received: at,
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
		"release":       {"interactive", pressed(actionRelease, "h1"), clicked(askReleaseForm), false},
		"release again": {"interactive", pressed(actionReleaseAgain, "h1/c1"), about(askReleaseForm, "h1", "c1"), false},
		"ask":           {"interactive", pressed(actionAsk, "h1"), clicked(askAsk), false},
		"still working": {"interactive", pressed(actionStillWorking, "h1"), clicked(askStillWorking), false},
		"claim":         {"interactive", pressed(actionClaim, "h1"), clicked(askClaim), false},
		"take":          {"interactive", pressed(actionTake, "-"), about(askTake, "", ""), false},
		"take for":      {"interactive", pressed(actionTake, "d1"), about(askTake, "", "d1"), false},
		"out of turn":   {"interactive", pressed(actionTakeOutOfTurn, "w1"), about(askTakeOutOfTurn, "", "w1"), false},
		"anyway":        {"interactive", pressed(actionTakeAnyway, "d1"), about(askTakeAnyway, "", "d1"), false},
		"no postgres":   {"interactive", pressed(actionWithoutPostgres, "d1"), about(askWithoutPostgres, "", "d1"), false},
		"wait":          {"interactive", pressed(actionWait, "-"), about(askWait, "", ""), false},
		"leave":         {"interactive", pressed(actionLeave, "-"), about(askLeave, "", ""), false},
		"accept":        {"interactive", pressed(actionAccept, "o1"), about(askAccept, "", "o1"), false},
		"decline":       {"interactive", pressed(actionDecline, "o1"), about(askDecline, "", "o1"), false},
		"forced":        {"interactive", pressed(actionForceConfirmed, "h1/c1"), about(askForceConfirmed, "h1", "c1"), false},
		"forced by it":  {"interactive", pressed(actionForceConfirmed, "h1/"), about(askForceConfirmed, "h1", ""), false},
		"consent":       {"interactive", pressed(actionConsent, "d1"), about(askConsent, "", "d1"), false},
		"agree":         {"interactive", pressed(actionAgree, "q1"), about(askAgree, "", "q1"), false},
		"please wait":   {"interactive", pressed(actionAskToWait, "q1"), about(askWaitForm, "", "q1"), false},
		"watch":         {"interactive", pressed(actionWatch, "free"), about(askWatch, "", "free"), false},
		"unwatch":       {"interactive", pressed(actionUnwatch, "-"), about(askUnwatch, "", ""), false},
		"prefer":        {"interactive", pressed(actionPrefer, "direct"), about(askPrefer, "", "direct"), false},
		"look":          {"interactive", pressed(actionLook, "-"), about(askLook, "", ""), false},
		"in the home":   {"interactive", strings.NewReplacer("ACTION", actionPrefer, "VALUE", "channel").Replace(homeClick), atHome(askPrefer, "channel"), false},

		"another button":    {"interactive", pressed("dance", "h1"), nothing, false},
		"no team":           {"interactive", `{"type":"block_actions","team":null,"user":{"id":"U1"},"container":{"channel_id":"C1"},"actions":[{"action_id":"ask","value":"h1"}]}`, request{ID: "e", Ask: askAsk, Person: "U1", Channel: "C1", Holding: "h1", Received: at}, false},
		"no actions":        {"interactive", `{"type":"block_actions","user":{"id":"U1"}}`, nothing, false},
		"no holding":        {"interactive", pressed(actionRelease, ""), nothing, true},
		"holding of none":   {"interactive", pressed(actionRelease, "-"), nothing, true},
		"offer of none":     {"interactive", pressed(actionAccept, "-"), nothing, true},
		"no pair":           {"interactive", pressed(actionForceConfirmed, "h1"), nothing, true},
		"half a pair":       {"interactive", pressed(actionForceConfirmed, "/c1"), nothing, true},
		"pair of none":      {"interactive", pressed(actionForceConfirmed, "-/c1"), nothing, true},
		"three of a pair":   {"interactive", pressed(actionReleaseAgain, "h1/c1/x"), nothing, true},
		"prefers the moon":  {"interactive", pressed(actionPrefer, "moon"), nothing, true},
		"value with spaces": {"interactive", pressed(actionAsk, "h1 or h2"), nothing, true},
		"long value":        {"interactive", pressed(actionAsk, strings.Repeat("h", maxValue+1)), nothing, true},
		"no user":           {"interactive", strings.NewReplacer("ACTION", actionRelease, `"U1"`, `""`).Replace(click), nothing, true},

		"release form":           {"interactive", submitted(formRelease, from, filled), releasing, false},
		"empty release form":     {"interactive", submitted(formRelease, from, `{"done":{"done":{"value":null}},"where":{"where":{"selected_options":[]}}}`), empty, false},
		"release form of none":   {"interactive", submitted(formRelease, `{"subject":"q1"}`, filled), unread(formRelease), true},
		"release form, no state": {"interactive", submitted(formRelease, from, `{}`), empty, false},
		"forgetful form":         {"interactive", submitted(formRelease, "", filled), unread(formRelease), true},
		"wait form":              {"interactive", submitted(formAskToWait, from, `{"until":{"until":{"type":"datetimepicker","selected_date_time":1767400000}},"why":{"why":{"value":"my\njob"}}}`), waiting, false},
		"wait form of none":      {"interactive", submitted(formAskToWait, `{"holding":"h1"}`, `{}`), unread(formAskToWait), true},
		"another form":           {"interactive", `{"type":"view_submission","user":{"id":"U1"},"view":{"id":"V1","callback_id":"dance"}}`, nothing, false},
		"a form closed":          {"interactive", `{"type":"view_closed","user":{"id":"U1"},"view":{"id":"V1","callback_id":"release"}}`, nothing, false},

		"home opened":     {"events_api", `{"type":"event_callback","team_id":"T1","event":{"type":"app_home_opened","user":"U1","tab":"home"}}`, request{ID: "e", Ask: askHome, Person: "U1", Team: "T1", Home: true, Received: at}, false},
		"messages opened": {"events_api", `{"type":"event_callback","team_id":"T1","event":{"type":"app_home_opened","user":"U1","tab":"messages"}}`, nothing, false},
		"nobody's home":   {"events_api", `{"type":"event_callback","team_id":"T1","event":{"type":"app_home_opened","tab":"home"}}`, nothing, true},
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

func FuzzParseText(f *testing.F) {
	for _, text := range []string{
		"", "take for x", "release <@U1|jane> &amp; <#C1|ops>", "<https://x|y> < > <", "help", "take \xff\u202e\x00",
		"give <@U1|jane>", "give <@U1> <@U2>", "history 7", "history 07", "force-release why", "watch free",
	} {
		f.Add("/deploy-token", text)
		f.Add("/kingfisher", text)
	}
	f.Fuzz(func(t *testing.T, command, text string) {
		r := parseText(command, text)
		switch {
		case r.Ask == askNothing || r.Ask == "":
			t.Errorf("no answer to what somebody typed: %q", r.Ask)
		case utf8.RuneCountInString(r.Words) > maxWords || !utf8.ValidString(r.Words):
			t.Errorf("words %q", r.Words)
		case r.Words != deploytoken.CleanLine(r.Words, maxWords):
			t.Errorf("words are not on one clean line: %q", r.Words)
		case r.Ask.changes() && command != commandToken && command != commandKingfisher:
			t.Errorf("%s changes the token", command)
		case r.Ask.changes() && (command == commandKingfisher) != (r.Ask == askConsent || r.Ask == askWatch || r.Ask == askUnwatch):
			t.Errorf("%s asks for %s", command, r.Ask)
		case r.Ask == askGive && !usable(r.Subject), r.Ask == askForce && r.Words == "":
			t.Errorf("%s of nothing: %+v", r.Ask, r)
		case (r.Entries != 0) != (r.Ask == askHistory) || r.Entries < 0 || r.Entries > maxEntries:
			t.Errorf("%d entries for %s", r.Entries, r.Ask)
		case r.Holding != "" || r.Ask != askGive && r.Ask != askWatch && r.Subject != "":
			t.Errorf("typed the ID of something: %+v", r)
		}
	})
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add("slash_commands", []byte(`{"user_id":"U1","command":"/deploy-token","text":"take"}`))
	f.Add("interactive", []byte(`{"type":"block_actions","team":null,"user":{"id":"U1"},"container":{"channel_id":"C1"},"actions":[{"action_id":"ask","value":"h1"}]}`))
	f.Add("interactive", []byte(`{"type":"view_submission"}`))
	f.Add("interactive", []byte(`{"type":"view_submission","user":{"id":"U1"},"view":{"callback_id":"release","private_metadata":"{\"holding\":\"h1\"}","state":{"values":{"done":{"done":{"value":"x"}}}}}}`))
	f.Add("interactive", []byte(`{"type":"view_submission","user":{"id":"U1"},"view":{"callback_id":"ask-to-wait","private_metadata":"{\"subject\":\"q1\"}","state":{"values":{"until":{"until":{"selected_date_time":1}}}}}}`))
	f.Add("interactive", []byte(`{"type":"block_actions","user":{"id":"U1"},"view":{"type":"home"},"actions":[{"action_id":"force-release-confirmed","value":"h1/c1"}]}`))
	f.Add("events_api", []byte(`{"event":{"type":"app_home_opened","user":"U1","tab":"home"}}`))
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
		switch r.Ask {
		case askReleaseForm, askAsk, askStillWorking, askClaim, askForceConfirmed:
			if r.Holding == "" {
				t.Errorf("a click for no holding: %+v", r)
			}
		case askRelease:
			if r.Slash == "" && r.Holding == "" {
				t.Errorf("a form for no holding: %+v", r)
			}
		case askAccept, askDecline, askAgree, askWaitForm, askAskToWait, askPrefer:
			if r.Subject == "" {
				t.Errorf("a click on nothing: %+v", r)
			}
		}
		if r.Words != deploytoken.CleanLine(r.Words, maxWords) {
			t.Errorf("words are not on one clean line: %q", r.Words)
		}
	})
}
