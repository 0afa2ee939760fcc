package diff

import (
	"encoding/binary"
	"slices"
)

// proposer knows where to look for ways.
type proposer struct {
	left   [8]int // distances that were left last
	lefts  int
	effort int // places that were looked at
	fails  int // places in a row for which nothing was found
	next   int // where to look again
	places []int
	top    []candidate // the best first
}

// candidate is a distance that may be worth a way.
type candidate struct{ distance, worth int }

const (
	maxTop     = 3   // candidates that become ways
	gramPlaces = 8   // on each side
	localReach = 256 // how far around the place at hand every place is looked at,
	maxLocal   = 16  // for so many
	ahead      = 64  // bytes that tell what a candidate is worth

	// The effort is bounded, so that no input takes long: so many places at once, and so many for each byte.
	startEffort = 4 << 20
	byteEffort  = 4

	// patience is for how many places nothing may be found before the search becomes coarser. What is skipped is found again
	// when a way begins before the place where it is found.
	patience = 256
	maxSkip  = 8
)

// leave remembers a distance, to which it is often worth to come back.
func (w *walker) leave(distance int) {
	if distance == fresh || slices.Contains(w.left[:], distance) {
		return
	}
	w.left[w.lefts%len(w.left)] = distance
	w.lefts++
}

// propose adds the ways that promise most from here on.
func (w *walker) propose() {
	if w.at < w.next || w.effort > startEffort+byteEffort*w.at {
		return
	}
	before := w.ways[0].turn
	around, _ := w.lastCopy(before, w.at)
	w.places = w.places[:0]
	for _, d := range w.left {
		w.places = append(w.places, w.at+d)
	}
	w.lookAround(w.at + around)
	w.places = w.grams.near(w.new[w.at:], w.at+around, gramPlaces, w.places)
	w.effort += len(w.places)
	w.top = w.top[:0]
	for _, place := range w.places {
		if d := place - w.at; w.has(w.at, d) && !w.goes(d) {
			w.consider(candidate{d, w.worth(d) - w.copyCost(before, w.at, d)})
		}
	}
	for _, c := range w.top {
		w.add(c.distance)
	}
	if w.fails++; len(w.top) > 0 {
		w.fails = 0
	}
	w.next = w.at + min(w.fails/patience, maxSkip)
}

// lookAround finds the next four bytes near a place of old.
func (w *walker) lookAround(place int) {
	if w.at+4 > len(w.new) {
		return
	}
	want := binary.LittleEndian.Uint32(w.new[w.at:])
	n := 0
	for i := 1; i <= localReach && n < maxLocal; i++ {
		for _, p := range [...]int{place - i, place + i} {
			if p >= 0 && p+4 <= len(w.old) && binary.LittleEndian.Uint32(w.old[p:]) == want {
				w.places = append(w.places, p)
				n++
			}
		}
	}
}

// worth is how much cheaper the next bytes are at a distance than new.
func (w *walker) worth(distance int) int {
	n := min(ahead, len(w.new)-w.at, len(w.old)-w.at-distance)
	now, old := w.new[w.at:w.at+n], w.old[w.at+distance:w.at+distance+n]
	best, sum := 0, 0
	for i, c := range now {
		if c == old[i] {
			sum += freshCost - sameCost
			best = max(best, sum)
		} else {
			sum += freshCost - otherCost
		}
	}
	return best
}

// consider keeps a candidate if it is one of the best.
func (w *walker) consider(c candidate) {
	if c.worth <= -copyStart || slices.ContainsFunc(w.top, func(o candidate) bool { return o.distance == c.distance }) {
		return
	}
	i := 0
	for i < len(w.top) && w.top[i].worth >= c.worth {
		i++
	}
	if i < maxTop {
		w.top = slices.Insert(w.top, i, c)
		w.top = w.top[:min(len(w.top), maxTop)]
	}
}

// add adds a way at a distance, from where on it is cheapest.
func (w *walker) add(distance int) {
	if len(w.ways) >= maxWays {
		return
	}
	top := w.ways[0]
	best, at, before := top.cost+w.copyCost(top.turn, w.at, distance), w.at, top.turn
	own := 0 // from the place at hand to here
	for p := w.at - 1; p >= w.marked && p > w.at-maxMarks && w.has(p, distance); p-- {
		if w.equals(p, distance) {
			own += sameCost
		} else {
			own += otherCost
		}
		m := w.marks[p%maxMarks]
		if m.cost+own > top.cost+copyStart {
			break
		}
		if c := m.cost + own + w.copyCost(m.turn, p, distance); c < best {
			best, at, before = c, p, m.turn
		}
	}
	w.ways = append(w.ways, way{distance, best, w.turn(before, at, distance)})
}
