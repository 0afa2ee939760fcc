package zframe

import (
	"math/bits"

	"conifer.dev/conifer/internal/wire/entropy"
)

// The kinds of candidate for a match: as the old frame has it, a recent distance, the nearest place that has the same next bytes.
const (
	asPast = iota
	recent
	nearest = recent + 3
	kinds   = nearest + len(tableBytes)
)

// The tables of nearest places: for how many bytes, and how many places each holds. Together 9 MiB.
var (
	tableBytes = [...]int{3, 4, 5, 6, 7, 8, 12, 20}
	tableBits  = [...]int{15, 19, 19, 19, 18, 18, 17, 16}
)

// candidate is a place that the next match can be copied from.
type candidate struct {
	kind     int
	distance uint32
	length   int // how far it goes
}

// parse codes how a content was cut into literals and matches.
type parse struct {
	c         *entropy.Coder
	content   *Pages
	reading   bool
	at        int // in the content
	filled    int // up to where the tables know the content
	old       *past
	distances Distances
	shape     shape
	out       Block

	tables [len(tableBytes)][]uint32
	list   []candidate
	first  step // what the old frame does here
	was    uint32
	known  bool
	best   int

	start      [4][]entropy.Prob
	startMix   *entropy.Mixer
	chosen     [4][]entropy.Prob
	chosenMix  *entropy.Mixer
	full       [3][]entropy.Prob
	fullMix    *entropy.Mixer
	asOld      []entropy.Prob
	length     *entropy.Number
	shorter    []entropy.Prob
	far        *entropy.Number
	history    uint32
	lastKind   int
	lastLength int
}

const parseLimit = 400

func (p *parse) init() {
	p.shape = newShape()
	for i, n := range tableBits {
		p.tables[i] = make([]uint32, 1<<n)
	}
	for _, probs := range [][][]entropy.Prob{p.start[:], p.chosen[:], p.full[:]} {
		for i := range probs {
			probs[i] = entropy.Evens(1 << 16)
		}
	}
	p.startMix = entropy.NewMixer(len(p.start), 256, 5)
	p.chosenMix = entropy.NewMixer(len(p.chosen), kinds*8, 5)
	p.fullMix = entropy.NewMixer(len(p.full), kinds*8, 5)
	p.asOld, p.shorter = entropy.Evens(1<<10), entropy.Evens(1<<16)
	p.length, p.far = entropy.NewNumber(), entropy.NewNumber()
	p.list = make([]candidate, 0, kinds)
}

func bitLen(n int) int { return bits.Len(uint(n)) }

func (p *parse) slot(table, at int) *uint32 {
	n := tableBytes[table]
	h := p.content.word(at)
	if n < 8 {
		h <<= 64 - 8*n
	} else if n > 8 {
		h = h*0x9E3779B97F4A7C15 ^ bits.RotateLeft64(p.content.word(at+n-8), 29)
		if n > 16 {
			h ^= p.content.word(at+8) * 0xC2B2AE3D27D4EB4F
		}
	}
	return &p.tables[table][h*0x9E3779B97F4A7C15>>(64-tableBits[table])]
}

// fill makes the content before at known to the tables.
func (p *parse) fill(at int) {
	for ; p.filled < at; p.filled++ {
		if p.filled >= 64 && p.content.word(p.filled) == 0 && p.content.word(p.filled-8) == 0 && p.content.word(p.filled+8) == 0 {
			continue // in long runs of zeros, all are the same
		}
		for t := range p.tables {
			*p.slot(t, p.filled) = uint32(p.filled + 1)
		}
	}
}

// same is how far the content at a equals that at b, up to end.
func (p *parse) same(a, b, end int) int {
	n := 0
	for b+n < end {
		if x := p.content.word(a+n) ^ p.content.word(b+n); x != 0 {
			return min(n+bits.TrailingZeros64(x)/8, end-b)
		}
		n += 8
	}
	return end - b
}

// look lists the candidates at a place, each distance once.
func (p *parse) look(at, end, literals int) {
	p.list, p.best = p.list[:0], 0
	p.first, p.was, p.known = p.old.find(at)
	p.fill(at)
	if p.known && p.first.match <= p.was {
		if from, ok := p.old.align.ToNew(int64(p.first.match) - int64(p.first.distance)); ok {
			from += int64(p.was - p.first.match)
			if d := int64(at) - from; d > 0 && d <= int64(at) {
				p.add(asPast, uint32(d), at, end)
			}
		}
	}
	for i := range 3 {
		value := uint32(i + 1)
		d := p.distances
		p.add(recent+i, d.Take(Sequence{Literals: uint32(literals), Value: value}), at, end)
	}
	for t := range p.tables {
		if from := int(*p.slot(t, at)); from > 0 {
			p.add(nearest+t, uint32(at-from+1), at, end)
		}
	}
}

func (p *parse) add(kind int, distance uint32, at, end int) {
	if distance == 0 || int64(distance) > int64(at) {
		return
	}
	for i := range p.list {
		if p.list[i].distance == distance {
			return
		}
	}
	n := p.same(at-int(distance), at, end)
	if n < minMatch {
		return
	}
	p.list = append(p.list, candidate{kind, distance, n})
	p.best = max(p.best, n)
}

func hash(a, b int) int {
	return int(uint32(a)*0x9E3779B1^uint32(b)*0x85EBCA6B) * 0xC2B2AE35 & 0xffffffff >> 16
}

// starts codes whether a match begins here.
func (p *parse) starts(at, literals int, told bool) bool {
	past := 0 // nothing known, a match begins here, literals, within a match
	if p.known {
		switch {
		case p.first.match == p.was:
			past = 1
		case p.first.match > p.was:
			past = 2 + min(int(p.first.match-p.was), 3)
		default:
			past = 6 + min(int(p.first.match+p.first.length-p.was), 9)/2
		}
	}
	recentBest, oldFits, firstKind := 0, 0, 0
	for i := range p.list {
		c := &p.list[i]
		if c.kind >= recent && c.kind < nearest {
			recentBest = max(recentBest, c.length)
		}
		if c.kind == asPast && past == 1 {
			oldFits = 1
			if c.length == int(p.first.length) {
				oldFits = 2
			} else if c.length > int(p.first.length) {
				oldFits = 3
			}
		}
		if c.length == p.best && firstKind == 0 {
			firstKind = c.kind + 1
		}
	}
	best, rb, lit := min(p.best, 15), min(recentBest, 15), min(literals, 7)
	ctx := [...]int{
		(past<<4|best)<<3 | lit,
		hash(past<<8|oldFits<<4|rb, best<<4|firstKind),
		hash(int(p.content.byte(at))|lit<<8, best|past<<8),
		hash(int(p.history&0xff)<<8|past<<2|oldFits, best<<4|rb) ^ lit<<3,
	}
	for i, x := range ctx {
		p.startMix.Add(&p.start[i][x&0xffff])
	}
	bit := p.startMix.Code(p.c, past<<4|best, truth(told))
	for i, x := range ctx {
		p.start[i][x&0xffff].Learn(bit, parseLimit)
	}
	p.history = p.history<<1 | uint32(bit)
	return bit == 1
}

// choose codes which candidate the match is copied from, and how long it is.
func (p *parse) choose(told Sequence, distance uint32, at, end, literals int) (got uint32, length int, err error) {
	pastLength := 0
	if p.known && p.first.match == p.was {
		pastLength = int(p.first.length)
	}
	longestSeen := 0
	for i := range p.list {
		c := &p.list[i]
		fits := 0
		if pastLength > 0 {
			fits = 1 + truth(c.length == pastLength) + 2*truth(c.length > pastLength)
		}
		d := bitLen(int(c.distance))
		gap := min(p.best-c.length, 7)
		more := min(max(c.length-longestSeen, 0), 3)
		ctx := [...]int{
			((c.kind<<2|fits)<<3|gap)<<4 | min(c.length, 15),
			hash(c.kind<<5|d, gap<<8|min(c.length, 31)<<2|more),
			hash(c.kind<<4|p.lastKind, fits<<6|gap<<3|min(literals, 7)) ^ i,
			hash(c.kind<<8|int(p.history&15), min(c.length, 63)<<4|min(p.best, 15)),
		}
		for k, x := range ctx {
			p.chosenMix.Add(&p.chosen[k][x&0xffff])
		}
		bit := p.chosenMix.Code(p.c, c.kind*8+gap, truth(!p.reading && c.distance == distance))
		for k, x := range ctx {
			p.chosen[k][x&0xffff].Learn(bit, parseLimit)
		}
		if bit == 1 {
			p.lastKind = c.kind
			length, err = p.extent(c, int(told.Match), pastLength)
			return c.distance, length, err
		}
		longestSeen = max(longestSeen, c.length)
	}
	p.lastKind = kinds
	got = uint32(p.far.Code(p.c, uint64(distance)))
	if got == 0 || int64(got) > int64(at) {
		return 0, 0, corrupt("match is copied from %d bytes before byte %d", got, at)
	}
	c := candidate{kinds - 1, got, p.same(at-int(got), at, end)}
	if c.length < minMatch {
		return 0, 0, corrupt("match is copied from bytes that are not the same")
	}
	length, err = p.extent(&c, int(told.Match), pastLength)
	return got, length, err
}

// extent codes how long a match is: usually as far as it goes.
func (p *parse) extent(c *candidate, told, pastLength int) (int, error) {
	fits := 0
	if pastLength > 0 {
		fits = 1 + truth(c.length == pastLength) + 2*truth(c.length > pastLength)
	}
	gap := min(p.best-c.length, 7)
	ctx := [...]int{
		((c.kind<<2|fits)<<3|gap)<<4 | min(c.length, 15),
		hash(fits<<8|min(c.length, 255), bitLen(int(c.distance))),
		hash(c.kind<<4|fits, min(c.length, 31)<<8|int(p.history&15)),
	}
	for k, x := range ctx {
		p.fullMix.Add(&p.full[k][x&0xffff])
	}
	full := p.fullMix.Code(p.c, c.kind*8+fits, truth(told == c.length))
	for k, x := range ctx {
		p.full[k][x&0xffff].Learn(full, parseLimit)
	}
	if full == 1 {
		return c.length, nil
	}
	if fits == 3 && pastLength < c.length {
		if p.asOld[min(c.length-pastLength, 31)<<5|min(pastLength, 31)].Code(p.c, truth(told == pastLength), parseLimit) == 1 {
			return pastLength, nil
		}
	}
	if c.length-minMatch < 64 {
		n := int(entropy.Tree(p.c, p.shorter[c.length<<6&0xffff:][:64], 6, uint32(c.length-1-told), parseLimit))
		told = c.length - 1 - n
	} else {
		told = c.length - 1 - int(p.length.Code(p.c, uint64(c.length-1-told)))
	}
	if told < minMatch || told >= c.length {
		return 0, corrupt("match of %d bytes where %d are the same", told, c.length)
	}
	return told, nil
}

// sequences codes those of a block whose content ends at end.
func (p *parse) sequences(told, b *Block, end int) error {
	literals, at := 0, p.at
	next := 0
	for at < end {
		var s Sequence
		starts := false
		if !p.reading && next < len(told.Sequences) {
			s = told.Sequences[next]
			starts = int(s.Literals) == literals
		}
		p.look(at, end, literals)
		if len(b.Sequences) == maxSequences || p.c.Overrun() {
			return corrupt("block has more sequences than fit")
		}
		if !p.starts(at, literals, starts) {
			b.Literals = append(b.Literals, p.content.byte(at))
			literals++
			at++
			continue
		}
		told := p.distances
		distance, length, err := p.choose(s, told.Take(s), at, end, literals)
		if err != nil {
			return err
		}
		if s, err = p.sequence(s, distance, length, literals); err != nil {
			return err
		}
		b.Sequences = append(b.Sequences, s)
		at += length
		literals = 0
		next++
	}
	return nil
}

// sequence finds how the frame says a distance: as a recent one when it is, unless told otherwise.
func (p *parse) sequence(told Sequence, distance uint32, length, literals int) (Sequence, error) {
	s := Sequence{Literals: uint32(literals), Match: uint32(length), Value: distance + 3}
	for value := uint32(1); value <= 3; value++ {
		d := p.distances
		if d.Take(Sequence{Literals: s.Literals, Value: value}) == distance {
			s.Value = value
			break
		}
	}
	if p.c.Bit(20, truth(!p.reading && s.Value != told.Value)) == 1 {
		s.Value = uint32(p.far.Code(p.c, uint64(told.Value)))
		d := p.distances
		if s.Value == 0 || d.Take(s) != distance {
			return s, corrupt("match says its distance wrongly")
		}
	}
	p.distances.Take(s)
	return s, nil
}

// skip goes on behind a block.
func (p *parse) skip(end int) { p.at = end }
