package zframe

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/entropy"
)

// plain is the content of a frame, by another decoder than ours.
func plain(t rapid.TB, frame []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	b, err := z.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pages(b []byte) *Pages {
	p := NewPages(int64(len(b)))
	p.Write(b)
	return p
}

func reader(t rapid.TB, frame []byte) *Reader {
	t.Helper()
	if frame == nil {
		return nil
	}
	r, err := NewReader(bytes.NewReader(frame), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shift says that all of the new content was so many bytes earlier in the old one.
type shift int64

func (s shift) ToOld(at int64) (int64, int64) {
	return at - int64(s), max(0, 1<<30*min(1, at-int64(s)+1))
}
func (s shift) ToNew(old int64) (int64, int64) { return old + int64(s), 1 << 30 }

// older is a frame whose content was shifted.
func older(frame []byte, align Align) *Old {
	if frame == nil {
		return nil
	}
	return &Old{bytes.NewReader(frame), int64(len(frame)), 1 << 30, align}
}

// told is what is written of a frame beside its content.
func told(t rapid.TB, frame, content, old []byte, align Align) []byte {
	t.Helper()
	c := entropy.NewWriter()
	r := &Reparse{Content: pages(content), Frame: reader(t, frame), Old: older(old, align)}
	if err := r.Code(c); err != nil {
		t.Fatal(err)
	}
	return c.Finish()
}

// restored is the frame that comes of it.
func restored(data, content, old []byte, align Align) ([]byte, error) {
	c := entropy.NewReader(data)
	var out bytes.Buffer
	r := &Reparse{Content: pages(content), Out: &out, Old: older(old, align)}
	if err := r.Code(c); err != nil {
		return nil, err
	}
	return out.Bytes(), c.Err()
}

var update = flag.Bool("update", false, "write the vectors anew")

// The stored cuts are what is written of the golden frame, alone and beside itself as an older frame at the same places, and give it back.
func TestVectors(t *testing.T) {
	frame := golden(t)
	content := plain(t, frame)
	for name, old := range map[string][]byte{"golden.cut": nil, "golden-beside.cut": frame} {
		path := "testdata/" + name
		data := told(t, frame, content, old, shift(0))
		if *update {
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, stored) {
			t.Errorf("%s is written otherwise", name)
		}
		if again, err := restored(stored, content, old, shift(0)); err != nil || !bytes.Equal(again, frame) {
			t.Errorf("%s gives another frame: %v", name, err)
		}
	}
}

// A frame of libzstd at its highest level comes from its content and a part of its size, and from an old one that was cut likewise and next to nothing.
func TestGoldenFrameCostsLittle(t *testing.T) {
	frame := golden(t)
	content := plain(t, frame)
	alone, beside := told(t, frame, content, nil, nil), told(t, frame, content, frame, shift(0))
	if len(alone)*5 > len(frame) || len(beside)*50 > len(frame) {
		t.Errorf("%d bytes tell a frame of %d, %d beside the same frame", len(alone), len(frame), len(beside))
	}
}

// Frames of another encoder come back, with and without an older one, as long as they can be put together at all.
func TestFramesFromTheirContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := zstd.EncoderLevel(rapid.IntRange(1, 4).Draw(t, "level"))
		size := rapid.IntRange(0, 8_000).Draw(t, "size")
		checkFrame(t, level, content(rapid.Uint64().Draw(t, "seed"), size), rapid.IntRange(0, 100).Draw(t, "shift"), rapid.Bool().Draw(t, "older"))
	})
	// More than a block, and more than a chunk.
	checkFrame(t, zstd.SpeedFastest, content(1, 150_000), 50, true)
	checkFrame(t, zstd.SpeedBestCompression, content(2, 150_000), 0, false)
}

// checkFrame tells a frame alone, or beside an older one, whose content was so many bytes shorter at its beginning.
func checkFrame(t rapid.TB, level zstd.EncoderLevel, old []byte, by int, beside bool) {
	t.Helper()
	now := append(bytes.Repeat([]byte{7}, by), old...)
	before, frame := rewrite(t, compress(t, old, level), 1<<30), rewrite(t, compress(t, now, level), 1<<30)
	if !beside {
		before = nil
	}
	data := told(t, frame, now, before, shift(by))
	if again, err := restored(data, now, before, shift(by)); err != nil || !bytes.Equal(again, frame) {
		t.Fatalf("the frame is another: %v", err)
	}
}

// parts says that the contents are the same, in parts of so many bytes at first.
type parts int64

func (p parts) ToOld(at int64) (int64, int64) {
	if at < 5000 {
		return at, int64(p) - at%int64(p)
	}
	return at, 1 << 30
}
func (p parts) ToNew(old int64) (int64, int64) { return p.ToOld(old) }

// A reader and a writer read the same blocks of the old frame: short parts are worth none, unless it was read for a longer one.
func TestOldBlocksAreReadWhenAReaderDoes(t *testing.T) {
	now := content(4, 30_000)
	frame := compress(t, now, zstd.SpeedBetterCompression)
	again, err := restored(told(t, frame, now, frame, parts(500)), now, frame, parts(500))
	if err != nil || !bytes.Equal(again, frame) {
		t.Errorf("the frame is another: %v", err)
	}
}

// A number that cannot be, such as how much shorter a match is that is as short as can be, is refused.
func TestNumberThatCannotBe(t *testing.T) {
	for _, most := range []int{-1, 0, 4} {
		s := &session{c: entropy.NewWriter()}
		if _, err := s.number(entropy.NewNumber(), 5, most); !fault.Is(err, fault.Corrupt) {
			t.Errorf("5 where at most %d is allowed: %v", most, err)
		}
	}
}

// Whatever the data say, restoring ends in a frame or an error.
func FuzzReparse(f *testing.F) {
	frame, err := os.ReadFile("testdata/golden.zst")
	if err != nil {
		f.Fatal(err)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	small := plain(f, frame)[:5000]
	now := z.EncodeAll(small, nil)
	f.Add(told(f, now, small, nil, nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := restored(data, small, nil, nil); err != nil && !fault.Is(err, fault.Corrupt) {
			t.Errorf("the error is %v, want one of kind Corrupt", err)
		}
	})
}
