// Package storetest is the contract of a store as tests: whatever database the service writes to must pass [Run].
//
// It asks for what the service relies on: that applied changes are found again after the database was closed and
// opened, that a batch is made whole or not at all, and that the logs are read from their newest end. It does
// not look at how a store does it.
package storetest

import (
	"context"
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// Store is what is tested.
type Store interface {
	// Load yields every record as the change that makes it, applications first, then what refers to them. Places are not
	// yielded: Machine.Granted says who holds one.
	Load(ctx context.Context, yield func(store.Change) error) error
	// Apply makes all changes or none, in their order. They are durable when it returns.
	Apply(ctx context.Context, changes []store.Change) error
	// Grant gives places under a limit, in the order of the asks, as long as there are any, in one transaction. Who holds a
	// place for the version has it again, uncounted; one for another version is given back first. A store that several replicas
	// share measures time by its own clock instead of now. What it gives is durable when it returns.
	Grant(ctx context.Context, limit store.Limit, asks []store.Ask, now time.Time) (store.Allowance, error)
	// Allowance reads what is used of a limit.
	Allowance(ctx context.Context, limit store.Limit, now time.Time) (store.Allowance, error)
	// Follow yields what other replicas applied, in the order of their commits, each batch once, until ctx ends. A store that
	// nobody shares yields nothing.
	Follow(ctx context.Context, yield func([]store.Change) error) error
	// Events reads a machine's events, the newest first; with machine "" those of all machines.
	Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error)
	// Activity reads the log of what was done, the newest first.
	Activity(ctx context.Context, limit int) ([]store.Activity, error)
	// Samples reads a group's time series, the oldest first.
	Samples(ctx context.Context, app, group string, step time.Duration, since time.Time) ([]store.Sample, error)
	// Prune forgets what is before the cutoffs in logs, time series and the ledger of places (closed ones that no period can still
	// count: older than a week). It works in small transactions and returns how many rows went.
	Prune(ctx context.Context, c store.Cutoffs) (int, error)
	Close() error
}

// Run tests a kind of store. open opens the same database each time it is called in one test, an empty one at first.
func Run(t *testing.T, database func(t *testing.T) (open func() Store)) {
	tests := map[string]func(*testing.T, func() Store){
		"records are found after a restart": testReload,
		"a later change replaces":           testReplace,
		"removal":                           testRemove,
		"a batch is all or nothing":         testAtomic,
		"logs are read from the newest end": testLogs,
		"yield can stop a load":             testYieldStops,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, database(t)) })
	}
}

var noon = time.Date(2026, 11, 1, 12, 0, 0, 123e6, time.UTC)

// sample has one record of every kind, with every field set.
func sample() []store.Change {
	return []store.Change{
		store.PutApp{App: store.App{ID: "conifer-os", Name: "conifer"}},
		store.PutRelease{Release: store.Release{
			App: "conifer-os", Arch: "amd64", Version: "1.1.0", URL: "conifer-os/amd64/1.1.0/", File: "full.payload", SizeBytes: 1 << 40,
			SHA256: "ab", Extra: []store.File{{Name: "x", SizeBytes: 2, SHA256: "cd"}}, Notes: "a 'quoted' ☂ note\n", Added: noon,
		}},
		store.PutChannel{Channel: store.Channel{App: "conifer-os", Name: "alpha", Releases: map[string]string{"amd64": "1.1.0"}}},
		store.PutChannel{Channel: store.Channel{App: "conifer-os", Name: "stable", Releases: map[string]string{}}},
		store.PutGroup{Group: store.Group{App: "conifer-os", Name: "canary", Channel: "alpha", Paused: true, Percent: 25, ErrorBudget: 3}},
		store.PutMachine{Machine: store.Machine{
			App: "conifer-os", ID: "m1", Alias: "rack 1", Group: "canary", Arch: "amd64",
			Progress: rollout.Progress{State: rollout.RolledBack, Version: "1.0.0", Target: "1.1.0", Code: -2147483604},
			BootID:   "b", Address: "192.0.2.1", FirstSeen: noon, LastSeen: noon.Add(time.Hour),
		}},
		store.PutBar{Bar: store.Bar{
			App: "conifer-os", Machine: "m1", Arch: "amd64", Version: "1.1.0", Group: "canary", State: rollout.RolledBack, Reason: "code 44", At: noon,
		}},
		store.PutHalt{Halt: store.Halt{App: "conifer-os", Arch: "amd64", Version: "1.1.0", Reason: "one rolled back", By: "error budget", At: noon}},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// loaded is everything that a store yields, in an order of its own.
func loaded(t *testing.T, s Store) []string {
	t.Helper()
	var all []store.Change
	must(t, s.Load(t.Context(), func(c store.Change) error {
		all = append(all, c)
		return nil
	}))
	return texts(all)
}

func texts(changes []store.Change) []string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%T %+v", c, c))
	}
	sort.Strings(lines)
	return lines
}

func expect(t *testing.T, s Store, want ...store.Change) {
	t.Helper()
	if diff := cmp.Diff(texts(want), loaded(t, s)); diff != "" {
		t.Error(diff)
	}
}

func testReload(t *testing.T, open func() Store) {
	s := open()
	expect(t, s)
	must(t, s.Apply(t.Context(), sample()))
	expect(t, s, sample()...)
	must(t, s.Close())
	s = open()
	expect(t, s, sample()...)
	must(t, s.Close())
}

func testReplace(t *testing.T, open func() Store) {
	s := open()
	must(t, s.Apply(t.Context(), sample()))
	want := sample()
	r := want[1].(store.PutRelease)
	r.Release.Notes, r.Release.Extra = "shorter", nil
	m := want[5].(store.PutMachine)
	m.Machine.State, m.Machine.Code, m.Machine.LastSeen = rollout.Idle, 0, noon.Add(2*time.Hour)
	g := want[4].(store.PutGroup)
	g.Group.Paused, g.Group.Percent = false, 100
	want[1], want[4], want[5] = r, g, m
	want[2] = store.PutChannel{Channel: store.Channel{App: "conifer-os", Name: "alpha", Releases: map[string]string{}}}
	must(t, s.Apply(t.Context(), []store.Change{r, m, g, want[2]}))
	expect(t, s, want...)
	must(t, s.Close())
}

func testRemove(t *testing.T, open func() Store) {
	s := open()
	must(t, s.Apply(t.Context(), sample()))
	removals := []store.Change{
		store.RemoveHalt{App: "conifer-os", Arch: "amd64", Version: "1.1.0"},
		store.RemoveBar{App: "conifer-os", Machine: "m1", Version: "1.1.0"},
		store.PutChannel{Channel: store.Channel{App: "conifer-os", Name: "alpha", Releases: map[string]string{}}},
		store.RemoveRelease{App: "conifer-os", Arch: "amd64", Version: "1.1.0"},
	}
	must(t, s.Apply(t.Context(), removals))
	must(t, s.Apply(t.Context(), removals))
	expect(t, s, sample()[0], removals[2], sample()[3], sample()[4], sample()[5])
	must(t, s.Close())
}

func testAtomic(t *testing.T, open func() Store) {
	s := open()
	dangling := store.PutGroup{Group: store.Group{App: "conifer-os", Name: "lost", Channel: "nowhere", Percent: 100}}
	err := s.Apply(t.Context(), append(sample(), dangling))
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a group that follows no channel was stored: %v", err)
	}
	expect(t, s)
	must(t, s.Close())
}

func testLogs(t *testing.T, open func() Store) {
	s := open()
	var changes []store.Change
	var events []store.Event
	var entries []store.Activity
	for i := range 5 {
		at := noon.Add(time.Duration(i) * time.Second)
		e := store.Event{
			App: "conifer-os", Machine: "m1", At: at, Type: 3, Result: 0, Code: 44, Version: "1.0.0", Previous: "p", Target: "1.1.0", State: rollout.RolledBack,
		}
		a := store.Activity{At: at, Who: "admin", App: "conifer-os", Text: fmt.Sprint("entry ", i)}
		other := store.Event{App: "conifer-os", Machine: "m2", At: at, Type: 13, Result: 1, State: rollout.Downloading}
		changes = append(changes, store.AddEvent{Event: e}, store.AddActivity{Activity: a}, store.AddEvent{Event: other})
		events, entries = append([]store.Event{e}, events...), append([]store.Activity{a}, entries...)
	}
	must(t, s.Apply(t.Context(), append(sample(), changes...)))
	gotEvents, err := s.Events(t.Context(), "conifer-os", "m1", 3)
	must(t, err)
	gotEntries, err := s.Activity(t.Context(), 2)
	must(t, err)
	if diff := cmp.Diff(events[:3], gotEvents) + cmp.Diff(entries[:2], gotEntries); diff != "" {
		t.Error(diff)
	}
	must(t, s.Close())
}

func testYieldStops(t *testing.T, open func() Store) {
	s := open()
	must(t, s.Apply(t.Context(), sample()))
	enough := fault.New(fault.Canceled, "enough")
	if err := s.Load(t.Context(), func(store.Change) error { return enough }); err != error(enough) {
		t.Errorf("got %v", err)
	}
	must(t, s.Close())
}
