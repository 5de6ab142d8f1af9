package ledger

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// postgresEngine is PostgreSQL; where says which, without the password.
type postgresEngine struct{ where, user string }

func (s *Store) openPostgres(url string, opts Options) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The error quotes the URL, which may hold a password.
		return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured,
			Message: "The store's URL (store.url or STORE_URL) can't be understood. Write it as postgres://USER@HOST:PORT/DATABASE, with every special character of a name or password percent-encoded; files that it names must be there."}
	}
	config.RuntimeParams["application_name"] = "deploytoken"
	// A replica that has stopped in the middle must not keep the others from
	// what it has locked.
	config.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(aliveFor.Milliseconds(), 10)
	if opts.ReadOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	address := net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	if strings.HasPrefix(config.Host, "/") {
		address = config.Host
	}
	s.engine = postgresEngine{where: fmt.Sprintf("the PostgreSQL database %s on %s", config.Database, address), user: config.User}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.write, s.read = db, db
	return nil
}

func (e postgresEngine) dialect() database.Dialect { return database.DialectPostgres }

func (e postgresEngine) clock() string {
	return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
}

func (e postgresEngine) migrationOptions() ([]goose.ProviderOption, error) {
	// Each second, for a minute.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60), lock.WithUnlockTimeout(1, 10))
	if err != nil {
		return nil, err
	}
	return []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

func (e postgresEngine) place() string { return e.where }

// again is so for a deadlock, a failed serialization, and two transactions that
// inserted the same row (https://www.postgresql.org/docs/current/errcodes-appendix.html),
// and for a connection that the server had closed since it was last used.
func (e postgresEngine) again(err error, begun bool) bool {
	switch code(err) {
	case "40001", "40P01", "23505":
		return true
	}
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	return !unreachable && (!begun || pgconn.SafeToRetry(err))
}

// absent is so for undefined_table.
func (e postgresEngine) absent(err error) bool { return code(err) == "42P01" }

// code is the SQLSTATE of a server's error, or "".
func code(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

func (e postgresEngine) fault(doing string, err error) error {
	if _, ok := errors.AsType[*deploytoken.Fault](err); ok || own(err) {
		return err
	}
	kind, why := deploytoken.ErrUnavailable, "The bot's log says more."
	sqlstate := code(err)
	_, unreachable := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case sqlstate == "28P01", sqlstate == "28000":
		kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("The server refused the user %s: check the name and the password in store.url or STORE_URL, and the server's pg_hba.conf.", e.user)
	case sqlstate == "3D000":
		kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("There is no such database. Create it, owned by %s.", e.user)
	case sqlstate == "42501", sqlstate == "25006":
		kind, why = deploytoken.ErrMisconfigured, fmt.Sprintf("The user %s may not write there. Make it the owner of the database.", e.user)
	case sqlstate == "53300":
		why = "The server has too many connections already: raise its max_connections, or end some."
	case sqlstate == "53100":
		why = "The server's disk is full: make room on it."
	case unreachable || strings.HasPrefix(sqlstate, "57P0") || strings.HasPrefix(sqlstate, "08"):
		why = "The server can't be reached: see that it runs, and that store.url names its address."
	default:
		if err := interrupted(doing, e.where, err); err != nil {
			return err
		}
	}
	return &deploytoken.Fault{Kind: kind, Cause: err,
		Message: fmt.Sprintf("The bot could not %s in %s. %s", doing, e.where, why)}
}
