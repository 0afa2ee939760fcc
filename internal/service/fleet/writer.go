package fleet

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

const (
	flushEvery = time.Second // how late a changed machine may be written
	seenEvery  = 15 * 60     // flushes: how late it may be written that a machine was seen
	maxFlush   = 10000       // such machines in one transaction, so that reports behind it do not wait long
	maxWaiting = 4096        // calls that wait for the store, before more are refused
)

// request is one call's changes, and where it waits for them to be durable.
type request struct {
	changes  []store.Change
	remember bool       // the memory changes after the store; otherwise it has changed already, and the changes must not get lost
	done     chan error // of one, so that the writer never waits; nil when nobody waits
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

// enqueue hands changes that the memory has already to the writer. The fleet is locked.
func (f *Fleet) enqueue(changes []store.Change) (done chan error) {
	return f.submit(request{changes: changes, done: make(chan error, 1)})
}

func (f *Fleet) submit(r request) (done chan error) {
	f.queue.waiting = append(f.queue.waiting, r)
	select {
	case f.queue.wake <- struct{}{}:
	default: // it is awake already
	}
	return r.done
}

// writable says why no change can be taken now. The fleet is locked.
func (f *Fleet) writable() error {
	if f.failing {
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

// write is the writer: the only one that changes records in the store.
func (f *Fleet) write() {
	defer close(f.queue.stopped)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	flush := false
	for {
		if !flush {
			select {
			case <-f.queue.wake:
			case <-tick.C:
				flush = true
			case <-f.queue.stop:
				for f.writeBatch(true) {
				}
				return
			}
		}
		more := f.writeBatch(flush)
		flush = flush && more
	}
}

// writeBatch writes everything that waits, and with flush also machines that changed without anybody waiting. It reports
// whether there is more of those. What the memory has already is kept after a failure and written first the next time.
func (f *Fleet) writeBatch(flush bool) (more bool) {
	f.mu.Lock()
	if f.failing && !flush {
		f.mu.Unlock()
		return false // once per tick is enough
	}
	requests := f.queue.waiting
	f.queue.waiting = nil
	var machines []store.Change
	if flush {
		machines = append(f.takeDirty(), f.takeSeen()...)
	}
	more = len(f.dirty) > 0
	f.mu.Unlock()
	var changes []store.Change
	for _, r := range requests {
		changes = append(changes, r.changes...)
	}
	changes = append(sumDownloads(changes), machines...)
	if len(changes) == 0 {
		return false
	}
	err := f.store.Apply(context.Background(), changes)
	f.Metrics.batches.Observe(float64(len(changes)))
	f.settle(requests, machines, err)
	return more && err == nil
}

// takeDirty empties the list of changed machines, up to a bound. Their records are taken now, after the queue was: in the
// batch they are never older than what stands before them.
func (f *Fleet) takeDirty() []store.Change {
	n := min(len(f.dirty), maxFlush)
	changes := make([]store.Change, 0, n)
	for _, i := range f.dirty[:n] {
		if f.memory.machines.at(i).flags&dirty != 0 { // it was not written with a report meanwhile
			changes = f.save(changes, i)
		}
	}
	if f.dirty = f.dirty[n:]; len(f.dirty) == 0 {
		f.dirty = nil
	}
	return changes
}

// takeSeen goes on through all machines for those that were seen since they were written, so fast that it is once around in seenEvery
// flushes. Machines lie as they were loaded, in the order of their ids, so this writes the database page by page; in
// the order in which machines ask it would cost several times as much.
func (f *Fleet) takeSeen() []store.Change {
	var changes []store.Change
	length := f.memory.machines.length
	for range min(length, length/seenEvery+1) {
		if f.walked >= length {
			f.walked = 0
		}
		if r := f.memory.machines.at(f.walked); r.lastSeen != r.savedSeen {
			changes = f.save(changes, f.walked)
		}
		f.walked++
	}
	return changes
}

// save adds a machine as it is now to what is written.
func (f *Fleet) save(changes []store.Change, i uint32) []store.Change {
	r := f.memory.machines.at(i)
	r.flags &^= dirty
	if r.flags&used == 0 {
		return changes
	}
	r.savedSeen = r.lastSeen
	return append(changes, store.PutMachine{Machine: f.memory.export(i)})
}

// settle tells the callers what became of a batch.
func (f *Fleet) settle(requests []request, machines []store.Change, err error) {
	f.mu.Lock()
	if err != nil {
		f.keepForLater(requests, machines)
	}
	if err == nil {
		for _, r := range requests {
			for _, c := range r.changes {
				if r.remember {
					f.memory.apply(c)
				}
			}
		}
	}
	if f.failing != (err != nil) {
		f.log.Error("the database changed its mind", "takes_changes", err == nil, "error", err)
	}
	f.failing = err != nil
	f.mu.Unlock()
	for _, r := range requests {
		if r.done != nil {
			r.done <- err
		}
	}
}

// keepForLater puts back what the memory is ahead of the store by. Its callers are told of the failure now, so nobody waits for it any more.
func (f *Fleet) keepForLater(requests []request, machines []store.Change) {
	var kept []store.Change
	for _, r := range requests {
		if !r.remember {
			kept = append(kept, r.changes...)
		}
	}
	for _, c := range machines {
		if m, ok := c.(store.PutMachine); ok {
			if _, i, ok := f.memory.known(m.Machine.App, m.Machine.ID); ok {
				f.mark(i)
			}
		}
	}
	if len(kept) > 0 {
		f.queue.waiting = append([]request{{changes: kept}}, f.queue.waiting...)
	}
}
