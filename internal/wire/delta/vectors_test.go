package delta

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/wire/gzframe"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is a delta of docs/protocol/delta.md, "Vectors". All have one old image.
type vector struct {
	name string
	make func() (old, now []byte) // its part of the old image, and all of the new one
	// plan is made of that part of the old image, which begins at a place, and of the new image.
	plan func(at int64, old, now []byte) Region
}

var vectors = []vector{
	{"plain", plainVector, plainRegion},
	{"x86-64", programVector(X8664), programRegion(X8664)},
	{"arm64", programVector(Arm64), programRegion(Arm64)},
	{"gzip", gzipVector, frameRegion(Gzip, gzframe.Header{Level: 6, ModTime: 1_750_000_000, Name: "changelog"})},
	{"zstd", zstdVector, frameRegion(Zstd, gzframe.Header{})},
}

// lines are numbered lines from a number to another.
func lines(from, to int) (b []byte) {
	for i := from; i < to; i++ {
		b = fmt.Appendf(b, "%d * %d = %d\n", i, i, i*i)
	}
	return b
}

func plainVector() (old, now []byte) {
	old = lines(0, 100)
	now = bytes.Replace(old[600:1200], []byte("="), []byte("-"), 3)
	return old, append(append(now, "Something new."...), old[:600]...)
}

func plainRegion(at int64, _, now []byte) Region {
	return Region{SizeBytes: int64(len(now)), Pieces: []Piece{{at + 600, 600}, {New, 14}, {at, 600}}}
}

// A frame in the vectors holds lines, of which the new one has others, and a word before them.
func frameContents() (old, now []byte) {
	return lines(1000, 1150), append(append([]byte("Evergreen.\n"), lines(1000, 1060)...), lines(1070, 1155)...)
}

func gzipVector() (old, now []byte) {
	before, after := frameContents()
	return mustGzip(before, gzframe.Header{Level: 9}), mustGzip(after, gzframe.Header{Level: 6, ModTime: 1_750_000_000, Name: "changelog"})
}

func mustGzip(plain []byte, h gzframe.Header) []byte {
	var b bytes.Buffer
	if err := gzframe.Compress(&b, bytes.NewReader(plain), h); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func zstdVector() (old, now []byte) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		panic(err)
	}
	before, after := frameContents()
	return z.EncodeAll(before, nil), z.EncodeAll(after, nil)
}

func frameRegion(kind FrameKind, h gzframe.Header) func(int64, []byte, []byte) Region {
	return func(at int64, old, now []byte) Region {
		before, after := frameContents()
		same, moved := int64(len(lines(1000, 1060))), int64(len(lines(1000, 1070)))
		content := Region{SizeBytes: int64(len(after)), Pieces: []Piece{
			{New, 11}, {0, same}, {moved, int64(len(before)) - moved}, {New, int64(len(lines(1150, 1155)))},
		}}
		return Region{SizeBytes: int64(len(now)), Frame: &Frame{Kind: kind, OldAt: at, OldSizeBytes: int64(len(old)), Content: content, Gzip: h}}
	}
}

const vectorFolder = "testdata/vectors"

func readVector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectorHead is what all outputs begin with, so that the region of a vector does not.
func vectorHead(old []byte) []byte { return append(bytes.Clone(old[:60]), old[20:60]...) }

// writeVectors makes the old image, the deltas, and a list: name, place and size of the part of the old image, size and digest of the output.
func writeVectors(t *testing.T) {
	t.Helper()
	var old []byte
	news := map[string][]byte{}
	for _, v := range vectors {
		part, now := v.make()
		news[v.name] = now
		old = append(old, part...)
	}
	files, list := map[string][]byte{"old": old}, ""
	at := int64(0)
	for _, v := range vectors {
		part, now := v.make()
		out := append(vectorHead(old), now...)
		files[v.name+".delta"] = vectorDelta(t, v, old, at, int64(len(part)), out)
		list += fmt.Sprintf("%s %d %d %d %x\n", v.name, at, len(part), len(out), sha256.Sum256(out))
		at += int64(len(part))
	}
	files["list"] = []byte(list)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(vectorFolder, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// vectorDelta is the delta that makes an output of old, of which a part at a place belongs to it.
func vectorDelta(t *testing.T, v vector, old []byte, at, sizeBytes int64, out []byte) []byte {
	t.Helper()
	head := Region{SizeBytes: 100, Exact: true, Pieces: []Piece{{0, 60}, {20, 40}}}
	r := v.plan(at, old[at:at+sizeBytes], out[head.SizeBytes:])
	plan := &Plan{OldSizeBytes: int64(len(old)), SizeBytes: int64(len(out)), Regions: []Region{head, r}}
	data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(out))
	if err != nil {
		t.Fatalf("%s: %v", v.name, err)
	}
	return data
}

// The stored deltas still make of the stored old image what they made, and are still written so.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	old := readVector(t, "old")
	list := strings.Split(strings.TrimSpace(string(readVector(t, "list"))), "\n")
	if len(list) != len(vectors) {
		t.Fatalf("%d vectors are stored, want %d", len(list), len(vectors))
	}
	for i, v := range vectors {
		var name, digest string
		var at, sizeBytes, outSizeBytes int64
		if _, err := fmt.Sscan(list[i], &name, &at, &sizeBytes, &outSizeBytes, &digest); err != nil || name != v.name {
			t.Fatalf("vector %s is stored as %q (%v)", v.name, list[i], err)
		}
		data := readVector(t, v.name+".delta")
		var got bytes.Buffer
		if err := Apply(&got, bytes.NewReader(old), int64(len(old)), data, outSizeBytes); err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(got.Bytes())); sum != digest {
			t.Errorf("%s: digest is %s, want %s", v.name, sum, digest)
		}
		if !bytes.Equal(vectorDelta(t, v, old, at, sizeBytes, got.Bytes()), data) {
			t.Errorf("%s is written otherwise", v.name)
		}
	}
}
