package slackapp

import "testing"

func TestRecentIDs(t *testing.T) {
	r := newRecentIDs(2)
	for i, step := range []struct {
		id  string
		new bool
	}{{"a", true}, {"a", false}, {"b", true}, {"a", false}, {"c", true}, {"b", false}, {"c", false}, {"a", true}, {"b", true}} {
		if got := r.add(step.id); got != step.new {
			t.Errorf("step %d: %s is new: %t", i, step.id, got)
		}
		if len(r.known) > 2 {
			t.Errorf("step %d: %d are remembered", i, len(r.known))
		}
	}
}
