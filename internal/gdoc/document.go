package gdoc

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/api/docs/v1"
	"google.golang.org/api/googleapi"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A Document is the Deploy token document in Google Docs. It implements
// deploytoken.Document.
type Document struct {
	client *Client
	id     string
	label  string
	// unmasked is whether Google refuses a field mask on this document.
	unmasked atomic.Bool
}

var _ deploytoken.Document = (*Document)(nil)

// ID returns the document's ID.
func (d *Document) ID() string { return d.id }

// Link returns the document's address.
func (d *Document) Link() string {
	return "https://docs.google.com/document/d/" + url.PathEscape(d.id) + "/edit"
}

func (d *Document) target() target {
	return target{name: "the Deploy token document", key: "google.document", id: d.id}
}

// Read reads the holder line: the one line, in the body of any tab, in a table
// or not, that starts with the label. It is one call, or two for whoever may
// read the document but not its suggestions.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (d *Document) Read(ctx context.Context) (deploytoken.Reading, error) {
	at := d.client.clock()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Writes must be based on this view: the others have other indexes.
	doc, err := d.get(ctx, "SUGGESTIONS_INLINE")
	if isForbidden(err) {
		if doc, err = d.get(ctx, "PREVIEW_WITHOUT_SUGGESTIONS"); err == nil {
			doc.RevisionId = "" // nothing may be written by this view's indexes
		}
	}
	if err != nil {
		return deploytoken.Reading{}, d.client.explain(err, d.target())
	}
	r := deploytoken.Reading{Revision: doc.RevisionId, Marks: marksOf(doc), At: at}
	var where place
	r.Value, where, r.Problem = findValue(doc, d.label)
	r.Place = where
	return r, nil
}

// get reads the document, with a field mask if Google takes it.
func (d *Document) get(ctx context.Context, view string) (*docs.Document, error) {
	call := func() *docs.DocumentsGetCall {
		return d.client.docs.Documents.Get(d.id).IncludeTabsContent(true).SuggestionsViewMode(view).Context(ctx)
	}
	if d.unmasked.Load() {
		return call().Do()
	}
	doc, err := call().Fields(readMask).Do()
	if e, ok := errors.AsType[*googleapi.Error](err); !ok || e.Code != http.StatusBadRequest || strings.Contains(e.Message, "Office file") {
		return doc, err
	}
	// Google has been known to refuse masks for fields that could tell of
	// comments.
	if doc, err = call().Do(); err == nil {
		d.unmasked.Store(true)
		d.client.log.Info("Google refused the field mask; reading whole documents from now on")
	}
	return doc, err
}

// isForbidden reports whether Google refused a call for want of permission.
func isForbidden(err error) bool {
	e, ok := errors.AsType[*googleapi.Error](err)
	if !ok || e.Code != http.StatusForbidden {
		return false
	}
	return len(readRefusal(e, time.Time{}).reasons) == 0
}

// Revision reads the revision alone.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (d *Document) Revision(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	doc, err := d.client.docs.Documents.Get(d.id).Context(ctx).Fields("revisionId").Do()
	if err != nil {
		return "", d.client.explain(err, d.target())
	}
	return doc.RevisionId, nil
}

// Prepare makes the batch that writes value in place of what r read.
//
// The new text is inserted within the old, after its first grapheme cluster,
// and takes its style from there; text inserted at the start would take the
// label's. What stood after the insertion point is deleted before, so that it
// can't merge with the new text, and what stood before it afterwards. What
// surrounds the value, and a missing space after the label, stay as they are.
//
// Errors: deploytoken.ErrMisconfigured, deploytoken.ErrName.
func (d *Document) Prepare(r deploytoken.Reading, value string, mark deploytoken.Mark, remove []deploytoken.Mark) (deploytoken.Batch, error) {
	if r.Revision == "" {
		return deploytoken.Batch{}, d.readOnly()
	}
	where, ok := r.Place.(place)
	if r.Problem != "" || !ok || where.end <= where.start {
		return deploytoken.Batch{}, &deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "The Deploy token document can't be written while it is unclear: " + r.Problem,
		}
	}
	value = deploytoken.CleanName(value)
	if deploytoken.Visible(value) == "" {
		return deploytoken.Batch{}, &deploytoken.Fault{Kind: deploytoken.ErrName, Message: "The name is empty, so it can't be written into the document."}
	}
	within := func(start, end int64) *docs.Range {
		return &docs.Range{StartIndex: start, EndIndex: end, TabId: where.tab}
	}
	var requests []*docs.Request
	// Marks go first: Google drops those whose text is deleted, and refuses to
	// delete what isn't there.
	for _, m := range remove {
		if slices.Contains(r.Marks, m) {
			requests = append(requests, &docs.Request{DeleteNamedRange: &docs.DeleteNamedRangeRequest{Name: markName(m)}})
		}
	}
	if where.head < where.end {
		requests = append(requests, &docs.Request{DeleteContentRange: &docs.DeleteContentRangeRequest{Range: within(where.head, where.end)}})
	}
	requests = append(requests,
		&docs.Request{InsertText: &docs.InsertTextRequest{Text: value, Location: &docs.Location{Index: where.head, TabId: where.tab}}},
		&docs.Request{DeleteContentRange: &docs.DeleteContentRangeRequest{Range: within(where.start, where.head)}},
		&docs.Request{CreateNamedRange: &docs.CreateNamedRangeRequest{Name: markName(mark), Range: within(where.start, where.start+utf16Len(value))}},
	)
	body, err := json.Marshal(&docs.BatchUpdateDocumentRequest{
		Requests:     requests,
		WriteControl: &docs.WriteControl{RequiredRevisionId: r.Revision},
	})
	return deploytoken.Batch{Revision: r.Revision, Body: body}, err
}

// Ready checks that the document may be written.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (d *Document) Ready(ctx context.Context) error {
	revision, err := d.Revision(ctx)
	if err == nil && revision == "" {
		return d.readOnly()
	}
	return err
}

// readOnly is the fault of a document that the bot may not write.
func (d *Document) readOnly() error {
	return &deploytoken.Fault{
		Kind:    deploytoken.ErrMisconfigured,
		Message: "The bot may read the Deploy token document but not write it. Share it with " + d.client.whom() + " as Editor.",
	}
}

// Write sends the batch once, its body as it is. A 2xx means that it landed,
// even where the rest of the answer is lost. A 400 that isn't about another
// revision is put down to the guard, as the batch was made for the revision
// that it names. A batch without a guard is not sent.
// Errors: as deploytoken.Document has them.
func (d *Document) Write(ctx context.Context, b deploytoken.Batch) error {
	var guard struct {
		WriteControl struct {
			RequiredRevisionID string `json:"requiredRevisionId"`
			TargetRevisionID   string `json:"targetRevisionId"`
		} `json:"writeControl"`
	}
	if err := json.Unmarshal(b.Body, &guard); err != nil || b.Revision == "" ||
		guard.WriteControl.RequiredRevisionID != b.Revision || guard.WriteControl.TargetRevisionID != "" {
		return &deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "A change of the Deploy token document was not sent, because nothing would have kept it from overwriting somebody else's.",
			Cause:   err,
		}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	t := d.target()
	t.write, t.guarded = true, true
	if err := d.client.post(ctx, d.client.docs.BasePath+"v1/documents/"+url.PathEscape(d.id)+":batchUpdate", b.Body); err != nil {
		return d.client.explain(err, t)
	}
	return nil
}

// LastEditor names who edited the document last: their name, else their e-mail
// address; "" where Drive doesn't tell the bot.
// Errors: deploytoken.ErrUnavailable.
func (d *Document) LastEditor(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	file, err := d.client.drive.Files.Get(d.id).SupportsAllDrives(true).Context(ctx).Fields("lastModifyingUser(displayName,emailAddress)").Do()
	if err != nil {
		if err = d.client.explain(err, d.target()); errors.Is(err, deploytoken.ErrMisconfigured) {
			d.client.log.Debug("Drive doesn't tell who edited last", "error", err)
			return "", nil
		}
		return "", err
	}
	switch u := file.LastModifyingUser; {
	case u == nil:
		return "", nil
	case u.DisplayName != "":
		return u.DisplayName, nil
	default:
		return u.EmailAddress, nil
	}
}

// markPrefix begins the names of the named ranges that are marks.
const markPrefix = "deploytoken:"

func markName(m deploytoken.Mark) string { return markPrefix + m.Store + ":" + m.Operation }

// marksOf returns the marks in all tabs, each once, in order of their names.
func marksOf(doc *docs.Document) []deploytoken.Mark {
	names := map[string]bool{}
	for t := range allTabs(doc.Tabs) {
		if t.DocumentTab != nil {
			for name := range t.DocumentTab.NamedRanges {
				names[name] = true
			}
		}
	}
	var marks []deploytoken.Mark
	for _, name := range slices.Sorted(maps.Keys(names)) {
		rest, ok := strings.CutPrefix(name, markPrefix)
		store, operation, both := strings.Cut(rest, ":")
		if ok && both && store != "" && operation != "" {
			marks = append(marks, deploytoken.Mark{Store: store, Operation: operation})
		}
	}
	return marks
}

// readMask names what is read of a document: the leaves, as masks of whole tabs
// are refused for the comments in them. Text comes without its style; elements
// such as chips, and tables in tables, come whole. Tabs nest three deep.
var readMask = googleapi.Field(func() string {
	const suggestions = "suggestedInsertionIds,suggestedDeletionIds"
	const paragraph = "paragraph(elements(startIndex,endIndex,textRun(content," + suggestions + ")" +
		",person,richLink,dateElement,dropdown,autoText,equation,footnoteReference,inlineObjectElement" +
		",pageBreak,columnBreak,horizontalRule))"
	const table = "table(" + suggestions + ",tableRows(" + suggestions +
		",tableCells(" + suggestions + ",content(" + paragraph + ",table))))"
	const tab = "tabProperties(tabId,title),documentTab(body(content(" + paragraph + "," + table + ")),namedRanges)"
	return "revisionId,tabs(" + tab + ",childTabs(" + tab + ",childTabs(" + tab + ")))"
}())
