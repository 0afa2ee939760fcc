package fleet

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// Contact is what one application on one machine says in one request. Its texts may share memory with the request.
type Contact struct {
	App      string // id, as the machine wrote it
	Machine  string // id; empty is answered and not registered
	Alias    string
	Group    string
	Version  string
	Arch     string
	Wariness string // 0 to 1, "" when the machine does not say
	Payloads string // the features of payloads that it can apply, as words
	Manual   bool   // a person asked on the machine
	Address  netip.Addr
	Check    bool // it asks for an update
	Events   []omaha.Event
}

// Answer is what the machine is told.
type Answer struct {
	Known       bool           // the application is
	Release     *store.Release // the offered one, or nil; not to be changed
	Delta       *store.Delta   // the payload to offer in place of the full one, or nil; not to be changed
	Rule        string         // that refused an offer
	PollSeconds int            // when to ask again, 0 when the machine's own interval will do
}

// Contact registers the machine, takes its events and decides what it is offered. Events are durable, and so is a place under
// a limit, when it returns without an error; a poll alone waits for nothing.
func (f *Fleet) Contact(ctx context.Context, c Contact) (Answer, error) {
	now := f.now()
	f.mu.Lock()
	a := f.memory.of(c.App)
	if a == nil {
		f.mu.Unlock()
		f.Metrics.unknown.Inc()
		return Answer{}, nil
	}
	i, known, registered := f.greet(a, &c, now)
	if !registered {
		answer := f.answerStranger(a, &c, now)
		f.mu.Unlock()
		f.Metrics.count(c.Check, answer)
		return answer, nil
	}
	done, err := f.listen(a, i, &c, now)
	if err != nil {
		f.mu.Unlock()
		return Answer{}, err
	}
	answer := Answer{Known: true}
	if c.Check {
		answer = f.decide(ctx, a, i, known, &c, now)
	}
	f.mu.Unlock()
	f.Metrics.count(c.Check, answer)
	f.Metrics.events.Add(float64(len(c.Events)))
	if done == nil {
		return answer, nil
	}
	return answer, wait(ctx, done)
}

// greet finds the machine's record, or makes one, and takes note of what the machine says about itself. It reports false for one that is
// not registered: it has no id, or there is no room.
func (f *Fleet) greet(a *app, c *Contact, now time.Time) (i uint32, known, registered bool) {
	m := f.memory
	i, known = m.machines.find(a.number, c.Machine)
	if !known {
		i, registered = f.register(a, c, now)
		return i, false, registered
	}
	r := m.machines.at(i)
	r.lastSeen = unix(now)
	group, ok1 := m.names.number(c.Group)
	arch, ok2 := m.names.number(c.Arch)
	address := packAddress(c.Address)
	changed := m.machines.setAlias(i, clip(c.Alias))
	if (group != r.group || arch != r.arch) && ok1 && ok2 {
		m.uncount(r)
		r.group, r.arch, changed = group, arch, true
		m.count(r)
	}
	if address != r.address {
		r.address, changed = address, true
	}
	if changed {
		f.mark(i)
	}
	return i, true, true
}

// maxText is how long an id or alias may be that is kept for each machine, in bytes: strangers choose them. A machine with a longer id is
// answered and not registered, a longer alias is cut.
const maxText = 128

func clip(alias string) string {
	if len(alias) <= maxText {
		return alias
	}
	return strings.ToValidUTF8(alias[:maxText], "")
}

// register makes a record for a machine that was never seen.
func (f *Fleet) register(a *app, c *Contact, now time.Time) (uint32, bool) {
	m := f.memory
	if c.Machine == "" || len(c.Machine) > maxText || len(m.machines.index) >= f.options.MaxMachines {
		return 0, false
	}
	version, ok1 := m.names.number(c.Version)
	group, ok2 := m.names.number(c.Group)
	arch, ok3 := m.names.number(c.Arch)
	if !ok1 || !ok2 || !ok3 {
		return 0, false
	}
	i := m.machines.add(a.number, c.Machine)
	m.machines.setAlias(i, clip(c.Alias))
	r := m.machines.at(i)
	r.version, r.group, r.arch, r.address = version, group, arch, packAddress(c.Address)
	r.firstSeen, r.lastSeen, r.since = unix(now), unix(now), unix(now)
	r.state = stateNumbers[rollout.Idle]
	m.count(r)
	f.mark(i)
	return i, true
}

// mark puts a record into the list of those to be written.
func (f *Fleet) mark(i uint32) {
	r := f.memory.machines.at(i)
	if r.flags&dirty == 0 {
		r.flags |= dirty
		f.dirty = append(f.dirty, i)
	}
}

// listen follows the machine through its version and its events. What they change is on its way to the store when it
// returns; done tells when it is there, and is nil when there is nothing to wait for.
func (f *Fleet) listen(a *app, i uint32, c *Contact, now time.Time) (done chan error, err error) {
	m := f.memory
	r := m.machines.at(i)
	if m.names.text(r.version) == c.Version && len(c.Events) == 0 {
		return nil, nil
	}
	before := m.progress(r)
	if c.Version != "" {
		if _, fits := m.names.number(c.Version); !fits {
			return nil, nil
		}
	}
	p := before.Runs(c.Version)
	arrived := p.Arrived(before)
	tells := false
	for k := range c.Events {
		tells = tells || rollout.Tells(c.Events[k])
	}
	if !tells && !arrived {
		f.follow(a, i, p, now)
		return nil, nil
	}
	if err := f.writable(); err != nil {
		return nil, err
	}
	events := c.Events
	if !tells {
		// The release runs, and its own event of that is still to come or was lost.
		events = []omaha.Event{{Type: omaha.UpdateComplete, Result: omaha.SuccessReboot, PreviousVersion: before.Version}}
	}
	news := f.hear(a, i, p, events, now)
	if arrived {
		news = append(news, f.absolve(a, i, c.Version)...)
	}
	return f.enqueue(f.save(news, i)), nil
}

// follow gives the record a new progress, which is written soon, and gives a place back that it no longer needs.
func (f *Fleet) follow(a *app, i uint32, p rollout.Progress, now time.Time) {
	if f.become(a, i, p, now) {
		f.mark(i)
	}
}

// become gives the record a new progress, and leaves it to the search for machines that were seen to write it.
func (f *Fleet) become(a *app, i uint32, p rollout.Progress, now time.Time) (changed bool) {
	m := f.memory
	r := m.machines.at(i)
	if p == m.progress(r) {
		return false
	}
	version, ok1 := m.names.number(p.Version)
	target, ok2 := m.names.number(p.Target)
	if !ok1 || !ok2 {
		return false
	}
	m.uncount(r)
	if p.State != r.state.state() || target != r.target {
		r.since = unix(now)
	}
	r.version, r.target, r.state, r.code = version, target, stateNumbers[p.State], int32(p.Code)
	m.count(r)
	if m.mayHold(r) {
		f.endPlace(a, i)
	}
	return true
}

// hear follows the machine through its events, and returns what is to be made durable.
func (f *Fleet) hear(a *app, i uint32, p rollout.Progress, events []omaha.Event, now time.Time) []store.Change {
	m := f.memory
	r := m.machines.at(i)
	id, group, arch := m.machines.id(i), m.names.text(r.group), m.names.text(r.arch)
	var news []store.Change
	for _, e := range events {
		if !rollout.Tells(e) {
			continue
		}
		if p.Target == "" && e.NextVersion == "" {
			p.Target = a.presumedTarget(group, arch, p.Version)
		}
		var ending rollout.Ending
		was := p
		p, ending = p.Advance(e)
		news = append(news, store.AddEvent{Event: store.Event{
			App: a.ID, Machine: id, At: now, Type: e.Type, Result: e.Result, Code: e.ErrorCode,
			Version: p.Version, Previous: e.PreviousVersion, Target: p.Target, State: p.State,
		}})
		if d, counts := a.downloaded(group, arch, was, p, e); counts {
			news = append(news, f.tallyDownload(a, d)...)
		}
		f.follow(a, i, p, now)
		news = append(news, f.blame(a, id, group, arch, ending, now)...)
	}
	f.follow(a, i, p, now)
	return news
}

// blame bars a machine from a release that ended badly on it, and halts the release when that was one too many.
func (f *Fleet) blame(a *app, id, group, arch string, ending rollout.Ending, now time.Time) []store.Change {
	if _, known := a.releases[releaseKey{arch, ending.Version}]; !ending.Bad() || !known {
		return nil
	}
	news := []store.Change{store.PutBar{Bar: store.Bar{
		App: a.ID, Machine: id, Arch: arch, Version: ending.Version, Group: group, State: ending.State, Reason: ending.Text, At: now,
	}}}
	f.memory.apply(news[0])
	halt := f.judge(a, group, arch, ending, now)
	for _, c := range halt {
		f.memory.apply(c)
	}
	return append(news, halt...)
}

// judge halts the release when its bad ends in the group are more than the error budget allows.
func (f *Fleet) judge(a *app, groupName, arch string, ending rollout.Ending, now time.Time) []store.Change {
	k := releaseKey{arch, ending.Version}
	if _, halted := a.halts[k]; halted {
		return nil
	}
	failures := a.failures[k][groupName]
	ended := failures + f.memory.ended(a, groupName, arch, ending.Version)
	reason, halt := rollout.Judge(groupName, a.groups[groupName].policy.Budget, failures, ended, ending)
	if !halt {
		return nil
	}
	by := "the error budget of group " + groupName
	return []store.Change{
		store.PutHalt{Halt: store.Halt{App: a.ID, Arch: arch, Version: ending.Version, Reason: reason, By: by, At: now}},
		store.AddActivity{Activity: store.Activity{At: now, Who: by, App: a.ID, Text: "halted release " + ending.Version + " for " + arch + ": " + reason}},
	}
}

// absolve lifts the bar from a release that a machine runs after all.
func (f *Fleet) absolve(a *app, i uint32, version string) []store.Change {
	var news []store.Change
	for _, b := range f.memory.machines.bars[i] {
		if b.Version == version {
			news = append(news, store.RemoveBar{App: a.ID, Machine: b.Machine, Version: version})
		}
	}
	for _, c := range news {
		f.memory.apply(c)
	}
	return news
}

// presumedTarget is the release that a machine's event must be about when the offer was forgotten: that an offer
// was made is written late, so that a crash can lose it.
func (a *app) presumedTarget(groupName, arch, version string) string {
	own := a.channels[a.groups[groupName].Channel].Releases[arch]
	if own != version {
		return own
	}
	return ""
}

// decide answers an update check. The fleet is locked, and is unlocked while a place under a limit is asked for.
func (f *Fleet) decide(ctx context.Context, a *app, i uint32, known bool, c *Contact, now time.Time) Answer {
	m := f.memory
	r := m.machines.at(i)
	w := way{r.group, r.arch}
	route := m.routeOf(a, w)
	situation := m.situation(a, i, c.Machine, route, now)
	situation.Machine.Manual, situation.Machine.Forced = c.Manual, omaha.Forced(c.Version)
	situation.Machine.Wariness, situation.Machine.HasWariness = wariness(c.Wariness)
	situation.Machine.Payloads = c.Payloads
	if known && !m.mayHold(r) {
		situation.Place.Full, situation.Place.Again = f.desk(route).full(now)
	}
	told := rollout.Offer(&situation)
	if told.NeedsPlace {
		version := told.Version
		if !f.takePlace(ctx, route, c.Machine, version) {
			told = rollout.Answer{Rule: "limit"}
			_, situation.Place.Again = f.desk(route).full(now)
		}
		// The fleet was unlocked meanwhile: the machine may have been forgotten.
		if i, known = m.machines.find(a.number, c.Machine); !known || f.memory != m {
			return Answer{Known: true, Rule: "limit"}
		}
		if r = m.machines.at(i); told.Version != "" {
			r.set(granted, true)
		}
	}
	// The usual offer is what anybody would presume from the machine's events, so nobody has to be told of it soon: not
	// another replica, and not the next life of this one.
	changed := f.become(a, i, m.progress(r).Checked(told.Version), now)
	if changed && told.Version != "" && told.Version != a.presumedTarget(c.Group, c.Arch, m.names.text(r.version)) {
		f.mark(i)
	}
	if told.NeedsPlace && told.Version != "" {
		f.enqueue(f.save(nil, i)) // so that who holds the place is soon known to other replicas
	}
	if told.Version == "" && m.mayHold(r) {
		f.endPlace(a, i)
	}
	answer := Answer{Known: true, Rule: told.Rule, PollSeconds: pollSeconds(c.Machine, told.Rule, situation.Place.Again, now)}
	answer.offer(a, m.names.text(r.arch), told)
	return answer
}

// offer puts what was decided into the answer.
func (answer *Answer) offer(a *app, arch string, told rollout.Answer) {
	if told.Version == "" {
		return
	}
	answer.Release = a.releases[releaseKey{arch, told.Version}]
	if told.From != "" && answer.Release != nil {
		answer.Delta = deltaFrom(answer.Release, told.From)
	}
}

// answerStranger answers a machine that is not registered. It is offered what every machine is offered, and no place.
func (f *Fleet) answerStranger(a *app, c *Contact, now time.Time) Answer {
	answer := Answer{Known: true}
	if !c.Check {
		return answer
	}
	m := f.memory
	w := way{m.names.numbers[c.Group], m.names.numbers[c.Arch]}
	if m.names.text(w.group) != c.Group || m.names.text(w.arch) != c.Arch {
		answer.Rule = "group"
		return answer
	}
	r := m.routeOf(a, w)
	told := rollout.Offer(&rollout.Case{
		Now: now, App: a.ID, AppKnown: true, Track: c.Group, Group: r.group, Releases: r.releases, Floors: r.floors, Pin: r.pin,
		Machine: rollout.Machine{Version: c.Version, Arch: c.Arch, Payloads: c.Payloads, Manual: c.Manual, Forced: omaha.Forced(c.Version)},
		Running: r.known[m.names.numbers[c.Version]], Place: rollout.Place{Limited: r.limited(), Full: "a machine without an id gets no place"},
	})
	answer.Rule = told.Rule
	answer.offer(a, c.Arch, told)
	return answer
}

func wariness(text string) (value float64, told bool) {
	if text == "" {
		return 0, false
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value >= 0 && value <= 1) {
		return 0, false
	}
	return value, true
}
