package slack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// workspace is what people see: who is there, and what was said. s.mu guards it.
type workspace struct {
	users     map[string]*User
	userOrder []string
	groups    []UserGroup

	channels     map[string]*channel
	channelOrder []string

	views    map[string]*View // open modals and homes, by ID
	viewIDs  []string         // in the order of opening
	homes    map[string]string
	chosen   map[string]state // what a person has selected in a message or a view and not sent yet
	triggers map[string]*trigger
	replies  map[string]*responseURL
	replyIDs []string // in the order of their making

	lastMicros int64
}

// channel is a channel or a direct message with what was said in it. Messages are never changed, only
// replaced, and the slice is only appended to or replaced, so that a State may share both.
type channel struct {
	Channel
	direct   string // the person in a direct message with the app
	messages []*Message
	lastPost time.Time // of the app, for the rate limit
}

// Message is what someone said, as it stands now.
type Message struct {
	Channel     string          `json:"channel"`
	TS          string          `json:"ts"`
	ThreadTS    string          `json:"thread_ts,omitempty"` // the first message of its thread, if it is a reply
	User        string          `json:"user"`
	BotID       string          `json:"bot_id,omitempty"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	EphemeralTo string          `json:"ephemeral_to,omitempty"` // the only person who sees it
	EditedTS    string          `json:"edited_ts,omitempty"`
	At          time.Time       `json:"at"` // by the server's clock
	Broadcast   bool            `json:"reply_broadcast,omitempty"`

	// Earlier is the message as it stood before it was last replaced; nil where it never was.
	Earlier *Message `json:"-"`
}

// View is a modal or an App Home, as Slack keeps it.
type View struct {
	ID              string            `json:"id"`
	User            string            `json:"user"`
	Type            string            `json:"type"` // modal or home
	CallbackID      string            `json:"callback_id"`
	ExternalID      string            `json:"external_id"`
	PrivateMetadata string            `json:"private_metadata"`
	Title           string            `json:"title"`
	Submit          string            `json:"submit"`
	CloseText       string            `json:"close"`
	Blocks          json.RawMessage   `json:"blocks"`
	Hash            string            `json:"hash"`
	RootViewID      string            `json:"root_view_id"`
	PreviousViewID  string            `json:"previous_view_id"`
	ClearOnClose    bool              `json:"clear_on_close"`
	NotifyOnClose   bool              `json:"notify_on_close"`
	Errors          map[string]string `json:"errors,omitempty"` // shown beside the fields after a refused submission, by block ID
	Trouble         string            `json:"trouble,omitempty"`
}

// state is a form's values: block ID, action ID, value object.
type state map[string]map[string]map[string]any

type trigger struct {
	id   string
	user string
	view string // the view it came from, if any
	at   time.Time
	used bool
}

// responseURL is one response_url: who it speaks to, where, and what it may replace.
type responseURL struct {
	user, channel string
	original      string // the ts of the message that a button was on
	at            time.Time
	uses          int
	delivery      *delivery // of the envelope that it came with
}

func newWorkspace() workspace {
	return workspace{
		users:    make(map[string]*User),
		channels: make(map[string]*channel),
		views:    make(map[string]*View),
		homes:    make(map[string]string),
		chosen:   make(map[string]state),
		triggers: make(map[string]*trigger),
		replies:  make(map[string]*responseURL),
	}
}

// PutUser adds a user, or replaces the one with its ID.
func (s *Server) PutUser(u User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.putUser(u); err != nil {
		return err
	}
	s.notify(Change{Kind: "user", User: u.ID})
	return nil
}

func (s *Server) putUser(u User) error {
	if u.ID == "" || u.Name == "" {
		return fmt.Errorf("user %q needs an ID and a name", u.ID+u.Name)
	}
	if u.TZ == "" {
		u.TZ = "UTC"
	}
	if _, err := time.LoadLocation(u.TZ); err != nil {
		return fmt.Errorf("user %s: %w", u.ID, err)
	}
	if !slices.Contains([]Guest{NotGuest, MultiChannelGuest, SingleChannelGuest}, u.Guest) {
		return fmt.Errorf("user %s: guest must be empty, multi or single, not %q", u.ID, u.Guest)
	}
	if s.users[u.ID] == nil {
		s.userOrder = append(s.userOrder, u.ID)
	}
	s.users[u.ID] = &u
	return nil
}

// PutChannel adds a channel, or replaces the name, privacy and members of the one with its ID.
func (s *Server) PutChannel(c Channel) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.putChannel(c); err != nil {
		return err
	}
	s.notify(Change{Kind: "channel", Channel: c.ID})
	return nil
}

func (s *Server) putChannel(c Channel) error {
	if c.ID == "" || c.Name == "" {
		return fmt.Errorf("channel %q needs an ID and a name", c.ID+c.Name)
	}
	for _, id := range c.Members {
		if s.users[id] == nil {
			return fmt.Errorf("channel %s: no user %s", c.ID, id)
		}
	}
	c.Members = slices.Clone(c.Members)
	if old := s.channels[c.ID]; old != nil {
		old.Channel = c
		return nil
	}
	s.channels[c.ID] = &channel{Channel: c}
	s.channelOrder = append(s.channelOrder, c.ID)
	return nil
}

// PutUserGroup adds a user group, or replaces the one with its ID.
func (s *Server) PutUserGroup(g UserGroup) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.putUserGroup(g); err != nil {
		return err
	}
	s.notify(Change{Kind: "usergroup"})
	return nil
}

func (s *Server) putUserGroup(g UserGroup) error {
	if g.ID == "" || g.Handle == "" {
		return fmt.Errorf("user group %q needs an ID and a handle", g.ID+g.Handle)
	}
	for _, id := range g.Members {
		if s.users[id] == nil {
			return fmt.Errorf("user group %s: no user %s", g.ID, id)
		}
	}
	if g.Name == "" {
		g.Name = g.Handle
	}
	g.Members = slices.Clone(g.Members)
	if i := slices.IndexFunc(s.groups, func(old UserGroup) bool { return old.ID == g.ID }); i >= 0 {
		s.groups[i] = g
		return nil
	}
	s.groups = append(s.groups, g)
	return nil
}

func (s *Server) group(id string) (UserGroup, bool) {
	i := slices.IndexFunc(s.groups, func(g UserGroup) bool { return g.ID == id })
	if i < 0 {
		return UserGroup{}, false
	}
	return s.groups[i], true
}

// openDirect returns the direct message of a person with the app, making it if there is none.
func (s *Server) openDirect(user string) (c *channel, existed bool) {
	for _, id := range s.channelOrder {
		if c := s.channels[id]; c.direct == user {
			return c, true
		}
	}
	c = &channel{
		Channel: Channel{ID: s.newID("D"), Name: "directmessage", Private: true, Members: []string{user, s.cfg.App.UserID}},
		direct:  user,
	}
	s.channels[c.ID] = c
	s.channelOrder = append(s.channelOrder, c.ID)
	s.notify(Change{Kind: "channel", Channel: c.ID, User: user})
	return c, false
}

func (c *channel) has(user string) bool { return slices.Contains(c.Members, user) }

// find returns the message with this ts that user may see ("": the app, which sees nothing ephemeral).
func (c *channel) find(ts, user string) (int, *Message) {
	for i, m := range slices.Backward(c.messages) {
		if m.TS == ts && (m.EphemeralTo == "" || m.EphemeralTo == user) {
			return i, m
		}
	}
	return -1, nil
}

// post appends a message, giving it its time and ts. s.mu is held.
func (s *Server) post(c *channel, m Message) *Message {
	m.Channel, m.At, m.TS = c.ID, s.cfg.Clock(), s.newTS()
	c.messages = append(c.messages, &m)
	if n := len(c.messages) - s.cfg.HistoryLimit; n > 0 {
		c.messages = c.messages[n:]
	}
	s.notify(Change{Kind: "message", Channel: c.ID, TS: m.TS, User: m.EphemeralTo})
	return &m
}

// replace puts m where the message with its ts stood. s.mu is held.
func (s *Server) replace(c *channel, i int, m Message) *Message {
	c.messages = slices.Clone(c.messages)
	m.Earlier, c.messages[i] = c.messages[i], &m
	s.notify(Change{Kind: "message_changed", Channel: c.ID, TS: m.TS, User: m.EphemeralTo})
	return &m
}

// remove takes the message away. s.mu is held.
func (s *Server) remove(c *channel, i int) {
	m := c.messages[i]
	c.messages = slices.Delete(slices.Clone(c.messages), i, i+1)
	s.notify(Change{Kind: "message_deleted", Channel: c.ID, TS: m.TS, User: m.EphemeralTo})
}

// slackbotSays tells one person something that nobody else sees.
func (s *Server) slackbotSays(c *channel, user, text string) {
	s.post(c, Message{User: slackbotID, Text: text, EphemeralTo: user})
}

// newTS returns the next message's ts: seconds and microseconds of the clock, always increasing, as
// Slack's are the IDs of messages in their channel.
func (s *Server) newTS() string {
	now := s.cfg.Clock().UnixMicro()
	s.lastMicros = max(now, s.lastMicros+1)
	return fmt.Sprintf("%d.%06d", s.lastMicros/1e6, s.lastMicros%1e6)
}

// newID returns a new ID in the form of Slack's: a letter and ten capitals or digits.
func (s *Server) newID(prefix string) string {
	return prefix + strings.ToUpper(rand.Text()[:10])
}

func (s *Server) newTrigger(user, view string) string {
	t := &trigger{id: rand.Text() + "." + rand.Text()[:8], user: user, view: view, at: s.cfg.Clock()}
	for id, old := range s.triggers {
		if s.cfg.Clock().Sub(old.at) > time.Minute {
			delete(s.triggers, id)
		}
	}
	if len(s.triggers) < maxKept {
		s.triggers[t.id] = t
	}
	return t.id
}

// useTrigger spends a trigger. The error is Slack's word for why it can't be.
func (s *Server) useTrigger(id string) (*trigger, error) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return nil, errors.New("invalid_trigger_id")
	case t.used:
		return nil, errors.New("exchanged_trigger_id")
	case s.cfg.Clock().Sub(t.at) > s.cfg.TriggerLife:
		return nil, errors.New("expired_trigger_id")
	}
	t.used = true
	return t, nil
}

func (s *Server) newResponseURL(r responseURL) string {
	r.at = s.cfg.Clock()
	for len(s.replyIDs) >= maxKept || len(s.replyIDs) > 0 && r.at.Sub(s.replies[s.replyIDs[0]].at) > 2*responseURLLife {
		delete(s.replies, s.replyIDs[0])
		s.replyIDs = s.replyIDs[1:]
	}
	id := rand.Text()
	s.replies[id], s.replyIDs = &r, append(s.replyIDs, id)
	return s.base() + "/response/" + id
}
