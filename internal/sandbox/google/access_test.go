package google_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/auth/credentials"
	"google.golang.org/api/docs/v1"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// TestAccess has every way in which an account may not do what it asks, with what Google answers.
func TestAccess(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	readOnly := signIn(t, s, bot, docs.DocumentsReadonlyScope, sheets.SpreadsheetsReadonlyScope)
	doc := func(spec google.DocumentSpec) string { return newDocument(t, s, spec).ID() }
	sheet := func(spec google.SpreadsheetSpec) string {
		p, err := s.NewSpreadsheet(spec)
		must(t, err)
		return p.ID()
	}
	as := func(r google.Role) map[string]google.Role { return map[string]google.Role{bot: r} }

	readDoc := func(c clients, id string) error { _, err := c.docs.Documents.Get(id).Do(); return err }
	writeDoc := func(c clients, id string) error {
		_, err := c.docs.Documents.BatchUpdate(id, guarded("", insert(1, "x"))).Do()
		return err
	}
	readSheet := func(c clients, id string) error {
		_, err := c.sheets.Spreadsheets.Values.Get(id, "A1").Do()
		return err
	}
	writeSheet := func(c clients, id string) error {
		_, err := c.sheets.Spreadsheets.BatchUpdate(id, &sheets.BatchUpdateSpreadsheetRequest{Requests: []*sheets.Request{{AddSheet: &sheets.AddSheetRequest{}}}}).Do()
		return err
	}
	readFile := func(c clients, id string) error { _, err := c.drive.Files.Get(id).Do(); return err }

	none, viewed := doc(google.DocumentSpec{Roles: as(google.NoAccess)}), doc(google.DocumentSpec{Roles: as(google.Viewer)})
	commented, open := doc(google.DocumentSpec{Roles: as(google.Commenter)}), doc(google.DocumentSpec{})
	office, gone := doc(google.DocumentSpec{Office: true}), doc(google.DocumentSpec{})
	must(t, s.Delete(gone))
	viewedSheet, openSheet := sheet(google.SpreadsheetSpec{Roles: as(google.Viewer)}), sheet(google.SpreadsheetSpec{})
	officeSheet := sheet(google.SpreadsheetSpec{Office: true})

	const permission, missing, scopes = "The caller does not have permission", "Requested entity was not found.", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
	const isOffice = "This operation is not supported for this document. The document must not be an Office file."
	for _, tt := range []struct {
		name string
		do   func(clients, string) error
		who  clients
		id   string
		code int // 0: it is done
		want string
	}{
		{"read", readDoc, c, open, 0, ""},
		{"write", writeDoc, c, open, 0, ""},
		{"read, not shared", readDoc, c, none, 403, permission},
		{"write, not shared", writeDoc, c, none, 403, permission},
		{"look up, not shared", readFile, c, none, 404, "File not found: " + none + "."},
		{"read as viewer", readDoc, c, viewed, 0, ""},
		{"write as viewer", writeDoc, c, viewed, 403, permission},
		{"look up as viewer", readFile, c, viewed, 0, ""},
		{"write as commenter", writeDoc, c, commented, 403, permission},
		{"read a wrong ID", readDoc, c, "nonsense", 404, missing},
		{"write a wrong ID", writeDoc, c, "nonsense", 404, missing},
		{"look up a wrong ID", readFile, c, "nonsense", 404, "File not found: nonsense."},
		{"read a deleted one", readDoc, c, gone, 404, missing},
		{"read an Office file", readDoc, c, office, 400, isOffice},
		{"look up an Office file", readFile, c, office, 0, ""},
		{"read a spreadsheet as a document", readDoc, c, openSheet, 404, missing},
		{"read a document as a spreadsheet", readSheet, c, open, 404, missing},
		{"read with the reading scope", readDoc, readOnly, open, 0, ""},
		{"write with the reading scope", writeDoc, readOnly, open, 403, scopes},
		{"look up without a scope for it", readFile, readOnly, open, 403, scopes},
		{"read a sheet", readSheet, c, openSheet, 0, ""},
		{"write a sheet", writeSheet, c, openSheet, 0, ""},
		{"read a sheet as viewer", readSheet, c, viewedSheet, 0, ""},
		{"write a sheet as viewer", writeSheet, c, viewedSheet, 403, permission},
		{"read an Office sheet", readSheet, c, officeSheet, 400, isOffice},
		{"write a sheet with the reading scope", writeSheet, readOnly, openSheet, 403, scopes},
	} {
		err := tt.do(tt.who, tt.id)
		if tt.code == 0 {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if e := apiError(t, err); e.Code != tt.code || e.Message != tt.want && !strings.Contains(e.Body, `"`+tt.want+`"`) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, e.Code, e.Body, tt.code, tt.want)
		}
	}

	must(t, s.Share(none, bot, google.Editor))
	must(t, s.Restore(gone))
	for _, id := range []string{none, gone} {
		if err := writeDoc(c, id); err != nil {
			t.Errorf("once it was shared or restored: %v", err)
		}
	}

	must(t, s.SetBehavior(google.Behavior{DisabledAPIs: []string{"docs.googleapis.com"}}))
	e := apiError(t, readDoc(c, open))
	if e.Code != 403 || !strings.Contains(e.Body, `"reason": "SERVICE_DISABLED"`) || !strings.Contains(e.Body, `"activationUrl": "https://console.developers.google.com/apis/api/docs.googleapis.com/overview?project=`) {
		t.Errorf("disabled: %v %s", e, e.Body)
	}
	if err := readSheet(c, openSheet); err != nil {
		t.Errorf("the other API: %v", err)
	}
}

func TestTokens(t *testing.T) {
	skew := time.Duration(0)
	s := start(t, google.Config{TokenClock: func() time.Time { return time.Now().Add(skew) }})
	d := holderDocument(t, s)
	c := signIn(t, s, bot)
	read := func(c clients) error { _, err := c.docs.Documents.Get(d.ID()).Fields("title").Do(); return err }
	must(t, read(c))

	s.RevokeTokens(bot)
	if e := apiError(t, read(c)); e.Code != 401 || !strings.Contains(e.Body, "ACCESS_TOKEN_TYPE_UNSUPPORTED") {
		t.Errorf("a revoked token: %v", e)
	}
	c = signIn(t, s, bot)
	must(t, read(c))
	skew = 61 * time.Minute
	if e := apiError(t, read(c)); e.Code != 401 || !strings.Contains(e.Body, "ACCESS_TOKEN_EXPIRED") {
		t.Errorf("an old token: %v", e)
	}
	for _, tt := range []struct {
		name string
		skew time.Duration
		want string
	}{
		{"a clock that is hours behind", 3 * time.Hour, "invalid_grant"},
		{"a clock that is hours ahead", -3 * time.Hour, "invalid_grant"},
	} {
		skew = tt.skew
		if err := read(signIn(t, s, bot)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	skew = 0
	c = signIn(t, s, bot)
	s.DeleteKey(bot)
	if err := read(c); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a deleted key: %v", err)
	}

	key, err := s.CredentialsJSON(bot)
	must(t, err)
	selfSigned, err := credentials.NewCredentialsFromJSON(credentials.ServiceAccount, key, &credentials.DetectOptions{
		Scopes: []string{docs.DocumentsScope}, UseSelfSignedJWT: true,
	})
	must(t, err)
	own, err := selfSigned.Token(t.Context())
	must(t, err)
	parts := strings.Split(own.Value, ".")
	for _, tt := range []struct {
		name, header string
		code         int
		reason       string
	}{
		{"a token signed by the key itself", "Bearer " + own.Value, 200, ""},
		{"none", "", 401, "CREDENTIALS_MISSING"},
		{"another scheme", "Basic eA==", 401, "CREDENTIALS_MISSING"},
		{"made up", "Bearer ya29.nonsense", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"},
		{"without its signature", "Bearer " + parts[0] + "." + parts[1] + ".", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"},
		{"with a changed claim", "Bearer " + parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(
			strings.Replace(decode(t, parts[1]), "auth/documents", "auth/drive", 1))) + "." + parts[2], 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"},
		{"unsigned", "Bearer " + base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/v1/documents/"+d.ID(), nil)
		must(t, err)
		if tt.header != "" {
			req.Header.Set("Authorization", tt.header)
		}
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.code || !strings.Contains(string(body), tt.reason) {
			t.Errorf("%s: %d %s", tt.name, resp.StatusCode, body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/drive/v3/files/"+d.ID(), nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+own.Value)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("a self-signed token without the scope: %d", resp.StatusCode)
	}
	for _, r := range s.Requests() {
		if strings.Contains(r.Query+r.Path, "ya29") || strings.Contains(r.Query, parts[2]) {
			t.Errorf("a token is in the log: %+v", r)
		}
	}
}

func decode(t *testing.T, part string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	must(t, err)
	return string(b)
}

func TestTokenEndpointRefuses(t *testing.T) {
	s := start(t, google.Config{})
	for _, tt := range []struct {
		form url.Values
		want string
	}{
		{url.Values{}, "unsupported_grant_type"},
		{url.Values{"grant_type": {"refresh_token"}}, "unsupported_grant_type"},
		{url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}, "invalid_grant"},
		{url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {"a.b.c"}}, "invalid_grant"},
	} {
		resp, err := http.PostForm(s.URL()+"/token", tt.form)
		must(t, err)
		var got struct{ Error string }
		must(t, json.NewDecoder(resp.Body).Decode(&got))
		resp.Body.Close()
		if resp.StatusCode != 400 || got.Error != tt.want {
			t.Errorf("%v: %d %+v", tt.form, resp.StatusCode, got)
		}
	}
}

func TestQuotas(t *testing.T) {
	now := time.Now()
	s := start(t, google.Config{
		Clock: func() time.Time { return now }, Quotas: google.Quotas{DocsReads: 2, DocsWrites: 1},
		Accounts: []google.Account{{Email: bot}, {Email: google.ServiceAccountEmail("other")}},
	})
	d := holderDocument(t, s)
	c, other := signIn(t, s, bot), signIn(t, s, google.ServiceAccountEmail("other"))
	read := func(c clients) error { _, err := c.docs.Documents.Get(d.ID()).Do(); return err }
	write := func() error {
		_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("", insert(1, "x"))).Do()
		return err
	}
	must(t, read(c))
	must(t, read(c))
	if e := apiError(t, read(c)); e.Code != 429 || !strings.Contains(e.Body, "RESOURCE_EXHAUSTED") || !strings.Contains(e.Message, "'Read requests per minute per user' of service 'docs.googleapis.com'") {
		t.Errorf("third read: %v", e)
	}
	must(t, read(other))
	must(t, write())
	if e := apiError(t, write()); e.Code != 429 || !strings.Contains(e.Message, "Write requests") {
		t.Errorf("second write: %v", e)
	}
	now = now.Add(time.Minute)
	must(t, read(c))
	must(t, write())
	if d.Text() != "xxHeld by: Nobody\n" {
		t.Errorf("the document says %q", d.Text())
	}
}

func TestDriveFiles(t *testing.T) {
	s := start(t, google.Config{Accounts: []google.Account{{Email: bot, Name: "Bot"}, {Email: "viewer@x"}}})
	d := newDocument(t, s, google.DocumentSpec{Title: "Deploy token", Roles: map[string]google.Role{bot: google.Editor, "viewer@x": google.Viewer},
		Tabs: []google.TabSpec{google.Tab("", google.Lines("Held by: Nobody")...)}})
	c, viewer := signIn(t, s, bot), signIn(t, s, "viewer@x")
	get := func(c clients) *drive.File {
		f, err := c.drive.Files.Get(d.ID()).SupportsAllDrives(true).
			Fields("id,name,mimeType,version,modifiedTime,webViewLink,lastModifyingUser(displayName,emailAddress),capabilities(canEdit)").Do()
		must(t, err)
		return f
	}
	f := get(c)
	if f.Name != "Deploy token" || f.MimeType != "application/vnd.google-apps.document" || !f.Capabilities.CanEdit || f.LastModifyingUser != nil ||
		f.Version != 1 || f.WebViewLink != d.Link() || f.Kind != "" {
		t.Errorf("at first: %+v", f)
	}
	if get(viewer).Capabilities.CanEdit {
		t.Error("a viewer can edit")
	}
	must(t, d.SetHolder(ann, "Ann"))
	f = get(c)
	if f.LastModifyingUser.DisplayName != "Ann Lee" || f.LastModifyingUser.EmailAddress != "ann@example.com" || f.Version != 2 {
		t.Errorf("after an edit: %+v", f)
	}
	if _, err := time.Parse(time.RFC3339, f.ModifiedTime); err != nil {
		t.Error(err)
	}
	must(t, d.TouchRevision())
	if f = get(c); f.LastModifyingUser.DisplayName != "Ann Lee" {
		t.Errorf("after a change for nothing: %+v", f.LastModifyingUser)
	}
	short, err := c.drive.Files.Get(d.ID()).Do()
	must(t, err)
	if short.Kind != "drive#file" || short.Version != 0 {
		t.Errorf("by default: %+v", short)
	}
	_, err = c.drive.Files.Get(d.ID()).Fields("nonsense").Do()
	if e := apiError(t, err); e.Code != 400 || e.Message != "Invalid field selection nonsense" {
		t.Errorf("a bad mask: %v", e)
	}
}
