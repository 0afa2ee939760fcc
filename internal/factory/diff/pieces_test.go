package diff

import (
	"bytes"
	"testing"

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
