package deploytoken_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/ledger"
)

// server is a Kingfisher server: what runs on it, by check.
type server struct {
	mu      sync.Mutex
	running []deploytoken.Finding // What's first word is the check
	unknown string                // a check that can't be made
	looks   int
}

func (k *server) Busy(ctx context.Context, checks []string, progress func(deploytoken.CheckResult)) deploytoken.BusyReport {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looks++
	r := deploytoken.BusyReport{At: time.Now()}
	for _, check := range deploytoken.Checks() {
		c := deploytoken.CheckResult{Check: check, State: deploytoken.Idle}
		for _, f := range k.running {
			if strings.HasPrefix(f.ID, check) {
				c.Findings = append(c.Findings, f)
				c.State = deploytoken.Busy
			}
		}
		if check == k.unknown {
			c.State, c.Reason, c.Partial, c.Findings = deploytoken.Unknown, "It does not answer.", true, nil
		}
		r.Checks = append(r.Checks, c)
	}
	return r
}

// start starts work of the owner's: its ID begins with the check's name.
func (k *server) start(id, owner string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = append(k.running, deploytoken.Finding{ID: id, Owner: "mark-" + id, OwnerID: owner, What: "runs " + id, Age: time.Hour, Blocks: true})
}

func (k *server) stop(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = slices.DeleteFunc(k.running, func(f deploytoken.Finding) bool { return f.ID == id })
}

// about is a command with a subject, as a button or a form gives it.
func (m *team) about(kind deploytoken.Kind, person, subject string) deploytoken.Outcome {
	m.t.Helper()
	c := m.command(kind, person, "")
	c.Subject, c.Message = subject, "1.1"
	return m.run(c)
}

func (m *team) turns() {
	m.t.Helper()
	if err := m.TakeTurns(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *team) look() {
	m.t.Helper()
	if _, err := m.LookAround(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

// last is the ID of the latest command.
func (m *team) last() string { return "e" + itoa(m.n) }

func TestWaitlist(t *testing.T) {
	scenario(t, "the first in line has the turn, then the next", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.expect(m.do(deploytoken.KindWait, ana, ""), deploytoken.OutcomeAlreadyYours)
		m.expect(m.do(deploytoken.KindWait, bob, "the registry"), deploytoken.OutcomeWaiting)
		time.Sleep(time.Second)
		m.expect(m.do(deploytoken.KindWait, ann, ""), deploytoken.OutcomeWaiting)
		m.expect(m.do(deploytoken.KindWait, bob, ""), deploytoken.OutcomeWaiting)
		if w := m.record().Matters.Waiters; len(w) != 2 || w[0].PersonID != bob || w[0].Purpose != "the registry" || w[0].Name != "Bob Ray" || w[1].PersonID != ann {
			m.t.Fatalf("waitlist %+v", w)
		}
		m.delivered()
		m.restart()
		m.expect(m.do(deploytoken.KindRelease, ana, ""), deploytoken.OutcomeReleased)
		m.told("channel:C1 retired", "channel:C1 released", "person:UANA answer released", "person:UBOB turn", "sheet row")

		m.expect(m.do(deploytoken.KindTake, zoe, ""), deploytoken.OutcomeOutOfTurn)
		m.expect(m.do(deploytoken.KindTake, ann, ""), deploytoken.OutcomeOutOfTurn)
		m.says("Nobody")
		m.turns()
		m.delivered()
		time.Sleep(10 * time.Minute)
		m.restart()
		m.turns()
		m.told("person:UANN turn", "person:UBOB turn-over")
		m.turns()
		m.told()
		m.expect(m.do(deploytoken.KindTake, bob, ""), deploytoken.OutcomeOutOfTurn)
		m.expect(m.about(deploytoken.KindTake, ann, m.record().Matters.Waiters[0].ID), deploytoken.OutcomeTaken)
		if w := m.record().Matters.Waiters; len(w) != 0 {
			m.t.Errorf("who has it waits still: %+v", w)
		}
		var turns []string
		events, err := m.store.Audit(context.Background(), ledger.AuditFilter{})
		for _, e := range events {
			if e.Event == string(deploytoken.NoticeTurn) {
				turns = append(turns, e.Person)
			}
		}
		if slices.Sort(turns); err != nil || !slices.Equal(turns, []string{ann, bob}) {
			m.t.Errorf("turns of %q on record, %v", turns, err)
		}
	})
	scenario(t, "what is waited for is what it is taken for", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "the registry")
		m.do(deploytoken.KindRelease, ana, "")
		m.about(deploytoken.KindTake, bob, m.record().Matters.Waiters[0].ID)
		if h := m.record().Holding; h == nil || h.Purpose != "the registry" {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "out of turn when that is confirmed; the first stays first", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.do(deploytoken.KindRelease, ana, "")
		m.expect(m.do(deploytoken.KindTake, zoe, "a hot fix"), deploytoken.OutcomeOutOfTurn)
		m.delivered()
		m.restart()
		m.expect(m.about(deploytoken.KindTakeOutOfTurn, zoe, m.last()), deploytoken.OutcomeTaken)
		m.told("channel:C1 taken", "person:UBOB turn-over", "person:UZOE answer taken")
		if h := m.record().Holding; h.Purpose != "a hot fix" {
			m.t.Errorf("holding %+v", h)
		}
		m.do(deploytoken.KindRelease, zoe, "")
		if w := m.record().Matters.Waiters; len(w) != 1 || w[0].Turns != 2 {
			m.t.Errorf("waitlist %+v", w)
		}
	})
	scenario(t, "who lets their turn pass keeps nobody from theirs", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		time.Sleep(time.Second)
		m.do(deploytoken.KindWait, ann, "")
		m.do(deploytoken.KindRelease, ana, "")
		time.Sleep(10 * time.Minute)
		m.expect(m.do(deploytoken.KindTake, zoe, ""), deploytoken.OutcomeOutOfTurn)
		m.expect(m.do(deploytoken.KindTake, ann, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "freed by hand", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.delivered()
		m.paper.edit("Nobody")
		m.notice()
		m.told("channel:C1 retired", "channel:C1 changed", "person:UANA displaced", "person:UBOB turn", "sheet row")
		m.paper.edit("Bob Ray")
		m.notice()
		if w := m.record().Matters.Waiters; len(w) != 0 {
			m.t.Errorf("who has it waits still: %+v", w)
		}
	})
	scenario(t, "nobody's turn begins before the document is free", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.do(deploytoken.KindWait, ann, "")
		m.do(deploytoken.KindRelease, ana, "")
		m.paper.edit("Cy")
		time.Sleep(11 * time.Minute)
		m.turns()
		if w := m.record().Matters.Waiters; len(w) != 2 || w[0].PersonID != bob {
			m.t.Errorf("waitlist %+v", w)
		}
	})
	scenario(t, "while the document is unclear, it isn't read every second", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.do(deploytoken.KindRelease, ana, "")
		m.paper.edit("Nobody Ana Díaz")
		m.notice()
		time.Sleep(11 * time.Minute)
		reads := m.paper.reads
		for range 60 {
			m.turns()
			time.Sleep(time.Second)
		}
		if n := m.paper.reads - reads; n != 0 {
			m.t.Errorf("%d reads", n)
		}
		m.paper.edit("Nobody")
		m.notice()
		m.turns()
		if w := m.record().Matters.Waiters; len(w) != 0 {
			m.t.Errorf("waitlist %+v", w)
		}
	})
	scenario(t, "an older store: the turn that it knows of is over, the place is not", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.do(deploytoken.KindRelease, ana, "")
		restore := m.backup()
		m.expect(m.do(deploytoken.KindTakeOutOfTurn, ann, ""), deploytoken.OutcomeTaken)
		restore()
		m.notice()
		time.Sleep(11 * time.Minute)
		m.delivered()
		m.expect(m.do(deploytoken.KindRelease, ann, ""), deploytoken.OutcomeReleased)
		m.turns()
		m.told("channel:C1 retired", "channel:C1 released", "person:UANN answer released", "person:UBOB turn", "sheet row")
	})
	scenario(t, "leaving, and a free token that nobody waits for", func(m *team) {
		m.expect(m.do(deploytoken.KindWait, bob, ""), deploytoken.OutcomeFree)
		m.expect(m.do(deploytoken.KindLeave, bob, ""), deploytoken.OutcomeNotWaiting)
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.expect(m.do(deploytoken.KindLeave, bob, ""), deploytoken.OutcomeLeft)
		m.do(deploytoken.KindRelease, ana, "")
		m.delivered()
		m.turns()
		m.told()
		m.expect(m.do(deploytoken.KindTake, zoe, ""), deploytoken.OutcomeTaken)
	})
	scenario(t, "it is bounded", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		for i := range 50 {
			id := "UX" + itoa(i)
			everyone[id] = "Person " + itoa(i)
			defer delete(everyone, id)
			m.expect(m.do(deploytoken.KindWait, id, ""), deploytoken.OutcomeWaiting)
		}
		m.expect(m.do(deploytoken.KindWait, bob, ""), deploytoken.OutcomeRefused)
	})
}

func TestGive(t *testing.T) {
	give := func(m *team, to string) deploytoken.Outcome {
		c := m.command(deploytoken.KindGive, ana, "")
		c.Subject = to
		return m.run(c)
	}
	scenario(t, "changes hands when it is accepted, by one write", func(m *team) {
		m.do(deploytoken.KindTake, ana, "the registry")
		first := m.record().Holding.ID
		m.delivered()
		m.expect(give(m, bob), deploytoken.OutcomeOffered)
		m.told("person:UANA answer offered", "person:UBOB offered")
		m.says("Ana Díaz")
		offer := m.last()
		m.restart()
		writes := len(m.paper.writes)
		time.Sleep(time.Minute)
		m.expect(m.about(deploytoken.KindAccept, bob, offer), deploytoken.OutcomeHandedOver)
		m.says("Bob Ray")
		if n := len(m.paper.writes) - writes; n != 1 {
			m.t.Errorf("%d writes", n)
		}
		m.told("channel:C1 retired", "channel:C1 handed-over", "person:UANA offer-answered", "person:UBOB offer-over", "person:UBOB answer handed-over", "sheet row")
		h, before := m.record().Holding, m.holding(first)
		if h.PersonID != bob || h.Purpose != "the registry" || h.Since != before.Ended || before.Summary != "handed over to Bob Ray" || before.EndedByHand {
			m.t.Errorf("holdings %+v, %+v", before, h)
		}
		m.expect(m.about(deploytoken.KindAccept, bob, offer), deploytoken.OutcomeEnded)
		m.expect(m.do(deploytoken.KindRelease, bob, ""), deploytoken.OutcomeReleased)
	})
	scenario(t, "is declined, and then can't be accepted", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		give(m, bob)
		offer := m.last()
		m.expect(m.about(deploytoken.KindAccept, zoe, offer), deploytoken.OutcomeEnded)
		m.expect(m.about(deploytoken.KindDecline, zoe, offer), deploytoken.OutcomeEnded)
		m.delivered()
		m.expect(m.about(deploytoken.KindDecline, bob, offer), deploytoken.OutcomeDeclined)
		m.told("person:UANA offer-answered", "person:UBOB offer-over", "person:UBOB answer declined")
		m.expect(m.about(deploytoken.KindAccept, bob, offer), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
	})
	scenario(t, "is void when the holding ends, and can't take a later one over", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		give(m, bob)
		offer := m.last()
		m.do(deploytoken.KindRelease, ana, "")
		m.do(deploytoken.KindTake, ana, "")
		m.expect(m.about(deploytoken.KindAccept, bob, offer), deploytoken.OutcomeEnded)
		m.says("Ana Díaz")
	})
	scenario(t, "to somebody else withdraws it", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		give(m, bob)
		offer := m.last()
		m.expect(give(m, zoe), deploytoken.OutcomeOffered)
		m.expect(m.about(deploytoken.KindAccept, bob, offer), deploytoken.OutcomeEnded)
		m.expect(m.about(deploytoken.KindAccept, zoe, m.record().Matters.Offers[0].ID), deploytoken.OutcomeHandedOver)
		m.says("Zoe Li")
	})
	scenario(t, "only what one holds, and not to oneself or a stranger", func(m *team) {
		m.expect(give(m, bob), deploytoken.OutcomeFree)
		m.do(deploytoken.KindTake, bob, "")
		m.expect(give(m, bob), deploytoken.OutcomeHeld)
		m.do(deploytoken.KindRelease, bob, "")
		m.do(deploytoken.KindTake, ana, "")
		m.expect(give(m, ana), deploytoken.OutcomeRefused)
		m.expect(give(m, "USTRANGER"), deploytoken.OutcomeRefused)
		m.expect(give(m, noone), deploytoken.OutcomeRefused)
	})
	scenario(t, "not where the document was changed by hand", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		give(m, bob)
		offer := m.last()
		m.paper.edit("Zoe Li")
		m.expect(m.about(deploytoken.KindAccept, bob, offer), deploytoken.OutcomeEnded)
		m.says("Zoe Li")
	})
	scenario(t, "accepted, with the answer lost and the bot restarted", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		give(m, bob)
		offer := m.last()
		m.paper.fault = func(int, paperBatch) paperFault { return paperFault{err: noAnswer} }
		c := m.command(deploytoken.KindAccept, bob, "")
		c.Subject = offer
		m.accept(c)
		m.Do(expiring(m.t, 100*time.Millisecond), c)
		m.paper.fault = nil
		m.restart()
		m.recover()
		m.expect(m.outcome(c.ID), deploytoken.OutcomeHandedOver)
		m.says("Bob Ray")
		if len(m.record().Matters.Offers) != 0 {
			m.t.Error("the offer is open")
		}
	})
}

func TestForce(t *testing.T) {
	confirm := func(m *team, person, holding, subject string) deploytoken.Outcome {
		c := m.command(deploytoken.KindForceConfirmed, person, "")
		c.Holding, c.Subject, c.Message = holding, subject, "1.1"
		return m.run(c)
	}
	scenario(t, "confirmed, told, and in the row", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, zoe, "")
		h := m.record().Holding.ID
		m.expect(m.do(deploytoken.KindForce, bob, "she is on a plane"), deploytoken.OutcomeConfirm)
		m.says("Ana Díaz")
		asked := m.last()
		m.delivered()
		m.restart()
		m.expect(confirm(m, bob, h, asked), deploytoken.OutcomeForced)
		m.says("Nobody")
		m.told("channel:C1 retired", "channel:C1 force-released", "person:UANA forced", "person:UBOB answer forced", "person:UZOE turn", "sheet row")
		if e := m.holding(h).Entry(); e.Summary != "released by Bob Ray: she is on a plane" || m.holding(h).EndedBy != bob || m.holding(h).PersonID != ana {
			m.t.Errorf("entry %+v", e)
		}
	})
	scenario(t, "only what was seen", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		h := m.record().Holding.ID
		m.do(deploytoken.KindForce, bob, "away")
		asked := m.last()
		m.do(deploytoken.KindRelease, ana, "")
		m.expect(confirm(m, bob, h, asked), deploytoken.OutcomeFree)
		m.do(deploytoken.KindTake, zoe, "")
		m.expect(confirm(m, bob, h, asked), deploytoken.OutcomeEnded)
		m.says("Zoe Li")
	})
	scenario(t, "it was lost, and someone else's name stands there since", func(m *team) {
		m.watch()
		m.paper.edit("Ana Díaz")
		m.notice()
		h := m.record().Holding.ID
		m.expect(m.do(deploytoken.KindForce, bob, "away"), deploytoken.OutcomeConfirm)
		asked := m.last()
		m.delivered()
		m.paper.fault = func(int, paperBatch) paperFault {
			m.paper.fault = nil
			return paperFault{first: func() { m.paper.edit("Zoe Li") }, lost: true, err: noAnswer}
		}
		m.expect(confirm(m, bob, h, asked), deploytoken.OutcomeSuperseded)
		m.says("Zoe Li")
		if e := m.holding(h).Entry(); e.Summary != "changed by hand" || m.holding(h).EndedBy != "" {
			m.t.Errorf("entry %+v", e)
		}
		m.told("channel:C1 retired", "channel:C1 changed", "person:UANA displaced", "person:UBOB answer superseded", "sheet row")
	})
	scenario(t, "of nobody's, one's own, without a reason", func(m *team) {
		m.expect(m.do(deploytoken.KindForce, bob, "x"), deploytoken.OutcomeFree)
		m.do(deploytoken.KindTake, ana, "")
		m.expect(m.do(deploytoken.KindForce, ana, "x"), deploytoken.OutcomeAlreadyYours)
		m.expect(m.do(deploytoken.KindForce, bob, ""), deploytoken.OutcomeRefused)
	})
	scenario(t, "a name typed by hand", func(m *team) {
		m.typed("Somebody")
		m.expect(m.do(deploytoken.KindForce, bob, "who is that?"), deploytoken.OutcomeConfirm)
		m.expect(confirm(m, bob, m.record().Holding.ID, m.last()), deploytoken.OutcomeForced)
		m.says("Nobody")
	})
	scenario(t, "for the group that may", func(m *team) {
		m.forceGroup = "SFORCE"
		m.Service = m.service()
		m.do(deploytoken.KindTake, ana, "")
		h := m.record().Holding.ID
		m.expect(m.do(deploytoken.KindForce, bob, "x"), deploytoken.OutcomeRefused)
		m.expect(confirm(m, bob, h, ""), deploytoken.OutcomeRefused)
		m.says("Ana Díaz")
		m.expect(m.do(deploytoken.KindForce, ann, "x"), deploytoken.OutcomeConfirm)
		m.expect(confirm(m, ann, h, m.last()), deploytoken.OutcomeForced)
	})
}

func TestTakeForKingfisher(t *testing.T) {
	const what = "Kingfisher: upgrade PostgreSQL"
	scenario(t, "idle", func(m *team) {
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeTaken)
		if h := m.record().Holding; h.Consent != "nothing would be interrupted" {
			m.t.Errorf("consent %q", h.Consent)
		}
	})
	scenario(t, "other work is not looked at for", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.expect(m.do(deploytoken.KindTake, ana, "the kingfishers"), deploytoken.OutcomeTaken)
		if m.kingfisher.looks != 0 || len(m.record().Matters.Deployments) != 0 {
			m.t.Error("looked")
		}
	})
	scenario(t, "held, it isn't looked at", func(m *team) {
		m.do(deploytoken.KindTake, bob, "")
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeHeld)
		if m.kingfisher.looks != 0 {
			m.t.Error("looked")
		}
	})
	scenario(t, "one's own work is in nobody's way", func(m *team) {
		m.kingfisher.start("tmux1", ana)
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeTaken)
	})
	scenario(t, "unknown is not idle", func(m *team) {
		m.kingfisher.unknown = deploytoken.CheckTmux
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
		m.says("Nobody")
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, m.last()), deploytoken.OutcomeTaken)
		if h := m.record().Holding; h.Consent != "not everything could be checked" || h.Purpose != what {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "busy, and taken anyway: every owner is told", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.start("tmux1", "")
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
		dep := m.last()
		m.delivered()
		m.restart()
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, dep), deploytoken.OutcomeTaken)
		m.told("channel:C1 taken", "channel:C1 deploying", "person:UANA answer taken", "person:UZOE deploying")
		if h := m.record().Holding; h.Consent != "taken without consent; Zoe Li was not asked; mark-tmux1 was not asked" {
			m.t.Errorf("consent %q", h.Consent)
		}
		m.do(deploytoken.KindRelease, ana, "")
		m.told("channel:C1 retired", "channel:C1 released", "person:UANA answer released", "person:UZOE deployed", "sheet row")
		// The buttons of a report stand for as long as Slack shows it.
		m.kingfisher.start("scrapyd2", zoe)
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, dep), deploytoken.OutcomeEnded)
		m.expect(m.about(deploytoken.KindTakeWithoutPostgres, ana, dep), deploytoken.OutcomeEnded)
		m.says("Nobody")
	})
	scenario(t, "who is asked for the unknown is told of that and of their own", func(m *team) {
		m.consentGroup = "SDATA"
		m.Service = m.service()
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.start("tmux1", "")
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, m.last()), deploytoken.OutcomeTaken)
		if n := m.notices(deploytoken.ToPerson(zoe)); len(n) != 2 || n[0].Works[0].ID != "scrapyd1" || n[1].Works[0].ID != "tmux1" {
			m.t.Errorf("told %+v", n)
		}
		if n := m.notices(deploytoken.ToPerson(ann)); len(n) != 1 || len(n[0].Works) != 1 {
			m.t.Errorf("told %+v", n)
		}
	})
	scenario(t, "PostgreSQL won't restart", func(m *team) {
		m.kingfisher.start("postgres1", zoe)
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
		m.expect(m.about(deploytoken.KindTakeWithoutPostgres, ana, m.last()), deploytoken.OutcomeTaken)
		if h := m.record().Holding; h.Consent != "nothing would be interrupted; PostgreSQL not restarted" {
			m.t.Errorf("consent %q", h.Consent)
		}
	})
	scenario(t, "PostgreSQL won't restart, but a spider runs, also after a restart", func(m *team) {
		m.kingfisher.start("postgres1", bob)
		m.kingfisher.start("scrapyd1", zoe)
		m.do(deploytoken.KindTake, ana, what)
		dep := m.last()
		m.expect(m.about(deploytoken.KindTakeWithoutPostgres, ana, dep), deploytoken.OutcomeBusy)
		if s := m.record().Matters.Deployments[0].Standing; len(s) != 1 || s[0].OwnerID != zoe {
			m.t.Errorf("standing %+v", s)
		}
		m.kingfisher.stop("scrapyd1")
		m.restart()
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
	})
	scenario(t, "out of turn and busy", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.do(deploytoken.KindRelease, ana, "")
		m.kingfisher.start("scrapyd1", zoe)
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeOutOfTurn)
		asked := m.last()
		m.expect(m.about(deploytoken.KindTakeOutOfTurn, ana, asked), deploytoken.OutcomeBusy)
		dep := m.last()
		m.kingfisher.stop("scrapyd1")
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
	})
	scenario(t, "the report doesn't serve for long", func(m *team) {
		m.paper.fault = func(n int, _ paperBatch) paperFault { return paperFault{} }
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeTaken)
		m.do(deploytoken.KindRelease, ana, "")
		time.Sleep(time.Minute)
		m.kingfisher.start("scrapyd1", zoe)
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
	})
}

func TestConsent(t *testing.T) {
	const what = "kingfisher: upgrade"
	ask := func(m *team) (deployment string) {
		m.t.Helper()
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
		deployment = m.last()
		m.delivered()
		m.expect(m.about(deploytoken.KindConsent, ana, deployment), deploytoken.OutcomeConsentAsked)
		return deployment
	}
	question := func(m *team, owner string) string {
		m.t.Helper()
		for _, q := range m.record().Matters.Questions {
			if q.OwnerID == owner {
				return q.ID
			}
		}
		m.t.Fatalf("%s was asked nothing", owner)
		return ""
	}
	wait := func(m *team, person, question string, d time.Duration) deploytoken.Outcome {
		c := m.command(deploytoken.KindAskToWait, person, "it is nearly done")
		c.Subject, c.Until = question, time.Now().Add(d)
		return m.run(c)
	}
	scenario(t, "nobody is asked to wait for years, or until yesterday", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		ask(m)
		for _, d := range []time.Duration{-time.Minute, 2 * 365 * 24 * time.Hour} {
			m.expect(wait(m, bob, question(m, bob), d), deploytoken.OutcomeRefused)
		}
	})
	scenario(t, "all agree, one after the other, with restarts between", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.start("scrapyd2", zoe)
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.told("person:UANA consent", "person:UANA answer consent-asked", "person:UBOB question", "person:UZOE question")
		m.restart()
		m.expect(m.about(deploytoken.KindAgree, zoe, question(m, zoe)), deploytoken.OutcomeAnswered)
		m.told("person:UANA consent", "person:UZOE question", "person:UZOE answer answered")
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeBusy)
		m.delivered()
		m.restart()
		m.expect(m.about(deploytoken.KindAgree, bob, question(m, bob)), deploytoken.OutcomeAnswered)
		m.told("person:UANA consent", "person:UANA consent-news", "person:UBOB question", "person:UBOB answer answered")
		m.restart()
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
		m.told("channel:C1 taken", "person:UANA consent", "person:UANA answer taken")
		if h := m.record().Holding; h.Consent != "Zoe Li agreed; Bob Ray agreed" {
			m.t.Errorf("consent %q", h.Consent)
		}
		m.do(deploytoken.KindRelease, ana, "")
		m.told("channel:C1 retired", "channel:C1 released", "person:UANA consent", "person:UANA answer released", "person:UBOB deployed", "person:UZOE deployed", "sheet row")
	})
	scenario(t, "somebody asks to wait, then their time passes", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.delivered()
		m.expect(wait(m, bob, question(m, bob), -time.Minute), deploytoken.OutcomeRefused)
		m.delivered()
		m.expect(wait(m, bob, question(m, bob), time.Hour), deploytoken.OutcomeAnswered)
		m.told("person:UANA consent", "person:UANA consent-news", "person:UBOB question", "person:UBOB answer answered")
		if s := m.record().Matters.Deployments[0].Standing; s[0].Answer != deploytoken.AnswerWait || s[0].Why != "it is nearly done" {
			m.t.Errorf("standing %+v", s)
		}
		time.Sleep(30 * time.Minute)
		m.look()
		m.told()
		time.Sleep(31 * time.Minute)
		m.restart()
		m.look()
		m.told("person:UANA consent", "person:UANA consent-news", "person:UBOB question")
		if d := m.record().Matters.Deployments[0]; d.News != deploytoken.ConsentLapsed {
			m.t.Errorf("news %q", d.News)
		}
		m.expect(m.about(deploytoken.KindConsent, ana, dep), deploytoken.OutcomeConsentAsked)
		m.expect(m.about(deploytoken.KindAgree, bob, question(m, bob)), deploytoken.OutcomeAnswered)
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
	})
	scenario(t, "an answer may be changed", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		q := question(m, bob)
		m.about(deploytoken.KindAgree, bob, q)
		wait(m, bob, q, time.Hour)
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeBusy)
		m.about(deploytoken.KindAgree, bob, q)
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
	})
	scenario(t, "a job that ends by itself settles its question", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		ask(m)
		m.delivered()
		m.kingfisher.stop("tmux1")
		m.kingfisher.unknown = deploytoken.CheckTmux
		time.Sleep(time.Minute)
		m.look()
		m.told("person:UANA consent")
		if s := m.record().Matters.Deployments[0].Standing; len(s) != 1 || s[0].Answer != deploytoken.AnswerNone {
			m.t.Errorf("what can't be looked at has not ended: %+v", s)
		}
		m.kingfisher.unknown = ""
		time.Sleep(time.Minute)
		m.look()
		m.told("person:UANA consent", "person:UANA consent-news", "person:UBOB question")
		if q := m.record().Matters.Questions; len(q) != 0 {
			m.t.Errorf("questions %+v", q)
		}
	})
	scenario(t, "new work is asked about, and what was answered isn't again", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		m.kingfisher.start("tmux2", bob)
		m.kingfisher.start("scrapyd1", zoe)
		m.delivered()
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeBusy)
		m.expect(m.about(deploytoken.KindConsent, ana, dep), deploytoken.OutcomeConsentAsked)
		var asked []string
		for _, q := range m.record().Matters.Questions {
			for _, w := range q.Works {
				asked = append(asked, w.ID)
			}
		}
		if slices.Sort(asked); !slices.Equal(asked, []string{"scrapyd1", "tmux1", "tmux2"}) {
			m.t.Errorf("asked about %v", asked)
		}
	})
	scenario(t, "an answer stands for the next deployer", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		m.about(deploytoken.KindTake, ana, dep)
		m.do(deploytoken.KindRelease, ana, "")
		m.expect(m.do(deploytoken.KindTake, zoe, what), deploytoken.OutcomeTaken)
		m.do(deploytoken.KindRelease, zoe, "")
		// Until its work ends.
		m.kingfisher.stop("tmux1")
		time.Sleep(time.Minute)
		m.look()
		m.kingfisher.start("tmux2", bob)
		m.expect(m.do(deploytoken.KindTake, zoe, what), deploytoken.OutcomeBusy)
	})
	scenario(t, "only who was asked answers", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		ask(m)
		m.expect(m.about(deploytoken.KindAgree, zoe, question(m, bob)), deploytoken.OutcomeRefused)
		m.expect(m.about(deploytoken.KindAgree, bob, "no-question"), deploytoken.OutcomeEnded)
	})
	scenario(t, "agreed while the take was written", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.delivered()
		other := m.service()
		m.paper.fault = func(int, paperBatch) paperFault {
			m.paper.fault = nil
			return paperFault{first: func() {
				c := m.command(deploytoken.KindAgree, bob, "")
				c.Subject = question(m, bob)
				other.Do(context.Background(), m.accept(c))
			}}
		}
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, dep), deploytoken.OutcomeTaken)
		if h := m.record().Holding; h.Consent != "Bob Ray agreed" {
			m.t.Errorf("consent %q", h.Consent)
		}
	})
	scenario(t, "an owner who isn't known: anyone in the channel, or the group, answers", func(m *team) {
		m.kingfisher.start("tmux1", "")
		ask(m)
		m.told("channel:C1 question", "person:UANA consent", "person:UANA answer consent-asked")
		m.expect(m.about(deploytoken.KindAgree, ana, question(m, "")), deploytoken.OutcomeRefused)
		m.expect(m.about(deploytoken.KindAgree, zoe, question(m, "")), deploytoken.OutcomeAnswered)

		m.consentGroup = "SDATA"
		m.Service = m.service()
		m.kingfisher.start("tmux2", "")
		m.delivered()
		m.expect(m.do(deploytoken.KindConsent, bob, ""), deploytoken.OutcomeConsentAsked)
		m.told("person:UANN question", "person:UBOB consent", "person:UBOB answer consent-asked", "person:UZOE question")
		q := m.record().Matters.Questions[1].ID
		m.expect(m.about(deploytoken.KindAgree, bob, q), deploytoken.OutcomeRefused)
		m.expect(m.about(deploytoken.KindAgree, ann, q), deploytoken.OutcomeAnswered)
		if s := m.record().Matters.Deployments[1].Standing; s[0].By != "Zoe Li, Ann Ray" {
			m.t.Errorf("standing %+v", s)
		}
	})
	scenario(t, "who may not use the bot answers what they were asked, and nothing else", func(m *team) {
		outsiders[zoe], outsiders[ann] = true, true
		defer clear(outsiders)
		m.kingfisher.start("tmux1", zoe)
		m.kingfisher.start("tmux2", "")
		ask(m)
		m.expect(m.about(deploytoken.KindAgree, zoe, question(m, zoe)), deploytoken.OutcomeAnswered)
		m.expect(m.about(deploytoken.KindAgree, ann, question(m, zoe)), deploytoken.OutcomeRefused)
		m.expect(m.about(deploytoken.KindAgree, ann, question(m, "")), deploytoken.OutcomeRefused)
		m.expect(m.about(deploytoken.KindAgree, bob, question(m, "")), deploytoken.OutcomeAnswered)
	})
	scenario(t, "asked by who holds the token: kept with it", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		m.do(deploytoken.KindTake, ana, "")
		m.expect(m.do(deploytoken.KindConsent, ana, ""), deploytoken.OutcomeConsentAsked)
		m.expect(m.about(deploytoken.KindAgree, bob, question(m, bob)), deploytoken.OutcomeAnswered)
		if h := m.record().Holding; h.Consent != "Bob Ray agreed" {
			m.t.Errorf("consent %q", h.Consent)
		}
	})
	scenario(t, "cleared by hand and taken again: another deployment", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
		m.delivered()
		m.paper.edit("Nobody")
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
		m.told("channel:C1 retired", "channel:C1 changed", "channel:C1 taken", "person:UANA consent", "person:UANA answer taken", "person:UBOB deployed", "sheet row")
		if d := m.record().Matters.Deployments; len(d) != 1 || d[0].ID == dep || d[0].Purpose != what {
			m.t.Errorf("deployments %+v", d)
		}
	})
	scenario(t, "handed over, it goes on, and back", func(m *team) {
		m.kingfisher.start("tmux0", ana)
		m.kingfisher.start("tmux1", bob)
		m.kingfisher.start("scrapyd1", ann)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, dep), deploytoken.OutcomeTaken)
		const consent = "taken without consent; Ann Ray was asked and had not answered; Bob Ray agreed"
		hand := func(from, to string) {
			m.t.Helper()
			c := m.command(deploytoken.KindGive, from, "")
			c.Subject = to
			m.expect(m.run(c), deploytoken.OutcomeOffered)
			m.delivered()
			m.expect(m.about(deploytoken.KindAccept, to, c.ID), deploytoken.OutcomeHandedOver)
		}
		hand(ana, zoe)
		m.told("channel:C1 retired", "channel:C1 handed-over", "person:UANA offer-answered", "person:UANA consent",
			"person:UZOE offer-over", "person:UZOE consent", "person:UZOE answer handed-over", "sheet row")
		time.Sleep(5 * time.Minute)
		m.look()
		m.told()
		if h := m.record().Holding; h.Consent != consent {
			m.t.Errorf("consent %q", h.Consent)
		}
		hand(zoe, ana)
		m.delivered()
		m.about(deploytoken.KindAgree, ann, question(m, ann))
		m.told("person:UANA consent", "person:UANA consent-news", "person:UANN question", "person:UANN answer answered")
		if h := m.record().Holding; h.Consent != "Ann Ray agreed; Bob Ray agreed" {
			m.t.Errorf("consent %q", h.Consent)
		}
		m.do(deploytoken.KindRelease, ana, "")
		m.told("channel:C1 retired", "channel:C1 released", "person:UANA consent", "person:UANA answer released",
			"person:UANN deployed", "person:UBOB deployed", "sheet row")
	})
	scenario(t, "nothing to ask", func(m *team) {
		m.expect(m.do(deploytoken.KindConsent, ana, ""), deploytoken.OutcomeNothingRuns)
		if d := m.record().Matters.Deployments; len(d) != 0 {
			m.t.Errorf("deployments %+v", d)
		}
	})
	scenario(t, "nothing to ask, and taken for that: it is looked once more", func(m *team) {
		m.expect(m.do(deploytoken.KindConsent, ana, "upgrade PostgreSQL"), deploytoken.OutcomeNothingRuns)
		dep := m.last()
		m.kingfisher.start("scrapyd1", zoe)
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeBusy)
	})
	scenario(t, "a deployment that never began is given up", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.delivered()
		time.Sleep(24 * time.Hour)
		m.look()
		m.told("person:UANA consent", "person:UBOB question")
		if d := m.record().Matters; len(d.Deployments)+len(d.Questions) != 0 {
			m.t.Errorf("left %+v", d)
		}
		m.expect(m.about(deploytoken.KindConsent, ana, dep), deploytoken.OutcomeConsentAsked)
		if q := m.record().Matters.Questions; len(q) != 1 || q[0].Purpose != what {
			m.t.Errorf("asked %+v", q)
		}
	})
	scenario(t, "what a deployment has interrupted doesn't change what it had the consent for", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.start("scrapyd2", zoe)
		m.kingfisher.start("scrapyd3", ann)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		wait(m, ann, question(m, ann), 10*time.Minute)
		m.expect(m.about(deploytoken.KindTakeAnyway, ana, dep), deploytoken.OutcomeTaken)
		m.delivered()
		consent := m.record().Holding.Consent
		if consent != "taken without consent; Zoe Li was asked and had not answered; Ann Ray asked to wait until 2000-01-01 00:10; Bob Ray agreed" {
			m.t.Fatalf("consent %q", consent)
		}
		m.kingfisher.stop("tmux1")
		m.kingfisher.stop("scrapyd1")
		for range 3 {
			time.Sleep(5 * time.Minute)
			m.look()
		}
		if h := m.record().Holding; h.Consent != consent {
			m.t.Errorf("consent %q", h.Consent)
		}
		if n := m.delivered(); slices.Contains(n, "person:UANA consent-news") {
			m.t.Errorf("told %q", n)
		}
		m.about(deploytoken.KindAgree, zoe, question(m, zoe))
		if h := m.record().Holding; h.Consent != "taken without consent; Zoe Li agreed; Ann Ray asked to wait until 2000-01-01 00:10; Bob Ray agreed" {
			m.t.Errorf("consent %q", h.Consent)
		}
		m.kingfisher.stop("scrapyd2")
		m.expect(m.about(deploytoken.KindConsent, ana, dep), deploytoken.OutcomeConsentAsked)
		if h := m.record().Holding; h.Consent != "taken without consent; Ann Ray was asked and had not answered; Zoe Li agreed; Bob Ray agreed" {
			m.t.Errorf("consent %q", h.Consent)
		}
	})
	scenario(t, "a question is open while any deployment needs its answer", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		ask(m)
		time.Sleep(12 * time.Hour)
		m.expect(m.do(deploytoken.KindConsent, zoe, ""), deploytoken.OutcomeConsentAsked)
		dep := m.last()
		time.Sleep(12 * time.Hour)
		m.look()
		m.expect(m.about(deploytoken.KindTakeAnyway, zoe, dep), deploytoken.OutcomeTaken)
		if d := m.record().Matters; len(d.Deployments) != 1 || len(d.Questions) != 1 {
			m.t.Errorf("left %+v", d)
		}
		m.do(deploytoken.KindRelease, zoe, "")
		if d := m.record().Matters; len(d.Deployments)+len(d.Questions) != 0 {
			m.t.Errorf("left %+v", d)
		}
	})
	scenario(t, "a deployment that is asked for again is not given up", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		m.expect(m.do(deploytoken.KindTake, ana, what), deploytoken.OutcomeBusy)
		time.Sleep(24*time.Hour - time.Minute)
		ask(m)
		time.Sleep(time.Minute)
		m.look()
		if d := m.record().Matters; len(d.Deployments) != 1 || len(d.Questions) != 1 {
			m.t.Errorf("left %+v", d)
		}
	})
	scenario(t, "an answer that only stands is seldom looked for", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
		m.do(deploytoken.KindRelease, ana, "")
		looks := m.kingfisher.looks
		for range 60 {
			time.Sleep(time.Minute)
			m.look()
		}
		if n := m.kingfisher.looks - looks; n != 4 {
			m.t.Errorf("%d looks in an hour", n)
		}
	})
	scenario(t, "who agreed is named, whoever the owner is thought to be since", func(m *team) {
		m.kingfisher.start("tmux1", bob)
		dep := ask(m)
		m.about(deploytoken.KindAgree, bob, question(m, bob))
		m.kingfisher.stop("tmux1")
		m.kingfisher.start("tmux1", zoe)
		m.expect(m.about(deploytoken.KindTake, ana, dep), deploytoken.OutcomeTaken)
		if h := m.record().Holding; h.Consent != "Bob Ray agreed for Zoe Li" {
			m.t.Errorf("consent %q", h.Consent)
		}
	})
}

func TestMeanwhileOnKingfisher(t *testing.T) {
	scenario(t, "what is started during a deployment is told of, once to each owner", func(m *team) {
		m.kingfisher.start("tmux0", ana)
		m.do(deploytoken.KindTake, ana, "kingfisher")
		m.delivered()
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.start("tmux1", ana)
		m.kingfisher.start("tmux2", "")
		m.look()
		m.told()
		time.Sleep(5 * time.Minute)
		m.restart()
		m.look()
		m.told("person:UANA new-work", "person:UZOE deploying")
		m.kingfisher.start("scrapyd2", zoe)
		time.Sleep(5 * time.Minute)
		m.look()
		m.told("person:UANA new-work")
		time.Sleep(5 * time.Minute)
		m.look()
		m.told()
		m.do(deploytoken.KindRelease, ana, "")
		m.told("channel:C1 retired", "channel:C1 released", "person:UANA answer released", "person:UZOE deployed", "sheet row")
		looks := m.kingfisher.looks
		time.Sleep(time.Hour)
		m.look()
		if m.kingfisher.looks != looks {
			m.t.Error("looked for nobody")
		}
	})
	scenario(t, "a spider that was pending when it began is started", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.running[0].Blocks = false
		m.expect(m.do(deploytoken.KindTake, ana, "kingfisher"), deploytoken.OutcomeTaken)
		m.delivered()
		m.kingfisher.running[0].Blocks = true
		time.Sleep(5 * time.Minute)
		m.look()
		m.told("person:UANA new-work", "person:UZOE deploying")
	})
	scenario(t, "told once Kingfisher is idle", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.expect(m.do(deploytoken.KindWatch, bob, ""), deploytoken.OutcomeWatching)
		m.delivered()
		m.look()
		m.told()
		m.kingfisher.stop("scrapyd1")
		m.kingfisher.unknown = deploytoken.CheckScrapyd
		time.Sleep(time.Minute)
		m.look()
		m.told()
		m.kingfisher.unknown = ""
		time.Sleep(time.Minute)
		m.restart()
		m.look()
		m.told("person:UBOB watched")
		time.Sleep(time.Minute)
		m.look()
		m.told()
	})
	scenario(t, "and who holds the token meanwhile", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWatch, bob, "")
		m.delivered()
		m.look()
		if n := m.notices(deploytoken.ToPerson(bob)); len(n) != 1 || n[0].Token == nil || n[0].Token.Holder != "Ana Díaz" {
			m.t.Errorf("told %+v", n)
		}
	})
	scenario(t, "and taken then for what it was waited for", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.kingfisher.start("postgres1", bob)
		m.expect(m.do(deploytoken.KindTake, ana, "kingfisher: upgrade"), deploytoken.OutcomeBusy)
		m.expect(m.about(deploytoken.KindTakeWithoutPostgres, ana, m.last()), deploytoken.OutcomeBusy)
		m.expect(m.about(deploytoken.KindWatch, ana, m.record().Matters.Deployments[0].ID), deploytoken.OutcomeWatching)
		watch := m.last()
		m.kingfisher.stop("scrapyd1")
		m.delivered()
		time.Sleep(time.Minute)
		m.look()
		m.told("person:UANA watched")
		m.kingfisher.start("scrapyd2", zoe)
		m.expect(m.about(deploytoken.KindTake, ana, watch), deploytoken.OutcomeBusy)
		m.kingfisher.stop("scrapyd2")
		m.restart()
		m.expect(m.about(deploytoken.KindTake, ana, watch), deploytoken.OutcomeTaken)
		if h := m.record().Holding; h.Purpose != "kingfisher: upgrade" {
			m.t.Errorf("holding %+v", h)
		}
	})
	scenario(t, "taken after a watch of nothing in particular, it is looked once more", func(m *team) {
		m.do(deploytoken.KindWatch, ana, "")
		watch := m.last()
		m.kingfisher.start("scrapyd1", zoe)
		m.expect(m.about(deploytoken.KindTake, ana, watch), deploytoken.OutcomeBusy)
	})
	scenario(t, "and the token free", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.about(deploytoken.KindWatch, bob, deploytoken.WatchFree)
		m.delivered()
		m.look()
		m.told()
		m.do(deploytoken.KindRelease, ana, "")
		m.delivered()
		time.Sleep(time.Minute)
		m.look()
		m.told("person:UBOB watched")
	})
	scenario(t, "and the token free, while the document can't be read", func(m *team) {
		m.about(deploytoken.KindWatch, bob, deploytoken.WatchFree)
		m.paper.readFault = func() error { return unreachable }
		for range 60 {
			_, _ = m.LookAround(context.Background())
			time.Sleep(5 * time.Second)
		}
		if m.kingfisher.looks > 6 {
			m.t.Errorf("%d looks in five minutes", m.kingfisher.looks)
		}
	})
	scenario(t, "for a working day, or until one has had enough", func(m *team) {
		m.kingfisher.start("scrapyd1", zoe)
		m.do(deploytoken.KindWatch, bob, "")
		m.do(deploytoken.KindWatch, bob, "")
		m.do(deploytoken.KindWatch, ann, "")
		if n := len(m.record().Matters.Watches); n != 2 {
			m.t.Errorf("%d watches", n)
		}
		m.expect(m.do(deploytoken.KindUnwatch, ann, ""), deploytoken.OutcomeUnwatched)
		m.delivered()
		time.Sleep(9 * time.Hour)
		m.look()
		m.told("person:UBOB watch-ended")
	})
}

func TestRemindersThatKnow(t *testing.T) {
	remind := func(m *team) {
		if err := m.Remind(context.Background(), time.Now().Add(30*time.Minute)); err != nil {
			m.t.Fatal(err)
		}
	}
	scenario(t, "not outside working hours, unless somebody waits", func(m *team) {
		m.workingHours = func(t time.Time) bool { return t.Hour() >= 9 && t.Hour() < 18 }
		m.Service = m.service()
		zones[ana] = time.FixedZone("", -6*60*60)
		defer delete(zones, ana)
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		time.Sleep(3 * time.Hour)
		remind(m) // at 12:00 UTC, when it is 6:00 where she is
		m.told()
		m.do(deploytoken.KindWait, bob, "")
		m.delivered()
		remind(m)
		m.told("channel:C1 reminder")
	})
	scenario(t, "sooner when somebody waits", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.delivered()
		time.Sleep(time.Hour)
		remind(m)
		m.told("channel:C1 reminder")
	})
	scenario(t, "by direct message where that is preferred", func(m *team) {
		m.expect(m.about(deploytoken.KindPrefer, ana, deploytoken.RemindDirectly), deploytoken.OutcomePreferred)
		m.do(deploytoken.KindTake, ana, "")
		m.delivered()
		time.Sleep(2 * time.Hour)
		remind(m)
		m.told("person:UANA reminder")
		m.about(deploytoken.KindPrefer, ana, deploytoken.RemindInChannel)
		m.delivered()
		time.Sleep(time.Hour)
		remind(m)
		m.told("channel:C1 reminder")
	})
	scenario(t, "what seems forgotten is offered to those only who may release it", func(m *team) {
		m.forceGroup = "SFORCE"
		m.Service = m.service()
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.do(deploytoken.KindWait, ann, "")
		for range 6 {
			time.Sleep(time.Hour)
			remind(m)
		}
		if n := m.notices("person:" + ann); len(n) == 0 || n[len(n)-1].Kind != deploytoken.NoticeForgotten {
			m.t.Errorf("who may release it is told %+v", n)
		}
		if n := m.notices("person:" + bob); len(n) == 0 || n[len(n)-1].Kind == deploytoken.NoticeForgotten {
			m.t.Errorf("who may not release it is told %+v", n)
		}
	})
	scenario(t, "what seems forgotten is offered to those who wait, once", func(m *team) {
		m.do(deploytoken.KindTake, ana, "")
		m.do(deploytoken.KindWait, bob, "")
		m.delivered()
		for range 5 {
			time.Sleep(time.Hour)
			remind(m)
		}
		m.told("channel:C1 reminder", "channel:C1 reminder", "channel:C1 reminder", "channel:C1 reminder", "channel:C1 reminder")
		time.Sleep(time.Hour)
		remind(m)
		m.told("channel:C1 reminder", "person:UBOB forgotten")
		m.says("Ana Díaz")
		time.Sleep(time.Hour)
		remind(m)
		m.told("channel:C1 reminder")
	})
}
