package publish

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// folder is where the repository has the files beside a target.
func (r *Repository) folder(target string) string {
	return filepath.Join(r.Dir, filepath.Dir(filepath.FromSlash(target)))
}

// Recent lists the versions of the n newest releases that the repository signs below a version, the newest first: what most machines
// that a new release comes to are running.
func Recent(view *trust.View, app, arch, below string, n int) []string {
	var versions []string
	for _, v := range versionsOf(view, app, arch) {
		if release.Compare(v, below) < 0 && len(versions) < n {
			versions = append(versions, v)
		}
	}
	return versions
}

// versionsOf lists the releases of an application for an architecture, the newest first.
func versionsOf(view *trust.View, app, arch string) []string {
	var versions []string
	for _, target := range releasePaths(view) {
		version := path.Base(path.Dir(target))
		if release.TargetPath(app, arch, version) == target {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return cmp.Or(release.Compare(b, a), strings.Compare(a, b)) })
	return versions
}

// releasePaths lists the targets that describe a release.
func releasePaths(view *trust.View) []string { return pathsOf(view, release.FileName) }

func pathsOf(view *trust.View, name string) []string {
	return slices.DeleteFunc(view.Paths(), func(target string) bool { return path.Base(target) != name })
}

// Deltas lists the deltas that the repository signs for a release, which may be none.
func (r *Repository) Deltas(view *trust.View, rel *release.Release) ([]release.Delta, error) {
	target := release.DeltasPath(rel.App, rel.Arch, rel.Version)
	if _, err := view.Target(target); fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	list, _, err := r.readDeltas(view, target)
	if err != nil {
		return nil, err
	}
	return list.Deltas, nil
}

// readDeltas reads and verifies the list at a target path, as a machine does.
func (r *Repository) readDeltas(view *trust.View, target string) (*release.Deltas, []byte, error) {
	signed, err := view.Target(target)
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(target)))
	if err != nil {
		return nil, nil, err
	}
	if err := signed.Check(text); err != nil {
		return nil, nil, err
	}
	list, err := release.ParseDeltas(text)
	if err != nil {
		return nil, nil, err
	}
	if got := release.DeltasPath(list.App, list.Arch, list.Version); got != target {
		return nil, nil, fault.New(fault.Untrusted, "%s describes %s", target, got)
	}
	return list, text, nil
}

// AddDeltas makes deltas from other releases of the repository to one that it has, and signs the new list.
func (r *Repository) AddDeltas(ctx context.Context, app, arch, version string, order Order, step pack.Step) (*Published, error) {
	view, err := r.Check(time.Time{}) // what has expired is signed again
	if err != nil {
		return nil, err
	}
	target := release.TargetPath(app, arch, version)
	if _, err := view.Target(target); err != nil {
		return nil, fault.New(fault.NotFound, "the repository has no release %s of %s for %s: %w", version, app, arch, err).
			WithHint("It has %s.", cmp.Or(strings.Join(versionsOf(view, app, arch), ", "), "none"))
	}
	return r.Publish(ctx, r.folder(target), order, step)
}

// deltas brings the deltas of the release folder dir into the repository, makes the ordered ones that are still lacking, and
// returns the text of the whole list; nil when there is none.
func (r *Repository) deltas(ctx context.Context, s *state, p *Published, dir string, order Order, step pack.Step) ([]byte, error) {
	folder := r.folder(p.Path)
	if err := placeDeltas(ctx, p, dir, folder, step); err != nil {
		return nil, err
	}
	var olds []string
	for _, from := range order.DeltaFrom {
		target := release.TargetPath(p.Release.App, p.Release.Arch, from)
		if _, err := s.view.Target(target); err != nil {
			return nil, fault.New(fault.NotFound, "a delta is to be from %s, which the repository does not have: %w", from, err)
		}
		olds = append(olds, r.folder(target))
	}
	list, err := pack.AddDeltas(ctx, folder, olds, order.Delta, step)
	if err != nil || len(list.Deltas) == 0 {
		return nil, err
	}
	for i := range list.Deltas {
		if err := checkDelta(ctx, p.Release, &list.Deltas[i], folder); err != nil {
			return nil, err
		}
	}
	return list.Encode()
}

// placeDeltas takes over the deltas that the release folder has and the repository has not.
func placeDeltas(ctx context.Context, p *Published, dir, folder string, step pack.Step) error {
	given, err := pack.ReadDeltas(dir, p.Release)
	if err != nil {
		return err
	}
	list, err := pack.ReadDeltas(folder, p.Release)
	if err != nil {
		return err
	}
	had := len(list.Deltas)
	for _, d := range given.Deltas {
		if _, err := list.From(d.From); err == nil {
			continue
		}
		if err := checkDelta(ctx, p.Release, &d, dir); err != nil {
			return err
		}
		count, end := step("place "+d.Name, d.SizeBytes)
		err := placeArtifact(ctx, filepath.Join(dir, d.Name), filepath.Join(folder, d.Name), deltaFile(&d), count)
		end()
		if err != nil {
			return err
		}
		list.Deltas = append(list.Deltas, d)
	}
	if len(list.Deltas) == had {
		return nil
	}
	list.Sort()
	text, err := list.Encode()
	if err != nil {
		return err
	}
	_, err = pack.WriteFile(filepath.Join(folder, release.DeltasName), bytes.NewReader(text))
	return err
}

// deltaFile is a delta as a file that is placed and uploaded like the others.
func deltaFile(d *release.Delta) release.Artifact {
	return release.Artifact{Name: d.Name, Kind: release.KindPayload, SizeBytes: d.SizeBytes, SHA256: d.SHA256}
}

// checkDelta looks at a file that is about to be signed as a machine will.
func checkDelta(ctx context.Context, rel *release.Release, d *release.Delta, folder string) error {
	file := filepath.Join(folder, d.Name)
	sum, err := pack.Digest(ctx, file, func(int64) {})
	if err != nil {
		return err
	}
	if sum != d.SHA256 {
		return fault.New(fault.Corrupt, "%s has digest %s, %s says %s", file, sum, release.DeltasName, d.SHA256)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, min(d.ManifestSizeBytes, payload.MaxManifestSizeBytes))
	if _, err := io.ReadFull(f, head); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	m, err := payload.ParseSignedDelta(rel, d, head)
	if err != nil {
		return err
	}
	if !slices.Equal(m.Features, d.Features) {
		return fault.New(fault.Invalid, "%s needs %q, %s says %q", file, m.Features, release.DeltasName, d.Features)
	}
	return nil
}

// addDeltas puts the list into the targets, and reports whether that changed them.
func addDeltas(s *state, p *Published, text []byte) (bool, error) {
	if text == nil {
		return false, nil
	}
	target := release.DeltasPath(p.Release.App, p.Release.Arch, p.Release.Version)
	if have, err := s.view.Target(target); err == nil && have.Check(text) == nil {
		return false, nil
	}
	file, err := metadata.TargetFile().FromBytes(target, text, "sha256")
	if err != nil {
		return false, err
	}
	s.targets.Signed.Targets[target] = file
	return true, nil
}

// uploadDeltas sends the deltas to one release, and their list last: where it is, they are.
func (r *Repository) uploadDeltas(ctx context.Context, c *Client, view *trust.View, target string, step pack.Step) error {
	list, text, err := r.readDeltas(view, target)
	if err != nil {
		return err
	}
	have, err := c.Small(ctx, target, trust.MaxReleaseSizeBytes)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && bytes.Equal(have, text) {
		return nil
	}
	for i := range list.Deltas {
		a := deltaFile(&list.Deltas[i])
		if err := r.uploadFile(ctx, c, target, a, step); err != nil {
			return err
		}
	}
	return c.Put(ctx, target, bytes.NewReader(text), int64(len(text)), digest(text))
}
