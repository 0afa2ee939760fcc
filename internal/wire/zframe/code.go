package zframe

import (
	"io"

	"conifer.dev/conifer/internal/wire/entropy"
)

// Align says which places of the content of two frames belong together.
type Align interface {
	ToOld(at int64) (old int64, ok bool)
	ToNew(old int64) (at int64, ok bool)
}

// Reparse writes or reads what the content of a frame does not tell of the frame: how it was cut into blocks, literals and matches.
// A writer gives the frame, a reader gets it written to out. Both have the content, and may have an older frame whose content
// is like it. The work is in proportion to the content; errors of kind Corrupt are those of the coded data.
type Reparse struct {
	Content *Pages
	Frame   *Reader   // of a writer
	Out     io.Writer // of a reader
	Old     *Reader   // nil for none
	Align   Align
}

// Code does it.
func (r *Reparse) Code(c *entropy.Coder) error {
	p := &parse{c: c, content: r.Content, reading: c.Reading(), old: newPast(r.Old, r.Align), distances: Initial}
	p.init()
	h, err := p.header(r)
	if err != nil {
		return err
	}
	var w *Writer
	if p.reading {
		if w, err = NewWriter(r.Out, h); err != nil {
			return err
		}
	}
	for last := false; !last; {
		told := &Block{}
		if !p.reading {
			if told, err = r.Frame.Next(); err != nil {
				return err
			}
		}
		b, err := p.block(told)
		if err != nil {
			return err
		}
		if c.Overrun() {
			return c.Err()
		}
		last = b.Last
		if w != nil {
			if err := w.Write(b); err != nil {
				return err
			}
		}
	}
	if p.at != p.content.size {
		return corrupt("frame ends at byte %d of a content of %d", p.at, p.content.size)
	}
	if !h.Checksum {
		return nil
	}
	sum := uint32(0)
	if !p.reading {
		sum = r.Frame.Checksum
	}
	sum = c.Bits(32, sum)
	if w != nil {
		return w.WriteChecksum(sum)
	}
	return nil
}

// header codes the header of the frame as it is.
func (p *parse) header(r *Reparse) (Header, error) {
	told := make([]byte, maxHeader)
	if !p.reading {
		copy(told, r.Frame.Header.Bytes)
	}
	told[0] = byte(p.c.Bits(8, uint32(told[0])))
	b := told[:headerSize(told[0])]
	for i := 1; i < len(b); i++ {
		b[i] = byte(p.c.Bits(8, uint32(b[i])))
	}
	return parseHeader(b)
}

const shapeLimit = 100

// shape is what a block is beside its content.
type shape struct {
	last, isFull entropy.Prob
	kind         []entropy.Prob // by the last kind
	size         *entropy.Number
	literals     []entropy.Prob // by the last kind of literals
	format       []entropy.Prob // by kind
	modes        []entropy.Prob // by code and last mode
	bytes        []entropy.Prob // of descriptions, by which and by how far in
	count        *entropy.Number
	lastKind     Kind
	lastLiterals LiteralKind
	lastModes    [3]Mode
}

func newShape() shape {
	return shape{
		last: entropy.Even, isFull: entropy.Even, kind: entropy.Evens(4 * 4), size: entropy.NewNumber(), literals: entropy.Evens(4 * 4),
		format: entropy.Evens(4 * 32 * 4), modes: entropy.Evens(3 * 4 * 4), bytes: entropy.Evens(4 * 8 * 256), count: entropy.NewNumber(),
	}
}

// block codes one block.
func (p *parse) block(told *Block) (*Block, error) {
	s := &p.shape
	b := &p.out
	*b = Block{Literals: b.Literals[:0], Sequences: b.Sequences[:0]}
	b.Last = s.last.Code(p.c, truth(told.Last), shapeLimit) == 1
	b.Kind = Kind(entropy.Tree(p.c, s.kind[s.lastKind*4:][:4], 2, uint32(told.Kind), shapeLimit))
	s.lastKind = b.Kind
	b.Size = maxBlock
	if s.isFull.Code(p.c, truth(told.Size == maxBlock), shapeLimit) == 0 {
		b.Size = int(s.size.Code(p.c, uint64(told.Size)))
	}
	if b.Size > maxBlock || b.Size > p.content.size-p.at {
		return nil, corrupt("block has %d bytes of content where %d are left", b.Size, min(maxBlock, p.content.size-p.at))
	}
	end := p.at + b.Size
	switch b.Kind {
	case Raw:
		b.Literals = p.content.append(b.Literals, p.at, end)
	case RLE:
		if b.Size == 0 {
			return nil, corrupt("block repeats a byte no times")
		}
		b.Literals = append(b.Literals, p.content.byte(p.at))
	case Compressed:
		if err := p.sequences(told, b, end); err != nil {
			return nil, err
		}
		p.describe(told, b)
	default:
		return nil, corrupt("block is of the reserved kind")
	}
	p.skip(end)
	return b, nil
}

// describe codes how the literals and sequences of a block are written.
func (p *parse) describe(told, b *Block) {
	s := &p.shape
	b.LiteralKind = LiteralKind(entropy.Tree(p.c, s.literals[s.lastLiterals*4:][:4], 2, uint32(told.LiteralKind), shapeLimit))
	s.lastLiterals = b.LiteralKind
	size := bitLen(len(b.Literals))
	b.LiteralFormat = byte(entropy.Tree(p.c, s.format[(int(b.LiteralKind)*32+size)*4:][:4], 2, uint32(told.LiteralFormat), shapeLimit))
	if b.LiteralKind == TreeLiterals {
		b.Tree = p.description(told.Tree, 3)
	}
	if len(b.Sequences) == 0 {
		return
	}
	for i := range b.Modes {
		b.Modes[i] = Mode(entropy.Tree(p.c, s.modes[(i*4+int(s.lastModes[i]))*4:][:4], 2, uint32(told.Modes[i]), shapeLimit))
		s.lastModes[i] = b.Modes[i]
		if b.Modes[i] == OneSymbol || b.Modes[i] == Described {
			b.Tables[i] = p.description(told.Tables[i], i)
		}
	}
}

// description codes the bytes of a table's or tree's description.
func (p *parse) description(told []byte, which int) []byte {
	n := min(int(p.shape.count.Code(p.c, uint64(len(told)))), 255)
	b := make([]byte, n)
	copy(b, told)
	for i := range b {
		probs := p.shape.bytes[(which*8+min(i, 7))*256:][:256]
		b[i] = byte(entropy.Tree(p.c, probs, 8, uint32(b[i]), shapeLimit))
	}
	return b
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
