package deploytoken

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// errUnsettled: a write has had no answer, and it isn't known yet whether it
// landed. Its intent stays open; Recover goes on.
var errUnsettled = errors.New("it isn't known yet whether the document was changed")

// errLate: the time in which a write makes sense has passed.
var errLate = errors.New("it is too late for that")

// A verdict is what became of the writes of an intent, none of which can land
// any more.
type verdict struct {
	// landed: one of them did. superseded: it can't be told, as the document
	// has been changed since. Neither: none did.
	landed, superseded bool
	// reading is one made after that was settled; zero where none was needed.
	reading Reading
}

// judge gives the verdict on an intent whose writes can't land any more, by a
// reading made since.
func judge(i *Intent, store string, r Reading) verdict {
	v := verdict{reading: r}
	if outlived(i, store, r) {
		v.superseded = true
		return v
	}
	if hasMark(r, Mark{Store: store, Operation: i.Operation}) {
		v.landed = true
		return v
	}
	for _, m := range i.Removes {
		if hasMark(r, m) {
			return v
		}
	}
	switch value := CleanName(r.Value); {
	case r.Problem != "":
		v.superseded = true
	case value == i.Written:
		v.landed = true
	case value != i.Read:
		v.superseded = true
	}
	return v
}

func hasMark(r Reading, mark Mark) bool {
	for _, m := range r.Marks {
		if m == mark {
			return true
		}
	}
	return false
}

// send sends the intent's batch, and again if that was ambiguous, and returns
// what became of it.
// Errors: errUnsettled, ErrNotOwner; errLate and any other mean that nothing was
// written.
func (s *Service) send(ctx context.Context, log *slog.Logger, i *Intent) (verdict, error) {
	err := s.patiently(ctx, func() error {
		if s.late(i) {
			return errLate
		}
		return s.write(ctx, i.Batch)
	})
	switch {
	case err == nil:
		return verdict{landed: true}, nil
	case errors.Is(err, ErrAmbiguous):
		log.Warn("the write had no answer", "operation", i.Operation, "error", err)
		return s.settle(ctx, log, i, settleFor)
	case errors.Is(err, ErrConflict), errors.Is(err, ErrGuardUnusable):
		log.Info("the document was changed meanwhile", "operation", i.Operation, "error", err)
		r, err := s.readPatiently(ctx, s.clock())
		if err != nil {
			return verdict{}, fmt.Errorf("%w: %w", errUnsettled, err)
		}
		return verdict{landed: hasMark(r, Mark{Store: s.ledger.StoreID(), Operation: i.Operation}), reading: r}, nil
	}
	return verdict{}, err
}

// settle finds out what became of an intent whose latest batch may have landed
// or may yet: the identical batch is sent again, since at most one of the two
// can land, until the service says that one did or that the revision is dead.
// It tries at least once, and for at most the time given.
// Errors: errUnsettled, ErrNotOwner.
func (s *Service) settle(ctx context.Context, log *slog.Logger, i *Intent, within time.Duration) (verdict, error) {
	until := s.clock().Add(within)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		v, settled, err := s.settleOnce(ctx, log, i)
		if settled {
			return v, nil
		}
		if errors.Is(err, ErrNotOwner) {
			return verdict{}, err
		}
		log.Warn("not settled yet", "operation", i.Operation, "error", err)
		if s.clock().Add(pause).After(until) || !sleep(ctx, pause) {
			return verdict{}, fmt.Errorf("%w: %w", errUnsettled, err)
		}
	}
}

// settleOnce makes one try at settling.
func (s *Service) settleOnce(ctx context.Context, log *slog.Logger, i *Intent) (v verdict, settled bool, err error) {
	if err := s.ledger.KeepIntent(ctx, *i, intentTTL); err != nil {
		return verdict{}, false, err
	}
	if len(i.Settle.Body) > 0 {
		// Any answer but silence ends this rewrite; a 2xx also the batch that
		// it was sent to settle, as the revision has moved on.
		err := s.write(ctx, i.Settle)
		if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrGuardUnusable) {
			return verdict{}, false, err
		}
		i.Settle, i.SettleMark = Batch{}, ""
		if err != nil {
			// Recorded, so that whoever goes on doesn't send it again for ever.
			return verdict{}, false, errors.Join(err, s.ledger.KeepIntent(ctx, *i, intentTTL))
		}
		return s.judgeNow(ctx, i)
	}
	if !s.late(i) {
		if v, settled, err := s.sendAgain(ctx, i); settled || !errors.Is(err, ErrGuardUnusable) {
			return v, settled, err
		}
	}
	// The guard says nothing any more, or the batch must not land now: make the
	// revision move on by rewriting what stands there, guarded by the revision
	// that it was read at.
	r, err := s.read(ctx, s.clock())
	if err != nil {
		return verdict{}, false, err
	}
	if hasMark(r, Mark{Store: s.ledger.StoreID(), Operation: i.Operation}) {
		return verdict{landed: true, reading: r}, true, nil
	}
	if r.Problem != "" && r.Revision != i.Batch.Revision {
		// It can't be rewritten while it is unclear. But it has moved on by itself, so
		// that the batch can't land any more, and the service will say so.
		return s.sendAgain(ctx, i)
	}
	mark := newOperation(decidedOn(i.Operation))
	rewrite, err := s.document.Prepare(r, CleanLine(r.Value, 0), Mark{Store: s.ledger.StoreID(), Operation: mark}, nil)
	if err != nil {
		return verdict{}, false, fmt.Errorf("settling a write of an unusable revision: %w", err)
	}
	i.Settle, i.SettleMark = rewrite, mark
	log.Info("settling by a rewrite", "operation", i.Operation, "mark", mark)
	return s.settleOnce(ctx, log, i)
}

// sendAgain sends the identical batch, and finds out what became of it if the
// answer is a conflict.
func (s *Service) sendAgain(ctx context.Context, i *Intent) (v verdict, settled bool, err error) {
	switch err := s.write(ctx, i.Batch); {
	case err == nil:
		return verdict{landed: true}, true, nil
	case errors.Is(err, ErrConflict):
		return s.judgeNow(ctx, i)
	default:
		return verdict{}, false, err
	}
}

// late reports whether the intent's batch must not land any more.
func (s *Service) late(i *Intent) bool {
	return !i.NotAfter.IsZero() && !s.clock().Before(i.NotAfter)
}

func (s *Service) judgeNow(ctx context.Context, i *Intent) (verdict, bool, error) {
	r, err := s.read(ctx, s.clock())
	if err != nil {
		return verdict{}, false, err
	}
	return judge(i, s.ledger.StoreID(), r), true, nil
}

// write sends a batch once, within half the time that its intent is ours.
func (s *Service) write(ctx context.Context, b Batch) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	err := s.document.Write(ctx, b)
	if err == nil || errors.Is(err, ErrAmbiguous) || errors.Is(err, ErrConflict) {
		s.forgetReading()
	}
	if err == nil {
		signal(s.wrote)
	}
	return err
}

// recoverIntent settles the document's open intent, if its owner is gone, and
// ends its command; where nothing was written, it returns the command, to be
// done again, or refused if it came too long ago.
func (s *Service) recoverIntent(ctx context.Context) (*Command, error) {
	select {
	case s.writer <- struct{}{}:
		defer func() { <-s.writer }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	i, err := s.ledger.ClaimIntent(ctx, s.document.ID(), intentTTL)
	if err != nil || i == nil {
		return nil, err
	}
	log := s.log.With("command", i.Command)
	log.Info("settling a write that was left", "operation", i.Operation)
	v, err := s.settle(ctx, log, i, 0)
	switch {
	case errors.Is(err, ErrNotOwner):
		return nil, nil
	case err != nil:
		return nil, s.tellPending(ctx, i, err)
	case v.landed || v.superseded:
		return nil, s.close(ctx, log, i, v)
	}
	if err := s.abandon(ctx, i); err != nil {
		return nil, err
	}
	c, outcome, err := s.ledger.Command(ctx, i.Command)
	if err != nil || outcome != "" {
		return nil, err
	}
	return c, nil
}

// tellPending tells the asker, once, that it isn't known yet whether their
// command was done.
func (s *Service) tellPending(ctx context.Context, i *Intent, why error) error {
	record, err := s.ledger.Record(ctx, i.Document)
	if err != nil {
		return err
	}
	c, ended, err := s.ledger.Command(ctx, i.Command)
	if err != nil || c == nil || ended != "" || !record.IntentOpen {
		return err
	}
	now := s.clock()
	// Whoever has settled it meanwhile has changed the record.
	return s.observe(ctx, Change{
		Document: i.Document, IfSeq: record.Seq, At: now,
		Effects: []Effect{{
			Key:         "pending:" + c.ID,
			Destination: ToPerson(c.PersonID),
			Notice:      Notice{Kind: NoticePending, Command: c.ID, PersonID: c.PersonID, Detail: Explain(why), At: now},
		}},
	})
}

// abandon closes an intent that has come to nothing, and leaves its command to
// be decided again.
func (s *Service) abandon(ctx context.Context, i *Intent) error {
	now := s.clock()
	return s.commit(ctx, Change{Document: i.Document, IfSeq: -1, CloseIntent: i.Operation, Epoch: i.Epoch, At: now})
}
