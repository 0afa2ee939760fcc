package fleet

import (
	"cmp"
	"context"
	"slices"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// maxRollouts is how many rollouts of a group and architecture are kept: machines on an old release are offered the newest that they
// are entitled to, so the older ones do not matter for long.
const maxRollouts = 8

// begin sends a release on its way to a group. The one before stays at what it has reached; one that was stopped before goes on with
// its old clock.
func (a *app) begin(g group, arch, version string, now time.Time) []store.Change {
	var changes []store.Change
	var stopped []store.Rollout
	own := store.Rollout{App: a.ID, Group: g.Name, Arch: arch, Version: version, Started: now}
	for k, r := range a.rollouts {
		switch {
		case k.group != g.Name || k.arch != arch:
		case k.version == version:
			own.Started, own.Emergency = r.Started, r.Emergency
		default:
			if r.Stopped.IsZero() {
				r.Reached, r.Stopped = g.reached(r, now), now
				changes = append(changes, store.PutRollout{Rollout: r})
			}
			stopped = append(stopped, r)
		}
	}
	slices.SortFunc(stopped, func(x, y store.Rollout) int { return y.Stopped.Compare(x.Stopped) })
	for _, old := range stopped[min(len(stopped), maxRollouts-1):] {
		changes = append(changes, store.RemoveRollout{App: a.ID, Group: old.Group, Arch: old.Arch, Version: old.Version})
	}
	return append(changes, store.PutRollout{Rollout: own})
}

// reached is how many ten-thousandths of its machines a rollout has come to.
func (g group) reached(r store.Rollout, now time.Time) int {
	switch {
	case !r.Stopped.IsZero():
		return r.Reached
	case r.Emergency:
		return 10000
	case g.Paused:
		now = g.PausedAt
	}
	return g.policy.Plan.Reached(now.Sub(r.Started))
}

// shift moves the clocks of a group's rollouts by the time that it was paused.
func (a *app) shift(groupName string, by time.Duration) []store.Change {
	var changes []store.Change
	for k, r := range a.rollouts {
		if k.group == groupName && r.Stopped.IsZero() {
			r.Started = r.Started.Add(by)
			changes = append(changes, store.PutRollout{Rollout: r})
		}
	}
	return changes
}

// Rollouts lists the rollouts of an application, those of one group when it is given, the newest first.
func (f *Fleet) Rollouts(ctx context.Context, appName, groupName string) ([]admin.RolloutStatus, error) {
	all := []admin.RolloutStatus{}
	var id string
	err := f.read(func(m *memory) error {
		a, err := m.find(appName)
		if err != nil {
			return err
		}
		if _, ok := a.groups[groupName]; groupName != "" && !ok {
			return a.noGroup(groupName)
		}
		all, id = m.rollouts(a, groupName, f.now()), a.ID
		return nil
	})
	if err == nil {
		f.addDownloads(ctx, id, groupName, all)
	}
	return all, err
}

func (m *memory) rollouts(a *app, groupName string, now time.Time) []admin.RolloutStatus {
	all := []admin.RolloutStatus{}
	for k, r := range a.rollouts {
		if groupName == "" || k.group == groupName {
			all = append(all, m.rolloutStatus(a, r, now))
		}
	}
	slices.SortFunc(all, func(x, y admin.RolloutStatus) int {
		return cmp.Or(cmp.Compare(x.Group, y.Group), y.Started.Compare(x.Started), cmp.Compare(x.Arch, y.Arch), cmp.Compare(x.Version, y.Version))
	})
	return all
}

func (m *memory) rolloutStatus(a *app, r store.Rollout, now time.Time) admin.RolloutStatus {
	key := releaseKey{r.Arch, r.Version}
	s := admin.RolloutStatus{
		Rollout: r, ReachedPercent: float64(a.groups[r.Group].reached(r, now)) / 100, States: map[string]int{}, Failures: a.failures[key][r.Group],
	}
	if h, halted := a.halts[key]; halted {
		s.Halt = &h
	}
	group, arch, version := m.names.numbers[r.Group], m.names.numbers[r.Arch], m.names.numbers[r.Version]
	for t, n := range m.tallies {
		if t.app != a.number || t.group != group || t.arch != arch {
			continue
		}
		s.Machines += n
		if t.version == version {
			s.Running += n
		}
		if t.target == version {
			s.States[string(t.state.state())] += n
		}
	}
	return s
}

// SpeedUp makes a rollout an emergency, or ends that: percent and windows no longer hold it back; limits, halts and the error
// budget do.
func (f *Fleet) SpeedUp(ctx context.Context, who, appName, groupName, arch, version string, on bool) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		a, err := m.find(appName)
		if err != nil {
			return nil, err
		}
		r, ok := a.rollouts[rolloutKey{groupName, arch, version}]
		if !ok {
			return nil, fault.New(fault.NotFound, "release %s for %s is not on its way to group %s", version, arch, groupName).
				WithHint("`conifer rollout list --app %s` shows what is.", a.Name)
		}
		if r.Emergency == on {
			return nil, nil
		}
		r.Emergency = on
		text := "sped up release " + version + " for " + arch + " in group " + groupName
		if !on {
			text = "slowed down release " + version + " for " + arch + " in group " + groupName
		}
		return []store.Change{store.PutRollout{Rollout: r}, f.activity(who, a.ID, text)}, nil
	})
}
