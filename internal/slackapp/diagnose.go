package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// RequiredScopes are the bot scopes that the app's manifest asks for.
func RequiredScopes() []string {
	return []string{"commands", "chat:write", "users:read", groupScope, "im:write", publicScope}
}

// OptionalScopes are bot scopes that the bot makes use of where it has them:
// channels:history, to look for a message whose posting had no answer, and both
// kinds of groups, for a private channel.
func OptionalScopes() []string {
	return []string{publicHistory, privateScope, privateHistory}
}

const (
	groupScope     = "usergroups:read"
	publicScope    = "channels:read"
	privateScope   = "groups:read"
	publicHistory  = "channels:history"
	privateHistory = "groups:history"
)

// A Diagnosis tries what the bot needs of Slack. Its methods change nothing in
// Slack, and take no envelope away from a bot that runs.
//
// Each returns what it found to be well, in a few words; a warning, in
// sentences, or ""; and what is wrong. Errors: ErrUnavailable, ErrMisconfigured.
type Diagnosis struct {
	client            *slack.Client
	appToken, channel string
	group             string
	groups            bool
	// socket is the address that AppToken was given. It is a secret.
	socket string
}

// NewDiagnosis returns a Diagnosis of the workspace that the tokens are of. The
// channel is where the team is notified, and group the user group that may use
// the bot, or "". Groups is whether any user group is configured.
func NewDiagnosis(botToken, appToken, apiURL, channel, group string, groups bool) *Diagnosis {
	return &Diagnosis{
		client: NewClient(botToken, appToken, apiURL), appToken: appToken, channel: channel, group: group, groups: groups,
	}
}

// BotToken logs in.
func (d *Diagnosis) BotToken(ctx context.Context) (found, warning string, err error) {
	id, err := Identify(ctx, d.client)
	if err != nil {
		return "", "", inSettings(err)
	}
	return fmt.Sprintf("@%s in the workspace %s", id.Handle, id.Team), "", nil
}

// Scopes compares the bot token's scopes with those that the bot needs.
func (d *Diagnosis) Scopes(ctx context.Context) (found, warning string, err error) {
	id, err := Identify(ctx, d.client)
	if err != nil {
		return "", "", err
	}
	return judgeScopes(id.Scopes, d.groups)
}

// judgeScopes says whether the granted scopes will do; groups is whether user
// groups are configured.
func judgeScopes(granted []string, groups bool) (found, warning string, err error) {
	if granted == nil {
		return "", "Slack doesn't say which scopes the bot token has.", nil
	}
	without := func(list, but []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(but, s) })
	}
	missing := without(RequiredScopes(), granted)
	if slices.Contains(granted, privateScope) {
		// Enough for a private channel, as the look at the channel finds out.
		missing = without(missing, []string{publicScope})
	}
	if !groups && slices.Equal(missing, []string{groupScope}) {
		return "", lacksScope(groupScope) + " No user group is configured, so the bot works without it.", nil
	}
	if len(missing) > 0 {
		return "", "", &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: lacksScope(strings.Join(missing, ", "))}
	}
	found = "all that are needed"
	if more := without(granted, append(RequiredScopes(), OptionalScopes()...)); len(more) > 0 {
		found += ", and some that aren't: " + strings.Join(more, ", ")
	}
	if remark := cantLook(granted); remark != "" {
		found += ". " + strings.TrimSuffix(remark, ".")
	}
	return found, "", nil
}

// Channel looks for the channel, and for the bot in it.
func (d *Diagnosis) Channel(ctx context.Context) (found, warning string, err error) {
	id, err := Identify(ctx, d.client)
	if err != nil {
		return "", "", err
	}
	if err := checkChannel(ctx, d.client, d.channel, id.Handle); err != nil {
		return "", "", err
	}
	c, err := d.client.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: d.channel})
	if err != nil {
		return "", "", fault(err, "find the channel "+d.channel, false)
	}
	return fmt.Sprintf("#%s (%s), and the bot is in it", c.Name, d.channel), "", nil
}

// People counts who may use the bot.
func (d *Diagnosis) People(ctx context.Context) (found, warning string, err error) {
	directory := NewDirectory(d.client, d.channel, d.group, nil)
	r, err := directory.members(ctx, rosterFor)
	if err != nil {
		return "", "", err
	}
	n := 0
	for id := range r.byID {
		if directory.allows(r, id) {
			n++
		}
	}
	of := "members of the channel"
	if d.group != "" {
		of = "members of the user group " + d.group
	}
	if n == 0 {
		return "", fmt.Sprintf("Nobody may use the bot: it is for %s, guests and bots aside. Add people there.", of), nil
	}
	return fmt.Sprintf("%s may use the bot: %s", count(n, "person", "people"), of), "", nil
}

// Group returns a look at the user group of that ID.
func (d *Diagnosis) Group(id string) func(ctx context.Context) (found, warning string, err error) {
	return func(ctx context.Context) (found, warning string, err error) {
		members, err := d.client.GetUserGroupMembersContext(ctx, id)
		if err != nil {
			return "", "", fault(err, "read the members of the user group "+id, false)
		}
		if len(members) == 0 {
			return "", fmt.Sprintf("The user group %s has no members. Add them in Slack, under People & user groups.", id), nil
		}
		return fmt.Sprintf("%s has %s", id, count(len(members), "member", "members")), "", nil
	}
}

// AppToken asks for the address of a socket, and leaves it at that: Slack would
// give to a connection some of the envelopes that are for the bot. It also finds
// out, where Slack tells, whether both tokens are of one app.
func (d *Diagnosis) AppToken(ctx context.Context) (found, warning string, err error) {
	if d.socket, err = openConnection(ctx, d.client); err != nil {
		return "", "", inSettings(err)
	}
	const works = "lets the bot open a socket; none was opened"
	ofApp := appOf(d.appToken)
	if ofApp == "" {
		return works, "", nil
	}
	// Neither of these failing says anything of this token.
	login, err := d.client.AuthTestContext(ctx)
	if err != nil {
		return works, "", nil
	}
	bot, err := d.client.GetBotInfoContext(ctx, slack.GetBotInfoParameters{Bot: login.BotID})
	if err != nil || bot.AppID == "" || bot.AppID == ofApp {
		return works, "", nil
	}
	return "", "", &deploytoken.Fault{
		Kind: deploytoken.ErrMisconfigured,
		Message: fmt.Sprintf("SLACK_APP_TOKEN is of the app %s and SLACK_BOT_TOKEN of %s, so no command would arrive. Take the app-level token from https://api.slack.com/apps/%s/general, or the bot token from https://api.slack.com/apps/%s/oauth.",
			ofApp, bot.AppID, bot.AppID, ofApp),
	}
}

// inSettings adds to an error of a token that an operator has to mend where the
// app's settings are.
func inSettings(err error) error {
	f, ok := errors.AsType[*deploytoken.Fault](err)
	if !ok || !errors.Is(err, deploytoken.ErrMisconfigured) {
		return err
	}
	there := *f
	there.Message += " The settings of apps are at https://api.slack.com/apps"
	return &there
}

// appOf is the ID of the app that an app-level token says it is of, as in
// xapp-1-A0123456789-…; "" where it says none.
func appOf(appToken string) string {
	if parts := strings.Split(appToken, "-"); len(parts) > 3 && strings.HasPrefix(parts[2], "A") {
		return parts[2]
	}
	return ""
}

// Socket finds out whether the host that AppToken was given can be reached, by a
// plain request to it, without the ticket and without an upgrade.
func (d *Diagnosis) Socket(ctx context.Context) (found, warning string, err error) {
	u, err := url.Parse(d.socket)
	if err != nil || u.Host == "" {
		return "", "", errors.New("the address of Slack's socket is not one")
	}
	origin := url.URL{Scheme: "http" + strings.TrimPrefix(u.Scheme, "ws"), Host: u.Host, Path: "/"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, origin.String(), nil)
	if err != nil {
		return "", "", fmt.Errorf("the address of Slack's socket can't be used: %w", withoutURL(err))
	}
	client := newHTTPClient()
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return "", "", &deploytoken.Fault{
			Kind:    deploytoken.ErrUnavailable,
			Message: fmt.Sprintf("Slack's socket can't be reached at %s. Let this machine connect out to it and to Slack's other hosts, *.slack.com, on port 443.", u.Host),
			Cause:   withoutURL(err),
		}
	}
	answer.Body.Close()
	return u.Host + " can be reached", "", nil
}
