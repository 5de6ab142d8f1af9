package google

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/api/sheets/v4"
)

// randomInt31 makes up an ID of a sheet or of metadata.
func randomInt31() int64 { return int64(rand.Int32N(1<<31-1)) + 1 }

func (s *Server) sheetRoutes(api func(string, endpoint)) {
	api("GET /v4/spreadsheets/{id}", endpoint{SheetsGet, sheetsService, readSheets, "Read", s.getSpreadsheet})
	api("POST /v4/spreadsheets/{id}", endpoint{SheetsBatchUpdate, sheetsService, writeSheets, "Write", s.batchUpdateSpreadsheet})
	api("GET /v4/spreadsheets/{id}/values/{range}", endpoint{SheetsValuesGet, sheetsService, readSheets, "Read", s.getValues})
	api("GET /v4/spreadsheets/{id}/values:batchGet", endpoint{SheetsValuesGet, sheetsService, readSheets, "Read", s.batchGetValues})
	api("PUT /v4/spreadsheets/{id}/values/{range}", endpoint{SheetsValuesUpdate, sheetsService, writeSheets, "Write", s.updateValues})
	api("POST /v4/spreadsheets/{id}/values/{range}", endpoint{SheetsValuesAppend, sheetsService, writeSheets, "Write", s.appendValues})
	api("GET /v4/spreadsheets/{id}/developerMetadata/{metadata}", endpoint{SheetsMetadata, sheetsService, writeSheets, "Read", s.getMetadata})
	api("POST /v4/spreadsheets/{id}/developerMetadata:search", endpoint{SheetsMetadata, sheetsService, writeSheets, "Read", s.searchMetadata})
}

// read finds the state of a spreadsheet that a read sees, which may be stale. s.mu is held.
func (s *Server) read(c *call) (*file, *book, *apiError) {
	f, failed := s.open(c, Viewer)
	if failed != nil {
		return nil, nil, failed
	}
	if f.book.stale != nil && s.cfg.Clock().Before(f.book.staleUntil) {
		c.revision = f.book.staleRevision
		return f, f.book.stale, nil
	}
	c.revision = f.book.revision
	return f, f.book.state, nil
}

// commitBook makes next the state of a spreadsheet. s.mu is held.
func (s *Server) commitBook(f *file, next *book, w Write) {
	f.book.state = next
	f.book.revision++
	f.title = next.title
	s.touch(f, w.Who)
	w.RevisionBefore, w.RevisionAfter = f.book.revision-1, f.book.revision
	s.logWrite(f, w)
}

// commitCall commits a batch of a program's. s.mu is held.
func (s *Server) commitCall(c *call, f *file, next *book) {
	s.commitBook(f, next, Write{Who: c.account.person(), Operation: c.op, Request: c.seq, Body: json.RawMessage(c.body)})
	c.revision = f.book.revision
}

// option reads an enumerated query parameter; the first value is the default.
func (c *call) option(name string, values ...string) (string, *apiError) {
	v := c.query.Get(name)
	if v == "" {
		return values[0], nil
	}
	if !slices.Contains(values, v) {
		return "", invalid("Invalid value at '%s' (TYPE_ENUM), %q", snakeCase(name), v)
	}
	return v, nil
}

// rendering says how values are read.
type rendering struct {
	values  string // FORMATTED_VALUE, UNFORMATTED_VALUE, FORMULA
	dates   string // SERIAL_NUMBER, FORMATTED_STRING
	columns bool   // major dimension
}

func (c *call) rendering(prefix string) (rendering, *apiError) {
	var r rendering
	var failed *apiError
	name := func(s string) string {
		if prefix == "" {
			return s
		}
		return prefix + strings.ToUpper(s[:1]) + s[1:]
	}
	if r.values, failed = c.option(name("valueRenderOption"), "FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"); failed != nil {
		return r, failed
	}
	if r.dates, failed = c.option(name("dateTimeRenderOption"), "SERIAL_NUMBER", "FORMATTED_STRING"); failed != nil {
		return r, failed
	}
	dimension, failed := c.option("majorDimension", "ROWS", "COLUMNS", "DIMENSION_UNSPECIFIED")
	r.columns = dimension == "COLUMNS"
	return r, failed
}

func (r rendering) value(c cell) any {
	switch {
	case r.values == "FORMATTED_VALUE", c.kind == emptyCell:
		return c.shown()
	case c.kind == formulaCell && r.values == "FORMULA":
		return c.text
	case c.kind == numberCell && c.format.isDate() && r.dates == "FORMATTED_STRING":
		return c.shown()
	case c.kind == numberCell:
		return c.number
	case c.kind == boolCell:
		return c.truth
	}
	return c.shown()
}

// values reads a range; trailing rows and cells without values are left out.
func (r rendering) render(g gridRange) *sheets.ValueRange {
	out := &sheets.ValueRange{Range: g.String(), MajorDimension: "ROWS"}
	rows, columns := g.endRow-g.row, g.endColumn-g.column
	at := func(i, j int) cell { return g.sheet.at(g.row+i, g.column+j) }
	if r.columns {
		out.MajorDimension = "COLUMNS"
		rows, columns = columns, rows
		at = func(i, j int) cell { return g.sheet.at(g.row+j, g.column+i) }
	}
	usedRows, usedColumns := g.sheet.used()
	if r.columns {
		usedRows, usedColumns = usedColumns, usedRows
	}
	last := 0
	for i := range min(rows, usedRows) {
		row := []any{}
		end := 0
		for j := range min(columns, usedColumns) {
			c := at(i, j)
			row = append(row, r.value(c))
			if c.kind != emptyCell {
				end = j + 1
			}
		}
		out.Values = append(out.Values, row[:end])
		if end > 0 {
			last = i + 1
		}
	}
	out.Values = out.Values[:last]
	return out
}

// getValues answers values.get.
func (s *Server) getValues(c *call) (any, *apiError) {
	r, failed := c.rendering("")
	if failed != nil {
		return nil, failed
	}
	m, failed := c.mask(reflect.TypeFor[sheets.ValueRange]())
	if failed != nil {
		return nil, failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, failed := s.read(c)
	if failed != nil {
		return nil, failed
	}
	g, failed := b.parseWithin(c.PathValue("range"))
	if failed != nil {
		return nil, failed
	}
	return masked(r.render(g), m)
}

// mask parses the field mask of a call for a resource.
func (c *call) mask(t reflect.Type) (*fieldMask, *apiError) {
	m, failed := c.fields()
	if failed != nil {
		return nil, failed
	}
	if path := m.unknown(t); path != "" {
		return nil, badFields(path)
	}
	return m, nil
}

func (b *book) parseWithin(s string) (gridRange, *apiError) {
	g, failed := b.parseRange(s)
	if failed != nil {
		return g, failed
	}
	return g.within()
}

// batchGetValues answers values.batchGet.
func (s *Server) batchGetValues(c *call) (any, *apiError) {
	r, failed := c.rendering("")
	if failed != nil {
		return nil, failed
	}
	m, failed := c.mask(reflect.TypeFor[sheets.BatchGetValuesResponse]())
	if failed != nil {
		return nil, failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, b, failed := s.read(c)
	if failed != nil {
		return nil, failed
	}
	out := &sheets.BatchGetValuesResponse{SpreadsheetId: f.id}
	for _, one := range c.query["ranges"] {
		g, failed := b.parseWithin(one)
		if failed != nil {
			return nil, failed
		}
		out.ValueRanges = append(out.ValueRanges, r.render(g))
	}
	return masked(out, m)
}

// input is what values.update and values.append were sent.
type input struct {
	values    [][]any // row by row
	parse     func(any) (cell, bool)
	insert    bool
	back      bool // whether the values are wanted in the answer
	rendering rendering
}

func (c *call) input(wanted string) (input, *apiError) {
	var in input
	var body struct {
		Range          string  `json:"range"`
		MajorDimension string  `json:"majorDimension"`
		Values         [][]any `json:"values"`
	}
	if len(c.body) > 0 {
		if failed := decodeStrict(c.body, &body, "data"); failed != nil {
			return in, failed
		}
	}
	switch option := c.query.Get("valueInputOption"); option {
	case "RAW":
		in.parse = literal
	case "USER_ENTERED":
		in.parse = typed
	case "", "INPUT_VALUE_OPTION_UNSPECIFIED":
		return in, invalid("'valueInputOption' is required but not specified")
	default:
		return in, invalid("Invalid value at 'value_input_option' (type.googleapis.com/google.apps.sheets.v4.ValueInputOption), %q", option)
	}
	how, failed := c.option("insertDataOption", "OVERWRITE", "INSERT_ROWS")
	if failed != nil {
		return in, failed
	}
	in.insert = how == "INSERT_ROWS"
	in.back, _ = parseBool(c.query.Get("includeValuesInResponse"))
	if in.rendering, failed = c.rendering("response"); failed != nil {
		return in, failed
	}
	if body.Range != "" && body.Range != wanted {
		return in, invalid("Requested writing within range [%s], but the request's range is [%s]", wanted, body.Range)
	}
	in.values = body.Values
	if body.MajorDimension == "COLUMNS" {
		in.values = nil
		for j, column := range body.Values {
			for i, v := range column {
				for len(in.values) <= i {
					in.values = append(in.values, nil)
				}
				for len(in.values[i]) < j {
					in.values[i] = append(in.values[i], nil)
				}
				in.values[i] = append(in.values[i], v)
			}
		}
	}
	for i, row := range in.values {
		for j, v := range row {
			if _, ok := in.parse(v); !ok {
				return in, invalid("Invalid values[%d][%d]: %v", i, j, v)
			}
		}
	}
	return in, nil
}

// write puts the values into a sheet, from a place. A nil leaves its cell alone.
func (in input) write(f *file, s *sheet, row, column int) *sheets.UpdateValuesResponse {
	out := &sheets.UpdateValuesResponse{SpreadsheetId: f.id}
	width := 1
	columns := map[int]bool{}
	for i, values := range in.values {
		wrote := false
		for j, v := range values {
			width = max(width, j+1)
			if v == nil {
				continue
			}
			value, _ := in.parse(v)
			s.cell(row+i, column+j).set(value)
			out.UpdatedCells++
			columns[j], wrote = true, true
		}
		if wrote {
			out.UpdatedRows++
		}
	}
	out.UpdatedColumns = int64(len(columns))
	g := gridRange{s, row, column, row + max(1, len(in.values)), column + width}
	out.UpdatedRange = g.String()
	if in.back {
		out.UpdatedData = in.rendering.render(g)
	}
	return out
}

// updateValues answers values.update.
func (s *Server) updateValues(c *call) (any, *apiError) {
	wanted := c.PathValue("range")
	in, failed := c.input(wanted)
	if failed != nil {
		return nil, failed
	}
	m, failed := c.mask(reflect.TypeFor[sheets.UpdateValuesResponse]())
	if failed != nil {
		return nil, failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, failed := s.open(c, Editor)
	if failed != nil {
		return nil, failed
	}
	next := f.book.state.clone()
	g, failed := next.parseWithin(wanted)
	if failed != nil {
		return nil, failed
	}
	// A single cell says only where to begin.
	single := g.endRow-g.row == 1 && g.endColumn-g.column == 1
	for i, row := range in.values {
		outside := g.row+i >= g.sheet.rows || g.column+len(row) > g.sheet.columns
		if outside || !single && (g.row+i >= g.endRow || g.column+len(row) > g.endColumn) {
			return nil, invalid("Requested writing within range [%s], but tried writing to row [%d] or column [%s]", g, g.row+i+1, columnName(g.column+max(0, len(row)-1)))
		}
	}
	out := in.write(f, g.sheet, g.row, g.column)
	s.commitCall(c, f, next)
	return masked(out, m)
}

// appendValues answers values.append: after the last table that the range touches, from that table's
// first column or, where there is none, from the range's first cell.
func (s *Server) appendValues(c *call) (any, *apiError) {
	wanted, ok := strings.CutSuffix(c.PathValue("range"), ":append")
	if !ok {
		return nil, notFound()
	}
	in, failed := c.input(wanted)
	if failed != nil {
		return nil, failed
	}
	m, failed := c.mask(reflect.TypeFor[sheets.AppendValuesResponse]())
	if failed != nil {
		return nil, failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, failed := s.open(c, Editor)
	if failed != nil {
		return nil, failed
	}
	next := f.book.state.clone()
	g, failed := next.parseWithin(wanted)
	if failed != nil {
		return nil, failed
	}
	out := &sheets.AppendValuesResponse{SpreadsheetId: f.id}
	row, column := g.row, g.column
	if table, ok := g.tableIn(); ok {
		out.TableRange = table.String()
		row, column = table.endRow, table.column
	}
	if in.insert && row < g.sheet.rows {
		next.insertRows(g.sheet, row, len(in.values))
	}
	out.Updates = in.write(f, g.sheet, row, column)
	s.commitCall(c, f, next)
	return masked(out, m)
}

// getSpreadsheet answers spreadsheets.get.
func (s *Server) getSpreadsheet(c *call) (any, *apiError) {
	if c.verb != "" {
		return nil, notFound()
	}
	m, failed := c.mask(reflect.TypeFor[sheets.Spreadsheet]())
	if failed != nil {
		return nil, failed
	}
	grid, ok := parseBool(c.query.Get("includeGridData"))
	if !ok {
		return nil, invalid("Invalid value at 'include_grid_data' (TYPE_BOOL), %q", c.query.Get("includeGridData"))
	}
	if m != nil {
		// With a field mask, that alone says whether there is to be data.
		inSheets, selected := m.child("sheets")
		if selected {
			_, selected = inSheets.child("data")
		}
		grid = selected
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, b, failed := s.read(c)
	if failed != nil {
		return nil, failed
	}
	var ranges []gridRange
	for _, one := range c.query["ranges"] {
		g, failed := b.parseWithin(one)
		if failed != nil {
			return nil, failed
		}
		ranges = append(ranges, g)
	}
	return masked(f.renderSpreadsheet(b, grid, ranges), m)
}

func (f *file) renderSpreadsheet(b *book, grid bool, ranges []gridRange) *sheets.Spreadsheet {
	out := &sheets.Spreadsheet{
		SpreadsheetId: f.id, SpreadsheetUrl: "https://docs.google.com/spreadsheets/d/" + f.id + "/edit",
		Properties: &sheets.SpreadsheetProperties{Title: b.title, Locale: "en_US", AutoRecalc: "ON_CHANGE", TimeZone: f.book.timeZone},
	}
	for i, sh := range b.sheets {
		one := &sheets.Sheet{Properties: sh.properties(i)}
		if len(ranges) > 0 && !slices.ContainsFunc(ranges, func(g gridRange) bool { return g.sheet == sh }) {
			continue
		}
		if grid {
			if len(ranges) == 0 {
				one.Data = append(one.Data, gridRange{sh, 0, 0, sh.rows, sh.columns}.render())
			}
			for _, g := range ranges {
				if g.sheet == sh {
					one.Data = append(one.Data, g.render())
				}
			}
		}
		for _, md := range b.metadata {
			if md.Location.LocationType == "SHEET" && md.Location.SheetId == sh.id {
				one.DeveloperMetadata = append(one.DeveloperMetadata, md)
			}
		}
		out.Sheets = append(out.Sheets, one)
	}
	for _, md := range b.metadata {
		if md.Location.LocationType == "SPREADSHEET" {
			out.DeveloperMetadata = append(out.DeveloperMetadata, md)
		}
	}
	return out
}

func (s *sheet) properties(index int) *sheets.SheetProperties {
	return &sheets.SheetProperties{
		SheetId: s.id, Title: s.title, Index: int64(index), SheetType: "GRID", Hidden: s.hidden,
		GridProperties:  &sheets.GridProperties{RowCount: int64(s.rows), ColumnCount: int64(s.columns), FrozenRowCount: int64(s.frozen)},
		ForceSendFields: []string{"SheetId", "Index"},
	}
}

// render is the range's cells; rows and cells after the last with anything in it are left out.
func (g gridRange) render() *sheets.GridData {
	out := &sheets.GridData{StartRow: int64(g.row), StartColumn: int64(g.column)}
	for r := g.row; r < min(g.endRow, len(g.sheet.cells)); r++ {
		row := &sheets.RowData{}
		for c := g.column; c < min(g.endColumn, len(g.sheet.cells[r])); c++ {
			row.Values = append(row.Values, g.sheet.cells[r][c].render())
		}
		out.RowData = append(out.RowData, row)
	}
	return out
}

func (c cell) render() *sheets.CellData {
	out := &sheets.CellData{Note: c.note}
	if c.format != (numberFormat{}) {
		out.UserEnteredFormat = &sheets.CellFormat{NumberFormat: &sheets.NumberFormat{Type: c.format.kind, Pattern: c.format.pattern}}
		out.EffectiveFormat = out.UserEnteredFormat
	}
	switch c.kind {
	case emptyCell:
		return out
	case numberCell:
		out.UserEnteredValue = &sheets.ExtendedValue{NumberValue: &c.number}
	case textCell:
		out.UserEnteredValue = &sheets.ExtendedValue{StringValue: &c.text}
	case boolCell:
		out.UserEnteredValue = &sheets.ExtendedValue{BoolValue: &c.truth}
	case formulaCell:
		out.UserEnteredValue = &sheets.ExtendedValue{FormulaValue: &c.text}
		out.EffectiveValue = &sheets.ExtendedValue{ErrorValue: &sheets.ErrorValue{Type: "LOADING", Message: "Loading..."}}
	}
	if out.EffectiveValue == nil {
		out.EffectiveValue = out.UserEnteredValue
	}
	out.FormattedValue = c.shown()
	return out
}

// getMetadata answers developerMetadata.get.
func (s *Server) getMetadata(c *call) (any, *apiError) {
	m, failed := c.mask(reflect.TypeFor[sheets.DeveloperMetadata]())
	if failed != nil {
		return nil, failed
	}
	id, err := strconv.ParseInt(c.PathValue("metadata"), 10, 32)
	if err != nil {
		return nil, invalid("Invalid value at 'metadata_id' (TYPE_INT32), %q", c.PathValue("metadata"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, failed := s.read(c)
	if failed != nil {
		return nil, failed
	}
	for _, md := range b.metadata {
		if md.MetadataId == id {
			return masked(md, m)
		}
	}
	e := notFound()
	e.message = fmt.Sprintf("No developer metadata with ID [%d] was found.", id)
	return nil, e
}

// searchMetadata answers developerMetadata.search, by metadata lookups.
func (s *Server) searchMetadata(c *call) (any, *apiError) {
	var request sheets.SearchDeveloperMetadataRequest
	if failed := decodeStrict(c.body, &request, "request"); failed != nil {
		return nil, failed
	}
	m, failed := c.mask(reflect.TypeFor[sheets.SearchDeveloperMetadataResponse]())
	if failed != nil {
		return nil, failed
	}
	for _, filter := range request.DataFilters {
		if filter.DeveloperMetadataLookup == nil {
			return nil, unimplemented("A data filter without a developer metadata lookup")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, failed := s.read(c)
	if failed != nil {
		return nil, failed
	}
	out := &sheets.SearchDeveloperMetadataResponse{}
	for _, md := range b.metadata {
		var by []*sheets.DataFilter
		for _, filter := range request.DataFilters {
			if matches(filter.DeveloperMetadataLookup, md) {
				by = append(by, filter)
			}
		}
		if by != nil {
			out.MatchedDeveloperMetadata = append(out.MatchedDeveloperMetadata, &sheets.MatchedDeveloperMetadata{
				DeveloperMetadata: md, DataFilters: by,
			})
		}
	}
	return masked(out, m)
}

// matches says whether metadata is what a lookup looks for. Places are compared exactly.
func matches(l *sheets.DeveloperMetadataLookup, md *sheets.DeveloperMetadata) bool {
	return (l.MetadataId == 0 || l.MetadataId == md.MetadataId) &&
		(l.MetadataKey == "" || l.MetadataKey == md.MetadataKey) &&
		(l.MetadataValue == "" || l.MetadataValue == md.MetadataValue) &&
		(l.Visibility == "" || l.Visibility == md.Visibility) &&
		(l.LocationType == "" || l.LocationType == md.Location.LocationType) &&
		(l.MetadataLocation == nil || sameLocation(l.MetadataLocation, md.Location))
}

func sameLocation(a, b *sheets.DeveloperMetadataLocation) bool {
	if a.DimensionRange != nil && b.DimensionRange != nil {
		x, y := a.DimensionRange, b.DimensionRange
		return x.SheetId == y.SheetId && x.Dimension == y.Dimension && x.StartIndex == y.StartIndex && x.EndIndex == y.EndIndex
	}
	return a.Spreadsheet == b.Spreadsheet && (a.DimensionRange == nil) == (b.DimensionRange == nil) && a.SheetId == b.SheetId
}
