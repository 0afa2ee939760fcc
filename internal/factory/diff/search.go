package diff

import (
	"slices"

	"conifer.dev/conifer/internal/factory/diff/erofs"
	"conifer.dev/conifer/internal/wire/delta"
)

// found is a part of a text that is equal somewhere in the old image.
type found struct {
	at     int // in the text
	from   int64
	length int
}

// search replaces new pieces of text by what the whole old image has of them.
func (f *finder) search(all []delta.Piece, text []byte) ([]delta.Piece, error) {
	var p pieces
	at := 0
	for _, piece := range all {
		end := at + int(piece.SizeBytes)
		if piece.From != delta.New {
			p.append(piece)
			at = end
			continue
		}
		hits, err := f.hits(text[at:end])
		if err != nil {
			return nil, err
		}
		done := at
		for _, h := range hits {
			p.add(delta.New, at+h.at-done)
			p.add(h.from, h.length)
			done = at + h.at + h.length
		}
		p.add(delta.New, end-done)
		at = end
	}
	return p.all, nil
}

// hits are the parts of text that the old image has, in order and apart from each other.
func (f *finder) hits(text []byte) ([]found, error) {
	var all []found
	if len(text) < windowBytes {
		return nil, nil
	}
	done, hash := 0, hashWindow(text)
	for at := 0; ; {
		if from := f.index.lookUp(hash); from != none {
			h, err := f.grow(text, done, at, from)
			if err != nil {
				return nil, err
			}
			if h.length > 0 {
				all = append(all, h)
				done = h.at + h.length
				at = done
				if at+windowBytes > len(text) {
					return all, nil
				}
				hash = hashWindow(text[at:])
				continue
			}
		}
		if at+windowBytes >= len(text) {
			return all, nil
		}
		hash = roll(hash, text[at], text[at+windowBytes])
		at++
	}
}

// growBytes is how much of the old image is looked at in one go.
const growBytes = 64 << 10

// grow extends an equal window in both directions, back not beyond done. It gives nothing when the window is not equal after all.
func (f *finder) grow(text []byte, done, at int, from int64) (found, error) {
	back := min(int64(at-done), from, growBytes)
	window := erofs.Extent{Offset: from - back}
	window.SizeBytes = min(back+int64(len(text)-at), back+growBytes, f.old.SizeBytes-window.Offset)
	old, err := f.old.read(window)
	if err != nil {
		return found{}, err
	}
	length := commonStart(old[back:], text[at:])
	if length < windowBytes {
		return found{}, nil
	}
	before := 0
	for before < int(back) && old[int(back)-1-before] == text[at-1-before] {
		before++
	}
	for {
		start := from + int64(length)
		n := min(f.old.SizeBytes-start, int64(len(text)-at-length), growBytes)
		if length < growBytes || n <= 0 {
			break
		}
		if old, err = f.old.read(erofs.Extent{Offset: start, SizeBytes: n}); err != nil {
			return found{}, err
		}
		same := commonStart(old, text[at+length:])
		length += same
		if same < int(n) {
			break
		}
	}
	return found{at - before, from - int64(before), before + length}, nil
}

// vote finds the old node that has most of a text.
func (f *finder) vote(text []byte) (int, error) {
	hits, err := f.hits(text)
	if err != nil {
		return none, err
	}
	votes := map[int]int{}
	best := none
	for _, h := range hits {
		s := f.old.at(h.from)
		if s.kind != content {
			continue
		}
		votes[s.node] += h.length
		if best == none || votes[s.node] > votes[best] || votes[s.node] == votes[best] && s.node < best {
			best = s.node
		}
	}
	return best, nil
}

// at is the span that holds a byte.
func (l *layout) at(offset int64) span {
	i, exact := slices.BinarySearchFunc(l.spans, offset, func(s span, offset int64) int {
		switch {
		case s.End() <= offset:
			return -1
		case s.Offset > offset:
			return 1
		}
		return 0
	})
	if !exact {
		return span{}
	}
	return l.spans[i]
}
