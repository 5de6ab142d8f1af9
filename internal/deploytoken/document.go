package deploytoken

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Nobody is what stands in the document after the label while the token is
// free. It is compared without regard to case.
const Nobody = "Nobody"

// A Mark is set in the document by every write of the bot, so that the write
// can be recognised later. In Google Docs it is a named range called
// deploytoken:<store>:<operation>.
type Mark struct {
	// Store is the ID of the ledger that the writer used.
	Store string
	// Operation is the ID of the write, unique to it and its repetitions.
	Operation string
}

// A Reading is the holder line as one read of the document found it.
type Reading struct {
	// Revision guards a write that is decided on this reading. It is empty
	// where the bot may read the document but not write it.
	Revision string
	// Value is the text after the label on one line, white space collapsed; a
	// person chip stands as its name, else its e-mail address.
	Value string
	// Problem says, in a sentence for people, why there is no one value to
	// speak of (no line with the label, two of them, a pending suggestion) and
	// what to do about it. Where it isn't empty, Value means nothing.
	Problem string
	// Marks are all the marks that the document carries, of any store.
	Marks []Mark
	// At is when the read began, or when a later poll began that saw the same
	// revision.
	At time.Time
	// Place is where the value stands: the adapter's own, for Prepare.
	Place any
}

// A Batch is one atomic write of the document, exactly as it is sent, so that
// it can be sent again after a crash.
type Batch struct {
	// Revision is the revision that the document must be at for it to land.
	Revision string
	// Body is the request, in the adapter's own encoding, the guard included.
	Body []byte
}

// A Document is the Deploy token document.
type Document interface {
	// ID is the document's ID, by which the ledger is keyed.
	ID() string
	// Link is the document's address, for people.
	Link() string
	// Read reads the holder line. A document that can be read but not
	// understood is no error: its Reading has a Problem.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Read(ctx context.Context) (Reading, error)
	// Revision reads the revision alone, which costs less. It is empty where
	// the bot may not write the document.
	// Errors: ErrUnavailable, ErrMisconfigured.
	Revision(ctx context.Context) (string, error)
	// Prepare makes the batch that writes value in place of what r read, sets
	// mark, and removes the marks in remove, guarded by r's revision. It does
	// not touch the network.
	// Errors: ErrMisconfigured (r has no revision: the bot may not write),
	// ErrName (value can't stand on the line).
	Prepare(r Reading, value string, mark Mark, remove []Mark) (Batch, error)
	// Write sends the batch once.
	// Errors: ErrConflict (the document is at another revision; this send
	// changed nothing), ErrGuardUnusable (the revision was refused for another
	// reason; this send changed nothing), ErrAmbiguous (it may have landed or
	// may yet), ErrUnavailable and ErrMisconfigured (this send changed nothing).
	Write(ctx context.Context, b Batch) error
	// LastEditor names who edited the document last, by its file's record;
	// "" where that may not be read.
	// Errors: ErrUnavailable.
	LastEditor(ctx context.Context) (string, error)
}

// What may be wrong with a call to a service outside. Adapters return them
// wrapped in a *Fault, which says what it means for people.
var (
	// ErrConflict: the document is at another revision than the write was
	// guarded by. Nothing was written.
	ErrConflict = errors.New("the document is at another revision")
	// ErrGuardUnusable: the service refused the guard itself, as one over 24
	// hours old or of another account. Nothing was written.
	ErrGuardUnusable = errors.New("the revision can't be used as a guard")
	// ErrAmbiguous: no answer that says whether a write landed.
	ErrAmbiguous = errors.New("no answer that says whether it was done")
	// ErrUnavailable: the service could not be reached or is overloaded. It
	// passes by itself. Nothing was done.
	ErrUnavailable = errors.New("unavailable")
	// ErrMisconfigured: only an operator can mend it: a permission, a wrong ID,
	// a revoked secret. Nothing was done.
	ErrMisconfigured = errors.New("misconfigured")
	// ErrRefused: the service refuses what was asked for, which may be for what
	// that is or whom it is for. Until it is known whether other requests are
	// refused as well, it is an ErrMisconfigured. Nothing was done.
	ErrRefused = fmt.Errorf("%w: refused", ErrMisconfigured)
	// ErrName: a name can't be written on the holder line.
	ErrName = errors.New("unusable name")
	// ErrUndeliverable: a message can never be delivered to that destination.
	ErrUndeliverable = errors.New("undeliverable")
)

// A Fault is an error of a service outside, translated by its adapter.
type Fault struct {
	// Kind is one of this package's errors.
	Kind error
	// Message says in a sentence or two, for people, what could not be done to
	// what, and what to do about it. It holds no secret.
	Message string
	// RetryAfter is how long the service asked to be left alone; 0 if it didn't.
	RetryAfter time.Duration
	// Cause is the vendor's error, for logs; it may be nil.
	Cause error
}

// Error returns the message and, after it, the cause.
func (f *Fault) Error() string {
	if f.Cause == nil {
		return f.Message
	}
	// A cause may be of many lines, as that of a database that has several
	// addresses.
	return f.Message + " (" + strings.Join(strings.Fields(f.Cause.Error()), " ") + ")"
}

// Unwrap gives the kind and the cause, for errors.Is and errors.As.
func (f *Fault) Unwrap() []error {
	if f.Cause == nil {
		return []error{f.Kind}
	}
	return []error{f.Kind, f.Cause}
}

// Explain returns what err means for people: the message of the Fault in it,
// or a sentence that holds nothing of an error that nobody translated.
func Explain(err error) string {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "It took too long."
	}
	return "Something went wrong that the bot's log says more about."
}
