package kingfisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// testNow is the test checkers' time.
var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testConfig() Config {
	return Config{
		ScrapydURL: "http://127.0.0.1:1/",
		SSHAddress: "127.0.0.1:1",
		People:     map[string]string{"Alice": "U0ALICE", "jm": "U0JM", "10.0.0.9": "U0NINE"},
		Now:        func() time.Time { return testNow },
	}
}

func testChecker(t testing.TB) *Checker {
	t.Helper()
	c, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scrapydChecker returns a checker of a Scrapyd.
func scrapydChecker(t *testing.T, handler http.HandlerFunc) *Checker {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config := testConfig()
	config.ScrapydURL = server.URL + "/sub/"
	config.ScrapydUsername, config.ScrapydPassword = "alice", "hunter2"
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestScrapydVersions(t *testing.T) {
	t.Run("1.2", func(t *testing.T) {
		c := scrapydChecker(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path + "?" + r.URL.RawQuery {
			case "/sub/listprojects.json?":
				fmt.Fprint(w, `{"node_name": "k", "status": "ok", "projects": ["a b", "c"]}`)
			case "/sub/listjobs.json?project=a+b":
				fmt.Fprint(w, `{"node_name": "k", "status": "ok", "pending": [], "running": [{"id": "1", "spider": "x", "pid": 7, "start_time": "2026-03-01 10:00:00.123456"}], "finished": []}`)
			case "/sub/listjobs.json?project=c":
				fmt.Fprint(w, `{"node_name": "k", "status": "ok", "pending": [{"id": "2", "spider": "y"}], "running": [], "finished": []}`)
			default:
				fmt.Fprint(w, `{"node_name": "k", "status": "error", "message": "'project'"}`)
			}
		})
		jobs, err := c.jobs(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs.Running) != 1 || jobs.Running[0].Project != "a b" || jobs.Running[0].PID != 7 || len(jobs.Pending) != 1 || jobs.Pending[0].Project != "c" {
			t.Errorf("the jobs are %+v", jobs)
		}
	})
	t.Run("1.6", func(t *testing.T) {
		c := scrapydChecker(t, func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "alice" || password != "hunter2" {
				t.Errorf("the credentials are %q and %q", user, password)
			}
			fmt.Fprint(w, `{"pending": [{"project": "c", "spider": "y", "id": "2", "version": null, "settings": {}, "args": {"note": "Started by ALICE."}}],
"running": [{"project": "a", "spider": "x", "id": "1", "pid": 7, "start_time": "2026-03-01 10:00:00", "log_url": null, "items_url": null}], "finished": [], "status": "ok", "node_name": "k"}`)
		})
		jobs, err := c.jobs(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(jobs.Running) != 1 || jobs.Running[0].Project != "a" || len(jobs.Pending) != 1 || jobs.Pending[0].Args["note"] != "Started by ALICE." {
			t.Errorf("the jobs are %+v", jobs)
		}
	})
}

func TestScrapydFailures(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		reason  string
	}{
		{"wrong password", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "<html>", http.StatusUnauthorized) }, "SCRAPYD_USERNAME and SCRAPYD_PASSWORD"},
		{"not found", http.NotFound, "correct kingfisher.scrapyd_url"},
		{"a web server's error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "bad gateway", http.StatusBadGateway) }, "answers 502"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://sso.example.org/login?token=hunter2", http.StatusFound)
		}, "redirects to https://sso.example.org:"},
		{"another page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>") }, "is not Scrapyd"},
		{"another API", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"jobs": []}`) }, "is not Scrapyd"},
		{"a health check", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"status": "ok"}`) }, "is not Scrapyd"},
		{"an error", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"status": "error", "message": "OperationalError: database is locked"}`)
		}, "OperationalError: database is locked"},
		{"an error of its projects too", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"status": "error", "message": "'project'"}`)
		}, "'project'"},
		{"other types", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"status": "ok", "running": 5}`) }, "not understood"},
		{"too much", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"status": "ok", "x": "`+strings.Repeat("x", maxBody)+`"}`)
		}, "sent more than can be read"},
		{"cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"status": "ok"}`)
		}, "could not be reached"},
		{"silence", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "did not answer within 20s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := scrapydChecker(t, tt.handler)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if tt.name == "silence" {
				ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
			}
			defer cancel()
			_, err := c.jobs(ctx)
			if err == nil || !strings.Contains(err.Error(), tt.reason) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error is %v, want %q", err, tt.reason)
			}
		})
	}
	c := testChecker(t)
	if _, err := c.jobs(context.Background()); err == nil || !strings.Contains(err.Error(), "was refused: check that it runs") {
		t.Errorf("without a server, the error is %v", err)
	}
}

func TestScrapydResult(t *testing.T) {
	job := scrapydJob{Project: "kingfisher", Spider: "x", ID: "abc", PID: 7, StartTime: "2026-03-01 12:30:00"}
	tests := []struct {
		name    string
		jobs    scrapydJobs
		jobsErr error
		ps      string
		psErr   error
		tmux    bool
		state   deploytoken.State
		want    []deploytoken.Finding
		reason  string
	}{
		{name: "nothing", state: deploytoken.Idle},
		{name: "a job with its process",
			jobs:  scrapydJobs{Running: []scrapydJob{job}},
			ps:    "7 1 7 S 60 ocdskfs python -m scrapyd.runner crawl x -a _job=abc -a note=Started by ALICE.\n",
			state: deploytoken.Busy,
			want: []deploytoken.Finding{{Owner: "ALICE", OwnerID: "U0ALICE", What: "x", Where: "project kingfisher", Age: time.Minute,
				Note: "Started by ALICE.", Blocks: true}}},
		{name: "a job whose process has another number",
			jobs:  scrapydJobs{Running: []scrapydJob{job}},
			ps:    "77 1 7 S 60 ocdskfs python -m scrapyd.runner crawl x -a _job=abc\n",
			state: deploytoken.Busy,
			want:  []deploytoken.Finding{{What: "x", Where: "project kingfisher", Age: time.Minute, Blocks: true}}},
		{name: "a job whose number is another's process",
			jobs:  scrapydJobs{Running: []scrapydJob{job}},
			ps:    "7 1 7 S 60 alice bash\n",
			state: deploytoken.Busy,
			want:  []deploytoken.Finding{{What: "x", Where: "project kingfisher", Age: 90 * time.Minute, Blocks: true}}},
		{name: "a job without processes",
			jobs:   scrapydJobs{Running: []scrapydJob{job}},
			psErr:  errors.New("the key is refused"),
			state:  deploytoken.Busy,
			want:   []deploytoken.Finding{{What: "x", Where: "project kingfisher", Note: "started at 2026-03-01 12:30:00 by the server's clock", Blocks: true}},
			reason: "Spiders outside Scrapyd were not looked for: the key is refused."},
		{name: "a pending job",
			jobs:  scrapydJobs{Pending: []scrapydJob{{Project: "kingfisher", Spider: "y", Args: map[string]any{"note": "Started by Alice."}}}},
			state: deploytoken.Idle,
			want:  []deploytoken.Finding{{Owner: "Alice", OwnerID: "U0ALICE", What: "y", Where: "project kingfisher", Note: "about to start; Started by Alice."}}},
		{name: "a spider by cron, one that outlived Scrapyd, a load",
			ps: "8 1 8 S 30 alice python /x/scrapy crawl z --password=hunter2\n9 1 9 S 20 ocdskfs python -m scrapyd.runner crawl w -a _job=old\n" +
				"10 1 10 S 10 root docker compose run --rm cron load --password hunter2\n",
			state: deploytoken.Busy,
			want: []deploytoken.Finding{
				{Owner: "alice", OwnerID: "U0ALICE", What: "spider z", Where: "outside Scrapyd, user alice", Age: 30 * time.Second, Blocks: true},
				{Owner: "ocdskfs", What: "spider w", Where: "started by Scrapyd, which does not list it, user ocdskfs", Age: 20 * time.Second, Blocks: true},
				{Owner: "root", What: "docker compose run --rm cron load --password ***", Where: "outside Scrapyd, user root", Age: 10 * time.Second, Blocks: true},
			}},
		{name: "a spider in tmux, where tmux is checked too",
			ps:    "50 1 50 S 9 alice tmux new-session\n51 50 51 S 9 alice -bash\n52 51 52 S 9 alice python /x/scrapy crawl z\n",
			tmux:  true,
			state: deploytoken.Idle},
		{name: "a spider in tmux, where it isn't",
			ps:    "50 1 50 S 9 alice tmux new-session\n51 50 51 S 9 alice -bash\n52 51 52 S 9 alice python /x/scrapy crawl z\n",
			state: deploytoken.Busy,
			want:  []deploytoken.Finding{{Owner: "alice", OwnerID: "U0ALICE", What: "spider z", Where: "outside Scrapyd, user alice", Age: 9 * time.Second, Blocks: true}}},
		{name: "no Scrapyd, but a spider",
			jobsErr: errors.New("the Scrapyd is down"),
			ps:      "9 1 9 S 20 ocdskfs python -m scrapyd.runner crawl w -a _job=old\n",
			state:   deploytoken.Busy,
			want:    []deploytoken.Finding{{Owner: "ocdskfs", What: "spider w", Where: "user ocdskfs", Age: 20 * time.Second, Blocks: true}},
			reason:  "The Scrapyd is down."},
		{name: "no Scrapyd and no spider", jobsErr: errors.New("the Scrapyd is down"), state: deploytoken.Unknown, reason: "The Scrapyd is down."},
		{name: "nothing seen at all", jobsErr: errors.New("the Scrapyd is down"), psErr: errors.New("the key is refused"), state: deploytoken.Unknown,
			reason: "The Scrapyd is down. The processes could not be looked at either: the key is refused."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testChecker(t)
			var h hello
			var s section
			if tt.psErr == nil {
				h.zone = time.FixedZone("", 2*60*60)
				s = testSection(t, "processes", "@ run ps\n"+psLines("1 0 1 S 9 root init\n"+tt.ps)+"@ err\n@ exit 0\n")
			}
			got := c.scrapydResult(tt.jobs, tt.jobsErr, h, s, tt.psErr, tt.tmux)
			if want := tt.jobsErr != nil; got.Partial != want {
				t.Errorf("partial is %t, want %t", got.Partial, want)
			}
			for i := range got.Findings {
				got.Findings[i].ID = "" // see TestScrapydIDs
			}
			if got.State != tt.state || got.Reason != tt.reason || !slices.Equal(got.Findings, tt.want) {
				t.Errorf("the result\nis   %s %q %+v\nwant %s %q %+v", got.State, got.Reason, got.Findings, tt.state, tt.reason, tt.want)
			}
		})
	}
}

func TestScrapydIDs(t *testing.T) {
	abc := scrapydJob{Project: "kingfisher", Spider: "x", ID: "abc", PID: 7, StartTime: "2026-03-01 12:30:00"}
	const spider = "7 1 7 S 60 ocdskfs python -m scrapyd.runner crawl x -a _job=abc -a note=Started by ALICE.\n"
	const byHand = "8 1 8 S 30 alice python /x/scrapy crawl x -a _job=abc\n"
	look := func(jobs scrapydJobs, err error, ps, starts string) string {
		t.Helper()
		s := testSection(t, "processes", "@ run ps\n"+psLines("1 0 1 S 9 root init\n"+ps)+"@ err\n@ exit 0\n"+
			"@ run starts 21953d12-35dc-4a23-8ec4-7c95f0a3a59d\n"+starts+"\n@ err\n@ exit 0\n")
		got := testChecker(t).scrapydResult(jobs, err, hello{zone: time.UTC}, s, nil, true)
		if len(got.Findings) != 1 {
			t.Fatalf("the findings are %+v, want one", got.Findings)
		}
		return got.Findings[0].ID
	}
	running := scrapydJobs{Running: []scrapydJob{abc}}
	job := look(running, nil, spider, "7 500\x00")
	if !plainID(job) {
		t.Errorf("the ID is %q", job)
	}
	for what, id := range map[string]string{
		"pending":                      look(scrapydJobs{Pending: []scrapydJob{{Project: "kingfisher", Spider: "x", ID: "abc"}}}, nil, "", ""),
		"without its process":          look(running, nil, "", ""),
		"where Scrapyd can't be asked": look(scrapydJobs{}, errors.New("the Scrapyd is down"), spider, "7 500\x00"),
		"where Scrapyd has lost it":    look(scrapydJobs{}, nil, spider, "7 500\x00"),
	} {
		if id != job {
			t.Errorf("%s, the ID is %q, not %q", what, id, job)
		}
	}
	process := look(scrapydJobs{}, nil, byHand, "8 600\x00")
	if again := look(scrapydJobs{}, nil, byHand, "8 600\x00"); !plainID(process) || again != process {
		t.Errorf("the process's IDs are %q and %q", process, again)
	}
	other := abc
	other.ID = "abd"
	for what, id := range map[string]string{
		"the same spider, started again": look(scrapydJobs{Running: []scrapydJob{other}}, nil, "", ""),
		"the process, started again":     look(scrapydJobs{}, nil, byHand, "8 601\x00"),
		"the same command by hand":       process,
	} {
		if !plainID(id) || id == job || id == process && what != "the same command by hand" {
			t.Errorf("%s: the ID is %q", what, id)
		}
	}
	if id := look(scrapydJobs{Pending: []scrapydJob{{Spider: "x"}}}, nil, "", ""); id != "" {
		t.Errorf("a job without an ID has %q", id)
	}
	if id := look(scrapydJobs{}, nil, byHand, ""); id != "" {
		t.Errorf("a process of an unknown start has %q", id)
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(`{"status": "ok", "running": [{"project": "a", "spider": "x", "id": "1", "pid": 7, "start_time": "2026-03-01 10:00:00"}], "pending": [{"args": {"note": 5}}]}`))
	f.Add([]byte(`{"status": "error", "message": "'project'"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var jobs scrapydJobs
		if err := parseAnswer(body, &jobs); err != nil {
			return
		}
		if !json.Valid(body) {
			t.Error("what isn't JSON is an answer")
		}
		got := testChecker(t).scrapydResult(jobs, nil, hello{zone: time.UTC}, section{}, nil, true)
		if len(jobs.Running) > 0 && got.State != deploytoken.Busy {
			t.Errorf("with %d jobs running, the state is %s", len(jobs.Running), got.State)
		}
	})
}
