package update

import "time"

// lockPause is the longest pause between two questions for a lock that others hold. It is short, because a cluster is
// patched no faster than its machines take turns.
const lockPause = 30 * time.Second

// planLock asks for the reboot lock where a reboot is next, and gives it back where none is. That it may be
// held is remembered before it is asked for, so that it is given back whatever happens.
func (t *turn) planLock() {
	if !t.Policy.Lock {
		t.s.Lock = LockNone
		return
	}
	if t.s.Phase == Installed && t.s.Live.Rechecked && t.s.Lock == LockNone {
		t.s.Lock = LockMaybe
	}
	if !t.s.lockMoves() || !t.ready(t.s.Live.Lock) {
		return
	}
	t.s.Live.Lock.Busy = true
	if t.s.Phase == Installed {
		t.do(AskLock{})
		return
	}
	t.s.Lock = LockMaybe
	t.do(ReleaseLock{})
}

func (LockGranted) apply(t *turn) {
	t.s.Live.Lock = Task{}
	t.s.Live.Waiting = ""
	t.s.Lock = LockHeld
}

func (e LockDenied) apply(t *turn) {
	if t.s.Phase == Installed {
		t.s.Live.Waiting = "the reboot lock: " + shorten(e.Why)
	}
	t.failedUpTo(&t.s.Live.Lock, lockPause)
}

func (LockReleased) apply(t *turn) {
	t.s.Live.Lock = Task{}
	t.s.Lock = LockNone
}

func (e LockUnreachable) apply(t *turn) {
	if t.s.Phase == Installed {
		t.s.Live.Waiting = "the reboot lock, but its server does not answer: " + shorten(e.Why)
	}
	t.failed(&t.s.Live.Lock)
}

// apply ends the last preparation: with the boot ID saved, the next process can tell that it is after the reboot. An answer
// that comes when another release is being installed is for nothing, and says nothing of the work that is under way.
func (e BaselineTaken) apply(t *turn) {
	if t.s.Phase != Installed {
		return
	}
	t.s.Live.Job.Busy = false
	if t.Policy.Lock && t.s.Lock != LockHeld {
		return
	}
	t.s.Baseline = bounded(e.Units)
	t.s.BootID = t.s.Live.BootID
	t.told()
	t.enter(Rebooting)
}
