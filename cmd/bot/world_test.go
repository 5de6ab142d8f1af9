package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/checker"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// The people and places of the sandbox.
const (
	ana, bob = "UANA", "UBOB"
	channel  = "C0DEPLOY"

	botAccount = "bot@deploytoken-sandbox.iam.gserviceaccount.com"
)

var person = google.Person{Name: "Cy Person", Email: "cy@example.org"}

// built is the program, built once.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	// What the tests start inherits the signals that are ignored here, as they
	// are under nohup or in the background of a script; not those that are caught.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	go func() {
		<-caught
		os.Exit(1)
	}()
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// binary builds the program as a release is built.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "deploytoken-")
		if err != nil {
			built.err = err
			return
		}
		built.dir = dir
		built.path, built.err = checker.Build(context.Background(), filepath.Join("..", ".."), dir)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// A world is local servers, and what a bot needs to be started on them.
type world struct {
	slack      *slack.Server
	google     *google.Server
	document   *google.Document
	sheet      *google.Spreadsheet
	kingfisher *kingfisher.Server
	dir        string
	config     map[string]string // keys of the configuration, by environment variable

	skipped atomic.Int64 // of the servers' clock
	skips   bool         // whether bots are run with that clock, as the demo runs them
	bots    []*bot
	cut     []string // keys of what bots were telling when they were killed, which may be told twice
}

// now is the servers' time.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.skipped.Load())) }

// skip moves the clock of the servers, and of the bots that were started with
// it, ahead.
func (w *world) skip(d time.Duration) {
	ahead := time.Duration(w.skipped.Add(int64(d)))
	for _, b := range w.bots {
		if b.clock != nil {
			_, _ = fmt.Fprintln(b.clock, ahead) // one that has ended needs to know no more
		}
	}
}

// newWorld starts the servers. Slack waits longer than it does, unless change
// says otherwise: a busy machine is not what is tested.
func newWorld(t testing.TB, change ...func(*slack.Config)) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{dir: t.TempDir()}
	var err error
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := slack.Config{
		Team:     slack.Team{ID: "T1", Name: "Team"},
		App:      slack.App{ID: "A1", Name: "deploytoken", UserID: "UBOT", BotID: "B1"},
		BotToken: "xoxb-sandbox", AppToken: "xapp-sandbox",
		Commands: []slack.Command{{Name: "/deploy-token", ShouldEscape: true}, {Name: "/kingfisher", ShouldEscape: true}},
		Users: []slack.User{
			{ID: ana, Name: "ana", RealName: "Ana Díaz", DisplayName: "ana"},
			{ID: bob, Name: "bob", RealName: "Bob Ray", DisplayName: "bob"},
		},
		Channels:     []slack.Channel{{ID: channel, Name: "deploys", Members: []string{ana, bob, "UBOT"}}},
		PingInterval: time.Second,
		AckTimeout:   30 * time.Second,
		TriggerLife:  30 * time.Second,
		Clock:        w.now,
	}
	for _, c := range change {
		c(&config)
	}
	w.slack, err = slack.New(config)
	fatal(err)
	fatal(w.slack.Start(ctx))
	t.Cleanup(func() { w.slack.Close() })

	w.google, err = google.New(google.Config{Accounts: []google.Account{{Email: botAccount, Name: "deploytoken bot"}}, Clock: w.now})
	fatal(err)
	fatal(w.google.Start(ctx))
	t.Cleanup(func() { w.google.Close() })
	w.document, err = w.google.NewDocument(google.DocumentSpec{
		ID: "document1", Title: "Deploy token",
		Tabs: []google.TabSpec{google.Tab("Main",
			google.Paragraph(google.Text("Who may deploy?")),
			google.Paragraph(google.Bold("Held by:"), google.Text(" Nobody")),
		)},
	})
	fatal(err)
	w.sheet, err = w.google.NewSpreadsheet(google.SpreadsheetSpec{ID: "spreadsheet1", Title: "Deploy history"})
	fatal(err)

	w.kingfisher, err = kingfisher.New(kingfisher.Config{ScrapydUsername: "scrapyd", ScrapydPassword: "sandbox", Now: w.now})
	fatal(err)
	fatal(w.kingfisher.Start(ctx))
	t.Cleanup(func() { w.kingfisher.Close() })
	identity, knownHosts, err := w.kingfisher.WriteFiles(w.dir)
	fatal(err)

	credentials, err := w.google.CredentialsJSON(botAccount)
	fatal(err)
	credentialsFile := filepath.Join(w.dir, "credentials.json")
	fatal(os.WriteFile(credentialsFile, credentials, 0o600))
	w.config = map[string]string{
		"SLACK_BOT_TOKEN":                 "xoxb-sandbox",
		"SLACK_APP_TOKEN":                 "xapp-sandbox",
		"SLACK_CHANNEL":                   channel,
		"SLACK_API_URL":                   w.slack.URL() + "/api/",
		"GOOGLE_APPLICATION_CREDENTIALS":  credentialsFile,
		"GOOGLE_DOCUMENT":                 "document1",
		"GOOGLE_SPREADSHEET":              "spreadsheet1",
		"GOOGLE_ENDPOINT":                 w.google.URL() + "/",
		"GOOGLE_WATCH_INTERVAL":           "1s",
		"KINGFISHER_SCRAPYD_URL":          w.kingfisher.ScrapydURL(),
		"KINGFISHER_SSH_ADDRESS":          w.kingfisher.SSHAddress(),
		"KINGFISHER_SSH_KNOCK_ADDRESS":    "",
		"KINGFISHER_SSH_IDENTITY_FILE":    identity,
		"KINGFISHER_SSH_KNOWN_HOSTS_FILE": knownHosts,
		"SCRAPYD_USERNAME":                "scrapyd",
		"SCRAPYD_PASSWORD":                "sandbox",
		"STORE_URL":                       "sqlite:" + filepath.Join(w.dir, "store.db"),
		"HTTP_ADDRESS":                    "127.0.0.1:0",
		"REMINDERS_WORKING_HOURS":         "", // whenever the tests are run
	}
	return w
}

// slacksTimes are those that Slack really gives.
func slacksTimes(c *slack.Config) { c.AckTimeout, c.TriggerLife = 0, 0 }

// atOnce keeps a program that was built with -race from sleeping for a second
// when it ends.
const atOnce = "GORACE=atexit_sleep_ms=0"

// environment is the whole of what a bot gets.
func (w *world) environment() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, atOnce}
	for k, v := range w.config {
		env = append(env, k+"="+v)
	}
	return env
}

// A bot is a running “bot serve”.
type bot struct {
	command *exec.Cmd
	address string // of its health checks
	log     *syncBuffer
	exited  chan error
	clock   io.WriteCloser // takes how far its clock is ahead; nil where it has the real one
}

// serve starts the bot and waits until it is ready.
func (w *world) serve(t testing.TB) *bot {
	t.Helper()
	b := w.start(t)
	b.waitLog(t, `"msg":"ready"`)
	return b
}

// start starts the bot.
func (w *world) start(t testing.TB) *bot {
	t.Helper()
	b := &bot{log: &syncBuffer{}, exited: make(chan error, 1)}
	b.command = exec.Command(binary(t), "serve")
	if w.skips {
		b.command = exec.Command(binary(t), "demo", "bot")
		var err error
		if b.clock, err = b.command.StdinPipe(); err != nil {
			t.Fatal(err)
		}
	}
	b.command.Env = w.environment()
	b.command.Stderr, b.command.Stdout = b.log, b.log
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	w.bots = append(w.bots, b)
	w.skip(0)
	go func() { b.exited <- b.command.Wait() }()
	t.Cleanup(func() {
		b.command.Process.Kill()
		if t.Failed() {
			log.Printf("the bot's log:\n%s", b.log)
		}
	})
	if w.skips {
		return b // it says nothing of its health
	}
	line := b.waitLog(t, `"msg":"serving health checks and metrics"`)
	var event struct{ Address string }
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		t.Fatal(err)
	}
	b.address = "http://" + event.Address
	return b
}

// waitLog waits for a line of the log that holds text.
func (b *bot) waitLog(t testing.TB, text string) string {
	t.Helper()
	var found string
	eventually(t, "a log line with "+text, func() bool {
		found = b.log.line(text)
		return found != ""
	})
	return found
}

// stop asks the bot to end, and returns its exit status.
func (b *bot) stop(t testing.TB) int {
	t.Helper()
	b.command.Process.Signal(syscall.SIGTERM)
	return b.wait(t)
}

// kill ends the bot at once.
func (b *bot) kill(t testing.TB) {
	t.Helper()
	if err := b.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	b.wait(t)
}

// wait waits for the bot to end, and returns its exit status.
func (b *bot) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-b.exited:
		return b.command.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the bot has not ended")
		return -1
	}
}

// isReady waits until the bot says of its health that it is ready. Its log says
// so once the document can be read, which may be before it was.
func (b *bot) isReady(t testing.TB) {
	t.Helper()
	eventually(t, "readiness", func() bool { code, _ := b.get(t, "/readyz"); return code == http.StatusOK })
}

func (b *bot) get(t testing.TB, path string) (int, string) {
	t.Helper()
	answer, err := http.Get(b.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// bot runs a subcommand to its end.
func (w *world) bot(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := exec.Command(binary(t), args...)
	c.Env = w.environment()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

// slash types a slash command, and returns what the person is told.
func (w *world) slash(t testing.TB, user, command, text string) slack.Message {
	t.Helper()
	before := w.answers(user)
	i, err := w.slack.Slash(t.Context(), user, channel, command, text)
	if err != nil || !i.Acked {
		t.Fatalf("%s %s: %+v %v", command, text, i, err)
	}
	return w.answer(t, user, before)
}

// click clicks a button, and returns what the person is told where that was.
func (w *world) click(t testing.TB, user string, on slack.Message, action string) slack.Message {
	t.Helper()
	return w.answered(t, user, func() { w.tap(t, user, on.Target(), action) })
}

// tap clicks a button of a message or a view.
func (w *world) tap(t testing.TB, user string, on slack.Target, action string) {
	t.Helper()
	i, err := w.slack.Click(t.Context(), user, on, slack.Action{ID: action})
	if err != nil || !i.Acked {
		t.Fatalf("%s's click on %s: %+v %v", user, action, i, err)
	}
}

// form clicks a button that opens a form, and returns the form.
func (w *world) form(t testing.TB, user string, on slack.Target, action string) (form slack.View) {
	t.Helper()
	before := len(w.slack.Views(user))
	w.tap(t, user, on, action)
	w.until(t, "a form", func() bool {
		views := w.slack.Views(user)
		if len(views) <= before {
			return false
		}
		form = views[len(views)-1]
		return true
	})
	return form
}

// submit fills in a form and submits it, which closes it.
func (w *world) submit(t testing.TB, user string, form slack.View, values map[string][]string) {
	t.Helper()
	i, err := w.slack.SubmitView(t.Context(), user, form.ID, values)
	if err != nil || !i.Acked || len(i.Payload) > 0 {
		t.Fatalf("%s's form %q: %+v %s %v", user, form.Title, i, i.Payload, err)
	}
}

// release releases the token by its button, the form of which is filled in with
// values, and returns what the person is told.
func (w *world) release(t testing.TB, user string, on slack.Message, values map[string][]string) slack.Message {
	t.Helper()
	form := w.form(t, user, on.Target(), "release")
	return w.answered(t, user, func() { w.submit(t, user, form, values) })
}

// answered does something, and returns what the person is then told that only
// they see: in a message of its own, or in the place of the one that they clicked.
func (w *world) answered(t testing.TB, user string, do func()) (found slack.Message) {
	t.Helper()
	before := map[slack.Target]string{}
	for _, m := range w.ephemeral(user) {
		before[m.Target()] = m.Shown()
	}
	do()
	w.until(t, "an answer to "+user, func() bool {
		for _, m := range w.ephemeral(user) {
			if was, there := before[m.Target()]; !there || was != m.Shown() {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// answer waits for the next answer that only the person sees.
func (w *world) answer(t testing.TB, user string, before int) (found slack.Message) {
	t.Helper()
	w.until(t, "an answer to "+user, func() bool {
		all := w.ephemeral(user)
		if len(all) <= before {
			return false
		}
		found = all[len(all)-1]
		return true
	})
	return found
}

func (w *world) answers(user string) int { return len(w.ephemeral(user)) }

func (w *world) ephemeral(user string) (found []slack.Message) {
	for _, m := range w.slack.Visible(user, channel) {
		if m.EphemeralTo == user {
			found = append(found, m)
		}
	}
	return found
}

// announced waits for a message of the channel that holds text.
func (w *world) announced(t testing.TB, text string) (found slack.Message) {
	t.Helper()
	w.until(t, "a message with "+text, func() bool {
		for _, m := range w.slack.Messages(channel) {
			if m.EphemeralTo == "" && strings.Contains(m.Shown(), text) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// patience is how long is waited for anything: longer than a bot may take to try
// again what it has tried for a while in vain.
const patience = 2 * time.Minute

// until waits for something to be so in Slack.
func (w *world) until(t testing.TB, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.slack.WaitFor(ctx, func(slack.State) bool { return so() }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// eventually waits for what no server tells of.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.Tick(5 * time.Millisecond); !so(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// rows waits until the history has as many rows, the headers included.
func (w *world) rows(t testing.TB, n int) (rows [][]string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d rows of history", n), func() bool {
		rows = w.sheet.Rows("")
		return len(rows) >= n
	})
	if len(rows) > n {
		t.Fatalf("%d rows of history, want %d: %q", len(rows), n, rows)
	}
	return rows
}

// A syncBuffer is a log that one writes and another reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	to io.Writer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.to != nil {
		return b.to.Write(p)
	}
	return b.b.Write(p)
}

// divert has another writer take what is written from now on, where it would
// be too much to keep.
func (b *syncBuffer) divert(to io.Writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = to
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// line is the first whole line that holds text, or "".
func (b *syncBuffer) line(text string) string {
	for s := bufio.NewScanner(strings.NewReader(b.String())); s.Scan(); {
		if strings.Contains(s.Text(), text) {
			return s.Text()
		}
	}
	return ""
}
