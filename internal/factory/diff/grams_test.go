package diff

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Every place that has the eight bytes is found, or at least n on each side are nearer.
func TestGramsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := bytes.Repeat(rapid.SliceOfN(rapid.ByteRange(0, 1), 1, 40).Draw(t, "period"), rapid.IntRange(1, 20).Draw(t, "times"))
		place := rapid.IntRange(-10, len(text)+10).Draw(t, "place")
		n := rapid.IntRange(1, 9).Draw(t, "n")
		want := text[rapid.IntRange(0, len(text)-1).Draw(t, "want"):]
		got := newGrams(text).near(want, place, n, nil)
		if len(want) < gramBytes {
			if len(got) > 0 {
				t.Fatalf("found %v by %d bytes", got, len(want))
			}
			return
		}
		below, above := 0, 0
		for _, p := range got {
			if p < place {
				below++
			} else {
				above++
			}
		}
		for p := 0; p+gramBytes <= len(text); p++ {
			if !bytes.Equal(text[p:p+gramBytes], want[:gramBytes]) || slices.Contains(got, p) {
				continue
			}
			if p < place && below < n || p >= place && above < n {
				t.Fatalf("%d is not among %v, near %d", p, got, place)
			}
		}
	})
}
