package google

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The scopes that the operations here ask for.
const (
	scopeDocs           = "https://www.googleapis.com/auth/documents"
	scopeDocsRead       = "https://www.googleapis.com/auth/documents.readonly"
	scopeSheets         = "https://www.googleapis.com/auth/spreadsheets"
	scopeSheetsRead     = "https://www.googleapis.com/auth/spreadsheets.readonly"
	scopeDrive          = "https://www.googleapis.com/auth/drive"
	scopeDriveRead      = "https://www.googleapis.com/auth/drive.readonly"
	scopeDriveFile      = "https://www.googleapis.com/auth/drive.file"
	scopeDriveMeta      = "https://www.googleapis.com/auth/drive.metadata"
	scopeDriveMetaRead  = "https://www.googleapis.com/auth/drive.metadata.readonly"
	jwtBearer           = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	clockSkew           = 5 * time.Minute
	googleTokenURL      = "https://oauth2.googleapis.com/token"
	keyBits             = 2048
	maxTokens           = 10_000
	accessTokenLength   = 120
	serviceAccountEmail = "@" + projectID + ".iam.gserviceaccount.com"
)

var (
	readDocs    = []string{scopeDocs, scopeDocsRead, scopeDrive, scopeDriveFile, scopeDriveRead}
	writeDocs   = []string{scopeDocs, scopeDrive, scopeDriveFile}
	readSheets  = []string{scopeSheets, scopeSheetsRead, scopeDrive, scopeDriveFile, scopeDriveRead}
	writeSheets = []string{scopeSheets, scopeDrive, scopeDriveFile}
	readDrive   = []string{scopeDrive, scopeDriveFile, scopeDriveMeta, scopeDriveMetaRead, scopeDriveRead}
)

// accounts are the service accounts with their keys and tokens.
type accounts struct {
	byEmail map[string]*account
	tokens  map[string]accessToken
}

type account struct {
	Account
	key   *rsa.PrivateKey // nil until credentials are asked for, and once the key was deleted
	keyID string
}

func (a *account) person() Person {
	name := a.Name
	if name == "" {
		name = a.Email
	}
	return Person{Name: name, Email: a.Email}
}

type accessToken struct {
	account *account
	scopes  []string
	expires time.Time
}

// ServiceAccountEmail is the address of a service account of the local project.
func ServiceAccountEmail(name string) string { return name + serviceAccountEmail }

// AddAccount adds a service account, which may then be given roles and sign in.
func (s *Server) AddAccount(a Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addAccount(a)
}

func (s *Server) addAccount(a Account) error {
	if a.Email == "" {
		return errors.New("local Google: an account needs an e-mail address")
	}
	if s.byEmail[a.Email] != nil {
		return fmt.Errorf("local Google: account %s exists already", a.Email)
	}
	s.byEmail[a.Email] = &account{Account: a}
	return nil
}

// CredentialsJSON is the credentials file of an account, as Google's clients take it, with token_uri at
// this server. Its key is made when it is asked for first, and anew after DeleteKey. The server must have
// been started, for its address.
func (s *Server) CredentialsJSON(email string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byEmail[email]
	if a == nil {
		return nil, fmt.Errorf("local Google: no account %s", email)
	}
	if s.url == "" {
		return nil, errors.New("local Google: credentials name the server's address: start it first")
	}
	if a.key == nil {
		key, err := rsa.GenerateKey(rand.Reader, keyBits)
		if err != nil {
			return nil, fmt.Errorf("local Google: making a key for %s: %w", email, err)
		}
		a.key, a.keyID = key, randomID(40)
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("local Google: encoding the key of %s: %w", email, err)
	}
	return json.MarshalIndent(map[string]string{
		"type":                        "service_account",
		"project_id":                  projectID,
		"private_key_id":              a.keyID,
		"private_key":                 string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":                email,
		"client_id":                   "100000000000000000000",
		"auth_uri":                    s.url + "/auth",
		"token_uri":                   s.url + "/token",
		"auth_provider_x509_cert_url": s.url + "/certs",
		"client_x509_cert_url":        s.url + "/certs/" + email,
		"universe_domain":             "googleapis.com",
	}, "", "  ")
}

// DeleteKey makes an account's key and tokens useless, as when someone deletes the key in the console:
// the token endpoint answers invalid_grant.
func (s *Server) DeleteKey(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.byEmail[email]; a != nil {
		a.key = nil
	}
	s.dropTokens(email)
}

// RevokeTokens makes the access tokens that were issued to an account invalid; it may ask for new ones.
func (s *Server) RevokeTokens(email string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropTokens(email)
}

func (s *Server) dropTokens(email string) {
	for token, t := range s.tokens {
		if t.account.Email == email {
			delete(s.tokens, token)
		}
	}
}

// claims are those of a JSON Web Token that matter here.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Scope    string `json:"scope"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// tokenError is an error of the token endpoint.
type tokenError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (e *tokenError) Error() string { return e.Code + ": " + e.Description }

// verify checks the signature and the times of a token that an account signed. s.mu is held.
func (s *Server) verify(jwt string) (*account, claims, *tokenError) {
	var c claims
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, c, &tokenError{"invalid_grant", "Bad Request"}
	}
	var header struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decodePart(parts[0], &header) != nil || decodePart(parts[1], &c) != nil || header.Algorithm != "RS256" {
		return nil, c, &tokenError{"invalid_grant", "Bad Request"}
	}
	a := s.byEmail[c.Issuer]
	if a == nil {
		return nil, c, &tokenError{"invalid_grant", "Invalid grant: account not found"}
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if a.key == nil || header.KeyID != "" && header.KeyID != a.keyID ||
		rsa.VerifyPKCS1v15(&a.key.PublicKey, crypto.SHA256, digest[:], signature) != nil {
		return nil, c, &tokenError{"invalid_grant", "Invalid JWT Signature."}
	}
	now, issued, expires := s.cfg.TokenClock(), time.Unix(c.Issued, 0), time.Unix(c.Expires, 0)
	if expires.Sub(issued) > time.Hour || expires.Before(issued) || issued.After(now.Add(clockSkew)) || !expires.After(now) {
		return nil, c, &tokenError{"invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}
	}
	return a, c, nil
}

func decodePart(part string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// issueToken answers the token endpoint's one grant: a token signed by a service account's key.
func (s *Server) issueToken(r *http.Request) (any, *tokenError) {
	if err := r.ParseForm(); err != nil {
		return nil, &tokenError{"invalid_request", "Bad Request"}
	}
	if r.PostForm.Get("grant_type") != jwtBearer {
		return nil, &tokenError{"unsupported_grant_type", "Invalid grant_type: " + r.PostForm.Get("grant_type")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, c, err := s.verify(r.PostForm.Get("assertion"))
	if err != nil {
		return nil, err
	}
	if c.Audience != s.url+"/token" && c.Audience != "http://"+r.Host+"/token" && c.Audience != googleTokenURL {
		return nil, &tokenError{"invalid_grant", "Invalid JWT: Failed audience check."}
	}
	scopes := strings.Fields(c.Scope)
	if len(scopes) == 0 {
		return nil, &tokenError{"invalid_scope", "Invalid OAuth scope or ID token audience provided."}
	}
	now := s.cfg.TokenClock()
	if len(s.tokens) >= maxTokens {
		for token, t := range s.tokens {
			if !t.expires.After(now) {
				delete(s.tokens, token)
			}
		}
	}
	if len(s.tokens) >= maxTokens {
		return nil, &tokenError{"temporarily_unavailable", "Too many tokens are in use."}
	}
	token := "ya29.c." + opaque(accessTokenLength)
	s.tokens[token] = accessToken{a, scopes, now.Add(tokenLife)}
	return map[string]any{
		"access_token": token, "expires_in": int(tokenLife/time.Second) - 1, "token_type": "Bearer",
	}, nil
}

// opaque makes up n characters as they are in tokens.
func opaque(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}

// authenticate finds whose Bearer token a request has, and checks that one of the scopes was granted.
// s.mu is held.
func (s *Server) authenticate(r *http.Request, svc service, scopes []string) (*account, *apiError) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return nil, unauthenticated("CREDENTIALS_MISSING", svc)
	}
	if t, ok := s.tokens[token]; ok {
		if !t.expires.After(s.cfg.TokenClock()) {
			return nil, unauthenticated("ACCESS_TOKEN_EXPIRED", svc)
		}
		return t.account, checkScopes(t.scopes, scopes, svc)
	}
	a, c, err := s.verify(token)
	if err != nil || c.Subject != "" && c.Subject != c.Issuer {
		return nil, unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", svc)
	}
	if c.Scope == "" {
		// Without scopes the token is for one API, named as its audience.
		if c.Audience != "https://"+svc.host+"/" {
			return nil, unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED", svc)
		}
		return a, nil
	}
	return a, checkScopes(strings.Fields(c.Scope), scopes, svc)
}

func checkScopes(granted, wanted []string, svc service) *apiError {
	for _, scope := range granted {
		if slices.Contains(wanted, scope) {
			return nil
		}
	}
	return insufficientScope(svc)
}
