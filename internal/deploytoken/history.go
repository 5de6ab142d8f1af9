package deploytoken

import (
	"context"
	"time"
)

// An Entry is one row of the Deploy history: one holding of the token.
type Entry struct {
	// ID is the holding's, by which the row is recognised.
	ID string
	// Taken is when the holding began; zero where unknown.
	Taken time.Time
	// Released is when it ended.
	Released time.Time
	// Name is the holder's, as the document had it.
	Name string
	// Purpose is what the token was taken for.
	Purpose string
	// Summary is what was done, or how the holding ended if by hand.
	Summary string
	// Consent says who agreed to be interrupted.
	Consent string
}

// A History is the Deploy history spreadsheet.
type History interface {
	// Append writes the entry as one row below the others, atomically, after
	// the headers where the tab is empty. An entry that the spreadsheet itself
	// recognises as already there is no error.
	// Errors: ErrAmbiguous (the row may have landed or may yet),
	// ErrUnavailable, ErrMisconfigured.
	Append(ctx context.Context, e Entry) error
	// Count reads how many rows carry the entry's ID. Reads may lag writes.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Count(ctx context.Context, id string) (int, error)
	// RemoveDoubles deletes all rows that carry the entry's ID but the first,
	// and returns how many those were.
	// Errors: ErrAmbiguous, ErrUnavailable, ErrMisconfigured.
	RemoveDoubles(ctx context.Context, id string) (int, error)
	// Recent reads the last n entries, the newest first. Times are read in the
	// configured time zone; a row that people wrote by hand is read as far
	// as it can be.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Recent(ctx context.Context, n int) ([]Entry, error)
	// Link is the spreadsheet's address, for people.
	Link() string
}
