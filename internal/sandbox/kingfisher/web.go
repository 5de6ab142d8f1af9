package kingfisher

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

type object = map[string]any

// ServeHTTP answers as Scrapyd does, and the control interface under /sandbox/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// routeScrapyd mounts what of Scrapyd's interface the busy checks may ask for.
func (s *Server) routeScrapyd() {
	scrapyd := http.NewServeMux()
	scrapyd.HandleFunc("GET /daemonstatus.json", s.serveStatus)
	scrapyd.HandleFunc("GET /listprojects.json", s.serveProjects)
	scrapyd.HandleFunc("GET /listjobs.json", s.serveJobs)
	scrapyd.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		html(w, http.StatusNotFound, "No Such Resource")
	})
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch fault, ended := s.wrong(); fault {
		case FaultUnreachable:
			panic(http.ErrAbortHandler) // cuts the connection
		case FaultHang:
			select {
			case <-ended:
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler)
		}
		if !s.allowed(r) {
			w.Header().Set("WWW-Authenticate", `basic realm="Scrapyd"`)
			html(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
		scrapyd.ServeHTTP(w, r)
	})
}

func html(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html><head><title>"+title+"</title></head><body><h1>"+title+"</h1></body></html>\n")
}

func (s *Server) allowed(r *http.Request) bool {
	if s.config.ScrapydUsername == "" && s.config.ScrapydPassword == "" {
		return true
	}
	username, password, _ := r.BasicAuth()
	return subtle.ConstantTimeCompare([]byte(username), []byte(s.config.ScrapydUsername))&
		subtle.ConstantTimeCompare([]byte(password), []byte(s.config.ScrapydPassword)) == 1
}

// answer writes one of Scrapyd's answers, which have the status 200 even where
// they are errors.
func answer(w http.ResponseWriter, o object) {
	o["node_name"] = "kingfisher"
	if o["status"] == nil {
		o["status"] = "ok"
	}
	writeJSON(w, http.StatusOK, o)
}

func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := 0
	for _, p := range s.world.spiders {
		if p.Pending {
			pending++
		}
	}
	answer(w, object{"pending": pending, "running": len(s.world.spiders) - pending, "finished": len(s.world.finished)})
}

func (s *Server) serveProjects(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer(w, object{"projects": s.world.projects()})
}

// projects are those that there ever was a spider of.
func (w *world) projects() []string {
	projects := []string{"kingfisher"}
	for _, p := range w.spiders {
		projects = append(projects, p.Project)
	}
	for _, p := range w.finished {
		projects = append(projects, p.Project)
	}
	slices.Sort(projects)
	return slices.Compact(projects)
}

func (s *Server) serveJobs(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	project, version := r.URL.Query().Get("project"), s.config.ScrapydVersion
	switch {
	case project == "" && version == "1.2":
		answer(w, object{"status": "error", "message": "'project'"})
		return
	case project != "" && !slices.Contains(s.world.projects(), project):
		message := "'" + project + "'"
		if version >= "1.5" {
			message = "project " + message + " not found"
		}
		answer(w, object{"status": "error", "message": message})
		return
	}
	pending, running, ended := []object{}, []object{}, []object{}
	for _, p := range s.world.spiders {
		if project != "" && p.Project != project {
			continue
		}
		job := object{"id": p.ID, "spider": p.Name}
		if version >= "1.3" {
			job["project"] = p.Project
		}
		if p.Pending {
			if version >= "1.5" {
				args := object{}
				if p.Note != "" {
					args["note"] = p.Note
				}
				job["version"], job["settings"], job["args"] = nil, object{}, args
			}
			pending = append(pending, job)
			continue
		}
		job["pid"], job["start_time"] = p.pid, s.pythonTime(p.Started)
		if version >= "1.5" {
			job["log_url"], job["items_url"] = "/logs/"+p.Project+"/"+p.Name+"/"+p.ID+".log", nil
		}
		running = append(running, job)
	}
	for _, p := range s.world.finished {
		if project != "" && p.Project != project {
			continue
		}
		job := object{"id": p.ID, "spider": p.Name, "start_time": s.pythonTime(p.Started), "end_time": s.pythonTime(p.ended)}
		if version >= "1.3" {
			job["project"] = p.Project
		}
		if version >= "1.4" {
			job["log_url"], job["items_url"] = "/logs/"+p.Project+"/"+p.Name+"/"+p.ID+".log", nil
		}
		ended = append(ended, job)
	}
	answer(w, object{"pending": pending, "running": running, "finished": ended})
}

// pythonTime writes a time as Python does: by the server's clock, without its
// zone, and without a fraction where it is zero.
func (s *Server) pythonTime(t time.Time) string {
	layout := "2006-01-02 15:04:05.000000"
	t = t.In(s.config.Zone).Truncate(time.Microsecond)
	if t.Nanosecond() == 0 {
		layout = time.DateTime
	}
	return t.Format(layout)
}

// routeControl mounts the control interface that the package's comment lists.
func (s *Server) routeControl() {
	control := http.NewServeMux()
	control.HandleFunc("GET /sandbox/state", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.State())
	})
	post(control, "spider", s.StartSpider)
	post(control, "query", s.StartQuery)
	post(control, "process", s.StartProcess)
	post(control, "session", func(in Session) (object, error) { return object{}, s.OpenSession(in) })
	post(control, "command", func(in struct{ User, Name, Command string }) (object, error) {
		return object{}, s.RunCommand(in.User, in.Name, in.Command)
	})
	post(control, "stop", func(in struct{ ID string }) (object, error) { return object{}, s.Stop(in.ID) })
	post(control, "close", func(in struct{ User, Name string }) (object, error) {
		return object{}, s.CloseSession(in.User, in.Name)
	})
	post(control, "fault", func(in struct{ Fault Fault }) (object, error) { return object{}, s.SetFault(in.Fault) })
	// A page of another site must not be able to start anything here.
	s.mux.Handle("/sandbox/", http.NewCrossOriginProtection().Handler(control))
}

// post mounts a handler whose request and answer are JSON.
func post[In, Out any](mux *http.ServeMux, path string, f func(In) (Out, error)) {
	mux.HandleFunc("POST /sandbox/"+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err == nil && d.More() {
			err = errors.New("there is something after the request")
		}
		var out Out
		if err == nil {
			out, err = f(in)
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, object{"error": strings.TrimPrefix(err.Error(), "local Kingfisher: ")})
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// What is written here always marshals; a client that is gone is no matter.
	_ = json.NewEncoder(w).Encode(v)
}
