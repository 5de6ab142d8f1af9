package google

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// longPoll is how long GET /sandbox/state?after= waits for a change.
const longPoll = 30 * time.Second

// State is everything that a page over the server shows.
type State struct {
	Number       int                `json:"number"` // of the last change
	Documents    []DocumentState    `json:"documents"`
	Spreadsheets []SpreadsheetState `json:"spreadsheets"`
	Accounts     []Account          `json:"accounts"`
	Faults       []Fault            `json:"faults"`
	Behavior     Behavior           `json:"behavior"`
	Quotas       Quotas             `json:"quotas"`
	Requests     int                `json:"requests"` // how many there were
	Writes       int                `json:"writes"`   // how many there were
}

// FileState is what documents and spreadsheets have in common.
type FileState struct {
	ID         string          `json:"id"`
	Title      string          `json:"title"`
	Link       string          `json:"link"`
	Revision   int             `json:"revision"`
	Modified   time.Time       `json:"modified"`
	LastEditor Person          `json:"last_editor"`
	Roles      map[string]Role `json:"roles"` // null: every account edits
	Deleted    bool            `json:"deleted,omitempty"`
	Office     bool            `json:"office,omitempty"`
}

// DocumentState is a document as a reader sees it.
type DocumentState struct {
	FileState
	Holder      string       `json:"holder"`
	Text        string       `json:"text"`
	Tabs        []TabState   `json:"tabs"`
	NamedRanges []NamedRange `json:"named_ranges"`
}

// TabState is a tab with its lines.
type TabState struct {
	ID    string      `json:"id"`
	Title string      `json:"title"`
	Lines []LineState `json:"lines"`
}

// LineState is a line with its UTF-16 indexes in the tab.
type LineState struct {
	Start int    `json:"start"`
	End   int    `json:"end"`
	Text  string `json:"text"`
}

// SpreadsheetState is a spreadsheet as a reader sees it.
type SpreadsheetState struct {
	FileState
	Sheets   []SheetState `json:"sheets"`
	Metadata []Metadata   `json:"metadata"`
}

// SheetState is a tab of a spreadsheet with its rows as they are shown.
type SheetState struct {
	ID    int64      `json:"id"`
	Title string     `json:"title"`
	Rows  [][]string `json:"rows"`
}

// State describes the server as it is now.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := State{
		Number: s.changeSeq, Behavior: s.behavior, Quotas: s.quotas, Requests: s.requestSeq, Writes: s.writeSeq,
		Documents: []DocumentState{}, Spreadsheets: []SpreadsheetState{}, Accounts: []Account{}, Faults: []Fault{},
	}
	for _, email := range slices.Sorted(maps.Keys(s.byEmail)) {
		out.Accounts = append(out.Accounts, s.byEmail[email].Account)
	}
	for _, f := range s.faults {
		out.Faults = append(out.Faults, f.Fault)
	}
	for _, id := range s.fileOrder {
		f := s.files[id]
		common := FileState{
			ID: f.id, Title: f.title, Link: f.link(), Revision: f.revision(), Modified: f.modified,
			LastEditor: f.lastEditor, Deleted: f.deleted, Office: f.office,
		}
		if f.roles != nil {
			common.Roles = map[string]Role{}
			for email, role := range f.roles {
				common.Roles[email] = role
			}
		}
		if f.doc != nil {
			out.Documents = append(out.Documents, s.documentState(f, common))
			continue
		}
		st := SpreadsheetState{FileState: common, Metadata: f.book.state.describeMetadata()}
		for _, sh := range f.book.state.sheets {
			st.Sheets = append(st.Sheets, SheetState{sh.id, sh.title, f.book.state.rows(sh.title)})
		}
		out.Spreadsheets = append(out.Spreadsheets, st)
	}
	return out
}

func (s *Server) documentState(f *file, common FileState) DocumentState {
	c := f.doc.latest().content
	st := DocumentState{FileState: common, Text: c.text(), Holder: c.holderText(s.cfg.Label), NamedRanges: c.namedRanges()}
	for _, t := range c.all() {
		tab := TabState{ID: t.id, Title: t.title}
		for _, l := range t.lines() {
			tab.Lines = append(tab.Lines, LineState{l.start, l.end, l.text})
		}
		st.Tabs = append(st.Tabs, tab)
	}
	return st
}

// controlRoutes mounts the control interface that doc.go describes.
func (s *Server) controlRoutes() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sandbox/state", s.serveState)
	mux.HandleFunc("GET /sandbox/events", s.serveEvents)
	mux.HandleFunc("GET /sandbox/requests", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Requests())
	})
	mux.HandleFunc("GET /sandbox/writes", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Writes())
	})

	post(mux, "account", func(_ context.Context, in Account) (any, error) { return done(s.AddAccount(in)) })
	post(mux, "document", func(_ context.Context, in DocumentSpec) (any, error) {
		d, err := s.NewDocument(in)
		if err != nil {
			return nil, err
		}
		return map[string]string{"id": d.ID()}, nil
	})
	post(mux, "spreadsheet", func(_ context.Context, in SpreadsheetSpec) (any, error) {
		p, err := s.NewSpreadsheet(in)
		if err != nil {
			return nil, err
		}
		return map[string]string{"id": p.ID()}, nil
	})
	post(mux, "share", func(_ context.Context, in struct {
		File, Account string
		Role          Role
	}) (any, error) {
		return done(s.Share(in.File, in.Account, in.Role))
	})
	post(mux, "delete", func(_ context.Context, in struct{ File string }) (any, error) { return done(s.Delete(in.File)) })
	post(mux, "restore", func(_ context.Context, in struct{ File string }) (any, error) { return done(s.Restore(in.File)) })
	post(mux, "revoke_tokens", func(_ context.Context, in struct{ Account string }) (any, error) {
		s.RevokeTokens(in.Account)
		return done(nil)
	})
	post(mux, "delete_key", func(_ context.Context, in struct{ Account string }) (any, error) {
		s.DeleteKey(in.Account)
		return done(nil)
	})

	post(mux, "edit", func(_ context.Context, in editRequest) (any, error) {
		d, err := s.document(in.Document)
		if err != nil {
			return nil, err
		}
		return done(d.Apply(in.Who, in.Edit))
	})
	post(mux, "type", func(ctx context.Context, in struct {
		Document string
		Who      Person
		Holder   bool
		Tab      string
		Index    int
		Text     string
		Every    string
	}) (any, error) {
		d, err := s.document(in.Document)
		if err != nil {
			return nil, err
		}
		every, err := duration(in.Every)
		if err != nil {
			return nil, err
		}
		if in.Holder {
			return done(d.TypeHolder(ctx, in.Who, in.Text, every))
		}
		return done(d.Type(ctx, in.Who, in.Tab, in.Index, in.Text, every))
	})
	post(mux, "before_next_batch", func(_ context.Context, in editRequest) (any, error) {
		d, err := s.document(in.Document)
		if err != nil {
			return nil, err
		}
		d.BeforeNextBatch(in.Who, in.Edit)
		return done(nil)
	})
	post(mux, "merge_into_next_batch", func(_ context.Context, in editRequest) (any, error) {
		d, err := s.document(in.Document)
		if err != nil {
			return nil, err
		}
		delay, err := duration(in.Delay)
		if err != nil {
			return nil, err
		}
		d.MergeIntoNextBatch(in.Who, in.Edit, delay)
		return done(nil)
	})
	post(mux, "edit_spreadsheet", func(_ context.Context, in struct {
		Spreadsheet string
		Who         Person
		Edit        SheetEdit
	}) (any, error) {
		p, err := s.spreadsheet(in.Spreadsheet)
		if err != nil {
			return nil, err
		}
		return done(p.Apply(in.Who, in.Edit))
	})
	post(mux, "stale_reads", func(_ context.Context, in struct{ Spreadsheet, For string }) (any, error) {
		p, err := s.spreadsheet(in.Spreadsheet)
		if err != nil {
			return nil, err
		}
		howLong, err := duration(in.For)
		if err != nil {
			return nil, err
		}
		p.StaleReads(howLong)
		return done(nil)
	})

	post(mux, "faults", func(_ context.Context, in Fault) (any, error) {
		id, err := s.AddFault(in)
		return map[string]int{"id": id}, err
	})
	post(mux, "release", func(_ context.Context, in struct{ ID int }) (any, error) {
		s.Release(in.ID)
		return done(nil)
	})
	mux.HandleFunc("DELETE /sandbox/faults", func(w http.ResponseWriter, r *http.Request) {
		text := r.URL.Query().Get("id")
		if text == "" {
			s.ClearFaults()
			writeJSON(w, http.StatusOK, struct{}{})
			return
		}
		id, err := strconv.Atoi(text)
		if err != nil {
			badRequest(w, errors.New("id must be a fault's"))
			return
		}
		s.RemoveFault(id)
		writeJSON(w, http.StatusOK, struct{}{})
	})
	post(mux, "behavior", func(_ context.Context, in Behavior) (any, error) { return done(s.SetBehavior(in)) })
	post(mux, "quotas", func(_ context.Context, in Quotas) (any, error) {
		s.SetQuotas(in)
		return done(nil)
	})
	// A page of another site must not be able to edit documents here.
	s.mux.Handle("/sandbox/", http.NewCrossOriginProtection().Handler(mux))
}

// editRequest is what a person does with a document.
type editRequest struct {
	Document string
	Who      Person
	Edit     Edit
	Delay    string
}

func (s *Server) document(id string) (*Document, error) {
	if d := s.Document(id); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("local Google: no document %q", id)
}

func (s *Server) spreadsheet(id string) (*Spreadsheet, error) {
	if p := s.Spreadsheet(id); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("local Google: no spreadsheet %q", id)
}

// duration reads 2s and the like; nothing is 0.
func duration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

// done is the answer to what has no other.
func done(err error) (any, error) { return struct{}{}, err }

// post mounts a handler whose request and answer are JSON. What could not be done is answered by status
// 400 and the reason.
func post[In any](mux *http.ServeMux, path string, f func(context.Context, In) (any, error)) {
	mux.HandleFunc("POST /sandbox/"+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			badRequest(w, err)
			return
		}
		out, err := f(r.Context(), in)
		if err != nil {
			badRequest(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}

func badRequest(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

func (s *Server) serveState(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("after")
	if text == "" {
		writeJSON(w, http.StatusOK, s.State())
		return
	}
	after, err := strconv.Atoi(text)
	if err != nil {
		badRequest(w, errors.New("after must be the number of a change"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), longPoll)
	defer cancel()
	// Where nothing changes in time, the state is the same as before, which its number tells.
	_ = s.WaitFor(ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.changeSeq > after
	})
	writeJSON(w, http.StatusOK, s.State())
}

// serveEvents sends changes as server-sent events, until the client goes or the server closes.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	changes, stop := s.Subscribe(100)
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
			data, err := json.Marshal(c)
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", c.Number, data); err != nil || rc.Flush() != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
