package main

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

// recipe is how one release of the story is built.
type recipe struct {
	version string
	suites  string
	overlay string // folder below test/demo that is laid over the root, or ""
	what    string
}

var recipes = []recipe{
	{asReleased, "released", "", "Debian stable as released"},
	{withFixes, "updated", "", "with security fixes and updates"},
	{neverWell, "updated", "never-well", "with a broken container runtime"},
	{neverBoots, "updated", "never-boots", "without an init"},
}

// buildReleases makes keys and the four releases, or finds them in the cache, and says what the update fixes.
func (d *demo) buildReleases(ctx context.Context) error {
	if err := d.makeKeys(ctx); err != nil {
		return err
	}
	d.releases = map[string]string{}
	for i, r := range recipes {
		began := time.Now()
		folder, cached, err := d.release(ctx, r)
		if err != nil {
			return fmt.Errorf("build %s: %w", r.version, err)
		}
		d.releases[r.version] = folder
		how := fmt.Sprintf("built in %s", time.Since(began).Round(time.Second))
		if cached {
			how = "from the cache"
		}
		d.timeline.say("factory", "%s, %s: %s (%d of %d)", r.version, r.what, how, i+1, len(recipes))
	}
	diff, err := d.command(ctx, "image", "diff", d.releases[asReleased], d.releases[withFixes])
	if err != nil {
		return err
	}
	for line := range strings.Lines(diff) {
		d.timeline.say("factory", "%s", strings.TrimRight(line, "\n"))
	}
	return nil
}

func (d *demo) keys() string { return filepath.Join(d.cache, "demo", "keys") }

// makeKeys makes the keys of the demo once: the images hold their root of trust, so new keys mean new images.
func (d *demo) makeKeys(ctx context.Context) error {
	if _, err := os.Stat(d.rootOfTrust()); err == nil {
		return nil
	}
	if err := os.RemoveAll(d.keys()); err != nil {
		return err
	}
	if _, err := d.command(ctx, "key", "new", "--out", d.keys()); err != nil {
		return err
	}
	_, err := d.command(ctx, "repository", "init", "--keys", d.keys(), "--repository", filepath.Join(d.keys(), "first"))
	return err
}

func (d *demo) rootOfTrust() string {
	return filepath.Join(d.keys(), "first", "metadata", "1.root.json")
}

// release returns a release's folder, built unless the same inputs were built before.
func (d *demo) release(ctx context.Context, r recipe) (folder string, cached bool, err error) {
	digest, err := d.inputs(r)
	if err != nil {
		return "", false, err
	}
	folder = filepath.Join(d.cache, "demo", "releases", r.version+"-"+digest)
	if _, err := os.Stat(filepath.Join(folder, "release.json")); err == nil {
		return folder, true, nil
	}
	d.timeline.say("factory", "building %s, %s …", r.version, r.what)
	image, fresh := folder+".image", folder+".new"
	for _, old := range []string{image, fresh} {
		if err := os.RemoveAll(old); err != nil {
			return "", false, err
		}
	}
	args := []string{"image", "build", "--version", r.version, "--suites", r.suites, "--out", image,
		"--root-json", d.rootOfTrust(), "--agent", filepath.Join(d.binaries, "conifer-agent"), "--initrd", filepath.Join(d.binaries, "conifer-initrd")}
	if r.overlay != "" {
		args = append(args, "--overlay", filepath.Join("test", "demo", "overlay", r.overlay))
	}
	if _, err := d.command(ctx, args...); err != nil {
		return "", false, err
	}
	if _, err := d.command(ctx, "release", "create", "--image", image, "--out", fresh, "--level", "fast"); err != nil {
		return "", false, err
	}
	if err := os.RemoveAll(image); err != nil {
		return "", false, err
	}
	return folder, false, os.Rename(fresh, folder)
}

// inputs names what a release is made from: the programs that make it or are in it, the keys it trusts,
// the overlay, and the day, because a mirror changes.
func (d *demo) inputs(r recipe) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, r.version, r.suites, time.Now().UTC().Format("2006-01-02"))
	files := []string{d.rootOfTrust()}
	for _, program := range []string{"conifer", "conifer-agent", "conifer-initrd"} {
		files = append(files, filepath.Join(d.binaries, program))
	}
	if r.overlay != "" {
		err := filepath.WalkDir(filepath.Join("test", "demo", "overlay", r.overlay), func(path string, entry os.DirEntry, err error) error {
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
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, file)
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// command runs a conifer command that needs no service; its talk goes through to the terminal.
func (d *demo) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(d.binaries, "conifer"), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("conifer %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
