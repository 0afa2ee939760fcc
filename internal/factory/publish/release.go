package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// Published says what a publication did.
type Published struct {
	Release *release.Release
	Path    string // the TUF target path
	Changed bool   // false when exactly this release, with these deltas, was published before
	View    *trust.View
}

// Order is what a publication shall do beyond signing the release.
type Order struct {
	DowngradeFrom []string // versions from which machines may go back to it, besides those that earlier publications named
	DeltaFrom     []string // versions of the repository from which it shall have deltas, besides those that it has
	Delta         pack.DeltaOptions
}

// Publish puts the release folder dir, with the deltas that are in it, into the repository and signs it. Publishing a release again
// adds what the order adds, and does nothing else; publishing another one under its version is a Conflict.
func (r *Repository) Publish(ctx context.Context, dir string, order Order, step pack.Step) (*Published, error) {
	rel, text, err := pack.ReadRelease(dir)
	if err != nil {
		return nil, err
	}
	p := &Published{Release: rel, Path: release.TargetPath(rel.App, rel.Arch, rel.Version)}
	if err := r.publish(ctx, p, dir, text, order, step); err != nil {
		return nil, fmt.Errorf("publish %s: %w", p.Path, err)
	}
	p.View, err = r.Check(r.Now)
	return p, err
}

func (r *Repository) publish(ctx context.Context, p *Published, dir string, text []byte, order Order, step pack.Step) error {
	s, err := r.load()
	if err != nil {
		return err
	}
	if err := checkConflict(s, p, text); err != nil {
		return err
	}
	c, err := r.choose(s.root.Signed, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP)
	if err != nil {
		return err
	}
	if err := r.place(ctx, p, dir, text, step); err != nil {
		return err
	}
	deltas, err := r.deltas(ctx, s, p, dir, order, step)
	if err != nil {
		return err
	}
	changed, err := addTarget(s, p, text, order.DowngradeFrom)
	if err != nil {
		return err
	}
	changedDeltas, err := addDeltas(s, p, deltas)
	if err != nil {
		return err
	}
	if p.Changed = changed || changedDeltas; !p.Changed {
		return nil
	}
	return r.publishTargets(s, c)
}

// checkConflict refuses a second release of one version: machines that have the first would differ from the
// others for ever, and nobody could say which of the two "1.1.0" is.
func checkConflict(s *state, p *Published, text []byte) error {
	have, err := s.view.Target(p.Path)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := have.Check(text); err != nil {
		return fault.New(fault.Conflict, "another release was published under version %s: %w", p.Release.Version, err).
			WithHint("A published version never changes. Build the release again with a higher version.")
	}
	return nil
}

// place brings the release's files into the repository, the signed description last. The disk image stays behind: it
// is for installing, not for updating.
func (r *Repository) place(ctx context.Context, p *Published, dir string, text []byte, step pack.Step) error {
	folder := r.folder(p.Path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, a := range p.Release.Artifacts {
		if a.Kind == release.KindDisk {
			continue
		}
		count, end := step("place "+a.Name, a.SizeBytes)
		err := placeArtifact(ctx, filepath.Join(dir, a.Name), filepath.Join(folder, a.Name), a, count)
		end()
		if err != nil {
			return err
		}
	}
	_, err := pack.WriteFile(filepath.Join(folder, release.FileName), bytes.NewReader(text))
	return err
}

// placeArtifact checks the file that will be published, not only the one it comes from. One that is there and right
// stays; one that a publication left half done is replaced.
func placeArtifact(ctx context.Context, from, to string, a release.Artifact, count func(int64)) error {
	if sum, err := pack.Digest(ctx, to, func(int64) {}); err == nil && sum == a.SHA256 {
		count(a.SizeBytes)
		return nil
	}
	sum, err := pack.Digest(ctx, from, count)
	if err != nil {
		return err
	}
	if sum != a.SHA256 {
		return fault.New(fault.Corrupt, "%s has digest %s, %s says %s", from, sum, release.FileName, a.SHA256)
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := pack.Link(from, to); err != nil {
		return err
	}
	if err := os.Chmod(to, 0o644); err != nil { // whoever serves the repository is somebody else
		return err
	}
	return pack.SyncFolder(filepath.Dir(to))
}

// addTarget puts the release into the targets, and reports whether that changed them.
func addTarget(s *state, p *Published, text []byte, downgradeFrom []string) (bool, error) {
	var custom trust.Custom
	have, err := s.view.Target(p.Path)
	if err == nil {
		custom = have.Custom
	}
	for _, v := range downgradeFrom {
		if !release.ValidVersion(v) || release.Compare(v, p.Release.Version) <= 0 {
			return false, fault.New(fault.Invalid, "going from %q to %s is no downgrade", v, p.Release.Version)
		}
		if !slices.Contains(custom.DowngradeFrom, v) {
			custom.DowngradeFrom = append(custom.DowngradeFrom, v)
		}
	}
	if err == nil && len(custom.DowngradeFrom) == len(have.Custom.DowngradeFrom) {
		return false, nil
	}
	file, err := metadata.TargetFile().FromBytes(p.Path, text, "sha256")
	if err != nil {
		return false, err
	}
	if len(custom.DowngradeFrom) > 0 {
		raw, err := json.Marshal(custom)
		if err != nil {
			return false, err
		}
		file.Custom = (*json.RawMessage)(&raw)
	}
	s.targets.Signed.Targets[p.Path] = file
	return true, nil
}
