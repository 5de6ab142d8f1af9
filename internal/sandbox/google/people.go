package google

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Document is a handle on a document, for what people do with it in a browser and for looking at it.
type Document struct {
	s *Server
	f *file
}

// NewDocument makes a document. Where the specification has no ID, one is made up.
func (s *Server) NewDocument(spec DocumentSpec) (*Document, error) {
	c, err := spec.build()
	if err != nil {
		return nil, fmt.Errorf("local Google: document: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &file{
		id: spec.ID, title: spec.Title, office: spec.Office, roles: spec.Roles,
		doc: &document{
			revisions: []revision{{number: 1, content: c, at: s.cfg.Clock()}},
			issued:    map[string]issue{},
		},
	}
	if f.title == "" {
		f.title = "Untitled document"
	}
	if err := s.newFile(f); err != nil {
		return nil, err
	}
	s.notify(Change{Kind: "document", File: f.id})
	return &Document{s, f}, nil
}

// Document finds a document by its ID; nil where there is none.
func (s *Server) Document(id string) *Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil || f.doc == nil {
		return nil
	}
	return &Document{s, f}
}

// ID is the document's ID.
func (d *Document) ID() string { return d.f.id }

// Link is the document's address, as Drive says it.
func (d *Document) Link() string { return d.f.link() }

// Text is the document as a reader sees it: all tabs, a line for each paragraph and soft break, chips as
// they are shown, and what is only suggested as well.
func (d *Document) Text() string { return d.latest().content.text() }

// Revision numbers the latest revision, from 1.
func (d *Document) Revision() int { return d.latest().number }

// LastEditor is who changed the document last.
func (d *Document) LastEditor() Person {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.f.lastEditor
}

func (d *Document) latest() revision {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.f.doc.latest()
}

// Holder is what stands after the label on the first line that has it, without the space around it; ""
// where there is no such line.
func (d *Document) Holder() string { return d.latest().content.holderText(d.s.cfg.Label) }

func (c *content) holderText(label string) string {
	for _, l := range c.lines() {
		if value, ok := cutLabel(l.text, label); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// cutLabel cuts a label off the start of a line, case and white space aside.
func cutLabel(text, label string) (value string, ok bool) {
	rest := text
	for want := range strings.FieldsSeq(label) {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if len(rest) < len(want) || !strings.EqualFold(rest[:len(want)], want) {
			return "", false
		}
		rest = rest[len(want):]
	}
	return rest, true
}

// A NamedRange is a name on a part of a tab's text.
type NamedRange struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Tab  string `json:"tab"`
	// Start and End are the UTF-16 indexes of its first piece, Text is the text there.
	Start int    `json:"start"`
	End   int    `json:"end"`
	Text  string `json:"text"`
}

// NamedRanges lists the named ranges of all tabs, in each tab in the order of their creation.
func (d *Document) NamedRanges() []NamedRange {
	return d.latest().content.namedRanges()
}

func (c *content) namedRanges() []NamedRange {
	var out []NamedRange
	for _, t := range c.all() {
		for _, r := range t.ranges {
			at := r.spans[0]
			out = append(out, NamedRange{r.id, r.name, t.id, at.start, at.end, shown(t.units[at.start:at.end])})
		}
	}
	return out
}

// Find returns the tab and the UTF-16 index at which text first stands within a line.
func (d *Document) Find(text string) (tab string, index int, ok bool) {
	for _, l := range d.latest().content.lines() {
		for i := l.start; i < l.end; i++ {
			if n := utf16Len(text); i+n <= l.end && shown(l.tab.units[i:i+n]) == text {
				return l.tab.id, i, true
			}
		}
	}
	return "", 0, false
}

// EditKind names what a person does.
type EditKind string

const (
	// SetHolder replaces what stands after the label on the first line that has it by Text.
	SetHolder EditKind = "set_holder"
	// ReplaceLine replaces the first line that is or, where none is, starts with Line by Text.
	ReplaceLine EditKind = "replace_line"
	// AddLine adds a paragraph with Text at the end of a tab.
	AddLine EditKind = "add_line"
	// Insert puts Text at Index of Tab.
	Insert EditKind = "insert"
	// DeleteText deletes from Index up to End of Tab.
	DeleteText EditKind = "delete"
	// InsertChip puts a chip of Person at Index of Tab.
	InsertChip EditKind = "insert_chip"
	// SetHolderChip replaces what stands after the label by a chip of Person.
	SetHolderChip EditKind = "set_holder_chip"
	// Suggest suggests that what stands from Index up to End of Tab becomes Text.
	Suggest EditKind = "suggest"
	// SuggestHolder suggests that what stands after the label becomes Text.
	SuggestHolder EditKind = "suggest_holder"
	// AcceptSuggestion and RejectSuggestion settle the suggestion with the ID Suggestion, or all of them
	// where it is empty.
	AcceptSuggestion EditKind = "accept_suggestion"
	RejectSuggestion EditKind = "reject_suggestion"
	// Comment comments on the document: its revision changes, its text doesn't.
	Comment EditKind = "comment"
	// TouchRevision changes the revision for nothing, which nobody did.
	TouchRevision EditKind = "touch_revision"
	// DeleteNamedRanges deletes the named ranges whose names start with Text.
	DeleteNamedRanges EditKind = "delete_named_ranges"
	// RestoreRevision makes what the document said at the revision numbered Revision the latest.
	RestoreRevision EditKind = "restore_revision"
	// MakeBold makes the text from Index up to End of Tab bold.
	MakeBold EditKind = "bold"
)

// An Edit is one thing that a person does, saved as one revision. Its fields are used as its kind says.
type Edit struct {
	Kind       EditKind `json:"kind"`
	Tab        string   `json:"tab,omitempty"` // a tab's ID; the first tab where empty
	Index      int      `json:"index,omitempty"`
	End        int      `json:"end,omitempty"`
	Line       string   `json:"line,omitempty"`
	Text       string   `json:"text,omitempty"`
	Person     *Person  `json:"person,omitempty"`
	Suggestion string   `json:"suggestion,omitempty"`
	Revision   int      `json:"revision,omitempty"`
}

// Apply does what a person does, at once and in one revision. An edit that the document doesn't allow
// changes nothing.
func (d *Document) Apply(who Person, e Edit) error {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	if err := d.s.applyEdit(d.f, who, e); err != nil {
		return fmt.Errorf("local Google: %s: %w", e.Kind, err)
	}
	return nil
}

// SetHolder replaces what stands after the label on the first line that has it, in one edit.
func (d *Document) SetHolder(who Person, name string) error {
	return d.Apply(who, Edit{Kind: SetHolder, Text: name})
}

// TypeHolder deletes what stands after the label and types a name, key by key, each key a revision of
// its own, every so often (0: as fast as it goes).
func (d *Document) TypeHolder(ctx context.Context, who Person, name string, every time.Duration) error {
	start, end, ok := d.holder()
	if !ok {
		return errors.New("local Google: no line has the label")
	}
	for i := end; i > start.end; i-- {
		if err := pace(ctx, every); err != nil {
			return err
		}
		if err := d.backspace(who, start.tab, i); err != nil {
			return err
		}
	}
	return d.Type(ctx, who, start.tab.id, start.end, name, every)
}

// holder is where the value of the holder line stands: from start.end up to end.
func (d *Document) holder() (start line, end int, ok bool) {
	return d.latest().content.holder(d.s.cfg.Label)
}

// holder finds the line with the label; its own end is where the value starts.
func (c *content) holder(label string) (l line, end int, ok bool) {
	for _, l := range c.lines() {
		value, ok := cutLabel(l.text, label)
		if !ok {
			continue
		}
		end := l.end
		// Shown text and units differ in length by chips alone, and those stand after the label.
		l.end = l.start + utf16Len(l.text) - utf16Len(value)
		if l.end < end && l.tab.units[l.end].kind == textUnit && l.tab.units[l.end].code == ' ' {
			l.end++
		}
		return l, end, true
	}
	return line{}, 0, false
}

func (d *Document) backspace(who Person, t *tab, at int) error {
	start := at - 1
	if t.splitsSurrogates(start) {
		return nil // the pair goes at once, with its first half
	}
	end := at
	if end < len(t.units) && t.splitsSurrogates(end) {
		end++
	}
	return d.Apply(who, Edit{Kind: DeleteText, Tab: t.id, Index: start, End: end})
}

// Type types text at an index of a tab ("": the first) key by key, each key a revision of its own, every
// so often (0: as fast as it goes).
func (d *Document) Type(ctx context.Context, who Person, tab string, index int, text string, every time.Duration) error {
	for _, key := range text {
		if err := pace(ctx, every); err != nil {
			return err
		}
		if err := d.Apply(who, Edit{Kind: Insert, Tab: tab, Index: index, Text: string(key)}); err != nil {
			return err
		}
		index += utf16Len(string(key))
	}
	return nil
}

// pace waits until the next key.
func pace(ctx context.Context, every time.Duration) error {
	if every <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(every)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ReplaceLine replaces the first line that is (or else starts with) old.
func (d *Document) ReplaceLine(who Person, old, with string) error {
	return d.Apply(who, Edit{Kind: ReplaceLine, Line: old, Text: with})
}

// Delete deletes a range of a tab ("": the first).
func (d *Document) Delete(who Person, tab string, start, end int) error {
	return d.Apply(who, Edit{Kind: DeleteText, Tab: tab, Index: start, End: end})
}

// Suggest suggests that a range of a tab be replaced by text; either may be empty.
func (d *Document) Suggest(who Person, tab string, start, end int, text string) error {
	return d.Apply(who, Edit{Kind: Suggest, Tab: tab, Index: start, End: end, Text: text})
}

// InsertChip puts a person chip at an index of a tab.
func (d *Document) InsertChip(who Person, tab string, index int, chip Person) error {
	return d.Apply(who, Edit{Kind: InsertChip, Tab: tab, Index: index, Person: &chip})
}

// Comment comments on the document: only its revision changes.
func (d *Document) Comment(who Person) error { return d.Apply(who, Edit{Kind: Comment}) }

// TouchRevision changes the document's revision for no reason that anyone sees.
func (d *Document) TouchRevision() error { return d.Apply(Person{}, Edit{Kind: TouchRevision}) }

// DeleteNamedRanges deletes the named ranges whose names have a prefix.
func (d *Document) DeleteNamedRanges(who Person, prefix string) error {
	return d.Apply(who, Edit{Kind: DeleteNamedRanges, Text: prefix})
}

// RestoreRevision makes the content of an older revision, with its named ranges, the latest.
func (d *Document) RestoreRevision(who Person, number int) error {
	return d.Apply(who, Edit{Kind: RestoreRevision, Revision: number})
}

// A hook is an edit that waits for the next batch.
type hook struct {
	who   Person
	edit  Edit
	merge bool
	delay time.Duration
}

// BeforeNextBatch has a person edit the document when the next batch for it arrives, before that is
// looked at: the edit between a program's reading and its writing.
func (d *Document) BeforeNextBatch(who Person, e Edit) { d.addHook(hook{who: who, edit: e}) }

// MergeIntoNextBatch has a person's edit be under way while the next batch is committed: it is made on
// the text before the batch, is saved after it, and merges, as browsers' edits do. It comes delay after
// the commit; with 0, before the batch is answered.
func (d *Document) MergeIntoNextBatch(who Person, e Edit, delay time.Duration) {
	d.addHook(hook{who: who, edit: e, merge: true, delay: delay})
}

func (d *Document) addHook(h hook) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.f.doc.hooks = append(d.f.doc.hooks, h)
}

// runHooks makes the edits that wait for a batch of a document.
func (s *Server) runHooks(fileID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[fileID]
	if f == nil || f.doc == nil {
		return
	}
	hooks := f.doc.hooks
	f.doc.hooks = nil
	for _, h := range hooks {
		if h.merge {
			f.doc.hooks = append(f.doc.hooks, h)
			continue
		}
		if err := s.applyEdit(f, h.who, h.edit); err != nil {
			s.log.Warn("local Google could not make the edit before a batch", "file", f.id, "edit", h.edit.Kind, "error", err)
		}
	}
}

// A merge is an edit as primitive changes of the text that it was made on.
type merge struct {
	hook
	base    int // the revision
	changes []change
}

// A change deletes the units from start up to end and puts units at start.
type change struct {
	tab        string
	start, end int
	units      []unit
	// marks, where set, suggests deleting the range instead.
	suggestion string
}

// prepareMerges resolves the edits that are under way on the latest revision. s.mu is held.
func (s *Server) prepareMerges(f *file) []merge {
	var out []merge
	latest := f.doc.latest()
	for _, h := range f.doc.hooks {
		changes, err := s.resolve(f, latest.content, h.edit)
		if err != nil {
			s.log.Warn("local Google could not make the edit that merges", "file", f.id, "edit", h.edit.Kind, "error", err)
			continue
		}
		out = append(out, merge{h, latest.number, changes})
	}
	f.doc.hooks = nil
	return out
}

// keepMerges puts edits back to wait for the next batch.
func (s *Server) keepMerges(f *file, merges []merge) {
	for _, m := range merges {
		f.doc.hooks = append(f.doc.hooks, m.hook)
	}
}

// runMerges saves edits that were under way, now or after their delay. s.mu is held.
func (s *Server) runMerges(f *file, merges []merge) {
	for _, m := range merges {
		if m.delay <= 0 {
			s.runMerge(f, m)
			continue
		}
		if s.closed {
			return
		}
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			if pace(s.ctx, m.delay) != nil {
				return
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.runMerge(f, m)
		}()
	}
}

func (s *Server) runMerge(f *file, m merge) {
	next := f.doc.latest().content.clone()
	var since []splice
	for _, r := range f.doc.revisions {
		if r.number > m.base {
			since = append(since, r.content.splices...)
		}
	}
	for _, c := range m.changes {
		if t := next.tab(c.tab); t != nil {
			(editor{next}).mergeChange(t, c, since)
		}
	}
	s.commitDocument(f, next, Write{Who: m.who, Edit: string(m.edit.Kind) + " (merged)"})
}

// mergeChange makes a change of an older text, as far as what it concerns is still there.
func (e editor) mergeChange(t *tab, c change, since []splice) {
	at := carry(since, t.id, c.start)
	var left []int
	for i := c.start; i < c.end; i++ {
		if now, ok := survives(since, t.id, i); ok {
			left = append(left, now)
		}
	}
	for _, i := range slices.Backward(left) {
		if c.suggestion != "" {
			t.units[i].del = c.suggestion
			continue
		}
		e.remove(t, i, i+1)
		if i < at {
			at--
		}
	}
	if len(c.units) > 0 && t.checkInsert(at) == nil {
		e.insert(t, at, c.units)
	}
}

// applyEdit makes an edit on the latest revision. s.mu is held.
func (s *Server) applyEdit(f *file, who Person, e Edit) error {
	if f.doc == nil {
		return errors.New("not a document")
	}
	latest := f.doc.latest()
	next := latest.content.clone()
	w := Write{Who: who, Edit: string(e.Kind)}
	switch e.Kind {
	case Comment:
	case TouchRevision:
		// Nobody did it: Drive's record of the last editor stays.
		w.Who = f.lastEditor
	case DeleteNamedRanges:
		for _, t := range next.all() {
			t.ranges = slices.DeleteFunc(t.ranges, func(r namedRange) bool { return strings.HasPrefix(r.name, e.Text) })
		}
	case RestoreRevision:
		old, ok := f.doc.at(e.Revision)
		if !ok {
			return fmt.Errorf("no revision %d", e.Revision)
		}
		next = old.content.clone()
		for _, t := range latest.content.all() {
			next.splices = append(next.splices, splice{t.id, 1, len(t.units) - 1, 0})
		}
		for _, t := range next.all() {
			next.splices = append(next.splices, splice{t.id, 1, 0, len(t.units) - 1})
		}
	case AcceptSuggestion, RejectSuggestion:
		(editor{next}).settle(e.Suggestion, e.Kind == AcceptSuggestion)
	case MakeBold:
		t := next.tab(e.Tab)
		if t == nil {
			return fmt.Errorf("no tab %q", e.Tab)
		}
		if err := t.checkRange(e.Index, e.End); err != nil {
			return errors.New(err.message)
		}
		for i := e.Index; i < e.End; i++ {
			t.units[i].style.Bold = true
		}
	default:
		changes, err := s.resolve(f, next, e)
		if err != nil {
			return err
		}
		for _, c := range changes {
			(editor{next}).mergeChange(next.tab(c.tab), c, nil)
		}
	}
	s.commitDocument(f, next, w)
	return nil
}

// resolve turns an edit of text into changes of a content, or says why it can't be made.
func (s *Server) resolve(f *file, c *content, e Edit) ([]change, error) {
	t := c.tab(e.Tab)
	if t == nil {
		return nil, fmt.Errorf("no tab %q", e.Tab)
	}
	start, end := e.Index, e.Index
	switch e.Kind {
	case Insert, InsertChip:
	case DeleteText, Suggest:
		end = e.End
	case AddLine:
		start = len(t.units) - 1
		end = start
		e.Text = "\n" + e.Text
	case SetHolder, SetHolderChip, SuggestHolder:
		l, to, ok := c.holder(s.cfg.Label)
		if !ok {
			return nil, fmt.Errorf("no line starts with %q", s.cfg.Label)
		}
		t, start, end = l.tab, l.end, to
		before := t.units[start-1]
		if e.Text != "" && before.kind == textUnit && before.code != ' ' {
			e.Text = " " + e.Text
		}
	case ReplaceLine:
		l, ok := c.find(e.Line)
		if !ok {
			return nil, fmt.Errorf("no line starts with %q", e.Line)
		}
		t, start, end = l.tab, l.start, l.end
	default:
		return nil, fmt.Errorf("kind %q isn't an edit of text", e.Kind)
	}
	if err := t.checkInsert(start); err != nil {
		return nil, errors.New(err.message)
	}
	if end != start {
		if err := t.checkDelete(start, end); err != nil {
			return nil, errors.New(err.message)
		}
	}
	style := t.styleAt(start)
	if end > start {
		style = t.units[start].style
	}
	_, last := t.paragraph(start)
	out := change{tab: t.id, start: start, end: end, units: textUnits(strip(e.Text), style, t.units[last-1].heading)}
	if e.Kind == InsertChip || e.Kind == SetHolderChip {
		if e.Person == nil {
			return nil, errors.New("a chip needs a person")
		}
		p := *e.Person
		out.units = append(out.units, unit{kind: elementUnit, style: style, element: &element{id: "kix." + randomID(12), person: &p}})
	}
	if e.Kind == Suggest || e.Kind == SuggestHolder {
		f.doc.suggested++
		out.suggestion = fmt.Sprintf("suggest.%s%d", randomID(10), f.doc.suggested)
		for i := range out.units {
			out.units[i].ins = out.suggestion
		}
		// What is suggested in place of text stands after it.
		return []change{
			{tab: t.id, start: start, end: end, suggestion: out.suggestion},
			{tab: t.id, start: end, end: end, units: out.units},
		}, nil
	}
	return []change{out}, nil
}

// find finds the first line that is text or, where none is, starts with it.
func (c *content) find(text string) (line, bool) {
	lines := c.lines()
	for _, l := range lines {
		if l.text == text {
			return l, true
		}
	}
	for _, l := range lines {
		if strings.HasPrefix(l.text, text) {
			return l, true
		}
	}
	return line{}, false
}

// settle accepts or rejects a suggestion, or all of them.
func (e editor) settle(id string, accept bool) {
	for _, t := range e.all() {
		for i := len(t.units) - 1; i > 0; i-- {
			u := &t.units[i]
			mine := func(s string) bool { return s != "" && (id == "" || s == id) }
			if accept && mine(u.del) || !accept && mine(u.ins) {
				if !u.newline() || t.checkDelete(i, i+1) == nil {
					e.remove(t, i, i+1)
					continue
				}
			}
			if mine(u.ins) {
				u.ins = ""
			}
			if mine(u.del) {
				u.del = ""
			}
		}
	}
}
