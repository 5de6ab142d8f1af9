package kingfisher

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// A Diagnosis tries, one after the other, what the busy checks need. It keeps one
// connection to the server from method to method, until Close: Connection comes
// before HostKey, which also needs Key, and is followed by Login and Script;
// after them come Processes, Tmux and Postgres, in any order. Scrapyd stands
// alone. A method is called once, and only if those it needs found nothing wrong.
//
// Each returns what it found to be well, in a few words; a warning, which no
// method has so far; and what is wrong and what to do, as a sentence.
type Diagnosis struct {
	checker *Checker

	signer ssh.AlgorithmSigner
	conn   promptConn
	client *ssh.Client
	// refused is why the login failed, once the host key was accepted.
	refused  error
	sections map[string]section
}

// Diagnose returns a Diagnosis of what the checker needs.
func (c *Checker) Diagnose() *Diagnosis { return &Diagnosis{checker: c} }

// Close ends the connection.
func (d *Diagnosis) Close() {
	if d.client != nil {
		d.client.Close()
		// The connection's goroutines end with it.
		_ = d.client.Wait()
	}
	if d.conn.Conn != nil {
		d.conn.Close()
	}
}

// Scrapyd asks Scrapyd for its jobs.
func (d *Diagnosis) Scrapyd(ctx context.Context) (found, warning string, err error) {
	jobs, err := d.checker.jobs(ctx)
	if err != nil {
		return "", "", problem(err)
	}
	return fmt.Sprintf("%d running, %d pending at %s", len(jobs.Running), len(jobs.Pending), d.checker.scrapyd), "", nil
}

// Key reads the private key.
func (d *Diagnosis) Key(context.Context) (found, warning string, err error) {
	signer, err := d.checker.signer()
	if err != nil {
		return "", "", problem(err)
	}
	var ok bool
	if d.signer, ok = signer.(ssh.AlgorithmSigner); !ok {
		return "", "", problem(fmt.Errorf("the key file %s has a key of a kind that can't be used: make one with ssh-keygen -t ed25519", d.checker.config.IdentityFile))
	}
	key := signer.PublicKey()
	return key.Type() + " " + ssh.FingerprintSHA256(key), "", nil
}

// Connection knocks and connects.
func (d *Diagnosis) Connection(ctx context.Context) (found, warning string, err error) {
	conn, err := d.checker.dial(ctx)
	if err != nil {
		return "", "", problem(err)
	}
	d.conn = promptConn{conn}
	found = d.checker.config.SSHAddress
	if knocked := d.checker.config.KnockAddress; knocked != "" {
		found += ", after a knock at " + knocked
	}
	return found, "", nil
}

// HostKey compares the server's host key with the known one. The login follows
// over the same connection; what comes of it, Login tells.
func (d *Diagnosis) HostKey(ctx context.Context) (found, warning string, err error) {
	c := d.checker
	file := c.config.KnownHostsFile
	hosts, err := knownhosts.NewDB(file)
	if err != nil {
		return "", "", problem(c.fileError("known_hosts file", file, "kingfisher.ssh.known_hosts_file", err))
	}
	defer context.AfterFunc(ctx, func() { d.conn.Close() })()
	signer := &notedSigner{AlgorithmSigner: d.signer}
	d.client, err = c.handshake(ctx, d.conn, signer, hosts)
	if err != nil && !signer.used {
		return "", "", problem(err)
	}
	d.refused = err
	return "as in " + file, "", nil
}

// A notedSigner notes that it is used, which it is to log in, and thus only once
// the host key was accepted.
type notedSigner struct {
	ssh.AlgorithmSigner
	used bool
}

func (s *notedSigner) PublicKey() ssh.PublicKey {
	s.used = true
	return s.AlgorithmSigner.PublicKey()
}

// Login tells whether the bot was let in.
func (d *Diagnosis) Login(context.Context) (found, warning string, err error) {
	if d.refused != nil {
		return "", "", fmt.Errorf("%w The public key is printed by ssh-keygen -y -f %s", problem(d.refused), d.checker.config.IdentityFile)
	}
	return "as the user " + d.checker.config.SSHUser, "", nil
}

// Script runs the check's script on the server.
func (d *Diagnosis) Script(ctx context.Context) (found, warning string, err error) {
	defer context.AfterFunc(ctx, func() { d.conn.Close() })()
	d.sections = map[string]section{}
	began := time.Now()
	err = d.checker.runScript(ctx, d.client, func(_ hello, s section) bool {
		d.sections[s.name] = s
		return true
	})
	if err != nil {
		return "", "", problem(err)
	}
	for _, name := range sections {
		if _, ok := d.sections[name]; !ok {
			return "", "", problem(fmt.Errorf("the check on the server ended without its part on %s", name))
		}
	}
	return fmt.Sprintf("version %d, took %s", ScriptVersion, time.Since(began).Round(time.Millisecond)), "", nil
}

// Processes tells whether everyone's processes are listed.
func (d *Diagnosis) Processes(context.Context) (found, warning string, err error) {
	table, err := processesOf(d.sections["processes"])
	if errors.Is(err, errPartial) {
		err = fmt.Errorf("%w as the user %s: let the bot log in as root, or mount /proc on the server without hidepid", err, d.checker.config.SSHUser)
	}
	if err != nil {
		return "", "", problem(err)
	}
	found = fmt.Sprintf("%d listed", len(table.byPID))
	if who := runsAs(table); who != "" {
		found += ", as the user " + who
	}
	return found, "", nil
}

// runsAs is the user that the script runs as, by its own ps; "" if that isn't
// listed.
func runsAs(t processTable) string {
	for _, p := range t.byPID {
		if strings.HasPrefix(p.args, "ps --cols 4096 --no-headers ") {
			return oneLine(p.user, maxName)
		}
	}
	return ""
}

// Tmux tells whether everyone's tmux servers could be looked at.
func (d *Diagnosis) Tmux(context.Context) (found, warning string, err error) {
	s := d.sections["tmux"]
	servers := 0
	// What runs is not asked here. It would hide that something else could not
	// be looked at.
	s.runs = slices.Clone(s.runs)
	for i, r := range s.runs {
		if r.kind == "socket" && r.status == 0 {
			servers++
			s.runs[i].out = nil
		}
	}
	remark, err := rights(d.checker.tmuxResult(s))
	if err != nil {
		return "", "", err
	}
	// Nobody else may have a tmux server just now.
	if table, err := processesOf(s); err == nil {
		who := runsAs(table)
		others := len(d.checker.config.TmuxUsers) == 0 || slices.ContainsFunc(d.checker.config.TmuxUsers, func(u string) bool { return u != who })
		if who != "" && who != "root" && others {
			return "", "", problem(fmt.Errorf("the check runs as the user %s on the server, who can't look into the tmux sessions of others: let the bot log in as root, or install the check there with deploy/kingfisher/install.sh", who))
		}
	}
	of := "of every user"
	if users := d.checker.config.TmuxUsers; len(users) > 0 {
		of = "of " + strings.Join(users, ", ")
	}
	return fmt.Sprintf("the servers %s can be read: %d now%s", of, servers, remark), "", nil
}

// Postgres tells whether everyone's queries could be seen.
func (d *Diagnosis) Postgres(context.Context) (found, warning string, err error) {
	s := d.sections["postgres"]
	var clusters []string
	for _, r := range s.runs {
		if r.kind == "cluster" {
			clusters = append(clusters, oneLine(strings.ReplaceAll(r.args, " ", "/"), maxName))
		}
	}
	// As in Tmux: no query is too long here.
	patient := *d.checker
	patient.config.LongQuery = math.MaxInt64
	remark, err := rights(patient.postgresResult(s))
	if err != nil {
		return "", "", err
	}
	return fmt.Sprintf("everyone's queries can be seen in %s%s", strings.Join(clusters, ", "), remark), "", nil
}

// rights turns a result whose findings don't matter into what else there is to
// say, or why something could not be looked at.
func rights(r deploytoken.CheckResult) (remark string, err error) {
	switch {
	case r.State == deploytoken.Unknown:
		return "", errors.New(r.Reason)
	case r.Reason != "":
		return ". " + strings.TrimSuffix(r.Reason, "."), nil
	}
	return "", nil
}

// problem makes a sentence of an error that is one without its capital and its
// full stop.
func problem(err error) error { return errors.New(sentence(err) + ".") }
