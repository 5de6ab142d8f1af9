package config

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a text that is never shown: however it is printed, logged or
// encoded, a placeholder stands in its place. The zero Secret is empty.
type Secret struct {
	// A pointer to the text itself: of what it finds in an unexported field, fmt
	// doesn't ask the methods below, but prints the fields of structs and what
	// pointers to structs point to. Of other pointers it prints the address.
	value *string
	shown string
}

// NewSecret makes a secret of value.
func NewSecret(value string) Secret { return shownSecret(value, "[secret]") }

// shownSecret makes a secret of value that is shown as shown.
func shownSecret(value, shown string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value, shown}
}

// Reveal is the secret itself.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty tells whether there is no secret.
func (s Secret) Empty() bool { return s.value == nil }

// String is "[secret]", or, of a URL, the URL with its password masked; "" if
// the secret is empty.
func (s Secret) String() string { return s.shown }

// Format writes what String gives, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.shown) }

// MarshalText gives what String gives, to JSON, YAML and their like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// LogValue gives what String gives.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.shown) }

// masked tells whether what is shown differs from the secret.
func (s Secret) masked() bool { return s.shown != s.Reveal() }
