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

const (
	// stalled is how long a connection may stay at one request before it has to go when there is no room for another.
	stalled = 3 * time.Second
	// resting is how long a connection has to be idle to be taken for one that waits for nothing: between an answer and the next
	// request a busy one is idle too.
	resting = 500 * time.Millisecond
	// turn is how long a connection may go on asking while others wait to be let in.
	turn = 3 * time.Second
	// worth is how long an answer may take to be of use, but for its way back, and late is how long a request has waited when it is read too
	// late for that.
	worth = 700 * time.Millisecond
	late  = 300 * time.Millisecond
)

// Connections bounds how many connections there are, and how many of them are in service: only as many as the processors can
// read soon (pace). The others wait unread (line). To make room for them the idle ones in service are closed first, then
// those that have stayed at one request for long: a machine that is slow, or gone, does not keep out those that are not.
type Connections struct {
	places  chan struct{} // of all connections, in service or waiting
	full    atomic.Bool   // new ones wait in the kernel's queue, for a place
	ready   chan *connection
	pace    *pace
	serving atomic.Int64 // in service, without those that may take long
	evicted atomic.Int64

	mu   sync.Mutex
	open map[*connection]struct{} // in service
	line line
}

// NewConnections allows up to max connections.
func NewConnections(max int) *Connections {
	return &Connections{
		places: make(chan struct{}, max), ready: make(chan *connection, max), open: map[*connection]struct{}{}, pace: newPace(max),
	}
}

// connection is one of them. It keeps what a TCP connection can do beyond net.Conn: the kernel copies files into it by itself.
type connection struct {
	*net.TCPConn
	came     time.Time    // a request that is there came no earlier; of who waits, when it came
	entered  time.Time    // when it came into service
	since    atomic.Int64 // when it came into its state, in Unix nanoseconds
	idle     atomic.Bool
	waited   atomic.Int64 // by its request until it was read, in nanoseconds
	lasting  atomic.Int32 // requests that may take long, such as the download of a file
	released sync.Once
	place    *Connections
}

// Close gives the place back.
func (c *connection) Close() error {
	err := c.TCPConn.Close()
	c.released.Do(func() { c.place.leave(c) })
	return err
}

// Open is how many connections there are.
func (c *Connections) Open() int { return len(c.places) }

// Limit is how many may be in service now.
func (c *Connections) Limit() int { return int(c.pace.limit.Load()) }

// Evicted is how many were closed to make room.
func (c *Connections) Evicted() int64 { return c.evicted.Load() }

// Refused is how many were turned away before anybody read their request.
func (c *Connections) Refused() int64 { return c.line.refused.Load() }

// admit lets a connection in, or has it wait.
func (c *Connections) admit(tcp *net.TCPConn, now time.Time) {
	one := &connection{TCPConn: tcp, place: c, came: now.Add(-unread(tcp))}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line.join(one)
	c.letIn(now)
}

// letIn takes those that wait into service while there is room. While the processors are not behind there is nothing better to do than to
// answer those that waited for something else.
func (c *Connections) letIn(now time.Time) {
	most := patience
	if !c.pace.behind.Load() {
		most = answering
	}
	for c.serving.Load() < c.pace.limit.Load() {
		one := c.line.next(now, most)
		if one == nil {
			return
		}
		one.entered = now
		one.since.Store(now.UnixNano())
		c.open[one] = struct{}{}
		c.serving.Add(1)
		c.ready <- one
	}
}

func (c *Connections) leave(one *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.open[one]; ok {
		delete(c.open, one)
		c.serving.Add(-1)
		c.letIn(time.Now())
	}
	<-c.places
}

// look adapts how many are in service, lets in who may come in, and makes room for who still waits. So many are queued in the kernel.
func (c *Connections) look(now time.Time, queued int64) {
	waiting := c.line.length.Load()
	if c.full.Load() {
		queued = 0 // they wait for a place, not for the processors
	}
	answered, grown := c.pace.adjust(now, c.serving.Load(), waiting, queued)
	c.mu.Lock()
	c.letIn(now)
	c.mu.Unlock()
	c.turnAway(now, refusals+answered/2)
	if c.full.Load() || waiting > 0 && !grown {
		c.makeRoom(now)
	}
}

// turnAway refuses those that have waited for too long: so many, or for as long as may be.
func (c *Connections) turnAway(now time.Time, many int64) {
	for n := int64(0); n < many || time.Since(now) < refusingTime; n++ {
		c.mu.Lock()
		one := c.line.overdue(now, c.full.Load())
		c.mu.Unlock()
		if one == nil {
			return
		}
		one.refuse()
	}
}

// makeRoom closes some of the connections that nobody would miss, longest first.
func (c *Connections) makeRoom(now time.Time) {
	c.mu.Lock()
	var idle, slow []*connection
	for one := range c.open {
		stayed := now.UnixNano() - one.since.Load()
		switch {
		case one.idle.Load() && stayed > int64(resting):
			idle = append(idle, one)
		case !one.idle.Load() && one.lasting.Load() == 0 && stayed > int64(stalled):
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

// state follows a connection. When a request has been read, it is known how long it had waited for that: in all, and since the
// connection could have been read.
func (c *Connections) state(conn net.Conn, s http.ConnState) {
	one := of(conn)
	if one == nil || s != http.StateActive && s != http.StateIdle {
		return
	}
	now := time.Now()
	if s == http.StateActive {
		waited := now.Sub(one.came)
		if waited > soon/2 { // less is soon enough, and the kernel need not be asked how long it really was
			waited = unread(one.TCPConn)
		}
		one.waited.Store(int64(waited))
		c.pace.read(min(waited, time.Duration(now.UnixNano()-one.since.Load())))
	}
	one.came = now
	one.since.Store(now.UnixNano())
	one.idle.Store(s == http.StateIdle)
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

func behind(ctx context.Context) (*connection, bool) {
	one, ok := ctx.Value(connectionKey{}).(*connection)
	return one, ok
}

// Left is the time in which an answer to the request of the context has to be ready; 0 when it was read too late for that. Only while
// the processors are behind there is little: a late answer is better than none when nobody else waits for the time that it takes.
func Left(ctx context.Context) time.Duration {
	one, ok := behind(ctx)
	switch {
	case !ok || !one.place.pace.behind.Load():
		return answering
	case one.isLate():
		return 0
	}
	return worth - time.Duration(one.waited.Load())
}

func (c *connection) isLate() bool {
	return c.waited.Load() > int64(late) && c.place.pace.behind.Load()
}

// Leaving reports whether the connection of the context is to end with the answer, for the sake of others: there are too many
// in service, or others wait and it has had its turn, or its request came too late.
func Leaving(ctx context.Context) bool {
	one, ok := behind(ctx)
	if !ok {
		return false
	}
	c := one.place
	crowded := c.full.Load() || c.line.length.Load() > 0
	return one.isLate() || c.serving.Load() > c.pace.limit.Load() || crowded && time.Since(one.entered) > turn
}

// Lasting tells that the request of the context may take long; call the returned function when it is over.
func Lasting(ctx context.Context) (over func()) {
	one, ok := behind(ctx)
	if !ok {
		return func() {}
	}
	lasting := func(n int32) {
		if before := one.lasting.Add(n); before == max(n, 0) { // the first begins, or the last is over
			one.place.serving.Add(-int64(n))
		}
	}
	lasting(1)
	return func() { lasting(-1) }
}
