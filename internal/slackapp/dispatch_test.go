package slackapp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// recordedCommands are Commands that remember what they were asked.
type recordedCommands struct {
	mu                           sync.Mutex
	seen                         map[string]bool
	accepted, done, failed, left []deploytoken.Command

	accept func(ctx context.Context, c deploytoken.Command) error
	do     func(ctx context.Context, c deploytoken.Command)
	status func(ctx context.Context) (deploytoken.Status, error)
	draft  func(person, holding, command string) (words string, theirs bool, err error)
	looked *deploytoken.Look
}

func (r *recordedCommands) Accept(ctx context.Context, c deploytoken.Command) (bool, error) {
	if r.accept != nil {
		if err := r.accept(ctx, c); err != nil {
			return false, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[c.ID] {
		return false, nil
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[c.ID] = true
	r.accepted = append(r.accepted, c)
	return true, nil
}

func (r *recordedCommands) Do(ctx context.Context, c deploytoken.Command) {
	if r.do != nil {
		r.do(ctx, c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = append(r.done, c)
}

func (r *recordedCommands) Leave(c deploytoken.Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = append(r.left, c)
}

// kept returns the IDs of the accepted commands that were neither done nor given
// up, so that nobody else would do them either.
func (r *recordedCommands) kept() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.accepted {
		if !slices.ContainsFunc(slices.Concat(r.done, r.failed, r.left), func(d deploytoken.Command) bool { return d.ID == c.ID }) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (r *recordedCommands) Fail(ctx context.Context, c deploytoken.Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, c)
}

func (r *recordedCommands) Status(ctx context.Context) (deploytoken.Status, error) {
	if r.status != nil {
		return r.status(ctx)
	}
	return freeStatus, nil
}

func (r *recordedCommands) Looked(context.Context) (*deploytoken.Look, error) { return r.looked, nil }

func (r *recordedCommands) Draft(ctx context.Context, person, holding, command string) (string, bool, error) {
	if r.draft != nil {
		return r.draft(person, holding, command)
	}
	return "", false, nil
}

var freeStatus = deploytoken.Status{
	Token: deploytoken.Token{State: deploytoken.Free}, Link: "https://docs.google.com/document/d/D",
	At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
}

func ids(commands []deploytoken.Command) string {
	var b strings.Builder
	for _, c := range commands {
		fmt.Fprint(&b, c.ID, " ")
	}
	return strings.TrimSpace(b.String())
}

func (r *recordedCommands) acceptedIDs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ids(r.accepted)
}

func (r *recordedCommands) doneIDs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ids(r.done)
}

func (r *recordedCommands) failedIDs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ids(r.failed)
}

type memberFunc func(ctx context.Context, userID string) (bool, error)

func (f memberFunc) Member(ctx context.Context, userID string) (bool, error) { return f(ctx, userID) }

func everybody(context.Context, string) (bool, error) { return true, nil }

// A ranInbound is an Inbound that runs against a scripted Slack.
type ranInbound struct {
	*Inbound
	t        *testing.T
	slack    *scriptedSlack
	conn     *scriptedConn
	commands *recordedCommands
	log      *lockedBuffer
	result   chan error
	stop     context.CancelFunc
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func runInbound(t *testing.T, change func(*InboundConfig, *recordedCommands)) *ranInbound {
	return runTimedInbound(t, change, nil)
}

func runTimedInbound(t *testing.T, change func(*InboundConfig, *recordedCommands), timing func(*inboundTiming)) *ranInbound {
	f := newScriptedSlack(t)
	r := &ranInbound{t: t, slack: f, commands: &recordedCommands{}, log: &lockedBuffer{}, result: make(chan error, 1)}
	config := InboundConfig{
		Client: f.client(), Commands: r.commands, Members: memberFunc(everybody),
		Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config, r.commands)
	}
	r.Inbound = NewInbound(config)
	r.socket.timing = quickTiming()
	// A busy machine must not turn down what a test wants taken in.
	r.timing.takeIn, r.timing.access, r.timing.accept, r.timing.join = patience, patience, patience, patience
	r.timing.draft, r.timing.form = patience, patience
	if timing != nil {
		timing(&r.timing)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	go func() { r.result <- r.Run(ctx) }()
	r.conn = f.next()
	t.Cleanup(func() {
		cancel()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if ids := r.commands.kept(); len(ids) > 0 {
			t.Errorf("neither done nor left: %q", ids)
		}
		if strings.Contains(r.log.String(), "/response/") || strings.Contains(r.log.String(), testTicket) {
			t.Errorf("the log holds a secret:\n%s", r.log)
		}
	})
	return r
}

// said returns what an acknowledgement tells the asker.
func (a scriptedAck) said() string {
	if a.Payload == nil {
		return ""
	}
	return a.Payload.Text
}

func TestCommandIsRecordedAcknowledgedDone(t *testing.T) {
	var acks sync.Map
	r := runInbound(t, func(c *InboundConfig, _ *recordedCommands) {
		c.OnAck = func(kind string, d time.Duration) { acks.Store(kind, d) }
	})
	r.slack.slash(r.conn, "e1", "U1", "/deploy-token", "take for the &lt;registry&gt;")
	if a := r.conn.ack(); a.ID != "e1" || a.Payload != nil {
		t.Errorf("acknowledged with %+v", a)
	}
	if got := r.commands.acceptedIDs(); got != "e1" {
		t.Errorf("acknowledged with %q recorded", got)
	}
	eventually(t, "it is done", func() bool { return r.commands.doneIDs() == "e1" })
	c := r.commands.done[0]
	want := deploytoken.Command{
		ID: "e1", Kind: deploytoken.KindTake, PersonID: "U1", Words: "the <registry>", ChannelID: "C1",
		ResponseURL: r.slack.server.URL + "/response/e1", At: c.At,
	}
	if c != want || time.Since(c.At) > time.Minute {
		t.Errorf("did %+v, want %+v", c, want)
	}
	if _, ok := acks.Load("take"); !ok {
		t.Error("OnAck did not hear of it")
	}

	r.slack.slash(r.conn, "e1", "U1", "/deploy-token", "take for the &lt;registry&gt;")
	r.conn.ack()
	r.slack.click(r.conn, "e2", "U1", actionRelease, "h1")
	if a := r.conn.ack(); a.ID != "e2" || a.Payload != nil {
		t.Errorf("acknowledged with %+v", a)
	}
	eventually(t, "the click is done", func() bool { return strings.HasSuffix(r.commands.doneIDs(), "e2") })
	if got := r.commands.doneIDs(); got != "e1 e2" {
		t.Errorf("did %q: a duplicate was done again", got)
	}
	if c := r.commands.done[1]; c.Kind != deploytoken.KindRelease || c.Holding != "h1" || c.Message != "1.000001" || c.ChannelID != "C1" {
		t.Errorf("did %+v", c)
	}
}

func TestReadsAreAnswered(t *testing.T) {
	r := runInbound(t, nil)
	for _, tt := range []struct{ command, text, want string }{
		{"/deploy-token", "", statusMessage(freeStatus, "U1", time.Now()).Text},
		{"/deploy-token", "help", helpMessage("/deploy-token", false).Text},
		{"/deploy-token", "dance with me", notUnderstood("/deploy-token", "dance with me", false).Text},
		{"/kingfisher", "help", helpMessage("/kingfisher", false).Text},
		{"/kingfisher", "busy", refusal(noBusyChecks).Text},
		{"/unheard-of", "", helpMessage("/unheard-of", false).Text},
	} {
		id := tt.command[1:] + "-" + strings.Fields(tt.text + " none")[0]
		r.slack.slash(r.conn, id, "U1", tt.command, tt.text)
		if a := r.conn.ack(); a.ID != id || a.Payload != nil {
			t.Errorf("%s %s: acknowledged with %+v", tt.command, tt.text, a)
		}
		if got := r.slack.answer(id).Text; got != tt.want {
			t.Errorf("%s %s: answered %q, want %q", tt.command, tt.text, got, tt.want)
		}
	}
	if got := r.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
}

// TestDuplicateReadsAreAnsweredOnce has Slack deliver an envelope twice.
func TestDuplicateReadsAreAnsweredOnce(t *testing.T) {
	r := runInbound(t, nil)
	for _, id := range []string{"twice", "twice", "after"} {
		r.slack.slash(r.conn, id, "U1", "/deploy-token", "status")
		if a := r.conn.ack(); a.ID != id || a.Payload != nil {
			t.Errorf("%s: acknowledged with %+v", id, a)
		}
	}
	r.slack.answer("after")
	if n := len(r.slack.told("twice")); n != 1 {
		t.Errorf("%d answers", n)
	}
}

func TestStatusFailing(t *testing.T) {
	r := runInbound(t, func(_ *InboundConfig, c *recordedCommands) {
		c.status = func(context.Context) (deploytoken.Status, error) {
			return deploytoken.Status{}, &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "Google is away.", Cause: errors.New("secret")}
		}
	})
	r.slack.slash(r.conn, "s", "U1", "/deploy-token", "status")
	r.conn.ack()
	if got := r.slack.answer("s").Text; got != "Google is away." {
		t.Errorf("answered %q", got)
	}
}

func TestIgnoredEnvelopesAreAcknowledged(t *testing.T) {
	r := runInbound(t, nil)
	for id, envelope := range map[string]string{
		"event":   `{"envelope_id":"event","type":"events_api","retry_attempt":1,"payload":{"event":{"type":"app_home_opened"}}}`,
		"unknown": `{"envelope_id":"unknown","type":"pancake","payload":{}}`,
		"view":    `{"envelope_id":"view","type":"interactive","payload":{"type":"view_submission","user":{"id":"U1"}}}`,
		"button":  `{"envelope_id":"button","type":"interactive","payload":{"type":"block_actions","user":{"id":"U1"},"actions":[{"action_id":"dance","value":"x"}]}}`,
		"broken":  `{"envelope_id":"broken","type":"slash_commands","payload":[1]}`,
		"empty":   `{"envelope_id":"empty","type":"interactive"}`,
		"nobody":  `{"envelope_id":"nobody","type":"slash_commands","payload":{"command":"/deploy-token","text":"take"}}`,
	} {
		r.conn.say(envelope)
		if a := r.conn.ack(); a.ID != id || a.Payload != nil {
			t.Errorf("%s: acknowledged with %+v", id, a)
		}
	}
	if got := r.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
}

func TestAccess(t *testing.T) {
	for _, byGroup := range []bool{false, true} {
		t.Run(fmt.Sprint("by group ", byGroup), func(t *testing.T) { testAccess(t, byGroup) })
	}
}

func testAccess(t *testing.T, byGroup bool) {
	refused := map[bool]string{false: refusedPerson, true: refusedGroup}[byGroup]
	r := runInbound(t, func(c *InboundConfig, _ *recordedCommands) {
		c.ByGroup = byGroup
		c.Members = memberFunc(func(ctx context.Context, id string) (bool, error) {
			if id == "UNKNOWN" {
				return false, errors.New("Slack is away")
			}
			return id == "U1", nil
		})
	})
	for _, tt := range []struct{ person, want string }{{"U2", refused}, {"UNKNOWN", accessUnknown}} {
		r.slack.slash(r.conn, "take-"+tt.person, tt.person, "/deploy-token", "take")
		if a := r.conn.ack(); a.said() != tt.want || a.Payload.ResponseType != "ephemeral" {
			t.Errorf("%s: acknowledged with %+v", tt.person, a.Payload)
		}
		r.slack.slash(r.conn, "status-"+tt.person, tt.person, "/deploy-token", "status")
		r.conn.ack()
		if got := r.slack.answer("status-" + tt.person).Text; got != tt.want {
			t.Errorf("%s: answered %q", tt.person, got)
		}
		r.slack.click(r.conn, "click-"+tt.person, tt.person, actionRelease, "h1")
		r.conn.ack()
		if got := r.slack.answer("click-" + tt.person); got.Text != tt.want || got.Replace {
			t.Errorf("%s: the click was answered with %+v", tt.person, got)
		}
	}
	foreign := strings.Replace(r.slack.slashEnvelope("foreign", "U1", "/deploy-token", "take"), testTeam, "T0OTHER", 1)
	r.conn.say(foreign)
	if a := r.conn.ack(); a.said() != refusedTeam {
		t.Errorf("another workspace: acknowledged with %+v", a.Payload)
	}
	if got := r.commands.acceptedIDs(); got != "" {
		t.Errorf("recorded %q", got)
	}
	// What somebody was asked, they may answer.
	r.slack.click(r.conn, "agree", "U2", actionAgree, "q1")
	r.conn.ack()
	if got := r.commands.acceptedIDs(); got != "agree" {
		t.Errorf("recorded %q", got)
	}
}

func TestStoreRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"unavailable": {&deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Message: "no"}, turnedDownLate},
		"ambiguous":   {&deploytoken.Fault{Kind: deploytoken.ErrAmbiguous, Message: "no"}, turnedDownLate},
	} {
		t.Run(name, func(t *testing.T) {
			r := runInbound(t, func(_ *InboundConfig, c *recordedCommands) {
				c.accept = func(context.Context, deploytoken.Command) error { return tt.err }
			})
			r.slack.slash(r.conn, "e1", "U1", "/deploy-token", "take")
			if a := r.conn.ack(); a.said() != tt.want {
				t.Errorf("acknowledged with %+v", a.Payload)
			}
			r.slack.click(r.conn, "e2", "U1", actionRelease, "h1")
			r.conn.ack()
			if got := r.slack.answer("e2"); got.Text != tt.want {
				t.Errorf("the click was answered with %+v", got)
			}
			if got := r.commands.doneIDs(); got != "" {
				t.Errorf("did %q", got)
			}
		})
	}
}

// TestSlowMembers: a look at the members that takes long, and then makes do with
// what was read before, leaves time to record the command.
func TestSlowMembers(t *testing.T) {
	r := runTimedInbound(t, func(c *InboundConfig, _ *recordedCommands) {
		c.Members = memberFunc(func(ctx context.Context, _ string) (bool, error) {
			<-ctx.Done()
			return true, nil
		})
	}, func(timing *inboundTiming) { timing.access = 50 * time.Millisecond })
	r.slack.slash(r.conn, "slow", "U1", "/deploy-token", "take")
	if a := r.conn.ack(); a.said() != "" {
		t.Errorf("acknowledged with %+v", a.Payload)
	}
	eventually(t, "the command is done", func() bool { return r.commands.doneIDs() == "slow" })
}

// TestSlowStore has the store confirm only after the time is over.
func TestSlowStore(t *testing.T) {
	release := make(chan struct{})
	r := runTimedInbound(t, func(_ *InboundConfig, c *recordedCommands) {
		c.accept = func(context.Context, deploytoken.Command) error { <-release; return nil }
	}, func(timing *inboundTiming) { timing.takeIn, timing.accept = 100*time.Millisecond, 80*time.Millisecond })
	r.slack.slash(r.conn, "slow1", "U1", "/deploy-token", "take")
	r.slack.slash(r.conn, "slow2", "U1", "/deploy-token", "release")
	for range 2 {
		if a := r.conn.ack(); a.said() != turnedDownLate && a.said() != turnedDownStore {
			t.Errorf("%s: acknowledged with %+v", a.ID, a.Payload)
		}
	}
	close(release)
	eventually(t, "what was recorded too late is recorded as failed", func() bool {
		return len(r.commands.failedIDs()) == len(r.commands.acceptedIDs()) && len(r.accepts) == 0
	})
	if got := r.commands.doneIDs(); got != "" {
		t.Errorf("did %q, although the asker was told otherwise", got)
	}
}

// TestSlowStoreHoldsUpNobodyElse has the store hang for many people's commands,
// which must not hold up what others ask for.
func TestSlowStoreHoldsUpNobodyElse(t *testing.T) {
	release := make(chan struct{})
	hanging := make(chan struct{}, 100)
	r := runInbound(t, func(_ *InboundConfig, c *recordedCommands) {
		c.accept = func(_ context.Context, c deploytoken.Command) error {
			if strings.HasPrefix(c.PersonID, "SLOW") {
				hanging <- struct{}{}
				<-release
			}
			return nil
		}
	})
	for n := range cap(hanging) {
		r.slack.slash(r.conn, fmt.Sprint("slow", n), fmt.Sprint("SLOW", n), "/deploy-token", "take")
	}
	for range cap(hanging) {
		await(t, hanging, "the record of a command")
	}
	r.slack.slash(r.conn, "quick", "U1", "/deploy-token", "take")
	r.slack.slash(r.conn, "read", "U2", "/deploy-token", "status")
	for range 2 {
		if a := r.conn.ack(); strings.HasPrefix(a.ID, "slow") || a.Payload != nil {
			t.Errorf("%s: acknowledged with %+v", a.ID, a.Payload)
		}
	}
	close(release)
	eventually(t, "all is done", func() bool { return len(strings.Fields(r.commands.doneIDs())) == cap(hanging)+1 })
}

func TestPanics(t *testing.T) {
	r := runInbound(t, func(config *InboundConfig, c *recordedCommands) {
		c.accept = func(_ context.Context, c deploytoken.Command) error {
			if c.Words == "panic in accept" {
				panic("accept")
			}
			return nil
		}
		c.do = func(_ context.Context, c deploytoken.Command) {
			if c.Words == "panic in do" {
				panic("do")
			}
		}
		c.status = func(context.Context) (deploytoken.Status, error) { panic("status") }
		config.Members = memberFunc(func(_ context.Context, id string) (bool, error) {
			if id == "PANIC" {
				panic("member")
			}
			return true, nil
		})
	})
	r.slack.slash(r.conn, "accept", "U1", "/deploy-token", "take panic in accept")
	if a := r.conn.ack(); a.said() != turnedDownLate {
		t.Errorf("acknowledged with %+v", a.Payload)
	}
	r.slack.slash(r.conn, "member", "PANIC", "/deploy-token", "take")
	if a := r.conn.ack(); a.said() != sorry {
		t.Errorf("acknowledged with %+v", a.Payload)
	}
	r.slack.slash(r.conn, "do", "U1", "/deploy-token", "take panic in do")
	r.conn.ack()
	r.slack.slash(r.conn, "status", "U1", "/deploy-token", "")
	r.conn.ack()
	r.slack.slash(r.conn, "well", "U1", "/deploy-token", "take")
	r.conn.ack()
	eventually(t, "the next command is done", func() bool { return r.commands.doneIDs() == "well" })
	if got := r.commands.failedIDs(); got != "do" {
		t.Errorf("failed %q", got)
	}
	if got := r.slack.answer("status").Text; got != sorry {
		t.Errorf("answered %q", got)
	}
	for _, where := range []string{"accept", "do", "status", "member"} {
		if !strings.Contains(r.log.String(), where) || !strings.Contains(r.log.String(), "dispatch_test.go") {
			t.Errorf("the log does not tell of the panic in %s", where)
		}
	}
}

// A panic in a refusal that no acknowledgement carries ends nothing but that.
func TestPanicInNote(t *testing.T) {
	var log lockedBuffer
	in := NewInbound(InboundConfig{Log: slog.New(slog.NewTextHandler(&log, nil))})
	in.responder = nil
	if !in.notes.submit("e1", func() { in.note(request{ID: "e1", Person: "U1", Ask: askTake}, sorry) }) {
		t.Fatal("the refusal was not taken in")
	}
	if err := in.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "panic while turning a request down") {
		t.Errorf("the log is %s", log.String())
	}
}

func TestOrderOfOnePerson(t *testing.T) {
	r := runInbound(t, func(_ *InboundConfig, c *recordedCommands) {
		c.do = func(_ context.Context, c deploytoken.Command) {
			if c.ID == "e0" {
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	var want []string
	for i := range 20 {
		id := fmt.Sprintf("e%d", i)
		want = append(want, id)
		r.slack.slash(r.conn, id, "U1", "/deploy-token", []string{"take", "release"}[i%2])
	}
	eventually(t, "all are done", func() bool { return len(strings.Fields(r.commands.doneIDs())) == 20 })
	if got := r.commands.doneIDs(); got != strings.Join(want, " ") {
		t.Errorf("did %s", got)
	}
	if got := r.commands.acceptedIDs(); got != strings.Join(want, " ") {
		t.Errorf("recorded %s", got)
	}
}

func TestFullQueue(t *testing.T) {
	release := make(chan struct{})
	r := runInbound(t, func(config *InboundConfig, c *recordedCommands) {
		config.Workers, config.Queue = 2, 3
		c.do = func(context.Context, deploytoken.Command) { <-release }
	})
	for i := range 5 {
		r.slack.slash(r.conn, fmt.Sprintf("e%d", i), fmt.Sprintf("U%d", i), "/deploy-token", "take")
		if a := r.conn.ack(); a.Payload != nil {
			t.Errorf("%s: acknowledged with %+v", a.ID, a.Payload)
		}
	}
	r.slack.slash(r.conn, "full", "U9", "/deploy-token", "take")
	if a := r.conn.ack(); a.said() != turnedDownFull {
		t.Errorf("acknowledged with %+v", a.Payload)
	}
	r.slack.click(r.conn, "click", "U9", actionRelease, "h1")
	r.conn.ack()
	if got := r.slack.answer("click"); got.Text != turnedDownFull {
		t.Errorf("the click was answered with %+v", got)
	}
	close(release)
	eventually(t, "what was taken in is done", func() bool { return len(strings.Fields(r.commands.doneIDs())) == 5 })
	r.slack.slash(r.conn, "again", "U9", "/deploy-token", "take")
	r.conn.ack()
	eventually(t, "the next is done", func() bool { return strings.HasSuffix(r.commands.doneIDs(), "again") })
	if strings.Contains(r.commands.acceptedIDs(), "full") {
		t.Errorf("recorded what was turned down: %s", r.commands.acceptedIDs())
	}
}

// TestRecordedAndNotBegun: a command that is recorded when no more work is begun
// is left to be recovered.
func TestRecordedAndNotBegun(t *testing.T) {
	r := runInbound(t, nil)
	r.work.stop()
	r.slack.slash(r.conn, "e1", "U1", "/deploy-token", "take")
	r.conn.ack()
	eventually(t, "the command is left", func() bool {
		r.commands.mu.Lock()
		defer r.commands.mu.Unlock()
		return len(r.commands.left) == 1 && r.commands.left[0].ID == "e1"
	})
}

// TestCutBeforeAck loses the connection between the record and the
// acknowledgement: the command is done all the same, and Slack's repetition of
// the envelope does nothing more.
func TestCutBeforeAck(t *testing.T) {
	cut := make(chan struct{})
	r := runInbound(t, func(_ *InboundConfig, c *recordedCommands) {
		c.accept = func(_ context.Context, c deploytoken.Command) error { <-cut; return nil }
	})
	r.slack.slash(r.conn, "e1", "U1", "/deploy-token", "take")
	r.conn.ws.CloseNow()
	young := r.slack.next()
	close(cut)
	eventually(t, "it is done", func() bool { return r.commands.doneIDs() == "e1" })
	r.slack.slash(young, "e1", "U1", "/deploy-token", "take")
	if a := young.ack(); a.ID != "e1" || a.Payload != nil {
		t.Errorf("acknowledged with %+v", a)
	}
	if got := r.commands.doneIDs(); got != "e1" {
		t.Errorf("did %q", got)
	}
}

func TestShutdownFinishes(t *testing.T) {
	accepting, recorded, working, release := make(chan struct{}), make(chan struct{}), make(chan struct{}, 3), make(chan struct{})
	r := runInbound(t, func(_ *InboundConfig, c *recordedCommands) {
		c.accept = func(_ context.Context, c deploytoken.Command) error {
			if c.ID == "late" {
				close(accepting)
				<-recorded
			}
			return nil
		}
		c.do = func(context.Context, deploytoken.Command) { working <- struct{}{}; <-release }
	})
	r.slack.slash(r.conn, "working", "U1", "/deploy-token", "take")
	r.conn.ack()
	await(t, working, "the work on the first")
	r.slack.slash(r.conn, "waiting", "U1", "/deploy-token", "release")
	r.conn.ack()
	r.slack.slash(r.conn, "late", "U2", "/deploy-token", "take")
	await(t, accepting, "the record of the last")
	r.stop()
	// From now on, nothing more is taken in, but all is acknowledged.
	eventually(t, "intake has stopped", func() bool {
		r.intake.mu.Lock()
		defer r.intake.mu.Unlock()
		return r.intake.stopped
	})
	r.slack.slash(r.conn, "after", "U3", "/deploy-token", "take")
	if a := r.conn.ack(); a.ID != "after" || a.said() != turnedDownStopping {
		t.Errorf("acknowledged with %+v", a)
	}
	close(recorded)
	if a := r.conn.ack(); a.ID != "late" || a.Payload != nil {
		t.Errorf("acknowledged with %+v", a)
	}
	if err := await(t, r.result, "the end of Run"); err != nil {
		t.Errorf("Run returned %v", err)
	}
	close(release)
	if err := r.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if got := len(strings.Fields(r.commands.doneIDs())); got != 3 {
		t.Errorf("did %q", r.commands.doneIDs())
	}
	eventually(t, "no goroutine is left", func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, of := range []string{"(*lanes).work", "(*connection).read", "(*socket).", "(*Inbound)."} {
			if bytes.Contains(stacks, []byte(of)) {
				return false
			}
		}
		return true
	})
}

// submitted is how much the lanes have taken in and not done yet.
func (l *lanes) submitted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func TestShutdownHandsOver(t *testing.T) {
	working := make(chan struct{}, 1)
	var ended sync.Map
	r := runInbound(t, func(config *InboundConfig, c *recordedCommands) {
		config.Workers = 1
		c.do = func(ctx context.Context, c deploytoken.Command) {
			working <- struct{}{}
			<-ctx.Done()
			ended.Store(c.ID, true)
		}
	})
	r.slack.slash(r.conn, "working", "U1", "/deploy-token", "take")
	r.conn.ack()
	r.slack.slash(r.conn, "waiting", "U2", "/deploy-token", "take")
	r.conn.ack()
	r.slack.slash(r.conn, "reading", "U3", "/deploy-token", "status")
	r.conn.ack()
	await(t, working, "the work")
	eventually(t, "the rest waits for it", func() bool { return r.work.submitted() == 3 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := r.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 requests not begun") {
		t.Errorf("Shutdown returned %v", err)
	}
	if _, ok := ended.Load("working"); !ok {
		t.Error("Shutdown did not wait for what had begun")
	}
	if _, ok := ended.Load("waiting"); ok {
		t.Error("what had not begun was begun after the end")
	}
	if got := r.commands.failedIDs(); got != "" {
		t.Errorf("failed %q", got)
	}
	// What only reads is in no store: nobody else could answer it.
	if told := r.slack.told("reading"); len(told) != 1 || told[0].Text != turnedDownStopping {
		t.Errorf("who asked for what only reads was told %+v", told)
	}
}

func TestRunMisconfigured(t *testing.T) {
	for name, tt := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"bot token": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`) }, "SLACK_BOT_TOKEN"},
		"no API":    {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "slack.api_url"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newScriptedSlack(t)
			f.server.Config.Handler = tt.handle
			in := NewInbound(InboundConfig{Client: f.client(), Commands: &recordedCommands{}, Members: memberFunc(everybody)})
			err := in.Run(context.Background())
			if !errors.Is(err, deploytoken.ErrMisconfigured) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run returned %v", err)
			}
			if err := in.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown returned %v", err)
			}
		})
	}
}

func TestRunWaitsForSlack(t *testing.T) {
	f := newScriptedSlack(t)
	handler := f.server.Config.Handler
	var well atomic.Bool
	f.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if well.Load() {
			handler.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	in := NewInbound(InboundConfig{Client: f.client(), Commands: &recordedCommands{}, Members: memberFunc(everybody)})
	in.socket.timing = quickTiming()
	result := make(chan error, 1)
	go func() { result <- in.Run(context.Background()) }()
	eventually(t, "the failure shows", func() bool { _, _, err := in.Health(); return err != nil })
	well.Store(true)
	f.next()
	eventually(t, "it is connected", func() bool { connected, _, err := in.Health(); return connected && err == nil })
	if err := in.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := await(t, result, "the end of Run"); err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// TestTurnedDownPromisesNothing: a command may come twice, to two replicas, so
// the one that turns it down can't say what the other does.
func TestTurnedDownPromisesNothing(t *testing.T) {
	for _, said := range []string{turnedDownFull, turnedDownShare, turnedDownStopping, turnedDownStore, turnedDownLate, accessUnknown} {
		for _, promise := range []string{"nothing", "not done", "did not", "was not"} {
			if strings.Contains(strings.ToLower(said), promise) {
				t.Errorf("says what it can't know: %q", said)
			}
		}
	}
}

// TestShare: who asks without end is turned down, and the others are not.
func TestShare(t *testing.T) {
	release := make(chan struct{})
	r := runInbound(t, func(config *InboundConfig, c *recordedCommands) {
		config.Workers, config.Queue = 2, 6
		c.do = func(context.Context, deploytoken.Command) { <-release }
	})
	for i := range 3 {
		r.slack.slash(r.conn, fmt.Sprintf("e%d", i), "U1", "/deploy-token", "take")
		want := ""
		if i == 2 {
			want = turnedDownShare
		}
		if a := r.conn.ack(); a.said() != want {
			t.Errorf("%s: acknowledged with %+v", a.ID, a.Payload)
		}
	}
	r.slack.slash(r.conn, "other", "U2", "/deploy-token", "take")
	if a := r.conn.ack(); a.Payload != nil {
		t.Errorf("another person: acknowledged with %+v", a.Payload)
	}
	close(release)
	eventually(t, "what was taken in is done", func() bool { return len(strings.Fields(r.commands.doneIDs())) == 3 })
	eventually(t, "all have left", func() bool {
		r.places.mu.Lock()
		defer r.places.mu.Unlock()
		return len(r.places.byPerson) == 0 && r.places.taken == 0
	})
}
