package fleet

import (
	"context"
	"fmt"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// memory is every record that answers depend on. The fleet's lock guards it.
type memory struct {
	apps     map[string]*app // by canonical id and product id
	numbered []*app
	names    symbols
	machines table
	tallies  map[tally]int
	tokens   map[string]store.Token
}

// releaseKey names a release of an application.
type releaseKey struct{ arch, version string }

// rolloutKey names a rollout of an application.
type rolloutKey struct{ group, arch, version string }

// app is an application with all that belongs to it, except its machines.
type app struct {
	store.App
	number   uint16
	releases map[releaseKey]*store.Release // a changed release is another value: answers may still hold the old one
	halts    map[releaseKey]store.Halt
	channels map[string]store.Channel
	groups   map[string]group
	rollouts map[rolloutKey]store.Rollout
	failures map[releaseKey]map[string]int // bars of a release by group
	routes   map[way]*route                // derived from all of the above; see routeOf
}

// group is a group with its policy as rollout understands it.
type group struct {
	store.Group
	policy rollout.Policy
}

func newMemory() *memory {
	return &memory{
		apps: map[string]*app{}, names: newSymbols(), machines: newTable(), tallies: map[tally]int{}, tokens: map[string]store.Token{},
	}
}

func newApp(number int) *app {
	return &app{
		number:   uint16(number),
		releases: map[releaseKey]*store.Release{}, halts: map[releaseKey]store.Halt{},
		channels: map[string]store.Channel{}, groups: map[string]group{}, rollouts: map[rolloutKey]store.Rollout{},
		failures: map[releaseKey]map[string]int{}, routes: map[way]*route{},
	}
}

// load makes a memory of what the store holds.
func load(ctx context.Context, s Store) (*memory, error) {
	m := newMemory()
	err := s.Load(ctx, func(c store.Change) error {
		m.apply(c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the fleet: %w", err)
	}
	return m, nil
}

// of is the application that a machine asks for, or nil.
func (m *memory) of(id string) *app {
	if a := m.apps[id]; a != nil {
		return a
	}
	return m.apps[omaha.CanonicalID(id)]
}

func (m *memory) appAt(number uint16) *app { return m.numbered[number] }

// find is the application with the id or name.
func (m *memory) find(idOrName string) (*app, error) {
	if a := m.of(idOrName); a != nil {
		return a, nil
	}
	for _, a := range m.numbered {
		if a.Name == idOrName {
			return a, nil
		}
	}
	return nil, fault.New(fault.NotFound, "application %q is unknown", idOrName).
		WithHint("`conifer app list` shows those that are known, `conifer app add` makes one.")
}

// machine is a machine that an operator names.
func (m *memory) machine(appName, id string) (*app, uint32, error) {
	a, err := m.find(appName)
	if err != nil {
		return nil, 0, err
	}
	i, known := m.machines.find(a.number, id)
	if !known {
		return nil, 0, fault.New(fault.NotFound, "no machine %s has ever asked about application %s", id, a.Name).
			WithHint("`conifer machine list --app %s` shows those that have.", a.Name)
	}
	return a, i, nil
}

// apply makes one change. It is called with what was checked, or was stored: it cannot fail. What refers to a record that is not
// there, as a late message of another replica may, changes nothing.
func (m *memory) apply(change store.Change) {
	switch c := change.(type) {
	case store.PutApp:
		m.putApp(c.App)
	case store.PutMachine:
		if a := m.of(c.Machine.App); a != nil {
			m.put(a, c.Machine)
		}
	case store.RemoveMachine:
		m.removeMachine(c.App, c.ID)
	case store.PutBar:
		m.bar(c.Bar)
	case store.RemoveBar:
		m.unbar(c.App, c.Machine, c.Version)
	case store.PutPin:
		m.pin(c.Pin.App, c.Pin.Machine, &c.Pin)
	case store.RemovePin:
		m.pin(c.App, c.Machine, nil)
	case store.PutToken:
		m.tokens[c.Token.ID] = c.Token
	case store.RemoveToken:
		delete(m.tokens, c.ID)
	case store.EndGrant:
		m.endGrant(c.App, c.Machine)
	case store.AddEvent, store.AddActivity, store.AddSample, store.AddDownloads: // logs and counts are not in memory
	default:
		m.applyCatalog(change)
	}
}

// applyCatalog makes a change of what operators decide. The routes of the application are derived anew.
func (m *memory) applyCatalog(change store.Change) {
	a := m.of(appOf(change))
	if a == nil {
		return
	}
	clear(a.routes)
	switch c := change.(type) {
	case store.PutRelease:
		m.names.number(c.Release.Arch)
		m.names.number(c.Release.Version)
		a.releases[releaseKey{c.Release.Arch, c.Release.Version}] = &c.Release
	case store.RemoveRelease:
		delete(a.releases, releaseKey{c.Arch, c.Version})
	case store.PutChannel:
		a.channels[c.Channel.Name] = c.Channel
	case store.RemoveChannel:
		delete(a.channels, c.Name)
	case store.PutGroup:
		m.names.number(c.Group.Name)
		a.groups[c.Group.Name] = group{c.Group, policyOf(c.Group)}
	case store.RemoveGroup:
		delete(a.groups, c.Name)
		for k := range a.rollouts {
			if k.group == c.Name {
				delete(a.rollouts, k)
			}
		}
	case store.PutHalt:
		a.halts[releaseKey{c.Halt.Arch, c.Halt.Version}] = c.Halt
	case store.RemoveHalt:
		delete(a.halts, releaseKey{c.Arch, c.Version})
	case store.PutRollout:
		a.rollouts[rolloutKey{c.Rollout.Group, c.Rollout.Arch, c.Rollout.Version}] = c.Rollout
	case store.RemoveRollout:
		delete(a.rollouts, rolloutKey{c.Group, c.Arch, c.Version})
	default:
		panic(fmt.Sprintf("%T is no change that the fleet knows", change))
	}
}

// appOf names the application that a change of the catalog is about.
func appOf(change store.Change) string {
	switch c := change.(type) {
	case store.PutRelease:
		return c.Release.App
	case store.RemoveRelease:
		return c.App
	case store.PutChannel:
		return c.Channel.App
	case store.RemoveChannel:
		return c.App
	case store.PutGroup:
		return c.Group.App
	case store.RemoveGroup:
		return c.App
	case store.PutHalt:
		return c.Halt.App
	case store.RemoveHalt:
		return c.App
	case store.PutRollout:
		return c.Rollout.App
	case store.RemoveRollout:
		return c.App
	}
	return ""
}

func (m *memory) putApp(in store.App) {
	a := m.apps[omaha.CanonicalID(in.ID)]
	if a == nil {
		a = newApp(len(m.numbered))
		m.numbered = append(m.numbered, a)
	}
	if a.ProductID != "" {
		delete(m.apps, omaha.CanonicalID(a.ProductID))
	}
	a.App = in
	m.apps[omaha.CanonicalID(in.ID)] = a
	if in.ProductID != "" {
		m.apps[omaha.CanonicalID(in.ProductID)] = a
	}
}

// known is a machine that a change names, if it is there.
func (m *memory) known(appID, machine string) (a *app, i uint32, ok bool) {
	if a = m.of(appID); a == nil {
		return nil, 0, false
	}
	i, ok = m.machines.find(a.number, machine)
	return a, i, ok
}

func (m *memory) removeMachine(appID, id string) {
	a, i, ok := m.known(appID, id)
	if !ok {
		return
	}
	for _, b := range m.machines.bars[i] {
		a.fail(b, -1)
	}
	m.uncount(m.machines.at(i))
	m.machines.remove(i)
}

// bar keeps a bar with its machine, in place of an older one for the same release.
func (m *memory) bar(b store.Bar) {
	m.unbar(b.App, b.Machine, b.Version)
	if a, i, ok := m.known(b.App, b.Machine); ok {
		m.machines.bars[i] = append(slices.Clone(m.machines.bars[i]), b)
		m.machines.at(i).set(barred, true)
		a.fail(b, 1)
	}
}

func (m *memory) unbar(appID, machine, version string) {
	a, i, ok := m.known(appID, machine)
	if !ok {
		return
	}
	var kept []store.Bar
	for _, b := range m.machines.bars[i] {
		if b.Version == version {
			a.fail(b, -1)
		} else {
			kept = append(kept, b)
		}
	}
	m.machines.bars[i] = kept
	if len(kept) == 0 {
		delete(m.machines.bars, i)
	}
	m.machines.at(i).set(barred, len(kept) > 0)
}

// fail counts a bar of a release in its group, or takes it back.
func (a *app) fail(b store.Bar, by int) {
	k := releaseKey{b.Arch, b.Version}
	if a.failures[k] == nil {
		a.failures[k] = map[string]int{}
	}
	a.failures[k][b.Group] += by
}

func (m *memory) pin(appID, machine string, p *store.Pin) {
	_, i, ok := m.known(appID, machine)
	if !ok {
		return
	}
	delete(m.machines.pins, i)
	if p != nil {
		m.machines.pins[i] = *p
	}
	m.machines.at(i).set(pinned, p != nil)
}

func (m *memory) endGrant(appID, machine string) {
	if _, i, ok := m.known(appID, machine); ok {
		m.machines.at(i).set(granted, false)
	}
}
