package update

import (
	"fmt"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// apply weighs the evidence that a boot left: which release runs, whether this is another boot than the one
// that asked for the reboot, and what the boot entries say. What is not contradicted simply goes on.
func (e Started) apply(t *turn) {
	first := min(t.PollJitter, firstCheck)
	t.s.Live = Live{
		Running: e.Running,
		BootID:  e.BootID,
		Check:   Task{Due: time.Duration(t.Random * float64(first))},
	}
	switch {
	case t.s.Phase != Idle && t.s.arrived():
		t.startedOnTarget()
	case t.unawares(e):
		t.s.Target = Target{Release: e.Running}
		t.s.BootID, t.s.Baseline, t.s.Reason = "", nil, ""
		t.enter(Trial)
	case t.s.Phase == Idle:
		t.startedIdle(e)
	default:
		t.startedElsewhere(e)
	}
}

// unawares reports whether a release is on trial that the state does not expect: the state was lost, or the power was
// cut while another release was taking its place and its entry was not yet gone. It is judged like any other.
func (t *turn) unawares(e Started) bool {
	switch t.s.Phase {
	case Idle, Installing, Retiring:
		return e.Entries[e.Running.Version].Counted
	}
	return false
}

// startedIdle looks for an update that the state knows nothing of, because the state was lost or restored.
func (t *turn) startedIdle(e Started) {
	if t.Policy.Lock {
		// As Zincati does: a machine that is up gives back whatever lock it may have held before.
		t.s.Lock = LockMaybe
	}
	t.committed(e.Running.Version)
	for _, version := range sortedKeys(e.Entries) {
		entry := e.Entries[version]
		if version == e.Running.Version || !entry.Counted {
			continue
		}
		t.s.Target = Target{Release: Release{Version: version}}
		t.s.Previous = e.Running.Version
		if entry.exhausted() {
			t.rolledBack("its boot entry has no tries left")
			return
		}
		t.enter(Retiring)
		return
	}
}

// startedOnTarget goes on with a target that runs. One that was being committed is committed again, even when its entry
// has no counter any more: what a cut has left of the old name must go too.
func (t *turn) startedOnTarget() {
	switch t.s.Phase {
	case Installing, Installed, Rebooting:
		t.enter(Trial)
	case Retiring:
		// The power was cut before the entry of an unwanted release was gone, and it booted.
		t.s.Reason = t.s.Failed[t.s.Target.Version].Why
		t.enter(RollingBack)
	}
}

// startedElsewhere goes on while another release than the target runs.
func (t *turn) startedElsewhere(e Started) {
	entry, there := e.Entries[t.s.Target.Version]
	rebooted := e.BootID != t.s.BootID
	switch t.s.Phase {
	case Retiring:
	case RollingBack:
		t.left()
	case Installing:
		if t.over(entry) {
			t.rolledBack(untaken(entry))
			return
		}
		t.begun()
	case Installed:
		t.startedBefore(entry, there)
	case Rebooting:
		if there && rebooted {
			t.startedInstead(entry)
			return
		}
		t.startedBefore(entry, there)
	case Trial:
		if there {
			t.startedInstead(entry)
			return
		}
		t.entryLost()
	case Committing:
		t.startedCommitting(entry, there, rebooted)
	}
}

// startedBefore is for a target that should not have been booted yet.
func (t *turn) startedBefore(entry Entry, there bool) {
	switch {
	case !there:
		t.entryLost()
	case t.over(entry):
		t.rolledBack(untaken(entry))
	}
}

// untaken says why the boot loader did not start an entry, or not to the end.
func untaken(e Entry) string {
	switch {
	case e.exhausted():
		return fmt.Sprintf("it did not come up in %d tries", max(e.Done, 1))
	case e.tried():
		return fmt.Sprintf("it was left after %d of %d tries", e.Done, e.Done+e.Left)
	}
	return "the boot loader did not choose it"
}

// rolledBack ends an update whose target has proven bad: it is not tried again until a person allows it.
func (t *turn) rolledBack(why string) {
	version := t.s.Target.Version
	t.fail(version, why)
	t.problem(version, fault.Internal, "rolled back: "+why)
	t.report(Report{Type: eventUpdate, Result: resultError, Code: codeRolledBack, Version: version})
	t.enter(Retiring)
}

// left ends a rollback. Without a reason the release was only withdrawn, and may be offered again.
func (t *turn) left() {
	if t.s.Reason != "" {
		t.rolledBack(t.s.Reason)
		return
	}
	t.enter(Retiring)
}

// maxLosses is how often the entry of one release may vanish before the machine gives up on it.
const maxLosses = 3

// entryLost ends an update whose boot entry vanished, as FAT may do when power is cut. This says nothing about
// the release, so the code of the report is one that services take for passing: it is installed again when it is
// offered again.
func (t *turn) entryLost() {
	version := t.s.Target.Version
	if t.s.Lost.Version != version {
		t.s.Lost = Loss{Version: version}
	}
	t.s.Lost.Times++
	kind, why := fault.Unavailable, "its boot entry is gone from the ESP"
	if t.s.Lost.Times >= maxLosses {
		kind, why = fault.Corrupt, fmt.Sprintf("its boot entry vanished %d times from the ESP", t.s.Lost.Times)
		t.fail(version, why)
	}
	t.problem(version, kind, why)
	t.report(Report{Type: eventUpdate, Result: resultError, Code: kind.OmahaCode(), Version: version})
	t.enter(Retiring)
}

// committed remembers the newest release that was ever committed; an older one is refused from now on.
func (t *turn) committed(version string) {
	if t.s.Newest == "" || release.Compare(version, t.s.Newest) > 0 {
		t.s.Newest = version
	}
}
