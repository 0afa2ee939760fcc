package postgres

import (
	"fmt"
	"strings"

	"conifer.dev/conifer/internal/service/store"
)

// upsert is an INSERT that replaces the row with the same key. The first columns are the key.
func upsert(table string, keys int, columns string) string {
	names := strings.Split(columns, ", ")
	var values, set []string
	for i, name := range names {
		values = append(values, fmt.Sprintf("$%d", i+1))
		if i >= keys {
			set = append(set, name+" = excluded."+name)
		}
	}
	return "INSERT INTO " + table + " (" + columns + ") VALUES (" + strings.Join(values, ", ") + ")" + onConflict(names[:keys], set)
}

func onConflict(keys, set []string) string {
	return " ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
}

var (
	putApp     = upsert("app", 1, "id, name, product_id")
	putRelease = upsert("release", 3, "app, arch, version, url, file, size_bytes, sha256, extra, deltas, notes, floor, dead_end, added")
	putGroup   = upsert("fleet_group", 2, "app, name, channel, paused, paused_at, percent, max_per_period, max_at_once, "+
		"error_budget, windows, silent_after, pin, downgrade")
	putRollout = upsert("rollout", 4, "app, fleet_group, arch, version, started, stopped, reached, emergency")
	putToken   = upsert("token", 1, "id, name, role, sha256, created, expires")
	putBar     = upsert("bar", 3, "app, machine, version, arch, fleet_group, state, reason, at")
	putHalt    = upsert("halt", 3, "app, arch, version, reason, by, at")
	putPin     = upsert("pin", 2, "app, machine, version, downgrade, by, at")
	addSample  = upsert("sample", 4, "app, fleet_group, step, at, states, versions")
)

// put queues a record that an operator makes.
func (w *writing) put(change store.Change) {
	switch c := change.(type) {
	case store.PutApp:
		w.queue(putApp, c.App.ID, c.App.Name, c.App.ProductID)
	case store.PutRelease:
		r := c.Release
		w.queue(putRelease, r.App, r.Arch, r.Version, r.URL, r.File, r.SizeBytes, r.SHA256, list(r.Extra), list(r.Deltas), r.Notes, r.Floor, r.DeadEnd,
			millis(r.Added))
	case store.PutChannel:
		w.putChannel(c.Channel)
	case store.PutGroup:
		g := c.Group
		w.queue(putGroup, g.App, g.Name, g.Channel, g.Paused, millis(g.PausedAt), g.Percent, g.MaxPerPeriod, g.MaxAtOnce,
			g.ErrorBudget, list(g.Windows), g.SilentAfter, g.Pin, g.Downgrade)
	case store.PutRollout:
		r := c.Rollout
		w.queue(putRollout, r.App, r.Group, r.Arch, r.Version, millis(r.Started), millis(r.Stopped), r.Reached, r.Emergency)
	case store.PutToken:
		t := c.Token
		w.queue(putToken, t.ID, t.Name, t.Role, t.SHA256, millis(t.Created), millis(t.Expires))
	}
}

// putChannel replaces the pointers of a channel as a whole.
func (w *writing) putChannel(c store.Channel) {
	w.queue(`INSERT INTO channel (app, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.App, c.Name)
	w.queue(`DELETE FROM channel_release WHERE app = $1 AND channel = $2`, c.App, c.Name)
	for arch, version := range c.Releases {
		w.queue(`INSERT INTO channel_release (app, channel, arch, version) VALUES ($1, $2, $3, $4)`, c.App, c.Name, arch, version)
	}
}

// note queues what the service itself writes down.
func (w *writing) note(change store.Change) {
	switch c := change.(type) {
	case store.PutBar:
		b := c.Bar
		w.queue(putBar, b.App, b.Machine, b.Version, b.Arch, b.Group, string(b.State), b.Reason, millis(b.At))
	case store.PutHalt:
		h := c.Halt
		w.queue(putHalt, h.App, h.Arch, h.Version, h.Reason, h.By, millis(h.At))
	case store.PutPin:
		p := c.Pin
		w.queue(putPin, p.App, p.Machine, p.Version, p.Downgrade, p.By, millis(p.At))
	case store.AddActivity:
		a := c.Activity
		w.queue(`INSERT INTO activity (at, who, app, text) VALUES ($1, $2, $3, $4)`, millis(a.At), a.Who, a.App, a.Text)
	case store.AddDownloads:
		d := c.Downloads
		w.queue(addDownloads, d.App, d.Group, d.Arch, d.Version, d.Fulls, d.FullBytes, d.Deltas, d.DeltaBytes, d.SavedBytes, d.FailedDeltas)
	case store.AddSample:
		s := c.Sample
		w.queue(addSample, s.App, s.Group, s.Step.Milliseconds(), millis(s.At), list(s.States), list(s.Versions))
	}
}
