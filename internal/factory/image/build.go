package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	osdef "conifer.dev/conifer/os"
)

// builder is one run of Build.
type builder struct {
	spec     Spec
	progress io.Writer
	names    names
	machine  machine
	scratch  string  // folder in the cache, so that files can be shared with package trees
	out      string  // folder beside spec.Out, renamed to it at the end
	tools    toolbox // sees scratch as /build and out as /out
	base     *base
	tree     *tree
	kernel   string // its version, a folder in /usr/lib/modules
	image    Image
}

// Build makes the image folder spec.Out. Talk goes to progress.
func Build(ctx context.Context, spec Spec, progress io.Writer) (Image, error) {
	if err := spec.check(); err != nil {
		return Image{}, err
	}
	b := &builder{spec: spec, progress: progress, names: namesOf(spec.Version, spec.Arch)}
	b.image = Image{App: App, Version: spec.Version, Arch: spec.Arch}
	var err error
	if b.machine, err = machineOf(spec.Arch); err != nil {
		return Image{}, err
	}
	if err := b.makeFolders(); err != nil {
		return Image{}, err
	}
	defer os.RemoveAll(b.scratch)
	defer os.RemoveAll(b.out)
	steps := []func(context.Context) error{
		b.packages, b.assemble, b.makeRoot, b.makeVerity, b.makeInitrd, b.makeUKI, b.makeDisk, b.describe,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return Image{}, fmt.Errorf("build image %s: %w", spec.Version, err)
		}
	}
	return b.image, os.Rename(b.out, spec.Out)
}

func (b *builder) makeFolders() (err error) {
	out, err := filepath.Abs(b.spec.Out)
	if err != nil {
		return err
	}
	for _, folder := range []string{b.spec.Cache, filepath.Dir(out)} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if b.scratch, err = os.MkdirTemp(b.spec.Cache, "build-"); err != nil {
		return err
	}
	if b.out, err = os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+"-"); err != nil {
		return err
	}
	return os.Chmod(b.out, 0o755)
}

// HostOr gives the mirrors at url, or without one those of the host.
func HostOr(url string) (Mirrors, error) {
	if url != "" {
		return MirrorAt(url), nil
	}
	return HostMirrors(os.DirFS("/etc/apt"))
}

// packages makes or finds the tools and the tree of packages.
func (b *builder) packages(ctx context.Context) error {
	mirrors, err := HostOr(b.spec.Mirror)
	if err != nil {
		return err
	}
	tools, err := Tools(ctx, b.spec.Cache, b.spec.Arch, mirrors, b.progress)
	if err != nil {
		return err
	}
	indexes, err := fetchIndexes(ctx, b.spec.Suites, mirrors)
	if err != nil {
		return err
	}
	b.image.Created = newest(indexes)
	b.tools = toolbox{tree: tools, epoch: b.image.Created.Unix(), binds: [][2]string{{b.scratch, "/build"}, {b.out, "/out"}}}
	b.base, err = b.makeBase(ctx, indexes)
	return err
}

// assemble puts the root together: packages, the definition's files, what this image names, its overlays.
func (b *builder) assemble(context.Context) (err error) {
	step := cli.NewProgress(b.progress, "assemble the root", 0)
	defer step.End()
	if b.tree, err = newTree(filepath.Join(b.scratch, "root"), b.base.root()); err != nil {
		return err
	}
	definition, err := fs.Sub(osdef.Files, "root")
	if err != nil {
		return err
	}
	if err := b.tree.lay(definition); err != nil {
		return fmt.Errorf("lay the definition: %w", err)
	}
	if err := b.addOwn(); err != nil {
		return err
	}
	for _, overlay := range b.spec.Overlays {
		if err := b.tree.lay(os.DirFS(overlay)); err != nil {
			return fmt.Errorf("lay overlay %s: %w", overlay, err)
		}
	}
	if err := checkLibraries(b.tree.folder); err != nil {
		return err
	}
	return b.listPackages()
}

// addOwn adds what is named for each image.
func (b *builder) addOwn() error {
	if err := b.tree.write("usr/lib/os-release", []byte(osRelease(b.spec.Version, b.machine.systemd)), 0o644); err != nil {
		return err
	}
	for _, add := range []struct {
		from, to string
		mode     fs.FileMode
	}{
		{b.spec.Agent, "usr/bin/conifer-agent", 0o755},
		{b.spec.RootJSON, "usr/share/conifer/root.json", 0o644},
	} {
		if add.from == "" {
			continue
		}
		text, err := os.ReadFile(add.from)
		if err != nil {
			return err
		}
		if err := b.tree.write(add.to, text, add.mode); err != nil {
			return err
		}
	}
	return nil
}

func osRelease(version, arch string) string {
	return fmt.Sprintf(`ID=conifer
ID_LIKE=debian
NAME=Conifer
PRETTY_NAME="Conifer %[1]s"
VERSION_ID=%[1]s
IMAGE_ID=conifer
IMAGE_VERSION=%[1]s
ARCHITECTURE=%[3]s
CONIFER_APP=%[2]s
DEFAULT_HOSTNAME=conifer
HOME_URL=https://conifer.dev/
`, version, App, arch)
}

func (b *builder) listPackages() error {
	status, err := os.ReadFile(filepath.Join(b.base.database(), "status"))
	if err != nil {
		return err
	}
	b.image.Packages, err = remaining(installed(string(status)), b.base.database(), b.tree.folder, b.spec.Arch)
	return err
}

// describe sums up the artifacts in image.json.
func (b *builder) describe(context.Context) error {
	for _, a := range []struct{ name, kind string }{
		{b.names.uki, release.KindUKI}, {b.names.root, release.KindRoot},
		{b.names.verity, release.KindVerity}, {b.names.disk, release.KindDisk},
	} {
		artifact, err := summarize(b.out, a.name, a.kind)
		if err != nil {
			return err
		}
		b.image.Artifacts = append(b.image.Artifacts, artifact)
	}
	return b.image.write(b.out)
}

func summarize(folder, name, kind string) (release.Artifact, error) {
	f, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return release.Artifact{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	return release.Artifact{Name: name, Kind: kind, SizeBytes: size, SHA256: fmt.Sprintf("%x", h.Sum(nil))}, err
}

// checkSlot refuses a file that the partition it is for cannot hold.
func checkSlot(what string, sizeBytes, slotBytes int64) error {
	if sizeBytes > slotBytes {
		return fault.New(fault.Exhausted, "%s has %d bytes, its partition %d", what, sizeBytes, slotBytes).
			WithHint("Every machine in the field has partitions of this size: make the image smaller.")
	}
	return nil
}
