package slackapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// The forms, by their callback IDs.
const (
	formRelease   = "release"
	formAskToWait = "ask-to-wait"
)

// The fields of the forms: each is the ID of its block and of its element.
const (
	fieldDone  = "done"
	fieldWhere = "where"
	fieldLinks = "links"
	fieldUntil = "until"
	fieldWhy   = "why"
)

const (
	// maxServers is how many servers Slack lists in a menu.
	maxServers = 100
	// maxMetadata is how much Slack keeps with a form, in characters.
	maxMetadata = 3000
	// waitFor is how far ahead the time is with which a form begins that asks
	// somebody to wait, and waitStep what it is rounded up to.
	waitFor  = 2 * time.Hour
	waitStep = 5 * time.Minute
)

// An origin is what a form remembers of the click that opened it, so that its
// submission is answered where that was. It holds a secret.
type origin struct {
	Holding     string `json:"holding,omitempty"`
	Subject     string `json:"subject,omitempty"`
	Channel     string `json:"channel,omitempty"`
	Message     string `json:"message,omitempty"`
	Ephemeral   bool   `json:"ephemeral,omitempty"`
	Home        bool   `json:"home,omitempty"`
	ResponseURL string `json:"response_url,omitempty"`
}

// metadata returns the origin as Slack keeps it; where it is too long, without
// the response URL, so that the answer comes as a direct message.
func (o origin) metadata() string {
	for {
		data, err := json.Marshal(o)
		if err == nil && utf8.RuneCount(data) <= maxMetadata {
			return string(data)
		}
		if o.ResponseURL == "" {
			return ""
		}
		o.ResponseURL = ""
	}
}

// originOf returns what a form is to remember of the click.
func originOf(r request) origin {
	return origin{
		Holding: r.Holding, Subject: r.Subject, Channel: r.Channel, Message: r.Message,
		Ephemeral: r.Ephemeral, Home: r.Home, ResponseURL: r.ResponseURL,
	}
}

// releaseForm asks what was done with the token: in words that begin with
// draft, on which of the servers, and where there is more to read.
func releaseForm(o origin, draft string, servers []string) slack.ModalViewRequest {
	done := slack.NewPlainTextInputBlockElement(nil, fieldDone).WithMultiline(true).WithMaxLength(maxWords)
	if draft = cutUnits(draft, maxWords); draft != "" {
		done = done.WithInitialValue(draft)
	}
	blocks := []slack.Block{optional(fieldDone, "What was done", "It goes into the Deploy history, and the channel sees it.", done)}
	if len(servers) > 0 {
		options := make([]*slack.OptionBlockObject, 0, min(len(servers), maxServers))
		for _, s := range servers[:min(len(servers), maxServers)] {
			s = cut(s, maxLabel)
			options = append(options, slack.NewOptionBlockObject(s, plain(s), nil))
		}
		where := slack.NewOptionsMultiSelectBlockElement(slack.MultiOptTypeStatic, plain("Servers"), fieldWhere, options...)
		blocks = append(blocks, optional(fieldWhere, "Where", "", where))
	}
	links := slack.NewPlainTextInputBlockElement(nil, fieldLinks).WithMultiline(true).WithMaxLength(maxWords)
	blocks = append(blocks, optional(fieldLinks, "Links", "To issues, pull requests or notes; one a line.", links))
	return form(formRelease, "Release token", "Release token", o, blocks)
}

// waitForm asks until when a deployment is asked to wait, and why.
func waitForm(o origin, now time.Time) slack.ModalViewRequest {
	until := slack.NewDateTimePickerBlockElement(fieldUntil)
	until.InitialDateTime = now.Add(waitFor + waitStep - 1).Truncate(waitStep).Unix()
	why := slack.NewPlainTextInputBlockElement(nil, fieldWhy).WithMaxLength(maxWords)
	return form(formAskToWait, "Please wait", "Ask to wait", o, []slack.Block{
		slack.NewInputBlock(fieldUntil, plain("Until when"), nil, until),
		optional(fieldWhy, "Why", "Whoever wants to deploy sees it.", why),
	})
}

func form(id, title, submit string, o origin, blocks []slack.Block) slack.ModalViewRequest {
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: id, PrivateMetadata: o.metadata(),
		Title: plain(title), Submit: plain(submit), Close: plain("Cancel"), Blocks: slack.Blocks{BlockSet: blocks},
	}
}

// optional is a field that may be left empty.
func optional(id, label, hint string, element slack.BlockElement) *slack.InputBlock {
	var h *slack.TextBlockObject
	if hint != "" {
		h = plain(hint)
	}
	return slack.NewInputBlock(id, plain(label), h, element).WithOptional(true)
}

// cutUnits returns as much of text as takes at most limit UTF-16 units, which
// is how a browser counts what a field may hold.
func cutUnits(text string, limit int) string {
	n := 0
	for i, r := range text {
		if n += utf16.RuneLen(r); n > limit {
			return text[:i]
		}
	}
	return text
}

// A formValue is what was put into a field.
type formValue struct {
	Value    string `json:"value"`
	DateTime int64  `json:"selected_date_time"`
	Selected []struct {
		Value string `json:"value"`
	} `json:"selected_options"`
}

// parseSubmission reads the submission of a form.
func parseSubmission(p interaction) (request, error) {
	nothing := request{Ask: askNothing}
	id := p.View.CallbackID
	if id != formRelease && id != formAskToWait {
		return nothing, nil
	}
	nothing.Form = id
	var o origin
	if err := json.Unmarshal([]byte(p.View.PrivateMetadata), &o); err != nil {
		// The error might quote what is secret.
		return nothing, fmt.Errorf("the form %q does not know what it is about", id)
	}
	field := func(name string) formValue { return p.View.State.Values[name][name] }
	r := request{
		Form: id, Subject: o.Subject, Channel: o.Channel, Message: o.Message,
		Ephemeral: o.Ephemeral, Home: o.Home, ResponseURL: o.ResponseURL,
	}
	switch {
	case id == formRelease && o.Holding != "":
		var servers []string
		for _, s := range field(fieldWhere).Selected {
			servers = append(servers, s.Value)
		}
		r.Ask, r.Holding, r.Subject = askRelease, o.Holding, ""
		r.Words = releaseWords(field(fieldDone).Value, servers, field(fieldLinks).Value)
	case id == formAskToWait && o.Subject != "":
		r.Ask, r.Words = askAskToWait, deploytoken.CleanLine(unescape(field(fieldWhy).Value), maxWords)
		if at := field(fieldUntil).DateTime; at != 0 {
			r.Until = time.Unix(at, 0).UTC()
		}
	default:
		return nothing, errors.New("a form is about nothing")
	}
	return r, nil
}

// releaseWords puts what was filled in into one line: what was done, the
// servers in parentheses, and the links. Where that is too long, what was done
// is cut short first.
func releaseWords(done string, servers []string, links string) string {
	clean := func(text string) string { return deploytoken.CleanLine(unescape(text), 0) }
	var names []string
	for _, s := range servers {
		if s = clean(s); s != "" && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	done = clean(done)
	where := strings.Join(names, ", ")
	if done != "" && where != "" {
		where = "(" + where + ")"
	}
	var rest []string
	for _, part := range []string{where, clean(links)} {
		if part != "" {
			rest = append(rest, part)
		}
	}
	after := strings.Join(rest, " ")
	if done == "" || after == "" {
		return deploytoken.CleanLine(done+after, maxWords)
	}
	const least = 40 // characters of what was done that are kept in any case
	room := max(maxWords-1-utf8.RuneCountInString(after), least)
	return deploytoken.CleanLine(deploytoken.CleanLine(done, room)+" "+after, maxWords)
}

// wrong says what is wrong with a submission, by the ID of the block; nil for
// nothing.
func (r request) wrong() map[string]string {
	switch {
	case r.Form != formAskToWait:
		return nil
	case r.Until.IsZero():
		return map[string]string{fieldUntil: "Choose until when."}
	case !r.Until.After(r.Received):
		return map[string]string{fieldUntil: "That time is over already. Choose a later one."}
	}
	return nil
}

// firstField is the ID of the first block of the form.
func firstField(form string) string {
	if form == formAskToWait {
		return fieldUntil
	}
	return fieldDone
}

// A formAnswer is an acknowledgement that leaves a form open and says why.
type formAnswer struct {
	ResponseAction slack.ViewResponseAction `json:"response_action"`
	Errors         map[string]string        `json:"errors"`
}

func keepForm(errors map[string]string) formAnswer {
	return formAnswer{ResponseAction: slack.RAErrors, Errors: errors}
}
