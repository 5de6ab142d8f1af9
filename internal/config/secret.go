package config

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is a text that is never shown: however it is printed, logged or
// encoded, a placeholder stands in its place. The zero Secret is empty.
type Secret struct {
	// A pointer, because fmt prints the fields of a struct that it finds in an
	// unexported field without asking the methods below.
	text *secretText
}

type secretText struct{ value, shown string }

// NewSecret makes a secret of value.
func NewSecret(value string) Secret { return shownSecret(value, "[secret]") }

// shownSecret makes a secret of value that is shown as shown.
func shownSecret(value, shown string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&secretText{value: value, shown: shown}}
}

// Reveal is the secret itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text.value
}

// Empty tells whether there is no secret.
func (s Secret) Empty() bool { return s.text == nil }

// String is "[secret]", or, of a URL, the URL with its password masked; "" if
// the secret is empty.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return s.text.shown
}

// Format writes what String gives, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText gives what String gives, to JSON, YAML and their like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue gives what String gives.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// masked tells whether what is shown differs from the secret.
func (s Secret) masked() bool { return s.text != nil && s.text.shown != s.text.value }
