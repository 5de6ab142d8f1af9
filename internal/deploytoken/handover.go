package deploytoken

import "time"

func offerKey(o Offer) string { return "offer:" + o.ID }

// offer returns the open offer with the ID; nil where there is none.
func (ms Matters) offer(id string) *Offer {
	for i := range ms.Offers {
		if ms.Offers[i].ID == id {
			return &ms.Offers[i]
		}
	}
	return nil
}

// decideGive decides KindGive: nothing changes until the other accepts.
func decideGive(s situation) decision {
	if d, mine := s.mine(); !mine {
		return d
	}
	to := s.other
	if to.ID == s.command.PersonID {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "You hold the token yourself already."}
	}
	h := *s.record.Holding
	h.PersonID = s.command.PersonID
	o := Offer{ID: s.command.ID, Holding: h.ID, FromID: h.PersonID, From: h.Name, ToID: to.ID, To: to.Name, At: s.now}
	ref := o.Ref()
	d := decision{step: stepAnswer, outcome: OutcomeOffered, matter: ref, put: []Matter{&o}, update: &h}
	for _, earlier := range s.record.Matters.Offers {
		d.effects = append(d.effects, earlier.end(OfferWithdrawn, s.now)...)
		d.put = append(d.put, &earlier)
	}
	d.effects = append(d.effects, Effect{
		Key: offerKey(o), Destination: ToPerson(o.ToID),
		Notice: Notice{Kind: NoticeOffered, Holding: h.ID, PersonID: o.FromID, Name: o.From, Matter: &ref, At: s.now},
	})
	return d
}

// mine reports whether the token is the asker's by the document and on record,
// and otherwise what is to be done about a command that needs it to be.
func (s situation) mine() (decision, bool) {
	if !s.fresh {
		return decision{step: stepRead}, false
	}
	switch s.token.State {
	case Unclear:
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}, false
	case Free:
		return answer(OutcomeFree), false
	}
	switch s.whose() {
	case unknownYet:
		return decision{step: stepLookUp}, false
	case others:
		return answer(OutcomeHeld), false
	case maybeYours:
		return s.onRecord(answer(OutcomeMaybeYours)), false
	}
	if !s.recorded() {
		return decision{step: stepAdopt}, false
	}
	if s.command.Holding != "" && s.command.Holding != s.record.Holding.ID {
		return answer(OutcomeEnded), false
	}
	return decision{}, true
}

// decideAccept decides KindAccept: one write of the document, from the one name
// to the other.
func decideAccept(s situation) decision {
	ref := MatterRef{MatterOffer, s.command.Subject}
	ended := decision{step: stepAnswer, outcome: OutcomeEnded, matter: ref}
	o := s.record.Matters.offer(s.command.Subject)
	if o == nil || o.ToID != s.command.PersonID {
		if !s.fresh {
			return decision{step: stepRead}
		}
		return ended
	}
	if !s.timely() {
		return answer(OutcomeTooLate)
	}
	if s.recorded() && s.record.Holding.ID == o.Holding {
		return decision{step: stepWrite, offer: o}
	}
	if !s.fresh {
		return decision{step: stepRead}
	}
	if s.token.State == Unclear {
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}
	}
	return ended
}

// decideDecline decides KindDecline.
func decideDecline(s situation) decision {
	o := s.record.Matters.offer(s.command.Subject)
	if o == nil || o.ToID != s.command.PersonID {
		return decision{step: stepAnswer, outcome: OutcomeEnded, matter: MatterRef{MatterOffer, s.command.Subject}}
	}
	declined := *o
	d := decision{step: stepAnswer, outcome: OutcomeDeclined, matter: o.Ref()}
	d.effects = declined.end(OfferDeclined, s.now)
	d.put = []Matter{&declined}
	return d
}

// end ends the offer, and returns the effects: its message says what became of
// it, and who made it is told where they don't know.
func (o *Offer) end(result OfferResult, now time.Time) []Effect {
	o.Ended, o.Result = now, result
	ref := o.Ref()
	effects := []Effect{{
		Key: "offer-over:" + o.ID, Destination: ToPerson(o.ToID),
		Notice: Notice{Kind: NoticeOfferOver, Holding: o.Holding, PersonID: o.FromID, Name: o.From, Matter: &ref, Edits: offerKey(*o), At: now},
	}}
	if result == OfferAccepted || result == OfferDeclined {
		effects = append(effects, Effect{
			Key: "offer-answered:" + o.ID, Destination: ToPerson(o.FromID),
			Notice: Notice{Kind: NoticeOfferAnswered, Holding: o.Holding, PersonID: o.ToID, Name: o.To, Matter: &ref, At: now},
		})
	}
	return effects
}

// decideForce decides KindForce, which is to be confirmed, and then
// KindForceConfirmed, which releases the very holding that was shown.
func decideForce(s situation) decision {
	confirmed := s.command.Kind == KindForceConfirmed
	ours := s.record.Holding.Open() && s.command.Holding == s.record.Holding.ID
	if s.forbidden != "" {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: s.forbidden}
	}
	if confirmed && ours && s.recorded() {
		return decision{step: stepWrite, release: true, force: true}
	}
	if !s.fresh {
		return decision{step: stepRead}
	}
	switch s.token.State {
	case Unclear:
		return decision{step: stepAnswer, outcome: OutcomeUnclear, detail: s.token.Reason}
	case Free:
		return answer(OutcomeFree)
	}
	if confirmed {
		return answer(OutcomeEnded)
	}
	switch s.whose() {
	case unknownYet:
		return decision{step: stepLookUp}
	case yours:
		return s.onRecord(answer(OutcomeAlreadyYours))
	}
	if !s.recorded() {
		return decision{step: stepAdopt}
	}
	if s.purpose == "" {
		return decision{step: stepAnswer, outcome: OutcomeRefused, detail: "Say why after `/deploy-token force-release`: the holder and the channel are told."}
	}
	return answer(OutcomeConfirm)
}
