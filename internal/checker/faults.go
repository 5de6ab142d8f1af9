package checker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// edit changes the document by hand, in one way after the other, until ctx ends.
func (t *team) edit(ctx context.Context, r *rand.Rand) error {
	var merged time.Time
	for pause(ctx, time.Duration(100+r.IntN(900))*time.Millisecond) {
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
		if !t.clear() && pause(ctx, time.Duration(r.IntN(1000))*time.Millisecond) {
			_ = t.document.SetHolder(who, nobody)
		}
	}
	return nil
}

// clear reports whether the document says Nobody or someone's name, and not
// what is left of two edits.
func (t *team) clear() bool {
	said := t.document.Holder()
	for _, p := range t.people() {
		if said == p.Name {
			return true
		}
	}
	return said == nobody || said == visitors[0].Name || said == visitors[1].Name
}

// disturb breaks one thing after the other, until ctx ends.
func (t *team) disturb(ctx context.Context, r *rand.Rand) error {
	for pause(ctx, time.Duration(50+r.IntN(350))*time.Millisecond) {
		switch n := r.IntN(100); {
		case n < 35:
			t.faultGoogle(google.DocsBatchUpdate, r)
		case n < 42:
			t.faultGoogle([]google.Operation{google.DocsGet, google.DriveGet, google.TokenIssue}[r.IntN(3)], r)
		case n < 54:
			t.faultGoogle([]google.Operation{google.SheetsBatchUpdate, google.SheetsBatchUpdate, google.SheetsValuesGet}[r.IntN(3)], r)
		case n < 56:
			t.sheet.StaleReads(time.Duration(r.IntN(1500)) * time.Millisecond)
		case n < 60:
			_ = t.google.SetBehavior(google.Behavior{
				MismatchStatus:  []string{"FAILED_PRECONDITION", "INVALID_ARGUMENT"}[r.IntN(2)],
				OmitNewRevision: r.IntN(2) == 0,
			})
		case n < 78:
			t.faultSlack(r)
		case n < 82:
			t.slack.DuplicateEnvelopes(1 + r.IntN(3))
		case n < 86:
			_, _ = t.slack.Disconnect([]string{"refresh_requested", "warning"}[r.IntN(2)])
			t.disrupted("refresh", false)
		case n < 89:
			t.slack.Cut()
			t.disrupted("cut", true)
		case n < 97:
			if err := t.killOne(ctx, r); err != nil {
				return err
			}
		default:
			if t.CrashStore == nil {
				continue
			}
			t.disrupted("the store crashes", true)
			if err := t.CrashStore(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			t.disrupted("the store crashed", true)
		}
	}
	return nil
}

// faultGoogle makes one request of a kind go wrong.
func (t *team) faultGoogle(op google.Operation, r *rand.Rand) {
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
	t.disrupted("kill", true)
	victim.kill()
	pause(ctx, time.Duration(r.IntN(1000))*time.Millisecond)
	t.disrupted("start", true)
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
