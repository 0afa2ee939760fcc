package gzframe

import (
	"math/bits"
	"slices"
)

const (
	symbolLimit  = 1<<15 - 1 // symbols in a block
	guessSymbols = 1 << 12   // how often it is guessed whether the block should end
)

// The alphabets of RFC 1951, 3.2.5.
const (
	endOfBlock      = 256
	firstLength     = 257
	literalSymbols  = 286 // and 2 more that only the fixed code has
	fixedSymbols    = 288
	distanceSymbols = 30
)

// The kinds of blocks (RFC 1951, 3.2.3).
const (
	storedBlock  = 0
	fixedBlock   = 1
	dynamicBlock = 2
)

// symbol is a match, or a literal when the distance is 0.
type symbol struct {
	distance uint16
	value    uint8 // the literal, or the length - minMatch
}

// block gathers symbols and then writes them in the way that takes the fewest bytes.
type block struct {
	bits      bitWriter
	symbols   []symbol
	literals  tree // of literals and lengths
	distances tree
}

func (b *block) init() {
	b.symbols = make([]symbol, 0, symbolLimit)
	b.literals = newTree(literalSymbols, maxCodeBits, lengthExtraBits[:], firstLength)
	b.distances = newTree(distanceSymbols, maxCodeBits, distanceExtraBits[:], 0)
	b.clear()
}

func (b *block) clear() {
	b.symbols = b.symbols[:0]
	clear(b.literals.counts)
	clear(b.distances.counts)
	b.literals.counts[endOfBlock] = 1
}

func (b *block) literal(c byte) {
	b.symbols = append(b.symbols, symbol{0, c})
	b.literals.counts[c]++
}

func (b *block) match(length, distance int) {
	s := symbol{uint16(distance), uint8(length - minMatch)}
	b.symbols = append(b.symbols, s)
	b.literals.counts[firstLength+int(lengthCodes[s.value])]++
	b.distances.counts[distanceCode(distance)]++
}

func (b *block) full() bool { return len(b.symbols) == symbolLimit }

// compressesWell guesses whether the block has come to less than half its plain size, with mostly literals: a good place to end it.
func (b *block) compressesWell(plainSizeBytes int) bool {
	sizeBits, matches := 8*len(b.symbols), 0
	for code, count := range b.distances.counts {
		sizeBits += int(count) * (5 + int(distanceExtraBits[code]))
		matches += int(count)
	}
	return matches < len(b.symbols)/2 && sizeBits/8 < plainSizeBytes/2
}

// flush writes the block. Its plain bytes are for a stored block, when they are still there.
func (b *block) flush(plain []byte, stored, last bool) {
	b.literals.build()
	b.distances.build()
	lengths := newLengthCode(&b.literals, &b.distances)

	const headerBits = 3
	dynamic := bytesFor(headerBits + b.literals.sizeBits(b.literals.lengths) + b.distances.sizeBits(b.distances.lengths) + lengths.sizeBits())
	fixed := bytesFor(headerBits + b.literals.sizeBits(fixedLiterals.lengths) + b.distances.sizeBits(fixedDistances.lengths))

	final := uint64(0)
	if last {
		final = 1
	}
	switch {
	case stored && len(plain)+4 <= min(dynamic, fixed):
		b.bits.add(storedBlock<<1|final, headerBits)
		b.bits.align()
		n := uint64(len(plain))
		b.bits.add(n|(^n&0xffff)<<16, 32)
		b.bits.bytes(plain)
	case fixed <= dynamic:
		b.bits.add(fixedBlock<<1|final, headerBits)
		b.write(&fixedLiterals, &fixedDistances)
	default:
		b.bits.add(dynamicBlock<<1|final, headerBits)
		lengths.write(&b.bits)
		b.write(&b.literals, &b.distances)
	}
	if last {
		b.bits.align()
	}
	b.clear()
}

func bytesFor(sizeBits int) int { return (sizeBits + 7) / 8 }

func (b *block) write(literals, distances *tree) {
	for _, s := range b.symbols {
		if s.distance == 0 {
			literals.write(&b.bits, int(s.value))
			continue
		}
		code := int(lengthCodes[s.value])
		literals.write(&b.bits, firstLength+code)
		b.bits.add(uint64(s.value)-uint64(lengthBases[code]), int(lengthExtraBits[code]))
		code = distanceCode(int(s.distance))
		distances.write(&b.bits, code)
		b.bits.add(uint64(s.distance)-uint64(distanceBases[code]), int(distanceExtraBits[code]))
	}
	literals.write(&b.bits, endOfBlock)
}

// The codes of lengths and distances (RFC 1951, 3.2.5): how many extra bits follow each, and the least value, of lengths less minMatch.
var (
	lengthExtraBits   [29]uint8
	lengthBases       [29]uint8
	lengthCodes       [256]uint8 // by length - minMatch
	distanceExtraBits [distanceSymbols]uint8
	distanceBases     [distanceSymbols]uint16
)

func init() {
	for code := range lengthBases {
		if code >= 8 {
			lengthExtraBits[code] = uint8(code/4 - 1)
		}
		if code > 0 {
			lengthBases[code] = lengthBases[code-1] + 1<<lengthExtraBits[code-1]
		}
	}
	// The longest length has a code of its own, although the one before reaches it.
	lengthBases[28], lengthExtraBits[28] = maxMatch-minMatch, 0
	for code, base := range lengthBases {
		for value := int(base); value < 256; value++ {
			lengthCodes[value] = uint8(code)
		}
	}
	distanceBases[0] = 1
	for code := 1; code < distanceSymbols; code++ {
		distanceExtraBits[code] = uint8(max(code/2-1, 0))
		distanceBases[code] = distanceBases[code-1] + 1<<distanceExtraBits[code-1]
	}
}

// distanceCode gives two codes to each power of two.
func distanceCode(distance int) int {
	d := uint(distance - 1)
	if d < 2 {
		return int(d)
	}
	n := bits.Len(d) - 1
	return 2*n + int(d>>(n-1)&1)
}

// The fixed codes (RFC 1951, 3.2.6).
var (
	fixedLiterals = fixedTree(slices.Concat(slices.Repeat([]uint8{8}, 144), slices.Repeat([]uint8{9}, 112),
		slices.Repeat([]uint8{7}, 24), slices.Repeat([]uint8{8}, fixedSymbols-280)))
	fixedDistances = fixedTree(slices.Repeat([]uint8{5}, distanceSymbols))
)
