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
	Group string
	State rollout.State
	Limit int // at most so many, 0 for all
}

// Machines lists machines of an application by id.
func (f *Fleet) Machines(appName string, filter Filter) ([]store.Machine, error) {
	machines := []store.Machine{}
	err := f.read(func(m *memory) error {
		a, err := m.find(appName)
		if err != nil {
			return err
		}
		for _, machine := range a.machines {
			if (filter.Group == "" || filter.Group == machine.Group) && (filter.State == "" || filter.State == machine.State) {
				machines = append(machines, *machine)
			}
		}
		return nil
	})
	slices.SortFunc(machines, func(a, b store.Machine) int { return cmp.Compare(a.ID, b.ID) })
	if filter.Limit > 0 && len(machines) > filter.Limit {
		machines = machines[:filter.Limit]
	}
	return machines, err
}

// Explain says what a machine would be answered if it asked now.
func (f *Fleet) Explain(appName, id string) (admin.Explanation, error) {
	var e admin.Explanation
	err := f.read(func(m *memory) error {
		a, machine, err := m.known(appName, id)
		if err != nil {
			return err
		}
		e = admin.Explanation{Machine: *machine, Decision: rollout.Offer(a.situation(*machine, a.ID)), Barred: a.barsOf(id)}
		return nil
	})
	return e, err
}

func (m *memory) known(appName, id string) (*app, *store.Machine, error) {
	a, err := m.find(appName)
	if err != nil {
		return nil, nil, err
	}
	machine := a.machines[id]
	if machine == nil {
		return nil, nil, fault.New(fault.NotFound, "no machine %s has ever asked about application %s", id, a.Name).
			WithHint("`conifer machine list --app %s` shows those that have.", a.Name)
	}
	return a, machine, nil
}

func (a *app) barsOf(machine string) []store.Bar {
	bars := []store.Bar{}
	for _, of := range a.bars {
		if b, ok := of[machine]; ok {
			bars = append(bars, b)
		}
	}
	slices.SortFunc(bars, func(x, y store.Bar) int { return cmp.Compare(x.Version, y.Version) })
	return bars
}

// Retry lets a machine be offered again what it failed on: the release version, or all of them when it is empty. A
// halt of the release is not lifted by it.
func (f *Fleet) Retry(ctx context.Context, who, appName, id, version string) (retried []store.Bar, err error) {
	err = f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, _, err := m.known(appName, id)
		if err != nil {
			return nil, err
		}
		var changes []store.Change
		for _, b := range a.barsOf(id) {
			if version == "" || b.Version == version {
				retried = append(retried, b)
				changes = append(changes, store.RemoveBar{App: a.ID, Machine: id, Version: b.Version},
					f.activity(who, a.ID, "lets machine "+id+" try release "+b.Version+" again"))
			}
		}
		if len(changes) == 0 {
			return nil, fault.New(fault.Conflict, "machine %s is not barred from any such release", id)
		}
		return changes, nil
	})
	return retried, err
}
