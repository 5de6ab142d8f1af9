package slack

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Config says what the workspace holds and how the server behaves. IDs are given by the caller, as
// tests and demos name them; the server invents only those of messages, views and direct messages.
type Config struct {
	Team Team
	App  App

	// BotToken (xoxb-…) and AppToken (xapp-…) are the only tokens that are accepted. They are never
	// logged or shown.
	BotToken, AppToken string

	// Scopes are what the bot token was granted; nil grants all that the methods here know of, but
	// chat:write.public.
	Scopes []string

	// Commands are the app's slash commands. Where there are none, any command reaches the app, escaped.
	Commands []Command

	Users      []User
	Channels   []Channel
	UserGroups []UserGroup

	// Clock tells the time that messages carry and that decides when a trigger, a response URL or a
	// ticket has expired. Waiting (for acknowledgements, between pings) takes real time. Default: time.Now.
	Clock func() time.Time

	// Logger hears of connections and calls. Default: nothing is logged.
	Logger *slog.Logger

	PingInterval time.Duration   // between the server's pings; default 10 s
	AckTimeout   time.Duration   // until the person sees operation_timeout; default 3 s
	TriggerLife  time.Duration   // from a click until it can't open a view any more; default 3 s
	Grace        time.Duration   // from a warning to the end of the connection; default 10 s
	EventRetries []time.Duration // waits before an unacknowledged event is sent again; default 4 s, 1 min, 5 min
	HistoryLimit int             // messages kept in each channel; default 10,000
}

// Team is the workspace.
type Team struct {
	ID     string `json:"id"` // T…
	Name   string `json:"name"`
	Domain string `json:"domain"` // the first label of the workspace's host name
}

// App is the app whose tokens are accepted, and its bot user.
type App struct {
	ID     string `json:"id"`      // A…
	Name   string `json:"name"`    // the bot user's handle
	UserID string `json:"user_id"` // U…, the bot user
	BotID  string `json:"bot_id"`  // B…
}

// Command is a slash command of the app's manifest.
type Command struct {
	Name         string `json:"name"` // with its slash
	ShouldEscape bool   `json:"should_escape"`
}

// User is a member of the workspace, or someone who shares a channel with it.
type User struct {
	ID          string `json:"id"`
	Name        string `json:"name"` // the handle, without @
	RealName    string `json:"real_name"`
	DisplayName string `json:"display_name"`
	TZ          string `json:"tz"` // IANA name; UTC where empty
	Bot         bool   `json:"bot,omitempty"`
	Deleted     bool   `json:"deleted,omitempty"`
	Guest       Guest  `json:"guest,omitempty"`
	TeamID      string `json:"team_id,omitempty"` // another workspace's ID for someone from outside
}

// Guest says whether a user is a guest of the workspace.
type Guest string

const (
	NotGuest           Guest = ""
	MultiChannelGuest  Guest = "multi"  // is_restricted
	SingleChannelGuest Guest = "single" // is_restricted and is_ultra_restricted
)

// Channel is a public or private channel.
type Channel struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"` // without #
	Private bool     `json:"private,omitempty"`
	Members []string `json:"members"` // user IDs; the app is in the channel if its bot user is
}

// UserGroup is a group that can be mentioned as one.
type UserGroup struct {
	ID      string   `json:"id"` // S…
	Handle  string   `json:"handle"`
	Name    string   `json:"name"`
	Members []string `json:"members"`
}

const (
	slackbotID = "USLACKBOT"

	// verification is the deprecated token by which an app could know Slack, which payloads still carry.
	verification = "deprecated"

	// maxConnections is how many Socket Mode connections Slack allows an app.
	maxConnections = 10

	responseURLLife  = 30 * time.Minute
	responseURLUses  = 5
	ticketLife       = 30 * time.Second
	maxKept          = 10_000 // calls, deliveries, triggers, response URLs and views remembered
	maxTextTruncated = 40_000 // characters of a message's text, over which Slack cuts it
)

func (c Config) withDefaults() (Config, error) {
	var problems []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	need(c.Team.ID != "", "the team needs an ID")
	need(c.App.ID != "" && c.App.UserID != "" && c.App.BotID != "", "the app needs an ID, a user ID and a bot ID")
	need(strings.HasPrefix(c.BotToken, "xoxb-"), "the bot token must start with xoxb-")
	need(strings.HasPrefix(c.AppToken, "xapp-"), "the app token must start with xapp-")
	for _, cmd := range c.Commands {
		need(strings.HasPrefix(cmd.Name, "/"), "the command %q must start with a slash", cmd.Name)
	}
	if c.App.Name == "" {
		c.App.Name = "app"
	}
	if c.Team.Name == "" {
		c.Team.Name = c.Team.ID
	}
	if c.Team.Domain == "" {
		c.Team.Domain = strings.ToLower(c.Team.ID)
	}
	if c.Scopes == nil {
		c.Scopes = slices.Clone(allScopes)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.PingInterval <= 0 {
		c.PingInterval = 10 * time.Second
	}
	if c.AckTimeout <= 0 {
		c.AckTimeout = 3 * time.Second
	}
	if c.TriggerLife <= 0 {
		c.TriggerLife = 3 * time.Second
	}
	if c.Grace <= 0 {
		c.Grace = 10 * time.Second
	}
	if c.EventRetries == nil {
		c.EventRetries = []time.Duration{4 * time.Second, time.Minute, 5 * time.Minute}
	}
	if c.HistoryLimit <= 0 {
		c.HistoryLimit = 10_000
	}
	return c, errors.Join(problems...)
}
