package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// replica is a store with what it heard from the others.
type replica struct {
	*Store
	heard chan []store.Change
	ended chan error
	stop  context.CancelFunc
}

// follow lets a store follow the feed until the test ends or stop is called.
func follow(t *testing.T, s *Store) *replica {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &replica{s, make(chan []store.Change, 10000), make(chan error, 1), cancel}
	go func() {
		r.ended <- s.Follow(ctx, func(changes []store.Change) error {
			r.heard <- changes
			return nil
		})
	}()
	t.Cleanup(cancel)
	return r
}

func (r *replica) next(t *testing.T) []store.Change {
	t.Helper()
	select {
	case changes := <-r.heard:
		return changes
	case err := <-r.ended:
		t.Fatalf("following ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("a replica heard nothing for a minute")
	}
	return nil
}

// batch is a batch that says who made it, and as which.
func batch(replica, n int) []store.Change {
	return []store.Change{store.PutMachine{Machine: machine(fmt.Sprintf("%d-%d", replica, n))}, store.EndGrant{App: "a", Machine: fmt.Sprint(n)}}
}

func TestReplicasHearEachOtherInOneOrder(t *testing.T) {
	const replicas, batches = 3, 40
	url := pgtest.Database(t)
	var all []*replica
	for range replicas {
		all = append(all, follow(t, open(t, url)))
	}
	var writers sync.WaitGroup
	for i, r := range all {
		writers.Go(func() {
			for n := range batches {
				if err := r.Apply(t.Context(), batch(i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	outsider := follow(t, open(t, url)) // hears everything
	var order []string
	for range replicas * batches {
		order = append(order, fmt.Sprint(outsider.next(t)))
	}
	for i, r := range all {
		own := map[string]bool{}
		for n := range batches {
			own[fmt.Sprint(batch(i, n))] = true
		}
		var want, got []string
		for _, b := range order {
			if !own[b] {
				want = append(want, b)
			}
		}
		for range want {
			got = append(got, fmt.Sprint(r.next(t)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("replica %d: %s", i, diff)
		}
	}
}

// TestReplicasShareLimitsExactly asks for far more places than there are, from three stores at once, while updates end.
func TestReplicasShareLimitsExactly(t *testing.T) {
	url := pgtest.Database(t)
	limit := store.Limit{App: "a", Group: "stable", PerPeriod: 150, Period: time.Hour, AtOnce: 40}
	var wait sync.WaitGroup
	var mu sync.Mutex
	begun := 0
	for i := range 3 {
		s := open(t, url)
		for j := range 3 {
			wait.Go(func() {
				for round := range 30 {
					asks := []store.Ask{{Machine: fmt.Sprint(i, j, round), Version: "1"}, {Machine: fmt.Sprint(i, j, round, "b"), Version: "1"}}
					a, err := s.Grant(t.Context(), limit, asks, time.Time{})
					if err != nil {
						t.Error(err)
						return
					}
					if a.Open > limit.AtOnce || a.Begun > limit.PerPeriod {
						t.Errorf("more than the limit: %+v", a)
					}
					var ends []store.Change
					for k, yes := range a.Granted {
						if yes {
							mu.Lock()
							begun++
							mu.Unlock()
						}
						if yes && rand.IntN(4) > 0 {
							ends = append(ends, store.EndGrant{App: "a", Machine: asks[k].Machine})
						}
					}
					if err := s.Apply(t.Context(), ends); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wait.Wait()
	s := open(t, url)
	if most := value[int](t, s, "SELECT count(*) FROM place"); most != begun || begun > limit.PerPeriod {
		t.Errorf("%d places are written and %d were given, at most %d", most, begun, limit.PerPeriod)
	}
	held, said := value[int](t, s, "SELECT count(*) FROM place WHERE ended = 0"), value[int](t, s, "SELECT open FROM ledger")
	if held != said || held > limit.AtOnce {
		t.Errorf("%d places are held, the ledger says %d, at most %d", held, said, limit.AtOnce)
	}
	if begun < limit.AtOnce {
		t.Errorf("only %d places were given", begun)
	}
}

// TestMachineIsGivenOnePlaceByAll lets replicas give the same machines places in two groups at once.
func TestMachineIsGivenOnePlaceByAll(t *testing.T) {
	url := pgtest.Database(t)
	var wait sync.WaitGroup
	for i := range 4 {
		s := open(t, url)
		wait.Go(func() {
			for round := range 20 {
				limit := store.Limit{App: "a", Group: fmt.Sprint((i + round) % 2), AtOnce: 10}
				asks := []store.Ask{{Machine: "m", Version: fmt.Sprint(round % 3)}, {Machine: "n", Version: "1"}}
				if _, err := s.Grant(t.Context(), limit, asks, time.Time{}); err != nil {
					t.Error(err)
				}
				if err := s.Apply(t.Context(), []store.Change{store.EndGrant{App: "a", Machine: "n"}, store.EndGrant{App: "a", Machine: "m"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	s := open(t, url)
	if open := value[int](t, s, "SELECT sum(open) FROM ledger"); open != 0 {
		t.Errorf("%d places are held when all were given back", open)
	}
}

func TestMarksOfTwoReplicasAreOne(t *testing.T) {
	url := pgtest.Database(t)
	marks := []store.Change{
		store.PutHalt{Halt: store.Halt{App: "a", Arch: "amd64", Version: "1", By: "error budget", At: noon}},
		store.PutBar{Bar: store.Bar{App: "a", Machine: "m", Version: "1", At: noon}},
		store.PutRollout{Rollout: store.Rollout{App: "a", Group: "stable", Arch: "amd64", Version: "1", Started: noon}},
		store.AddSample{Sample: store.Sample{App: "a", Group: "stable", Step: time.Minute, At: noon}},
	}
	first := open(t, url)
	try(t, first.Apply(t.Context(), []store.Change{store.PutApp{App: store.App{ID: "a", Name: "a"}}}))
	var wait sync.WaitGroup
	for range 3 {
		s := open(t, url)
		wait.Go(func() {
			for range 10 {
				if err := s.Apply(t.Context(), marks); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for _, table := range []string{"halt", "bar", "rollout", "sample"} {
		if n := value[int](t, first, "SELECT count(*) FROM "+table); n != 1 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
}

func TestReplicaThatWasCutOffCatchesUp(t *testing.T) {
	server := pgtest.Start(t)
	url := server.URL("postgres")
	cut, other := follow(t, open(t, url)), open(t, url)
	try(t, other.Apply(t.Context(), batch(0, 0)))
	cut.next(t)
	// Its connections are ended again and again, while the other one writes.
	for n := 1; n <= 50; n++ {
		if n%10 == 0 {
			command(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' OR query LIKE '%FROM feed%' AND pid <> pg_backend_pid()`)
		}
		try(t, other.Apply(t.Context(), batch(0, n)))
	}
	server.Kill()
	server.Restart(t)
	eventually(t, func() error { return other.Apply(t.Context(), batch(0, 51)) })
	for n := 1; n <= 51; n++ {
		if diff := cmp.Diff(batch(0, n), cut.next(t)); diff != "" {
			t.Fatal(diff)
		}
	}
	select {
	case extra := <-cut.heard:
		t.Errorf("one batch too many: %v", extra)
	default:
	}
}

// eventually asks again for as long as the answer is Unavailable.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if !fault.Is(err, fault.Unavailable) || time.Now().After(deadline) {
			t.Fatalf("got %v of kind %v", err, fault.KindOf(err))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestReplicaThatWasCutOffForTooLongMustLoadAnew(t *testing.T) {
	url := pgtest.Database(t)
	cut, other := open(t, url), open(t, url)
	for n := range 3 {
		try(t, other.Apply(t.Context(), batch(0, n)))
	}
	command(t, url, fmt.Sprintf(`UPDATE feed SET at = at - %d`, feedKept.Milliseconds()+1))
	if n, err := other.Prune(t.Context(), store.Cutoffs{}); err != nil || n != 2 {
		t.Fatalf("%d feed entries were pruned, want all but the last: %v", n, err)
	}
	if err := cut.Follow(t.Context(), func([]store.Change) error { return nil }); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v", err)
	}
	machines := 0
	try(t, cut.Load(t.Context(), func(store.Change) error { machines++; return nil }))
	r := follow(t, cut)
	try(t, other.Apply(t.Context(), batch(0, 3)))
	if diff := cmp.Diff(batch(0, 3), r.next(t)); diff != "" || machines != 3 {
		t.Errorf("%d machines, then %s", machines, diff)
	}
}

func TestEntryOfAnotherVersionMustBeLoaded(t *testing.T) {
	url := pgtest.Database(t)
	s, other := open(t, url), open(t, url)
	try(t, other.Apply(t.Context(), batch(0, 0)))
	command(t, url, `UPDATE feed SET body = '\xff'`)
	if err := s.Follow(t.Context(), func([]store.Change) error { return nil }); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v", err)
	}
	try(t, s.Load(t.Context(), func(store.Change) error { return nil }))
	r := follow(t, s)
	try(t, other.Apply(t.Context(), batch(0, 1)))
	if diff := cmp.Diff(batch(0, 1), r.next(t)); diff != "" {
		t.Error(diff)
	}
}

func TestFollowingStopsAtTheErrorOfYield(t *testing.T) {
	url := pgtest.Database(t)
	s, other := open(t, url), open(t, url)
	try(t, other.Apply(t.Context(), batch(0, 0)))
	enough := fault.New(fault.Unavailable, "enough") // not to be taken for the database's
	if err := s.Follow(t.Context(), func([]store.Change) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(batch(0, 0), follow(t, s).next(t)); diff != "" {
		t.Errorf("what was not taken is not there again: %s", diff)
	}
}
