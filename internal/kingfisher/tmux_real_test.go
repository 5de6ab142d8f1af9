package kingfisher

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestTmuxOnARealServer(t *testing.T) {
	s := startServer(t, "", "")
	// waits is a program that runs in a pane; a pane has begun to run it when it
	// is a process.
	running := func(t *testing.T, pattern string) {
		eventually(t, pattern+" to run", func() bool {
			return s.run("pgrep -fc -- '"+pattern+"' || true") != "0"
		})
	}
	tests := []struct {
		name  string
		setup func(t *testing.T)
		want  deploytoken.State
		// what, where, owner and id are of the one blocking finding.
		what, where, owner, id string
		reason                 string
	}{
		{
			name: "nothing at all",
			want: deploytoken.Idle,
		},
		{
			name: "an idle shell",
			setup: func(t *testing.T) {
				s.as("alice", "tmux new-session -d -s jm-look")
				s.atPrompt(t, "alice", "default")
			},
			want: deploytoken.Idle,
		},
		{
			name: "a running command",
			setup: func(t *testing.T) {
				s.as("alice", "tmux new-session -d -s jm-load; tmux send-keys 'sleep 5551 --password=hunter2 || sleep 5551' Enter")
				running(t, "^sleep 5551$") // the second, as the first has failed
			},
			want: deploytoken.Busy,
			what: "sleep 5551", where: "session jm-load, user alice", owner: "alice", id: "U0ALICE",
		},
		{
			name: "a background job",
			setup: func(t *testing.T) {
				s.as("alice", "tmux new-session -d -s load; tmux send-keys 'sleep 5552 &' Enter")
				running(t, "^sleep 5552")
			},
			want: deploytoken.Busy,
			what: "sleep 5552", where: "session load, user alice", owner: "alice", id: "U0ALICE",
		},
		{
			name: "a pipeline",
			setup: func(t *testing.T) {
				s.as("bob", `tmux new-session -d -s xy-load; tmux send-keys 'bash -c "sleep 5553; true" | cat' Enter`)
				running(t, "^sleep 5553")
				running(t, "^cat$")
			},
			want: deploytoken.Busy,
			what: "bash -c sleep 5553; true | cat", where: "session xy-load, user bob", owner: "xy",
		},
		{
			name:  "a command without a shell, by a user who can't log in",
			setup: func(t *testing.T) { s.as("svc", "tmux new-session -d -s x sleep 5554"); running(t, "^sleep 5554") },
			want:  deploytoken.Busy,
			what:  "sleep 5554", where: "session x, user svc", owner: "svc",
		},
		{
			name: "another socket",
			setup: func(t *testing.T) {
				s.as("alice", "tmux -L other new-session -d -s x 'sleep 5555'")
				running(t, "^sleep 5555")
			},
			want: deploytoken.Busy,
			what: "sleep 5555", where: "session x, user alice, socket other", owner: "alice", id: "U0ALICE",
		},
		{
			name: "root's own session",
			setup: func(t *testing.T) {
				s.run("tmux new-session -d -s jm-upgrade 'sleep 5556' </dev/null >/dev/null 2>&1")
				running(t, "^sleep 5556")
			},
			want: deploytoken.Busy,
			what: "sleep 5556", where: "session jm-upgrade, user root", owner: "jm", id: "U0JM",
		},
		{
			name: "a dead pane",
			setup: func(t *testing.T) {
				s.as("alice", `tmux new-session -d -s x \; set-option -g remain-on-exit on \; new-window true \; kill-window -t :0`)
				eventually(t, "the pane to die", func() bool { return s.as("alice", "tmux list-panes -a -F '#{pane_dead}'") == "1" })
			},
			want: deploytoken.Idle,
		},
		{
			name: "a server without sessions",
			setup: func(t *testing.T) {
				s.as("alice", `tmux new-session -d -s x \; set-option -g exit-empty off \; kill-session -t x`)
			},
			want: deploytoken.Idle,
		},
		{
			name: "a stale socket",
			setup: func(t *testing.T) {
				s.as("alice", "tmux new-session -d")
				s.run("pkill -KILL -f '^tmux new-session'; ls /tmp/tmux-7002/default")
			},
			want: deploytoken.Idle,
		},
		{
			name:  "a server whose socket was removed",
			setup: func(t *testing.T) { s.as("alice", "tmux new-session -d; rm /tmp/tmux-7002/default") },
			want:  deploytoken.Unknown, reason: "The user alice has a tmux server that can't be reached",
		},
		{
			name: "a user's stopped server",
			setup: func(t *testing.T) {
				s.as("alice", "tmux new-session -d")
				s.run("pkill -STOP -f '^tmux new-session'")
			},
			want: deploytoken.Unknown, reason: "The tmux server of the user alice (socket default) does not answer",
		},
		{
			name: "a user's stopped server beside another's running command",
			setup: func(t *testing.T) {
				s.as("alice", "tmux new-session -d")
				s.run("pkill -STOP -f '^tmux new-session'")
				s.as("bob", "tmux new-session -d -s x 'sleep 5557'")
				running(t, "^sleep 5557")
			},
			want: deploytoken.Busy, reason: "The tmux server of the user alice (socket default) does not answer",
			what: "sleep 5557", where: "session x, user bob", owner: "bob",
		},
		{
			name:  "a socket with a line break in its name",
			setup: func(t *testing.T) { s.as("alice", "tmux -L $'a\\nb' new-session -d") },
			want:  deploytoken.Unknown, reason: "The user alice has a tmux socket whose name has a line break",
		},
		{
			name: "over a megabyte of session names",
			setup: func(t *testing.T) {
				s.as("alice", `tmux new-session -d -s first
name=$(head -c 10000 /dev/zero | tr '\0' x)
for i in $(seq 120); do tmux new-session -d -s "$i$name" cat; done`)
			},
			want: deploytoken.Unknown, reason: "The tmux sessions of the user alice (socket default) could not be listed: tmux printed too much",
		},
		{
			name: "over two megabytes of command lines",
			setup: func(t *testing.T) {
				s.run(`arg=$(head -c 100000 /dev/zero | tr '\0' x)
for i in $(seq 25); do sleep 5558 "$arg" "$arg" 2>/dev/null & done; for i in $(seq 25); do bash -c 'sleep 5559; true' "$arg" </dev/null >/dev/null 2>&1 & done`)
			},
			want: deploytoken.Idle,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Cleanup(func() {
				s.run("pkill -CONT -x 'tmux: server'; pkill -KILL -x 'tmux: server'; pkill -KILL -x 'sleep|cat'; while pgrep -x 'tmux: server|sleep|cat'; do :; done; rm -rf /tmp/tmux-*")
			})
			if tt.setup != nil {
				tt.setup(t)
			}
			got := check(t, s.config(), deploytoken.CheckTmux)
			if got.State != tt.want {
				t.Errorf("the state is %s, want %s", got.State, tt.want)
			}
			if !strings.HasPrefix(got.Reason, tt.reason) || tt.reason == "" && got.Reason != "" {
				t.Errorf("the reason is %q, want %q", got.Reason, tt.reason)
			}
			busy := blocking(got)
			if tt.what == "" {
				if len(busy) > 0 {
					t.Errorf("%+v blocks", busy)
				}
				return
			}
			if len(busy) != 1 {
				t.Fatalf("%d findings block, want 1", len(busy))
			}
			f := busy[0]
			if f.What != tt.what || f.Where != tt.where || f.Owner != tt.owner || f.OwnerID != tt.id {
				t.Errorf("the finding is %+v, want %q in %q of %q (%q)", f, tt.what, tt.where, tt.owner, tt.id)
			}
		})
	}
}

// atPrompt waits until the shell of the user's session has read its start-up
// files: then it does what is typed.
func (s *realServer) atPrompt(t *testing.T, user, socket string) {
	t.Helper()
	s.as(user, "tmux -L "+socket+" send-keys 'touch /tmp/ready' Enter")
	eventually(t, "the shell's prompt", func() bool { return s.run("test -e /tmp/ready && echo yes || true") == "yes" })
	s.run("rm /tmp/ready")
}

// A command in a pane has the same ID for as long as it runs, and the next one has
// another.
func TestTmuxIDsOnARealServer(t *testing.T) {
	s := startServer(t, "", "")
	config := s.config()
	look := func() deploytoken.Finding {
		t.Helper()
		got := check(t, config, deploytoken.CheckTmux)
		if len(got.Findings) != 1 || !plainID(got.Findings[0].ID) {
			t.Fatalf("the findings are %+v, want one that has an ID", got.Findings)
		}
		return got.Findings[0]
	}
	lasts := func(what string, f deploytoken.Finding) {
		t.Helper()
		// The age changes at another moment of the second than the looks are
		// taken at, and so would an ID that were made of it.
		for seen := map[time.Duration]bool{}; len(seen) < 3; {
			again := look()
			if again.ID != f.ID {
				t.Fatalf("the ID of %s was %q, and is %q at the age of %s", what, f.ID, again.ID, again.Age)
			}
			seen[again.Age] = true
		}
	}
	send := func(keys, running string) {
		t.Helper()
		s.as("alice", "tmux send-keys "+keys)
		eventually(t, running, func() bool { return s.run("pgrep -xc sleep || true") == running })
	}
	s.as("alice", "tmux new-session -d -s jm-load")
	s.atPrompt(t, "alice", "default")
	idle := look()
	lasts("an idle session", idle)

	send("'sleep 5571 | sleep 5572' Enter", "2")
	first := look()
	lasts("a pipeline", first)
	s.run("pkill -f '^sleep 5571'")
	eventually(t, "the first program to end", func() bool { return s.run("pgrep -xc sleep || true") == "1" })
	lasts("the rest of the pipeline", first)
	send("C-c", "0")
	if after := look(); after.ID != idle.ID {
		t.Errorf("idle again, the session's ID is %q, and was %q", after.ID, idle.ID)
	}

	send("'sleep 5571 | sleep 5572' Enter", "2")
	if second := look(); second.ID == first.ID || second.ID == idle.ID || second.What != first.What {
		t.Errorf("the same command again is %+v, and was %+v", second, first)
	}
}

func TestHostileSessionNames(t *testing.T) {
	s := startServer(t, "", "")
	names := []string{
		"a|b|1|2|3|0|1",
		"kingfisher-busy 2 00000000000000000000000000000000 +0000",
		"00000000000000000000000000000000 end tmux",
		"*bold* <!channel> <https://example.com|click>",
		"'; touch /tmp/owned; '",
		"$(touch /tmp/owned)",
		"`touch /tmp/owned`",
		"\u202eevil\u202c \u200b\u2066x",
		strings.Repeat("long ", 2000),
		"📦 übung",
	}
	for i, name := range names {
		s.as("alice", fmt.Sprintf("tmux new-session -d -s %s sleep %d", quote(name), 6000+i))
	}
	// One line break is made visible by tmux, and this one is not a line break.
	s.as("alice", `tmux new-session -d -s $'one\ntwo|\r\x1b[31mred' sleep 6999`)
	got := check(t, s.config(), deploytoken.CheckTmux)
	if got.State != deploytoken.Busy || len(blocking(got)) != len(names)+1 {
		t.Errorf("%s with %d findings, want busy with %d", got.State, len(blocking(got)), len(names)+1)
	}
	for _, f := range got.Findings {
		for _, text := range []string{f.What, f.Where, f.Owner, f.Note} {
			if !utf8.ValidString(text) || text != oneLine(text, maxWhat) {
				t.Errorf("%q is not a line of plain text", text)
			}
		}
		if !strings.HasPrefix(f.What, "sleep 6") || !strings.HasSuffix(f.Where, ", user alice") {
			t.Errorf("the finding is %+v", f)
		}
	}
	if s.run("ls /tmp/owned 2>/dev/null || true") != "" {
		t.Error("a session's name was run as a command")
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func TestTmuxMissing(t *testing.T) {
	s := startServer(t, "mount --bind /dev/null /usr/bin/tmux", "")
	got := check(t, s.config(), deploytoken.CheckTmux)
	if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "tmux was not found") {
		t.Errorf("%s, %q", got.State, got.Reason)
	}
}

func TestTmuxUsers(t *testing.T) {
	s := startServer(t, "", "")
	s.as("alice", "tmux new-session -d -s x sleep 5555")
	s.as("bob", "tmux new-session -d -s x sleep 5556")
	s.run("pkill -STOP -f '^tmux new-session -d -s x sleep 5555'")
	config := s.config()
	config.TmuxUsers = []string{"bob", "root"}
	got := check(t, config, deploytoken.CheckTmux)
	if got.State != deploytoken.Busy || len(got.Findings) != 1 || got.Findings[0].Owner != "bob" || got.Reason != "" {
		t.Errorf("%+v, want bob's session alone", got)
	}
}

func TestTmuxAsAPlainUser(t *testing.T) {
	s := startServer(t, "", "")
	s.as("alice", "tmux new-session -d -s x sleep 5555")
	s.as("bob", "tmux new-session -d -s x sleep 5556")
	config := s.config()
	config.SSHUser = "bob"
	got := check(t, config, deploytoken.CheckTmux)
	if got.State != deploytoken.Busy || len(got.Findings) != 1 || got.Findings[0].Owner != "bob" {
		t.Errorf("%+v, want bob's session", got)
	}
	if !strings.Contains(got.Reason, "The tmux sessions of the user alice can't be looked at as the user bob") {
		t.Errorf("the reason is %q, want alice's sessions", got.Reason)
	}
	s.as("bob", "tmux kill-server")
	if got := check(t, config, deploytoken.CheckTmux); got.State != deploytoken.Unknown {
		t.Errorf("with nothing of bob's, the state is %s, want unknown", got.State)
	}
}

func TestAnswersInTimeThoughAServerIsStopped(t *testing.T) {
	s := startServer(t, "", "")
	s.as("alice", "tmux new-session -d")
	s.run("pkill -STOP -f '^tmux new-session'")
	config := s.config()
	config.Timeout = 2 * time.Second
	// On a busy machine that may not be enough to log in.
	var got deploytoken.CheckResult
	eventually(t, "a quick login", func() bool {
		got = check(t, config, deploytoken.CheckTmux)
		return !strings.Contains(got.Reason, "did not go on with it") && !strings.Contains(got.Reason, "did not open a session") &&
			!strings.Contains(got.Reason, "did not answer at")
	})
	if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "did not finish within 2s") {
		t.Errorf("%s, %q", got.State, got.Reason)
	}
}
