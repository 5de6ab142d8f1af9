package slackapp

import (
	"context"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/slack-go/slack"
)

type Message struct {
	Text   string
	Blocks []slack.Block
}

const (
	actionRelease      = "release"
	actionAsk          = "ask"
	actionStillWorking = "still-working"
	actionClaim        = "claim"
)

type busyOptions struct{}

func helpMessage(command string) Message { return Message{Text: "help " + command} }
func notUnderstood(command, text string) Message {
	return Message{Text: "not understood " + command + " " + text}
}
func statusMessage(st deploytoken.Status, asker string, now time.Time) Message {
	return Message{Text: "status " + st.Token.State.String()}
}
func refusal(text string) Message { return Message{Text: text} }
func busyMessage(r deploytoken.BusyReport, pending []string, viewer string, opts busyOptions) Message {
	return Message{Text: "busy " + r.State().String()}
}

type Responder struct{ client *slack.Client }

func (r *Responder) Respond(ctx context.Context, responseURL string, m Message) error {
	return slack.PostWebhookContext(ctx, responseURL, &slack.WebhookMessage{Text: m.Text, ReplaceOriginal: true, ResponseType: "ephemeral"})
}
