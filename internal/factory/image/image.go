// Package image builds the operating system: from Debian's packages and the definition in os/ to a UKI, a root
// partition with its verity tree, and a disk for a first boot.
//
// Start with [Build]. It installs the packages with mkosi once for each set of suites and keeps that tree, so
// that images which differ only in their overlay take seconds. The tools are those of a pinned tree ([Tools])
// whatever the host is; the host needs root, mmdebstrap and a Debian mirror in its apt configuration ([Mirrors]). Equal
// inputs give equal bytes. The package signs nothing and makes no release.json: [Image] is what that is made from.
// Partitions follow the Discoverable Partitions Specification, the UKI the Boot Loader Specification.
package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// FileName is the description of an image inside its folder.
const FileName = "image.json"

// Image describes a built image. The fields are those of release.json.
type Image struct {
	App       string             `json:"app"`
	Version   string             `json:"version"`
	Arch      string             `json:"arch"`
	Created   time.Time          `json:"created"` // of the package index it was built from, so that it is reproducible
	Root      release.Root       `json:"root"`
	Artifacts []release.Artifact `json:"artifacts"`
	Packages  []release.Package  `json:"packages"` // sorted by name
}

// App is the application id of the operating system itself.
const App = "conifer-os"

// names are the files of an image's folder.
type names struct{ uki, root, verity, disk string }

func namesOf(version, arch string) names {
	base := "conifer_" + version
	return names{
		uki:    base + ".efi",
		root:   base + ".root-" + arch + ".raw",
		verity: base + ".root-" + arch + "-verity.raw",
		disk:   base + ".disk.raw",
	}
}

// Read reads the description in an image's folder.
func Read(folder string) (*Image, error) {
	text, err := os.ReadFile(filepath.Join(folder, FileName))
	if err != nil {
		return nil, err
	}
	var i Image
	if err := json.Unmarshal(text, &i); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", FileName, err)
	}
	if i.App != App || !release.ValidVersion(i.Version) {
		return nil, fault.New(fault.Invalid, "%s describes %q %q, which is no image of %s", FileName, i.App, i.Version, App)
	}
	return &i, nil
}

func (i *Image) write(folder string) error {
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, FileName), append(text, '\n'), 0o644)
}
