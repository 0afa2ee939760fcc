// Package rollout decides: which release a machine is offered, how far a machine is with it, and when a release has
// hurt enough machines to be halted.
//
// Start with [Offer], a pure function of what is known about a machine, its group and the releases on their way to
// it, and with [Explain], which asks the same rules and says in words what each of them found. [ParsePolicy] reads how
// fast an operator wants it, [Progress.Advance] follows a machine through its events, and [Judge] halts a release.
// Replicas that know the same facts answer alike without talking to each other. The package stores nothing, counts
// nothing, knows no time but what it is given, and offers an older version than the one that runs only where a pin, or
// a person on the machine, asks for that. docs/design/service.md says why it is so.
package rollout

import (
	"time"

	"conifer.dev/conifer/internal/wire/release"
)

// Machine is what a machine says about itself when it asks.
type Machine struct {
	ID          string // may be empty: such a machine is answered, but not told apart from others
	Version     string // that it runs
	Arch        string // Debian's name, or "" when the machine did not tell
	Wariness    float64
	HasWariness bool   // Wariness was told: from 0, eager, to 1, last of all
	Payloads    string // the features of payloads that it can apply, as words
	Manual      bool   // a person asked on the machine
	Forced      bool   // Version is one that asks for any release ([Forces]): older than everything, and manual
}

// Group is the policy that a machine is under.
type Group struct {
	Name     string
	Channel  string
	Paused   bool
	PausedAt time.Time // the clocks of its rollouts stand still since then; zero lets them go on
	Policy   Policy
}

// Halt says why and when a release was stopped.
type Halt struct {
	Reason string
	By     string
	At     time.Time
}

// Release is a release for the machine's architecture, with its rollout to the machine's group.
type Release struct {
	Version   string
	Started   time.Time // of its rollout
	Stopped   bool      // another rollout has taken its place
	Reached   int       // ten-thousandths of the machines, when it is stopped
	Emergency bool      // ignores percent and windows
	Halt      *Halt     // nil when it is not halted
	DeadEnd   string    // why machines that run it are not updated, "" when they are
	Floor     string    // why it must not be skipped, "" when it may be
	Full      Payload   // for whatever a machine runs
	Deltas    []Payload // each from another version
}

// Pin holds the machine at one release.
type Pin struct {
	Version   string
	Downgrade bool     // the release may be older than what runs
	Of        string   // "machine" or "group stable"
	Release   *Release // nil when the service has no such release for the architecture
}

// Place is how the machine stands with the limits of its group.
type Place struct {
	Limited bool      // there is a limit
	Held    string    // release that the machine holds a place for
	Full    string    // why no place can be had now, "" when one may be asked for
	Again   time.Time // when one may come free; zero when nobody knows
}

// Case is everything that one answer depends on. A nil pointer says that there is no such thing.
type Case struct {
	Now      time.Time
	App      string // as the machine wrote it
	AppKnown bool
	Track    string // the group that the machine asks for
	Machine  Machine
	Group    *Group
	Releases []Release         // the rollouts to the group, newest first; the first is the release that the channel points at
	Floors   []Release         // of the application and architecture, oldest first
	Running  *Release          // what the machine runs, when the service has it
	Pin      *Pin              // the machine's, else the group's
	Bars     map[string]string // version -> how an earlier try of this machine with it ended
	Place    Place
}

// candidates is how many releases are tried, newest first. A pin leaves one.
func (c *Case) candidates() int {
	if c.Pin != nil {
		return 1
	}
	return len(c.Releases)
}

func (c *Case) candidate(i int) *Release {
	if c.Pin != nil {
		return c.Pin.Release
	}
	return &c.Releases[i]
}

// order is positive when the release is newer than what the machine runs, 0 when it is that.
func (c *Case) order(r *Release) int {
	if c.Machine.Forced {
		return 1
	}
	return compare(r.Version, c.Machine.Version)
}

// runs is the version above which floors count. A machine that forces an update hides its version, but the service may
// remember it.
func (c *Case) runs() string {
	switch {
	case !c.Machine.Forced:
		return c.Machine.Version
	case c.Running != nil:
		return c.Running.Version
	}
	return ""
}

// floor is the oldest release between what runs and r that must not be skipped, or nil when r itself may be offered.
func (c *Case) floor(r *Release) *Release {
	runs := c.runs()
	var oldest *Release
	for i := range c.Floors {
		f := &c.Floors[i]
		if compare(f.Version, runs) > 0 && compare(f.Version, r.Version) < 0 && (oldest == nil || compare(f.Version, oldest.Version) < 0) {
			oldest = f
		}
	}
	return oldest
}

// compare is release.Compare, quicker in the case that most machines are in.
func compare(a, b string) int {
	if a == b {
		return 0
	}
	return release.Compare(a, b)
}
