package pack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// The names of the files that a release folder has besides the image's, and the application of our own OS.
const (
	PayloadFileName = "full.payload"
	SumsFileName    = "SHA256SUMS"
	App             = "conifer-os"
)

// Step starts the showing of one step of totalBytes; it returns how to count them and how to end.
type Step func(name string, totalBytes int64) (count func(bytes int64), end func())

// CreateRelease makes the folder out from the image folder dir, with deltas from the release folders olds. The folder appears
// only when it is whole, and a folder that exists is left alone. Application, architecture and version are the image's, and so is the time of creation
// when created is zero, so that equal images give equal releases.
func CreateRelease(ctx context.Context, dir, out string, olds []string, created time.Time, o DeltaOptions, step Step) (_ *release.Release, err error) {
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Conflict, "%s exists already", out).WithHint("Remove it, or choose another folder.")
	}
	image, err := OpenImage(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return nil, err
	}
	aside, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+"-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(aside)
	r := image.release(created)
	if err := fill(ctx, aside, image, r, o.Options, step); err != nil {
		return nil, fmt.Errorf("create release %s: %w", r.Version, err)
	}
	if _, err := AddDeltas(ctx, aside, olds, o, step); err != nil {
		return nil, fmt.Errorf("create release %s: %w", r.Version, err)
	}
	if err := os.Chmod(aside, 0o755); err != nil {
		return nil, err
	}
	return r, os.Rename(aside, out)
}

// release is what an image says of the release that is made from it. An image that does not know when it was
// made gives the present time.
func (i *Image) release(created time.Time) *release.Release {
	if created.IsZero() {
		created = i.Created
	}
	if created.IsZero() {
		created = time.Now()
	}
	return &release.Release{
		Format: release.Format, App: cmp.Or(i.App, App), Version: i.Version, Arch: i.Arch,
		Created: created.UTC().Truncate(time.Second), Root: i.Root, Packages: sorted(i.Packages),
	}
}

// sorted orders packages by name, as release.json has them.
func sorted(packages []release.Package) []release.Package {
	return slices.SortedFunc(slices.Values(packages), func(a, b release.Package) int { return strings.Compare(a.Name, b.Name) })
}

// fill writes every file of the release into dir.
func fill(ctx context.Context, dir string, image *Image, r *release.Release, o Options, step Step) error {
	if err := addArtifacts(ctx, dir, image, r, step); err != nil {
		return err
	}
	sources := []Source{
		{payload.TargetRoot, image.file(release.KindRoot)},
		{payload.TargetUKI, image.file(release.KindUKI)},
	}
	file := filepath.Join(dir, PayloadFileName)
	plainBytes := sizeOf(r, release.KindRoot) + sizeOf(r, release.KindUKI)
	o.App, o.Arch, o.Version = r.App, r.Arch, r.Version
	count, end := step("make and prove "+PayloadFileName, 2*plainBytes)
	o.Count = count
	made, err := Make(ctx, sources, file, o)
	end()
	if err != nil {
		return err
	}
	r.Payload = *made
	r.Artifacts = append(r.Artifacts, release.Artifact{Name: made.Name, Kind: release.KindPayload, SizeBytes: made.SizeBytes, SHA256: made.SHA256})
	return describe(dir, r)
}

// addArtifacts links the image's files into dir and describes them. An image need not have a disk.
func addArtifacts(ctx context.Context, dir string, image *Image, r *release.Release, step Step) error {
	for _, kind := range []string{release.KindUKI, release.KindRoot, release.KindVerity, release.KindDisk} {
		info, err := os.Stat(image.file(kind))
		if errors.Is(err, fs.ErrNotExist) && kind == release.KindDisk {
			continue
		}
		if err != nil {
			return fault.New(fault.NotFound, "image %s: %w", image.Version, err)
		}
		name := image.artifactName(kind)
		count, end := step("digest "+name, info.Size())
		sum, err := linkAndDigest(ctx, image.file(kind), filepath.Join(dir, name), count)
		end()
		if err != nil {
			return err
		}
		r.Artifacts = append(r.Artifacts, release.Artifact{Name: name, Kind: kind, SizeBytes: info.Size(), SHA256: sum})
	}
	return nil
}

func sizeOf(r *release.Release, kind string) int64 {
	a, err := r.Artifact(kind)
	if err != nil {
		return 0
	}
	return a.SizeBytes
}

// describe writes release.json and SHA256SUMS, which sha256sum(1) can check.
func describe(dir string, r *release.Release) error {
	text, err := r.Encode()
	if err != nil {
		return err
	}
	if _, err := WriteFile(filepath.Join(dir, release.FileName), bytes.NewReader(text)); err != nil {
		return err
	}
	var sums strings.Builder
	for _, a := range r.Artifacts {
		fmt.Fprintf(&sums, "%s  %s\n", a.SHA256, a.Name)
	}
	fmt.Fprintf(&sums, "%s  %s\n", digest(text), release.FileName)
	_, err = WriteFile(filepath.Join(dir, SumsFileName), strings.NewReader(sums.String()))
	return err
}
