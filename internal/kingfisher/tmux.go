package kingfisher

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A pane is one line of tmux list-panes.
type pane struct {
	created  time.Time
	attached bool
	// pid is of what tmux started in the pane: a shell, as a rule.
	pid     int
	dead    bool
	session string
}

// parsePanes reads the output of tmux list-panes in the script's format:
// created|attached|pid|dead|session, times in seconds since 1970. The
// user whose server it is controls all of it.
func parsePanes(out []byte) ([]pane, error) {
	var panes []pane
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		fields := strings.SplitN(line, "|", 5)
		if len(fields) != 5 {
			return nil, fmt.Errorf("tmux gave %q for a pane", oneLine(line, maxName))
		}
		created, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("tmux gave %q for a session's age", oneLine(fields[0], maxName))
		}
		pid, err := strconv.Atoi(fields[2])
		if err != nil || pid <= 0 {
			return nil, fmt.Errorf("tmux gave %q for a pane's process", oneLine(fields[2], maxName))
		}
		panes = append(panes, pane{
			created:  time.Unix(created, 0),
			attached: fields[1] != "0" && fields[1] != "",
			pid:      pid,
			dead:     fields[3] == "1",
			session:  fields[4],
		})
	}
	return panes, nil
}

// bareShell is whether a command line is a shell that waits at its prompt, if
// nothing runs below it: one without a script or a command.
func bareShell(args string) bool {
	words := strings.Fields(args)
	if len(words) == 0 {
		return false
	}
	switch strings.TrimPrefix(path.Base(words[0]), "-") {
	case "bash", "rbash", "sh", "dash", "ash", "zsh", "fish", "ksh", "mksh", "csh", "tcsh":
	default:
		return false
	}
	for _, w := range words[1:] {
		switch w {
		case "-l", "-i", "-il", "-li", "--login", "--interactive":
		default:
			return false
		}
	}
	return true
}

// running returns what runs in a pane, one entry for each job of its shell with
// the parts of a pipeline joined, and none where the pane is idle: where it is
// dead, or a bare shell without descendants.
func running(p pane, t processTable) []process {
	top, ok := t.byPID[p.pid]
	if p.dead || !ok {
		return nil
	}
	if !bareShell(top.args) {
		return []process{top}
	}
	jobs := map[int]process{}
	for _, pid := range slices.Sorted(slices.Values(t.children[p.pid])) {
		child := t.byPID[pid]
		job, seen := jobs[child.group]
		if !seen {
			jobs[child.group] = child
			continue
		}
		job.args += " | " + child.args
		job.age = max(job.age, child.age)
		if job.start == 0 || child.start != 0 && child.start < job.start {
			job.start = child.start
		}
		jobs[child.group] = job
	}
	return slices.SortedFunc(maps.Values(jobs), func(a, b process) int {
		return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.pid, b.pid))
	})
}

// initials matches the beginning of a session's name by the team's custom:
// initials-task-description.
var initials = regexp.MustCompile(`^(\pL{2,4})-.`)

// unnamed stands for a user whose name the server should have given, and who may
// be any.
const unnamed = "?"

// userOf returns the user that the words of a fact end in.
func userOf(words []string) string {
	if len(words) == 0 {
		return unnamed
	}
	return words[len(words)-1]
}

// tmuxResult tells what runs in tmux from the script's section on it. It looks
// at the given users' servers, at everyone's where there are none.
func (c *Checker) tmuxResult(s section) deploytoken.CheckResult {
	o := outcome{check: deploytoken.CheckTmux}
	considered := func(user string) bool {
		return len(c.config.TmuxUsers) == 0 || user == unnamed || slices.Contains(c.config.TmuxUsers, user)
	}
	if !s.complete {
		o.unknown("The server could not pass on all that it found of tmux.")
	}
	missing := len(s.fact("missing")) > 0
	if missing {
		o.unknown("The command tmux was not found on the server: install it, or put it where /usr/bin or /usr/local/bin have it.")
	}
	if len(s.fact("many")) > 0 {
		o.unknown("There are over 100 tmux sockets on the server, and only the first 100 were looked at: remove the stale ones.")
	}
	for _, f := range s.fact("odd") {
		if user := userOf(f); considered(user) {
			o.unknown("The user %s has a tmux socket whose name has a line break in it, which was not looked at.", oneLine(user, maxName))
		}
	}
	denied := map[string]bool{}
	for _, f := range s.fact("denied") {
		if user := userOf(f); considered(user) && !denied[user] {
			denied[user] = true
			o.unknown("The tmux sessions of the user %s can't be looked at as the user %s: let the bot log in as root, or install the check behind a forced command.", oneLine(user, maxName), c.config.SSHUser)
		}
	}

	table, err := processesOf(s)
	if err != nil {
		o.unknown("What runs in tmux is not known: %v.", err)
	}
	// accounted has how many servers of each user's were reported on.
	accounted := map[string]int{}
	for _, r := range s.runs {
		if r.kind != "socket" {
			continue
		}
		user, socket, _ := strings.Cut(r.args, " ")
		user = cmp.Or(user, unnamed)
		if !considered(user) {
			continue
		}
		user, socket = oneLine(user, maxName), path.Base(oneLine(socket, maxName))
		switch {
		case r.status == 1 && noServer(string(r.err)):
			continue
		case r.status == 0:
			panes, err := parsePanes(r.out)
			if err != nil {
				o.unknown("The tmux sessions of the user %s could not be listed: %v.", user, err)
			}
			if table.byPID != nil {
				c.sessions(&o, user, socket, panes, table)
			}
		case r.timedOut():
			o.unknown("The tmux server of the user %s (socket %s) does not answer: ask them, or look at it as root; it may be stopped.", user, socket)
		case r.status == 1 && noSession(string(r.err)):
		default:
			o.unknown("The tmux sessions of the user %s (socket %s) could not be listed: %s.", user, socket, r.failure("tmux"))
		}
		accounted[user]++
	}

	// A server whose socket was removed, or is elsewhere, still runs.
	running := map[string]int{}
	for _, p := range table.byPID {
		if p.tmuxServer && considered(p.user) && !denied[p.user] && !missing {
			running[oneLine(p.user, maxName)]++
		}
	}
	for _, user := range slices.Sorted(maps.Keys(running)) {
		if running[user] > accounted[user] {
			o.unknown("The user %s has a tmux server that can't be reached, since its socket was removed or isn't in the usual folder: ask them what runs in it.", user)
		}
	}
	return o.result()
}

// noServer is whether the tmux client complained that there is no server at a
// socket, which one that ended leaves behind.
func noServer(complaint string) bool {
	complaint = strings.TrimSpace(complaint)
	return strings.HasPrefix(complaint, "no server running on ") ||
		strings.HasPrefix(complaint, "error connecting to ") && strings.HasSuffix(complaint, "(No such file or directory)") ||
		strings.HasPrefix(complaint, "error connecting to ") && strings.HasSuffix(complaint, "(Connection refused)")
}

// noSession is whether the tmux client complained that the server at a socket
// has no session, as one may without exiting.
func noSession(complaint string) bool {
	complaint = strings.TrimSpace(complaint)
	return complaint == "no current target" || complaint == "no sessions"
}

// sessions reports what runs in the panes of one tmux server.
func (c *Checker) sessions(o *outcome, user, socket string, panes []pane, t processTable) {
	seen := map[int]bool{}
	busy := map[string]bool{}
	finding := func(p pane) deploytoken.Finding {
		name := oneLine(p.session, maxName)
		f := deploytoken.Finding{Where: fmt.Sprintf("session %s, user %s", name, user)}
		if socket != "default" {
			f.Where += ", socket " + socket
		}
		marks := []string{user}
		if m := initials.FindStringSubmatch(name); m != nil {
			// The name is the better mark where an account is shared, and the
			// account where it is known to be somebody's.
			marks = []string{m[1], user}
			if _, id := c.owner(user); id != "" && user != "root" {
				slices.Reverse(marks)
			}
		}
		f.Owner, f.OwnerID = c.owner(marks...)
		return f
	}
	for _, p := range panes {
		if seen[p.pid] {
			// A window that is linked into several sessions.
			continue
		}
		seen[p.pid] = true
		for _, job := range running(p, t) {
			busy[p.session] = true
			f := finding(p)
			f.ID = t.groupID(job)
			f.What = command(job.args, maxWhat)
			f.Age = job.age
			f.Blocks = true
			o.add(f)
		}
	}
	idle := map[string]bool{}
	for _, p := range panes {
		if busy[p.session] || idle[p.session] {
			continue
		}
		idle[p.session] = true
		f := finding(p)
		f.ID = workID("session", t.boot, user, socket, p.session, strconv.FormatInt(p.created.Unix(), 10))
		f.What = "an idle session"
		f.Age = max(0, c.config.Now().Sub(p.created).Truncate(time.Second))
		if p.attached {
			f.Note = "someone is attached to it"
		}
		o.add(f)
	}
}
