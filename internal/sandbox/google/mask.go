package google

import (
	"errors"
	"reflect"
	"strings"
	"unicode"
)

// A fieldMask is a partial-response mask, the fields parameter: a(b,c), a/b, a.b and *, in any nesting.
// A nil mask, and one without children, selects everything.
type fieldMask struct {
	children map[string]*fieldMask
}

var errMask = errors.New("malformed field mask")

// parseMask parses a mask; an empty one is nil.
func parseMask(s string) (*fieldMask, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	p := maskParser{s: s}
	m := &fieldMask{children: map[string]*fieldMask{}}
	if err := p.list(m); err != nil {
		return nil, err
	}
	if p.i != len(s) {
		return nil, errMask
	}
	return m, nil
}

type maskParser struct {
	s     string
	i     int
	depth int
}

func (p *maskParser) list(into *fieldMask) error {
	if p.depth++; p.depth > 100 {
		return errMask
	}
	defer func() { p.depth-- }()
	for {
		leaf, err := p.path(into)
		if err != nil {
			return err
		}
		if p.take('(') {
			if leaf.children == nil {
				leaf.children = map[string]*fieldMask{}
			}
			if err := p.list(leaf); err != nil {
				return err
			}
			if !p.take(')') {
				return errMask
			}
		}
		if !p.take(',') {
			return nil
		}
	}
}

// path reads a/b.c and returns its last node.
func (p *maskParser) path(into *fieldMask) (*fieldMask, error) {
	for {
		name := p.name()
		if name == "" {
			return nil, errMask
		}
		if into.children == nil {
			into.children = map[string]*fieldMask{}
		}
		child := into.children[name]
		if child == nil {
			child = &fieldMask{}
			into.children[name] = child
		}
		into = child
		if !p.take('/') && !p.take('.') {
			return into, nil
		}
	}
}

func (p *maskParser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

// name reads a field name, in camelCase whichever way it is written, or *.
func (p *maskParser) name() string {
	start := p.i
	for p.i < len(p.s) && !strings.ContainsRune("(),/.", rune(p.s[p.i])) {
		p.i++
	}
	return camelCase(strings.TrimSpace(p.s[start:p.i]))
}

func camelCase(s string) string {
	var b strings.Builder
	upper := false
	for _, r := range s {
		switch {
		case r == '_':
			upper = true
		case upper:
			b.WriteRune(unicode.ToUpper(r))
			upper = false
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// all says whether the mask selects everything below it.
func (m *fieldMask) all() bool {
	if m == nil || len(m.children) == 0 {
		return true
	}
	star, ok := m.children["*"]
	return ok && star.all()
}

// child is the mask for a field, and whether the field is selected at all.
func (m *fieldMask) child(name string) (*fieldMask, bool) {
	if m == nil || len(m.children) == 0 {
		return nil, true
	}
	if c, ok := m.children[name]; ok {
		return c, true
	}
	c, ok := m.children["*"]
	return c, ok
}

// unknown returns the first path of the mask that the JSON form of t doesn't have, or "".
func (m *fieldMask) unknown(t reflect.Type) string {
	return m.unknownBelow(t, "")
}

func (m *fieldMask) unknownBelow(t reflect.Type, prefix string) string {
	if m == nil || len(m.children) == 0 {
		return ""
	}
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	for name, child := range m.children {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		switch {
		case name == "*":
			if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
				return path
			}
			if child.all() {
				continue
			}
			// What stands below a * may belong to any of the fields.
			continue
		case t.Kind() == reflect.Map:
			if p := child.unknownBelow(t.Elem(), path); p != "" {
				return p
			}
		case t.Kind() == reflect.Struct:
			field, ok := jsonField(t, name)
			if !ok {
				return path
			}
			if p := child.unknownBelow(field, path); p != "" {
				return p
			}
		default:
			return path
		}
	}
	return ""
}

// jsonField finds the type of the field of a struct that has a name in JSON.
func jsonField(t reflect.Type, name string) (reflect.Type, bool) {
	for f := range t.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name && tag != "-" {
			return f.Type, true
		}
	}
	return nil, false
}

// apply keeps of a decoded JSON value what the mask selects.
func (m *fieldMask) apply(v any) any {
	if m == nil || len(m.children) == 0 {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, value := range v {
			if c, ok := m.child(name); ok {
				kept[name] = c.apply(value)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = m.apply(v[i])
		}
		return kept
	}
	return v
}
