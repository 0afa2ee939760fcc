package update

import "conifer.dev/conifer/internal/fault"

// maxInstallAttempts is how often an installation is tried before the machine asks the service again.
const maxInstallAttempts = 8

func (InstallDone) apply(t *turn) {
	if t.s.Phase != Installing {
		return
	}
	t.s.Problem = nil
	version := t.s.Target.Version
	t.report(Report{Type: eventDownloaded, Result: resultSuccess, Version: version, Delta: t.s.Target.Delta != ""})
	t.report(Report{Type: eventUpdate, Result: resultSuccess, Version: version})
	t.enter(Installed)
	t.s.Live.Check.Due = 0 // is it still wanted?
}

// apply tries again later where that may help, silently; then it is reported and the service asked anew. The
// release is not held to have failed: a lying mirror must not be able to ban a release from a machine.
func (e InstallFailed) apply(t *turn) {
	if t.s.Phase != Installing {
		return
	}
	if e.Delta && blamesDelta(e.Kind) {
		t.noDelta(e.Fault)
		return
	}
	failures := t.s.Live.Job.Failures
	if transient(e.Kind) && failures+1 < maxInstallAttempts {
		t.jobFailed(e.Fault)
		return
	}
	t.refuse(t.s.Target.Version, e.Fault)
	t.enter(Retiring)
	t.failedUpTo(&t.s.Live.Check, t.PollInterval)
}

func (RetireDone) apply(t *turn) {
	if t.s.Phase == Retiring {
		t.enter(Idle)
	}
}

// apply tries again. Kind Conflict means that the entry is the machine's only way to boot, because the running
// release has none: then it has to stay.
func (e RetireFailed) apply(t *turn) {
	if t.s.Phase != Retiring {
		return
	}
	t.jobFailed(e.Fault)
	if e.Kind == fault.Conflict {
		t.enter(Idle)
	}
}
