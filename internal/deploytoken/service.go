package deploytoken

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// How long things may take, and how often they are tried.
const (
	// contendFor and maxDecisions bound how often a command decides again while
	// people edit the document.
	contendFor   = 20 * time.Second
	maxDecisions = 5
	// settleFor is how long a command waits for an ambiguous write to be
	// settled before its asker is told that it isn't known yet.
	settleFor = 5 * time.Second
	// intentTTL is how long an intent is its owner's after each send. A send
	// takes at most half of it.
	intentTTL = 20 * time.Second
	// commandTTL is how long a command is its owner's without being kept.
	commandTTL = 30 * time.Second
	// cacheFor is how long a reading may serve a decision to write.
	cacheFor = 30 * time.Second
	// unavailableFor is how long a command tries again what is unavailable.
	unavailableFor = 5 * time.Second
	// lookServes is how long a report of the busy checks serves a decision.
	lookServes = 30 * time.Second
	// maxLeft bounds how many commands one Recover does.
	maxLeft = 16
	// callWithin bounds each call to the document or the directory.
	callWithin = intentTTL / 2
)

// A Service is the token's rules over the ports that they need. It is safe for
// use by several goroutines, and several Services may share one document and
// one ledger.
type Service struct {
	document  Document
	directory Directory
	ledger    Ledger
	channel   string
	clock     func() time.Time
	log       *slog.Logger
	quietFor  time.Duration
	poll      time.Duration
	zone      *time.Location

	busy         BusyChecker // nil where none is configured
	kingfisher   []string
	consentGroup string
	forceGroup   string
	turn         time.Duration
	workingHours func(time.Time) bool

	// looking holds one token: whoever has it makes the busy checks, and has
	// the report of them and when they began.
	looking   chan struct{}
	lookBegan time.Time
	report    BusyReport

	// writer holds one token: whoever has it works on a command, so that this
	// process doesn't compete with itself for the document.
	writer chan struct{}

	// sighted is a change by hand that waits to be seen twice; Watch's alone.
	sighted sighting

	mu      sync.Mutex
	reading Reading             // the latest, zero if none may be used
	changed time.Time           // when the latest write of this process ended
	working map[string]struct{} // IDs of the commands taken in and not done
	foreign map[string]bool     // stores whose marks were warned about

	inserted chan struct{}
	wrote    chan struct{}
}

// Config is what a Service needs to know.
type Config struct {
	Document  Document
	Directory Directory
	Ledger    Ledger
	// Channel is the Slack channel that is told of the token.
	Channel string
	// StaleAfter is how long a holding lasts before it is reminded of, and how
	// long "still working" keeps reminders quiet.
	StaleAfter time.Duration
	// WatchInterval is how long the watcher waits between two looks.
	WatchInterval time.Duration
	// Busy looks at the Kingfisher server; nil where none is configured.
	Busy BusyChecker
	// KingfisherWords are what means Kingfisher in a take's purpose, case aside.
	KingfisherWords []string
	// ConsentGroup is the Slack user group that is asked where the owner of what
	// runs on Kingfisher isn't known; "" for the channel.
	ConsentGroup string
	// ForceGroup is the Slack user group that may release another's holding; ""
	// for everybody who may use the bot.
	ForceGroup string
	// WorkingHours reports whether a time, in a person's own zone, is one at which
	// they may be reminded though nobody waits for the token; nil for any.
	WorkingHours func(time.Time) bool
	// Turn is how long the next in line keeps the turn; 10 minutes where 0.
	Turn time.Duration
	// Zone is the time zone of what is written into the history; UTC where nil.
	Zone *time.Location
	// Clock tells the time; time.Now where nil.
	Clock func() time.Time
	// Log takes one line an event; discarded where nil.
	Log *slog.Logger
}

// New returns a Service. It does nothing by itself: see Do, Watch, Remind and
// Recover.
func New(c Config) *Service {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		document:  c.Document,
		directory: c.Directory,
		ledger:    c.Ledger,
		channel:   ToChannel(c.Channel),
		clock:     c.Clock,
		log:       c.Log,
		quietFor:  c.StaleAfter,
		poll:      cmp.Or(c.WatchInterval, 15*time.Second),
		zone:      cmp.Or(c.Zone, time.UTC),

		busy:         c.Busy,
		kingfisher:   c.KingfisherWords,
		consentGroup: c.ConsentGroup,
		forceGroup:   c.ForceGroup,
		turn:         cmp.Or(c.Turn, 10*time.Minute),
		workingHours: c.WorkingHours,
		looking:      make(chan struct{}, 1),

		writer:   make(chan struct{}, 1),
		working:  map[string]struct{}{},
		foreign:  map[string]bool{},
		inserted: make(chan struct{}, 1),
		wrote:    make(chan struct{}, 1),
	}
}

// Inserted receives after effects were inserted, for whoever delivers them.
func (s *Service) Inserted() <-chan struct{} { return s.inserted }

// Wrote receives after the document was written. It should be watched again a
// few seconds later, as somebody's edit that was on its way may have merged
// with the write.
func (s *Service) Wrote() <-chan struct{} { return s.wrote }

// Accept records a command, so that it is done even if this process dies, and
// reports whether it was new. A duplicate is not to be done again. A new one is
// this process's to do, however long it waits for that, until Do, Fail or Leave
// is called.
// Errors: ErrUnavailable.
func (s *Service) Accept(ctx context.Context, c Command) (fresh bool, err error) {
	c.Document = s.document.ID()
	fresh, err = s.ledger.Accept(ctx, c)
	if fresh && err == nil {
		s.work(c.ID)
	}
	return fresh, err
}

// Leave leaves an accepted command to whoever recovers it.
func (s *Service) Leave(c Command) { s.unwork(c.ID) }

func (s *Service) work(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working[command] = struct{}{}
}

func (s *Service) unwork(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.working, command)
}

// Do decides an accepted command, does what it asks for, and records how it
// ended, which answers the asker. Where it can't be ended now (the store is
// out of reach, or a write has had no answer), it is left to Recover.
func (s *Service) Do(ctx context.Context, c Command) { s.do(ctx, c, true) }

// do is Do. Where another write has yet to be settled it waits for that, or else
// leaves the command for the next time.
func (s *Service) do(ctx context.Context, c Command, waits bool) {
	c.Document = s.document.ID()
	s.work(c.ID)
	defer s.unwork(c.ID)

	log := s.log.With("command", c.ID, "kind", c.Kind, "person", c.PersonID)
	began := s.clock()
	pause := 50 * time.Millisecond
	var seen *look
	for {
		if seen != nil && s.clock().Sub(seen.report.At) > lookServes {
			seen = nil
		}
		err := s.attempt(ctx, log, &c, began, seen)
		switch {
		case err == nil:
			return
		case errors.Is(err, errLook):
			if seen, err = s.lookFor(ctx, log, c, began); err == nil && seen != nil {
				continue
			}
			if err == nil || errors.Is(err, ErrNotOwner) {
				return
			}
			log.Error("command not ended", "error", err)
		case errors.Is(err, ErrNotOwner):
			log.Info("left to another owner")
			return
		case errors.Is(err, errUnsettled):
			return
		case errors.Is(err, ErrIntentOpen) && !waits:
			if err := s.ledger.KeepCommands(ctx, []string{c.ID}, 0); err != nil {
				log.Error("command not left for the next time", "error", err)
			}
			return
		case errors.Is(err, ErrIntentOpen):
			if s.clock().Sub(began) > takeWithin {
				err = s.finish(ctx, log, c, Record{}, decision{
					step: stepAnswer, outcome: OutcomeRefused,
					detail: "An earlier change of the document is still waiting for Google's confirmation. Nothing was done; please try again in a few minutes.",
				}, Token{}, nil)
				if err == nil || errors.Is(err, ErrNotOwner) {
					return
				}
			}
		case errors.Is(err, ErrStale):
		case ctx.Err() == nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrMisconfigured):
			// It would fail so again, however often it is tried.
			log.Error("command failed", "error", err)
			s.Fail(ctx, c)
			return
		default:
			log.Error("command not ended", "error", err)
		}
		if !sleep(ctx, pause) {
			log.Warn("command left for later", "error", err)
			return
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// errLook: the command can be decided only once the busy checks are made.
var errLook = errors.New("the busy checks are to be made")

// lookFor makes the busy checks for the command, whose asker is told so where
// the answer will stand. Where it can't tell who is concerned, it ends the
// command and returns nil.
func (s *Service) lookFor(ctx context.Context, log *slog.Logger, c Command, began time.Time) (*look, error) {
	if c.ResponseURL != "" {
		now := s.clock()
		if err := s.commit(ctx, Change{Document: c.Document, IfSeq: -1, At: now, Effects: []Effect{{
			Key: "looking:" + c.ID, Destination: ToPerson(c.PersonID),
			Notice: Notice{Kind: NoticeLooking, Command: c.ID, PersonID: c.PersonID, At: now},
		}}}); err != nil {
			return nil, err
		}
	}
	if latest := s.clock().Add(-lookServes / 2); began.Before(latest) {
		began = latest
	}
	var l look
	err := s.patiently(ctx, func() (err error) {
		l, err = s.lookAtKingfisher(ctx, c.PersonID, began)
		return err
	})
	switch {
	case err == nil:
		log.Info("looked at Kingfisher", "state", l.report.State(), "took", l.report.Took)
		return &l, nil
	case ctx.Err() != nil:
		return nil, err
	}
	return nil, s.stop(ctx, log, c, nil, refusal(err), Token{})
}

// Fail records that the bot failed at the command, which answers the asker,
// unless a write of it may still land: that answers by itself.
func (s *Service) Fail(ctx context.Context, c Command) {
	c.Document = s.document.ID()
	defer s.unwork(c.ID)
	log := s.log.With("command", c.ID, "kind", c.Kind, "person", c.PersonID)
	err := s.finish(ctx, log, c, Record{}, answer(OutcomeFailed), Token{}, nil)
	if err != nil && !errors.Is(err, ErrNotOwner) {
		log.Error("failure not recorded", "error", err)
	}
}

// Keep keeps the commands that are being worked on, or wait for that, from being
// taken for orphans. It is to be called every ten seconds.
// Errors: ErrUnavailable.
func (s *Service) Keep(ctx context.Context) error {
	s.mu.Lock()
	ids := make([]string, 0, len(s.working))
	for id := range s.working {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	return s.ledger.KeepCommands(ctx, ids, commandTTL)
}

// Recover settles a write whose owner is gone, and does the commands that were
// accepted and left. It is to be called at the start and every few seconds.
// Errors: ErrUnavailable.
func (s *Service) Recover(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	left, err := s.recoverIntent(ctx)
	if err != nil {
		return err
	}
	if left != nil {
		s.doLeft(ctx, *left)
	}
	for range maxLeft {
		record, err := s.ledger.Record(ctx, s.document.ID())
		if err != nil || record.IntentOpen {
			// That write is to be settled first, next time.
			return err
		}
		commands, err := s.ledger.ClaimCommands(ctx, s.document.ID(), 1, commandTTL)
		if err != nil || len(commands) == 0 {
			return err
		}
		s.doLeft(ctx, commands[0])
	}
	return nil
}

// doLeft does a command that was left, which nobody else guards against a panic.
// It doesn't wait for other writes, as it is the caller who settles them.
func (s *Service) doLeft(ctx context.Context, c Command) {
	s.log.Info("doing a command that was left", "command", c.ID, "kind", c.Kind, "asked", c.At)
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("panic", "command", c.ID, "panic", r, "stack", string(debug.Stack()))
			s.Fail(ctx, c)
		}
	}()
	s.do(ctx, c, false)
}

// Status reads the document and returns what there is to say of the token.
// Errors: those of Document.Read, and ErrUnavailable for the ledger.
func (s *Service) Status(ctx context.Context) (Status, error) {
	reading, err := s.read(ctx, s.clock())
	if err != nil {
		return Status{}, err
	}
	record, err := s.ledger.Record(ctx, s.document.ID())
	if err != nil {
		return Status{}, err
	}
	return StatusOf(reading, record, s.document.Link()), nil
}

// StatusOf puts together what a reading and the ledger's record say.
func StatusOf(r Reading, record Record, link string) Status {
	st := Status{Token: Interpret(r, record.LastName), PendingRows: record.PendingRows, Matters: record.Matters, Changing: record.IntentOpen, Link: link, At: r.At}
	if (situation{token: st.Token, record: record}).recorded() {
		st.Holding = record.Holding
	}
	return st
}

// attempt works on the command until it has ended, or returns why it has not:
// ErrIntentOpen and ErrStale (try again), errLook (make the busy checks first),
// ErrNotOwner, errUnsettled, ErrUnavailable (the store).
func (s *Service) attempt(ctx context.Context, log *slog.Logger, c *Command, began time.Time, seen *look) error {
	select {
	case s.writer <- struct{}{}:
		defer func() { <-s.writer }()
	case <-ctx.Done():
		return ctx.Err()
	}

	// What was meant is known to the ledger, since the command came.
	recorded, ended, err := s.ledger.Command(ctx, c.ID)
	switch {
	case err != nil:
		return err
	case recorded == nil || ended != "":
		return ErrNotOwner
	}
	c.Holding, c.Subject = recorded.Holding, recorded.Subject
	about, problem, err := s.about(ctx, *c)
	if err != nil {
		return err
	}
	if problem != nil {
		return s.stop(ctx, log, *c, nil, refusal(problem), Token{})
	}

	// The asker's clock may be another machine's: a reading begun after this
	// was begun after the command came, too.
	came := c.At
	if came.After(began) {
		came = began
	}
	reading := s.cached()
	fresh := reading.At.After(came)
	var named []Person
	lookedUp := false
	var intent *Intent
	adoptable := int64(-1) // the record's Seq before the reading, where that is known
	for decisions := 0; ; {
		record, err := s.ledger.Record(ctx, c.Document)
		if err != nil {
			return err
		}
		if c.Kind.ledgerOnly() {
			d := decide(about.situation(situation{command: *c, record: record, look: seen, zone: s.zone, now: s.clock()}))
			if d.step == stepLook {
				return errLook
			}
			return s.finish(ctx, log, *c, record, d, Token{}, nil)
		}
		if reading.At.IsZero() {
			if reading, err = s.readPatiently(ctx, came); err != nil {
				return s.stop(ctx, log, *c, intent, refusal(err), Token{})
			}
			fresh = true
		}
		if caught, err := s.catchUp(ctx, reading, record); caught || err != nil {
			return cmp.Or(err, ErrStale)
		}
		token := Interpret(reading, record.LastName)
		d := decide(about.situation(situation{
			command: *c, token: token, fresh: fresh, record: record, look: seen, zone: s.zone,
			named: named, lookedUp: lookedUp, quietFor: s.quietFor, now: s.clock(),
		}))
		switch d.step {
		case stepRead:
			if reading, err = s.readPatiently(ctx, came); err != nil {
				return s.stop(ctx, log, *c, intent, refusal(err), Token{})
			}
			fresh, lookedUp = true, false
		case stepLook:
			if intent != nil {
				if err := s.abandon(ctx, intent); err != nil {
					return err
				}
			}
			return errLook
		case stepLookUp:
			if named, err = s.match(ctx, token.Holder); err != nil {
				return s.stop(ctx, log, *c, intent, refusal(err), token)
			}
			lookedUp = true
		case stepAdopt:
			if intent != nil {
				// A change by hand between two decisions: it is adopted once
				// the intent, which has come to nothing, is out of its way.
				if err := s.abandon(ctx, intent); err != nil {
					return err
				}
				intent = nil
				continue
			}
			if record.IntentOpen {
				return ErrIntentOpen
			}
			if record.Seq != adoptable {
				// Only a reading begun after the record was read can tell what
				// has been changed by hand since.
				adoptable = record.Seq
				if reading, err = s.readPatiently(ctx, s.clock()); err != nil {
					return s.stop(ctx, log, *c, intent, refusal(err), Token{})
				}
				fresh, lookedUp = true, false
				continue
			}
			if c.Holding, err = s.adopt(ctx, *c, record, token, s.certain(ctx, token)); err != nil {
				return err
			}
		case stepAnswer:
			if intent == nil && record.IntentOpen && d.outcome != OutcomeTooLate {
				// What another write may still make of the token isn't known.
				return ErrIntentOpen
			}
			return s.finish(ctx, log, *c, record, d, token, intent)
		case stepWrite:
			if !d.release && d.offer == nil && intent == nil && record.Holding.Open() && record.Seq != adoptable {
				// Only a reading begun after the record was read can tell that what
				// is recorded was cleared by hand, and not that it was written since.
				adoptable = record.Seq
				if reading, err = s.readPatiently(ctx, s.clock()); err != nil {
					return s.stop(ctx, log, *c, intent, refusal(err), Token{})
				}
				fresh, lookedUp = true, false
				continue
			}
			if decisions++; decisions > maxDecisions || decisions > 1 && s.clock().Sub(began) > contendFor {
				return s.stop(ctx, log, *c, intent, answer(OutcomeContended), token)
			}
			next, problem, err := s.intend(ctx, *c, about, d, record, reading, intent)
			if err != nil {
				return err
			}
			if problem != nil {
				return s.stop(ctx, log, *c, intent, refusal(problem), token)
			}
			intent = next
			v, err := s.send(ctx, log, intent)
			switch {
			case errors.Is(err, errUnsettled):
				return errors.Join(err, s.tellPending(ctx, intent, err))
			case errors.Is(err, ErrNotOwner):
				return err
			case errors.Is(err, errLate):
				return s.stop(ctx, log, *c, intent, answer(OutcomeTooLate), token)
			case err != nil:
				return s.stop(ctx, log, *c, intent, refusal(err), token)
			case v.landed || v.superseded:
				return s.close(ctx, log, intent, v)
			}
			reading, fresh, lookedUp = v.reading, true, false
		}
	}
}

// intend prepares the write that d asks for and records it, before it is sent.
// A problem is one to tell the asker; an err is one of the ledger's.
func (s *Service) intend(ctx context.Context, c Command, about subject, d decision, record Record, r Reading, open *Intent) (next *Intent, problem, err error) {
	i := Intent{Operation: newOperation(record.Seq), Document: c.Document, Command: c.ID, Read: CleanName(r.Value), Decided: s.clock()}
	if open != nil {
		i.Operation, i.Epoch = open.Operation, open.Epoch
	}
	switch {
	case d.force:
		i.Written, i.Ends, i.Force, i.Why = Nobody, record.Holding.ID, true, about.purpose
		i.Asker = about.asker
		i.Summary = CleanLine("released by "+i.Asker+": "+i.Why, 0)
	case d.release:
		i.Written, i.Ends, i.Summary = Nobody, record.Holding.ID, c.Words
	default:
		asker, err := s.person(ctx, c.PersonID)
		if err == nil {
			err = CheckName(asker.Name)
		}
		if err != nil {
			return nil, err, nil
		}
		i.Written = CleanName(asker.Name)
		i.NotAfter = c.At.Add(takeWithin)
		i.Began = &Holding{ID: newID(), Name: i.Written, PersonID: c.PersonID, Purpose: about.purpose, Since: i.Decided, SinceKnown: true}
		if record.Holding.Open() {
			i.Ends, i.EndsByHand = record.Holding.ID, d.offer == nil
		}
		if o := d.offer; o != nil {
			i.Offer, i.Began.Purpose, i.Summary = o.ID, record.Holding.Purpose, "handed over to "+i.Written
		}
		if dep := d.deployment; dep != nil {
			dep.Holding = i.Began.ID
			i.Deployment = dep
		}
	}
	i.Removes = s.removable(r)
	i.Batch, err = s.document.Prepare(r, i.Written, Mark{Store: s.ledger.StoreID(), Operation: i.Operation}, i.Removes)
	if err != nil {
		return nil, err, nil
	}
	if open != nil {
		return &i, nil, s.ledger.KeepIntent(ctx, i, intentTTL)
	}
	i, err = s.ledger.OpenIntent(ctx, i, record.Seq, intentTTL)
	return &i, nil, err
}

// removable returns the marks that a write may remove: this store's, all of
// whose operations are closed while this process may open one, and those of a
// store that was lost.
func (s *Service) removable(r Reading) []Mark {
	var marks []Mark
	for _, m := range r.Marks {
		if m.Store != s.ledger.StoreID() {
			s.warnOfStore(m.Store)
		}
		marks = append(marks, m)
	}
	return marks
}

// warnOfStore says once that the document carries the mark of another store.
func (s *Service) warnOfStore(store string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.foreign[store] {
		s.foreign[store] = true
		s.log.Warn("the document carries a mark of another store: two bots work on one document, or the bot has lost its store; then it no longer knows since when and for what the token is held, nor what was still to be told and to be written into the history",
			"document", s.document.ID(), "store", store)
	}
}

// stop ends the command by d, closing its intent, on the record as it is now.
func (s *Service) stop(ctx context.Context, log *slog.Logger, c Command, intent *Intent, d decision, token Token) error {
	record, err := s.ledger.Record(ctx, c.Document)
	if err != nil {
		return err
	}
	return s.finish(ctx, log, c, record, d, token, intent)
}

func refusal(err error) decision {
	return decision{step: stepAnswer, outcome: OutcomeRefused, detail: Explain(err)}
}

// cached returns the latest reading if it may serve a decision to write.
func (s *Service) cached() Reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading.Revision == "" || s.clock().Sub(s.reading.At) > cacheFor {
		return Reading{}
	}
	return s.reading
}

// keepReading keeps a reading to decide on later, unless it began before a
// write of this process ended.
func (s *Service) keepReading(r Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.At.After(s.reading.At) && r.At.After(s.changed) {
		s.reading = r
	}
}

// forgetReading drops what was read before a write.
func (s *Service) forgetReading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading, s.changed = Reading{}, s.clock()
}

// read returns a reading begun after notBefore.
func (s *Service) read(ctx context.Context, notBefore time.Time) (Reading, error) {
	s.mu.Lock()
	r := s.reading
	s.mu.Unlock()
	if r.At.After(notBefore) {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	at := s.clock()
	r, err := s.document.Read(ctx)
	if err != nil {
		return Reading{}, err
	}
	r.At = at
	s.keepReading(r)
	return r, nil
}

// readPatiently is read, tried again for a while where it is unavailable.
func (s *Service) readPatiently(ctx context.Context, notBefore time.Time) (r Reading, err error) {
	err = s.patiently(ctx, func() error {
		r, err = s.read(ctx, notBefore)
		return err
	})
	return r, err
}

// patiently calls f again, with growing pauses, while it is unavailable, but
// not for long: a person waits.
func (s *Service) patiently(ctx context.Context, f func() error) error {
	until := s.clock().Add(unavailableFor)
	for pause := 200 * time.Millisecond; ; pause *= 2 {
		err := f()
		if err == nil || !errors.Is(err, ErrUnavailable) {
			return err
		}
		if fault, ok := errors.AsType[*Fault](err); ok {
			pause = max(pause, fault.RetryAfter)
		}
		if s.clock().Add(pause).After(until) || !sleep(ctx, pause) {
			return err
		}
	}
}

func (s *Service) person(ctx context.Context, id string) (Person, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return s.directory.Person(ctx, id)
}

func (s *Service) member(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return s.directory.Member(ctx, id)
}

func (s *Service) match(ctx context.Context, name string) ([]Person, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return s.directory.Match(ctx, name)
}

// newID returns an ID that is unique, fit for a mark's name, and no secret.
func newID() string { return strings.ToLower(rand.Text()[:20]) }

// sleep waits for d, and reports whether ctx lasted so long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// signal tells a listener, or leaves the earlier signal that it has yet to see.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
