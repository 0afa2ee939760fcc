package install_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
)

// stepper is the agent's own state machine with the real slots and installer, in a loop that carries out one effect after
// the other and lets the time pass at once. Around it are a service that offers one release, and a reboot lock.
type stepper struct {
	target    *bootsim.Release
	delta     *bootsim.Delta // nil for none
	unhealthy bool
	locked    bool // the reboot lock, which lives outside the machine
	reports   []update.Report
	open      func(m *bootsim.Machine) (*slots.Slots, folder.Folder, error) // what the slots and state are on
}

// life is one process of the agent.
type life struct {
	*stepper
	machine *bootsim.Machine
	slots   *slots.Slots
	folder  folder.Folder
	state   update.State
	elapsed time.Duration
	checked bool // the service was asked, and the answer is weighed
}

const (
	stateFile = "state.json"
	markFile  = "trial"
	maxSteps  = 300
)

func (a *stepper) run(m *bootsim.Machine) error {
	s, state, err := a.storage(m)
	if err != nil {
		return err
	}
	if s.Damaged() {
		if err := s.Repair(); err != nil {
			return err
		}
	}
	l := &life{stepper: a, machine: m, slots: s, folder: state}
	if l.state, err = loadState(state); err != nil {
		return err
	}
	started, err := l.started()
	if err != nil {
		return err
	}
	return l.loop(started)
}

func (a *stepper) storage(m *bootsim.Machine) (*slots.Slots, folder.Folder, error) {
	if a.open != nil {
		return a.open(m)
	}
	s, err := m.Slots()
	return s, m.Var, err
}

func loadState(f folder.Folder) (update.State, error) {
	text, err := folder.Read(f, stateFile, 1<<20)
	if fault.Is(err, fault.NotFound) {
		return update.New(), nil
	}
	if err != nil {
		return update.State{}, err
	}
	return update.Decode(text)
}

// started is the evidence that a boot left.
func (l *life) started() (update.Event, error) {
	list, err := l.slots.Entries()
	if err != nil {
		return nil, err
	}
	entries := map[string]update.Entry{}
	for _, e := range list {
		entries[e.Version] = update.Entry{Counted: e.Counted, Left: e.TriesLeft, Done: e.TriesDone}
	}
	return update.Started{
		BootID:  fmt.Sprint(l.machine.BootID),
		Running: update.Release{Version: l.machine.Version, RootHash: l.machine.RootHash()},
		Entries: entries,
	}, nil
}

// loop steps until the service was asked and nothing is left to do.
func (l *life) loop(first update.Event) error {
	queue := []update.Event{first}
	for range maxSteps {
		if len(queue) == 0 {
			if l.settled() {
				return nil
			}
			wake, ok := l.state.Wake()
			if !ok {
				return fmt.Errorf("phase %s waits for nothing", l.state.Phase)
			}
			l.elapsed = max(l.elapsed, wake)
			queue = append(queue, update.Tick{})
		}
		answers, err := l.step(queue[0])
		if err != nil {
			return err
		}
		queue = append(queue[1:], answers...)
	}
	return fmt.Errorf("phase %s after %d steps", l.state.Phase, maxSteps)
}

func (l *life) settled() bool {
	return l.checked && l.state.Phase == update.Idle && l.state.Lock == update.LockNone && len(l.state.Reports) == 0
}

func (l *life) step(e update.Event) (answers []update.Event, err error) {
	policy := update.Policy{PollInterval: time.Hour, Lock: true}
	at := update.Moment{Now: time.Unix(1_800_000_000, 0).Add(l.elapsed), Elapsed: l.elapsed}
	next, effects := policy.Step(l.state, at, e)
	l.state = next
	for _, effect := range effects {
		answer, err := l.perform(effect)
		if err != nil {
			return nil, err
		}
		if answer != nil {
			answers = append(answers, answer)
		}
	}
	return answers, nil
}

// perform carries out an effect. An error ends the process: the reboot, and the power.
func (l *life) perform(effect update.Effect) (update.Event, error) {
	l.checked = false
	switch effect := effect.(type) {
	case update.Save:
		return nil, l.insist(func() error { return folder.Replace(l.folder, stateFile, l.state.Encode()) })
	case update.Mark:
		return nil, l.insist(func() error { return l.mark(effect.Version) })
	case update.Reboot:
		return l.reboot(effect.Once)
	case update.Check:
		l.checked = true
		return update.CheckAnswered{Offer: l.offer()}, nil
	case update.Verify:
		name := update.Release{Version: l.target.Version, RootHash: l.target.Release.Root.Hash}
		return update.Verified{Target: update.Target{Release: name, Delta: effect.Offer.Payload}, DowngradeAllowed: true}, nil
	case update.AskLock:
		l.locked = true
		return update.LockGranted{}, nil
	case update.ReleaseLock:
		l.locked = false
		return update.LockReleased{}, nil
	case update.TakeBaseline:
		return update.BaselineTaken{}, nil
	case update.Judge:
		if l.unhealthy {
			return update.Failing{Why: "it is not healthy"}, nil
		}
		return update.Healthy{}, nil
	case update.Send:
		l.reports = append(l.reports, effect.Reports...)
		return update.ReportSent{Through: effect.Reports[len(effect.Reports)-1].Number}, nil
	}
	return l.change(effect), nil
}

// reboot tells the boot loader what to start, when it would start something else.
func (l *life) reboot(once string) (update.Event, error) {
	if once != "" {
		if err := l.machine.Loader().StartOnce(slots.EntryPattern(once)); err != nil {
			return update.SteerFailed{Fault: update.FaultOf(err)}, nil
		}
	}
	return nil, bootsim.ErrReboot
}

// change carries out an effect on the slots.
func (l *life) change(effect update.Effect) update.Event {
	switch effect := effect.(type) {
	case update.Install:
		return l.install(effect.Target)
	case update.Retire:
		if err := l.slots.RetireOther(); err != nil {
			return update.RetireFailed{Fault: update.FaultOf(err)}
		}
		return update.RetireDone{}
	case update.Commit:
		if err := l.slots.Commit(effect.Version); err != nil {
			return update.CommitFailed{Fault: update.FaultOf(err)}
		}
		return update.CommitDone{}
	case update.Remove:
		if err := l.slots.Remove(effect.Version); err != nil {
			return update.RemoveFailed{Fault: update.FaultOf(err)}
		}
		return update.EntryRemoved{}
	}
	panic(fmt.Sprintf("unknown effect %T", effect))
}

func (l *life) install(target update.Target) update.Event {
	in := &install.Installer{Slots: l.slots, State: l.folder, Workers: 1, SyncBytes: 32 << 10}
	err := error(nil)
	if target.Delta != "" {
		err = in.RunDelta(context.Background(), l.target.Release, l.delta.Delta, l.delta)
	} else {
		err = in.Run(context.Background(), l.target.Release, l.target)
	}
	if err != nil {
		return update.InstallFailed{Fault: update.FaultOf(err), Delta: target.Delta != ""}
	}
	return update.InstallDone{}
}

// offer is what the service answers: the target, to every machine that does not run it.
func (l *life) offer() *update.Offer {
	if l.machine.Version == l.target.Version {
		return nil
	}
	offer := &update.Offer{Version: l.target.Version}
	if l.delta != nil {
		offer.Payload = l.delta.Name
	}
	return offer
}

// insist repeats what must be done before anything else, while there is power.
func (l *life) insist(do func() error) error {
	err := do()
	for range 3 {
		if err == nil || l.machine.Power.Off() {
			break
		}
		err = do()
	}
	return err
}

func (l *life) mark(version string) error {
	if version != "" {
		return folder.Replace(l.folder, markFile, []byte(version))
	}
	if _, err := folder.Read(l.folder, markFile, 100); fault.Is(err, fault.NotFound) {
		return nil
	}
	return errors.Join(l.folder.Remove(markFile), l.folder.Sync())
}
