package kingfisher

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// BenchmarkBusy compares the busy checks with how they are made by hand (a knock
// with curl, Scrapyd with curl, three calls of ssh), at several round trip
// times. The handshake alone, and the script alone on the server, are what can't
// be saved. All of it is real, but for the round trip, which a proxy makes up.
//
//	DEPLOYTOKEN_TEST_REAL=1 go test -run '^$' -bench Busy -benchtime 10x ./internal/kingfisher
func BenchmarkBusy(b *testing.B) {
	need(b, "curl", "ssh")
	s := startPostgres(b)
	s.as("alice", "tmux new-session -d -s jm-load sleep 5595")
	s.as("bob", "tmux new-session -d")
	knock := silentPort(b)

	b.Run("script", func(b *testing.B) {
		writeFile(b, s.path("check"), script)
		var total time.Duration
		for range b.N {
			out := s.run("start=$(date +%s%N); sh -s <" + s.path("check") + " >/dev/null; echo $(($(date +%s%N) - start))")
			n, err := strconv.ParseInt(out, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += time.Duration(n)
		}
		b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/op")
		b.ReportMetric(0, "ns/op")
	})
	for _, rtt := range []time.Duration{0, 30 * time.Millisecond, 100 * time.Millisecond} {
		config := s.config()
		web, err := url.Parse(config.ScrapydURL)
		if err != nil {
			b.Fatal(err)
		}
		config.ScrapydURL = "http://" + delay(b, web.Host, rtt)
		config.SSHAddress = delay(b, s.address, rtt)
		config.KnockAddress = knock
		_, port, _ := net.SplitHostPort(config.SSHAddress)
		config.KnownHostsFile = s.path("known_hosts_" + port)
		writeFile(b, config.KnownHostsFile, fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(s.hostKey)))
		measure := func(name string, f func() error) {
			b.Run(fmt.Sprintf("rtt=%s/%s", rtt, name), func(b *testing.B) {
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/op")
				b.ReportMetric(0, "ns/op")
			})
		}
		measure("handshake", func() error {
			key, err := os.ReadFile(config.IdentityFile)
			if err != nil {
				return err
			}
			signer, err := ssh.ParsePrivateKey(key)
			if err != nil {
				return err
			}
			client, err := ssh.Dial("tcp", config.SSHAddress, &ssh.ClientConfig{
				User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.FixedHostKey(s.hostKey),
			})
			if err != nil {
				return err
			}
			return client.Close()
		})
		c, err := New(config)
		if err != nil {
			b.Fatal(err)
		}
		measure("bot", func() error {
			report := c.Busy(context.Background(), nil, nil)
			if report.State() != deploytoken.Busy || report.Checks[2].State != deploytoken.Idle {
				return fmt.Errorf("the report is %+v", report)
			}
			return nil
		})
		login := []string{"-F", "none", "-i", config.IdentityFile, "-o", "UserKnownHostsFile=" + config.KnownHostsFile, "-o", "BatchMode=yes", "-p", port, "root@127.0.0.1"}
		measure("by hand", func() error {
			// The knock is not answered, which curl waits a second for.
			_ = exec.Command("curl", "--silent", "--connect-timeout", "1", "http://"+knock).Run()
			if out, err := exec.Command("curl", "--silent", "--fail", config.ScrapydURL+"/listjobs.json").CombinedOutput(); err != nil {
				return fmt.Errorf("curl: %w: %s", err, out)
			}
			for _, command := range []string{
				"tmux ls; true",
				"for user in alice bob; do runuser -u $user -- tmux ls; done",
				"cd /; runuser -u postgres -- psql -Atc \"select usename, client_addr, query from pg_stat_activity where state = 'active' and now() - query_start > interval '1 hour'\"",
			} {
				if out, err := exec.Command("ssh", append(login, command)...).CombinedOutput(); err != nil {
					return fmt.Errorf("ssh: %w: %s", err, out)
				}
			}
			return nil
		})
	}
}

// silentPort returns the address of a port that lets no connection come about
// and refuses none, as a firewall does that only takes note: its queue is full.
func silentPort(b *testing.B) string {
	b.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		b.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		b.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		b.Cleanup(func() { conn.Close() })
	}
}

// delay starts a proxy to an address that makes up a round trip time, that of
// connecting included, and returns the proxy's address.
func delay(b *testing.B, to string, rtt time.Duration) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				server, err := net.Dial("tcp", to)
				if err != nil {
					client.Close()
					return
				}
				// The client believes that it is connected a round trip too early.
				ready := time.Now().Add(rtt)
				var both sync.WaitGroup
				both.Go(func() { carry(server, client, rtt/2, ready) })
				both.Go(func() { carry(client, server, rtt/2, ready) })
				both.Wait()
				client.Close()
				server.Close()
			})
		}
	})
	b.Cleanup(func() {
		listener.Close()
		conns.Wait()
	})
	return listener.Addr().String()
}

// carry passes on what comes in from one connection to the other, so much later
// and not before the moment given.
func carry(to, from net.Conn, later time.Duration, first time.Time) {
	type packet struct {
		at   time.Time
		data []byte
	}
	packets := make(chan packet, 1024)
	go func() {
		defer close(packets)
		for {
			buffer := make([]byte, 64<<10)
			n, err := from.Read(buffer)
			// The proxy's own acknowledgements must cost nothing.
			acknowledge(from)
			if n > 0 {
				at := time.Now()
				if at.Before(first) {
					at = first
				}
				packets <- packet{at.Add(later), buffer[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range packets {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.(*net.TCPConn).CloseWrite()
	for range packets {
	}
}
