package zframe

import (
	"math/bits"
)

// recent finds, for a place in the content and for each length, the latest earlier place with so many bytes the same. Of two places with
// bytes in common the later one hides the earlier for all lengths up to those bytes. So each place is remembered at one depth only: the least
// number of its bytes that no later place has. A new place is at the least depth, and the places it finds on its way down go to the
// depth after what they have in common with it.
//
// The memory is bounded: buckets of a few places each. A bucket that is full forgets the oldest, weighed by depth.
type recent struct {
	content *Pages
	slots   []uint32 // the place, the class of its depth, and some bits of its hash
	bits    int      // of a place

	last, now []shared // what was found at the last place, and is at this one
	at        int      // this one
}

// shared is how many bytes a place has in common with one so far before it.
type shared struct{ distance, same int }

const (
	bucketSlots = 4
	leastDepth  = 4
	mostDepth   = 192
	classBits   = 3
)

// deeper is the depth to look at after so many bytes in common: each up to 64, then some.
var deeper = func() (next [mostDepth]uint8) {
	for n := range next {
		step := 1
		switch {
		case n >= 128:
			step = 16
		case n >= 64:
			step = 4
		}
		next[n] = uint8(max(n/step*step+step, leastDepth))
	}
	return
}()

// ages weighs the age of a place by the class of its depth: the shallow ones are used more.
var ages = [1 << classBits]uint32{5, 6, 7, 8, 9, 10, 11, 12}

func depthClass(depth int) uint32 {
	switch {
	case depth <= 8:
		return uint32(depth - leastDepth)
	case depth <= 10:
		return 5
	case depth <= 15:
		return 6
	}
	return 7
}

// newRecent uses 4 bytes for each slot.
func newRecent(content *Pages, slots int) *recent {
	return &recent{content: content, slots: make([]uint32, slots/bucketSlots*bucketSlots), bits: bits.Len(uint(content.size))}
}

// bucket is where a place is at a depth, and what its slot says beside the place.
func (r *recent) bucket(place, depth int) ([]uint32, uint32) {
	first := r.content.word(place)
	var h uint64
	if depth < 8 {
		h = (first<<(64-8*depth) ^ uint64(depth)) * 0x9E3779B97F4A7C15
	} else {
		h = (first ^ uint64(depth)) * 0x9E3779B97F4A7C15
		if depth > 16 {
			h ^= r.content.word(place+8) * 0xC2B2AE3D27D4EB4F
		}
		h = (bits.RotateLeft64(h, 29) ^ r.content.word(place+depth-8)) * 0xD6E8FEB86659FD93
	}
	which, _ := bits.Mul64(h, uint64(len(r.slots)/bucketSlots))
	at := int(which) * bucketSlots
	return r.slots[at : at+bucketSlots : at+bucketSlots], (uint32(h>>40)<<classBits | depthClass(depth)) << r.bits
}

// add makes a place the latest, and appends the places that are no longer it, with the bytes in common, up to the limit, rising. The way
// down ends where nothing is remembered, though something deeper may be.
func (r *recent) add(found []candidate, place, limit int) []candidate {
	r.last, r.now = r.now, r.last[:0]
	if place != r.at+1 {
		r.last = r.last[:0]
	}
	r.at = place
	for depth := leastDepth; depth > 0 && place+depth <= r.content.size; {
		bucket, label := r.bucket(place, depth)
		slot, other, same := r.search(bucket, label, place, depth)
		if depth == leastDepth {
			r.begin(bucket, slot, uint32(place)|label, place)
		} else if slot >= 0 {
			bucket[slot] = 0
		}
		if slot < 0 {
			break
		}
		r.now = append(r.now, shared{place - other, same})
		if below := r.below(same); below != 0 && other+below <= r.content.size {
			bucket, label := r.bucket(other, below)
			r.replace(bucket, uint32(other)|label, place)
		}
		length := min(same, limit)
		if same == mostDepth {
			length = r.content.common(place, other, limit)
		}
		found = append(found, candidate{uint32(place - other), uint32(length)})
		depth = r.below(same)
	}
	return found
}

// below is the depth after so many bytes in common, or 0.
func (r *recent) below(same int) int {
	if same >= mostDepth {
		return 0
	}
	return int(deeper[same])
}

// begin puts a new place at the least depth.
func (r *recent) begin(bucket []uint32, slot int, entry uint32, now int) {
	if slot < 0 {
		r.replace(bucket, entry, now)
		return
	}
	bucket[slot] = entry
}

// search finds another place in a bucket that has the bytes of this one.
func (r *recent) search(bucket []uint32, label uint32, place, depth int) (slot, other, same int) {
	mask := uint32(1)<<r.bits - 1
	for i, v := range bucket {
		if v == 0 || v&^mask != label {
			continue
		}
		other = int(v & mask)
		if same = r.common(place, other); same >= depth {
			return i, other, same
		}
	}
	return -1, 0, 0
}

// common is how many bytes a place has in common with an earlier one, at most mostDepth. A place that goes on side by side with one that
// the last place was compared with has one less.
func (r *recent) common(place, other int) int {
	for _, s := range r.last {
		if s.distance == place-other && s.same < mostDepth {
			return s.same - 1
		}
	}
	return r.content.common(place, other, min(r.content.size-place, mostDepth))
}

// replace takes the place of the one that is least of use, or is dropped itself.
func (r *recent) replace(bucket []uint32, entry uint32, now int) {
	mask := uint32(1)<<r.bits - 1
	score := func(v uint32) uint64 { return uint64(now-int(v&mask)) * uint64(ages[v>>r.bits%(1<<classBits)]) }
	slot, worst := 0, uint64(0)
	for i, v := range bucket {
		if v == 0 {
			bucket[i] = entry
			return
		}
		if s := score(v); s >= worst {
			slot, worst = i, s
		}
	}
	if score(entry) <= worst {
		bucket[slot] = entry
	}
}
