package app

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// WriteStatus writes who holds the token, for a terminal, or as one JSON
// object: {"state": "free|held|unclear", "holder": "", "since": null,
// "purpose": "", "reason": "", "document": "<link>"}, where since is RFC 3339,
// null where unknown.
func WriteStatus(w io.Writer, st deploytoken.Status, asJSON bool, now time.Time) error {
	if asJSON {
		out := struct {
			State    string     `json:"state"`
			Holder   string     `json:"holder"`
			Since    *time.Time `json:"since"`
			Purpose  string     `json:"purpose"`
			Reason   string     `json:"reason"`
			Document string     `json:"document"`
		}{State: st.Token.State.String(), Holder: st.Token.Holder, Reason: st.Token.Reason, Document: st.Link}
		if h := st.Holding; h != nil {
			out.Purpose = h.Purpose
			if h.SinceKnown {
				since := h.Since.UTC().Truncate(time.Second)
				out.Since = &since
			}
		}
		return writeJSON(w, out)
	}
	var b strings.Builder
	switch st.Token.State {
	case deploytoken.Free:
		b.WriteString("Nobody holds the deploy token.\n")
	case deploytoken.Held:
		fmt.Fprintf(&b, "%s holds the deploy token", deploytoken.CleanLine(st.Token.Holder, 0))
		if h := st.Holding; h != nil {
			if h.SinceKnown {
				fmt.Fprintf(&b, " since %s (%s)", h.Since.Local().Format("Mon 2 Jan 15:04"), age(now.Sub(h.Since)))
			}
			if h.Purpose != "" {
				fmt.Fprintf(&b, ": %s", deploytoken.CleanLine(h.Purpose, 0))
			}
		}
		b.WriteString(".\n")
	default:
		fmt.Fprintf(&b, "It is unclear who holds the deploy token: %s\n", deploytoken.CleanLine(st.Token.Reason, 0))
	}
	if names := waiting(st.Matters.Waiters, now); len(names) > 0 {
		fmt.Fprintf(&b, "Waiting for it: %s.\n", strings.Join(names, ", "))
	}
	if st.Changing {
		b.WriteString("A change of the document is under way.\n")
	}
	switch {
	case st.PendingRows == 1:
		b.WriteString("One entry of the history is still to be written.\n")
	case st.PendingRows > 1:
		fmt.Fprintf(&b, "%d entries of the history are still to be written.\n", st.PendingRows)
	}
	fmt.Fprintln(&b, st.Link)
	_, err := io.WriteString(w, b.String())
	return err
}

// waiting names those on the waitlist, in their order.
func waiting(waiters []deploytoken.Waiter, now time.Time) []string {
	var names []string
	for _, w := range waiters {
		name := deploytoken.CleanLine(w.Name, 0)
		if w.Turn.After(now) {
			name += " (whose turn it is until " + w.Turn.Local().Format("15:04") + ")"
		}
		names = append(names, name)
	}
	return names
}

// WriteBusy writes the report of the busy checks, for a terminal, or as one
// JSON object: {"state": "idle|busy|unknown", "checks": [{"check":
// "scrapyd|tmux|postgres", "state": "…", "reason": "", "findings": [{"owner":
// "", "what": "", "where": "", "age_seconds": 0, "blocks": true}]}],
// "took_seconds": 0.0}.
func WriteBusy(w io.Writer, r deploytoken.BusyReport, asJSON bool, overrideURL string) error {
	if asJSON {
		return writeJSON(w, busyJSON(r))
	}
	var b strings.Builder
	switch r.State() {
	case deploytoken.Idle:
		b.WriteString("Kingfisher is idle: a deployment would interrupt nothing.\n")
	case deploytoken.Busy:
		b.WriteString("Kingfisher is busy: a deployment would interrupt what is marked with *.\n")
	default:
		b.WriteString("It is unknown whether Kingfisher is busy.\n")
	}
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "\n%s: %s", checkTitle(c.Check), c.State)
		if c.Reason != "" {
			fmt.Fprintf(&b, ". %s", c.Reason)
		}
		b.WriteString("\n")
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, f := range c.Findings {
			mark := " "
			if f.Blocks {
				mark = "*"
			}
			owner := f.Owner
			if owner == "" {
				owner = "?"
			}
			fmt.Fprintf(t, "  %s %s\t%s\t%s\t%s\n", mark, owner, age(f.Age), f.Where, f.What)
			if f.Note != "" {
				fmt.Fprintf(t, "    \t\t\t%s\n", f.Note)
			}
		}
		t.Flush()
		if c.Check == deploytoken.CheckPostgres && c.State == deploytoken.Busy {
			b.WriteString("  These matter only where the deployment restarts PostgreSQL: leave them out with --without postgres.\n")
		}
	}
	if overrideURL != "" && r.State() != deploytoken.Idle {
		fmt.Fprintf(&b, "\nTo deploy all the same: %s\n", overrideURL)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type findingJSON struct {
	Owner  string `json:"owner"`
	What   string `json:"what"`
	Where  string `json:"where"`
	Age    int64  `json:"age_seconds"`
	Blocks bool   `json:"blocks"`
}

type checkJSON struct {
	Check    string        `json:"check"`
	State    string        `json:"state"`
	Reason   string        `json:"reason"`
	Findings []findingJSON `json:"findings"`
}

type reportJSON struct {
	State  string      `json:"state"`
	Checks []checkJSON `json:"checks"`
	Took   float64     `json:"took_seconds"`
}

func busyJSON(r deploytoken.BusyReport) reportJSON {
	out := reportJSON{State: r.State().String(), Checks: []checkJSON{}, Took: float64(r.Took.Round(time.Millisecond).Milliseconds()) / 1000}
	for _, c := range r.Checks {
		check := checkJSON{Check: c.Check, State: c.State.String(), Reason: c.Reason, Findings: []findingJSON{}}
		for _, f := range c.Findings {
			check.Findings = append(check.Findings, findingJSON{
				Owner: f.Owner, What: f.What, Where: f.Where, Age: int64(f.Age / time.Second), Blocks: f.Blocks,
			})
		}
		out.Checks = append(out.Checks, check)
	}
	return out
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func checkTitle(check string) string {
	switch check {
	case deploytoken.CheckScrapyd:
		return "Scrapyd"
	case deploytoken.CheckPostgres:
		return "PostgreSQL"
	default:
		return check
	}
}

// age puts a duration into words: "3 d 2 h", "2 h 5 min", "7 min", "12 s".
func age(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	default:
		return fmt.Sprintf("%d s", d/time.Second)
	}
}
