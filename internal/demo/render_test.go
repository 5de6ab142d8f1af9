package demo

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// TestMarkdown renders what people type as Slack does.
func TestMarkdown(t *testing.T) {
	p := alone(t, quiet(t))
	for _, c := range []struct{ typed, shown string }{
		{"plain & <b>plain</b>", "<p>plain &amp; &lt;b&gt;plain&lt;/b&gt;</p>"},
		{"*bold* _italic_ ~gone~", "<p><strong>bold</strong> <em>italic</em> <s>gone</s></p>"},
		{"snake_case_name 2*3*4", "<p>snake_case_name 2*3*4</p>"},
		{"*bold _and italic_*", "<p><strong>bold <em>and italic</em></strong></p>"},
		{"`*code* <b>`", "<p><code>*code* &lt;b&gt;</code></p>"},
		{"see https://example.org/?a=1&b=2.", `<p>see <a href="https://example.org/?a=1&amp;b=2">https://example.org/?a=1&amp;b=2</a>.</p>`},
		{"hello @bob and #deploys", `<p>hello <span class="mention">@Bob</span> and <span class="mention">#deploys</span></p>`},
		{"hello @ana", `<p>hello <span class="mention me">@Ana</span></p>`},
		{"```one\n*two*```", "<pre>one\n*two*</pre>"},
		{"> quoted", "<blockquote>quoted</blockquote>"},
		{"javascript:alert(1)", "<p>javascript:alert(1)</p>"},
	} {
		if refused := p.post("slack/message", map[string]any{"user": "U0ANA", "channel": channelID, "text": c.typed}); refused != "" {
			t.Fatal(refused)
		}
		p.until(`document.querySelectorAll('.conversation .message').length > (window.seen ?? 0)`)
		got := value[string](p, `(() => {
			const messages = document.querySelectorAll('.conversation .message');
			window.seen = messages.length;
			const shown = [...messages].at(-1).querySelector('.rich').cloneNode(true);
			for (const e of shown.querySelectorAll('a')) { e.removeAttribute('target'); e.removeAttribute('rel'); }
			for (const e of shown.querySelectorAll('span')) e.className = e.className.trim();
			return shown.innerHTML.replace(/<!--.*?-->/gs, '');
		})()`)
		if got != c.shown {
			t.Errorf("%q is shown as\n%s\nnot\n%s", c.typed, got, c.shown)
		}
	}
}

// TestBlockKit shows blocks of every kind, and acts on what can be acted on.
func TestBlockKit(t *testing.T) {
	w := quiet(t)
	p := alone(t, w)
	text := func(kind, s string) map[string]any { return map[string]any{"type": kind, "text": s} }
	postBlocks(t, w, []any{
		map[string]any{"type": "header", "text": text("plain_text", "A <header>")},
		map[string]any{"type": "section", "text": text("mrkdwn", "*Who:* <@U0BOB> <!date^0^{date_num}|then>"), "fields": []any{text("mrkdwn", "*One*\n1"), text("plain_text", "*Two*")},
			"accessory": map[string]any{"type": "static_select", "action_id": "menu", "placeholder": text("plain_text", "Which server"), "options": []any{
				map[string]any{"text": text("plain_text", "registry"), "value": "r"}, map[string]any{"text": text("plain_text", "docs"), "value": "d"}}}},
		map[string]any{"type": "divider"},
		map[string]any{"type": "context", "elements": []any{text("mrkdwn", "small _print_")}},
		map[string]any{"type": "rich_text", "elements": []any{
			map[string]any{"type": "rich_text_quote", "elements": []any{map[string]any{"type": "text", "text": "quoted"}}},
			map[string]any{"type": "rich_text_preformatted", "elements": []any{map[string]any{"type": "text", "text": "a\n  b"}}},
			map[string]any{"type": "rich_text_list", "style": "ordered", "elements": []any{
				map[string]any{"type": "rich_text_section", "elements": []any{
					map[string]any{"type": "link", "url": "javascript:struck()", "text": "no link"},
					map[string]any{"type": "text", "text": "all", "style": map[string]any{"bold": true, "italic": true, "strike": true, "code": true}}}}}},
		}},
		map[string]any{"type": "actions", "elements": []any{
			map[string]any{"type": "button", "action_id": "force", "style": "danger", "text": text("plain_text", "Force"), "confirm": map[string]any{
				"title": text("plain_text", "Are you sure?"), "text": text("mrkdwn", "*Bob* will be told."), "confirm": text("plain_text", "Force it"), "deny": text("plain_text", "Leave it"), "style": "danger"}},
			map[string]any{"type": "users_select", "action_id": "who", "placeholder": text("plain_text", "Who")},
			map[string]any{"type": "datepicker", "action_id": "when", "placeholder": text("plain_text", "When")},
		}},
	})
	p.until(`message('A <header>')`)
	for _, selector := range []string{
		".header", ".section strong", ".section .mention", ".section time", ".fields .rich:nth-child(2)", "hr", ".context em",
		"blockquote", "pre", "ol li strong em s code", ".button.danger", "select option[value=U0CHIDI]", "input[type=date]",
	} {
		if !value[bool](p, `!!message('A <header>').querySelector(`+quote(selector)+`)`) {
			t.Errorf("there is no %s:\n%s", selector, value[string](p, `message('A <header>').innerHTML`))
		}
	}
	if value[bool](p, `!!message('no link').querySelector('a')`) {
		t.Error("an address that is none of the web's is a link")
	}

	// Nobody is there to answer, which Slack says each time that the app is asked.
	answers := func() int { return value[int](p, `log().split("That didn't work").length - 1`) }
	asked := func(n int) {
		t.Helper()
		p.until(`log().split("That didn't work").length - 1 === ` + strconv.Itoa(n))
	}
	p.button("Force", `message('A <header>')`)
	p.button("Leave it", `document.querySelector('dialog')`)
	p.until(`!document.querySelector('dialog')`)
	p.button("Force", `message('A <header>')`)
	p.until(`document.querySelector('dialog').innerText.includes('Bob will be told.')`)
	if n := answers(); n != 0 {
		t.Errorf("without the confirmation, the app was asked %d times", n)
	}
	p.button("Force it", `document.querySelector('dialog')`)
	asked(1)
	for i, choice := range []struct{ element, value string }{
		{`[aria-label="Which server"]`, "d"}, {`[aria-label="Who"]`, "U0CHIDI"}, {`[aria-label="When"]`, "2026-12-24"},
	} {
		p.run(`(() => { const e = document.querySelector(` + quote(choice.element) + `); e.value = ` + quote(choice.value) + `; e.dispatchEvent(new Event('change')); })()`)
		asked(i + 2)
	}
}

// TestEditsByHand finds what was typed into the document, in its own units.
func TestEditsByHand(t *testing.T) {
	w := quiet(t)
	p := alone(t, w)
	for _, c := range []struct {
		before, after string
		want          [3]any
	}{
		{"abc", "abc", [3]any{3.0, 0.0, ""}},
		{"abc", "abXc", [3]any{2.0, 0.0, "X"}},
		{"aaa", "aaaa", [3]any{3.0, 0.0, "a"}},
		{"Nobody", "Bob", [3]any{0.0, 6.0, "Bob"}},
		{"a 😀 b", "a 😁 b", [3]any{2.0, 2.0, "😁"}},
		{"😀", "", [3]any{0.0, 2.0, ""}},
		{"", "😀", [3]any{0.0, 0.0, "😀"}},
		{"x😀", "x\U0001f9000", [3]any{1.0, 2.0, "\U0001f9000"}},
	} {
		got := value[[3]any](p, `import('/files.js').then(({difference}) => {
			const d = difference(`+quote(c.before)+`, `+quote(c.after)+`);
			return [d.at, d.removed, d.inserted];
		})`)
		if got != c.want {
			t.Errorf("from %q to %q: %v, not %v", c.before, c.after, got, c.want)
		}
	}
	p.click(`document.querySelector('#document textarea')`)
	p.run(`document.querySelector('#document textarea').select()`)
	p.press("Held by: Zoë 😀\rand more")
	p.until(`holder() === 'Held by: Zoë 😀' && document.querySelector('#document textarea').value === 'Held by: Zoë 😀\nand more'`)
	if err := w.google.WaitFor(t.Context(), func() bool {
		return w.google.Document(documentID).Text() == "Held by: Zoë 😀\nand more\n"
	}); err != nil {
		t.Errorf("the document is %q", w.google.Document(documentID).Text())
	}
}

// alone opens the page of a world in which no bot answers.
func alone(t *testing.T, w *world) *tab {
	t.Helper()
	server := httptest.NewServer(w.handler())
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	return open(t, server.URL, 1500, 900)
}

// postBlocks posts blocks to the channel, as the bot would.
func postBlocks(t *testing.T, w *world, blocks []any) {
	t.Helper()
	b, err := json.Marshal(blocks)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.PostForm(w.slack.URL()+"/api/chat.postMessage", url.Values{
		"token": {botToken}, "channel": {channelID}, "text": {"what the blocks say"}, "blocks": {string(b)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var result struct {
		OK     bool
		Error  string
		Errors []string
	}
	if err := json.NewDecoder(answer.Body).Decode(&result); err != nil || !result.OK {
		t.Fatalf("%s %s %v", result.Error, strings.Join(result.Errors, " "), err)
	}
}
