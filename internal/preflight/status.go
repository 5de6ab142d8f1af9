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

// parseGitlinks reads what git ls-files --stage -z writes, and returns the
// paths of the submodules.
func parseGitlinks(out string) []string {
	var paths []string
	for record := range strings.SplitSeq(out, "\x00") {
		if about, path, ok := strings.Cut(record, "\t"); ok && strings.HasPrefix(about, "160000 ") {
			paths = append(paths, path)
		}
	}
	return paths
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
