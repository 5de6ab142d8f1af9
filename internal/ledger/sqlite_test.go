package ledger

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

func TestExclusive(t *testing.T) {
	url := ledgertest.SQLite(t)
	path := strings.TrimPrefix(url, "sqlite:")
	s, err := Open(t.Context(), url, Options{Owner: "killed", Exclusive: true})
	check(t, err)
	accept(t, s, "e1")
	accept(t, s, "e2")
	_, err = s.OpenIntent(t.Context(), fullIntent(), 0, time.Hour)
	check(t, err)
	insert(t, s, effect("k1", channel))
	claim(t, s, channel, start, 1)
	_, _, err = s.Lease(t.Context(), "watch", time.Hour)
	check(t, err)

	for _, opts := range []Options{{Exclusive: true}, {}} {
		_, err = Open(t.Context(), url, opts)
		wantErr(t, err, deploytoken.ErrMisconfigured)
		if want := "Another bot serves on " + path; !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	// As if it were killed.
	check(t, errors.Join(s.read.Close(), s.write.Close(), s.lock.Close()))

	// What the one before had claimed is free at once.
	s, err = Open(t.Context(), url, Options{Owner: "next", Exclusive: true})
	check(t, err)
	defer s.Close()
	i, err := s.ClaimIntent(t.Context(), doc, time.Minute)
	check(t, err)
	if i == nil || i.Epoch != 2 {
		t.Errorf("the intent: %+v", i)
	}
	commands, err := s.ClaimCommands(t.Context(), doc, 9, time.Minute)
	check(t, err)
	equal(t, "commands", ids(commands), []string{"e2"})
	l, ds := claim(t, s, channel, start, 1)
	if len(ds) != 1 || ds[0].Attempt != 2 || l.Epoch != 2 {
		t.Errorf("the effect: %+v under %+v", ds, l)
	}
	if l, ok, err := s.Lease(t.Context(), "watch", time.Minute); err != nil || !ok || l.Epoch != 2 {
		t.Errorf("the lease: %+v, %t, %v", l, ok, err)
	}
}

func TestSharedKeepsExclusiveOut(t *testing.T) {
	url := ledgertest.SQLite(t)
	open(t, url, "a")
	open(t, url, "b")
	_, err := Open(t.Context(), url, Options{Exclusive: true})
	wantErr(t, err, deploytoken.ErrMisconfigured)
}

func TestSQLiteFiles(t *testing.T) {
	// A name with what would mean something in a URL.
	path := filepath.Join(t.TempDir(), "a b?mode=memory#%20.db")
	s, err := Open(t.Context(), "sqlite:"+path, Options{Exclusive: true})
	check(t, err)
	accept(t, s, "e1")
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	check(t, err)
	if len(files) != 4 {
		t.Errorf("files while open: %q", files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v", f, info.Mode())
		}
	}
	var mode, synchronous, foreign string
	check(t, s.write.QueryRow(`PRAGMA journal_mode`).Scan(&mode))
	check(t, s.write.QueryRow(`PRAGMA synchronous`).Scan(&synchronous))
	check(t, s.write.QueryRow(`PRAGMA foreign_keys`).Scan(&foreign))
	equal(t, "journal mode, synchronous and foreign keys", []string{mode, synchronous, foreign}, []string{"wal", "2", "1"})
	check(t, s.Close())
	files, err = filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	check(t, err)
	equal(t, "files when closed", files, []string{path, path + ".lock"})
}

func TestSQLiteFaults(t *testing.T) {
	dir := t.TempDir()
	noDB := filepath.Join(dir, "text.db")
	check(t, os.WriteFile(noDB, []byte(strings.Repeat("This is no database.\n", 100)), 0o600))
	cut := filepath.Join(dir, "cut.db")
	s, err := Open(t.Context(), "sqlite:"+cut, Options{})
	check(t, err)
	check(t, s.Close())
	check(t, os.Truncate(cut, 8192))
	for name, c := range map[string]struct{ url, says string }{
		"no directory":    {"sqlite:" + filepath.Join(dir, "none", "x.db"), "Create the directory " + filepath.Join(dir, "none")},
		"a directory":     {"sqlite:" + dir, "store.url must name a file"},
		"under a file":    {"sqlite:" + filepath.Join(noDB, "x.db"), "store.url must name a file"},
		"no database":     {"sqlite:" + noDB, "no SQLite database"},
		"cut off":         {"sqlite:" + cut, "damaged"},
		"nothing":         {"sqlite:", "must name a file"},
		"memory":          {"sqlite::memory:", "must name a file"},
		"slashes":         {"sqlite://x.db", "must name a file"},
		"another engine":  {"mysql://root:hunter2@host/db", "must be sqlite:PATH"},
		"no URL":          {"", "must be sqlite:PATH"},
		"unreadable lock": {"sqlite:" + filepath.Join(lockIsDirectory(t, dir), "x.db"), "could not lock"},
	} {
		for _, opts := range []Options{{}, {ReadOnly: true}} {
			_, err := Open(t.Context(), c.url, opts)
			if opts.ReadOnly && (errors.Is(err, ErrNoStore) || name == "unreadable lock") {
				continue
			}
			fault, ok := errors.AsType[*deploytoken.Fault](err)
			if !ok || !errors.Is(err, deploytoken.ErrMisconfigured) && name != "unreadable lock" || !strings.Contains(fault.Message, c.says) {
				t.Errorf("%s, read only %t: got error %v, want one with %q", name, opts.ReadOnly, err, c.says)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: the error holds the password", name)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a directory was created")
	}
	// Root may write everywhere, so that this can't be had for real.
	denied := sqliteEngine{path: "/x.db"}.fault("create the store", &fs.PathError{Op: "open", Path: "/x.db", Err: fs.ErrPermission})
	wantErr(t, denied, deploytoken.ErrMisconfigured)
}

func lockIsDirectory(t *testing.T, dir string) string {
	t.Helper()
	dir = filepath.Join(dir, "locked")
	check(t, os.MkdirAll(filepath.Join(dir, "x.db.lock"), 0o700))
	return dir
}

// TestKilled kills a process at its work again and again, and looks at what it
// leaves behind.
func TestKilled(t *testing.T) {
	if url := os.Getenv("LEDGER_TEST_WORK"); url != "" {
		work(t, url)
		return
	}
	url := ledgertest.SQLite(t)
	accepted := map[string]bool{}
	for round := range 30 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "LEDGER_TEST_WORK="+url, fmt.Sprint("LEDGER_TEST_ROUND=", round))
		out, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		lines := bufio.NewScanner(out)
		// The moment of the kill is random within the work of one command.
		for left := 1 + rand.IntN(10); left > 0 && lines.Scan(); left-- {
			accepted[strings.TrimPrefix(lines.Text(), "accepted ")] = true
		}
		time.Sleep(rand.N(4 * time.Millisecond))
		check(t, cmd.Process.Kill())
		for lines.Scan() {
			accepted[strings.TrimPrefix(lines.Text(), "accepted ")] = true
		}
		_ = cmd.Wait()

		s, err := Open(t.Context(), url, Options{Exclusive: true})
		check(t, err)
		for id := range accepted {
			c, _, err := s.Command(t.Context(), id)
			check(t, err)
			if c == nil {
				t.Fatalf("round %d: command %q was accepted and is lost", round, id)
			}
		}
		for what, query := range map[string]string{
			"integrity":                             `SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'`,
			"foreign keys":                          `SELECT COUNT(*) FROM pragma_foreign_key_check`,
			"more than one lasting holding":         `SELECT COUNT(*) FROM (SELECT document FROM holding WHERE ended = 0 GROUP BY document HAVING COUNT(*) > 1)`,
			"ended holdings without a row":          `SELECT COUNT(*) FROM holding WHERE ended <> 0 AND NOT EXISTS (SELECT 1 FROM outbox WHERE effect = 'row:' || id)`,
			"rows of lasting holdings":              `SELECT COUNT(*) FROM outbox o JOIN holding h ON o.effect = 'row:' || h.id WHERE h.ended = 0`,
			"ended commands without an answer":      `SELECT COUNT(*) FROM command WHERE outcome <> '' AND NOT EXISTS (SELECT 1 FROM outbox WHERE effect = 'answer:' || id)`,
			"answers to unfinished commands":        `SELECT COUNT(*) FROM command c JOIN outbox o ON o.effect = 'answer:' || c.id WHERE c.outcome = ''`,
			"effects delivered before earlier ones": `SELECT COUNT(*) FROM outbox o WHERE done <> 0 AND EXISTS (SELECT 1 FROM outbox e WHERE e.destination = o.destination AND e.number < o.number AND e.done = 0)`,
			"delivered without an attempt":          `SELECT COUNT(*) FROM outbox WHERE done <> 0 AND attempts = 0`,
			"intents of finished commands":          `SELECT COUNT(*) FROM intent i JOIN command c ON c.id = i.command WHERE c.outcome <> ''`,
			"claims of the dead":                    `SELECT (SELECT COUNT(*) FROM intent WHERE owner <> '') + (SELECT COUNT(*) FROM lease WHERE owner <> '') + (SELECT COUNT(*) FROM command WHERE owner <> '')`,
		} {
			var n int
			check(t, s.read.QueryRow(query).Scan(&n))
			if n != 0 {
				t.Errorf("round %d: %s: %d", round, what, n)
			}
		}
		check(t, s.Close())
	}
	if len(accepted) < 30 {
		t.Errorf("only %d commands were accepted", len(accepted))
	}
}

// work takes and releases the token until it is killed, and says what was
// accepted.
func work(t *testing.T, url string) {
	s, err := Open(t.Context(), url, Options{Exclusive: true})
	check(t, err)
	for n := 0; ; n++ {
		id := fmt.Sprintf("e-%s-%d", os.Getenv("LEDGER_TEST_ROUND"), n)
		accept(t, s, id)
		fmt.Println("accepted " + id)
		if i, err := s.ClaimIntent(t.Context(), doc, time.Minute); err != nil {
			t.Fatal(err)
		} else if i != nil {
			commit(t, s, deploytoken.Change{CloseIntent: i.Operation, Epoch: i.Epoch})
		}
		r := record(t, s)
		i, err := s.OpenIntent(t.Context(), deploytoken.Intent{Document: doc, Operation: "op-" + id, Command: id}, r.Seq, time.Minute)
		check(t, err)
		check(t, s.KeepIntent(t.Context(), i, time.Minute))
		c := deploytoken.Change{
			CloseIntent: i.Operation, Epoch: i.Epoch, Finish: id, Outcome: deploytoken.OutcomeTaken,
			Effects: []deploytoken.Effect{effect("answer:"+id, deploytoken.ToPerson("U1"))},
		}
		if r.Holding == nil {
			c.Begin = holding("h-"+id, "Ana")
		} else {
			c.End, c.Outcome = ended(*r.Holding), deploytoken.OutcomeReleased
			c.Effects = append(c.Effects, effect("row:"+r.Holding.ID, deploytoken.ToSheet))
		}
		commit(t, s, c)
		due, err := s.Due(t.Context(), start)
		check(t, err)
		for _, d := range due {
			l, ds := claim(t, s, d, start, 3)
			check(t, s.Delivered(t.Context(), l, keys(ds), deploytoken.Receipt{}, nil, start))
		}
	}
}
