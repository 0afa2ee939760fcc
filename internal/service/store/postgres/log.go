package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// Events lists what happened to a machine, or with machine "" to all of the application, the newest first, at most limit of them.
func (s *Store) Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error) {
	read := func(row pgx.CollectableRow) (store.Event, error) {
		e := store.Event{App: app}
		var at int64
		err := row.Scan(&e.Machine, &at, &e.Type, &e.Result, &e.Code, &e.Version, &e.Previous, &e.Target, &e.State)
		e.At = fromMillis(at)
		return e, err
	}
	const columns = `SELECT machine, at, type, result, error_code, version, previous, target, state FROM event `
	if machine == "" {
		return collect(ctx, s, read, columns+`WHERE app = $1 ORDER BY number DESC LIMIT $2`, text(app), limit)
	}
	return collect(ctx, s, read, columns+`WHERE app = $1 AND machine = $2 ORDER BY number DESC LIMIT $3`, text(app), text(machine), limit)
}

// Activity lists what was done, the newest first, at most limit entries.
func (s *Store) Activity(ctx context.Context, limit int) ([]store.Activity, error) {
	return collect(ctx, s, func(row pgx.CollectableRow) (store.Activity, error) {
		var a store.Activity
		var at int64
		err := row.Scan(&at, &a.Who, &a.App, &a.Text)
		a.At = fromMillis(at)
		return a, err
	}, `SELECT at, who, app, text FROM activity ORDER BY number DESC LIMIT $1`, limit)
}

// Samples lists a group's time series from since on, the oldest first.
func (s *Store) Samples(ctx context.Context, app, group string, step time.Duration, since time.Time) ([]store.Sample, error) {
	return collect(ctx, s, func(row pgx.CollectableRow) (store.Sample, error) {
		sample := store.Sample{App: app, Group: group, Step: step}
		var at int64
		var states, versions string
		if err := row.Scan(&at, &states, &versions); err != nil {
			return sample, err
		}
		sample.At = fromMillis(at)
		if err := unlist("states of sample", states, &sample.States); err != nil {
			return sample, err
		}
		err := unlist("versions of sample", versions, &sample.Versions)
		return sample, err
	}, `SELECT at, states, versions FROM sample WHERE app = $1 AND fleet_group = $2 AND step = $3 AND at >= $4 ORDER BY at`,
		text(app), text(group), step.Milliseconds(), millis(since))
}

// collect reads all rows of a query; none are an empty list.
func collect[T any](ctx context.Context, s *Store, read pgx.RowToFunc[T], query string, args ...any) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, s.errors.unavailable(err)
	}
	all, err := pgx.CollectRows(rows, read)
	return all, s.errors.unavailable(err)
}
