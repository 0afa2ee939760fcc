// Package sqlite keeps the service's records in one SQLite file, embedded in the program.
//
// Start with [Open]; [Store.Apply] writes changes in one transaction that is on the disk when it returns,
// [Store.Load] yields everything that the service keeps in memory, and [Store.Grant] is the ledger of places under limits.
// [Store.Backup] copies the file while it is in use.
//
// It is built for ten million machines on two cores. Rows are short: texts that many rows share are kept once, as words.
// A batch of changes writes its machines sorted by their key, many with one statement, and only the last change of each, so that
// neighbours share the pages that are read and written. No statement costs more the more machines there are, but for the
// depth of a tree. A person who looks into the file with the sqlite3 shell finds the views machine and event in words again.
//
// The SQL is written by hand; migrations are embedded and run by Open, and a file of a newer schema is refused. One transaction
// writes at a time, on a connection that is replaced when it cannot be rolled back, so that a disk that was full or failed is used
// again as soon as it takes a write. SQLite's reference is https://www.sqlite.org/lang.html.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"

	"github.com/pressly/goose/v3"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open database.
type Store struct {
	path   string
	words  words
	reader *sql.DB
	writer *sql.DB // one connection, which session holds

	writing sync.Mutex // held by the transaction that writes
	session *session   // nil until the next transaction opens one
}

// durable makes a commit be on the disk when it returns: with FULL the write-ahead log is synced by each of them.
//
// The log is written back to the database every 16 MiB, by the commit that fills it: often enough that this commit is not late by
// more than a moment, and seldom enough that pages that change often are written once for many commits. A log that a large
// batch or a long read made longer is cut to 64 MiB when it is reused. The file is not mapped into memory: what the
// kernel keeps of it would count as the service's own memory.
var durable = []string{
	"journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(4096)", "journal_size_limit(67108864)",
	"busy_timeout(5000)", "foreign_keys(1)", "temp_store(MEMORY)", "mmap_size(0)",
}

// The caches, in KiB when negative. The writer's holds the inner pages of the tree of ten million machines, so that a changed row reads one page.
const (
	writerCache = "cache_size(-65536)"
	readerCache = "cache_size(-4096)"
)

const readers = 4 // two load machines side by side

// Open opens or makes the database file at path, and brings its schema up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	writer, err := connect(path, 1, "immediate", writerCache)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), writer.Close())
	}
	reader, err := connect(path, readers, "deferred", readerCache)
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	s := &Store{path: path, writer: writer, reader: reader}
	if err := s.words.read(ctx, reader); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func connect(path string, connections int, lock, cache string) (*sql.DB, error) {
	query := url.Values{"_pragma": append([]string{cache}, durable...), "_txlock": {lock}}
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

// Follow waits for the end of ctx: nobody else writes to this database.
func (s *Store) Follow(ctx context.Context, _ func([]store.Change) error) error {
	<-ctx.Done()
	return nil
}

// Close closes the database; what was applied is on the disk already.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.reader.Close()
	if s.session != nil {
		err = errors.Join(err, s.session.close())
		s.session = nil
	}
	return errors.Join(err, s.writer.Close())
}

// unavailable gives an error of the database its meaning: nothing a caller did, and worth trying again.
func unavailable(err error) error { return fault.Wrap(fault.Unavailable, err) }
