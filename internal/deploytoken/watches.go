package deploytoken

import "time"

// watchFor is how long the bot looks for somebody who wants to be told when
// Kingfisher is idle: a working day.
const watchFor = 9 * time.Hour

// decideWatch decides KindWatch and KindUnwatch. A person has at most one.
func decideWatch(s situation) decision {
	var d decision
	for _, w := range s.record.Matters.Watches {
		if w.PersonID == s.command.PersonID {
			w.Ended, w.Result = s.now, WatchStopped
			d.put, d.matter = append(d.put, &w), w.Ref()
		}
	}
	d.step, d.outcome = stepAnswer, OutcomeUnwatched
	if s.command.Kind == KindWatch {
		w := Watch{ID: s.command.ID, PersonID: s.command.PersonID, Free: s.command.Subject == WatchFree, At: s.now, Until: s.now.Add(watchFor)}
		if dep := s.deployment; dep.ID == s.command.Subject && dep.ID != "" {
			w.Free, w.WithoutPostgres, w.Deployment = dep.Takes && dep.Holding == "", dep.WithoutPostgres, dep.ID
		}
		d.put, d.matter, d.outcome = append(d.put, &w), w.Ref(), OutcomeWatching
	}
	return d
}

// tellWatchers tells whoever waits for Kingfisher to be idle, and maybe for the
// token to be free, that it is so, or that the bot looks no longer.
func (d *decision) tellWatchers(s situation, free bool) {
	for _, w := range s.record.Matters.Watches {
		idle := len(blocking(s.look.report, w.WithoutPostgres)) == 0 && len(unknowns(s.look.report, w.WithoutPostgres)) == 0
		switch {
		case idle && (free || !w.Free):
			w.Ended, w.Result = s.now, WatchSeen
			d.watched(w, NoticeWatched, s)
		case !w.Until.After(s.now):
			w.Ended, w.Result = s.now, WatchLapsed
			d.watched(w, NoticeWatchEnded, s)
		}
	}
}

// watched adds to the decision that the watch has ended, and that its person is
// told so.
func (d *decision) watched(w Watch, kind NoticeKind, s situation) {
	ref := w.Ref()
	n := Notice{Kind: kind, PersonID: w.PersonID, Matter: &ref, At: s.now}
	if h := s.record.Holding; h.Open() && h.PersonID != w.PersonID {
		n.Token = &Token{State: Held, Holder: h.Name}
	}
	d.put = append(d.put, &w)
	d.effects = append(d.effects, Effect{Key: "watched:" + w.ID, Destination: ToPerson(w.PersonID), Notice: n})
}
