// Package ledgertest gives tests databases to open with the package ledger: a
// new SQLite file, which opens within milliseconds, or a real PostgreSQL server;
// and addresses for servers of their own.
package ledgertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// SQLite returns the URL of a new SQLite store, removed with the test's
// temporary directory.
func SQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "deploytoken.db")
}

// A Postgres is a PostgreSQL server of the test's own, on a port of the
// loopback interface.
type Postgres struct {
	// Address is its host and port.
	Address string
	// Password is that of its superuser, postgres.
	Password string

	command func() (*exec.Cmd, *bytes.Buffer)
	server  *exec.Cmd
	ended   chan struct{}
}

// StartPostgres starts a server with the given settings ("fsync=off") and stops
// it when the test ends. Where PostgreSQL isn't installed the test is skipped, or fails
// if DEPLOYTOKEN_TEST_REAL is set.
func StartPostgres(t testing.TB, settings ...string) *Postgres {
	t.Helper()
	initdb, postgres := find(t, "initdb"), find(t, "postgres")
	dir, err := os.MkdirTemp("", "deploytoken-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &Postgres{Password: rand.Text()}
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(p.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	// The server refuses to run as root.
	credential := account(t)
	if credential != nil {
		for _, path := range []string{dir, secret} {
			if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	command := func(name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command(name, args...)
		output := &bytes.Buffer{}
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		return cmd, output
	}
	data := filepath.Join(dir, "data")
	setup, output := command(initdb, "--pgdata", data, "--username", "postgres", "--pwfile", secret,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if err := setup.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", initdb, err, output)
	}
	p.Address = FreeAddress(t)
	_, port, _ := net.SplitHostPort(p.Address)
	args := []string{"-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir, "-c", "shared_buffers=16MB"}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	p.command = func() (*exec.Cmd, *bytes.Buffer) { return command(postgres, args...) }
	if err := p.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// Restart stops the server, which ends all connections, and starts it again on
// the same port. It is not to be called twice at once.
func (p *Postgres) Restart(ctx context.Context) error {
	p.stop()
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		err := p.start(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
			// Somebody's connection may have been given the port meanwhile.
		}
	}
}

// start starts the server and waits until it answers.
func (p *Postgres) start(ctx context.Context) error {
	server, output := p.command()
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); server.Wait() }()
	p.server, p.ended = server, ended
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.url(nil))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended: %w\n%s", server.Path, err, output)
		case <-ctx.Done():
			p.stop()
			return fmt.Errorf("%s does not answer: %w\n%s", server.Path, err, output)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop ends the server by a fast shutdown.
func (p *Postgres) stop() {
	_ = p.server.Process.Signal(os.Interrupt)
	<-p.ended
}

// URL returns the URL of a new store, in a schema of its own.
func (p *Postgres) URL(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, p.url(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	schema := "test_" + strings.ToLower(rand.Text()[:10])
	if _, err := conn.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	return p.url(url.Values{"search_path": {schema}})
}

func (p *Postgres) url(query url.Values) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", p.Password), Host: p.Address, Path: "postgres", RawQuery: query.Encode()}
	return u.String()
}

// find returns the path of a program of PostgreSQL's, which Debian keeps out of
// the PATH.
func find(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(paths) == 0 {
		missing := fmt.Sprintf("PostgreSQL's %s is not installed (Debian package: postgresql)", name)
		if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	slices.Sort(paths)
	return paths[len(paths)-1]
}

// account is the one to run the server under; nil for the present one.
func account(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root: %v", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatalf("unusable account %s: %s, %s", u.Username, u.Uid, u.Gid)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// FreeAddress is one of the loopback interface for a server of the test's own. Its
// port is free, and none of those that the system gives to whoever asks for any.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+mathrand.IntN(12_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}
