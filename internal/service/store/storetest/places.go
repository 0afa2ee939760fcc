package storetest

import (
	"fmt"
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
