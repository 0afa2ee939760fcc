package install_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
)

const (
	rootBlocks = 32
	ukiBytes   = 20_000
	espBytes   = 256 << 10
)

var releases = bootsim.Releases{RootBlocks: rootBlocks, UKIBytes: ukiBytes}

// scenario is an update from 1.1.0 in slot B to another release in slot A, which holds 1.0.0.
type scenario struct {
	name       string
	unhealthy  bool // the release starts and is judged to be bad
	broken     bool // the release does not start
	superseded bool // slot A holds 1.1.5, enabled and never booted, which is newer than what runs
	downgrade  bool // to 1.0.5 instead of 1.2.0
	delta      bool // by a delta
	flipped    bool // which does not apply, because a bit of the running root reads wrong
}

var scenarios = []scenario{
	{name: "good"}, {name: "unhealthy", unhealthy: true}, {name: "broken", broken: true}, {name: "superseded", superseded: true},
	{name: "downgrade", downgrade: true}, {name: "delta", delta: true}, {name: "delta on a flipped bit", delta: true, flipped: true},
}

func (sc scenario) target() string {
	if sc.downgrade {
		return "1.0.5"
	}
	return "1.2.0"
}

// world is a booted machine with the agent that is about to update it.
type world struct {
	*bootsim.Machine
	agent *stepper
	scenario
}

// newWorld makes a machine that runs 1.1.0 from slot B and wants the target.
func newWorld(t testing.TB, sc scenario, seed uint64) *world {
	t.Helper()
	inA := releases.Of("1.0.0")
	if sc.superseded {
		inA = releases.Of("1.1.5")
	}
	m, err := bootsim.NewMachine(seed, inA, releases.Of("1.1.0"), rootBlocks, espBytes)
	if err != nil {
		t.Fatal(err)
	}
	if sc.superseded {
		m.ESP.Drop("conifer_1.1.5.efi")
	}
	if err := m.Boot(); err != nil || m.Version != "1.1.0" {
		t.Fatalf("%s boots: %v", m.Version, err)
	}
	if sc.superseded {
		m.ESP.Put("conifer_1.1.5+3.efi", inA.UKI)
	}
	m.Broken[sc.target()] = sc.broken
	w := &world{Machine: m, scenario: sc, agent: &stepper{target: releases.Of(sc.target()), unhealthy: sc.unhealthy}}
	if sc.delta {
		w.agent.delta = releases.Delta("1.1.0", sc.target())
	}
	if sc.flipped {
		w.agent.open = openFlipped
	}
	return w
}

// openFlipped opens the slots of a machine on whose disk one bit of the root of 1.1.0 reads wrong. It is not wrong on the disk,
// where dm-verity would end the boot.
func openFlipped(m *bootsim.Machine) (*slots.Slots, folder.Folder, error) {
	part := func(number, flag int) (slots.Device, error) {
		d, err := m.OpenPartition(number, flag)
		if number == 4 && err == nil {
			d = flipped{d, 5 * 4096, nil}
		}
		return d, err
	}
	s, err := slots.Open(m.Disk, part, m.ESP, m.RootHash())
	return s, m.Var, err
}

// check compares where the machine has ended with where it must.
func (w *world) check() error {
	state, err := loadState(w.Var)
	if err != nil {
		return err
	}
	names, err := w.files()
	if err != nil {
		return err
	}
	want, version, newest := []string{"conifer_1.1.0.efi", "conifer_1.2.0.efi"}, w.target(), w.target()
	bad := w.unhealthy || w.broken
	switch {
	case bad:
		want, version, newest = want[:1], "1.1.0", "1.1.0"
	case w.downgrade:
		want, newest = []string{"conifer_1.0.5.efi"}, "1.1.0"
	}
	_, failed := state.Failed[w.target()]
	switch {
	case w.Version != version || state.Newest != newest || state.Phase != update.Idle:
		return fmt.Errorf("%s runs, newest is %s, phase %s; want %s, %s and idle", w.Version, state.Newest, state.Phase, version, newest)
	case w.agent.locked:
		return errors.New("the reboot lock is still held")
	case w.superseded && slices.Equal(names, []string{"conifer_1.1.5.efi", "conifer_1.2.0.efi"}):
		// A cut booted the release that was there before, and it was good.
	case !slices.Equal(names, want):
		return fmt.Errorf("boot entries %v, want %v", names, want)
	case failed != bad:
		return fmt.Errorf("failed releases %v", state.Failed)
	case w.flipped != slices.Contains(state.NoDelta, "1.2.0"):
		return fmt.Errorf("deltas failed to %v", state.NoDelta)
	case !slices.ContainsFunc(w.agent.reports, func(r update.Report) bool { return r.Code == codeRolledBack }) == bad:
		return fmt.Errorf("the service was told %+v", w.agent.reports)
	}
	return w.Boot() // once more, from what is durable
}

// codeRolledBack is the errorcode of a rollback; see ARCHITECTURE.md, "Between machine and service".
const codeRolledBack = 44

// files are the names on the EFI system partition.
func (w *world) files() ([]string, error) {
	infos, err := w.ESP.List()
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names, err
}

// cut is one way to stop a machine: at a write, and perhaps at another one after it.
type cut struct {
	at, again int // again is counted from the first; 0 is none
	loss      faultdisk.Loss
	seed      uint64
}

// run updates a machine through the cuts. After each of them the machine must boot a whole release and complete.
func (c cut) run(t testing.TB, sc scenario) error {
	w := newWorld(t, sc, c.seed)
	w.Power.CutAt(c.at, c.loss)
	cuts := 0
	err := bootsim.Drive(w.Machine, w.agent.run, func() {
		w.Power.Restore()
		if cuts++; cuts == 1 && c.again > 0 {
			w.Power.CutAt(c.again, c.loss)
		}
	})
	if err != nil {
		return err
	}
	if cuts == 0 {
		return errors.New("the cut was never reached")
	}
	return w.check()
}

// writesOf counts the writes of an update that nothing stops.
func writesOf(t testing.TB, sc scenario) int {
	t.Helper()
	w := newWorld(t, sc, 1)
	before := w.Power.Writes()
	if err := bootsim.Drive(w.Machine, w.agent.run, func() { t.Fatal("the power was cut") }); err != nil {
		t.Fatal(err)
	}
	writes := w.Power.Writes() - before
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	return writes
}

// wantStopPoints is the promise of the project's description.
const wantStopPoints = 2000

// TestEveryStopBootsAWholeSystemAndCompletes stops an update at every write, with every kind of loss. A stop point is
// a write of a scenario together with what is lost there.
func TestEveryStopBootsAWholeSystemAndCompletes(t *testing.T) {
	var points, writes atomic.Int64
	t.Run("scenarios", func(t *testing.T) {
		for _, sc := range scenarios {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				n := writesOf(t, sc)
				writes.Add(int64(n))
				points.Add(int64(stopEverywhere(t, sc, n)))
			})
		}
	})
	t.Logf("%d stop points at %d writes", points.Load(), writes.Load())
	if points.Load() < wantStopPoints && !testing.Short() {
		t.Errorf("%d stop points, want at least %d", points.Load(), wantStopPoints)
	}
}

func stopEverywhere(t *testing.T, sc scenario, writes int) (points int) {
	for at := 1; at <= writes; at += bootsim.Stride(testing.Short()) {
		for _, loss := range faultdisk.Losses() {
			c := cut{at: at, loss: loss, seed: uint64(at)}
			if err := c.run(t, sc); err != nil {
				t.Errorf("cut at write %d of %d, %v, seed %d: %v", at, writes, loss, c.seed, err)
			}
			points++
		}
	}
	return points
}

// TestTwoCuts stops an update, and what follows it, at places drawn from seeds.
func TestTwoCuts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400 / bootsim.Stride(testing.Short())) {
		rng := rand.New(rand.NewPCG(seed, 7))
		sc := scenarios[rng.IntN(len(scenarios))]
		c := cut{at: 1 + rng.IntN(140), again: 1 + rng.IntN(60), loss: faultdisk.Tear, seed: seed}
		if err := c.run(t, sc); err != nil {
			t.Errorf("%s: cuts at writes %d and %d more, seed %d: %v", sc.name, c.at, c.again, seed, err)
		}
	}
}

// TestEveryFailingWriteIsSurvived lets single writes fail, as a bad or full disk does. The agent goes on by itself, or ends
// and is started again.
func TestEveryFailingWriteIsSurvived(t *testing.T) {
	t.Parallel()
	for _, sc := range scenarios[:1] {
		n := writesOf(t, sc)
		for at := 1; at <= n; at++ {
			w := newWorld(t, sc, uint64(at))
			w.Power.FailAt(at, []syscall.Errno{syscall.EIO, syscall.ENOSPC}[at%2])
			noCut := func() { t.Fatal("the power was cut") }
			if err := bootsim.Drive(w.Machine, w.agent.run, noCut); err != nil && !strings.Contains(err.Error(), "write number") {
				t.Errorf("%s: write %d of %d fails: %v", sc.name, at, n, err)
			}
			if err := bootsim.Drive(w.Machine, w.agent.run, noCut); err != nil {
				t.Errorf("%s: after write %d of %d failed: %v", sc.name, at, n, err)
			} else if err := w.check(); err != nil {
				t.Errorf("%s: after write %d of %d failed: %v", sc.name, at, n, err)
			}
		}
	}
}

// TestAFailingWriteOfAnInstallationIsNamed has every write of an installation fail, for both reasons.
func TestAFailingWriteOfAnInstallationIsNamed(t *testing.T) {
	t.Parallel()
	whole := newSite(t)
	before := whole.Power.Writes()
	if err := whole.run(whole.rel); err != nil {
		t.Fatal(err)
	}
	n := whole.Power.Writes() - before
	for at := 1; at <= n; at++ {
		for cause, kind := range map[syscall.Errno]fault.Kind{syscall.EIO: fault.Internal, syscall.ENOSPC: fault.Exhausted} {
			s := newSite(t)
			s.Power.FailAt(at, cause)
			err := s.run(s.rel)
			if !errors.Is(err, cause) || fault.KindOf(err) != kind || fault.HintOf(err) == "" {
				t.Errorf("write %d of %d: kind %v, hint %q: %v", at, n, fault.KindOf(err), fault.HintOf(err), err)
			}
			if err := s.run(s.rel); err != nil {
				t.Errorf("write %d of %d: the next attempt: %v", at, n, err)
			}
			s.checkEnabled()
		}
	}
}
