package kingfisher

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Spider is a job of Scrapyd.
type Spider struct {
	// ID is given by the server.
	ID string `json:"id"`
	// Project is "kingfisher" where empty.
	Project string `json:"project"`
	Name    string `json:"name"`
	// Note is the spider's argument of that name, such as "Started by ALICE.".
	Note string `json:"note,omitempty"`
	// Pending is whether it waits to be started.
	Pending bool `json:"pending,omitempty"`
	// Started is when it was started; now where zero.
	Started time.Time `json:"started"`

	pid int
}

// A Session is a tmux session of one pane.
type Session struct {
	// User is the Unix user whose session it is, and Name the session's.
	User string `json:"user"`
	Name string `json:"name"`
	// Command runs in it; the shell waits at its prompt where it is empty.
	Command string `json:"command,omitempty"`
	// Opened is when the session was opened, and Started when its command was;
	// now where zero.
	Opened  time.Time `json:"opened"`
	Started time.Time `json:"started"`

	shell, pid int
}

// A Query is what a client of the PostgreSQL database does.
type Query struct {
	// ID is given by the server.
	ID   string `json:"id"`
	User string `json:"user"`
	// Database is "kingfisher_process" where empty.
	Database string `json:"database"`
	// Client is the client's IP address; "" where it is on the server itself.
	Client string `json:"client,omitempty"`
	// Application is the program's name for itself, such as pg_dump.
	Application string `json:"application,omitempty"`
	Text        string `json:"text"`
	// State is "active" where empty, or "idle in transaction".
	State string `json:"state"`
	// Started is when it was started; now where zero.
	Started time.Time `json:"started"`

	pid int
}

// A Process is a program that runs beside Scrapyd and tmux, from cron for
// example.
type Process struct {
	// ID is given by the server.
	ID      string `json:"id"`
	User    string `json:"user"`
	Command string `json:"command"`
	// Started is when it was started; now where zero.
	Started time.Time `json:"started"`

	pid int
}

// A Fault is what is wrong with the server.
type Fault string

// The faults.
const (
	FaultNone Fault = ""
	// FaultUnreachable: connections are cut as soon as they are made.
	FaultUnreachable Fault = "unreachable"
	// FaultHang: connections are accepted, and nothing is ever said.
	FaultHang Fault = "hang"
)

// State is the whole world at one moment. It marshals to JSON.
type State struct {
	Seq        uint64    `json:"seq"` // of the last Change that it includes
	Now        time.Time `json:"now"`
	ScrapydURL string    `json:"scrapyd_url"`
	SSHAddress string    `json:"ssh_address"`
	Fault      Fault     `json:"fault"`
	Spiders    []Spider  `json:"spiders"`
	Sessions   []Session `json:"sessions"`
	Queries    []Query   `json:"queries"`
	Processes  []Process `json:"processes"`
}

// A Change says that something was started or ended. Numbers have no gaps, so
// that a slow subscriber sees what it missed and can take a State.
type Change struct {
	Seq  uint64 `json:"seq"`
	Kind string `json:"kind"` // spider, session, query, process or fault
}

// A world is what runs on the server.
type world struct {
	spiders   []Spider
	finished  []finished
	sessions  []Session
	queries   []Query
	processes []Process
	// users has the tmux servers' processes, in the order of their user IDs.
	users []tmuxServer
	pids  int
}

// A finished spider is one that has ended.
type finished struct {
	Spider
	ended time.Time
}

// A tmuxServer is a user's tmux server.
type tmuxServer struct {
	user string
	pid  int
}

const (
	// most is how many of each kind there may be.
	most = 1000
	// finishedKept is how many finished jobs Scrapyd keeps.
	finishedKept = 100
	firstPID     = 1000
)

func (w *world) pid() int {
	w.pids++
	return firstPID + w.pids
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// text checks something that a person gave: it is one line, and not empty.
func text(what, s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("the %s is empty", what)
	case len(s) > 10_000:
		return fmt.Errorf("the %s is over 10,000 bytes long", what)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("the %s must be one line of text", what)
	}
	return nil
}

// account checks a Unix user's name.
func account(s string) error {
	if s == "" || len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return fmt.Errorf("%q can't be a Unix user's name", s)
	}
	return nil
}

// change lets f change the world, and tells subscribers.
func (s *Server) change(kind string, f func(w *world, now time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := f(&s.world, s.config.Now()); err != nil {
		return fmt.Errorf("local Kingfisher: %w", err)
	}
	s.notify(kind)
	return nil
}

// notify tells subscribers of a change. s.mu is held.
func (s *Server) notify(kind string) {
	s.seq++
	for ch := range s.subs {
		select {
		case ch <- Change{Seq: s.seq, Kind: kind}:
		default:
		}
	}
}

// Subscribe returns a channel of what happens from now on. It holds up to 1,024
// changes; what a slow reader leaves no room for is dropped, which the numbers
// show. It is closed by stop and by Close.
func (s *Server) Subscribe() (changes <-chan Change, stop func()) {
	ch := make(chan Change, 1024)
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

// State returns the world as it is now.
func (s *Server) State() State {
	state := State{ScrapydURL: s.ScrapydURL(), SSHAddress: s.SSHAddress()}
	s.mu.Lock()
	defer s.mu.Unlock()
	state.Seq, state.Now, state.Fault = s.seq, s.config.Now(), s.fault
	state.Spiders = append([]Spider{}, s.world.spiders...)
	state.Sessions = append([]Session{}, s.world.sessions...)
	state.Queries = append([]Query{}, s.world.queries...)
	state.Processes = append([]Process{}, s.world.processes...)
	return state
}

// StartSpider schedules a spider in Scrapyd, and returns it with its ID.
func (s *Server) StartSpider(spider Spider) (Spider, error) {
	err := s.change("spider", func(w *world, now time.Time) error {
		if spider.Project == "" {
			spider.Project = "kingfisher"
		}
		if err := errors.Join(text("spider's name", spider.Name), text("project", spider.Project)); err != nil {
			return err
		}
		if spider.Note != "" {
			if err := text("note", spider.Note); err != nil {
				return err
			}
		}
		if len(w.spiders) == most {
			return errors.New("there are too many spiders")
		}
		if spider.Started.IsZero() {
			spider.Started = now
		}
		spider.ID, spider.pid = newID(), w.pid()
		w.spiders = append(w.spiders, spider)
		return nil
	})
	if err != nil {
		return Spider{}, err
	}
	return spider, nil
}

// StartQuery starts a query in PostgreSQL, and returns it with its ID.
func (s *Server) StartQuery(query Query) (Query, error) {
	err := s.change("query", func(w *world, now time.Time) error {
		if query.Database == "" {
			query.Database = "kingfisher_process"
		}
		if query.State == "" {
			query.State = "active"
		}
		if query.State != "active" && query.State != "idle in transaction" {
			return fmt.Errorf("the state %q is neither \"active\" nor \"idle in transaction\"", query.State)
		}
		if err := errors.Join(text("database user", query.User), text("database", query.Database)); err != nil {
			return err
		}
		if strings.TrimSpace(query.Text) == "" || len(query.Text) > 10_000 {
			return errors.New("the query is empty or over 10,000 bytes long")
		}
		if len(w.queries) == most {
			return errors.New("there are too many queries")
		}
		if query.Started.IsZero() {
			query.Started = now
		}
		query.ID, query.pid = newID(), w.pid()
		w.queries = append(w.queries, query)
		return nil
	})
	if err != nil {
		return Query{}, err
	}
	return query, nil
}

// StartProcess starts a program beside Scrapyd and tmux, and returns it with its
// ID.
func (s *Server) StartProcess(process Process) (Process, error) {
	err := s.change("process", func(w *world, now time.Time) error {
		if err := errors.Join(account(process.User), text("command", process.Command)); err != nil {
			return err
		}
		if len(w.processes) == most {
			return errors.New("there are too many processes")
		}
		if process.Started.IsZero() {
			process.Started = now
		}
		process.ID, process.pid = newID(), w.pid()
		w.processes = append(w.processes, process)
		return nil
	})
	if err != nil {
		return Process{}, err
	}
	return process, nil
}

// Stop ends the spider, query or process of that ID.
func (s *Server) Stop(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.world
	if i := slices.IndexFunc(w.spiders, func(p Spider) bool { return p.ID == id }); i >= 0 {
		if !w.spiders[i].Pending {
			w.finished = append(w.finished, finished{w.spiders[i], s.config.Now()})
			w.finished = w.finished[max(0, len(w.finished)-finishedKept):]
		}
		w.spiders = slices.Delete(w.spiders, i, i+1)
		s.notify("spider")
		return nil
	}
	if i := slices.IndexFunc(w.queries, func(q Query) bool { return q.ID == id }); i >= 0 {
		w.queries = slices.Delete(w.queries, i, i+1)
		s.notify("query")
		return nil
	}
	if i := slices.IndexFunc(w.processes, func(p Process) bool { return p.ID == id }); i >= 0 {
		w.processes = slices.Delete(w.processes, i, i+1)
		s.notify("process")
		return nil
	}
	return fmt.Errorf("local Kingfisher: nothing with the ID %q runs", id)
}

// OpenSession opens a tmux session, with its command running in it if it has
// one.
func (s *Server) OpenSession(session Session) error {
	return s.change("session", func(w *world, now time.Time) error {
		if err := errors.Join(account(session.User), text("session's name", session.Name)); err != nil {
			return err
		}
		if w.session(session.User, session.Name) != nil {
			return fmt.Errorf("the user %s has a session of the name %s already", session.User, session.Name)
		}
		if len(w.sessions) == most {
			return errors.New("there are too many sessions")
		}
		if session.Opened.IsZero() {
			session.Opened = now
		}
		session.shell = w.pid()
		if err := session.run(w, session.Command, session.Started, now); err != nil {
			return err
		}
		if !slices.ContainsFunc(w.users, func(t tmuxServer) bool { return t.user == session.User }) {
			w.users = append(w.users, tmuxServer{session.User, w.pid()})
		}
		w.sessions = append(w.sessions, session)
		return nil
	})
}

// run runs a command in the session; none ends the one that runs.
func (s *Session) run(w *world, command string, started, now time.Time) error {
	if command != "" {
		if err := text("command", command); err != nil {
			return err
		}
		s.pid = w.pid()
		if started.IsZero() {
			started = now
		}
	} else {
		started = time.Time{}
	}
	s.Command, s.Started = command, started
	return nil
}

// RunCommand runs a command in a session that is open. An empty command ends the
// one that runs, and leaves the session idle.
func (s *Server) RunCommand(user, name, command string) error {
	return s.change("session", func(w *world, now time.Time) error {
		session := w.session(user, name)
		if session == nil {
			return fmt.Errorf("the user %s has no session of the name %s", user, name)
		}
		return session.run(w, command, time.Time{}, now)
	})
}

// CloseSession ends a session and what runs in it.
func (s *Server) CloseSession(user, name string) error {
	return s.change("session", func(w *world, _ time.Time) error {
		if w.session(user, name) == nil {
			return fmt.Errorf("the user %s has no session of the name %s", user, name)
		}
		w.sessions = slices.DeleteFunc(w.sessions, func(x Session) bool { return x.User == user && x.Name == name })
		// A tmux server ends with its last session.
		w.users = slices.DeleteFunc(w.users, func(t tmuxServer) bool {
			return !slices.ContainsFunc(w.sessions, func(x Session) bool { return x.User == t.user })
		})
		return nil
	})
}

func (w *world) session(user, name string) *Session {
	for i := range w.sessions {
		if w.sessions[i].User == user && w.sessions[i].Name == name {
			return &w.sessions[i]
		}
	}
	return nil
}

// SetFault makes something wrong with the server, or mends it.
func (s *Server) SetFault(fault Fault) error {
	switch fault {
	case FaultNone, FaultUnreachable, FaultHang:
	default:
		return fmt.Errorf("local Kingfisher: there is no fault %q, only %q and %q", fault, FaultUnreachable, FaultHang)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
	close(s.faultEnded)
	s.faultEnded = make(chan struct{})
	s.notify("fault")
	return nil
}

// wrong returns the fault, and what is closed once it is another.
func (s *Server) wrong() (Fault, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault, s.faultEnded
}
