package google_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/docs/v1"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func TestGuardedWriteThroughTheGoClient(t *testing.T) {
	s := start(t, google.Config{})
	d := newDocument(t, s, google.DocumentSpec{Title: "Deploy token", Tabs: []google.TabSpec{
		google.Tab("", google.Paragraph(google.Bold("Held by:"), google.Text(" Nobody"))),
	}})
	c := signIn(t, s, bot)

	doc, err := c.docs.Documents.Get(d.ID()).IncludeTabsContent(true).SuggestionsViewMode("SUGGESTIONS_INLINE").Do()
	must(t, err)
	if n := len(doc.RevisionId); n != 111 {
		t.Errorf("the revision ID has %d characters", n)
	}
	content := doc.Tabs[0].DocumentTab.Body.Content
	if content[0].SectionBreak == nil || content[0].StartIndex != 0 || content[0].EndIndex != 1 {
		t.Errorf("first element: %+v", content[0])
	}
	runs := content[1].Paragraph.Elements
	if len(runs) != 2 || runs[0].TextRun.Content != "Held by:" || !runs[0].TextRun.TextStyle.Bold ||
		runs[1].StartIndex != 9 || runs[1].EndIndex != 17 || runs[1].TextRun.Content != " Nobody\n" {
		t.Errorf("runs: %+v %+v", runs[0].TextRun, runs[1].TextRun)
	}

	batch := &docs.BatchUpdateDocumentRequest{
		WriteControl: &docs.WriteControl{RequiredRevisionId: doc.RevisionId},
		Requests: []*docs.Request{
			{InsertText: &docs.InsertTextRequest{Location: &docs.Location{Index: 11}, Text: "Ann"}},
			{DeleteContentRange: &docs.DeleteContentRangeRequest{Range: &docs.Range{StartIndex: 14, EndIndex: 19}}},
			{DeleteContentRange: &docs.DeleteContentRangeRequest{Range: &docs.Range{StartIndex: 10, EndIndex: 11}}},
			{CreateNamedRange: &docs.CreateNamedRangeRequest{Name: "mark", Range: &docs.Range{StartIndex: 10, EndIndex: 13}}},
		},
	}
	answer, err := c.docs.Documents.BatchUpdate(d.ID(), batch).Do()
	must(t, err)
	if d.Text() != "Held by: Ann\n" || d.Holder() != "Ann" {
		t.Errorf("the document says %q", d.Text())
	}
	if r := d.NamedRanges(); len(r) != 1 || r[0].Text != "Ann" || r[0].ID != answer.Replies[3].CreateNamedRange.NamedRangeId {
		t.Errorf("named ranges: %+v", r)
	}
	again, err := c.docs.Documents.Get(d.ID()).Fields("revisionId").Do()
	must(t, err)
	if again.RevisionId != answer.WriteControl.RequiredRevisionId || again.RevisionId == doc.RevisionId || again.Title != "" {
		t.Errorf("after the write: %q, answered %q", again.RevisionId, answer.WriteControl.RequiredRevisionId)
	}

	_, err = c.docs.Documents.BatchUpdate(d.ID(), batch).Do()
	e := apiError(t, err)
	if e.Code != 400 || !strings.Contains(e.Body, "FAILED_PRECONDITION") ||
		e.Message != "The required revision ID '"+doc.RevisionId+"' does not match the latest revision." {
		t.Errorf("second write: %v %s", e, e.Body)
	}
	writes := s.Writes()
	if len(writes) != 1 || !writes[0].Guarded || writes[0].TextBefore != "Held by: Nobody\n" || writes[0].Who.Email != bot {
		t.Errorf("writes: %+v", writes)
	}
}

// holderDocument has one plain line, "Held by: Nobody", whose value is at 10-16.
func holderDocument(t *testing.T, s *google.Server) *google.Document {
	t.Helper()
	return newDocument(t, s, google.DocumentSpec{Tabs: []google.TabSpec{google.Tab("", google.Lines("Held by: Nobody")...)}})
}

func insert(at int64, text string) *docs.Request {
	return &docs.Request{InsertText: &docs.InsertTextRequest{Location: &docs.Location{Index: at}, Text: text}}
}

func remove(start, end int64) *docs.Request {
	return &docs.Request{DeleteContentRange: &docs.DeleteContentRangeRequest{Range: &docs.Range{StartIndex: start, EndIndex: end}}}
}

func guarded(revision string, requests ...*docs.Request) *docs.BatchUpdateDocumentRequest {
	b := &docs.BatchUpdateDocumentRequest{Requests: requests}
	if revision != "" {
		b.WriteControl = &docs.WriteControl{RequiredRevisionId: revision}
	}
	return b
}

func revisionOf(t *testing.T, c clients, d *google.Document) string {
	t.Helper()
	doc, err := c.docs.Documents.Get(d.ID()).Fields("revisionId").Do()
	must(t, err)
	return doc.RevisionId
}

func TestGuards(t *testing.T) {
	now := time.Now()
	s := start(t, google.Config{
		Clock:    func() time.Time { return now },
		Accounts: []google.Account{{Email: bot}, {Email: google.ServiceAccountEmail("other")}},
	})
	c, other := signIn(t, s, bot), signIn(t, s, google.ServiceAccountEmail("other"))
	const mismatch, unusable = "does not match the latest revision.", "is invalid or has expired."
	for _, tt := range []struct {
		name  string
		guard func(*google.Document) string
		want  string // part of the 400's message; empty: it lands
	}{
		{"the latest", func(d *google.Document) string { return revisionOf(t, c, d) }, ""},
		{"none", func(*google.Document) string { return "" }, ""},
		{"an edit since", func(d *google.Document) string {
			id := revisionOf(t, c, d)
			must(t, d.SetHolder(ann, "Ann"))
			return id
		}, mismatch},
		{"a comment since", func(d *google.Document) string {
			id := revisionOf(t, c, d)
			must(t, d.Comment(ann))
			return id
		}, mismatch},
		{"a change for nothing since", func(d *google.Document) string {
			id := revisionOf(t, c, d)
			must(t, d.TouchRevision())
			return id
		}, mismatch},
		{"an edit there and back since", func(d *google.Document) string {
			id := revisionOf(t, c, d)
			must(t, d.SetHolder(ann, "Ann"))
			must(t, d.RestoreRevision(ann, 1))
			return id
		}, mismatch},
		{"another account's", func(d *google.Document) string { return revisionOf(t, other, d) }, unusable},
		{"made up", func(*google.Document) string { return "ALBJ4Lnonsense" }, unusable},
		{"over a day old", func(d *google.Document) string {
			id := revisionOf(t, c, d)
			now = now.Add(24*time.Hour + time.Second)
			return id
		}, unusable},
		{"over a day old, and read again since", func(d *google.Document) string {
			id := revisionOf(t, c, d)
			now = now.Add(24*time.Hour + time.Second)
			if again := revisionOf(t, c, d); again != id {
				t.Error("the revision ID changed by itself")
			}
			return id
		}, ""},
	} {
		for _, status := range []string{"FAILED_PRECONDITION", "INVALID_ARGUMENT"} {
			must(t, s.SetBehavior(google.Behavior{MismatchStatus: status}))
			d := holderDocument(t, s)
			id := tt.guard(d)
			before := d.Text()
			_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(10, "x"))).Do()
			if tt.want == "" {
				if err != nil || !strings.Contains(d.Text(), "xNobody") {
					t.Errorf("%s: %v, and the document says %q", tt.name, err, d.Text())
				}
				continue
			}
			e := apiError(t, err)
			if tt.want == unusable {
				status = "INVALID_ARGUMENT"
			}
			if e.Code != 400 || !strings.HasSuffix(e.Message, tt.want) || !strings.Contains(e.Body, `"status": "`+status+`"`) || d.Text() != before {
				t.Errorf("%s: %v %s, and the document says %q", tt.name, e, e.Body, d.Text())
			}
		}
	}
}

func TestBatchesAreAtomic(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := holderDocument(t, s)
	id := revisionOf(t, c, d)
	_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id,
		insert(10, "x"),
		&docs.Request{CreateNamedRange: &docs.CreateNamedRangeRequest{Name: "mark", Range: &docs.Range{StartIndex: 10, EndIndex: 12}}},
		remove(10, 99),
	)).Do()
	if e := apiError(t, err); e.Message != "Invalid requests[2].deleteContentRange: Index 98 must be less than the end index of the referenced segment, 18." {
		t.Errorf("got %v", e)
	}
	if d.Text() != "Held by: Nobody\n" || d.NamedRanges() != nil || d.Revision() != 1 || revisionOf(t, c, d) != id {
		t.Errorf("the document says %q at revision %d", d.Text(), d.Revision())
	}
	must(t, s.SetBehavior(google.Behavior{OmitNewRevision: true}))
	answer, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(10, "x"))).Do()
	must(t, err)
	if answer.WriteControl != nil {
		t.Errorf("the answer has %+v", answer.WriteControl)
	}
}

// raw sends JSON to an API as the bot's account, for what the Go client can't say.
func raw(t *testing.T, s *google.Server, method, path, body string) (int, string) {
	t.Helper()
	credentials, err := s.CredentialsJSON(bot)
	must(t, err)
	creds, err := credentialsFrom(credentials)
	must(t, err)
	token, err := creds.Token(t.Context())
	must(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token.Value)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

func TestBadRequestsToDocs(t *testing.T) {
	s := start(t, google.Config{})
	d := holderDocument(t, s)
	batch := func(requests string) string { return `{"requests": [` + requests + `]}` }
	for _, tt := range []struct{ path, body, want string }{
		{":batchUpdate", `{`, "Invalid JSON payload received."},
		{":batchUpdate", `{}`, "Must specify at least one request."},
		{":batchUpdate", `{"nonsense": 1}`, `Unknown name \"nonsense\": Cannot find field.`},
		{":batchUpdate", `{"requests": 1}`, "Invalid value at 'requests'"},
		{":batchUpdate", batch(`{}`), "Invalid requests[0]: No request set."},
		{":batchUpdate", batch(`{"nonsense": {}}`), `Unknown name \"nonsense\" at 'requests[0]': Cannot find field.`},
		{":batchUpdate", batch(`{"inserttext": {}}`), `Unknown name \"inserttext\" at 'requests[0]': Cannot find field.`},
		{":batchUpdate", batch(`{"insertText": {"nonsense": 1}}`), `Unknown name \"nonsense\" at 'requests[0].insert_text': Cannot find field.`},
		{":batchUpdate", batch(`{"insertText": {"text": 1}}`), "Invalid value at 'requests[0].insert_text.text'"},
		{":batchUpdate", batch(`{"insertText": {"text": "x"}, "deleteNamedRange": {"name": "x"}}`), "oneof field 'request' is already set"},
		{":batchUpdate", batch(`{"insertText": {"text": "x"}}`), "Invalid requests[0].insertText: Insert text requests must specify an insertion location."},
		{":batchUpdate", batch(`{"insertText": {"location": {"index": 1}}}`), "must specify text to insert"},
		{":batchUpdate", batch(`{"insertText": {"text": "x", "location": {"index": 1, "tabId": "t.9"}}}`), "t.9 was not found"},
		{":batchUpdate", batch(`{"insertText": {"text": "x", "location": {"index": 1, "segmentId": "kix.h"}}}`), "kix.h was not found"},
		{":batchUpdate", batch(`{"deleteContentRange": {}}`), "Invalid range: must contain a start and end index"},
		{":batchUpdate", batch(`{"createNamedRange": {"range": {"startIndex": 1, "endIndex": 2}}}`), "at least 1 character"},
		{":batchUpdate", batch(`{"createNamedRange": {"name": "x", "range": {"startIndex": 2, "endIndex": 2}}}`), "The range should not be empty."},
		{":batchUpdate", batch(`{"deleteNamedRange": {"namedRangeId": "kix.x"}}`), "kix.x was not found"},
		{":batchUpdate", batch(`{"deleteNamedRange": {}}`), "exactly one of"},
		{":batchUpdate", batch(`{"updateTextStyle": {"range": {"startIndex": 1, "endIndex": 2}, "textStyle": {"bold": true}}}`), "At least one field must be listed"},
		{":batchUpdate", batch(`{"updateTextStyle": {"range": {"startIndex": 1, "endIndex": 2}, "fields": "nonsense"}}`), "Invalid field: nonsense"},
		{":batchUpdate", `{"requests": [{"insertText": {"text": "x", "location": {"index": 1}}}], "writeControl": {"requiredRevisionId": "a", "targetRevisionId": "b"}}`, "Must not specify both"},
		{"?fields=nonsense", "", "Cannot find matching fields for path 'nonsense'."},
		{"?fields=tabs", "", "Field mask cannot retrieve comment-specific fields when include_comments is false."},
		{"?nonsense=1", "", `Unknown name \"nonsense\": Cannot bind query parameter.`},
		{"?suggestionsViewMode=NONSENSE", "", "Invalid value at 'suggestions_view_mode'"},
		{"?includeTabsContent=maybe", "", "Invalid value at 'include_tabs_content'"},
		{"?commentsViewMode=COMMENTS_VIEW_MODE_INCLUDED", "", "Comments view mode may only be specified if tabs content is also requested."},
	} {
		method := "POST"
		if tt.body == "" {
			method = "GET"
		}
		code, body := raw(t, s, method, "/v1/documents/"+d.ID()+tt.path, tt.body)
		if code != 400 || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %s", tt.path, tt.body, code, body)
		}
	}
	for _, body := range []string{batch(`{"insertTable": {"rows": 1, "columns": 1}}`),
		`{"requests": [{"insertText": {"text": "x", "location": {"index": 1}}}], "writeControl": {"targetRevisionId": "b"}}`,
		`{"requests": [{"insertText": {"text": "x", "location": {"index": 1}}}], "writeControl": {"writeMode": "SUGGEST"}}`} {
		if code, answer := raw(t, s, "POST", "/v1/documents/"+d.ID()+":batchUpdate", body); code != 501 || !strings.Contains(answer, "UNIMPLEMENTED") {
			t.Errorf("%s: %d %s", body, code, answer)
		}
	}
	if d.Text() != "Held by: Nobody\n" || d.Revision() != 1 {
		t.Errorf("the document says %q", d.Text())
	}
}

func TestReadingADocument(t *testing.T) {
	s := start(t, google.Config{Accounts: []google.Account{{Email: bot}, {Email: "viewer@x"}, {Email: "commenter@x"}}})
	d := newDocument(t, s, google.DocumentSpec{
		Roles: map[string]google.Role{bot: google.Editor, "viewer@x": google.Viewer, "commenter@x": google.Commenter},
		Tabs: []google.TabSpec{
			google.Tab("Notes", google.Lines("first")...),
			{ID: "t.holder", Title: "Token", Blocks: []google.Block{google.Paragraph(
				google.Text("Held by: "), google.Inline{Text: "Ann", Deleted: "s1"}, google.Inline{Text: "Bob!", Inserted: "s1"}, google.Chip(bob),
			)}, Tabs: []google.TabSpec{google.Tab("Nested", google.Lines("deep")...)}},
		},
	})
	c, viewer, commenter := signIn(t, s, bot), signIn(t, s, "viewer@x"), signIn(t, s, "commenter@x")
	get := func(c clients, mode string) (*docs.Document, error) {
		call := c.docs.Documents.Get(d.ID()).IncludeTabsContent(true)
		if mode != "" {
			call.SuggestionsViewMode(mode)
		}
		return call.Do()
	}
	text := func(doc *docs.Document) string {
		out := ""
		for _, e := range doc.Tabs[1].DocumentTab.Body.Content[1].Paragraph.Elements {
			switch {
			case e.TextRun != nil:
				out += e.TextRun.Content
			case e.Person != nil:
				out += "@" + e.Person.PersonProperties.Email
			}
		}
		return out
	}
	for _, tt := range []struct {
		who        clients
		mode       string
		want, mark string
		revision   bool
	}{
		{c, "", "Held by: AnnBob!@bob@example.com\n", "SUGGESTIONS_INLINE", true},
		{c, "SUGGESTIONS_INLINE", "Held by: AnnBob!@bob@example.com\n", "SUGGESTIONS_INLINE", true},
		{c, "PREVIEW_WITHOUT_SUGGESTIONS", "Held by: Ann@bob@example.com\n", "PREVIEW_WITHOUT_SUGGESTIONS", true},
		{c, "PREVIEW_SUGGESTIONS_ACCEPTED", "Held by: Bob!@bob@example.com\n", "PREVIEW_SUGGESTIONS_ACCEPTED", true},
		{commenter, "SUGGESTIONS_INLINE", "Held by: AnnBob!@bob@example.com\n", "SUGGESTIONS_INLINE", false},
		{viewer, "", "Held by: Ann@bob@example.com\n", "PREVIEW_WITHOUT_SUGGESTIONS", false},
	} {
		doc, err := get(tt.who, tt.mode)
		must(t, err)
		if got := text(doc); got != tt.want || doc.SuggestionsViewMode != tt.mark || (doc.RevisionId != "") != tt.revision || doc.Body != nil {
			t.Errorf("%s: %q in %s, revision %q", tt.mode, got, doc.SuggestionsViewMode, doc.RevisionId)
		}
	}
	if _, err := get(viewer, "SUGGESTIONS_INLINE"); apiError(t, err).Code != 403 {
		t.Errorf("a viewer asks for suggestions: %v", err)
	}
	must(t, s.SetBehavior(google.Behavior{ShowSuggestions: true}))
	if doc, err := get(viewer, "SUGGESTIONS_INLINE"); err != nil || doc.RevisionId != "" {
		t.Errorf("a viewer asks for suggestions: %v", err)
	}

	doc, err := get(c, "")
	must(t, err)
	nested := doc.Tabs[1].ChildTabs[0]
	if doc.Tabs[0].TabProperties.TabId != "t.0" || doc.Tabs[1].TabProperties.TabId != "t.holder" || doc.Tabs[1].TabProperties.Index != 1 ||
		nested.TabProperties.ParentTabId != "t.holder" || nested.TabProperties.NestingLevel != 1 ||
		nested.DocumentTab.Body.Content[1].Paragraph.Elements[0].TextRun.Content != "deep\n" {
		t.Errorf("tabs: %+v %+v", doc.Tabs[1].TabProperties, nested.TabProperties)
	}
	first, err := c.docs.Documents.Get(d.ID()).Do()
	must(t, err)
	if first.Tabs != nil || first.Body.Content[1].Paragraph.Elements[0].TextRun.Content != "first\n" {
		t.Errorf("without tabs: %+v", first)
	}
	masked, err := c.docs.Documents.Get(d.ID()).Fields("tabs(tabProperties/tabId,documentTab/body/content/paragraph/elements/textRun/content)").Do()
	must(t, err)
	if masked.Tabs[1].TabProperties.TabId != "t.holder" || masked.Tabs[1].TabProperties.Title != "" || masked.RevisionId != "" ||
		masked.Tabs[1].DocumentTab.Body.Content[1].Paragraph.Elements[0].TextRun.Content != "Held by: " {
		t.Errorf("masked: %+v", masked.Tabs[1])
	}
}

func TestRequestsOfABatch(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	spec := google.DocumentSpec{Tabs: []google.TabSpec{
		google.Tab("", google.Paragraph(google.Bold("Held by:"), google.Text(" Nobody")), google.Paragraph(google.Text("nobody, NOBODY"))),
		{ID: "t.two", Blocks: google.Lines("Nobody here")},
	}}
	mark := &docs.Request{CreateNamedRange: &docs.CreateNamedRangeRequest{Name: "n", Range: &docs.Range{StartIndex: 10, EndIndex: 16}}}
	for _, tt := range []struct {
		name     string
		requests []*docs.Request
		text     string
		ranges   string
	}{
		{"insert in another tab", []*docs.Request{{InsertText: &docs.InsertTextRequest{Location: &docs.Location{Index: 1, TabId: "t.two"}, Text: "x"}}},
			"Held by: Nobody\nnobody, NOBODY\nxNobody here\n", ""},
		{"insert at the end", []*docs.Request{{InsertText: &docs.InsertTextRequest{EndOfSegmentLocation: &docs.EndOfSegmentLocation{}, Text: "\nx"}}},
			"Held by: Nobody\nnobody, NOBODY\nx\nNobody here\n", ""},
		{"name", []*docs.Request{mark}, "Held by: Nobody\nnobody, NOBODY\nNobody here\n", "n:Nobody"},
		{"names aren't unique", []*docs.Request{mark, mark}, "Held by: Nobody\nnobody, NOBODY\nNobody here\n", "n:Nobody n:Nobody"},
		{"unname", []*docs.Request{mark, mark, {DeleteNamedRange: &docs.DeleteNamedRangeRequest{Name: "n"}}}, "Held by: Nobody\nnobody, NOBODY\nNobody here\n", ""},
		{"unname what isn't there", []*docs.Request{mark, {DeleteNamedRange: &docs.DeleteNamedRangeRequest{Name: "m"}}}, "Held by: Nobody\nnobody, NOBODY\nNobody here\n", "n:Nobody"},
		{"unname in another tab", []*docs.Request{mark, {DeleteNamedRange: &docs.DeleteNamedRangeRequest{Name: "n", TabsCriteria: &docs.TabsCriteria{TabIds: []string{"t.two"}}}}},
			"Held by: Nobody\nnobody, NOBODY\nNobody here\n", "n:Nobody"},
		{"delete the text of a name", []*docs.Request{mark, remove(10, 16)}, "Held by: \nnobody, NOBODY\nNobody here\n", ""},
		{"replace the text of a name", []*docs.Request{mark, {ReplaceNamedRangeContent: &docs.ReplaceNamedRangeContentRequest{NamedRangeName: "n", Text: "Ann Lee"}}},
			"Held by: Ann Lee\nnobody, NOBODY\nNobody here\n", "n:Ann Lee"},
		{"replace everywhere", []*docs.Request{{ReplaceAllText: &docs.ReplaceAllTextRequest{ContainsText: &docs.SubstringMatchCriteria{Text: "nobody"}, ReplaceText: "Ann"}}},
			"Held by: Ann\nAnn, Ann\nAnn here\n", ""},
		{"replace by case and tab", []*docs.Request{{ReplaceAllText: &docs.ReplaceAllTextRequest{
			ContainsText: &docs.SubstringMatchCriteria{Text: "Nobody", MatchCase: true}, ReplaceText: "Ann", TabsCriteria: &docs.TabsCriteria{TabIds: []string{"t.0"}}}}},
			"Held by: Ann\nnobody, NOBODY\nNobody here\n", ""},
		{"replace over a change of style", []*docs.Request{{ReplaceAllText: &docs.ReplaceAllTextRequest{ContainsText: &docs.SubstringMatchCriteria{Text: "by: N"}, ReplaceText: "x"}}},
			"Held xobody\nnobody, NOBODY\nNobody here\n", ""},
		{"replace nothing", []*docs.Request{{ReplaceAllText: &docs.ReplaceAllTextRequest{ContainsText: &docs.SubstringMatchCriteria{Text: "absent"}}}},
			"Held by: Nobody\nnobody, NOBODY\nNobody here\n", ""},
	} {
		d := newDocument(t, s, spec)
		answer, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("", tt.requests...)).Do()
		if err != nil || len(answer.Replies) != len(tt.requests) || answer.DocumentId != d.ID() {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var ranges []string
		for _, r := range d.NamedRanges() {
			ranges = append(ranges, r.Name+":"+r.Text)
		}
		if got := strings.Join(ranges, " "); d.Text() != tt.text || got != tt.ranges {
			t.Errorf("%s: got %q with %q, want %q with %q", tt.name, d.Text(), got, tt.text, tt.ranges)
		}
	}

	d := newDocument(t, s, spec)
	_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("", &docs.Request{UpdateTextStyle: &docs.UpdateTextStyleRequest{
		Range: &docs.Range{StartIndex: 10, EndIndex: 12}, Fields: "italic,foreground_color",
		TextStyle: &docs.TextStyle{Italic: true, Bold: true, ForegroundColor: &docs.OptionalColor{Color: &docs.Color{RgbColor: &docs.RgbColor{Red: 1}}}},
	}})).Do()
	must(t, err)
	doc, err := c.docs.Documents.Get(d.ID()).Do()
	must(t, err)
	run := doc.Body.Content[1].Paragraph.Elements[2].TextRun
	if run.Content != "No" || !run.TextStyle.Italic || run.TextStyle.Bold || run.TextStyle.ForegroundColor.Color.RgbColor.Red != 1 {
		t.Errorf("the styled run: %+v %+v", run, run.TextStyle)
	}
}

func TestElementsAndStyles(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := newDocument(t, s, google.DocumentSpec{Tabs: []google.TabSpec{google.Tab("", google.Block{Heading: "HEADING_1", Paragraph: []google.Inline{
		{Link: &google.RichLink{Title: "A page", URI: "https://example.com/p"}}, {Date: "Nov 23, 2026"}, {Image: true},
		{Text: "styled", Style: google.Style{Underline: true, Strikethrough: true, SmallCaps: true, Link: "https://example.com", Color: "#ff0000", Background: "#0000ff", Font: "Lora", Size: 9, Offset: "SUPERSCRIPT"}},
	}})}})
	must(t, d.InsertChip(ann, "", 1, bob))
	if d.Text() != "Bob RayA pageNov 23, 2026styled\n" {
		t.Errorf("the document says %q", d.Text())
	}
	read := func() *docs.Document {
		doc, err := c.docs.Documents.Get(d.ID()).Do()
		must(t, err)
		return doc
	}
	doc := read()
	p := doc.Body.Content[1].Paragraph
	e := p.Elements
	if p.ParagraphStyle.NamedStyleType != "HEADING_1" || e[0].Person.PersonProperties.Name != "Bob Ray" || e[1].RichLink.RichLinkProperties.Uri != "https://example.com/p" ||
		e[2].DateElement.DateElementProperties.DisplayText != "Nov 23, 2026" || doc.InlineObjects[e[3].InlineObjectElement.InlineObjectId].ObjectId == "" || e[3].EndIndex != 5 {
		t.Errorf("elements: %+v", e)
	}
	style := e[4].TextRun.TextStyle
	if !style.Underline || !style.Strikethrough || !style.SmallCaps || style.Link.Url != "https://example.com" || style.ForegroundColor.Color.RgbColor.Red != 1 ||
		style.BackgroundColor.Color.RgbColor.Blue != 1 || style.WeightedFontFamily.FontFamily != "Lora" || style.FontSize.Magnitude != 9 || style.BaselineOffset != "SUPERSCRIPT" {
		t.Errorf("style: %+v", style)
	}
	_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("",
		&docs.Request{UpdateTextStyle: &docs.UpdateTextStyleRequest{Range: &docs.Range{StartIndex: 5, EndIndex: 11}, Fields: "*", TextStyle: &docs.TextStyle{
			Bold: true, Link: &docs.Link{Url: "https://example.org"}, FontSize: &docs.Dimension{Magnitude: 12, Unit: "PT"}, WeightedFontFamily: &docs.WeightedFontFamily{FontFamily: "Arial"}}}},
	)).Do()
	must(t, err)
	style = read().Body.Content[1].Paragraph.Elements[4].TextRun.TextStyle
	if !style.Bold || style.Underline || style.Link.Url != "https://example.org" || style.FontSize.Magnitude != 12 || style.ForegroundColor != nil || style.WeightedFontFamily.FontFamily != "Arial" {
		t.Errorf("style: %+v", style)
	}
	must(t, d.Delete(ann, "", 1, 4))
	must(t, d.Apply(ann, google.Edit{Kind: google.MakeBold, Index: 1, End: 3}))
	if d.Text() != "styled\n" {
		t.Errorf("the document says %q", d.Text())
	}
}

// TestOneOfManyGuardedWritesLands has several clients write at the same revision at once.
func TestOneOfManyGuardedWritesLands(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := holderDocument(t, s)
	id := revisionOf(t, c, d)
	results := make(chan error)
	for range 16 {
		go func() {
			_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(10, "x"))).Do()
			results <- err
		}()
	}
	landed := 0
	for range 16 {
		if err := <-results; err == nil {
			landed++
		} else if e := apiError(t, err); !strings.HasSuffix(e.Message, "does not match the latest revision.") {
			t.Error(e)
		}
	}
	if landed != 1 || d.Holder() != "xNobody" {
		t.Errorf("%d landed: %q", landed, d.Text())
	}
}
