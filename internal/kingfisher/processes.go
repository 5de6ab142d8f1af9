package kingfisher

import (
	"bytes"
	"errors"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A process is one line of ps.
type process struct {
	pid, parent, group int
	age                time.Duration
	// start is how long after the system's it started, to a hundredth of a
	// second; 0 where unknown. Unlike the age, it never varies from look to look.
	start time.Duration
	user  string
	// tmuxServer is whether it is a server of tmux.
	tmuxServer bool
	// args is the command line, its arguments joined by spaces.
	args string
}

func (p process) isTmuxServer() bool { return p.tmuxServer }

// A processTable is what ps saw at one moment.
type processTable struct {
	byPID    map[int]process
	children map[int][]int
	// boot identifies the start of the system; "" where unknown.
	boot string
}

// errPartial means that ps could not see, or did not show, all processes.
var errPartial = errors.New("not all processes could be seen")

// parseProcesses reads the output of ps in the script's columns: pid, ppid,
// pgid, stat, etimes, user, comm, args. Processes that have ended and only wait
// for their parent (zombies) are left out. It fails where it can't be the whole
// table.
func parseProcesses(out []byte) (processTable, error) {
	t := processTable{byPID: map[int]process{}, children: map[int][]int{}}
	for line := range strings.Lines(string(out)) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var fields [6]string
		rest := strings.TrimRight(line, "\r\n")
		for i := range fields {
			rest = strings.TrimLeft(rest, " ")
			fields[i], rest, _ = strings.Cut(rest, " ")
		}
		pid, err1 := strconv.Atoi(fields[0])
		parent, err2 := strconv.Atoi(fields[1])
		group, err3 := strconv.Atoi(fields[2])
		seconds, err4 := strconv.ParseInt(fields[4], 10, 64)
		if err := errors.Join(err1, err2, err3, err4); err != nil || pid <= 0 || fields[5] == "" {
			return processTable{}, errors.New("the list of processes could not be understood")
		}
		if strings.HasPrefix(fields[3], "Z") {
			continue
		}
		if _, twice := t.byPID[pid]; twice {
			return processTable{}, errors.New("the list of processes could not be understood")
		}
		name, args := splitName(rest)
		t.byPID[pid] = process{
			pid: pid, parent: parent, group: group, age: wholeSeconds(seconds),
			user: fields[5], tmuxServer: name == "tmux: server", args: args,
		}
		t.children[parent] = append(t.children[parent], pid)
	}
	// Where /proc is mounted with hidepid, other users' processes are missing,
	// the first one among them.
	if _, ok := t.byPID[1]; !ok {
		return processTable{}, errPartial
	}
	return t, nil
}

// begin notes when the processes were started, from the script's list of that:
// pid and hundredths of a second, each pair ended by a zero byte. What isn't
// there, or isn't understood, remains unknown.
func (t *processTable) begin(boot string, out []byte) {
	t.boot = boot
	for pair := range bytes.SplitSeq(out, []byte{0}) {
		first, second, _ := strings.Cut(strings.TrimSpace(string(pair)), " ")
		pid, err1 := strconv.Atoi(first)
		start, err2 := strconv.ParseInt(second, 10, 64)
		p, ok := t.byPID[pid]
		if err1 != nil || err2 != nil || !ok || start <= 0 || start > int64(math.MaxInt64/tick) {
			continue
		}
		p.start = time.Duration(start) * tick
		t.byPID[pid] = p
	}
}

// tick is the unit of time in which Linux says when a process was started.
const tick = time.Second / 100

// processID identifies a process as work; "" where it can't be told from others
// of its number, before or after it.
func (t processTable) processID(p process) string {
	if t.boot == "" || p.start == 0 {
		return ""
	}
	return workID("process", t.boot, strconv.Itoa(p.pid), p.start.String())
}

// groupID identifies a process group, the job of a shell, as processID does a
// process, by any of its processes. They start together, and the first of them,
// whose number the group has, may end before the others: hence only the minute.
func (t processTable) groupID(p process) string {
	if t.boot == "" || p.start == 0 {
		return ""
	}
	return workID("job", t.boot, strconv.Itoa(p.group), p.start.Truncate(time.Minute).String())
}

// splitName splits what follows the user's column into the name of the program,
// which may have spaces in it and so is known by its width, and the rest.
func splitName(s string) (name, args string) {
	const width = 15
	// The user's column is padded.
	s = strings.TrimLeft(s, " ")
	end := len(s)
	runes := 0
	for i := range s {
		if runes == width {
			end = i
			break
		}
		runes++
	}
	return strings.TrimRight(s[:end], " "), strings.TrimLeft(s[end:], " ")
}

// wholeSeconds is a number of seconds as a duration, never negative and within
// what a duration can hold.
func wholeSeconds(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Second)
	return time.Duration(min(max(n, 0), most)) * time.Second
}

// under is whether any of the process's ancestors satisfies is.
func (t processTable) under(p process, is func(process) bool) bool {
	// As many steps as there are processes, in case parents form a ring.
	for range len(t.byPID) {
		parent, ok := t.byPID[p.parent]
		if !ok || parent.pid == p.pid {
			return false
		}
		if is(parent) {
			return true
		}
		p = parent
	}
	return false
}

// job returns what runs in a command line that Kingfisher's deployment would
// interrupt, whoever started it: a spider's name where it is a spider, and
// whether it is anything at all: a spider, or a one-off container such as the
// one that loads data.
func job(args string) (spider string, ok bool) {
	words := strings.Fields(args)
	if len(words) > 2 && isPython(words[0]) {
		// python -m scrapy …, python /usr/local/bin/scrapy …
		words = words[1:]
		if words[0] == "-m" {
			words = words[1:]
		}
	}
	if len(words) < 2 {
		return "", false
	}
	switch path.Base(words[0]) {
	case "scrapy", "scrapy.cmdline", "scrapyd.runner":
		if words[1] == "crawl" || words[1] == "runspider" {
			if len(words) > 2 {
				spider = words[2]
			}
			return spider, true
		}
	case "docker", "docker-compose":
		if path.Base(words[0]) == "docker" && words[1] != "compose" {
			return "", false
		}
		return "", slices.Contains(words[1:], "run")
	}
	return "", false
}

func isPython(word string) bool {
	base := path.Base(word)
	return strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
}

// jobs returns the processes that job recognises, each only once where a
// process and its descendants are the same job, the oldest first.
func (t processTable) jobs() []process {
	isJob := func(p process) bool { _, ok := job(p.args); return ok }
	var found []process
	for _, p := range t.byPID {
		if isJob(p) && !t.under(p, isJob) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b process) int {
		if a.age != b.age {
			return int(min(max(b.age-a.age, -1), 1))
		}
		return a.pid - b.pid
	})
	return found
}

// scrapydID identifies a job of Scrapyd as work, whether it is pending or runs,
// and whether Scrapyd says so or its process; "" where it has no ID. Scrapyd gives
// each job a UUID, whatever its project, of which the process says nothing.
func scrapydID(job string) string {
	if job == "" {
		return ""
	}
	return workID("spider", job)
}

// scrapydJobOf returns the ID of the job of Scrapyd's that a command line is of;
// "" where it is of none.
func scrapydJobOf(args string) string {
	if !strings.Contains(args, "scrapyd.runner") {
		return ""
	}
	_, id, _ := strings.Cut(args, " -a _job=")
	id, _, _ = strings.Cut(id, " ")
	return id
}

// spiderNote returns the note that a spider was started with (-a note=…), ""
// where there is none. ps joins arguments by spaces: the note ends where the
// next option begins.
func spiderNote(args string) string {
	_, note, ok := strings.Cut(args, " -a note=")
	if !ok {
		return ""
	}
	for _, option := range []string{" -a ", " -s ", " -o ", " -O ", " -L ", " --"} {
		note, _, _ = strings.Cut(note, option)
	}
	return command(note, maxName)
}

// noteAuthor returns who says in a note that they started something, as in
// "Started by ALICE."; "" where nobody does.
func noteAuthor(note string) string {
	if m := startedBy.FindStringSubmatch(note); m != nil {
		return strings.TrimSpace(m[1])
	}
	return ""
}

var startedBy = regexp.MustCompile(`(?i)\bstarted by ([^.,;:()\[\]]+)`)
