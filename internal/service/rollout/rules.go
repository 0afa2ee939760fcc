package rollout

import (
	"fmt"
	"time"
)

// rule is one row of the tables below, which [Offer] and [Explain] share.
type rule struct {
	name string
	gate bool // when it refuses, the rules after it have nothing to speak about
	ask  func(trial) verdict
}

// verdict is what a rule found. The text is made only for those who read it.
type verdict struct {
	ok   bool
	text func(trial) string
}

func pass(text func(trial) string) verdict   { return verdict{true, text} }
func refuse(text func(trial) string) verdict { return verdict{false, text} }

// trial is what a rule is asked about: the case, and one release of it that might be offered.
type trial struct {
	c       *Case
	release *Release // nil when the case as a whole is asked about
	via     *Release // the floor that is offered in place of release, nil when there is none in between
	order   int      // positive when release is newer than what runs
}

func try(c *Case, r *Release) trial {
	t := trial{c: c, release: r, order: c.order(r)}
	if t.order > 0 && len(c.Floors) > 0 {
		t.via = c.floor(r)
	}
	return t
}

// target is what the machine is offered when the trial succeeds.
func (t trial) target() *Release {
	if t.via != nil {
		return t.via
	}
	return t.release
}

// needsPlace reports whether a place under the limits must be taken for the target.
func (t trial) needsPlace() bool { return t.c.Place.Limited && t.c.Place.Held != t.target().Version }

// general rules speak of the machine as a whole. Each relies on the ones before it, so that all of them are gates.
var general = []rule{
	{"application", true, askApplication},
	{"group", true, askGroup},
	{"architecture", true, askArchitecture},
	{"pin", true, askPin},
	{"channel", true, askChannel},
	{"dead end", true, askDeadEnd},
}

// particular rules speak of one release.
var particular = []rule{
	{"version", true, askVersion},
	{"halt", false, askHalt},
	{"pause", false, askPause},
	{"loop guard", false, askLoopGuard},
	{"floor", false, askFloor},
	{"dead end ahead", false, askDeadEndAhead},
	{"window", false, askWindow},
	{"percent", false, askPercent},
	{"limit", false, askLimit},
}

// Rules names all rules in the order in which they are asked, for metrics and manuals.
func Rules() []string {
	var names []string
	for _, table := range [][]rule{general, particular} {
		for _, r := range table {
			names = append(names, r.name)
		}
	}
	return names
}

func askApplication(t trial) verdict {
	if !t.c.AppKnown {
		return refuse(func(t trial) string { return fmt.Sprintf("application %s is unknown", t.c.App) })
	}
	return pass(func(t trial) string { return fmt.Sprintf("application %s is known", t.c.App) })
}

func askGroup(t trial) verdict {
	if t.c.Group == nil {
		return refuse(func(t trial) string { return fmt.Sprintf("group %q is unknown", t.c.Track) })
	}
	return pass(func(t trial) string {
		return fmt.Sprintf("the machine is in group %s, which follows channel %s", t.c.Group.Name, t.c.Group.Channel)
	})
}

func askArchitecture(t trial) verdict {
	if t.c.Machine.Arch == "" {
		return refuse(func(trial) string { return "the machine's architecture is unknown" })
	}
	return pass(func(t trial) string { return "the machine's architecture is " + t.c.Machine.Arch })
}

func askPin(t trial) verdict {
	switch {
	case t.c.Pin == nil:
		return pass(func(trial) string { return "neither the machine nor its group is pinned" })
	case t.c.Pin.Release == nil:
		return refuse(func(t trial) string {
			return fmt.Sprintf("%s is pinned to release %s, which there is not for %s", t.c.Pin.Of, t.c.Pin.Version, t.c.Machine.Arch)
		})
	}
	return pass(func(t trial) string { return fmt.Sprintf("%s is pinned to release %s", t.c.Pin.Of, t.c.Pin.Version) })
}

func askChannel(t trial) verdict {
	switch {
	case t.c.Pin != nil:
		return pass(func(t trial) string { return fmt.Sprintf("the pin counts, not channel %s", t.c.Group.Channel) })
	case len(t.c.Releases) == 0:
		return refuse(func(t trial) string {
			return fmt.Sprintf("channel %s points at no release for %s", t.c.Group.Channel, t.c.Machine.Arch)
		})
	}
	return pass(func(t trial) string {
		return fmt.Sprintf("channel %s points at release %s", t.c.Group.Channel, t.c.Releases[0].Version)
	})
}

func askDeadEnd(t trial) verdict {
	if r := t.c.Running; r != nil && r.DeadEnd != "" {
		return refuse(func(t trial) string {
			return fmt.Sprintf("release %s, which the machine runs, is a dead end: %s", t.c.Running.Version, t.c.Running.DeadEnd)
		})
	}
	return pass(func(trial) string { return "what the machine runs is no dead end" })
}

func askVersion(t trial) verdict {
	switch {
	case t.c.Machine.Forced:
		return pass(func(t trial) string {
			return fmt.Sprintf("the machine says that it runs %s, which asks for any release", t.c.Machine.Version)
		})
	case t.order > 0:
		return pass(func(t trial) string {
			return fmt.Sprintf("release %s is newer than %q, which the machine runs", t.release.Version, t.c.Machine.Version)
		})
	case t.order == 0:
		return refuse(func(t trial) string { return fmt.Sprintf("the machine runs %s already", t.release.Version) })
	case t.c.Pin != nil && t.c.Pin.Downgrade:
		return pass(func(t trial) string {
			return fmt.Sprintf("release %s is older than %s, which the machine runs, and the pin allows the downgrade", t.release.Version, t.c.Machine.Version)
		})
	case t.c.Pin != nil:
		return refuse(func(t trial) string {
			return fmt.Sprintf("the machine runs %s, and the pin to %s does not allow a downgrade", t.c.Machine.Version, t.release.Version)
		})
	}
	return refuse(func(t trial) string {
		return fmt.Sprintf("the machine runs %s, and an older release is offered only by a pin", t.c.Machine.Version)
	})
}

func askHalt(t trial) verdict {
	if t.release.Halt != nil {
		return refuse(func(t trial) string { return t.release.halted() })
	}
	return pass(func(t trial) string { return fmt.Sprintf("release %s is not halted", t.release.Version) })
}

func (r *Release) halted() string {
	return fmt.Sprintf("release %s was halted by %s at %s: %s", r.Version, r.Halt.By, moment(r.Halt.At), r.Halt.Reason)
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func askPause(t trial) verdict {
	if t.c.Group.Paused {
		return refuse(func(t trial) string {
			if t.c.Pin != nil {
				return fmt.Sprintf("group %s is paused, and that counts for a pin too", t.c.Group.Name)
			}
			return fmt.Sprintf("group %s is paused", t.c.Group.Name)
		})
	}
	return pass(func(t trial) string { return fmt.Sprintf("group %s is not paused", t.c.Group.Name) })
}

func askLoopGuard(t trial) verdict {
	if t.c.Bars[t.release.Version] != "" {
		return refuse(func(t trial) string { return t.c.tried(t.release) })
	}
	return pass(func(t trial) string {
		return fmt.Sprintf("the machine has not failed on release %s", t.release.Version)
	})
}

func (c *Case) tried(r *Release) string {
	return fmt.Sprintf("the machine has tried release %s before: %s", r.Version, c.Bars[r.Version])
}

// askFloor holds the floor that comes first to what the release itself is held to.
func askFloor(t trial) verdict {
	switch {
	case t.via == nil:
		return pass(func(t trial) string { return "no release must come before " + t.release.Version })
	case t.via.Halt != nil:
		return refuse(func(t trial) string { return t.first() + ", but " + t.via.halted() })
	case t.c.Bars[t.via.Version] != "":
		return refuse(func(t trial) string { return t.first() + ", but " + t.c.tried(t.via) })
	case t.via.DeadEnd != "":
		return refuse(func(t trial) string { return t.first() + ", but it is a dead end: " + t.via.DeadEnd })
	}
	return pass(func(t trial) string { return t.first() })
}

func (t trial) first() string {
	return fmt.Sprintf("release %s must come before %s (%s)", t.via.Version, t.release.Version, t.via.Floor)
}

func askDeadEndAhead(t trial) verdict {
	switch {
	case t.release.DeadEnd == "":
		return pass(func(t trial) string { return fmt.Sprintf("release %s is no dead end", t.release.Version) })
	case t.c.Pin != nil:
		return pass(func(t trial) string {
			return fmt.Sprintf("release %s is a dead end (%s), but the pin names it", t.release.Version, t.release.DeadEnd)
		})
	}
	return refuse(func(t trial) string {
		return fmt.Sprintf("release %s is a dead end, and machines are led to one only by a pin: %s", t.release.Version, t.release.DeadEnd)
	})
}
