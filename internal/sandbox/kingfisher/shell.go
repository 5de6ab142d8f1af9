package kingfisher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// outputVersion is of the check's output, which the checker compares with its
// own.
const outputVersion = 2

// serveShell serves SSH until the listener is closed, and returns once every
// connection has ended.
func (s *Server) serveShell(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if s.ctx.Err() == nil {
				s.config.Logger.Error("local SSH server stopped listening", "error", err)
			}
			return
		}
		// The goroutine that accepts is counted in itself, so the count is not
		// zero here.
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			defer conn.Close()
			defer context.AfterFunc(s.ctx, func() { conn.Close() })()
			s.serveConn(conn)
		}()
	}
}

func (s *Server) serveConn(conn net.Conn) {
	switch fault, ended := s.wrong(); fault {
	case FaultUnreachable:
		return
	case FaultHang:
		// Until the client goes, so that it isn't kept for ever.
		gone := make(chan struct{})
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			defer close(gone)
			_, _ = io.Copy(io.Discard, conn)
		}()
		select {
		case <-ended:
		case <-gone:
		}
		return
	}
	// A connection is for one check.
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	session, channels, requests, err := ssh.NewServerConn(conn, s.ssh)
	if err != nil {
		s.config.Logger.Debug("local SSH server: a login failed", "error", err)
		return
	}
	defer session.Close()
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		ssh.DiscardRequests(requests)
	}()
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(ssh.Prohibited, "only the check can be run here")
			continue
		}
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		s.serveSession(channel, requests)
	}
}

// serveSession answers whatever is to be run by the check's output, as a forced
// command does.
func (s *Server) serveSession(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		run := r.Type == "exec" || r.Type == "shell"
		if r.WantReply {
			_ = r.Reply(run, nil)
		}
		if !run {
			continue
		}
		if _, err := channel.Write(s.output()); err == nil {
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		}
		return
	}
}

// A printer prints the check's output.
type printer struct {
	bytes.Buffer
	nonce string
}

// control prints a line that gives the structure.
func (p *printer) control(words ...any) { fmt.Fprintln(p, append([]any{p.nonce}, words...)...) }

// run prints a command that was run, what it printed, and its exit status.
func (p *printer) run(header, out string, status int) {
	p.control("run", header)
	p.WriteString(out + "\n")
	p.control("err")
	p.WriteString("\n")
	p.control("exit", status)
}

// newUUID returns a random UUID.
func newUUID() string {
	id := newID()
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
}

// output is what the check's script would have printed.
func (s *Server) output() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, now := &s.world, s.config.Now().In(s.config.Zone)
	p := printer{nonce: newUUID()}
	fmt.Fprintf(&p, "\nkingfisher-busy %d %s %s\n", outputVersion, p.nonce, now.Format("-0700"))

	processes, starts := w.ps(now)
	p.control("begin", "processes")
	p.run("ps", processes, 0)
	p.run("starts "+s.boot, starts, 0)
	p.control("end", "processes")

	p.control("begin", "tmux")
	for i, t := range w.users {
		p.run(fmt.Sprintf("socket %s /tmp/tmux-%d/default", t.user, 1001+i), w.panes(t.user), 0)
	}
	p.run("ps", processes, 0)
	p.run("starts "+s.boot, starts, 0)
	p.control("end", "tmux")

	p.control("begin", "postgres")
	p.run("pg_lsclusters", "15 main 5432 online postgres /var/lib/postgresql/15/main /var/log/postgresql/postgresql-15-main.log\n", 0)
	p.run("cluster 15 main", w.activity(now), 0)
	p.control("end", "postgres")
	return p.Bytes()
}

// ps lists the processes: pid, ppid, pgid, stat, etimes, user, comm, args; and
// when they started: pid, hundredths of a second since the start of the system.
func (w *world) ps(now time.Time) (processes, starts string) {
	var b, begun strings.Builder
	line := func(pid, parent int, since time.Time, user, args string) {
		name, _, _ := strings.Cut(args, " ")
		if name = path.Base(name); name == "tmux" {
			name = "tmux: server"
		}
		fmt.Fprintf(&b, "%d %d %d S %d %s %-15.15s %s\n", pid, parent, pid, seconds(now, since), user, name, args)
		// The system has been up since 1970.
		fmt.Fprintf(&begun, "%d %d\x00", pid, max(0, since.UnixMilli()/10))
	}
	line(1, 0, time.Time{}, "root", "/sbin/init")
	line(2, 1, time.Time{}, "ocdskfs", "/home/ocdskfs/scrapyd/.ve/bin/python /home/ocdskfs/scrapyd/.ve/bin/scrapyd")
	for _, p := range w.spiders {
		if p.Pending {
			continue
		}
		args := fmt.Sprintf("/home/ocdskfs/scrapyd/.ve/bin/python -m scrapyd.runner crawl %s -a _job=%s", p.Name, p.ID)
		if p.Note != "" {
			args += " -a note=" + p.Note
		}
		line(p.pid, 2, p.Started, "ocdskfs", args)
	}
	for _, p := range w.processes {
		line(p.pid, 1, p.Started, p.User, p.Command)
	}
	for _, t := range w.users {
		line(t.pid, 1, time.Time{}, t.user, "tmux")
		for _, x := range w.sessions {
			if x.User != t.user {
				continue
			}
			line(x.shell, t.pid, x.Opened, x.User, "-bash")
			if x.Command != "" {
				line(x.pid, x.shell, x.Started, x.User, x.Command)
			}
		}
	}
	return b.String(), begun.String()
}

// panes lists a user's panes: created, attached, pid, dead, session.
func (w *world) panes(user string) string {
	var b strings.Builder
	for _, x := range w.sessions {
		if x.User == user {
			fmt.Fprintf(&b, "%d|0|%d|0|%s\n", x.Opened.Unix(), x.shell, x.Name)
		}
	}
	return b.String()
}

// activity is what the script's query of PostgreSQL gives.
func (w *world) activity(now time.Time) string {
	sessions := []map[string]any{}
	for _, q := range w.queries {
		var client any
		if q.Client != "" {
			client = q.Client
		}
		age, start := seconds(now, q.Started), q.Started.UnixMicro()
		sessions = append(sessions, map[string]any{
			"pid": q.pid, "user": q.User, "database": q.Database, "client": client, "application": q.Application,
			"state": q.State, "query_age": age, "transaction_age": age, "query_start": start, "transaction_start": start,
			"query": q.Text,
		})
	}
	// Strings and numbers always marshal.
	b, _ := json.Marshal(map[string]any{"role": "postgres", "tracked": "on", "hidden": 0, "sessions": sessions})
	return string(b)
}

// seconds is how long ago something started; a long time where it is not known.
func seconds(now, since time.Time) int64 {
	if since.IsZero() {
		return 30 * 24 * 60 * 60
	}
	return max(0, int64(now.Sub(since)/time.Second))
}
