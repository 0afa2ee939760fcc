package fleet

import (
	"cmp"
	"context"
	"slices"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// census is the machines of a group, counted.
type census struct {
	machines         int
	states, versions map[string]int
}

func (m *memory) census(a *app, groupName string) census {
	c := census{states: map[string]int{}, versions: map[string]int{}}
	group, ok := m.names.numbers[groupName]
	if !ok {
		return c
	}
	for t, n := range m.tallies {
		if t.app == a.number && t.group == group {
			c.machines += n
			c.states[string(t.state.state())] += n
			c.versions[m.names.text(t.version)] += n
		}
	}
	return c
}

// Group is a group with its machines counted, its rollouts and what is used of its limits.
func (f *Fleet) Group(ctx context.Context, appName, name string) (admin.GroupStatus, error) {
	var s admin.GroupStatus
	var limit store.Limit
	err := f.read(func(m *memory) error {
		a, err := m.find(appName)
		if err != nil {
			return err
		}
		g, ok := a.groups[name]
		if !ok {
			return a.noGroup(name)
		}
		c := m.census(a, name)
		s = admin.GroupStatus{
			Group: g.Group, Machines: c.machines, Versions: c.versions, States: c.states,
			Rollouts: m.rollouts(a, name, f.now()), Failures: m.failures(a, name),
		}
		limit = store.Limit{App: a.ID, Group: name, PerPeriod: g.policy.Rate.N, Period: g.policy.Rate.Period, AtOnce: g.policy.AtOnce}
		return nil
	})
	if err == nil {
		s.Downloads = f.addDownloads(ctx, limit.App, name, s.Rollouts)
	}
	if err != nil || limit.PerPeriod == 0 && limit.AtOnce == 0 {
		return s, err
	}
	s.Allowance, err = f.store.Allowance(ctx, limit, f.now())
	return s, err
}

// failures counts the bars of a group's machines by release and reason.
func (m *memory) failures(a *app, groupName string) []admin.Failure {
	counted := map[admin.Failure]int{}
	for _, bars := range m.machines.bars {
		for _, b := range bars {
			if b.Group == groupName && m.of(b.App) == a {
				counted[admin.Failure{Version: b.Version, Arch: b.Arch, State: string(b.State), Reason: b.Reason}]++
			}
		}
	}
	all := []admin.Failure{}
	for f, n := range counted {
		f.Machines = n
		all = append(all, f)
	}
	slices.SortFunc(all, func(x, y admin.Failure) int {
		return cmp.Or(cmp.Compare(y.Machines, x.Machines), cmp.Compare(x.Version, y.Version), cmp.Compare(x.Arch, y.Arch), cmp.Compare(x.Reason, y.Reason))
	})
	return all
}
