package gdoc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func TestCredentialsFile(t *testing.T) {
	server := startGoogle(t)
	good, err := server.CredentialsJSON(account)
	if err != nil {
		t.Fatal(err)
	}
	without := func(key string, value any) []byte {
		var file map[string]any
		if err := json.Unmarshal(good, &file); err != nil {
			t.Fatal(err)
		}
		delete(file, key)
		if value != nil {
			file[key] = value
		}
		out, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		content []byte
		says    string
	}{
		{"empty", nil, "not JSON"},
		{"no JSON", []byte("-----BEGIN PRIVATE KEY-----"), "not JSON"},
		{"no object", []byte("[]"), "not JSON of the right form"},
		{"no type", without("type", nil), "no type"},
		{"unknown type", without("type", "key"), "key"},
		{"no address", without("client_email", nil), "client_email"},
		{"no key", without("private_key", nil), "private_key is missing"},
		{"damaged key", without("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "private_key is damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.json")
			if err := os.WriteFile(path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := NewClient(Config{CredentialsFile: path})
			wantFault(t, err, deploytoken.ErrMisconfigured, path, tt.says, "GOOGLE_APPLICATION_CREDENTIALS")
		})
	}
	missing := filepath.Join(t.TempDir(), "none.json")
	_, err = NewClient(Config{CredentialsFile: missing})
	wantFault(t, err, deploytoken.ErrMisconfigured, missing, "no such file")
}

// TestNothingIsCalledByConstructors: starting needs no network.
func TestNothingIsCalledByConstructors(t *testing.T) {
	l := startGoogle(t)
	l.client.Document("doc", label)
	if _, err := l.client.History(HistoryConfig{Spreadsheet: "sheet", Columns: columns}); err != nil {
		t.Fatal(err)
	}
	if n := len(l.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	if l.client.Account() != account {
		t.Errorf("the account is %q", l.client.Account())
	}
}

// TestDefaultCredentials: without a file, what Google's tools have left is used.
func TestDefaultCredentials(t *testing.T) {
	l := startGoogle(t)
	key, err := l.CredentialsJSON(account)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	folder := filepath.Join(home, ".config", "gcloud")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "application_default_credentials.json"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := NewClient(Config{Endpoint: l.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if err := client.warm(t.Context()); err != nil || client.Account() != account {
		t.Errorf("signed in as %q: %v", client.Account(), err)
	}
	doc, _ := l.document(t, google.Lines("Held by: Ann")...)
	if r := read(t, client.Document(doc.ID(), label)); r.Value != "Ann" {
		t.Errorf("read %q", r.Value)
	}
}

func TestImpersonatedAccount(t *testing.T) {
	s := &signIn{}
	s.keepEmail([]byte(`{"type":"impersonated_service_account","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/bot@p.iam.gserviceaccount.com:generateAccessToken"}`))
	if got := s.account(); got != "bot@p.iam.gserviceaccount.com" {
		t.Errorf("the account is %q", got)
	}
}
