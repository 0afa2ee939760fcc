// Package load is a fleet of machines that asks an update service, as update_engine 0.4.10 writes it on the wire, with as
// little CPU as possible: whoever measures a service on the same machine must not measure the machines.
//
// [Run] carries out a [Plan] and says how fast, how late and at what cost the service answered; it works with any service that speaks
// Omaha, and knows nothing of ours. [Conn] and [Message] are for tests that need to say each word themselves.
package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is what the machines of a plan do.
type Mode string

const (
	Poll     Mode = "poll"     // ask for updates, over and over
	Register Mode = "register" // every machine asks once
	Flow     Mode = "flow"     // every machine asks, downloads, installs, boots and asks again
)

// Plan says who asks what, and how often.
type Plan struct {
	Target      Target
	Fleet       Fleet
	Mode        Mode
	Machines    int
	Offset      int           // the number of the first machine
	Connections int           // kept alive
	Fresh       bool          // they are not: each request has one of its own, as that of a machine has
	EventShare  float64       // Poll: the part of the requests that are 13/1 events instead
	Previous    string        // Poll: the previous version in the 3/2 that update_engine puts into every poll
	NewVersion  string        // Flow: the version after the boot
	Rate        float64       // requests per second whatever the answers are like (open loop); 0 is one after the other (closed loop)
	Warmup      time.Duration // before it is measured
	Duration    time.Duration // measured; Register ends when every machine has asked
	Watch       []Process     // whose CPU and memory is reported
}

// run is one plan being carried out.
type run struct {
	Plan
	stride    int
	next      atomic.Int64
	began     time.Time
	measuring atomic.Bool
	tally     tally
	offered   []atomic.Uint64 // a bit for each machine that was ever offered an update, before measuring too
}

// Run carries a plan out until its time is over or ctx ends.
func Run(ctx context.Context, plan Plan) (Result, error) {
	r := &run{Plan: plan, stride: stride(plan.Machines), offered: make([]atomic.Uint64, plan.Machines/64+1)}
	probe, err := Dial(plan.Target)
	if err != nil {
		return Result{}, err
	}
	probe.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if plan.Mode == Register {
		r.Warmup = 0
	}
	r.began = time.Now()
	r.measuring.Store(r.Warmup == 0)
	before := usage(plan.Watch)
	ended := r.start(ctx)
	if r.Warmup > 0 {
		wait(ctx, ended, r.Warmup)
		before = usage(plan.Watch)
		r.measuring.Store(true)
	}
	measured := time.Now()
	wait(ctx, ended, r.Duration)
	r.measuring.Store(false)
	elapsed := time.Since(measured)
	after := usage(plan.Watch)
	stop()
	<-ended
	return r.result(elapsed, before, after), nil
}

// start lets every connection ask, and closes the channel when the last one has stopped.
func (r *run) start(ctx context.Context) <-chan struct{} {
	var all sync.WaitGroup
	for range r.Connections {
		all.Go(func() { (&asker{run: r}).ask(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	return ended
}

func wait(ctx context.Context, ended <-chan struct{}, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-ended:
	case <-time.After(d):
	}
}

// stride walks over all machines in an order that no cache foresees: a prime that the number of machines is no multiple of.
func stride(machines int) int {
	for _, prime := range []int{1_000_003, 999_983} {
		if machines%prime != 0 {
			return prime
		}
	}
	return 1
}

// turn is the next request: which machine's, and when it is due in an open loop. Register ends after the last machine.
func (r *run) turn() (machine int, due time.Time, ok bool) {
	n := r.next.Add(1) - 1
	if r.Mode == Register && n >= int64(r.Machines) {
		return 0, due, false
	}
	if r.Rate > 0 {
		due = r.began.Add(time.Duration(float64(n) / r.Rate * 1e9))
	}
	return int(n * int64(r.stride) % int64(r.Machines)), due, true
}

func (r *run) sawOffer(machine int) {
	word, bit := &r.offered[machine/64], uint64(1)<<(machine%64)
	if word.Load()&bit == 0 {
		word.Or(bit)
	}
}

// String says the plan on a line.
func (p Plan) String() string {
	loop := "closed loop"
	if p.Rate > 0 {
		loop = fmt.Sprintf("open loop at %.0f/s", p.Rate)
	}
	return fmt.Sprintf("%s, %d machines, %d connections, %s", p.Mode, p.Machines, p.Connections, loop)
}
