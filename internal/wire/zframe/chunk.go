package zframe

import "conifer.dev/conifer/internal/wire/entropy"

// chunkUnit is what libzstd cuts its input by: a chunk is a multiple of it, unless it is the last one. A chunk may become several blocks.
const chunkUnit = 8 << 10

// mostEmpty is how many blocks may have no content.
const mostEmpty = 1 << 10

// chunk is what the encoder took at once.
type chunk struct{ blocks, size int }

// codeChunks codes how the frame is cut into chunks, before all else of it: what is found depends on it.
func (s *session) codeChunks(blocks []Block) ([]chunk, error) {
	var all []chunk
	for len(blocks) > 0 {
		n, size := chunkOf(blocks)
		all, blocks = append(all, chunk{n, size}), blocks[n:]
	}
	n, err := s.number(s.models.chunks, len(all)-1, mostEmpty+s.content.size/leastWindow)
	if err != nil {
		return nil, err
	}
	all = append(all, make([]chunk, n+1-len(all))...)
	left := s.content.size
	for i := range all {
		c := &all[i]
		if c.size, err = s.codeSize(c.size, min(left, maxBlock)); err != nil {
			return nil, err
		}
		if c.blocks, err = s.number(s.models.blocks, c.blocks-1, maxBlock); err != nil {
			return nil, err
		}
		c.blocks++
		left -= c.size
	}
	if left > 0 {
		return nil, corrupt("frame ends %d bytes before its content", left)
	}
	return all, nil
}

// chunkOf is how many of the blocks are the next chunk: those up to a multiple of the unit, or one block.
func chunkOf(blocks []Block) (n, size int) {
	for i, b := range blocks {
		size += b.Size
		if size > maxBlock {
			break
		}
		if size%chunkUnit == 0 || i == len(blocks)-1 {
			return i + 1, size
		}
	}
	return 1, blocks[0].Size
}

// codeSize codes the size of a chunk.
func (s *session) codeSize(size, most int) (int, error) {
	m := s.models
	if s.flag(&m.usualSize, size == most) {
		return most, nil
	}
	if s.flag(&m.wholeSize, size > 0 && size%chunkUnit == 0) {
		size = int(entropy.Tree(s.c, m.units, 4, uint32(size/chunkUnit-1), modelLimit)+1) * chunkUnit
	} else {
		size = int(s.c.Bits(18, uint32(size)))
	}
	if size > most {
		return 0, corrupt("chunk has %d bytes where %d are left", size, most)
	}
	return size, nil
}

// chunk codes the blocks of a chunk.
func (s *session) chunk(c chunk, blocks []Block, last bool) (rest []Block, err error) {
	s.end = s.start + c.size
	s.open()
	for i := range c.blocks {
		var b Block
		if !s.c.Reading() {
			b, blocks = blocks[0], blocks[1:]
		}
		final := i == c.blocks-1
		b.Last = final && last
		if err := s.block(&b, final); err != nil {
			return nil, err
		}
	}
	s.flush()
	s.start = s.end
	return blocks, nil
}

// open begins a chunk.
func (s *session) open() {
	p := s.planner
	first := !p.prices.started
	s.planned, s.next, s.anchor, s.from = nil, s.start, s.start, s.start
	p.distances = s.current
	if !first {
		p.prices.fade()
		return
	}
	// libzstd takes the first chunk twice, the first time for its prices only.
	p.prices.begin(s.content.append(nil, s.start, s.end))
	s.next = min(1, s.end)
	s.imagine()
	s.found.restart(s.guide)
	p.prices.fade()
	s.planned, s.next, s.anchor, s.from = nil, min(1, s.end), s.start, s.start
	p.distances = s.current
}

// foresight is what the planner expects of the rest of a chunk.
type foresight struct {
	planned []Sequence // what is expected next
	next    int        // the place after it, where the next series begins
	anchor  int        // the content before it is in sequences
	taken   []Sequence // what has become of this series
	from    int        // where the literals of the first of it begin
}

// imagine takes all that is expected up to the end of the chunk, for the prices.
func (s *session) imagine() {
	for s.foresee() {
		s.take(s.planned[0])
	}
	s.flush()
}

// foresee reports whether a sequence is expected.
func (s *session) foresee() bool {
	if len(s.planned) == 0 && s.next < s.end {
		s.flush()
		s.planned, s.next = s.planner.plan(s.anchor, max(s.next, s.anchor), s.end)
	}
	return len(s.planned) > 0
}

// take goes on after a sequence.
func (s *session) take(q Sequence) {
	s.taken = append(s.taken, q)
	s.anchor += int(q.Literals + q.Match)
	if len(s.planned) == 0 || s.planned[0] != q {
		s.planned, s.next = nil, s.anchor
		return
	}
	s.planned = s.planned[1:]
}

// restart makes what is expected count from a place that no sequence led to.
func (s *session) restart(place int) {
	s.flush()
	s.planned, s.next, s.anchor, s.from = nil, place, place, place
}

// flush tells the planner what the last series has become.
func (s *session) flush() {
	p, at := s.planner, s.from
	for _, q := range s.taken {
		for range q.Literals {
			p.prices.literals.add(s.content.byte(at), literalStep)
			at++
		}
		p.prices.count(q)
		p.distances.Take(q)
		at += int(q.Match)
	}
	if len(s.taken) > 0 {
		p.prices.settle()
	}
	s.taken, s.from = s.taken[:0], s.anchor
}
