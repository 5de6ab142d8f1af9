package slackapp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

const testOverride = "https://ocdsdeploy.readthedocs.io/en/latest/"

func findings() []deploytoken.Finding {
	return []deploytoken.Finding{
		{Owner: "jm", OwnerID: "U0ALICE", What: "./manage.py load --note 'by <jm> & co'", Where: "session jm_test, user ocdskfp", Age: 26 * time.Hour, Blocks: true},
		{Owner: "10.0.0.7", OwnerID: "U0BOB", What: "COPY `release` TO STDOUT", Where: "session 1, user root", Age: 2*time.Hour + 5*time.Minute, Note: "see https://colab.research.google.com/drive/1", Blocks: true},
		{What: "top", Where: "session 0, user root", Age: 12 * time.Second, Blocks: true},
		{Owner: "root", What: "-bash", Where: "session 2, user root"},
	}
}

func report(checks ...deploytoken.CheckResult) deploytoken.BusyReport {
	return deploytoken.BusyReport{Checks: checks, At: noon, Took: 3400 * time.Millisecond}
}

func busyMessages() map[string]Message {
	const viewer = "U0ALICE"
	opts := busyOptions{OverrideURL: testOverride}
	scrapyd := deploytoken.CheckResult{Check: deploytoken.CheckScrapyd, State: deploytoken.Idle}
	tmux := deploytoken.CheckResult{Check: deploytoken.CheckTmux, State: deploytoken.Busy, Findings: findings()}
	postgres := deploytoken.CheckResult{Check: deploytoken.CheckPostgres, State: deploytoken.Busy, Findings: []deploytoken.Finding{
		{Owner: "kingfisher_process", What: "SELECT 1", Where: "database kingfisher, from 10.0.0.9", Age: 90 * time.Minute, Note: "its transaction is 2 h old", Blocks: true},
	}}
	unknown := deploytoken.CheckResult{Check: deploytoken.CheckTmux, Reason: "The server's host key has changed. If that was expected, correct `known_hosts`."}
	partly := deploytoken.CheckResult{Check: deploytoken.CheckTmux, State: deploytoken.Busy, Reason: "The sessions of root could not be listed.", Findings: findings()[:1]}
	idleToo := deploytoken.CheckResult{Check: deploytoken.CheckPostgres, State: deploytoken.Idle, Findings: []deploytoken.Finding{{Owner: "etl", What: "SELECT 1", Where: "database x", Age: time.Minute}}}
	return map[string]Message{
		"begun":         busyMessage(deploytoken.BusyReport{}, deploytoken.Checks(), viewer, opts),
		"half":          busyMessage(deploytoken.BusyReport{Checks: []deploytoken.CheckResult{tmux}}, []string{deploytoken.CheckScrapyd, deploytoken.CheckPostgres}, viewer, opts),
		"half-idle":     busyMessage(deploytoken.BusyReport{Checks: []deploytoken.CheckResult{scrapyd}}, []string{deploytoken.CheckTmux, deploytoken.CheckPostgres}, viewer, opts),
		"busy":          busyMessage(report(scrapyd, tmux, postgres), nil, viewer, opts),
		"busy-public":   busyMessage(report(scrapyd, tmux, postgres), nil, "", opts),
		"idle":          busyMessage(report(scrapyd, idleToo), nil, viewer, opts),
		"unknown":       busyMessage(report(scrapyd, unknown), nil, viewer, opts),
		"partly":        busyMessage(report(partly, idleToo), nil, viewer, busyOptions{}),
		"nothing-known": busyMessage(deploytoken.BusyReport{At: noon}, nil, viewer, busyOptions{}),
		"many":          busyMessage(report(scrapyd, deploytoken.CheckResult{Check: deploytoken.CheckTmux, State: deploytoken.Busy, Findings: many(500)}), nil, viewer, opts),
	}
}

func many(n int) []deploytoken.Finding {
	list := make([]deploytoken.Finding, n)
	for i := range list {
		list[i] = deploytoken.Finding{
			Owner: fmt.Sprintf("analyst%d", i), What: fmt.Sprintf("scrapy crawl spider_%d -a note=%d", i, i),
			Where: fmt.Sprintf("session %d, user root", i), Age: time.Duration(n-i) * time.Minute, Blocks: i < n-10,
		}
	}
	return list
}

func TestUnknownIsNeverShownAsIdle(t *testing.T) {
	unknown := deploytoken.CheckResult{Check: deploytoken.CheckTmux, Reason: "No answer."}
	idle := deploytoken.CheckResult{Check: deploytoken.CheckScrapyd, State: deploytoken.Idle}
	for name, m := range map[string]Message{
		"unknown":       busyMessage(report(idle, unknown), nil, "U1", busyOptions{}),
		"no check made": busyMessage(report(), nil, "U1", busyOptions{}),
		"pending":       busyMessage(report(idle), []string{deploytoken.CheckTmux}, "U1", busyOptions{}),
	} {
		first, _, _ := strings.Cut(m.Text, "\n")
		if strings.Contains(first, "Kingfisher is idle") {
			t.Errorf("%s: %q", name, first)
		}
		if strings.Contains(m.Text, "tmux: idle") {
			t.Errorf("%s: %q", name, m.Text)
		}
	}
}

func TestOthersDoNotSeeWhatRuns(t *testing.T) {
	m := busyMessages()["busy-public"]
	blocks, err := json.Marshal(m.Blocks)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings() {
		if strings.Contains(m.Text, escape(f.What)) || strings.Contains(string(blocks), `"`+f.What) {
			t.Errorf("the channel sees %q", f.What)
		}
	}
	if !strings.Contains(m.Text, "jm") || !strings.Contains(m.Text, "1 day 2 h") {
		t.Errorf("the channel doesn't see whose it is and how old: %s", m.Text)
	}
}
