package google_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// lacking skips a test that needs more than Go, or fails it where everything must run.
func lacking(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// TestNodeClients checks the server with clients that share nothing with the Go ones: Google's own for
// Node.js, with a token that the account's key signs.
func TestNodeClients(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		lacking(t, "the check with Google's clients for Node.js needs Node.js: %v", err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		lacking(t, "the check with Google's clients for Node.js needs npm: %v", err)
	}
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "googleapis"))))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		lacking(t, "the check with Google's clients for Node.js needs its packages from the npm registry: %v\n%s", err, out)
	}

	s := start(t, google.Config{})
	d := newDocument(t, s, google.DocumentSpec{Title: "Deploy token", Tabs: []google.TabSpec{
		google.Tab("", google.Paragraph(google.Text("👩‍👩‍👧")), google.Paragraph(google.Bold("Held by:"), google.Text(" Nobody"), google.Chip(bob))),
	}})
	p, err := s.NewSpreadsheet(google.SpreadsheetSpec{Sheets: []google.SheetSpec{{Title: "Log 1", Rows: [][]any{{"Name", "Entry ID"}}}}})
	must(t, err)
	key, err := s.CredentialsJSON(bot)
	must(t, err)
	keyFile := filepath.Join(dir, "key.json")
	must(t, os.WriteFile(keyFile, key, 0o600))

	check := exec.CommandContext(ctx, node, "check.mjs")
	check.Dir = dir
	check.Env = append(os.Environ(), "GOOGLE_URL="+s.URL(), "GOOGLE_KEY="+keyFile, "DOCUMENT="+d.ID(), "SPREADSHEET="+p.ID())
	var stderr bytes.Buffer
	check.Stderr = &stderr
	out, err := check.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}

	type refusal struct {
		Code            int
		Status, Message string
	}
	var seen struct {
		Text, Named                         []string
		Range, Updated, Metadata            string
		SameRevision                        bool
		Conflict, Mask, Duplicate, BadRange *refusal
		Values                              [][]string
		File                                map[string]any
	}
	must(t, json.Unmarshal(out, &seen))
	ranges := d.NamedRanges()
	if len(ranges) != 1 || ranges[0].ID != seen.Range || ranges[0].Text != "Ann" || !seen.SameRevision || !reflect.DeepEqual(seen.Named, []string{"mark"}) {
		t.Errorf("the named range: %+v, and they saw %s, %v", ranges, seen.Range, seen.Named)
	}
	if d.Text() != "👩‍👩‍👧\nHeld by: AnnBob Ray\n" || !reflect.DeepEqual(seen.Text, []string{"Held by:", " Nobody", "@bob@example.com", "\n"}) {
		t.Errorf("the document says %q, and they read %q", d.Text(), seen.Text)
	}
	if c := seen.Conflict; c == nil || c.Code != 400 || c.Status != "FAILED_PRECONDITION" {
		t.Errorf("the conflict: %+v", c)
	}
	if c := seen.Mask; c == nil || c.Code != 400 || c.Status != "INVALID_ARGUMENT" {
		t.Errorf("the mask: %+v", c)
	}
	if c := seen.Duplicate; c == nil || c.Code != 400 {
		t.Errorf("the second batch: %+v", c)
	}
	if c := seen.BadRange; c == nil || c.Code != 400 || c.Message != "Unable to parse range: Gone!A1" {
		t.Errorf("the range: %+v", c)
	}
	if !reflect.DeepEqual(seen.Values, [][]string{{"Name", "Entry ID"}, {"=1", "e1"}, {"b", "e2"}}) || seen.Updated != "'Log 1'!A3:B3" || seen.Metadata != "e1" {
		t.Errorf("the rows: %v at %s, metadata %q", seen.Values, seen.Updated, seen.Metadata)
	}
	want := map[string]any{"name": "Deploy token", "version": "2", "capabilities": map[string]any{"canEdit": true}, "lastModifyingUser": map[string]any{"displayName": "Bot"}}
	if !reflect.DeepEqual(seen.File, want) {
		t.Errorf("the file: %v", seen.File)
	}
}
