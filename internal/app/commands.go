package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/gdoc"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// statusWithin bounds Status.
const statusWithin = 20 * time.Second

// Status reads who holds the token. Where there is a store that can be read, it
// adds what that knows; without one, the document alone tells. Remark says so
// where there is one that can't be read; "" otherwise.
func Status(ctx context.Context, c *config.Config) (st deploytoken.Status, remark string, err error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	google, err := gdoc.NewClient(gdoc.Config{CredentialsFile: c.Google.CredentialsFile, Endpoint: c.Google.Endpoint})
	if err != nil {
		return deploytoken.Status{}, "", err
	}
	defer google.Close()
	document := google.Document(c.Google.Document, c.Google.Label)
	reading, err := document.Read(ctx)
	if err != nil {
		return deploytoken.Status{}, "", err
	}
	var record deploytoken.Record
	store, err := ledger.Open(ctx, c.Store.URL.Reveal(), ledger.Options{ReadOnly: true})
	if err == nil {
		defer store.Close()
		record, err = store.Record(ctx, document.ID())
	}
	if err != nil && !errors.Is(err, ledger.ErrNoStore) {
		// What the store knows is extra: the document says who holds the token.
		record = deploytoken.Record{}
		remark = "the store can't be read, so this is by the document alone: " + deploytoken.Explain(err)
	}
	return deploytoken.StatusOf(reading, record, document.Link()), remark, nil
}

// ChecksWithout returns the names of the busy checks but those that are left
// out, each of which must be one.
func ChecksWithout(left []string) ([]string, error) {
	checks := deploytoken.Checks()
	for _, name := range left {
		if !slices.Contains(deploytoken.Checks(), name) {
			return nil, fmt.Errorf("--without: %q is not one of %s", name, strings.Join(deploytoken.Checks(), ", "))
		}
		checks = slices.DeleteFunc(checks, func(c string) bool { return c == name })
	}
	if len(checks) == 0 {
		return nil, errors.New("--without: that leaves no check to make")
	}
	return checks, nil
}

// Busy makes the named busy checks.
func Busy(ctx context.Context, c *config.Config, checks []string) (deploytoken.BusyReport, error) {
	checker, err := newChecker(c.Kingfisher, nil, nil)
	if err != nil {
		return deploytoken.BusyReport{}, err
	}
	return checker.Busy(ctx, checks, nil), nil
}
