package payload

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/release"
)

// The root of the release before, and of the release that the sample is a delta to.
var (
	oldRoot = bytes.Repeat([]byte("evergreen machines. "), 300)
	newRoot = append(bytes.Replace(oldRoot, []byte("evergreen machines"), []byte("Evergreen machines"), 1), "The end."...)
)

// deltaOp tells now as a copy of the beginning of old, and then new bytes.
func deltaOp(old, now []byte) (Op, []byte) {
	same := int64(min(len(old), len(now)))
	plan := &delta.Plan{OldSizeBytes: int64(len(old)), SizeBytes: int64(len(now)), Regions: []delta.Region{{
		SizeBytes: int64(len(now)), Pieces: []delta.Piece{{From: 0, SizeBytes: same}},
	}}}
	if rest := int64(len(now)) - same; rest > 0 {
		plan.Regions[0].Pieces = append(plan.Regions[0].Pieces, delta.Piece{From: delta.New, SizeBytes: rest})
	}
	data, err := delta.Write(plan, bytes.NewReader(old), bytes.NewReader(now))
	if err != nil {
		panic(err)
	}
	return Op{Kind: KindDelta, SizeBytes: int64(len(now)), SHA256: digest(now), DataSizeBytes: int64(len(data)), DataSHA256: digest(data)}, data
}

// deltaSample is a delta from oldRoot to newRoot between zeros, and what it writes.
func deltaSample() (m *Manifest, data []byte, want []byte) {
	op, data := deltaOp(oldRoot, newRoot)
	m = &Manifest{Format: Format, App: "conifer-os", Arch: "amd64", Version: "1.1.0", From: "1.0.0", Features: []string{FeatureDelta}, Targets: []Target{
		{Name: TargetRoot, SizeBytes: 4096 + op.SizeBytes, Ops: []Op{{Kind: KindZero, SizeBytes: 4096}, op}},
	}}
	return m, data, append(make([]byte, 4096), newRoot...)
}

func of(b []byte) Old { return Old{bytes.NewReader(b), int64(len(b))} }

// placed is the operation of kind delta of the sample, as a reader of the manifest has it.
func placed(t *testing.T) (*Decoder, Op, []byte) {
	t.Helper()
	m, data, _ := deltaSample()
	if _, err := m.Encode(); err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	return d, m.Targets[0].Ops[1], data
}

func TestDeltaRoundTrip(t *testing.T) {
	m, data, want := deltaSample()
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
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	zeros, err := d.Decode(back.Targets[0].Ops[0], nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := bytes.NewBuffer(zeros)
	if err := d.Patch(got, back.Targets[0].Ops[1], data, of(oldRoot)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("what was written is not the new root")
	}
}

func TestPatchRefusesAndSaysWhere(t *testing.T) {
	d, op, data := placed(t)
	flipped := bytes.Clone(oldRoot)
	flipped[len(flipped)/2] ^= 1
	// signed is data that somebody with the signing key vouches for.
	signed := func(b []byte) Op {
		o := op
		o.DataSizeBytes, o.DataSHA256 = int64(len(b)), digest(b)
		return o
	}
	longer := op
	longer.SizeBytes++
	damaged := bytes.Clone(data)
	damaged[len(damaged)-4] ^= 0x40
	other := append([]byte{99}, data[1:]...)
	cases := []struct {
		name    string
		op      Op
		data    []byte
		old     []byte
		message string
	}{
		{"data changed on the way", op, damaged, oldRoot, "has data with digest"},
		{"data cut short", op, data[:len(data)-1], oldRoot, "bytes of data, want"},
		{"data too long", op, append(bytes.Clone(data), 0), oldRoot, "bytes of data, want"},
		{"no data", signed(nil), nil, oldRoot, "delta with 0 bytes of data"},
		{"another version of the encoding", signed(other), other, oldRoot, "does not apply: delta does not begin with version 1"},
		{"signed data that end early", signed(data[:len(data)/2]), data[:len(data)/2], oldRoot, ""},
		{"signed data that write other bytes", signed(damaged), damaged, oldRoot, ""},
		{"more to write than is told", longer, data, oldRoot, "does not apply: delta is for"},
		{"old target with one bit flipped", op, data, flipped, "writes bytes with digest"},
		{"old target that is too short", op, data, oldRoot[:len(oldRoot)-1], "does not apply: delta is for"},
		{"old target that is too long", op, data, append(bytes.Clone(oldRoot), 0), "does not apply: delta is for"},
	}
	for _, c := range cases {
		var got bytes.Buffer
		err := d.Patch(&got, c.op, c.data, of(c.old))
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "payload target root: operation at offset 4096 ") || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
		if int64(got.Len()) > c.op.SizeBytes {
			t.Errorf("%s: %d bytes were written, more than %d", c.name, got.Len(), c.op.SizeBytes)
		}
	}
}

// The kinds of operation are not mixed up: each function refuses what the other does, before it writes anything.
func TestDecodeAndPatchAreForTheirKinds(t *testing.T) {
	d, op, data := placed(t)
	if _, err := d.Decode(op, data, nil); !fault.Is(err, fault.Internal) {
		t.Errorf("Decode of a delta: got %v", err)
	}
	var got bytes.Buffer
	if err := d.Patch(&got, Op{Kind: KindZero, SizeBytes: 12}, nil, of(oldRoot)); !fault.Is(err, fault.Internal) || got.Len() > 0 {
		t.Errorf("Patch of zeros: got %v, %d bytes", err, got.Len())
	}
}

// broken fails as a disk does.
type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }
func (b broken) Write([]byte) (int, error)         { return 0, b.err }

// The errors of disks are not taken for those of the payload: the payload is not to blame.
func TestPatchGivesBackTheErrorsOfDisks(t *testing.T) {
	d, op, data := placed(t)
	disk := errors.New("input/output error")
	for name, err := range map[string]error{
		"old": d.Patch(io.Discard, op, data, Old{broken{disk}, int64(len(oldRoot))}),
		"new": d.Patch(broken{disk}, op, data, of(oldRoot)),
	} {
		if !errors.Is(err, disk) || fault.Is(err, fault.Corrupt) {
			t.Errorf("%s: got %v (%v)", name, err, fault.KindOf(err))
		}
	}
}

func TestParseSignedDelta(t *testing.T) {
	m, _, _ := deltaSample()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	type signed struct {
		r *release.Release
		d *release.Delta
	}
	of := func(change func(*signed)) signed {
		s := signed{
			&release.Release{App: "conifer-os", Arch: "amd64", Version: "1.1.0", Root: release.Root{SizeBytes: m.Targets[0].SizeBytes}},
			&release.Delta{From: "1.0.0", Features: []string{FeatureDelta}},
		}
		s.d.Payload = release.Payload{ManifestSizeBytes: int64(len(b)), ManifestSHA256: digest(b), SizeBytes: int64(len(b)) + m.DataSizeBytes()}
		change(&s)
		return s
	}
	good := of(func(*signed) {})
	got, err := ParseSignedDelta(good.r, good.d, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	cases := []struct {
		message string
		kind    fault.Kind
		change  func(*signed)
	}{
		{"manifest of 1.1.0 has", fault.Corrupt, func(s *signed) { s.d.ManifestSizeBytes++ }},
		{"manifest digest of 1.1.0 is", fault.Corrupt, func(s *signed) { s.d.ManifestSHA256 = digest(nil) }},
		{`payload of 1.1.0 is made from "1.0.0", want "0.9.0"`, fault.Untrusted, func(s *signed) { s.d.From = "0.9.0" }},
		{"release.json says conifer-os/amd64/1.2.0", fault.Untrusted, func(s *signed) { s.r.Version = "1.2.0" }},
		{"payload manifest describes", fault.Corrupt, func(s *signed) { s.d.SizeBytes++ }},
		{"payload root has", fault.Corrupt, func(s *signed) { s.r.Root.SizeBytes = 4096 }},
	}
	for _, c := range cases {
		s := of(c.change)
		if _, err := ParseSignedDelta(s.r, s.d, b); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("want %q, got %v", c.message, err)
		}
	}
	// Neither is taken for the other, even when it is signed as such.
	asFull := *good.r
	asFull.Payload = good.d.Payload
	if _, err := ParseSigned(&asFull, b); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a delta as full payload: got %v", err)
	}
	full, _, _ := sample()
	if b, err = full.Encode(); err != nil {
		t.Fatal(err)
	}
	asDelta := of(func(s *signed) {
		s.d.Payload = release.Payload{ManifestSizeBytes: int64(len(b)), ManifestSHA256: digest(b), SizeBytes: int64(len(b)) + full.DataSizeBytes()}
	})
	if _, err := ParseSignedDelta(asDelta.r, asDelta.d, b); !fault.Is(err, fault.Untrusted) {
		t.Errorf("a full payload as delta: got %v", err)
	}
}

// Whatever the two targets are, a delta between them writes the new one; and from an old target with a flipped bit it writes
// the new one (the bit was not needed), or is refused.
func TestEveryPatchIsRightOrRefused(t *testing.T) {
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "old")
		now := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "new")
		if rapid.Bool().Draw(t, "alike") {
			now = append(bytes.Clone(old), now...)
		}
		op, data := deltaOp(old, now)
		var got bytes.Buffer
		if err := d.Patch(&got, op, data, of(old)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), now) {
			t.Fatal("other bytes were written")
		}
		at := rapid.IntRange(0, min(len(old), len(now))-1).Draw(t, "flipped at")
		old[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		got.Reset()
		err := d.Patch(&got, op, data, of(old))
		if err == nil && !bytes.Equal(got.Bytes(), now) || err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatalf("an old target with a flipped bit: got %v", err)
		}
	})
}

// FuzzPatch gives data and an old target that nobody signed: the right bytes are written, or it is an error of kind Corrupt.
func FuzzPatch(f *testing.F) {
	op, data := deltaOp(oldRoot, newRoot)
	d, err := NewDecoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, oldRoot, uint16(len(newRoot)))
	f.Fuzz(func(t *testing.T, data, old []byte, size uint16) {
		op := Op{Kind: KindDelta, SizeBytes: int64(size), SHA256: op.SHA256, DataSizeBytes: int64(len(data)), DataSHA256: digest(data)}
		var got bytes.Buffer
		err := d.Patch(&got, op, data, of(old))
		if err == nil && !bytes.Equal(got.Bytes(), newRoot) {
			t.Fatal("wrong bytes were accepted")
		}
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatalf("error of kind %v: %v", fault.KindOf(err), err)
		}
		if int64(got.Len()) > op.SizeBytes {
			t.Fatalf("%d bytes were written, more than %d", got.Len(), op.SizeBytes)
		}
	})
}
