package fleet

import (
	"context"
	"fmt"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// memory is every record that answers depend on. The fleet's lock guards it.
type memory struct {
	apps map[string]*app // by canonical id
}

// releaseKey names a release of an application.
type releaseKey struct{ arch, version string }

// machineKey names a machine with an application; app is canonical.
type machineKey struct{ app, id string }

// app is an application with all that belongs to it.
type app struct {
	store.App
	releases map[releaseKey]store.Release
	halts    map[releaseKey]store.Halt
	channels map[string]store.Channel
	groups   map[string]store.Group
	machines map[string]*store.Machine
	bars     map[releaseKey]map[string]store.Bar // by machine
}

func newApp() *app {
	return &app{
		releases: map[releaseKey]store.Release{}, halts: map[releaseKey]store.Halt{},
		channels: map[string]store.Channel{}, groups: map[string]store.Group{},
		machines: map[string]*store.Machine{}, bars: map[releaseKey]map[string]store.Bar{},
	}
}

// load makes a memory of what the store holds.
func load(ctx context.Context, s Store) (*memory, error) {
	m := &memory{apps: map[string]*app{}}
	err := s.Load(ctx, func(c store.Change) error {
		m.apply(c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the fleet: %w", err)
	}
	return m, nil
}

// of is the application with an id that is known to exist.
func (m *memory) of(id string) *app { return m.apps[omaha.CanonicalID(id)] }

// find is the application with the id or name.
func (m *memory) find(idOrName string) (*app, error) {
	if a := m.of(idOrName); a != nil {
		return a, nil
	}
	for _, a := range m.apps {
		if a.Name == idOrName {
			return a, nil
		}
	}
	return nil, fault.New(fault.NotFound, "application %q is unknown", idOrName).
		WithHint("`conifer app list` shows those that are known, `conifer app add` makes one.")
}

func (m *memory) machine(key machineKey) *store.Machine {
	if a := m.apps[key.app]; a != nil {
		return a.machines[key.id]
	}
	return nil
}

// apply makes one change. It is called with what was checked, or was stored: it cannot fail.
func (m *memory) apply(change store.Change) {
	switch c := change.(type) {
	case store.PutApp:
		key := omaha.CanonicalID(c.App.ID)
		if m.apps[key] == nil {
			m.apps[key] = newApp()
		}
		m.apps[key].App = c.App
	case store.PutRelease:
		m.of(c.Release.App).releases[releaseKey{c.Release.Arch, c.Release.Version}] = c.Release
	case store.RemoveRelease:
		delete(m.of(c.App).releases, releaseKey{c.Arch, c.Version})
	case store.PutChannel:
		m.of(c.Channel.App).channels[c.Channel.Name] = c.Channel
	case store.PutGroup:
		m.of(c.Group.App).groups[c.Group.Name] = c.Group
	case store.PutMachine:
		m.of(c.Machine.App).machines[c.Machine.ID] = &c.Machine
	case store.PutBar:
		m.of(c.Bar.App).bar(c.Bar)
	case store.RemoveBar:
		m.of(c.App).unbar(c.Machine, c.Version)
	case store.PutHalt:
		m.of(c.Halt.App).halts[releaseKey{c.Halt.Arch, c.Halt.Version}] = c.Halt
	case store.RemoveHalt:
		delete(m.of(c.App).halts, releaseKey{c.Arch, c.Version})
	case store.AddEvent, store.AddActivity: // logs are not in memory
	default:
		panic(fmt.Sprintf("%T is no change that the fleet knows", change))
	}
}

func (a *app) bar(b store.Bar) {
	key := releaseKey{b.Arch, b.Version}
	if a.bars[key] == nil {
		a.bars[key] = map[string]store.Bar{}
	}
	a.bars[key][b.Machine] = b
}

func (a *app) unbar(machine, version string) {
	for key, bars := range a.bars {
		if key.version == version {
			delete(bars, machine)
		}
	}
}

// failures counts the machines of a group that are barred from a release.
func (a *app) failures(key releaseKey, group string) int {
	n := 0
	for _, b := range a.bars[key] {
		if b.Group == group {
			n++
		}
	}
	return n
}
