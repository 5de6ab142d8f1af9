package google

import (
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/rivo/uniseg"
)

// An editor changes a content in place, keeping named ranges where their text is and noting each splice.
type editor struct{ *content }

// insert puts units at an index. A named range grows where it is inside of it, and moves where it is at
// its start.
func (e editor) insert(t *tab, at int, units []unit) {
	if len(units) == 0 {
		return
	}
	n := len(units)
	for i := range t.ranges {
		for j := range t.ranges[i].spans {
			s := &t.ranges[i].spans[j]
			if at <= s.start {
				s.start += n
			}
			if at < s.end {
				s.end += n
			}
		}
	}
	t.units = slices.Insert(t.units, at, units...)
	e.splices = append(e.splices, splice{t.id, at, 0, n})
}

// remove deletes the units from start up to end. A named range that loses all its text is gone.
func (e editor) remove(t *tab, start, end int) {
	if start == end {
		return
	}
	moved := func(i int) int { return i - max(0, min(i, end)-start) }
	for i := range t.ranges {
		spans := t.ranges[i].spans
		for j := range spans {
			spans[j] = span{moved(spans[j].start), moved(spans[j].end)}
		}
		t.ranges[i].spans = slices.DeleteFunc(spans, func(s span) bool { return s.start == s.end })
	}
	t.ranges = slices.DeleteFunc(t.ranges, func(r namedRange) bool { return len(r.spans) == 0 })
	t.units = slices.Delete(t.units, start, end)
	e.splices = append(e.splices, splice{t.id, start, end - start, 0})
}

// checkInsert says why text can't be put at an index: it isn't in a paragraph.
func (t *tab) checkInsert(at int) *apiError {
	switch {
	case at >= len(t.units):
		return invalid("Index %d must be less than the end index of the referenced segment, %d.", at, len(t.units))
	case at < 1 || !t.units[at].inline():
		return invalid("The insertion index must be inside the bounds of an existing paragraph. You can still create new paragraphs by inserting newlines.")
	}
	return nil
}

// checkRange says why indexes are no range of the tab.
func (t *tab) checkRange(start, end int) *apiError {
	switch {
	case start >= len(t.units):
		return invalid("Index %d must be less than the end index of the referenced segment, %d.", start, len(t.units))
	case end > len(t.units):
		return invalid("Index %d must be less than the end index of the referenced segment, %d.", end-1, len(t.units))
	case start >= end:
		return invalid("The range should not be empty.")
	}
	return nil
}

// checkDelete says why a range can't be deleted: it would leave an invalid structure.
func (t *tab) checkDelete(start, end int) *apiError {
	if err := t.checkRange(start, end); err != nil {
		return err
	}
	if start < 1 {
		return invalid("Cannot delete the requested range: it includes the start of the segment.")
	}
	if t.splitsSurrogates(start) || t.splitsSurrogates(end) {
		return invalid("The range cannot include one code unit of a surrogate pair.")
	}
	depth := 0
	for i := start; i < end; i++ {
		switch u := t.units[i]; u.kind {
		case tableStart, tocStart:
			depth++
		case tableEnd, tocEnd:
			depth--
		case rowStart, cellStart:
			if depth == 0 {
				return invalid("Cannot delete the requested range: it includes part of a table.")
			}
		default:
			if depth > 0 || !u.newline() {
				continue
			}
			if i+1 == len(t.units) || t.units[i+1].ends() {
				return invalid("The range cannot include the newline character at the end of the segment.")
			}
			if i+1 == end && !t.units[end].inline() {
				return invalid("Cannot delete the requested range: a newline character before a structural element can be deleted only with the element.")
			}
		}
		if depth < 0 {
			return invalid("Cannot delete the requested range: it includes part of a structural element.")
		}
	}
	if depth != 0 {
		return invalid("Cannot delete the requested range: it includes part of a structural element.")
	}
	return nil
}

func (t *tab) splitsSurrogates(at int) bool {
	return at > 0 && at < len(t.units) && t.units[at-1].kind == textUnit && t.units[at].kind == textUnit &&
		utf16.IsSurrogate(rune(t.units[at-1].code)) &&
		utf16.DecodeRune(rune(t.units[at-1].code), rune(t.units[at].code)) != '�'
}

// paragraph is the part of the tab around an index that no newline or structure interrupts, the newline
// that ends it included.
func (t *tab) paragraph(at int) (start, end int) {
	for start = at; start > 0 && t.units[start-1].inline() && !t.units[start-1].newline(); start-- {
	}
	for end = at; end < len(t.units) && t.units[end].inline(); {
		end++
		if t.units[end-1].newline() {
			break
		}
	}
	return start, end
}

// afterCluster is where text goes that is inserted at an index: the index itself or, inside a grapheme
// cluster, the cluster's end. ("The text is inserted immediately after the grapheme cluster": the
// guide's "Structural edit rules and behavior".)
func (t *tab) afterCluster(at int) int {
	start, end := t.paragraph(at)
	text := make([]uint16, 0, end-start)
	for _, u := range t.units[start:end] {
		if u.kind == elementUnit {
			text = append(text, '￼')
			continue
		}
		text = append(text, u.code)
	}
	rest, state, pos := string(utf16.Decode(text)), -1, start
	for rest != "" && pos < at {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		pos += utf16Len(cluster)
	}
	return max(pos, at)
}

// styleAt is the style that text inserted at an index takes: that of the text before it or, at the start
// of a paragraph, after it. A link goes on only between two parts of itself.
func (t *tab) styleAt(at int) Style {
	next := t.units[at]
	if !t.units[at-1].inline() || t.units[at-1].newline() {
		style := next.style
		style.Link = ""
		return style
	}
	style := t.units[at-1].style
	if style.Link != "" && style.Link != next.style.Link {
		style.Link, style.Underline, style.Color = "", false, ""
	}
	return style
}

// insertText puts text at an index as Google does, and returns where it came to stand.
func (e editor) insertText(t *tab, at int, text string) (span, *apiError) {
	if err := t.checkInsert(at); err != nil {
		return span{}, err
	}
	text = strip(text)
	at = t.afterCluster(at)
	_, end := t.paragraph(at)
	units := textUnits(text, t.styleAt(at), t.units[end-1].heading)
	e.insert(t, at, units)
	return span{at, at + len(units)}, nil
}

// deleteRange deletes a range as Google does.
func (e editor) deleteRange(t *tab, start, end int) *apiError {
	if err := t.checkDelete(start, end); err != nil {
		return err
	}
	e.remove(t, start, end)
	return nil
}

// strip drops what Google strips out of inserted text: some control characters and the private use area
// of the basic plane.
func strip(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r <= 0x08, r >= 0x0C && r <= 0x1F, r >= 0xE000 && r <= 0xF8FF:
			return -1
		}
		return r
	}, text)
}

// utf16Len is the length of text in UTF-16 code units.
func utf16Len(text string) int {
	n := 0
	for _, r := range text {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

// carry moves an index over splices that others made since it was known. Where text was inserted at the
// index itself, the index comes after it.
func carry(splices []splice, tab string, at int) int {
	for _, s := range splices {
		if s.tab != tab || at < s.at {
			continue
		}
		at = max(at-s.removed, s.at) + s.inserted
	}
	return at
}

// survives moves the index of a unit over splices, and says whether the unit is still there.
func survives(splices []splice, tab string, at int) (int, bool) {
	for _, s := range splices {
		switch {
		case s.tab != tab || at < s.at:
		case at < s.at+s.removed:
			return 0, false
		default:
			at += s.inserted - s.removed
		}
	}
	return at, true
}
