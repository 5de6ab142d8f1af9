package slack_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	goslack "github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

func TestFaultsOfCalls(t *testing.T) {
	s := start(t, config())
	c := client(s)
	post := func() error {
		_, _, err := c.PostMessageContext(t.Context(), general, goslack.MsgOptionText("x", false))
		return err
	}
	for _, f := range []struct {
		fault  slack.Fault
		posted int // messages that a struck call still posts
		check  func(error) bool
	}{
		{slack.Fault{Kind: slack.FaultRateLimited, RetryAfter: 7 * time.Second}, 0, func(err error) bool {
			limited := new(goslack.RateLimitedError)
			return errors.As(err, &limited) && limited.RetryAfter == 7*time.Second
		}},
		{slack.Fault{Kind: slack.FaultServerError}, 0, func(err error) bool {
			var status goslack.StatusCodeError
			return errors.As(err, &status) && status.Code == http.StatusInternalServerError
		}},
		{slack.Fault{Kind: slack.FaultError, Error: "fatal_error"}, 0, func(err error) bool { return err != nil && err.Error() == "fatal_error" }},
		{slack.Fault{Kind: slack.FaultDropped}, 0, func(err error) bool { return err != nil }},
		{slack.Fault{Kind: slack.FaultLost}, 1, func(err error) bool { return err != nil }},
		{slack.Fault{Kind: slack.FaultDelayed, Delay: time.Millisecond}, 1, func(err error) bool { return err == nil }},
	} {
		f.fault.Method, f.fault.Count = "chat.postMessage", 2
		if err := s.AddFault(f.fault); err != nil {
			t.Fatal(err)
		}
		if _, err := c.AuthTestContext(t.Context()); err != nil {
			t.Errorf("%s struck another method: %v", f.fault.Kind, err)
		}
		for range 2 {
			before := len(s.Messages(general))
			if err := post(); !f.check(err) {
				t.Errorf("%s: the client got %v", f.fault.Kind, err)
			}
			if n := len(s.Messages(general)) - before; n != f.posted {
				t.Errorf("%s: %d messages were posted, want %d", f.fault.Kind, n, f.posted)
			}
			calls := s.Calls()
			if last := calls[len(calls)-1]; last.Fault != f.fault.Kind || last.Method != "chat.postMessage" || last.Token != slack.BotToken {
				t.Errorf("%s: the log says %+v", f.fault.Kind, last)
			}
		}
		if err := post(); err != nil {
			t.Errorf("%s struck a third time: %v", f.fault.Kind, err)
		}
	}
}

func TestAFaultWithNoCountLastsUntilCleared(t *testing.T) {
	s := start(t, config())
	if err := s.AddFault(slack.Fault{Kind: slack.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"auth.test", "users.list", "auth.test"} {
		if res, _ := api(t, s, botToken, method, nil); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: %s", method, res.Status)
		}
	}
	s.ClearFaults()
	must(t, s, "auth.test", nil)
}

func TestFaultsAreChecked(t *testing.T) {
	s := start(t, config())
	for _, f := range []slack.Fault{
		{}, {Kind: "rain"}, {Kind: slack.FaultError}, {Kind: slack.FaultDelayed},
		{Kind: slack.FaultLost, Method: "chat.unheardOf"}, {Kind: slack.FaultLost, Count: -1},
	} {
		if s.AddFault(f) == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	must(t, s, "auth.test", nil)
}

func TestTokenErrors(t *testing.T) {
	s := start(t, config())
	for _, code := range []string{"invalid_auth", "token_revoked", "account_inactive"} {
		if err := s.SetTokenError(slack.BotToken, code); err != nil {
			t.Fatal(err)
		}
		if _, got := api(t, s, botToken, "auth.test", nil); got["error"] != code {
			t.Errorf("%v, want %s", got, code)
		}
		if _, got := api(t, s, appToken, "apps.connections.open", nil); got["ok"] != true {
			t.Errorf("the app token failed too: %v", got)
		}
	}
	if err := s.SetTokenError(slack.BotToken, ""); err != nil {
		t.Fatal(err)
	}
	must(t, s, "auth.test", nil)
	if s.SetTokenError("pigeon", "x") == nil {
		t.Error("a token that doesn't exist was accepted")
	}
}

func TestRateLimitIsForEachChannel(t *testing.T) {
	clock := newClock()
	cfg := config()
	cfg.Clock = clock.Now
	s := start(t, cfg)
	post := func(channel string) int {
		res, got := api(t, s, botToken, "chat.postMessage", map[string]any{"channel": channel, "text": "x"})
		if res.StatusCode == http.StatusTooManyRequests && (res.Header.Get("Retry-After") != "1" || got["error"] != "ratelimited") {
			t.Errorf("the refusal is %v, %v", res.Header, got)
		}
		return res.StatusCode
	}
	var got []int
	got = append(got, post(general), post(general))
	s.SetRateLimit(true)
	got = append(got, post(general), post(private))
	clock.advance(time.Second)
	got = append(got, post(general), post(general))
	s.SetRateLimit(false)
	got = append(got, post(general))
	if want := []int{200, 200, 429, 200, 200, 429, 200}; !slices.Equal(got, want) {
		t.Errorf("the answers are %v, want %v", got, want)
	}
}
