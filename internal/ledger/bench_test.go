package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

func BenchmarkSQLite(b *testing.B) { benchmark(b, ledgertest.SQLite(b)) }

func BenchmarkPostgres(b *testing.B) { benchmark(b, ledgertest.StartPostgres(b).URL(b)) }

// BenchmarkOpen opens and closes a new SQLite store.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		s, err := Open(b.Context(), ledgertest.SQLite(b), Options{Exclusive: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRetention is four weeks of 200 commands a day, every fourth of which
// takes or releases the token, with what is a week old removed every hour. It
// tells how large the SQLite file is after each week.
func BenchmarkRetention(b *testing.B) {
	for b.Loop() {
		url := ledgertest.SQLite(b)
		began := time.Now()
		now := began
		s, err := Open(b.Context(), url, Options{Exclusive: true, Now: func() time.Time { return now }})
		if err != nil {
			b.Fatal(err)
		}
		const commands, week = 4 * 7 * 200, 7 * 24 * time.Hour
		var open *deploytoken.Holding
		for n := range commands {
			now = began.Add(time.Duration(n) * (4 * week / commands))
			id := fmt.Sprint("e", n)
			if _, err := s.Accept(b.Context(), deploytoken.Command{ID: id, Document: doc, Kind: deploytoken.KindTake, PersonID: "U1", Words: "upgrade the registry", At: now}); err != nil {
				b.Fatal(err)
			}
			c := deploytoken.Change{
				Document: doc, IfSeq: -1, At: now, Finish: id, Outcome: deploytoken.OutcomeHeld,
				Audit:   []deploytoken.AuditEvent{{At: now, Event: "held"}},
				Effects: []deploytoken.Effect{{Key: "answer:" + id, Destination: deploytoken.ToPerson("U1"), Notice: deploytoken.Notice{Kind: deploytoken.NoticeAnswer, Command: id}}},
			}
			if n%4 == 0 {
				if open == nil {
					open = holding("h"+id, "Ana")
					c.Begin = open
				} else {
					c.End, open = ended(*open), nil
					c.Effects = append(c.Effects, deploytoken.Effect{Key: "row:" + id, Destination: deploytoken.ToSheet, Notice: deploytoken.Notice{Kind: deploytoken.NoticeRow}})
				}
				c.Effects = append(c.Effects, deploytoken.Effect{Key: "told:" + id, Destination: channel, Notice: deploytoken.Notice{Kind: deploytoken.NoticeTaken}})
			}
			if err := s.Commit(b.Context(), c); err != nil {
				b.Fatal(err)
			}
			for _, e := range c.Effects {
				l, ds, err := s.Claim(b.Context(), e.Destination, now, 1, time.Minute)
				if err != nil || len(ds) != 1 {
					b.Fatal(len(ds), err)
				}
				if err := s.Delivered(b.Context(), l, []string{e.Key}, deploytoken.Receipt{}, nil, now); err != nil {
					b.Fatal(err)
				}
			}
			if n%8 == 0 {
				if err := s.Prune(b.Context(), now.Add(-week)); err != nil {
					b.Fatal(err)
				}
			}
			if done := n + 1; done%(commands/4) == 0 {
				var pages, size int64
				if err := errors.Join(s.read.QueryRow("PRAGMA page_count").Scan(&pages), s.read.QueryRow("PRAGMA page_size").Scan(&size)); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(pages*size)/(1<<20), fmt.Sprintf("week%d-MiB", done/(commands/4)))
			}
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmark(b *testing.B, url string) {
	s, err := Open(b.Context(), url, Options{Exclusive: true})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n := 0
	accept := func(b *testing.B) string {
		n++
		id := fmt.Sprint("e", n)
		fresh, err := s.Accept(b.Context(), deploytoken.Command{ID: id, Document: doc, Kind: deploytoken.KindTake, PersonID: "U1", At: time.Now()})
		if err != nil || !fresh {
			b.Fatal(fresh, err)
		}
		return id
	}
	b.Run("Accept", func(b *testing.B) {
		for b.Loop() {
			accept(b)
		}
	})
	// What is read of the document several times for each command: first while
	// nobody has anything going, then with a look of 30 findings, and then with
	// the waitlist and the deployments of a busy team.
	const busy = "document-2"
	record := func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Record(b.Context(), busy); err != nil {
				b.Fatal(err)
			}
		}
	}
	put := func(b *testing.B, matters ...deploytoken.Matter) {
		if err := s.Commit(b.Context(), deploytoken.Change{Document: busy, IfSeq: -1, At: start, Put: matters}); err != nil {
			b.Fatal(err)
		}
	}
	put(b)
	b.Run("Record", record)
	b.Run("RecordLook", func(b *testing.B) {
		put(b, busyLook())
		record(b)
	})
	b.Run("RecordBusy", func(b *testing.B) {
		var matters []deploytoken.Matter
		for i := range 10 {
			matters = append(matters, waiter(fmt.Sprint("w", i)))
		}
		look := busyLook()
		for i := range 2 {
			matters = append(matters, &deploytoken.Deployment{ID: fmt.Sprint("d", i), At: start, Report: look.Report})
		}
		for _, f := range look.Report.Checks[0].Findings[:5] {
			matters = append(matters, &deploytoken.Question{ID: f.ID, At: start, Works: []deploytoken.Work{{ID: f.ID, What: f.What}}})
		}
		put(b, matters...)
		record(b)
	})
	// From a command to its answer: four commits and two reads.
	b.Run("Command", func(b *testing.B) {
		ctx, person := b.Context(), deploytoken.ToPerson("U1")
		for b.Loop() {
			id, now := accept(b), time.Now()
			r, err := s.Record(ctx, doc)
			if err != nil {
				b.Fatal(err)
			}
			i, err := s.OpenIntent(ctx, deploytoken.Intent{Document: doc, Operation: "op" + id, Command: id}, r.Seq, time.Minute)
			if err != nil {
				b.Fatal(err)
			}
			c := deploytoken.Change{
				Document: doc, IfSeq: -1, At: now, CloseIntent: i.Operation, Epoch: i.Epoch, Finish: id, Outcome: deploytoken.OutcomeTaken,
				Effects: []deploytoken.Effect{{Key: "answer:" + id, Destination: person, Notice: deploytoken.Notice{Kind: deploytoken.NoticeAnswer, Command: id}}},
			}
			if r.Holding == nil {
				c.Begin = holding("h"+id, "Ana")
			} else {
				c.End = ended(*r.Holding)
			}
			if err := s.Commit(ctx, c); err != nil {
				b.Fatal(err)
			}
			l, ds, err := s.Claim(ctx, person, now, 1, time.Minute)
			if err != nil || len(ds) != 1 {
				b.Fatal(len(ds), err)
			}
			if err := s.Delivered(ctx, l, []string{ds[0].Key}, deploytoken.Receipt{}, nil, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// busyLook is a look that found 30 things running.
func busyLook() *deploytoken.Look {
	check := deploytoken.CheckResult{Check: deploytoken.CheckScrapyd, State: deploytoken.Busy}
	for i := range 30 {
		check.Findings = append(check.Findings, deploytoken.Finding{
			ID: fmt.Sprint("scrapyd ", i), Owner: "jm", OwnerID: "U2", What: "SELECT cached_releases_are_made_of_the_collection(2301) FROM collection",
			Where: "kingfisher_process", Age: time.Hour, Blocks: true,
		})
	}
	return &deploytoken.Look{Report: deploytoken.BusyReport{Checks: []deploytoken.CheckResult{check}, At: start, Took: time.Second}}
}
