// Package faultdisk is storage for tests that stops after any write: block devices with a volatile cache, and file
// systems that keep of what was not synced what a real one might.
//
// Start with [NewPower], which counts the writes of all devices that hang on it, and cuts them at the one that
// was asked for; then [NewDisk], [NewFAT] and [NewJournaled]. After a cut every device refuses everything until
// [Power.Restore], which decides the fate of what was not synced according to a [Loss]. All choices come
// from a seed. The package is used by tests only.
package faultdisk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// ErrOff is what a device answers once the power is cut.
var ErrOff = errors.New("the power is off")

// Loss is what a cut does to changes that were not synced.
type Loss int

// The kinds of loss. A torn change is kept in part: single sectors of a write, half of a rename.
const (
	LoseAll    Loss = iota // as if the cache was never written
	KeepAll                // as if it was written just in time
	KeepLast               // the cache was written in the opposite order: only the newest change is kept
	HalfFirst              // the newest change stopped in the middle: of a FAT rename both names are there
	HalfSecond             // the newest change began with its second half: of a FAT rename neither name is there
	Tear                   // each part of each change by the toss of a coin
	losses
)

func (l Loss) String() string {
	return [...]string{"lose all", "keep all", "keep last", "first half", "second half", "tear"}[l]
}

// Power is the supply of a machine's devices.
type Power struct {
	mu     sync.Mutex
	rng    *rand.Rand
	loss   Loss
	writes int
	cutAt  int
	failAt int
	err    error
	off    bool
	parts  []settler
}

// settler is a device that decides what of its unsynced changes survives.
type settler interface{ settle() }

// NewPower makes a supply that is on.
func NewPower(seed uint64) *Power {
	return &Power{rng: rand.New(rand.NewPCG(seed, 0x636f6e69666572))}
}

// CutAt cuts the power at write number n from now, 1 being the next. Syncs, creations, renames and removals count
// as writes. The write itself may be kept, lost or torn.
func (p *Power) CutAt(n int, loss Loss) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAt, p.loss = p.writes+n, loss
}

// FailAt makes write number n from now fail with err, once, and leaves the power on.
func (p *Power) FailAt(n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failAt, p.err = p.writes+n, err
}

// Writes is the number of writes so far.
func (p *Power) Writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

// Off reports whether the power was cut.
func (p *Power) Off() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.off
}

// Cut cuts the power now.
func (p *Power) Cut(loss Loss) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off, p.loss = true, loss
}

// Restore turns the power on. What was not synced when it was cut is now kept, lost or torn; there is no cut
// to come.
func (p *Power) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range p.parts {
		part.settle()
	}
	p.off, p.cutAt, p.failAt = false, 0, 0
}

// write counts one write; the caller holds the lock. It reports whether the change is to be recorded, which at the
// cut it is although the caller must answer with the error.
func (p *Power) write() (record bool, err error) {
	if p.off {
		return false, ErrOff
	}
	p.writes++
	if p.writes == p.failAt {
		return false, fmt.Errorf("write number %d: %w", p.writes, p.err)
	}
	if p.writes == p.cutAt {
		p.off = true
		return true, ErrOff
	}
	return true, nil
}

// keeps decides about one of the parts of change number i of n.
func (p *Power) keeps(i, n, part, parts int) bool {
	newest := i == n-1
	switch p.loss {
	case KeepAll:
		return true
	case KeepLast:
		return newest
	case HalfFirst:
		return !newest || part < (parts+1)/2
	case HalfSecond:
		return !newest || part >= parts/2
	case Tear:
		return p.coin()
	}
	return false
}

func (p *Power) coin() bool { return p.rng.Uint32()&1 == 1 }

// Losses are all kinds of loss.
func Losses() []Loss {
	all := make([]Loss, losses)
	for i := range all {
		all[i] = Loss(i)
	}
	return all
}
