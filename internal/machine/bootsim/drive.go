package bootsim

import (
	"errors"
	"fmt"
)

// ErrReboot is what an agent returns when it wants the machine to reboot.
var ErrReboot = errors.New("reboot")

// Agent is the program under test: it runs on a booted machine until it has nothing to do (nil), wants a reboot
// (ErrReboot), or fails.
type Agent func(m *Machine) error

// Stride is how far the next write is at which a test stops an update: all of them count, and who wants an answer soon takes one of eight.
func Stride(soon bool) int {
	if soon {
		return 8
	}
	return 1
}

// maxBoots is more than any update needs, with two cuts and three tries of a broken release.
const maxBoots = 20

// Drive runs the agent until it has nothing to do, and boots the machine whenever it is off or wants a reboot. A cut of
// the power that was asked for with Power.CutAt is part of it; onCut is called when it happened, with the power
// still off, and may ask for another one after it calls Power.Restore. Other errors end the drive.
func Drive(m *Machine, agent Agent, onCut func()) error {
	for range maxBoots {
		var err error
		if m.Version == "" {
			err = m.Boot()
		}
		if err == nil {
			err = agent(m)
		}
		switch {
		case m.Power.Off():
			onCut()
		case err == nil:
			return nil
		case !errors.Is(err, ErrReboot):
			return err
		}
		m.Version = ""
	}
	return fmt.Errorf("the agent is not done after %d boots; boot entries: %s", maxBoots, m.ESP.Describe())
}
