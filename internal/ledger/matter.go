package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// Matter returns a matter of the document; see deploytoken.Ledger.
func (s *Store) Matter(ctx context.Context, document string, ref deploytoken.MatterRef) (deploytoken.Matter, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	// The reference may come from a button, which PostgreSQL need not be able
	// to make sense of.
	m, err := scanMatter(s.read.QueryRowContext(ctx, `SELECT kind, body FROM matter WHERE document = $1 AND kind = $2 AND id = $3`,
		document, text(string(ref.Kind)), text(ref.ID)))
	if err != nil {
		return nil, s.engine.fault("read what people have going", err)
	}
	return m, nil
}

// openMatters returns those of the document that are not over, the look at
// Kingfisher aside, which takes long to decode.
func (t *tx) openMatters(document string) (deploytoken.Matters, error) {
	rows, err := t.rows(`SELECT kind, body FROM matter WHERE document = $1 AND ended = 0 AND kind <> $2`, document, string(deploytoken.MatterLook))
	if err != nil {
		return deploytoken.Matters{}, err
	}
	defer rows.Close()
	var open []deploytoken.Matter
	for rows.Next() {
		m, err := scanMatter(rows)
		if err != nil {
			return deploytoken.Matters{}, err
		}
		open = append(open, m)
	}
	return deploytoken.MattersOf(open), rows.Err()
}

// putMatter inserts the matter, or replaces the one with its kind and ID.
func (t *tx) putMatter(document string, m deploytoken.Matter) error {
	ref := m.Ref()
	body, err := encodeMatter(m)
	if err != nil {
		return err
	}
	_, err = t.exec(`
		INSERT INTO matter (document, kind, id, body, ended) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (document, kind, id) DO UPDATE SET body = $4, ended = $5`,
		document, string(ref.Kind), ref.ID, body, millis(m.Over()))
	return err
}

// encodeMatter encodes a matter as JSON, without zero bytes as text does. What
// could not be decoded again is refused, as it would spoil the whole record.
func encodeMatter(m deploytoken.Matter) (string, error) {
	ref := m.Ref()
	body, err := json.Marshal(m)
	if err != nil {
		return "", unstorable(fmt.Sprintf("the %s %s", ref.Kind, ref.ID), err)
	}
	if _, err := deploytoken.DecodeMatter(ref.Kind, body); err != nil {
		return "", misuse("%v", err)
	}
	return zeroEscapes.Replace(string(body)), nil
}

// zeroEscapes removes the zero bytes from JSON. It steps over escaped
// backslashes, after which the same letters stand for themselves.
var zeroEscapes = strings.NewReplacer(`\\`, `\\`, `\u0000`, ``)

// scanMatter returns nil where there is no row.
func scanMatter(row scanner) (deploytoken.Matter, error) {
	var kind deploytoken.MatterKind
	var body []byte
	err := row.Scan(&kind, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return deploytoken.DecodeMatter(kind, body)
}
