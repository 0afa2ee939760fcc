package service

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// connect opens a connection that nothing has been said on.
func connect(t *testing.T, s *server.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listen)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// stillServes asks as honest machines do, and wants every answer.
func stillServes(t *testing.T, s *server.Server, among string) {
	t.Helper()
	began := time.Now()
	offered(t, s, load.Flatcar("stable", server.OldVersion), 200)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("200 polls took %v among %s", took, among)
	}
}

// Clients that say nothing, or stop in the middle of a word, cost the service no more than a little memory.
func TestIdleAndHalfOpenConnectionsTieNothingUp(t *testing.T) {
	s := flatcar(t, server.Config{})
	stillServes(t, s, "nobody else")
	before := s.Process().Usage().ResidentMiB
	idle := few(500, 10_000)
	for range idle {
		connect(t, s)
	}
	stillServes(t, s, "idle connections")
	poll := load.Flatcar("stable", server.OldVersion).Poll(s.Target(), "").From(1)
	for i := range 200 {
		c := connect(t, s)
		_, err := c.Write(poll[:len(poll)*(i+1)/201])
		must(t, err)
		if i%2 == 0 {
			must(t, c.(*net.TCPConn).CloseWrite())
		}
	}
	stillServes(t, s, "half requests")
	if grown := s.Process().Usage().ResidentMiB - before; grown > 100+float64(idle)/16 {
		t.Errorf("%d idle connections cost %.0f MiB", idle, grown)
	}
}

// Who sends a byte a second is cut off in the end, and keeps nobody waiting until then.
func TestSlowRequestsAreCutOff(t *testing.T) {
	s := flatcar(t, server.Config{})
	poll := load.Flatcar("stable", server.OldVersion).Poll(s.Target(), "").From(1)
	body := bytes.Index(poll, []byte("\r\n\r\n")) + 4
	var all sync.WaitGroup
	for i := range few(20, 200) {
		c := connect(t, s)
		begun := 1
		if i%2 == 0 {
			begun = body + 1 // slow in the body, not in the head
		}
		_, err := c.Write(poll[:begun])
		must(t, err)
		if torture {
			all.Go(func() { drip(t, c, poll[begun:]) })
		}
	}
	stillServes(t, s, "slow requests")
	all.Wait()
	stillServes(t, s, "slow requests that were cut off")
}

// drip sends a byte each second until the service has enough, which must be long before the request is whole.
func drip(t *testing.T, c net.Conn, rest []byte) {
	began := time.Now()
	for i := range rest {
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
			return
		}
		if _, err := c.Write(rest[i : i+1]); err != nil {
			return
		}
		if time.Since(began) > 3*time.Minute {
			t.Error("a request that takes for ever is not cut off within 3 minutes")
			return
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// status sends a request as it is and returns the status of the answer, 0 when the connection was cut before there was one.
func status(t *testing.T, s *server.Server, request []byte) int {
	t.Helper()
	c := connect(t, s)
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	go c.Write(request) // the service may have enough before its end
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if errors.Is(err, syscall.ECONNRESET) {
		return 0
	}
	must(t, err)
	answer.Body.Close()
	return answer.StatusCode
}

// sized is a poll with a body of exactly that many bytes, which is well-formed.
func sized(s *server.Server, size int) []byte {
	poll := load.Flatcar("stable", server.OldVersion).Poll(s.Target(), "").From(1)
	_, body, _ := bytes.Cut(poll, []byte("\r\n\r\n"))
	body = append(append([]byte{}, body...), strings.Repeat("\n", size-len(body))...)
	return fmt.Appendf(nil, "POST /v1/update/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", size, body)
}

func TestHugeBodiesAreRefused(t *testing.T) {
	s := flatcar(t, server.Config{})
	if got := status(t, s, sized(s, 64<<10)); got != http.StatusOK {
		t.Errorf("64 KiB: status %d", got)
	}
	if got := status(t, s, sized(s, 64<<10+1)); got != http.StatusBadRequest && got != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte more: status %d", got)
	}
	for _, size := range []int{1 << 20, 16 << 20} {
		if got := status(t, s, sized(s, size)); got != 0 && (got < 400 || got >= 500) {
			t.Errorf("%d bytes: status %d", size, got)
		}
	}
	stillServes(t, s, "huge requests")
}

// What has no end is cut off early: the service never takes much more than it may answer.
func TestEndlessRequestsAreCutOff(t *testing.T) {
	s := flatcar(t, server.Config{})
	before := s.Process().Usage().ResidentMiB
	head := "POST /v1/update/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
	filler := strings.Repeat("x", 4096)
	for name, endless := range map[string]struct{ begin, more string }{
		"one header":       {head + "X: ", filler},
		"headers":          {head, "X: " + filler + "\r\n"},
		"a path":           {"POST /v1/", filler},
		"a body in chunks": {head + "Transfer-Encoding: chunked\r\n\r\n", "1000\r\n" + filler + "\r\n"},
		"a long body":      {head + "Content-Length: 99999999999\r\n\r\n", filler},
	} {
		var all sync.WaitGroup
		for range few(2, 50) {
			all.Go(func() {
				if sent := pour(t, s, endless.begin, endless.more); sent >= enough {
					t.Errorf("%s without an end: the service took %d bytes", name, sent)
				}
			})
		}
		all.Wait()
	}
	stillServes(t, s, "endless requests")
	if grown := s.Process().Usage().ResidentMiB - before; grown > 200 {
		t.Errorf("endless requests cost %.0f MiB", grown)
	}
}

// enough is more than the service takes and what lies in buffers on the way.
const enough = 64 << 20

// pour writes without an end until the connection is cut, and returns how much was taken.
func pour(t *testing.T, s *server.Server, begin, more string) (sent int) {
	c, err := net.Dial("tcp", s.Listen)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	_, err = c.Write([]byte(begin))
	for err == nil && sent < enough {
		var n int
		n, err = c.Write([]byte(more))
		sent += n
	}
	if isTimeout(err) {
		t.Errorf("the service neither took nor refused an endless request within 2 minutes")
	}
	return sent
}
