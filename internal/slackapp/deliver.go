package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
	// is recognised. Under metadataKey, its payload has the effect's key, and
	// under metadataWith those of the others that a summary tells, one a line, as
	// Slack's payloads have no lists of words. Twenty keys come to 2 KB at most.
	metadataType = "deploytoken"
	metadataKey  = "key"
	metadataWith = "with"
	// findAmong bounds the messages among which one is looked for, and clockSkew
	// is how far this clock may be ahead of Slack's.
	findAmong = 200
	clockSkew = 5 * time.Minute
)

// A responder answers through response URLs.
type responder struct{ http *http.Client }

func newResponder() *responder { return &responder{http: newHTTPClient()} }

// respond answers so that only the asker sees it, and with replace in place of
// the message that the URL came with. For the URL of a slash command there is no
// such message, and Slack shows the answer below the others.
// Errors: ErrUndeliverable (the URL is used up or too old), ErrAmbiguous (the
// answer may have been shown), ErrUnavailable.
func (r *responder) respond(ctx context.Context, responseURL string, m Message, replace bool) error {
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
	responder   *responder
	overrideURL string
}

// NewDeliverer returns a Deliverer that posts with client. OverrideURL is the
// address of how to deploy without losing what runs on Kingfisher; "" for none.
func NewDeliverer(client *slack.Client, overrideURL string) *Deliverer {
	return &Deliverer{client: client, responder: newResponder(), overrideURL: overrideURL}
}

// Deliver sends the message that d stands for, and returns where it stands. An
// answer goes where the command was given while that can be answered, else into
// a direct message. What there is nothing to tell of any more is not sent.
//
// Told is how many are done with, of d and then its Late: all of them, unless
// what an earlier attempt had posted tells only the first ones.
// Errors: ErrUndeliverable (never try again), ErrAmbiguous (it may have been
// sent), ErrUnavailable, ErrMisconfigured, ErrRefused (others may be sent).
func (s *Deliverer) Deliver(ctx context.Context, d deploytoken.Delivery) (r deploytoken.Receipt, told int, err error) {
	all := 1 + len(d.Late)
	if edits(d.Notice) && len(d.Late) == 0 && d.Edits.Timestamp == "" {
		return deploytoken.Receipt{}, all, nil
	}
	m, ok := teller{d, s.overrideURL}.message()
	if !ok {
		return deploytoken.Receipt{}, all, nil
	}
	kind, id, _ := strings.Cut(d.Destination, ":")
	switch {
	case d.Destination == deploytoken.ToChannel(id):
		return s.toChannel(ctx, id, d, m)
	case d.Destination == deploytoken.ToPerson(id):
		r, err = s.toPerson(ctx, id, d, m)
		return r, all, err
	}
	return deploytoken.Receipt{}, 0, &deploytoken.Fault{
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

// toChannel sends m, unless an earlier attempt is seen to have told something of
// d; told is as Deliver returns it.
func (s *Deliverer) toChannel(ctx context.Context, channel string, d deploytoken.Delivery, m Message) (r deploytoken.Receipt, told int, err error) {
	if d.Attempt > 1 && (d.Edits.Timestamp == "" || len(d.Late) > 0) {
		if r, told, err = s.find(ctx, channel, d); err != nil || told > 0 {
			return r, told, err
		}
	}
	switch {
	case len(d.Late) > 0:
		with := make([]string, len(d.Late))
		for i, late := range d.Late {
			with[i] = late.Key
		}
		// A later edit of the first message must not replace the summary.
		_, err = s.post(ctx, channel, d.Key, "", m, with...)
		return deploytoken.Receipt{}, 1 + len(d.Late), err
	case d.Edits.Timestamp != "":
		r, err = s.edit(ctx, d.Edits, m)
		return r, 1, err
	}
	thread := d.Thread.Timestamp
	if d.Thread.Channel != channel {
		thread = "" // the first of them went elsewhere
	}
	r, err = s.post(ctx, channel, d.Key, thread, m)
	return r, 1, err
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

// post sends a message to a channel or into a thread of it. Key and with are
// those of the effects that it tells.
func (s *Deliverer) post(ctx context.Context, channel, key, thread string, m Message, with ...string) (deploytoken.Receipt, error) {
	payload := map[string]any{metadataKey: key}
	if len(with) > 0 {
		payload[metadataWith] = strings.Join(with, "\n")
	}
	send := func(m Message) (string, string, error) {
		options := append(content(m),
			slack.MsgOptionMetadata(slack.SlackMetadata{EventType: metadataType, EventPayload: payload}),
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
// hearing of it, and returns how many it tells of d and then its Late; 0 where
// there is none, or the bot may not read the channel. There is no receipt of a
// summary: a later edit of the first message must not replace it.
func (s *Deliverer) find(ctx context.Context, channel string, d deploytoken.Delivery) (r deploytoken.Receipt, told int, err error) {
	oldest := fmt.Sprintf("%d.000000", d.Inserted.Add(-clockSkew).Unix())
	var messages []slack.Message
	doing := "look for a message"
	if d.Thread.Timestamp != "" {
		thread, _, _, err := s.client.GetConversationRepliesContext(ctx, &slack.GetConversationRepliesParameters{
			ChannelID: channel, Timestamp: d.Thread.Timestamp, Oldest: oldest, Limit: findAmong, IncludeAllMetadata: true,
		})
		if err := fault(err, doing, false); errors.Is(err, deploytoken.ErrUnavailable) {
			return deploytoken.Receipt{}, 0, err
		}
		messages = thread
	}
	if d.Thread.Timestamp == "" || len(d.Late) > 0 {
		page, err := s.client.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
			ChannelID: channel, Oldest: oldest, Limit: findAmong, IncludeAllMetadata: true,
		})
		if err := fault(err, doing, false); errors.Is(err, deploytoken.ErrUnavailable) {
			return deploytoken.Receipt{}, 0, err
		}
		if page != nil {
			messages = append(messages, page.Messages...)
		}
	}
	for _, m := range messages {
		n, alone := tells(m.Metadata, d)
		if n <= told {
			continue
		}
		r, told = deploytoken.Receipt{}, n
		if alone {
			r = deploytoken.Receipt{Channel: channel, Timestamp: m.Timestamp}
		}
	}
	return r, told, nil
}

// tells returns how many a message with the metadata tells of d and then its
// Late, and whether it tells one alone.
func tells(m slack.SlackMetadata, d deploytoken.Delivery) (n int, alone bool) {
	if m.EventType != metadataType {
		return 0, false
	}
	first, _ := m.EventPayload[metadataKey].(string)
	told := []string{first}
	if with, _ := m.EventPayload[metadataWith].(string); with != "" {
		told = append(told, strings.Split(with, "\n")...)
	}
	i := slices.Index(told, d.Key)
	if i < 0 {
		return 0, false
	}
	n = 1
	for n <= len(d.Late) && i+n < len(told) && told[i+n] == d.Late[n-1].Key {
		n++
	}
	return n, len(told) == 1
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
