package update

import "time"

// The shortest pause after a failure, and the longest; polls have the poll interval as their longest.
const (
	firstPause = 10 * time.Second
	lastPause  = 15 * time.Minute
	firstCheck = time.Minute // the first check of a process comes within this time
)

// ready reports whether a task may begin.
func (t *turn) ready(k Task) bool { return !k.Busy && k.Due <= t.Elapsed }

// failed schedules another attempt: the pause doubles with each failure in a row, and a random half of it
// keeps a fleet that failed together from coming back together.
func (t *turn) failed(k *Task) { t.failedUpTo(k, lastPause) }

func (t *turn) failedUpTo(k *Task, longest time.Duration) {
	k.Busy = false
	pause := min(firstPause<<min(k.Failures, 16), longest)
	k.Failures++
	k.Due = t.Elapsed + pause/2 + time.Duration(t.Random*float64(pause/2))
}

// polled schedules the next poll after one that was answered; the service may ask for another pause than the
// configured one.
func (t *turn) polled(asked time.Duration) {
	pause := t.PollInterval
	if asked > 0 {
		pause = min(max(asked, firstPause), 24*time.Hour)
	}
	t.s.Live.Check = Task{Due: t.Elapsed + pause + time.Duration(t.Random*float64(t.PollJitter))}
}

// Wake is when the next Tick is wanted, on the clock of Moment.Elapsed; false means that only another event
// can change anything.
func (s State) Wake() (time.Duration, bool) {
	var wake time.Duration
	found := false
	consider := func(wanted bool, k Task) {
		if wanted && !k.Busy && (!found || k.Due < wake) {
			wake, found = k.Due, true
		}
	}
	consider(s.checks(), s.Live.Check)
	consider(s.Phase != Idle && s.Phase != Installed, s.Live.Job)
	consider(s.lockMoves(), s.Live.Lock)
	consider(len(s.Reports) > 0, s.Live.Report)
	return wake, found
}

// checks reports whether the service is polled in this phase. During an installation and a trial it is not, as it takes
// a poll for the end of a download, and one of the new version for its success.
func (s State) checks() bool { return s.Phase == Idle || s.Phase == Installed || s.Phase == Retiring }

// lockMoves reports whether the lock is to be asked for or given back.
func (s State) lockMoves() bool {
	switch s.Phase {
	case Installed:
		return s.Live.Rechecked && s.Lock == LockMaybe
	case Idle, Installing, Retiring:
		return s.Lock != LockNone
	}
	return false
}
