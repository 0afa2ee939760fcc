//go:build vm

package vm

import (
	"strings"
	"testing"

	"conifer.dev/conifer/test/fleet"
)

// onceVariable is the EFI variable by which systemd-boot is told what to start next, as the kernel shows it.
const onceVariable = "/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"

// TestSignedDowngrade pins a machine that runs 1.1.0 to 1.0.0, with the signature that this takes, and lets it follow its
// channel again. The boot loader prefers 1.1.0 until the older release is committed; from then on not even a power cut brings it back.
func TestSignedDowngrade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.offer(fleet.WithFixes)
	w.runs(fleet.WithFixes.Version, updateLimit)
	newer := w.inspect()

	w.conifer("release", "publish", release(t, fleet.AsReleased), "--repository", w.Repository(), "--keys", w.Keys, "--upload",
		"--downgrade-from", fleet.WithFixes.Version)
	w.tellSomethingElse()
	w.conifer("machine", "pin", newer.MachineID, "--app", fleet.App, "--release", fleet.AsReleased.Version, "--downgrade")
	w.runs(fleet.AsReleased.Version, updateLimit)
	older := w.inspect()
	if older.OSVersion != "1.0.0" || older.Slot() != "A" || older.Running.RootHash != older.KernelHash || older.Newest != "1.1.0" {
		t.Fatalf("after the downgrade the machine says %+v", older)
	}
	if older.Entries != "conifer_1.0.0.efi" {
		t.Fatalf("after the downgrade there are the boot entries %s", older.Entries)
	}
	w.powerCut()
	w.runs(fleet.AsReleased.Version, bootLimit)
	if out := w.run("ls " + onceVariable + " 2>&1 || true"); !strings.Contains(out, "No such file") {
		t.Fatalf("the boot loader is still told what to start: %s", out)
	}

	w.conifer("machine", "unpin", newer.MachineID, "--app", fleet.App)
	w.runs(fleet.WithFixes.Version, updateLimit)
	if again := w.inspect(); again.OSVersion != "1.1.0" || again.Slot() != "B" || again.Entries != "conifer_1.0.0.efi conifer_1.1.0.efi" {
		t.Fatalf("back on its channel the machine says %+v", again)
	}
}

// tellSomethingElse leaves a variable that the agent has to replace. The kernel protects it from being changed by accident.
func (w *world) tellSomethingElse() {
	w.t.Helper()
	w.run(`printf '\007\000\000\000x\000\000\000' > ` + onceVariable)
	if out := w.run("(echo y >> " + onceVariable + ") 2>&1 || true"); !strings.Contains(out, "not permitted") {
		w.t.Fatalf("the kernel does not protect the variable: %s", out)
	}
}

func (w *world) conifer(args ...string) {
	w.t.Helper()
	if _, err := w.Conifer(w.t.Context(), args...); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a shell command on the machine.
func (w *world) run(command string) string {
	w.t.Helper()
	out, err := w.machine.Run(w.t.Context(), command)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// powerCut switches the machine off without a word, and on again.
func (w *world) powerCut() {
	w.t.Helper()
	if err := w.machine.Kill(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.machine.Start(); err != nil {
		w.t.Fatal(err)
	}
}
