package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// results is everything that a run measured.
type results struct {
	Conditions []string
	Accel      lab.Accel
	Guest      string // its kernel, and how it treats the drive
	Rate       float64
	Image      image
	Drives     []onDrive

	OldRootBytes int64
}

// onDrive is what was measured on one kind of drive.
type onDrive struct {
	Drive     drive
	Phases    []phase
	Latencies []latency // of the application, by the phases' names
}

// resultsName is the file in the cache folder that holds what was measured last, so that a report can be written from it again.
const resultsName = "results.json"

// measureAll measures what the flags ask for, and writes the report.
func (s *settings) measureAll(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	f := &fleet.Factory{Source: ".", Binaries: "bin", Cache: filepath.Join(cache, "conifer"), Talk: os.Stderr}
	file := filepath.Join(f.Cache, "update", resultsName)
	var r results
	if s.again {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		return r.write(s.out)
	}
	return s.measure(ctx, f, func(r results) error {
		text, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		return r.write(s.out)
	})
}

// measure calls report with what is measured so far after each drive, because a drive takes a quarter of an hour.
func (s *settings) measure(ctx context.Context, f *fleet.Factory, report func(results) error) error {
	var r results
	folders, err := releases(ctx, f, s.deltas > 0)
	if err != nil {
		return err
	}
	if r.Image, err = inspect(ctx, f, folders[len(folders)-1]); err != nil {
		return err
	}
	r.Conditions, r.Rate = page.Conditions(), s.rate
	folder, remove, err := s.temporary()
	if err != nil {
		return err
	}
	defer remove()
	w, err := openWorld(ctx, f, folder, folders)
	if err != nil {
		return err
	}
	defer w.Close()
	r.Accel, r.OldRootBytes = w.Lab.Accel, w.rootBytes[fleet.AsReleased.Version]
	if r.Guest, err = w.machine.Run(ctx, guestScript); err != nil {
		return err
	}
	for i, d := range drives {
		if s.drives != "" && !strings.Contains(","+s.drives+",", ","+d.Name+",") {
			continue
		}
		one, err := s.on(ctx, w, d, i == 0)
		if err != nil {
			return err
		}
		r.Drives = append(r.Drives, one)
		if err := report(r); err != nil {
			return err
		}
	}
	return nil
}

const guestScript = `echo "Linux $(uname -r)"; cd /sys/block/vda/queue
for f in scheduler nr_requests max_sectors_kb read_ahead_kb; do echo $f $(cat $f); done`

// on asks the application all the time, and lets nothing else and both kinds of update happen one after the other.
func (s *settings) on(ctx context.Context, w *world, d drive, loop bool) (r onDrive, err error) {
	if err := w.monitor.slow(d); err != nil {
		return r, err
	}
	r.Drive = d
	asking := startAsking(w.machine.Machine, s.rate)
	defer asking.Stop()
	for _, do := range s.phases(w, loop) {
		p, err := do(ctx)
		if err != nil {
			return r, err
		}
		tell("%s, %s: %.0f s", d.Name, p.Name, p.seconds())
		r.Phases = append(r.Phases, p)
	}
	asking.Stop()
	r.Latencies = asking.latencies(r.Phases)
	return r, nil
}

// phases are what happens on a drive. A full payload is written so quickly that it takes several for enough answers.
func (s *settings) phases(w *world, loop bool) (all []func(context.Context) (phase, error)) {
	all = append(all, func(ctx context.Context) (phase, error) { return w.wait(ctx, quiet, s.quiet) })
	if loop {
		all = append(all, func(ctx context.Context) (phase, error) { return w.loop(ctx, s.quiet) })
	}
	for range s.deltas {
		all = append(all, func(ctx context.Context) (phase, error) { return w.install(ctx, delta, byDelta) })
	}
	for range s.fulls {
		all = append(all, func(ctx context.Context) (phase, error) { return w.install(ctx, full, inFull) })
	}
	return all
}
