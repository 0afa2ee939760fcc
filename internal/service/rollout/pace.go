package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// whole is all machines of a group, in the unit in which shares and ranks are told.
const whole = 10000

// Rank is the machine's rank in the order in which machines are offered the release, from 0 to 9999. It depends
// on the release too, so that not the same machines are the first every time. A machine without an id is last.
func Rank(machineID, version string) int {
	if machineID == "" {
		return whole - 1
	}
	var room [128]byte // so that usual ids need no memory of their own
	text := append(append(append(room[:0], machineID...), 0), version...)
	sum := sha256.Sum256(text)
	return int(binary.BigEndian.Uint64(sum[:8]) % whole)
}

// rank is the machine's own wariness where it tells one.
func (m *Machine) rank(version string) int {
	if m.ID == "" || !m.HasWariness {
		return Rank(m.ID, version)
	}
	switch {
	case m.Wariness <= 0:
		return 0
	case m.Wariness < 1:
		return min(int(m.Wariness*whole), whole-1)
	}
	return whole - 1 // also what is no number
}

// Reached is the share of the group's machines that the release has come to, in ten-thousandths.
func (g *Group) Reached(r *Release, now time.Time) int {
	switch {
	case r.Emergency:
		return whole
	case r.Stopped:
		return r.Reached
	}
	return g.Policy.Plan.Reached(g.elapsed(r, now))
}

// elapsed is how long the rollout has been going on: not while the group is paused.
func (g *Group) elapsed(r *Release, now time.Time) time.Duration {
	if g.Paused && !g.PausedAt.IsZero() && g.PausedAt.Before(now) {
		now = g.PausedAt
	}
	return now.Sub(r.Started)
}

func askPercent(t trial) verdict {
	switch {
	case t.c.Pin != nil:
		return pass(func(trial) string { return "a pin names the release, so that the percent does not count" })
	case t.release.Emergency:
		return pass(func(t trial) string {
			return fmt.Sprintf("the rollout of %s is an emergency, so that the percent does not count", t.release.Version)
		})
	case t.c.Machine.Manual || t.c.Machine.Forced:
		return pass(func(trial) string { return "a person asked on the machine, so that the percent does not count" })
	case t.c.Machine.rank(t.release.Version) < t.c.Group.Reached(t.release, t.c.Now):
		return pass(howFar)
	}
	return refuse(howFar)
}

// howFar sets the rollout against the machine's rank.
func howFar(t trial) string {
	g, m := t.c.Group, &t.c.Machine
	how, by := "", ""
	if phase := g.Policy.Plan.Phase(g.elapsed(t.release, t.c.Now)); phase != "" {
		how = ", in phase " + phase
	}
	if t.release.Stopped {
		how = ", where another took its place"
	}
	if m.HasWariness && m.ID != "" {
		by = " by its own wariness"
	}
	return fmt.Sprintf("the rollout of %s to group %s has come to %s of its machines%s, and this one's rank is at %s%s",
		t.release.Version, g.Name, percent(g.Reached(t.release, t.c.Now)), how, percent(m.rank(t.release.Version)), by)
}

// percent writes a share for people, with the decimals that ranks differ in.
func percent(share int) string { return fmt.Sprintf("%d.%02d %%", share/100, share%100) }

func askWindow(t trial) verdict {
	windows := t.c.Group.Policy.Windows
	switch {
	case len(windows) == 0:
		return pass(func(t trial) string { return fmt.Sprintf("group %s has no windows", t.c.Group.Name) })
	case t.release.Emergency:
		return pass(func(t trial) string {
			return fmt.Sprintf("the rollout of %s is an emergency, so that windows do not count", t.release.Version)
		})
	case anyOpen(windows, t.c.Now):
		return pass(func(t trial) string { return fmt.Sprintf("a window of group %s is open", t.c.Group.Name) })
	}
	return refuse(func(t trial) string {
		return fmt.Sprintf("no window of group %s is open; the next opens at %s", t.c.Group.Name, moment(NextOpen(t.c.Group.Policy.Windows, t.c.Now)))
	})
}

func askLimit(t trial) verdict {
	p := &t.c.Place
	switch {
	case !p.Limited:
		return pass(func(t trial) string { return fmt.Sprintf("group %s has no limit", t.c.Group.Name) })
	case t.c.Machine.ID == "":
		return refuse(func(t trial) string {
			return fmt.Sprintf("group %s has a limit, and a machine without an id cannot hold a place under it", t.c.Group.Name)
		})
	case !t.needsPlace():
		return pass(func(t trial) string {
			return fmt.Sprintf("the machine holds a place under the limit of group %s", t.c.Group.Name)
		})
	case p.Full != "":
		return refuse(func(t trial) string { return t.c.Place.full(t.c.Group.Name) })
	}
	return pass(func(t trial) string {
		return fmt.Sprintf("a place under the limit of group %s may be asked for", t.c.Group.Name)
	})
}

func (p *Place) full(group string) string {
	if p.Again.IsZero() {
		return fmt.Sprintf("the limit of group %s is reached: %s", group, p.Full)
	}
	return fmt.Sprintf("the limit of group %s is reached: %s; a place may come free at %s", group, p.Full, moment(p.Again))
}
