// Package gdoc speaks with Google: it reads and writes the Deploy token
// document (Docs), the Deploy history spreadsheet (Sheets), and asks who edited
// last (Drive). It provides the ports Document and History of the package
// deploytoken, and translates Google's errors into what to do about them.
package gdoc

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/docs/v1"
	"google.golang.org/api/drive/v3"
	"google.golang.org/api/option"
	"google.golang.org/api/sheets/v4"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// callTimeout bounds every call to Google, besides the caller's context.
const callTimeout = 10 * time.Second

// scopes are what the bot asks Google for: to write the document and the
// spreadsheet, and to read who edited a file last.
var scopes = []string{docs.DocumentsScope, sheets.SpreadsheetsScope, drive.DriveMetadataReadonlyScope}

// Config is what a Client needs.
type Config struct {
	// CredentialsFile is the path of a service account's key file, or of another
	// credentials file of Google's; its token_uri is honoured. Where it is empty,
	// Application Default Credentials are looked for at the first call.
	CredentialsFile string
	// Endpoint is the base address of a local server that answers in place of
	// Docs (/v1/…), Sheets (/v4/…) and Drive (/drive/v3/…); empty for Google.
	Endpoint string
	// Logger hears of calls, at debug level, and of what was not expected;
	// nil: nobody does.
	Logger *slog.Logger
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// A Client is one identity's connection to Google's services. It may be used by
// several goroutines at once.
type Client struct {
	docs      *docs.Service
	sheets    *sheets.Service
	drive     *drive.Service
	http      *http.Client
	transport *transport
	log       *slog.Logger
	clock     func() time.Time
}

// NewClient returns a client. It reads the credentials file, and does not touch
// the network.
// Errors: deploytoken.ErrMisconfigured, for a credentials file that is missing
// or not one.
func NewClient(c Config) (*Client, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	base := newBase()
	signIn, err := newSignIn(c.CredentialsFile, &http.Client{Transport: base, Timeout: callTimeout, CheckRedirect: noRedirects})
	if err != nil {
		return nil, err
	}
	t := &transport{base: base, signIn: signIn, log: c.Logger}
	client := &Client{
		http:      &http.Client{Transport: t, CheckRedirect: noRedirects},
		transport: t, log: c.Logger, clock: c.Clock,
	}
	ctx, with := context.Background(), option.WithHTTPClient(client.http)
	if client.docs, err = docs.NewService(ctx, with); err != nil {
		return nil, fmt.Errorf("setting up Google Docs: %w", err)
	}
	if client.sheets, err = sheets.NewService(ctx, with); err != nil {
		return nil, fmt.Errorf("setting up Google Sheets: %w", err)
	}
	if client.drive, err = drive.NewService(ctx, with); err != nil {
		return nil, fmt.Errorf("setting up Google Drive: %w", err)
	}
	if c.Endpoint != "" {
		base := strings.TrimSuffix(c.Endpoint, "/") + "/"
		client.docs.BasePath, client.sheets.BasePath, client.drive.BasePath = base, base, base+"drive/v3/"
	}
	return client, nil
}

// Account is the e-mail address that files must be shared with; "" where the
// credentials don't tell.
func (c *Client) Account() string { return c.transport.signIn.account() }

// warm signs in, so that the first call needn't.
// Errors: deploytoken.ErrUnavailable, deploytoken.ErrMisconfigured.
func (c *Client) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := c.transport.signIn.token(ctx); err != nil {
		return c.explain(&signInError{err}, target{name: "Google"})
	}
	return nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Document returns the document of an ID, whose holder line starts with label,
// such as "Held by:".
func (c *Client) Document(id, label string) *Document {
	return &Document{client: c, id: id, label: deploytoken.CleanLine(label, 0)}
}

// newBase returns a transport that keeps connections, and notices soon when one
// that is kept has died.
func newBase() *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.DialContext = (&net.Dialer{Timeout: callTimeout / 2, KeepAlive: 15 * time.Second}).DialContext
	base.TLSHandshakeTimeout = callTimeout / 2
	base.IdleConnTimeout = 5 * time.Minute
	base.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second}
	return base
}

// noRedirects keeps a token from being sent to another place.
func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
