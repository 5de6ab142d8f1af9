package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/open-contracting/deploytoken/internal/config"
	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/preflight"
)

// remoteWithin bounds each question to the remote of a repository.
const remoteWithin = 30 * time.Second

// A PreflightReport is what there is to know before a deployment.
type PreflightReport struct {
	preflight.Report
	// Status is who holds the token; nil where no document is configured, or it
	// can't be read: NoStatus then says, in a sentence, why.
	Status   *deploytoken.Status
	NoStatus string
	// Busy is what runs on Kingfisher; nil where that isn't configured.
	Busy *deploytoken.BusyReport
}

// Preflight looks at the repositories of the deploy checkout at dir, and updates
// them if it is asked to, and looks meanwhile at the token and at Kingfisher,
// where they are configured.
// Errors: those of preflight.Check; a mistake in the configuration.
func Preflight(ctx context.Context, c *config.Config, dir string, update bool) (PreflightReport, error) {
	var r PreflightReport
	var failed, unusable error
	var all sync.WaitGroup
	all.Go(func() {
		r.Report, failed = preflight.Check(ctx, preflight.Config{
			Dir: dir, Repositories: c.Preflight.Repositories, Update: update, RemoteWithin: remoteWithin,
		})
	})
	if c.Google.Document != "" {
		all.Go(func() {
			if st, _, err := Status(ctx, c); err != nil {
				r.NoStatus = deploytoken.Explain(err)
			} else {
				r.Status = &st
			}
		})
	}
	if c.Kingfisher != nil {
		all.Go(func() {
			var report deploytoken.BusyReport
			if report, unusable = Busy(ctx, c, deploytoken.Checks()); unusable == nil {
				r.Busy = &report
			}
		})
	}
	all.Wait()
	if failed == nil {
		failed = unusable
	}
	return r, failed
}

// How much of a long report is shown, so that it stays on one screen.
const (
	shownFiles    = 5
	shownFindings = 5
)

// WritePreflight writes the report, for a terminal, or as one JSON object:
// {"ready": true, "stopped": "", "repositories": [{"name": "", "directory": "",
// "branch": "", "default_branch": "", "commit": "", "ahead": 0, "behind": 0,
// "done": [""], "problems": [{"kind": "…", "message": "", "files": [""],
// "remedy": ""}]}], "token": …, "busy": …}. token is as WriteStatus writes it,
// with the state unknown where the document can't be read; busy as WriteBusy
// writes it; each is null where it isn't configured.
func WritePreflight(w io.Writer, r PreflightReport, asJSON bool, now time.Time) error {
	if asJSON {
		return writePreflightJSON(w, r, now)
	}
	var b strings.Builder
	problems := 0
	for _, repository := range r.Repositories {
		problems += len(repository.Problems)
		writeRepository(&b, repository)
	}
	if r.Stopped != "" {
		fmt.Fprintf(&b, "The update ended at %s. Mend that, then run it again.\n", preflight.Printable(r.Stopped))
	}
	switch {
	case problems == 0:
		b.WriteString("Ready: the repositories are in order.\n")
	case problems == 1:
		b.WriteString("Not ready: 1 problem.\n")
	default:
		fmt.Fprintf(&b, "Not ready: %d problems.\n", problems)
	}
	if r.Status != nil {
		b.WriteString("\n")
		if err := WriteStatus(&b, *r.Status, false, now); err != nil {
			return err
		}
	} else if r.NoStatus != "" {
		fmt.Fprintf(&b, "\nIt is unknown who holds the deploy token. %s\n", r.NoStatus)
	}
	if r.Busy != nil {
		b.WriteString("\n")
		writeBusySummary(&b, *r.Busy)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRepository(b *strings.Builder, r preflight.Repository) {
	name := preflight.Printable(r.Name)
	for _, done := range r.Done {
		fmt.Fprintf(b, "%s: %s.\n", name, done)
	}
	if len(r.Problems) == 0 {
		fmt.Fprintf(b, "%s: in order, on %s at %.10s.\n", name, preflight.Printable(r.Branch), r.Commit)
		return
	}
	for _, p := range r.Problems {
		fmt.Fprintf(b, "%s: %s", name, p.Message)
		for i, file := range p.Files {
			if i == shownFiles {
				fmt.Fprintf(b, ", and %d more", len(p.Files)-i)
				break
			}
			if i == 0 {
				b.WriteString(": ")
			} else {
				b.WriteString(", ")
			}
			b.WriteString(preflight.Printable(file))
		}
		fmt.Fprintf(b, ".\n    To mend it: %s.\n", p.Remedy)
	}
}

// writeBusySummary writes a line for what blocks, and for what isn't known.
func writeBusySummary(b *strings.Builder, r deploytoken.BusyReport) {
	switch r.State() {
	case deploytoken.Idle:
		b.WriteString("Kingfisher is idle: a deployment would interrupt nothing.\n")
		return
	case deploytoken.Busy:
		b.WriteString("Kingfisher is busy (the command busy says more):\n")
	default:
		b.WriteString("It is unknown whether Kingfisher is busy:\n")
	}
	shown, more := 0, 0
	for _, c := range r.Checks {
		if c.State == deploytoken.Unknown {
			fmt.Fprintf(b, "  %s: unknown. %s\n", checkTitle(c.Check), c.Reason)
		}
		for _, f := range c.Findings {
			switch {
			case !f.Blocks:
			case shown == shownFindings:
				more++
			default:
				owner := f.Owner
				if owner == "" {
					owner = "owner unknown"
				}
				fmt.Fprintf(b, "  %s: %s (%s", checkTitle(c.Check), deploytoken.CleanLine(f.What, 60), owner)
				if f.Age > 0 {
					fmt.Fprintf(b, ", %s", age(f.Age))
				}
				b.WriteString(")\n")
				shown++
			}
		}
	}
	if more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func writePreflightJSON(w io.Writer, r PreflightReport, now time.Time) error {
	type problem struct {
		Kind    preflight.Kind `json:"kind"`
		Message string         `json:"message"`
		Files   []string       `json:"files"`
		Remedy  string         `json:"remedy"`
	}
	type repository struct {
		Name          string    `json:"name"`
		Directory     string    `json:"directory"`
		Branch        string    `json:"branch"`
		DefaultBranch string    `json:"default_branch"`
		Commit        string    `json:"commit"`
		Ahead         int       `json:"ahead"`
		Behind        int       `json:"behind"`
		Done          []string  `json:"done"`
		Problems      []problem `json:"problems"`
	}
	out := struct {
		Ready        bool            `json:"ready"`
		Stopped      string          `json:"stopped"`
		Repositories []repository    `json:"repositories"`
		Token        json.RawMessage `json:"token"`
		Busy         json.RawMessage `json:"busy"`
	}{Ready: r.Ready(), Stopped: r.Stopped, Repositories: []repository{}}
	for _, from := range r.Repositories {
		to := repository{
			Name: from.Name, Directory: from.Directory, Branch: from.Branch, DefaultBranch: from.Default, Commit: from.Commit,
			Ahead: from.Ahead, Behind: from.Behind, Done: append([]string{}, from.Done...), Problems: []problem{},
		}
		for _, p := range from.Problems {
			to.Problems = append(to.Problems, problem{p.Kind, p.Message, append([]string{}, p.Files...), p.Remedy})
		}
		out.Repositories = append(out.Repositories, to)
	}
	if r.Status != nil {
		var b bytes.Buffer
		if err := WriteStatus(&b, *r.Status, true, now); err != nil {
			return err
		}
		out.Token = b.Bytes()
	} else if r.NoStatus != "" {
		reason, err := json.Marshal(map[string]any{
			"state": "unknown", "holder": "", "since": nil, "purpose": "", "reason": r.NoStatus, "document": "",
		})
		if err != nil {
			return err
		}
		out.Token = reason
	}
	if r.Busy != nil {
		var b bytes.Buffer
		if err := WriteBusy(&b, *r.Busy, true, ""); err != nil {
			return err
		}
		out.Busy = b.Bytes()
	}
	return writeJSON(w, out)
}
