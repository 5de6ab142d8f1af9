package checker

import (
	"regexp"
	"strings"
	"time"
)

// A Kind is what someone asks of the bot.
type Kind string

// What people ask for.
const (
	Take    Kind = "take"
	Release Kind = "release"
)

// Told is what an answer says.
type Told string

// What people are told.
const (
	ToldTaken    Told = "taken"
	ToldYours    Told = "already yours"
	ToldHeld     Told = "held by"
	ToldReleased Told = "released"
	ToldFree     Told = "free"
	// ToldFreed: the document said Nobody already when the holder released it.
	ToldFreed   Told = "freed by hand"
	ToldUnclear Told = "unclear"
	// ToldNothing: nothing was done, for whatever reason.
	ToldNothing Told = "nothing done"
	// ToldSuperseded: it was changed by hand meanwhile; it may have happened.
	ToldSuperseded Told = "superseded"
	// ToldFailed: the bot failed; it may have happened.
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
	Holder string // of ToldHeld: who holds the token, if it was said
	Text   string
}

// final reports whether no other answer needs to follow.
func (a Answer) final() bool { return a.Told != ToldPending && a.Told != ToldLate }

// An Operation is one command of a person and what came of it.
type Operation struct {
	Number int
	Person Person
	Kind   Kind
	// Words are said with the command, and are no other's.
	Words string
	// Room is the channel where it was said, and no other: its answers are there.
	Room  string
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
	{"about an earlier turn with the deploy token", ToldNothing},
	{"What you asked that for was over already", ToldNothing},
	{"being edited all the while", ToldNothing},
	{"which could be you", ToldNothing},
	{"could have meant you or someone else", ToldNothing},
	{"That could not be done, and nothing was changed", ToldNothing},
	{"was not changed", ToldNothing},
	{"You have released the deploy token: the", ToldFreed},
	{"You have released the deploy token", ToldReleased},
	{"It was released", ToldReleased},
	{"You hold the deploy token now", ToldTaken},
	{"You took the deploy token, but", ToldTaken},
	{"You got it at", ToldTaken},
	{"You hold the deploy token already", ToldYours},
	{"It is yours already", ToldYours},
	{"You held it already then", ToldYours},
	{"You can take it once it is released", ToldHeld},
	{"Only they can release it", ToldHeld},
	{"held it then, and nothing was changed", ToldHeld},
	{"Nobody held it then", ToldFree},
	{"There is nothing to release", ToldFree},
	{"Nobody holds the deploy token. Nothing was changed", ToldFree},
	{"I can't tell from the document", ToldUnclear},
	{"could not be understood then", ToldUnclear},
	{"Something went wrong on my side", ToldFailed},
}

var holderNamed = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^(.+?) has held the deploy token for`),
	regexp.MustCompile(`says that (.+?) holds the deploy token`),
	regexp.MustCompile(`(?m)(?:deploy token\. |^)([^.\n]+?) held it then, and nothing`),
}

// understand says what an answer tells.
func understand(text string) (told Told, holder string) {
	// The second part of a late answer tells how it is now.
	text, _, _ = strings.Cut(text, "My answer comes late.")
	told = ToldUnknown
	for _, p := range phrases {
		if strings.Contains(text, p.text) {
			told = p.told
			break
		}
	}
	if told != ToldHeld {
		return told, ""
	}
	for _, r := range holderNamed {
		if m := r.FindStringSubmatch(text); m != nil && m[1] != "Someone else" {
			return told, strings.Trim(m[1], "*")
		}
	}
	return told, ""
}
