package google

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a Google with Docs, Sheets, Drive's file records and the token endpoint. It is an
// http.Handler and can listen by itself on the loopback interface (Start). Its methods may be called
// from several goroutines at once.
type Server struct {
	cfg Config
	log *slog.Logger
	mux *http.ServeMux

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine and every request in progress

	mu       sync.Mutex
	closed   bool
	http     *http.Server
	url      string // set by Start
	secret   []byte // of revision IDs
	behavior Behavior
	quotas   Quotas
	used     map[quotaKey]int
	minute   int64 // that used counts in

	accounts
	files     map[string]*file
	fileOrder []string

	faults   []*activeFault
	faultSeq int

	requests   ring[Request]
	requestSeq int
	writes     ring[Write]
	writeSeq   int

	changed   chan struct{} // closed and replaced at each change
	changeSeq int
	subs      map[chan Change]struct{}
}

type quotaKey struct{ email, kind string }

// New makes a Google without files. Nothing listens until Start, or until it is mounted as a handler.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("local Google: %w", err)
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger,
		behavior: cfg.Behavior, quotas: cfg.Quotas,
		used:     map[quotaKey]int{},
		accounts: accounts{byEmail: map[string]*account{}, tokens: map[string]accessToken{}},
		files:    map[string]*file{},
		requests: ring[Request]{limit: maxKept},
		writes:   ring[Write]{limit: maxKept},
		changed:  make(chan struct{}),
		subs:     map[chan Change]struct{}{},
		secret:   make([]byte, 32),
	}
	_, _ = rand.Read(s.secret) // never fails
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, a := range cfg.Accounts {
		if err := s.addAccount(a); err != nil {
			return nil, err
		}
	}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	api := func(pattern string, e endpoint) {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e) })
	}
	api("GET /v1/documents/{id}", endpoint{DocsGet, docsService, readDocs, "Read", s.getDocument})
	api("POST /v1/documents/{id}", endpoint{DocsBatchUpdate, docsService, writeDocs, "Write", s.batchUpdateDocument})
	s.sheetRoutes(api)
	// Drive's own base ends in /drive/v3/; the second address is for clients whose base is the server's.
	api("GET /drive/v3/files/{id}", endpoint{DriveGet, driveService, readDrive, "", s.getFile})
	api("GET /files/{id}", endpoint{DriveGet, driveService, readDrive, "", s.getFile})
	s.mux.HandleFunc("POST /token", s.serveToken)
	s.controlRoutes()
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "The requested URL was not found on this server.", http.StatusNotFound)
	})
}

// ServeHTTP answers the APIs, the token endpoint and the control interface.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "the local Google is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	s.mux.ServeHTTP(w, r)
}

// enter counts a piece of work in, unless the server is closed. The caller calls s.wg.Done.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// Start listens on a free loopback port until Close is called or ctx ends.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("local Google: listening on the loopback interface: %w", err)
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.mu.Lock()
	if s.closed || s.http != nil {
		s.mu.Unlock()
		return errors.Join(errors.New("local Google: already started or closed"), l.Close())
	}
	s.http, s.url = srv, "http://"+l.Addr().String()
	s.wg.Add(2)
	s.mu.Unlock()

	go func() {
		defer s.wg.Done()
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("local Google stopped listening", "error", err)
		}
	}()
	go func() {
		defer s.wg.Done()
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		s.cancel()
		srv.Close()
	}()
	return nil
}

// URL is the base address once Start has returned, such as http://127.0.0.1:41234. Docs is at /v1/,
// Sheets at /v4/, Drive at /drive/v3/, the token endpoint at /token.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Close ends every connection and delayed commit, and waits for every goroutine and request of the
// server. It may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		for ch := range s.subs {
			close(ch)
		}
		clear(s.subs)
	}
	srv := s.http
	s.mu.Unlock()

	s.cancel()
	if srv != nil {
		srv.Close()
	}
	s.wg.Wait()
	return nil
}

// SetBehavior changes how Google's undocumented sides behave.
func (s *Server) SetBehavior(b Behavior) error {
	if err := b.check(); err != nil {
		return fmt.Errorf("local Google: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.DisabledAPIs = slices.Clone(b.DisabledAPIs)
	s.behavior = b
	s.notify(Change{Kind: "behavior"})
	return nil
}

// Behavior is what SetBehavior or the configuration said last.
func (s *Server) Behavior() Behavior {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.behavior
	b.DisabledAPIs = slices.Clone(b.DisabledAPIs)
	return b
}

// SetQuotas changes the limits of requests a minute.
func (s *Server) SetQuotas(q Quotas) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quotas = q
}

// A Request is one that reached an API or the token endpoint.
type Request struct {
	Seq       int       `json:"seq"`  // from 1
	Time      time.Time `json:"time"` // by the server's clock
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Query     string    `json:"query,omitempty"` // without tokens
	Operation Operation `json:"operation"`
	File      string    `json:"file,omitempty"`
	Account   string    `json:"account,omitempty"` // empty where the token was refused
	Fault     FaultKind `json:"fault,omitempty"`
	// Status is what was answered; 0 where the connection was closed without an answer, or none was
	// sent yet.
	Status int `json:"status"`
	// Revision is that of the document or spreadsheet that was read, or written.
	Revision int `json:"revision,omitempty"`
	// Done says that the operation was carried out, whatever was answered.
	Done bool `json:"done"`
	// Left says that the client was gone before it could be answered.
	Left bool `json:"left,omitempty"`
}

// Requests returns the requests that are remembered, the oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests.list()
}

// endpoint is how one operation is served.
type endpoint struct {
	op      Operation
	service service
	scopes  []string // any of them will do
	quota   string   // "Read", "Write" or none
	handle  func(*call) (any, *apiError)
}

// call is one request of an API.
type call struct {
	endpoint
	*http.Request
	query    url.Values
	body     []byte
	account  *account
	fault    *activeFault
	fileID   string
	verb     string // what follows the colon after the path's last part, as batchUpdate
	seq      int    // of the request
	revision int    // that was read or written
}

// serve takes a request of an API through authentication, faults and quotas to its handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	c := &call{endpoint: e, Request: r, query: r.URL.Query(), fileID: r.PathValue("id")}
	if r.PathValue("range") == "" {
		c.fileID, c.verb, _ = strings.Cut(c.fileID, ":")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	s.begin(c)
	if err != nil {
		s.answer(w, c, nil, invalid("Request payload could not be read."))
		return
	}
	c.body = body

	s.mu.Lock()
	var refused *apiError
	c.account, refused = s.authenticate(r, e.service, e.scopes)
	if refused == nil && slices.Contains(s.behavior.DisabledAPIs, e.service.host) {
		refused = serviceDisabled(e.service)
	}
	if refused == nil {
		c.fault = s.takeFault(c.op, c.fileID)
		refused = s.takeQuota(c)
	}
	s.updateRequest(c, func(*Request) {})
	s.mu.Unlock()
	if refused != nil {
		s.answer(w, c, nil, refused)
		return
	}

	if s.cfg.Latency > 0 {
		t := time.NewTimer(s.cfg.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			s.left(c)
			return
		}
	}
	var kind FaultKind
	if c.fault != nil {
		kind = c.fault.Kind
	}
	ctx, stop := mergeDone(r.Context(), s.ctx)
	defer stop()
	switch kind {
	case DropBefore:
		panic(http.ErrAbortHandler)
	case FailBefore:
		s.answer(w, c, nil, c.fault.failure())
		return
	case RateLimit:
		s.answer(w, c, nil, quotaExceeded(c.service, cmp.Or(c.quota, "Read")))
		return
	case DelayRequest:
		if !s.wait(ctx, c.fault) {
			s.left(c)
			return
		}
	}

	var result any
	var failed *apiError
	if kind == DelayCommit {
		// The commit outlives its client, and ends with the server.
		type outcome struct {
			result any
			failed *apiError
		}
		done := make(chan outcome, 1)
		if !s.enter() {
			return
		}
		go func() {
			defer s.wg.Done()
			if s.wait(s.ctx, c.fault) {
				result, failed := s.handle(c)
				done <- outcome{result, failed}
			}
		}()
		select {
		case o := <-done:
			result, failed = o.result, o.failed
		case <-ctx.Done():
			s.left(c)
			return
		}
	} else {
		result, failed = s.handle(c)
	}
	switch kind {
	case DropAfter:
		panic(http.ErrAbortHandler)
	case FailAfter:
		s.answer(w, c, nil, c.fault.failure())
		return
	case DelayAnswer:
		if !s.wait(ctx, c.fault) {
			s.left(c)
			return
		}
	}
	s.answer(w, c, result, failed)
}

// mergeDone is a context that ends with either.
func mergeDone(a, b context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}

// handle carries the operation out.
func (s *Server) handle(c *call) (any, *apiError) {
	result, failed := c.endpoint.handle(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updateRequest(c, func(r *Request) {
		r.Revision = c.revision
		r.Done = failed == nil
	})
	return result, failed
}

// begin writes a request into the log.
func (s *Server) begin(c *call) {
	query := c.Request.URL.Query()
	for _, secret := range []string{"access_token", "key", "oauth_token"} {
		query.Del(secret)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requestSeq++
	c.seq = s.requestSeq
	s.requests.add(Request{
		Seq: c.seq, Time: s.cfg.Clock(), Method: c.Method, Path: c.Request.URL.Path,
		Query: query.Encode(), Operation: c.op, File: c.fileID,
	})
	s.notify(Change{Kind: "request", File: c.fileID, Seq: c.seq})
}

// updateRequest notes in the log whose a request is, what befell it, and what change says, if it is still
// kept. s.mu is held.
func (s *Server) updateRequest(c *call, change func(*Request)) {
	values := s.requests.values
	i := c.seq - 1 - (s.requestSeq - len(values))
	if i < 0 {
		return
	}
	if c.account != nil {
		values[i].Account = c.account.Email
	}
	if c.fault != nil {
		values[i].Fault = c.fault.Kind
	}
	change(&values[i])
	s.notify(Change{Kind: "request", File: c.fileID, Seq: c.seq})
}

// left notes that nobody is there to be answered.
func (s *Server) left(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updateRequest(c, func(r *Request) { r.Left = true })
}

// answer sends a result, cut to the fields asked for, or an error.
func (s *Server) answer(w http.ResponseWriter, c *call, result any, failed *apiError) {
	code := http.StatusOK
	if failed != nil {
		code = failed.code
		for k, v := range failed.header {
			w.Header()[k] = v
		}
		result = failed.body(c.service)
	}
	s.mu.Lock()
	s.updateRequest(c, func(r *Request) { r.Status = code })
	s.mu.Unlock()
	s.log.Debug("local Google answered", "operation", c.op, "file", c.fileID, "status", code)
	writeJSON(w, code, result)
}

// takeQuota counts a request, and refuses it where its account has used up the minute's. s.mu is held.
func (s *Server) takeQuota(c *call) *apiError {
	limit := 0
	switch {
	case c.service == docsService && c.quota == "Read":
		limit = s.quotas.DocsReads
	case c.service == docsService && c.quota == "Write":
		limit = s.quotas.DocsWrites
	case c.service == sheetsService && c.quota == "Read":
		limit = s.quotas.SheetsReads
	case c.service == sheetsService && c.quota == "Write":
		limit = s.quotas.SheetsWrites
	}
	if limit <= 0 {
		return nil
	}
	if minute := s.cfg.Clock().Unix() / 60; minute != s.minute {
		s.minute = minute
		clear(s.used)
	}
	key := quotaKey{c.account.Email, c.service.host + " " + c.quota}
	if s.used[key] >= limit {
		return quotaExceeded(c.service, c.quota)
	}
	s.used[key]++
	return nil
}

// open finds the file of a call for someone who may have the role needed. s.mu is held.
func (s *Server) open(c *call, need Role) (*file, *apiError) {
	f := s.files[c.fileID]
	if f == nil || f.deleted || (f.doc != nil) != (c.service == docsService) {
		return nil, notFound()
	}
	role := f.role(c.account)
	if role == NoAccess || need == Editor && role != Editor {
		return nil, noPermission()
	}
	if f.office {
		return nil, officeFile()
	}
	return f, nil
}

// serveToken is the token endpoint.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	c := &call{endpoint: endpoint{op: TokenIssue}, Request: r}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.begin(c)
	s.mu.Lock()
	c.fault = s.takeFault(c.op, "")
	s.updateRequest(c, func(*Request) {})
	s.mu.Unlock()
	ctx, stop := mergeDone(r.Context(), s.ctx)
	defer stop()
	if c.fault != nil {
		switch c.fault.Kind {
		case DropBefore, DropAfter:
			panic(http.ErrAbortHandler)
		case FailBefore, FailAfter, RateLimit:
			code := c.fault.failure().code
			if c.fault.Kind == RateLimit {
				code = http.StatusTooManyRequests
			}
			s.finishToken(w, c, code, &tokenError{"temporarily_unavailable", "The service is currently unavailable."})
			return
		default:
			if !s.wait(ctx, c.fault) {
				s.left(c)
				return
			}
		}
	}
	result, refused := s.issueToken(r)
	if refused != nil {
		s.finishToken(w, c, http.StatusBadRequest, refused)
		return
	}
	s.finishToken(w, c, http.StatusOK, result)
}

func (s *Server) finishToken(w http.ResponseWriter, c *call, code int, v any) {
	s.mu.Lock()
	s.updateRequest(c, func(r *Request) { r.Status, r.Done = code, code == http.StatusOK })
	s.mu.Unlock()
	writeJSON(w, code, v)
}

// fields parses the field mask of a call.
func (c *call) fields() (*fieldMask, *apiError) {
	s := c.query.Get("fields")
	if s == "" {
		s = c.query.Get("$fields")
	}
	m, err := parseMask(s)
	if err != nil {
		return nil, badFields(s)
	}
	return m, nil
}

// masked is a resource as JSON, cut to a mask.
func masked(resource any, m *fieldMask) (any, *apiError) {
	if m == nil {
		return resource, nil
	}
	b, err := json.Marshal(resource)
	if err != nil {
		return nil, &apiError{code: http.StatusInternalServerError, status: "INTERNAL", message: "Internal error encountered."}
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, &apiError{code: http.StatusInternalServerError, status: "INTERNAL", message: "Internal error encountered."}
	}
	return m.apply(v), nil
}

// A Change says that something happened: Kind is document, spreadsheet, request, fault, role, file or
// behavior.
type Change struct {
	Number int    `json:"number"` // counts changes, from 1
	Kind   string `json:"kind"`
	File   string `json:"file,omitempty"`
	Seq    int    `json:"seq,omitempty"` // of the Write or Request, or the ID of the Fault
}

// notify tells subscribers and waiters of a change. s.mu is held.
func (s *Server) notify(c Change) {
	s.changeSeq++
	c.Number = s.changeSeq
	close(s.changed)
	s.changed = make(chan struct{})
	for ch := range s.subs {
		select {
		case ch <- c:
		default: // a gap in the numbers shows that it missed some
		}
	}
}

// Subscribe returns a channel of changes that holds up to buffer of them; what doesn't fit is left out,
// which shows as a gap in their numbers. The channel is closed by the function returned, and by Close.
func (s *Server) Subscribe(buffer int) (<-chan Change, func()) {
	ch := make(chan Change, max(1, buffer))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		close(ch)
		return ch, func() {}
	}
	s.subs[ch] = struct{}{}
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.subs[ch]; ok {
			delete(s.subs, ch)
			close(ch)
		}
	}
}

// WaitFor returns once cond is true, which is asked at first and after each change. It returns ctx's
// error where that ends first.
func (s *Server) WaitFor(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return errors.New("local Google: closed while waiting")
		}
	}
}
