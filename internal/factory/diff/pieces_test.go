package diff

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/delta"
)

// edited draws bytes that are made of old by what happens to files: parts are moved, changed, removed and put in.
func edited(t *rapid.T, old []byte) []byte {
	var now []byte
	for range rapid.IntRange(0, 6).Draw(t, "parts") {
		if rapid.Bool().Draw(t, "new") || len(old) == 0 {
			now = append(now, rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "bytes")...)
			continue
		}
		from := rapid.IntRange(0, len(old)-1).Draw(t, "from")
		part := bytes.Clone(old[from : from+rapid.IntRange(0, len(old)-from).Draw(t, "size")])
		if len(part) > 0 {
			for _, at := range rapid.SliceOfN(rapid.IntRange(0, len(part)-1), 0, 10).Draw(t, "changes") {
				part[at]++
			}
		}
		now = append(now, part...)
	}
	return now
}

func drawOld(t *rapid.T) []byte {
	old := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "old")
	if rapid.Bool().Draw(t, "periodic") {
		old = bytes.Repeat(old[:min(len(old), 7)], 40)
	}
	return old
}

// checkPieces states what holds of any list of pieces.
func checkPieces(t interface{ Fatalf(string, ...any) }, all []delta.Piece, oldSize, newSize int) {
	sum := int64(0)
	for _, p := range all {
		if p.SizeBytes < 1 || p.From < delta.New || p.From+p.SizeBytes > int64(oldSize) && p.From != delta.New {
			t.Fatalf("piece %v of %d old bytes", p, oldSize)
		}
		sum += p.SizeBytes
	}
	if sum != int64(newSize) {
		t.Fatalf("pieces cover %d bytes, want %d: %v", sum, newSize, all)
	}
}

func TestPiecesCoverAnyEdit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawOld(t)
		now := edited(t, old)
		checkPieces(t, Pieces(old, now), len(old), len(now))
	})
}

// A change in the middle leaves the rest in place, and a part that was moved is found.
func TestPiecesFindWhatMoved(t *testing.T) {
	old := make([]byte, 20000)
	random := rand.NewChaCha8([32]byte{})
	random.Read(old)
	cut := func(from, to int) delta.Piece { return delta.Piece{From: int64(from), SizeBytes: int64(to - from)} }
	changed := bytes.Clone(old)
	for i := 5000; i < 5100; i += 20 {
		changed[i]++
	}
	put := bytes.Repeat([]byte("put in"), 20)
	for name, c := range map[string]struct {
		now  []byte
		want []delta.Piece
	}{
		"equal":   {old, []delta.Piece{cut(0, 20000)}},
		"changed": {changed, []delta.Piece{cut(0, 20000)}},
		"put in":  {slices.Concat(old[:7000], put, old[7000:]), []delta.Piece{cut(0, 7000), {From: delta.New, SizeBytes: 120}, cut(7000, 20000)}},
		"removed": {slices.Concat(old[:7000], old[8000:]), []delta.Piece{cut(0, 7000), cut(8000, 20000)}},
		"swapped": {slices.Concat(old[12000:], changed[:12000]), []delta.Piece{cut(12000, 20000), cut(0, 12000)}},
		"empty":   {nil, nil},
	} {
		if diff := cmp.Diff(c.want, Pieces(old, c.now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
