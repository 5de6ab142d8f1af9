package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The most that is read of the configuration file, and of a secret's.
const (
	maxFile   = 1 << 20
	maxSecret = 64 << 10
)

// Load reads the configuration that cmd needs: the file at path, or none if
// path is empty; over it, the variables that env knows, which is like
// [os.LookupEnv]; and the secrets.
//
// What isn't given has its default. What is given must be right, also where cmd
// makes no use of it; files other than the configuration's are opened only
// where cmd does. If anything is wrong, Load returns no configuration, and an
// error whose text has one line for each mistake, in the order of the file and
// then of the example. Each names the key, where it was given and what would be
// right. No secret is in it.
func Load(path string, env func(string) (string, bool), cmd Command) (*Config, error) {
	var file []byte
	if path != "" {
		var err error
		if file, err = readFile(path, maxFile); err != nil {
			return nil, fmt.Errorf("%s: the configuration can't be read: %w", path, err)
		}
	}
	return load(path, file, env, cmd)
}

func load(path string, file []byte, env func(string) (string, bool), cmd Command) (*Config, error) {
	c := defaults()
	l := loader{path: path, cmd: cmd, keys: c.keys(), wrong: map[string]bool{}}
	if err := l.readYAML(file); err != nil {
		return nil, err
	}
	l.readEnvironment(env)
	l.demand()
	if k := c.Kingfisher; l.kingfisher && cmd.uses(kingfisherPart) && k.ScrapydUsername.Empty() != k.ScrapydPassword.Empty() &&
		!l.wrong["SCRAPYD_USERNAME"] && !l.wrong["SCRAPYD_PASSWORD"] {
		l.mistake(0, "", "SCRAPYD_USERNAME and SCRAPYD_PASSWORD", "only one is given: give both, or neither")
	}
	if len(l.mistakes) > 0 {
		return nil, errors.Join(l.mistakes...)
	}
	if !l.kingfisher {
		c.Kingfisher = nil
	}
	return c, nil
}

// A loader collects what is wrong while a configuration is read.
type loader struct {
	path string
	cmd  Command
	keys []key
	// kingfisher is whether anything of that section was given.
	kingfisher bool
	mistakes   []error
	// wrong has the names of the keys that a mistake was found in.
	wrong map[string]bool
}

// mistake notes what is wrong with the named key, which was given at source and
// on that line of it; source may be empty, and line 0, where there is none.
func (l *loader) mistake(line int, source, name, message string) {
	text := name + ": " + message
	if line > 0 {
		source = fmt.Sprintf("%s:%d", source, line)
	}
	if source != "" {
		text = source + ": " + text
	}
	l.mistakes = append(l.mistakes, errors.New(text))
	l.wrong[name] = true
}

// readYAML takes over what the file holds. An error means that it is no YAML.
func (l *loader) readYAML(file []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return l.syntaxError(err)
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return l.syntaxError(err)
	default:
		return fmt.Errorf("%s:%d: a second document begins here: keep one, and remove the lines with ---", l.path, second.Line)
	}
	switch root := target(document.Content[0]); {
	case root.Kind == yaml.MappingNode:
		l.section("", root)
	case root.ShortTag() != "!!null":
		return fmt.Errorf("%s:%d: %s where there should be sections, such as slack and google", l.path, root.Line, kindOf(root))
	}
	return nil
}

func (l *loader) syntaxError(err error) error {
	return fmt.Errorf("%s: this is not valid YAML: %s", l.path, strings.TrimPrefix(err.Error(), "yaml: "))
}

// section takes over the keys of the section at path, which ends in a dot
// unless it is empty.
func (l *loader) section(path string, n *yaml.Node) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := target(n.Content[i]), n.Content[i+1]
		given, ok := textOf(name)
		if !ok {
			l.mistake(name.Line, l.path, cmp.Or(strings.TrimSuffix(path, "."), "the file"), kindOf(name)+" where there should be the name of a key")
			continue
		}
		full := path + given
		if first := seen[given]; first > 0 {
			l.mistake(name.Line, l.path, path+shownName(given), fmt.Sprintf("it is there twice, first on line %d: remove one", first))
			continue
		}
		seen[given] = name.Line
		if full == "kingfisher" || strings.HasPrefix(full, "kingfisher.") {
			l.kingfisher = true
		}
		if i := slices.IndexFunc(l.keys, func(k key) bool { return k.path != "" && k.path == full }); i >= 0 {
			k := l.keys[i]
			k.value.read(content, k, func(line int, message string) { l.mistake(line, l.path, k.path, message) })
			if s, ok := k.value.(scalar[Secret]); ok && s.at.masked() {
				l.mistake(content.Line, l.path, k.path, fmt.Sprintf(
					"it holds a password: remove it here, and set %s, or %s_FILE to the path of a file that holds it", k.variable, k.variable))
			}
			continue
		}
		if !l.isSection(full) {
			l.mistake(name.Line, l.path, path+shownName(given), "there is no such key: "+l.remedy(path, given))
			continue
		}
		switch section := target(content); {
		case section.Kind == yaml.MappingNode:
			l.section(full+".", section)
		case section.ShortTag() != "!!null":
			l.mistake(section.Line, l.path, full, kindOf(section)+" where there should be a section, with "+strings.Join(l.names(full+"."), ", "))
		case full == "kingfisher":
			l.mistake(section.Line, l.path, full, "nothing is given: write kingfisher: {} to check that server with the defaults, or remove the line")
		}
	}
}

// isSection tells whether any key's path goes on after path.
func (l *loader) isSection(path string) bool { return len(l.names(path+".")) > 0 }

// names lists the keys and sections at path, which ends in a dot unless it is
// empty.
func (l *loader) names(path string) []string {
	var names []string
	for _, k := range l.keys {
		if rest, ok := strings.CutPrefix(k.path, path); ok && k.path != "" {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// remedy says what may have been meant by a name that isn't known at path,
// which ends in a dot unless it is empty.
func (l *loader) remedy(path, given string) string {
	plain := strings.ReplaceAll(strings.ToLower(given), "-", "_")
	variable := strings.ToUpper(strings.ReplaceAll(path, ".", "_") + plain)
	for _, k := range l.keys {
		if k.path == "" && strings.HasSuffix(variable, k.variable) {
			return "it is given in the environment only, as " + k.variable
		}
	}
	names := l.names(path)
	var here, anywhere []string
	for _, name := range names {
		here = append(here, path+name)
	}
	for _, k := range l.keys {
		if k.path != "" {
			anywhere = append(anywhere, k.path)
		}
	}
	meant := nearest(plain, here)
	if meant == nil {
		meant = nearest(plain, anywhere)
	}
	if meant == nil {
		return "what can stand here is " + strings.Join(names, ", ")
	}
	return "did you mean " + strings.Join(meant, " or ") + "?"
}

// nearest lists those of the paths whose last names are spelt most like name,
// if any is near.
func nearest(name string, paths []string) []string {
	var found []string
	least := max(1, len(name)/3)
	for _, path := range paths {
		last := path[strings.LastIndex(path, ".")+1:]
		d := distance(name, last)
		if len(name) >= 3 && strings.HasPrefix(last, name) {
			d = min(d, 1)
		}
		if d < least {
			found = nil
		}
		if d <= least {
			found = append(found, path)
			least = d
		}
	}
	return found
}

// distance is how many letters must be added, removed or changed to make b of a
// (the Levenshtein distance). What is far longer than any key counts by its
// length alone.
func distance(a, b string) int {
	if len(a) > 2*len(b) {
		return len(a) - len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// shownName is a key as it was given, quoted unless it looks like one.
func shownName(given string) string {
	if quoted := quote(given); quoted != `"`+given+`"` || strings.ContainsAny(given, " .:") || given == "" {
		return quoted
	}
	return given
}

// readEnvironment takes over what variables give.
func (l *loader) readEnvironment(env func(string) (string, bool)) {
	for _, k := range l.keys {
		given, source, ok := l.lookUp(k, env)
		if !ok {
			continue
		}
		if strings.HasPrefix(k.path, "kingfisher.") {
			l.kingfisher = true
		}
		wrong := func(_ int, message string) {
			if source == k.name() {
				source = ""
			}
			l.mistake(0, source, k.name(), message)
		}
		if !k.secret && !utf8.ValidString(given) {
			wrong(0, "it is not valid UTF-8")
			continue
		}
		n, err := k.value.split(given)
		if err != nil {
			wrong(0, err.Error())
			continue
		}
		k.value.read(n, k, wrong)
	}
}

// lookUp finds what the environment gives for k, if it does, and which variable
// did. A secret, and whatever has no key in the file, is not given where its
// variable is empty: such are often left blank in templates.
func (l *loader) lookUp(k key, env func(string) (string, bool)) (given, source string, ok bool) {
	given, ok = env(k.variable)
	if !k.secret {
		if k.path == "" && (given == "" || !l.cmd.uses(k.part)) {
			return "", "", false
		}
		return given, k.variable, ok
	}
	source = k.variable + "_FILE"
	path, _ := env(source)
	switch {
	case given != "" && path != "":
		l.mistake(0, "", k.name(), fmt.Sprintf("both %s and %s are set: unset one", k.variable, source))
		return "", "", false
	case given != "":
		return given, k.variable, true
	case path == "" || !l.cmd.uses(k.part):
		return "", "", false
	}
	content, err := readFile(path, maxSecret)
	if err != nil {
		l.mistake(0, source, k.name(), fmt.Sprintf("the file %s can't be read: %v", quote(path), err))
		return "", "", false
	}
	given = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if given == "" {
		l.mistake(0, source, k.name(), fmt.Sprintf("the file %s is empty", quote(path)))
		return "", "", false
	}
	return given, source, true
}

// demand notes what the subcommand can't do without and wasn't given.
func (l *loader) demand() {
	if l.cmd.requires(kingfisherPart) && !l.kingfisher {
		l.mistake(0, l.path, "kingfisher", "missing: add the section, if only as kingfisher: {}, or set one of its variables, such as KINGFISHER_SSH_ADDRESS")
	}
	for _, k := range l.keys {
		switch {
		case !k.required || !l.cmd.requires(k.part) || !k.value.empty() || l.wrong[k.name()]:
		case k.path == "":
			l.mistake(0, "", k.variable, fmt.Sprintf("missing: set it to %s, or %s_FILE to the path of a file that holds it", k.want, k.variable))
		case l.path == "":
			l.mistake(0, "", k.path, fmt.Sprintf("missing: set %s to %s, or name a file that has it with --config", k.variable, k.want))
		default:
			l.mistake(0, l.path, k.path, fmt.Sprintf("missing: give %s here or in %s", k.want, k.variable))
		}
	}
}

// readFile reads a file that has no more than most bytes.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, cause(err)
	}
	if int64(len(content)) > most {
		return nil, fmt.Errorf("it is larger than %d KiB", most>>10)
	}
	return content, nil
}
