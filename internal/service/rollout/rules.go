package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"conifer.dev/conifer/internal/wire/release"
)

// rule says in words what holds, and whether the offer may be made as far as it is concerned.
type rule struct {
	name string
	ask  func(Case) (text string, ok bool)
}

// existence rules come first, each relying on the ones before it.
var existence = []rule{
	{"application", func(c Case) (string, bool) {
		if !c.AppKnown {
			return fmt.Sprintf("application %s is unknown", c.App), false
		}
		return fmt.Sprintf("application %s is known", c.App), true
	}},
	{"group", func(c Case) (string, bool) {
		if c.Group == nil {
			return fmt.Sprintf("group %q is unknown", c.Track), false
		}
		return fmt.Sprintf("the machine is in group %s, which follows channel %s", c.Group.Name, c.Group.Channel), true
	}},
	{"architecture", func(c Case) (string, bool) {
		if c.Machine.Arch == "" {
			return "the machine's architecture is unknown", false
		}
		return "the machine's architecture is " + c.Machine.Arch, true
	}},
	{"channel", func(c Case) (string, bool) {
		if c.Release == nil {
			return fmt.Sprintf("channel %s points at no release for %s", c.Group.Channel, c.Machine.Arch), false
		}
		return fmt.Sprintf("channel %s points at release %s", c.Group.Channel, c.Release.Version), true
	}},
}

// policy rules are independent of each other.
var policy = []rule{
	{"version", func(c Case) (string, bool) {
		switch {
		case newer(c.Release.Version, c.Machine.Version):
			return fmt.Sprintf("release %s is newer than %q, which the machine runs", c.Release.Version, c.Machine.Version), true
		case release.Compare(c.Machine.Version, c.Release.Version) == 0:
			return fmt.Sprintf("the machine runs %s already", c.Release.Version), false
		}
		return fmt.Sprintf("the machine runs %s, and an older release is never offered", c.Machine.Version), false
	}},
	{"halt", func(c Case) (string, bool) {
		if h := c.Release.Halt; h != nil {
			return fmt.Sprintf("release %s was halted by %s at %s: %s", c.Release.Version, h.By, h.At.UTC().Format(time.RFC3339), h.Reason), false
		}
		return fmt.Sprintf("release %s is not halted", c.Release.Version), true
	}},
	{"pause", func(c Case) (string, bool) {
		if c.Group.Paused {
			return fmt.Sprintf("group %s is paused", c.Group.Name), false
		}
		return fmt.Sprintf("group %s is not paused", c.Group.Name), true
	}},
	{"loop guard", func(c Case) (string, bool) {
		if c.Barred != "" {
			return fmt.Sprintf("the machine has tried release %s before: %s", c.Release.Version, c.Barred), false
		}
		return fmt.Sprintf("the machine has not failed on release %s", c.Release.Version), true
	}},
	{"percent", askPercent},
}

// places is how finely a machine's place in the order of a roll-out is told.
const places = 10000

// Place is the machine's place in the order in which machines are offered the release, from 0 to 9999. It depends
// on the release too, so that not the same machines are the first every time. A machine without an id is last.
func Place(machineID, version string) int {
	if machineID == "" {
		return places - 1
	}
	sum := sha256.Sum256([]byte(machineID + "\x00" + version))
	return int(binary.BigEndian.Uint64(sum[:8]) % places)
}

func askPercent(c Case) (string, bool) {
	place := Place(c.Machine.ID, c.Release.Version)
	where := fmt.Sprintf("group %s offers to %d %% of its machines, and this one's place is at %d.%02d %%",
		c.Group.Name, c.Group.Percent, place/100, place%100)
	return where, place < c.Group.Percent*places/100
}
