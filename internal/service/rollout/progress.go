package rollout

import (
	"fmt"

	"conifer.dev/conifer/internal/wire/omaha"
)

// State is how far a machine is with a release.
type State string

// The states in the order of an update. The last three are its ends.
const (
	Idle        State = "idle" // nothing under way
	Offered     State = "offered"
	Downloading State = "downloading"
	Downloaded  State = "downloaded"
	Installed   State = "installed" // a reboot is pending
	Complete    State = "complete"
	RolledBack  State = "rolled-back"
	Failed      State = "failed"
)

// States lists them all, for checking what a person typed and for counting.
var States = []State{Idle, Offered, Downloading, Downloaded, Installed, Complete, RolledBack, Failed}

// Progress is what the service knows about one machine's update.
type Progress struct {
	State   State           `json:"state"`
	Version string          `json:"version"`              // that the machine runs
	Target  string          `json:"target,omitempty"`     // the release that State is about
	Code    omaha.ErrorCode `json:"error_code,omitempty"` // of a failure, with its flags
}

// Ending tells that an update came to a bad end; the zero value says that it did not.
type Ending struct {
	Version string // of the release
	State   State  // RolledBack or Failed
	Text    string
}

// Bad reports whether there is such an end.
func (e Ending) Bad() bool { return e.State != "" }

// Runs takes note of the version that the machine says it runs. Another one than before is the end of an update
// when it is its target; a machine that was changed by hand is idle.
func (p Progress) Runs(version string) Progress {
	switch {
	case version == p.Version:
		return p
	case version == p.Target:
		return Progress{State: Complete, Version: version, Target: version}
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
	case p.State == Offered || p.State == Downloading || p.State == Downloaded:
		return Progress{State: Idle, Version: p.Version}
	}
	return p
}

// Advance takes note of an event. The event itself may say which release it is about; otherwise that is the one
// that was offered last.
func (p Progress) Advance(e omaha.Event) (Progress, Ending) {
	if e.NextVersion != "" {
		p.Target = e.NextVersion
	}
	p.Code = 0
	switch {
	case e.Type == omaha.DownloadStarted && e.Result == omaha.Success:
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

// passing codes speak of the network, the service or the machine's own policy. They say nothing against a release,
// and the machine will try again.
var passing = map[omaha.ErrorCode]bool{2: true, 9: true, 30: true, 31: true, 35: true, 36: true, 37: true, 40: true}

// Passing reports whether a failure with the code is no verdict on the release.
func Passing(code omaha.ErrorCode) bool {
	base := code.Base()
	return passing[base] || base >= 2000
}

// Judge decides whether a release is to be halted after failures of it on machines of the group. It is the error budget:
// the number of machines that may roll back or fail; with a budget of 0 the first one halts the release.
func Judge(g Group, failures int, last Ending) (reason string, halt bool) {
	if failures <= g.ErrorBudget {
		return "", false
	}
	machines := "machines"
	if failures == 1 {
		machines = "machine"
	}
	return fmt.Sprintf("%d %s of group %s failed or rolled back, and its error budget is %d; the last: %s",
		failures, machines, g.Name, g.ErrorBudget, last.Text), true
}
