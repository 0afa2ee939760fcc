// Package release is the description of a release that travels from the factory to the machines:
// release.json, the one file that TUF signs and from which every other byte of the release is trusted.
//
// Start with [Parse], which refuses unknown fields, missing facts and names that could leave the release's
// folder, and [Release.Encode]. [TargetPath] names the file inside a TUF repository. [Compare] orders
// versions. The package is pure. Its format is specified in docs/protocol/release.md.
package release

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"path"
	"regexp"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// Format is the version of release.json that this package reads and writes.
const Format = 1

// FileName is the name of the description inside a release's folder.
const FileName = "release.json"

// The kinds of artifact a release has.
const (
	KindUKI     = "uki"     // unified kernel image, one file for the ESP
	KindRoot    = "root"    // erofs, the data of a root partition
	KindVerity  = "verity"  // dm-verity hash tree with its superblock
	KindPayload = "payload" // what a machine downloads
	KindDisk    = "disk"    // a whole GPT disk for a first boot
)

// Release is one version of an application for one architecture.
type Release struct {
	Format    int        `json:"format"`
	App       string     `json:"app"`     // Omaha app id
	Version   string     `json:"version"` // see Compare
	Arch      string     `json:"arch"`    // Debian's name: amd64, arm64
	Created   time.Time  `json:"created"` // UTC, whole seconds
	Root      Root       `json:"root"`
	Payload   Payload    `json:"payload"` // the full payload
	Artifacts []Artifact `json:"artifacts"`
	Packages  []Package  `json:"packages"` // sorted by name
	Notes     string     `json:"notes,omitempty"`
}

// Root is what dm-verity needs to know of the root partition.
type Root struct {
	Hash      string `json:"hash"`       // hex, 32 bytes: the dm-verity root hash, also in the UKI's command line
	Salt      string `json:"salt"`       // hex, of the verity tree
	SizeBytes int64  `json:"size_bytes"` // of the data, a multiple of 4096
}

// Payload names the file that carries the release to a machine. ManifestSHA256 covers the payload's first
// ManifestSizeBytes bytes (header and manifest), so that a machine can trust the operations before it has
// the rest.
type Payload struct {
	Name              string `json:"name"`
	SizeBytes         int64  `json:"size_bytes"`
	SHA256            string `json:"sha256"`
	ManifestSizeBytes int64  `json:"manifest_size_bytes"`
	ManifestSHA256    string `json:"manifest_sha256"`
}

// Artifact is one file of the release's folder.
type Artifact struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

// Package is one Debian binary package in the image.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Source  string `json:"source"` // source package name
}

// TargetPath is the TUF target path of a release's description: app/arch/version/release.json.
func TargetPath(app, arch, version string) string {
	return path.Join(app, arch, version, FileName)
}

// Artifact returns the first artifact of the kind.
func (r *Release) Artifact(kind string) (Artifact, error) {
	for _, a := range r.Artifacts {
		if a.Kind == kind {
			return a, nil
		}
	}
	return Artifact{}, fault.New(fault.NotFound, "release %s has no %s artifact", r.Version, kind)
}

// Encode writes release.json: indented, fields in the order of the struct, one newline at the end. Equal
// releases give equal bytes.
func (r *Release) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

// Parse reads release.json. Every error is of kind Invalid, or Unsupported for another format version.
func Parse(text []byte) (*Release, error) {
	var probe struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &probe); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", FileName, err)
	}
	if probe.Format != Format {
		return nil, fault.New(fault.Unsupported, "%s has format %d, want %d", FileName, probe.Format, Format).
			WithHint("Update the program that reads it.")
	}
	var r Release
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", FileName, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fault.New(fault.Invalid, "parse %s: data after the end", FileName)
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

// plainName is what a file, application or architecture may be called: no folder, no leading dot.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_{][A-Za-z0-9._{}+~-]{0,127}$`)

// Validate checks every fact; its errors are of kind Invalid.
func (r *Release) Validate() error {
	checks := []struct {
		ok   bool
		what string
	}{
		{r.Format == Format, "format is not 1"},
		{plainName.MatchString(r.App), "app is not a plain name"},
		{ValidVersion(r.Version), "version is not of the form 1.2.3"},
		{plainName.MatchString(r.Arch), "arch is not a plain name"},
		{!r.Created.IsZero(), "created is missing"},
		{isHex(r.Root.Hash, 32), "root hash is not 32 bytes of hex"},
		{isHex(r.Root.Salt, -1), "root salt is not hex"},
		{r.Root.SizeBytes > 0 && r.Root.SizeBytes%4096 == 0, "root size is not a positive multiple of 4096"},
		{plainName.MatchString(r.Payload.Name), "payload name is not a plain name"},
		{isHex(r.Payload.SHA256, 32), "payload sha256 is not 32 bytes of hex"},
		{isHex(r.Payload.ManifestSHA256, 32), "manifest sha256 is not 32 bytes of hex"},
		{r.Payload.ManifestSizeBytes > 0 && r.Payload.ManifestSizeBytes <= r.Payload.SizeBytes, "manifest size is outside the payload"},
	}
	for _, check := range checks {
		if !check.ok {
			return fault.New(fault.Invalid, "%s of %q: %s", FileName, r.Version, check.what)
		}
	}
	for _, a := range r.Artifacts {
		if !plainName.MatchString(a.Name) || !isHex(a.SHA256, 32) || a.SizeBytes < 0 {
			return fault.New(fault.Invalid, "%s of %q: artifact %q has a wrong name, size or sha256", FileName, r.Version, a.Name)
		}
	}
	return nil
}

// isHex reports whether s is lower-case hex of n bytes; n < 0 allows any length up to 256 bytes.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	if err != nil || hex.EncodeToString(b) != s {
		return false
	}
	return len(b) == n || (n < 0 && len(b) <= 256)
}
