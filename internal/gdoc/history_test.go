package gdoc

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

var columns = []string{"taken", "released", "name", "purpose", "summary", "consent", "entry"}

var headers = []string{"Taken", "Released", "Name", "Purpose", "Summary", "Consent", "Entry ID"}

func anyRow(cells []string) []any {
	row := make([]any, len(cells))
	for i, c := range cells {
		row[i] = c
	}
	return row
}

var madrid = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		panic(err)
	}
	return zone
}()

// spreadsheet makes a spreadsheet of sheets, and the bot's history in it.
func (l local) spreadsheet(t *testing.T, config HistoryConfig, sheets ...google.SheetSpec) (*google.Spreadsheet, *History) {
	t.Helper()
	s, err := l.NewSpreadsheet(google.SpreadsheetSpec{Sheets: sheets})
	if err != nil {
		t.Fatal(err)
	}
	config.Spreadsheet = s.ID()
	if config.Columns == nil {
		config.Columns = columns
	}
	h, err := l.client.History(config)
	if err != nil {
		t.Fatal(err)
	}
	return s, h
}

func entry(id string) deploytoken.Entry {
	return deploytoken.Entry{
		ID:    id,
		Taken: time.Date(2026, 7, 1, 8, 30, 15, 0, time.UTC), Released: time.Date(2026, 7, 1, 22, 5, 0, 0, time.UTC),
		Name: "Ann Lee", Purpose: "=1+1", Summary: "+HYPERLINK(\"x\")\nsecond line", Consent: "2026-01-01",
	}
}

func appendEntry(t *testing.T, h *History, e deploytoken.Entry) {
	t.Helper()
	if err := h.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func TestAppend(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{Location: madrid})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := entry("e1")
	appendEntry(t, h, e)
	appendEntry(t, h, deploytoken.Entry{ID: "e2", Released: e.Released, Name: "Bo"})

	cells := s.Cells("")
	if len(cells) != 3 {
		t.Fatalf("%d rows: %v", len(cells), s.Rows(""))
	}
	for i, want := range headers {
		if cells[0][i].Value != want {
			t.Errorf("header %d is %v, want %s", i, cells[0][i].Value, want)
		}
	}
	if got := cells[1][0]; got.Shown != "2026-07-01 10:30:15" {
		t.Errorf("taken is shown as %q", got.Shown)
	}
	if _, number := cells[1][1].Value.(float64); !number || cells[1][1].Shown != "2026-07-02 00:05:00" {
		t.Errorf("released is %+v", cells[1][1])
	}
	for i, want := range []string{"Ann Lee", e.Purpose, e.Summary, e.Consent, "e1"} {
		if got := cells[1][2+i]; got.Value != want || got.Formula != "" {
			t.Errorf("column %d is %+v, want the text %q", 2+i, got, want)
		}
	}
	if got := cells[2][0]; got.Value != nil {
		t.Errorf("an unknown time is %+v", got)
	}

	got, err := h.Recent(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	e.Taken, e.Released = e.Taken.In(madrid), e.Released.In(madrid)
	want := []deploytoken.Entry{{ID: "e2", Released: e.Released, Name: "Bo"}, e}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v, want\n%+v", got, want)
	}
	if got, err = h.Recent(t.Context(), 1); err != nil || len(got) != 1 || got[0].ID != "e2" {
		t.Errorf("the last one is %+v, %v", got, err)
	}
}

func TestAppendIsOneCall(t *testing.T) {
	l := startGoogle(t)
	_, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := l.calls("")
	for i := range 3 {
		appendEntry(t, h, entry(fmt.Sprint("e", i)))
	}
	if n := l.calls("") - before; n != 3 {
		t.Errorf("3 rows took %d calls", n)
	}
}

// TestHeadersOnce: a read that lags behind the first row brings no second
// headers.
func TestHeadersOnce(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{})
	s.StaleReads(time.Hour)
	appendEntry(t, h, entry("e1"))
	appendEntry(t, h, entry("e2"))
	if rows := s.Rows(""); len(rows) != 3 || rows[2][len(headers)-1] != "e2" {
		t.Errorf("the rows are %q", rows)
	}
}

func TestColumnsLeftAlone(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{Columns: []string{"name", "", "released", "entry"}, Sheet: "Deploys 'n' all"},
		google.SheetSpec{Title: "Rules", Rows: [][]any{{"no history"}}},
		google.SheetSpec{Title: "Deploys 'n' all", Rows: [][]any{{"Who", "Ticket", "When"}, {"Old", 7, "2020-01-02"}}})
	e := entry("e1")
	appendEntry(t, h, e)
	rows := s.Rows("Deploys 'n' all")
	if want := []string{"Ann Lee", "", "2026-07-01 22:05:00", "e1"}; len(rows) != 3 || !slices.Equal(rows[2], want) {
		t.Errorf("the rows are %q", rows)
	}
	got, err := h.Recent(t.Context(), 9)
	want := []deploytoken.Entry{
		{ID: "e1", Name: "Ann Lee", Released: e.Released},
		{Name: "Old", Released: time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)},
		{Name: "Who"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
	if n := len(s.Rows("Rules")); n != 1 {
		t.Errorf("the other tab has %d rows", n)
	}
}

func TestHeadersThatContradict(t *testing.T) {
	for _, tt := range []struct {
		name string
		row  []any
		says string // of the problem; "" for none
	}{
		{"as written", anyRow(headers), ""},
		{"none", nil, ""},
		{"case", []any{"TAKEN", "released", "Name", "Purpose", "Summary", "Consent", "entry id"}, ""},
		{"renamed", []any{"From", "To", "Who", "Why", "What", "OK", "Entry ID", "Notes"}, ""},
		{"no header for the ID yet", []any{"From", "To", "Who"}, ""},
		{"another header for the ID", []any{"From", "To", "Who", "Why", "What", "OK", "Notes"}, "column G, whose header is “Notes”"},
		{"a column was inserted", []any{"", "Taken", "Released", "Name", "Purpose", "Summary", "Consent", "Entry ID"}, "“Taken” stands in column B, and is configured for column A"},
		{"the ID was moved", []any{"From", "To", "Who", "Why", "What", "OK", "", "Entry ID"}, "“Entry ID” stands in column H, and is configured for column G"},
		{"two were exchanged", []any{"Taken", "Released", "Purpose", "Name", "Summary", "Consent", "Entry ID"}, "“Purpose” stands in column C"},
		{"one twice", []any{"Taken", "Released", "Name", "Purpose", "Summary", "Consent", "Entry ID", "Name"}, ""},
		{"numbers", []any{1.0, true, nil, "Name"}, "“Name” stands in column D"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problem := checkHeader(columns, tt.row)
			if (problem == "") != (tt.says == "") || !strings.Contains(problem, tt.says) {
				t.Errorf("the problem is %q, want %q", problem, tt.says)
			}
		})
	}
}

func TestColumnMovedMeanwhile(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	appendEntry(t, h, entry("e1"))
	if err := s.Apply(ann, google.SheetEdit{Kind: google.InsertColumn, Cell: "A1"}); err != nil {
		t.Fatal(err)
	}
	_, err := h.Count(t.Context(), "e1")
	wantFault(t, err, deploytoken.ErrMisconfigured, "History", "column B", "column A")
	wantFault(t, h.Append(t.Context(), entry("e2")), deploytoken.ErrMisconfigured, "column B")
	if rows := s.Rows(""); len(rows) != 2 {
		t.Errorf("the rows are %q", rows)
	}
}

func TestTabs(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{Sheet: "History"},
		google.SheetSpec{Title: "First"}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	appendEntry(t, h, entry("e1"))
	if err := s.RenameTab(ann, "History", "Old history"); err != nil {
		t.Fatal(err)
	}
	_, err := h.Recent(t.Context(), 1)
	wantFault(t, err, deploytoken.ErrMisconfigured, "“History”", "“First”, “Old history”", "google.sheet")
	wantFault(t, h.Ready(t.Context()), deploytoken.ErrMisconfigured, "“History”")

	_, first := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "One"}, google.SheetSpec{Title: "Two"})
	if err := first.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, narrow := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "One", ColumnCount: 3})
	wantFault(t, narrow.Ready(t.Context()), deploytoken.ErrMisconfigured, "3 columns", "7 are configured")
}

// TestRenamedFirstTab: nobody named the first tab, so its title may change.
func TestRenamedFirstTab(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "One", Rows: [][]any{anyRow(headers)}})
	appendEntry(t, h, entry("e1"))
	if err := s.RenameTab(ann, "One", "Uno"); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Count(t.Context(), "e1"); n != 1 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	appendEntry(t, h, entry("e2"))
	if rows := s.Rows("Uno"); len(rows) != 3 {
		t.Errorf("the rows are %q", rows)
	}
}

func TestDeletedTab(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "One", Rows: [][]any{anyRow(headers)}}, google.SheetSpec{Title: "Two", Rows: [][]any{anyRow(headers)}})
	appendEntry(t, h, entry("e1"))
	if err := s.Apply(ann, google.SheetEdit{Kind: google.DeleteTab, Tab: "One"}); err != nil {
		t.Fatal(err)
	}
	appendEntry(t, h, entry("e2"))
	if rows := s.Rows("Two"); len(rows) != 2 {
		t.Errorf("the rows are %q", rows)
	}
}

func TestAppendAgain(t *testing.T) {
	for _, kind := range []google.FaultKind{google.DropAfter, google.FailAfter, google.DropBefore, google.FailBefore} {
		t.Run(string(kind), func(t *testing.T) {
			l := startGoogle(t)
			s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
			appendEntry(t, h, entry("e1"))
			l.fault(t, google.Fault{Operation: google.SheetsBatchUpdate, Kind: kind, Count: 1})
			wantFault(t, h.Append(t.Context(), entry("e2")), deploytoken.ErrAmbiguous)
			appendEntry(t, h, entry("e2"))
			if n, err := h.Count(t.Context(), "e2"); n != 1 || err != nil {
				t.Errorf("counted %d, %v", n, err)
			}
			if rows := s.Rows(""); len(rows) != 3 {
				t.Errorf("the rows are %q", rows)
			}
		})
	}
}

// TestAppendAgainToNewTab: the headers are not written twice either.
func TestAppendAgainToNewTab(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{})
	l.fault(t, google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.DropAfter, Count: 1})
	wantFault(t, h.Append(t.Context(), entry("e1")), deploytoken.ErrAmbiguous)
	appendEntry(t, h, entry("e1"))
	appendEntry(t, h, entry("e2"))
	if rows := s.Rows(""); len(rows) != 3 {
		t.Errorf("the rows are %q", rows)
	}
}

// TestMetadataInTheWay: metadata of the same ID that is of another entry, as one
// in two thousand million, does not keep a row out.
func TestMetadataInTheWay(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	other := h.appendRequests(tab{}, entry("other"), nil)
	other[0].CreateDeveloperMetadata.DeveloperMetadata.MetadataId = metadataID("e1")
	if err := h.update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	appendEntry(t, h, entry("e1"))
	if n, err := h.Count(t.Context(), "e1"); n != 1 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	if md := s.Metadata(); len(md) != 1 || md[0].Value != "e1" || md[0].Location != "SPREADSHEET" {
		t.Errorf("the metadata is %+v", md)
	}
}

func TestDoubles(t *testing.T) {
	l := startGoogle(t)
	if err := l.SetBehavior(google.Behavior{DuplicateMetadata: true}); err != nil {
		t.Fatal(err)
	}
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	for _, id := range []string{"e1", "e2", "e1", "e3", "e1", "e4"} {
		appendEntry(t, h, entry(id))
	}
	if n, err := h.Count(t.Context(), "e1"); n != 3 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	if n, err := h.RemoveDoubles(t.Context(), "e1"); n != 2 || err != nil {
		t.Errorf("removed %d, %v", n, err)
	}
	if n, err := h.RemoveDoubles(t.Context(), "e1"); n != 0 || err != nil {
		t.Errorf("then removed %d, %v", n, err)
	}
	var ids []string
	for _, row := range s.Rows("")[1:] {
		ids = append(ids, row[6])
	}
	if want := []string{"e1", "e2", "e3", "e4"}; !slices.Equal(ids, want) {
		t.Errorf("the rows are %v, want %v", ids, want)
	}
}

func TestDoublesOfWhichNoneIsLeft(t *testing.T) {
	l := startGoogle(t)
	if err := l.SetBehavior(google.Behavior{DuplicateMetadata: true}); err != nil {
		t.Fatal(err)
	}
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	appendEntry(t, h, entry("e1"))
	appendEntry(t, h, entry("e1"))
	s.StaleReads(time.Hour)
	if err := s.Clear(ann, ""); err != nil {
		t.Fatal(err)
	}
	_, err := h.RemoveDoubles(t.Context(), "e1")
	wantFault(t, err, deploytoken.ErrAmbiguous, "e1")
}

func TestHistoryTrouble(t *testing.T) {
	l := startGoogle(t)
	s, h := l.spreadsheet(t, HistoryConfig{}, google.SheetSpec{Title: "History", Rows: [][]any{anyRow(headers)}})
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.fault(t, google.Fault{Kind: google.RateLimit})
	wantFault(t, h.Append(t.Context(), entry("e1")), deploytoken.ErrUnavailable, "passes by itself")
	_, err := h.Count(t.Context(), "e1")
	wantFault(t, err, deploytoken.ErrUnavailable)
	l.ClearFaults()

	if err := l.Share(s.ID(), account, google.Viewer); err != nil {
		t.Fatal(err)
	}
	wantFault(t, h.Ready(t.Context()), deploytoken.ErrMisconfigured, account, "Editor", "Deploy history")
	wantFault(t, h.Append(t.Context(), entry("e1")), deploytoken.ErrMisconfigured, account, "Editor")
	if err := l.Share(s.ID(), account, google.NoAccess); err != nil {
		t.Fatal(err)
	}
	wantFault(t, h.Ready(t.Context()), deploytoken.ErrMisconfigured, account, "Editor")
	_, err = h.Recent(t.Context(), 1)
	wantFault(t, err, deploytoken.ErrMisconfigured)

	none, err := l.client.History(HistoryConfig{Spreadsheet: "nosuchfile", Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	wantFault(t, none.Ready(t.Context()), deploytoken.ErrMisconfigured, "nosuchfile", "google.spreadsheet")

	l.Close()
	l.client.Close()
	wantFault(t, h.Append(t.Context(), entry("e1")), deploytoken.ErrUnavailable)
}

// TestReadyWithoutDrive: Drive only says earlier what a write would.
func TestReadyWithoutDrive(t *testing.T) {
	l := startGoogle(t)
	_, h := l.spreadsheet(t, HistoryConfig{})
	if err := l.SetBehavior(google.Behavior{DisabledAPIs: []string{"drive.googleapis.com"}}); err != nil {
		t.Fatal(err)
	}
	if err := h.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadColumns(t *testing.T) {
	c := &Client{}
	for _, bad := range [][]string{nil, {"name"}, {"entry", "name", "name"}, {"entry", "nom"}} {
		_, err := c.History(HistoryConfig{Columns: bad})
		wantFault(t, err, deploytoken.ErrMisconfigured, "google.history_columns")
	}
}

func TestSerial(t *testing.T) {
	for _, tt := range []struct {
		at     time.Time
		serial float64
	}{
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), 2},
		{time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), 25569},
		{time.Date(2026, 7, 1, 12, 0, 0, 0, madrid), 46204.5},
		{time.Date(2026, 1, 1, 18, 0, 0, 0, madrid), 46023.75},
	} {
		if got := toSerial(tt.at, tt.at.Location()); got != tt.serial {
			t.Errorf("%v is %v, want %v", tt.at, got, tt.serial)
		}
		if got := fromSerial(tt.serial, tt.at.Location()); !got.Equal(tt.at) {
			t.Errorf("%v is %v, want %v", tt.serial, got, tt.at)
		}
	}
	for _, bad := range []float64{-1, 0, 1e18} {
		if got := fromSerial(bad, time.UTC); !got.IsZero() {
			t.Errorf("%v is %v", bad, got)
		}
	}
}

func TestReadEntryByHand(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 30, 0, 0, madrid)
	for _, tt := range []struct {
		row  []any
		want deploytoken.Entry
	}{
		{nil, deploytoken.Entry{}},
		{[]any{"2026-07-01 12:30", "", " Ann "}, deploytoken.Entry{Taken: at, Name: "Ann"}},
		{[]any{"yesterday", 46204.520833333336, 42.5, true, nil, "", "", "more"}, deploytoken.Entry{Released: at, Name: "42.5", Purpose: "TRUE"}},
	} {
		got := readEntry(columns, tt.row, madrid)
		if !got.Taken.Equal(tt.want.Taken) || !got.Released.Equal(tt.want.Released) {
			t.Errorf("%v: the times are %v and %v", tt.row, got.Taken, got.Released)
		}
		got.Taken, got.Released = tt.want.Taken, tt.want.Released
		if got != tt.want {
			t.Errorf("%v is %+v, want %+v", tt.row, got, tt.want)
		}
	}
}

func TestCellText(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00b\x1b[0m\tc\nd":            "ab[0m\tc\nd",
		"\xff":                           "",
		strings.Repeat("x", cellLimit):   strings.Repeat("x", cellLimit),
		strings.Repeat("x", cellLimit+1): strings.Repeat("x", cellLimit-1) + "…",
		strings.Repeat("😀", cellLimit/2): strings.Repeat("😀", cellLimit/2),
		strings.Repeat("😀", cellLimit):   strings.Repeat("😀", cellLimit/2-1) + "…",
	} {
		if got := cellText(in); got != want {
			t.Errorf("a text of %d bytes became one of %d, want %d", len(in), len(got), len(want))
		}
	}
}

func TestColumnName(t *testing.T) {
	for i, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 27: "AB", 701: "ZZ", 702: "AAA"} {
		if got := columnName(i); got != want {
			t.Errorf("column %d is %s, want %s", i, got, want)
		}
	}
}

func TestHistoryErrorsAreFaults(t *testing.T) {
	l := startGoogle(t)
	_, h := l.spreadsheet(t, HistoryConfig{})
	l.fault(t, google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.FailBefore, Status: 400})
	err := h.Append(t.Context(), entry("e1"))
	if _, ok := errors.AsType[*deploytoken.Fault](err); !ok {
		t.Errorf("got %v", err)
	}
	wantFault(t, err, deploytoken.ErrMisconfigured, "refused")
}
