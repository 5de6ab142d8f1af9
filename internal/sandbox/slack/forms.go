package slack

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
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
	if len(s.chosen) >= maxKept {
		clear(s.chosen)
	}
	key := on.key(user)
	if s.chosen[key] == nil {
		s.chosen[key] = make(state)
	}
	s.chosen[key].set(block, element, action)
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

// chosenValue returns the value object for what a person enters in an element.
func chosenValue(e object, values []string) (object, error) {
	kind, id := str(e, "type"), str(e, "action_id")
	key, list := valueKey(kind)
	if !list && len(values) > 1 {
		return nil, fmt.Errorf("%s takes one value, not %d", id, len(values))
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
	case key == "selected_date_time":
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s takes a time in seconds: %w", id, err)
		}
		return object{key: n}, nil
	case key == "value":
		return object{key: values[0]}, checkText(e, values[0])
	}
	return object{key: values[0]}, nil
}

func checkText(e object, text string) error {
	n, id := utf8.RuneCountInString(text), str(e, "action_id")
	most := 3000
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
	lists := []any{e["options"]}
	groups, _ := e["option_groups"].([]any)
	for _, g := range groups {
		if group, ok := g.(object); ok {
			lists = append(lists, group["options"])
		}
	}
	for _, l := range lists {
		options, _ := l.([]any)
		for _, o := range options {
			if option, ok := o.(object); ok && str(option, "value") == value {
				return option, true
			}
		}
	}
	return nil, false
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
