package edge

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses bounds the table of a Rates; beyond it the addresses that are new share one allowance.
const maxAddresses = 10000

// Rates is how often each address may do something.
type Rates struct {
	every time.Duration
	burst int
	now   func() time.Time

	mu     sync.Mutex
	known  map[netip.Prefix]*rate.Limiter
	swept  time.Time
	others *rate.Limiter
}

// NewRates allows each address burst at once, and one more every so often.
func NewRates(every time.Duration, burst int, now func() time.Time) *Rates {
	r := &Rates{every: every, burst: burst, now: now, known: map[netip.Prefix]*rate.Limiter{}}
	r.others = r.limiter()
	return r
}

func (r *Rates) limiter() *rate.Limiter { return rate.NewLimiter(rate.Every(r.every), r.burst) }

// Take uses one of the address's allowance. When there is none left it takes nothing, and tells how long until the next.
func (r *Rates) Take(a netip.Addr) (wait time.Duration, ok bool) {
	now := r.now()
	l := r.of(a, now)
	if l.AllowN(now, 1) {
		return 0, true
	}
	return r.until(l, now), false
}

// Spent looks whether the address's allowance is used up, and takes nothing.
func (r *Rates) Spent(a netip.Addr) (wait time.Duration, spent bool) {
	now := r.now()
	r.mu.Lock()
	l := r.known[network(a)]
	r.mu.Unlock()
	if l == nil || l.TokensAt(now) >= 1 {
		return 0, false
	}
	return r.until(l, now), true
}

func (r *Rates) until(l *rate.Limiter, now time.Time) time.Duration {
	return time.Duration((1 - l.TokensAt(now)) * float64(r.every))
}

// network is what counts as one address: one of version 4, and of version 6 what a site is given.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

func (r *Rates) of(a netip.Addr, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := network(a)
	if l := r.known[key]; l != nil {
		return l
	}
	if len(r.known) >= maxAddresses && now.Sub(r.swept) >= time.Second {
		r.sweep(now)
	}
	if len(r.known) >= maxAddresses {
		return r.others
	}
	l := r.limiter()
	r.known[key] = l
	return l
}

// sweep forgets those that have their whole allowance again: a new one would be no different.
func (r *Rates) sweep(now time.Time) {
	r.swept = now
	for key, l := range r.known {
		if l.TokensAt(now) >= float64(r.burst) {
			delete(r.known, key)
		}
	}
}
