package deploytoken

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A MatterKind is what a matter is.
type MatterKind string

// The kinds of matters, each with its type.
const (
	MatterWaiter     MatterKind = "waiter"     // *Waiter
	MatterOffer      MatterKind = "offer"      // *Offer
	MatterDeployment MatterKind = "deployment" // *Deployment
	MatterQuestion   MatterKind = "question"   // *Question
	MatterWatch      MatterKind = "watch"      // *Watch
	MatterPreference MatterKind = "preference" // *Preference
	MatterLook       MatterKind = "look"       // *Look
)

// A MatterRef refers to a matter of a document.
type MatterRef struct {
	Kind MatterKind `json:"kind"`
	// ID is unique among those of its kind.
	ID string `json:"id"`
}

// A Matter is something that people have going beside the token itself: a place
// in the waitlist, an offer, a deployment and the questions that it asks. The
// ledger keeps each whole, as JSON, for as long as it is not over, and a while
// longer, so that messages can tell of it.
type Matter interface {
	// Ref is the matter's kind and ID.
	Ref() MatterRef
	// Over is when it was over; zero while it isn't.
	Over() time.Time
}

// DecodeMatter returns the matter of the kind that was encoded as JSON.
func DecodeMatter(kind MatterKind, body []byte) (Matter, error) {
	var m Matter
	switch kind {
	case MatterWaiter:
		m = new(Waiter)
	case MatterOffer:
		m = new(Offer)
	case MatterDeployment:
		m = new(Deployment)
	case MatterQuestion:
		m = new(Question)
	case MatterWatch:
		m = new(Watch)
	case MatterPreference:
		m = new(Preference)
	case MatterLook:
		m = new(Look)
	default:
		return nil, fmt.Errorf("there is no kind of matter called %q", kind)
	}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("decoding a %s: %w", kind, err)
	}
	return m, nil
}

// Matters are the matters of a document that are not over, by kind. The look at
// Kingfisher is none of them: it is as long as what runs there, and few ask.
type Matters struct {
	// Waiters is the waitlist, the first in line first.
	Waiters []Waiter
	// Offers are at most one: that of the lasting holding.
	Offers []Offer
	// Deployments, Questions and Watches are the oldest first.
	Deployments []Deployment
	Questions   []Question
	Watches     []Watch
	// Preferences are in no order.
	Preferences []Preference
}

// MattersOf sorts matters by kind and into their order, leaving out those that
// are over, and looks.
func MattersOf(all []Matter) Matters {
	var ms Matters
	for _, m := range all {
		if !m.Over().IsZero() {
			continue
		}
		switch m := m.(type) {
		case *Waiter:
			ms.Waiters = append(ms.Waiters, *m)
		case *Offer:
			ms.Offers = append(ms.Offers, *m)
		case *Deployment:
			ms.Deployments = append(ms.Deployments, *m)
		case *Question:
			ms.Questions = append(ms.Questions, *m)
		case *Watch:
			ms.Watches = append(ms.Watches, *m)
		case *Preference:
			ms.Preferences = append(ms.Preferences, *m)
		}
	}
	slices.SortFunc(ms.Waiters, func(a, b Waiter) int { return inOrder(a.Since, b.Since, a.ID, b.ID) })
	slices.SortFunc(ms.Offers, func(a, b Offer) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	slices.SortFunc(ms.Deployments, func(a, b Deployment) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	slices.SortFunc(ms.Questions, func(a, b Question) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	slices.SortFunc(ms.Watches, func(a, b Watch) int { return inOrder(a.At, b.At, a.ID, b.ID) })
	return ms
}

func inOrder(a, b time.Time, idA, idB string) int { return cmp.Or(a.Compare(b), cmp.Compare(idA, idB)) }

// A Waiter is one person's place in the waitlist.
type Waiter struct {
	ID string `json:"id"`
	// PersonID is a Slack user ID, and Name the person's name.
	PersonID string `json:"person"`
	Name     string `json:"name"`
	// Purpose is what they wait for the token for; "" where they didn't say.
	Purpose string `json:"purpose,omitempty"`
	// Since is when they joined.
	Since time.Time `json:"since"`
	// Turn is until when it is their turn to take the token; zero while it
	// isn't. Turns counts the turns so far: the token may be taken by others
	// meanwhile.
	Turn  time.Time `json:"turn,omitzero"`
	Turns int       `json:"turns,omitempty"`
	// Left is when they left the waitlist, and why.
	Left time.Time  `json:"left,omitzero"`
	Why  WaiterLeft `json:"why,omitempty"`
}

// A WaiterLeft is why a person is no longer on the waitlist.
type WaiterLeft string

// The ways to leave the waitlist.
const (
	WaiterTook   WaiterLeft = "took"   // they have the token
	WaiterGone   WaiterLeft = "left"   // they left it themselves
	WaiterLapsed WaiterLeft = "lapsed" // they let their turn pass
)

// Ref implements Matter.
func (w *Waiter) Ref() MatterRef { return MatterRef{MatterWaiter, w.ID} }

// Over implements Matter.
func (w *Waiter) Over() time.Time { return w.Left }

// An Offer is a holder's offer to hand the token over.
type Offer struct {
	ID string `json:"id"`
	// Holding is the ID of the holding that is offered, by FromID, called From.
	Holding string `json:"holding"`
	FromID  string `json:"from_id"`
	From    string `json:"from"`
	// ToID is the Slack user ID of the person to whom it is offered, called To.
	ToID string `json:"to_id"`
	To   string `json:"to"`
	// At is when it was made; Ended when it was answered or made void, and
	// Result what became of it.
	At     time.Time   `json:"at"`
	Ended  time.Time   `json:"ended,omitzero"`
	Result OfferResult `json:"result,omitempty"`
}

// An OfferResult is what became of an offer.
type OfferResult string

// What becomes of an offer.
const (
	OfferAccepted  OfferResult = "accepted"
	OfferDeclined  OfferResult = "declined"
	OfferWithdrawn OfferResult = "withdrawn" // for an offer to somebody else
	OfferVoid      OfferResult = "void"      // the holding ended otherwise
)

// Ref implements Matter.
func (o *Offer) Ref() MatterRef { return MatterRef{MatterOffer, o.ID} }

// Over implements Matter.
func (o *Offer) Over() time.Time { return o.Ended }

// A Preference is what a person has set for themselves.
type Preference struct {
	PersonID string `json:"person"`
	// Direct is whether reminders come by direct message, and not in the
	// channel.
	Direct bool `json:"direct,omitempty"`
}

// Ref implements Matter.
func (p *Preference) Ref() MatterRef { return MatterRef{MatterPreference, p.PersonID} }

// Over implements Matter: a preference lasts.
func (p *Preference) Over() time.Time { return time.Time{} }

// A Look is the latest report of the busy checks that the rules have used.
type Look struct {
	Report BusyReport `json:"report"`
}

// lookRef refers to a document's look.
var lookRef = MatterRef{MatterLook, "kingfisher"}

// Ref implements Matter: there is one for a document.
func (l *Look) Ref() MatterRef { return lookRef }

// Over implements Matter: the next replaces it.
func (l *Look) Over() time.Time { return time.Time{} }
