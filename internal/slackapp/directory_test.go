package slackapp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
	sandbox "github.com/open-contracting/deploytoken/internal/sandbox/slack"
)

var _ deploytoken.Directory = (*Directory)(nil)

// people is a workspace with the kinds of people that there are.
func people() sandbox.Config {
	c := workspaceOf()
	c.Users = []sandbox.User{
		{ID: "U0JAMES1", Name: "jmckinney", RealName: "James McKinney", DisplayName: "James"},
		{ID: "U0JAMES2", Name: "james.mck", RealName: "James  mckinney"},
		{ID: "U0JOSE", Name: "jose", RealName: "José Núñez", DisplayName: "pepe"},
		{ID: "U0YOHANNA", Name: "yohanna", RealName: "Yohanna Lisnichuk", DisplayName: ""},
		{ID: "U0GUEST", Name: "guest", RealName: "Gina Guest", Guest: sandbox.MultiChannelGuest},
		{ID: "U0BUILD", Name: "build", RealName: "Build", Bot: true},
		{ID: "U0GONE", Name: "gone", RealName: "Yohanna Lisnichuk", Deleted: true},
		{ID: "U0STRANGER", Name: "stranger", RealName: "Stranger", TeamID: "T0OTHER"},
		{ID: "U0OUTSIDE", Name: "outside", RealName: "Outside"},
		{ID: "U0NAMELESS", Name: "nameless"},
	}
	var members []string
	for _, u := range c.Users {
		if u.ID != "U0OUTSIDE" {
			members = append(members, u.ID)
		}
	}
	c.Channels = []sandbox.Channel{{ID: sandboxChannel, Name: "deploy", Members: append(members, "U0BOT")}}
	c.UserGroups = []sandbox.UserGroup{{ID: "S0DEPLOY", Handle: "deployers", Members: []string{"U0YOHANNA", "U0OUTSIDE", "U0GUEST"}}}
	return c
}

func directoryOf(s *sandbox.Server, group string, now func() time.Time) *Directory {
	return NewDirectory(clientOf(s), sandboxChannel, group, now)
}

// calls counts the calls of each method.
func calls(s *sandbox.Server) map[string]int {
	n := map[string]int{}
	for _, c := range s.Calls() {
		n[c.Method]++
	}
	return n
}

func TestNamesAreDistinct(t *testing.T) {
	s := startSlack(t, people())
	d := directoryOf(s, "", nil)
	for id, want := range map[string]string{
		"U0JAMES1":   "James McKinney (jmckinney)",
		"U0JAMES2":   "James mckinney (james.mck)",
		"U0JOSE":     "José Núñez",
		"U0YOHANNA":  "Yohanna Lisnichuk",
		"U0OUTSIDE":  "Outside",
		"U0NAMELESS": "nameless",
	} {
		if p, err := d.Person(t.Context(), id); err != nil || p.Name != want || p.ID != id {
			t.Errorf("Person(%s) = %+v, %v, want the name %q", id, p, err, want)
		}
	}
	if _, err := d.Person(t.Context(), "U0NONE"); !errors.Is(err, deploytoken.ErrMisconfigured) {
		t.Errorf("nobody: %v", err)
	}
	if n := calls(s); n["users.list"] != 1 || n["conversations.members"] != 1 || n["users.info"] != 2 {
		t.Errorf("calls %v", n)
	}
}

func TestMember(t *testing.T) {
	s := startSlack(t, people())
	for group, allowed := range map[string][]string{
		"":         {"U0JAMES1", "U0JAMES2", "U0JOSE", "U0YOHANNA", "U0NAMELESS"},
		"S0DEPLOY": {"U0YOHANNA", "U0OUTSIDE"},
	} {
		d := directoryOf(s, group, nil)
		for _, u := range append(people().Users, sandbox.User{ID: "USLACKBOT"}, sandbox.User{ID: "U0BOT"}, sandbox.User{ID: "U0NONE"}, sandbox.User{}) {
			got, err := d.Member(t.Context(), u.ID)
			if want := slices.Contains(allowed, u.ID); err != nil || got != want {
				t.Errorf("group %q: Member(%q) = %v, %v, want %v", group, u.ID, got, err, want)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	d := directoryOf(startSlack(t, people()), "", nil)
	for name, want := range map[string][]string{
		"José Núñez":                      {"U0JOSE"},
		"jose nunez":                      {"U0JOSE"},
		"JOSÉ  NÚÑEZ ":                    {"U0JOSE"},
		"Jose\u0301 Nu\u0301n\u0303ez":    {"U0JOSE"},
		"Jo\u00adsé Nú\u2060ñez":          {"U0JOSE"},
		"PEPE":                            {"U0JOSE"},
		"José":                            {"U0JOSE"},
		"Yohanna":                         {"U0YOHANNA"},
		"@yohanna":                        {"U0YOHANNA"},
		"James McKinney":                  {"U0JAMES1", "U0JAMES2"},
		"james":                           {"U0JAMES1", "U0JAMES2"},
		"jmckinney":                       {"U0JAMES1"},
		"James McKinney (jmckinney)":      {"U0JAMES1"},
		"james mckinney (JAMES.MCK)":      {"U0JAMES2"},
		"Yohanna Lisnichuk (yohanna)":     {"U0YOHANNA"},
		"ｊｍｃｋｉｎｎｅｙ":                       {"U0JAMES1"},
		"Gina":                            {"U0GUEST"},
		"Build":                           nil,
		"Outside":                         nil,
		"Stranger":                        {"U0STRANGER"},
		"Lisnichuk":                       nil,
		"J":                               nil,
		"":                                nil,
		"@":                               nil,
		"\u200b":                          nil,
		"Yohanna Lisnichuk and a surname": nil,
	} {
		found, err := d.Match(t.Context(), name)
		var got []string
		for _, p := range found {
			got = append(got, p.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Match(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestWholeListsOnly(t *testing.T) {
	c := workspaceOf()
	for i := range 2500 {
		id := fmt.Sprintf("U%07d", i)
		c.Users = append(c.Users, sandbox.User{ID: id, Name: fmt.Sprintf("user%d", i), RealName: fmt.Sprintf("Person %d", i)})
		c.Channels[0].Members = append(c.Channels[0].Members, id)
	}
	for _, method := range []string{"conversations.members", "users.list"} {
		s := startSlack(t, c)
		d := directoryOf(s, "", nil)
		// The first page comes late enough that a fault can strike the second.
		if err := s.AddFault(sandbox.Fault{Method: method, Kind: sandbox.FaultDelayed, Delay: time.Millisecond, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if err := s.AddFault(sandbox.Fault{Method: method, Kind: sandbox.FaultServerError, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if p, err := d.Match(t.Context(), "Person 2"); !errors.Is(err, deploytoken.ErrUnavailable) {
			t.Errorf("%s: half a list gave %v, %v", method, p, err)
		}
		d = directoryOf(s, "", nil)
		if p, err := d.Match(t.Context(), "Person 2499"); err != nil || len(p) != 1 {
			t.Errorf("%s: the whole list gave %v, %v", method, p, err)
		}
	}
}

func TestGroup(t *testing.T) {
	clock := &movedClock{now: noon}
	c := people()
	c.UserGroups = append(c.UserGroups, sandbox.UserGroup{ID: "S0CONSENT", Handle: "analysts", Members: []string{"U0OUTSIDE", "U0JOSE", "U0BUILD", "U0GONE", "U0GUEST"}})
	s := startSlack(t, c)
	d := directoryOf(s, "S0DEPLOY", clock.Now)
	names := func() (names []string) {
		t.Helper()
		people, err := d.Group(t.Context(), "S0CONSENT")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range people {
			names = append(names, p.ID+" "+p.Name)
		}
		return names
	}
	want := []string{"U0GUEST Gina Guest", "U0JOSE José Núñez", "U0OUTSIDE Outside"}
	for range 5 {
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("the group has %q, want %q", got, want)
		}
	}
	if n := calls(s)["usergroups.users.list"]; n != 2 { // the roster's and this one's
		t.Errorf("%d calls for lists of groups", n)
	}
	clock.move(groupFor + time.Second)
	names()
	if n := calls(s)["usergroups.users.list"]; n != 4 {
		t.Errorf("%d calls for lists of groups, minutes later", n)
	}

	// While Slack can't be asked, what was read serves.
	if err := s.AddFault(sandbox.Fault{Kind: sandbox.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	clock.move(time.Hour)
	if got := names(); !slices.Equal(got, want) {
		t.Errorf("Slack is down: the group has %q", got)
	}
	if _, err := d.Group(t.Context(), "S0DEPLOY"); !errors.Is(err, deploytoken.ErrUnavailable) {
		t.Errorf("a group that was never read: %v", err)
	}
	s.ClearFaults()
	if _, err := d.Group(t.Context(), "S0NONE"); !errors.Is(err, deploytoken.ErrMisconfigured) {
		t.Errorf("no such group: %v", err)
	}
}

func TestTimeZones(t *testing.T) {
	c := people()
	for i := range c.Users {
		switch c.Users[i].ID {
		case "U0JOSE", "U0OUTSIDE":
			c.Users[i].TZ = "America/Toronto"
		}
	}
	d := directoryOf(startSlack(t, c), "", nil)
	for id, want := range map[string]string{"U0JOSE": "America/Toronto", "U0OUTSIDE": "America/Toronto", "U0YOHANNA": "UTC"} {
		p, err := d.Person(t.Context(), id)
		if err != nil || p.Zone == nil || p.Zone.String() != want {
			t.Errorf("%s is in %v, %v, want %s", id, p.Zone, err, want)
		}
	}
	for _, name := range []string{"", "Local", "Mars/Olympus", "../../etc/passwd"} {
		if zone := d.zone(name); zone != nil {
			t.Errorf("the time zone %q is %v", name, zone)
		}
	}
}

func TestListsServeAWhile(t *testing.T) {
	clock := &movedClock{now: noon}
	s := startSlack(t, people())
	d := directoryOf(s, "", clock.Now)
	person := func(id string) error {
		t.Helper()
		_, err := d.Person(t.Context(), id)
		return err
	}
	for range 10 {
		if err := errors.Join(person("U0JOSE"), person("U0OUTSIDE")); err != nil {
			t.Fatal(err)
		}
	}
	if n := calls(s); n["users.list"] != 1 || n["users.info"] != 1 {
		t.Errorf("calls %v", n)
	}
	clock.move(rosterFor + time.Second)
	if err := errors.Join(person("U0JOSE"), person("U0OUTSIDE")); err != nil {
		t.Fatal(err)
	}
	if n := calls(s); n["users.list"] != 2 || n["users.info"] != 1 {
		t.Errorf("calls %v", n)
	}

	// While Slack can't be asked, what was read serves.
	if err := s.AddFault(sandbox.Fault{Kind: sandbox.FaultServerError}); err != nil {
		t.Fatal(err)
	}
	clock.move(time.Hour)
	if err := errors.Join(person("U0JOSE"), person("U0OUTSIDE")); err != nil {
		t.Errorf("Slack is down: %v", err)
	}
	before := len(s.Calls())
	if err := person("U0JOSE"); err != nil || len(s.Calls()) != before {
		t.Errorf("a failure was tried again at once: %v", err)
	}
	// What only an operator can mend is said.
	s.ClearFaults()
	if err := s.SetTokenError(sandbox.BotToken, "token_revoked"); err != nil {
		t.Fatal(err)
	}
	clock.move(time.Hour)
	if err := person("U0JOSE"); !errors.Is(err, deploytoken.ErrMisconfigured) {
		t.Errorf("the token is revoked: %v", err)
	}
	// It does not serve for ever.
	if err := errors.Join(s.SetTokenError(sandbox.BotToken, ""), s.AddFault(sandbox.Fault{Kind: sandbox.FaultServerError})); err != nil {
		t.Fatal(err)
	}
	clock.move(2 * staleFor)
	if err := person("U0JOSE"); !errors.Is(err, deploytoken.ErrUnavailable) {
		t.Errorf("after two days: %v", err)
	}
}

func TestNewcomersNeedNotWait(t *testing.T) {
	clock := &movedClock{now: noon}
	s := startSlack(t, people())
	d := directoryOf(s, "", clock.Now)
	member := func(want bool) {
		t.Helper()
		if got, err := d.Member(t.Context(), "U0OUTSIDE"); err != nil || got != want {
			t.Errorf("Member = %v, %v, want %v", got, err, want)
		}
	}
	for range 5 {
		member(false)
	}
	if n := calls(s); n["users.list"] != 1 {
		t.Errorf("calls %v", n)
	}
	c := people().Channels[0]
	c.Members = append(c.Members, "U0OUTSIDE")
	if err := s.PutChannel(c); err != nil {
		t.Fatal(err)
	}
	clock.move(rosterAgain + time.Second)
	member(true)
	if n := calls(s); n["users.list"] != 2 {
		t.Errorf("calls %v", n)
	}
}

func TestMemberIsNotGuessed(t *testing.T) {
	s := startSlack(t, people())
	if err := s.AddFault(sandbox.Fault{Method: "users.list", Kind: sandbox.FaultRateLimited, RetryAfter: 7 * time.Second}); err != nil {
		t.Fatal(err)
	}
	ok, err := directoryOf(s, "", nil).Member(t.Context(), "U0JOSE")
	f, isFault := errors.AsType[*deploytoken.Fault](err)
	if ok || !isFault || !errors.Is(err, deploytoken.ErrUnavailable) || f.RetryAfter != 7*time.Second {
		t.Errorf("Member = %v, %v", ok, err)
	}
}

func TestImpatienceIsNobodysFailure(t *testing.T) {
	s := startSlack(t, people())
	d := directoryOf(s, "", nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Member(ended, "U0JOSE"); !errors.Is(err, deploytoken.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if ok, err := d.Member(t.Context(), "U0JOSE"); !ok || err != nil {
		t.Errorf("Member = %v, %v", ok, err)
	}
}

func TestManyWaitForOneRead(t *testing.T) {
	s := startSlack(t, people())
	d := directoryOf(s, "", nil)
	results := make(chan error, 50)
	for range cap(results) {
		go func() {
			_, err := d.Person(t.Context(), "U0OUTSIDE")
			results <- err
		}()
	}
	for range cap(results) {
		if err := await(t, results, "a person"); err != nil {
			t.Error(err)
		}
	}
	if n := calls(s); n["users.list"] != 1 || n["users.info"] != 1 {
		t.Errorf("calls %v", n)
	}
}

func TestRunReadsAtOnce(t *testing.T) {
	s := startSlack(t, people())
	d := directoryOf(s, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	eventually(t, "the members are read", func() bool { return calls(s)["users.list"] == 1 })
	cancel()
	await(t, done, "the end of Run")
}

func TestLongNamesStayDistinct(t *testing.T) {
	name := distinct(strings.Repeat("é", 300), "jmckinney")
	if n := utf8.RuneCountInString(name); n > maxName || !strings.HasSuffix(name, "… (jmckinney)") || deploytoken.CleanName(name) != name {
		t.Errorf("%d characters: %q", n, name)
	}
}

func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"James McKinney", "jmckinney", "José", "", "Ω", "\u0301", "ſ", "İ", "straße"} {
		f.Add(seed, seed, seed, seed)
	}
	f.Fuzz(func(t *testing.T, typed, real, display, handle string) {
		if folded := fold(typed); fold(folded) != folded {
			t.Errorf("fold(%q) = %q, folded again %q", typed, folded, fold(folded))
		}
		a := member{id: "U1", realName: real, displayName: display, handle: handle, inChannel: true}
		b := member{id: "U2", realName: "Bob Brown", handle: "bob", inChannel: true}
		r := &roster{byID: map[string]member{"U1": a, "U2": b}, names: map[string]int{}}
		r.names[fold(a.name())]++
		r.names[fold(b.name())]++
		all := []candidate{{a, r.person(a)}, {b, r.person(b)}}
		if len(match(typed, all)) > 2 {
			t.Errorf("%q means more people than there are", typed)
		}
		// The name that the bot would write means that person.
		for _, c := range all {
			found := match(c.person.Name, all)
			if !slices.ContainsFunc(found, func(f candidate) bool { return f.id == c.id }) && fold(c.person.Name) != "" {
				t.Errorf("%q does not mean %+v", c.person.Name, c.member)
			}
		}
	})
}
