package service

import (
	"path/filepath"
	"testing"

	"conifer.dev/conifer/bench/service/server"
	"conifer.dev/conifer/internal/service/store/postgres"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
	"conifer.dev/conifer/internal/service/store/sqlite"
)

// database prepares an empty one for a server, and returns what opens it after the server's end.
type database func(t *testing.T, c *server.Config) (open func() history)

func databases() map[string]database {
	return map[string]database{"sqlite": onSQLite, "postgres": onPostgres}
}

func onSQLite(t *testing.T, c *server.Config) func() history {
	return func() history {
		h, err := sqlite.Open(t.Context(), filepath.Join(c.Data, "conifer.db"))
		must(t, err)
		return h
	}
}

func onPostgres(t *testing.T, c *server.Config) func() history {
	c.Database = pgtest.Database(t)
	return func() history {
		h, err := postgres.Open(t.Context(), c.Database)
		must(t, err)
		return h
	}
}
