package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// Channels lists the channels of an application by name.
func (f *Fleet) Channels(appName string) ([]store.Channel, error) {
	channels := []store.Channel{}
	err := f.read(func(m *memory) error {
		a, err := m.find(appName)
		if err != nil {
			return err
		}
		for _, c := range a.channels {
			c.Releases = maps.Clone(c.Releases)
			channels = append(channels, c)
		}
		return nil
	})
	slices.SortFunc(channels, func(a, b store.Channel) int { return cmp.Compare(a.Name, b.Name) })
	return channels, err
}

// AddChannel makes a channel that points at nothing; one that exists stays as it is.
func (f *Fleet) AddChannel(ctx context.Context, who, appName, name string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, err := m.find(appName)
		if err != nil {
			return nil, err
		}
		if _, exists := a.channels[name]; exists {
			return nil, nil
		}
		if err := checkName("channel", name); err != nil {
			return nil, err
		}
		c := store.Channel{App: a.ID, Name: name, Releases: map[string]string{}}
		return []store.Change{store.PutChannel{Channel: c}, f.activity(who, a.ID, "added channel "+name)}, nil
	})
}

// SetChannel points a channel at a release, for one architecture; the channel is made when there is none.
func (f *Fleet) SetChannel(ctx context.Context, who, appName, name, arch, version string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, key, err := m.release(appName, arch, version)
		if err != nil {
			return nil, err
		}
		if err := checkName("channel", name); err != nil {
			return nil, err
		}
		// The record in memory is replaced and not changed, because a queued change may still hold its map.
		c := store.Channel{App: a.ID, Name: name, Releases: maps.Clone(a.channels[name].Releases)}
		if c.Releases == nil {
			c.Releases = map[string]string{}
		}
		if c.Releases[arch] == version {
			return nil, nil
		}
		c.Releases[arch] = key.version
		return []store.Change{
			store.PutChannel{Channel: c}, f.activity(who, a.ID, fmt.Sprintf("pointed channel %s at release %s for %s", name, version, arch)),
		}, nil
	})
}

// Groups lists the groups of an application by name.
func (f *Fleet) Groups(appName string) ([]store.Group, error) {
	groups := []store.Group{}
	err := f.read(func(m *memory) error {
		a, err := m.find(appName)
		if err != nil {
			return err
		}
		for _, g := range a.groups {
			groups = append(groups, g)
		}
		return nil
	})
	slices.SortFunc(groups, func(a, b store.Group) int { return cmp.Compare(a.Name, b.Name) })
	return groups, err
}

// SetGroup changes a group, or makes it: then it follows the channel of its own name unless another is given, offers
// to all its machines, and its first failure halts a release.
func (f *Fleet) SetGroup(ctx context.Context, who, name string, p admin.GroupPatch) (store.Group, error) {
	var g store.Group
	err := f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, err := m.find(p.App)
		if err != nil {
			return nil, err
		}
		if err := checkName("group", name); err != nil {
			return nil, err
		}
		old, exists := a.groups[name]
		if g = old; !exists {
			g = store.Group{App: a.ID, Name: name, Channel: name, Percent: 100}
		}
		patch(&g, p)
		if err := a.checkGroup(g); err != nil || exists && g == old {
			return nil, err
		}
		text := fmt.Sprintf("set group %s: channel %s, %d %%, error budget %d, paused %t", name, g.Channel, g.Percent, g.ErrorBudget, g.Paused)
		return []store.Change{store.PutGroup{Group: g}, f.activity(who, a.ID, text)}, nil
	})
	return g, err
}

func patch(g *store.Group, p admin.GroupPatch) {
	set(&g.Channel, p.Channel)
	set(&g.Paused, p.Paused)
	set(&g.Percent, p.Percent)
	set(&g.ErrorBudget, p.ErrorBudget)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func (a *app) checkGroup(g store.Group) error {
	if _, ok := a.channels[g.Channel]; !ok {
		return fault.New(fault.NotFound, "application %s has no channel %s", a.Name, g.Channel).
			WithHint("`conifer channel set %s --release …` makes it.", g.Channel)
	}
	if g.Percent < 0 || g.Percent > 100 {
		return fault.New(fault.Invalid, "percent is %d, not 0 to 100", g.Percent)
	}
	if g.ErrorBudget < 0 {
		return fault.New(fault.Invalid, "error budget is %d, less than none", g.ErrorBudget)
	}
	return nil
}
