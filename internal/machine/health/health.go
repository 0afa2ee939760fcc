// Package health judges whether the release that runs is healthy.
//
// Start with [Judge.Watch], which collects [Facts] until [Course.Next], a pure function of them and of the time that
// has passed, has a verdict. A machine is healthy when systemd has started what it was to start, no unit has failed
// that had not failed before the update, nothing restarts over and over, the update service can be reached, and every
// program in the health folder exits 0; and when all of this has stayed so for a while. What is not so yet may
// become so until the deadline.
//
// The package changes nothing on the machine and does not decide what follows from a verdict. docs/design/agent.md
// says why each condition is there.
package health

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Unit is what systemd says about one unit.
type Unit struct {
	Name     string
	Active   string // active, activating, failed, …
	Sub      string // running, auto-restart, …
	Restarts int    // of a service, by itself, since it was last started
	Oneshot  bool   // an activating service that runs once and ends
}

// Facts are what was seen at one moment.
type Facts struct {
	System      string // systemd's state: starting, running, degraded, …
	Units       []Unit // at least those that are not active, and all services
	Unreachable string // why the update service cannot be reached, or ""
	Program     string // why a health program is not content, or ""
}

// FailedUnits are the names of the units that have failed, sorted.
func FailedUnits(units []Unit) []string {
	var failed []string
	for _, u := range units {
		if u.Active == "failed" {
			failed = append(failed, u.Name)
		}
	}
	slices.Sort(failed)
	return failed
}

// complaint is the first thing that is wrong, the most telling first, or "". A unit that had failed before the update
// is none of this release's making.
func (f Facts) complaint(baseline []string) string {
	for _, name := range FailedUnits(f.Units) {
		if !slices.Contains(baseline, name) {
			return "unit " + name + " has failed"
		}
	}
	up := f.System == "running" || f.System == "degraded"
	for _, u := range f.Units {
		if u.unsettled(up) && !slices.Contains(baseline, u.Name) {
			return fmt.Sprintf("unit %s is %s (%s)", u.Name, u.Active, u.Sub)
		}
	}
	switch {
	case !up:
		return "the system is " + f.System
	case f.Unreachable != "":
		return "the update service cannot be reached: " + f.Unreachable
	}
	return f.Program
}

// unsettled reports whether a unit is on its way up or down. Once the system is up, a job that a timer started is
// no reason to wait, unless it is being restarted. A device is "tentative" for ever when something mounts it that udev
// did not announce, as the initrd does with the root; whoever needs a device waits for it as a unit of its own.
func (u Unit) unsettled(up bool) bool {
	if strings.HasSuffix(u.Name, ".device") {
		return false
	}
	switch u.Active {
	case "activating":
		return !up || !u.Oneshot || u.Restarts > 0 || strings.HasPrefix(u.Sub, "auto-restart")
	case "reloading", "refreshing":
		return true
	}
	return false
}

// Verdict is what is known so far.
type Verdict int

// The verdicts.
const (
	Pending Verdict = iota
	Healthy
	Failing
)

// Course is a trial on its way to a verdict.
type Course struct {
	Deadline time.Duration // from the start of the trial
	Settle   time.Duration // how long everything must stay well
	Baseline []string      // units that had failed before the update

	well     bool
	since    time.Duration  // well since then
	restarts map[string]int // of each service, when it was last seen
}

// Next takes the facts at a time since the start of the trial. The reason says what is waited for or what is wrong.
func (c *Course) Next(elapsed time.Duration, f Facts) (v Verdict, why string) {
	why = f.complaint(c.Baseline)
	if again := c.restarted(f.Units); why == "" {
		why = again
	}
	if why != "" {
		c.well = false
		if elapsed >= c.Deadline {
			return Failing, fmt.Sprintf("%s, %s after the start", why, c.Deadline)
		}
		return Pending, why
	}
	if !c.well {
		c.well, c.since = true, elapsed
	}
	if elapsed-c.since >= c.Settle {
		return Healthy, ""
	}
	return Pending, "everything to stay well for " + c.Settle.String()
}

// restarted finds a service that systemd has restarted since the last facts: one that crashes over and over can look
// well at every moment that it is looked at.
func (c *Course) restarted(units []Unit) string {
	why := ""
	seen := map[string]int{}
	for _, u := range units {
		if before, known := c.restarts[u.Name]; known && u.Restarts > before && why == "" && !slices.Contains(c.Baseline, u.Name) {
			why = fmt.Sprintf("unit %s was restarted %d times", u.Name, u.Restarts)
		}
		seen[u.Name] = u.Restarts
	}
	c.restarts = seen
	return why
}
