package sqlite

import (
	"context"
	"database/sql"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

const (
	eventInsert  = `INSERT INTO event_row (app, machine, at, type, result, error_code, version, previous, target, state) VALUES`
	eventColumns = 10
)

func (t *transaction) eventRow(r *rows, e *store.Event) error {
	app, err := t.appNumber(e.App)
	if err != nil {
		return err
	}
	var w [4]any
	for i, text := range [...]string{e.Version, e.Previous, e.Target, string(e.State)} {
		if w[i], err = t.word(text); err != nil {
			return err
		}
	}
	return t.add(r, app, e.Machine, millis(e.At), int64(e.Type), int64(e.Result), int64(e.Code), w[0], w[1], w[2], w[3])
}

const eventSelect = `SELECT e.machine, e.at, e.type, e.result, e.error_code, e.version, e.previous, e.target, e.state
	FROM event_row e JOIN word a ON a.number = e.app WHERE a.text = ?`

// Events lists what happened to a machine, or with machine "" to all of the application, the newest first, at most limit of them.
func (s *Store) Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error) {
	events := []store.Event{}
	use := func(rows *sql.Rows) error {
		e := store.Event{App: app}
		var at int64
		var version, previous, target, state any
		if err := rows.Scan(&e.Machine, &at, &e.Type, &e.Result, &e.Code, &version, &previous, &target, &state); err != nil {
			return err
		}
		e.At, e.Version, e.Previous = fromMillis(at), s.words.text(version), s.words.text(previous)
		e.Target, e.State = s.words.text(target), rollout.State(s.words.text(state))
		events = append(events, e)
		return nil
	}
	var err error
	if machine == "" {
		err = each(ctx, s.reader, use, eventSelect+` ORDER BY e.number DESC LIMIT ?`, app, limit)
	} else {
		err = each(ctx, s.reader, use, eventSelect+` AND e.machine = ? ORDER BY e.number DESC LIMIT ?`, app, machine, limit)
	}
	return events, err
}
