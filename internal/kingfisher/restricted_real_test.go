package kingfisher

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

// permissive is how a server is configured that allows whatever it can: what
// keeps the key from more than the check is then the installation alone.
const permissive = `UsePAM yes
StrictModes yes
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication yes
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
AllowAgentForwarding yes
X11Forwarding yes
PermitTunnel yes
GatewayPorts clientspecified
PermitUserRC yes
PermitUserEnvironment yes
PermitTTY yes
AcceptEnv *
Subsystem sftp /usr/lib/openssh/sftp-server
Match User root
AuthorizedKeysFile /etc/ssh/test_keys
`

// A restrictedServer is one on which the installer of deploy/kingfisher ran.
type restrictedServer struct {
	*realServer
	// folder has the installer, key the bot's private key, which it let in.
	folder, key string
}

func startRestrictedServer(t *testing.T) *restrictedServer {
	t.Helper()
	need(t, "sudo", "visudo", "ssh", "sftp", "scp", "curl", "xauth")
	// Not in /tmp, which the server doesn't have.
	folder, err := os.MkdirTemp("/var/tmp", "kingfisher-install")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"install.sh", "kingfisher-busy"} {
		text, err := os.ReadFile(filepath.Join("../../deploy/kingfisher", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, name), string(text))
	}
	s := &restrictedServer{folder: folder, key: filepath.Join(folder, "bot")}
	s.newKey(t, "bot")
	writeFile(t, filepath.Join(folder, "permissive"), permissive)
	s.realServer = startServer(t, fmt.Sprintf(`
# Accounts, sudo's rules and the script are changed in copies.
mkdir "$1/etc"
cp -a /etc/. "$1/etc"
mount --bind "$1/etc" /etc
for d in /usr/local/sbin /var/lib; do
	mount -t tmpfs tmpfs $d
	chmod 755 $d
done
rm -f /etc/sudoers.d/kingfisher-busy
cp "$1/authorized_keys" /etc/ssh/test_keys
grep -e ^ListenAddress -e ^Port -e ^HostKey -e ^PermitRootLogin -e ^PidFile "$1/sshd_config" >"$1/sshd_config.new"
cat %s/permissive >>"$1/sshd_config.new"
mv "$1/sshd_config.new" "$1/sshd_config"
`, folder), "")
	t.Log(s.run("sh " + folder + "/install.sh " + s.key + ".pub 2>&1"))
	return s
}

// newKey writes a pair of keys into the installer's folder.
func (s *restrictedServer) newKey(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join(s.folder, name)
	public := ssh.MarshalAuthorizedKey(writeKey(t, file, "").PublicKey())
	writeFile(t, file+".pub", strings.TrimSpace(string(public))+" bot@example\n")
}

// config is for a checker that logs in with the bot's key.
func (s *restrictedServer) config() Config {
	c := s.realServer.config()
	c.SSHUser, c.IdentityFile = "kfbusy", s.key
	return c
}

// program returns the command of an OpenSSH client with the bot's key.
func (s *restrictedServer) program(t *testing.T, name string, args ...string) *exec.Cmd {
	// One that is granted what it must be refused may not end by itself.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	_, port, _ := net.SplitHostPort(s.address)
	return exec.CommandContext(ctx, name, append([]string{
		"-F", "/dev/null", "-i", s.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "Port=" + port, "-o", "User=kfbusy",
		"-o", "UserKnownHostsFile=" + s.path("known_hosts"),
	}, args...)...)
}

// refused fails the test if an attempt has left its trace on the server.
func (s *restrictedServer) refused(t *testing.T, what, said string) {
	t.Helper()
	if owned := s.run("ls -d /run/owned* 2>/dev/null || true"); owned != "" {
		s.run("rm -rf /run/owned*")
		t.Errorf("%s: it left %s on the server", what, owned)
	}
	t.Logf("%s: refused: %s", what, oneLine(said, 120))
}

// The bot's key makes the checks as well as root's does.
func TestRestrictedKey(t *testing.T) {
	s := startRestrictedServer(t)
	for _, user := range []string{"root", "alice"} {
		s.as(user, "tmux -f /dev/null new-session -d -s "+user+"-work 'sleep 5577'")
	}
	got := check(t, s.config(), deploytoken.CheckTmux)
	if got.State != deploytoken.Busy || len(blocking(got)) != 2 {
		t.Errorf("with the bot's key: %s %q %+v, want what root and alice run", got.State, got.Reason, got.Findings)
	}
	if got := check(t, s.realServer.config(), deploytoken.CheckTmux); got.State != deploytoken.Busy || len(blocking(got)) != 2 {
		t.Errorf("with root's key: %s %q %+v", got.State, got.Reason, got.Findings)
	}
}

// Nothing but the check can be had with the bot's key, whatever the server would
// allow.
func TestRestrictedKeyDoesNothingElse(t *testing.T) {
	s := startRestrictedServer(t)
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	reached := make(chan string, 100)
	go func() {
		for {
			conn, err := inside.Accept()
			if err != nil {
				return
			}
			reached <- conn.RemoteAddr().String()
			conn.Close()
		}
	}()
	const ran = "kingfisher-busy 2 " // the check, instead of what was asked for

	for _, tt := range []struct {
		name    string
		options []string
		command string
		stdin   string
		want    string
	}{
		{name: "a shell", stdin: "touch /run/owned\n", want: ran},
		{name: "another command", command: "touch /run/owned", want: ran},
		{name: "a command beside the check", command: "kingfisher-busy; touch /run/owned", want: ran},
		{name: "a command on a line of its own", command: "kingfisher-busy\ntouch /run/owned\n", want: ran},
		{name: "a substitution", command: "$(touch /run/owned)`touch /run/owned`", want: ran},
		{name: "an argument for the check", command: "kingfisher-busy --owned >/run/owned", want: ran},
		{name: "an option for sudo", command: "-u postgres touch /run/owned", want: ran},
		{name: "sudo itself", command: "sudo -n touch /run/owned", want: ran},
		{name: "the script that is sent", command: sentCommand, want: ran},
		{name: "variables", command: "kingfisher-busy", want: ran, options: []string{
			"-o", `SetEnv="BASH_ENV=$(touch /run/owned)" "ENV=$(touch /run/owned)" "PS4=$(touch /run/owned)" SHELLOPTS=xtrace PATH=/tmp TMUX_TMPDIR=/tmp/owned PGHOST=/tmp PERL5OPT=-d IFS=k`,
		}},
		{name: "a terminal", options: []string{"-tt"}, stdin: "touch /run/owned\n", want: "PTY allocation request failed"},
		{name: "the sftp subsystem", options: []string{"-s"}, command: "sftp", want: ran},
		{name: "another subsystem", options: []string{"-s"}, command: "owned", want: "subsystem request failed"},
		{name: "a port on standard input (-W)", options: []string{"-W", inside.Addr().String()}, want: "administratively prohibited"},
		{name: "a port of the server's (-R)", options: exits("-R", "127.0.0.1:0:"+inside.Addr().String()), want: "remote port forwarding failed"},
		{name: "a proxy on the server (-R)", options: exits("-R", "127.0.0.1:0"), want: "remote port forwarding failed"},
		{name: "a socket of the server's (-R)", options: exits("-R", "/run/owned:"+inside.Addr().String()), want: "remote port forwarding failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append(tt.options, "127.0.0.1")
			if tt.command != "" {
				args = append(args, "--", tt.command)
			}
			cmd := s.program(t, "ssh", args...)
			cmd.Stdin = strings.NewReader(tt.stdin)
			out, _ := cmd.CombinedOutput()
			_, said, ok := strings.Cut(string(out), tt.want)
			if !ok {
				t.Errorf("it said %q, want %q in it", oneLine(string(out), 500), tt.want)
			}
			s.refused(t, tt.name, tt.want+said)
		})
	}

	t.Run("files", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(s.address)
		for _, tt := range []struct {
			name, program string
			args          []string
			stdin         string
		}{
			{name: "scp to the server", program: "scp", args: []string{s.key + ".pub", "127.0.0.1:/run/owned"}},
			{name: "scp of old to the server", program: "scp", args: []string{"-O", s.key + ".pub", "127.0.0.1:/run/owned"}},
			{name: "scp from the server", program: "scp", args: []string{"127.0.0.1:/etc/passwd", s.path("taken")}},
			{name: "scp of old from the server", program: "scp", args: []string{"-O", "127.0.0.1:/etc/passwd", s.path("taken")}},
			{name: "sftp", program: "sftp", args: []string{"-b", "-", "-P", port, "127.0.0.1"}, stdin: "get /etc/passwd " + s.path("taken") + "\nput " + s.key + ".pub /run/owned\n"},
		} {
			cmd := s.program(t, tt.program, tt.args...)
			cmd.Stdin = strings.NewReader(tt.stdin)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("%s: it succeeded: %s", tt.name, out)
			}
			if text, err := os.ReadFile(s.path("taken")); err == nil && bytes.Contains(text, []byte("root:")) {
				t.Errorf("%s: it took a file", tt.name)
			}
			s.refused(t, tt.name, string(out))
		}
	})

	// A client that listens asks for the connection only once it is used.
	for option, through := range map[string][]string{"-L": nil, "-D": {"--socks5-hostname"}} {
		t.Run("a port of this machine's ("+option+")", func(t *testing.T) {
			local := ledgertest.FreeAddress(t)
			spec, url := local+":"+inside.Addr().String(), local
			if option == "-D" {
				spec, url = local, inside.Addr().String()
				through = append(through, local)
			}
			cmd := s.program(t, "ssh", "-N", "-o", "ExitOnForwardFailure=yes", option, spec, "127.0.0.1")
			var said bytes.Buffer
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the client to listen", func() bool {
				conn, err := net.Dial("tcp", local)
				if err == nil {
					conn.Close()
				}
				return err == nil
			})
			out, err := exec.Command("curl", append(through, "-sS", "--max-time", "30", "http://"+url+"/")...).CombinedOutput()
			if err == nil {
				t.Errorf("curl got through: %s", out)
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if !strings.Contains(said.String(), "administratively prohibited") {
				t.Errorf("ssh said %q", said.String())
			}
			s.refused(t, option, said.String())
		})
	}

	// What a client of one's own could ask for. The server grants each of them
	// to root, whose key has no restriction.
	t.Run("requests", func(t *testing.T) {
		signer, err := (&Checker{config: Config{IdentityFile: s.key}}).signer()
		if err != nil {
			t.Fatal(err)
		}
		bot, err := ssh.Dial("tcp", s.address, &ssh.ClientConfig{User: "kfbusy", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(s.hostKey)})
		if err != nil {
			t.Fatal(err)
		}
		defer bot.Close()
		request := func(name string, payload []byte) func(*ssh.Client) error {
			return func(c *ssh.Client) error {
				channel, requests, err := c.OpenChannel("session", nil)
				if err != nil {
					t.Fatal(err)
				}
				go ssh.DiscardRequests(requests)
				defer channel.Close()
				ok, err := channel.SendRequest(name, true, payload)
				if err == nil && !ok {
					err = fmt.Errorf("%s: the server said no", name)
				}
				return err
			}
		}
		listen := func(network, address string) func(*ssh.Client) error {
			return func(c *ssh.Client) error {
				l, err := c.Listen(network, address)
				if err == nil {
					l.Close()
				}
				return err
			}
		}
		dial := func(network, address string) func(*ssh.Client) error {
			return func(c *ssh.Client) error {
				conn, err := c.Dial(network, address)
				if err == nil {
					conn.Close()
				}
				return err
			}
		}
		s.run("rm -f /run/socket; python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"/run/socket\"); s.listen(9); import time; time.sleep(5579)' >/dev/null 2>&1 & while ! [ -S /run/socket ]; do sleep 0.05; done; chmod 777 /run/socket")
		for _, tt := range []struct {
			name    string
			attempt func(*ssh.Client) error
		}{
			{"a terminal", request("pty-req", ssh.Marshal(struct {
				Term                       string
				Columns, Rows, Width, High uint32
				Modes                      string
			}{Term: "xterm", Columns: 80, Rows: 24, Modes: "\x00"}))},
			{"the agent", request("auth-agent-req@openssh.com", nil)},
			{"X11", request("x11-req", ssh.Marshal(struct {
				Single           bool
				Protocol, Cookie string
				Screen           uint32
			}{Protocol: "MIT-MAGIC-COOKIE-1", Cookie: "0123456789abcdef0123456789abcdef"}))},
			{"a port", dial("tcp", inside.Addr().String())},
			{"a socket", dial("unix", "/run/socket")},
			{"to listen on a port", listen("tcp", "127.0.0.1:0")},
			{"to listen on a socket", listen("unix", "/run/owned")},
		} {
			if err := tt.attempt(s.realServer.client); err != nil {
				t.Errorf("%s: the server refused it to root too: %v", tt.name, err)
			}
			s.run("rm -f /run/owned")
			err := tt.attempt(bot)
			if err == nil {
				t.Errorf("%s: the server granted it", tt.name)
				continue
			}
			s.refused(t, tt.name, err.Error())
		}
		if channel, _, err := bot.OpenChannel("tun@openssh.com", ssh.Marshal(struct{ Mode, Unit uint32 }{1, 0x7fffffff})); err == nil {
			channel.Close()
			t.Error("a tunnel: the server granted it")
		} else {
			s.refused(t, "a tunnel", err.Error())
		}
	})

	// Nor could somebody who had got a shell of that user's all the same.
	t.Run("from within", func(t *testing.T) {
		s.run("mkdir /tmp/evil; for p in ps id date find tmux psql mktemp sudo; do printf '#!/bin/sh\\ntouch /run/owned\\n' >/tmp/evil/$p; chmod 755 /tmp/evil/$p; done")
		const script = "/usr/local/sbin/kingfisher-busy"
		for _, attempt := range []string{
			"sudo -n touch /run/owned", "sudo -n -s", "sudo -n -i", "sudo -n -e /etc/passwd", "sudo -n -u postgres " + script,
			"sudo -n -u postgres id", "sudo -n " + script + " owned", "sudo -n " + script + " ''", "sudo -n BASH_ENV=/tmp/owned " + script,
			"sudo -n -E PATH=/tmp/evil " + script, "sudo -n -D /tmp " + script, "sudo -n -R /tmp " + script, "sudo -n -C 9 " + script,
			"sudo -n /usr/local/sbin/../sbin/kingfisher-busy owned", "ln -sf /bin/sh " + script, "echo >>" + script,
			"echo >>/var/lib/kfbusy/.ssh/authorized_keys", "touch /var/lib/kfbusy/owned", "touch /var/lib/kfbusy/.ssh/rc",
			"mv /var/lib/kfbusy/.ssh /var/lib/kfbusy/owned", "echo >>/etc/sudoers.d/kingfisher-busy", "cat /etc/shadow", "su -c id </dev/null",
		} {
			out := s.as("kfbusy", "if ( "+attempt+" ) </dev/null 2>&1; then echo GRANTED; fi")
			if strings.Contains(out, "GRANTED") {
				t.Errorf("%s: %s", attempt, out)
			}
			s.refused(t, attempt, out)
		}
		out := s.as("kfbusy", "PATH=/tmp/evil:$PATH ENV=/tmp/evil/ps BASH_ENV=/tmp/evil/ps TMUX_TMPDIR=/tmp/evil PGHOST=/tmp/evil LD_LIBRARY_PATH=/tmp/evil TMPDIR=/tmp/evil /usr/bin/sudo -n "+script)
		if !strings.Contains(out, ran) {
			t.Errorf("the check said %q", oneLine(out, 500))
		}
		s.refused(t, "programs of one's own for the check", ran)
	})
	// Connections are accepted in their order: ours is the last of them.
	conn, err := net.Dial("tcp", inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	others := 0
	for <-reached != conn.LocalAddr().String() {
		others++
	}
	if others != 1 {
		t.Errorf("the port on the server was reached %d times, want root's alone", others)
	}
}

// exits makes a client that is refused what it asks for end.
func exits(options ...string) []string {
	return append([]string{"-N", "-o", "ExitOnForwardFailure=yes"}, options...)
}

// The installer may run again, with another key, another script or other
// addresses, and takes away what it brought.
func TestInstaller(t *testing.T) {
	s := startRestrictedServer(t)
	install := func(args string) string {
		t.Helper()
		return s.run("sh " + s.folder + "/install.sh " + args + " 2>&1")
	}
	works := func(what string) {
		t.Helper()
		if got := check(t, s.config(), deploytoken.CheckTmux); got.State != deploytoken.Idle {
			t.Errorf("%s: %s %q", what, got.State, got.Reason)
		}
	}
	fails := func(what string, reasons ...string) {
		t.Helper()
		got := check(t, s.config(), deploytoken.CheckTmux)
		if got.State != deploytoken.Unknown {
			t.Errorf("%s: the check is %s", what, got.State)
		}
		for _, reason := range reasons {
			if !strings.Contains(got.Reason, reason) {
				t.Errorf("%s: the reason is %q, want %q in it", what, got.Reason, reason)
			}
		}
	}
	state := "getent passwd kfbusy; stat -c '%n %a %U %G %Y' /var/lib/kfbusy /var/lib/kfbusy/.ssh/* /etc/sudoers.d/* /usr/local/sbin/*"
	before := s.run(state)
	works("at first")
	if said := install(s.key + ".pub"); strings.Count(said, "as it was") != 4 || s.run(state) != before {
		t.Errorf("the second run said %q and left\n%s\nof\n%s", said, s.run(state), before)
	}

	newer := strconv.Itoa(ScriptVersion + 1)
	s.run("sed -i 's/^version=.*/version=" + newer + "/' /usr/local/sbin/kingfisher-busy")
	fails("a script of another version", "of version "+newer, "reads version "+strconv.Itoa(ScriptVersion), "deploy/kingfisher/install.sh")
	install(s.key + ".pub")
	works("installed again")

	s.run("mv /etc/sudoers.d/kingfisher-busy /run")
	fails("without the right to", "a password is required", "deploy/kingfisher/install.sh")
	install(s.key + ".pub")
	works("with the right to")

	old := s.key
	s.newKey(t, "another")
	s.key = filepath.Join(s.folder, "another")
	install("--from 192.0.2.1,127.0.0.0/8 " + s.key + ".pub")
	works("with another key, from here")
	s.key = old
	fails("with the old key", "refused the user kfbusy")
	install("--from 192.0.2.1 " + s.key + ".pub")
	fails("from elsewhere", "refused the user kfbusy", "from=")
	install(s.key + ".pub")
	works("from anywhere")

	before = s.run(state)
	writeFile(t, filepath.Join(s.folder, "none"), "\n")
	two, err := os.ReadFile(s.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(s.folder, "two"), strings.Repeat(string(two), 2))
	writeFile(t, filepath.Join(s.folder, "options"), `command="id" `+string(two))
	writeFile(t, filepath.Join(s.folder, "broken"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n")
	for args, want := range map[string]string{
		"":                               "Usage:",
		"a b":                            "Usage:",
		"--from":                         "Usage:",
		"--nonsense x":                   "Usage:",
		"--remove x":                     "Usage:",
		"absent":                         "absent: there is no such file",
		s.key:                            "ends in .pub",
		s.folder + "/none":               "it is empty",
		s.folder + "/two":                "more than one line",
		s.folder + "/options":            "ends in .pub",
		s.folder + "/broken":             "ssh-keygen finds no public key",
		`--from '","' ` + s.key + ".pub": "not a list of addresses",
		`--from '' ` + s.key + ".pub":    "not a list of addresses",
		`--from '1 2' ` + s.key + ".pub": "not a list of addresses",
	} {
		said := s.run("if sh " + s.folder + "/install.sh " + args + " 2>&1; then echo SUCCEEDED; fi")
		if !strings.Contains(said, want) || strings.Contains(said, "SUCCEEDED") {
			t.Errorf("install.sh %s said %q, want %q", args, said, want)
		}
	}
	if said := s.as("alice", "if sh "+s.folder+"/install.sh "+s.key+".pub 2>&1; then echo SUCCEEDED; fi"); said != "install.sh: run it as root" {
		t.Errorf("as alice it said %q", said)
	}
	s.run("chmod g+w /usr/local/sbin")
	if said := s.run("if sh " + s.folder + "/install.sh " + s.key + ".pub 2>&1; then echo SUCCEEDED; fi"); !strings.Contains(said, "may be changed by others than root") {
		t.Errorf("with a folder that others may change it said %q", said)
	}
	s.run("chmod g-w /usr/local/sbin")
	if after := s.run(state); after != before {
		t.Errorf("mistakes have left\n%s\nof\n%s", after, before)
	}

	t.Log(install("--remove"))
	fails("once removed", "refused the user kfbusy")
	if left := s.run("getent passwd kfbusy; ls -d /var/lib/kfbusy /etc/sudoers.d/kingfisher-busy /usr/local/sbin/kingfisher-busy 2>/dev/null || true"); left != "" {
		t.Errorf("removing it left %q", left)
	}
	install("--remove")

	s.run("useradd --no-create-home --home-dir /home/kfbusy kfbusy")
	for _, args := range []string{"--remove", s.key + ".pub"} {
		said := s.run("if sh " + s.folder + "/install.sh " + args + " 2>&1; then echo SUCCEEDED; fi; getent passwd kfbusy")
		if !strings.Contains(said, "install.sh: ") || strings.Contains(said, "SUCCEEDED") || !strings.Contains(said, ":/home/kfbusy:") {
			t.Errorf("with another user of that name, install.sh %s said %q", args, said)
		}
	}
}

// Root's own key may be held to the check in the same way.
func TestRootKeyHeldToTheCheck(t *testing.T) {
	s := startRestrictedServer(t)
	s.run(`sed -i 's#^#restrict,command="/usr/local/sbin/kingfisher-busy" #' /etc/ssh/test_keys`)
	if got := check(t, s.realServer.config(), deploytoken.CheckTmux); got.State != deploytoken.Idle {
		t.Errorf("%s %q", got.State, got.Reason)
	}
}

// What is installed is the very script that is sent.
func TestInstalledScriptIsTheOneSent(t *testing.T) {
	text, err := os.ReadFile("../../deploy/kingfisher/kingfisher-busy")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != script {
		t.Error("deploy/kingfisher/kingfisher-busy is not check.sh")
	}
}
