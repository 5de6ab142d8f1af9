package kingfisher

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// diagnose tries everything but Scrapyd, up to the first step that fails, whose
// name and error it returns. The steps after the script are all tried.
func diagnose(t *testing.T, config Config) (step string, err error) {
	t.Helper()
	config.Timeout = 30 * time.Second
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), config.Timeout)
	defer cancel()
	d := c.Diagnose()
	defer d.Close()
	for _, s := range []struct {
		name string
		try  func(context.Context) (string, string, error)
	}{
		{"key", d.Key}, {"connection", d.Connection}, {"host key", d.HostKey}, {"login", d.Login}, {"script", d.Script},
		{"processes", d.Processes}, {"tmux", d.Tmux}, {"postgres", d.Postgres},
	} {
		found, warning, err := s.try(ctx)
		t.Logf("%s: %s %s %v", s.name, found, warning, err)
		if err != nil {
			return s.name, err
		}
		if found == "" || warning != "" {
			t.Errorf("%s: %q %q", s.name, found, warning)
		}
	}
	return "", nil
}

// Each failure is produced on a real server, and mended by what is said of it.
func TestDiagnoseARealServer(t *testing.T) {
	need(t, "ssh-keyscan", "ssh-keygen")
	s := startPostgres(t)
	s.sql("create role alice login")
	config := s.config()
	endTmux := func(users ...string) {
		for _, user := range users {
			s.as(user, "tmux kill-server")
		}
		eventually(t, "the tmux servers to end", func() bool { return s.run("pgrep -xc 'tmux: server' || true") == "0" })
	}
	tracked := func(setting string) {
		s.sql("alter system set track_activities = " + setting)
		s.sql("select pg_reload_conf()")
		eventually(t, "the setting", func() bool { return s.sql("show track_activities") == setting })
	}
	shell := func(command string) {
		t.Helper()
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	_, port, _ := net.SplitHostPort(s.address)
	release := s.run("pg_lsclusters -h | cut -d' ' -f1")
	good := config
	for _, tt := range []struct {
		name   string
		breaks func()
		step   string
		says   []string
		mends  func()
	}{
		{name: "nothing is wrong", breaks: func() {}, mends: func() {}},
		{
			name:   "sessions and queries of others, which don't matter",
			breaks: func() { s.as("alice", "tmux new-session -d -s x sleep 5555"); config.LongQuery = 1 },
			mends:  func() { endTmux("alice"); config = good },
		},
		{
			name: "an unknown host", breaks: func() { config.KnownHostsFile = s.path("known_hosts2"); writeFile(t, config.KnownHostsFile, "") },
			step: "host key", says: []string{"is not in " + s.path("known_hosts2"), "ssh-keyscan -p " + port + " 127.0.0.1", ssh.FingerprintSHA256(s.hostKey)},
			mends: func() { shell(fmt.Sprintf("ssh-keyscan -p %s 127.0.0.1 >>%s", port, s.path("known_hosts2"))) },
		},
		{
			name: "a key that isn't let in", breaks: func() {
				shell("ssh-keygen -q -t rsa -b 2048 -N '' -f " + s.path("id_rsa"))
				config.IdentityFile = s.path("id_rsa")
			},
			step: "login", says: []string{"refused the user root", "authorized_keys", "ssh-keygen -y -f " + s.path("id_rsa")},
			mends: func() { shell(fmt.Sprintf("ssh-keygen -y -f %s >>%s", s.path("id_rsa"), s.path("authorized_keys"))) },
		},
		{
			name: "a user without a shell", breaks: func() { config.SSHUser = "svc" },
			step: "script", says: []string{"ended early, saying", "not available"},
			mends: func() { config.SSHUser = "root" },
		},
		{
			name: "a user who can't look into the sessions of others", breaks: func() { config.SSHUser = "alice" },
			step: "tmux", says: []string{"runs as the user alice", "log in as root", "deploy/kingfisher/install.sh"},
			mends: func() { config.SSHUser = "root" },
		},
		{
			name: "one's own sessions are what is asked for, and queries of others can't be seen", breaks: func() {
				config.SSHUser, config.TmuxUsers = "alice", []string{"alice"}
				s.session("postgres", "psql", "select pg_sleep(5592)")
				eventually(t, "the query to run", func() bool {
					return s.sql("select count(*) from pg_stat_activity where query like '%5592%' and state = 'active' and pid <> pg_backend_pid()") == "1"
				})
			},
			step: "postgres", says: []string{"hides what", "from the role alice: grant it pg_read_all_stats"},
			mends: func() { s.sql("grant pg_read_all_stats to alice") },
		},
		{
			name: "a stopped tmux server beside a running command", breaks: func() {
				config = good
				s.as("alice", "tmux new-session -d")
				s.run("pkill -STOP -f '^tmux new-session'")
				s.as("bob", "tmux new-session -d -s x 'sleep 5557'")
				eventually(t, "the command to run", func() bool { return s.run("pgrep -fc -- '^sleep 5557' || true") != "0" })
			},
			step: "tmux", says: []string{"the user alice", "does not answer"},
			mends: func() {
				s.run("pkill -CONT -f '^tmux new-session'")
				endTmux("alice", "bob")
			},
		},
		{
			name: "no tmux", breaks: func() { s.run("mount --bind /dev/null /usr/bin/tmux") },
			step: "tmux", says: []string{"tmux was not found on the server: install it"},
			mends: func() { s.run("umount /usr/bin/tmux") },
		},
		{
			name: "PostgreSQL that doesn't tell", breaks: func() { tracked("off") },
			step: "postgres", says: []string{"does not track what its sessions do: turn track_activities on"},
			mends: func() { tracked("on") },
		},
		{
			name: "a stopped PostgreSQL", breaks: func() { s.run("pg_ctlcluster " + release + " main stop -m immediate") },
			step: "postgres", says: []string{"No PostgreSQL cluster is running", "leave this check out"},
			mends: func() { s.run("pg_ctlcluster " + release + " main start </dev/null >/dev/null 2>&1") },
		},
		{
			name: "another server under its address", breaks: func() {
				known, err := os.ReadFile(good.KnownHostsFile)
				if err != nil {
					t.Fatal(err)
				}
				stranger := writeKey(t, s.path("stranger"), "")
				host, _, _ := strings.Cut(string(known), " ")
				config.KnownHostsFile = s.path("changed_known_hosts")
				writeFile(t, config.KnownHostsFile, host+" "+string(ssh.MarshalAuthorizedKey(stranger.PublicKey())))
			},
			step: "host key", says: []string{"has changed", s.path("changed_known_hosts") + ":1", "replace the line only if"},
			mends: func() {
				known, err := os.ReadFile(good.KnownHostsFile)
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, config.KnownHostsFile, string(known))
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.breaks()
			step, err := diagnose(t, config)
			if step != tt.step {
				t.Errorf("%q failed, want %q: %v", step, tt.step, err)
			}
			for _, says := range tt.says {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v, want %q", err, says)
				}
			}
			tt.mends()
			if step, err := diagnose(t, config); step != "" {
				t.Errorf("mended, and %s failed: %v", step, err)
			}
		})
	}
}

// With the key that can do nothing but the check, all is well, too: the check
// runs as root.
func TestDiagnoseARestrictedKey(t *testing.T) {
	s := startRestrictedServer(t)
	works := func() {
		t.Helper()
		// That server has no PostgreSQL, and the check of it is the last.
		if step, err := diagnose(t, s.config()); step != "postgres" || !strings.Contains(err.Error(), "No PostgreSQL cluster was found") {
			t.Errorf("%s failed: %v", step, err)
		}
	}
	works()
	s.run("mv /etc/sudoers.d/kingfisher-busy /run")
	if step, err := diagnose(t, s.config()); step != "script" || !strings.Contains(err.Error(), "deploy/kingfisher/install.sh") {
		t.Errorf("without the right to: %s failed: %v", step, err)
	}
	s.run("sh " + s.folder + "/install.sh " + s.key + ".pub")
	works()
}

// A diagnosis that ends early can be closed, and Scrapyd needs nothing before
// it.
func TestDiagnoseEndsAnywhere(t *testing.T) {
	c, err := New(Config{ScrapydURL: idleScrapyd(t), SSHAddress: "127.0.0.1:1", IdentityFile: "absent", KnownHostsFile: "absent"})
	if err != nil {
		t.Fatal(err)
	}
	d := c.Diagnose()
	if found, _, err := d.Scrapyd(t.Context()); err != nil || !strings.HasPrefix(found, "0 running, 0 pending at http://") {
		t.Errorf("%q %v", found, err)
	}
	if _, _, err := d.Key(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "correct kingfisher.ssh.identity_file.") {
		t.Errorf("%v", err)
	}
	d.Close()
}
