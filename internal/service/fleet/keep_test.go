package fleet

import (
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// A sample is written when a step of a time series ends, and not between; what is older than its cutoff goes.
func TestSamplesAreKeptAtFallingResolution(t *testing.T) {
	f, s := openFleet(t)
	offered(t, f, runs("m1", "1.0"))
	offered(t, f, runs("m2", "2.0"))
	last := s.clock.now() // noon, which is the end of a step of an hour
	for range 65 {
		now := s.clock.add(time.Minute)
		f.sample(last, now)
		last = now
	}
	must(t, f.AddApp(t.Context(), "test", store.App{ID: "b", Name: "b"})) // written behind the samples
	series := func(step time.Duration) []store.Sample {
		t.Helper()
		all, err := s.Samples(t.Context(), "os", "main", step, time.Time{})
		must(t, err)
		return all
	}
	fine, hourly, daily := series(5*time.Minute), series(time.Hour), series(24*time.Hour)
	if len(fine) != 13 || len(hourly) != 1 || len(daily) != 0 {
		t.Fatalf("there are %d, %d and %d samples", len(fine), len(hourly), len(daily))
	}
	got := hourly[0]
	if !got.At.Equal(time.Date(2026, 11, 2, 13, 0, 0, 0, time.UTC)) || got.Versions["1.0"] != 1 || got.Versions["2.0"] != 1 ||
		got.States["offered"] != 1 || got.States["idle"] != 1 {
		t.Errorf("got %+v", got)
	}
	f.prune(t.Context(), s.clock.add(49*time.Hour))
	if fine, hourly := series(5*time.Minute), series(time.Hour); len(fine) != 0 || len(hourly) != 1 {
		t.Errorf("after two days there are %d and %d samples", len(fine), len(hourly))
	}
}
