package diff

import (
	"encoding/binary"
	"math/bits"

	"conifer.dev/conifer/internal/wire/delta"
)

// Pieces says how new resembles old: pieces that cover new in order. A piece may differ from what it is copied from in single bytes,
// such as addresses in code that moved.
func Pieces(old, new []byte) []delta.Piece {
	var p pieces
	if same := commonStart(old, new); same == len(new) {
		p.add(0, len(new))
		return p.all
	}
	if len(old) == 0 {
		p.add(delta.New, len(new))
		return p.all
	}
	s := &scan{old: old, new: new, find: newMatcher(old)}
	s.run()
	s.cover(&p)
	return p.all
}

// matcher finds a part of the old bytes that equals the beginning of text as far as possible. When there are several, it prefers
// one at the place near.
type matcher interface {
	longest(text []byte, near int) (from, length int)
}

// pieces is a growing list that joins what belongs together.
type pieces struct{ all []delta.Piece }

func (p *pieces) add(from int64, n int) { p.append(delta.Piece{From: from, SizeBytes: int64(n)}) }

func (p *pieces) append(next delta.Piece) {
	if next.SizeBytes == 0 {
		return
	}
	if len(p.all) > 0 {
		last := &p.all[len(p.all)-1]
		if next.From == delta.New && last.From == delta.New || next.From != delta.New && last.From != delta.New && last.From+last.SizeBytes == next.From {
			last.SizeBytes += next.SizeBytes
			return
		}
	}
	p.all = append(p.all, next)
}

// anchor is an exact match that begins a stretch of new which resembles the old bytes at the same distance.
type anchor struct {
	new, old, length int
}

// scan goes through new once. It follows one distance between old and new as long as no other explains what comes better.
type scan struct {
	old, new []byte
	find     matcher
	anchors  []anchor
}

const (
	// minGain is by how many bytes a match must be better than to go on at the distance at hand: about what a piece costs.
	minGain = 8
	// patience is how many places in a row may have no match before the search becomes coarser. What is skipped
	// is found again when the next match is extended back.
	patience = 256
	maxStep  = 32
)

func (s *scan) run() {
	at, fails := 0, 0
	follows, distance := true, 0 // old = new + distance; the beginnings belong together
	for at < len(s.new) {
		if follows {
			at += s.sameFrom(at, distance)
			if at == len(s.new) {
				return
			}
		}
		from, length := s.find.longest(s.new[at:], at+distance)
		gain := length
		if follows {
			gain -= s.score(at, length, distance)
		}
		if gain > minGain {
			s.anchors = append(s.anchors, anchor{at, from, length})
			follows, distance, fails = true, from-at, 0
			at += length
			continue
		}
		if fails++; fails > patience {
			follows = false
		}
		at += min(1+fails/patience, maxStep)
	}
}

// sameFrom is how far new equals old at the distance.
func (s *scan) sameFrom(at, distance int) int {
	if at+distance < 0 || at+distance >= len(s.old) {
		return 0
	}
	return commonStart(s.new[at:], s.old[at+distance:])
}

// score counts the bytes of a part of new that are as at the distance in old.
func (s *scan) score(at, length, distance int) int {
	start := max(at, -distance)
	end := min(at+length, len(s.old)-distance)
	if start >= end {
		return 0
	}
	return countSame(s.new[start:end], s.old[start+distance:end+distance])
}

func countSame(a, b []byte) int {
	count := 0
	for i, c := range a {
		if c == b[i] {
			count++
		}
	}
	return count
}

// commonStart is how many bytes a and b have in common at their beginnings.
func commonStart(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// cover turns the anchors into pieces: each reaches as far in both directions as more bytes are the same than not, and where two
// meet, the border is where it serves both best.
func (s *scan) cover(p *pieces) {
	last := anchor{} // as if the beginnings were equal
	done := 0
	for i := 0; i <= len(s.anchors); i++ {
		next := anchor{new: len(s.new), old: -1}
		if i < len(s.anchors) {
			next = s.anchors[i]
		}
		end := s.extend(last, next.new)
		start := next.new
		if next.old >= 0 {
			start = s.extendBack(next, done)
		}
		if start < end {
			start = s.border(last, next, start, end)
			end = start
		}
		if end > done {
			p.add(int64(done+last.old-last.new), end-done)
		}
		p.add(delta.New, start-max(end, done))
		done = start
		last = next
	}
}

// extend is how far the stretch of an anchor reaches, at most to limit.
func (s *scan) extend(a anchor, limit int) int {
	at, from := a.new+a.length, a.old+a.length
	n := min(limit-at, len(s.old)-from)
	best, score, end := 0, 0, at
	for i := range max(n, 0) {
		if s.new[at+i] == s.old[from+i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, end = score, at+i+1
		}
	}
	return end
}

// extendBack is where the stretch of an anchor begins, at least at limit.
func (s *scan) extendBack(a anchor, limit int) int {
	n := min(a.new-limit, a.old)
	best, score, start := 0, 0, a.new
	for i := 1; i <= n; i++ {
		if s.new[a.new-i] == s.old[a.old-i] {
			score++
		} else {
			score--
		}
		if score > best {
			best, start = score, a.new-i
		}
	}
	return start
}

// border is the place from start to end before which a, and after which b is more like new.
func (s *scan) border(a, b anchor, start, end int) int {
	best, score, border := 0, 0, start
	for i := start; i < end; i++ {
		if s.new[i] == s.old[i+a.old-a.new] {
			score++
		}
		if s.new[i] == s.old[i+b.old-b.new] {
			score--
		}
		if score > best {
			best, border = score, i+1
		}
	}
	return border
}
