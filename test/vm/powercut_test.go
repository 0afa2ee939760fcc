//go:build vm

package vm

import (
	"context"
	"fmt"
	"testing"
	"time"

	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// cut is a moment of an update at which the power goes: when the condition holds, and a little later.
type cut struct {
	name  string
	when  func(w *world, s fleet.Status, err error) bool
	delay time.Duration
}

// cuts are spread over one update, in its order. Two of them are boots of a release on trial, which has three tries.
var cuts = []cut{
	{"as the download begins", installing(0), 0},
	{"with a quarter written", installing(0.25), 0},
	{"with half written", installing(0.5), 0},
	{"with three quarters written", installing(0.75), 0},
	{"near the end of the writing", installing(0.95), 0},
	{"when it is installed", phases("installed", "rebooting"), 0},
	{"while it shuts down", silent, 0},
	{"while the boot loader or kernel starts", silent, 6 * time.Second},
	{"on trial", phases("trial"), 0},
	{"as it commits", committed, 0},
}

func installing(progress float64) func(*world, fleet.Status, error) bool {
	return func(_ *world, s fleet.Status, err error) bool {
		past := s.Phase == "installed" || s.Phase == "rebooting" || s.Phase == "trial"
		return err == nil && (past || s.Phase == "installing" && s.Done() >= progress)
	}
}

func phases(names ...string) func(*world, fleet.Status, error) bool {
	return func(_ *world, s fleet.Status, err error) bool {
		for _, name := range names {
			if err == nil && s.Phase == name {
				return true
			}
		}
		return err == nil && s.Running.Version == "1.1.0"
	}
}

func silent(_ *world, s fleet.Status, err error) bool {
	return err != nil || s.Running.Version == "1.1.0"
}

func committed(_ *world, s fleet.Status, err error) bool {
	return err == nil && s.Running.Version == "1.1.0" && (s.Phase == "committing" || s.Newest == "1.1.0")
}

// TestPowerCuts ends QEMU with SIGKILL at ten points of one update. After each the machine must come up on a
// whole release, and in the end it must run the new one.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer(fleet.WithFixes)
	for i, c := range cuts {
		w.await(c)
		time.Sleep(c.delay)
		if err := w.machine.Kill(); err != nil {
			t.Fatal(err)
		}
		t.Logf("power cut %d of %d: %s", i+1, len(cuts), c.name)
		if err := w.machine.Start(); err != nil {
			t.Fatal(err)
		}
		w.comesUpWhole()
	}
	w.runs(fleet.WithFixes.Version, updateLimit)
	if facts := w.inspect(); facts.OSVersion != "1.1.0" || facts.Newest != "1.1.0" || facts.Running.RootHash != facts.KernelHash {
		t.Fatalf("in the end the machine says %+v", facts)
	}
}

func (w *world) await(c cut) {
	w.t.Helper()
	err := lab.Await(w.t.Context(), "the point "+c.name, updateLimit, func(ctx context.Context) (bool, string) {
		s, err := w.machine.Peek(ctx)
		return c.when(w, s, err), fmt.Sprintf("%+v, %v", s, err)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// comesUpWhole waits for the agent: dm-verity would not have let a root mount that is not whole.
func (w *world) comesUpWhole() {
	w.t.Helper()
	err := lab.Await(w.t.Context(), "the machine to come up", bootLimit, func(ctx context.Context) (bool, string) {
		s, err := w.machine.Peek(ctx)
		return err == nil && (s.Running.Version == "1.0.0" || s.Running.Version == "1.1.0"), fmt.Sprintf("%+v, %v", s, err)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
