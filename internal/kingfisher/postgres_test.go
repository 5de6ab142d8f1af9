package kingfisher

import (
	"strings"
	"testing"
	"time"

	"github.com/open-contracting/deploytoken/internal/deploytoken"
)

func TestSession(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	tests := []struct {
		name string
		in   backend
		want deploytoken.Finding
	}{
		{"a query of an hour",
			backend{User: "alice", Database: "process", Client: "10.0.0.7", State: "active", QueryAge: seconds(3600), TransactionAge: seconds(3600), Query: "select 1"},
			deploytoken.Finding{Owner: "alice", OwnerID: "U0ALICE", What: "select 1", Where: "database process, from 10.0.0.7", Age: time.Hour, Blocks: true}},
		{"a query of less",
			backend{User: "bob", Database: "process", State: "active", QueryAge: seconds(3599), TransactionAge: seconds(3599), Query: "select 1", Application: "psql"},
			deploytoken.Finding{Owner: "bob", What: "select 1", Where: "database process", Age: time.Hour - time.Second}},
		{"known by the address",
			backend{User: "readonly", Database: "process", Client: "10.0.0.9", State: "active", QueryAge: seconds(1), Query: "/* note */ select 1", Application: "Looker"},
			deploytoken.Finding{Owner: "10.0.0.9", OwnerID: "U0NINE", What: "select 1", Where: "database process, from 10.0.0.9", Age: time.Second, Note: "note; by Looker"}},
		{"idle in a long transaction whose last query was long ago",
			backend{User: "bob", Database: "process", State: "idle in transaction (aborted)", QueryAge: seconds(9000), TransactionAge: seconds(4000), Query: "select 1"},
			deploytoken.Finding{Owner: "bob", What: "select 1", Where: "database process", Age: 4000 * time.Second, Note: "idle in transaction (aborted)", Blocks: true}},
		{"a short query in a long transaction",
			backend{User: "bob", Database: "process", State: "active", QueryAge: seconds(60), TransactionAge: seconds(7200), Query: "fetch 10 from c"},
			deploytoken.Finding{Owner: "bob", What: "fetch 10 from c", Where: "database process", Age: 2 * time.Hour, Blocks: true,
				Note: "the transaction has been open for 2h0m0s, this query active for 1m0s"}},
		{"only a comment, not ended",
			backend{User: "bob", Database: "process", State: "active", QueryAge: seconds(1), Query: "/* https://colab.research.google.com/drive/1?token=hunter2 select"},
			deploytoken.Finding{Owner: "bob", What: "/* https://colab.research.google.com/drive/1?token=*** select", Where: "database process", Age: time.Second,
				Note: "https://colab.research.google.com/drive/1?token=***"}},
		{"nothing", backend{}, deploytoken.Finding{Where: "database "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := testChecker(t).session(tt.in); got != tt.want {
				t.Errorf("the finding\nis   %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestSessionID(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	id := func(b backend) string { return b.id("15/main") }
	transaction := id(backend{PID: 7, State: "active", TransactionStart: at(1000), QueryStart: at(1000)})
	vacuum := id(backend{PID: 8, State: "active", TransactionStart: at(1000), QueryStart: at(1000)})
	tests := []struct {
		name string
		in   backend
		same string
	}{
		{"the second query of a transaction", backend{PID: 7, State: "active", TransactionStart: at(1000), QueryStart: at(1001)}, transaction},
		{"between the queries of a transaction", backend{PID: 7, State: "idle in transaction", TransactionStart: at(1000), QueryStart: at(1001)}, transaction},
		{"a transaction that failed", backend{PID: 7, State: "idle in transaction (aborted)", TransactionStart: at(1000), QueryStart: at(900)}, transaction},
		{"a query that has begun a new transaction", backend{PID: 8, State: "active", TransactionStart: at(2000), QueryStart: at(1000)}, vacuum},
		{"a query between its transactions", backend{PID: 8, State: "active", QueryStart: at(1000)}, vacuum},
		{"a function called without a query", backend{PID: 8, State: "fastpath function call", TransactionStart: at(2000), QueryStart: at(1000)}, vacuum},
		{"the next query", backend{PID: 7, State: "active", TransactionStart: at(1002), QueryStart: at(1002)}, "another"},
		{"another session", backend{PID: 9, State: "active", TransactionStart: at(1000), QueryStart: at(1000)}, "another"},
		{"a session without a transaction", backend{PID: 7, State: "idle in transaction", QueryStart: at(1000)}, ""},
		{"a session without a number", backend{State: "active", QueryStart: at(1000)}, ""},
	}
	for _, tt := range tests {
		got := id(tt.in)
		switch tt.same {
		case "another":
			if !plainID(got) || got == transaction || got == vacuum {
				t.Errorf("%s: the ID is %q", tt.name, got)
			}
		default:
			if got != tt.same {
				t.Errorf("%s: the ID is %q, want %q", tt.name, got, tt.same)
			}
		}
	}
	b := backend{PID: 7, State: "active", TransactionStart: at(1000)}
	if b.id("16/main") == transaction {
		t.Error("sessions of two clusters have the same ID")
	}
}

func TestPostgresUnknown(t *testing.T) {
	const listed = "@ run pg_lsclusters\n15 main 5432 online\n@ err\n@ exit 0\n"
	cluster := func(answer string) string {
		return "@ run cluster 15 main\n" + answer + "\n@ err\n@ exit 0\n"
	}
	const idle = `{"role": "postgres", "tracked": "on", "hidden": 0, "sessions": []}`
	tests := []struct {
		name, body, reason string
		want               deploytoken.State
	}{
		{"idle", listed + cluster(idle), "", deploytoken.Idle},
		{"one of two down", listed + cluster(idle) + "@ fact down 13 main\n", "PostgreSQL 13/main is down.", deploytoken.Idle},
		{"nothing", "", "No PostgreSQL cluster was found", deploytoken.Unknown},
		{"all down", listed + "@ fact down 13 main\n", "(13/main is down)", deploytoken.Unknown},
		{"not listed", "@ run pg_lsclusters\n@ err\nperl: broken\n@ exit 2\n", "perl: broken", deploytoken.Unknown},
		{"no answer", listed + cluster(""), "psql's answer is not understood", deploytoken.Unknown},
		{"half an answer", listed + cluster(`{"role": "x", "tracked": "on", "hidden": 0}`), "psql's answer is not complete", deploytoken.Unknown},
		{"hidden", listed + cluster(`{"role": "bob", "tracked": "on", "hidden": 3, "sessions": []}`), "hides what 3 of its sessions do from the role bob", deploytoken.Unknown},
		{"not tracked", listed + cluster(`{"role": "bob", "tracked": "off", "hidden": 3, "sessions": []}`), "turn track_activities on", deploytoken.Unknown},
		{"no connection", listed + "@ run cluster 15 main\n@ err\npsql: error: no\n@ exit 2\n", "could not be asked: psql: error: no", deploytoken.Unknown},
		{"no psql", listed + "@ run cluster 15 main\n@ err\n@ exit 127\n", "psql was not found", deploytoken.Unknown},
		{"hanging", listed + "@ run cluster 15 main\n@ err\n@ exit 124\n", "does not answer", deploytoken.Unknown},
		{"a busy one beside a broken one", listed + cluster(`{"role": "x", "tracked": "on", "hidden": 0, "sessions": [{"state": "active", "query_age": 4000, "query": "q"}]}`) +
			"@ run cluster 16 x\n@ err\n@ exit 124\n", "PostgreSQL 16/x does not answer", deploytoken.Busy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := testChecker(t).postgresResult(testSection(t, "postgres", tt.body))
			if got.State != tt.want || !strings.Contains(got.Reason, tt.reason) || tt.reason == "" && got.Reason != "" {
				t.Errorf("%s %q, want %s %q", got.State, got.Reason, tt.want, tt.reason)
			}
			if want := tt.want != deploytoken.Idle; got.Partial != want {
				t.Errorf("partial is %t, want %t", got.Partial, want)
			}
		})
	}
}

func FuzzParseActivity(f *testing.F) {
	f.Add([]byte(`{"role": "x", "tracked": "on", "hidden": 0, "sessions": [{"user": "a", "database": "b", "client": null, "state": "active", "query_age": 4000, "transaction_age": null, "query": "/* x */ q"}]}`))
	f.Fuzz(func(t *testing.T, out []byte) {
		a, err := parseActivity(out)
		if err != nil {
			return
		}
		o := outcome{check: deploytoken.CheckPostgres}
		testChecker(t).activity(&o, "15/main", a)
		for _, f := range o.result().Findings {
			if f.What != oneLine(f.What, maxWhat) || f.Age < 0 {
				t.Errorf("the finding %+v is not plain", f)
			}
		}
	})
}
