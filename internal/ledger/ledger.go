// Package ledger keeps what must outlive a restart of the bot: commands,
// intents, holdings, matters, audit events, leases and the outbox. It stores,
// and never decides.
//
// State lives in a SQL database: SQLite, in one file beside which a lock file
// keeps a second writer out, or PostgreSQL, where several replicas share it.
// Both have one schema and one set of queries. Three things order what happens
// at once:
//
//   - Whatever changes the record of a document first increments its sequence
//     number, so that such transactions wait for each other. What ends a command
//     and changes nothing waits too, but leaves the number.
//   - The effects of one destination are numbered by a counter of its own, so
//     that the order of numbers is the order of commits.
//   - Claims and leases carry their owner, and end by the database's clock:
//     with their time, or seconds after their owner's last sign of life.
//
// Times are kept to the millisecond and returned in UTC.
package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// ErrNoStore: there is nothing yet to read, as the bot hasn't run with this
// store. Only Open with Options.ReadOnly returns it.
var ErrNoStore = errors.New("no store yet")

// Options say how a store is opened.
type Options struct {
	// Owner names this process in claims and leases. It must be unique to it
	// and not be used again by a later one. "" stands for a random one.
	Owner string
	// Exclusive keeps every other writer out of an SQLite file for as long as
	// the store is open, and takes back at once what a killed process had
	// claimed. It means nothing to PostgreSQL, where that takes some seconds.
	Exclusive bool
	// ReadOnly opens the store for reading beside whoever writes to it. It
	// neither creates nor migrates: a store that isn't there is ErrNoStore.
	ReadOnly bool
	// Now is the clock for what isn't a matter of leases: the age of response
	// URLs and of what Prune removes. nil stands for time.Now.
	Now func() time.Time
}

// A Store is a deploytoken.Ledger, Outbox and Leaser over a SQL database. It is
// safe for use by many goroutines at once.
type Store struct {
	engine engine
	// write and read are the same pool for PostgreSQL. For SQLite, write has
	// one connection, as one transaction at a time can write.
	write, read *sql.DB
	// lock is the lock file beside an SQLite file; nil for PostgreSQL and for
	// reading.
	lock     *os.File
	owner    string
	readOnly bool
	id       string
	now      func() time.Time
	pulse    pulse
}

var (
	_ deploytoken.Ledger = (*Store)(nil)
	_ deploytoken.Outbox = (*Store)(nil)
	_ deploytoken.Leaser = (*Store)(nil)
)

// An engine is what differs between the databases.
type engine interface {
	// dialect is goose's name of the database.
	dialect() database.Dialect
	// clock is the SQL expression for the database's time, in milliseconds.
	clock() string
	// migrationOptions make concurrent migrations safe.
	migrationOptions() ([]goose.ProviderOption, error)
	// fault translates an error of the driver; doing says what was being done.
	fault(doing string, err error) error
	// again reports whether a transaction that failed so, before or after it had
	// begun, may be tried again.
	again(err error, begun bool) bool
	// absent reports whether err says that a table is not there.
	absent(err error) bool
	// place names the store for people, without a password.
	place() string
}

// Open opens the store at url, "sqlite:PATH" or "postgres://…", creating and
// migrating it as needed. Several processes may do so at once.
//
// Errors: ErrUnavailable and ErrMisconfigured, as *deploytoken.Fault; ErrNoStore.
// None of them holds the URL's password.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	s := &Store{
		owner:    cmp.Or(opts.Owner, rand.Text()),
		readOnly: opts.ReadOnly,
		now:      opts.Now,
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	switch scheme, rest, _ := strings.Cut(url, ":"); scheme {
	case "sqlite":
		err = s.openSQLite(ctx, rest, opts)
	case "postgres", "postgresql":
		err = s.openPostgres(url, opts)
	default:
		err = &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured,
			Message: "The store's URL (store.url or STORE_URL) must be sqlite:PATH or postgres://USER@HOST/DATABASE."}
	}
	if err == nil {
		err = s.prepare(ctx, opts)
	}
	switch {
	case err != nil:
	case s.lock != nil:
		err = s.settle(ctx, opts)
	case !s.readOnly:
		err = s.startPulse(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives back what this owner has claimed, as far as that is possible
// within two seconds, closes the store and gives its lock back.
func (s *Store) Close() error {
	s.stopPulse()
	if s.id != "" && !s.readOnly {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		// What can't be given back ends with its time.
		_ = s.disown(ctx, s.owner)
		cancel()
	}
	var errs []error
	// The writer goes last, so that SQLite tidies its log up.
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// disown ends all claims and leases of the owner, or of everybody for "".
func (s *Store) disown(ctx context.Context, owner string) error {
	return s.change(ctx, "give back what was claimed", func(t *tx) error {
		for _, query := range []string{
			`UPDATE command SET owner = '', until = 0 WHERE outcome = '' AND owner <> '' AND (owner = $1 OR $1 = '')`,
			`UPDATE intent SET owner = '', until = 0 WHERE owner <> '' AND (owner = $1 OR $1 = '')`,
			`UPDATE lease SET owner = '', until = 0 WHERE owner <> '' AND (owner = $1 OR $1 = '')`,
		} {
			if _, err := t.exec(query, owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// StoreID is the store's ID: 12 random characters of a to z and 2 to 7, made
// when the store was.
func (s *Store) StoreID() string { return s.id }

// Ping reports whether the store can be reached.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, `SELECT only_row FROM store`).Scan(&one); err != nil {
		return s.engine.fault("look whether the store can be read", err)
	}
	return nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// versionTable is where goose records the migrations that have been applied.
const versionTable = "schema_version"

// prepare brings the schema up to date, or checks that it is, and learns the
// store's ID.
func (s *Store) prepare(ctx context.Context, opts Options) error {
	const doing = "set the store up"
	if opts.ReadOnly {
		if err := s.checkVersion(ctx); err != nil {
			return err
		}
	} else {
		if err := s.migrate(ctx); err != nil {
			return err
		}
		id := strings.ToLower(rand.Text()[:12])
		if _, err := s.write.ExecContext(ctx, `INSERT INTO store (only_row, id) VALUES (1, $1) ON CONFLICT (only_row) DO NOTHING`, id); err != nil {
			return s.engine.fault(doing, err)
		}
	}
	if err := s.read.QueryRowContext(ctx, `SELECT id FROM store`).Scan(&s.id); err != nil {
		if opts.ReadOnly && errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%s: %w", s.engine.place(), ErrNoStore)
		}
		return s.engine.fault(doing, err)
	}
	return nil
}

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	opts, err := s.engine.migrationOptions()
	if err != nil {
		return nil, err
	}
	opts = append(opts, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	return goose.NewProvider(s.engine.dialect(), s.write, files, opts...)
}

func (s *Store) migrate(ctx context.Context) error {
	const doing = "bring the store up to date with this release"
	p, err := s.provider()
	if err != nil {
		return fmt.Errorf("reading the store's migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return s.engine.fault(doing, err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return s.engine.fault(doing, err)
	}
	if current > target {
		return s.newer()
	}
	return nil
}

// checkVersion refuses to read a schema other than this build's. It changes
// nothing, unlike goose's own look at the version.
func (s *Store) checkVersion(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return fmt.Errorf("reading the store's migrations: %w", err)
	}
	sources := p.ListSources()
	target := sources[len(sources)-1].Version
	var current sql.NullInt64
	err = s.read.QueryRowContext(ctx, `SELECT MAX(version_id) FROM `+versionTable).Scan(&current)
	switch {
	case err != nil && s.engine.absent(err), err == nil && current.Int64 == 0:
		return fmt.Errorf("%s: %w", s.engine.place(), ErrNoStore)
	case err != nil:
		return s.engine.fault("read the store", err)
	case current.Int64 > target:
		return s.newer()
	case current.Int64 < target:
		return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: fmt.Sprintf(
			"The store %s was last used by an older release of the bot. Start the bot of this release once; that brings the store up to date.", s.engine.place())}
	}
	return nil
}

func (s *Store) newer() error {
	return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: fmt.Sprintf(
		"The store %s was last used by a newer release of the bot. Run that release or a later one, or use another store.", s.engine.place())}
}

// answerWithin bounds every transaction: a server that has gone away without a
// word would be waited for much longer.
const answerWithin = 10 * time.Second

// attempts bounds how often a transaction is tried that the database broke off
// for another's sake.
const attempts = 8

// change runs f in a transaction that writes; doing says for people what it is
// for. What f returns of this package's and the ports' own errors comes back as
// it is; the driver's are translated.
func (s *Store) change(ctx context.Context, doing string, f func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.transact(ctx, s.write, nil, doing, f)
}

// look runs f in a transaction that reads one state of the store.
func (s *Store) look(ctx context.Context, doing string, f func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.transact(ctx, s.read, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, doing, f)
}

// transact runs f in a transaction, again where that may help.
func (s *Store) transact(ctx context.Context, db *sql.DB, opts *sql.TxOptions, doing string, f func(*tx) error) error {
	for attempt := 1; ; attempt++ {
		begun, err := s.try(ctx, db, opts, f)
		switch {
		case err == nil:
			return nil
		case !s.engine.again(err, begun) || attempt == attempts:
			return s.engine.fault(doing, err)
		}
		select {
		case <-ctx.Done():
			return s.engine.fault(doing, ctx.Err())
		case <-time.After(time.Duration(attempt) * 5 * time.Millisecond):
		}
	}
}

func (s *Store) try(ctx context.Context, db *sql.DB, opts *sql.TxOptions, f func(*tx) error) (begun bool, err error) {
	defer func() {
		// The end of the context breaks off what is under way in several ways.
		if err != nil && ctx.Err() != nil && !own(err) {
			err = errors.Join(ctx.Err(), err)
		}
	}()
	t, err := db.BeginTx(ctx, opts)
	if err != nil {
		return false, err
	}
	defer t.Rollback()
	if err := f(&tx{Tx: t, ctx: ctx, clock: s.engine.clock(), steady: s.steady()}); err != nil {
		return true, err
	}
	return true, t.Commit()
}

// A tx is a transaction with its context. In its queries, {now} stands for the
// database's clock.
type tx struct {
	*sql.Tx
	ctx   context.Context
	clock string
	// steady is whether the lack of an owner's signs of life means its death.
	steady bool
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	r, err := t.ExecContext(t.ctx, withClock(query, t.clock), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *tx) row(query string, args ...any) *sql.Row {
	return t.QueryRowContext(t.ctx, withClock(query, t.clock), args...)
}

func (t *tx) rows(query string, args ...any) (*sql.Rows, error) {
	return t.QueryContext(t.ctx, withClock(query, t.clock), args...)
}

func withClock(query, clock string) string { return strings.ReplaceAll(query, "{now}", clock) }

// millis is how a time is stored: 0 where it is zero.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the time that millis stored.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// bit is how a boolean is stored.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// text is how what people or services wrote is stored: PostgreSQL takes neither
// invalid UTF-8 nor a zero byte.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// own reports whether err is an error of the ports or of this package, which
// needs no translation.
func own(err error) bool {
	for _, e := range []error{deploytoken.ErrStale, deploytoken.ErrIntentOpen, deploytoken.ErrNotOwner, errMisuse, errNothing, ErrNoStore} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// errNothing ends a transaction that finds nothing to do, so that it leaves
// nothing behind.
var errNothing = errors.New("nothing to do")

// errMisuse: the caller asked for something that makes no sense.
var errMisuse = errors.New("the ledger was misused")

func misuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMisuse, fmt.Sprintf(format, args...))
}

// unstorable says that a thing can't be put into the store's form, however often
// it is tried.
func unstorable(what string, err error) error {
	return fmt.Errorf("%w: %s can't be stored: %w", errMisuse, what, err)
}

// interrupted translates the end of a context, which both drivers return as it
// is or wrapped.
func interrupted(doing, place string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Cause: err,
			Message: fmt.Sprintf("The bot could not %s in time: its store %s did not answer soon enough. Try again in a minute.", doing, place)}
	}
	return nil
}
