package kingfisher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	checker "github.com/open-contracting/deploytoken/internal/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func start(t *testing.T, config kingfisher.Config) *kingfisher.Server {
	t.Helper()
	config.Now = func() time.Time { return now }
	s, err := kingfisher.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// check makes the busy checks of a local Kingfisher.
func check(t *testing.T, s *kingfisher.Server, timeout time.Duration) deploytoken.BusyReport {
	t.Helper()
	identity, known, err := s.WriteFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := checker.New(checker.Config{
		ScrapydURL: s.ScrapydURL(), ScrapydUsername: "scrape", ScrapydPassword: "hunter2",
		SSHAddress: s.SSHAddress(), IdentityFile: identity, KnownHostsFile: known,
		People: map[string]string{"alice": "U0ALICE", "jm": "U0JM", "10.0.0.7": "U0JM"},
		Now:    func() time.Time { return now }, Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c.Busy(t.Context(), nil, nil)
}

// lines are a report's findings, one on each line.
func lines(r deploytoken.BusyReport) []string {
	var lines []string
	for _, c := range r.Checks {
		lines = append(lines, fmt.Sprintf("%s %s %s", c.Check, c.State, c.Reason))
		for _, f := range c.Findings {
			lines = append(lines, fmt.Sprintf("%s/%s: %s | %s | %s | %s | %t", f.Owner, f.OwnerID, f.What, f.Where, f.Age, f.Note, f.Blocks))
		}
	}
	return lines
}

func TestTheCheckerOnAWorld(t *testing.T) {
	for _, version := range []string{"1.2", "1.3", "1.4", "1.5", "1.6"} {
		t.Run(version, func(t *testing.T) {
			s := start(t, kingfisher.Config{ScrapydVersion: version, ScrapydUsername: "scrape", ScrapydPassword: "hunter2", Zone: time.FixedZone("", 3600)})
			idle := []string{"scrapyd idle ", "tmux idle ", "postgres idle "}
			if got := lines(check(t, s, 0)); !slices.Equal(got, idle) {
				t.Fatalf("at first: %q", got)
			}

			spider, err := s.StartSpider(kingfisher.Spider{Name: "zambia", Note: "Started by ALICE.", Started: now.Add(-2 * time.Hour)})
			must(t, err)
			pending, err := s.StartSpider(kingfisher.Spider{Project: "other", Name: "chile", Pending: true})
			must(t, err)
			process, err := s.StartProcess(kingfisher.Process{User: "ocdskfs", Command: "python /x/bin/scrapy crawl honduras"})
			must(t, err)
			must(t, s.OpenSession(kingfisher.Session{User: "ocdskfp", Name: "jm-load", Command: "python manage.py load --token hunter2", Started: now.Add(-time.Minute)}))
			must(t, s.OpenSession(kingfisher.Session{User: "alice", Name: "look", Opened: now.Add(-time.Hour)}))
			long, err := s.StartQuery(kingfisher.Query{User: "readonly", Client: "10.0.0.7", Text: "/* https://colab.research.google.com/drive/1 */ select 1", Started: now.Add(-2 * time.Hour)})
			must(t, err)
			short, err := s.StartQuery(kingfisher.Query{User: "alice", State: "idle in transaction", Text: "select 2"})
			must(t, err)

			want := []string{
				"scrapyd busy ",
				"ALICE/U0ALICE: zambia | project kingfisher | 2h0m0s | Started by ALICE. | true",
				"ocdskfs/: spider honduras | outside Scrapyd, user ocdskfs | 0s |  | true",
				"/: chile | project other | 0s | about to start | false",
				"tmux busy ",
				"jm/U0JM: python manage.py load --token *** | session jm-load, user ocdskfp | 1m0s |  | true",
				"alice/U0ALICE: an idle session | session look, user alice | 1h0m0s |  | false",
				"postgres busy ",
				"10.0.0.7/U0JM: select 1 | database kingfisher_process, from 10.0.0.7 | 2h0m0s | https://colab.research.google.com/drive/1 | true",
				"alice/U0ALICE: select 2 | database kingfisher_process | 0s | idle in transaction | false",
			}
			if got := lines(check(t, s, 0)); !slices.Equal(got, want) {
				t.Errorf("the report\nis   %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}

			for _, id := range []string{spider.ID, pending.ID, process.ID, long.ID, short.ID} {
				must(t, s.Stop(id))
			}
			must(t, s.RunCommand("ocdskfp", "jm-load", ""))
			if got := check(t, s, 0).State(); got != deploytoken.Idle {
				t.Errorf("with idle sessions only, the state is %s", got)
			}
			must(t, s.RunCommand("alice", "look", "top"))
			if got := check(t, s, 0).State(); got != deploytoken.Busy {
				t.Errorf("with a command, the state is %s", got)
			}
			must(t, s.CloseSession("ocdskfp", "jm-load"))
			must(t, s.CloseSession("alice", "look"))
			if got := lines(check(t, s, 0)); !slices.Equal(got, idle) {
				t.Errorf("at last: %q", got)
			}
		})
	}
}

// What runs has the same ID for as long as it does, and what is started again has
// another.
func TestIDsLast(t *testing.T) {
	s := start(t, kingfisher.Config{ScrapydUsername: "scrape", ScrapydPassword: "hunter2"})
	startAll := func() (ids []string) {
		spider, err := s.StartSpider(kingfisher.Spider{Name: "zambia"})
		must(t, err)
		process, err := s.StartProcess(kingfisher.Process{User: "ocdskfs", Command: "scrapy crawl honduras"})
		must(t, err)
		query, err := s.StartQuery(kingfisher.Query{User: "alice", Text: "select 1"})
		must(t, err)
		must(t, s.RunCommand("ocdskfp", "jm-load", "load"))
		return []string{spider.ID, process.ID, query.ID}
	}
	look := func() (ids []string) {
		for _, c := range check(t, s, 0).Checks {
			for _, f := range c.Findings {
				if f.ID == "" {
					t.Errorf("%+v has no ID", f)
				}
				ids = append(ids, f.ID)
			}
		}
		if len(ids) != 5 {
			t.Fatalf("there are %d findings, want 5", len(ids))
		}
		slices.Sort(ids)
		return ids
	}
	must(t, s.OpenSession(kingfisher.Session{User: "ocdskfp", Name: "jm-load"}))
	must(t, s.OpenSession(kingfisher.Session{User: "alice", Name: "look", Opened: now.Add(-time.Hour)}))
	started := startAll()
	first := look()
	if again := look(); !slices.Equal(again, first) {
		t.Errorf("at another look, the IDs are %q, and not %q", again, first)
	}
	for _, id := range started {
		must(t, s.Stop(id))
	}
	startAll()
	kept := 0
	for _, id := range look() {
		if slices.Contains(first, id) {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("started again, %d have the IDs of before, want only the idle session", kept)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	s := start(t, kingfisher.Config{})
	for _, fault := range []kingfisher.Fault{kingfisher.FaultUnreachable, kingfisher.FaultHang} {
		must(t, s.SetFault(fault))
		for _, c := range check(t, s, time.Second).Checks {
			if c.State != deploytoken.Unknown || c.Reason == "" {
				t.Errorf("%s: %s is %s, %q", fault, c.Check, c.State, c.Reason)
			}
		}
	}
	must(t, s.SetFault(kingfisher.FaultNone))
	if got := check(t, s, 0).State(); got != deploytoken.Idle {
		t.Errorf("mended, the state is %s", got)
	}
	if s.SetFault("fire") == nil {
		t.Error("a fault that there isn't was taken")
	}
}

func TestWrongPasswordAndKey(t *testing.T) {
	s := start(t, kingfisher.Config{ScrapydUsername: "scrape", ScrapydPassword: "another"})
	other := start(t, kingfisher.Config{})
	if got := check(t, s, 0).Checks[0]; got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "SCRAPYD_PASSWORD") {
		t.Errorf("%s %q", got.State, got.Reason)
	}
	_, known, err := s.WriteFiles(t.TempDir())
	must(t, err)
	identity, _, err := other.WriteFiles(t.TempDir())
	must(t, err)
	c, err := checker.New(checker.Config{ScrapydURL: s.ScrapydURL(), SSHAddress: s.SSHAddress(), IdentityFile: identity, KnownHostsFile: known})
	must(t, err)
	if got := c.Busy(t.Context(), []string{deploytoken.CheckTmux}, nil).Checks[0]; got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "refused the user root") {
		t.Errorf("%s %q", got.State, got.Reason)
	}
}

func TestBadRequestsChangeNothing(t *testing.T) {
	s := start(t, kingfisher.Config{})
	changes, stop := s.Subscribe()
	defer stop()
	for what, f := range map[string]func() error{
		"a spider without a name": func() error { _, err := s.StartSpider(kingfisher.Spider{}); return err },
		"a note of two lines":     func() error { _, err := s.StartSpider(kingfisher.Spider{Name: "x", Note: "a\nb"}); return err },
		"a query without a text":  func() error { _, err := s.StartQuery(kingfisher.Query{User: "x"}); return err },
		"a query in an odd state": func() error {
			_, err := s.StartQuery(kingfisher.Query{User: "x", Text: "x", State: "idle"})
			return err
		},
		"a process of an odd user":   func() error { _, err := s.StartProcess(kingfisher.Process{User: "a b", Command: "x"}); return err },
		"a session without a name":   func() error { return s.OpenSession(kingfisher.Session{User: "alice"}) },
		"a session with a bad name":  func() error { return s.OpenSession(kingfisher.Session{User: "alice", Name: "a\x00"}) },
		"a command in no session":    func() error { return s.RunCommand("alice", "x", "y") },
		"closing no session":         func() error { return s.CloseSession("alice", "x") },
		"stopping nothing":           func() error { return s.Stop("x") },
		"a Scrapyd that there isn't": func() error { _, err := kingfisher.New(kingfisher.Config{ScrapydVersion: "2.0"}); return err },
		"starting twice":             func() error { return s.Start(context.Background()) },
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "local Kingfisher: ") {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
	if state := s.State(); state.Seq != 0 || len(changes) != 0 {
		t.Errorf("something changed: %+v", state)
	}
}

func TestControl(t *testing.T) {
	s := start(t, kingfisher.Config{ScrapydUsername: "scrape", ScrapydPassword: "hunter2"})
	changes, stop := s.Subscribe()
	request := func(method, path, body string, status int) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.ScrapydURL()+"sandbox/"+path, strings.NewReader(body))
		must(t, err)
		response, err := http.DefaultClient.Do(r)
		must(t, err)
		defer response.Body.Close()
		var out struct{ ID, Error string }
		must(t, json.NewDecoder(response.Body).Decode(&out))
		if response.StatusCode != status {
			t.Errorf("%s %s is answered by %d %s", path, body, response.StatusCode, out.Error)
		}
		return out.ID
	}
	id := request("POST", "spider", `{"name": "zambia"}`, 200)
	request("POST", "session", `{"user": "alice", "name": "x"}`, 200)
	request("POST", "command", `{"user": "alice", "name": "x", "command": "top"}`, 200)
	request("POST", "query", `{"user": "alice", "text": "select 1"}`, 200)
	request("POST", "process", `{"user": "alice", "command": "docker compose run x"}`, 200)
	request("POST", "fault", `{"fault": "hang"}`, 200)
	request("GET", "state", "", 200)
	request("POST", "fault", `{"fault": ""}`, 200)
	request("POST", "stop", `{"id": "`+id+`"}`, 200)
	request("POST", "stop", `{"id": "`+id+`"}`, 400)
	request("POST", "close", `{"user": "alice", "name": "x"}`, 200)
	request("POST", "close", `{"user": "alice"`, 400)
	request("POST", "spider", `{"name": "x", "colour": "red"}`, 400)
	request("POST", "spider", `{"name": "x"} {}`, 400)

	state := s.State()
	if state.Seq != 9 || len(state.Spiders) != 0 || len(state.Sessions) != 0 || len(state.Queries) != 1 || len(state.Processes) != 1 {
		t.Errorf("the state is %+v", state)
	}
	stop()
	var kinds []string
	for c := range changes {
		kinds = append(kinds, c.Kind)
	}
	if got := strings.Join(kinds, " "); got != "spider session session query process fault fault spider session" {
		t.Errorf("the changes are %q", got)
	}
}

func TestCloseEndsWhatHangs(t *testing.T) {
	s := start(t, kingfisher.Config{})
	must(t, s.SetFault(kingfisher.FaultHang))
	changes, _ := s.Subscribe()
	conn, err := net.Dial("tcp", s.SSHAddress())
	must(t, err)
	defer conn.Close()
	answered := make(chan error, 1)
	go func() {
		response, err := http.Get(s.ScrapydURL() + "listjobs.json")
		if err == nil {
			response.Body.Close()
		}
		answered <- err
	}()
	must(t, s.Close())
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes were said", n)
	}
	if <-answered == nil {
		t.Error("Scrapyd answered")
	}
	if _, ok := <-changes; ok {
		t.Error("the subscription was not closed")
	}
}
