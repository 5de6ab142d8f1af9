package demo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// A person is somebody that one can be on the page.
type person struct {
	ID string `json:"id"`
	// Role says what somebody has to do with the token.
	Role  string `json:"role"`
	Email string `json:"email"` // by which Google knows them
}

var people = []person{
	{"U0ANA", "deployer", "ana@example.org"},
	{"U0BOB", "deployer", "bob@example.org"},
	{"U0CHIDI", "analyst", "chidi@example.org"},
	{"U0DEE", "operator", "dee@example.org"},
}

// A slashCommand is one of the app's manifest.
type slashCommand struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Hint        string `json:"hint"`
}

// commands are those of deploy/slack-app-manifest.yaml.
var commands = []slashCommand{
	{
		"/deploy-token", "Take, release, give or wait for the deploy token, or look at it",
		"[take for what | release what was done | wait | leave | give @person | force-release reason | history | status | help]",
	},
	{"/kingfisher", "What a deployment to Kingfisher would interrupt", "[busy | consent | watch | watch free | unwatch | help]"},
}

const (
	channelID     = "C0DEPLOYS"
	documentID    = "deploy-token-document"
	spreadsheetID = "deploy-history-spreadsheet"
	// consentGroup is asked about work whose owner nobody knows.
	consentGroup = "S0DATASUPPORT"
	botAccount   = "bot@deploytoken-demo.iam.gserviceaccount.com"

	// No program outside this one takes these.
	botToken, appToken       = "xoxb-demo", "xapp-demo"
	scrapydUser, scrapydPass = "scrapyd", "demo"
)

// A world is everything that the page shows.
type world struct {
	clock      *clock
	slack      *slack.Server
	google     *google.Server
	kingfisher *kingfisher.Server
	bot        *bot

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	faults  map[string]int           // those that are on, with Google's ID of each, or 0
	changed map[chan<- struct{}]bool // told of what changes beside the local servers
}

// newWorld starts the local servers and the bot, whose files are put into dir.
func newWorld(dir string, c Config) (_ *world, err error) {
	w := &world{clock: new(clock), faults: map[string]int{}, changed: map[chan<- struct{}]bool{}}
	w.clock.skip(untilWork(time.Now()))
	w.ctx, w.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	for _, start := range []func() error{w.startSlack, w.startGoogle, w.startKingfisher} {
		if err := start(); err != nil {
			return nil, err
		}
	}
	env, err := w.environment(dir)
	if err != nil {
		return nil, err
	}
	w.bot = &bot{command: c.Bot, env: env, clock: w.clock, log: c.Log, changed: w.notify}
	return w, w.bot.start()
}

func (w *world) startSlack() (err error) {
	members := []string{"U0BOT"}
	for _, p := range people {
		members = append(members, p.ID)
	}
	tz := timezone(w.clock.Now())
	config := slack.Config{
		Team:     slack.Team{ID: "T0DEMO", Name: "Demo team", Domain: "demo"},
		App:      slack.App{ID: "A0DEMO", Name: "deploytoken", UserID: "U0BOT", BotID: "B0DEMO"},
		BotToken: botToken, AppToken: appToken,
		Users: []slack.User{
			{ID: "U0ANA", Name: "ana", RealName: "Ana Díaz", DisplayName: "Ana", TZ: tz},
			{ID: "U0BOB", Name: "bob", RealName: "Bob Ray", DisplayName: "Bob", TZ: tz},
			{ID: "U0CHIDI", Name: "chidi", RealName: "Chidi Okafor", DisplayName: "Chidi", TZ: tz},
			{ID: "U0DEE", Name: "dee", RealName: "Dee Novak", DisplayName: "Dee", TZ: tz},
		},
		Channels:     []slack.Channel{{ID: channelID, Name: "deploys", Members: members}},
		UserGroups:   []slack.UserGroup{{ID: consentGroup, Handle: "data-support", Name: "Data support", Members: []string{"U0CHIDI", "U0DEE"}}},
		Clock:        w.clock.Now,
		HistoryLimit: 300,
	}
	for _, c := range commands {
		config.Commands = append(config.Commands, slack.Command{Name: c.Name, ShouldEscape: true})
	}
	if w.slack, err = slack.New(config); err != nil {
		return err
	}
	return w.slack.Start(w.ctx)
}

func (w *world) startGoogle() (err error) {
	w.google, err = google.New(google.Config{
		Accounts: []google.Account{{Email: botAccount, Name: "deploytoken"}},
		Clock:    w.clock.Now,
	})
	if err != nil {
		return err
	}
	if err := w.google.Start(w.ctx); err != nil {
		return err
	}
	_, err = w.google.NewDocument(google.DocumentSpec{
		ID: documentID, Title: "Deploy token",
		Tabs: []google.TabSpec{google.Tab("Deploy token",
			google.Paragraph(google.Text("One person at a time may change the servers.")),
			google.Paragraph(google.Bold("Held by:"), google.Text(" Nobody")),
			google.Paragraph(google.Text("Anybody can edit this by hand.")),
		)},
	})
	if err != nil {
		return err
	}
	_, err = w.google.NewSpreadsheet(google.SpreadsheetSpec{ID: spreadsheetID, Title: "Deploy history"})
	return err
}

func (w *world) startKingfisher() (err error) {
	k, err := kingfisher.New(kingfisher.Config{ScrapydUsername: scrapydUser, ScrapydPassword: scrapydPass, Now: w.clock.Now})
	if err != nil {
		return err
	}
	w.kingfisher = k
	if err := k.Start(w.ctx); err != nil {
		return err
	}
	now := w.clock.Now()
	_, spider := k.StartSpider(kingfisher.Spider{Name: "honduras_portal", Note: "Started by CHIDI.", Started: now.Add(-135 * time.Minute)})
	_, query := k.StartQuery(kingfisher.Query{User: "chidi", Client: "10.0.0.7", Text: "SELECT count(*) FROM release", Started: now.Add(-12 * time.Minute)})
	session := k.OpenSession(kingfisher.Session{User: "ocdskfp", Name: "co-load-zambia", Opened: now.Add(-26 * time.Hour)})
	return errors.Join(spider, query, session)
}

// environment is the whole environment of the bot: its configuration.
func (w *world) environment(dir string) ([]string, error) {
	credentials, err := w.google.CredentialsJSON(botAccount)
	if err != nil {
		return nil, err
	}
	credentialsFile := filepath.Join(dir, "google.json")
	if err := os.WriteFile(credentialsFile, credentials, 0o600); err != nil {
		return nil, fmt.Errorf("writing the bot's credentials: %w", err)
	}
	identity, knownHosts, err := w.kingfisher.WriteFiles(dir)
	if err != nil {
		return nil, err
	}
	return []string{
		"SLACK_BOT_TOKEN=" + botToken,
		"SLACK_APP_TOKEN=" + appToken,
		"SLACK_CHANNEL=" + channelID,
		"SLACK_API_URL=" + w.slack.URL() + "/api/",
		"GOOGLE_APPLICATION_CREDENTIALS=" + credentialsFile,
		"GOOGLE_DOCUMENT=" + documentID,
		"GOOGLE_SPREADSHEET=" + spreadsheetID,
		"GOOGLE_ENDPOINT=" + w.google.URL() + "/",
		"GOOGLE_WATCH_INTERVAL=1s",
		"KINGFISHER_SCRAPYD_URL=" + w.kingfisher.ScrapydURL(),
		"KINGFISHER_SSH_ADDRESS=" + w.kingfisher.SSHAddress(),
		"KINGFISHER_SSH_KNOCK_ADDRESS=",
		"KINGFISHER_SSH_IDENTITY_FILE=" + identity,
		"KINGFISHER_SSH_KNOWN_HOSTS_FILE=" + knownHosts,
		"KINGFISHER_TIMEOUT=5s",
		"KINGFISHER_PEOPLE=chidi=U0CHIDI,co=U0CHIDI,10.0.0.7=U0CHIDI,ana=U0ANA,ad=U0ANA,bob=U0BOB,br=U0BOB,dee=U0DEE,dn=U0DEE",
		"KINGFISHER_CONSENT_GROUP=" + consentGroup,
		"SCRAPYD_USERNAME=" + scrapydUser,
		"SCRAPYD_PASSWORD=" + scrapydPass,
		"SERVERS=registry,docs,kingfisher-main",
		"TIMEZONE=" + timezone(w.clock.Now()),
		// An hour that is skipped brings a reminder.
		"REMINDERS_SCHEDULE=0 * * * *",
		"REMINDERS_STALE_AFTER=1h",
		"STORE_URL=sqlite:" + filepath.Join(dir, "store.db"),
		"HTTP_ADDRESS=127.0.0.1:0",
	}, nil
}

// untilWork is how long it is from now until people are at work: nothing while
// they are, from 9 to 16 on a weekday, else until ten in the morning.
func untilWork(now time.Time) time.Duration {
	weekday := func(t time.Time) bool { return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday }
	if weekday(now) && now.Hour() >= 9 && now.Hour() < 16 {
		return 0
	}
	year, month, day := now.Date()
	work := time.Date(year, month, day, 10, 0, 0, 0, now.Location())
	for work.Before(now) || !weekday(work) {
		work = work.AddDate(0, 0, 1)
	}
	return work.Sub(now)
}

// timezone is where everybody in the demo is: the zone with this machine's
// offset, to the hour, as the machine's own may have no name.
func timezone(now time.Time) string {
	_, offset := now.Zone()
	hours := int(math.Round(float64(offset) / 3600))
	if hours == 0 {
		return "Etc/UTC"
	}
	return fmt.Sprintf("Etc/GMT%+d", -hours) // its sign is the other way around
}

// close ends the bot and the local servers.
func (w *world) close() {
	w.cancel()
	if w.bot != nil {
		w.bot.close()
	}
	if w.kingfisher != nil {
		w.kingfisher.Close()
	}
	if w.google != nil {
		w.google.Close()
	}
	if w.slack != nil {
		w.slack.Close()
	}
	w.wg.Wait()
}

// notify tells the streams of events that something has changed.
func (w *world) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.changed {
		select {
		case ch <- struct{}{}:
		default: // it has yet to look, and will see this too
		}
	}
}

// The sections of what the page shows. Each is streamed when it has changed.

type demoSection struct {
	People   []person       `json:"people"`
	Commands []slashCommand `json:"commands"`
	Channel  string         `json:"channel"`
}

type worldSection struct {
	Bot       botView     `json:"bot"`
	Connected bool        `json:"connected"` // to Slack
	AheadMS   int64       `json:"ahead_ms"`  // of the clock
	Faults    []faultView `json:"faults"`
}

type googleSection struct {
	Document    google.DocumentState    `json:"document"`
	Spreadsheet google.SpreadsheetState `json:"spreadsheet"`
}

// sections returns what there is to be shown now.
func (w *world) sections() map[string]any {
	s := w.slack.State()
	connected := slices.ContainsFunc(s.Connections, func(c slack.Connection) bool { return c.Leaving == "" })
	// What changes all the time is not shown.
	s.Seq, s.Now, s.Connections, s.Faults = 0, time.Time{}, nil, nil
	k := w.kingfisher.State()
	k.Seq, k.Now = 0, time.Time{}
	var g googleSection
	for _, d := range w.google.State().Documents {
		g.Document = d
	}
	for _, sheet := range w.google.State().Spreadsheets {
		g.Spreadsheet = sheet
	}
	return map[string]any{
		"demo":       demoSection{people, commands, channelID},
		"world":      worldSection{w.bot.view(), connected, w.clock.Skipped().Milliseconds(), w.faultViews()},
		"slack":      s,
		"google":     g,
		"kingfisher": k,
		"log":        w.bot.logLines(),
	}
}
