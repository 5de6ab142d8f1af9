package google

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// DocumentSpec describes a document to make. Every part has a JSON form, for the control interface.
type DocumentSpec struct {
	ID    string    `json:"id,omitempty"` // made up where empty
	Title string    `json:"title,omitempty"`
	Tabs  []TabSpec `json:"tabs,omitempty"` // at least one comes to be
	// Roles says what each account may do, by its address. Nil lets every account edit.
	Roles map[string]Role `json:"roles,omitempty"`
	// Office makes it a file of Word's that Drive merely stores: the Docs API refuses it.
	Office bool `json:"office,omitempty"`
}

// TabSpec describes a tab. The first tab's ID is t.0 where none is given.
type TabSpec struct {
	ID     string    `json:"id,omitempty"`
	Title  string    `json:"title,omitempty"`
	Blocks []Block   `json:"blocks,omitempty"`
	Tabs   []TabSpec `json:"tabs,omitempty"` // nested in this one
}

// Block is one structural element: a paragraph, unless Table, TableOfContents or SectionBreak is set.
type Block struct {
	// Paragraph is what stands in it, without the newline that ends it.
	Paragraph []Inline `json:"paragraph,omitempty"`
	// Heading is the paragraph's named style, such as HEADING_1; NORMAL_TEXT where empty.
	Heading string `json:"heading,omitempty"`
	// Table has rows of cells of blocks.
	Table [][][]Block `json:"table,omitempty"`
	// TableOfContents has the lines of a table of contents.
	TableOfContents []Block `json:"table_of_contents,omitempty"`
	SectionBreak    bool    `json:"section_break,omitempty"`
}

// Inline is a part of a paragraph: text, unless one of the elements is set.
type Inline struct {
	// Text may hold soft breaks (U+000B); each newline in it ends a paragraph.
	Text  string `json:"text,omitempty"`
	Style Style  `json:"style,omitzero"`

	Person *Person   `json:"person,omitempty"` // a person chip; shows its name, else its address
	Link   *RichLink `json:"link,omitempty"`   // a smart chip of a file or page
	Date   string    `json:"date,omitempty"`   // a date chip that displays this text
	Image  bool      `json:"image,omitempty"`  // an inline object

	// Inserted and Deleted are IDs of the suggestion that would insert or delete it.
	Inserted string `json:"inserted,omitempty"`
	Deleted  string `json:"deleted,omitempty"`
}

// RichLink is a chip that links to a file or page.
type RichLink struct {
	Title string `json:"title"`
	URI   string `json:"uri"`
}

// Style is the style of text as far as it is modelled; the zero value inherits everything.
type Style struct {
	Bold          bool    `json:"bold,omitempty"`
	Italic        bool    `json:"italic,omitempty"`
	Underline     bool    `json:"underline,omitempty"`
	Strikethrough bool    `json:"strikethrough,omitempty"`
	SmallCaps     bool    `json:"small_caps,omitempty"`
	Link          string  `json:"link,omitempty"`       // a URL
	Color         string  `json:"color,omitempty"`      // #rrggbb
	Background    string  `json:"background,omitempty"` // #rrggbb
	Font          string  `json:"font,omitempty"`
	Size          float64 `json:"size,omitempty"`   // in points
	Offset        string  `json:"offset,omitempty"` // SUPERSCRIPT or SUBSCRIPT
}

// Paragraph makes a paragraph of parts.
func Paragraph(parts ...Inline) Block { return Block{Paragraph: parts} }

// Lines makes a plain paragraph of each line.
func Lines(lines ...string) []Block {
	blocks := make([]Block, len(lines))
	for i, line := range lines {
		blocks[i] = Paragraph(Text(line))
	}
	return blocks
}

// Table makes a table whose cells hold one plain paragraph each.
func Table(rows ...[]string) Block {
	var b Block
	for _, row := range rows {
		var cells [][]Block
		for _, cell := range row {
			cells = append(cells, Lines(cell))
		}
		b.Table = append(b.Table, cells)
	}
	return b
}

// Text is plain text.
func Text(text string) Inline { return Inline{Text: text} }

// Bold is bold text.
func Bold(text string) Inline { return Inline{Text: text, Style: Style{Bold: true}} }

// Chip is a person chip.
func Chip(p Person) Inline { return Inline{Person: &p} }

// Tab is a tab with blocks.
func Tab(title string, blocks ...Block) TabSpec { return TabSpec{Title: title, Blocks: blocks} }

// A unit is what takes up one index of a tab: a UTF-16 code unit of text, an element such as a chip, or
// a mark of structure. With one unit for each index, Google's indexes are positions in a slice.
type unit struct {
	kind    unitKind
	code    uint16   // of text
	style   Style    // of text and elements
	heading string   // of a newline: the style of the paragraph that it ends
	element *element // of an element
	ins     string   // the suggestion that would insert it
	del     string   // the suggestion that would delete it
}

type unitKind uint8

const (
	textUnit unitKind = iota
	elementUnit
	sectionUnit
	tableStart
	rowStart
	cellStart
	tableEnd
	tocStart
	tocEnd
)

func (u unit) newline() bool { return u.kind == textUnit && u.code == '\n' }

// inline says whether the unit belongs to a paragraph.
func (u unit) inline() bool { return u.kind == textUnit || u.kind == elementUnit }

// ends says whether the unit closes what a cell, a table of contents or the body holds.
func (u unit) ends() bool {
	return u.kind == rowStart || u.kind == cellStart || u.kind == tableEnd || u.kind == tocEnd
}

// An element is an immutable inline of width 1.
type element struct {
	id     string
	person *Person
	link   *RichLink
	date   string
	image  bool
}

// shown is the text that a reader sees for it.
func (e *element) shown() string {
	switch {
	case e.person != nil && e.person.Name != "":
		return e.person.Name
	case e.person != nil:
		return e.person.Email
	case e.link != nil:
		return e.link.Title
	}
	return e.date
}

// content is what a document says at one revision. A committed content never changes.
type content struct {
	tabs []*tab
	// splices are how this content's texts came from those of the revision before.
	splices []splice
}

type tab struct {
	id, title string
	units     []unit
	ranges    []namedRange // in order of creation
	children  []*tab
}

// A namedRange is a name on pieces of a tab's text.
type namedRange struct {
	id, name string
	spans    []span
}

// A span is the indexes from start up to, not including, end.
type span struct{ start, end int }

// A splice says that at index at of a tab, so many units were removed and so many inserted.
type splice struct {
	tab                   string
	at, removed, inserted int
}

// clone copies all that an edit may change, with no splices.
func (c *content) clone() *content {
	return &content{tabs: cloneTabs(c.tabs)}
}

func cloneTabs(tabs []*tab) []*tab {
	out := make([]*tab, len(tabs))
	for i, t := range tabs {
		n := &tab{id: t.id, title: t.title, units: slices.Clone(t.units), children: cloneTabs(t.children)}
		for _, r := range t.ranges {
			r.spans = slices.Clone(r.spans)
			n.ranges = append(n.ranges, r)
		}
		out[i] = n
	}
	return out
}

// all lists the tabs as a reader meets them: each before those nested in it.
func (c *content) all() []*tab {
	var out []*tab
	var walk func([]*tab)
	walk = func(tabs []*tab) {
		for _, t := range tabs {
			out = append(out, t)
			walk(t.children)
		}
	}
	walk(c.tabs)
	return out
}

// tab finds a tab by its ID; "" is the first.
func (c *content) tab(id string) *tab {
	if id == "" {
		return c.tabs[0]
	}
	for _, t := range c.all() {
		if t.id == id {
			return t
		}
	}
	return nil
}

// A line is what a reader takes for one line: a paragraph or, where soft breaks divide it, a part of one.
type line struct {
	tab        *tab
	start, end int    // of the text, without what ends it
	text       string // elements as they are shown
}

// lines lists the lines of a tab, those in tables and tables of contents included.
func (t *tab) lines() []line {
	var out []line
	start := -1
	for i, u := range t.units {
		if !u.inline() {
			continue
		}
		if start < 0 {
			start = i
		}
		if u.newline() || u.kind == textUnit && u.code == '\v' {
			out = append(out, line{t, start, i, shown(t.units[start:i])})
			start = -1
		}
	}
	return out
}

// lines lists the lines of all tabs.
func (c *content) lines() []line {
	var out []line
	for _, t := range c.all() {
		out = append(out, t.lines()...)
	}
	return out
}

// text is the document as a reader sees it, a line each, tabs one after the other.
func (c *content) text() string {
	var b strings.Builder
	for _, l := range c.lines() {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.String()
}

// shown is the text of units of one paragraph, elements as they are shown.
func shown(units []unit) string {
	var b strings.Builder
	var codes []uint16
	flush := func() {
		b.WriteString(string(utf16.Decode(codes)))
		codes = codes[:0]
	}
	for _, u := range units {
		switch u.kind {
		case textUnit:
			codes = append(codes, u.code)
		case elementUnit:
			flush()
			b.WriteString(u.element.shown())
		}
	}
	flush()
	return b.String()
}

// textUnits makes units of text in one style. Newlines get the heading.
func textUnits(text string, style Style, heading string) []unit {
	codes := utf16.Encode([]rune(text))
	units := make([]unit, len(codes))
	for i, c := range codes {
		units[i] = unit{code: c, style: style}
		if c == '\n' {
			units[i].heading = heading
		}
	}
	return units
}

// build makes the content that a specification describes.
func (spec DocumentSpec) build() (*content, error) {
	tabs := spec.Tabs
	if len(tabs) == 0 {
		tabs = []TabSpec{{}}
	}
	c := &content{}
	seen := map[string]bool{}
	first := true
	var make func([]TabSpec) ([]*tab, error)
	make = func(specs []TabSpec) ([]*tab, error) {
		var out []*tab
		for _, ts := range specs {
			t := &tab{id: ts.ID, title: ts.Title}
			if t.id == "" {
				t.id = "t." + randomID(12)
				if first {
					t.id = "t.0"
				}
			}
			first = false
			if seen[t.id] {
				return nil, fmt.Errorf("tab ID %q is given twice", t.id)
			}
			seen[t.id] = true
			if t.title == "" {
				t.title = fmt.Sprintf("Tab %d", len(seen))
			}
			units, err := appendBlocks([]unit{{kind: sectionUnit}}, ts.Blocks)
			if err != nil {
				return nil, fmt.Errorf("tab %q: %w", t.title, err)
			}
			if !units[len(units)-1].newline() {
				units = append(units, unit{code: '\n'})
			}
			t.units = units
			if t.children, err = make(ts.Tabs); err != nil {
				return nil, err
			}
			out = append(out, t)
		}
		return out, nil
	}
	var err error
	c.tabs, err = make(tabs)
	return c, err
}

func appendBlocks(units []unit, blocks []Block) ([]unit, error) {
	var err error
	for _, b := range blocks {
		switch {
		case b.SectionBreak:
			// A section break, a table and a table of contents all follow a paragraph.
			units = append(endParagraph(units), unit{kind: sectionUnit})
		case b.Table != nil:
			units = append(endParagraph(units), unit{kind: tableStart})
			for _, row := range b.Table {
				units = append(units, unit{kind: rowStart})
				for _, cell := range row {
					units = append(units, unit{kind: cellStart})
					if units, err = appendBlocks(units, cell); err != nil {
						return nil, err
					}
					if !units[len(units)-1].newline() {
						units = append(units, unit{code: '\n'})
					}
				}
			}
			units = append(units, unit{kind: tableEnd})
		case b.TableOfContents != nil:
			units = append(endParagraph(units), unit{kind: tocStart})
			if units, err = appendBlocks(units, b.TableOfContents); err != nil {
				return nil, err
			}
			if !units[len(units)-1].newline() {
				units = append(units, unit{code: '\n'})
			}
			units = append(units, unit{kind: tocEnd})
		default:
			for _, in := range b.Paragraph {
				more, err := in.units(b.Heading)
				if err != nil {
					return nil, err
				}
				units = append(units, more...)
			}
			units = append(units, unit{code: '\n', heading: b.Heading})
		}
	}
	return units, nil
}

// endParagraph adds an empty paragraph where there is none to stand before a structure.
func endParagraph(units []unit) []unit {
	if !units[len(units)-1].newline() {
		units = append(units, unit{code: '\n'})
	}
	return units
}

func (in Inline) units(heading string) ([]unit, error) {
	e := &element{person: in.Person, link: in.Link, date: in.Date, image: in.Image}
	var units []unit
	switch {
	case in.Person == nil && in.Link == nil && in.Date == "" && !in.Image:
		units = textUnits(in.Text, in.Style, heading)
	case in.Text != "":
		return nil, errors.New("an inline is either text or an element")
	default:
		e.id = "kix." + randomID(12)
		units = []unit{{kind: elementUnit, element: e, style: in.Style}}
	}
	for i := range units {
		units[i].ins, units[i].del = in.Inserted, in.Deleted
	}
	return units, nil
}

// randomID makes up n letters and digits, as in the IDs that Google gives to parts of documents.
func randomID(n int) string {
	return strings.ToLower(rand.Text() + rand.Text())[:n]
}
