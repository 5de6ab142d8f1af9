package deploytoken

import (
	"cmp"
	"context"
	"slices"
)

// A subject is what a command is about beside the token, as far as that doesn't
// change while it is worked on.
type subject struct {
	// purpose is what the token is taken or waited for, or why it is released for
	// its holder: the command's own words, else those of what it goes back to.
	purpose string
	// goesBackTo is the ID of what the command goes back to; "" for nothing.
	goesBackTo string
	// checked is whether there are busy checks, and kingfisher whether the
	// purpose names Kingfisher, or the command goes back to a deployment there.
	checked, kingfisher bool
	// asker is the asker's name, and other the person whom the command names,
	// where that is needed.
	asker string
	other Person
	// forbidden says why the asker may not do it; "" where they may.
	forbidden string
}

// about looks up what the command is about. A problem is one to tell the asker;
// an err is one of the ledger's.
func (s *Service) about(ctx context.Context, c Command) (about subject, problem, err error) {
	about.checked = s.busy != nil
	about.purpose, about.goesBackTo = c.Words, c.Subject
	if c.Subject != "" && (c.Kind.takes() || c.Kind == KindForceConfirmed || c.Kind == KindWait || c.Kind == KindConsent) {
		if err = s.goBack(ctx, c, &about); err != nil {
			return subject{}, nil, err
		}
	}
	about.kingfisher = about.kingfisher || names(about.purpose, s.kingfisher)
	look := func(id string) (p Person) {
		if problem == nil {
			p, problem = s.person(ctx, id)
		}
		return p
	}
	switch c.Kind {
	case KindConsent, KindWatch:
		if !about.checked {
			problem = &Fault{Kind: ErrMisconfigured, Message: "The busy checks are not set up for this bot. Whoever runs it can add a kingfisher section to its configuration."}
		}
	case KindWait:
		about.asker = CleanName(look(c.PersonID).Name)
	case KindAgree, KindAskToWait:
		about.asker = CleanName(look(c.PersonID).Name)
		m, err := s.ledger.Matter(ctx, c.Document, MatterRef{MatterQuestion, c.Subject})
		if err != nil {
			return subject{}, nil, err
		}
		if q, _ := m.(*Question); problem == nil && q != nil && !q.asks(c.PersonID) {
			member, err := s.member(ctx, c.PersonID)
			if problem = err; err == nil && !member {
				about.forbidden = "Only whoever was asked can answer that, or, where the channel was, those who can use this bot."
			}
		}
	case KindGive:
		about.other = look(c.Subject)
		if problem == nil {
			problem = CheckName(about.other.Name)
		}
		if problem == nil {
			member, err := s.member(ctx, c.Subject)
			switch {
			case err != nil:
				problem = err
			case !member:
				problem = &Fault{Kind: ErrName, Message: CleanName(about.other.Name) + " can't use this bot: only members of the deploy token's channel can, or of the user group that is set for it."}
			}
		}
		about.other.Name = CleanName(about.other.Name)
	case KindForce, KindForceConfirmed:
		about.asker = CleanName(look(c.PersonID).Name)
		if problem == nil {
			may, err := s.inForceGroup(ctx, c.PersonID)
			if problem = err; err == nil && !may {
				about.forbidden = "Releasing somebody else's token is for a user group that you are not in. Ask somebody who is, or press Ask to release."
			}
		}
		if c.Kind == KindForceConfirmed && about.purpose == "" {
			// It was offered to whoever waits.
			about.purpose = "it seemed to be forgotten"
		}
	}
	return about, problem, nil
}

// inForceGroup reports whether the person may release another's holding.
// Errors: ErrUnavailable, ErrMisconfigured.
func (s *Service) inForceGroup(ctx context.Context, person string) (bool, error) {
	if s.forceGroup == "" {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	group, err := s.directory.Group(ctx, s.forceGroup)
	return slices.ContainsFunc(group, func(p Person) bool { return p.ID == person }), err
}

// goBack takes over what was said of what the command goes back to: a
// deployment, a watch of Kingfisher, a place in the waitlist, or an earlier
// command.
func (s *Service) goBack(ctx context.Context, c Command, about *subject) error {
	said := ""
	defer func() { about.purpose = cmp.Or(about.purpose, said) }()
	for _, kind := range []MatterKind{MatterWatch, MatterDeployment, MatterWaiter} {
		m, err := s.ledger.Matter(ctx, c.Document, MatterRef{kind, about.goesBackTo})
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *Watch:
			about.kingfisher = true
			if m.Deployment == "" {
				return nil
			}
			about.goesBackTo = m.Deployment
		case *Deployment:
			// Its purpose need not name Kingfisher, nor need it be open still.
			about.kingfisher, said = true, m.Purpose
			return nil
		case *Waiter:
			said = m.Purpose
			return nil
		}
	}
	earlier, _, err := s.ledger.Command(ctx, about.goesBackTo)
	if earlier != nil {
		said = earlier.Words
	}
	return err
}

// situation returns sit with what the command is about.
func (about subject) situation(sit situation) situation {
	sit.purpose, sit.asker, sit.other, sit.forbidden = about.purpose, about.asker, about.other, about.forbidden
	sit.deployment, sit.kingfisher, sit.lapsed = about.deployment(sit)
	return sit
}

// deployment returns the deployment that the command is for: the one that it
// names, another of the asker's that has not begun, or a new one. Checked is
// whether the busy checks come before it, and lapsed whether it names one that is
// over, of which the asker saw what it would have interrupted then.
func (about subject) deployment(sit situation) (_ Deployment, checked, lapsed bool) {
	c := sit.command
	fresh := Deployment{ID: c.ID, PersonID: c.PersonID, Purpose: about.purpose, At: sit.now, Takes: c.Kind.takes()}
	if sit.look != nil {
		fresh.Name = sit.look.asker
	}
	var own *Deployment
	for i := range sit.record.Matters.Deployments {
		d := &sit.record.Matters.Deployments[i]
		if d.PersonID != c.PersonID || c.Kind.takes() && d.Holding != "" {
			// What is taken now that another holding was for is a deployment anew.
			continue
		}
		if d.ID == about.goesBackTo {
			own = d
			break
		}
		if d.Holding == "" || c.Kind == KindConsent {
			own = d
		}
	}
	d := fresh
	if own != nil {
		d = *own
		if about.goesBackTo != d.ID {
			// Asked for anew, in other words perhaps.
			d.WithoutPostgres, d.OutOfTurn = false, false
			if c.Kind.takes() {
				d.Purpose = about.purpose
			}
		}
		d.Takes = d.Takes || c.Kind.takes()
		if d.Holding == "" {
			d.At = sit.now
		}
	}
	d.OutOfTurn = d.OutOfTurn || c.Kind == KindTakeOutOfTurn
	d.WithoutPostgres = d.WithoutPostgres || c.Kind == KindTakeWithoutPostgres
	named := own != nil && about.goesBackTo == own.ID
	partly := c.Kind == KindTakeAnyway || c.Kind == KindTakeWithoutPostgres
	return d, about.checked && (about.kingfisher || named || partly), partly && about.goesBackTo != "" && !named
}

// names reports whether one of the words stands in the text, case aside.
func names(text string, words []string) bool {
	for _, w := range words {
		if w != "" && hasWords(text, w) {
			return true
		}
	}
	return false
}
