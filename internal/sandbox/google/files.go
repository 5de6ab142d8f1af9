package google

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"
)

const (
	docMime    = "application/vnd.google-apps.document"
	sheetMime  = "application/vnd.google-apps.spreadsheet"
	docxMime   = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	xlsxMime   = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	fileIDSize = 44
)

// A file is a document or a spreadsheet of the drive.
type file struct {
	id, title string
	office    bool
	deleted   bool
	roles     map[string]Role // nil: every account edits

	version    int64 // Drive's, of anything that happens to the file
	created    time.Time
	modified   time.Time
	lastEditor Person

	// One of them is set.
	doc  *document
	book *workbook
}

func (f *file) mime() string {
	switch {
	case f.doc != nil && f.office:
		return docxMime
	case f.doc != nil:
		return docMime
	case f.office:
		return xlsxMime
	}
	return sheetMime
}

func (f *file) link() string {
	if f.doc != nil {
		return "https://docs.google.com/document/d/" + f.id + "/edit?usp=drivesdk"
	}
	return "https://docs.google.com/spreadsheets/d/" + f.id + "/edit?usp=drivesdk"
}

func (f *file) role(a *account) Role {
	if f.roles == nil {
		return Editor
	}
	if r, ok := f.roles[a.Email]; ok {
		return r
	}
	return NoAccess
}

// touch notes that someone changed the file.
func (s *Server) touch(f *file, who Person) {
	f.version++
	f.modified = s.cfg.Clock()
	f.lastEditor = who
}

// A document keeps its revisions, the latest last. Numbers go up by one; the first is 1.
type document struct {
	revisions []revision
	hooks     []hook
	suggested int // how many suggestions there were, for their IDs
	// issued says when a revision ID was last given out, and which revision it is of.
	issued map[string]issue
}

type revision struct {
	number  int
	content *content
	at      time.Time
	by      Person
}

type issue struct {
	revision int
	email    string
	at       time.Time
}

func (d *document) latest() revision { return d.revisions[len(d.revisions)-1] }

// at finds a revision by its number, if it is still kept.
func (d *document) at(number int) (revision, bool) {
	i := number - d.revisions[0].number
	if i < 0 || i >= len(d.revisions) {
		return revision{}, false
	}
	return d.revisions[i], true
}

// revisionID is the opaque ID of a document's revision for one account. IDs aren't shared between users.
func (s *Server) revisionID(f *file, number int, email string) string {
	mac := hmac.New(sha512.New, s.secret)
	mac.Write([]byte(f.id + "\x00" + strconv.Itoa(number) + "\x00" + email))
	sum := mac.Sum(nil)
	more := sha512.Sum512(sum)
	return "ALBJ4L" + base64.RawURLEncoding.EncodeToString(append(sum, more[:]...))[:105]
}

// issueRevision gives an account the ID of the latest revision; it is good for a day from now.
func (s *Server) issueRevision(f *file, a *account) string {
	d, now := f.doc, s.cfg.Clock()
	if len(d.issued) >= maxKept {
		for id, i := range d.issued {
			if now.Sub(i.at) > revisionLife || i.revision != d.latest().number {
				delete(d.issued, id)
			}
		}
	}
	n := d.latest().number
	id := s.revisionID(f, n, a.Email)
	d.issued[id] = issue{n, a.Email, now}
	return id
}

// A Write is a change that was committed: one batch of a program, or one edit of a person.
type Write struct {
	Seq  int       `json:"seq"`  // counts all writes of the server, from 1
	Time time.Time `json:"time"` // by the server's clock
	File string    `json:"file"`
	Who  Person    `json:"who"`

	// Operation is the API's for a program's batch, and empty for a person's edit.
	Operation Operation `json:"operation,omitempty"`
	// Edit says what a person did.
	Edit string `json:"edit,omitempty"`
	// Request is the Seq of the request that a program's batch came with.
	Request int `json:"request,omitempty"`
	// Body is the batch as it was sent.
	Body json.RawMessage `json:"body,omitempty"`

	// Guarded says that the batch required the revision RevisionBefore, so that its sender had read
	// TextBefore or written it.
	Guarded bool `json:"guarded"`

	// RevisionBefore and RevisionAfter number the revisions of a document, from 1; of a spreadsheet, its
	// changes.
	RevisionBefore int `json:"revision_before"`
	RevisionAfter  int `json:"revision_after"`
	// TextBefore and TextAfter are the text of a document, all tabs, as a reader sees it.
	TextBefore string `json:"text_before,omitempty"`
	TextAfter  string `json:"text_after,omitempty"`
	// NamedRanges are the names of a document's named ranges after it.
	NamedRanges []string `json:"named_ranges,omitempty"`
}

// logWrite notes a commit and tells subscribers. s.mu is held.
func (s *Server) logWrite(f *file, w Write) {
	s.writeSeq++
	w.Seq, w.Time, w.File = s.writeSeq, s.cfg.Clock(), f.id
	s.writes.add(w)
	kind := "document"
	if f.book != nil {
		kind = "spreadsheet"
	}
	s.notify(Change{Kind: kind, File: f.id, Seq: w.Seq})
	s.log.Debug("local Google committed", "file", f.id, "who", w.Who.Name, "operation", w.Operation, "edit", w.Edit, "revision", w.RevisionAfter)
}

// Writes returns the committed changes that are remembered, the oldest first.
func (s *Server) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes.list()
}

// commitDocument makes next the document's latest revision. s.mu is held.
func (s *Server) commitDocument(f *file, next *content, w Write) {
	d := f.doc
	before := d.latest()
	d.revisions = append(d.revisions, revision{
		number: before.number + 1, content: next, at: s.cfg.Clock(), by: w.Who,
	})
	if len(d.revisions) > maxKept {
		d.revisions = d.revisions[len(d.revisions)-maxKept:]
	}
	s.touch(f, w.Who)
	w.RevisionBefore, w.RevisionAfter = before.number, before.number+1
	w.TextBefore, w.TextAfter = before.content.text(), next.text()
	for _, r := range next.namedRanges() {
		w.NamedRanges = append(w.NamedRanges, r.Name)
	}
	s.logWrite(f, w)
}

// newFile adds a file. s.mu is held.
func (s *Server) newFile(f *file) error {
	if f.id == "" {
		f.id = opaque(fileIDSize)
	}
	if _, ok := s.files[f.id]; ok {
		return fmt.Errorf("local Google: a file with the ID %s exists already", f.id)
	}
	if err := s.checkRoles(f.roles); err != nil {
		return err
	}
	f.roles = maps.Clone(f.roles)
	f.created = s.cfg.Clock()
	f.modified = f.created
	f.version = 1
	s.files[f.id] = f
	s.fileOrder = append(s.fileOrder, f.id)
	return nil
}

func (s *Server) checkRoles(roles map[string]Role) error {
	for email, r := range roles {
		if s.byEmail[email] == nil {
			return fmt.Errorf("local Google: no account %s", email)
		}
		if !r.valid() {
			return fmt.Errorf("local Google: role %q of %s: want %s, %s, %s or %s", r, email, NoAccess, Viewer, Commenter, Editor)
		}
	}
	return nil
}

// Share gives an account a role on a file; accounts that were given none have NoAccess from then on.
func (s *Server) Share(fileID, email string, role Role) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[fileID]
	if f == nil {
		return fmt.Errorf("local Google: no file %s", fileID)
	}
	if err := s.checkRoles(map[string]Role{email: role}); err != nil {
		return err
	}
	if f.roles == nil {
		f.roles = map[string]Role{}
		for other := range s.byEmail {
			f.roles[other] = Editor
		}
	}
	f.roles[email] = role
	f.version++
	s.notify(Change{Kind: "role", File: f.id})
	return nil
}

// Delete deletes a file: it isn't found from then on. Restore brings it back.
func (s *Server) Delete(fileID string) error { return s.setDeleted(fileID, true) }

// Restore brings a deleted file back.
func (s *Server) Restore(fileID string) error { return s.setDeleted(fileID, false) }

func (s *Server) setDeleted(fileID string, deleted bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[fileID]
	if f == nil {
		return fmt.Errorf("local Google: no file %s", fileID)
	}
	f.deleted = deleted
	s.notify(Change{Kind: "file", File: f.id})
	return nil
}

// ring keeps the last values up to a limit.
type ring[T any] struct {
	values []T
	limit  int
}

func (r *ring[T]) add(v T) {
	if len(r.values) == r.limit {
		r.values = r.values[1:]
	}
	r.values = append(r.values, v)
}

func (r *ring[T]) list() []T { return append([]T(nil), r.values...) }
