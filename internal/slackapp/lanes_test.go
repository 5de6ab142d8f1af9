package slackapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

func TestLanesKeepOrder(t *testing.T) {
	l := newLanes(4, 1000)
	var mu sync.Mutex
	got := map[string][]int{}
	running, most := 0, 0
	for i := range 100 {
		for k := range 10 {
			key := fmt.Sprint(k)
			if !l.submit(key, func() {
				mu.Lock()
				running++
				most = max(most, running)
				got[key] = append(got[key], i)
				mu.Unlock()
				mu.Lock()
				running--
				mu.Unlock()
			}) {
				t.Fatal("full too early")
			}
		}
	}
	if err := l.wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	for key, order := range got {
		if len(order) != 100 || !slices.IsSorted(order) {
			t.Errorf("%s ran in the order %v", key, order)
		}
	}
	if most > 4 {
		t.Errorf("%d ran at once", most)
	}
	if l.count != 0 || len(l.byKey) != 0 || l.running != 0 {
		t.Errorf("something is left: %+v", l)
	}
}

func TestLanesAreFair(t *testing.T) {
	l := newLanes(1, 10)
	block := make(chan struct{})
	var got []string
	l.submit("a", func() { <-block })
	for _, id := range []string{"a1", "a2", "b1"} {
		l.submit(id[:1], func() { got = append(got, id) })
	}
	close(block)
	if err := l.wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"b1", "a1", "a2"}; !slices.Equal(got, want) {
		t.Errorf("ran %v, want %v", got, want)
	}
}

func TestLanesBounds(t *testing.T) {
	l := newLanes(1, 3)
	begun, block := make(chan struct{}, 3), make(chan struct{})
	ran := 0
	for range 3 {
		if !l.submit("a", func() { begun <- struct{}{}; <-block; ran++ }) {
			t.Fatal("full too early")
		}
	}
	<-begun
	if l.submit("b", func() {}) {
		t.Error("took in more than its capacity")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait returned %v", err)
	}
	if n := len(l.drop()); n != 2 {
		t.Errorf("dropped %d, want 2", n)
	}
	if l.submit("b", func() {}) {
		t.Error("took something in after its end")
	}
	close(block)
	if err := l.wait(context.Background()); err != nil {
		t.Error(err)
	}
	if ran != 1 || l.count != 0 {
		t.Errorf("%d ran, %d are left", ran, l.count)
	}
}
