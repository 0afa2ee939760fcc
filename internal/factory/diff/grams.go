package diff

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// gramBytes is how many equal bytes lead to a place.
const gramBytes = 8

// maxPlaces bounds the memory of an index: of a longer text it knows every second place, or every fourth, and so on.
const maxPlaces = 256 << 20

// grams knows where in a text any eight bytes are, in ascending order.
type grams struct {
	text   []byte
	step   int
	shift  uint
	starts []uint32 // for each hash, where its places begin
	places []uint32 // in steps
}

func newGrams(text []byte) *grams {
	g := &grams{text: text, step: 1}
	for len(text)/g.step > maxPlaces {
		g.step *= 2
	}
	n := max(len(text)-gramBytes+g.step, 0) / g.step
	size := min(max(bits.Len(uint(n)), 8), 24)
	g.shift = uint(64 - size)
	g.starts = make([]uint32, 1<<size+1)
	g.places = make([]uint32, n)
	for i := range n {
		g.starts[g.hash(text[i*g.step:])+1]++
	}
	for h := 1; h < len(g.starts); h++ {
		g.starts[h] += g.starts[h-1]
	}
	next := slices.Clone(g.starts)
	for i := range n {
		h := g.hash(text[i*g.step:])
		g.places[next[h]] = uint32(i)
		next[h]++
	}
	return g
}

func (g *grams) hash(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) * multiplier >> g.shift
}

// near appends the places whose bytes may be those that b begins with, at most n on each side of a place, to found.
func (g *grams) near(b []byte, place, n int, found []int) []int {
	if len(b) < gramBytes {
		return found
	}
	h := g.hash(b)
	all := g.places[g.starts[h]:g.starts[h+1]]
	i, _ := slices.BinarySearch(all, uint32(max(place, 0)/g.step))
	for _, p := range all[max(i-n, 0):min(i+n, len(all))] {
		found = append(found, int(p)*g.step)
	}
	return found
}
