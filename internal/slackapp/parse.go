package slackapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// The slash commands, as the app's manifest declares them.
const (
	commandToken      = "/deploy-token"
	commandKingfisher = "/kingfisher"
)

// eventHomeOpened is the event that the app's manifest subscribes to.
const eventHomeOpened = "app_home_opened"

// An ask is what a request asks for. Those that change something are called
// like their deploytoken.Kind.
type ask string

const (
	askTake            = ask(deploytoken.KindTake)
	askTakeOutOfTurn   = ask(deploytoken.KindTakeOutOfTurn)
	askTakeAnyway      = ask(deploytoken.KindTakeAnyway)
	askWithoutPostgres = ask(deploytoken.KindTakeWithoutPostgres)
	askRelease         = ask(deploytoken.KindRelease)
	askAsk             = ask(deploytoken.KindAsk)
	askStillWorking    = ask(deploytoken.KindStillWorking)
	askClaim           = ask(deploytoken.KindClaim)
	askWait            = ask(deploytoken.KindWait)
	askLeave           = ask(deploytoken.KindLeave)
	askGive            = ask(deploytoken.KindGive)
	askAccept          = ask(deploytoken.KindAccept)
	askDecline         = ask(deploytoken.KindDecline)
	askForce           = ask(deploytoken.KindForce)
	askForceConfirmed  = ask(deploytoken.KindForceConfirmed)
	askConsent         = ask(deploytoken.KindConsent)
	askAgree           = ask(deploytoken.KindAgree)
	askAskToWait       = ask(deploytoken.KindAskToWait)
	askWatch           = ask(deploytoken.KindWatch)
	askUnwatch         = ask(deploytoken.KindUnwatch)
	askPrefer          = ask(deploytoken.KindPrefer)

	// askReleaseForm and askWaitForm ask for a form, which askRelease and
	// askAskToWait then come by.
	askReleaseForm ask = "release-form"
	askWaitForm    ask = "ask-to-wait-form"

	askStatus  ask = "status"
	askHistory ask = "history"
	askBusy    ask = "busy"
	askHome    ask = "home"
	askLook    ask = "look"
	askHelp    ask = "help"

	// These need to be told how to say it.
	askNotUnderstood  ask = "not-understood"
	askGiveToWhom     ask = "give-to-whom"
	askForceWhy       ask = "force-release-why"
	askHistoryHowMany ask = "history-how-many"

	// askNothing is what needs an acknowledgement and nothing more.
	askNothing ask = "nothing"
)

// changes reports whether the request is recorded before it is acknowledged.
func (a ask) changes() bool {
	switch a {
	case askTake, askTakeOutOfTurn, askTakeAnyway, askWithoutPostgres,
		askRelease, askAsk, askStillWorking, askClaim, askWait, askLeave,
		askGive, askAccept, askDecline, askForce, askForceConfirmed,
		askConsent, askAgree, askAskToWait, askWatch, askUnwatch, askPrefer:
		return true
	}
	return false
}

// maxWords bounds what somebody writes after a command, in characters. It ends
// up in one cell of a spreadsheet and in a message's section.
const maxWords = 500

// How many entries of the history are shown, if it isn't said, and at most.
const (
	someEntries = 5
	maxEntries  = 20
)

// A request is what an envelope asks for, in plain terms.
type request struct {
	// ID is the envelope's.
	ID string
	// Ask is what is asked for.
	Ask ask
	// Slash is the slash command that it came by; "" for a button or a form.
	Slash string
	// Person is the Slack user ID of the asker.
	Person string
	// Team is the Slack team ID that it came from.
	Team string
	// Channel is the Slack channel ID where it was said; "" for the home.
	Channel string
	// ResponseURL takes the answer. It is a secret. The home has none.
	ResponseURL string
	// Words are what was written after the verb, on one line; for what wasn't
	// understood, all that was written.
	Words string
	// Entries is how many entries of the history are asked for.
	Entries int
	// Holding is the ID of the holding that a button or a form is for.
	Holding string
	// Subject is what else it is about, as in deploytoken.Command.
	Subject string
	// Until is the time that was chosen in a form.
	Until time.Time
	// Message is the timestamp of the message whose button was clicked, also
	// where that opened a form.
	Message string
	// Ephemeral is whether only the asker sees that message.
	Ephemeral bool
	// Home is whether the click, or that which opened the form, was in the
	// asker's home.
	Home bool
	// Form is the form that was submitted; "" for none.
	Form string
	// Trigger lets a form be opened, once, for 3 s.
	Trigger string
	// Received is when it came.
	Received time.Time
}

// command returns the request as a command to record.
func (r request) command() deploytoken.Command {
	return deploytoken.Command{
		ID: r.ID, Kind: deploytoken.Kind(r.Ask), PersonID: r.Person, Words: r.Words,
		Holding: r.Holding, Subject: r.Subject, Until: r.Until,
		ChannelID: r.Channel, ResponseURL: r.ResponseURL, Message: r.Message, Ephemeral: r.Ephemeral, At: r.Received,
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
	case "events_api":
		r, err = parseEvent(e.Payload)
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
	r := parseText(p.Command, p.Text)
	r.Slash, r.Person, r.Team, r.Channel, r.ResponseURL = p.Command, p.UserID, p.TeamID, p.ChannelID, p.ResponseURL
	return r, nil
}

// parseEvent reads the payload of an event. Of those, the opening of the bot's
// home asks for something; described at
// https://docs.slack.dev/reference/events/app_home_opened.
func parseEvent(payload []byte) (request, error) {
	var p struct {
		TeamID string `json:"team_id"`
		Event  struct {
			Type string `json:"type"`
			User string `json:"user"`
			Tab  string `json:"tab"`
		} `json:"event"`
	}
	nothing := request{Ask: askNothing}
	if err := json.Unmarshal(payload, &p); err != nil {
		return nothing, fmt.Errorf("cannot read an event's payload: %w", err)
	}
	if p.Event.Type != eventHomeOpened || p.Event.Tab != "home" {
		return nothing, nil
	}
	if p.Event.User == "" {
		return nothing, errors.New("the opening of the home names no user")
	}
	return request{Ask: askHome, Person: p.Event.User, Team: p.TeamID, Home: true}, nil
}

// An interaction is the payload of a click or of a form's submission, described
// at https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
// and https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload.
type interaction struct {
	Type        string  `json:"type"`
	Team        *idOnly `json:"team"`
	User        idOnly  `json:"user"`
	Channel     idOnly  `json:"channel"`
	ResponseURL string  `json:"response_url"`
	TriggerID   string  `json:"trigger_id"`
	Container   struct {
		MessageTS   string `json:"message_ts"`
		ChannelID   string `json:"channel_id"`
		IsEphemeral bool   `json:"is_ephemeral"`
	} `json:"container"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
	} `json:"actions"`
	View struct {
		Type            string `json:"type"`
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		State           struct {
			Values map[string]map[string]formValue `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

type idOnly struct {
	ID string `json:"id"`
}

// parseInteraction reads the payload of an interaction. Of those, clicks on
// the bot's own buttons and its forms ask for something.
func parseInteraction(payload []byte) (request, error) {
	var p interaction
	nothing := request{Ask: askNothing}
	if err := json.Unmarshal(payload, &p); err != nil {
		return nothing, fmt.Errorf("cannot read an interaction's payload: %w", err)
	}
	r := nothing
	var err error
	switch p.Type {
	case "block_actions":
		r, err = parseClick(p)
	case "view_submission":
		r, err = parseSubmission(p)
	}
	nothing.Form = r.Form
	if err != nil || r.Ask == askNothing {
		return nothing, err
	}
	if p.User.ID == "" {
		return nothing, fmt.Errorf("a %s of %q names no user", p.Type, r.Ask)
	}
	r.Person = p.User.ID
	if p.Team != nil {
		r.Team = p.Team.ID
	}
	return r, nil
}

func parseClick(p interaction) (request, error) {
	nothing := request{Ask: askNothing}
	if len(p.Actions) == 0 {
		return nothing, nil
	}
	action := p.Actions[0]
	parse, ok := clicks[action.ActionID]
	if !ok {
		return nothing, nil
	}
	if !usable(action.Value) {
		return nothing, fmt.Errorf("a click on %q has no usable value", action.ActionID)
	}
	r, err := parse(action.Value)
	if err != nil {
		return nothing, fmt.Errorf("a click on %q: %w", action.ActionID, err)
	}
	r.Channel, r.ResponseURL, r.Trigger = orElse(p.Channel.ID, p.Container.ChannelID), p.ResponseURL, p.TriggerID
	r.Message, r.Ephemeral = p.Container.MessageTS, p.Container.IsEphemeral
	r.Home = p.View.Type == "home"
	return r, nil
}

// maxValue bounds a button's value, in bytes: that of two IDs, with room to
// spare.
const maxValue = 600

// usable reports whether a button's value can be one that this program made.
func usable(value string) bool {
	return value != "" && len(value) <= maxValue && utf8.ValidString(value) &&
		!strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// clicks says, by the action ID of each of the bot's buttons, how to read its
// value, and what a click on it asks for.
var clicks = map[string]func(value string) (request, error){
	actionRelease:         onHolding(askReleaseForm),
	actionReleaseAgain:    onPair(askReleaseForm),
	actionAsk:             onHolding(askAsk),
	actionStillWorking:    onHolding(askStillWorking),
	actionClaim:           onHolding(askClaim),
	actionTake:            onSubject(askTake),
	actionTakeOutOfTurn:   onSubject(askTakeOutOfTurn),
	actionTakeAnyway:      onSubject(askTakeAnyway),
	actionWithoutPostgres: onSubject(askWithoutPostgres),
	actionWait:            onSubject(askWait),
	actionLeave:           onSubject(askLeave),
	actionAccept:          onThat(askAccept),
	actionDecline:         onThat(askDecline),
	actionForceConfirmed:  onPair(askForceConfirmed),
	actionConsent:         onSubject(askConsent),
	actionAgree:           onThat(askAgree),
	actionAskToWait:       onThat(askWaitForm),
	actionWatch:           onSubject(askWatch),
	actionUnwatch:         onSubject(askUnwatch),
	actionPrefer: func(value string) (request, error) {
		if value != deploytoken.RemindInChannel && value != deploytoken.RemindDirectly {
			return request{}, errors.New("its value names no place for reminders")
		}
		return request{Ask: askPrefer, Subject: value}, nil
	},
	actionLook: onSubject(askLook),
}

// onHolding is for buttons whose value is the ID of a holding.
func onHolding(a ask) func(string) (request, error) {
	return func(value string) (request, error) {
		if value == noValue {
			return request{}, errors.New("its value names no holding")
		}
		return request{Ask: a, Holding: value}, nil
	}
}

// onSubject is for buttons whose value is a subject, or noValue.
func onSubject(a ask) func(string) (request, error) {
	return func(value string) (request, error) {
		if value == noValue {
			value = ""
		}
		return request{Ask: a, Subject: value}, nil
	}
}

// onThat is for buttons whose value is a subject.
func onThat(a ask) func(string) (request, error) {
	return func(value string) (request, error) {
		if value == noValue {
			return request{}, errors.New("its value names nothing")
		}
		return request{Ask: a, Subject: value}, nil
	}
}

// onPair is for buttons whose value is the ID of a holding, a slash, and the ID
// of a command or nothing.
func onPair(a ask) func(string) (request, error) {
	return func(value string) (request, error) {
		holding, command, ok := strings.Cut(value, "/")
		if !ok || holding == "" || holding == noValue || strings.Contains(command, "/") {
			return request{}, errors.New("its value is not a holding, a slash and a command")
		}
		return request{Ask: a, Holding: holding, Subject: command}, nil
	}
}

// parseText returns what the text after a slash command asks for: its Ask, and
// the Words, the Subject and the number of Entries that go with it. A verb that
// takes no words and got some is not understood: the rest may have been meant
// to change what it does.
func parseText(command, text string) request {
	raw := strings.TrimSpace(text)
	text = deploytoken.CleanLine(plainText(text), 0)
	verb, rest, _ := strings.Cut(text, " ")
	verb = strings.ToLower(verb)
	switch command {
	case commandToken:
		switch {
		case verb == "take":
			return request{Ask: askTake, Words: deploytoken.CleanLine(purpose(rest), maxWords)}
		case verb == "release":
			return request{Ask: askRelease, Words: deploytoken.CleanLine(rest, maxWords)}
		case verb == "wait":
			return request{Ask: askWait, Words: deploytoken.CleanLine(purpose(rest), maxWords)}
		case verb == "leave" && rest == "":
			return request{Ask: askLeave}
		case verb == "give":
			if person := mentioned(raw); person != "" {
				return request{Ask: askGive, Subject: person}
			}
			return request{Ask: askGiveToWhom}
		case verb == "force-release" && rest == "":
			return request{Ask: askForceWhy}
		case verb == "force-release":
			return request{Ask: askForce, Words: deploytoken.CleanLine(rest, maxWords)}
		case verb == "history":
			return parseHistory(rest)
		case verb == "", verb == "status" && rest == "":
			return request{Ask: askStatus}
		}
	case commandKingfisher:
		switch {
		case verb == "busy" && rest == "":
			return request{Ask: askBusy}
		case verb == "consent":
			return request{Ask: askConsent, Words: deploytoken.CleanLine(purpose(rest), maxWords)}
		case verb == "watch" && rest == "":
			return request{Ask: askWatch}
		case verb == "watch" && strings.EqualFold(rest, deploytoken.WatchFree):
			return request{Ask: askWatch, Subject: deploytoken.WatchFree}
		case verb == "unwatch" && rest == "":
			return request{Ask: askUnwatch}
		}
	}
	if verb == "" || verb == "help" {
		return request{Ask: askHelp}
	}
	return request{Ask: askNotUnderstood, Words: deploytoken.CleanLine(text, maxWords)}
}

// mentioned returns the Slack user ID of the one person whom the text mentions
// after its first word, as <@U…> or <@U…|name>; "" where it mentions none or
// several, or has other words.
func mentioned(text string) string {
	m := mentionOnly.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

var mentionOnly = regexp.MustCompile(`^[^\s\p{Zs}]+[\s\p{Zs}]+<@([UW][0-9A-Z]{1,30})(?:\|[^<>]*)?>$`)

// parseHistory reads how many entries of the history are asked for.
func parseHistory(rest string) request {
	if rest == "" {
		return request{Ask: askHistory, Entries: someEntries}
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n < 1 || n > maxEntries {
		return request{Ask: askHistoryHowMany}
	}
	return request{Ask: askHistory, Entries: n}
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
