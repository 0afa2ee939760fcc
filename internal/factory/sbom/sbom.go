// Package sbom says what software an image is made of, what changed between two images, and which
// vulnerabilities the changes fix by their own account.
//
// Start with [Compare], which is pure, and [ReadSubject] for the lists it compares; [OpenDebs] finds the
// changelogs in Debian's packages, and [Document] writes a bill of materials (CycloneDX 1.6, JSON). The package
// asks no vulnerability database: a CVE id counts when the changelog of a newer version names it, no more and no
// less. Versions follow deb-version(7), changelogs deb-changelog(5), packages deb(5).
package sbom

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// imageFile is the description that the build of an image leaves in its folder.
const imageFile = "image.json"

// Subject is an image or a release, as far as its software goes.
type Subject struct {
	App      string            `json:"app"`
	Version  string            `json:"version"`
	Arch     string            `json:"arch"`
	Created  time.Time         `json:"created"`
	Root     release.Root      `json:"root"`
	Packages []release.Package `json:"packages"`
}

// ReadSubject reads the folder of an image (image.json) or of a release (release.json).
func ReadSubject(folder string) (Subject, error) {
	text, err := os.ReadFile(filepath.Join(folder, imageFile))
	if errors.Is(err, fs.ErrNotExist) {
		return readRelease(folder)
	}
	if err != nil {
		return Subject{}, err
	}
	var s Subject
	if err := json.Unmarshal(text, &s); err != nil {
		return Subject{}, fault.New(fault.Invalid, "parse %s: %w", imageFile, err)
	}
	if s.App == "" || s.Version == "" || len(s.Packages) == 0 {
		return Subject{}, fault.New(fault.Invalid, "%s in %s names no app, version or packages", imageFile, folder)
	}
	return s, nil
}

func readRelease(folder string) (Subject, error) {
	text, err := os.ReadFile(filepath.Join(folder, release.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return Subject{}, fault.New(fault.NotFound, "%s holds neither %s nor %s", folder, imageFile, release.FileName)
	}
	if err != nil {
		return Subject{}, err
	}
	r, err := release.Parse(text)
	if err != nil {
		return Subject{}, err
	}
	return Subject{r.App, r.Version, r.Arch, r.Created, r.Root, r.Packages}, nil
}
