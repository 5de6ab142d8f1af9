package checker

import "syscall"

// withParent keeps the bot from outliving a test that was itself killed.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
