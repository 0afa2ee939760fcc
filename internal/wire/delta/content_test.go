package delta

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What was added is read again, from anywhere, and no more than the limit is taken.
func TestContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newContent(1 << 20)
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
		if c.sizeBytes() != int64(len(all)) {
			t.Fatalf("it holds %d bytes, want %d", c.sizeBytes(), len(all))
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
