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
)

// answerTime is how long a machine waits for an answer before it gives the connection up.
const answerTime = time.Minute

// Conn is one kept-alive connection to a service. It is used by one goroutine.
type Conn struct {
	target Target
	net    net.Conn
	buffer []byte
}

// Dial connects.
func Dial(t Target) (*Conn, error) {
	c, err := net.DialTimeout("tcp", t.Address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &Conn{t, c, make([]byte, 16<<10)}, nil
}

// Close the connection.
func (c *Conn) Close() { c.net.Close() }

// Do sends a request and reads its answer, which is valid until the next call. A connection that the service closes after it is
// dialled again.
func (c *Conn) Do(request []byte) (Answer, error) {
	if err := c.net.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return Answer{}, err
	}
	if _, err := c.net.Write(request); err != nil {
		return Answer{}, err
	}
	answer, closing, err := c.read()
	if err != nil || !closing {
		return answer, err
	}
	c.net.Close()
	again, err := Dial(c.target)
	if err == nil {
		c.net = again.net
	}
	return answer, err
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
