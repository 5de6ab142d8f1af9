package checker

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/open-contracting/deploytoken/internal/ledger/ledgertest"
)

var (
	operations = flag.Int("ops", 0, "the operations of TestLong; 0 skips it")
	kills      = flag.Int("kills", 0, "the kills of TestKills; 0 skips it")
	mutants    = flag.Bool("mutants", false, "run TestMutants")
	replicas   = flag.Int("replicas", 3, "the processes of each team of TestLong and TestKills; more than 1 needs PostgreSQL")
	each       = flag.Int("each", 500, "the operations, or kills, of each team")
	seed       = flag.Uint64("seed", 1, "what the teams' seeds count from")
	binaryPath = flag.String("bot", "", "a built bot to check; without it, one is built")
	keep       = flag.String("keep", "", "a directory where logs and timelines are kept; without it, a failed team's are in a new one")
)

// built is the program, built once into a directory of its own.
var built struct {
	sync.Once
	dir, path string
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(built.dir)
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	if *binaryPath != "" {
		return *binaryPath
	}
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "checker-"); built.err == nil {
			built.path, built.err = Build(context.Background(), "../..", built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// dir is a directory that outlives a test that fails.
func dir(t *testing.T) string {
	t.Helper()
	if *keep != "" {
		if err := os.MkdirAll(*keep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.MkdirTemp(*keep, "team-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() && *keep == "" {
			os.RemoveAll(d)
		}
	})
	return d
}

// run runs a team and returns what is wrong with its history.
func run(t *testing.T, c Config) []Problem {
	t.Helper()
	h, err := Run(t.Context(), c)
	if err != nil {
		t.Fatalf("seed %d, in %s: %v", c.Seed, c.Dir, err)
	}
	problems := h.Check(2 * time.Minute)
	t.Log(h.Summary())
	f, err := os.Create(filepath.Join(c.Dir, "timeline.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h.Timeline(f, problems)
	return problems
}

func hold(t *testing.T, c Config) {
	t.Helper()
	for _, p := range run(t, c) {
		t.Errorf("seed %d, see %s/timeline.txt: %s", c.Seed, c.Dir, p)
	}
}

// short is how many things the teams of a plain run of the tests ask for.
const short = 40

// TestSQLite is a team whose bot is one process on SQLite.
func TestSQLite(t *testing.T) {
	hold(t, sqlite(t, Config{Binary: binary(t), Dir: dir(t), Seed: *seed, Operations: short}))
}

// TestReplicas is a team whose bot is two processes on one PostgreSQL.
func TestReplicas(t *testing.T) {
	hold(t, postgres(t, Config{Binary: binary(t), Dir: dir(t), Replicas: 2, Seed: *seed, Operations: short}))
}

func sqlite(t *testing.T, c Config) Config {
	c.Store, c.Replicas = "sqlite:"+filepath.Join(c.Dir, "store.db"), 1
	return c
}

// postgres gives the team a PostgreSQL server of its own.
func postgres(t *testing.T, c Config) Config {
	t.Helper()
	server := ledgertest.StartPostgres(t, "fsync=off", "max_connections=200")
	c.Store = server.URL(t)
	c.CrashStore = func(ctx context.Context) error { return crash(ctx, c.Store) }
	c.RestartStore = func(ctx context.Context) error { return server.Restart(context.WithoutCancel(ctx)) }
	return c
}

// crash kills one of the server's processes: the server then ends all
// connections and starts again from its log.
func crash(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil // it is starting again already
	}
	defer conn.Close(context.WithoutCancel(ctx))
	process, err := os.FindProcess(int(conn.PgConn().PID()))
	if err != nil {
		return err
	}
	return process.Kill()
}

// TestLong is as many teams as the operations asked for need, some at a time.
func TestLong(t *testing.T) {
	if *operations == 0 {
		t.Skip("takes long: go test ./internal/checker -run TestLong -ops 10000 -replicas 3 -timeout 3h")
	}
	teams(t, *operations, func(c *Config, n int) { c.Operations = n })
}

// TestKills is teams around whom nothing goes wrong but that the bot is killed.
func TestKills(t *testing.T) {
	if *kills == 0 {
		t.Skip("takes long: go test ./internal/checker -run TestKills -kills 500 -replicas 3 -each 50 -timeout 1h")
	}
	teams(t, *kills, func(c *Config, n int) { c.Kills = n })
}

// teams runs as many teams as share the total.
func teams(t *testing.T, total int, share func(c *Config, n int)) {
	bin := binary(t)
	for n := range (total + *each - 1) / *each {
		t.Run(fmt.Sprintf("seed%d", *seed+uint64(n)), func(t *testing.T) {
			t.Parallel()
			c := Config{Binary: bin, Dir: dir(t), Replicas: *replicas, Seed: *seed + uint64(n)}
			share(&c, min(*each, total-n**each))
			if *replicas == 1 {
				c = sqlite(t, c)
			} else {
				c = postgres(t, c)
			}
			hold(t, c)
		})
	}
}

// breaks are the rules that the builds with the patches in testdata/mutants
// break.
var breaks = map[string]Rule{
	"unguarded-write":           RuleGuard,
	"retry-without-the-mark":    RuleTold,
	"refused-by-an-old-reading": RuleTold,
	"row-lost":                  RuleRow,
	"announced-twice":           RuleAnnounced,
	"answers-lost":              RuleAnswered,
	"accepted-late":             RuleOffer,
	"handed-over-and-ended":     RuleAnnounced,
	"forced-later":              RuleForced,
	"displaced-untold":          RuleForced,
	"called-again":              RuleTurn,
}

// TestMutants: builds that break a rule are caught, by that rule.
func TestMutants(t *testing.T) {
	if !*mutants {
		t.Skip("takes minutes: go test ./internal/checker -run TestMutants -mutants -v -timeout 1h")
	}
	patches, err := filepath.Glob("testdata/mutants/*.patch")
	if err != nil || len(patches) != len(breaks) {
		t.Fatalf("%d patches for %d mutants: %v", len(patches), len(breaks), err)
	}
	for name, rule := range breaks {
		t.Run(name, func(t *testing.T) {
			bin := mutant(t, filepath.Join("testdata/mutants", name+".patch"))
			for n := range uint64(maxTries) {
				c := sqlite(t, Config{Binary: bin, Dir: t.TempDir(), Seed: *seed + n, Operations: 3 * short, Broken: rule})
				problems := run(t, c)
				if i := slices.IndexFunc(problems, func(p Problem) bool { return p.Rule == rule }); i >= 0 {
					t.Logf("caught by seed %d: %s", c.Seed, problems[i])
					return
				}
			}
			t.Errorf("the rule %q was not broken in %d runs", rule, maxTries)
		})
	}
}

// TestPatches: the mutants' patches fit the program as it is now.
func TestPatches(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed, which applies the patches")
	}
	for name := range breaks {
		path, err := filepath.Abs(filepath.Join("testdata/mutants", name+".patch"))
		if err != nil {
			t.Fatal(err)
		}
		check := exec.Command(git, "apply", "--check", path)
		check.Dir = "../.."
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: make it anew, as the README says: %v\n%s", name, err, out)
		}
	}
}

// maxTries bounds the runs in which a mutant must be caught.
const maxTries = 8

// mutant builds the bot from a copy of the module with a patch.
func mutant(t *testing.T, patch string) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed, which applies the patches")
	}
	d := t.TempDir()
	for _, name := range []string{"cmd", "internal"} {
		if err := os.CopyFS(filepath.Join(d, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path, err := filepath.Abs(patch)
	if err != nil {
		t.Fatal(err)
	}
	apply := exec.Command(git, "apply", path)
	apply.Dir = d
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("the patch doesn't fit any more: %v\n%s", err, out)
	}
	bin, err := Build(t.Context(), d, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return bin
}
