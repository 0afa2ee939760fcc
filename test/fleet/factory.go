package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Recipe is how one release of the demo and the tests is built.
type Recipe struct {
	Version string
	Suites  string // Debian suites: "released" or "updated"
	Overlay string // folder below test/fleet/overlay that is laid over the root, or ""
	What    string // in words
}

// The releases: two good ones, and two that a machine must leave by itself.
var (
	AsReleased = Recipe{"1.0.0", "released", "", "Debian stable as released"}
	WithFixes  = Recipe{"1.1.0", "updated", "", "the same with security fixes and updates"}
	NeverWell  = Recipe{"1.2.0", "updated", "never-well", "1.1.0 with a broken container runtime"}
	NeverBoots = Recipe{"1.3.0", "updated", "never-boots", "1.1.0 without an init"}
)

// Factory makes releases and keys, and keeps them in a cache for the next run.
type Factory struct {
	Source   string // root of the source tree
	Binaries string // folder of the programs
	Cache    string
	Talk     io.Writer // progress of the commands
}

// Keys is the folder of signing keys. They are made once: an image holds its root of trust, so new keys
// mean new images.
func (f *Factory) Keys() string { return filepath.Join(f.Cache, "demo", "keys") }

func (f *Factory) rootOfTrust() string {
	return filepath.Join(f.Keys(), "first", "metadata", "1.root.json")
}

// MakeKeys makes the keys when there are none.
func (f *Factory) MakeKeys(ctx context.Context) error {
	if _, err := os.Stat(f.rootOfTrust()); err == nil {
		return nil
	}
	if err := os.RemoveAll(f.Keys()); err != nil {
		return err
	}
	if _, err := f.Conifer(ctx, "key", "new", "--out", f.Keys()); err != nil {
		return err
	}
	_, err := f.Conifer(ctx, "repository", "init", "--keys", f.Keys(), "--repository", filepath.Join(f.Keys(), "first"))
	return err
}

// Release returns a release's folder, built unless the same inputs were built before.
func (f *Factory) Release(ctx context.Context, r Recipe) (folder string, cached bool, err error) {
	digest, err := f.inputs(r)
	if err != nil {
		return "", false, err
	}
	folder = filepath.Join(f.Cache, "demo", "releases", r.Version+"-"+digest)
	if _, err := os.Stat(filepath.Join(folder, "release.json")); err == nil {
		return folder, true, nil
	}
	return folder, false, f.build(ctx, r, folder)
}

func (f *Factory) build(ctx context.Context, r Recipe, folder string) error {
	image, fresh := folder+".image", folder+".new"
	for _, old := range []string{image, fresh} {
		if err := os.RemoveAll(old); err != nil {
			return err
		}
	}
	args := []string{"image", "build", "--version", r.Version, "--suites", r.Suites, "--out", image,
		"--root-json", f.rootOfTrust(), "--agent", filepath.Join(f.Binaries, "conifer-agent"), "--initrd", filepath.Join(f.Binaries, "conifer-initrd")}
	if r.Overlay != "" {
		args = append(args, "--overlay", f.overlay(r))
	}
	if _, err := f.Conifer(ctx, args...); err != nil {
		return err
	}
	if _, err := f.Conifer(ctx, "release", "create", "--image", image, "--out", fresh, "--level", "fast"); err != nil {
		return err
	}
	if err := os.RemoveAll(image); err != nil {
		return err
	}
	return os.Rename(fresh, folder)
}

func (f *Factory) overlay(r Recipe) string {
	return filepath.Join(f.Source, "test", "fleet", "overlay", r.Overlay)
}

// inputs names what a release is made from: the programs that make it or are in it, the keys it trusts,
// the overlay, and the day, because a mirror changes.
func (f *Factory) inputs(r Recipe) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, r.Version, r.Suites, time.Now().UTC().Format("2006-01-02"))
	files := []string{f.rootOfTrust()}
	for _, program := range []string{"conifer", "conifer-agent", "conifer-initrd"} {
		files = append(files, filepath.Join(f.Binaries, program))
	}
	if r.Overlay != "" {
		err := filepath.WalkDir(f.overlay(r), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	for _, file := range files {
		if err := addFile(h, file); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

func addFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintln(h, filepath.Base(path))
	_, err = io.Copy(h, f)
	return err
}

// Tools is the root of the pinned tools tree, made when it is not there.
func (f *Factory) Tools(ctx context.Context) (string, error) {
	out, err := f.Conifer(ctx, "image", "tools")
	return strings.TrimSpace(out), err
}

// Conifer runs a conifer command that needs no service, and returns its stdout.
func (f *Factory) Conifer(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(f.Binaries, "conifer"), args...)
	cmd.Stderr = f.Talk
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("conifer %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
