package slackapp

import (
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A Message is what somebody reads in Slack.
type Message struct {
	// Text is the whole message in Slack's mrkdwn, for notifications and screen
	// readers. It is never empty.
	Text string
	// Blocks are the message as it is shown.
	Blocks []slack.Block
}

// The action IDs of the buttons. The value of each is the ID of the holding
// that it is about.
const (
	actionRelease      = "release"
	actionAsk          = "ask"
	actionStillWorking = "still-working"
	actionClaim        = "claim"
)

func helpMessage(command string) Message { return Message{Text: "help " + command} }
func notUnderstood(command, text string) Message {
	return Message{Text: "not understood " + command + " " + text}
}
func statusMessage(st deploytoken.Status, asker string, now time.Time) Message {
	return Message{Text: "status " + st.Token.State.String()}
}
func refusal(text string) Message { return Message{Text: text} }
