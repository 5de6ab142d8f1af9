package ledger

import (
	"errors"
	"net/url"
	"strings"
	"testing"

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
