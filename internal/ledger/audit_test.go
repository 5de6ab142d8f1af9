package ledger

import (
	"cmp"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func testAudit(t *testing.T, url string) {
	s := open(t, url, "a")
	events, err := s.Audit(t.Context(), AuditFilter{})
	check(t, err)
	equal(t, "events of an empty store", len(events), 0)

	h := holding("h1", "Ana")
	for i, c := range []deploytoken.Change{
		{Begin: h, Audit: []deploytoken.AuditEvent{{Event: "taken", Command: "e1", Holding: "h1", Person: "U1", Detail: "read “Nobody”"}}},
		{Audit: []deploytoken.AuditEvent{{Event: "held", Command: "e2", Person: "U2"}, {Event: "asked", Person: "U2"}}},
		{End: ended(*h), Audit: []deploytoken.AuditEvent{{Event: "released", Command: "e3", Holding: "h1", Person: "U1"}}},
		{Document: "document-2", Audit: []deploytoken.AuditEvent{{Event: "unclear"}}},
	} {
		for j := range c.Audit {
			c.Audit[j].At = start.Add(time.Duration(i) * time.Hour)
		}
		document := cmp.Or(c.Document, doc)
		c = change(c)
		c.Document = document
		check(t, s.Commit(t.Context(), c))
	}
	for name, tt := range map[string]struct {
		filter AuditFilter
		want   []string
	}{
		"all":          {AuditFilter{}, []string{"taken", "held", "asked", "released", "unclear"}},
		"a document's": {AuditFilter{Document: doc}, []string{"taken", "held", "asked", "released"}},
		"the latest":   {AuditFilter{Document: doc, Limit: 2}, []string{"asked", "released"}},
		"a person's":   {AuditFilter{Person: "U1"}, []string{"taken", "released"}},
		"a holding's":  {AuditFilter{Holding: "h1", Limit: 1}, []string{"released"}},
		"a command's":  {AuditFilter{Command: "e2"}, []string{"held"}},
		"from then on": {AuditFilter{Document: doc, Since: start.Add(time.Hour)}, []string{"held", "asked", "released"}},
		"until then":   {AuditFilter{Until: start.Add(time.Hour)}, []string{"taken"}},
		"nobody's":     {AuditFilter{Person: "U3"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			records, err := s.Audit(t.Context(), tt.filter)
			check(t, err)
			var got []string
			for _, r := range records {
				got = append(got, r.Event)
			}
			equal(t, "events", got, tt.want)
		})
	}
	records, err := s.Audit(t.Context(), AuditFilter{Command: "e1"})
	check(t, err)
	if len(records) == 1 {
		r := records[0]
		r.Seq = 0 // whatever it is
		equal(t, "the record", r, AuditRecord{Document: doc, Name: "Ana", AuditEvent: deploytoken.AuditEvent{
			At: start.Truncate(time.Millisecond), Event: "taken", Command: "e1", Holding: "h1", Person: "U1", Detail: "read “Nobody”",
		}})
	}
}
