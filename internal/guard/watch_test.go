package guard

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A document says what it is made to say.
type document struct {
	mu    sync.Mutex
	token Token
	err   error
	looks int
	// hang has a look wait for the end of its context.
	hang bool
}

func (d *document) say(t Token, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.token, d.err = t, err
}

func (d *document) Token(ctx context.Context) (Token, error) {
	d.mu.Lock()
	d.looks++
	hang, t, err := d.hang, d.token, d.err
	d.mu.Unlock()
	if hang {
		<-ctx.Done()
		return Token{}, sentence("Google took too long to answer.")
	}
	return t, err
}

func (d *document) Link() string { return "https://docs.example.org/d" }

// A sentence is an error whose text is for people.
type sentence string

func (s sentence) Error() string { return string(s) }

var (
	ana       = Token{State: Held, Holder: "Ana Díaz"}
	bob       = Token{State: Held, Holder: "Bob Ray"}
	nobody    = Token{State: Free}
	confused  = Token{Reason: "two lines begin with “Held by:”. Leave one."}
	errGoogle = sentence("Google can't be reached.")
)

func TestWatch(t *testing.T) {
	type step struct {
		token Token
		err   error
		for_  time.Duration
		says  string // what the warning of this step holds; "" for no warning
		lost  bool
	}
	const interval, settle = 15 * time.Second, 5 * time.Second
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"held throughout", []step{{ana, nil, time.Hour, "", false}}},
		{"the name typed anew", []step{
			{Token{State: Held, Holder: "ANA  DÍAZ"}, nil, time.Minute, "", false},
		}},
		{"half typed", []step{
			{Token{State: Held, Holder: "Ana D"}, nil, interval + settle/2, "", false},
			{ana, nil, time.Minute, "", false},
		}},
		{"taken by another, once said", []step{
			{bob, nil, 5 * time.Minute, "Ana Díaz doesn't hold the deploy token any more, but Bob Ray does.", true},
			{nobody, nil, 5 * time.Minute, "nobody does", true},
			{ana, nil, time.Minute, "says again that Ana Díaz holds", false},
			{ana, nil, time.Minute, "", false},
		}},
		{"unclear for a while", []step{
			{confused, nil, 5 * time.Minute, "two lines begin", false},
			{ana, nil, time.Minute, "says again", false},
		}},
		{"Google away, once said", []step{
			{Token{}, errGoogle, 5 * time.Minute, "Google can't be reached.", false},
			{Token{}, sentence("Google has trouble (503)."), 5 * time.Minute, "", false},
			{ana, nil, time.Minute, "can be read again: Ana Díaz holds", false},
		}},
		{"a trouble that passes", []step{
			{Token{}, errGoogle, interval + settle/2, "", false},
			{ana, nil, time.Minute, "", false},
		}},
		{"taken while Google was away", []step{
			{Token{}, errGoogle, 5 * time.Minute, "Google can't be reached.", false},
			{bob, nil, time.Minute, "but Bob Ray does", true},
		}},
		{"taken by one after the other", []step{
			{bob, nil, time.Minute, "Bob Ray", true},
			{Token{State: Held, Holder: "Cy\x1b[31m\u202eEve"}, nil, time.Minute, "but Cy[31mEve does", true},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var warnings []string
				lost := 0
				d := &document{}
				g := Guard{Name: "Ana Díaz", Document: d, Interval: interval, Settle: settle,
					Warn: func(m string) { warnings = append(warnings, m) }}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				d.say(tt.steps[0].token, tt.steps[0].err)
				go func() {
					defer close(done)
					g.watch(ctx, func() { lost++ })
				}()
				for i, s := range tt.steps {
					warnings, lost = nil, 0
					d.say(s.token, s.err)
					time.Sleep(s.for_)
					synctest.Wait()
					switch {
					case s.says == "" && len(warnings) > 0, s.says != "" && len(warnings) != 1:
						t.Errorf("step %d: warned %q", i, warnings)
					case s.says != "" && !strings.Contains(warnings[0], s.says):
						t.Errorf("step %d: doesn't say %q: %s", i, s.says, warnings[0])
					}
					if s.lost != (lost == 1) {
						t.Errorf("step %d: lost %d times", i, lost)
					}
				}
				cancel()
				<-done
			})
		})
	}
}

// A look that hangs is given up, said once, and tried again.
func TestWatchHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warnings []string
		d := &document{hang: true}
		g := Guard{Name: "Ana", Document: d, Interval: time.Second, Settle: time.Second, Warn: func(m string) { warnings = append(warnings, m) }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.watch(ctx, func() { t.Error("lost") })
		}()
		time.Sleep(10 * lookWithin)
		synctest.Wait()
		if len(warnings) != 1 || !strings.Contains(warnings[0], "took too long") || d.looks < 5 {
			t.Errorf("%d looks, warned %q", d.looks, warnings)
		}
		cancel()
		<-done
	})
}

func TestSame(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"Ana Díaz", "Ana Díaz", true},
		{"Ana Díaz", "ana DÍAZ", true},
		{"Ana Díaz", " Ana\u00a0\t Díaz ", true},
		{"Ana Di\u0301az", "Ana D\u00edaz", true},
		{"JU\u0308RGEN", "jürgen", true},
		{"Strauß", "STRAUSS", true},
		{"ΣΊΣΥΦΟΣ", "Σίσυφος", true},
		{"Ana Diaz", "Ana Díaz", false},
		{"Ana", "Ana Díaz", false},
		{"Ana Díaz", "Ana Díaz, Bob Ray", false},
		{"AnaDíaz", "Ana Díaz", false},
		{"Αna", "Ana", false}, // a Greek letter
		{"Ana", "", false},
	} {
		if Same(tt.a, tt.b) != tt.same || Same(tt.b, tt.a) != tt.same {
			t.Errorf("%q and %q: %t", tt.a, tt.b, !tt.same)
		}
	}
}

// What is refused says who holds the token and how to get it.
func TestRefusal(t *testing.T) {
	for _, tt := range []struct {
		as      string
		token   Token
		err     error
		notHeld bool
		want    string
	}{
		{"Ana Díaz", ana, nil, false, ""},
		{"Ana Díaz", nobody, nil, true, "nobody holds the deploy token, so nothing was run. Take it first: say /deploy-token take in Slack, or write your name into https://docs.example.org/d"},
		{"Ana Díaz", bob, nil, true, "Bob Ray holds the deploy token, not Ana Díaz, so nothing was run. Ask them to release it, then say /deploy-token take in Slack. https://docs.example.org/d"},
		{"ana diaz", ana, nil, true, "Ana Díaz holds the deploy token, not ana diaz, so nothing was run. If that is you, give the name as the document has it: --as 'Ana Díaz'. Else ask them to release it, then say /deploy-token take in Slack. https://docs.example.org/d"},
		{"Ana", Token{State: Held, Holder: "Ana'; rm -rf ~; '"}, nil, true, `Ana'; rm -rf ~; ' holds the deploy token, not Ana, so nothing was run. If that is you, give the name as the document has it: --as 'Ana'\''; rm -rf ~; '\'''. Else ask them to release it, then say /deploy-token take in Slack. https://docs.example.org/d`},
		{"Ana Díaz", confused, nil, true, "the document doesn't say clearly who holds the deploy token, so nothing was run: two lines begin with “Held by:”. Leave one. https://docs.example.org/d"},
		{"Ana Díaz", Token{}, errGoogle, false, "it can't be found out who holds the deploy token, so nothing was run. Google can't be reached."},
	} {
		g := Guard{Name: tt.as, Document: &document{token: tt.token, err: tt.err}}
		err := g.held(t.Context())
		got := ""
		if err != nil {
			got = err.Error()
		}
		if _, notHeld := errors.AsType[*NotHeldError](err); got != tt.want || notHeld != tt.notHeld {
			t.Errorf("as %s:\n%s (not held: %t), want\n%s", tt.as, got, notHeld, tt.want)
		}
	}
}
