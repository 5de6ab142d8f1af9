// Package guard runs a command only while somebody holds the deploy token. It
// asks the Deploy token document and nothing else: what can't be found out
// before the command starts counts as not held.
package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A State is what the document says of the token. The zero value is Unclear.
type State int

// The states of the token.
const (
	// Unclear: the document can't be understood.
	Unclear State = iota
	// Free: the document says that nobody holds the token.
	Free
	// Held: the document names somebody.
	Held
)

// A Token is what one reading of the document says of the token.
type Token struct {
	State State
	// Holder is the name in the document; empty unless the state is Held.
	Holder string
	// Reason says, in a sentence for people, why the state is Unclear and what
	// to do about it.
	Reason string
}

// A Document says who holds the token.
type Document interface {
	// Token reads the document. The text of an error is for people: why it
	// could not be read, and what to do about it.
	Token(ctx context.Context) (Token, error)
	// Link is the document's address, for people.
	Link() string
}

// A Guard runs commands while its Name holds the token.
type Guard struct {
	// Name is whose the token must be. See Same.
	Name     string
	Document Document
	// Idle, if not nil, is asked once the token is known to be held: an error
	// keeps the command from running, and is returned as it is.
	Idle func(ctx context.Context) error
	// Strict has a running command stopped when the token is lost.
	Strict bool
	// Interval is the time between two looks at the document while the command
	// runs.
	Interval time.Duration
	// Settle is the time after which a look that found something else is
	// repeated, before it counts: documents save at every keystroke.
	Settle time.Duration
	// Grace is how long a command that is being stopped has to end before it is
	// killed.
	Grace time.Duration
	// Warn tells the person, in a sentence or two, what became of the token
	// while the command runs, or that a signal came before it did. It is called
	// from one goroutine at a time.
	Warn func(message string)
}

// lookWithin bounds one look at the document.
const lookWithin = 15 * time.Second

// A NotHeldError is why a command was not run: the document doesn't say that
// the guard's Name holds the token.
type NotHeldError struct{ message string }

// Error says who holds the token, and what to do.
func (e *NotHeldError) Error() string { return e.message }

// A StoppedError is a strict guard's, which stopped the command because the
// token was lost.
type StoppedError struct {
	// Exit is how the command ended then.
	Exit Exit
}

// Error says how the command ended.
func (e *StoppedError) Error() string {
	return fmt.Sprintf("the command was stopped because the deploy token was lost (exit status %d). See how far it got before you run it again", e.Exit.Status)
}

// Run runs the command with the process's own standard streams if the document
// says that Name holds the token, and returns how it ended. It watches the
// document meanwhile. From its start to its end it takes the process's
// signals, and passes them on to the command: see relayed.
//
// The command stays in the process group that it is started from, so that it
// has the terminal, and what the terminal sends reaches it directly.
//
// When ctx ends before the command has started, it isn't; later, the document
// is not watched any more.
//
// Errors: *StartError (there is no such command, or it can't be run),
// *NotHeldError, *StoppedError, the error of Idle; any other means that it
// could not be found out who holds the token. After all of them but
// StoppedError, nothing was run.
func (g *Guard) Run(ctx context.Context, command []string) (Exit, error) {
	signals := make(chan os.Signal, 16)
	stop := relay(signals)
	defer stop()

	p, err := prepare(command)
	if err != nil {
		return Exit{}, err
	}
	checking, cancel := context.WithCancel(ctx)
	defer cancel()
	checked := make(chan error, 1)
	go func() { checked <- g.check(checking) }()
	select {
	case err = <-checked:
	case s := <-signals:
		cancel()
		<-checked
		g.Warn("called off before the command was started, so nothing was run")
		return ended(s), nil
	}
	if err != nil {
		return Exit{}, err
	}
	if err := p.start(); err != nil {
		return Exit{}, err
	}
	return g.accompany(ctx, p, signals)
}

// check finds out whether the command may be run.
func (g *Guard) check(ctx context.Context) error {
	if err := g.held(ctx); err != nil || g.Idle == nil {
		return err
	}
	if err := g.Idle(ctx); err != nil {
		return err
	}
	// That took its time.
	return g.held(ctx)
}

// held returns nil if the document says that Name holds the token.
func (g *Guard) held(ctx context.Context) error {
	v := g.look(ctx)
	if v.kind == held {
		return nil
	}
	message := g.refusal(v)
	if v.kind == unknown {
		return errors.New(message)
	}
	return &NotHeldError{message}
}

// accompany waits for the running command, watches the document meanwhile, and
// passes signals on.
func (g *Guard) accompany(ctx context.Context, p *process, signals <-chan os.Signal) (Exit, error) {
	watching, cancel := context.WithCancel(ctx)
	lost := make(chan struct{}, 1)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.watch(watching, func() {
			select {
			case lost <- struct{}{}:
			default:
			}
		})
	}()
	defer func() {
		cancel()
		<-watched
	}()

	stopped := false
	var kill <-chan time.Time
	for {
		select {
		case s := <-signals:
			p.pass(s)
		case <-lost:
			if g.Strict && !stopped && p.terminate() {
				stopped, kill = true, time.After(g.Grace)
			}
		case <-kill:
			p.kill()
		case <-p.done:
			e := p.exit()
			if stopped {
				return Exit{}, &StoppedError{e}
			}
			return e, nil
		}
	}
}

// refusal says why the command was not run, and what to do.
func (g *Guard) refusal(v verdict) string {
	link := g.Document.Link()
	switch v.kind {
	case free:
		return fmt.Sprintf("nobody holds the deploy token, so nothing was run. Take it first: say /deploy-token take in Slack, or write your name into %s", link)
	case other:
		message := fmt.Sprintf("%s holds the deploy token, not %s, so nothing was run. ", v.holder, printable(g.Name))
		if alike(v.holder, g.Name) {
			message += fmt.Sprintf("If that is you, give the name as the document has it: --as %s. Else ask them", quote(v.holder))
		} else {
			message += "Ask them"
		}
		return message + " to release it, then say /deploy-token take in Slack. " + link
	case unclear:
		return fmt.Sprintf("the document doesn't say clearly who holds the deploy token, so nothing was run: %s %s", v.reason, link)
	default:
		return fmt.Sprintf("it can't be found out who holds the deploy token, so nothing was run. %s", v.reason)
	}
}

// prepare looks the command up.
func prepare(command []string) (*process, error) {
	path, err := exec.LookPath(command[0])
	if err != nil && !errors.Is(err, exec.ErrDot) { // as for shells, PATH may have the current folder in it
		return nil, startError(command[0], command[0], err)
	}
	c := exec.Command(command[0], command[1:]...)
	c.Path, c.Err = path, nil
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return &process{command: c, name: command[0], done: make(chan struct{})}, nil
}

// quote writes s for a shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
