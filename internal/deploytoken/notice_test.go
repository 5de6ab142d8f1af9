package deploytoken

import (
	"testing"
	"time"
)

// TestUntold: whoever wants something of another hears that it can't be sent;
// nobody hears so twice, or of what asks nothing.
func TestUntold(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	matter := &MatterRef{MatterQuestion, "q1"}
	tests := map[string]struct {
		effect Effect
		told   string
	}{
		"a question":                {Effect{Destination: ToPerson("U0ANN"), Notice: Notice{Kind: NoticeQuestion, PersonID: "U0DEE", Matter: matter}}, "U0DEE"},
		"an offer":                  {Effect{Destination: ToPerson("U0ANN"), Notice: Notice{Kind: NoticeOffered, PersonID: "U0DEE"}}, "U0DEE"},
		"a request":                 {Effect{Destination: ToPerson("U0ANN"), Notice: Notice{Kind: NoticeAsked, PersonID: "U0DEE", Holding: "h1"}}, "U0DEE"},
		"a question to oneself":     {Effect{Destination: ToPerson("U0DEE"), Notice: Notice{Kind: NoticeQuestion, PersonID: "U0DEE"}}, ""},
		"a question to the channel": {Effect{Destination: ToChannel("C0DEPLOY"), Notice: Notice{Kind: NoticeQuestion, PersonID: "U0DEE"}}, ""},
		"an edit of a question":     {Effect{Destination: ToPerson("U0ANN"), Notice: Notice{Kind: NoticeQuestion, PersonID: "U0DEE", Edits: "first"}}, ""},
		"a reminder":                {Effect{Destination: ToPerson("U0ANN"), Notice: Notice{Kind: NoticeReminder, Holding: "h1"}}, ""},
		"what tells of this":        {Effect{Destination: ToPerson("U0DEE"), Notice: Notice{Kind: NoticeUntold, PersonID: "U0ANN"}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.effect.Key, test.effect.Notice.At = "the effect", at.Add(-time.Minute)
			e, ok := test.effect.Untold("Why.", at)
			if ok != (test.told != "") {
				t.Fatalf("told: %v, %+v", ok, e)
			}
			if !ok {
				return
			}
			n := e.Notice
			if e.Destination != ToPerson(test.told) || e.Key != "untold:the effect:1772441940" || n.Kind != NoticeUntold || n.PersonID != "U0ANN" ||
				n.Matter != test.effect.Notice.Matter || n.Holding != test.effect.Notice.Holding || n.Detail != "Why." || !n.At.Equal(at) {
				t.Errorf("%+v", e)
			}
		})
	}
}
