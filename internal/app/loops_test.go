package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// TestEvery: what fails or panics is tried again, and said once; what isn't due
// says nothing of whether it works.
func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := &App{log: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, stop := context.WithCancel(t.Context())
		turns := 0
		err := a.every(ctx, time.Second, "counting", func(context.Context) error {
			turns++
			switch turns {
			case 1, 2:
				return errors.New("no fingers")
			case 3:
				return errNotDue
			case 4:
				panic("no hands")
			case 6:
				stop()
			}
			return nil
		})
		if err != nil || turns != 6 {
			t.Errorf("%d turns, %v", turns, err)
		}
		said := log.String()
		for _, want := range []string{"no fingers", "no hands", "loops_test.go", "works again"} {
			if strings.Count(said, "level=ERROR") != 2 || !strings.Contains(said, want) || strings.Index(said, "works again") < strings.Index(said, "no hands") {
				t.Fatalf("the log should say %q, each trouble once, and that it is over:\n%s", want, said)
			}
		}
	})
}

// A wakened ledger counts how often the token's record is read, as a reminder
// begins with that.
type wakened struct {
	*ledger.Store
	times *atomic.Int64
}

func (l wakened) Record(ctx context.Context, document string) (deploytoken.Record, error) {
	l.times.Add(1)
	return l.Store.Record(ctx, document)
}

// TestRemindsThoughTheClockIsSetBack: the schedule goes by what the clock says
// now, not by what it said.
func TestRemindsThoughTheClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "store.db"), ledger.Options{Exclusive: true})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		var ahead atomic.Int64
		ahead.Store(int64(12 * time.Hour))
		clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())).Round(0) }
		var times atomic.Int64
		a := &App{log: slog.New(slog.DiscardHandler), clock: clock, store: store, config: &config.Config{}}
		a.config.Google.Document = "doc"
		a.service = deploytoken.New(deploytoken.Config{Document: unread{}, Ledger: wakened{store, &times}, Channel: "C1", Clock: clock})
		schedule, err := cron.ParseStandard("*/30 * * * *")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- a.remind(ctx, schedule, time.UTC) }()
		time.Sleep(2 * time.Second)
		ahead.Store(0)
		time.Sleep(6 * time.Hour)
		stop()
		if err := <-done; err != nil || times.Load() != 12 {
			t.Errorf("reminded %d times in six hours, want 12 (%v)", times.Load(), err)
		}
	})
}

// unread is a document that nobody reads.
type unread struct{ deploytoken.Document }

func (unread) ID() string { return "doc" }
