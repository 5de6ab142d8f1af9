package kingfisher

import (
	"net"
	"syscall"
)

// acknowledge makes the kernel acknowledge at once what it has received, which
// it otherwise puts off for 40 ms. sshd sends small packets, and until a session
// has a terminal holds each back until the last was acknowledged (Nagle's
// algorithm): without this, a check takes up to 80 ms longer.
//
// The option does not last, so this is called after each read.
func acknowledge(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	// Where it fails, all is as it would be without it.
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
}
