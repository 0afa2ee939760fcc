package diff

import (
	"math"
	"slices"

	"conifer.dev/conifer/internal/wire/delta"
)

// The bounds of an operation: what it writes, and an estimate of its data, so that a machine that loses its power loses little.
const (
	maxOpBytes     = 1 << 30
	maxOpDataBytes = 2 << 20
)

// maxPieces bounds a region, which a machine holds in memory.
const maxPieces = 1 << 18

// minExactBytes is from when on equal bytes are worth a region that says so.
const minExactBytes = 16 << 10

// block is a region in the making.
type block struct {
	delta.Region
	file int
	cost float64
}

// regions groups parts into regions: of one changed file, of exact copies, and of what lies between.
func (f *finder) regions(all []part) []block {
	var blocks []block
	for i := 0; i < len(all); {
		p := all[i]
		run, n := int64(0), i
		for n < len(all) && all[n].exact {
			run += all[n].SizeBytes
			n++
		}
		exact := run >= minExactBytes
		if !exact {
			n = max(n, i+1)
		}
		last := len(blocks) - 1
		if last < 0 || p.frame != nil || blocks[last].Frame != nil || exact || blocks[last].Exact || blocks[last].file != p.file {
			blocks = append(blocks, f.block(p, exact))
			last++
		}
		for ; i < n; i++ {
			if blocks[last].isFull(all[i]) {
				blocks = append(blocks, f.block(all[i], exact))
				last++
			}
			blocks[last].add(all[i])
			if p.frame != nil {
				blocks[last].Region = delta.Region{SizeBytes: p.SizeBytes, Frame: p.frame}
			}
		}
	}
	return blocks
}

// block begins a region with a part.
func (f *finder) block(p part, exact bool) block {
	b := block{Region: delta.Region{Exact: exact}, file: p.file}
	if p.file == none || exact || f.pairs[p.file].program == nil {
		return b
	}
	pair := &f.pairs[p.file]
	pair.program.Region(&b.Region)
	b.OldAt = f.old.nodes[pair.content].Content[0].Offset
	b.NewSpaces = slices.Clone(b.NewSpaces)
	for i := range b.NewSpaces {
		b.NewSpaces[i].Offset -= p.at
	}
	return b
}

// isFull reports whether the region would be more than an operation with the part.
func (b *block) isFull(p part) bool {
	return b.SizeBytes > 0 && (b.cost+p.cost > maxOpDataBytes || b.SizeBytes+p.SizeBytes > maxOpBytes || len(b.Pieces) == maxPieces)
}

func (b *block) add(p part) {
	b.SizeBytes += p.SizeBytes
	b.cost += p.cost
	pieces := pieces{b.Pieces}
	pieces.append(p.Piece)
	b.Pieces = pieces.all
}

// isLargeFrame reports whether the region is a frame that takes much memory to make, so that it begins an operation: one that has made
// something else before holds what it learned there.
func (b *block) isLargeFrame() bool { return b.Frame != nil && b.SizeBytes >= 1<<20 }

// cut makes operations of parts, at the borders of regions where it can.
func (f *finder) cut(all []part) ([]Op, error) {
	var ops []Op
	op, cost, offset := Op{Plan: &delta.Plan{OldSizeBytes: f.old.SizeBytes}}, 0.0, int64(0)
	flush := func() {
		if op.Plan.SizeBytes > 0 {
			ops = append(ops, op)
		}
		op, cost = Op{Plan: &delta.Plan{OldSizeBytes: f.old.SizeBytes}, Offset: offset}, 0
	}
	for _, b := range f.regions(small(all)) {
		if b.isLargeFrame() || cost+b.cost > maxOpDataBytes || op.Plan.SizeBytes+b.SizeBytes > maxOpBytes {
			flush()
		}
		if b.file != none {
			op.Files = append(op.Files, f.file(b.file, offset, b.SizeBytes))
		}
		op.Plan.Regions = append(op.Plan.Regions, b.Region)
		op.Plan.SizeBytes += b.SizeBytes
		offset += b.SizeBytes
		cost += b.cost
	}
	flush()
	return ops, nil
}

func (f *finder) file(node int, offset, size int64) File {
	file := File{Path: f.new.nodes[node].Path, Offset: offset, SizeBytes: size}
	if old := f.pairs[node].content; old != none {
		file.Old = f.old.nodes[old].Path
	}
	return file
}

// small cuts parts that are too large for an operation with others, evenly.
func small(all []part) []part {
	var cut []part
	for _, p := range all {
		if p.frame != nil {
			cut = append(cut, p)
			continue
		}
		n := int64(max(math.Ceil(p.cost/(maxOpDataBytes/2)), math.Ceil(float64(p.SizeBytes)/(maxOpBytes/2))))
		for i := range n {
			piece, start, end := p, p.SizeBytes*i/n, p.SizeBytes*(i+1)/n
			piece.SizeBytes, piece.cost = end-start, p.cost/float64(n)
			if p.From != delta.New {
				piece.From += start
			}
			cut = append(cut, piece)
		}
	}
	return cut
}
