package guard

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Same tells whether two names are the same: in full, but for case, for how
// Unicode composes their characters, and for the white space between words.
// Accents count: where "Ana Diaz" and "Ana Díaz" are two people, one of them
// mustn't deploy for the other.
func Same(a, b string) bool { return canonical(a) == canonical(b) }

func canonical(name string) string {
	return strings.Join(strings.Fields(norm.NFC.String(cases.Fold().String(norm.NFD.String(name)))), " ")
}

// alike tells whether two names that are not the same may yet be one person's:
// they have a word in common, accents aside.
func alike(a, b string) bool {
	words := map[string]bool{}
	for _, w := range bareWords(a) {
		words[w] = true
	}
	for _, w := range bareWords(b) {
		if words[w] {
			return true
		}
	}
	return false
}

// bareWords are the words of a name, without accents and case.
func bareWords(name string) []string {
	bare := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(canonical(name)))
	return strings.FieldsFunc(bare, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// printable is text that does nothing to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}
