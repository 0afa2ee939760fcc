// Package fleet is the service's memory of its fleet: it answers machines, takes their reports, and carries out what the
// operator asks for.
//
// Start with [Open] and [Fleet.Contact]. Everything that an answer depends on is in memory; a decision is
// [rollout.Offer]'s. What changes goes to the store through one writer that makes a batch of whatever waits, so that
// a report or an operator's change is durable when its call returns, at the cost of one commit for many. That
// a machine was seen is written within a second, and no call waits for it. When the store fails, changes are refused with
// kind Unavailable and polls are answered from memory, until the writer has read the store again.
package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// Store is what the fleet needs of a database; storetest says how it must behave.
type Store interface {
	Load(ctx context.Context, yield func(store.Change) error) error
	Apply(ctx context.Context, changes []store.Change) error
}

// Fleet is the service's memory, with its writer running.
type Fleet struct {
	Metrics *Metrics

	store Store
	log   *slog.Logger
	now   func() time.Time
	queue queue

	mu     sync.Mutex
	memory *memory
	stale  bool                    // the memory may be ahead of the store
	dirty  map[machineKey]struct{} // machines that were seen since they were written
}

// Open reads everything from the store and starts the writer. now is the clock.
func Open(ctx context.Context, s Store, log *slog.Logger, now func() time.Time) (*Fleet, error) {
	m, err := load(ctx, s)
	if err != nil {
		return nil, err
	}
	whole := func() time.Time { return now().UTC().Truncate(time.Millisecond) } // as the store keeps times
	f := &Fleet{store: s, log: log, now: whole, queue: newQueue(), memory: m, dirty: map[machineKey]struct{}{}}
	f.Metrics = newMetrics(f)
	go f.write()
	return f, nil
}

// Close writes what is still waiting and ends the writer. No other call may follow.
func (f *Fleet) Close() {
	close(f.queue.stop)
	<-f.queue.stopped
}

// Ready reports whether changes are taken.
func (f *Fleet) Ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.stale
}

// read calls look with the memory; look must not keep what it is given.
func (f *Fleet) read(look func(*memory) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return look(f.memory)
}

// change makes the changes that decide comes to, and returns when they are durable. No changes are no work.
func (f *Fleet) change(ctx context.Context, decide func(*memory) ([]store.Change, error)) error {
	f.mu.Lock()
	changes, err := decide(f.memory)
	if err != nil || len(changes) == 0 {
		f.mu.Unlock()
		return err
	}
	done, err := f.commit(changes)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return wait(ctx, done)
}
