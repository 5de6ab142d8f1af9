package demo

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/open-contracting/deploytoken/internal/checker"
)

// program is the command, built once.
var program struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	endChromium()
	if program.dir != "" {
		os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

func build() {
	dir, err := os.MkdirTemp("", "deploytoken-")
	if err != nil {
		program.err = err
		return
	}
	program.dir = dir
	program.path, program.err = checker.Build(context.Background(), filepath.Join("..", ".."), dir)
}

// start runs “bot demo” until the test ends, and returns the page's address.
func start(t testing.TB) string {
	t.Helper()
	program.once.Do(build)
	if program.err != nil {
		t.Fatal(program.err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, program.path, "demo", "--address", "127.0.0.1:0")
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.WaitDelay = patience
	stderr := new(strings.Builder)
	c.Stderr = stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stdout)
	line, err := said.ReadString('\n')
	if err != nil {
		t.Fatalf("reading the page's address: %v\n%s", err, stderr)
	}
	rest := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, said)
		rest <- err
	}()
	t.Cleanup(func() {
		cancel()
		<-rest
		if err := c.Wait(); c.ProcessState.ExitCode() != 0 {
			t.Errorf("the demo ended with %v\n%s", err, stderr)
		}
	})
	_, url, _ := strings.Cut(strings.TrimSpace(line), "The demo is at ")
	return url
}
