package checker

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// edit changes the document by hand, in one way after the other, until ctx ends.
func (t *team) edit(ctx context.Context, r *rand.Rand) error {
	var merged time.Time
	for pause(ctx, time.Duration(100+r.IntN(1500))*time.Millisecond) {
		t.mu.Lock()
		calm := time.Now().Before(t.calm)
		t.mu.Unlock()
		if calm {
			continue
		}
		who := visitors[r.IntN(len(visitors))]
		name := t.people()[r.IntN(len(t.people()))].Name
		switch r.IntN(6) {
		case 0, 1, 2:
			name = nobody
		case 3:
			name = who.Name
		}
		// What a person can't do to the document just now, they leave.
		choice := r.IntN(12)
		if choice == 7 && time.Since(merged) < 3*time.Second {
			continue // edits that merge wait for a write, and would pile up
		}
		switch choice {
		case 0, 1:
			_ = t.document.SetHolder(who, name)
		case 2:
			_ = t.document.TypeHolder(ctx, who, name, time.Duration(5+r.IntN(60))*time.Millisecond)
		case 3:
			_ = t.document.SetHolder(who, t.document.Holder())
		case 4:
			_ = t.document.RestoreRevision(who, max(1, t.document.Revision()-r.IntN(6)))
		case 5, 6:
			_ = t.document.DeleteNamedRanges(who, "deploytoken:")
		case 7:
			merged = time.Now()
			t.document.MergeIntoNextBatch(who, google.Edit{Kind: google.SetHolder, Text: name}, time.Duration(r.IntN(3)*r.IntN(200))*time.Millisecond)
		case 8:
			t.document.BeforeNextBatch(who, google.Edit{Kind: google.SetHolder, Text: name})
		case 9:
			_ = t.document.Comment(who)
		case 10:
			_ = t.document.TouchRevision()
		case 11:
			_ = t.document.SetHolder(who, nobody)
		}
		// Nobody of the team releases what isn't theirs, or mends the document.
		if !t.clear() && pause(ctx, time.Duration(r.IntN(1000))*time.Millisecond) {
			_ = t.document.SetHolder(who, nobody)
		}
	}
	return nil
}

// clear reports whether the document says Nobody or the name of one of the team.
func (t *team) clear() bool {
	said := t.document.Holder()
	return said == nobody || slices.ContainsFunc(t.people(), func(p Person) bool { return said == p.Name })
}

// What went wrong, as far as more than its name depends on it.
const killed = "kill"

// disturb breaks one thing after the other, until ctx ends.
func (t *team) disturb(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, time.Duration(50+r.IntN(350))*time.Millisecond) {
		switch n := r.IntN(200); {
		case n < 70:
			t.faultGoogle(google.DocsBatchUpdate, r)
		case n < 84:
			t.faultGoogle([]google.Operation{google.DocsGet, google.DriveGet, google.TokenIssue}[r.IntN(3)], r)
		case n < 108:
			t.faultGoogle([]google.Operation{google.SheetsBatchUpdate, google.SheetsBatchUpdate, google.SheetsValuesGet}[r.IntN(3)], r)
		case n < 112:
			// Where the tab still looks empty to another process than the one
			// that wrote its first row, the headers come once more.
			if len(t.sheet.Rows("")) > 1 {
				t.sheet.StaleReads(time.Duration(r.IntN(1500)) * time.Millisecond)
				t.disrupted("stale reads", false)
			}
		case n < 120:
			_ = t.google.SetBehavior(google.Behavior{
				MismatchStatus:  []string{"FAILED_PRECONDITION", "INVALID_ARGUMENT"}[r.IntN(2)],
				OmitNewRevision: r.IntN(2) == 0,
			})
		case n < 156:
			t.faultSlack(r)
		case n < 164:
			t.slack.DuplicateEnvelopes(1 + r.IntN(3))
			t.disrupted("duplicated envelopes", false)
		case n < 172:
			_, _ = t.slack.Disconnect([]string{"refresh_requested", "warning"}[r.IntN(2)])
			t.disrupted("refresh", false)
		case n < 174:
			_, _ = t.slack.Disconnect("too_many_websockets")
			t.disrupted("too_many_websockets", false)
		case n < 178:
			t.slack.Cut()
			t.disrupted("cut", false)
		case n < 180:
			t.slack.Silence(true)
			t.disrupted("silence", false)
			pause(ctx, time.Duration(r.IntN(2000))*time.Millisecond)
			t.slack.Silence(false)
		case n < 192:
			if err := t.killOne(ctx, r); err != nil {
				return err
			}
		case n < 194:
			t.commitLate(r)
		default:
			breakStore, what := t.CrashStore, "crash of the store"
			if r.IntN(2) == 0 {
				breakStore, what = t.RestartStore, "restart of the store"
			}
			if breakStore == nil {
				continue
			}
			t.disrupted(what, true)
			if err := breakStore(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			t.disrupted("store back", true)
		}
	}
	return nil
}

// commitLate has the next change of the document committed long after the bot
// has given up waiting for an answer, while nobody edits the document.
func (t *team) commitLate(r *rand.Rand) {
	if t.Operations < 200 {
		return // it takes longer than the whole of a short run
	}
	late := 11*time.Second + time.Duration(r.IntN(12000))*time.Millisecond
	t.mu.Lock()
	t.calm = time.Now().Add(late + 2*time.Second)
	t.mu.Unlock()
	_, _ = t.google.AddFault(google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayCommit, Count: 1, Delay: late})
	t.disrupted("late commit", false)
}

// killOnly kills processes at random instants, as often as was asked for, and
// breaks nothing else.
func (t *team) killOnly(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, time.Duration(r.IntN(1500))*time.Millisecond) {
		if err := t.killNow(ctx, t.replicas[r.IntN(len(t.replicas))], r); err != nil {
			return err
		}
	}
	return nil
}

// atOnce bounds how many faults of a kind wait for requests: more would pile up
// while the bot is down, and strike it one after the other once it is back.
const atOnce = 2

// faultGoogle makes one request of a kind go wrong.
func (t *team) faultGoogle(op google.Operation, r *rand.Rand) {
	waiting := 0
	for _, f := range t.google.Faults() {
		waiting += bit(f.Operation == op && f.Hits < f.Count)
	}
	if waiting >= atOnce {
		return
	}
	kinds := []google.FaultKind{google.DropBefore, google.FailBefore, google.RateLimit, google.DelayRequest}
	if op == google.DocsBatchUpdate || op == google.SheetsBatchUpdate {
		kinds = append(kinds, google.DropAfter, google.DropAfter, google.FailAfter, google.FailAfter, google.DelayCommit, google.DelayAnswer)
	}
	f := google.Fault{Operation: op, Kind: kinds[r.IntN(len(kinds))], Count: 1 + r.IntN(2), Delay: time.Duration(1+r.IntN(800)) * time.Millisecond}
	if op == google.SheetsBatchUpdate {
		f.Count = 1 + r.IntN(3)
	}
	if r.IntN(2) == 0 {
		f.Status = 500
	}
	_, _ = t.google.AddFault(f)
	t.disrupted(string(op)+" "+string(f.Kind), false)
}

// faultSlack makes one call go wrong.
func (t *team) faultSlack(r *rand.Rand) {
	method := []string{"chat.postMessage", "chat.postMessage", "chat.update", "conversations.history", "response_url"}[r.IntN(5)]
	waiting := 0
	for _, f := range t.slack.State().Faults {
		waiting += bit(f.Method == method)
	}
	if waiting >= atOnce {
		return
	}
	kinds := []slack.FaultKind{slack.FaultRateLimited, slack.FaultServerError, slack.FaultDropped, slack.FaultLost, slack.FaultDelayed}
	f := slack.Fault{Method: method, Kind: kinds[r.IntN(len(kinds))], Count: 1}
	if f.Kind == slack.FaultDelayed {
		f.Delay = time.Duration(1+r.IntN(500)) * time.Millisecond
	}
	_ = t.slack.AddFault(f)
	t.disrupted(method+" "+string(f.Kind), false)
}

// killOne kills a process, often in the midst of a write, and starts it again.
func (t *team) killOne(ctx context.Context, r *rand.Rand) error {
	victim := t.replicas[r.IntN(len(t.replicas))]
	if r.IntN(3) > 0 {
		op := []google.Operation{google.DocsBatchUpdate, google.DocsBatchUpdate, google.SheetsBatchUpdate}[r.IntN(3)]
		kind := []google.FaultKind{google.DelayRequest, google.DelayCommit, google.DelayAnswer}[r.IntN(3)]
		id, err := t.google.AddFault(google.Fault{Operation: op, Kind: kind, Count: 1, Delay: time.Duration(100+r.IntN(900)) * time.Millisecond})
		if err != nil {
			return err
		}
		for waiting := 0; waiting < 200 && !t.held(id) && pause(ctx, 10*time.Millisecond); waiting++ {
		}
	}
	return t.killNow(ctx, victim, r)
}

// killNow kills a process, starts it again, and mostly waits until it serves.
func (t *team) killNow(ctx context.Context, victim *replica, r *rand.Rand) error {
	t.disrupted(killed, true)
	victim.kill()
	t.mu.Lock()
	t.kills++
	t.mu.Unlock()
	pause(ctx, time.Duration(r.IntN(1000))*time.Millisecond)
	t.disrupted("start", false)
	if err := victim.start(); err != nil {
		return err
	}
	if r.IntN(4) == 0 {
		return nil // it may be killed again while it starts
	}
	if err := victim.ready(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// held reports whether a fault holds a request, or has done so.
func (t *team) held(id int) bool {
	for _, f := range t.google.Faults() {
		if f.ID == id {
			return f.Hits > 0
		}
	}
	return true
}

func (t *team) disrupted(what string, doubles bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.disruptions = append(t.disruptions, Disruption{At: time.Now(), What: what, Doubles: doubles})
}
