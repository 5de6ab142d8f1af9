package preflight

import (
	"context"
	"slices"
	"strings"
)

// The problems that an update mends, and those that it works beside.
var (
	mended = []Kind{OtherBranch, Detached, NoUpstream, Behind}
	beside = []Kind{Untracked, Ahead}
)

// updatable tells whether there is something that an update mends, and nothing
// that it could harm.
func (k *checkout) updatable(ctx context.Context) bool {
	needed := false
	for _, p := range k.Problems {
		switch {
		case slices.Contains(mended, p.Kind):
			needed = true
		case !slices.Contains(beside, p.Kind):
			return false
		}
	}
	return needed && (k.Branch != "" || k.onBranch(ctx))
}

// update switches to the default branch and rebases it onto what the remote
// has, and reports whether that could be done. Where it couldn't, the checkout
// is as it was before the step that failed.
func (k *checkout) update(ctx context.Context) bool {
	failed := k.bring(ctx)
	// Also after an interruption, the report is of what is there now.
	k.again(context.WithoutCancel(ctx))
	if failed != nil {
		k.Problems = append([]Problem{*failed}, k.Problems...)
	}
	return failed == nil
}

// bring makes the steps of an update, and returns why one of them failed.
func (k *checkout) bring(ctx context.Context) *Problem {
	step := func(done string, arguments ...string) *Problem {
		if _, err := k.local(ctx, arguments...); err != nil {
			return &Problem{Kind: UpdateFailed, Message: "git " + arguments[0] + " failed: " + err.Error(), Remedy: "see what " + k.command + " status says"}
		}
		k.Done = append(k.Done, done)
		return nil
	}
	branch, theirs := k.Default, k.tracking(k.Default)
	shown, there := Printable(branch), Printable(k.remote+"/"+branch)
	if k.Branch != branch {
		arguments := []string{"switch", "--quiet", "--no-guess", branch}
		if !k.says(ctx, "show-ref", "--verify", "--quiet", "refs/heads/"+branch) {
			arguments = []string{"switch", "--quiet", "--create", branch, "--track", theirs}
		}
		if p := step("switched to "+shown, arguments...); p != nil {
			return p
		}
	}
	if upstream, err := k.local(ctx, "for-each-ref", "--format=%(upstream)", "refs/heads/"+branch); err == nil && upstream != theirs {
		if p := step(shown+" follows "+there+" now", "branch", "--quiet", "--set-upstream-to="+theirs, branch); p != nil {
			return p
		}
	}
	if k.says(ctx, "merge-base", "--is-ancestor", theirs, "HEAD") {
		return nil
	}
	failed := step("rebased onto "+there, "rebase", "--quiet", theirs)
	if failed == nil {
		return nil
	}
	undoing := context.WithoutCancel(ctx)
	files, err := k.local(undoing, "diff", "--name-only", "--diff-filter=U", "-z")
	if err == nil && files != "" {
		failed.Kind = Conflict
		failed.Files = strings.Split(strings.TrimSuffix(files, "\x00"), "\x00")
		failed.Message = "your commits and those on " + there + " change the same lines, so it was left as it was"
		failed.Remedy = k.command + " pull --rebase, mend each file and " + k.command + " add it, then " + k.command + " rebase --continue"
	}
	if what, _ := k.inProgress(undoing); what == "rebase" {
		if _, err := k.local(undoing, "rebase", "--abort"); err != nil {
			failed.Message = "a rebase failed, and could not be undone: " + err.Error()
		}
	}
	return failed
}
