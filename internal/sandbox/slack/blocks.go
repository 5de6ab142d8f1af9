package slack

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// surface is where blocks are shown; it decides how many and which are allowed.
type surface string

const (
	inMessage surface = "message"
	inModal   surface = "modal"
	inHome    surface = "home"
)

// maxBlocksText is how many characters of text Slack takes in the blocks of one message. It is not
// documented: a message of markdown blocks alone was refused from 13,298 on, and each further block
// takes a little of it (slackapi/bolt-js issues 2509 and 2867), for which blockOverhead stands.
const (
	maxBlocksText = 13_200
	blockOverhead = 50
)

// object is a JSON object whose numbers are json.Number.
type object = map[string]any

// decodeJSON decodes one JSON value, keeping numbers as they were written.
func decodeJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return v, nil
}

// decodeBlocks decodes blocks that this server stored.
func decodeBlocks(raw json.RawMessage) []any {
	if len(raw) == 0 {
		return nil
	}
	v, err := decodeJSON(raw)
	if err != nil {
		return nil
	}
	blocks, _ := v.([]any)
	return blocks
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		// Only what was decoded from JSON, and this package's own types, come here.
		panic(err)
	}
	return b
}

// limits gathers what is wrong with blocks, in Slack's words and with a JSON pointer to each place.
type limits struct {
	surface  surface
	problems []string
	blockIDs map[string]bool
}

// checkBlocks returns what Slack would refuse about the blocks; at is the pointer to them.
func checkBlocks(blocks []any, on surface, at string) []string {
	l := &limits{surface: on, blockIDs: make(map[string]bool)}
	most := 100
	if on == inMessage {
		most = 50
	}
	if len(blocks) > most {
		l.fail(at, "no more than %d items allowed", most)
		return l.problems
	}
	for i, b := range blocks {
		l.block(b, fmt.Sprintf("%s/%d", at, i))
	}
	return l.problems
}

// blocksTooLong tells whether a message's blocks hold more text than Slack takes.
func blocksTooLong(blocks []any) bool {
	return textLength(blocks)+blockOverhead*len(blocks) > maxBlocksText
}

func textLength(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += textLength(e)
		}
	case object:
		for key, e := range v {
			if s, ok := e.(string); ok && key == "text" {
				n += utf8.RuneCountInString(s)
			} else {
				n += textLength(e)
			}
		}
	}
	return n
}

func (l *limits) fail(at, format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

// str checks a string of at most max characters.
func (l *limits) str(o object, key, at string, required bool, max int) string {
	v, ok := o[key]
	if !ok || v == nil {
		if required {
			l.fail(at, "missing required field: %s", key)
		}
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		l.fail(at+"/"+key, "must be a string")
	case required && s == "":
		l.fail(at+"/"+key, "must be more than 0 characters")
	case utf8.RuneCountInString(s) > max:
		l.fail(at+"/"+key, "must be less than %d characters", max+1)
	}
	return s
}

// text checks a text object of at most max characters; plain says that it must be plain_text.
func (l *limits) text(o object, key, at string, required, plain bool, max int) {
	v, ok := o[key]
	if !ok || v == nil {
		if required {
			l.fail(at, "missing required field: %s", key)
		}
		return
	}
	l.textObject(v, at+"/"+key, plain, max)
}

func (l *limits) textObject(v any, at string, plain bool, max int) {
	t, ok := v.(object)
	if !ok {
		l.fail(at, "must be a text object")
		return
	}
	switch kind := t["type"]; {
	case kind == "plain_text", kind == "mrkdwn" && !plain:
	case kind == "mrkdwn":
		l.fail(at+"/type", "must be plain_text")
	default:
		l.fail(at+"/type", "unsupported type: %v", kind)
	}
	l.str(t, "text", at, true, max)
}

// items returns a list of between least and most values.
func (l *limits) items(o object, key, at string, least, most int) []any {
	v, ok := o[key]
	if !ok || v == nil {
		if least > 0 {
			l.fail(at, "missing required field: %s", key)
		}
		return nil
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		l.fail(at+"/"+key, "must be an array")
	case len(list) < least:
		l.fail(at+"/"+key, "no fewer than %d items allowed", least)
	case len(list) > most:
		l.fail(at+"/"+key, "no more than %d items allowed", most)
	}
	return list
}

func (l *limits) block(v any, at string) {
	b, ok := v.(object)
	if !ok {
		l.fail(at, "must be an object")
		return
	}
	if id := l.str(b, "block_id", at, false, 255); id != "" {
		if l.blockIDs[id] {
			l.fail(at+"/block_id", "`block_id` already exists: %s", id)
		}
		l.blockIDs[id] = true
	}
	switch kind, _ := b["type"].(string); kind {
	case "section":
		l.section(b, at)
	case "header":
		l.text(b, "text", at, true, true, 150)
	case "divider":
	case "image":
		l.image(b, at)
		l.text(b, "title", at, false, true, 2000)
	case "context":
		for i, e := range l.items(b, "elements", at, 1, 10) {
			l.contextElement(e, fmt.Sprintf("%s/elements/%d", at, i))
		}
	case "actions":
		seen := make(map[string]bool)
		for i, e := range l.items(b, "elements", at, 1, 25) {
			l.element(e, fmt.Sprintf("%s/elements/%d", at, i), inActions, seen)
		}
	case "input":
		l.text(b, "label", at, true, true, 2000)
		l.text(b, "hint", at, false, true, 2000)
		if b["element"] == nil {
			l.fail(at, "missing required field: element")
		} else {
			l.element(b["element"], at+"/element", inInput, nil)
		}
	case "rich_text":
		l.items(b, "elements", at, 1, 1000)
	case "markdown":
		if l.surface != inMessage {
			l.fail(at+"/type", "unsupported type: %s", kind)
		}
		l.str(b, "text", at, true, 12_000)
	case "video":
		l.str(b, "alt_text", at, true, 2000)
		l.text(b, "title", at, true, true, 200)
	case "":
		l.fail(at, "missing required field: type")
	default:
		l.fail(at+"/type", "unsupported type: %s", kind)
	}
}

func (l *limits) section(b object, at string) {
	fields := l.items(b, "fields", at, 0, 10)
	for i, f := range fields {
		l.textObject(f, fmt.Sprintf("%s/fields/%d", at, i), false, 2000)
	}
	l.text(b, "text", at, len(fields) == 0, false, 3000)
	if a := b["accessory"]; a != nil {
		l.element(a, at+"/accessory", inAccessory, nil)
	}
}

func (l *limits) image(o object, at string) {
	l.str(o, "alt_text", at, true, 2000)
	if o["slack_file"] == nil {
		l.str(o, "image_url", at, true, 3000)
	}
}

func (l *limits) contextElement(v any, at string) {
	o, ok := v.(object)
	switch {
	case !ok:
		l.fail(at, "must be an object")
	case o["type"] == "image":
		l.image(o, at)
	default:
		l.textObject(o, at, false, 3000)
	}
}

// place is where in a block an element stands.
type place int

const (
	inAccessory place = 1 << iota
	inActions
	inInput
)

// elements says where each kind of element may stand and what else is limited about it.
var elements = map[string]struct {
	places place
	check  func(l *limits, e object, at string)
}{
	"button": {inAccessory | inActions, func(l *limits, e object, at string) {
		l.text(e, "text", at, true, true, 75)
		l.str(e, "value", at, false, 2000)
		l.str(e, "url", at, false, 3000)
		l.str(e, "accessibility_label", at, false, 75)
		switch e["style"] {
		case nil, "primary", "danger":
		default:
			l.fail(at+"/style", "must be primary or danger")
		}
	}},
	"image":                      {inAccessory, func(l *limits, e object, at string) { l.image(e, at) }},
	"overflow":                   {inAccessory | inActions, func(l *limits, e object, at string) { l.options(e, at, 5, false, true) }},
	"checkboxes":                 {inAccessory | inActions | inInput, func(l *limits, e object, at string) { l.options(e, at, 10, false, false) }},
	"radio_buttons":              {inAccessory | inActions | inInput, func(l *limits, e object, at string) { l.options(e, at, 10, false, false) }},
	"static_select":              {inAccessory | inActions | inInput, func(l *limits, e object, at string) { l.options(e, at, 100, true, true) }},
	"multi_static_select":        {inAccessory | inActions | inInput, func(l *limits, e object, at string) { l.options(e, at, 100, true, true) }},
	"external_select":            {inAccessory | inActions | inInput, nil},
	"multi_external_select":      {inAccessory | inActions | inInput, nil},
	"users_select":               {inAccessory | inActions | inInput, nil},
	"multi_users_select":         {inAccessory | inActions | inInput, nil},
	"conversations_select":       {inAccessory | inActions | inInput, nil},
	"multi_conversations_select": {inAccessory | inActions | inInput, nil},
	"channels_select":            {inAccessory | inActions | inInput, nil},
	"multi_channels_select":      {inAccessory | inActions | inInput, nil},
	"datepicker":                 {inAccessory | inActions | inInput, initialTime("initial_date", "YYYY-MM-DD", time.DateOnly)},
	"timepicker":                 {inAccessory | inActions | inInput, initialTime("initial_time", "HH:mm", timeOfDay)},
	"datetimepicker": {inActions | inInput, func(l *limits, e object, at string) {
		if n, ok := number(e["initial_date_time"]); e["initial_date_time"] != nil && (!ok || !isDateTime(int64(n))) {
			l.fail(at+"/initial_date_time", "must be a UNIX timestamp of 10 digits")
		}
	}},
	"plain_text_input": {inInput, func(l *limits, e object, at string) {
		l.str(e, "initial_value", at, false, maxInputText)
		l.number(e, "min_length", at, 0, maxInputText)
		l.number(e, "max_length", at, 1, maxInputText)
	}},
	"email_text_input": {inInput, nil},
	"url_text_input":   {inInput, nil},
	"number_input": {inInput, func(l *limits, e object, at string) {
		if _, ok := e["is_decimal_allowed"].(bool); !ok {
			l.fail(at, "missing required field: is_decimal_allowed")
		}
	}},
}

// maxInputText is how many characters a text field takes.
const maxInputText = 3000

// timeOfDay is the form of a timepicker's times.
const timeOfDay = "15:04"

// isDateTime tells whether n can be a datetimepicker's time, in seconds since 1970.
func isDateTime(n int64) bool { return n >= 1e9 && n < 1e10 }

func initialTime(key, form, layout string) func(l *limits, e object, at string) {
	return func(l *limits, e object, at string) {
		if e[key] == nil {
			return
		}
		if _, err := time.Parse(layout, str(e, key)); err != nil {
			l.fail(at+"/"+key, "must be of the form %s", form)
		}
	}
}

// number checks a whole number between least and most, if there is one.
func (l *limits) number(o object, key, at string, least, most int) {
	if n, ok := number(o[key]); o[key] != nil && (!ok || n < least || n > most) {
		l.fail(at+"/"+key, "must be between %d and %d", least, most)
	}
}

func (l *limits) element(v any, at string, in place, seen map[string]bool) {
	e, ok := v.(object)
	if !ok {
		l.fail(at, "must be an object")
		return
	}
	kind, _ := e["type"].(string)
	rule, known := elements[kind]
	if !known || rule.places&in == 0 {
		l.fail(at+"/type", "unsupported type: %s", kind)
		return
	}
	if id := l.str(e, "action_id", at, false, 255); id != "" && seen != nil {
		if seen[id] {
			l.fail(at+"/action_id", "`action_id` already exists: %s", id)
		}
		seen[id] = true
	}
	l.text(e, "placeholder", at, false, true, 150)
	if c := e["confirm"]; c != nil {
		l.confirm(c, at+"/confirm")
	}
	if strings.HasPrefix(kind, "multi_") {
		l.number(e, "max_selected_items", at, 1, math.MaxInt32)
	}
	if rule.check != nil {
		rule.check(l, e, at)
	}
}

func (l *limits) confirm(v any, at string) {
	c, ok := v.(object)
	if !ok {
		l.fail(at, "must be an object")
		return
	}
	l.text(c, "title", at, true, true, 100)
	l.text(c, "text", at, true, false, 300)
	l.text(c, "confirm", at, true, true, 30)
	l.text(c, "deny", at, true, true, 30)
}

// options checks a list of choices, or groups of them where those are allowed, and what is chosen to begin
// with. Plain says that their texts must be plain_text.
func (l *limits) options(e object, at string, most int, groups, plain bool) {
	initial, _ := e["initial_options"].([]any)
	if e["initial_option"] != nil {
		initial = append(initial, e["initial_option"])
	}
	for _, o := range initial {
		option, _ := o.(object)
		if _, ok := findOption(e, str(option, "value")); !ok {
			l.fail(at, "an initial option must match one of the options")
		}
	}
	if groups && e["option_groups"] != nil {
		for i, g := range l.items(e, "option_groups", at, 1, 100) {
			at := fmt.Sprintf("%s/option_groups/%d", at, i)
			group, ok := g.(object)
			if !ok {
				l.fail(at, "must be an object")
				continue
			}
			l.text(group, "label", at, true, true, 75)
			l.options(group, at, most, false, plain)
		}
		return
	}
	for i, o := range l.items(e, "options", at, 1, most) {
		at := fmt.Sprintf("%s/options/%d", at, i)
		option, ok := o.(object)
		if !ok {
			l.fail(at, "must be an object")
			continue
		}
		l.text(option, "text", at, true, plain, 75)
		l.str(option, "value", at, true, 150)
		l.text(option, "description", at, false, plain, 75)
	}
}

// checkView returns what Slack would refuse about a view.
func checkView(v object) []string {
	kind, _ := v["type"].(string)
	l := &limits{surface: surface(kind), blockIDs: make(map[string]bool)}
	l.str(v, "callback_id", "/view", false, 255)
	l.str(v, "private_metadata", "/view", false, 3000)
	l.str(v, "external_id", "/view", false, 255)
	switch kind {
	case "home":
	case "modal":
		l.text(v, "title", "/view", true, true, 24)
		l.text(v, "submit", "/view", false, true, 24)
		l.text(v, "close", "/view", false, true, 24)
	default:
		l.fail("/view/type", "unsupported type: %s", kind)
		return l.problems
	}
	blocks, ok := v["blocks"].([]any)
	if !ok {
		l.fail("/view", "missing required field: blocks")
		return l.problems
	}
	if kind == "modal" && v["submit"] == nil && slices.ContainsFunc(blocks, isInput) {
		l.fail("/view/submit", "`submit` is required when an `input` block is within `blocks`")
	}
	return append(l.problems, checkBlocks(blocks, surface(kind), "/view/blocks")...)
}

func isInput(b any) bool {
	o, _ := b.(object)
	return o["type"] == "input"
}

// eachElement calls f with every element that a person can act on, until f returns false.
func eachElement(blocks []any, f func(block, element object) bool) {
	for _, b := range blocks {
		block, ok := b.(object)
		if !ok {
			continue
		}
		candidates := []any{block["accessory"], block["element"]}
		if block["type"] == "actions" {
			list, _ := block["elements"].([]any)
			candidates = append(candidates, list...)
		}
		for _, c := range candidates {
			if e, ok := c.(object); ok && e["type"] != "image" && !f(block, e) {
				return
			}
		}
	}
}

// assignIDs gives blocks and elements the IDs that the app left out, as Slack does.
func assignIDs(blocks []any) {
	for _, b := range blocks {
		if block, ok := b.(object); ok && str(block, "block_id") == "" {
			block["block_id"] = rand.Text()[:5]
		}
	}
	eachElement(blocks, func(_, e object) bool {
		if str(e, "action_id") == "" {
			e["action_id"] = rand.Text()[:5]
		}
		return true
	})
}

func str(o object, key string) string {
	s, _ := o[key].(string)
	return s
}

// shownText returns the text that a person reads in the blocks, a line for each text.
func shownText(blocks []any) string {
	var lines []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case object:
			if s, ok := v["text"].(string); ok {
				lines = append(lines, s)
				return
			}
			// A menu shows what is chosen, and what can be chosen only once it is opened.
			menu := strings.HasSuffix(str(v, "type"), "_select") || v["type"] == "overflow"
			for _, key := range slices.Sorted(maps.Keys(v)) {
				switch key {
				case "confirm", "placeholder", "option_groups":
				case "options", "initial_option", "initial_options":
					if menu != (key == "options") {
						walk(v[key])
					}
				default:
					walk(v[key])
				}
			}
		}
	}
	for _, b := range blocks {
		// A section reads from its text to its fields to its accessory, which isn't the order of their names.
		if block, ok := b.(object); ok {
			for _, key := range []string{"label", "title", "text", "fields", "elements", "element", "accessory"} {
				switch v := block[key].(type) {
				case string:
					lines = append(lines, v)
				default:
					walk(v)
				}
			}
		}
	}
	return strings.Join(lines, "\n")
}
