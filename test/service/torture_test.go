//go:build torture

package service

import (
	"testing"

	"conifer.dev/conifer/bench/service/server"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// torture says that the numbers are those that the service promises.
const torture = true

// A database that hangs is worse than one that is gone: nobody says so.
func TestDatabaseHangs(t *testing.T) {
	database := pgtest.Start(t)
	s := flatcar(t, server.Config{Database: database.URL("postgres")})
	operate(t, s, addLimited())
	thaw := func() {}
	withoutDatabase(t, s, func() { thaw = database.Freeze(); t.Cleanup(thaw) }, func() { thaw() })
}
