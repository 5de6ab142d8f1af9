package slackapp

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	testDocument = "https://docs.google.com/document/d/DOC/edit"
	testHistory  = "https://docs.google.com/spreadsheets/d/SHEET/edit"
)

// The time of most that the tests tell of.
var noon = time.Date(2026, time.March, 5, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func alice() *deploytoken.Holding {
	return &deploytoken.Holding{
		ID: "h1", Name: "Alice Ng", PersonID: "U0ALICE", Purpose: "upgrade PostgreSQL",
		Since: ago(2*time.Hour + 5*time.Minute), SinceKnown: true,
	}
}

// with returns the holding with changes.
func with(h *deploytoken.Holding, changes ...func(*deploytoken.Holding)) *deploytoken.Holding {
	for _, change := range changes {
		change(h)
	}
	return h
}

func ended(h *deploytoken.Holding)   { h.Ended, h.Summary = ago(time.Minute), "PostgreSQL is at 18" }
func byHand(h *deploytoken.Holding)  { h.Ended, h.EndedByHand = ago(time.Minute), true }
func unknown(h *deploytoken.Holding) { h.PersonID = "" }
func vague(h *deploytoken.Holding)   { h.SinceKnown = false }
func bare(h *deploytoken.Holding)    { h.Purpose, h.Summary = "", "" }

func bob() *deploytoken.Holding {
	return &deploytoken.Holding{ID: "h2", Name: "Bob", Since: ago(time.Minute), SinceKnown: true, ByHand: true}
}

func heldBy(name string) *deploytoken.Token {
	return &deploytoken.Token{State: deploytoken.Held, Holder: name}
}

var freeToken = &deploytoken.Token{State: deploytoken.Free}

var unclearToken = &deploytoken.Token{Reason: "it says “Nobody Alice Ng”, which is Nobody and something else. Leave one of the two."}

// command is what somebody asked a moment ago.
func command(kind deploytoken.Kind) *deploytoken.Command {
	return &deploytoken.Command{ID: "e1", Kind: kind, PersonID: "U0ALICE", ChannelID: "C1", At: ago(2 * time.Second)}
}

// tell puts a delivery into words as it is at noon.
func tell(d deploytoken.Delivery) Message {
	m, _ := tellIf(d)
	return m
}

func tellIf(d deploytoken.Delivery) (Message, bool) {
	d.At, d.Link, d.HistoryLink = noon, testDocument, testHistory
	if d.Notice.At.IsZero() {
		d.Notice.At = ago(time.Second)
	}
	return teller{d, testOverride}.message()
}

func answerOf(o deploytoken.Outcome, kind deploytoken.Kind, h *deploytoken.Holding, t *deploytoken.Token) deploytoken.Delivery {
	n := deploytoken.Notice{Kind: deploytoken.NoticeAnswer, Outcome: o, PersonID: "U0ALICE", Token: t, Until: noon.Add(2 * time.Hour)}
	switch o {
	case deploytoken.OutcomeUnclear:
		n.Detail = unclearToken.Reason
	case deploytoken.OutcomeRefused:
		n.Detail = "Google refuses to let the bot read the document. Share it with bot@example.iam.gserviceaccount.com as Editor, see https://support.google.com/docs/answer/2494822."
	}
	return deploytoken.Delivery{Notice: n, Holding: h, Command: command(kind), Matter: matterOfOutcome(o)}
}

// late is the delivery 40 minutes after it was decided, when the document says
// something else.
func late(d deploytoken.Delivery) deploytoken.Delivery {
	d.Notice.At = ago(40 * time.Minute)
	c := *d.Command
	c.At = ago(40*time.Minute + 2*time.Second)
	d.Command = &c
	d.Now = &deploytoken.Status{Token: *heldBy("Bob"), Holding: bob(), Link: testDocument, At: noon}
	return d
}

func notice(kind deploytoken.NoticeKind, h *deploytoken.Holding, changes ...func(*deploytoken.Delivery)) deploytoken.Delivery {
	d := deploytoken.Delivery{Notice: deploytoken.Notice{Kind: kind}, Holding: h}
	for _, change := range changes {
		change(&d)
	}
	return d
}

// messages are all messages, by name.
func messages() map[string]Message {
	o := answerOf
	m := map[string]Message{
		"help-deploy-token":   helpMessage(commandToken, true),
		"help-kingfisher":     helpMessage(commandKingfisher, true),
		"not-understood":      notUnderstood(commandToken, "grab `it` *now*", true),
		"not-understood-busy": notUnderstood(commandKingfisher, "busy now", true),
		"refusal":             refusal("I could not take that in in time. Look at `/deploy-token status`, then try again."),

		"answer-taken":               tell(o(deploytoken.OutcomeTaken, deploytoken.KindTake, with(alice(), func(h *deploytoken.Holding) { h.Since = ago(time.Second) }), nil)),
		"answer-taken-no-purpose":    tell(o(deploytoken.OutcomeTaken, deploytoken.KindTake, with(alice(), bare), nil)),
		"answer-taken-over":          tell(o(deploytoken.OutcomeTaken, deploytoken.KindTake, with(alice(), ended), nil)),
		"answer-already-yours":       tell(o(deploytoken.OutcomeAlreadyYours, deploytoken.KindTake, alice(), heldBy("Alice Ng"))),
		"answer-held":                tell(o(deploytoken.OutcomeHeld, deploytoken.KindTake, alice(), heldBy("Alice Ng"))),
		"answer-held-unrecorded":     tell(o(deploytoken.OutcomeHeld, deploytoken.KindTake, nil, heldBy("Bob"))),
		"answer-held-release":        tell(o(deploytoken.OutcomeHeld, deploytoken.KindRelease, with(alice(), vague), heldBy("Alice Ng"))),
		"answer-held-still-working":  tell(o(deploytoken.OutcomeHeld, deploytoken.KindStillWorking, alice(), heldBy("Alice Ng"))),
		"answer-released":            tell(o(deploytoken.OutcomeReleased, deploytoken.KindRelease, with(alice(), ended), nil)),
		"answer-released-no-words":   tell(o(deploytoken.OutcomeReleased, deploytoken.KindRelease, with(alice(), ended, bare), nil)),
		"answer-free":                tell(o(deploytoken.OutcomeFree, deploytoken.KindAsk, nil, freeToken)),
		"answer-free-release":        tell(o(deploytoken.OutcomeFree, deploytoken.KindRelease, nil, freeToken)),
		"answer-ended":               tell(o(deploytoken.OutcomeEnded, deploytoken.KindRelease, bob(), heldBy("Bob"))),
		"answer-ended-another-since": tell(o(deploytoken.OutcomeEnded, deploytoken.KindRelease, with(bob(), ended, byHand), heldBy("Bob"))),
		"answer-ended-free":          tell(o(deploytoken.OutcomeEnded, deploytoken.KindStillWorking, nil, freeToken)),
		"answer-ended-by-hand":       tell(o(deploytoken.OutcomeEnded, deploytoken.KindRelease, with(alice(), ended, byHand), freeToken)),
		"answer-maybe-yours":         tell(o(deploytoken.OutcomeMaybeYours, deploytoken.KindRelease, bob(), heldBy("Bob"))),
		"answer-claimed":             tell(o(deploytoken.OutcomeClaimed, deploytoken.KindClaim, bob(), heldBy("Bob"))),
		"answer-not-yours":           tell(o(deploytoken.OutcomeNotYours, deploytoken.KindClaim, bob(), heldBy("Bob"))),
		"answer-asked":               tell(o(deploytoken.OutcomeAsked, deploytoken.KindAsk, alice(), heldBy("Alice Ng"))),
		"answer-holder-unknown":      tell(o(deploytoken.OutcomeHolderUnknown, deploytoken.KindAsk, bob(), heldBy("Bob"))),
		"answer-quiet":               tell(o(deploytoken.OutcomeQuiet, deploytoken.KindStillWorking, alice(), heldBy("Alice Ng"))),
		"answer-unclear":             tell(o(deploytoken.OutcomeUnclear, deploytoken.KindTake, nil, unclearToken)),
		"answer-too-late":            tell(o(deploytoken.OutcomeTooLate, deploytoken.KindTake, alice(), heldBy("Alice Ng"))),
		"answer-too-late-unread":     tell(o(deploytoken.OutcomeTooLate, deploytoken.KindTake, nil, nil)),
		"answer-contended":           tell(o(deploytoken.OutcomeContended, deploytoken.KindTake, nil, heldBy("Bob"))),
		"answer-superseded":          tell(o(deploytoken.OutcomeSuperseded, deploytoken.KindTake, nil, heldBy("Bob"))),
		"answer-superseded-recorded": tell(o(deploytoken.OutcomeSuperseded, deploytoken.KindTake, alice(), heldBy("Bob"))),
		"answer-refused":             tell(o(deploytoken.OutcomeRefused, deploytoken.KindTake, nil, nil)),
		"answer-failed":              tell(o(deploytoken.OutcomeFailed, deploytoken.KindTake, nil, nil)),
		"pending":                    tell(deploytoken.Delivery{Notice: deploytoken.Notice{Kind: deploytoken.NoticePending, Detail: "Google Docs does not answer."}, Command: command(deploytoken.KindTake)}),
		"taken":                      tell(notice(deploytoken.NoticeTaken, alice())),
		"taken-no-purpose":           tell(notice(deploytoken.NoticeTaken, with(alice(), bare))),
		"taken-late":                 tell(notice(deploytoken.NoticeTaken, alice(), decided(10*time.Minute))),
		"taken-over":                 tell(notice(deploytoken.NoticeTaken, with(alice(), ended))),
		"taken-unknown":              tell(notice(deploytoken.NoticeTaken, nil)),
		"released":                   tell(notice(deploytoken.NoticeReleased, with(alice(), ended))),
		"released-no-words":          tell(notice(deploytoken.NoticeReleased, with(alice(), ended, bare))),
		"released-vague":             tell(notice(deploytoken.NoticeReleased, with(alice(), ended, vague))),
		"released-late":              tell(notice(deploytoken.NoticeReleased, with(alice(), ended), decided(10*time.Minute))),
		"retired":                    tell(notice(deploytoken.NoticeRetired, with(alice(), ended))),
		"retired-vague":              tell(notice(deploytoken.NoticeRetired, with(alice(), byHand, vague, bare))),
		"changed-held-to-held":       tell(notice(deploytoken.NoticeChanged, bob(), previous(with(alice(), byHand)), read(heldBy("Bob")), edited("Carol"))),
		"changed-free-to-held":       tell(notice(deploytoken.NoticeChanged, bob(), read(heldBy("Bob")))),
		"changed-held-to-free":       tell(notice(deploytoken.NoticeChanged, nil, previous(with(alice(), byHand)), read(freeToken), edited("Alice Ng"))),
		"changed-found-by-a-take":    tell(notice(deploytoken.NoticeChanged, nil, previous(with(alice(), byHand)))),
		"changed-with-summary":       tell(notice(deploytoken.NoticeChanged, nil, previous(with(alice(), byHand, ended)))),
		"changed-blind":              tell(notice(deploytoken.NoticeChanged, with(bob(), vague), read(heldBy("Bob")), edited("Carol"), blind)),
		"changed-over":               tell(notice(deploytoken.NoticeChanged, with(bob(), byHand), read(heldBy("Bob")))),
		"reminder-first":             tell(notice(deploytoken.NoticeReminder, alice())),
		"reminder-first-unmatched":   tell(notice(deploytoken.NoticeReminder, with(alice(), unknown, vague))),
		"reminder-later":             tell(notice(deploytoken.NoticeReminder, alice(), inThread)),
		"asked":                      tell(notice(deploytoken.NoticeAsked, alice(), func(d *deploytoken.Delivery) { d.Notice.PersonID = "U0CAROL" })),
		"displaced-by-someone":       tell(notice(deploytoken.NoticeDisplaced, with(alice(), byHand), read(heldBy("Bob")), edited("Carol"))),
		"displaced-by-nobody":        tell(notice(deploytoken.NoticeDisplaced, with(alice(), byHand), read(freeToken))),
		"unclear":                    tell(notice(deploytoken.NoticeUnclear, nil, func(d *deploytoken.Delivery) { d.Notice.Detail = unclearToken.Reason }, read(unclearToken), edited("Carol"))),
		"unclear-blind":              tell(notice(deploytoken.NoticeUnclear, nil, func(d *deploytoken.Delivery) { d.Notice.Detail = unclearToken.Reason }, read(unclearToken), blind)),
		"clear-held":                 tell(notice(deploytoken.NoticeClear, nil, read(heldBy("Bob")))),
		"clear-free":                 tell(notice(deploytoken.NoticeClear, nil, read(freeToken))),
		"trouble": tell(notice(deploytoken.NoticeTrouble, with(alice(), ended), func(d *deploytoken.Delivery) {
			d.Notice.Detail = "The spreadsheet has no tab called “Log”. Correct google.sheet."
		})),
		"mended": tell(notice(deploytoken.NoticeMended, with(alice(), ended), func(d *deploytoken.Delivery) {
			d.Edits = deploytoken.Receipt{Channel: "C1", Timestamp: "1.1"}
		})),
		"late-summary":                   tell(lateSummary()),
		"status-free":                    statusMessage(deploytoken.Status{Token: *freeToken, Link: testDocument, At: noon}, "U0ALICE", noon),
		"status-yours":                   statusMessage(deploytoken.Status{Token: *heldBy("Alice Ng"), Holding: alice(), Link: testDocument, At: noon}, "U0ALICE", noon),
		"status-another's":               statusMessage(deploytoken.Status{Token: *heldBy("Alice Ng"), Holding: alice(), Link: testDocument, PendingRows: 2, At: noon}, "U0BOB", noon),
		"status-unmatched":               statusMessage(deploytoken.Status{Token: *heldBy("Bob"), Holding: with(bob(), vague), Link: testDocument, PendingRows: 1, At: noon}, "U0ALICE", noon),
		"status-unrecorded":              statusMessage(deploytoken.Status{Token: *heldBy("Bob"), Link: testDocument, At: noon}, "U0ALICE", noon),
		"status-unclear":                 statusMessage(deploytoken.Status{Token: *unclearToken, Link: testDocument, At: noon}, "U0ALICE", noon),
		"late-answer-now-yours":          tell(nowYours(late(o(deploytoken.OutcomeTaken, deploytoken.KindTake, alice(), nil)))),
		"late-answer-document-unreached": tell(nowUnread(late(o(deploytoken.OutcomeTaken, deploytoken.KindTake, alice(), nil)))),
	}
	for _, outcome := range constants("Outcome") {
		kind := map[string]deploytoken.Kind{
			"released": deploytoken.KindRelease, "ended": deploytoken.KindRelease, "free": deploytoken.KindRelease, "quiet": deploytoken.KindStillWorking,
			"asked": deploytoken.KindAsk, "holder-unknown": deploytoken.KindAsk, "claimed": deploytoken.KindClaim, "not-yours": deploytoken.KindClaim,
			"waiting": deploytoken.KindWait, "left": deploytoken.KindLeave, "not-waiting": deploytoken.KindLeave,
			"offered": deploytoken.KindGive, "handed-over": deploytoken.KindAccept, "declined": deploytoken.KindDecline,
			"confirm": deploytoken.KindForce, "forced": deploytoken.KindForceConfirmed,
			"consent-asked": deploytoken.KindConsent, "nothing-runs": deploytoken.KindConsent, "answered": deploytoken.KindAgree,
			"watching": deploytoken.KindWatch, "unwatched": deploytoken.KindUnwatch, "preferred": deploytoken.KindPrefer,
		}[outcome]
		if kind == "" {
			kind = deploytoken.KindTake
		}
		m["late-answer-"+outcome] = tell(late(o(deploytoken.Outcome(outcome), kind, with(alice(), ended), heldBy("Alice Ng"))))
	}
	for name, message := range busyMessages() {
		m["busy-"+name] = message
	}
	for name, message := range workflowMessages() {
		if _, ok := m[name]; ok {
			panic("two messages are called " + name)
		}
		m[name] = message
	}
	return m
}

func decided(before time.Duration) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Notice.At = ago(before) }
}
func previous(h *deploytoken.Holding) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Previous = h }
}
func read(t *deploytoken.Token) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Notice.Token = t }
}
func edited(by string) func(*deploytoken.Delivery) {
	return func(d *deploytoken.Delivery) { d.Notice.Editor = by }
}
func blind(d *deploytoken.Delivery) { d.Notice.BlindSince = ago(9 * time.Hour) }
func inThread(d *deploytoken.Delivery) {
	d.Thread = deploytoken.Receipt{Channel: "C1", Timestamp: "1.2"}
}
func nowYours(d deploytoken.Delivery) deploytoken.Delivery {
	d.Now = &deploytoken.Status{Token: *heldBy("Alice Ng"), Holding: alice(), Link: testDocument, At: noon}
	return d
}
func nowUnread(d deploytoken.Delivery) deploytoken.Delivery {
	d.Now = &deploytoken.Status{Token: deploytoken.Token{Reason: "Google Docs does not answer."}, Link: testDocument}
	return d
}

func lateSummary() deploytoken.Delivery {
	d := notice(deploytoken.NoticeTaken, with(alice(), ended), decided(5*time.Hour))
	d.Notice.Holding = "h1"
	at := func(before time.Duration, n deploytoken.Notice) deploytoken.Delivery {
		n.At = ago(before)
		late := deploytoken.Delivery{Notice: n}
		switch n.Holding {
		case "h1":
			late.Holding = with(alice(), ended)
		case "h3":
			carol := *with(alice(), ended)
			carol.ID, carol.Name, carol.PersonID, carol.Purpose, carol.Summary = "h3", "Carol Wu", "U0CAROL", "the registry", "upgraded it"
			late.Holding = &carol
		case "h6":
			late.Holding, late.Previous = with(bobs(), forced), with(alice(), ended)
		}
		return late
	}
	d.Late = []deploytoken.Delivery{
		at(4*time.Hour, deploytoken.Notice{Kind: deploytoken.NoticeReminder, Holding: "h1"}),
		at(4*time.Hour, deploytoken.Notice{Kind: deploytoken.NoticeRetired, Holding: "h1"}),
		at(4*time.Hour, deploytoken.Notice{Kind: deploytoken.NoticeReleased, Holding: "h1", PersonID: "U0ALICE"}),
		at(3*time.Hour, deploytoken.Notice{Kind: deploytoken.NoticeTaken, Holding: "h3", PersonID: "U0CAROL"}),
		at(150*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeReleased, Holding: "h3", PersonID: "U0CAROL"}),
		at(140*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeUnclear, Token: unclearToken}),
		at(130*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeClear, Token: freeToken}),
		at(2*time.Hour, deploytoken.Notice{Kind: deploytoken.NoticeChanged, Holding: "h4", Token: heldBy("Bob")}),
		at(100*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeTaken, Holding: "h5", PersonID: "U0GONE"}),
		at(98*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeHandedOver, Holding: "h6", Previous: "h1"}),
		at(96*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeForceReleased, Holding: "h6", PersonID: "U0CAROL", Name: "Carol Wu", Detail: "he is away"}),
		at(90*time.Minute, deploytoken.Notice{Kind: deploytoken.NoticeTrouble, Detail: "The spreadsheet has no tab called “Log”. Correct google.sheet."}),
	}
	return d
}

func TestMessagesReadAsBefore(t *testing.T) {
	all := messages()
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			golden(t, name, m)
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txt")
		if _, ok := all[name]; ok {
			continue
		}
		if !*update {
			t.Errorf("%s belongs to no message", f)
		} else if err := os.Remove(f); err != nil {
			t.Error(err)
		}
	}
}

// golden compares the message with the file of that name: its text, then its
// blocks.
func golden(t *testing.T, name string, m Message) {
	t.Helper()
	var got bytes.Buffer
	got.WriteString(m.Text + "\n\n")
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(m.Blocks); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got.Bytes(), want)
	}
}

// constants returns the values of the constants of the type in the package
// deploytoken.
func constants(of string) []string {
	var values []string
	files, err := filepath.Glob(filepath.Join("..", "deploytoken", "*.go"))
	if err != nil {
		panic(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			panic(err)
		}
		for _, decl := range file.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != of {
					continue
				}
				for _, x := range v.Values {
					if value, err := strconv.Unquote(x.(*ast.BasicLit).Value); err == nil {
						values = append(values, value)
					}
				}
			}
		}
	}
	return values
}

func TestEveryOutcomeHasItsOwnWords(t *testing.T) {
	failed := tell(answerOf(deploytoken.OutcomeFailed, deploytoken.KindTake, nil, nil)).Text
	failedLate := tell(late(answerOf(deploytoken.OutcomeFailed, deploytoken.KindTake, nil, nil))).Text
	outcomes := constants("Outcome")
	if len(outcomes) < 18 {
		t.Fatalf("found only %d outcomes: %q", len(outcomes), outcomes)
	}
	for _, o := range outcomes {
		if deploytoken.Outcome(o) == deploytoken.OutcomeFailed {
			continue
		}
		d := answerOf(deploytoken.Outcome(o), deploytoken.KindTake, nil, nil)
		bare := d
		if bare.Matter = nil; tell(bare).Text == failed || tell(late(bare)).Text == failedLate {
			t.Errorf("no words for an answer of %q that tells of nothing known", o)
		}
		if m := tell(d); m.Text == failed || m.Text == "" {
			t.Errorf("no words for an answer of %q", o)
		}
		if m := tell(late(d)); m.Text == failedLate {
			t.Errorf("no words for a late answer of %q", o)
		}
	}
}

func TestEveryNoticeHasWords(t *testing.T) {
	for _, kind := range constants("NoticeKind") {
		switch k := deploytoken.NoticeKind(kind); k {
		case deploytoken.NoticeRow, deploytoken.NoticeSweep:
		default:
			d := notice(k, alice(), of(matterOfNotice(k)), withWorks)
			d.Command = command(deploytoken.KindTake)
			if m, ok := tellIf(d); !ok || m.Text == "" {
				t.Errorf("no words for a notice of %q", kind)
			}
			// Nothing that may be missing makes it panic.
			tellIf(notice(k, nil))
			tellIf(notice(k, nil, of(&deploytoken.Look{})))
			tellIf(notice(k, nil, of(&deploytoken.Waiter{})))
			tellIf(notice(k, nil, of(&deploytoken.Offer{})))
			tellIf(notice(k, nil, of(&deploytoken.Deployment{News: deploytoken.ConsentRefused})))
			tellIf(notice(k, nil, of(&deploytoken.Question{}), editing))
			tellIf(notice(k, nil, of(&deploytoken.Watch{})))
			tellIf(deploytoken.Delivery{Notice: deploytoken.Notice{Kind: k}, Late: []deploytoken.Delivery{{Notice: deploytoken.Notice{Kind: k}}}})
		}
	}
}

func TestWhatIsOverIsNotRemindedOf(t *testing.T) {
	for _, kind := range []deploytoken.NoticeKind{deploytoken.NoticeReminder, deploytoken.NoticeAsked} {
		if m, ok := tellIf(notice(kind, with(alice(), ended))); ok {
			t.Errorf("%s of a holding that is over: %q", kind, m.Text)
		}
	}
}

// elementsOf returns the message's buttons.
func elementsOf(m Message) []*slack.ButtonBlockElement {
	var buttons []*slack.ButtonBlockElement
	for _, b := range m.Blocks {
		if a, ok := b.(*slack.ActionBlock); ok {
			for _, e := range a.Elements.ElementSet {
				buttons = append(buttons, e.(*slack.ButtonBlockElement))
			}
		}
	}
	return buttons
}

// buttonsOf returns the action IDs of the message's buttons.
func buttonsOf(m Message) []string {
	var ids []string
	for _, b := range elementsOf(m) {
		ids = append(ids, b.ActionID)
	}
	return ids
}

func TestButtonsFitTheMessage(t *testing.T) {
	all := messages()
	tests := map[string][]string{
		"taken":                    {actionRelease, actionAsk},
		"taken-over":               nil,
		"retired":                  nil,
		"changed-held-to-held":     {actionRelease, actionAsk},
		"changed-over":             nil,
		"reminder-first":           {actionRelease, actionStillWorking},
		"reminder-later":           {actionRelease, actionStillWorking},
		"asked":                    {actionRelease},
		"answer-held":              {actionAsk, actionWait},
		"answer-held-unrecorded":   {actionWait},
		"answer-maybe-yours":       {actionClaim},
		"answer-taken":             {actionRelease},
		"answer-taken-over":        nil,
		"status-yours":             {actionRelease},
		"status-another's":         {actionAsk, actionWait},
		"status-unmatched":         {actionAsk, actionClaim, actionWait},
		"status-free":              {actionTake},
		"status-unrecorded":        nil,
		"late-answer-taken":        {actionAsk, actionClaim, actionWait},
		"late-answer-now-yours":    {actionRelease},
		"late-summary":             nil,
		"displaced-by-someone":     nil,
		"reminder-first-unmatched": {actionRelease, actionStillWorking},
		"reminder-direct":          {actionRelease, actionStillWorking},
		"answer-waiting":           {actionLeave},
		"answer-out-of-turn":       {actionWait, actionTakeOutOfTurn},
		"answer-confirm":           {actionAsk, actionForceConfirmed},
		"answer-confirm-over":      nil,
		"answer-busy":              {actionConsent, actionWatch, actionWithoutPostgres, actionTakeAnyway},
		"answer-busy-no-postgres":  {actionConsent, actionWatch, actionTakeAnyway},
		"answer-busy-answered":     {actionWatch, actionWithoutPostgres, actionTakeAnyway},
		"answer-nothing-runs":      {actionTake},
		"answer-nothing-runs-held": nil,
		"answer-nothing-runs-all":  {actionTake},
		"consent-handed-over":      nil,
		"answer-release-refused":   {actionReleaseAgain},
		"answer-release-contended": {actionReleaseAgain},
		"status-waiting":           {actionRelease},
		"status-waiting-oneself":   {actionAsk, actionLeave},
		"status-turn":              {actionTake, actionLeave},
		"status-turn-another's":    {actionWait, actionTakeOutOfTurn},
		"status-turn-next":         {actionLeave, actionTakeOutOfTurn},
		"status-offered-by":        {actionRelease},
		"status-offered-to":        {actionAccept, actionDecline, actionAsk, actionWait},
		"turn":                     {actionTake, actionLeave},
		"turn-over-taken":          {actionLeave},
		"turn-over-lapsed":         {actionWait},
		"turn-over-took":           nil,
		"forgotten":                {actionAsk, actionForceConfirmed},
		"offered":                  {actionAccept, actionDecline},
		"offer-over-declined":      nil,
		"handed-over":              {actionRelease, actionAsk},
		"handed-over-over":         nil,
		"force-released":           nil,
		"untold-question":          nil,
		"untold-offer":             {actionRelease},
		"untold-request":           nil,
		"question-owner":           {actionAgree, actionAskToWait},
		"question-owner-agreed":    {actionAskToWait},
		"question-owner-waits":     {actionAgree},
		"question-owner-over":      nil,
		"question-owner-ended":     nil,
		"question-channel":         {actionAgree, actionAskToWait},
		"consent":                  nil,
		"consent-waits":            nil,
		"consent-all":              {actionTake},
		"consent-taken":            nil,
		"consent-news-given":       {actionTake},
		"consent-news-refused":     {actionWatch, actionTakeAnyway},
		"consent-news-lapsed":      {actionConsent},
		"watched":                  {actionTake},
		"watched-held":             {actionWait},
		"watch-ended":              {actionWatch},
	}
	for name, want := range tests {
		m, ok := all[name]
		if !ok {
			t.Errorf("no message %s", name)
		}
		if got := buttonsOf(m); !slices.Equal(got, want) {
			t.Errorf("%s has the buttons %q, want %q", name, got, want)
		}
	}
}

// TestOnlyWhoMustActIsMentioned looks for mentions in all messages but those
// that nobody is notified by.
func TestOnlyWhoMustActIsMentioned(t *testing.T) {
	mayMention := []string{"reminder-first", "asked"}
	for name, m := range messages() {
		blocks, err := json.Marshal(m.Blocks)
		if err != nil {
			t.Fatal(err)
		}
		found := strings.Contains(m.Text, "<@") || strings.Contains(string(blocks), `"type":"user"`)
		private := strings.HasPrefix(name, "busy-") && !strings.Contains(name, "public") || strings.Contains(name, "answer-busy") || name == "new-work"
		if want := slices.Contains(mayMention, name); found != want && !private {
			t.Errorf("%s: mentions someone is %v, want %v", name, found, want)
		}
		if strings.Contains(m.Text, "<!here") || strings.Contains(m.Text, "<!channel") || strings.Contains(string(blocks), `"broadcast"`) {
			t.Errorf("%s mentions everybody", name)
		}
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "less than a minute"},
		{0, "less than a minute"},
		{59 * time.Second, "less than a minute"},
		{time.Minute, "1 min"},
		{59*time.Minute + 59*time.Second, "59 min"},
		{time.Hour, "1 h"},
		{2*time.Hour + 5*time.Minute, "2 h 5 min"},
		{23*time.Hour + 59*time.Minute, "23 h 59 min"},
		{24 * time.Hour, "1 day"},
		{25 * time.Hour, "1 day 1 h"},
		{72*time.Hour + 59*time.Minute, "3 days"},
	}
	for _, tt := range tests {
		if got := duration(tt.d); got != tt.want {
			t.Errorf("duration(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestEscape(t *testing.T) {
	tests := []struct{ text, want string }{
		{"plain", "plain"},
		{"a & b <@U1> <!here>", "a &amp; b &lt;@U1&gt; &lt;!here&gt;"},
		{"*bold*", "\u200b*\u200bbold\u200b*\u200b"},
		{"a_b 2*3", "a_b 2*3"},
		{"_x_ ~y~", "\u200b_\u200bx\u200b_\u200b \u200b~\u200by\u200b~\u200b"},
		{"`rm`", "ˋrmˋ"},
		{"é*", "é\u200b*\u200b"},
		{"a\xff", "a\ufffd"},
		{"\xff*a_\xe2\x82", "\ufffd\u200b*\u200ba\u200b_\u200b\ufffd\ufffd"},
	}
	for _, tt := range tests {
		if got := escape(tt.text); got != tt.want {
			t.Errorf("escape(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestProse(t *testing.T) {
	got := prose("Share it, see https://example.com/a?b=1&c=2. Type `/invite @bot` there, or (https://example.org) wait.").text()
	want := "Share it, see <https://example.com/a?b=1&amp;c=2>. Type /invite @bot there, or (<https://example.org>) wait."
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if l := prose("an odd ` quote"); l.text() != "an odd quote" {
		t.Errorf("got %q", l.text())
	}
}

func TestFit(t *testing.T) {
	size := func(s string) int { return len(s) }
	tests := []struct {
		items []string
		limit int
		kept  int
		more  int
	}{
		{nil, 10, 0, 0},
		{[]string{"abc", "de"}, 5, 2, 0},
		{[]string{"abc", "de", "f"}, 5, 2, 1},
		{[]string{"abcdef", "a"}, 5, 0, 2},
	}
	for _, tt := range tests {
		if kept, more := fit(tt.items, tt.limit, size); len(kept) != tt.kept || more != tt.more {
			t.Errorf("fit(%q, %d) keeps %d and leaves out %d, want %d and %d", tt.items, tt.limit, len(kept), more, tt.kept, tt.more)
		}
	}
}
