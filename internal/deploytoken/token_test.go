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
		{"only a filler", Reading{Value: "\u3164"}, "", Unclear, ""},
		{"nobody with a word joiner", Reading{Value: "No\u2060body"}, "", Free, ""},
		{"nobody with a soft hyphen", Reading{Value: "No\u00ADbody"}, "Ana", Free, ""},
		{"nobody before a joiner", Reading{Value: "Nobody\u200D"}, "", Free, ""},
		{"a tagged nobody and a name", Reading{Value: "No\U000E0062body Ana"}, "", Unclear, ""},
		{"a name in Persian", Reading{Value: "علی\u200Cرضا"}, "", Held, "علی\u200Cرضا"},
		{"a family", Reading{Value: "👩\u200D👧 Ana"}, "", Held, "👩\u200D👧 Ana"},
		{"the last name with a soft hyphen", Reading{Value: "A\u00ADna"}, "Ana", Held, "A\u00ADna"},
		{"the last name with a soft hyphen and another", Reading{Value: "A\u00ADna Bob"}, "Ana", Unclear, ""},
		{"the last name is invisible", Reading{Value: "Ana"}, "\u2060", Held, "Ana"},
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
		"علی\u200Cرضا": true, "Ana ❤\uFE0F": true,
		"": false, "\u202E": false, "\u115F\u2060": false, "nobody": false, "Ana (Nobody)": false,
		"No\u2060body": false, "No\u00ADbody": false, "Nobody\u200D": false, "Nobody\u034F": false, "N\u180Bo\uFE0Fbody": false,
	} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v", name, err)
		} else if err != nil && !errors.Is(err, ErrName) {
			t.Errorf("CheckName(%q) is not ErrName: %v", name, err)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " Ana  Díaz": "Ana Díaz", "Ana \u2060 Díaz": "Ana Díaz", "Ana\u0301": "Ana\u0301", "\u0600x": "\u0600x", "a\xffb": "ab",
	} {
		if got := Visible(text); got != want {
			t.Errorf("Visible(%q) = %q, want %q", text, got, want)
		}
	}
	for _, span := range [][2]rune{
		{0xAD, 0xAD}, {0x34F, 0x34F}, {0x61C, 0x61C}, {0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x200B, 0x200F}, {0x202A, 0x202E},
		{0x2060, 0x206F}, {0x3164, 0x3164}, {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xE0000, 0xE0FFF},
	} {
		for r := span[0]; r <= span[1]; r++ {
			if name := "A" + string(r) + "na"; Visible(name) != "Ana" || !sameName(name, "ana") {
				t.Errorf("%U is seen", r)
			}
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
