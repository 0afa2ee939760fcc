package update

import (
	"fmt"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

func (t *turn) planCheck() {
	if !t.s.checks() || !t.ready(t.s.Live.Check) {
		return
	}
	t.s.Live.Check.Busy = true
	t.do(Check{Manual: t.s.Live.Manual, Deltas: t.s.takesDeltas()})
	t.s.Live.Manual = false
}

func (CheckNow) apply(t *turn) {
	t.s.Live.Check.Due = 0
	t.s.Live.Manual = true
}

func (e RetryRelease) apply(t *turn) {
	delete(t.s.Failed, e.Version)
	if t.s.Lost.Version == e.Version {
		t.s.Lost = Loss{}
	}
	CheckNow{}.apply(t)
}

// decides reports whether an answer of the service may change what the machine does now.
func (t *turn) decides() bool { return t.s.Phase == Idle || t.s.Phase == Installed }

func (e CheckAnswered) apply(t *turn) {
	t.polled(e.PollAfter)
	if p := t.s.Problem; p != nil && p.Version == "" {
		t.s.Problem = nil // the service answers again
	}
	if !t.decides() {
		t.s.Live.Unheard = true
		return
	}
	t.s.Live.Declined = ""
	t.s.Live.Rechecked = true
	switch {
	case t.stays(e.Offer):
		if t.s.Phase == Installed {
			t.enter(Retiring) // withdrawn
		}
	case t.s.Failed[e.Offer.Version].Why != "":
		t.s.Live.Declined = e.Offer.Version
	case t.s.Phase == Installed && e.Offer.Version == t.s.Target.Version:
	default:
		t.s.Live.Check.Busy = true
		t.do(Verify{Offer: t.s.inFull(*e.Offer), Newest: t.s.Newest})
	}
}

// stays reports whether the service wants the machine to stay on what it runs.
func (t *turn) stays(o *Offer) bool { return o == nil || o.Version == t.s.Live.Running.Version }

func (e CheckFailed) apply(t *turn) {
	t.problem("", e.Kind, e.Why)
	t.failedUpTo(&t.s.Live.Check, t.PollInterval)
	t.s.Live.Rechecked = true
}

// apply begins an update. What the signatures cannot know is checked here: what this machine runs and what it
// has committed.
func (e Verified) apply(t *turn) {
	t.polled(0)
	if !t.decides() {
		return
	}
	if f := t.unfit(e); f.Why != "" {
		t.refuse(e.Target.Version, f)
		return
	}
	t.s.Target = e.Target
	t.s.Previous = t.s.Live.Running.Version
	t.s.BootID, t.s.Baseline, t.s.Told, t.s.Begun = "", nil, 0, 0
	t.report(Report{Type: eventDownload, Result: resultSuccess, Version: e.Target.Version, Delta: e.Target.Delta != ""})
	t.enter(Installing)
}

// unfit says why a verified release is not for this machine.
func (t *turn) unfit(e Verified) Fault {
	if why := t.unwelcome(e); why != "" {
		return Fault{fault.Untrusted, why}
	}
	running := t.s.Live.Running.Version
	if e.Unsteerable != "" && release.Compare(e.Target.Version, running) <= 0 {
		return Fault{fault.Unsupported, fmt.Sprintf("release %s is older than %s, which the boot loader would go on booting: %s",
			e.Target.Version, running, e.Unsteerable)}
	}
	return Fault{}
}

func (t *turn) unwelcome(e Verified) string {
	to := e.Target
	switch {
	case t.s.Failed[to.Version].Why != "":
		return fmt.Sprintf("release %s failed here: %s", to.Version, t.s.Failed[to.Version].Why)
	case to.RootHash == t.s.Live.Running.RootHash:
		return fmt.Sprintf("release %s has the root hash of the running release", to.Version)
	case to.Version == t.s.Live.Running.Version:
		return fmt.Sprintf("release %s runs, and the offered one of that name has another root hash", to.Version)
	case t.s.Newest != "" && !e.DowngradeAllowed && release.Compare(to.Version, t.s.Newest) < 0:
		return fmt.Sprintf("release %s is older than %s, the newest one committed here", to.Version, t.s.Newest)
	}
	return ""
}

func (e Refused) apply(t *turn) {
	if transient(e.Kind) {
		t.problem(e.Version, e.Kind, e.Why)
		t.failedUpTo(&t.s.Live.Check, t.PollInterval)
		return
	}
	t.polled(0)
	t.refuse(e.Version, e.Fault)
}

// refuse reports a release that must not be installed: once, however often it is offered.
func (t *turn) refuse(version string, f Fault) {
	t.problem(version, f.Kind, f.Why)
	if !t.s.Problem.Told {
		t.s.Problem.Told = true
		t.report(Report{Type: eventUpdate, Result: resultError, Code: f.Kind.OmahaCode(), Version: version})
	}
}
