package slackapp

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// How much is shown in somebody's home. Slack takes 100 blocks.
const (
	maxHomeBlocks    = 100
	maxHomeEntries   = someEntries
	maxHomeFindings  = 10 // of each check
	maxHomeQuestions = 5
)

// homeExtras is what a home shows beside what it shows at any time.
type homeExtras struct {
	// notice says why something that was clicked there wasn't done.
	notice *Message
	// looking is whether the busy checks are being made because of a click.
	looking bool
}

// A home is what one person sees in the bot's home.
type home struct {
	person string
	now    time.Time
	homeExtras
	// refused is why the person sees nothing of it; "" for no reason.
	refused string
	// status is nil where it can't be read, and statusFault says why.
	status      *deploytoken.Status
	statusFault string
	// entries are the latest of the history, and entriesFault says why they
	// can't be read.
	entries      []deploytoken.Entry
	entriesFault string
	historyLink  string
	// checks is whether busy checks are configured, and report what they found
	// last; nil before the first time.
	checks bool
	report *deploytoken.BusyReport
}

func homeLane(r request) string { return "home " + r.Person }

// home shows the asker their home.
func (in *Inbound) home(ctx context.Context, r request) { in.showHome(ctx, r, homeExtras{}) }

// refreshHome shows the asker their home once their earlier ones were shown.
func (in *Inbound) refreshHome(r request, extras homeExtras) {
	taken := in.waits.submit(homeLane(r), func() {
		ctx, cancel := context.WithTimeout(in.ctx, in.timing.home)
		defer cancel()
		in.showHome(ctx, r, extras)
	})
	if !taken {
		in.logger(r).Warn("could not show somebody their home anew")
	}
}

// showHome reads what the asker's home shows, and publishes it. A part that
// can't be read says so, and doesn't keep the others from being shown.
func (in *Inbound) showHome(ctx context.Context, r request, extras homeExtras) {
	log := in.logger(r)
	defer func() {
		if p := recover(); p != nil {
			log.Error("panic while showing somebody their home", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if in.ctx.Err() != nil {
		return
	}
	h := in.readHome(ctx, r)
	h.homeExtras = extras
	_, err := in.config.Client.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: r.Person, View: h.view()})
	if err != nil {
		log.Warn("cannot show somebody their home", "error", fault(err, "publish a home", false))
	}
}

// readHome reads the parts of the home at once.
func (in *Inbound) readHome(ctx context.Context, r request) home {
	h := home{person: r.Person, checks: in.config.Busy != nil}
	if h.refused = in.refuses(ctx, r); h.refused != "" {
		h.now = in.config.Now()
		return h
	}
	ctx, cancel := context.WithTimeout(ctx, in.timing.part)
	defer cancel()
	entries := make(chan struct{})
	in.tasks.Go(func() {
		defer close(entries)
		h.entries, h.entriesFault = in.recent(ctx, r, maxHomeEntries)
	})
	if st, err := in.config.Commands.Status(ctx); err != nil {
		in.logger(r).Error("cannot read the status", "error", err)
		h.statusFault = deploytoken.Explain(err)
	} else {
		h.status = &st
	}
	<-entries
	if in.config.History != nil {
		h.historyLink = in.config.History.Link()
	}
	h.report = in.busy.last()
	if look, err := in.config.Commands.Looked(ctx); err != nil {
		in.logger(r).Error("cannot read the last look at Kingfisher", "error", err)
	} else if look != nil && (h.report == nil || look.Report.At.After(h.report.At)) {
		h.report = &look.Report
	}
	h.now = in.config.Now()
	return h
}

// answerLook makes the busy checks for the asker's home.
func (in *Inbound) answerLook(ctx context.Context, r request) {
	in.refreshHome(r, homeExtras{looking: true})
	run := in.busy.join()
	select {
	case <-run.done:
	case <-ctx.Done():
	}
	in.refreshHome(r, homeExtras{})
}

// view puts the home into blocks.
func (h home) view() slack.HomeTabViewRequest {
	var blocks []slack.Block
	add := func(title string, more ...slack.Block) {
		blocks = append(blocks, slack.NewHeaderBlock(plain(title)))
		blocks = append(blocks, more...)
	}
	if h.refused != "" {
		add("Deploy token", group{lines: []line{prose(strings.TrimSuffix(h.refused, " Nothing was done."))}}.block())
	} else {
		if h.notice != nil {
			blocks = append(append(blocks, h.notice.Blocks...), slack.NewDividerBlock())
		}
		h.token(add)
		h.questions(add)
		h.kingfisher(add)
		h.history(add)
		h.reminders(add)
	}
	if len(blocks) > maxHomeBlocks {
		blocks = append(blocks[:maxHomeBlocks-1:maxHomeBlocks-1], group{lines: []line{{words("… and more than fits here.")}}}.block())
	}
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks}}
}

// addFunc adds a part of a home.
type addFunc func(title string, blocks ...slack.Block)

// token shows who holds the token and who waits, with what the viewer may do.
func (h home) token(add addFunc) {
	if h.status == nil {
		add("Deploy token", group{lines: []line{append(line{words("I can't read who holds the token just now. ")}, prose(h.statusFault)...)}}.block())
		return
	}
	add("Deploy token", statusMessage(*h.status, h.person, h.now).Blocks...)
}

// questions shows what the viewer was asked and hasn't answered.
func (h home) questions(add addFunc) {
	if h.status == nil {
		return
	}
	var blocks []slack.Block
	shown, more := 0, 0
	for i := range h.status.Matters.Questions {
		q := &h.status.Matters.Questions[i]
		asked := q.OwnerID == h.person || slices.Contains(q.Asked, deploytoken.ToPerson(h.person))
		if !asked || q.Answer != deploytoken.AnswerNone {
			continue
		}
		if shown == maxHomeQuestions {
			more++
			continue
		}
		asks := teller{Delivery: deploytoken.Delivery{
			Destination: deploytoken.ToPerson(h.person), At: h.now, Matter: q,
			Notice: deploytoken.Notice{Kind: deploytoken.NoticeQuestion, At: q.At},
		}}
		if m, ok := asks.question(); ok {
			blocks = append(blocks, m.Blocks...)
			shown++
		}
	}
	if more > 0 {
		blocks = append(blocks, group{lines: []line{{words("… and " + count(more, "more question", "more questions") + ".")}}}.block())
	}
	if len(blocks) > 0 {
		add("Waiting for your answer", blocks...)
	}
}

// kingfisher shows what the busy checks found last.
func (h home) kingfisher(add addFunc) {
	if !h.checks && h.report == nil {
		return
	}
	var groups []group
	switch {
	case h.report == nil && h.looking:
		groups = []group{{lines: []line{{words("Looking at what runs on Kingfisher …")}}}}
	case h.report == nil:
		groups = []group{{lines: []line{{words("I haven't looked yet at what runs on Kingfisher.")}}}}
	default:
		groups = h.lastLook()
	}
	var buttons []button
	if h.checks && !h.looking {
		buttons = append(buttons, lookButton())
	}
	if h.status != nil {
		i := slices.IndexFunc(h.status.Matters.Watches, func(w deploytoken.Watch) bool { return w.PersonID == h.person })
		if i >= 0 {
			w := &h.status.Matters.Watches[i]
			groups = append(groups, group{lines: []line{{words("I'll tell you once " + wish(w) + ", if that is before "), moment(w.Until), words(".")}}})
			buttons = append(buttons, unwatchButton())
		} else if h.checks && (h.report == nil || h.report.State() != deploytoken.Idle) {
			buttons = append(buttons, watchButton(""))
		}
	}
	add("Kingfisher", compose(groups, buttons).Blocks...)
}

// lastLook tells of the report, and how old it is. Of others' work it tells the
// owner, the kind and the age.
func (h home) lastLook() []group {
	age := line{words("Last look: "), moment(h.report.At), words(", " + duration(h.now.Sub(h.report.At)) + " ago.")}
	if h.looking {
		age = append(age, words(" Looking again …"))
	}
	groups := []group{{lines: []line{busyHeadline(*h.report, nil), age}}}
	for _, c := range h.report.Checks {
		if len(c.Findings) == 0 && c.State == deploytoken.Idle {
			continue
		}
		g := group{lines: []line{{strong(orElse(checkTitles[c.Check], c.Check)), words(": " + c.State.String())}}}
		if c.Reason != "" {
			g.lines = append(g.lines, prose(deploytoken.CleanLine(c.Reason, maxPhrase)))
		}
		for i, f := range c.Findings {
			if i == maxHomeFindings {
				g.bullets = append(g.bullets, line{words("and " + count(len(c.Findings)-i, "more", "more") + "; see "), code("/kingfisher busy")})
				break
			}
			g.bullets = append(g.bullets, h.finding(f))
		}
		groups = append(groups, g)
	}
	return groups
}

func (h home) finding(f deploytoken.Finding) line {
	if f.OwnerID == h.person {
		return findingLine(f, h.person)
	}
	return findingLine(deploytoken.Finding{Owner: f.Owner, OwnerID: f.OwnerID, Age: f.Age, Blocks: f.Blocks}, "")
}

// history shows the latest entries.
func (h home) history(add addFunc) {
	see := line{words("See the "), link(h.historyLink, "Deploy history"), words(".")}
	g := entriesGroup(h.entries)
	switch {
	case h.entriesFault != "":
		g.lines = []line{append(line{words("I can't read the history just now. ")}, prose(h.entriesFault)...)}
	case len(h.entries) == 0:
		g.lines = []line{{words("There are no entries yet.")}}
	}
	add("Deploy history", g.block(), group{lines: []line{see}}.block())
}

// reminders shows where the viewer's reminders come.
func (h home) reminders(add addFunc) {
	if h.status == nil {
		return
	}
	now, other := "in the channel", deploytoken.RemindDirectly
	for _, p := range h.status.Matters.Preferences {
		if p.PersonID == h.person && p.Direct {
			now, other = "by direct message", deploytoken.RemindInChannel
		}
	}
	add("Reminders", compose(
		[]group{{lines: []line{{words("When you have held the token for long, I remind you " + now + ".")}}}},
		[]button{preferButton(other)},
	).Blocks...)
}
