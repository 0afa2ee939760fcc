package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// deltasAtOnce is how many deltas are made at a time. Each holds tables for an old and a new root, several times their size.
const deltasAtOnce = 2

// ReadDeltas reads the deltas.json of a release folder; an empty list when there is none.
func ReadDeltas(dir string, r *release.Release) (*release.Deltas, error) {
	text, err := os.ReadFile(filepath.Join(dir, release.DeltasName))
	if errors.Is(err, fs.ErrNotExist) {
		return &release.Deltas{Format: release.DeltasFormat, App: r.App, Version: r.Version, Arch: r.Arch, Deltas: []release.Delta{}}, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := release.ParseDeltas(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	if d.App != r.App || d.Version != r.Version || d.Arch != r.Arch {
		return nil, fault.New(fault.Invalid, "%s is of %s/%s/%s, %s of %s/%s/%s", release.DeltasName, d.App, d.Arch, d.Version, release.FileName, r.App, r.Arch, r.Version)
	}
	return d, nil
}

// AddDeltas makes the deltas from the release folders olds to the one in dir that it does not have yet, and writes its
// deltas.json when all of them are there. One that is no smaller than the full payload is not kept. It returns the whole list.
func AddDeltas(ctx context.Context, dir string, olds []string, o DeltaOptions, step Step) (*release.Deltas, error) {
	new, err := openReleaseSubject(dir)
	if err != nil {
		return nil, err
	}
	list, err := ReadDeltas(dir, new.release)
	if err != nil {
		return nil, err
	}
	subjects, err := lacking(list, olds)
	if err != nil || len(subjects) == 0 {
		return list, err
	}
	made, err := makeDeltas(ctx, dir, new, subjects, o, step)
	if err != nil {
		return nil, err
	}
	if len(made) == 0 {
		return list, nil
	}
	list.Deltas = append(list.Deltas, made...)
	list.Sort()
	text, err := list.Encode()
	if err != nil {
		return nil, err
	}
	if _, err := WriteFile(filepath.Join(dir, release.DeltasName), bytes.NewReader(text)); err != nil {
		return nil, err
	}
	return list, addSums(dir, list, text)
}

// lacking opens the old releases from which there is no delta yet.
func lacking(list *release.Deltas, olds []string) ([]*Subject, error) {
	var subjects []*Subject
	seen := map[string]bool{}
	for _, one := range list.Deltas {
		seen[one.From] = true
	}
	for _, dir := range olds {
		s, err := openReleaseSubject(dir)
		if err != nil {
			return nil, err
		}
		if s.App != list.App || s.Arch != list.Arch || s.Version == list.Version {
			return nil, fault.New(fault.Invalid, "a delta from %s/%s/%s to %s/%s/%s serves no machine", s.App, s.Arch, s.Version, list.App, list.Arch, list.Version)
		}
		if !seen[s.Version] {
			subjects = append(subjects, s)
		}
		seen[s.Version] = true
	}
	return subjects, nil
}

// makeDeltas makes one delta for each old release, some at a time, in one step.
func makeDeltas(ctx context.Context, dir string, new *Subject, olds []*Subject, o DeltaOptions, step Step) ([]release.Delta, error) {
	name, totalBytes := fmt.Sprintf("make deltas from %d releases", len(olds)), new.SizeBytes()
	if len(olds) == 1 {
		name = "make the delta from " + olds[0].Version
	}
	for _, old := range olds {
		totalBytes += old.SizeBytes() + 3*new.SizeBytes() // compared with its digest; found, written and proven
	}
	count, end := step(name, totalBytes)
	defer end()
	if err := new.check(ctx, count); err != nil {
		return nil, err
	}
	o.App, o.Arch, o.Version, o.Count = new.App, new.Arch, new.Version, count
	made := make([]*release.Delta, len(olds))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(deltasAtOnce)
	for i, old := range olds {
		group.Go(func() error {
			if err := old.check(ctx, count); err != nil {
				return err
			}
			o := o
			o.From = old.Version
			one, err := MakeDelta(ctx, old.Sources, new.Sources, filepath.Join(dir, release.DeltaName(old.Version)), o)
			if err != nil {
				return fmt.Errorf("delta from %s: %w", old.Version, err)
			}
			made[i] = one
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return keepSmaller(dir, made, new.release.Payload.SizeBytes)
}

// keepSmaller takes away the deltas that save nothing over the full payload: machines would be better off without them.
func keepSmaller(dir string, made []*release.Delta, fullBytes int64) ([]release.Delta, error) {
	var kept []release.Delta
	for _, d := range made {
		if d.SizeBytes < fullBytes {
			kept = append(kept, *d)
			continue
		}
		path := filepath.Join(dir, d.Name)
		if err := errors.Join(os.Remove(path), os.RemoveAll(path+ReportSuffix)); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// addSums names the deltas in SHA256SUMS, where the folder has one: in a repository it has none.
func addSums(dir string, list *release.Deltas, text []byte) error {
	path := filepath.Join(dir, SumsFileName)
	sums, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept bytes.Buffer
	isDelta := map[string]bool{release.DeltasName: true}
	for _, d := range list.Deltas {
		isDelta[d.Name] = true
	}
	for line := range bytes.Lines(sums) {
		if _, name, _ := bytes.Cut(bytes.TrimSpace(line), []byte("  ")); !isDelta[string(name)] {
			kept.Write(line)
		}
	}
	for _, d := range list.Deltas {
		fmt.Fprintf(&kept, "%s  %s\n", d.SHA256, d.Name)
	}
	fmt.Fprintf(&kept, "%s  %s\n", digest(text), release.DeltasName)
	_, err = WriteFile(path, &kept)
	return err
}
