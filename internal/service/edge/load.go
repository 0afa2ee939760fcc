package edge

import (
	"context"
	"math/rand/v2"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// The processors are behind when one in ten goroutines that could run has waited for longer than late, and many wait now: few
// that waited long say that other programs had the processors. A request stands in that queue two or three times, so that
// those who are answered at all are answered within a second.
const (
	late      = 200 * time.Millisecond
	many      = 256
	lookEvery = 100 * time.Millisecond
	most      = 900 // thousandths: somebody is always let in, or nobody would learn that it is over
)

// Load tells when the processors have more to do than they can. A queue in front of them is not seen by counting requests: they
// stand in it before anybody has read their first byte.
type Load struct {
	share  atomic.Int32 // thousandths of the requests that are turned away
	before []uint64
}

// What the runtime tells: a histogram of how long goroutines waited for a processor, and how many do.
const (
	latencies = "/sched/latencies:seconds"
	runnable  = "/sched/goroutines/runnable:goroutines"
)

// Follow looks at the processors until ctx ends.
func (l *Load) Follow(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: latencies}, {Name: runnable}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			metrics.Read(sample)
			l.look(l.waited(sample[0].Value.Float64Histogram()), sample[1].Value.Uint64())
		}
	}
}

// waited is what nine in ten of the waits since the last look were below.
func (l *Load) waited(h *metrics.Float64Histogram) time.Duration {
	if l.before == nil {
		l.before = make([]uint64, len(h.Counts))
	}
	total, fresh := uint64(0), make([]uint64, len(h.Counts))
	for i, n := range h.Counts {
		fresh[i] = n - l.before[i]
		total += fresh[i]
	}
	copy(l.before, h.Counts)
	below := uint64(0)
	for i, n := range fresh {
		if below += n; below*10 >= total*9 {
			return time.Duration(h.Buckets[i] * float64(time.Second)) // the lower end: the last bucket has no other
		}
	}
	return 0
}

// look moves the share halfway to what would bring the wait back to late. What is turned away costs most of what an answer
// costs, because most of either is the network: no more is turned away than has to be.
func (l *Load) look(waited time.Duration, waiting uint64) {
	want := int32(0)
	if waited > late && waiting >= many {
		want = int32(1000 * (waited - late) / waited)
	}
	l.share.Store(min((l.share.Load()+want)/2, most))
}

// TurnAway chooses requests to be turned away: none unless the processors are behind.
func (l *Load) TurnAway() bool {
	share := l.share.Load()
	return share > 0 && rand.Int32N(1000) < share
}
