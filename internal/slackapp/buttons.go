package slackapp

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// The action IDs of the buttons. Those that are commands are called like their
// deploytoken.Kind.
const (
	actionRelease         = string(deploytoken.KindRelease)
	actionAsk             = string(deploytoken.KindAsk)
	actionStillWorking    = string(deploytoken.KindStillWorking)
	actionClaim           = string(deploytoken.KindClaim)
	actionTake            = string(deploytoken.KindTake)
	actionTakeOutOfTurn   = string(deploytoken.KindTakeOutOfTurn)
	actionTakeAnyway      = string(deploytoken.KindTakeAnyway)
	actionWithoutPostgres = string(deploytoken.KindTakeWithoutPostgres)
	actionWait            = string(deploytoken.KindWait)
	actionLeave           = string(deploytoken.KindLeave)
	actionAccept          = string(deploytoken.KindAccept)
	actionDecline         = string(deploytoken.KindDecline)
	actionForceConfirmed  = string(deploytoken.KindForceConfirmed)
	actionConsent         = string(deploytoken.KindConsent)
	actionAgree           = string(deploytoken.KindAgree)
	actionAskToWait       = string(deploytoken.KindAskToWait)
	actionWatch           = string(deploytoken.KindWatch)
	actionUnwatch         = string(deploytoken.KindUnwatch)
	actionPrefer          = string(deploytoken.KindPrefer)

	// actionReleaseAgain opens the form of a release with the words of an
	// earlier one.
	actionReleaseAgain = "release-again"
	// actionLook makes the busy checks for the home.
	actionLook = "look"
)

// noValue is the value of a button that is about nothing in particular: Slack
// wants one.
const noValue = "-"

// How much Slack takes of a button and of the dialog that confirms it, in
// characters.
const (
	maxLabel        = 75
	maxConfirmTitle = 100
	maxConfirmText  = 300
	maxConfirmLabel = 30
)

// A button of a message or a view.
type button struct {
	action, label string
	// value is what it is about: see clicks.
	value string
	// style is slack.StyleDefault, slack.StylePrimary or slack.StyleDanger.
	style slack.Style
	// confirm is what Slack asks before the click counts; nil for nothing.
	confirm *confirm
}

// A confirm is a dialog that names what a click will do. Its texts are shown as
// they are.
type confirm struct{ title, text, yes, no string }

func releaseButton(holding string) button {
	return button{action: actionRelease, label: "Release token", value: holding}
}

// releaseAgainButton opens the form of a release with the words of the command,
// which wasn't done.
func releaseAgainButton(holding, command string) button {
	return button{action: actionReleaseAgain, label: "Try again", value: holding + "/" + command}
}

func askButton(holding string) button {
	return button{action: actionAsk, label: "Ask to release", value: holding}
}

func stillWorkingButton(holding string) button {
	return button{action: actionStillWorking, label: "Still working", value: holding}
}

func claimButton(holding string) button {
	return button{action: actionClaim, label: "That's me", value: holding}
}

// takeButton takes the token. Subject is the ID of the deployment, the waiter
// or the command that says what for; "" for none. So it is for the buttons
// below.
func takeButton(subject string) button {
	return button{action: actionTake, label: "Take token", value: orElse(subject, noValue), style: slack.StylePrimary}
}

// takeOutOfTurnButton takes the token though it is the turn of the person of
// that name.
func takeOutOfTurnButton(subject, name string) button {
	return button{
		action: actionTakeOutOfTurn, label: "Take it all the same", value: orElse(subject, noValue), style: slack.StyleDanger,
		confirm: &confirm{
			title: "Take the token out of turn?",
			text:  fmt.Sprintf("It is %s's turn. They stay first in line, and have to wait until you release the token.", deploytoken.CleanLine(orElse(name, "somebody else"), 100)),
			yes:   "Take it all the same", no: "Don't",
		},
	}
}

// takeAnywayButton takes the token without the consent of those whose work a
// deployment would interrupt.
func takeAnywayButton(subject string) button {
	return button{
		action: actionTakeAnyway, label: "Take anyway", value: orElse(subject, noValue), style: slack.StyleDanger,
		confirm: &confirm{
			title: "Take the token without consent?",
			text:  "A deployment would interrupt, or may interrupt, what others run on Kingfisher. Every owner is told at once, and it is recorded that you took it without consent.",
			yes:   "Take anyway", no: "Don't",
		},
	}
}

func withoutPostgresButton(subject string) button {
	return button{action: actionWithoutPostgres, label: "PostgreSQL won't restart", value: orElse(subject, noValue)}
}

func consentButton(subject string) button {
	return button{action: actionConsent, label: "Ask for consent", value: orElse(subject, noValue)}
}

func consentAgainButton(subject string) button {
	return button{action: actionConsent, label: "Ask again", value: orElse(subject, noValue)}
}

// watchButton asks to be told when Kingfisher is idle. Subject is the ID of a
// deployment, deploytoken.WatchFree or "".
func watchButton(subject string) button {
	return button{action: actionWatch, label: "Tell me when it is idle", value: orElse(subject, noValue)}
}

func unwatchButton() button {
	return button{action: actionUnwatch, label: "Don't tell me any more", value: noValue}
}

func waitButton() button {
	return button{action: actionWait, label: "Join the waitlist", value: noValue}
}

func leaveButton() button {
	return button{action: actionLeave, label: "Leave the waitlist", value: noValue}
}

func acceptButton(offer string) button {
	return button{action: actionAccept, label: "Accept", value: offer, style: slack.StylePrimary}
}

func declineButton(offer string) button {
	return button{action: actionDecline, label: "Decline", value: offer}
}

// forceButton releases the holding of somebody else, of that name. Command is
// the ID of the force-release that it confirms; "" for none.
func forceButton(holding, command, name string) button {
	name = deploytoken.CleanLine(name, 100)
	whose := "the token"
	if name != "" {
		whose = cut(name, maxLabel-len("Release 's token")) + "'s token"
	}
	return button{
		action: actionForceConfirmed, label: "Release " + whose, value: holding + "/" + command, style: slack.StyleDanger,
		confirm: &confirm{
			title: "Release " + orElse(name, "somebody else") + "'s token?",
			text:  orElse(name, "Whoever holds the token") + " may still be deploying. They are told at once that it was you, and why; so is the channel. It stands in the Deploy history.",
			yes:   "Release the token", no: "Don't",
		},
	}
}

func agreeButton(question string) button {
	return button{action: actionAgree, label: "Go ahead", value: question, style: slack.StylePrimary}
}

func askToWaitButton(question string) button {
	return button{action: actionAskToWait, label: "Please wait", value: question}
}

// preferButton says where the asker's reminders are to come:
// deploytoken.RemindInChannel or deploytoken.RemindDirectly.
func preferButton(where string) button {
	label := "Remind me in the channel"
	if where == deploytoken.RemindDirectly {
		label = "Remind me by direct message"
	}
	return button{action: actionPrefer, label: label, value: where}
}

func lookButton() button { return button{action: actionLook, label: "Look now", value: noValue} }

// element returns the button as Slack takes it.
func (b button) element() *slack.ButtonBlockElement {
	e := slack.NewButtonBlockElement(b.action, b.value, plain(cut(b.label, maxLabel))).WithStyle(b.style)
	if c := b.confirm; c != nil {
		dialog := slack.NewConfirmationBlockObject(
			plain(cut(c.title, maxConfirmTitle)), plain(cut(c.text, maxConfirmText)),
			plain(cut(c.yes, maxConfirmLabel)), plain(cut(c.no, maxConfirmLabel)),
		)
		if b.style == slack.StyleDanger {
			dialog = dialog.WithStyle(slack.StyleDanger)
		}
		e = e.WithConfirm(dialog)
	}
	return e
}

// buttonRow returns the buttons as one block.
func buttonRow(buttons []button) *slack.ActionBlock {
	elements := make([]slack.BlockElement, 0, len(buttons))
	for _, b := range buttons {
		elements = append(elements, b.element())
	}
	return slack.NewActionBlock("", elements...)
}

// plain is text that Slack shows as it is.
func plain(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

// cut returns at most the first limit characters of text, with an ellipsis in
// place of the last where some are left out.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:limit-1]), " ") + "…"
}
