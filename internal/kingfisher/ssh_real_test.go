package kingfisher

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestRootLoginThatPrints(t *testing.T) {
	tests := []struct {
		name, bashrc string
		want         deploytoken.State
		reason       string
	}{
		{name: "a greeting without a line's end", bashrc: `printf 'Welcome to kingfisher'; printf 'on stderr' >&2`, want: deploytoken.Idle},
		{name: "what looks like the check's output", bashrc: `echo kingfisher-busybody; echo '00000000000000000000000000000000 end tmux'`, want: deploytoken.Idle},
		{name: "a megabyte", bashrc: `head -c 1000000 /dev/zero | tr '\0' 'x'; seq 100000 >&2`, want: deploytoken.Idle},
		{name: "without end", bashrc: `yes`, want: deploytoken.Unknown, reason: "The server sent more than can be read."},
		{name: "a farewell", bashrc: `echo 'Closed for password=hunter2 maintenance'; exit 1`, want: deploytoken.Unknown,
			reason: `The check on the server ended early, saying "Closed for password=*** maintenance".`},
		{name: "nothing at all", bashrc: `sleep 5571`, want: deploytoken.Unknown, reason: "The check on the server did not finish within 15s."},
		{name: "an odd shell's settings", bashrc: `export TMUX=/tmp/x,1,0 TMUX_PANE=%0 PGPORT=1 LC_ALL=C PATH=/nowhere; alias ps=false; cd /tmp`, want: deploytoken.Idle},
	}
	s := startServer(t, "", "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			writeFile(t, s.path("bashrc"), tt.bashrc+"\n")
			defer writeFile(t, s.path("bashrc"), "")
			config := s.config()
			switch tt.name {
			case "nothing at all":
				// Longer than a busy machine takes to log in.
				config.Timeout = 15 * time.Second
			case "without end":
				// Longer than a busy machine takes to send what is too much.
				config.Timeout = 5 * time.Minute
			}
			got := check(t, config, deploytoken.CheckTmux)
			if got.State != tt.want || got.Reason != tt.reason {
				t.Errorf("%s %q, want %s %q", got.State, got.Reason, tt.want, tt.reason)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	s := startServer(t, "", "")
	other := startServer(t, "", "")
	closed := closedAddress(t)
	writeKey(t, s.path("locked"), "a passphrase")
	stranger := writeKey(t, s.path("stranger"), "")
	_, port, _ := net.SplitHostPort(s.address)
	changed := s.path("changed_known_hosts")
	writeFile(t, changed, "# Kingfisher\n[127.0.0.1]:"+port+" "+string(ssh.MarshalAuthorizedKey(other.hostKey)))
	writeFile(t, s.path("other_known_hosts"), "[127.0.0.1]:1 "+string(ssh.MarshalAuthorizedKey(other.hostKey)))
	wrongType := s.path("rsa_known_hosts")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", s.path("rsa")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rsa, err := os.ReadFile(s.path("rsa.pub"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, wrongType, "[127.0.0.1]:"+port+" "+string(rsa))
	fingerprint := ssh.FingerprintSHA256

	tests := []struct {
		name   string
		change func(*Config)
		// reasons are what the reason must have.
		reasons []string
	}{
		{"a changed host key", func(c *Config) { c.KnownHostsFile = changed },
			[]string{"has changed", changed + ":2", fingerprint(s.hostKey), fingerprint(other.hostKey), "replace the line only if"}},
		{"a host key of another type", func(c *Config) { c.KnownHostsFile = wrongType },
			[]string{"no longer has a host key of the type that " + wrongType}},
		{"an unknown host", func(c *Config) { c.KnownHostsFile = s.path("other_known_hosts") },
			[]string{"is not in " + s.path("other_known_hosts"), fingerprint(s.hostKey), "ssh-keyscan -p " + port + " 127.0.0.1"}},
		{"no known hosts", func(c *Config) { c.KnownHostsFile = s.path("absent") },
			[]string{"The known_hosts file " + s.path("absent") + " does not exist", "kingfisher.ssh.known_hosts_file"}},
		{"broken known hosts", func(c *Config) { c.KnownHostsFile = s.path("sshd_config") },
			[]string{"The known_hosts file " + s.path("sshd_config") + " can't be used"}},
		{"no key", func(c *Config) { c.IdentityFile = s.path("absent") },
			[]string{"The key file " + s.path("absent") + " does not exist", "kingfisher.ssh.identity_file"}},
		{"a key with a passphrase", func(c *Config) { c.IdentityFile = s.path("locked") },
			[]string{"is protected by a passphrase", "ssh-keygen -p -f " + s.path("locked")}},
		{"a public key", func(c *Config) { c.IdentityFile = s.path("rsa.pub") },
			[]string{"does not hold a private key"}},
		{"a key that is not let in", func(c *Config) { c.IdentityFile = s.path("stranger") },
			[]string{"refused the user root with the key in " + s.path("stranger"), fingerprint(stranger.PublicKey()), "authorized_keys"}},
		{"a user that is not let in", func(c *Config) { c.SSHUser = "nobody-at-all" },
			[]string{"refused the user nobody-at-all"}},
		{"a user without a shell", func(c *Config) { c.SSHUser = "svc" },
			[]string{"ended early, saying", "not available"}},
		{"a user whose shell is none", func(c *Config) { c.SSHUser = "odd" },
			[]string{"ended early, saying"}},
		{"no server", func(c *Config) { c.SSHAddress = closed },
			[]string{"refused the connection to " + closed, "sshd"}},
		{"no server after a knock", func(c *Config) { c.SSHAddress, c.KnockAddress = closed, closed },
			[]string{"refused the connection to " + closed + ", also after the knock at " + closed}},
		{"no such host", func(c *Config) { c.SSHAddress = "kingfisher.invalid:22" },
			[]string{"kingfisher.invalid"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := s.config()
			tt.change(&config)
			c, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			report := c.Busy(context.Background(), nil, nil)
			if report.State() != deploytoken.Unknown || len(report.Checks) != 3 {
				t.Errorf("the state is %s of %d checks", report.State(), len(report.Checks))
			}
			for _, got := range report.Checks {
				for _, reason := range tt.reasons {
					if !strings.Contains(strings.ToLower(got.Reason), strings.ToLower(reason)) {
						t.Errorf("%s: the reason is %q, want %q in it", got.Check, got.Reason, reason)
					}
				}
				want := deploytoken.Unknown
				if got.Check == deploytoken.CheckScrapyd {
					// Scrapyd's own word is enough.
					want = deploytoken.Idle
				}
				if got.State != want {
					t.Errorf("%s is %s, want %s", got.Check, got.State, want)
				}
			}
			t.Log(report.Checks[1].Reason)
		})
	}

	t.Run("mended without a restart", func(t *testing.T) {
		config := s.config()
		config.IdentityFile = s.path("later")
		c, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Busy(context.Background(), []string{deploytoken.CheckTmux}, nil); got.State() != deploytoken.Unknown {
			t.Errorf("without a key: %s", got.State())
		}
		if err := os.Rename(s.path("id_ed25519"), s.path("later")); err != nil {
			t.Fatal(err)
		}
		if got := c.Busy(context.Background(), []string{deploytoken.CheckTmux}, nil); got.State() != deploytoken.Idle {
			t.Errorf("with the key: %s %q", got.State(), got.Checks[0].Reason)
		}
	})
}

// closedAddress returns an address that refuses connections, and is nobody
// else's meanwhile: it is bound, and not listened at.
func closedAddress(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*syscall.SockaddrInet4).Port))
}

// The script is installed behind a forced command, as the user who may run
// nothing else: the server runs it as root, and the bot sends none.
func TestInstalledScript(t *testing.T) {
	s := startServer(t, "", "")
	s.run("cat >/run/kingfisher-busy <<'END'\n" + script + "END\nchmod 755 /run/kingfisher-busy")
	// What stands for sudo: root's own key, behind the same command.
	s.run(`printf '#!/bin/sh\necho "$SSH_ORIGINAL_COMMAND" >>/run/asked\nexec /run/kingfisher-busy\n' >/run/forced; chmod 755 /run/forced; touch /run/asked; chmod 666 /run/asked`)
	key, err := os.ReadFile(s.path("authorized_keys"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.path("authorized_keys"), `restrict,command="/run/forced" `+string(key))
	for _, user := range []string{"alice", "root"} {
		config := s.config()
		config.SSHUser = user
		if got := check(t, config, deploytoken.CheckTmux); got.State != deploytoken.Idle {
			t.Errorf("as %s: %s %q", user, got.State, got.Reason)
		}
	}
	asked := strings.Split(s.run("cat /run/asked"), "\n")
	if len(asked) != 2 || asked[0] != "kingfisher-busy" {
		t.Errorf("the server was asked for %q, want kingfisher-busy first", asked)
	}
}

// The script, sent, needs nothing of the login shell but a pipe.
func TestLoginShells(t *testing.T) {
	s := startServer(t, "", "")
	passwd := s.run("cat /etc/passwd")
	for _, shell := range []string{"/bin/sh", "/bin/bash"} {
		t.Run(filepath.Base(shell), func(t *testing.T) {
			need(t, shell)
			writeFile(t, s.path("passwd"), strings.Replace(passwd, "/root:/bin/bash", "/root:"+shell, 1)+"\n")
			if got := check(t, s.config(), deploytoken.CheckTmux); got.State != deploytoken.Idle {
				t.Errorf("%s %q", got.State, got.Reason)
			}
		})
	}
}

func TestInstalledScriptOfAnotherVersion(t *testing.T) {
	s := startServer(t, "", "")
	key, err := os.ReadFile(s.path("authorized_keys"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.path("authorized_keys"), `restrict,command="echo kingfisher-busy 7 a b c d" `+string(key))
	got := check(t, s.config(), deploytoken.CheckTmux)
	if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "is of version 7, and this bot reads version 2") {
		t.Errorf("%s %q", got.State, got.Reason)
	}
}

// A server that accepts connections and says nothing, and one that stops in the
// middle of a handshake.
func TestSilentServers(t *testing.T) {
	s := startServer(t, "", "")
	for name, after := range map[string]int{"after accepting": 0, "in the handshake": 300, "after the handshake": 2500} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					go swallow(conn, s.address, after)
				}
			}()
			known, err := os.ReadFile(s.path("known_hosts"))
			if err != nil {
				t.Fatal(err)
			}
			_, from, _ := net.SplitHostPort(s.address)
			_, to, _ := net.SplitHostPort(listener.Addr().String())
			writeFile(t, s.path("known_hosts2"), strings.ReplaceAll(string(known), from, to))
			config := s.config()
			config.SSHAddress, config.KnownHostsFile = listener.Addr().String(), s.path("known_hosts2")
			config.Timeout = time.Second
			c, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			report := c.Busy(context.Background(), []string{deploytoken.CheckPostgres, deploytoken.CheckTmux}, nil)
			took := time.Since(start)
			for _, got := range report.Checks {
				if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "within 1s") {
					t.Errorf("%s: %s %q", got.Check, got.State, got.Reason)
				}
			}
			// Far more than a busy machine needs, and far less than for ever.
			if took > config.Timeout+20*time.Second {
				t.Errorf("it took %s, with a timeout of %s", took, config.Timeout)
			}
			t.Log(report.Checks[0].Reason)
		})
	}
}

// swallow passes on what the server says, up to so many bytes, and then
// nothing more.
func swallow(conn net.Conn, address string, bytes int) {
	defer conn.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		_, _ = bufio.NewReader(conn).WriteTo(server)
	}()
	buffer := make([]byte, bytes)
	for n := 0; n < bytes; {
		k, err := server.Read(buffer[n:])
		if err != nil {
			return
		}
		_, _ = conn.Write(buffer[n : n+k])
		n += k
	}
	// Until the bot hangs up.
	<-readAll(server)
}

func readAll(conn net.Conn) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = bufio.NewReader(conn).WriteTo(discard{})
	}()
	return done
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// The knock comes first, at the address that is dialled, and its outcome is not
// waited for.
func TestKnock(t *testing.T) {
	s := startServer(t, "", "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var knocks atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			conn.Close()
		}
	}()
	config := s.config()
	config.KnockAddress = listener.Addr().String()
	// A busy machine may not come to knock before it has connected.
	checks := int32(0)
	for ; checks < 20 && knocks.Load() == 0; checks++ {
		if got := check(t, config, deploytoken.CheckTmux); got.State != deploytoken.Idle {
			t.Errorf("%s %q", got.State, got.Reason)
		}
	}
	listener.Close()
	<-done
	if n := knocks.Load(); n < 1 || n > checks {
		t.Errorf("there were %d knocks in %d checks, want 1 in each", n, checks)
	}
	// A refused knock is no reason not to dial.
	if got := check(t, config, deploytoken.CheckTmux); got.State != deploytoken.Idle {
		t.Errorf("after a refused knock: %s %q", got.State, got.Reason)
	}
}
