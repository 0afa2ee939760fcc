package fleet

import (
	"cmp"
	"slices"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/release"
)

// way is what all machines with the same answer so far have in common.
type way struct{ group, arch symbol }

// route is everything that a decision about the machines of one group and architecture depends on, but the machine. It is
// derived from the records when it is first asked for and dropped when any of them changes.
type route struct {
	group    *rollout.Group
	releases []rollout.Release // the group's rollouts up to its channel's release, the newest first
	floors   []rollout.Release // the oldest first
	known    map[symbol]*rollout.Release
	pin      *rollout.Pin
	limit    store.Limit
}

func (r *route) limited() bool { return r.limit.PerPeriod > 0 || r.limit.AtOnce > 0 }

func (m *memory) routeOf(a *app, w way) *route {
	if r, ok := a.routes[w]; ok {
		return r
	}
	r := m.derive(a, m.names.text(w.group), m.names.text(w.arch))
	a.routes[w] = r
	return r
}

func (m *memory) derive(a *app, groupName, arch string) *route {
	g, ok := a.groups[groupName]
	if !ok {
		return &route{} // strangers can name many groups: one that there is not costs nothing
	}
	r := &route{known: map[symbol]*rollout.Release{}}
	for k, rel := range a.releases {
		if k.arch != arch {
			continue
		}
		known := a.describe(*rel)
		if n, ok := m.names.number(k.version); ok {
			r.known[n] = &known
		}
		if rel.Floor != "" {
			r.floors = append(r.floors, known)
		}
	}
	slices.SortFunc(r.floors, func(x, y rollout.Release) int { return release.Compare(x.Version, y.Version) })
	r.group = &rollout.Group{Name: g.Name, Channel: g.Channel, Paused: g.Paused, Policy: g.policy}
	r.releases = a.candidates(g, arch)
	r.limit = store.Limit{App: a.ID, Group: g.Name, PerPeriod: g.policy.Rate.N, Period: g.policy.Rate.Period, AtOnce: g.policy.AtOnce}
	if g.Pin != "" {
		r.pin = a.pinTo(g.Pin, arch, g.Downgrade, "group "+g.Name)
	}
	return r
}

// candidates are the group's rollouts for an architecture: the channel's own first, then earlier ones.
func (a *app) candidates(g group, arch string) []rollout.Release {
	own := a.channels[g.Channel].Releases[arch]
	if own == "" {
		return nil
	}
	var all []rollout.Release
	for k, ro := range a.rollouts {
		rel, ok := a.releases[releaseKey{arch, k.version}]
		if k.group != g.Name || k.arch != arch || !ok || release.Compare(k.version, own) > 0 {
			continue
		}
		candidate := a.describe(*rel)
		candidate.Started, candidate.Stopped, candidate.Reached, candidate.Emergency = ro.Started, !ro.Stopped.IsZero(), ro.Reached, ro.Emergency
		all = append(all, candidate)
	}
	slices.SortFunc(all, func(x, y rollout.Release) int {
		return cmp.Or(release.Compare(y.Version, x.Version), cmp.Compare(y.Version, x.Version))
	})
	return all
}

// describe is a release with what became of it.
func (a *app) describe(r store.Release) rollout.Release {
	d := rollout.Release{Version: r.Version, DeadEnd: r.DeadEnd, Floor: r.Floor}
	d.Full, d.Deltas = payloads(r)
	if h, ok := a.halts[releaseKey{r.Arch, r.Version}]; ok {
		d.Halt = &rollout.Halt{Reason: h.Reason, By: h.By, At: h.At}
	}
	return d
}

func (a *app) pinTo(version, arch string, downgrade bool, of string) *rollout.Pin {
	p := &rollout.Pin{Version: version, Downgrade: downgrade, Of: of}
	if rel, ok := a.releases[releaseKey{arch, version}]; ok {
		d := a.describe(*rel)
		p.Release = &d
	}
	return p
}

// situation gathers what the decision about a machine depends on.
func (m *memory) situation(a *app, i uint32, id string, r *route, now time.Time) rollout.Case {
	rec := m.machines.at(i)
	c := rollout.Case{
		Now: now, App: a.ID, AppKnown: true, Track: m.names.text(rec.group),
		Machine: rollout.Machine{ID: id, Version: m.names.text(rec.version), Arch: m.names.text(rec.arch)},
		Group:   r.group, Releases: r.releases, Floors: r.floors, Running: r.known[rec.version], Pin: r.pin,
	}
	if rec.flags&pinned != 0 {
		p := m.machines.pins[i]
		c.Pin = a.pinTo(p.Version, c.Machine.Arch, p.Downgrade, "machine")
	}
	if rec.flags&barred != 0 {
		c.Bars = map[string]string{}
		for _, b := range m.machines.bars[i] {
			c.Bars[b.Version] = b.Reason
		}
	}
	c.Place.Limited = r.limited()
	if rec.flags&granted != 0 {
		c.Place.Held = m.names.text(rec.target)
	}
	return c
}
