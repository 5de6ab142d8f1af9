package slack_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// control sends a request to the control interface and returns the status and the answer.
func control(t *testing.T, s *slack.Server, method, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/sandbox/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var v any
	if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
		v = nil // a plain-text refusal
	}
	if list, ok := v.([]any); ok {
		return res.StatusCode, map[string]any{"list": list}
	}
	o, _ := v.(map[string]any)
	return res.StatusCode, o
}

func TestControlDoesWhatPeopleDo(t *testing.T) {
	s := start(t, config())
	type o = map[string]any
	a := dial(t, s, ackAll)
	ok := func(method, path, body string) o {
		t.Helper()
		status, got := control(t, s, method, path, body)
		if status != http.StatusOK {
			t.Fatalf("%s %s %s: %d %v", method, path, body, status, got)
		}
		return got
	}

	inv := ok("POST", "slash", `{"user":"U0ALICE","channel":"C0GENERAL","command":"/x","text":"@bob.b"}`)
	if inv["acked"] != true || inv["text"] != "<@U0BOB|bob.b>" {
		t.Errorf("slash: %v", inv)
	}
	trigger := payload(a.next())["trigger_id"]
	must(t, s, "views.open", o{"trigger_id": trigger, "view": modal("m", textInput("what"))})
	view := ok("GET", "views?user=U0ALICE", "")["list"].([]any)[0].(o)
	ok("POST", "submit", `{"user":"U0ALICE","view":"`+view["id"].(string)+`","values":{"what":["x"]}}`)
	a.next()
	if got := ok("GET", "views?user=U0ALICE", ""); len(got["list"].([]any)) != 0 {
		t.Errorf("after submitting: %v", got)
	}

	must(t, s, "views.publish", o{"user_id": bob, "view": o{"type": "home", "blocks": []any{actions(button("go", "1"))}}})
	ok("POST", "click", `{"user":"U0BOB","home":true,"action_id":"go"}`)
	if p := payload(a.next()); p["view"].(o)["type"] != "home" {
		t.Errorf("the click in the home arrived as %v", p)
	}
	if got := ok("GET", "home?user=U0BOB", ""); got["type"] != "home" {
		t.Errorf("the home is %v", got)
	}
	ok("POST", "home", `{"user":"U0BOB"}`)
	if m := a.next(); m["type"] != "events_api" {
		t.Errorf("opening the home arrived as %v", m)
	}

	posted := ok("POST", "message", `{"user":"U0ALICE","channel":"C0GENERAL","text":"hello"}`)
	ok("POST", "message", `{"user":"U0BOB","channel":"C0GENERAL","text":"reply","thread_ts":"`+posted["ts"].(string)+`"}`)
	if got := ok("GET", "thread?channel=C0GENERAL&ts="+posted["ts"].(string), ""); len(got["list"].([]any)) != 2 {
		t.Errorf("the thread is %v", got)
	}
	if got := ok("GET", "messages?channel=C0GENERAL&user=U0CAROL", ""); len(got["list"].([]any)) != 0 {
		t.Errorf("someone who isn't in the channel sees %v", got)
	}

	ok("POST", "faults", `{"method":"auth.test","kind":"ratelimited","count":1,"retry_after":"3s"}`)
	state := ok("GET", "state", "")
	if got := asJSON(t, state["faults"]); got != `[{"count":1,"kind":"ratelimited","method":"auth.test","retry_after":"3s"}]` {
		t.Errorf("the faults are %s", got)
	}
	if res, _ := api(t, s, botToken, "auth.test", nil); res.Header.Get("Retry-After") != "3" {
		t.Errorf("the fault did not strike: %v", res.Header)
	}
	ok("POST", "token", `{"token":"bot","error":"token_revoked"}`)
	if _, got := api(t, s, botToken, "auth.test", nil); got["error"] != "token_revoked" {
		t.Errorf("the token is still good: %v", got)
	}
	ok("POST", "token", `{"token":"bot"}`)
	ok("POST", "scopes", `{"scopes":["chat:write"]}`)
	if _, got := api(t, s, botToken, "users.list", nil); got["error"] != "missing_scope" {
		t.Errorf("the scope is still there: %v", got)
	}
	ok("POST", "user", `{"id":"U0DAVE","name":"dave"}`)
	ok("POST", "channel", `{"id":"C0NEW","name":"new","members":["U0DAVE"]}`)
	if got := ok("POST", "disconnect", `{"reason":"link_disabled"}`); got["connections"] != 1.0 {
		t.Errorf("disconnect: %v", got)
	}
	if m := a.next(); m["reason"] != "link_disabled" {
		t.Errorf("the app was told %v", m)
	}
	if got := ok("GET", "calls", "")["list"].([]any); len(got) == 0 || strings.Contains(asJSON(t, got), "test\"}") {
		t.Errorf("the calls are %v", got)
	}
	whole := asJSON(t, state) + asJSON(t, ok("GET", "calls", "")) + asJSON(t, ok("GET", "deliveries", ""))
	for _, secret := range []string{botToken, appToken, "/response/"} {
		if strings.Contains(whole, secret) {
			t.Errorf("the control interface shows %s", secret)
		}
	}
}

func TestControlRefuses(t *testing.T) {
	s := start(t, config())
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "slash", `{"user":"U9","channel":"C0GENERAL","command":"/x"}`, 400},
		{"POST", "slash", `{"usr":"U0ALICE"}`, 400},
		{"POST", "slash", `{`, 400},
		{"POST", "faults", `{"kind":"rain"}`, 400},
		{"POST", "faults", `{"kind":"lost","oops":1}`, 400},
		{"POST", "faults", `{"kind":"delayed","delay":"soon"}`, 400},
		{"POST", "click", `{"user":"U0BOB","home":true,"action_id":"go"}`, 400},
		{"POST", "disconnect", `{"reason":"boredom"}`, 400},
		{"GET", "state?after=x", "", 400},
		{"GET", "nothing", "", 404},
	} {
		if status, got := control(t, s, c.method, c.path, c.body); status != c.status {
			t.Errorf("%s %s %s: %d %v, want %d", c.method, c.path, c.body, status, got, c.status)
		}
	}
	if status, _ := control(t, s, "POST", "message", `{"user":"U0ALICE","channel":"C0GENERAL","text":"x"}`, "Origin", "https://elsewhere.example"); status != http.StatusForbidden {
		t.Errorf("a page of another site was answered %d", status)
	}
	if len(s.Messages(general)) != 0 {
		t.Error("a refused request changed something")
	}
}

func TestChangesCanBeFollowedWithoutPolling(t *testing.T) {
	s := start(t, config())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/sandbox/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	seq := s.State().Seq
	later := make(chan slack.State, 1)
	go func() {
		defer close(later)
		_, got := control(t, s, "GET", "state?after="+asJSON(t, seq), "")
		var st slack.State
		if err := json.Unmarshal([]byte(asJSON(t, got)), &st); err != nil {
			t.Error(err)
		}
		later <- st
	}()
	posted, err := s.PostMessage(alice, general, "news")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var c slack.Change
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatal(err)
		}
		if c.Kind != "message" || c.Channel != general || c.TS != posted.TS || c.Seq != seq+1 {
			t.Errorf("the change is %+v", c)
		}
		break
	}
	select {
	case st := <-later:
		if st.Seq <= seq || len(st.Messages(general)) != 1 {
			t.Errorf("the later state is %+v", st)
		}
	case <-time.After(20 * time.Second):
		t.Error("waiting for a change did not end with it")
	}
}
