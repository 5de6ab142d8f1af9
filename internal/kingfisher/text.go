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
	quoted = `(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.|'')*'?)`
	// dollars is one of PostgreSQL's dollar-quoted strings. One with a tag may
	// have any other tag in it, so that it is taken to end at the last.
	dollars = `(?:\$\$.*?(?:\$\$|$)|` + dollarTag + `.*` + dollarTag + `|` + dollarTag + `.*)`
	// dollarTag begins or ends such a string.
	dollarTag = `\$[\pL\pN_]+\$`
	// value is a secret where an argument is expected: all of a word, as ps shows
	// no quotes, and any character may be part of a password. Where a quoted
	// string ends, the word may go on.
	value = `(?:` + quoted + `[^\s,;)}\]]*|` + dollars + `|\S+)`
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
	// Whoever knows the address of a webhook may post to it.
	{regexp.MustCompile(`(?i)(\bhooks\.slack\.com/[a-z]+/|/api/webhooks/)[^\s'"]+`), "$1" + hidden},
	// The user's name stays, as it says whose connection it is.
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://[^\s/@:'"]*):\S*@`), "$1:" + hidden + "@"},
	{regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:'"]{20,}@`), "$1" + hidden + "@"},
	{regexp.MustCompile(`(?i)(authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|token|digest|negotiate)\s+)?[^\s'"]+`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}`), "$1 " + hidden},
	{regexp.MustCompile(`(?i)(cookie["']?\s*[:=]\s*["']?)[^\s;'"]+(?:;\s*[^\s;'"]+)*`), "$1" + hidden},
	{regexp.MustCompile(`(?i)([\w.-]*(?:` + secretWord + `[\w.-]*|pass|\bauth|_auth|\bpw|_pw))(["']?\s*(?:=>|:=|=|:)\s*|\s+to\s+)(?:(?:e|u&)?` + value + `)`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)(^|\s)(--?[\w-]*(?:` + secretWord + `|pass|auth|cookie)[\w-]*\s+)(?:` + quoted + `[^\s,;)}\]]*|[^\s'"-]\S*)`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)(` + secretWord + `|\bidentified\s+by)(\s+)(?:(?:e|u&)?` + quoted + `[^\s,;)}\]]*|` + dollars + `)`), "$1$2" + hidden},
	{regexp.MustCompile(`(?i)(^|\s)(-u|--user|--proxy-user)(\s+|=|)["']?([^\s:%'"/]+:|[^\s%'"+-][^\s%'"]*%)\S+`), "$1$2$3$4" + hidden},
	{regexp.MustCompile(`(?i)\b(crypt\s*\(\s*)(?:e|u&)?(?:` + quoted + `|` + dollars + `)`), "$1" + hidden},
	{regexp.MustCompile(`(?i)\b(pgp_sym_\w+\s*\().*`), "$1" + hidden},
}

// programs are those that take a password by an option that says so to nobody
// else: to most programs, -p is a port or a path. From a program's name to the
// end of the line, what follows such an option is masked.
var programs = []struct{ name, option *regexp.Regexp }{
	{program(`(?:az|buildah|cf|crane|docker|helm|nerdctl|oc|oras|podman|skopeo)\s(?:.*\s)?login`), option(`-p\s*`)},
	{program(`(?:mongo\w*|cqlsh|cypher-shell)`), option(`-p\s*`)},
	// Without a password, these ask for one, and the next word is another thing.
	{program(`(?:mysql|mariadb)[\w-]*`), option(`-p`)},
	{program(`(?:7z\w*|rar|unrar)`), option(`-h?p`)},
	{program(`(?:zip|unzip|zipinfo|funzip|sqlcmd|bcp|ipmitool|mosquitto_\w+)`), option(`-[a-zA-Z]*?P\s*`)},
	{program(`(?:redis-cli|https?)`), option(`-a\s*`)},
	{program(`ldap\w+`), option(`-[LvxZ]*w\s*`)},
	{program(`lftp`), option(`-u\s*`)},
	{program(`openssl`), option(`-[kK]\s+`)},
	{program(`curl`), option(`-b\s*`)},
	// What it runs may have a -p of its own: only the first counts.
	{program(`sshpass`), regexp.MustCompile(`^(\s(?:.*?\s)??-v?p\s*)` + value)},
	// The password is the last of its words, and may have spaces in it.
	{program(`htpasswd`), regexp.MustCompile(`^(\s(?:.*?\s)??-[a-zA-Z]*b[a-zA-Z]*\s).*`)},
}

// program matches the name of a program that is run, up to the space after it.
func program(name string) *regexp.Regexp {
	return regexp.MustCompile("(?:^|[\\s/'\"`(;|&])" + name + `\s`)
}

// option matches an option and its value.
func option(name string) *regexp.Regexp {
	return regexp.MustCompile(`(\s` + name + `)` + value)
}

// mask replaces what looks like a password, a token or a key in a command
// line, a URL or a query, which is one line, by "***". It would rather hide too
// much than too little.
func mask(s string) string {
	// Programs come first: to mask what seems to follow a name could hide the
	// option that a password follows.
	for _, p := range programs {
		if at := p.name.FindStringIndex(s); at != nil {
			rest := at[1] - 1
			s = s[:rest] + p.option.ReplaceAllString(s[rest:], "${1}"+hidden)
		}
	}
	for _, m := range masks {
		s = m.pattern.ReplaceAllString(s, m.with)
	}
	return s
}
