//go:build !linux

package checker

import "syscall"

// withParent does nothing, where the system has nothing that ends a program with
// the one that started it.
func withParent() *syscall.SysProcAttr { return nil }
