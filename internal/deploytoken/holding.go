package deploytoken

import "time"

// A Holding is one time that one person holds the token. It begins when the
// document is seen to name someone, and ends when it is seen to name someone
// else or Nobody, by whatever hand. An ended holding never resumes.
type Holding struct {
	// ID is the Entry ID of the holding's history row.
	ID string
	// Name is the holder's, as it stands in the document.
	Name string
	// PersonID is the holder's Slack user ID; "" where it isn't known.
	PersonID string
	// Purpose is what the token was taken for; "" where it wasn't said.
	Purpose string
	// Since is when the holding began, or was first seen.
	Since time.Time
	// SinceKnown is whether Since is when it began, give or take the time
	// between two looks at the document.
	SinceKnown bool
	// ByHand is whether it began by someone's editing the document.
	ByHand bool
	// Ended is when the holding ended, or was seen to have; zero while it lasts.
	Ended time.Time
	// EndedByHand is whether it ended by someone's editing the document.
	EndedByHand bool
	// EndedBy is the Slack user ID of whoever released it for its holder; ""
	// where the holder did, or it ended otherwise.
	EndedBy string
	// Summary is what was done, as told on release.
	Summary string
	// Consent says who agreed to be interrupted.
	Consent string
	// NextReminder is the earliest time of the next reminder; zero until
	// somebody or something has set it.
	NextReminder time.Time
	// Reminders counts the reminders so far.
	Reminders int
}

// Open reports whether the holding lasts.
func (h *Holding) Open() bool { return h != nil && h.Ended.IsZero() }

// Entry returns the holding's row of the history.
func (h *Holding) Entry() Entry {
	e := Entry{ID: h.ID, Released: h.Ended, Name: h.Name, Purpose: h.Purpose, Summary: h.Summary, Consent: h.Consent}
	if h.SinceKnown {
		e.Taken = h.Since
	}
	if e.Summary == "" && h.EndedByHand {
		e.Summary = "changed by hand"
	}
	return e
}
