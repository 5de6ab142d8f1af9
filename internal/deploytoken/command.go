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

	// KindTakeOutOfTurn is KindTake though somebody else has the turn.
	KindTakeOutOfTurn Kind = "take-out-of-turn"
	// KindTakeAnyway is KindTake for the deployment that Subject names, without
	// the consent of those whose work it would interrupt.
	KindTakeAnyway Kind = "take-anyway"
	// KindTakeWithoutPostgres is KindTake for the deployment that Subject names,
	// which doesn't restart PostgreSQL.
	KindTakeWithoutPostgres Kind = "take-without-postgres"

	// KindWait joins the waitlist. Words are what for.
	KindWait Kind = "wait"
	// KindLeave leaves it.
	KindLeave Kind = "leave"

	// KindGive offers the asker's holding to the person whom Subject names.
	KindGive Kind = "give"
	// KindAccept takes the token over by the offer that Subject names.
	KindAccept Kind = "accept"
	// KindDecline declines that offer.
	KindDecline Kind = "decline"

	// KindForce asks to release somebody else's holding, which is to be
	// confirmed. Words are why.
	KindForce Kind = "force-release"
	// KindForceConfirmed confirms it: Holding is the holding that was shown, and
	// Subject the KindForce command or "". Words are why, where that has none.
	KindForceConfirmed Kind = "force-release-confirmed"

	// KindConsent asks the owners of what runs on Kingfisher, for the deployment
	// that Subject names, or for none that takes the token yet; Words are then
	// what for.
	KindConsent Kind = "consent"
	// KindAgree says that what the question in Subject asks about may be
	// interrupted.
	KindAgree Kind = "agree"
	// KindAskToWait says that it may not, before Until. Words are why.
	KindAskToWait Kind = "ask-to-wait"
	// KindWatch asks to be told when Kingfisher is idle; with Subject
	// WatchFree, and the token free.
	KindWatch Kind = "watch"
	// KindUnwatch asks not to be told any more.
	KindUnwatch Kind = "unwatch"
	// KindPrefer says where the asker's reminders come: Subject is
	// RemindInChannel or RemindDirectly.
	KindPrefer Kind = "prefer"
)

// Subjects that are no ID.
const (
	// WatchFree is the Subject of a KindWatch that waits for the token, too.
	WatchFree = "free"
	// RemindInChannel and RemindDirectly are the Subjects of a KindPrefer.
	RemindInChannel = "channel"
	RemindDirectly  = "direct"
)

// takes reports whether the command takes the token where it is free.
func (k Kind) takes() bool {
	switch k {
	case KindTake, KindTakeOutOfTurn, KindTakeAnyway, KindTakeWithoutPostgres:
		return true
	}
	return false
}

// ledgerOnly reports whether the command is decided without the document, as it
// has nothing to do with who holds the token.
func (k Kind) ledgerOnly() bool {
	switch k {
	case KindLeave, KindDecline, KindConsent, KindAgree, KindAskToWait, KindWatch, KindUnwatch, KindPrefer:
		return true
	}
	return false
}

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
	// Subject is what else it is about, by its kind: the ID of a deployment, an
	// offer, a question, a person or an earlier command (for a release that was
	// typed, the asker's, yet to end, that Begins a holding). "" for nothing.
	Subject string
	// Until is how long what it asks for is to last; zero where it doesn't say.
	Until time.Time
	// ChannelID is the Slack channel where it was said.
	ChannelID string
	// ResponseURL is where Slack takes the answer, for 30 minutes. It is a
	// secret.
	ResponseURL string
	// Message is the Slack timestamp of the message whose button was clicked;
	// "" for a command that was typed. Ephemeral is whether only the asker sees
	// that message, whose place the answer then takes.
	Message   string
	Ephemeral bool
	// At is when it came.
	At time.Time
}

// Begins reports whether the command may begin a holding of the asker's.
func (k Kind) Begins() bool { return k.takes() || k == KindAccept }

// FollowsTake reports whether the command may be about a holding that an earlier
// command of the asker's is about to begin: a release that was typed.
func (c Command) FollowsTake() bool {
	return c.Kind == KindRelease && c.Holding == "" && c.Subject == "" && c.Message == ""
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

	// OutcomeOutOfTurn: the token is free, but it is another's turn to take it:
	// the notice's Matter is that waiter, and Number the asker's position, 0 where
	// they don't wait. The asker may take it all the same.
	OutcomeOutOfTurn Outcome = "out-of-turn"
	// OutcomeBusy: the token is free, but a deployment would interrupt, or might,
	// what runs on Kingfisher: the notice's Matter is the deployment, with what
	// was found. Nothing was taken yet.
	OutcomeBusy Outcome = "busy"
	// OutcomeWaiting: the asker is on the waitlist; the notice's Matter is their
	// place, and Number their position from 1.
	OutcomeWaiting Outcome = "waiting"
	// OutcomeLeft: the asker is no longer on the waitlist.
	OutcomeLeft Outcome = "left"
	// OutcomeNotWaiting: the asker wasn't on it.
	OutcomeNotWaiting Outcome = "not-waiting"
	// OutcomeOffered: the token is offered; the notice's Matter is the offer.
	OutcomeOffered Outcome = "offered"
	// OutcomeHandedOver: the asker holds the token now, by the offer that the
	// notice's Matter is.
	OutcomeHandedOver Outcome = "handed-over"
	// OutcomeDeclined: the offer is declined.
	OutcomeDeclined Outcome = "declined"
	// OutcomeConfirm: the release of another's holding is to be confirmed.
	OutcomeConfirm Outcome = "confirm"
	// OutcomeForced: another's holding has ended, by this command.
	OutcomeForced Outcome = "forced"
	// OutcomeConsentAsked: the owners are asked; the notice's Matter is the
	// deployment.
	OutcomeConsentAsked Outcome = "consent-asked"
	// OutcomeNothingRuns: there is nobody to ask, as nothing runs that a
	// deployment would interrupt; the notice's Matter is the deployment.
	OutcomeNothingRuns Outcome = "nothing-runs"
	// OutcomeAnswered: the answer to a question is recorded; the notice's Matter
	// is the question.
	OutcomeAnswered Outcome = "answered"
	// OutcomeWatching: the asker will be told; the notice's Matter is the watch.
	OutcomeWatching Outcome = "watching"
	// OutcomeUnwatched: the asker won't be told.
	OutcomeUnwatched Outcome = "unwatched"
	// OutcomePreferred: it is recorded where the asker's reminders come; the
	// notice's Matter is the preference.
	OutcomePreferred Outcome = "preferred"
)
