package google_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
)

// control sends JSON to the control interface and decodes the answer into out.
func control(t *testing.T, s *google.Server, method, path, body string, out any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/sandbox/"+path, strings.NewReader(body))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return resp.StatusCode
}

func TestControl(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	post := func(path, body string, out any) {
		t.Helper()
		var failed struct{ Error string }
		if code := control(t, s, "POST", path, body, out); code != 200 {
			control(t, s, "POST", path, body, &failed)
			t.Fatalf("%s %s: %d %s", path, body, code, failed.Error)
		}
	}
	var made struct{ ID string }
	post("document", `{"title": "Deploy token", "tabs": [{"title": "T", "blocks": [
		{"paragraph": [{"text": "Held by:", "style": {"bold": true}}, {"text": " Nobody"}]},
		{"table": [[[{"paragraph": [{"text": "cell"}]}]]]}]}]}`, &made)
	d := s.Document(made.ID)
	if d == nil || d.Text() != "Held by: Nobody\ncell\n\n" {
		t.Fatalf("made %+v", d)
	}
	post("spreadsheet", `{"id": "sheet", "sheets": [{"title": "Log", "rows": [["a", 1, true, null]]}]}`, nil)
	quoted, err := json.Marshal(d.ID())
	must(t, err)
	id := string(quoted)
	post("edit", `{"document": `+id+`, "who": {"name": "Ann"}, "edit": {"kind": "set_holder", "text": "Ann"}}`, nil)
	post("type", `{"document": `+id+`, "who": {"name": "Bob", "email": "b@x"}, "holder": true, "text": "Bob", "every": "1ms"}`, nil)
	post("edit_spreadsheet", `{"spreadsheet": "sheet", "who": {"name": "Ann"}, "edit": {"kind": "append_row", "values": ["x", 2]}}`, nil)
	post("stale_reads", `{"spreadsheet": "sheet", "for": "0s"}`, nil)
	post("account", `{"email": "other@x"}`, nil)
	post("share", `{"file": `+id+`, "account": "other@x", "role": "viewer"}`, nil)
	post("behavior", `{"mismatch_status": "INVALID_ARGUMENT", "disabled_apis": []}`, nil)
	post("quotas", `{"docs_reads": 100}`, nil)
	post("before_next_batch", `{"document": `+id+`, "who": {"name": "Ann"}, "edit": {"kind": "comment"}}`, nil)
	post("merge_into_next_batch", `{"document": `+id+`, "who": {"name": "Ann"}, "edit": {"kind": "set_holder", "text": "Ann"}, "delay": "0s"}`, nil)
	var fault struct{ ID int }
	post("faults", `{"operation": "docs.get", "kind": "fail_before", "count": 1, "status": 500}`, &fault)
	if _, err := c.docs.Documents.Get(d.ID()).Do(); apiError(t, err).Code != 500 {
		t.Error(err)
	}
	_, err = c.docs.Documents.BatchUpdate(d.ID(), guarded("", insert(10, "x"))).Do()
	must(t, err)
	control(t, s, "DELETE", "faults", "", nil)

	var state google.State
	control(t, s, "GET", "state", "", &state)
	doc, sheet := state.Documents[0], state.Spreadsheets[0]
	if doc.Holder != "xAnn" || doc.LastEditor.Name != "Ann" || doc.Roles["other@x"] != google.Viewer || doc.Roles[bot] != google.Editor ||
		doc.Tabs[0].Lines[0].Start != 1 || doc.Tabs[0].Lines[0].Text != "Held by: xAnn" || sheet.Sheets[0].Rows[1][1] != "2" ||
		len(state.Faults) != 0 || state.Behavior.MismatchStatus != "INVALID_ARGUMENT" || len(state.Accounts) != 2 {
		t.Errorf("state: %+v", state)
	}
	var writes []google.Write
	control(t, s, "GET", "writes", "", &writes)
	if len(writes) != len(s.Writes()) || writes[0].Edit != "set_holder" {
		t.Errorf("writes: %+v", writes)
	}
	var requests []google.Request
	control(t, s, "GET", "requests", "", &requests)
	if len(requests) != 3 || requests[0].Operation != google.TokenIssue {
		t.Errorf("requests: %+v", requests)
	}

	for _, tt := range []struct{ path, body string }{
		{"edit", `{"document": "nonsense", "edit": {"kind": "comment"}}`},
		{"edit", `{"document": ` + id + `, "edit": {"kind": "nonsense"}}`},
		{"edit", `{"document": ` + id + `, "nonsense": 1}`},
		{"edit", `{`},
		{"edit_spreadsheet", `{"spreadsheet": "nonsense"}`},
		{"faults", `{"kind": "nonsense"}`},
		{"faults", `{"kind": "drop_after", "delay": "soon"}`},
		{"faults", `{"kind": "drop_after", "nonsense": 1}`},
		{"behavior", `{"mismatch_status": "nonsense"}`},
		{"share", `{"file": ` + id + `, "account": "other@x", "role": "nonsense"}`},
		{"share", `{"file": ` + id + `, "account": "nonsense", "role": "viewer"}`},
		{"account", `{}`},
		{"document", `{"id": ` + id + `}`},
		{"document", `{"tabs": [{"id": "t"}, {"id": "t"}]}`},
		{"type", `{"document": ` + id + `, "every": "soon"}`},
	} {
		var failed struct{ Error string }
		if code := control(t, s, "POST", tt.path, tt.body, &failed); code != 400 || failed.Error == "" {
			t.Errorf("%s %s: %d %q", tt.path, tt.body, code, failed.Error)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/sandbox/edit", strings.NewReader("{}"))
	must(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's page: %d", resp.StatusCode)
	}
}

func TestWaitingForState(t *testing.T) {
	s := start(t, google.Config{})
	d := holderDocument(t, s)
	number := s.State().Number
	got := make(chan google.State, 1)
	go func() {
		var st google.State
		b, err := get(t.Context(), s.URL()+"/sandbox/state?after="+strconv.Itoa(number))
		if err == nil {
			err = json.Unmarshal(b, &st)
		}
		if err != nil {
			t.Error(err)
		}
		got <- st
	}()
	must(t, d.SetHolder(ann, "Ann"))
	if st := <-got; st.Documents[0].Holder != "Ann" {
		t.Errorf("state: %+v", st)
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func TestEvents(t *testing.T) {
	s := start(t, google.Config{})
	d := holderDocument(t, s)
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL()+"/sandbox/events", nil)
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	must(t, d.SetHolder(ann, "Ann"))
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); ok {
			var c google.Change
			must(t, json.Unmarshal(data, &c))
			if c.Kind != "document" || c.File != d.ID() || c.Seq != 1 {
				t.Errorf("the change is %+v", c)
			}
			return
		}
	}
	t.Error("no change came")
}

func TestSubscriptions(t *testing.T) {
	s := start(t, google.Config{})
	d := holderDocument(t, s)
	changes, stop := s.Subscribe(2)
	for range 5 {
		must(t, d.Comment(ann))
	}
	if a, b := <-changes, <-changes; b.Number != a.Number+1 || a.Kind != "document" {
		t.Errorf("changes %+v, %+v", a, b)
	}
	must(t, d.Comment(ann))
	if c := <-changes; c.Seq != 6 {
		t.Errorf("after the gap: %+v", c)
	}
	stop()
	stop()
	if _, ok := <-changes; ok {
		t.Error("the channel is open")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.WaitFor(ctx, func() bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting ended with %v", err)
	}
}

// TestClose has everything that waits end when the server closes.
func TestClose(t *testing.T) {
	s := start(t, google.Config{})
	c := signIn(t, s, bot)
	d := holderDocument(t, s)
	_ = revisionOf(t, c, d)
	changes, _ := s.Subscribe(1)
	ended := make(chan error, 4)
	for _, kind := range []google.FaultKind{google.DelayRequest, google.DelayCommit, google.DelayAnswer} {
		_, err := s.AddFault(google.Fault{Kind: kind, Count: 1})
		must(t, err)
		go func() {
			_, err := c.docs.Documents.BatchUpdate(d.ID(), guarded("", insert(1, "x"))).Do()
			ended <- err
		}()
	}
	go func() { ended <- s.WaitFor(context.Background(), func() bool { return false }) }()
	must(t, s.WaitFor(t.Context(), func() bool {
		n := 0
		for _, f := range s.Faults() {
			n += f.Waiting
		}
		return n == 3
	}))
	d.MergeIntoNextBatch(ann, google.Edit{Kind: google.SetHolder, Text: "Ann"}, time.Hour)
	must(t, s.Close())
	for range 4 {
		if err := <-ended; err == nil {
			t.Error("something ended well")
		}
	}
	for range changes {
	}
	must(t, s.Close())
	if d.Text() != "xHeld by: Nobody\n" {
		t.Errorf("the document says %q", d.Text())
	}
}
