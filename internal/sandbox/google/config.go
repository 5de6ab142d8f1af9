package google

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config says how the server behaves. Its zero value is usable.
type Config struct {
	// Accounts are the service accounts that may sign in; more can be added later with AddAccount.
	Accounts []Account

	// Clock tells the time that decides when a revision ID expires, in which minute a quota counts, and
	// what files say of when they were modified. Waiting takes real time. Default: time.Now.
	Clock func() time.Time

	// TokenClock tells the time that decides whether a token is good. It is apart, as Google's clients
	// know no other than real time. Default: time.Now.
	TokenClock func() time.Time

	// Logger hears of requests and of what was written. Default: nothing is logged.
	Logger *slog.Logger

	// Latency is added to every request before it is processed. Default: none.
	Latency time.Duration

	// Label is what the holder line of a document starts with, for SetHolder and Holder; case and spacing
	// aside. Default: "Held by:".
	Label string

	// Quotas limit requests a minute, each account by itself. Default: unlimited.
	Quotas Quotas

	// Behavior is how Google's undocumented sides behave at first; SetBehavior changes it.
	Behavior Behavior
}

// Account is a service account, the identity by which programs sign in.
type Account struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"` // shown as the last editor; the address where empty
}

// Person is someone who edits a file in a browser, or an account as files remember it.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
}

// Role is what an account may do with a file.
type Role string

const (
	// NoAccess: the file exists but was not shared: 403 from Docs and Sheets, 404 from Drive.
	NoAccess Role = "none"
	// Viewer reads; documents come without a revision ID and without suggestions.
	Viewer Role = "viewer"
	// Commenter reads, suggestions included; documents come without a revision ID.
	Commenter Role = "commenter"
	// Editor reads and writes.
	Editor Role = "editor"
)

func (r Role) valid() bool {
	return r == NoAccess || r == Viewer || r == Commenter || r == Editor
}

// Quotas are requests a minute for each account; 0 is unlimited.
type Quotas struct {
	DocsReads    int `json:"docs_reads,omitempty"`
	DocsWrites   int `json:"docs_writes,omitempty"`
	SheetsReads  int `json:"sheets_reads,omitempty"`
	SheetsWrites int `json:"sheets_writes,omitempty"`
}

// DefaultQuotas are the limits that Google documents for each user of a project.
func DefaultQuotas() Quotas {
	return Quotas{DocsReads: 300, DocsWrites: 60, SheetsReads: 60, SheetsWrites: 60}
}

// Behavior chooses between the ways in which Google has been reported, or may be supposed, to act.
type Behavior struct {
	// MismatchStatus is the status of the 400 for a required revision that is not the latest:
	// FAILED_PRECONDITION (the default) or INVALID_ARGUMENT.
	MismatchStatus string `json:"mismatch_status,omitempty"`

	// OmitNewRevision leaves the new revision ID out of the answer to a batch.
	OmitNewRevision bool `json:"omit_new_revision,omitempty"`

	// DuplicateMetadata accepts developer metadata whose ID exists already in the spreadsheet, instead of
	// failing the batch.
	DuplicateMetadata bool `json:"duplicate_metadata,omitempty"`

	// ShowSuggestions answers a viewer's SUGGESTIONS_INLINE with the document. The reference documents a
	// 403 for someone who may not see suggestions.
	ShowSuggestions bool `json:"show_suggestions,omitempty"`

	// DisabledAPIs are services that are not enabled in the project, by name such as docs.googleapis.com.
	DisabledAPIs []string `json:"disabled_apis,omitempty"`
}

const (
	failedPrecondition = "FAILED_PRECONDITION"
	invalidArgument    = "INVALID_ARGUMENT"

	// revisionLife is how long a revision ID is good after it was returned.
	revisionLife = 24 * time.Hour
	// tokenLife is how long an access token is good.
	tokenLife = time.Hour

	// maxKept bounds what is remembered of requests, writes and revisions of a document.
	maxKept = 10_000
	// maxBody bounds a request's body.
	maxBody = 10 << 20
)

func (b Behavior) check() error {
	switch b.MismatchStatus {
	case "", failedPrecondition, invalidArgument:
		return nil
	}
	return fmt.Errorf("mismatch status %q: want %s or %s", b.MismatchStatus, failedPrecondition, invalidArgument)
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	for _, a := range c.Accounts {
		if a.Email == "" {
			problems = append(problems, errors.New("an account needs an e-mail address"))
		}
	}
	problems = append(problems, c.Behavior.check())
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.TokenClock == nil {
		c.TokenClock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Label == "" {
		c.Label = "Held by:"
	}
	return c, errors.Join(problems...)
}
