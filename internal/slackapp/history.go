package slackapp

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// How much of an entry of the history is shown, in characters.
const (
	maxEntryPurpose = 120
	maxEntrySummary = 300
)

// answerHistory shows the latest entries of the history.
func (in *Inbound) answerHistory(ctx context.Context, r request) {
	ctx, cancel := context.WithTimeout(ctx, in.timing.answer)
	defer cancel()
	entries, why := in.recent(ctx, r, r.Entries)
	if why != "" {
		in.respond(r, refusal("I can't read the Deploy history just now. "+why))
		return
	}
	in.respond(r, historyMessage(entries, in.config.History.Link()))
}

// recent reads the last n entries of the history. It returns why it can't, in a
// sentence for people; "" where it can.
func (in *Inbound) recent(ctx context.Context, r request, n int) (entries []deploytoken.Entry, why string) {
	err := errors.New("there is no history")
	if in.config.History != nil {
		func() {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			entries, err = in.config.History.Recent(ctx, n)
		}()
	}
	if err != nil {
		in.logger(r).Error("cannot read the history", "error", err)
		return nil, deploytoken.Explain(err)
	}
	return entries[:min(n, len(entries))], ""
}

// historyMessage shows entries of the history, the newest first.
func historyMessage(entries []deploytoken.Entry, historyLink string) Message {
	document := link(historyLink, "Deploy history")
	if len(entries) == 0 {
		return say(line{words("There are no entries in the "), document, words(" yet.")})
	}
	g := entriesGroup(entries)
	kept, more := fit(g.bullets, maxMessage-1000, line.size)
	if g.bullets = kept; more > 0 {
		g.bullets = append(g.bullets, line{words("and " + count(more, "earlier one", "earlier ones"))})
	}
	g.lines = []line{{words("The last " + count(len(entries), "entry", "entries") + " of the "), document, words(", the newest first:")}}
	if len(entries) == 1 {
		g.lines = []line{{words("The last entry of the "), document, words(":")}}
	}
	return compose([]group{g}, nil)
}

// entriesGroup lists entries of the history.
func entriesGroup(entries []deploytoken.Entry) group {
	var g group
	for _, e := range entries {
		g.bullets = append(g.bullets, entryLine(e))
	}
	return g
}

// entryLine tells of one entry: who held the token when, for what, and what was
// done. A row that somebody wrote by hand may lack any of that.
func entryLine(e deploytoken.Entry) line {
	l := line{strong(orElse(deploytoken.CleanName(e.Name), "Someone"))}
	switch {
	case !e.Taken.IsZero() && !e.Released.IsZero():
		l = append(l, words(", from "), moment(e.Taken), words(" to "), moment(e.Released))
	case !e.Released.IsZero():
		l = append(l, words(", until "), moment(e.Released))
	case !e.Taken.IsZero():
		l = append(l, words(", from "), moment(e.Taken))
	}
	if purpose := deploytoken.CleanLine(e.Purpose, maxEntryPurpose); purpose != "" {
		l = append(l, words(", for: "), phrase(purpose))
	}
	if summary := deploytoken.CleanLine(e.Summary, maxEntrySummary); summary != "" {
		l = append(l, words(". Done: "), phrase(summary))
	}
	return l
}
