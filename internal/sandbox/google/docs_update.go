package google

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"google.golang.org/api/docs/v1"
)

// commentMask is the 400 for a field mask that takes in fields of comments without naming others.
const commentMask = "Field mask cannot retrieve comment-specific fields when include_comments is false."

// getDocument answers documents.get.
func (s *Server) getDocument(c *call) (any, *apiError) {
	if c.verb != "" {
		return nil, notFound()
	}
	m, failed := c.fields()
	if failed != nil {
		return nil, failed
	}
	if path := m.unknown(reflect.TypeFor[docs.Document]()); path != "" {
		return nil, badFields(path)
	}
	for name := range c.query {
		if !slices.Contains([]string{"fields", "$fields", "alt", "$alt", "prettyPrint", "$prettyPrint", "key", "quotaUser", "$.xgafv", "access_token", "suggestionsViewMode", "includeTabsContent", "commentsViewMode"}, name) {
			return nil, invalid("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. Field '%s' could not be found in request message.", name, name)
		}
	}
	withTabs, ok := parseBool(c.query.Get("includeTabsContent"))
	if !ok {
		return nil, invalid("Invalid value at 'include_tabs_content' (TYPE_BOOL), %q", c.query.Get("includeTabsContent"))
	}
	if m != nil && m.children["tabs"] != nil {
		withTabs = true
	}
	mode := c.query.Get("suggestionsViewMode")
	switch mode {
	case "":
		mode = viewDefault
	case viewDefault, viewInline, viewAccepted, viewWithout:
	default:
		return nil, invalid("Invalid value at 'suggestions_view_mode' (type.googleapis.com/google.apps.docs.v1.SuggestionsViewMode), %q", mode)
	}
	comments := false
	switch v := c.query.Get("commentsViewMode"); v {
	case "", "COMMENTS_VIEW_MODE_UNSPECIFIED", "COMMENTS_VIEW_MODE_OMITTED":
	case "COMMENTS_VIEW_MODE_INCLUDED", "COMMENTS_VIEW_MODE_DEFAULT_FOR_CURRENT_ACCESS":
		if !withTabs {
			return nil, invalid("Comments view mode may only be specified if tabs content is also requested.")
		}
		if v == "COMMENTS_VIEW_MODE_INCLUDED" && mode != viewInline || mode == viewAccepted || mode == viewWithout {
			return nil, invalid("Comments may only be requested with suggestions view mode SUGGESTIONS_INLINE.")
		}
		comments = true
	default:
		return nil, invalid("Invalid value at 'comments_view_mode' (type.googleapis.com/google.apps.docs.v1.CommentsViewMode), %q", v)
	}
	if !comments && m.selectsComments() {
		return nil, invalid(commentMask)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	f, failed := s.open(c, Viewer)
	if failed != nil {
		return nil, failed
	}
	role := f.role(c.account)
	if role == Viewer && (mode == viewAccepted || mode == viewInline) && !s.behavior.ShowSuggestions {
		return nil, noPermission()
	}
	if mode == viewDefault {
		mode = viewInline
		if role == Viewer {
			mode = viewWithout
		}
	}
	latest := f.doc.latest()
	c.revision = latest.number
	d := f.renderDocument(latest.content, mode, withTabs)
	if role == Editor {
		d.RevisionId = s.issueRevision(f, c.account)
	}
	return masked(d, m)
}

func parseBool(s string) (value, ok bool) {
	switch s {
	case "", "false", "0":
		return false, true
	case "true", "1":
		return true, true
	}
	return false, false
}

// selectsComments says whether a mask of a document takes in fields that are only for comments.
func (m *fieldMask) selectsComments() bool {
	if m == nil {
		return false
	}
	if m.all() || m.children["comments"] != nil || m.children["suggestions"] != nil {
		return true
	}
	var inTab func(*fieldMask) bool
	inTab = func(m *fieldMask) bool {
		if m.all() {
			return true
		}
		if d, ok := m.child("documentTab"); ok {
			if _, anchors := d.child("commentAnchors"); anchors {
				return true
			}
		}
		below, ok := m.child("childTabs")
		return ok && inTab(below)
	}
	tabs, ok := m.child("tabs")
	return ok && inTab(tabs)
}

// batchUpdateDocument answers documents.batchUpdate.
func (s *Server) batchUpdateDocument(c *call) (any, *apiError) {
	if c.verb != "batchUpdate" {
		return nil, notFound()
	}
	batch, failed := parseBatch(c.body)
	if failed != nil {
		return nil, failed
	}
	s.runHooks(c.fileID)

	s.mu.Lock()
	defer s.mu.Unlock()
	f, failed := s.open(c, Editor)
	if failed != nil {
		return nil, failed
	}
	if len(batch.requests) == 0 {
		return nil, invalid("Must specify at least one request.")
	}
	guard := batch.control.RequiredRevisionId
	switch {
	case batch.control.TargetRevisionId != "" && guard != "":
		return nil, invalid("Must not specify both required_revision_id and target_revision_id.")
	case batch.control.TargetRevisionId != "":
		return nil, unimplemented("A target revision")
	case batch.control.WriteMode != "" && batch.control.WriteMode != "WRITE_MODE_UNSPECIFIED" && batch.control.WriteMode != "EDIT":
		return nil, unimplemented("The write mode " + batch.control.WriteMode)
	case guard != "":
		if failed := s.checkGuard(f, c.account, guard); failed != nil {
			return nil, failed
		}
	}

	merges := s.prepareMerges(f)
	next := f.doc.latest().content.clone()
	replies := make([]*docs.Response, len(batch.requests))
	for i, request := range batch.requests {
		reply, failed := (editor{next}).apply(request)
		if failed != nil {
			s.keepMerges(f, merges)
			return nil, failed.inRequest(i, request.name)
		}
		replies[i] = reply
	}
	s.commitDocument(f, next, Write{
		Who: c.account.person(), Operation: c.op, Request: c.seq, Body: json.RawMessage(c.body), Guarded: guard != "",
	})
	c.revision = f.doc.latest().number
	out := &docs.BatchUpdateDocumentResponse{DocumentId: f.id, Replies: replies}
	if !s.behavior.OmitNewRevision {
		out.WriteControl = &docs.WriteControl{RequiredRevisionId: s.issueRevision(f, c.account)}
	}
	s.runMerges(f, merges)
	m, failed := c.fields()
	if failed != nil {
		return nil, failed
	}
	return masked(out, m)
}

// checkGuard says why a required revision doesn't allow a write. s.mu is held.
func (s *Server) checkGuard(f *file, a *account, id string) *apiError {
	known, ok := f.doc.issued[id]
	if !ok || known.email != a.Email || s.cfg.Clock().Sub(known.at) > revisionLife {
		return invalid("Invalid write_control.required_revision_id: The revision ID '%s' is invalid or has expired.", id)
	}
	if known.revision != f.doc.latest().number {
		status := s.behavior.MismatchStatus
		if status == "" {
			status = failedPrecondition
		}
		e := invalid("The required revision ID '%s' does not match the latest revision.", id)
		e.status = status
		return e
	}
	return nil
}

type docBatch struct {
	requests []batchRequest
	control  docs.WriteControl
}

// parseBatch parses the body of a batchUpdate as strictly as Google does.
func parseBatch(body []byte) (docBatch, *apiError) {
	var b docBatch
	var top struct {
		Requests     json.RawMessage `json:"requests"`
		WriteControl json.RawMessage `json:"writeControl"`
	}
	failed := decodeTop(body, &top)
	if failed != nil {
		return b, failed
	}
	if top.WriteControl != nil {
		if failed := decodeStrict(top.WriteControl, &b.control, "write_control"); failed != nil {
			return b, failed
		}
	}
	b.requests, failed = parseRequests(top.Requests, reflect.TypeFor[docs.Request]())
	return b, failed
}

// apply carries out one request of a batch.
func (e editor) apply(request batchRequest) (*docs.Response, *apiError) {
	none := &docs.Response{}
	switch r := request.body.(type) {
	case *docs.InsertTextRequest:
		return none, e.applyInsertText(r)
	case *docs.DeleteContentRangeRequest:
		t, at, failed := e.rangeOf(r.Range)
		if failed != nil {
			return nil, failed
		}
		return none, e.deleteRange(t, at.start, at.end)
	case *docs.CreateNamedRangeRequest:
		return e.createNamedRange(r)
	case *docs.DeleteNamedRangeRequest:
		return none, e.deleteNamedRange(r)
	case *docs.ReplaceNamedRangeContentRequest:
		return none, e.replaceNamedRange(r)
	case *docs.ReplaceAllTextRequest:
		n, failed := e.replaceAll(r)
		return &docs.Response{ReplaceAllText: &docs.ReplaceAllTextResponse{OccurrencesChanged: n}}, failed
	case *docs.UpdateTextStyleRequest:
		return none, e.updateTextStyle(r)
	}
	return nil, unimplemented("The request " + request.name)
}

func (e editor) applyInsertText(r *docs.InsertTextRequest) *apiError {
	if r.Text == "" {
		return invalid("Insert text requests must specify text to insert.")
	}
	switch {
	case r.Location != nil && r.EndOfSegmentLocation != nil:
		return invalid("Insert text requests must specify either a location or an end of segment location, not both.")
	case r.Location != nil:
		t, failed := e.segment(r.Location.TabId, r.Location.SegmentId)
		if failed != nil {
			return failed
		}
		_, failed = e.insertText(t, int(r.Location.Index), r.Text)
		return failed
	case r.EndOfSegmentLocation != nil:
		t, failed := e.segment(r.EndOfSegmentLocation.TabId, r.EndOfSegmentLocation.SegmentId)
		if failed != nil {
			return failed
		}
		_, failed = e.insertText(t, len(t.units)-1, r.Text)
		return failed
	}
	return invalid("Insert text requests must specify an insertion location.")
}

// segment finds a tab's body; there are no other segments.
func (e editor) segment(tabID, segmentID string) (*tab, *apiError) {
	t := e.tab(tabID)
	if t == nil {
		return nil, invalid("The tab with ID %s was not found.", tabID)
	}
	if segmentID != "" {
		return nil, invalid("Segment with ID %s was not found.", segmentID)
	}
	return t, nil
}

func (e editor) rangeOf(r *docs.Range) (*tab, span, *apiError) {
	if r == nil || r.EndIndex == 0 {
		return nil, span{}, invalid("Invalid range: must contain a start and end index")
	}
	t, failed := e.segment(r.TabId, r.SegmentId)
	if failed != nil {
		return nil, span{}, failed
	}
	at := span{int(r.StartIndex), int(r.EndIndex)}
	if at.start < 0 {
		return nil, span{}, invalid("Invalid range: indexes must not be negative")
	}
	return t, at, t.checkRange(at.start, at.end)
}

// inTabs says which tabs a request's criteria name; all, where there are none.
func (e editor) inTabs(criteria *docs.TabsCriteria) ([]*tab, *apiError) {
	if criteria == nil || len(criteria.TabIds) == 0 {
		return e.all(), nil
	}
	var out []*tab
	for _, id := range criteria.TabIds {
		t := e.tab(id)
		if t == nil || id == "" {
			return nil, invalid("The tab with ID %s was not found.", id)
		}
		out = append(out, t)
	}
	return out, nil
}

func (e editor) createNamedRange(r *docs.CreateNamedRangeRequest) (*docs.Response, *apiError) {
	if n := utf16Len(r.Name); n < 1 || n > 256 {
		return nil, invalid("Named range names must be at least 1 character and no more than 256 characters, measured in UTF-16 code units.")
	}
	t, at, failed := e.rangeOf(r.Range)
	if failed != nil {
		return nil, failed
	}
	if t.splitsSurrogates(at.start) || t.splitsSurrogates(at.end) {
		return nil, invalid("The range cannot include one code unit of a surrogate pair.")
	}
	id := "kix." + randomID(12)
	t.ranges = append(t.ranges, namedRange{id: id, name: r.Name, spans: []span{at}})
	return &docs.Response{CreateNamedRange: &docs.CreateNamedRangeResponse{NamedRangeId: id}}, nil
}

func (e editor) deleteNamedRange(r *docs.DeleteNamedRangeRequest) *apiError {
	if (r.NamedRangeId == "") == (r.Name == "") {
		return invalid("Must specify exactly one of named_range_id and name.")
	}
	tabs, failed := e.inTabs(r.TabsCriteria)
	if failed != nil {
		return failed
	}
	deleted := 0
	for _, t := range tabs {
		before := len(t.ranges)
		t.ranges = slices.DeleteFunc(t.ranges, func(nr namedRange) bool {
			return r.NamedRangeId != "" && nr.id == r.NamedRangeId || r.Name != "" && nr.name == r.Name
		})
		deleted += before - len(t.ranges)
	}
	if deleted == 0 && r.NamedRangeId != "" {
		return invalid("The named range with ID %s was not found.", r.NamedRangeId)
	}
	return nil
}

func (e editor) replaceNamedRange(r *docs.ReplaceNamedRangeContentRequest) *apiError {
	if (r.NamedRangeId == "") == (r.NamedRangeName == "") {
		return invalid("Must specify exactly one of named_range_id and named_range_name.")
	}
	tabs, failed := e.inTabs(r.TabsCriteria)
	if failed != nil {
		return failed
	}
	found := false
	for _, t := range tabs {
		var names []string
		for _, nr := range t.ranges {
			if r.NamedRangeId != "" && nr.id == r.NamedRangeId || r.NamedRangeName != "" && nr.name == r.NamedRangeName {
				names = append(names, nr.id)
			}
		}
		for _, id := range names {
			found = true
			if failed := e.replaceRange(t, id, r.Text); failed != nil {
				return failed
			}
		}
	}
	if !found && r.NamedRangeId != "" {
		return invalid("The named range with ID %s was not found.", r.NamedRangeId)
	}
	return nil
}

// replaceRange replaces the text of a named range's first piece and deletes that of the others. The
// name stays on the new text.
func (e editor) replaceRange(t *tab, id, text string) *apiError {
	i := slices.IndexFunc(t.ranges, func(nr namedRange) bool { return nr.id == id })
	if i < 0 {
		return nil // it went with the text of another
	}
	nr := t.ranges[i]
	spans := slices.Clone(nr.spans)
	slices.SortFunc(spans, func(a, b span) int { return b.start - a.start })
	first := spans[len(spans)-1]
	for _, s := range spans[:len(spans)-1] {
		if failed := e.deleteRange(t, s.start, s.end); failed != nil {
			return failed
		}
	}
	// The text goes in before the old is deleted, and takes its style.
	if failed := t.checkDelete(first.start, first.end); failed != nil {
		return failed
	}
	_, end := t.paragraph(first.start)
	units := textUnits(strip(text), t.units[first.start].style, t.units[end-1].heading)
	e.insert(t, first.start, units)
	start := first.start + len(units)
	e.remove(t, start, start+first.end-first.start)
	t.ranges = slices.DeleteFunc(t.ranges, func(other namedRange) bool { return other.id == id })
	if len(units) > 0 {
		t.ranges = append(t.ranges, namedRange{id, nr.name, []span{{first.start, start}}})
	}
	return nil
}

func (e editor) replaceAll(r *docs.ReplaceAllTextRequest) (int64, *apiError) {
	if r.ContainsText == nil || r.ContainsText.Text == "" {
		return 0, invalid("The search text must not be empty.")
	}
	expr := r.ContainsText.Text
	if !r.ContainsText.SearchByRegex {
		expr = regexp.QuoteMeta(expr)
	}
	if !r.ContainsText.MatchCase {
		expr = "(?i)" + expr
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return 0, invalid("The search text is not a valid regular expression.")
	}
	tabs, failed := e.inTabs(r.TabsCriteria)
	if failed != nil {
		return 0, failed
	}
	var n int64
	for _, t := range tabs {
		// From the end, so that what was found keeps its place.
		for end := len(t.units); end > 1; {
			start := end - 1
			for start > 1 && t.units[start-1].kind == textUnit && !t.units[start-1].newline() {
				start--
			}
			if t.units[end-1].kind == textUnit {
				n += e.replaceIn(t, start, end, re, r.ReplaceText)
			}
			end = start
		}
	}
	return n, nil
}

// replaceIn replaces matches within text of one paragraph.
func (e editor) replaceIn(t *tab, start, end int, re *regexp.Regexp, with string) int64 {
	codes := make([]uint16, 0, end-start)
	for _, u := range t.units[start:end] {
		if !u.newline() {
			codes = append(codes, u.code)
		}
	}
	text := string(utf16.Decode(codes))
	matches := re.FindAllStringIndex(text, -1)
	for _, m := range slices.Backward(matches) {
		if m[0] == m[1] {
			continue
		}
		from, to := start+utf16Len(text[:m[0]]), start+utf16Len(text[:m[1]])
		_, last := t.paragraph(from)
		units := textUnits(strip(with), t.units[from].style, t.units[last-1].heading)
		e.insert(t, to, units)
		e.remove(t, from, to)
	}
	return int64(len(matches))
}

func (e editor) updateTextStyle(r *docs.UpdateTextStyleRequest) *apiError {
	t, at, failed := e.rangeOf(r.Range)
	if failed != nil {
		return failed
	}
	var fields []string
	for f := range strings.SplitSeq(r.Fields, ",") {
		if f = camelCase(strings.TrimSpace(f)); f != "" {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		return invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
	}
	for i := at.start; i < at.end; i++ {
		if t.units[i].inline() {
			if failed := t.units[i].style.update(r.TextStyle, fields); failed != nil {
				return failed
			}
		}
	}
	return nil
}
