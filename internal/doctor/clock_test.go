package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, tt := range []struct {
		name           string
		sent, received time.Duration // after the Date
		off            time.Duration
	}{
		{"the same second", 100 * time.Millisecond, 200 * time.Millisecond, 0},
		{"the Date leaves a fraction out", 900 * time.Millisecond, 1200 * time.Millisecond, 0},
		{"a slow answer tells less", -20 * time.Second, 20 * time.Second, 0},
		{"ahead", 30 * time.Second, 31 * time.Second, 29 * time.Second},
		{"behind", -31 * time.Second, -30 * time.Second, 30 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if off := spanOf("x", at.Add(tt.sent), at.Add(tt.received), at).off(); off != tt.off {
				t.Errorf("off by %s, want %s", off, tt.off)
			}
		})
	}
}

func TestJudgeClock(t *testing.T) {
	ahead := func(server string, by time.Duration) span { return span{server, by, by + time.Second} }
	for _, tt := range []struct {
		name                 string
		spans                []span
		found, warning, fail string // what they hold; "" for nothing at all
	}{
		{"no answer", nil, "", "no answer from slack.com or docs.googleapis.com", ""},
		{"in agreement", []span{ahead("slack.com", -500*time.Millisecond)}, "agrees with slack.com", "", ""},
		{"a little ahead", []span{ahead("slack.com", 9*time.Second)}, "9s ahead of that of slack.com", "", ""},
		{"a little behind", []span{ahead("slack.com", -6*time.Second)}, "5s behind that of slack.com", "", ""},
		{"worth a warning", []span{ahead("slack.com", 10*time.Second)}, "", "10s ahead of that of slack.com, and so are the times", ""},
		{"just bearable", []span{ahead("slack.com", -2*time.Minute)}, "", "1m59s behind that of slack.com", ""},
		{"too far", []span{ahead("slack.com", 2*time.Minute)}, "", "", "2m0s ahead of that of slack.com: Google refuses"},
		{"one server is wrong", []span{ahead("slack.com", time.Hour), ahead("docs.googleapis.com", 3*time.Second)}, "3s ahead of that of docs.googleapis.com", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, warning, err := judgeClock(tt.spans, []string{"https://slack.com/api/api.test", "https://docs.googleapis.com/"})
			fail := ""
			if err != nil {
				fail = err.Error()
			}
			for _, got := range []struct{ what, got, want string }{{"found", found, tt.found}, {"warning", warning, tt.warning}, {"error", fail, tt.fail}} {
				if got.want == "" != (got.got == "") || !strings.Contains(got.got, got.want) {
					t.Errorf("%s %q, want %q", got.what, got.got, got.want)
				}
			}
		})
	}
}

// The clock is compared whatever the server answers, and with whoever answers.
func TestClock(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a secret was sent")
		}
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	}))
	defer server.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer silent.Close()

	found, warning, err := Clock(time.Now, silent.URL, server.URL)(t.Context())
	if want := "agrees with " + strings.TrimPrefix(server.URL, "http://"); found != want || warning != "" || err != nil {
		t.Errorf("%q %q %v", found, warning, err)
	}
	early := func() time.Time { return time.Now().Add(-time.Hour) }
	if _, _, err := Clock(early, server.URL)(t.Context()); err == nil || !strings.Contains(err.Error(), " behind ") {
		t.Errorf("an hour behind: %v", err)
	}
	if _, warning, err := Clock(time.Now, silent.URL)(t.Context()); err != nil || !strings.Contains(warning, "no answer") {
		t.Errorf("no answer: %q %v", warning, err)
	}
}
