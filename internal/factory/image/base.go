package image

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	osdef "conifer.dev/conifer/os"
)

// index is what a suite offers now: its signed InRelease file.
type index struct {
	uri, suite string
	text       []byte
	date       time.Time
}

// usualInstall is how long the packages take to download and unpack on two cores.
const usualInstall = 90 * time.Second

// base is a tree of installed packages, before anything of ours is in it.
type base struct {
	folder  string // of the cache
	created time.Time
}

func (b *base) root() string { return filepath.Join(b.folder, "root") }

// database is dpkg's, which goes from the image but tells what is in it.
func (b *base) database() string { return filepath.Join(b.root(), "var/lib/dpkg") }

// fetchIndexes asks the mirrors what the suites are now. apt checks the signatures when it reads them again.
func fetchIndexes(ctx context.Context, suites Suites, m Mirrors) ([]index, error) {
	main, security := suites.list()
	var list []index
	for _, suite := range main {
		list = append(list, index{uri: m.Main, suite: suite})
	}
	for _, suite := range security {
		list = append(list, index{uri: m.Security, suite: suite})
	}
	for i := range list {
		if err := list[i].fetch(ctx); err != nil {
			return nil, fmt.Errorf("ask the mirror for suite %s: %w", list[i].suite, err)
		}
	}
	return list, nil
}

func (x *index) fetch(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.uri+"/dists/"+x.suite+"/InRelease", nil)
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "%s answers %s", req.URL, resp.Status)
	}
	const maxIndexBytes = 4 << 20
	if x.text, err = io.ReadAll(io.LimitReader(resp.Body, maxIndexBytes)); err != nil {
		return fault.Wrap(fault.Unavailable, err)
	}
	x.date, err = indexDate(x.text)
	return err
}

// indexDate reads the field Date of an InRelease file.
func indexDate(text []byte) (time.Time, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "Date: "); ok {
			date, err := time.Parse(time.RFC1123, strings.TrimSpace(value))
			return date.UTC(), fault.Wrap(fault.Invalid, err)
		}
	}
	return time.Time{}, fault.New(fault.Invalid, "the file InRelease has no date")
}

// newest is the date of the newest index: the moment whose Debian this is.
func newest(list []index) time.Time {
	var date time.Time
	for _, x := range list {
		if x.date.After(date) {
			date = x.date
		}
	}
	return date
}

// aptSources is the apt configuration for mkosi, which has an own one that names hosts a mirror does not stand in for.
func aptSources(list []index) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n", x.uri, x.suite)
	}
	return b.String()
}

// packageDefinition is the part of the definition that decides about the package tree.
var packageDefinition = []string{"mkosi.conf", "mkosi.conf.d/amd64.conf", "mkosi.conf.d/arm64.conf", "mkosi.finalize"}

// digest names the package tree: its definition, the tools, and what the suites are.
func digest(tools, arch string, list []index) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, filepath.Base(tools), arch)
	for _, name := range packageDefinition {
		text, err := fs.ReadFile(osdef.Files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(text))
	}
	for _, x := range list {
		fmt.Fprintf(h, "%s %x\n", x.suite, sha256.Sum256(x.text))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), nil
}

// makeBase returns the package tree for the suites, from the cache when it is there.
func (b *builder) makeBase(ctx context.Context, list []index) (*base, error) {
	name, err := digest(b.tools.tree, b.spec.Arch, list)
	if err != nil {
		return nil, err
	}
	made := &base{folder: filepath.Join(b.spec.Cache, "base-"+name), created: newest(list)}
	if b.spec.NoCache {
		made.folder = filepath.Join(b.scratch, "base")
	}
	if _, err := os.Stat(made.folder); err == nil {
		fmt.Fprintf(b.progress, "packages of %s: in the cache\n", b.spec.Suites)
		return made, nil
	}
	step := cli.NewWait(b.progress, "install packages of "+string(b.spec.Suites), usualInstall)
	defer step.End()
	return made, b.install(ctx, made, list)
}

// install runs mkosi aside, and renames.
func (b *builder) install(ctx context.Context, made *base, list []index) error {
	work, err := os.MkdirTemp(b.spec.Cache, "base-new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := writeDefinition(work, list); err != nil {
		return err
	}
	downloads := filepath.Join(b.spec.Cache, "packages")
	if err := os.MkdirAll(downloads, 0o755); err != nil {
		return err
	}
	tools := toolbox{tree: b.tools.tree, epoch: made.created.Unix(), binds: [][2]string{{work, "/build"}, {downloads, "/packages"}}}
	if _, err := tools.run(ctx, "mkosi", "--directory=/build", "--workspace-directory=/build", "--build-sources=", "--output-directory=/build/out",
		"--package-cache-directory=/packages", "--architecture="+b.machine.systemd, fmt.Sprintf("--source-date-epoch=%d", tools.epoch), "build"); err != nil {
		return err
	}
	out := filepath.Join(work, "out")
	if err := os.Rename(filepath.Join(out, "base"), filepath.Join(out, "root")); err != nil {
		return err
	}
	return os.Rename(out, made.folder)
}

func writeDefinition(work string, list []index) error {
	for _, name := range packageDefinition {
		text, err := fs.ReadFile(osdef.Files, name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(work, name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(work, name), text, 0o755); err != nil {
			return err
		}
	}
	sources := filepath.Join(work, "mkosi.sandbox/etc/apt/sources.list.d")
	if err := os.MkdirAll(sources, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(sources, "mkosi.sources"), []byte(aptSources(list)), 0o644)
}
