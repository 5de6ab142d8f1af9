package slack

import "net/http"

func (s *Server) routeControl(mux *http.ServeMux) {}
