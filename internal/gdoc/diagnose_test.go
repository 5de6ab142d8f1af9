package gdoc

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func TestKeepsRowsOut(t *testing.T) {
	whole := &sheets.GridRange{SheetId: 1}
	for _, tt := range []struct {
		name      string
		protected sheets.ProtectedRange
		want      bool
	}{
		{"the whole tab", sheets.ProtectedRange{Range: whole}, true},
		{"the bot may edit it", sheets.ProtectedRange{Range: whole, RequestingUserCanEdit: true}, false},
		{"it only warns", sheets.ProtectedRange{Range: whole, WarningOnly: true}, false},
		{"with exceptions", sheets.ProtectedRange{Range: whole, UnprotectedRanges: []*sheets.GridRange{{StartRowIndex: 1}}}, false},
		{"the header row", sheets.ProtectedRange{Range: &sheets.GridRange{EndRowIndex: 1}}, false},
		{"all rows from the second on", sheets.ProtectedRange{Range: &sheets.GridRange{StartRowIndex: 1}}, true},
		{"a column of the bot's", sheets.ProtectedRange{Range: &sheets.GridRange{StartColumnIndex: 6, EndColumnIndex: 7}}, true},
		{"a column beside the bot's", sheets.ProtectedRange{Range: &sheets.GridRange{StartColumnIndex: 7, EndColumnIndex: 8}}, false},
		{"a named range, which says no cells", sheets.ProtectedRange{NamedRangeId: "x"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := keepsRowsOut(&tt.protected, 7); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// A tab that is protected against the bot is one that it may not write, whatever
// Drive says of the file.
func TestTryWriteProtectedTab(t *testing.T) {
	l := startGoogle(t)
	_, plain := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History"})
	to, err := url.Parse(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	protected := true
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if !protected || !strings.Contains(r.Request.URL.RawQuery, "protectedRanges") {
				return nil
			}
			var s sheets.Spreadsheet
			if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
				return err
			}
			p := s.Sheets[0].Properties
			s.Sheets[0].ProtectedRanges = []*sheets.ProtectedRange{{Range: &sheets.GridRange{SheetId: p.SheetId}}}
			body := &strings.Builder{}
			if err := json.NewEncoder(body).Encode(&s); err != nil {
				return err
			}
			r.Header.Del("Content-Length")
			r.ContentLength = int64(body.Len())
			r.Body = io.NopCloser(strings.NewReader(body.String()))
			return nil
		},
	})
	t.Cleanup(server.Close)
	l.client.sheets.BasePath = server.URL + "/"

	_, _, err = plain.TryWrite(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured, "“History”", "protected against the bot", plain.Link(), "Data > Protect sheets and ranges", account)
	protected = false
	if found, warning, err := plain.TryWrite(t.Context()); found != mayEdit || warning != "" || err != nil {
		t.Errorf("%q %q %v", found, warning, err)
	}
}

// What is tried changes nothing.
func TestTryLooksOnly(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Paragraph(google.Text("Held by: Ann Lee")))
	_, h := l.spreadsheet(t, HistoryConfig{})
	for _, try := range []func() (string, string, error){
		func() (string, string, error) { return l.client.TrySignIn(t.Context()) },
		func() (string, string, error) { return d.TryRead(t.Context()) },
		func() (string, string, error) { return d.TryHolder(t.Context()) },
		func() (string, string, error) { return d.TryWrite(t.Context()) },
		func() (string, string, error) { return h.TryTab(t.Context()) },
		func() (string, string, error) { return h.TryWrite(t.Context()) },
	} {
		if found, warning, err := try(); found == "" || warning != "" || err != nil {
			t.Errorf("%q %q %v", found, warning, err)
		}
	}
	if n := len(l.Writes()); n != 0 {
		t.Errorf("%d writes", n)
	}
}

// Drive that has trouble is said to have it, and a fault of Google's own is no
// reason to mend anything.
func TestTryWriteWithoutDrive(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Paragraph(google.Text("Held by: Ann Lee")))
	_, h := l.spreadsheet(t, HistoryConfig{})
	l.fault(t, google.Fault{Operation: google.DriveGet, Kind: google.FailBefore})
	_, _, err := d.TryWrite(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable, "Google has trouble (503)")
	_, _, err = h.TryWrite(t.Context())
	wantFault(t, err, deploytoken.ErrUnavailable, "Google has trouble (503)")
}
