package kingfisher

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// activity is what the script's query gives of one PostgreSQL cluster.
type activity struct {
	// Role is the role that looked.
	Role string `json:"role"`
	// Tracked is the setting track_activities: "on" or "off".
	Tracked string `json:"tracked"`
	// Hidden is how many sessions have a state that the role can't see.
	Hidden *int `json:"hidden"`
	// Sessions are those that are not idle.
	Sessions []backend `json:"sessions"`
}

// A backend is a client's session. Ages are in seconds, starts in microseconds
// since 1970; null where there is no query or transaction.
type backend struct {
	PID              int    `json:"pid"`
	User             string `json:"user"`
	Database         string `json:"database"`
	Client           string `json:"client"`
	Application      string `json:"application"`
	State            string `json:"state"`
	QueryAge         *int64 `json:"query_age"`
	TransactionAge   *int64 `json:"transaction_age"`
	QueryStart       *int64 `json:"query_start"`
	TransactionStart *int64 `json:"transaction_start"`
	Query            string `json:"query"`
}

// active is whether the query runs, rather than being the latest that ran.
func (b backend) active() bool { return b.State == "active" || b.State == "fastpath function call" }

// id identifies what the session does as work; "" where that can't be told. A
// transaction is one work, however many queries it has, and so is a query that
// begins new transactions, as vacuum does: whichever has started first.
func (b backend) id(cluster string) string {
	since := b.TransactionStart
	if q := b.QueryStart; q != nil && b.active() && (since == nil || *q < *since) {
		since = q
	}
	if since == nil || b.PID == 0 {
		return ""
	}
	return workID("query", cluster, strconv.Itoa(b.PID), strconv.FormatInt(*since, 10))
}

// parseActivity reads what psql printed for the script's query: one JSON object.
func parseActivity(out []byte) (activity, error) {
	var a activity
	if err := json.Unmarshal(out, &a); err != nil {
		return activity{}, fmt.Errorf("psql's answer is not understood: %w", err)
	}
	if a.Hidden == nil || a.Tracked == "" || a.Sessions == nil {
		return activity{}, errors.New("psql's answer is not complete")
	}
	return a, nil
}

// comment matches a comment at the start of a query, in which notebooks say
// where they are.
var comment = regexp.MustCompile(`^\s*/\*+(.*?)(?:\*/|$)\s*`)

// link matches a link to a web page.
var link = regexp.MustCompile(`https?://[^\s<>"'|]+`)

// postgresResult tells from the script's section on PostgreSQL what a restart
// of it would interrupt.
func (c *Checker) postgresResult(s section) deploytoken.CheckResult {
	o := outcome{check: deploytoken.CheckPostgres}
	if !s.complete {
		o.unknown("The server could not pass on all that it found of PostgreSQL.")
	}
	if r, ok := s.run("pg_lsclusters"); ok && r.status != 0 {
		o.unknown("The PostgreSQL clusters could not be listed: %s.", r.failure("pg_lsclusters"))
	}
	online := 0
	for _, r := range s.runs {
		if r.kind != "cluster" {
			continue
		}
		online++
		release, name, _ := strings.Cut(r.args, " ")
		cluster := oneLine(release+"/"+name, maxName)
		if release == "-" {
			cluster = oneLine("on port "+name, maxName)
		}
		switch {
		case r.timedOut():
			o.unknown("PostgreSQL %s does not answer: look at it on the server.", cluster)
		case r.status == 127:
			o.unknown("PostgreSQL %s could not be asked, since psql was not found on the server: install postgresql-client.", cluster)
		case r.status != 0:
			o.unknown("PostgreSQL %s could not be asked: %s.", cluster, r.failure("psql"))
		default:
			a, err := parseActivity(r.out)
			if err != nil {
				o.unknown("PostgreSQL %s could not be asked: %v.", cluster, err)
				continue
			}
			c.activity(&o, cluster, a)
		}
	}
	down := s.fact("down")
	switch {
	case online == 0 && len(down) > 0:
		o.unknown("No PostgreSQL cluster is running (%s is down): if none should be, leave this check out.", oneLine(strings.Join(down[0], "/"), maxName))
	case online == 0 && !o.doubtful():
		o.unknown("No PostgreSQL cluster was found on the server, where it may run in a container: leave this check out, or look there.")
	case len(down) > 0:
		for _, f := range down {
			o.remark("PostgreSQL %s is down.", oneLine(strings.Join(f, "/"), maxName))
		}
	}
	return o.result()
}

// activity reports the sessions of one cluster.
func (c *Checker) activity(o *outcome, cluster string, a activity) {
	role := oneLine(a.Role, maxName)
	if a.Tracked != "on" {
		o.unknown("PostgreSQL %s does not track what its sessions do: turn track_activities on.", cluster)
	} else if *a.Hidden > 0 {
		o.unknown("PostgreSQL %s hides what %d of its sessions do from the role %s: grant it pg_read_all_stats, or let the bot log in as root.", cluster, *a.Hidden, role)
	}
	for _, b := range a.Sessions {
		f := c.session(b)
		f.ID = b.id(cluster)
		o.add(f)
	}
}

// session tells what a client's session does, and whether a restart of
// PostgreSQL would interrupt work of at least LongQuery: a query that has been
// active for as long, or a transaction that has been open for as long, which
// the restart would roll back however short its latest query is.
func (c *Checker) session(b backend) deploytoken.Finding {
	var f deploytoken.Finding
	f.Owner, f.OwnerID = c.owner(b.User, b.Client)
	f.Where = "database " + oneLine(b.Database, maxName)
	if b.Client != "" {
		f.Where += ", from " + oneLine(b.Client, maxName)
	}

	var query, transaction time.Duration
	if b.QueryAge != nil && b.active() {
		query = wholeSeconds(*b.QueryAge)
	}
	if b.TransactionAge != nil {
		transaction = wholeSeconds(*b.TransactionAge)
	}
	f.Age = max(query, transaction)
	f.Blocks = f.Age >= c.config.LongQuery

	text := b.Query
	var notes []string
	if m := comment.FindStringSubmatch(text); m != nil {
		if rest := text[len(m[0]):]; strings.TrimSpace(rest) != "" {
			text = rest
		}
		if url := link.FindString(m[1]); url != "" {
			notes = append(notes, command(url, maxWhat))
		} else if said := command(m[1], maxName); said != "" {
			notes = append(notes, said)
		}
	}
	f.What = command(text, maxWhat)
	if f.What == "" {
		f.What = oneLine(b.State, maxName)
	}
	if b.State != "active" && b.State != "" {
		notes = append(notes, oneLine(b.State, maxName))
	}
	if transaction > query && query > 0 {
		notes = append(notes, fmt.Sprintf("the transaction has been open for %s, this query active for %s", transaction, query))
	}
	if application := oneLine(b.Application, maxName); application != "" && application != "psql" {
		notes = append(notes, "by "+application)
	}
	f.Note = strings.Join(notes, "; ")
	return f
}
