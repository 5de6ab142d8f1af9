package deploytoken

import "time"

// A Kind is what a command asks for.
type Kind string

// The commands that change the token or tell somebody of it. Each is recorded
// before it is acknowledged.
const (
	// KindTake takes the token. Words are what for.
	KindTake Kind = "take"
	// KindRelease releases the asker's holding. Words are what was done.
	KindRelease Kind = "release"
	// KindAsk asks the holder, by direct message, to release the token.
	KindAsk Kind = "ask"
	// KindStillWorking keeps reminders of the asker's holding quiet until the
	// time after which a holding is stale has passed again.
	KindStillWorking Kind = "still-working"
	// KindClaim says that the name in the document means the asker.
	KindClaim Kind = "claim"
)

// A Command is what one person asked of the bot, in plain terms.
type Command struct {
	// ID is Slack's envelope ID, unique to the command and the same in each
	// duplicate of it.
	ID string
	// Document is the ID of the document that it is about.
	Document string
	// Kind is what is asked for.
	Kind Kind
	// PersonID is the Slack user ID of the asker.
	PersonID string
	// Words are what the asker wrote after the command, on one line.
	Words string
	// Holding is the ID of the holding that it is about: what the button was
	// for, or the one that lasted when it came. "" where none was known.
	Holding string
	// ChannelID is the Slack channel where it was said.
	ChannelID string
	// ResponseURL is where Slack takes the answer, for 30 minutes. It is a
	// secret.
	ResponseURL string
	// Message is the Slack timestamp of the message whose button was clicked;
	// "" for a command that was typed.
	Message string
	// At is when it came.
	At time.Time
}

// An Outcome is how a command ended.
type Outcome string

// The outcomes of commands, each of which is one answer to the asker.
const (
	// OutcomeTaken: the asker holds the token now, by this command.
	OutcomeTaken Outcome = "taken"
	// OutcomeAlreadyYours: the asker held it already.
	OutcomeAlreadyYours Outcome = "already-yours"
	// OutcomeHeld: someone else holds it.
	OutcomeHeld Outcome = "held"
	// OutcomeReleased: the asker's holding has ended, by this command.
	OutcomeReleased Outcome = "released"
	// OutcomeFree: there is nothing to do, as nobody holds the token.
	OutcomeFree Outcome = "free"
	// OutcomeEnded: the holding that the command was about is over.
	OutcomeEnded Outcome = "ended"
	// OutcomeMaybeYours: the name in the document could mean the asker, and
	// others too; they may say so.
	OutcomeMaybeYours Outcome = "maybe-yours"
	// OutcomeClaimed: the name in the document is known to mean the asker now.
	OutcomeClaimed Outcome = "claimed"
	// OutcomeNotYours: the name in the document can't mean the asker.
	OutcomeNotYours Outcome = "not-yours"
	// OutcomeAsked: the holder is asked to release the token.
	OutcomeAsked Outcome = "asked"
	// OutcomeHolderUnknown: the name in the document fits no member of the
	// channel, so that nobody can be asked.
	OutcomeHolderUnknown Outcome = "holder-unknown"
	// OutcomeQuiet: reminders keep quiet for a while.
	OutcomeQuiet Outcome = "quiet"
	// OutcomeUnclear: the document can't be understood; Detail says why.
	OutcomeUnclear Outcome = "unclear"
	// OutcomeTooLate: it could not be done within the time that it makes sense
	// in, and is not done.
	OutcomeTooLate Outcome = "too-late"
	// OutcomeContended: the document was edited again and again meanwhile;
	// nothing was done.
	OutcomeContended Outcome = "contended"
	// OutcomeSuperseded: what the command wrote, if it did, has been changed by
	// hand since; the token is as the answer's Token says.
	OutcomeSuperseded Outcome = "superseded"
	// OutcomeRefused: it can't be done; Detail says why and what to do. Nothing
	// was done.
	OutcomeRefused Outcome = "refused"
	// OutcomeFailed: the bot failed; nothing more of the command is done.
	OutcomeFailed Outcome = "failed"
)
