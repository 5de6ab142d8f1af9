package ledger

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

var update = flag.Bool("update", false, "write the golden files")

// TestIntentEncoding holds that a write which one release left open can be
// read by the next: what changes the encoding needs a migration.
func TestIntentEncoding(t *testing.T) {
	golden := filepath.Join("testdata", "intent.json")
	got, err := json.MarshalIndent(fullIntent(), "", "  ")
	check(t, err)
	if *update {
		check(t, os.WriteFile(golden, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(golden)
	check(t, err)
	equal(t, "the encoding", string(got)+"\n", string(want))
	var i deploytoken.Intent
	check(t, json.Unmarshal(want, &i))
	equal(t, "the intent", i, fullIntent())
}
