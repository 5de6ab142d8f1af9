package google

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// The project that the APIs say a caller belongs to. Google names it by number in its errors.
const (
	projectID     = "local-sandbox"
	projectNumber = "482915760334"
)

// service is one of Google's APIs, by the name that its errors use.
type service struct {
	host  string // docs.googleapis.com
	title string // Google Docs API
}

var (
	docsService   = service{"docs.googleapis.com", "Google Docs API"}
	sheetsService = service{"sheets.googleapis.com", "Google Sheets API"}
	driveService  = service{"drive.googleapis.com", "Google Drive API"}
)

// apiError is an error as Google's APIs send it.
type apiError struct {
	code    int
	status  string
	message string
	details []any
	reason  string // Drive's legacy reason; derived from the status where empty
	header  http.Header
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.code, e.status, e.message) }

// invalid is a 400 INVALID_ARGUMENT.
func invalid(format string, args ...any) *apiError {
	return &apiError{code: http.StatusBadRequest, status: invalidArgument, message: fmt.Sprintf(format, args...)}
}

// badFields is the 400 for a field mask that names what doesn't exist.
func badFields(path string) *apiError {
	e := invalid("Request contains an invalid argument.")
	e.details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.BadRequest",
		"fieldViolations": []any{map[string]any{
			"field":       path,
			"description": fmt.Sprintf("Error expanding 'fields' parameter. Cannot find matching fields for path '%s'.", path),
		}},
	}}
	return e
}

func notFound() *apiError {
	return &apiError{code: http.StatusNotFound, status: "NOT_FOUND", message: "Requested entity was not found."}
}

func noPermission() *apiError {
	return &apiError{code: http.StatusForbidden, status: "PERMISSION_DENIED", message: "The caller does not have permission"}
}

func officeFile() *apiError {
	return &apiError{
		code: http.StatusBadRequest, status: failedPrecondition,
		message: "This operation is not supported for this document. The document must not be an Office file.",
	}
}

func unimplemented(what string) *apiError {
	return &apiError{
		code: http.StatusNotImplemented, status: "UNIMPLEMENTED",
		message: what + " is not implemented by this local server.",
	}
}

func errorInfo(reason, domain string, metadata map[string]string) map[string]any {
	return map[string]any{
		"@type":    "type.googleapis.com/google.rpc.ErrorInfo",
		"reason":   reason,
		"domain":   domain,
		"metadata": metadata,
	}
}

func unauthenticated(reason string, svc service) *apiError {
	message := "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
	if reason == "CREDENTIALS_MISSING" {
		message = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
	}
	return &apiError{
		code: http.StatusUnauthorized, status: "UNAUTHENTICATED", message: message, reason: "authError",
		details: []any{errorInfo(reason, "googleapis.com", map[string]string{"service": svc.host})},
		header:  http.Header{"Www-Authenticate": {`Bearer realm="https://accounts.google.com/"`}},
	}
}

func insufficientScope(svc service) *apiError {
	return &apiError{
		code: http.StatusForbidden, status: "PERMISSION_DENIED", reason: "insufficientPermissions",
		message: "Request had insufficient authentication scopes.",
		details: []any{errorInfo("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com", map[string]string{"service": svc.host})},
	}
}

func serviceDisabled(svc service) *apiError {
	activation := fmt.Sprintf("https://console.developers.google.com/apis/api/%s/overview?project=%s", svc.host, projectNumber)
	message := fmt.Sprintf("%s has not been used in project %s before or it is disabled. Enable it by visiting %s then retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.", svc.title, projectNumber, activation)
	return &apiError{
		code: http.StatusForbidden, status: "PERMISSION_DENIED", message: message, reason: "accessNotConfigured",
		details: []any{
			map[string]any{
				"@type": "type.googleapis.com/google.rpc.Help",
				"links": []any{map[string]string{"description": "Google developers console API activation", "url": activation}},
			},
			errorInfo("SERVICE_DISABLED", "googleapis.com", map[string]string{
				"service": svc.host, "serviceTitle": svc.title, "activationUrl": activation,
				"consumer": "projects/" + projectNumber, "containerInfo": projectNumber,
			}),
			map[string]any{
				"@type":  "type.googleapis.com/google.rpc.LocalizedMessage",
				"locale": "en-US", "message": message,
			},
		},
	}
}

// quotaExceeded is the 429 for a limit of reads or writes.
func quotaExceeded(svc service, kind string) *apiError {
	return &apiError{
		code: http.StatusTooManyRequests, status: "RESOURCE_EXHAUSTED", reason: "rateLimitExceeded",
		message: fmt.Sprintf("Quota exceeded for quota metric '%[1]s requests' and limit '%[1]s requests per minute per user' of service '%[2]s' for consumer 'project_number:%[3]s'.", kind, svc.host, projectNumber),
		details: []any{
			errorInfo("RATE_LIMIT_EXCEEDED", "googleapis.com", map[string]string{
				"service": svc.host, "consumer": "projects/" + projectNumber,
				"quota_limit": kind + "RequestsPerMinutePerUser", "quota_location": "global",
			}),
			map[string]any{
				"@type": "type.googleapis.com/google.rpc.Help",
				"links": []any{map[string]string{
					"description": "Request a higher quota limit.",
					"url":         "https://cloud.google.com/docs/quotas/help/request_increase",
				}},
			},
		},
	}
}

// statusOf names an HTTP status as google.rpc.Code does.
func statusOf(code int) string {
	switch code {
	case http.StatusBadRequest:
		return invalidArgument
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	return "INTERNAL"
}

// body is the error's JSON. Drive's errors carry the list of its older protocol as well.
func (e *apiError) body(svc service) any {
	inner := map[string]any{"code": e.code, "message": e.message}
	if e.status != "" {
		inner["status"] = e.status
	}
	if len(e.details) > 0 {
		inner["details"] = e.details
	}
	if svc == driveService {
		reason := e.reason
		if reason == "" {
			reason = "backendError"
		}
		one := map[string]any{"message": e.message, "domain": "global", "reason": reason}
		switch reason {
		case "notFound":
			one["location"], one["locationType"] = "fileId", "parameter"
		case "invalidParameter":
			one["location"], one["locationType"] = "fields", "parameter"
		}
		inner["errors"] = []any{one}
	}
	return map[string]any{"error": inner}
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "private")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	// The client may be gone; there is nobody else to tell.
	_ = enc.Encode(v)
}
