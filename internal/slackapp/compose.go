package slackapp

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A Message is what somebody reads in Slack.
type Message struct {
	// Text is the whole message, escaped for Slack, for notifications and
	// screen readers. It is never empty.
	Text string
	// Blocks are the message as it is shown.
	Blocks []slack.Block
}

// How much is put into one message, in characters. Slack takes about 13,200 in
// the blocks of one, and cuts a top-level text off at 4,000 where it may.
const (
	maxText    = 3500
	maxPhrase  = 600 // a purpose, a summary or a reason
	maxGroups  = 20
	maxMessage = 11000
)

// A spanKind is how a span is shown, or what it stands for.
type spanKind int

const (
	spanWords spanKind = iota
	spanStrong
	spanCode
	spanMention
	spanTime
	spanLink
)

// A span is a piece of a line. Whatever characters it holds are shown as they
// are: nothing in it is read as formatting, a mention or a link.
type span struct {
	kind spanKind
	text string
	// url is a link's address; id is a mention's Slack user ID.
	url, id string
	at      time.Time
}

// words is text as it stands.
func words(text string) span { return span{text: text} }

// phrase is what somebody wrote, on one line and not too long.
func phrase(text string) span {
	return span{text: isolate(deploytoken.CleanLine(text, maxPhrase))}
}

// strong is somebody's name, or another word that stands out.
func strong(text string) span {
	return span{kind: spanStrong, text: isolate(deploytoken.CleanLine(text, maxPhrase))}
}

// code is what a person types, or what a program runs, on one line.
func code(text string) span {
	return span{kind: spanCode, text: isolate(deploytoken.CleanLine(text, maxPhrase))}
}

// mention stands for a person, and notifies them if they can see the message.
func mention(userID string) span { return span{kind: spanMention, id: userID} }

// moment is a time, shown in the reader's own zone.
func moment(t time.Time) span { return span{kind: spanTime, at: t} }

// link is text that leads to url; just text where there is no address.
func link(url, text string) span {
	if url == "" {
		return words(text)
	}
	return span{kind: spanLink, text: text, url: url}
}

// prose is a sentence of this program's, in which `back quotes` mark what a
// person types and addresses lead somewhere.
func prose(text string) line {
	var l line
	for i, part := range strings.Split(deploytoken.CleanLine(text, 2*maxPhrase), "`") {
		if i%2 == 1 {
			if part != "" {
				l = append(l, code(part))
			}
			continue
		}
		for part != "" {
			at := address.FindStringIndex(part)
			if at == nil {
				l = append(l, words(part))
				break
			}
			if at[0] > 0 {
				l = append(l, words(part[:at[0]]))
			}
			l = append(l, link(part[at[0]:at[1]], part[at[0]:at[1]]))
			part = part[at[1]:]
		}
	}
	return l
}

var address = regexp.MustCompile(`https?://[^\s<>"“”|]*[^\s<>"“”|.,;:!?)\]]`)

// A line is one line, or one paragraph, of a message.
type line []span

// A group is lines, and a list below them, that are shown as one block.
type group struct {
	lines   []line
	bullets []line
	// numbered is whether the list is numbered from 1.
	numbered bool
}

// compose makes a message of what it says and the buttons below.
func compose(groups []group, buttons []button) Message {
	var m Message
	var lines []string
	size := 0
	for i, g := range groups {
		if len(m.Blocks) == maxGroups || size > maxMessage {
			left := []line{{words(fmt.Sprintf("… and %s more.", count(len(groups)-i, "part", "parts")))}}
			m.Blocks = append(m.Blocks, group{lines: left}.block())
			lines = append(lines, left[0].text())
			break
		}
		size += g.size()
		m.Blocks = append(m.Blocks, g.block())
		for _, l := range g.lines {
			lines = append(lines, l.text())
		}
		for i, l := range g.bullets {
			mark := "• "
			if g.numbered {
				mark = strconv.Itoa(i+1) + ". "
			}
			lines = append(lines, mark+l.text())
		}
	}
	m.Text = cutLines(lines, maxText)
	if len(buttons) > 0 {
		m.Blocks = append(m.Blocks, buttonRow(buttons))
	}
	return m
}

// say makes a message of lines.
func say(lines ...line) Message { return compose([]group{{lines: lines}}, nil) }

// block returns the group as rich text, whose elements Slack shows as they are.
func (g group) block() slack.Block {
	var elements []slack.RichTextElement
	if len(g.lines) > 0 {
		var section []slack.RichTextSectionElement
		for i, l := range g.lines {
			if i > 0 {
				section = append(section, slack.NewRichTextSectionTextElement("\n", nil))
			}
			section = append(section, l.elements()...)
		}
		elements = append(elements, slack.NewRichTextSection(section...))
	}
	if len(g.bullets) > 0 {
		var items []slack.RichTextElement
		for _, l := range g.bullets {
			items = append(items, slack.NewRichTextSection(l.elements()...))
		}
		style := slack.RTEListBullet
		if g.numbered {
			style = slack.RTEListOrdered
		}
		elements = append(elements, slack.NewRichTextList(style, 0, items...))
	}
	return slack.NewRichTextBlock("", elements...)
}

// size is about how many characters the group counts as.
func (g group) size() int {
	n := 0
	for _, lines := range [][]line{g.lines, g.bullets} {
		for _, l := range lines {
			n += l.size()
		}
	}
	return n
}

func (l line) size() int {
	n := 1
	for _, s := range l {
		n += utf8.RuneCountInString(s.text) + utf8.RuneCountInString(s.url) + 6
	}
	return n
}

func (l line) elements() []slack.RichTextSectionElement {
	elements := make([]slack.RichTextSectionElement, 0, len(l))
	for _, s := range l {
		// Slack refuses an element without text.
		if s.text != "" || s.kind == spanMention || s.kind == spanTime {
			elements = append(elements, s.element())
		}
	}
	return elements
}

func (s span) element() slack.RichTextSectionElement {
	switch s.kind {
	case spanStrong:
		return slack.NewRichTextSectionTextElement(s.text, &slack.RichTextSectionTextStyle{Bold: true})
	case spanCode:
		return slack.NewRichTextSectionTextElement(s.text, &slack.RichTextSectionTextStyle{Code: true})
	case spanMention:
		return slack.NewRichTextSectionUserElement(s.id, nil)
	case spanTime:
		fallback := utc(s.at)
		return slack.NewRichTextSectionDateElement(s.at.Unix(), dateFormat, nil, &fallback)
	case spanLink:
		return slack.NewRichTextSectionLinkElement(s.url, s.text, nil)
	}
	return slack.NewRichTextSectionTextElement(s.text, nil)
}

// dateFormat shows a day, if it isn't today, and a time; described at
// https://docs.slack.dev/messaging/formatting-message-text#date-formatting.
const dateFormat = "{date_short_pretty} {time}"

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// text returns the line in Slack's mrkdwn.
func (l line) text() string {
	var b strings.Builder
	for _, s := range l {
		switch s.kind {
		case spanMention:
			b.WriteString("<@" + s.id + ">")
		case spanTime:
			fmt.Fprintf(&b, "<!date^%d^%s|%s>", s.at.Unix(), dateFormat, utc(s.at))
		case spanLink:
			if s.url == s.text {
				b.WriteString("<" + escapeAddress(s.url) + ">")
			} else {
				b.WriteString("<" + escapeAddress(s.url) + "|" + escape(s.text) + ">")
			}
		default:
			b.WriteString(escape(s.text))
		}
	}
	return b.String()
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escapeAddress makes an address fit between < and | or >.
func escapeAddress(url string) string {
	return strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(url)
}

// escape makes mrkdwn that shows text as it is. Slack has no escape for the
// characters that format: a zero-width space on both sides keeps them from
// doing so, as they count only at a word's edge; a back quote counts
// everywhere, and is replaced.
func escape(text string) string {
	const gap = "\u200b"
	var b strings.Builder
	before := ' '
	for i, width := 0, 0; i < len(text); i += width {
		var r rune
		r, width = utf8.DecodeRuneInString(text[i:])
		after, _ := utf8.DecodeRuneInString(text[i+width:])
		switch {
		case r == '`':
			b.WriteRune('ˋ')
		case (r == '*' || r == '_' || r == '~') && !(inWord(before) && inWord(after)):
			b.WriteString(gap + string(r) + gap)
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return escaper.Replace(b.String())
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// isolate keeps text that reads from right to left from turning around what
// stands beside it.
func isolate(text string) string {
	for _, r := range text {
		if unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko) {
			return "\u2068" + text + "\u2069"
		}
	}
	return text
}

// cutLines joins the first of the lines that take at most limit characters,
// and says how many are left out.
func cutLines(lines []string, limit int) string {
	kept, more := fit(lines, limit-40, func(s string) int { return utf8.RuneCountInString(s) + 1 })
	if more > 0 {
		kept = append(kept, "… and "+count(more, "more line", "more lines"))
	}
	return strings.Join(kept, "\n")
}

// fit returns the first of the items whose sizes add up to at most limit, and
// how many are left out.
func fit[T any](items []T, limit int, size func(T) int) (kept []T, more int) {
	total := 0
	for i, item := range items {
		if total += size(item); total > limit {
			return items[:i:i], len(items) - i
		}
	}
	return items, 0
}

// count is a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// duration is d in words, to the minute: "2 h 5 min", "3 days 4 h".
func duration(d time.Duration) string {
	minutes := int(d / time.Minute)
	hours, days := minutes/60, minutes/60/24
	switch {
	case minutes < 1:
		return "less than a minute"
	case hours < 1:
		return fmt.Sprintf("%d min", minutes)
	case days < 1 && minutes%60 == 0:
		return fmt.Sprintf("%d h", hours)
	case days < 1:
		return fmt.Sprintf("%d h %d min", hours, minutes%60)
	case hours%24 == 0:
		return count(days, "day", "days")
	}
	return fmt.Sprintf("%s %d h", count(days, "day", "days"), hours%24)
}
