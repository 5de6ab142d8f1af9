package slack

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// State is the whole workspace at one moment. It is not changed by what happens later, and marshals to
// JSON. What it holds is shared with other States and must not be modified.
type State struct {
	Seq         uint64         `json:"seq"` // of the last Change that it includes
	Now         time.Time      `json:"now"`
	Team        Team           `json:"team"`
	App         App            `json:"app"`
	Users       []User         `json:"users"`
	UserGroups  []UserGroup    `json:"usergroups"`
	Channels    []ChannelState `json:"channels"`
	OpenViews   []View         `json:"views"`
	Homes       []View         `json:"homes"`
	Connections []Connection   `json:"connections"`
	Faults      []Fault        `json:"faults"`
}

// ChannelState is a channel or a direct message, with what was said in it, oldest first.
type ChannelState struct {
	Channel
	Direct  string     `json:"direct,omitempty"` // the person in a direct message with the app
	History []*Message `json:"messages"`         // ephemeral messages included
}

// Change says that something happened: its number, what, and where. Numbers have no gaps, so that who
// misses one (a slow subscriber does) sees it and can take a State.
type Change struct {
	Seq     uint64 `json:"seq"`
	Kind    string `json:"kind"` // message, message_changed, message_deleted, view, home, connection, ack, call, user, channel, usergroup, fault
	Channel string `json:"channel,omitempty"`
	TS      string `json:"ts,omitempty"`
	User    string `json:"user,omitempty"` // the only person concerned, if there is only one
}

// Call is one request of the app: to the Web API, to a response URL, or for a WebSocket.
type Call struct {
	At     time.Time `json:"at"` // by the server's clock
	Method string    `json:"method"`
	Token  TokenKind `json:"token"` // bot, app, unknown or none: never the token itself
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"` // Slack's word for it
	Fault  FaultKind `json:"fault,omitempty"` // the fault that struck it
}

// notify records that something changed. s.mu is held.
func (s *Server) notify(c Change) {
	s.seq++
	c.Seq = s.seq
	close(s.changed)
	s.changed = make(chan struct{})
	for ch := range s.subs {
		select {
		case ch <- c:
		default:
		}
	}
}

// Subscribe returns a channel of what happens from now on. It holds up to 1,024 changes; what a slow
// reader leaves no room for is dropped, which the numbers show. It is closed by stop and by Close.
func (s *Server) Subscribe() (changes <-chan Change, stop func()) {
	ch := make(chan Change, 1024)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close(ch)
		return ch, func() {}
	}
	s.subs[ch] = struct{}{}
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.subs[ch]; ok {
			delete(s.subs, ch)
			close(ch)
		}
	}
}

// WaitFor returns once cond is true of the workspace, which it looks at now and after each change. It
// returns the state that satisfied cond, or the last one and the error of the context that ended first.
func (s *Server) WaitFor(ctx context.Context, cond func(State) bool) (State, error) {
	for {
		s.mu.Lock()
		state, changed := s.state(), s.changed
		s.mu.Unlock()
		if cond(state) {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, ctx.Err()
		case <-s.ctx.Done():
			return state, s.ctx.Err()
		}
	}
}

// State returns the workspace as it is now.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state()
}

func (s *Server) state() State {
	st := State{
		Seq:         s.seq,
		Now:         s.cfg.Clock(),
		Team:        s.cfg.Team,
		App:         s.cfg.App,
		UserGroups:  slices.Clone(s.groups),
		Users:       make([]User, 0, len(s.userOrder)),
		Channels:    make([]ChannelState, 0, len(s.channelOrder)),
		OpenViews:   []View{},
		Homes:       []View{},
		Connections: s.connectionList(),
		Faults:      s.faultList(),
	}
	for _, id := range s.userOrder {
		st.Users = append(st.Users, *s.users[id])
	}
	for _, id := range s.channelOrder {
		st.Channels = append(st.Channels, s.channels[id].state())
	}
	for _, id := range s.viewIDs {
		if v := s.views[id]; v.Type == "home" {
			st.Homes = append(st.Homes, *v)
		} else {
			st.OpenViews = append(st.OpenViews, *v)
		}
	}
	return st
}

func (c *channel) state() ChannelState {
	return ChannelState{Channel: c.Channel, Direct: c.direct, History: c.messages[:len(c.messages):len(c.messages)]}
}

// Messages returns what everybody in a channel sees, oldest first, threads included.
func (st State) Messages(channel string) []Message {
	return st.messages(channel, func(m *Message) bool { return m.EphemeralTo == "" })
}

// Visible returns what a person sees in a channel, oldest first: what everybody sees and what is "Only
// visible to you". Someone who isn't in the channel sees nothing.
func (st State) Visible(user, channel string) []Message {
	for _, c := range st.Channels {
		if c.ID == channel && !slices.Contains(c.Members, user) {
			return nil
		}
	}
	return st.messages(channel, func(m *Message) bool { return m.EphemeralTo == "" || m.EphemeralTo == user })
}

// Thread returns a thread as everybody sees it: its first message, then the replies.
func (st State) Thread(channel, ts string) []Message {
	return st.messages(channel, func(m *Message) bool {
		return m.EphemeralTo == "" && (m.TS == ts || m.ThreadTS == ts)
	})
}

// Direct returns what was said between a person and the app in their direct message, oldest first.
func (st State) Direct(user string) []Message {
	for _, c := range st.Channels {
		if c.Direct == user {
			return st.Visible(user, c.ID)
		}
	}
	return nil
}

func (st State) messages(channel string, keep func(*Message) bool) []Message {
	var list []Message
	for _, c := range st.Channels {
		if c.ID != channel {
			continue
		}
		for _, m := range c.History {
			if keep(m) {
				list = append(list, *m)
			}
		}
	}
	return list
}

// Views returns a person's open modals; the last one is on top.
func (st State) Views(user string) []View {
	var list []View
	for _, v := range st.OpenViews {
		if v.User == user {
			list = append(list, v)
		}
	}
	return list
}

// Home returns a person's App Home, and whether the app has published one.
func (st State) Home(user string) (View, bool) {
	for _, v := range st.Homes {
		if v.User == user {
			return v, true
		}
	}
	return View{}, false
}

// Messages is State.Messages of now.
func (s *Server) Messages(channel string) []Message { return s.State().Messages(channel) }

// Visible is State.Visible of now.
func (s *Server) Visible(user, channel string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st State
	if c := s.channels[channel]; c != nil {
		st.Channels = []ChannelState{c.state()}
	}
	return st.Visible(user, channel)
}

// Thread is State.Thread of now.
func (s *Server) Thread(channel, ts string) []Message { return s.State().Thread(channel, ts) }

// Direct is State.Direct of now.
func (s *Server) Direct(user string) []Message { return s.State().Direct(user) }

// Views is State.Views of now.
func (s *Server) Views(user string) []View { return s.State().Views(user) }

// Home is State.Home of now.
func (s *Server) Home(user string) (View, bool) { return s.State().Home(user) }

// Calls returns the last 10,000 requests of the app, oldest first.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls.values)
}

// Deliveries returns the last 10,000 envelopes, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Delivery, 0, len(s.deliveries.values))
	for _, d := range s.deliveries.values {
		list = append(list, d.Delivery)
	}
	return list
}

// Delivery returns an envelope, if it is among the last 10,000.
func (s *Server) Delivery(envelopeID string) (Delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byEnvelope[envelopeID]
	if d == nil {
		return Delivery{}, false
	}
	return d.Delivery, true
}

// Answers returns what the app has said through the response URL that came with an envelope, and in its
// acknowledgement, if the envelope is among the last 10,000: each message as it was then shown, also where
// it has been replaced since, and at the time of that.
func (s *Server) Answers(envelopeID string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byEnvelope[envelopeID]
	if d == nil {
		return nil
	}
	return slices.Clone(d.answers)
}

// Element is something in blocks that a person can act on.
type Element struct {
	BlockID  string `json:"block_id"`
	ActionID string `json:"action_id"`
	Type     string `json:"type"`
	Text     string `json:"text,omitempty"`  // of a button
	Value    string `json:"value,omitempty"` // of a button
	Style    string `json:"style,omitempty"` // of a button
	Label    string `json:"label,omitempty"` // of an input block

	// Options are the values that can be chosen, and Initial what is filled in to begin with, as Select,
	// Fill and SubmitView take them.
	Options []string `json:"options,omitempty"`
	Initial []string `json:"initial,omitempty"`
}

// Elements returns what a person can act on in the message.
func (m Message) Elements() []Element { return listElements(m.Blocks) }

// Elements returns what a person can act on in the view.
func (v View) Elements() []Element { return listElements(v.Blocks) }

// Shown returns the text that a person reads: that of the blocks, a line each, or where there are none,
// the message's own.
func (m Message) Shown() string {
	if blocks := decodeBlocks(m.Blocks); len(blocks) > 0 {
		return shownText(blocks)
	}
	return m.Text
}

// Shown returns the text that a person reads in the view, a line each.
func (v View) Shown() string { return shownText(decodeBlocks(v.Blocks)) }

func listElements(blocks json.RawMessage) []Element {
	var list []Element
	eachElement(decodeBlocks(blocks), func(b, e object) bool {
		text, _ := e["text"].(object)
		list = append(list, Element{
			BlockID: str(b, "block_id"), ActionID: str(e, "action_id"), Type: str(e, "type"),
			Text: str(text, "text"), Value: str(e, "value"), Style: str(e, "style"),
			Label: textOf(b["label"]), Options: optionValues(e), Initial: initialEntry(e),
		})
		return true
	})
	return list
}
