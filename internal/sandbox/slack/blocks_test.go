package slack_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// repeat returns n blocks.
func repeat(n int, block func(i int) any) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = block(i)
	}
	return list
}

func TestBlockKitLimits(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	type o = map[string]any
	// é is one character and two bytes.
	text := func(n int) string { return strings.Repeat("é", n) }
	divider := func(int) any { return o{"type": "divider"} }
	option := func(label, value string) any { return o{"text": plain(label), "value": value} }
	withButton := func(change func(b o)) []any {
		b := button("b", "v")
		change(b)
		return []any{actions(b)}
	}
	withConfirm := func(key string, n int) []any {
		c := o{"title": plain("t"), "text": plain("t"), "confirm": plain("t"), "deny": plain("t")}
		c[key] = plain(text(n))
		return withButton(func(b o) { b["confirm"] = c })
	}
	menu := func(options ...any) any {
		return o{"type": "static_select", "action_id": "m", "options": options}
	}

	const message, asModal, asHome = "message", "modal", "home"
	for _, c := range []struct {
		name    string
		surface string
		fits    []any  // the most that Slack takes
		over    []any  // one more
		problem string // what Slack says of it
	}{
		{"blocks of a message", message, repeat(50, divider), repeat(51, divider), "no more than 50 items allowed [json-pointer:/blocks]"},
		{"blocks of a modal", asModal, repeat(100, divider), repeat(101, divider), "no more than 100 items allowed [json-pointer:/view/blocks]"},
		{"blocks of a home", asHome, repeat(100, divider), repeat(101, divider), "no more than 100 items allowed [json-pointer:/view/blocks]"},
		{"text", message, []any{section(text(3000))}, []any{section(text(3001))}, "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"},
		{"empty text", message, []any{section("x")}, []any{section("")}, "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		{"no text", message, []any{section("x")}, []any{o{"type": "section"}}, "missing required field: text [json-pointer:/blocks/0]"},
		{"header", message, []any{o{"type": "header", "text": plain(text(150))}}, []any{o{"type": "header", "text": plain(text(151))}}, "must be less than 151 characters [json-pointer:/blocks/0/text/text]"},
		{"header's markup", message, []any{o{"type": "header", "text": plain("x")}}, []any{o{"type": "header", "text": o{"type": "mrkdwn", "text": "x"}}}, "must be plain_text [json-pointer:/blocks/0/text/type]"},
		{"fields", message,
			[]any{o{"type": "section", "fields": repeat(10, func(int) any { return plain("x") })}},
			[]any{o{"type": "section", "fields": repeat(11, func(int) any { return plain("x") })}},
			"no more than 10 items allowed [json-pointer:/blocks/0/fields]"},
		{"field", message,
			[]any{o{"type": "section", "fields": []any{plain(text(2000))}}},
			[]any{o{"type": "section", "fields": []any{plain(text(2001))}}},
			"must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]"},
		{"button text", message, withButton(func(b o) { b["text"] = plain(text(75)) }), withButton(func(b o) { b["text"] = plain(text(76)) }), "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]"},
		{"button value", message, withButton(func(b o) { b["value"] = text(2000) }), withButton(func(b o) { b["value"] = text(2001) }), "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"},
		{"button style", message, withButton(func(b o) { b["style"] = "danger" }), withButton(func(b o) { b["style"] = "loud" }), "must be primary or danger [json-pointer:/blocks/0/elements/0/style]"},
		{"action ID", message, withButton(func(b o) { b["action_id"] = text(255) }), withButton(func(b o) { b["action_id"] = text(256) }), "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]"},
		{"block ID", message, []any{o{"type": "divider", "block_id": text(255)}}, []any{o{"type": "divider", "block_id": text(256)}}, "must be less than 256 characters [json-pointer:/blocks/0/block_id]"},
		{"block ID twice", message, []any{o{"type": "divider", "block_id": "a"}, o{"type": "divider", "block_id": "b"}}, []any{o{"type": "divider", "block_id": "a"}, o{"type": "divider", "block_id": "a"}}, "`block_id` already exists: a [json-pointer:/blocks/1/block_id]"},
		{"actions", message,
			[]any{actions(repeat(25, func(i int) any { return button(fmt.Sprint(i), "") })...)},
			[]any{actions(repeat(26, func(i int) any { return button(fmt.Sprint(i), "") })...)},
			"no more than 25 items allowed [json-pointer:/blocks/0/elements]"},
		{"action ID twice", message, []any{actions(button("a", ""), button("b", ""))}, []any{actions(button("a", ""), button("a", ""))}, "`action_id` already exists: a [json-pointer:/blocks/0/elements/1/action_id]"},
		{"context", message,
			[]any{o{"type": "context", "elements": repeat(10, func(int) any { return plain("x") })}},
			[]any{o{"type": "context", "elements": repeat(11, func(int) any { return plain("x") })}},
			"no more than 10 items allowed [json-pointer:/blocks/0/elements]"},
		{"confirm title", message, withConfirm("title", 100), withConfirm("title", 101), "must be less than 101 characters [json-pointer:/blocks/0/elements/0/confirm/title/text]"},
		{"confirm text", message, withConfirm("text", 300), withConfirm("text", 301), "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]"},
		{"confirm button", message, withConfirm("confirm", 30), withConfirm("confirm", 31), "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/confirm/text]"},
		{"deny button", message, withConfirm("deny", 30), withConfirm("deny", 31), "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/deny/text]"},
		{"options", message,
			[]any{actions(menu(repeat(100, func(i int) any { return option("x", fmt.Sprint(i)) })...))},
			[]any{actions(menu(repeat(101, func(i int) any { return option("x", fmt.Sprint(i)) })...))},
			"no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]"},
		{"option text", message, []any{actions(menu(option(text(75), "1")))}, []any{actions(menu(option(text(76), "1")))}, "must be less than 76 characters [json-pointer:/blocks/0/elements/0/options/0/text/text]"},
		{"option value", message, []any{actions(menu(option("x", text(150))))}, []any{actions(menu(option("x", text(151))))}, "must be less than 151 characters [json-pointer:/blocks/0/elements/0/options/0/value]"},
		{"option's markup", message, []any{actions(menu(option("x", "1")))}, []any{actions(menu(o{"text": o{"type": "mrkdwn", "text": "x"}, "value": "1"}))}, "must be plain_text [json-pointer:/blocks/0/elements/0/options/0/text/type]"},
		{"initial option", message,
			[]any{actions(o{"type": "static_select", "action_id": "m", "options": []any{option("x", "1")}, "initial_option": option("x", "1")})},
			[]any{actions(o{"type": "static_select", "action_id": "m", "options": []any{option("x", "1")}, "initial_option": option("x", "2")})},
			"an initial option must match one of the options [json-pointer:/blocks/0/elements/0]"},
		{"initial options", asModal,
			[]any{input("i", true, o{"type": "multi_static_select", "options": []any{option("x", "1")}, "initial_options": []any{option("x", "1")}, "max_selected_items": 1})},
			[]any{input("i", true, o{"type": "multi_static_select", "options": []any{option("x", "1")}, "max_selected_items": 0})},
			"must be between 1 and 2147483647 [json-pointer:/view/blocks/0/element/max_selected_items]"},
		{"initial date", asModal, []any{input("i", true, o{"type": "datepicker", "initial_date": "2026-03-01"})}, []any{input("i", true, o{"type": "datepicker", "initial_date": "1 March"})}, "must be of the form YYYY-MM-DD [json-pointer:/view/blocks/0/element/initial_date]"},
		{"initial time", asModal, []any{input("i", true, o{"type": "timepicker", "initial_time": "09:30"})}, []any{input("i", true, o{"type": "timepicker", "initial_time": "9.30"})}, "must be of the form HH:mm [json-pointer:/view/blocks/0/element/initial_time]"},
		{"initial moment", asModal, []any{input("i", true, o{"type": "datetimepicker", "initial_date_time": 1772355600})}, []any{input("i", true, o{"type": "datetimepicker", "initial_date_time": 1772355600000})}, "must be a UNIX timestamp of 10 digits [json-pointer:/view/blocks/0/element/initial_date_time]"},
		{"initial text", asModal, []any{input("i", true, o{"type": "plain_text_input", "initial_value": text(3000)})}, []any{input("i", true, o{"type": "plain_text_input", "initial_value": text(3001)})}, "must be less than 3001 characters [json-pointer:/view/blocks/0/element/initial_value]"},
		{"length of a text", asModal, []any{input("i", true, o{"type": "plain_text_input", "max_length": 3000})}, []any{input("i", true, o{"type": "plain_text_input", "max_length": 3001})}, "must be between 1 and 3000 [json-pointer:/view/blocks/0/element/max_length]"},
		{"number", asModal, []any{input("i", true, o{"type": "number_input", "is_decimal_allowed": false})}, []any{input("i", true, o{"type": "number_input"})}, "missing required field: is_decimal_allowed [json-pointer:/view/blocks/0/element]"},
		{"unknown block", message, []any{divider(0)}, []any{o{"type": "dividor"}}, "unsupported type: dividor [json-pointer:/blocks/0/type]"},
		{"element out of place", message, []any{actions(menu(option("x", "1")))}, []any{actions(o{"type": "plain_text_input", "action_id": "x"})}, "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]"},
		{"not an object", message, []any{divider(0)}, []any{"divider"}, "must be an object [json-pointer:/blocks/0]"},
		{"label", asModal, []any{input("i", false, o{"type": "plain_text_input"})}, []any{o{"type": "input", "element": o{"type": "plain_text_input"}}}, "missing required field: label [json-pointer:/view/blocks/0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			try := func(blocks []any) o {
				switch c.surface {
				case asModal:
					if _, err := s.Slash(t.Context(), alice, general, "/open", ""); err != nil {
						t.Fatal(err)
					}
					view := modal("m")
					view["blocks"] = blocks
					_, got := api(t, s, botToken, "views.open", o{"trigger_id": payload(a.next())["trigger_id"], "view": view})
					return got
				case asHome:
					_, got := api(t, s, botToken, "views.publish", o{"user_id": alice, "view": o{"type": "home", "blocks": blocks}})
					return got
				}
				_, got := api(t, s, botToken, "chat.postMessage", o{"channel": general, "text": "x", "blocks": blocks})
				return got
			}
			if got := try(c.fits); got["ok"] != true {
				t.Errorf("what just fits: %v", got)
			}
			code := "invalid_blocks"
			if c.surface != message {
				code = "invalid_arguments"
			}
			got := try(c.over)
			metadata, _ := got["response_metadata"].(o)
			messages, _ := metadata["messages"].([]any)
			if got["error"] != code || !slices.Equal(messages, []any{"[ERROR] " + c.problem}) {
				t.Errorf("one over: %v, want %s", got, c.problem)
			}
		})
	}
}

func TestModalLimits(t *testing.T) {
	s := start(t, config())
	type o = map[string]any
	for name, c := range map[string]struct {
		change  func(v o)
		problem string
	}{
		"title":            {func(v o) { v["title"] = plain(strings.Repeat("é", 25)) }, "must be less than 25 characters [json-pointer:/view/title/text]"},
		"submit":           {func(v o) { v["submit"] = plain(strings.Repeat("é", 25)) }, "must be less than 25 characters [json-pointer:/view/submit/text]"},
		"private metadata": {func(v o) { v["private_metadata"] = strings.Repeat("é", 3001) }, "must be less than 3001 characters [json-pointer:/view/private_metadata]"},
		"callback ID":      {func(v o) { v["callback_id"] = strings.Repeat("é", 256) }, "must be less than 256 characters [json-pointer:/view/callback_id]"},
		"no title":         {func(v o) { delete(v, "title") }, "missing required field: title [json-pointer:/view]"},
		"nothing to send":  {func(v o) { delete(v, "submit") }, "`submit` is required when an `input` block is within `blocks` [json-pointer:/view/submit]"},
		"type":             {func(v o) { v["type"] = "dialog" }, "unsupported type: dialog [json-pointer:/view/type]"},
	} {
		v := modal("m", textInput("x"))
		c.change(v)
		_, got := api(t, s, botToken, "views.open", o{"trigger_id": "any", "view": v})
		metadata, _ := got["response_metadata"].(o)
		messages, _ := metadata["messages"].([]any)
		if got["error"] != "invalid_arguments" || !slices.Equal(messages, []any{"[ERROR] " + c.problem}) {
			t.Errorf("%s: %v, want %s", name, got, c.problem)
		}
	}
}

func TestBlocksOfAMessageAreTooLongTogether(t *testing.T) {
	s := start(t, config())
	type o = map[string]any
	sections := func(last int) []any {
		list := repeat(4, func(int) any { return section(strings.Repeat("é", 3000)) })
		return append(list, section(strings.Repeat("é", last)))
	}
	ts := must(t, s, "chat.postMessage", o{"channel": general, "text": "x", "blocks": sections(950)})["ts"]
	for method, args := range map[string]o{
		"chat.postMessage": {"channel": general, "text": "x"},
		"chat.update":      {"channel": general, "text": "x", "ts": ts},
	} {
		args["blocks"] = sections(951)
		if _, got := api(t, s, botToken, method, args); got["error"] != "msg_blocks_too_long" {
			t.Errorf("%s: %v", method, got)
		}
	}
}

func TestLongTextIsCut(t *testing.T) {
	s := start(t, config())
	got := must(t, s, "chat.postMessage", map[string]any{"channel": general, "text": strings.Repeat("é", 40_001)})
	if n := len([]rune(s.Messages(general)[0].Text)); n != 40_000 || got["response_metadata"] == nil {
		t.Errorf("the text has %d characters; the answer is %v", n, got["response_metadata"])
	}
}

func TestBlocksAreGivenIDs(t *testing.T) {
	s := start(t, config())
	b := button("", "")
	delete(b, "action_id")
	must(t, s, "chat.postMessage", map[string]any{"channel": general, "text": "x", "blocks": []any{
		map[string]any{"type": "section", "text": plain("x"), "accessory": b}}})
	elements := s.Messages(general)[0].Elements()
	if len(elements) != 1 || elements[0].BlockID == "" || elements[0].ActionID == "" || elements[0].Text != "Press" {
		t.Errorf("the elements are %+v", elements)
	}
}

// Whatever the blocks are, Slack answers; it doesn't break.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{
		`[]`, `null`, `{}`, `[null]`, `[{"type":"section","text":{"type":"mrkdwn","text":"x"},"accessory":7}]`,
		`[{"type":"actions","elements":[{"type":"button","text":[],"confirm":1}]}]`,
		`[{"type":"actions","elements":[{"type":"static_select","option_groups":[{"options":[1]}]}]}]`,
		`[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"checkboxes","options":[{}]}}]`,
		`[{"type":"context","elements":[{"type":"image"}, 1]}]`, `[{"type":1,"block_id":2}] x`,
	} {
		f.Add(seed)
	}
	s := start(f, config())
	f.Fuzz(func(t *testing.T, blocks string) {
		_, got := api(t, s, botToken, "chat.postMessage", map[string]any{"channel": general, "text": "x", "blocks": blocks})
		switch got["error"] {
		case nil:
			messages := s.Messages(general)
			m := messages[len(messages)-1]
			m.Shown()
			m.Elements()
		case "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "request_too_large":
		default:
			t.Errorf("%q: %v", blocks, got)
		}
	})
}
