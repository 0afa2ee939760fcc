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

	// Of a program, what is known of the file that it resembles: OldAt is where that begins in the old image.
	OldAt, OldSizeBytes  int64
	OldSpaces, NewSpaces []Space
	Bases                []Base // the first is that of absolute addresses
	Code                 []Span // of the old file: x86-64 instructions
}

// Piece is a part of a region that resembles a part of the old image, or, when From is [New], none.
type Piece struct {
	From      int64
	SizeBytes int64
}

// New is the From of a piece that is not in the old image.
const New = -1

// The limits of a plan. They bound what a reader takes memory for before it writes a byte.
const (
	maxPieces    = 1 << 20 // of a region
	maxSizeBytes = 1 << 40 // of the old image
)

// planCoder writes or reads a plan region by region.
type planCoder struct {
	c                     *entropy.Coder
	regionSize            *entropy.Number
	exact, isNew          entropy.Prob
	pieceSize, newSize    *entropy.Number
	ahead, back           *entropy.Number
	backwards             entropy.Prob
	oldSizeBytes, expects int64 // expects is where a piece begins that goes on where the last one ended
}

func newPlanCoder(c *entropy.Coder, oldSizeBytes int64) *planCoder {
	return &planCoder{
		c: c, regionSize: entropy.NewNumber(), exact: entropy.Even, isNew: entropy.Even,
		pieceSize: entropy.NewNumber(), newSize: entropy.NewNumber(), ahead: entropy.NewNumber(), back: entropy.NewNumber(),
		backwards: entropy.Even, oldSizeBytes: oldSizeBytes,
	}
}

const planLimit = 127

// region codes one region, of which at most left bytes are possible. A reader gives nil.
func (p *planCoder) region(r *Region, left int64) (*Region, error) {
	if r == nil {
		r = &Region{}
	}
	got := &Region{SizeBytes: int64(p.regionSize.Code(p.c, uint64(r.SizeBytes)))}
	if got.SizeBytes < 1 || got.SizeBytes > left {
		return nil, fault.New(fault.Corrupt, "delta has a region of %d bytes where %d are left", got.SizeBytes, left)
	}
	got.Exact = p.exact.Code(p.c, truth(r.Exact), planLimit) == 1
	for done := int64(0); done < got.SizeBytes; {
		if len(got.Pieces) == maxPieces {
			return nil, fault.New(fault.Corrupt, "delta has a region of more than %d pieces", maxPieces)
		}
		var piece Piece
		if !p.c.Reading() {
			piece = r.Pieces[len(got.Pieces)]
		}
		piece, err := p.piece(piece, got.SizeBytes-done, got.Exact)
		if err != nil {
			return nil, err
		}
		got.Pieces = append(got.Pieces, piece)
		done += piece.SizeBytes
	}
	return got, nil
}

func (p *planCoder) piece(piece Piece, left int64, exact bool) (Piece, error) {
	if !exact && p.isNew.Code(p.c, truth(piece.From == New), planLimit) == 1 {
		piece = Piece{New, int64(p.newSize.Code(p.c, uint64(piece.SizeBytes)))}
	} else {
		step := piece.From - p.expects
		if p.backwards.Code(p.c, truth(step < 0), planLimit) == 1 {
			piece.From = p.expects - int64(p.back.Code(p.c, uint64(-step)))
		} else {
			piece.From = p.expects + int64(p.ahead.Code(p.c, uint64(step)))
		}
		piece.SizeBytes = int64(p.pieceSize.Code(p.c, uint64(piece.SizeBytes)))
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

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
