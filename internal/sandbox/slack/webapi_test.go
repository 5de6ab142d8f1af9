package slack_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	goslack "github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

func TestErrorsAreInSlacksWords(t *testing.T) {
	s := start(t, config())
	posted, err := s.PostMessage(alice, general, "by a person")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("é", 4001)
	type args = map[string]any
	for _, c := range []struct {
		token, method string
		args          args
		want          string
	}{
		{"", "auth.test", nil, "not_authed"},
		{"xoxb-other", "auth.test", nil, "invalid_auth"},
		{appToken, "chat.postMessage", args{"channel": general, "text": "x"}, "not_allowed_token_type"},
		{botToken, "apps.connections.open", nil, "not_allowed_token_type"},
		{botToken, "chat.unheardOf", nil, "unknown_method"},
		{botToken, "chat.postMessage", args{"channel": "C9", "text": "x"}, "channel_not_found"},
		{botToken, "chat.postMessage", args{"channel": hidden, "text": "x"}, "channel_not_found"},
		{botToken, "chat.postMessage", args{"channel": random, "text": "x"}, "not_in_channel"},
		{botToken, "chat.postMessage", args{"channel": general}, "no_text"},
		{botToken, "chat.postMessage", args{"channel": general, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"},
		{botToken, "chat.postMessage", args{"channel": general, "text": "x", "blocks": "{"}, "invalid_blocks_format"},
		{botToken, "chat.postMessage", args{"channel": general, "text": "x", "metadata": args{"event_type": "e"}}, "invalid_metadata_schema"},
		{botToken, "chat.postMessage", args{"channel": gone, "text": "x"}, "user_disabled"},
		{botToken, "chat.postEphemeral", args{"channel": general, "user": carol, "text": "x"}, "user_not_in_channel"},
		{botToken, "chat.update", args{"channel": general, "ts": posted.TS, "text": "x"}, "cant_update_message"},
		{botToken, "chat.update", args{"channel": general, "ts": "1.000001", "text": "x"}, "message_not_found"},
		{botToken, "chat.delete", args{"channel": general, "ts": posted.TS}, "cant_delete_message"},
		{botToken, "conversations.open", args{}, "users_list_not_supplied"},
		{botToken, "conversations.open", args{"users": "U9"}, "user_not_found"},
		{botToken, "conversations.open", args{"users": gone}, "user_disabled"},
		{botToken, "conversations.open", args{"users": botUser}, "cannot_dm_bot"},
		{botToken, "conversations.open", args{"users": alice + "," + bob}, "missing_scope"},
		{botToken, "conversations.members", args{"channel": general, "cursor": "?"}, "invalid_cursor"},
		{botToken, "conversations.members", args{"channel": general, "limit": -1}, "invalid_limit"},
		{botToken, "conversations.replies", args{"channel": general, "ts": "1.000001"}, "thread_not_found"},
		{botToken, "users.info", args{"user": "U9"}, "user_not_found"},
		{botToken, "usergroups.users.list", args{"usergroup": "S9"}, "no_such_subteam"},
		{botToken, "views.open", args{"trigger_id": "1", "view": args{"type": "modal"}}, "invalid_arguments"},
		{botToken, "views.update", args{"view_id": "V9"}, "not_found"},
	} {
		res, got := api(t, s, c.token, c.method, c.args)
		if res.StatusCode != http.StatusOK || got["ok"] != false || got["error"] != c.want {
			t.Errorf("%s %v with token %q: %d %v, want %s", c.method, c.args, c.token, res.StatusCode, got, c.want)
		}
	}
	ts := must(t, s, "chat.postMessage", args{"channel": general, "text": "x"})["ts"]
	if _, got := api(t, s, botToken, "chat.update", args{"channel": general, "ts": ts, "text": long}); got["error"] != "msg_too_long" {
		t.Errorf("an update of 4,001 characters: %v", got)
	}
	must(t, s, "chat.update", args{"channel": general, "ts": ts, "text": long[:8000]})
	for _, call := range s.Calls() {
		if !slices.Contains([]slack.TokenKind{"bot", "app", "unknown", "none"}, call.Token) {
			t.Errorf("the log shows a token: %+v", call)
		}
	}
}

func TestScopes(t *testing.T) {
	cfg := config()
	cfg.Scopes = []string{"commands", "chat:write", "channels:read"}
	s := start(t, cfg)
	type args = map[string]any
	for method, c := range map[string]struct {
		args           args
		needed, status string
	}{
		"users.info":            {args{"user": alice}, "users:read", "missing_scope"},
		"usergroups.list":       {nil, "usergroups:read", "missing_scope"},
		"conversations.open":    {args{"users": alice}, "im:write", "missing_scope"},
		"conversations.history": {args{"channel": general}, "channels:history,groups:history,im:history", "missing_scope"},
		"conversations.info":    {args{"channel": private}, "groups:read", "missing_scope"},
	} {
		_, got := api(t, s, botToken, method, c.args)
		if got["error"] != c.status || got["needed"] != c.needed || got["provided"] != "commands,chat:write,channels:read" {
			t.Errorf("%s: %v, want it to need %s", method, got, c.needed)
		}
	}
	res, _ := api(t, s, botToken, "auth.test", nil)
	if got := res.Header.Get("X-OAuth-Scopes"); got != "commands,chat:write,channels:read" {
		t.Errorf("auth.test says that the scopes are %q", got)
	}
	must(t, s, "conversations.info", args{"channel": general})

	s.SetScopes("chat:write", "chat:write.public")
	must(t, s, "chat.postMessage", args{"channel": random, "text": "x"})
	if _, err := s.Slash(t.Context(), alice, general, "/deploy-token", ""); err == nil {
		t.Error("a command reached an app that lacks the scope")
	}
}

func TestSlackGoOverTheWebAPI(t *testing.T) {
	s := start(t, config())
	c := client(s)
	ctx := t.Context()

	auth, err := c.AuthTestContext(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if auth.UserID != botUser || auth.BotID != "B0BOT" || auth.TeamID != "T0TEAM" || auth.Team != "Open Contracting" {
		t.Errorf("auth.test: %+v", auth)
	}

	_, ts, err := c.PostMessageContext(ctx, general,
		goslack.MsgOptionText("fallback", false),
		goslack.MsgOptionBlocks(goslack.NewSectionBlock(goslack.NewTextBlockObject("mrkdwn", "*hello*", false, false), nil, nil)),
		goslack.MsgOptionMetadata(goslack.SlackMetadata{EventType: "notice", EventPayload: map[string]any{"id": "7"}}))
	if err != nil {
		t.Fatal(err)
	}
	if m := s.Messages(general)[0]; m.Shown() != "*hello*" || m.Text != "fallback" || m.BotID != "B0BOT" {
		t.Errorf("the message is %+v", m)
	}
	_, reply, err := c.PostMessageContext(ctx, "#general", goslack.MsgOptionText("reply", false), goslack.MsgOptionTS(ts))
	if err != nil {
		t.Fatal(err)
	}
	if thread := s.Thread(general, ts); len(thread) != 2 || thread[1].TS != reply {
		t.Errorf("the thread is %+v", thread)
	}

	history, err := c.GetConversationHistoryContext(ctx, &goslack.GetConversationHistoryParameters{ChannelID: general, IncludeAllMetadata: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(history.Messages) != 1 || history.Messages[0].Metadata.EventPayload["id"] != "7" || history.Messages[0].ReplyCount != 1 {
		t.Errorf("the history is %+v", history.Messages)
	}
	replies, _, _, err := c.GetConversationRepliesContext(ctx, &goslack.GetConversationRepliesParameters{ChannelID: general, Timestamp: ts})
	if err != nil || len(replies) != 2 {
		t.Errorf("the replies are %+v, %v", replies, err)
	}

	if _, _, _, err := c.UpdateMessageContext(ctx, general, ts, goslack.MsgOptionText("only text", false)); err != nil {
		t.Fatal(err)
	}
	m := s.Messages(general)[0]
	if m.Blocks != nil || m.Text != "only text" || m.EditedTS == "" {
		t.Errorf("after an update with text alone the message is %+v", m)
	}

	if _, err := c.PostEphemeralContext(ctx, general, alice, goslack.MsgOptionText("for you", false)); err != nil {
		t.Fatal(err)
	}
	if len(s.Visible(alice, general)) != 3 || len(s.Visible(bob, general)) != 2 || len(s.Messages(general)) != 2 {
		t.Error("an ephemeral message is not seen by one person alone")
	}
	s.Reload(alice)
	if len(s.Visible(alice, general)) != 2 {
		t.Error("an ephemeral message survived a reload")
	}

	dm, _, _, err := c.OpenConversationContext(ctx, &goslack.OpenConversationParameters{Users: []string{bob}})
	if err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{dm.ID, bob} {
		if _, _, err := c.PostMessageContext(ctx, channel, goslack.MsgOptionText("psst", false)); err != nil {
			t.Fatal(err)
		}
	}
	if direct := s.Direct(bob); len(direct) != 2 || direct[1].Channel != dm.ID {
		t.Errorf("the direct message holds %+v", direct)
	}

	info, err := c.GetConversationInfoContext(ctx, &goslack.GetConversationInfoInput{ChannelID: general})
	if err != nil || !info.IsMember || info.Name != "general" {
		t.Errorf("conversations.info: %+v, %v", info, err)
	}
	if _, _, err := c.DeleteMessageContext(ctx, general, reply); err != nil || len(s.Thread(general, ts)) != 1 {
		t.Errorf("deleting: %v", err)
	}

	groups, err := c.GetUserGroupsContext(ctx, goslack.GetUserGroupsOptionIncludeUsers(true))
	if err != nil || len(groups) != 1 || groups[0].Handle != "deployers" || !slices.Equal(groups[0].Users, []string{alice, bob}) {
		t.Errorf("usergroups.list: %+v, %v", groups, err)
	}
	members, err := c.GetUserGroupMembersContext(ctx, "S0DEPLOY")
	if err != nil || !slices.Equal(members, []string{alice, bob}) {
		t.Errorf("usergroups.users.list: %v, %v", members, err)
	}

	var refused goslack.SlackErrorResponse
	_, _, err = c.PostMessageContext(ctx, general, goslack.MsgOptionText("x", false),
		goslack.MsgOptionBlocks(goslack.NewHeaderBlock(goslack.NewTextBlockObject("plain_text", strings.Repeat("x", 151), false, false))))
	if !errors.As(err, &refused) || refused.Err != "invalid_blocks" ||
		!slices.Equal(refused.ResponseMetadata.Messages, []string{"[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]"}) {
		t.Errorf("a header that is too long: %+v", err)
	}
}

func TestUsersCarrySlacksFlags(t *testing.T) {
	s := start(t, config())
	users, err := client(s).GetUsersContext(t.Context(), goslack.GetUsersOptionLimit(2))
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string]goslack.User)
	for _, u := range users {
		by[u.ID] = u
	}
	if len(users) != 6 || len(by) != 6 {
		t.Fatalf("pages of two hold %d users", len(users))
	}
	if u := by[alice]; u.Name != "alice" || u.RealName != "Alice Adams" || u.Profile.DisplayName != "ali" || u.TZ != "America/Toronto" || u.IsBot {
		t.Errorf("Alice is %+v", u)
	}
	if u := by[carol]; !u.IsRestricted || !u.IsUltraRestricted || u.TeamID != "T0OTHER" || !u.IsStranger {
		t.Errorf("the guest from outside is %+v", u)
	}
	if u := by[gone]; !u.Deleted || u.RealName != "" || u.Profile.RealName != "Gone Girl" {
		t.Errorf("the deactivated user is %+v", u)
	}
	if u := by["USLACKBOT"]; u.IsBot {
		t.Error("Slackbot says that it is a bot, which Slack's doesn't")
	}
	if !by[botUser].IsBot {
		t.Error("the app's user is no bot")
	}
}

func TestPages(t *testing.T) {
	cfg := config()
	big := slack.Channel{ID: "C0BIG", Name: "big", Members: []string{botUser}}
	for i := range 250 {
		id := fmt.Sprintf("U%04d", i)
		cfg.Users = append(cfg.Users, slack.User{ID: id, Name: "user" + id})
		big.Members = append(big.Members, id)
	}
	cfg.Channels = append(cfg.Channels, big)
	s := start(t, cfg)
	for limit, pages := range map[int]int{0: 3, 60: 5, 1000: 1, 5000: 1} {
		var got []string
		cursor, n := "", 0
		for {
			ids, next, err := client(s).GetUsersInConversationContext(t.Context(),
				&goslack.GetUsersInConversationParameters{ChannelID: "C0BIG", Limit: limit, Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			got, n = append(got, ids...), n+1
			if cursor = next; cursor == "" {
				break
			}
		}
		if !slices.Equal(got, big.Members) || n != pages {
			t.Errorf("limit %d: %d members on %d pages", limit, len(got), n)
		}
	}
}

func TestFormsCarryTheTokenAndJSON(t *testing.T) {
	s := start(t, config())
	form := url.Values{"token": {botToken}, "channel": {general}, "text": {"x"}, "blocks": {`[{"type":"divider"}]`}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/api/chat.postMessage", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, got := do(t, req); got["ok"] != true {
		t.Errorf("a form with a token: %v", got)
	}
	if _, got := api(t, s, "", "chat.postMessage", map[string]any{"token": botToken, "channel": general, "text": "x"}); got["error"] != "not_authed" {
		t.Errorf("a token in a JSON body: %v", got)
	}
	req, _ = http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/api/chat.postMessage", strings.NewReader("{"))
	req.Header.Set("Content-Type", "application/json")
	if _, got := do(t, req); got["error"] != "invalid_json" {
		t.Errorf("broken JSON: %v", got)
	}
	req, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/api/users.info?user="+alice, nil)
	req.Header.Set("Authorization", "Bearer "+botToken)
	if _, got := do(t, req); got["ok"] != true {
		t.Errorf("a GET with a query: %v", got)
	}
	if n := len(s.Messages(general)); n != 1 {
		t.Errorf("%d messages were posted", n)
	}
}

func TestMetadataStaysUnlessAnUpdateSaysOtherwise(t *testing.T) {
	s := start(t, config())
	type args = map[string]any
	ts := must(t, s, "chat.postMessage", args{"channel": general, "text": "x",
		"metadata": args{"event_type": "e", "event_payload": args{"n": 1}}})["ts"]
	must(t, s, "chat.update", args{"channel": general, "ts": ts, "text": "y"})
	if m := s.Messages(general)[0]; m.Metadata == nil {
		t.Error("an update took the metadata away")
	}
	must(t, s, "chat.update", args{"channel": general, "ts": ts, "text": "y", "metadata": args{}})
	if m := s.Messages(general)[0]; m.Metadata != nil {
		t.Errorf("empty metadata left %s", m.Metadata)
	}
}

func TestHistoryBetweenTimes(t *testing.T) {
	clock := newClock()
	cfg := config()
	cfg.Clock = clock.Now
	s := start(t, cfg)
	var ts []string
	for i := range 4 {
		m, err := s.PostMessage(alice, general, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		ts = append(ts, m.TS)
		clock.advance(time.Second)
	}
	type args = map[string]any
	for _, c := range []struct {
		args args
		want string
	}{
		{args{}, "3210"},
		{args{"limit": 2}, "32"},
		{args{"oldest": "0"}, "3210"},
		{args{"oldest": ts[1]}, "32"},
		{args{"oldest": ts[1], "inclusive": true}, "321"},
		{args{"latest": ts[2]}, "10"},
		{args{"oldest": ts[1], "latest": ts[2], "inclusive": "true"}, "21"},
	} {
		c.args["channel"] = general
		got := ""
		for _, m := range must(t, s, "conversations.history", c.args)["messages"].([]any) {
			got += m.(map[string]any)["text"].(string)
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
}
