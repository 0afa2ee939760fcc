package fleet

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

const (
	sweepEvery = time.Minute
	pruneEvery = time.Hour
	sweepChunk = slabSize // records looked at before the lock is given back
)

// steps are the resolutions of the time series, and how long each is kept.
var steps = []struct{ step, keep time.Duration }{
	{5 * time.Minute, 48 * time.Hour},
	{time.Hour, 60 * 24 * time.Hour},
	{24 * time.Hour, 3 * 365 * 24 * time.Hour},
}

// keep does what time brings: machines that fell silent, samples, and forgetting.
func (f *Fleet) keep(ctx context.Context) {
	last, pruned := f.now(), time.Time{}
	for {
		pause(ctx, sweepEvery)
		if ctx.Err() != nil {
			return
		}
		now := f.now()
		f.sweep(ctx, now)
		f.sample(last, now)
		if now.Sub(pruned) >= pruneEvery {
			pruned = now
			f.prune(ctx, now)
		}
		last = now
	}
}

// suspect is a machine that seems to be silent for too long.
type suspect struct {
	app    *app
	id     string
	forget bool // it was silent for so long that it is gone
}

// sweep looks at every machine, a slab at a time, for those that were silent for too long. A replica does not hear of every poll that
// another one answered, so the store is asked before anything is concluded.
func (f *Fleet) sweep(ctx context.Context, now time.Time) {
	for from := uint32(0); ; from += sweepChunk {
		suspects, more := f.suspects(from, now)
		if len(suspects) > 0 && !f.resolve(ctx, suspects, now) || !more {
			return
		}
	}
}

func (f *Fleet) suspects(from uint32, now time.Time) (found []suspect, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.memory
	for i := from; i < min(from+sweepChunk, m.machines.length); i++ {
		r := m.machines.at(i)
		if r.flags&used == 0 {
			continue
		}
		a := m.appAt(r.app)
		silent := now.Sub(seconds(r.lastSeen))
		forget := f.options.Retention.Machines > 0 && silent > f.options.Retention.Machines
		_, _, over := rollout.Silent(m.progress(r), silent, a.silentAfter(m.names.text(r.group)))
		if forget || over {
			found = append(found, suspect{a, m.machines.id(i), forget})
		}
	}
	return found, from+sweepChunk < m.machines.length
}

// silentAfter is the patience with machines of a group.
func (a *app) silentAfter(groupName string) time.Duration {
	if g, ok := a.groups[groupName]; ok {
		return g.policy.SilentAfter
	}
	return defaultPolicy.SilentAfter
}

// resolve asks the store when suspects were last seen by any replica, and follows those that stay suspect. It reports false when the
// store does not answer.
func (f *Fleet) resolve(ctx context.Context, suspects []suspect, now time.Time) bool {
	byApp := map[*app][]string{}
	for _, s := range suspects {
		byApp[s.app] = append(byApp[s.app], s.id)
	}
	for a, ids := range byApp {
		stored, err := f.store.Machines(ctx, a.ID, ids)
		if err != nil {
			f.log.Warn("silent machines were not looked up", "error", err)
			return false
		}
		f.mu.Lock()
		for _, machine := range stored {
			if _, i, known := f.memory.known(a.ID, machine.ID); known {
				r := f.memory.machines.at(i)
				r.lastSeen = max(r.lastSeen, unix(machine.LastSeen))
			}
		}
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writable() != nil {
		return false
	}
	var news []store.Change
	for _, s := range suspects {
		news = append(news, f.conclude(s, now)...)
	}
	if len(news) > 0 {
		f.enqueue(news)
	}
	return true
}

// conclude follows a machine through its silence, and returns what is to be made durable.
func (f *Fleet) conclude(s suspect, now time.Time) []store.Change {
	m := f.memory
	a, i, known := m.known(s.app.ID, s.id) // the memory may have been loaded anew since it was suspected
	if !known {
		return nil
	}
	r := m.machines.at(i)
	silent := now.Sub(seconds(r.lastSeen))
	if s.forget && silent > f.options.Retention.Machines {
		change := store.RemoveMachine{App: a.ID, ID: s.id}
		m.apply(change)
		return []store.Change{change}
	}
	group, arch := m.names.text(r.group), m.names.text(r.arch)
	p, ending, over := rollout.Silent(m.progress(r), silent, a.silentAfter(group))
	if !over {
		return nil
	}
	f.follow(a, i, p, now)
	news := f.blame(a, s.id, group, arch, ending, now)
	if ending.Bad() {
		news = append(news, store.AddEvent{Event: store.Event{
			App: a.ID, Machine: s.id, At: now, Version: p.Version, Target: p.Target, State: p.State,
		}})
	}
	return f.save(news, i)
}

// sample writes how every group is at the end of each step of the time series that ended between last and now.
func (f *Fleet) sample(last, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var changes []store.Change
	for _, s := range steps {
		at := now.Truncate(s.step)
		if !at.After(last) {
			continue
		}
		for _, a := range f.memory.numbered {
			for name := range a.groups {
				c := f.memory.census(a, name)
				changes = append(changes, store.AddSample{Sample: store.Sample{
					App: a.ID, Group: name, At: at, Step: s.step, States: c.states, Versions: c.versions,
				}})
			}
		}
	}
	if len(changes) > 0 && f.writable() == nil {
		f.enqueue(changes)
	}
}

func (f *Fleet) prune(ctx context.Context, now time.Time) {
	before := func(keep time.Duration) time.Time {
		if keep <= 0 {
			return time.Time{}
		}
		return now.Add(-keep)
	}
	cutoffs := store.Cutoffs{
		Events: before(f.options.Retention.Events), Activity: before(f.options.Retention.Activity), Samples: map[time.Duration]time.Time{},
	}
	for _, s := range steps {
		cutoffs.Samples[s.step] = before(s.keep)
	}
	rows, err := f.store.Prune(ctx, cutoffs)
	if err != nil {
		f.log.Warn("what is old was not forgotten", "error", err)
		return
	}
	if rows > 0 {
		f.log.Info("what was old is forgotten", "rows", rows)
	}
}
