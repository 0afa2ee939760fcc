package zframe

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is found has as many bytes in common as it says, also where they were not compared again.
func TestFoundIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SliceOfN(rapid.ByteRange(0, 3), 1, 300)
		var b []byte
		for range rapid.IntRange(1, 12).Draw(t, "pieces") {
			if p := piece.Draw(t, "piece"); len(b) == 0 || rapid.Bool().Draw(t, "new") {
				b = append(b, p...)
				continue
			}
			from := rapid.IntRange(0, len(b)-1).Draw(t, "from")
			b = append(b, slices.Clone(b[from:min(len(b), from+300)])...)
		}
		content := NewPages(1 << 20)
		if _, err := content.Write(b); err != nil {
			t.Fatal(err)
		}
		content.close()
		r := newRecent(content, 1<<8)
		for place := 0; place < len(b); place += rapid.SampledFrom([]int{1, 1, 1, 1, 7}).Draw(t, "step") {
			for _, c := range r.add(nil, place, len(b)-place) {
				want := 0
				for other := place - int(c.distance); place+want < len(b) && b[other+want] == b[place+want]; want++ {
				}
				if int(c.length) != want {
					t.Fatalf("place %d has %d bytes in common with %d before it, want %d", place, c.length, c.distance, want)
				}
			}
		}
	})
}
