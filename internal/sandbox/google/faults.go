package google

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Operation names what a request asks for.
type Operation string

// The operations of the server.
const (
	DocsGet            Operation = "docs.get"
	DocsBatchUpdate    Operation = "docs.batchUpdate"
	SheetsGet          Operation = "sheets.get"
	SheetsBatchUpdate  Operation = "sheets.batchUpdate"
	SheetsValuesGet    Operation = "sheets.values.get" // batchGet too
	SheetsValuesAppend Operation = "sheets.values.append"
	SheetsValuesUpdate Operation = "sheets.values.update"
	SheetsMetadata     Operation = "sheets.developerMetadata"
	DriveGet           Operation = "drive.get"
	TokenIssue         Operation = "token"
)

var operations = []Operation{
	DocsGet, DocsBatchUpdate, SheetsGet, SheetsBatchUpdate, SheetsValuesGet, SheetsValuesAppend,
	SheetsValuesUpdate, SheetsMetadata, DriveGet, TokenIssue,
}

// FaultKind is what goes wrong with a request.
type FaultKind string

const (
	// DropBefore closes the connection; nothing is done.
	DropBefore FaultKind = "drop_before"
	// DropAfter does what was asked, then closes the connection in place of an answer.
	DropAfter FaultKind = "drop_after"
	// FailBefore answers with Status (503 where 0); nothing is done.
	FailBefore FaultKind = "fail_before"
	// FailAfter does what was asked, then answers with Status (503 where 0).
	FailAfter FaultKind = "fail_after"
	// RateLimit answers 429 RESOURCE_EXHAUSTED; nothing is done.
	RateLimit FaultKind = "rate_limit"
	// DelayRequest waits, then goes on, unless the client left meanwhile: then nothing is done.
	DelayRequest FaultKind = "delay_request"
	// DelayCommit waits, then does what was asked as of then, even if the client left meanwhile.
	DelayCommit FaultKind = "delay_commit"
	// DelayAnswer does what was asked, waits, then answers.
	DelayAnswer FaultKind = "delay_answer"
)

var faultKinds = []FaultKind{DropBefore, DropAfter, FailBefore, FailAfter, RateLimit, DelayRequest, DelayCommit, DelayAnswer}

// A Fault is switched on by AddFault and befalls requests that have a valid token. In JSON, Delay is
// written as "500ms".
type Fault struct {
	// ID is given by AddFault.
	ID        int           `json:"id"`
	Operation Operation     `json:"operation,omitempty"` // empty: any
	File      string        `json:"file,omitempty"`      // the file's ID; empty: any
	Kind      FaultKind     `json:"kind"`
	Skip      int           `json:"skip,omitempty"`   // lets so many matching requests pass first
	Count     int           `json:"count,omitempty"`  // how many requests it befalls; 0: all, until it is removed
	Delay     time.Duration `json:"-"`                // how long the delays wait; 0: until Release
	Status    int           `json:"status,omitempty"` // of FailBefore and FailAfter, 400 to 599; 0: 503

	// Hits is how many requests it has befallen, Waiting how many it holds now. Faults reports them.
	Hits    int `json:"hits"`
	Waiting int `json:"waiting"`
}

type faultFields Fault

type faultJSON struct {
	faultFields
	Delay string `json:"delay,omitempty"`
}

// MarshalJSON writes the fault with its delay as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	out := faultJSON{faultFields: faultFields(f)}
	if f.Delay != 0 {
		out.Delay = f.Delay.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads a fault with its delay as text.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var in faultJSON
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*f = Fault(in.faultFields)
	if in.Delay == "" {
		return nil
	}
	var err error
	f.Delay, err = time.ParseDuration(in.Delay)
	return err
}

func (f Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("fault kind %q: want one of %v", f.Kind, faultKinds)
	case f.Operation != "" && !slices.Contains(operations, f.Operation):
		return fmt.Errorf("operation %q: want one of %v", f.Operation, operations)
	case f.Skip < 0 || f.Count < 0 || f.Delay < 0:
		return errors.New("a fault's skip, count and delay can't be negative")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status %d: want one from 400 to 599", f.Status)
	}
	return nil
}

// activeFault is a fault that is switched on.
type activeFault struct {
	Fault
	released chan struct{} // closed by Release
}

// AddFault switches a fault on and returns its ID. Of several that match, the one added first befalls.
func (s *Server) AddFault(f Fault) (int, error) {
	if err := f.check(); err != nil {
		return 0, fmt.Errorf("local Google: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faultSeq++
	f.ID, f.Hits, f.Waiting = s.faultSeq, 0, 0
	s.faults = append(s.faults, &activeFault{Fault: f, released: make(chan struct{})})
	s.notify(Change{Kind: "fault", Seq: f.ID})
	return f.ID, nil
}

// Release lets go of the requests that a fault holds; those it befalls later don't wait either.
func (s *Server) Release(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.ID == id {
			f.release()
		}
	}
}

func (f *activeFault) release() {
	select {
	case <-f.released:
	default:
		close(f.released)
	}
}

// RemoveFault switches a fault off and releases what it holds.
func (s *Server) RemoveFault(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeFaults(func(f *activeFault) bool { return f.ID == id })
}

// ClearFaults switches every fault off and releases what they hold.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeFaults(func(*activeFault) bool { return true })
}

func (s *Server) removeFaults(which func(*activeFault) bool) {
	s.faults = slices.DeleteFunc(s.faults, func(f *activeFault) bool {
		if !which(f) {
			return false
		}
		f.release()
		return true
	})
	s.notify(Change{Kind: "fault"})
}

// Faults lists what was switched on and not off again, also faults that are used up.
func (s *Server) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Fault, len(s.faults))
	for i, f := range s.faults {
		out[i] = f.Fault
	}
	return out
}

// takeFault finds the fault that befalls a request, if any does. s.mu is held.
func (s *Server) takeFault(op Operation, fileID string) *activeFault {
	for _, f := range s.faults {
		if f.Operation != "" && f.Operation != op || f.File != "" && f.File != fileID || f.Count > 0 && f.Hits >= f.Count {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		f.Hits++
		s.notify(Change{Kind: "fault", Seq: f.ID})
		return f
	}
	return nil
}

// wait waits as a fault says, and says whether it ran to its end before ctx did.
func (s *Server) wait(ctx context.Context, f *activeFault) bool {
	s.countWaiting(f, 1)
	defer s.countWaiting(f, -1)
	var after <-chan time.Time
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-after:
	case <-f.released:
	case <-ctx.Done():
		return false
	}
	return true
}

func (s *Server) countWaiting(f *activeFault, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Waiting += n
	s.notify(Change{Kind: "fault", Seq: f.ID})
}

// failure is what FailBefore and FailAfter answer.
func (f *activeFault) failure() *apiError {
	code := f.Status
	if code == 0 {
		code = http.StatusServiceUnavailable
	}
	message := "Internal error encountered."
	switch code {
	case http.StatusServiceUnavailable:
		message = "The service is currently unavailable."
	case http.StatusGatewayTimeout:
		message = "The request has timed out."
	case http.StatusBadRequest:
		message = "Request contains an invalid argument."
	case http.StatusForbidden:
		message = "The caller does not have permission"
	}
	return &apiError{code: code, status: statusOf(code), message: message}
}
