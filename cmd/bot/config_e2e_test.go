package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	w := newWorld(t)
	w.config["STORE_URL"] = "postgres://bot:correcthorse@db.example.org/bot"
	file := filepath.Join(w.dir, "bot.yaml")
	if err := os.WriteFile(file, []byte("google: {sheet: History, watch_interval: 30s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, stderr := w.bot(t, "config", "--config", file)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, part := range []string{
		"channel: " + channel, "sheet: History", "watch_interval: 1s", "url: postgres://bot:xxxxx@db.example.org/bot",
		"repositories: [., pillar/private, salt/private]", "# SLACK_BOT_TOKEN: set",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("doesn't say %q:\n%s", part, out)
		}
	}
	for _, secret := range []string{"xoxb-", "xapp-", "correcthorse", "sandbox\n"} {
		if strings.Contains(out, secret) {
			t.Errorf("holds a secret:\n%s", out)
		}
	}

	if err := os.WriteFile(file, []byte("google: {shet: History}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, stderr := w.bot(t, "config", "--config", file); status != 1 || out != "" || !strings.Contains(stderr, "google.sheet?") {
		t.Errorf("status %d: %s%s", status, out, stderr)
	}

	status, example, _ := w.bot(t, "config", "example")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		t.Errorf("status %d", status)
	}
	if status, out, stderr := w.bot(t, "config", "--config", file); status != 0 || !strings.Contains(out, "kingfisher:") {
		t.Errorf("the example: status %d: %s", status, stderr)
	}
	status, schema, _ := w.bot(t, "config", "schema")
	if status != 0 || !json.Valid([]byte(schema)) {
		t.Errorf("status %d: %s", status, schema)
	}
	if status, _, stderr := w.bot(t, "config", "exmaple"); status != 2 || !strings.Contains(stderr, "exmaple") {
		t.Errorf("status %d: %s", status, stderr)
	}
}
