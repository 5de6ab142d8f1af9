package slackapp

import (
	"context"
	"net/http"

	"github.com/slack-go/slack"
)

// A Responder answers through response URLs.
type Responder struct{ http *http.Client }

// Respond answers so that only the asker sees it, in place of what stood
// there.
func (r *Responder) Respond(ctx context.Context, responseURL string, m Message) error {
	client := r.http
	if client == nil {
		client = http.DefaultClient
	}
	return slack.PostWebhookCustomHTTPContext(ctx, responseURL, client, &slack.WebhookMessage{Text: m.Text, ReplaceOriginal: true, ResponseType: "ephemeral"})
}
