package google_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"google.golang.org/api/docs/v1"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

var (
	ann = google.Person{Name: "Ann Lee", Email: "ann@example.com"}
	bob = google.Person{Name: "Bob Ray", Email: "bob@example.com"}

	bot = google.ServiceAccountEmail("bot")
)

// start runs a server with one account.
func start(t *testing.T, cfg google.Config) *google.Server {
	t.Helper()
	if cfg.Accounts == nil {
		cfg.Accounts = []google.Account{{Email: bot, Name: "Bot"}}
	}
	s, err := google.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// clients are Google's, signed in through a credentials file and the token endpoint.
type clients struct {
	docs   *docs.Service
	sheets *sheets.Service
	drive  *drive.Service
}

func signIn(t *testing.T, s *google.Server, email string, scopes ...string) clients {
	t.Helper()
	if scopes == nil {
		scopes = []string{docs.DocumentsScope, sheets.SpreadsheetsScope, drive.DriveMetadataReadonlyScope}
	}
	key, err := s.CredentialsJSON(email)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	options := func(path string) []option.ClientOption {
		return []option.ClientOption{
			option.WithAuthCredentialsFile(option.ServiceAccount, file),
			option.WithScopes(scopes...),
			option.WithEndpoint(s.URL() + path),
		}
	}
	ctx := context.Background()
	var c clients
	if c.docs, err = docs.NewService(ctx, options("/")...); err != nil {
		t.Fatal(err)
	}
	if c.sheets, err = sheets.NewService(ctx, options("/")...); err != nil {
		t.Fatal(err)
	}
	if c.drive, err = drive.NewService(ctx, options("/drive/v3/")...); err != nil {
		t.Fatal(err)
	}
	return c
}

// credentialsFrom signs in with a credentials file, for all the scopes that the bot asks for.
func credentialsFrom(file []byte) (*auth.Credentials, error) {
	return credentials.NewCredentialsFromJSON(credentials.ServiceAccount, file, &credentials.DetectOptions{
		Scopes: []string{docs.DocumentsScope, sheets.SpreadsheetsScope, drive.DriveMetadataReadonlyScope},
	})
}

func newDocument(t *testing.T, s *google.Server, spec google.DocumentSpec) *google.Document {
	t.Helper()
	d, err := s.NewDocument(spec)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// apiError is the error of a call that should have been refused.
func apiError(t *testing.T, err error) *googleapi.Error {
	t.Helper()
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e
	}
	t.Fatalf("got error %v, want one of the API's", err)
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestHistoryRowThroughTheGoClient(t *testing.T) {
	s := start(t, google.Config{})
	p, err := s.NewSpreadsheet(google.SpreadsheetSpec{Title: "Deploy history", Sheets: []google.SheetSpec{
		{Title: "2026 log", Rows: [][]any{{"Taken", "Name", "Entry ID"}}},
	}})
	must(t, err)
	c := signIn(t, s, bot)
	number, name, id := 46000.5, "=1+1", "e1"
	batch := &sheets.BatchUpdateSpreadsheetRequest{Requests: []*sheets.Request{
		{CreateDeveloperMetadata: &sheets.CreateDeveloperMetadataRequest{DeveloperMetadata: &sheets.DeveloperMetadata{
			MetadataId: 12345, MetadataKey: "entry", MetadataValue: id, Visibility: "DOCUMENT",
			Location: &sheets.DeveloperMetadataLocation{Spreadsheet: true},
		}}},
		{AppendCells: &sheets.AppendCellsRequest{
			Fields: "userEnteredValue,userEnteredFormat.numberFormat",
			Rows: []*sheets.RowData{{Values: []*sheets.CellData{
				{UserEnteredValue: &sheets.ExtendedValue{NumberValue: &number}, UserEnteredFormat: &sheets.CellFormat{NumberFormat: &sheets.NumberFormat{Type: "DATE_TIME", Pattern: "yyyy-mm-dd hh:mm"}}},
				{UserEnteredValue: &sheets.ExtendedValue{StringValue: &name}},
				{UserEnteredValue: &sheets.ExtendedValue{StringValue: &id}},
			}}},
		}},
	}}
	_, err = c.sheets.Spreadsheets.BatchUpdate(p.ID(), batch).Do()
	must(t, err)
	_, err = c.sheets.Spreadsheets.BatchUpdate(p.ID(), batch).Do()
	if e := apiError(t, err); e.Code != 400 {
		t.Errorf("second batch: %v", e)
	}
	got, err := c.sheets.Spreadsheets.Values.Get(p.ID(), "'2026 log'!A:C").Do()
	must(t, err)
	if len(got.Values) != 2 || got.Values[1][0] != "2025-12-09 12:00" || got.Values[1][1] != "=1+1" || got.Range != "'2026 log'!A1:C1000" {
		t.Errorf("read back %s: %v", got.Range, got.Values)
	}
	if cells := p.Cells(""); cells[1][1].Formula != "" || cells[1][1].Value != "=1+1" {
		t.Errorf("cells: %+v", cells)
	}
	appended, err := c.sheets.Spreadsheets.Values.Append(p.ID(), "'2026 log'!A1", &sheets.ValueRange{Values: [][]any{{"a", nil, "e2"}}}).
		ValueInputOption("RAW").InsertDataOption("INSERT_ROWS").Do()
	must(t, err)
	if appended.Updates.UpdatedRange != "'2026 log'!A3:C3" || appended.TableRange != "'2026 log'!A1:C2" {
		t.Errorf("append: %+v %s", appended.Updates, appended.TableRange)
	}
	f, err := c.drive.Files.Get(p.ID()).Fields("version,modifiedTime,lastModifyingUser(displayName,emailAddress)").SupportsAllDrives(true).Do()
	must(t, err)
	if f.LastModifyingUser.DisplayName != "Bot" || f.Version != 3 {
		t.Errorf("drive: %+v", f)
	}
}
