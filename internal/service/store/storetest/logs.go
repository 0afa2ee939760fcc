package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

var logs = map[string]func(*testing.T, Database){
	"events are read from the newest end":  testEvents,
	"activity is read from the newest end": testActivity,
	"samples are read by group and step":   testSamples,
	"a sample of the same moment replaces": testSampleReplaces,
	"following ends with its context":      testFollowEnds,
}

func event(machine string, n int) store.Event {
	return store.Event{
		App: app, Machine: machine, At: noon.Add(time.Duration(n) * time.Second), Type: 3, Result: 0, Code: -2147483604,
		Version: fmt.Sprint("1.0.", n), Previous: "p", Target: "1.1.0", State: rollout.RolledBack,
	}
}

func testEvents(t *testing.T, d Database) {
	s := filled(t, d)
	var want []store.Event // of m1, the newest first
	for i := range 5 {
		foreign := event("m1", i)
		foreign.App = "bare"
		apply(t, s, store.AddEvent{Event: event("m1", i)}, store.AddEvent{Event: event("m2", i)}, store.AddEvent{Event: foreign})
		want = append([]store.Event{event("m1", i)}, want...)
	}
	for machine, want := range map[string][]store.Event{
		"m1": want[:3], "": {event("m2", 4), event("m1", 4), event("m2", 3)}, "m3": {},
	} {
		got, err := s.Events(t.Context(), app, machine, 3)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("machine %q: %s", machine, diff)
		}
	}
}

func testActivity(t *testing.T, d Database) {
	s := filled(t, d)
	var want []store.Activity
	for i := range 5 {
		a := store.Activity{At: noon.Add(time.Duration(i) * time.Second), Who: "admin", App: app, Text: fmt.Sprint("entry ", i)}
		apply(t, s, store.AddActivity{Activity: a})
		want = append([]store.Activity{a}, want...)
	}
	got, err := s.Activity(t.Context(), 2)
	must(t, err)
	if diff := cmp.Diff(want[:2], got); diff != "" {
		t.Error(diff)
	}
}

func sampled(group string, step time.Duration, n int) store.Sample {
	return store.Sample{
		App: app, Group: group, At: noon.Add(time.Duration(n) * step), Step: step,
		States: map[string]int{"idle": n, "complete": 7}, Versions: map[string]int{"1.0.0": n, "a \"b\"": 1},
	}
}

func testSamples(t *testing.T, d Database) {
	s := filled(t, d)
	for _, i := range []int{2, 0, 1, 3} {
		foreign := sampled("stable", time.Minute, i)
		foreign.App = "bare"
		apply(t, s, store.AddSample{Sample: sampled("stable", time.Minute, i)}, store.AddSample{Sample: sampled("stable", time.Hour, i)},
			store.AddSample{Sample: sampled("other", time.Minute, i)}, store.AddSample{Sample: foreign})
	}
	got, err := s.Samples(t.Context(), app, "stable", time.Minute, noon.Add(time.Minute))
	must(t, err)
	want := []store.Sample{sampled("stable", time.Minute, 1), sampled("stable", time.Minute, 2), sampled("stable", time.Minute, 3)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = s.Samples(t.Context(), app, "unknown", time.Minute, noon)
	if err != nil || len(got) != 0 {
		t.Errorf("got %v (%v)", got, err)
	}
}

func testSampleReplaces(t *testing.T, d Database) {
	s := filled(t, d)
	again := sampled("stable", time.Hour, 0)
	again.States = map[string]int{"idle": 99}
	apply(t, s, store.AddSample{Sample: sampled("stable", time.Hour, 0)}, store.AddSample{Sample: again})
	got, err := s.Samples(t.Context(), app, "stable", time.Hour, noon)
	must(t, err)
	if diff := cmp.Diff([]store.Sample{again}, got); diff != "" {
		t.Error(diff)
	}
}

// testFollowEnds asks only for the end: what a shared store yields is tested where there are replicas.
func testFollowEnds(t *testing.T, d Database) {
	s := opened(t, d)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Follow(ctx, func([]store.Change) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("following ended with %v", err)
	}
}
