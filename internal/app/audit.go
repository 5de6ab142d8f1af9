package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// auditWithin bounds Audit.
const auditWithin = 30 * time.Second

// An AuditQuery says which decisions Audit tells of. The zero value of each
// field leaves that field out of account.
type AuditQuery struct {
	// Person is a Slack user ID, Holding and Command are IDs.
	Person, Holding, Command string
	// Since and Until bound when it was decided: from the one, before the other.
	Since, Until time.Time
	// Limit keeps the latest only.
	Limit int
}

// An AuditEvent is one decision about the configured document.
type AuditEvent struct {
	// At is when it was made, in UTC.
	At time.Time `json:"at"`
	// Seq orders the decisions.
	Seq int64 `json:"seq"`
	// Event is what was decided, such as taken, released, held or changed.
	Event string `json:"event"`
	// Person is the Slack user ID of who asked, or of whom the name in the
	// document means; "" where that is not known.
	Person string `json:"person"`
	// Holding is the ID of the holding that it was about, and Name what stood
	// in the document for it; "" where there was none.
	Holding string `json:"holding"`
	Name    string `json:"name"`
	// Command is the ID that Slack gave the command; "" where there was none.
	Command string `json:"command"`
	// Detail is a sentence, or what was read and written.
	Detail string `json:"detail"`
}

// Audit returns the decisions that the query asks for, in their order. A store
// that the bot has not used yet is ledger's ErrNoStore.
func Audit(ctx context.Context, c *config.Config, q AuditQuery) ([]AuditEvent, error) {
	ctx, cancel := context.WithTimeout(ctx, auditWithin)
	defer cancel()
	store, err := ledger.Open(ctx, c.Store.URL.Reveal(), ledger.Options{ReadOnly: true})
	if errors.Is(err, ledger.ErrNoStore) {
		return nil, fmt.Errorf("%w: the bot makes it when it first starts. Look with the bot's own configuration, and in the folder that it runs in", err)
	}
	if err != nil {
		return nil, err
	}
	defer store.Close()
	records, err := store.Audit(ctx, ledger.AuditFilter{
		Document: c.Google.Document, Person: q.Person, Holding: q.Holding, Command: q.Command,
		Since: q.Since, Until: q.Until, Limit: q.Limit,
	})
	if err != nil {
		return nil, err
	}
	events := make([]AuditEvent, len(records))
	for i, r := range records {
		events[i] = AuditEvent{
			At: r.At, Seq: r.Seq, Event: r.Event, Person: r.Person,
			Holding: r.Holding, Name: r.Name, Command: r.Command, Detail: r.Detail,
		}
	}
	return events, nil
}

// WriteAudit writes decisions, a line each, with times in the zone; or as one
// JSON object a line, whose keys are AuditEvent's.
func WriteAudit(w io.Writer, events []AuditEvent, asJSON bool, zone *time.Location) error {
	if asJSON {
		for _, e := range events {
			if err := writeJSON(w, e); err != nil {
				return err
			}
		}
		return nil
	}
	if len(events) == 0 {
		_, err := fmt.Fprintln(w, "Nothing was decided that fits.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tWHAT\tWHO\tHOLDING\tNAME\tDETAIL")
	for _, e := range events {
		fmt.Fprintln(t, strings.Join([]string{
			e.At.In(zone).Format("2006-01-02 15:04:05"), e.Event, cmp.Or(e.Person, "-"), cmp.Or(e.Holding, "-"),
			cmp.Or(deploytoken.CleanLine(e.Name, 0), "-"), deploytoken.CleanLine(e.Detail, 0),
		}, "\t"))
	}
	return t.Flush()
}
