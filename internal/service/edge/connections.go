package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// stalled is how long a connection may stay at one request before it has to go when there is no room for another.
const stalled = 3 * time.Second

// again is how often room is looked for while there is none.
const again = 100 * time.Millisecond

// Connections bounds how many connections there are. While all places are taken, new ones wait in the kernel's queue, and of
// those that have one the idle ones are closed first, then those that have stayed at one request for long: a
// machine that is slow, or gone, does not keep out those that are not.
type Connections struct {
	places  chan struct{}
	wanted  atomic.Bool // somebody waits for a place
	evicted atomic.Int64

	mu   sync.Mutex
	open map[*connection]struct{}
}

// NewConnections allows up to max connections.
func NewConnections(max int) *Connections {
	return &Connections{places: make(chan struct{}, max), open: map[*connection]struct{}{}}
}

// connection is one of them. It keeps what a TCP connection can do beyond net.Conn: the kernel copies files into it by itself.
type connection struct {
	*net.TCPConn
	since    atomic.Int64 // when it came into its state, in Unix nanoseconds
	idle     atomic.Bool
	lasting  atomic.Int32 // requests that may take long, such as the download of a file
	released sync.Once
	place    *Connections
}

// Close gives the place back.
func (c *connection) Close() error {
	c.released.Do(func() {
		c.place.mu.Lock()
		delete(c.place.open, c)
		c.place.mu.Unlock()
		<-c.place.places
	})
	return c.TCPConn.Close()
}

// Open is how many connections there are.
func (c *Connections) Open() int { return len(c.places) }

// Evicted is how many were closed to make room.
func (c *Connections) Evicted() int64 { return c.evicted.Load() }

// Crowded reports whether few places are left: whoever has been answered should then go.
func (c *Connections) Crowded() bool { return len(c.places) > cap(c.places)*3/4 }

// Listen is a listener whose connections are bounded. It is of TCP.
func (c *Connections) Listen(l net.Listener) net.Listener {
	return &listener{Listener: l, c: c, closed: make(chan struct{})}
}

type listener struct {
	net.Listener
	c      *Connections
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept waits for a place before it takes a connection from the kernel.
func (l *listener) Accept() (net.Conn, error) {
	if !l.c.take(l.closed) {
		return nil, net.ErrClosed
	}
	accepted, err := l.Listener.Accept()
	if err != nil {
		<-l.c.places
		return nil, err
	}
	return l.c.admit(accepted.(*net.TCPConn)), nil
}

func (c *Connections) admit(tcp *net.TCPConn) *connection {
	admitted := &connection{TCPConn: tcp, place: c}
	admitted.since.Store(time.Now().UnixNano())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[admitted] = struct{}{}
	return admitted
}

// take gets a place, making room for as long as there is none.
func (c *Connections) take(closed <-chan struct{}) bool {
	select {
	case c.places <- struct{}{}:
		return true
	default:
	}
	c.wanted.Store(true)
	defer c.wanted.Store(false)
	for {
		c.makeRoom(time.Now())
		select {
		case c.places <- struct{}{}:
			return true
		case <-closed:
			return false
		case <-time.After(again):
		}
	}
}

// makeRoom closes some of the connections that nobody would miss, longest first. That it is several at once saves
// looking through all of them for every new one.
func (c *Connections) makeRoom(now time.Time) {
	c.mu.Lock()
	var idle, slow []*connection
	for one := range c.open {
		switch {
		case one.idle.Load():
			idle = append(idle, one)
		case one.lasting.Load() == 0 && now.UnixNano()-one.since.Load() > int64(stalled):
			slow = append(slow, one)
		}
	}
	c.mu.Unlock()
	longest := func(a, b *connection) int { return int(a.since.Load() - b.since.Load()) }
	slices.SortFunc(idle, longest)
	slices.SortFunc(slow, longest)
	leaving := append(idle, slow...)
	for _, one := range leaving[:min(len(leaving), 1+cap(c.places)/64)] {
		c.evicted.Add(1)
		_ = one.Close() // its peer sees that it is closed, which is all there is to say
	}
}

// state follows a connection. One that becomes idle while others wait has to go.
func (c *Connections) state(conn net.Conn, s http.ConnState) {
	one := of(conn)
	if one == nil {
		return
	}
	switch s {
	case http.StateActive:
		one.since.Store(time.Now().UnixNano())
		one.idle.Store(false)
	case http.StateIdle:
		one.since.Store(time.Now().UnixNano())
		one.idle.Store(true)
		if c.wanted.Load() {
			c.evicted.Add(1)
			_ = one.Close()
		}
	}
}

func of(conn net.Conn) *connection {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	one, _ := conn.(*connection)
	return one
}

type connectionKey struct{}

func (c *Connections) remember(ctx context.Context, conn net.Conn) context.Context {
	if one := of(conn); one != nil {
		return context.WithValue(ctx, connectionKey{}, one)
	}
	return ctx
}

// Lasting tells that the request of the context may take long; call the returned function when it is over.
func Lasting(ctx context.Context) (over func()) {
	one, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return func() {}
	}
	one.lasting.Add(1)
	return func() { one.lasting.Add(-1) }
}
