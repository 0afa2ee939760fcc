package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/test/fleet"
)

// byDelta and inFull are the releases that the machine is offered. They differ in nothing but their names and that one has a delta.
var (
	byDelta = fleet.WithFixes
	inFull  = fleet.Recipe{Version: "1.1.1", Suites: "updated", What: "1.1.0 again, without a delta"}
)

// bootLimit is what the first boot of an emulated machine stays far below, with its application fetched and started.
const bootLimit = 10 * time.Minute

// world is a fleet of one machine that runs the first release and can be offered the others.
type world struct {
	*fleet.Fleet
	machine   *fleet.Machine
	monitor   *monitor
	rootBytes map[string]int64 // of the root, by version
}

// releases builds what is not in the cache, and gives the folders: what the machine starts from, and what it is offered. The delta, which
// takes minutes, is made when it is asked for.
func releases(ctx context.Context, f *fleet.Factory, delta bool) ([]string, error) {
	if err := f.MakeKeys(ctx); err != nil {
		return nil, err
	}
	var folders []string
	for _, r := range []fleet.Recipe{fleet.AsReleased, byDelta, inFull} {
		folder, _, err := f.Release(ctx, r)
		if err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	if !delta {
		return folders, nil
	}
	var err error
	folders[1], err = withDelta(ctx, filepath.Join(f.Cache, "update"), folders[1], folders[0])
	return folders, err
}

// withDelta gives a copy of a release folder that has a delta from an older one: others that use the release want it without.
func withDelta(ctx context.Context, cache, new, old string) (string, error) {
	folder := filepath.Join(cache, filepath.Base(new)+"-from-"+filepath.Base(old))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	fresh := folder + ".new"
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o755)); err != nil {
		return "", err
	}
	files, err := os.ReadDir(new)
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if err := os.Link(filepath.Join(new, file.Name()), filepath.Join(fresh, file.Name())); err != nil {
			return "", err
		}
	}
	list, err := pack.AddDeltas(ctx, fresh, []string{old}, pack.DeltaOptions{}, tellStep)
	if err != nil {
		return "", err
	}
	if len(list.Deltas) != 1 {
		return "", fmt.Errorf("the delta from %s is no smaller than the full payload", old)
	}
	return folder, os.Rename(fresh, folder)
}

func tellStep(name string, _ int64) (count func(int64), end func()) {
	tell("%s …", name)
	return func(int64) {}, func() {}
}

func tell(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
}

// openWorld boots a machine from the first of the release folders, and publishes all of them.
func openWorld(ctx context.Context, f *fleet.Factory, folder string, releases []string) (*world, error) {
	tools, err := f.Tools(ctx)
	if err != nil {
		return nil, err
	}
	w := &world{rootBytes: map[string]int64{}}
	if w.Fleet, err = fleet.Open(ctx, fleet.Options{Folder: folder, Binaries: f.Binaries, Tools: tools, Keys: f.Keys()}); err != nil {
		return nil, err
	}
	if err := w.boot(ctx, releases); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// boot ends the cluster program once the machine runs: without a lock no update goes on to its reboot.
func (w *world) boot(ctx context.Context, folders []string) (err error) {
	for _, folder := range folders {
		if err := w.publish(ctx, folder); err != nil {
			return err
		}
	}
	if err := w.offer(ctx, fleet.AsReleased); err != nil {
		return err
	}
	tell("boot the machine …")
	w.machine, err = w.NewMachine(ctx, fleet.MachineSpec{Name: "machine-1", Group: "alpha", Image: folders[0]})
	if err != nil {
		return err
	}
	if err := w.machine.Runs(ctx, fleet.AsReleased.Version, bootLimit); err != nil {
		return err
	}
	// From now on nobody asks the machine anything that is not measured.
	w.machine.Agent.Stop()
	w.machine.Web.Stop()
	w.Cluster.Stop()
	w.monitor, err = openMonitor(filepath.Join(w.machine.Folder(), "qmp.sock"))
	return err
}

func (w *world) publish(ctx context.Context, folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, release.FileName))
	if err != nil {
		return err
	}
	r, err := release.Parse(text)
	if err != nil {
		return err
	}
	root, err := r.Artifact(release.KindRoot)
	if err != nil {
		return err
	}
	w.rootBytes[r.Version] = root.SizeBytes
	return w.Publish(ctx, folder)
}

// Close ends the fleet.
func (w *world) Close() {
	if w.monitor != nil {
		w.monitor.Close()
	}
	w.Fleet.Close()
}

// offer points the machine's channel at a release.
func (w *world) offer(ctx context.Context, r fleet.Recipe) error {
	return w.Promote(ctx, "alpha", r.Version)
}

// temporary makes the folder of the fleet, and what removes it.
func (s *settings) temporary() (folder string, remove func(), err error) {
	folder, err = os.MkdirTemp("", "conifer-bench-update-")
	if err != nil {
		return "", nil, err
	}
	if s.keep {
		tell("the fleet is in %s", folder)
		return folder, func() {}, nil
	}
	return folder, func() { os.RemoveAll(folder) }, nil
}
