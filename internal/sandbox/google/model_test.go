package google

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// contentOf makes a content of one tab with these lines.
func contentOf(t *testing.T, blocks ...Block) *content {
	t.Helper()
	c, err := DocumentSpec{Tabs: []TabSpec{{Blocks: blocks}}}.build()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestIndexes compares with the indexes that Google gives to the same structures.
func TestIndexes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		blocks []Block
		want   string
	}{
		{"empty", nil, "section 0-1, paragraph 1-2 [1-2 \"\\n\"]"},
		{"line", Lines("ab"), "section 0-1, paragraph 1-4 [1-4 \"ab\\n\"]"},
		{"emoji takes two", Lines("👩a"), "section 0-1, paragraph 1-5 [1-5 \"👩a\\n\"]"},
		{"runs of a style", []Block{Paragraph(Bold("a"), Text("b"), Bold("c"))}, `section 0-1, paragraph 1-5 [1-2 "a", 2-3 "b", 3-4 "c", 4-5 "\n"]`},
		{"a chip takes one", []Block{Paragraph(Text("a"), Chip(Person{Name: "Ann Lee"}), Text("b"))}, `section 0-1, paragraph 1-5 [1-2 "a", 2-3 Ann Lee, 3-5 "b\n"]`},
		{"soft break", Lines("a\vb"), `section 0-1, paragraph 1-5 [1-5 "a\vb\n"]`},
		{"two by two", []Block{Paragraph(Text("x")), Table([]string{"a", "b"}, []string{"", "d"}), Paragraph(Text("y"))},
			`section 0-1, paragraph 1-3 [1-3 "x\n"], table 3-18 {` +
				`row 4-11: cell 5-8 (paragraph 6-8 [6-8 "a\n"]) cell 8-11 (paragraph 9-11 [9-11 "b\n"]); ` +
				`row 11-17: cell 12-14 (paragraph 13-14 [13-14 "\n"]) cell 14-17 (paragraph 15-17 [15-17 "d\n"])}, ` +
				`paragraph 18-20 [18-20 "y\n"]`},
		{"contents", []Block{{TableOfContents: Lines("a")}, Paragraph(Text("y"))},
			`section 0-1, paragraph 1-2 [1-2 "\n"], contents 2-6 (paragraph 3-5 [3-5 "a\n"]), paragraph 6-8 [6-8 "y\n"]`},
		{"second section", []Block{Paragraph(Text("a")), {SectionBreak: true}, Paragraph(Text("b"))},
			`section 0-1, paragraph 1-3 [1-3 "a\n"], section 3-4, paragraph 4-6 [4-6 "b\n"]`},
		{"suggestions divide runs", []Block{Paragraph(Text("a"), Inline{Text: "b", Inserted: "s"}, Inline{Text: "c", Deleted: "s"})},
			`section 0-1, paragraph 1-5 [1-2 "a", 2-3 "b" +s, 3-4 "c" -s, 4-5 "\n"]`},
	} {
		c := contentOf(t, tt.blocks...)
		got := describe(renderTab(c.tabs[0]).Body.Content)
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestInsertionsAndDeletions(t *testing.T) {
	family := "👩‍👩‍👧"
	for _, tt := range []struct {
		name       string
		blocks     []Block
		at, end    int    // end > 0: a deletion
		text, want string // want starting with "!" is part of the error
	}{
		{"at the start", Lines("ab"), 1, 0, "x", "xab\n"},
		{"before the final newline", Lines("ab"), 3, 0, "x", "abx\n"},
		{"a newline makes a paragraph", Lines("ab"), 2, 0, "\n", "a\nb\n"},
		{"a soft break stays", Lines("ab"), 2, 0, "\v", "a\nb\n"},
		{"controls and private use are stripped", Lines("ab"), 2, 0, "\x00\x08\x0c\r\x1f\ue000\uf8ffx\ty", "ax\tyb\n"},
		{"after the segment", Lines("ab"), 4, 0, "x", "!must be less than the end index of the referenced segment, 4"},
		{"at 0", Lines("ab"), 0, 0, "x", "!inside the bounds of an existing paragraph"},
		{"at a table", []Block{Paragraph(Text("a")), Table([]string{"b"})}, 3, 0, "x", "!inside the bounds of an existing paragraph"},
		{"in a cell", []Block{Paragraph(Text("a")), Table([]string{"b"})}, 6, 0, "x", "a\nxb\n\n"},
		{"inside a surrogate pair", Lines("👩b"), 2, 0, "x", "👩xb\n"},
		{"inside an emoji sequence", Lines(family + "b"), 3, 0, "x", family + "xb\n"},
		{"before a combining mark", Lines("e\u0301b"), 2, 0, "x", "e\u0301xb\n"},
		{"between clusters", Lines(family + "b"), 9, 0, "x", family + "xb\n"},

		{"some text", Lines("abc"), 2, 3, "", "ac\n"},
		{"nothing", Lines("abc"), 2, 2, "", "!should not be empty"},
		{"a line's end", Lines("a", "b"), 2, 3, "", "ab\n"},
		{"the final newline", Lines("ab"), 2, 4, "", "!cannot include the newline character at the end of the segment"},
		{"past the end", Lines("ab"), 2, 9, "", "!must be less than the end index of the referenced segment, 4"},
		{"the section break", Lines("ab"), 0, 2, "", "!the start of the segment"},
		{"half a surrogate pair", Lines("👩"), 2, 3, "", "!surrogate pair"},
		{"the other half", Lines("👩"), 1, 2, "", "!surrogate pair"},
		{"a whole pair", Lines("a👩"), 2, 4, "", "a\n"},
		{"a chip", []Block{Paragraph(Text("a"), Chip(Person{Name: "Ann"}))}, 2, 3, "", "a\n"},
		{"a cell's last newline", []Block{Table([]string{"ab"})}, 6, 8, "", "!end of the segment"},
		{"over a cell's end", []Block{Table([]string{"a", "b"})}, 5, 9, "", "!end of the segment"},
		{"a row", []Block{Table([]string{"a"}, []string{"b"})}, 3, 5, "", "!part of a table"},
		{"the start of a table", []Block{Paragraph(Text("a")), Table([]string{"b"})}, 2, 6, "", "!part of a structural element"},
		{"the newline before a table", []Block{Paragraph(Text("a")), Table([]string{"b"})}, 2, 3, "", "!only with the element"},
		{"a whole table", []Block{Paragraph(Text("a")), Table([]string{"b"}), Paragraph(Text("c"))}, 3, 9, "", "a\nc\n"},
		{"a table with the newline before it", []Block{Paragraph(Text("a")), Table([]string{"b"}), Paragraph(Text("c"))}, 2, 9, "", "ac\n"},
		{"text in a cell", []Block{Table([]string{"ab"})}, 5, 6, "", "\nb\n\n"},
	} {
		c := contentOf(t, tt.blocks...).clone()
		var failed *apiError
		if tt.end > 0 {
			failed = editor{c}.deleteRange(c.tabs[0], tt.at, tt.end)
		} else {
			_, failed = editor{c}.insertText(c.tabs[0], tt.at, tt.text)
		}
		got := c.text()
		if failed != nil {
			got = "!" + failed.message
		}
		if wrong, refused := strings.CutPrefix(tt.want, "!"); refused && !strings.Contains(got, wrong) || !refused && got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		checkStructure(t, tt.name, c)
	}
}

// checkStructure renders every tab, which goes wrong where the units don't nest.
func checkStructure(t *testing.T, name string, c *content) {
	t.Helper()
	for _, tab := range c.all() {
		body := renderTab(tab).Body.Content
		if last := body[len(body)-1]; int(last.EndIndex) != len(tab.units) || last.Paragraph == nil {
			t.Errorf("%s: the body ends at %d of %d: %s", name, last.EndIndex, len(tab.units), describe(body))
		}
	}
}

func TestNamedRangesMoveWithTheirText(t *testing.T) {
	for _, tt := range []struct {
		name    string
		at, end int // end > 0: a deletion; else an insertion of xx
		want    string
	}{
		{"text before it", 1, 0, "6-10 cdef"},
		{"text at its start", 4, 0, "6-10 cdef"},
		{"text in it", 5, 0, "4-10 cxxdef"},
		{"text at its end", 8, 0, "4-8 cdef"},
		{"text after it", 9, 0, "4-8 cdef"},
		{"deleted before it", 1, 3, "2-6 cdef"},
		{"deleted up to it", 1, 4, "1-5 cdef"},
		{"deleted over its start", 3, 5, "3-6 def"},
		{"deleted in it", 5, 6, "4-7 cef"},
		{"deleted over its end", 7, 9, "4-7 cde"},
		{"deleted after it", 8, 9, "4-8 cdef"},
		{"all of it deleted", 4, 8, ""},
		{"deleted with what is around it", 3, 9, ""},
	} {
		c := contentOf(t, Lines("ab cdef gh")...).clone()
		tab := c.tabs[0]
		tab.ranges = []namedRange{{"id", "n", []span{{4, 8}}}}
		if tt.end > 0 {
			editor{c}.remove(tab, tt.at, tt.end)
		} else {
			editor{c}.insert(tab, tt.at, textUnits("xx", Style{}, ""))
		}
		got := ""
		for _, r := range c.namedRanges() {
			got = fmt.Sprintf("%d-%d %s", r.Start, r.End, r.Text)
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestInsertedTextTakesTheStyleBeforeIt(t *testing.T) {
	link := Style{Link: "https://example.com", Underline: true, Color: "#1155cc"}
	for _, tt := range []struct {
		name string
		at   int
		want Style
	}{
		{"at the start, after nothing", 1, Style{Bold: true}},
		{"in the label", 2, Style{Bold: true}},
		{"at the label's end", 3, Style{Bold: true}},
		{"in the value", 4, Style{Italic: true}},
		{"in a link", 6, link},
		{"at the end of a link", 8, Style{}},
	} {
		c := contentOf(t, Paragraph(Bold("ab"), Inline{Text: "cd", Style: Style{Italic: true}}, Inline{Text: "efg", Style: link})).clone()
		where, failed := editor{c}.insertText(c.tabs[0], tt.at, "x")
		if failed != nil {
			t.Errorf("%s: %v", tt.name, failed)
			continue
		}
		if got := c.tabs[0].units[where.start].style; got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func FuzzEdits(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, "x\ny")
	f.Add([]byte{200, 3, 17, 90, 4, 41}, "👩‍👩‍👧")
	f.Fuzz(func(t *testing.T, steps []byte, text string) {
		c := contentOf(t, Paragraph(Bold("Held by:"), Text(" Nobody 👩‍👩‍👧")), Table([]string{"a", "b"}, []string{"c", ""}),
			Block{TableOfContents: Lines("x")}, Paragraph(Chip(Person{Name: "Ann"}), Text("é"))).clone()
		tab := c.tabs[0]
		tab.ranges = []namedRange{{"id", "n", []span{{10, 16}}}}
		for i := 0; i+2 < len(steps) && i < 60; i += 3 {
			at := int(steps[i+1]) % (len(tab.units) + 2)
			if steps[i]%2 == 0 {
				editor{c}.insertText(tab, at, text)
			} else {
				editor{c}.deleteRange(tab, at, at+int(steps[i+2])%8)
			}
			checkStructure(t, fmt.Sprint(steps[:i+3]), c)
			for _, r := range tab.ranges {
				for _, s := range r.spans {
					if s.start < 1 || s.end <= s.start || s.end > len(tab.units) {
						t.Fatalf("the named range is at %+v of %d", s, len(tab.units))
					}
				}
			}
			var codes []uint16
			for _, u := range tab.units {
				if u.kind == textUnit {
					codes = append(codes, u.code)
				} else {
					codes = append(codes, ' ')
				}
			}
			if strings.ContainsRune(string(utf16Decode(codes)), '�') && !strings.ContainsRune(text, '�') && strings.ToValidUTF8(text, "") == text {
				t.Fatalf("half a surrogate pair is left")
			}
		}
	})
}

func TestTableDetection(t *testing.T) {
	// The example of the guide: a table in A1:C2 and one in B4:D6.
	s := &sheet{title: "Sheet1", rows: 1000, columns: 26}
	for r, row := range []string{"abc", "abc", "", " bcd", " bcd", " bcd"} {
		for c, v := range row {
			if v != ' ' {
				s.cell(r, c).set(cell{kind: textCell, text: string(v)})
			}
		}
	}
	b := &book{sheets: []*sheet{s}}
	for _, tt := range []struct{ in, table string }{
		{"Sheet1", "Sheet1!B4:D6"},
		{"B4", "Sheet1!B4:D6"},
		{"C5:D5", "Sheet1!B4:D6"},
		{"B2:D4", "Sheet1!B4:D6"},
		{"A3:G10", "Sheet1!B4:D6"},
		{"A1", "Sheet1!A1:C2"},
		{"E4", ""},
		{"A4", ""},
	} {
		g, failed := b.parseRange(tt.in)
		if failed != nil {
			t.Errorf("%s: %v", tt.in, failed)
			continue
		}
		got := ""
		if table, ok := g.tableIn(); ok {
			got = table.String()
		}
		if got != tt.table {
			t.Errorf("%s: found %q, want %q", tt.in, got, tt.table)
		}
	}
}

func TestParseRange(t *testing.T) {
	b := &book{sheets: []*sheet{
		{title: "First", rows: 10, columns: 5},
		{title: "It's 2026", rows: 100, columns: 26},
		{title: "A1", rows: 3, columns: 3},
	}}
	for _, tt := range []struct{ in, want string }{
		{"First", "First!A1:E10"},
		{"'First'", "First!A1:E10"},
		{"First!A1", "First!A1"},
		{"B2:A1", "First!A1:B2"},
		{"A:B", "First!A1:B10"},
		{"2:3", "First!A2:E3"},
		{"B3:B", "First!B3:B10"},
		{"$A$1:$B$2", "First!A1:B2"},
		{"'It''s 2026'!A1", "'It''s 2026'!A1"},
		{"'It''s 2026'!AA1", "'It''s 2026'!AA1"},
		{"A1", "'A1'!A1:C3"},
		{"'A1'!B2", "'A1'!B2"},
		{"Second!A1", ""},
		{"Second", ""},
		{"First!", ""},
		{"!A1", "First!A1"},
		{"First!A0", ""},
		{"First!1A", ""},
		{"First!A1:", ""},
		{"", ""},
		{"First!A1:B2:C3", ""},
	} {
		g, failed := b.parseRange(tt.in)
		got := ""
		if failed == nil {
			got = g.String()
		} else if failed.message != "Unable to parse range: "+tt.in {
			t.Errorf("%q: %v", tt.in, failed)
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"A1", "'a b'!A:B", "Sheet1!1:3", "ZZZ9999999", "'''!", "A1:B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := &book{sheets: []*sheet{{title: "Sheet1", rows: 10, columns: 5}}}
		g, failed := b.parseRange(s)
		if failed != nil {
			return
		}
		if g.row < 0 || g.column < 0 || g.endRow <= g.row || g.endColumn <= g.column {
			t.Errorf("%q: %+v", s, g)
		}
		again, failed := b.parseRange(g.String())
		if failed != nil || again != g {
			t.Errorf("%q: %s became %s, %v", s, g, again, failed)
		}
	})
}

func TestTypedValues(t *testing.T) {
	for _, tt := range []struct {
		in     any
		kind   cellKind
		shown  string
		format string
	}{
		{"text", textCell, "text", ""},
		{"", emptyCell, "", ""},
		{nil, emptyCell, "", ""},
		{"'=1", textCell, "=1", ""},
		{"=1+1", formulaCell, "Loading...", ""},
		{"+A1", formulaCell, "Loading...", ""},
		{"+5", numberCell, "5", ""},
		{"12.5", numberCell, "12.5", ""},
		{"12.5%", numberCell, "12.50%", "PERCENT"},
		{"true", boolCell, "TRUE", ""},
		{true, boolCell, "TRUE", ""},
		{3.0, numberCell, "3", ""},
		{"2026-11-23", numberCell, "2026-11-23", "DATE"},
		{"2026-11-23 09:05", numberCell, "2026-11-23 09:05", "DATE_TIME"},
		{"11/3/2026", numberCell, "11/3/2026", "DATE"},
		{"Inf", textCell, "Inf", ""},
		{"-", textCell, "-", ""},
	} {
		c, ok := typed(tt.in)
		if !ok || c.kind != tt.kind || c.shown() != tt.shown || c.format.kind != tt.format {
			t.Errorf("%v: kind %d, shows %q, format %q", tt.in, c.kind, c.shown(), c.format.kind)
		}
	}
	if _, ok := typed([]any{}); ok {
		t.Error("a list was taken for a value")
	}
}

func TestSerialDates(t *testing.T) {
	at := time.Date(2026, 11, 23, 18, 30, 5, 0, time.UTC)
	days := serial(at)
	if math.Floor(days) != 46349 || !wallClock(days).Equal(at) {
		t.Errorf("%v is %v, and back %v", at, days, wallClock(days))
	}
	for _, tt := range []struct{ pattern, want string }{
		{"yyyy-mm-dd hh:mm:ss", "2026-11-23 18:30:05"},
		{"m/d/yy h:mm am/pm", "11/23/26 6:30 PM"},
		{"dddd, d mmmm yyyy", "Monday, 23 November 2026"},
		{"mm:ss", "30:05"},
		{`"at" hh\h`, "at 18h"},
		{"", "11/23/2026 18:30:05"},
	} {
		if got := (numberFormat{"DATE_TIME", tt.pattern}).show(days); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

func TestCutLabel(t *testing.T) {
	for _, tt := range []struct {
		line, value string
		ok          bool
	}{
		{"Held by: Ann", " Ann", true},
		{"  held   BY:Ann", "Ann", true},
		{"Held by:", "", true},
		{"Held by Ann", "", false},
		{"Not Held by: Ann", "", false},
	} {
		value, ok := cutLabel(tt.line, "Held by:")
		if ok != tt.ok || ok && value != tt.value {
			t.Errorf("%q: %q %v", tt.line, value, ok)
		}
	}
}

func TestColumnNames(t *testing.T) {
	var got []string
	for _, n := range []int{0, 25, 26, 51, 52, 701, 702} {
		got = append(got, columnName(n))
	}
	if want := []string{"A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
