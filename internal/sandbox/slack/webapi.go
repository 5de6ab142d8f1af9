package slack

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allScopes are the bot scopes that the methods here know of, but chat:write.public, which would let the
// app post where it isn't.
var allScopes = []string{
	"commands", "chat:write", "users:read", "usergroups:read",
	"channels:read", "groups:read", "im:read", "im:write",
	"channels:history", "groups:history", "im:history",
}

// method is one of the Web API's methods.
type method struct {
	app    bool     // takes the app token, not the bot token
	scopes []string // any of which is needed, if there are any
	handle func(s *Server, c *call) (object, error)
}

var methods = map[string]method{
	"auth.test":             {handle: (*Server).authTest},
	"apps.connections.open": {app: true, handle: (*Server).connectionsOpen},

	"chat.postMessage":   {scopes: []string{"chat:write"}, handle: (*Server).chatPostMessage},
	"chat.postEphemeral": {scopes: []string{"chat:write"}, handle: (*Server).chatPostEphemeral},
	"chat.update":        {scopes: []string{"chat:write"}, handle: (*Server).chatUpdate},
	"chat.delete":        {scopes: []string{"chat:write"}, handle: (*Server).chatDelete},

	"conversations.open":    {scopes: []string{"im:write"}, handle: (*Server).conversationsOpen},
	"conversations.info":    {scopes: readScopes, handle: (*Server).conversationsInfo},
	"conversations.members": {scopes: readScopes, handle: (*Server).conversationsMembers},
	"conversations.history": {scopes: historyScopes, handle: (*Server).conversationsHistory},
	"conversations.replies": {scopes: historyScopes, handle: (*Server).conversationsReplies},

	"users.info":            {scopes: []string{"users:read"}, handle: (*Server).usersInfo},
	"users.list":            {scopes: []string{"users:read"}, handle: (*Server).usersList},
	"usergroups.list":       {scopes: []string{"usergroups:read"}, handle: (*Server).usergroupsList},
	"usergroups.users.list": {scopes: []string{"usergroups:read"}, handle: (*Server).usergroupsUsersList},

	"views.open":    {handle: (*Server).viewsOpen},
	"views.push":    {handle: (*Server).viewsPush},
	"views.update":  {handle: (*Server).viewsUpdate},
	"views.publish": {handle: (*Server).viewsPublish},
}

var (
	readScopes    = []string{"channels:read", "groups:read", "im:read"}
	historyScopes = []string{"channels:history", "groups:history", "im:history"}
)

// call is one request to the Web API.
type call struct {
	http   *http.Request
	token  string
	args   arguments
	header http.Header // of the answer
}

// apiError is an answer with ok false.
type apiError struct {
	code       string
	status     int           // 200 where zero
	retryAfter time.Duration // with 429
	fields     object        // further fields of the answer
}

func (e *apiError) Error() string { return e.code }

func refuse(code string) *apiError { return &apiError{code: code} }

// refuseArguments is an error with the detail that Slack gives for bad blocks and views.
func refuseArguments(code string, problems []string) *apiError {
	messages := make([]string, len(problems))
	for i, p := range problems {
		messages[i] = "[ERROR] " + p
	}
	return &apiError{code: code, fields: object{
		"errors": problems, "response_metadata": object{"messages": messages},
	}}
}

func missingScope(needed, provided []string) *apiError {
	return &apiError{code: "missing_scope", fields: object{
		"needed": strings.Join(needed, ","), "provided": strings.Join(provided, ","),
	}}
}

// answer is what goes back to the client, made whole before it is sent so that it can be lost.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	c := &call{http: r, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
	var err error
	c.args, err = readArguments(r)
	c.token = c.readToken()
	record := Call{Method: r.PathValue("method"), Token: s.tokenKind(c.token)}
	s.strike(w, r, &record, func() answer {
		var reply object
		if err == nil {
			reply, err = s.callMethod(record.Method, c)
		}
		if err != nil {
			return c.refusal(err, &record)
		}
		reply["ok"] = true
		return answer{http.StatusOK, c.header, encode(reply)}
	})
}

// refusal is the answer to a call that failed.
func (c *call) refusal(err error, record *Call) answer {
	e := new(apiError)
	if !errors.As(err, &e) {
		e = refuse("internal_error")
	}
	record.Error = e.code
	if e.retryAfter > 0 {
		c.header.Set("Retry-After", strconv.Itoa(int(e.retryAfter/time.Second)))
	}
	reply := object{"ok": false, "error": e.code}
	maps.Copy(reply, e.fields)
	return answer{max(e.status, http.StatusOK), c.header, encode(reply)}
}

func (s *Server) callMethod(name string, c *call) (object, error) {
	m, ok := methods[name]
	if !ok {
		return nil, &apiError{code: "unknown_method", fields: object{"req_method": name}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.authorize(m, c); err != nil {
		return nil, err
	}
	return m.handle(s, c)
}

// readToken returns the token of a header or a form. Slack takes none from a JSON body.
func (c *call) readToken() string {
	if token, found := strings.CutPrefix(c.http.Header.Get("Authorization"), "Bearer "); found {
		return token
	}
	if c.args.form {
		return c.args.str("token")
	}
	return ""
}

// authorize checks the token and its scopes, as Slack does before anything else.
func (s *Server) authorize(m method, c *call) error {
	kind := s.tokenKind(c.token)
	switch kind {
	case noToken:
		return refuse("not_authed")
	case unknownToken:
		return refuse("invalid_auth")
	}
	if code := s.tokenErrors[kind]; code != "" {
		return refuse(code)
	}
	if m.app != (kind == AppToken) {
		return refuse("not_allowed_token_type")
	}
	granted := s.scopes
	if m.app {
		granted = []string{"connections:write"}
	}
	c.header.Set("X-OAuth-Scopes", strings.Join(granted, ","))
	if len(m.scopes) > 0 {
		c.header.Set("X-Accepted-OAuth-Scopes", strings.Join(m.scopes, ","))
		if !slices.ContainsFunc(m.scopes, func(sc string) bool { return slices.Contains(granted, sc) }) {
			return missingScope(m.scopes, granted)
		}
	}
	return nil
}

// TokenKind says which of the app's tokens is meant.
type TokenKind string

const (
	BotToken TokenKind = "bot"
	AppToken TokenKind = "app"

	noToken      TokenKind = "none"
	unknownToken TokenKind = "unknown"
)

func (s *Server) tokenKind(token string) TokenKind {
	same := func(want string) bool { return subtle.ConstantTimeCompare([]byte(token), []byte(want)) == 1 }
	switch {
	case token == "":
		return noToken
	case same(s.cfg.BotToken):
		return BotToken
	case same(s.cfg.AppToken):
		return AppToken
	}
	return unknownToken
}

// scopeFor refuses a channel of a kind that the granted scopes don't reach.
func (s *Server) scopeFor(c *channel, suffix string) error {
	kind := "channels"
	switch {
	case c.direct != "":
		kind = "im"
	case c.Private:
		kind = "groups"
	}
	if needed := kind + ":" + suffix; !slices.Contains(s.scopes, needed) {
		return missingScope([]string{needed}, s.scopes)
	}
	return nil
}

// arguments are a call's, from a form or a JSON body. Form values are strings, which may hold JSON.
type arguments struct {
	form   bool
	values object
}

// maxBody is more than any request that Slack would take.
const maxBody = 1 << 20

func readArguments(r *http.Request) (arguments, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return arguments{}, fmt.Errorf("reading the request: %w", err)
	}
	if len(body) > maxBody {
		return arguments{}, &apiError{code: "request_too_large", status: http.StatusRequestEntityTooLarge}
	}
	args := arguments{values: object{}}
	for k, v := range r.URL.Query() {
		args.values[k] = v[0]
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case len(body) == 0:
		args.form = true
	case kind == "application/json":
		v, err := decodeJSON(body)
		if err != nil {
			return arguments{}, refuse("invalid_json")
		}
		o, ok := v.(object)
		if !ok {
			return arguments{}, refuse("json_not_object")
		}
		for k, v := range o {
			args.values[k] = v
		}
	case kind == "application/x-www-form-urlencoded", kind == "":
		args.form = true
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return arguments{}, refuse("invalid_form_data")
		}
		for k, v := range form {
			args.values[k] = v[0]
		}
	default:
		return arguments{}, refuse("invalid_post_type")
	}
	return args, nil
}

func (a arguments) str(key string) string {
	switch v := a.values[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (a arguments) bool(key string) bool {
	b, _ := strconv.ParseBool(a.str(key))
	return b
}

// limit reads the size of a page: fallback where there is none, and never over most.
func (a arguments) limit(fallback, most int) (int, error) {
	text := a.str("limit")
	if text == "" || text == "0" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, refuse("invalid_limit")
	}
	return min(n, most), nil
}

// json returns an argument that is a JSON value, which a form carries as text. Absent, empty and null
// are nil.
func (a arguments) json(key string) (any, error) {
	text, ok := a.values[key].(string)
	if !ok {
		return a.values[key], nil
	}
	if text == "" {
		return nil, nil
	}
	return decodeJSON([]byte(text))
}

// has tells whether an argument was given at all.
func (a arguments) has(key string) bool {
	v, ok := a.values[key]
	return ok && v != nil
}

// page cuts one page out of a list and returns the cursor of the next one.
func page[T any](list []T, a arguments, fallback, most int) ([]T, string, error) {
	limit, err := a.limit(fallback, most)
	if err != nil {
		return nil, "", err
	}
	start := 0
	if cursor := a.str("cursor"); cursor != "" {
		raw, err := base64.StdEncoding.DecodeString(cursor)
		if err != nil {
			return nil, "", refuse("invalid_cursor")
		}
		start, err = strconv.Atoi(strings.TrimPrefix(string(raw), "next:"))
		if err != nil || start < 0 || start > len(list) {
			return nil, "", refuse("invalid_cursor")
		}
	}
	end := min(start+limit, len(list))
	if limit == 0 {
		end = len(list)
	}
	next := ""
	if end < len(list) {
		next = base64.StdEncoding.EncodeToString([]byte("next:" + strconv.Itoa(end)))
	}
	return list[start:end], next, nil
}
