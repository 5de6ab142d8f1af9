package slack

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// set keeps a copy of the value of an element.
func (st state) set(block, element object, value object) {
	b, a := str(block, "block_id"), str(element, "action_id")
	if st[b] == nil {
		st[b] = make(map[string]map[string]any)
	}
	value = maps.Clone(value)
	value["type"] = element["type"]
	st[b][a] = value
}

// choose keeps what a person has selected in a message or a view. s.mu is held.
func (s *Server) choose(user string, on Target, block, element, action object) {
	st := s.chosen[on.key(user)]
	if st == nil {
		st = make(state)
	}
	st.set(block, element, action)
	s.keep(user, on, st)
}

// keep keeps all that a person has entered in a message or a view. s.mu is held.
func (s *Server) keep(user string, on Target, st state) {
	if len(s.chosen) >= maxKept {
		clear(s.chosen)
	}
	s.chosen[on.key(user)] = st
}

// fill returns what is entered in blocks once values are filled in. s.mu is held.
func (s *Server) fill(blocks []any, chosen state, values map[string][]string) (state, error) {
	st := make(state)
	for block, actions := range chosen {
		st[block] = maps.Clone(actions)
	}
	for key, given := range values {
		b, e, err := findElement(blocks, Action{BlockID: key})
		if err != nil {
			if b, e, err = findElement(blocks, Action{ID: key}); err != nil {
				return nil, fmt.Errorf("there is no single field %q", key)
			}
		}
		value, err := s.chosenValue(e, given)
		if err != nil {
			return nil, err
		}
		st.set(b, e, value)
	}
	return st, nil
}

// buildState returns the values of every element that has one: what was chosen, else what it began with.
func buildState(blocks []any, chosen state) state {
	st := make(state)
	eachElement(blocks, func(b, e object) bool {
		if e["type"] == "button" || e["type"] == "overflow" || e["type"] == "workflow_button" {
			return true
		}
		if value, ok := chosen[str(b, "block_id")][str(e, "action_id")]; ok {
			st.set(b, e, value)
		} else {
			st.set(b, e, initialValue(e))
		}
		return true
	})
	return st
}

// valueKey is where the value object of an element keeps what was chosen, and whether that is a list.
func valueKey(kind string) (key string, list bool) {
	multi := strings.HasPrefix(kind, "multi_")
	plural := func(word string) string {
		if multi {
			return word + "s"
		}
		return word
	}
	switch strings.TrimPrefix(kind, "multi_") {
	case "static_select", "external_select":
		return plural("selected_option"), multi
	case "radio_buttons", "overflow":
		return "selected_option", false
	case "checkboxes":
		return "selected_options", true
	case "users_select":
		return plural("selected_user"), multi
	case "conversations_select":
		return plural("selected_conversation"), multi
	case "channels_select":
		return plural("selected_channel"), multi
	case "datepicker":
		return "selected_date", false
	case "timepicker":
		return "selected_time", false
	case "datetimepicker":
		return "selected_date_time", false
	}
	return "value", false // every kind of text field
}

func initialValue(e object) object {
	key, list := valueKey(str(e, "type"))
	initial := e[map[string]string{
		"selected_option": "initial_option", "selected_options": "initial_options",
		"selected_user": "initial_user", "selected_users": "initial_users",
		"selected_conversation": "initial_conversation", "selected_conversations": "initial_conversations",
		"selected_channel": "initial_channel", "selected_channels": "initial_channels",
		"selected_date": "initial_date", "selected_time": "initial_time",
		"selected_date_time": "initial_date_time", "value": "initial_value",
	}[key]]
	if initial == nil && list {
		initial = []any{}
	}
	return object{key: initial}
}

// chosenValue returns the value object for what a person enters in an element, if Slack's own client lets
// them enter it. s.mu is held.
func (s *Server) chosenValue(e object, values []string) (object, error) {
	kind, id := str(e, "type"), str(e, "action_id")
	key, list := valueKey(kind)
	if !list && len(values) > 1 {
		return nil, fmt.Errorf("%s takes one value, not %d", id, len(values))
	}
	if most, ok := number(e["max_selected_items"]); ok && list && len(values) > most {
		return nil, fmt.Errorf("%s takes at most %d values, not %d", id, most, len(values))
	}
	for _, v := range values {
		if err := s.checkEntry(e, key, v); err != nil {
			return nil, fmt.Errorf("%s takes %w", id, err)
		}
	}
	var options []any
	if strings.HasPrefix(key, "selected_option") {
		for _, v := range values {
			o, ok := findOption(e, v)
			if !ok {
				return nil, fmt.Errorf("%s has no option %q", id, v)
			}
			options = append(options, o)
		}
		if list {
			return object{key: append([]any{}, options...)}, nil
		}
	}
	switch {
	case list:
		return object{key: append([]string{}, values...)}, nil
	case len(values) == 0:
		return object{key: nil}, nil
	case options != nil:
		return object{key: options[0]}, nil
	case values[0] == "":
		return object{key: nil}, nil
	case key == "selected_date_time":
		return object{key: json.Number(values[0])}, nil
	case key == "value":
		return object{key: values[0]}, checkText(e, values[0])
	}
	return object{key: values[0]}, nil
}

// checkEntry refuses what can't be entered. The error says what can. What is empty is left out.
func (s *Server) checkEntry(e object, key, value string) error {
	if value == "" {
		return nil
	}
	ok, want := true, ""
	switch strings.TrimSuffix(key, "s") {
	case "selected_user":
		ok, want = s.users[value] != nil, "a user"
	case "selected_channel", "selected_conversation":
		ok, want = s.channels[value] != nil, "a channel"
	case "selected_date":
		_, err := time.Parse(time.DateOnly, value)
		ok, want = err == nil, "a date such as 2006-01-02"
	case "selected_time":
		_, err := time.Parse(timeOfDay, value)
		ok, want = err == nil, "a time such as 15:04"
	case "selected_date_time":
		n, err := strconv.ParseInt(value, 10, 64)
		ok, want = err == nil && isDateTime(n), "a time in seconds since 1970"
	}
	switch str(e, "type") {
	case "url_text_input":
		u, err := url.Parse(value)
		ok, want = err == nil && u.Scheme != "" && u.Host != "", "a link such as https://example.org"
	case "email_text_input":
		_, err := mail.ParseAddress(value)
		ok, want = err == nil, "an e-mail address"
	case "number_input":
		return checkNumber(e, value)
	}
	if !ok {
		return fmt.Errorf("%s, not %q", want, value)
	}
	return nil
}

func checkNumber(e object, value string) error {
	n, err := strconv.ParseFloat(value, 64)
	if decimal, _ := e["is_decimal_allowed"].(bool); err != nil || !decimal && n != math.Trunc(n) {
		return fmt.Errorf("a number, not %q", value)
	}
	if least, err := strconv.ParseFloat(str(e, "min_value"), 64); err == nil && n < least {
		return fmt.Errorf("at least %v", least)
	}
	if most, err := strconv.ParseFloat(str(e, "max_value"), 64); err == nil && n > most {
		return fmt.Errorf("at most %v", most)
	}
	return nil
}

func checkText(e object, text string) error {
	n, id := utf8.RuneCountInString(text), str(e, "action_id")
	most := maxInputText
	if v, ok := number(e["max_length"]); ok {
		most = v
	}
	least, _ := number(e["min_length"])
	switch {
	case n > most:
		return fmt.Errorf("%s takes at most %d characters, not %d", id, most, n)
	case n > 0 && n < least:
		return fmt.Errorf("%s takes at least %d characters, not %d", id, least, n)
	}
	return nil
}

func number(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}

// findOption returns the option with this value. External menus take any: their options come from the app.
func findOption(e object, value string) (object, bool) {
	if strings.HasSuffix(str(e, "type"), "external_select") {
		return object{"text": plainText(value), "value": value}, true
	}
	for _, option := range allOptions(e) {
		if str(option, "value") == value {
			return option, true
		}
	}
	return nil, false
}

// allOptions are an element's options, those in groups included.
func allOptions(e object) []object {
	lists := []any{e["options"]}
	groups, _ := e["option_groups"].([]any)
	for _, g := range groups {
		if group, ok := g.(object); ok {
			lists = append(lists, group["options"])
		}
	}
	var all []object
	for _, l := range lists {
		options, _ := l.([]any)
		for _, o := range options {
			if option, ok := o.(object); ok {
				all = append(all, option)
			}
		}
	}
	return all
}

func optionValues(e object) []string {
	var values []string
	for _, option := range allOptions(e) {
		values = append(values, str(option, "value"))
	}
	return values
}

// initialEntry is what an element holds to begin with, as a person would enter it.
func initialEntry(e object) []string {
	key, _ := valueKey(str(e, "type"))
	list, ok := initialValue(e)[key].([]any)
	if !ok {
		list = []any{initialValue(e)[key]}
	}
	var entry []string
	for _, v := range list {
		switch v := v.(type) {
		case object:
			entry = append(entry, str(v, "value"))
		case string:
			entry = append(entry, v)
		case json.Number:
			entry = append(entry, v.String())
		}
	}
	return entry
}

// requireInputs refuses a form in which something that must be filled in is empty.
func requireInputs(blocks []any, st state) error {
	for _, b := range blocks {
		block, _ := b.(object)
		element, _ := block["element"].(object)
		if optional, _ := block["optional"].(bool); !isInput(b) || optional {
			continue
		}
		key, _ := valueKey(str(element, "type"))
		empty := false
		switch v := st[str(block, "block_id")][str(element, "action_id")][key].(type) {
		case nil:
			empty = true
		case string:
			empty = v == ""
		case []any:
			empty = len(v) == 0
		case []string:
			empty = len(v) == 0
		}
		if empty {
			return fmt.Errorf("%q must be filled in", textOf(block["label"]))
		}
	}
	return nil
}
