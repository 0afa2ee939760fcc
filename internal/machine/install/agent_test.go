package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
)

// memo is what the agent of this test remembers over a reboot: the states of "An update on the machine" in ARCHITECTURE.md.
type memo struct {
	State  string
	BootID int
	Failed []string
	Newest string // newest committed

	folder folder.Folder
}

// smallAgent does the steps of an update in their order with the real slots and installer, and decides as little as
// possible on its own.
type smallAgent struct {
	target    *bootsim.Release
	unhealthy bool
	workers   int
	open      func(m *bootsim.Machine) (*slots.Slots, folder.Folder, error) // what the slots and state are on
	locked    bool                                                          // the reboot lock, which lives outside the machine
	attempts  int                                                           // installations that were begun
}

func (a *smallAgent) run(m *bootsim.Machine) error {
	s, state, err := a.storage(m)
	if err != nil {
		return err
	}
	if s.Damaged() {
		if err := s.Repair(); err != nil {
			return err
		}
	}
	st, err := load(state)
	st.folder = state
	if err != nil {
		return err
	}
	for st.State != "idle" && st.State != "failed" {
		if err := a.step(m, s, &st); err != nil {
			return err
		}
	}
	return nil
}

func (a *smallAgent) storage(m *bootsim.Machine) (*slots.Slots, folder.Folder, error) {
	if a.open != nil {
		return a.open(m)
	}
	s, err := m.Slots()
	return s, m.Var, err
}

func load(state folder.Folder) (memo, error) {
	var st memo
	text, err := folder.Read(state, "state.json", 1<<20)
	if fault.Is(err, fault.NotFound) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(text, &st)
}

// become saves a state.
func (st *memo) become(state string) error {
	st.State = state
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return folder.Replace(st.folder, "state.json", text)
}

func (a *smallAgent) step(m *bootsim.Machine, s *slots.Slots, st *memo) error {
	runsNew := m.Version == a.target.Version
	if runsNew && (st.State == "installing" || st.State == "installed") {
		// The power was cut after the entry was enabled and before that was saved: the trial has begun.
		return st.become("rebooting")
	}
	switch st.State {
	case "":
		return st.become("installing")
	case "installing":
		return a.install(s, st)
	case "installed":
		a.locked = true
		st.BootID = m.BootID
		if err := st.become("rebooting"); err != nil {
			return err
		}
		return bootsim.ErrReboot
	case "rebooting", "trial", "committing":
		if !runsNew {
			return a.fellBack(s, st)
		}
		return a.judge(s, st)
	case "rolling-back":
		if runsNew {
			return errors.Join(s.Remove(a.target.Version), bootsim.ErrReboot)
		}
		return a.fail(s, st)
	}
	return errors.New("unknown state " + st.State)
}

func (a *smallAgent) install(s *slots.Slots, st *memo) error {
	a.attempts++
	in := &install.Installer{Slots: s, State: st.folder, Workers: max(a.workers, 1), SyncBytes: 64 << 10}
	if err := in.Run(context.Background(), a.target.Release, a.target); err != nil {
		return err
	}
	return st.become("installed")
}

// judge is a boot of the new release.
func (a *smallAgent) judge(s *slots.Slots, st *memo) error {
	if st.State == "rebooting" {
		if err := st.become("trial"); err != nil {
			return err
		}
	}
	if a.unhealthy {
		return st.become("rolling-back")
	}
	st.Newest = a.target.Version
	if err := st.become("committing"); err != nil {
		return err
	}
	if err := s.Commit(a.target.Version); err != nil {
		return err
	}
	a.locked = false
	return st.become("idle")
}

// fellBack is a boot of the old release where the new one was expected. A release whose entry has vanished was
// not tried to its end: FAT lost the name in a rename. It is installed again.
func (a *smallAgent) fellBack(s *slots.Slots, st *memo) error {
	entries, err := s.Entries()
	if err != nil {
		return err
	}
	isTarget := func(e slots.Entry) bool { return e.Version == a.target.Version }
	if !slices.ContainsFunc(entries, isTarget) {
		return st.become("installing")
	}
	return a.fail(s, st)
}

func (a *smallAgent) fail(s *slots.Slots, st *memo) error {
	if !slices.Contains(st.Failed, a.target.Version) {
		st.Failed = append(st.Failed, a.target.Version)
	}
	if err := st.become("rolling-back"); err != nil {
		return err
	}
	if err := s.Remove(a.target.Version); err != nil {
		return err
	}
	a.locked = false
	return st.become("failed")
}
