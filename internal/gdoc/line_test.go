package gdoc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf16"

	"github.com/rivo/uniseg"
	"google.golang.org/api/docs/v1"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// fixture reads a document as JSON from testdata.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func parse(t testing.TB, content []byte) *docs.Document {
	t.Helper()
	var doc docs.Document
	if err := json.Unmarshal(content, &doc); err != nil {
		t.Fatal(err)
	}
	return &doc
}

func TestFindValue(t *testing.T) {
	for _, tt := range []struct {
		file  string
		label string
		value string
		place place
		says  string // of the problem; "" for none
	}{
		{"plain.json", label, "Nobody", place{tab: "t.0", start: 23, end: 29, head: 24}, ""},
		{"chip.json", label, "Ann Lee", place{tab: "t.0", start: 9, end: 10, head: 10}, ""},
		{"dropdown.json", label, "Ann", place{tab: "t.0", start: 10, end: 11, head: 11}, ""},
		{"table.json", label, "👩‍👩‍👧 Ann", place{tab: "t.7", start: 14, end: 26, head: 22}, ""},
		{"otherlabel.json", "Token holder", "Ann", place{tab: "t.0", start: 14, end: 17, head: 15}, ""},
		{"otherlabel.json", "Token hold", "", place{}, "no line starts with"},
		{"pagebreak.json", label, "Nobody", place{tab: "t.0", start: 11, end: 17, head: 12}, ""},
		{"footnote.json", label, "", place{}, "other than text"},
		{"headers.json", label, "", place{}, "no line starts"},
		{"suggestedrow.json", label, "", place{}, "suggestion is pending"},
		{"suggestedbreak.json", label, "", place{}, "suggestion is pending"},
		{"suggestedstyle.json", label, "Nobody", place{tab: "t.0", start: 10, end: 16, head: 11}, ""},
		{"gap.json", label, "", place{}, "can't be located"},
		{"length.json", label, "", place{}, "other than text"},
	} {
		t.Run(tt.file+" "+tt.label, func(t *testing.T) {
			value, at, problem := findValue(parse(t, fixture(t, tt.file)), tt.label)
			if value != tt.value || at != tt.place {
				t.Errorf("found %q at %+v, want %q at %+v", value, at, tt.value, tt.place)
			}
			if (problem == "") != (tt.says == "") || !strings.Contains(problem, tt.says) {
				t.Errorf("the problem is %q, want %q", problem, tt.says)
			}
		})
	}
}

// TestMaskFallback: on a refused field mask the whole document is read, and from
// then on at once.
func TestMaskFallback(t *testing.T) {
	l := startGoogle(t)
	_, d := l.document(t, google.Lines("Held by: Ann")...)
	l.fault(t, google.Fault{Operation: google.DocsGet, Kind: google.FailBefore, Status: 400, Count: 1})
	for i, want := range []int{2, 3} {
		if r := read(t, d); r.Value != "Ann" || r.Revision == "" {
			t.Fatalf("read %q at %q", r.Value, r.Revision)
		}
		if n := l.calls(google.DocsGet); n != want {
			t.Errorf("after read %d there were %d calls, want %d", i+1, n, want)
		}
	}
}

// FuzzFindValue: whatever Google answers, there is no panic, and what would be
// written stays within the line that was read.
func FuzzFindValue(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, file := range files {
		f.Add(fixture(f, filepath.Base(file)), label, "Bo Ek")
	}
	f.Add([]byte(`{"tabs":[null,{"documentTab":{"body":{"content":[null,{"paragraph":{"elements":[null,{"textRun":{}}]}}]}}}]}`), "", "")
	f.Fuzz(func(t *testing.T, content []byte, label, name string) {
		var doc docs.Document
		if json.Unmarshal(content, &doc) != nil {
			return
		}
		value, at, problem := findValue(&doc, label)
		if (problem == "") == (value == "") {
			t.Fatalf("value %q, problem %q", value, problem)
		}
		if problem != "" {
			if deploytoken.Interpret(deploytoken.Reading{Value: value, Problem: problem}, "").State != deploytoken.Unclear {
				t.Fatal("a problem isn't unclear")
			}
			return
		}
		if !(0 <= at.start && at.start < at.head && at.head <= at.end) {
			t.Fatalf("the value stands at %+v", at)
		}
		within := false
		lines, _ := documentLines(&doc)
		for _, l := range lines {
			if n := len(l.atoms); n > 0 && tabID(l.tab) == at.tab && l.atoms[0].start <= at.start && at.end <= l.atoms[n-1].end {
				within = true
			}
		}
		if !within {
			t.Fatalf("no line is around %+v", at)
		}
		d := &Document{label: label}
		r := deploytoken.Reading{Revision: "r", Value: value, Place: at, Marks: marksOf(&doc)}
		b, err := d.Prepare(r, name, deploytoken.Mark{Store: "s", Operation: "o"}, r.Marks)
		if err != nil {
			if deploytoken.CleanName(name) != "" {
				t.Fatal(err)
			}
			return
		}
		var batch docs.BatchUpdateDocumentRequest
		if err := json.Unmarshal(b.Body, &batch); err != nil {
			t.Fatal(err)
		}
		length := at.end - at.start
		for _, q := range batch.Requests {
			switch {
			case q.DeleteContentRange != nil:
				g := q.DeleteContentRange.Range
				if g.StartIndex < at.start || g.EndIndex <= g.StartIndex || g.EndIndex > at.start+length {
					t.Fatalf("deletes %d to %d of %+v", g.StartIndex, g.EndIndex, at)
				}
				length -= g.EndIndex - g.StartIndex
			case q.InsertText != nil:
				if i := q.InsertText.Location.Index; i <= at.start || i > at.start+length {
					t.Fatalf("inserts at %d of %+v", i, at)
				}
				length += utf16Len(q.InsertText.Text)
			case q.CreateNamedRange != nil:
				if g := q.CreateNamedRange.Range; g.StartIndex != at.start || g.EndIndex != at.start+length {
					t.Fatalf("marks %d to %d of %+v", g.StartIndex, g.EndIndex, at)
				}
			}
		}
		if batch.WriteControl.RequiredRevisionId != "r" {
			t.Fatal("no guard")
		}
	})
}

// paragraphOf makes a paragraph of text in which \x01 stands for a chip, \x02
// splits a run, and \x03 begins and ends what is suggested. It also returns the
// paragraph's UTF-16 code units, a chip as \uFFFC.
func paragraphOf(text string) (*docs.Document, []uint16) {
	var elements []*docs.ParagraphElement
	var units []uint16
	var suggested []string
	var run strings.Builder
	flush := func() {
		if run.Len() == 0 {
			return
		}
		added := utf16.Encode([]rune(run.String()))
		elements = append(elements, &docs.ParagraphElement{
			StartIndex: 1 + int64(len(units)), EndIndex: 1 + int64(len(units)+len(added)),
			TextRun: &docs.TextRun{Content: run.String(), SuggestedInsertionIds: suggested},
		})
		units = append(units, added...)
		run.Reset()
	}
	for _, r := range strings.ToValidUTF8(strings.ReplaceAll(text, "\n", ""), "") + "\n" {
		switch r {
		case 1:
			flush()
			elements = append(elements, &docs.ParagraphElement{
				StartIndex: 1 + int64(len(units)), EndIndex: 2 + int64(len(units)),
				Person: &docs.Person{PersonProperties: &docs.PersonProperties{Name: "Ann"}, SuggestedInsertionIds: suggested},
			})
			units = append(units, object)
		case 2:
			flush()
		case 3:
			flush()
			if suggested == nil {
				suggested = []string{"s1"}
			} else {
				suggested = nil
			}
		default:
			run.WriteRune(r)
		}
	}
	flush()
	return &docs.Document{Tabs: []*docs.Tab{{DocumentTab: &docs.DocumentTab{Body: &docs.Body{
		Content: []*docs.StructuralElement{{Paragraph: &docs.Paragraph{Elements: elements}}},
	}}}}}, units
}

// FuzzPrepare: the batch leaves the paragraph as it was but for the value, cuts
// no surrogate pair, and inserts where Google does not move what is inserted.
func FuzzPrepare(f *testing.F) {
	for _, line := range []string{
		"Held by: Nobody", "Held by:\x01", "Rules\vHeld by: \x02No\x02body \vmore", "Held by: 👩‍👩‍👧 Ann", "Held by: 🇬🇧🇫🇷",
		"Held by:\u0301A", "Held by: \u0600 ", "🔑 held BY : \u200b\x01 & Bo\u200d ", "Held by: A\x03nn\x03", "Held by: \x01\u0301", "Held by: \r\n\u2028x",
	} {
		for _, name := range []string{"Bo Ek", "🇫🇷", "\u0301x", "x\u200d"} {
			f.Add(line, name)
		}
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		doc, units := paragraphOf(text)
		value, at, problem := findValue(doc, label)
		name = deploytoken.CleanName(name)
		if problem != "" || name == "" {
			return
		}
		d := &Document{label: label}
		b, err := d.Prepare(deploytoken.Reading{Revision: "r", Value: value, Place: at}, name, deploytoken.Mark{Store: "s", Operation: "o"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var batch docs.BatchUpdateDocumentRequest
		if err := json.Unmarshal(b.Body, &batch); err != nil {
			t.Fatal(err)
		}
		written := utf16.Encode([]rune(name))
		want := slices.Concat(units[:at.start-1], written, units[at.end-1:])
		for _, q := range batch.Requests {
			switch {
			case q.DeleteContentRange != nil:
				start, end := int(q.DeleteContentRange.Range.StartIndex-1), int(q.DeleteContentRange.Range.EndIndex-1)
				if cutsPair(units, start) || cutsPair(units, end) || end >= len(units) {
					t.Fatalf("deletes %d to %d of %q", start, end, string(utf16.Decode(units)))
				}
				units = slices.Delete(units, start, end)
			case q.InsertText != nil:
				i := int(q.InsertText.Location.Index - 1)
				if !atBoundary(units, i) {
					t.Fatalf("inserts at %d of %q", i, string(utf16.Decode(units)))
				}
				units = slices.Insert(units, i, written...)
			}
		}
		if !slices.Equal(units, want) {
			t.Fatalf("%q became %q, want %q", text, string(utf16.Decode(units)), string(utf16.Decode(want)))
		}
	})
}

func cutsPair(units []uint16, i int) bool {
	return i > 0 && i < len(units) && utf16.DecodeRune(rune(units[i-1]), rune(units[i])) != unicode.ReplacementChar
}

// atBoundary reports whether a grapheme cluster ends at a UTF-16 index.
func atBoundary(units []uint16, i int) bool {
	end := int64(0)
	for g := uniseg.NewGraphemes(string(utf16.Decode(units))); end < int64(i) && g.Next(); {
		end += utf16Len(g.Str())
	}
	return end == int64(i)
}
