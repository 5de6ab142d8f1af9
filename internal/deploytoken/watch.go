package deploytoken

import (
	"context"
	"errors"
	"time"
)

const (
	// settleAfter is how far apart two looks must agree before a change by hand
	// counts: documents save at every keystroke.
	settleAfter = 5 * time.Second
	// observeEvery is how often it is recorded that the document still agrees.
	observeEvery = 10 * time.Second
	// blindAfter is how long the bot must not have seen the document for an
	// announcement to say so.
	blindAfter = 2 * time.Minute
	// whileIntent is how soon to look again while a write is under way.
	whileIntent = time.Second
)

// A sighting is a state of the document that differs from the record.
type sighting struct {
	token Token
	at    time.Time
}

// Watch looks at the document once, records a change by hand once it has been
// seen twice, and returns how soon to look again. It is to be called in turn,
// never twice at once.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Service) Watch(ctx context.Context) (again time.Duration, err error) {
	record, err := s.ledger.Record(ctx, s.document.ID())
	if err != nil {
		return s.poll, err
	}
	if record.IntentOpen {
		s.sighted = sighting{}
		return whileIntent, nil
	}
	reading, err := s.look(ctx)
	if err != nil {
		s.sighted = sighting{}
		return s.poll, err
	}
	for _, m := range reading.Marks {
		if m.Store != s.ledger.StoreID() {
			s.warnOfStore(m.Store)
		}
	}
	if caught, err := s.catchUp(ctx, reading, record); caught || err != nil {
		return s.poll, err
	}
	token := Interpret(reading, record.LastName)
	if agrees(record, token) {
		s.sighted = sighting{}
		if record.Unclear != "" || s.clock().Sub(record.Observed) >= observeEvery {
			return s.poll, s.observe(ctx, s.agreement(record, token, reading.At))
		}
		return s.poll, nil
	}
	first := record.Observed.IsZero()
	if s.sighted.token != token {
		s.sighted = sighting{token: token, at: reading.At}
	}
	if seen := reading.At.Sub(s.sighted.at); seen < settleAfter && !first {
		return settleAfter - seen, nil
	}
	editor, holder := "", ""
	if !first {
		editor = s.lastEditor(ctx)
	}
	if token.State == Held {
		holder = s.certain(ctx, token)
	}
	change, _ := s.byHand(record, token, holder, editor, s.clock())
	change.Observed = reading.At
	if err := s.observe(ctx, change); err != nil {
		return s.poll, err
	}
	s.sighted = sighting{}
	s.log.Info("changed by hand", "state", token.State, "holder", token.Holder, "reason", token.Reason, "first", first)
	return s.poll, nil
}

// look returns the cached reading if the document is at the same revision
// still, else a new one.
func (s *Service) look(ctx context.Context) (Reading, error) {
	s.mu.Lock()
	known := s.reading
	s.mu.Unlock()
	if known.Revision != "" {
		ctx, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		at := s.clock()
		revision, err := s.document.Revision(ctx)
		if err != nil {
			return Reading{}, err
		}
		if revision == known.Revision {
			known.At = at
			s.keepReading(known)
			return known, nil
		}
	}
	return s.read(ctx, s.clock())
}

// agrees reports whether the record says of the token what the document says.
func agrees(record Record, token Token) bool {
	switch token.State {
	case Held:
		return (situation{token: token, record: record}).recorded()
	case Free:
		return !record.Holding.Open()
	default:
		return record.Unclear == token.Reason
	}
}

// agreement records that the document was seen to agree, and tells the channel
// if it could not be understood before.
func (s *Service) agreement(record Record, token Token, at time.Time) Change {
	change := Change{Document: s.document.ID(), IfSeq: record.Seq, Observed: at, At: s.clock()}
	if token.State != Unclear && record.Unclear != "" {
		s.clear(&change, record, token)
	}
	return change
}

func (s *Service) clear(change *Change, record Record, token Token) {
	change.SetUnclear = new(string)
	change.Effects = append(change.Effects, Effect{
		Key: seqKey("clear", change.Document, record.Seq), Destination: s.channel,
		Notice: Notice{Kind: NoticeClear, Token: &token, At: change.At},
	})
}

// byHand is the change that records what was done to the document by hand, and
// the ID of the holding that began, if any. holder is the Slack user ID of the
// new holder, if it is known; editor is the name of the last editor, if known.
func (s *Service) byHand(record Record, token Token, holder, editor string, now time.Time) (Change, string) {
	change := Change{Document: s.document.ID(), IfSeq: record.Seq, At: now}
	first := record.Observed.IsZero()
	var blind time.Time
	if !first && now.Sub(record.Observed) > blindAfter+2*s.poll {
		blind = record.Observed
	}
	if token.State == Unclear {
		change.SetUnclear = &token.Reason
		change.Effects = []Effect{{
			Key: seqKey("unclear", change.Document, record.Seq), Destination: s.channel,
			Notice: Notice{Kind: NoticeUnclear, Token: &token, Detail: token.Reason, Editor: editor, BlindSince: blind, At: now},
		}}
		change.Audit = []AuditEvent{{At: now, Event: string(NoticeUnclear), Detail: token.Reason}}
		return change, ""
	}
	if record.Unclear != "" {
		change.SetUnclear = new(string)
	}
	n := Notice{Kind: NoticeChanged, Token: &token, Editor: editor, BlindSince: blind, At: now}
	key := ""
	if h := record.Holding; h.Open() {
		end := *h
		end.Ended, end.EndedByHand = now, true
		n.Previous, key = h.ID, endedKey(h.ID)
		s.end(&change, record, end, "")
		if h.PersonID != "" && h.PersonID != holder && !sameName(editor, h.Name) {
			change.Effects = append(change.Effects, Effect{
				Key: "displaced:" + h.ID, Destination: ToPerson(h.PersonID),
				Notice: Notice{Kind: NoticeDisplaced, Holding: h.ID, Token: &token, Editor: editor, At: now},
			})
		}
	}
	began := ""
	if token.State == Held {
		began = newID()
		change.Begin = &Holding{ID: began, Name: token.Holder, PersonID: holder, Since: now, SinceKnown: !first && blind.IsZero(), ByHand: true}
		n.Holding, key = began, beganKey(began)
		taken(&change, record.Matters.Waiters, *change.Begin, now)
	} else {
		callNext(&change, record.Matters.Waiters, s.turn, now)
	}
	if !first {
		change.Effects = append(change.Effects, Effect{Key: key, Destination: s.channel, Notice: n})
	}
	change.Audit = append(change.Audit, AuditEvent{
		At: now, Event: string(NoticeChanged), Holding: began, Person: holder, Detail: "the document says “" + token.String() + "”; last edited by “" + editor + "”",
	})
	return change, began
}

// String returns what the document says.
func (t Token) String() string {
	switch t.State {
	case Held:
		return t.Holder
	case Free:
		return Nobody
	}
	return t.Reason
}

// adopt records at once the holding that the document is seen to name, for a
// command of the person whom it names, and returns the holding's ID.
// Errors: ErrStale, ErrUnavailable.
func (s *Service) adopt(ctx context.Context, c Command, record Record, token Token, holder string) (string, error) {
	change, id := s.byHand(record, token, holder, s.lastEditor(ctx), s.clock())
	change.Observed, change.Means = change.At, c.ID
	return id, s.commit(ctx, change)
}

// observe commits an observation, unless the record has changed since it was
// read: then somebody else has seen as much.
func (s *Service) observe(ctx context.Context, change Change) error {
	if err := s.commit(ctx, change); !errors.Is(err, ErrStale) {
		return err
	}
	return nil
}

// certain returns the Slack user ID of the one person whom the name in the
// document means, or "" where there is no such one or it can't be looked up.
func (s *Service) certain(ctx context.Context, token Token) string {
	people, err := s.match(ctx, token.Holder)
	if err != nil {
		s.log.Warn("the holder was not looked up", "holder", token.Holder, "error", err)
		return ""
	}
	if len(people) != 1 {
		return ""
	}
	return people[0].ID
}

// lastEditor returns the name of the document's last editor, or "".
func (s *Service) lastEditor(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	name, err := s.document.LastEditor(ctx)
	if err != nil {
		s.log.Debug("the last editor was not looked up", "error", err)
		return ""
	}
	return CleanName(name)
}
