package gdoc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// tabFor is how long it is trusted that the tab's headers are as they were.
const tabFor = 10 * time.Minute

// A tab is the sheet that the history is in, as it was looked up.
type tab struct {
	id    int64
	title string
	// empty: there is nothing in it, not even headers.
	empty bool
	at    time.Time
}

// a1 names cells of the tab in A1 notation.
func (t tab) a1(cells string) string {
	return "'" + strings.ReplaceAll(t.title, "'", "''") + "'!" + cells
}

// fault is that of a tab that rows can't be written to as it is.
func (t tab) fault(problem string) error {
	return &deploytoken.Fault{
		Kind:    deploytoken.ErrMisconfigured,
		Message: fmt.Sprintf("The tab “%s” of the Deploy history spreadsheet doesn't fit google.history_columns: %s", t.title, problem),
	}
}

// look returns the tab: as last looked up, or by looking it up, which is two
// calls.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (h *History) look(ctx context.Context) (tab, error) {
	h.mu.Lock()
	last := h.last
	h.mu.Unlock()
	now := h.client.clock()
	if last != nil && now.Sub(last.at) < tabFor {
		return *last, nil
	}
	t, err := h.lookUp(ctx)
	if err != nil {
		return tab{}, err
	}
	t.at = now
	// Somebody else may write the headers of an empty tab meanwhile.
	if !t.empty {
		h.mu.Lock()
		h.last = &t
		h.mu.Unlock()
	}
	return t, nil
}

// headed notes that the tab has its headers now: a read that lags behind may
// still show an empty one.
func (h *History) headed(t tab) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.empty {
		t.empty = false
		h.last = &t
	}
}

// forget has the tab looked up again.
func (h *History) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = nil
}

func (h *History) lookUp(ctx context.Context) (tab, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := h.client.sheets.Spreadsheets.Get(h.config.Spreadsheet).Context(call).
		Fields("sheets(properties(sheetId,title,index,sheetType,gridProperties(columnCount)))").Do()
	if err != nil {
		return tab{}, h.client.explain(err, h.target(false))
	}
	p, err := findTab(s.Sheets, h.config.Sheet)
	if err != nil {
		return tab{}, err
	}
	t := tab{id: p.SheetId, title: p.Title}
	if p.GridProperties != nil && int(p.GridProperties.ColumnCount) < len(h.config.Columns) {
		return t, t.fault(fmt.Sprintf("it has %d columns, and %d are configured. Add columns to it.", p.GridProperties.ColumnCount, len(h.config.Columns)))
	}
	ranges, err := h.values(ctx, t.a1("1:1"))
	if err != nil {
		return t, h.client.explain(err, h.target(false))
	}
	header := firstRow(ranges[0])
	if len(header) == 0 {
		// There may be rows below.
		if ranges, err = h.values(ctx, t.a1("A:"+columnName(len(h.config.Columns)-1))); err != nil {
			return t, h.client.explain(err, h.target(false))
		}
		t.empty = len(ranges[0]) == 0
	}
	if problem := checkHeader(h.config.Columns, header); problem != "" {
		return t, t.fault(problem)
	}
	return t, nil
}

// findTab finds the tab of a title, or the first one of cells for "".
// Errors: deploytoken.ErrMisconfigured.
func findTab(all []*sheets.Sheet, title string) (*sheets.SheetProperties, error) {
	var grids []*sheets.SheetProperties
	var titles []string
	for _, s := range all {
		if p := s.Properties; p != nil && (p.SheetType == "" || p.SheetType == "GRID") {
			grids = append(grids, p)
			titles = append(titles, "“"+p.Title+"”")
		}
	}
	slices.SortFunc(grids, func(a, b *sheets.SheetProperties) int { return int(a.Index - b.Index) })
	for _, p := range grids {
		if title == "" || p.Title == title {
			return p, nil
		}
	}
	if title == "" {
		return nil, &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "The Deploy history spreadsheet has no tab of cells. Add one."}
	}
	return nil, &deploytoken.Fault{
		Kind: deploytoken.ErrMisconfigured,
		Message: fmt.Sprintf("The Deploy history spreadsheet has no tab “%s”; it has %s. Was it renamed? Set google.sheet to its title.",
			title, strings.Join(titles, ", ")),
	}
}

// read reads ranges of the tab, and looks the tab up again where Google knows
// of none of that title.
func (h *History) read(ctx context.Context, ranges func(tab) []string) (tab, [][][]any, error) {
	for again := false; ; again = true {
		t, err := h.look(ctx)
		if err != nil {
			return t, nil, err
		}
		values, err := h.values(ctx, ranges(t)...)
		if err == nil {
			return t, values, nil
		}
		h.forget()
		if again || !isBadRequest(err) {
			return t, nil, h.client.explain(err, h.target(false))
		}
	}
}

// values reads the rows of each range in one call: text as string, numbers and
// times as float64.
func (h *History) values(ctx context.Context, ranges ...string) ([][][]any, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := h.client.sheets.Spreadsheets.Values.BatchGet(h.config.Spreadsheet).Context(ctx).Ranges(ranges...).
		MajorDimension("ROWS").ValueRenderOption("UNFORMATTED_VALUE").DateTimeRenderOption("SERIAL_NUMBER").Do()
	if err != nil {
		return nil, err
	}
	values := make([][][]any, len(ranges))
	for i, r := range got.ValueRanges {
		if i < len(values) {
			values[i] = r.Values
		}
	}
	return values, nil
}

func firstRow(rows [][]any) []any {
	if len(rows) == 0 {
		return nil
	}
	return rows[0]
}

// columnName is the letter of a column: A for 0.
func columnName(i int) string {
	name := ""
	for i++; i > 0; i = (i - 1) / 26 {
		name = string(rune('A'+(i-1)%26)) + name
	}
	return name
}
