package kingfisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knockWait is how long to wait for the outcome of the knock before dialling.
// The firewall lets the address in as it sees the first packet; a dial at the
// very same instant may overtake it, and is repeated only after a second.
const knockWait = 20 * time.Millisecond

// inspect runs the script on the server over one SSH connection, and calls
// yield with each section as it arrives, until yield returns false. Its errors
// are sentences for people, without a full stop.
func (c *Checker) inspect(ctx context.Context, yield func(hello, section) bool) error {
	signer, err := c.signer()
	if err != nil {
		return err
	}
	hosts, err := knownhosts.NewDB(c.config.KnownHostsFile)
	if err != nil {
		return c.fileError("known_hosts file", c.config.KnownHostsFile, "kingfisher.ssh.known_hosts_file", err)
	}
	dialled, err := c.dial(ctx)
	if err != nil {
		return err
	}
	conn := promptConn{dialled}
	defer conn.Close()
	// Whatever waits for the server ends with the connection.
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	client, err := c.handshake(ctx, conn, signer, hosts)
	if err != nil {
		return err
	}
	defer func() {
		client.Close()
		// The connection's goroutines end with it.
		_ = client.Wait()
	}()
	return c.runScript(ctx, client, yield)
}

// A promptConn acknowledges what it receives at once.
type promptConn struct{ net.Conn }

func (c promptConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	acknowledge(c.Conn)
	return n, err
}

// signer reads the key that the bot logs in with, afresh each time, so that
// mending it needs no restart.
func (c *Checker) signer() (ssh.Signer, error) {
	file := c.config.IdentityFile
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, c.fileError("key file", file, "kingfisher.ssh.identity_file", err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if encrypted := (*ssh.PassphraseMissingError)(nil); errors.As(err, &encrypted) {
		return nil, fmt.Errorf("the key file %s is protected by a passphrase, which the bot can't type: remove it with ssh-keygen -p -f %s, or give the bot a key of its own", file, file)
	}
	if err != nil {
		return nil, fmt.Errorf("the key file %s does not hold a private key in a form that OpenSSH uses: check kingfisher.ssh.identity_file", file)
	}
	return signer, nil
}

// fileError says what is wrong with a file that the configuration names by key.
func (c *Checker) fileError(what, file, key string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the %s %s does not exist: create it, or correct %s", what, file, key)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the %s %s may not be read by the bot: make the user that the bot runs as its owner", what, file)
	}
	return fmt.Errorf("the %s %s can't be used: %w", what, file, err)
}

// dial knocks and connects, at each of the server's addresses in turn.
func (c *Checker) dial(ctx context.Context) (net.Conn, error) {
	host, port, _ := net.SplitHostPort(c.config.SSHAddress)
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("the address of %s could not be looked up %s", host, c.within(ctx))
		case errors.As(err, &dns) && dns.IsNotFound:
			return nil, fmt.Errorf("there is no server of the name %s: check kingfisher.ssh.address", host)
		}
		return nil, fmt.Errorf("the address of %s could not be looked up: %w", host, err)
	}
	deadline, limited := ctx.Deadline()
	for i := range addresses {
		address := addresses[i].Unmap().String()
		attempt, cancel := ctx, context.CancelFunc(func() {})
		if limited {
			// What is left is shared by the addresses, as one of them may lead
			// nowhere.
			share := time.Until(deadline) / time.Duration(len(addresses)-i)
			attempt, cancel = context.WithTimeout(ctx, share)
		}
		stopKnocking := c.knock(attempt, address)
		var conn net.Conn
		conn, err = (&net.Dialer{KeepAlive: -1}).DialContext(attempt, "tcp", net.JoinHostPort(address, port))
		stopKnocking()
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	where := c.config.SSHAddress
	if only := addresses[0].Unmap().String(); len(addresses) == 1 && only != host {
		where += " (" + only + ")"
	}
	knocked := ""
	if c.config.KnockAddress != "" {
		knocked = ", also after the knock at " + c.config.KnockAddress + ": the server may be down, or its firewall may not know this machine"
	}
	var timeout net.Error
	switch {
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return nil, fmt.Errorf("the server did not answer at %s %s%s", where, c.within(ctx), knocked)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("the server refused the connection to %s%s", where, cmp.Or(knocked, ": check that sshd runs and listens there"))
	}
	return nil, fmt.Errorf("the server could not be reached at %s: %w", where, err)
}

// within says how long was waited, or that waiting was called off.
func (c *Checker) within(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.Canceled) {
		return "before the check was called off"
	}
	return fmt.Sprintf("within %s", c.config.Timeout)
}

// knock connects to the knock port of the address that is about to be dialled,
// so that the firewall lets this machine in there, and returns without waiting
// for the outcome for longer than knockWait. It returns a function that ends the
// attempt.
func (c *Checker) knock(ctx context.Context, address string) (stop func()) {
	if c.config.KnockAddress == "" {
		return func() {}
	}
	host, port, _ := net.SplitHostPort(c.config.KnockAddress)
	if sshHost, _, _ := net.SplitHostPort(c.config.SSHAddress); strings.EqualFold(host, sshHost) {
		// IPv4 and IPv6 have firewalls of their own.
		host = address
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
		if err == nil {
			conn.Close()
		}
	}()
	timer := time.NewTimer(knockWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return func() {
		cancel()
		<-done
	}
}

// handshake logs in.
func (c *Checker) handshake(ctx context.Context, conn net.Conn, signer ssh.Signer, hosts *knownhosts.HostKeyDB) (*ssh.Client, error) {
	address := c.config.SSHAddress
	check := hosts.HostKeyCallback()
	var refused error // by us, of its key
	var known bool
	config := &ssh.ClientConfig{
		User: c.config.SSHUser,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			if err := check(host, remote, key); err != nil {
				refused = c.hostKeyError(key, err)
				return refused
			}
			known = true
			return nil
		},
		// Without these, a known_hosts file that has one key of several would
		// be compared with another of the server's keys.
		HostKeyAlgorithms: hosts.HostKeyAlgorithms(address),
		ClientVersion:     "SSH-2.0-deploytoken",
	}
	transport, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err == nil {
		return ssh.NewClient(transport, channels, requests), nil
	}
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case refused != nil:
		return nil, refused
	case ctx.Err() != nil:
		return nil, fmt.Errorf("the server at %s accepted the connection but did not go on with it %s: look at its sshd", address, c.within(ctx))
	case errors.As(err, &negotiation) && len(config.HostKeyAlgorithms) > 0:
		return nil, fmt.Errorf("the server at %s no longer has a host key of the type that %s has for it (%s): ask its administrator for the new key's fingerprint, and replace the line only if the server shows it", address, c.config.KnownHostsFile, strings.Join(config.HostKeyAlgorithms, ", "))
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		if known {
			return nil, fmt.Errorf("the server at %s closed the connection while the user %s was logging in: look at its sshd's log", address, c.config.SSHUser)
		}
		return nil, fmt.Errorf("the server at %s closed the connection at once: it may keep this machine out for a while after failed logins (PerSourcePenalties, MaxStartups, fail2ban); look at its sshd's log", address)
	case known:
		key := signer.PublicKey()
		return nil, fmt.Errorf("the server at %s refused the user %s with the key in %s (%s %s): add its public key to that user's authorized_keys, and mind a from= there", address, c.config.SSHUser, c.config.IdentityFile, key.Type(), ssh.FingerprintSHA256(key))
	}
	return nil, fmt.Errorf("the SSH connection to %s failed: %w", address, err)
}

// hostKeyError says why the server's key was not accepted, and what to do.
func (c *Checker) hostKeyError(key ssh.PublicKey, err error) error {
	address := c.config.SSHAddress
	shown := key.Type() + " " + ssh.FingerprintSHA256(key)
	var changed *xknownhosts.KeyError
	var revoked *xknownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		return fmt.Errorf("the host key of %s (%s) is marked as revoked at %s:%d: ask its administrator", address, shown, revoked.Revoked.Filename, revoked.Revoked.Line)
	case errors.As(err, &changed) && len(changed.Want) > 0:
		want := changed.Want[0]
		for _, w := range changed.Want {
			if w.Key.Type() == key.Type() {
				want = w
				break
			}
		}
		return fmt.Errorf("the host key of %s has changed: it shows %s, and %s:%d has %s; someone may be in between. Ask its administrator for the fingerprint, and replace the line only if it is the one shown", address, shown, want.Filename, want.Line, ssh.FingerprintSHA256(want.Key))
	case errors.As(err, &changed):
		host, port, _ := net.SplitHostPort(address)
		return fmt.Errorf("the host key of %s (%s) is not in %s: compare the fingerprint with what its administrator says, then add it with ssh-keyscan -p %s %s >> %s", address, shown, c.config.KnownHostsFile, port, host, c.config.KnownHostsFile)
	}
	return fmt.Errorf("the host key of %s (%s) was not accepted: %w", address, shown, err)
}

// errNoGreeting means that a command ended without the script's first line.
var errNoGreeting = errors.New("the check on the server ended early")

// runScript runs the script. The bot needs to send it to root only: another user
// sees most only through a forced command, for which a first attempt is made.
func (c *Checker) runScript(ctx context.Context, client *ssh.Client, yield func(hello, section) bool) error {
	if c.config.SSHUser != "root" {
		if err := c.runCommand(ctx, client, installedCommand, yield); !errors.Is(err, errNoGreeting) {
			return err
		}
	}
	err := c.runCommand(ctx, client, sentCommand, yield)
	if c.config.SSHUser != "root" && errors.Is(err, errNoGreeting) {
		return fmt.Errorf("%w: if the check is installed there for the user %s, run deploy/kingfisher/install.sh of this bot's release again", err, c.config.SSHUser)
	}
	return err
}

// runCommand runs a command that prints the script's output, in a session of its
// own. It does without ssh.Session, which says nothing more before the server
// has confirmed the command.
func (c *Checker) runCommand(ctx context.Context, client *ssh.Client, line string, yield func(hello, section) bool) error {
	channel, requests, err := client.OpenChannel("session", nil)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("the server let the bot log in but did not open a session %s", c.within(ctx))
		}
		return fmt.Errorf("the server let the bot log in but did not open a session: %w", err)
	}
	defer channel.Close()
	// These two end with the connection, at the latest.
	go ssh.DiscardRequests(requests)
	complaint := make(chan string, 1)
	go func() {
		// All of it is read, since what is not would hold up the output.
		text, _ := io.ReadAll(io.LimitReader(channel.Stderr(), 4096))
		_, _ = io.Copy(io.Discard, channel.Stderr())
		complaint <- string(text)
	}()

	if _, err := channel.SendRequest("exec", false, ssh.Marshal(struct{ Command string }{line})); err != nil {
		return fmt.Errorf("the check could not be started on the server: %w", err)
	}
	// It has no input.
	_ = channel.CloseWrite()
	r := newReader(channel)
	hello, err := r.hello()
	for err == nil {
		var s section
		if s, err = r.section(); err == nil && !yield(hello, s) {
			return nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the check on the server did not finish %s", c.within(ctx))
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case hello.nonce != "" && errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("what the check on the server found was cut off")
	case hello.nonce != "":
		return nil
	}
	// Where the output has ended, so have the complaints.
	if said := cmp.Or(command(<-complaint, maxName), command(r.noise, maxName)); said != "" {
		return fmt.Errorf("%w, saying %q", errNoGreeting, said)
	}
	return fmt.Errorf("%w without saying why", errNoGreeting)
}
