//go:build vm

// Package vm tests whole updates in virtual machines: real images, real firmware, the real boot loader's
// counting, and power cuts. It needs what `make build tools` makes and fails without it.
package vm

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"conifer.dev/conifer/test/fleet"
)

// Limits that no step should come near, even under emulation with another test on the other core.
const (
	bootLimit   = 10 * time.Minute
	updateLimit = 20 * time.Minute
)

func factory(t *testing.T) *fleet.Factory {
	t.Helper()
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return &fleet.Factory{Source: source, Binaries: filepath.Join(source, "bin"), Cache: filepath.Join(cache, "conifer"), Talk: os.Stderr}
}

// building lets one test build a release while the others wait for it.
var building sync.Mutex

func release(t *testing.T, r fleet.Recipe) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	f := factory(t)
	if err := f.MakeKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	folder, _, err := f.Release(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// world is a fleet for one test: a service, a cluster program and one machine that runs 1.0.0.
type world struct {
	*fleet.Fleet
	t       *testing.T
	machine *fleet.Machine
}

func newWorld(t *testing.T) *world {
	t.Helper()
	f := factory(t)
	first := release(t, fleet.AsReleased)
	tools, err := f.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	w := &world{t: t}
	w.Fleet, err = fleet.Open(t.Context(), fleet.Options{Folder: folder, Binaries: f.Binaries, Tools: tools, Keys: f.Keys()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.offer(fleet.AsReleased)
	w.machine, err = w.NewMachine(t.Context(), fleet.MachineSpec{Name: "machine-1", Group: "alpha", Image: first})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.showOnFailure)
	w.runs(fleet.AsReleased.Version, bootLimit)
	return w
}

// offer publishes a release and points alpha at it.
func (w *world) offer(r fleet.Recipe) {
	w.t.Helper()
	w.publishes(w.Publish, r)
}

func (w *world) publishes(publish func(ctx context.Context, release string) error, r fleet.Recipe) {
	w.t.Helper()
	if err := publish(w.t.Context(), release(w.t, r)); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Promote(w.t.Context(), "alpha", r.Version); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) runs(version string, limit time.Duration) {
	w.t.Helper()
	if err := w.machine.Runs(w.t.Context(), version, limit); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) inspect() fleet.Facts {
	w.t.Helper()
	facts, err := w.machine.Inspect(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return facts
}

// showOnFailure prints what a person would look at first.
func (w *world) showOnFailure() {
	if !w.t.Failed() {
		return
	}
	console := w.machine.Console()
	if len(console) > 6000 {
		console = console[len(console)-6000:]
	}
	w.t.Logf("console of %s ends with:\n%s", w.machine.Name, console)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	journal, err := w.machine.Run(ctx, "journalctl -b -u conifer-agent -u web --no-pager | tail -n 60; systemctl --failed --no-pager")
	w.t.Logf("journal (%v):\n%s", err, journal)
	if log, err := os.ReadFile(filepath.Join(w.Folder, "server.log")); err == nil {
		w.t.Logf("service:\n%s", log)
	}
}
