// Package service tortures conifer-server from outside, as a program among machines that speak Omaha: it is killed at random
// moments, loaded beyond what it can carry, spoken to by clients that never finish, and its database is taken away.
//
// The tests are quick by default; with the tag torture (`make torture`, and in `./check all`) they take the numbers that the service
// promises: fifty kills, ten thousand idle connections. No test asks how fast the machine is: what is timed is compared with the
// same on an idle service, or bounded so widely that only a service that hangs reaches the bound. The second within which an overloaded
// service answers is one that it keeps however slow the machine is.
package service

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// few is the first number, and the second under the tag torture.
func few(quick, full int) int {
	if torture {
		return full
	}
	return quick
}

var programs server.Programs

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "conifer-service-test-")
	if err == nil {
		defer os.RemoveAll(folder)
		programs, err = server.Build(context.Background(), folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a server, and ends it with the test.
func start(t *testing.T, config server.Config) *server.Server {
	t.Helper()
	config.Programs = programs
	if config.Data == "" {
		config.Data = t.TempDir()
	}
	s, err := config.Start(t.Context())
	must(t, err)
	t.Cleanup(s.Kill)
	return s
}

// again starts a server that was killed.
func again(t *testing.T, s *server.Server) *server.Server {
	t.Helper()
	next, err := s.Again(t.Context())
	must(t, err)
	t.Cleanup(next.Kill)
	return next
}

func operate(t *testing.T, s *server.Server, lines ...string) {
	t.Helper()
	must(t, s.Operate(t.Context(), lines...))
}

// flatcar starts a server that has the application, with group stable at the new version.
func flatcar(t *testing.T, config server.Config) *server.Server {
	t.Helper()
	s := start(t, config)
	must(t, s.AddFlatcar(t.Context()))
	return s
}

// eventually waits until something is so, for as long as nobody could take for slow.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute still not so: %s", what)
		}
	}
}

// caller is a machine's connection, which is dialled again when it was cut.
type caller struct {
	target load.Target
	conn   *load.Conn
}

func (c *caller) ask(m *load.Message, machine int) (answer load.Answer, err error) {
	if c.conn == nil {
		if c.conn, err = load.Dial(c.target); err != nil {
			c.conn = nil
			time.Sleep(5 * time.Millisecond)
			return answer, err
		}
	}
	if answer, err = c.conn.Do(m.From(machine)); err != nil {
		c.close()
	}
	return answer, err
}

func (c *caller) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// kind asks once, and says what the answer was.
func kind(t *testing.T, s *server.Server, m *load.Message, machine int) load.Kind {
	t.Helper()
	c := &caller{target: s.Target()}
	defer c.close()
	answer, err := c.ask(m, machine)
	must(t, err)
	return answer.Kind()
}

// offered asks for each of the first machines of a fleet and returns those that are offered an update.
func offered(t *testing.T, s *server.Server, f load.Fleet, machines int) map[int]bool {
	t.Helper()
	c := &caller{target: s.Target()}
	defer c.close()
	poll, got := f.Poll(c.target, ""), map[int]bool{}
	for number := range machines {
		answer, err := c.ask(poll, number)
		must(t, err)
		switch answer.Kind() {
		case load.Offer:
			got[number] = true
		case load.NoUpdate:
		default:
			t.Fatalf("machine %d was answered %d: %s", number, answer.Status, answer.Body)
		}
	}
	return got
}
