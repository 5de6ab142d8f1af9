package deploytoken

import (
	"strconv"
	"strings"
	"time"
)

// A NoticeKind is what a notice tells of.
type NoticeKind string

// The notices.
const (
	// NoticeAnswer answers Command with Outcome.
	NoticeAnswer NoticeKind = "answer"
	// NoticePending tells the asker of Command, where its answer will stand,
	// that it isn't known yet whether it was done: Detail says why.
	NoticePending NoticeKind = "pending"
	// NoticeTaken tells the channel that Holding has begun by a command.
	NoticeTaken NoticeKind = "taken"
	// NoticeReleased tells the channel that Holding has ended by a command.
	NoticeReleased NoticeKind = "released"
	// NoticeChanged tells the channel that the document was changed by hand:
	// Previous ended, if any, and Holding began, if any.
	NoticeChanged NoticeKind = "changed"
	// NoticeRetired takes the buttons off the message that Edits names, as the
	// Holding that it tells of is over.
	NoticeRetired NoticeKind = "retired"
	// NoticeReminder reminds the holder of Holding, for the Number'th time.
	NoticeReminder NoticeKind = "reminder"
	// NoticeAsked asks the holder of Holding, by direct message, to release
	// the token, as PersonID would like it.
	NoticeAsked NoticeKind = "asked"
	// NoticeDisplaced tells the holder of Holding, by direct message, that
	// someone else's name, or Nobody, was written over theirs.
	NoticeDisplaced NoticeKind = "displaced"
	// NoticeUnclear tells the channel that the document can't be understood.
	NoticeUnclear NoticeKind = "unclear"
	// NoticeClear tells the channel that it can be again.
	NoticeClear NoticeKind = "clear"
	// NoticeTrouble tells the channel what keeps failing: Detail.
	NoticeTrouble NoticeKind = "trouble"
	// NoticeMended says in the message of the trouble, which Edits names, that
	// it is over.
	NoticeMended NoticeKind = "mended"
	// NoticeHandedOver tells the channel that Holding has begun as its holder
	// accepted Previous's offer, which ended by that.
	NoticeHandedOver NoticeKind = "handed-over"
	// NoticeForceReleased tells the channel that PersonID, called Name, has
	// released Holding for its holder: Detail is why.
	NoticeForceReleased NoticeKind = "force-released"
	// NoticeForced tells the holder of Holding so, by direct message.
	NoticeForced NoticeKind = "forced"

	// NoticeTurn tells a person that the token is free and it is their turn:
	// Matter is the Waiter.
	NoticeTurn NoticeKind = "turn"
	// NoticeTurnOver says in the message of the turn, which Edits names, that
	// it is over: Matter is the Waiter, and Token what the document said.
	NoticeTurnOver NoticeKind = "turn-over"
	// NoticeForgotten tells a person who waits that Holding seems to have been
	// forgotten, and offers them to release it for its holder.
	NoticeForgotten NoticeKind = "forgotten"

	// NoticeOffered offers Holding to a person: Matter is the Offer.
	NoticeOffered NoticeKind = "offered"
	// NoticeOfferOver says in the message of the offer, which Edits names, what
	// became of it.
	NoticeOfferOver NoticeKind = "offer-over"
	// NoticeOfferAnswered tells who made the offer what became of it.
	NoticeOfferAnswered NoticeKind = "offer-answered"

	// NoticeLooking tells the asker of Command, where its answer will stand,
	// that the busy checks are being made.
	NoticeLooking NoticeKind = "looking"
	// NoticeQuestion asks whoever it goes to for their consent: Matter is the
	// Question. With Edits, it replaces an earlier state of it.
	NoticeQuestion NoticeKind = "question"
	// NoticeConsent tells a deployer who has answered what: Matter is the
	// Deployment. With Edits, it replaces an earlier state of it.
	NoticeConsent NoticeKind = "consent"
	// NoticeConsentNews tells a deployer in a message of its own what has come
	// of asking: Matter is the Deployment, whose News says it.
	NoticeConsentNews NoticeKind = "consent-news"
	// NoticeDeploying tells a person that a deployment to Kingfisher is under way
	// that would interrupt, or may, what they run: Works. Matter is the
	// Deployment.
	NoticeDeploying NoticeKind = "deploying"
	// NoticeDeployed tells a person who was asked or told of a deployment that
	// it is over: Holding is its holding; Matter is the Deployment.
	NoticeDeployed NoticeKind = "deployed"
	// NoticeNewWork tells the holder of Holding what has been started on
	// Kingfisher meanwhile: Works.
	NoticeNewWork NoticeKind = "new-work"
	// NoticeUntold tells a person that what they wanted to be asked of another,
	// PersonID, could not be sent: Detail is why. Matter is the Offer or the
	// Question; without one, Holding was to be released.
	NoticeUntold NoticeKind = "untold"
	// NoticeWatched tells a person that what they waited for is so: Matter is the
	// Watch.
	NoticeWatched NoticeKind = "watched"
	// NoticeWatchEnded tells them that the bot looks no longer.
	NoticeWatchEnded NoticeKind = "watch-ended"

	// NoticeRow is Holding's row of the history, for the spreadsheet.
	NoticeRow NoticeKind = "row"
	// NoticeSweep looks once more whether Holding's row stands there twice.
	NoticeSweep NoticeKind = "sweep"
)

// A Notice is what an effect tells, in terms of the token; it is put into
// words when it is delivered. It is stored as JSON.
type Notice struct {
	Kind NoticeKind `json:"kind"`
	// Holding is the ID of the holding that it tells of.
	Holding string `json:"holding,omitempty"`
	// Previous is the ID of the holding that ended by the same change.
	Previous string `json:"previous,omitempty"`
	// Command is the ID of the command that it answers.
	Command string `json:"command,omitempty"`
	// Outcome is how that command ended.
	Outcome Outcome `json:"outcome,omitempty"`
	// Token is what the document said when this was decided.
	Token *Token `json:"token,omitempty"`
	// PersonID is the Slack user ID of whoever caused it.
	PersonID string `json:"person,omitempty"`
	// Name is that person's name, where it is told to others.
	Name string `json:"name,omitempty"`
	// Matter refers to what else it tells of.
	Matter *MatterRef `json:"matter,omitempty"`
	// Works is what it tells of that runs on Kingfisher.
	Works []Work `json:"works,omitempty"`
	// Editor is the name of the document's last editor, where it is known.
	Editor string `json:"editor,omitempty"`
	// Detail is a sentence for people.
	Detail string `json:"detail,omitempty"`
	// Number counts the reminders of a holding, or is a position in the
	// waitlist, from 1.
	Number int `json:"number,omitempty"`
	// Until is when what it tells of ends by itself: of NoticeTurn, the turn; of
	// OutcomeQuiet, the time without reminders.
	Until time.Time `json:"until,omitzero"`
	// BlindSince is since when the bot had not seen the document, where that
	// was long; zero otherwise.
	BlindSince time.Time `json:"blind_since,omitzero"`
	// At is when this was decided.
	At time.Time `json:"at"`
	// Edits is the key of the effect whose message this one replaces.
	Edits string `json:"edits,omitempty"`
	// Thread is the key of the effect into whose message's thread it goes.
	Thread string `json:"thread,omitempty"`
}

// The destinations of effects that are no channel and no person.
const (
	// ToSheet is the history spreadsheet.
	ToSheet = "sheet"
	// ToSweep is the later look for doubled rows.
	ToSweep = "sweep"
)

// ToChannel is the destination of messages to a Slack channel.
func ToChannel(id string) string { return "channel:" + id }

// ToPerson is the destination of answers and direct messages to a person.
func ToPerson(id string) string { return "person:" + id }

// An Effect is one thing to deliver because of a change of state, inserted by
// the transaction that makes the change. Effects of one destination are
// delivered one by one, in order.
type Effect struct {
	// Key is unique by what the effect tells of: a second insertion with the
	// same key does nothing.
	Key string
	// Again is whether it takes the place of one with the same key that was
	// given up.
	Again bool
	// Destination is ToSheet, ToSweep, or what ToChannel or ToPerson returns.
	Destination string
	// NotBefore is the earliest time of delivery; zero for at once.
	NotBefore time.Time
	// Notice is what it tells.
	Notice Notice
}

// Untold is the effect that tells whoever wanted something of another that e,
// which was to ask for it, can't be delivered, and why. It returns false where
// e asks nothing of anyone.
func (e Effect) Untold(why string, now time.Time) (Effect, bool) {
	n := e.Notice
	switch n.Kind {
	case NoticeAsked, NoticeOffered, NoticeQuestion:
	default:
		return Effect{}, false
	}
	of, personal := strings.CutPrefix(e.Destination, ToPerson(""))
	if !personal || n.Edits != "" || n.PersonID == "" || n.PersonID == of {
		return Effect{}, false
	}
	return Effect{
		// What is wanted again may fail again.
		Key: "untold:" + e.Key + ":" + strconv.FormatInt(n.At.Unix(), 10), Destination: ToPerson(n.PersonID),
		Notice: Notice{Kind: NoticeUntold, Holding: n.Holding, PersonID: of, Matter: n.Matter, Detail: why, At: now},
	}, true
}

// A Receipt says where a message stands once it was delivered.
type Receipt struct {
	// Channel is the Slack channel ID (a direct message's too).
	Channel string
	// Timestamp is the Slack message's timestamp, its ID in the channel; ""
	// where none is known, as for an ephemeral answer.
	Timestamp string
}

// A Delivery is one effect with all that is needed to put it into words: the
// state when it is delivered, not when it was decided.
type Delivery struct {
	// Key is the effect's.
	Key string
	// Destination is the effect's.
	Destination string
	// Notice is the effect's.
	Notice Notice
	// Attempt counts the attempts at delivery, this one included, from 1.
	Attempt int
	// Inserted is when the effect was decided.
	Inserted time.Time
	// Holding and Previous are the notice's holdings as they are now; nil
	// where it names none.
	Holding, Previous *Holding
	// Matter is what the notice's Matter refers to, as it is now; nil where it
	// refers to nothing, or that is no longer known.
	Matter Matter
	// Command is the command that the notice answers, as recorded; nil where
	// it answers none. Its ResponseURL is "" once used up.
	Command *Command
	// Edits and Thread are the receipts of the messages that the notice's keys
	// name; zero where there is none.
	Edits, Thread Receipt
	// Now is the status by a fresh reading, set for an answer that is delivered
	// so late that its decision may no longer describe the present.
	Now *Status
	// Late are further deliveries to the same destination, over an hour late
	// like this one, that one summary delivers along with it.
	Late []Delivery
	// At is the time of this attempt.
	At time.Time
	// Link and HistoryLink are the addresses of the document and of the
	// history, for people.
	Link, HistoryLink string
}
