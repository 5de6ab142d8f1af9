package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// How far this machine's clock may be off. The first is what matters to people,
// who are shown times. The second is the age at which a request to take the
// token is too old to be done, by which replicas with clocks of their own judge;
// a sign-in to Google fails from a few minutes on.
const (
	skewToMind = 10 * time.Second
	skewTooFar = 2 * time.Minute
)

// A span is how far this machine's clock may be ahead of a server's: at least
// and at most, negative where it is behind.
type span struct {
	server      string
	least, most time.Duration
}

// spanOf compares a request's times by this machine with the Date of its answer,
// in which fractions of a second are left out.
func spanOf(server string, sent, received, date time.Time) span {
	return span{server, sent.Sub(date.Add(time.Second)), received.Sub(date)}
}

// off is by how much, at least, the clocks differ.
func (s span) off() time.Duration { return max(0, s.least, -s.most) }

// Clock returns a probe that compares this machine's clock with those of the
// servers at the addresses, by the Date of their answers to a plain GET request,
// whatever they answer. Now is time.Now, but for tests.
func Clock(now func() time.Time, addresses ...string) Probe {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context) (string, string, error) {
		defer client.CloseIdleConnections()
		var (
			mu      sync.Mutex
			spans   []span
			askings sync.WaitGroup
		)
		for _, address := range addresses {
			askings.Go(func() {
				s, err := ask(ctx, client, now, address)
				if err != nil {
					return // another server may answer
				}
				mu.Lock()
				defer mu.Unlock()
				spans = append(spans, s)
			})
		}
		askings.Wait()
		return judgeClock(spans, addresses)
	}
}

// ask measures one server's clock.
func ask(ctx context.Context, client *http.Client, now func() time.Time, address string) (span, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return span{}, err
	}
	request.Header.Set("Cache-Control", "no-cache")
	sent := now()
	answer, err := client.Do(request)
	received := now()
	if err != nil {
		return span{}, err
	}
	answer.Body.Close()
	date, err := http.ParseTime(answer.Header.Get("Date"))
	return spanOf(hostOf(address), sent, received, date), err
}

// judgeClock says what the comparisons mean. Where servers disagree, the one
// that is nearest to this machine's clock counts.
func judgeClock(spans []span, addresses []string) (found, warning string, err error) {
	if len(spans) == 0 {
		var hosts []string
		for _, a := range addresses {
			hosts = append(hosts, hostOf(a))
		}
		return "", fmt.Sprintf("This machine's clock could not be compared with any other: no answer from %s.", strings.Join(hosts, " or ")), nil
	}
	nearest := spans[0]
	for _, s := range spans[1:] {
		if s.off() < nearest.off() {
			nearest = s
		}
	}
	off := nearest.off().Truncate(time.Second)
	if off == 0 {
		return "agrees with " + nearest.server, "", nil
	}
	way := "ahead of"
	if nearest.most < 0 {
		way = "behind"
	}
	const remedy = "Set it: timedatectl set-ntp true"
	switch {
	case off >= skewTooFar:
		return "", "", Problem(fmt.Sprintf("This machine's clock is %s %s that of %s: Google refuses to sign in by such a clock, and requests are taken for too old or too new. %s", off, way, nearest.server, remedy))
	case off >= skewToMind:
		return "", fmt.Sprintf("This machine's clock is %s %s that of %s, and so are the times that people are shown. %s", off, way, nearest.server, remedy), nil
	}
	return fmt.Sprintf("%s %s that of %s", off, way, nearest.server), "", nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return u.Host
}
