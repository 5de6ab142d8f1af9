// Package preflight looks at the Git checkouts that a deployment is made from:
// each must be on its default branch, clean, and neither ahead of nor behind
// what its remote has. Where asked, it makes them so.
//
// It runs the git command, without a shell. No library speaks to a remote as
// the person's own git does, with their SSH configuration, credential helpers,
// includes and hooks, and none rebases; and what is reported here is what they
// will see when they follow up on it by hand.
package preflight

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// A Config says what to look at.
type Config struct {
	// Dir is the deploy checkout.
	Dir string
	// Repositories are the checkouts, by their paths from Dir, or absolute.
	Repositories []string
	// Update has each switched to its default branch and rebased onto what its
	// remote has, one after the other, up to the first for which a step of that
	// fails. It leaves alone what it could harm: a checkout with changed files,
	// with something unfinished, or with commits that would be on no branch any
	// more.
	Update bool
	// RemoteWithin bounds each question to a remote.
	RemoteWithin time.Duration
}

// A Report is what was found.
type Report struct {
	// Repositories are in the order that was asked for.
	Repositories []Repository
	// Stopped is the name of the repository at which the update of all ended;
	// "" where it didn't.
	Stopped string
}

// Ready tells whether no repository has a problem.
func (r Report) Ready() bool {
	for _, repository := range r.Repositories {
		if len(repository.Problems) > 0 {
			return false
		}
	}
	return true
}

// A Repository is the state of one checkout.
type Repository struct {
	// Name is the path as it was asked for; of the deploy checkout itself, the
	// name of its folder.
	Name string
	// Directory is the checkout's absolute path.
	Directory string
	// Branch is the branch that is checked out; "" where there is none.
	Branch string
	// Default is the remote's default branch; "" where that isn't known.
	Default string
	// Commit is the ID of the commit that is checked out; "" where there is none.
	Commit string
	// Ahead and Behind count the commits that only the checkout has, and only
	// the remote. Both are 0 where another branch than Default is checked out.
	Ahead, Behind int
	// Done says what an update did, in the order of doing.
	Done []string
	// Problems are what is to be mended before a deployment.
	Problems []Problem
}

// A Kind names a problem, for programs.
type Kind string

// The kinds of problems.
const (
	Missing      Kind = "missing"          // there is no such folder
	NoRepository Kind = "not_a_repository" // or one that git refuses to read
	Progress     Kind = "in_progress"      // a rebase, merge, … was begun and not finished
	Conflict     Kind = "conflict"         // files have conflicts, or an update would make some
	NoCommit     Kind = "no_commit"        // the branch has none
	Detached     Kind = "detached"         // no branch is checked out
	OtherBranch  Kind = "other_branch"     // another than the default branch is
	NoUpstream   Kind = "no_upstream"      // the default branch doesn't follow the remote's
	Changed      Kind = "changed"          // tracked files are changed
	Hidden       Kind = "hidden"           // changes to tracked files would not be seen
	Untracked    Kind = "untracked"        // files are neither tracked nor ignored
	Submodule    Kind = "submodule"        // submodules are not what the repository says
	NoRemote     Kind = "no_remote"        // there is none, or several and no origin
	Unreachable  Kind = "unreachable"      // the remote could not be asked
	Ahead        Kind = "ahead"            // commits are not pushed
	Behind       Kind = "behind"           // commits are not pulled
	UpdateFailed Kind = "update_failed"    // an update was refused; nothing was changed
	CheckFailed  Kind = "check_failed"     // git could not be asked
)

// A Problem is one thing to mend.
type Problem struct {
	Kind Kind
	// Message says what is wrong, for people.
	Message string
	// Files are the files and folders that it is about, from the repository's
	// top; none where it is about none. Their names may hold anything.
	Files []string
	// Remedy says what to do about it.
	Remedy string
}

// Check looks at the repositories, all at once, and updates them where that was
// asked for. It fetches what the remotes have; otherwise it changes nothing
// unless it updates.
// Errors: git is not installed, Dir is not a folder, or ctx ended before it was
// known how they are. Once an update has begun, the end of ctx only ends that.
func Check(ctx context.Context, c Config) (Report, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return Report{}, errors.New("git is not installed, or not in PATH: install it")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", c.Dir, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return Report{}, fmt.Errorf("%s is not a folder: name the deploy checkout", Printable(c.Dir))
	}
	checkouts := make([]*checkout, len(c.Repositories))
	for i, path := range c.Repositories {
		checkouts[i] = newCheckout(git, c, dir, path)
	}
	for _, k := range checkouts {
		for _, other := range checkouts {
			if inside, err := filepath.Rel(k.Directory, other.Directory); err == nil && inside != "." && filepath.IsLocal(inside) {
				k.nested = append(k.nested, filepath.ToSlash(inside))
			}
		}
	}
	var all sync.WaitGroup
	for _, k := range checkouts {
		all.Go(func() { k.inspect(ctx) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return Report{}, errors.New("interrupted: the state of the repositories isn't known")
	}

	var r Report
	if c.Update {
		for _, k := range checkouts {
			if k.updatable(ctx) && !k.update(ctx) {
				r.Stopped = k.Name
				break
			}
		}
	}
	for _, k := range checkouts {
		r.Repositories = append(r.Repositories, k.Repository)
	}
	return r, nil
}
