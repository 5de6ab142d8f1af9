package gdoc

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A signIn gets and keeps the access token of one identity.
type signIn struct {
	// build makes credentials that have no token yet.
	build func() (*auth.Credentials, error)
	// gate lets one caller at a time ask for a token, while others wait no
	// longer than they have time.
	gate  chan struct{}
	creds *auth.Credentials
	// stale is whether Google no longer takes the token that creds keep.
	stale atomic.Bool
	email atomic.Pointer[string]
}

// newSignIn returns the sign-in of a credentials file, or of Application
// Default Credentials where path is empty. It does not touch the network.
// Errors: deploytoken.ErrMisconfigured.
func newSignIn(path string, client *http.Client) (*signIn, error) {
	s := &signIn{gate: make(chan struct{}, 1)}
	if path == "" {
		s.build = func() (*auth.Credentials, error) {
			creds, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: scopes, Client: client})
			if err != nil {
				return nil, &deploytoken.Fault{
					Kind:    deploytoken.ErrMisconfigured,
					Message: "The bot has no Google credentials. Set GOOGLE_APPLICATION_CREDENTIALS to the path of the service account's key file.",
					Cause:   err,
				}
			}
			return creds, nil
		}
		return s, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		var reason *fs.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return nil, badFile(path, "can't be read", err)
	}
	kind, err := checkCredentials(content)
	if err != nil {
		return nil, badFile(path, "is not one that can be used", err)
	}
	s.build = func() (*auth.Credentials, error) {
		return credentials.NewCredentialsFromJSON(kind, content, &credentials.DetectOptions{Scopes: scopes, Client: client})
	}
	if s.creds, err = s.build(); err != nil {
		return nil, badFile(path, "is not one that can be used", err)
	}
	s.keepEmail(content)
	return s, nil
}

func badFile(path, what string, err error) error {
	return &deploytoken.Fault{
		Kind: deploytoken.ErrMisconfigured,
		Message: fmt.Sprintf("The Google credentials file %s %s: %v. GOOGLE_APPLICATION_CREDENTIALS must name the service account's key file, as downloaded from Google.",
			path, what, err),
	}
}

// checkCredentials returns the type of a credentials file. A service account's
// key is tried, as the library would only find out at the first call.
func checkCredentials(content []byte) (credentials.CredType, error) {
	var file struct {
		Type        credentials.CredType `json:"type"`
		ClientEmail string               `json:"client_email"`
		PrivateKey  string               `json:"private_key"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return "", errors.New("it is not JSON of the right form")
	}
	if file.Type == "" {
		return "", errors.New("it has no type")
	}
	if file.Type != credentials.ServiceAccount {
		return file.Type, nil
	}
	if file.ClientEmail == "" {
		return "", errors.New("it has no client_email")
	}
	block, _ := pem.Decode([]byte(file.PrivateKey))
	if block == nil {
		return "", errors.New("its private_key is missing or damaged")
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
		if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return "", errors.New("its private_key is damaged")
		}
	}
	return file.Type, nil
}

// token returns a token that is good for a while.
func (s *signIn) token(ctx context.Context) (*auth.Token, error) {
	select {
	case s.gate <- struct{}{}:
		defer func() { <-s.gate }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.stale.Swap(false) {
		s.creds = nil
	}
	if s.creds == nil {
		creds, err := s.build()
		if err != nil {
			return nil, err
		}
		s.creds = creds
		s.keepEmail(creds.JSON())
	}
	return s.creds.Token(ctx)
}

// forget has the next caller get another token: Google no longer takes this one.
// It doesn't wait for whoever is signing in just now.
func (s *signIn) forget() { s.stale.Store(true) }

// account is the identity's e-mail address; "" where it isn't known.
func (s *signIn) account() string {
	if email := s.email.Load(); email != nil {
		return *email
	}
	return ""
}

// keepEmail finds the address in a credentials file: it stands there itself or,
// for an impersonated account, in the address of its token.
func (s *signIn) keepEmail(content []byte) {
	var file struct {
		ClientEmail   string `json:"client_email"`
		Impersonation string `json:"service_account_impersonation_url"`
	}
	if len(content) == 0 || json.Unmarshal(content, &file) != nil {
		return
	}
	if file.ClientEmail == "" {
		_, after, _ := strings.Cut(file.Impersonation, "/serviceAccounts/")
		file.ClientEmail, _, _ = strings.Cut(after, ":")
	}
	s.email.Store(&file.ClientEmail)
}
