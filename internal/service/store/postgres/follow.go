package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// feedChannel is where a replica that has added to the feed says so.
const feedChannel = "conifer_feed"

// How often the feed is looked at when nothing was said, and how many entries are read at once.
const (
	lookEvery  = time.Second
	entriesMax = 16
)

// entry is a row of the feed; body is nil when it is this replica's own.
type entry struct {
	number int64
	body   []byte
}

// Follow yields what other replicas applied since the last Load, in the order of their commits, each batch once, until ctx
// ends or yield returns an error. It has a connection of its own, and goes on where it was when that is lost. When entries that it
// needs are not there any more, or cannot be read, it returns an error of kind Conflict: then Load has to come first again.
func (s *Store) Follow(ctx context.Context, yield func([]store.Change) error) error {
	for {
		lost, err := s.followOnce(ctx, yield)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if lost {
			pause(ctx)
		}
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(lookEvery):
	}
}

// followOnce follows for the life of one connection. It listens before it looks for the first time, so that nothing is added
// unseen between the two.
func (s *Store) followOnce(ctx context.Context, yield func([]store.Change) error) (lost bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return s.isLost(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+feedChannel); err != nil {
		return s.isLost(err)
	}
	for {
		entries, err := s.look(ctx, conn)
		if err != nil {
			return s.isLost(err)
		}
		if err := s.hand(entries, yield); err != nil {
			return false, err
		}
		if len(entries) == 0 {
			if err := s.wait(ctx, conn); err != nil {
				return s.isLost(err)
			}
		}
	}
}

// isLost tells a database that is away, or going or coming, from one that refuses: SQLSTATE classes 08 (connection), 53
// (resources) and 57 (intervention) pass.
func (s *Store) isLost(err error) (bool, error) {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code[:2] != "08" && refused.Code[:2] != "53" && refused.Code[:2] != "57" {
		return false, s.errors.unavailable(err)
	}
	if fault.Is(err, fault.Conflict) {
		return false, err
	}
	return true, nil
}

const readFeed = `SELECT number, CASE WHEN replica <> $2 THEN body END FROM feed WHERE number >= $1 ORDER BY number LIMIT $3`

// look reads the next entries. It reads the last known one again, so that it notices when the feed is another.
func (s *Store) look(ctx context.Context, conn *pgx.Conn) ([]entry, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	position := s.position.Load()
	rows, err := conn.Query(ctx, readFeed, position, s.replica, entriesMax+1)
	if err != nil {
		return nil, err
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (entry, error) {
		var e entry
		err := row.Scan(&e.number, &e.body)
		return e, err
	})
	if err != nil {
		return nil, err
	}
	return from(entries, position)
}

// from leaves out what is known, and refuses a gap: the oldest entries are pruned, but never the newest.
func from(entries []entry, position int64) ([]entry, error) {
	switch {
	case len(entries) == 0 && position == 0:
		return nil, nil
	case len(entries) == 0 || entries[0].number > position+1:
		return nil, fault.New(fault.Conflict, "the feed does not go on after entry %d: this replica was cut off for too long, or the database is another", position).
			WithHint("The memory must be loaded anew.")
	case entries[0].number == position:
		return entries[1:], nil
	}
	return entries, nil
}

func (s *Store) hand(entries []entry, yield func([]store.Change) error) error {
	for _, e := range entries {
		if e.body != nil {
			changes, err := decode(e.body)
			if err != nil { // a replica of another version wrote it: what it changed is in the records all the same
				return fault.New(fault.Conflict, "feed entry %d: %w", e.number, err).WithHint("The memory must be loaded anew.")
			}
			if err := yield(changes); err != nil {
				return err
			}
		}
		s.position.Store(e.number)
	}
	return nil
}

// wait returns when another replica has said that there is more, and otherwise soon anyway.
func (s *Store) wait(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	for {
		said, err := conn.WaitForNotification(ctx)
		if err != nil && ctx.Err() != nil {
			return nil // a dead connection shows when it is asked next
		}
		if err != nil || said.Payload != s.replica {
			return err
		}
	}
}
