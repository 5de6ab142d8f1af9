package slackapp

import (
	"fmt"
	"slices"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// busyOptions are what a busy report says beside what was found.
type busyOptions struct {
	// OverrideURL is the address of how to deploy without losing what runs; ""
	// for none.
	OverrideURL string
}

// What a busy report takes of a message, in characters: the findings of each
// check, and parts of each finding.
const (
	maxFindings = 2400
	maxOwner    = 60
	maxWhat     = 200
	maxWhere    = 120
	maxNote     = 160
)

// busyMessage is the report of the busy checks. Those in pending are still
// being made. Viewer is the Slack user ID of the only person who sees the
// message; it is "" for a message that more people see: that leaves out the
// commands and queries, and mentions nobody.
func busyMessage(r deploytoken.BusyReport, pending []string, viewer string, opts busyOptions) Message {
	groups := []group{{lines: []line{busyHeadline(r, pending)}}}
	for _, check := range checkOrder(r, pending) {
		groups = append(groups, checkGroup(r, check, viewer, maxFindings))
	}
	var last []line
	if len(pending) == 0 {
		if looked := lookedAt(r); looked != nil {
			last = append(last, append(looked, words(" Look again with "), code("/kingfisher busy"), words(".")))
		}
		if opts.OverrideURL != "" && r.State() != deploytoken.Idle {
			last = append(last, override(opts.OverrideURL))
		}
	}
	if len(last) > 0 {
		groups = append(groups, group{lines: last})
	}
	return compose(groups, nil)
}

// lookedAt says when the checks were made; nil where that isn't known.
func lookedAt(r deploytoken.BusyReport) line {
	if r.At.IsZero() {
		return nil
	}
	l := line{words("Last look: "), moment(r.At)}
	if r.Took > 0 {
		l = append(l, words(fmt.Sprintf(", in %.1f s", r.Took.Seconds())))
	}
	return append(l, words("."))
}

// override leads to how to deploy without losing what runs.
func override(url string) line {
	return line{words("If you must deploy all the same: "), link(url, "how not to lose what runs"), words(".")}
}

// busyHeadline says in one line what the whole comes to.
func busyHeadline(r deploytoken.BusyReport, pending []string) line {
	blocking := 0
	for _, c := range r.Checks {
		for _, f := range c.Findings {
			if f.Blocks {
				blocking++
			}
		}
	}
	state := r.State()
	switch {
	case state == deploytoken.Busy && blocking == 0:
		return line{strong("Kingfisher is busy.")}
	case state == deploytoken.Busy && len(pending) > 0:
		return line{strong("Kingfisher is busy"), words(": so far, I see " + count(blocking, "thing", "things") + " that a deployment would interrupt.")}
	case state == deploytoken.Busy:
		return line{strong("Kingfisher is busy"), words(": a deployment would interrupt " + count(blocking, "thing", "things") + ".")}
	case len(pending) > 0:
		return line{words("Looking at what runs on Kingfisher …")}
	case state == deploytoken.Idle:
		return line{strong("Kingfisher is idle"), words(": a deployment would interrupt nothing.")}
	}
	return line{strong("I can't tell whether Kingfisher is busy."), words(" Look yourself before you deploy.")}
}

// checkOrder lists the checks that the report is about in their order.
func checkOrder(r deploytoken.BusyReport, pending []string) []string {
	var names []string
	for _, c := range r.Checks {
		names = append(names, c.Check)
	}
	names = append(names, pending...)
	rank := func(name string) int {
		if i := slices.Index(deploytoken.Checks(), name); i >= 0 {
			return i
		}
		return len(deploytoken.Checks())
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return slices.Compact(names)
}

var checkTitles = map[string]string{
	deploytoken.CheckScrapyd:  "Scrapyd",
	deploytoken.CheckTmux:     "tmux",
	deploytoken.CheckPostgres: "PostgreSQL",
}

// checkGroup tells of one check; its findings take at most limit characters.
func checkGroup(r deploytoken.BusyReport, check, viewer string, limit int) group {
	title := span{kind: spanStrong, text: orElse(checkTitles[check], check)}
	i := slices.IndexFunc(r.Checks, func(c deploytoken.CheckResult) bool { return c.Check == check })
	if i < 0 {
		return group{lines: []line{{title, words(": checking …")}}}
	}
	c := r.Checks[i]
	blocking := 0
	for _, f := range c.Findings {
		if f.Blocks {
			blocking++
		}
	}
	state := line{title, words(": ")}
	switch c.State {
	case deploytoken.Busy:
		state = append(state, strong("busy"))
	case deploytoken.Idle:
		state = append(state, words("idle"))
	default:
		state = append(state, strong("unknown"))
	}
	g := group{lines: []line{state}}
	if c.Reason != "" {
		g.lines = append(g.lines, prose(deploytoken.CleanLine(c.Reason, maxPhrase)))
	}
	if check == deploytoken.CheckPostgres && blocking > 0 {
		g.lines = append(g.lines, line{words("This matters only where your deployment restarts PostgreSQL.")})
	}
	kept, more := fit(c.Findings, limit, func(f deploytoken.Finding) int { return findingLine(f, viewer).size() })
	for _, f := range kept {
		g.bullets = append(g.bullets, findingLine(f, viewer))
	}
	if more > 0 {
		hidden := max(0, blocking-len(kept))
		rest := "and " + count(more, "more", "more")
		if hidden > 0 && hidden < more {
			rest += fmt.Sprintf(", of which a deployment would interrupt %d", hidden)
		}
		g.bullets = append(g.bullets, line{words(rest)})
	}
	return g
}

// findingLine tells of one finding.
func findingLine(f deploytoken.Finding, viewer string) line {
	l := ownerOf(f, viewer)
	what := deploytoken.CleanLine(f.What, maxWhat)
	if viewer != "" && what != "" {
		l = append(l, words(": "), code(what))
	}
	if where := deploytoken.CleanLine(f.Where, maxWhere); where != "" {
		l = append(l, words(", "), phrase(where))
	}
	if f.Age > 0 {
		l = append(l, words(", for "+age(f.Age)))
	}
	if !f.Blocks {
		l = append(l, words(" (would not be interrupted)"))
	}
	if note := deploytoken.CleanLine(f.Note, maxNote); note != "" {
		l = append(l, words("; "))
		l = append(l, prose(note)...)
	}
	return l
}

// ownerOf names the owner of a finding. What only one person sees notifies
// nobody, and may mention them.
func ownerOf(f deploytoken.Finding, viewer string) line {
	mark := deploytoken.CleanLine(f.Owner, maxOwner)
	switch {
	case viewer != "" && f.OwnerID == viewer:
		return line{strong("You")}
	case viewer != "" && f.OwnerID != "" && mark != "":
		return line{mention(f.OwnerID), words(" ("), phrase(mark), words(")")}
	case viewer != "" && f.OwnerID != "":
		return line{mention(f.OwnerID)}
	case mark != "":
		return line{strong(mark)}
	}
	return line{words("Owner unknown")}
}

// age is how long something has been running, to the second while that says
// something.
func age(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d/time.Second))
	}
	return duration(d)
}
