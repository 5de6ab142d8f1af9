package google

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/api/sheets/v4"
)

// batchUpdateSpreadsheet answers spreadsheets.batchUpdate.
func (s *Server) batchUpdateSpreadsheet(c *call) (any, *apiError) {
	if c.verb != "batchUpdate" {
		return nil, notFound()
	}
	var body struct {
		Requests json.RawMessage `json:"requests"`
		Include  bool            `json:"includeSpreadsheetInResponse"`
		Ranges   []string        `json:"responseRanges"`
		Grid     bool            `json:"responseIncludeGridData"`
		Comments string          `json:"commentsViewMode"`
	}
	if failed := decodeTop(c.body, &body); failed != nil {
		return nil, failed
	}
	requests, failed := parseRequests(body.Requests, reflect.TypeFor[sheets.Request]())
	if failed != nil {
		return nil, failed
	}
	m, failed := c.mask(reflect.TypeFor[sheets.BatchUpdateSpreadsheetResponse]())
	if failed != nil {
		return nil, failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, failed := s.open(c, Editor)
	if failed != nil {
		return nil, failed
	}
	if len(requests) == 0 {
		return nil, invalid("Must specify at least one request.")
	}
	u := bookUpdate{f.book.state.clone(), f.book, f.book.timeZone, s.behavior.DuplicateMetadata}
	out := &sheets.BatchUpdateSpreadsheetResponse{SpreadsheetId: f.id}
	for i, request := range requests {
		reply, failed := u.apply(request)
		if failed != nil {
			return nil, failed.inRequest(i, request.name)
		}
		out.Replies = append(out.Replies, reply)
	}
	f.book.timeZone = u.timeZone
	s.commitCall(c, f, u.book)
	if body.Include {
		var ranges []gridRange
		for _, one := range body.Ranges {
			g, failed := u.parseWithin(one)
			if failed != nil {
				return nil, failed
			}
			ranges = append(ranges, g)
		}
		out.UpdatedSpreadsheet = f.renderSpreadsheet(u.book, body.Grid, ranges)
	}
	return masked(out, m)
}

// bookUpdate changes a copy of a spreadsheet's state.
type bookUpdate struct {
	*book
	of         *workbook
	timeZone   string
	duplicates bool // whether metadata may have an ID that exists
}

func (u *bookUpdate) apply(request batchRequest) (*sheets.Response, *apiError) {
	none := &sheets.Response{}
	switch r := request.body.(type) {
	case *sheets.AppendCellsRequest:
		return none, u.appendCells(r)
	case *sheets.UpdateCellsRequest:
		return none, u.updateCells(r)
	case *sheets.RepeatCellRequest:
		return none, u.repeatCell(r)
	case *sheets.CreateDeveloperMetadataRequest:
		return u.createMetadata(r)
	case *sheets.DeleteDeveloperMetadataRequest:
		return u.deleteMetadata(r)
	case *sheets.DeleteDimensionRequest:
		return none, u.deleteDimension(r)
	case *sheets.InsertDimensionRequest:
		return none, u.insertDimension(r)
	case *sheets.AppendDimensionRequest:
		return none, u.appendDimension(r)
	case *sheets.AddSheetRequest:
		return u.addSheet(r)
	case *sheets.DeleteSheetRequest:
		return none, u.deleteSheet(r)
	case *sheets.UpdateSheetPropertiesRequest:
		return none, u.updateSheet(r)
	case *sheets.UpdateSpreadsheetPropertiesRequest:
		return none, u.updateProperties(r)
	}
	return nil, unimplemented("The request " + request.name)
}

func (u *bookUpdate) grid(id int64) (*sheet, *apiError) {
	if s := u.byID(id); s != nil {
		return s, nil
	}
	return nil, invalid("No grid with id: %d", id)
}

// cellFields reads the mask of a request that writes cells.
func cellFields(s string) (*fieldMask, *apiError) {
	m, err := parseMask(s)
	if err != nil {
		return nil, invalid("Invalid field mask: %s", s)
	}
	if m == nil {
		return nil, invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
	}
	if path := m.unknown(reflect.TypeFor[sheets.CellData]()); path != "" {
		return nil, invalid("Invalid field: %s", path)
	}
	return m, nil
}

// write sets of a cell what a mask selects; nil clears it.
func (c *cell) write(data *sheets.CellData, m *fieldMask) *apiError {
	if data == nil {
		data = &sheets.CellData{}
	}
	next := *c
	if _, ok := m.child("userEnteredValue"); ok {
		value, failed := extended(data.UserEnteredValue)
		if failed != nil {
			return failed
		}
		value.format, value.note = c.format, c.note
		next = value
	}
	if below, ok := m.child("userEnteredFormat"); ok {
		if _, ok := below.child("numberFormat"); ok {
			next.format = numberFormat{}
			if data.UserEnteredFormat != nil && data.UserEnteredFormat.NumberFormat != nil {
				nf := data.UserEnteredFormat.NumberFormat
				if !slices.Contains([]string{"TEXT", "NUMBER", "PERCENT", "CURRENCY", "DATE", "TIME", "DATE_TIME", "SCIENTIFIC"}, nf.Type) {
					return invalid("Invalid number format type: %q", nf.Type)
				}
				next.format = numberFormat{nf.Type, nf.Pattern}
			}
		}
	}
	if _, ok := m.child("note"); ok {
		next.note = data.Note
	}
	*c = next
	return nil
}

// extended is a value as a request writes it: never parsed.
func extended(v *sheets.ExtendedValue) (cell, *apiError) {
	switch {
	case v == nil:
		return cell{}, nil
	case v.NumberValue != nil:
		return cell{kind: numberCell, number: *v.NumberValue}, nil
	case v.BoolValue != nil:
		return cell{kind: boolCell, truth: *v.BoolValue}, nil
	case v.FormulaValue != nil:
		if !strings.HasPrefix(*v.FormulaValue, "=") {
			return cell{}, invalid("Invalid formula value %q: it must start with '='.", *v.FormulaValue)
		}
		return cell{kind: formulaCell, text: *v.FormulaValue}, nil
	case v.ErrorValue != nil:
		return cell{}, invalid("Cells with error values can't be written.")
	case v.StringValue != nil && *v.StringValue != "":
		return cell{kind: textCell, text: *v.StringValue}, nil
	}
	return cell{}, nil
}

// appendCells writes rows after the last with data in the sheet, from column A.
func (u *bookUpdate) appendCells(r *sheets.AppendCellsRequest) *apiError {
	if r.TableId != "" {
		return unimplemented("Appending to a table by its ID")
	}
	s, failed := u.grid(r.SheetId)
	if failed != nil {
		return failed
	}
	m, failed := cellFields(r.Fields)
	if failed != nil {
		return failed
	}
	row, _ := s.used()
	return s.writeRows(row, 0, r.Rows, m)
}

func (s *sheet) writeRows(row, column int, rows []*sheets.RowData, m *fieldMask) *apiError {
	for i, data := range rows {
		// A row without cells takes up its place all the same.
		s.rows = max(s.rows, row+i+1)
		if data == nil {
			continue
		}
		for j, value := range data.Values {
			if failed := s.cell(row+i, column+j).write(value, m); failed != nil {
				return failed
			}
		}
	}
	return nil
}

func (u *bookUpdate) updateCells(r *sheets.UpdateCellsRequest) *apiError {
	m, failed := cellFields(r.Fields)
	if failed != nil {
		return failed
	}
	switch {
	case r.Start != nil && r.Range == nil:
		s, failed := u.grid(r.Start.SheetId)
		if failed != nil {
			return failed
		}
		row, column := int(r.Start.RowIndex), int(r.Start.ColumnIndex)
		for i, data := range r.Rows {
			if row+i >= s.rows || data != nil && column+len(data.Values) > s.columns {
				return invalid("Attempting to write column: %d, beyond the last requested column of: %d", column, s.columns-1)
			}
		}
		return s.writeRows(row, column, r.Rows, m)
	case r.Range != nil && r.Start == nil:
		g, failed := u.area(r.Range)
		if failed != nil {
			return failed
		}
		for row := g.row; row < g.endRow; row++ {
			var values []*sheets.CellData
			if i := row - g.row; i < len(r.Rows) && r.Rows[i] != nil {
				values = r.Rows[i].Values
			}
			if len(values) > g.endColumn-g.column {
				return invalid("Attempting to write column: %d, beyond the last requested column of: %d", g.column+len(values)-1, g.endColumn-1)
			}
			for column := g.column; column < g.endColumn; column++ {
				var value *sheets.CellData
				if j := column - g.column; j < len(values) {
					value = values[j]
				}
				if value == nil && g.sheet.at(row, column) == (cell{}) {
					continue
				}
				if failed := g.sheet.cell(row, column).write(value, m); failed != nil {
					return failed
				}
			}
		}
		if len(r.Rows) > g.endRow-g.row {
			return invalid("Attempting to write row: %d, beyond the last requested row of: %d", g.row+len(r.Rows)-1, g.endRow-1)
		}
		return nil
	}
	return invalid("Must specify exactly one of start and range.")
}

// area is the part of the grid that a request names; what it leaves open reaches as far as the grid.
func (u *bookUpdate) area(r *sheets.GridRange) (gridRange, *apiError) {
	s, failed := u.grid(r.SheetId)
	if failed != nil {
		return gridRange{}, failed
	}
	g := gridRange{s, int(r.StartRowIndex), int(r.StartColumnIndex), int(r.EndRowIndex), int(r.EndColumnIndex)}
	if g.endRow == 0 {
		g.endRow = s.rows
	}
	if g.endColumn == 0 {
		g.endColumn = s.columns
	}
	if g.row < 0 || g.column < 0 || g.row >= g.endRow || g.column >= g.endColumn || g.endRow > s.rows || g.endColumn > s.columns {
		return g, invalid("GridRange exceeds grid limits. Max rows: %d, max columns: %d", s.rows, s.columns)
	}
	return g, nil
}

func (u *bookUpdate) repeatCell(r *sheets.RepeatCellRequest) *apiError {
	m, failed := cellFields(r.Fields)
	if failed != nil {
		return failed
	}
	if r.Range == nil {
		return invalid("Must specify a range.")
	}
	g, failed := u.area(r.Range)
	if failed != nil {
		return failed
	}
	for row := g.row; row < g.endRow; row++ {
		for column := g.column; column < g.endColumn; column++ {
			if failed := g.sheet.cell(row, column).write(r.Cell, m); failed != nil {
				return failed
			}
		}
	}
	return nil
}

func (u *bookUpdate) createMetadata(r *sheets.CreateDeveloperMetadataRequest) (*sheets.Response, *apiError) {
	if r.DeveloperMetadata == nil {
		return nil, invalid("Must specify developer metadata.")
	}
	md := *r.DeveloperMetadata
	switch {
	case md.MetadataKey == "":
		return nil, invalid("Developer metadata must have a key.")
	case md.Visibility != "DOCUMENT" && md.Visibility != "PROJECT":
		return nil, invalid("Developer metadata must have a visibility.")
	case md.Location == nil:
		return nil, invalid("Developer metadata must have a location.")
	case md.MetadataId < 0 || md.MetadataId > 1<<31-1:
		return nil, invalid("Developer metadata IDs must be positive.")
	}
	location := *md.Location
	switch {
	case location.Spreadsheet:
		location.LocationType = "SPREADSHEET"
	case location.DimensionRange != nil:
		at := *location.DimensionRange
		s, failed := u.grid(at.SheetId)
		if failed != nil {
			return nil, failed
		}
		limit := int64(s.rows)
		if location.LocationType = "ROW"; at.Dimension == "COLUMNS" {
			location.LocationType, limit = "COLUMN", int64(s.columns)
		} else if at.Dimension != "ROWS" {
			return nil, invalid("Must specify a dimension.")
		}
		if at.StartIndex < 0 || at.EndIndex != at.StartIndex+1 || at.EndIndex > limit {
			return nil, invalid("Developer metadata can be associated with a single row or column only.")
		}
		location.DimensionRange = &at
	default:
		if _, failed := u.grid(location.SheetId); failed != nil {
			return nil, failed
		}
		location.LocationType = "SHEET"
	}
	md.Location = &location
	taken := func(id int64) bool {
		return slices.ContainsFunc(u.metadata, func(other *sheets.DeveloperMetadata) bool { return other.MetadataId == id })
	}
	if md.MetadataId != 0 && taken(md.MetadataId) && !u.duplicates {
		return nil, invalid("Developer metadata with the ID [%d] already exists.", md.MetadataId)
	}
	for md.MetadataId == 0 || taken(md.MetadataId) && r.DeveloperMetadata.MetadataId == 0 {
		md.MetadataId = randomInt31()
	}
	u.metadata = append(u.metadata, &md)
	return &sheets.Response{CreateDeveloperMetadata: &sheets.CreateDeveloperMetadataResponse{DeveloperMetadata: &md}}, nil
}

func (u *bookUpdate) deleteMetadata(r *sheets.DeleteDeveloperMetadataRequest) (*sheets.Response, *apiError) {
	if r.DataFilter == nil || r.DataFilter.DeveloperMetadataLookup == nil {
		return nil, unimplemented("A data filter without a developer metadata lookup")
	}
	out := &sheets.DeleteDeveloperMetadataResponse{}
	u.metadata = slices.DeleteFunc(u.metadata, func(md *sheets.DeveloperMetadata) bool {
		if !matches(r.DataFilter.DeveloperMetadataLookup, md) {
			return false
		}
		out.DeletedDeveloperMetadata = append(out.DeletedDeveloperMetadata, md)
		return true
	})
	return &sheets.Response{DeleteDeveloperMetadata: out}, nil
}

// dimension checks a range of rows or columns.
func (u *bookUpdate) dimension(r *sheets.DimensionRange) (s *sheet, start, end int, failed *apiError) {
	if r == nil {
		return nil, 0, 0, invalid("Must specify a range.")
	}
	if s, failed = u.grid(r.SheetId); failed != nil {
		return nil, 0, 0, failed
	}
	if r.Dimension != "ROWS" && r.Dimension != "COLUMNS" {
		return nil, 0, 0, invalid("Must specify a dimension.")
	}
	start, end = int(r.StartIndex), int(r.EndIndex)
	if start < 0 || end != 0 && end <= start {
		return nil, 0, 0, invalid("The range of rows or columns must not be empty.")
	}
	return s, start, end, nil
}

func (u *bookUpdate) deleteDimension(r *sheets.DeleteDimensionRequest) *apiError {
	s, start, end, failed := u.dimension(r.Range)
	if failed != nil {
		return failed
	}
	count, what := &s.rows, "rows"
	if r.Range.Dimension == "COLUMNS" {
		count, what = &s.columns, "columns"
	}
	if end == 0 {
		end = *count
	}
	switch {
	case start >= *count || end > *count:
		return invalid("Cannot delete %s %d to %d: the sheet has %d.", what, start, end, *count)
	case end-start == *count:
		return invalid("You can't delete all the %s on the sheet.", what)
	}
	*count -= end - start
	if what == "rows" {
		s.cells = slices.Delete(s.cells, min(start, len(s.cells)), min(end, len(s.cells)))
	} else {
		for i, row := range s.cells {
			s.cells[i] = slices.Delete(row, min(start, len(row)), min(end, len(row)))
		}
	}
	u.shiftMetadata(s.id, r.Range.Dimension, start, start-end)
	return nil
}

func (u *bookUpdate) insertDimension(r *sheets.InsertDimensionRequest) *apiError {
	s, start, end, failed := u.dimension(r.Range)
	if failed != nil {
		return failed
	}
	if end == 0 {
		return invalid("Both the start and the end index must be given.")
	}
	n := end - start
	if r.Range.Dimension == "ROWS" {
		if start > s.rows {
			return invalid("Cannot insert rows at %d: the sheet has %d.", start, s.rows)
		}
		if failed := fits(s.rows+n, s.columns); failed != nil {
			return failed
		}
		u.insertRows(s, start, n)
		return nil
	}
	if start > s.columns {
		return invalid("Cannot insert columns at %d: the sheet has %d.", start, s.columns)
	}
	if failed := fits(s.rows, s.columns+n); failed != nil {
		return failed
	}
	s.columns += n
	for i, row := range s.cells {
		if start < len(row) {
			s.cells[i] = slices.Insert(row, start, make([]cell, n)...)
		}
	}
	u.shiftMetadata(s.id, "COLUMNS", start, n)
	return nil
}

func (u *bookUpdate) appendDimension(r *sheets.AppendDimensionRequest) *apiError {
	s, failed := u.grid(r.SheetId)
	if failed != nil {
		return failed
	}
	rows, columns := s.rows, s.columns
	switch {
	case r.Length <= 0:
		return invalid("The length must be positive.")
	case r.Dimension == "ROWS":
		rows += int(r.Length)
	case r.Dimension == "COLUMNS":
		columns += int(r.Length)
	default:
		return invalid("Must specify a dimension.")
	}
	if failed := fits(rows, columns); failed != nil {
		return failed
	}
	s.rows, s.columns = rows, columns
	return nil
}

// fits says why a grid can't be of a size.
func fits(rows, columns int) *apiError {
	if rows > maxCells || columns > maxCells || rows*columns > maxCells {
		return invalid("This action would increase the number of cells in the workbook above the limit of %d cells.", maxCells)
	}
	return nil
}

// insertRows puts empty rows before a row, and moves what is associated with later ones.
func (b *book) insertRows(s *sheet, at, n int) {
	s.insertRows(at, n)
	b.shiftMetadata(s.id, "ROWS", at, n)
}

// shiftMetadata moves metadata of rows or columns from at on by n; where n is negative, what was there
// is deleted with its metadata.
func (b *book) shiftMetadata(sheetID int64, dimension string, at, n int) {
	b.metadata = slices.DeleteFunc(b.metadata, func(md *sheets.DeveloperMetadata) bool {
		r := md.Location.DimensionRange
		return r != nil && r.SheetId == sheetID && r.Dimension == dimension && n < 0 && int(r.StartIndex) >= at && int(r.StartIndex) < at-n
	})
	for i, md := range b.metadata {
		r := md.Location.DimensionRange
		if r == nil || r.SheetId != sheetID || r.Dimension != dimension || int(r.StartIndex) < at {
			continue
		}
		moved, location, dims := *md, *md.Location, *r
		dims.StartIndex += int64(n)
		dims.EndIndex += int64(n)
		location.DimensionRange = &dims
		moved.Location = &location
		b.metadata[i] = &moved
	}
}

func (u *bookUpdate) addSheet(r *sheets.AddSheetRequest) (*sheets.Response, *apiError) {
	p := r.Properties
	if p == nil {
		p = &sheets.SheetProperties{}
	}
	s := &sheet{id: p.SheetId, title: p.Title, hidden: p.Hidden, rows: defaultRows, columns: defaultColumns}
	switch {
	case s.id < 0:
		return nil, invalid("Sheet IDs must not be negative.")
	case s.id == 0:
		s.id = u.freeID()
	case u.byID(s.id) != nil:
		return nil, invalid("A sheet with the ID %d already exists.", s.id)
	}
	if s.title == "" {
		for n := len(u.sheets) + 1; s.title == "" || u.byTitle(s.title) != nil; n++ {
			s.title = fmt.Sprintf("Sheet%d", n)
		}
	}
	if failed := u.freeTitle(s.title); failed != nil {
		return nil, failed
	}
	if g := p.GridProperties; g != nil {
		if g.RowCount > 0 {
			s.rows = int(g.RowCount)
		}
		if g.ColumnCount > 0 {
			s.columns = int(g.ColumnCount)
		}
		s.frozen = int(g.FrozenRowCount)
	}
	if failed := fits(s.rows, s.columns); failed != nil {
		return nil, failed
	}
	at := len(u.sheets)
	if p.Index > 0 {
		at = min(at, int(p.Index))
	}
	u.sheets = slices.Insert(u.sheets, at, s)
	return &sheets.Response{AddSheet: &sheets.AddSheetResponse{Properties: s.properties(at)}}, nil
}

func (u *bookUpdate) freeTitle(title string) *apiError {
	if slices.ContainsFunc(u.sheets, func(s *sheet) bool { return strings.EqualFold(s.title, title) }) {
		return invalid("A sheet with the name %q already exists. Please enter another name.", title)
	}
	return nil
}

func (u *bookUpdate) deleteSheet(r *sheets.DeleteSheetRequest) *apiError {
	s, failed := u.grid(r.SheetId)
	if failed != nil {
		return failed
	}
	if len(u.sheets) == 1 {
		return invalid("You can't remove all the sheets in a document.")
	}
	u.removeSheet(s)
	return nil
}

func (b *book) removeSheet(s *sheet) {
	b.sheets = slices.DeleteFunc(b.sheets, func(other *sheet) bool { return other == s })
	b.metadata = slices.DeleteFunc(b.metadata, func(md *sheets.DeveloperMetadata) bool {
		at := md.Location
		return at.LocationType == "SHEET" && at.SheetId == s.id || at.DimensionRange != nil && at.DimensionRange.SheetId == s.id
	})
}

func (u *bookUpdate) updateSheet(r *sheets.UpdateSheetPropertiesRequest) *apiError {
	m, err := parseMask(r.Fields)
	if err != nil || m == nil {
		return invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
	}
	if path := m.unknown(reflect.TypeFor[sheets.SheetProperties]()); path != "" {
		return invalid("Invalid field: %s", path)
	}
	if r.Properties == nil {
		return invalid("Must specify properties.")
	}
	s, failed := u.grid(r.Properties.SheetId)
	if failed != nil {
		return failed
	}
	p := r.Properties
	if _, ok := m.child("title"); ok && p.Title != s.title {
		if p.Title == "" {
			return invalid("Sheet names can't be empty.")
		}
		if failed := u.freeTitle(p.Title); failed != nil && !strings.EqualFold(p.Title, s.title) {
			return failed
		}
		s.title = p.Title
	}
	if _, ok := m.child("hidden"); ok {
		s.hidden = p.Hidden
	}
	if _, ok := m.child("index"); ok {
		from := slices.Index(u.sheets, s)
		to := min(max(0, int(p.Index)), len(u.sheets))
		if to > from {
			to-- // indexes are those of before the move
		}
		u.sheets = slices.Insert(slices.Delete(u.sheets, from, from+1), to, s)
	}
	if below, ok := m.child("gridProperties"); ok {
		g := p.GridProperties
		if g == nil {
			g = &sheets.GridProperties{}
		}
		if _, ok := below.child("frozenRowCount"); ok {
			s.frozen = int(g.FrozenRowCount)
		}
		if _, ok := below.child("rowCount"); ok && g.RowCount > 0 {
			s.rows = int(g.RowCount)
			s.cells = s.cells[:min(len(s.cells), s.rows)]
		}
		if _, ok := below.child("columnCount"); ok && g.ColumnCount > 0 {
			s.columns = int(g.ColumnCount)
			for i, row := range s.cells {
				s.cells[i] = row[:min(len(row), s.columns)]
			}
		}
		return fits(s.rows, s.columns)
	}
	return nil
}

func (u *bookUpdate) updateProperties(r *sheets.UpdateSpreadsheetPropertiesRequest) *apiError {
	m, err := parseMask(r.Fields)
	if err != nil || m == nil {
		return invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
	}
	if r.Properties == nil {
		return invalid("Must specify properties.")
	}
	if _, ok := m.child("title"); ok {
		u.title = r.Properties.Title
	}
	if _, ok := m.child("timeZone"); ok && r.Properties.TimeZone != "" {
		u.timeZone = r.Properties.TimeZone
	}
	return nil
}
