package load

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How long a machine waits for a connection, and for an answer before it gives the connection up.
const (
	dialTime   = 10 * time.Second
	answerTime = time.Minute
)

// slow is an answer of which it matters when it came, and when it was read: where thousands of machines are one program, many an answer lies
// there until it is its turn. The kernel tells in milliseconds.
const slow = 100 * time.Millisecond

// Conn is one kept-alive connection to a service. It is used by one goroutine.
type Conn struct {
	target Target
	net    net.Conn
	closed bool
	buffer []byte
	unread time.Duration // how long the last answer lay there before it was read, when it was long in coming
}

// Dial connects.
func Dial(t Target) (*Conn, error) {
	c := &Conn{target: t, buffer: make([]byte, 16<<10)}
	if err := c.dial(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Conn) dial() (err error) {
	c.net, err = net.DialTimeout("tcp", c.target.Address, dialTime)
	c.closed = err != nil
	return err
}

// Close the connection.
func (c *Conn) Close() {
	if !c.closed {
		c.closed = true
		c.net.Close()
	}
}

// Do sends a request and reads its answer, which is valid until the next call. A connection that the service has closed after an answer is
// dialled again first: the time that takes belongs to the request that needs it.
func (c *Conn) Do(request []byte) (Answer, error) {
	if c.closed {
		if err := c.dial(); err != nil {
			return Answer{}, err
		}
	}
	began := time.Now()
	if err := c.net.SetDeadline(began.Add(answerTime)); err != nil {
		return Answer{}, err
	}
	if _, err := c.net.Write(request); err != nil {
		return Answer{}, err
	}
	answer, closing, err := c.read()
	if c.unread = 0; err == nil && time.Since(began) > slow {
		c.unread = unread(c.net)
	}
	if closing {
		c.Close()
	}
	return answer, err
}

// unread is how long what came last on a connection has been there: 0 when the kernel does not tell.
func unread(c net.Conn) (lay time.Duration) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			lay = time.Duration(info.Last_data_recv) * time.Millisecond
		}
	})
	return lay
}

// read reads one answer with a known length, as servers write small ones, without making garbage.
func (c *Conn) read() (a Answer, closing bool, err error) {
	length, head, n := 0, 0, 0
	for head == 0 || n < head+length {
		if n == len(c.buffer) {
			c.buffer = append(c.buffer, make([]byte, n)...)
		}
		more, err := c.net.Read(c.buffer[n:])
		n += more
		if err != nil {
			return a, true, err
		}
		if head == 0 {
			if head = bytes.Index(c.buffer[:n], []byte("\r\n\r\n")) + 4; head < 4 {
				head = 0
				continue
			}
			if length, closing, err = parseHead(c.buffer[:head]); err != nil {
				return a, true, err
			}
			if length < 0 {
				return c.readSlowly(n)
			}
		}
	}
	a.Status, err = strconv.Atoi(string(c.buffer[9:12]))
	a.Body = c.buffer[head : head+length]
	return a, closing, err
}

// readSlowly reads an answer whose length is not known beforehand; n bytes of it are in the buffer.
func (c *Conn) readSlowly(n int) (a Answer, closing bool, err error) {
	begun := append([]byte(nil), c.buffer[:n]...)
	response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(begun), c.net)), nil)
	if err != nil {
		return a, true, err
	}
	defer response.Body.Close()
	a.Status = response.StatusCode
	a.Body, err = io.ReadAll(response.Body)
	return a, response.Close, err
}

// parseHead finds the length of the body, -1 when the head does not say it, and whether the connection ends after it.
func parseHead(head []byte) (length int, closing bool, err error) {
	if len(head) < 16 || !bytes.HasPrefix(head, []byte("HTTP/1.")) {
		return 0, true, fmt.Errorf("the answer begins with %q, not as HTTP does", head[:min(len(head), 16)])
	}
	length, closing = -1, head[7] == '0'
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, true, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			closing = bytes.EqualFold(value, []byte("close"))
		}
	}
	return length, closing, nil
}
