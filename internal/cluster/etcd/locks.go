// Package etcd keeps the reboot locks of a cluster in etcd: one key per group, changed only by
// compare-and-swap.
//
// Start with [NewLocks] over a [KV]: [Dial] gives one on an etcd server, which is your own or the one that
// [StartEmbedded] runs inside this process, and [NewMemory] one for tests and simulations. What a lock does is
// decided in internal/cluster/reboot; here it is only read, stepped and written, so that any number of servers
// can share the keys. The package refuses to repeat a write whose answer was lost: whether it happened is for
// the caller to ask again, which FleetLock's idempotent requests allow.
package etcd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"conifer.dev/conifer/internal/cluster/reboot"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// Prefix is where the locks are; the rest of a key is the group.
const Prefix = "/conifer/v1/reboot/"

// Value is what a key holds, at one revision. Revision 0 is a key that does not exist.
type Value struct {
	Text     []byte
	Revision int64
}

// KV is a linearizable store.
type KV interface {
	// Load returns the value of a key.
	Load(ctx context.Context, key string) (Value, error)
	// Swap writes text if the key is still at the revision. Otherwise it writes nothing, and returns false and
	// the value that is there now.
	Swap(ctx context.Context, key string, revision int64, text []byte) (Value, bool, error)
	// List returns the values of all keys with the prefix.
	List(ctx context.Context, prefix string) (map[string]Value, error)
}

// Locks are the reboot locks of all groups.
type Locks struct {
	kv  KV
	now func() time.Time
}

// NewLocks uses the locks in kv; now is the clock that says since when a slot is held.
func NewLocks(kv KV, now func() time.Time) *Locks { return &Locks{kv, now} }

// Apply lets the event happen to a group's lock. The outcome is durable when Apply returns. After an error of
// kind Unavailable the event may have happened or not.
func (l *Locks) Apply(ctx context.Context, group string, event reboot.Event) (reboot.Outcome, error) {
	if !fleetlock.ValidGroup(group) {
		return reboot.Outcome{}, fault.New(fault.Invalid, "%q is not the name of a group", group)
	}
	key := Prefix + group
	value, err := l.kv.Load(ctx, key)
	if err != nil {
		return reboot.Outcome{}, fmt.Errorf("read reboot lock of group %s: %w", group, err)
	}
	// Somebody's swap succeeds in every round, so this ends with the contention or with ctx.
	for {
		outcome, text, err := l.step(value, event)
		if err != nil {
			return reboot.Outcome{}, fmt.Errorf("reboot lock of group %s: %w", group, err)
		}
		if !outcome.Changed() {
			return outcome, nil
		}
		var swapped bool
		value, swapped, err = l.kv.Swap(ctx, key, value.Revision, text)
		if err != nil {
			return reboot.Outcome{}, fmt.Errorf("write reboot lock of group %s: %w", group, err)
		}
		if swapped {
			return outcome, nil
		}
	}
}

// step decides on a stored value, and encodes what has to be stored instead.
func (l *Locks) step(value Value, event reboot.Event) (reboot.Outcome, []byte, error) {
	state, err := parse(value)
	if err != nil {
		return reboot.Outcome{}, nil, err
	}
	next, outcome := reboot.Step(state, event, l.now())
	text, err := next.Encode()
	return outcome, text, err
}

func parse(value Value) (reboot.State, error) {
	if value.Revision == 0 {
		return reboot.New(), nil
	}
	return reboot.Parse(value.Text)
}

// List returns the state of every group that has one.
func (l *Locks) List(ctx context.Context) (map[string]reboot.State, error) {
	values, err := l.kv.List(ctx, Prefix)
	if err != nil {
		return nil, fmt.Errorf("list reboot locks: %w", err)
	}
	states := map[string]reboot.State{}
	for key, value := range values {
		group := strings.TrimPrefix(key, Prefix)
		if states[group], err = parse(value); err != nil {
			return nil, fmt.Errorf("reboot lock of group %s: %w", group, err)
		}
	}
	return states, nil
}
