// Package doctor tries what the bot depends on, and says of each thing what is
// wrong with it and what to do. It knows none of those things: it runs the
// checks that it is given, which whoever speaks with a service provides.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// A State is what came of a check.
type State string

// The states of a check. A whole report has one of the first three.
const (
	// OK: it was tried, and is as it should be.
	OK State = "ok"
	// Warning: the bot works, and something is worth an operator's attention.
	Warning State = "warning"
	// Failed: it was tried, and the bot can't do all of its work.
	Failed State = "failed"
	// Skipped: it was not tried.
	Skipped State = "skipped"
)

// A Probe tries one thing for real. It changes nothing, ends soon after ctx
// does, and returns no secret.
//
// What it returns is for people: found says in a few words, without a full
// stop, what was found to be well, and may be empty; warning says in sentences
// what to mind, and is empty where there is nothing; err says what is wrong and
// what to do about it, with the exact address, link or command.
type Probe func(ctx context.Context) (found, warning string, err error)

// A Problem is an error of a Probe: sentences for people.
type Problem string

func (p Problem) Error() string { return string(p) }

// A Check is one thing to try.
type Check struct {
	// Name is what programs know it by, such as slack.bot_token; unique.
	Name string
	// Title says in a few words what is tried, for people.
	Title string
	// Needs names checks, all of them before this one, that must not fail for
	// this one to be worth trying.
	Needs []string
	// Within bounds the Probe's context.
	Within time.Duration
	// Probe tries it.
	Probe Probe
	// Leave, where not empty, says in a sentence why it is not tried at all.
	Leave string
}

// A Result is what came of one check.
type Result struct {
	Name, Title string
	State       State
	// Found is what was found to be well.
	Found string
	// Problem says in sentences what is wrong and what to do about it. It is
	// empty where the state is OK.
	Problem string
	// Because is the name of the failed check that kept this one from being
	// tried. It is empty unless the state is Skipped, and may be empty then.
	Because string
	// Took is how long the Probe took.
	Took time.Duration
}

// A Report is what came of all checks, in their order.
type Report struct {
	Checks []Result
	Took   time.Duration
}

// Run makes the checks, all at once but for what waits for another, and calls
// report, if it is not nil, with each result in the order of the checks, as soon
// as it and those before it are known. It returns once every Probe has. When ctx
// ends, what is unfinished has failed, and what is not begun is skipped.
//
// It panics where a check needs one that doesn't come before it.
func Run(ctx context.Context, checks []Check, report func(Result)) Report {
	began := time.Now()
	results := make([]Result, len(checks))
	done := make([]chan struct{}, len(checks))
	before := map[string]int{}
	for i, c := range checks {
		var needs []int
		for _, name := range c.Needs {
			at, ok := before[name]
			if !ok {
				panic(fmt.Sprintf("the check %s needs %s, which doesn't come before it", c.Name, name))
			}
			needs = append(needs, at)
		}
		before[c.Name] = i
		done[i] = make(chan struct{})
		go func() {
			defer close(done[i])
			results[i] = Result{Name: c.Name, Title: c.Title}
			for _, at := range needs {
				<-done[at]
				if ctx.Err() != nil {
					break
				}
				if because := results[at].hinders(); because != "" {
					results[i].State, results[i].Because = Skipped, because
					return
				}
			}
			results[i].make(ctx, c)
		}()
	}
	for i := range checks {
		<-done[i]
		if report != nil {
			report(results[i])
		}
	}
	return Report{Checks: results, Took: time.Since(began)}
}

// hinders returns the name of the check that keeps those that need r from being
// tried; "" if they may be.
func (r Result) hinders() string {
	switch {
	case r.State == Failed, r.State == Skipped && r.Because == "":
		return r.Name
	case r.State == Skipped:
		return r.Because
	}
	return ""
}

// make makes the check, and fills in what comes of it.
func (r *Result) make(ctx context.Context, c Check) {
	if c.Leave != "" {
		r.State, r.Problem = Skipped, c.Leave
		return
	}
	if ctx.Err() != nil {
		r.State, r.Problem = Skipped, "It was called off before it was begun."
		return
	}
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	found, warning, err := c.Probe(within)
	r.Took = time.Since(began)
	switch {
	case ctx.Err() != nil && err != nil:
		r.State, r.Problem = Failed, "It was called off before it was done."
	case err != nil:
		r.State, r.Problem = Failed, err.Error()
	case warning != "":
		r.State, r.Found, r.Problem = Warning, found, warning
	default:
		r.State, r.Found = OK, found
	}
}

// State is Failed if any check failed, else Warning if any warned, else OK.
func (r Report) State() State {
	switch {
	case r.count(Failed) > 0:
		return Failed
	case r.count(Warning) > 0:
		return Warning
	}
	return OK
}

func (r Report) count(s State) (n int) {
	for _, c := range r.Checks {
		if c.State == s {
			n++
		}
	}
	return n
}

// WriteJSON writes one object, on one line:
//
//	{"state": "ok|warning|failed",
//	 "checks": [{"check": "slack.bot_token", "title": "", "state": "ok|warning|failed|skipped",
//	   "found": "", "problem": "", "because": "", "took_seconds": 0.0}],
//	 "took_seconds": 0.0}
//
// The checks come in a fixed order, and keep their names from release to
// release; which of them there are depends on the configuration. The texts are
// for people: found is what was found to be well, problem what is wrong and what
// to do about it. Because is the check whose failure kept a skipped one from
// being tried; where that is "", problem says why it was not tried.
func (r Report) WriteJSON(w io.Writer) error {
	type check struct {
		Check   string  `json:"check"`
		Title   string  `json:"title"`
		State   State   `json:"state"`
		Found   string  `json:"found"`
		Problem string  `json:"problem"`
		Because string  `json:"because"`
		Took    float64 `json:"took_seconds"`
	}
	out := struct {
		State  State   `json:"state"`
		Checks []check `json:"checks"`
		Took   float64 `json:"took_seconds"`
	}{State: r.State(), Checks: []check{}, Took: seconds(r.Took)}
	for _, c := range r.Checks {
		out.Checks = append(out.Checks, check{c.Name, c.Title, c.State, c.Found, c.Problem, c.Because, seconds(c.Took)})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

// seconds is a duration to the millisecond.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}
