package sqlite

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// fleetSize is how many machines a benchmark's database has: CONIFER_BENCH_MACHINES, or as many as are made in seconds.
func fleetSize() int {
	if n, err := strconv.Atoi(os.Getenv("CONIFER_BENCH_MACHINES")); err == nil {
		return n
	}
	return 200_000
}

// machine is the nth machine of a fleet, with an id as update_engine sends it.
func machine(n int) store.Machine {
	id := id(n)
	at := time.UnixMilli(1_790_000_000_000 + int64(n))
	return store.Machine{
		App: "e96281a6-d1af-4bde-9a0a-97b76e56dc57", ID: hex.EncodeToString(id[:]), Group: fmt.Sprint("group-", n%20), Arch: "amd64",
		Progress: rollout.Progress{State: rollout.Idle, Version: fmt.Sprint("4081.2.", n%5)}, Since: at, FirstSeen: at, LastSeen: at,
		Address: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255),
	}
}

func puts(first, count int) []store.Change {
	changes := make([]store.Change, count)
	for i := range changes {
		changes[i] = store.PutMachine{Machine: machine(first + i)}
	}
	return changes
}

// fleet opens a database with machines in it.
func fleet(b *testing.B, machines int) *Store {
	b.Helper()
	path := filepath.Join(b.TempDir(), "conifer.db")
	if kept := os.Getenv("CONIFER_BENCH_DATABASE"); kept != "" {
		path = kept
	}
	s, err := Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var has int
	if err := s.reader.QueryRow(`SELECT count(*) FROM machine_row`).Scan(&has); err != nil {
		b.Fatal(err)
	}
	if has < machines {
		fill(b, s, machines)
	}
	return s
}

// fill makes machines in the order of their ids, which is the quickest.
func fill(b *testing.B, s *Store, machines int) {
	b.Helper()
	ids := make([][16]byte, machines)
	order := make([]int, machines)
	for n := range ids {
		ids[n], order[n] = id(n), n
	}
	slices.SortFunc(order, func(a, b int) int { return bytes.Compare(ids[a][:], ids[b][:]) })
	for part := range slices.Chunk(order, 50_000) {
		changes := make([]store.Change, len(part))
		for i, n := range part {
			changes[i] = store.PutMachine{Machine: machine(n)}
		}
		apply(b, s, changes)
	}
}

func id(n int) [16]byte {
	sum := sha256.Sum256(strconv.AppendInt(nil, int64(n), 10))
	return [16]byte(sum[:16])
}

// cpu is the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perRow reports time per row: on the clock and of processors.
func perRow(b *testing.B, rows int, work func()) {
	b.Helper()
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		work()
	}
	total := float64(rows * b.N)
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/total, "cpu-µs/row")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/total, "µs/row")
}

func apply(b *testing.B, s *Store, changes []store.Change) {
	b.Helper()
	if err := s.Apply(b.Context(), changes); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkApplyNew makes machines that were not there, 20,000 at a time.
func BenchmarkApplyNew(b *testing.B) {
	s := fleet(b, fleetSize())
	next := 1 << 30
	batch := puts(next, 20_000)
	perRow(b, len(batch), func() {
		b.StopTimer()
		for i := range batch {
			batch[i] = store.PutMachine{Machine: machine(next + i)}
		}
		next += len(batch)
		b.StartTimer()
		apply(b, s, batch)
	})
}

// BenchmarkApplyChanged changes machines all over the fleet, by the size of the batch.
func BenchmarkApplyChanged(b *testing.B) {
	machines := fleetSize()
	s := fleet(b, machines)
	for _, size := range []int{1, 100, 5_000, 50_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			batch := make([]store.Change, size)
			for i := range batch {
				m := machine(rand.IntN(machines))
				m.State = rollout.Downloading
				batch[i] = store.PutMachine{Machine: m}
			}
			perRow(b, size, func() { apply(b, s, batch) })
		})
	}
}

// BenchmarkApplyNeighbours changes machines whose ids follow each other, as a sweep through the fleet does.
func BenchmarkApplyNeighbours(b *testing.B) {
	s := fleet(b, fleetSize())
	const size = 5_000
	var batch []store.Change
	err := s.machines(b.Context(), s.reader, span{1, "4", "zz"}, nil, func(m store.Machine) error {
		m.Address = "10.9.9.9"
		if batch = append(batch, store.PutMachine{Machine: m}); len(batch) == size {
			return io.EOF
		}
		return nil
	})
	if err != io.EOF {
		b.Fatal(len(batch), err)
	}
	perRow(b, size, func() { apply(b, s, batch) })
}

// BenchmarkApplyEvents writes events with the machines that they are about, by the size of the batch.
func BenchmarkApplyEvents(b *testing.B) {
	machines := fleetSize()
	s := fleet(b, machines)
	for _, size := range []int{1, 100, 5_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var batch []store.Change
			for range size {
				m := machine(rand.IntN(machines))
				e := store.Event{App: m.App, Machine: m.ID, At: m.LastSeen, Type: 13, Result: 1, Version: m.Version, Target: "4081.3.0", State: rollout.Downloading}
				batch = append(batch, store.PutMachine{Machine: m}, store.AddEvent{Event: e})
			}
			perRow(b, size, func() { apply(b, s, batch) })
		})
	}
}

// BenchmarkLoad reads the whole fleet.
func BenchmarkLoad(b *testing.B) {
	s := fleet(b, fleetSize())
	rows := 0
	count := func(store.Change) error { rows++; return nil }
	if err := s.Load(b.Context(), count); err != nil {
		b.Fatal(err)
	}
	perRow(b, rows, func() {
		if err := s.Load(b.Context(), count); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkGrant gives places, by how many were given in the period before and by how many ask at once.
func BenchmarkGrant(b *testing.B) {
	for _, before := range []int{0, 100_000} {
		for _, size := range []int{1, 100} {
			b.Run(fmt.Sprintf("%d-before/%d-asks", before, size), func(b *testing.B) {
				s := fleet(b, 0)
				limit := store.Limit{App: "a", Group: "g", PerPeriod: 1 << 30, Period: time.Hour, AtOnce: 1 << 30}
				now := time.Now()
				next := 0
				asks := func(n int) []store.Ask {
					all := make([]store.Ask, n)
					for i := range all {
						next++
						all[i] = store.Ask{Machine: machine(next).ID, Version: "4081.3.0"}
					}
					return all
				}
				if _, err := s.Grant(b.Context(), limit, asks(before), now); err != nil {
					b.Fatal(err)
				}
				perRow(b, size, func() {
					now = now.Add(time.Millisecond)
					if _, err := s.Grant(b.Context(), limit, asks(size), now); err != nil {
						b.Fatal(err)
					}
				})
			})
		}
	}
}
