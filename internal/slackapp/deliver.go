package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

const (
	// answerableFor is how long a command's response URL is used. Slack takes
	// answers there for 30 minutes.
	answerableFor = 25 * time.Minute
	// lookingFor is how long it says something that a look has begun.
	lookingFor = 20 * time.Second
	// metadataType is the type of the metadata by which a message of an effect
	// is recognised; under metadataKey, its payload has the effect's key.
	metadataType = "deploytoken"
	metadataKey  = "key"
	// findAmong bounds the messages among which one is looked for, and clockSkew
	// is how far this clock may be ahead of Slack's.
	findAmong = 200
	clockSkew = 5 * time.Minute
)

// A Responder answers through response URLs.
type Responder struct{ http *http.Client }

// NewResponder returns a Responder.
func NewResponder() *Responder { return &Responder{http: newHTTPClient()} }

// Respond answers so that only the asker sees it, in place of the message that
// the URL came with. For the URL of a slash command there is no such message,
// and Slack shows the answer below the others.
// Errors: ErrUndeliverable (the URL is used up or too old), ErrAmbiguous (the
// answer may have been shown), ErrUnavailable.
func (r *Responder) Respond(ctx context.Context, responseURL string, m Message) error {
	return r.respond(ctx, responseURL, m, true)
}

func (r *Responder) respond(ctx context.Context, responseURL string, m Message, replace bool) error {
	err := slack.PostWebhookCustomHTTPContext(ctx, responseURL, r.http, &slack.WebhookMessage{
		Text: m.Text, Blocks: blocksOf(m), ResponseType: slack.ResponseTypeEphemeral, ReplaceOriginal: replace,
	})
	if e, ok := errors.AsType[slack.StatusCodeError](err); ok && e.Code >= 300 && e.Code < 500 && e.Code != http.StatusTooManyRequests {
		return &deploytoken.Fault{
			Kind:    deploytoken.ErrUndeliverable,
			Message: "Cannot answer where the command was given: Slack takes no more answers there.",
			Cause:   fmt.Errorf("status %d", e.Code),
		}
	}
	return fault(err, "answer in Slack", true)
}

// A Deliverer sends what the token's effects tell to channels and people.
type Deliverer struct {
	client      *slack.Client
	responder   *Responder
	overrideURL string
}

// NewDeliverer returns a Deliverer that posts with client. OverrideURL is the
// address of how to deploy without losing what runs on Kingfisher; "" for none.
func NewDeliverer(client *slack.Client, overrideURL string) *Deliverer {
	return &Deliverer{client: client, responder: NewResponder(), overrideURL: overrideURL}
}

// Deliver sends the message that d stands for, and returns where it stands. An
// answer goes where the command was given while that can be answered, else into
// a direct message. What there is nothing to tell of any more is not sent.
// Errors: ErrUndeliverable (never try again), ErrAmbiguous (it may have been
// sent), ErrUnavailable, ErrMisconfigured.
func (s *Deliverer) Deliver(ctx context.Context, d deploytoken.Delivery) (deploytoken.Receipt, error) {
	if edits(d.Notice) && len(d.Late) == 0 && d.Edits.Timestamp == "" {
		return deploytoken.Receipt{}, nil
	}
	m, ok := teller{d, s.overrideURL}.message()
	if !ok {
		return deploytoken.Receipt{}, nil
	}
	kind, id, _ := strings.Cut(d.Destination, ":")
	switch {
	case d.Destination == deploytoken.ToChannel(id):
		return s.toChannel(ctx, id, d, m)
	case d.Destination == deploytoken.ToPerson(id):
		return s.toPerson(ctx, id, d, m)
	}
	return deploytoken.Receipt{}, &deploytoken.Fault{
		Kind: deploytoken.ErrUndeliverable, Message: fmt.Sprintf("Cannot send a message to %q: it is no channel and no person.", kind),
	}
}

// edits reports whether the notice is told only in a message that stands already.
func edits(n deploytoken.Notice) bool {
	switch n.Kind {
	case deploytoken.NoticeRetired, deploytoken.NoticeMended, deploytoken.NoticeTurnOver, deploytoken.NoticeOfferOver:
		return true
	}
	return n.Edits != ""
}

func (s *Deliverer) toChannel(ctx context.Context, channel string, d deploytoken.Delivery, m Message) (deploytoken.Receipt, error) {
	if d.Attempt > 1 && (d.Edits.Timestamp == "" || len(d.Late) > 0) {
		sent, err := s.find(ctx, channel, d)
		if len(d.Late) > 0 && sent.Timestamp != "" {
			return deploytoken.Receipt{}, err
		}
		if err != nil || sent.Timestamp != "" {
			return sent, err
		}
	}
	switch {
	case len(d.Late) > 0:
		// A later edit of the first message must not replace the summary.
		_, err := s.post(ctx, channel, d.Key, "", m)
		return deploytoken.Receipt{}, err
	case d.Edits.Timestamp != "":
		return s.edit(ctx, d.Edits, m)
	}
	thread := d.Thread.Timestamp
	if d.Thread.Channel != channel {
		thread = "" // the first of them went elsewhere
	}
	return s.post(ctx, channel, d.Key, thread, m)
}

func (s *Deliverer) toPerson(ctx context.Context, person string, d deploytoken.Delivery, m Message) (deploytoken.Receipt, error) {
	if d.Edits.Timestamp != "" {
		return s.edit(ctx, d.Edits, m)
	}
	if d.Notice.Kind == deploytoken.NoticeLooking {
		s.lookingAt(ctx, d, m)
		return deploytoken.Receipt{}, nil
	}
	if c := d.Command; c != nil && c.ResponseURL != "" && d.At.Sub(c.At) < answerableFor {
		// A message that others see, too, stays as it is.
		err := s.responder.respond(ctx, c.ResponseURL, m, c.Message == "" || c.Ephemeral)
		if err == nil || !errors.Is(err, deploytoken.ErrUndeliverable) {
			return deploytoken.Receipt{}, err
		}
	}
	doing := "send a direct message"
	channel, _, _, err := s.client.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{person}})
	if err != nil {
		return deploytoken.Receipt{}, fault(err, doing, false)
	}
	if channel == nil || channel.ID == "" {
		return deploytoken.Receipt{}, fault(errors.New("the answer of conversations.open names no channel"), doing, false)
	}
	return s.post(ctx, channel.ID, d.Key, "", m)
}

// lookingAt says where the answer will stand that it takes a moment. That is
// worth neither a direct message nor a second try.
func (s *Deliverer) lookingAt(ctx context.Context, d deploytoken.Delivery, m Message) {
	c := d.Command
	if c == nil || c.ResponseURL == "" || d.At.Sub(d.Notice.At) > lookingFor || d.Attempt > 1 {
		return
	}
	_ = s.responder.respond(ctx, c.ResponseURL, m, c.Message == "" || c.Ephemeral)
}

// post sends a message to a channel or into a thread of it.
func (s *Deliverer) post(ctx context.Context, channel, key, thread string, m Message) (deploytoken.Receipt, error) {
	send := func(m Message) (string, string, error) {
		options := append(content(m),
			slack.MsgOptionMetadata(slack.SlackMetadata{EventType: metadataType, EventPayload: map[string]any{metadataKey: key}}),
			slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl())
		if thread != "" {
			options = append(options, slack.MsgOptionTS(thread))
		}
		return s.client.PostMessageContext(ctx, channel, options...)
	}
	at, ts, err := send(m)
	if blocksRefused(err) {
		at, ts, err = send(Message{Text: m.Text})
	}
	if err != nil {
		return deploytoken.Receipt{}, fault(err, "post a message", true)
	}
	return deploytoken.Receipt{Channel: at, Timestamp: ts}, nil
}

// find looks for a message that an earlier attempt may have posted without
// hearing of it. It finds none where the bot may not read the channel.
func (s *Deliverer) find(ctx context.Context, channel string, d deploytoken.Delivery) (deploytoken.Receipt, error) {
	oldest := fmt.Sprintf("%d.000000", d.Inserted.Add(-clockSkew).Unix())
	var messages []slack.Message
	var err error
	if d.Thread.Timestamp != "" && len(d.Late) == 0 {
		messages, _, _, err = s.client.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: d.Thread.Timestamp, Oldest: oldest, Limit: findAmong, IncludeAllMetadata: true,
		})
	} else {
		var page *slack.GetConversationHistoryResponse
		page, err = s.client.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
			ChannelID: channel, Oldest: oldest, Limit: findAmong, IncludeAllMetadata: true,
		})
		if page != nil {
			messages = page.Messages
		}
	}
	err = fault(err, "look for a message", false)
	if errors.Is(err, deploytoken.ErrUnavailable) {
		return deploytoken.Receipt{}, err
	}
	for _, m := range messages {
		if m.Metadata.EventType == metadataType && m.Metadata.EventPayload[metadataKey] == d.Key {
			return deploytoken.Receipt{Channel: channel, Timestamp: m.Timestamp}, nil
		}
	}
	return deploytoken.Receipt{}, nil
}

// edit replaces a message. One that has been deleted stays so.
func (s *Deliverer) edit(ctx context.Context, r deploytoken.Receipt, m Message) (deploytoken.Receipt, error) {
	_, _, _, err := s.client.UpdateMessageContext(ctx, r.Channel, r.Timestamp, content(m)...)
	if blocksRefused(err) {
		_, _, _, err = s.client.UpdateMessageContext(ctx, r.Channel, r.Timestamp, content(Message{Text: m.Text})...)
	}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok && e.Err == "message_not_found" {
		return deploytoken.Receipt{}, nil
	}
	if err != nil {
		return deploytoken.Receipt{}, fault(err, "edit a message", true)
	}
	return r, nil
}

// content is the message. Its blocks are always given, as an edit without them
// would take the old ones away or leave them.
func content(m Message) []slack.MsgOption {
	return []slack.MsgOption{slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...)}
}

// blocksRefused reports whether Slack takes the message only without its
// blocks, which the text can stand for.
func blocksRefused(err error) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && (e.Err == "invalid_blocks" || e.Err == "invalid_blocks_format" || e.Err == "msg_blocks_too_long")
}
