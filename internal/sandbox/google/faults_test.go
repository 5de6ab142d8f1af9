package google_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func TestFaultsOfAWrite(t *testing.T) {
	for _, tt := range []struct {
		fault  google.Fault
		status int // 0: no answer
		landed bool
	}{
		{google.Fault{Kind: google.DropBefore}, 0, false},
		{google.Fault{Kind: google.DropAfter}, 0, true},
		{google.Fault{Kind: google.FailBefore}, 503, false},
		{google.Fault{Kind: google.FailAfter}, 503, true},
		{google.Fault{Kind: google.FailBefore, Status: 500}, 500, false},
		{google.Fault{Kind: google.FailAfter, Status: 502}, 502, true},
		{google.Fault{Kind: google.RateLimit}, 429, false},
		{google.Fault{Kind: google.DelayRequest, Delay: time.Millisecond}, 200, true},
		{google.Fault{Kind: google.DelayCommit, Delay: time.Millisecond}, 200, true},
		{google.Fault{Kind: google.DelayAnswer, Delay: time.Millisecond}, 200, true},
	} {
		s := start(t, google.Config{})
		c := signIn(t, s, bot)
		d := holderDocument(t, s)
		id := revisionOf(t, c, d)
		tt.fault.Operation, tt.fault.Count = google.DocsBatchUpdate, 1
		if _, err := s.AddFault(tt.fault); err != nil {
			t.Fatal(err)
		}
		_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(10, "x"))).Do()
		status := 200
		if err != nil {
			status = 0
			if e, ok := errors.AsType[*googleapi.Error](err); ok {
				status = e.Code
			}
		}
		if landed := d.Revision() == 2; status != tt.status || landed != tt.landed {
			t.Errorf("%s: status %d, landed %v, %v", tt.fault.Kind, status, landed, err)
		}
		requests := s.Requests()
		last := requests[len(requests)-1]
		if last.Fault != tt.fault.Kind || last.Done != tt.landed || last.Status != tt.status || last.Operation != google.DocsBatchUpdate {
			t.Errorf("%s: the log says %+v", tt.fault.Kind, last)
		}
		// The fault is used up: the same batch lands now, or conflicts with itself.
		_, err = c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(10, "x"))).Do()
		if tt.landed != (err != nil) || d.Revision() != 2 {
			t.Errorf("%s: the repetition: %v at revision %d", tt.fault.Kind, err, d.Revision())
		}
	}
}

// TestCommitAfterTheClientLeft has a commit that its client gave up on land once it is released, as of then.
func TestCommitAfterTheClientLeft(t *testing.T) {
	for _, edited := range []bool{false, true} {
		s := start(t, google.Config{})
		c := signIn(t, s, bot)
		d := holderDocument(t, s)
		id := revisionOf(t, c, d)
		fault, err := s.AddFault(google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayCommit, Count: 1})
		must(t, err)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(10, "x"))).Context(ctx).Do()
			left <- err
		}()
		must(t, s.WaitFor(t.Context(), func() bool { return s.Faults()[0].Waiting == 1 }))
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the client saw %v", err)
		}
		must(t, s.WaitFor(t.Context(), func() bool {
			requests := s.Requests()
			return requests[len(requests)-1].Left
		}))
		if edited {
			must(t, d.SetHolder(ann, "Ann"))
		}
		if d.Revision() > 2 || strings.Contains(d.Text(), "x") {
			t.Errorf("it landed before it was released: %q", d.Text())
		}
		s.Release(fault)
		want := "xNobody"
		if edited {
			want = "Ann" // the guard no longer fits
		}
		must(t, s.WaitFor(t.Context(), func() bool { return s.Faults()[0].Waiting == 0 && d.Holder() == want }))
	}
}

// TestDelayedRequestOfAClientThatLeft is not carried out.
func TestDelayedRequestOfAClientThatLeft(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := holderDocument(t, s)
	_ = revisionOf(t, c, d)
	_, err := s.AddFault(google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayRequest})
	must(t, err)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("", insert(10, "x"))).Context(ctx).Do()
		left <- err
	}()
	must(t, s.WaitFor(t.Context(), func() bool { return s.Faults()[0].Waiting == 1 }))
	leave()
	<-left
	must(t, s.WaitFor(t.Context(), func() bool { return s.Faults()[0].Waiting == 0 }))
	if d.Revision() != 1 {
		t.Errorf("the document says %q", d.Text())
	}
}

func TestWhichRequestsAFaultBefalls(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	one, two := holderDocument(t, s), holderDocument(t, s)
	read := func(d *google.Document) bool { _, err := c.docs.Documents.Get(d.ID()).Do(); return err == nil }
	id, err := s.AddFault(google.Fault{Operation: google.DocsGet, File: one.ID(), Kind: google.FailBefore, Skip: 1, Count: 2})
	must(t, err)
	var got []bool
	for range 4 {
		got = append(got, read(one), read(two))
	}
	if want := []bool{true, true, false, true, false, true, true, true}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if f := s.Faults(); len(f) != 1 || f[0].ID != id || f[0].Hits != 2 {
		t.Errorf("faults: %+v", f)
	}
	if _, err := s.AddFault(google.Fault{Kind: google.DropBefore}); err != nil {
		t.Fatal(err)
	}
	if read(two) || read(one) {
		t.Error("a fault of everything left something")
	}
	s.RemoveFault(id)
	if read(one) || len(s.Faults()) != 1 {
		t.Error("removing one fault removed another")
	}
	s.ClearFaults()
	if !read(one) || len(s.Faults()) != 0 {
		t.Error("a fault outlived its removal")
	}
	for _, bad := range []google.Fault{{}, {Kind: "nonsense"}, {Kind: google.DropAfter, Operation: "nonsense"}, {Kind: google.FailAfter, Status: 200}, {Kind: google.DropAfter, Count: -1}} {
		if _, err := s.AddFault(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}

	var again google.Fault
	b, err := json.Marshal(google.Fault{Kind: google.DelayAnswer, Delay: 1500 * time.Millisecond})
	must(t, err)
	if err := json.Unmarshal(b, &again); err != nil || again.Delay != 1500*time.Millisecond || !bytes.Contains(b, []byte(`"delay":"1.5s"`)) {
		t.Errorf("%s became %+v, %v", b, again, err)
	}
}

func TestFaultsOfTheTokenEndpoint(t *testing.T) {
	s := start(t, google.Config{})
	d := holderDocument(t, s)
	_, err := s.AddFault(google.Fault{Operation: google.TokenIssue, Kind: google.FailBefore, Status: 400, Count: 1})
	must(t, err)
	if _, err := signIn(t, s, bot).docs.Documents.Get(d.ID()).Do(); err == nil {
		t.Error("a token was issued")
	}
	if _, err := signIn(t, s, bot).docs.Documents.Get(d.ID()).Do(); err != nil {
		t.Error(err)
	}
}

func TestEditsAroundABatch(t *testing.T) {
	// A batch that writes Bob in place of Nobody as the bot does: after the first unit, then the tail and
	// the first unit deleted.
	write := func(c clients, d *google.Document, id string) error {
		_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded(id, insert(11, "Bob"), remove(14, 19), remove(10, 11))).Do()
		return err
	}
	for _, tt := range []struct {
		name    string
		arrange func(*google.Document)
		want    string
		refused bool
	}{
		{"an edit before it", func(d *google.Document) { d.BeforeNextBatch(ann, google.Edit{Kind: google.SetHolder, Text: "Ann"}) }, "Ann", true},
		{"a comment before it", func(d *google.Document) { d.BeforeNextBatch(ann, google.Edit{Kind: google.Comment}) }, "Nobody", true},
		{"an edit that merges", func(d *google.Document) {
			d.MergeIntoNextBatch(ann, google.Edit{Kind: google.SetHolder, Text: "Ann"}, 0)
		}, "AnnBob", false},
		{"a key that merges", func(d *google.Document) {
			d.MergeIntoNextBatch(ann, google.Edit{Kind: google.Insert, Index: 16, Text: "x"}, 0)
		}, "Bobx", false},
		{"a deletion that merges", func(d *google.Document) {
			d.MergeIntoNextBatch(ann, google.Edit{Kind: google.DeleteText, Index: 10, End: 16}, 0)
		}, "Bob", false},
		{"an edit elsewhere that merges", func(d *google.Document) {
			d.MergeIntoNextBatch(ann, google.Edit{Kind: google.ReplaceLine, Line: "Notes", Text: "More notes"}, 0)
		}, "Bob", false},
		{"an edit that merges later", func(d *google.Document) {
			d.MergeIntoNextBatch(ann, google.Edit{Kind: google.SetHolder, Text: "Ann"}, time.Millisecond)
		}, "AnnBob", false},
	} {
		s := start(t, google.Config{})
		c := signIn(t, s, bot)
		d := newDocument(t, s, google.DocumentSpec{Tabs: []google.TabSpec{google.Tab("", google.Lines("Held by: Nobody", "Notes")...)}})
		id := revisionOf(t, c, d)
		tt.arrange(d)
		if err := write(c, d, id); (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
		must(t, s.WaitFor(t.Context(), func() bool { return d.Holder() == tt.want && d.Revision() >= 2 }))
		writes := s.Writes()
		for _, w := range writes {
			if w.Operation != "" && w.TextBefore != "Held by: Nobody\nNotes\n" {
				t.Errorf("%s: a batch overwrote %q", tt.name, w.TextBefore)
			}
		}
		if tt.refused {
			continue
		}
		if last := writes[len(writes)-1]; last.Who != ann || d.LastEditor() != ann {
			t.Errorf("%s: the last write is %+v", tt.name, last)
		}
	}
}
