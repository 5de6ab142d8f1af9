package checker

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// A direct message is one that the bot has sent to a person by itself.
type direct struct {
	to Person
	// kind and id are what it tells of: "turn", "offer", "offer-answered" or
	// "forced", and the place in the waitlist, the offer or the holding.
	kind, id string
	// first is the message as it was sent, and last as it stands now.
	first, last slack.Message
}

func (d direct) String() string {
	return d.to.Name + " was told (" + d.kind + ":" + d.id + "): " + d.first.Shown()
}

// directs are the direct messages of the kind, in order, each once: one that
// came again is wrong by the rule unless something explains it.
func (a *accounting) directs(kind string, r Rule) []direct {
	var out []direct
	for _, p := range a.People {
		sent := map[string]slack.Message{}
		for _, m := range a.Direct[p.ID] {
			k, id, ok := strings.Cut(key(m), ":")
			if m.User != botUser || !ok || k != kind {
				continue
			}
			if before, again := sent[id]; again {
				if !a.doublesBetween(before.At.Add(-time.Second), m.At) && !a.postLostBetween(before.At.Add(-time.Second), m.At) && !a.claimLostAround(m.At) {
					a.wrong(m.At, r, "%s was told twice (%s:%s): %q", p.Name, k, id, m.Shown())
				}
				continue
			}
			sent[id] = m
			d := direct{to: p, kind: k, id: id, first: m, last: m}
			for d.first.Earlier != nil {
				d.first = *d.first.Earlier
			}
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b direct) int { return a.first.At.Compare(b.first.At) })
	return out
}

// postLostBetween reports whether Slack's confirmation of a post was lost: what
// was said in a direct message can't be looked up by the bot.
func (h *History) postLostBetween(from, to time.Time) bool {
	return slices.ContainsFunc(h.Disruptions, func(d Disruption) bool {
		return d.What == postLost && !d.At.Before(from) && !d.At.After(to)
	})
}

// offers checks that the token is handed over only by an offer, to whom it was
// made, at most once, and while the very holding lasts that was offered; and that
// who offered it is told that they don't hold it any more.
func (a *accounting) offers() {
	for _, d := range a.directs("offer", RuleOffer) {
		if give := a.byEnvelope[d.id]; give == nil || give.Kind != Give || give.To != d.to {
			a.wrong(d.first.At, RuleOffer, "an offer that nobody has made: %s", d)
		}
	}
	told := map[string]direct{}
	for _, d := range a.directs("offer-answered", RuleOffer) {
		told[d.id] = d
		give := a.byEnvelope[d.id]
		answered := func(o *Operation) bool {
			answer, ok := o.final()
			return o.Of == d.id && (o.Kind == Accept || o.Kind == Decline) && (!ok || answer.done() || answer.Told == ToldDeclined || answer.Told == ToldSuperseded)
		}
		if give == nil || give.Person != d.to || !slices.ContainsFunc(a.Operations, answered) {
			a.wrong(d.first.At, RuleOffer, "an answer to an offer that nobody has given: %s", d)
		}
	}
	accepted := map[string]bool{}
	for _, o := range a.Operations {
		answer, answered := o.final()
		if o.Kind != Accept || !answered || !answer.done() {
			continue
		}
		give := a.byEnvelope[o.Of]
		if give == nil || give.Kind != Give || give.To != o.Person {
			a.wrong(answer.At, RuleOffer, "%s took over what nobody has offered them", o)
			continue
		}
		if accepted[o.Of] {
			a.wrong(answer.At, RuleOffer, "%s was done though it was accepted before", o)
		}
		accepted[o.Of] = true
		// A holding that lasted only after the offer was made is another one.
		if made, ok := give.final(); ok && !slices.ContainsFunc(a.Rows, func(r Row) bool {
			return strings.EqualFold(r.handedTo(), o.Person.Name) && give.Person.means(r.Name) && !r.Taken.After(made.At) &&
				!r.Released.Before(o.Asked.Add(-time.Second)) && !r.Released.After(answer.At)
		}) {
			a.missing(answer.At, RuleOffer, "%s has no row of a holding that lasted since it was offered", o)
		}
		if d, ok := told[o.Of]; !ok {
			a.missing(answer.At, RuleOffer, "%s was not told that %s was done", give.Person.Name, o)
		} else if !strings.Contains(d.first.Shown(), "accepted your offer") {
			a.wrong(d.first.At, RuleOffer, "%s was done, but %s", o, d)
		}
	}
}

// forced checks that another's holding is released only as the button said that
// was pressed, once, and that who held it is told.
func (a *accounting) forced() {
	told := map[string]direct{}
	for _, d := range a.directs("forced", RuleForced) {
		told[d.id] = d
		if !slices.ContainsFunc(a.Rows, func(r Row) bool {
			by, _ := r.forcedBy()
			return r.ID == d.id && by != "" && d.to.means(r.Name)
		}) {
			a.missing(d.first.At, RuleForced, "a holding that nobody has released for them: %s", d)
		}
	}
	for _, r := range a.Rows {
		by, why := r.forcedBy()
		if by == "" {
			continue
		}
		if !slices.ContainsFunc(a.Operations, func(o *Operation) bool {
			force := a.byEnvelope[o.Of]
			return o.Kind == Confirm && o.Button == r.ID && o.Person.Name == by && force != nil && force.Words == why
		}) {
			a.wrong(r.Released, RuleForced, "a holding was released that was not the one to be confirmed: %v", r)
		}
		// Whom another name means that was typed by hand, the bot may not know.
		known := slices.ContainsFunc(a.People, func(p Person) bool { return strings.EqualFold(p.Name, r.Name) })
		if _, ok := told[r.ID]; !ok && known {
			a.missing(r.Released, RuleForced, "the holder was not told of it: %v", r)
		}
	}
	done := map[string]bool{}
	for _, o := range a.Operations {
		if answer, _ := o.final(); o.Kind == Confirm && answer.done() {
			if done[o.Button] {
				a.wrong(answer.At, RuleForced, "%s was done though the holding was released before", o)
			}
			done[o.Button] = true
		}
	}
}

// A turn is the time in which one who waits may take the token before others.
type turn struct {
	direct
	waiter      *Operation
	from, until time.Time
}

var timestamp = regexp.MustCompile(`"timestamp":\s*([0-9]+)|<!date\^([0-9]+)`)

// moment is the first time that the message tells; zero where it tells none.
func moment(m slack.Message) time.Time {
	for _, text := range []string{string(m.Blocks), m.Text} {
		if found := timestamp.FindStringSubmatch(text); found != nil {
			seconds, _ := strconv.ParseInt(found[1]+found[2], 10, 64)
			return time.Unix(seconds, 0)
		}
	}
	return time.Time{}
}

// turns checks that who is told that it is their turn waits for it, while the
// document says Nobody, and has it alone. A turn ends before its time where its
// person leaves the waitlist, or the document says somebody's name.
func (a *accounting) turns() {
	var turns []turn
	for _, d := range a.directs("turn", RuleTurn) {
		place, _, _ := strings.Cut(d.id, ":")
		t := turn{direct: d, waiter: a.byEnvelope[place]}
		if t.waiter == nil || t.waiter.Kind != Wait || t.waiter.Person != d.to {
			a.wrong(d.first.At, RuleTurn, "it is the turn of somebody who doesn't wait: %s", d)
			continue
		}
		if !strings.Contains(d.first.Shown(), "it is your turn to take it, until") {
			continue // too late to tell of it but as of the past
		}
		if t.until = moment(d.first); t.until.IsZero() {
			a.wrong(d.first.At, RuleTurn, "a turn without an end: %s", d)
			continue
		}
		t.from = t.until.Add(-turnLasts)
		if !a.said(t.from.Add(-a.readFor(t.from)), t.from.Add(time.Second), func(s string) bool { return s == nobody }) {
			a.wrong(d.first.At, RuleTurn, "the token wasn't free: %s", d)
		}
		turns = append(turns, t)
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return a.until.Compare(b.until) })
	for i, next := range turns {
		for _, t := range turns[:i] {
			// Messages tell whole seconds.
			if next.from.Before(t.until.Add(-time.Second)) && !a.overBefore(t, next.from.Add(2*time.Second)) {
				a.wrong(next.first.At, RuleTurn, "two turns at once, from %s and from %s: %s; %s",
					t.from.Format(time.TimeOnly), next.from.Format(time.TimeOnly), t, next)
			}
		}
	}
}

// readFor is how long before a turn began the document may have been read, or
// written, by which the token was free: longer where the store was out of reach
// meanwhile.
func (h *History) readFor(began time.Time) time.Duration {
	for _, d := range h.Disruptions {
		if strings.Contains(d.What, "store") && d.At.After(began.Add(-30*time.Second)) && d.At.Before(began.Add(time.Second)) {
			return 30 * time.Second
		}
	}
	return 5 * time.Second
}

// overBefore reports whether the turn may have been over by then.
func (a *accounting) overBefore(t turn, by time.Time) bool {
	return a.said(t.from, by, func(s string) bool { return s != nobody }) || slices.ContainsFunc(a.Operations, func(o *Operation) bool {
		return o.Kind == Leave && o.Person == t.to && o.Asked.Before(by) && o.Asked.After(t.waiter.Asked)
	})
}
