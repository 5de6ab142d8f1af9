package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for what is to come.
const patience = 45 * time.Second

// lacking skips a test that needs more than Go, or fails it where everything must run.
func lacking(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// chromium is the browser, started once.
var chromium struct {
	once sync.Once
	ctx  context.Context
	end  []func()
	lack error // nothing to start
	err  error
}

func startChromium() {
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, chromium.lack = exec.LookPath(name); chromium.lack == nil {
			break
		}
	}
	if chromium.lack != nil {
		return
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-GB"), chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(2 * time.Minute),
	}
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's needs another user than root
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	chromium.end = []func(){closeBrowser, end}
	chromium.ctx, chromium.err = ctx, chromedp.Do(ctx)
}

// endChromium ends the browser, where it was started.
func endChromium() {
	for _, end := range chromium.end {
		end()
	}
}

// A tab shows a demo's page, and does what a person would.
type tab struct {
	t   testing.TB
	ctx context.Context
}

// open opens a page in a tab of its own.
func open(t testing.TB, url string, width, height int64) *tab {
	t.Helper()
	chromium.once.Do(startChromium)
	if chromium.lack != nil {
		lacking(t, "the test of the page needs Chromium: %v", chromium.lack)
	}
	if chromium.err != nil {
		t.Fatalf("starting Chromium: %v", chromium.err)
	}
	ctx, end := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	var watching sync.WaitGroup
	t.Cleanup(func() {
		end()
		watching.Wait()
	})
	p := &tab{t: t, ctx: ctx}
	console := chromedp.Console(ctx)
	watching.Go(func() {
		for m, err := range console {
			if err != nil {
				return
			}
			// A refused request is one of the things that are tried.
			if m.IsException() || m.Type == "error" && m.Source != "network" {
				t.Errorf("the page's console: %s", m.String())
			}
		}
	})
	requests := chromedp.Events(ctx, network.RequestWillBeSent)
	watching.Go(func() {
		for r, err := range requests {
			if err != nil {
				return
			}
			if !strings.HasPrefix(r.Request.URL, url) && !strings.HasPrefix(r.Request.URL, "data:") {
				t.Errorf("the page asks for %s", r.Request.URL)
			}
		}
	})
	p.do(chromedp.EmulateViewport(width, height))
	p.do(chromedp.Navigate(url))
	p.until(`document.querySelector('main')`)
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// helpers find things on the page as a person does: by what is written on them.
const helpers = `
const named = (e) => (e.getAttribute('aria-label') || e.textContent).trim().replace(/\s+/g, ' ');
const all = (selector, name, within = document) => [...within.querySelectorAll(selector)].filter((e) => e.checkVisibility() && (!name || named(e).includes(name)));
const message = (text) => all('.conversation .message', '').filter((m) => m.textContent.replace(/\s+/g, ' ').includes(text)).at(-1);
const log = () => document.querySelector('.conversation .messages').innerText;
const holder = () => document.querySelector('.mirror .holder')?.textContent;
const thread = () => document.querySelector('.thread')?.innerText ?? '';
const rows = () => [...document.querySelectorAll('#history tbody tr')].map((r) => [...r.cells].map((c) => c.textContent));
`

// value evaluates JavaScript.
func value[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T]("(() => {"+helpers+"return "+expression+"})()", chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// run runs a script on the page.
func (p *tab) run(script string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](script)); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until a JavaScript expression, or what it promises, is true.
func (p *tab) until(condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	script := `new Promise((done, failed) => {` + helpers + `
		const look = async () => { if (await (` + condition + `)) done(true); else setTimeout(() => look().catch(failed), 15); };
		look().catch(failed);
	})`
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("waiting for %s: %v\nThe page says:\n%s", condition, err, p.text())
	}
}

// text is what the page says.
func (p *tab) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// click clicks with the mouse on what an expression finds.
func (p *tab) click(element string) {
	p.t.Helper()
	p.until(element)
	at := value[[]float64](p, `(() => {
		const e = `+element+`;
		e.scrollIntoView({block: 'center', behavior: 'instant'});
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`)
	p.do(chromedp.MouseClickXY(at[0], at[1]))
}

// press presses keys, one by one, wherever the focus is.
func (p *tab) press(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// become switches to a person.
func (p *tab) become(name string) {
	p.t.Helper()
	p.click(`all('.person', ` + quote(name) + `)[0]`)
	p.until(`document.querySelector('#slack').ariaLabel.includes(` + quote(name) + `)`)
}

// say types something into the composer and sends it.
func (p *tab) say(text string) {
	p.t.Helper()
	p.click(`document.querySelector('#composer')`)
	p.press(text + "\r")
	p.until(`document.querySelector('#composer').value === ''`)
}

// button clicks on a button, within what an expression finds.
func (p *tab) button(name, within string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`%s && all('button, summary, .switch', %s, %s)[0]`, within, quote(name), within))
}

// dark makes the page dark or light.
func (p *tab) dark(on bool) {
	p.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) screenshot() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	return png
}

// keep looks at a part of the page; with -screenshots, it keeps what it sees
// as a picture of that name.
func (p *tab) keep(name, element string) {
	p.t.Helper()
	p.until(element)
	box := value[[]float64](p, `(() => {
		const e = `+element+`;
		e.scrollIntoView({block: 'center', behavior: 'instant'});
		const r = e.getBoundingClientRect();
		return [r.x, r.y, r.width, r.height];
	})()`)
	if box[2] < 1 || box[3] < 1 {
		p.t.Errorf("%s: there is nothing to be seen", name)
	}
	if *screenshots {
		shot, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Clip: &page.Viewport{X: box[0], Y: box[1], Width: box[2], Height: box[3], Scale: 1},
		})
		if err != nil {
			p.t.Fatal(err)
		}
		p.write(name, shot.Data)
	}
}

// quote writes a text as JavaScript does.
func quote(s string) string {
	b, _ := json.Marshal(s) // of a string, it can't fail
	return string(b)
}

// write keeps a picture of docs/images.
func (p *tab) write(name string, png []byte) {
	p.t.Helper()
	if len(png) > 300_000 {
		p.t.Errorf("%s is %d bytes", name, len(png))
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "images", name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// resize gives the page another size.
func (p *tab) resize(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// post does something as the page would, and returns what was wrong with it.
func (p *tab) post(path string, body any) string {
	p.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	return value[string](p, `fetch(`+quote(path)+`, {method: 'POST', body: `+quote(string(b))+`}).then((r) => r.json()).then((r) => r.error ?? '')`)
}

// accessible checks the page with axe-core, which it has, in light and dark.
func (p *tab) accessible(state string) {
	p.t.Helper()
	for _, dark := range []bool{false, true} {
		p.dark(dark)
		for _, violation := range value[[]string](p, `(async () => {
			const {violations} = await axe.run(document, {resultTypes: ['violations']});
			return violations.flatMap((v) => v.nodes.map((n) => v.id + ' (' + v.help + '): ' + n.html + ' ' + n.failureSummary));
		})()`) {
			p.t.Errorf("%s (dark: %t): %s", state, dark, violation)
		}
	}
}

// axeCore returns axe-core, installed from npm.
func axeCore(t testing.TB) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		lacking(t, "the check with axe-core needs npm: %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "axe"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		lacking(t, "the check with axe-core needs it from the npm registry: %v\n%s", err, out)
	}
	script, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
