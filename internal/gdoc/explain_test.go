package gdoc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"cloud.google.com/go/auth"
	"google.golang.org/api/googleapi"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// answer is an error answer as the Go client hands it over.
func answer(code int, body string, header ...string) error {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &googleapi.Error{Code: code, Body: body, Header: h}
}

const (
	mismatch     = `{"error":{"code":400,"message":"The required revision ID 'ANeT5Pabc' does not match the latest revision.","status":%q}}`
	disabled     = `{"error":{"code":403,"message":"Google Docs API has not been used in project 1 before or it is disabled.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.Help","links":[{"url":"x"}]},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED","domain":"googleapis.com","metadata":{"activationUrl":"https://console.developers.google.com/apis/api/docs.googleapis.com/overview?project=1"}}]}}`
	scope        = `{"error":{"code":403,"message":"Request had insufficient authentication scopes.","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT","domain":"googleapis.com"}]}}`
	noPermission = `{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}`
	notFound     = `{"error":{"code":404,"message":"Requested entity was not found.","status":"NOT_FOUND"}}`
	office       = `{"error":{"code":400,"message":"This operation is not supported for this document. The document must not be an Office file.","status":"FAILED_PRECONDITION"}}`
	quota        = `{"error":{"code":429,"message":"Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per user'","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"}]}}`
	badRange     = `{"error":{"code":400,"message":"Unable to parse range: 'History'!1:1","status":"INVALID_ARGUMENT"}}`
	unauthorized = `{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}`
	driveQuota   = `{"error":{"code":403,"message":"User Rate Limit Exceeded","errors":[{"domain":"usageLimits","reason":"userRateLimitExceeded"}]}}`
)

func TestExplain(t *testing.T) {
	email := "bot@example.iam.gserviceaccount.com"
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &Client{transport: &transport{signIn: &signIn{}}, clock: func() time.Time { return now }}
	c.transport.signIn.email.Store(&email)
	reading := target{name: "the Deploy token document", key: "google.document", id: "doc1"}
	writing := reading
	writing.write, writing.guarded = true, true
	appending := writing
	appending.guarded = false
	token := func(code int, body string) error {
		return &url.Error{Op: "Get", URL: "https://docs.googleapis.com/", Err: &signInError{&auth.Error{Response: &http.Response{StatusCode: code}, Body: []byte(body)}}}
	}
	broken := func(err error) error { return &url.Error{Op: "Post", URL: "https://docs.googleapis.com/", Err: err} }

	for _, tt := range []struct {
		name  string
		err   error
		on    target
		kind  error
		says  []string
		after time.Duration
	}{
		{"conflict", answer(400, fmt.Sprintf(mismatch, "FAILED_PRECONDITION")), writing, deploytoken.ErrConflict, nil, 0},
		{"conflict, by its words", answer(400, fmt.Sprintf(mismatch, "INVALID_ARGUMENT")), writing, deploytoken.ErrConflict, nil, 0},
		{"conflict, by its status", answer(400, `{"error":{"code":400,"message":"Precondition check failed.","status":"FAILED_PRECONDITION"}}`), writing, deploytoken.ErrConflict, nil, 0},
		{"another 400", answer(400, `{"error":{"code":400,"message":"Invalid requests[0].deleteContentRange","status":"INVALID_ARGUMENT"}}`), writing, deploytoken.ErrGuardUnusable, nil, 0},
		{"a 400 of nobody's", answer(400, "<html>"), writing, deploytoken.ErrGuardUnusable, nil, 0},
		{"no guard, no conflict", answer(400, fmt.Sprintf(mismatch, "FAILED_PRECONDITION")), appending, deploytoken.ErrMisconfigured, []string{"400"}, 0},
		{"Office file, written", answer(400, office), writing, deploytoken.ErrMisconfigured, []string{"Office file", "Save as", "google.document"}, 0},
		{"Office file", answer(400, office), reading, deploytoken.ErrMisconfigured, []string{"The Deploy token document is an Office file"}, 0},
		{"range", answer(400, badRange), reading, deploytoken.ErrMisconfigured, []string{"Unable to parse range"}, 0},
		{"not shared", answer(403, noPermission), reading, deploytoken.ErrMisconfigured, []string{"Share it with " + email + " as Editor"}, 0},
		{"a 403 of nobody's", answer(403, "no"), writing, deploytoken.ErrMisconfigured, []string{"Share it with"}, 0},
		{"disabled", answer(403, disabled), reading, deploytoken.ErrMisconfigured, []string{"Enable it at https://console.developers.google.com/apis/api/docs.googleapis.com/overview?project=1"}, 0},
		{"scope", answer(403, scope), reading, deploytoken.ErrMisconfigured, []string{"https://www.googleapis.com/auth/documents"}, 0},
		{"not found", answer(404, notFound), writing, deploytoken.ErrMisconfigured, []string{"doc1", "google.document"}, 0},
		{"unauthorized", answer(401, unauthorized), writing, deploytoken.ErrMisconfigured, []string{email}, 0},
		{"quota", answer(429, quota, "Retry-After", "7"), writing, deploytoken.ErrUnavailable, []string{"passes by itself"}, 7 * time.Second},
		{"quota, until then", answer(429, quota, "Retry-After", now.Add(9*time.Second).Format(http.TimeFormat)), reading, deploytoken.ErrUnavailable, nil, 9 * time.Second},
		{"quota, as Drive has it", answer(403, driveQuota), reading, deploytoken.ErrUnavailable, nil, 0},
		{"503 on a write", answer(503, "", "Retry-After", "3"), writing, deploytoken.ErrAmbiguous, []string{"503"}, 3 * time.Second},
		{"500 on an append", answer(500, ""), appending, deploytoken.ErrAmbiguous, []string{"500"}, 0},
		{"409 on a write", answer(409, ""), writing, deploytoken.ErrAmbiguous, nil, 0},
		{"503 on a read", answer(503, ""), reading, deploytoken.ErrUnavailable, []string{"503"}, 0},
		{"redirect", answer(302, ""), writing, deploytoken.ErrMisconfigured, []string{"302"}, 0},
		{"cut off on a write", broken(errors.New("EOF")), writing, deploytoken.ErrAmbiguous, nil, 0},
		{"too late on a write", broken(context.DeadlineExceeded), writing, deploytoken.ErrAmbiguous, nil, 0},
		{"too late on a read", context.DeadlineExceeded, reading, deploytoken.ErrUnavailable, []string{"too long"}, 0},
		{"not sent", broken(&unsentError{errors.New("connection refused")}), writing, deploytoken.ErrUnavailable, []string{"can't be reached", "can't be changed"}, 0},
		{"invalid_grant", token(400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`), writing, deploytoken.ErrMisconfigured, []string{"invalid_grant: Invalid JWT Signature.", "clock", email}, 0},
		{"sign-in has trouble", token(503, ""), writing, deploytoken.ErrUnavailable, []string{"503"}, 0},
		{"sign-in can't be reached", broken(&signInError{broken(errors.New("no such host"))}), writing, deploytoken.ErrUnavailable, []string{"sign-in can't be reached"}, 0},
		{"no time to sign in", broken(&signInError{context.DeadlineExceeded}), writing, deploytoken.ErrUnavailable, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := c.explain(tt.err, tt.on)
			wantFault(t, err, tt.kind, tt.says...)
			f, ok := errors.AsType[*deploytoken.Fault](err)
			if !ok || f.RetryAfter != tt.after {
				t.Errorf("retry after %v, want %v", f.RetryAfter, tt.after)
			}
		})
	}
}
