package guard

import (
	"context"
	"fmt"
	"time"
)

// A kind is what a look at the document comes to for the guard's Name.
type kind int

const (
	unknown kind = iota // it could not be read
	unclear             // it could not be understood
	free                // nobody holds the token
	other               // somebody else does
	held                // Name does
)

// A verdict is what became of a look at the document.
type verdict struct {
	kind   kind
	holder string // of other
	reason string // of unknown and unclear
}

// same tells whether there is nothing in v that wasn't said of w.
func (v verdict) same(w verdict) bool { return v.kind == w.kind && v.holder == w.holder }

// look reads the document once.
func (g *Guard) look(ctx context.Context) verdict {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	t, err := g.Document.Token(ctx)
	switch {
	case err != nil:
		return verdict{kind: unknown, reason: printable(err.Error())}
	case t.State == Free:
		return verdict{kind: free}
	case t.State != Held:
		return verdict{kind: unclear, reason: printable(t.Reason)}
	case Same(t.Holder, g.Name):
		return verdict{kind: held}
	default:
		return verdict{kind: other, holder: printable(t.Holder)}
	}
}

// watch looks at the document until ctx ends, warns of every change, and calls
// lost each time that it says that Name doesn't hold the token any more.
//
// That a document can't be read or understood is no such time: while it is
// unclear, nobody can take the token with the bot, and half a deployment may be
// worse than a whole one.
func (g *Guard) watch(ctx context.Context, lost func()) {
	last := verdict{kind: held}
	for wait(ctx, g.Interval) {
		v := g.look(ctx)
		if v.kind != held && !v.same(last) {
			// It may be half typed, or a passing trouble.
			if !wait(ctx, g.Settle) {
				return
			}
			v = g.look(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if v.same(last) {
			continue
		}
		g.Warn(g.warning(v, last))
		last = v
		if v.kind == free || v.kind == other {
			lost()
		}
	}
}

// warning says what v means while the command runs, after last was said.
func (g *Guard) warning(v, last verdict) string {
	then := "The command goes on: "
	if g.Strict {
		then = "The command is being stopped: "
	}
	name, link := printable(g.Name), g.Document.Link()
	switch v.kind {
	case held:
		if last.kind == unknown {
			return fmt.Sprintf("the document can be read again: %s holds the deploy token.", name)
		}
		return fmt.Sprintf("the document says again that %s holds the deploy token.", name)
	case other:
		return fmt.Sprintf("%s doesn't hold the deploy token any more, but %s does. %stalk to them now. %s", name, v.holder, then, link)
	case free:
		return fmt.Sprintf("%s doesn't hold the deploy token any more; nobody does, and anybody may take it. %stake it again, if you still change servers. %s", name, then, link)
	case unclear:
		return fmt.Sprintf("the document doesn't say clearly any more who holds the deploy token. The command goes on: mend the document. %s %s", v.reason, link)
	default:
		return fmt.Sprintf("it can't be found out any more whether %s holds the deploy token. The command goes on. %s", name, v.reason)
	}
}

// wait pauses, and reports whether ctx hasn't ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
