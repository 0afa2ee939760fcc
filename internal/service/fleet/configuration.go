package fleet

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// Configuration is everything that operators have decided, in an order of names.
func (f *Fleet) Configuration() admin.Configuration {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := admin.Configuration{Apps: []store.App{}, Channels: []admin.ConfigChannel{}, Groups: []store.Group{}}
	apps := slices.SortedFunc(slices.Values(f.memory.numbered), func(x, y *app) int { return cmp.Compare(x.Name, y.Name) })
	for _, a := range apps {
		c.Apps = append(c.Apps, a.App)
		for _, name := range slices.Sorted(maps.Keys(a.channels)) {
			c.Channels = append(c.Channels, admin.ConfigChannel{App: a.Name, Name: name, Releases: maps.Clone(a.channels[name].Releases)})
		}
		for _, name := range slices.Sorted(maps.Keys(a.groups)) {
			g := a.groups[name].Group
			g.App, g.PausedAt = a.Name, time.Time{}
			c.Groups = append(c.Groups, g)
		}
	}
	return c
}

// Apply makes the fleet what a configuration says, in one transaction, or says what that would be.
func (f *Fleet) Apply(ctx context.Context, who string, want admin.Apply) (admin.Applied, error) {
	applied := admin.Applied{Steps: []string{}}
	err := f.change(ctx, func(m *memory) ([]store.Change, error) {
		p := plan{f: f, who: who, scratch: m.catalog()}
		if err := p.make(want); err != nil {
			return nil, err
		}
		for _, c := range p.changes {
			if a, ok := c.(store.AddActivity); ok {
				applied.Steps = append(applied.Steps, a.Activity.Text)
			}
		}
		if want.DryRun {
			return nil, nil
		}
		return p.changes, nil
	})
	return applied, err
}

// catalog is a copy of what operators decide, without machines: what may be changed to see what comes of it.
func (m *memory) catalog() *memory {
	c := newMemory()
	for _, a := range m.numbered {
		c.putApp(a.App)
		b := c.of(a.ID)
		b.releases, b.halts, b.channels = maps.Clone(a.releases), maps.Clone(a.halts), maps.Clone(a.channels)
		b.groups, b.rollouts = maps.Clone(a.groups), maps.Clone(a.rollouts)
	}
	return c
}

// plan collects the changes that lead to a configuration. Each is made in scratch before the next is decided.
type plan struct {
	f       *Fleet
	who     string
	scratch *memory
	changes []store.Change
}

func (p *plan) add(changes []store.Change, err error) error {
	if err != nil {
		return err
	}
	for _, c := range changes {
		p.scratch.apply(c)
	}
	p.changes = append(p.changes, changes...)
	return nil
}

func (p *plan) make(want admin.Apply) error {
	for _, a := range want.Apps {
		if err := p.add(p.f.addApp(p.scratch, p.who, a)); err != nil {
			return err
		}
	}
	for _, c := range want.Channels {
		if err := p.channel(c); err != nil {
			return err
		}
	}
	for _, g := range want.Groups {
		if err := p.group(g); err != nil {
			return err
		}
	}
	if want.Prune {
		return p.prune(want)
	}
	return nil
}

func (p *plan) channel(want admin.ConfigChannel) error {
	a, err := p.scratch.find(want.App)
	if err != nil {
		return err
	}
	if err := p.add(p.f.addChannel(a, p.who, want.Name)); err != nil {
		return err
	}
	for _, arch := range slices.Sorted(maps.Keys(want.Releases)) {
		version := want.Releases[arch]
		if _, _, err := p.scratch.release(want.App, arch, version); err != nil {
			return err
		}
		if err := p.add(p.f.setChannel(a, p.who, want.Name, arch, version)); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) group(want store.Group) error {
	a, err := p.scratch.find(want.App)
	if err != nil {
		return err
	}
	if err := checkName("group", want.Name); err != nil {
		return err
	}
	want.App = a.ID
	if want.Channel == "" {
		want.Channel = want.Name
	}
	changes, _, err := p.f.setGroup(a, p.who, want)
	return p.add(changes, err)
}

// prune removes the groups and channels of the named applications that the configuration does not name.
func (p *plan) prune(want admin.Apply) error {
	for _, wanted := range want.Apps {
		a, err := p.scratch.find(wanted.ID)
		if err != nil {
			return err
		}
		named := func(app, name, what string) bool {
			b, err := p.scratch.find(app)
			return err == nil && b == a && name == what
		}
		for _, name := range slices.Sorted(maps.Keys(a.groups)) {
			if !slices.ContainsFunc(want.Groups, func(g store.Group) bool { return named(g.App, g.Name, name) }) {
				removal := []store.Change{store.RemoveGroup{App: a.ID, Name: name}, p.f.activity(p.who, a.ID, "removed group "+name)}
				if err := p.add(removal, nil); err != nil {
					return err
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(a.channels)) {
			if !slices.ContainsFunc(want.Channels, func(c admin.ConfigChannel) bool { return named(c.App, c.Name, name) }) {
				if err := p.add(p.f.removeChannel(a, p.who, name)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
