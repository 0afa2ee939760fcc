package delta

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/zframe"
)

// What was added is read again, from anywhere, and no more than the limit is taken.
func TestContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c store = newContent(1 << 20)
		if rapid.Bool().Draw(t, "plain") {
			c = zframe.NewPages(1 << 20)
		}
		var all []byte
		for range rapid.IntRange(0, 20).Draw(t, "writes") {
			b := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "bytes"), rapid.IntRange(1, 1200).Draw(t, "times"))
			if _, err := c.Write(b); err != nil {
				if len(all)+len(b) <= 1<<20 {
					t.Fatal(err)
				}
				break
			}
			all = append(all, b...)
		}
		if c.SizeBytes() != int64(len(all)) {
			t.Fatalf("it holds %d bytes, want %d", c.SizeBytes(), len(all))
		}
		for range 10 {
			at := rapid.IntRange(0, len(all)).Draw(t, "at")
			got := make([]byte, rapid.IntRange(0, 50_000).Draw(t, "size"))
			n, err := c.ReadAt(got, int64(at))
			want := all[at:min(at+len(got), len(all))]
			if !bytes.Equal(got[:n], want) || (err == nil) != (n == len(got)) {
				t.Fatalf("%d bytes at %d: %d came, %v", len(got), at, n, err)
			}
		}
	})
}

// An old content gives its bytes as often as the pieces say, and holds in the end nothing of what they named.
func TestContentIsForgottenAsItIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 10*pageSizeBytes).Draw(t, "size")
		all := make([]byte, size)
		for i := range all {
			all[i] = byte(i*i>>7) | 1
		}
		c := newContent(int64(size))
		if _, err := c.Write(all); err != nil {
			t.Fatal(err)
		}
		var pieces []Piece
		for range rapid.IntRange(0, 12).Draw(t, "pieces") {
			from := rapid.IntRange(0, size-1).Draw(t, "from")
			pieces = append(pieces, Piece{int64(from), int64(rapid.IntRange(1, size-from).Draw(t, "length"))}, Piece{New, 5})
		}
		old := newPassing(c, pieces)
		for _, p := range pieces {
			if p.From == New {
				continue
			}
			got := make([]byte, p.SizeBytes)
			if _, err := old.ReadAt(got, p.From); err != nil || !bytes.Equal(got, all[p.From:p.From+p.SizeBytes]) {
				t.Fatalf("%d bytes at %d are not those (%v)", p.SizeBytes, p.From, err)
			}
		}
		for n, page := range c.pages {
			if page != nil {
				t.Errorf("page %d is still held", n)
			}
		}
		if _, err := old.ReadAt(make([]byte, 2), int64(size-1)); !fault.Is(err, fault.Corrupt) {
			t.Errorf("reading beyond the end gives %v", err)
		}
	})
}
