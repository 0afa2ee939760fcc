package fleet

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
	"conifer.dev/conifer/internal/wire/release"
)

// Contact is what one application on one machine says in one request.
type Contact struct {
	App     string // id, as the machine wrote it
	Machine string // id; empty is answered and not registered
	Alias   string
	Group   string
	Version string
	Arch    string
	BootID  string
	Address string
	Check   bool // it asks for an update
	Events  []omaha.Event
}

// Answer is what the machine is told.
type Answer struct {
	Known    bool             // the application is
	Decision rollout.Decision // when it asked
	Release  *store.Release   // the offered one, or nil
}

// Contact registers the machine, takes its events and decides what it is offered. Events are durable when it
// returns without an error; a poll alone waits for nothing.
func (f *Fleet) Contact(ctx context.Context, c Contact) (Answer, error) {
	f.mu.Lock()
	a := f.memory.of(c.App)
	if a == nil {
		f.mu.Unlock()
		f.Metrics.count(c, Answer{})
		return Answer{}, nil
	}
	m := a.greet(c, f.now())
	news := a.listen(&m, c, f.now())
	var done chan error
	var err error
	if len(news) > 0 {
		if done, err = f.commit(append(news, store.PutMachine{Machine: m})); err != nil {
			f.mu.Unlock()
			return Answer{}, err
		}
	}
	answer := Answer{Known: true}
	if c.Check {
		answer = a.answer(m, c)
		m.Progress = m.Progress.Checked(answer.Decision.Version)
	}
	if c.Machine != "" {
		f.memory.apply(store.PutMachine{Machine: m})
		f.dirty[machineKey{omaha.CanonicalID(a.ID), m.ID}] = struct{}{}
	}
	f.mu.Unlock()
	f.Metrics.count(c, answer)
	if done == nil {
		return answer, nil
	}
	return answer, wait(ctx, done)
}

// greet is the machine's record with what it says about itself now.
func (a *app) greet(c Contact, now time.Time) store.Machine {
	m := store.Machine{App: a.ID, ID: c.Machine, FirstSeen: now, Progress: rollout.Progress{State: rollout.Idle, Version: c.Version}}
	if known := a.machines[c.Machine]; known != nil {
		m = *known
	}
	m.Alias, m.Group, m.Arch, m.BootID, m.Address, m.LastSeen = c.Alias, c.Group, c.Arch, c.BootID, c.Address, now
	return m
}

// listen follows the machine through its version and its events, and returns what is to be made durable.
func (a *app) listen(m *store.Machine, c Contact, now time.Time) []store.Change {
	if c.Machine == "" {
		return nil
	}
	var news []store.Change
	var events []omaha.Event
	for _, e := range c.Events {
		if rollout.Tells(e) {
			events = append(events, e)
		}
	}
	before := m.Progress
	m.Progress = before.Runs(c.Version)
	if m.Progress != before && m.State == rollout.Complete && len(events) == 0 {
		// The release runs, and its own event of that is still to come or was lost.
		events = []omaha.Event{{Type: omaha.UpdateComplete, Result: omaha.SuccessReboot, PreviousVersion: before.Version}}
	}
	for _, e := range events {
		news = append(news, a.hear(m, e, now)...)
	}
	return news
}

// hear follows the machine through one event.
func (a *app) hear(m *store.Machine, e omaha.Event, now time.Time) []store.Change {
	if m.Target == "" && e.NextVersion == "" {
		m.Target = a.presumedTarget(*m)
	}
	next, ending := m.Progress.Advance(e)
	m.Progress = next
	news := []store.Change{store.AddEvent{Event: store.Event{
		App: a.ID, Machine: m.ID, At: now, Type: e.Type, Result: e.Result, Code: e.ErrorCode,
		Version: m.Version, Previous: e.PreviousVersion, Target: m.Target, State: m.State,
	}}}
	key := releaseKey{m.Arch, ending.Version}
	if _, known := a.releases[key]; !ending.Bad() || !known {
		return news
	}
	bar := store.Bar{
		App: a.ID, Machine: m.ID, Arch: m.Arch, Version: ending.Version, Group: m.Group, State: ending.State, Reason: ending.Text, At: now,
	}
	return append(append(news, store.PutBar{Bar: bar}), a.judge(*m, ending, now)...)
}

// presumedTarget is the release that a machine's event must be about when the offer was forgotten: that an offer
// was made is written late, so that a crash can lose it.
func (a *app) presumedTarget(m store.Machine) string {
	version := a.channels[a.groups[m.Group].Channel].Releases[m.Arch]
	if version != "" && release.Compare(m.Version, version) < 0 {
		return version
	}
	return ""
}

// judge halts the release when its ending on the machine is more than the error budget of the group allows.
func (a *app) judge(m store.Machine, ending rollout.Ending, now time.Time) []store.Change {
	key := releaseKey{m.Arch, ending.Version}
	if _, halted := a.halts[key]; halted {
		return nil
	}
	failures := a.failures(key, m.Group)
	if _, again := a.bars[key][m.ID]; !again {
		failures++ // the bar of this ending is not in memory yet
	}
	group := rollout.Group{Name: m.Group}
	if g, ok := a.groups[m.Group]; ok {
		group = policy(g)
	}
	reason, halt := rollout.Judge(group, failures, ending)
	if !halt {
		return nil
	}
	by := "the error budget of group " + m.Group
	return []store.Change{
		store.PutHalt{Halt: store.Halt{App: a.ID, Arch: m.Arch, Version: ending.Version, Reason: reason, By: by, At: now}},
		store.AddActivity{Activity: store.Activity{At: now, Who: by, App: a.ID, Text: "halted release " + ending.Version + " for " + m.Arch + ": " + reason}},
	}
}

// answer decides what the machine is offered.
func (a *app) answer(m store.Machine, c Contact) Answer {
	decision := rollout.Offer(a.situation(m, c.App))
	answer := Answer{Known: true, Decision: decision}
	if decision.Offered() {
		r := a.releases[releaseKey{m.Arch, decision.Version}]
		answer.Release = &r
	}
	return answer
}

// situation gathers what the decision about a machine depends on.
func (a *app) situation(m store.Machine, appID string) rollout.Case {
	c := rollout.Case{
		App: appID, AppKnown: true, Track: m.Group,
		Machine: rollout.Machine{ID: m.ID, Version: m.Version, Arch: m.Arch},
	}
	g, ok := a.groups[m.Group]
	if !ok {
		return c
	}
	group := policy(g)
	c.Group = &group
	version, ok := a.channels[g.Channel].Releases[m.Arch]
	if !ok {
		return c
	}
	key := releaseKey{m.Arch, version}
	c.Release = &rollout.Release{Version: version}
	if h, halted := a.halts[key]; halted {
		c.Release.Halt = &rollout.Halt{Reason: h.Reason, By: h.By, At: h.At}
	}
	if b, barred := a.bars[key][m.ID]; barred {
		c.Barred = b.Reason
	}
	return c
}

func policy(g store.Group) rollout.Group {
	return rollout.Group{Name: g.Name, Channel: g.Channel, Paused: g.Paused, Percent: g.Percent, ErrorBudget: g.ErrorBudget}
}
