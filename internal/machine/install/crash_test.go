package install_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/faultdisk"
)

const (
	rootBlocks = 48
	ukiBytes   = 20_000
	espBytes   = 256 << 10
)

// releases are made once: the first is what a machine is born with.
var releases = sync.OnceValues(func() (map[string]*bootsim.Release, error) {
	made := map[string]*bootsim.Release{}
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		r, err := bootsim.NewRelease(version, rootBlocks, ukiBytes)
		if err != nil {
			return nil, err
		}
		made[version] = r
	}
	return made, nil
})

func releaseOf(t testing.TB, version string) *bootsim.Release {
	t.Helper()
	made, err := releases()
	if err != nil {
		t.Fatal(err)
	}
	return made[version]
}

// scenario is an update from 1.1.0 in slot B to 1.2.0 in slot A, which holds 1.0.0.
type scenario struct {
	name      string
	unhealthy bool // the release starts and is judged to be bad
	broken    bool // the release does not start
}

var scenarios = []scenario{{name: "good"}, {name: "unhealthy", unhealthy: true}, {name: "broken", broken: true}}

// world is a machine with the agent that is about to update it.
type world struct {
	*bootsim.Machine
	agent *smallAgent
	scenario
}

// newWorld makes a machine that runs 1.1.0 from slot B, has 1.0.0 in slot A, and wants 1.2.0.
func newWorld(t testing.TB, sc scenario, seed uint64) *world {
	t.Helper()
	m, err := bootsim.NewMachine(seed, releaseOf(t, "1.0.0"), releaseOf(t, "1.1.0"), rootBlocks, espBytes)
	if err != nil {
		t.Fatal(err)
	}
	m.Broken["1.2.0"] = sc.broken
	return &world{Machine: m, scenario: sc, agent: &smallAgent{target: releaseOf(t, "1.2.0"), unhealthy: sc.unhealthy}}
}

// check compares where the machine has ended with where it must.
func (w *world) check() error {
	st, err := load(w.Var)
	if err != nil {
		return err
	}
	infos, err := w.ESP.List()
	if err != nil {
		return err
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	want := []string{"conifer_1.1.0.efi", "conifer_1.2.0.efi"}
	version, state := "1.2.0", "idle"
	if w.unhealthy || w.broken {
		want, version, state = want[:1], "1.1.0", "failed"
	}
	switch {
	case w.Version != version || st.State != state:
		return fmt.Errorf("%s runs in state %s, want %s in %s", w.Version, st.State, version, state)
	case w.agent.locked:
		return errors.New("the reboot lock is still held")
	case !slices.Equal(names, want):
		return fmt.Errorf("boot entries %v, want %v", names, want)
	case state == "failed" && !slices.Equal(st.Failed, []string{"1.2.0"}):
		return fmt.Errorf("failed releases %v", st.Failed)
	}
	return w.Boot() // once more, from what is durable
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
	if points.Load() < wantStopPoints {
		t.Errorf("%d stop points, want at least %d", points.Load(), wantStopPoints)
	}
}

func stopEverywhere(t *testing.T, sc scenario, writes int) (points int) {
	for at := 1; at <= writes; at++ {
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
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 7))
		sc := scenarios[rng.IntN(len(scenarios))]
		c := cut{at: 1 + rng.IntN(100), again: 1 + rng.IntN(60), loss: faultdisk.Tear, seed: seed}
		if err := c.run(t, sc); err != nil {
			t.Errorf("%s: cuts at writes %d and %d more, seed %d: %v", sc.name, c.at, c.again, seed, err)
		}
	}
}

// TestEveryFailingWriteIsAnErrorAndNoMore lets single writes fail, as a bad or full disk does: the error says what it is,
// the machine boots, and the next attempt completes.
func TestEveryFailingWriteIsAnErrorAndNoMore(t *testing.T) {
	t.Parallel()
	causes := map[syscall.Errno]fault.Kind{syscall.EIO: fault.Internal, syscall.ENOSPC: fault.Exhausted}
	sc := scenarios[0]
	n := writesOf(t, sc)
	for at := 1; at <= n; at++ {
		for cause, kind := range causes {
			w := newWorld(t, sc, uint64(at))
			w.Power.FailAt(at, cause)
			err := bootsim.Drive(w.Machine, w.agent.run, func() { t.Fatal("the power was cut") })
			if !errors.Is(err, cause) {
				t.Fatalf("write %d of %d: error is %v, want %v", at, n, err, cause)
			}
			if w.Version != "" && (fault.KindOf(err) != kind || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "write number")) {
				t.Errorf("write %d of %d: kind %v, hint %q: %v", at, n, fault.KindOf(err), fault.HintOf(err), err)
			}
			if err := bootsim.Drive(w.Machine, w.agent.run, func() { t.Fatal("the power was cut") }); err != nil {
				t.Errorf("write %d of %d, after %v: %v", at, n, cause, err)
			} else if err := w.check(); err != nil {
				t.Errorf("write %d of %d, after %v: %v", at, n, cause, err)
			}
		}
	}
}
