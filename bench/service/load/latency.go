package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are 3 % wide, whatever their size, so that a run of any length costs the same memory.
type histogram struct {
	buckets [(maxPower + 1) * perPower]atomic.Int64
	longest atomic.Int64
}

const (
	perPower = 32 // buckets between a power of two microseconds and the next
	maxPower = 31
)

func (h *histogram) add(d time.Duration) {
	h.buckets[bucket(d)].Add(1)
	for {
		longest := h.longest.Load()
		if int64(d) <= longest || h.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

// bucket of a duration: the microseconds themselves below 64, then the upper six bits and how far they are shifted.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	shift := max(bits.Len64(us)-6, 0)
	return min(shift*perPower+int(us>>shift), len(histogram{}.buckets)-1)
}

// middle of a bucket.
func middle(bucket int) time.Duration {
	if bucket < 2*perPower {
		return time.Duration(bucket) * time.Microsecond
	}
	shift := bucket/perPower - 1
	low := (bucket - shift*perPower) << shift
	return time.Duration(low+1<<shift/2) * time.Microsecond
}

func (h *histogram) count() (n int64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// quantile is the duration that a share of all is not longer than.
func (h *histogram) quantile(share float64) time.Duration {
	rank := int64(share * float64(h.count()))
	for i := range h.buckets {
		if rank -= h.buckets[i].Load(); rank < 0 {
			return min(middle(i), time.Duration(h.longest.Load()))
		}
	}
	return time.Duration(h.longest.Load())
}

// Latency is how long answers took.
type Latency struct {
	P50, P90, P99, P999, Max time.Duration
}

func (h *histogram) latency() Latency {
	return Latency{h.quantile(.5), h.quantile(.9), h.quantile(.99), h.quantile(.999), time.Duration(h.longest.Load())}
}
