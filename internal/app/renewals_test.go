package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// office gives one lease out, and counts how often it is asked.
type office struct {
	owner string
	until time.Time
	asked int
	err   error
	// slow is how long an answer takes.
	slow time.Duration
}

// desk is an owner's way to the office.
type desk struct {
	*office
	owner string
}

func (d desk) Lease(_ context.Context, name string, ttl time.Duration) (deploytoken.Lease, bool, error) {
	d.asked++
	mine := d.err == nil && (d.office.owner == d.owner || !time.Now().Before(d.until))
	if mine {
		d.office.owner, d.until = d.owner, time.Now().Add(ttl)
	}
	time.Sleep(d.slow)
	return deploytoken.Lease{Name: name}, mine, d.err
}

func (desk) Unlease(context.Context, deploytoken.Lease) error { return nil }

func TestLeasesAreRenewedInTime(t *testing.T) {
	ctx := context.Background()
	has := func(t *testing.T, r *renewals, d desk, want bool) {
		t.Helper()
		got, err := r.has(ctx, d, "waitlist")
		if got != want || err != d.err {
			t.Errorf("has it: %v, want %v; %v", got, want, err)
		}
		if got && (d.office.owner != d.owner || time.Until(d.until) < leaseTTL/2) {
			t.Errorf("it is %s's, for %v", d.office.owner, time.Until(d.until))
		}
	}
	t.Run("each second, with few writes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &office{}
			var a, b renewals
			for range 60 {
				has(t, &a, desk{o, "a"}, true)
				asked := o.asked
				has(t, &b, desk{o, "b"}, false)
				o.asked = asked
				time.Sleep(time.Second)
			}
			if o.asked != 15 {
				t.Errorf("renewed %d times", o.asked)
			}
		})
	})
	t.Run("not after it lapsed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &office{}
			var a, b renewals
			has(t, &a, desk{o, "a"}, true)
			time.Sleep(leaseTTL)
			has(t, &b, desk{o, "b"}, true)
			has(t, &a, desk{o, "a"}, false)
			time.Sleep(time.Second)
			has(t, &a, desk{o, "a"}, false)
		})
	})
	t.Run("not after an error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &office{}
			var a renewals
			has(t, &a, desk{o, "a"}, true)
			time.Sleep(leaseTTL / 3)
			o.err = deploytoken.ErrUnavailable
			has(t, &a, desk{o, "a"}, false)
			o.err, o.owner, o.until = nil, "b", time.Now().Add(leaseTTL)
			has(t, &a, desk{o, "a"}, false)
		})
	})
	t.Run("counted from when it was asked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := &office{slow: 3 * time.Second}
			var a renewals
			has(t, &a, desk{o, "a"}, true)
			time.Sleep(time.Second)
			has(t, &a, desk{o, "a"}, true)
			if o.asked != 2 {
				t.Errorf("asked %d times", o.asked)
			}
		})
	})
}
