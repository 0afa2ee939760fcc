package zframe

import "math/bits"

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

// slots are where a place is in the tables.
func (l *latest) slots(place int) [len(depths)]uint32 {
	const prime, other = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
	w := l.content.word(place)
	v := l.content.word(place+8) << 32 * other
	return [...]uint32{
		uint32(w << 40 * prime >> l.shift), uint32(w << 32 * prime >> l.shift), uint32(w << 16 * prime >> l.shift),
		uint32(w * prime >> l.shift), uint32((w ^ v) * prime >> l.shift),
	}
}

// before gives the places before one that may begin as it does, and -1 for none, in the order of the depths. It is asked with rising places.
func (l *latest) before(place int) (places [len(depths)]int) {
	for ; l.next < place; l.next++ {
		for i, s := range l.slots(l.next) {
			l.tables[i][s] = uint32(l.next + 1)
		}
	}
	for i, s := range l.slots(place) {
		places[i] = int(l.tables[i][s]) - 1
	}
	return places
}
