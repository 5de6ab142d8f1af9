package google

import (
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"

	"google.golang.org/api/docs/v1"
)

// The suggestions view modes.
const (
	viewDefault  = "DEFAULT_FOR_CURRENT_ACCESS"
	viewInline   = "SUGGESTIONS_INLINE"
	viewAccepted = "PREVIEW_SUGGESTIONS_ACCEPTED"
	viewWithout  = "PREVIEW_WITHOUT_SUGGESTIONS"
)

// view is the content as a view mode shows it. In the previews indexes differ from those that writes use.
func (c *content) view(mode string) *content {
	if mode == viewInline {
		return c
	}
	v := c.clone()
	for _, t := range v.all() {
		for i := len(t.units) - 1; i > 0; i-- {
			u := &t.units[i]
			gone := mode == viewAccepted && u.del != "" || mode == viewWithout && u.ins != ""
			// A newline that holds the structure together stays whatever is suggested of it.
			if gone && (!u.newline() || t.checkDelete(i, i+1) == nil) {
				editor{v}.remove(t, i, i+1)
				continue
			}
			u.ins, u.del = "", ""
		}
	}
	return v
}

// render makes the API's resource of a content.
func (f *file) renderDocument(c *content, mode string, withTabs bool) *docs.Document {
	d := &docs.Document{DocumentId: f.id, Title: f.title, SuggestionsViewMode: mode}
	c = c.view(mode)
	if withTabs {
		d.Tabs = renderTabs(c.tabs, "", 0)
		return d
	}
	first := renderTab(c.tabs[0])
	d.Body, d.NamedRanges, d.InlineObjects = first.Body, first.NamedRanges, first.InlineObjects
	d.DocumentStyle, d.NamedStyles = first.DocumentStyle, first.NamedStyles
	return d
}

func renderTabs(tabs []*tab, parent string, level int64) []*docs.Tab {
	var out []*docs.Tab
	for i, t := range tabs {
		out = append(out, &docs.Tab{
			TabProperties: &docs.TabProperties{
				TabId: t.id, Title: t.title, Index: int64(i), ParentTabId: parent, NestingLevel: level,
			},
			DocumentTab: renderTab(t),
			ChildTabs:   renderTabs(t.children, t.id, level+1),
		})
	}
	return out
}

func renderTab(t *tab) *docs.DocumentTab {
	r := renderer{units: t.units, objects: map[string]docs.InlineObject{}}
	out := &docs.DocumentTab{
		Body:          &docs.Body{Content: r.blocks()},
		InlineObjects: r.objects,
		DocumentStyle: &docs.DocumentStyle{
			PageSize: &docs.Size{Width: points(612), Height: points(792)},
		},
		NamedStyles: &docs.NamedStyles{Styles: []*docs.NamedStyle{{
			NamedStyleType: "NORMAL_TEXT",
			TextStyle:      &docs.TextStyle{FontSize: points(11), WeightedFontFamily: &docs.WeightedFontFamily{FontFamily: "Arial", Weight: 400}},
			ParagraphStyle: &docs.ParagraphStyle{NamedStyleType: "NORMAL_TEXT", Direction: "LEFT_TO_RIGHT"},
		}}},
	}
	for _, nr := range t.ranges {
		one := &docs.NamedRange{NamedRangeId: nr.id, Name: nr.name}
		for _, s := range nr.spans {
			one.Ranges = append(one.Ranges, &docs.Range{StartIndex: int64(s.start), EndIndex: int64(s.end), TabId: t.id})
		}
		if out.NamedRanges == nil {
			out.NamedRanges = map[string]docs.NamedRanges{}
		}
		all := out.NamedRanges[nr.name]
		all.Name = nr.name
		all.NamedRanges = append(all.NamedRanges, one)
		out.NamedRanges[nr.name] = all
	}
	return out
}

func points(n float64) *docs.Dimension { return &docs.Dimension{Magnitude: n, Unit: "PT"} }

// A renderer walks the units of a tab.
type renderer struct {
	units   []unit
	pos     int
	objects map[string]docs.InlineObject
}

func (r *renderer) kind() unitKind { return r.units[r.pos].kind }

// blocks reads structural elements until what holds them ends.
func (r *renderer) blocks() []*docs.StructuralElement {
	var out []*docs.StructuralElement
	for r.pos < len(r.units) && !r.units[r.pos].ends() {
		e := &docs.StructuralElement{StartIndex: int64(r.pos)}
		switch r.kind() {
		case sectionUnit:
			e.SectionBreak = &docs.SectionBreak{SectionStyle: &docs.SectionStyle{
				ColumnSeparatorStyle: "NONE", ContentDirection: "LEFT_TO_RIGHT", SectionType: "CONTINUOUS",
			}}
			r.pos++
		case tableStart:
			e.Table = r.table()
		case tocStart:
			r.pos++
			e.TableOfContents = &docs.TableOfContents{Content: r.blocks()}
			r.pos++
		default:
			e.Paragraph = r.paragraph()
		}
		e.EndIndex = int64(r.pos)
		out = append(out, e)
	}
	return out
}

func (r *renderer) table() *docs.Table {
	t := &docs.Table{TableStyle: &docs.TableStyle{}}
	r.pos++
	for r.kind() == rowStart {
		row := &docs.TableRow{StartIndex: int64(r.pos), TableRowStyle: &docs.TableRowStyle{}}
		r.pos++
		for r.kind() == cellStart {
			cell := &docs.TableCell{StartIndex: int64(r.pos), TableCellStyle: &docs.TableCellStyle{RowSpan: 1, ColumnSpan: 1}}
			r.pos++
			cell.Content = r.blocks()
			cell.EndIndex = int64(r.pos)
			row.TableCells = append(row.TableCells, cell)
		}
		row.EndIndex = int64(r.pos)
		t.TableRows = append(t.TableRows, row)
		t.Columns = max(t.Columns, int64(len(row.TableCells)))
	}
	t.Rows = int64(len(t.TableRows))
	r.pos++
	return t
}

func (r *renderer) paragraph() *docs.Paragraph {
	p := &docs.Paragraph{}
	heading := ""
	for done := false; !done; {
		first, start := r.units[r.pos], r.pos
		r.pos++
		e := &docs.ParagraphElement{StartIndex: int64(start)}
		if first.kind == elementUnit {
			r.element(e, first)
		} else {
			for !r.units[r.pos-1].newline() && sameRun(first, r.units[r.pos]) {
				r.pos++
			}
			codes := make([]uint16, 0, r.pos-start)
			for _, u := range r.units[start:r.pos] {
				codes = append(codes, u.code)
			}
			e.TextRun = &docs.TextRun{
				Content: string(utf16.Decode(codes)), TextStyle: first.style.render(),
				SuggestedInsertionIds: ids(first.ins), SuggestedDeletionIds: ids(first.del),
			}
			if last := r.units[r.pos-1]; last.newline() {
				heading, done = last.heading, true
			}
		}
		e.EndIndex = int64(r.pos)
		p.Elements = append(p.Elements, e)
	}
	if heading == "" {
		heading = "NORMAL_TEXT"
	}
	p.ParagraphStyle = &docs.ParagraphStyle{NamedStyleType: heading, Direction: "LEFT_TO_RIGHT"}
	return p
}

func sameRun(a, b unit) bool {
	return b.kind == textUnit && a.style == b.style && a.ins == b.ins && a.del == b.del
}

func ids(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

func (r *renderer) element(e *docs.ParagraphElement, u unit) {
	el, style, ins, del := u.element, u.style.render(), ids(u.ins), ids(u.del)
	switch {
	case el.person != nil:
		e.Person = &docs.Person{
			PersonId: el.id, TextStyle: style, SuggestedInsertionIds: ins, SuggestedDeletionIds: del,
			PersonProperties: &docs.PersonProperties{Name: el.person.Name, Email: el.person.Email},
		}
	case el.link != nil:
		e.RichLink = &docs.RichLink{
			RichLinkId: el.id, TextStyle: style, SuggestedInsertionIds: ins, SuggestedDeletionIds: del,
			RichLinkProperties: &docs.RichLinkProperties{Title: el.link.Title, Uri: el.link.URI},
		}
	case el.image:
		e.InlineObjectElement = &docs.InlineObjectElement{
			InlineObjectId: el.id, TextStyle: style, SuggestedInsertionIds: ins, SuggestedDeletionIds: del,
		}
		r.objects[el.id] = docs.InlineObject{ObjectId: el.id, InlineObjectProperties: &docs.InlineObjectProperties{
			EmbeddedObject: &docs.EmbeddedObject{Size: &docs.Size{Width: points(100), Height: points(100)}},
		}}
	default:
		e.DateElement = &docs.DateElement{
			DateId: el.id, TextStyle: style, SuggestedInsertionIds: ins, SuggestedDeletionIds: del,
			DateElementProperties: &docs.DateElementProperties{
				DateFormat: "DATE_FORMAT_MONTH_DAY_YEAR_ABBREVIATED", Locale: "en",
				TimeFormat: "TIME_FORMAT_DISABLED", TimeZoneId: "etc/UTC", DisplayText: el.date,
			},
		}
	}
}

func (s Style) render() *docs.TextStyle {
	t := &docs.TextStyle{
		Bold: s.Bold, Italic: s.Italic, Underline: s.Underline, Strikethrough: s.Strikethrough,
		SmallCaps: s.SmallCaps, BaselineOffset: s.Offset,
		ForegroundColor: renderColor(s.Color), BackgroundColor: renderColor(s.Background),
	}
	if s.Link != "" {
		t.Link = &docs.Link{Url: s.Link}
	}
	if s.Font != "" {
		t.WeightedFontFamily = &docs.WeightedFontFamily{FontFamily: s.Font, Weight: 400}
	}
	if s.Size != 0 {
		t.FontSize = points(s.Size)
	}
	return t
}

func renderColor(hex string) *docs.OptionalColor {
	if len(hex) != 7 {
		return nil
	}
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		return nil
	}
	part := func(shift uint) float64 { return float64(n>>shift&0xff) / 255 }
	return &docs.OptionalColor{Color: &docs.Color{RgbColor: &docs.RgbColor{Red: part(16), Green: part(8), Blue: part(0)}}}
}

func readColor(c *docs.OptionalColor) string {
	if c == nil || c.Color == nil || c.Color.RgbColor == nil {
		return ""
	}
	part := func(f float64) int { return int(max(0, min(1, f))*255 + 0.5) }
	rgb := c.Color.RgbColor
	return fmt.Sprintf("#%02x%02x%02x", part(rgb.Red), part(rgb.Green), part(rgb.Blue))
}

// update sets the named fields of the style as t has them.
func (s *Style) update(t *docs.TextStyle, fields []string) *apiError {
	if t == nil {
		t = &docs.TextStyle{}
	}
	all := slices.Contains(fields, "*")
	for _, f := range []struct {
		name string
		set  func()
	}{
		{"bold", func() { s.Bold = t.Bold }},
		{"italic", func() { s.Italic = t.Italic }},
		{"underline", func() { s.Underline = t.Underline }},
		{"strikethrough", func() { s.Strikethrough = t.Strikethrough }},
		{"smallCaps", func() { s.SmallCaps = t.SmallCaps }},
		{"baselineOffset", func() { s.Offset = t.BaselineOffset }},
		{"foregroundColor", func() { s.Color = readColor(t.ForegroundColor) }},
		{"backgroundColor", func() { s.Background = readColor(t.BackgroundColor) }},
		{"fontSize", func() {
			s.Size = 0
			if t.FontSize != nil {
				s.Size = t.FontSize.Magnitude
			}
		}},
		{"weightedFontFamily", func() {
			s.Font = ""
			if t.WeightedFontFamily != nil {
				s.Font = t.WeightedFontFamily.FontFamily
			}
		}},
		{"link", func() {
			s.Link = ""
			if t.Link != nil {
				s.Link = t.Link.Url
			}
		}},
	} {
		if all || slices.Contains(fields, f.name) {
			f.set()
			fields = slices.DeleteFunc(slices.Clone(fields), func(n string) bool { return n == f.name })
		}
	}
	for _, rest := range fields {
		if rest != "*" {
			return invalid("Invalid field: %s", rest)
		}
	}
	return nil
}
