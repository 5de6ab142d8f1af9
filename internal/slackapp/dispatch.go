// Package slackapp is the bot in Slack. An Inbound takes in what people say and
// click, over Socket Mode, and turns it into deploytoken's commands; a Deliverer
// tells, in words, channels and people what deploytoken has to tell them; a
// Directory knows who they are.
package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// Commands does what people ask for. None of its methods may outlast its
// context by more than a moment.
type Commands interface {
	// Accept records the command, and reports whether it was new. An error
	// says that it can't be recorded now.
	Accept(ctx context.Context, c deploytoken.Command) (fresh bool, err error)
	// Do decides, writes and records; the answer goes out through the outbox.
	// What is unfinished when ctx ends stays recorded as such.
	Do(ctx context.Context, c deploytoken.Command)
	// Fail records that the command failed, which answers the asker.
	Fail(ctx context.Context, c deploytoken.Command)
	// Leave is called for an accepted command that is not to be done here.
	Leave(c deploytoken.Command)
	// Status reads who holds the token.
	Status(ctx context.Context) (deploytoken.Status, error)
	// Looked returns the latest look at Kingfisher that is known; nil for none.
	Looked(ctx context.Context) (*deploytoken.Look, error)
	// Draft reports whether the holding lasts and is known to be the person's,
	// and returns the words that a form for its release begins with: those of
	// the command of that ID, if it was a release of the person's, or what the
	// holding is for where command is "". It asks nobody but the store.
	Draft(ctx context.Context, person, holding, command string) (words string, theirs bool, err error)
}

// History is the Deploy history spreadsheet.
type History interface {
	// Recent reads the last n entries, the newest first.
	Recent(ctx context.Context, n int) ([]deploytoken.Entry, error)
	// Link is the spreadsheet's address, for people.
	Link() string
}

// InboundConfig is what an Inbound needs.
type InboundConfig struct {
	// Client calls Slack with the bot's token and the app-level token. It must
	// not retry by itself: apps.connections.open may be called once a second.
	Client *slack.Client
	// Commands does what changes or reads the token.
	Commands Commands
	// Members says who may ask for anything.
	Members Members
	// ByGroup is whether those are a user group's members, and not the channel's.
	ByGroup bool
	// History is the Deploy history.
	History History
	// Servers are offered in the form of a release; none where empty.
	Servers []string
	// Busy makes the checks of /kingfisher busy; nil: none are configured.
	Busy deploytoken.BusyChecker
	// OverrideURL is the address of how to deploy without losing what runs,
	// which a busy report links to; "" for none.
	OverrideURL string
	// Workers is how many commands are worked on at once; 16 if 0.
	Workers int
	// Queue is how many requests are taken in, beside those being worked on,
	// before further ones are turned down; 256 if 0.
	Queue int
	// OnAck, if not nil, is told of each acknowledgement: what was asked for,
	// and how long it took from the envelope's coming.
	OnAck func(kind string, d time.Duration)
	// Log is where to log.
	Log *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// inboundTiming holds the bounds of what an Inbound does.
type inboundTiming struct {
	// takeIn bounds the time from an envelope's coming to its acknowledgement.
	// Slack shows the asker an error after 3 s, which include the way from Slack
	// and back.
	takeIn time.Duration
	// access bounds the look whether the asker may use the bot, which may ask
	// Slack, so that there is time left to record the command.
	access time.Duration
	// accept bounds the recording of a command.
	accept time.Duration
	// command bounds the work on one command. What is unfinished then stays
	// recorded, to be taken up again.
	command time.Duration
	// answer bounds the answer to what only reads.
	answer time.Duration
	// draft bounds the look at what a form begins with, before the
	// acknowledgement.
	draft time.Duration
	// form bounds the time from an envelope's coming until a form is open. Slack
	// takes 3 s.
	form time.Duration
	// home bounds the reading and publishing of somebody's home, and part the
	// reading of each part of it.
	home, part time.Duration
	// fail bounds the record that a command failed.
	fail time.Duration
	// join bounds the wait for what runs once its context has ended.
	join time.Duration
}

func defaultInboundTiming() inboundTiming {
	return inboundTiming{
		takeIn:  2500 * time.Millisecond,
		access:  1500 * time.Millisecond,
		accept:  2 * time.Second,
		command: 3 * time.Minute,
		answer:  30 * time.Second,
		draft:   time.Second,
		form:    2800 * time.Millisecond,
		home:    30 * time.Second,
		part:    15 * time.Second,
		fail:    10 * time.Second,
		join:    3 * time.Second,
	}
}

// What people are told whose request goes no further. None says that nothing
// was done: Slack may deliver a command twice, and another replica do it.
const (
	turnedDownFull     = "I have too much to do to take that in just now. If you hear no more from me within a minute, try again."
	turnedDownShare    = "I am still working on what you asked for before. If you hear no more from me within a minute, try again."
	turnedDownStopping = "I am being restarted, and can't take that in just now. If you hear no more from me within a minute, try again."
	turnedDownStore    = "I can't take that in just now. If you hear no more from me within a minute, try again."
	turnedDownLate     = "I can't tell whether I have taken that in. If I have, you will hear from me; look at /deploy-token status before you try again."
	sorry              = "Something went wrong on my side, so I have no answer. Try again; if it happens again, please tell whoever runs this bot."
	noForm             = "The form didn't open as it should, and nothing was done yet. If you don't see it, press the button again."
	noReleaseForm      = "The form didn't open as it should, and nothing was done yet. If you don't see it, press the button again, or type `/deploy-token release` and what you did."
	noBusyChecks       = "The busy checks are not set up for this bot. Whoever runs it can add a kingfisher section to its configuration."
)

// An Inbound takes in what people ask for in Slack: each envelope is turned
// into a plain request; what would change the token is recorded, then
// acknowledged, then worked on; what only reads is acknowledged, then
// answered. What one person asks for is done in its order.
type Inbound struct {
	config    InboundConfig
	timing    inboundTiming
	socket    *socket
	team      atomic.Pointer[string]
	busy      *busyDesk
	responder *responder
	reads     *recentIDs // envelopes that only read; the store knows the others

	places  *places       // one taken by each request, from its coming to its end
	accepts chan struct{} // one taken by each Commands.Accept
	intake  *lanes        // by person: record and acknowledge
	work    *lanes        // by person: commands, and what is quickly read
	waits   *lanes        // by request: busy checks, the history, forms; by person: homes
	notes   *lanes        // by request: refusals that no acknowledgement can carry

	ctx    context.Context // of all work
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	stopRun context.CancelFunc // nil before Run
	ran     chan struct{}      // closed when Run has returned
}

// NewInbound makes an Inbound. It does nothing before Run.
func NewInbound(config InboundConfig) *Inbound {
	if config.Workers == 0 {
		config.Workers = 16
	}
	if config.Queue == 0 {
		config.Queue = 256
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	capacity := config.Workers + config.Queue
	in := &Inbound{
		config:    config,
		timing:    defaultInboundTiming(),
		responder: newResponder(),
		reads:     newRecentIDs(1024),
		places:    newPlaces(capacity),
		accepts:   make(chan struct{}, capacity),
		// A store that hangs must not hold up the acknowledgements of others.
		intake: newLanes(capacity, capacity),
		work:   newLanes(config.Workers, capacity),
		waits:  newLanes(capacity, 2*capacity),
		notes:  newLanes(4, 64),
		ran:    make(chan struct{}),
	}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	in.busy = newBusyDesk(in.ctx, config.Busy, config.Log, config.Now, &in.tasks)
	open := func(ctx context.Context) (string, error) { return openConnection(ctx, config.Client) }
	in.socket = newSocket(open, in.receive, config.Log, config.Now, defaultTiming())
	return in
}

// Health reports whether Slack's socket is connected, when anything was last
// heard on it, and what last went wrong with it, nil while it is well.
func (in *Inbound) Health() (connected bool, lastHeard time.Time, lastErr error) {
	return in.socket.health()
}

// Run takes in what people ask for until ctx ends or Shutdown is called, and
// then returns nil, once what came was acknowledged and the socket is closed.
// What was taken in is worked on until Shutdown. It returns earlier only where
// nobody but an operator can help: ErrMisconfigured. Run is called once.
func (in *Inbound) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in.mu.Lock()
	again, stopped := in.stopRun != nil, in.stopped
	if !again && !stopped {
		in.stopRun = cancel
	}
	in.mu.Unlock()
	switch {
	case again:
		return errors.New("an Inbound runs only once")
	case stopped:
		return nil
	}
	defer close(in.ran)

	if err := in.login(ctx); err != nil {
		return err
	}
	err := in.socket.run(ctx)
	in.intake.stop()
	settling, settled := context.WithTimeout(context.Background(), in.timing.takeIn+in.socket.timing.write)
	defer settled()
	if in.intake.wait(settling) != nil {
		in.config.Log.Error("closing the connection to Slack before all that came is acknowledged")
	}
	in.socket.close()
	return err
}

// login finds out which workspace the bot serves, however long it takes.
func (in *Inbound) login(ctx context.Context) error {
	for failures := 1; ; failures++ {
		trying, cancel := context.WithTimeout(ctx, in.socket.timing.connect)
		id, err := Identify(trying, in.config.Client)
		cancel()
		if err == nil {
			in.team.Store(&id.TeamID)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		in.socket.failed(err)
		if err := misconfigured(err); err != nil {
			return err
		}
		wait := max(in.socket.wait(failures), retryAfter(err))
		in.config.Log.Warn("cannot log in to Slack", "error", err, "attempt", failures, "retry_in", wait)
		sleep(ctx, wait)
	}
}

// Shutdown stops Run, finishes what was taken in, and waits for all goroutines.
// When ctx ends, it ends the work on what has begun and leaves the rest, which
// is recorded, to whoever takes it up from the store. It returns an error
// where something was left so.
func (in *Inbound) Shutdown(ctx context.Context) error {
	in.mu.Lock()
	in.stopped = true
	stop := in.stopRun
	in.mu.Unlock()
	if stop != nil {
		stop()
		select {
		case <-in.ran:
		case <-ctx.Done():
		}
	}
	all := []*lanes{in.intake, in.work, in.waits, in.notes}
	for _, l := range all {
		if l.wait(ctx) != nil {
			break
		}
	}
	var left []func()
	for _, l := range all {
		left = append(left, l.drop()...)
	}
	interrupted := ctx.Err() != nil
	in.cancel()
	// With their context ended, all that these do is to tell the asker so, unless
	// the store has the command.
	for _, f := range left {
		in.tasks.Go(f)
	}

	joining, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.timing.join)
	defer cancel()
	var stuck error
	for _, l := range all {
		stuck = errors.Join(stuck, l.wait(joining))
	}
	tasks := make(chan struct{})
	go func() { in.tasks.Wait(); close(tasks) }()
	select {
	case <-tasks:
	case <-joining.Done():
		stuck = errors.Join(stuck, joining.Err())
	}
	switch {
	case stuck != nil:
		return fmt.Errorf("cannot end all work on what came from Slack: %w", stuck)
	case interrupted:
		return fmt.Errorf("ended the work on what came from Slack before it was done, with %d requests not begun: %w", len(left), ctx.Err())
	}
	return nil
}

// receive takes one envelope in. It holds up the connection's reader only where
// it turns the envelope down, until the acknowledgement is written: nothing else
// is sure to have a place for it, or to be done before the socket is closed.
func (in *Inbound) receive(e *envelope) {
	r := in.parse(e)
	person := orElse(r.Person, e.ID)
	if why := in.places.take(person); why != "" {
		in.turnDown(e, r, why)
		return
	}
	leave := func() { in.places.leave(person) }
	if !in.intake.submit(person, func() { in.takeIn(e, r, leave) }) {
		leave()
		in.turnDown(e, r, turnedDownStopping)
	}
}

// parse returns what the envelope asks for; nothing, where it can't be read.
func (in *Inbound) parse(e *envelope) (r request) {
	defer func() {
		if p := recover(); p != nil {
			in.config.Log.Error("panic while reading an envelope", "envelope", e.ID, "panic", p, "stack", string(debug.Stack()))
			r = request{ID: e.ID, Ask: askNothing, Received: e.Received}
		}
	}()
	r, err := parseEnvelope(e)
	switch {
	case err != nil:
		in.config.Log.Warn("ignoring an envelope that cannot be read", "envelope", e.ID, "type", e.Type, "error", err)
	case r.Ask == askNothing:
		in.config.Log.Debug("ignoring an envelope", "envelope", e.ID, "type", e.Type, "retry", e.Retry)
	}
	return r
}

// takeIn has a request recorded, if need be, acknowledges it, and hands it on.
// It calls leave when nothing more is to be done for the request.
func (in *Inbound) takeIn(e *envelope, r request, leave func()) {
	handedOn, acknowledged := false, false
	defer func() {
		if p := recover(); p != nil {
			in.logger(r).Error("panic while taking in a request", "panic", p, "stack", string(debug.Stack()))
			if !acknowledged {
				in.turnDown(e, r, sorry)
			}
		}
		if !handedOn {
			leave()
		}
	}()
	ctx, cancel := context.WithTimeout(in.ctx, in.timing.takeIn-in.config.Now().Sub(e.Received))
	defer cancel()

	handOn := func(l *lanes, key string, f func(context.Context, request), within time.Duration) {
		handedOn = l.submit(key, func() {
			defer leave()
			ctx, cancel := context.WithTimeout(in.ctx, within)
			defer cancel()
			f(ctx, r)
		})
	}
	if r.Ask == askNothing {
		in.ackNothing(e, r)
		return
	}
	if !r.Ask.changes() && !in.reads.add(r.ID) {
		in.ack(e, r, nil)
		in.logger(r).Info("ignoring a request that came before")
		return
	}
	var draft string
	if r.Ask == askReleaseForm {
		var why string
		if r, draft, why = in.formOrRelease(ctx, r); why != "" {
			in.turnDown(e, r, why)
			return
		}
	}
	if !r.Ask.changes() {
		in.ack(e, r, nil)
		acknowledged = true
		handOn(in.reading(r, draft))
		return
	}
	if wrong := r.wrong(); wrong != nil {
		in.ack(e, r, keepForm(wrong))
		return
	}
	fresh, why := in.takeDown(ctx, r)
	if why != "" {
		in.turnDown(e, r, why)
		return
	}
	in.ack(e, r, nil)
	acknowledged = true
	if !fresh {
		in.logger(r).Info("ignoring a command that came before")
		return
	}
	handOn(in.work, r.Person, in.do, in.timing.command)
	if !handedOn {
		in.config.Commands.Leave(r.command())
	}
}

// reading says how a request is answered that changes nothing: in which lanes
// and under which key, by what, and within what time.
func (in *Inbound) reading(r request, draft string) (*lanes, string, func(context.Context, request), time.Duration) {
	switch r.Ask {
	case askReleaseForm, askWaitForm:
		open := func(ctx context.Context, r request) { in.openForm(ctx, r, draft) }
		return in.waits, r.ID, open, in.timing.form - in.config.Now().Sub(r.Received)
	case askHome:
		return in.waits, homeLane(r), in.home, in.timing.home
	case askBusy, askLook, askHistory:
		return in.waits, r.ID, in.answer, busyWithin + in.timing.answer
	}
	return in.work, r.Person, in.answer, in.timing.answer
}

// takeDown has the command recorded, if its asker may ask for it, and reports
// whether it was new, or why it is turned down.
func (in *Inbound) takeDown(ctx context.Context, r request) (fresh bool, why string) {
	looking, looked := context.WithTimeout(ctx, in.timing.access)
	defer looked()
	if why := in.refuses(looking, r); why != "" {
		return false, why
	}
	return in.accept(ctx, r)
}

// formOrRelease returns the request for a form, and the words that it begins
// with, where the holding lasts and is known to be the asker's. Anything else
// is a plain release, which finds out; where that would lose the words of an
// earlier one, it returns why there is neither.
func (in *Inbound) formOrRelease(ctx context.Context, r request) (_ request, draft, why string) {
	ctx, cancel := context.WithTimeout(ctx, in.timing.draft)
	defer cancel()
	draft, theirs, err := in.config.Commands.Draft(ctx, r.Person, r.Holding, r.Subject)
	if err != nil {
		in.logger(r).Warn("cannot look up what a form begins with", "error", err)
		if r.Subject != "" {
			return r, "", noReleaseForm
		}
	}
	if err == nil && theirs && r.Trigger != "" {
		return r, draft, ""
	}
	if r.Subject != "" {
		r.Words = deploytoken.CleanLine(draft, maxWords)
	}
	r.Ask, r.Subject = askRelease, ""
	return r, "", ""
}

// openForm opens the form that the click asks for.
func (in *Inbound) openForm(ctx context.Context, r request, draft string) {
	log := in.logger(r)
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic while opening a form", "panic", p, "stack", string(debug.Stack()))
			in.respond(r, refusal(sorry))
		}
	}()
	if in.ctx.Err() != nil {
		in.respond(r, refusal(turnedDownStopping))
		return
	}
	if why := in.refuses(ctx, r); why != "" {
		log.Info("refused a form")
		in.respond(r, refusal(why))
		return
	}
	view, failed := waitForm(originOf(r), in.config.Now()), noForm
	if r.Ask == askReleaseForm {
		view, failed = releaseForm(originOf(r), draft, in.config.Servers), noReleaseForm
	}
	_, err := in.config.Client.OpenViewContext(ctx, r.Trigger, view)
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok && e.Err == "exchanged_trigger_id" {
		log.Info("the form was opened before")
		return
	}
	if err != nil {
		log.Warn("cannot open a form", "error", fault(err, "open a form", false))
		in.respond(r, refusal(failed))
	}
}

// accept has the command recorded, and reports whether it was new, or why it
// is turned down. It returns in time even if the store does not; a command
// that turns out to have been recorded after all is then recorded as failed.
func (in *Inbound) accept(ctx context.Context, r request) (fresh bool, why string) {
	if ctx.Err() != nil {
		return false, turnedDownStore
	}
	select {
	case in.accepts <- struct{}{}:
	default:
		return false, turnedDownStore
	}
	ctx, cancel := context.WithTimeout(ctx, in.timing.accept)
	defer cancel()
	c := r.command()
	var err error
	var settled atomic.Bool // by the record or by the end of the time
	recorded := make(chan struct{})
	in.tasks.Go(func() {
		defer func() { <-in.accepts }()
		f, e := in.record(ctx, c)
		if settled.CompareAndSwap(false, true) {
			fresh, err = f, e
			close(recorded)
		} else if e == nil && f {
			in.logger(r).Error("a command was recorded only after its asker was told that it was not")
			in.fail(c)
		}
	})
	select {
	case <-recorded:
	case <-ctx.Done():
		if settled.CompareAndSwap(false, true) {
			in.logger(r).Error("a command was not recorded in time")
			return false, turnedDownLate
		}
		<-recorded
	}
	if err != nil {
		in.logger(r).Error("a command cannot be recorded", "error", err)
		// Another replica may have recorded a duplicate of the envelope.
		return false, turnedDownLate
	}
	return fresh, ""
}

// record calls Commands.Accept, with a panic as an error.
func (in *Inbound) record(ctx context.Context, c deploytoken.Command) (fresh bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return in.config.Commands.Accept(ctx, c)
}

// do works on a recorded command.
func (in *Inbound) do(ctx context.Context, r request) {
	log := in.logger(r)
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a command", "panic", p, "stack", string(debug.Stack()))
			in.fail(r.command())
		}
	}()
	if in.ctx.Err() != nil {
		in.config.Commands.Leave(r.command())
		return
	}
	in.config.Commands.Do(ctx, r.command())
	log.Info("worked on a command", "took", in.config.Now().Sub(r.Received))
	if r.Home {
		in.refreshHome(r, homeExtras{})
	}
}

// fail records that the command failed, also while shutting down.
func (in *Inbound) fail(c deploytoken.Command) {
	defer func() {
		if p := recover(); p != nil {
			in.config.Log.Error("panic while recording that a command failed", "command", c.ID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.ctx), in.timing.fail)
	defer cancel()
	in.config.Commands.Fail(ctx, c)
}

// answer answers what only reads.
func (in *Inbound) answer(ctx context.Context, r request) {
	log := in.logger(r)
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic in a request", "panic", p, "stack", string(debug.Stack()))
			in.respond(r, refusal(sorry))
		}
	}()
	if in.ctx.Err() != nil {
		in.respond(r, refusal(turnedDownStopping))
		return
	}
	if why := in.refuses(ctx, r); why != "" {
		log.Info("refused a request")
		in.respond(r, refusal(why))
		return
	}
	if in.config.Busy == nil && (r.Ask == askBusy || r.Ask == askLook) {
		in.respond(r, refusal(noBusyChecks))
		return
	}
	switch r.Ask {
	case askStatus:
		st, err := in.config.Commands.Status(ctx)
		if err != nil && in.ctx.Err() != nil {
			in.respond(r, refusal(turnedDownStopping))
			return
		}
		if err != nil {
			log.Error("cannot read the status", "error", err)
			in.respond(r, refusal(deploytoken.Explain(err)))
			return
		}
		in.respond(r, statusMessage(st, r.Person, in.config.Now()))
	case askHistory:
		in.answerHistory(ctx, r)
	case askBusy:
		in.answerBusy(ctx, r)
	case askLook:
		in.answerLook(ctx, r)
	case askNotUnderstood:
		in.respond(r, notUnderstood(r.Slash, r.Words, in.config.Busy != nil))
	case askGiveToWhom:
		in.respond(r, refusal(howToGive))
	case askForceWhy:
		in.respond(r, refusal(howToForce))
	case askHistoryHowMany:
		in.respond(r, refusal(howManyEntries))
	default:
		in.respond(r, helpMessage(r.Slash, in.config.Busy != nil))
	}
}

// respond answers so that only the asker sees it, also while shutting down. A
// message that others see, too, is not replaced by the answer to a click on it.
// What was clicked in the home is answered there.
func (in *Inbound) respond(r request, m Message) error {
	if r.Home {
		in.refreshHome(r, homeExtras{notice: &m})
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(in.ctx), in.timing.answer)
	defer cancel()
	replace := r.Message == "" || r.Ephemeral
	err := in.responder.respond(ctx, r.ResponseURL, m, replace)
	if err != nil {
		in.logger(r).Error("cannot answer", "error", err)
	}
	return err
}

// turnDown acknowledges the envelope and says why nothing more is done: in the
// acknowledgement if it can carry that, else by the response_url.
func (in *Inbound) turnDown(e *envelope, r request, why string) {
	if r.Ask == askNothing {
		in.ackNothing(e, r)
		return
	}
	in.logger(r).Warn("turned a request down", "why", why)
	if e.AcceptsResponse && r.Form != "" {
		in.ack(e, r, keepForm(map[string]string{firstField(r.Form): why}))
		return
	}
	if e.AcceptsResponse && r.Slash != "" {
		m := refusal(why)
		in.ack(e, r, slackAnswer{ResponseType: slack.ResponseTypeEphemeral, Text: m.Text, Blocks: m.Blocks})
		return
	}
	in.ack(e, r, nil)
	if !in.notes.submit(r.ID, func() { in.note(r, why) }) {
		in.logger(r).Warn("could not tell the asker so")
	}
}

// note tells the asker why nothing more is done.
func (in *Inbound) note(r request, why string) {
	defer func() {
		if p := recover(); p != nil {
			in.logger(r).Error("panic while turning a request down", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	in.respond(r, refusal(why))
}

// ackNothing acknowledges what asks for nothing. A form that can't be read stays
// open, so that what was filled in isn't lost.
func (in *Inbound) ackNothing(e *envelope, r request) {
	if e.AcceptsResponse && r.Form != "" {
		in.ack(e, r, keepForm(map[string]string{firstField(r.Form): sorry}))
		return
	}
	in.ack(e, r, nil)
}

// A slackAnswer is the answer that an acknowledgement carries.
type slackAnswer struct {
	ResponseType string        `json:"response_type"`
	Text         string        `json:"text"`
	Blocks       []slack.Block `json:"blocks,omitempty"`
}

func blocksOf(m Message) *slack.Blocks {
	if len(m.Blocks) == 0 {
		return nil
	}
	return &slack.Blocks{BlockSet: m.Blocks}
}

// ack acknowledges the envelope, with the answer unless it is nil.
func (in *Inbound) ack(e *envelope, r request, answer any) {
	err := e.ack(answer)
	if err != nil {
		// Slack sends an event again, and shows whoever typed a command an
		// error; what was recorded is done all the same.
		in.logger(r).Warn("an acknowledgement did not get through", "error", err)
		return
	}
	if in.config.OnAck != nil {
		in.config.OnAck(string(r.Ask), in.config.Now().Sub(e.Received))
	}
}

// logger returns a logger whose lines can be followed for one request.
func (in *Inbound) logger(r request) *slog.Logger {
	return in.config.Log.With("command", r.ID, "person", r.Person, "ask", string(r.Ask))
}
