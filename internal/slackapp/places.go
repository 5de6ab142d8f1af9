package slackapp

import "sync"

// places bounds how many requests are in the bot at once, in all and of one
// person: who asks without end must not keep the others out.
type places struct {
	capacity, share int

	mu       sync.Mutex
	taken    int
	byPerson map[string]int
}

// newPlaces makes places for capacity requests, a quarter of which, but at least
// one, may be one person's.
func newPlaces(capacity int) *places {
	return &places{capacity: capacity, share: max(1, capacity/4), byPerson: map[string]int{}}
}

// take takes a place for the person. It returns why there is none: that the
// bot is full, or that the person has their share; and "" where it took one.
func (p *places) take(person string) (why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.capacity:
		return turnedDownFull
	case p.byPerson[person] >= p.share:
		return turnedDownShare
	}
	p.taken++
	p.byPerson[person]++
	return ""
}

// leave gives a place of the person's back.
func (p *places) leave(person string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.byPerson[person]--; p.byPerson[person] == 0 {
		delete(p.byPerson, person)
	}
}
