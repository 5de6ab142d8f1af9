package kingfisher

import (
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
	f.Add([]byte(psLines("1 0 1 S 9 root init\n30 31 30 S 7 bob scrapy crawl\n31 30 30 S 7 bob tmux scrapy crawl x")))
	f.Fuzz(func(t *testing.T, out []byte) {
		table, err := parseProcesses(out)
		if err != nil {
			return
		}
		for _, p := range table.jobs() {
			noteAuthor(spiderNote(p.args))
		}
		for pid := range table.byPID {
			running(pane{pid: pid}, table)
		}
	})
}
