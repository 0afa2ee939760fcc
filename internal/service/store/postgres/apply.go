package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"conifer.dev/conifer/internal/service/store"
)

// Apply makes all changes or none, in their order. They are durable when it returns. They go to the database in one batch, which is one
// transaction and one round trip.
func (s *Store) Apply(ctx context.Context, changes []store.Change) error {
	if len(changes) == 0 {
		return nil
	}
	body, err := encode(changes)
	if err != nil {
		return err
	}
	return s.retry(ctx, applyWait, func(ctx context.Context) error {
		return s.pool.SendBatch(ctx, s.batch(changes, body)).Close()
	})
}

// batch is the statements of changes and of their entry in the feed. The lock comes first: whoever has it has the next number, and
// no two batches wait for each other's rows.
func (s *Store) batch(changes []store.Change, body []byte) *pgx.Batch {
	w := newWriting()
	if body != nil {
		w.queue(`SELECT pg_advisory_xact_lock($1)`, int64(feedLock))
	}
	for _, c := range changes {
		w.add(c)
	}
	w.flush()
	if body != nil {
		w.queue(addToFeed, s.replica, body)
		w.queue(`SELECT pg_notify($1, $2)`, feedChannel, s.replica)
	}
	return w.batch
}

// addToFeed takes the next number, which nobody else can take while the lock is held.
const addToFeed = `INSERT INTO feed (number, replica, at, body) SELECT coalesce(max(number), 0) + 1, $1, ` + now + `, $2 FROM feed`

// now is the database's clock, as SQL.
const now = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`

// retry runs a transaction again when it was the one to give way to another: two that waited for each other's rows, or that
// gave one machine a place at once.
func (s *Store) retry(ctx context.Context, wait time.Duration, transaction func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		err := transaction(ctx)
		if ctx.Err() != nil || !gaveWay(err) {
			return s.errors.unavailable(err)
		}
	}
}

// gaveWay knows errMoved, SQLSTATE deadlock_detected and serialization_failure, and unique_violation of the index of held places.
func gaveWay(err error) bool {
	var refused *pgconn.PgError
	return errors.Is(err, errMoved) || errors.As(err, &refused) &&
		(refused.Code == "40P01" || refused.Code == "40001" || refused.Code == "23505" && refused.ConstraintName == "place_held")
}
