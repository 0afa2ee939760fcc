package diff

import (
	"math/bits"
	"slices"

	"conifer.dev/conifer/internal/wire/delta"
)

// What data cost, about, in 16ths of a bit.
const (
	sameCost   = 3
	otherCost  = 120 // a byte of a copy that differs
	freshCost  = 72  // a byte that is new
	freshStart = 128 // a piece that is new
	copyStart  = 288 // a piece that is a copy, and 16 more for each bit of how far it is
	oddStart   = 32  // more, when that is no multiple of four: tables have entries of whole words
)

// fresh is the distance of a piece that is new.
const fresh = 1 << 62

// way is one explanation of the bytes of new up to a place.
type way struct {
	distance int // old = new + distance in its last piece
	cost     int
	turn     int32 // where its last piece began
}

// turn is where a way begins a piece.
type turn struct {
	before   int32 // the turn before, or none
	at       int
	distance int
	copied   int // the distance of the last copy, and where that ended, if this piece is new
	end      int
}

// mark is the cheapest way to a place.
type mark struct {
	cost int
	turn int32
}

const (
	maxWays  = 12
	maxMarks = 1 << 12 // how far back a way may begin when it is found
	minTurns = 1 << 18 // from when on turns that no way took are forgotten
	longRun  = 32      // equal bytes that are worth no thought
)

// walker looks for the cheapest way through new. At each byte it holds the ways that can still be part of it: a way that costs
// more than to turn to its piece from the cheapest one is of no use. Where the cheapest one meets a byte that it does not
// explain, others are proposed.
type walker struct {
	old, new []byte
	grams    *grams
	at       int
	ways     []way // the cheapest first
	turns    []turn
	maxTurns int
	marks    []mark // a ring
	marked   int    // the first place that has a mark
	proposer

	out     pieces
	written int // how much of new they cover
}

func newWalker(old, new []byte) *walker {
	w := &walker{old: old, new: new, grams: newGrams(old), marks: make([]mark, maxMarks), maxTurns: minTurns}
	w.turns = []turn{{before: none}} // the beginnings belong together, unless something else turns up
	w.ways = []way{{}}
	w.leave(len(old) - len(new)) // and so do the ends
	return w
}

func (w *walker) run() []delta.Piece {
	for w.at < len(w.new) {
		if !w.skip() {
			w.step()
		}
		if len(w.turns) > w.maxTurns {
			w.sweep()
		}
	}
	w.ways = w.ways[:1]
	w.settle()
	w.write(w.turns[0], w.at)
	return w.out.all
}

func (w *walker) has(at, distance int) bool    { return uint(at+distance) < uint(len(w.old)) }
func (w *walker) equals(at, distance int) bool { return w.new[at] == w.old[at+distance] }

// skip goes on over many equal bytes when there is one way only.
func (w *walker) skip() bool {
	top := &w.ways[0]
	if len(w.ways) > 1 || top.distance == fresh || !w.has(w.at, top.distance) {
		return false
	}
	n := commonStart(w.new[w.at:], w.old[w.at+top.distance:])
	if n < longRun && w.at+n < len(w.new) {
		return false
	}
	top.cost += n * sameCost
	w.at += n
	w.marked = w.at
	w.settle()
	return true
}

// step goes on by one byte.
func (w *walker) step() {
	top := w.ways[0]
	w.marks[w.at%maxMarks] = mark{top.cost, top.turn}
	if top.distance == fresh || !w.has(w.at, top.distance) || !w.equals(w.at, top.distance) {
		w.propose()
		w.addFresh(top)
	}
	kept := w.ways[:0]
	for _, v := range w.ways {
		switch {
		case v.distance == fresh:
			v.cost += freshCost
		case !w.has(w.at, v.distance):
			w.leave(v.distance)
			continue
		case w.equals(w.at, v.distance):
			v.cost += sameCost
		default:
			v.cost += otherCost
		}
		kept = append(kept, v)
	}
	w.ways = kept
	w.at++
	w.prune()
}

// addFresh lets the bytes from here on be new.
func (w *walker) addFresh(top way) {
	if !w.goes(fresh) {
		w.ways = append(w.ways, way{fresh, top.cost + freshStart, w.turn(top.turn, w.at, fresh)})
	}
}

// goes reports whether a way ends in a piece at a distance.
func (w *walker) goes(distance int) bool {
	return slices.ContainsFunc(w.ways, func(v way) bool { return v.distance == distance })
}

func (w *walker) turn(before int32, at, distance int) int32 {
	t := turn{before: before, at: at, distance: distance}
	t.copied, t.end = w.lastCopy(before, at)
	w.turns = append(w.turns, t)
	return int32(len(w.turns) - 1)
}

// lastCopy is the distance of the last copy of a way, and where it ends when the way turns at a place.
func (w *walker) lastCopy(before int32, at int) (distance, end int) {
	if t := &w.turns[before]; t.distance == fresh {
		return t.copied, t.end
	}
	return w.turns[before].distance, at
}

// copyCost is what it costs to turn to a copy.
func (w *walker) copyCost(before int32, at, distance int) int {
	last, end := w.lastCopy(before, at)
	step := distance - last
	cost := copyStart + 16*bits.Len(uint(abs(step+at-end)))
	if step%4 != 0 {
		cost += oddStart
	}
	return cost
}

func abs(n int) int { return max(n, -n) }

// prune forgets the ways that cost as much as to turn to them now.
func (w *walker) prune() {
	best := 0
	for i, v := range w.ways {
		if v.cost < w.ways[best].cost {
			best = i
		}
	}
	w.ways[0], w.ways[best] = w.ways[best], w.ways[0]
	top := w.ways[0]
	kept := w.ways[:1]
	for _, v := range w.ways[1:] {
		limit := top.cost + freshStart
		if v.distance != fresh {
			limit = top.cost + w.copyCost(top.turn, w.at, v.distance)
		}
		if v.cost < limit {
			kept = append(kept, v)
		} else {
			w.leave(v.distance)
		}
	}
	w.ways = kept
}

// settle writes the pieces before the last turn, when there is one way only.
func (w *walker) settle() {
	if len(w.ways) > 1 || len(w.turns) == 1 {
		return
	}
	var order []turn
	for i := w.ways[0].turn; i != none; i = w.turns[i].before {
		order = append(order, w.turns[i])
	}
	slices.Reverse(order)
	for i, t := range order[1:] {
		w.write(order[i], t.at)
	}
	last := order[len(order)-1]
	last.before = none
	w.turns = append(w.turns[:0], last)
	w.ways[0].turn = 0
	w.marked = w.at
}

// write adds the piece of a turn, which ends at a place.
func (w *walker) write(t turn, end int) {
	start := max(t.at, w.written)
	if start >= end {
		return
	}
	from := int64(delta.New)
	if t.distance != fresh {
		from = int64(start + t.distance)
	}
	w.out.add(from, end-start)
	w.written = end
}

// sweep forgets the turns that no way has taken, so that the memory does not grow with what was tried.
func (w *walker) sweep() {
	to := make([]int32, len(w.turns)) // where a turn goes, from 1 on
	for _, v := range w.ways {
		for i := v.turn; i != none && to[i] == 0; i = w.turns[i].before {
			to[i] = 1
		}
	}
	n := int32(0)
	for i, t := range w.turns {
		if to[i] == 0 {
			continue
		}
		if t.before != none {
			t.before = to[t.before] - 1
		}
		w.turns[n] = t
		n++
		to[i] = n
	}
	w.turns = w.turns[:n]
	for i := range w.ways {
		w.ways[i].turn = to[w.ways[i].turn] - 1
	}
	w.marked = w.at
	w.maxTurns = max(minTurns, 2*int(n))
}
