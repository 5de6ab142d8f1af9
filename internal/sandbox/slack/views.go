package slack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
)

// maxView is how many bytes of JSON Slack takes as a view.
const maxView = 250_000

// maxStack is how many modals Slack stacks for one person.
const maxStack = 3

// readView checks the view that a call carries.
func readView(a arguments, kind string) (object, error) {
	v, err := a.json("view")
	view, ok := v.(object)
	if err != nil || !ok {
		return nil, refuseArguments("invalid_arguments", []string{"missing required field: view [json-pointer:/view]"})
	}
	return view, checkDefinition(view, kind)
}

func checkDefinition(view object, kind string) error {
	problems := checkView(view)
	if got := str(view, "type"); len(problems) == 0 && got != kind {
		problems = []string{"must be a " + kind + ", not a " + got + " [json-pointer:/view/type]"}
	}
	if len(problems) > 0 {
		return refuseArguments("invalid_arguments", problems)
	}
	if len(encode(view)) > maxView {
		return refuse("view_too_large")
	}
	return nil
}

// define sets what the app says of a view.
func (v *View) define(def object) {
	blocks, _ := def["blocks"].([]any)
	assignIDs(blocks)
	v.Type, v.CallbackID, v.ExternalID = str(def, "type"), str(def, "callback_id"), str(def, "external_id")
	v.PrivateMetadata = str(def, "private_metadata")
	v.Title, v.Submit, v.CloseText = textOf(def["title"]), textOf(def["submit"]), textOf(def["close"])
	v.Blocks = encode(append([]any{}, blocks...))
	v.ClearOnClose, _ = def["clear_on_close"].(bool)
	v.NotifyOnClose, _ = def["notify_on_close"].(bool)
	v.Hash = rand.Text()
	v.Errors, v.Trouble = nil, ""
}

func textOf(v any) string {
	o, _ := v.(object)
	return str(o, "text")
}

// externalIDTaken tells whether another view than the one with this ID has the external ID.
func (s *Server) externalIDTaken(external, id string) bool {
	return external != "" && slices.ContainsFunc(s.viewIDs, func(other string) bool {
		return other != id && s.views[other].ExternalID == external
	})
}

// addView puts a new view on top of a person's. s.mu is held.
func (s *Server) addView(user string, def object, under *View) *View {
	v := &View{ID: s.newID("V"), User: user}
	v.define(def)
	v.RootViewID = v.ID
	if under != nil {
		v.RootViewID, v.PreviousViewID = under.RootViewID, under.ID
	}
	s.views[v.ID] = v
	s.viewIDs = append(s.viewIDs, v.ID)
	if len(s.viewIDs) > maxKept {
		s.dropView(s.viewIDs[0])
	}
	s.notifyView(v)
	return v
}

// updateView replaces the view, which a State may share, by one with another definition. s.mu is held.
func (s *Server) updateView(old *View, change func(v *View)) *View {
	v := *old
	change(&v)
	s.views[v.ID] = &v
	s.notifyView(&v)
	return &v
}

// dropView forgets a view. s.mu is held.
func (s *Server) dropView(id string) {
	v := s.views[id]
	if v == nil {
		return
	}
	delete(s.views, id)
	delete(s.chosen, Target{View: id}.key(v.User))
	s.viewIDs = slices.DeleteFunc(s.viewIDs, func(other string) bool { return other == id })
	if s.homes[v.User] == id {
		delete(s.homes, v.User)
	}
	s.notifyView(v)
}

// stack returns a person's open modals of one root, the lowest first.
func (s *Server) stack(root string) []*View {
	var list []*View
	for _, id := range s.viewIDs {
		if v := s.views[id]; v.RootViewID == root && v.Type == "modal" {
			list = append(list, v)
		}
	}
	return list
}

func (s *Server) notifyView(v *View) {
	kind := "view"
	if v.Type == "home" {
		kind = "home"
	}
	s.notify(Change{Kind: kind, User: v.User})
}

func (s *Server) viewsOpen(c *call) (object, error) { return s.openView(c, false) }
func (s *Server) viewsPush(c *call) (object, error) { return s.openView(c, true) }

func (s *Server) openView(c *call, push bool) (object, error) {
	def, err := readView(c.args, "modal")
	if err != nil {
		return nil, err
	}
	if s.externalIDTaken(str(def, "external_id"), "") {
		return nil, refuse("duplicate_external_id")
	}
	t, err := s.useTrigger(c.args.str("trigger_id"))
	if err != nil {
		return nil, refuse(err.Error())
	}
	var under *View
	if push {
		if under = s.views[t.view]; under == nil || under.Type != "modal" {
			return nil, refuse("view_not_found")
		}
		if len(s.stack(under.RootViewID)) >= maxStack {
			return nil, refuse("push_limit_reached")
		}
	}
	v := s.addView(t.user, def, under)
	return object{"view": s.viewObject(v)}, nil
}

func (s *Server) viewsUpdate(c *call) (object, error) {
	old := s.views[c.args.str("view_id")]
	if external := c.args.str("external_id"); old == nil && external != "" {
		for _, id := range s.viewIDs {
			if s.views[id].ExternalID == external {
				old = s.views[id]
			}
		}
	}
	if old == nil {
		return nil, refuse("not_found")
	}
	def, err := readView(c.args, old.Type)
	if err != nil {
		return nil, err
	}
	if hash := c.args.str("hash"); hash != "" && hash != old.Hash {
		return nil, refuse("hash_conflict")
	}
	if s.externalIDTaken(str(def, "external_id"), old.ID) {
		return nil, refuse("duplicate_external_id")
	}
	return object{"view": s.viewObject(s.redefine(old, def))}, nil
}

// redefine gives a modal another definition. What its fields held they go on to hold, whatever the new ones
// of the same IDs would begin with.
func (s *Server) redefine(old *View, def object) *View {
	if old.Type == "modal" {
		s.keep(old.User, old.Target(), buildState(decodeBlocks(old.Blocks), s.chosen[old.Target().key(old.User)]))
	}
	return s.updateView(old, func(v *View) { v.define(def) })
}

func (s *Server) viewsPublish(c *call) (object, error) {
	user := c.args.str("user_id")
	if s.users[user] == nil {
		return nil, refuse("user_not_found")
	}
	def, err := readView(c.args, "home")
	if err != nil {
		return nil, err
	}
	old := s.views[s.homes[user]]
	if hash := c.args.str("hash"); hash != "" && (old == nil || hash != old.Hash) {
		return nil, refuse("hash_conflict")
	}
	if old == nil {
		v := s.addView(user, def, nil)
		s.homes[user] = v.ID
		return object{"view": s.viewObject(v)}, nil
	}
	v := s.updateView(old, func(v *View) { v.define(def) })
	return object{"view": s.viewObject(v)}, nil
}

// viewObject is a view as the API and payloads show it.
func (s *Server) viewObject(v *View) object {
	o := object{
		"id": v.ID, "team_id": s.cfg.Team.ID, "app_id": s.cfg.App.ID, "app_installed_team_id": s.cfg.Team.ID,
		"bot_id": s.cfg.App.BotID, "type": v.Type, "callback_id": v.CallbackID, "external_id": v.ExternalID,
		"private_metadata": v.PrivateMetadata, "blocks": v.Blocks, "hash": v.Hash,
		"root_view_id": v.RootViewID, "previous_view_id": nil,
		"clear_on_close": v.ClearOnClose, "notify_on_close": v.NotifyOnClose,
		"state": object{"values": buildState(decodeBlocks(v.Blocks), s.chosen[Target{View: v.ID}.key(v.User)])},
		"title": plainText(v.Title), "submit": nil, "close": nil,
	}
	if v.PreviousViewID != "" {
		o["previous_view_id"] = v.PreviousViewID
	}
	if v.Submit != "" {
		o["submit"] = plainText(v.Submit)
	}
	if v.CloseText != "" {
		o["close"] = plainText(v.CloseText)
	}
	return o
}

func plainText(text string) object {
	return object{"type": "plain_text", "text": text, "emoji": true}
}

// hasInput tells whether a view has an input block with this ID.
func hasInput(v *View, blockID string) bool {
	return slices.ContainsFunc(decodeBlocks(v.Blocks), func(b any) bool {
		block, _ := b.(object)
		return isInput(b) && str(block, "block_id") == blockID
	})
}

// answerSubmission does what the app's acknowledgement of a submission says: by default, the view closes.
func (s *Server) answerSubmission(v *View, payload object) error {
	switch action := str(payload, "response_action"); action {
	case "":
		s.dropView(v.ID)
	case "clear":
		for _, other := range s.stack(v.RootViewID) {
			s.dropView(other.ID)
		}
	case "errors":
		list, _ := payload["errors"].(object)
		if len(list) == 0 {
			return errors.New("the app refused the submission without saying why")
		}
		shown := make(map[string]string)
		for block, message := range list {
			if !hasInput(v, block) {
				return fmt.Errorf("the app refused the field %q, which the view doesn't have", block)
			}
			shown[block], _ = message.(string)
		}
		s.updateView(v, func(v *View) { v.Errors, v.Trouble = shown, "" })
	case "update", "push":
		def, ok := payload["view"].(object)
		if !ok {
			return errors.New("the app answered the submission with no view")
		}
		if err := checkDefinition(def, "modal"); err != nil {
			return err
		}
		if action == "update" {
			s.redefine(v, def)
		} else if len(s.stack(v.RootViewID)) >= maxStack {
			return refuse("push_limit_reached")
		} else {
			s.addView(v.User, def, v)
		}
	default:
		return errors.New("the app answered the submission with the unknown action " + action)
	}
	return nil
}
