package gdoc

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/rivo/uniseg"
	"google.golang.org/api/docs/v1"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A place is where the value stands: the UTF-16 indexes of its text in a tab.
type place struct {
	tab        string
	start, end int64
	// head is where the grapheme cluster ends that the value begins with. Text
	// put there takes the value's style, and is not moved.
	head int64
}

// object is the character that stands for an element.
const object = '\uFFFC'

// An atom is what can't be divided: a character, or an element such as a chip.
type atom struct {
	start, end int64 // UTF-16 indexes
	// char is the character; object for an element, '\v' for one that breaks the
	// line.
	char rune
	// text is how it reads.
	text string
	// opaque: an element that doesn't read as text, such as an image.
	opaque bool
	// suggested: it is pending to be inserted or deleted.
	suggested bool
}

// A line is what a reader takes for one: a paragraph, or the part of one
// between soft breaks. Its atoms include neither of these.
type line struct {
	atoms     []atom
	tab       *docs.Tab
	inTable   bool
	suggested bool // a suggestion is pending on a part of it, or on its end
	broken    bool // its indexes make no sense
}

// findValue finds the one value after the label: its text, white space
// collapsed, and its place; or says, for people, why there is no one value and
// what to do about it. The bodies of all tabs and tables count; headers,
// footers, footnotes and tables of contents don't.
func findValue(doc *docs.Document, label string) (value string, at place, problem string) {
	var found, near []line
	var values []int
	lines, tabs := documentLines(doc)
	for _, l := range lines {
		if from := l.afterLabel(label); from >= 0 {
			found, values = append(found, l), append(values, from)
		} else if strings.Index(squash(l.String()), squash(label)) > 0 {
			near = append(near, l)
		}
	}
	switch {
	case len(found) == 0 && len(near) > 0:
		return "", place{}, fmt.Sprintf("in the line %s something stands before “%s”. Make the line start with “%s”.", near[0].quote(tabs), label, label)
	case len(found) == 0:
		return "", place{}, fmt.Sprintf("no line starts with “%s”. Add one that says “%s %s”, or the holder's name in place of %s.", label, label, deploytoken.Nobody, deploytoken.Nobody)
	case len(found) > 1:
		return "", place{}, fmt.Sprintf("%d lines start with “%s”: %s and %s. Leave one of them.", len(found), label, found[0].quote(tabs), found[1].quote(tabs))
	}
	l := found[0]
	if l.suggested {
		return "", place{}, fmt.Sprintf("a suggestion is pending on the line %s. Accept or reject it.", l.quote(tabs))
	}
	if l.broken {
		return "", place{}, fmt.Sprintf("the line %s can't be located. Type it again.", l.quote(tabs))
	}
	first, last := l.trim(values[0])
	for _, a := range l.atoms[first:last] {
		if a.opaque {
			return "", place{}, fmt.Sprintf("in the line %s there is something other than text, such as an image. Leave only the holder's name, or %s.", l.quote(tabs), deploytoken.Nobody)
		}
	}
	value = strings.Join(strings.Fields(text(l.atoms[first:last])), " ")
	if deploytoken.Visible(value) == "" {
		return "", place{}, fmt.Sprintf("nothing stands after “%s”. Write the holder's name there, or %s.", label, deploytoken.Nobody)
	}
	head := l.clusterEnd(first)
	return value, place{
		tab:   tabID(l.tab),
		start: l.atoms[first].start,
		// A few characters take even a blank that follows into their cluster.
		end:  l.atoms[max(last, head)-1].end,
		head: l.atoms[head-1].end,
	}, ""
}

// afterLabel returns the index of the atom after the label that the line starts
// with, case and spacing aside, or -1 if it doesn't. An emoji may stand before
// the label, as decoration.
func (l line) afterLabel(label string) int {
	i := 0
	for i < len(l.atoms) && isDecoration(l.atoms[i].char) {
		i++
	}
	var last rune
	for _, want := range label {
		if isBlank(want) {
			continue
		}
		for i < len(l.atoms) && isBlank(l.atoms[i].char) {
			i++
		}
		if i == len(l.atoms) || !strings.EqualFold(string(l.atoms[i].char), string(want)) {
			return -1
		}
		i, last = i+1, want
	}
	if last == 0 {
		return -1
	}
	// A label without a colon is no part of a longer word.
	if isWord(last) && i < len(l.atoms) && isWord(l.atoms[i].char) {
		return -1
	}
	return i
}

// trim returns the part of the line from an atom on, as indexes of atoms,
// without the blanks around it.
func (l line) trim(from int) (first, last int) {
	first, last = from, len(l.atoms)
	for first < last && isBlank(l.atoms[first].char) {
		first++
	}
	for first < last && isBlank(l.atoms[last-1].char) {
		last--
	}
	return first, last
}

// clusterEnd returns the index of the atom after the grapheme cluster that the
// given one belongs to.
func (l line) clusterEnd(of int) int {
	var b strings.Builder
	for _, a := range l.atoms {
		b.WriteRune(a.char)
	}
	end, state := 0, -1
	for rest := b.String(); rest != "" && end <= of; {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		end += len([]rune(cluster))
	}
	return end
}

func (l line) String() string { return text(l.atoms) }

// quote names the line for people, with where it is if that needs saying.
func (l line) quote(tabs int) string {
	s := "“" + deploytoken.CleanLine(l.String(), 80) + "”"
	if l.inTable {
		s += " in a table"
	}
	if tabs > 1 && l.tab.TabProperties != nil {
		s += " in the tab “" + deploytoken.CleanLine(l.tab.TabProperties.Title, 40) + "”"
	}
	return s
}

func text(atoms []atom) string {
	var b strings.Builder
	for _, a := range atoms {
		b.WriteString(a.text)
	}
	return b.String()
}

// squash drops case and spacing.
func squash(s string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		if isBlank(r) {
			return -1
		}
		return r
	}, s))
}

// isBlank reports whether r takes space only, or can't be seen at all.
func isBlank(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200B' || r == '\uFEFF' || unicode.Is(unicode.Bidi_Control, r)
}

// isDecoration reports whether r is white space, a symbol or a part of an emoji.
func isDecoration(r rune) bool {
	return isBlank(r) || r != object && unicode.In(r, unicode.So, unicode.Sk) || r == '\u200D' || r == '\uFE0F'
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func tabID(t *docs.Tab) string {
	if t.TabProperties == nil {
		return ""
	}
	return t.TabProperties.TabId
}

// documentLines returns the lines of all tabs, and how many tabs there are.
func documentLines(doc *docs.Document) (lines []line, tabs int) {
	for t := range allTabs(doc.Tabs) {
		tabs++
		if t.DocumentTab != nil && t.DocumentTab.Body != nil {
			r := reader{tab: t}
			r.content(t.DocumentTab.Body.Content, false, false)
			lines = append(lines, r.lines...)
		}
	}
	return lines, tabs
}

// allTabs yields the tabs as a reader meets them: each before those in it.
func allTabs(tabs []*docs.Tab) func(yield func(*docs.Tab) bool) {
	return func(yield func(*docs.Tab) bool) { walkTabs(tabs, yield) }
}

func walkTabs(tabs []*docs.Tab, yield func(*docs.Tab) bool) bool {
	for _, t := range tabs {
		if t != nil && (!yield(t) || !walkTabs(t.ChildTabs, yield)) {
			return false
		}
	}
	return true
}

// A reader collects the lines of one tab.
type reader struct {
	tab   *docs.Tab
	lines []line
}

// content reads structural elements. A suggestion pending on a table or a part
// of it is one on the lines within.
func (r *reader) content(elements []*docs.StructuralElement, inTable, suggested bool) {
	for _, e := range elements {
		switch {
		case e == nil:
		case e.Paragraph != nil:
			r.paragraph(e.Paragraph, inTable, suggested)
		case e.Table != nil:
			suggested := suggested || pending(e.Table.SuggestedInsertionIds, e.Table.SuggestedDeletionIds)
			for _, row := range e.Table.TableRows {
				if row == nil {
					continue
				}
				suggested := suggested || pending(row.SuggestedInsertionIds, row.SuggestedDeletionIds)
				for _, cell := range row.TableCells {
					if cell != nil {
						r.content(cell.Content, true, suggested || pending(cell.SuggestedInsertionIds, cell.SuggestedDeletionIds))
					}
				}
			}
		}
	}
}

// paragraph reads the lines of a paragraph.
func (r *reader) paragraph(p *docs.Paragraph, inTable, suggested bool) {
	l := line{tab: r.tab, inTable: inTable, suggested: suggested}
	next := int64(-1)
	flush := func() {
		r.lines = append(r.lines, l)
		l = line{tab: r.tab, inTable: inTable, suggested: suggested}
	}
	for _, e := range p.Elements {
		if e == nil {
			continue
		}
		if next >= 0 && e.StartIndex != next || e.StartIndex < 0 || e.EndIndex <= e.StartIndex {
			l.broken = true
		}
		next = e.EndIndex
		for _, a := range atoms(e) {
			l.suggested = l.suggested || a.suggested
			if a.char == '\v' || a.char == '\n' {
				flush()
				continue
			}
			l.atoms = append(l.atoms, a)
		}
	}
	if len(l.atoms) > 0 {
		flush()
	}
}

// atoms divides an element of a paragraph.
func atoms(e *docs.ParagraphElement) []atom {
	a := atom{start: e.StartIndex, end: e.EndIndex, char: object}
	switch {
	case e.TextRun != nil:
		return textAtoms(e)
	case e.Person != nil:
		if p := e.Person.PersonProperties; p != nil {
			a.text = p.Name
			if strings.TrimSpace(a.text) == "" {
				a.text = p.Email
			}
		}
		a.suggested = pending(e.Person.SuggestedInsertionIds, e.Person.SuggestedDeletionIds)
	case e.RichLink != nil:
		if p := e.RichLink.RichLinkProperties; p != nil {
			a.text = p.Title
			if strings.TrimSpace(a.text) == "" {
				a.text = p.Uri
			}
		}
		a.suggested = pending(e.RichLink.SuggestedInsertionIds, e.RichLink.SuggestedDeletionIds)
	case e.DateElement != nil:
		if p := e.DateElement.DateElementProperties; p != nil {
			a.text = p.DisplayText
		}
		a.suggested = pending(e.DateElement.SuggestedInsertionIds, e.DateElement.SuggestedDeletionIds)
	case e.Dropdown != nil:
		if p := e.Dropdown.DropdownProperties; p != nil {
			a.text = p.DisplayValue
		}
		a.suggested = pending(e.Dropdown.SuggestedInsertionIds, e.Dropdown.SuggestedDeletionIds)
	case e.PageBreak != nil:
		a.char = '\v'
		a.suggested = pending(e.PageBreak.SuggestedInsertionIds, e.PageBreak.SuggestedDeletionIds)
	case e.ColumnBreak != nil:
		a.char = '\v'
		a.suggested = pending(e.ColumnBreak.SuggestedInsertionIds, e.ColumnBreak.SuggestedDeletionIds)
	case e.HorizontalRule != nil:
		a.char = '\v'
		a.suggested = pending(e.HorizontalRule.SuggestedInsertionIds, e.HorizontalRule.SuggestedDeletionIds)
	case e.InlineObjectElement != nil:
		a.opaque = true
		a.suggested = pending(e.InlineObjectElement.SuggestedInsertionIds, e.InlineObjectElement.SuggestedDeletionIds)
	case e.FootnoteReference != nil:
		a.opaque = true
		a.suggested = pending(e.FootnoteReference.SuggestedInsertionIds, e.FootnoteReference.SuggestedDeletionIds)
	case e.Equation != nil:
		a.opaque = true
		a.suggested = pending(e.Equation.SuggestedInsertionIds, e.Equation.SuggestedDeletionIds)
	case e.AutoText != nil:
		a.opaque = true
		a.suggested = pending(e.AutoText.SuggestedInsertionIds, e.AutoText.SuggestedDeletionIds)
	default:
		a.opaque = true
	}
	return []atom{a}
}

// textAtoms divides a run of text into its characters. Where its length
// contradicts its indexes, it can't be divided.
func textAtoms(e *docs.ParagraphElement) []atom {
	content := e.TextRun.Content
	suggested := pending(e.TextRun.SuggestedInsertionIds, e.TextRun.SuggestedDeletionIds)
	if utf16Len(content) != e.EndIndex-e.StartIndex {
		return []atom{{start: e.StartIndex, end: e.EndIndex, char: object, text: content, opaque: true, suggested: suggested}}
	}
	out := make([]atom, 0, len(content))
	at := e.StartIndex
	for _, char := range content {
		end := at + utf16Len(string(char))
		out = append(out, atom{start: at, end: end, char: char, text: string(char), suggested: suggested})
		at = end
	}
	return out
}

func pending(insertions, deletions []string) bool { return len(insertions)+len(deletions) > 0 }

// utf16Len is the length of s in UTF-16 code units, as Google counts.
func utf16Len(s string) (n int64) {
	for _, r := range s {
		n += int64(max(1, utf16.RuneLen(r)))
	}
	return n
}
