package slackapp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// goldenView compares what Slack is given with the file of that name.
func goldenView(t *testing.T, name string, view any) {
	t.Helper()
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(view); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "views", name+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got.Bytes(), want)
	}
}

var clickOrigin = origin{Holding: "h1", Channel: "C1", Message: "5.6", Ephemeral: true, ResponseURL: "https://hooks.example/secret"}

func TestFormsReadAsBefore(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 3, 20, 0, time.UTC)
	goldenView(t, "release", releaseForm(clickOrigin, "upgrade PostgreSQL", []string{"kingfisher-main", "registry", "docs"}))
	goldenView(t, "release-no-servers", releaseForm(origin{Holding: "h1", Home: true}, "", nil))
	goldenView(t, "please-wait", waitForm(origin{Subject: "q1", Channel: "D1", Message: "5.6", ResponseURL: "https://hooks.example/secret"}, now))
}

// TestFormsKeepSlacksLimits fills the forms with more than Slack takes.
func TestFormsKeepSlacksLimits(t *testing.T) {
	var servers []string
	for n := range 150 {
		servers = append(servers, fmt.Sprint(n, strings.Repeat("🦀", 100)))
	}
	o := clickOrigin
	o.ResponseURL = "https://hooks.example/" + strings.Repeat("x", maxMetadata)
	view := releaseForm(o, strings.Repeat("🦀", maxWords), servers)
	if n := utf8.RuneCountInString(view.PrivateMetadata); n == 0 || n > maxMetadata {
		t.Errorf("%d characters of metadata", n)
	}
	var kept origin
	if err := json.Unmarshal([]byte(view.PrivateMetadata), &kept); err != nil || kept.Holding != "h1" || kept.ResponseURL != "" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	done := view.Blocks.BlockSet[0].(*slack.InputBlock).Element.(*slack.PlainTextInputBlockElement)
	if n := len(utf16.Encode([]rune(done.InitialValue))); n != maxWords || n > done.MaxLength {
		t.Errorf("the field begins with %d of %d characters", n, done.MaxLength)
	}
	menu := view.Blocks.BlockSet[1].(*slack.InputBlock).Element.(*slack.MultiSelectBlockElement)
	if len(menu.Options) != maxServers {
		t.Errorf("%d servers", len(menu.Options))
	}
	for _, o := range menu.Options {
		if n := utf8.RuneCountInString(o.Text.Text); n > maxLabel {
			t.Errorf("a server of %d characters", n)
		}
	}
	for _, v := range []slack.ModalViewRequest{view, waitForm(o, time.Now())} {
		for _, text := range []string{v.Title.Text, v.Submit.Text, v.Close.Text} {
			if utf8.RuneCountInString(text) > 24 {
				t.Errorf("%q is too long for a form", text)
			}
		}
		if first := v.Blocks.BlockSet[0].(*slack.InputBlock).BlockID; first != firstField(v.CallbackID) {
			t.Errorf("the first field of %s is %s, not %s", v.CallbackID, first, firstField(v.CallbackID))
		}
	}
}

func TestWaitFormBeginsAhead(t *testing.T) {
	for _, tt := range []struct{ now, want string }{
		{"2026-03-02T10:00:00Z", "2026-03-02T12:00:00Z"},
		{"2026-03-02T10:00:01Z", "2026-03-02T12:05:00Z"},
		{"2026-03-02T23:04:59Z", "2026-03-03T01:05:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		picker := waitForm(origin{}, now).Blocks.BlockSet[0].(*slack.InputBlock).Element.(*slack.DateTimePickerBlockElement)
		if got := time.Unix(picker.InitialDateTime, 0).UTC().Format(time.RFC3339); got != tt.want {
			t.Errorf("at %s it begins with %s, want %s", tt.now, got, tt.want)
		}
	}
}

func TestReleaseWords(t *testing.T) {
	long := strings.Repeat("x", 2*maxWords)
	for _, tt := range []struct {
		done    string
		servers []string
		links   string
		want    string
	}{
		{"", nil, "", ""},
		{" upgraded\nPostgreSQL ", nil, "", "upgraded PostgreSQL"},
		{"upgraded", []string{"docs", "registry", "docs", " "}, "", "upgraded (docs, registry)"},
		{"", []string{"docs", "registry"}, "", "docs, registry"},
		{"upgraded", nil, "https://x.org/1\n https://x.org/2\n", "upgraded https://x.org/1 https://x.org/2"},
		{"", []string{"docs"}, "https://x.org/1", "docs https://x.org/1"},
		{"", nil, "https://x.org/1", "https://x.org/1"},
		{"a &lt; b <c> & d\u202e", []string{"docs"}, "", "a < b <c> & d (docs)"},
		{long, []string{"docs"}, "https://x.org/1", long[:maxWords-len(" (docs) https://x.org/1")-1] + "… (docs) https://x.org/1"},
		{long, nil, "https://x.org/" + long, strings.Repeat("x", 39) + "… https://x.org/" + strings.Repeat("x", maxWords-40-len(" https://x.org/")-1) + "…"},
	} {
		if got := releaseWords(tt.done, tt.servers, tt.links); got != tt.want {
			t.Errorf("releaseWords(%.20q, %q, %.20q) =\n%q, want\n%q", tt.done, tt.servers, tt.links, got, tt.want)
		}
	}
}

func FuzzReleaseWords(f *testing.F) {
	f.Add("upgraded &amp; restarted", "docs", "https://x.org\nhttps://y.org")
	f.Add(strings.Repeat("é", 600), strings.Repeat("d", 600), "\u202e\x00\xff")
	f.Fuzz(func(t *testing.T, done, server, links string) {
		got := releaseWords(done, []string{server, server}, links)
		if got != deploytoken.CleanLine(got, maxWords) {
			t.Errorf("%q is not one clean line", got)
		}
		if (got == "") != (deploytoken.CleanLine(unescape(done)+unescape(server)+unescape(links), 0) == "") {
			t.Errorf("%q of %q, %q, %q", got, done, server, links)
		}
	})
}
