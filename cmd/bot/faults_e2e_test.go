package main

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/kingfisher"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// TestReplicas: two bots on one store are one bot to those who use them.
func TestReplicas(t *testing.T) {
	w := newWorld(t)
	w.config["STORE_URL"] = ledgertest.StartPostgres(t, "fsync=off").URL(t)
	w.config["REMINDERS_SCHEDULE"], w.config["REMINDERS_STALE_AFTER"] = "@every 1s", "1s"
	bots := []*bot{w.start(t), w.start(t)}
	for _, b := range bots {
		b.waitLog(t, `"msg":"ready"`)
	}

	const turns = 6
	for i := range turns {
		user, name, other := ana, "Ana Díaz", bob
		if i%2 == 1 {
			user, name, other = bob, "Bob Ray", ana
		}
		says(t, w.slash(t, user, "/deploy-token", fmt.Sprintf("take turn %d", i)), "You hold")
		if got := w.document.Holder(); got != name {
			t.Fatalf("turn %d: the document says %q", i, got)
		}
		says(t, w.slash(t, other, "/deploy-token", "take"), name)
		says(t, w.slash(t, user, "/deploy-token", fmt.Sprintf("release turn %d", i)), "released")
	}
	used := map[string]bool{}
	for _, d := range w.slack.Deliveries() {
		used[d.Connections[0]] = true
	}
	if len(used) != 2 {
		t.Errorf("envelopes went over %d connections", len(used))
	}
	for i, row := range w.rows(t, turns+1)[1:] {
		if want := fmt.Sprintf("turn %d", i); row[3] != want || row[4] != want {
			t.Errorf("row %d: %q", i, row)
		}
	}
	for i := range turns {
		w.announcedOnce(t, fmt.Sprintf("turn %d", i))
	}

	// One reminder a tick, though both keep the schedule.
	began := time.Now()
	says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
	const reminders = 6
	w.until(t, "reminders", func() bool { return len(w.reminders(ana)) >= reminders })
	if took := time.Since(began); took < (reminders-2)*time.Second {
		t.Errorf("%d reminders within %s", reminders, took)
	}
	says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
	w.rows(t, turns+2)

	for _, b := range bots {
		if status := b.stop(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
	w.rows(t, turns+2)
}

// reminders are the messages that remind somebody, in whatever thread.
func (w *world) reminders(user string) (found []slack.Message) {
	for _, m := range w.slack.Messages(channel) {
		if len(found) == 0 && strings.Contains(m.Text, "<@"+user+">") || len(found) > 0 && m.ThreadTS == found[0].TS {
			found = append(found, m)
		}
	}
	return found
}

// announcements are the channel's messages that hold text.
func (w *world) announcements(text string) (found []slack.Message) {
	for _, m := range w.slack.Messages(channel) {
		if strings.Contains(m.Shown(), text) {
			found = append(found, m)
		}
	}
	return found
}

// fault makes Google fail in some way.
func (w *world) fault(t testing.TB, f google.Fault) int {
	t.Helper()
	id, err := w.google.AddFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// say types a command that may get its answer much later.
func (w *world) say(t *testing.T, user, text string) {
	t.Helper()
	i, err := w.slack.Slash(t.Context(), user, channel, "/deploy-token", text)
	if err != nil || !i.Acked {
		t.Fatalf("%s: %+v %v", text, i, err)
	}
}

// TestKilled: a bot that is killed at any moment of a release finishes it at
// its next start, once.
func TestKilled(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault google.Fault
		// reached is whether the moment to kill the bot has come.
		reached func(w *world) bool
	}{
		{"before the write", google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayRequest},
			func(w *world) bool { return w.google.Faults()[0].Waiting > 0 }},
		{"after the write, before its answer", google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer},
			func(w *world) bool { return w.document.Holder() == "Nobody" }},
		{"while the write is on its way", google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayCommit, Delay: 3 * time.Second},
			func(w *world) bool { return w.google.Faults()[0].Waiting > 0 }},
		{"after the write's answer was cut", google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DropAfter},
			func(w *world) bool { return w.document.Holder() == "Nobody" }},
		{"after the row, before its answer", google.Fault{Operation: google.SheetsBatchUpdate, Kind: google.DelayAnswer},
			func(w *world) bool { return len(w.sheet.Rows("")) == 2 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.serve(t)
			says(t, w.slash(t, ana, "/deploy-token", "take the registry"), "You hold")
			before := w.answers(ana)
			tt.fault.Count = 1
			w.fault(t, tt.fault)
			w.say(t, ana, "release upgraded it")
			eventually(t, "the moment", func() bool { return tt.reached(w) })
			b.command.Process.Kill()
			b.wait(t)

			w.serve(t)
			w.rows(t, 2)
			w.announcedOnce(t, "upgraded it")
			w.until(t, "an answer", func() bool { return w.answers(ana) > before })
			if got := w.document.Holder(); got != "Nobody" {
				t.Errorf("the document says %q", got)
			}
			// The next turn is as if nothing had happened. The answer to the one before
			// may come again meanwhile.
			w.types(t, ana, "/deploy-token", "take again", "You hold")
			w.types(t, ana, "/deploy-token", "release", "You have released", "where you may add what you did")
			if row := w.rows(t, 3)[1]; row[4] != "upgraded it" {
				t.Errorf("row %q", row)
			}
			w.announcedOnce(t, "upgraded it")
			// The kill may have come between an answer and the record of it.
			if got := w.answers(ana); got < before+3 || got > before+4 {
				t.Errorf("%d answers to three commands", got-before)
			}
		})
	}
}

// announcedOnce checks that one message of the channel holds text.
func (w *world) announcedOnce(t *testing.T, text string) {
	t.Helper()
	w.until(t, "a release with "+text, func() bool { return len(w.released(text)) > 0 })
	if n := len(w.released(text)); n != 1 {
		t.Errorf("%d messages tell of the release of %q", n, text)
	}
}

func (w *world) released(text string) []slack.Message {
	return slices.DeleteFunc(w.announcements(text), func(m slack.Message) bool { return !strings.Contains(m.Shown(), "released") })
}

// TestStopWhileWorking: what was taken in is finished before the bot ends.
func TestStopWhileWorking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.serve(t)
	fault := w.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer, Count: 1})
	w.say(t, ana, "take it slowly")
	eventually(t, "the write", func() bool { return w.google.Faults()[0].Waiting > 0 })
	stopped := make(chan int)
	go func() { stopped <- b.stop(t) }()
	b.waitLog(t, `"msg":"stopping"`)
	w.google.Release(fault)
	if status := <-stopped; status != 0 {
		t.Errorf("exit status %d", status)
	}
	says(t, w.answer(t, ana, 0), "You hold")
	w.announced(t, "it slowly")
}

// TestReleaseWhileTaking: a release that is typed before the take has been
// answered is of what that takes.
func TestReleaseWhileTaking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(t)
	fault := w.fault(t, google.Fault{Operation: google.DocsBatchUpdate, Kind: google.DelayAnswer, Count: 1})
	w.say(t, ana, "take it slowly")
	eventually(t, "the write", func() bool { return w.google.Faults()[0].Waiting > 0 })
	w.say(t, ana, "release gone quickly")
	w.google.Release(fault)
	w.answer(t, ana, 1)
	for i, want := range []string{"You hold", "You have released"} {
		says(t, w.ephemeral(ana)[i], want)
	}
	if row := w.rows(t, 2)[1]; !slices.Contains(row, "gone quickly") {
		t.Errorf("the history has %q", row)
	}
}

// TestSlackAway: a bot that can't reach Slack waits for it, at the start and later.
func TestSlackAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.slack.AddFault(slack.Fault{Kind: slack.FaultDropped}); err != nil {
		t.Fatal(err)
	}
	b := w.start(t)
	eventually(t, "a call to Slack", func() bool { return len(w.slack.Calls()) > 1 })
	eventually(t, "the trouble with Slack", func() bool {
		code, body := b.get(t, "/readyz")
		return code == 503 && strings.Contains(body, "Slack")
	})
	if code, _ := b.get(t, "/healthz"); code != 200 {
		t.Errorf("/healthz: %d", code)
	}
	w.slack.ClearFaults()
	b.waitLog(t, `"msg":"ready"`)
	b.isReady(t)
	says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")

	if err := w.slack.AddFault(slack.Fault{Kind: slack.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	w.slack.Cut()
	eventually(t, "not ready", func() bool { code, _ := b.get(t, "/readyz"); return code == 503 })
	w.slack.ClearFaults()
	b.isReady(t)
	says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
}

// TestGoogleAway: a bot that can't reach Google waits for it at the start, and
// later answers so, leaving nothing half done.
func TestGoogleAway(t *testing.T) {
	for _, kind := range []google.FaultKind{google.DropBefore, google.FailBefore} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fault(t, google.Fault{Kind: kind})
			b := w.start(t)
			eventually(t, "a word of it in the log", func() bool { return b.log.line("reaching the Deploy token document failed") != "" })
			if code, body := b.get(t, "/readyz"); code != 503 {
				t.Errorf("/readyz: %d %s", code, body)
			}
			w.google.ClearFaults()
			b.waitLog(t, `"msg":"ready"`)
			b.isReady(t)

			// What can't be read is answered so; what was sent without an answer
			// is settled once there is one.
			w.fault(t, google.Fault{File: w.document.ID(), Kind: kind})
			says(t, w.slash(t, bob, "/deploy-token", "status"), "Google", "passes by itself")
			w.say(t, ana, "take the registry")
			b.waitLog(t, `"msg":"the write had no answer"`)
			if got := w.document.Holder(); got != "Nobody" {
				t.Errorf("the document says %q", got)
			}
			// A slow one is told first that it isn't known yet.
			w.hears(t, ana, w.google.ClearFaults, "You hold")
			if got := w.document.Holder(); got != "Ana Díaz" {
				t.Errorf("the document says %q", got)
			}
			says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
			w.rows(t, 2)
		})
	}
}

// TestUnshared: a document that stops being shared answers each command with
// what to do about it.
func TestUnshared(t *testing.T) {
	t.Parallel()
	for _, role := range []google.Role{google.NoAccess, google.Viewer} {
		w := newWorld(t)
		b := w.serve(t)
		share(t, w, "document1", role)
		says(t, w.slash(t, ana, "/deploy-token", "take"), botAccount, "Editor")
		if role == google.NoAccess {
			says(t, w.slash(t, ana, "/deploy-token", "status"), botAccount)
		}
		share(t, w, "document1", google.Editor)
		says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
		w.announced(t, "Ana Díaz")
		if status := b.stop(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
}

// TestTokenRevoked: a token that Slack no longer takes ends the bot, by its name.
func TestTokenRevoked(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   slack.TokenKind
		names  string
		notice func(t *testing.T, w *world)
	}{
		{"at a message", slack.BotToken, "SLACK_BOT_TOKEN", func(t *testing.T, w *world) { w.say(t, ana, "take") }},
		{"at a refresh", slack.AppToken, "SLACK_APP_TOKEN", func(t *testing.T, w *world) {
			if _, err := w.slack.Disconnect("refresh_requested"); err != nil {
				t.Fatal(err)
			}
		}},
		{"at a cut", slack.AppToken, "SLACK_APP_TOKEN", func(_ *testing.T, w *world) { w.slack.Cut() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.serve(t)
			if err := w.slack.SetTokenError(tt.kind, "token_revoked"); err != nil {
				t.Fatal(err)
			}
			tt.notice(t, w)
			if status := b.wait(t); status != 1 {
				t.Errorf("exit status %d", status)
			}
			var said []string
			for line := range strings.Lines(b.log.String()) {
				if strings.HasPrefix(line, "bot: ") {
					said = append(said, line)
				}
			}
			if len(said) != 1 || !strings.Contains(said[0], tt.names) {
				t.Errorf("said %q", said)
			}
		})
	}
}

// TestSheetsAway: a release doesn't wait for the spreadsheet, whose row comes
// once, when it can.
func TestSheetsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(t)
	for _, kind := range []google.FaultKind{google.FailBefore, google.FailAfter} {
		w.fault(t, google.Fault{Operation: google.SheetsBatchUpdate, Kind: kind})
		if kind == google.FailAfter { // else the next attempt finds that the row is there
			w.fault(t, google.Fault{Operation: google.SheetsValuesGet, Kind: google.FailBefore})
		}
		before := len(w.sheet.Rows(""))
		says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
		says(t, w.slash(t, ana, "/deploy-token", "release by "+string(kind)), "released")
		w.announced(t, string(kind))
		eventually(t, "an attempt", func() bool { return w.google.Faults()[0].Hits > 0 })
		if status, out, stderr := w.bot(t, "status"); status != 0 || !strings.Contains(out, "One entry of the history is still to be written") {
			t.Errorf("status %d: %s%s", status, out, stderr)
		}
		says(t, w.slash(t, ana, "/deploy-token", "status"), "still to be written")
		w.google.ClearFaults()
		rows := w.rows(t, max(before, 1)+1)
		if got := rows[len(rows)-1]; got[4] != "by "+string(kind) {
			t.Errorf("row %q", got)
		}
		eventually(t, "nothing left to write", func() bool {
			_, out, _ := w.bot(t, "status")
			return !strings.Contains(out, "still to be written")
		})
		w.rows(t, max(before, 1)+1)
	}
}

// TestDuplicateEnvelopes: what Slack delivers twice is done once.
func TestDuplicateEnvelopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(t)
	w.slack.DuplicateEnvelopes(4)
	says(t, w.slash(t, ana, "/deploy-token", "take the registry"), "You hold")
	says(t, w.slash(t, ana, "/deploy-token", "release upgraded it"), "released")
	w.announcedOnce(t, "upgraded it")
	says(t, w.slash(t, ana, "/deploy-token", "take again"), "You hold")
	says(t, w.slash(t, ana, "/deploy-token", "release again"), "released")
	w.announcedOnce(t, "again")
	w.rows(t, 3)
	if n := w.answers(ana); n != 4 {
		t.Errorf("%d answers to four commands", n)
	}
	w.until(t, "two acknowledgements of each", func() bool {
		return !slices.ContainsFunc(w.slack.Deliveries(), func(d slack.Delivery) bool { return d.Acks < 2 })
	})
	for _, d := range w.slack.Deliveries() {
		if d.Acks != 2 {
			t.Errorf("acknowledged %d times: %+v", d.Acks, d)
		}
	}
}

// TestKingfisherTroubles: they make the checks unknown, with the remedy, and
// the token goes round all the same.
func TestKingfisherTroubles(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  func(*testing.T, *world)
		says []string
	}{
		{"another host key", func(t *testing.T, w *world) {
			other, err := kingfisher.New(kingfisher.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			_, hosts, err := other.WriteFiles(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			known, err := os.ReadFile(hosts)
			if err != nil {
				t.Fatal(err)
			}
			of := func(address string) string { _, port, _ := strings.Cut(address, ":"); return "]:" + port }
			lines := strings.ReplaceAll(string(known), of(other.SSHAddress()), of(w.kingfisher.SSHAddress()))
			if err := os.WriteFile(w.config["KINGFISHER_SSH_KNOWN_HOSTS_FILE"], []byte(lines), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"host key"}},
		{"no host key", func(t *testing.T, w *world) {
			if err := os.WriteFile(w.config["KINGFISHER_SSH_KNOWN_HOSTS_FILE"], nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"known_hosts"}},
		{"a refused key", func(t *testing.T, w *world) {
			other, err := kingfisher.New(kingfisher.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			w.config["KINGFISHER_SSH_IDENTITY_FILE"], _, err = other.WriteFiles(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
		}, []string{"authorized_keys"}},
		{"no key file", func(_ *testing.T, w *world) { w.config["KINGFISHER_SSH_IDENTITY_FILE"] = "/nowhere/key" }, []string{"/nowhere/key"}},
		{"a wrong Scrapyd password", func(_ *testing.T, w *world) { w.config["SCRAPYD_PASSWORD"] = "hunter2" }, []string{"SCRAPYD_PASSWORD"}},
		{"unreachable", func(t *testing.T, w *world) { setKingfisher(t, w, kingfisher.FaultUnreachable) }, []string{"could not be reached"}},
		{"hanging", func(t *testing.T, w *world) {
			w.config["KINGFISHER_TIMEOUT"] = "2s"
			setKingfisher(t, w, kingfisher.FaultHang)
		}, []string{"within 2s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.bad(t, w)
			status, out, stderr := w.bot(t, "busy", "--json")
			if status != 4 {
				t.Errorf("exit status %d", status)
			}
			b := w.serve(t)
			w.slash(t, ana, "/kingfisher", "busy")
			w.until(t, "the report", func() bool {
				all := w.ephemeral(ana)
				return len(all) > 0 && strings.Contains(all[len(all)-1].Shown(), "unknown")
			})
			says(t, w.slash(t, bob, "/deploy-token", "take"), "You hold")
			all := w.ephemeral(ana)
			for _, s := range tt.says {
				if !strings.Contains(out, s) {
					t.Errorf("doesn't say %q: %s", s, out)
				}
			}
			says(t, all[len(all)-1], tt.says...)
			b.isReady(t)
			if out := out + stderr + b.log.String(); strings.Contains(out, "hunter2") {
				t.Errorf("a password is shown")
			}
		})
	}
}

func setKingfisher(t *testing.T, w *world, f kingfisher.Fault) {
	t.Helper()
	if err := w.kingfisher.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

// TestHostileText: whatever people write is shown as they wrote it, and means
// nothing to Slack, the document or the spreadsheet.
func TestHostileText(t *testing.T) {
	const long = 3000
	for _, tt := range []struct {
		name, person, text string
		holder, kept       string // what the document and the history have; as written where empty
	}{
		{name: "markup", person: "<!channel> *Eve* &lt;", text: "<!channel> *x* &lt; <http://evil.example|x> _y_ `z`"},
		{name: "a formula", person: "=1+1", text: `=HYPERLINK("http://evil.example","x")`},
		{name: "right to left", person: "\u202eenE", text: "\u202egnp.exe\u202c مرحبا", holder: "enE", kept: "gnp.exe مرحبا"},
		{name: "emoji", person: "👩‍👩‍👧‍👦 Eve\u0301", text: "é 👩‍👩‍👧‍👦 !"},
		{name: "lines", person: "Two\nLines\tand\vtabs", text: "one\ntwo\r\nthree\x00", holder: "Two Lines and tabs", kept: "one two three"},
		{name: "long", person: strings.Repeat("Long Name ", 8) + "!", text: strings.Repeat("&<", long/2), kept: "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.holder, tt.kept = cmp.Or(tt.holder, tt.person), cmp.Or(tt.kept, tt.text)
			w := newWorld(t)
			if err := w.slack.PutUser(slack.User{ID: ana, Name: "eve", RealName: tt.person}); err != nil {
				t.Fatal(err)
			}
			b := w.serve(t)
			says(t, w.slash(t, ana, "/deploy-token", "take "+tt.text), "You hold", tt.kept)
			if got := w.document.Holder(); got != tt.holder {
				t.Errorf("the document says %q", got)
			}
			says(t, w.slash(t, bob, "/deploy-token", "take"), tt.holder, tt.kept)
			says(t, w.slash(t, ana, "/deploy-token", "release "+tt.text), "released", tt.kept)
			w.rows(t, 2)
			row := w.sheet.Cells("")[1]
			for i, want := range map[int]string{2: tt.holder, 3: tt.kept, 4: tt.kept} {
				got, _ := row[i].Value.(string)
				if row[i].Formula != "" || got != want && !(tt.kept == "…" && strings.HasPrefix(tt.text, strings.TrimSuffix(got, "…"))) {
					t.Errorf("column %d: %+v", i, row[i])
				}
			}
			w.announcedOnce(t, tt.holder)
			for _, m := range w.slack.Messages(channel) {
				if strings.Contains(m.Text, "<!channel>") || strings.Contains(m.Text, "<http") {
					t.Errorf("markup that means something: %q", m.Text)
				}
			}
			if line := b.log.line(`"level":"ERROR"`); line != "" {
				t.Error(line)
			}
		})
	}
}

// TestRefused: who isn't one of the team can do nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := []slack.User{
		{ID: "UGUEST", Name: "guest", RealName: "Guest", Guest: slack.MultiChannelGuest},
		{ID: "USINGLE", Name: "single", RealName: "Single", Guest: slack.SingleChannelGuest},
		{ID: "UOTHER", Name: "other", RealName: "Other", TeamID: "T2"},
		{ID: "UOUT", Name: "out", RealName: "Out"},
	}
	members := []string{ana, bob, "UBOT", "UGUEST", "USINGLE", "UOTHER"}
	for _, u := range people {
		if err := w.slack.PutUser(u); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []slack.Channel{{ID: channel, Name: "deploys", Members: members}, {ID: "C0ELSE", Name: "else", Members: []string{"UOUT"}}} {
		if err := w.slack.PutChannel(c); err != nil {
			t.Fatal(err)
		}
	}
	w.serve(t)
	for _, u := range people {
		where := channel
		if u.ID == "UOUT" {
			where = "C0ELSE"
		}
		for n, c := range []string{"/deploy-token take", "/deploy-token status", "/kingfisher busy"} {
			name, text, _ := strings.Cut(c, " ")
			if i, err := w.slack.Slash(t.Context(), u.ID, where, name, text); err != nil || !i.Acked {
				t.Fatalf("%s: %+v %v", c, i, err)
			}
			var all []slack.Message
			w.until(t, "an answer", func() bool {
				all = w.slack.Visible(u.ID, where)
				return len(all) == n+1
			})
			says(t, all[n], "Only members")
		}
	}
	if got := w.document.Holder(); got != "Nobody" {
		t.Errorf("the document says %q", got)
	}
}

// TestJSON: the shapes that scripts rely on, to the letter.
func TestJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	is := func(want string, status int, args ...string) {
		t.Helper()
		code, out, stderr := w.bot(t, args...)
		out = tookSeconds.ReplaceAllString(out, `"took_seconds":0`)
		if code != status || out != want+"\n" || stderr != "" {
			t.Errorf("%v: exit status %d\n%s%swant\n%s", args, code, out, stderr, want)
		}
	}
	const document = `"document":"https://docs.google.com/document/d/document1/edit"}`
	is(`{"state":"free","holder":"","since":null,"purpose":"","reason":"",`+document, 0, "status", "--json")
	is(`{"state":"idle","checks":[{"check":"scrapyd","state":"idle","reason":"","findings":[]},{"check":"tmux","state":"idle","reason":"","findings":[]}],"took_seconds":0}`,
		0, "busy", "--json", "--without", "postgres")
	if err := w.document.SetHolder(person, "Cy"); err != nil {
		t.Fatal(err)
	}
	is(`{"state":"held","holder":"Cy","since":null,"purpose":"","reason":"",`+document, 0, "status", "--json")
	if err := w.document.SetHolder(person, ""); err != nil {
		t.Fatal(err)
	}
	is(`{"state":"unclear","holder":"","since":null,"purpose":"","reason":"nothing stands after “Held by:”. Write the holder's name there, or Nobody.",`+document, 0, "status", "--json")
}

var tookSeconds = regexp.MustCompile(`"took_seconds":\d+(\.\d{1,3})?\b`)

// TestUnreadable: where the document can't be read, that is one line that says
// what to do.
func TestUnreadable(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  func(*testing.T, *world)
		says string
	}{
		{"not shared", func(t *testing.T, w *world) { share(t, w, "document1", google.NoAccess) }, "Share it with " + botAccount},
		{"a deleted key", func(_ *testing.T, w *world) { w.google.DeleteKey(botAccount) }, "GOOGLE_APPLICATION_CREDENTIALS"},
		{"no sign-in", func(t *testing.T, w *world) {
			w.fault(t, google.Fault{Operation: google.TokenIssue, Kind: google.FailBefore})
		}, "sign-in has trouble"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.bad(t, w)
			status, out, stderr := w.bot(t, "status", "--json")
			if status != 1 || out != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tt.says) {
				t.Errorf("exit status %d: %s%s", status, out, stderr)
			}
		})
	}
}

// TestLongRun: hundreds of commands over connections that Slack replaces leave
// nothing behind, lose nothing and tell no secret; and the log follows each
// command through.
func TestLongRun(t *testing.T) {
	w := newWorld(t)
	b := w.serve(t)
	rounds := func(n int) {
		for i := range n {
			if i%10 == 5 {
				if _, err := w.slack.Disconnect("refresh_requested"); err != nil {
					t.Fatal(err)
				}
			}
			says(t, w.slash(t, ana, "/deploy-token", "take"), "You hold")
			says(t, w.slash(t, ana, "/deploy-token", "release"), "released")
		}
		w.until(t, "one connection", func() bool { return len(w.slack.State().Connections) == 1 })
	}
	rounds(20)
	before := b.metric(t, "go_goroutines")
	rounds(50)
	w.rows(t, 71)
	if after := b.metric(t, "go_goroutines"); after > before+20 {
		t.Errorf("%g goroutines, then %g", before, after)
	}
	for _, d := range w.slack.Deliveries() {
		if d.Acks != 1 || d.TimedOut {
			t.Errorf("%+v", d)
		}
		if n := strings.Count(b.log.String(), d.EnvelopeID); n < 3 {
			t.Errorf("the log has the command %s %d times", d.EnvelopeID, n)
		}
	}
	for _, secret := range []string{"xoxb-", "xapp-", "/response/", "/link/", "ticket", "PRIVATE KEY", "Bearer", "ya29"} {
		if line := b.log.line(secret); line != "" {
			t.Errorf("the log holds a secret: %s", line)
		}
	}
}

// metric reads one of the bot's metrics.
func (b *bot) metric(t testing.TB, name string) (value float64) {
	t.Helper()
	_, body := b.get(t, "/metrics")
	for line := range strings.Lines(body) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(v, &value); err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
