package google_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

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
	credentials, err := s.CredentialsJSON(email)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, credentials, 0o600); err != nil {
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
