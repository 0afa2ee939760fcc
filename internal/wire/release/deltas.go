package release

import (
	"bytes"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// DeltasName is the name of the file that lists the deltas to a release. It is signed like release.json, and apart from it, so that a
// delta can be made later and a machine that knows nothing of deltas reads what it always read.
const DeltasName = "deltas.json"

// DeltasFormat is the format of deltas.json that this package reads and writes.
const DeltasFormat = 1

// Deltas is the content of deltas.json.
type Deltas struct {
	Format  int     `json:"format"`
	App     string  `json:"app"`
	Version string  `json:"version"`
	Arch    string  `json:"arch"`
	Deltas  []Delta `json:"deltas"` // ascending by the bytes of From
}

// Delta is a payload for machines that hold the release From.
type Delta struct {
	From     string   `json:"from"`
	Features []string `json:"features"` // what a machine must know to apply it
	Payload
}

// maxDeltas bounds how many there can be.
const maxDeltas = 64

// DeltasPath is the TUF target path of the list of the deltas to a release: app/arch/version/deltas.json.
func DeltasPath(app, arch, version string) string {
	return path.Join(app, arch, version, DeltasName)
}

// DeltaName is what the factory calls the file of the delta from a version.
func DeltaName(from string) string { return "from-" + from + ".payload" }

// ParseDeltas reads deltas.json and checks it. Every error is of kind Invalid, or Unsupported for another format version.
func ParseDeltas(b []byte) (*Deltas, error) {
	var probe struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &probe); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", DeltasName, err)
	}
	if probe.Format != DeltasFormat {
		return nil, fault.New(fault.Unsupported, "%s has format %d, want %d", DeltasName, probe.Format, DeltasFormat)
	}
	d := &Deltas{}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", DeltasName, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fault.New(fault.Invalid, "parse %s: data after the end", DeltasName)
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// Sort brings the deltas into the order of the file.
func (d *Deltas) Sort() {
	slices.SortFunc(d.Deltas, func(a, b Delta) int { return strings.Compare(a.From, b.From) })
}

// Encode checks the list and writes it: indented by two spaces, with one newline at the end.
func (d *Deltas) Encode() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(d, "", "  ")
	return append(b, '\n'), err
}

// From finds the delta from a version, or an error of kind NotFound.
func (d *Deltas) From(version string) (*Delta, error) {
	for i := range d.Deltas {
		if d.Deltas[i].From == version {
			return &d.Deltas[i], nil
		}
	}
	return nil, fault.New(fault.NotFound, "release %s has no delta from %s", d.Version, version)
}

// Validate checks what docs/protocol/release.md says of deltas.json; its errors are of kind Invalid.
func (d *Deltas) Validate() error {
	if d.Format != DeltasFormat || !plainName.MatchString(d.App) || !ValidVersion(d.Version) || !plainName.MatchString(d.Arch) {
		return fault.New(fault.Invalid, "%s has format %d and is of %q/%q/%q, want format %d and app/arch/version", DeltasName, d.Format, d.App, d.Arch, d.Version, DeltasFormat)
	}
	if len(d.Deltas) > maxDeltas {
		return fault.New(fault.Invalid, "%s of %q has %d deltas, the limit is %d", DeltasName, d.Version, len(d.Deltas), maxDeltas)
	}
	names := map[string]bool{}
	for i := range d.Deltas {
		one := &d.Deltas[i]
		if one.From == d.Version || names[one.Name] {
			return fault.New(fault.Invalid, "%s of %q: the delta from %q is from the release itself, or its name %q is another's", DeltasName, d.Version, one.From, one.Name)
		}
		names[one.Name] = true
		if i > 0 && d.Deltas[i-1].From >= one.From {
			return fault.New(fault.Invalid, "%s of %q: the deltas from %q and %q are not in ascending order", DeltasName, d.Version, d.Deltas[i-1].From, one.From)
		}
		if err := one.validate(); err != nil {
			return fault.New(fault.Invalid, "%s of %q: delta from %q: %w", DeltasName, d.Version, one.From, err)
		}
	}
	return nil
}

func (d *Delta) validate() error {
	switch p := d.Payload; {
	case !ValidVersion(d.From):
		return fault.New(fault.Invalid, "from is not of the form 1.2.3")
	case !plainName.MatchString(p.Name):
		return fault.New(fault.Invalid, "name %q is not a plain name", p.Name)
	case !isHex(p.SHA256, 32) || !isHex(p.ManifestSHA256, 32):
		return fault.New(fault.Invalid, "a sha256 is not 32 bytes of hex")
	case p.ManifestSizeBytes < 1 || p.ManifestSizeBytes > p.SizeBytes:
		return fault.New(fault.Invalid, "manifest size %d is outside the payload of %d bytes", p.ManifestSizeBytes, p.SizeBytes)
	}
	for _, name := range d.Features {
		if !plainName.MatchString(name) {
			return fault.New(fault.Invalid, "feature %q is not a plain name", name)
		}
	}
	return nil
}
