package zframe

// step is a sequence of the old frame at its place.
type step struct {
	match, length, distance uint32 // where the match begins
}

// past follows the old frame beside the new content. It holds a stretch of it, and reads on when the new content has come that far.
type past struct {
	frame     *Reader
	align     Align
	steps     []step // a ring; steps[first%len] is the oldest held
	first     int
	next      int
	at        uint32 // how far it was read
	distances Distances
	ended     bool
	strayed   int // bytes since the last place that was within reach
}

const (
	heldSteps = 1 << 17
	reach     = 512 << 10 // bytes that are read ahead at once
	patience  = 32 << 10  // bytes after which a farther place is followed
)

func newPast(frame *Reader, align Align) *past {
	if frame == nil {
		return nil
	}
	return &past{frame: frame, align: align, steps: make([]step, heldSteps), distances: Initial}
}

// find tells what the old frame did at the place that belongs to at: the first match that ends after it.
func (p *past) find(at int) (s step, old uint32, ok bool) {
	if p == nil {
		return s, 0, false
	}
	place, ok := p.align.ToOld(int64(at))
	if !ok || place < 0 || place >= 1<<31 {
		return s, 0, false
	}
	old = uint32(place)
	if !p.readTo(old) || p.next == p.first {
		return s, 0, false
	}
	lo, hi := max(p.first, p.next-heldSteps), p.next
	for lo < hi {
		middle := (lo + hi) / 2
		if x := &p.steps[middle%heldSteps]; x.match+x.length > old {
			hi = middle
		} else {
			lo = middle + 1
		}
	}
	if lo == p.next || lo == max(p.first, p.next-heldSteps) {
		return s, 0, false
	}
	return p.steps[lo%heldSteps], old, true
}

// readTo reads on until old and a block after it, unless that is too far.
func (p *past) readTo(old uint32) bool {
	if old+maxBlock < p.at || p.ended && old < p.at {
		return true
	}
	if old > p.at+reach {
		if p.strayed++; p.strayed < patience {
			return false
		}
	}
	p.strayed = 0
	for !p.ended && old+256 >= p.at {
		b, err := p.frame.Next()
		if err != nil {
			p.ended = true // what the old frame does not tell is not told by it
			break
		}
		p.take(b)
	}
	return true
}

func (p *past) take(b *Block) {
	at := p.at
	for _, s := range b.Sequences {
		at += s.Literals
		p.steps[p.next%heldSteps] = step{at, s.Match, p.distances.Take(s)}
		p.next++
		at += s.Match
	}
	p.at += uint32(b.Size)
}
