package google

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// A batchRequest is one request of a batch; body is a pointer to the API's type for its name.
type batchRequest struct {
	name string
	body any
}

// parseRequests parses the requests of a batch as strictly as Google does; t is the API's union of them.
func parseRequests(raw json.RawMessage, t reflect.Type) ([]batchRequest, *apiError) {
	if raw == nil {
		return nil, nil
	}
	var requests []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &requests); err != nil {
		return nil, invalid("Invalid value at 'requests' (type.googleapis.com/%s), %s", t, raw)
	}
	var out []batchRequest
	for i, r := range requests {
		at := fmt.Sprintf("requests[%d]", i)
		if len(r) == 0 {
			return nil, invalid("Invalid %s: No request set.", at)
		}
		names := make([]string, 0, len(r))
		for name := range r {
			if _, ok := jsonField(t, name); !ok {
				return nil, invalid("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", name, at)
			}
			names = append(names, name)
		}
		if len(names) > 1 {
			slices.Sort(names)
			return nil, invalid("Invalid value at '%s' (oneof), oneof field 'request' is already set. Cannot set '%s'", at, names[1])
		}
		field, _ := jsonField(t, names[0])
		value := reflect.New(field.Elem()).Interface()
		if failed := decodeStrict(r[names[0]], value, at+"."+snakeCase(names[0])); failed != nil {
			return nil, failed
		}
		out = append(out, batchRequest{names[0], value})
	}
	return out, nil
}

// inRequest says in an error which request of a batch it is about.
func (e *apiError) inRequest(i int, name string) *apiError {
	if e.code == 400 {
		e.message = fmt.Sprintf("Invalid requests[%d].%s: %s", i, name, e.message)
	}
	return e
}

// decodeTop decodes a request's body; a name that v doesn't have is an error.
func decodeTop(body []byte, v any) *apiError {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("Invalid JSON payload received. Unknown name %s: Cannot find field.", name)
	}
	return invalid("Invalid JSON payload received. %v", err)
}

// decodeStrict decodes JSON into one of the API's types; a name that it doesn't have is an error.
func decodeStrict(raw json.RawMessage, v any, at string) *apiError {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("Invalid JSON payload received. Unknown name %s at '%s': Cannot find field.", name, at)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		at += "." + snakeCase(wrong.Field)
	}
	return invalid("Invalid value at '%s', %s", at, raw)
}

func snakeCase(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
