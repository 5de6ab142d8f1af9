package ledger

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// fullMatters are one matter of each kind, none of which is over.
func fullMatters() []deploytoken.Matter {
	work := deploytoken.Work{
		ID: "scrapyd 1", Check: deploytoken.CheckScrapyd, Owner: "jm", OwnerID: "U2", What: "spider “chile”", Where: "kingfisher",
		Note: "started by Ana", Since: start, Ended: start.Add(time.Hour),
	}
	report := deploytoken.BusyReport{
		Checks: []deploytoken.CheckResult{{
			Check: deploytoken.CheckScrapyd, State: deploytoken.Busy, Reason: "One project can't be read.", Partial: true,
			Findings: []deploytoken.Finding{{
				ID: "scrapyd 1", Owner: "jm", OwnerID: "U2", What: "spider “chile”", Where: "kingfisher", Age: time.Hour, Note: "started by Ana", Blocks: true,
			}},
		}},
		At: start, Took: time.Second,
	}
	return []deploytoken.Matter{
		&deploytoken.Waiter{ID: "w1", PersonID: "U1", Name: "Ana Ñandú 🦜", Purpose: "Registry", Since: start, Turn: start.Add(time.Minute), Turns: 2},
		&deploytoken.Offer{ID: "o1", Holding: "h1", FromID: "U1", From: "Ana", ToID: "U2", To: "Ben", At: start},
		fullDeployment(work, report),
		&deploytoken.Question{
			ID: "q1", OwnerID: "U2", Name: "Ben", Asked: []string{deploytoken.ToPerson("U2")}, Works: []deploytoken.Work{work},
			Deployment: "d1", ByID: "U1", By: "Ana", Purpose: "Kingfisher", At: start,
			Answer: deploytoken.AnswerWait, AnswererID: "U3", Answerer: "Eve", Answered: start, Until: start.Add(time.Hour), Why: "nearly done", Edits: 1,
		},
		&deploytoken.Watch{ID: "v1", PersonID: "U1", Free: true, WithoutPostgres: true, At: start, Until: start.Add(time.Hour)},
		&deploytoken.Preference{PersonID: "U1", Direct: true},
		&deploytoken.Look{Report: report},
	}
}

func fullDeployment(work deploytoken.Work, report deploytoken.BusyReport) *deploytoken.Deployment {
	return &deploytoken.Deployment{
		ID: "d1", PersonID: "U1", Name: "Ana", Purpose: "Kingfisher", At: start, Takes: true, OutOfTurn: true, WithoutPostgres: true, Report: report,
		Standing: []deploytoken.Standing{{
			OwnerID: "U2", Name: "Ben", Marks: []string{"jm"}, Works: []deploytoken.Work{work},
			Answer: deploytoken.AnswerWait, By: "Eve", Until: start.Add(time.Hour), Why: "nearly done",
		}},
		Unknown: []string{"One project can't be read."}, Asked: true, Edits: 1, News: deploytoken.ConsentRefused, Told: 1,
		Holding: "h1", Seen: []string{"scrapyd 1"}, Warnings: 1, Informed: []string{"U2"}, Warned: []string{"U2"},
	}
}

// over ends the matter, if its kind ever ends.
func over(m deploytoken.Matter, at time.Time) deploytoken.Matter {
	switch m := m.(type) {
	case *deploytoken.Waiter:
		m.Left, m.Why = at, deploytoken.WaiterTook
	case *deploytoken.Offer:
		m.Ended, m.Result = at, deploytoken.OfferAccepted
	case *deploytoken.Deployment:
		m.Ended = at
	case *deploytoken.Question:
		m.Settled = at
	case *deploytoken.Watch:
		m.Ended, m.Result = at, deploytoken.WatchSeen
	}
	return m
}

func waiter(id string) *deploytoken.Waiter {
	return &deploytoken.Waiter{ID: id, PersonID: "U1", Name: "Ana", Since: start}
}

func about(key string, m deploytoken.Matter) deploytoken.Effect {
	e, ref := effect(key, channel), m.Ref()
	e.Notice.Matter = &ref
	return e
}

func matter(t *testing.T, s *Store, ref deploytoken.MatterRef) deploytoken.Matter {
	t.Helper()
	m, err := s.Matter(t.Context(), doc, ref)
	check(t, err)
	return m
}

// TestMatterEncoding holds that what one release kept can be read by the next:
// what changes the encoding needs a migration.
func TestMatterEncoding(t *testing.T) {
	golden := filepath.Join("testdata", "matters.json")
	all := map[deploytoken.MatterKind]deploytoken.Matter{}
	for _, m := range fullMatters() {
		all[m.Ref().Kind] = over(m, start.Add(time.Hour))
	}
	got, err := json.MarshalIndent(all, "", "  ")
	check(t, err)
	if *update {
		check(t, os.WriteFile(golden, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	equal(t, "the encoding", string(got)+"\n", string(want))
	var bodies map[deploytoken.MatterKind]json.RawMessage
	check(t, json.Unmarshal(want, &bodies))
	for kind, body := range bodies {
		m, err := deploytoken.DecodeMatter(kind, body)
		check(t, err)
		equal(t, "the "+string(kind), m, all[kind])
	}
}

func testMatters(t *testing.T, url string) {
	s := open(t, url, "a")
	put := fullMatters()
	second := waiter("w0")
	second.Since = start.Add(time.Second)
	put = append(put, second)
	commit(t, s, deploytoken.Change{Put: put})
	check(t, s.Commit(t.Context(), deploytoken.Change{Document: "document-2", IfSeq: -1, At: start, Put: []deploytoken.Matter{waiter("w2")}}))
	equal(t, "what is open, looks aside", record(t, s).Matters, deploytoken.MattersOf(put))
	for _, m := range put {
		equal(t, "matter", matter(t, s, m.Ref()), m)
	}
	for _, none := range []deploytoken.MatterRef{
		{Kind: deploytoken.MatterWaiter, ID: "w2"}, {Kind: deploytoken.MatterWaiter, ID: "o1"},
		{Kind: deploytoken.MatterWaiter}, {Kind: "none", ID: "w1"}, {Kind: deploytoken.MatterOffer, ID: "o1\x00\xff"}, {},
	} {
		equal(t, fmt.Sprintf("matter %+v", none), matter(t, s, none), deploytoken.Matter(nil))
	}

	// The last of two that are put at once is the one that stands.
	second.Turns = 1
	third := *second
	third.Turns, third.Name = 2, "Ben"
	commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{second, &third}})
	put[len(put)-1] = &third
	equal(t, "what is open after one was replaced", record(t, s).Matters, deploytoken.MattersOf(put))

	// Who is over is out of the record, and can be read.
	for i, m := range put {
		put[i] = over(m, start.Add(time.Hour))
	}
	commit(t, s, deploytoken.Change{Put: put})
	equal(t, "what is open when all is over", record(t, s).Matters, deploytoken.MattersOf(put))
	equal(t, "waiters that are left", len(record(t, s).Matters.Waiters), 0)
	for _, m := range put {
		equal(t, "matter", matter(t, s, m.Ref()), m)
	}
	third.Left, third.Why = time.Time{}, ""
	commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{&third}})
	equal(t, "what goes on again", record(t, s).Matters.Waiters, []deploytoken.Waiter{third})
}

// testRecordWithoutLook: a look is as long as what runs on Kingfisher, and the
// record is read each second and several times for each command.
func testRecordWithoutLook(t *testing.T, url string) {
	s := open(t, url, "a")
	w := waiter("w1")
	look := &deploytoken.Look{Report: deploytoken.BusyReport{At: start}}
	commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{w, look}})
	equal(t, "look", matter(t, s, look.Ref()), deploytoken.Matter(look))
	check(t, s.change(t.Context(), "spoil the look", func(t *tx) error {
		_, err := t.exec(`UPDATE matter SET body = 'no JSON' WHERE kind = $1`, string(deploytoken.MatterLook))
		return err
	}))
	equal(t, "what is open", record(t, s).Matters, deploytoken.Matters{Waiters: []deploytoken.Waiter{*w}})
}

// testMatterText: PostgreSQL takes neither a zero byte nor invalid UTF-8.
func testMatterText(t *testing.T, url string) {
	s := open(t, url, "a")
	for written, kept := range map[string]string{
		"a\x00b\xff": "ab\uFFFD",
		"\x00":       "",
		// What only looks like an escape is left alone.
		`\u0000`:     `\u0000`,
		`\\u0000`:    `\\u0000`,
		"\\\x00":     `\`,
		`"'; -- <&>`: `"'; -- <&>`,
		"a\nb\u2028": "a\nb\u2028",
	} {
		w := waiter("w1")
		w.Purpose = written
		commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{w}})
		w.Purpose = kept
		equal(t, fmt.Sprintf("%q", written), matter(t, s, w.Ref()), deploytoken.Matter(w))
	}
}

func testDeliveryMatter(t *testing.T, url string) {
	s := open(t, url, "a")
	w, o := waiter("w1"), &deploytoken.Offer{ID: "w1", Holding: "h1", At: start}
	none := waiter("none")
	commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{w, o}, Effects: []deploytoken.Effect{about("turn", w), about("offer", o), about("none", none), effect("other", channel)}})
	check(t, s.Commit(t.Context(), deploytoken.Change{Document: "document-2", IfSeq: -1, At: start, Put: []deploytoken.Matter{none}}))
	// It comes as it is when it is delivered, also if it is over.
	w.Turns = 1
	commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{w, over(o, start)}})
	l, ds := claim(t, s, channel, start, 9)
	equal(t, "delivered", keys(ds), []string{"turn", "offer", "none", "other"})
	for i, want := range []deploytoken.Matter{w, o, nil, nil} {
		equal(t, "matter of "+ds[i].Key, ds[i].Matter, want)
	}
	// Those that follow of a delivery have theirs, too.
	check(t, s.Delivered(t.Context(), l, keys(ds), deploytoken.Receipt{}, []deploytoken.Effect{about("follows", w)}, start))
	_, ds = claim(t, s, channel, start, 9)
	equal(t, "what follows", keys(ds), []string{"follows"})
	equal(t, "its matter", ds[0].Matter, deploytoken.Matter(w))
}

func testPruneMatters(t *testing.T, url string) {
	s := open(t, url, "a")
	ctx := t.Context()
	long, later := start.Add(duplicatesLife+time.Second), start.Add(2*duplicatesLife)
	open, pending, gone, young := waiter("open"), waiter("pending"), waiter("gone"), waiter("young")
	preference := &deploytoken.Preference{PersonID: "U1"}
	look := &deploytoken.Look{Report: deploytoken.BusyReport{At: start}}
	commit(t, s, deploytoken.Change{
		Put: []deploytoken.Matter{open, over(pending, start), over(gone, start), over(young, start.Add(time.Hour)), preference, look},
		Effects: []deploytoken.Effect{
			about("told:open", open), about("told:pending", pending), about("told:gone", gone), about("told:preference", preference), about("told:look", look),
		},
	})
	l, ds := claim(t, s, channel, start, 9)
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{Channel: "C1", Timestamp: "1.1"}, nil, start))
	edit := about("edit:pending", pending)
	edit.NotBefore, edit.Notice.Edits = later, "told:pending"
	// Of another document, it keeps nothing.
	check(t, s.Commit(ctx, deploytoken.Change{Document: "document-2", IfSeq: -1, At: start, Effects: []deploytoken.Effect{about("elsewhere", gone)}}))
	insert(t, s, edit)

	left := func() (all []string) {
		for _, line := range dump(t, s) {
			switch parts := strings.Split(line, "|"); parts[0] {
			case "outbox":
				all = append(all, parts[1])
			case "matter":
				all = append(all, parts[2]+" "+parts[3])
			}
		}
		return all
	}
	before := left()
	s.now = func() time.Time { return start.Add(duplicatesLife) }
	check(t, s.Prune(ctx, later))
	equal(t, "left within a day", left(), before)
	s.now = func() time.Time { return long }
	check(t, s.Prune(ctx, start))
	equal(t, "left of what is no older than asked for", left(), before)
	check(t, s.Prune(ctx, long))
	kept := []string{
		"look kingfisher", "preference U1", "waiter open", "waiter pending", "waiter young",
		"edit:pending", "elsewhere", "told:open", "told:pending",
	}
	equal(t, "left", left(), kept)
	s.now = func() time.Time { return later }
	check(t, s.Prune(ctx, later))
	equal(t, "left a day later", left(), append(kept[:4:4], kept[5:]...))

	// The message of what is not over can be edited however old it is.
	e := about("edit:open", open)
	e.Notice.Edits = "told:open"
	insert(t, s, e)
	l, ds = claim(t, s, channel, later, 9)
	equal(t, "delivered", keys(ds), []string{"elsewhere", "edit:pending", "edit:open"})
	equal(t, "the message to edit", ds[2].Edits, deploytoken.Receipt{Channel: "C1", Timestamp: "1.1"})
	equal(t, "the matter", ds[1].Matter, deploytoken.Matter(pending))
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, nil, later))
	commit(t, s, deploytoken.Change{Put: []deploytoken.Matter{over(open, later)}})
	s.now = func() time.Time { return later.Add(long.Sub(start)) }
	check(t, s.Prune(ctx, later.Add(time.Second)))
	equal(t, "left once all is over", left(), []string{"look kingfisher", "preference U1"})
}

// testMigration: a store of the first schema keeps what it has.
func testMigration(t *testing.T, url string) {
	ctx := t.Context()
	old := &Store{owner: "old", now: time.Now}
	var err error
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		err = old.openSQLite(ctx, path, Options{})
	} else {
		err = old.openPostgres(url, Options{})
	}
	check(t, err)
	p, err := old.provider()
	check(t, err)
	_, err = p.UpTo(ctx, 1)
	check(t, err)
	ms := start.UnixMilli()
	check(t, old.change(ctx, "fill the store", func(tx *tx) error {
		for _, row := range []struct {
			insert string
			args   []any
		}{
			{`INSERT INTO store (only_row, id) VALUES (1, 'abcdefghijkl')`, nil},
			{`INSERT INTO document (document, seq, last_name, observed, unclear) VALUES ($1, 7, 'Ana', $2, 'two names')`, []any{doc, ms}},
			{`INSERT INTO holding (id, document, name, person, purpose, since, since_known, by_hand, ended, ended_by_hand, summary, consent, next_reminder, reminders)
				VALUES ('h0', $1, 'Ben', 'U2', '', $2, 1, 0, $3, 1, 'done', 'Ada agreed', 0, 0), ('h1', $1, 'Ana', 'U1', 'Registry', $2, 1, 0, 0, 0, '', '', 0, 0)`,
				[]any{doc, ms, start.Add(time.Hour).UnixMilli()}},
			{`INSERT INTO command (id, document, kind, person, words, holding, channel, response_url, message, at, outcome, finished, owner, until)
				VALUES ('e1', $1, 'release', 'U1', 'mended it', 'h1', 'C1', 'https://hooks.example/1', '1.2', $2, '', 0, 'old', 0)`, []any{doc, ms}},
			{`INSERT INTO intent (document, operation, command, body, epoch, owner, until) VALUES ($1, 'op', 'e1', $2, 3, 'old', 0)`,
				[]any{doc, `{"Operation":"op","Document":"document-1","Command":"e1","Read":"Ana","Written":"Nobody","Removes":null,` +
					`"Batch":{"Revision":"r1","Body":"e30="},"Settle":{"Revision":"","Body":null},"SettleMark":"","Began":null,"Ends":"h1","Summary":"mended it",` +
					`"EndsByHand":false,"NotAfter":"0001-01-01T00:00:00Z","Decided":"2026-03-14T09:26:53.589Z","Epoch":3}`}},
			{`INSERT INTO destination (destination, last_number) VALUES ($1, 2)`, []any{channel}},
			{`INSERT INTO outbox (effect, document, destination, number, kind, command, holding, edits, thread, notice, inserted, not_before, due, attempts, claim,
				reason, done, given_up, channel, message)
				VALUES ('began:h1', $1, $2, 1, 'taken', '', 'h1', '', '', '{"kind":"taken","holding":"h1","at":"2026-03-14T09:26:53.589Z"}', $3, $3, $3, 1, 1, '', $3, 0, 'C1', '1.1'),
					('retired:h1', $1, $2, 2, 'retired', '', 'h1', 'began:h1', '', '{"kind":"retired","holding":"h1","at":"2026-03-14T09:26:53.589Z","edits":"began:h1"}', $3, $3, $3, 0, 0, '', 0, 0, '', '')`,
				[]any{doc, channel, ms}},
			{`INSERT INTO audit (document, seq, part, at, event, command, holding, person, detail) VALUES ($1, 7, 0, $2, 'taken', 'e0', 'h1', 'U1', '')`, []any{doc, ms}},
		} {
			if _, err := tx.exec(row.insert, row.args...); err != nil {
				return err
			}
		}
		return nil
	}))
	check(t, old.Close())
	_, err = Open(ctx, url, Options{ReadOnly: true})
	wantErr(t, err, deploytoken.ErrMisconfigured)
	if !strings.Contains(err.Error(), "older release") {
		t.Errorf("an older schema: %v", err)
	}

	s := open(t, url, "a")
	equal(t, "store ID", s.StoreID(), "abcdefghijkl")
	h := &deploytoken.Holding{ID: "h1", Name: "Ana", PersonID: "U1", Purpose: "Registry", Since: start, SinceKnown: true}
	equal(t, "record", record(t, s), deploytoken.Record{Seq: 7, Holding: h, IntentOpen: true, LastName: "Ana", Observed: start, Unclear: "two names"})
	h0, err := s.Holding(ctx, "h0")
	check(t, err)
	equal(t, "ended holding", *h0, deploytoken.Holding{
		ID: "h0", Name: "Ben", PersonID: "U2", Since: start, SinceKnown: true, Ended: start.Add(time.Hour), EndedByHand: true, Summary: "done", Consent: "Ada agreed",
	})
	c, outcome, err := s.Command(ctx, "e1")
	check(t, err)
	equal(t, "command", *c, deploytoken.Command{
		ID: "e1", Document: doc, Kind: deploytoken.KindRelease, PersonID: "U1", Words: "mended it", Holding: "h1", ChannelID: "C1",
		ResponseURL: "https://hooks.example/1", Message: "1.2", At: start,
	})
	equal(t, "outcome", outcome, deploytoken.Outcome(""))
	i, err := s.ClaimIntent(ctx, doc, time.Minute)
	check(t, err)
	equal(t, "intent", *i, deploytoken.Intent{
		Operation: "op", Document: doc, Command: "e1", Read: "Ana", Written: "Nobody", Batch: deploytoken.Batch{Revision: "r1", Body: []byte("{}")},
		Ends: "h1", Summary: "mended it", Decided: start, Epoch: 4,
	})
	l, ds := claim(t, s, channel, start, 9)
	equal(t, "effects", keys(ds), []string{"retired:h1"})
	equal(t, "the message to edit", ds[0].Edits, deploytoken.Receipt{Channel: "C1", Timestamp: "1.1"})
	check(t, s.Delivered(ctx, l, keys(ds), deploytoken.Receipt{}, nil, start))
	events, err := s.Audit(ctx, AuditFilter{})
	check(t, err)
	equal(t, "audit events", len(events), 1)

	// It takes what is new.
	h.Ended, h.EndedBy, h.Summary = start.Add(time.Hour), "U2", "mended it"
	w := waiter("w1")
	commit(t, s, deploytoken.Change{
		CloseIntent: "op", Epoch: i.Epoch, End: h, Finish: "e1", Outcome: deploytoken.OutcomeForced, Put: []deploytoken.Matter{w},
		Effects: []deploytoken.Effect{about("turn", w)},
	})
	got, err := s.Holding(ctx, "h1")
	check(t, err)
	equal(t, "the holding that ended", got, h)
	equal(t, "record", record(t, s), deploytoken.Record{
		Seq: 8, Observed: start, Unclear: "two names", Matters: deploytoken.Matters{Waiters: []deploytoken.Waiter{*w}},
	})
	_, ds = claim(t, s, channel, start, 9)
	equal(t, "effects", keys(ds), []string{"turn"})
	equal(t, "matter", ds[0].Matter, deploytoken.Matter(w))

	// The way back is there for whoever has to go it by hand.
	p, err = s.provider()
	check(t, err)
	_, err = p.DownTo(ctx, 1)
	check(t, err)
	_, err = p.Up(ctx)
	check(t, err)
	equal(t, "record", record(t, s), deploytoken.Record{Seq: 8, Observed: start, Unclear: "two names"})
}
