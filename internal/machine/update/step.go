package update

import (
	"bytes"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// turn is one step while it is being taken.
type turn struct {
	Policy
	Moment
	s       State
	effects []Effect
}

// Step applies one event. The state given is not changed. Whenever the durable part of the state changed, the
// first effect is Save.
func (p Policy) Step(s State, at Moment, e Event) (State, []Effect) {
	t := &turn{Policy: p, Moment: at, s: s.clone()}
	e.apply(t)
	t.plan()
	if !bytes.Equal(s.Encode(), t.s.Encode()) {
		t.effects = append([]Effect{Save{}}, t.effects...)
	}
	return t.s, t.effects
}

func (t *turn) do(e Effect) { t.effects = append(t.effects, e) }

// enter moves to another phase; its work begins at once.
func (t *turn) enter(p Phase) {
	t.s.Phase = p
	t.s.Live.Job = Task{}
	t.s.Live.Waiting = ""
	t.s.Live.Removed = false
	t.s.Live.Rechecked = false
	if p == Idle {
		if t.s.Live.Unheard {
			t.s.Live.Check.Due, t.s.Live.Unheard = t.Elapsed, false
		}
		t.s.Target, t.s.Previous, t.s.BootID, t.s.Baseline, t.s.Reason, t.s.Told, t.s.Begun = Target{}, "", "", nil, "", 0, 0
	}
}

// plan starts everything that the state calls for and that is not under way. The marker and the lock come
// before the work of the phase, because that may be the reboot.
func (t *turn) plan() {
	t.planMark()
	t.planLock()
	t.planReports()
	t.planJob()
	t.planCheck()
}

// planMark keeps the marker that lets conifer-trial.timer end a trial whose agent never decides. It is there before
// the reboot into a trial, and until the release is committed or left; not earlier, because the timer looks at it in
// every boot, and a machine that only downloads must not be rebooted.
func (t *turn) planMark() {
	want := ""
	switch t.s.Phase {
	case Rebooting, Trial, Committing, RollingBack:
		want = t.s.Target.Version
	}
	if t.s.Live.Synced && t.s.Live.Marked == want {
		return
	}
	t.s.Live.Marked, t.s.Live.Synced = want, true
	t.do(Mark{want})
}

// planJob starts the work of the phase.
func (t *turn) planJob() {
	if !t.ready(t.s.Live.Job) {
		return
	}
	switch t.s.Phase {
	case Installing:
		t.job(Install{t.s.Target})
	case Installed:
		if t.s.Live.Rechecked && (!t.Policy.Lock || t.s.Lock == LockHeld) {
			t.job(TakeBaseline{})
		}
	case Rebooting:
		t.reboot()
	case Trial:
		t.job(Judge{t.s.Baseline})
	case Committing:
		t.commit()
	case RollingBack:
		t.leave()
	case Retiring:
		t.job(Retire{})
	}
}

func (t *turn) job(e Effect) {
	t.s.Live.Job.Busy = true
	t.do(e)
}

// jobFailed records what stopped the work of the phase and schedules another attempt.
func (t *turn) jobFailed(f Fault) {
	t.problem(t.s.Target.Version, f.Kind, f.Why)
	t.failed(&t.s.Live.Job)
}

// rebootPatience is how long a reboot that was asked for may take before it is asked for again.
const rebootPatience = 5 * time.Minute

// reboot asks for a reboot, and again when this process still lives later.
func (t *turn) reboot() {
	t.s.Live.Job.Due = t.Elapsed + rebootPatience
	e := Reboot{}
	if t.s.behind() {
		e.Once = t.s.Target.Version
	}
	t.do(e)
}

func (e RebootFailed) apply(t *turn) {
	if t.s.Phase == Rebooting || t.s.Phase == RollingBack || t.s.Phase == Committing {
		t.jobFailed(e.Fault)
	}
}

func (Tick) apply(*turn) {}

// transient reports whether trying again later may help without anything else changing.
func transient(k fault.Kind) bool {
	return k == fault.Unavailable || k == fault.Busy || k == fault.Canceled
}
