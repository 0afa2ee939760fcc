package postgres

import (
	"context"
	"embed"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"conifer.dev/conifer/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// The advisory locks of the service, as numbers that nothing else in its database uses.
const (
	schemaLock = 0x636f6e69_66657201
	feedLock   = 0x636f6e69_66657202
)

// migrate brings the schema up to date. Replicas that start at once do so one after the other. The lock has a connection of its
// own, because a pool may be of one.
func (s *Store) migrate(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return s.errors.unavailable(err)
	}
	defer conn.Close(context.WithoutCancel(ctx)) // which gives the lock back, whatever became of the upgrade
	// Another replica's upgrade may take its time.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0"); err != nil {
		return s.errors.unavailable(err)
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(schemaLock)); err != nil {
		return s.errors.unavailable(err)
	}
	return s.upgrade(ctx)
}

func (s *Store) upgrade(ctx context.Context) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close() // which leaves the pool open
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder)
	if err != nil {
		return err
	}
	known := provider.ListSources()
	newest := known[len(known)-1].Version
	has, err := provider.GetDBVersion(ctx)
	if err != nil {
		return s.errors.unavailable(err)
	}
	if has > newest {
		return fault.New(fault.Unsupported, "the schema has version %d, and this program knows %d", has, newest).
			WithHint("Start the newer program that wrote this database, or restore a backup.")
	}
	_, err = provider.Up(ctx)
	return s.errors.unavailable(err)
}
