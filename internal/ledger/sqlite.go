package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// lockPatience is how long an SQLite file's lock is waited for: long enough for
// another process to migrate or to stop.
const lockPatience = time.Second

// sqliteEngine is SQLite in the file at path.
type sqliteEngine struct{ path string }

// openSQLite opens the file at path. Writers hold a lock on path.lock for as
// long as they have it open: alone if opts.Exclusive, otherwise shared. Whoever
// comes first migrates, and holds it alone meanwhile.
func (s *Store) openSQLite(ctx context.Context, path string, opts Options) error {
	if path == "" || strings.HasPrefix(path, "//") || strings.HasPrefix(path, ":") {
		return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured,
			Message: "The store's URL (store.url or STORE_URL) must name a file: sqlite:deploytoken.db, or sqlite:/var/lib/deploytoken/deploytoken.db."}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("finding the store %s: %w", path, err)
	}
	e := sqliteEngine{path: abs}
	s.engine = e
	switch info, err := os.Stat(abs); {
	case err == nil && info.IsDir():
		return e.fault("open the store", unix.EISDIR)
	case opts.ReadOnly && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", abs, ErrNoStore)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return e.fault("open the store", err)
	}
	if opts.ReadOnly {
		s.read, err = e.open("ro", 2)
		s.write = s.read
		return err
	}

	// SQLite's own way is to let everybody read the file, and answers' URLs
	// are secrets. Nothing may open and close the file later, for that would
	// end SQLite's locks on it.
	if f, err := os.OpenFile(abs, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrExist) {
		return e.fault("create the store", err)
	}
	if s.lock, err = e.lock(ctx, opts.Exclusive); err != nil {
		return err
	}
	// The same durability for half the waiting; not every system has it.
	_, _ = sqlite.Fdatasync(true)
	if s.write, err = e.open("rw", 1); err != nil {
		return err
	}
	s.read, err = e.open("rw", 4)
	return err
}

// settle keeps the lock in the way that it stays until Close, now that the
// schema is up to date.
func (s *Store) settle(ctx context.Context, opts Options) error {
	if opts.Exclusive {
		// Nobody else can be alive.
		return s.disown(ctx, "")
	}
	return s.engine.(sqliteEngine).await(ctx, s.lock, unix.LOCK_SH)
}

// open makes a pool of at most n connections.
func (e sqliteEngine) open(mode string, n int) (*sql.DB, error) {
	q := url.Values{}
	q.Set("mode", mode)
	q.Set("_txlock", "immediate")
	q.Set("_busy_timeout", "5000")
	q.Set("_foreign_keys", "1")
	q.Set("_synchronous", "FULL")
	q.Set("_dqs", "0")
	// In KiB, for each connection.
	q.Set("_pragma", "cache_size(-512)")
	if n == 1 {
		q.Set("_journal_mode", "WAL")
	} else {
		q.Set("_query_only", "1")
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(e.path), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", e.path, err)
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(time.Minute)
	if n == 1 {
		db.SetConnMaxIdleTime(0)
	}
	return db, nil
}

// lock opens the lock file and locks it: alone, or shared where not exclusive
// and others, who have migrated, share it.
func (e sqliteEngine) lock(ctx context.Context, exclusive bool) (*os.File, error) {
	f, err := os.OpenFile(e.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, e.fault("lock the store", err)
	}
	ways := []int{unix.LOCK_EX, unix.LOCK_SH}
	if exclusive {
		ways = ways[:1]
	}
	if err := e.await(ctx, f, ways...); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// await locks f in the first of the ways that it can, and waits a little for
// whoever has it.
func (e sqliteEngine) await(ctx context.Context, f *os.File, ways ...int) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		for _, way := range ways {
			err := unix.Flock(int(f.Fd()), way|unix.LOCK_NB)
			if err == nil {
				return nil
			}
			if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
				return e.fault("lock the store", fmt.Errorf("locking %s: %w", f.Name(), err))
			}
		}
		select {
		case <-ctx.Done():
			return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: fmt.Sprintf(
				"Another bot serves on %s. Stop that one first, or give this one a store of its own.", e.path)}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (e sqliteEngine) dialect() database.Dialect { return database.DialectSQLite3 }

func (e sqliteEngine) clock() string { return "CAST(unixepoch('subsec') * 1000 AS INTEGER)" }

// migrationOptions are none: the lock file is held meanwhile.
func (e sqliteEngine) migrationOptions() ([]goose.ProviderOption, error) { return nil, nil }

func (e sqliteEngine) place() string { return e.path }

// again is never: one transaction writes at a time, and waits for its turn.
func (e sqliteEngine) again(error, bool) bool { return false }

func (e sqliteEngine) absent(err error) bool {
	se, ok := errors.AsType[*sqlite.Error](err)
	return ok && se.Code() == sqlite3.SQLITE_ERROR
}

func (e sqliteEngine) fault(doing string, err error) error {
	if _, ok := errors.AsType[*deploytoken.Fault](err); ok || own(err) {
		return err
	}
	if err := interrupted(doing, e.path, err); err != nil {
		return err
	}
	kind, why := deploytoken.ErrUnavailable, "The bot's log says more."
	account := "the account that the bot runs as"
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		// The low byte is the primary result code: https://sqlite.org/rescode.html
		switch se.Code() & 0xff {
		case sqlite3.SQLITE_NOTADB:
			kind, why = deploytoken.ErrMisconfigured, "That file is no SQLite database. Move it away, or name another file in store.url."
		case sqlite3.SQLITE_CORRUPT:
			kind, why = deploytoken.ErrMisconfigured, "That file is damaged. Stop the bot, and put a backup in its place or move it away."
		case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY:
			kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("Let %s read and write that file and its directory.", account)
		case sqlite3.SQLITE_FULL:
			why = "The disk is full: make room on it."
		case sqlite3.SQLITE_IOERR:
			why = "The disk could not be read or written: see that it is there, sound and not full."
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			why = "Another process keeps the file locked; if that doesn't pass, end it."
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("Let %s read and write that file and its directory.", account)
	case errors.Is(err, fs.ErrNotExist):
		kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("Create the directory %s, and let %s write to it.", filepath.Dir(e.path), account)
	case errors.Is(err, unix.ENOSPC):
		why = "The disk is full: make room on it."
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EISDIR):
		kind, why = deploytoken.ErrMisconfigured, "store.url must name a file in a directory."
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK):
		kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("The file system there can't lock files (on %s). Use a local disk.", runtime.GOOS)
	}
	return &deploytoken.Fault{Kind: kind, Cause: err,
		Message: fmt.Sprintf("The bot could not %s in %s. %s", doing, e.path, why)}
}
