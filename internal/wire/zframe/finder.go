package zframe

import (
	"math/bits"
)

// candidate is a match that the content allows.
type candidate struct {
	distance, length uint32
}

// finder gives the matches that libzstd's match finder gives, or most of them. Places are asked for in rising order, and the answers for
// the last few thousand can be asked for again.
type finder struct {
	content   *Pages
	window    int
	recent    *recent
	three     []uint32  // the latest place + 1 by the hash of three bytes, as libzstd has it
	next      int       // the first place that is not in recent
	nextThree int       // the first place that is not in three
	old       *oldGuide // nil for none

	answers  []answer
	arena    []candidate
	used     int // of the arena, ever
	frontier int // the first place never asked for
	silent   int // libzstd answers nothing before this place
	spare    [mostFound]candidate
}

// answer is what was found for a place.
type answer struct {
	place  int
	start  int // in the arena
	count  uint8
	three  bool // whether the first is by three bytes
	silent bool
}

const (
	answersKept  = 1 << 13
	arenaSize    = 1 << 15
	mostFound    = 250
	threeReach   = 1 << 18
	threeLogMost = 17
	longRepeat   = 384 // after so many bytes repeated some places are not remembered
	longSkip     = 192
)

func newFinder(content *Pages, window, slots int, old *oldGuide) *finder {
	f := &finder{content: content, window: window, recent: newRecent(content, slots), old: old}
	f.three = make([]uint32, 1<<min(threeLogMost, bits.Len(uint(window))-1))
	f.answers = make([]answer, answersKept)
	f.arena = make([]candidate, arenaSize+mostFound)
	f.forget()
	return f
}

// forget begins anew.
func (f *finder) forget() {
	clear(f.three)
	clear(f.recent.slots)
	for i := range f.answers {
		f.answers[i].place = -1
	}
	f.next, f.nextThree, f.used, f.frontier, f.silent = 0, 0, 0, 0, 0
}

func (f *finder) threeSlot(place int) *uint32 {
	const prime = 506832829
	h := uint32(f.content.word(place)) << 8 * prime
	return &f.three[h>>(33-bits.Len(uint(len(f.three))))]
}

// advance remembers the places before this one. Like libzstd it leaves places out that are in the midst of a long repetition.
func (f *finder) advance(place, end int) {
	for ; f.nextThree < place; f.nextThree++ {
		*f.threeSlot(f.nextThree) = uint32(f.nextThree) + 1
	}
	for f.next < place {
		f.next += repeated(f.recent.add(f.spare[:0], f.next, end-f.next))
	}
}

// repeated is how many places to go on after one with these candidates.
func repeated(found []candidate) int {
	longest, beyond := 0, 1
	for _, c := range found {
		longest = max(longest, int(c.length))
		beyond = max(beyond, int(c.length)-int(c.distance)-lastLiterals)
	}
	return max(beyond, min(longSkip, longest-longRepeat))
}

// hush makes the finder answer nothing before a place, as libzstd does in a repetition.
func (f *finder) hush(place int) {
	f.silent = place
	f.next = max(f.next, place)
}

// jump begins a chunk: after a long match not all is remembered.
func (f *finder) jump(place int) {
	if behind := place - f.next; behind > longRepeat {
		f.next = place - min(longSkip, behind-longRepeat)
	}
	f.nextThree = max(f.nextThree, f.next)
}

// at is the answer for a place: candidates with rising distances and lengths, after the one by three bytes. Matches end before the end.
func (f *finder) at(place, end int) *answer {
	a := &f.answers[place%answersKept]
	if a.place == place {
		if f.used-a.start > arenaSize-mostFound {
			a.count, a.three = 0, false
		}
		return a
	}
	*a = answer{place: place, start: f.used, silent: place < f.silent}
	if place < f.frontier || a.silent {
		return a
	}
	f.frontier = place + 1
	f.advance(place, end)
	if c := f.byThree(place, end); c.length >= minMatch {
		a.three = true
		f.arena[f.used%arenaSize] = c
		a.count = 1
	}
	start := f.used%arenaSize + int(a.count)
	found := f.arena[start:start]
	if place == f.next {
		found = f.recent.add(found, place, end-place)
		f.next++
	}
	if f.old != nil {
		if d := f.old.suggest(place); d > 0 {
			found = append(found, candidate{uint32(d), uint32(f.content.common(place, place-d, end-place))})
		}
	}
	found = front(found, f.window)
	a.count += uint8(len(found))
	f.used += int(a.count)
	return a
}

// list are the candidates of an answer.
func (f *finder) list(a *answer) []candidate { return f.arena[a.start%arenaSize:][:a.count] }

// byThree is the latest place with the hash of the next three bytes, which is all that libzstd remembers of matches so short.
func (f *finder) byThree(place, end int) candidate {
	other := int(*f.threeSlot(place)) - 1
	if other < 0 || place-other >= min(threeReach, f.window+1) {
		return candidate{}
	}
	return candidate{uint32(place - other), uint32(f.content.common(place, other, end-place))}
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
