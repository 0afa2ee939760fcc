package zframe

import (
	"math/bits"

	"conifer.dev/conifer/internal/wire/entropy"
)

// modelLimit is how slowly probabilities learn at last.
const modelLimit = 127

// mostEmpty is how many blocks may have no content.
const mostEmpty = 1 << 10

// models are what is learned of the cut while a frame is coded; distances that nothing told are most of what it costs.
type models struct {
	last, usualSize   entropy.Prob
	kinds             []entropy.Prob
	expected          []entropy.Prob
	ended             []entropy.Prob
	sameLiterals      []entropy.Prob
	literals          *entropy.Number
	chosen            []entropy.Prob
	whole             []entropy.Prob
	shorter, distance *entropy.Number
	misses            uint32 // the last expectations, 1 for each that was wrong
}

func newModels() *models {
	n, e := entropy.NewNumber, func(n int) []entropy.Prob { return make([]entropy.Prob, n) }
	return &models{
		kinds: e(4), expected: e(expectations), ended: e(16), sameLiterals: e(64 * 2), literals: n(), chosen: e(8 * 2 * 32 * 16),
		whole: e(64 * 4), shorter: n(), distance: n(),
	}
}

// block codes a block, and writes it.
func (s *session) block(b *Block) error {
	m := s.models
	b.Last = s.flag(&m.last, b.Last)
	b.Kind = Kind(entropy.Tree(s.c, m.kinds, 2, uint32(b.Kind), modelLimit))
	if b.Kind > Compressed {
		return corrupt("block is of the reserved kind")
	}
	most := min(s.content.size-s.anchor, maxBlock-s.anchor%maxBlock)
	if s.flag(&m.usualSize, b.Size == most) {
		b.Size = most
	} else {
		b.Size = int(s.c.Bits(18, uint32(b.Size)))
	}
	if b.Size > min(s.content.size-s.anchor, maxBlock) || b.Kind == RLE && b.Size == 0 {
		return corrupt("block has %d bytes where %d are left", b.Size, s.content.size-s.anchor)
	}
	if b.Size == 0 && !b.Last {
		if s.empty++; s.empty > mostEmpty {
			return corrupt("frame has more than %d empty blocks", mostEmpty)
		}
	}
	s.end = s.anchor + b.Size
	if b.Kind == Compressed {
		if err := s.compressed(b); err != nil {
			return err
		}
	} else {
		stored := b.Size
		if b.Kind == RLE {
			stored = 1
		}
		s.literals = s.content.append(s.literals[:0], s.anchor, s.anchor+stored)
		b.Literals = s.literals
		s.anchor = s.end
	}
	if s.out == nil {
		return nil
	}
	return s.out.Write(b)
}

// compressed codes a block with sequences.
func (s *session) compressed(b *Block) error {
	told := b.Sequences
	s.sequences, s.literals = s.sequences[:0], s.literals[:0]
	for s.end-s.anchor >= minMatch {
		var q Sequence
		more := len(told) > 0
		if more {
			q, told = told[0], told[1:]
		}
		q, more, err := s.sequence(q, more)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		s.literals = s.content.append(s.literals, s.anchor, s.anchor+int(q.Literals))
		s.sequences = append(s.sequences, q)
		s.current.Take(q)
		s.anchor += int(q.Literals + q.Match)
	}
	s.literals = s.content.append(s.literals, s.anchor, s.end)
	s.anchor = s.end
	b.Sequences, b.Literals = s.sequences, s.literals
	return s.describe(b)
}

// sequence codes the next sequence of a block, or that there is none.
func (s *session) sequence(q Sequence, more bool) (Sequence, bool, error) {
	m := s.models
	if s.c.Overrun() {
		return q, false, s.c.Err()
	}
	e, context := s.expect()
	if context > 0 {
		hit := s.flag(&m.expected[context], more && q == e)
		m.misses = m.misses<<1 | uint32(truth(!hit))
		if hit {
			return e, true, nil
		}
	}
	if s.flag(&m.ended[min(bits.Len(uint(s.end-s.anchor)), 15)], !more) {
		return q, false, nil
	}
	q, err := s.surprise(q, e)
	return q, true, err
}

// expectations is how many contexts there are.
const expectations = 1 + 2*3*8*16

// expect is the sequence that the old frame has here, and the context to judge it by, which is 0 when it has none that fits.
func (s *session) expect() (e Sequence, context int) {
	if s.guide == nil {
		return e, 0
	}
	g := s.guide
	g.look(s.anchor)
	if !g.known || g.match.length == 0 {
		return e, 0
	}
	start := max(g.start, s.anchor)
	e.Literals = uint32(start - s.anchor)
	length := g.start + int(g.match.length) - start
	if start+minMatch > s.end || start >= g.end {
		return e, 0
	}
	distance := g.suggest(start)
	if distance == 0 {
		return e, 0
	}
	full := s.content.common(start, start-distance, min(length+1, s.end-start))
	if full < minMatch {
		return e, 0
	}
	agrees := 0
	switch {
	case full > length && length >= minMatch:
		agrees = 1
	case full < length:
		agrees, length = 2, full
	default:
		length = full
	}
	e.Match = uint32(length)
	e.Value = uint32(distance) + 3
	kind := 1
	for i := range 3 {
		if s.current.named(i, e.Literals == 0) == uint32(distance) {
			e.Value, kind = uint32(i+1), 0
			break
		}
	}
	return e, 1 + ((kind*3+agrees)*8+min(bits.Len32(e.Match), 7))*16 + int(s.models.misses&15)
}

// named is the distance with a number from 0, or 0.
func (d Distances) named(i int, noLiterals bool) uint32 {
	if noLiterals {
		i++
	}
	if i == 3 {
		return d[0] - 1
	}
	return d[i]
}

// option is a match that the content allows.
type option struct {
	value, distance, length uint32
	gain                    int // bits that it saves, by and large
}

// literalBits is what a literal costs, and the others what a sequence costs beside the bits of its distance.
const (
	literalBits = 6
	repeatBits  = 2
	oldBits     = 2
	newBits     = 4
)

// farEnough is how many bytes options are compared for, and mostWasted how many bytes are compared for each byte of content and not
// matched, so that the work is bounded whatever the data say.
const (
	farEnough  = 256
	mostWasted = 16
)

// surprise codes a sequence that was not expected.
func (s *session) surprise(q, e Sequence) (Sequence, error) {
	m := s.models
	if s.flag(&m.sameLiterals[min(e.Literals, 63)*2+uint32(truth(e.Match > 0))], q.Literals == e.Literals) {
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
		return q, corrupt("sequence ends after its block")
	}
	full, err := s.source(&q, place)
	if err != nil {
		return q, err
	}
	if s.flag(&m.whole[min(full, 63)*4+truth(q.Value <= 3)], int(q.Match) == full) {
		q.Match = uint32(full)
		return q, nil
	}
	short, err := s.number(m.shorter, full-int(q.Match)-1, full-minMatch-1)
	if s.wasted += short + 1; s.wasted > mostWasted*(s.content.size+maxBlock) {
		return q, corrupt("frame has too many matches that end before they need to")
	}
	q.Match = uint32(full - 1 - short)
	return q, err
}

// source codes the distance of a match, and gives how many bytes are the same there.
func (s *session) source(q *Sequence, place int) (int, error) {
	m := s.models
	all := s.options(place, q.Literals == 0)
	for i, o := range all {
		more := len(all) - 1 - i
		c := ((min(i, 7)*2+truth(o.value <= 3))*32+int(min(o.length, 31)))*16 + min(more, 3)*4 + int(m.misses&3)
		if s.flag(&m.chosen[c], o.value == q.Value) {
			q.Value = o.value
			return s.content.common(place, place-int(o.distance), s.end-place), nil
		}
	}
	distance, err := s.number(m.distance, int(q.Value)-3, place)
	if err != nil {
		return 0, err
	}
	if distance <= 0 || distance > place {
		return 0, corrupt("match at byte %d is copied from %d bytes before", place, distance)
	}
	q.Value = uint32(distance) + 3
	full := s.content.common(place, place-distance, s.end-place)
	if full < minMatch {
		return 0, corrupt("match at byte %d is copied from bytes that are not the same", place)
	}
	return full, nil
}

// options are the matches that are known at a place, the likeliest first.
func (s *session) options(place int, noLiterals bool) []option {
	all := s.listed[:0]
	add := func(value, distance uint32, cost int) {
		if distance == 0 || int64(distance) > int64(place) {
			return
		}
		for _, o := range all {
			if o.distance == distance && value > 3 {
				return
			}
		}
		n := s.content.common(place, place-int(distance), min(s.end-place, farEnough))
		if n < minMatch {
			return
		}
		o := option{value, distance, uint32(n), literalBits*n - cost}
		all = append(all, o)
		i := len(all) - 1
		for ; i > 0 && all[i-1].gain < o.gain; i-- {
			all[i] = all[i-1]
		}
		all[i] = o
	}
	for i := range 3 {
		add(uint32(i+1), s.current.named(i, noLiterals), repeatBits)
	}
	if s.guide != nil {
		d := uint32(s.guide.suggest(place))
		add(d+3, d, oldBits+bits.Len32(d))
	}
	for _, p := range s.latest.before(place) {
		if p >= 0 {
			d := uint32(place - p)
			add(d+3, d, newBits+bits.Len32(d))
		}
	}
	s.listed = all
	return all
}
