package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// acceptTTL is how long an accepted command is this owner's before KeepCommands
// must have kept it.
const acceptTTL = 30 * time.Second

// Accept records a command; see deploytoken.Ledger. It is one short
// transaction. An error from SQLite means that the command was not recorded;
// one from PostgreSQL may also mean that its answer was lost, and the command is
// then found by ClaimCommands.
func (s *Store) Accept(ctx context.Context, c deploytoken.Command) (bool, error) {
	if c.ID == "" || c.Document == "" {
		return false, misuse("a command without an ID or a document")
	}
	var inserted int64
	err := s.change(ctx, "record the command", func(t *tx) (err error) {
		subject := c.Subject
		if c.FollowsTake() {
			if subject, err = t.unfinishedTake(c); err != nil {
				return err
			}
		}
		inserted, err = t.exec(`
			INSERT INTO command (id, document, kind, person, words, holding, subject, lasts, channel, response_url, message, ephemeral, at, outcome, finished, owner, until)
			VALUES ($1, $2, $3, $4, $5,
				COALESCE(NULLIF($6, ''), (SELECT id FROM holding WHERE document = $2 AND ended = 0), ''),
				$7, $8, $9, $10, $11, $12, $13, '', 0, $14, {now} + $15)
			ON CONFLICT (id) DO NOTHING`,
			c.ID, c.Document, string(c.Kind), c.PersonID, text(c.Words), c.Holding, text(subject), millis(c.Until),
			c.ChannelID, c.ResponseURL, c.Message, bit(c.Ephemeral), millis(c.At), s.owner, acceptTTL.Milliseconds())
		return err
	})
	return err == nil && inserted == 1, err
}

// unfinishedTake returns the ID of the latest of the asker's commands that may
// yet begin a holding; "" if there is none.
func (t *tx) unfinishedTake(c deploytoken.Command) (id string, err error) {
	rows, err := t.rows(`
		SELECT id, kind FROM command WHERE document = $1 AND person = $2 AND outcome = '' AND id <> $3
		ORDER BY at`, c.Document, c.PersonID, c.ID)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var earlier string
		var kind deploytoken.Kind
		if err := rows.Scan(&earlier, &kind); err != nil {
			return "", err
		}
		if kind.Begins() {
			id = earlier
		}
	}
	return id, rows.Err()
}

// Record returns what is known of the document; see deploytoken.Ledger.
func (s *Store) Record(ctx context.Context, document string) (deploytoken.Record, error) {
	var r deploytoken.Record
	err := s.look(ctx, "read what is known of the document", func(t *tx) error {
		r = deploytoken.Record{}
		var observed int64
		var intent, matters int
		err := t.row(`
			SELECT seq, last_name, observed, unclear,
				(SELECT COUNT(*) FROM intent WHERE intent.document = d.document),
				(SELECT COUNT(*) FROM outbox WHERE outbox.document = d.document AND destination = $2 AND done = 0),
				(SELECT COUNT(*) FROM matter WHERE matter.document = d.document AND ended = 0 AND kind <> $3)
			FROM document d WHERE d.document = $1`, document, deploytoken.ToSheet, string(deploytoken.MatterLook)).
			Scan(&r.Seq, &r.LastName, &observed, &r.Unclear, &intent, &r.PendingRows, &matters)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		r.Observed, r.IntentOpen = moment(observed), intent > 0
		if r.Holding, err = scanHolding(t.row(selectHolding+` WHERE document = $1 AND ended = 0`, document)); err != nil {
			return err
		}
		if matters > 0 {
			r.Matters, err = t.openMatters(document)
		}
		return err
	})
	return r, err
}

// Command returns a command and its outcome; see deploytoken.Ledger.
func (s *Store) Command(ctx context.Context, id string) (*deploytoken.Command, deploytoken.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, outcome, err := scanCommand(s.read.QueryRowContext(ctx, selectCommand+` WHERE id = $1`, id))
	if err != nil {
		return nil, "", s.engine.fault("read the command", err)
	}
	return c, outcome, nil
}

// Holding returns a holding by ID; see deploytoken.Ledger.
func (s *Store) Holding(ctx context.Context, id string) (*deploytoken.Holding, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	h, err := scanHolding(s.read.QueryRowContext(ctx, selectHolding+` WHERE id = $1`, id))
	if err != nil {
		return nil, s.engine.fault("read the holding", err)
	}
	return h, nil
}

// ClaimCommands claims what no owner keeps; see deploytoken.Ledger.
func (s *Store) ClaimCommands(ctx context.Context, document string, limit int, ttl time.Duration) ([]deploytoken.Command, error) {
	var commands []deploytoken.Command
	err := s.change(ctx, "take over commands", func(t *tx) error {
		commands = nil
		// The outer condition on until is looked at again, in PostgreSQL, where
		// another owner was quicker.
		rows, err := t.rows(`
			UPDATE command SET owner = $1, until = {now} + $2
			WHERE `+t.lapsed("command")+` AND id IN (
				SELECT c.id FROM command c
				WHERE c.document = $3 AND c.outcome = '' AND `+t.lapsed("c")+`
					AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.command = c.id)
				ORDER BY c.at, c.id LIMIT $4)
			RETURNING `+commandColumns, s.owner, ttl.Milliseconds(), document, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			c, _, err := scanCommand(rows)
			if err != nil {
				return err
			}
			commands = append(commands, *c)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	sortCommands(commands)
	return commands, nil
}

// KeepCommands keeps commands of this owner; see deploytoken.Ledger.
func (s *Store) KeepCommands(ctx context.Context, ids []string, ttl time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	// In one order, so that no two transactions wait for each other.
	ids = slices.Sorted(slices.Values(ids))
	return s.change(ctx, "keep its commands", func(t *tx) error {
		for _, id := range ids {
			if _, err := t.exec(`UPDATE command SET until = {now} + $1 WHERE id = $2 AND outcome = '' AND owner = $3`,
				ttl.Milliseconds(), id, s.owner); err != nil {
				return err
			}
		}
		return nil
	})
}

// Commit makes the change, all of it or nothing; see deploytoken.Ledger.
func (s *Store) Commit(ctx context.Context, c deploytoken.Change) error {
	if err := checkChange(c); err != nil {
		return err
	}
	return s.change(ctx, "record the change", func(t *tx) error {
		before, after, err := t.advance(c.Document, alters(c))
		if err != nil {
			return err
		}
		if c.IfSeq >= 0 && before != c.IfSeq {
			return deploytoken.ErrStale
		}
		if c.SeqAfter >= after {
			if _, err := t.exec(`UPDATE document SET seq = $1 WHERE document = $2`, c.SeqAfter+1, c.Document); err != nil {
				return err
			}
		}
		if c.CloseIntent != "" {
			n, err := t.exec(`DELETE FROM intent WHERE document = $1 AND operation = $2 AND epoch = $3 AND owner = $4`,
				c.Document, c.CloseIntent, c.Epoch, s.owner)
			if err := one(n, err, deploytoken.ErrNotOwner); err != nil {
				return err
			}
		}
		if c.End != nil {
			if err := t.updateHolding(c.Document, c.End); err != nil {
				return err
			}
			if _, err := t.exec(`UPDATE document SET last_name = '' WHERE document = $1`, c.Document); err != nil {
				return err
			}
		}
		if c.Begin != nil {
			if err := t.insertHolding(c.Document, c.Begin); err != nil {
				return err
			}
		}
		if c.Means != "" {
			n, err := t.exec(`UPDATE command SET holding = $1 WHERE id = $2 AND document = $3 AND outcome = '' AND owner = $4`,
				c.Begin.ID, c.Means, c.Document, s.owner)
			if err := one(n, err, deploytoken.ErrNotOwner); err != nil {
				return err
			}
		}
		if c.Update != nil {
			if err := t.updateHolding(c.Document, c.Update); err != nil {
				return err
			}
		}
		if c.Finish != "" {
			n, err := t.exec(`
				UPDATE command SET outcome = $1, finished = $2, owner = '', until = 0
				WHERE id = $3 AND document = $4 AND outcome = '' AND owner = $5
					AND NOT EXISTS (SELECT 1 FROM intent WHERE command = $3)`,
				string(c.Outcome), millis(c.At), c.Finish, c.Document, s.owner)
			if err := one(n, err, deploytoken.ErrNotOwner); err != nil {
				return err
			}
		}
		if !c.Observed.IsZero() {
			if _, err := t.exec(`UPDATE document SET observed = $1 WHERE document = $2`, millis(c.Observed), c.Document); err != nil {
				return err
			}
		}
		if c.SetUnclear != nil {
			if _, err := t.exec(`UPDATE document SET unclear = $1 WHERE document = $2`, text(*c.SetUnclear), c.Document); err != nil {
				return err
			}
		}
		for _, m := range c.Put {
			if err := t.putMatter(c.Document, m); err != nil {
				return err
			}
		}
		if err := t.insertEffects(c.Document, c.Effects, c.At); err != nil {
			return err
		}
		return t.insertAudit(c.Document, c.Audit)
	})
}

// checkChange refuses a change that no state of the store could take.
func checkChange(c deploytoken.Change) error {
	switch {
	case c.Document == "":
		return misuse("a change of no document")
	case c.At.IsZero():
		return misuse("a change without a time")
	case c.End != nil && c.End.Ended.IsZero():
		return misuse("holding %s is to end, but has no end", c.End.ID)
	case c.Begin != nil && (c.Begin.ID == "" || !c.Begin.Ended.IsZero()):
		return misuse("holding %q can't begin so", c.Begin.ID)
	case c.Means != "" && c.Begin == nil:
		return misuse("command %s can't mean a holding that doesn't begin", c.Means)
	case c.Update != nil && !c.Update.Ended.IsZero():
		return misuse("holding %s is to be updated, but has an end", c.Update.ID)
	case (c.Finish == "") != (c.Outcome == ""):
		return misuse("command %q can't finish with outcome %q", c.Finish, c.Outcome)
	}
	for _, m := range c.Put {
		if m == nil || m.Ref().ID == "" {
			return misuse("a matter without an ID")
		}
	}
	return nil
}

// alters reports whether the change is one of the record. What only ends a
// command, as its refusal does, is none: it must not make those decide again who
// write.
func alters(c deploytoken.Change) bool {
	return c.CloseIntent != "" || c.End != nil || c.Begin != nil || c.Means != "" || c.Update != nil ||
		!c.Observed.IsZero() || c.SeqAfter > 0 || c.SetUnclear != nil || len(c.Put) > 0
}

// advance increments the document's sequence number, if it is to be altered, and
// returns it as it was and as it is. From then on, every other change of the
// document waits for this transaction.
func (t *tx) advance(document string, alter bool) (before, after int64, err error) {
	by := int64(bit(alter))
	err = t.row(`
		INSERT INTO document (document, seq, last_name, observed, unclear) VALUES ($1, $2, '', 0, '')
		ON CONFLICT (document) DO UPDATE SET seq = document.seq + $2
		RETURNING seq`, document, by).Scan(&after)
	return after - by, after, err
}

// insertAudit keeps the events of one decision, which are numbered by the
// document's decisions. The transaction must have the document to itself.
func (t *tx) insertAudit(document string, events []deploytoken.AuditEvent) error {
	if len(events) == 0 {
		return nil
	}
	var seq int64
	if err := t.row(`SELECT COALESCE(MAX(seq), 0) + 1 FROM audit WHERE document = $1`, document).Scan(&seq); err != nil {
		return err
	}
	for i, e := range events {
		if _, err := t.exec(`
			INSERT INTO audit (document, seq, part, at, event, command, holding, person, detail)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			document, seq, i, millis(e.At), e.Event, e.Command, e.Holding, e.Person, text(e.Detail)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) insertHolding(document string, h *deploytoken.Holding) error {
	n, err := t.exec(`
		INSERT INTO holding (`+holdingColumns+`, document)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15
		WHERE NOT EXISTS (SELECT 1 FROM holding WHERE document = $15 AND ended = 0)`,
		h.ID, text(h.Name), h.PersonID, text(h.Purpose), millis(h.Since), bit(h.SinceKnown), bit(h.ByHand), millis(h.Ended),
		bit(h.EndedByHand), h.EndedBy, text(h.Summary), text(h.Consent), millis(h.NextReminder), h.Reminders, document)
	if err := one(n, err, deploytoken.ErrStale); err != nil {
		return err
	}
	written := h.Name
	if h.ByHand {
		written = ""
	}
	_, err = t.exec(`UPDATE document SET last_name = $1 WHERE document = $2`, text(written), document)
	return err
}

// updateHolding changes what may change of the lasting holding.
func (t *tx) updateHolding(document string, h *deploytoken.Holding) error {
	n, err := t.exec(`
		UPDATE holding SET person = $1, consent = $2, next_reminder = $3, reminders = $4, summary = $5, ended = $6, ended_by_hand = $7, ended_by = $8
		WHERE id = $9 AND document = $10 AND ended = 0`,
		h.PersonID, text(h.Consent), millis(h.NextReminder), h.Reminders, text(h.Summary), millis(h.Ended), bit(h.EndedByHand), h.EndedBy, h.ID, document)
	return one(n, err, deploytoken.ErrStale)
}

// one is nil where a statement changed one row, and otherwise where it changed
// none.
func one(n int64, err, otherwise error) error {
	if err == nil && n != 1 {
		return otherwise
	}
	return err
}

const (
	holdingColumns = `id, name, person, purpose, since, since_known, by_hand, ended, ended_by_hand, ended_by, summary, consent, next_reminder, reminders`
	selectHolding  = `SELECT ` + holdingColumns + ` FROM holding`
	commandColumns = `id, document, kind, person, words, holding, subject, lasts, channel, response_url, message, ephemeral, at, outcome`
	selectCommand  = `SELECT ` + commandColumns + ` FROM command`
)

// A scanner is a *sql.Row, or *sql.Rows at one of them.
type scanner interface{ Scan(dest ...any) error }

// scanHolding returns nil where there is no row.
func scanHolding(row scanner) (*deploytoken.Holding, error) {
	var h deploytoken.Holding
	var since, ended, next int64
	var known, byHand, endedByHand int
	err := row.Scan(&h.ID, &h.Name, &h.PersonID, &h.Purpose, &since, &known, &byHand, &ended, &endedByHand, &h.EndedBy,
		&h.Summary, &h.Consent, &next, &h.Reminders)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h.Since, h.Ended, h.NextReminder = moment(since), moment(ended), moment(next)
	h.SinceKnown, h.ByHand, h.EndedByHand = known != 0, byHand != 0, endedByHand != 0
	return &h, nil
}

// scanCommand returns nil where there is no row.
func scanCommand(row scanner) (*deploytoken.Command, deploytoken.Outcome, error) {
	var c deploytoken.Command
	var outcome deploytoken.Outcome
	var lasts, at int64
	var ephemeral int
	err := row.Scan(&c.ID, &c.Document, &c.Kind, &c.PersonID, &c.Words, &c.Holding, &c.Subject, &lasts,
		&c.ChannelID, &c.ResponseURL, &c.Message, &ephemeral, &at, &outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	c.Until, c.At, c.Ephemeral = moment(lasts), moment(at), ephemeral != 0
	return &c, outcome, nil
}

// sortCommands puts the oldest first, as a database need not return what it
// updated in any order.
func sortCommands(commands []deploytoken.Command) {
	slices.SortFunc(commands, func(a, b deploytoken.Command) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID))
	})
}
