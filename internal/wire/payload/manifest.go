package payload

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Parse reads a prefix and a manifest, which must be all of b. A manifest has exactly one encoding; any other
// JSON text, even of the same meaning, is refused, so that two readers can never see different operations.
func Parse(b []byte) (*Manifest, error) {
	end, err := ParsePrefix(b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != end {
		return nil, fault.New(fault.Corrupt, "payload manifest has %d bytes with its prefix, want %d", len(b), end)
	}
	m := &Manifest{}
	if err := json.Unmarshal(b[PrefixSizeBytes:], m); err != nil {
		return nil, fault.New(fault.Corrupt, "parse payload manifest: %w", err)
	}
	m.Format = Format
	m.place()
	if err := m.checkFeatures(); err != nil {
		return nil, err
	}
	again, err := m.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, fault.New(fault.Corrupt, "payload manifest is not in canonical form at its byte %d", differAt(again[PrefixSizeBytes:], b[PrefixSizeBytes:]))
	}
	return m, nil
}

// place fills in the fields of operations that follow from their order.
func (m *Manifest) place() {
	var dataOffset int64
	for i := range m.Targets {
		var offset int64
		t := &m.Targets[i]
		for j := range t.Ops {
			op := &t.Ops[j]
			op.Target, op.Offset, op.DataOffset = t.Name, offset, dataOffset
			offset += op.SizeBytes
			dataOffset += op.DataSizeBytes
		}
	}
}

// Encode writes the prefix and the manifest: compact JSON, fields in the order of the structs. The derived
// fields of operations are set on the way; equal manifests give equal bytes.
func (m *Manifest) Encode() ([]byte, error) {
	m.place()
	if err := m.Validate(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if PrefixSizeBytes+len(text) > MaxManifestSizeBytes {
		return nil, fault.New(fault.Invalid, "payload manifest has %d bytes, the limit is %d", PrefixSizeBytes+len(text), MaxManifestSizeBytes)
	}
	b := make([]byte, 0, PrefixSizeBytes+len(text))
	b = append(b, Magic...)
	b = binary.LittleEndian.AppendUint32(b, Format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...), nil
}

func differAt(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// plainName is what a name in a manifest may hold: nothing that JSON escapes and no path separator.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_{][A-Za-z0-9._{}+~-]{0,127}$`)

// Validate checks every rule of docs/protocol/payload.md; its errors are of kind Corrupt, or Unsupported for a
// feature or a kind of operation that this package does not know.
func (m *Manifest) Validate() error {
	if err := m.checkFeatures(); err != nil {
		return err
	}
	if !plainName.MatchString(m.App) || !plainName.MatchString(m.Arch) || !release.ValidVersion(m.Version) {
		return fault.New(fault.Corrupt, "payload manifest names %q/%q/%q, which is not app/arch/version", m.App, m.Arch, m.Version)
	}
	if len(m.Targets) == 0 || len(m.Targets) > MaxTargets {
		return fault.New(fault.Corrupt, "payload has %d targets, want 1 to %d", len(m.Targets), MaxTargets)
	}
	if err := m.checkFrom(); err != nil {
		return err
	}
	seen, ops := map[string]bool{}, 0
	for _, t := range m.Targets {
		if seen[t.Name] {
			return fault.New(fault.Corrupt, "payload has two targets %q", t.Name)
		}
		seen[t.Name] = true
		if ops += len(t.Ops); ops > MaxOps {
			return fault.New(fault.Corrupt, "payload has more than %d operations", MaxOps)
		}
		if err := t.validate(m.From != ""); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkFeatures() error {
	if m.Features == nil {
		return fault.New(fault.Corrupt, "payload manifest has no list of features")
	}
	for i, name := range m.Features {
		if !slices.Contains(Features, name) {
			return fault.New(fault.Unsupported, "payload needs the feature %q", name).
				WithHint("Update to a release in between that knows it.")
		}
		if i > 0 && m.Features[i-1] >= name {
			return fault.New(fault.Corrupt, "payload features %q and %q are not in ascending order", m.Features[i-1], name)
		}
	}
	return nil
}

// checkFrom holds a delta apart from a full payload: only the one names a release to be made from, and the feature.
func (m *Manifest) checkFrom() error {
	if isDelta := slices.Contains(m.Features, FeatureDelta); isDelta != (m.From != "") {
		return fault.New(fault.Corrupt, "payload is from release %q and has the features %q", m.From, m.Features)
	}
	if m.From != "" && !release.ValidVersion(m.From) {
		return fault.New(fault.Corrupt, "payload is from release %q, which is not a version", m.From)
	}
	return nil
}

func (t *Target) validate(delta bool) error {
	if !plainName.MatchString(t.Name) {
		return fault.New(fault.Corrupt, "payload target %q is not a plain name", t.Name)
	}
	if t.SizeBytes < 1 || t.SizeBytes > MaxTargetSizeBytes {
		return fault.New(fault.Corrupt, "payload target %s has %d bytes, want 1 to %d", t.Name, t.SizeBytes, int64(MaxTargetSizeBytes))
	}
	var sum int64
	for _, op := range t.Ops {
		if err := op.validate(); err != nil {
			return err
		}
		if op.Kind == KindDelta && !delta {
			return op.corrupt("is a delta in a full payload")
		}
		sum += op.SizeBytes
	}
	if sum != t.SizeBytes {
		return fault.New(fault.Corrupt, "payload target %s has operations for %d bytes, want %d", t.Name, sum, t.SizeBytes)
	}
	return nil
}

func (op *Op) validate() error {
	limit := int64(MaxOpSizeBytes)
	if op.Kind == KindDelta {
		limit = MaxDeltaSizeBytes
	}
	if op.SizeBytes < 1 || op.SizeBytes > limit {
		return op.corrupt("writes %d bytes, want 1 to %d", op.SizeBytes, limit)
	}
	switch op.Kind {
	case KindZero:
		if op.DataSizeBytes != 0 || op.DataSHA256 != "" || op.SHA256 != "" {
			return op.corrupt("is zero but has data or a digest")
		}
		return nil
	case KindRaw:
		if op.DataSizeBytes != op.SizeBytes || op.DataSHA256 != op.SHA256 {
			return op.corrupt("is raw but its data is not what it writes")
		}
	case KindZstd:
		if op.DataSizeBytes < 1 || op.DataSizeBytes >= op.SizeBytes {
			return op.corrupt("is zstd with %d bytes of data for %d", op.DataSizeBytes, op.SizeBytes)
		}
	case KindDelta:
		if op.DataSizeBytes < 1 || op.DataSizeBytes > MaxDeltaDataSizeBytes {
			return op.corrupt("is delta with %d bytes of data, want 1 to %d", op.DataSizeBytes, MaxDeltaDataSizeBytes)
		}
	default:
		return fault.New(fault.Unsupported, "payload target %s: operation at offset %d has the unknown kind %q", op.Target, op.Offset, op.Kind)
	}
	if !isDigest(op.SHA256) || !isDigest(op.DataSHA256) {
		return op.corrupt("has a sha256 that is not 32 bytes of lower-case hex")
	}
	return nil
}

// corrupt states a fact about the operation, with where it is.
func (op *Op) corrupt(format string, args ...any) error {
	return fault.New(fault.Corrupt, "payload target %s: operation at offset %d "+format, append([]any{op.Target, op.Offset}, args...)...)
}

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}
