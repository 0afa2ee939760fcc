package payload

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// frame compresses b into one zstd frame.
func frame(b []byte) []byte {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return enc.EncodeAll(b, nil)
}

// sample is a payload of two targets with all kinds of operation, and what it writes.
func sample() (m *Manifest, data []byte, want map[string][]byte) {
	text := bytes.Repeat([]byte("evergreen "), 500)
	packed := frame(text)
	uki := []byte("MZ kernel")
	m = &Manifest{Format: Format, App: "conifer-os", Arch: "amd64", Version: "1.1.0", Features: []string{}, Targets: []Target{
		{Name: TargetRoot, SizeBytes: 9096, Ops: []Op{
			{Kind: KindZero, SizeBytes: 4096},
			{Kind: KindZstd, SizeBytes: 5000, SHA256: digest(text), DataSizeBytes: int64(len(packed)), DataSHA256: digest(packed)},
		}},
		{Name: TargetUKI, SizeBytes: 9, Ops: []Op{
			{Kind: KindRaw, SizeBytes: 9, SHA256: digest(uki), DataSizeBytes: 9, DataSHA256: digest(uki)},
		}},
	}}
	return m, append(packed, uki...), map[string][]byte{TargetRoot: append(make([]byte, 4096), text...), TargetUKI: uki}
}

// decodeAll writes every target of a payload's manifest from its data area.
func decodeAll(m *Manifest, data []byte) (map[string][]byte, error) {
	d, err := NewDecoder()
	if err != nil {
		return nil, err
	}
	written := map[string][]byte{}
	var dst []byte
	for _, t := range m.Targets {
		for _, op := range t.Ops {
			dst, err = d.Decode(op, data[op.DataOffset:op.DataOffset+op.DataSizeBytes], dst)
			if err != nil {
				return nil, err
			}
			written[t.Name] = append(written[t.Name], dst...)
		}
	}
	return written, nil
}

func TestRoundTrip(t *testing.T) {
	m, data, want := sample()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Error(diff)
	}
	got, err := decodeAll(back, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestGoldenFile reads a committed payload, so that a change of the format cannot pass unseen.
func TestGoldenFile(t *testing.T) {
	file, err := os.ReadFile("testdata/golden.payload")
	if err != nil {
		t.Fatal(err)
	}
	end, err := ParsePrefix(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(file[:end])
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(file)) != end+m.DataSizeBytes() {
		t.Errorf("file has %d bytes, its manifest says %d", len(file), end+m.DataSizeBytes())
	}
	got, err := decodeAll(m, file[end:])
	if err != nil {
		t.Fatal(err)
	}
	_, _, want := sample()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestManifestVectors runs testdata/manifests.txt: blocks of a name, a manifest and the outcome.
func TestManifestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/manifests.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(block, "\n")
		if len(lines) != 3 {
			t.Fatalf("block %q has %d lines, want 3", lines[0], len(lines))
		}
		t.Run(strings.TrimPrefix(lines[0], "# "), func(t *testing.T) {
			_, err := Parse(prefixed(lines[1]))
			checkOutcome(t, strings.TrimPrefix(lines[2], "=> "), err)
		})
	}
}

func checkOutcome(t *testing.T, want string, err error) {
	t.Helper()
	if want == "ok" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	kind, message, _ := strings.Cut(want, ": ")
	if err == nil || fault.KindOf(err).String() != kind || !strings.Contains(err.Error(), message) {
		t.Errorf("got %v (%v), want %s", err, fault.KindOf(err), want)
	}
}

// prefixed puts the right prefix before a manifest.
func prefixed(manifest string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(Magic), Format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(manifest)))
	return append(b, manifest...)
}

func TestParsePrefixRefuses(t *testing.T) {
	good := prefixed("{}")
	cases := []struct {
		name    string
		b       []byte
		kind    fault.Kind
		message string
	}{
		{"short", good[:15], fault.Corrupt, "15 bytes"},
		{"magic", append([]byte("Conifer\x00"), good[8:]...), fault.Corrupt, "starts with 43"},
		{"format", append([]byte(Magic+"\x02\x00\x00\x00"), good[12:]...), fault.Unsupported, "format 2"},
		{"big manifest", []byte(Magic + "\x01\x00\x00\x00\xff\xff\xff\xff"), fault.Corrupt, "the limit is 16777216"},
	}
	for _, c := range cases {
		if _, err := ParsePrefix(c.b); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if _, err := Parse(append(good, 'x')); !fault.Is(err, fault.Corrupt) {
		t.Errorf("bytes after the manifest: got %v", err)
	}
}

func TestDecodeRefusesAndSaysWhere(t *testing.T) {
	m, data, _ := sample()
	if _, err := m.Encode(); err != nil {
		t.Fatal(err)
	}
	op := m.Targets[0].Ops[1]
	good := data[:op.DataSizeBytes]
	// signed changes the data and the digest of the data, as somebody with the signing key could.
	signed := func(b []byte, change func(*Op)) (Op, []byte) {
		o := op
		o.DataSizeBytes, o.DataSHA256 = int64(len(b)), digest(b)
		change(&o)
		return o, b
	}
	none := func(*Op) {}
	cases := map[string]func() (Op, []byte){
		"has 3 bytes of data":            func() (Op, []byte) { return op, good[:3] },
		"has data with digest":           func() (Op, []byte) { return op, append([]byte{1}, good[1:]...) },
		"does not decompress":            func() (Op, []byte) { return signed([]byte("no frame"), none) },
		"decompresses to 4999 bytes":     func() (Op, []byte) { return signed(frame(make([]byte, 4999)), none) },
		"size exceeded":                  func() (Op, []byte) { return signed(frame(make([]byte, 16<<20)), none) },
		"writes bytes with digest":       func() (Op, []byte) { return signed(good, func(o *Op) { o.SHA256 = strings.Repeat("0", 64) }) },
		"writes 4194305 bytes":           func() (Op, []byte) { return signed(good, func(o *Op) { o.SizeBytes = MaxOpSizeBytes + 1 }) },
		"zstd with 0 bytes of data":      func() (Op, []byte) { return signed(nil, none) },
		"raw but its data is not":        func() (Op, []byte) { return signed(good, func(o *Op) { o.Kind = KindRaw }) },
		"is zero but has data or a dige": func() (Op, []byte) { return signed(good, func(o *Op) { o.Kind = KindZero }) },
	}
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	for message, attack := range cases {
		o, b := attack()
		_, err := d.Decode(o, b, nil)
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), message) || !strings.Contains(err.Error(), "root: operation at offset 4096") {
			t.Errorf("want %q, got %v (%v)", message, err, fault.KindOf(err))
		}
	}
}

func TestDecodeUsesTheBufferItIsGiven(t *testing.T) {
	m, data, _ := sample()
	if _, err := m.Encode(); err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	dst := bytes.Repeat([]byte{0xff}, 8192)
	for _, op := range m.Targets[0].Ops {
		out, err := d.Decode(op, data[op.DataOffset:op.DataOffset+op.DataSizeBytes], dst)
		if err != nil {
			t.Fatal(err)
		}
		if &out[0] != &dst[0] || int64(len(out)) != op.SizeBytes {
			t.Errorf("%s: %d bytes in another buffer", op.Kind, len(out))
		}
	}
}

func TestParseSigned(t *testing.T) {
	m, _, _ := sample()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signed := func(change func(*release.Release)) *release.Release {
		r := &release.Release{App: "conifer-os", Arch: "amd64", Version: "1.1.0", Root: release.Root{SizeBytes: 9096}}
		r.Payload = release.Payload{ManifestSizeBytes: int64(len(b)), ManifestSHA256: digest(b), SizeBytes: int64(len(b)) + m.DataSizeBytes()}
		change(r)
		return r
	}
	if _, err := ParseSigned(signed(func(*release.Release) {}), b); err != nil {
		t.Error(err)
	}
	cases := []struct {
		message string
		kind    fault.Kind
		change  func(*release.Release)
	}{
		{"manifest of 1.1.0 has", fault.Corrupt, func(r *release.Release) { r.Payload.ManifestSizeBytes++ }},
		{"manifest digest of 1.1.0 is", fault.Corrupt, func(r *release.Release) { r.Payload.ManifestSHA256 = digest(nil) }},
		{"release.json says conifer-os/amd64/1.2.0", fault.Untrusted, func(r *release.Release) { r.Version = "1.2.0" }},
		{"payload manifest describes", fault.Corrupt, func(r *release.Release) { r.Payload.SizeBytes++ }},
		{"payload root has 9096 bytes", fault.Corrupt, func(r *release.Release) { r.Root.SizeBytes = 4096 }},
	}
	for _, c := range cases {
		if _, err := ParseSigned(signed(c.change), b); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("want %q, got %v", c.message, err)
		}
	}
}

// TestEveryManifestRoundTrips draws manifests that keep the rules.
func TestEveryManifestRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &Manifest{Format: Format, App: "app", Arch: "arm64", Version: "1.2", Features: []string{}}
		drawOp := drawOp
		if rapid.Bool().Draw(t, "delta") {
			m.From, m.Features, drawOp = rapid.StringMatching(`[0-9]\.[0-9]{1,3}`).Draw(t, "from"), []string{FeatureDelta}, drawDeltaOp
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9.~+-]{0,20}`), 1, MaxTargets, rapid.ID).Draw(t, "names") {
			target := Target{Name: name, Ops: rapid.SliceOfN(rapid.Custom(drawOp), 1, 20).Draw(t, "ops")}
			for _, op := range target.Ops {
				target.SizeBytes += op.SizeBytes
			}
			m.Targets = append(m.Targets, target)
		}
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

// drawDeltaOp draws an operation of a delta, which may be of every kind.
func drawDeltaOp(t *rapid.T) Op {
	if rapid.Bool().Draw(t, "another kind") {
		return drawOp(t)
	}
	return Op{Kind: KindDelta, SizeBytes: rapid.Int64Range(1, MaxDeltaSizeBytes).Draw(t, "size"),
		DataSizeBytes: rapid.Int64Range(1, MaxDeltaDataSizeBytes).Draw(t, "data size"),
		SHA256:        digest(rapid.SliceOf(rapid.Byte()).Draw(t, "out")), DataSHA256: digest(rapid.SliceOf(rapid.Byte()).Draw(t, "data"))}
}

func drawOp(t *rapid.T) Op {
	sizeBytes := rapid.Int64Range(2, MaxOpSizeBytes).Draw(t, "size")
	sum := func(label string) string { return digest(rapid.SliceOf(rapid.Byte()).Draw(t, label)) }
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return Op{Kind: KindZero, SizeBytes: sizeBytes}
	case 1:
		d := sum("raw")
		return Op{Kind: KindRaw, SizeBytes: sizeBytes, SHA256: d, DataSizeBytes: sizeBytes, DataSHA256: d}
	}
	return Op{Kind: KindZstd, SizeBytes: sizeBytes, SHA256: sum("out"), DataSHA256: sum("data"),
		DataSizeBytes: rapid.Int64Range(1, sizeBytes-1).Draw(t, "data size")}
}

func FuzzParse(f *testing.F) {
	m, _, _ := sample()
	b, err := m.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	d, _, _ := deltaSample()
	if b, err = d.Encode(); err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		var dataOffset int64
		for _, target := range m.Targets {
			var offset int64
			for _, op := range target.Ops {
				if op.Offset != offset || op.DataOffset != dataOffset || !withinLimits(m, op) {
					t.Fatalf("operation %+v breaks a rule", op)
				}
				offset, dataOffset = offset+op.SizeBytes, dataOffset+op.DataSizeBytes
			}
			if offset != target.SizeBytes {
				t.Fatalf("operations cover %d bytes of %d", offset, target.SizeBytes)
			}
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("two encodings of one manifest: %q, %v", again, err)
		}
	})
}

// withinLimits says for a second time what one operation may need.
func withinLimits(m *Manifest, op Op) bool {
	if op.Kind == KindDelta {
		return m.From != "" && op.SizeBytes <= 1<<30 && op.DataSizeBytes <= 8<<20
	}
	return op.SizeBytes <= 4<<20 && op.DataSizeBytes <= op.SizeBytes
}

func FuzzDecode(f *testing.F) {
	m, data, want := sample()
	if _, err := m.Encode(); err != nil {
		f.Fatal(err)
	}
	f.Add(data[:m.Targets[0].Ops[1].DataSizeBytes], uint16(5000))
	d, err := NewDecoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		op := Op{Kind: KindZstd, SizeBytes: int64(size), SHA256: digest(want[TargetRoot][4096:]), DataSizeBytes: int64(len(data)), DataSHA256: digest(data)}
		out, err := d.Decode(op, data, nil)
		if err == nil && digest(out) != op.SHA256 {
			t.Fatal("wrong bytes were accepted")
		}
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatalf("error of kind %v: %v", fault.KindOf(err), err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	mixed := make([]byte, 2<<20)
	for i := range mixed {
		mixed[i] = byte(i*i>>7) & byte(i>>3)
	}
	packed := frame(mixed)
	ops := map[string]Op{
		KindZero: {Kind: KindZero, SizeBytes: 2 << 20},
		KindRaw:  {Kind: KindRaw, SizeBytes: 2 << 20, DataSizeBytes: 2 << 20, SHA256: digest(mixed), DataSHA256: digest(mixed)},
		KindZstd: {Kind: KindZstd, SizeBytes: 2 << 20, DataSizeBytes: int64(len(packed)), SHA256: digest(mixed), DataSHA256: digest(packed)},
	}
	data := map[string][]byte{KindRaw: mixed, KindZstd: packed}
	for kind, op := range ops {
		b.Run(kind, func(b *testing.B) {
			d, err := NewDecoder()
			if err != nil {
				b.Fatal(err)
			}
			dst := make([]byte, op.SizeBytes)
			b.SetBytes(op.SizeBytes)
			for b.Loop() {
				if _, err := d.Decode(op, data[kind], dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
