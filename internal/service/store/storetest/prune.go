package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/store"
)

var pruning = map[string]func(*testing.T, Database){
	"nothing is pruned without a cutoff":   testPruneNothing,
	"what is before a cutoff is pruned":    testPrune,
	"many rows are pruned":                 testPruneMany,
	"old places are pruned":                testPrunePlaces,
	"a place that is held is never pruned": testPruneHeld,
}

// logged has ten of each log entry, a second apart for events and activity and a step apart for samples.
func logged() []store.Change {
	changes := append(whole(), bare()...)
	for i := range 10 {
		changes = append(changes, store.AddEvent{Event: event("m1", i)},
			store.AddActivity{Activity: store.Activity{At: noon.Add(time.Duration(i) * time.Second), Who: "ann"}},
			store.AddSample{Sample: sampled("stable", time.Minute, i)}, store.AddSample{Sample: sampled("stable", time.Hour, i)})
	}
	return changes
}

// left counts the log entries that are there.
func left(t *testing.T, s Store) map[string]int {
	t.Helper()
	events, err := s.Events(t.Context(), app, "", 1<<20)
	must(t, err)
	activity, err := s.Activity(t.Context(), 1<<20)
	must(t, err)
	minutes, err := s.Samples(t.Context(), app, "stable", time.Minute, time.Time{})
	must(t, err)
	hours, err := s.Samples(t.Context(), app, "stable", time.Hour, time.Time{})
	must(t, err)
	return map[string]int{"events": len(events), "activity": len(activity), "minutes": len(minutes), "hours": len(hours)}
}

func pruned(t *testing.T, s Store, c store.Cutoffs) int {
	t.Helper()
	rows, err := s.Prune(t.Context(), c)
	must(t, err)
	return rows
}

func testPruneNothing(t *testing.T, d Database) {
	s := opened(t, d)
	apply(t, s, logged()...)
	if rows := pruned(t, s, store.Cutoffs{}); rows != 0 {
		t.Errorf("%d rows went", rows)
	}
	if diff := cmp.Diff(map[string]int{"events": 10, "activity": 10, "minutes": 10, "hours": 10}, left(t, s)); diff != "" {
		t.Error(diff)
	}
}

func testPrune(t *testing.T, d Database) {
	s := opened(t, d)
	apply(t, s, logged()...)
	cutoffs := store.Cutoffs{
		Events: noon.Add(3 * time.Second), Activity: noon.Add(4 * time.Second),
		Samples: map[time.Duration]time.Time{time.Minute: noon.Add(8 * time.Minute), time.Hour: noon.Add(time.Hour), time.Second: noon.Add(time.Hour)},
	}
	for _, rows := range []int{3 + 4 + 8 + 1, 0} {
		if got := pruned(t, s, cutoffs); got != rows {
			t.Errorf("%d rows went, want %d", got, rows)
		}
		if diff := cmp.Diff(map[string]int{"events": 7, "activity": 6, "minutes": 2, "hours": 9}, left(t, s)); diff != "" {
			t.Error(diff)
		}
	}
	expect(t, s, append(whole(), bare()...)...)
}

// testPruneMany has more rows than a store can want to remove at once.
func testPruneMany(t *testing.T, d Database) {
	s := opened(t, d)
	changes := logged()
	for range 5000 {
		changes = append(changes, store.AddEvent{Event: event("m1", -1)})
	}
	apply(t, s, append(changes, store.AddEvent{Event: event("m2", 20)})...)
	if rows := pruned(t, s, store.Cutoffs{Events: noon.Add(11 * time.Second)}); rows != 5010 {
		t.Errorf("%d rows went, want 5010", rows)
	}
	if got := left(t, s)["events"]; got != 1 {
		t.Errorf("%d events are left, want 1", got)
	}
}

func testPrunePlaces(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", PerPeriod: 10, Period: 7 * 24 * time.Hour}
	l.grant(limit, "1.1.0", "a", "b", "c")
	apply(t, l.Store, store.EndGrant{App: app, Machine: "a"}, store.EndGrant{App: app, Machine: "b"}, store.EndGrant{App: app, Machine: "c"})
	if rows := pruned(t, l.Store, store.Cutoffs{}); rows != 0 {
		t.Errorf("%d places went while they count", rows)
	}
	l.pass(8 * 24 * time.Hour)
	l.grant(limit, "1.1.0", "d")
	if rows := pruned(t, l.Store, store.Cutoffs{}); rows != 3 {
		t.Errorf("%d places went, want 3", rows)
	}
	l.expect(limit, 1, 1)
}

func testPruneHeld(t *testing.T, d Database) {
	l := newLedger(t, d)
	limit := store.Limit{App: app, Group: "stable", AtOnce: 1}
	l.grant(limit, "1.1.0", "a")
	l.pass(30 * 24 * time.Hour)
	pruned(t, l.Store, store.Cutoffs{})
	l.expect(limit, 0, 1)
	if got := l.grant(limit, "1.1.0", "b", "a"); got != "-+" {
		t.Errorf("got %s", got)
	}
}
