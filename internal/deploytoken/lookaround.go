package deploytoken

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// lookEvery is how often the bot looks at Kingfisher while somebody waits for
	// what it finds, warnEvery while a deployment is under way, and standEvery
	// while no more than answers stand until what they are about has ended: a look
	// costs the server a login.
	lookEvery  = time.Minute
	warnEvery  = 5 * time.Minute
	standEvery = 15 * time.Minute
	// lookAgain is how soon it is asked whether there is anything to look for.
	lookAgain = 5 * time.Second
	// planFor is how long a deployment that never took the token is kept.
	planFor = 24 * time.Hour
)

// lookDue is when the next look at Kingfisher is due for what people have going,
// the last having been made at last; zero where nobody waits for one.
func lookDue(record Record, last, now time.Time) time.Time {
	every := time.Duration(0)
	if len(record.Matters.Questions) > 0 {
		every = standEvery
	}
	for _, d := range record.Matters.Deployments {
		switch {
		case d.Holding != "":
			every = warnEvery
		case now.Sub(d.At) >= planFor:
			return now
		}
	}
	if len(record.Matters.Watches) > 0 || slices.ContainsFunc(record.Matters.Deployments, func(d Deployment) bool { return d.Holding == "" && d.Asked }) {
		every = lookEvery
	}
	for _, w := range record.Matters.Watches {
		if w.At.After(last) {
			return now
		}
	}
	if every == 0 {
		return time.Time{}
	}
	return last.Add(every)
}

// Looked returns the latest look at Kingfisher that the rules have used; nil
// before the first.
// Errors: ErrUnavailable.
func (s *Service) Looked(ctx context.Context) (*Look, error) {
	m, err := s.ledger.Matter(ctx, s.document.ID(), lookRef)
	l, _ := m.(*Look)
	return l, err
}

// LookAround looks at Kingfisher where somebody waits for what runs there to
// end, or a deployment is under way, and tells whom that concerns. It returns
// how soon to call it again. It is to be called by one Service at a time.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Service) LookAround(ctx context.Context) (again time.Duration, err error) {
	if s.busy == nil {
		return time.Minute, nil
	}
	record, err := s.ledger.Record(ctx, s.document.ID())
	if err != nil {
		return lookAgain, err
	}
	if ms := record.Matters; len(ms.Questions)+len(ms.Deployments)+len(ms.Watches) == 0 {
		return lookAgain, nil
	}
	var last time.Time
	if known, err := s.Looked(ctx); err != nil {
		return lookAgain, err
	} else if known != nil {
		last = known.Report.At
	}
	due := lookDue(record, last, s.clock())
	if wait := due.Sub(s.clock()); due.IsZero() || wait > 0 {
		return lookAgain, nil
	}
	l, err := s.lookAtKingfisher(ctx, "", s.clock())
	if err != nil {
		return lookAgain, err
	}
	for {
		if record, err = s.ledger.Record(ctx, s.document.ID()); err != nil {
			return lookAgain, err
		}
		free, unread := s.seenFree(ctx, record)
		now := s.clock()
		d := lookedAround(situation{record: record, look: &l, now: now, zone: s.zone}, free)
		err = s.commit(ctx, Change{
			Document: s.document.ID(), IfSeq: record.Seq, Update: d.update, Put: append(d.put, &Look{Report: l.report}), Effects: d.effects, Audit: auditOf(d.effects, now), At: now,
		})
		if !errors.Is(err, ErrStale) {
			return lookAgain, errors.Join(err, unread)
		}
	}
}

// lookAtKingfisher makes the busy checks, unless that was begun for another
// after the given time, and looks up who the owners are.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Service) lookAtKingfisher(ctx context.Context, asker string, after time.Time) (look, error) {
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-ctx.Done():
		return look{}, ctx.Err()
	}
	if !s.lookBegan.After(after) {
		began := s.clock()
		report := s.busy.Busy(ctx, nil, nil)
		if err := ctx.Err(); err != nil {
			// What was broken off says nothing of Kingfisher.
			return look{}, err
		}
		s.lookBegan, s.report = began, report
	}
	l := look{report: s.report, names: map[string]string{}}
	if asker != "" {
		p, err := s.person(ctx, asker)
		if err != nil {
			return look{}, err
		}
		l.asker = CleanName(p.Name)
	}
	for _, w := range blocking(l.report, false) {
		switch {
		case w.OwnerID == "" && l.unowned == nil:
			l.unowned = s.forTheUnknown(ctx)
		case w.OwnerID != "" && l.names[w.OwnerID] == "":
			l.names[w.OwnerID] = s.nameOf(ctx, w)
		}
	}
	return l, nil
}

// nameOf returns the name of the work's owner; where they can't be looked up,
// the mark that says whose it is.
func (s *Service) nameOf(ctx context.Context, w Work) string {
	p, err := s.person(ctx, w.OwnerID)
	if err != nil {
		s.log.Warn("the owner of what runs on Kingfisher was not looked up", "person", w.OwnerID, "error", err)
		return cmp.Or(w.Owner, w.OwnerID)
	}
	return CleanName(p.Name)
}

// forTheUnknown returns the destinations of what goes to owners who aren't
// known: the people of the group that is configured for that, else the channel.
func (s *Service) forTheUnknown(ctx context.Context) []string {
	if s.consentGroup == "" {
		return []string{s.channel}
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	people, err := s.directory.Group(ctx, s.consentGroup)
	if err != nil || len(people) == 0 {
		s.log.Warn("nobody was found in the group that is asked where an owner is unknown; the channel is asked", "group", s.consentGroup, "error", err)
		return []string{s.channel}
	}
	var to []string
	for _, p := range people {
		to = append(to, ToPerson(p.ID))
	}
	return to
}

// seenFree reports whether the token is free by a reading of the document, which
// is made only where somebody waits for that.
func (s *Service) seenFree(ctx context.Context, record Record) (bool, error) {
	if record.Holding.Open() || record.IntentOpen || !slices.ContainsFunc(record.Matters.Watches, func(w Watch) bool { return w.Free }) {
		return false, nil
	}
	reading, err := s.read(ctx, s.clock())
	if err != nil {
		return false, err
	}
	return Interpret(reading, record.LastName).State == Free, nil
}

// lookedAround says what follows of a look at Kingfisher: questions about what
// has ended, and answers whose time has passed, are settled; deployers are told
// what that means for them; owners of what was started during a deployment, and
// its holder, are told of each other; and who waited for Kingfisher to be idle
// is told that it is.
func lookedAround(s situation, free bool) decision {
	d := decision{step: stepAnswer}
	r := s.look.report
	running := running(r)
	questions := slices.Clone(s.record.Matters.Questions)
	settle := func(q *Question) {
		d.effects = append(d.effects, q.settle(s.now)...)
		d.put = append(d.put, q)
	}
	for i := range questions {
		if q := &questions[i]; q.update(r, running, s.now) {
			settle(q)
		}
	}
	var over []string
	for _, dep := range s.record.Matters.Deployments {
		after := dep
		switch {
		case dep.Holding == "" && s.now.Sub(dep.At) >= planFor:
			after.Ended = s.now
			d.put = append(d.put, &after)
			if after.Asked {
				d.effects = append(d.effects, after.tell(s.now))
			}
			over = append(over, dep.ID)
			continue
		case dep.Holding == "" && dep.Asked:
			after = dep.looked(*s.look, questions, s.now)
		case dep.Holding != "":
			after = dep.outlived(r, running, s.now)
			d.warn(&after, s)
		}
		if standsDifferently(dep, after) {
			d.reconsider(dep, after, s)
		} else if len(after.Seen) != len(dep.Seen) {
			d.put = append(d.put, &after)
		}
	}
	for i := range questions {
		if q := &questions[i]; q.Settled.IsZero() && s.record.Matters.unneeded(*q, over...) {
			settle(q)
		}
	}
	d.tellWatchers(s, free)
	return d
}

// auditOf are the events for what the effects tell people, edits aside.
func auditOf(effects []Effect, now time.Time) []AuditEvent {
	var events []AuditEvent
	for _, e := range effects {
		if e.Notice.Edits == "" {
			events = append(events, AuditEvent{At: now, Event: string(e.Notice.Kind), Holding: e.Notice.Holding, Detail: "told to " + e.Destination})
		}
	}
	return events
}

// update takes in what the report says of what the question asks about, and
// reports whether that settles it.
func (q *Question) update(r BusyReport, running map[string]bool, now time.Time) bool {
	q.Works = slices.Clone(q.Works)
	left := 0
	for i := range q.Works {
		w := &q.Works[i]
		if w.Ended.IsZero() && gone(*w, r, running) {
			w.Ended = now
		}
		if w.Ended.IsZero() {
			left++
		}
	}
	return left == 0 || q.Answer == AnswerWait && !q.Until.After(now)
}

// warn tells the holder of what was started during their deployment, and each
// of its owners, once, that it is under way.
func (d *decision) warn(dep *Deployment, s situation) {
	h := s.record.Holding
	if !h.Open() || dep.Holding != h.ID {
		return
	}
	known := map[string]bool{}
	for _, id := range dep.Seen {
		known[id] = true
	}
	var fresh []Work
	byOwner := map[string][]Work{}
	var owners []string
	for _, w := range blocking(s.look.report, true) {
		if known[w.ID] {
			continue
		}
		known[w.ID] = true
		dep.Seen = append(slices.Clip(dep.Seen), w.ID)
		if w.OwnerID == h.PersonID && w.OwnerID != "" {
			continue
		}
		fresh = append(fresh, w)
		if w.OwnerID == "" {
			continue
		}
		if byOwner[w.OwnerID] == nil {
			owners = append(owners, w.OwnerID)
		}
		byOwner[w.OwnerID] = append(byOwner[w.OwnerID], w)
	}
	if len(fresh) == 0 {
		return
	}
	ref := dep.Ref()
	dep.Warnings++
	if h.PersonID != "" {
		d.effects = append(d.effects, Effect{
			Key: "new-work:" + h.ID + ":" + strconv.Itoa(dep.Warnings), Destination: ToPerson(h.PersonID),
			Notice: Notice{Kind: NoticeNewWork, Holding: h.ID, Matter: &ref, Works: fresh, At: s.now},
		})
	}
	for _, owner := range owners {
		if !slices.Contains(dep.Warned, ToPerson(owner)) {
			d.effects = append(d.effects, dep.warnOwner(*h, owner, ToPerson(owner), byOwner[owner], s.now))
		}
	}
}

// warnOwner is the effect that tells the owner, or for "" one of those who may
// know them, that the deployment is under way. Whoever may know them may run
// something of their own.
func (d *Deployment) warnOwner(h Holding, owner, to string, works []Work, now time.Time) Effect {
	ref := d.Ref()
	if !slices.Contains(d.Warned, to) {
		d.Warned = append(slices.Clip(d.Warned), to)
	}
	d.inform(to)
	n := Notice{Kind: NoticeDeploying, Holding: h.ID, PersonID: d.PersonID, Name: d.Name, Matter: &ref, Works: works, At: now}
	if !strings.HasPrefix(to, ToPerson("")) {
		n.Thread = beganKey(h.ID)
	}
	return Effect{Key: fmt.Sprintf("deploying:%s:%s:%s", h.ID, cmp.Or(owner, "unknown"), to), Destination: to, Notice: n}
}
