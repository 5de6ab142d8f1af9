package slack

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func (s *Server) authTest(*call) (object, error) {
	return object{
		"url": "https://" + s.cfg.Team.Domain + ".slack.com/", "team": s.cfg.Team.Name, "team_id": s.cfg.Team.ID,
		"user": s.cfg.App.Name, "user_id": s.cfg.App.UserID, "bot_id": s.cfg.App.BotID, "is_enterprise_install": false,
	}, nil
}

func (s *Server) connectionsOpen(c *call) (object, error) {
	s.sawBase(c.http)
	for id, at := range s.tickets {
		if s.cfg.Clock().Sub(at) > ticketLife {
			delete(s.tickets, id)
		}
	}
	if len(s.tickets) >= maxKept {
		return nil, &apiError{code: "ratelimited", status: http.StatusTooManyRequests, retryAfter: 30 * time.Second}
	}
	ticket := rand.Text()
	s.tickets[ticket] = s.cfg.Clock()
	return object{"url": webSocketURL(s.lastBase) + "/link/?ticket=" + ticket + "&app_id=" + s.cfg.App.ID}, nil
}

// content is what the arguments say of a message's text, blocks and metadata.
type content struct {
	text     string
	blocks   json.RawMessage // with every ID given
	metadata json.RawMessage
	warning  string
}

// readContent checks a message as Slack does.
func readContent(a arguments) (content, error) {
	v := content{text: a.str("text")}
	blocks, err := a.json("blocks")
	if err != nil {
		return v, refuse("invalid_blocks_format")
	}
	if blocks != nil {
		list, ok := blocks.([]any)
		if !ok {
			return v, refuse("invalid_blocks_format")
		}
		if problems := checkBlocks(list, inMessage, "/blocks"); len(problems) > 0 {
			return v, refuseArguments("invalid_blocks", problems)
		}
		if len(list) > 0 {
			assignIDs(list)
			v.blocks = encode(list)
		}
	}
	if utf8.RuneCountInString(v.text) > maxTextTruncated {
		v.text = string([]rune(v.text)[:maxTextTruncated])
		v.warning = "message_truncated"
	}
	metadata, err := a.json("metadata")
	if err != nil {
		return v, refuse("invalid_metadata_format")
	}
	if metadata != nil {
		m, ok := metadata.(object)
		if !ok {
			return v, refuse("invalid_metadata_format")
		}
		// slack-go sends an event type and payload that are both empty when there is no metadata.
		if str(m, "event_type") != "" {
			if _, ok := m["event_payload"].(object); !ok {
				return v, refuse("invalid_metadata_schema")
			}
			v.metadata = encode(m)
		}
	}
	return v, nil
}

// checkLength refuses blocks that are too long together, which response URLs take.
func (v content) checkLength() error {
	if blocksTooLong(decodeBlocks(v.blocks)) {
		return refuse("msg_blocks_too_long")
	}
	return nil
}

func (v content) empty() bool { return v.text == "" && v.blocks == nil }

// conversation finds the channel that a call names, by ID, #name, or, for a message, a person's ID.
func (s *Server) conversation(name string, people bool) (*channel, error) {
	if c := s.channels[name]; c != nil {
		if c.Private && !c.has(s.cfg.App.UserID) {
			return nil, refuse("channel_not_found")
		}
		return c, nil
	}
	if people {
		if s.users[name] != nil {
			return s.directWith(name)
		}
		for _, id := range s.channelOrder {
			if c := s.channels[id]; c.direct == "" && !c.Private && c.Name == strings.TrimPrefix(name, "#") {
				return c, nil
			}
		}
	}
	return nil, refuse("channel_not_found")
}

// directWith opens the direct message with a person, if the app may speak to them.
func (s *Server) directWith(user string) (*channel, error) {
	u := s.users[user]
	switch {
	case u == nil:
		return nil, refuse("user_not_found")
	case u.Bot:
		return nil, refuse("cannot_dm_bot")
	case u.Deleted:
		return nil, refuse("user_disabled")
	}
	c, _ := s.openDirect(user)
	return c, nil
}

// mayPost refuses a channel that the app isn't in.
func (s *Server) mayPost(c *channel) error {
	if c.has(s.cfg.App.UserID) || !c.Private && slices.Contains(s.scopes, "chat:write.public") {
		return nil
	}
	return refuse("not_in_channel")
}

func (s *Server) chatPostMessage(c *call) (object, error) {
	ch, err := s.conversation(c.args.str("channel"), true)
	if err != nil {
		return nil, err
	}
	if err := s.mayPost(ch); err != nil {
		return nil, err
	}
	v, err := readContent(c.args)
	if err != nil {
		return nil, err
	}
	if err := v.checkLength(); err != nil {
		return nil, err
	}
	if v.empty() {
		return nil, refuse("no_text")
	}
	thread, err := ch.threadOf(c.args.str("thread_ts"))
	if err != nil {
		return nil, err
	}
	if err := s.limitRate(ch); err != nil {
		return nil, err
	}
	m := s.post(ch, Message{
		User: s.cfg.App.UserID, BotID: s.cfg.App.BotID, Text: v.text, Blocks: v.blocks, Metadata: v.metadata,
		ThreadTS: thread, Broadcast: thread != "" && c.args.bool("reply_broadcast"),
	})
	reply := object{"channel": ch.ID, "ts": m.TS, "message": s.messageObject(ch, m, true)}
	if v.warning != "" {
		reply["response_metadata"] = object{"warnings": []string{v.warning}}
	}
	return reply, nil
}

// threadOf returns the ts of the thread that a reply to ts belongs to.
func (c *channel) threadOf(ts string) (string, error) {
	if ts == "" {
		return "", nil
	}
	_, m := c.find(ts, "")
	switch {
	case m == nil:
		return "", refuse("thread_not_found")
	case m.ThreadTS != "":
		return m.ThreadTS, nil
	}
	return ts, nil
}

func (s *Server) chatPostEphemeral(c *call) (object, error) {
	ch, err := s.conversation(c.args.str("channel"), false)
	if err != nil {
		return nil, err
	}
	if err := s.mayPost(ch); err != nil {
		return nil, err
	}
	user := c.args.str("user")
	if !ch.has(user) {
		return nil, refuse("user_not_in_channel")
	}
	v, err := readContent(c.args)
	if err != nil {
		return nil, err
	}
	if v.empty() {
		return nil, refuse("no_text")
	}
	thread, err := ch.threadOf(c.args.str("thread_ts"))
	if err != nil {
		return nil, err
	}
	m := s.post(ch, Message{
		User: s.cfg.App.UserID, BotID: s.cfg.App.BotID, Text: v.text, Blocks: v.blocks, ThreadTS: thread, EphemeralTo: user,
	})
	return object{"message_ts": m.TS}, nil
}

// ownMessage finds a message that the app may change.
func (s *Server) ownMessage(c *call, refusal string) (*channel, int, error) {
	ch, err := s.conversation(c.args.str("channel"), false)
	if err != nil {
		return nil, 0, err
	}
	i, m := ch.find(c.args.str("ts"), "")
	switch {
	case m == nil:
		return nil, 0, refuse("message_not_found")
	case m.User != s.cfg.App.UserID:
		return nil, 0, refuse(refusal)
	}
	return ch, i, nil
}

func (s *Server) chatUpdate(c *call) (object, error) {
	ch, i, err := s.ownMessage(c, "cant_update_message")
	if err != nil {
		return nil, err
	}
	v, err := readContent(c.args)
	if err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(v.text) > 4000 {
		return nil, refuse("msg_too_long")
	}
	if err := v.checkLength(); err != nil {
		return nil, err
	}
	if v.empty() {
		return nil, refuse("no_text")
	}
	m := *ch.messages[i]
	m.Text, m.Blocks = v.text, v.blocks // text without blocks takes the blocks away
	if c.args.has("metadata") {
		m.Metadata = v.metadata // none given: the old one stays; an empty one: it goes
	}
	m.EditedTS = s.newTS()
	updated := s.replace(ch, i, m)
	return object{"channel": ch.ID, "ts": m.TS, "text": m.Text, "message": s.messageObject(ch, updated, true)}, nil
}

func (s *Server) chatDelete(c *call) (object, error) {
	ch, i, err := s.ownMessage(c, "cant_delete_message")
	if err != nil {
		return nil, err
	}
	ts := ch.messages[i].TS
	s.remove(ch, i)
	return object{"channel": ch.ID, "ts": ts}, nil
}

func (s *Server) conversationsOpen(c *call) (object, error) {
	if id := c.args.str("channel"); id != "" {
		ch := s.channels[id]
		if ch == nil || ch.direct == "" {
			return nil, refuse("channel_not_found")
		}
		return object{"channel": object{"id": ch.ID}, "no_op": true, "already_open": true}, nil
	}
	users := strings.FieldsFunc(c.args.str("users"), func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case len(users) == 0:
		return nil, refuse("users_list_not_supplied")
	case len(users) > 1:
		return nil, missingScope([]string{"mpim:write"}, s.scopes)
	case s.users[users[0]] == nil:
		return nil, refuse("user_not_found")
	}
	ch, err := s.directWith(users[0])
	if err != nil {
		return nil, err
	}
	reply := object{"channel": object{"id": ch.ID}}
	if c.args.bool("return_im") {
		reply["channel"] = s.channelObject(ch)
	}
	return reply, nil
}

func (s *Server) conversationsInfo(c *call) (object, error) {
	ch, err := s.conversation(c.args.str("channel"), false)
	if err != nil {
		return nil, err
	}
	if err := s.scopeFor(ch, "read"); err != nil {
		return nil, err
	}
	o := s.channelObject(ch)
	if c.args.bool("include_num_members") {
		o["num_members"] = len(ch.Members)
	}
	return object{"channel": o}, nil
}

func (s *Server) conversationsMembers(c *call) (object, error) {
	ch, err := s.conversation(c.args.str("channel"), false)
	if err != nil {
		return nil, err
	}
	if err := s.scopeFor(ch, "read"); err != nil {
		return nil, err
	}
	members, next, err := page(ch.Members, c.args, 100, 1000)
	if err != nil {
		return nil, err
	}
	return object{"members": slices.Clone(members), "response_metadata": object{"next_cursor": next}}, nil
}

// readable finds a channel whose messages the app may read.
func (s *Server) readable(c *call) (*channel, error) {
	ch, err := s.conversation(c.args.str("channel"), false)
	if err != nil {
		return nil, err
	}
	if err := s.scopeFor(ch, "history"); err != nil {
		return nil, err
	}
	if !ch.has(s.cfg.App.UserID) {
		return nil, refuse("not_in_channel")
	}
	return ch, nil
}

var timestamp = regexp.MustCompile(`^\d+(\.\d+)?$`)

// between keeps the messages of the time that a call asks for.
func between(a arguments, list []*Message) ([]*Message, error) {
	oldest, latest := a.str("oldest"), a.str("latest")
	for _, ts := range []string{oldest, latest} {
		if ts != "" && !timestamp.MatchString(ts) {
			return nil, refuse("invalid_arguments")
		}
	}
	if oldest == "0" {
		oldest = ""
	}
	inclusive := a.bool("inclusive")
	return slices.DeleteFunc(list, func(m *Message) bool {
		after, before := compareTS(m.TS, oldest), compareTS(m.TS, latest)
		return oldest != "" && (after < 0 || after == 0 && !inclusive) ||
			latest != "" && (before > 0 || before == 0 && !inclusive)
	}), nil
}

func compareTS(a, b string) int {
	as, au, _ := strings.Cut(a, ".")
	bs, bu, _ := strings.Cut(b, ".")
	if len(as) != len(bs) {
		return len(as) - len(bs)
	}
	if c := strings.Compare(as, bs); c != 0 {
		return c
	}
	return strings.Compare(strings.TrimRight(au, "0"), strings.TrimRight(bu, "0"))
}

func (s *Server) conversationsHistory(c *call) (object, error) {
	ch, err := s.readable(c)
	if err != nil {
		return nil, err
	}
	var list []*Message
	for _, m := range slices.Backward(ch.messages) {
		if m.EphemeralTo == "" && (m.ThreadTS == "" || m.Broadcast) {
			list = append(list, m)
		}
	}
	return s.messagePage(c, ch, list)
}

func (s *Server) conversationsReplies(c *call) (object, error) {
	ch, err := s.readable(c)
	if err != nil {
		return nil, err
	}
	thread, err := ch.threadOf(c.args.str("ts"))
	if err != nil || thread == "" {
		return nil, refuse("thread_not_found")
	}
	var list []*Message
	for _, m := range ch.messages {
		if m.EphemeralTo == "" && (m.TS == thread || m.ThreadTS == thread) {
			list = append(list, m)
		}
	}
	return s.messagePage(c, ch, list)
}

func (s *Server) messagePage(c *call, ch *channel, list []*Message) (object, error) {
	list, err := between(c.args, list)
	if err != nil {
		return nil, err
	}
	list, next, err := page(list, c.args, 100, 999)
	if err != nil {
		return nil, err
	}
	messages := make([]object, len(list))
	for i, m := range list {
		messages[i] = s.messageObject(ch, m, c.args.bool("include_all_metadata"))
	}
	return object{
		"messages": messages, "has_more": next != "", "response_metadata": object{"next_cursor": next},
	}, nil
}

// messageObject is a message as the API and payloads show it.
func (s *Server) messageObject(c *channel, m *Message, metadata bool) object {
	o := object{"type": "message", "ts": m.TS, "user": m.User, "text": m.Text, "team": s.cfg.Team.ID}
	if m.BotID != "" {
		o["bot_id"], o["app_id"] = m.BotID, s.cfg.App.ID
		o["bot_profile"] = object{
			"id": m.BotID, "app_id": s.cfg.App.ID, "name": s.cfg.App.Name, "team_id": s.cfg.Team.ID, "deleted": false,
		}
	}
	if m.Blocks != nil {
		o["blocks"] = m.Blocks
	}
	if metadata && m.Metadata != nil {
		o["metadata"] = m.Metadata
	}
	if m.EditedTS != "" {
		o["edited"] = object{"user": m.User, "ts": m.EditedTS}
	}
	if m.ThreadTS != "" {
		o["thread_ts"] = m.ThreadTS
		return o
	}
	replies, latest := 0, ""
	for _, r := range c.messages {
		if r.ThreadTS == m.TS && r.EphemeralTo == "" {
			replies, latest = replies+1, r.TS
		}
	}
	if replies > 0 {
		o["thread_ts"], o["reply_count"], o["latest_reply"] = m.TS, replies, latest
	}
	return o
}

func (s *Server) channelObject(c *channel) object {
	member := c.has(s.cfg.App.UserID)
	if c.direct != "" {
		return object{"id": c.ID, "is_im": true, "user": c.direct, "is_open": true, "is_archived": false, "is_org_shared": false}
	}
	return object{
		"id": c.ID, "name": c.Name, "name_normalized": c.Name, "is_channel": !c.Private, "is_group": false,
		"is_im": false, "is_mpim": false, "is_private": c.Private, "is_member": member, "is_archived": false,
		"is_general": false, "is_shared": false, "is_ext_shared": false, "is_org_shared": false,
		"context_team_id": s.cfg.Team.ID,
		"topic":           object{"value": "", "creator": "", "last_set": 0},
		"purpose":         object{"value": "", "creator": "", "last_set": 0},
	}
}

func (s *Server) usersInfo(c *call) (object, error) {
	u := s.users[c.args.str("user")]
	if u == nil {
		return nil, refuse("user_not_found")
	}
	return object{"user": s.userObject(u)}, nil
}

func (s *Server) usersList(c *call) (object, error) {
	ids, next, err := page(s.userOrder, c.args, 0, 1000)
	if err != nil {
		return nil, err
	}
	members := make([]object, len(ids))
	for i, id := range ids {
		members[i] = s.userObject(s.users[id])
	}
	return object{
		"members": members, "cache_ts": s.cfg.Clock().Unix(), "response_metadata": object{"next_cursor": next},
	}, nil
}

func (s *Server) userObject(u *User) object {
	team := u.TeamID
	if team == "" {
		team = s.cfg.Team.ID
	}
	o := object{
		"id": u.ID, "team_id": team, "name": u.Name, "deleted": u.Deleted, "is_bot": u.Bot && u.ID != slackbotID,
		"is_app_user": false, "updated": s.cfg.Clock().Unix(),
		"profile": object{
			"real_name": u.RealName, "real_name_normalized": u.RealName,
			"display_name": u.DisplayName, "display_name_normalized": u.DisplayName, "team": team,
		},
	}
	if u.Deleted {
		return o // Slack leaves the rest out
	}
	location, err := time.LoadLocation(u.TZ)
	if err != nil {
		location = time.UTC
	}
	label, offset := s.cfg.Clock().In(location).Zone()
	o["real_name"], o["tz"], o["tz_label"], o["tz_offset"] = u.RealName, u.TZ, label, offset
	o["is_admin"], o["is_owner"], o["is_primary_owner"] = false, false, false
	o["is_restricted"], o["is_ultra_restricted"] = u.Guest != NotGuest, u.Guest == SingleChannelGuest
	if team != s.cfg.Team.ID {
		o["is_stranger"] = true
	}
	return o
}

func (s *Server) usergroupsList(c *call) (object, error) {
	list := make([]object, len(s.groups))
	for i, g := range s.groups {
		o := object{
			"id": g.ID, "team_id": s.cfg.Team.ID, "is_usergroup": true, "name": g.Name, "handle": g.Handle,
			"description": "", "is_external": false, "date_delete": 0, "auto_type": nil, "user_count": len(g.Members),
		}
		if c.args.bool("include_users") {
			o["users"] = slices.Clone(g.Members)
		}
		list[i] = o
	}
	return object{"usergroups": list}, nil
}

func (s *Server) usergroupsUsersList(c *call) (object, error) {
	g, ok := s.group(c.args.str("usergroup"))
	if !ok {
		return nil, refuse("no_such_subteam")
	}
	return object{"users": append([]string{}, g.Members...)}, nil
}
