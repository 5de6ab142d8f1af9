package checker

import (
	"cmp"
	"regexp"
	"strings"
	"time"
)

// A Kind is what someone asks of the bot.
type Kind string

// What people ask for. Take and Release are typed or by button, the latter's
// opening a form; Ask, TakeOutOfTurn, Accept, Decline and Confirm are by button.
const (
	Take          Kind = "take"
	TakeOutOfTurn Kind = "take-out-of-turn"
	Release       Kind = "release"
	Ask           Kind = "ask"
	Status        Kind = "status"
	Wait          Kind = "wait"
	Leave         Kind = "leave"
	Give          Kind = "give"
	Accept        Kind = "accept"
	Decline       Kind = "decline"
	Force         Kind = "force-release"
	Confirm       Kind = "force-release-confirmed"
)

// takes reports whether who asks for it wants to hold the token, by no offer.
func (k Kind) takes() bool { return k == Take || k == TakeOutOfTurn }

// Told is what an answer says.
type Told string

// What people are told.
const (
	ToldTaken    Told = "taken"
	ToldYours    Told = "already yours"
	ToldHeld     Told = "held by"
	ToldReleased Told = "released"
	ToldFree     Told = "free"
	ToldAsked    Told = "asked"
	// ToldFreed: the document said Nobody already when the holder released it.
	ToldFreed   Told = "freed by hand"
	ToldUnclear Told = "unclear"
	// ToldOutOfTurn: it is free, but another's turn.
	ToldOutOfTurn Told = "out of turn"
	ToldWaiting   Told = "waiting"
	ToldLeft      Told = "left"
	ToldOffered   Told = "offered"
	ToldDeclined  Told = "declined"
	ToldConfirm   Told = "to be confirmed"
	// ToldForced: another's holding was released.
	ToldForced Told = "forced"
	// ToldNothing: nothing was done, for whatever reason.
	ToldNothing Told = "nothing done"
	// ToldSuperseded: it was changed by hand meanwhile; it may have happened.
	ToldSuperseded Told = "superseded"
	// ToldFailed: the bot failed; nothing more of it happens.
	ToldFailed Told = "failed"
	// ToldLate: it could not be taken in, as far as is known.
	ToldLate Told = "not taken in, perhaps"
	// ToldPending: it isn't known yet. Another answer follows.
	ToldPending Told = "pending"
	// ToldUnknown: an answer that the checker doesn't understand.
	ToldUnknown Told = "not understood"
)

// An Answer is what someone was told.
type Answer struct {
	At     time.Time
	Told   Told
	Holder string // who holds the token, if it was said
	Text   string
	// Now is what a late answer says of the present; nil in any other.
	Now *Answer
}

// final reports whether no other answer needs to follow.
func (a Answer) final() bool { return a.Told != ToldPending && a.Told != ToldLate }

// done reports whether the answer says that the token was taken or released.
func (a Answer) done() bool {
	return a.Told == ToldTaken || a.Told == ToldReleased || a.Told == ToldForced
}

// An Operation is one thing that a person asked for and what came of it.
type Operation struct {
	Number int
	Person Person
	Kind   Kind
	// Words are said with the command, and are no other's; a button says none.
	Words string
	// Room is the channel where it was asked for; its answer is there.
	Room string
	// Envelope is the ID under which Slack told the bot of it.
	Envelope string
	// Button is the ID of the holding that a button is about, and Of that of what
	// it goes back to, which is the Envelope of an earlier operation; "" for what
	// was typed.
	Button, Of string
	// To is to whom a Give offers the token, and Shown whose token a Confirm
	// releases, by the button.
	To    Person
	Shown string
	// Opened is whether a click opened a form, which is then all that came of it.
	Opened bool
	// click is the click that opened the form by whose submission it was asked,
	// and forms are the submissions of a click's form.
	click      *Operation
	forms      []*Operation
	submission string // its envelope's ID
	// kept is what a form said that was not taken in.
	kept  string
	Asked time.Time
	// Acked is whether Slack had it acknowledged; Unsent, whether it never
	// reached the bot.
	Acked, Unsent bool
	Answers       []Answer
}

// final is the answer that counts, if there was one.
func (o *Operation) final() (Answer, bool) {
	for _, a := range o.Answers {
		if a.final() {
			return a, true
		}
	}
	return Answer{}, false
}

func (o *Operation) String() string {
	s := o.Person.Name + "'s " + string(o.Kind) + " " + o.Words
	if o.To.Name != "" {
		s += "to " + o.To.Name
	}
	if o.Button != "" || o.Of != "" {
		s += " (button of " + o.Button + "/" + o.Of + ")"
	}
	return s
}

// phrases tell the answers apart by what no other says. The first that fits
// counts.
var phrases = []struct {
	text string
	told Told
}{
	{"I don't know yet whether that was done", ToldPending},
	{"I can't tell whether I have taken that in", ToldLate},
	{"If you hear no more from me within a minute", ToldLate},
	{"so nothing was done", ToldNothing},
	{"while I was working on your request", ToldSuperseded},
	{"within two minutes", ToldNothing},
	{"couldn't do that in time", ToldNothing},
	{"That offer is over", ToldNothing},
	{"was released for you already", ToldNothing},
	{"that you wanted to release is over", ToldConfirm}, // told again, once it was
	{"the person whom it should go to", ToldNothing},
	{"The form didn't open as it should", ToldNothing},
	{"I haven't taken it for you", ToldOutOfTurn},
	{"and I didn't take it for you", ToldOutOfTurn},
	{"You are first in line for", ToldWaiting},
	{"on the waitlist for the deploy token. Nothing was changed", ToldNothing},
	{"You are no longer on the waitlist", ToldLeft},
	{"You are number", ToldWaiting},
	{"You joined it", ToldWaiting},
	{"You left it", ToldLeft},
	{"You weren't on it", ToldNothing},
	{"It is your turn to take the deploy token", ToldWaiting},
	{"I have offered the deploy token", ToldOffered},
	{"It was offered to", ToldOffered},
	{"You have declined the deploy token", ToldDeclined},
	{"You declined", ToldDeclined},
	{"Nothing is released before you press the button", ToldConfirm},
	{"That was to be confirmed", ToldConfirm},
	{"It was released for", ToldForced},
	{"You have released the deploy token for", ToldForced},
	{"about an earlier turn with the deploy token", ToldNothing},
	{"What you asked that for was over already", ToldNothing},
	{"being edited all the while", ToldNothing},
	{"which could be you", ToldNothing},
	{"could have meant you or someone else", ToldNothing},
	{"doesn't fit exactly one member", ToldNothing},
	{"didn't fit exactly one member", ToldNothing},
	{"That could not be done, and nothing was changed", ToldNothing},
	{"was not changed", ToldNothing},
	{"I can't read the", ToldNothing},
	{"You have released the deploy token: the", ToldFreed},
	{"You have released the deploy token", ToldReleased},
	{"It was released", ToldReleased},
	{"You hold the deploy token now", ToldTaken},
	{"You took the deploy token, but", ToldTaken},
	{"You got it at", ToldTaken},
	{"I have asked", ToldAsked},
	{"The holder was asked in a direct message", ToldAsked},
	{"You hold the deploy token already", ToldYours},
	{"It is yours already", ToldYours},
	{"You held it already then", ToldYours},
	{"You have held the deploy token for", ToldYours},
	{"You can take it once it is released", ToldHeld},
	{"Only they can release it", ToldHeld},
	{"Only they can give it", ToldHeld},
	{". Nobody held it then", ToldFree},
	{"held it then, and nothing was changed", ToldHeld},
	{"has held the deploy token for", ToldHeld},
	{"holds the deploy token; since when", ToldHeld},
	{"Nobody holds the deploy token.", ToldFree},
	{"Nobody holds the deploy token, ", ToldFree},
	{"I can't tell from the document", ToldUnclear},
	{"could not be understood then", ToldUnclear},
	{"Something went wrong on my side", ToldFailed},
	{"Nothing was changed.", ToldNothing},
}

var holderNamed = []*regexp.Regexp{
	regexp.MustCompile(`(?:^|\. |¶ )([^.¶]+?) has held the deploy token for`),
	regexp.MustCompile(`(?:^|¶ )([^¶]+?) holds the deploy token; since when`),
	regexp.MustCompile(`document says that (.+?) holds the deploy token`),
	regexp.MustCompile(`^I have asked (.+?) in a direct message`),
	regexp.MustCompile(`(?:deploy token|released)\. (.+?) held it then, and nothing`),
}

// paragraph is what stands between two paragraphs, and ¶ what is made of it.
var paragraph = regexp.MustCompile(`\n\s*\n`)

// unisolate drops what keeps the directions of text apart.
var unisolate = strings.NewReplacer("\u2068", "", "\u2069", "", "\u2066", "", "\u2067", "")

// understand says what an answer to something of the kind tells.
func understand(k Kind, at time.Time, text string) Answer {
	text = strings.Join(strings.Fields(paragraph.ReplaceAllString(unisolate.Replace(text), " ¶ ")), " ")
	a := Answer{At: at, Told: ToldUnknown, Text: text}
	said, now, late := strings.Cut(text, "My answer comes late. This is how it is now:")
	if late {
		n := understand(Status, at, now)
		a.Now = &n
	}
	for _, p := range phrases {
		if strings.Contains(said, p.text) {
			a.Told = p.told
			break
		}
	}
	if a.Told == ToldUnknown && k == Status && (strings.Contains(said, "Google") || strings.Contains(said, "The bot could not")) {
		// A status has no second try: it says what kept it from reading.
		a.Told = ToldNothing
	}
	for _, r := range holderNamed {
		if m := r.FindStringSubmatch(strings.TrimSpace(said)); m != nil && m[1] != "Someone else" && m[1] != nobody {
			a.Holder = cmp.Or(a.Holder, m[1])
		}
	}
	return a
}

// recorded reports whether the answer tells since when the token is held, which
// only a holding on record says.
func (a Answer) recorded() bool { return strings.Contains(a.Text, "held the deploy token for") }
