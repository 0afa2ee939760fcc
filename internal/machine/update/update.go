// Package update decides what a machine does about releases: the whole of "An update on the machine" in
// ARCHITECTURE.md as one state machine, [Policy.Step]. Start there, with [State] beside it.
//
// An event changes the state; then plan derives from the new state what has to be done and is not under way.
// Nothing else is remembered, so a machine that lost power anywhere goes on by itself: Started weighs the
// evidence (which release runs, what its boot entry says), and plan starts what the phase calls for. Every
// effect may therefore be carried out twice, and each of them is written to bear that.
//
// The package is pure: it reads no clock, no file and no network, and it knows neither how bytes are
// verified nor where they are written.
package update

import (
	"maps"
	"slices"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// Phase is how far an update is.
type Phase string

// The phases, in the order in which an update passes them.
const (
	Idle        Phase = "idle"         // nothing is under way
	Installing  Phase = "installing"   // the target is written into the other slot
	Installed   Phase = "installed"    // its boot entry is there; the reboot lock is wanted
	Rebooting   Phase = "rebooting"    // the reboot into the target is asked for
	Trial       Phase = "trial"        // the target runs and its health is judged
	Committing  Phase = "committing"   // it is healthy; its boot entry becomes the one that boots for good
	RollingBack Phase = "rolling-back" // it is not healthy; its entry is removed, then reboot
	Retiring    Phase = "retiring"     // the target is not wanted; the other slot's entry is removed
)

// Lock is what the machine knows about its reboot lock.
type Lock string

// The states of the lock. Maybe means that a request was sent whose answer may be lost: as both requests of
// FleetLock are idempotent, the machine asks again or releases once more.
const (
	LockNone  Lock = "none"
	LockMaybe Lock = "maybe"
	LockHeld  Lock = "held"
)

// Release names a release by what it is called and by what it is.
type Release struct {
	Version  string `json:"version"`
	RootHash string `json:"root_hash,omitempty"` // hex, 32 bytes; unknown only while retiring
}

// Target is the release that an update goes to.
type Target struct {
	Release
	Codebase string   `json:"codebase,omitempty"` // URL of the folder that holds it
	Mirrors  []string `json:"mirrors,omitempty"`  // further ones
	Delta    string   `json:"delta,omitempty"`    // name of the delta that it is taken by, or "" for the full payload
}

// Codebases are the URLs of all folders that hold it, the first one first.
func (t Target) Codebases() []string { return append([]string{t.Codebase}, t.Mirrors...) }

// Failure says why a release is not tried again.
type Failure struct {
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Problem is the last thing that went wrong.
type Problem struct {
	Version string    `json:"version,omitempty"`
	Kind    string    `json:"kind"` // fault.Kind
	Why     string    `json:"why"`
	At      time.Time `json:"at"`
	Told    bool      `json:"told,omitempty"` // the service was told
}

// Loss counts how often the boot entry of a release vanished without having been tried.
type Loss struct {
	Version string `json:"version,omitempty"`
	Times   int    `json:"times,omitempty"`
}

// State is all that the machine remembers. What has a JSON name is durable; Live is not.
type State struct {
	Format   int                `json:"format"`
	Phase    Phase              `json:"phase"`
	Target   Target             `json:"target,omitzero"`
	Previous string             `json:"previous,omitempty"` // the version that the target replaces
	BootID   string             `json:"boot_id,omitempty"`  // the boot in which the reboot was asked for
	Baseline []string           `json:"baseline,omitempty"` // units that had failed before the reboot
	Reason   string             `json:"reason,omitempty"`   // why the target is left
	Newest   string             `json:"newest,omitempty"`   // newest version ever committed here
	Failed   map[string]Failure `json:"failed,omitempty"`   // by version
	NoDelta  []string           `json:"no_delta,omitempty"` // versions to which a delta has failed here, ascending
	Begun    int                `json:"begun,omitempty"`    // how often a process found the delta to the target under way
	Lost     Loss               `json:"lost,omitzero"`
	Told     int                `json:"told,omitempty"` // how often the boot loader was told to start the target, an older release
	Lock     Lock               `json:"lock"`
	Reports  []Report           `json:"reports,omitempty"` // to the service, oldest first
	Reported int64              `json:"reported"`          // number of the newest report ever queued
	Problem  *Problem           `json:"problem,omitempty"`

	Live Live `json:"-"`
}

// Live is what is true only while this process runs. All of it is made anew by Started.
type Live struct {
	Running Release
	BootID  string

	Check  Task // asking the service, and verifying what it offers
	Job    Task // the work of the phase
	Lock   Task // asking for the lock or releasing it
	Report Task // sending reports

	Manual    bool   // a person asked for the next check
	Unheard   bool   // an answer came when nothing could be decided; ask again as soon as it can
	Rechecked bool   // the service was asked once more after the installation
	Removed   bool   // the entry of the release that is left is gone
	Marked    string // the version that the trial marker names
	Synced    bool   // Marked is known to be what is on disk
	Waiting   string // what is waited for, in words
	Declined  string // a failed release that is still offered
}

// Task is one kind of work; at most one of a kind is under way.
type Task struct {
	Busy     bool
	Due      time.Duration // on the clock of Moment.Elapsed
	Failures int           // in a row
}

// Policy is what the owner of the machine decided.
type Policy struct {
	PollInterval time.Duration
	PollJitter   time.Duration // a poll comes up to this much later
	Lock         bool          // a reboot needs a reboot lock
}

// Moment is what an event may know of the outside. Everything is scheduled on Elapsed, which is monotonic,
// so that a clock which jumps moves nothing; Now is only written into records.
type Moment struct {
	Now     time.Time
	Elapsed time.Duration // since this process started
	Random  float64       // in [0, 1)
}

// New is the state of a machine that remembers nothing.
func New() State { return State{Format: Format, Phase: Idle, Lock: LockNone} }

// problem records what went wrong. Whether the service was told stays known while the same goes wrong again.
func (t *turn) problem(version string, kind fault.Kind, why string) {
	last := t.s.Problem
	told := last != nil && last.Told && last.Version == version && last.Kind == kind.String()
	t.s.Problem = &Problem{Version: version, Kind: kind.String(), Why: shorten(why), At: t.Now.UTC(), Told: told}
}

func (s State) clone() State {
	s.Failed = maps.Clone(s.Failed)
	s.Baseline = slices.Clone(s.Baseline)
	s.Reports = slices.Clone(s.Reports)
	s.NoDelta = slices.Clone(s.NoDelta)
	return s
}
