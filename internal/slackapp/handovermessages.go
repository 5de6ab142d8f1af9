package slackapp

import (
	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// standingOffer says in the status that the token is offered, with the buttons
// of whom it is offered to.
func standingOffer(o deploytoken.Offer, asker string) (line, []button) {
	switch asker {
	case o.FromID:
		return line{words("You have offered it to "), named(o.To), words(", who hasn't answered yet.")}, nil
	case o.ToID:
		return line{words("It is offered to you. If you accept, you hold it from then on.")},
			[]button{acceptButton(o.ID), declineButton(o.ID)}
	}
	return line{words("It is offered to "), named(o.To), words(", who hasn't answered yet.")}, nil
}

// offered offers the token to a person.
func (d teller) offered() (Message, bool) {
	o := matterOf[deploytoken.Offer](d)
	if o == nil || !o.Ended.IsZero() {
		return Message{}, false
	}
	lines := []line{join(line{named(o.From), words(" offers you the deploy token")}, d.when(), line{words(".")})}
	if h := d.Holding; h.Open() {
		lines = append(lines, held(line{words("They have")}, h, d.At))
	}
	lines = append(lines, line{words("If you accept, you hold it from then on, and they no longer do. Until then, nothing changes.")})
	return compose([]group{{lines: lines}}, []button{acceptButton(o.ID), declineButton(o.ID)}), true
}

// offerOver tells whom the token was offered to what became of that.
func (d teller) offerOver() (Message, bool) {
	o := matterOf[deploytoken.Offer](d)
	if o == nil || o.Ended.IsZero() {
		return Message{}, false
	}
	offered := line{named(o.From), words(" offered you the deploy token")}
	switch o.Result {
	case deploytoken.OfferAccepted:
		return say(append(offered, words(", and you accepted ("), moment(o.Ended), words(")."))), true
	case deploytoken.OfferDeclined:
		return say(append(offered, words(", and you declined ("), moment(o.Ended), words(")."))), true
	case deploytoken.OfferWithdrawn:
		return say(append(offered, words(", then offered it to somebody else instead."))), true
	}
	return say(append(offered, words(", but no longer holds it since "), moment(o.Ended), words(". The offer is over."))), true
}

// offerAnswered tells who offered the token what became of that.
func (d teller) offerAnswered() (Message, bool) {
	o := matterOf[deploytoken.Offer](d)
	if o == nil {
		return Message{}, false
	}
	switch o.Result {
	case deploytoken.OfferAccepted:
		return say(join(line{named(o.To), words(" has accepted your offer")}, d.when(), line{words(": they hold the deploy token now, and you no longer do.")})), true
	case deploytoken.OfferDeclined:
		lines := []line{join(line{named(o.To), words(" has declined your offer of the deploy token")}, d.when(), line{words(".")})}
		if !d.Holding.Open() {
			return say(lines...), true
		}
		lines = append(lines, line{words("You hold it still. If you are done, release it, or offer it to somebody else.")})
		return compose([]group{{lines: lines}}, []button{releaseButton(d.Holding.ID)}), true
	}
	return Message{}, false
}

// handedOver tells the channel that the token has been handed over.
func (d teller) handedOver() ([]line, []button) {
	h := d.Holding
	if h != nil && !h.Open() {
		return []line{d.over(h)}, nil
	}
	lines := []line{d.overTo()}
	if before := d.Previous; before != nil {
		lines = append(lines, line{holder(before), words(" had held it for " + after(before, d.At) + ".")})
	}
	if h == nil {
		return lines, nil
	}
	return lines, []button{releaseButton(h.ID), askButton(h.ID)}
}

// overTo says who has handed the token over, and to whom.
func (d teller) overTo() line {
	from := line{words("The deploy token was handed over")}
	if d.Previous != nil {
		from = line{holder(d.Previous), words(" handed the deploy token over")}
	}
	l := join(from, line{words(" to "), holder(d.Holding)}, d.when())
	if d.Holding == nil {
		return append(l, words("."))
	}
	return append(l, purposeOf(d.Holding)...)
}

// forceReleased tells the channel that somebody has released another's token.
func (d teller) forceReleased() line {
	by := words("Someone")
	if d.Notice.Name != "" {
		by = named(d.Notice.Name)
	}
	l := join(line{by, words(" released the deploy token for "), holder(d.Holding)}, d.when())
	if h := d.Holding; h != nil {
		l = append(l, words(", who had held it for "+after(h, d.At)))
	}
	l = append(l, words("."))
	if d.Notice.Detail != "" {
		l = append(l, words(" The reason: "), phrase(d.Notice.Detail))
	}
	return l
}

// forced tells a holder that somebody has released the token for them.
func (d teller) forced() Message {
	by := words("Someone")
	if d.Notice.Name != "" {
		by = named(d.Notice.Name)
	}
	lines := []line{join(line{by, words(" has released the deploy token for you")}, d.when(), line{words(".")})}
	if d.Notice.Detail != "" {
		lines = append(lines, line{words("The reason: "), phrase(d.Notice.Detail)})
	}
	if h := d.Holding; h != nil {
		lines = append(lines, join(line{words("You had held it for " + after(h, d.At))}, purposeOf(h)))
	}
	return say(append(lines, line{words("If you are still deploying, stop and agree with the others on who goes on.")})...)
}

// handoverAnswer answers what was asked of an offer, or of another's holding.
func (d teller) handoverAnswer() ([]line, []button) {
	o, h := matterOf[deploytoken.Offer](d), d.Holding
	switch d.Notice.Outcome {
	case deploytoken.OutcomeOffered:
		to := words("them")
		if o != nil && o.To != "" {
			to = named(o.To)
		}
		lines := []line{{words("I have offered the deploy token to "), to, words(" in a direct message. You hold it until they accept, and I'll tell you what they answer.")}}
		if d.open() == nil {
			return lines, nil
		}
		return lines, []button{releaseButton(h.ID)}
	case deploytoken.OutcomeDeclined:
		lines := []line{{words("You have declined the deploy token. Whoever offered it holds it still, and is told.")}}
		if o != nil && o.From != "" {
			lines = []line{{words("You have declined the deploy token. "), named(o.From), words(" holds it still, and is told.")}}
		}
		return lines, nil
	case deploytoken.OutcomeConfirm:
		return d.confirmForce()
	}
	// OutcomeForced.
	if h == nil {
		return []line{{words("You have released the deploy token for its holder. They are told in a direct message, and so is the channel.")}}, nil
	}
	lines := []line{{words("You have released the deploy token for "), holder(h), words(", who had held it for " + after(h, d.At) + ".")}}
	told := words("The channel is told.")
	if h.PersonID != "" {
		told = words("They are told in a direct message that it was you, and so is the channel.")
	}
	return append(lines, line{told, words(" It goes into the "), d.history(), words(".")}), nil
}

// confirmForce asks whether another's holding is to be released.
func (d teller) confirmForce() ([]line, []button) {
	h := d.Holding
	if !h.Open() {
		// What the document said when this was decided is over, too.
		return []line{{words("The holding that you wanted to release is over. Nothing was changed.")}, {words("Who holds the token now stands in the "), d.document(), words(".")}}, nil
	}
	command, why := "", ""
	if d.Command != nil {
		why = d.Command.Words
		if d.Command.Kind == deploytoken.KindForce {
			command = d.Command.ID
		}
	}
	lines := []line{held(line{holder(h), words(" has")}, h, d.At)}
	if why != "" {
		lines = append(lines, line{words("You want to release it because: "), phrase(why)})
	}
	lines = append(lines, line{words("They may still be deploying: ask them first, if you can reach them. Nothing is released before you press the button.")})
	return lines, []button{askButton(h.ID), forceButton(h.ID, command, h.Name)}
}

// handoverPast says in the past tense what came of asking for that.
func (d teller) handoverPast() line {
	o := matterOf[deploytoken.Offer](d)
	switch d.Notice.Outcome {
	case deploytoken.OutcomeOffered:
		if o != nil && o.To != "" {
			return line{words("It was offered to "), named(o.To), words(".")}
		}
		return line{words("It was offered to them.")}
	case deploytoken.OutcomeHandedOver:
		return line{words("You got it ("), moment(d.Notice.At), words(").")}
	case deploytoken.OutcomeDeclined:
		return line{words("You declined.")}
	case deploytoken.OutcomeConfirm:
		return line{words("That was to be confirmed, and nothing was released.")}
	}
	if d.Holding == nil {
		return line{words("It was released.")}
	}
	return line{words("It was released for "), holder(d.Holding), words(" after " + after(d.Holding, d.At) + ".")}
}
