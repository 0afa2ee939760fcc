package postgres

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// fleet is n machines as they lie in a database of a large fleet.
func fleet(n int) []store.Change {
	changes := make([]store.Change, n)
	for i := range changes {
		changes[i] = store.PutMachine{Machine: store.Machine{
			App: "e96281a6-d1af-4bde-9a0a-97b76e56dc57", ID: fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i)))[:32],
			Group: "stable", Arch: "amd64", Progress: rollout.Progress{State: rollout.Complete, Version: "4081.2.1", Target: "4081.2.1"},
			Since: noon, Address: fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255), FirstSeen: noon, LastSeen: noon.Add(time.Duration(i) * time.Millisecond),
		}}
	}
	return changes
}

func BenchmarkApplyOneEvent(b *testing.B) {
	s := open(b, pgtest.Database(b))
	changes := []store.Change{fleet(1)[0], store.AddEvent{Event: store.Event{App: "a", Machine: "m", At: noon, Type: 13, Result: 1}}}
	for b.Loop() {
		try(b, s.Apply(b.Context(), changes))
	}
}

// BenchmarkApplySeen writes machines that were there already, as polls do.
func BenchmarkApplySeen(b *testing.B) {
	const machines = 10000
	s := open(b, pgtest.Database(b))
	changes := fleet(machines)
	try(b, s.Apply(b.Context(), changes))
	for b.Loop() {
		try(b, s.Apply(b.Context(), changes))
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*machines), "µs/machine")
}

func BenchmarkGrant(b *testing.B) {
	s := open(b, pgtest.Database(b))
	limit := store.Limit{App: "a", Group: "stable", PerPeriod: 1 << 30, Period: time.Hour}
	for n := 0; b.Loop(); n++ {
		if _, err := s.Grant(b.Context(), limit, []store.Ask{{Machine: fmt.Sprint(n), Version: "1"}}, noon); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	const machines = 100000
	s := open(b, pgtest.Database(b))
	try(b, s.Apply(b.Context(), fleet(machines)))
	for b.Loop() {
		try(b, s.Load(b.Context(), func(store.Change) error { return nil }))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*machines), "ns/machine")
}

func BenchmarkFeedEntry(b *testing.B) {
	const machines = 10000
	changes := fleet(machines)
	entry, err := encode(changes)
	try(b, err)
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			try(b, errorOf(encode(changes)))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*machines), "ns/machine")
		b.ReportMetric(float64(len(entry))/machines, "bytes/machine")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			try(b, errorOf(decode(entry)))
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*machines), "ns/machine")
	})
}
