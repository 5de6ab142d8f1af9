package deploytoken

import (
	"context"
	"time"
)

// State is the outcome of a busy check, or of all of them together. The zero
// value is Unknown: what was not established never counts as idle.
type State int

// The states of a check, and of a whole report.
const (
	// Unknown: the check could not be made, or not wholly.
	Unknown State = iota
	// Idle: the check was made in full, and nothing would be interrupted.
	Idle
	// Busy: at least one finding would be interrupted by a deployment.
	Busy
)

// String returns "unknown", "idle" or "busy".
func (s State) String() string {
	switch s {
	case Idle:
		return "idle"
	case Busy:
		return "busy"
	default:
		return "unknown"
	}
}

// The names of the busy checks, in the order in which they are reported.
const (
	CheckScrapyd  = "scrapyd"
	CheckTmux     = "tmux"
	CheckPostgres = "postgres"
)

// Checks lists the busy checks in the order in which they are reported.
func Checks() []string { return []string{CheckScrapyd, CheckTmux, CheckPostgres} }

// A Finding is one thing that somebody runs on the Kingfisher server.
type Finding struct {
	// ID identifies the work: it is the same in each report for as long as the
	// work lasts, and is never used again for another's. "" where it can't be
	// told.
	ID string
	// Owner is the best mark of whose work it is: a Unix user, a session
	// name's initials, a database user, a client's address. "" where unknown.
	Owner string
	// OwnerID is the Slack user ID of the owner, by the configured people; ""
	// where nobody is configured for any of the owner's marks.
	OwnerID string
	// What is the command, spider or query, on one line, with what looks like
	// a password masked and its length capped.
	What string
	// Where is the session and user, the project, or the database and client.
	Where string
	// Age is how long it has been running; 0 where unknown.
	Age time.Duration
	// Note says what else there is to know of it: who wrote that they started
	// it, a link to the notebook that runs it, the age of its transaction.
	Note string
	// Blocks is whether a deployment would interrupt it. It is false for what
	// is worth knowing only: an idle session, a pending job, a short query.
	Blocks bool
}

// A CheckResult is the outcome of one busy check.
type CheckResult struct {
	// Check is one of the names that Checks returns.
	Check string
	// State is Busy if any finding blocks; else Unknown if anything could not
	// be looked at; else Idle.
	State State
	// Reason says, in a sentence for people, why the state is Unknown and what
	// to do about it. Where it isn't empty beside another state, it is a remark.
	Reason string
	// Partial is whether anything could not be looked at, also where the state
	// is Busy: then there may be more than was found.
	Partial bool
	// Findings holds what blocks first, then by age, the oldest first.
	Findings []Finding
}

// A BusyReport is what the busy checks found, all together.
type BusyReport struct {
	// Checks has one result for each check that was asked for, in the order
	// of Checks.
	Checks []CheckResult
	// At is when the report was complete.
	At time.Time
	// Took is how long the checks took, all together.
	Took time.Duration
}

// State is Busy if anything blocks, else Unknown if any check is unknown or
// none was made, else Idle.
func (r BusyReport) State() State {
	if len(r.Checks) == 0 {
		return Unknown
	}
	state := Idle
	for _, c := range r.Checks {
		switch c.State {
		case Busy:
			return Busy
		case Idle:
		default:
			state = Unknown
		}
	}
	return state
}

// A BusyChecker looks at what runs on the Kingfisher server.
type BusyChecker interface {
	// Busy makes the named checks, or all of them where none is named, and
	// calls progress (if it is not nil) with each result as it comes in, from
	// one goroutine at a time. It returns no error: what could not be checked
	// is Unknown in the report, with the reason. It returns within the
	// configured timeout and soon after ctx ends, whatever hangs.
	Busy(ctx context.Context, checks []string, progress func(CheckResult)) BusyReport
}
