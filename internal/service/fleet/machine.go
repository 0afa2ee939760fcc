package fleet

import (
	"cmp"
	"context"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// Filter chooses machines; an empty field chooses all.
type Filter struct {
	Group   string
	State   rollout.State
	Version string
	After   string // only ids greater than this one: the next page
	Limit   int    // at most so many, 0 for all
}

// Machines lists machines of an application by id. The fleet answers its machines between the slabs.
func (f *Fleet) Machines(appName string, filter Filter) ([]store.Machine, error) {
	var a *app
	if err := f.read(func(m *memory) (err error) {
		a, err = m.find(appName)
		return err
	}); err != nil {
		return nil, err
	}
	page := newPage(filter.Limit)
	for from, more := uint32(0), true; more; from += slabSize {
		_ = f.read(func(m *memory) error { // which returns no error
			for i := from; i < min(from+slabSize, m.machines.length); i++ {
				if m.chosen(i, a, filter) {
					if id := m.machines.id(i); id > filter.After && page.wants(id) {
						page.add(m.export(i))
					}
				}
			}
			more = from+slabSize < m.machines.length
			return nil
		})
	}
	return page.sorted(), nil
}

func (m *memory) chosen(i uint32, a *app, f Filter) bool {
	r := m.machines.at(i)
	return r.flags&used != 0 && r.app == a.number &&
		(f.Group == "" || m.names.text(r.group) == f.Group) &&
		(f.State == "" || r.state.state() == f.State) &&
		(f.Version == "" || m.names.text(r.version) == f.Version)
}

// page keeps the machines with the smallest ids, as many as its limit says.
type page struct {
	limit    int
	machines []store.Machine
	last     string // the greatest id that is still in, once the page was cut
}

func newPage(limit int) *page { return &page{limit: limit} }

func (p *page) wants(id string) bool { return p.last == "" || id < p.last }

// add takes a machine, and cuts the page when it is twice as long as it may be.
func (p *page) add(m store.Machine) {
	p.machines = append(p.machines, m)
	if p.limit > 0 && len(p.machines) >= 2*p.limit {
		p.machines = p.sorted()
		p.last = p.machines[len(p.machines)-1].ID
	}
}

func (p *page) sorted() []store.Machine {
	slices.SortFunc(p.machines, func(a, b store.Machine) int { return cmp.Compare(a.ID, b.ID) })
	if p.limit > 0 && len(p.machines) > p.limit {
		p.machines = p.machines[:p.limit]
	}
	if p.machines == nil {
		return []store.Machine{}
	}
	return p.machines
}

// Explain says what a machine would be answered if it asked now.
func (f *Fleet) Explain(appName, id string) (admin.Explanation, error) {
	now := f.now()
	var e admin.Explanation
	err := f.read(func(m *memory) error {
		a, i, err := m.machine(appName, id)
		if err != nil {
			return err
		}
		rec := m.machines.at(i)
		route := m.routeOf(a, way{rec.group, rec.arch})
		situation := m.situation(a, i, id, route, now)
		situation.Place.Full, situation.Place.Again = f.desk(route).full(now)
		e = admin.Explanation{Machine: m.export(i), Decision: rollout.Explain(&situation), Barred: slices.Clone(m.machines.bars[i])}
		if e.Barred == nil {
			e.Barred = []store.Bar{}
		}
		if p, ok := m.machines.pins[i]; ok {
			e.Pin = &p
		}
		return nil
	})
	return e, err
}

// Retry lets a machine be offered again what it failed on: the release version, or all of them when it is empty. A
// halt of the release is not lifted by it.
func (f *Fleet) Retry(ctx context.Context, who, appName, id, version string) (retried []store.Bar, err error) {
	err = f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, i, err := m.machine(appName, id)
		if err != nil {
			return nil, err
		}
		var changes []store.Change
		for _, b := range m.machines.bars[i] {
			if version == "" || b.Version == version {
				retried = append(retried, b)
				changes = append(changes, store.RemoveBar{App: a.ID, Machine: b.Machine, Version: b.Version},
					f.activity(who, a.ID, "lets machine "+id+" try release "+b.Version+" again"))
			}
		}
		if len(changes) == 0 {
			return nil, fault.New(fault.Conflict, "machine %s is not barred from any such release", id).
				WithHint("`conifer machine show %s` lists what it failed on.", id)
		}
		return changes, nil
	})
	return retried, err
}

// PinMachine holds a machine at a release, whatever its group follows.
func (f *Fleet) PinMachine(ctx context.Context, who, appName, id string, p admin.Pin) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, i, err := m.machine(appName, id)
		if err != nil {
			return nil, err
		}
		arch := m.names.text(m.machines.at(i).arch)
		if _, ok := a.releases[releaseKey{arch, p.Version}]; !ok {
			return nil, fault.New(fault.NotFound, "application %s has no release %s for %s", a.Name, p.Version, arch).
				WithHint("`conifer release list --app %s` shows those that there are.", a.Name)
		}
		pin := store.Pin{App: a.ID, Machine: id, Version: p.Version, Downgrade: p.Downgrade, By: who, At: f.now()}
		return []store.Change{store.PutPin{Pin: pin}, f.activity(who, a.ID, "pinned machine "+id+" to release "+p.Version)}, nil
	})
}

// UnpinMachine lets a machine follow its group again.
func (f *Fleet) UnpinMachine(ctx context.Context, who, appName, id string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, i, err := m.machine(appName, id)
		if err != nil {
			return nil, err
		}
		if _, ok := m.machines.pins[i]; !ok {
			return nil, fault.New(fault.Conflict, "machine %s is not pinned", id).WithHint("Its group may be: `conifer machine explain %s`.", id)
		}
		return []store.Change{store.RemovePin{App: a.ID, Machine: id}, f.activity(who, a.ID, "unpinned machine "+id)}, nil
	})
}

// ForgetMachine removes a machine; it is registered anew when it asks again.
func (f *Fleet) ForgetMachine(ctx context.Context, who, appName, id string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, _, err := m.machine(appName, id)
		if err != nil {
			return nil, err
		}
		return []store.Change{store.RemoveMachine{App: a.ID, ID: id}, f.activity(who, a.ID, "forgot machine "+id)}, nil
	})
}
