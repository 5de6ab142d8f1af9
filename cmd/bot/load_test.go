package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

var loadStep = flag.Duration("load", 0, "how long TestLoad keeps up each load; 0 skips it")

// rates are the commands a second that TestLoad tries, one after the other.
var rates = []int{4, 6, 8, 10, 14, 20, 30, 40, 60, 80, 100, 120, 140, 160, 180, 200, 240, 280, 320}

// behind is how late the last command of a rate may be for the bot to have kept
// up.
const behind = time.Second

// TestLoad looks for the most takes and releases that can be done, on each
// store, and with a Google that is near and one that is a journey away. Each
// must wait for the one before, as there is one document.
func TestLoad(t *testing.T) {
	if *loadStep == 0 {
		t.Skip("takes ten minutes of an otherwise idle machine: go test ./cmd/bot -run TestLoad -v -timeout 1h -load 10s")
	}
	for _, store := range []struct {
		name     string
		replicas int
		url      func(*testing.T) string
	}{
		{"sqlite", 1, nil},
		{"postgres", 1, func(t *testing.T) string { return ledgertest.StartPostgres(t).URL(t) }},
		{"postgres", 3, func(t *testing.T) string { return ledgertest.StartPostgres(t).URL(t) }},
	} {
		for _, journey := range []time.Duration{0, 50 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s-%d/google-%s", store.name, store.replicas, journey), func(t *testing.T) {
				w := newWorld(t, slacksTimes)
				w.config["GOOGLE_WATCH_INTERVAL"] = "15s"
				if store.url != nil {
					w.config["STORE_URL"] = store.url(t)
				}
				l := &load{world: w, seats: w.seats(t, 100)}
				for range store.replicas {
					l.bots = append(l.bots, w.start(t))
				}
				for _, b := range l.bots {
					b.waitLog(t, `"msg":"ready"`)
					b.log.divert(io.Discard)
				}
				if journey > 0 {
					w.fault(t, google.Fault{Kind: google.DelayRequest, Delay: journey})
				}
				for i := range 20 {
					l.pair(t, l.seats[i])
				}
				l.measure(t, "one after the other", l.turns)
				l.measure(t, "32 people at once", l.crowd)
				for _, rate := range rates {
					if l.measure(t, fmt.Sprintf("%d commands a second", rate), func(t *testing.T) []done { return l.steady(t, rate) }) > behind {
						break
					}
				}
			})
		}
	}
}

// A load is a run of TestLoad on one store.
type load struct {
	*world
	seats []*seat
	bots  []*bot
}

// A done command is one that was given and answered.
type done struct {
	late        time.Duration // after it was due, as the token was not free
	ack, answer time.Duration // from the envelope
	changed     bool          // it took or released the token
}

// measure tells what the bot did of some work, and returns how late the last
// command of it was.
func (l *load) measure(t *testing.T, what string, work func(*testing.T) []done) time.Duration {
	t.Helper()
	cpu := l.cpu(t)
	began := time.Now()
	all := work(t)
	took := time.Since(began).Seconds()
	cpu = l.cpu(t) - cpu
	var acks, answers, late []time.Duration
	changes := 0
	for _, d := range all {
		acks, answers, late = append(acks, d.ack), append(answers, d.answer), append(late, d.late)
		if d.changed {
			changes++
		}
	}
	last := late[len(late)-1]
	ms := func(d []time.Duration) string {
		return fmt.Sprintf("%.1f, %.1f", float64(quantile(d, .5))/float64(time.Millisecond), float64(quantile(d, .99))/float64(time.Millisecond))
	}
	t.Logf("%-24s %5.1f answers a second, %5.1f of them takes and releases; envelope to acknowledgement %11s ms, to answer %13s ms; begun late by %13s ms; bot's processor %3.0f %%, %4.1f ms a command; %2.0f rows behind; load average %s",
		what, float64(len(answers))/took, float64(changes)/took, ms(acks), ms(answers), ms(late),
		100*cpu/took, 1000*cpu/float64(len(all)), l.bots[0].metric(t, "deploytoken_history_rows_pending"), loadAverage())
	eventually(t, "the rows that are behind", func() bool { return l.bots[0].metric(t, "deploytoken_history_rows_pending") == 0 })
	return last
}

// cpu is the processor time that the bots have used, in seconds.
func (l *load) cpu(t *testing.T) (sum float64) {
	t.Helper()
	for _, b := range l.bots {
		sum += b.metric(t, "process_cpu_seconds_total")
	}
	return sum
}

// loadAverage is the machine's of the last minute.
func loadAverage() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(content), " ")
	return first
}

// ask gives a command and waits for its answer.
func (l *load) ask(t *testing.T, st *seat, text string) done {
	t.Helper()
	if !st.take() {
		panic(st.name + " has a command under way")
	}
	defer st.leave()
	i, err := l.slack.Slash(t.Context(), st.user, st.room, "/deploy-token", text)
	if err != nil || !i.Acked {
		t.Errorf("%s: %+v %v", text, i, err)
		return done{}
	}
	h := st.await(20 * time.Second)
	if h.answers == 0 {
		t.Errorf("no answer to %s", text)
	}
	said := h.last.Text
	return done{
		ack: i.Latency, answer: h.last.At.Sub(i.SentAt),
		changed: strings.Contains(said, "You hold the deploy token now") || strings.Contains(said, "You have released"),
	}
}

func (l *load) pair(t *testing.T, st *seat) []done {
	return []done{l.ask(t, st, "take the registry"), l.ask(t, st, "release upgraded it")}
}

// turns is one person after the other who takes the token and releases it.
func (l *load) turns(t *testing.T) (all []done) {
	for began := time.Now(); time.Since(began) < *loadStep; {
		all = append(all, l.pair(t, l.seats[len(all)/2%len(l.seats)])...)
	}
	return all
}

// crowd is 32 people who try to take the token, each as soon as they have been
// told that somebody else has it, and release it.
func (l *load) crowd(t *testing.T) (all []done) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, st := range l.seats[:32] {
		wg.Go(func() {
			var own []done
			for began := time.Now(); time.Since(began) < *loadStep; {
				d := l.ask(t, st, "take the registry")
				own = append(own, d)
				if d.changed {
					own = append(own, l.ask(t, st, "release upgraded it"))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	wg.Wait()
	return all
}

// steady is one person after the other who takes the token and releases it, at
// so many commands a second; who comes while somebody else has it waits.
func (l *load) steady(t *testing.T, rate int) (all []done) {
	began := time.Now()
	for i := range rate * int(*loadStep/time.Second) / 2 {
		due := began.Add(2 * time.Duration(i) * time.Second / time.Duration(rate))
		pause(t.Context(), time.Until(due))
		late := time.Since(due)
		for _, d := range l.pair(t, l.seats[i%len(l.seats)]) {
			d.late = late
			all = append(all, d)
		}
	}
	return all
}
