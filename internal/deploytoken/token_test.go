package deploytoken

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestInterpret(t *testing.T) {
	for _, tt := range []struct {
		name   string
		read   Reading
		last   string
		state  TokenState
		holder string
	}{
		{"nobody", Reading{Value: "Nobody"}, "", Free, ""},
		{"nobody in another case", Reading{Value: "nobody"}, "", Free, ""},
		{"a name", Reading{Value: "Ana Díaz"}, "", Held, "Ana Díaz"},
		{"a name with odd spacing", Reading{Value: " Ana   Díaz\t"}, "", Held, "Ana Díaz"},
		{"the last name again", Reading{Value: "Ana Díaz"}, "Ana Díaz", Held, "Ana Díaz"},
		{"the last name in another case", Reading{Value: "ana díaz"}, "Ana Díaz", Held, "ana díaz"},
		{"empty", Reading{Value: " "}, "", Unclear, ""},
		{"only a zero-width space", Reading{Value: "\u200B"}, "", Unclear, ""},
		{"a problem", Reading{Value: "Nobody", Problem: "there are two lines"}, "", Unclear, ""},
		{"nobody and a name", Reading{Value: "Nobody Ana"}, "", Unclear, ""},
		{"a name and nobody", Reading{Value: "Ananobody, nobody"}, "", Unclear, ""},
		{"a very long name and nobody", Reading{Value: strings.Repeat("Ana ", 40) + "Nobody"}, "", Unclear, ""},
		{"nobody inside a word", Reading{Value: "Mx Nobodyson"}, "", Held, "Mx Nobodyson"},
		{"the last name and another", Reading{Value: "Ana Díaz Bob"}, "Ana Díaz", Unclear, ""},
		{"another and the last name", Reading{Value: "Bob/Ana Díaz"}, "Ana Díaz", Unclear, ""},
		{"the last name inside a word", Reading{Value: "Anabel"}, "Ana", Held, "Anabel"},
		{"the last name before a combining mark", Reading{Value: "Ana\u0301"}, "Ana", Held, "Ana\u0301"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Interpret(tt.read, tt.last)
			if got.State != tt.state || got.Holder != tt.holder {
				t.Errorf("got %v %q, want %v %q", got.State, got.Holder, tt.state, tt.holder)
			}
			if (got.Reason != "") != (got.State == Unclear) {
				t.Errorf("state %v with reason %q", got.State, got.Reason)
			}
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"Ana Díaz": true, "Nobodyson": true,
		"": false, "\u202E": false, "nobody": false, "Ana (Nobody)": false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, err)
		} else if err != nil && !errors.Is(err, ErrName) {
			t.Errorf("CheckName(%q) is not ErrName: %v", name, err)
		}
	}
}

func FuzzCleanLine(f *testing.F) {
	f.Add("Ana\r\nDíaz \u202Etxt", 10)
	f.Add("\uE000\x00👩‍👩‍👧", 2)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got := CleanLine(text, limit)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		if limit > 0 && utf8.RuneCountInString(got) > limit {
			t.Fatalf("%q is longer than %d", got, limit)
		}
		if strings.TrimSpace(got) != got || strings.Contains(got, "  ") {
			t.Fatalf("%q has loose space", got)
		}
		for _, r := range got {
			if unicode.IsControl(r) || isDirectional(r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if again := CleanLine(got, limit); again != got {
			t.Fatalf("cleaning %q again gives %q", got, again)
		}
	})
}
