package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/sandbox/google"
	"github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

// More people of the sandbox: those whose work runs on Kingfisher, and one who
// isn't in the channel.
const (
	chidi, dee = "UCHIDI", "UDEE"
	eve        = "UEVE"
)

// newTeam returns a world with them.
func newTeam(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	for _, u := range []slack.User{
		{ID: chidi, Name: "chidi", RealName: "Chidi Okafor", DisplayName: "chidi"},
		{ID: dee, Name: "dee", RealName: "Dee Novak", DisplayName: "dee"},
		{ID: eve, Name: "eve", RealName: "Eve Lund", DisplayName: "eve"},
	} {
		if err := w.slack.PutUser(u); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: []string{ana, bob, chidi, dee, "UBOT"}}); err != nil {
		t.Fatal(err)
	}
	w.config["KINGFISHER_PEOPLE"] = "ana=UANA,bob=UBOB,chidi=UCHIDI,co=UCHIDI,dee=UDEE,dn=UDEE"
	return w
}

// unrecorded are the keys of what people were told by the bots, of which no bot
// has logged that it is recorded; of answers, those of the latest bot.
func (w *world) unrecorded() []string {
	recorded := map[string]bool{}
	var told []string
	for i, b := range w.bots {
		for line := range strings.Lines(b.log.String()) {
			var event struct{ Msg, Effect, Command string }
			if json.Unmarshal([]byte(line), &event) != nil {
				continue
			}
			switch {
			case event.Msg == "delivered":
				recorded[event.Effect] = true
			case event.Msg == "command ended" && i == len(w.bots)-1:
				told = append(told, "answer:"+event.Command)
			}
		}
	}
	for _, c := range w.slack.State().Channels {
		for _, m := range c.History {
			var metadata struct {
				Payload struct{ Key string } `json:"event_payload"`
			}
			if json.Unmarshal(m.Metadata, &metadata) == nil && metadata.Payload.Key != "" {
				told = append(told, metadata.Payload.Key)
			}
		}
	}
	return slices.DeleteFunc(told, func(key string) bool { return recorded[key] })
}

// kill ends the bot at once, whatever it is doing.
func (w *world) kill(t testing.TB, b *bot) {
	t.Helper()
	b.kill(t)
	w.cut = append(w.cut, w.unrecorded()...)
}

// killSettled ends the bot at once after it has recorded what people were told:
// a direct message that was sent, and isn't recorded, is sent again.
func (w *world) killSettled(t testing.TB, b *bot) {
	t.Helper()
	eventually(t, "what was told to be recorded", func() bool {
		return !slices.ContainsFunc(w.unrecorded(), func(key string) bool { return !slices.Contains(w.cut, key) })
	})
	w.kill(t, b)
}

// restart ends the bot, at once or as it should be, and starts it again.
func (w *world) restart(t testing.TB, b *bot, kill bool) *bot {
	t.Helper()
	if kill {
		w.killSettled(t, b)
	} else if status := b.stop(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	return w.serve(t)
}

// seen is all that a person sees of the channel and in their direct message.
func (w *world) seen(user string) []slack.Message {
	st := w.slack.State()
	return append(st.Visible(user, channel), st.Direct(user)...)
}

// text is what the message says, without its line breaks, of which there are
// some around whatever is emphasised.
func text(m slack.Message) string { return strings.ReplaceAll(m.Shown(), "\n", "") }

func holds(m slack.Message, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text(m), p) })
}

// awaits waits for a message of those that list returns, and shows them if it
// doesn't come.
func (w *world) awaits(t testing.TB, what string, list func() []slack.Message, fits func(slack.Message) bool) (found slack.Message) {
	t.Helper()
	defer func() {
		if found.TS == "" {
			for _, m := range list() {
				t.Logf("there is: %s %q", text(m), buttons(m))
			}
		}
	}()
	w.until(t, what, func() bool {
		for _, m := range list() {
			if fits(m) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

// hears does something, and returns what the person is then told, in a new
// message that only they see or in the place of an older one, that holds all
// parts.
func (w *world) hears(t testing.TB, user string, do func(), parts ...string) slack.Message {
	t.Helper()
	private := func() (list []slack.Message) {
		for _, m := range w.seen(user) {
			if m.EphemeralTo == user {
				list = append(list, m)
			}
		}
		return list
	}
	before := map[slack.Target]string{}
	for _, m := range private() {
		before[m.Target()] = m.Shown()
	}
	do()
	return w.awaits(t, fmt.Sprintf("an answer to %s with %q", user, parts), private, func(m slack.Message) bool {
		was, there := before[m.Target()]
		return (!there || was != m.Shown()) && holds(m, parts...)
	})
}

// types types a command, and returns the answer that holds all parts.
func (w *world) types(t testing.TB, user, command, text string, parts ...string) slack.Message {
	t.Helper()
	return w.hears(t, user, func() {
		i, err := w.slack.Slash(t.Context(), user, channel, command, text)
		if err != nil || !i.Acked {
			t.Fatalf("%s %s: %+v %v", command, text, i, err)
		}
	}, parts...)
}

// press clicks a button, and returns the answer that holds all parts.
func (w *world) press(t testing.TB, user string, on slack.Message, action string, parts ...string) slack.Message {
	t.Helper()
	return w.hears(t, user, func() { w.tap(t, user, on.Target(), action) }, parts...)
}

// told waits for the nth direct message that holds all parts and the button, if
// one is named.
func (w *world) told(t testing.TB, user string, nth int, action string, parts ...string) slack.Message {
	t.Helper()
	n := 0
	list := func() []slack.Message { n = 0; return w.slack.Direct(user) }
	return w.awaits(t, fmt.Sprintf("%s being told %q", user, parts), list, func(m slack.Message) bool {
		if m.EphemeralTo == "" && holds(m, parts...) && (action == "" || slices.Contains(buttons(m), action)) {
			n++
		}
		return n == nth
	})
}

// becomes waits until a message, which user sees, has been edited so that it
// holds all parts.
func (w *world) becomes(t testing.TB, user string, m slack.Message, parts ...string) slack.Message {
	t.Helper()
	return w.awaits(t, fmt.Sprintf("an edit with %q of: %s", parts, text(m)), func() []slack.Message {
		return slices.DeleteFunc(w.seen(user), func(other slack.Message) bool { return other.Target() != m.Target() })
	}, func(m slack.Message) bool { return holds(m, parts...) })
}

// tellings counts the direct messages that hold all parts.
func (w *world) tellings(user string, parts ...string) (n int) {
	for _, m := range w.slack.Direct(user) {
		if holds(m, parts...) {
			n++
		}
	}
	return n
}

func (w *world) holder(t testing.TB, want string) {
	t.Helper()
	if got := w.document.Holder(); got != want {
		t.Errorf("the document says %q, want %q", got, want)
	}
}

func buttons(m slack.Message) (actions []string) {
	for _, e := range m.Elements() {
		actions = append(actions, e.ActionID)
	}
	return actions
}

func offers(t testing.TB, m slack.Message, actions ...string) {
	t.Helper()
	if got := buttons(m); !slices.Equal(got, actions) {
		t.Errorf("buttons %q, want %q, below: %s", got, actions, m.Shown())
	}
}

func saysNot(t testing.TB, m slack.Message, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if holds(m, p) {
			t.Errorf("the message says %q:\n%s", p, text(m))
		}
	}
}

// confirms reports whether Slack asks before a click on the message's button
// counts, in a dialog that holds text.
func confirms(m slack.Message, action, text string) bool {
	var blocks []struct {
		Elements []struct {
			ActionID string `json:"action_id"`
			Confirm  *struct{ Title, Text struct{ Text string } }
		}
	}
	if json.Unmarshal(m.Blocks, &blocks) != nil {
		return false
	}
	for _, b := range blocks {
		for _, e := range b.Elements {
			if e.ActionID == action && e.Confirm != nil {
				return strings.Contains(e.Confirm.Title.Text+" "+e.Confirm.Text.Text, text)
			}
		}
	}
	return false
}

// columns of the history.
const (
	colTaken = iota
	colReleased
	colName
	colPurpose
	colSummary
	colConsent
	colEntry
)

// history checks the rows below the headers: name, purpose, summary and consent
// of each; and that each has its own ID and times, and begins when the one
// before it has ended, or later.
func (w *world) history(t testing.TB, want ...[4]string) [][]string {
	t.Helper()
	rows := w.rows(t, len(want)+1)[1:]
	ids, last := map[string]bool{}, ""
	for i, row := range rows {
		if got := [4]string(row[colName:colEntry]); got != want[i] {
			t.Errorf("row %d is %q, want %q", i+1, got, want[i])
		}
		if ids[row[colEntry]] || row[colEntry] == "" || row[colTaken] == "" || row[colReleased] < row[colTaken] || row[colTaken] < last {
			t.Errorf("row %d: ID or times %q", i+1, row)
		}
		ids[row[colEntry]], last = true, row[colReleased]
	}
	return rows
}

// TestWaitlist: who waits is told when it is their turn, one after the other.
func TestWaitlist(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.skips = true
	w.config["WAITLIST_TURN"] = "3m"
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "take the registry", "You hold the deploy token now")
	w.types(t, bob, "/deploy-token", "wait the docs", "first in line", "the docs", "Ana Díaz")
	w.types(t, bob, "/deploy-token", "wait", "first in line", "the docs") // once is enough
	w.types(t, chidi, "/deploy-token", "wait", "number 2")
	b = w.restart(t, b, true)
	held := w.types(t, dee, "/deploy-token", "take a fix", "Ana Díaz", "once it is released")
	w.press(t, dee, held, "wait", "number 3")
	w.types(t, ana, "/deploy-token", "wait", "yours already")
	list := text(w.types(t, chidi, "/deploy-token", "", "3 people wait", "Bob Ray", "the docs", "You", "Dee Novak"))
	if a, b, c := strings.Index(list, "Bob Ray"), strings.LastIndex(list, "You"), strings.Index(list, "Dee Novak"); a > b || b > c {
		t.Errorf("out of order: %s", list)
	}

	w.types(t, ana, "/deploy-token", "release", "You have released")
	ofBob := w.told(t, bob, 1, "take", "it is your turn", "the docs")
	offers(t, ofBob, "take", "leave")
	out := w.types(t, dee, "/deploy-token", "take a fix", "it is", "Bob Ray", "'s turn", "I haven't taken it for you")
	offers(t, out, "leave", "take-out-of-turn") // Dee waits, too
	if !confirms(out, "take-out-of-turn", "Bob Ray's turn") {
		t.Errorf("no dialog: %s", out.Blocks)
	}
	w.holder(t, "Nobody")

	// Bob lets it pass, while the bot is down.
	w.killSettled(t, b)
	w.skip(3*time.Minute + time.Second)
	b = w.serve(t)
	offers(t, w.becomes(t, bob, ofBob, "That time has passed", "no longer on the waitlist"), "wait")
	ofChidi := w.told(t, chidi, 1, "take", "it is your turn")

	// Dee's button was made when it was Bob's turn: it asks again whose it is.
	w.press(t, dee, out, "take-out-of-turn", "You hold the deploy token now", "a fix")
	w.holder(t, "Dee Novak")
	offers(t, w.becomes(t, chidi, ofChidi, "Dee Novak", "has taken it meanwhile", "You stay on the waitlist"), "leave")
	w.types(t, bob, "/deploy-token", "wait the docs", "number 2")
	w.restart(t, b, false)
	w.press(t, chidi, ofChidi, "leave", "no longer on the waitlist")
	w.types(t, chidi, "/deploy-token", "leave", "You were not on the waitlist")

	w.types(t, dee, "/deploy-token", "release fixed", "You have released")
	again := w.told(t, bob, 1, "take", "it is your turn", "the docs")
	w.press(t, bob, again, "take", "You hold the deploy token now", "the docs")
	w.holder(t, "Bob Ray")
	offers(t, w.becomes(t, bob, again, "you took the deploy token"))
	saysNot(t, w.types(t, ana, "/deploy-token", "", "Bob Ray", "the docs"), "waits", "people wait")
	w.types(t, bob, "/deploy-token", "release", "You have released")

	// Where nobody waits, anyone may take it.
	none := w.types(t, chidi, "/deploy-token", "wait", "nothing to wait for")
	w.press(t, chidi, none, "take", "You hold the deploy token now")
	w.types(t, chidi, "/deploy-token", "release", "You have released")
	w.history(t,
		[4]string{"Ana Díaz", "the registry", "", ""},
		[4]string{"Dee Novak", "a fix", "fixed", ""},
		[4]string{"Bob Ray", "the docs", "", ""},
		[4]string{"Chidi Okafor", "", "", ""},
	)
	if n := w.tellings(chidi, "turn"); n != 1 {
		t.Errorf("Chidi has %d messages about a turn", n)
	}
}

// TestManyWait: the waitlist is bounded, and all of it is shown.
func TestManyWait(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	members := []string{ana, bob, chidi, dee, "UBOT"}
	for i := range 50 {
		u := slack.User{ID: fmt.Sprintf("U%03d", i), Name: fmt.Sprintf("p%d", i), RealName: fmt.Sprintf("Person N%03d with quite a long name", i)}
		if err := w.slack.PutUser(u); err != nil {
			t.Fatal(err)
		}
		members = append(members, u.ID)
	}
	if err := w.slack.PutChannel(slack.Channel{ID: channel, Name: "deploys", Members: members}); err != nil {
		t.Fatal(err)
	}
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "take", "You hold the deploy token now")
	for i, user := range members[5:] {
		w.types(t, user, "/deploy-token", "wait "+strings.Repeat("& ", 200), "You are")
		if i == 25 {
			b = w.restart(t, b, true)
		}
	}
	w.types(t, bob, "/deploy-token", "wait", "The waitlist is full")
	list := w.types(t, "U049", "/deploy-token", "", "50 people wait")
	if !holds(list, "You are number 50") && !holds(list, "Person N048", "You, since") {
		t.Errorf("the last doesn't see their place: %s", text(list))
	}
	for _, c := range w.slack.Calls() {
		if c.Error != "" {
			t.Errorf("%s was refused: %s", c.Method, c.Error)
		}
	}
	b.stop(t)
}

// TestUnreachable: who wanted something of another is told that Slack doesn't
// take the message.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "take the registry", "You hold the deploy token now")
	if err := w.slack.AddFault(slack.Fault{Method: "conversations.open", Kind: slack.FaultError, Error: "user_disabled", Count: 1}); err != nil {
		t.Fatal(err)
	}
	w.types(t, ana, "/deploy-token", "give @bob", "I have offered the deploy token to", "Bob Ray")
	w.told(t, ana, 1, "release", "I could not offer the deploy token to", "Bob Ray", "their Slack account is deactivated", "You hold it still")
	b.stop(t)
}

// TestGive: the token is handed over by one write of the document, once the
// other accepts.
func TestGive(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "give @bob", "Nobody holds the deploy token", "nothing to give")
	w.types(t, ana, "/deploy-token", "take the registry", "You hold the deploy token now")
	w.types(t, ana, "/deploy-token", "give @ana", "yourself")
	w.types(t, ana, "/deploy-token", "give @eve", "Eve Lund", "can't use this bot")
	w.types(t, bob, "/deploy-token", "give @dee", "Ana Díaz", "Only they can give it")

	w.types(t, ana, "/deploy-token", "give @bob", "I have offered the deploy token to", "Bob Ray")
	first := w.told(t, bob, 1, "accept", "Ana Díaz", "offers you the deploy token", "the registry")
	b = w.restart(t, b, true)
	w.holder(t, "Ana Díaz")
	w.press(t, bob, first, "decline", "You have declined")
	w.told(t, ana, 1, "release", "Bob Ray", "has declined")
	offers(t, w.becomes(t, bob, first, "you declined"))

	// An offer to somebody else withdraws it. While Slack takes no edits, its
	// button stands, and does nothing.
	w.types(t, ana, "/deploy-token", "give @bob", "I have offered the deploy token to", "Bob Ray")
	stale := w.told(t, bob, 1, "accept", "offers you the deploy token")
	if err := w.slack.AddFault(slack.Fault{Method: "chat.update", Kind: slack.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	w.types(t, ana, "/deploy-token", "give @chidi", "I have offered the deploy token to", "Chidi Okafor")
	offer := w.told(t, chidi, 1, "accept", "Ana Díaz", "offers you the deploy token")
	w.hears(t, bob, func() {
		w.tap(t, bob, stale.Target(), "accept")
		w.slack.ClearFaults()
	}, "That offer is over")
	w.holder(t, "Ana Díaz")
	offers(t, w.becomes(t, bob, stale, "to somebody else instead"))
	w.types(t, bob, "/deploy-token", "", "It is offered to", "Chidi Okafor")

	b = w.restart(t, b, false)
	writes := len(w.google.Writes())
	w.hears(t, chidi, func() {
		w.tap(t, chidi, offer.Target(), "accept")
		w.kill(t, b) // maybe before, maybe after it is written
		b = w.serve(t)
	}, "You hold the deploy token now", "the registry")
	w.holder(t, "Chidi Okafor")
	for _, write := range w.google.Writes()[writes:] {
		if write.File == w.document.ID() && holder(write.TextAfter) == "Nobody" {
			t.Error("between the two, the document said Nobody")
		}
	}
	w.told(t, ana, 1, "", "Chidi Okafor", "has accepted your offer")
	offers(t, w.becomes(t, chidi, offer, "you accepted"))
	over := w.announced(t, "handed the deploy token over")
	says(t, over, "Ana Díaz", "Chidi Okafor", "the registry")
	w.types(t, ana, "/deploy-token", "release", "Chidi Okafor", "Only they can release it")

	// The holding that was offered ends otherwise.
	w.types(t, chidi, "/deploy-token", "give @ana", "I have offered the deploy token to")
	void := w.told(t, ana, 1, "accept", "Chidi Okafor", "offers you the deploy token")
	w.types(t, chidi, "/deploy-token", "release done", "You have released")
	offers(t, w.becomes(t, ana, void, "no longer holds it"))

	rows := w.history(t,
		[4]string{"Ana Díaz", "the registry", "handed over to Chidi Okafor", ""},
		[4]string{"Chidi Okafor", "the registry", "done", ""},
	)
	b.stop(t)
	if rows[0][colReleased] != rows[1][colTaken] {
		t.Errorf("it was handed over at %s, and taken over at %s", rows[0][colReleased], rows[1][colTaken])
	}
}

// TestForceRelease: somebody else's token is released once that is confirmed,
// by whom may do so, and none but the one that was shown.
func TestForceRelease(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.config["ACCESS_FORCE_GROUP"] = "S0OPS"
	if err := w.slack.PutUserGroup(slack.UserGroup{ID: "S0OPS", Handle: "ops", Name: "Ops", Members: []string{dee}}); err != nil {
		t.Fatal(err)
	}
	b := w.serve(t)
	w.types(t, dee, "/deploy-token", "force-release they left", "Nobody holds the deploy token", "nothing to release")
	w.types(t, ana, "/deploy-token", "take the registry", "You hold the deploy token now")
	w.types(t, bob, "/deploy-token", "force-release they left", "a user group that you are not in")
	w.types(t, dee, "/deploy-token", "force-release", "Why?")
	stale := w.types(t, dee, "/deploy-token", "force-release they left", "Ana Díaz", "They may still be deploying", "they left")
	offers(t, stale, "ask", "force-release-confirmed")
	if !confirms(stale, "force-release-confirmed", "Release Ana Díaz's token?") {
		t.Errorf("no dialog: %s", stale.Blocks)
	}
	if label := stale.Elements()[1].Text; label != "Release Ana Díaz's token" {
		t.Errorf("the button says %q", label)
	}

	// That token is released meanwhile, and taken again by the same person.
	w.types(t, ana, "/deploy-token", "release", "You have released")
	w.types(t, ana, "/deploy-token", "take the registry again", "You hold the deploy token now")
	b = w.restart(t, b, true)
	w.press(t, dee, stale, "force-release-confirmed", "an earlier turn with the deploy token, which is over", "Ana Díaz")
	w.holder(t, "Ana Díaz")

	ask := w.types(t, dee, "/deploy-token", "force-release they are on leave & away", "Ana Díaz", "the registry again")
	twice := w.types(t, dee, "/deploy-token", "force-release twice", "Ana Díaz")
	b = w.restart(t, b, true)
	w.hears(t, dee, func() {
		w.tap(t, dee, ask.Target(), "force-release-confirmed")
		w.kill(t, b)
		b = w.serve(t)
	}, "You have released the deploy token for", "Ana Díaz")
	w.holder(t, "Nobody")
	says(t, w.announced(t, "released the deploy token for"), "Dee Novak", "Ana Díaz", "they are on leave & away")
	says(t, w.told(t, ana, 1, "", "has released the deploy token for you"), "Dee Novak", "they are on leave & away", "the registry again")
	w.press(t, dee, twice, "force-release-confirmed", "Nobody holds the deploy token")
	w.types(t, bob, "/deploy-token", "take", "You hold the deploy token now")
	w.types(t, bob, "/deploy-token", "release", "You have released")
	w.history(t,
		[4]string{"Ana Díaz", "the registry", "", ""},
		[4]string{"Ana Díaz", "the registry again", "released by Dee Novak: they are on leave & away", ""},
		[4]string{"Bob Ray", "", "", ""},
	)
	b.stop(t)
	if n := w.tellings(ana, "has released the deploy token for you"); n != 1 {
		t.Errorf("Ana was told %d times", n)
	}
}

// TestReleaseForm: what is filled in when the token is released goes into the
// history, and isn't lost where it can't be released just then.
func TestReleaseForm(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.config["SERVERS"] = "registry,docs,kingfisher-main"
	b := w.serve(t)
	w.types(t, ana, "/deploy-token", "take upgrade & <clean up>", "You hold the deploy token now")
	taken := w.announced(t, "took the deploy token")
	fields := func(form slack.View) map[string]slack.Element {
		m := map[string]slack.Element{}
		for _, e := range form.Elements() {
			m[e.BlockID] = e
		}
		return m
	}
	form := w.form(t, ana, taken.Target(), "release")
	if f := fields(form); fmt.Sprint(f["done"].Initial) != "[upgrade & <clean up>]" || fmt.Sprint(f["where"].Options) != "[registry docs kingfisher-main]" || len(f) != 3 {
		t.Errorf("form %+v", f)
	}
	w.holder(t, "Ana Díaz") // a form that is opened has done nothing

	// The document can't be understood when the form comes back.
	if err := w.document.SetHolder(person, "Nobody Ana Díaz"); err != nil {
		t.Fatal(err)
	}
	filled := map[string][]string{"done": {"upgraded & <cleaned up>\nthe logs"}, "where": {"docs", "registry"}, "links": {"https://example.org/1"}}
	const words = "upgraded & <cleaned up> the logs (docs, registry) https://example.org/1"
	kept := w.hears(t, ana, func() { w.submit(t, ana, form, filled) }, "I can't tell from the document", "You wrote:", words)
	b = w.restart(t, b, true)
	form = w.form(t, ana, kept.Target(), "release-again")
	if f := fields(form); fmt.Sprint(f["done"].Initial) != "["+words+"]" {
		t.Errorf("form %+v", f)
	}
	if err := w.document.SetHolder(person, "Ana Díaz"); err != nil {
		t.Fatal(err)
	}

	// Google is away when it comes back again.
	fault, err := w.google.AddFault(google.Fault{File: w.document.ID(), Kind: google.FailBefore})
	if err != nil {
		t.Fatal(err)
	}
	kept = w.hears(t, ana, func() { w.submit(t, ana, form, nil) }, "You wrote:", words)
	w.google.RemoveFault(fault)
	form = w.form(t, ana, kept.Target(), "release-again")
	b = w.restart(t, b, false)
	w.hears(t, ana, func() { w.submit(t, ana, form, nil) }, "You have released the deploy token", words)
	w.holder(t, "Nobody")
	says(t, w.announced(t, "released the deploy token"), words)
	w.history(t, [4]string{"Ana Díaz", "upgrade & <clean up>", words, ""})

	// A form for a holding that is over by the time releases nothing.
	w.types(t, ana, "/deploy-token", "take once", "You hold the deploy token now")
	once := w.announced(t, "once")
	form = w.form(t, ana, once.Target(), "release")
	w.types(t, ana, "/deploy-token", "release", "You have released")
	w.types(t, ana, "/deploy-token", "take twice", "You hold the deploy token now")
	w.restart(t, b, true)
	w.hears(t, ana, func() { w.submit(t, ana, form, nil) }, "an earlier turn with the deploy token, which is over")
	w.holder(t, "Ana Díaz")
	w.types(t, ana, "/deploy-token", "release", "You have released")
	w.history(t,
		[4]string{"Ana Díaz", "upgrade & <clean up>", words, ""},
		[4]string{"Ana Díaz", "once", "", ""},
		[4]string{"Ana Díaz", "twice", "", ""},
	)
	last := w.types(t, bob, "/deploy-token", "history 2", "The last 2 entries", "once", "twice")
	saysNot(t, last, "clean up")
	if strings.Index(last.Shown(), "twice") > strings.Index(last.Shown(), "once") {
		t.Errorf("the newest isn't first: %s", last.Shown())
	}
	w.types(t, bob, "/deploy-token", "history", "The last 3 entries", words)
	w.types(t, bob, "/deploy-token", "history 0", "How many?")
}

// TestHome: the home shows what concerns one, and does what commands do.
func TestHome(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	if _, err := w.kingfisher.StartSpider(spiderOf("chidi", "honduras_portal")); err != nil {
		t.Fatal(err)
	}
	b := w.serve(t)
	shows := func(user string, parts ...string) (home slack.View) {
		t.Helper()
		var shown string
		defer func() {
			if home.ID == "" {
				t.Logf("the home: %s", shown)
			}
		}()
		w.until(t, fmt.Sprintf("a home with %q", parts), func() bool {
			v, ok := w.slack.Home(user)
			shown = strings.ReplaceAll(v.Shown(), "\n", "")
			if !ok || slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(shown, p) }) {
				return false
			}
			home = v
			return true
		})
		return home
	}
	open := func(user string, parts ...string) slack.View {
		t.Helper()
		if i, err := w.slack.OpenHome(t.Context(), user); err != nil || !i.Acked {
			t.Fatalf("%+v %v", i, err)
		}
		return shows(user, parts...)
	}
	home := open(ana, "Nobody holds the deploy token", "I haven't looked yet", "no entries yet", "I remind you in the channel")
	w.tap(t, ana, home.Target(), "look")
	home = shows(ana, "Kingfisher is busy", "Last look: ", "ago", "CHIDI")
	if strings.Contains(home.Shown(), "honduras_portal") {
		t.Errorf("Ana sees what Chidi runs: %s", home.Shown())
	}
	w.tap(t, ana, home.Target(), "take")
	w.told(t, ana, 1, "release", "You hold the deploy token now")
	shows(ana, "You have held the deploy token")
	w.holder(t, "Ana Díaz")
	b = w.restart(t, b, true)
	home = open(ana, "You have held the deploy token")
	w.tap(t, ana, home.Target(), "prefer")
	shows(ana, "I remind you by direct message")
	w.types(t, bob, "/deploy-token", "wait the docs", "first in line")
	home = open(ana, "Bob Ray", "the docs")
	form := w.form(t, ana, home.Target(), "release")
	w.submit(t, ana, form, map[string][]string{"done": {"done at home"}})
	w.told(t, ana, 1, "", "You have released the deploy token", "done at home")
	shows(ana, "Bob Ray's turn")
	w.holder(t, "Nobody")
	w.rows(t, 2)
	b = w.restart(t, b, false)

	// A home that is shown still when it is somebody else's turn.
	home = open(bob, "it is your turn to take it", "done at home", "I remind you in the channel")
	stale := open(chidi, "Bob Ray", "'s turn")
	w.tap(t, bob, home.Target(), "take")
	w.told(t, bob, 1, "release", "You hold the deploy token now", "the docs")
	shows(bob, "You have held the deploy token", "the docs")
	w.tap(t, chidi, stale.Target(), "take-out-of-turn")
	w.told(t, chidi, 1, "ask", "Bob Ray has held the deploy token", "Nothing was changed")
	shows(chidi, "Bob Ray has held the deploy token")
	w.holder(t, "Bob Ray")
	open(ana, "I remind you by direct message")

	// What one is asked stands there, too.
	w.types(t, dee, "/kingfisher", "consent upgrade", "I have asked the owners")
	home = open(chidi, "Waiting for your answer", "Dee Novak", "honduras_portal")
	w.tap(t, chidi, home.Target(), "agree")
	w.told(t, chidi, 1, "", "Dee Novak is told that they may go ahead")
	w.told(t, dee, 1, "take", "Nothing stands in your way any more")
	b.stop(t)
	w.history(t, [4]string{"Ana Díaz", "", "done at home", ""})
}

// TestRemindersThatKnow: a holder is reminded within their working hours, or
// where somebody waits; where they want it; and what they have forgotten is
// offered to those who wait.
func TestRemindersThatKnow(t *testing.T) {
	t.Parallel()
	w := newTeam(t)
	w.skips = true
	w.config["REMINDERS_SCHEDULE"], w.config["REMINDERS_STALE_AFTER"] = "@every 10m", "2h"
	w.config["REMINDERS_WORKING_HOURS"] = "* 9-17 * * *"
	// At 19:00 in Tokyo it is 10:00 UTC.
	if err := w.slack.PutUser(slack.User{ID: ana, Name: "ana", RealName: "Ana Díaz", DisplayName: "ana", TZ: "Asia/Tokyo"}); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	w.skip(now.Truncate(24 * time.Hour).Add(34 * time.Hour).Sub(now))
	b := w.serve(t)
	reminders := func() (list []slack.Message) {
		for _, m := range w.slack.Messages(channel) {
			if m.EphemeralTo == "" && strings.Contains(m.Text, "<@"+ana+">") {
				list = append(list, m)
			}
		}
		return list
	}
	// polled waits until the bot has looked at the document some times more,
	// each a second or more after the one before: what comes each second has come.
	polled := func() {
		t.Helper()
		before := w.polls()
		eventually(t, "the bot's looking at the document", func() bool { return w.polls() >= before+4 })
	}
	w.types(t, ana, "/deploy-token", "take the registry", "You hold the deploy token now")
	w.skip(3 * time.Hour) // it is 22:00 in Tokyo
	polled()
	if m := reminders(); len(m) > 0 {
		t.Fatalf("reminded at night though nobody waits: %s", m[0].Shown())
	}
	w.types(t, bob, "/deploy-token", "wait the docs", "first in line")
	w.skip(10 * time.Minute)
	w.until(t, "a reminder, as somebody waits", func() bool { return len(reminders()) == 1 })
	first := reminders()[0]
	says(t, first, "3 h 1") // and so many minutes as it took
	w.types(t, bob, "/deploy-token", "leave", "no longer on the waitlist")
	w.press(t, ana, first, "still-working", "I won't remind you again before")
	b = w.restart(t, b, true)
	w.skip(12 * time.Hour) // the next morning
	thread := func() int { return len(w.slack.Thread(channel, first.TS)) - 1 }
	w.until(t, "a reminder within working hours, in the thread of the first", func() bool { return thread() == 1 })

	// From now on by direct message.
	if i, err := w.slack.OpenHome(t.Context(), ana); err != nil || !i.Acked {
		t.Fatalf("%+v %v", i, err)
	}
	home := func(text string) (v slack.View) {
		t.Helper()
		w.until(t, "a home with "+text, func() (ok bool) {
			v, ok = w.slack.Home(ana)
			return ok && strings.Contains(v.Shown(), text)
		})
		return v
	}
	w.tap(t, ana, home("I remind you in the channel").Target(), "prefer")
	home("I remind you by direct message")
	w.types(t, bob, "/deploy-token", "wait the docs", "first in line")
	b = w.restart(t, b, false)
	w.skip(11 * time.Minute)
	direct := w.told(t, ana, 1, "release", "You have held the deploy token", "If the work is done")
	if len(reminders()) != 1 || thread() != 1 {
		t.Errorf("%d reminders in the channel, and %d in the thread", len(reminders()), thread())
	}

	// It is clearly forgotten: who waits may release it, and it isn't released
	// by itself.
	offer := w.told(t, bob, 1, "force-release-confirmed", "Ana Díaz", "I think that it was forgotten")
	if !confirms(offer, "force-release-confirmed", "Release Ana Díaz's token?") {
		t.Errorf("no dialog: %s", offer.Blocks)
	}
	w.holder(t, "Ana Díaz")
	b = w.restart(t, b, true)
	w.press(t, bob, offer, "force-release-confirmed", "You have released the deploy token for", "Ana Díaz")
	w.holder(t, "Nobody")
	w.told(t, ana, 1, "", "Bob Ray", "has released the deploy token for you")
	w.told(t, bob, 1, "take", "it is your turn")
	w.history(t, [4]string{"Ana Díaz", "the registry", "released by Bob Ray: it seemed to be forgotten", ""})
	// The buttons of the reminder are of a holding that is over.
	w.press(t, ana, direct, "still-working", "Nobody holds the deploy token")
	b.stop(t)
}

// polls counts the bot's looks at the document.
func (w *world) polls() (n int) {
	for _, r := range w.google.Requests() {
		if r.File == w.document.ID() {
			n++
		}
	}
	return n
}

func until(t time.Time) []string { return []string{strconv.FormatInt(t.Unix(), 10)} }
