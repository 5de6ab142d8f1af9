package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// Lease takes or renews a lease; see deploytoken.Leaser.
func (s *Store) Lease(ctx context.Context, name string, ttl time.Duration) (deploytoken.Lease, bool, error) {
	l := deploytoken.Lease{Name: name}
	var mine bool
	err := s.change(ctx, "agree on who does what", func(t *tx) error {
		err := t.row(`
			INSERT INTO lease (name, owner, epoch, until) VALUES ($1, $2, 1, {now} + $3)
			ON CONFLICT (name) DO UPDATE SET
				epoch = CASE WHEN lease.owner = $2 THEN lease.epoch ELSE lease.epoch + 1 END,
				owner = $2, until = {now} + $3
			WHERE lease.owner = $2 OR `+t.lapsed("lease")+`
			RETURNING epoch`, name, s.owner, ttl.Milliseconds()).Scan(&l.Epoch)
		mine = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || !mine {
		return deploytoken.Lease{}, false, err
	}
	return l, true, nil
}

// Unlease gives a lease back; see deploytoken.Leaser.
func (s *Store) Unlease(ctx context.Context, l deploytoken.Lease) error {
	return s.change(ctx, "agree on who does what", func(t *tx) error {
		_, err := t.unlease(l, s.owner)
		return err
	})
}

// unlease gives the lease back and reports whether it was the owner's.
func (t *tx) unlease(l deploytoken.Lease, owner string) (bool, error) {
	n, err := t.exec(`UPDATE lease SET owner = '', until = 0 WHERE name = $1 AND epoch = $2 AND owner = $3`, l.Name, l.Epoch, owner)
	return n == 1, err
}
