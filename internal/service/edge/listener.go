package edge

import (
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Listen is a listener whose connections are bounded. It is of TCP.
func (c *Connections) Listen(l net.Listener) net.Listener {
	bounded := &listener{Listener: l, c: c, failed: make(chan error), closed: make(chan struct{})}
	go bounded.take()
	go bounded.follow()
	return bounded
}

type listener struct {
	net.Listener
	c      *Connections
	failed chan error
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept waits for a connection that is let into service.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case one := <-l.c.ready:
		return one, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// take takes connections from the kernel for as long as there are places. While there are none, new ones wait in the kernel's queue.
func (l *listener) take() {
	for l.place() {
		accepted, err := l.Listener.Accept()
		if err == nil {
			l.c.admit(accepted.(*net.TCPConn), time.Now())
			continue
		}
		<-l.c.places
		select {
		case l.failed <- err:
		case <-l.closed:
			return
		}
	}
}

// place waits for one.
func (l *listener) place() bool {
	select {
	case l.c.places <- struct{}{}:
		return true
	default:
	}
	l.c.full.Store(true)
	defer l.c.full.Store(false)
	select {
	case l.c.places <- struct{}{}:
		return true
	case <-l.closed:
		return false
	}
}

// follow looks after the connections until the listener is closed, and then closes those that nobody serves.
func (l *listener) follow() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			l.c.look(now, l.queued())
		case <-l.closed:
			l.c.dismiss()
			return
		}
	}
}

// queued is how many connections nobody has taken out of the kernel's queue, which Linux tells as what is not acknowledged.
func (l *listener) queued() (n int64) {
	if listening, ok := l.Listener.(*net.TCPListener); ok {
		askKernel(listening, func(info *unix.TCPInfo) { n = int64(info.Unacked) })
	}
	return n
}

// dismiss turns away all that wait, and who was let in and not taken.
func (c *Connections) dismiss() {
	c.mu.Lock()
	waiting := c.line.all()
	c.mu.Unlock()
	for _, one := range waiting {
		one.refuse()
	}
	for {
		select {
		case one := <-c.ready:
			one.refuse()
		default:
			return
		}
	}
}
