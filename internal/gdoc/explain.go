package gdoc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"google.golang.org/api/googleapi"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A target is what a call was about, for its errors.
type target struct {
	// name is the file's, as people call it, such as "the Deploy token document".
	name string
	// key is the key of the configuration that has the file's ID.
	key string
	// id is the file's ID.
	id string
	// write is whether the call was to change the file.
	write bool
	// guarded is whether the change was guarded by a revision.
	guarded bool
}

// A refusal is what Google's answer to a failed request says.
type refusal struct {
	code    int
	status  string // google.rpc.Code, such as FAILED_PRECONDITION
	message string
	reasons []string // of ErrorInfo, and of the older protocol's errors
	// activation is where to enable an API; "" unless that is what is wrong.
	activation string
	retryAfter time.Duration
}

// readRefusal reads the body of an error answer, which need not be Google's.
func readRefusal(e *googleapi.Error, now time.Time) refusal {
	r := refusal{code: e.Code, message: e.Message, retryAfter: retryAfter(e.Header, now)}
	var body struct {
		Error struct {
			Status  string `json:"status"`
			Message string `json:"message"`
			Details []struct {
				Reason   string            `json:"reason"`
				Metadata map[string]string `json:"metadata"`
			} `json:"details"`
			Errors []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	// What doesn't parse says nothing more than its status code.
	_ = json.Unmarshal([]byte(e.Body), &body)
	r.status = body.Error.Status
	if r.message == "" {
		r.message = body.Error.Message
	}
	for _, d := range body.Error.Details {
		r.reasons = append(r.reasons, d.Reason)
		if link := d.Metadata["activationUrl"]; strings.HasPrefix(link, "https://") {
			r.activation = link
		}
	}
	for _, d := range body.Error.Errors {
		r.reasons = append(r.reasons, d.Reason)
	}
	return r
}

func (r refusal) says(phrase string) bool {
	return strings.Contains(strings.ToLower(r.message), strings.ToLower(phrase))
}

func (r refusal) because(reasons ...string) bool {
	for _, have := range r.reasons {
		for _, want := range reasons {
			if have == want {
				return true
			}
		}
	}
	return false
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), 3600)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), time.Hour)
	}
	return 0
}

// explain turns the error of a call into a Fault that says what to do.
func (c *Client) explain(err error, t target) error {
	if f, ok := errors.AsType[*deploytoken.Fault](err); ok {
		return f
	}
	// The address of a request is long and says nothing to anyone.
	if e, ok := errors.AsType[*url.Error](err); ok && !isSignIn(err) {
		err = e.Err
	}
	if e, ok := errors.AsType[*signInError](err); ok {
		return c.explainSignIn(e.err, t)
	}
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		f := c.explainRefusal(readRefusal(e, c.clock()), t)
		f.Cause = err
		return f
	}
	f := &deploytoken.Fault{Cause: err, Kind: deploytoken.ErrUnavailable}
	_, unsent := errors.AsType[*unsentError](err)
	switch {
	case t.write && !unsent:
		f.Kind = deploytoken.ErrAmbiguous
		f.Message = fmt.Sprintf("Google didn't answer whether %s was changed.", t.name)
	case errors.Is(err, context.DeadlineExceeded):
		f.Message = fmt.Sprintf("Google took too long to answer about %s. It usually passes by itself.", t.name)
	default:
		f.Message = fmt.Sprintf("Google can't be reached, so %s can't be %s. It usually passes by itself; if not, check the network.", t.name, t.done())
	}
	return f
}

func isSignIn(err error) bool {
	_, ok := errors.AsType[*signInError](err)
	return ok
}

// done says in a word what was to be done with the target.
func (t target) done() string {
	if t.write {
		return "changed"
	}
	return "read"
}

// explainRefusal says what Google's refusal of a request means.
func (c *Client) explainRefusal(r refusal, t target) *deploytoken.Fault {
	f := &deploytoken.Fault{Kind: deploytoken.ErrMisconfigured}
	switch {
	case r.code == http.StatusTooManyRequests, r.because("RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded"):
		f.Kind, f.RetryAfter = deploytoken.ErrUnavailable, r.retryAfter
		f.Message = "The bot has asked Google too much within a minute. It passes by itself."
	case r.code >= 500, r.code == http.StatusRequestTimeout, r.code == http.StatusConflict:
		f.Kind, f.RetryAfter = deploytoken.ErrUnavailable, r.retryAfter
		f.Message = fmt.Sprintf("Google has trouble (%d), so %s couldn't be %s. It usually passes by itself.", r.code, t.name, t.done())
		if t.write {
			f.Kind = deploytoken.ErrAmbiguous
			f.Message = fmt.Sprintf("Google had trouble (%d) and didn't say whether %s was changed.", r.code, t.name)
		}
	case r.code == http.StatusUnauthorized:
		f.Message = fmt.Sprintf("Google doesn't accept the bot's credentials%s. Check that the service account and its key still exist.", c.of())
	case r.because("SERVICE_DISABLED", "accessNotConfigured"):
		f.Message = "An API of Google's that the bot needs isn't enabled in its project. Enable it"
		if r.activation != "" {
			f.Message += " at " + r.activation
		} else {
			f.Message += " in the Google Cloud console"
		}
		f.Message += ", then wait a few minutes."
	case r.because("ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions") || r.says("insufficient authentication scopes"):
		f.Message = "The bot's Google credentials don't cover what it does. Use a service account's key file, or sign in again with the scopes " + strings.Join(scopes, " ") + "."
	case r.code == http.StatusForbidden:
		f.Message = fmt.Sprintf("Google doesn't let the bot %s %s. Share it with %s as Editor", t.do(), t.name, c.whom())
		if !t.write && t.key == "google.document" {
			f.Message += " (Viewer is enough for the commands status and guard)"
		}
		f.Message += "."
	case r.code == http.StatusNotFound:
		f.Message = fmt.Sprintf("Google knows no file with the ID %s: %s was deleted, or the ID is wrong. Check %s.", t.id, t.name, t.key)
	case r.says("Office file"):
		f.Message = fmt.Sprintf("%s is an Office file. Open it in Google's editor, choose File > Save as, and set %s to the new file, which has another ID.", upper(t.name), t.key)
	case t.guarded && r.code == http.StatusBadRequest && (r.status == "FAILED_PRECONDITION" || r.says("does not match the latest revision")):
		f.Kind = deploytoken.ErrConflict
		f.Message = "Someone edited " + t.name + " at the same time. Nothing was changed."
	case t.guarded && r.code == http.StatusBadRequest:
		f.Kind = deploytoken.ErrGuardUnusable
		f.Message = fmt.Sprintf("Google refused to change %s. Nothing was changed.", t.name)
	default:
		f.Message = fmt.Sprintf("Google refused to %s %s (%d): %s", t.do(), t.name, r.code, deploytoken.CleanLine(r.message, 200))
	}
	return f
}

func (t target) do() string {
	if t.write {
		return "change"
	}
	return "read"
}

// explainSignIn says why there is no token. Nothing was sent.
func (c *Client) explainSignIn(err error, t target) error {
	if f, ok := errors.AsType[*deploytoken.Fault](err); ok {
		return f
	}
	f := &deploytoken.Fault{Kind: deploytoken.ErrUnavailable, Cause: err}
	e, answered := errors.AsType[*auth.Error](err)
	if u, ok := errors.AsType[*url.Error](err); ok {
		f.Cause = u.Err
	}
	if answered {
		// Its text is the whole answer, over several lines; the message has
		// what matters of it.
		f.Cause = nil
	}
	switch {
	case !answered:
		f.Message = fmt.Sprintf("Google's sign-in can't be reached, so %s can't be %s. It usually passes by itself; if not, check the network.", t.name, t.done())
	case e.Response != nil && (e.Response.StatusCode >= 500 || e.Response.StatusCode == http.StatusTooManyRequests):
		f.RetryAfter = retryAfter(e.Response.Header, c.clock())
		f.Message = fmt.Sprintf("Google's sign-in has trouble (%d). It usually passes by itself.", e.Response.StatusCode)
	default:
		f.Kind = deploytoken.ErrMisconfigured
		var body struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		// What doesn't parse leaves the message without the reason.
		_ = json.Unmarshal(e.Body, &body)
		f.Message = fmt.Sprintf("Google refuses the bot's key%s", c.of())
		if body.Error != "" {
			f.Message += " (" + deploytoken.CleanLine(strings.TrimSpace(body.Error+": "+body.Description), 200) + ")"
		}
		f.Message += ". Check that this machine's clock is right; if it is, the key was deleted or disabled: make another, and set GOOGLE_APPLICATION_CREDENTIALS to its file."
	}
	return f
}

// whom names the identity that a file has to be shared with.
func (c *Client) whom() string {
	if email := c.Account(); email != "" {
		return email
	}
	return "the bot's service account"
}

// of is the identity, for use after a noun.
func (c *Client) of() string {
	if email := c.Account(); email != "" {
		return " of " + email
	}
	return ""
}

// upper begins a sentence.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
