package gdoc

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// entryColumn is the name of the column with the Entry ID.
const entryColumn = "entry"

// titles are the headers of the columns by their names in the configuration.
var titles = map[string]string{
	"taken": "Taken", "released": "Released", "name": "Name", "purpose": "Purpose",
	"summary": "Summary", "consent": "Consent", entryColumn: "Entry ID",
}

// cellLimit is how many characters Sheets takes into one cell.
const cellLimit = 50_000

// headerRow is the first row of a new tab.
func headerRow(columns []string) *sheets.RowData {
	row := &sheets.RowData{}
	for _, column := range columns {
		row.Values = append(row.Values, textCell(titles[column]))
	}
	return row
}

// entryRow is the row of an entry. Text is text, whatever it looks like; times
// are numbers with a format.
func entryRow(columns []string, e deploytoken.Entry, in *time.Location) *sheets.RowData {
	row := &sheets.RowData{}
	for _, column := range columns {
		var cell *sheets.CellData
		switch column {
		case "taken":
			cell = timeCell(e.Taken, in)
		case "released":
			cell = timeCell(e.Released, in)
		case "name":
			cell = textCell(e.Name)
		case "purpose":
			cell = textCell(e.Purpose)
		case "summary":
			cell = textCell(e.Summary)
		case "consent":
			cell = textCell(e.Consent)
		case entryColumn:
			cell = textCell(e.ID)
		default:
			cell = &sheets.CellData{}
		}
		row.Values = append(row.Values, cell)
	}
	return row
}

// textCell is a cell that holds text as it is, up to what a cell can hold, or
// nothing.
func textCell(text string) *sheets.CellData {
	text = cellText(text)
	if text == "" {
		return &sheets.CellData{}
	}
	return &sheets.CellData{UserEnteredValue: &sheets.ExtendedValue{StringValue: &text}}
}

func cellText(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) <= cellLimit || utf16Len(text) <= cellLimit {
		return text
	}
	var length int
	for i, r := range text {
		if length += utf16.RuneLen(r); length >= cellLimit {
			return text[:i] + "…"
		}
	}
	return text
}

// epoch is day 0 of Sheets, as a Unix time.
const epoch = -25569 * secondsADay

const secondsADay = 24 * 60 * 60

// timeCell is a cell that holds a date and time as a clock in the zone shows it.
func timeCell(t time.Time, in *time.Location) *sheets.CellData {
	if t.IsZero() {
		return &sheets.CellData{}
	}
	serial := toSerial(t, in)
	return &sheets.CellData{
		UserEnteredValue:  &sheets.ExtendedValue{NumberValue: &serial},
		UserEnteredFormat: &sheets.CellFormat{NumberFormat: &sheets.NumberFormat{Type: "DATE_TIME", Pattern: "yyyy-mm-dd hh:mm:ss"}},
	}
}

// toSerial is the number of days since 30 December 1899 that a clock in the
// zone shows, to the second.
func toSerial(t time.Time, in *time.Location) float64 {
	_, offset := t.In(in).Zone()
	return float64(t.Unix()+int64(offset)-epoch) / secondsADay
}

// fromSerial is the time at which a clock in the zone shows the number.
func fromSerial(days float64, in *time.Location) time.Time {
	const year9999 = 2958466
	if !(days > 0 && days < year9999) {
		return time.Time{}
	}
	shown := time.Unix(int64(math.Round(days*secondsADay))+epoch, 0).UTC()
	return time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), 0, in)
}

// layouts are how people write times by hand where Sheets takes them for text.
var layouts = []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"}

// readEntry reads a row, as far as it can be read.
func readEntry(columns []string, row []any, in *time.Location) deploytoken.Entry {
	var e deploytoken.Entry
	for i, column := range columns {
		if i >= len(row) {
			break
		}
		switch column {
		case "taken":
			e.Taken = readTime(row[i], in)
		case "released":
			e.Released = readTime(row[i], in)
		case "name":
			e.Name = readText(row[i])
		case "purpose":
			e.Purpose = readText(row[i])
		case "summary":
			e.Summary = readText(row[i])
		case "consent":
			e.Consent = readText(row[i])
		case entryColumn:
			e.ID = readText(row[i])
		}
	}
	return e
}

func readText(cell any) string {
	switch v := cell.(type) {
	case string:
		return strings.TrimSpace(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strings.ToUpper(strconv.FormatBool(v))
	}
	return ""
}

func readTime(cell any, in *time.Location) time.Time {
	switch v := cell.(type) {
	case float64:
		return fromSerial(v, in)
	case string:
		for _, layout := range layouts {
			if t, err := time.ParseInLocation(layout, strings.TrimSpace(v), in); err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

// isHeader reports whether a first row has any of the headers where it belongs.
func isHeader(columns []string, row []any) bool {
	for i, column := range columns {
		if column != "" && i < len(row) && isTitle(row[i], column) {
			return true
		}
	}
	return false
}

func isTitle(cell any, column string) bool {
	return strings.EqualFold(readText(cell), titles[column])
}

// checkHeader says why rows of the columns must not be written below a first
// row; "" if they may. Headers that people have renamed are none of the bot's
// business; but the Entry ID must not go below another header, and no column
// below the header of another.
func checkHeader(columns []string, row []any) string {
	for i, cell := range row {
		for at, column := range columns {
			if column == "" || at == i || !isTitle(cell, column) || at < len(row) && isTitle(row[at], column) {
				continue
			}
			return fmt.Sprintf("the header “%s” stands in column %s, and is configured for column %s. Change one of the two.",
				titles[column], columnName(i), columnName(at))
		}
	}
	for at, column := range columns {
		if column == entryColumn && at < len(row) && readText(row[at]) != "" && !isTitle(row[at], column) {
			return fmt.Sprintf("the Entry ID is configured for column %s, whose header is “%s”. Name another column in google.history_columns, or change the header to “%s”.",
				columnName(at), deploytoken.CleanLine(readText(row[at]), 40), titles[column])
		}
	}
	return ""
}
