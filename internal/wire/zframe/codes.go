package zframe

import "math/bits"

// span is the numbers a code stands for: from base on, told apart by so many bits.
type span struct {
	base uint32
	bits uint8
}

// How many codes there are.
const (
	literalCodes = 36
	offsetCodes  = 32
	matchCodes   = 53
)

// fillSpans makes the spans of codes: the first are one number each, from first on, and the last have so many bits.
func fillSpans(all []span, first uint32, widths ...uint8) {
	single := len(all) - len(widths)
	for i := range all {
		all[i].base = first
		if i >= single {
			all[i].bits = widths[i-single]
		}
		first += 1 << all[i].bits
	}
}

var literalSpans = func() (all [literalCodes]span) {
	fillSpans(all[:], 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
	return
}()

var matchSpans = func() (all [matchCodes]span) {
	fillSpans(all[:], minMatch, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
	return
}()

// small is how many numbers have their code in a table: all lengths that a parser weighs.
const small = 1 << 10

// smallCodes is the code of each small number.
func smallCodes(all []span) (codes [small]uint8) {
	for c, s := range all {
		for i := s.base; i < min(s.base+1<<s.bits, small); i++ {
			codes[i] = uint8(c)
		}
	}
	return
}

var (
	smallLiteral = smallCodes(literalSpans[:])
	smallMatch   = smallCodes(matchSpans[:])
)

// literalCodeOf is the code of a number of literals.
func literalCodeOf(n uint32) uint8 {
	if n < small {
		return smallLiteral[n]
	}
	return uint8(bits.Len32(n)) + 18
}

// matchCodeOf is the code of a match length.
func matchCodeOf(n uint32) uint8 {
	if n < small {
		return smallMatch[n]
	}
	return uint8(bits.Len32(n-minMatch)) + 35
}

// codes of a sequence, in the order of the constants.
func (s Sequence) codes() [3]uint8 {
	return [3]uint8{literalCodeOf(s.Literals), uint8(bits.Len32(s.Value) - 1), matchCodeOf(s.Match)}
}

// predefined are the tables of the specification.
var predefined = [3]*table{
	newTable(counts{6, []int16{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1}}),
	newTable(counts{5, []int16{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1}}),
	newTable(counts{6, []int16{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1}}),
}

var (
	maxLogs    = [3]int{9, 8, 9}
	symbolsMax = [3]int{literalCodes, offsetCodes, matchCodes}
)
