package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// compiled is the schema, in the hands of a validator.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("bot.schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("bot.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance reads YAML as an editor does that validates it.
func instance(t *testing.T, content string) any {
	t.Helper()
	v, err := decoded([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// decoded is what content holds, as JSON has it: without dates, and with texts
// for keys.
func decoded(content []byte) (v any, err error) {
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil {
		return nil, err
	}
	var plain func(*yaml.Node)
	plain = func(n *yaml.Node) {
		if n.ShortTag() == "!!timestamp" {
			n.Tag = "!!str"
		}
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 && c.Kind == yaml.ScalarNode {
				c.Tag = "!!str"
			}
			plain(c)
		}
	}
	plain(&root)
	err = root.Decode(&v)
	return v, err
}

func TestSchemaFile(t *testing.T) {
	const golden = "testdata/bot.schema.json"
	if *update {
		if err := os.WriteFile(golden, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Schema(), want) {
		t.Error("the schema has changed: look at what go test ./internal/config -update makes of " + golden)
	}
}

// The schema describes every key, with its variable.
func TestSchemaDescribesAll(t *testing.T) {
	explained := comments()
	for _, k := range defaults().keys() {
		if k.path == "" {
			continue
		}
		if explained[k.path] == "" {
			t.Errorf("no comment for %s", k.path)
		}
		if !bytes.Contains(Schema(), []byte(`\nIn the environment: `+k.variable+`"`)) {
			t.Errorf("the schema doesn't name %s", k.variable)
		}
	}
}

// What the loader takes is right by the schema.
func TestSchemaTakes(t *testing.T) {
	s := compiled(t)
	for _, content := range []string{
		Example(), "", "slack:\naccess:\n", "kingfisher: {}", "google: {sheet: 2026, label: 5}", "servers: [2026]",
		"google: {watch_interval: 1.5s}", "google: {watch_interval: +15s}", "waitlist: {turn: 1h2m3.5s}", "waitlist: {turn: 100000000ns}",
		"kingfisher: {people: {1: U1}, scrapyd_url: HTTPS://scrapyd.example.org}",
		"access: {group: &g S0123, force_group: *g}",
	} {
		mustLoad(t, write(t, content), required, Serve)
		if content == "" {
			continue // null: an empty file has nothing to validate
		}
		if err := s.Validate(instance(t, content)); err != nil {
			t.Errorf("%s:\n%v", content, err)
		}
	}
	for _, good := range goodValues {
		if err := s.Validate(instance(t, nested(good.path, good.yaml))); err != nil {
			t.Errorf("%s: %s: %v", good.path, good.yaml, err)
		}
	}
}

// What the loader refuses is wrong by the schema, but for what a schema can't
// say.
func TestSchemaRefuses(t *testing.T) {
	beyond := []string{
		"two-documents", "not-yaml-further-down",
		"document", "document-kind", "document-link", "document-without-id", "file-path", "url", "scrapyd-url", "address",
		"label", "words", "unix-user", "servers", "repositories", "history-columns-without-entry",
		"schedule", "schedule-every", "schedule-never", "schedule-zone", "working-hours", "working-hours-fields", "timezone", "timezone-local",
		"store-url-memory", "store-url-password", "store-url-password-parameter", "store-url-path", "store-url-unescaped",
	}
	s := compiled(t)
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, err := decoded(content)
		refused := err != nil || s.Validate(v) != nil
		if refused == slices.Contains(beyond, name) {
			t.Errorf("%s: refused %t", name, refused)
		}
	}
}
