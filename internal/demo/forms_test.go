package demo

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	goslack "github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// formApp is an app of slack-go's, which opens a modal with every kind of field
// at any command, and publishes a home.
func formApp(t *testing.T, w *world) <-chan goslack.InteractionCallback {
	t.Helper()
	sm := socketmode.New(goslack.New(botToken, goslack.OptionAppLevelToken(appToken), goslack.OptionAPIURL(w.slack.URL()+"/api/")))
	ctx, cancel := context.WithCancel(context.Background())
	sent := make(chan goslack.InteractionCallback, 100)
	ran, handled := make(chan struct{}), make(chan struct{})
	connected := make(chan struct{}, 100)
	go func() {
		defer close(ran)
		_ = sm.RunContext(ctx) // it ends with the context
	}()
	go func() {
		defer close(handled)
		for {
			select {
			case e := <-sm.Events:
				if e.Type == socketmode.EventTypeHello {
					connected <- struct{}{}
				}
				if err := answer(sm, e, sent); err != nil {
					t.Error(err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ran; <-handled })
	select {
	case <-connected:
	case <-time.After(patience):
		t.Fatal("the app did not connect")
	}
	return sent
}

func plain(text string) *goslack.TextBlockObject {
	return goslack.NewTextBlockObject("plain_text", text, false, false)
}

func choices(values ...string) (options []*goslack.OptionBlockObject) {
	for _, v := range values {
		options = append(options, goslack.NewOptionBlockObject(v, plain(v), nil))
	}
	return options
}

func answer(sm *socketmode.Client, e socketmode.Event, sent chan<- goslack.InteractionCallback) error {
	switch data := e.Data.(type) {
	case goslack.SlashCommand:
		sm.Ack(*e.Request)
		_, err := sm.OpenView(data.TriggerID, form(goslack.VTModal))
		return err
	case slackevents.EventsAPIEvent:
		sm.Ack(*e.Request)
		opened, ok := data.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent)
		if !ok {
			return nil
		}
		_, err := sm.PublishView(opened.User, home(), "")
		return err
	case goslack.InteractionCallback:
		defer func() { sent <- data }()
		switch {
		case data.Type == goslack.InteractionTypeViewSubmission && data.View.State.Values["done"]["done"].Value == "nothing":
			sm.Ack(*e.Request, map[string]any{"response_action": "errors", "errors": map[string]string{"done": "Say what was done."}})
		case data.Type == goslack.InteractionTypeBlockActions && data.ActionCallback.BlockActions[0].ActionID == "more":
			sm.Ack(*e.Request)
			view := form(goslack.VTModal)
			view.Blocks.BlockSet = append(view.Blocks.BlockSet, goslack.NewSectionBlock(plain("Updated."), nil, nil))
			_, err := sm.UpdateView(view, "", "", data.View.ID)
			return err
		default:
			sm.Ack(*e.Request)
		}
	}
	return nil
}

// form is a modal with every kind of field. Only the first is required.
func form(kind goslack.ViewType) goslack.ModalViewRequest {
	done := goslack.NewPlainTextInputBlockElement(plain("Upgraded the registry"), "done")
	done.Multiline = true
	link := goslack.NewURLTextInputBlockElement(nil, "link")
	link.InitialValue = "https://example.org/1"
	servers := goslack.NewOptionsMultiSelectBlockElement("multi_static_select", plain("Servers"), "servers", choices("registry", "docs", "main")...)
	servers.InitialOptions = choices("docs")
	why := goslack.NewRadioButtonsBlockElement("why", choices("planned", "urgent")...)
	date := goslack.NewDatePickerBlockElement("date")
	date.InitialDate = "2026-03-02"
	hour := goslack.NewTimePickerBlockElement("time")
	until := goslack.NewDateTimePickerBlockElement("until")
	until.InitialDateTime = 1772355600
	field := func(id, label string, optional bool, e goslack.BlockElement) *goslack.InputBlock {
		b := goslack.NewInputBlock(id, plain(label), nil, e)
		b.Optional = optional
		return b
	}
	doneBlock := field("done", "What was done", false, done)
	doneBlock.Hint = plain("It stands in the history.")
	return goslack.ModalViewRequest{
		Type: kind, CallbackID: "release", Title: plain("Release the token"), Submit: plain("Release"), Close: plain("Not yet"), NotifyOnClose: true,
		Blocks: goslack.Blocks{BlockSet: []goslack.Block{
			doneBlock,
			field("servers", "Where", true, servers),
			field("link", "Link", true, link),
			field("kind", "Kind", true, goslack.NewOptionsSelectBlockElement("static_select", plain("Choose a kind"), "kind", choices("upgrade", "fix")...)),
			field("why", "Why", true, why),
			field("told", "Told", true, goslack.NewCheckboxGroupsBlockElement("told", choices("channel", "list")...)),
			field("who", "With whom", true, goslack.NewOptionsSelectBlockElement("users_select", nil, "who")),
			field("date", "Date", true, date), field("time", "Time", true, hour), field("until", "Until", true, until),
			goslack.NewActionBlock("acts", goslack.NewButtonBlockElement("more", "", plain("More"))),
		}},
	}
}

func home() goslack.HomeTabViewRequest {
	where := goslack.NewOptionsSelectBlockElement("static_select", plain("Where"), "where", choices("direct", "channel")...)
	where.InitialOption = choices("channel")[0]
	free := goslack.NewButtonBlockElement("force", "h1", plain("Release it")).WithStyle(goslack.StyleDanger)
	free.Confirm = goslack.NewConfirmationBlockObject(plain("Release it?"), plain("Bob is told."), plain("Release"), plain("Leave it"))
	return goslack.HomeTabViewRequest{Type: goslack.VTHomeTab, Blocks: goslack.Blocks{BlockSet: []goslack.Block{
		goslack.NewHeaderBlock(plain("The deploy token")),
		goslack.NewSectionBlock(plain("My reminders come"), nil, goslack.NewAccessory(where)),
		goslack.NewActionBlock("acts", free, goslack.NewOverflowBlockElement("rest", choices("history", "help")...)),
	}}}
}

// TestModal fills in a modal as a person does, without a mouse where that is shorter.
func TestModal(t *testing.T) {
	w := quiet(t)
	sent := formApp(t, w)
	p := alone(t, w)
	p.say("/deploy-token release")
	// The modal has the focus, and is prefilled.
	p.until(`document.activeElement.id === 'field-done-done'`)
	for expression, want := range map[string]string{
		`document.querySelector('.modal h2').textContent`:                                       "Release the token",
		`all('.modal label', 'Link')[0].control.value`:                                          "https://example.org/1",
		`all('.modal label', 'Date')[0].control.value`:                                          "2026-03-02",
		`[...document.querySelectorAll('.modal :checked[type=checkbox]')].map(named).join(',')`: "",
		`all('.choices label', '').filter((l) => l.control.checked).map(named).join(',')`:       "docs",
		`all('.modal label', 'Kind')[0].textContent.trim()`:                                     "Kind (optional)",
		`document.querySelector('.modal .actions button').textContent`:                          "More",
	} {
		if got := value[string](p, expression); got != want {
			t.Errorf("%s is %q, not %q", expression, got, want)
		}
	}
	// Behind it, Slack is out of reach; the rest of the page isn't.
	if !value[bool](p, `document.querySelector('.conversation').inert && !document.querySelector('#document').closest('[inert]')`) {
		t.Error("what is behind the modal can be reached")
	}

	// What is required is asked for; nothing is sent.
	p.button("Release", `document.querySelector('.modal')`)
	p.until(`document.querySelector('.refused').textContent.includes('Please complete this required field') && document.activeElement.id === 'field-done-done'`)
	p.press("nothing")
	p.click(`all('.modal label', 'Link')[0].control`)
	p.press(kb.Home + "not ")
	p.button("Release", `document.querySelector('.modal')`)
	p.until(`all('.refused', 'Link')[0] && document.activeElement.id === 'field-link-link'`)
	p.press(kb.Home + strings.Repeat(kb.Delete, len("not ")))
	p.button("Release", `document.querySelector('.modal')`)
	if refused := received(t, sent); refused.Type != goslack.InteractionTypeViewSubmission {
		t.Errorf("the app was sent %v", refused.Type)
	}
	p.until(`all('.refused', 'Say what was done.')[0] && document.querySelectorAll('.refused').length === 1`)

	// Another person doesn't see it, and it is still there, as it was left.
	p.become("Bob")
	p.until(`!document.querySelector('.modal') && !document.querySelector('.conversation').inert`)
	p.become("Ana")
	p.until(`document.querySelector('#field-done-done').value === 'nothing'`)

	p.click(`document.querySelector('#field-done-done')`)
	p.press(strings.Repeat(kb.Backspace, len("nothing")) + "two\rlines")
	p.click(`all('.choices label', 'registry')[0]`)
	p.click(`all('.choices label', 'docs')[0]`)
	p.click(`all('.choices label', 'main')[0]`)
	p.click(`all('.choices label', 'urgent')[0]`)
	p.click(`all('.choices label', 'list')[0]`)
	for id, value := range map[string]string{"kind-kind": "fix", "who-who": "U0CHIDI", "date-date": "2026-12-24", "time-time": "17:30"} {
		p.run(`(() => { const e = document.getElementById('field-` + id + `'); e.value = ` + quote(value) + `; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); })()`)
	}
	// A button in it sends what is filled in, which an update of the modal leaves.
	p.button("More", `document.querySelector('.modal')`)
	check := func(view goslack.View) {
		t.Helper()
		v := view.State.Values
		servers := []string{}
		for _, o := range v["servers"]["servers"].SelectedOptions {
			servers = append(servers, o.Value)
		}
		for name, pair := range map[string][2]string{
			"done": {v["done"]["done"].Value, "two\nlines"}, "link": {v["link"]["link"].Value, "https://example.org/1"},
			"kind": {v["kind"]["kind"].SelectedOption.Value, "fix"}, "why": {v["why"]["why"].SelectedOption.Value, "urgent"},
			"who": {v["who"]["who"].SelectedUser, "U0CHIDI"}, "date": {v["date"]["date"].SelectedDate, "2026-12-24"},
			"time": {v["time"]["time"].SelectedTime, "17:30"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: the app reads %q, not %q", name, pair[0], pair[1])
			}
		}
		if !slices.Equal(servers, []string{"registry", "main"}) || len(v["told"]["told"].SelectedOptions) != 1 || v["until"]["until"].SelectedDateTime != 1772355600 {
			t.Errorf("the app reads %+v", v)
		}
	}
	check(received(t, sent).View)
	p.until(`document.querySelector('.modal').textContent.includes('Updated.') && document.querySelector('#field-done-done').value === 'two\nlines'`)
	p.button("Release", `document.querySelector('.modal')`)
	check(received(t, sent).View)
	p.until(`!document.querySelector('.modal') && document.activeElement.id === 'composer'`)

	// Escape closes it, of which the app is told.
	p.say("/deploy-token release")
	p.until(`document.activeElement.id === 'field-done-done'`)
	p.press(kb.Escape)
	p.until(`!document.querySelector('.modal')`)
	if closed := received(t, sent); closed.Type != goslack.InteractionTypeViewClosed {
		t.Errorf("the app was sent %v", closed.Type)
	}
}

// TestHome opens the app's Home tab and uses what is there.
func TestHome(t *testing.T) {
	w := quiet(t)
	sent := formApp(t, w)
	p := alone(t, w)
	p.click(`all('.sidebar button', 'deploytoken')[0]`)
	p.click(`all('.tabs button', 'Home')[0]`)
	p.until(`document.querySelector('.home .header')?.textContent === 'The deploy token' && !document.querySelector('#composer')`)
	if got := value[string](p, `document.querySelector('.home select').value`); got != "channel" {
		t.Errorf("at first, %q is chosen", got)
	}
	p.run(`(() => { const e = document.querySelector('.home select'); e.value = 'direct'; e.dispatchEvent(new Event('change')); })()`)
	if a := received(t, sent).ActionCallback.BlockActions[0]; a.ActionID != "where" || a.SelectedOption.Value != "direct" {
		t.Errorf("the app was sent %+v", a)
	}
	// The overflow menu, by keyboard: Escape closes it.
	p.run(`document.querySelector('.overflow summary').focus()`)
	p.press("\r" + kb.Tab + kb.Escape)
	p.until(`!document.querySelector('.overflow').open && document.activeElement.matches('.overflow summary')`)
	p.press("\r" + kb.Tab + kb.Tab + "\r")
	if a := received(t, sent).ActionCallback.BlockActions[0]; a.ActionID != "rest" || a.SelectedOption.Value != "help" {
		t.Errorf("the app was sent %+v", a)
	}
	p.button("Release it", `document.querySelector('.home')`)
	p.button("Release", `document.querySelector('dialog')`)
	if c := received(t, sent); c.ActionCallback.BlockActions[0].ActionID != "force" || c.View.Type != goslack.VTHomeTab || c.User.ID != "U0ANA" {
		t.Errorf("the app was sent %+v", c)
	}
	p.button("Messages", `document.querySelector('.tabs')`)
	p.until(`document.querySelector('#composer') && !document.querySelector('.home')`)
}

// TestFormsAreAccessible checks a modal and the Home tab with axe-core.
func TestFormsAreAccessible(t *testing.T) {
	axe := axeCore(t)
	w := quiet(t)
	formApp(t, w)
	p := alone(t, w)
	p.run(axe)
	p.say("/deploy-token release")
	p.until(`document.querySelector('.modal')`)
	p.accessible("a modal")
	p.button("Release", `document.querySelector('.modal')`)
	p.until(`document.querySelector('.refused')`)
	p.accessible("a modal that was refused")
	p.resize(390, 844)
	if wide := value[int](p, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("with a modal, the page is %d px wide", wide)
	}
	p.accessible("a modal on a phone")
	p.press(kb.Escape)
	p.until(`!document.querySelector('.modal')`)
	p.click(`all('.sidebar button', 'deploytoken')[0]`)
	p.click(`all('.tabs button', 'Home')[0]`)
	p.until(`document.querySelector('.home .header')`)
	p.accessible("the home on a phone")
	p.resize(1500, 900)
	p.click(`document.querySelector('.overflow summary')`)
	p.accessible("the home")
}

// received is what the app was sent next.
func received(t *testing.T, sent <-chan goslack.InteractionCallback) goslack.InteractionCallback {
	t.Helper()
	select {
	case c := <-sent:
		return c
	case <-time.After(patience):
		t.Fatal("the app was sent nothing")
		panic("unreachable")
	}
}
