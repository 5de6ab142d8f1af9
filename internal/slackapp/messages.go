package slackapp

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// tellAfter is how late a message must be to say when what it tells of was.
const tellAfter = 2 * time.Minute

// refusal says why something can't be done. In text, `back quotes` mark what a
// person types.
func refusal(text string) Message { return say(prose(text)) }

// statusMessage says who holds the token and who waits for it, with the buttons
// that fit the asker.
func statusMessage(st deploytoken.Status, asker string, now time.Time) Message {
	lines, buttons := describe(st, asker, now)
	if st.Changing {
		lines = append(lines, line{words("A change of it is under way, so this may be different in a moment.")})
	}
	if st.PendingRows > 0 {
		lines = append(lines, line{words(count(st.PendingRows, "entry of the Deploy history is", "entries of the Deploy history are") + " still to be written. I keep trying.")})
	}
	return compose(append([]group{{lines: lines}}, waitlist(st, asker, now)...), buttons)
}

// describe says who holds the token by a reading of the document, and what else
// there is to say of that, with the buttons that fit the asker.
func describe(st deploytoken.Status, asker string, now time.Time) ([]line, []button) {
	document := link(st.Link, "Deploy token document")
	see := line{words("See the "), document, words(".")}
	h := st.Holding
	switch {
	case st.At.IsZero():
		// There was no reading, and the reason is why.
		return []line{join(line{words("I can't read the "), document, words(" just now. ")}, prose(st.Token.Reason))}, nil
	case st.Token.State == deploytoken.Free:
		first, buttons := free(st.Matters.Waiters, asker, now)
		return []line{first, see}, buttons
	case st.Token.State == deploytoken.Unclear:
		return []line{unclear(st.Token.Reason), mend(st.Link)}, nil
	case !h.Open():
		return []line{{strong(st.Token.Holder), words(" holds the deploy token; since when, I don't know yet.")}, see}, nil
	}
	who, buttons := line{holder(h), words(" has")}, []button{askButton(h.ID)}
	join := joinOrLeave(st.Matters.Waiters, asker)
	switch h.PersonID {
	case "":
		buttons = append(buttons, claimButton(h.ID), join)
	case asker:
		who, buttons = line{words("You have")}, []button{releaseButton(h.ID)}
	default:
		buttons = append(buttons, join)
	}
	lines := []line{held(who, h, now)}
	for _, deployment := range st.Matters.Deployments {
		if deployment.Holding == h.ID {
			lines = append(lines, forKingfisher(deployment))
		}
	}
	for _, offer := range st.Matters.Offers {
		if offer.Holding == h.ID {
			offered, answers := standingOffer(offer, asker)
			lines, buttons = append(lines, offered), append(answers, buttons...)
		}
	}
	return append(lines, see), buttons
}

// held says of who ("Alice has", "You have") for how long they have held the
// token, since when and for what.
func held(who line, h *deploytoken.Holding, now time.Time) line {
	l := join(who, line{words(" held the deploy token for " + after(h, now) + ", since "), moment(h.Since)})
	if !h.SinceKnown {
		l = append(l, words(" or earlier"))
	}
	return append(l, purposeOf(h)...)
}

// purposeOf is what the token is held for, to end a line.
func purposeOf(h *deploytoken.Holding) line { return ending(h.Purpose) }

// summaryOf is what was done with the token, to end a line.
func summaryOf(h *deploytoken.Holding) line { return ending(h.Summary) }

// ending ends a line with what somebody wrote, if anything.
func ending(text string) line {
	if text == "" {
		return line{words(".")}
	}
	return line{words(": "), phrase(text)}
}

// after is how long the holding lasted, until it ended or until now.
func after(h *deploytoken.Holding, now time.Time) string {
	until := h.Ended
	if h.Open() {
		until = now
	}
	d := until.Sub(h.Since)
	switch {
	case h.SinceKnown:
		return duration(d)
	case d < time.Minute:
		return "some time"
	}
	return "at least " + duration(d)
}

func unclear(reason string) line {
	first, size := utf8.DecodeRuneInString(reason)
	return line{words("I can't tell from the document who holds the deploy token. "), phrase(string(unicode.ToUpper(first)) + reason[size:])}
}

func mend(documentLink string) line {
	return line{words("Until someone mends the "), link(documentLink, "Deploy token document"), words(", nobody can take or release the token.")}
}

// A teller puts one delivery into words.
type teller struct {
	deploytoken.Delivery
	// overrideURL is the address of how to deploy without losing what runs; ""
	// for none.
	overrideURL string
}

// matterOf is what else the delivery tells of; nil where that is of another type
// or isn't known any more.
func matterOf[T any](d teller) *T {
	m, _ := any(d.Matter).(*T)
	return m
}

// message puts the delivery into words. It returns false where there is
// nothing to tell any more: a reminder of a holding that is over, an offer that
// was withdrawn.
func (d teller) message() (Message, bool) {
	if len(d.Late) > 0 {
		return d.summary()
	}
	switch d.Notice.Kind {
	case deploytoken.NoticeAnswer:
		return d.answer(), true
	case deploytoken.NoticePending:
		return d.pending(), true
	case deploytoken.NoticeTaken, deploytoken.NoticeReleased, deploytoken.NoticeChanged, deploytoken.NoticeRetired,
		deploytoken.NoticeHandedOver, deploytoken.NoticeForceReleased:
		lines, buttons := d.news()
		return compose([]group{{lines: lines}}, buttons), true
	case deploytoken.NoticeReminder:
		return d.reminder(), d.Holding.Open()
	case deploytoken.NoticeAsked:
		return d.asked(), d.Holding.Open()
	case deploytoken.NoticeDisplaced:
		return d.displaced(), true
	case deploytoken.NoticeUnclear, deploytoken.NoticeClear, deploytoken.NoticeTrouble, deploytoken.NoticeMended:
		lines, _ := d.news()
		return compose([]group{{lines: lines}}, nil), true
	case deploytoken.NoticeTurn:
		return d.turn()
	case deploytoken.NoticeTurnOver:
		return d.turnOver()
	case deploytoken.NoticeForgotten:
		return d.forgotten()
	case deploytoken.NoticeOffered:
		return d.offered()
	case deploytoken.NoticeOfferOver:
		return d.offerOver()
	case deploytoken.NoticeOfferAnswered:
		return d.offerAnswered()
	case deploytoken.NoticeForced:
		return d.forced(), true
	case deploytoken.NoticeUntold:
		return d.untold()
	case deploytoken.NoticeLooking:
		return d.looking(), true
	case deploytoken.NoticeQuestion:
		return d.question()
	case deploytoken.NoticeConsent:
		return d.consent()
	case deploytoken.NoticeConsentNews:
		return d.consentNews()
	case deploytoken.NoticeDeploying:
		return d.deploying()
	case deploytoken.NoticeDeployed:
		return d.deployed()
	case deploytoken.NoticeNewWork:
		return d.newWork()
	case deploytoken.NoticeWatched:
		return d.watched()
	case deploytoken.NoticeWatchEnded:
		return d.watchEnded()
	}
	return Message{}, false
}

// reader is the Slack user ID of whom the message goes to; "" for a channel.
func (d teller) reader() string {
	if id, ok := strings.CutPrefix(d.Destination, deploytoken.ToPerson("")); ok {
		return id
	}
	return ""
}

// document is the link to the document.
func (d teller) document() span { return link(d.Link, "Deploy token document") }

// history is the link to the spreadsheet.
func (d teller) history() span { return link(d.HistoryLink, "Deploy history") }

// when is " (…)" where the message comes so late that it must say when.
func (d teller) when() line {
	if d.At.Sub(d.Notice.At) < tellAfter {
		return nil
	}
	return line{words(" ("), moment(d.Notice.At), words(")")}
}

// holder names the holding's holder; it stands in for one that isn't at hand.
func holder(h *deploytoken.Holding) span {
	if h == nil || h.Name == "" {
		return words("someone")
	}
	return strong(h.Name)
}

// news is what the channel is told, with the buttons below.
func (d teller) news() ([]line, []button) {
	h := d.Holding
	switch d.Notice.Kind {
	case deploytoken.NoticeTaken:
		if h == nil {
			return []line{join(line{words("Someone took the deploy token")}, d.when(), line{words(".")})}, nil
		}
		if !h.Open() {
			return []line{d.over(h)}, nil
		}
		return []line{join(line{holder(h), words(" took the deploy token")}, d.when(), purposeOf(h))},
			[]button{releaseButton(h.ID), askButton(h.ID)}
	case deploytoken.NoticeRetired:
		if h == nil {
			return []line{{words("This is over: the deploy token has changed hands since.")}}, nil
		}
		return []line{d.over(h)}, nil
	case deploytoken.NoticeReleased:
		return []line{d.released(h)}, nil
	case deploytoken.NoticeHandedOver:
		return d.handedOver()
	case deploytoken.NoticeForceReleased:
		return []line{d.forceReleased()}, nil
	case deploytoken.NoticeChanged:
		return d.changed()
	case deploytoken.NoticeUnclear:
		lines := []line{unclear(d.Notice.Detail), mend(d.Link)}
		return append(lines, d.byWhom()...), nil
	case deploytoken.NoticeClear:
		lines := []line{join(line{words("The "), d.document(), words(" can be understood again")}, d.when(), line{words(".")})}
		if t := d.Notice.Token; t != nil {
			lines[0] = append(lines[0], words(" "))
			lines[0] = append(lines[0], says(words("It"), *t)...)
		}
		return lines, nil
	case deploytoken.NoticeTrouble:
		lines := []line{append(line{words("Something keeps failing, and I keep trying. ")}, prose(d.Notice.Detail)...)}
		if h != nil {
			lines = append(lines, line{words("It holds up the entry of "), holder(h), words(" in the "), d.history(), words(". Nothing is lost.")})
		}
		return lines, nil
	case deploytoken.NoticeMended:
		if h == nil {
			return []line{{words("Something kept failing. It works again since "), moment(d.Notice.At), words(".")}}, nil
		}
		return []line{{words("The entry of "), holder(h), words(" in the "), d.history(), words(" could not be written for a while. It is there since "), moment(d.Notice.At), words(".")}}, nil
	}
	return nil, nil
}

// over tells of a holding as of the past.
func (d teller) over(h *deploytoken.Holding) line {
	l := line{holder(h), words(" had the deploy token from "), moment(h.Since)}
	if !h.SinceKnown {
		l = line{holder(h), words(" had the deploy token from "), moment(h.Since), words(" or earlier")}
	}
	l = append(l, words(" to "), moment(h.Ended), words(" ("+after(h, d.At)))
	if h.EndedBy != "" {
		l = append(l, words(", then it was released for them"))
	}
	return append(append(l, words(")")), purposeOf(h)...)
}

func (d teller) released(h *deploytoken.Holding) line {
	if h == nil {
		return join(line{words("The deploy token was released")}, d.when(), line{words(".")})
	}
	if h.EndedBy != "" {
		return join(line{words("The deploy token was released for "), holder(h)}, d.when(), line{words(" after " + after(h, d.At))}, summaryOf(h))
	}
	return join(line{holder(h), words(" released the deploy token")}, d.when(), line{words(" after " + after(h, d.At))}, summaryOf(h))
}

// changed tells of a change by hand.
func (d teller) changed() ([]line, []button) {
	h, before := d.Holding, d.Previous
	first := line{words("The "), d.document(), words(" was changed by hand")}
	if d.Notice.BlindSince.IsZero() {
		first = append(first, d.when()...)
	}
	var buttons []button
	switch {
	case h != nil && !h.Open():
		first = append(first, words(": it named "))
		first = append(first, holder(h), words(", until "), moment(h.Ended))
	case h != nil:
		first = append(first, words(": it says that "), holder(h), words(" holds the deploy token"))
		buttons = []button{releaseButton(h.ID), askButton(h.ID)}
	case d.Notice.Token != nil && d.Notice.Token.State == deploytoken.Free:
		first = append(first, words(": it says that nobody holds the deploy token"))
	}
	first = append(first, words("."))
	lines := []line{first}
	if before != nil {
		lines = append(lines, join(line{holder(before), words(" had it until then, for " + after(before, d.At))}, summaryOf(before)))
	}
	return append(lines, d.byWhom()...), buttons
}

// byWhom says who edited the document last, and for how long the bot had not
// seen it.
func (d teller) byWhom() []line {
	var lines []line
	if d.Notice.Editor != "" {
		lines = append(lines, line{words("It was last edited by "), phrase(d.Notice.Editor), words(".")})
	}
	if !d.Notice.BlindSince.IsZero() {
		lines = append(lines, line{words("I hadn't been able to see the document since "), moment(d.Notice.BlindSince), words(", so I don't know exactly when that was, nor what else happened.")})
	}
	return lines
}

// says tells what the document says; subject names it, at a line's beginning.
func says(subject span, t deploytoken.Token) line {
	switch t.State {
	case deploytoken.Free:
		return line{subject, words(" says that nobody holds the deploy token.")}
	case deploytoken.Held:
		return line{subject, words(" says that "), strong(t.Holder), words(" holds the deploy token.")}
	}
	return unclear(t.Reason)
}

// reminder reminds of a holding. In the channel, the first, and any that can't
// stand in the first one's thread, mentions the holder.
func (d teller) reminder() Message {
	h := d.Holding
	if h == nil {
		return Message{}
	}
	held := " held the deploy token for " + after(h, d.At)
	direct := d.reader() != ""
	first := line{holder(h), words(" has" + held)}
	if direct {
		first = line{words("You have" + held)}
	} else if h.PersonID != "" && d.Thread.Timestamp == "" {
		first = line{mention(h.PersonID), words(", you have" + held)}
	} else if d.Thread.Timestamp != "" {
		first = line{holder(h), words(" still holds the deploy token, after " + after(h, d.At))}
	}
	lines := []line{append(first, purposeOf(h)...)}
	if d.Thread.Timestamp == "" || direct {
		lines = append(lines, line{words("If the work is done, please release the token. If it isn't, press "), strong("Still working"), words(", and I'll keep quiet for a while.")})
	}
	return compose([]group{{lines: lines}}, []button{releaseButton(h.ID), stillWorkingButton(h.ID)})
}

// asked tells the holder that someone else would like the token.
func (d teller) asked() Message {
	h := d.Holding
	if h == nil {
		return Message{}
	}
	return compose([]group{{lines: []line{
		{mention(d.Notice.PersonID), words(" would like to have the deploy token.")},
		append(line{words("You have held it for " + after(h, d.At))}, purposeOf(h)...),
		{words("If you are done, press "), strong("Release token"), words(", or type "), code("/deploy-token release"), words(" and what you did. If you aren't, please tell them when you expect to be.")},
	}}}, []button{releaseButton(h.ID)})
}

// untold tells whoever wanted something of another that those could not be asked.
func (d teller) untold() (Message, bool) {
	lines := func(ask string, them span, then string) []line {
		return []line{{words("I could not " + ask + " "), them, words(".")}, prose(d.Notice.Detail), {words(then)}}
	}
	switch m := d.Matter.(type) {
	case *deploytoken.Offer:
		if m == nil || !m.Ended.IsZero() || !d.Holding.Open() {
			return Message{}, false
		}
		return compose([]group{{lines: lines("offer the deploy token to", named(m.To), "You hold it still. If you are done, release it, or offer it to somebody else.")}},
			[]button{releaseButton(d.Holding.ID)}), true
	case *deploytoken.Question:
		// Of those who are asked for an unknown owner, another one will answer.
		if m == nil || !m.Settled.IsZero() || m.OwnerID != d.Notice.PersonID {
			return Message{}, false
		}
		l := lines("ask whether you may interrupt the work on Kingfisher of", named(m.Name), "Please ask them another way.")
		l[2] = append(l[2], words(" If the work is somebody else's, whoever runs this bot can correct that in its configuration ("), code("kingfisher.people"), words(")."))
		return say(l...), true
	}
	if d.Notice.Matter != nil || !d.Holding.Open() {
		return Message{}, false
	}
	return say(lines("pass on your request for the deploy token to", holder(d.Holding), "Please ask them another way.")...), true
}

// displaced tells a holder that the document names them no longer.
func (d teller) displaced() Message {
	lines := []line{join(line{words("The "), d.document(), words(" was changed by hand")}, d.when(), line{words(", and no longer names you as the holder of the deploy token.")})}
	if t := d.Notice.Token; t != nil {
		lines = append(lines, says(words("It"), *t))
	}
	lines = append(lines, d.byWhom()...)
	lines = append(lines, line{words("If you are still deploying, stop and agree with the others on who goes on.")})
	return say(lines...)
}

// pending tells the asker that it isn't known yet whether their command was
// done.
func (d teller) pending() Message {
	return say(
		join(line{words("I don't know yet whether that was done. ")}, prose(d.Notice.Detail), line{words(" I keep asking, and will tell you.")}),
		line{words("Until then, please don't change the "), d.document(), words(", and don't deploy.")},
	)
}

// summary tells in one message what several late ones would have.
func (d teller) summary() (Message, bool) {
	var bullets []line
	add := func(t teller) {
		switch t.Notice.Kind {
		case deploytoken.NoticeReminder, deploytoken.NoticeRetired, deploytoken.NoticeMended:
			return
		}
		t.At = t.Notice.At // the line begins with the time
		if what := t.brief(); what != nil {
			bullets = append(bullets, join(line{moment(t.Notice.At), words(": ")}, what))
		}
	}
	first := d
	first.Late = nil
	add(first)
	for _, late := range d.Late {
		next := first
		next.Notice, next.Holding, next.Previous = late.Notice, late.Holding, late.Previous
		add(next)
	}
	if len(bullets) == 0 {
		return Message{}, false
	}
	kept, more := fit(bullets, maxMessage/2, line.size)
	if more > 0 {
		kept = append(kept, line{words("and " + count(more, "more change", "more changes"))})
	}
	return compose([]group{{
		lines:   []line{{words("I couldn't post here for a while. This is what has happened to the deploy token:")}},
		bullets: kept,
	}, {
		lines: []line{{words("Who holds it now stands in the "), d.document(), words(".")}},
	}}, nil), true
}

// brief tells in one line what a notice tells of.
func (d teller) brief() line {
	who := words("Someone")
	if d.Holding != nil {
		who = holder(d.Holding)
	}
	switch d.Notice.Kind {
	case deploytoken.NoticeTaken:
		if d.Holding == nil {
			return line{who, words(" took the deploy token.")}
		}
		return append(line{who, words(" took the deploy token")}, purposeOf(d.Holding)...)
	case deploytoken.NoticeReleased:
		if d.Holding == nil {
			return line{who, words(" released the deploy token.")}
		}
		return d.released(d.Holding)
	case deploytoken.NoticeHandedOver:
		return d.overTo()
	case deploytoken.NoticeForceReleased:
		return d.forceReleased()
	case deploytoken.NoticeChanged:
		l := line{words("The document was changed by hand.")}
		if t := d.Notice.Token; t != nil {
			past := map[deploytoken.TokenState]line{
				deploytoken.Free: {words(" It then said that nobody held the deploy token.")},
				deploytoken.Held: {words(" It then said that "), strong(t.Holder), words(" held the deploy token.")},
			}
			l = append(l, past[t.State]...)
		}
		return l
	case deploytoken.NoticeUnclear:
		return line{words("The document could not be understood.")}
	case deploytoken.NoticeClear:
		return line{words("The document could be understood again.")}
	case deploytoken.NoticeTrouble:
		return prose(d.Notice.Detail)
	}
	return nil
}

// join puts the pieces of a line together.
func join(pieces ...line) line {
	var l line
	for _, p := range pieces {
		l = append(l, p...)
	}
	return l
}
