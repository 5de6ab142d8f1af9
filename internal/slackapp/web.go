package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// callWithin bounds one call of Slack's Web API or of a response URL, beside
// what its context does.
const callWithin = 10 * time.Second

// NewClient returns a client of Slack's Web API at apiURL, with the bot's token
// and, for Socket Mode, the app-level token ("" where that isn't used). It
// never retries by itself.
func NewClient(botToken, appToken, apiURL string) *slack.Client {
	options := []slack.Option{slack.OptionHTTPClient(newHTTPClient())}
	if apiURL != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(apiURL, "/")+"/"))
	}
	if appToken != "" {
		options = append(options, slack.OptionAppLevelToken(appToken))
	}
	return slack.New(botToken, options...)
}

// newHTTPClient returns a client that waits for nobody for ever. It follows no
// redirect: none is expected, and one would carry what is secret elsewhere.
func newHTTPClient() *http.Client {
	return &http.Client{
		Timeout:       callWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// An Identity is what Slack says of the bot.
type Identity struct {
	// TeamID and Team are the workspace's ID and name.
	TeamID, Team string
	// UserID and Handle are those of the bot's user.
	UserID, Handle string
	// Scopes are the bot token's; nil where Slack didn't say.
	Scopes []string
}

// Identify logs in to Slack.
// Errors: ErrUnavailable, ErrMisconfigured.
func Identify(ctx context.Context, client *slack.Client) (Identity, error) {
	answer, err := client.AuthTestContext(ctx)
	if err != nil {
		return Identity{}, fault(err, "log in to Slack", false)
	}
	id := Identity{TeamID: answer.TeamID, Team: answer.Team, UserID: answer.UserID, Handle: answer.User}
	for scope := range strings.SplitSeq(answer.Header.Get("X-OAuth-Scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			id.Scopes = append(id.Scopes, scope)
		}
	}
	return id, nil
}

// Check finds out whether the bot has what it needs in Slack: its scopes, and
// its place in the channel. Groups are the user groups that are configured.
// Remark is what it does less well for lack of a scope; "" for nothing.
// Errors: ErrUnavailable, ErrMisconfigured; several where several things are
// wrong, joined.
func Check(ctx context.Context, client *slack.Client, channel string, groups ...string) (remark string, err error) {
	id, err := Identify(ctx, client)
	if err != nil {
		return "", err
	}
	groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return g == "" })
	needed := slices.DeleteFunc(RequiredScopes(), func(scope string) bool {
		// The look at the channel says whether that scope is needed.
		return scope == publicScope || scope == groupScope && len(groups) == 0
	})
	problems := []error{checkScopes(id.Scopes, needed), checkChannel(ctx, client, channel, id.Handle)}
	for _, g := range groups {
		if _, err := client.GetUserGroupMembersContext(ctx, g); err != nil {
			problems = append(problems, fault(err, "read the members of the user group "+g, false))
		}
	}
	return cantLook(id.Scopes), errors.Join(problems...)
}

// cantLook says what follows where the token has no scope to look for a message;
// "" where it has one, or Slack doesn't say.
func cantLook(granted []string) string {
	if granted == nil || slices.Contains(granted, publicHistory) || slices.Contains(granted, privateHistory) {
		return ""
	}
	return "Without the scope " + publicHistory + " (" + privateHistory + " for a private channel), a message to the channel may come twice where Slack's answer was lost."
}

// checkScopes returns an error that names the scopes that the token lacks.
func checkScopes(granted, needed []string) error {
	if granted == nil {
		return nil
	}
	missing := slices.DeleteFunc(slices.Clone(needed), func(s string) bool { return slices.Contains(granted, s) })
	if len(missing) == 0 {
		return nil
	}
	return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: lacksScope(strings.Join(missing, ", "))}
}

func checkChannel(ctx context.Context, client *slack.Client, channel, handle string) error {
	c, err := client.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	switch {
	case err != nil:
		return fault(err, "find the channel "+channel, false)
	case c.IsArchived:
		return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: isArchived}
	case !c.IsMember:
		return &deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: fmt.Sprintf("The bot is not in the channel #%s (%s). Type `/invite @%s` there, or correct slack.channel.", c.Name, channel, handle),
		}
	}
	return nil
}

const isArchived = "The Slack channel is archived. Unarchive it, or set slack.channel to another."

func lacksScope(scopes string) string {
	return fmt.Sprintf("The bot's Slack token lacks a scope: %s. Add it in the app's settings at https://api.slack.com/apps, under OAuth & Permissions, and install the app again.", scopes)
}

// badToken are Slack's errors that a new token mends, and what each means.
var badToken = map[string]string{
	"invalid_auth":           "it is not valid, or not from this IP address",
	"not_authed":             "there is none",
	"account_inactive":       "the app or its workspace is gone",
	"token_revoked":          "it was revoked",
	"token_expired":          "it has expired",
	"not_allowed_token_type": "it is of another type",
}

// wholly are Slack's errors for the app as a whole, which an administrator of the
// workspace mends.
var wholly = []string{"access_denied", "ekm_access_denied", "enterprise_is_restricted", "no_permission", "org_login_required", "team_access_not_granted", "two_factor_setup_required"}

// passing are Slack's errors that pass by themselves. After some of them, what
// was asked for may have been done.
var passing = []string{"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "accesslimited"}

// unreachable are Slack's errors for a person whom no message can reach, and what
// each means.
var unreachable = map[string]string{
	"user_not_found":        "Slack knows no such person",
	"users_not_found":       "Slack knows no such person",
	"user_disabled":         "their Slack account is deactivated",
	"account_disabled":      "their Slack account is deactivated",
	"user_not_visible":      "Slack doesn't show them to the bot",
	"cannot_dm_bot":         "they are a bot",
	"messages_tab_disabled": "the app's settings in Slack, under App Home, turn its messages off",
}

// badMessage are Slack's errors for a message that it will never take as it is.
var badMessage = []string{"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text", "invalid_metadata_format", "metadata_too_large", "invalid_arguments", "invalid_form_data", "edit_window_closed", "cant_update_message", "thread_not_found"}

// fault says what a failed call to Slack means and what to do about it, for
// "Cannot <doing>". Writes is whether the call may have had an effect though
// no answer came. The error holds no token and no address.
// Errors: ErrUnavailable, ErrMisconfigured, ErrRefused, ErrUndeliverable;
// ErrAmbiguous only where it writes.
func fault(err error, doing string, writes bool) error {
	if err == nil {
		return nil
	}
	unsure := deploytoken.ErrUnavailable
	if writes {
		unsure = deploytoken.ErrAmbiguous
	}
	f := &deploytoken.Fault{Kind: unsure, Message: fmt.Sprintf("Cannot %s: Slack does not answer.", doing), Cause: withoutURL(err)}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		f.Cause = errors.New(e.Err)
		refused(f, e, doing, writes)
		return f
	}
	if e, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		f.Kind, f.RetryAfter = deploytoken.ErrUnavailable, askedPause(e)
		f.Message = fmt.Sprintf("Cannot %s just now: Slack asks for fewer calls.", doing)
		return f
	}
	if e, ok := errors.AsType[slack.StatusCodeError](err); ok {
		switch {
		case e.Code == http.StatusTooManyRequests:
			f.Kind = deploytoken.ErrUnavailable
		case e.Code == http.StatusNotFound:
			f.Kind = deploytoken.ErrMisconfigured
			f.Message = fmt.Sprintf("Cannot %s: there is no Slack API at the configured address. Correct slack.api_url, or leave it out.", doing)
		case e.Code < 500:
			f.Kind = deploytoken.ErrUnavailable
		}
		return f
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		f.Kind = deploytoken.ErrUnavailable
		f.Message = fmt.Sprintf("Cannot %s: Slack can't be reached.", doing)
	}
	return f
}

// refused completes f by the error that Slack gave as its answer.
func refused(f *deploytoken.Fault, e slack.SlackErrorResponse, doing string, writes bool) {
	why, tokenBad := badToken[e.Err]
	whyNot, nobody := unreachable[e.Err]
	switch {
	case tokenBad:
		f.Kind = deploytoken.ErrMisconfigured
		f.Message = fmt.Sprintf("Cannot %s: Slack refuses the bot's token, as %s (%s). Set SLACK_BOT_TOKEN to the bot token (xoxb-…) from the app's settings, under OAuth & Permissions.", doing, why, e.Err)
	case e.Err == "missing_scope":
		f.Kind = deploytoken.ErrMisconfigured
		f.Message = lacksScope(orElse(strings.ReplaceAll(e.Needed, ",", " or "), "Slack does not say which"))
	case e.Err == "not_in_channel", e.Err == "channel_not_found":
		f.Kind = deploytoken.ErrRefused
		f.Message = fmt.Sprintf("Cannot %s: the bot is not in the Slack channel, or there is no such channel (%s). Invite it there with `/invite`, or correct slack.channel.", doing, e.Err)
	case e.Err == "is_archived":
		f.Kind, f.Message = deploytoken.ErrRefused, isArchived
	case e.Err == "no_such_subteam", e.Err == "subteam_not_found":
		f.Kind = deploytoken.ErrMisconfigured
		f.Message = fmt.Sprintf("Cannot %s: Slack has no such user group. Correct its ID in the configuration.", doing)
	case slices.Contains(passing, e.Err):
		if strings.HasPrefix(e.Err, "rate") {
			f.Kind = deploytoken.ErrUnavailable
		}
		f.Message = fmt.Sprintf("Cannot %s just now: Slack is having trouble.", doing)
	case nobody:
		f.Kind = deploytoken.ErrUndeliverable
		f.Message = fmt.Sprintf("Cannot %s: %s.", doing, whyNot)
	case writes && slices.Contains(badMessage, e.Err):
		f.Kind = deploytoken.ErrUndeliverable
		f.Message = fmt.Sprintf("Cannot %s: Slack does not take the message (%s).", doing, e.Err)
		if details := e.ResponseMetadata.Messages; len(details) > 0 {
			f.Cause = fmt.Errorf("%s: %s", e.Err, strings.Join(details, "; "))
		}
	default:
		f.Kind = deploytoken.ErrRefused
		if slices.Contains(wholly, e.Err) {
			f.Kind = deploytoken.ErrMisconfigured
		}
		f.Message = fmt.Sprintf("Cannot %s: Slack refuses it (%s).", doing, e.Err)
	}
}

// withoutURL drops the address, which may be a secret, from an error of
// net/http.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
