package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Server is a Slack workspace with one app installed. It is an http.Handler, so that it can be mounted
// anywhere, and can listen by itself on the loopback interface (Start). All its methods may be called
// at once from several goroutines.
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
	url      string        // set by Start
	lastBase string        // the address by which a client last reached the server
	changed  chan struct{} // closed and replaced at each change
	seq      uint64        // the number of the last change
	subs     map[chan Change]struct{}

	workspace
	sockets
	faults

	calls ring[Call]
}

// New makes a workspace as the configuration describes it. Nothing listens until Start, or until the
// server is mounted as a handler. Every problem of the configuration is in the error.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("local Slack: %w", err)
	}
	s := &Server{
		cfg:     cfg,
		log:     cfg.Logger,
		changed: make(chan struct{}),
		subs:    make(map[chan Change]struct{}),
		calls:   newRing[Call](maxKept),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.workspace = newWorkspace()
	s.sockets = newSockets()
	s.faults = newFaults(cfg.Scopes)
	if err := s.populate(); err != nil {
		return nil, fmt.Errorf("local Slack: %w", err)
	}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("/api/{method}", s.serveAPI)
	s.mux.HandleFunc("GET /link/", s.serveSocket)
	s.mux.HandleFunc("POST /response/{id}", s.serveResponseURL)
	s.routeControl(s.mux)
	return s, nil
}

func (s *Server) populate() error {
	app := s.cfg.App
	errs := []error{
		s.putUser(User{ID: slackbotID, Name: "slackbot", RealName: "Slackbot", DisplayName: "Slackbot", Bot: true}),
		s.putUser(User{ID: app.UserID, Name: app.Name, RealName: app.Name, Bot: true}),
	}
	for _, u := range s.cfg.Users {
		if s.users[u.ID] != nil {
			errs = append(errs, fmt.Errorf("user %s is given twice", u.ID))
			continue
		}
		errs = append(errs, s.putUser(u))
	}
	for _, c := range s.cfg.Channels {
		if s.channels[c.ID] != nil {
			errs = append(errs, fmt.Errorf("channel %s is given twice", c.ID))
			continue
		}
		errs = append(errs, s.putChannel(c))
	}
	for _, g := range s.cfg.UserGroups {
		if _, ok := s.group(g.ID); ok {
			errs = append(errs, fmt.Errorf("user group %s is given twice", g.ID))
			continue
		}
		errs = append(errs, s.putUserGroup(g))
	}
	return errors.Join(errs...)
}

// ServeHTTP answers the Web API under /api/, Socket Mode under /link/, response URLs under /response/
// and the control interface under /sandbox/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "the local Slack is closed", http.StatusServiceUnavailable)
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

// spawn runs f in a goroutine that Close waits for. f must end when s.ctx does.
func (s *Server) spawn(f func()) {
	if !s.enter() {
		return
	}
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// Start listens on a free loopback port until Close is called or ctx ends.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("local Slack: listening on the loopback interface: %w", err)
	}
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.mu.Lock()
	if s.closed || s.http != nil {
		s.mu.Unlock()
		return errors.Join(errors.New("local Slack: already started or closed"), l.Close())
	}
	s.http, s.url = srv, "http://"+l.Addr().String()
	s.mu.Unlock()

	s.spawn(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("local Slack stopped listening", "error", err)
		}
	})
	s.spawn(func() {
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		s.cancel()
		srv.Close()
	})
	return nil
}

// URL is the base address once Start has returned, such as http://127.0.0.1:41234. The Web API is at
// URL()+"/api/".
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Close ends every connection and waits for every goroutine and request of the server. It may be
// called again.
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

// base is the address that clients are told to come back to: where Start listens, else the host by
// which the app asked for its connection. s.mu is held.
func (s *Server) base() string {
	if s.url != "" {
		return s.url
	}
	return s.lastBase
}

func (s *Server) sawBase(r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	s.lastBase = scheme + "://" + r.Host
}

func webSocketURL(base string) string {
	return "ws" + strings.TrimPrefix(base, "http")
}

// ring keeps the last n values.
type ring[T any] struct {
	values []T
	limit  int
}

func newRing[T any](limit int) ring[T] { return ring[T]{limit: limit} }

// add appends v and returns what fell out, if anything did.
func (r *ring[T]) add(v T) (old T, fell bool) {
	if len(r.values) == r.limit {
		old, fell = r.values[0], true
		r.values = r.values[1:]
	}
	r.values = append(r.values, v)
	return old, fell
}
