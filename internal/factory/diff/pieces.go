package diff

import (
	"encoding/binary"
	"math/bits"

	"conifer.dev/conifer/internal/wire/delta"
)

// Pieces says how new resembles old: pieces that cover new in order. A piece may differ from what it is copied from in single bytes,
// such as addresses in code that moved.
func Pieces(old, new []byte) []delta.Piece {
	var p pieces
	if same := commonStart(old, new); same == len(new) {
		p.add(0, len(new))
		return p.all
	}
	if len(old) == 0 {
		p.add(delta.New, len(new))
		return p.all
	}
	return newWalker(old, new).run()
}

// pieces is a growing list that joins what belongs together.
type pieces struct{ all []delta.Piece }

func (p *pieces) add(from int64, n int) { p.append(delta.Piece{From: from, SizeBytes: int64(n)}) }

func (p *pieces) append(next delta.Piece) {
	if next.SizeBytes == 0 {
		return
	}
	if len(p.all) > 0 {
		last := &p.all[len(p.all)-1]
		if next.From == delta.New && last.From == delta.New || next.From != delta.New && last.From != delta.New && last.From+last.SizeBytes == next.From {
			last.SizeBytes += next.SizeBytes
			return
		}
	}
	p.all = append(p.all, next)
}

func countSame(a, b []byte) int {
	count := 0
	for i, c := range a {
		if c == b[i] {
			count++
		}
	}
	return count
}

// commonStart is how many bytes a and b have in common at their beginnings.
func commonStart(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}
