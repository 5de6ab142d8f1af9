package slackapp

import "github.com/open-contracting/deploytoken/internal/deploytoken"

// helpMessage says what can be said to the command. Checks is whether the busy
// checks are set up.
func helpMessage(command string, checks bool) Message {
	return compose([]group{usage(command, checks)}, nil)
}

// notUnderstood says that text, said to the command, isn't understood, and what
// would be.
func notUnderstood(command, text string, checks bool) Message {
	return compose([]group{
		{lines: []line{{words("I don't understand "), code(deploytoken.CleanLine(command+" "+text, 200)), words(". Nothing was done.")}}},
		usage(command, checks),
	}, nil)
}

// How to say what was said incompletely.
const (
	howToGive      = "To whom? Type `/deploy-token give`, a space and `@`, and choose one person from the list that Slack shows; nothing else. Nothing was done."
	howToForce     = "Why? To release the token for whoever holds it, type `/deploy-token force-release` and the reason. They are told, and so is the channel. Nothing was done."
	howManyEntries = "How many? Type `/deploy-token history` and a number from 1 to 20, or no number for the last 5 entries."
)

func usage(command string, checks bool) group {
	if command == commandKingfisher && !checks {
		return group{lines: []line{{words(noBusyChecks)}}}
	}
	if command == commandKingfisher {
		return group{
			lines: []line{{words("Before you deploy to Kingfisher, ask me what runs there:")}},
			bullets: []line{
				{code("/kingfisher busy"), words(" shows what a deployment would interrupt, and whose it is. Only you see the answer.")},
				{code("/kingfisher consent upgrade PostgreSQL"), words(" asks everybody whose work a deployment would interrupt. You are told what they answer. Say what for, or leave that out.")},
				{code("/kingfisher watch"), words(" has me tell you once it is idle; "), code("/kingfisher watch free"), words(" once it is idle and the deploy token is free.")},
				{code("/kingfisher unwatch"), words(" ends that.")},
				{code("/kingfisher help"), words(" shows this.")},
			},
		}
	}
	take, kingfisher := "", []line(nil)
	if checks {
		take = " For Kingfisher, I look first at what runs there."
		kingfisher = []line{{code("/kingfisher busy"), words(" shows what a deployment to Kingfisher would interrupt; "), code("/kingfisher help"), words(" shows what else you can ask about it.")}}
	}
	return group{
		lines: []line{{words("Whoever holds the deploy token may change the servers; nobody else may. You can say:")}},
		bullets: append([]line{
			{code("/deploy-token"), words(" shows who holds the token, since when and for what, and who waits for it.")},
			{code("/deploy-token take upgrade PostgreSQL"), words(" takes the token, if it is free. Say what for in your own words, or leave them out." + take)},
			{code("/deploy-token release upgraded PostgreSQL to 18"), words(" releases the token, if you hold it, and adds an entry to the Deploy history. Say what you did, or leave that out.")},
			{code("/deploy-token wait upgrade PostgreSQL"), words(" puts you on the waitlist: I tell you when it is your turn. "), code("/deploy-token leave"), words(" takes you off it.")},
			{code("/deploy-token give @person"), words(" offers the token, if you hold it, to someone. It is theirs once they accept.")},
			{code("/deploy-token force-release they are on leave"), words(" releases the token for someone who is away. Say why; I ask you to confirm it, and tell them and the channel.")},
			{code("/deploy-token history 10"), words(" shows the last entries of the Deploy history. Only you see them.")},
			{code("/deploy-token help"), words(" shows this.")},
		}, kingfisher...),
	}
}
