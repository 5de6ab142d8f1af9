package app

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/open-contracting/deploytoken/"

// mayImport says which packages of the project each of them may import, tests
// aside, and thereby which way things may depend on each other. Whatever is
// missing here may import none, and only a package named here may exist.
var mayImport = map[string][]string{
	"cmd/bot": {
		"internal/app", "internal/config", "internal/demo", "internal/doctor", "internal/guard", "internal/preflight",
	},
	"internal/app": {
		"internal/config", "internal/deploytoken", "internal/doctor", "internal/gdoc", "internal/guard",
		"internal/kingfisher", "internal/ledger", "internal/preflight", "internal/slackapp",
	},
	"internal/demo": {
		"internal/app", "internal/config", "internal/deploytoken", "internal/sandbox/google",
		"internal/sandbox/kingfisher", "internal/sandbox/slack",
	},
	"internal/checker":            {"internal/sandbox/google", "internal/sandbox/kingfisher", "internal/sandbox/slack"},
	"internal/config":             nil,
	"internal/deploytoken":        nil,
	"internal/doctor":             nil,
	"internal/guard":              nil,
	"internal/preflight":          nil,
	"internal/gdoc":               {"internal/deploytoken"},
	"internal/kingfisher":         {"internal/deploytoken"},
	"internal/ledger":             {"internal/deploytoken"},
	"internal/ledger/ledgertest":  {"internal/deploytoken"},
	"internal/slackapp":           {"internal/deploytoken"},
	"internal/sandbox/google":     nil,
	"internal/sandbox/kingfisher": nil,
	"internal/sandbox/slack":      nil,
}

// TestImports holds the project's packages to who may import whom.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s: say here what it may import", name)
		}
		for _, i := range p.Imports {
			local, ours := strings.CutPrefix(i, module)
			if ours && !slices.Contains(allowed, local) {
				t.Errorf("%s imports %s", name, local)
			}
			if name == "internal/deploytoken" && strings.Contains(strings.Split(i, "/")[0], ".") {
				t.Errorf("%s imports %s, which is not in the standard library", name, i)
			}
		}
	}
}
