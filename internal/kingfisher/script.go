package kingfisher

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ScriptVersion is the version of the output of the check's script that this
// package reads. A script that was installed on the server must be of the same.
const ScriptVersion = 2

// script is the shell script that makes the checks on the server. It is sent over
// SSH, or installed there behind a forced command.
//
//go:embed check.sh
var script string

const (
	// installedCommand runs a script that is installed on the server, where a
	// forced command allows nothing else, whatever is asked for.
	installedCommand = "kingfisher-busy"
	// greeting begins the first line of the script's output.
	greeting = "kingfisher-busy "
	// maxOutput is how much is read from the server, in bytes, before it counts
	// as a fault. The script itself passes on at most 1 MiB of each command.
	maxOutput = 16 << 20
)

// sentCommand runs the script that it carries, in a form in which the user's
// login shell, which may be any, finds nothing to interpret. Sent to the shell's
// standard input instead, the script would take a round trip more: a session
// takes no input before its command has been started.
var sentCommand = "echo " + base64.StdEncoding.EncodeToString([]byte(script)) + " | /usr/bin/base64 -d | /bin/sh -s"

// errTooMuch means that the server sent more than maxOutput.
var errTooMuch = errors.New("the server sent more than can be read")

// A hello is the first line of the script's output.
type hello struct {
	nonce string
	// zone is the server's time zone, by its current offset.
	zone *time.Location
}

// A section is what the script found for one check.
type section struct {
	name string
	// facts are the words of its facts, in order.
	facts [][]string
	runs  []run
	// complete is whether everything was passed on.
	complete bool
}

// A run is a command that the script ran.
type run struct {
	// kind and args are the words of its header.
	kind string
	args string
	out  []byte
	err  []byte
	// status is its exit status; -1 where that is not known.
	status int
}

// fact returns the words of the section's facts that begin with the given one,
// without that one.
func (s section) fact(word string) [][]string {
	var found [][]string
	for _, f := range s.facts {
		if f[0] == word {
			found = append(found, f[1:])
		}
	}
	return found
}

// run returns the section's first run of that kind.
func (s section) run(kind string) (run, bool) {
	for _, r := range s.runs {
		if r.kind == kind {
			return r, true
		}
	}
	return run{}, false
}

// timedOut is whether the script ended the command since it took too long.
// These are the statuses of timeout(1).
func (r run) timedOut() bool { return r.status == 124 || r.status == 137 }

// failure says why the program failed.
func (r run) failure(program string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(r.err)), "\n")
	switch {
	case r.timedOut():
		return program + " did not finish in time"
	case r.status == 128+25: // SIGXFSZ
		return program + " printed too much"
	case r.status == 127:
		return program + " was not found on the server"
	case first != "":
		return command(first, maxWhat)
	}
	return fmt.Sprintf("%s ended with status %d", program, r.status)
}

// A reader reads the script's output.
type reader struct {
	lines *bufio.Reader
	left  int
	// noise is the first line of text that came before the script's output, from
	// the shell's start-up files or in the script's place.
	noise string
	nonce string
}

func newReader(r io.Reader) *reader {
	return &reader{lines: bufio.NewReaderSize(r, 32<<10), left: maxOutput}
}

// line returns the next line without its end.
func (r *reader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		if r.left -= len(part); r.left < 0 {
			return nil, errTooMuch
		}
		line = append(line, part...)
		if err == nil {
			return bytes.TrimRight(line, "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			// A line without its end was cut off.
			return nil, err
		}
	}
}

// hello reads up to the first line of the script's output. It fails with io.EOF
// if the output ends before.
func (r *reader) hello() (hello, error) {
	for {
		line, err := r.line()
		if err != nil {
			return hello{}, err
		}
		text := string(line)
		switch {
		case strings.HasPrefix(text, greeting):
			h, err := parseHello(text)
			if err != nil {
				return hello{}, err
			}
			r.nonce = h.nonce
			return h, nil
		case r.noise == "":
			r.noise = oneLine(text, maxName)
		}
	}
}

func parseHello(line string) (hello, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return hello{}, fmt.Errorf("the check on the server began with %q, which is not understood", oneLine(line, maxName))
	}
	if version, err := strconv.Atoi(words[1]); err != nil || version != ScriptVersion {
		return hello{}, fmt.Errorf("the check that is installed on the server is of version %s, and this bot reads version %d: on the server, run deploy/kingfisher/install.sh of this bot's release", oneLine(words[1], maxName), ScriptVersion)
	}
	if len(words) != 4 || len(words[2]) != 36 || strings.Trim(words[2], "0123456789abcdef-") != "" {
		return hello{}, fmt.Errorf("the check on the server began with %q, which is not understood", oneLine(line, maxName))
	}
	t, err := time.Parse("-0700", words[3])
	if err != nil {
		return hello{}, fmt.Errorf("the check on the server gave %q for its time zone, which is not understood", oneLine(words[3], maxName))
	}
	_, offset := t.Zone()
	return hello{nonce: words[2], zone: time.FixedZone("", offset)}, nil
}

// section reads the next section; io.EOF means that there is none left. A
// section that is cut off is returned as far as it went, with an error.
func (r *reader) section() (section, error) {
	var (
		s       section
		current *run
		text    *[]byte
	)
	for {
		line, err := r.line()
		if err != nil {
			if errors.Is(err, io.EOF) && s.name != "" {
				err = io.ErrUnexpectedEOF
			}
			return s, err
		}
		control, ours := bytes.CutPrefix(line, []byte(r.nonce+" "))
		if !ours {
			if text != nil {
				*text = append(append(*text, line...), '\n')
			}
			continue
		}
		verb, rest, _ := strings.Cut(string(control), " ")
		if verb == "begin" {
			s = section{name: rest}
			current, text = nil, nil
			continue
		}
		if s.name == "" {
			continue
		}
		switch verb {
		case "fact":
			if words := strings.Fields(rest); len(words) > 0 {
				s.facts = append(s.facts, words)
			}
		case "run":
			kind, args, _ := strings.Cut(rest, " ")
			s.runs = append(s.runs, run{kind: kind, args: args, status: -1})
			current = &s.runs[len(s.runs)-1]
			text = &current.out
		case "err":
			if current != nil {
				text = &current.err
			}
		case "exit":
			if current != nil {
				if status, err := strconv.Atoi(rest); err == nil {
					current.status = status
				}
			}
			current, text = nil, nil
		case "end", "failed":
			s.complete = verb == "end" && rest == s.name && current == nil
			return s, nil
		}
	}
}
