package diff

import (
	"bytes"
	"math"

	"conifer.dev/conifer/internal/factory/diff/erofs"
	"conifer.dev/conifer/internal/wire/delta"
)

// part is a piece of the new image.
type part struct {
	delta.Piece
	exact bool
	file  int     // the new node that it holds content of and that changed, or none
	cost  float64 // an estimate of its data in bytes
	at    int64   // where in the content of the file it begins
}

// parts joins the pieces of all nodes in the order of the new image.
func (f *finder) parts() ([]part, error) {
	var all []part
	for _, s := range f.new.spans {
		switch s.kind {
		case inode:
			all = append(all, f.inode(s)...)
		case content:
			p := f.pairs[s.node]
			file := none
			if !p.same && s.SizeBytes >= ownRegionBytes {
				file = s.node
			}
			at := s.at
			for _, piece := range cutPieces(p.pieces, s.at, s.at+s.SizeBytes) {
				all = append(all, part{Piece: piece, exact: p.same, file: file, at: at})
				at += piece.SizeBytes
			}
		default:
			all = append(all, part{Piece: delta.Piece{From: gapFrom, SizeBytes: s.SizeBytes}, file: none})
		}
	}
	if err := f.fillGaps(all); err != nil {
		return nil, err
	}
	all = join(all)
	return all, f.estimate(all)
}

// ownRegionBytes is from when on a changed file has a region of its own.
const ownRegionBytes = 4096

// gapFrom marks a part that is not yet matched.
const gapFrom = -2

// cutPieces are the pieces of a part of what they cover.
func cutPieces(all []delta.Piece, start, end int64) []delta.Piece {
	var cut []delta.Piece
	at := int64(0)
	for _, p := range all {
		from, to := max(start, at), min(end, at+p.SizeBytes)
		if from < to {
			part := delta.Piece{From: p.From, SizeBytes: to - from}
			if p.From != delta.New {
				part.From += from - at
			}
			cut = append(cut, part)
		}
		at += p.SizeBytes
	}
	return cut
}

// inode is made of the inode of the partner, as far as that goes.
func (f *finder) inode(s span) []part {
	partner := f.pairs[s.node].inode
	if partner == none {
		return []part{{Piece: delta.Piece{From: gapFrom, SizeBytes: s.SizeBytes}, file: none}}
	}
	old := f.old.nodes[partner].Inode
	all := []part{{Piece: delta.Piece{From: old.Offset, SizeBytes: min(old.SizeBytes, s.SizeBytes)}, file: none}}
	if more := s.SizeBytes - old.SizeBytes; more > 0 {
		all = append(all, part{Piece: delta.Piece{From: gapFrom, SizeBytes: more}, file: none})
	}
	return all
}

// fillGaps decides for the small parts that no file holds: each goes on as the part before it, or comes before the part after it,
// whichever is more like it, or is new.
func (f *finder) fillGaps(all []part) error {
	offset := int64(0)
	for i := range all {
		p := &all[i]
		at := offset
		offset += p.SizeBytes
		if p.From != gapFrom {
			continue
		}
		now, err := f.new.read(erofs.Extent{Offset: at, SizeBytes: p.SizeBytes})
		if err != nil {
			return err
		}
		candidates := []int64{at}
		if i > 0 && all[i-1].From >= 0 {
			candidates = append(candidates, all[i-1].From+all[i-1].SizeBytes)
		}
		if i+1 < len(all) && all[i+1].From >= 0 {
			candidates = append(candidates, all[i+1].From-p.SizeBytes)
		}
		p.From = delta.New
		best := len(now) / 2
		for _, from := range candidates {
			if from < 0 || from > f.old.SizeBytes-p.SizeBytes {
				continue
			}
			old, err := f.old.read(erofs.Extent{Offset: from, SizeBytes: p.SizeBytes})
			if err != nil {
				return err
			}
			if same := countSame(old, now); same >= best {
				best, p.From = same, from
			}
		}
	}
	return nil
}

// join makes one part of those that go on where the last one ended.
func join(all []part) []part {
	var joined []part
	for _, p := range all {
		if n := len(joined); n > 0 {
			last := &joined[n-1]
			goesOn := p.From == last.From+last.SizeBytes && last.From >= 0 || p.From == delta.New && last.From == delta.New
			if goesOn && p.exact == last.exact && p.file == last.file {
				last.SizeBytes += p.SizeBytes
				continue
			}
		}
		joined = append(joined, p)
	}
	return joined
}

// What data cost, about, in bytes.
const (
	pieceCost  = 3.0
	changeCost = 0.8 // of a byte that differs from the one it is copied from

	programShare = 0.3 // of these, in a program: most differences in it follow from others
)

// estimate says of every part what it costs.
func (f *finder) estimate(all []part) error {
	offset := int64(0)
	for i := range all {
		p := &all[i]
		p.cost = pieceCost
		for done := int64(0); done < p.SizeBytes && !p.exact; {
			n := min(p.SizeBytes-done, 64<<10)
			now, err := f.new.read(erofs.Extent{Offset: offset + done, SizeBytes: n})
			if err != nil {
				return err
			}
			if p.From == delta.New {
				p.cost += entropy(now)
			} else {
				old, err := f.old.read(erofs.Extent{Offset: p.From + done, SizeBytes: n})
				if err != nil {
					return err
				}
				if !bytes.Equal(old, now) {
					p.cost += changeCost * float64(len(now)-countSame(old, now))
				}
			}
			done += n
		}
		if p.file != none && f.pairs[p.file].program != nil {
			p.cost *= programShare
		}
		offset += p.SizeBytes
	}
	return nil
}

// entropy is what bytes cost when only how often each value occurs is known.
func entropy(b []byte) float64 {
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			bits += float64(n) * math.Log2(float64(len(b))/float64(n))
		}
	}
	return bits / 8
}
