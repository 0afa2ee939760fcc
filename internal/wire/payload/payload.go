// Package payload is the format of the file that carries a release to a machine: a prefix, a manifest of
// operations, and the data of the operations back to back.
//
// Start with [ParseSigned], which trusts a manifest only through a signed release.json, and [Decoder.Decode], which
// turns the data of one operation into bytes for a target. [Manifest.Encode] is the inverse of [Parse]. The
// package is pure, needs memory for one operation whatever the file says, and refuses every manifest that is not in the
// one canonical form. A payload that has a From is a delta: it is for machines that hold just that release, and its operations of
// kind delta read it, which [Decoder.Patch] does. The format is specified in docs/protocol/payload.md.
package payload

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Format is the version of the file format that this package reads and writes.
const Format = 1

// Magic are the first 8 bytes of every payload.
const Magic = "conifer\x00"

// The limits of the format. They bound what a reader must allocate before anything is verified.
const (
	PrefixSizeBytes      = 16
	MaxManifestSizeBytes = 16 << 20 // with the prefix
	MaxOpSizeBytes       = 4 << 20  // of what one operation writes
	MaxTargetSizeBytes   = 1 << 40
	MaxTargets           = 8
	MaxOps               = 1 << 17 // of all targets together

	MaxDeltaSizeBytes     = 1 << 30 // of what one operation of kind delta writes, as a stream
	MaxDeltaDataSizeBytes = 8 << 20 // of its data, which a reader holds in memory
)

// The names of the targets of our own OS.
const (
	TargetRoot = "root" // the data of a root partition
	TargetUKI  = "uki"  // the unified kernel image
)

// The kinds of operation.
const (
	KindZstd = "zstd" // the data is one Zstandard frame (RFC 8878)
	KindRaw  = "raw"  // the data is what is written
	KindZero = "zero" // there is no data; zeros are written

	// KindDelta is for payloads with the feature [FeatureDelta]: the data says what to write from the target of the same
	// name of the release From (docs/protocol/delta.md).
	KindDelta = "delta"
)

// FeatureDelta is the feature of payloads with operations of kind delta.
const FeatureDelta = "delta-1"

// Features are those that this package reads: what a machine says that it can apply.
var Features = []string{FeatureDelta}

// Manifest says what a payload writes.
type Manifest struct {
	Format   int      `json:"-"` // from the prefix
	App      string   `json:"app"`
	Arch     string   `json:"arch"`
	Version  string   `json:"version"`
	From     string   `json:"from,omitempty"` // the release that a delta is made from; "" for a full payload
	Features []string `json:"features"`       // what a reader must know beyond the format
	Targets  []Target `json:"targets"`
}

// Target is one partition or file. Its operations cover it exactly, in ascending order and without a gap.
type Target struct {
	Name      string `json:"name"`
	SizeBytes int64  `json:"size_bytes"`
	Ops       []Op   `json:"ops"`
}

// Op writes SizeBytes at Offset of its target, from DataSizeBytes of data. The fields that are not in the
// file follow from the order of the operations; Parse fills them in.
type Op struct {
	Kind          string `json:"kind"`
	SizeBytes     int64  `json:"size_bytes"`
	SHA256        string `json:"sha256,omitempty"`          // of what is written; "" for zero
	DataSizeBytes int64  `json:"data_size_bytes,omitempty"` // 0 for zero
	DataSHA256    string `json:"data_sha256,omitempty"`     // of the data; "" for zero

	Target     string `json:"-"` // the name of its target
	Offset     int64  `json:"-"` // in the target
	DataOffset int64  `json:"-"` // counts from the start of the data area, which is the end of the manifest
}

// ParsePrefix reads the first 16 bytes of a payload and returns where its manifest ends and its data begins.
func ParsePrefix(b []byte) (manifestEnd int64, err error) {
	if len(b) < PrefixSizeBytes {
		return 0, fault.New(fault.Corrupt, "payload prefix has %d bytes, want %d", len(b), PrefixSizeBytes)
	}
	if string(b[:8]) != Magic {
		return 0, fault.New(fault.Corrupt, "payload starts with % x, want % x", b[:8], Magic)
	}
	if format := binary.LittleEndian.Uint32(b[8:]); format != Format {
		return 0, fault.New(fault.Unsupported, "payload has format %d, want %d", format, Format)
	}
	end := PrefixSizeBytes + int64(binary.LittleEndian.Uint32(b[12:]))
	if end > MaxManifestSizeBytes {
		return 0, fault.New(fault.Corrupt, "payload manifest ends at %d, the limit is %d", end, MaxManifestSizeBytes)
	}
	return end, nil
}

// ParseSigned reads the prefix and manifest of the full payload of a release whose release.json is trusted. It
// looks at no byte before the digest is right, and refuses a manifest of another release.
func ParseSigned(r *release.Release, b []byte) (*Manifest, error) {
	return parseSigned(r, &r.Payload, "", b)
}

// ParseSignedDelta does the same for a delta to the release, which is told by a trusted deltas.json.
func ParseSignedDelta(r *release.Release, d *release.Delta, b []byte) (*Manifest, error) {
	return parseSigned(r, &d.Payload, d.From, b)
}

func parseSigned(r *release.Release, p *release.Payload, from string, b []byte) (*Manifest, error) {
	if int64(len(b)) != p.ManifestSizeBytes {
		return nil, fault.New(fault.Corrupt, "payload manifest of %s has %d bytes, want %d", r.Version, len(b), p.ManifestSizeBytes)
	}
	if got := digest(b); got != p.ManifestSHA256 {
		return nil, fault.New(fault.Corrupt, "payload manifest digest of %s is %s, want %s", r.Version, got, p.ManifestSHA256)
	}
	m, err := Parse(b)
	if err != nil {
		return nil, err
	}
	if m.From != from {
		return nil, fault.New(fault.Untrusted, "payload of %s is made from %q, want %q", r.Version, m.From, from)
	}
	return m, m.checkRelease(r, p)
}

// checkRelease compares what both files state.
func (m *Manifest) checkRelease(r *release.Release, p *release.Payload) error {
	if m.App != r.App || m.Arch != r.Arch || m.Version != r.Version {
		return fault.New(fault.Untrusted, "payload is %s/%s/%s, release.json says %s/%s/%s", m.App, m.Arch, m.Version, r.App, r.Arch, r.Version)
	}
	if got := p.ManifestSizeBytes + m.DataSizeBytes(); got != p.SizeBytes {
		return fault.New(fault.Corrupt, "payload manifest describes %d bytes, want %d", got, p.SizeBytes)
	}
	if root, err := m.Target(TargetRoot); err == nil && root.SizeBytes != r.Root.SizeBytes {
		return fault.New(fault.Corrupt, "payload root has %d bytes, release.json says %d", root.SizeBytes, r.Root.SizeBytes)
	}
	return nil
}

// Target finds a target by its name.
func (m *Manifest) Target(name string) (*Target, error) {
	for i := range m.Targets {
		if m.Targets[i].Name == name {
			return &m.Targets[i], nil
		}
	}
	return nil, fault.New(fault.NotFound, "payload of %s has no target %q", m.Version, name)
}

// DataSizeBytes is the size of the data area.
func (m *Manifest) DataSizeBytes() int64 {
	var sum int64
	for _, t := range m.Targets {
		for _, op := range t.Ops {
			sum += op.DataSizeBytes
		}
	}
	return sum
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
