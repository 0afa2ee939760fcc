package fleet

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

const (
	flushEvery = time.Second // how late a machine's last contact may be written
	maxWaiting = 4096        // calls that wait for the store, before more are refused
)

// request is one call's changes, and where it waits for them to be durable.
type request struct {
	changes []store.Change
	done    chan error // of one, so that the writer never waits
}

// queue is what the writer has before it. waiting is under the fleet's lock, so that the order in which the memory
// changed is the order in which the store does.
type queue struct {
	waiting []request
	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
}

func newQueue() queue {
	return queue{wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
}

// commit changes the memory and hands the changes to the writer. The fleet is locked.
func (f *Fleet) commit(changes []store.Change) (done chan error, err error) {
	if err := f.writable(); err != nil {
		return nil, err
	}
	for _, c := range changes {
		f.memory.apply(c)
	}
	r := request{changes, make(chan error, 1)}
	f.queue.waiting = append(f.queue.waiting, r)
	select {
	case f.queue.wake <- struct{}{}:
	default: // it is awake already
	}
	return r.done, nil
}

// writable says why no change can be taken now. The fleet is locked.
func (f *Fleet) writable() error {
	if f.stale {
		return fault.New(fault.Unavailable, "the database does not take changes").WithHint("Try again; the service's log says why.")
	}
	if len(f.queue.waiting) >= maxWaiting {
		return fault.New(fault.Unavailable, "%d changes wait for the database already", maxWaiting).WithHint("Try again later.")
	}
	return nil
}

func wait(ctx context.Context, done chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fault.Wrap(fault.Canceled, ctx.Err())
	}
}

// write is the writer: the only one that changes the store.
func (f *Fleet) write() {
	defer close(f.queue.stopped)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.queue.wake:
			f.writeBatch(false)
		case <-tick.C:
			f.writeBatch(true)
		case <-f.queue.stop:
			f.writeBatch(true)
			return
		}
	}
}

// writeBatch writes everything that waits, and with seen also the machines that were only seen. After a failure it reads
// the store again instead, once per tick.
func (f *Fleet) writeBatch(seen bool) {
	if !f.Ready() {
		if seen {
			f.reload()
		}
		return
	}
	requests, changes := f.take(seen)
	if len(changes) == 0 {
		return
	}
	err := f.store.Apply(context.Background(), changes)
	if err != nil {
		f.log.Error("changes were not written", "changes", len(changes), "error", err)
		requests = append(requests, f.distrust()...)
	}
	f.Metrics.batches.Observe(float64(len(changes)))
	for _, r := range requests {
		r.done <- err
	}
}

// take empties the queue, and with seen the set of machines that were only seen, in this order: a machine's record in
// the memory is never older than the one in the queue.
func (f *Fleet) take(seen bool) ([]request, []store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.queue.waiting
	f.queue.waiting = nil
	var changes []store.Change
	for _, r := range requests {
		changes = append(changes, r.changes...)
	}
	if seen {
		for key := range f.dirty {
			if m := f.memory.machine(key); m != nil {
				changes = append(changes, store.PutMachine{Machine: *m})
			}
		}
		clear(f.dirty)
	}
	return requests, changes
}

// distrust stops changes from being taken, and returns those that were taken in the meantime.
func (f *Fleet) distrust() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = true
	requests := f.queue.waiting
	f.queue.waiting = nil
	return requests
}

// reload replaces the memory by what the store holds. Nothing is lost by it: since the failure no change was
// taken, and that a machine was seen it will say again.
func (f *Fleet) reload() {
	m, err := load(context.Background(), f.store)
	if err != nil {
		f.log.Error("the database was not read", "error", err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory, f.stale = m, false
	clear(f.dirty)
	f.log.Info("the database takes changes again")
}
