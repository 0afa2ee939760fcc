package fleet

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

const (
	askTime    = 5 * time.Second // how long a place may be waited for
	lookAgain  = time.Second     // after which a full house is asked again; another replica may have freed a place
	maxAsks    = 1024            // in one transaction
	maxWaiters = 8192            // machines that wait for a place of one group, before more are refused
)

// desk gives places under the limits of one group. Machines that ask at the same time are given places in one
// transaction; when there are none left, that is remembered for as long as it is certain.
type desk struct {
	limit   store.Limit
	waiting []ask
	serving bool
	until   time.Time // no place before that, as far as is known
	why     string
	again   time.Time // when the period frees a place
}

// ask is a machine that waits; its answer is never waited for.
type ask struct {
	store.Ask
	granted chan bool
}

// desk is the desk of a route. The fleet is locked.
func (f *Fleet) desk(r *route) *desk {
	if !r.limited() {
		return nil
	}
	k := deskKey{r.limit.App, r.limit.Group}
	d := f.desks[k]
	if d == nil {
		d = &desk{}
		f.desks[k] = d
	}
	if d.limit != r.limit {
		d.limit, d.until = r.limit, time.Time{} // the operator changed it
	}
	return d
}

type deskKey struct{ app, group string }

// full says why there is no place now, or "".
func (d *desk) full(now time.Time) (why string, again time.Time) {
	if d == nil || !now.Before(d.until) {
		return "", time.Time{}
	}
	return d.why, d.again
}

// mayHold reports whether the machine holds a place of which nobody knows for what: it was given in the last moments of an earlier life of
// the service. So may a machine that is new to this life. They ask the ledger even when the house is full.
func (m *memory) mayHold(r *record) bool { return r.flags&granted != 0 && !m.progress(r).UnderWay() }

// endPlace gives a machine's place back.
func (f *Fleet) endPlace(a *app, i uint32) {
	r := f.memory.machines.at(i)
	r.set(granted, false)
	f.enqueue([]store.Change{store.EndGrant{App: a.ID, Machine: f.memory.machines.id(i)}})
	f.freed(a, f.memory.names.text(r.group))
}

// freed tells a desk that a place may have become free.
func (f *Fleet) freed(a *app, group string) {
	if d := f.desks[deskKey{a.ID, group}]; d != nil && d.again.IsZero() {
		d.until = time.Time{}
	}
}

// takePlace waits for a place. The fleet is locked before and after, and not meanwhile.
func (f *Fleet) takePlace(ctx context.Context, r *route, machine, version string) bool {
	d := f.desk(r)
	if len(d.waiting) >= maxWaiters {
		return false
	}
	mine := ask{store.Ask{Machine: machine, Version: version}, make(chan bool, 1)}
	d.waiting = append(d.waiting, mine)
	if !d.serving {
		d.serving = true
		f.workers.Go(func() { f.serve(d) })
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	select {
	case granted := <-mine.granted:
		return granted
	case <-ctx.Done():
		return false
	}
}

// serve gives places until nobody waits.
func (f *Fleet) serve(d *desk) {
	for {
		f.mu.Lock()
		if len(d.waiting) == 0 {
			d.serving = false
			f.mu.Unlock()
			return
		}
		n := min(len(d.waiting), maxAsks)
		batch, limit := d.waiting[:n:n], d.limit
		d.waiting = d.waiting[n:]
		f.mu.Unlock()
		asks := make([]store.Ask, n)
		for i, a := range batch {
			asks[i] = a.Ask
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		allowance, err := f.store.Grant(ctx, limit, asks, f.now())
		cancel()
		f.remember(d, limit, allowance, err)
		for i, a := range batch {
			a.granted <- err == nil && allowance.Granted[i]
		}
	}
}

// remember keeps what a desk learned from the ledger.
func (f *Fleet) remember(d *desk, limit store.Limit, a store.Allowance, err error) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case d.limit != limit: // the operator changed it meanwhile
	case err != nil:
		if now.After(f.complained.Add(lookAgain)) {
			f.complained = now
			f.log.Error("no places are given", "group", limit.Group, "error", err)
		}
		d.until, d.why, d.again = now.Add(lookAgain), "the database does not answer", time.Time{}
	default:
		d.why, d.again = fullHouse(limit, a)
		d.until = now
		if d.why != "" {
			d.until = now.Add(lookAgain)
		}
		if d.again.After(d.until) {
			d.until = d.again
		}
	}
}

// fullHouse says in words why a limit has no place left, or "".
func fullHouse(l store.Limit, a store.Allowance) (why string, again time.Time) {
	switch {
	case l.PerPeriod > 0 && a.Begun >= l.PerPeriod:
		return fmt.Sprintf("%d updates were begun in the last %s, and no more than %d may be", a.Begun, l.Period, l.PerPeriod), a.Again
	case l.AtOnce > 0 && a.Open >= l.AtOnce:
		return fmt.Sprintf("%d updates are under way, and no more than %d may be", a.Open, l.AtOnce), time.Time{}
	}
	return "", time.Time{}
}

// pollSeconds asks a machine that waits for a period to end to come back then, and spreads those that do; 0 leaves it to the machine.
// update_engine makes of it what it allows, 45 minutes to 4 hours.
func pollSeconds(machine, rule string, again, now time.Time) int {
	if rule != "limit" || again.IsZero() {
		return 0
	}
	spread := fnv.New32a()
	spread.Write([]byte(machine))
	wait := max(again.Sub(now), time.Minute) + time.Duration(spread.Sum32()%300)*time.Second
	return int(min(wait, 4*time.Hour).Seconds())
}
