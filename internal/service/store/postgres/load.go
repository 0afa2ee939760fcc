package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// snapshot is a transaction that sees the database as of one moment.
var snapshot = pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}

// wholeTables lets a transaction read tables from one end to the other, for as long as that takes. Few machines hold a place: with
// them in a hash, the machines are read as they lie.
const wholeTables = `SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on;
	SET LOCAL enable_mergejoin = off; SET LOCAL enable_nestloop = off`

// loads read the tables in the order in which their records refer to each other.
var loads = []func(context.Context, *loading) error{
	loadApps, loadTokens, loadReleases, loadChannels, loadGroups, loadRollouts, loadHalts, loadMachines, loadPins, loadBars,
}

// loading is one Load on its way.
type loading struct {
	tx     pgx.Tx
	errors secrecy
	yield  func(store.Change) error
}

// Load yields every record that is not a log entry, as the change that makes it: applications first, then what refers to them.
// All are as of one moment, from which Follow goes on. It stops at the first error of yield.
func (s *Store) Load(ctx context.Context, yield func(store.Change) error) error {
	tx, err := s.pool.BeginTx(ctx, snapshot)
	if err != nil {
		return s.errors.unavailable(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // it has only read
	if _, err := tx.Exec(ctx, wholeTables); err != nil {
		return s.errors.unavailable(err)
	}
	var position int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM feed`).Scan(&position); err != nil {
		return s.errors.unavailable(err)
	}
	l := &loading{tx, s.errors, yield}
	for _, load := range loads {
		if err := load(ctx, l); err != nil {
			return err
		}
	}
	s.position.Store(position)
	return nil
}

// each yields what use makes of every row. An error of yield is the caller's own and stays as it is.
func (l *loading) each(ctx context.Context, query string, use func(pgx.Rows) (store.Change, error)) error {
	rows, err := l.tx.Query(ctx, query)
	if err != nil {
		return l.errors.unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		change, err := use(rows)
		if err != nil {
			return l.errors.unavailable(err)
		}
		if err := l.yield(change); err != nil {
			return err
		}
	}
	return l.errors.unavailable(rows.Err())
}

func loadApps(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT id, name, product_id FROM app`, func(row pgx.Rows) (store.Change, error) {
		var a store.App
		err := row.Scan(&a.ID, &a.Name, &a.ProductID)
		return store.PutApp{App: a}, err
	})
}

func loadTokens(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT id, name, role, sha256, created, expires FROM token`, func(row pgx.Rows) (store.Change, error) {
		var t store.Token
		var created, expires int64
		err := row.Scan(&t.ID, &t.Name, &t.Role, &t.SHA256, &created, &expires)
		t.Created, t.Expires = fromMillis(created), fromMillis(expires)
		return store.PutToken{Token: t}, err
	})
}

func loadReleases(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT app, arch, version, url, file, size_bytes, sha256, extra, deltas, notes, floor, dead_end, added FROM release`,
		func(row pgx.Rows) (store.Change, error) {
			var r store.Release
			var extra, deltas string
			var added int64
			if err := row.Scan(&r.App, &r.Arch, &r.Version, &r.URL, &r.File, &r.SizeBytes, &r.SHA256, &extra, &deltas, &r.Notes, &r.Floor, &r.DeadEnd,
				&added); err != nil {
				return nil, err
			}
			r.Added = fromMillis(added)
			if err := unlist("files of release "+r.Version, extra, &r.Extra); err != nil {
				return nil, err
			}
			err := unlist("deltas of release "+r.Version, deltas, &r.Deltas)
			return store.PutRelease{Release: r}, err
		})
}

func unlist(of, text string, into any) error {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s: %w", of, err)
	}
	return nil
}

func loadChannels(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT c.app, c.name, array_remove(array_agg(r.arch), NULL), array_remove(array_agg(r.version), NULL)
		FROM channel c LEFT JOIN channel_release r ON r.app = c.app AND r.channel = c.name GROUP BY c.app, c.name`,
		func(row pgx.Rows) (store.Change, error) {
			c := store.Channel{Releases: map[string]string{}}
			var archs, versions []string
			err := row.Scan(&c.App, &c.Name, &archs, &versions)
			for i, arch := range archs {
				c.Releases[arch] = versions[i]
			}
			return store.PutChannel{Channel: c}, err
		})
}

func loadGroups(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT app, name, channel, paused, paused_at, percent, max_per_period, max_at_once, error_budget, windows,
		silent_after, pin, downgrade FROM fleet_group`, func(row pgx.Rows) (store.Change, error) {
		var g store.Group
		var paused int64
		var windows string
		if err := row.Scan(&g.App, &g.Name, &g.Channel, &g.Paused, &paused, &g.Percent, &g.MaxPerPeriod, &g.MaxAtOnce, &g.ErrorBudget, &windows,
			&g.SilentAfter, &g.Pin, &g.Downgrade); err != nil {
			return nil, err
		}
		g.PausedAt = fromMillis(paused)
		err := unlist("windows of group "+g.Name, windows, &g.Windows)
		return store.PutGroup{Group: g}, err
	})
}

func loadRollouts(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT app, fleet_group, arch, version, started, stopped, reached, emergency FROM rollout`,
		func(row pgx.Rows) (store.Change, error) {
			var r store.Rollout
			var started, stopped int64
			err := row.Scan(&r.App, &r.Group, &r.Arch, &r.Version, &started, &stopped, &r.Reached, &r.Emergency)
			r.Started, r.Stopped = fromMillis(started), fromMillis(stopped)
			return store.PutRollout{Rollout: r}, err
		})
}

func loadHalts(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT app, arch, version, reason, by, at FROM halt`, func(row pgx.Rows) (store.Change, error) {
		var h store.Halt
		var at int64
		err := row.Scan(&h.App, &h.Arch, &h.Version, &h.Reason, &h.By, &at)
		h.At = fromMillis(at)
		return store.PutHalt{Halt: h}, err
	})
}

func loadPins(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT app, machine, version, downgrade, by, at FROM pin`, func(row pgx.Rows) (store.Change, error) {
		var p store.Pin
		var at int64
		err := row.Scan(&p.App, &p.Machine, &p.Version, &p.Downgrade, &p.By, &at)
		p.At = fromMillis(at)
		return store.PutPin{Pin: p}, err
	})
}

func loadBars(ctx context.Context, l *loading) error {
	return l.each(ctx, `SELECT app, machine, arch, version, fleet_group, state, reason, at FROM bar`, func(row pgx.Rows) (store.Change, error) {
		var b store.Bar
		var at int64
		err := row.Scan(&b.App, &b.Machine, &b.Arch, &b.Version, &b.Group, &b.State, &b.Reason, &at)
		b.At = fromMillis(at)
		return store.PutBar{Bar: b}, err
	})
}
