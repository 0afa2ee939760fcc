package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// Apply makes all changes or none, in their order. They are durable when it returns.
//
// What it costs is the pages that it touches, each of which is written to the log and later to the file: machines whose ids are
// neighbours share them, so whoever writes many machines that nobody waits for does well to take them in the order of Load.
func (s *Store) Apply(ctx context.Context, changes []store.Change) error {
	return s.write(ctx, func(t *transaction) error { return t.apply(changes) })
}

// apply makes the changes. Machines and events, which are many, are put aside and written together: nothing but the removal of a machine
// depends on their order among the others.
func (t *transaction) apply(changes []store.Change) error {
	var aside batch
	for i, change := range changes {
		var err error
		switch c := change.(type) {
		case store.PutMachine:
			aside.machines = append(aside.machines, i)
		case store.AddEvent:
			aside.events = append(aside.events, i)
		case store.RemoveMachine:
			if err = t.flush(&aside, changes); err == nil {
				err = t.removeMachine(c)
			}
		default:
			err = t.applyOne(change)
		}
		if err != nil {
			return fmt.Errorf("write %T: %w", change, err)
		}
	}
	return t.flush(&aside, changes)
}

func (t *transaction) applyOne(change store.Change) error {
	switch c := change.(type) {
	case store.PutApp:
		return t.putApp(c.App)
	case store.PutRelease:
		return t.putRelease(c.Release)
	case store.PutChannel:
		return t.putChannel(c.Channel)
	case store.PutGroup:
		return t.putGroup(c.Group)
	case store.AddSample:
		return t.addSample(c.Sample)
	case store.AddDownloads:
		return t.addDownloads(c.Downloads)
	}
	for _, s := range statements(change) {
		if err := t.exec(s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// statement is SQL with its arguments.
type statement struct {
	text string
	args []any
}

func one(text string, args ...any) []statement { return []statement{{text, args}} }

// statements are those of a change that needs nothing but them.
func statements(change store.Change) []statement {
	switch c := change.(type) {
	case store.PutRollout:
		r := c.Rollout
		return one(`INSERT OR REPLACE INTO rollout (app, fleet_group, arch, version, started, stopped, reached, emergency) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			r.App, r.Group, r.Arch, r.Version, millis(r.Started), millis(r.Stopped), r.Reached, r.Emergency)
	case store.PutPin:
		p := c.Pin
		return one(`INSERT OR REPLACE INTO pin (app, machine, version, downgrade, by, at) VALUES (?, ?, ?, ?, ?, ?)`,
			p.App, p.Machine, p.Version, p.Downgrade, p.By, millis(p.At))
	case store.PutToken:
		k := c.Token
		return one(`INSERT OR REPLACE INTO token (id, name, role, sha256, created, expires) VALUES (?, ?, ?, ?, ?, ?)`,
			k.ID, k.Name, k.Role, k.SHA256, millis(k.Created), millis(k.Expires))
	case store.PutBar:
		b := c.Bar
		return one(`INSERT OR REPLACE INTO bar (app, machine, arch, version, fleet_group, state, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			b.App, b.Machine, b.Arch, b.Version, b.Group, string(b.State), b.Reason, millis(b.At))
	case store.PutHalt:
		h := c.Halt
		return one(`INSERT OR REPLACE INTO halt (app, arch, version, reason, by, at) VALUES (?, ?, ?, ?, ?, ?)`,
			h.App, h.Arch, h.Version, h.Reason, h.By, millis(h.At))
	case store.AddActivity:
		a := c.Activity
		return one(`INSERT INTO activity (at, who, app, text) VALUES (?, ?, ?, ?)`, millis(a.At), a.Who, a.App, a.Text)
	case store.EndGrant:
		return one(`DELETE FROM held WHERE app = ? AND machine = ?`, c.App, c.Machine)
	}
	return removals(change)
}

func removals(change store.Change) []statement {
	switch c := change.(type) {
	case store.RemoveRelease:
		return []statement{
			{`DELETE FROM download WHERE app = ? AND arch = ? AND version = ?`, []any{c.App, c.Arch, c.Version}},
			{`DELETE FROM release WHERE app = ? AND arch = ? AND version = ?`, []any{c.App, c.Arch, c.Version}},
		}
	case store.RemoveChannel:
		return []statement{
			{`DELETE FROM channel_release WHERE app = ? AND channel = ?`, []any{c.App, c.Name}},
			{`DELETE FROM channel WHERE app = ? AND name = ?`, []any{c.App, c.Name}},
		}
	case store.RemoveGroup:
		return []statement{
			{`DELETE FROM rollout WHERE app = ? AND fleet_group = ?`, []any{c.App, c.Name}},
			{`DELETE FROM download WHERE app = ? AND fleet_group = ?`, []any{c.App, c.Name}},
			{`DELETE FROM fleet_group WHERE app = ? AND name = ?`, []any{c.App, c.Name}},
		}
	case store.RemoveBar:
		return one(`DELETE FROM bar WHERE app = ? AND machine = ? AND version = ?`, c.App, c.Machine, c.Version)
	case store.RemoveHalt:
		return one(`DELETE FROM halt WHERE app = ? AND arch = ? AND version = ?`, c.App, c.Arch, c.Version)
	case store.RemoveRollout:
		return one(`DELETE FROM rollout WHERE app = ? AND fleet_group = ? AND arch = ? AND version = ?`, c.App, c.Group, c.Arch, c.Version)
	case store.RemovePin:
		return one(`DELETE FROM pin WHERE app = ? AND machine = ?`, c.App, c.Machine)
	case store.RemoveToken:
		return one(`DELETE FROM token WHERE id = ?`, c.ID)
	}
	panic(fmt.Sprintf("%T is no change that this store knows", change))
}

func (t *transaction) putApp(a store.App) error {
	if _, err := t.appNumber(a.ID); err != nil {
		return err
	}
	return t.exec(`INSERT INTO app (id, name, product_id) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, product_id = excluded.product_id`, a.ID, a.Name, a.ProductID)
}

func (t *transaction) putRelease(r store.Release) error {
	return t.exec(`INSERT INTO release (app, arch, version, url, file, size_bytes, sha256, extra, deltas, notes, floor, dead_end, added)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, arch, version) DO UPDATE SET url = excluded.url, file = excluded.file, size_bytes = excluded.size_bytes,
		sha256 = excluded.sha256, extra = excluded.extra, deltas = excluded.deltas, notes = excluded.notes, floor = excluded.floor, dead_end = excluded.dead_end,
		added = excluded.added`,
		r.App, r.Arch, r.Version, r.URL, r.File, r.SizeBytes, r.SHA256, encoded(r.Extra), encoded(r.Deltas), r.Notes, r.Floor, r.DeadEnd, millis(r.Added))
}

// putChannel replaces the pointers of a channel as a whole.
func (t *transaction) putChannel(c store.Channel) error {
	if err := t.exec(`INSERT INTO channel (app, name) VALUES (?, ?) ON CONFLICT DO NOTHING`, c.App, c.Name); err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM channel_release WHERE app = ? AND channel = ?`, c.App, c.Name); err != nil {
		return err
	}
	for arch, version := range c.Releases {
		if err := t.exec(`INSERT INTO channel_release (app, channel, arch, version) VALUES (?, ?, ?, ?)`, c.App, c.Name, arch, version); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) putGroup(g store.Group) error {
	return t.exec(`INSERT OR REPLACE INTO fleet_group (app, name, channel, paused, paused_at, percent, max_per_period, max_at_once,
		error_budget, windows, silent_after, pin, downgrade) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		g.App, g.Name, g.Channel, g.Paused, millis(g.PausedAt), g.Percent, g.MaxPerPeriod, g.MaxAtOnce,
		g.ErrorBudget, encoded(g.Windows), g.SilentAfter, g.Pin, g.Downgrade)
}

func (t *transaction) addSample(s store.Sample) error {
	return t.exec(`INSERT OR REPLACE INTO sample (app, fleet_group, step, at, states, versions) VALUES (?, ?, ?, ?, ?, ?)`,
		s.App, s.Group, s.Step.Milliseconds(), millis(s.At), encoded(s.States), encoded(s.Versions))
}

// encoded is a list or a map inside a record, as JSON.
func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(text)
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
