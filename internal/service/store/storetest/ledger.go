package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

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

// expectGranted compares which machines hold a place when the store is loaded. m1 of the sample says so itself.
func (l *ledger) expectGranted(want map[string]bool) {
	l.t.Helper()
	for _, c := range loaded(l.t, l.Store) {
		if m, ok := c.(store.PutMachine); ok && m.Machine.Granted != want[m.Machine.App+" "+m.Machine.ID] {
			l.t.Errorf("machine %s holds a place: %v", m.Machine.ID, m.Machine.Granted)
		}
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
