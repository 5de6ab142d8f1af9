package google

import (
	"encoding/json"
	"reflect"
	"testing"

	"google.golang.org/api/docs/v1"
)

func TestFieldMask(t *testing.T) {
	const resource = `{"a": 1, "b": {"c": 2, "d": [{"e": 3, "f": 4}, {"f": 5}]}, "g": {"x": {"e": 6}, "y": {"f": 7}}}`
	for _, tt := range []struct{ mask, want string }{
		{"", resource},
		{"*", resource},
		{"a", `{"a": 1}`},
		{"a,b/c", `{"a": 1, "b": {"c": 2}}`},
		{"b.c", `{"b": {"c": 2}}`},
		{"b(c,d/e)", `{"b": {"c": 2, "d": [{"e": 3}, {}]}}`},
		{"b(d(e,f))", `{"b": {"d": [{"e": 3, "f": 4}, {"f": 5}]}}`},
		{"b", `{"b": {"c": 2, "d": [{"e": 3, "f": 4}, {"f": 5}]}}`},
		{"g/*/e", `{"g": {"x": {"e": 6}, "y": {}}}`},
		{"g(*)", `{"g": {"x": {"e": 6}, "y": {"f": 7}}}`},
		{"*/c", `{"a": 1, "b": {"c": 2}, "g": {}}`},
		{" a , b/c ", `{"a": 1, "b": {"c": 2}}`},
	} {
		m, err := parseMask(tt.mask)
		if err != nil {
			t.Errorf("%q: %v", tt.mask, err)
			continue
		}
		var in, want any
		_ = json.Unmarshal([]byte(resource), &in)
		_ = json.Unmarshal([]byte(tt.want), &want)
		if got := m.apply(in); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v", tt.mask, got, want)
		}
	}
	for _, bad := range []string{"a,", ",a", "a(", "a()", "a(b", "a)", "a//b", "/a", "a(b)c", "()"} {
		if m, err := parseMask(bad); err == nil {
			t.Errorf("%q was taken for %v", bad, m)
		}
	}
}

func TestFieldMaskOfADocument(t *testing.T) {
	for _, tt := range []struct {
		mask     string
		unknown  string
		comments bool
	}{
		{"revisionId", "", false},
		{"revision_id", "", false},
		{"title,tabs(tabProperties,documentTab(body,namedRanges),childTabs(tabProperties/tabId))", "", false},
		{"tabs/documentTab/body/content/paragraph/elements(startIndex,textRun(content,suggestedInsertionIds))", "", false},
		{"namedRanges/anything/namedRanges/ranges", "", false},
		{"*", "", true},
		{"tabs", "", true},
		{"tabs/*", "", true},
		{"tabs(documentTab)", "", true},
		{"tabs(tabProperties,documentTab)", "", true},
		{"tabs/documentTab/commentAnchors", "", true},
		{"tabs(tabProperties,childTabs)", "", true},
		{"tabs(childTabs(childTabs))", "", true},
		{"tabs/documentTab/*", "", true},
		{"comments", "", true},
		{"nonsense", "nonsense", false},
		{"tabs/documentTab/nonsense", "tabs.documentTab.nonsense", false},
		{"title/x", "title.x", false},
	} {
		m, err := parseMask(tt.mask)
		if err != nil {
			t.Errorf("%q: %v", tt.mask, err)
			continue
		}
		if got := m.unknown(reflect.TypeFor[docs.Document]()); got != tt.unknown {
			t.Errorf("%q: unknown %q, want %q", tt.mask, got, tt.unknown)
		}
		if got := m.selectsComments(); got != tt.comments {
			t.Errorf("%q: selects comments: %v", tt.mask, got)
		}
	}
}

func FuzzParseMask(f *testing.F) {
	for _, s := range []string{"a(b,c/d),e.*", "tabs(documentTab(body))", "((", "a,,b", "_a_b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMask(s)
		if err != nil {
			return
		}
		m.unknown(reflect.TypeFor[docs.Document]())
		m.selectsComments()
		m.apply(map[string]any{"a": []any{map[string]any{"b": 1.0}}})
	})
}
