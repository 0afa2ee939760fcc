package pack

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// Subject is what a payload is made of or for: the release in a folder, or a single file.
type Subject struct {
	App, Arch, Version string // "" for a single file
	Sources            []Source

	release *release.Release // of a release folder
}

// OpenSubject finds the sources in an image folder or a release folder; or path itself, as the source of the target root.
func OpenSubject(path string) (*Subject, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(fault.NotFound, "find what to pack: %w", err)
	}
	if !info.IsDir() {
		return &Subject{Sources: []Source{{payload.TargetRoot, path}}}, nil
	}
	s, err := openReleaseSubject(path)
	if fault.Is(err, fault.NotFound) {
		return openImageSubject(path)
	}
	return s, err
}

// ReadRelease reads the release.json of a release folder, and returns its text too.
func ReadRelease(dir string) (*release.Release, []byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, release.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.New(fault.NotFound, "%s is no release folder: it has no %s", dir, release.FileName).
			WithHint("Make one with `conifer release create`.")
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := release.Parse(text)
	return r, text, err
}

func openReleaseSubject(dir string) (*Subject, error) {
	r, _, err := ReadRelease(dir)
	if err != nil {
		return nil, err
	}
	s := &Subject{App: r.App, Arch: r.Arch, Version: r.Version, release: r}
	for _, kind := range []string{release.KindRoot, release.KindUKI} {
		a, err := r.Artifact(kind)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w", dir, err)
		}
		s.Sources = append(s.Sources, Source{kind, filepath.Join(dir, a.Name)})
	}
	return s, nil
}

func openImageSubject(dir string) (*Subject, error) {
	i, err := OpenImage(dir)
	if err != nil {
		return nil, err
	}
	return &Subject{App: cmp.Or(i.App, App), Arch: i.Arch, Version: i.Version, Sources: []Source{
		{payload.TargetRoot, i.file(release.KindRoot)},
		{payload.TargetUKI, i.file(release.KindUKI)},
	}}, nil
}

// check compares the sources with the digests that the release states: a delta between other bytes would be refused by
// every machine.
func (s *Subject) check(ctx context.Context, count func(int64)) error {
	for _, source := range s.Sources {
		a, err := s.release.Artifact(source.Target)
		if err != nil {
			return err
		}
		sum, err := Digest(ctx, source.Path, count)
		if err != nil {
			return err
		}
		if sum != a.SHA256 {
			return fault.New(fault.Corrupt, "%s has digest %s, %s says %s", source.Path, sum, release.FileName, a.SHA256)
		}
	}
	return nil
}

// SizeBytes is how much the sources are together; a file that cannot be seen counts nothing.
func (s *Subject) SizeBytes() int64 {
	sum := int64(0)
	for _, source := range s.Sources {
		if info, err := os.Stat(source.Path); err == nil {
			sum += info.Size()
		}
	}
	return sum
}
