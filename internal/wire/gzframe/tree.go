package gzframe

import "math/bits"

// The longest codes of the format: of literals and distances, and of the code of their lengths (RFC 1951, 3.2.7).
const (
	maxCodeBits       = 15
	maxLengthCodeBits = 7
)

// tree is a Huffman code for an alphabet: how often each symbol is used, and its code.
type tree struct {
	counts  []uint16
	lengths []uint8  // in bits, 0 for no code
	codes   []uint16 // with the first bit of the code lowest
	last    int      // the last symbol that has a code

	maxBits    int
	extraBits  []uint8 // that follow the symbols from firstExtra on
	firstExtra int

	forest forest
}

func newTree(symbols, maxBits int, extraBits []uint8, firstExtra int) tree {
	return tree{
		counts: make([]uint16, symbols), lengths: make([]uint8, symbols), codes: make([]uint16, symbols),
		maxBits: maxBits, extraBits: extraBits, firstExtra: firstExtra,
	}
}

// fixedTree has the lengths given.
func fixedTree(lengths []uint8) tree {
	t := tree{lengths: lengths, codes: make([]uint16, len(lengths)), maxBits: maxCodeBits}
	t.assign()
	return t
}

// build makes the code from the counts. It has at least two symbols, so that each code has a bit: symbols that are not used fill in.
func (t *tree) build() {
	f := &t.forest
	f.reset(len(t.counts))
	t.last = -1
	for symbol, count := range t.counts {
		if count > 0 {
			f.add(symbol, int(count))
			t.last = symbol
		}
	}
	for len(f.heap) < 2 {
		symbol := 0
		if t.last < 2 {
			t.last++
			symbol = t.last
		}
		f.add(symbol, 1)
	}
	f.join()
	clear(t.lengths)
	f.measure(t.lengths, t.maxBits)
	t.assign()
}

// assign makes the codes from their lengths (RFC 1951, 3.2.2).
func (t *tree) assign() {
	var counts, next [maxCodeBits + 2]uint16
	for _, n := range t.lengths {
		counts[n]++
	}
	counts[0] = 0
	for n := 1; n <= maxCodeBits; n++ {
		next[n+1] = (next[n] + counts[n]) << 1
	}
	for symbol, n := range t.lengths {
		if n > 0 {
			t.codes[symbol] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// sizeBits is what the counted symbols and their extra bits take with codes of the lengths.
func (t *tree) sizeBits(lengths []uint8) int {
	sum := 0
	for symbol, count := range t.counts {
		n := int(lengths[symbol])
		if symbol >= t.firstExtra {
			n += int(t.extraBits[symbol-t.firstExtra])
		}
		sum += int(count) * n
	}
	return sum
}

func (t *tree) write(w *bitWriter, symbol int) {
	w.add(uint64(t.codes[symbol]), int(t.lengths[symbol]))
}

// forest is a set of trees that are joined into one, always the two lightest. Of two that weigh the same the flatter one comes first; among equals
// the order of the heap decides, which is therefore part of the format of gzip's files.
type forest struct {
	leaves  int
	weights []int
	depths  []uint8
	parents []int
	heap    []int // of the roots, each no lighter than the one at half its place
	joined  []int // in the order in which they got a parent, and then the last root
}

func (f *forest) reset(leaves int) {
	f.leaves = leaves
	f.weights = append(f.weights[:0], make([]int, leaves)...)
	f.depths = append(f.depths[:0], make([]uint8, leaves)...)
	f.parents = append(f.parents[:0], make([]int, leaves)...)
	f.heap, f.joined = f.heap[:0], f.joined[:0]
}

// add puts a leaf at the end of the heap, which is put in order only when all are there.
func (f *forest) add(leaf, weight int) {
	f.weights[leaf] = weight
	f.heap = append(f.heap, leaf)
}

func (f *forest) before(a, b int) bool {
	return f.weights[a] < f.weights[b] || f.weights[a] == f.weights[b] && f.depths[a] <= f.depths[b]
}

// sift moves the root at a place of the heap down to where it belongs.
func (f *forest) sift(i int) {
	root := f.heap[i]
	for {
		child := 2*i + 1
		if child >= len(f.heap) {
			break
		}
		if child+1 < len(f.heap) && f.before(f.heap[child+1], f.heap[child]) {
			child++
		}
		if f.before(root, f.heap[child]) {
			break
		}
		f.heap[i] = f.heap[child]
		i = child
	}
	f.heap[i] = root
}

// join makes one tree of all.
func (f *forest) join() {
	for i := len(f.heap)/2 - 1; i >= 0; i-- {
		f.sift(i)
	}
	for len(f.heap) > 1 {
		first := f.heap[0]
		end := len(f.heap) - 1
		f.heap[0] = f.heap[end]
		f.heap = f.heap[:end]
		f.sift(0)
		second := f.heap[0]

		parent := len(f.weights)
		f.weights = append(f.weights, f.weights[first]+f.weights[second])
		f.depths = append(f.depths, max(f.depths[first], f.depths[second])+1)
		f.parents = append(f.parents, 0)
		f.parents[first], f.parents[second] = parent, parent
		f.joined = append(f.joined, first, second)
		f.heap[0] = parent
		f.sift(0)
	}
	f.joined = append(f.joined, f.heap[0])
}

// measure gives each leaf its depth in the tree, at most the limit.
func (f *forest) measure(lengths []uint8, limit int) {
	depths := make([]int, len(f.weights))
	var counts [maxCodeBits + 1]int
	tooDeep := 0
	for i := len(f.joined) - 2; i >= 0; i-- {
		node := f.joined[i]
		depth := depths[f.parents[node]] + 1
		if depth > limit {
			depth = limit
			tooDeep++
		}
		depths[node] = depth
		if node < f.leaves {
			lengths[node] = uint8(depth)
			counts[depth]++
		}
	}
	if tooDeep > 0 {
		f.flatten(lengths, counts[:limit+1], tooDeep)
	}
}

// flatten mends a tree of which nodes were lifted to its limit. Each step takes two of them: it moves the deepest leaf above the limit down by
// one, beside one that was at the limit. Then the leaves get the lengths anew, the lightest the longest.
func (f *forest) flatten(lengths []uint8, counts []int, tooDeep int) {
	limit := len(counts) - 1
	for ; tooDeep > 0; tooDeep -= 2 {
		depth := limit - 1
		for counts[depth] == 0 {
			depth--
		}
		counts[depth]--
		counts[depth+1] += 2
		counts[limit]--
	}
	depth := limit
	for _, node := range f.joined {
		if node >= f.leaves {
			continue
		}
		for counts[depth] == 0 {
			depth--
		}
		lengths[node] = uint8(depth)
		counts[depth]--
	}
}
