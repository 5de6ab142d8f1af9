package preflight

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	const ids = "1111111111111111111111111111111111111111 2222222222222222222222222222222222222222"
	for _, tt := range []struct {
		name, out string
		want      status
		bad       bool
	}{
		{name: "clean"},
		{name: "changed", out: "1 .M N... 100644 100644 100644 " + ids + " a file\x00", want: status{changed: []string{"a file"}}},
		{name: "renamed", out: "2 R. N... 100644 100644 100644 " + ids + " R100 new\x00? old\x00? more\x00",
			want: status{changed: []string{"new"}, untracked: []string{"more"}}},
		{name: "a name of two lines", out: "? a\nb\x00", want: status{untracked: []string{"a\nb"}}},
		{name: "a conflict", out: "u UU N... 100644 100644 100644 100644 " + ids + " 3333333333333333333333333333333333333333 x\x00",
			want: status{conflicts: []string{"x"}}},
		{name: "a submodule", out: "1 .M SC.. 160000 160000 160000 " + ids + " sub\x00", want: status{submodules: []string{"sub"}}},
		{name: "headers and what is ignored", out: "# branch.head main\x00! x\x00"},
		{name: "cut", out: "? a", bad: true},
		{name: "cut after a rename", out: "2 R. N... 100644 100644 100644 " + ids + " R100 new\x00old", bad: true},
		{name: "too few fields", out: "1 .M N... x\x00", bad: true},
		{name: "something new", out: "z x\x00", bad: true},
		{name: "nothing", out: "\x00", bad: true},
	} {
		got, err := parseStatus(tt.out)
		if tt.bad != (err != nil) || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v %v", tt.name, got, err)
		}
	}
}

// Every record that is not understood is an error: what isn't known is not
// clean.
func FuzzParseStatus(f *testing.F) {
	f.Add("1 .M N... 100644 100644 100644 1 2 a\x002 R. N... 1 1 1 1 2 R100 new\x00old\x00? x\x00u UU N... 1 1 1 1 1 2 3 y\x00")
	f.Fuzz(func(t *testing.T, out string) {
		s, err := parseStatus(out)
		if err != nil {
			return
		}
		n := len(s.changed) + len(s.conflicts) + len(s.untracked) + len(s.submodules)
		if out != "" && n == 0 && !strings.HasPrefix(out, "#") && !strings.HasPrefix(out, "!") {
			t.Errorf("%q is clean", out)
		}
	})
}

func TestParseIndex(t *testing.T) {
	got := parseIndex("H 100644 1 0\ta\x00h 100644 1 0\tb\tc\x00S 100644 1 0\td\ne\x00H 160000 1 0\tsub\x00nonsense\x00")
	if want := (index{submodules: []string{"sub"}, assumed: []string{"b\tc"}, skipped: []string{"d\ne"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestParseDefault(t *testing.T) {
	for out, want := range map[string]string{
		"": "",
		"ref: refs/heads/main\tHEAD\n1234\tHEAD\n": "main",
		"1234\tHEAD\n": "",
		"ref: refs/heads/old\trefs/remotes/origin/HEAD\nref: refs/heads/a/b\tHEAD\n": "a/b",
		"ref: refs/heads/old\trefs/remotes/origin/HEAD\n1234\tHEAD\n":                "",
	} {
		if got := parseDefault(out); got != want {
			t.Errorf("%q: %q", out, got)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ stderr, want string }{
		{"Cloning\nfatal: unable to access 'https://me:s3cret@git.example.org/x/': 403\nmore", "unable to access 'https://[…]@git.example.org/x/': 403"},
		{"fatal: unable to access 'https://" + strings.Repeat("t", 300) + "@git.example.org/': 403", "unable to access 'https://[…]@git.example.org/': 403"},
		{"a\nPermission denied (publickey).\n", "Permission denied (publickey)."},
		{"fatal: \x1b[31mred", `"\x1b[31mred"`},
		{"fatal: " + strings.Repeat("é", 300), strings.Repeat("é", 199) + "…"},
	} {
		if got := explain(tt.stderr, nil); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.stderr, got, tt.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"main":          "main",
		"":              "''",
		"-x":            "'-x'",
		"a b":           "'a b'",
		"a;rm -rf ~":    "'a;rm -rf ~'",
		"it's":          `'it'\''s'`,
		"Ana Díaz":      "'Ana Díaz'",
		"a\nb":          `$'\x61\x0a\x62'`,
		"\u202eevil":    `$'\xe2\x80\xae\x65\x76\x69\x6c'`,
		"$(id)`id`":     "'$(id)`id`'",
		"a/b-c_d.e@f,g": "a/b-c_d.e@f,g",
	} {
		if got := quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
