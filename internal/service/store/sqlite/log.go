package sqlite

import (
	"context"
	"database/sql"

	"conifer.dev/conifer/internal/service/store"
)

// Events lists what happened to a machine, the newest first, at most limit of them.
func (s *Store) Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error) {
	events := []store.Event{}
	err := each(ctx, s.reader, func(rows *sql.Rows) error {
		e := store.Event{App: app, Machine: machine}
		var at int64
		if err := rows.Scan(&at, &e.Type, &e.Result, &e.Code, &e.Version, &e.Previous, &e.Target, &e.State); err != nil {
			return err
		}
		e.At = fromMillis(at)
		events = append(events, e)
		return nil
	}, `SELECT at, type, result, error_code, version, previous, target, state FROM event
		WHERE app = ? AND machine = ? ORDER BY number DESC LIMIT ?`, app, machine, limit)
	return events, err
}

// Activity lists what was done, the newest first, at most limit entries.
func (s *Store) Activity(ctx context.Context, limit int) ([]store.Activity, error) {
	entries := []store.Activity{}
	err := each(ctx, s.reader, func(rows *sql.Rows) error {
		var a store.Activity
		var at int64
		if err := rows.Scan(&at, &a.Who, &a.App, &a.Text); err != nil {
			return err
		}
		a.At = fromMillis(at)
		entries = append(entries, a)
		return nil
	}, `SELECT at, who, app, text FROM activity ORDER BY number DESC LIMIT ?`, limit)
	return entries, err
}
