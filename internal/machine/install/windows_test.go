package install

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

// counted counts reads.
type counted struct {
	io.ReaderAt
	reads int
}

func (c *counted) ReadAt(p []byte, offset int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, offset)
}

func TestWindowsGiveWhatIsThere(t *testing.T) {
	content := make([]byte, 20*windowBytes+100)
	for i := range content {
		content[i] = byte(i*i>>7 + i>>15)
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, len(content)).Draw(t, "size")
		r := newWindows("root", bytes.NewReader(content[:size]), int64(size))
		for range rapid.IntRange(1, 60).Draw(t, "reads") {
			at := rapid.IntRange(0, size).Draw(t, "at")
			p := make([]byte, rapid.IntRange(0, 3*windowBytes/2).Draw(t, "bytes"))
			n, err := r.ReadAt(p, int64(at))
			if want := min(len(p), size-at); n != want || (err != nil) != (want < len(p)) || !bytes.Equal(p[:n], content[at:at+n]) {
				t.Fatalf("%d bytes at %d of %d: %d, %v", len(p), at, size, n, err)
			}
		}
	})
}

// A delta reads a file of the old image from here and one from there, in small pieces.
func TestWindowsReadEachPlaceOnce(t *testing.T) {
	content := make([]byte, 64*windowBytes)
	c := &counted{ReaderAt: bytes.NewReader(content)}
	r := newWindows("root", c, int64(len(content)))
	p := make([]byte, 700)
	for at := int64(0); at+700 < 8*windowBytes; at += 700 {
		for stream := range int64(maxWindows / 2) {
			if _, err := r.ReadAt(p, stream*8*windowBytes+at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := len(content) / windowBytes; c.reads != want {
		t.Errorf("%d reads of a disk with %d windows", c.reads, want)
	}
}

func TestWhatCannotBeReadIsCorrupt(t *testing.T) {
	r := newWindows("root", bytes.NewReader(make([]byte, 10)), 20)
	if n, err := r.ReadAt(make([]byte, 5), 0); n != 0 || !fault.Is(err, fault.Corrupt) {
		t.Errorf("%d, %v", n, err)
	}
	r = newWindows("root", bytes.NewReader(make([]byte, 20)), 20)
	for range 2 {
		if n, err := r.ReadAt(make([]byte, 5), 18); n != 2 || err != io.EOF {
			t.Errorf("%d, %v", n, err)
		}
	}
}
