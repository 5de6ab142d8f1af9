package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to copy a store that a bot uses

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// TestSheetsTroubles: whatever goes wrong with the spreadsheet, each holding has
// one row in the end, in order.
func TestSheetsTroubles(t *testing.T) {
	for _, tt := range []struct {
		name   string
		faults []google.Fault
		stale  time.Duration
	}{
		{"refused", []google.Fault{{Kind: google.FailBefore, Count: 2}}, 0},
		{"rate-limited", []google.Fault{{Kind: google.RateLimit, Count: 2}}, 0},
		{"cut off", []google.Fault{{Kind: google.DropBefore, Count: 2}}, 0},
		{"the answer lost", []google.Fault{{Kind: google.DropAfter, Count: 1}, {Kind: google.FailAfter, Count: 1}}, 0},
		{"the answer lost, and reads behind", []google.Fault{{Kind: google.DropAfter, Count: 1}}, 4 * time.Second},
		{"slow", []google.Fault{{Kind: google.DelayAnswer, Count: 3, Delay: time.Second}}, 0},
		{"slow before it is done", []google.Fault{{Kind: google.DelayCommit, Count: 3, Delay: time.Second}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.serve(t)
			for _, f := range tt.faults {
				f.Operation = google.SheetsBatchUpdate
				w.fault(t, f)
			}
			w.sheet.StaleReads(tt.stale)
			const turns = 3
			for i := range turns {
				says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
				says(t, w.slash(t, ana, "/deploy-token", fmt.Sprintf("release turn %d", i)), "released")
			}
			for i, row := range w.rows(t, 1+turns)[1:] {
				if want := fmt.Sprintf("turn %d", i); row[4] != want {
					t.Errorf("row %q, want that of %s", row, want)
				}
			}
			eventually(t, "nothing left to write", func() bool {
				_, out, _ := w.bot(t, "status")
				return !strings.Contains(out, "still to be written")
			})
			w.rows(t, 1+turns)
		})
	}
}

// TestLateRow: an append that comes long after the bot that sent it was killed
// adds nothing to the row that another start wrote.
func TestLateRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.serve(t)
	says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
	late := w.fault(t, google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.DelayCommit, Count: 1})
	says(t, w.slash(t, ana, "/deploy-token", "release upgraded it"), "released")
	eventually(t, "the append", func() bool { return w.google.Faults()[0].Waiting > 0 })
	b.command.Process.Kill()
	b.wait(t)

	w.serve(t)
	w.rows(t, 2)
	w.google.Release(late)
	eventually(t, "the late append", func() bool { return w.google.Faults()[0].Waiting == 0 })
	w.types(t, ana, "/deploy-token", "take", "You hold") // the earlier answer may come again
	w.types(t, ana, "/deploy-token", "release again", "You have released", "again")
	if rows := w.rows(t, 3); rows[1][4] != "upgraded it" || rows[2][4] != "again" {
		t.Errorf("rows %q", rows)
	}
}

// store is the path of the SQLite store.
func (w *world) store() string { return strings.TrimPrefix(w.config["STORE_URL"], "sqlite:") }

// backup copies the store while a bot uses it, and returns the copy's path.
func (w *world) backup(t *testing.T) string {
	t.Helper()
	db, err := sql.Open("sqlite", w.store())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	path := filepath.Join(w.dir, "backup.db")
	if _, err := db.Exec("VACUUM INTO ?", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// restore puts the copy in the place of the store, which no bot uses.
func (w *world) restore(t *testing.T, backup string) {
	t.Helper()
	kept, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		os.Remove(w.store() + suffix)
	}
	if err := os.WriteFile(w.store(), kept, 0o600); err != nil {
		t.Fatal(err)
	}
}

// said counts the messages of the channel, and the direct ones to Ana and Bob.
func (w *world) said() (n [3]int) {
	return [3]int{len(w.slack.Messages(channel)), len(w.slack.Direct(ana)), len(w.slack.Direct(bob))}
}

// TestStoreLost: a bot whose store was lost goes on from the document and the
// sheet, tells nobody what isn't so, and says in its log what it no longer knows.
func TestStoreLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.serve(t)
	says(t, w.slash(t, bob, "/deploy-token", "take this"), "You hold")
	says(t, w.slash(t, bob, "/deploy-token", "release"), "released")
	says(t, w.slash(t, ana, "/deploy-token", "take the registry"), "You hold")
	taken := w.announced(t, "the registry")
	w.rows(t, 2)
	b.command.Process.Kill()
	b.wait(t)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(w.store() + suffix)
	}
	before := w.said()

	b = w.serve(t)
	b.isReady(t)
	b.waitLog(t, "no longer knows since when")
	says(t, w.slash(t, bob, "/deploy-token", "take"), "Ana Díaz", "or earlier")
	if _, out, _ := w.bot(t, "status"); !strings.Contains(out, "Ana Díaz holds the deploy token.") {
		t.Errorf("status: %s", out)
	}
	if got := w.said(); got != before {
		t.Errorf("messages %v, then %v", before, got)
	}
	// The old message's button is of a holding that the bot knows nothing of.
	w.click(t, ana, taken, "release")
	if got := w.document.Holder(); got != "Ana Díaz" {
		t.Errorf("the document says %q", got)
	}
	says(t, w.slash(t, ana, "/deploy-token", "release upgraded it"), "released")
	w.announcedOnce(t, "upgraded it")
	rows := w.rows(t, 3)
	if row := rows[2]; row[0] != "" || row[2] != "Ana Díaz" || row[4] != "upgraded it" || row[6] == rows[1][6] {
		t.Errorf("rows %q", rows)
	}
}

// TestStoreRestored: an older copy of the store in its place overwrites nothing,
// doubles no row and tells nothing again.
func TestStoreRestored(t *testing.T) {
	take := func(t *testing.T, w *world, user, text string) {
		t.Helper()
		says(t, w.slash(t, user, "/deploy-token", "take "+text), "You hold")
	}
	release := func(t *testing.T, w *world, user, text string) {
		t.Helper()
		says(t, w.slash(t, user, "/deploy-token", "release "+text), "released")
	}
	for _, tt := range []struct {
		name string
		// before is done before the copy, and since after it.
		before, since func(t *testing.T, w *world)
		holder        string // by the document, at the restoration
		rows          int    // then, the headers included
		late          bool   // a command of before the copy is answered again
		done          string // what the log says last of taking it in
	}{
		{
			name:   "a holding that has ended since, and a later one",
			before: func(t *testing.T, w *world) { take(t, w, ana, "this") },
			since: func(t *testing.T, w *world) {
				release(t, w, ana, "this is done")
				take(t, w, bob, "that")
				w.announced(t, "that")
			},
			holder: "Bob Ray", rows: 2, done: "the row was there already",
		},
		{
			name:   "a later holding of the same person",
			before: func(t *testing.T, w *world) { take(t, w, ana, "this") },
			since: func(t *testing.T, w *world) {
				release(t, w, ana, "this is done")
				take(t, w, ana, "that")
				w.announced(t, "that")
			},
			holder: "Ana Díaz", rows: 2, done: "the row was there already",
		},
		{
			name: "what was delivered since",
			before: func(t *testing.T, w *world) {
				take(t, w, bob, "first")
				w.announced(t, "first")
				w.fault(t, google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.FailBefore})
				if err := w.slack.AddFault(slack.Fault{Method: "chat.postMessage", Kind: slack.FaultServerError}); err != nil {
					t.Fatal(err)
				}
				release(t, w, bob, "first is done")
				take(t, w, ana, "second")
			},
			since: func(t *testing.T, w *world) {
				w.google.ClearFaults()
				w.slack.ClearFaults()
				w.announcedOnce(t, "first is done")
				w.announced(t, "second")
			},
			holder: "Ana Díaz", rows: 2, done: `"msg":"delivered","effect":"began:`,
		},
		{
			name: "a release on its way that was done since",
			before: func(t *testing.T, w *world) {
				take(t, w, ana, "this")
				w.announced(t, "this")
				w.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer, Count: 1})
				w.say(t, ana, "release this is done")
				eventually(t, "the write", func() bool { return w.document.Holder() == "Nobody" })
			},
			since: func(t *testing.T, w *world) {
				w.google.ClearFaults()
				w.answer(t, ana, 1)
				w.announcedOnce(t, "this is done")
			},
			holder: "Nobody", rows: 2, late: true, done: `"msg":"delivered","effect":"ended:`,
		},
		{
			name: "a take on its way, and a later one of the same person",
			before: func(t *testing.T, w *world) {
				w.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer, Count: 1})
				w.say(t, ana, "take this")
				eventually(t, "the write", func() bool { return w.document.Holder() == "Ana Díaz" })
			},
			since: func(t *testing.T, w *world) {
				w.google.ClearFaults()
				w.answer(t, ana, 0)
				w.announced(t, "this")
				release(t, w, ana, "this is done")
				take(t, w, ana, "that")
				w.announced(t, "that")
			},
			holder: "Ana Díaz", rows: 2, late: true, done: "restored from a backup",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.serve(t)
			b.isReady(t)
			tt.before(t, w)
			backup := w.backup(t)
			tt.since(t, w)
			w.rows(t, tt.rows)
			if status := b.stop(t); status != 0 {
				t.Errorf("exit status %d", status)
			}
			rows, before, answers := fmt.Sprint(w.rows(t, tt.rows)), w.said(), w.answers(ana)
			w.restore(t, backup)

			b = w.serve(t)
			b.waitLog(t, tt.done)
			b.isReady(t)
			if tt.late {
				w.answer(t, ana, answers)
			}
			if got := w.document.Holder(); got != tt.holder {
				t.Errorf("the document says %q", got)
			}
			if user := map[string]string{"Ana Díaz": ana, "Bob Ray": bob}[tt.holder]; user != "" {
				release(t, w, user, "the last")
				tt.rows++
			}
			take(t, w, ana, "on")
			w.announced(t, "on")
			release(t, w, ana, "and off")
			w.announcedOnce(t, "and off")
			tt.rows++
			after := w.said()
			if extra := after[0] - before[0] - 2 - len(w.released("the last")); extra != 0 {
				t.Errorf("%d messages too many:", extra)
				for _, m := range w.slack.Messages(channel) {
					t.Log(m.Shown())
				}
			}
			if after[1] != before[1] || after[2] != before[2] {
				t.Errorf("direct messages %v, then %v", before, after)
			}
			if got := fmt.Sprint(w.rows(t, tt.rows)); !strings.HasPrefix(got, strings.TrimSuffix(rows, "]")) {
				t.Errorf("rows %s\nthen %s", rows, got)
			}
		})
	}
}

// TestByHandMeanwhile: a bot that was down takes in what people did by hand as
// the operator's guide tells them to.
func TestByHandMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.serve(t)
	says(t, w.slash(t, ana, "/deploy-token", "take the registry"), "You hold")
	w.announced(t, "the registry")
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	// Ana is done; Dee comes and goes; Bob has it when the bot comes back.
	for _, name := range []string{"Nobody", "Dee", "Nobody", "Bob Ray"} {
		if err := w.document.SetHolder(person, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.sheet.Apply(person, google.SheetEdit{Kind: google.AppendRow, Values: []any{"Taken", "Released", "Name", "Purpose", "Summary", "Consent", "Entry ID"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.sheet.AppendByHand(person, "", "2026-03-05 10:00", "2026-03-05 10:30", "Dee", "docs", "updated the docs", "", nil); err != nil {
		t.Fatal(err)
	}

	w.serve(t)
	says(t, w.announced(t, "by hand"), "Bob Ray", "Ana Díaz", person.Name)
	if rows := w.rows(t, 3); rows[1][2] != "Dee" || rows[2][2] != "Ana Díaz" || rows[2][4] != "changed by hand" {
		t.Errorf("rows %q", rows)
	}
	says(t, w.slash(t, bob, "/deploy-token", "release did that"), "released")
	if row := w.rows(t, 4)[3]; row[2] != "Bob Ray" || row[4] != "did that" {
		t.Errorf("row %q", row)
	}
}
