package zframe

import (
	"encoding/binary"
	"math/bits"
)

// latest finds the latest place before one that begins with the same bytes, for some numbers of bytes. Its tables have a fixed size: of
// places that share a slot only the latest is known, and who asks must compare. So what it costs does not depend on the content.
type latest struct {
	content *Pages
	tables  [len(depths)][]uint32 // the place + 1
	shift   int                   // of a hash of 64 bits
	next    int                   // no place from here on is known
}

// depths are the numbers of bytes. The shortest match has three; beyond twelve the latest place with twelve is nearly always the one.
var depths = [...]int{3, 4, 6, 8, 12}

const mostSlots = 18 // the logarithm of the slots of a table, of 4 bytes each

func newLatest(content *Pages) *latest {
	log := min(mostSlots, bits.Len(uint(content.size)))
	l := &latest{content: content, shift: 64 - log}
	for i := range l.tables {
		l.tables[i] = make([]uint32, 1<<log)
	}
	return l
}

// slots are where a place is in the tables, whose first eight bytes are w, and the four after them v.
func (l *latest) slots(w uint64, v uint32) (a, b, c, d, e uint32) {
	const prime, other = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
	shift := l.shift & 63
	return uint32(w << 40 * prime >> shift), uint32(w << 32 * prime >> shift), uint32(w << 16 * prime >> shift),
		uint32(w * prime >> shift), uint32((w ^ uint64(v)<<32*other) * prime >> shift)
}

// before gives the places before one that may begin as it does, and -1 for none, in the order of the depths. It is asked with rising places.
func (l *latest) before(place int) [len(depths)]int {
	for l.next < place {
		l.enter(place)
	}
	a, b, c, d, e := l.slots(l.content.word(place), uint32(l.content.word(place+8)))
	t := &l.tables
	return [...]int{int(t[0][a]) - 1, int(t[1][b]) - 1, int(t[2][c]) - 1, int(t[3][d]) - 1, int(t[4][e]) - 1}
}

// enter makes the places before one known, at least the next. Nearly all of a reader's work for the cut is here.
func (l *latest) enter(before int) {
	in := l.next % PageSizeBytes
	n := min(before-l.next, PageSizeBytes-12-in+1)
	if n <= 0 {
		l.put(l.content.word(l.next), uint32(l.content.word(l.next+8)))
		return
	}
	page := l.content.pages[l.next/PageSizeBytes][in:]
	for i := range n {
		at := page[i : i+12 : i+12]
		l.put(binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint32(at[8:]))
	}
}

// put makes the next place known.
func (l *latest) put(w uint64, v uint32) {
	a, b, c, d, e := l.slots(w, v)
	l.next++
	now, t := uint32(l.next), &l.tables
	t[0][a], t[1][b], t[2][c], t[3][d], t[4][e] = now, now, now, now, now
}
