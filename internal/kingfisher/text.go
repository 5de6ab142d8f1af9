package kingfisher

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of what is reported, in runes. Whatever is longer is cut.
const (
	maxWhat   = 300
	maxName   = 80
	maxReason = 600
)

// oneLine makes one line of at most max runes from text that anyone may have
// written: whitespace and control characters become single spaces, and
// characters that are invisible or change the direction of what follows are
// left out. Longer text is cut and ends in "…".
func oneLine(s string, max int) string {
	var b strings.Builder
	runes, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp):
			continue
		}
		if space {
			b.WriteByte(' ')
			runes++
			space = false
		}
		b.WriteRune(r)
		runes++
		if runes > max {
			return cut(b.String(), max)
		}
	}
	return b.String()
}

// cut shortens s to at most max runes, the last of them "…" where it was longer.
func cut(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	runes := []rune(s)
	return strings.TrimRight(string(runes[:max-1]), " ") + "…"
}

// command makes text of a command line or query that may be shown to people:
// on one line, with what looks like a password masked, and cut to max runes.
func command(s string, max int) string {
	// Masking comes before the cut, which could leave a secret's beginning
	// without the words that betray it.
	return cut(mask(oneLine(s, 20*maxWhat)), max)
}

// hidden stands for what was masked.
const hidden = "***"

const (
	// secretWord is what the name of a secret ends in or contains.
	secretWord = `(?:passw(?:or)?d|passwd|passphrase|passcode|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)`
	// quoted is a quoted string, which may have been cut before it ends.
	quoted = `"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.|'')*'?`
	// dollars is one of PostgreSQL's dollar-quoted strings.
	dollars = `\$\$.*?(?:\$\$|$)`
)

// masks are applied in order: whole secrets of known forms, then what follows
// a name or an option that announces a secret.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), hidden},
	{regexp.MustCompile(`\b(?:xox[a-z]|xapp)-[\w-]+|\bgh[a-z]_\w{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}|` +
		`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bsk-[\w-]{16,}|\bya29\.[\w.-]+|` +
		`\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?`), hidden},
	// The user's name stays, as it says whose connection it is.
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://[^\s/@:'"]*):[^\s'"<>]*@`), "$1:" + hidden + "@"},
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:'"]{20,}@`), "$1" + hidden + "@"},
	{regexp.MustCompile(`(?i)(authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|token|digest|negotiate)\s+)?[^\s'"]+`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}`), "$1 " + hidden},
	{regexp.MustCompile(`(?i)([\w.-]*(?:` + secretWord + `[\w.-]*|\bpass|_pass|\bauth))(["']?\s*(?:=>|:=|=|:)\s*)(?:` + quoted + `|` + dollars + `|[^\s'"&;]+)`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)(^|\s)(--?[\w-]*(?:` + secretWord + `|pass|auth)[\w-]*\s+)(?:` + quoted + `|[^\s'"-]\S*)`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)\b(password|identified\s+by)(\s+)(?:(?:e|u&)?(?:` + quoted + `)|` + dollars + `)`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)(^|\s)(-u|-U|--user|--proxy-user)(\s+|=|)["']?([^\s:'"/]+):(?:[^\s'"]+|` + quoted + `)["']?`), "$1$2$3$4:" + hidden},
	{regexp.MustCompile(`(?i)\b(sshpass\s+(?:-v\s+)?-p\s*)(?:` + quoted + `|\S+)`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b((?:mysql|mariadb)\w*\s(?:.*?\s)?-p)(?:` + quoted + `|\S+)`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b((?:redis-cli|htpasswd|ldap\w+)\s(?:.*?\s)?-[aw]\s+)(?:` + quoted + `|\S+)`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b(crypt\s*\(\s*)(?:e|u&)?(?:` + quoted + `)`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b(pgp_sym_\w+\s*\().*`), "$1" + hidden},
}

// mask replaces what looks like a password, a token or a key in a command
// line, a URL or a query, which is one line, by "***". It would rather hide too
// much than too little.
func mask(s string) string {
	for _, m := range masks {
		s = m.pattern.ReplaceAllString(s, m.with)
	}
	return s
}
