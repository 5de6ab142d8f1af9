// Package kingfisher looks at what runs on the Kingfisher server that a
// deployment would interrupt: spiders, commands in tmux sessions, and long
// queries in PostgreSQL.
//
// Scrapyd is asked over HTTP. Meanwhile, everything else comes over one SSH
// connection, after a knock at the firewall: one script (check.sh) looks at the
// processes, at everyone's tmux servers and at the PostgreSQL clusters, and
// passes on what it finds, section by section, under marks that nobody on the
// server can forge. What it finds is judged here, by functions of what was seen.
//
// Whatever could not be seen is unknown, with the reason, and never idle. What
// analysts can write (session names, command lines, queries, notes) is only
// ever shown, on one line, cut, and with what looks like a password masked.
package kingfisher

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// Config says where to look and how to tell whose work something is.
type Config struct {
	// ScrapydURL is Scrapyd's address, without a user name or password.
	ScrapydURL string
	// ScrapydUsername and ScrapydPassword are for HTTP basic authentication;
	// none is used where both are empty.
	ScrapydUsername, ScrapydPassword string

	// SSHAddress is the server's host and port; the port is 22 where absent.
	SSHAddress string
	// SSHUser is who to log in as; "root" where empty. Another user sees only
	// part of what runs, unless a forced command runs the script as root.
	SSHUser string
	// IdentityFile holds the private key, without a passphrase, and
	// KnownHostsFile the server's host key. Both are read at each check.
	IdentityFile, KnownHostsFile string
	// KnockAddress is the host and port of a TCP connection to make before SSH's,
	// so that the firewall lets this machine in; none where empty. If its host is
	// SSHAddress's, the very address that is dialled is knocked at.
	KnockAddress string

	// TmuxUsers are the Unix users whose tmux sessions count; everyone's where
	// it is empty.
	TmuxUsers []string
	// LongQuery is how long a query must have been active, or a transaction
	// open, to be worth waiting for; an hour where zero.
	LongQuery time.Duration
	// Timeout is within how long Busy returns; 20 seconds where zero.
	Timeout time.Duration
	// People has the Slack user ID for the marks by which an owner is known: a
	// session name's initials, a Unix or database user, a client's address, a
	// name in a spider's note. Case does not matter.
	People map[string]string

	// Now is the clock; time.Now where nil.
	Now func() time.Time
	// Logger is for what is of use to an operator; none where nil.
	Logger *slog.Logger
}

// A Checker makes the busy checks. It holds no connection between them, and may
// be used by several goroutines at once. It is a deploytoken.BusyChecker.
type Checker struct {
	config  Config
	scrapyd *url.URL
	people  map[string]string
	http    *http.Client
}

var _ deploytoken.BusyChecker = (*Checker)(nil)

// New returns a Checker. It fails only where the configuration can't be
// understood, with an error that names the key of the configuration file. A
// server that can't be reached, a missing key file and the like are found at
// each check, and make it unknown.
func New(config Config) (*Checker, error) {
	c := &Checker{config: config, people: map[string]string{}}
	var errs []error
	var err error
	if c.scrapyd, err = parseScrapydURL(config.ScrapydURL); err != nil {
		errs = append(errs, err)
	}
	if c.config.SSHAddress, err = hostPort(config.SSHAddress, "22"); err != nil {
		errs = append(errs, fmt.Errorf("kingfisher.ssh.address: %w", err))
	}
	if config.KnockAddress != "" {
		if c.config.KnockAddress, err = hostPort(config.KnockAddress, ""); err != nil {
			errs = append(errs, fmt.Errorf("kingfisher.ssh.knock_address: %w", err))
		}
	}
	if config.LongQuery < 0 {
		errs = append(errs, fmt.Errorf("kingfisher.long_query: %s is negative", config.LongQuery))
	}
	if config.Timeout < 0 {
		errs = append(errs, fmt.Errorf("kingfisher.timeout: %s is negative", config.Timeout))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	c.config.SSHUser = cmp.Or(config.SSHUser, "root")
	c.config.LongQuery = cmp.Or(config.LongQuery, time.Hour)
	c.config.Timeout = cmp.Or(config.Timeout, 20*time.Second)
	if config.Now == nil {
		c.config.Now = time.Now
	}
	if config.Logger == nil {
		c.config.Logger = slog.New(slog.DiscardHandler)
	}
	for mark, id := range config.People {
		c.people[strings.ToLower(strings.TrimSpace(mark))] = id
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	c.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func parseScrapydURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The error has the address, which may have a password in it.
		return nil, errors.New("kingfisher.scrapyd_url: not a valid address; write it as https://host/")
	case u.User != nil:
		return nil, errors.New("kingfisher.scrapyd_url: it has a user name or password in it; put them into SCRAPYD_USERNAME and SCRAPYD_PASSWORD")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("kingfisher.scrapyd_url: %q is not an address of the web; write it as https://host/", s)
	}
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

// hostPort checks an address that has a host and a port, which is the given one
// where it is absent.
func hostPort(s, port string) (string, error) {
	if s == "" {
		return "", errors.New("it is empty; write it as host:port")
	}
	host, p, err := net.SplitHostPort(s)
	if err != nil && port != "" {
		host, p, err = net.SplitHostPort(net.JoinHostPort(strings.Trim(s, "[]"), port))
	}
	if err == nil && host != "" {
		if n, lookupErr := net.LookupPort("tcp", p); lookupErr == nil && n > 0 {
			return net.JoinHostPort(host, p), nil
		}
	}
	return "", fmt.Errorf("%q is not a host and port; write it as host:port", s)
}

// Busy makes the named checks, or all of them where none is named. It is as
// deploytoken.BusyChecker describes it.
func (c *Checker) Busy(ctx context.Context, checks []string, progress func(deploytoken.CheckResult)) deploytoken.BusyReport {
	start := c.config.Now()
	if len(checks) == 0 {
		checks = deploytoken.Checks()
	}
	if progress == nil {
		progress = func(deploytoken.CheckResult) {}
	}
	// A little earlier than promised, to leave time for the answer.
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout-c.config.Timeout/50)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()

	type answer struct {
		jobs scrapydJobs
		err  error
	}
	var answers chan answer
	if slices.Contains(checks, deploytoken.CheckScrapyd) {
		answers = make(chan answer, 1)
		workers.Go(func() {
			jobs, err := c.jobs(ctx)
			answers <- answer{jobs, err}
		})
	}
	type part struct {
		hello   hello
		section section
	}
	parts := make(chan part)
	ended := make(chan error, 1)
	workers.Go(func() {
		ended <- c.inspect(ctx, func(h hello, s section) bool {
			select {
			case parts <- part{h, s}:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})

	results := map[string]deploytoken.CheckResult{}
	var (
		said    *answer
		server  hello
		seen    = map[string]section{}
		sshOver bool
		sshErr  error
	)
	for _, check := range checks {
		if !slices.Contains(deploytoken.Checks(), check) {
			results[check] = deploytoken.CheckResult{Check: check, Reason: "There is no check of this name.", Partial: true}
		}
	}
	for {
		for _, check := range deploytoken.Checks() {
			if _, done := results[check]; done || !slices.Contains(checks, check) {
				continue
			}
			name := sections[check]
			section, ok := seen[name]
			var err error
			if !ok {
				if !sshOver {
					continue
				}
				err = sshErr
			}
			var result deploytoken.CheckResult
			switch {
			case check == deploytoken.CheckScrapyd:
				if said == nil {
					continue
				}
				result = c.scrapydResult(said.jobs, said.err, server, section, err, slices.Contains(checks, deploytoken.CheckTmux))
			case err != nil:
				o := outcome{check: check}
				o.unknown("%s.", sentence(err))
				result = o.result()
			case check == deploytoken.CheckTmux:
				result = c.tmuxResult(section)
			case check == deploytoken.CheckPostgres:
				result = c.postgresResult(section)
			}
			results[check] = result
			c.config.Logger.Debug("Kingfisher check made", "check", check, "state", result.State.String(), "findings", len(result.Findings), "reason", result.Reason)
			progress(result)
		}
		if !slices.ContainsFunc(checks, func(check string) bool { _, done := results[check]; return !done }) {
			break
		}
		select {
		case a := <-answers:
			said = &a
		case p := <-parts:
			server = p.hello
			seen[p.section.name] = p.section
		case err := <-ended:
			sshOver = true
			sshErr = cmp.Or(err, errors.New("the check on the server ended early"))
		}
	}
	report := deploytoken.BusyReport{At: c.config.Now()}
	report.Took = report.At.Sub(start)
	for _, check := range slices.Concat(deploytoken.Checks(), checks) {
		if result, ok := results[check]; ok {
			report.Checks = append(report.Checks, result)
			delete(results, check)
		}
	}
	return report
}

// sections has, for each check, the script's section that it is made from.
var sections = map[string]string{
	deploytoken.CheckScrapyd:  "processes",
	deploytoken.CheckTmux:     "tmux",
	deploytoken.CheckPostgres: "postgres",
}

// processesOf returns the processes that a section has.
func processesOf(s section) (processTable, error) {
	r, ok := s.run("ps")
	switch {
	case !ok:
		return processTable{}, errors.New("the processes were not listed")
	case r.status != 0:
		return processTable{}, fmt.Errorf("the processes could not be listed: %s", r.failure("ps"))
	}
	t, err := parseProcesses(r.out)
	if r, ok := s.run("starts"); ok && err == nil {
		t.begin(r.args, r.out)
	}
	return t, err
}

// owner returns the best of the marks by which an owner is known, the better
// ones first, and the Slack user ID of the owner: the first mark that somebody
// is configured for, else the first that isn't empty.
func (c *Checker) owner(marks ...string) (mark, id string) {
	for _, m := range marks {
		if id := c.people[strings.ToLower(strings.TrimSpace(m))]; m != "" && id != "" {
			return oneLine(m, maxName), id
		}
	}
	return oneLine(cmp.Or(marks...), maxName), ""
}

// workID identifies work by its kind and what is particular to it. Whatever is in
// that, some of which people on the server choose, the ID is of letters, digits
// and one hyphen, and at most 40 characters long.
func workID(kind string, particulars ...string) string {
	h := sha256.New()
	for _, p := range particulars {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return fmt.Sprintf("%s-%x", kind, h.Sum(nil)[:16])
}

// maxFindings is how many findings of one check are reported.
const maxFindings = 200

// An outcome collects what comes of one check.
type outcome struct {
	check    string
	findings []deploytoken.Finding
	reasons  []string
	remarks  []string
}

// unknown notes, as a sentence, why something could not be looked at.
func (o *outcome) unknown(format string, args ...any) {
	o.reasons = append(o.reasons, fmt.Sprintf(format, args...))
}

// doubtful is whether anything could not be looked at.
func (o *outcome) doubtful() bool { return len(o.reasons) > 0 }

// remark notes, as a sentence, what is worth knowing.
func (o *outcome) remark(format string, args ...any) {
	o.remarks = append(o.remarks, fmt.Sprintf(format, args...))
}

func (o *outcome) add(f deploytoken.Finding) { o.findings = append(o.findings, f) }

// result is Busy if any finding blocks, else Unknown if anything could not be
// looked at, else Idle. It is partial in each state if anything could not be.
func (o *outcome) result() deploytoken.CheckResult {
	r := deploytoken.CheckResult{Check: o.check, State: deploytoken.Idle, Findings: o.findings, Partial: o.doubtful()}
	if o.doubtful() {
		r.State = deploytoken.Unknown
	}
	slices.SortStableFunc(r.Findings, func(a, b deploytoken.Finding) int {
		if a.Blocks != b.Blocks {
			if a.Blocks {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Age, a.Age)
	})
	if len(r.Findings) > 0 && r.Findings[0].Blocks {
		r.State = deploytoken.Busy
	}
	if more := len(r.Findings) - maxFindings; more > 0 {
		// Nobody can be asked about what isn't shown.
		r.Partial = r.Partial || r.Findings[maxFindings].Blocks
		r.Findings = r.Findings[:maxFindings]
		o.remark("%d more are not shown.", more)
	}
	r.Reason = oneLine(strings.Join(slices.Concat(o.reasons, o.remarks), " "), maxReason)
	return r
}

// sentence makes an error's text begin as a sentence does.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}
