package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// A Printer writes results for people: one line each, in columns, and lines
// below it for a text that is longer than the terminal is wide.
type Printer struct {
	w      io.Writer
	width  int
	titles map[string]string
	column int // of the widest title
	err    error
}

// NewPrinter returns a Printer of the results of the checks. Lines are broken
// to fit width, and not at all where it is 0.
func NewPrinter(w io.Writer, checks []Check, width int) *Printer {
	p := &Printer{w: w, width: width, titles: map[string]string{}}
	for _, c := range checks {
		p.titles[c.Name] = c.Title
		p.column = max(p.column, uniseg.StringWidth(c.Title))
	}
	return p
}

// words are the states as they are printed: of one width, and told apart
// without colours.
var words = map[State]string{OK: "ok     ", Warning: "WARNING", Failed: "FAILED ", Skipped: "skipped"}

// Result writes one result.
func (p *Printer) Result(r Result) {
	var texts []string
	for _, text := range []string{r.Found, r.Problem} {
		if text != "" {
			texts = append(texts, strings.Split(text, "\n")...)
		}
	}
	if r.Because != "" {
		texts = append(texts, fmt.Sprintf("until “%s” is mended", p.titles[r.Because]))
	}
	head := words[r.State] + "  " + r.Title
	if len(texts) > 0 {
		// What doesn't fit beside the title stands below it.
		room := p.width - indent - p.column - 2
		if beside := wrap(texts[0], 0)[0]; p.width == 0 || uniseg.StringWidth(beside) <= room {
			head += strings.Repeat(" ", p.column-uniseg.StringWidth(r.Title)+2) + beside
			texts = texts[1:]
		}
	}
	p.line(head)
	for _, text := range texts {
		for _, line := range wrap(text, max(0, p.width-indent)) {
			p.line(strings.Repeat(" ", indent) + line)
		}
	}
}

// indent is where the titles begin, and what stands below them.
const indent = len("warning") + 2

// Summary writes how it went all in all, and what to do next.
func (p *Printer) Summary(r Report) {
	p.line("")
	failed, warnings, skipped := r.count(Failed), r.count(Warning), r.count(Skipped)
	var parts []string
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", failed))
	}
	if warnings > 0 {
		noun := "warnings"
		if warnings == 1 {
			noun = "warning"
		}
		parts = append(parts, fmt.Sprintf("%d %s", warnings, noun))
	}
	if skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not tried", skipped))
	}
	took := fmt.Sprintf("in %.1f s", r.Took.Seconds())
	if len(parts) == 0 {
		p.line(fmt.Sprintf("All %d checks are well, %s.", len(r.Checks), took))
		return
	}
	p.line(fmt.Sprintf("Of %d checks, %s, %s.", len(r.Checks), strings.Join(parts, ", "), took))
	if failed > 0 {
		p.line("Mend what failed from the top down, and run this again.")
	}
}

// Err is the first error of writing.
func (p *Printer) Err() error { return p.err }

func (p *Printer) line(text string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(text, " "))
	}
}

// wrap breaks text between words into lines of at most room columns, or into
// one where room is 0. What a terminal would not show as it is, is left out.
func wrap(text string, room int) []string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	var lines []string
	line, width := "", 0
	for _, word := range strings.Fields(text) {
		w := uniseg.StringWidth(word)
		if line != "" && room > 0 && width+1+w > room {
			lines = append(lines, line)
			line, width = "", 0
		}
		if line != "" {
			line, width = line+" ", width+1
		}
		line, width = line+word, width+w
	}
	return append(lines, line)
}
