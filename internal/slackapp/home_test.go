package slackapp

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

var homeNow = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// busyHome is a home of which every part has something to show.
func busyHome() home {
	ago := func(d time.Duration) time.Time { return homeNow.Add(-d) }
	report := deploytoken.BusyReport{At: ago(12 * time.Minute), Took: time.Second, Checks: []deploytoken.CheckResult{
		{Check: deploytoken.CheckScrapyd, State: deploytoken.Busy, Findings: []deploytoken.Finding{
			{ID: "1", Owner: "rw", OwnerID: "U2", What: "spider secret_plan", Where: "kingfisher", Age: 3 * time.Hour, Blocks: true},
			{ID: "2", Owner: "an", OwnerID: "U1", What: "spider mine", Where: "kingfisher", Age: time.Hour, Blocks: true},
		}},
		{Check: deploytoken.CheckTmux, State: deploytoken.Idle},
		{Check: deploytoken.CheckPostgres, State: deploytoken.Unknown, Reason: "PostgreSQL did not answer."},
	}}
	return home{
		person: "U1", now: homeNow, checks: true, report: &report,
		status: &deploytoken.Status{
			Token:   deploytoken.Token{State: deploytoken.Held, Holder: "Bob Roe"},
			Holding: &deploytoken.Holding{ID: "h1", Name: "Bob Roe", PersonID: "U2", Purpose: "upgrade <PostgreSQL>", Since: ago(2 * time.Hour), SinceKnown: true},
			Matters: deploytoken.Matters{
				Waiters: []deploytoken.Waiter{
					{ID: "w1", PersonID: "U3", Name: "Cat Poe", Since: ago(time.Hour)},
					{ID: "w2", PersonID: "U1", Name: "Ana Díaz", Since: ago(time.Minute), Purpose: "docs"},
				},
				Offers: []deploytoken.Offer{{ID: "o1", Holding: "h1", FromID: "U2", From: "Bob Roe", ToID: "U1", To: "Ana Díaz", At: ago(time.Minute)}},
				Questions: []deploytoken.Question{
					{ID: "q1", OwnerID: "U1", Name: "Ana Díaz", Asked: []string{deploytoken.ToPerson("U1")}, ByID: "U2", By: "Bob Roe", Purpose: "upgrade", At: ago(time.Minute),
						Works: []deploytoken.Work{{ID: "2", Check: deploytoken.CheckScrapyd, Owner: "an", OwnerID: "U1", What: "spider mine", Where: "kingfisher", Since: ago(time.Hour)}}},
					{ID: "q2", OwnerID: "U3", Asked: []string{deploytoken.ToPerson("U3")}, By: "Bob Roe"},
					{ID: "q3", OwnerID: "U1", Asked: []string{deploytoken.ToPerson("U1")}, By: "Bob Roe", Answer: deploytoken.AnswerAgreed},
				},
				Watches:     []deploytoken.Watch{{ID: "x1", PersonID: "U1", Free: true, At: ago(time.Hour), Until: homeNow.Add(time.Hour)}},
				Preferences: []deploytoken.Preference{{PersonID: "U1", Direct: true}},
			},
			Link: "https://docs.example/d", At: homeNow,
		},
		entries: []deploytoken.Entry{
			{ID: "h0", Name: "Cat Poe", Taken: ago(30 * time.Hour), Released: ago(28 * time.Hour), Purpose: "registry", Summary: "upgraded <it>"},
			{Name: "Bob"},
		},
		historyLink: "https://sheets.example/s",
	}
}

// The home shows the latest look, whether somebody asked for it here or the bot
// had it made, which another replica may have done.
func TestHomeShowsTheLatestLook(t *testing.T) {
	reported := func(before time.Duration) *deploytoken.BusyReport { return &deploytoken.BusyReport{At: ago(before)} }
	for _, tt := range []struct {
		name                string
		asked, looked, want *deploytoken.BusyReport
		unread              bool // of the status
	}{
		{"neither", nil, nil, nil, false},
		{"asked for", reported(time.Hour), nil, reported(time.Hour), false},
		{"had made", nil, reported(time.Hour), reported(time.Hour), false},
		{"had made later", reported(time.Hour), reported(time.Minute), reported(time.Minute), false},
		{"asked for later", reported(time.Minute), reported(time.Hour), reported(time.Minute), false},
		{"had made, and the document can't be read", nil, reported(time.Hour), reported(time.Hour), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			commands := &recordedCommands{}
			if tt.looked != nil {
				commands.looked = &deploytoken.Look{Report: *tt.looked}
			}
			if tt.unread {
				commands.status = func(context.Context) (deploytoken.Status, error) {
					return deploytoken.Status{}, &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Google is away."}
				}
			}
			in := NewInbound(InboundConfig{Client: slack.New("x"), Commands: commands, Members: memberFunc(everybody)})
			team := "T1"
			in.team.Store(&team)
			in.busy.complete = tt.asked
			got := in.readHome(t.Context(), request{Person: "U1", Team: team}).report
			if (got == nil) != (tt.want == nil) || got != nil && !got.At.Equal(tt.want.At) {
				t.Errorf("report %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestHomeReadsAsBefore(t *testing.T) {
	goldenView(t, "home", busyHome().view())

	looking := busyHome()
	looking.looking = true
	notice := refusal(noReleaseForm)
	looking.notice = &notice
	goldenView(t, "home-looking", looking.view())

	goldenView(t, "home-quiet", home{person: "U1", now: homeNow, checks: true, status: &freeStatus, historyLink: "https://sheets.example/s"}.view())
	goldenView(t, "home-no-checks", home{person: "U1", now: homeNow, status: &freeStatus}.view())
	goldenView(t, "home-unread", home{
		person: "U1", now: homeNow, checks: true, statusFault: "The store is out of reach.", entriesFault: "Google does not answer.",
		historyLink: "https://sheets.example/s",
	}.view())
	goldenView(t, "home-refused", home{person: "U9", now: homeNow, refused: refusedPerson}.view())
}

// TestHomeOfOthersWork shows what others run only by owner, kind and age.
func TestHomeOfOthersWork(t *testing.T) {
	h := busyHome()
	shown := mustJSON(h.view())
	if strings.Contains(shown, "secret_plan") {
		t.Errorf("shows another's command: %s", shown)
	}
	if !strings.Contains(shown, "spider mine") {
		t.Errorf("hides one's own: %s", shown)
	}
}

// TestHomeKeepsSlacksLimits shows more than anybody has.
func TestHomeKeepsSlacksLimits(t *testing.T) {
	h := busyHome()
	long := strings.Repeat("wörd & ", 100)
	h.report.Checks = nil
	for _, check := range deploytoken.Checks() {
		c := deploytoken.CheckResult{Check: check, State: deploytoken.Busy, Reason: long}
		for n := range 500 {
			c.Findings = append(c.Findings, deploytoken.Finding{ID: fmt.Sprint(n), Owner: long, OwnerID: "U1", What: long, Where: long, Note: long, Blocks: true})
		}
		h.report.Checks = append(h.report.Checks, c)
	}
	m := &h.status.Matters
	for n := range 50 {
		m.Waiters = append(m.Waiters, deploytoken.Waiter{ID: fmt.Sprint("w", n), PersonID: fmt.Sprint("U9", n), Name: long, Purpose: long, Since: homeNow})
		q := deploytoken.Question{ID: fmt.Sprint("q9", n), OwnerID: "U1", By: long, Purpose: long, Asked: []string{deploytoken.ToPerson("U1")}}
		for k := range 500 {
			q.Works = append(q.Works, deploytoken.Work{ID: fmt.Sprint(k), Check: deploytoken.CheckTmux, Owner: long, What: long, Where: long, Note: long})
		}
		m.Questions = append(m.Questions, q)
	}
	for range maxHomeEntries {
		h.entries = append(h.entries, deploytoken.Entry{Name: long, Purpose: long, Summary: long, Released: homeNow})
	}
	view := h.view()
	if n := len(view.Blocks.BlockSet); n > maxHomeBlocks {
		t.Errorf("%d blocks", n)
	}
	data, err := json.Marshal(view)
	if err != nil || len(data) > 250_000 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	checkButtons(t, view.Blocks.BlockSet)
	if !strings.Contains(string(data), "more questions") {
		t.Error("says nothing of the questions that are not shown")
	}
}

// checkButtons fails for a row of buttons that Slack refuses, or with one whose
// click would be ignored.
func checkButtons(t *testing.T, blocks []slack.Block) {
	t.Helper()
	for _, b := range blocks {
		row, ok := b.(*slack.ActionBlock)
		if !ok {
			continue
		}
		seen := map[string]bool{}
		for _, e := range row.Elements.ElementSet {
			e := e.(*slack.ButtonBlockElement)
			if seen[e.ActionID] {
				t.Errorf("two buttons %q in one row", e.ActionID)
			}
			seen[e.ActionID] = true
			parse, ok := clicks[e.ActionID]
			if !ok || !usable(e.Value) {
				t.Errorf("a click on %q with %q would be ignored", e.ActionID, e.Value)
			} else if _, err := parse(e.Value); err != nil {
				t.Errorf("a click on %q with %q: %v", e.ActionID, e.Value, err)
			}
		}
	}
}

func TestHistoryMessage(t *testing.T) {
	goldenView(t, "history", historyMessage(busyHome().entries, "https://sheets.example/s"))
	goldenView(t, "history-empty", historyMessage(nil, "https://sheets.example/s"))
	var many []deploytoken.Entry
	for range maxEntries {
		long := strings.Repeat("wörd & ", 200)
		many = append(many, deploytoken.Entry{Name: long, Purpose: long, Summary: long, Taken: homeNow, Released: homeNow})
	}
	m := historyMessage(many, "https://sheets.example/s")
	if n := (group{bullets: entriesGroup(many).bullets}).size(); n < maxMessage {
		t.Fatalf("the test needs more than %d characters", n)
	}
	if !strings.Contains(mustJSON(m.Blocks), "earlier one") {
		t.Errorf("nothing is left out of %d entries", len(many))
	}
}
