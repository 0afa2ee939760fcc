package zframe

import (
	"math/bits"
	"sort"
)

// candidate is a match that the content allows.
type candidate struct {
	distance, length uint32
}

// finder gives the matches that libzstd's match finder gives, or most of them, and what the old frame has, for each place of the content in
// turn. What it gives depends on the content, the old frame and the chunks alone, so that it can run ahead of who asks.
type finder struct {
	content *Pages
	window  int
	ends    []int // of the chunks
	recent  *recent
	three   []uint32  // the latest place + 1 by the hash of three bytes, as libzstd has it
	old     *oldGuide // nil for none, as at first
	next    int       // the next place with candidates: libzstd leaves some out in a long repetition
	taken   int       // where the match ends that libzstd took last without looking further
}

// batch is the answers for some places in a row.
type batch struct {
	answers    [batchPlaces]answer
	candidates []candidate
}

// answer is what was found for a place.
type answer struct {
	start           uint16 // of its candidates in the batch
	count           uint8
	three           bool   // whether the first is by three bytes
	literals, match uint32 // what the old frame has here; no match when that is not known
}

const (
	batchPlaces    = 2 << 10
	mostCandidates = 4 * batchPlaces // of a batch; places beyond them have none
	threeReach     = 1 << 18
	threeLogMost   = 17
	longRepeat     = 384 // after so many bytes repeated some places are not remembered
	longSkip       = 192
)

func newFinder(content *Pages, window, slots int, ends []int) *finder {
	f := &finder{content: content, window: window, ends: ends, recent: newRecent(content, slots)}
	f.three = make([]uint32, 1<<min(threeLogMost, bits.Len(uint(window))-1))
	return f
}

// forget begins anew.
func (f *finder) forget() {
	clear(f.three)
	clear(f.recent.slots)
	f.next, f.taken = 0, 0
}

// fill makes the answers of the next batch.
func (f *finder) fill(b *batch, first int) {
	b.candidates = b.candidates[:0]
	chunk := sort.SearchInts(f.ends, first+1)
	for i := range b.answers {
		place := first + i
		if place >= f.content.size {
			return
		}
		for place >= f.ends[chunk] {
			chunk++
		}
		f.answer(b, &b.answers[i], place, f.ends[chunk])
	}
}

// answer finds the candidates of a place: with rising distances and lengths, after the one by three bytes. Matches end before the end.
func (f *finder) answer(b *batch, a *answer, place, end int) {
	*a = answer{start: uint16(len(b.candidates))}
	three := f.rememberThree(place)
	if f.old != nil {
		a.literals, a.match = f.old.next(place)
	}
	if place < f.next {
		return
	}
	found := b.candidates
	if three >= 0 {
		if c := f.match(place, three, end); c.length >= minMatch {
			a.three = true
			found = append(found, c)
		}
	}
	start := len(found)
	found = f.recent.add(found, place, end-place)
	if f.old != nil {
		if d := f.old.suggest(place); d > 0 {
			found = append(found, f.match(place, place-d, end))
		}
	}
	f.skip(found[len(b.candidates):], place)
	found = found[:start+len(front(found[start:], f.window))]
	if len(found) > mostCandidates {
		a.three = false
		return
	}
	a.count = uint8(len(found) - len(b.candidates))
	b.candidates = found
}

// match is the candidate that is copied from another place.
func (f *finder) match(place, other, end int) candidate {
	return candidate{uint32(place - other), uint32(f.content.common(place, other, end-place))}
}

// skip leaves places out that are in the midst of a long repetition, as libzstd does.
func (f *finder) skip(found []candidate, place int) {
	longest, beyond := 0, 1
	for _, c := range found {
		longest = max(longest, int(c.length))
		beyond = max(beyond, int(c.length)-int(c.distance)-lastLiterals)
	}
	if place < f.taken {
		beyond = max(beyond, min(longSkip, longest-longRepeat))
	} else if longest > sufficient {
		f.taken = place + longest
	}
	f.next = place + beyond
}

// rememberThree gives the latest place with the hash of the next three bytes, or -1, which is all that libzstd remembers of matches so short.
func (f *finder) rememberThree(place int) int {
	const prime = 506832829
	h := uint32(f.content.word(place)) << 8 * prime
	slot := &f.three[h>>(33-bits.Len(uint(len(f.three))))]
	other := int(*slot) - 1
	*slot = uint32(place) + 1
	if place-other >= min(threeReach, f.window+1) {
		return -1
	}
	return other
}

// front sorts candidates by distance, and leaves out those that a nearer one is as long as.
func front(found []candidate, window int) []candidate {
	for i := 1; i < len(found); i++ {
		for j := i; j > 0 && found[j].distance < found[j-1].distance; j-- {
			found[j], found[j-1] = found[j-1], found[j]
		}
	}
	kept, longest := found[:0], uint32(leastDepth-1)
	for _, c := range found {
		if c.length > longest && int(c.distance) <= window {
			kept, longest = append(kept, c), c.length
		}
	}
	return kept
}
