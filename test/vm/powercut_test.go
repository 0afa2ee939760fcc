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
	when  func(s fleet.Status, err error) bool
	delay time.Duration
	next  bool // the next cut comes before the machine is up again
}

// cuts are spread over one update, in its order. The last four are in or after the reboot: a boot of the new release
// that is cut uses up one of its three tries, so two of them may be.
var cuts = []cut{
	{name: "as the download begins", when: installing(0)},
	{name: "with a sixth written", when: installing(0.15)},
	{name: "with a third written", when: installing(0.3)},
	{name: "with nearly half written", when: installing(0.45)},
	{name: "with most of it written", when: installing(0.6)},
	{name: "with four fifths written", when: installing(0.8)},
	{name: "while it shuts down to reboot", when: silent, next: true},
	{name: "while the boot loader or the kernel starts", when: always, delay: 6 * time.Second},
	{name: "on trial", when: onTrial},
	{name: "as it commits", when: committed},
}

func installing(progress float64) func(fleet.Status, error) bool {
	return func(s fleet.Status, err error) bool {
		return err == nil && (s.Phase == "installing" && s.Done() >= progress || s.Phase == "installed" || s.Running.Version == "1.1.0")
	}
}

func always(fleet.Status, error) bool { return true }

func silent(s fleet.Status, err error) bool { return err != nil || s.Running.Version == "1.1.0" }

func onTrial(s fleet.Status, err error) bool {
	return err == nil && s.Running.Version == "1.1.0" && s.Phase != "idle"
}

func committed(s fleet.Status, err error) bool {
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
		if !c.next {
			w.comesUpWhole()
		}
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
		return c.when(s, err), fmt.Sprintf("%+v, %v", s, err)
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
