package kingfisher

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

// startPostgres starts a server with an empty PostgreSQL cluster, which listens
// on its socket only.
func startPostgres(t testing.TB) *realServer {
	t.Helper()
	need(t, "pg_createcluster", "psql")
	s := startServer(t, "", "")
	s.run(`release=$(ls /usr/lib/postgresql | sort -n | tail -1)
pg_createcluster "$release" main -p 5432 -- --no-sync --auth=peer >/dev/null
printf "listen_addresses = ''\nfsync = off\nlocal_preload_libraries = ''\n" >>/etc/postgresql/$release/main/postgresql.conf
pg_ctlcluster "$release" main start </dev/null >/dev/null 2>&1`)
	return s
}

// sql runs a statement as a superuser.
func (s *realServer) sql(statement string) string {
	s.t.Helper()
	return s.as("postgres", "psql -XAtq -v ON_ERROR_STOP=1 -c "+quote(statement))
}

// session starts a session that runs statements and then stays, until the
// returned function ends it.
func (s *realServer) session(user, application, statements string) {
	s.t.Helper()
	s.as(user, fmt.Sprintf("PGAPPNAME=%s setsid bash -c %s </dev/null >/dev/null 2>&1 &", application,
		quote(fmt.Sprintf("(printf '%%s;\\n' %s; sleep 5581) | psql -Xq -d postgres", quote(statements)))))
}

func TestPostgresOnARealServer(t *testing.T) {
	s := startPostgres(t)
	s.sql(`create role alice login; create role "10.0.0.7" login; create table work (n int)`)
	tests := []struct {
		name        string
		setup       func()
		begun       string // which sessions there is one of, once it is set up
		long        time.Duration
		want        deploytoken.State
		what, note  string
		owner, id   string
		findings    int
		reason      string
		afterwards  func()
		needsToWait bool
	}{
		{
			name: "nothing",
			want: deploytoken.Idle,
		},
		{
			name:  "an idle session",
			setup: func() { s.session("alice", "psql", "select 1") },
			begun: "query = 'select 1;'",
			want:  deploytoken.Idle,
		},
		{
			name: "a long query with a comment",
			setup: func() {
				s.session("alice", "notebook", `/* https://colab.research.google.com/drive/1AbC */ select pg_sleep(5582), 'x'::text as "password"`)
			},
			long: time.Second, needsToWait: true, findings: 1,
			want: deploytoken.Busy, owner: "alice", id: "U0ALICE",
			what: `select pg_sleep(5582), 'x'::text as "password";`,
			note: "https://colab.research.google.com/drive/1AbC; by notebook",
		},
		{
			name:  "a query under the threshold",
			setup: func() { s.session("alice", "pg_dump", "select pg_sleep(5583)") },
			begun: "state = 'active'",
			want:  deploytoken.Idle, findings: 1, note: "by pg_dump",
			what: "select pg_sleep(5583);", owner: "alice", id: "U0ALICE",
		},
		{
			name:  "idle in a long transaction",
			setup: func() { s.session("alice", "psql", "begin;\nselect 1") },
			long:  time.Second, needsToWait: true, findings: 1,
			want: deploytoken.Busy, owner: "alice", id: "U0ALICE", what: "select 1;", note: "idle in transaction",
		},
		{
			name:  "a short query in a long transaction",
			setup: func() { s.session("alice", "psql", "begin;\nselect pg_sleep(2);\nselect pg_sleep(5584)") },
			long:  2 * time.Second, needsToWait: true, findings: 1,
			want: deploytoken.Busy, owner: "alice", id: "U0ALICE",
		},
		{
			name: "a password in a query",
			setup: func() {
				s.session("alice", "psql", "select pg_sleep(5585) /* password=hunter2 */ where 'host=x password=hunter2 dbname=y' <> 'hunter3'")
			},
			begun: "state = 'active'",
			want:  deploytoken.Idle, findings: 1, owner: "alice", id: "U0ALICE",
			what: "select pg_sleep(5585) /* password=*** */ where 'host=x password=*** dbname=y' <> 'hunter3';",
		},
		{
			name: "a hostile query",
			setup: func() {
				s.session("alice", "psql", "select pg_sleep(5586), $q$\n00000000000000000000000000000000 end postgres\u202e\x1b[31m"+strings.Repeat("x", 5000)+"$q$")
			},
			begun: "state = 'active'",
			want:  deploytoken.Idle, findings: 1, owner: "alice", id: "U0ALICE",
		},
		{
			name: "a query in another encoding",
			setup: func() {
				s.session("alice", "psql", "select pg_sleep(5588), '\xfcbung'")
			},
			begun: "state = 'active'",
			want:  deploytoken.Idle, findings: 1, owner: "alice", id: "U0ALICE",
			what: "select pg_sleep(5588), '\ufffdbung';",
		},
		{
			name:       "a database that does not track activities",
			setup:      func() { s.sql("alter system set track_activities = off"); s.sql("select pg_reload_conf()") },
			want:       deploytoken.Unknown,
			reason:     "does not track what its sessions do",
			afterwards: func() { s.sql("alter system reset track_activities"); s.sql("select pg_reload_conf()") },
		},
		{
			name: "a session that is not tracked",
			setup: func() {
				s.session("postgres", "psql", "set track_activities = off;\nselect pg_sleep(5587)")
			},
			begun:  "state = 'disabled'",
			want:   deploytoken.Unknown,
			reason: "hides what 1 of its sessions do",
		},
		{
			name:       "a stopped server process",
			setup:      func() { s.run(`pkill -STOP -o -x postgres`) },
			want:       deploytoken.Unknown,
			reason:     "/main could not be asked: ",
			afterwards: func() { s.run(`pkill -CONT -x postgres`) },
		},
		{
			name: "a database that lets nobody in",
			setup: func() {
				s.as("postgres", "psql -XAtq -d template1 -c 'alter database postgres with allow_connections false'")
			},
			want:   deploytoken.Unknown,
			reason: "/main could not be asked: ",
			afterwards: func() {
				s.as("postgres", "psql -XAtq -d template1 -c 'alter database postgres with allow_connections true'")
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Cleanup(func() {
				if tt.afterwards != nil {
					tt.afterwards()
				}
				s.run("pkill -x psql; pkill -f '^sleep 5581'; true")
				s.as("postgres", "psql -XAtq -d template1 -c 'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()' >/dev/null")
				eventually(t, "the sessions to end", func() bool {
					return s.as("postgres", `psql -XAtq -d template1 -c "select count(*) from pg_stat_activity where backend_type = 'client backend'"`) == "1"
				})
			})
			if tt.setup != nil {
				tt.setup()
				if tt.begun != "" {
					eventually(t, "the session to begin", func() bool {
						return s.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and "+tt.begun) == "1"
					})
				}
			}
			config := s.config()
			config.LongQuery = tt.long
			config.Timeout = 15 * time.Second
			var got deploytoken.CheckResult
			if tt.needsToWait {
				eventually(t, "the query to be long", func() bool {
					got = check(t, config, deploytoken.CheckPostgres)
					return got.State == deploytoken.Busy
				})
			} else {
				got = check(t, config, deploytoken.CheckPostgres)
			}
			if got.State != tt.want {
				t.Errorf("the state is %s, want %s", got.State, tt.want)
			}
			if tt.reason != "" != (got.Reason != "") || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("the reason is %q, want %q", got.Reason, tt.reason)
			}
			if tt.reason != "" {
				return
			}
			if len(got.Findings) != tt.findings {
				t.Fatalf("%d findings, want %d", len(got.Findings), tt.findings)
			}
			for _, f := range got.Findings {
				if tt.what != "" && f.What != tt.what || tt.note != "" && f.Note != tt.note || f.Owner != tt.owner || f.OwnerID != tt.id || f.Where != "database postgres" {
					t.Errorf("the finding is %+v, want %q, %q", f, tt.what, tt.note)
				}
				if f.What != oneLine(f.What, maxWhat) {
					t.Errorf("%q is not a line of plain text", f.What)
				}
			}
		})
	}
}

// What a session does has the same ID for as long as it does, also where it is a
// transaction of several queries, and what it does next has another.
func TestPostgresIDsOnARealServer(t *testing.T) {
	s := startPostgres(t)
	s.sql("create role alice login")
	// A transaction of several queries, then the same query twice.
	s.session("alice", "psql", `\set ON_ERROR_ROLLBACK on
begin;
select pg_sleep(5571);
select pg_sleep(5572);
select pg_sleep(5573);
commit;
select pg_sleep(5574);
select pg_sleep(5574)`)
	config := s.config()
	look := func(query string) string {
		t.Helper()
		eventually(t, "the query "+query, func() bool {
			return s.sql("select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep("+query+");'") == "1"
		})
		got := check(t, config, deploytoken.CheckPostgres)
		if len(got.Findings) != 1 || !plainID(got.Findings[0].ID) {
			t.Fatalf("the findings are %+v, want one that has an ID", got.Findings)
		}
		return got.Findings[0].ID
	}
	cancel := func() string {
		return s.sql("select pg_cancel_backend(pid) from pg_stat_activity where usename = 'alice'")
	}
	started := func() string {
		return s.sql("select query_start from pg_stat_activity where usename = 'alice' and state = 'active'")
	}
	transaction := look("5571")
	for _, query := range []string{"5571", "5572", "5573"} {
		if query != "5571" {
			cancel()
		}
		if id := look(query); id != transaction {
			t.Errorf("at the query %s of the transaction, the ID is %q, and was %q", query, id, transaction)
		}
	}
	cancel()
	alone := look("5574")
	if alone == transaction {
		t.Errorf("after the transaction, the ID is still %q", alone)
	}
	if again := look("5574"); again != alone {
		t.Errorf("the ID of the query was %q, and is %q", alone, again)
	}
	before := started()
	cancel()
	eventually(t, "the next query", func() bool { now := started(); return now != "" && now != before })
	if next := look("5574"); next == alone || next == transaction {
		t.Errorf("the same query once more has the ID %q of before", next)
	}
}

// A role that may not see what others do says so, and does not call it idle.
func TestPostgresAsAPlainRole(t *testing.T) {
	s := startPostgres(t)
	s.sql("create role alice login; create role bob login")
	s.session("alice", "psql", "select pg_sleep(5591)")
	eventually(t, "the query to run", func() bool {
		return s.sql("select count(*) from pg_stat_activity where query like '%5591%' and state = 'active' and pid <> pg_backend_pid()") == "1"
	})
	config := s.config()
	config.SSHUser = "bob"
	got := check(t, config, deploytoken.CheckPostgres)
	if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "from the role bob: grant it pg_read_all_stats") {
		t.Errorf("%s %q", got.State, got.Reason)
	}
	s.sql("grant pg_read_all_stats to bob")
	config.LongQuery = time.Second
	eventually(t, "the query to be long", func() bool {
		got := check(t, config, deploytoken.CheckPostgres)
		return got.State == deploytoken.Busy && got.Reason == ""
	})
	config.SSHUser = "svc"
	writeFile(t, s.path("passwd"), strings.ReplaceAll(s.run("cat /etc/passwd"), "/usr/sbin/nologin", "/bin/sh")+"\n")
	if got := check(t, config, deploytoken.CheckPostgres); got.State != deploytoken.Unknown || !strings.Contains(got.Reason, `role "svc" does not exist`) {
		t.Errorf("without a role: %s %q", got.State, got.Reason)
	}
}

func TestPostgresStoppedOrAbsent(t *testing.T) {
	s := startPostgres(t)
	release := s.run("pg_lsclusters -h | cut -d' ' -f1")
	s.run("pg_ctlcluster " + release + " main stop -m immediate")
	got := check(t, s.config(), deploytoken.CheckPostgres)
	if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "No PostgreSQL cluster is running ("+release+"/main is down)") {
		t.Errorf("stopped: %s %q", got.State, got.Reason)
	}
	s.run("release=" + release + `
pg_createcluster "$release" second -p 5433 -- --no-sync >/dev/null
printf "listen_addresses = ''\n" >>/etc/postgresql/$release/second/postgresql.conf
pg_ctlcluster "$release" second start </dev/null >/dev/null 2>&1`)
	got = check(t, s.config(), deploytoken.CheckPostgres)
	if got.State != deploytoken.Idle || got.Reason != "PostgreSQL "+release+"/main is down." {
		t.Errorf("one of two stopped: %s %q", got.State, got.Reason)
	}
	// Without Debian's tools, by the socket.
	s.run("mount --bind /dev/null /usr/bin/pg_lsclusters")
	if got := check(t, s.config(), deploytoken.CheckPostgres); got.State != deploytoken.Idle || got.Reason != "" {
		t.Errorf("without pg_lsclusters: %s %q", got.State, got.Reason)
	}
	s.run("umount /usr/bin/pg_lsclusters; for c in $(pg_lsclusters -h | awk '$4 == \"online\" {print $2}'); do pg_dropcluster --stop " + release + " $c; done; pg_dropcluster " + release + " main")
	got = check(t, s.config(), deploytoken.CheckPostgres)
	if got.State != deploytoken.Unknown || !strings.Contains(got.Reason, "No PostgreSQL cluster was found") {
		t.Errorf("absent: %s %q", got.State, got.Reason)
	}
}

// Each check is told of as soon as it is made: tmux does not wait for a
// PostgreSQL that hangs.
func TestProgress(t *testing.T) {
	s := startPostgres(t)
	s.run(`pkill -STOP -o -x postgres`)
	defer s.run(`pkill -CONT -x postgres`)
	c, err := New(s.config())
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	report := c.Busy(context.Background(), nil, func(r deploytoken.CheckResult) { order = append(order, r.Check+" "+r.State.String()) })
	if len(order) != 3 || order[2] != "postgres unknown" {
		t.Errorf("the checks came in as %q, want postgres last and unknown", order)
	}
	if len(report.Checks) != 3 || report.Checks[0].State != deploytoken.Idle || report.Checks[1].State != deploytoken.Idle {
		t.Errorf("the report is %+v", report)
	}
}
