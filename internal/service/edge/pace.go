package edge

import (
	"sync/atomic"
	"time"
)

const (
	// soon is the mean time that requests may wait until they are read. What is read is answered at once, but for what waits
	// for the disk: that stands in the processors' queue a few times.
	soon = 50 * time.Millisecond
	// first is how many connections may be in service before anything is known, and least how many always may.
	first = 512
	least = 128
	// lookEvery is how often it is adapted.
	lookEvery = 100 * time.Millisecond
	// lasts is for how long the processors count as behind when they were: one look may fall into a gap.
	lasts = time.Second
)

// pace finds how many connections may be in service. All of them ask at once at the worst, and the last one is read when all others have
// been: so the bound follows how long requests wait until they are read, which is all that tells of a queue in front of the processors.
type pace struct {
	limit    atomic.Int64
	behind   atomic.Bool  // there is more to do than there is time for
	requests atomic.Int64 // since the last look
	waited   atomic.Int64 // by all of them, in nanoseconds
	max      int64
	looked   time.Time
	until    time.Time // the processors count as behind
}

func newPace(max int) *pace {
	p := &pace{max: int64(max), looked: time.Now()}
	p.limit.Store(min(first, p.max))
	return p
}

// read takes note of a request that waited so long until it was read.
func (p *pace) read(waited time.Duration) {
	p.requests.Add(1)
	p.waited.Add(int64(waited))
}

// adjust changes the bound by what was seen since the last time, and tells how many requests that were. When they waited for too long, as many
// stay as would not have, or as are read soon at this speed: what is more of the two, because those that wait now were let in under the
// old bound, and would be held against every new one.
//
// Few that are late are no sign of being behind: they waited for other programs. Many in service are, and any that wait for the bound to rise, and many that
// nobody has taken out of the kernel's queue.
func (p *pace) adjust(now time.Time, serving, waiting, queued int64) (requests int64, grown bool) {
	elapsed := max(now.Sub(p.looked), lookEvery)
	p.looked = now
	mean := min(elapsed-lookEvery, soon) // the look itself has waited for a processor, which is all that is known when nobody asks
	if requests = p.requests.Swap(0); requests > 0 {
		mean = time.Duration(p.waited.Swap(0) / requests)
	}
	limit := p.limit.Load()
	switch {
	case mean > soon:
		fewer := min(limit, serving) * int64(soon) / int64(mean)
		limit = max(fewer, requests*int64(soon)/int64(elapsed), least)
	case mean < soon/2 && waiting > 0:
		limit += limit/2 + 1
	}
	limit = min(limit, p.max)
	if mean > soon/2 && serving > least || waiting > 0 && limit < p.max || queued > least {
		p.until = now.Add(lasts)
	}
	p.behind.Store(now.Before(p.until))
	grown = limit > p.limit.Swap(limit)
	return requests, grown
}
