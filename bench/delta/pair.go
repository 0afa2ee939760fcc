package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/factory/image"
)

// pair is an update: two trees and images of the same machine, from what Debian's mirror holds today.
type pair struct {
	name, title string
	from, to    suites
	arch        string // of the machine, by Debian's name

	folder string // with old.img, new.img, old/, new/, old.packages, new.packages, and ready when all of them are there
	digest string // of both lists of packages
}

var pairs = []pair{
	{
		name: "security", title: "fixes of a stable release",
		from: suites{main: []string{"trixie", "trixie-updates"}, security: []string{"trixie-security"}, before: true},
		to:   suites{main: []string{"trixie", "trixie-updates"}, security: []string{"trixie-security"}},
	},
	{name: "testing", title: "some days of a distribution that moves", from: suites{main: []string{"forky"}}, to: suites{main: []string{"sid"}}},
}

// recipe changes when pairs must be made anew although the packages are the same.
const recipe = "1"

// side is one end of a pair.
type side struct {
	name string // old or new
	apt  *apt
	list []archive
}

func (p *pair) oldImage() string { return filepath.Join(p.folder, "old.img") }
func (p *pair) newImage() string { return filepath.Join(p.folder, "new.img") }
func (p *pair) oldTree() string  { return filepath.Join(p.folder, "old") }
func (p *pair) newTree() string  { return filepath.Join(p.folder, "new") }
func (p *pair) ready() string    { return filepath.Join(p.folder, "ready") }

// slug is the name of what is kept of a pair: each architecture has its own.
func (p *pair) slug() string {
	if p.arch == usualArch {
		return p.name
	}
	return p.name + "-" + p.arch
}

// open takes a pair that is there as it is.
func (p *pair) open(folder string) error {
	p.folder = filepath.Join(folder, "pairs", p.slug())
	text, err := os.ReadFile(p.ready())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pair %s was never made: leave out -keep", p.name)
	}
	p.digest = strings.TrimSpace(string(text))
	return err
}

// make resolves both sides, and makes the pair unless it is there already.
func (p *pair) make(ctx context.Context, folder string, m image.Mirrors) error {
	p.folder = filepath.Join(folder, "pairs", p.slug())
	sides, err := p.resolve(ctx, folder, m)
	if err != nil {
		return fmt.Errorf("resolve the packages of pair %s: %w", p.name, err)
	}
	var lists bytes.Buffer
	for _, s := range sides {
		lists.WriteString(s.packages())
	}
	p.digest = fmt.Sprintf("%x", sha256.Sum256([]byte(recipe+"\n"+lists.String())))[:12]
	if made, err := os.ReadFile(p.ready()); err == nil && strings.TrimSpace(string(made)) == p.digest {
		return nil
	}
	if err := os.RemoveAll(p.folder); err != nil {
		return err
	}
	for _, s := range sides {
		if err := p.makeSide(ctx, s); err != nil {
			return fmt.Errorf("make the %s side of pair %s: %w", s.name, p.name, err)
		}
	}
	return os.WriteFile(p.ready(), []byte(p.digest+"\n"), 0o644)
}

func (p *pair) resolve(ctx context.Context, folder string, m image.Mirrors) (sides []side, err error) {
	for _, s := range []side{{name: "old"}, {name: "new"}} {
		from := p.from
		if s.name == "new" {
			from = p.to
		}
		talk("pair %s: ask the mirror for %s", p.name, from)
		if s.apt, err = newApt(filepath.Join(folder, "apt", p.slug()+"-"+s.name), filepath.Join(folder, "packages"), p.arch, from, m); err != nil {
			return nil, err
		}
		if s.list, err = s.apt.resolve(ctx); err != nil {
			return nil, err
		}
		sides = append(sides, s)
	}
	return sides, nil
}

// packages is the list of packages as text, the same whichever mirror they come from and in whichever order.
func (s side) packages() string {
	var lines []string
	for _, a := range s.list {
		lines = append(lines, a.file+" "+a.size+" "+a.digest+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func (p *pair) makeSide(ctx context.Context, s side) error {
	talk("pair %s: download, unpack and write the %s image of %d packages", p.name, s.name, len(s.list))
	files, err := s.apt.download(ctx, s.list)
	if err != nil {
		return err
	}
	root := filepath.Join(p.folder, s.name)
	if err := unpack(ctx, root, files); err != nil {
		return err
	}
	if err := writeImage(ctx, root, root+".img"); err != nil {
		return err
	}
	return os.WriteFile(root+".packages", []byte(s.packages()), 0o644)
}
