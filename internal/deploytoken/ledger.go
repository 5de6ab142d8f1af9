package deploytoken

import (
	"context"
	"errors"
	"time"
)

// An Intent is the record, made before the document is written, of a write
// that may land. At most one is open for a document, and nobody else writes
// the document until it is closed.
type Intent struct {
	// Operation is the ID of the write, which its mark carries.
	Operation string
	// Document is the document's ID.
	Document string
	// Command is the ID of the command that asked for it.
	Command string
	// Read is the value that the batch replaces, as it was read.
	Read string
	// Written is the value that it writes.
	Written string
	// Removes are the marks that it removes.
	Removes []Mark
	// Batch is the latest that was, or was about to be, sent.
	Batch Batch
	// Settle, if its Body isn't empty, is the rewrite of the value just read
	// that was sent to settle whether Batch can still land.
	Settle Batch
	// SettleMark is the operation ID that Settle's mark carries.
	SettleMark string
	// Began is the holding that begins when it lands, nil for none.
	Began *Holding
	// Ends is the ID of the holding that ends when it lands, "" for none.
	Ends string
	// Summary is the ended holding's.
	Summary string
	// EndsByHand is whether that holding had already ended by someone's
	// editing the document, before the write.
	EndsByHand bool
	// Deployment, if not nil, is what Began is held for, recorded when it lands.
	Deployment *Deployment
	// Offer is the ID of the offer by which Began takes Ends over; "" for none.
	Offer string
	// Asker is the name of who asked for it, and Force whether they release
	// another's holding; Why says why.
	Asker string
	Force bool
	Why   string
	// NotAfter is the time after which it must not land any more; zero for
	// never.
	NotAfter time.Time
	// Decided is when the latest batch was decided.
	Decided time.Time
	// Epoch counts the owners that the intent has had. The ledger sets it, and
	// refuses whatever comes under an earlier one.
	Epoch int64
}

// A Record is what the ledger knows of one document.
type Record struct {
	// Seq changes with every change of the record, PendingRows aside, and with
	// nothing else.
	Seq int64
	// Holding is the one that lasts; nil for none.
	Holding *Holding
	// IntentOpen is whether an intent is open.
	IntentOpen bool
	// LastName is the name that the bot wrote last; "" where there is none, or
	// where a name has been written by hand or the token been free since.
	LastName string
	// Observed is when the document was last read and recorded as agreeing
	// with the record; zero for never.
	Observed time.Time
	// Unclear is the reason told to the channel for which the document can't
	// be understood; "" while it can be, or nothing was told.
	Unclear string
	// PendingRows counts the history entries that are still to be written.
	PendingRows int
	// Matters are what people have going that is not over.
	Matters Matters
}

// A Change is what one transaction makes of the record: all of it or nothing.
// The zero value of each part leaves that part alone.
type Change struct {
	// Document is the document's ID.
	Document string
	// IfSeq refuses the change unless the record's Seq is this; -1 for any.
	IfSeq int64
	// CloseIntent is the operation of the intent to close, and Epoch the one
	// that it must be under.
	CloseIntent string
	Epoch       int64
	// End is the ended holding, with Ended and the rest set; refused unless it
	// is the one that lasts.
	End *Holding
	// Begin is the holding that begins; refused while another lasts.
	Begin *Holding
	// Means is the ID of the command whose Holding becomes Begin; refused
	// unless the command is unfinished and claimed by this ledger's owner.
	Means string
	// Update is the lasting holding with its PersonID, NextReminder, Reminders
	// or Consent changed; refused unless it is the one that lasts.
	Update *Holding
	// Finish is the ID of the command that ends with Outcome; refused unless
	// the command is unfinished and claimed by this ledger's owner, so that no
	// command ends twice.
	Finish  string
	Outcome Outcome
	// Observed, if not zero, is when the document was read and found to agree
	// with the record as it is after this change.
	Observed time.Time
	// SeqAfter, if not zero, makes the record's Seq greater than this.
	SeqAfter int64
	// SetUnclear replaces the record's Unclear, if not nil.
	SetUnclear *string
	// Put are inserted, or replace what has the same kind and ID.
	Put []Matter
	// Effects are inserted.
	Effects []Effect
	// Audit are the events to keep for good.
	Audit []AuditEvent
	// At is when the change was decided.
	At time.Time
}

// An AuditEvent is one decision, kept for good.
type AuditEvent struct {
	// At is when it was made.
	At time.Time `json:"at"`
	// Event is what was decided: an Outcome or a NoticeKind.
	Event string `json:"event"`
	// Command, Holding and Person are IDs, where there are any.
	Command string `json:"command,omitempty"`
	Holding string `json:"holding,omitempty"`
	Person  string `json:"person,omitempty"`
	// Detail is a sentence, or a value that was read or written.
	Detail string `json:"detail,omitempty"`
}

// Errors of a Ledger.
var (
	// ErrStale: the record has changed since it was read. Read again, and
	// decide again.
	ErrStale = errors.New("the record has changed")
	// ErrIntentOpen: another write of the document may still land.
	ErrIntentOpen = errors.New("another write is under way")
	// ErrNotOwner: the command, the intent or the lease is another owner's now.
	ErrNotOwner = errors.New("another owner has taken over")
)

// A Ledger keeps what must outlive a restart. It stores, and never decides.
// Whatever it can't reach its store for is ErrUnavailable.
type Ledger interface {
	// StoreID is the store's ID, which the marks of its writes carry.
	StoreID() string
	// Accept records a command, claimed by this owner, with the holding that
	// lasts as its Holding where it names none. The Subject of one that
	// FollowsTake becomes the asker's latest, yet to end, that Begins a holding.
	// It reports whether the command was new.
	Accept(ctx context.Context, c Command) (fresh bool, err error)
	// Record returns what is known of the document.
	Record(ctx context.Context, document string) (Record, error)
	// Command returns a recorded command, and its outcome once it has ended.
	// A nil command: there is none with that ID.
	Command(ctx context.Context, id string) (*Command, Outcome, error)
	// Holding returns a holding by ID; nil where there is none.
	Holding(ctx context.Context, id string) (*Holding, error)
	// Matter returns what people had going, also if it is over; nil where there
	// is none, or it was over so long ago that it was removed.
	Matter(ctx context.Context, document string, ref MatterRef) (Matter, error)
	// OpenIntent opens the intent, owned by this owner until ttl has passed,
	// and returns it with its Epoch. The command must be unfinished and
	// claimed by this owner, and the record's Seq must be seq.
	// Errors: ErrStale, ErrIntentOpen, ErrNotOwner, ErrUnavailable.
	OpenIntent(ctx context.Context, i Intent, seq int64, ttl time.Duration) (Intent, error)
	// KeepIntent overwrites the open intent, before each further send, and
	// keeps it for ttl from now.
	// Errors: ErrNotOwner, ErrUnavailable.
	KeepIntent(ctx context.Context, i Intent, ttl time.Duration) error
	// ClaimIntent takes the document's open intent over, if its owner is this
	// one or let its time pass, under a new Epoch, and claims its command. It
	// returns nil where no intent is open or another owner still works on it.
	ClaimIntent(ctx context.Context, document string, ttl time.Duration) (*Intent, error)
	// Commit makes the change.
	// Errors: ErrStale, ErrNotOwner, ErrUnavailable.
	Commit(ctx context.Context, c Change) error
	// ClaimCommands claims unfinished commands, the oldest first, that no owner
	// keeps, for ttl from now. Commands that have an open intent are left to
	// ClaimIntent.
	ClaimCommands(ctx context.Context, document string, limit int, ttl time.Duration) ([]Command, error)
	// KeepCommands keeps those of the named commands that are unfinished and
	// this owner's, for ttl from now.
	KeepCommands(ctx context.Context, ids []string, ttl time.Duration) error
}

// A Lease is the right to do something alone for a while, under an epoch that
// counts its owners.
type Lease struct {
	Name  string
	Epoch int64
}

// MaxPause is the longest that a delivery is put off after it failed. One that
// is put off for longer, counted from now, was so by a clock that has been set
// back since, or by a replica whose clock is ahead.
const MaxPause = 15 * time.Minute

// An Outbox delivers effects, in order for each destination.
type Outbox interface {
	// Due lists the destinations whose first undelivered effect is due and
	// that no owner is delivering to. An effect is due once its NotBefore has
	// passed, if it has any, and the time to try it again, unless that lies over
	// MaxPause ahead.
	Due(ctx context.Context, now time.Time) ([]string, error)
	// Claim takes the lease on the destination for ttl and returns its first
	// undelivered effects that are due at now, at most limit, with their
	// attempts counted; none where another owner has the lease, or the first
	// is not due.
	Claim(ctx context.Context, destination string, now time.Time, limit int, ttl time.Duration) (Lease, []Delivery, error)
	// Holds reports whether the lease of a claim is this owner's still.
	// Errors: ErrUnavailable.
	Holds(ctx context.Context, l Lease) (bool, error)
	// Delivered records the named effects of a claim, which are the
	// destination's first undelivered ones, in order, as done, with a receipt
	// for the first; inserts the effects that follow of it, erases the answered
	// commands' response URLs, and gives the lease back.
	// Errors: ErrNotOwner, ErrUnavailable.
	Delivered(ctx context.Context, l Lease, done []string, r Receipt, follow []Effect, now time.Time) error
	// Failed records why the delivery failed and when to try again (never, for
	// a zero time: it is given up, and the next comes up; else within MaxPause),
	// inserts effects, and gives the lease back.
	// Errors: ErrNotOwner, ErrUnavailable.
	Failed(ctx context.Context, l Lease, key string, reason string, again time.Time, follow []Effect) error
}

// A Leaser gives leases out.
type Leaser interface {
	// Lease takes or renews the lease for ttl, on the store's clock. It returns
	// false while another owner has it.
	// Errors: ErrUnavailable.
	Lease(ctx context.Context, name string, ttl time.Duration) (Lease, bool, error)
	// Unlease gives the lease back early, if it is this owner's.
	Unlease(ctx context.Context, l Lease) error
}
