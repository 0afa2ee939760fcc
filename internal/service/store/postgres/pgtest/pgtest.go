// Package pgtest starts PostgreSQL from Debian's package for tests.
//
// [Database] gives a test an empty database on a server that all tests of the program share; [Start] starts a server that
// the test owns, so that it can [Server.Kill] and [Server.Restart] it. A server listens on a socket in a folder of its own
// and on no network, runs as an unprivileged user because PostgreSQL refuses root, and syncs to the disk as it does in
// production. It ends with the test program, however that ends. Where the package is missing the test fails: nothing is
// skipped.
package pgtest

import (
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// shared is the server that the tests of one program share; it is started by the first that asks.
var shared struct {
	sync.Mutex
	server    *Server
	databases int
}

// Database makes an empty database and returns its URL. It goes with the server: to drop it takes longer than most tests.
func Database(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		server, err := start()
		if err != nil {
			t.Fatal(err)
		}
		shared.server = server
	}
	shared.databases++
	name := fmt.Sprintf("test%d", shared.databases)
	create(t, shared.server, name)
	return shared.server.URL(name)
}

// Start starts a server of the test's own. It is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	return s
}

// URL is the address of a database of the server. There is always one called postgres.
func (s *Server) URL(database string) string { return s.URLAs("postgres", database) }

// URLAs is the address for another role, with a password where there is one: "name" or "name:password".
func (s *Server) URLAs(role, database string) string {
	return fmt.Sprintf("postgres://%s@/%s?host=%s", role, database, url.QueryEscape(s.folder))
}

func create(t testing.TB, s *Server, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+database); err != nil {
		t.Fatal(err)
	}
}
