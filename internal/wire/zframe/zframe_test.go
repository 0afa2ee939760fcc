package zframe

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// rewrite takes a frame apart and puts it together.
func rewrite(t rapid.TB, frame []byte, limit int64) []byte {
	t.Helper()
	r, err := NewReader(bytes.NewReader(frame), limit)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, r.Header)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if r.Header.Checksum {
		if err := w.WriteChecksum(r.Checksum); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// content is text-like: words of a small vocabulary, records that repeat with changes, noise and zeros.
func content(seed uint64, size int) []byte {
	next := func(n int) int {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int(seed >> 33 % uint64(n))
	}
	out := make([]byte, 0, size+64)
	for len(out) < size {
		switch next(8) {
		case 0:
			out = append(out, make([]byte, next(200))...)
		case 1:
			out = binary.LittleEndian.AppendUint64(out, seed)
		case 2, 3, 4:
			if at := next(len(out) + 1); at < len(out) {
				out = append(out, out[at:min(at+next(300), len(out))]...)
			}
		default:
			for range next(40) {
				out = append(out, "etaoin shrdlu"[next(13)])
			}
		}
	}
	return out[:size]
}

func compress(t rapid.TB, plain []byte, level zstd.EncoderLevel) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

// golden is a frame by the zstd tool at level 22, in blocks of every kind, and its content.
func golden(t testing.TB) (frame []byte) {
	frame, err := os.ReadFile("testdata/golden.zst")
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// A frame comes out as it was, whatever made it.
func TestRewrite(t *testing.T) {
	frame := golden(t)
	if !bytes.Equal(rewrite(t, frame, 1<<20), frame) {
		t.Error("golden frame comes out another")
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := content(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 400_000).Draw(t, "size"))
		level := zstd.EncoderLevel(rapid.IntRange(1, 4).Draw(t, "level"))
		frame := compress(t, plain, level)
		if !bytes.Equal(rewrite(t, frame, int64(len(plain))), frame) {
			t.Fatal("frame comes out another")
		}
	})
}

// Reading ends with an error or a frame that can be written, whatever the data are.
func FuzzReader(f *testing.F) {
	f.Add(golden(f)[:1000])
	f.Add(compress(f, content(1, 3000), zstd.SpeedBestCompression))
	f.Add(compress(f, make([]byte, 3000), zstd.SpeedDefault))
	f.Fuzz(func(t *testing.T, frame []byte) {
		const limit = 1 << 20
		r, err := NewReader(bytes.NewReader(frame), limit)
		if err != nil {
			return
		}
		w, err := NewWriter(io.Discard, r.Header)
		if err != nil {
			t.Fatal(err)
		}
		for size := 0; ; {
			b, err := r.Next()
			if err != nil {
				return
			}
			if size += b.Size; size > limit {
				t.Fatalf("frame has %d bytes of content", size)
			}
			// A frame may be stored less well than allowed, and then come out larger than a block may be.
			_ = w.Write(b)
		}
	})
}
