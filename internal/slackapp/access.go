package slackapp

import "context"

// Members knows who may use the bot.
type Members interface {
	// Member reports whether the person may use the bot: false for whoever is
	// not in the channel or the configured user group, for guests, bots and
	// members of other workspaces. An error says that it can't be determined.
	Member(ctx context.Context, userID string) (bool, error)
}

// What somebody is told who may not use the bot.
const (
	refusedTeam   = "This bot serves the workspace that it is installed in, and you are in another one. Nothing was done."
	refusedPerson = "Only members of the deploy token's channel can use this bot, and no guests. Join the channel, or ask there to be added. Nothing was done."
	refusedGroup  = "Only members of the user group that is set for this bot can use it, and no guests. Ask whoever runs the bot to be added to it. Nothing was done."
	accessUnknown = "I can't look up in Slack just now whether you may use this bot. If you hear no more from me within a minute, try again."
)

// refuses returns why the request is refused, and "" if it is not. What can't
// be determined is refused.
func (in *Inbound) refuses(ctx context.Context, r request) string {
	if team := in.team.Load(); team == nil || r.Team != *team {
		return refusedTeam
	}
	switch r.Ask {
	case askAgree, askWaitForm, askAskToWait:
		// Whoever was asked may answer, also who may ask for nothing. Who that is
		// is known with the question.
		return ""
	}
	ok, err := in.config.Members.Member(ctx, r.Person)
	switch {
	case err != nil:
		in.logger(r).Warn("cannot determine whether a person may use the bot", "error", err)
		return accessUnknown
	case !ok && in.config.ByGroup:
		return refusedGroup
	case !ok:
		return refusedPerson
	}
	return ""
}
