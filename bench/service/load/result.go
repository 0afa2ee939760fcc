package load

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// tally counts while it is measured.
type tally struct {
	sent   [kinds]histogram // from sending to the answer, by what it was
	due    histogram        // from when it was due, all answers
	errors atomic.Int64
}

func (t *tally) add(k Kind, sinceSent, sinceDue time.Duration) {
	t.sent[k].add(sinceSent)
	t.due.add(sinceDue)
}

// Result is what a run measured.
type Result struct {
	Elapsed   time.Duration
	Requests  int64
	PerSecond float64
	Latency   Latency // of all answers; in an open loop from when they were due
	Answers   map[string]Answers
	Errors    int64                    // connections that failed or were cut
	Offered   int                      // machines that were offered an update, during the warm-up too
	CPU       map[string]time.Duration // of each watched process while it was measured
	Memory    map[string]Usage         // at the end
}

// Answers are those of one kind; their latency is from sending.
type Answers struct {
	Count   int64
	Latency Latency
}

func (r *run) result(elapsed time.Duration, before, after map[string]Usage) Result {
	result := Result{
		Elapsed: elapsed, Requests: r.tally.due.count(), Latency: r.tally.due.latency(), Errors: r.tally.errors.Load(),
		Answers: map[string]Answers{}, CPU: map[string]time.Duration{}, Memory: after,
	}
	result.PerSecond = float64(result.Requests) / elapsed.Seconds()
	for k := range kinds {
		if n := r.tally.sent[k].count(); n > 0 {
			result.Answers[k.String()] = Answers{n, r.tally.sent[k].latency()}
		}
	}
	for i := range r.offered {
		result.Offered += bits.OnesCount64(r.offered[i].Load())
	}
	for name := range after {
		result.CPU[name] = after[name].CPU - before[name].CPU
	}
	return result
}

// Of says how the answers of a kind were.
func (r Result) Of(k Kind) Answers { return r.Answers[k.String()] }

// PerRequest is the CPU that all watched processes took for a request.
func (r Result) PerRequest() time.Duration {
	if r.Requests == 0 {
		return 0
	}
	var sum time.Duration
	for _, cpu := range r.CPU {
		sum += cpu
	}
	return sum / time.Duration(r.Requests)
}

// Cores is how many CPUs the watched processes kept busy.
func (r Result) Cores() float64 {
	var sum time.Duration
	for _, cpu := range r.CPU {
		sum += cpu
	}
	return sum.Seconds() / r.Elapsed.Seconds()
}

// String is the result in a few lines.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f/s in %.1f s; p50 %v, p99 %v, longest %v; %d errors; %d machines were offered an update\n",
		r.PerSecond, r.Elapsed.Seconds(), r.Latency.P50, r.Latency.P99, r.Latency.Max.Round(time.Microsecond), r.Errors, r.Offered)
	for _, kind := range slices.Sorted(maps.Keys(r.Answers)) {
		a := r.Answers[kind]
		fmt.Fprintf(&b, "  %d %s: p50 %v, p99 %v, p999 %v, longest %v\n", a.Count, kind, a.Latency.P50, a.Latency.P99, a.Latency.P999, a.Latency.Max.Round(time.Microsecond))
	}
	for _, name := range slices.Sorted(maps.Keys(r.CPU)) {
		m := r.Memory[name]
		fmt.Fprintf(&b, "  %s: %.1f s CPU, %.0f MiB\n", name, r.CPU[name].Seconds(), m.ResidentMiB)
	}
	if len(r.CPU) > 0 {
		fmt.Fprintf(&b, "  %v CPU for a request\n", r.PerRequest())
	}
	return b.String()
}
