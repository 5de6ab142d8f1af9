package slack_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	goslack "github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

func TestSlackGoAnswersACommand(t *testing.T) {
	s := start(t, config())
	connect(t, s, func(sm *socketmode.Client, e socketmode.Event) {
		cmd, ok := e.Data.(goslack.SlashCommand)
		if !ok {
			return
		}
		sm.Ack(*e.Request, map[string]any{"text": "Working: " + cmd.Text})
		_, _, err := sm.PostMessage(cmd.ChannelID, goslack.MsgOptionText("answer", false),
			goslack.MsgOptionResponseURL(cmd.ResponseURL, goslack.ResponseTypeEphemeral))
		if err != nil {
			t.Error(err)
		}
	})
	inv, err := s.Slash(t.Context(), alice, general, "/deploy-token", "give @bob.b <now>")
	if err != nil {
		t.Fatal(err)
	}
	if want := "give <@U0BOB|bob.b> &lt;now&gt;"; inv.Text != want {
		t.Errorf("the text arrived as %q, want %q", inv.Text, want)
	}
	if !inv.Acked || inv.Trouble != "" || inv.Latency <= 0 || inv.TimedOut() {
		t.Errorf("the invocation is %+v", inv)
	}
	st, err := s.WaitFor(t.Context(), func(st slack.State) bool { return len(st.Visible(alice, general)) == 2 })
	if err != nil {
		t.Fatal(err)
	}
	if seen := st.Visible(bob, general); len(seen) != 0 {
		t.Errorf("the other person sees %+v", seen)
	}
	if d, ok := s.Delivery(inv.EnvelopeID); !ok || d.Responses != 1 {
		t.Errorf("the delivery is %+v", d)
	}
	if _, ok := s.Delivery("another"); ok {
		t.Error("there is a delivery of an envelope that there isn't")
	}
}

func TestSlackGoHandlesAButtonAndAHome(t *testing.T) {
	s := start(t, config())
	// The server must outlast the answer to what it shows already.
	published := make(chan struct{})
	connect(t, s, func(sm *socketmode.Client, e socketmode.Event) {
		switch data := e.Data.(type) {
		case goslack.InteractionCallback:
			sm.Ack(*e.Request)
			a := data.ActionCallback.BlockActions[0]
			if a.ActionID != "release" || a.Value != "h1" || data.Message.Timestamp != data.Container.MessageTs ||
				data.User.ID != alice || data.Channel.ID != general || data.BlockActionState == nil {
				t.Errorf("the click arrived as %+v", data)
			}
			_, _, err := sm.PostMessage(general, goslack.MsgOptionText("released", false), goslack.MsgOptionReplaceOriginal(data.ResponseURL))
			if err != nil {
				t.Error(err)
			}
		case slackevents.EventsAPIEvent:
			defer close(published)
			sm.Ack(*e.Request)
			opened, ok := data.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent)
			if !ok {
				t.Errorf("the event is %+v", data.InnerEvent)
				return
			}
			_, err := sm.PublishView(opened.User, goslack.HomeTabViewRequest{Type: goslack.VTHomeTab, Blocks: goslack.Blocks{BlockSet: []goslack.Block{
				goslack.NewSectionBlock(goslack.NewTextBlockObject("plain_text", "at home", false, false), nil, nil),
			}}}, "")
			if err != nil {
				t.Error(err)
			}
		}
	})
	must(t, s, "chat.postMessage", map[string]any{"channel": general, "text": "held", "blocks": []any{actions(button("release", "h1"), button("keep", ""))}})
	m := s.Messages(general)[0]
	if _, err := s.Click(t.Context(), alice, m.Target(), slack.Action{ID: "release"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WaitFor(t.Context(), func(st slack.State) bool {
		all := st.Messages(general)
		return len(all) == 1 && all[0].Text == "released" && all[0].Blocks == nil && all[0].TS == m.TS
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.OpenHome(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	st, err := s.WaitFor(t.Context(), func(st slack.State) bool { _, ok := st.Home(bob); return ok })
	if err != nil {
		t.Fatal(err)
	}
	<-published
	if home, _ := st.Home(bob); home.Shown() != "at home" {
		t.Errorf("the home shows %q", home.Shown())
	}
	if _, ok := st.Home(alice); ok {
		t.Error("a home was published for someone else")
	}
}

func TestWhatPeopleTypeIsEscaped(t *testing.T) {
	cfg := config()
	cfg.Commands = []slack.Command{{Name: "/escaped", ShouldEscape: true}, {Name: "/raw"}}
	s := start(t, cfg)
	dial(t, s, ackAll)
	for _, c := range []struct{ command, text, want string }{
		{"/raw", "a & b <c> @alice", "a & b <c> @alice"},
		{"/escaped", "  spaced  ", "spaced"},
		{"/escaped", "a & b <c>", "a &amp; b &lt;c&gt;"},
		{"/escaped", "@alice", "<@U0ALICE|alice>"},
		{"/escaped", "give @bob.b.", "give <@U0BOB|bob.b>."},
		{"/escaped", "(@alice, @bob.b)", "(<@U0ALICE|alice>, <@U0BOB|bob.b>)"},
		{"/escaped", "@alicexyz @gone @nobody", "@alicexyz @gone @nobody"},
		{"/escaped", "mail alice@alice.org", "mail alice@alice.org"},
		{"/escaped", "<@U0ALICE>", "&lt;@U0ALICE&gt;"},
		{"/escaped", "@deployers @here #general", "<!subteam^S0DEPLOY|@deployers> <!here> <#C0GENERAL|general>"},
		{"/escaped", "see https://x.org/a?b=1&c=2.", "see <https://x.org/a?b=1&amp;c=2>."},
	} {
		inv, err := s.Slash(t.Context(), alice, general, c.command, c.text)
		if err != nil {
			t.Fatal(err)
		}
		if inv.Text != c.want {
			t.Errorf("%s %s arrived as %q, want %q", c.command, c.text, inv.Text, c.want)
		}
	}
	if _, err := s.Slash(t.Context(), alice, general, "/other", ""); err == nil {
		t.Error("a command that the app doesn't have was sent")
	}
}

func TestPeopleCanOnlyDoWhatSlackLetsThem(t *testing.T) {
	s := start(t, config())
	dial(t, s, ackAll)
	must(t, s, "chat.postEphemeral", map[string]any{"channel": general, "user": alice, "text": "x", "blocks": []any{actions(button("go", "1"), button("twin", "a"), button("twin2", "b"))}})
	ephemeral := s.Visible(alice, general)[0].Target()
	ctx := t.Context()
	for name, f := range map[string]func() error{
		"unknown user":             func() error { _, err := s.Slash(ctx, "U9", general, "/x", ""); return err },
		"deactivated user":         func() error { _, err := s.Slash(ctx, gone, general, "/x", ""); return err },
		"bot":                      func() error { _, err := s.Slash(ctx, botUser, general, "/x", ""); return err },
		"not in the channel":       func() error { _, err := s.Slash(ctx, carol, general, "/x", ""); return err },
		"unknown channel":          func() error { _, err := s.PostMessage(alice, "C9", "x"); return err },
		"empty message":            func() error { _, err := s.PostMessage(alice, general, " "); return err },
		"someone else's ephemeral": func() error { _, err := s.Click(ctx, bob, ephemeral, slack.Action{ID: "go"}); return err },
		"no such button":           func() error { _, err := s.Click(ctx, alice, ephemeral, slack.Action{ID: "stop"}); return err },
		"ambiguous button":         func() error { _, err := s.Click(ctx, alice, ephemeral, slack.Action{BlockID: "acts"}); return err },
		"selecting in a button":    func() error { _, err := s.Select(ctx, alice, ephemeral, slack.Action{ID: "go"}, "1"); return err },
		"no such view":             func() error { _, err := s.SubmitView(ctx, alice, "V9", nil); return err },
	} {
		if f() == nil {
			t.Errorf("%s: nothing stopped it", name)
		}
	}
	if n := len(s.Deliveries()); n != 0 {
		t.Errorf("the app was told %d times", n)
	}
	inv, err := s.Click(ctx, alice, ephemeral, slack.Action{ID: "go"})
	if err != nil || !inv.Acked {
		t.Errorf("the right click: %+v, %v", inv, err)
	}
}

func TestAcknowledgementsOfACommandAreShown(t *testing.T) {
	for _, c := range []struct {
		name    string
		ack     any
		alice   []string // what she then sees
		bob     []string
		trouble string
	}{
		{"none", nil, nil, nil, ""},
		{"empty", map[string]any{}, nil, nil, ""},
		{"text", "just text", []string{"just text"}, nil, ""},
		{"object", map[string]any{"text": "for you"}, []string{"for you"}, nil, ""},
		{"blocks", map[string]any{"blocks": []any{section("in blocks")}}, []string{"in blocks"}, nil, ""},
		{"in channel", map[string]any{"response_type": "in_channel", "text": "for all"}, []string{"/x me", "for all"}, []string{"/x me", "for all"}, ""},
		{"bad blocks", map[string]any{"blocks": []any{map[string]any{"type": "nonsense"}}},
			[]string{`/x failed with the error "invalid_command_response"`}, nil, "invalid_command_response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, config())
			dial(t, s, func(map[string]any) any { return c.ack })
			inv, err := s.Slash(t.Context(), alice, general, "/x", "me")
			if err != nil || inv.Trouble != c.trouble {
				t.Fatalf("%+v, %v", inv, err)
			}
			shown := func(list []slack.Message) (texts []string) {
				for _, m := range list {
					texts = append(texts, m.Shown())
				}
				return texts
			}
			if got := shown(s.Visible(alice, general)); !slices.Equal(got, c.alice) {
				t.Errorf("the person sees %q, want %q", got, c.alice)
			}
			if got := shown(s.Visible(bob, general)); !slices.Equal(got, c.bob) {
				t.Errorf("the others see %q, want %q", got, c.bob)
			}
		})
	}
}

// respond posts to a response URL and returns the status and body.
func respond(t *testing.T, url string, body any) (int, string) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url, "application/json", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(got)
}

func TestResponseURLOfACommand(t *testing.T) {
	clock := newClock()
	cfg := config()
	cfg.Clock = clock.Now
	s := start(t, cfg)
	a := dial(t, s, ackAll)
	slash := func() string {
		if _, err := s.Slash(t.Context(), alice, hidden, "/x", ""); err != nil {
			t.Fatal(err)
		}
		return payload(a.next())["response_url"].(string)
	}
	type body = map[string]any
	url := slash()
	for i, c := range []struct {
		body   body
		status int
		want   string
	}{
		{body{"text": "1", "blocks": nil, "replace_original": false}, 200, "ok"},
		{body{"text": ""}, 400, "no_text"},
		{body{"text": "x", "blocks": []any{body{"type": "nonsense"}}}, 400, "invalid_blocks"},
		{body{"text": "2", "replace_original": true}, 200, "ok"},
		{body{"text": "3", "response_type": "in_channel"}, 200, "ok"},
		{body{"blocks": []any{section(strings.Repeat("x", 3000)), section(strings.Repeat("x", 3000)), section(strings.Repeat("x", 3000)), section(strings.Repeat("x", 3000)), section(strings.Repeat("x", 3000))}}, 200, "ok"},
		{body{"delete_original": "true"}, 200, "ok"},
		{body{"text": "6"}, 404, `{"error":"used_url","ok":false}`},
	} {
		if status, got := respond(t, url, c.body); status != c.status || got != c.want {
			t.Errorf("answer %d: %d %s, want %d %s", i, status, got, c.status, c.want)
		}
	}
	seen := s.Visible(alice, hidden)
	if len(seen) != 4 || seen[0].EphemeralTo != alice || seen[1].Text != "2" || seen[2].EphemeralTo != "" {
		t.Errorf("the answers are %+v", seen)
	}

	url = slash()
	clock.advance(30 * time.Minute)
	if status, _ := respond(t, url, body{"text": "in time"}); status != 200 {
		t.Errorf("after 30 minutes: %d", status)
	}
	clock.advance(time.Second)
	if status, got := respond(t, url, body{"text": "late"}); status != 404 || !strings.Contains(got, "expired_url") {
		t.Errorf("after 30 minutes and a second: %d %s", status, got)
	}
	if status, got := respond(t, s.URL()+"/response/unknown", body{"text": "x"}); status != 404 || !strings.Contains(got, "expired_url") {
		t.Errorf("an unknown URL: %d %s", status, got)
	}
}

func TestResponseURLOfAButton(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	type body = map[string]any
	post := func(method string) slack.Target {
		must(t, s, method, body{"channel": general, "user": alice, "text": "before", "blocks": []any{actions(button("go", "1"))}})
		seen := s.Visible(alice, general)
		return seen[len(seen)-1].Target()
	}
	click := func(on slack.Target) map[string]any {
		if _, err := s.Click(t.Context(), alice, on, slack.Action{ID: "go", Value: "1"}); err != nil {
			t.Fatal(err)
		}
		return payload(a.next())
	}
	for _, c := range []struct {
		method    string
		ephemeral bool
	}{{"chat.postMessage", false}, {"chat.postEphemeral", true}} {
		on := post(c.method)
		p := click(on)
		container := p["container"].(body)
		if _, has := p["message"]; has == c.ephemeral || container["is_ephemeral"] != c.ephemeral || container["message_ts"] != on.TS {
			t.Errorf("%s: the payload is %v", c.method, p)
		}
		url := p["response_url"].(string)
		n := len(s.Visible(alice, general))
		respond(t, url, body{"text": "beside"})
		if seen := s.Visible(alice, general); len(seen) != n+1 || seen[n].EphemeralTo != alice {
			t.Errorf("%s: an answer without replace_original did not stand beside: %+v", c.method, seen)
		}
		respond(t, url, body{"text": "after", "replace_original": true, "response_type": "in_channel"})
		seen := s.Visible(alice, general)
		if seen[n-1].Text != "after" || seen[n-1].TS != on.TS || (seen[n-1].EphemeralTo == alice) != c.ephemeral {
			t.Errorf("%s: the replaced message is %+v", c.method, seen[n-1])
		}
		if earlier := seen[n-1].Earlier; earlier == nil || earlier.Text != "before" || earlier.Earlier != nil {
			t.Errorf("%s: before, it was %+v", c.method, earlier)
		}
		sent := s.Deliveries()
		answers := s.Answers(sent[len(sent)-1].EnvelopeID)
		if len(answers) != 2 || answers[0].Text != "beside" || answers[1].Text != "after" || answers[1].At.Before(answers[0].At) {
			t.Errorf("%s: the answers are %+v", c.method, answers)
		}
		respond(t, url, body{"delete_original": true})
		if seen := s.Visible(alice, general); len(seen) != n || seen[n-1].Text != "beside" {
			t.Errorf("%s: after deleting they see %+v", c.method, seen)
		}
	}
}

func modal(callback string, blocks ...any) map[string]any {
	return map[string]any{"type": "modal", "callback_id": callback, "title": plain("Title"), "submit": plain("Send"), "blocks": append([]any{}, blocks...)}
}

func input(id string, optional bool, element map[string]any) map[string]any {
	element["action_id"] = id
	return map[string]any{"type": "input", "block_id": "b_" + id, "label": plain(id), "optional": optional, "element": element}
}

func textInput(id string) map[string]any {
	return input(id, false, map[string]any{"type": "plain_text_input", "max_length": 5})
}

func TestTriggers(t *testing.T) {
	clock := newClock()
	cfg := config()
	cfg.Clock, cfg.TriggerLife = clock.Now, 0
	s := start(t, cfg)
	a := dial(t, s, ackAll)
	open := func(trigger string) any {
		_, o := api(t, s, botToken, "views.open", map[string]any{"trigger_id": trigger, "view": modal("m")})
		return o["error"]
	}
	trigger := func() string {
		if _, err := s.Slash(t.Context(), alice, general, "/x", ""); err != nil {
			t.Fatal(err)
		}
		return payload(a.next())["trigger_id"].(string)
	}
	id := trigger()
	clock.advance(3 * time.Second)
	if got := open(id); got != nil {
		t.Errorf("a trigger of 3 s: %v", got)
	}
	if got := open(id); got != "exchanged_trigger_id" {
		t.Errorf("a used trigger: %v", got)
	}
	id = trigger()
	clock.advance(3*time.Second + time.Millisecond)
	if got := open(id); got != "expired_trigger_id" {
		t.Errorf("a trigger of over 3 s: %v", got)
	}
	if got := open("made.up"); got != "invalid_trigger_id" {
		t.Errorf("an unknown trigger: %v", got)
	}
	if n := len(s.Views(alice)); n != 1 {
		t.Errorf("%d views are open", n)
	}
}

// open opens a modal for Alice.
func open(t *testing.T, s *slack.Server, a *app, view map[string]any) slack.View {
	t.Helper()
	if _, err := s.Slash(t.Context(), alice, general, "/open", ""); err != nil {
		t.Fatal(err)
	}
	for {
		p := payload(a.next())
		if id, ok := p["trigger_id"].(string); ok && p["command"] == "/open" {
			must(t, s, "views.open", map[string]any{"trigger_id": id, "view": view})
			views := s.Views(alice)
			return views[len(views)-1]
		}
	}
}

func TestSubmissions(t *testing.T) {
	var answer any
	s := start(t, config())
	a := dial(t, s, func(e map[string]any) any {
		if payload(e)["type"] == "view_submission" {
			return answer
		}
		return nil
	})
	type body = map[string]any
	options := []any{body{"text": plain("One"), "value": "1"}, body{"text": plain("Two"), "value": "2"}}
	view := func() slack.View {
		return open(t, s, a, modal("form", textInput("what"),
			input("which", true, body{"type": "multi_static_select", "options": options, "initial_options": options[:1]}),
			input("who", true, body{"type": "users_select"})))
	}
	values := map[string][]string{"what": {"short"}, "b_which": {"2", "1"}, "who": {bob}}

	v := view()
	for name, bad := range map[string]map[string][]string{
		"required field empty": {"who": {bob}},
		"too long":             {"what": {"longer"}},
		"no such field":        {"what": {"x"}, "nope": {"x"}},
		"no such option":       {"what": {"x"}, "which": {"3"}},
		"two of one":           {"what": {"x"}, "who": {alice, bob}},
	} {
		if _, err := s.SubmitView(t.Context(), alice, v.ID, bad); err == nil {
			t.Errorf("%s: it was submitted", name)
		}
	}
	if _, err := s.SubmitView(t.Context(), bob, v.ID, values); err == nil {
		t.Error("someone else's modal was submitted")
	}

	answer = body{"response_action": "errors", "errors": body{"b_what": "not that"}}
	if _, err := s.SubmitView(t.Context(), alice, v.ID, values); err != nil {
		t.Fatal(err)
	}
	if views := s.Views(alice); len(views) != 1 || views[0].Errors["b_what"] != "not that" {
		t.Errorf("after errors the views are %+v", views)
	}
	got := payload(a.next())["view"].(body)["state"].(body)["values"].(body)
	want := body{
		"b_what": body{"what": body{"type": "plain_text_input", "value": "short"}},
		"b_which": body{"which": body{"type": "multi_static_select", "selected_options": []any{
			body{"text": plain("Two"), "value": "2"}, body{"text": plain("One"), "value": "1"}}}},
		"b_who": body{"who": body{"type": "users_select", "selected_user": bob}},
	}
	if g, w := asJSON(t, got), asJSON(t, want); g != w {
		t.Errorf("the values are\n%s, want\n%s", g, w)
	}

	answer = body{"response_action": "update", "view": modal("second", section("updated"))}
	if _, err := s.SubmitView(t.Context(), alice, v.ID, values); err != nil {
		t.Fatal(err)
	}
	if views := s.Views(alice); len(views) != 1 || views[0].ID != v.ID || views[0].Shown() != "updated" || views[0].Errors != nil {
		t.Errorf("after update the views are %+v", views)
	}

	answer = body{"response_action": "push", "view": modal("third", section("pushed"))}
	if _, err := s.SubmitView(t.Context(), alice, v.ID, nil); err != nil {
		t.Fatal(err)
	}
	views := s.Views(alice)
	if len(views) != 2 || views[1].PreviousViewID != v.ID || views[1].RootViewID != v.ID {
		t.Fatalf("after push the views are %+v", views)
	}
	answer = nil
	if _, err := s.SubmitView(t.Context(), alice, views[1].ID, nil); err != nil {
		t.Fatal(err)
	}
	if views := s.Views(alice); len(views) != 1 || views[0].ID != v.ID {
		t.Errorf("a submission closed more than its view: %+v", views)
	}
	answer = body{"response_action": "clear"}
	if _, err := s.SubmitView(t.Context(), alice, v.ID, nil); err != nil || len(s.Views(alice)) != 0 {
		t.Errorf("after clear the views are %+v, %v", s.Views(alice), err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestClosingAModal(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	v := open(t, s, a, modal("quiet"))
	if inv, err := s.CloseView(t.Context(), alice, v.ID); err != nil || inv != nil {
		t.Errorf("a view that doesn't ask was announced: %+v, %v", inv, err)
	}
	loud := modal("loud")
	loud["notify_on_close"] = true
	v = open(t, s, a, loud)
	inv, err := s.CloseView(t.Context(), alice, v.ID)
	if err != nil || !inv.Acked || len(s.Views(alice)) != 0 {
		t.Errorf("closing: %+v, %v", inv, err)
	}
	if p := payload(a.next()); p["type"] != "view_closed" || p["view"].(map[string]any)["callback_id"] != "loud" {
		t.Errorf("the app was told %v", p)
	}
}

func TestViewsUpdateAndPublishCheckTheHash(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	type body = map[string]any
	v := open(t, s, a, modal("m"))
	if _, o := api(t, s, botToken, "views.update", body{"view_id": v.ID, "hash": "old", "view": modal("n")}); o["error"] != "hash_conflict" {
		t.Errorf("an update with an old hash: %v", o)
	}
	must(t, s, "views.update", body{"view_id": v.ID, "hash": v.Hash, "view": modal("n")})
	if _, o := api(t, s, botToken, "views.update", body{"view_id": v.ID, "hash": v.Hash, "view": modal("o")}); o["error"] != "hash_conflict" {
		t.Errorf("the hash did not change: %v", o)
	}
	home := body{"type": "home", "blocks": []any{section("x")}}
	must(t, s, "views.publish", body{"user_id": alice, "view": home})
	if _, o := api(t, s, botToken, "views.publish", body{"user_id": alice, "hash": "old", "view": home}); o["error"] != "hash_conflict" {
		t.Errorf("publishing with an old hash: %v", o)
	}
	if _, o := api(t, s, botToken, "views.publish", body{"user_id": alice, "view": modal("m")}); o["error"] != "invalid_arguments" {
		t.Errorf("a modal as home: %v", o)
	}
}

func TestStateOfAMessageKeepsWhatWasChosen(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	type body = map[string]any
	menu := body{"type": "static_select", "action_id": "menu", "options": []any{body{"text": plain("One"), "value": "1"}}}
	must(t, s, "chat.postMessage", body{"channel": general, "text": "x", "blocks": []any{actions(menu, button("ok", ""))}})
	on := s.Messages(general)[0].Target()
	if _, err := s.Select(t.Context(), alice, on, slack.Action{ID: "menu"}, "1"); err != nil {
		t.Fatal(err)
	}
	chosen := payload(a.next())["actions"].([]any)[0].(body)
	if chosen["selected_option"].(body)["value"] != "1" || chosen["type"] != "static_select" || chosen["block_id"] != "acts" {
		t.Errorf("the action is %v", chosen)
	}
	for user, want := range map[string]any{alice: "1", bob: nil} {
		if _, err := s.Click(t.Context(), user, on, slack.Action{ID: "ok"}); err != nil {
			t.Fatal(err)
		}
		state := payload(a.next())["state"].(body)["values"].(body)["acts"].(body)["menu"].(body)
		option, _ := state["selected_option"].(body)
		if option["value"] != want {
			t.Errorf("%s has chosen %v, want %v", user, state, want)
		}
	}
}

func FuzzTypedText(f *testing.F) {
	for _, seed := range []string{"", "@alice", "@", "#", "a@b <@U1> & https://", "@bob.b.. @\xff"} {
		f.Add(seed)
	}
	s := start(f, config())
	f.Fuzz(func(t *testing.T, text string) {
		m, err := s.PostMessage(alice, general, text)
		if err != nil {
			return
		}
		// Every bracket is of markup that the server made.
		if strings.Count(m.Text, "<") != strings.Count(m.Text, ">") {
			t.Errorf("%q became %q", text, m.Text)
		}
	})
}
