package google_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/docs/v1"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func TestPeopleEditDocuments(t *testing.T) {
	spec := google.DocumentSpec{Tabs: []google.TabSpec{
		google.Tab("", google.Paragraph(google.Text("Notes 👩")), google.Paragraph(google.Bold("Held by:"), google.Text(" Nobody")), google.Paragraph(google.Text("End"))),
	}}
	for _, tt := range []struct {
		name  string
		edits []google.Edit
		want  string // with Notes and End left out where they stay
	}{
		{"set the holder", []google.Edit{{Kind: google.SetHolder, Text: "Ann"}}, "Held by: Ann"},
		{"clear the holder", []google.Edit{{Kind: google.SetHolder}}, "Held by: "},
		{"set it from nothing", []google.Edit{{Kind: google.SetHolder}, {Kind: google.SetHolder, Text: "Ann"}}, "Held by: Ann"},
		{"set it where no space stands", []google.Edit{{Kind: google.ReplaceLine, Line: "Held by:", Text: "Held by:"}, {Kind: google.SetHolder, Text: "Ann"}}, "Held by: Ann"},
		{"set a chip", []google.Edit{{Kind: google.SetHolderChip, Person: &bob}}, "Held by: Bob Ray"},
		{"replace a chip", []google.Edit{{Kind: google.SetHolderChip, Person: &bob}, {Kind: google.SetHolder, Text: "Ann"}}, "Held by: Ann"},
		{"suggest a holder", []google.Edit{{Kind: google.SuggestHolder, Text: "Ann"}}, "Held by: NobodyAnn"},
		{"accept it", []google.Edit{{Kind: google.SuggestHolder, Text: "Ann"}, {Kind: google.AcceptSuggestion}}, "Held by: Ann"},
		{"reject it", []google.Edit{{Kind: google.SuggestHolder, Text: "Ann"}, {Kind: google.RejectSuggestion}}, "Held by: Nobody"},
		{"restore", []google.Edit{{Kind: google.SetHolder, Text: "Ann"}, {Kind: google.SetHolder, Text: "Bob"}, {Kind: google.RestoreRevision, Revision: 2}}, "Held by: Ann"},
		{"two lines", []google.Edit{{Kind: google.ReplaceLine, Line: "End", Text: "Held by: Bob"}}, "Held by: Nobody|Held by: Bob"},
		{"another line", []google.Edit{{Kind: google.AddLine, Text: "Last"}}, "Held by: Nobody|End|Last"},
		{"no line", []google.Edit{{Kind: google.ReplaceLine, Line: "Held by:", Text: "Free"}}, "Free"},
		{"nothing that is read", []google.Edit{{Kind: google.Comment}, {Kind: google.TouchRevision}, {Kind: google.DeleteNamedRanges, Text: "x"}}, "Held by: Nobody"},
	} {
		s := start(t, google.Config{})
		d := newDocument(t, s, spec)
		for _, e := range tt.edits {
			must(t, d.Apply(ann, e))
		}
		got := strings.TrimPrefix(d.Text(), "Notes 👩\n")
		got = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(got, "\n"), "\nEnd"), "\n", "|")
		if got != tt.want || d.Revision() != 1+len(tt.edits) {
			t.Errorf("%s: got %q at revision %d, want %q", tt.name, got, d.Revision(), tt.want)
		}
	}

	s := start(t, google.Config{})
	d := newDocument(t, s, spec)
	for _, bad := range []google.Edit{
		{}, {Kind: "nonsense"}, {Kind: google.Insert, Index: 99, Text: "x"}, {Kind: google.Insert, Tab: "t.9", Index: 1},
		{Kind: google.DeleteText, Index: 1, End: 99}, {Kind: google.DeleteText, Index: 7, End: 8}, {Kind: google.RestoreRevision, Revision: 9},
		{Kind: google.InsertChip, Index: 1}, {Kind: google.ReplaceLine, Line: "absent"}, {Kind: google.MakeBold, Index: 1, End: 99},
	} {
		if err := d.Apply(ann, bad); err == nil {
			t.Errorf("%+v was done", bad)
		}
	}
	if d.Revision() != 1 {
		t.Errorf("what can't be done changed the document to %q", d.Text())
	}
}

func TestTyping(t *testing.T) {
	s := start(t, google.Config{})
	d := newDocument(t, s, google.DocumentSpec{Tabs: []google.TabSpec{google.Tab("", google.Lines("👩 Held by: A👩b")...)}})
	must(t, d.ReplaceLine(ann, "👩", "Held by: A👩b"))
	must(t, d.TypeHolder(t.Context(), ann, "Zoë 👩", 0))
	if d.Holder() != "Zoë 👩" {
		t.Errorf("the holder is %q", d.Holder())
	}
	var holders []string
	for _, w := range s.Writes()[1:] {
		holders = append(holders, strings.TrimSuffix(strings.TrimPrefix(w.TextAfter, "Held by: "), "\n"))
	}
	if got := strings.Join(holders, "|"); got != "A👩|A||Z|Zo|Zoë|Zoë |Zoë 👩" {
		t.Errorf("key by key: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Type(ctx, ann, "", 1, "x", time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("typing went on: %v", err)
	}
	if tab, at, ok := d.Find("Zoë"); !ok || tab != "t.0" || at != 10 {
		t.Errorf("found at %s %d", tab, at)
	}
}

func TestSuggestionsAreMarkedOnRuns(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := holderDocument(t, s)
	must(t, d.Suggest(ann, "", 10, 16, "Ann"))
	doc, err := c.docs.Documents.Get(d.ID()).SuggestionsViewMode("SUGGESTIONS_INLINE").Do()
	must(t, err)
	var runs []*docs.TextRun
	for _, e := range doc.Body.Content[1].Paragraph.Elements {
		runs = append(runs, e.TextRun)
	}
	if len(runs) != 4 || runs[1].Content != "Nobody" || len(runs[1].SuggestedDeletionIds) != 1 || runs[2].Content != "Ann" ||
		len(runs[2].SuggestedInsertionIds) != 1 || runs[1].SuggestedDeletionIds[0] != runs[2].SuggestedInsertionIds[0] {
		t.Errorf("runs: %+v", runs)
	}
	must(t, d.Apply(ann, google.Edit{Kind: google.AcceptSuggestion, Suggestion: runs[2].SuggestedInsertionIds[0]}))
	if d.Text() != "Held by: Ann\n" {
		t.Errorf("accepted: %q", d.Text())
	}
}

func TestRestoringBringsNamedRangesBack(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := holderDocument(t, s)
	_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("", &docs.Request{CreateNamedRange: &docs.CreateNamedRangeRequest{Name: "mark", Range: &docs.Range{StartIndex: 10, EndIndex: 16}}})).Do()
	must(t, err)
	must(t, d.DeleteNamedRanges(ann, "ma"))
	if r := d.NamedRanges(); r != nil {
		t.Errorf("after the deletion: %+v", r)
	}
	must(t, d.RestoreRevision(ann, 2))
	if r := d.NamedRanges(); len(r) != 1 || r[0].Text != "Nobody" || d.Revision() != 4 {
		t.Errorf("after the restoration: %+v", r)
	}
}

func TestPeopleEditSpreadsheets(t *testing.T) {
	s := start(t, google.Config{})
	p, err := s.NewSpreadsheet(google.SpreadsheetSpec{Sheets: []google.SheetSpec{
		{Title: "Log", Rows: [][]any{{"Name", "Taken"}, {"Ann", "2026-11-23"}, {}, {"Bob", 5}}}, {Title: "Other"},
	}})
	must(t, err)
	rows := func() string {
		var out []string
		for _, r := range p.Rows("Log") {
			out = append(out, strings.Join(r, ","))
		}
		return strings.Join(out, "|")
	}
	for _, tt := range []struct {
		name string
		edit google.SheetEdit
		want string
	}{
		{"append", google.SheetEdit{Kind: google.AppendRow, Tab: "Log", Values: []any{"Cy", nil, "=1"}}, "Name,Taken|Ann,2026-11-23||Bob,5|Cy,,Loading..."},
		{"set", google.SheetEdit{Kind: google.SetCell, Tab: "Log", Cell: "B2", Values: []any{"x"}}, "Name,Taken|Ann,x||Bob,5|Cy,,Loading..."},
		{"empty", google.SheetEdit{Kind: google.SetCell, Tab: "Log", Cell: "C5", Values: []any{nil}}, "Name,Taken|Ann,x||Bob,5|Cy"},
		{"delete a row", google.SheetEdit{Kind: google.DeleteRow, Tab: "Log", Row: 3}, "Name,Taken|Ann,x|Bob,5|Cy"},
		{"insert a column", google.SheetEdit{Kind: google.InsertColumn, Tab: "Log", Cell: "A"}, ",Name,Taken|,Ann,x|,Bob,5|,Cy"},
		{"clear", google.SheetEdit{Kind: google.Clear, Tab: "Log"}, ""},
	} {
		must(t, p.Apply(ann, tt.edit))
		if got := rows(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	must(t, p.RenameTab(ann, "Log", "History"))
	must(t, p.Apply(ann, google.SheetEdit{Kind: google.AddTab, Title: "New"}))
	must(t, p.Apply(ann, google.SheetEdit{Kind: google.DeleteTab, Tab: "Other"}))
	if got := strings.Join(p.Tabs(), ","); got != "History,New" || p.LastEditor() != ann || p.Revision() != 10 {
		t.Errorf("tabs %s by %v at %d", got, p.LastEditor(), p.Revision())
	}
	for _, bad := range []google.SheetEdit{
		{}, {Kind: google.AppendRow, Tab: "Log"}, {Kind: google.SetCell, Cell: "nonsense", Values: []any{1.0}}, {Kind: google.SetCell, Cell: "A1"},
		{Kind: google.DeleteRow}, {Kind: google.RenameTab, Title: "New"}, {Kind: google.AddTab, Title: "history"}, {Kind: google.AppendRow, Values: []any{[]int{1}}},
	} {
		if err := p.Apply(ann, bad); err == nil {
			t.Errorf("%+v was done", bad)
		}
	}
}
