package config

import (
	"log/slog"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MarshalYAML gives the configuration as a file would have it, with every key,
// and, as comments, which of what comes from the environment only is set. No
// secret is in it.
func (c *Config) MarshalYAML() (any, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	var environment []string
	for _, k := range c.keys() {
		if k.path != "" {
			put(root, strings.Split(k.path, "."), k.value.node())
			continue
		}
		state := "set"
		if k.value.empty() {
			state = "not set"
		}
		environment = append(environment, k.variable+": "+state)
	}
	root.FootComment = strings.Join(environment, "\n")
	return root, nil
}

// put sets n under the path in the section, and makes the sections between.
func put(section *yaml.Node, path []string, n *yaml.Node) {
	if len(path) == 1 {
		section.Content = append(section.Content, textNode(path[0]), n)
		return
	}
	// Keys come in the order of their sections: if it is there, it is the last.
	if last := len(section.Content) - 2; last < 0 || section.Content[last].Value != path[0] {
		section.Content = append(section.Content, textNode(path[0]), &yaml.Node{Kind: yaml.MappingNode})
	}
	put(section.Content[len(section.Content)-1], path[1:], n)
}

// LogValue groups the keys by their dotted paths, with secrets masked.
func (c *Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, k := range c.keys() {
		attrs = append(attrs, slog.Any(k.name(), k.value.shown()))
	}
	return slog.GroupValue(attrs...)
}
