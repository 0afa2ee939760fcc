package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/health"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

const (
	rootBlocks = 16
	ukiBytes   = 9_000
	espBytes   = 256 << 10
)

var releases = bootsim.Releases{RootBlocks: rootBlocks, UKIBytes: ukiBytes}

// scenario is an update from 1.1.0 in slot B to another release in slot A, which holds 1.0.0.
type scenario struct {
	name      string
	target    string
	unhealthy bool // the target starts and is judged to be bad
	broken    bool // the target does not start
	delta     bool // there is one
	flipped   bool // and it does not apply, for the running root reads with one wrong bit
	later     bool // stopped only after the installation, which is that of another scenario
}

var scenarios = []scenario{
	{name: "good", target: "1.2.0"},
	{name: "unhealthy", target: "1.2.0", unhealthy: true},
	{name: "broken", target: "1.2.0", broken: true},
	{name: "downgrade", target: "1.0.5"},
	{name: "delta", target: "1.2.0", delta: true},
	{name: "failing delta", target: "1.2.0", delta: true, flipped: true},
	{name: "unhealthy downgrade", target: "1.0.5", unhealthy: true, later: true},
	{name: "broken downgrade", target: "1.0.5", broken: true, later: true},
}

func (sc scenario) downgrade() bool { return release.Compare(sc.target, "1.1.0") < 0 }

// outside is everything around the machine: it survives a cut of the power.
type outside struct {
	target *bootsim.Release
	delta  *bootsim.Delta // nil for none
	mu     sync.Mutex
	locked bool
	asked  func() // is called when the lock is asked for, which is when a release is installed
	heard  []update.Report
}

func (o *outside) Check(_ context.Context, _ string, how update.Check) (*update.Offer, time.Duration, error) {
	offer := &update.Offer{Version: o.target.Version, Codebases: []string{"http://h/"}}
	if o.delta != nil && how.Deltas {
		offer.Payload = o.delta.Name
	}
	return offer, 0, nil
}

func (o *outside) Report(_ context.Context, reports []update.Report) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = append(o.heard, reports...)
	return nil
}

func (o *outside) Verify(_ context.Context, offer update.Offer, _, _ string) (Signed, error) {
	signed := Signed{Release: o.target.Release, DowngradeAllowed: true}
	if offer.Payload != "" {
		signed.Delta = o.delta.Delta
	}
	return signed, nil
}

func (o *outside) Payload(_ []string, p *release.Payload) install.Source {
	if p.Name != o.target.Release.Payload.Name {
		return o.delta
	}
	return o.target
}

func (o *outside) Acquire(context.Context) error {
	if o.asked != nil {
		o.asked()
	}
	return o.lock(true)
}

func (o *outside) Release(context.Context) error { return o.lock(false) }

func (o *outside) lock(held bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.locked = held
	return nil
}

func (o *outside) isLocked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.locked
}

// fixedHealth is a judge whose verdict is known.
type fixedHealth struct{ failing bool }

func (h fixedHealth) Baseline(context.Context) ([]string, error) { return nil, nil }

func (h fixedHealth) Watch(_ context.Context, _ []string, pending func(string)) (health.Verdict, string, error) {
	pending("everything to stay well")
	if h.failing {
		return health.Failing, "the application does not answer", nil
	}
	return health.Healthy, "", nil
}

// crashWorld is a machine with the real loop, state machine, slots and installer.
type crashWorld struct {
	*bootsim.Machine
	scenario
	out *outside
}

func newCrashWorld(t testing.TB, sc scenario, seed uint64) *crashWorld {
	t.Helper()
	m, err := bootsim.NewMachine(seed, releases.Of("1.0.0"), releases.Of("1.1.0"), rootBlocks, espBytes)
	if err != nil {
		t.Fatal(err)
	}
	m.Broken[sc.target] = sc.broken
	w := &crashWorld{Machine: m, scenario: sc, out: &outside{target: releases.Of(sc.target)}}
	if sc.delta {
		w.out.delta = releases.Delta("1.1.0", sc.target)
	}
	return w
}

// flippedRoot is the partition of the root of 1.1.0, as a disk might give it that is about to fail.
type flippedRoot struct{ slots.Device }

func (f flippedRoot) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.Device.ReadAt(p, offset)
	if n > 0 && offset == 0 {
		p[0] ^= 1
	}
	return n, err
}

func (w *crashWorld) slots() (*slots.Slots, error) {
	part := func(number, flag int) (slots.Device, error) {
		d, err := w.OpenPartition(number, flag)
		if err == nil && number == 4 && w.flipped {
			d = flippedRoot{d}
		}
		return d, err
	}
	return slots.Open(w.Disk, part, w.ESP, w.RootHash())
}

// agent is a new process of the agent on the machine as it has booted.
func (w *crashWorld) agent(reboot func(context.Context) error) (*Agent, error) {
	s, err := w.slots()
	if err != nil {
		return nil, err
	}
	disk, err := NewDisk(s, w.Var)
	if err != nil {
		return nil, err
	}
	return &Agent{
		Policy: update.Policy{PollInterval: time.Hour, PollJitter: time.Minute, Lock: true},
		BootID: fmt.Sprint("boot-", w.BootID), Running: update.Release{Version: w.Version, RootHash: releases.Of(w.Version).Release.Root.Hash},
		Store: NewStore(w.Var), Disk: disk, Service: w.out, Repository: w.out, Lock: w.out,
		Loader: w.Loader(), Health: fixedHealth{w.unhealthy && w.Version == w.target}, Reboot: reboot, Random: func() float64 { return 0.5 },
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Notify: func(string) {},
	}, nil
}

// live is one boot: the agent runs until it has nothing to do, reboots, or the power is cut.
func (w *crashWorld) live(*bootsim.Machine) error {
	ctx, end := context.WithCancelCause(context.Background())
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end(nil)
	a, err := w.agent(func(context.Context) error {
		if !w.out.isLocked() && savedPhase(w) != update.RollingBack {
			end(errors.New("a reboot without the lock"))
			return nil
		}
		end(bootsim.ErrReboot)
		return nil
	})
	if err != nil {
		return err
	}
	a.once.Do(a.init) // before anybody looks
	watch.Go(func() {
		for {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
			switch {
			case w.Power.Off():
				end(faultdisk.ErrOff)
			case w.over(a):
				end(nil)
			}
		}
	})
	if err := a.Run(ctx); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// savedPhase reads which phase was saved last.
func savedPhase(w *crashWorld) update.Phase {
	state, err := NewStore(w.Var).Load(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		return ""
	}
	return state.Phase
}

// over reports whether the update has ended and nothing is owed to anybody.
func (w *crashWorld) over(a *Agent) bool {
	s := a.snapshot()
	decided := w.Version == w.target || s.Failed[w.target].Why != ""
	return decided && s.Phase == update.Idle && s.Lock == update.LockNone && len(s.Reports) == 0
}

// check compares where the machine has ended with where it must.
func (w *crashWorld) check() error {
	var names, markers []string
	esp, err := w.ESP.List()
	if err != nil {
		return err
	}
	for _, info := range esp {
		names = append(names, info.Name)
	}
	state, err := w.Var.List()
	if err != nil {
		return err
	}
	for _, info := range state {
		if info.Name == markerFile {
			markers = append(markers, info.Name)
		}
	}
	want, version, told := []string{"conifer_1.1.0.efi", "conifer_1.2.0.efi"}, w.target, "3/2 "+w.target+" after 1.1.0"
	switch {
	case w.unhealthy || w.broken:
		want, version, told = want[:1], "1.1.0", "3/0 "+w.target+" code 44"
	case w.downgrade():
		want = []string{"conifer_1.0.5.efi"} // the boot loader would prefer 1.1.0
	}
	switch {
	case w.Version != version:
		return fmt.Errorf("%s runs, want %s", w.Version, version)
	case w.out.isLocked():
		return errors.New("the reboot lock is still held")
	case !slices.Equal(names, want):
		return fmt.Errorf("boot entries %v, want %v", names, want)
	case len(markers) > 0:
		return fmt.Errorf("trial markers %v are left", markers)
	case !slices.ContainsFunc(w.out.heard, func(r update.Report) bool { return r.String() == told }):
		return fmt.Errorf("the service heard %v, but not %s", w.out.heard, told)
	case slices.ContainsFunc(w.out.heard, func(r update.Report) bool { return r.Type == 13 && r.Result == 4 }) != w.flipped:
		return fmt.Errorf("the service heard of the delta %v", w.out.heard)
	}
	if err := w.Boot(); err != nil || w.Version != version { // once more, from what is durable
		return fmt.Errorf("%s boots in the end, want %s: %v", w.Version, version, err)
	}
	return nil
}

// drive updates a machine; onCut restores the power, and may ask for another cut.
func (w *crashWorld) drive(t *testing.T, onCut func()) (err error) {
	synctest.Test(t, func(t *testing.T) {
		if err = bootsim.Drive(w.Machine, w.live, onCut); err == nil {
			err = w.check()
		}
	})
	return err
}

// wantStopPoints is the promise of the project's description.
const wantStopPoints = 2000

// TestEveryStopBootsAWholeSystemAndTheUpdateCompletes stops the loop, the state machine, the installer and the slots at
// every write of an update, with every kind of loss, and lets them go on.
func TestEveryStopBootsAWholeSystemAndTheUpdateCompletes(t *testing.T) {
	var points atomic.Int64
	t.Run("scenarios", func(t *testing.T) {
		for _, sc := range scenarios {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				w := newCrashWorld(t, sc, 1)
				first := 1
				if sc.later {
					w.out.asked = sync.OnceFunc(func() { first = w.Power.Writes() })
				}
				if err := w.drive(t, func() { t.Error("the power was cut") }); err != nil {
					t.Fatal(err)
				}
				points.Add(stopEverywhere(t, sc, first, w.Power.Writes()))
			})
		}
	})
	t.Logf("%d stop points", points.Load())
	if points.Load() < wantStopPoints && !testing.Short() {
		t.Errorf("%d stop points, want at least %d", points.Load(), wantStopPoints)
	}
}

func stopEverywhere(t *testing.T, sc scenario, first, writes int) (points int64) {
	for at := first; at < writes; at += bootsim.Stride(testing.Short()) {
		for _, loss := range faultdisk.Losses() {
			w := newCrashWorld(t, sc, uint64(at))
			w.Power.CutAt(at, loss)
			if err := w.drive(t, w.Power.Restore); err != nil {
				t.Errorf("cut at write %d of %d, %v: %v", at, writes, loss, err)
			}
			points++
		}
	}
	return points
}

// TestAFullOrFailingDiskIsWaitedFor lets single writes fail and leaves the power on: the same process completes.
func TestAFullOrFailingDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	for at := 1; at < 130; at += 3 {
		w := newCrashWorld(t, scenarios[0], uint64(at))
		w.Power.FailAt(at, fault.New(fault.Exhausted, "no space is left"))
		never := func() { t.Error("the power was cut") }
		err := w.drive(t, never)
		if w.Version == "" {
			err = w.drive(t, never) // it was the boot loader's write, and the machine is switched on again
		}
		if err != nil {
			t.Errorf("write %d fails: %v", at, err)
		}
	}
}
