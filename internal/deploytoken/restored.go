package deploytoken

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// A store that was restored from a backup is older than the document: what it
// has open is of the past, and what followed of that was told and written by
// the store that was lost. It is recognised by its marks: a write's operation ID
// carries the Seq of the record that it was decided on, and opening its intent
// made that Seq greater before the write was sent.

// restoredSummary stands in the history for what a holder said on a release
// that the restored store knows nothing of.
const restoredSummary = "ended at an unknown time: the bot's store was restored from a backup"

// newOperation returns the ID of a write that is decided on a record with seq.
func newOperation(seq int64) string { return strconv.FormatInt(seq, 10) + "-" + newID() }

// maxSeq is more than any record gets to: whoever may edit the document might
// put a mark of their own making there.
const maxSeq = 1 << 53

// decidedOn returns the Seq of the record that an operation was decided on; -1
// where its ID has none.
func decidedOn(operation string) int64 {
	n, _, found := strings.Cut(operation, "-")
	seq, err := strconv.ParseInt(n, 10, 64)
	if !found || err != nil || seq < 0 || seq > maxSeq {
		return -1
	}
	return seq
}

// latestOf returns the greatest Seq that a write of the store's was decided on
// whose mark the reading shows; -1 where there is none.
func latestOf(r Reading, store string) int64 {
	latest := int64(-1)
	for _, m := range r.Marks {
		if m.Store == store {
			latest = max(latest, decidedOn(m.Operation))
		}
	}
	return latest
}

// outlived reports whether the intent was settled before a later write that the
// document carries, by the store that this one was restored from a backup of.
func outlived(i *Intent, store string, r Reading) bool {
	return latestOf(r, store) > decidedOn(i.Operation)
}

// catchUp takes in what the document says where it carries a later write of this
// store than the record knows of, and reports whether it did. The holding that
// lasts by the record is over, and its row, if it isn't there, is still due; the
// channel is told nothing, as it was told when that happened.
// Errors: ErrUnavailable.
func (s *Service) catchUp(ctx context.Context, r Reading, record Record) (bool, error) {
	latest := latestOf(r, s.ledger.StoreID())
	if latest < record.Seq {
		return false, nil
	}
	// It may have been written since the record was read.
	record, err := s.ledger.Record(ctx, s.document.ID())
	token := Interpret(r, "")
	if err != nil || latest < record.Seq || record.IntentOpen || token.State == Unclear {
		return false, err
	}
	now := s.clock()
	change := Change{
		Document: s.document.ID(), IfSeq: record.Seq, SeqAfter: latest, Observed: r.At, SetUnclear: new(string), At: now,
		Audit: []AuditEvent{{At: now, Event: "restored", Detail: "the document says “" + token.String() + "”"}},
	}
	if h := record.Holding; h.Open() {
		end := *h
		end.Ended, end.Summary = now, restoredSummary
		change.End = &end
		change.Effects = []Effect{rowOf(end, now)}
	}
	for _, o := range record.Matters.Offers {
		o.Ended, o.Result = now, OfferVoid
		change.Put = append(change.Put, &o)
	}
	for _, d := range record.Matters.Deployments {
		if d.Holding != "" {
			d.Ended = now
			change.Put = append(change.Put, &d)
		}
	}
	if token.State == Held {
		change.Begin = &Holding{ID: newID(), Name: token.Holder, PersonID: s.certain(ctx, token), Since: now, ByHand: true}
		// Who had the turn when the backup was made has it no more.
		taken(&change, record.Matters.Waiters, *change.Begin, now)
	}
	switch err := s.commit(ctx, change); {
	case errors.Is(err, ErrStale):
		return true, nil // by somebody else, or to be looked at again
	case err != nil:
		return false, err
	}
	s.log.Warn("the store is older than the document: it was restored from a backup; since when and for what the token is held is no longer known",
		"state", token.State, "holder", token.Holder, "seq", record.Seq, "written", latest)
	return true, nil
}
