package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// longPoll is how long GET /sandbox/state?after= waits for a change.
const longPoll = 30 * time.Second

// routeControl mounts the control interface that doc.go describes.
func (s *Server) routeControl(mux *http.ServeMux) {
	control := http.NewServeMux()
	get := func(path string, f func(r *http.Request) any) {
		control.HandleFunc("GET /sandbox/"+path, func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, http.StatusOK, f(r))
		})
	}
	get("messages", func(r *http.Request) any {
		q := r.URL.Query()
		if user := q.Get("user"); user != "" {
			return list(s.Visible(user, q.Get("channel")))
		}
		return list(s.Messages(q.Get("channel")))
	})
	get("thread", func(r *http.Request) any {
		return list(s.Thread(r.URL.Query().Get("channel"), r.URL.Query().Get("ts")))
	})
	get("direct", func(r *http.Request) any { return list(s.Direct(r.URL.Query().Get("user"))) })
	get("views", func(r *http.Request) any { return list(s.Views(r.URL.Query().Get("user"))) })
	get("home", func(r *http.Request) any {
		if v, ok := s.Home(r.URL.Query().Get("user")); ok {
			return v
		}
		return nil
	})
	get("calls", func(*http.Request) any { return list(s.Calls()) })
	get("deliveries", func(*http.Request) any { return list(s.Deliveries()) })
	control.HandleFunc("GET /sandbox/state", s.serveState)
	control.HandleFunc("GET /sandbox/events", s.serveEvents)

	post(control, "slash", func(ctx context.Context, in struct{ User, Channel, Command, Text string }) (any, error) {
		return s.Slash(ctx, in.User, in.Channel, in.Command, in.Text)
	})
	post(control, "click", func(ctx context.Context, in actRequest) (any, error) {
		on, err := in.target(s)
		if err != nil {
			return nil, err
		}
		return s.Click(ctx, in.User, on, in.Action)
	})
	post(control, "select", func(ctx context.Context, in actRequest) (any, error) {
		on, err := in.target(s)
		if err != nil {
			return nil, err
		}
		return s.Select(ctx, in.User, on, in.Action, in.Values...)
	})
	post(control, "fill", func(_ context.Context, in fillRequest) (any, error) {
		on, err := in.target(s)
		if err != nil {
			return nil, err
		}
		return object{}, s.Fill(in.User, on, in.Values)
	})
	post(control, "submit", func(ctx context.Context, in struct {
		User, View string
		Values     map[string][]string
	}) (any, error) {
		return s.SubmitView(ctx, in.User, in.View, in.Values)
	})
	post(control, "close", func(ctx context.Context, in struct{ User, View string }) (any, error) {
		return s.CloseView(ctx, in.User, in.View)
	})
	post(control, "home", func(ctx context.Context, in struct{ User string }) (any, error) {
		return s.OpenHome(ctx, in.User)
	})
	post(control, "message", func(_ context.Context, in struct {
		User, Channel, Text string
		ThreadTS            string `json:"thread_ts"`
	}) (any, error) {
		return s.Reply(in.User, in.Channel, in.ThreadTS, in.Text)
	})
	post(control, "direct", func(_ context.Context, in struct{ User string }) (any, error) {
		id, err := s.OpenDirect(in.User)
		return object{"channel": id}, err
	})
	post(control, "reload", func(_ context.Context, in struct{ User string }) (any, error) {
		s.Reload(in.User)
		return object{}, nil
	})
	post(control, "user", func(_ context.Context, in User) (any, error) { return object{}, s.PutUser(in) })
	post(control, "channel", func(_ context.Context, in Channel) (any, error) { return object{}, s.PutChannel(in) })
	post(control, "usergroup", func(_ context.Context, in UserGroup) (any, error) { return object{}, s.PutUserGroup(in) })

	post(control, "faults", func(_ context.Context, in Fault) (any, error) { return object{}, s.AddFault(in) })
	control.HandleFunc("DELETE /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		writeJSON(w, http.StatusOK, object{})
	})
	post(control, "token", func(_ context.Context, in struct {
		Token TokenKind
		Error string
	}) (any, error) {
		return object{}, s.SetTokenError(in.Token, in.Error)
	})
	post(control, "scopes", func(_ context.Context, in struct{ Scopes []string }) (any, error) {
		s.SetScopes(in.Scopes...)
		return object{}, nil
	})
	post(control, "rate_limit", func(_ context.Context, in struct{ On bool }) (any, error) {
		s.SetRateLimit(in.On)
		return object{}, nil
	})
	post(control, "duplicates", func(_ context.Context, in struct{ Count int }) (any, error) {
		s.DuplicateEnvelopes(in.Count)
		return object{}, nil
	})
	post(control, "disconnect", func(_ context.Context, in struct {
		Reason      string
		Connections []string
	}) (any, error) {
		n, err := s.Disconnect(in.Reason, in.Connections...)
		return object{"connections": n}, err
	})
	post(control, "cut", func(_ context.Context, in struct{ Connections []string }) (any, error) {
		return object{"connections": s.Cut(in.Connections...)}, nil
	})
	post(control, "silence", func(_ context.Context, in struct {
		On          bool
		Connections []string
	}) (any, error) {
		return object{"connections": s.Silence(in.On, in.Connections...)}, nil
	})
	// A page of another site must not be able to type commands here.
	mux.Handle("/sandbox/", http.NewCrossOriginProtection().Handler(control))
}

// actRequest says who acts on what.
type actRequest struct {
	placeRequest
	Action
	Values []string `json:"values"`
}

// fillRequest says who fills in what.
type fillRequest struct {
	placeRequest
	Values map[string][]string `json:"values"`
}

// placeRequest says who does something where.
type placeRequest struct {
	User string `json:"user"`
	Target
	Home bool `json:"home"` // on the person's App Home, in place of a message or a view
}

func (r placeRequest) target(s *Server) (Target, error) {
	if !r.Home {
		return r.Target, nil
	}
	v, ok := s.Home(r.User)
	if !ok {
		return Target{}, fmt.Errorf("the app has published no home for %s", r.User)
	}
	return v.Target(), nil
}

// post mounts a handler whose request and answer are JSON. What a person could not have done, and bad
// requests, are answered by status 400 and the reason.
func post[In any](mux *http.ServeMux, path string, f func(context.Context, In) (any, error)) {
	mux.HandleFunc("POST /sandbox/"+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
			return
		}
		out, err := f(r.Context(), in)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(encode(v))
}

// list makes an empty list [] and not null.
func list[T any](l []T) []T { return append([]T{}, l...) }

func (s *Server) serveState(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("after")
	if text == "" {
		writeJSON(w, http.StatusOK, s.State())
		return
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, object{"error": "after must be the number of a change"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), longPoll)
	defer cancel()
	// Where nothing changes in time, the state is the same as before, which its number tells.
	state, _ := s.WaitFor(ctx, func(st State) bool { return st.Seq > after })
	writeJSON(w, http.StatusOK, state)
}

// serveEvents sends changes as server-sent events, until the client goes or the server closes.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	changes, stop := s.Subscribe()
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	if rc.Flush() != nil {
		return
	}
	for {
		select {
		case c, ok := <-changes:
			if !ok {
				return
			}
			if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", c.Seq, encode(c)); err != nil || rc.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
