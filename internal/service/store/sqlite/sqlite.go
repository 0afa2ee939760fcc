// Package sqlite keeps the service's records in one SQLite file, embedded in the program.
//
// Start with [Open]; [Store.Apply] writes changes in one transaction that is on the disk when it returns, and
// [Store.Load] yields everything that the service keeps in memory. The SQL is written by hand, one statement for each
// change; migrations are embedded and run by Open, and a file of a newer schema is refused. There is one writer at a
// time: the service has one goroutine that writes. SQLite's reference is https://www.sqlite.org/lang.html.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver called sqlite

	"conifer.dev/conifer/internal/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database.
type Store struct {
	writer *sql.DB // one connection, so that transactions queue here and not in SQLite's lock
	reader *sql.DB
}

// pragmas are set on every connection. A commit is on the disk when it returns: with synchronous=FULL the
// write-ahead log is synced by each of them.
var pragmas = []string{"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)"}

// Open opens or makes the database file at path, and brings its schema up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	writer, err := connect(path, 1, "immediate")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), writer.Close())
	}
	reader, err := connect(path, 4, "deferred")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	return &Store{writer: writer, reader: reader}, nil
}

func connect(path string, connections int, lock string) (*sql.DB, error) {
	query := url.Values{"_pragma": pragmas, "_txlock": {lock}}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder)
	if err != nil {
		return err
	}
	known := provider.ListSources()
	newest := known[len(known)-1].Version
	has, err := provider.GetDBVersion(ctx)
	if err != nil {
		return unavailable(err)
	}
	if has > newest {
		return fault.New(fault.Unsupported, "the schema has version %d, and this program knows %d", has, newest).
			WithHint("Start the newer program that wrote this database, or restore a backup.")
	}
	if _, err := provider.Up(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// Close closes the database; what was applied is on the disk already.
func (s *Store) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

// unavailable gives an error of the database its meaning: nothing a caller did, and worth trying again.
func unavailable(err error) error { return fault.Wrap(fault.Unavailable, err) }
