package kingfisher

import (
	"fmt"
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
	run := func(header, out, complaint string, status int) string {
		return fmt.Sprintf("@ run %s\n%s\n@ err\n%s\n@ exit %d\n", header, out, complaint, status)
	}
	const everything = "1 0 1 S 9 root init\n60 1 60 S 9 alice tmux new\n70 60 70 S 9 alice -bash"
	ps := run("ps", psLines(everything), "", 0)
	socket := func(out, complaint string, status int) string {
		return run("socket alice /tmp/tmux-7/default", out, complaint, status)
	}
	tests := []struct {
		name, body, reason string
		want               deploytoken.State
	}{
		{"all there", socket("1700000000|0|70|0|x", "", 0) + ps, "", deploytoken.Idle},
		{"nothing", "", "The processes were not listed", deploytoken.Unknown},
		{"no processes", socket("1700000000|0|70|0|x", "", 0), "the processes were not listed", deploytoken.Unknown},
		{"ps failed", socket("1700000000|0|70|0|x", "", 0) + run("ps", psLines(everything), "ps: broken", 1), "ps: broken", deploytoken.Unknown},
		{"others' processes hidden", socket("1700000000|0|70|0|x", "", 0) + run("ps", psLines("70 1 70 S 9 alice -bash"), "", 0), "not all processes could be seen", deploytoken.Unknown},
		{"more servers than sockets", ps, "The user alice has a tmux server that can't be reached", deploytoken.Unknown},
		{"a pane that is not understood", socket("foo", "", 0) + ps, `tmux gave "foo" for a pane`, deploytoken.Unknown},
		{"tmux failed", socket("", "access not allowed", 1) + ps, "could not be listed: access not allowed", deploytoken.Unknown},
		{"setpriv failed", socket("", "setpriv: setresuid failed", 1) + ps, "setpriv: setresuid failed", deploytoken.Unknown},
		{"tmux said that there is no server", socket("", "no server running on /tmp/tmux-7/default", 1) + ps, "The user alice has a tmux server that can't be reached", deploytoken.Unknown},
		{"tmux ended for no reason", socket("", "", 1) + ps, "tmux ended with status 1", deploytoken.Unknown},
		{"a pane that has ended", socket("1700000000|0|71|0|x", "", 0) + ps, "", deploytoken.Idle},
		{"an odd socket of nobody's", "@ fact odd\n" + ps, "The user ? has a tmux socket whose name has a line break", deploytoken.Unknown},
		{"nobody's sessions denied", "@ fact denied\n" + ps, "The tmux sessions of the user ? can't be looked at", deploytoken.Unknown},
		{"nobody's socket", run("socket", "", "", 124) + ps, "The tmux server of the user ? (socket .) does not answer", deploytoken.Unknown},
		{"no sessions", socket("", "no current target", 1) + ps, "", deploytoken.Idle},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := testChecker(t).tmuxResult(testSection(t, "tmux", tt.body))
			if got.State != tt.want || !strings.Contains(strings.ToLower(got.Reason), strings.ToLower(tt.reason)) || tt.reason == "" && got.Reason != "" {
				t.Errorf("%s %q, want %s %q", got.State, got.Reason, tt.want, tt.reason)
			}
			if want := tt.want == deploytoken.Unknown; got.Partial != want {
				t.Errorf("partial is %t, want %t", got.Partial, want)
			}
		})
	}
}

// A fact without the user that it is of may be of any of those that are looked at.
func TestTmuxFactWithoutUser(t *testing.T) {
	config := testConfig()
	config.TmuxUsers = []string{"alice"}
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ps := "@ run ps\n" + psLines("1 0 1 S 9 root init") + "\n@ err\n@ exit 0\n"
	for fact, want := range map[string]deploytoken.State{
		"odd": deploytoken.Unknown, "odd alice": deploytoken.Unknown, "odd bob": deploytoken.Idle,
		"denied": deploytoken.Unknown, "denied alice": deploytoken.Unknown, "denied bob": deploytoken.Idle,
	} {
		if got := c.tmuxResult(testSection(t, "tmux", "@ fact "+fact+"\n"+ps)); got.State != want {
			t.Errorf("with the fact %q it is %s %q, want %s", fact, got.State, got.Reason, want)
		}
	}
}

// testSection reads a section with @ for the nonce.
func testSection(t *testing.T, name, body string) section {
	t.Helper()
	r := newReader(strings.NewReader(output("kingfisher-busy 2 @ +0000\n@ begin " + name + "\n" + body + "@ end " + name + "\n")))
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
		table, err := parseProcesses([]byte(psLines("1 0 1 S 9 root init\n70 1 70 S 9 alice -bash\n71 70 71 S 9 alice sleep")))
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
