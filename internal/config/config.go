// Package config reads what an operator configures: one YAML file, environment
// variables that override its keys, and secrets, which come from the
// environment only. It is strict: a key that it doesn't know, one that is
// missing and a value that can't be right are errors, and all of them are
// reported at once. The reference for operators is docs/configuration.md.
package config

import (
	_ "embed"
	"time"
)

// A Config is a valid configuration: every value in it has the form that its
// comment gives, whichever subcommand it was loaded for.
type Config struct {
	Slack  Slack
	Google Google
	// Kingfisher is nil where the configuration leaves it out: there are then
	// no busy checks.
	Kingfisher *Kingfisher
	// Timezone is of the reminders' schedule and of the spreadsheet's times.
	Timezone  *time.Location
	Reminders Reminders
	Waitlist  Waitlist
	// Servers are offered when releasing; none of them is empty or there twice.
	Servers   []string
	Access    Access
	Preflight PreflightChecks
	Store     Store
	HTTP      HTTP
}

// Slack is the workspace that the bot works in.
type Slack struct {
	// Channel is the ID of the channel where the team is notified.
	Channel string
	// APIURL is the Web API's base address. It ends in "/".
	APIURL string
	// BotToken begins with xoxb-. It is empty where the subcommand needs none.
	BotToken Secret
	// AppToken begins with xapp-. It is empty where the subcommand needs none.
	AppToken Secret
}

// Google is where the token and its history are written.
type Google struct {
	// Document is the ID of the Deploy token document.
	Document string
	// Spreadsheet is the ID of the Deploy history spreadsheet.
	Spreadsheet string
	// Label is what the holder's line begins with.
	Label string
	// Sheet is the title of the spreadsheet's tab; "" means the first.
	Sheet string
	// HistoryColumns are names of [HistoryColumns] in the order of the
	// spreadsheet's columns, from A. "" leaves a column alone. No name is there
	// twice, and "entry" always is.
	HistoryColumns []string
	// Endpoint is the base address of a local server in place of Google's, and
	// ends in "/"; "" means Google's own.
	Endpoint string
	// WatchInterval is the time between two looks at the document.
	WatchInterval time.Duration
	// CredentialsFile is the path of a service account's key file, which was
	// readable; "" means Application Default Credentials.
	CredentialsFile string
}

// DocumentLink is the address of the Deploy token document, for people; "" if
// there is none.
func (g Google) DocumentLink() string { return googleLink("document", g.Document) }

// SpreadsheetLink is the address of the Deploy history spreadsheet, for people;
// "" if there is none.
func (g Google) SpreadsheetLink() string { return googleLink("spreadsheets", g.Spreadsheet) }

// Kingfisher is the server whose work is looked at before it is changed.
type Kingfisher struct {
	// ScrapydURL is Scrapyd's base address. It ends in "/".
	ScrapydURL string
	// ScrapydUsername and ScrapydPassword are for HTTP basic authentication.
	// Both are empty, or neither.
	ScrapydUsername Secret
	ScrapydPassword Secret
	SSH             SSH
	// TmuxUsers are the Unix users whose sessions are looked at; none means
	// everyone with a tmux server.
	TmuxUsers []string
	// LongQuery is how long a query must have been active to be worth waiting
	// for.
	LongQuery time.Duration
	// Timeout is within when all checks have answered.
	Timeout time.Duration
	// People maps the marks of owners (initials, a Unix or database user, an
	// address) to the IDs of Slack users.
	People map[string]string
	// ConsentGroup is the ID of the Slack user group that is asked where an
	// owner is unknown; "" means nobody.
	ConsentGroup string
	// Words are what means Kingfisher where a take's purpose has it.
	Words []string
	// OverrideURL links to how to deploy without losing what runs; "" means
	// that there is no such page.
	OverrideURL string
}

// SSH is how the Kingfisher server is reached.
type SSH struct {
	// Address is host:port.
	Address string
	// User is a Unix user's name.
	User string
	// IdentityFile is the path of the private key. Whether it is there, the
	// checks find out.
	IdentityFile string
	// KnownHostsFile is the path of the file that holds the server's keys.
	// Whether it is there, the checks find out.
	KnownHostsFile string
	// KnockAddress is the host:port to connect to first; "" means none.
	KnockAddress string
}

// Reminders are what is said to those who forget that they hold the token.
type Reminders struct {
	// Schedule is a standard cron specification of five fields, a descriptor
	// such as @hourly, or @every with a duration. It names no time zone.
	Schedule string
	// StaleAfter is how long the token may be held before that.
	StaleAfter time.Duration
	// WorkingHours is a cron specification of five fields that fits each minute
	// at which a holder may be reminded, by the clock of their own time zone in
	// Slack; "" fits any.
	WorkingHours string
}

// Waitlist is the queue for the token.
type Waitlist struct {
	// Turn is how long the next in line keeps the turn.
	Turn time.Duration
}

// Access is who may use the bot.
type Access struct {
	// Group is the ID of the Slack user group that may; "" means the members
	// of the channel.
	Group string
	// ForceGroup is the ID of the Slack user group that may force a release;
	// "" means whoever may use the bot.
	ForceGroup string
}

// PreflightChecks are what has to be in order before a deployment.
type PreflightChecks struct {
	// Repositories are paths of Git checkouts, relative to the deploy checkout
	// or absolute. There is at least one, each is as [filepath.Clean] gives it,
	// and none is there twice.
	Repositories []string
}

// Store is the database for what must outlive a restart.
type Store struct {
	// URL is sqlite:PATH, or a postgres:// or postgresql:// URL. It is shown
	// with its password masked.
	URL Secret
}

// HTTP is the server for health checks and metrics.
type HTTP struct {
	// Address is the host:port to listen on. The host may be empty, and the
	// port may be 0.
	Address string
}

// HistoryColumns lists the names of the columns of the Deploy history.
func HistoryColumns() []string {
	return []string{"taken", "released", "name", "purpose", "summary", "consent", "entry"}
}

func defaults() *Config {
	return &Config{
		Slack: Slack{APIURL: "https://slack.com/api/"},
		Google: Google{
			Label:          "Held by:",
			HistoryColumns: HistoryColumns(),
			WatchInterval:  15 * time.Second,
		},
		Kingfisher: &Kingfisher{
			ScrapydURL: "https://collect.kingfisher.open-contracting.org/",
			SSH: SSH{
				Address:        "collect.kingfisher.open-contracting.org:22",
				User:           "root",
				IdentityFile:   "/etc/deploytoken/id_ed25519",
				KnownHostsFile: "/etc/deploytoken/known_hosts",
				KnockAddress:   "collect.kingfisher.open-contracting.org:8255",
			},
			LongQuery: time.Hour,
			Timeout:   20 * time.Second,
			Words:     []string{"kingfisher"},
		},
		Timezone:  etcUTC(),
		Reminders: Reminders{Schedule: "0 9-17 * * 1-5", StaleAfter: 2 * time.Hour, WorkingHours: "* 9-17 * * 1-5"},
		Waitlist:  Waitlist{Turn: 10 * time.Minute},
		Preflight: PreflightChecks{Repositories: []string{".", "pillar/private", "salt/private"}},
		Store:     Store{URL: shownSecret("sqlite:deploytoken.db", "sqlite:deploytoken.db")},
		HTTP:      HTTP{Address: "127.0.0.1:8080"},
	}
}

// etcUTC is time.UTC under the name that the time zone database gives it, if
// there is such a database.
func etcUTC() *time.Location {
	if zone, err := time.LoadLocation("Etc/UTC"); err == nil {
		return zone
	}
	return time.UTC
}

//go:embed bot.yaml
var example string

// Example is a configuration file that has every key, with its default and
// what it means. The values of those that have no default are made up.
func Example() string { return example }
