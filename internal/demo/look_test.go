package demo

import (
	"flag"
	"slices"
	"testing"
)

var screenshots = flag.Bool("screenshots", false, "write the screenshots of docs/images anew")

// TestScreenshots looks at the page in the middle of a day: wide and at a
// phone's width, light and dark. With -screenshots, it keeps what it sees.
func TestScreenshots(t *testing.T) {
	p := connected(t, 1440, 900)
	p.say("/deploy-token take renew certificates")
	p.until(`message('You hold the deploy token now')`)
	p.button("Skip 10 min", `document`)
	p.say("/deploy-token release renewed certificates")
	p.until(`rows().length === 1`)
	p.become("Bob")
	p.say("/deploy-token take upgrade the registry")
	p.until(`message('You hold the deploy token now') && holder() === 'Held by: Bob Ray'`)
	p.button("Skip an hour", `document`)
	p.until(`message('@Bob, you have held the deploy token for')`)
	p.become("Ana")
	p.say("/deploy-token take")
	p.until(`message('Bob Ray has held the deploy token') && rows().length === 1`)
	p.button("Close", `document.querySelector('.guide')`)
	for _, look := range []struct {
		name          string // of the file, where it is kept
		width, height int64
		dark          bool
	}{
		{"demo", 1440, 900, false},
		{"demo-dark", 1440, 900, true},
		{"", 1024, 768, false},
		{"demo-phone", 390, 844, false},
	} {
		p.resize(look.width, look.height)
		p.dark(look.dark)
		if wide := value[int64](p, `document.documentElement.scrollWidth`); wide > look.width {
			t.Errorf("of %d px, the page takes %d", look.width, wide)
		}
		if look.width > 1240 && !value[bool](p, `document.querySelectorAll('#history th')[2].getBoundingClientRect().right <= document.querySelector('.grid').getBoundingClientRect().right`) {
			t.Errorf("at %d px, the names in the Deploy history are cut off", look.width)
		}
		if *screenshots && look.name != "" {
			p.write(look.name, p.screenshot())
		}
	}
}

// BenchmarkUsable is the time from the start of the program to a page that can
// be used, with the bot connected.
func BenchmarkUsable(b *testing.B) {
	open(b, start(b), 1440, 900) // the program is built, and the browser runs
	for b.Loop() {
		p := open(b, start(b), 1440, 900)
		p.until(`document.querySelector('.bot').textContent.includes('running and connected')`)
	}
}

// BenchmarkEffect is the time from a key or a click to its effect on the page,
// measured there, to the frame that shows it.
func BenchmarkEffect(b *testing.B) {
	p := open(b, start(b), 1440, 900)
	p.until(`document.querySelector('.bot').textContent.includes('running and connected')`)
	said := func(text string) string {
		return `[...document.querySelectorAll('.message')].filter((m) => m.textContent.includes(` + quote(text) + `)).length`
	}
	type step struct {
		act   func()
		count string // grows by one
	}
	for _, action := range []struct {
		name  string
		steps []step
	}{
		{"take and release", []step{
			{func() { p.say("/deploy-token take") }, said("You hold the deploy token now")},
			{func() { p.say("/deploy-token release") }, said("You have released the deploy token")},
		}},
		{"busy", []step{{func() { p.say("/kingfisher busy") }, said("Look again with")}}},
		{"message", []step{{func() { p.say("Hello") }, said("Hello")}}},
		{"person", []step{
			{func() { p.become("Bob") }, `Number(document.querySelector('#slack').ariaLabel.includes('Bob'))`},
			{func() { p.become("Ana") }, `Number(document.querySelector('#slack').ariaLabel.includes('Ana'))`},
		}},
		{"Kingfisher", []step{
			{func() { p.button("Unreachable", "document") }, `Number(document.querySelector('#kingfisher [role=switch]').checked)`},
			{func() { p.button("Unreachable", "document") }, `Number(!document.querySelector('#kingfisher [role=switch]').checked)`},
		}},
	} {
		b.Run(action.name, func(b *testing.B) {
			var took []float64
			for b.Loop() {
				for _, s := range action.steps {
					took = append(took, p.effect(s.act, s.count))
				}
			}
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "p50-ms")
			b.ReportMetric(took[len(took)-1], "max-ms")
		})
	}
}

// effect does something and returns how many milliseconds it took from the Enter
// key or the mouse button going down until the count had grown.
func (p *tab) effect(act func(), count string) float64 {
	p.run(`window.took = new Promise((done) => {
		const before = ` + count + `;
		let began = 0;
		const begin = (e) => { if (e.key === undefined || e.key === 'Enter') began = performance.now(); };
		addEventListener('keydown', begin, {capture: true});
		addEventListener('mousedown', begin, {capture: true});
		const look = () => {
			if (!began || ` + count + ` <= before) return requestAnimationFrame(look);
			removeEventListener('keydown', begin, {capture: true});
			removeEventListener('mousedown', begin, {capture: true});
			done(performance.now() - began);
		};
		look();
	}); 0`)
	act()
	return value[float64](p, `window.took`)
}
