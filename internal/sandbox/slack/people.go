package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Invocation is what became of something that a person did and that the app was told of.
type Invocation struct {
	EnvelopeID string          `json:"envelope_id"`
	SentAt     time.Time       `json:"sent_at"` // by the server's clock
	Acked      bool            `json:"acked"`
	Latency    time.Duration   `json:"latency_ns"`        // from sending to acknowledgement
	Payload    json.RawMessage `json:"payload,omitempty"` // of the acknowledgement, if it had one
	Text       string          `json:"text,omitempty"`    // a slash command's text as the app got it

	// Trouble is what the person was told when it failed: operation_timeout (not acknowledged in time),
	// dispatch_failed (the app isn't connected), or invalid_command_response or invalid_response (what the
	// acknowledgement said could not be shown).
	Trouble string `json:"trouble,omitempty"`
}

// TimedOut tells whether the acknowledgement did not come in time.
func (i *Invocation) TimedOut() bool { return i.Trouble == "operation_timeout" }

// Target is where something that a person acts on stands: a message, or a view.
type Target struct {
	Channel string `json:"channel,omitempty"`
	TS      string `json:"ts,omitempty"`
	View    string `json:"view,omitempty"`
}

// Target returns where the message stands.
func (m Message) Target() Target { return Target{Channel: m.Channel, TS: m.TS} }

// Target returns where the view stands.
func (v View) Target() Target { return Target{View: v.ID} }

// key is where s.chosen keeps what a person has selected there.
func (t Target) key(user string) string {
	return strings.Join([]string{user, t.Channel, t.TS, t.View}, "|")
}

// Action says which element is meant. What is empty may be anything, but exactly one element must fit.
type Action struct {
	ID      string `json:"action_id"`
	BlockID string `json:"block_id,omitempty"`
	Value   string `json:"value,omitempty"` // of a button
}

// Slash types a slash command and waits for its acknowledgement, as Slack does. Mentions are typed as
// @handle and #channel. The error says why a person could not have typed it; that the app failed is in
// the Invocation.
func (s *Server) Slash(ctx context.Context, user, channel, command, text string) (*Invocation, error) {
	s.mu.Lock()
	c, err := s.personIn(user, channel)
	if err == nil {
		text, err = s.typed(command, text)
	}
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	payload := object{
		"token": verification, "team_id": s.cfg.Team.ID, "team_domain": s.cfg.Team.Domain,
		"channel_id": c.ID, "channel_name": payloadName(c), "user_id": user, "user_name": s.users[user].Name,
		"command": command, "text": text, "api_app_id": s.cfg.App.ID, "is_enterprise_install": "false",
		"response_url": s.newResponseURL(responseURL{user: user, channel: c.ID}),
		"trigger_id":   s.newTrigger(user, ""),
	}
	s.mu.Unlock()

	inv, err := s.invoke(ctx, "slash_commands", true, payload)
	if err != nil {
		return nil, err
	}
	inv.Text = text
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv.Trouble == "" && inv.Payload != nil {
		if err := s.answerSlash(c, user, strings.TrimSpace(command+" "+text), inv); err != nil {
			s.log.Warn("the acknowledgement of a slash command could not be shown", "error", err)
			inv.Trouble = "invalid_command_response"
		}
	}
	if inv.Trouble != "" {
		s.slackbotSays(c, user, fmt.Sprintf("%s failed with the error %q", command, inv.Trouble))
	}
	return inv, nil
}

// typed checks a command and returns its text as the app gets it.
func (s *Server) typed(command, text string) (string, error) {
	escape := true
	if len(s.cfg.Commands) > 0 {
		i := slices.IndexFunc(s.cfg.Commands, func(c Command) bool { return c.Name == command })
		if i < 0 {
			return "", fmt.Errorf("%s is not a valid command", command)
		}
		escape = s.cfg.Commands[i].ShouldEscape
	}
	if !strings.HasPrefix(command, "/") || strings.ContainsAny(command, " \n") {
		return "", fmt.Errorf("%q is not a valid command", command)
	}
	if !slices.Contains(s.scopes, "commands") {
		return "", fmt.Errorf("%s is not a valid command: the app lacks the scope commands", command)
	}
	text = strings.TrimSpace(text)
	if escape {
		text = s.escape(text)
	}
	return text, nil
}

// answerSlash shows what an acknowledgement says.
func (s *Server) answerSlash(c *channel, user, typed string, inv *Invocation) error {
	v, err := decodeJSON(inv.Payload)
	if err != nil {
		return err
	}
	if text, ok := v.(string); ok {
		v = object{"text": text}
	}
	o, ok := v.(object)
	if !ok {
		return errors.New("it is neither text nor an object")
	}
	args := arguments{values: o}
	message, err := readContent(args)
	if err != nil {
		return err
	}
	if args.str("response_type") == "in_channel" {
		s.post(c, Message{User: user, Text: typed})
	}
	if !message.empty() {
		s.byEnvelope[inv.EnvelopeID].answered(s.cfg.Clock(), *s.say(c, user, args, message))
	}
	return nil
}

// personIn returns a channel that a person is in.
func (s *Server) personIn(user, in string) (*channel, error) {
	if err := s.person(user); err != nil {
		return nil, err
	}
	c := s.channels[in]
	switch {
	case c == nil:
		return nil, fmt.Errorf("no channel %s", in)
	case !c.has(user):
		return nil, fmt.Errorf("%s is not in %s", user, in)
	}
	return c, nil
}

// person refuses who can't do anything in the workspace.
func (s *Server) person(user string) error {
	u := s.users[user]
	switch {
	case u == nil:
		return fmt.Errorf("no user %s", user)
	case u.Bot:
		return fmt.Errorf("%s is a bot", user)
	case u.Deleted:
		return fmt.Errorf("the account of %s is deactivated", user)
	}
	return nil
}

// invoke tells the app of something and waits for the acknowledgement. s.mu is not held.
func (s *Server) invoke(ctx context.Context, kind string, accepts bool, payload object) (*Invocation, error) {
	d := s.newDelivery(kind)
	if url, ok := payload["response_url"].(string); ok {
		s.mu.Lock()
		if u := s.replies[path.Base(url)]; u != nil {
			u.delivery = d
		}
		s.mu.Unlock()
	}
	err := s.deliver(ctx, d, envelope{
		EnvelopeID: d.EnvelopeID, Type: kind, AcceptsResponsePayload: accepts, Payload: payload,
	})
	return s.invocation(d, err)
}

func (s *Server) invocation(d *delivery, err error) (*Invocation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inv := &Invocation{EnvelopeID: d.EnvelopeID, SentAt: d.SentAt}
	switch {
	case errors.Is(err, errTimedOut):
		inv.Trouble = "operation_timeout"
	case errors.Is(err, errNoConnection):
		inv.Trouble = "dispatch_failed"
	case err != nil:
		return nil, err
	default:
		inv.Acked, inv.Latency = true, d.Latency
		// Slack's own client for Node acknowledges with {} where there is nothing to say.
		if p := string(d.payload); p != "" && p != "{}" && p != "null" {
			inv.Payload = d.payload
		}
	}
	return inv, nil
}

// Click clicks a button that the person sees, and agrees to its confirmation if it has one. It waits for
// the acknowledgement.
func (s *Server) Click(ctx context.Context, user string, on Target, a Action) (*Invocation, error) {
	return s.act(ctx, user, on, a, func(e object) (object, error) {
		if e["type"] != "button" {
			return nil, fmt.Errorf("%s is a %v, not a button", str(e, "action_id"), e["type"])
		}
		action := object{"text": e["text"]}
		for _, key := range []string{"value", "style", "url", "confirm"} {
			if v := e[key]; v != nil {
				action[key] = v
			}
		}
		return action, nil
	})
}

// Select chooses in a menu, a picker or among checkboxes: the values of options, the IDs of users or
// channels, or a date or time. It waits for the acknowledgement.
func (s *Server) Select(ctx context.Context, user string, on Target, a Action, values ...string) (*Invocation, error) {
	return s.act(ctx, user, on, a, func(e object) (object, error) {
		if e["type"] == "button" {
			return nil, fmt.Errorf("%s is a button: click it", str(e, "action_id"))
		}
		return s.chosenValue(e, values)
	})
}

// Fill fills in fields of input blocks, in a view or a message, without sending them. The app isn't told:
// it sees what is filled in when something is sent from there. The keys of values are as for SubmitView.
func (s *Server) Fill(user string, on Target, values map[string][]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.person(user); err != nil {
		return err
	}
	_, _, blocks, err := s.look(user, on)
	if err != nil {
		return err
	}
	filled, err := s.fill(blocks, s.chosen[on.key(user)], values)
	if err != nil {
		return err
	}
	s.keep(user, on, filled)
	return nil
}

// act lets a person use an element; choose returns what is special to its kind.
func (s *Server) act(ctx context.Context, user string, on Target, a Action, choose func(e object) (object, error)) (*Invocation, error) {
	s.mu.Lock()
	payload, err := s.actionPayload(user, on, a, choose)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	inv, err := s.invoke(ctx, "interactive", false, payload)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if inv.Trouble == "" {
		return inv, nil
	}
	if c := s.channels[on.Channel]; c != nil {
		s.slackbotSays(c, user, fmt.Sprintf("That didn't work: %q", inv.Trouble))
	} else if v := s.views[on.View]; v != nil {
		s.updateView(v, func(v *View) { v.Trouble = inv.Trouble })
	}
	return inv, nil
}

func (s *Server) actionPayload(user string, on Target, a Action, choose func(e object) (object, error)) (object, error) {
	if err := s.person(user); err != nil {
		return nil, err
	}
	payload := object{
		"type": "block_actions", "user": s.personObject(user), "api_app_id": s.cfg.App.ID, "token": verification,
		"team": s.teamObject(), "enterprise": nil, "is_enterprise_install": false,
	}
	c, m, blocks, err := s.look(user, on)
	if err != nil {
		return nil, err
	}
	if on.View != "" {
		payload["container"] = object{"type": "view", "view_id": on.View}
	} else {
		container := object{
			"type": "message", "message_ts": m.TS, "channel_id": c.ID, "is_ephemeral": m.EphemeralTo != "",
		}
		if m.ThreadTS != "" {
			container["thread_ts"] = m.ThreadTS
		}
		payload["container"], payload["channel"] = container, object{"id": c.ID, "name": payloadName(c)}
		if m.EphemeralTo == "" {
			payload["message"] = s.messageObject(c, m, true) // Slack doesn't send back an ephemeral one
		}
		payload["response_url"] = s.newResponseURL(responseURL{user: user, channel: c.ID, original: m.TS})
	}
	block, e, err := findElement(blocks, a)
	if err != nil {
		return nil, err
	}
	if dispatched, _ := block["dispatch_action"].(bool); isInput(block) && !dispatched {
		return nil, fmt.Errorf("%s is a field, of which the app is told only when something is sent: fill it in", str(e, "action_id"))
	}
	action, err := choose(e)
	if err != nil {
		return nil, err
	}
	if e["type"] != "button" && e["type"] != "overflow" {
		s.choose(user, on, block, e, action)
	}
	action["type"], action["action_id"], action["block_id"] = e["type"], e["action_id"], block["block_id"]
	action["action_ts"] = s.newTS()
	payload["actions"] = []object{action}
	if on.View != "" {
		payload["view"] = s.viewObject(s.views[on.View])
	} else {
		payload["state"] = object{"values": buildState(blocks, s.chosen[on.key(user)])}
	}
	payload["trigger_id"] = s.newTrigger(user, on.View)
	return payload, nil
}

// look returns what a person sees at a target: the blocks, and where they are a message's, that and its
// channel. s.mu is held.
func (s *Server) look(user string, on Target) (*channel, *Message, []any, error) {
	if on.View != "" {
		v := s.views[on.View]
		if v == nil || v.User != user {
			return nil, nil, nil, fmt.Errorf("%s sees no view %s", user, on.View)
		}
		return nil, nil, decodeBlocks(v.Blocks), nil
	}
	c, err := s.personIn(user, on.Channel)
	if err != nil {
		return nil, nil, nil, err
	}
	_, m := c.find(on.TS, user)
	if m == nil {
		return nil, nil, nil, fmt.Errorf("%s sees no message %s in %s", user, on.TS, on.Channel)
	}
	return c, m, decodeBlocks(m.Blocks), nil
}

func payloadName(c *channel) string {
	switch {
	case c.direct != "":
		return "directmessage"
	case c.Private:
		return "privategroup"
	}
	return c.Name
}

func (s *Server) personObject(user string) object {
	name := s.users[user].Name
	return object{"id": user, "username": name, "name": name, "team_id": s.cfg.Team.ID}
}

func (s *Server) teamObject() object {
	return object{"id": s.cfg.Team.ID, "domain": s.cfg.Team.Domain}
}

// findElement returns the one element that an Action fits.
func findElement(blocks []any, a Action) (block, element object, err error) {
	n := 0
	eachElement(blocks, func(b, e object) bool {
		if (a.ID == "" || e["action_id"] == a.ID) && (a.BlockID == "" || b["block_id"] == a.BlockID) &&
			(a.Value == "" || e["value"] == a.Value) {
			block, element = b, e
			n++
		}
		return true
	})
	switch n {
	case 0:
		return nil, nil, fmt.Errorf("there is nothing with the action ID %q, block ID %q and value %q", a.ID, a.BlockID, a.Value)
	case 1:
		return block, element, nil
	}
	return nil, nil, fmt.Errorf("%d elements have the action ID %q, block ID %q and value %q", n, a.ID, a.BlockID, a.Value)
}

// SubmitView fills in a modal and submits it. The keys of values are block IDs, or action IDs where only one
// element has that one; each holds a text, or the values chosen. What isn't there stays as it was. Slack's own checks come first: what is required must be
// filled in. The app's answer closes, changes or keeps the view; View.Errors then says what it refused.
func (s *Server) SubmitView(ctx context.Context, user, viewID string, values map[string][]string) (*Invocation, error) {
	s.mu.Lock()
	payload, err := s.submission(user, viewID, values)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	inv, err := s.invoke(ctx, "interactive", true, payload)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[viewID]
	if v == nil {
		return inv, nil // the app has changed it meanwhile
	}
	if inv.Trouble == "" {
		answer := object{}
		if inv.Payload != nil {
			decoded, err := decodeJSON(inv.Payload)
			if o, ok := decoded.(object); err == nil && ok {
				answer = o
			}
		}
		if err := s.answerSubmission(v, answer); err != nil {
			s.log.Warn("the answer to a submission could not be shown", "error", err)
			inv.Trouble = "invalid_response"
		}
	}
	if inv.Trouble != "" {
		s.updateView(v, func(v *View) { v.Trouble = inv.Trouble })
	}
	return inv, nil
}

// modal returns a person's open modal.
func (s *Server) modal(user, viewID string) (*View, error) {
	if err := s.person(user); err != nil {
		return nil, err
	}
	v := s.views[viewID]
	if v == nil || v.User != user || v.Type != "modal" {
		return nil, fmt.Errorf("%s has no open modal %s", user, viewID)
	}
	return v, nil
}

func (s *Server) submission(user, viewID string, values map[string][]string) (object, error) {
	v, err := s.modal(user, viewID)
	if err != nil {
		return nil, err
	}
	if v.Submit == "" {
		return nil, fmt.Errorf("the modal %s has no button that submits it", viewID)
	}
	blocks := decodeBlocks(v.Blocks)
	filled, err := s.fill(blocks, s.chosen[v.Target().key(user)], values)
	if err != nil {
		return nil, err
	}
	if err := requireInputs(blocks, buildState(blocks, filled)); err != nil {
		return nil, err
	}
	s.keep(user, v.Target(), filled)
	return object{
		"type": "view_submission", "team": s.teamObject(), "user": s.personObject(user), "api_app_id": s.cfg.App.ID,
		"token": verification, "trigger_id": s.newTrigger(user, v.ID), "view": s.viewObject(v),
		"response_urls": []any{}, "is_enterprise_install": false, "enterprise": nil,
	}, nil
}

// CloseView closes a modal with its cross. The app is told, and waited for, only if the view asks for it;
// else the Invocation is nil.
func (s *Server) CloseView(ctx context.Context, user, viewID string) (*Invocation, error) {
	s.mu.Lock()
	v, err := s.modal(user, viewID)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	payload := object{
		"type": "view_closed", "team": s.teamObject(), "user": s.personObject(user), "api_app_id": s.cfg.App.ID,
		"token": verification, "view": s.viewObject(v), "is_cleared": v.ClearOnClose,
		"is_enterprise_install": false, "enterprise": nil,
	}
	closing := []*View{v}
	if v.ClearOnClose {
		closing = s.stack(v.RootViewID)
	}
	for _, other := range closing {
		s.dropView(other.ID)
	}
	s.mu.Unlock()
	if !v.NotifyOnClose {
		return nil, nil
	}
	return s.invoke(ctx, "interactive", false, payload)
}

// OpenHome opens the app's Home tab, of which the app is told by an app_home_opened event. It waits for
// the first sending's acknowledgement; an unacknowledged event is sent again later.
func (s *Server) OpenHome(ctx context.Context, user string) (*Invocation, error) {
	s.mu.Lock()
	if err := s.person(user); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	c, _ := s.openDirect(user)
	ts := s.newTS()
	event := object{"type": "app_home_opened", "user": user, "channel": c.ID, "tab": "home", "event_ts": ts}
	if v := s.views[s.homes[user]]; v != nil {
		event["view"] = s.viewObject(v)
	}
	payload := object{
		"token": verification, "team_id": s.cfg.Team.ID, "api_app_id": s.cfg.App.ID, "event": event,
		"type": "event_callback", "event_id": s.newID("Ev"), "event_time": s.cfg.Clock().Unix(),
		"authorizations": []object{{
			"enterprise_id": nil, "team_id": s.cfg.Team.ID, "user_id": s.cfg.App.UserID, "is_bot": true,
			"is_enterprise_install": false,
		}},
		"is_ext_shared_channel": false,
	}
	s.mu.Unlock()
	d, err := s.deliverEvent(ctx, payload)
	return s.invocation(d, err)
}

// PostMessage lets a person say something in a channel. Mentions are typed as @handle.
func (s *Server) PostMessage(user, channel, text string) (Message, error) {
	return s.Reply(user, channel, "", text)
}

// Reply lets a person say something in the thread of a message.
func (s *Server) Reply(user, channel, threadTS, text string) (Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.personIn(user, channel)
	if err != nil {
		return Message{}, err
	}
	if strings.TrimSpace(text) == "" || utf8.RuneCountInString(text) > maxTextTruncated {
		return Message{}, fmt.Errorf("a message has between 1 and %d characters", maxTextTruncated)
	}
	thread, err := c.threadOf(threadTS)
	if err != nil {
		return Message{}, fmt.Errorf("no message %s in %s", threadTS, channel)
	}
	return *s.post(c, Message{User: user, Text: s.escape(text), ThreadTS: thread}), nil
}

// OpenDirect opens the direct message of a person with the app, as clicking on the app does, and returns
// its channel ID.
func (s *Server) OpenDirect(user string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.person(user); err != nil {
		return "", err
	}
	c, _ := s.openDirect(user)
	return c.ID, nil
}

// Reload reloads a person's Slack, which loses the ephemeral messages that they saw.
func (s *Server) Reload(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		kept := slices.DeleteFunc(slices.Clone(c.messages), func(m *Message) bool { return m.EphemeralTo == user })
		if len(kept) != len(c.messages) {
			c.messages = kept
			s.notify(Change{Kind: "message_deleted", Channel: c.ID, User: user})
		}
	}
}

var (
	escapeMarkup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	mention      = regexp.MustCompile(`(^|[^\w@#&/])([@#])([\w][\w.-]*)`)
	link         = regexp.MustCompile(`https?://[^\s|]+`)
)

// escape turns what a person typed into Slack's markup: & < > escaped, mentions and links in brackets.
func (s *Server) escape(text string) string {
	text = escapeMarkup.Replace(text)
	text = link.ReplaceAllStringFunc(text, func(url string) string {
		trimmed := strings.TrimRight(url, ".,;:!?)")
		return "<" + trimmed + ">" + url[len(trimmed):]
	})
	return mention.ReplaceAllStringFunc(text, func(match string) string {
		m := mention.FindStringSubmatch(match)
		for name := m[3]; name != ""; name = name[:len(name)-1] {
			if markup, ok := s.mentioned(m[2], name); ok {
				return m[1] + markup + m[3][len(name):]
			}
			if last := name[len(name)-1]; last != '.' && last != '-' {
				break // a name may be followed by punctuation, but not by more of a word
			}
		}
		return match
	})
}

// mentioned returns the markup of a mention typed as @name or #name.
func (s *Server) mentioned(sign, name string) (string, bool) {
	if sign == "#" {
		for _, id := range s.channelOrder {
			if c := s.channels[id]; c.direct == "" && c.Name == name {
				return "<#" + c.ID + "|" + c.Name + ">", true
			}
		}
		return "", false
	}
	if slices.Contains([]string{"here", "channel", "everyone"}, name) {
		return "<!" + name + ">", true
	}
	for _, id := range s.userOrder {
		if u := s.users[id]; u.Name == name && !u.Deleted {
			return "<@" + u.ID + "|" + u.Name + ">", true
		}
	}
	for _, g := range s.groups {
		if g.Handle == name {
			return "<!subteam^" + g.ID + "|@" + g.Handle + ">", true
		}
	}
	return "", false
}
