package zframe

import "sort"

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
	looked          bool   // whether candidates were looked for, and there was room for them
	three           uint32 // the distance of a candidate by three bytes, or 0; how long it is, who asks finds out
	literals, match uint32 // what the old frame has here; no match when that is not known
}

const (
	batchPlaces    = 2 << 10
	mostCandidates = 3 * batchPlaces // of a batch; places beyond them have none
	longRepeat     = 384             // after so many bytes repeated some places are not remembered
	longSkip       = 192
)

func newFinder(content *Pages, window, slots int, ends []int) *finder {
	return &finder{content: content, window: window, ends: ends, recent: newRecent(content, slots)}
}

// forget begins anew.
func (f *finder) forget() {
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

// answer finds the candidates of a place, with rising distances and lengths. Matches end before the end.
func (f *finder) answer(b *batch, a *answer, place, end int) {
	*a = answer{start: uint16(len(b.candidates))}
	if f.old != nil {
		a.literals, a.match = f.old.next(place)
	}
	if place < f.next {
		return
	}
	found := f.recent.add(b.candidates, place, end-place)
	if f.old != nil {
		if d := f.old.suggest(place); d > 0 {
			found = append(found, candidate{uint32(d), uint32(f.content.common(place, place-d, end-place))})
		}
	}
	f.skip(found[a.start:], place)
	found = found[:int(a.start)+len(front(found[a.start:], f.window))]
	if len(found) > mostCandidates {
		return
	}
	a.looked, a.count = true, uint8(len(found)-int(a.start))
	b.candidates = found
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
