// Package fleet is the service's memory of its fleet: it answers machines, takes their reports, and carries out what the
// operator asks for.
//
// Start with [Open] and [Fleet.Contact]. Everything that an answer depends on is in memory; a decision is
// [rollout.Offer]'s. Machines are records without pointers in a [table], what operators decide is derived once into routes, and counts are kept as machines
// change: no answer costs more because the fleet is large. What changes goes to the store through one writer that makes a batch of
// whatever waits, so that a report or an operator's change is durable when its call returns, at the cost of one commit for many. Places
// under a limit come from the ledger in the store, through a desk for each group. When the store fails, reports and changes are refused with
// kind Unavailable and polls are answered from memory; what was taken before is kept and written first when it is back.
// docs/design/service.md says why it is built like this.
package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// Store is what the fleet needs of a database; storetest says how it must behave.
type Store interface {
	Load(ctx context.Context, yield func(store.Change) error) error
	Apply(ctx context.Context, changes []store.Change) error
	Ledger
	Follower
	Keeper
	Counter
}

// Ledger is where places under limits are counted.
type Ledger interface {
	Grant(ctx context.Context, limit store.Limit, asks []store.Ask, now time.Time) (store.Allowance, error)
	Allowance(ctx context.Context, limit store.Limit, now time.Time) (store.Allowance, error)
}

// Follower yields what other replicas did.
type Follower interface {
	Follow(ctx context.Context, yield func([]store.Change) error) error
}

// Keeper forgets what is old, and knows when any replica last saw a machine.
type Keeper interface {
	Prune(ctx context.Context, c store.Cutoffs) (int, error)
	Machines(ctx context.Context, app string, ids []string) ([]store.Machine, error)
}

// Counter is where downloads are counted.
type Counter interface {
	Downloads(ctx context.Context, app, group string) ([]store.Downloads, error)
}

// Options are the settings of a fleet.
type Options struct {
	// MaxMachines bounds what strangers can make the service remember; further machines are answered and not registered.
	MaxMachines int
	// Retention is how long what happened is remembered.
	Retention Retention
}

// Retention is how long what happened is remembered; 0 is forever.
type Retention struct {
	Machines time.Duration // since they were last seen
	Events   time.Duration
	Activity time.Duration
}

// Defaults are the settings of a service that nobody configured.
func Defaults() Options {
	const day = 24 * time.Hour
	return Options{MaxMachines: 20_000_000, Retention: Retention{Machines: 90 * day, Events: 90 * day, Activity: 400 * day}}
}

// Fleet is the service's memory, with its writer running.
type Fleet struct {
	Metrics *Metrics

	store   Store
	log     *slog.Logger
	now     func() time.Time
	options Options
	queue   queue
	workers sync.WaitGroup
	stop    context.CancelFunc // ends the workers
	changes sync.Mutex         // one operator's change at a time; taken before mu

	mu         sync.Mutex
	memory     *memory
	failing    bool     // the store did not take the last batch
	dirty      []uint32 // machines to be written
	walked     uint32   // how far the search for machines that were seen is
	desks      map[deskKey]*desk
	complained time.Time
}

// Open reads everything from the store and starts the workers. now is the clock.
func Open(ctx context.Context, s Store, log *slog.Logger, now func() time.Time, o Options) (*Fleet, error) {
	m, err := load(ctx, s)
	if err != nil {
		return nil, err
	}
	whole := func() time.Time { return now().UTC().Truncate(time.Millisecond) } // as the store keeps times
	f := &Fleet{store: s, log: log, now: whole, options: o, queue: newQueue(), memory: m, desks: map[deskKey]*desk{}}
	f.Metrics = newMetrics(f)
	working, stop := context.WithCancel(context.Background())
	f.stop = stop
	go f.write()
	f.workers.Go(func() { f.followReplicas(working) })
	f.workers.Go(func() { f.keep(working) })
	return f, nil
}

// Close writes what is still waiting and ends the workers. No other call may follow.
func (f *Fleet) Close() {
	f.stop()
	f.workers.Wait()
	close(f.queue.stop)
	<-f.queue.stopped
}

// Ready reports whether changes are taken.
func (f *Fleet) Ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.failing
}

// read calls look with the memory; look must not keep what it is given.
func (f *Fleet) read(look func(*memory) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return look(f.memory)
}

// change makes the changes that decide comes to, and returns when they are durable: the store has them before the memory does, so
// that what failed has not happened. No changes are no work.
func (f *Fleet) change(ctx context.Context, decide func(*memory) ([]store.Change, error)) error {
	f.changes.Lock()
	defer f.changes.Unlock()
	f.mu.Lock()
	changes, err := decide(f.memory)
	if err == nil && len(changes) > 0 {
		err = f.writable()
	}
	if err != nil || len(changes) == 0 {
		f.mu.Unlock()
		return err
	}
	done := f.submit(request{changes: changes, remember: true, done: make(chan error, 1)})
	f.mu.Unlock()
	return wait(ctx, done)
}

// followReplicas takes part in what other replicas do, until ctx ends.
func (f *Fleet) followReplicas(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.store.Follow(ctx, func(changes []store.Change) error {
			f.join(changes)
			return nil
		})
		switch {
		case ctx.Err() != nil:
			return
		case fault.Is(err, fault.Conflict):
			f.reload(ctx)
		case err != nil:
			f.log.Warn("the other replicas are not heard", "error", err)
		}
		pause(ctx, time.Second)
	}
}

// join takes over what another replica did. Failures that each replica saw too few of may together be one too many.
func (f *Fleet) join(changes []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		f.memory.apply(c)
	}
	for _, c := range changes {
		put, ok := c.(store.PutBar)
		a := f.memory.of(put.Bar.App)
		if !ok || a == nil {
			continue
		}
		ending := rollout.Ending{Version: put.Bar.Version, State: put.Bar.State, Text: put.Bar.Reason}
		if halt := f.judge(a, put.Bar.Group, put.Bar.Arch, ending, f.now()); len(halt) > 0 {
			for _, c := range halt {
				f.memory.apply(c)
			}
			f.enqueue(halt)
		}
	}
}

// reload replaces the memory by what the store holds. That a machine was seen since it was last written is forgotten, and the
// machine will say it again.
func (f *Fleet) reload(ctx context.Context) {
	m, err := load(ctx, f.store)
	if err != nil {
		f.log.Error("the database was not read", "error", err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory, f.dirty = m, nil
	f.log.Info("the memory was loaded anew")
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
