package deploytoken

import (
	"context"
	"time"
)

// A Person is a member of the team's Slack workspace.
type Person struct {
	// ID is the Slack user ID, by which a person is known.
	ID string
	// Name is what is written into the document: the real name, made distinct
	// with the handle where two members of the channel share one.
	Name string
	// Handle is the Slack user name, without the @.
	Handle string
	// Zone is the time zone that they have set in Slack; nil where unknown.
	Zone *time.Location
}

// A Directory knows the people.
type Directory interface {
	// Person looks up one person by Slack user ID.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Person(ctx context.Context, id string) (Person, error)
	// Match returns the members of the channel whom a name typed by hand could
	// mean, by real name, display name or handle, case and accents aside, or by
	// a first name: the one whom it means if it fits exactly one; several if
	// it can't be told; none if it fits nobody.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Match(ctx context.Context, name string) ([]Person, error)
	// Member reports whether a person may use the bot.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Member(ctx context.Context, id string) (bool, error)
	// Group returns the people in a Slack user group, bots and deleted accounts
	// aside, in the order of their IDs.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Group(ctx context.Context, group string) ([]Person, error)
}
