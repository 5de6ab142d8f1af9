package ledger

import (
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
