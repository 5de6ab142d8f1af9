package gdoc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/api/drive/v3"
	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// The methods below try what the bot needs of Google, and change nothing there.
// Each returns what it found to be well, in a few words; a warning, in
// sentences, or ""; and what is wrong.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.

// TrySignIn signs in.
func (c *Client) TrySignIn(ctx context.Context) (found, warning string, err error) {
	if err := c.warm(ctx); err != nil {
		return "", "", err
	}
	if c.Account() == "" {
		return "signed in", "", nil
	}
	return "signed in as " + c.Account(), "", nil
}

// TryRead reads the document.
func (d *Document) TryRead(ctx context.Context) (found, warning string, err error) {
	if _, err := d.Read(ctx); err != nil {
		return "", "", at(err, d.Link())
	}
	return "can be read", "", nil
}

// TryHolder reads who holds the token.
func (d *Document) TryHolder(ctx context.Context) (found, warning string, err error) {
	reading, err := d.Read(ctx)
	if err != nil {
		return "", "", err
	}
	token := deploytoken.Interpret(reading, "")
	if token.State == deploytoken.Unclear {
		return "", "", at(&deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "It is unclear who holds the deploy token: " + token.Reason,
		}, d.Link())
	}
	return fmt.Sprintf("“%s %s”", d.label, reading.Value), "", nil
}

// TryWrite finds out whether the document may be written, by its revision,
// which is given to editors only, and whether Drive answers for it, which is
// asked who edited last.
func (d *Document) TryWrite(ctx context.Context) (found, warning string, err error) {
	if err := d.Ready(ctx); err != nil {
		return "", "", at(err, d.Link())
	}
	file, err := d.client.file(ctx, d.id)
	if err != nil {
		if err = d.client.explain(err, d.target()); !errors.Is(err, deploytoken.ErrMisconfigured) {
			return "", "", err
		}
		return mayEdit, "Drive doesn't tell who edits the document by hand, so announcements can't name them. " + deploytoken.Explain(err), nil
	}
	if !editable(file) {
		return "", "", at(d.readOnly(), d.Link())
	}
	return mayEdit, "", nil
}

// mayEdit is what is found of a file that may be written.
const mayEdit = "the bot may edit it; nothing was written"

// TryTab looks for the tab that the history is in, and compares its headers with
// the columns.
func (h *History) TryTab(ctx context.Context) (found, warning string, err error) {
	t, err := h.lookUp(ctx)
	switch {
	case err != nil:
		return "", "", at(err, h.Link())
	case t.empty:
		return fmt.Sprintf("the tab “%s” is empty: the first entry brings the headers", t.title), "", nil
	}
	return fmt.Sprintf("the tab “%s” fits google.history_columns", t.title), "", nil
}

// TryWrite finds out whether rows may be appended: by what Drive says of the
// spreadsheet, and by what is protected in the tab.
func (h *History) TryWrite(ctx context.Context) (found, warning string, err error) {
	file, err := h.client.file(ctx, h.config.Spreadsheet)
	if err != nil {
		if err = h.client.explain(err, h.target(false)); !errors.Is(err, deploytoken.ErrMisconfigured) {
			return "", "", err
		}
		return "", "Drive doesn't tell whether the bot may write the Deploy history spreadsheet. " + deploytoken.Explain(err), nil
	}
	if !editable(file) {
		return "", "", at(&deploytoken.Fault{
			Kind:    deploytoken.ErrMisconfigured,
			Message: "The bot may read the Deploy history spreadsheet but not write it. Share it with " + h.client.whom() + " as Editor.",
		}, h.Link())
	}
	t, err := h.lookUp(ctx)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := h.client.sheets.Spreadsheets.Get(h.config.Spreadsheet).Context(ctx).
		Fields("sheets(properties(sheetId),protectedRanges(range,unprotectedRanges,warningOnly,requestingUserCanEdit))").Do()
	if err != nil {
		return "", "", h.client.explain(err, h.target(false))
	}
	for _, sheet := range s.Sheets {
		if sheet.Properties == nil || sheet.Properties.SheetId != t.id {
			continue
		}
		for _, p := range sheet.ProtectedRanges {
			if keepsRowsOut(p, int64(len(h.config.Columns))) {
				return "", "", &deploytoken.Fault{
					Kind: deploytoken.ErrMisconfigured,
					Message: fmt.Sprintf("The tab “%s” of the Deploy history is protected against the bot. Open %s, choose Data > Protect sheets and ranges, and let %s edit it.",
						t.title, h.Link(), h.client.whom()),
				}
			}
		}
	}
	return mayEdit, "", nil
}

// keepsRowsOut is whether the bot may not write below what stands in that many
// first columns of the tab: whether what is protected has no last row. What is
// exempt from it may be just those rows.
func keepsRowsOut(p *sheets.ProtectedRange, columns int64) bool {
	if p.WarningOnly || p.RequestingUserCanEdit || len(p.UnprotectedRanges) > 0 || p.Range == nil {
		return false
	}
	return p.Range.EndRowIndex == 0 && p.Range.StartColumnIndex < columns
}

// file asks Drive what may be done with a file.
func (c *Client) file(ctx context.Context, id string) (*drive.File, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.drive.Files.Get(id).SupportsAllDrives(true).Context(ctx).Fields("capabilities(canEdit)").Do()
}

// editable is whether Drive says that the file may be written, or says nothing
// of it.
func editable(f *drive.File) bool { return f.Capabilities == nil || f.Capabilities.CanEdit }

// at adds to an error that an operator has to mend where the file is, unless the
// error leads elsewhere.
func at(err error, link string) error {
	f, ok := errors.AsType[*deploytoken.Fault](err)
	if !ok || !errors.Is(err, deploytoken.ErrMisconfigured) || strings.Contains(f.Message, "https://") {
		return err
	}
	there := *f
	there.Message += " It is at " + link
	return &there
}
