package ledger

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

const (
	// urlLife is for how long Slack takes answers at a response URL.
	urlLife = 30 * time.Minute
	// duplicatesLife is for how long at least finished commands and delivered
	// effects are kept, so that a second copy of one is recognised.
	duplicatesLife = 24 * time.Hour
	// pruneAtOnce is how many of each are removed in one transaction, so that
	// commands don't wait long for their turn, however much there is to remove.
	pruneAtOnce = 500
)

// Prune erases the response URLs that are too old for Slack to take anything
// at, and removes what finished before the given time, so that the store's size
// levels out: commands, matters, and delivered effects with their receipts. It
// keeps whatever finished within the last 24 hours; what an undelivered effect
// refers to; the effects that tell of a holding that lasts or of a matter that
// is not over, preferences and looks aside, which never are; and for good all
// holdings, audit events and effects that were given up. It may be called often.
// Errors: ErrUnavailable.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	now := s.now()
	if latest := now.Add(-duplicatesLife); before.After(latest) {
		before = latest
	}
	for more := true; more; {
		err := s.change(ctx, "tidy up", func(t *tx) error {
			if _, err := t.exec(`UPDATE command SET response_url = '' WHERE response_url <> '' AND at < $1`, now.Add(-urlLife).UnixMilli()); err != nil {
				return err
			}
			commands, err := t.exec(`
				DELETE FROM command WHERE id IN (
					SELECT id FROM command WHERE outcome <> '' AND finished < $1
						AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.command = command.id AND o.done = 0)
					ORDER BY finished LIMIT $2)`, before.UnixMilli(), pruneAtOnce)
			if err != nil {
				return err
			}
			effects, err := t.exec(`
				DELETE FROM outbox WHERE effect IN (
					SELECT effect FROM outbox WHERE done <> 0 AND done < $1 AND given_up = 0
						AND NOT EXISTS (SELECT 1 FROM holding h WHERE h.id = outbox.holding AND h.ended = 0)
						AND NOT EXISTS (SELECT 1 FROM matter m
							WHERE m.document = outbox.document AND m.kind = outbox.matter_kind AND m.id = outbox.matter
								AND m.ended = 0 AND m.kind NOT IN ($3, $4))
						AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.done = 0 AND (o.edits = outbox.effect OR o.thread = outbox.effect))
					ORDER BY done LIMIT $2)`, before.UnixMilli(), pruneAtOnce,
				string(deploytoken.MatterPreference), string(deploytoken.MatterLook))
			if err != nil {
				return err
			}
			matters, err := t.exec(`
				DELETE FROM matter WHERE (document, kind, id) IN (
					SELECT document, kind, id FROM matter WHERE ended <> 0 AND ended < $1
						AND NOT EXISTS (SELECT 1 FROM outbox o
							WHERE o.done = 0 AND o.document = matter.document AND o.matter_kind = matter.kind AND o.matter = matter.id)
					ORDER BY ended LIMIT $2)`, before.UnixMilli(), pruneAtOnce)
			more = commands == pruneAtOnce || effects == pruneAtOnce || matters == pruneAtOnce
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A Backlog is what the outbox still holds of a document for one kind of
// destination.
type Backlog struct {
	// To is "channel", "person", deploytoken.ToSheet or deploytoken.ToSweep.
	To string
	// Waiting counts the effects that are still to be delivered, and Due those
	// of them whose time has come, leaving retries aside.
	Waiting, Due int
	// Oldest is when the oldest of those due was to be delivered; zero where
	// none is due.
	Oldest time.Time
	// Reason is why the latest attempt at that one failed; "" if none has.
	Reason string
	// GivenUp counts the effects that were given up.
	GivenUp int
}

// Pending returns what is still to be delivered of the document's effects, by
// kind of destination, in the order of their names. A kind that nothing waits
// for, and nothing of which was given up, is left out.
// Errors: ErrUnavailable.
func (s *Store) Pending(ctx context.Context, document string) ([]Backlog, error) {
	now := s.now()
	byKind := map[string]*Backlog{}
	err := s.look(ctx, "count what is to be delivered", func(t *tx) error {
		rows, err := t.rows(`
			SELECT destination, not_before, reason, given_up FROM outbox
			WHERE document = $1 AND (done = 0 OR given_up = 1) ORDER BY not_before, attempts DESC, number`, document)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var destination, reason string
			var notBefore int64
			var givenUp int
			if err := rows.Scan(&destination, &notBefore, &reason, &givenUp); err != nil {
				return err
			}
			kind, _, _ := strings.Cut(destination, ":")
			b := byKind[kind]
			if b == nil {
				b = &Backlog{To: kind}
				byKind[kind] = b
			}
			if givenUp != 0 {
				b.GivenUp++
				continue
			}
			b.Waiting++
			if at := moment(notBefore); !at.After(now) {
				if b.Due++; b.Due == 1 {
					b.Oldest, b.Reason = at, reason
				}
			}
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	backlogs := make([]Backlog, 0, len(byKind))
	for _, b := range byKind {
		backlogs = append(backlogs, *b)
	}
	slices.SortFunc(backlogs, func(a, b Backlog) int { return strings.Compare(a.To, b.To) })
	return backlogs, nil
}
