package preflight

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A bench is a deploy checkout with the two within it, and their remotes.
type bench struct {
	dir     string // the deploy checkout
	remotes string
}

var names = []string{".", "pillar/private", "salt/private"}

// template is a bench to copy, made once.
var template struct {
	once sync.Once
	dir  string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if template.dir != "" {
		os.RemoveAll(template.dir)
	}
	os.Exit(code)
}

// newBench makes the repositories, each with one commit.
func newBench(t *testing.T) *bench {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("DEPLOYTOKEN_TEST_REAL") != "" {
			t.Fatal("git is missing")
		}
		t.Skip("git is missing")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, role := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+role+"_NAME", "Ana")
		t.Setenv("GIT_"+role+"_EMAIL", "ana@example.org")
	}
	template.once.Do(func() {
		dir, err := os.MkdirTemp("", "preflight-")
		if err != nil {
			t.Fatal(err)
		}
		template.dir = dir
		for i, name := range names {
			seed, remote := filepath.Join(dir, "seed", fmt.Sprint(i)), filepath.Join(dir, "remotes", fmt.Sprint(i))
			run(t, dir, "git", "init", "-q", "-b", "main", seed)
			write(t, filepath.Join(seed, "top.sls"), "base\n")
			write(t, filepath.Join(seed, ".gitignore"), "*.pyc\n")
			run(t, seed, "git", "add", ".")
			run(t, seed, "git", "commit", "-qm", "first")
			run(t, dir, "git", "clone", "-q", "--bare", seed, remote)
			checkout := filepath.Join(dir, "deploy", name)
			run(t, dir, "git", "clone", "-q", remote, checkout)
			// From wherever it is copied to.
			there, err := filepath.Rel(checkout, remote)
			if err != nil {
				t.Fatal(err)
			}
			run(t, checkout, "git", "remote", "set-url", "origin", there)
		}
	})
	root := t.TempDir()
	if err := os.CopyFS(root, os.DirFS(template.dir)); err != nil {
		t.Fatal(err)
	}
	return &bench{dir: filepath.Join(root, "deploy"), remotes: filepath.Join(root, "remotes")}
}

func run(t *testing.T, dir, name string, arguments ...string) string {
	t.Helper()
	c := exec.Command(name, arguments...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q in %s: %v\n%s", name, arguments, dir, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// git runs git in the deploy checkout's repository of that name.
func (b *bench) git(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	return run(t, filepath.Join(b.dir, name), "git", arguments...)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// commit commits a file in the checkout of that name.
func (b *bench) commit(t *testing.T, name, file, content string) {
	t.Helper()
	write(t, filepath.Join(b.dir, name, file), content)
	b.git(t, name, "add", ".")
	b.git(t, name, "commit", "-qm", "changes "+file)
}

// colleague pushes a change of a file to the remote of the checkout of that
// name.
func (b *bench) colleague(t *testing.T, name, file, content string) {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, b.remotes, "git", "clone", "-q", fmt.Sprint(slices.Index(names, name)), clone)
	write(t, filepath.Join(clone, file), content)
	run(t, clone, "git", "add", ".")
	run(t, clone, "git", "commit", "-qm", "a colleague's "+file)
	run(t, clone, "git", "push", "-q")
}

func (b *bench) check(t *testing.T, update bool) Report {
	t.Helper()
	r, err := Check(t.Context(), Config{Dir: b.dir, Repositories: names, Update: update, RemoteWithin: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func kinds(r Repository) (found []Kind) {
	for _, p := range r.Problems {
		found = append(found, p.Kind)
	}
	return found
}

func TestInOrder(t *testing.T) {
	b := newBench(t)
	write(t, filepath.Join(b.dir, "cache.pyc"), "ignored")
	// A repository's own hooks and variables are of another repository.
	t.Setenv("GIT_DIR", filepath.Join(b.remotes, "1"))
	t.Setenv("GIT_INDEX_FILE", "/nowhere")
	r := b.check(t, false)
	if !r.Ready() || len(r.Repositories) != 3 {
		t.Fatalf("%+v", r)
	}
	for i, name := range []string{"deploy", "pillar/private", "salt/private"} {
		got := r.Repositories[i]
		if got.Name != name || got.Branch != "main" || got.Default != "main" || len(got.Commit) != 40 {
			t.Errorf("%+v", got)
		}
	}
}

// Each bad state of pillar/private is named, with its files, and what to do.
func TestBadStates(t *testing.T) {
	const pillar = "pillar/private"
	for _, tt := range []struct {
		name   string
		make   func(*testing.T, *bench)
		kinds  []Kind
		files  []string
		says   string
		remedy string
		// fixed is what is left after an update.
		fixed []Kind
	}{
		{"missing", func(t *testing.T, b *bench) { os.RemoveAll(filepath.Join(b.dir, pillar)) },
			[]Kind{Missing}, nil, "no folder", "clone", []Kind{Missing}},
		{"an empty folder", func(t *testing.T, b *bench) {
			os.RemoveAll(filepath.Join(b.dir, pillar))
			os.MkdirAll(filepath.Join(b.dir, pillar), 0o755)
		}, []Kind{NoRepository}, nil, "a folder of", "clone", []Kind{NoRepository}},
		{"a broken repository", func(t *testing.T, b *bench) { os.Remove(filepath.Join(b.dir, pillar, ".git", "HEAD")) },
			// git then takes it as a folder of the one around it.
			[]Kind{NoRepository}, nil, "not a repository of its own", "clone", []Kind{NoRepository}},
		{"a bare repository", func(t *testing.T, b *bench) { b.git(t, pillar, "config", "core.bare", "true") },
			[]Kind{NoRepository}, nil, "without files", "--bare", []Kind{NoRepository}},
		{"another branch", func(t *testing.T, b *bench) { b.git(t, pillar, "switch", "-qc", "feature/x") },
			[]Kind{OtherBranch}, nil, "feature/x, not main", "switch main", nil},
		{"another branch, the default one deleted", func(t *testing.T, b *bench) {
			b.git(t, pillar, "switch", "-qc", "other")
			b.git(t, pillar, "branch", "-qD", "main")
		}, []Kind{OtherBranch}, nil, "other, not main", "switch main", nil},
		{"a hostile branch", func(t *testing.T, b *bench) { b.git(t, pillar, "switch", "-qc", "$(touch${IFS}pwned);\u202e'x") },
			[]Kind{OtherBranch}, nil, `"$(touch${IFS}pwned);\u202e'x", not main`, "switch main", nil},
		{"detached", func(t *testing.T, b *bench) { b.git(t, pillar, "switch", "-q", "--detach") },
			[]Kind{Detached}, nil, "no branch is checked out, but the commit", "switch main", nil},
		{"detached with commits", func(t *testing.T, b *bench) {
			b.git(t, pillar, "switch", "-q", "--detach")
			b.commit(t, pillar, "x", "work")
		}, []Kind{Detached}, nil, "which is on no branch", "switch -c NAME", []Kind{Detached}},
		{"changed", func(t *testing.T, b *bench) { write(t, filepath.Join(b.dir, pillar, "top.sls"), "other\n") },
			[]Kind{Changed}, []string{"top.sls"}, "1 file is changed", "stash", []Kind{Changed}},
		{"staged", func(t *testing.T, b *bench) {
			b.git(t, pillar, "mv", "top.sls", "new.sls")
		}, []Kind{Changed}, []string{"new.sls"}, "1 file is changed", "stash", []Kind{Changed}},
		{"changes that git doesn't look for", func(t *testing.T, b *bench) {
			b.git(t, pillar, "update-index", "--assume-unchanged", "top.sls")
			b.git(t, pillar, "update-index", "--skip-worktree", ".gitignore")
		}, []Kind{Hidden}, []string{"top.sls", ".gitignore"}, "not to see changes to 2 files", "--no-assume-unchanged", []Kind{Hidden}},
		{"untracked, with hostile names", func(t *testing.T, b *bench) {
			write(t, filepath.Join(b.dir, pillar, "a\nb -> \x1b[31m.sls"), "")
			write(t, filepath.Join(b.dir, pillar, "-rf"), "")
			write(t, filepath.Join(b.dir, pillar, "folder/one"), "")
			b.git(t, pillar, "config", "status.showUntrackedFiles", "no")
		}, []Kind{Untracked}, []string{"-rf", "a\nb -> \x1b[31m.sls", "folder/"}, "3 files or folders are untracked", ".gitignore", []Kind{Untracked}},
		{"ahead", func(t *testing.T, b *bench) { b.commit(t, pillar, "x", "work") },
			[]Kind{Ahead}, nil, "1 commit is not on origin/main", "push", []Kind{Ahead}},
		{"behind", func(t *testing.T, b *bench) { b.colleague(t, pillar, "y", "theirs") },
			[]Kind{Behind}, nil, "1 commit is missing that is on origin/main", "pull --rebase", nil},
		{"diverged", func(t *testing.T, b *bench) {
			b.commit(t, pillar, "x", "work")
			b.colleague(t, pillar, "y", "theirs")
			b.colleague(t, pillar, "z", "theirs")
		}, []Kind{Ahead, Behind}, nil, "1 commit is not on", "pull --rebase, then", []Kind{Ahead}},
		{"another branch, and behind", func(t *testing.T, b *bench) {
			b.git(t, pillar, "switch", "-qc", "feature")
			b.commit(t, pillar, "x", "work")
			b.colleague(t, pillar, "y", "theirs")
		}, []Kind{OtherBranch}, nil, "feature", "switch", nil},
		{"no upstream", func(t *testing.T, b *bench) { b.git(t, pillar, "branch", "-q", "--unset-upstream") },
			[]Kind{NoUpstream}, nil, "main follows nothing, not origin/main", "--set-upstream-to=origin/main", nil},
		{"another upstream", func(t *testing.T, b *bench) {
			b.git(t, pillar, "branch", "-q", "old")
			b.git(t, pillar, "branch", "-q", "--set-upstream-to=old")
		}, []Kind{NoUpstream}, nil, "main follows refs/heads/old", "--set-upstream-to", nil},
		{"no remote", func(t *testing.T, b *bench) { b.git(t, pillar, "remote", "remove", "origin") },
			[]Kind{NoRemote}, nil, "no remote", "remote add", []Kind{NoRemote}},
		{"the remote is gone", func(t *testing.T, b *bench) { os.RemoveAll(filepath.Join(b.remotes, "1")) },
			[]Kind{Unreachable}, nil, "origin can't be asked", "fetch", []Kind{Unreachable}},
		{"an empty remote", func(t *testing.T, b *bench) {
			os.RemoveAll(filepath.Join(b.remotes, "1"))
			run(t, b.remotes, "git", "init", "-q", "--bare", "1")
		}, []Kind{Unreachable}, nil, "no commits yet", "fetch", []Kind{Unreachable}},
		{"a remote whose default branch looks like an option", func(t *testing.T, b *bench) {
			run(t, filepath.Join(b.remotes, "1"), "git", "update-ref", "refs/heads/--orphan", "refs/heads/main")
			run(t, filepath.Join(b.remotes, "1"), "git", "symbolic-ref", "HEAD", "refs/heads/--orphan")
		}, []Kind{Unreachable}, nil, "--orphan", "fetch", []Kind{Unreachable}},
		{"a default branch that was renamed", func(t *testing.T, b *bench) {
			run(t, filepath.Join(b.remotes, "1"), "git", "branch", "-m", "main", "trunk")
		}, []Kind{OtherBranch}, nil, "main, not trunk", "switch trunk", nil},
		{"no commits", func(t *testing.T, b *bench) { b.git(t, pillar, "switch", "-q", "--orphan", "new") },
			[]Kind{NoCommit}, nil, "no commits", "clone", []Kind{NoCommit}},
		{"a rebase begun", func(t *testing.T, b *bench) {
			b.commit(t, pillar, "top.sls", "mine\n")
			b.colleague(t, pillar, "top.sls", "theirs\n")
			c := exec.Command("git", "-C", filepath.Join(b.dir, pillar), "pull", "-q", "--rebase")
			if c.Run() == nil {
				t.Fatal("no conflict")
			}
		}, []Kind{Progress, Conflict}, []string{"top.sls"}, "a rebase was begun", "rebase --continue", []Kind{Progress, Conflict}},
		{"a merge begun", func(t *testing.T, b *bench) {
			b.git(t, pillar, "switch", "-qc", "other")
			b.commit(t, pillar, "x", "work")
			b.git(t, pillar, "switch", "-q", "main")
			b.git(t, pillar, "merge", "-q", "--no-ff", "--no-commit", "other")
		}, []Kind{Progress, Changed}, []string{"x"}, "a merge was begun", "merge --abort", []Kind{Progress, Changed}},
		{"a bisect begun", func(t *testing.T, b *bench) { b.git(t, pillar, "bisect", "start") },
			[]Kind{Progress}, nil, "a bisect was begun", "bisect reset", []Kind{Progress}},
		{"a submodule that isn't checked out", func(t *testing.T, b *bench) {
			b.git(t, pillar, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", filepath.Join(b.remotes, "2"), "sub")
			b.git(t, pillar, "commit", "-qm", "submodule")
			b.git(t, pillar, "push", "-q")
			b.git(t, pillar, "submodule", "--quiet", "deinit", "-f", "sub")
		}, []Kind{Submodule}, []string{"sub"}, "1 submodule is not", "submodule update --init", []Kind{Submodule}},
		{"a submodule with changes", func(t *testing.T, b *bench) {
			b.git(t, pillar, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", filepath.Join(b.remotes, "2"), "sub")
			b.git(t, pillar, "commit", "-qm", "submodule")
			b.git(t, pillar, "push", "-q")
			write(t, filepath.Join(b.dir, pillar, "sub", "top.sls"), "changed\n")
			b.git(t, pillar, "config", "diff.ignoreSubmodules", "all")
		}, []Kind{Submodule}, []string{"sub"}, "1 submodule is not", "submodule update --init", []Kind{Submodule}},
		{"a remote of another name, and none remembered", func(t *testing.T, b *bench) {
			b.git(t, pillar, "remote", "rename", "origin", "upstream")
			b.git(t, pillar, "remote", "set-head", "--delete", "upstream")
			b.colleague(t, pillar, "y", "theirs")
		}, []Kind{Behind}, nil, "upstream/main", "pull", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			tt.make(t, b)
			r := b.check(t, false)
			got := r.Repositories[1]
			if r.Ready() || !slices.Equal(kinds(got), tt.kinds) || len(r.Repositories[0].Problems)+len(r.Repositories[2].Problems) > 0 {
				t.Fatalf("%+v", r)
			}
			var all strings.Builder
			var files []string
			for _, p := range got.Problems {
				fmt.Fprintf(&all, "%s\n", p.Message)
				files = append(files, p.Files...)
				if p.Remedy == "" || strings.ContainsAny(p.Message+p.Remedy, "\n\x1b\u202e") {
					t.Errorf("%+v", p)
				}
			}
			if !strings.Contains(all.String(), tt.says) || !strings.Contains(got.Problems[0].Remedy, tt.remedy) || !reflect.DeepEqual(files, tt.files) {
				t.Errorf("%+v", got)
			}

			before := b.git(t, ".", "-C", b.dir, "for-each-ref", "refs/heads")
			r = b.check(t, true)
			if !slices.Equal(kinds(r.Repositories[1]), tt.fixed) || r.Stopped != "" {
				t.Errorf("after an update: %+v", r)
			}
			if (len(r.Repositories[1].Done) > 0) != (len(tt.fixed) == 0 || slices.Equal(tt.kinds, []Kind{Ahead, Behind})) {
				t.Errorf("done: %q", r.Repositories[1].Done)
			}
			if after := b.git(t, ".", "-C", b.dir, "for-each-ref", "refs/heads"); after != before {
				t.Errorf("the update changed the deploy checkout's branches from\n%s to\n%s", before, after)
			}
			if _, err := os.Stat(filepath.Join(b.dir, pillar, "pwned")); err == nil {
				t.Error("a branch's name was run")
			}
		})
	}
}

// Where one other branch alone was cloned, the default one is fetched all the
// same, and git says why it can't follow it.
func TestSingleBranch(t *testing.T) {
	b := newBench(t)
	run(t, filepath.Join(b.remotes, "1"), "git", "branch", "release", "main")
	os.RemoveAll(filepath.Join(b.dir, "pillar/private"))
	run(t, b.remotes, "git", "clone", "-q", "--single-branch", "--branch", "release", "1", filepath.Join(b.dir, "pillar/private"))
	if got := b.check(t, false).Repositories[1]; !slices.Equal(kinds(got), []Kind{OtherBranch}) || got.Default != "main" {
		t.Errorf("%+v", got)
	}
	r := b.check(t, true)
	if got := r.Repositories[1]; r.Stopped != "pillar/private" || !slices.Equal(kinds(got), []Kind{UpdateFailed, OtherBranch}) || got.Branch != "release" {
		t.Errorf("%+v", got)
	}
}

// A conflict ends the update. The checkout is as it was, and what comes after is
// left alone.
func TestUpdateConflict(t *testing.T) {
	b := newBench(t)
	b.colleague(t, ".", "x", "theirs")
	b.commit(t, "pillar/private", "top.sls", "mine\n")
	b.colleague(t, "pillar/private", "top.sls", "theirs\n")
	b.colleague(t, "salt/private", "x", "theirs")
	mine := b.git(t, "pillar/private", "rev-parse", "HEAD")
	write(t, filepath.Join(b.dir, "pillar/private/note"), "untracked")

	r := b.check(t, true)
	if r.Stopped != "pillar/private" || r.Ready() {
		t.Fatalf("%+v", r)
	}
	if got := r.Repositories[0]; len(got.Problems) > 0 || !slices.Equal(got.Done, []string{"rebased onto origin/main"}) {
		t.Errorf("%+v", got)
	}
	pillar := r.Repositories[1]
	if !slices.Equal(kinds(pillar), []Kind{Conflict, Ahead, Behind, Untracked}) || !slices.Equal(pillar.Problems[0].Files, []string{"top.sls"}) ||
		!strings.Contains(pillar.Problems[0].Remedy, "rebase --continue") || pillar.Branch != "main" || pillar.Commit != mine {
		t.Errorf("%+v", pillar)
	}
	if got := b.git(t, "pillar/private", "status", "--porcelain"); got != "?? note" {
		t.Errorf("the checkout has %q", got)
	}
	if got := kinds(r.Repositories[2]); !slices.Equal(got, []Kind{Behind}) {
		t.Errorf("what comes after has %v", got)
	}
}

// What git refuses, so as not to lose work, ends the update too.
func TestUpdateRefused(t *testing.T) {
	b := newBench(t)
	b.colleague(t, "pillar/private", "new.sls", "theirs\n")
	write(t, filepath.Join(b.dir, "pillar/private/new.sls"), "mine, untracked\n")
	r := b.check(t, true)
	pillar := r.Repositories[1]
	if r.Stopped != "pillar/private" || !slices.Equal(kinds(pillar), []Kind{UpdateFailed, Behind, Untracked}) {
		t.Errorf("%+v", r)
	}
	if got, err := os.ReadFile(filepath.Join(b.dir, "pillar/private/new.sls")); err != nil || string(got) != "mine, untracked\n" {
		t.Errorf("%q %v", got, err)
	}
}

// Commits that are on another branch are still there after an update.
func TestUpdateKeepsBranches(t *testing.T) {
	b := newBench(t)
	b.git(t, "salt/private", "switch", "-qc", "feature")
	b.commit(t, "salt/private", "x", "work")
	work := b.git(t, "salt/private", "rev-parse", "HEAD")
	b.colleague(t, "salt/private", "y", "theirs")
	r := b.check(t, true)
	if !r.Ready() || !slices.Equal(r.Repositories[2].Done, []string{"switched to main", "rebased onto origin/main"}) {
		t.Errorf("%+v", r)
	}
	if got := b.git(t, "salt/private", "rev-parse", "feature"); got != work {
		t.Errorf("feature is %s, was %s", got, work)
	}
	if b.git(t, "salt/private", "show", "HEAD:y") != "theirs" {
		t.Error("the colleague's file is missing")
	}
}

// A remote that says nothing is given up.
func TestSilentRemote(t *testing.T) {
	b := newBench(t)
	b.git(t, "pillar/private", "remote", "set-url", "origin", "ssh://git@git.example.org/pillar")
	t.Setenv("GIT_SSH_COMMAND", "exec sleep 1000;")
	r, err := Check(t.Context(), Config{Dir: b.dir, Repositories: names[1:2], RemoteWithin: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Repositories[0]; !slices.Equal(kinds(got), []Kind{Unreachable}) || !strings.Contains(got.Problems[0].Message, "no answer within 500ms") {
		t.Errorf("%+v", got)
	}
}

// An interruption ends what git has started to reach a remote, too.
func TestInterrupted(t *testing.T) {
	b := newBench(t)
	started := filepath.Join(t.TempDir(), "pids")
	b.git(t, "pillar/private", "remote", "set-url", "origin", "ssh://git@git.example.org/pillar")
	t.Setenv("GIT_SSH_COMMAND", "echo $$ >>"+started+"; exec sleep 1000;")
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Check(ctx, Config{Dir: b.dir, Repositories: names, RemoteWithin: 10 * time.Minute})
		done <- err
	}()
	var pids []string
	eventually(t, "both questions to the remote", func() bool {
		content, _ := os.ReadFile(started)
		pids = strings.Fields(string(content))
		return len(pids) == 2 && strings.HasSuffix(string(content), "\n")
	})
	interrupt()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("the error is %v", err)
	}
	for _, id := range pids {
		pid, err := strconv.Atoi(id)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of process "+id, func() bool { return syscall.Kill(pid, 0) != nil })
	}
}

// eventually waits for something to be so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for tick := time.Tick(5 * time.Millisecond); !so(); {
		select {
		case <-tick:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// No password is asked for, and none is shown.
func TestNoPasswords(t *testing.T) {
	b := newBench(t)
	b.git(t, "pillar/private", "remote", "set-url", "origin", "https://me:s3cret@127.0.0.1:1/pillar")
	r := b.check(t, false)
	if got := r.Repositories[1]; !slices.Equal(kinds(got), []Kind{Unreachable}) || strings.Contains(fmt.Sprintf("%+v", r), "s3cret") {
		t.Errorf("%+v", got)
	}
}

// An update that is interrupted leaves no rebase behind.
func TestInterruptedUpdate(t *testing.T) {
	b := newBench(t)
	b.commit(t, ".", "x", "work")
	b.colleague(t, ".", "y", "theirs")
	mine := b.git(t, ".", "rev-parse", "HEAD")
	begun := filepath.Join(t.TempDir(), "begun")
	hook := filepath.Join(b.dir, ".git", "hooks", "post-checkout")
	write(t, hook, "#!/bin/sh\n>"+begun+"\nexec sleep 1000\n")
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan Report, 1)
	go func() {
		r, err := Check(ctx, Config{Dir: b.dir, Repositories: names, Update: true, RemoteWithin: time.Minute})
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	eventually(t, "the rebase's checkout", func() bool {
		_, err := os.Stat(begun)
		return err == nil
	})
	os.Remove(hook) // what undoes the rebase would run it, too
	interrupt()
	r := <-done
	if got := r.Repositories[0]; r.Stopped != "deploy" || got.Branch != "main" || got.Commit != mine || slices.Contains(kinds(got), Progress) {
		t.Errorf("%+v", r)
	}
}

func TestWrongFolder(t *testing.T) {
	b := newBench(t)
	write(t, filepath.Join(b.dir, "sub/file"), "")
	for dir, says := range map[string]string{
		filepath.Join(b.dir, "nowhere"): "is not a folder",
		filepath.Join(b.dir, "top.sls"): "is not a folder",
	} {
		if _, err := Check(t.Context(), Config{Dir: dir, Repositories: names}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	r, err := Check(t.Context(), Config{Dir: filepath.Join(b.dir, "sub"), Repositories: names[:1], RemoteWithin: time.Minute})
	if err != nil || !slices.Equal(kinds(r.Repositories[0]), []Kind{NoRepository}) || !strings.Contains(r.Repositories[0].Problems[0].Remedy, "may be "+b.dir) {
		t.Errorf("%+v %v", r, err)
	}
}
