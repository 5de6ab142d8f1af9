package slackapp

import (
	"strings"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// answer tells the asker how their command ended. A late one, which comes with
// a fresh reading, tells of it as of the past, and then what is so now.
func (d teller) answer() Message {
	if d.Now != nil {
		return d.lateAnswer()
	}
	if groups, buttons, ok := d.consentAnswer(); ok {
		return compose(groups, buttons)
	}
	lines, buttons := d.ended()
	if again := d.unheard(); again != nil {
		lines, buttons = append(lines, again), append(buttons, releaseAgainButton(d.Holding.ID, d.Command.ID))
	}
	return compose([]group{{lines: lines}}, buttons)
}

// unheard shows the words of a release that wasn't done though the holding
// lasts; nil where none are lost.
func (d teller) unheard() line {
	c := d.Command
	if c == nil || c.Kind != deploytoken.KindRelease || c.Words == "" || !d.Holding.Open() {
		return nil
	}
	switch d.Notice.Outcome {
	case deploytoken.OutcomeRefused, deploytoken.OutcomeContended, deploytoken.OutcomeSuperseded, deploytoken.OutcomeUnclear,
		deploytoken.OutcomeTooLate, deploytoken.OutcomeFailed:
		return line{words("You wrote: "), phrase(c.Words)}
	}
	return nil
}

// kind is what was asked for; what is typed most often where it isn't at hand.
func (d teller) kind() deploytoken.Kind {
	if d.Command == nil {
		return deploytoken.KindTake
	}
	return d.Command.Kind
}

// takes reports whether the command takes the token where it is free.
func takes(k deploytoken.Kind) bool {
	switch k {
	case deploytoken.KindTake, deploytoken.KindTakeOutOfTurn, deploytoken.KindTakeAnyway, deploytoken.KindTakeWithoutPostgres:
		return true
	}
	return false
}

// open is the holding that the answer is about, if it still lasts and the
// document, where it was read, said so.
func (d teller) open() *deploytoken.Holding {
	h, t := d.Holding, d.Notice.Token
	if !h.Open() || t != nil && !(t.State == deploytoken.Held && strings.EqualFold(deploytoken.Visible(t.Holder), deploytoken.Visible(h.Name))) {
		return nil
	}
	return h
}

// present says what the document said when the command was decided.
func (d teller) present() line {
	t := d.Notice.Token
	switch {
	case t == nil:
		return line{words("Who holds the token stands in the "), d.document(), words(".")}
	case t.State == deploytoken.Held && d.open() != nil:
		return held(line{holder(d.Holding), words(" has")}, d.Holding, d.At)
	case t.State == deploytoken.Unclear:
		return unclear(t.Reason)
	}
	return join(line{words("The ")}, says(d.document(), *t))
}

// ended tells the asker at once how their command ended.
func (d teller) ended() ([]line, []button) {
	h := d.open()
	var release, ask, claim []button
	if h != nil {
		release, ask, claim = []button{releaseButton(h.ID)}, []button{askButton(h.ID)}, []button{claimButton(h.ID)}
	}
	if takes(d.kind()) {
		ask = append(ask, waitButton())
	}
	document := d.document()
	howToRelease := line{words("When you are done, type "), code("/deploy-token release"), words(" and what you did, or press "), strong("Release token"), words(".")}

	switch d.Notice.Outcome {
	case deploytoken.OutcomeTaken, deploytoken.OutcomeHandedOver:
		if h == nil {
			return []line{{words("You took the deploy token, but you don't hold it any more. Look at the "), document, words(" before you deploy.")}}, nil
		}
		lines := []line{append(line{words("You hold the deploy token now")}, purposeOf(h)...)}
		if h.Consent != "" {
			lines = append(lines, line{words("Consent: "), phrase(h.Consent)})
		}
		return append(lines, howToRelease), release
	case deploytoken.OutcomeAlreadyYours:
		if h == nil {
			return []line{{words("You hold the deploy token already. Nothing was changed.")}}, nil
		}
		return []line{
			held(line{words("It is yours already: you have")}, h, d.At),
			howToRelease,
		}, release
	case deploytoken.OutcomeHeld:
		second := line{words("You can take it once it is released. Nothing was changed.")}
		switch d.kind() {
		case deploytoken.KindRelease:
			second = line{words("Only they can release it. Nothing was changed.")}
		case deploytoken.KindStillWorking:
			second = line{words("Only they can put the reminders off. Nothing was changed.")}
		case deploytoken.KindGive:
			second = line{words("Only they can give it to somebody. Nothing was changed.")}
		}
		return []line{d.present(), second}, ask
	case deploytoken.OutcomeReleased:
		return d.thanks(), nil
	case deploytoken.OutcomeFree:
		nothing, take := words("Nothing was changed."), []button(nil)
		switch d.kind() {
		case deploytoken.KindRelease, deploytoken.KindForce, deploytoken.KindForceConfirmed:
			nothing = words("There is nothing to release.")
		case deploytoken.KindGive:
			nothing = words("There is nothing to give.")
		case deploytoken.KindWait:
			nothing, take = words("There is nothing to wait for."), []button{takeButton(d.subject())}
		case deploytoken.KindAsk:
			take = []button{takeButton("")}
		}
		return []line{{words("Nobody holds the deploy token. "), nothing, words(" To take it, type "), code("/deploy-token take"), words(" and what for.")}}, take
	case deploytoken.OutcomeEnded:
		return d.elapsed()
	case deploytoken.OutcomeMaybeYours:
		return []line{
			append(line{words("The "), document, words(" says "), d.named()}, words(", which could be you, but also someone else. Nothing was changed.")),
			{words("If it is you, press "), strong("That's me"), words(". After that you can release the token.")},
		}, claim
	case deploytoken.OutcomeClaimed:
		return []line{
			{words("Thank you. I know now that "), d.named(), words(" in the "), document, words(" is you, and that you hold the deploy token.")},
			howToRelease,
		}, release
	case deploytoken.OutcomeNotYours:
		return []line{
			{words("The "), document, words(" says "), d.named(), words(", which fits neither your full name in Slack, nor your display name, nor your handle. Nothing was changed.")},
			{words("If it does mean you, write your full name there as it is in Slack.")},
		}, ask
	case deploytoken.OutcomeAsked:
		return []line{{words("I have asked "), d.named(), words(" in a direct message to release the deploy token. The channel is told when that happens.")}}, nil
	case deploytoken.OutcomeHolderUnknown:
		return []line{
			{words("I can't ask "), d.named(), words(" to release the deploy token: the name in the "), document, words(" doesn't fit exactly one member of the channel.")},
			{words("If you know who that is, please ask them yourself.")},
		}, nil
	case deploytoken.OutcomeQuiet:
		return []line{{words("All right. I won't remind you again before "), moment(d.Notice.Until), words(".")}}, release
	case deploytoken.OutcomeUnclear:
		return []line{unclear(d.Notice.Detail), {words("Nothing was changed. Mend the "), document, words(", then try again.")}}, nil
	case deploytoken.OutcomeTooLate:
		late := line{words("I couldn't do that in time, so I have given up, and nothing was changed. If you still want it, ask again.")}
		if takes(d.kind()) {
			late = line{words("I couldn't take the deploy token for you within two minutes, so I have given up. If you still want it, ask again.")}
		}
		return []line{late, d.present()}, nil
	case deploytoken.OutcomeContended:
		return []line{{words("The "), document, words(" is being edited just now, so nothing was done. Try again in a moment.")}}, nil
	case deploytoken.OutcomeSuperseded:
		return append([]line{
			{words("The "), document, words(" was changed by hand while I was working on your request. What it says now counts.")},
		}, d.present()), nil
	case deploytoken.OutcomeRefused:
		switch d.kind() {
		case deploytoken.KindWait, deploytoken.KindLeave, deploytoken.KindGive, deploytoken.KindDecline, deploytoken.KindForce, deploytoken.KindConsent,
			deploytoken.KindAgree, deploytoken.KindAskToWait, deploytoken.KindWatch, deploytoken.KindUnwatch, deploytoken.KindPrefer:
			return []line{prose(d.Notice.Detail), {words("Nothing was changed.")}}, nil
		}
		return []line{prose(d.Notice.Detail), {words("The "), document, words(" was not changed.")}}, nil
	case deploytoken.OutcomeWaiting, deploytoken.OutcomeOutOfTurn, deploytoken.OutcomeLeft, deploytoken.OutcomeNotWaiting:
		return d.waitlistAnswer()
	case deploytoken.OutcomeOffered, deploytoken.OutcomeDeclined, deploytoken.OutcomeConfirm, deploytoken.OutcomeForced:
		return d.handoverAnswer()
	case deploytoken.OutcomeAnswered:
		return d.answeredQuestion(), nil
	case deploytoken.OutcomeWatching, deploytoken.OutcomeUnwatched, deploytoken.OutcomePreferred:
		return d.watchAnswer()
	}
	return []line{{words("Something went wrong on my side, and I have stopped. Look at the "), document, words(" to see who holds the deploy token, then try again. If it happens again, tell whoever runs this bot.")}}, nil
}

// named is the name in the document.
func (d teller) named() span {
	switch t := d.Notice.Token; {
	case d.open() != nil:
		return strong(d.Holding.Name)
	case t != nil && t.Holder != "":
		return strong(t.Holder)
	}
	return words("the name there")
}

// thanks tells a holder that they have released the token.
func (d teller) thanks() []line {
	h := d.Holding
	if h == nil {
		return []line{{words("You have released the deploy token. Thank you!")}}
	}
	first := append(line{words("You have released the deploy token after " + after(h, d.At))}, summaryOf(h)...)
	second := line{words("It goes into the "), d.history(), words(".")}
	if h.Summary == "" {
		second = line{words("It goes into the "), d.history(), words(", where you may add what you did.")}
	}
	return []line{first, second}
}

// elapsed tells the asker that what they asked for was for a holding that is
// over.
func (d teller) elapsed() ([]line, []button) {
	t, h := d.Notice.Token, d.Holding
	switch d.kind() {
	case deploytoken.KindAccept, deploytoken.KindDecline:
		return []line{{words("That offer is over. Nothing was changed.")}, d.present()}, nil
	case deploytoken.KindAgree, deploytoken.KindAskToWait:
		return []line{{words("That question is settled already, and needs no answer any more. Thank you all the same.")}}, nil
	case deploytoken.KindTakeAnyway, deploytoken.KindTakeWithoutPostgres, deploytoken.KindConsent, deploytoken.KindWatch:
		return []line{{words("That was about an earlier deployment, which is over. Nothing was changed.")}, d.present()}, nil
	}
	if h != nil && h.EndedBy != "" && d.Command != nil && h.PersonID == d.Command.PersonID && d.kind() == deploytoken.KindRelease {
		lines := []line{{words("The deploy token was released for you already ("), moment(h.Ended), words("). Nothing was changed.")}}
		if d.Command.Words != "" {
			lines = append(lines, line{words("You wrote: "), phrase(d.Command.Words)}, line{words("You may add that to the "), d.history(), words(".")})
		}
		return lines, nil
	}
	if h != nil && h.EndedByHand && t != nil && t.State == deploytoken.Free && d.kind() == deploytoken.KindRelease {
		// The asker's own, whose end the document told before they did. One that
		// the document still named is somebody's that has ended since.
		first := line{words("You have released the deploy token: the "), d.document(), words(" already said that nobody holds it.")}
		second := line{words("What you wrote goes into the "), d.history(), words(".")}
		if h.Summary == "" {
			second = line{words("It goes into the "), d.history(), words(", where you may add what you did.")}
		}
		return []line{first, second}, nil
	}
	return append([]line{{words("That was about an earlier turn with the deploy token, which is over. Nothing was changed.")}}, d.present()), nil
}

// lateAnswer tells of a decision as of the past, and then what is so now.
func (d teller) lateAnswer() Message {
	at, person := d.Notice.At, d.Notice.PersonID
	if d.Command != nil {
		at, person = d.Command.At, d.Command.PersonID
	}
	verb, what := asked(d.kind())
	lines := []line{
		join(line{words("You " + verb + what + " ("), moment(at), words("). ")}, d.past()),
		{words("My answer comes late. This is how it is now:")},
	}
	now, buttons := describe(*d.Now, person, d.At)
	groups := append([]group{{lines: append(lines, now...)}}, waitlist(*d.Now, person, d.At)...)
	dep, free := matterOf[deploytoken.Deployment](d), d.Now.Token.State == deploytoken.Free && !d.Now.At.IsZero()
	switch {
	case d.Notice.Outcome == deploytoken.OutcomeBusy && dep != nil && dep.Ended.IsZero() && dep.Holding == "" && free:
		// What can be done about it is checked again on each click.
		report, further := d.busy(dep)
		groups, buttons = append(groups[:1:1], report...), further
	case d.Notice.Outcome == deploytoken.OutcomeConfirm && d.Holding.Open() && d.Now.Holding != nil && d.Now.Holding.ID == d.Holding.ID:
		_, buttons = d.confirmForce()
	}
	if again := d.unheard(); again != nil {
		groups[0].lines = append(groups[0].lines, again)
		buttons = append(buttons, releaseAgainButton(d.Holding.ID, d.Command.ID))
	}
	return compose(groups, buttons)
}

// asked is what the asker of a command did, around the time when.
func asked(k deploytoken.Kind) (verb, what string) {
	what = map[deploytoken.Kind]string{
		deploytoken.KindRelease:        " to release the deploy token",
		deploytoken.KindAsk:            " for the deploy token to be released",
		deploytoken.KindStillWorking:   " for no more reminders for a while",
		deploytoken.KindClaim:          " to be known as the holder of the deploy token",
		deploytoken.KindWait:           " to join the waitlist",
		deploytoken.KindLeave:          " to leave the waitlist",
		deploytoken.KindGive:           " to offer the deploy token to somebody",
		deploytoken.KindAccept:         " to take the deploy token over",
		deploytoken.KindDecline:        " not to take the deploy token over",
		deploytoken.KindForce:          " to release the deploy token for its holder",
		deploytoken.KindForceConfirmed: " to release the deploy token for its holder",
		deploytoken.KindConsent:        " for consent to a deployment to Kingfisher",
		deploytoken.KindWatch:          " to be told when Kingfisher is idle",
		deploytoken.KindUnwatch:        " not to be told any more when Kingfisher is idle",
		deploytoken.KindPrefer:         " for your reminders to come elsewhere",
	}[k]
	switch k {
	case deploytoken.KindAgree:
		return "said", " that a deployment may go ahead"
	case deploytoken.KindAskToWait:
		return "said", " that a deployment should wait"
	}
	return "asked", orElse(what, " to take the deploy token")
}

// past says in the past tense how the command ended.
func (d teller) past() line {
	switch d.Notice.Outcome {
	case deploytoken.OutcomeTaken:
		return line{words("You got it ("), moment(d.Notice.At), words(").")}
	case deploytoken.OutcomeAlreadyYours:
		return line{words("You held it already then.")}
	case deploytoken.OutcomeHeld:
		who := words("Someone else")
		if t := d.Notice.Token; t != nil && t.Holder != "" {
			who = strong(t.Holder)
		}
		return line{who, words(" held it then, and nothing was changed.")}
	case deploytoken.OutcomeReleased:
		if d.Holding == nil {
			return line{words("It was released.")}
		}
		return append(line{words("It was released after " + after(d.Holding, d.At))}, summaryOf(d.Holding)...)
	case deploytoken.OutcomeFree:
		return line{words("Nobody held it then, and nothing was changed.")}
	case deploytoken.OutcomeEnded:
		return line{words("What you asked that for was over already.")}
	case deploytoken.OutcomeMaybeYours:
		return line{words("The name in the document could have meant you or someone else, and nothing was changed.")}
	case deploytoken.OutcomeClaimed:
		return line{words("I took note that the name in the document was you.")}
	case deploytoken.OutcomeNotYours:
		return line{words("The name in the document didn't fit you, and nothing was changed.")}
	case deploytoken.OutcomeAsked:
		return line{words("The holder was asked in a direct message.")}
	case deploytoken.OutcomeHolderUnknown:
		return line{words("The name in the document didn't fit exactly one member of the channel, so nobody was asked.")}
	case deploytoken.OutcomeQuiet:
		return line{words("The reminders were put off until "), moment(d.Notice.Until), words(".")}
	case deploytoken.OutcomeUnclear:
		return line{words("The document could not be understood then, and nothing was changed.")}
	case deploytoken.OutcomeTooLate:
		return line{words("I couldn't do it within two minutes, and gave up.")}
	case deploytoken.OutcomeContended:
		return line{words("The document was being edited all the while, and nothing was changed.")}
	case deploytoken.OutcomeSuperseded:
		return line{words("The document was changed by hand while I was working on your request, and what it said then counted.")}
	case deploytoken.OutcomeRefused:
		return append(line{words("That could not be done, and nothing was changed. ")}, prose(d.Notice.Detail)...)
	case deploytoken.OutcomeWaiting, deploytoken.OutcomeOutOfTurn, deploytoken.OutcomeLeft, deploytoken.OutcomeNotWaiting:
		return d.waitlistPast()
	case deploytoken.OutcomeOffered, deploytoken.OutcomeHandedOver, deploytoken.OutcomeDeclined, deploytoken.OutcomeConfirm, deploytoken.OutcomeForced:
		return d.handoverPast()
	case deploytoken.OutcomeBusy, deploytoken.OutcomeConsentAsked, deploytoken.OutcomeNothingRuns, deploytoken.OutcomeAnswered:
		return d.consentPast()
	case deploytoken.OutcomeWatching, deploytoken.OutcomeUnwatched, deploytoken.OutcomePreferred:
		return d.watchPast()
	}
	return line{words("Something went wrong on my side, and I stopped.")}
}
