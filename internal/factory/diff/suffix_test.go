package diff

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The suffixes are in the order in which sorting them one by one puts them.
func TestSuffixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.IntRange(1, 256).Draw(t, "letters")
		text := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) byte {
			return byte(rapid.IntRange(0, letters-1).Draw(t, "letter"))
		}), 0, 300).Draw(t, "text")
		if rapid.Bool().Draw(t, "periodic") {
			text = bytes.Repeat(text, rapid.IntRange(1, 5).Draw(t, "times"))
		}
		want := make([]int32, len(text))
		for i := range want {
			want[i] = int32(i)
		}
		slices.SortFunc(want, func(a, b int32) int { return bytes.Compare(text[a:], text[b:]) })
		if diff := cmp.Diff(want, suffixes(text)); diff != "" {
			t.Fatalf("suffixes of %q (-want +got):\n%s", text, diff)
		}
	})
}
