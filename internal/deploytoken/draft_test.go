package deploytoken_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// TestDraft looks up what the form of a release begins with.
func TestDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newTeam(t)
		expect := func(person, holding, command, words string, theirs bool) {
			t.Helper()
			gotWords, gotTheirs, err := m.Draft(context.Background(), person, holding, command)
			if gotWords != words || gotTheirs != theirs || err != nil {
				t.Errorf("Draft(%s, %s, %s) = %q, %v, %v, want %q, %v", person, holding, command, gotWords, gotTheirs, err, words, theirs)
			}
		}
		expect(ana, "none", "", "", false)
		take := m.command(deploytoken.KindTake, ana, "the registry")
		m.run(take)
		h := m.record().Holding
		expect(ana, h.ID, "", "the registry", true)
		expect(bob, h.ID, "", "", false)
		expect(ana, "none", "", "", false)

		// The words of an earlier release are its asker's, and no other command's.
		m.paper.fault = func(int, paperBatch) paperFault { return paperFault{err: unreachable, lost: true} }
		release := m.accept(m.command(deploytoken.KindRelease, ana, "upgraded it"))
		expect(ana, h.ID, release.ID, "upgraded it", true)
		expect(bob, h.ID, release.ID, "", false)
		expect(ana, h.ID, take.ID, "", true)
		expect(ana, h.ID, "none", "", true)
		m.paper.fault = nil
		m.Do(context.Background(), release)

		// Nor does a form open for what is over; the words are still known.
		expect(ana, h.ID, "", "", false)
		expect(ana, h.ID, release.ID, "upgraded it", false)
	})
}
