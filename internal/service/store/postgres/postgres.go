// Package postgres keeps the service's records in a PostgreSQL database, which any number of replicas of the service share.
//
// Start with [Open]; [Store.Apply] writes changes in one transaction, [Store.Load] yields everything that the service keeps
// in memory as of one moment, [Store.Follow] what other replicas changed since, and [Store.Grant] gives places under limits
// that all replicas share. Every transaction that changes a record appends it to the table feed under one advisory lock, so that
// the feed's numbers are in the order of the commits and have no gaps. The SQL is written by hand; migrations are embedded
// and run by Open, one replica at a time, and a database of a newer schema is refused. A database that does not answer makes every
// call an error of kind Unavailable; connections are made again by themselves. The password in the URL is in no error. The
// contract is package storetest's, PostgreSQL's reference https://www.postgresql.org/docs/15/.
package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"conifer.dev/conifer/internal/fault"
)

// How long a call waits for a database that does not answer. A load takes as long as it takes.
const (
	connectWait = 3 * time.Second
	grantWait   = 5 * time.Second // a poll waits for it
	readWait    = 10 * time.Second
	applyWait   = 10 * time.Second
)

// session is set on every connection, unless the URL says otherwise. A replica that was cut off in the middle of a transaction
// must not keep the others waiting for its locks. A statement's plan is kept from when the tables were small, and must not
// be to read them whole when they have grown: all statements but those of Load and Prune look up in an index.
var session = map[string]string{
	"application_name":                    "conifer-server",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "10s",
	"tcp_keepalives_idle":                 "10",
	"tcp_keepalives_interval":             "5",
	"tcp_keepalives_count":                "3",
	"enable_seqscan":                      "off",
	"jit":                                 "off",
}

// Store is an open database. Its methods may be called by any number of goroutines, Follow by one at a time.
type Store struct {
	pool     *pgxpool.Pool
	errors   secrecy
	replica  string       // names this store in the feed
	position atomic.Int64 // number of the last feed entry that the caller's memory has
}

// Open connects to the database at a URL (postgres://user@host/database) and brings its schema up to date.
func Open(ctx context.Context, url string) (*Store, error) {
	config, err := configure(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, secretOf(config).unavailable(err)
	}
	s := &Store{pool: pool, errors: secretOf(config), replica: rand.Text()}
	if err := s.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database %s on %s: %w", config.ConnConfig.Database, config.ConnConfig.Host, err)
	}
	return s, nil
}

func configure(address string) (*pgxpool.Config, error) {
	invalid := fault.New(fault.Invalid, "the database's address is not a URL like postgres://user@host/database").
		WithHint("Characters of a password like / @ %% are written as %%2F %%40 %%25.")
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, invalid // not err, which quotes the URL with its password
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, invalid
	}
	config.ConnConfig.ConnectTimeout = connectWait
	if !u.Query().Has("pool_max_conns") {
		config.MaxConns = 8
	}
	for name, value := range session {
		if _, said := config.ConnConfig.RuntimeParams[name]; !said {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = syncCommits
	return config, nil
}

// syncCommits undoes a server's setting that a commit need not be on its disk: what is acknowledged must be. Stronger
// settings than on are left.
func syncCommits(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// Close closes all connections; what was applied is on the disk already.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}
