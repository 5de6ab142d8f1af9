package google_test

import (
	"strings"
	"testing"

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
