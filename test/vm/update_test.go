//go:build vm

package vm

import (
	"context"
	"strings"
	"testing"
	"time"

	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// TestUpdateAndBothWaysBack takes one machine through an update and the two ways back: the agent's judgement,
// and the boot loader's counting.
func TestUpdateAndBothWaysBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	w.offer(fleet.WithFixes)
	w.runs(fleet.WithFixes.Version, updateLimit)
	good := w.inspect()
	if good.OSVersion != "1.1.0" || good.Slot() != "B" || good.Running.RootHash != good.KernelHash || good.Newest != "1.1.0" {
		t.Fatalf("after the update the machine says %+v", good)
	}
	if strings.Contains(good.Entries, "+") {
		t.Fatalf("the boot entry is not blessed: %s", good.Entries)
	}

	for _, bad := range []fleet.Recipe{fleet.NeverWell, fleet.NeverBoots} {
		w.offer(bad)
		w.halted(bad.Version)
		w.runs(fleet.WithFixes.Version, updateLimit)
		back := w.inspect()
		if back.OSVersion != "1.1.0" || back.Slot() != "B" || back.BootID == good.BootID {
			t.Fatalf("after %s the machine says %+v", bad.Version, back)
		}
		if strings.Contains(back.Entries, bad.Version) {
			t.Fatalf("a boot entry of %s is left: %s", bad.Version, back.Entries)
		}
		good = back
		w.staysWhenItAsksAgain(bad.Version)
	}
}

func (w *world) halted(version string) {
	w.t.Helper()
	err := lab.Await(w.t.Context(), version+" to be halted", updateLimit, func(ctx context.Context) (bool, string) {
		halted, reason, err := w.Halted(ctx, version)
		if err != nil {
			return false, err.Error()
		}
		return halted, reason
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// staysWhenItAsksAgain asks by hand, which overrides a percent but not a halt.
func (w *world) staysWhenItAsksAgain(version string) {
	w.t.Helper()
	if _, err := w.machine.Run(w.t.Context(), "conifer-agent check"); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	if s, err := w.machine.Peek(w.t.Context()); err != nil || s.Phase != "idle" || s.Running.Version != "1.1.0" {
		w.t.Fatalf("after asking again for %s: %+v, %v", version, s, err)
	}
}
