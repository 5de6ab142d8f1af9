package ledger

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

func testPostgresFaults(t *testing.T, server *ledgertest.Postgres) {
	secret := "se%cret/" + server.Password
	with := func(user, password, host, database string) string {
		return (&url.URL{Scheme: "postgresql", User: url.UserPassword(user, password), Host: host, Path: database}).String()
	}
	for name, c := range map[string]struct {
		url, says string
		kind      error
	}{
		"password":    {with("postgres", secret, server.Address, "postgres"), "refused the user postgres", deploytoken.ErrMisconfigured},
		"user":        {with("nobody", secret, server.Address, "postgres"), "refused the user nobody", deploytoken.ErrMisconfigured},
		"database":    {with("postgres", server.Password, server.Address, "none"), "no such database", deploytoken.ErrMisconfigured},
		"port":        {with("postgres", secret, "127.0.0.1:1", "postgres"), "can't be reached", deploytoken.ErrUnavailable},
		"unparseable": {"postgres://postgres:" + secret + "@host:port/db", "store.url", deploytoken.ErrMisconfigured},
		"parameter":   {with("postgres", secret, server.Address, "postgres") + "?sslmode=no", "store.url", deploytoken.ErrMisconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), c.url, Options{})
			fault, ok := errors.AsType[*deploytoken.Fault](err)
			if !ok || !errors.Is(err, c.kind) || !strings.Contains(fault.Message, c.says) {
				t.Errorf("got error %v, want %v with %q", err, c.kind, c.says)
			}
			if strings.Contains(err.Error(), server.Password) || strings.Contains(err.Error(), "se%cret") {
				t.Error("the error holds the password")
			}
		})
	}
}

// testDeath: what a replica that dies had claimed is free within seconds, for
// whom has seen the database meanwhile, and what it writes later is refused.
func testDeath(t *testing.T, server *ledgertest.Postgres) {
	ctx := t.Context()
	url := server.URL(t)
	a, b := open(t, url, "a"), open(t, url, "b")
	accept(t, a, "e1")
	intent, err := a.OpenIntent(ctx, fullIntent(), 0, time.Hour)
	check(t, err)
	accept(t, a, "e2")
	check(t, a.KeepCommands(ctx, []string{"e2"}, time.Hour))
	insert(t, a, effect("k1", channel))
	mine, _, err := a.Claim(ctx, channel, start, 1, time.Hour)
	check(t, err)
	_, _, err = a.Lease(ctx, "watch", time.Hour)
	check(t, err)

	// taken is what an owner can take over.
	taken := func(s *Store) (what []string) {
		i, err := s.ClaimIntent(ctx, doc, time.Hour)
		check(t, err)
		if i != nil {
			what = append(what, "intent "+i.Operation)
		}
		commands, err := s.ClaimCommands(ctx, doc, 9, time.Hour)
		check(t, err)
		what = append(what, ids(commands)...)
		if _, mine, err := s.Lease(ctx, "watch", time.Hour); err != nil {
			t.Fatal(err)
		} else if mine {
			what = append(what, "watch")
		}
		due, err := s.Due(ctx, start)
		check(t, err)
		for _, d := range due {
			_, ds, err := s.Claim(ctx, d, start, 1, time.Hour)
			check(t, err)
			what = append(what, keys(ds)...)
		}
		return what
	}
	await(t, "steadiness", b.steady)
	equal(t, "taken from the living", taken(b), []string(nil))
	if held, err := a.Holds(ctx, mine); err != nil || !held {
		t.Errorf("held by the living: %t, %v", held, err)
	}

	a.stopPulse()
	var got []string
	await(t, "a's death", func() bool {
		for _, w := range taken(b) {
			// A lease and an intent are their owner's to take again.
			if !slices.Contains(got, w) {
				got = append(got, w)
			}
		}
		return len(got) >= 4
	})
	// The death may be noticed between two of these.
	slices.Sort(got)
	equal(t, "taken from the dead", got, []string{"e2", "intent " + intent.Operation, "k1", "watch"})
	if held, err := a.Holds(ctx, mine); err != nil || held {
		t.Errorf("held by the dead: %t, %v", held, err)
	}
	wantErr(t, a.Delivered(ctx, mine, []string{"k1"}, deploytoken.Receipt{}, nil, start), deploytoken.ErrNotOwner)
	wantErr(t, a.KeepIntent(ctx, intent, time.Hour), deploytoken.ErrNotOwner)

	// Who comes anew can't tell the dead from those who could not reach the
	// database either.
	b.stopPulse()
	await(t, "b's death", func() bool {
		var alive int
		check(t, a.look(ctx, "count", func(t *tx) error {
			return t.row(`SELECT COUNT(*) FROM lease WHERE name LIKE '` + lives + `%' AND until > {now}`).Scan(&alive)
		}))
		return alive == 0
	})
	c := open(t, url, "c")
	if early := taken(c); len(early) > 0 && !c.steady() {
		t.Errorf("taken at once: %v", early)
	}
	check(t, c.Prune(ctx, start))
}

// testStopped: a replica that stops in the middle of a transaction keeps the
// others waiting for seconds only, and its transaction comes to nothing.
func testStopped(t *testing.T, server *ledgertest.Postgres) {
	url := server.URL(t)
	a, b := open(t, url, "a"), open(t, url, "b")
	commit(t, a, deploytoken.Change{Observed: start})
	held, goOn, stopped := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		stopped <- a.change(context.Background(), "stop in the middle", func(tx *tx) error {
			if _, _, err := tx.advance(doc, true); err != nil {
				return err
			}
			close(held)
			<-goOn
			return nil
		})
	}()
	<-held
	commit(t, b, deploytoken.Change{Observed: start})
	close(goOn)
	wantErr(t, <-stopped, deploytoken.ErrUnavailable)
	equal(t, "seq", record(t, b).Seq, int64(2))
}

func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
