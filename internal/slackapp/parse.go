package slackapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// The slash commands, as the app's manifest declares them.
const (
	commandToken      = "/deploy-token"
	commandKingfisher = "/kingfisher"
)

// An ask is what a request asks for. Those that change the token are called
// like their deploytoken.Kind.
type ask string

const (
	askTake         = ask(deploytoken.KindTake)
	askRelease      = ask(deploytoken.KindRelease)
	askAsk          = ask(deploytoken.KindAsk)
	askStillWorking = ask(deploytoken.KindStillWorking)
	askClaim        = ask(deploytoken.KindClaim)

	askStatus        ask = "status"
	askBusy          ask = "busy"
	askHelp          ask = "help"
	askNotUnderstood ask = "not-understood"

	// askNothing is what needs an acknowledgement and nothing more.
	askNothing ask = "nothing"
)

// changes reports whether the request is recorded before it is acknowledged.
func (a ask) changes() bool {
	switch a {
	case askTake, askRelease, askAsk, askStillWorking, askClaim:
		return true
	}
	return false
}

// maxWords bounds what somebody writes after a command, in characters. It ends
// up in one cell of a spreadsheet and in a message's section.
const maxWords = 500

// A request is what an envelope asks for, in plain terms.
type request struct {
	// ID is the envelope's.
	ID string
	// Ask is what is asked for.
	Ask ask
	// Slash is the slash command that it came by; "" for a button.
	Slash string
	// Person is the Slack user ID of the asker.
	Person string
	// Team is the Slack team ID that it came from.
	Team string
	// Channel is the Slack channel ID where it was said.
	Channel string
	// ResponseURL takes the answer. It is a secret.
	ResponseURL string
	// Words are what was written after the verb, on one line; for what wasn't
	// understood, all that was written.
	Words string
	// Holding is the ID of the holding that a button is for.
	Holding string
	// Message is the timestamp of the message whose button was clicked.
	Message string
	// Ephemeral is whether only the asker sees that message.
	Ephemeral bool
	// Received is when it came.
	Received time.Time
}

// command returns the request as a command to record.
func (r request) command() deploytoken.Command {
	return deploytoken.Command{
		ID: r.ID, Kind: deploytoken.Kind(r.Ask), PersonID: r.Person, Words: r.Words, Holding: r.Holding,
		ChannelID: r.Channel, ResponseURL: r.ResponseURL, Message: r.Message, At: r.Received,
	}
}

// parseEnvelope returns what the envelope asks for: askNothing for what this
// program has no use for. It returns an error where a payload is not what
// Slack documents.
func parseEnvelope(e *envelope) (request, error) {
	r := request{Ask: askNothing}
	var err error
	switch e.Type {
	case "slash_commands":
		r, err = parseSlash(e.Payload)
	case "interactive":
		r, err = parseInteraction(e.Payload)
	}
	r.ID, r.Received = e.ID, e.Received
	return r, err
}

// parseSlash reads the payload of a slash command, described at
// https://docs.slack.dev/interactivity/implementing-slash-commands.
func parseSlash(payload []byte) (request, error) {
	var p struct {
		TeamID      string `json:"team_id"`
		ChannelID   string `json:"channel_id"`
		UserID      string `json:"user_id"`
		Command     string `json:"command"`
		Text        string `json:"text"`
		ResponseURL string `json:"response_url"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return request{Ask: askNothing}, fmt.Errorf("cannot read a slash command's payload: %w", err)
	}
	if p.UserID == "" || p.Command == "" {
		return request{Ask: askNothing}, errors.New("a slash command's payload names no user or no command")
	}
	ask, words := parseWords(p.Command, p.Text)
	return request{
		Ask: ask, Slash: p.Command, Person: p.UserID, Team: p.TeamID, Channel: p.ChannelID,
		ResponseURL: p.ResponseURL, Words: words,
	}, nil
}

// parseInteraction reads the payload of an interaction. Of those, clicks on
// the bot's own buttons ask for something; described at
// https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.
func parseInteraction(payload []byte) (request, error) {
	var p struct {
		Type        string  `json:"type"`
		Team        *idOnly `json:"team"`
		User        idOnly  `json:"user"`
		Channel     idOnly  `json:"channel"`
		ResponseURL string  `json:"response_url"`
		Container   struct {
			MessageTS   string `json:"message_ts"`
			ChannelID   string `json:"channel_id"`
			IsEphemeral bool   `json:"is_ephemeral"`
		} `json:"container"`
		Actions []struct {
			ActionID string `json:"action_id"`
			Value    string `json:"value"`
		} `json:"actions"`
	}
	nothing := request{Ask: askNothing}
	if err := json.Unmarshal(payload, &p); err != nil {
		return nothing, fmt.Errorf("cannot read an interaction's payload: %w", err)
	}
	if p.Type != "block_actions" || len(p.Actions) == 0 {
		return nothing, nil
	}
	action := p.Actions[0]
	asks, ok := buttons[action.ActionID]
	if !ok {
		return nothing, nil
	}
	if p.User.ID == "" || action.Value == "" {
		return nothing, fmt.Errorf("a click on %q names no user or no holding", action.ActionID)
	}
	r := request{
		Ask: asks, Person: p.User.ID, Channel: p.Channel.ID, ResponseURL: p.ResponseURL,
		Holding: action.Value, Message: p.Container.MessageTS, Ephemeral: p.Container.IsEphemeral,
	}
	if p.Team != nil {
		r.Team = p.Team.ID
	}
	if r.Channel == "" {
		r.Channel = p.Container.ChannelID
	}
	return r, nil
}

type idOnly struct {
	ID string `json:"id"`
}

// buttons says what a click on each of the bot's buttons asks for.
var buttons = map[string]ask{
	actionRelease:      askRelease,
	actionAsk:          askAsk,
	actionStillWorking: askStillWorking,
	actionClaim:        askClaim,
}

// parseWords returns what the text after a slash command asks for, and the
// words that go with it, on one line. A verb that takes no words and got some
// is not understood: the rest may have been meant to change what it does.
func parseWords(command, text string) (ask, string) {
	text = deploytoken.CleanLine(plainText(text), 0)
	verb, rest, _ := strings.Cut(text, " ")
	verb = strings.ToLower(verb)
	switch {
	case command == commandToken && verb == "take":
		return askTake, deploytoken.CleanLine(purpose(rest), maxWords)
	case command == commandToken && verb == "release":
		return askRelease, deploytoken.CleanLine(rest, maxWords)
	case command == commandToken && (verb == "" || verb == "status" && rest == ""):
		return askStatus, ""
	case command == commandKingfisher && verb == "busy" && rest == "":
		return askBusy, ""
	case verb == "" || verb == "help":
		return askHelp, ""
	}
	return askNotUnderstood, deploytoken.CleanLine(text, maxWords)
}

// purpose returns what a token is taken for: "take for the registry" and "take
// the registry" say the same.
func purpose(words string) string {
	first, rest, _ := strings.Cut(words, " ")
	if strings.EqualFold(first, "for") {
		return rest
	}
	return words
}

// plainText returns what somebody wrote without Slack's markup, described at
// https://docs.slack.dev/messaging/formatting-message-text: references to
// people, channels and groups by their names where the text carries those,
// links by their text and address, and the three escaped characters as
// themselves.
func plainText(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "<")
		b.WriteString(unescape(before))
		if !found {
			return b.String()
		}
		inner, rest, closed := strings.Cut(after, ">")
		if !closed {
			b.WriteString("<" + unescape(after))
			return b.String()
		}
		// Slack escapes a < that people write; should one come all the same,
		// it is taken as it stands.
		if last := strings.LastIndexByte(inner, '<'); last >= 0 {
			b.WriteString("<" + unescape(inner[:last]))
			text = after[last:]
			continue
		}
		b.WriteString(plainReference(inner))
		text = rest
	}
}

// plainReference returns what stood between < and > as people would write it.
func plainReference(inner string) string {
	target, label, _ := strings.Cut(inner, "|")
	target, label = unescape(target), unescape(label)
	switch {
	case strings.HasPrefix(target, "@"):
		return "@" + orElse(strings.TrimPrefix(label, "@"), target[1:])
	case strings.HasPrefix(target, "#"):
		return "#" + orElse(strings.TrimPrefix(label, "#"), target[1:])
	case strings.HasPrefix(target, "!date^"):
		return orElse(label, target)
	case strings.HasPrefix(target, "!"):
		name, _, _ := strings.Cut(target[1:], "^")
		return "@" + orElse(strings.TrimPrefix(label, "@"), name)
	case strings.HasPrefix(target, "mailto:"):
		return orElse(label, strings.TrimPrefix(target, "mailto:"))
	case label == "" || label == target || strings.HasSuffix(target, "://"+label) || strings.HasSuffix(target, "://"+label+"/"):
		return target
	}
	return label + " (" + target + ")"
}

var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

func unescape(text string) string { return unescaper.Replace(text) }

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
