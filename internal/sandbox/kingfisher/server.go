// Package kingfisher is a local Kingfisher server, for the demo and for tests. It
// needs nothing but Go: a Scrapyd over HTTP, and an SSH server that answers the
// busy check as if the check's script had run there, with the spiders, tmux
// sessions and database queries of a made-up world. People start and end those
// through the methods of Server, or from another process under /sandbox/ on
// Scrapyd's address.
//
// The SSH server behaves as one where the script is installed behind a forced
// command: whatever is asked for, it gives the script's output, of the version
// that outputVersion has.
//
// The control interface takes and gives JSON. What could not be done is answered
// by status 400 and {"error": "…"}.
//
//	GET  /sandbox/state      the whole world, as State
//	POST /sandbox/spider     a Spider: started; the answer has its ID
//	POST /sandbox/session    a Session: opened, with what runs in it
//	POST /sandbox/command    {"user", "name", "command"}: run in that session; "" ends it
//	POST /sandbox/query      a Query: started; the answer has its ID
//	POST /sandbox/process    a Process: started; the answer has its ID
//	POST /sandbox/stop       {"id"}: a spider, query or process ends
//	POST /sandbox/close      {"user", "name"}: a session ends
//	POST /sandbox/fault      {"fault"}: "unreachable", "hang", or "" for none
package kingfisher

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config says how the server behaves.
type Config struct {
	// ScrapydVersion is 1.2, 1.3, 1.4, 1.5 or 1.6, which differ in what they
	// answer; 1.6 where empty.
	ScrapydVersion string
	// ScrapydUsername and ScrapydPassword are asked for, unless both are empty.
	ScrapydUsername, ScrapydPassword string
	// Zone is the server's time zone; UTC where nil.
	Zone *time.Location
	// Now is the server's clock; time.Now where nil.
	Now func() time.Time
	// Logger hears of connections; nothing is logged where nil.
	Logger *slog.Logger
}

// A Server is a local Kingfisher. Its methods may be called by several
// goroutines at once.
type Server struct {
	config    Config
	mux       *http.ServeMux
	hostKey   ssh.Signer
	clientKey ed25519.PrivateKey
	ssh       *ssh.ServerConfig
	boot      string // identifies the start of the system

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	http       net.Listener
	shell      net.Listener
	world      world
	fault      Fault
	faultEnded chan struct{} // closed when the fault is another
	seq        uint64
	subs       map[chan Change]struct{}
}

// New returns a server that doesn't listen yet.
func New(config Config) (*Server, error) {
	config.ScrapydVersion = cmp.Or(config.ScrapydVersion, "1.6")
	switch config.ScrapydVersion {
	case "1.2", "1.3", "1.4", "1.5", "1.6":
	default:
		return nil, fmt.Errorf("local Kingfisher: there is no Scrapyd %q here, only 1.2 to 1.6", config.ScrapydVersion)
	}
	config.Zone = cmp.Or(config.Zone, time.UTC)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config, mux: http.NewServeMux(), boot: newUUID(), faultEnded: make(chan struct{}), subs: map[chan Change]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.makeKeys(); err != nil {
		return nil, fmt.Errorf("local Kingfisher: making keys: %w", err)
	}
	s.routeScrapyd()
	s.routeControl()
	return s, nil
}

func (s *Server) makeKeys() error {
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if s.hostKey, err = ssh.NewSignerFromKey(host); err != nil {
		return err
	}
	if _, s.clientKey, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return err
	}
	client, err := ssh.NewPublicKey(s.clientKey.Public())
	if err != nil {
		return err
	}
	s.ssh = &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(client.Marshal()) {
				return nil, errors.New("not the key that may log in")
			}
			return nil, nil
		},
	}
	s.ssh.AddHostKey(s.hostKey)
	return nil
}

// Start listens on free loopback ports until Close is called or ctx ends.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	web, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("local Kingfisher: listening on the loopback interface: %w", err)
	}
	shell, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("local Kingfisher: listening on the loopback interface: %w", err), web.Close())
	}
	s.mu.Lock()
	if s.closed || s.http != nil {
		s.mu.Unlock()
		return errors.Join(errors.New("local Kingfisher: already started or closed"), web.Close(), shell.Close())
	}
	s.http, s.shell = web, shell
	s.wg.Add(3)
	s.mu.Unlock()

	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ErrorLog:          slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		defer s.wg.Done()
		if err := server.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			s.config.Logger.Error("local Scrapyd stopped listening", "error", err)
		}
	}()
	go func() {
		defer s.wg.Done()
		s.serveShell(shell)
	}()
	go func() {
		defer s.wg.Done()
		select {
		case <-ctx.Done():
		case <-s.ctx.Done():
		}
		s.cancel()
		server.Close()
		shell.Close()
	}()
	return nil
}

// Close ends every connection and waits for every goroutine of the server. It
// may be called again.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for ch := range s.subs {
		close(ch)
	}
	clear(s.subs)
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

// ScrapydURL is Scrapyd's address once Start has returned, such as
// http://127.0.0.1:41234/.
func (s *Server) ScrapydURL() string { return "http://" + s.address(&s.http) + "/" }

// SSHAddress is the SSH server's host and port once Start has returned.
func (s *Server) SSHAddress() string { return s.address(&s.shell) }

func (s *Server) address(listener *net.Listener) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *listener == nil {
		return ""
	}
	return (*listener).Addr().String()
}

// WriteFiles writes the private key that may log in, as any user, and a
// known_hosts file that has the server's host key, into a directory that exists.
// It returns their paths. The server must have been started.
func (s *Server) WriteFiles(dir string) (identity, knownHosts string, err error) {
	host, port, err := net.SplitHostPort(s.SSHAddress())
	if err != nil {
		return "", "", errors.New("local Kingfisher: its files need its address, which it has once it is started")
	}
	block, err := ssh.MarshalPrivateKey(s.clientKey, "local Kingfisher")
	if err != nil {
		return "", "", fmt.Errorf("local Kingfisher: encoding the key: %w", err)
	}
	identity, knownHosts = filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "known_hosts")
	line := fmt.Sprintf("[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(s.hostKey.PublicKey()))
	if err := errors.Join(os.WriteFile(identity, pem.EncodeToMemory(block), 0o600), os.WriteFile(knownHosts, []byte(line), 0o644)); err != nil {
		return "", "", fmt.Errorf("local Kingfisher: writing the files to log in with: %w", err)
	}
	return identity, knownHosts, nil
}
