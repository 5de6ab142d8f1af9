package preflight

import (
	"fmt"
	"strings"
)

// A status is what git says of the files of a checkout.
type status struct {
	changed    []string // tracked, staged or not
	conflicts  []string
	untracked  []string // folders end in "/"
	hidden     []string // whose changes git was told not to see
	submodules []string
}

// parseStatus reads what git status --porcelain=v2 -z writes: records that end
// in NUL. Of a renamed file, the next record is where it was.
func parseStatus(out string) (status, error) {
	var s status
	for out != "" {
		record, rest, ended := strings.Cut(out, "\x00")
		if !ended {
			return status{}, fmt.Errorf("git's answer is cut: %q", record)
		}
		out = rest
		kind, _, _ := strings.Cut(record, " ")
		fields := map[string]int{"1": 9, "2": 10, "u": 11, "?": 2, "#": 2, "!": 2}[kind]
		parts := strings.SplitN(record, " ", max(fields, 1))
		if fields == 0 || len(parts) != fields || parts[fields-1] == "" {
			return status{}, fmt.Errorf("git's answer is not understood: %q", record)
		}
		path := parts[fields-1]
		switch kind {
		case "?":
			s.untracked = append(s.untracked, path)
		case "u":
			s.conflicts = append(s.conflicts, path)
		case "1", "2":
			if kind == "2" {
				if _, out, ended = strings.Cut(out, "\x00"); !ended {
					return status{}, fmt.Errorf("git's answer is cut after %q", record)
				}
			}
			// "S" and what of the submodule is changed; "N..." for a file.
			if strings.HasPrefix(parts[2], "S") {
				s.submodules = append(s.submodules, path)
			} else {
				s.changed = append(s.changed, path)
			}
		}
	}
	return s, nil
}

// An index is what git keeps of the files of a checkout, as far as its status
// doesn't tell of it.
type index struct {
	submodules []string
	// assumed are files whose changes git was told not to look for; skipped
	// those that needn't be there, as in a sparse checkout, and whose changes it
	// doesn't see where they are.
	assumed, skipped []string
}

// parseIndex reads what git ls-files -v --stage -z writes: records of a letter,
// the mode, the object, the stage, a tab and the path.
func parseIndex(out string) index {
	var i index
	for record := range strings.SplitSeq(out, "\x00") {
		about, path, ok := strings.Cut(record, "\t")
		tag, rest, _ := strings.Cut(about, " ")
		switch {
		case !ok:
		case strings.HasPrefix(rest, "160000 "):
			i.submodules = append(i.submodules, path)
		case tag == "S":
			i.skipped = append(i.skipped, path)
		case tag != strings.ToUpper(tag):
			i.assumed = append(i.assumed, path)
		}
	}
	return i
}

// parseDefault reads what git ls-remote --symref writes, and returns the branch
// that the remote's HEAD stands for; "" where it doesn't say.
func parseDefault(out string) string {
	for line := range strings.Lines(out) {
		target, name, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if branch, ok := strings.CutPrefix(target, "ref: refs/heads/"); ok && name == "HEAD" {
			return branch
		}
	}
	return ""
}
