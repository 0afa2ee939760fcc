package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

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

const sampleSelect = `SELECT at, states, versions FROM sample WHERE app = ? AND fleet_group = ? AND step = ? AND at >= ? ORDER BY at`

// Samples lists a group's time series of one step from since on, the oldest first.
func (s *Store) Samples(ctx context.Context, app, group string, step time.Duration, since time.Time) ([]store.Sample, error) {
	samples := []store.Sample{}
	err := each(ctx, s.reader, func(rows *sql.Rows) error {
		sample := store.Sample{App: app, Group: group, Step: step}
		var at int64
		var states, versions []byte
		if err := rows.Scan(&at, &states, &versions); err != nil {
			return err
		}
		sample.At = fromMillis(at)
		samples = append(samples, sample)
		last := &samples[len(samples)-1]
		return errors.Join(json.Unmarshal(states, &last.States), json.Unmarshal(versions, &last.Versions))
	}, sampleSelect, app, group, step.Milliseconds(), millis(since))
	return samples, err
}
