package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"conifer.dev/conifer/internal/service/store"
)

// loader reads the records of one kind.
type loader func(context.Context, querier, func(store.Change) error) error

// Load yields every record that is not a log entry, as the change that makes it: applications first, then what
// refers to them. It stops at the first error of yield. All of it is from one moment.
func (s *Store) Load(ctx context.Context, yield func(store.Change) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	side, err := s.sideBySide(ctx)
	if err != nil {
		return err
	}
	for _, tx := range side {
		defer tx.Rollback() // it has only read
	}
	load := func(kinds ...loader) error {
		for _, kind := range kinds {
			if err := kind(ctx, side[0], yield); err != nil {
				return err
			}
		}
		return nil
	}
	if err := load(loadApps, loadTokens, loadReleases, loadChannels, loadGroups, loadRollouts, loadHalts); err != nil {
		return err
	}
	if err := s.loadMachines(ctx, side, yield); err != nil {
		return err
	}
	return load(loadPins, loadBars)
}

// sideBySide begins two transactions that read the same moment.
func (s *Store) sideBySide(ctx context.Context) ([2]*sql.Tx, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	var side [2]*sql.Tx
	for i := range side {
		tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return side, unavailable(err)
		}
		var moment int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM app`).Scan(&moment); err != nil { // it begins with the first read
			return side, unavailable(err)
		}
		side[i] = tx
	}
	return side, nil
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls use for every row.
func each(ctx context.Context, q querier, use func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return unavailable(fmt.Errorf("query: %w", err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	return unavailable(rows.Err())
}

func loadApps(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var a store.App
		if err := rows.Scan(&a.ID, &a.Name, &a.ProductID); err != nil {
			return err
		}
		return yield(store.PutApp{App: a})
	}, `SELECT id, name, product_id FROM app`)
}

func loadTokens(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var t store.Token
		var created, expires int64
		if err := rows.Scan(&t.ID, &t.Name, &t.Role, &t.SHA256, &created, &expires); err != nil {
			return err
		}
		t.Created, t.Expires = fromMillis(created), fromMillis(expires)
		return yield(store.PutToken{Token: t})
	}, `SELECT id, name, role, sha256, created, expires FROM token`)
}

func loadReleases(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var r store.Release
		var extra, deltas []byte
		var added int64
		if err := rows.Scan(&r.App, &r.Arch, &r.Version, &r.URL, &r.File, &r.SizeBytes, &r.SHA256, &extra, &deltas, &r.Notes,
			&r.Floor, &r.DeadEnd, &added); err != nil {
			return err
		}
		if err := json.Unmarshal(extra, &r.Extra); err != nil {
			return fmt.Errorf("files of release %s: %w", r.Version, err)
		}
		if err := json.Unmarshal(deltas, &r.Deltas); err != nil {
			return fmt.Errorf("deltas of release %s: %w", r.Version, err)
		}
		r.Added = fromMillis(added)
		return yield(store.PutRelease{Release: r})
	}, `SELECT app, arch, version, url, file, size_bytes, sha256, extra, deltas, notes, floor, dead_end, added FROM release`)
}

// loadChannels relies on the order of the rows: those of one channel follow each other.
func loadChannels(ctx context.Context, q querier, yield func(store.Change) error) error {
	var last *store.Channel
	flush := func() error {
		if last == nil {
			return nil
		}
		return yield(store.PutChannel{Channel: *last})
	}
	err := each(ctx, q, func(rows *sql.Rows) error {
		var app, name string
		var arch, version sql.NullString
		if err := rows.Scan(&app, &name, &arch, &version); err != nil {
			return err
		}
		if last == nil || last.App != app || last.Name != name {
			if err := flush(); err != nil {
				return err
			}
			last = &store.Channel{App: app, Name: name, Releases: map[string]string{}}
		}
		if arch.Valid {
			last.Releases[arch.String] = version.String
		}
		return nil
	}, `SELECT c.app, c.name, r.arch, r.version FROM channel c
		LEFT JOIN channel_release r ON r.app = c.app AND r.channel = c.name ORDER BY c.app, c.name`)
	if err != nil {
		return err
	}
	return flush()
}

func loadGroups(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var g store.Group
		var pausedAt int64
		var windows []byte
		if err := rows.Scan(&g.App, &g.Name, &g.Channel, &g.Paused, &pausedAt, &g.Percent, &g.MaxPerPeriod, &g.MaxAtOnce,
			&g.ErrorBudget, &windows, &g.SilentAfter, &g.Pin, &g.Downgrade); err != nil {
			return err
		}
		if err := json.Unmarshal(windows, &g.Windows); err != nil {
			return fmt.Errorf("windows of group %s: %w", g.Name, err)
		}
		g.PausedAt = fromMillis(pausedAt)
		return yield(store.PutGroup{Group: g})
	}, `SELECT app, name, channel, paused, paused_at, percent, max_per_period, max_at_once,
		error_budget, windows, silent_after, pin, downgrade FROM fleet_group`)
}

func loadRollouts(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var r store.Rollout
		var started, stopped int64
		if err := rows.Scan(&r.App, &r.Group, &r.Arch, &r.Version, &started, &stopped, &r.Reached, &r.Emergency); err != nil {
			return err
		}
		r.Started, r.Stopped = fromMillis(started), fromMillis(stopped)
		return yield(store.PutRollout{Rollout: r})
	}, `SELECT app, fleet_group, arch, version, started, stopped, reached, emergency FROM rollout`)
}

func loadHalts(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var h store.Halt
		var at int64
		if err := rows.Scan(&h.App, &h.Arch, &h.Version, &h.Reason, &h.By, &at); err != nil {
			return err
		}
		h.At = fromMillis(at)
		return yield(store.PutHalt{Halt: h})
	}, `SELECT app, arch, version, reason, by, at FROM halt`)
}

func loadPins(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var p store.Pin
		var at int64
		if err := rows.Scan(&p.App, &p.Machine, &p.Version, &p.Downgrade, &p.By, &at); err != nil {
			return err
		}
		p.At = fromMillis(at)
		return yield(store.PutPin{Pin: p})
	}, `SELECT app, machine, version, downgrade, by, at FROM pin`)
}

func loadBars(ctx context.Context, q querier, yield func(store.Change) error) error {
	return each(ctx, q, func(rows *sql.Rows) error {
		var b store.Bar
		var at int64
		if err := rows.Scan(&b.App, &b.Machine, &b.Arch, &b.Version, &b.Group, &b.State, &b.Reason, &at); err != nil {
			return err
		}
		b.At = fromMillis(at)
		return yield(store.PutBar{Bar: b})
	}, `SELECT app, machine, arch, version, fleet_group, state, reason, at FROM bar`)
}
