package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

var records = map[string]func(*testing.T, Database){
	"the whole sample sets every field":          testSample,
	"records are found after a restart":          testReload,
	"records come after what they refer to":      testOrder,
	"a later change replaces":                    testReplace,
	"a channel's pointers are replaced as one":   testChannelPointers,
	"a record is removed alone":                  testRemove,
	"a group is removed with its rollouts":       testRemoveGroup,
	"a channel is removed with its pointers":     testRemoveChannel,
	"a machine is removed with what is its own":  testRemoveMachine,
	"the last change of a key in a batch counts": testOrderInBatch,
	"a batch is all or nothing":                  testAtomic,
	"a large batch is whole":                     testLargeBatch,
	"yield can stop a load":                      testYieldStops,
	"machines are read by id":                    testMachines,
}

// testSample keeps the sample honest: a new field of a record fails here until the sample sets it.
func testSample(t *testing.T, _ Database) {
	for _, c := range whole() {
		record := reflect.ValueOf(c).Field(0)
		for i := range record.NumField() {
			if record.Field(i).IsZero() {
				t.Errorf("%T: %s is not set", c, record.Type().Field(i).Name)
			}
		}
	}
}

func testReload(t *testing.T, d Database) {
	s := d.Open()
	expect(t, s)
	all := append(whole(), bare()...)
	apply(t, s, all...)
	expect(t, s, all...)
	must(t, s.Close())
	expect(t, opened(t, d), all...)
}

func testOrder(t *testing.T, d Database) {
	s := filled(t, d)
	position := map[string]int{} // of the last record of a type, and of the first one
	for i, c := range loaded(t, s) {
		name := fmt.Sprintf("%T", c)
		if _, seen := position["first "+name]; !seen {
			position["first "+name] = i
		}
		position["last "+name] = i
	}
	for _, pair := range [][2]store.Change{
		{store.PutApp{}, store.PutRelease{}}, {store.PutRelease{}, store.PutChannel{}}, {store.PutChannel{}, store.PutGroup{}},
		{store.PutGroup{}, store.PutRollout{}}, {store.PutRelease{}, store.PutHalt{}}, {store.PutGroup{}, store.PutMachine{}},
		{store.PutMachine{}, store.PutPin{}}, {store.PutMachine{}, store.PutBar{}},
	} {
		if position[fmt.Sprintf("last %T", pair[0])] > position[fmt.Sprintf("first %T", pair[1])] {
			t.Errorf("a %T is yielded after a %T", pair[0], pair[1])
		}
	}
}

func testReplace(t *testing.T, d Database) {
	s := opened(t, d)
	apply(t, s, whole()...)
	changed := []store.Change{
		store.PutApp{App: store.App{ID: app, Name: "renamed"}},
		store.PutToken{Token: store.Token{ID: "t1", Name: "other", Role: "viewer", SHA256: "00", Created: noon}},
		store.PutRelease{Release: store.Release{App: app, Arch: "amd64", Version: "1.1.0", URL: "u", File: "f", SizeBytes: 1, SHA256: "ff", Added: noon}},
		store.PutChannel{Channel: store.Channel{App: app, Name: "alpha", Releases: map[string]string{}}},
		store.PutGroup{Group: store.Group{App: app, Name: "canary", Channel: "alpha", Percent: "100", ErrorBudget: "3"}},
		store.PutRollout{Rollout: store.Rollout{App: app, Group: "canary", Arch: "amd64", Version: "1.1.0", Started: noon.Add(time.Hour)}},
		store.PutHalt{Halt: store.Halt{App: app, Arch: "amd64", Version: "1.1.0", Reason: "again", By: "ann", At: noon.Add(time.Hour)}},
		store.PutMachine{Machine: store.Machine{App: app, ID: "m1", Arch: "arm64", Progress: rollout.Progress{State: rollout.Idle, Version: "2"}}},
		store.PutPin{Pin: store.Pin{App: app, Machine: "m1", Version: "2", By: "bob", At: noon.Add(time.Hour)}},
		store.PutBar{Bar: store.Bar{App: app, Machine: "m1", Arch: "arm64", Version: "1.1.0", State: rollout.Failed, Reason: "code 1", At: noon}},
	}
	apply(t, s, changed...)
	expect(t, s, changed...)
}

func testChannelPointers(t *testing.T, d Database) {
	s := opened(t, d)
	apply(t, s, whole()...)
	arm := store.PutRelease{Release: store.Release{App: app, Arch: "arm64", Version: "1.2.0"}}
	moved := store.PutChannel{Channel: store.Channel{App: app, Name: "alpha", Releases: map[string]string{"arm64": "1.2.0"}}}
	apply(t, s, arm, moved)
	expect(t, s, append(without(whole(), is[store.PutChannel]), arm, moved)...)
}

func testRemove(t *testing.T, d Database) {
	s := opened(t, d)
	unpointed := store.PutChannel{Channel: store.Channel{App: app, Name: "alpha", Releases: map[string]string{}}}
	apply(t, s, append(append(whole(), bare()...), unpointed)...)
	removals := []store.Change{
		store.RemoveHalt{App: app, Arch: "amd64", Version: "1.1.0"},
		store.RemoveBar{App: app, Machine: "m1", Version: "1.1.0"},
		store.RemoveRollout{App: app, Group: "canary", Arch: "amd64", Version: "1.1.0"},
		store.RemovePin{App: app, Machine: "m1"},
		store.RemoveToken{ID: "t1"},
		store.RemoveRelease{App: app, Arch: "amd64", Version: "1.1.0"},
	}
	for range 2 { // what is not there can be removed again
		apply(t, s, removals...)
		all := whole()
		expect(t, s, append(bare(), all[0], unpointed, all[4], all[7])...)
	}
}

func testRemoveGroup(t *testing.T, d Database) {
	s := filled(t, d)
	for range 2 {
		apply(t, s, store.RemoveGroup{App: app, Name: "canary"})
		kept := without(without(whole(), is[store.PutGroup]), is[store.PutRollout])
		expect(t, s, append(bare(), kept...)...)
	}
}

func testRemoveChannel(t *testing.T, d Database) {
	s := filled(t, d)
	if err := s.Apply(t.Context(), []store.Change{store.RemoveChannel{App: app, Name: "alpha"}}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a channel that a group follows was removed: %v", err)
	}
	removals := []store.Change{
		store.RemoveGroup{App: app, Name: "canary"}, store.RemoveChannel{App: app, Name: "alpha"},
		store.RemoveRelease{App: app, Arch: "amd64", Version: "1.1.0"},
	}
	for range 2 {
		apply(t, s, removals...)
		all := whole()
		expect(t, s, append(bare(), all[0], all[1], all[6], all[7], all[8], all[9])...)
	}
}

func testRemoveMachine(t *testing.T, d Database) {
	s := opened(t, d)
	twin := store.PutMachine{Machine: store.Machine{App: "bare", ID: "m1"}}
	e := store.Event{App: app, Machine: "m1", At: noon, Type: 3, Result: 1, State: rollout.Installed}
	apply(t, s, append(append(bare(), whole()...), twin, store.AddEvent{Event: e})...)
	for range 2 {
		apply(t, s, store.RemoveMachine{App: app, ID: "m1"})
		expect(t, s, append(append(bare(), whole()[:7]...), twin)...)
	}
	if events, err := s.Events(t.Context(), app, "m1", 9); err != nil || len(events) != 1 {
		t.Errorf("its events are %v (%v), want the one", events, err)
	}
}

func testOrderInBatch(t *testing.T, d Database) {
	s := opened(t, d)
	machine := func(id, alias string) store.Change {
		return store.PutMachine{Machine: store.Machine{App: app, ID: id, Alias: alias}}
	}
	remove := func(id string) store.Change { return store.RemoveMachine{App: app, ID: id} }
	bar := store.PutBar{Bar: store.Bar{App: app, Machine: "c", Version: "1", Arch: "amd64"}}
	apply(t, s, whole()[0],
		machine("b", "first"), machine("a", "first"), machine("b", "second"), machine("a", "second"), // replaced
		machine("c", "first"), bar, remove("c"), machine("c", "second"), // removed and made again, without its bar
		machine("d", "first"), remove("d"), // removed
		remove("e"), bar, store.RemoveBar{App: app, Machine: "c", Version: "1"}, machine("e", "first"))
	expect(t, s, whole()[0], machine("a", "second"), machine("b", "second"), machine("c", "second"), machine("e", "first"))
}

func testAtomic(t *testing.T, d Database) {
	s := opened(t, d)
	lost := store.PutGroup{Group: store.Group{App: app, Name: "lost", Channel: "nowhere", Percent: "100"}}
	for range 2 {
		err := s.Apply(t.Context(), append(whole(), lost))
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("a group that follows no channel was stored: %v", err)
		}
		expect(t, s)
	}
	apply(t, s, whole()...)
	expect(t, s, whole()...)
}

// testLargeBatch has machines in no order, some of them twice, and more of them than fit into one statement of any database.
func testLargeBatch(t *testing.T, d Database) {
	s := opened(t, d)
	batch, want := []store.Change{whole()[0]}, []store.Change{whole()[0]}
	const machines = 3001
	for i := range machines {
		m := store.Machine{
			App: app, ID: fmt.Sprintf("%04x", i*7919%machines), Group: fmt.Sprint("group ", i%17), Arch: "amd64",
			Progress: rollout.Progress{State: rollout.Idle, Version: fmt.Sprint("1.0.", i%5)}, FirstSeen: noon, LastSeen: noon,
		}
		batch = append(batch, store.PutMachine{Machine: m}, store.AddEvent{Event: store.Event{App: app, Machine: m.ID, At: noon, Version: fmt.Sprint(i)}})
		if i%3 == 0 {
			m.Alias = "again"
			batch = append(batch, store.PutMachine{Machine: m})
		}
		want = append(want, store.PutMachine{Machine: m})
	}
	apply(t, s, batch...)
	expect(t, s, want...)
	events, err := s.Events(t.Context(), app, "", machines+1)
	must(t, err)
	if len(events) != machines || events[0].Version != fmt.Sprint(machines-1) || events[machines-1].Version != "0" {
		t.Errorf("there are %d events, or not in their order", len(events))
	}
}

func testYieldStops(t *testing.T, d Database) {
	s := opened(t, d)
	apply(t, s, whole()...)
	enough := fault.New(fault.Canceled, "enough")
	for stop := range whole() { // at each of the records
		count := 0
		err := s.Load(t.Context(), func(store.Change) error {
			if count++; count > stop {
				return enough
			}
			return nil
		})
		if err != error(enough) || count != stop+1 {
			t.Errorf("got %v after %d records", err, count)
		}
	}
}
