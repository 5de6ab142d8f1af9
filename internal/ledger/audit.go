package ledger

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// An AuditFilter says which audit events to return. The zero value of each
// field leaves that field out of account.
type AuditFilter struct {
	// Document is the document's ID.
	Document string
	// Person is a Slack user ID, Holding and Command are IDs.
	Person, Holding, Command string
	// Since and Until bound when it was decided: from the one, before the other.
	Since, Until time.Time
	// Limit keeps the latest events only.
	Limit int
}

// An AuditRecord is one audit event as it was kept.
type AuditRecord struct {
	// Document is the ID of the document that the decision was about.
	Document string
	// Seq orders the decisions about one document. Several events of one
	// decision have the same.
	Seq int64
	// Name is what the document said of who holds the token, for the event's
	// holding; "" where there is none.
	Name string
	deploytoken.AuditEvent
}

// Audit returns the audit events that the filter lets pass, in the order of
// the decisions.
// Errors: ErrUnavailable.
func (s *Store) Audit(ctx context.Context, f AuditFilter) ([]AuditRecord, error) {
	limit := int64(f.Limit)
	if limit <= 0 {
		limit = math.MaxInt64
	}
	var until int64 = math.MaxInt64
	if !f.Until.IsZero() {
		until = millis(f.Until)
	}
	var records []AuditRecord
	err := s.look(ctx, "read the audit events", func(t *tx) error {
		records = nil
		rows, err := t.rows(`
			SELECT a.document, a.seq, COALESCE(h.name, ''), a.at, a.event, a.command, a.holding, a.person, a.detail
			FROM audit a LEFT JOIN holding h ON h.id = a.holding
			WHERE (a.document = $1 OR $1 = '') AND (a.person = $2 OR $2 = '') AND (a.holding = $3 OR $3 = '')
				AND (a.command = $4 OR $4 = '') AND a.at >= $5 AND a.at < $6
			ORDER BY a.document DESC, a.seq DESC, a.part DESC LIMIT $7`,
			f.Document, f.Person, f.Holding, f.Command, millis(f.Since), until, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r AuditRecord
			var at int64
			if err := rows.Scan(&r.Document, &r.Seq, &r.Name, &at, &r.Event, &r.Command, &r.Holding, &r.Person, &r.Detail); err != nil {
				return err
			}
			r.At = moment(at)
			records = append(records, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(records)
	return records, nil
}
