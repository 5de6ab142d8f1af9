package gdoc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/auth"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// TestNoReplay: a write on a connection that was kept, and that the server cuts
// when it sees the request, must not be sent again by net/http.
func TestNoReplay(t *testing.T) {
	l := startGoogle(t)
	if err := l.client.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			writes.Add(1)
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"revisionId":"r1"}`)
	}))
	defer server.Close()
	l.client.docs.BasePath = server.URL + "/"
	d := l.client.Document("doc", label)
	if _, err := d.Revision(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := deploytoken.Batch{Revision: "r1", Body: []byte(`{"writeControl":{"requiredRevisionId":"r1"}}`)}
	wantFault(t, d.Write(t.Context(), b), deploytoken.ErrAmbiguous)
	if n := writes.Load(); n != 1 {
		t.Errorf("the write was sent %d times", n)
	}
}

// TestStaleConnection: a connection that the server has closed while it was idle
// gives an error that says at most that it isn't known; and then a new one works.
func TestStaleConnection(t *testing.T) {
	l := startGoogle(t)
	if err := l.client.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			writes.Add(1)
		}
		_, _ = io.WriteString(w, `{"revisionId":"r1"}`)
	}))
	defer server.Close()
	l.client.docs.BasePath = server.URL + "/"
	d := l.client.Document("doc", label)
	if _, err := d.Revision(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections()
	b := deploytoken.Batch{Revision: "r1", Body: []byte(`{"writeControl":{"requiredRevisionId":"r1"}}`)}
	for range 2 {
		err := d.Write(t.Context(), b)
		switch n := writes.Swap(0); {
		case err == nil && n != 1:
			t.Errorf("done, after %d writes", n)
		case errors.Is(err, deploytoken.ErrUnavailable) && n != 0:
			t.Errorf("said to be undone after %d writes: %v", n, err)
		case err != nil && !errors.Is(err, deploytoken.ErrUnavailable) && !errors.Is(err, deploytoken.ErrAmbiguous):
			t.Errorf("got %v", err)
		}
	}
	if err := d.Write(t.Context(), b); err != nil {
		t.Errorf("on a new connection: %v", err)
	}
}

func TestLandedThoughTheAnswerIsCut(t *testing.T) {
	l := startGoogle(t)
	if err := l.client.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, `{"documentId":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	l.client.docs.BasePath = server.URL + "/"
	b := deploytoken.Batch{Revision: "r1", Body: []byte(`{"writeControl":{"requiredRevisionId":"r1"}}`)}
	if err := l.client.Document("doc", label).Write(t.Context(), b); err != nil {
		t.Errorf("a 2xx with half a body: %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	l := startGoogle(t)
	var followed atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	l.client.docs.BasePath = server.URL + "/"
	d := l.client.Document("doc", label)
	b := deploytoken.Batch{Revision: "r1", Body: []byte(`{"writeControl":{"requiredRevisionId":"r1"}}`)}
	wantFault(t, d.Write(t.Context(), b), deploytoken.ErrMisconfigured)
	_, err := d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured)
	if followed.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestSignInTrouble(t *testing.T) {
	l := startGoogle(t)
	doc, d := l.document(t, google.Lines("Held by: Nobody")...)
	b := prepare(t, d, read(t, d), "Ann", newMark())

	// Google no longer takes the token that is kept: the next call gets another.
	l.RevokeTokens(account)
	_, err := d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured, account)
	read(t, d)

	// The token endpoint has trouble: nothing was sent, and it passes.
	l.RevokeTokens(account)
	_, err = d.Read(t.Context())
	wantFault(t, err, deploytoken.ErrMisconfigured)
	for _, kind := range []google.FaultKind{google.FailBefore, google.DropBefore, google.RateLimit} {
		l.fault(t, google.Fault{Operation: google.TokenIssue, Kind: kind})
		wantFault(t, d.Write(t.Context(), b), deploytoken.ErrUnavailable, "sign-in")
		l.ClearFaults()
	}

	// The key was deleted.
	l.DeleteKey(account)
	wantFault(t, d.Write(t.Context(), b), deploytoken.ErrMisconfigured, "invalid_grant", "clock", account)
	wantFault(t, l.client.warm(t.Context()), deploytoken.ErrMisconfigured, "invalid_grant")
	if doc.Holder() != "Nobody" || l.calls(google.DocsBatchUpdate) != 0 {
		t.Errorf("the document says %q after %d writes", doc.Holder(), l.calls(google.DocsBatchUpdate))
	}
}

// fixedToken is a sign-in that always gives the same token.
type fixedToken string

func (t fixedToken) Token(context.Context) (*auth.Token, error) {
	return &auth.Token{Value: string(t)}, nil
}

// TestRefusedTokenWaitsForNobody: Google refuses the token while another call is
// at a sign-in that hangs.
func TestRefusedTokenWaitsForNobody(t *testing.T) {
	var built int
	s := &signIn{gate: make(chan struct{}, 1)}
	s.build = func() (*auth.Credentials, error) {
		built++
		return auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: fixedToken("x")}), nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.gate <- struct{}{}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		resp, err := (&transport{base: newBase(), signIn: s, log: slog.New(slog.DiscardHandler)}).RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
		<-s.gate
	case <-time.After(10 * time.Second):
		t.Error("the call waits for the sign-in of another")
		<-s.gate
		<-done
	}
	if _, err := s.token(t.Context()); err != nil || built != 2 {
		t.Errorf("after %d sign-ins: %v", built, err)
	}
}
