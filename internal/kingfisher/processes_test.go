package kingfisher

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// psLines puts the name of the program before the arguments, as wide as in the
// script's columns.
func psLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 7)
		if len(words) == 7 {
			name := "program"
			if strings.HasPrefix(words[6], "tmux ") {
				name = "tmux: server"
			}
			words[6] = fmt.Sprintf("%-15s %s", name, words[6])
		}
		b.WriteString(strings.Join(words, " ") + "\n")
	}
	return b.String()
}

func TestParseProcesses(t *testing.T) {
	table, err := parseProcesses([]byte(`      1       0       1 Ss    86400 root                             systemd         /sbin/init
      2       0       0 S     86400 root                             kthreadd        [kthreadd]
     70       1      70 Ss       90 alice                            bash            -bash
     71      70      71 Z        10 alice                            sleep           [sleep] <defunct>
     72      70      72 S+       10 alice                            sleep           sleep   5 | x
     73       1      73 S        10 alice                            exec -a
     74       1      74 Ss       10 a-user-whose-name-is-as-long-as- tmux: server    tmux new-session
     75       1      75 S        10 alice                            übersetzungübe übersetzung
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(table.byPID) != 7 {
		t.Errorf("there are %d processes, want 7", len(table.byPID))
	}
	if p := table.byPID[72]; p != (process{pid: 72, parent: 70, group: 72, age: 10 * time.Second, user: "alice", args: "sleep   5 | x"}) {
		t.Errorf("the process is %+v", p)
	}
	if p := table.byPID[73]; p.args != "" {
		t.Errorf("the process without arguments is %+v", p)
	}
	if p := table.byPID[74]; !p.tmuxServer || p.args != "tmux new-session" {
		t.Errorf("the tmux server is %+v", p)
	}
	if p := table.byPID[75]; p.args != "übersetzung" {
		t.Errorf("the process of a name with umlauts is %+v", p)
	}
	for _, bad := range []string{"", "x", "1 0 1 S 5", "1 0 1 S x root init", "-1 0 1 S 5 root init", "2 0 1 S 5 root init",
		"1 0 1 S 5 root init\n1 0 1 S 5 root init", "1 0 1 S 99999999999999999999 root init"} {
		if _, err := parseProcesses([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a list of processes", bad)
		}
	}
}

func TestBegin(t *testing.T) {
	const ps = "1 0 1 S 9 root init\n20 1 20 S 7 bob python scrapy crawl x\n21 1 21 S 7 bob python scrapy crawl x"
	const boot = "21953d12-35dc-4a23-8ec4-7c95f0a3a59d"
	look := func(boot, starts string) processTable {
		t.Helper()
		table, err := parseProcesses([]byte(psLines(ps)))
		if err != nil {
			t.Fatal(err)
		}
		table.begin(boot, []byte(starts))
		return table
	}
	id := func(boot, starts string) string {
		t.Helper()
		table := look(boot, starts)
		return table.processID(table.byPID[20])
	}
	same := id(boot, "1 0\x0020 90153\x0021 90153\x00\n")
	if !plainID(same) {
		t.Errorf("the ID is %q", same)
	}
	if got := id(boot, "20 90153"); got != same {
		t.Errorf("at another look, the ID is %q, and not %q", got, same)
	}
	for what, other := range map[string]string{
		"another start":               id(boot, "20 90154\x00"),
		"another start of the system": id("db1ae366-c4ee-4a0c-8c45-6b1a8a39a1cf", "20 90153\x00"),
	} {
		if !plainID(other) || other == same {
			t.Errorf("%s: the ID is %q, and was %q", what, other, same)
		}
	}
	if table := look(boot, "20 90153\x0021 90153\x00"); table.processID(table.byPID[21]) == same {
		t.Error("two processes have the same ID")
	}
	for _, starts := range []string{"", "\n", "x", "20", "20 x\x00", "20 -5\x00", "20 0\x00", "20 99999999999999999999\x00", "20 9223372036854775807\x00", "21 90153\x00", "20 90153 1\x00"} {
		if got := id(boot, starts); got != "" {
			t.Errorf("by the starts %q, the ID is %q", starts, got)
		}
	}
	if got := id("", "20 90153\x00"); got != "" {
		t.Errorf("without an ID of the system's start, the ID is %q", got)
	}
}

// A shell's job is the same work for as long as any of its processes lasts.
func TestGroupID(t *testing.T) {
	const shell = "1 0 1 S 9 root init\n70 1 70 S 9 alice -bash\n"
	const boot = "21953d12-35dc-4a23-8ec4-7c95f0a3a59d"
	jobs := func(ps, starts string) []string {
		t.Helper()
		table, err := parseProcesses([]byte(psLines(shell + ps)))
		if err != nil {
			t.Fatal(err)
		}
		table.begin(boot, []byte(strings.ReplaceAll(starts, ",", "\x00")))
		var ids []string
		for _, job := range running(pane{pid: 70}, table) {
			ids = append(ids, table.groupID(job))
		}
		return ids
	}
	only := func(ps, starts string) string {
		t.Helper()
		ids := jobs(ps, starts)
		if len(ids) != 1 {
			t.Fatalf("there are %d jobs, want 1", len(ids))
		}
		return ids[0]
	}
	pipeline := only("71 70 71 S 5 alice a\n72 70 71 S 5 alice b", "71 12000,72 12001")
	if !plainID(pipeline) {
		t.Errorf("the ID is %q", pipeline)
	}
	for what, id := range map[string]string{
		"once its first process has ended": only("72 70 71 S 5 alice b", "72 12001"),
		"where a start is not known":       only("71 70 71 S 5 alice a\n72 70 71 S 5 alice b", "72 12001"),
		"where another is not known":       only("71 70 71 S 5 alice a\n72 70 71 S 5 alice b", "71 12000"),
	} {
		if id != pipeline {
			t.Errorf("%s, the ID is %q, and was %q", what, id, pipeline)
		}
	}
	for what, id := range map[string]string{
		"the next job":       only("73 70 73 S 0 alice a", "73 12002"),
		"a number come anew": only("71 70 71 S 0 alice a", "71 18001"),
	} {
		if !plainID(id) || id == pipeline {
			t.Errorf("%s: the ID is %q, and was %q", what, id, pipeline)
		}
	}
	if ids := jobs("71 70 71 S 5 alice a\n75 70 75 S 5 alice a", "71 12000,75 12000"); len(ids) != 2 || ids[0] == ids[1] {
		t.Errorf("the IDs of two jobs are %q", ids)
	}
	if id := only("71 70 71 S 5 alice a", ""); id != "" {
		t.Errorf("where no start is known, the ID is %q", id)
	}
}

// plainID is whether an ID is short and of a plain alphabet.
func plainID(id string) bool {
	return id != "" && len(id) <= 100 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func TestJob(t *testing.T) {
	tests := []struct {
		args, spider string
		ok           bool
	}{
		{"/usr/bin/python3 -m scrapyd.runner crawl paraguay -a _job=1", "paraguay", true},
		{"/home/x/.ve/bin/python /home/x/.ve/bin/scrapy crawl zambia -a sample=1", "zambia", true},
		{"scrapy crawl", "", true},
		{"python -m scrapy runspider x.py", "x.py", true},
		{"pypy3 -m scrapy.cmdline crawl x", "x", true},
		{"python -m scrapyd.runner list -s LOG_STDOUT=0", "", false},
		{"/usr/bin/python3 /usr/bin/scrapyd", "", false},
		{"scrapy shell", "", false},
		{"vi scrapy crawl", "", false},
		{"grep scrapy crawl x", "", false},
		{"/bin/sh -c cd /x && scrapy crawl x", "", false},
		{"tmux new-session scrapy crawl x", "", false},
		{"docker compose run --rm cron python manage.py load", "", true},
		{"/usr/libexec/docker/cli-plugins/docker-compose compose run --rm cron load", "", true},
		{"python3 /usr/bin/docker-compose -f x run web load", "", true},
		{"docker compose up", "", false},
		{"docker run x", "", false},
		{"docker", "", false},
		{"", "", false},
		{"python -m", "", false},
		{"python", "", false},
	}
	for _, tt := range tests {
		if spider, ok := job(tt.args); spider != tt.spider || ok != tt.ok {
			t.Errorf("job(%q) is %q, %t, want %q, %t", tt.args, spider, ok, tt.spider, tt.ok)
		}
	}
}

func TestJobsAreCountedOnce(t *testing.T) {
	table, err := parseProcesses([]byte(psLines(`1 0 1 S 9 root init
10 1 10 S 5 root docker compose run x load
11 10 10 S 5 root /usr/libexec/docker/cli-plugins/docker-compose compose run x load
20 1 20 S 7 bob /bin/sh -c scrapy crawl x
21 20 20 S 7 bob python scrapy crawl x
22 21 20 S 7 bob python scrapy crawl x
30 31 30 S 7 bob a
31 30 30 S 7 bob b
`)))
	if err != nil {
		t.Fatal(err)
	}
	jobs := table.jobs()
	if len(jobs) != 2 || jobs[0].pid != 21 || jobs[1].pid != 10 {
		t.Errorf("the jobs are %+v, want 21 and 10", jobs)
	}
}

func TestNotes(t *testing.T) {
	tests := []struct{ args, note, author string }{
		{"python -m scrapyd.runner crawl x -a note=Started by ALICE. -a _job=1", "Started by ALICE.", "ALICE"},
		{"scrapy crawl x -a note=started by Jean Martin, for the helpdesk", "started by Jean Martin, for the helpdesk", "Jean Martin"},
		{"scrapy crawl x -a note=password=hunter2", "password=***", ""},
		{"scrapy crawl x -a note=İİİ started by İx", "İİİ started by İx", "İx"},
		{"scrapy crawl x -a note=Started by ", "Started by", ""},
		{"scrapy crawl x", "", ""},
	}
	for _, tt := range tests {
		if note := spiderNote(tt.args); note != tt.note {
			t.Errorf("the note of %q is %q, want %q", tt.args, note, tt.note)
		} else if author := noteAuthor(note); author != tt.author {
			t.Errorf("the author of %q is %q, want %q", note, author, tt.author)
		}
	}
}

func FuzzParseProcesses(f *testing.F) {
	f.Add([]byte(psLines("1 0 1 S 9 root init\n20 1 20 S 7 bob python -m scrapyd.runner crawl x -a note=Started by ALICE.")))
	f.Add([]byte(psLines("1 0 1 S 9 root init\n20 1 20 S 7 bob scrapy crawl x") + "\x0020 90153\x00"))
	f.Add([]byte(psLines("1 0 1 S 9 root init\n30 31 30 S 7 bob scrapy crawl\n31 30 30 S 7 bob tmux scrapy crawl x")))
	f.Fuzz(func(t *testing.T, out []byte) {
		out, starts, _ := bytes.Cut(out, []byte{0})
		table, err := parseProcesses(out)
		if err != nil {
			return
		}
		table.begin("21953d12-35dc-4a23-8ec4-7c95f0a3a59d", starts)
		for _, p := range table.jobs() {
			noteAuthor(spiderNote(p.args))
			scrapydJobOf(p.args)
		}
		for pid, p := range table.byPID {
			if id := table.processID(p); p.start < 0 || id != "" && !plainID(id) {
				t.Errorf("the process %+v has the ID %q", p, id)
			}
			running(pane{pid: pid}, table)
		}
	})
}
