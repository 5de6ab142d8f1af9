package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

const (
	channel    = "C0DEPLOY"
	botUser    = "UBOT"
	botAccount = "bot@deploytoken-sandbox.iam.gserviceaccount.com"

	// patience is how long a person waits for an answer before they ask for
	// something else, and briefly, where there may be none: to a status, to what
	// was not acknowledged, or may not have been taken in. An answer counts all
	// the same when it comes.
	patience = 60 * time.Second
	briefly  = 5 * time.Second
	// healWithin is how long after the last fault everything must be delivered:
	// longer than any claim of a process that was killed lasts, and some retries.
	healWithin = 150 * time.Second
	// quiet is how long nothing more may come once everything was.
	quiet = 2 * time.Second
)

// A Config says what is run.
type Config struct {
	// Binary is the built program; Dir a directory for the run's files.
	Binary, Dir string
	// Store is the URL of a new store.
	Store string
	// Replicas is how many processes serve: one on SQLite, one or more on
	// PostgreSQL.
	Replicas int
	// Seed decides what is asked, edited and broken.
	Seed uint64
	// Operations is how many things are asked for that reach the bot.
	Operations int
	// Kills, if not 0, is how many kills there are, at random instants, in place
	// of all other faults and edits by hand; then Operations doesn't count.
	Kills int
	// Broken ends the run once it breaks the rule for good, and does not wait
	// long for what is missing.
	Broken Rule
	// CrashStore and RestartStore, if not nil, end all connections to the store
	// as a crash of its server and as a restart do.
	CrashStore, RestartStore func(context.Context) error
}

// A History is what was seen of a run.
type History struct {
	Config     Config
	People     []Person
	Began      time.Time
	Operations []*Operation
	// Writes are the changes of the document, in order.
	Writes []google.Write
	// Rows are those of the history below its headers; Messages, the channel's.
	Rows     []Row
	Messages []slack.Message
	// Disruptions are what went wrong, in order.
	Disruptions []Disruption
	// Took is how long it took.
	Took time.Duration
}

// A Disruption is something that went wrong.
type Disruption struct {
	At   time.Time
	What string
	// Doubles is whether it may have an answer delivered twice.
	Doubles bool
}

// people are the team. No first name is another's, nor part of another name.
var people = []Person{
	{"UANA", "Ana Díaz", "ana"}, {"UBOB", "Bob Ray", "bob"}, {"UEVA", "Eva Lind", "eva"},
	{"UIVO", "Ivo Marsh", "ivo"}, {"UUMA", "Uma Okafor", "uma"}, {"UZED", "Zed Quill", "zed"},
}

// visitors edit the document, and are not of the team.
var visitors = []google.Person{{Name: "Cy Visitor", Email: "cy@example.org"}, {Name: "Mo Guest", Email: "mo@example.org"}}

// A team is a run under way.
type team struct {
	Config
	slack      *slack.Server
	google     *google.Server
	kingfisher *kingfisher.Server
	document   *google.Document
	sheet      *google.Spreadsheet
	replicas   []*replica
	began      time.Time

	mu          sync.Mutex
	operations  []*Operation
	rooms       map[string][]*Operation // what was asked for in each, in order
	disruptions []Disruption
	given       int
	kills       int
	calm        time.Time // until then, nobody edits the document
}

// Run runs a team until its operations are done and everything that follows of
// them is delivered, or no more of it comes. An error is one of running it.
func Run(ctx context.Context, c Config) (*History, error) {
	t := &team{Config: c, began: time.Now(), rooms: map[string][]*Operation{}}
	defer t.close()
	if err := t.open(ctx); err != nil {
		return nil, err
	}
	for _, r := range t.replicas {
		if err := r.ready(ctx); err != nil {
			return nil, err
		}
	}
	if err := t.firstSeen(ctx); err != nil {
		return nil, err
	}

	var people, others errgroup.Group
	during, done := context.WithCancel(ctx)
	defer done()
	for i, p := range t.people() {
		people.Go(func() error { return t.person(ctx, p, t.random(uint64(i))) })
	}
	if t.Kills > 0 {
		others.Go(func() error { return t.killOnly(during, t.random(102)) })
	} else {
		others.Go(func() error { return t.edit(during, t.random(100)) })
		others.Go(func() error { return t.disturb(during, t.random(101)) })
	}
	err := people.Wait()
	done()
	if err := errors.Join(err, others.Wait()); err != nil {
		return nil, err
	}
	if err := t.heal(ctx); err != nil {
		return nil, err
	}
	t.settle(ctx)
	var errs []error
	for _, r := range t.replicas {
		errs = append(errs, r.stop())
	}
	h := t.history()
	for _, r := range t.replicas {
		lost, err := r.lostClaims()
		h.Disruptions = append(h.Disruptions, lost...)
		errs = append(errs, err)
	}
	return h, errors.Join(errs...)
}

func (t *team) people() []Person { return people }

// random is a source of its own for each part of the run, so that one part's
// choices don't depend on how fast another is.
func (t *team) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(t.Seed, part)) }

// open starts the servers and the bot.
func (t *team) open(ctx context.Context) error {
	users := []slack.User{}
	members := []string{botUser}
	for _, p := range t.people() {
		users = append(users, slack.User{ID: p.ID, Name: p.Handle, RealName: p.Name, DisplayName: p.Handle})
		members = append(members, p.ID)
	}
	var err error
	t.slack, err = slack.New(slack.Config{
		Team:     slack.Team{ID: "T1", Name: "Team"},
		App:      slack.App{ID: "A1", Name: "deploytoken", UserID: botUser, BotID: "B1"},
		BotToken: "xoxb-sandbox", AppToken: "xapp-sandbox",
		Commands:     []slack.Command{{Name: "/deploy-token", ShouldEscape: true}, {Name: "/kingfisher", ShouldEscape: true}},
		Users:        users,
		Channels:     []slack.Channel{{ID: channel, Name: "deploys", Members: members}},
		PingInterval: time.Second,
		Grace:        2 * time.Second,
	})
	if err != nil {
		return err
	}
	t.google, err = google.New(google.Config{Accounts: []google.Account{{Email: botAccount, Name: "deploytoken bot"}}})
	if err != nil {
		return err
	}
	t.kingfisher, err = kingfisher.New(kingfisher.Config{ScrapydUsername: "scrapyd", ScrapydPassword: "sandbox"})
	if err != nil {
		return err
	}
	if err := errors.Join(t.slack.Start(ctx), t.google.Start(ctx), t.kingfisher.Start(ctx)); err != nil {
		return err
	}
	t.document, err = t.google.NewDocument(google.DocumentSpec{
		ID: "document1", Title: "Deploy token",
		Tabs: []google.TabSpec{google.Tab("Main",
			google.Paragraph(google.Text("Who may deploy?")),
			google.Paragraph(google.Bold("Held by:"), google.Text(" "+nobody)),
		)},
	})
	if err != nil {
		return err
	}
	if t.sheet, err = t.google.NewSpreadsheet(google.SpreadsheetSpec{ID: "spreadsheet1", Title: "Deploy history"}); err != nil {
		return err
	}
	identity, knownHosts, err := t.kingfisher.WriteFiles(t.Dir)
	if err != nil {
		return err
	}
	credentials, err := t.google.CredentialsJSON(botAccount)
	if err != nil {
		return err
	}
	credentialsFile := filepath.Join(t.Dir, "credentials.json")
	if err := os.WriteFile(credentialsFile, credentials, 0o600); err != nil {
		return err
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.Dir, "GOMAXPROCS=2",
		"SLACK_BOT_TOKEN=xoxb-sandbox", "SLACK_APP_TOKEN=xapp-sandbox", "SLACK_CHANNEL=" + channel,
		"SLACK_API_URL=" + t.slack.URL() + "/api/",
		"GOOGLE_APPLICATION_CREDENTIALS=" + credentialsFile, "GOOGLE_ENDPOINT=" + t.google.URL() + "/",
		"GOOGLE_DOCUMENT=document1", "GOOGLE_SPREADSHEET=spreadsheet1", "GOOGLE_WATCH_INTERVAL=1s",
		"KINGFISHER_SCRAPYD_URL=" + t.kingfisher.ScrapydURL(), "KINGFISHER_SSH_ADDRESS=" + t.kingfisher.SSHAddress(),
		"KINGFISHER_SSH_KNOCK_ADDRESS=", "KINGFISHER_SSH_IDENTITY_FILE=" + identity,
		"KINGFISHER_SSH_KNOWN_HOSTS_FILE=" + knownHosts, "SCRAPYD_USERNAME=scrapyd", "SCRAPYD_PASSWORD=sandbox",
		"STORE_URL=" + t.Store, "HTTP_ADDRESS=127.0.0.1:0",
	}
	for i := range t.Replicas {
		r := &replica{binary: t.Binary, env: env, logFile: filepath.Join(t.Dir, fmt.Sprintf("bot-%d.log", i))}
		t.replicas = append(t.replicas, r)
		if err := r.start(); err != nil {
			return err
		}
	}
	return nil
}

func (t *team) close() {
	for _, r := range t.replicas {
		r.kill()
	}
	if t.slack != nil {
		t.slack.Close()
	}
	if t.google != nil {
		t.google.Close()
	}
	if t.kingfisher != nil {
		t.kingfisher.Close()
	}
}

// firstSeen has the bot see the document before anyone changes it: what it sees
// first is the only thing that it doesn't announce.
func (t *team) firstSeen(ctx context.Context) error {
	o := t.newOperation(people[0], Release)
	if err := t.ask(ctx, o); err != nil {
		return err
	}
	if err := t.await(ctx, o, readyWithin); err != nil {
		return err
	}
	if _, ok := o.final(); !ok {
		return fmt.Errorf("the bot has not answered its first command within %s", readyWithin)
	}
	return nil
}

// person asks for one thing after the other, until enough was asked for.
func (t *team) person(ctx context.Context, p Person, r *rand.Rand) error {
	holding := false
	var last *Operation
	for t.more() {
		if !pause(ctx, time.Duration(r.IntN(400))*time.Millisecond) {
			return ctx.Err()
		}
		o, err := t.click(ctx, p, last, r)
		if err != nil {
			return err
		}
		if o == nil {
			kind := Take
			switch {
			case r.IntN(12) == 0:
				kind = Status
			case holding && r.IntN(8) > 0 || !holding && r.IntN(8) == 0:
				kind = Release
			}
			o = t.newOperation(p, kind)
			if err := t.ask(ctx, o); err != nil {
				return err
			}
		}
		if err := t.await(ctx, o, patience); err != nil {
			return err
		}
		last = nil
		switch a, ok := o.final(); {
		case !ok:
		case a.Told == ToldTaken, a.Told == ToldYours:
			holding, last = true, o
		case a.Told == ToldHeld:
			holding, last = false, o
			pause(ctx, time.Duration(r.IntN(500))*time.Millisecond)
		case a.Told != ToldNothing && a.Told != ToldUnclear:
			holding = false
		}
	}
	return nil
}

// click presses, now and then, a button of the answer to the last operation; nil
// where it doesn't.
func (t *team) click(ctx context.Context, p Person, last *Operation, r *rand.Rand) (*Operation, error) {
	if last == nil || last.Button != "" || r.IntN(6) > 0 {
		return nil, nil
	}
	for _, m := range slices.Backward(t.slack.Visible(p.ID, last.Room)) {
		for _, e := range m.Elements() {
			kind := Kind(e.ActionID)
			if m.User != botUser || kind != Release && kind != Ask {
				continue
			}
			o := t.newOperation(p, kind)
			t.mu.Lock()
			o.Words, o.Room, o.Button, o.on, o.Asked = "", last.Room, e.Value, m.TS, time.Now()
			t.rooms[o.Room] = append(t.rooms[o.Room], o)
			t.mu.Unlock()
			i, err := t.slack.Click(ctx, p.ID, m.Target(), slack.Action{ID: e.ActionID, Value: e.Value})
			return o, t.invoked(o, i, err)
		}
	}
	return nil, nil
}

// more takes one of the operations that remain.
func (t *team) more() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Kills > 0 {
		return t.kills < t.Kills
	}
	t.given++
	return t.given <= t.Config.Operations
}

func (t *team) newOperation(p Person, k Kind) *Operation {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.operations) + 1
	o := &Operation{Number: n, Person: p, Kind: k, Words: fmt.Sprintf("job-%d", n), Room: fmt.Sprintf("C1ROOM%04d", n)}
	t.operations = append(t.operations, o)
	return o
}

// ask gives the command, in a room of its own.
func (t *team) ask(ctx context.Context, o *Operation) error {
	if err := t.slack.PutChannel(slack.Channel{ID: o.Room, Name: strings.ToLower(o.Room), Members: []string{o.Person.ID}}); err != nil {
		return err
	}
	t.mu.Lock()
	t.rooms[o.Room] = append(t.rooms[o.Room], o)
	o.Asked = time.Now()
	t.mu.Unlock()
	said := string(o.Kind)
	if o.Kind != Status {
		said += " " + o.Words
	}
	i, err := t.slack.Slash(ctx, o.Person.ID, o.Room, "/deploy-token", said)
	return t.invoked(o, i, err)
}

func (t *team) invoked(o *Operation, i *slack.Invocation, err error) error {
	if err != nil {
		return fmt.Errorf("operation %d: %w", o.Number, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	o.Acked, o.Unsent = i.Acked, i.Trouble == "dispatch_failed"
	if o.Unsent {
		t.given--
	}
	return nil
}

// await waits for the operation's answer, for as long as the person would.
func (t *team) await(ctx context.Context, o *Operation, within time.Duration) error {
	if o.Unsent {
		pause(ctx, 300*time.Millisecond)
		return ctx.Err()
	}
	if !o.Acked || o.Kind == Status {
		within = min(within, briefly)
	}
	for until, again := time.Now().Add(within), 5*time.Millisecond; ; again = min(2*again, 100*time.Millisecond) {
		answers := t.answers(o)
		t.mu.Lock()
		o.Answers = answers
		_, ok := o.final()
		t.mu.Unlock()
		if len(answers) > 0 && answers[0].Told == ToldLate && until.After(o.Asked.Add(briefly)) {
			until = o.Asked.Add(briefly)
		}
		if ok || time.Now().After(until) || !pause(ctx, again) {
			return ctx.Err()
		}
	}
}

// answers are what the person was told in the operation's room. Where a button
// of the first answer there was clicked, what comes after that is about the
// click, unless it tells the same again: no click is answered so. A click that
// can't be taken in is told so in place of the answer that it was on, which is
// known from before.
func (t *team) answers(o *Operation) []Answer {
	said := t.slack.Visible(o.Person.ID, o.Room)
	t.mu.Lock()
	defer t.mu.Unlock()
	first, click := t.rooms[o.Room][0], (*Operation)(nil)
	if len(t.rooms[o.Room]) > 1 {
		click = t.rooms[o.Room][1]
	}
	var toFirst, toClick []Answer
	for _, m := range said {
		if m.User != botUser {
			continue
		}
		a := understand(first.Kind, m.At, m.Shown())
		switch {
		case click == nil:
			toFirst = append(toFirst, a)
		case a.Told == ToldLate && m.TS == click.on:
			a.At = click.Asked
			toClick = append(toClick, a)
			toFirst = append(toFirst, first.Answers[len(first.Answers)-1])
		case m.At.After(click.Asked) && !slices.ContainsFunc(toFirst, func(e Answer) bool { return e.Told == a.Told }):
			toClick = append(toClick, understand(click.Kind, m.At, m.Shown()))
		default:
			toFirst = append(toFirst, a)
		}
	}
	if o == click {
		return toClick
	}
	return toFirst
}

// heal ends all faults, and makes the document say Nobody.
func (t *team) heal(ctx context.Context) error {
	t.google.ClearFaults()
	t.slack.ClearFaults()
	t.sheet.StaleReads(0)
	for _, r := range t.replicas {
		if err := r.start(); err != nil {
			return err
		}
	}
	for _, r := range t.replicas {
		if err := r.ready(ctx); err != nil {
			return err
		}
	}
	if !pause(ctx, time.Second) {
		return ctx.Err()
	}
	return t.document.SetHolder(visitors[0], nobody)
}

// settle waits until nothing is missing any more, or no more may be expected.
func (t *team) settle(ctx context.Context) {
	within := healWithin
	if t.Broken != "" {
		within = healWithin / 5
	}
	deadline := time.Now().Add(within)
	for freed := time.Now(); ; {
		// What was asked for earlier may be done only now, and hold the token.
		if time.Since(freed) > 10*time.Second && t.document.Holder() != nobody {
			_ = t.document.SetHolder(visitors[0], nobody)
			freed = time.Now()
		}
		missing := t.document.Holder() != nobody
		for _, p := range t.history().account().problems {
			missing = missing || p.Missing
			if !p.Missing && p.Rule == t.Broken {
				return
			}
		}
		if !missing {
			// What would come doubled may still come.
			pause(ctx, quiet)
			return
		}
		if time.Now().After(deadline) || !pause(ctx, time.Second) {
			return
		}
	}
}

// history is what was seen until now.
func (t *team) history() *History {
	h := &History{Config: t.Config, People: t.people(), Began: t.began, Took: time.Since(t.began)}
	for _, w := range t.google.Writes() {
		if w.File == t.document.ID() {
			h.Writes = append(h.Writes, w)
		}
	}
	for i, cells := range t.sheet.Rows("") {
		if i > 0 {
			h.Rows = append(h.Rows, parseRow(cells))
		}
	}
	h.Messages = t.slack.Messages(channel)
	t.mu.Lock()
	operations := slices.Clone(t.operations)
	h.Disruptions = slices.Clone(t.disruptions)
	t.mu.Unlock()
	for _, c := range t.slack.Calls() {
		if c.Method == "response_url" && c.Fault == slack.FaultLost {
			h.Disruptions = append(h.Disruptions, Disruption{At: c.At, What: "answer shown and its sender not told", Doubles: true})
		}
	}
	for _, o := range operations {
		c := *o
		c.Answers = t.answers(o)
		h.Operations = append(h.Operations, &c)
	}
	return h
}

// parseRow reads a row; what can't be read is left out.
func parseRow(cells []string) (r Row) {
	cells = append(slices.Clone(cells), make([]string, 7)...)
	r.Taken, _ = time.Parse(time.DateTime, cells[0])
	r.Released, _ = time.Parse(time.DateTime, cells[1])
	r.Name, r.Purpose, r.Summary, r.Consent, r.ID = cells[2], cells[3], cells[4], cells[5], cells[6]
	return r
}

// key is the effect that a message stands for.
func key(m slack.Message) string {
	var metadata struct {
		Payload struct {
			Key string `json:"key"`
		} `json:"event_payload"`
	}
	_ = json.Unmarshal(m.Metadata, &metadata)
	return metadata.Payload.Key
}

// pause waits, and reports whether ctx lasted so long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
