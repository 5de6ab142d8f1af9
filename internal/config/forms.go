package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/robfig/cron/v3"
)

// Each function here takes a text that isn't empty, an entry of a list aside,
// and gives the value that it means, or why it means none: "" where what the
// key wants says it all. No reason repeats what may be a secret.

var errForm = errors.New("")

var (
	channelPattern  = regexp.MustCompile(`^[CG][A-Z0-9]+$`)
	userPattern     = regexp.MustCompile(`^[UW][A-Z0-9]+$`)
	groupPattern    = regexp.MustCompile(`^S[A-Z0-9]+$`)
	unixUserPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$`)
	googlePattern   = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	hostPattern     = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)
)

// What the texts of several keys match, for the schema. The functions below
// say more.
const (
	webPattern      = `^[Hh][Tt][Tt][Pp][Ss]?://`
	addressPattern  = `:[0-9]+$`
	durationPattern = `^\+?([0-9]*\.?[0-9]*(ns|us|µs|μs|ms|s|m|h))+$`
	storePattern    = `^(sqlite:|postgres(ql)?://)`
)

// channelID takes a public or private channel's ID.
func channelID(s string) (string, error) {
	if !channelPattern.MatchString(s) {
		return "", errors.New("in Slack, it stands at the end of the channel's details")
	}
	return s, nil
}

func userID(s string) (string, error) {
	if !userPattern.MatchString(s) {
		return "", errors.New(`in Slack, it is under "Copy member ID" in the person's profile`)
	}
	return s, nil
}

func groupID(s string) (string, error) {
	if !groupPattern.MatchString(s) {
		return "", errors.New(`in Slack, it is under "Copy group ID" in the user group's menu`)
	}
	return s, nil
}

// line takes text on one line, without control characters.
func line(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("it is blank")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return "", errors.New("it has a line break or another control character")
		}
	}
	return s, nil
}

// phrase takes text on one line and drops the space around it.
func phrase(s string) (string, error) {
	s, err := line(s)
	return strings.TrimSpace(s), err
}

// Slack's limits for what a menu offers.
const (
	maxServers    = 100
	maxServerName = 75
)

func serverName(s string) (string, error) {
	if utf8.RuneCountInString(s) > maxServerName {
		return "", errForm
	}
	return phrase(s)
}

// repository takes a path of a Git checkout, and gives it in its shortest form.
func repository(s string) (string, error) {
	s, err := filePath(s)
	return filepath.Clean(s), err
}

func noRule([]string) error { return nil }

func atLeastOne(entries []string) error {
	if len(entries) == 0 {
		return errors.New("is empty: give one entry at least")
	}
	return nil
}

func atMost(n int) func([]string) error {
	return func(entries []string) error {
		if len(entries) > n {
			return fmt.Errorf("has %d entries: Slack offers at most %d", len(entries), n)
		}
		return nil
	}
}

func historyColumn(s string) (string, error) {
	if s != "" && !slices.Contains(HistoryColumns(), s) {
		return "", errForm
	}
	return s, nil
}

func hasEntry(columns []string) error {
	if !slices.Contains(columns, "entry") {
		return errors.New("has no entry: add it, for the bot knows its rows by that column")
	}
	return nil
}

// googleKinds says in words what is edited under these paths of
// docs.google.com.
var googleKinds = map[string]string{
	"document":     "a document",
	"spreadsheets": "a spreadsheet",
	"presentation": "a presentation",
	"forms":        "a form",
}

// googleID takes an ID, or the link of what is edited under that path of
// docs.google.com, and gives the ID.
func googleID(path string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !strings.ContainsAny(s, "/:.") {
			if !googlePattern.MatchString(s) {
				return "", errForm
			}
			return s, nil
		}
		if !strings.Contains(s, "://") {
			s = "https://" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host != "docs.google.com" {
			return "", errors.New("copy it from the address bar, where it begins with https://docs.google.com/" + path + "/d/")
		}
		// The kind, who is signed in and the ID: [/a/DOMAIN]/KIND[/u/N]/d/ID[/edit]
		segments := strings.Split(strings.Trim(u.Path, "/"), "/")
		if len(segments) > 2 && segments[0] == "a" {
			segments = segments[2:]
		}
		kind := segments[0]
		if segments = segments[1:]; len(segments) > 2 && segments[0] == "u" {
			segments = segments[2:]
		}
		if kind != path {
			if words, ok := googleKinds[kind]; ok {
				return "", errors.New("it links to " + words)
			}
			return "", errForm
		}
		if len(segments) > 2 && segments[0] == "d" && segments[1] == "e" {
			return "", errors.New("it links to a published copy; open the original and copy its address")
		}
		if len(segments) < 2 || segments[0] != "d" || !googlePattern.MatchString(segments[1]) {
			return "", errors.New("the link has no ID: it should go on /d/ID/edit")
		}
		return segments[1], nil
	}
}

func googleLink(path, id string) string {
	if id == "" {
		return ""
	}
	return "https://docs.google.com/" + path + "/d/" + id + "/edit"
}

// absoluteURL takes an http or https address without a user name.
func absoluteURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		// url.Error repeats the text.
		return nil, errors.New("it is not a valid URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("it should begin with https:// or http://")
	}
	if u.Hostname() == "" {
		return nil, errors.New("it names no host")
	}
	if u.User != nil {
		return nil, errors.New("it should hold no user name or password")
	}
	return u, nil
}

// baseURL takes an address that paths are appended to, and ends it in "/".
func baseURL(s string) (string, error) {
	if _, err := absoluteURL(s); err != nil {
		return "", err
	}
	if strings.ContainsAny(s, "?#") {
		return "", errors.New("paths are appended to it, so it should have no ? or #")
	}
	if strings.HasSuffix(s, "/") {
		return s, nil
	}
	return s + "/", nil
}

// webURL takes an address for people to open.
func webURL(s string) (string, error) {
	_, err := absoluteURL(s)
	return s, err
}

// sshAddress takes a host with or without a port and gives it with one.
func sshAddress(s string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	// To netip, a zone is anything, also "eth0]:22".
	if a, err := netip.ParseAddr(bare); err == nil && !strings.Contains(a.Zone(), "]") || !strings.Contains(s, ":") {
		s = net.JoinHostPort(bare, "22")
	}
	return dialAddress(s)
}

// dialAddress takes a host and a port to connect to.
func dialAddress(s string) (string, error) {
	host, port, err := splitAddress(s)
	switch {
	case err != nil:
		return "", err
	case host == "":
		return "", errors.New("it names no host")
	case port == 0:
		return "", errors.New("port 0 can't be connected to")
	}
	return s, nil
}

// listenAddress takes a host, which may be empty, and a port, which may be 0.
func listenAddress(s string) (string, error) {
	_, _, err := splitAddress(s)
	return s, err
}

func splitAddress(s string) (host string, port uint64, err error) {
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New("it has no port, or more than one colon outside brackets")
	}
	if port, err = strconv.ParseUint(digits, 10, 16); err != nil {
		return "", 0, errors.New("the port should be a number up to 65535")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostPattern.MatchString(host) {
		return "", 0, errors.New("the host is neither a name nor an IP address")
	}
	return host, port, nil
}

// unixUser takes a user name that is safe to pass on to a server.
func unixUser(s string) (string, error) {
	if !unixUserPattern.MatchString(s) {
		return "", errForm
	}
	return s, nil
}

func filePath(s string) (string, error) {
	if strings.HasPrefix(s, "~") {
		return "", errors.New("~ is not expanded: write the whole path")
	}
	return line(s)
}

func readableFile(s string) (string, error) {
	if _, err := filePath(s); err != nil {
		return "", err
	}
	f, err := os.Open(s)
	if err != nil {
		return "", fmt.Errorf("it can't be opened: %w", cause(err))
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 1)); err != nil && err != io.EOF {
		return "", fmt.Errorf("it can't be read: %w", cause(err))
	}
	return s, nil
}

func durationBetween(least, most time.Duration) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			if _, err := strconv.ParseFloat(s, 64); err == nil {
				return 0, errors.New("it has no unit: write h, m, s or ms after the number")
			}
			return 0, errors.New("its units are h, m, s and ms, as in 1h30m")
		}
		if d < least || d > most {
			return 0, errForm
		}
		return d, nil
	}
}

// formatDuration writes 15s, 2h and 1h30m, not 2h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func timezone(s string) (*time.Location, error) {
	if s == "Local" {
		return nil, errors.New("it means something else on each machine")
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, errForm
	}
	return zone, nil
}

// schedule takes a cron specification that names no time zone and comes true
// some time.
func hours(s string) (string, error) {
	if strings.HasPrefix(s, "@every") {
		return "", errors.New("@every fits no minute of the day")
	}
	return schedule(s)
}

func schedule(s string) (string, error) {
	// The parser panics on a zone with nothing after it, and zones have a key
	// of their own.
	if strings.HasPrefix(s, "TZ=") || strings.HasPrefix(s, "CRON_TZ=") {
		return "", errors.New("the time zone has its own key: timezone")
	}
	if _, err := line(s); err != nil {
		return "", err
	}
	parsed, err := cron.ParseStandard(s)
	if err != nil {
		if secretLike.MatchString(s) {
			// The library's error quotes parts of the text.
			return "", errForm
		}
		return "", err
	}
	if every, ok := strings.CutPrefix(s, "@every "); ok {
		// The library rounds what is less up to a second.
		if d, err := time.ParseDuration(every); err != nil || d < time.Second {
			return "", errors.New("@every is at least 1s")
		}
	}
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return "", errors.New("no date fits it")
	}
	return s, nil
}

// storeURL takes a database's address. In what is shown of it, passwords are
// masked; what would be hard to mask is refused.
func storeURL(s string) (Secret, error) {
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		switch {
		case path == "":
			return Secret{}, errors.New("it names no file")
		case strings.HasPrefix(path, "//"):
			return Secret{}, errors.New("after sqlite: comes the path of the file, as in sqlite:/var/lib/deploytoken/deploytoken.db")
		case strings.Contains(path, ":memory:"):
			return Secret{}, errors.New("a database in memory would forget everything at a restart")
		case strings.ContainsAny(path, "?#"):
			return Secret{}, errors.New("the path should have no ? or #")
		}
		if _, err := filePath(path); err != nil {
			return Secret{}, err
		}
		return shownSecret(s, s), nil
	}
	if !strings.HasPrefix(s, "postgres://") && !strings.HasPrefix(s, "postgresql://") {
		return Secret{}, errForm
	}
	escape := errors.New("in the user name and the password, write / ? # @ : % and spaces percent-encoded, as %2F %3F %23 %40 %3A %25 %20")
	u, err := url.Parse(s)
	if err != nil {
		return Secret{}, escape
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || strings.Contains(s, "#") || strings.Contains(u.EscapedPath()+u.RawQuery, "@") {
		return Secret{}, escape
	}
	const mask = "xxxxx"
	masked := false
	if _, ok := u.User.Password(); ok {
		u.User = url.UserPassword(u.User.Username(), mask)
		masked = true
	}
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, mask)
			masked = true
		}
	}
	if !masked {
		return shownSecret(s, s), nil
	}
	u.RawQuery = query.Encode()
	return shownSecret(s, u.String()), nil
}

// token takes a Slack token with that prefix.
func token(prefix string) func(string) (Secret, error) {
	return func(s string) (Secret, error) {
		for _, r := range s {
			if r <= ' ' || r > '~' {
				return Secret{}, errors.New("it has a space or another character that tokens don't have")
			}
		}
		if !strings.HasPrefix(s, prefix) || s == prefix {
			return Secret{}, errForm
		}
		return NewSecret(s), nil
	}
}

// basicUsername takes what HTTP basic authentication can carry (RFC 7617,
// section 2).
func basicUsername(s string) (Secret, error) {
	if strings.Contains(s, ":") {
		return Secret{}, errForm
	}
	return basicPassword(s)
}

func basicPassword(s string) (Secret, error) {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return Secret{}, errors.New("it has a line break or another control character")
	}
	return NewSecret(s), nil
}

// secretLike finds what people mistakenly write where others read it.
var secretLike = regexp.MustCompile(`xox[a-z]-|xapp-|://[^/]*@|PRIVATE KEY`)

// quote shows what was given, cut if it is long, and hidden if there seems to
// be a secret in it.
func quote(s string) string {
	if secretLike.MatchString(s) {
		return "[not shown, for it looks like a secret]"
	}
	const most = 100
	if runes := []rune(s); len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "…"
	}
	return strconv.Quote(s)
}

// cause is what went wrong with a file, without the path.
func cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}
