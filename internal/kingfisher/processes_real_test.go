package kingfisher

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// Spiders of Scrapyd and beside it, as ps shows them on a real server. They are
// Python programs of the same names, which only sleep. Those beside it call
// themselves what could be taken for the rest of a line in /proc.
func TestSpidersOnARealServer(t *testing.T) {
	need(t, "python3")
	s := startServer(t, "", "")
	s.run(`mkdir -p /tmp/lib/scrapyd /tmp/bin
echo 'import time; time.sleep(5561)' >/tmp/lib/scrapyd/runner.py
cat >/tmp/bin/scrapy - /tmp/lib/scrapyd/runner.py <<'END'
open('/proc/self/comm', 'wb').write(b'1) S 1\n2 (\xff) R')
END
: >/tmp/lib/scrapyd/__init__.py
chmod -R a+rX /tmp/lib /tmp/bin`)
	start := func(user, command string) string {
		return s.as(user, "cd /tmp/lib; "+command+" </dev/null >/dev/null 2>&1 & echo $!")
	}
	listed := start("svc", "python3 -m scrapyd.runner crawl zambia -a _job=listed -a 'note=Started by ALICE.'")
	start("svc", "python3 -m scrapyd.runner crawl honduras -a _job=lost")
	start("bob", "bash -c 'cd /tmp && python3 /tmp/bin/scrapy crawl paraguay; true'")
	s.as("alice", "tmux new-session -d -s jm-x 'python3 /tmp/bin/scrapy crawl chile'")
	scrapyd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"status": "ok", "pending": [], "finished": [], "running": [
{"project": "kingfisher", "spider": "zambia", "id": "listed", "pid": %s, "start_time": "2026-01-01 00:00:00.000001"}]}`, listed)
	}))
	defer scrapyd.Close()
	eventually(t, "the spiders to run", func() bool { return s.run("pgrep -fc '^python3 .* crawl'") == "4" })

	config := s.config()
	config.ScrapydURL = scrapyd.URL
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	report := c.Busy(t.Context(), nil, nil)
	var got []string
	for _, check := range report.Checks[:2] {
		for _, f := range check.Findings {
			if check.State != deploytoken.Busy || !f.Blocks || f.Age > 60e9 {
				t.Errorf("%s is %s, with %+v", check.Check, check.State, f)
			}
			got = append(got, fmt.Sprintf("%s: %s (%s) of %q, %q", check.Check, f.What, f.Where, f.Owner, f.Note))
		}
	}
	slices.Sort(got)
	want := []string{
		`scrapyd: spider honduras (started by Scrapyd, which does not list it, user svc) of "svc", ""`,
		`scrapyd: spider paraguay (outside Scrapyd, user bob) of "bob", ""`,
		`scrapyd: zambia (project kingfisher) of "ALICE", "Started by ALICE."`,
		`tmux: python3 /tmp/bin/scrapy crawl chile (session jm-x, user alice) of "alice", ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the findings\nare  %q\nwant %q", got, want)
	}

	// Each has an ID that lasts as long as it runs, also where Scrapyd forgets it.
	ids := func(r deploytoken.BusyReport) map[string]string {
		found := map[string]string{}
		for _, check := range r.Checks[:2] {
			for _, f := range check.Findings {
				if !plainID(f.ID) {
					t.Errorf("%+v has no ID", f)
				}
				found[f.ID] = strings.TrimPrefix(f.What, "spider ")
			}
		}
		return found
	}
	first := ids(report)
	if again := ids(c.Busy(t.Context(), nil, nil)); !maps.Equal(again, first) {
		t.Errorf("at another look, the IDs are %q, and were %q", again, first)
	}
	scrapyd.Close()
	if alone := ids(c.Busy(t.Context(), nil, nil)); !maps.Equal(alone, first) {
		t.Errorf("without Scrapyd, the IDs are %q, and were %q", alone, first)
	}
	s.run("pkill -f '^python3 /tmp/bin/scrapy crawl paraguay'")
	eventually(t, "the spider to end", func() bool { return s.run("pgrep -fc '^python3 .* crawl'") == "3" })
	start("bob", "bash -c 'cd /tmp && python3 /tmp/bin/scrapy crawl paraguay; true'")
	eventually(t, "the spider to run again", func() bool { return s.run("pgrep -fc '^python3 .* crawl'") == "4" })
	kept := 0
	for id, what := range ids(c.Busy(t.Context(), nil, nil)) {
		if what == first[id] {
			kept++
		} else if what != "paraguay" {
			t.Errorf("%s has another ID", what)
		}
	}
	if kept != 3 {
		t.Errorf("%d have the IDs of before, want 3", kept)
	}
}
