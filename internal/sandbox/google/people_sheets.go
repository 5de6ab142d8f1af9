package google

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Spreadsheet is a handle on a spreadsheet, for what people do with it in a browser and for looking at it.
type Spreadsheet struct {
	s *Server
	f *file
}

// NewSpreadsheet makes a spreadsheet. Where the specification has no ID, one is made up.
func (s *Server) NewSpreadsheet(spec SpreadsheetSpec) (*Spreadsheet, error) {
	b, err := spec.build()
	if err != nil {
		return nil, fmt.Errorf("local Google: spreadsheet: %w", err)
	}
	if b.title == "" {
		b.title = "Untitled spreadsheet"
	}
	if spec.TimeZone == "" {
		spec.TimeZone = "Etc/GMT"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &file{
		id: spec.ID, title: b.title, office: spec.Office, roles: spec.Roles,
		book: &workbook{timeZone: spec.TimeZone, state: b, revision: 1},
	}
	if err := s.newFile(f); err != nil {
		return nil, err
	}
	s.notify(Change{Kind: "spreadsheet", File: f.id})
	return &Spreadsheet{s, f}, nil
}

// Spreadsheet finds a spreadsheet by its ID; nil where there is none.
func (s *Server) Spreadsheet(id string) *Spreadsheet {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil || f.book == nil {
		return nil
	}
	return &Spreadsheet{s, f}
}

// ID is the spreadsheet's ID.
func (p *Spreadsheet) ID() string { return p.f.id }

// Link is the spreadsheet's address, as Drive says it.
func (p *Spreadsheet) Link() string { return p.f.link() }

// Revision counts the spreadsheet's changes, from 1.
func (p *Spreadsheet) Revision() int {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.f.book.revision
}

// LastEditor is who changed the spreadsheet last.
func (p *Spreadsheet) LastEditor() Person {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.f.lastEditor
}

func (p *Spreadsheet) state() *book {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.f.book.state
}

// Tabs are the titles of the sheets, in their order.
func (p *Spreadsheet) Tabs() []string {
	var out []string
	for _, sh := range p.state().sheets {
		out = append(out, sh.title)
	}
	return out
}

// Rows are the rows of a tab ("": the first) as the sheet shows them, without trailing empty rows and
// cells; nil where there is no such tab.
func (p *Spreadsheet) Rows(tab string) [][]string {
	return p.state().rows(tab)
}

func (b *book) rows(tab string) [][]string {
	var out [][]string
	for _, row := range b.cells(tab) {
		var shown []string
		for _, c := range row {
			shown = append(shown, c.Shown)
		}
		out = append(out, shown)
	}
	return out
}

// A Cell is what a cell holds.
type Cell struct {
	// Value is a float64, a string, a bool, or nil for an empty cell and for a formula.
	Value any `json:"value"`
	// Formula is the formula with its =, where it is one.
	Formula string `json:"formula,omitempty"`
	// Format is the type of its number format, such as DATE_TIME; empty where it has none.
	Format string `json:"format,omitempty"`
	// Time is the wall-clock time, as if in UTC, that a number with a date format means.
	Time time.Time `json:"time,omitzero"`
	// Shown is what the sheet shows. Formulas aren't computed.
	Shown string `json:"shown"`
}

// Cells are the cells of a tab ("": the first), without trailing empty rows and cells; nil where there is
// no such tab.
func (p *Spreadsheet) Cells(tab string) [][]Cell { return p.state().cells(tab) }

func (b *book) sheet(tab string) *sheet {
	if tab == "" {
		return b.sheets[0]
	}
	return b.byTitle(tab)
}

func (b *book) cells(tab string) [][]Cell {
	sh := b.sheet(tab)
	if sh == nil {
		return nil
	}
	rows, _ := sh.used()
	out := make([][]Cell, rows)
	for r := range rows {
		for c, v := range sh.cells[r] {
			if v.kind == emptyCell {
				continue
			}
			for len(out[r]) <= c {
				out[r] = append(out[r], Cell{})
			}
			out[r][c] = v.describe()
		}
	}
	return out
}

func (c cell) describe() Cell {
	out := Cell{Shown: c.shown(), Format: c.format.kind}
	switch c.kind {
	case numberCell:
		out.Value = c.number
		if c.format.isDate() {
			out.Time = wallClock(c.number)
		}
	case textCell:
		out.Value = c.text
	case boolCell:
		out.Value = c.truth
	case formulaCell:
		out.Formula = c.text
	}
	return out
}

// Metadata is developer metadata of a spreadsheet.
type Metadata struct {
	ID       int64  `json:"id"`
	Key      string `json:"key"`
	Value    string `json:"value,omitempty"`
	Location string `json:"location"` // ROW, COLUMN, SHEET or SPREADSHEET
}

// Metadata lists the developer metadata, in the order of its creation.
func (p *Spreadsheet) Metadata() []Metadata { return p.state().describeMetadata() }

func (b *book) describeMetadata() []Metadata {
	var out []Metadata
	for _, md := range b.metadata {
		out = append(out, Metadata{md.MetadataId, md.MetadataKey, md.MetadataValue, md.Location.LocationType})
	}
	return out
}

// StaleReads lets the APIs' reads see the spreadsheet as it is now until so long has passed by the
// server's clock; 0 ends it.
func (p *Spreadsheet) StaleReads(howLong time.Duration) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	b := p.f.book
	b.stale, b.staleRevision, b.staleUntil = b.state, b.revision, p.s.cfg.Clock().Add(howLong)
	if howLong <= 0 {
		b.stale = nil
	}
}

// SheetEditKind names what a person does with a spreadsheet.
type SheetEditKind string

const (
	// AppendRow types Values into the first row after everything in Tab, from column A.
	AppendRow SheetEditKind = "append_row"
	// SetCell types Values[0] into the cell Cell of Tab, in A1 notation; nil empties it.
	SetCell SheetEditKind = "set_cell"
	// DeleteRow deletes the row numbered Row, from 1, of Tab.
	DeleteRow SheetEditKind = "delete_row"
	// InsertColumn inserts an empty column before the one that Cell names (A, B, …).
	InsertColumn SheetEditKind = "insert_column"
	// RenameTab calls Tab Title.
	RenameTab SheetEditKind = "rename_tab"
	// AddTab adds a tab called Title.
	AddTab SheetEditKind = "add_tab"
	// DeleteTab deletes Tab.
	DeleteTab SheetEditKind = "delete_tab"
	// Clear empties every cell of Tab.
	Clear SheetEditKind = "clear"
)

// A SheetEdit is one thing that a person does with a spreadsheet. Its fields are used as its kind says.
type SheetEdit struct {
	Kind   SheetEditKind `json:"kind"`
	Tab    string        `json:"tab,omitempty"` // a title; the first tab where empty
	Title  string        `json:"title,omitempty"`
	Cell   string        `json:"cell,omitempty"`
	Row    int           `json:"row,omitempty"`
	Values []any         `json:"values,omitempty"` // as typed: see SheetSpec.Rows
}

// Apply does what a person does. An edit that the spreadsheet doesn't allow changes nothing.
func (p *Spreadsheet) Apply(who Person, e SheetEdit) error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	next := p.f.book.state.clone()
	if err := next.edit(e); err != nil {
		return fmt.Errorf("local Google: %s: %w", e.Kind, err)
	}
	p.s.commitBook(p.f, next, Write{Who: who, Edit: string(e.Kind)})
	return nil
}

// AppendByHand types values into the first row after everything in a tab.
func (p *Spreadsheet) AppendByHand(who Person, tab string, values ...any) error {
	return p.Apply(who, SheetEdit{Kind: AppendRow, Tab: tab, Values: values})
}

// Set types a value into a cell, in A1 notation.
func (p *Spreadsheet) Set(who Person, tab, cell string, value any) error {
	return p.Apply(who, SheetEdit{Kind: SetCell, Tab: tab, Cell: cell, Values: []any{value}})
}

// DeleteRow deletes a row, numbered from 1.
func (p *Spreadsheet) DeleteRow(who Person, tab string, row int) error {
	return p.Apply(who, SheetEdit{Kind: DeleteRow, Tab: tab, Row: row})
}

// RenameTab gives a tab another title.
func (p *Spreadsheet) RenameTab(who Person, tab, title string) error {
	return p.Apply(who, SheetEdit{Kind: RenameTab, Tab: tab, Title: title})
}

// Clear empties every cell of a tab.
func (p *Spreadsheet) Clear(who Person, tab string) error {
	return p.Apply(who, SheetEdit{Kind: Clear, Tab: tab})
}

func (b *book) edit(e SheetEdit) error {
	sh := b.sheet(e.Tab)
	if sh == nil {
		return fmt.Errorf("no tab %q", e.Tab)
	}
	values := make([]cell, len(e.Values))
	for i, v := range e.Values {
		var ok bool
		if values[i], ok = typed(v); !ok {
			return fmt.Errorf("a cell can't hold a %T", v)
		}
	}
	u := &bookUpdate{book: b}
	switch e.Kind {
	case AppendRow:
		row, _ := sh.used()
		sh.rows = max(sh.rows, row+1)
		for i, v := range values {
			if v.kind != emptyCell {
				sh.cell(row, i).set(v)
			}
		}
	case SetCell:
		at, ok := parseCell(e.Cell)
		if !ok || at.row < 0 || at.column < 0 || at.row >= sh.rows || at.column >= sh.columns {
			return fmt.Errorf("no cell %q", e.Cell)
		}
		if len(values) != 1 {
			return errors.New("a cell takes one value")
		}
		sh.cell(at.row, at.column).set(values[0])
	case DeleteRow:
		if e.Row < 1 || e.Row > sh.rows || sh.rows == 1 {
			return fmt.Errorf("can't delete row %d of %d", e.Row, sh.rows)
		}
		sh.rows--
		if e.Row <= len(sh.cells) {
			sh.cells = append(sh.cells[:e.Row-1], sh.cells[e.Row:]...)
		}
		b.shiftMetadata(sh.id, "ROWS", e.Row-1, -1)
	case InsertColumn:
		at, ok := parseCell(e.Cell)
		if !ok || at.column < 0 || at.column >= sh.columns {
			return fmt.Errorf("no column %q", e.Cell)
		}
		sh.columns++
		for i, row := range sh.cells {
			if at.column < len(row) {
				sh.cells[i] = append(row[:at.column:at.column], append([]cell{{}}, row[at.column:]...)...)
			}
		}
		b.shiftMetadata(sh.id, "COLUMNS", at.column, 1)
	case RenameTab:
		if e.Title == "" {
			return errors.New("a tab needs a title")
		}
		if failed := u.freeTitle(e.Title); failed != nil && !strings.EqualFold(e.Title, sh.title) {
			return errors.New(failed.message)
		}
		sh.title = e.Title
	case AddTab:
		if failed := u.freeTitle(e.Title); e.Title == "" || failed != nil {
			return fmt.Errorf("can't call a tab %q", e.Title)
		}
		b.sheets = append(b.sheets, &sheet{id: b.freeID(), title: e.Title, rows: defaultRows, columns: defaultColumns})
	case DeleteTab:
		if len(b.sheets) == 1 {
			return errors.New("the last tab can't be deleted")
		}
		b.removeSheet(sh)
	case Clear:
		sh.cells = nil
	default:
		return errors.New("no such edit")
	}
	return nil
}
