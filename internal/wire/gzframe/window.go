package gzframe

import (
	"encoding/binary"
	"math/bits"
)

// Sizes of the search for matches. The last two keep every comparison within the window.
const (
	windowSize   = 1 << 15 // how far back the format reaches
	bufferSize   = 2 * windowSize
	minMatch     = 3
	maxMatch     = 258
	minLookahead = maxMatch + minMatch + 1
	maxDistance  = windowSize - minLookahead

	hashSize = 1 << 15
	slack    = 8 // bytes after the buffer that are read in words, and never decide anything
)

// effort is how hard a level searches.
type effort struct {
	good  int // a match of this length before makes the search four times shorter
	lazy  int // a match of this length is taken without a look at the next byte; of levels 1 to 3: longer ones are not indexed
	nice  int // a match of this length ends the search
	chain int // how many places are looked at
}

var efforts = [10]effort{
	1: {4, 4, 8, 4},
	2: {4, 5, 16, 8},
	3: {4, 6, 32, 32},
	4: {4, 4, 16, 16},
	5: {8, 16, 32, 32},
	6: {8, 16, 128, 128},
	7: {8, 32, 128, 256},
	8: {32, 128, 258, 1024},
	9: {32, 258, 258, 4096},
}

// window holds the bytes before and after the place of the encoder, and where strings of three bytes were seen. Offsets are those in
// the buffer. Offset 0 stands for none, so the string there is never found.
type window struct {
	buffer    [bufferSize + slack]byte
	at        int // the place of the encoder
	lookahead int // bytes known from there on
	block     int // where the block under way begins, negative when that has left the buffer
	ended     bool

	heads [hashSize]uint16   // the latest place of each hash
	prior [windowSize]uint16 // the place before it with the same hash

	found int // where the match is that the last search found
}

// fill takes what the buffer has room for and returns how much.
func (w *window) fill(p []byte) int {
	n := copy(w.buffer[w.at+w.lookahead:bufferSize], p)
	w.lookahead += n
	return n
}

func (w *window) full() bool { return w.at+w.lookahead == bufferSize }

// slide drops the older half when the encoder is near enough to the end. The newer half stays where it was as well, until it is overwritten:
// searches near the end of the input read it.
func (w *window) slide() {
	if w.at < windowSize+maxDistance {
		return
	}
	copy(w.buffer[:windowSize], w.buffer[windowSize:bufferSize])
	w.at -= windowSize
	w.block -= windowSize
	w.found -= windowSize
	for _, places := range []*[windowSize]uint16{&w.heads, &w.prior} {
		for i, place := range places {
			places[i] = uint16(max(int(place)-windowSize, 0))
		}
	}
}

// end says that no more bytes follow. The strings of the last two are completed with zeros.
func (w *window) end() {
	w.ended = true
	clear(w.buffer[w.at+w.lookahead : w.at+w.lookahead+minMatch-1])
}

// insert indexes the string at the offset and returns the latest place of its hash, or 0.
func (w *window) insert(at int) int {
	s := w.buffer[at : at+minMatch]
	hash := (uint32(s[0])<<10 ^ uint32(s[1])<<5 ^ uint32(s[2])) % hashSize
	head := w.heads[hash]
	w.prior[at&(windowSize-1)] = head
	w.heads[hash] = uint16(at)
	return int(head)
}

// searchable reports whether a search may begin at a place that insert has returned.
func (w *window) searchable(place int) bool {
	return place != 0 && w.at-place <= maxDistance && w.at <= bufferSize-minLookahead
}

// search looks from place on backwards for the longest match of what comes next that is longer than the length before, and the nearest of
// those. It returns that length or the one before, and what is beyond the lookahead counts.
func (w *window) search(place, before int, e *effort) int {
	best, left := before, e.chain
	if before >= e.good {
		left >>= 2
	}
	lowest := max(w.at-maxDistance, 0)
	next := w.buffer[w.at : w.at+maxMatch+slack-2]
	offset, mask, want := probe(next, best)
	for {
		if (binary.LittleEndian.Uint32(w.buffer[place+offset:])^want)&mask == 0 {
			if n := common(next, w.buffer[place:place+len(next)]); n > best {
				w.found, best = place, n
				if n >= e.nice {
					break
				}
				offset, mask, want = probe(next, best)
			}
		}
		place = int(w.prior[place&(windowSize-1)])
		if left--; left == 0 || place <= lowest {
			break
		}
	}
	return best
}

// probe is which bytes a match longer than best must have, the ones least likely to be there: those at its end.
func probe(next []byte, best int) (offset int, mask, want uint32) {
	if best < minMatch {
		return 0, 1<<24 - 1, binary.LittleEndian.Uint32(next)
	}
	return best - minMatch, ^uint32(0), binary.LittleEndian.Uint32(next[best-minMatch:])
}

// common is how many bytes two strings have in common, at most maxMatch.
func common(a, b []byte) int {
	for n := 0; n+8 <= len(a) && n+8 <= len(b); n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return min(n+bits.TrailingZeros64(x)/8, maxMatch)
		}
	}
	return maxMatch
}
