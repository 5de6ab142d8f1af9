package google

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/sheets/v4"
)

// SpreadsheetSpec describes a spreadsheet to make. Every part has a JSON form, for the control interface.
type SpreadsheetSpec struct {
	ID       string      `json:"id,omitempty"` // made up where empty
	Title    string      `json:"title,omitempty"`
	TimeZone string      `json:"time_zone,omitempty"` // IANA name; Etc/GMT where empty
	Sheets   []SheetSpec `json:"sheets,omitempty"`    // at least one comes to be
	// Roles says what each account may do, by its address. Nil lets every account edit.
	Roles map[string]Role `json:"roles,omitempty"`
	// Office makes it a file of Excel's that Drive merely stores: the Sheets API refuses it.
	Office bool `json:"office,omitempty"`
}

// SheetSpec describes a sheet, which people call a tab.
type SheetSpec struct {
	// ID is the sheet's; the first sheet may have 0, others get one where it is 0.
	ID    int64  `json:"id,omitempty"`
	Title string `json:"title,omitempty"`
	// Rows are values as a person types them: strings (dates, numbers and formulas are recognised),
	// numbers, booleans, and nil for an empty cell.
	Rows [][]any `json:"rows,omitempty"`
	// RowCount and ColumnCount are the size of the grid; 1000 and 26 where 0.
	RowCount    int `json:"row_count,omitempty"`
	ColumnCount int `json:"column_count,omitempty"`
}

const (
	defaultRows    = 1000
	defaultColumns = 26
	// maxCells is how many cells Google allows a spreadsheet.
	maxCells = 10_000_000
)

// A workbook is a spreadsheet. Its state never changes: a batch makes another.
type workbook struct {
	timeZone string
	state    *book
	revision int // counts changes, from 1

	// stale is what reads see until staleUntil, if that is still to come.
	stale         *book
	staleRevision int
	staleUntil    time.Time
}

// book is what a spreadsheet holds.
type book struct {
	title    string
	sheets   []*sheet
	metadata []*sheets.DeveloperMetadata // in order of creation
}

type sheet struct {
	id            int64
	title         string
	hidden        bool
	frozen        int      // rows
	cells         [][]cell // as far as there is anything
	rows, columns int      // of the grid
}

type cellKind uint8

const (
	emptyCell cellKind = iota
	numberCell
	textCell
	boolCell
	formulaCell
)

type cell struct {
	kind   cellKind
	number float64
	text   string // of text, and the formula with its =
	truth  bool
	format numberFormat
	note   string
}

type numberFormat struct{ kind, pattern string }

func (b *book) clone() *book {
	n := &book{title: b.title, metadata: slices.Clone(b.metadata)}
	for _, s := range b.sheets {
		c := *s
		c.cells = make([][]cell, len(s.cells))
		for i := range s.cells {
			c.cells[i] = slices.Clone(s.cells[i])
		}
		n.sheets = append(n.sheets, &c)
	}
	return n
}

func (b *book) byTitle(title string) *sheet {
	for _, s := range b.sheets {
		if s.title == title {
			return s
		}
	}
	return nil
}

func (b *book) byID(id int64) *sheet {
	for _, s := range b.sheets {
		if s.id == id {
			return s
		}
	}
	return nil
}

// at is the cell at a place, empty where there is nothing.
func (s *sheet) at(row, column int) cell {
	if row < len(s.cells) && column < len(s.cells[row]) {
		return s.cells[row][column]
	}
	return cell{}
}

// cell is the cell at a place, for changing it. The grid grows where it must.
func (s *sheet) cell(row, column int) *cell {
	for len(s.cells) <= row {
		s.cells = append(s.cells, nil)
	}
	for len(s.cells[row]) <= column {
		s.cells[row] = append(s.cells[row], cell{})
	}
	s.rows, s.columns = max(s.rows, row+1), max(s.columns, column+1)
	return &s.cells[row][column]
}

// used is the part of the grid with values in it: so many rows and columns from A1.
func (s *sheet) used() (rows, columns int) {
	for i, row := range s.cells {
		for j, c := range row {
			if c.kind != emptyCell {
				rows, columns = i+1, max(columns, j+1)
			}
		}
	}
	return rows, columns
}

// insertRows puts empty rows before a row.
func (s *sheet) insertRows(at, n int) {
	if at < len(s.cells) {
		s.cells = slices.Insert(s.cells, at, make([][]cell, n)...)
	}
	s.rows += n
}

// set gives the cell another value and keeps its format.
func (c *cell) set(v cell) {
	if v.format == (numberFormat{}) {
		v.format = c.format
	}
	v.note = c.note
	*c = v
}

// literal is a value as the RAW input option stores it.
func literal(v any) (cell, bool) {
	switch v := v.(type) {
	case nil:
		return cell{}, true
	case string:
		if v == "" {
			return cell{}, true
		}
		return cell{kind: textCell, text: v}, true
	case bool:
		return cell{kind: boolCell, truth: v}, true
	case float64:
		return cell{kind: numberCell, number: v}, true
	case int:
		return cell{kind: numberCell, number: float64(v)}, true
	case int64:
		return cell{kind: numberCell, number: float64(v)}, true
	}
	return cell{}, false
}

// typed is a value as a person's typing, and the USER_ENTERED input option, stores it.
func typed(v any) (cell, bool) {
	text, ok := v.(string)
	if !ok {
		return literal(v)
	}
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "'"):
		return literal(text[1:])
	case len(trimmed) > 1 && (trimmed[0] == '=' || trimmed[0] == '+' && !isNumber(trimmed)):
		return cell{kind: formulaCell, text: "=" + trimmed[1:]}, true
	case strings.EqualFold(trimmed, "TRUE"), strings.EqualFold(trimmed, "FALSE"):
		return cell{kind: boolCell, truth: strings.EqualFold(trimmed, "TRUE")}, true
	case isNumber(trimmed):
		n, _ := strconv.ParseFloat(trimmed, 64)
		return cell{kind: numberCell, number: n}, true
	case strings.HasSuffix(trimmed, "%") && isNumber(trimmed[:len(trimmed)-1]):
		n, _ := strconv.ParseFloat(trimmed[:len(trimmed)-1], 64)
		return cell{kind: numberCell, number: n / 100, format: numberFormat{"PERCENT", ""}}, true
	}
	for _, f := range []struct{ layout, kind, pattern string }{
		{"2006-01-02", "DATE", "yyyy-mm-dd"},
		{"1/2/2006", "DATE", "m/d/yyyy"},
		{"2006-01-02 15:04:05", "DATE_TIME", "yyyy-mm-dd hh:mm:ss"},
		{"2006-01-02 15:04", "DATE_TIME", "yyyy-mm-dd hh:mm"},
		{"1/2/2006 15:04:05", "DATE_TIME", "m/d/yyyy h:mm:ss"},
		{"1/2/2006 15:04", "DATE_TIME", "m/d/yyyy h:mm"},
	} {
		if t, err := time.Parse(f.layout, trimmed); err == nil {
			return cell{kind: numberCell, number: serial(t), format: numberFormat{f.kind, f.pattern}}, true
		}
	}
	return literal(text)
}

// isNumber says whether text is a plain decimal number, as a person writes one.
func isNumber(s string) bool {
	if s == "" || strings.Trim(s, "0123456789.eE+-") != "" || !strings.ContainsAny(s, "0123456789") {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// epoch is day 0 of serial dates.
var epoch = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)

// serial is a wall-clock time as days since 1899-12-30.
func serial(t time.Time) float64 {
	wall := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	return wall.Sub(epoch).Seconds() / 86400
}

// wallClock is the time, to the second, that a serial date means; it is said to be in UTC.
func wallClock(days float64) time.Time {
	whole := math.Floor(days)
	return epoch.AddDate(0, 0, int(whole)).Add(time.Duration(math.Round((days-whole)*86400)) * time.Second)
}

func (f numberFormat) isDate() bool {
	return f.kind == "DATE" || f.kind == "TIME" || f.kind == "DATE_TIME"
}

// shown is the value as the sheet shows it. Formulas aren't computed: they show what Sheets shows before
// it has computed one.
func (c cell) shown() string {
	switch c.kind {
	case numberCell:
		return c.format.show(c.number)
	case textCell:
		return c.text
	case boolCell:
		return strings.ToUpper(strconv.FormatBool(c.truth))
	case formulaCell:
		return "Loading..."
	}
	return ""
}

func (f numberFormat) show(n float64) string {
	pattern := f.pattern
	if pattern == "" {
		pattern = map[string]string{
			"DATE": "m/d/yyyy", "TIME": "h:mm:ss am/pm", "DATE_TIME": "m/d/yyyy h:mm:ss", "PERCENT": "0.00%",
		}[f.kind]
	}
	switch {
	case f.isDate():
		return showTime(pattern, wallClock(n))
	case f.kind == "PERCENT":
		return strconv.FormatFloat(n*100, 'f', decimals(pattern), 64) + "%"
	case f.kind == "NUMBER" && pattern != "":
		return strconv.FormatFloat(n, 'f', decimals(pattern), 64)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// decimals counts the digits after a number pattern's point.
func decimals(pattern string) int {
	_, after, _ := strings.Cut(pattern, ".")
	return strings.Count(after, "0") + strings.Count(after, "#")
}

// showTime formats a time by a pattern of Sheets' date and time tokens.
func showTime(pattern string, t time.Time) string {
	lower := strings.ToLower(pattern)
	half := strings.Contains(lower, "am/pm") || strings.Contains(lower, "a/p")
	var b strings.Builder
	lastToken := byte(0)
	for i := 0; i < len(pattern); {
		c := lower[i]
		switch {
		case strings.HasPrefix(lower[i:], "am/pm"):
			b.WriteString(t.Format("PM"))
			i += len("am/pm")
			continue
		case c == '"':
			end := strings.IndexByte(pattern[i+1:], '"')
			if end < 0 {
				end = len(pattern) - i - 1
			}
			b.WriteString(pattern[i+1 : i+1+end])
			i = min(len(pattern), i+end+2)
			continue
		case c == '\\' && i+1 < len(pattern):
			b.WriteByte(pattern[i+1])
			i += 2
			continue
		}
		n := 1
		for i+n < len(pattern) && lower[i+n] == c {
			n++
		}
		switch c {
		case 'y':
			b.WriteString(t.Format(map[bool]string{true: "06", false: "2006"}[n <= 2]))
		case 'm':
			// A month, unless hours stand before it or seconds after.
			rest := strings.TrimLeft(lower[i+n:], ": .")
			if lastToken == 'h' || strings.HasPrefix(rest, "s") {
				fmt.Fprintf(&b, "%0*d", min(n, 2), t.Minute())
			} else {
				b.WriteString(t.Format([]string{"1", "01", "Jan", "January"}[min(n, 4)-1]))
			}
		case 'd':
			b.WriteString(t.Format([]string{"2", "02", "Mon", "Monday"}[min(n, 4)-1]))
		case 'h':
			hour := t.Hour()
			if half {
				hour = (hour+11)%12 + 1
			}
			fmt.Fprintf(&b, "%0*d", min(n, 2), hour)
		case 's':
			fmt.Fprintf(&b, "%0*d", min(n, 2), t.Second())
		default:
			b.WriteString(pattern[i : i+n])
		}
		if strings.IndexByte("ymdhs", c) >= 0 {
			lastToken = c
		}
		i += n
	}
	return b.String()
}

// build makes the book that a specification describes.
func (spec SpreadsheetSpec) build() (*book, error) {
	b := &book{title: spec.Title}
	specs := spec.Sheets
	if len(specs) == 0 {
		specs = []SheetSpec{{}}
	}
	for i, ss := range specs {
		s := &sheet{id: ss.ID, title: ss.Title, rows: ss.RowCount, columns: ss.ColumnCount}
		if s.title == "" {
			s.title = fmt.Sprintf("Sheet%d", i+1)
		}
		if b.byTitle(s.title) != nil {
			return nil, fmt.Errorf("two sheets are called %q", s.title)
		}
		if s.id == 0 && i > 0 {
			s.id = b.freeID()
		}
		if s.id < 0 || b.byID(s.id) != nil {
			return nil, fmt.Errorf("sheet ID %d is negative or given twice", s.id)
		}
		if s.rows <= 0 {
			s.rows = defaultRows
		}
		if s.columns <= 0 {
			s.columns = defaultColumns
		}
		for r, row := range ss.Rows {
			for c, v := range row {
				value, ok := typed(v)
				if !ok {
					return nil, fmt.Errorf("sheet %q: a cell can't hold a %T", s.title, v)
				}
				if value.kind != emptyCell {
					s.cell(r, c).set(value)
				}
			}
		}
		b.sheets = append(b.sheets, s)
	}
	return b, nil
}

// freeID makes up a sheet ID.
func (b *book) freeID() int64 {
	for {
		if id := randomInt31(); b.byID(id) == nil {
			return id
		}
	}
}

// columnName is a column's letters: A for 0.
func columnName(n int) string {
	name := ""
	for n++; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return name
}

// A gridRange is a part of a sheet; its ends are exclusive.
type gridRange struct {
	sheet                          *sheet
	row, column, endRow, endColumn int
}

func (g gridRange) String() string {
	name := g.sheet.title
	plain := name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && !(name[0] >= '0' && name[0] <= '9')
	if _, _, cells := parseCells(name); cells || !plain {
		name = "'" + strings.ReplaceAll(name, "'", "''") + "'"
	}
	start := columnName(g.column) + strconv.Itoa(g.row+1)
	end := columnName(g.endColumn-1) + strconv.Itoa(g.endRow)
	if start == end {
		return name + "!" + start
	}
	return name + "!" + start + ":" + end
}

// parseRange reads A1 notation. Open ends reach as far as the grid.
func (b *book) parseRange(s string) (gridRange, *apiError) {
	bad := invalid("Unable to parse range: %s", s)
	title, cells := "", s
	if i := strings.LastIndexByte(s, '!'); i >= 0 {
		title, cells = s[:i], s[i+1:]
	} else if unquoted := unquoteTitle(s); b.byTitle(unquoted) != nil {
		title, cells = s, ""
	}
	sh := b.sheets[0]
	if title != "" {
		if sh = b.byTitle(unquoteTitle(title)); sh == nil {
			return gridRange{}, bad
		}
	}
	if cells == "" {
		if title == "" || strings.HasSuffix(s, "!") {
			return gridRange{}, bad
		}
		return gridRange{sh, 0, 0, sh.rows, sh.columns}, nil
	}
	from, to, ok := parseCells(cells)
	if !ok {
		return gridRange{}, bad
	}
	g := gridRange{sh, from.row, from.column, to.row + 1, to.column + 1}
	if from.row < 0 {
		g.row = 0
	}
	if from.column < 0 {
		g.column = 0
	}
	if to.row < 0 {
		g.endRow = max(sh.rows, g.row+1)
	}
	if to.column < 0 {
		g.endColumn = max(sh.columns, g.column+1)
	}
	if g.endRow <= g.row {
		g.row, g.endRow = g.endRow-1, g.row+1
	}
	if g.endColumn <= g.column {
		g.column, g.endColumn = g.endColumn-1, g.column+1
	}
	return g, nil
}

// within cuts the range to the grid, or says that it begins outside.
func (g gridRange) within() (gridRange, *apiError) {
	if g.row >= g.sheet.rows || g.column >= g.sheet.columns {
		return g, invalid("Range (%s) exceeds grid limits. Max rows: %d, max columns: %d", g, g.sheet.rows, g.sheet.columns)
	}
	g.endRow, g.endColumn = min(g.endRow, g.sheet.rows), min(g.endColumn, g.sheet.columns)
	return g, nil
}

func unquoteTitle(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return strings.ReplaceAll(s[1:len(s)-1], "''", "'")
	}
	return s
}

// place is a row and a column from 0; -1 where it isn't said.
type place struct{ row, column int }

// parseCells reads A1, A1:B2, A:B, 1:2, A2:B and the like.
func parseCells(s string) (from, to place, ok bool) {
	first, second, two := strings.Cut(s, ":")
	if from, ok = parseCell(first); !ok {
		return from, to, false
	}
	if !two {
		return from, from, from.row >= 0 && from.column >= 0
	}
	to, ok = parseCell(second)
	return from, to, ok
}

func parseCell(s string) (place, bool) {
	s = strings.ReplaceAll(s, "$", "")
	letters := len(s) - len(strings.TrimLeft(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
	p := place{-1, -1}
	if letters > 3 || s == "" {
		return p, false
	}
	for _, c := range strings.ToUpper(s[:letters]) {
		p.column = (p.column+1)*26 + int(c-'A')
	}
	if s[letters:] == "" {
		return p, true
	}
	n, err := strconv.Atoi(s[letters:])
	if err != nil || n < 1 || n > maxCells || s[letters] == '+' {
		return p, false
	}
	p.row = n - 1
	return p, true
}

// regions are the tables of a sheet as Sheets detects them: rectangles of values with nothing next to
// them.
func (s *sheet) regions() []gridRange {
	var out []gridRange
	for r := range s.cells {
		for c := range s.cells[r] {
			if s.cells[r][c].kind == emptyCell || slices.ContainsFunc(out, func(g gridRange) bool {
				return r >= g.row && r < g.endRow && c >= g.column && c < g.endColumn
			}) {
				continue
			}
			out = append(out, s.regionAround(r, c))
		}
	}
	return out
}

func (s *sheet) regionAround(row, column int) gridRange {
	g := gridRange{s, row, column, row + 1, column + 1}
	for grown := true; grown; {
		grown = false
		around := gridRange{s, max(0, g.row-1), max(0, g.column-1), g.endRow + 1, g.endColumn + 1}
		for r := around.row; r < around.endRow; r++ {
			for c := around.column; c < around.endColumn; c++ {
				inside := r >= g.row && r < g.endRow && c >= g.column && c < g.endColumn
				if !inside && s.at(r, c).kind != emptyCell {
					g = gridRange{s, min(g.row, r), min(g.column, c), max(g.endRow, r+1), max(g.endColumn, c+1)}
					grown = true
				}
			}
		}
	}
	return g
}

// tableIn is the last table that a range touches.
func (g gridRange) tableIn() (gridRange, bool) {
	var last gridRange
	found := false
	for _, t := range g.sheet.regions() {
		if t.row < g.endRow && g.row < t.endRow && t.column < g.endColumn && g.column < t.endColumn &&
			(!found || t.endRow > last.endRow) {
			last, found = t, true
		}
	}
	return last, found
}
