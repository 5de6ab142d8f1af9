package deploytoken_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// backup stops the service and keeps a copy of its store; restore puts the copy
// in the store's place. Both start anew.
func (m *team) backup() (restore func()) {
	m.t.Helper()
	path := strings.TrimPrefix(m.url, "sqlite:")
	m.store.Close()
	kept, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	m.start()
	return func() {
		m.t.Helper()
		m.store.Close()
		if err := os.WriteFile(path, kept, 0o600); err != nil {
			m.t.Fatal(err)
		}
		m.start()
	}
}

// leave accepts the command and has its write, or the answer to it, lost by a
// bot that is killed in the middle.
func (m *team) leave(c deploytoken.Command, lands bool) {
	m.t.Helper()
	c = m.accept(c)
	ctx, cancel := context.WithCancel(context.Background())
	m.paper.fault = func(int, paperBatch) paperFault { cancel(); return paperFault{lost: !lands, err: noAnswer} }
	m.Do(ctx, c)
	m.paper.fault = nil
	if !m.record().IntentOpen {
		m.t.Fatal("no write was left")
	}
}

// TestRestored: a store that is older than what it has written since does no
// harm: it takes in what the document says, in silence, and the rows of the past
// are written at most once, by their Entry IDs.
func TestRestored(t *testing.T) {
	const (
		take    = deploytoken.KindTake
		release = deploytoken.KindRelease
	)
	for _, tt := range []struct {
		name   string
		before func(m *team)
		since  func(m *team)
		// told is what is told after the restoration, and holder what the
		// document says.
		told   []string
		holder string
	}{
		{
			name:   "a holding has ended since",
			before: func(m *team) { m.do(take, ana, "this") },
			since:  func(m *team) { m.do(release, ana, "") },
			told:   []string{"sheet row"},
			holder: "Nobody",
		},
		{
			name:   "another holds it now",
			before: func(m *team) { m.do(take, ana, "this") },
			since:  func(m *team) { m.do(release, ana, ""); m.do(take, bob, "that") },
			told:   []string{"sheet row"},
			holder: "Bob Ray",
		},
		{
			name:   "the same person holds it again",
			before: func(m *team) { m.do(take, ana, "this") },
			since:  func(m *team) { m.do(release, ana, ""); m.do(take, ana, "that") },
			told:   []string{"sheet row"},
			holder: "Ana Díaz",
		},
		{
			name:   "it was free",
			before: func(m *team) { m.watch() },
			since:  func(m *team) { m.do(take, ana, "this") },
			told:   nil,
			holder: "Ana Díaz",
		},
		{
			name:   "a take was on its way, and that holding is over",
			before: func(m *team) { m.leave(m.command(take, ana, "this"), true) },
			since:  func(m *team) { m.recover(); m.do(release, ana, ""); m.do(take, ana, "that") },
			told:   []string{"person:UANA answer superseded"},
			holder: "Ana Díaz",
		},
		{
			name: "a release was on its way, and the same person holds it again",
			before: func(m *team) {
				m.do(take, ana, "this")
				m.leave(m.command(release, ana, "done"), true)
			},
			since:  func(m *team) { m.recover(); m.do(take, ana, "that") },
			told:   []string{"person:UANA answer superseded", "sheet row"},
			holder: "Ana Díaz",
		},
		{
			name: "a release was on its way, and somebody else holds it",
			before: func(m *team) {
				m.do(take, ana, "this")
				m.leave(m.command(release, ana, "done"), false)
			},
			since:  func(m *team) { m.recover(); m.do(take, bob, "that") },
			told:   []string{"channel:C1 retired", "person:UANA answer superseded", "sheet row"},
			holder: "Bob Ray",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newTeam(t)
				m.watch()
				tt.before(m)
				m.delivered()
				past := m.record().Holding
				time.Sleep(time.Minute)
				restore := m.backup()
				time.Sleep(time.Minute)
				tt.since(m)
				m.delivered()
				time.Sleep(24 * time.Hour)
				restore()

				m.recover()
				m.notice()
				time.Sleep(time.Minute)
				m.notice()
				if got := m.paper.text(); got != tt.holder {
					t.Errorf("the document says %q", got)
				}
				r := m.record()
				h := r.Holding
				if h.Open() != (tt.holder != "Nobody") || h.Open() && (h.Name != tt.holder || h.SinceKnown || h.PersonID == "" || past != nil && h.ID == past.ID) {
					t.Errorf("holding %+v", h)
				}
				if r.IntentOpen || r.Unclear != "" {
					t.Errorf("record %+v", r)
				}
				if told := m.delivered(); !slices.Equal(told, tt.told) {
					t.Errorf("told %q", told)
				}
				// It goes on as ever, also after another start.
				m.restart()
				m.notice()
				if told := m.delivered(); len(told) > 0 {
					t.Errorf("told %q", told)
				}
				if h.Open() {
					if got := m.do(release, h.PersonID, ""); got != deploytoken.OutcomeReleased {
						t.Errorf("the release: %s", got)
					}
				}
				if got := m.do(take, bob, ""); got != deploytoken.OutcomeTaken {
					t.Errorf("the next take: %s", got)
				}
			})
		})
	}
}

// TestRestoredMidCommand: a command that comes before the watcher has looked is
// decided on what the document says.
func TestRestoredMidCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTeam(t)
		m.watch()
		m.do(deploytoken.KindTake, ana, "this")
		restore := m.backup()
		m.do(deploytoken.KindRelease, ana, "")
		m.do(deploytoken.KindTake, ana, "that")
		m.delivered()
		time.Sleep(time.Hour)
		restore()
		m.delivered() // the first take's, which the copy still has to deliver
		// It is for the holding that is over.
		if got := m.do(deploytoken.KindRelease, ana, "done"); got != deploytoken.OutcomeEnded {
			t.Errorf("the release: %s", got)
		}
		if got := m.do(deploytoken.KindRelease, ana, "done"); got != deploytoken.OutcomeReleased {
			t.Errorf("the second release: %s", got)
		}
		if told := m.delivered(); !slices.Equal(told, []string{
			"channel:C1 retired", "channel:C1 released", "person:UANA answer ended", "person:UANA answer released", "sheet row", "sheet row"}) {
			t.Errorf("told %q", told)
		}
	})
}
