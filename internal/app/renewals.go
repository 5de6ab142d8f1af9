package app

import (
	"context"
	"sync"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// Renewals are when this replica last renewed each of its leases. None is renewed
// each time that it is asked for: each renewal is a write which the disk must
// confirm, and there would be several a second where nothing happens.
type renewals struct {
	mu sync.Mutex
	at map[string]time.Time
}

// has reports whether the lease is this replica's, as it is once taken or
// renewed for leaseTTL, and is renewed once a third of that has passed: sooner
// than others may take this replica for dead.
func (r *renewals) has(ctx context.Context, leaser deploytoken.Leaser, name string) (bool, error) {
	r.mu.Lock()
	at, known := r.at[name]
	r.mu.Unlock()
	now := time.Now()
	// A machine that slept knows it by the clock on the wall alone.
	if passed := max(now.Sub(at), now.Round(0).Sub(at.Round(0))); known && passed < leaseTTL/3 {
		return true, nil
	}
	_, mine, err := leaser.Lease(ctx, name, leaseTTL)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || !mine {
		delete(r.at, name)
		return false, err
	}
	if r.at == nil {
		r.at = map[string]time.Time{}
	}
	// It was asked for then, and lasts from when the store heard of it.
	r.at[name] = now
	return true, nil
}
