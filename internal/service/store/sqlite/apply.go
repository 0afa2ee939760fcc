package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// Apply makes all changes or none, in their order. They are durable when it returns.
func (s *Store) Apply(ctx context.Context, changes []store.Change) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback() // does nothing after the commit
	for _, change := range changes {
		if err := apply(ctx, tx, change); err != nil {
			return unavailable(fmt.Errorf("write %T: %w", change, err))
		}
	}
	return unavailable(tx.Commit())
}

// statement is SQL with its arguments.
type statement struct {
	sql  string
	args []any
}

func apply(ctx context.Context, tx *sql.Tx, change store.Change) error {
	for _, s := range statements(change) {
		if _, err := tx.ExecContext(ctx, s.sql, s.args...); err != nil {
			return err
		}
	}
	return nil
}

func one(sql string, args ...any) []statement { return []statement{{sql, args}} }

func statements(change store.Change) []statement {
	switch c := change.(type) {
	case store.PutApp:
		return one(`INSERT INTO app (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name`, c.App.ID, c.App.Name)
	case store.PutRelease:
		return putRelease(c.Release)
	case store.RemoveRelease:
		return one(`DELETE FROM release WHERE app = ? AND arch = ? AND version = ?`, c.App, c.Arch, c.Version)
	case store.PutChannel:
		return putChannel(c.Channel)
	case store.PutGroup:
		g := c.Group
		return one(`INSERT INTO fleet_group (app, name, channel, paused, percent, error_budget) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (app, name) DO UPDATE SET channel = excluded.channel, paused = excluded.paused,
			percent = excluded.percent, error_budget = excluded.error_budget`,
			g.App, g.Name, g.Channel, g.Paused, g.Percent, g.ErrorBudget)
	case store.PutMachine:
		return putMachine(c.Machine)
	case store.PutBar:
		b := c.Bar
		return one(`INSERT OR REPLACE INTO bar (app, machine, arch, version, fleet_group, state, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			b.App, b.Machine, b.Arch, b.Version, b.Group, b.State, b.Reason, millis(b.At))
	case store.RemoveBar:
		return one(`DELETE FROM bar WHERE app = ? AND machine = ? AND version = ?`, c.App, c.Machine, c.Version)
	case store.PutHalt:
		h := c.Halt
		return one(`INSERT OR REPLACE INTO halt (app, arch, version, reason, by, at) VALUES (?, ?, ?, ?, ?, ?)`,
			h.App, h.Arch, h.Version, h.Reason, h.By, millis(h.At))
	case store.RemoveHalt:
		return one(`DELETE FROM halt WHERE app = ? AND arch = ? AND version = ?`, c.App, c.Arch, c.Version)
	case store.AddEvent:
		e := c.Event
		return one(`INSERT INTO event (app, machine, at, type, result, error_code, version, previous, target, state)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.App, e.Machine, millis(e.At), e.Type, e.Result, e.Code, e.Version, e.Previous, e.Target, e.State)
	case store.AddActivity:
		a := c.Activity
		return one(`INSERT INTO activity (at, who, app, text) VALUES (?, ?, ?, ?)`, millis(a.At), a.Who, a.App, a.Text)
	}
	panic(fmt.Sprintf("%T is no change that this store knows", change))
}

func putRelease(r store.Release) []statement {
	extra, err := json.Marshal(r.Extra)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return one(`INSERT INTO release (app, arch, version, url, file, size_bytes, sha256, extra, notes, added)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, arch, version) DO UPDATE SET url = excluded.url, file = excluded.file,
		size_bytes = excluded.size_bytes, sha256 = excluded.sha256, extra = excluded.extra, notes = excluded.notes`,
		r.App, r.Arch, r.Version, r.URL, r.File, r.SizeBytes, r.SHA256, string(extra), r.Notes, millis(r.Added))
}

// putChannel replaces the pointers of a channel as a whole.
func putChannel(c store.Channel) []statement {
	all := []statement{
		{`INSERT INTO channel (app, name) VALUES (?, ?) ON CONFLICT DO NOTHING`, []any{c.App, c.Name}},
		{`DELETE FROM channel_release WHERE app = ? AND channel = ?`, []any{c.App, c.Name}},
	}
	for arch, version := range c.Releases {
		all = append(all, statement{`INSERT INTO channel_release (app, channel, arch, version) VALUES (?, ?, ?, ?)`,
			[]any{c.App, c.Name, arch, version}})
	}
	return all
}

func putMachine(m store.Machine) []statement {
	return one(`INSERT OR REPLACE INTO machine (app, id, alias, fleet_group, arch, state, version, target, error_code,
		boot_id, address, first_seen, last_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.App, m.ID, m.Alias, m.Group, m.Arch, m.State, m.Version, m.Target, m.Code, m.BootID, m.Address,
		millis(m.FirstSeen), millis(m.LastSeen))
}

// millis is how a time is stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
