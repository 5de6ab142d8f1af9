package slack_test

import (
	"slices"
	"strings"
	"testing"

	goslack "github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// entries are what a person enters in every kind of element, as Slack's client takes it, and how slack-go
// reads it then.
var entries = []struct {
	id      string
	initial []string // with which it begins
	values  []string
	read    func(a goslack.BlockAction) []string
	refused [][]string
}{
	{"text", []string{"prefilled"}, []string{"two\nlines"}, func(a goslack.BlockAction) []string { return []string{a.Value} },
		[][]string{{strings.Repeat("x", 21)}, {"x"}}},
	{"url", []string{"https://example.org/1"}, []string{"https://example.org/2"}, func(a goslack.BlockAction) []string { return []string{a.Value} },
		[][]string{{"example"}, {"https://"}}},
	{"email", nil, []string{"ana@example.org"}, func(a goslack.BlockAction) []string { return []string{a.Value} }, [][]string{{"ana"}}},
	{"number", nil, []string{"4"}, func(a goslack.BlockAction) []string { return []string{a.Value} }, [][]string{{"four"}, {"4.5"}, {"10"}, {"0"}}},
	{"menu", []string{"docs"}, []string{"registry"}, func(a goslack.BlockAction) []string { return []string{a.SelectedOption.Value} },
		[][]string{{"mars"}, {"docs", "registry"}}},
	{"menus", []string{"docs"}, []string{"registry", "data"}, func(a goslack.BlockAction) []string { return optionValues(a.SelectedOptions) },
		[][]string{{"mars"}, {"docs", "registry", "data"}}},
	{"radio", []string{"docs"}, []string{"data"}, func(a goslack.BlockAction) []string { return []string{a.SelectedOption.Value} }, [][]string{{"mars"}}},
	{"checks", []string{"docs", "data"}, []string{"registry"}, func(a goslack.BlockAction) []string { return optionValues(a.SelectedOptions) }, [][]string{{"mars"}}},
	{"user", []string{alice}, []string{bob}, func(a goslack.BlockAction) []string { return []string{a.SelectedUser} }, [][]string{{"U0NOBODY"}}},
	{"users", []string{alice}, []string{alice, bob}, func(a goslack.BlockAction) []string { return a.SelectedUsers }, [][]string{{"U0NOBODY"}}},
	{"channel", nil, []string{random}, func(a goslack.BlockAction) []string { return []string{a.SelectedChannel} }, [][]string{{"C0NONE"}}},
	{"date", []string{"2026-03-01"}, []string{"2026-03-02"}, func(a goslack.BlockAction) []string { return []string{a.SelectedDate} }, [][]string{{"tomorrow"}, {"2026-02-30"}}},
	{"time", []string{"09:00"}, []string{"17:30"}, func(a goslack.BlockAction) []string { return []string{a.SelectedTime} }, [][]string{{"5 pm"}, {"25:00"}}},
	{"moment", []string{"1772355600"}, []string{"1772359200"}, func(a goslack.BlockAction) []string {
		if a.SelectedDateTime != 1772359200 {
			return nil
		}
		return []string{"1772359200"}
	}, [][]string{{"now"}, {"12"}}},
}

func optionValues(options []goslack.OptionBlockObject) (values []string) {
	for _, o := range options {
		values = append(values, o.Value)
	}
	return values
}

func plainText(text string) *goslack.TextBlockObject {
	return goslack.NewTextBlockObject("plain_text", text, false, false)
}

// everyInput is an input block with each kind of element; the block of the element "text" is "b_text".
func everyInput() []goslack.Block {
	option := func(value string) *goslack.OptionBlockObject {
		return goslack.NewOptionBlockObject(value, plainText(value), nil)
	}
	options := []*goslack.OptionBlockObject{option("docs"), option("registry"), option("data")}
	text := goslack.NewPlainTextInputBlockElement(plainText("What"), "text")
	text.Multiline, text.InitialValue, text.MinLength, text.MaxLength = true, "prefilled", 2, 20
	url := goslack.NewURLTextInputBlockElement(nil, "url")
	url.InitialValue = "https://example.org/1"
	number := goslack.NewNumberInputBlockElement(nil, "number", false)
	number.MinValue, number.MaxValue = "1", "9"
	menu := goslack.NewOptionsSelectBlockElement("static_select", nil, "menu", options...)
	menu.InitialOption = options[0]
	two := 2
	menus := goslack.NewOptionsMultiSelectBlockElement("multi_static_select", nil, "menus", options...)
	menus.InitialOptions, menus.MaxSelectedItems = options[:1], &two
	radio := goslack.NewRadioButtonsBlockElement("radio", options...)
	radio.InitialOption = options[0]
	checks := goslack.NewCheckboxGroupsBlockElement("checks", options...)
	checks.InitialOptions = []*goslack.OptionBlockObject{options[0], options[2]}
	user := goslack.NewOptionsSelectBlockElement("users_select", nil, "user")
	user.InitialUser = alice
	users := goslack.NewOptionsMultiSelectBlockElement("multi_users_select", nil, "users")
	users.InitialUsers = []string{alice}
	date := goslack.NewDatePickerBlockElement("date")
	date.InitialDate = "2026-03-01"
	timeOfDay := goslack.NewTimePickerBlockElement("time")
	timeOfDay.InitialTime = "09:00"
	moment := goslack.NewDateTimePickerBlockElement("moment")
	moment.InitialDateTime = 1772355600
	elements := map[string]goslack.BlockElement{
		"text": text, "url": url, "email": goslack.NewEmailTextInputBlockElement(nil, "email"), "number": number,
		"menu": menu, "menus": menus, "radio": radio, "checks": checks, "user": user, "users": users,
		"channel": goslack.NewOptionsSelectBlockElement("channels_select", nil, "channel"),
		"date":    date, "time": timeOfDay, "moment": moment,
	}
	var blocks []goslack.Block
	for _, e := range entries {
		block := goslack.NewInputBlock("b_"+e.id, plainText("Field "+e.id), plainText("A hint"), elements[e.id])
		block.Optional = true
		blocks = append(blocks, block)
	}
	return blocks
}

// TestEveryKindOfInput: an app on slack-go opens a modal with every kind of input; a person finds it
// prefilled, enters something else in each, and the app reads just that.
func TestEveryKindOfInput(t *testing.T) {
	s := start(t, config())
	sent := make(chan goslack.InteractionCallback, 100)
	connect(t, s, func(sm *socketmode.Client, e socketmode.Event) {
		switch data := e.Data.(type) {
		case goslack.SlashCommand:
			sm.Ack(*e.Request)
			if _, err := sm.OpenView(data.TriggerID, goslack.ModalViewRequest{
				Type: goslack.VTModal, Title: plainText("Release"), Submit: plainText("Release"), CallbackID: "form", NotifyOnClose: true,
				Blocks: goslack.Blocks{BlockSet: append(everyInput(),
					goslack.NewActionBlock("acts", goslack.NewButtonBlockElement("again", "1", plainText("Look again"))))},
			}); err != nil {
				t.Error(err)
			}
		case goslack.InteractionCallback:
			sm.Ack(*e.Request)
			sent <- data
		}
	})
	if _, err := s.Slash(t.Context(), alice, general, "/x", ""); err != nil {
		t.Fatal(err)
	}
	st, err := s.WaitFor(t.Context(), func(st slack.State) bool { return len(st.Views(alice)) == 1 })
	if err != nil {
		t.Fatal(err)
	}
	view := st.Views(alice)[0]
	elements := view.Elements()
	// Of a menu, what is chosen is read; of boxes and buttons, each.
	if n := strings.Count(view.Shown(), "registry"); n != 2 {
		t.Errorf("registry is read %d times: %s", n, view.Shown())
	}
	check := func(read map[string]map[string]goslack.BlockAction, want func(i int) []string) {
		t.Helper()
		for i, e := range entries {
			if got := e.read(read["b_"+e.id][e.id]); !slices.Equal(got, want(i)) {
				t.Errorf("%s: the app reads %q, not %q", e.id, got, want(i))
			}
		}
	}
	values := map[string][]string{}
	for i, e := range entries {
		if el := elements[i]; el.ActionID != e.id || el.Label != "Field "+e.id || !slices.Equal(el.Initial, e.initial) {
			t.Errorf("%s: the element is %+v", e.id, el)
		}
		for _, refused := range e.refused {
			if _, err := s.SubmitView(t.Context(), alice, view.ID, map[string][]string{"b_" + e.id: refused}); err == nil {
				t.Errorf("%s: Slack took %q", e.id, refused)
			}
		}
		values["b_"+e.id] = e.values
	}
	if !slices.Equal(elements[4].Options, []string{"docs", "registry", "data"}) {
		t.Errorf("the options are %q", elements[4].Options)
	}

	// What is filled in comes with the next thing that is sent, from the same person alone.
	if _, err := s.Select(t.Context(), alice, view.Target(), slack.Action{ID: "menu"}, "data"); err == nil {
		t.Error("an app was told of a field that doesn't say dispatch_action")
	}
	if err := s.Fill(bob, view.Target(), values); err == nil {
		t.Error("someone else filled in the modal")
	}
	if err := s.Fill(alice, view.Target(), map[string][]string{"b_date": {"soon"}}); err == nil {
		t.Error("a field was filled in with what it doesn't take")
	}
	if err := s.Fill(alice, view.Target(), values); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Click(t.Context(), alice, view.Target(), slack.Action{ID: "again"}); err != nil {
		t.Fatal(err)
	}
	click := <-sent
	if click.Type != goslack.InteractionTypeBlockActions || click.Container.ViewID != view.ID {
		t.Errorf("the click is %+v", click)
	}
	check(click.View.State.Values, func(i int) []string { return entries[i].values })

	// An empty field is no text, and its other fields stay.
	if inv, err := s.SubmitView(t.Context(), alice, view.ID, map[string][]string{"text": {""}, "b_menus": {}}); err != nil || !inv.Acked {
		t.Fatalf("%+v, %v", inv, err)
	}
	submission := <-sent
	if submission.Type != goslack.InteractionTypeViewSubmission || submission.View.CallbackID != "form" {
		t.Errorf("the submission is %+v", submission)
	}
	check(submission.View.State.Values, func(i int) []string {
		switch entries[i].id {
		case "text":
			return []string{""}
		case "menus":
			return nil
		}
		return entries[i].values
	})
	if len(s.Views(alice)) != 0 {
		t.Error("the modal is still open")
	}
	if err := s.Fill(alice, view.Target(), values); err == nil {
		t.Error("a closed modal was filled in")
	}
}

// TestHomeIsUsed: the home's buttons, menus and overflow menu work, and a field of it where it says
// dispatch_action.
func TestHomeIsUsed(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	type o = map[string]any
	options := []any{o{"text": plain("One"), "value": "1"}, o{"text": plain("Two"), "value": "2"}}
	field := input("note", true, o{"type": "plain_text_input"})
	field["dispatch_action"] = true
	must(t, s, "views.publish", o{"user_id": alice, "view": o{"type": "home", "blocks": []any{
		o{"type": "section", "block_id": "sec", "text": plain("Reminders"), "accessory": o{"type": "static_select", "action_id": "where", "options": options, "initial_option": options[1]}},
		actions(button("take", "t"), o{"type": "overflow", "action_id": "more", "options": options}),
		field,
	}}})
	home, _ := s.Home(alice)
	for _, c := range []struct {
		act  func() (*slack.Invocation, error)
		key  string
		want string
	}{
		{func() (*slack.Invocation, error) {
			return s.Click(t.Context(), alice, home.Target(), slack.Action{ID: "take"})
		}, "value", `"t"`},
		{func() (*slack.Invocation, error) {
			return s.Select(t.Context(), alice, home.Target(), slack.Action{ID: "where"}, "1")
		}, "selected_option", `{"text":{"text":"One","type":"plain_text"},"value":"1"}`},
		{func() (*slack.Invocation, error) {
			return s.Select(t.Context(), alice, home.Target(), slack.Action{ID: "more"}, "2")
		}, "selected_option", `{"text":{"text":"Two","type":"plain_text"},"value":"2"}`},
		{func() (*slack.Invocation, error) {
			return s.Select(t.Context(), alice, home.Target(), slack.Action{ID: "note"}, "hello")
		}, "value", `"hello"`},
	} {
		inv, err := c.act()
		if err != nil || !inv.Acked {
			t.Fatalf("%+v, %v", inv, err)
		}
		p := payload(a.next())
		if got := asJSON(t, p["actions"].([]any)[0].(o)[c.key]); got != c.want {
			t.Errorf("the app is told %s, not %s", got, c.want)
		}
		if p["container"].(o)["type"] != "view" || p["trigger_id"] == nil || p["view"].(o)["type"] != "home" {
			t.Errorf("the payload is %v", p)
		}
	}
	if _, err := s.Click(t.Context(), bob, home.Target(), slack.Action{ID: "take"}); err == nil {
		t.Error("someone else used the home")
	}
	if _, err := s.SubmitView(t.Context(), alice, home.ID, nil); err == nil {
		t.Error("a home was submitted")
	}
}

// TestAnUpdateLeavesTheFields: what a field begins with counts once.
func TestAnUpdateLeavesTheFields(t *testing.T) {
	s := start(t, config())
	a := dial(t, s, ackAll)
	type o = map[string]any
	form := func(ids ...string) o {
		var blocks []any
		for _, id := range ids {
			blocks = append(blocks, input(id, true, o{"type": "plain_text_input", "initial_value": "began " + ids[len(ids)-1]}))
		}
		return modal("form", blocks...)
	}
	v := open(t, s, a, form("one", "two"))
	if err := s.Fill(alice, v.Target(), map[string][]string{"b_one": {"typed"}}); err != nil {
		t.Fatal(err)
	}
	must(t, s, "views.update", o{"view_id": v.ID, "view": form("one", "two", "three")})
	if _, err := s.SubmitView(t.Context(), alice, v.ID, nil); err != nil {
		t.Fatal(err)
	}
	values := payload(a.next())["view"].(o)["state"].(o)["values"].(o)
	for id, want := range map[string]string{"one": "typed", "two": "began two", "three": "began three"} {
		if got := values["b_"+id].(o)[id].(o)["value"]; got != want {
			t.Errorf("%s holds %v, not %q", id, got, want)
		}
	}
}

// TestRefusalsOfAModal: what Slack shows beside the fields, and what it can't show.
func TestRefusalsOfAModal(t *testing.T) {
	var answer any
	s := start(t, config())
	a := dial(t, s, func(e map[string]any) any {
		if payload(e)["type"] == "view_submission" {
			return answer
		}
		return nil
	})
	type o = map[string]any
	v := open(t, s, a, modal("form", textInput("what")))
	answer = o{"response_action": "errors", "errors": o{"another": "not that"}}
	inv, err := s.SubmitView(t.Context(), alice, v.ID, map[string][]string{"what": {"x"}})
	if err != nil || inv.Trouble != "invalid_response" || s.Views(alice)[0].Trouble == "" {
		t.Errorf("a refusal of a field that isn't there: %+v, %v", inv, err)
	}
	plainModal := modal("told", section("Nothing to send"))
	delete(plainModal, "submit")
	v = open(t, s, a, plainModal)
	if _, err := s.SubmitView(t.Context(), alice, v.ID, nil); err == nil {
		t.Error("a modal without a button that submits it was submitted")
	}
}
