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
	// turnLasts is how long the next in line keeps the turn.
	turnLasts = 4 * time.Second
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
	// Rows are those of the history below its headers; Messages, the channel's, and
	// Direct those between the bot and a person, by the person's ID.
	Rows     []Row
	Messages []slack.Message
	Direct   map[string][]slack.Message
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
	direct      map[string]string // the channel of each person's direct message
	disruptions []Disruption
	given       int
	kills       int
	calm        time.Time // until then, nobody edits the document
}

// Run runs a team until its operations are done and everything that follows of
// them is delivered, or no more of it comes. An error is one of running it.
func Run(ctx context.Context, c Config) (*History, error) {
	t := &team{Config: c, began: time.Now(), direct: map[string]string{}}
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
	for _, p := range t.people() {
		if t.direct[p.ID], err = t.slack.OpenDirect(p.ID); err != nil {
			return err
		}
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
		"WAITLIST_TURN=" + turnLasts.String(),
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

// A mind is what a person knows of how it stands.
type mind struct {
	holding bool
	last    *Operation // whose answer calls for another
	// confirms are answers that ask for a confirmation and were left at that.
	confirms []*Operation
}

// person asks for one thing after the other, until enough was asked for.
func (t *team) person(ctx context.Context, p Person, r *rand.Rand) error {
	var m mind
	for t.more() {
		if !pause(ctx, time.Duration(r.IntN(400))*time.Millisecond) {
			return ctx.Err()
		}
		o, err := t.click(ctx, p, &m, r)
		if err != nil {
			return err
		}
		if o == nil {
			o = t.newOperation(p, m.next(r))
			if o.Kind == Give {
				others := slices.DeleteFunc(slices.Clone(t.people()), func(other Person) bool { return other == p })
				o.To = others[r.IntN(len(others))]
			}
			if err := t.ask(ctx, o); err != nil {
				return err
			}
		}
		if err := t.await(ctx, o, patience); err != nil {
			return err
		}
		m.hear(o)
		switch {
		case o.Kind == Give && m.holding:
			pause(ctx, time.Duration(r.IntN(2000))*time.Millisecond)
		case m.last != nil && !m.holding:
			pause(ctx, time.Duration(r.IntN(500))*time.Millisecond)
		}
	}
	return nil
}

// next is what the person asks for next by a command.
func (m *mind) next(r *rand.Rand) Kind {
	held := m.last != nil && !m.holding
	switch {
	case r.IntN(12) == 0:
		return Status
	case r.IntN(40) == 0:
		return []Kind{Wait, Leave, Give, Force}[r.IntN(4)]
	case m.holding && r.IntN(8) > 0:
		return []Kind{Give, Release}[r.IntN(2)]
	case !m.holding && r.IntN(8) == 0:
		return Release
	case held && r.IntN(4) == 0:
		return Wait
	case held && r.IntN(4) == 0:
		return Force
	}
	return Take
}

// hear is what the person makes of an answer.
func (m *mind) hear(o *Operation) {
	m.last = nil
	switch a, ok := o.final(); {
	case !ok:
	case a.Told == ToldTaken, a.Told == ToldYours:
		m.holding, m.last = true, o
	case a.Told == ToldHeld, a.Told == ToldOutOfTurn:
		m.holding, m.last = false, o
	case a.Told == ToldConfirm:
		m.last = o
		m.confirms = append(m.confirms, o)
	case a.Told == ToldOffered, a.Told == ToldWaiting, a.Told == ToldNothing, a.Told == ToldUnclear:
	default:
		m.holding = false
	}
}

// click presses, now and then, a button of the answer to the last operation, of
// one that was left long ago, or of a direct message; nil where it doesn't.
func (t *team) click(ctx context.Context, p Person, m *mind, r *rand.Rand) (*Operation, error) {
	last, often := m.last, 6
	switch {
	case r.IntN(4) > 0:
		if o, err := t.answerDirect(ctx, p, r); o != nil || err != nil {
			return o, err
		}
	case len(m.confirms) > 0 && r.IntN(8) == 0:
		last, often = m.confirms[r.IntN(len(m.confirms))], 1
	}
	if last == nil || last.Button != "" || last.Of != "" {
		return nil, nil
	}
	if last.Kind == Force || last.Kind.takes() && !m.holding {
		often = min(often, 2)
	}
	if r.IntN(often) > 0 {
		return nil, nil
	}
	for _, said := range slices.Backward(t.slack.Visible(p.ID, last.Room)) {
		elements := said.Elements()
		if said.User != botUser || len(elements) == 0 {
			continue
		}
		r.Shuffle(len(elements), func(i, j int) { elements[i], elements[j] = elements[j], elements[i] })
		for _, e := range elements {
			switch k := Kind(e.ActionID); {
			case k == Ask && last.Kind == Force && r.IntN(4) > 0:
			case k == Release, k == Ask, k == TakeOutOfTurn, k == Confirm, k == Take && last.Kind == Wait:
				return t.press(ctx, p, said, e, r)
			}
		}
	}
	return nil, nil
}

// answerDirect presses a button of the latest offer or turn that the person was
// told of, if there is one that they can press.
func (t *team) answerDirect(ctx context.Context, p Person, r *rand.Rand) (*Operation, error) {
	said := t.slack.Visible(p.ID, t.direct[p.ID])
	for _, m := range slices.Backward(said[max(0, len(said)-10):]) {
		for _, e := range m.Elements() {
			k := Kind(e.ActionID)
			if k == Accept && r.IntN(4) > 0 || k == Decline || k == Take && r.IntN(2) == 0 || k == Leave && r.IntN(6) == 0 {
				return t.press(ctx, p, m, e, r)
			}
		}
	}
	return nil, nil
}

// press clicks a button, and fills in the form that it opens, if any.
func (t *team) press(ctx context.Context, p Person, m slack.Message, e slack.Element, r *rand.Rand) (*Operation, error) {
	for _, v := range t.slack.Views(p.ID) {
		_, _ = t.slack.CloseView(ctx, p.ID, v.ID) // one that came late
	}
	o := t.newOperation(p, Kind(e.ActionID))
	t.mu.Lock()
	o.Words, o.Room = "", m.Channel
	switch value := strings.TrimSuffix(e.Value, "-"); o.Kind {
	case Release, Ask:
		o.Button = value
	case Confirm:
		o.Button, o.Of, _ = strings.Cut(value, "/")
		o.Shown = strings.TrimSuffix(strings.TrimPrefix(e.Text, "Release "), "'s token")
	default:
		o.Of = value
	}
	o.Asked = time.Now()
	t.mu.Unlock()
	i, err := t.slack.Click(ctx, p.ID, m.Target(), slack.Action{ID: e.ActionID, Value: e.Value})
	if err != nil && ctx.Err() == nil {
		// The bot has taken the button away meanwhile.
		i, err = &slack.Invocation{Trouble: "dispatch_failed"}, nil
	}
	if err := t.invoked(o, i, err); err != nil || o.Kind != Release || !o.Acked {
		return o, err
	}
	return t.form(ctx, o, r)
}

// form waits for the form that a click opens, and fills it in: mostly it is
// submitted once; it may be left, submitted twice at once, or only when the
// holding has been released otherwise. It returns the operation to wait for.
func (t *team) form(ctx context.Context, click *Operation, r *rand.Rand) (*Operation, error) {
	var open []slack.View
	for until := time.Now().Add(briefly); len(open) == 0 && time.Now().Before(until); open = t.slack.Views(click.Person.ID) {
		if len(t.answers(click)) > 0 || !pause(ctx, 20*time.Millisecond) {
			return click, ctx.Err()
		}
	}
	if len(open) == 0 {
		return click, nil
	}
	t.mu.Lock()
	click.Opened = true
	t.mu.Unlock()
	view, p := open[0].ID, click.Person
	pause(ctx, time.Duration(r.IntN(500))*time.Millisecond)
	times := 1
	switch r.IntN(8) {
	case 0:
		times = 0
	case 1:
		times = 2
	case 2:
		o := t.newOperation(p, Release)
		if err := t.ask(ctx, o); err != nil {
			return nil, err
		}
		if err := t.await(ctx, o, patience); err != nil {
			return nil, err
		}
	}
	var both errgroup.Group
	for range times {
		o := t.newOperation(p, Release)
		t.mu.Lock()
		o.Room, o.Button, o.click, o.Envelope, o.Asked = click.Room, click.Button, click, click.Envelope, time.Now()
		click.forms = append(click.forms, o)
		t.mu.Unlock()
		both.Go(func() error {
			i, err := t.slack.SubmitView(ctx, p.ID, view, map[string][]string{"done": {o.Words}})
			if err != nil && ctx.Err() == nil {
				// The other submission has closed the form.
				i, err = &slack.Invocation{Trouble: "dispatch_failed"}, nil
			}
			return t.invoked(o, i, err)
		})
	}
	if err := both.Wait(); err != nil {
		return nil, err
	}
	for _, v := range t.slack.Views(p.ID) {
		if v.ID == view && times > 0 {
			t.mu.Lock()
			for _, why := range v.Errors {
				click.forms[0].kept = why
			}
			t.mu.Unlock()
		}
		_, _ = t.slack.CloseView(ctx, p.ID, v.ID)
	}
	if times == 0 {
		return click, nil
	}
	return click.forms[times-1], t.await(ctx, click.forms[0], patience)
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
	o.Asked = time.Now()
	said := string(o.Kind)
	switch o.Kind {
	case Status, Leave:
		o.Words = ""
	case Give:
		o.Words = ""
		said += " @" + o.To.Handle
	default:
		said += " " + o.Words
	}
	t.mu.Unlock()
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
	if o.click == nil {
		o.Envelope = i.EnvelopeID
	} else {
		o.submission = i.EnvelopeID
	}
	if o.Unsent {
		t.given--
	}
	return nil
}

// await waits for the operation's answer, for as long as the person would.
func (t *team) await(ctx context.Context, o *Operation, within time.Duration) error {
	if o.Opened {
		return ctx.Err()
	}
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

// answers are what the person was told in answer to the operation. Those to a
// form's submission come where the click that opened it is answered: of two
// submissions, the one that they quote is meant, or that has no answer yet.
func (t *team) answers(o *Operation) []Answer {
	said := t.slack.Answers(o.Envelope)
	t.mu.Lock()
	defer t.mu.Unlock()
	forms := o.forms
	if o.click != nil {
		forms = o.click.forms
	}
	var out []Answer
	if o.kept != "" {
		out = append(out, understand(o.Kind, o.Asked, o.kept))
	}
	answered := map[*Operation]bool{}
	for _, m := range said {
		to := o
		if len(forms) > 0 {
			to = answeredForm(forms, m, answered)
			answered[to] = true
		}
		if to == o || to == nil && o.click == nil {
			out = append(out, understand(o.Kind, m.At, m.Shown()))
		}
	}
	return out
}

// answeredForm is the one of the submissions that the message answers; nil for
// the click before them.
func answeredForm(forms []*Operation, m slack.Message, answered map[*Operation]bool) *Operation {
	if m.At.Before(forms[0].Asked) {
		return nil
	}
	for _, f := range forms {
		if strings.Contains(m.Shown(), f.Words) {
			return f
		}
	}
	for _, f := range forms {
		if !answered[f] && !f.Unsent && f.kept == "" {
			return f
		}
	}
	return forms[len(forms)-1]
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
	h.Messages, h.Direct = t.slack.Messages(channel), map[string][]slack.Message{}
	for person, at := range t.direct {
		h.Direct[person] = t.slack.Visible(person, at)
	}
	t.mu.Lock()
	operations := slices.Clone(t.operations)
	h.Disruptions = slices.Clone(t.disruptions)
	t.mu.Unlock()
	for _, c := range t.slack.Calls() {
		if c.Method == "response_url" && c.Fault == slack.FaultLost {
			h.Disruptions = append(h.Disruptions, Disruption{At: c.At, What: "answer shown and its sender not told", Doubles: true})
		}
		if c.Method == "chat.postMessage" && c.Fault == slack.FaultLost {
			h.Disruptions = append(h.Disruptions, Disruption{At: c.At, What: postLost})
		}
	}
	for _, o := range operations {
		answers := t.answers(o)
		t.mu.Lock()
		c := *o
		t.mu.Unlock()
		c.Answers = append(answers, late(h.Direct[c.Person.ID], &c)...)
		h.Operations = append(h.Operations, &c)
	}
	h.pairForms()
	return h
}

// pairForms gives each of two submissions of one form its own answers: what
// quotes one is that one's; who is told that what they wrote goes into the history
// is the one whose words stand there; the rest is the other's.
func (h *History) pairForms() {
	written := func(o *Operation) bool {
		return slices.ContainsFunc(h.Rows, func(r Row) bool { return r.Summary == o.Words })
	}
	for i, second := range h.Operations {
		j := slices.IndexFunc(h.Operations[:i], func(o *Operation) bool { return o.click != nil && o.click == second.click })
		if j < 0 {
			continue
		}
		first := h.Operations[j]
		done, other := first, second
		if written(second) && !written(first) {
			done, other = second, first
		}
		all := slices.Concat(first.Answers, second.Answers)
		slices.SortStableFunc(all, func(a, b Answer) int { return a.At.Compare(b.At) })
		is := func(t ...Told) bool {
			return slices.ContainsFunc(all, func(a Answer) bool { return slices.Contains(t, a.Told) })
		}
		one := is(ToldFreed, ToldReleased)
		first.Answers, second.Answers = nil, nil
		for _, a := range all {
			to := other
			switch {
			case strings.Contains(a.Text, first.Words):
				to = first
			case strings.Contains(a.Text, second.Words):
				to = second
			case a.Told == ToldFreed, a.Told == ToldReleased, !a.final(), !one && len(done.Answers) == 0:
				to = done
			}
			to.Answers = append(to.Answers, a)
		}
	}
}

// late are the answers that came as direct messages, as they could not be given
// any more where the operation was asked for.
func late(direct []slack.Message, o *Operation) []Answer {
	id := o.Envelope
	if o.click != nil {
		id = o.submission
	}
	var out []Answer
	for _, m := range direct {
		if kind, of, _ := strings.Cut(key(m), ":"); id != "" && of == id && (kind == "answer" || kind == "pending") {
			out = append(out, understand(o.Kind, m.At, m.Shown()))
		}
	}
	return out
}

// postLost is what became of a message that was posted, and its sender not told.
const postLost = "message shown and its sender not told"

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
