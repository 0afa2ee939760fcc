package rollout

import (
	"fmt"
	"time"

	"conifer.dev/conifer/internal/wire/omaha"
)

// State is how far a machine is with a release.
type State string

// The states in the order of an update. The last four are its ends.
const (
	Idle        State = "idle" // nothing under way
	Offered     State = "offered"
	Downloading State = "downloading"
	Downloaded  State = "downloaded"
	Installed   State = "installed" // a reboot is pending
	Complete    State = "complete"
	RolledBack  State = "rolled-back"
	Failed      State = "failed"

	NeverCameBack State = "never-came-back" // silent for too long since it was about to reboot
)

// States lists them all, for checking what a person typed and for counting.
var States = []State{Idle, Offered, Downloading, Downloaded, Installed, Complete, RolledBack, Failed, NeverCameBack}

// Progress is what the service knows about one machine's update.
type Progress struct {
	State   State           `json:"state"`
	Version string          `json:"version"`              // that the machine runs
	Target  string          `json:"target,omitempty"`     // the release that State is about; when idle, the last one
	Code    omaha.ErrorCode `json:"error_code,omitempty"` // of a failure, with its flags
}

// Ending tells that an update came to a bad end; the zero value says that it did not.
type Ending struct {
	Version string // of the release
	State   State  // RolledBack, Failed or NeverCameBack
	Text    string
}

// Bad reports whether there is such an end.
func (e Ending) Bad() bool { return e.State != "" }

// UnderWay reports whether an update has begun and not come to an end. It holds a place under the limits so long.
func (p Progress) UnderWay() bool {
	switch p.State {
	case Offered, Downloading, Downloaded, Installed:
		return true
	}
	return false
}

// Arrived reports whether an update has come to its good end since before, be it that the machine had been given up. What
// was held against the machine and its release is over then.
func (p Progress) Arrived(before Progress) bool {
	return p.State == Complete && (before.State != Complete || before.Target != p.Target)
}

// Runs takes note of the version that the machine says it runs, before the events that it reports with it. Another
// one than before is the end of an update when it is its target; a machine that was changed by hand is idle. A version that
// forces an update tells nothing.
func (p Progress) Runs(version string) Progress {
	switch {
	case version == p.Version || version == "" || omaha.Forced(version):
		return p
	case version == p.Target:
		return Progress{State: Complete, Version: version, Target: version}
	case p.State == Complete:
		return Progress{State: Idle, Version: version, Target: p.Target} // an event may tell that it rolled back from that
	}
	return Progress{State: Idle, Version: version}
}

// Checked takes note of the answer to an update check: what is offered, or "" for no update. An unfinished download
// is over when the machine asks again; a reboot that is pending, and an end, stay until the next offer.
func (p Progress) Checked(offer string) Progress {
	switch {
	case offer != "" && offer == p.Target && p.State == Installed:
		return p // it asks once more before it reboots
	case offer != "":
		return Progress{State: Offered, Version: p.Version, Target: offer}
	case p.State == Idle || p.State == Offered || p.State == Downloading || p.State == Downloaded:
		return Progress{State: Idle, Version: p.Version}
	}
	return p
}

// Silent gives up a machine that was silent in the middle of an update for longer than the limit; over says that its update
// has ended. One that was about to reboot never came back, which is a bad end. Any other may be switched off: nothing is known
// against the release, and when it comes back with it after all, that is noticed.
func Silent(p Progress, silent, limit time.Duration) (next Progress, ending Ending, over bool) {
	switch {
	case !p.UnderWay() || silent <= limit:
		return p, Ending{}, false
	case p.State != Installed || p.Target == "" || p.Target == p.Version:
		p.State = Idle
		return p, Ending{}, true
	}
	p.State = NeverCameBack
	text := fmt.Sprintf("never came back: silent for more than %s when a reboot was due", FormatDuration(limit))
	return p, Ending{Version: p.Target, State: NeverCameBack, Text: text}, true
}

// Advance takes note of an event. The event itself may say which release it is about; otherwise that is the one
// that was offered last. That a delta was given up is no verdict on the release: the download goes on with the full payload.
func (p Progress) Advance(e omaha.Event) (Progress, Ending) {
	if !Tells(e) {
		return p, Ending{}
	}
	if e.NextVersion != "" {
		p.Target = e.NextVersion
	}
	p.Code = 0
	switch {
	case e.Type == omaha.DownloadStarted && e.Result == omaha.Success, e.GaveDeltaUp():
		p.State = Downloading
	case e.Type == omaha.DownloadFinished && e.Result == omaha.Success:
		p.State = Downloaded
	case e.Type == omaha.UpdateComplete && e.Result == omaha.Success:
		p.State = Installed
	case e.Type == omaha.UpdateComplete && e.Result == omaha.SuccessReboot:
		p.State, p.Target = Complete, p.Version
	case e.Result == omaha.Failed:
		return p.fail(e.ErrorCode)
	}
	return p, Ending{}
}

func (p Progress) fail(code omaha.ErrorCode) (Progress, Ending) {
	p.Code, p.State = code, Failed
	if code.Base() == omaha.RolledBack {
		p.State = RolledBack
	}
	if p.Target == "" || p.Target == p.Version || Passing(code) {
		return p, Ending{}
	}
	return p, Ending{Version: p.Target, State: p.State, Text: code.String()}
}

// Tells reports whether the event says anything. With every poll update_engine sends a 3/2 whose previous version
// is empty, or 0.0.0.0 on a machine's first contact; only another one is a completed update.
func Tells(e omaha.Event) bool {
	arrived := e.Type == omaha.UpdateComplete && e.Result == omaha.SuccessReboot
	return !arrived || e.PreviousVersion != "" && e.PreviousVersion != omaha.NoPreviousVersion
}

// passing codes speak of what a release cannot be to blame for, and the machine will try again: the network, the
// service and its answer (2, 9, 30, 31, 34, 37, 43), the machine's own policy (35, 36, 40), its disk (6, 7, 8, 14, 20).
// What does not verify as it arrives (10, 12 and their like) may be one broken
// cache or a broken release: that it counts against the release, and a budget says how often it may, tells them apart.
var passing = map[omaha.ErrorCode]bool{
	2: true, 9: true, 30: true, 31: true, 37: true, 43: true, 35: true, 36: true, 40: true,
	6: true, 7: true, 8: true, 14: true, 20: true, 34: true,
}

// Passing reports whether a failure with the code is no verdict on the release.
func Passing(code omaha.ErrorCode) bool {
	base := code.Base()
	return passing[base] || base >= 2000
}
