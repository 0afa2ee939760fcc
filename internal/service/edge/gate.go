package edge

import (
	"sync/atomic"
	"time"
)

// Gate bounds how many requests are under way, and how many may wait to be, for how long. Whoever does not get in is to be
// answered so at once: a queue that grows only makes everybody late.
type Gate struct {
	places   chan struct{}
	waiting  atomic.Int64
	maxQueue int64
	patience time.Duration
}

// NewGate lets places in at once, and as many again wait for up to patience.
func NewGate(places int, patience time.Duration) *Gate {
	return &Gate{places: make(chan struct{}, places), maxQueue: int64(places), patience: patience}
}

// Enter takes a place, and reports whether it got one. Who did must Leave.
func (g *Gate) Enter() bool {
	select {
	case g.places <- struct{}{}:
		return true
	default:
		return g.queue()
	}
}

func (g *Gate) queue() bool {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.maxQueue || g.patience <= 0 {
		return false
	}
	enough := time.NewTimer(g.patience)
	defer enough.Stop()
	select {
	case g.places <- struct{}{}:
		return true
	case <-enough.C:
		return false
	}
}

// Leave gives the place back.
func (g *Gate) Leave() { <-g.places }

// Inside is how many places are taken.
func (g *Gate) Inside() int { return len(g.places) }
