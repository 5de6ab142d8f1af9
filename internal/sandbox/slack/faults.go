package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// FaultKind is what goes wrong with a call.
type FaultKind string

const (
	FaultRateLimited FaultKind = "ratelimited"  // 429 with Retry-After, not processed
	FaultServerError FaultKind = "server_error" // 500 with an HTML page, not processed
	FaultError       FaultKind = "error"        // ok false with Fault.Error, not processed
	FaultDropped     FaultKind = "dropped"      // the connection is cut before processing
	FaultLost        FaultKind = "lost"         // processed, then the connection is cut before the answer
	FaultDelayed     FaultKind = "delayed"      // processed after Delay, which any kind may have
)

// Fault is something that goes wrong with the app's next calls. In JSON, times are written as "1.5s".
type Fault struct {
	Method     string // such as chat.postMessage, or response_url; "" strikes every call
	Kind       FaultKind
	Count      int           // how many calls; 0: all, until ClearFaults
	RetryAfter time.Duration // of ratelimited, in whole seconds; default 1 s
	Delay      time.Duration // waited before the call is processed or refused
	Error      string        // of error: Slack's word
}

type faultJSON struct {
	Method     string    `json:"method"`
	Kind       FaultKind `json:"kind"`
	Count      int       `json:"count"`
	RetryAfter string    `json:"retry_after,omitempty"`
	Delay      string    `json:"delay,omitempty"`
	Error      string    `json:"error,omitempty"`
}

// MarshalJSON writes the fault in the form that the control interface takes.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{Method: f.Method, Kind: f.Kind, Count: f.Count, Error: f.Error}
	if f.RetryAfter > 0 {
		j.RetryAfter = f.RetryAfter.String()
	}
	if f.Delay > 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads a fault, and refuses fields that it doesn't know.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	var j faultJSON
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return err
	}
	read := Fault{Method: j.Method, Kind: j.Kind, Count: j.Count, Error: j.Error}
	var err error
	if j.RetryAfter != "" {
		if read.RetryAfter, err = time.ParseDuration(j.RetryAfter); err != nil {
			return fmt.Errorf("retry_after: %w", err)
		}
	}
	if j.Delay != "" {
		if read.Delay, err = time.ParseDuration(j.Delay); err != nil {
			return fmt.Errorf("delay: %w", err)
		}
	}
	*f = read
	return nil
}

// faults are the switches by which things go wrong. s.mu guards them.
type faults struct {
	list        []*Fault
	tokenErrors map[TokenKind]string
	scopes      []string
	rateLimited bool
	duplicates  int // envelopes still to be delivered twice
}

func newFaults(scopes []string) faults {
	return faults{scopes: slices.Clone(scopes), tokenErrors: make(map[TokenKind]string)}
}

// AddFault makes calls go wrong from now on. Faults strike in the order in which they were added, one
// for each call.
func (s *Server) AddFault(f Fault) error {
	switch f.Kind {
	case FaultRateLimited, FaultServerError, FaultDropped, FaultLost:
	case FaultDelayed:
		if f.Delay <= 0 {
			return fmt.Errorf("a fault of kind delayed needs a delay")
		}
	case FaultError:
		if f.Error == "" {
			return fmt.Errorf("a fault of kind error needs Slack's word for the error")
		}
	default:
		return fmt.Errorf("no fault of kind %q", f.Kind)
	}
	if _, ok := methods[f.Method]; !ok && f.Method != "" && f.Method != "response_url" {
		return fmt.Errorf("no method %q", f.Method)
	}
	if f.Count < 0 || f.Delay < 0 || f.RetryAfter < 0 {
		return fmt.Errorf("a fault's count, delay and retry_after can't be negative")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.list = append(s.faults.list, &f)
	s.notify(Change{Kind: "fault"})
	return nil
}

// ClearFaults makes calls go well again. Tokens, scopes, the rate limit and silenced connections stay
// as they were set.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.list = nil
	s.duplicates = 0
	s.notify(Change{Kind: "fault"})
}

// SetTokenError makes every call with a token fail with invalid_auth, token_revoked, account_inactive or
// whatever code says; "" makes the token good again.
func (s *Server) SetTokenError(kind TokenKind, code string) error {
	if kind != BotToken && kind != AppToken {
		return fmt.Errorf("no token of kind %q", kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenErrors[kind] = code
	s.notify(Change{Kind: "fault"})
	return nil
}

// SetScopes replaces the scopes that the bot token was granted.
func (s *Server) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = slices.Clone(scopes)
	s.notify(Change{Kind: "fault"})
}

// SetRateLimit turns on or off the limit of one chat.postMessage a second for each channel.
func (s *Server) SetRateLimit(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rateLimited = on
	s.notify(Change{Kind: "fault"})
}

// DuplicateEnvelopes delivers the next n envelopes twice, with the same envelope ID, each time over a
// connection chosen by itself.
func (s *Server) DuplicateEnvelopes(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.duplicates = max(n, 0)
	s.notify(Change{Kind: "fault"})
}

func (s *Server) limitRate(c *channel) error {
	now := s.cfg.Clock()
	if s.rateLimited && now.Sub(c.lastPost) < time.Second {
		return &apiError{code: "ratelimited", status: http.StatusTooManyRequests, retryAfter: time.Second}
	}
	c.lastPost = now
	return nil
}

func (s *Server) faultList() []Fault {
	list := make([]Fault, len(s.faults.list))
	for i, f := range s.faults.list {
		list[i] = *f
	}
	return list
}

// nextFault takes the fault that strikes a call of the method, if one does.
func (s *Server) nextFault(method string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults.list {
		if f.Method != "" && f.Method != method {
			continue
		}
		struck := *f
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				s.faults.list = slices.Delete(s.faults.list, i, i+1)
			}
		}
		return struck, true
	}
	return Fault{}, false
}

// strike answers a call by process, unless a fault has it otherwise, and records it.
func (s *Server) strike(w http.ResponseWriter, r *http.Request, record *Call, process func() answer) {
	f, struck := s.nextFault(record.Method)
	record.Fault = f.Kind
	if struck && f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
	}
	var a answer
	switch f.Kind {
	case FaultRateLimited:
		after := max(f.RetryAfter.Round(time.Second), time.Second)
		a = answer{http.StatusTooManyRequests, http.Header{
			"Content-Type": {"application/json; charset=utf-8"}, "Retry-After": {strconv.Itoa(int(after / time.Second))},
		}, []byte(`{"ok":false,"error":"ratelimited"}`)}
		record.Error = "ratelimited"
	case FaultServerError:
		a = answer{http.StatusInternalServerError, http.Header{"Content-Type": {"text/html"}},
			[]byte("<html><body>Server Error</body></html>")}
	case FaultError:
		a = answer{http.StatusOK, http.Header{"Content-Type": {"application/json; charset=utf-8"}},
			encode(object{"ok": false, "error": f.Error})}
		record.Error = f.Error
	case FaultDropped:
	default:
		a = process()
	}
	record.Status = a.status
	s.record(*record)
	if f.Kind == FaultDropped || f.Kind == FaultLost {
		panic(http.ErrAbortHandler)
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	w.Write(a.body)
}

func (s *Server) record(c Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.At = s.cfg.Clock()
	s.calls.add(c)
	s.notify(Change{Kind: "call"})
	s.log.Debug("call", "method", c.Method, "token", c.Token, "status", c.Status, "error", c.Error, "fault", c.Fault)
}
