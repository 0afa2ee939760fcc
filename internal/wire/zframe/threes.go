package zframe

import "math/bits"

// threes finds the latest place with the same three bytes, as far as its table tells, which is all that libzstd remembers of matches so short.
type threes struct {
	content *Pages
	reach   int
	latest  []uint32 // place + 1, by the hash of three bytes
}

const (
	threeReach   = 1 << 18
	threeLogMost = 17
)

func newThrees(content *Pages, window int) *threes {
	return &threes{content, min(threeReach, window+1), make([]uint32, 1<<min(threeLogMost, bits.Len(uint(window))-1))}
}

// fill adds to the answers of the next batch what has the same three bytes, where candidates were looked for.
func (t *threes) fill(b *batch, first int) {
	const prime = 506832829
	shift := 33 - bits.Len(uint(len(t.latest)))
	for i := range min(batchPlaces, t.content.size-first) {
		place := first + i
		slot := &t.latest[uint32(t.content.word(place))<<8*prime>>shift]
		if distance := place + 1 - int(*slot); *slot > 0 && distance < t.reach && b.answers[i].looked {
			b.answers[i].three = uint32(distance)
		}
		*slot = uint32(place) + 1
	}
}
