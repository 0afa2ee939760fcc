package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"conifer.dev/conifer/internal/service/store"
)

// Load yields every record that is not a log entry, as the change that makes it: applications first, then what
// refers to them. It stops at the first error of yield.
func (s *Store) Load(ctx context.Context, yield func(store.Change) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback() // it has only read
	for _, load := range []func(context.Context, *sql.Tx, func(store.Change) error) error{
		loadApps, loadReleases, loadChannels, loadGroups, loadMachines, loadBars, loadHalts,
	} {
		if err := load(ctx, tx, yield); err != nil {
			return err
		}
	}
	return nil
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

func loadApps(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var a store.App
		if err := rows.Scan(&a.ID, &a.Name); err != nil {
			return err
		}
		return yield(store.PutApp{App: a})
	}, `SELECT id, name FROM app`)
}

func loadReleases(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var r store.Release
		var extra string
		var added int64
		if err := rows.Scan(&r.App, &r.Arch, &r.Version, &r.URL, &r.File, &r.SizeBytes, &r.SHA256, &extra, &r.Notes, &added); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(extra), &r.Extra); err != nil {
			return fmt.Errorf("files of release %s: %w", r.Version, err)
		}
		r.Added = fromMillis(added)
		return yield(store.PutRelease{Release: r})
	}, `SELECT app, arch, version, url, file, size_bytes, sha256, extra, notes, added FROM release`)
}

// loadChannels relies on the order of the rows: those of one channel follow each other.
func loadChannels(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	var last *store.Channel
	flush := func() error {
		if last == nil {
			return nil
		}
		return yield(store.PutChannel{Channel: *last})
	}
	err := each(ctx, tx, func(rows *sql.Rows) error {
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

func loadGroups(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var g store.Group
		if err := rows.Scan(&g.App, &g.Name, &g.Channel, &g.Paused, &g.Percent, &g.ErrorBudget); err != nil {
			return err
		}
		return yield(store.PutGroup{Group: g})
	}, `SELECT app, name, channel, paused, percent, error_budget FROM fleet_group`)
}

func loadMachines(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var m store.Machine
		var first, last int64
		if err := rows.Scan(&m.App, &m.ID, &m.Alias, &m.Group, &m.Arch, &m.State, &m.Version, &m.Target, &m.Code,
			&m.BootID, &m.Address, &first, &last); err != nil {
			return err
		}
		m.FirstSeen, m.LastSeen = fromMillis(first), fromMillis(last)
		return yield(store.PutMachine{Machine: m})
	}, `SELECT app, id, alias, fleet_group, arch, state, version, target, error_code, boot_id, address, first_seen, last_seen FROM machine`)
}

func loadBars(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var b store.Bar
		var at int64
		if err := rows.Scan(&b.App, &b.Machine, &b.Arch, &b.Version, &b.Group, &b.State, &b.Reason, &at); err != nil {
			return err
		}
		b.At = fromMillis(at)
		return yield(store.PutBar{Bar: b})
	}, `SELECT app, machine, arch, version, fleet_group, state, reason, at FROM bar`)
}

func loadHalts(ctx context.Context, tx *sql.Tx, yield func(store.Change) error) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var h store.Halt
		var at int64
		if err := rows.Scan(&h.App, &h.Arch, &h.Version, &h.Reason, &h.By, &at); err != nil {
			return err
		}
		h.At = fromMillis(at)
		return yield(store.PutHalt{Halt: h})
	}, `SELECT app, arch, version, reason, by, at FROM halt`)
}
