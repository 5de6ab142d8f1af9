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
	o := &Operation{Person: p, Kind: k, Words: words, Room: words, Asked: s.tick(), Acked: true}
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
