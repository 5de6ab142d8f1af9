package deploytoken

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// A TokenState is what the document says of the token. The zero value is
// Unclear: what can't be understood is never taken as free.
type TokenState int

// The states of the token.
const (
	// Unclear: the document can't be understood; people have to mend it.
	Unclear TokenState = iota
	// Free: the document says Nobody.
	Free
	// Held: the document names someone.
	Held
)

// String returns "unclear", "free" or "held".
func (s TokenState) String() string {
	switch s {
	case Free:
		return "free"
	case Held:
		return "held"
	default:
		return "unclear"
	}
}

// A Token is what one reading of the document says of the token.
type Token struct {
	// State is Free, Held or Unclear.
	State TokenState
	// Holder is the name in the document; empty unless the state is Held.
	Holder string
	// Reason says, for people, why the state is Unclear and what to do.
	Reason string
}

// Interpret says what r means. lastName is the name last known to stand in the
// document, or "": where it or Nobody stands as whole words beside other text,
// two edits have merged, and the document is unclear.
func Interpret(r Reading, lastName string) Token {
	if r.Problem != "" {
		return Token{Reason: r.Problem}
	}
	value, seen, last := CleanName(r.Value), Visible(r.Value), Visible(lastName)
	switch {
	case seen == "":
		return Token{Reason: fmt.Sprintf("nothing stands after the label. Write the holder's name there, or %s.", Nobody)}
	case strings.EqualFold(seen, Nobody):
		return Token{State: Free}
	case hasWords(seen, Nobody):
		return Token{Reason: fmt.Sprintf("it says “%s”, which is %s and something else. Leave one of the two.", value, Nobody)}
	case last != "" && !sameName(value, lastName) && hasWords(seen, last):
		return Token{Reason: fmt.Sprintf("it says “%s”, which is %s and something else. Leave one of the two.", value, lastName)}
	}
	return Token{State: Held, Holder: value}
}

// hasWords reports whether words stands in text with no letter or digit
// directly before or after it, case aside.
func hasWords(text, words string) bool {
	text, words = strings.ToLower(text), strings.ToLower(words)
	for from := 0; ; {
		i := strings.Index(text[from:], words)
		if i < 0 {
			return false
		}
		i += from
		before := lastRune(text[:i])
		after := firstRune(text[i+len(words):])
		if !isWordRune(before) && !isWordRune(after) {
			return true
		}
		from = i + 1
	}
}

func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return ' '
}

func lastRune(s string) rune {
	last := ' '
	for _, r := range s {
		last = r
	}
	return last
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// maxNameRunes bounds a name in the document; Slack's own bound is lower.
const maxNameRunes = 120

// CleanName returns name as it can stand on the holder line: on one line, its
// white space collapsed, without control, invisible direction-changing and
// private-use characters, and at most 120 characters long.
func CleanName(name string) string {
	return CleanLine(name, maxNameRunes)
}

// CleanLine returns text on one line of at most limit characters: white space
// collapsed; control, direction-changing and private-use characters dropped;
// what is cut off marked with an ellipsis.
func CleanLine(text string, limit int) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Co, r), isDirectional(r), r == '\uFEFF', r == '\u200B':
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); limit > 0 && len(runes) > limit {
		text = strings.TrimRight(string(runes[:limit-1]), " ") + "…"
	}
	return text
}

// Visible returns text, as CleanLine does without a limit, as people see it:
// without the characters that show nothing. Names are compared so, and not
// written: such characters join an emoji, or part letters in Persian.
func Visible(text string) string {
	seen := strings.Map(func(r rune) rune {
		if isInvisible(r) {
			return -1
		}
		return r
	}, CleanLine(text, 0))
	return strings.Join(strings.Fields(seen), " ")
}

// isInvisible reports whether r shows nothing where it isn't known what else it
// does: whether it is what Unicode calls default ignorable, or another
// character of format.
func isInvisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// isDirectional reports whether r changes the direction of the text around it
// without being seen.
func isDirectional(r rune) bool {
	return r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' || r == '\u200E' || r == '\u200F' || r == '\u061C'
}

// CheckName refuses a person's name that would be read as something else when
// it stood on the holder line: an empty one, or one with Nobody in it.
// Errors: ErrName.
func CheckName(name string) error {
	clean := CleanName(name)
	if Visible(clean) == "" {
		return &Fault{Kind: ErrName, Message: "Your name in Slack is empty. Set your full name in your Slack profile, then try again."}
	}
	if hasWords(Visible(clean), Nobody) {
		return &Fault{Kind: ErrName, Message: fmt.Sprintf("Your name in Slack contains the word %s, which in the document means that the token is free. Change your full name in your Slack profile, then try again.", Nobody)}
	}
	return nil
}

// A Status is what there is to say of the token at one moment.
type Status struct {
	// Token is by a reading of the document.
	Token Token
	// Holding is the ledger's record of the holding that the document speaks
	// of; nil where the token isn't held or the ledger doesn't know of it yet.
	Holding *Holding
	// PendingRows counts history entries that are still to be written.
	PendingRows int
	// Matters are what people have going that is not over.
	Matters Matters
	// Changing is whether a write of the bot is under way, or may still land.
	Changing bool
	// Link is the document's address.
	Link string
	// At is when the reading began.
	At time.Time
}
