package deploytoken

import (
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	const ana, bob = "UANA", "UBOB"
	holding := func(id, name, person string) *Holding {
		return &Holding{ID: id, Name: name, PersonID: person, Since: now.Add(-time.Hour), SinceKnown: true}
	}
	held := func(name string) Token { return Token{State: Held, Holder: name} }
	free, unclear := Token{State: Free}, Token{Reason: "two lines"}
	cmd := func(k Kind, holding string) Command {
		return Command{ID: "c", Kind: k, PersonID: ana, Holding: holding, At: now.Add(-time.Second)}
	}
	click := func(k Kind, holding string) Command {
		c := cmd(k, holding)
		c.Message = "1.2"
		return c
	}
	late := func(c Command) Command { c.At = now.Add(-takeWithin - time.Second); return c }
	after := func(c Command) Command { c.Subject = "take"; return c }
	record := func(h *Holding) Record { return Record{Holding: h} }
	anas, bobs := record(holding("h1", "Ana", ana)), record(holding("h1", "Bob", bob))
	typed := record(holding("h1", "Ana", ""))
	byHand := record(holding("h1", "Ana", ana))
	byHand.Holding.ByHand = true
	onlyAna := []Person{{ID: ana}}
	either := []Person{{ID: bob}, {ID: ana}}

	for _, tt := range []struct {
		name    string
		s       situation
		step    step
		outcome Outcome
	}{
		{"take a free token by a cached reading", situation{command: cmd(KindTake, ""), token: free}, stepWrite, ""},
		{"take a free token that the record says is held", situation{command: cmd(KindTake, "h1"), token: free, record: bobs}, stepWrite, ""},
		{"take too late", situation{command: late(cmd(KindTake, "")), token: free}, stepAnswer, OutcomeTooLate},
		{"take a held token by a cached reading", situation{command: cmd(KindTake, ""), token: held("Bob"), record: bobs}, stepRead, ""},
		{"take a held token", situation{command: cmd(KindTake, ""), token: held("Bob"), fresh: true, record: bobs}, stepAnswer, OutcomeHeld},
		{"take one's own", situation{command: cmd(KindTake, ""), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeAlreadyYours},
		{"take an unclear one by a cached reading", situation{command: cmd(KindTake, ""), token: unclear}, stepRead, ""},
		{"take an unclear one", situation{command: cmd(KindTake, ""), token: unclear, fresh: true}, stepAnswer, OutcomeUnclear},
		{"take one with a name that nobody looked up", situation{command: cmd(KindTake, ""), token: held("Ana"), fresh: true}, stepLookUp, ""},
		{"take one with the asker's name typed a moment ago", situation{command: cmd(KindTake, ""), token: held("Ana"), fresh: true, named: onlyAna, lookedUp: true}, stepAdopt, ""},
		{"take one with the asker's name typed a while ago", situation{command: cmd(KindTake, ""), token: held("Ana"), fresh: true, record: typed, named: onlyAna, lookedUp: true}, stepAnswer, OutcomeAlreadyYours},
		{"take one with a name of several", situation{command: cmd(KindTake, ""), token: held("Ana"), fresh: true, record: typed, named: either, lookedUp: true}, stepAnswer, OutcomeMaybeYours},
		{"take one with a name of nobody's", situation{command: cmd(KindTake, ""), token: held("Zoe"), fresh: true, lookedUp: true}, stepAnswer, OutcomeHeld},
		{"a recorded person goes before what a name could mean", situation{command: cmd(KindTake, ""), token: held("Bob"), fresh: true, record: bobs, named: onlyAna, lookedUp: true}, stepAnswer, OutcomeHeld},

		{"release one's own by a cached reading", situation{command: cmd(KindRelease, "h1"), token: held("Ana"), record: anas}, stepWrite, ""},
		{"release after the document was edited to another case", situation{command: cmd(KindRelease, "h1"), token: held("ana"), record: anas}, stepWrite, ""},
		{"release by an old command", situation{command: late(cmd(KindRelease, "h1")), token: held("Ana"), record: anas}, stepWrite, ""},
		{"release another's", situation{command: cmd(KindRelease, "h1"), token: held("Bob"), fresh: true, record: bobs}, stepAnswer, OutcomeHeld},
		{"release another's by a cached reading", situation{command: cmd(KindRelease, "h1"), token: held("Bob"), record: bobs}, stepRead, ""},
		{"release what is free", situation{command: cmd(KindRelease, ""), token: free, fresh: true}, stepAnswer, OutcomeFree},
		{"release what is free by a cached reading", situation{command: cmd(KindRelease, ""), token: free}, stepRead, ""},
		{"release what one has just cleared by hand", situation{command: cmd(KindRelease, "h1"), token: free, fresh: true, record: anas}, stepAnswer, OutcomeEnded},
		{"release what another has just cleared by hand", situation{command: cmd(KindRelease, "h1"), token: free, fresh: true, record: bobs}, stepAnswer, OutcomeFree},
		{"release by a button for an earlier holding", situation{command: click(KindRelease, "h0"), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeEnded},
		{"release by a button for an earlier holding, cached", situation{command: click(KindRelease, "h0"), token: held("Ana"), record: anas}, stepRead, ""},
		{"release asked for before this holding began", situation{command: cmd(KindRelease, ""), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeEnded},
		{"release asked for while a take was under way", situation{command: after(cmd(KindRelease, "")), token: held("Ana"), record: anas}, stepWrite, ""},
		{"release asked for while a second take was under way", situation{command: after(cmd(KindRelease, "h0")), token: held("Ana"), record: anas}, stepWrite, ""},
		{"release asked for while a take was under way that failed", situation{command: after(cmd(KindRelease, "")), token: held("Bob"), fresh: true, record: bobs}, stepAnswer, OutcomeEnded},
		{"release asked for long ago, while a take was under way", situation{command: late(after(cmd(KindRelease, ""))), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeEnded},
		{"release by a button, name overwritten", situation{command: click(KindRelease, "h1"), token: held("Bob"), fresh: true, record: anas}, stepAnswer, OutcomeEnded},
		{"release with a name that was typed over another", situation{command: cmd(KindRelease, "h1"), token: held("Ana"), fresh: true, record: bobs, named: onlyAna, lookedUp: true}, stepAdopt, ""},
		{"release with a name over one's own", situation{command: cmd(KindRelease, "h1"), token: held("Bob"), fresh: true, record: anas, named: []Person{{ID: bob}}, lookedUp: true}, stepAnswer, OutcomeHeld},
		{"release a typed name that is the asker's", situation{command: cmd(KindRelease, "h1"), token: held("Ana"), record: typed, named: onlyAna, lookedUp: true}, stepWrite, ""},
		{"release a typed name that is several people's", situation{command: cmd(KindRelease, "h1"), token: held("Ana"), fresh: true, record: typed, named: either, lookedUp: true}, stepAnswer, OutcomeMaybeYours},
		{"release a typed name that is several people's, by a cached reading", situation{command: cmd(KindRelease, "h1"), token: held("Ana"), record: typed, named: either, lookedUp: true}, stepRead, ""},
		{"release what was typed before and recorded after", situation{command: cmd(KindRelease, ""), token: held("Ana"), record: byHand}, stepWrite, ""},
		{"release what was typed and recorded long after", situation{command: late(cmd(KindRelease, "")), token: held("Ana"), fresh: true, record: byHand}, stepAnswer, OutcomeEnded},
		{"release by a button for no holding", situation{command: click(KindRelease, ""), token: held("Ana"), fresh: true, record: byHand}, stepAnswer, OutcomeEnded},
		{"release by a button what is free", situation{command: click(KindRelease, "h0"), token: free, fresh: true}, stepAnswer, OutcomeEnded},
		{"release an earlier holding, one's name typed over another", situation{command: cmd(KindRelease, "h0"), token: held("Ana"), fresh: true, record: bobs, named: onlyAna, lookedUp: true}, stepAnswer, OutcomeEnded},
		{"release an unclear one by a cached reading", situation{command: cmd(KindRelease, "h1"), token: unclear, record: anas}, stepRead, ""},
		{"release an unclear one", situation{command: cmd(KindRelease, "h1"), token: unclear, fresh: true, record: anas}, stepAnswer, OutcomeUnclear},

		{"ask the holder", situation{command: click(KindAsk, "h1"), token: held("Bob"), fresh: true, record: bobs}, stepAnswer, OutcomeAsked},
		{"ask oneself", situation{command: click(KindAsk, "h1"), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeAlreadyYours},
		{"ask a holder whose name is found", situation{command: click(KindAsk, "h1"), token: held("Bob"), fresh: true, record: record(holding("h1", "Bob", "")), named: []Person{{ID: bob}}, lookedUp: true}, stepAnswer, OutcomeAsked},
		{"ask a holder whom nobody knows", situation{command: click(KindAsk, "h1"), token: held("Zoe"), fresh: true, record: record(holding("h1", "Zoe", "")), lookedUp: true}, stepAnswer, OutcomeHolderUnknown},
		{"ask about an earlier holding", situation{command: click(KindAsk, "h0"), token: held("Bob"), fresh: true, record: bobs}, stepAnswer, OutcomeEnded},
		{"ask when it is free", situation{command: click(KindAsk, "h1"), token: free, fresh: true, record: bobs}, stepAnswer, OutcomeFree},
		{"ask the holder of a name typed a moment ago", situation{command: cmd(KindAsk, ""), token: held("Bob"), fresh: true}, stepAdopt, ""},
		{"ask when it is unclear", situation{command: click(KindAsk, "h1"), token: unclear, fresh: true, record: bobs}, stepAnswer, OutcomeUnclear},
		{"ask by a cached reading", situation{command: click(KindAsk, "h1"), token: held("Bob"), record: bobs}, stepRead, ""},

		{"still working", situation{command: click(KindStillWorking, "h1"), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeQuiet},
		{"still working, said by another", situation{command: click(KindStillWorking, "h1"), token: held("Bob"), fresh: true, record: bobs}, stepAnswer, OutcomeHeld},
		{"still working, with a name of several", situation{command: click(KindStillWorking, "h1"), token: held("Ana"), fresh: true, record: typed, named: either, lookedUp: true}, stepAnswer, OutcomeMaybeYours},
		{"still working on an earlier holding", situation{command: click(KindStillWorking, "h0"), token: held("Ana"), fresh: true, record: anas}, stepAnswer, OutcomeEnded},

		{"claim a name of several", situation{command: click(KindClaim, "h1"), token: held("Ana"), fresh: true, record: typed, named: either, lookedUp: true}, stepAnswer, OutcomeClaimed},
		{"claim a name that can't be the asker's", situation{command: click(KindClaim, "h1"), token: held("Ana"), fresh: true, record: typed, named: []Person{{ID: bob}}, lookedUp: true}, stepAnswer, OutcomeNotYours},
		{"claim what another has claimed", situation{command: click(KindClaim, "h1"), token: held("Bob"), fresh: true, record: bobs, named: either, lookedUp: true}, stepAnswer, OutcomeNotYours},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.s.now, tt.s.quietFor = now, 2*time.Hour
			d := decide(tt.s)
			if d.step != tt.step || d.outcome != tt.outcome {
				t.Fatalf("got step %d outcome %q, want %d %q", d.step, d.outcome, tt.step, tt.outcome)
			}
			if d.step == stepWrite && d.release != (tt.s.command.Kind == KindRelease) {
				t.Errorf("release is %v", d.release)
			}
			if d.step == stepWrite && d.release && !sameName(tt.s.token.Holder, tt.s.record.Holding.Name) {
				t.Errorf("releases a name that the record doesn't have: %v", tt.s.token)
			}
		})
	}
}

// What a command makes known of the holder is recorded with it.
func TestDecideUpdates(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		kind   Kind
		asker  string
		person string
		next   time.Time
	}{
		{"a take of what is the asker's", KindTake, "UANA", "UANA", time.Time{}},
		{"still working", KindStillWorking, "UANA", "UANA", now.Add(time.Hour)},
		{"a claim", KindClaim, "UANA", "UANA", time.Time{}},
		{"asking the one whom the name means", KindAsk, "UBOB", "UANA", time.Time{}},
	} {
		d := decide(situation{
			command: Command{Kind: tt.kind, PersonID: tt.asker, At: now}, token: Token{State: Held, Holder: "Ana"}, fresh: true,
			record: Record{Holding: &Holding{ID: "h1", Name: "Ana"}}, named: []Person{{ID: "UANA"}}, lookedUp: true,
			now: now, quietFor: time.Hour,
		})
		if d.update == nil || d.update.ID != "h1" || d.update.PersonID != tt.person || !d.update.NextReminder.Equal(tt.next) || !d.until.Equal(tt.next) {
			t.Errorf("%s: %+v, until %v", tt.name, d.update, d.until)
		}
		if d.ask != (tt.kind == KindAsk) {
			t.Errorf("%s: asks: %v", tt.name, d.ask)
		}
	}
}

func TestJudge(t *testing.T) {
	const store = "s1"
	ours, old := Mark{store, "op"}, Mark{store, "old"}
	i := &Intent{Operation: "op", Read: "Nobody", Written: "Ana", Removes: []Mark{old}}
	for _, tt := range []struct {
		name       string
		r          Reading
		landed     bool
		superseded bool
	}{
		{"our mark", Reading{Value: "Ana", Marks: []Mark{ours}}, true, false},
		{"our mark, written over since", Reading{Value: "Bob", Marks: []Mark{ours}}, true, false},
		{"our mark in an unclear document", Reading{Problem: "two lines", Marks: []Mark{ours}}, true, false},
		{"the mark that it would have removed", Reading{Value: "Ana", Marks: []Mark{old}}, false, false},
		{"another store's mark of that name", Reading{Value: "Nobody", Marks: []Mark{{"s2", "op"}}}, false, false},
		{"no mark, as written", Reading{Value: "Ana"}, true, false},
		{"no mark, as read", Reading{Value: "Nobody"}, false, false},
		{"no mark, something else", Reading{Value: "Bob"}, false, true},
		{"no mark, unclear", Reading{Value: "Ana", Problem: "two lines"}, false, true},
	} {
		v := judge(i, store, tt.r)
		if v.landed != tt.landed || v.superseded != tt.superseded {
			t.Errorf("%s: landed %v superseded %v", tt.name, v.landed, v.superseded)
		}
	}
}

func TestRemindable(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	old := now.Add(-3 * time.Hour)
	for _, tt := range []struct {
		name string
		r    Record
		want bool
	}{
		{"free", Record{}, false},
		{"young", Record{Holding: &Holding{Since: now.Add(-time.Hour)}}, false},
		{"just stale", Record{Holding: &Holding{Since: now.Add(-2 * time.Hour)}}, true},
		{"ended", Record{Holding: &Holding{Since: old, Ended: now}}, false},
		{"quiet", Record{Holding: &Holding{Since: old, NextReminder: now.Add(time.Second)}}, false},
		{"quiet no more", Record{Holding: &Holding{Since: old, NextReminder: now}}, true},
		{"a write under way", Record{IntentOpen: true, Holding: &Holding{Since: old}}, false},
	} {
		if got := remindable(tt.r, now, 2*time.Hour); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestDecidedOn(t *testing.T) {
	for operation, want := range map[string]int64{
		newOperation(7):         7,
		"0-x":                   0,
		"12-a-b":                12,
		"x":                     -1,
		"12":                    -1,
		"-1-x":                  -1,
		"9007199254740992-x":    maxSeq,
		"9223372036854775807-x": -1,
		"9223372036854775808-x": -1,
	} {
		if got := decidedOn(operation); got != want {
			t.Errorf("decidedOn(%q) = %d, want %d", operation, got, want)
		}
	}
}
