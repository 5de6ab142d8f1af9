package slack

import (
	"errors"
	"mime"
	"net/http"
	"time"
)

// serveResponseURL takes what the app says to a response URL. Slack answers text/plain "ok".
//
// A URL that came with a button may replace or delete the message that the button was on. One that came
// with a slash command has no such message, and always speaks anew, whatever replace_original says
// (slackapi/bolt-js issue 2287, slackapi/bolt-python issue 1268).
func (s *Server) serveResponseURL(w http.ResponseWriter, r *http.Request) {
	record := Call{Method: "response_url", Token: noToken}
	s.strike(w, r, &record, func() answer {
		status := http.StatusOK
		err := s.respond(r)
		header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
		body := []byte("ok")
		if err != nil {
			e := new(apiError)
			if !errors.As(err, &e) {
				e = refuse("internal_error")
			}
			record.Error = e.code
			status, body = http.StatusBadRequest, []byte(e.code)
			if e.status == http.StatusNotFound {
				status, body = e.status, encode(object{"ok": false, "error": e.code})
				header.Set("Content-Type", "application/json; charset=utf-8")
			}
		}
		return answer{status, header, body}
	})
}

func (s *Server) respond(r *http.Request) error {
	args, err := readArguments(r)
	if err != nil {
		return err
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		payload, err := args.json("payload")
		o, ok := payload.(object)
		if err != nil || !ok {
			return refuse("invalid_payload")
		}
		args = arguments{values: o}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.replies[r.PathValue("id")]
	switch {
	case u == nil:
		return &apiError{code: "expired_url", status: http.StatusNotFound}
	case s.cfg.Clock().Sub(u.at) > responseURLLife:
		return &apiError{code: "expired_url", status: http.StatusNotFound}
	case u.uses >= responseURLUses:
		return &apiError{code: "used_url", status: http.StatusNotFound}
	}
	c := s.channels[u.channel]
	i, original := -1, (*Message)(nil)
	if u.original != "" {
		i, original = c.find(u.original, u.user)
	}
	if args.bool("delete_original") {
		if original != nil {
			s.remove(c, i)
		}
		u.use()
		return nil
	}
	v, err := readContent(args)
	if err != nil {
		return err
	}
	if v.empty() {
		return refuse("no_text")
	}
	u.use()
	if original != nil && args.bool("replace_original") {
		m := *original
		m.Text, m.Blocks = v.text, v.blocks
		if m.EphemeralTo == "" {
			m.EditedTS = s.newTS()
			if args.has("metadata") {
				m.Metadata = v.metadata
			}
		}
		u.delivery.answered(s.cfg.Clock(), *s.replace(c, i, m))
		return nil
	}
	u.delivery.answered(s.cfg.Clock(), *s.say(c, u.user, args, v))
	return nil
}

// answered keeps what the app has said in answer to an envelope.
func (d *delivery) answered(at time.Time, m Message) {
	if d != nil {
		m.At = at
		d.answers = append(d.answers, m)
	}
}

// use counts one use of the URL.
func (u *responseURL) use() {
	u.uses++
	if u.delivery != nil {
		u.delivery.Responses++
	}
}

// say posts what the app answers a person with: for them alone, unless it says in_channel.
func (s *Server) say(c *channel, user string, args arguments, v content) *Message {
	m := Message{User: s.cfg.App.UserID, BotID: s.cfg.App.BotID, Text: v.text, Blocks: v.blocks, EphemeralTo: user}
	if args.str("response_type") == "in_channel" {
		m.EphemeralTo, m.Metadata = "", v.metadata
	}
	if thread, err := c.threadOf(args.str("thread_ts")); err == nil {
		m.ThreadTS = thread
	}
	return s.post(c, m)
}
