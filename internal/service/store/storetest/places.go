package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

var places = map[string]func(*testing.T, Database){
	"places are given in order, up to the limit": testGrant,
	"no limit": testNoLimit,
	"a machine has its place again, uncounted":       testSamePlace,
	"another version gives the old place back":       testOtherVersion,
	"another group gives the old place back":         testOtherGroup,
	"the end of an update frees its place":           testEndGrant,
	"removing a machine frees its place":             testRemoveHolder,
	"groups have limits of their own":                testGroupsApart,
	"the period frees places when they are over it":  testAgain,
	"a lowered limit waits for more places":          testLowered,
	"reading an allowance takes nothing":             testAllowance,
	"places survive a restart":                       testPlacesSurvive,
	"limits are exact whoever asks at the same time": testConcurrentGrants,
}

// ledger is a store under test with the time that the test has let pass.
type ledger struct {
	Store
	t   *testing.T
	d   Database
	now time.Time
}

func newLedger(t *testing.T, d Database) *ledger {
	t.Helper()
	return &ledger{Store: filled(t, d), t: t, d: d, now: time.Now().UTC().Truncate(time.Millisecond)}
}

func (l *ledger) pass(d time.Duration) {
	l.now = l.now.Add(d)
	if l.d.Pass != nil {
		l.d.Pass(d)
	}
}

// ask asks for places, and returns who got one: a + or - for each machine.
func (l *ledger) ask(limit store.Limit, version string, machines ...string) (string, store.Allowance) {
	l.t.Helper()
	var asks []store.Ask
	for _, m := range machines {
		asks = append(asks, store.Ask{Machine: m, Version: version})
	}
	a, err := l.Grant(l.t.Context(), limit, asks, l.now)
	must(l.t, err)
	if len(a.Granted) != len(asks) {
		l.t.Fatalf("%d answers to %d asks", len(a.Granted), len(asks))
	}
	var given string
	for _, yes := range a.Granted {
		given += map[bool]string{true: "+", false: "-"}[yes]
	}
	return given, a
}

func (l *ledger) grant(limit store.Limit, version string, machines ...string) string {
	l.t.Helper()
	given, _ := l.ask(limit, version, machines...)
	return given
}

// expect compares what is used of a limit, as it is read and as an empty request is told.
func (l *ledger) expect(limit store.Limit, begun, open int) store.Allowance {
	l.t.Helper()
	read, err := l.Allowance(l.t.Context(), limit, l.now)
	must(l.t, err)
	_, told := l.ask(limit, "")
	for how, a := range map[string]store.Allowance{"read": read, "told": told} {
		if a.Begun != begun || a.Open != open {
			l.t.Errorf("%s: %d begun and %d open, want %d and %d", how, a.Begun, a.Open, begun, open)
		}
		if !a.Again.Equal(read.Again) {
			l.t.Errorf("told %v, read %v", a.Again, read.Again)
		}
	}
	return read
}

// expectAgain compares when there is a place again. A store with its own clock may be off by the time that the test took.
func (l *ledger) expectAgain(a store.Allowance, want time.Time) {
	l.t.Helper()
	if off := a.Again.Sub(want).Abs(); off > time.Minute || a.Again.Location() != time.UTC {
		l.t.Errorf("there is a place again at %v, want %v", a.Again, want)
	}
}

func testGrant(t *testing.T, d Database) {
	l := newLedger(t, d)
	hourly := store.Limit{App: app, Group: "stable", PerPeriod: 3, Period: time.Hour}
	given, a := l.ask(hourly, "1.1.0", "a", "b", "c", "d", "e")
	if given != "+++--" || a.Begun != 3 || a.Open != 3 {
		t.Errorf("got %s, %+v", given, a)
	}
	l.expectAgain(a, l.now.Add(time.Hour))
	atOnce := store.Limit{App: app, Group: "other", AtOnce: 2}
	given, a = l.ask(atOnce, "1.1.0", "f", "g", "h")
	if given != "++-" || a.Open != 2 || !a.Again.IsZero() {
		t.Errorf("got %s, %+v", given, a)
	}
	both := store.Limit{App: app, Group: "both", PerPeriod: 2, Period: time.Hour, AtOnce: 1}
	if given := l.grant(both, "1.1.0", "i", "j"); given != "+-" {
		t.Errorf("got %s", given)
	}
	if a := l.expect(both, 1, 1); !a.Again.IsZero() {
		t.Errorf("the period is not used up, and there is a place again at %v", a.Again)
	}
}

func testNoLimit(t *testing.T, d Database) {
	l := newLedger(t, d)
	given, a := l.ask(store.Limit{App: app, Group: "stable"}, "1.1.0", "a", "b", "c")
	if given != "+++" || a.Open != 3 || !a.Again.IsZero() {
		t.Errorf("got %s, %+v", given, a)
	}
	l.expect(store.Limit{App: app, Group: "stable", PerPeriod: 5, Period: time.Hour}, 3, 3) // a limit that is set later counts them
}

func testSamePlace(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 2, Period: time.Hour, AtOnce: 2}
	if given := l.grant(limit, "1.1.0", "a", "a", "b", "c", "a"); given != "+++-+" {
		t.Errorf("got %s", given)
	}
	l.expect(limit, 2, 2)
	l.pass(2 * time.Hour) // the place is still held, and needs no new one
	if given := l.grant(limit, "1.1.0", "b", "c", "a"); given != "+-+" {
		t.Errorf("got %s", given)
	}
	l.expect(limit, 0, 2)
}

func testOtherVersion(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 2, Period: time.Hour, AtOnce: 1}
	if given := l.grant(limit, "1.1.0", "a") + l.grant(limit, "1.2.0", "a"); given != "++" {
		t.Errorf("got %s", given)
	}
	l.expect(limit, 2, 1)
	if given := l.grant(limit, "1.3.0", "a"); given != "-" {
		t.Errorf("got %s", given)
	}
	l.expect(limit, 2, 0)
}

func testOtherGroup(t *testing.T, d Database) {
	l := newLedger(t, d)
	old, other := store.Limit{App: app, Group: "old", AtOnce: 1}, store.Limit{App: app, Group: "other", AtOnce: 1}
	if given := l.grant(old, "1.1.0", "a") + l.grant(other, "1.1.0", "a"); given != "++" {
		t.Errorf("got %s", given)
	}
	l.expect(old, 0, 0)
	l.expect(other, 0, 1)
}

func testEndGrant(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 4, Period: time.Hour, AtOnce: 2}
	l.grant(limit, "1.1.0", "a", "b")
	end := store.EndGrant{App: app, Machine: "a"}
	apply(t, l.Store, end, end, store.EndGrant{App: app, Machine: "nobody"}, store.EndGrant{App: "bare", Machine: "b"})
	apply(t, l.Store, end)
	l.expect(limit, 2, 1)
	if given := l.grant(limit, "1.1.0", "c", "a"); given != "+-" {
		t.Errorf("got %s", given)
	}
	l.expect(limit, 3, 2)
}

func testRemoveHolder(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 4, Period: time.Hour, AtOnce: 1}
	l.grant(limit, "1.1.0", "m1")
	apply(t, l.Store, store.RemoveMachine{App: app, ID: "m1"})
	l.expect(limit, 1, 0)
}

func testGroupsApart(t *testing.T, d Database) {
	l := newLedger(t, d)
	for _, group := range []store.Limit{{App: app, Group: "a"}, {App: app, Group: "b"}, {App: "bare", Group: "a"}} {
		group.PerPeriod, group.Period = 1, time.Hour
		if given := l.grant(group, "1.1.0", "of "+group.Group, "second of "+group.Group); given != "+-" {
			t.Errorf("group %v: got %s", group, given)
		}
	}
}

func testAgain(t *testing.T, d Database) {
	l := newLedger(t, d)
	start := l.now
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 3, Period: time.Hour}
	l.grant(limit, "1.1.0", "a", "b")
	l.pass(20 * time.Minute)
	given, a := l.ask(limit, "1.1.0", "c", "d")
	if given != "+-" {
		t.Errorf("got %s", given)
	}
	l.expectAgain(a, start.Add(time.Hour))
	l.pass(39 * time.Minute)
	if given := l.grant(limit, "1.1.0", "d"); given != "-" {
		t.Errorf("a minute before the period: got %s", given)
	}
	l.pass(time.Minute) // exactly the period
	given, a = l.ask(limit, "1.1.0", "d", "e", "f")
	if given != "++-" {
		t.Errorf("after the period: got %s", given)
	}
	l.expectAgain(a, start.Add(80*time.Minute))
	l.pass(24 * time.Hour)
	l.expect(limit, 0, 5)
}

func testLowered(t *testing.T, d Database) {
	l := newLedger(t, d)
	start := l.now
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 3, Period: time.Hour}
	for i := range 3 {
		l.grant(limit, "1.1.0", fmt.Sprint(i))
		l.pass(10 * time.Minute)
	}
	limit.PerPeriod = 1
	l.expectAgain(l.expect(limit, 3, 3), start.Add(80*time.Minute)) // when the third one is over too
	limit.PerPeriod = 4
	if given := l.grant(limit, "1.1.0", "d", "e"); given != "+-" {
		t.Errorf("got %s", given)
	}
}

func testAllowance(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 1, Period: time.Hour, AtOnce: 1}
	l.expect(limit, 0, 0)
	l.expect(store.Limit{App: "unknown", Group: "unknown"}, 0, 0)
	if given := l.grant(limit, "1.1.0", "a"); given != "+" {
		t.Errorf("got %s", given)
	}
	l.expectAgain(l.expect(limit, 1, 1), l.now.Add(time.Hour))
}

func testPlacesSurvive(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 3, Period: time.Hour, AtOnce: 2}
	l.grant(limit, "1.1.0", "m", "a", "b")
	m := store.Machine{App: app, ID: "a"}
	apply(t, l.Store, store.PutMachine{Machine: m}, store.PutMachine{Machine: store.Machine{App: app, ID: "b"}})
	must(t, l.Close())
	l.Store = opened(t, d)
	l.expect(limit, 2, 2)
	if given := l.grant(limit, "1.1.0", "c", "a"); given != "-+" {
		t.Errorf("got %s", given)
	}
	l.expectGranted(map[string]bool{"conifer-os m1": true, "conifer-os a": true})
	apply(t, l.Store, store.EndGrant{App: app, Machine: "a"})
	l.expectGranted(map[string]bool{"conifer-os m1": true})
}

// expectGranted compares which machines hold a place when the store is loaded. m1 of the sample says so itself.
func (l *ledger) expectGranted(want map[string]bool) {
	l.t.Helper()
	for _, c := range loaded(l.t, l.Store) {
		if m, ok := c.(store.PutMachine); ok && m.Machine.Granted != want[m.Machine.App+" "+m.Machine.ID] {
			l.t.Errorf("machine %s holds a place: %v", m.Machine.ID, m.Machine.Granted)
		}
	}
}

// testConcurrentGrants lets eight askers ask at once, ten minutes apart. A count over the hour that ends with each round is all that
// exactness takes: nothing else is begun between the rounds, and every round wants more than there is.
func testConcurrentGrants(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 20, Period: time.Hour, AtOnce: 25}
	var begun []int      // by round
	var holders []string // the longest first
	for round := range 15 {
		want := min(limit.PerPeriod-sum(begun[max(0, round-5):]), limit.AtOnce-len(holders), 8*(round%3+1))
		given := l.rush(limit, round, round%3+1)
		if len(given) != want {
			t.Errorf("round %d: %d places given, want %d", round, len(given), want)
		}
		begun, holders = append(begun, len(given)), append(holders, given...)
		l.expect(limit, sum(begun[max(0, round-5):]), len(holders))
		for range min(len(holders), round%8) { // some updates end
			apply(t, l.Store, store.EndGrant{App: app, Machine: holders[0]})
			holders = holders[1:]
		}
		l.pass(10 * time.Minute)
	}
}

func sum(numbers []int) (n int) {
	for _, x := range numbers {
		n += x
	}
	return n
}

// rush has eight askers ask at once for new machines each, and returns who got a place.
func (l *ledger) rush(limit store.Limit, round, each int) (given []string) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	for asker := range 8 {
		wait.Go(func() {
			var asks []store.Ask
			for i := range each {
				asks = append(asks, store.Ask{Machine: fmt.Sprintf("r%d-a%d-%d", round, asker, i), Version: "1.1.0"})
			}
			a, err := l.Grant(l.t.Context(), limit, asks, l.now)
			if err != nil {
				l.t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, yes := range a.Granted {
				if yes {
					given = append(given, asks[i].Machine)
				}
			}
		})
	}
	wait.Wait()
	return given
}
