// Package rollout decides: which release a machine is offered, how far a machine is with it, and when a release has
// hurt enough machines to be halted.
//
// Start with [Offer], a pure function of what is known about a machine, its group and the release, whose every
// answer carries the reason of each rule; [Progress.Advance] follows a machine through its events, and [Judge] halts a
// release. Replicas that know the same facts answer alike without talking to each other. The package stores
// nothing, knows no time but what it is given, and never offers an older version than the one that runs.
package rollout

import (
	"time"

	"conifer.dev/conifer/internal/wire/release"
)

// Machine is what a machine says about itself when it asks.
type Machine struct {
	ID      string // may be empty: such a machine is answered, but not told apart from others
	Version string // that it runs
	Arch    string // Debian's name, or "" when the machine did not tell
}

// Group is the policy that a machine is under.
type Group struct {
	Name        string
	Channel     string
	Paused      bool
	Percent     int // of the machines that are offered a release, 0 to 100
	ErrorBudget int // machines that may fail on a release without halting it
}

// Halt says why and when a release was stopped.
type Halt struct {
	Reason string
	By     string
	At     time.Time
}

// Release is the one that the channel points at for the machine's architecture.
type Release struct {
	Version string
	Halt    *Halt // nil when it is not halted
}

// Case is everything that one answer depends on. A nil pointer says that there is no such thing.
type Case struct {
	App      string // as the machine wrote it
	AppKnown bool
	Track    string // the group that the machine asks for
	Machine  Machine
	Group    *Group
	Release  *Release
	Barred   string // how an earlier try of this machine with this release ended, "" when it may have it
}

// Reason is what one rule says about a case.
type Reason struct {
	Rule string `json:"rule"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Decision is the answer, with the reasons of all rules that could be asked, in their order.
type Decision struct {
	Version string   `json:"offer,omitempty"` // of the offered release, "" for no update
	Reasons []Reason `json:"reasons"`
}

// Offered reports whether there is an update for the machine.
func (d Decision) Offered() bool { return d.Version != "" }

// Why is the first rule that refused, or the last one when none did.
func (d Decision) Why() Reason {
	for _, r := range d.Reasons {
		if !r.OK {
			return r
		}
	}
	return d.Reasons[len(d.Reasons)-1]
}

// Offer decides one case. The rules about what exists end the answer when one refuses, because the others would
// have nothing to speak about; the rules of policy are all asked, so that an operator sees everything in the way.
func Offer(c Case) Decision {
	var d Decision
	for _, r := range existence {
		text, ok := r.ask(c)
		d.Reasons = append(d.Reasons, Reason{r.name, ok, text})
		if !ok {
			return d
		}
	}
	offered := true
	for _, r := range policy {
		text, ok := r.ask(c)
		d.Reasons = append(d.Reasons, Reason{r.name, ok, text})
		offered = offered && ok
	}
	if offered {
		d.Version = c.Release.Version
	}
	return d
}

// newer reports whether a machine that runs version should move to target.
func newer(target, version string) bool { return release.Compare(version, target) < 0 }
