package sqlite

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/service/store"
)

// TestLimitsHoldWhateverTheOrder lets askers ask at once whose clocks are not read in the order in which they get their turn. No window of the
// length of the period, by their own clocks, may have more places than the limit, and all of them must be used.
func TestLimitsHoldWhateverTheOrder(t *testing.T) {
	s := opened(t)
	applied(t, s, store.PutApp{App: store.App{ID: "a", Name: "a"}})
	pragma(t, s, "synchronous = OFF") // this is not about the disk
	const period, most = 50 * time.Millisecond, 5
	limit := store.Limit{App: "a", Group: "g", PerPeriod: most, Period: period}
	start := time.UnixMilli(1_790_000_000_000)
	var mu sync.Mutex
	var all []time.Time // that the askers had
	var wait sync.WaitGroup
	for asker := range 8 {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(asker)))
			for n := range 100 {
				now := start.Add(time.Duration(n)*5*time.Millisecond + time.Duration(random.IntN(20_000_000)))
				a, err := s.Grant(t.Context(), limit, []store.Ask{{Machine: fmt.Sprint(asker, " ", n), Version: "1"}}, now)
				if err != nil {
					t.Error(err)
					return
				}
				if a.Granted[0] {
					mu.Lock()
					all = append(all, now)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	for _, end := range all {
		count := 0
		for _, at := range all {
			if at.After(end.Add(-period)) && !at.After(end) {
				count++
			}
		}
		if count > most {
			t.Errorf("%d places in the period that ends at %v", count, end)
		}
	}
	if len(all) < most*5 { // askers who are ahead cost the others something, but not half
		t.Errorf("only %d places in ten periods", len(all))
	}
}

// model is the ledger of one application as one would count it by hand.
type model struct {
	begun map[string][]time.Time // by group
	held  map[string]store.Ask   // by machine, with its group in front of the version
}

func (m *model) open(group string) (n int) {
	for _, ask := range m.held {
		if ask.Machine == group {
			n++
		}
	}
	return n
}

func (m *model) counted(l store.Limit, now time.Time) (n int) {
	for _, at := range m.begun[l.Group] {
		if at.After(now.Add(-l.Period)) {
			n++
		}
	}
	return n
}

func (m *model) ask(l store.Limit, a store.Ask, now time.Time) bool {
	want := store.Ask{Machine: l.Group, Version: a.Version}
	if m.held[a.Machine] == want {
		return true
	}
	delete(m.held, a.Machine)
	if l.PerPeriod > 0 && m.counted(l, now) >= l.PerPeriod || l.AtOnce > 0 && m.open(l.Group) >= l.AtOnce {
		return false
	}
	m.held[a.Machine] = want
	m.begun[l.Group] = append(m.begun[l.Group], now)
	return true
}

// TestLedgerIsAsCountedByHand compares the ledger with the model, over all that can be done to it.
func TestLedgerIsAsCountedByHand(t *testing.T) {
	s := opened(t)
	applied(t, s, store.PutApp{App: store.App{ID: "a", Name: "a"}})
	pragma(t, s, "synchronous = OFF")
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++ // an application of its own
		app := fmt.Sprint("app ", run)
		m := &model{map[string][]time.Time{}, map[string]store.Ask{}}
		now := time.UnixMilli(1_790_000_000_000)
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				l := store.Limit{
					App: app, Group: rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group"), Period: 10 * time.Second,
					PerPeriod: rapid.IntRange(0, 6).Draw(t, "per period"), AtOnce: rapid.IntRange(0, 6).Draw(t, "at once"),
				}
				asks := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Ask {
					return store.Ask{Machine: fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "machine")), Version: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")}
				}), 0, 5).Draw(t, "asks")
				compareGrant(t, s, m, l, asks, now)
			},
			"end": func(t *rapid.T) {
				machine := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "machine"))
				delete(m.held, machine)
				if err := s.Apply(t.Context(), []store.Change{store.EndGrant{App: app, Machine: machine}}); err != nil {
					t.Fatal(err)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 6000).Draw(t, "milliseconds")) * time.Millisecond)
			},
			"prune": func(t *rapid.T) {
				if _, err := s.Prune(t.Context(), store.Cutoffs{}); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func compareGrant(t *rapid.T, s *Store, m *model, l store.Limit, asks []store.Ask, now time.Time) {
	a, err := s.Grant(t.Context(), l, asks, now)
	if err != nil {
		t.Fatal(err)
	}
	for i, ask := range asks {
		if want := m.ask(l, ask, now); a.Granted[i] != want {
			t.Fatalf("%+v of %+v: got %v", ask, l, a.Granted[i])
		}
	}
	if a.Begun != m.counted(l, now) || a.Open != m.open(l.Group) {
		t.Fatalf("got %+v, want %d begun and %d open", a, m.counted(l, now), m.open(l.Group))
	}
	used := l.PerPeriod > 0 && a.Begun >= l.PerPeriod
	if used == a.Again.IsZero() {
		t.Fatalf("used up: %v, a place again: %v", used, a.Again)
	}
	if used && (m.counted(l, a.Again) >= l.PerPeriod || m.counted(l, a.Again.Add(-time.Millisecond)) < l.PerPeriod) {
		t.Fatalf("there is a place again at %v, which is not when one is free", a.Again)
	}
}

// TestClockSetBack: places that were begun with a clock that was a year ahead must not stop updates for a year.
func TestClockSetBack(t *testing.T) {
	s := opened(t)
	limit := store.Limit{App: "a", Group: "g", PerPeriod: 2, Period: time.Hour}
	now := time.UnixMilli(1_790_000_000_000).UTC()
	if _, err := s.Grant(t.Context(), limit, asks(2), now.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	a, err := s.Grant(t.Context(), limit, asks(3), now)
	if err != nil || a.Begun != 2 || !a.Again.Equal(now.Add(time.Hour)) {
		t.Errorf("after the clock was set back: %+v, %v", a, err)
	}
	if a, err = s.Grant(t.Context(), limit, asks(3), now.Add(time.Hour)); err != nil || !a.Granted[2] {
		t.Errorf("an hour later: %+v, %v", a, err)
	}
}

// TestPlaceBeginsRoundedUp: what is stored to the millisecond must not let a place count for less than its period.
func TestPlaceBeginsRoundedUp(t *testing.T) {
	s := opened(t)
	limit := store.Limit{App: "a", Group: "g", PerPeriod: 1, Period: time.Second}
	now := time.UnixMilli(1_790_000_000_000).Add(900 * time.Microsecond)
	for _, step := range []struct {
		after   time.Duration
		machine string
		granted bool
	}{{0, "a", true}, {time.Second - 100*time.Microsecond, "b", false}, {time.Second + 100*time.Microsecond, "c", true}} {
		a, err := s.Grant(t.Context(), limit, []store.Ask{{Machine: step.machine, Version: "1"}}, now.Add(step.after))
		if err != nil || a.Granted[0] != step.granted {
			t.Errorf("after %v: %+v, %v", step.after, a, err)
		}
	}
}
