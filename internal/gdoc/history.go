package gdoc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// HistoryConfig says where the Deploy history is and how it is laid out.
type HistoryConfig struct {
	// Spreadsheet is the spreadsheet's ID.
	Spreadsheet string
	// Sheet is the title of the tab; empty for the first one.
	Sheet string
	// Columns are what stands in the columns from A on: taken, released, name,
	// purpose, summary, consent or entry; "" leaves a column alone. There must
	// be entry.
	Columns []string
	// Location is the time zone of the times in the sheet; nil: UTC.
	Location *time.Location
}

// A History is the Deploy history spreadsheet in Google Sheets. It implements
// deploytoken.History. Appends must not run side by side.
type History struct {
	client *Client
	config HistoryConfig
	entry  int // the index of the column with the Entry ID

	mu   sync.Mutex
	last *tab // as last looked up; nil if it has to be again
}

var _ deploytoken.History = (*History)(nil)

// History returns the history that a spreadsheet keeps.
// Errors: deploytoken.ErrMisconfigured, for columns that can't be.
func (c *Client) History(config HistoryConfig) (*History, error) {
	if config.Location == nil {
		config.Location = time.UTC
	}
	for i, column := range config.Columns {
		if _, known := titles[column]; column != "" && (!known || slices.Contains(config.Columns[:i], column)) {
			return nil, &deploytoken.Fault{
				Kind:    deploytoken.ErrMisconfigured,
				Message: fmt.Sprintf("google.history_columns has “%s”, which is unknown or there twice.", column),
			}
		}
	}
	h := &History{client: c, config: config, entry: slices.Index(config.Columns, entryColumn)}
	if h.entry < 0 {
		return nil, &deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "google.history_columns has no “entry”, by which the bot recognises its rows. Add it.",
		}
	}
	return h, nil
}

// Link returns the spreadsheet's address.
func (h *History) Link() string {
	return "https://docs.google.com/spreadsheets/d/" + url.PathEscape(h.config.Spreadsheet) + "/edit"
}

func (h *History) target(write bool) target {
	return target{name: "the Deploy history spreadsheet", key: "google.spreadsheet", id: h.config.Spreadsheet, write: write}
}

// Ready checks that rows can be appended: that the spreadsheet and its tab are
// there, that the headers don't contradict the columns, and, where Drive tells,
// that the bot may write.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (h *History) Ready(ctx context.Context) error {
	h.forget()
	if _, err := h.look(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	file, err := h.client.drive.Files.Get(h.config.Spreadsheet).SupportsAllDrives(true).Context(ctx).Fields("capabilities(canEdit)").Do()
	if err != nil {
		h.client.log.Info("Drive doesn't tell whether the Deploy history may be written", "error", h.client.explain(err, h.target(false)))
		return nil
	}
	if file.Capabilities != nil && !file.Capabilities.CanEdit {
		return &deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "The bot may read the Deploy history spreadsheet but not write it. Share it with " + h.client.whom() + " as Editor.",
		}
	}
	return nil
}

// Append writes the entry as one row below the others: one call, once the tab
// has been looked up. The row comes together with developer metadata whose ID
// is made of the entry's, and which the spreadsheet can have only once, so that
// the same row can't land twice.
// Errors: deploytoken.ErrAmbiguous, deploytoken.ErrUnavailable,
// deploytoken.ErrMisconfigured.
func (h *History) Append(ctx context.Context, e deploytoken.Entry) error {
	t, err := h.look(ctx)
	if err != nil {
		return err
	}
	err = h.update(ctx, h.appendRequests(t, e, nil))
	if err == nil {
		h.headed(t)
	}
	if err == nil || !isBadRequest(err) {
		return h.explainWrite(err)
	}
	// The row may be there already, the tab may be another, or the spreadsheet
	// may be full of metadata: what we left there before serves for nothing more.
	h.client.log.Info("Google refused a row of the history", "entry", e.ID, "error", err)
	h.forget()
	already, stale, err := h.metadata(ctx, e.ID)
	if err != nil || already {
		return err
	}
	if t, err = h.look(ctx); err != nil {
		return err
	}
	return h.explainWrite(h.update(ctx, h.appendRequests(t, e, stale)))
}

func (h *History) explainWrite(err error) error {
	if err == nil {
		return nil
	}
	return h.client.explain(err, h.target(true))
}

func isBadRequest(err error) bool {
	e, ok := errors.AsType[*googleapi.Error](err)
	return ok && e.Code == http.StatusBadRequest
}

// metadataKey is the key of the metadata that goes with rows.
const metadataKey = "deploytoken-entry"

// metadataID is the ID of an entry's metadata: 31 bits, and not 0.
func metadataID(entry string) int64 {
	sum := sha256.Sum256([]byte(entry))
	return max(1, int64(binary.BigEndian.Uint32(sum[:])&(1<<31-1)))
}

// metadata reads whether an entry's metadata is in the spreadsheet, and thereby
// its row, and the IDs of what other entries left.
func (h *History) metadata(ctx context.Context, entry string) (already bool, stale []int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := h.client.sheets.Spreadsheets.Get(h.config.Spreadsheet).Context(ctx).
		Fields("developerMetadata(metadataId,metadataKey,metadataValue)").Do()
	if err != nil {
		return false, nil, h.client.explain(err, h.target(false))
	}
	for _, m := range s.DeveloperMetadata {
		switch {
		case m.MetadataKey != metadataKey:
		case m.MetadataValue == entry:
			already = true
		default:
			stale = append(stale, m.MetadataId)
		}
	}
	return already, stale, nil
}

// appendRequests are the requests of one row, with the headers before it where
// the tab is empty. The metadata is visible to other projects than the bot's, so
// that it still counts when the bot gets a service account of another.
func (h *History) appendRequests(t tab, e deploytoken.Entry, stale []int64) []*sheets.Request {
	var requests []*sheets.Request
	for _, id := range stale {
		requests = append(requests, &sheets.Request{DeleteDeveloperMetadata: &sheets.DeleteDeveloperMetadataRequest{
			DataFilter: &sheets.DataFilter{DeveloperMetadataLookup: &sheets.DeveloperMetadataLookup{MetadataId: id}},
		}})
	}
	var rows []*sheets.RowData
	if t.empty {
		rows = append(rows, headerRow(h.config.Columns))
	}
	rows = append(rows, entryRow(h.config.Columns, e, h.config.Location))
	return append(requests,
		&sheets.Request{CreateDeveloperMetadata: &sheets.CreateDeveloperMetadataRequest{
			DeveloperMetadata: &sheets.DeveloperMetadata{
				MetadataId: metadataID(e.ID), MetadataKey: metadataKey, MetadataValue: e.ID, Visibility: "DOCUMENT",
				Location: &sheets.DeveloperMetadataLocation{Spreadsheet: true},
			},
		}},
		&sheets.Request{AppendCells: &sheets.AppendCellsRequest{
			SheetId: t.id, Rows: rows, Fields: "userEnteredValue,userEnteredFormat.numberFormat",
			ForceSendFields: []string{"SheetId"},
		}},
	)
}

// update sends requests as one atomic write, once.
func (h *History) update(ctx context.Context, requests []*sheets.Request) error {
	body, err := json.Marshal(&sheets.BatchUpdateSpreadsheetRequest{Requests: requests})
	if err != nil {
		return &unsentError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return h.client.post(ctx, h.client.sheets.BasePath+"v4/spreadsheets/"+url.PathEscape(h.config.Spreadsheet)+":batchUpdate", body)
}

// Count reads how many rows carry the entry's ID.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (h *History) Count(ctx context.Context, id string) (int, error) {
	_, rows, err := h.rowsOf(ctx, id)
	return len(rows), err
}

// RemoveDoubles deletes all rows that carry the entry's ID but the first. Rows
// can't be deleted but by their number, and the service has no guard: they are
// read directly before, and it is an error if just one isn't left after.
// Errors: deploytoken.ErrAmbiguous, deploytoken.ErrUnavailable,
// deploytoken.ErrMisconfigured.
func (h *History) RemoveDoubles(ctx context.Context, id string) (int, error) {
	t, rows, err := h.rowsOf(ctx, id)
	if err != nil || len(rows) < 2 {
		return 0, err
	}
	doubles := rows[1:]
	var requests []*sheets.Request
	for _, row := range slices.Backward(doubles) {
		requests = append(requests, &sheets.Request{DeleteDimension: &sheets.DeleteDimensionRequest{Range: &sheets.DimensionRange{
			SheetId: t.id, Dimension: "ROWS", StartIndex: row, EndIndex: row + 1, ForceSendFields: []string{"SheetId"},
		}}})
	}
	if err := h.update(ctx, requests); err != nil {
		h.forget()
		return 0, h.explainWrite(err)
	}
	h.client.log.Warn("deleted rows of the history that were there twice", "entry", id, "rows", len(doubles))
	left, err := h.Count(ctx, id)
	if err == nil && left != 1 {
		err = &deploytoken.Fault{
			Kind:    deploytoken.ErrAmbiguous,
			Message: fmt.Sprintf("Rows of the Deploy history that were there twice were deleted, but then the entry %s was found %d times. Look at the spreadsheet's version history.", id, left),
		}
	}
	return len(doubles), err
}

// rowsOf reads which rows carry the entry's ID, as indexes from 0.
func (h *History) rowsOf(ctx context.Context, id string) (t tab, rows []int64, err error) {
	t, ranges, err := h.read(ctx, func(t tab) []string {
		column := columnName(h.entry)
		return []string{t.a1("1:1"), t.a1(column + ":" + column)}
	})
	if err != nil {
		return t, nil, err
	}
	// Whoever moves a column does it while the bot runs.
	if problem := checkHeader(h.config.Columns, firstRow(ranges[0])); problem != "" {
		h.forget()
		return t, nil, t.fault(problem)
	}
	for i, row := range ranges[1] {
		if len(row) > 0 && row[0] == id {
			rows = append(rows, int64(i))
		}
	}
	return t, rows, nil
}

// Recent reads the last n entries, the newest first: from the bottom up.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (h *History) Recent(ctx context.Context, n int) ([]deploytoken.Entry, error) {
	_, ranges, err := h.read(ctx, func(t tab) []string {
		return []string{t.a1("A:" + columnName(len(h.config.Columns)-1))}
	})
	if err != nil {
		return nil, err
	}
	var entries []deploytoken.Entry
	for i, row := range slices.Backward(ranges[0]) {
		if len(entries) >= n {
			break
		}
		if i == 0 && isHeader(h.config.Columns, row) {
			continue
		}
		if e := readEntry(h.config.Columns, row, h.config.Location); e != (deploytoken.Entry{}) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}
