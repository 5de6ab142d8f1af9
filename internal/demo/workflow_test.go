package demo

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// direct opens the person's direct messages with the bot.
func (p *tab) direct() {
	p.t.Helper()
	p.click(`all('.sidebar button', 'deploytoken')[0]`)
	p.until(`all('.tabs button', 'Messages')[0]`)
}

// channel goes back to the channel.
func (p *tab) channel() {
	p.t.Helper()
	p.click(`all('.sidebar button', '# deploys')[0]`)
	p.until(`!document.querySelector('.tabs')`)
}

// TestConsent: Bob wants to deploy to Kingfisher, where Chidi's spider runs.
func TestConsent(t *testing.T) {
	p := connected(t, 1440, 1000)
	p.button("I’ll find my way", `document.querySelector('.guide')`)
	p.become("Bob")
	p.say("/deploy-token take kingfisher: upgrade PostgreSQL")
	p.until(`message('Take anyway') && message('honduras_portal')`)
	p.keep("busy", `message('Take anyway')`)
	if value[string](p, `holder()`) != "Held by: Nobody" {
		t.Error("the token was taken although Kingfisher is busy")
	}
	p.button("Ask for consent", `message('Take anyway')`)
	p.until(`message('I have asked the owners')`)

	p.become("Chidi")
	p.direct()
	p.until(`message('Bob Ray wants to deploy to Kingfisher: upgrade PostgreSQL') && message('honduras_portal')`)
	p.keep("question", `message('Bob Ray wants to deploy')`)
	p.button("Please wait", `message('Bob Ray wants to deploy')`)
	p.until(`document.querySelector('.modal h2')?.textContent === 'Please wait'`)
	p.click(`all('.modal label', 'Why')[0].control`)
	p.press("the load ends at noon")
	p.button("Ask to wait", `document.querySelector('.modal')`)
	p.until(`!document.querySelector('.modal') && message('You have asked Bob Ray to wait') && message('the load ends at noon')`)

	p.become("Bob")
	p.direct()
	p.until(`message('You are asked to wait') && message('please wait until') && message('the load ends at noon')`)

	p.become("Chidi")
	p.button("Go ahead", `message('Bob Ray wants to deploy')`)
	p.until(`message('may go ahead')`)

	p.become("Bob")
	p.until(`message('all have agreed') && message('go ahead')`)
	p.keep("consent", `message('1 thing: go ahead')`)
	p.button("Take token", `message('When you take the token, I look once more')`)
	p.until(`message('You hold the deploy token now') && holder() === 'Held by: Bob Ray'`)

	// Whoever starts something meanwhile is told what is under way.
	p.button("Start a spider", `document`)
	p.click(`document.querySelector('[name=name]')`)
	p.press(kb.End + "_2")
	p.button("Start", `document.querySelector('form')`)
	p.until(`all('#kingfisher li', 'zambia_portal_2')[0]`)
	p.button("Skip 10 min", `document`)
	p.until(`message('this was started there meanwhile') && message('zambia_portal_2')`)
	p.become("Chidi")
	p.until(`message('Bob Ray is deploying to Kingfisher') && message('You have started something there meanwhile')`)

	// Release token opens a form.
	p.become("Bob")
	p.channel()
	p.button("Release token", `message('Bob Ray took')`)
	p.until(`document.querySelector('.modal h2')?.textContent === 'Release token'`)
	p.click(`all('.modal label', 'What was done')[0].control`)
	p.run(`document.activeElement.select()`)
	p.press("upgraded PostgreSQL to 18")
	p.click(`all('.choices label', 'kingfisher-main')[0]`)
	p.click(`all('.modal label', 'Links')[0].control`)
	p.press("https://example.org/issues/7")
	p.keep("release-form", `document.querySelector('.modal')`)
	p.button("Release token", `document.querySelector('.modal')`)
	p.until(`!document.querySelector('.modal') && rows().length === 1`)
	row := value[[]string](p, `rows()[0]`)
	if len(row) != 7 || row[4] != "upgraded PostgreSQL to 18 (kingfisher-main) https://example.org/issues/7" || row[5] == "" {
		t.Errorf("the row is %q", row)
	}
	p.become("Chidi")
	p.until(`message("Bob Ray's deployment to Kingfisher is over: upgrade PostgreSQL") && message('What was done: upgraded PostgreSQL to 18')`)
}

// TestWaitlist: two wait, the first lets the turn pass, and the second takes it.
func TestWaitlist(t *testing.T) {
	p := connected(t, 1440, 1000)
	p.button("I’ll find my way", `document.querySelector('.guide')`)
	p.say("/deploy-token take upgrade the registry")
	p.until(`message('You hold the deploy token now')`)
	p.become("Bob")
	p.say("/deploy-token take renew certificates")
	p.until(`message('Nothing was changed')`)
	p.button("Join the waitlist", `message('Nothing was changed')`)
	p.until(`message('in a direct message when it is your turn')`)
	p.become("Dee")
	p.say("/deploy-token wait patch the kernel")
	p.until(`message('in a direct message when it is your turn')`)
	p.say("/deploy-token")
	p.until(`message('patch the kernel')`)
	p.keep("status", `message('patch the kernel')`)

	p.become("Ana")
	p.say("/deploy-token release upgraded the registry")
	p.until(`message('You have released the deploy token')`)
	p.become("Bob")
	p.direct()
	p.until(`message('it is your turn to take it')`)
	p.keep("turn", `message('it is your turn to take it')`)
	p.become("Dee")
	p.say("/deploy-token take")
	p.until(`message('Take it all the same') && message('You are number 2 on the waitlist, and')`)

	p.button("Skip 10 min", `document`)
	p.direct()
	p.until(`message('it is your turn to take it')`)
	p.become("Bob")
	p.until(`!message('it is your turn to take it') && message('It was your turn to take the deploy token')`)
	p.become("Dee")
	p.button("Take token", `message('it is your turn to take it')`)
	p.until(`holder() === 'Held by: Dee Novak' && message('You hold the deploy token now')`)

	// Dee gives it to Ana, who accepts.
	p.channel()
	p.say("/deploy-token give @ana ") // with the space, a list of names is no longer offered
	p.until(`message('I have offered the deploy token to Ana Díaz')`)
	p.become("Ana")
	p.direct()
	p.until(`all('.message button', 'Accept')[0]`)
	p.button("Accept", `document.querySelector('.conversation')`)
	p.until(`holder() === 'Held by: Ana Díaz' && rows().length === 2`)
	p.channel()

	// Ana is away: Bob releases the token for her.
	p.become("Bob")
	p.channel()
	p.say("/deploy-token force-release Ana is on leave")
	p.until(`all('button', "Release Ana Díaz's token")[0]`)
	p.button("Release Ana Díaz's token", `document.querySelector('.conversation')`)
	p.until(`document.querySelector('dialog')`)
	p.button("Release the token", `document.querySelector('dialog')`)
	p.until(`holder() === 'Held by: Nobody' && rows().length === 3 && rows()[2].join().includes('Ana is on leave')`)
	p.become("Ana")
	p.direct()
	p.until(`message('Ana is on leave')`)
}

// TestOwnHome: what somebody's home shows, and what is done there.
func TestOwnHome(t *testing.T) {
	p := connected(t, 1440, 1000)
	p.button("I’ll find my way", `document.querySelector('.guide')`)
	p.say("/deploy-token take renew certificates")
	p.until(`message('You hold the deploy token now')`)
	p.say("/deploy-token release renewed certificates")
	p.until(`rows().length === 1`)
	for said, answer := range map[string]string{
		"/deploy-token history 10":               "renewed certificates",
		"/deploy-token leave":                    "You were not on the waitlist",
		"/kingfisher consent upgrade PostgreSQL": "I have asked the owners",
		"/kingfisher watch":                      "when Kingfisher is idle.",
		"/kingfisher watch free":                 "when Kingfisher is idle and the deploy token free",
		"/kingfisher unwatch":                    "I don't look any more",
	} {
		p.say(said)
		p.until(`message(` + quote(answer) + `)`)
	}
	p.say("/deploy-token take kingfisher")
	p.until(`message('Take anyway')`)
	p.button("Take anyway", `message('Take anyway')`)
	p.until(`document.querySelector('dialog')`)
	p.button("Take anyway", `document.querySelector('dialog')`)
	p.until(`holder() === 'Held by: Ana Díaz' && message('You hold the deploy token now')`)
	p.direct()
	p.click(`all('.tabs button', 'Home')[0]`)
	p.until(`all('.home button', 'Look now')[0] && document.querySelector('.home').textContent.includes('Ana Díaz')`)
	p.keep("home", `document.querySelector('.home > div')`)
	p.button("Remind me by direct message", `document.querySelector('.home')`)
	p.until(`all('.home button', 'Remind me in the channel')[0]`)
	p.button("Skip an hour", `document`)
	p.click(`all('.tabs button', 'Messages')[0]`)
	p.until(`message('You have held the deploy token for')`)
	p.become("Chidi")
	p.direct()
	p.until(`message('Ana Díaz is deploying to Kingfisher')`)
}
