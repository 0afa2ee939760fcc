// Package reboot decides which machines of a group may reboot now: a counting lock with named holders.
//
// Start with [Step], which is the whole behaviour, and [Parse] and [State.Encode] for the state at rest: one
// value, kept by internal/cluster/etcd under one key per group. The package is pure. It refuses to take a
// slot away from a machine by itself, whatever time passes: a machine that does not come back after an update
// is the very sign that the others must wait for a person. The protocol in front of it is FleetLock
// (docs/protocol/fleetlock.md).
package reboot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// State is the reboot lock of one group.
type State struct {
	Slots   int      // how many machines may reboot at a time; 0 lets none
	Holders []Holder // in the order in which they came; more than Slots only after a Resize
}

// Holder is a machine that has a slot.
type Holder struct {
	ID    string
	Since time.Time // UTC, whole seconds
}

// New is the state of a group that nobody has asked yet.
func New() State { return State{Slots: 1} }

// Event is what may happen to a lock: Acquire, Release or Resize.
type Event interface {
	apply(State, time.Time) (State, Outcome)
}

// Acquire asks for a slot. A machine that has one keeps it, and the time since when.
type Acquire struct{ ID string }

// Release gives a slot back. A machine that has none is thanked all the same.
type Release struct{ ID string }

// Resize sets the number of slots. Holders above it stay; nobody follows them until there is room.
type Resize struct{ Slots int }

// Verdict is what became of an event.
type Verdict string

// The verdicts.
const (
	Granted   Verdict = "granted"   // the machine has a slot now
	Kept      Verdict = "kept"      // the machine had a slot already
	Busy      Verdict = "busy"      // every slot is held by another machine
	Released  Verdict = "released"  // the machine had a slot and has none now
	Absent    Verdict = "absent"    // the machine had none
	Resized   Verdict = "resized"   // the number of slots is another
	Unchanged Verdict = "unchanged" // the number of slots was that already
)

// Outcome is the answer to an event. Holders are those after it.
type Outcome struct {
	Verdict Verdict
	Slots   int
	Holders []Holder
}

// Step applies one event. It never changes the state it is given; the new one differs from it only when
// [Outcome.Changed] says so.
func Step(s State, e Event, now time.Time) (State, Outcome) { return e.apply(s, now) }

func (e Acquire) apply(s State, now time.Time) (State, Outcome) {
	switch {
	case s.find(e.ID) >= 0:
		return s, s.outcome(Kept)
	case len(s.Holders) >= s.Slots:
		return s, s.outcome(Busy)
	}
	holder := Holder{ID: e.ID, Since: now.UTC().Truncate(time.Second)}
	s.Holders = append(slices.Clone(s.Holders), holder)
	return s, s.outcome(Granted)
}

func (e Release) apply(s State, _ time.Time) (State, Outcome) {
	i := s.find(e.ID)
	if i < 0 {
		return s, s.outcome(Absent)
	}
	s.Holders = slices.Delete(slices.Clone(s.Holders), i, i+1)
	return s, s.outcome(Released)
}

func (e Resize) apply(s State, _ time.Time) (State, Outcome) {
	if s.Slots == e.Slots {
		return s, s.outcome(Unchanged)
	}
	s.Slots = e.Slots
	return s, s.outcome(Resized)
}

func (s State) find(id string) int {
	return slices.IndexFunc(s.Holders, func(h Holder) bool { return h.ID == id })
}

func (s State) outcome(v Verdict) Outcome {
	return Outcome{Verdict: v, Slots: s.Slots, Holders: slices.Clone(s.Holders)}
}

// Changed reports whether the state after the event has to be stored.
func (o Outcome) Changed() bool {
	return o.Verdict == Granted || o.Verdict == Released || o.Verdict == Resized
}

// Err is nil when the machine got what it asked for, and otherwise an error of kind Busy that names who is in
// its way.
func (o Outcome) Err() error {
	if o.Verdict != Busy {
		return nil
	}
	if len(o.Holders) == 0 {
		return fault.New(fault.Busy, "the group has no slots: reboots are halted")
	}
	return fault.New(fault.Busy, "no slot is free (%d of %d held): %s", len(o.Holders), o.Slots, names(o.Holders))
}

// maxNamed keeps a refusal short where a group has many slots.
const maxNamed = 3

func names(holders []Holder) string {
	var parts []string
	for _, h := range holders[:min(len(holders), maxNamed)] {
		parts = append(parts, fmt.Sprintf("%s holds one since %s", h.ID, h.Since.Format(time.RFC3339)))
	}
	if more := len(holders) - maxNamed; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

// Describe tells the state to a person, one line per holder.
func (s State) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d slots held\n", len(s.Holders), s.Slots)
	for _, h := range s.Holders {
		fmt.Fprintf(&b, "  %s since %s\n", h.ID, h.Since.Format(time.RFC3339))
	}
	return b.String()
}
