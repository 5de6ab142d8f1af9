package slackapp

import (
	"context"
	"sync"
)

// lanes run functions at the same time, but those of one key one after the
// other, in the order in which they came. A function that panics must recover
// itself.
type lanes struct {
	workers, capacity int

	mu      sync.Mutex
	stopped bool
	count   int // functions waiting or running
	running int // goroutines
	byKey   map[string]*lane
	ready   []*lane // have a function waiting and none running, the longest first
	idle    chan struct{}
}

type lane struct {
	key     string
	waiting []func()
}

// newLanes makes lanes that run at most workers functions at once and take in
// at most capacity, the running ones included.
func newLanes(workers, capacity int) *lanes {
	return &lanes{workers: workers, capacity: capacity, byKey: map[string]*lane{}}
}

// submit takes f in, unless the lanes are full or stopped.
func (l *lanes) submit(key string, f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || l.count >= l.capacity {
		return false
	}
	l.count++
	if ln, ok := l.byKey[key]; ok {
		ln.waiting = append(ln.waiting, f)
		return true
	}
	ln := &lane{key: key, waiting: []func(){f}}
	l.byKey[key] = ln
	l.ready = append(l.ready, ln)
	if l.running < l.workers {
		l.running++
		go l.work()
	}
	return true
}

// work runs what is ready, the longest waiting first, until nothing is.
func (l *lanes) work() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.ready) > 0 {
		ln := l.ready[0]
		l.ready = l.ready[1:]
		f := ln.waiting[0]
		ln.waiting = ln.waiting[1:]
		l.mu.Unlock()
		f()
		l.mu.Lock()
		l.count--
		if len(ln.waiting) > 0 {
			l.ready = append(l.ready, ln)
		} else {
			delete(l.byKey, ln.key)
		}
	}
	l.running--
	if l.running == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// stop takes nothing in any more.
func (l *lanes) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

// wait waits until nothing runs and nothing waits, or until ctx ends.
func (l *lanes) wait(ctx context.Context) error {
	l.mu.Lock()
	if l.running == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.idle == nil {
		l.idle = make(chan struct{})
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drop stops the lanes and returns what has not begun, which they forget.
func (l *lanes) drop() (dropped []func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	for _, ln := range l.byKey {
		dropped = append(dropped, ln.waiting...)
		ln.waiting = nil
	}
	for _, ln := range l.ready {
		delete(l.byKey, ln.key)
	}
	l.ready = nil
	l.count -= len(dropped)
	return dropped
}
