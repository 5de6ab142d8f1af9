package gdoc

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"google.golang.org/api/googleapi"
)

// A transport signs requests, and knows of a request that failed whether the
// server can have got it.
type transport struct {
	base   *http.Transport
	signIn *signIn
	log    *slog.Logger
}

// A signInError is why there is no token. The request was not sent.
type signInError struct{ err error }

func (e *signInError) Error() string { return "signing in: " + e.err.Error() }
func (e *signInError) Unwrap() error { return e.err }

// An unsentError is why a request did not get to the server.
type unsentError struct{ err error }

func (e *unsentError) Error() string { return e.err.Error() }
func (e *unsentError) Unwrap() error { return e.err }

// RoundTrip sends the request once.
// Errors: *signInError, *unsentError; after any other it isn't known what the
// server did.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.signIn.token(req.Context())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, &signInError{err}
	}
	// Until all headers are written, no server can have acted on the request.
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	signed := req.Clone(httptrace.WithClientTrace(req.Context(), trace))
	signed.Header.Set("Authorization", "Bearer "+token.Value)
	// Without a way to get the body again, net/http can't send a write twice.
	signed.GetBody = nil

	began := time.Now()
	resp, err := t.base.RoundTrip(signed)
	log := t.log.With("method", req.Method, "path", req.URL.Path, "took", time.Since(began).Round(time.Millisecond))
	if err != nil {
		log.Debug("a call to Google failed", "sent", sent.Load(), "error", err)
		if !sent.Load() {
			return nil, &unsentError{err}
		}
		return nil, err
	}
	log.Debug("called Google", "status", resp.StatusCode)
	if resp.StatusCode == http.StatusUnauthorized {
		t.signIn.forget()
	}
	return resp, nil
}

// CloseIdleConnections lets http.Client close those of the transport beneath.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// post sends a write once, exactly as it is. Once the server has answered with
// a 2xx the write is done, whatever becomes of the rest of the answer.
// Errors: *googleapi.Error, *signInError, *unsentError; after any other, the
// write may have been done.
func (c *Client) post(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return &unsentError{err}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := googleapi.CheckResponse(resp); err != nil {
		return err
	}
	// What is read to its end leaves a connection that can be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return nil
}
