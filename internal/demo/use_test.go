package demo

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// connected opens the page of a new demo, and waits for its bot.
func connected(t *testing.T, width, height int64) *tab {
	t.Helper()
	p := open(t, start(t), width, height)
	p.until(`document.querySelector('.bot').textContent.includes('running and connected')`)
	return p
}

// TestDay is a day with the bot, seen by three people.
func TestDay(t *testing.T) {
	p := connected(t, 1500, 900)
	p.say("/deploy-token take upgrade the registry")
	p.until(`message('Ana Díaz took the deploy token: upgrade the registry')`)
	p.until(`message('Only visible to you') && message('You hold the deploy token now')`)
	p.until(`holder() === 'Held by: Ana Díaz'`)

	p.become("Bob")
	p.until(`!message('You hold the deploy token now')`) // that was for Ana alone
	p.say("/deploy-token take")
	p.until(`message('Ana Díaz has held the deploy token') && message('Nothing was changed')`)
	p.button("Ask to release", `message('Nothing was changed')`)
	p.until(`all('.person', 'Ana')[0].querySelector('.badge')`)

	p.button("Start a spider", `document`)
	p.click(`document.querySelector('[name=name]')`)
	p.press(strings.Repeat(kb.End+kb.Backspace, len("zambia_portal")) + "chile_portal")
	p.button("Start", `document.querySelector('form')`)
	p.until(`all('#kingfisher li', 'chile_portal')[0]`)
	p.say("/kingfisher busy")
	p.until(`message('Kingfisher is busy: a deployment would interrupt 2 things') && message('chile_portal')`)

	p.become("Ana")
	p.click(`all('.sidebar button', 'deploytoken')[0]`)
	p.until(`message('@Bob would like to have the deploy token')`)
	p.until(`!document.querySelector('.badge')`)
	p.click(`all('.sidebar button', '# deploys')[0]`)
	p.say("/deploy-token release upgraded the registry to 3.0")
	p.until(`message('Ana Díaz released the deploy token')`)
	p.until(`rows().length === 1 && rows()[0].includes('upgraded the registry to 3.0')`)
	p.until(`holder() === 'Held by: Nobody'`)

	// An edit by hand, key by key.
	p.become("Bob")
	p.click(`document.querySelector('#document textarea')`)
	value[bool](p, `(() => { const t = document.querySelector('#document textarea');
		t.selectionStart = t.value.indexOf('Nobody'); t.selectionEnd = t.selectionStart + 6; return true; })()`)
	p.press("Bob")
	p.until(`holder() === 'Held by: Bob' && document.querySelector('#document .meta').textContent.includes('Last edited by Bob Ray')`)
	p.until(`message('was changed by hand: it says that Bob holds the deploy token') && message('last edited by Bob Ray')`)

	// An hour later, whoever still holds it is reminded; then in the thread.
	p.button("Skip an hour", `document`)
	p.until(`message('@Bob, you have held the deploy token for')`)
	p.button("Skip an hour", `document`)
	p.click(`all('.replies', 'repl')[0]`)
	p.until(`thread().includes('Bob still holds the deploy token')`)
	p.button("Release token", `document.querySelector('.thread')`)
	p.button("Release token", `document.querySelector('.modal')`) // with nothing filled in
	p.until(`rows().length === 2 && rows()[1].includes('Bob')`)
}

// TestGuide follows the guided first steps, which go on only when each was done.
func TestGuide(t *testing.T) {
	p := connected(t, 1500, 900)
	at := func(step string) {
		t.Helper()
		p.until(`document.querySelector('.guide').textContent.includes(` + quote(step+" of 5") + `)`)
	}
	enter := func() {
		t.Helper()
		p.until(`document.activeElement.id === 'composer'`)
		p.press("\r")
	}
	at("1")
	p.button("Type it for me", `document.querySelector('.guide')`)
	enter()
	at("2")
	value[bool](p, `(() => { all('.guide button', 'Become Bob')[0].focus(); return true; })()`)
	p.until(`document.activeElement.textContent === 'Become Bob'`)
	p.press("\r")
	p.until(`document.querySelector('#slack').ariaLabel.includes('Bob')`)
	at("3")
	p.say("/kingfisher busy")
	p.until(`message('Look again')`)
	at("3")
	p.button("Type it for me", `document.querySelector('.guide')`)
	enter()
	at("4")
	p.button("Become Ana and type it", `document.querySelector('.guide')`)
	enter()
	at("5")
	p.button("Close", `document.querySelector('.guide')`)
	p.until(`!document.querySelector('.guide') && rows().length === 1`)
}

// TestKilledWhileReleasing: the bot is killed by SIGKILL when the document has
// changed and nobody knows; and, by hand, while Google takes its time.
func TestKilledWhileReleasing(t *testing.T) {
	p := connected(t, 1500, 900)
	p.say("/deploy-token take")
	p.until(`message('Ana Díaz took the deploy token')`)
	p.button("The bot is killed in its next write", `document`)
	p.say("/deploy-token release restarted it")
	p.until(`all('.bot', 'was killed')[0] && holder() === 'Held by: Nobody'`)
	if value[bool](p, `!!message('released the deploy token')`) || value[int](p, `rows().length`) != 0 {
		t.Errorf("the bot that was killed has told:\n%s", p.text())
	}
	p.button("Start it", `document`)
	p.until(`message('Ana Díaz released the deploy token') && message('You have released the deploy token') && rows().length === 1`)

	p.say("/deploy-token take")
	p.until(`message('You hold the deploy token now')`)
	p.until(`holder() === 'Held by: Ana Díaz'`)
	p.button("Google is slow", `document`)
	p.until(`all('.faults .switch', 'Google is slow')[0].querySelector('input').checked`)
	// Typed, it might not have been acknowledged, and so recorded, when the bot is killed.
	p.post("slack/slash", map[string]any{"user": "U0ANA", "channel": channelID, "command": "/deploy-token", "text": "release again"})
	p.button("Kill it", `document`)
	p.until(`all('.bot', 'was killed')[0]`)
	p.button("Google is slow", `document`)
	p.button("Start it", `document`)
	p.until(`all('.conversation .message', '').filter((m) => m.textContent.includes('released the deploy token after')).length === 2`)
	p.until(`rows().length === 2`)
	p.say("/deploy-token")
	p.until(`message('Nobody holds the deploy token')`)
	if n := value[int](p, `rows().length`); n != 2 {
		t.Errorf("%d rows", n)
	}
}

// TestFaults: what a person sees of each thing that goes wrong.
func TestFaults(t *testing.T) {
	p := connected(t, 1500, 900)
	p.button("The answer to the next write is lost", `document`)
	p.say("/deploy-token take")
	p.until(`message('You hold the deploy token now')`)
	p.until(`!all('.faults .switch', 'The answer to the next write is lost')[0].querySelector('input').checked`)

	p.button("Sheets is down", `document`)
	p.say("/deploy-token release while Sheets is down")
	p.until(`message('Ana Díaz released the deploy token')`)
	p.say("/deploy-token status")
	p.until(`message('1 entry of the Deploy history is still to be written')`)
	p.button("Sheets is down", `document`)
	p.until(`rows().length === 1`)

	p.button("Google is slow", `document`)
	p.until(`all('.faults .switch', 'Google is slow')[0].querySelector('input').checked`)
	p.say("/deploy-token take slowly")
	p.until(`message('Ana Díaz took the deploy token: slowly')`)
	p.button("Google is slow", `document`)

	p.button("Unreachable", `document`)
	p.until(`all('#kingfisher .switch', '')[0].querySelector('input').checked`)
	p.say("/kingfisher busy")
	p.until(`message('I can\'t tell whether Kingfisher is busy')`)

	p.button("Slack’s connection is down", `document`)
	p.until(`all('.bot', 'trying to connect to Slack')[0]`)
	p.say("/deploy-token")
	p.until(`message('/deploy-token failed with the error "dispatch_failed"')`)
	p.button("Slack’s connection is down", `document`)
	p.until(`all('.bot', 'running and connected')[0]`)

	p.say("/nonsense")
	p.until(`all('[role=alert]', '/nonsense is not a valid command')[0]`)
}

// TestKeyboard uses the page without a mouse.
func TestKeyboard(t *testing.T) {
	p := connected(t, 1500, 900)
	focused := func(name string) {
		t.Helper()
		for range 40 {
			if value[bool](p, `document.activeElement !== document.body && !! (named(document.activeElement).includes(`+quote(name)+
				`) || document.activeElement.closest('label')?.textContent.includes(`+quote(name)+`)) `) {
				return
			}
			p.press(kb.Tab)
		}
		t.Fatalf("no way to %q with the tab key", name)
	}
	focused("Message #deploys")
	p.press("/dep")
	p.until(`all('[role=option][aria-selected=true]', '/deploy-token')[0]`)
	p.press("\r")
	p.until(`document.activeElement.value === '/deploy-token '`)
	p.press(kb.ArrowDown)
	p.until(`all('[role=option][aria-selected=true]', '/deploy-token take')[0]`)
	p.press("\r")
	p.press("over with @bo")
	p.until(`all('[role=option][aria-selected=true]', '@bob')[0]`)
	p.press("\r")
	p.until(`document.activeElement.value === '/deploy-token take over with @bob '`)
	p.press(strings.Repeat(kb.Backspace, len(" with @bob ")) + "\r")
	p.until(`message('Ana Díaz took the deploy token: over')`)
	focused("Skip an hour")
	p.press(" ")
	p.until(`message('@Ana, you have held the deploy token for 1 h')`)
	focused("Google is slow")
	for _, on := range []string{"", "!"} {
		p.press(" ")
		// The box is checked at once, and by what has happened a moment later.
		p.until(on + `all('.faults .switch', 'Google is slow')[0].querySelector('input').checked`)
		p.until(`import('/state.js').then(({shown}) => ` + on + `shown.world.faults.find((f) => f.id === 'google-slow').on)`)
	}
	focused("deployer")
	p.press(kb.ArrowRight)
	p.until(`document.querySelector('#slack').ariaLabel.includes('Bob')`)
	focused("Ask to release")
	p.press("\r")
	p.until(`message('I have asked Ana')`)
}

// TestPhone uses the page at a phone's width.
func TestPhone(t *testing.T) {
	p := connected(t, 390, 844)
	p.say("/deploy-token take upgrade the registry")
	p.until(`message('Ana Díaz took the deploy token')`)
	for _, pane := range []string{"Document", "History", "Kingfisher", "Weather", "Slack"} {
		p.button(pane, `document.querySelector('.panes')`)
		p.until(`all('.pane', '').length === 1 && all('.pane', '')[0].id === ` + quote(strings.ToLower(pane)))
		if wide := value[int](p, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s: the page is %d px wide", pane, wide)
		}
	}
	p.become("Bob")
	p.button("Ask to release", `message('Ana Díaz took')`)
	p.until(`message('I have asked Ana')`)
}

// TestAccessible checks the page with axe-core, in each of its states.
func TestAccessible(t *testing.T) {
	axe := axeCore(t)
	p := connected(t, 1500, 900)
	p.run(axe)
	check := p.accessible
	check("at the start")
	p.click(`document.querySelector('#composer')`)
	p.press("/")
	p.until(`all('[role=option]', '')[0]`)
	check("while a command is typed")
	p.press(kb.Backspace)
	p.say("/deploy-token take upgrade the registry")
	p.until(`message('Ana Díaz took the deploy token')`)
	p.button("Skip an hour", `document`)
	p.until(`message('@Ana, you have held')`)
	p.button("Skip an hour", `document`)
	p.click(`all('.replies', '')[0]`)
	p.until(`thread().includes('still holds')`)
	p.button("The bot’s log", `document`)
	p.button("Start a query", `document`)
	p.button("Open a session", `document`)
	check("with messages, a thread and forms")
	p.button("Close the thread", `document`)
	p.say("/kingfisher busy")
	p.until(`message('Look again')`)
	check("with a busy report")
	p.become("Bob")
	p.say("/nonsense")
	p.until(`all('[role=alert]', 'valid command')[0]`)
	p.button("Kill it", `document`)
	p.until(`all('.bot', 'was killed')[0]`)
	check("with something amiss")
	p.resize(390, 844)
	for _, pane := range []string{"Document", "Weather", "Slack"} {
		p.button(pane, `document.querySelector('.panes')`)
		check("on a phone: " + pane)
	}
}

// TestHostileText: whatever people write, everybody reads as it was written.
func TestHostileText(t *testing.T) {
	const (
		markup = `<img src=x onerror="window.struck=1"> <script>struck=1</script> *bold* <@U0BOB> <!channel> <https://evil.example|here> &lt;b&gt; ` + "`code` ${1}"
		rtl    = "שלום \u202e dlrow \u202c مرحبا"
	)
	long := strings.Repeat("long ", 1900) + "end"
	p := connected(t, 1500, 900)
	// A name can be as hostile as a text.
	name := `Bob "<b onclick=struck()>" ` + "\u05d1\u05d5\u05d1"
	value[bool](p, `fetch('slack/user', {method: 'POST', body: JSON.stringify({id: 'U0BOB', name: 'bob', real_name: `+quote(name)+`, display_name: `+quote(name)+`})}).then(() => true)`)
	p.until(`all('.person', 'onclick')[0]`)
	// The bot keeps names for a while.
	p.button("Kill it", `document`)
	p.button("Start it", `document`)
	p.until(`all('.bot', 'running and connected')[0]`)

	p.post("slack/slash", map[string]any{"user": "U0ANA", "channel": channelID, "command": "/deploy-token", "text": "take " + markup})
	shown := strings.Join(strings.Fields(markup), " ")
	p.until(`message('took the deploy token') && log().replaceAll('\u200b', '').includes(` + quote(shown[:60]) + `)`)
	p.post("slack/slash", map[string]any{"user": "U0ANA", "channel": channelID, "command": "/deploy-token", "text": "release " + rtl + " " + markup})
	p.until(`rows().length === 1 && rows()[0].some((c) => c.includes('onerror'))`)
	row := value[[][]string](p, `rows()`)[0]
	if !slices.Contains(row, markup) {
		t.Errorf("the row is %q", row)
	}
	p.post("slack/slash", map[string]any{"user": "U0BOB", "channel": channelID, "command": "/deploy-token", "text": "take " + long})
	p.until(`holder() === ` + quote("Held by: "+name))
	p.post("slack/slash", map[string]any{"user": "U0BOB", "channel": channelID, "command": "/deploy-token", "text": "release " + long})
	p.until(`rows().length === 2`)
	p.post("slack/message", map[string]any{"user": "U0BOB", "channel": channelID, "text": markup + rtl + long})
	p.until(`message('end')`)

	p.post("kingfisher/session", map[string]any{"user": "ocdskfs", "name": markup, "command": "echo " + markup})
	p.post("kingfisher/spider", map[string]any{"name": markup, "note": rtl})
	p.post("kingfisher/query", map[string]any{"user": "chidi", "text": "/* " + markup + " */ select '" + long + "'"})
	p.until(`all('#kingfisher li', 'onerror').length === 3`)
	p.say("/kingfisher busy")
	p.until(`message('Look again with') && message('onerror')`)

	p.until(`document.querySelectorAll('.content script, .content img, .content b, td *:not(div), #kingfisher img, [onclick], [onerror]').length === 0`)
	if value[bool](p, `'struck' in window`) {
		t.Error("a text was run")
	}
	if wide := value[int](p, `document.documentElement.scrollWidth`); wide > 1500 {
		t.Errorf("the page is %d px wide", wide)
	}
	// The document: typed by hand, and read by the bot.
	if err := p.post("google/edit", map[string]any{"document": documentID, "who": map[string]string{"name": name},
		"edit": map[string]any{"kind": "set_holder", "text": markup + rtl}}); err != "" {
		t.Error(err)
	}
	p.until(`holder()?.includes('onerror')`)
	p.until(`message('was changed by hand')`)
	if value[bool](p, `'struck' in window || !!document.querySelector('[onerror]')`) {
		t.Error("a text was run")
	}
}
