//go:build !linux

package kingfisher

import "net"

// acknowledge does nothing: only Linux has an option for it.
func acknowledge(net.Conn) {}
