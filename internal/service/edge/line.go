package edge

import (
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long one may have waited and still be let in while the processors are behind: it has to be read before it is late.
	patience = late - soon
	// overdue is when one that was not let in is turned away: not at once, because who does not back off would be here again at once.
	overdue = 2 * time.Second
	// In each look some are turned away, and more the more is answered, or for as long as it takes no more than a small part of the
	// time: turning away is cheap, and must not take the time for answers.
	refusals     = 16
	refusingTime = lookEvery / 5
)

// line is the connections that wait unread to be let in. The last to come is the first to be let in: it can still be answered in time, while
// a queue in the order of coming has everybody wait for just too long.
type line struct {
	length  atomic.Int64
	refused atomic.Int64
	waiting []*connection // the last to come at the end
}

func (l *line) join(one *connection) {
	l.waiting = append(l.waiting, one)
	l.length.Store(int64(len(l.waiting)))
}

// next is who is let in, nil when all have waited for longer than patience.
func (l *line) next(now time.Time, patience time.Duration) *connection {
	last := len(l.waiting) - 1
	if last < 0 || now.Sub(l.waiting[last].came) > patience {
		return nil
	}
	one := l.waiting[last]
	l.waiting[last] = nil
	l.waiting = l.waiting[:last]
	l.length.Store(int64(last))
	return one
}

// overdue is who is turned away next, nil when nobody has waited for too long yet; when others cannot even join, whoever has waited longest.
func (l *line) overdue(now time.Time, full bool) *connection {
	if len(l.waiting) == 0 || !full && now.Sub(l.waiting[0].came) < overdue {
		return nil
	}
	one := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	l.length.Store(int64(len(l.waiting)))
	l.refused.Add(1)
	return one
}

// all is everybody, and leaves nobody.
func (l *line) all() []*connection {
	going := l.waiting
	l.waiting = nil
	l.length.Store(0)
	return going
}

// TooMuch is what is said to who is turned away, as JSON.
const TooMuch = `{"kind":"unavailable","message":"the service has more requests than it can answer","hint":"Ask again later."}` + "\n"

// ComeAgain is a time to wait, in seconds: not the same for all who were turned away at once.
func ComeAgain() string { return strconv.Itoa(30 + rand.IntN(60)) }

// handshake is the first byte of a connection that is to be of TLS (RFC 8446, section 5.1). It cannot be answered before it has cost more than an answer.
const handshake = 0x16

// refuse answers 503 without having understood the request, and closes the connection. What is there is read before, because the kernel
// throws the answer away where something is left.
func (c *connection) refuse() {
	var request [16 << 10]byte
	n := 0
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Read(func(fd uintptr) (done bool) {
			n, _ = unix.Read(int(fd), request[:])
			return true
		})
	}
	if n > 0 && request[0] != handshake {
		_, _ = io.WriteString(c.TCPConn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: "+ComeAgain()+
			"\r\nConnection: close\r\nContent-Length: "+strconv.Itoa(len(TooMuch))+"\r\n\r\n"+TooMuch)
	}
	_ = c.Close() // whoever is gone already is not told
}

// unread is how long what came last on a connection has been there, or the connection when nothing came: 0 when the kernel does not tell.
func unread(c *net.TCPConn) (waited time.Duration) {
	askKernel(c, func(info *unix.TCPInfo) { waited = time.Duration(info.Last_data_recv) * time.Millisecond })
	return waited
}

// askKernel has the kernel tell about a socket, if it does: tcp(7).
func askKernel(socket syscall.Conn, told func(*unix.TCPInfo)) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			told(info)
		}
	})
}
