package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A checkout is a repository that is looked at.
type checkout struct {
	Repository
	program string // git's path
	// command is how git is told of the checkout from where the program runs.
	command string
	// main is whether this is the deploy checkout itself.
	main bool
	// nested are the paths of checkouts within this one that are looked at
	// themselves.
	nested []string
	// remote is the remote's name; "" where there is none.
	remote       string
	remoteWithin time.Duration
}

// newCheckout is the checkout at path from dir, which is c.Dir's absolute path.
func newCheckout(git string, c Config, dir, path string) *checkout {
	k := &checkout{program: git, command: "git", remoteWithin: c.RemoteWithin}
	at := path
	if filepath.IsAbs(path) {
		k.Directory = filepath.Clean(path)
	} else {
		k.Directory, at = filepath.Join(dir, path), filepath.Join(c.Dir, path)
	}
	if at != "." {
		k.command = "git -C " + quote(at)
	}
	if k.Name = path; k.Directory == dir {
		k.Name, k.main = filepath.Base(dir), true
	}
	return k
}

func (k *checkout) problem(kind Kind, files []string, remedy, format string, a ...any) {
	k.Problems = append(k.Problems, Problem{Kind: kind, Message: fmt.Sprintf(format, a...), Files: files, Remedy: remedy})
}

// inspect finds out the state of the checkout and of its remote, and what is
// wrong with them.
func (k *checkout) inspect(ctx context.Context) {
	if !k.isRepository(ctx) {
		return
	}
	var asked error
	var remote sync.WaitGroup
	remote.Go(func() { asked = k.ask(ctx) })
	s, err := k.look(ctx)
	remote.Wait()
	k.judge(ctx, s, err, asked)
}

// again finds out the checkout's state anew, without its remote.
func (k *checkout) again(ctx context.Context) {
	k.Problems, k.Branch, k.Commit, k.Ahead, k.Behind = nil, "", "", 0, 0
	s, err := k.look(ctx)
	k.judge(ctx, s, err, nil)
}

// isRepository tells whether the folder is the top of a repository's work tree.
func (k *checkout) isRepository(ctx context.Context) bool {
	const clone = "clone the repository there"
	if info, err := os.Stat(k.Directory); err != nil || !info.IsDir() {
		k.problem(Missing, nil, clone, "there is no folder %s", Printable(k.Directory))
		return false
	}
	inside, err := k.local(ctx, "rev-parse", "--is-inside-work-tree")
	switch {
	case err != nil && strings.Contains(err.Error(), "not a git repository"):
		remedy := clone
		if k.main {
			remedy = "run this in the deploy checkout, or name its folder"
		}
		k.problem(NoRepository, nil, remedy, "this is not a Git repository")
		return false
	case err != nil:
		k.problem(NoRepository, nil, "see what "+k.command+" status says", "git refuses to read it: %s", err)
		return false
	}
	if inside != "true" {
		k.problem(NoRepository, nil, clone+", without --bare", "this is a repository without files to work on")
		return false
	}
	prefix, err := k.local(ctx, "rev-parse", "--show-prefix")
	if err != nil || prefix != "" {
		top, _ := k.local(ctx, "rev-parse", "--show-toplevel")
		remedy := clone
		if k.main {
			remedy = "name the deploy checkout instead, which may be " + quote(top)
		}
		k.problem(NoRepository, nil, remedy, "this is not a repository of its own, but a folder of %s", Printable(top))
		return false
	}
	return true
}

// look finds out what the checkout has.
func (k *checkout) look(ctx context.Context) (status, error) {
	// It fails where no branch is checked out, or there is no commit.
	if ref, err := k.local(ctx, "symbolic-ref", "--quiet", "HEAD"); err == nil {
		k.Branch = strings.TrimPrefix(ref, "refs/heads/")
	} else if !answered(err) {
		return status{}, err
	}
	if id, err := k.local(ctx, "rev-parse", "--quiet", "--verify", "HEAD^{commit}"); err == nil {
		k.Commit = id
	} else if !answered(err) {
		return status{}, err
	}
	arguments := []string{"status", "--porcelain=v2", "-z", "--untracked-files=normal", "--ignore-submodules=none", "--", "."}
	for _, path := range k.nested {
		arguments = append(arguments, ":(top,exclude,literal)"+path)
	}
	out, err := k.git(ctx, localWithin, arguments...)
	if err != nil {
		return status{}, err
	}
	s, err := parseStatus(out)
	if err != nil {
		return status{}, err
	}
	// A submodule that isn't checked out is no change to git.
	out, err = k.git(ctx, localWithin, "ls-files", "-v", "--stage", "-z")
	if err != nil {
		return status{}, err
	}
	kept := parseIndex(out)
	exists := func(path ...string) bool {
		_, err := os.Lstat(filepath.Join(append([]string{k.Directory}, path...)...))
		return err == nil
	}
	for _, path := range kept.submodules {
		if !slices.Contains(k.nested, path) && !slices.Contains(s.submodules, path) && !exists(path, ".git") {
			s.submodules = append(s.submodules, path)
		}
	}
	s.hidden = kept.assumed
	for _, path := range kept.skipped {
		if exists(path) {
			s.hidden = append(s.hidden, path)
		}
	}
	return s, nil
}

// answered tells whether err is an answer of git's: no.
func answered(err error) bool {
	_, ok := errors.AsType[*gitError](err)
	return ok
}

// errNoRemote: there is no remote to compare with.
var errNoRemote = errors.New("")

// ask finds out from the remote which branch is its default, and fetches that.
//
// refs/remotes/origin/HEAD is what the remote said when it was cloned: it isn't
// there after git init, and is wrong once the branch was renamed. It is used to
// fetch the probable branch in the meantime.
func (k *checkout) ask(ctx context.Context) error {
	list, err := k.local(ctx, "remote")
	if err != nil {
		return err
	}
	remotes := strings.Fields(list)
	switch {
	case slices.Contains(remotes, "origin"):
		k.remote = "origin"
	case len(remotes) == 1 && !strings.HasPrefix(remotes[0], "-"):
		k.remote = remotes[0]
	default:
		return errNoRemote
	}
	prefix := "refs/remotes/" + k.remote + "/"
	remembered, _ := k.local(ctx, "symbolic-ref", "--quiet", prefix+"HEAD")
	remembered = strings.TrimPrefix(remembered, prefix)
	k.Default = remembered

	var fetched error
	var fetching sync.WaitGroup
	if remembered != "" {
		fetching.Go(func() { fetched = k.fetch(ctx, remembered) })
	}
	out, err := k.git(ctx, k.remoteWithin, "ls-remote", "--symref", k.remote, "HEAD")
	fetching.Wait()
	if err != nil {
		return err
	}
	branch := parseDefault(out)
	switch {
	case branch == "":
		return errors.New("it doesn't say which branch is its default, or has no commits yet")
	case strings.HasPrefix(branch, "-"):
		return fmt.Errorf("its default branch is called %s, which git would take for an option", Printable(branch))
	}
	if k.Default = branch; branch == remembered {
		return fetched
	}
	return k.fetch(ctx, branch)
}

func (k *checkout) fetch(ctx context.Context, branch string) error {
	_, err := k.git(ctx, k.remoteWithin, "fetch", "--quiet", "--no-recurse-submodules", k.remote, "+refs/heads/"+branch+":"+k.tracking(branch))
	return err
}

// tracking is the ref that has what the remote has of a branch.
func (k *checkout) tracking(branch string) string { return "refs/remotes/" + k.remote + "/" + branch }

// unfinished are what git keeps in its folder while something was begun and not
// finished.
var unfinished = []struct{ file, what, command string }{
	{"rebase-merge", "rebase", "rebase"},
	{"rebase-apply", "rebase", "rebase"}, // or git am, which says so when it is asked to go on as a rebase
	{"MERGE_HEAD", "merge", "merge"},
	{"CHERRY_PICK_HEAD", "cherry-pick", "cherry-pick"},
	{"REVERT_HEAD", "revert", "revert"},
	{"BISECT_LOG", "bisect", ""},
}

// inProgress names what was begun and not finished; "" where nothing was.
func (k *checkout) inProgress(ctx context.Context) (what, remedy string) {
	dir, err := k.local(ctx, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return "", ""
	}
	for _, u := range unfinished {
		if _, err := os.Stat(filepath.Join(dir, u.file)); err != nil {
			continue
		}
		if u.command == "" {
			return u.what, k.command + " bisect reset"
		}
		return u.what, fmt.Sprintf("finish it (%s %s --continue), or give it up (%[1]s %[2]s --abort)", k.command, u.command)
	}
	return "", ""
}

// judge makes problems of what look and ask found.
func (k *checkout) judge(ctx context.Context, s status, looked, asked error) {
	if looked != nil {
		k.problem(CheckFailed, nil, "see what "+k.command+" status says", "its state can't be found out: %s", looked)
		return
	}
	what, remedy := k.inProgress(ctx)
	if what != "" {
		k.problem(Progress, nil, remedy, "a %s was begun and not finished", what)
	}
	if len(s.conflicts) > 0 {
		k.problem(Conflict, s.conflicts, "mend each, then "+k.command+" add it", "%s", count(len(s.conflicts), "file has", "files have")+" conflicts")
	}
	switch {
	case k.Commit == "":
		k.problem(NoCommit, nil, "clone the repository anew", "its branch has no commits")
	case what == "rebase" || what == "bisect":
		// These have no branch checked out, and bring it back.
	case k.Branch == "":
		k.detached(ctx)
	case k.Default != "" && k.Branch != k.Default:
		k.problem(OtherBranch, nil, k.command+" switch "+quote(k.Default), "it is on the branch %s, not %s", Printable(k.Branch), Printable(k.Default))
	case k.Default != "" && asked == nil:
		k.compare(ctx)
	}
	if len(s.changed) > 0 {
		k.problem(Changed, s.changed, "commit and push them, or put them aside: "+k.command+" stash",
			"%s changed", count(len(s.changed), "file is", "files are"))
	}
	if len(s.hidden) > 0 {
		k.problem(Hidden, s.hidden, k.command+" update-index --no-assume-unchanged --no-skip-worktree FILE, for each",
			"git was told not to see changes to %s", count(len(s.hidden), "file", "files"))
	}
	if len(s.untracked) > 0 {
		k.problem(Untracked, s.untracked, "commit and push, move or delete them, or add them to .gitignore; Salt would deploy them as they are",
			"%s untracked", count(len(s.untracked), "file or folder is", "files or folders are"))
	}
	if len(s.submodules) > 0 {
		k.problem(Submodule, s.submodules, k.command+" submodule update --init", "%s not what the repository records",
			count(len(s.submodules), "submodule is", "submodules are"))
	}
	switch {
	case errors.Is(asked, errNoRemote):
		k.problem(NoRemote, nil, k.command+" remote add origin ADDRESS", "it has no remote called origin, so it can't be told whether it is up to date")
	case asked != nil:
		k.problem(Unreachable, nil, "try "+k.command+" fetch", "%s can't be asked whether it is up to date: %s", Printable(k.remote), asked)
	}
}

// detached says what it would take to leave a commit that is on no branch.
func (k *checkout) detached(ctx context.Context) {
	to := k.Default
	if to == "" {
		to = "BRANCH"
	}
	remedy := k.command + " switch " + quote(to)
	message := fmt.Sprintf("no branch is checked out, but the commit %.10s", k.Commit)
	if !k.onBranch(ctx) {
		remedy = fmt.Sprintf("keep its commits, as %s switch -c NAME does, then %s", k.command, remedy)
		message += ", which is on no branch"
	}
	k.problem(Detached, nil, remedy, "%s", message)
}

// onBranch tells whether the commit that is checked out would still be found
// once another is.
func (k *checkout) onBranch(ctx context.Context) bool {
	refs, err := k.local(ctx, "for-each-ref", "--count=1", "--contains="+k.Commit, "refs/heads", "refs/remotes", "refs/tags")
	return err == nil && refs != ""
}

// compare finds out how the default branch, which is checked out, differs from
// the remote's.
func (k *checkout) compare(ctx context.Context) {
	theirs, there := k.tracking(k.Default), Printable(k.remote+"/"+k.Default)
	upstream, err := k.local(ctx, "for-each-ref", "--format=%(upstream)", "refs/heads/"+k.Default)
	if err == nil && upstream != theirs {
		follow := "nothing"
		if upstream != "" {
			follow = Printable(upstream)
		}
		k.problem(NoUpstream, nil, k.command+" branch --set-upstream-to="+quote(k.remote+"/"+k.Default),
			"its branch %s follows %s, not %s", Printable(k.Default), follow, there)
	}
	out, err := k.local(ctx, "rev-list", "--left-right", "--count", "refs/heads/"+k.Default+"..."+theirs, "--")
	if err == nil {
		_, err = fmt.Sscan(out, &k.Ahead, &k.Behind)
	}
	if err != nil {
		k.problem(CheckFailed, nil, "see what "+k.command+" status says", "it can't be compared with %s: %s", there, err)
		return
	}
	pull := k.command + " pull --rebase"
	switch {
	case k.Ahead > 0 && k.Behind > 0:
		k.problem(Ahead, nil, pull+", then "+k.command+" push", "%s not on %s", count(k.Ahead, "commit is", "commits are"), there)
	case k.Ahead > 0:
		k.problem(Ahead, nil, k.command+" push", "%s not on %s", count(k.Ahead, "commit is", "commits are"), there)
	}
	if k.Behind > 0 {
		k.problem(Behind, nil, pull, "%s missing that %s on %s", count(k.Behind, "commit is", "commits are"), map[bool]string{true: "is", false: "are"}[k.Behind == 1], there)
	}
}

// count is "1 file is" or "2 files are".
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
