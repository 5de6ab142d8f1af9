package slackapp

import "sync"

// recentIDs remembers the IDs that came last, as many as it has room for.
type recentIDs struct {
	mu    sync.Mutex
	known map[string]bool
	ring  []string
	next  int
}

func newRecentIDs(room int) *recentIDs {
	return &recentIDs{known: make(map[string]bool, room), ring: make([]string, room)}
}

// add remembers the ID in the place of the oldest, and reports whether it was
// new.
func (r *recentIDs) add(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[id] {
		return false
	}
	delete(r.known, r.ring[r.next])
	r.known[id] = true
	r.ring[r.next] = id
	r.next = (r.next + 1) % len(r.ring)
	return true
}
