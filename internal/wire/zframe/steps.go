package zframe

import (
	"math/bits"

	"conifer.dev/conifer/internal/wire/entropy"
)

// modelLimit is how slowly probabilities learn at last.
const modelLimit = 127

// models are what is learned of the cut while a frame is coded.
type models struct {
	chunks                *entropy.Number
	usualSize, wholeSize  entropy.Prob
	units                 []entropy.Prob
	blocks, counts, tails *entropy.Number
	kinds                 []entropy.Prob
	expected              []entropy.Prob
	misses                uint32 // the last expectations, 1 for each that was wrong
	ended                 entropy.Prob
	sameLiterals          []entropy.Prob
	literals              *entropy.Number
	isRepeat, repeat      []entropy.Prob
	listed, whole         []entropy.Prob
	shorter, distance     *entropy.Number
}

func newModels() *models {
	n, e := entropy.NewNumber, func(n int) []entropy.Prob { return make([]entropy.Prob, n) }
	return &models{
		chunks: n(), units: e(16), blocks: n(), counts: n(), tails: n(), kinds: e(4),
		expected: e(expectations), sameLiterals: e(64), literals: n(), isRepeat: e(2), repeat: e(2 * 4),
		listed: e(64), whole: e(64), shorter: n(), distance: n(),
	}
}

// block codes a block, and writes it.
func (s *session) block(b *Block, lastOfChunk bool) error {
	m := s.models
	start := s.anchor
	b.Kind = Kind(entropy.Tree(s.c, m.kinds, 2, uint32(b.Kind), modelLimit))
	if b.Kind > Compressed {
		return corrupt("block is of the reserved kind")
	}
	code := s.stored
	if b.Kind == Compressed {
		code = s.compressed
	}
	if err := code(b, lastOfChunk); err != nil {
		return err
	}
	if b.Size = s.anchor - start; b.Size == 0 && !b.Last {
		if s.empty++; s.empty > mostEmpty {
			return corrupt("frame has more than %d empty blocks", mostEmpty)
		}
	}
	if s.out == nil {
		return nil
	}
	return s.out.Write(b)
}

// stored codes a block without sequences. Whatever libzstd found in it went into its prices.
func (s *session) stored(b *Block, lastOfChunk bool) error {
	start, size := s.anchor, s.end-s.anchor
	if !lastOfChunk {
		size = int(s.c.Bits(18, uint32(b.Size)))
	}
	if size > s.end-start || b.Kind == RLE && size == 0 {
		return corrupt("block has %d bytes where %d are left", size, s.end-start)
	}
	stored := size
	if b.Kind == RLE {
		stored = 1
	}
	s.literals = s.content.append(s.literals[:0], start, start+stored)
	b.Literals = s.literals
	if lastOfChunk && s.start == start {
		s.imagine()
		s.planner.distances = s.current
	}
	s.restart(start + size)
	return nil
}

// compressed codes a block with sequences.
func (s *session) compressed(b *Block, lastOfChunk bool) error {
	count, tail, err := s.codeCount(b, lastOfChunk)
	if err != nil {
		return err
	}
	told := b.Sequences
	s.sequences, s.literals = s.sequences[:0], s.literals[:0]
	for i := 0; i < count; i++ {
		q, more := Sequence{}, i < len(told)
		if more {
			q = told[i]
		}
		if q, more, err = s.step(q, more, lastOfChunk); err != nil {
			return err
		}
		if !more {
			break
		}
		s.literals = s.content.append(s.literals, s.anchor, s.anchor+int(q.Literals))
		s.sequences = append(s.sequences, q)
		s.current.Take(q)
		s.take(q)
	}
	if lastOfChunk {
		tail = s.end - s.anchor
	}
	if tail > s.end-s.anchor {
		return corrupt("literals go on after their chunk")
	}
	s.literals = s.content.append(s.literals, s.anchor, s.anchor+tail)
	if tail > 0 {
		s.restart(s.anchor + tail)
	}
	b.Sequences, b.Literals = s.sequences, s.literals
	return s.describe(b)
}

// codeCount codes how many sequences a block has, and how many literals are after them. At the end of a chunk this is found out.
func (s *session) codeCount(b *Block, lastOfChunk bool) (count, tail int, err error) {
	if lastOfChunk {
		return maxSequences + 1, 0, nil
	}
	tail = b.Size
	for _, q := range b.Sequences {
		tail -= int(q.Literals + q.Match)
	}
	if count, err = s.number(s.models.counts, len(b.Sequences), maxSequences); err != nil {
		return 0, 0, err
	}
	tail, err = s.number(s.models.tails, tail, maxBlock)
	return count, tail, err
}

// step codes the next sequence of a block, or that there is none.
func (s *session) step(q Sequence, more, mayEnd bool) (Sequence, bool, error) {
	m := s.models
	var e Sequence
	expected := s.foresee()
	if expected {
		e = s.planned[0]
	}
	if s.c.Overrun() {
		return q, false, s.c.Err()
	}
	if expected || mayEnd {
		hit := s.flag(&m.expected[s.context(e, expected)], more == expected && q == e)
		m.misses = m.misses<<1 | uint32(truth(!hit))
		if hit {
			return e, expected, nil
		}
		if expected && mayEnd && s.flag(&m.ended, !more) {
			return Sequence{}, false, nil
		}
	}
	q, err := s.surprise(q, e)
	return q, true, err
}

// expectations is how many contexts there are.
const expectations = 3 * 4 * 8 * 4 * 4

// context is what an expectation is judged by: whether it has a recent distance, what the old frame did here, the length of the match, the
// last misses, and how much of the series came true.
func (s *session) context(e Sequence, expected bool) int {
	if !expected {
		return 0
	}
	kind, agrees := 1+truth(e.Value <= 3), 0
	switch a, _ := s.found.at(s.anchor); {
	case a.match == 0:
	case a.literals != e.Literals:
		agrees = 3
	case a.match != e.Match:
		agrees = 2
	default:
		agrees = 1
	}
	length := min(bits.Len32(e.Match), 7)
	return (((kind*4+agrees)*8+length)*4+min(bits.OnesCount8(uint8(s.models.misses)), 3))*4 + min(len(s.taken), 3)
}

// surprise codes a sequence that was not expected.
func (s *session) surprise(q, e Sequence) (Sequence, error) {
	m := s.models
	if s.flag(&m.sameLiterals[min(e.Literals, 63)], q.Literals == e.Literals) {
		q.Literals = e.Literals
	} else {
		n, err := s.number(m.literals, int(q.Literals), maxBlock)
		if err != nil {
			return q, err
		}
		q.Literals = uint32(n)
	}
	place := s.anchor + int(q.Literals)
	if place+minMatch > s.end {
		return q, corrupt("sequence ends after its chunk")
	}
	distance, err := s.source(&q, place)
	if err != nil {
		return q, err
	}
	full := s.content.common(place, place-distance, s.end-place)
	if full < minMatch {
		return q, corrupt("match at byte %d is copied from bytes that are not the same", place)
	}
	if s.flag(&m.whole[min(full, 63)], int(q.Match) == full) {
		q.Match = uint32(full)
		return q, nil
	}
	short, err := s.number(m.shorter, full-int(q.Match)-1, full-minMatch-1)
	q.Match = uint32(full - 1 - short)
	return q, err
}

// source codes the distance of a match.
func (s *session) source(q *Sequence, place int) (int, error) {
	m := s.models
	none := min(q.Literals, 1)
	if s.flag(&m.isRepeat[none], q.Value <= 3) {
		q.Value = entropy.Tree(s.c, m.repeat[none*4:][:4], 2, q.Value-1, modelLimit) + 1
		d := s.current
		distance := d.Take(*q)
		if q.Value > 3 || distance == 0 || int64(distance) > int64(place) {
			return 0, corrupt("match at byte %d is copied from %d bytes before", place, distance)
		}
		return int(distance), nil
	}
	all := s.distances(place)
	for i, d := range all {
		if s.flag(&m.listed[min(i, 31)*2+min(len(all)-1-i, 1)], d+3 == q.Value) {
			q.Value = d + 3
			return int(d), nil
		}
	}
	distance, err := s.number(m.distance, int(q.Value)-3, place)
	if err != nil {
		return 0, err
	}
	if distance == 0 || distance > place {
		return 0, corrupt("match at byte %d is copied from %d bytes before", place, distance)
	}
	q.Value = uint32(distance) + 3
	return distance, nil
}

// distances are those of all that was found at a place.
func (s *session) distances(place int) []uint32 {
	a, found := s.found.at(place)
	s.listed = s.listed[:0]
	if d := int(a.three); d > 0 && s.content.common(place, place-d, s.end-place) >= minMatch {
		s.listed = append(s.listed, a.three)
	}
	for _, c := range found {
		s.listed = append(s.listed, c.distance)
	}
	return s.listed
}
