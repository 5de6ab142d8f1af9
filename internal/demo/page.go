package demo

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// maxSkip is how far the clock moves at a time.
const maxSkip = 7 * 24 * time.Hour

// contentPolicy lets the page use its own files and nothing else. No text can
// become markup: the browser itself refuses that, but to the library that
// renders the page's own templates.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"

// handler serves the page and what it asks for, to this machine alone.
func (w *world) handler() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // the name is that of the directive above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /events", w.serveEvents)
	// The control interfaces of the local servers.
	for name, server := range map[string]http.Handler{"slack": w.slack, "google": w.google, "kingfisher": w.kingfisher} {
		mux.HandleFunc("POST /"+name+"/{what}", func(rw http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = "/sandbox/"+r.PathValue("what"), ""
			server.ServeHTTP(rw, r)
		})
	}
	post(mux, "POST /bot/kill", func(*http.Request, struct{}) error { return w.bot.kill() })
	post(mux, "POST /bot/start", func(*http.Request, struct{}) error { return w.bot.start() })
	post(mux, "POST /clock", func(_ *http.Request, in struct{ Skip string }) error {
		d, err := time.ParseDuration(in.Skip)
		if err != nil || d <= 0 || d > maxSkip {
			return fmt.Errorf("skip: %q is not a time such as 1h, up to %s", in.Skip, maxSkip)
		}
		w.bot.skip(d)
		return nil
	})
	post(mux, "POST /faults/{id}", func(r *http.Request, in struct{ On bool }) error {
		return w.setFault(r.PathValue("id"), in.On)
	})
	// A page of another site must not be able to do anything here.
	return thisMachine(http.NewCrossOriginProtection().Handler(mux))
}

// thisMachine refuses requests for another host: a page of another site whose
// name was made to lead here would else be taken for this one.
func thisMachine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if !isLoopback(host) {
			http.Error(w, "The demo is for this machine alone: open it as localhost.", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// post mounts a handler whose request is JSON. What could not be done is
// answered by status 400 and {"error": "why"}, as the local servers do.
func post[In any](mux *http.ServeMux, pattern string, do func(*http.Request, In) error) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err == nil || errors.Is(err, io.EOF) {
			err = do(r, in)
		}
		w.Header().Set("Content-Type", "application/json")
		answer := struct {
			Error string `json:"error,omitempty"`
		}{}
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			answer.Error = err.Error()
		}
		_ = json.NewEncoder(w).Encode(answer) // the client may have left
	})
}

// serveEvents streams what there is to be shown: first every section, then each
// whenever it has changed, as {"section": …}.
func (w *world) serveEvents(rw http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	changed := w.subscribe(ctx)
	rw.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(rw)
	sent := map[string][]byte{}
	for {
		sections := w.sections()
		for _, name := range slices.Sorted(maps.Keys(sections)) {
			now, err := json.Marshal(sections[name])
			if err != nil {
				http.Error(rw, err.Error(), http.StatusInternalServerError)
				return
			}
			if bytes.Equal(now, sent[name]) {
				continue
			}
			sent[name] = now
			if _, err := fmt.Fprintf(rw, "data: {%q: %s}\n\n", name, now); err != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-w.ctx.Done():
			return
		}
	}
}

// subscribe returns a channel that holds a value whenever something may have
// changed since it was last received from, until ctx ends.
func (w *world) subscribe(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	w.mu.Lock()
	w.changed[changed] = true
	w.mu.Unlock()
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	slackChanges, stopSlack := w.slack.Subscribe()
	googleChanges, stopGoogle := w.google.Subscribe(1)
	kingfisherChanges, stopKingfisher := w.kingfisher.Subscribe()
	// Each ends when its channel is closed, by stop or by the server's Close.
	w.wg.Go(func() {
		for range slackChanges {
			tell()
		}
	})
	w.wg.Go(func() {
		for range googleChanges {
			tell()
		}
	})
	w.wg.Go(func() {
		for range kingfisherChanges {
			tell()
		}
	})
	context.AfterFunc(ctx, func() {
		stopSlack()
		stopGoogle()
		stopKingfisher()
		w.mu.Lock()
		delete(w.changed, changed)
		w.mu.Unlock()
	})
	return changed
}
