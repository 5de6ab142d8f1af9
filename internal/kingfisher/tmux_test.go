package kingfisher

import (
	"strings"
	"testing"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestBareShell(t *testing.T) {
	for _, idle := range []string{"-bash", "bash", "/bin/bash -l", "sh -i", "/usr/bin/zsh", "-zsh", "fish --login", "dash"} {
		if !bareShell(idle) {
			t.Errorf("%q is a shell at its prompt", idle)
		}
	}
	for _, busy := range []string{"", "bash script.sh", "bash -c sleep", "sh -lc x", "python3", "bashful", "ssh host", "/bin/bash /etc/x", "bash -", "vim bash"} {
		if bareShell(busy) {
			t.Errorf("%q is not a shell at its prompt", busy)
		}
	}
}

func TestParsePanes(t *testing.T) {
	panes, err := parsePanes([]byte("1700000000|1|70|0|jm-load|x\n1700000001|0|80|1|a b\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(panes) != 2 || panes[0].session != "jm-load|x" || !panes[0].attached || panes[0].pid != 70 || panes[0].created.Unix() != 1700000000 ||
		!panes[1].dead || panes[1].attached {
		t.Errorf("the panes are %+v", panes)
	}
	for _, bad := range []string{"x", "1|2|3|4", "x|0|70|0|a", "1|0|x|0|a", "1|0|-5|0|a", "1|0||0|a"} {
		if _, err := parsePanes([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a pane", bad)
		}
	}
}

// Whatever is missing or not understood in the section makes the check unknown.
func TestTmuxUnknown(t *testing.T) {
	const ps = "@ run ps\n1 0 1 S 9 root init\n70 1 70 S 9 alice -bash\n60 1 60 S 9 alice tmux\n@ err\n@ exit 0\n"
	const servers = "@ run tmux-servers\n60\n@ err\n@ exit 0\n"
	const socket = "@ run socket alice /tmp/tmux-7/default\n1700000000|0|70|0|x\n@ err\n@ exit 0\n"
	tests := []struct {
		name, body, reason string
		want               deploytoken.State
	}{
		{"all there", socket + servers + ps, "", deploytoken.Idle},
		{"nothing", "", "The processes were not listed", deploytoken.Unknown},
		{"no processes", socket + servers, "the processes were not listed", deploytoken.Unknown},
		{"ps failed", socket + servers + "@ run ps\n1 0 1 S 9 root init\n@ err\nps: broken\n@ exit 1\n", "ps: broken", deploytoken.Unknown},
		{"others' processes hidden", socket + servers + "@ run ps\n70 1 70 S 9 alice -bash\n@ err\n@ exit 0\n", "not all processes could be seen", deploytoken.Unknown},
		{"no servers", socket + ps, "The tmux servers could not be counted", deploytoken.Unknown},
		{"pgrep failed", socket + ps + "@ run tmux-servers\n@ err\n@ exit 3\n", "pgrep ended with status 3", deploytoken.Unknown},
		{"more servers than sockets", servers + ps, "The user alice has a tmux server that can't be reached", deploytoken.Unknown},
		{"a pane that is not understood", servers + ps + "@ run socket alice /tmp/tmux-7/default\nfoo\n@ err\n@ exit 0\n", `tmux gave "foo" for a pane`, deploytoken.Unknown},
		{"tmux failed", servers + ps + "@ run socket alice /tmp/tmux-7/default\n@ err\naccess not allowed\n@ exit 1\n", "could not be listed: access not allowed", deploytoken.Unknown},
		{"setpriv failed", servers + ps + "@ run socket alice /tmp/tmux-7/default\n@ err\nsetpriv: setresuid failed\n@ exit 1\n", "setpriv: setresuid failed", deploytoken.Unknown},
		{"a pane that has ended", servers + ps + "@ run socket alice /tmp/tmux-7/default\n1700000000|0|71|0|x\n@ err\n@ exit 0\n", "", deploytoken.Idle},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := testChecker(t).tmuxResult(testSection(t, "tmux", tt.body))
			if got.State != tt.want || !strings.Contains(strings.ToLower(got.Reason), strings.ToLower(tt.reason)) || tt.reason == "" && got.Reason != "" {
				t.Errorf("%s %q, want %s %q", got.State, got.Reason, tt.want, tt.reason)
			}
		})
	}
}

// testSection reads a section with @ for the nonce.
func testSection(t *testing.T, name, body string) section {
	t.Helper()
	r := newReader(strings.NewReader(output("kingfisher-busy 1 @ +0000\n@ begin " + name + "\n" + body + "@ end " + name + "\n")))
	if _, err := r.hello(); err != nil {
		t.Fatal(err)
	}
	s, err := r.section()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzParsePanes(f *testing.F) {
	f.Add([]byte("1700000000|1|70|0|jm-load|x\n1700000001|0|80|1|a b\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		panes, err := parsePanes(out)
		if err != nil {
			return
		}
		table, err := parseProcesses([]byte("1 0 1 S 9 root init\n70 1 70 S 9 alice -bash\n71 70 71 S 9 alice sleep"))
		if err != nil {
			t.Fatal(err)
		}
		o := outcome{check: deploytoken.CheckTmux}
		testChecker(t).sessions(&o, "alice", "default", panes, table)
		for _, f := range o.result().Findings {
			if f.Where != oneLine(f.Where, 1000) || f.Owner != oneLine(f.Owner, maxName) {
				t.Errorf("the finding %+v is not plain text", f)
			}
		}
	})
}
