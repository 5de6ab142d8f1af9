package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// A key is one setting: where it may be given, what it needs to be, and where
// it is kept.
type key struct {
	// path is the key's path in the file, dotted; "" if only the variable
	// gives it.
	path string
	// variable is the environment variable that gives it.
	variable string
	value    value
	// want says, as a noun, what is right, for error messages.
	want string
	// pattern is a regular expression, as Go and ECMAScript understand it, that
	// whatever text is right matches, or each entry's where there are several;
	// "" for any text.
	pattern string
	// part is what the key belongs to; 0 for what is of no part alone.
	part part
	// required is whether it has no default and its part can't do without it.
	required bool
	// optional is whether it may be empty.
	optional bool
	// secret is whether the variable may name a file instead, and whether the
	// value is kept out of messages.
	secret bool
}

// name is what the key is called in messages.
func (k key) name() string {
	if k.path == "" {
		return k.variable
	}
	return k.path
}

// A value is how one key is kept: text, a list, or names and what they mean.
type value interface {
	// read takes over what n holds, or says what is wrong with it, maybe more
	// than once, and where in the file.
	read(n *yaml.Node, k key, wrong func(line int, message string))
	// split makes of a variable's text what the file would have held.
	split(text string) (*yaml.Node, error)
	// node is what the file would hold, with secrets masked.
	node() *yaml.Node
	// shown is what is logged, with secrets masked.
	shown() any
	// schema is what the file may hold.
	schema(k key) *schema
	empty() bool
}

// keys lists every key of c, in the order of the example. Those of Kingfisher
// are among them if c has it.
func (c *Config) keys() []key {
	keys := []key{
		{path: "slack.channel", value: text(&c.Slack.Channel, channelID),
			want: "a channel's ID, such as C0123456789", part: slackPart, required: true,
			pattern: channelPattern.String()},
		{path: "slack.api_url", value: text(&c.Slack.APIURL, baseURL),
			want:    "an address, such as https://slack.com/api/",
			pattern: webPattern},

		{path: "google.document", value: text(&c.Google.Document, googleID("document")),
			want: "the ID or link of a Google document", part: documentPart, required: true},
		{path: "google.spreadsheet", value: text(&c.Google.Spreadsheet, googleID("spreadsheets")),
			want: "the ID or link of a Google spreadsheet", part: spreadsheetPart, required: true},
		{path: "google.label", value: text(&c.Google.Label, phrase),
			want: `one line of text, such as "Held by:"`},
		{path: "google.sheet", value: text(&c.Google.Sheet, line),
			want: "the title of a tab", optional: true},
		{path: "google.history_columns", value: list{&c.Google.HistoryColumns, historyColumn, hasEntry},
			want:    "one of " + strings.Join(HistoryColumns(), ", ") + `, or ""`,
			pattern: "^(" + strings.Join(HistoryColumns(), "|") + ")$"},
		{path: "google.endpoint", value: text(&c.Google.Endpoint, baseURL),
			want: "an address, such as http://127.0.0.1:8085/", optional: true,
			pattern: webPattern},
		{path: "google.watch_interval", value: duration(&c.Google.WatchInterval, 100*time.Millisecond, time.Hour),
			want:    "a duration from 100ms to 1h, such as 15s",
			pattern: durationPattern},
	}
	if k := c.Kingfisher; k != nil {
		keys = append(keys, []key{
			{path: "kingfisher.scrapyd_url", value: text(&k.ScrapydURL, baseURL),
				want:    "an address, such as https://scrapyd.example.org/",
				pattern: webPattern},
			{path: "kingfisher.ssh.address", value: text(&k.SSH.Address, sshAddress),
				want: "a host, or host:port, such as server.example.org:22"},
			{path: "kingfisher.ssh.user", value: text(&k.SSH.User, unixUser),
				want: "a Unix user's name, such as root"},
			{path: "kingfisher.ssh.identity_file", value: text(&k.SSH.IdentityFile, filePath),
				want: "the path of a private key"},
			{path: "kingfisher.ssh.known_hosts_file", value: text(&k.SSH.KnownHostsFile, filePath),
				want: "the path of a known_hosts file"},
			{path: "kingfisher.ssh.knock_address", value: text(&k.SSH.KnockAddress, dialAddress),
				want: "host:port, such as server.example.org:8255", optional: true,
				pattern: addressPattern},
			{path: "kingfisher.tmux_users", value: list{&k.TmuxUsers, unixUser, noRule},
				want: "a Unix user's name, such as root", optional: true},
			{path: "kingfisher.long_query", value: duration(&k.LongQuery, time.Second, 30*24*time.Hour),
				want:    "a duration from 1s to 720h, such as 1h",
				pattern: durationPattern},
			{path: "kingfisher.timeout", value: duration(&k.Timeout, 100*time.Millisecond, 10*time.Minute),
				want:    "a duration from 100ms to 10m, such as 20s",
				pattern: durationPattern},
			{path: "kingfisher.people", value: mapping{&k.People, userID},
				want: "a Slack user's ID, such as U0123456789", optional: true,
				pattern: userPattern.String()},
			{path: "kingfisher.consent_group", value: text(&k.ConsentGroup, groupID),
				want: "a Slack user group's ID, such as S0123456789", optional: true,
				pattern: groupPattern.String()},
			{path: "kingfisher.words", value: list{&k.Words, phrase, noRule},
				want: "one line of text, such as kingfisher", optional: true},
			{path: "kingfisher.override_url", value: text(&k.OverrideURL, webURL),
				want: "an address, such as https://example.org/override", optional: true,
				pattern: webPattern},
		}...)
	}
	keys = append(keys, []key{
		{path: "timezone", value: scalar[*time.Location]{&c.Timezone, timezone, (*time.Location).String},
			want: "a time zone's name, such as Etc/UTC or America/Guatemala"},
		{path: "reminders.schedule", value: text(&c.Reminders.Schedule, schedule),
			want: "a cron schedule of five fields, such as 0 9-17 * * 1-5, or @every 30m"},
		{path: "reminders.stale_after", value: duration(&c.Reminders.StaleAfter, 100*time.Millisecond, 365*24*time.Hour),
			want:    "a duration from 100ms to 8760h, such as 2h",
			pattern: durationPattern},
		{path: "reminders.working_hours", value: text(&c.Reminders.WorkingHours, hours),
			want: "a cron schedule of five fields that fits each minute, such as * 9-17 * * 1-5", optional: true},
		{path: "waitlist.turn", value: duration(&c.Waitlist.Turn, 100*time.Millisecond, 7*24*time.Hour),
			want:    "a duration from 100ms to 168h, such as 10m",
			pattern: durationPattern},
		{path: "servers", value: list{&c.Servers, serverName, atMost(maxServers)},
			want: fmt.Sprintf("one line of text of at most %d characters, such as registry", maxServerName), optional: true},
		{path: "access.group", value: text(&c.Access.Group, groupID),
			want: "a Slack user group's ID, such as S0123456789", optional: true,
			pattern: groupPattern.String()},
		{path: "access.force_group", value: text(&c.Access.ForceGroup, groupID),
			want: "a Slack user group's ID, such as S0123456789", optional: true,
			pattern: groupPattern.String()},
		{path: "preflight.repositories", value: list{&c.Preflight.Repositories, repository, atLeastOne},
			want: "the path of a Git checkout, such as pillar/private"},
		{path: "store.url", value: secret(&c.Store.URL, storeURL), part: storePart, secret: true,
			want:    "sqlite:PATH or postgres://USER@HOST/DATABASE",
			pattern: storePattern},
		{path: "http.address", value: text(&c.HTTP.Address, listenAddress),
			want:    "host:port, such as 127.0.0.1:8080",
			pattern: addressPattern},

		{variable: "SLACK_BOT_TOKEN", value: secret(&c.Slack.BotToken, token("xoxb-")),
			want: "a bot token, which begins with xoxb-", part: slackPart, required: true, secret: true},
		{variable: "SLACK_APP_TOKEN", value: secret(&c.Slack.AppToken, token("xapp-")),
			want: "an app-level token, which begins with xapp-", part: slackPart, required: true, secret: true},
		{variable: "GOOGLE_APPLICATION_CREDENTIALS", value: text(&c.Google.CredentialsFile, readableFile),
			want: "the path of a service account's key file", part: documentPart | spreadsheetPart},
	}...)
	if k := c.Kingfisher; k != nil {
		keys = append(keys, []key{
			{variable: "SCRAPYD_USERNAME", value: secret(&k.ScrapydUsername, basicUsername),
				want: "a user name without a colon", part: kingfisherPart, secret: true},
			{variable: "SCRAPYD_PASSWORD", value: secret(&k.ScrapydPassword, basicPassword),
				want: "a password without control characters", part: kingfisherPart, secret: true},
		}...)
	}
	for i := range keys {
		if keys[i].path != "" {
			keys[i].variable = strings.ToUpper(strings.ReplaceAll(keys[i].path, ".", "_"))
		}
	}
	return keys
}

// A scalar is a value that the file writes as one text.
type scalar[T comparable] struct {
	at     *T
	parse  func(string) (T, error)
	format func(T) string
}

func text(at *string, parse func(string) (string, error)) scalar[string] {
	return scalar[string]{at, parse, func(s string) string { return s }}
}

func duration(at *time.Duration, least, most time.Duration) scalar[time.Duration] {
	return scalar[time.Duration]{at, durationBetween(least, most), formatDuration}
}

func secret(at *Secret, parse func(string) (Secret, error)) scalar[Secret] {
	return scalar[Secret]{at, parse, Secret.String}
}

func (s scalar[T]) read(n *yaml.Node, k key, wrong func(int, string)) {
	n = target(n)
	given, ok := textOf(n)
	if !ok {
		wrong(n.Line, fmt.Sprintf("%s where there should be %s", kindOf(n), k.want))
		return
	}
	var zero T
	if given == "" {
		if !k.optional {
			wrong(n.Line, "empty: give "+k.want)
			return
		}
		*s.at = zero
		return
	}
	v, err := s.parse(given)
	if err != nil {
		wrong(n.Line, k.notRight(given, err))
		return
	}
	*s.at = v
}

func (s scalar[T]) split(text string) (*yaml.Node, error) { return textNode(text), nil }
func (s scalar[T]) node() *yaml.Node                      { return textNode(s.format(*s.at)) }
func (s scalar[T]) shown() any                            { return s.format(*s.at) }

func (s scalar[T]) empty() bool {
	var zero T
	return *s.at == zero
}

// A list is a value that the file writes as a list of texts, each different
// from the others if it isn't empty.
type list struct {
	at    *[]string
	entry func(string) (string, error)
	rule  func([]string) error
}

func (l list) read(n *yaml.Node, k key, wrong func(int, string)) {
	n = target(n)
	if n.Kind != yaml.SequenceNode {
		wrong(n.Line, fmt.Sprintf("%s where there should be a list, each entry %s", kindOf(n), k.want))
		return
	}
	var entries []string
	valid := true
	bad := func(line int, message string) {
		valid = false
		wrong(line, message)
	}
	for _, e := range n.Content {
		e = target(e)
		given, ok := textOf(e)
		if !ok {
			bad(e.Line, fmt.Sprintf("%s in the list where there should be %s", kindOf(e), k.want))
			continue
		}
		entry, err := l.entry(given)
		if err != nil {
			bad(e.Line, k.notRight(given, err))
			continue
		}
		if entry != "" && slices.Contains(entries, entry) {
			bad(e.Line, fmt.Sprintf("%s is there twice: remove one", quote(entry)))
			continue
		}
		entries = append(entries, entry)
	}
	if !valid {
		return
	}
	if err := l.rule(entries); err != nil {
		wrong(n.Line, err.Error())
		return
	}
	*l.at = entries
}

func (l list) split(text string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if text == "" {
		return n, nil
	}
	for entry := range strings.SplitSeq(text, ",") {
		n.Content = append(n.Content, textNode(strings.TrimSpace(entry)))
	}
	return n, nil
}

func (l list) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, entry := range *l.at {
		n.Content = append(n.Content, textNode(entry))
	}
	return n
}

func (l list) shown() any  { return *l.at }
func (l list) empty() bool { return len(*l.at) == 0 }

// A mapping is a value that the file writes as names, each with its text.
type mapping struct {
	at   *map[string]string
	text func(string) (string, error)
}

func (m mapping) read(n *yaml.Node, k key, wrong func(int, string)) {
	n = target(n)
	if n.Kind != yaml.MappingNode {
		wrong(n.Line, fmt.Sprintf("%s where there should be names, each with %s", kindOf(n), k.want))
		return
	}
	texts := map[string]string{}
	valid := true
	bad := func(line int, message string) {
		valid = false
		wrong(line, message)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := target(n.Content[i]), target(n.Content[i+1])
		mark, ok := textOf(name)
		if !ok {
			bad(name.Line, kindOf(name)+" where there should be a name")
			continue
		}
		if _, err := line(mark); err != nil || mark == "" {
			bad(name.Line, quote(mark)+" is not a name of one line")
			continue
		}
		if _, ok := texts[mark]; ok {
			bad(name.Line, quote(mark)+" is there twice: remove one")
			continue
		}
		given, ok := textOf(content)
		if !ok {
			bad(content.Line, fmt.Sprintf("%s: %s where there should be %s", quote(mark), kindOf(content), k.want))
			continue
		}
		v, err := m.text(given)
		if err != nil {
			bad(content.Line, fmt.Sprintf("%s: %s", quote(mark), k.notRight(given, err)))
			continue
		}
		texts[mark] = v
	}
	if valid {
		*m.at = texts
	}
}

func (m mapping) split(text string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if text == "" {
		return n, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		// The last one: a name may have the sign in it, an ID never.
		i := strings.LastIndex(pair, "=")
		if i < 0 {
			return nil, fmt.Errorf("%s is not NAME=ID: write it as jm=U0123456789,kw=U0456789012", quote(pair))
		}
		n.Content = append(n.Content, textNode(strings.TrimSpace(pair[:i])), textNode(strings.TrimSpace(pair[i+1:])))
	}
	return n, nil
}

func (m mapping) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, name := range slices.Sorted(maps.Keys(*m.at)) {
		n.Content = append(n.Content, textNode(name), textNode((*m.at)[name]))
	}
	return n
}

func (m mapping) shown() any  { return *m.at }
func (m mapping) empty() bool { return len(*m.at) == 0 }

// notRight says that given isn't what the key wants, and why.
func (k key) notRight(given string, err error) string {
	shown := quote(given)
	if k.secret {
		shown = "the value"
	}
	message := fmt.Sprintf("%s is not %s", shown, k.want)
	if reason := err.Error(); reason != "" {
		message += ": " + reason
	}
	return message
}

// textOf gives the text of a scalar as it is written, and whether n is one: a
// number or a date is text too, nothing at all is not.
func textOf(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Value, true
	default:
		return "", false
	}
}

// kindOf names what n is, for messages.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a section"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
			return "a text"
		case "!!null":
			return "nothing"
		}
	}
	return "something unusual"
}

// target is the node that an alias stands for, on the alias's line; other nodes
// are their own.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.AliasNode || n.Alias == nil {
		return n
	}
	t := *n.Alias
	t.Line = n.Line
	return &t
}

func textNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}
