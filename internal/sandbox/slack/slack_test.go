package slack_test

import (
	"context"
	"testing"
	"time"

	goslack "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

const (
	botToken = "xoxb-test"
	appToken = "xapp-test"
	general  = "C0GENERAL"
	private  = "C0PRIVATE"
	alice    = "U0ALICE"
	bob      = "U0BOB"
	carol    = "U0CAROL" // in no channel
	botUser  = "U0BOT"
)

func config() slack.Config {
	return slack.Config{
		Team:     slack.Team{ID: "T0TEAM", Name: "Open Contracting", Domain: "ocp"},
		App:      slack.App{ID: "A0APP", Name: "deploytoken", UserID: botUser, BotID: "B0BOT"},
		BotToken: botToken,
		AppToken: appToken,
		Users: []slack.User{
			{ID: alice, Name: "alice", RealName: "Alice Adams", DisplayName: "ali", TZ: "America/Toronto"},
			{ID: bob, Name: "bob.b", RealName: "Bob Brown"},
			{ID: carol, Name: "carol", RealName: "Carol Clark", Guest: slack.SingleChannelGuest},
			{ID: "U0GONE", Name: "gone", RealName: "Gone", Deleted: true},
		},
		Channels: []slack.Channel{
			{ID: general, Name: "general", Members: []string{alice, bob, botUser}},
			{ID: private, Name: "secret", Private: true, Members: []string{alice}},
		},
		UserGroups: []slack.UserGroup{{ID: "S0DEPLOY", Handle: "deployers", Members: []string{alice, bob}}},
	}
}

// start starts a server that ends with the test.
func start(t *testing.T, cfg slack.Config) *slack.Server {
	t.Helper()
	s, err := slack.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func client(s *slack.Server) *goslack.Client {
	return goslack.New(botToken, goslack.OptionAppLevelToken(appToken), goslack.OptionAPIURL(s.URL()+"/api/"))
}

// connect runs slack-go's Socket Mode client, whose events go to handle, until the test ends.
func connect(t *testing.T, s *slack.Server, handle func(*goslack.Client, *socketmode.Client, socketmode.Event)) {
	t.Helper()
	api := client(s)
	sm := socketmode.New(api)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		sm.RunContext(ctx)
		close(done)
	}()
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for {
			select {
			case e := <-sm.Events:
				if e.Type == socketmode.EventTypeHello {
					close(ready)
				}
				handle(api, sm, e)
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; <-handled })
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("slack-go did not connect")
	}
}

func TestSlashCommandIsAcknowledgedAndAnswered(t *testing.T) {
	s := start(t, config())
	connect(t, s, func(api *goslack.Client, sm *socketmode.Client, e socketmode.Event) {
		if cmd, ok := e.Data.(goslack.SlashCommand); ok {
			sm.Ack(*e.Request, map[string]any{"text": "Working: " + cmd.Text})
			api.PostMessage(cmd.ChannelID, goslack.MsgOptionText("answer", false), goslack.MsgOptionResponseURL(cmd.ResponseURL, goslack.ResponseTypeEphemeral))
		}
	})
	inv, err := s.Slash(t.Context(), alice, general, "/deploy-token", "give @bob.b. <now> & then")
	if err != nil {
		t.Fatal(err)
	}
	if want := "give <@U0BOB|bob.b>. &lt;now&gt; &amp; then"; inv.Text != want {
		t.Errorf("the text arrived as %q, want %q", inv.Text, want)
	}
	if !inv.Acked || inv.Trouble != "" || inv.Latency <= 0 {
		t.Errorf("the invocation is %+v", inv)
	}
	_, err = s.WaitFor(t.Context(), func(st slack.State) bool { return len(st.Visible(alice, general)) == 2 })
	if err != nil {
		t.Fatal(err)
	}
	if seen := s.Visible(bob, general); len(seen) != 0 {
		t.Errorf("the other person sees %+v", seen)
	}
}
