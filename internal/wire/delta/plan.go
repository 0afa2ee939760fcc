package delta

import (
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/entropy"
)

// Plan says how an output is made of an old image: regions that cover the output in order.
type Plan struct {
	OldSizeBytes int64
	SizeBytes    int64
	Regions      []Region
}

// Region is a part of the output, such as one file of an image. Its pieces cover it in order.
type Region struct {
	SizeBytes int64
	Exact     bool // all pieces are copies, and equal to what they are copied from
	Pieces    []Piece
	Frame     *Frame // instead of pieces

	// Of a program, what is known of the file that it resembles. The file begins at OldAt in the old image; spaces, bases and
	// code are counted from the beginning of either file.
	OldAt                int64
	OldSpaces, NewSpaces []Space
	Bases                []Base // the first is that of absolute addresses
	Code                 []Span // of the old file
}

// isProgram reports whether more is to be told of a region than its pieces.
func (r *Region) isProgram() bool { return len(r.OldSpaces) > 0 }

// Piece is a part of a region that resembles a part of the old image, or, when From is [New], none.
type Piece struct {
	From      int64
	SizeBytes int64
}

// New is the From of a piece that is not in the old image.
const New = -1

// The limits of a plan. They bound what a reader takes memory for before it writes a byte.
const (
	maxPieces    = 1 << 18 // of a region
	maxSizeBytes = 1 << 40 // of the old image
)

// planCoder writes or reads a plan region by region.
type planCoder struct {
	c                     *entropy.Coder
	oldSizeBytes, expects int64 // expects is where a piece begins that goes on where the last one ended

	regionSize              *length
	isFrame, exact, program entropy.Prob
	frameKind               []entropy.Prob
	frameAt                 *nearby
	frameSize               *length
	isNew                   [2]entropy.Prob // by whether the last was
	size                    [2]*length      // of copies, and of what is new
	goesOn                  [2]entropy.Prob // by whether what is new lies between
	from                    *nearby
	count                   *entropy.Number
	place                   *entropy.Number
	arm64                   entropy.Prob
}

func newPlanCoder(c *entropy.Coder, oldSizeBytes int64) *planCoder {
	return &planCoder{
		c: c, oldSizeBytes: oldSizeBytes, regionSize: newLength(),
		size: [2]*length{newLength(), newLength()},
		from: newNearby(), frameKind: make([]entropy.Prob, 4), frameAt: newNearby(), frameSize: newLength(),
		count: entropy.NewNumber(), place: entropy.NewNumber(),
	}
}

const planLimit = 127

// length codes a number of bytes, whose lowest bits are often zero.
type length struct {
	high *entropy.Number
	low  []entropy.Prob // 3 bits, by how large the rest is
}

func newLength() *length { return &length{entropy.NewNumber(), make([]entropy.Prob, 8*8)} }

func (l *length) code(c *entropy.Coder, v int64) int64 {
	high := l.high.Code(c, uint64(v)>>3)
	low := entropy.Tree(c, l.low[min(high, 7)*8:][:8], 3, uint32(v&7), planLimit)
	return int64(high<<3|uint64(low)) & (1<<62 - 1)
}

// nearby codes a place that is likely near another.
type nearby struct {
	backwards   entropy.Prob
	ahead, back *length
}

func newNearby() *nearby { return &nearby{ahead: newLength(), back: newLength()} }

func (n *nearby) near(c *entropy.Coder, v, expected int64) int64 {
	step := v - expected
	if n.backwards.Code(c, truth(step < 0), planLimit) == 1 {
		return expected - n.back.code(c, -step)
	}
	return expected + n.ahead.code(c, step)
}

// region codes one region, of which at most left bytes are possible. A reader gives nil.
func (p *planCoder) region(told *Region, left int64) (*Region, error) {
	r := &Region{}
	if told != nil {
		*r = *told
	}
	pieces := r.Pieces
	r.SizeBytes, r.Pieces = p.regionSize.code(p.c, r.SizeBytes), nil
	if r.SizeBytes < 1 || r.SizeBytes > left {
		return nil, fault.New(fault.Corrupt, "delta has a region of %d bytes where %d are left", r.SizeBytes, left)
	}
	if p.isFrame.Code(p.c, truth(r.Frame != nil), planLimit) == 1 {
		frame, err := p.frame(r.Frame, r.SizeBytes)
		return &Region{SizeBytes: r.SizeBytes, Frame: frame}, err
	}
	r.Exact = p.exact.Code(p.c, truth(r.Exact), planLimit) == 1
	if p.program.Code(p.c, truth(r.isProgram()), planLimit) == 1 {
		if err := p.describe(r); err != nil {
			return nil, err
		}
	}
	wasNew := 0
	for done := int64(0); done < r.SizeBytes; {
		if len(r.Pieces) == maxPieces {
			return nil, fault.New(fault.Corrupt, "delta has a region of more than %d pieces", maxPieces)
		}
		var piece Piece
		if told != nil {
			piece = pieces[len(r.Pieces)]
		}
		piece, err := p.piece(piece, r.SizeBytes-done, r.Exact, wasNew)
		if err != nil {
			return nil, err
		}
		wasNew = truth(piece.From == New)
		r.Pieces = append(r.Pieces, piece)
		done += piece.SizeBytes
	}
	return r, nil
}

func (p *planCoder) piece(piece Piece, left int64, exact bool, wasNew int) (Piece, error) {
	if !exact && p.isNew[wasNew].Code(p.c, truth(piece.From == New), planLimit) == 1 {
		piece = Piece{New, p.size[1].code(p.c, piece.SizeBytes)}
	} else {
		if p.goesOn[wasNew].Code(p.c, truth(piece.From == p.expects), planLimit) == 1 {
			piece.From = p.expects
		} else {
			piece.From = p.from.near(p.c, piece.From, p.expects)
		}
		piece.SizeBytes = p.size[0].code(p.c, piece.SizeBytes)
		if piece.From < 0 || piece.From > p.oldSizeBytes || piece.SizeBytes > p.oldSizeBytes-piece.From {
			return piece, fault.New(fault.Corrupt, "delta copies %d bytes from %d of an old image of %d", piece.SizeBytes, piece.From, p.oldSizeBytes)
		}
		p.expects = piece.From + piece.SizeBytes
	}
	if piece.SizeBytes < 1 || piece.SizeBytes > left {
		return piece, fault.New(fault.Corrupt, "delta has a piece of %d bytes where %d are left", piece.SizeBytes, left)
	}
	return piece, nil
}

// describe codes what is known of a program.
func (p *planCoder) describe(r *Region) error {
	r.OldAt = int64(p.place.Code(p.c, uint64(r.OldAt)))
	if r.OldAt > p.oldSizeBytes {
		return fault.New(fault.Corrupt, "delta has a program at %d of an old image of %d", r.OldAt, p.oldSizeBytes)
	}
	r.OldSpaces = resized(r.OldSpaces, p.many(len(r.OldSpaces), MaxSpaces))
	r.NewSpaces = resized(r.NewSpaces, p.many(len(r.NewSpaces), MaxSpaces))
	for _, spaces := range [][]Space{r.OldSpaces, r.NewSpaces} {
		for i := range spaces {
			s := &spaces[i]
			s.Offset, s.SizeBytes = p.offset(s.Offset), p.offset(s.SizeBytes)
			s.Address = uint32(p.place.Code(p.c, uint64(s.Address)))
		}
	}
	r.Code = resized(r.Code, p.many(len(r.Code), MaxSpaces))
	for i := range r.Code {
		s := &r.Code[i]
		s.Offset, s.SizeBytes = p.offset(s.Offset), p.offset(s.SizeBytes)
		s.Machine = Machine(p.arm64.Code(p.c, truth(s.Machine == Arm64), planLimit))
	}
	r.Bases = resized(r.Bases, p.many(len(r.Bases), MaxBases))
	for i := range r.Bases {
		for _, v := range []*uint32{&r.Bases[i].Old, &r.Bases[i].New, &r.Bases[i].SizeBytes} {
			*v = uint32(p.place.Code(p.c, uint64(*v)))
		}
	}
	return nil
}

// many codes how many there are of something, at most limit.
func (p *planCoder) many(n, limit int) int {
	return int(min(p.count.Code(p.c, uint64(n)), uint64(limit)))
}

// offset codes a place or a size in a file.
func (p *planCoder) offset(v int64) int64 {
	return int64(p.place.Code(p.c, uint64(v)) & (maxSizeBytes - 1))
}

// resized is a copy of a list with n entries.
func resized[T any](list []T, n int) []T {
	out := make([]T, n)
	copy(out, list)
	return out
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
