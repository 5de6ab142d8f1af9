package kingfisher

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

// These tests make the checks on a real OpenSSH server, with real tmux servers
// and PostgreSQL clusters. All of it runs in a mount and PID namespace of its
// own, where /tmp, /run, the accounts and PostgreSQL's folders are replaced: the
// machine is left as it was, and whatever else it runs is not seen.

// need skips the test where a program is missing, or fails it where
// DEPLOYTOKEN_TEST_REAL is set.
func need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if os.Getuid() != 0 {
		missing = append(missing, "root")
	} else if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--mount-proc", "true").CombinedOutput(); err != nil {
		missing = append(missing, "namespaces ("+strings.TrimSpace(string(out))+")")
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
		t.Fatalf("needs %s", strings.Join(missing, ", "))
	}
	t.Skipf("needs %s", strings.Join(missing, ", "))
}

// A realServer is an OpenSSH server with what it needs to log in to it.
type realServer struct {
	t       testing.TB
	address string
	dir     string
	hostKey ssh.PublicKey
	client  *ssh.Client
}

// startServer starts a server. Setup is a shell script that runs as root in its
// namespaces before; authorized is what stands before the key in
// authorized_keys.
func startServer(t testing.TB, setup, authorized string) *realServer {
	t.Helper()
	need(t, "/usr/sbin/sshd", "tmux", "setpriv", "unshare")
	// Not in /tmp, which the server doesn't have.
	dir, err := os.MkdirTemp("/var/tmp", "kingfisher-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &realServer{t: t, dir: dir}
	host := writeKey(t, s.path("host_key"), "")
	s.hostKey = host.PublicKey()
	user := writeKey(t, s.path("id_ed25519"), "")
	writeFile(t, s.path("authorized_keys"), strings.TrimSpace(authorized+" "+string(ssh.MarshalAuthorizedKey(user.PublicKey())))+"\n")

	s.address = ledgertest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(s.address)
	writeFile(t, s.path("known_hosts"), fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(s.hostKey)))
	writeFile(t, s.path("sshd_config"), fmt.Sprintf(`
ListenAddress 127.0.0.1
Port %s
HostKey %s
AuthorizedKeysFile %s
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile none
`, port, s.path("host_key"), s.path("authorized_keys")))
	writeFile(t, s.path("setup"), `set -e
for d in /tmp /run /etc/postgresql /var/lib/postgresql /var/log/postgresql; do
	if [ -d "$d" ]; then mount -t tmpfs tmpfs "$d"; fi
done
chmod 1777 /tmp
mkdir -p /run/sshd /run/postgresql
if id postgres >/dev/null 2>&1; then
	chown postgres:postgres /run/postgresql /etc/postgresql /var/lib/postgresql /var/log/postgresql 2>/dev/null || true
fi
for f in passwd shadow; do
	cp -p /etc/$f "$1/$f"
done
# A service account that nobody can log in to, two people, and one with an odd shell.
printf '%s\n' 'svc:x:7001:7001::/tmp:/usr/sbin/nologin' 'alice:x:7002:7002::/tmp:/bin/bash' \
	'bob:x:7003:7003::/tmp:/bin/bash' 'odd:x:7004:7004::/tmp:/bin/cat' >>"$1/passwd"
printf '%s\n' 'svc:*:1::::::' 'alice:*:1::::::' 'bob:*:1::::::' 'odd:*:1::::::' >>"$1/shadow"
for f in passwd shadow; do
	mount --bind "$1/$f" /etc/$f
done
: >"$1/bashrc"
mount --bind "$1/bashrc" /root/.bashrc
`+setup+`
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
`)
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", s.path("setup"), dir)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.client != nil {
			s.client.Close()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd said:\n%s", log.String())
		}
	})
	config := &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(user)}, HostKeyCallback: ssh.FixedHostKey(s.hostKey)}
	eventually(t, "the server to be up", func() bool {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	if authorized == "" {
		if s.client, err = ssh.Dial("tcp", s.address, config); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *realServer) path(name string) string { return filepath.Join(s.dir, name) }

// run runs a shell script on the server as root.
func (s *realServer) run(script string) string {
	s.t.Helper()
	session, err := s.client.NewSession()
	if err != nil {
		s.t.Fatal(err)
	}
	defer session.Close()
	session.Stdin = strings.NewReader(script)
	out, err := session.CombinedOutput("bash --norc -s")
	if err != nil {
		s.t.Fatalf("%s\n%v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// as runs a shell script on the server as another user. Its output must end
// when it does, which keeps tmux servers from holding it open.
func (s *realServer) as(user, script string) string {
	s.t.Helper()
	file := s.path("script")
	writeFile(s.t, file, "export LC_ALL=C.UTF-8\ncd /\n"+script)
	return s.run(fmt.Sprintf(`setpriv --reuid=%s --regid="$(id -g %s)" --clear-groups -- env -u TMUX HOME=/tmp bash %s </dev/null`, user, user, file))
}

// config is for a checker of the server, with a Scrapyd that has no jobs.
func (s *realServer) config() Config {
	return Config{
		ScrapydURL:     idleScrapyd(s.t),
		SSHAddress:     s.address,
		IdentityFile:   s.path("id_ed25519"),
		KnownHostsFile: s.path("known_hosts"),
		People:         map[string]string{"alice": "U0ALICE", "jm": "U0JM"},
	}
}

// check makes one check.
func check(t testing.TB, config Config, name string) deploytoken.CheckResult {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	report := c.Busy(context.Background(), []string{name}, nil)
	if len(report.Checks) != 1 || report.Checks[0].Check != name {
		t.Fatalf("the report has the checks %+v, want %s alone", report.Checks, name)
	}
	t.Logf("%s in %s: %s %q %+v", name, report.Took.Round(time.Millisecond), report.Checks[0].State, report.Checks[0].Reason, report.Checks[0].Findings)
	return report.Checks[0]
}

func idleScrapyd(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"status": "ok", "running": [], "pending": [], "finished": []}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeKey writes a new private key to a file, encrypted if there is a
// passphrase.
func writeKey(t testing.TB, file, passphrase string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// blocking returns the findings that block.
func blocking(r deploytoken.CheckResult) []deploytoken.Finding {
	var found []deploytoken.Finding
	for _, f := range r.Findings {
		if f.Blocks {
			found = append(found, f)
		}
	}
	return found
}
