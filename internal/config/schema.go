package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Schema is a JSON Schema (draft 7, which editors know best) of the
// configuration file. Whatever Load takes is right by it; it can't tell all of
// what Load refuses. What it requires is nothing, as any key may come from the
// environment. Its descriptions are the comments of the example.
func Schema() []byte {
	root := section()
	root.Schema = "http://json-schema.org/draft-07/schema#"
	root.Title = "bot.yaml"
	root.Description = "The configuration of the deploy token's bot."
	comments := comments()
	for _, k := range defaults().keys() {
		if k.path == "" {
			continue
		}
		at, path := root, strings.Split(k.path, ".")
		for i, name := range path[:len(path)-1] {
			if at.Properties[name] == nil {
				s := section()
				full := strings.Join(path[:i+1], ".")
				s.Description = comments[full]
				if full == "kingfisher" {
					s.Type = "object" // with nothing in it, it would be unclear what is meant
				}
				at.Properties[name] = s
			}
			at = at.Properties[name]
		}
		s := k.value.schema(k)
		s.Description = fmt.Sprintf("%s\nIn the environment: %s", comments[k.path], k.variable)
		if !k.required {
			if err := k.value.node().Decode(&s.Default); err != nil {
				panic(err) // a node of texts decodes
			}
		}
		at.Properties[path[len(path)-1]] = s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic(err) // a schema holds texts and numbers only
	}
	return b.Bytes()
}

// A schema is as much of a JSON Schema as the configuration needs.
type schema struct {
	Schema      string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Type is a name, or several.
	Type      any    `json:"type"`
	Pattern   string `json:"pattern,omitempty"`
	MinLength int    `json:"minLength,omitempty"`
	// Default is nil where there is none.
	Default    any                `json:"default,omitempty"`
	Items      *schema            `json:"items,omitempty"`
	Properties map[string]*schema `json:"properties,omitempty"`
	// AdditionalProperties is false, or the schema of each.
	AdditionalProperties any `json:"additionalProperties,omitempty"`
}

func section() *schema {
	return &schema{Type: []string{"object", "null"}, Properties: map[string]*schema{}, AdditionalProperties: false}
}

// schema allows what YAML reads as a number or a truth value where any text is
// right: the loader takes it as the text that it is.
func (s scalar[T]) schema(k key) *schema { return entrySchema(k, k.optional) }

func (l list) schema(k key) *schema {
	_, err := l.entry("")
	return &schema{Type: "array", Items: entrySchema(k, err == nil)}
}

func (m mapping) schema(k key) *schema {
	return &schema{Type: "object", AdditionalProperties: entrySchema(k, false)}
}

func entrySchema(k key, mayBeEmpty bool) *schema {
	s := &schema{Type: []string{"string", "number", "boolean"}}
	if k.pattern != "" {
		s.Type, s.Pattern = "string", k.pattern
		if mayBeEmpty {
			s.Pattern = "^$|" + k.pattern
		}
		return s
	}
	if !mayBeEmpty {
		s.MinLength = 1
	}
	return s
}

// comments are what the example says of each key and section, by its path, on
// one line each.
func comments() map[string]string {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(example), &root); err != nil {
		panic(fmt.Sprintf("the embedded example: %v", err)) // a test reads it
	}
	found := map[string]string{}
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			name, content := n.Content[i], n.Content[i+1]
			var words []string
			for l := range strings.Lines(name.HeadComment) {
				words = append(words, strings.TrimSpace(strings.TrimPrefix(l, "#")))
			}
			found[path+name.Value] = strings.Join(words, " ")
			walk(path+name.Value+".", content)
		}
	}
	walk("", root.Content[0])
	return found
}
