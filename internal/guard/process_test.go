package guard

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// A command that doesn't heed SIGTERM is killed after the grace.
func TestStopKills(t *testing.T) {
	ready, says, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	p, err := prepare([]string{"sh", "-c", "trap '' TERM; echo ready >&3; while :; do sleep 0.01; done"})
	if err != nil {
		t.Fatal(err)
	}
	p.command.ExtraFiles = []*os.File{says}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	says.Close()
	if _, err := ready.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	d := &document{token: bob}
	g := Guard{Name: "Ana Díaz", Document: d, Strict: true, Interval: time.Millisecond, Settle: time.Millisecond,
		Grace: 50 * time.Millisecond, Warn: func(string) {}}
	_, err = g.accompany(t.Context(), p, nil)
	stopped, ok := errors.AsType[*StoppedError](err)
	if !ok || stopped.Exit.Status != 128+int(syscall.SIGKILL) {
		t.Errorf("the command ended with %v", err)
	}
}
