package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// OpenIntent opens an intent; see deploytoken.Ledger.
func (s *Store) OpenIntent(ctx context.Context, i deploytoken.Intent, seq int64, ttl time.Duration) (deploytoken.Intent, error) {
	if i.Document == "" || i.Operation == "" || i.Command == "" {
		return deploytoken.Intent{}, misuse("an intent without a document, an operation or a command")
	}
	i.Epoch = 1
	body, err := json.Marshal(i)
	if err != nil {
		return deploytoken.Intent{}, unstorable("the intent", err)
	}
	err = s.change(ctx, "record what it is about to write", func(t *tx) error {
		before, _, err := t.advance(i.Document, true)
		if err != nil {
			return err
		}
		var open int
		if err := t.row(`SELECT COUNT(*) FROM intent WHERE document = $1`, i.Document).Scan(&open); err != nil {
			return err
		}
		if open > 0 {
			return deploytoken.ErrIntentOpen
		}
		if before != seq {
			return deploytoken.ErrStale
		}
		// The command is kept as long as the intent, and locked against being
		// taken over meanwhile.
		n, err := t.exec(`
			UPDATE command SET until = {now} + $1
			WHERE id = $2 AND document = $3 AND outcome = '' AND owner = $4`,
			ttl.Milliseconds(), i.Command, i.Document, s.owner)
		if err := one(n, err, deploytoken.ErrNotOwner); err != nil {
			return err
		}
		_, err = t.exec(`
			INSERT INTO intent (document, operation, command, body, epoch, owner, until)
			VALUES ($1, $2, $3, $4, $5, $6, {now} + $7)`,
			i.Document, i.Operation, i.Command, string(body), i.Epoch, s.owner, ttl.Milliseconds())
		return err
	})
	if err != nil {
		return deploytoken.Intent{}, err
	}
	return i, nil
}

// KeepIntent overwrites the open intent; see deploytoken.Ledger.
func (s *Store) KeepIntent(ctx context.Context, i deploytoken.Intent, ttl time.Duration) error {
	body, err := json.Marshal(i)
	if err != nil {
		return unstorable("the intent", err)
	}
	return s.change(ctx, "record what it is about to write", func(t *tx) error {
		n, err := t.exec(`
			UPDATE intent SET body = $1, until = {now} + $2
			WHERE document = $3 AND operation = $4 AND command = $5 AND epoch = $6 AND owner = $7`,
			string(body), ttl.Milliseconds(), i.Document, i.Operation, i.Command, i.Epoch, s.owner)
		return one(n, err, deploytoken.ErrNotOwner)
	})
}

// ClaimIntent takes the open intent over; see deploytoken.Ledger.
func (s *Store) ClaimIntent(ctx context.Context, document string, ttl time.Duration) (*deploytoken.Intent, error) {
	var intent *deploytoken.Intent
	err := s.change(ctx, "take over an unfinished write", func(t *tx) error {
		intent = nil
		var body string
		var epoch int64
		err := t.row(`
			UPDATE intent SET epoch = epoch + 1, owner = $1, until = {now} + $2
			WHERE document = $3 AND (owner = $1 OR `+t.lapsed("intent")+`)
			RETURNING body, epoch`, s.owner, ttl.Milliseconds(), document).Scan(&body, &epoch)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		var i deploytoken.Intent
		if err := json.Unmarshal([]byte(body), &i); err != nil {
			return fmt.Errorf("decoding the intent: %w", err)
		}
		i.Epoch = epoch
		if _, err := t.exec(`UPDATE command SET owner = $1, until = {now} + $2 WHERE id = $3 AND outcome = ''`,
			s.owner, ttl.Milliseconds(), i.Command); err != nil {
			return err
		}
		intent = &i
		return nil
	})
	if err != nil {
		return nil, err
	}
	return intent, nil
}
