package slackapp

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// TestButtons makes every button, with names of any length, and reads each
// click on it.
func TestButtons(t *testing.T) {
	long := strings.Repeat("Ñame ", 60)
	all := []button{
		releaseButton("h1"), releaseAgainButton("h1", "c1"), askButton("h1"), stillWorkingButton("h1"), claimButton("h1"),
		takeButton(""), takeButton("d1"), takeOutOfTurnButton("", long), takeOutOfTurnButton("c1", ""), takeAnywayButton("d1"),
		withoutPostgresButton("d1"), waitButton(), leaveButton(), acceptButton("o1"), declineButton("o1"),
		forceButton("h1", "c1", long), forceButton("h1", "", ""), consentButton("d1"), consentAgainButton("d1"),
		agreeButton("q1"), askToWaitButton("q1"), watchButton(""), watchButton(deploytoken.WatchFree), unwatchButton(),
		preferButton(deploytoken.RemindDirectly), preferButton(deploytoken.RemindInChannel), lookButton(),
	}
	made := map[string]bool{}
	for _, b := range all {
		made[b.action] = true
		parse, ok := clicks[b.action]
		if !ok || !usable(b.value) {
			t.Errorf("a click on %q with %q would be ignored", b.action, b.value)
			continue
		}
		r, err := parse(b.value)
		if err != nil || !r.Ask.changes() && r.Ask != askReleaseForm && r.Ask != askWaitForm && r.Ask != askLook {
			t.Errorf("a click on %q with %q asks for %q, %v", b.action, b.value, r.Ask, err)
		}
		e := b.element()
		if n := utf8.RuneCountInString(e.Text.Text); n > maxLabel {
			t.Errorf("%q: a label of %d characters", b.action, n)
		}
		if c := e.Confirm; c != nil {
			for limit, text := range map[int]string{maxConfirmTitle: c.Title.Text, maxConfirmText: c.Text.Text, maxConfirmLabel: c.Confirm.Text} {
				if n := utf8.RuneCountInString(text); n == 0 || n > limit {
					t.Errorf("%q: %d of %d characters: %s", b.action, n, limit, text)
				}
			}
		}
	}
	for action := range clicks {
		if !made[action] {
			t.Errorf("no button %q", action)
		}
	}
}
