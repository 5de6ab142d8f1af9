package slackapp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

const (
	// rosterFor is how long the list of members may serve without being read
	// again, personFor how long one person's record may, and groupFor how long the
	// members of another group may.
	rosterFor = 5 * time.Minute
	personFor = 10 * time.Minute
	groupFor  = 5 * time.Minute
	// rosterAgain is how long at least lies between two reads of the list for
	// people who aren't on it, and after a failure.
	rosterAgain = 3 * time.Second
	// runAgain is how soon Run reads the list again after a failure.
	runAgain = 10 * time.Second
	// staleFor is how long what was read may serve while Slack can't be asked.
	staleFor = 24 * time.Hour
	// refreshWithin bounds one read of the whole list.
	refreshWithin = 30 * time.Second
	// pageSize is how many members are read in one call; Slack's most is 1,000.
	pageSize = 1000
	// maxPages bounds the calls for one list.
	maxPages = 100
	// maxPeople bounds the records kept of people who aren't on the list.
	maxPeople = 1000
)

// A Directory knows the people by Slack's Web API. It reads the members of the
// channel, whole or not at all, and keeps what it read for a few minutes. It
// implements deploytoken.Directory.
type Directory struct {
	client  *slack.Client
	channel string
	group   string
	now     func() time.Time

	// turn holds one token: whoever has it asks Slack, and the others wait for
	// what that brings.
	turn chan struct{}

	mu     sync.Mutex
	team   string // the workspace's ID, once known
	roster *roster
	people map[string]member // not on the roster, by Slack user ID
	groups map[string]groupList
	zones  map[string]*time.Location // by their names
	tried  time.Time                 // the latest read of the roster, and how it ended
	failed error
}

// A groupList is the Slack user IDs in a user group, as of one time.
type groupList struct {
	ids  []string
	read time.Time
}

// A member is what is kept of one person.
type member struct {
	id, handle, realName, displayName string
	// own is whether they are of this workspace; guest whether a guest of it.
	own, guest bool
	// inChannel and inGroup are whether they are members of the channel and of
	// the group that may use the bot.
	inChannel, inGroup bool
	// gone is whether they are a bot or a deleted account.
	gone bool
	// zone is the time zone that they have set; nil where unknown.
	zone *time.Location
	read time.Time
}

// A roster is the members of the channel and of the group, as of one time. It
// is never changed.
type roster struct {
	read  time.Time
	byID  map[string]member
	names map[string]int // how many have each name, folded
}

// NewDirectory returns a Directory of the people in the channel. Group is the
// Slack user group that may use the bot; where it is "", members of the channel
// may. A nil now is time.Now.
func NewDirectory(client *slack.Client, channel, group string, now func() time.Time) *Directory {
	if now == nil {
		now = time.Now
	}
	return &Directory{
		client: client, channel: channel, group: group, now: now, turn: make(chan struct{}, 1),
		people: map[string]member{}, groups: map[string]groupList{}, zones: map[string]*time.Location{},
	}
}

// Run reads the list of members at once and then often enough that nobody has
// to wait for it, until ctx ends.
func (d *Directory) Run(ctx context.Context) {
	for {
		reading, cancel := context.WithTimeout(ctx, refreshWithin)
		_, err := d.members(reading, rosterFor/2)
		cancel()
		pause := rosterFor / 2
		if err != nil {
			pause = max(runAgain, retryAfter(err))
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// Ready reads the list of members, without which nobody can be told from anybody.
// Errors: ErrUnavailable, ErrMisconfigured.
func (d *Directory) Ready(ctx context.Context) error {
	_, err := d.members(ctx, rosterFor)
	return err
}

// Person looks up one person. Their name is the real name, else the display
// name, else the handle; with the handle after it where another member of the
// channel has the same.
// Errors: ErrUnavailable, ErrMisconfigured.
func (d *Directory) Person(ctx context.Context, id string) (deploytoken.Person, error) {
	r, err := d.members(ctx, rosterFor)
	if err != nil {
		return deploytoken.Person{}, err
	}
	m, ok := r.byID[id]
	if !ok {
		if m, err = d.outsider(ctx, id); err != nil {
			return deploytoken.Person{}, err
		}
	}
	return r.person(m), nil
}

// Match returns the members of the channel whom a name typed by hand could
// mean; see deploytoken.Directory.
// Errors: ErrUnavailable, ErrMisconfigured.
func (d *Directory) Match(ctx context.Context, name string) ([]deploytoken.Person, error) {
	r, err := d.members(ctx, rosterFor)
	if err != nil {
		return nil, err
	}
	var candidates []candidate
	for _, m := range r.byID {
		if m.inChannel && !m.gone {
			candidates = append(candidates, candidate{m, r.person(m)})
		}
	}
	var people []deploytoken.Person
	for _, c := range match(name, candidates) {
		people = append(people, c.person)
	}
	slices.SortFunc(people, func(a, b deploytoken.Person) int { return strings.Compare(a.ID, b.ID) })
	return people, nil
}

// Member reports whether the person may use the bot: a member of the group, or
// where there is none of the channel, who is no guest, no bot, no deleted
// account and of this workspace.
// Errors: ErrUnavailable, ErrMisconfigured.
func (d *Directory) Member(ctx context.Context, userID string) (bool, error) {
	r, err := d.members(ctx, rosterFor)
	if err == nil && !d.allows(r, userID) {
		// They may have joined since.
		r, err = d.members(ctx, rosterAgain)
	}
	if err != nil {
		return false, err
	}
	return d.allows(r, userID), nil
}

// Group returns the people in the Slack user group, in the order of their IDs;
// see deploytoken.Directory.
// Errors: ErrUnavailable, ErrMisconfigured.
func (d *Directory) Group(ctx context.Context, group string) ([]deploytoken.Person, error) {
	r, err := d.members(ctx, rosterFor)
	if err != nil {
		return nil, err
	}
	ids, err := d.groupMembers(ctx, group)
	if err != nil {
		return nil, err
	}
	var people []deploytoken.Person
	for _, id := range ids {
		m, ok := r.byID[id]
		if !ok {
			if m, err = d.outsider(ctx, id); err != nil {
				return nil, err
			}
		}
		if !m.gone {
			people = append(people, r.person(m))
		}
	}
	return people, nil
}

// groupMembers returns the IDs of those in the group, sorted. An older list
// serves while Slack can't be asked.
func (d *Directory) groupMembers(ctx context.Context, group string) ([]string, error) {
	doing := "read the members of the user group " + group
	if ids, ok := d.knownGroup(group, groupFor); ok {
		return ids, nil
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, fault(ctx.Err(), doing, false)
	}
	if ids, ok := d.knownGroup(group, groupFor); ok {
		return ids, nil
	}
	began := d.now()
	ids, err := d.client.GetUserGroupMembersContext(ctx, group)
	if err != nil {
		err = fault(err, doing, false)
		if ids, ok := d.knownGroup(group, staleFor); ok && errors.Is(err, deploytoken.ErrUnavailable) {
			return ids, nil
		}
		return nil, err
	}
	slices.Sort(ids)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[group] = groupList{ids: slices.Compact(ids), read: began}
	return d.groups[group].ids, nil
}

func (d *Directory) knownGroup(group string, maxAge time.Duration) ([]string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, ok := d.groups[group]
	return g.ids, ok && d.now().Sub(g.read) <= maxAge
}

func (d *Directory) allows(r *roster, userID string) bool {
	m, ok := r.byID[userID]
	if !ok || m.gone || m.guest || !m.own {
		return false
	}
	if d.group != "" {
		return m.inGroup
	}
	return m.inChannel
}

// members returns the roster, read again if it is older than maxAge. An older
// one serves while Slack can't be asked.
func (d *Directory) members(ctx context.Context, maxAge time.Duration) (*roster, error) {
	if r, err, ok := d.known(maxAge); ok {
		return r, err
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return d.stale(fault(ctx.Err(), "read the members of the channel", false))
	}
	if r, err, ok := d.known(maxAge); ok {
		return r, err
	}
	began := d.now()
	r, err := d.readRoster(ctx)
	if err != nil && ctx.Err() != nil {
		// That the caller could not wait says nothing of Slack.
		return d.stale(fault(ctx.Err(), "read the members of the channel", false))
	}
	d.mu.Lock()
	d.tried, d.failed = d.now(), err
	if err == nil {
		r.read = began
		d.roster = r
	}
	d.mu.Unlock()
	if err != nil {
		return d.stale(err)
	}
	return r, nil
}

// stale returns an older roster in place of an error that passes, if it isn't
// too old.
func (d *Directory) stale(err error) (*roster, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.roster != nil && d.now().Sub(d.roster.read) <= staleFor && errors.Is(err, deploytoken.ErrUnavailable) {
		return d.roster, nil
	}
	return nil, err
}

// known returns what there is without asking Slack, and whether that has to do:
// a roster young enough, or what came of a read that failed a moment ago.
func (d *Directory) known(maxAge time.Duration) (*roster, error, bool) {
	d.mu.Lock()
	now, r, failed, tried := d.now(), d.roster, d.failed, d.tried
	d.mu.Unlock()
	if r != nil && now.Sub(r.read) <= maxAge {
		return r, nil, true
	}
	if failed == nil || now.Sub(tried) > max(rosterAgain, retryAfter(failed)) {
		return nil, nil, false
	}
	r, err := d.stale(failed)
	return r, err, true
}

// readRoster reads the roster, whole or not at all.
func (d *Directory) readRoster(ctx context.Context) (*roster, error) {
	if d.teamID() == "" {
		id, err := Identify(ctx, d.client)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		d.team = id.TeamID
		d.mu.Unlock()
	}
	inChannel, err := d.readChannel(ctx)
	if err != nil {
		return nil, err
	}
	inGroup := map[string]bool{}
	if d.group != "" {
		ids, err := d.client.GetUserGroupMembersContext(ctx, d.group)
		if err != nil {
			return nil, fault(err, "read the members of the user group "+d.group, false)
		}
		for _, id := range ids {
			inGroup[id] = true
		}
	}
	r := &roster{byID: map[string]member{}, names: map[string]int{}}
	pages := d.client.GetUsersPaginated(slack.GetUsersOptionLimit(pageSize))
	for n := 0; ; n++ {
		pages, err = pages.Next(ctx)
		if pages.Done(err) {
			break
		}
		if err != nil {
			return nil, fault(err, "read the members of the workspace", false)
		}
		if n == maxPages {
			return nil, tooMany("the workspace")
		}
		for _, u := range pages.Users {
			if inChannel[u.ID] || inGroup[u.ID] {
				m := d.memberOf(u)
				m.inChannel, m.inGroup = inChannel[u.ID], inGroup[u.ID]
				r.byID[m.id] = m
			}
		}
	}
	for _, m := range r.byID {
		if !m.gone {
			r.names[fold(m.name())]++
		}
	}
	return r, nil
}

func (d *Directory) readChannel(ctx context.Context) (map[string]bool, error) {
	members := map[string]bool{}
	cursor := ""
	for range maxPages {
		ids, next, err := d.client.GetUsersInConversationContext(ctx, &slack.GetUsersInConversationParameters{
			ChannelID: d.channel, Cursor: cursor, Limit: pageSize,
		})
		if err != nil {
			return nil, fault(err, "read the members of the channel", false)
		}
		for _, id := range ids {
			members[id] = true
		}
		if next == "" {
			return members, nil
		}
		cursor = next
	}
	return nil, tooMany("the channel")
}

func tooMany(of string) error {
	return &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "Cannot read the members of " + of + ": Slack lists too many."}
}

// outsider looks up a person who isn't on the roster.
func (d *Directory) outsider(ctx context.Context, id string) (member, error) {
	if m, ok := d.knownPerson(id, personFor); ok {
		return m, nil
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return member{}, fault(ctx.Err(), "look up a person in Slack", false)
	}
	if m, ok := d.knownPerson(id, personFor); ok {
		return m, nil
	}
	u, err := d.client.GetUserInfoContext(ctx, id, slack.GetUserInfoOptionIncludeLocale(false))
	if err != nil {
		err = fault(err, "look up a person in Slack", false)
		if m, ok := d.knownPerson(id, staleFor); ok && errors.Is(err, deploytoken.ErrUnavailable) {
			return m, nil
		}
		if errors.Is(err, deploytoken.ErrUndeliverable) {
			err = &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured, Message: "Slack knows no person with the ID " + id + ".", Cause: err}
		}
		return member{}, err
	}
	m := d.memberOf(*u)
	m.read = d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.people) >= maxPeople {
		clear(d.people)
	}
	d.people[id] = m
	return m, nil
}

func (d *Directory) knownPerson(id string, maxAge time.Duration) (member, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.people[id]
	return m, ok && d.now().Sub(m.read) <= maxAge
}

func (d *Directory) teamID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.team
}

// memberOf keeps what is needed of Slack's record. The strings are copied, as
// they may be parts of a whole page's.
func (d *Directory) memberOf(u slack.User) member {
	return member{
		id:          strings.Clone(u.ID),
		handle:      strings.Clone(u.Name),
		realName:    strings.Clone(orElse(u.RealName, u.Profile.RealName)),
		displayName: strings.Clone(u.Profile.DisplayName),
		own:         !u.IsStranger && (u.TeamID == d.teamID() || slices.Contains(u.Enterprise.Teams, d.teamID())),
		guest:       u.IsRestricted || u.IsUltraRestricted,
		gone:        u.Deleted || u.IsBot || u.IsAppUser || u.IsWorkflowBot || u.IsConnectorBot || u.ID == slackbot,
		zone:        d.zone(u.TZ),
	}
}

// zone returns the time zone of that name in the IANA database; nil where there
// is none.
func (d *Directory) zone(name string) *time.Location {
	if name == "" || name == "Local" {
		// To LoadLocation these are UTC and this machine's.
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if zone, ok := d.zones[name]; ok {
		return zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	d.zones[strings.Clone(name)] = zone
	return zone
}

// slackbot is the ID of Slack's own bot, which is_bot does not mark.
const slackbot = "USLACKBOT"

// name is the member's name before it is made distinct.
func (m member) name() string {
	for _, n := range []string{m.realName, m.displayName, m.handle} {
		if n = deploytoken.CleanName(n); deploytoken.Visible(n) != "" {
			return n
		}
	}
	return m.id
}

// person returns the member under a name that nobody else on the roster has.
func (r *roster) person(m member) deploytoken.Person {
	name := m.name()
	others := r.names[fold(name)]
	if listed, ok := r.byID[m.id]; ok && !listed.gone {
		others--
	}
	if others > 0 {
		name = distinct(name, m.handle)
	}
	return deploytoken.Person{ID: m.id, Name: name, Handle: m.handle, Zone: m.zone}
}

// distinct is the name with the handle after it, kept whole.
func distinct(name, handle string) string {
	mark := " (" + deploytoken.CleanName(handle) + ")"
	return deploytoken.CleanLine(name, max(1, maxName-len([]rune(mark)))) + mark
}

// maxName bounds a name in the document, in characters, as CleanName does.
const maxName = 120

// A candidate is somebody whom a name could mean.
type candidate struct {
	member
	person deploytoken.Person
}

// match returns the candidates whom a name typed by hand could mean: by real
// name, display name, handle or the name that the bot would write, or by the
// first word of the real name, all of which count alike. Several mean that it
// can't be told.
func match(name string, candidates []candidate) []candidate {
	wanted := fold(name)
	if wanted == "" {
		return nil
	}
	var found []candidate
	for _, c := range candidates {
		// A name with the handle after it means exactly one.
		if fold(distinct(c.name(), c.handle)) == wanted {
			return []candidate{c}
		}
		first, _, _ := strings.Cut(fold(c.realName), " ")
		if slices.Contains([]string{fold(c.name()), fold(c.realName), fold(c.displayName), fold(c.handle), first}, wanted) {
			found = append(found, c)
		}
	}
	return found
}

// fold returns the name with case, accents, the @ of handles and what is
// invisible left aside:
// names that people would take for the same fold to the same.
func fold(name string) string {
	plain := strings.Map(func(r rune) rune {
		// The accents of Latin, Greek and Cyrillic. The marks of other scripts
		// are vowels, without which names would be mistaken for each other.
		if r >= 0x0300 && r <= 0x036F {
			return -1
		}
		return r
	}, norm.NFKD.String(deploytoken.Visible(name)))
	folded := norm.NFKC.String(cases.Fold().String(plain))
	return strings.Join(strings.Fields(strings.TrimLeft(folded, "@ ")), " ")
}
