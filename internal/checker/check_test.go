package checker

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

var ana, bob = people[0], people[1]

// A story is a History that is told second by second.
type story struct {
	*History
	at   time.Time
	says string
}

func newStory() *story {
	began := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	return &story{History: &History{People: people, Began: began}, at: began, says: nobody}
}

func (s *story) tick() time.Time {
	s.at = s.at.Add(time.Second)
	return s.at
}

func (s *story) asks(p Person, k Kind, words string) *Operation {
	o := &Operation{Person: p, Kind: k, Words: words, Room: words, Envelope: fmt.Sprintf("e%d", len(s.Operations)+1), Asked: s.tick(), Acked: true}
	s.Operations = append(s.Operations, o)
	return o
}

func (s *story) told(o *Operation, text string) {
	o.Answers = append(o.Answers, understand(o.Kind, s.tick(), text))
}

// write changes the document: the bot does, if there is a mark, else somebody.
func (s *story) write(says, mark string, marks ...string) *google.Write {
	w := google.Write{
		Seq: len(s.Writes) + 1, Time: s.tick(), Guarded: true, NamedRanges: marks,
		TextBefore: "Held by: " + s.says, TextAfter: "Held by: " + says,
	}
	if mark != "" {
		w.Operation = google.DocsBatchUpdate
		w.Body = json.RawMessage(fmt.Sprintf(`{"requests":[{"createNamedRange":{"name":%q}}]}`, mark))
		w.NamedRanges = append(w.NamedRanges, mark)
	}
	s.says = says
	s.Writes = append(s.Writes, w)
	return &s.Writes[len(s.Writes)-1]
}

func (s *story) row(id string, p Person, purpose, summary string, from, to time.Time) {
	s.Rows = append(s.Rows, Row{ID: id, Name: p.Name, Purpose: purpose, Summary: summary, Taken: from, Released: to})
	for _, kind := range []string{"began", "ended"} {
		s.announced(kind + ":" + id)
	}
}

func (s *story) announced(key string) {
	metadata, _ := json.Marshal(map[string]any{"event_payload": map[string]string{"key": key}})
	s.Messages = append(s.Messages, slack.Message{User: botUser, At: s.at, Metadata: metadata})
}

// presses is a click of a button about a holding and what it goes back to.
func (s *story) presses(p Person, k Kind, holding, of string) *Operation {
	o := s.asks(p, k, "")
	o.Button, o.Of = holding, of
	return o
}

// direct is a direct message from the bot.
func (s *story) direct(to Person, key, text string) *slack.Message {
	s.announced(key)
	m := s.Messages[len(s.Messages)-1]
	s.Messages = s.Messages[:len(s.Messages)-1]
	m.At, m.Text = s.tick(), text
	if s.Direct == nil {
		s.Direct = map[string][]slack.Message{}
	}
	s.Direct[to.ID] = append(s.Direct[to.ID], m)
	return &s.Direct[to.ID][len(s.Direct[to.ID])-1]
}

// handed is a holding of Ana's that she gives to Bob, who releases it.
func (s *story) handed() (give, accept *Operation) {
	from := s.at
	s.told(s.takes(ana, "job-1", "m1"), tookIt)
	give = s.asks(ana, Give, "")
	give.To = bob
	s.told(give, "I have offered the deploy token to Bob Ray in a direct message. You hold it until they accept, and I'll tell you what they answer.")
	s.direct(bob, "offer:"+give.Envelope, "Ana Díaz offers you the deploy token.")
	accept = s.presses(bob, Accept, "", give.Envelope)
	s.write(bob.Name, "m2")
	over := s.at
	s.told(accept, tookIt)
	s.row("h1", ana, "job-1", "handed over to Bob Ray", from, over)
	s.Messages = s.Messages[:len(s.Messages)-1]
	s.direct(ana, "offer-answered:"+give.Envelope, "Bob Ray has accepted your offer: they hold the deploy token now, and you no longer do.")
	release := s.asks(bob, Release, "job-2")
	s.write(nobody, "m3")
	s.told(release, releasedIt)
	s.row("h2", bob, "job-1", "job-2", over, s.at)
	return give, accept
}

func (s *story) takes(p Person, words, mark string) *Operation {
	o := s.asks(p, Take, words)
	s.write(p.Name, mark)
	return o
}

// forced is a holding of Ana's that Bob releases for her.
func (s *story) forced() (confirm *Operation) {
	from := s.at
	s.told(s.takes(ana, "job-1", "m1"), tookIt)
	force := s.asks(bob, Force, "job-2")
	s.told(force, "Ana Díaz has held the deploy token for 1 min, since 9:00. Nothing is released before you press the button.")
	confirm = s.presses(bob, Confirm, "h1", force.Envelope)
	confirm.Shown = ana.Name
	s.write(nobody, "m2")
	s.told(confirm, "You have released the deploy token for Ana Díaz, who had held it for 1 min.")
	s.row("h1", ana, "job-1", "released by Bob Ray: job-2", from, s.at)
	s.direct(ana, "forced:h1", "Bob Ray has released the deploy token for you.")
	return confirm
}

// waits has the person wait, while somebody's name stands in the document.
func (s *story) waits(p Person, words string) *Operation {
	o := s.asks(p, Wait, words)
	s.told(o, "You are first in line for the deploy token.")
	return o
}

// turn tells who waits that it is their turn, from now on.
func (s *story) turn(wait *Operation, n int) {
	until := s.at.Add(time.Second + turnLasts)
	m := s.direct(wait.Person, fmt.Sprintf("turn:%s:%d", wait.Envelope, n), "The deploy token is free, and it is your turn to take it, until then.")
	m.Text += fmt.Sprintf(" <!date^%d^{time}|then>", until.Unix())
}

// byHand is a holding that began and ended by hand.
func (s *story) byHand(p Person, id string) {
	s.write(p.Name, "")
	from := s.at
	s.write(nobody, "")
	s.row(id, p, "", changedByHand, from, s.at)
}

const (
	tookIt     = "You hold the deploy token now: this"
	releasedIt = "You have released the deploy token after 1 min: that"
	bobHasIt   = "Bob Ray has held the deploy token for 1 min, since 9:00. You can take it once it is released. Nothing was changed."
	superseded = "The Deploy token document was changed by hand while I was working on your request. What it says now counts."
)

// held is a holding of Ana's from beginning to end.
func (s *story) held() (take, release *Operation) {
	from := s.at
	take = s.asks(ana, Take, "job-1")
	s.write(ana.Name, "m1")
	s.told(take, tookIt)
	release = s.asks(ana, Release, "job-2")
	s.write(nobody, "m2")
	s.told(release, releasedIt)
	s.row("h1", ana, "job-1", "job-2", from, s.at)
	return take, release
}

// TestCheck: each rule is broken by what breaks it, and by nothing less.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tell  func(s *story)
		wants []Rule
	}{
		{"a holding", func(s *story) { s.held() }, nil},
		{"a write without a guard", func(s *story) {
			s.held()
			s.Writes[0].Guarded = false
		}, []Rule{RuleGuard}},
		{"a name over a name", func(s *story) {
			s.write(bob.Name, "")
			s.asks(ana, Take, "job-1").Acked = false
			s.write(ana.Name, "m1")
		}, []Rule{RuleGuard}},
		{"a write that nobody asked for", func(s *story) { s.write(ana.Name, "m1") }, []Rule{RuleOnce}},
		{"a take that is done twice", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.write(nobody, "", "m1")
			s.write(ana.Name, "m2")
			s.told(o, tookIt)
			s.row("h1", ana, "job-1", changedByHand, o.Asked, s.at)
		}, []Rule{RuleOnce}},
		{"a take that somebody undid with its mark, and that is done again", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.write(nobody, "")
			s.write(ana.Name, "m2")
			s.told(o, tookIt)
			s.row("h1", ana, "job-1", changedByHand, o.Asked, s.at)
		}, nil},
		{"a refusal that was at no time true", func(s *story) {
			s.told(s.asks(ana, Take, "job-1"), "The Deploy token document says that Bob Ray holds the deploy token. You can take it once it is released.")
		}, []Rule{RuleTold, RuleOrder}},
		{"a refusal that was true for a moment", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(bob.Name, "")
			s.write(nobody, "")
			s.told(o, "The Deploy token document says that Bob Ray holds the deploy token. You can take it once it is released.")
		}, nil},
		{"a holding that has no row", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(bob.Name, "")
			s.told(o, bobHasIt)
		}, []Rule{RuleRow}},
		{"a refusal of what was done", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.write(bob.Name, "", "m1")
			s.told(o, "The Deploy token document says that Bob Ray holds the deploy token. You can take it once it is released.")
		}, []Rule{RuleTold}},
		{"a refusal of what somebody undid with its mark", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.write(bob.Name, "")
			s.told(o, "The Deploy token document says that Bob Ray holds the deploy token. You can take it once it is released.")
		}, nil},
		{"told to have it, with no write", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.told(o, tookIt)
			s.row("h1", ana, "job-1", changedByHand, o.Asked, s.at)
		}, []Rule{RuleTold, RuleRow, RuleOrder}},
		{"a late answer that tells of another present", func(s *story) {
			s.told(s.asks(ana, Release, "job-1"), "You asked at 9:00 to release the deploy token. Nobody held it then, and nothing was changed. "+
				"My answer comes late. This is how it is now: Bob Ray holds the deploy token; since when, I don't know yet.")
		}, []Rule{RuleTold}},
		{"a late answer that tells of the present as it is", func(s *story) {
			s.told(s.asks(ana, Release, "job-1"), "You asked at 9:00 to release the deploy token. Nobody held it then, and nothing was changed.\n\n"+
				"My answer comes late. This is how it is now:\n\nBob Ray\n holds the deploy token; since when, I don't know yet.")
			s.Operations[0].Asked = s.Began
			s.Writes = append([]google.Write{}, google.Write{Seq: 1, Time: s.Began.Add(time.Second / 2), TextBefore: "Held by: Nobody", TextAfter: "Held by: Bob Ray"})
		}, nil},
		{"an answer of an unknown kind", func(s *story) { s.told(s.asks(ana, Take, "job-1"), "Hm.") }, []Rule{RuleTold}},
		{"no answer", func(s *story) { s.asks(ana, Take, "job-1") }, []Rule{RuleAnswered}},
		{"no answer to what was done", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			o.Acked = false
			s.write(ana.Name, "m1")
		}, []Rule{RuleAnswered}},
		{"an answer twice", func(s *story) {
			take, _ := s.held()
			s.told(take, tookIt)
		}, []Rule{RuleAnswered}},
		{"an answer twice, around a kill", func(s *story) {
			take, _ := s.held()
			s.Disruptions = []Disruption{{At: take.Answers[0].At, Doubles: true}}
			s.told(take, tookIt)
		}, nil},
		{"two answers", func(s *story) {
			take, _ := s.held()
			s.Disruptions = []Disruption{{At: take.Answers[0].At, Doubles: true}}
			s.told(take, "Nobody holds the deploy token.")
		}, []Rule{RuleAnswered}},
		{"no row", func(s *story) {
			s.held()
			s.Rows = nil
		}, []Rule{RuleRow, RuleRow, RuleRow, RuleRow}},
		{"a row twice", func(s *story) {
			s.held()
			s.Rows = append(s.Rows, s.Rows[0])
		}, []Rule{RuleRow, RuleRow, RuleRow, RuleRow}},
		{"rows out of order", func(s *story) {
			s.held()
			s.write(bob.Name, "")
			s.row("h2", bob, "", changedByHand, s.Began, s.at)
		}, []Rule{RuleRow}},
		{"a row of a holding that there was not", func(s *story) {
			s.held()
			s.write(bob.Name, "")
			s.write(nobody, "")
			s.at = s.at.Add(time.Minute)
			s.row("h2", bob, "", changedByHand, s.at, s.at)
		}, []Rule{RuleRow}},
		{"superseded, though its mark was there", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.write(bob.Name, "", "m1")
			s.told(o, superseded)
		}, []Rule{RuleRow}},
		{"superseded, with its mark gone", func(s *story) {
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.write(bob.Name, "")
			s.told(o, superseded)
		}, nil},
		{"announced twice", func(s *story) {
			s.held()
			s.announced("began:h1")
		}, []Rule{RuleAnnounced}},
		{"announced twice, by a replica that was taken for dead", func(s *story) {
			s.held()
			s.Disruptions = []Disruption{{At: s.at, What: claimLost}}
			s.announced("began:h1")
		}, nil},
		{"a name over a name, announced at once", func(s *story) {
			from := s.at
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.told(o, tookIt)
			s.write(bob.Name, "", "m1")
			s.row("h1", ana, "job-1", changedByHand, from, s.at)
			s.Messages = s.Messages[:1]
			over := s.at
			s.write(nobody, "")
			s.row("h2", bob, "", changedByHand, over, s.at)
		}, nil},
		{"an end that is not announced, with a name by hand some time after", func(s *story) {
			from := s.at
			o := s.asks(ana, Take, "job-1")
			s.write(ana.Name, "m1")
			s.told(o, tookIt)
			s.write(nobody, "", "m1")
			s.row("h1", ana, "job-1", changedByHand, from, s.at)
			s.Messages = s.Messages[:1]
			s.write(bob.Name, "")
			later := s.at
			s.write(nobody, "")
			s.row("h2", bob, "", changedByHand, later, s.at)
		}, []Rule{RuleAnnounced}},
		{"an end that is not announced", func(s *story) {
			s.held()
			s.Messages = s.Messages[:1]
		}, []Rule{RuleAnnounced, RuleAnnounced}},
		{"a hand-over", func(s *story) { s.handed() }, nil},
		{"a hand-over of what nobody offered", func(s *story) {
			give, _ := s.handed()
			give.To = people[2]
		}, []Rule{RuleOffer, RuleOffer}},
		{"a hand-over that its giver isn't told of", func(s *story) {
			s.handed()
			delete(s.Direct, ana.ID)
		}, []Rule{RuleOffer}},
		{"a hand-over of a holding that began after it was offered", func(s *story) {
			s.handed()
			s.Rows[0].Taken = s.Rows[0].Released.Add(-time.Second)
		}, []Rule{RuleOffer}},
		{"a hand-over of another's token", func(s *story) {
			_, accept := s.handed()
			accept.Of = s.asks(people[2], Give, "").Envelope
			s.Operations[len(s.Operations)-1].To, s.Operations[len(s.Operations)-1].Acked = bob, false
		}, []Rule{RuleGuard, RuleOffer, RuleOffer}},
		{"an offer accepted twice", func(s *story) {
			give, _ := s.handed()
			s.told(s.presses(bob, Accept, "", give.Envelope), tookIt)
		}, []Rule{RuleTold, RuleRow, RuleOffer, RuleOffer, RuleOrder}},
		{"a hand-over that is announced as an end, too", func(s *story) {
			s.handed()
			s.announced("ended:h1")
		}, []Rule{RuleAnnounced}},
		{"a hand-over with no row of the holding that began", func(s *story) {
			s.handed()
			s.Rows = s.Rows[:1]
		}, []Rule{RuleRow, RuleRow, RuleRow, RuleRow}},
		{"a force-release", func(s *story) { s.forced() }, nil},
		{"a force-release of another holding than was shown", func(s *story) {
			s.forced().Button = "h0"
		}, []Rule{RuleRow, RuleForced}},
		{"a force-release of another's than was shown", func(s *story) {
			s.forced().Shown = people[2].Name
		}, []Rule{RuleOnce}},
		{"a force-release that the holder isn't told of", func(s *story) {
			s.forced()
			s.Direct = nil
		}, []Rule{RuleForced}},
		{"a force-release that the holder is told of twice", func(s *story) {
			s.forced()
			s.direct(ana, "forced:h1", "Bob Ray has released the deploy token for you.")
		}, []Rule{RuleForced}},
		{"a turn, and the next", func(s *story) {
			first, second := s.waits(ana, "job-1"), s.waits(bob, "job-2")
			s.turn(first, 1)
			s.at = s.at.Add(turnLasts)
			s.turn(second, 1)
		}, nil},
		{"a turn while the token is held", func(s *story) {
			s.write(people[2].Name, "")
			from := s.at
			s.at = s.at.Add(time.Minute)
			s.turn(s.waits(ana, "job-1"), 1)
			s.at = s.at.Add(time.Minute)
			s.write(nobody, "")
			s.row("h1", people[2], "", changedByHand, from, s.at)
		}, []Rule{RuleTurn}},
		{"two turns at once", func(s *story) {
			first, second := s.waits(ana, "job-1"), s.waits(bob, "job-2")
			s.turn(first, 1)
			s.turn(second, 1)
		}, []Rule{RuleTurn}},
		{"called twice for one turn", func(s *story) {
			w := s.waits(ana, "job-1")
			s.turn(w, 1)
			s.turn(w, 2)
		}, []Rule{RuleTurn}},
		{"told twice of one turn", func(s *story) {
			w := s.waits(ana, "job-1")
			s.turn(w, 1)
			s.turn(w, 1)
		}, []Rule{RuleTurn}},
		{"two turns, between which the token was held", func(s *story) {
			w := s.waits(ana, "job-1")
			s.turn(w, 1)
			s.byHand(bob, "h1")
			s.turn(w, 2)
		}, nil},
		{"the turn of somebody who doesn't wait", func(s *story) {
			s.turn(s.asks(ana, Status, ""), 1)
		}, []Rule{RuleTurn}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory()
			tt.tell(s)
			problems := s.Check(time.Minute)
			var rules []Rule
			for _, p := range problems {
				rules = append(rules, p.Rule)
			}
			if !slices.Equal(rules, tt.wants) {
				t.Errorf("broke %q, want %q: %v", rules, tt.wants, problems)
			}
		})
	}
}
