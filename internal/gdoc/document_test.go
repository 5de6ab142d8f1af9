package gdoc

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/docs/v1"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func inTabs(tabs ...google.TabSpec) google.DocumentSpec { return google.DocumentSpec{Tabs: tabs} }

func italic(text string) google.Inline {
	return google.Inline{Text: text, Style: google.Style{Italic: true}}
}

// layouts of the holder line, each with what it says and what the whole document
// says once "Bo Ek" was written.
var holderLines = []struct {
	name  string
	spec  google.DocumentSpec
	value string
	after string
}{
	{"plain", inTabs(google.Tab("Main", google.Lines("Deploy token", "Held by: Nobody", "Rules")...)), "Nobody", "Deploy token\nHeld by: Bo Ek\nRules\n"},
	{"alone, at the end", inTabs(google.Tab("Main", google.Lines("Held by: Nobody")...)), "Nobody", "Held by: Bo Ek\n"},
	{"one letter", inTabs(google.Tab("Main", google.Lines("Held by: A")...)), "A", "Held by: Bo Ek\n"},
	{"no space", inTabs(google.Tab("Main", google.Lines("Held by:Nobody")...)), "Nobody", "Held by:Bo Ek\n"},
	{"case and spacing", inTabs(google.Tab("Main", google.Lines("  HELD\u00a0 by :\tAnn   Lee  ")...)), "Ann Lee", "  HELD\u00a0 by :\tBo Ek  \n"},
	{"table cell", inTabs(google.Tab("Main", google.Lines("Before")[0], google.Table([]string{"Held by: Nobody", "x"}, []string{"y", "z"}))), "Nobody", "Before\nHeld by: Bo Ek\nx\ny\nz\n\n"},
	{"second tab", inTabs(google.Tab("Rules", google.Lines("🎉 Held by the team")...), google.Tab("Token", google.Lines("Held by: Nobody")...)), "Nobody", "🎉 Held by the team\nHeld by: Bo Ek\n"},
	{"nested tab", inTabs(google.TabSpec{Title: "A", Blocks: google.Lines("a"), Tabs: []google.TabSpec{{Title: "B", Blocks: google.Lines("b"), Tabs: []google.TabSpec{
		{Title: "C", Blocks: google.Lines("Held by: Nobody")}}}}}), "Nobody", "a\nb\nHeld by: Bo Ek\n"},
	{"split by style", inTabs(google.Tab("Main", google.Paragraph(google.Bold("Held"), google.Text(" b"), google.Bold("y:"), google.Text(" No"), italic("bo"), google.Bold("dy")))), "Nobody", "Held by: Bo Ek\n"},
	{"person chip", inTabs(google.Tab("Main", google.Paragraph(google.Bold("Held by: "), google.Chip(ann)))), "Ann Lee", "Held by: Bo Ek\n"},
	{"nameless chip", inTabs(google.Tab("Main", google.Paragraph(google.Bold("Held by: "), google.Chip(google.Person{Email: ann.Email})))), "ann@example.org", "Held by: Bo Ek\n"},
	{"chip and text", inTabs(google.Tab("Main", google.Paragraph(google.Text("Held by: "), google.Chip(ann), google.Text(" (until noon) ")))), "Ann Lee (until noon)", "Held by: Bo Ek \n"},
	{"chip before", inTabs(google.Tab("Main", google.Paragraph(google.Chip(ann)), google.Paragraph(google.Text("Held by: Nobody")))), "Nobody", "Ann Lee\nHeld by: Bo Ek\n"},
	{"emoji above", inTabs(google.Tab("Main", google.Lines("👩‍👩‍👧 🇬🇧 the team", "Held by: Nobody")...)), "Nobody", "👩‍👩‍👧 🇬🇧 the team\nHeld by: Bo Ek\n"},
	{"emoji before, on the line", inTabs(google.Tab("Main", google.Lines("🔑 Held by: Nobody")...)), "Nobody", "🔑 Held by: Bo Ek\n"},
	{"value begins with an emoji", inTabs(google.Tab("Main", google.Lines("Held by: 👩‍👩‍👧 Ann")...)), "👩‍👩‍👧 Ann", "Held by: Bo Ek\n"},
	{"value is a flag", inTabs(google.Tab("Main", google.Lines("Held by: 🇬🇧")...)), "🇬🇧", "Held by: Bo Ek\n"},
	{"value begins with a combining mark", inTabs(google.Tab("Main", google.Lines("Held by: \u0301Ann")...)), "\u0301Ann", "Held by: Bo Ek\n"},
	{"value takes a blank into its cluster", inTabs(google.Tab("Main", google.Lines("Held by: \u0600 ")...)), "\u0600", "Held by: Bo Ek\n"},
	{"hidden characters around", inTabs(google.Tab("Main", google.Lines("\u200eHeld by: \u202aAnn\u202c")...)), "Ann", "\u200eHeld by: \u202aBo Ek\u202c\n"},
	{"value's first letter has a mark", inTabs(google.Tab("Main", google.Lines("Held by: E\u0301va")...)), "E\u0301va", "Held by: Bo Ek\n"},
	{"soft breaks", inTabs(google.Tab("Main", google.Lines("Deploy token\vHeld by: Nobody\vRules")...)), "Nobody", "Deploy token\nHeld by: Bo Ek\nRules\n"},
	{"rich link", inTabs(google.Tab("Main", google.Paragraph(google.Text("Held by: "), google.Inline{Link: &google.RichLink{Title: "Ann's page", URI: "https://example.org/"}}))), "Ann's page", "Held by: Bo Ek\n"},
	{"linked text", inTabs(google.Tab("Main", google.Paragraph(google.Text("Held by: "), google.Inline{Text: "ann@example.org", Style: google.Style{Link: "mailto:ann@example.org"}}))), "ann@example.org", "Held by: Bo Ek\n"},
	{"table of contents", inTabs(google.Tab("Main", google.Block{TableOfContents: google.Lines("Held by: Nobody")}, google.Block{Paragraph: []google.Inline{google.Text("Held by: Nobody")}, Heading: "HEADING_1"})), "Nobody", "\nHeld by: Nobody\nHeld by: Bo Ek\n"},
}

func TestReadAndWriteLayouts(t *testing.T) {
	l := startGoogle(t)
	for _, tt := range holderLines {
		t.Run(tt.name, func(t *testing.T) {
			doc, d := l.documentOf(t, tt.spec)
			r := read(t, d)
			if r.Problem != "" || r.Value != tt.value {
				t.Fatalf("read %q, problem %q, want %q", r.Value, r.Problem, tt.value)
			}
			mark := newMark()
			if err := d.Write(t.Context(), prepare(t, d, r, "Bo Ek", mark)); err != nil {
				t.Fatal(err)
			}
			if got := doc.Text(); got != tt.after {
				t.Errorf("the document says %q, want %q", got, tt.after)
			}
			after := read(t, d)
			if after.Value != "Bo Ek" || !slices.Contains(after.Marks, mark) {
				t.Errorf("read back %q, marks %v", after.Value, after.Marks)
			}
			ranges := doc.NamedRanges()
			if len(ranges) != 1 || ranges[0].Text != "Bo Ek" {
				t.Errorf("the named ranges are %+v, want one over the value", ranges)
			}

			next := newMark()
			if err := d.Write(t.Context(), prepare(t, d, after, "Nobody", next, mark)); err != nil {
				t.Fatal(err)
			}
			last := read(t, d)
			if last.Value != "Nobody" || !slices.Equal(last.Marks, []deploytoken.Mark{next}) {
				t.Errorf("then read %q, marks %v, want Nobody and %v", last.Value, last.Marks, next)
			}
		})
	}
}

func TestUnclear(t *testing.T) {
	l := startGoogle(t)
	for _, tt := range []struct {
		name string
		spec google.DocumentSpec
		says []string
	}{
		{"none", inTabs(google.Tab("Main", google.Lines("Rules")...)), []string{"no line starts with “Held by:”", "Held by: Nobody"}},
		{"empty document", inTabs(google.Tab("Main")), []string{"no line"}},
		{"something before", inTabs(google.Tab("Main", google.Lines("Token held by: Ann")...)), []string{"“Token held by: Ann”", "start with"}},
		{"chip before", inTabs(google.Tab("Main", google.Paragraph(google.Chip(ann), google.Text(" held by: Bo")))), []string{"“Ann Lee held by: Bo”"}},
		{"two", inTabs(google.Tab("Main", google.Lines("Held by: Ann")...), google.Tab("Old", google.Table([]string{"held by: Nobody"}))),
			[]string{"2 lines", "“Held by: Ann” in the tab “Main”", "“held by: Nobody” in a table in the tab “Old”", "Leave one"}},
		{"nothing", inTabs(google.Tab("Main", google.Lines("Held by:  ")...)), []string{"nothing stands after", "Nobody"}},
		{"nothing to be seen", inTabs(google.Tab("Main", google.Lines("Held by: \u200b\u200e\u2060")...)), []string{"nothing stands after"}},
		{"an image", inTabs(google.Tab("Main", google.Paragraph(google.Text("Held by: Ann "), google.Inline{Image: true}))), []string{"other than text"}},
		{"suggested value", inTabs(google.Tab("Main", google.Paragraph(google.Text("Held by: "), google.Inline{Text: "Nobody", Deleted: "s1"}, google.Inline{Text: "Ann", Inserted: "s1"}))),
			[]string{"suggestion is pending", "Accept or reject"}},
		{"suggested chip", inTabs(google.Tab("Main", google.Paragraph(google.Text("Held by: Bo"), google.Inline{Person: &ann, Inserted: "s1"}))), []string{"suggestion is pending"}},
		{"suggested label", inTabs(google.Tab("Main", google.Paragraph(google.Inline{Text: "Held by:", Inserted: "s1"}, google.Text(" Nobody")))), []string{"suggestion is pending"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, d := l.documentOf(t, tt.spec)
			r := read(t, d)
			for _, s := range tt.says {
				if !strings.Contains(r.Problem, s) {
					t.Errorf("the problem %q doesn't say %q", r.Problem, s)
				}
			}
			if token := deploytoken.Interpret(r, ""); token.State != deploytoken.Unclear {
				t.Errorf("that is %v", token)
			}
			if b, err := d.Prepare(r, "Ann", newMark(), nil); err == nil {
				t.Errorf("prepared %s", b.Body)
			}
		})
	}
}

func TestSuggestionElsewhere(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Paragraph(google.Inline{Text: "Rules", Deleted: "s1"}), google.Paragraph(google.Text("Held by: Ann")))
	if r := read(t, d); r.Value != "Ann" || r.Problem != "" {
		t.Errorf("read %q, problem %q", r.Value, r.Problem)
	}
}

// runs returns the holder line's runs as text and style.
func runs(t *testing.T, d *Document) (texts []string, styles []*docs.TextStyle) {
	t.Helper()
	doc, err := d.client.docs.Documents.Get(d.id).Context(t.Context()).Do()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range doc.Body.Content {
		if e.Paragraph == nil {
			continue
		}
		for _, pe := range e.Paragraph.Elements {
			if pe.TextRun != nil {
				texts, styles = append(texts, strings.TrimSuffix(pe.TextRun.Content, "\n")), append(styles, pe.TextRun.TextStyle)
			}
		}
	}
	return texts, styles
}

func TestStyleIsKept(t *testing.T) {
	l := startGoogle(t)
	for _, tt := range []struct {
		name         string
		line         google.Block
		texts        []string
		bold, italic []bool
	}{
		{"bold label, plain value", google.Paragraph(google.Bold("Held by: "), google.Text("Nobody")), []string{"Held by: ", "Bo Ek"}, []bool{true, false}, []bool{false, false}},
		{"bold label, value of one letter", google.Paragraph(google.Bold("Held by: "), google.Text("A")), []string{"Held by: ", "Bo Ek"}, []bool{true, false}, []bool{false, false}},
		{"plain label, italic value", google.Paragraph(google.Text("Held by: "), italic("Nobody")), []string{"Held by: ", "Bo Ek", ""}, []bool{false, false, false}, []bool{false, true, false}},
		{"plain label, bold flag", google.Paragraph(google.Text("Held by: "), google.Bold("🇬🇧 Ann")), []string{"Held by: ", "Bo Ek", ""}, []bool{false, true, false}, []bool{false, false, false}},
		{"bold label, chip", google.Paragraph(google.Bold("Held by: "), google.Chip(ann)), []string{"Held by: ", "Bo Ek"}, []bool{true, false}, []bool{false, false}},
		{"link", google.Paragraph(google.Bold("Held by: "), google.Inline{Text: "Ann", Style: google.Style{Link: "mailto:ann@example.org"}}), []string{"Held by: ", "Bo Ek"}, []bool{true, false}, []bool{false, false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, d := l.document(t, tt.line)
			if err := d.Write(t.Context(), prepare(t, d, read(t, d), "Bo Ek", newMark())); err != nil {
				t.Fatal(err)
			}
			texts, styles := runs(t, d)
			if !slices.Equal(texts, tt.texts) {
				t.Fatalf("the runs are %q, want %q", texts, tt.texts)
			}
			for i, s := range styles {
				if s.Bold != tt.bold[i] || s.Italic != tt.italic[i] || s.Link != nil {
					t.Errorf("the run %q has the style %+v", texts[i], s)
				}
			}
		})
	}
}

func TestOddNames(t *testing.T) {
	l := startGoogle(t)
	for _, name := range []string{"🇫🇷 Zoé", "\u0301Ann", "👩‍👩‍👧", "Ann 🇬", "Ann\u200d", "Åsa Öberg", "=HYPERLINK(1)", "a", strings.Repeat("x", 120)} {
		for _, old := range []string{"Nobody", "🇬", "👩🏽 x", "A\u0301", "🇬🇧🇫🇷"} {
			doc, d := l.document(t, google.Paragraph(google.Bold("Held by: "), google.Text(old)), google.Paragraph(google.Text("Rules")))
			if err := d.Write(t.Context(), prepare(t, d, read(t, d), name, newMark())); err != nil {
				t.Fatalf("%q over %q: %v", name, old, err)
			}
			if got, want := doc.Text(), "Held by: "+name+"\nRules\n"; got != want {
				t.Errorf("%q over %q: the document says %q", name, old, got)
			}
			if ranges := doc.NamedRanges(); len(ranges) != 1 || ranges[0].Text != name {
				t.Errorf("%q over %q: the mark is %+v", name, old, ranges)
			}
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	r := read(t, d)
	_, err := d.Prepare(r, " \u200b\n", newMark(), nil)
	wantFault(t, err, deploytoken.ErrName)
	r.Revision = ""
	_, err = d.Prepare(r, "Ann", newMark(), nil)
	wantFault(t, err, deploytoken.ErrMisconfigured, account, "Editor")
	_, err = d.Prepare(deploytoken.Reading{Revision: "r", Value: "Ann"}, "Ann", newMark(), nil)
	wantFault(t, err, deploytoken.ErrMisconfigured)
}

func TestRewriteInPlace(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Ann Lee")...)
	mark := newMark()
	r := read(t, d)
	if err := d.Write(t.Context(), prepare(t, d, r, "Ann Lee", mark)); err != nil {
		t.Fatal(err)
	}
	after := read(t, d)
	if doc.Holder() != "Ann Lee" || !slices.Contains(after.Marks, mark) || after.Revision == r.Revision {
		t.Errorf("the document says %q, marks %v", doc.Holder(), after.Marks)
	}
}

func TestRemovesOnlyMarksThatWereRead(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	b := prepare(t, d, read(t, d), "Ann", newMark(), deploytoken.Mark{Store: "store1", Operation: "gone"})
	if err := d.Write(t.Context(), b); err != nil {
		t.Errorf("a mark that somebody deleted: %v", err)
	}
}

func TestConflict(t *testing.T) {
	for _, status := range []string{"FAILED_PRECONDITION", "INVALID_ARGUMENT"} {
		t.Run(status, func(t *testing.T) {
			l := startGoogle(t)
			if err := l.SetBehavior(google.Behavior{MismatchStatus: status}); err != nil {
				t.Fatal(err)
			}
			doc, d := l.document(t, google.Lines("Held by: Nobody")...)
			b := prepare(t, d, read(t, d), "Bo Ek", newMark())
			if err := doc.SetHolder(ann, "Ann Lee"); err != nil {
				t.Fatal(err)
			}
			wantFault(t, d.Write(t.Context(), b), deploytoken.ErrConflict, "edited")
			if doc.Holder() != "Ann Lee" || len(read(t, d).Marks) != 0 {
				t.Errorf("the document says %q", doc.Holder())
			}
		})
	}
}

func TestUnusableGuard(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	r := read(t, d)
	r.Revision = "no-revision-of-this-document"
	wantFault(t, d.Write(t.Context(), prepare(t, d, r, "Ann", newMark())), deploytoken.ErrGuardUnusable)
	if doc.Holder() != "Nobody" {
		t.Errorf("the document says %q", doc.Holder())
	}
}

func TestUnguardedIsNotSent(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	good := prepare(t, d, read(t, d), "Ann", newMark())
	for name, b := range map[string]deploytoken.Batch{
		"no guard in the body":     {Revision: good.Revision, Body: []byte(strings.ReplaceAll(string(good.Body), good.Revision, ""))},
		"another guard":            {Revision: good.Revision, Body: []byte(strings.ReplaceAll(string(good.Body), good.Revision, "other"))},
		"a target":                 {Revision: good.Revision, Body: []byte(strings.ReplaceAll(string(good.Body), `"requiredRevisionId"`, `"targetRevisionId":"x","requiredRevisionId"`))},
		"no revision in the batch": {Body: good.Body},
		"no JSON":                  {Revision: good.Revision, Body: []byte("{")},
		"no body":                  {Revision: good.Revision},
	} {
		wantFault(t, d.Write(t.Context(), b), deploytoken.ErrMisconfigured)
		if l.calls(google.DocsBatchUpdate) != 0 || doc.Holder() != "Nobody" {
			t.Fatalf("%s: it was sent", name)
		}
	}
}

func TestLostAnswer(t *testing.T) {
	for _, kind := range []google.FaultKind{google.DropAfter, google.FailAfter} {
		t.Run(string(kind), func(t *testing.T) {
			l := startGoogle(t)
			doc, d := l.document(t, google.Lines("Held by: Nobody")...)
			mark := newMark()
			b := prepare(t, d, read(t, d), "Ann", mark)
			l.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: kind, Count: 1})
			wantFault(t, d.Write(t.Context(), b), deploytoken.ErrAmbiguous)
			wantFault(t, d.Write(t.Context(), b), deploytoken.ErrConflict)
			if n := l.calls(google.DocsBatchUpdate); n != 2 {
				t.Errorf("%d requests were sent for two writes", n)
			}
			if doc.Holder() != "Ann" || !slices.Contains(read(t, d).Marks, mark) {
				t.Errorf("the document says %q", doc.Holder())
			}
		})
	}
}

func TestNothingWasDone(t *testing.T) {
	for _, kind := range []google.FaultKind{google.DropBefore, google.FailBefore} {
		t.Run(string(kind), func(t *testing.T) {
			l := startGoogle(t)
			doc, d := l.document(t, google.Lines("Held by: Nobody")...)
			b := prepare(t, d, read(t, d), "Ann", newMark())
			l.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: kind, Count: 1})
			wantFault(t, d.Write(t.Context(), b), deploytoken.ErrAmbiguous)
			if err := d.Write(t.Context(), b); err != nil || doc.Holder() != "Ann" {
				t.Errorf("sent again: %v, the document says %q", err, doc.Holder())
			}
		})
	}
}

func TestLateCommit(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	b := prepare(t, d, read(t, d), "Ann", newMark())
	id := l.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayCommit, Count: 1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Write(ctx, b) }()
	if err := l.WaitFor(t.Context(), func() bool { return l.Faults()[0].Waiting == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	wantFault(t, <-done, deploytoken.ErrAmbiguous)
	if doc.Holder() != "Nobody" {
		t.Fatalf("the document says %q already", doc.Holder())
	}
	l.Release(id)
	if err := l.WaitFor(t.Context(), func() bool { return doc.Holder() == "Ann" }); err != nil {
		t.Fatal(err)
	}
	wantFault(t, d.Write(t.Context(), b), deploytoken.ErrConflict)
}

func TestUnreachable(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	b := prepare(t, d, read(t, d), "Ann", newMark())
	l.Close()
	l.client.Close()
	wantFault(t, d.Write(t.Context(), b), deploytoken.ErrUnavailable, "can't be reached")
	_, err := d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable)
	_, err = d.Revision(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable)
	_, err = d.LastEditor(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable)
}

func TestRateLimit(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	b := prepare(t, d, read(t, d), "Ann", newMark())
	l.fault(t, google.Fault{Kind: google.RateLimit})
	wantFault(t, d.Write(t.Context(), b), deploytoken.ErrUnavailable, "passes by itself")
	_, err := d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable)
	if doc.Holder() != "Nobody" {
		t.Errorf("the document says %q", doc.Holder())
	}
}

func TestReadTrouble(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	l.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.FailBefore})
	_, err := d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable, "503")
	l.ClearFaults()
	l.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.DelayRequest})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = d.Read(ctx)
	wantFault(t, err, deploytoken.ErrUnavailable, "too long")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is no deadline", err)
	}
}

func TestNotShared(t *testing.T) {
	l := startGoogle(t)
	lines := []google.TabSpec{google.Tab("Main", google.Lines("Held by: Nobody")...)}
	_, none := l.documentOf(t, google.DocumentSpec{Tabs: lines, Roles: map[string]google.Role{}})
	_, err := none.Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured, account, "Editor")
	if editor, err := none.LastEditor(t.Context()); editor != "" || err != nil {
		t.Errorf("the last editor is %q, %v", editor, err)
	}

	_, office := l.documentOf(t, google.DocumentSpec{Tabs: lines, Office: true})
	_, err = office.Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured, "Office file", "google.document")

	_, err = l.client.Document("nosuchdocument", label).Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured, "nosuchdocument", "google.document")
}

func TestViewer(t *testing.T) {
	for _, show := range []bool{false, true} {
		l := startGoogle(t)
		if err := l.SetBehavior(google.Behavior{ShowSuggestions: show}); err != nil {
			t.Fatal(err)
		}
		_, d := l.documentOf(t, google.DocumentSpec{
			Tabs:  []google.TabSpec{google.Tab("Main", google.Lines("Held by: Ann")...)},
			Roles: map[string]google.Role{account: google.Viewer},
		})
		r := read(t, d)
		if r.Value != "Ann" || r.Revision != "" {
			t.Errorf("read %q at %q", r.Value, r.Revision)
		}
		if revision, err := d.Revision(t.Context()); revision != "" || err != nil {
			t.Errorf("the revision is %q, %v", revision, err)
		}
		wantFault(t, d.Ready(t.Context()), deploytoken.ErrMisconfigured, account, "Editor")
		_, err := d.Prepare(r, "Bo", newMark(), nil)
		wantFault(t, err, deploytoken.ErrMisconfigured, account, "Editor")
	}
}

func TestDisabledAPI(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	if err := l.SetBehavior(google.Behavior{DisabledAPIs: []string{"docs.googleapis.com", "drive.googleapis.com"}}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured, "https://console.developers.google.com/apis/api/docs.googleapis.com/")
	if editor, err := d.LastEditor(t.Context()); editor != "" || err != nil {
		t.Errorf("the last editor is %q, %v", editor, err)
	}
}

func TestLastEditor(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	if err := doc.SetHolder(ann, "Ann Lee"); err != nil {
		t.Fatal(err)
	}
	if editor, err := d.LastEditor(t.Context()); editor != "Ann Lee" || err != nil {
		t.Errorf("the last editor is %q, %v", editor, err)
	}
}

func TestRoundTrips(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	if err := l.client.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := l.calls(google.TokenIssue); n != 1 {
		t.Errorf("signing in took %d requests", n)
	}
	r := read(t, d)
	if err := d.Write(t.Context(), prepare(t, d, r, "Ann", newMark())); err != nil {
		t.Fatal(err)
	}
	if n := l.calls(""); n != 2 {
		t.Errorf("reading and writing took %d requests", n)
	}
	if n := l.calls(google.TokenIssue); n != 1 {
		t.Errorf("it signed in %d times", n)
	}
}

func TestRevisionAgrees(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	r := read(t, d)
	revision, err := d.Revision(t.Context())
	if err != nil || revision == "" {
		t.Fatalf("revision %q, %v", revision, err)
	}
	if err := doc.TouchRevision(); err != nil {
		t.Fatal(err)
	}
	later, err := d.Revision(t.Context())
	if err != nil || later == revision || later == r.Revision {
		t.Errorf("after a change the revision is the same: %v", err)
	}
}

func TestBatchIsWhatIsSent(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Nobody")...)
	b := prepare(t, d, read(t, d), "A <b> & ü", newMark())
	var sent docs.BatchUpdateDocumentRequest
	if err := json.Unmarshal(b.Body, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.WriteControl.RequiredRevisionId != b.Revision || b.Revision == "" {
		t.Errorf("the guard is %q, the batch's revision %q", sent.WriteControl.RequiredRevisionId, b.Revision)
	}
}
