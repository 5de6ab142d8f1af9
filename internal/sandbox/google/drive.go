package google

import (
	"fmt"
	"net/http"
	"reflect"
	"time"

	"google.golang.org/api/drive/v3"
)

// getFile answers Drive's files.get. Without a field mask it has what Google gives by default.
func (s *Server) getFile(c *call) (any, *apiError) {
	m, failed := c.fields()
	if failed != nil || m.unknown(reflect.TypeFor[drive.File]()) != "" {
		e := invalid("Invalid field selection %s", c.query.Get("fields"))
		e.reason = "invalidParameter"
		return nil, e
	}
	if m == nil {
		m, _ = parseMask("kind,id,name,mimeType")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[c.fileID]
	if f == nil || f.deleted || f.role(c.account) == NoAccess {
		return nil, &apiError{
			code: http.StatusNotFound, reason: "notFound",
			message: fmt.Sprintf("File not found: %s.", c.fileID),
		}
	}
	role := f.role(c.account)
	c.revision = f.revision()
	out := &drive.File{
		Kind: "drive#file", Id: f.id, Name: f.title, MimeType: f.mime(), Version: f.version,
		CreatedTime: driveTime(f.created), ModifiedTime: driveTime(f.modified), WebViewLink: f.link(),
		Capabilities: &drive.FileCapabilities{
			CanEdit: role == Editor, CanComment: role == Editor || role == Commenter, CanDownload: true, CanCopy: true,
			ForceSendFields: []string{"CanEdit", "CanComment"},
		},
	}
	if f.lastEditor != (Person{}) {
		out.LastModifyingUser = &drive.User{
			Kind: "drive#user", DisplayName: f.lastEditor.Name, EmailAddress: f.lastEditor.Email,
			Me:              f.lastEditor.Email == c.account.Email,
			ForceSendFields: []string{"Me"},
		}
	}
	return masked(out, m)
}

func driveTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// revision is the number of the file's latest revision.
func (f *file) revision() int {
	if f.doc != nil {
		return f.doc.latest().number
	}
	return f.book.revision
}
