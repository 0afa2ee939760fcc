package update

import (
	"cmp"

	"conifer.dev/conifer/internal/fault"
)

func (Healthy) apply(t *turn) {
	if t.s.Phase == Trial {
		t.s.Told = 0
		t.enter(Committing)
	}
}

func (e Pending) apply(t *turn) {
	if t.s.Phase == Trial {
		t.s.Live.Waiting = "health: " + shorten(e.Why)
	}
}

func (e Failing) apply(t *turn) {
	if t.s.Phase == Trial {
		t.s.Reason = cmp.Or(shorten(e.Why), "it is not healthy")
		t.enter(RollingBack)
	}
}

func (CommitDone) apply(t *turn) {
	if t.s.Phase == Committing {
		t.commitDone()
	}
}

// commitDone ends an update that has proven good, or from which there was no way back.
func (t *turn) commitDone() {
	version := t.s.Target.Version
	t.committed(version)
	t.s.Lost = Loss{}
	if t.s.Reason == "" {
		t.s.Problem = nil
		t.report(Report{Type: eventUpdate, Result: resultReboot, Version: version, Previous: t.s.Previous})
	}
	t.enter(Idle)
}

// apply tries again; but a release whose entry is gone cannot be committed at all. It runs well, so the machine
// stays on it: the next boot falls back to the older release, and that one updates again.
func (e CommitFailed) apply(t *turn) {
	switch {
	case t.s.Phase != Committing:
	case e.Kind == fault.NotFound:
		t.refuse(t.s.Target.Version, e.Fault)
		t.enter(Idle)
	default:
		t.jobFailed(e.Fault)
	}
}

// leave goes back to the older release: first the entry of this one must be gone, then the machine reboots.
// This reboot waits for no lock: a machine that is not healthy may be unable to reach its lock server, and
// serves its cluster best by going back.
func (t *turn) leave() {
	if t.s.Live.Removed {
		t.reboot()
		return
	}
	t.job(Remove{t.s.Target.Version})
}

func (EntryRemoved) apply(t *turn) {
	if t.s.Phase == RollingBack {
		t.s.Live.Job = Task{}
		t.s.Live.Removed = true
	}
}

// apply tries again; but when nothing else could boot, there is no way back. The machine then commits the release all
// the same, because its counter can only do harm now, and goes on asking for a release that mends it.
func (e RemoveFailed) apply(t *turn) {
	switch {
	case t.s.Phase != RollingBack:
	case e.Kind == fault.Conflict:
		version := t.s.Target.Version
		if t.s.Reason != "" {
			t.fail(version, t.s.Reason)
		}
		t.refuse(version, Fault{fault.Conflict, "there is no way back from it: " + e.Why})
		t.s.Reason = cmp.Or(t.s.Reason, "it was withdrawn")
		t.enter(Committing)
	default:
		t.jobFailed(e.Fault)
	}
}
