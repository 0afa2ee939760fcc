package update

import "conifer.dev/conifer/internal/wire/release"

// A target that is older than what runs needs more than one that is newer. The boot loader prefers the newer release, so it
// is told to start the target, each time, and forgets that before it starts anything. Whatever ends such a boot leads to
// the newer release, where the agent goes on: it has the target tried again, or completes its commit.

// behind reports whether the boot loader prefers the running release to the target, because the target is older: it starts
// the target only when it is told to, once each time.
func (s State) behind() bool {
	return !s.arrived() && release.Compare(s.Target.Version, s.Live.Running.Version) <= 0
}

// arrived reports whether the target runs.
func (s State) arrived() bool { return s.Target.RootHash == s.Live.Running.RootHash }

// maxTold is how often the boot loader is told to start an older release, and how often again to let it complete its commit:
// as often as it tries a newer one by itself. A boot loader that does not listen must not make a machine reboot for ever.
const maxTold = 3

// told counts that the boot loader is going to be told.
func (t *turn) told() {
	if t.s.behind() {
		t.s.Told++
	}
}

// over reports whether the boot loader has given the target up. One that is newer than what runs would be started again
// while it has tries left; one that is older only when the boot loader is told to.
func (t *turn) over(entry Entry) bool {
	if t.s.behind() {
		return entry.exhausted()
	}
	return entry.tried()
}

// startedInstead is for a target that should run now. An older one that has tries left is tried again, after the service and
// the lock were asked again: of a boot that ended, nobody knows whether it was for the release or for the power.
func (t *turn) startedInstead(entry Entry) {
	if t.s.behind() && !entry.exhausted() && t.s.Told < maxTold {
		t.enter(Installed)
		return
	}
	t.rolledBack(untaken(entry))
}

// startedCommitting is for a target that was found healthy and does not run any more. An older one stays behind the
// running release until that one's entry is gone: the machine goes back to it and completes the commit. Not to one that was
// committed for want of a way back, for now there is one.
func (t *turn) startedCommitting(entry Entry, there, rebooted bool) {
	switch {
	case !there:
		t.entryLost()
	case t.s.behind() && !rebooted:
	case t.s.behind() && t.s.Reason == "" && t.s.Told < maxTold:
		t.s.BootID = t.s.Live.BootID
		t.told()
	case !entry.Counted && !t.s.behind():
		t.commitDone() // and then somebody chose the older release by hand
	default:
		t.rolledBack(untaken(entry))
	}
}

// commit goes back to the target first when the power was cut before the boot loader preferred it for good.
func (t *turn) commit() {
	if t.s.behind() {
		t.reboot()
		return
	}
	t.job(Commit{t.s.Target.Version})
}

// apply gives the update up: nothing but this would start the target. It has not failed, so it is installed again when it is
// offered again.
func (e SteerFailed) apply(t *turn) {
	if t.s.Phase == Rebooting || t.s.Phase == Committing {
		t.refuse(t.s.Target.Version, e.Fault)
		t.enter(Retiring)
		t.failedUpTo(&t.s.Live.Check, t.PollInterval)
	}
}
