package delta

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
)

// moved is a run of the old file and where it begins in the new one.
type moved struct{ from, size, to int64 }

// moves is where the runs of an old file have gone: ascending, none over another.
type moves []moved

// newMoves lists where pieces have gone. Where several came from the same old bytes the longest counts: it is the one that was
// moved, the others only resemble it.
func newMoves(pieces []Piece, oldAt int64) moves {
	all, at := make(longest, 0, len(pieces)), int64(0)
	for _, p := range pieces {
		if p.From != New {
			all = append(all, moved{p.From - oldAt, p.SizeBytes, at})
		}
		at += p.SizeBytes
	}
	slices.SortFunc(all, func(a, b moved) int { return cmp.Compare(a.from, b.from) })
	return all.sweep()
}

// at finds the run that an offset is in, or the one before it.
func (m moves) at(offset int64) (to int64, ok bool) {
	i := sort.Search(len(m), func(i int) bool { return m[i].from > offset }) - 1
	if i < 0 {
		return 0, false
	}
	return m[i].to + offset - m[i].from, true
}

// longest is a heap of runs, the longest on top.
type longest []moved

func (l longest) Len() int { return len(l) }
func (l longest) Less(i, j int) bool {
	return l[i].size > l[j].size || l[i].size == l[j].size && l[i].to < l[j].to
}
func (l longest) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *longest) Push(x any)   { *l = append(*l, x.(moved)) }
func (l *longest) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

// sweep goes through runs that ascend and gives the longest at each place.
func (l longest) sweep() moves {
	var open longest
	out, pos := make(moves, 0, len(l)), int64(0)
	for next := 0; next < len(l) || len(open) > 0; {
		for len(open) > 0 && open[0].from+open[0].size <= pos {
			heap.Pop(&open)
		}
		if len(open) == 0 {
			if next == len(l) {
				break
			}
			pos = max(pos, l[next].from)
		}
		for next < len(l) && l[next].from <= pos {
			heap.Push(&open, l[next])
			next++
		}
		if len(open) == 0 || open[0].from+open[0].size <= pos {
			continue
		}
		top := open[0]
		end := top.from + top.size
		// A longer run may begin before this one ends.
		for i := next; i < len(l) && l[i].from < end; i++ {
			if l[i].size > top.size {
				end = l[i].from
			} else {
				heap.Push(&open, l[i])
				next = i + 1
				continue
			}
			break
		}
		out = append(out, moved{pos, end - pos, top.to + pos - top.from})
		pos = end
	}
	return out
}
