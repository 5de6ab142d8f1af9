package google_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

func newSpreadsheet(t *testing.T, s *google.Server, sheets ...google.SheetSpec) *google.Spreadsheet {
	t.Helper()
	p, err := s.NewSpreadsheet(google.SpreadsheetSpec{Title: "Deploy history", Sheets: sheets})
	must(t, err)
	return p
}

func rows(p *google.Spreadsheet, tab string) string {
	var out []string
	for _, r := range p.Rows(tab) {
		out = append(out, strings.Join(r, ","))
	}
	return strings.Join(out, "|")
}

func TestAppendingValues(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	for _, tt := range []struct {
		name         string
		rows         [][]any
		at           string
		insert       string
		input        string
		values       []any
		want         string
		table, wrote string
	}{
		{"after the header", [][]any{{"a", "b"}}, "Log!A1", "INSERT_ROWS", "RAW", []any{"x", "y"}, "a,b|x,y", "Log!A1:B1", "Log!A2:B2"},
		{"to an empty tab", nil, "Log!A1", "INSERT_ROWS", "RAW", []any{"x"}, "x", "", "Log!A1"},
		{"a whole tab", [][]any{{"a"}, {"b"}}, "Log", "OVERWRITE", "RAW", []any{"x"}, "a|b|x", "Log!A1:A2", "Log!A3"},
		{"a table that begins in column B", [][]any{{nil, "a"}, {nil, "b"}}, "Log", "INSERT_ROWS", "RAW", []any{"x", "y"}, ",a|,b|,x,y", "Log!B1:B2", "Log!B3:C3"},
		{"above a second table, inserting", [][]any{{"a"}, {}, {"b"}}, "Log!A1", "INSERT_ROWS", "RAW", []any{"x"}, "a|x||b", "Log!A1", "Log!A2"},
		{"above a second table, overwriting", [][]any{{"a"}, {}, {"b"}}, "Log!A1", "OVERWRITE", "RAW", []any{"x"}, "a|x|b", "Log!A1", "Log!A2"},
		{"a nil leaves its cell", [][]any{{"a", "b"}}, "Log!A1", "INSERT_ROWS", "RAW", []any{nil, "y"}, "a,b|,y", "Log!A1:B1", "Log!A2:B2"},
		{"an empty text empties it", [][]any{{"a", "b"}}, "Log!A1", "INSERT_ROWS", "RAW", []any{"", "y"}, "a,b|,y", "Log!A1:B1", "Log!A2:B2"},
		{"raw formulas are text", [][]any{{"a"}}, "Log!A1", "INSERT_ROWS", "RAW", []any{"=1+1"}, "a|=1+1", "Log!A1", "Log!A2"},
		{"entered formulas are formulas", [][]any{{"a"}}, "Log!A1", "INSERT_ROWS", "USER_ENTERED", []any{"=1+1"}, "a|Loading...", "Log!A1", "Log!A2"},
		{"raw dates are text, entered ones dates", [][]any{{"a"}}, "Log!A1", "INSERT_ROWS", "USER_ENTERED", []any{"2026-11-23"}, "a|2026-11-23", "Log!A1", "Log!A2"},
	} {
		p := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", Rows: tt.rows})
		got, err := c.sheets.Spreadsheets.Values.Append(p.ID(), tt.at, &sheets.ValueRange{Values: [][]any{tt.values}}).
			ValueInputOption(tt.input).InsertDataOption(tt.insert).Do()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if rows(p, "Log") != tt.want || got.TableRange != tt.table || got.Updates.UpdatedRange != tt.wrote {
			t.Errorf("%s: %q after %q at %q, want %q", tt.name, rows(p, "Log"), got.TableRange, got.Updates.UpdatedRange, tt.want)
		}
	}

	full := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", RowCount: 1, ColumnCount: 2, Rows: [][]any{{"a", "b"}}})
	_, err := c.sheets.Spreadsheets.Values.Append(full.ID(), "Log!A1", &sheets.ValueRange{Values: [][]any{{"x", "y"}}}).ValueInputOption("RAW").InsertDataOption("INSERT_ROWS").Do()
	if err != nil || rows(full, "Log") != "a,b|x,y" {
		t.Errorf("a full grid: %v, %s", err, rows(full, "Log"))
	}
}

func TestReadingAndUpdatingValues(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	p := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", Rows: [][]any{{"Taken", "N", "B"}, {"2026-11-23 18:00", 1.5, true, "=A1"}, {}, {"", "x"}}})
	values := c.sheets.Spreadsheets.Values
	for _, tt := range []struct {
		name string
		get  func() (*sheets.ValueRange, error)
		want string
	}{
		{"as shown", func() (*sheets.ValueRange, error) { return values.Get(p.ID(), "Log").Do() }, "[[Taken N B] [2026-11-23 18:00 1.5 TRUE Loading...] [] [ x]]"},
		{"as values", func() (*sheets.ValueRange, error) {
			return values.Get(p.ID(), "Log!A2:D2").ValueRenderOption("UNFORMATTED_VALUE").DateTimeRenderOption("SERIAL_NUMBER").Do()
		}, "[[46349.75 1.5 true Loading...]]"},
		{"as values, with dates as shown", func() (*sheets.ValueRange, error) {
			return values.Get(p.ID(), "Log!A2:B2").ValueRenderOption("UNFORMATTED_VALUE").DateTimeRenderOption("FORMATTED_STRING").Do()
		}, "[[2026-11-23 18:00 1.5]]"},
		{"as formulas", func() (*sheets.ValueRange, error) {
			return values.Get(p.ID(), "Log!D2").ValueRenderOption("FORMULA").Do()
		}, "[[=A1]]"},
		{"by columns", func() (*sheets.ValueRange, error) {
			return values.Get(p.ID(), "Log!A1:B2").MajorDimension("COLUMNS").Do()
		}, "[[Taken 2026-11-23 18:00] [N 1.5]]"},
		{"nothing there", func() (*sheets.ValueRange, error) { return values.Get(p.ID(), "Log!F:G").Do() }, "[]"},
	} {
		got, err := tt.get()
		if err != nil || fmt.Sprint(got.Values) != tt.want {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
	many, err := values.BatchGet(p.ID()).Ranges("Log!A1", "Log!B1:B2").Do()
	if err != nil || len(many.ValueRanges) != 2 || fmt.Sprint(many.ValueRanges[1].Values) != "[[N] [1.5]]" {
		t.Errorf("two ranges: %+v, %v", many, err)
	}

	updated, err := values.Update(p.ID(), "Log!B1:C1", &sheets.ValueRange{Values: [][]any{{"M", nil}}}).ValueInputOption("RAW").IncludeValuesInResponse(true).Do()
	if err != nil || updated.UpdatedCells != 1 || fmt.Sprint(updated.UpdatedData.Values) != "[[M B]]" {
		t.Errorf("update: %+v, %v", updated, err)
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"a tab that isn't there", func() error { _, err := values.Get(p.ID(), "Gone!A1").Do(); return err }, "Unable to parse range: Gone!A1"},
		{"append to a tab that isn't there", func() error {
			_, err := values.Append(p.ID(), "Gone!A1", &sheets.ValueRange{Values: [][]any{{"x"}}}).ValueInputOption("RAW").Do()
			return err
		}, "Unable to parse range: Gone!A1"},
		{"outside the grid", func() error { _, err := values.Get(p.ID(), "Log!A2000").Do(); return err }, "exceeds grid limits. Max rows: 1000, max columns: 26"},
		{"no input option", func() error {
			_, err := values.Append(p.ID(), "Log!A1", &sheets.ValueRange{Values: [][]any{{"x"}}}).Do()
			return err
		}, "'valueInputOption' is required but not specified"},
		{"more than the range", func() error {
			_, err := values.Update(p.ID(), "Log!A1:B1", &sheets.ValueRange{Values: [][]any{{"x", "y", "z"}}}).ValueInputOption("RAW").Do()
			return err
		}, "Requested writing within range"},
		{"a list in a cell", func() error {
			_, err := values.Update(p.ID(), "Log!A1", &sheets.ValueRange{Values: [][]any{{[]any{"x"}}}}).ValueInputOption("RAW").Do()
			return err
		}, "Invalid values[0][0]"},
	} {
		if e := apiError(t, tt.do()); e.Code != 400 || !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s: %v", tt.name, e)
		}
	}
}

func metadata(id int64, value string) *sheets.Request {
	return &sheets.Request{CreateDeveloperMetadata: &sheets.CreateDeveloperMetadataRequest{DeveloperMetadata: &sheets.DeveloperMetadata{
		MetadataId: id, MetadataKey: "entry", MetadataValue: value, Visibility: "DOCUMENT", Location: &sheets.DeveloperMetadataLocation{Spreadsheet: true},
	}}}
}

func appendText(sheet int64, values ...string) *sheets.Request {
	row := &sheets.RowData{}
	for _, v := range values {
		row.Values = append(row.Values, &sheets.CellData{UserEnteredValue: &sheets.ExtendedValue{StringValue: &v}})
	}
	return &sheets.Request{AppendCells: &sheets.AppendCellsRequest{SheetId: sheet, Fields: "userEnteredValue", Rows: []*sheets.RowData{row}}}
}

func TestSpreadsheetBatches(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	batch := func(p *google.Spreadsheet, requests ...*sheets.Request) error {
		_, err := c.sheets.Spreadsheets.BatchUpdate(p.ID(), &sheets.BatchUpdateSpreadsheetRequest{Requests: requests}).Do()
		return err
	}
	p := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", Rows: [][]any{{"a"}, {}, {nil, "far"}}}, google.SheetSpec{ID: 7, Title: "Other"})

	must(t, batch(p, metadata(5, "e1"), appendText(0, "x", "y")))
	if got := rows(p, "Log"); got != "a||,far|x,y" {
		t.Errorf("appended after the last row with data, from column A: %q", got)
	}
	if e := apiError(t, batch(p, metadata(5, "e1"), appendText(0, "again"))); e.Code != 400 || !strings.HasPrefix(e.Message, "Invalid requests[0].createDeveloperMetadata: ") {
		t.Errorf("the same metadata ID: %v", e)
	}
	if e := apiError(t, batch(p, appendText(0, "half"), metadata(6, "e2"), appendText(99, "no such tab"))); e.Code != 400 || e.Message != "Invalid requests[2].appendCells: No grid with id: 99" {
		t.Errorf("a batch that fails at its end: %v", e)
	}
	if got := rows(p, "Log"); got != "a||,far|x,y" || len(p.Metadata()) != 1 || p.Revision() != 2 {
		t.Errorf("after refused batches: %q, %+v", got, p.Metadata())
	}
	must(t, s.SetBehavior(google.Behavior{DuplicateMetadata: true}))
	must(t, batch(p, metadata(5, "e1"), appendText(7, "twice")))
	if len(p.Metadata()) != 2 || rows(p, "Other") != "twice" {
		t.Errorf("where duplicates are accepted: %+v, %q", p.Metadata(), rows(p, "Other"))
	}
	must(t, s.SetBehavior(google.Behavior{}))

	found, err := c.sheets.Spreadsheets.DeveloperMetadata.Search(p.ID(), &sheets.SearchDeveloperMetadataRequest{DataFilters: []*sheets.DataFilter{
		{DeveloperMetadataLookup: &sheets.DeveloperMetadataLookup{MetadataKey: "entry", MetadataId: 5}}}}).Do()
	if err != nil || len(found.MatchedDeveloperMetadata) != 2 || found.MatchedDeveloperMetadata[0].DeveloperMetadata.MetadataValue != "e1" {
		t.Errorf("search: %+v, %v", found, err)
	}
	_, err = c.sheets.Spreadsheets.DeveloperMetadata.Get(p.ID(), 404).Do()
	if e := apiError(t, err); e.Code != 404 {
		t.Errorf("metadata that isn't there: %v", e)
	}

	// Metadata of a row goes where the row goes.
	row := func(i int64) *sheets.DeveloperMetadataLocation {
		return &sheets.DeveloperMetadataLocation{DimensionRange: &sheets.DimensionRange{Dimension: "ROWS", StartIndex: i, EndIndex: i + 1}}
	}
	onRow := metadata(8, "row")
	onRow.CreateDeveloperMetadata.DeveloperMetadata.Location = row(3)
	must(t, batch(p, onRow, &sheets.Request{DeleteDimension: &sheets.DeleteDimensionRequest{Range: &sheets.DimensionRange{Dimension: "ROWS", StartIndex: 1, EndIndex: 2}}}))
	md, err := c.sheets.Spreadsheets.DeveloperMetadata.Get(p.ID(), 8).Do()
	if err != nil || md.Location.DimensionRange.StartIndex != 2 || rows(p, "Log") != "a|,far|x,y" {
		t.Errorf("after a row above was deleted: %+v, %v, %q", md, err, rows(p, "Log"))
	}
	must(t, batch(p, &sheets.Request{DeleteDimension: &sheets.DeleteDimensionRequest{Range: &sheets.DimensionRange{Dimension: "ROWS", StartIndex: 2, EndIndex: 3}}}))
	if _, err = c.sheets.Spreadsheets.DeveloperMetadata.Get(p.ID(), 8).Do(); apiError(t, err).Code != 404 || rows(p, "Log") != "a|,far" {
		t.Errorf("after the row was deleted: %v, %q", err, rows(p, "Log"))
	}

	number := 46349.75
	must(t, batch(p,
		&sheets.Request{AddSheet: &sheets.AddSheetRequest{Properties: &sheets.SheetProperties{SheetId: 9, Title: "New"}}},
		&sheets.Request{UpdateCells: &sheets.UpdateCellsRequest{Start: &sheets.GridCoordinate{SheetId: 9, RowIndex: 1, ColumnIndex: 1}, Fields: "userEnteredValue,userEnteredFormat/numberFormat",
			Rows: []*sheets.RowData{{Values: []*sheets.CellData{{UserEnteredValue: &sheets.ExtendedValue{NumberValue: &number}, UserEnteredFormat: &sheets.CellFormat{NumberFormat: &sheets.NumberFormat{Type: "DATE_TIME"}}}}}}}},
		&sheets.Request{UpdateSheetProperties: &sheets.UpdateSheetPropertiesRequest{Properties: &sheets.SheetProperties{SheetId: 7, Title: "Renamed", GridProperties: &sheets.GridProperties{FrozenRowCount: 1}}, Fields: "title,gridProperties.frozenRowCount"}},
	))
	if strings.Join(p.Tabs(), ",") != "Log,Renamed,New" || rows(p, "New") != "|,11/23/2026 18:00:00" {
		t.Errorf("tabs %v, %q", p.Tabs(), rows(p, "New"))
	}
	if cell := p.Cells("New")[1][1]; !cell.Time.Equal(time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)) {
		t.Errorf("the date is %+v", cell)
	}

	for _, tt := range []struct {
		name string
		r    *sheets.Request
		want string
	}{
		{"no fields", &sheets.Request{AppendCells: &sheets.AppendCellsRequest{}}, "At least one field must be listed"},
		{"an unknown field", &sheets.Request{AppendCells: &sheets.AppendCellsRequest{Fields: "nonsense"}}, "Invalid field: nonsense"},
		{"a tab's name twice", &sheets.Request{AddSheet: &sheets.AddSheetRequest{Properties: &sheets.SheetProperties{Title: "log"}}}, `A sheet with the name "log" already exists.`},
		{"every row", &sheets.Request{DeleteDimension: &sheets.DeleteDimensionRequest{Range: &sheets.DimensionRange{Dimension: "ROWS"}}}, "You can't delete all the rows on the sheet."},
		{"no dimension", &sheets.Request{DeleteDimension: &sheets.DeleteDimensionRequest{Range: &sheets.DimensionRange{EndIndex: 1}}}, "Must specify a dimension."},
		{"metadata without a key", &sheets.Request{CreateDeveloperMetadata: &sheets.CreateDeveloperMetadataRequest{DeveloperMetadata: &sheets.DeveloperMetadata{}}}, "must have a key"},
	} {
		if e := apiError(t, batch(p, tt.r)); e.Code != 400 || !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s: %v", tt.name, e)
		}
	}
}

func TestRequestsOfASpreadsheetBatch(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	number, truth, formula, text := 5.0, true, "=A1", "t"
	row := func(values ...*sheets.ExtendedValue) []*sheets.RowData {
		r := &sheets.RowData{}
		for _, v := range values {
			r.Values = append(r.Values, &sheets.CellData{UserEnteredValue: v})
		}
		return []*sheets.RowData{r}
	}
	columns := func(from, to int64) *sheets.DimensionRange {
		return &sheets.DimensionRange{Dimension: "COLUMNS", StartIndex: from, EndIndex: to}
	}
	lines := func(from, to int64) *sheets.DimensionRange {
		return &sheets.DimensionRange{Dimension: "ROWS", StartIndex: from, EndIndex: to}
	}
	onSheet := metadata(6, "sheet")
	onSheet.CreateDeveloperMetadata.DeveloperMetadata.Location = &sheets.DeveloperMetadataLocation{SheetId: 7}
	for _, tt := range []struct {
		name string
		r    []*sheets.Request
		want string // of the tab Log, then the tabs; starting with "!", part of the error
	}{
		{"every kind of value", []*sheets.Request{{AppendCells: &sheets.AppendCellsRequest{Fields: "*", Rows: row(
			&sheets.ExtendedValue{NumberValue: &number}, &sheets.ExtendedValue{BoolValue: &truth}, &sheets.ExtendedValue{FormulaValue: &formula}, &sheets.ExtendedValue{StringValue: &text}, nil)}}},
			"a,b|c,d|5,TRUE,Loading...,t Log Other"},
		{"a formula that is none", []*sheets.Request{{AppendCells: &sheets.AppendCellsRequest{Fields: "*", Rows: row(&sheets.ExtendedValue{FormulaValue: &text})}}}, "!must start with '='"},
		{"an error for a value", []*sheets.Request{{AppendCells: &sheets.AppendCellsRequest{Fields: "*", Rows: row(&sheets.ExtendedValue{ErrorValue: &sheets.ErrorValue{}})}}}, "!error values"},
		{"fill a range and clear its rest", []*sheets.Request{{UpdateCells: &sheets.UpdateCellsRequest{Fields: "userEnteredValue",
			Range: &sheets.GridRange{EndRowIndex: 2, EndColumnIndex: 2}, Rows: row(&sheets.ExtendedValue{NumberValue: &number})}}}, "5 Log Other"},
		{"more than the range", []*sheets.Request{{UpdateCells: &sheets.UpdateCellsRequest{Fields: "userEnteredValue",
			Range: &sheets.GridRange{EndRowIndex: 1, EndColumnIndex: 1}, Rows: row(nil, nil)}}}, "!beyond the last requested column"},
		{"outside the grid", []*sheets.Request{{UpdateCells: &sheets.UpdateCellsRequest{Fields: "*", Range: &sheets.GridRange{StartRowIndex: 5000, EndRowIndex: 5001}}}}, "!exceeds grid limits"},
		{"neither start nor range", []*sheets.Request{{UpdateCells: &sheets.UpdateCellsRequest{Fields: "*"}}}, "!exactly one of start and range"},
		{"repeat", []*sheets.Request{{RepeatCell: &sheets.RepeatCellRequest{Fields: "userEnteredValue",
			Range: &sheets.GridRange{EndRowIndex: 2, StartColumnIndex: 1, EndColumnIndex: 2}, Cell: &sheets.CellData{UserEnteredValue: &sheets.ExtendedValue{StringValue: &text}}}}}, "a,t|c,t Log Other"},
		{"a number format that is none", []*sheets.Request{{RepeatCell: &sheets.RepeatCellRequest{Fields: "userEnteredFormat.numberFormat",
			Range: &sheets.GridRange{EndRowIndex: 1}, Cell: &sheets.CellData{UserEnteredFormat: &sheets.CellFormat{NumberFormat: &sheets.NumberFormat{Type: "nonsense"}}}}}}, "!Invalid number format"},
		{"insert columns", []*sheets.Request{{InsertDimension: &sheets.InsertDimensionRequest{Range: columns(1, 2)}}}, "a,,b|c,,d Log Other"},
		{"insert rows", []*sheets.Request{{InsertDimension: &sheets.InsertDimensionRequest{Range: lines(1, 2)}}}, "a,b||c,d Log Other"},
		{"insert too many", []*sheets.Request{{InsertDimension: &sheets.InsertDimensionRequest{Range: lines(1, 1<<40)}}}, "!above the limit"},
		{"insert nothing", []*sheets.Request{{InsertDimension: &sheets.InsertDimensionRequest{Range: lines(1, 1)}}}, "!must not be empty"},
		{"delete a column", []*sheets.Request{{DeleteDimension: &sheets.DeleteDimensionRequest{Range: columns(0, 1)}}}, "b|d Log Other"},
		{"delete what isn't there", []*sheets.Request{{DeleteDimension: &sheets.DeleteDimensionRequest{Range: columns(90, 91)}}}, "!Cannot delete"},
		{"append rows, which hold nothing", []*sheets.Request{{AppendDimension: &sheets.AppendDimensionRequest{Dimension: "ROWS", Length: 5}}}, "a,b|c,d Log Other"},
		{"append too many", []*sheets.Request{{AppendDimension: &sheets.AppendDimensionRequest{Dimension: "ROWS", Length: 1 << 40}}}, "!above the limit"},
		{"delete a tab with its metadata", []*sheets.Request{onSheet, {DeleteSheet: &sheets.DeleteSheetRequest{SheetId: 7}}}, "a,b|c,d Log"},
		{"delete every tab", []*sheets.Request{{DeleteSheet: &sheets.DeleteSheetRequest{SheetId: 7}}, {DeleteSheet: &sheets.DeleteSheetRequest{}}}, "!You can't remove all the sheets"},
		{"move a tab", []*sheets.Request{{UpdateSheetProperties: &sheets.UpdateSheetPropertiesRequest{Fields: "index", Properties: &sheets.SheetProperties{SheetId: 7}}}}, "a,b|c,d Other Log"},
		{"shrink a tab", []*sheets.Request{{UpdateSheetProperties: &sheets.UpdateSheetPropertiesRequest{Fields: "gridProperties(rowCount,columnCount)",
			Properties: &sheets.SheetProperties{GridProperties: &sheets.GridProperties{RowCount: 1, ColumnCount: 1}}}}}, "a Log Other"},
		{"a tab without a name", []*sheets.Request{{UpdateSheetProperties: &sheets.UpdateSheetPropertiesRequest{Fields: "title", Properties: &sheets.SheetProperties{}}}}, "!can't be empty"},
		{"delete metadata", []*sheets.Request{onSheet, metadata(5, "x"), {DeleteDeveloperMetadata: &sheets.DeleteDeveloperMetadataRequest{DataFilter: &sheets.DataFilter{
			DeveloperMetadataLookup: &sheets.DeveloperMetadataLookup{MetadataLocation: &sheets.DeveloperMetadataLocation{SheetId: 7}}}}},
			{DeleteDeveloperMetadata: &sheets.DeleteDeveloperMetadataRequest{DataFilter: &sheets.DataFilter{DeveloperMetadataLookup: &sheets.DeveloperMetadataLookup{LocationType: "SPREADSHEET"}}}}}, "a,b|c,d Log Other"},
		{"what isn't implemented", []*sheets.Request{{SortRange: &sheets.SortRangeRequest{}}}, "!not implemented"},
		{"nothing", nil, "!Must specify at least one request."},
	} {
		p := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", Rows: [][]any{{"a", "b"}, {"c", "d"}}}, google.SheetSpec{ID: 7, Title: "Other"})
		answer, err := c.sheets.Spreadsheets.BatchUpdate(p.ID(), &sheets.BatchUpdateSpreadsheetRequest{Requests: tt.r, IncludeSpreadsheetInResponse: true}).Do()
		if wrong, refused := strings.CutPrefix(tt.want, "!"); refused {
			if e := apiError(t, err); !strings.Contains(e.Message, wrong) || p.Revision() != 1 {
				t.Errorf("%s: %v", tt.name, e)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := rows(p, "Log") + " " + strings.Join(p.Tabs(), " "); got != tt.want || len(p.Metadata()) != 0 || len(answer.UpdatedSpreadsheet.Sheets) != len(p.Tabs()) {
			t.Errorf("%s: got %q with %+v, want %q", tt.name, got, p.Metadata(), tt.want)
		}
	}
	p := newSpreadsheet(t, s)
	_, err := c.sheets.Spreadsheets.BatchUpdate(p.ID(), &sheets.BatchUpdateSpreadsheetRequest{Requests: []*sheets.Request{{UpdateSpreadsheetProperties: &sheets.UpdateSpreadsheetPropertiesRequest{
		Fields: "title,timeZone", Properties: &sheets.SpreadsheetProperties{Title: "Renamed", TimeZone: "Europe/Paris"}}}}}).Do()
	must(t, err)
	got, err := c.sheets.Spreadsheets.Get(p.ID()).Fields("properties(title,timeZone)").Do()
	if err != nil || got.Properties.Title != "Renamed" || got.Properties.TimeZone != "Europe/Paris" {
		t.Errorf("properties: %+v, %v", got, err)
	}
}

func TestReadingSpreadsheets(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	p := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", Rows: [][]any{{"a", "=1"}}}, google.SheetSpec{Title: "Other"})
	get := func() *sheets.SpreadsheetsGetCall { return c.sheets.Spreadsheets.Get(p.ID()) }

	all, err := get().Do()
	must(t, err)
	if all.Properties.Title != "Deploy history" || len(all.Sheets) != 2 || all.Sheets[0].Data != nil || all.Sheets[0].Properties.GridProperties.RowCount != 1000 ||
		all.Sheets[1].Properties.Index != 1 || all.Sheets[1].Properties.SheetId == 0 {
		t.Errorf("got %+v", all)
	}
	titles, err := get().Fields("sheets.properties(sheetId,title)").Do()
	must(t, err)
	if titles.Sheets[1].Properties.Title != "Other" || titles.SpreadsheetId != "" || titles.Sheets[0].Properties.GridProperties != nil {
		t.Errorf("titles: %+v", titles.Sheets[1].Properties)
	}
	data, err := get().IncludeGridData(true).Ranges("Log!A1:B2").Do()
	must(t, err)
	cells := data.Sheets[0].Data[0].RowData[0].Values
	if len(data.Sheets) != 1 || *cells[0].UserEnteredValue.StringValue != "a" || *cells[1].UserEnteredValue.FormulaValue != "=1" ||
		cells[1].EffectiveValue.ErrorValue.Type != "LOADING" || cells[0].FormattedValue != "a" {
		t.Errorf("data: %+v", cells)
	}
	masked, err := get().Fields("sheets.data.rowData.values.formattedValue").Do()
	must(t, err)
	if masked.Sheets[0].Data[0].RowData[0].Values[0].FormattedValue != "a" {
		t.Errorf("masked data: %+v", masked.Sheets[0].Data)
	}
	if _, err = get().Fields("sheets.nonsense").Do(); apiError(t, err).Code != 400 {
		t.Error(err)
	}
}

func TestStaleReads(t *testing.T) {
	now := time.Now()
	s := start(t, google.Config{Clock: func() time.Time { return now }})
	c := signIn(t, s, bot)
	p := newSpreadsheet(t, s, google.SheetSpec{Title: "Log", Rows: [][]any{{"a"}}})
	read := func() int {
		got, err := c.sheets.Spreadsheets.Values.Get(p.ID(), "Log!A:A").Do()
		must(t, err)
		return len(got.Values)
	}
	p.StaleReads(time.Minute)
	_, err := c.sheets.Spreadsheets.BatchUpdate(p.ID(), &sheets.BatchUpdateSpreadsheetRequest{Requests: []*sheets.Request{metadata(5, "e1"), appendText(0, "x")}}).Do()
	must(t, err)
	if read() != 1 || rows(p, "") != "a|x" {
		t.Error("a read saw the row")
	}
	if _, err := c.sheets.Spreadsheets.DeveloperMetadata.Get(p.ID(), 5).Do(); apiError(t, err).Code != 404 {
		t.Error("a read saw the metadata")
	}
	now = now.Add(time.Minute)
	if read() != 2 {
		t.Error("the reads stay stale")
	}
	p.StaleReads(time.Minute)
	p.StaleReads(0)
	must(t, p.AppendByHand(ann, "", "y"))
	if read() != 3 {
		t.Error("the reads are stale again")
	}
}
