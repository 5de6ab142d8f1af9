package google

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"google.golang.org/api/docs/v1"
)

func utf16Decode(codes []uint16) []rune { return utf16.Decode(codes) }

// describe writes structural elements on one line.
func describe(elements []*docs.StructuralElement) string {
	var out []string
	for _, e := range elements {
		at := fmt.Sprintf("%d-%d", e.StartIndex, e.EndIndex)
		switch {
		case e.SectionBreak != nil:
			out = append(out, "section "+at)
		case e.TableOfContents != nil:
			out = append(out, "contents "+at+" ("+describe(e.TableOfContents.Content)+")")
		case e.Table != nil:
			var rows []string
			for _, row := range e.Table.TableRows {
				var cells []string
				for _, cell := range row.TableCells {
					cells = append(cells, fmt.Sprintf("cell %d-%d (%s)", cell.StartIndex, cell.EndIndex, describe(cell.Content)))
				}
				rows = append(rows, fmt.Sprintf("row %d-%d: %s", row.StartIndex, row.EndIndex, strings.Join(cells, " ")))
			}
			out = append(out, "table "+at+" {"+strings.Join(rows, "; ")+"}")
		case e.Paragraph != nil:
			var parts []string
			for _, p := range e.Paragraph.Elements {
				part := fmt.Sprintf("%d-%d ", p.StartIndex, p.EndIndex)
				switch {
				case p.TextRun != nil:
					part += fmt.Sprintf("%q", p.TextRun.Content)
					for _, id := range p.TextRun.SuggestedInsertionIds {
						part += " +" + id
					}
					for _, id := range p.TextRun.SuggestedDeletionIds {
						part += " -" + id
					}
				case p.Person != nil:
					part += p.Person.PersonProperties.Name
				}
				parts = append(parts, part)
			}
			out = append(out, "paragraph "+at+" ["+strings.Join(parts, ", ")+"]")
		}
	}
	return strings.Join(out, ", ")
}
