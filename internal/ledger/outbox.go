package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// deliveries is what the names of the leases on destinations begin with.
const deliveries = "deliver "

// isDue is an SQL condition on effects of the table of that name: that their
// time has come. The placeholder now is for the time in milliseconds, and late
// for that of deploytoken.MaxPause later. What never had to wait is due by any
// clock.
func isDue(table, now, late string) string {
	return fmt.Sprintf(`(%[1]s.due <= %[2]s OR %[1]s.due = %[1]s.inserted OR %[1]s.due > %[3]s AND %[1]s.due <> %[1]s.not_before)`, table, now, late)
}

// Due lists the destinations to deliver to; see deploytoken.Outbox.
func (s *Store) Due(ctx context.Context, now time.Time) ([]string, error) {
	var due []string
	err := s.look(ctx, "look for what is to be delivered", func(t *tx) error {
		due = nil
		rows, err := t.rows(`
			SELECT o.destination FROM outbox o
			WHERE o.done = 0 AND `+isDue("o", "$1", "$3")+`
				AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.destination = o.destination AND e.done = 0 AND e.number < o.number)
				AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.name = $2 || o.destination AND NOT `+t.lapsed("l")+`)
			ORDER BY o.due, o.destination`, now.UnixMilli(), deliveries, now.Add(deploytoken.MaxPause).UnixMilli())
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var destination string
			if err := rows.Scan(&destination); err != nil {
				return err
			}
			due = append(due, destination)
		}
		return rows.Err()
	})
	return due, err
}

// Claim claims a destination's first effects; see deploytoken.Outbox. The
// attempts of those that Delivered or Failed then doesn't name are not counted.
func (s *Store) Claim(ctx context.Context, destination string, now time.Time, limit int, ttl time.Duration) (deploytoken.Lease, []deploytoken.Delivery, error) {
	lease := deploytoken.Lease{Name: deliveries + destination}
	var claimed []deploytoken.Delivery
	err := s.change(ctx, "look for what is to be delivered", func(t *tx) error {
		err := t.row(`
			INSERT INTO lease (name, owner, epoch, until) VALUES ($1, $2, 1, {now} + $3)
			ON CONFLICT (name) DO UPDATE SET epoch = lease.epoch + 1, owner = $2, until = {now} + $3
			WHERE `+t.lapsed("lease")+`
			RETURNING epoch`, lease.Name, s.owner, ttl.Milliseconds()).Scan(&lease.Epoch)
		if errors.Is(err, sql.ErrNoRows) {
			return errNothing
		}
		if err != nil {
			return err
		}
		if claimed, err = t.firstDue(destination, now, limit); err != nil {
			return err
		}
		if len(claimed) == 0 {
			return errNothing
		}
		for i := range claimed {
			d := &claimed[i]
			if _, err := t.exec(`UPDATE outbox SET attempts = attempts + 1, claim = $1 WHERE effect = $2`, lease.Epoch, d.Key); err != nil {
				return err
			}
			if err := t.fill(d); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errNothing):
		return deploytoken.Lease{}, nil, nil
	case err != nil:
		return deploytoken.Lease{}, nil, err
	}
	return lease, claimed, nil
}

// firstDue returns the destination's first undelivered effects up to the first
// that isn't due, their attempts counting this one.
func (t *tx) firstDue(destination string, now time.Time, limit int) ([]deploytoken.Delivery, error) {
	rows, err := t.rows(`
		SELECT effect, notice, attempts, inserted, CASE WHEN `+isDue("outbox", "$3", "$4")+` THEN 1 ELSE 0 END FROM outbox
		WHERE destination = $1 AND done = 0 ORDER BY number LIMIT $2`,
		destination, limit, now.UnixMilli(), now.Add(deploytoken.MaxPause).UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var first []deploytoken.Delivery
	for rows.Next() {
		d := deploytoken.Delivery{Destination: destination, At: now}
		var notice string
		var inserted int64
		var due int
		if err := rows.Scan(&d.Key, &notice, &d.Attempt, &inserted, &due); err != nil {
			return nil, err
		}
		if due == 0 {
			break
		}
		if err := json.Unmarshal([]byte(notice), &d.Notice); err != nil {
			return nil, fmt.Errorf("decoding the notice of %s: %w", d.Key, err)
		}
		d.Attempt++
		d.Inserted = moment(inserted)
		first = append(first, d)
	}
	return first, rows.Err()
}

// fill looks up what the delivery's notice refers to.
func (t *tx) fill(d *deploytoken.Delivery) error {
	var err error
	if id := d.Notice.Holding; id != "" {
		if d.Holding, err = scanHolding(t.row(selectHolding+` WHERE id = $1`, id)); err != nil {
			return err
		}
	}
	if id := d.Notice.Previous; id != "" {
		if d.Previous, err = scanHolding(t.row(selectHolding+` WHERE id = $1`, id)); err != nil {
			return err
		}
	}
	if id := d.Notice.Command; id != "" {
		if d.Command, _, err = scanCommand(t.row(selectCommand+` WHERE id = $1`, id)); err != nil {
			return err
		}
	}
	if d.Notice.Matter != nil {
		if d.Matter, err = scanMatter(t.row(`
			SELECT m.kind, m.body FROM outbox o JOIN matter m ON m.document = o.document AND m.kind = o.matter_kind AND m.id = o.matter
			WHERE o.effect = $1`, d.Key)); err != nil {
			return err
		}
	}
	if d.Edits, err = t.receipt(d.Notice.Edits); err != nil {
		return err
	}
	d.Thread, err = t.receipt(d.Notice.Thread)
	return err
}

// receipt returns where the effect's message stands; zero where it doesn't.
func (t *tx) receipt(effect string) (r deploytoken.Receipt, err error) {
	if effect == "" {
		return r, nil
	}
	err = t.row(`SELECT channel, message FROM outbox WHERE effect = $1`, effect).Scan(&r.Channel, &r.Timestamp)
	if errors.Is(err, sql.ErrNoRows) {
		return deploytoken.Receipt{}, nil
	}
	return r, err
}

// Holds reports whether a claim is this owner's still; see deploytoken.Outbox.
func (s *Store) Holds(ctx context.Context, l deploytoken.Lease) (held bool, err error) {
	err = s.look(ctx, "look who delivers", func(t *tx) error {
		return t.row(`SELECT EXISTS (SELECT 1 FROM lease WHERE name = $1 AND epoch = $2 AND owner = $3)`, l.Name, l.Epoch, s.owner).Scan(&held)
	})
	return held, err
}

// Delivered records what was delivered; see deploytoken.Outbox.
func (s *Store) Delivered(ctx context.Context, l deploytoken.Lease, done []string, r deploytoken.Receipt, follow []deploytoken.Effect, now time.Time) error {
	if len(done) == 0 && len(follow) > 0 {
		return misuse("effects that follow of nothing")
	}
	return s.change(ctx, "record what was delivered", func(t *tx) error {
		destination, err := t.endClaim(l, s.owner)
		if err != nil {
			return err
		}
		var document string
		for _, key := range done {
			var command string
			err := t.row(`
				UPDATE outbox SET done = $1, channel = $2, message = $3
				WHERE effect = $4 AND claim = $5
					AND number = (SELECT MIN(number) FROM outbox WHERE destination = $6 AND done = 0)
				RETURNING document, CASE kind WHEN $7 THEN command ELSE '' END`,
				now.UnixMilli(), r.Channel, r.Timestamp, key, l.Epoch, destination, string(deploytoken.NoticeAnswer)).Scan(&document, &command)
			if errors.Is(err, sql.ErrNoRows) {
				return misuse("%s was not claimed, or was not the first to deliver to %s", key, destination)
			}
			if err != nil {
				return err
			}
			if err := t.eraseURL(command); err != nil {
				return err
			}
			r = deploytoken.Receipt{}
		}
		if err := t.uncount(destination, l); err != nil {
			return err
		}
		return t.insertEffects(document, follow, now)
	})
}

// Failed records a failed delivery; see deploytoken.Outbox.
func (s *Store) Failed(ctx context.Context, l deploytoken.Lease, key string, reason string, again time.Time, follow []deploytoken.Effect) error {
	now := s.now()
	return s.change(ctx, "record what could not be delivered", func(t *tx) error {
		destination, err := t.endClaim(l, s.owner)
		if err != nil {
			return err
		}
		var givenUp time.Time
		if again.IsZero() {
			givenUp = now
		}
		var document, command string
		err = t.row(`
			UPDATE outbox SET due = $1, reason = $2, done = $3, given_up = $4, claim = 0
			WHERE effect = $5 AND destination = $6 AND claim = $7 AND done = 0
			RETURNING document, CASE WHEN given_up = 1 AND kind = $8 THEN command ELSE '' END`,
			millis(again), text(reason), millis(givenUp), bit(again.IsZero()), key, destination, l.Epoch, string(deploytoken.NoticeAnswer)).
			Scan(&document, &command)
		if errors.Is(err, sql.ErrNoRows) {
			return misuse("%s was not claimed", key)
		}
		if err != nil {
			return err
		}
		if err := t.eraseURL(command); err != nil {
			return err
		}
		if err := t.uncount(destination, l); err != nil {
			return err
		}
		return t.insertEffects(document, follow, now)
	})
}

// endClaim gives the lease back and returns the destination that it was on.
func (t *tx) endClaim(l deploytoken.Lease, owner string) (string, error) {
	destination, ok := strings.CutPrefix(l.Name, deliveries)
	if !ok {
		return "", misuse("%s is no lease on a destination", l.Name)
	}
	mine, err := t.unlease(l, owner)
	if err == nil && !mine {
		err = deploytoken.ErrNotOwner
	}
	return destination, err
}

// uncount takes back the attempts that a claim counted and that were not made.
func (t *tx) uncount(destination string, l deploytoken.Lease) error {
	_, err := t.exec(`UPDATE outbox SET attempts = attempts - 1, claim = 0 WHERE destination = $1 AND done = 0 AND claim = $2`, destination, l.Epoch)
	return err
}

// eraseURL erases the response URL of an answered command.
func (t *tx) eraseURL(command string) error {
	if command == "" {
		return nil
	}
	_, err := t.exec(`UPDATE command SET response_url = '' WHERE id = $1`, command)
	return err
}

// insertEffects inserts the effects that aren't there yet, in order for each
// destination. The destinations' counters are taken in one order, so that no
// two transactions wait for each other.
func (t *tx) insertEffects(document string, effects []deploytoken.Effect, now time.Time) error {
	effects = slices.Clone(effects)
	slices.SortStableFunc(effects, func(a, b deploytoken.Effect) int { return cmp.Compare(a.Destination, b.Destination) })
	for _, e := range effects {
		if e.Key == "" || e.Destination == "" {
			return misuse("an effect without a key or a destination")
		}
		notice, err := json.Marshal(e.Notice)
		if err != nil {
			return unstorable("the notice of "+e.Key, err)
		}
		var number int64
		if err := t.row(`
			INSERT INTO destination (destination, last_number) VALUES ($1, 1)
			ON CONFLICT (destination) DO UPDATE SET last_number = destination.last_number + 1
			RETURNING last_number`, e.Destination).Scan(&number); err != nil {
			return err
		}
		if e.Again {
			if _, err := t.exec(`DELETE FROM outbox WHERE effect = $1 AND given_up = 1`, e.Key); err != nil {
				return err
			}
		}
		due := max(millis(e.NotBefore), now.UnixMilli())
		n, matter := e.Notice, deploytoken.MatterRef{}
		if n.Matter != nil {
			matter = *n.Matter
		}
		if _, err := t.exec(`
			INSERT INTO outbox (effect, document, destination, number, kind, command, holding, matter_kind, matter, edits, thread, notice,
				inserted, not_before, due, attempts, claim, reason, done, given_up, channel, message)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, 0, 0, '', 0, 0, '', '')
			ON CONFLICT (effect) DO NOTHING`,
			e.Key, document, e.Destination, number, string(n.Kind), n.Command, n.Holding, string(matter.Kind), matter.ID, n.Edits, n.Thread, string(notice),
			now.UnixMilli(), due); err != nil {
			return err
		}
	}
	return nil
}
