package app

import (
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestWriteStatusWaitlist(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.Local)
	waiters := []deploytoken.Waiter{{Name: "Bob Ray", Turn: now.Add(10 * time.Minute)}, {Name: "Ann\n\x1b[31mRay"}}
	var b strings.Builder
	st := deploytoken.Status{Token: deploytoken.Token{State: deploytoken.Free}, Matters: deploytoken.Matters{Waiters: waiters}, Link: "https://docs.example/doc"}
	if err := WriteStatus(&b, st, false, now); err != nil {
		t.Fatal(err)
	}
	want := "Nobody holds the deploy token.\nWaiting for it: Bob Ray (whose turn it is until 10:10), Ann [31mRay.\nhttps://docs.example/doc\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
