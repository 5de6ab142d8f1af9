package kingfisher

import (
	"errors"
	"io"
	"strings"
	"testing"
)

const testNonce = "01234567-89ab-4def-8123-456789abcdef"

// output is the script's output with @ for the nonce.
func output(s string) string { return strings.ReplaceAll(s, "@", testNonce) }

func TestReader(t *testing.T) {
	const text = `Welcome!

kingfisher-busier

kingfisher-busy 2 @ +0200
stray text
@ begin tmux
@ fact denied 7 alice
@ run socket alice /tmp/tmux-7/a b
one
ffffffffffffffffffffffffffffffff exit 0
two

@ err
complaint

@ exit 1
@ run ps

@ err

@ exit 153
@ end tmux
@ begin postgres
@ failed postgres
`
	r := newReader(strings.NewReader(output(text)))
	h, err := r.hello()
	if err != nil {
		t.Fatal(err)
	}
	if h.nonce != testNonce || h.zone.String() != "" || r.noise != "Welcome!" {
		t.Errorf("hello is %+v, noise %q", h, r.noise)
	}
	s, err := r.section()
	if err != nil {
		t.Fatal(err)
	}
	if s.name != "tmux" || !s.complete || len(s.runs) != 2 || len(s.fact("denied")) != 1 || s.fact("denied")[0][1] != "alice" {
		t.Fatalf("the section is %+v", s)
	}
	socket := s.runs[0]
	if socket.kind != "socket" || socket.args != "alice /tmp/tmux-7/a b" || socket.status != 1 ||
		string(socket.out) != "one\nffffffffffffffffffffffffffffffff exit 0\ntwo\n\n" || strings.TrimSpace(string(socket.err)) != "complaint" {
		t.Errorf("the run is %+v: %q", socket, socket.out)
	}
	if s.runs[1].failure("ps") != "ps printed too much" {
		t.Errorf("the cut run is %+v", s.runs[1])
	}
	if s, err = r.section(); err != nil || s.name != "postgres" || s.complete {
		t.Errorf("the failed section is %+v, %v", s, err)
	}
	if _, err = r.section(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// A section counts as complete only if its end has come.
func TestReaderCutOff(t *testing.T) {
	text := output("kingfisher-busy 2 @ +0000\n@ begin tmux\n@ run ps\nx\n@ err\n@ exit 0\n@ end tmux\n")
	for i := range len(text) {
		r := newReader(strings.NewReader(text[:i]))
		if _, err := r.hello(); err != nil {
			continue
		}
		if s, err := r.section(); err == nil || s.complete {
			t.Errorf("%q is a complete section: %+v", text[:i], s)
		}
	}
}

func TestHelloRefuses(t *testing.T) {
	for _, text := range []string{
		"kingfisher-busy \n", "kingfisher-busy 3 @ +0000\n", "kingfisher-busy 2 short +0000\n",
		"kingfisher-busy 2 @\n", "kingfisher-busy 2 @ CEST\n", "nothing\n", "",
	} {
		if h, err := newReader(strings.NewReader(output(text))).hello(); err == nil {
			t.Errorf("%q is taken for %+v", text, h)
		}
	}
}

func TestReaderHasALimit(t *testing.T) {
	r := newReader(strings.NewReader(output("kingfisher-busy 2 @ +0000\n@ begin tmux\n") + strings.Repeat("x", maxOutput)))
	if _, err := r.hello(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.section(); !errors.Is(err, errTooMuch) {
		t.Errorf("the error is %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(output("kingfisher-busy 2 @ +0000\n@ begin tmux\n@ fact a b\n@ run ps\nx\n@ err\ny\n@ exit 0\n@ end tmux\n"))
	f.Add(output("kingfisher-busy 2 @ +0000\n@ begin tmux\n@ fact odd\n@ fact denied\n@ run socket\n@ exit 0\n@ end tmux\n@ begin postgres\n@ fact down\n@ end postgres\n"))
	f.Add(output("noise\n\nkingfisher-busy 2 @ +0000\n@ begin x\n@ exit 0\n@ fact\n@ run\n@ end x"))
	f.Fuzz(func(t *testing.T, text string) {
		r := newReader(strings.NewReader(text))
		if _, err := r.hello(); err != nil {
			return
		}
		c := testChecker(t)
		for {
			s, err := r.section()
			if err != nil {
				return
			}
			if s.complete && !strings.Contains(text, r.nonce+" end "+s.name) {
				t.Errorf("a section without its end is complete: %+v", s)
			}
			c.tmuxResult(s)
			c.postgresResult(s)
			c.scrapydResult(scrapydJobs{}, nil, hello{}, s, nil, true)
		}
	})
}
