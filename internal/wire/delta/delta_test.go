package delta

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/gzframe"
	"conifer.dev/conifer/internal/wire/zframe"
)

// Whatever the plan and the bytes, the output comes back bit for bit.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := rapid.SliceOfN(rapid.Byte(), 1, 5000).Draw(t, "old")
		plan := &Plan{OldSizeBytes: int64(len(old))}
		var now []byte
		for range rapid.IntRange(1, 5).Draw(t, "regions") {
			r := Region{Exact: rapid.Bool().Draw(t, "exact")}
			for range rapid.IntRange(1, 6).Draw(t, "pieces") {
				if !r.Exact && rapid.Bool().Draw(t, "new") {
					b := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "bytes")
					r.Pieces = append(r.Pieces, Piece{New, int64(len(b))})
					now = append(now, b...)
					continue
				}
				from := rapid.IntRange(0, len(old)-1).Draw(t, "from")
				n := rapid.IntRange(1, len(old)-from).Draw(t, "size")
				r.Pieces = append(r.Pieces, Piece{int64(from), int64(n)})
				start := len(now)
				now = append(now, old[from:from+n]...)
				if !r.Exact {
					for _, at := range rapid.SliceOf(rapid.IntRange(0, n-1)).Draw(t, "changes") {
						now[start+at] ^= byte(1 + at)
					}
				}
			}
			for _, p := range r.Pieces {
				r.SizeBytes += p.SizeBytes
			}
			plan.Regions = append(plan.Regions, r)
		}
		plan.SizeBytes = int64(len(now))
		data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(now))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Apply(&got, bytes.NewReader(old), plan.OldSizeBytes, data, plan.SizeBytes); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), now) {
			t.Fatal("the output is not what was told")
		}
	})
}

// What a region costs is counted to that region.
func TestWriteCosts(t *testing.T) {
	old := bytes.Repeat([]byte("evergreen machines "), 50)
	fresh := make([]byte, 500)
	for i := range fresh {
		fresh[i] = byte(i * i * 7 >> 3)
	}
	now := append(append(bytes.Clone(old), fresh...), old...)
	size := int64(len(old))
	plan := &Plan{OldSizeBytes: size, SizeBytes: int64(len(now)), Regions: []Region{
		{SizeBytes: size, Exact: true, Pieces: []Piece{{0, size}}},
		{SizeBytes: 500, Pieces: []Piece{{New, 500}}},
		{SizeBytes: size, Pieces: []Piece{{0, size}}},
	}}
	data, costs, err := WriteCosts(plan, bytes.NewReader(old), bytes.NewReader(now))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, c := range costs {
		sum += c
	}
	if rest := int64(len(data)) - sum; len(costs) != 3 || rest < 0 || rest > 16 || costs[1] < 300 || costs[0] > 50 || costs[2] > 100 {
		t.Errorf("%d bytes of data cost %v", len(data), costs)
	}
}

// A delta that is wrong ends in an error or in wrong bytes, and in nothing else.
func FuzzApply(f *testing.F) {
	text := bytes.Repeat([]byte("evergreen machines "), 50)
	changed := append(bytes.Clone(text[:700]), "a new end"...)
	old, now := bytes.Clone(text), bytes.Clone(changed)
	regions := []Region{{
		SizeBytes: 709, Pieces: []Piece{{0, 700}, {New, 9}}, OldSpaces: []Space{{SizeBytes: 950}}, NewSpaces: []Space{{SizeBytes: 709}},
		Bases: []Base{{SizeBytes: 950}}, Code: []Span{{0, 300, X8664}, {300, 200, Arm64}},
	}}
	for _, kind := range []FrameKind{Gzip, Zstd} {
		before, _ := compressed(f, kind, text)
		after, header := compressed(f, kind, changed)
		regions = append(regions, Region{SizeBytes: int64(len(after)), Frame: &Frame{
			Kind: kind, OldAt: int64(len(old)), OldSizeBytes: int64(len(before)), Gzip: header, Content: regions[0],
		}})
		old, now = append(old, before...), append(now, after...)
	}
	plan := &Plan{OldSizeBytes: int64(len(old)), SizeBytes: int64(len(now)), Regions: regions}
	data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(now))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, data []byte) {
		var got bytes.Buffer
		err := Apply(&got, bytes.NewReader(old), int64(len(old)), data, int64(len(now)))
		if err == nil && got.Len() != len(now) {
			t.Errorf("%d bytes were written, want %d", got.Len(), len(now))
		}
		if err != nil && !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.Unsupported) && !fault.Is(err, fault.Invalid) {
			t.Errorf("the error is %v, want one of the delta", err)
		}
	})
}

// compressed makes frames of both kinds.
func compressed(t interface{ Fatal(...any) }, kind FrameKind, plain []byte) ([]byte, gzframe.Header) {
	var b bytes.Buffer
	h := gzframe.Header{Level: 9}
	if kind == Gzip {
		if err := gzframe.Compress(&b, bytes.NewReader(plain), h); err != nil {
			t.Fatal(err)
		}
		return b.Bytes(), h
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r, err := zframe.NewReader(bytes.NewReader(z.EncodeAll(plain, nil)), MaxContentBytes)
	if err != nil {
		t.Fatal(err)
	}
	// The same choices with libzstd's habits, so that the frame comes back.
	w, err := zframe.NewWriter(&b, r.Header)
	for err == nil {
		var block *zframe.Block
		if block, err = r.Next(); err == nil {
			err = w.Write(block)
		}
	}
	if err == io.EOF && r.Header.Checksum {
		err = w.WriteChecksum(r.Checksum)
	}
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return b.Bytes(), gzframe.Header{}
}

// What is compressed in a file comes out again as it was, and costs about what its content does.
func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := FrameKind(rapid.IntRange(0, 1).Draw(t, "kind"))
		words := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 12), 2, 30).Draw(t, "words")
		var plain []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(words)-1), 50, 4000).Draw(t, "text") {
			plain = append(plain, words[i]...)
		}
		now := bytes.Clone(plain)
		for _, at := range rapid.SliceOfN(rapid.IntRange(0, len(now)-1), 0, 8).Draw(t, "changes") {
			now[at]++
		}
		before, _ := compressed(t, kind, plain)
		after, header := compressed(t, kind, now)
		if kind == Zstd {
			if size, content, ok := Restorable(after); !ok || size != int64(len(after)) || !bytes.Equal(content, now) {
				t.Fatalf("of %d bytes of a frame %d come back, and %d of content %d", len(after), size, len(now), len(content))
			}
		}
		old := append([]byte("before it"), before...)
		frame := &Frame{Kind: kind, OldAt: 9, OldSizeBytes: int64(len(before)), Gzip: header, Content: Region{
			SizeBytes: int64(len(now)), Pieces: []Piece{{0, int64(len(now))}},
		}}
		plan := &Plan{OldSizeBytes: int64(len(old)), SizeBytes: int64(len(after)), Regions: []Region{{SizeBytes: int64(len(after)), Frame: frame}}}
		data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(after))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Apply(&got, bytes.NewReader(old), plan.OldSizeBytes, data, plan.SizeBytes); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), after) {
			t.Fatal("the frame is not what it was")
		}
	})
}
