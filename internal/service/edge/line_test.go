package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// crowd is connections that come one after the other to a service that has room for one of them. Nobody serves them.
type crowd struct {
	*Connections
	l     net.Listener
	peers []net.Conn
}

func newCrowd(t *testing.T) *crowd {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	c := NewConnections(8)
	c.pace.limit.Store(1)
	c.pace.behind.Store(true)
	return &crowd{Connections: c, l: l}
}

// join has the next one come, which says something first.
func (c *crowd) join(t *testing.T, says string, now time.Time) {
	t.Helper()
	peer := dial(t, c.l.Addr().String())
	_, err := io.WriteString(peer, says)
	must(t, err)
	accepted, err := c.l.Accept()
	must(t, err)
	c.peers = append(c.peers, peer)
	c.places <- struct{}{}
	if says != "" {
		buffer := make([]byte, 1)
		raw, err := accepted.(*net.TCPConn).SyscallConn()
		must(t, err)
		must(t, raw.Read(func(fd uintptr) bool { // until what was said is there
			n, _, _ := unix.Recvfrom(int(fd), buffer, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			return n > 0
		}))
	}
	c.admit(accepted.(*net.TCPConn), now)
}

// served is who is in service, by the order of coming.
func (c *crowd) served(t *testing.T) (who int, one *connection) {
	t.Helper()
	select {
	case one = <-c.ready:
	default:
		return -1, nil
	}
	for i, peer := range c.peers {
		if peer.LocalAddr().String() == one.RemoteAddr().String() {
			return i, one
		}
	}
	t.Fatal("a stranger is served")
	return 0, nil
}

const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// The last to come is let in first, while it can still be answered in time.
func TestTheLastToComeIsLetInFirst(t *testing.T) {
	c, now := newCrowd(t), time.Now()
	for i := range 5 {
		c.join(t, request, now.Add(time.Duration(2*i-5)*time.Hour)) // the last two are in time, whatever this takes
	}
	var order []int
	for {
		who, one := c.served(t)
		if one == nil {
			break
		}
		order = append(order, who)
		must(t, one.Close())
	}
	if diff := cmp.Diff([]int{0, 4, 3}, order); diff != "" {
		t.Error(diff)
	}
	if c.Open() != 2 || c.line.length.Load() != 2 {
		t.Errorf("%d are open and %d wait", c.Open(), c.line.length.Load())
	}
}

// Who waited for something else than the processors is let in however late it is.
func TestWhoWaitsIsLetInWhenThereIsTime(t *testing.T) {
	c, now := newCrowd(t), time.Now()
	for range 3 {
		c.join(t, request, now)
	}
	c.pace.limit.Store(c.pace.max)
	c.pace.looked = now.Add(2 * patience)
	c.look(now.Add(2*patience+lookEvery), 0)
	if n := c.serving.Load(); n != 3 {
		t.Errorf("%d are in service", n)
	}
}

// Who has waited for too long is answered 503, whole and with a time to come again, and its place is free.
func TestWhoWaitsForTooLongIsTurnedAway(t *testing.T) {
	c, now := newCrowd(t), time.Now()
	for range 4 {
		c.join(t, request, now)
	}
	c.look(now.Add(overdue/2), 0)
	if c.Refused() != 0 {
		t.Fatalf("%d were refused too early", c.Refused())
	}
	c.pace.limit.Store(1) // it has grown, because nothing is under way
	c.look(now.Add(overdue+lookEvery), 0)
	if c.Refused() != 3 || c.Open() != 1 {
		t.Errorf("%d were refused, and %d are open", c.Refused(), c.Open())
	}
	for _, peer := range c.peers[1:] {
		turnedAway(t, peer)
	}
}

func turnedAway(t *testing.T, peer net.Conn) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(peer), nil)
	must(t, err)
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	wait, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if answer.StatusCode != http.StatusServiceUnavailable || !answer.Close || err != nil || wait < 30 || string(text) != TooMuch {
		t.Errorf("got %d %v %s", answer.StatusCode, answer.Header, text)
	}
}

// Who has said nothing, or begins with TLS, could not make anything of an answer, and is only closed.
func TestWhoCannotBeAnsweredIsClosed(t *testing.T) {
	c, now := newCrowd(t), time.Now()
	for _, says := range []string{request, request, "", "\x16\x03\x01"} {
		c.join(t, says, now)
	}
	c.dismiss()
	if c.Open() != 0 {
		t.Errorf("%d are open", c.Open())
	}
	turnedAway(t, c.peers[0]) // was let in, and not taken
	turnedAway(t, c.peers[1])
	for _, peer := range c.peers[2:] {
		if text, err := io.ReadAll(peer); len(text) > 0 || err != nil {
			t.Errorf("got %q, %v", text, err)
		}
	}
}

// What was read too late is not worth an answer, and ends its connection.
func TestWhatIsLeftOfTheTime(t *testing.T) {
	if left := Left(t.Context()); left != answering || Leaving(t.Context()) {
		t.Errorf("without a connection of ours %v are left", left)
	}
	c := newCrowd(t)
	c.join(t, request, time.Now())
	_, one := c.served(t)
	ctx := c.remember(t.Context(), one)
	for waited, want := range map[time.Duration]time.Duration{0: worth, late: worth - late, late + 1: 0} {
		one.waited.Store(int64(waited))
		if got := Left(ctx); got != want || Leaving(ctx) != (want == 0) {
			t.Errorf("after %v %v are left, want %v; leaving is %v", waited, got, want, Leaving(ctx))
		}
	}
	c.pace.behind.Store(false)
	one.waited.Store(int64(time.Hour))
	if got := Left(ctx); got != answering || Leaving(ctx) {
		t.Errorf("%v are left while there is time for everybody; leaving is %v", got, Leaving(ctx))
	}
}

// Who has been in service for long leaves when others wait, and anybody when there are too many.
func TestWhoHasToLeave(t *testing.T) {
	c := newCrowd(t)
	c.join(t, request, time.Now())
	_, one := c.served(t)
	ctx := c.remember(t.Context(), one)
	one.entered = time.Now().Add(-2 * turn)
	if Leaving(ctx) {
		t.Error("it leaves, and nobody waits")
	}
	c.join(t, request, time.Now())
	if !Leaving(ctx) {
		t.Error("another waits, and it stays")
	}
	one.entered = time.Now().Add(time.Hour)
	if Leaving(ctx) {
		t.Error("it leaves before its turn is over")
	}
	c.pace.limit.Store(0)
	if !Leaving(ctx) {
		t.Error("there are too many, and it stays")
	}
	over := Lasting(ctx)
	again := Lasting(ctx)
	if Leaving(ctx) || c.serving.Load() != 0 {
		t.Error("it is counted while its request may take long")
	}
	again()
	over()
	if !Leaving(ctx) {
		t.Error("it is not counted again")
	}
}

// So many nobody has taken out of the kernel's queue.
func TestQueued(t *testing.T) {
	c := newCrowd(t)
	bounded := &listener{Listener: c.l}
	for n := range int64(3) {
		if got := bounded.queued(); got != n {
			t.Errorf("%d seem to be queued, and %d are", got, n)
		}
		dial(t, c.l.Addr().String())
	}
}

// How long a request has been there is known from its connection, in whatever queue that stood.
func TestUnread(t *testing.T) {
	c := newCrowd(t)
	peer := dial(t, c.l.Addr().String())
	_, err := io.WriteString(peer, request)
	must(t, err)
	const waits = 50 * time.Millisecond
	time.Sleep(waits)
	accepted, err := c.l.Accept()
	must(t, err)
	defer accepted.Close()
	if got := unread(accepted.(*net.TCPConn)); got < waits/2 {
		t.Errorf("what has been there for %v seems to have been for %v", waits, got)
	}
}
