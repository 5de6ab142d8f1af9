package gdoc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

const label = "Held by:"

var account = google.ServiceAccountEmail("deploy-bot")

var ann = google.Person{Name: "Ann Lee", Email: "ann@example.org"}

// A local is a local Google and the bot's client of it.
type local struct {
	*google.Server
	client *Client
}

// startGoogle starts a local Google with the bot's account in it, and signs in
// with a key file as in production.
func startGoogle(t *testing.T) local {
	t.Helper()
	server, err := google.New(google.Config{Accounts: []google.Account{{Email: account, Name: "Deploy bot"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return local{server, newLocalClient(t, server, Config{})}
}

func newLocalClient(t *testing.T, server *google.Server, c Config) *Client {
	t.Helper()
	key, err := server.CredentialsJSON(account)
	if err != nil {
		t.Fatal(err)
	}
	c.CredentialsFile = filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(c.CredentialsFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Endpoint = server.URL()
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// document makes a document of blocks in one tab.
func (l local) document(t *testing.T, blocks ...google.Block) (*google.Document, *Document) {
	t.Helper()
	return l.documentOf(t, google.DocumentSpec{Tabs: []google.TabSpec{google.Tab("Main", blocks...)}})
}

func (l local) documentOf(t *testing.T, spec google.DocumentSpec) (*google.Document, *Document) {
	t.Helper()
	doc, err := l.NewDocument(spec)
	if err != nil {
		t.Fatal(err)
	}
	return doc, l.client.Document(doc.ID(), label)
}

// fault switches a fault on and returns its ID.
func (l local) fault(t *testing.T, f google.Fault) int {
	t.Helper()
	id, err := l.AddFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// calls counts the requests of an operation since the count was last taken.
func (l local) calls(op google.Operation) (n int) {
	for _, r := range l.Requests() {
		if op == "" && r.Operation != google.TokenIssue || r.Operation == op {
			n++
		}
	}
	return n
}

var operations atomic.Int64

// newMark returns a mark that no other write has.
func newMark() deploytoken.Mark {
	return deploytoken.Mark{Store: "store1", Operation: "op" + string(rune('a'+operations.Add(1)%26)) + time.Now().Format("150405.000000000")}
}

func read(t *testing.T, d *Document) deploytoken.Reading {
	t.Helper()
	r, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func prepare(t *testing.T, d *Document, r deploytoken.Reading, value string, mark deploytoken.Mark, remove ...deploytoken.Mark) deploytoken.Batch {
	t.Helper()
	b, err := d.Prepare(r, value, mark, remove)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantFault checks the kind of an error and what its message says.
func wantFault(t *testing.T, err, kind error, says ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, want the kind %v", err, kind)
	}
	message := deploytoken.Explain(err)
	for _, s := range says {
		if !strings.Contains(message, s) {
			t.Errorf("the message %q doesn't say %q", message, s)
		}
	}
	for _, secret := range []string{"PRIVATE KEY", "Bearer", "ya29"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error %q holds %q", err, secret)
		}
	}
}
