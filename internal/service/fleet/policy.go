package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
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
		return f.addChannel(a, who, name)
	})
}

func (f *Fleet) addChannel(a *app, who, name string) ([]store.Change, error) {
	if _, exists := a.channels[name]; exists {
		return nil, nil
	}
	if err := checkName("channel", name); err != nil {
		return nil, err
	}
	c := store.Channel{App: a.ID, Name: name, Releases: map[string]string{}}
	return []store.Change{store.PutChannel{Channel: c}, f.activity(who, a.ID, "added channel "+name)}, nil
}

// RemoveChannel removes a channel that no group follows.
func (f *Fleet) RemoveChannel(ctx context.Context, who, appName, name string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, err := m.find(appName)
		if err != nil {
			return nil, err
		}
		return f.removeChannel(a, who, name)
	})
}

func (f *Fleet) removeChannel(a *app, who, name string) ([]store.Change, error) {
	if _, exists := a.channels[name]; !exists {
		return nil, fault.New(fault.NotFound, "application %s has no channel %s", a.Name, name).
			WithHint("`conifer channel list --app %s` shows those that there are.", a.Name)
	}
	for _, g := range a.groups {
		if g.Channel == name {
			return nil, fault.New(fault.Conflict, "group %s follows channel %s", g.Name, name).
				WithHint("Let it follow another first: `conifer group set %s --channel …`.", g.Name)
		}
	}
	return []store.Change{store.RemoveChannel{App: a.ID, Name: name}, f.activity(who, a.ID, "removed channel "+name)}, nil
}

// SetChannel points a channel at a release, for one architecture; the channel is made when there is none. The release is on its way
// to every group that follows the channel.
func (f *Fleet) SetChannel(ctx context.Context, who, appName, name, arch, version string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, _, err := m.release(appName, arch, version)
		if err != nil {
			return nil, err
		}
		return f.setChannel(a, who, name, arch, version)
	})
}

func (f *Fleet) setChannel(a *app, who, name, arch, version string) ([]store.Change, error) {
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
	c.Releases[arch] = version
	changes := []store.Change{store.PutChannel{Channel: c}}
	for _, g := range a.groups {
		if g.Channel == name {
			changes = append(changes, a.begin(g, arch, version, f.now())...)
		}
	}
	return append(changes, f.activity(who, a.ID, fmt.Sprintf("pointed channel %s at release %s for %s", name, version, arch))), nil
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
			groups = append(groups, g.Group)
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
		if g = old.Group; !exists {
			g = newGroup(a.ID, name)
		}
		patch(&g, p)
		var changes []store.Change
		changes, g, err = f.setGroup(a, who, g)
		return changes, err
	})
	return g, err
}

// newGroup is a group that nobody has decided anything about.
func newGroup(app, name string) store.Group {
	return store.Group{App: app, Name: name, Channel: name, Percent: "100", ErrorBudget: "0", SilentAfter: rollout.FormatDuration(defaultPolicy.SilentAfter)}
}

// setGroup makes a group what it is to be. Its texts become canonical, its clocks stand still while it is paused, and what
// its channel points at is on its way to it.
func (f *Fleet) setGroup(a *app, who string, want store.Group) ([]store.Change, store.Group, error) {
	now := f.now()
	old, exists := a.groups[want.Name]
	policy, err := rollout.ParsePolicy(policyText(want))
	if err != nil {
		return nil, want, err
	}
	canonical(&want, policy)
	if err := a.checkGroup(want); err != nil {
		return nil, want, err
	}
	if want.PausedAt = old.PausedAt; want.Paused && !old.Paused {
		want.PausedAt = now
	} else if !want.Paused {
		want.PausedAt = time.Time{}
	}
	if exists && equal(old.Group, want) {
		return nil, want, nil
	}
	changes := []store.Change{store.PutGroup{Group: want}}
	if old.Paused && !want.Paused {
		changes = append(changes, a.shift(want.Name, now.Sub(old.PausedAt))...)
	}
	if !exists || old.Channel != want.Channel {
		for arch, version := range a.channels[want.Channel].Releases {
			changes = append(changes, a.begin(group{want, policy}, arch, version, now)...)
		}
	}
	text := "set " + describeGroup(want)
	if exists {
		text = "set group " + want.Name + ": " + differences(old.Group, want)
	}
	return append(changes, f.activity(who, a.ID, text)), want, nil
}

func policyText(g store.Group) rollout.PolicyText {
	return rollout.PolicyText{
		Percent: g.Percent, MaxPerPeriod: g.MaxPerPeriod, ErrorBudget: g.ErrorBudget, SilentAfter: g.SilentAfter, MaxAtOnce: g.MaxAtOnce, Windows: g.Windows,
	}
}

// canonical writes the policy's texts as they are always written.
func canonical(g *store.Group, p rollout.Policy) {
	g.Percent, g.ErrorBudget, g.SilentAfter, g.MaxPerPeriod = p.Plan.String(), p.Budget.String(), rollout.FormatDuration(p.SilentAfter), p.Rate.String()
	g.Windows = nil
	for _, w := range p.Windows {
		g.Windows = append(g.Windows, w.String())
	}
}

// defaultPolicy is that of a group that says nothing.
var defaultPolicy = func() rollout.Policy {
	p, err := rollout.ParsePolicy(rollout.PolicyText{})
	if err != nil {
		panic(err)
	}
	return p
}()

// policyOf is the policy of a stored group: it was checked when it was stored. One that an older program wrote otherwise offers nothing.
func policyOf(g store.Group) rollout.Policy {
	p, err := rollout.ParsePolicy(policyText(g))
	if err != nil {
		p, _ = rollout.ParsePolicy(rollout.PolicyText{Percent: "0"})
	}
	return p
}

func equal(a, b store.Group) bool {
	windows := slices.Equal(a.Windows, b.Windows)
	return windows && reflect.DeepEqual(withoutWindows(a), withoutWindows(b))
}

func withoutWindows(g store.Group) store.Group {
	g.Windows = nil
	return g
}

func describeGroup(g store.Group) string {
	text := fmt.Sprintf("group %s: channel %s, percent %s, error budget %s, silent after %s", g.Name, g.Channel, g.Percent, g.ErrorBudget, g.SilentAfter)
	if g.MaxPerPeriod != "" {
		text += ", at most " + g.MaxPerPeriod
	}
	if g.MaxAtOnce > 0 {
		text += fmt.Sprintf(", at most %d at once", g.MaxAtOnce)
	}
	for _, w := range g.Windows {
		text += ", window " + w
	}
	if g.Pin != "" {
		text += fmt.Sprintf(", pinned to %s, downgrade %t", g.Pin, g.Downgrade)
	}
	if g.Paused {
		text += ", paused"
	}
	return text
}

// differences says what changes in a group.
func differences(old, want store.Group) string {
	var parts []string
	part := func(what, from, to string) {
		if from != to {
			parts = append(parts, fmt.Sprintf("%s %s → %s", what, orNone(from), orNone(to)))
		}
	}
	part("channel", old.Channel, want.Channel)
	part("percent", old.Percent, want.Percent)
	part("max per period", old.MaxPerPeriod, want.MaxPerPeriod)
	part("max at once", positive(old.MaxAtOnce), positive(want.MaxAtOnce))
	part("error budget", old.ErrorBudget, want.ErrorBudget)
	part("windows", strings.Join(old.Windows, " and "), strings.Join(want.Windows, " and "))
	part("silent after", old.SilentAfter, want.SilentAfter)
	part("pin", old.Pin, want.Pin)
	part("downgrade", allowed(old.Downgrade), allowed(want.Downgrade))
	part("offers", offering(old.Paused), offering(want.Paused))
	return strings.Join(parts, ", ")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func positive(n int) string {
	if n > 0 {
		return strconv.Itoa(n)
	}
	return ""
}

func allowed(yes bool) string {
	if yes {
		return "allowed"
	}
	return "not allowed"
}

func offering(paused bool) string {
	if paused {
		return "paused"
	}
	return "open"
}

// RemoveGroup removes a group with its rollouts. Its machines are no longer offered anything.
func (f *Fleet) RemoveGroup(ctx context.Context, who, appName, name string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, err := m.find(appName)
		if err != nil {
			return nil, err
		}
		if _, exists := a.groups[name]; !exists {
			return nil, a.noGroup(name)
		}
		return []store.Change{store.RemoveGroup{App: a.ID, Name: name}, f.activity(who, a.ID, "removed group "+name)}, nil
	})
}

func (a *app) noGroup(name string) error {
	return fault.New(fault.NotFound, "application %s has no group %s", a.Name, name).
		WithHint("`conifer group list --app %s` shows those that there are, `conifer group set` makes one.", a.Name)
}

func patch(g *store.Group, p admin.GroupPatch) {
	set(&g.Channel, p.Channel)
	set(&g.Paused, p.Paused)
	set(&g.Percent, p.Percent)
	set(&g.MaxPerPeriod, p.MaxPerPeriod)
	set(&g.MaxAtOnce, p.MaxAtOnce)
	set(&g.ErrorBudget, p.ErrorBudget)
	set(&g.Windows, p.Windows)
	set(&g.SilentAfter, p.SilentAfter)
	set(&g.Pin, p.Pin)
	set(&g.Downgrade, p.Downgrade)
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
	if g.MaxAtOnce < 0 {
		return fault.New(fault.Invalid, "max at once is %d, less than none", g.MaxAtOnce).WithHint("0 is no limit; --paused offers nothing.")
	}
	if g.Downgrade && g.Pin == "" {
		return fault.New(fault.Invalid, "group %s allows a downgrade without a pin", g.Name).WithHint("Say to which release: --pin VERSION.")
	}
	if g.Pin == "" {
		return nil
	}
	for k := range a.releases {
		if k.version == g.Pin {
			return nil
		}
	}
	return fault.New(fault.NotFound, "application %s has no release %s to pin group %s to", a.Name, g.Pin, g.Name).
		WithHint("`conifer release list --app %s` shows those that there are.", a.Name)
}
