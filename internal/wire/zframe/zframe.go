// Package zframe takes a Zstandard frame apart and puts it together again bit for bit. A delta needs it for files that hold a frame, such
// as a kernel, because two versions of a frame have nothing in common even where their contents do. Start with [Reader] and [Writer].
//
// The package knows the format of RFC 8878 and the habits of libzstd where the format leaves a choice. A frame by another encoder may
// come out another: compare. Dictionaries and skippable frames are not supported. All sizes are bounded before anything is
// allocated, and no input makes the package panic.
package zframe

import "conifer.dev/conifer/internal/fault"

// Limits of the format, and of what is accepted.
const (
	maxBlock     = 128 << 10 // bytes of content of a block
	maxSequences = maxBlock / minMatch
	minMatch     = 3
	maxHeader    = 14 // bytes of a frame header without a dictionary
)

// Kind is what a block is, with the numbers of the format.
type Kind byte

// The kinds of blocks.
const (
	Raw Kind = iota
	RLE
	Compressed
)

// LiteralKind is how the literals of a block are stored, with the numbers of the format.
type LiteralKind byte

// The kinds of literals: as they are, one byte repeated, with a Huffman tree, with the tree of an earlier block.
const (
	RawLiterals LiteralKind = iota
	RLELiterals
	TreeLiterals
	TreelessLiterals
)

// Mode is where the table of one of the three codes of a sequence comes from, with the numbers of the format.
type Mode byte

// The modes: the table of the specification, one symbol only, described in the block, the table before.
const (
	Predefined Mode = iota
	OneSymbol
	Described
	Repeated
)

// Sequence is so many literals, and then a match.
type Sequence struct {
	Literals uint32
	Match    uint32 // its length
	Value    uint32 // 1 to 3 names a recent distance, above is the distance + 3
}

// Block is one block of a frame, taken apart.
type Block struct {
	Kind Kind
	Last bool
	Size int // bytes of content
	// Literals are those of a compressed block, all the content of a raw one, and the one byte of an RLE one.
	Literals      []byte
	LiteralKind   LiteralKind
	LiteralFormat byte   // how many bits the sizes have and how many streams there are
	Tree          []byte // the tree description of TreeLiterals, as it is in the frame
	Sequences     []Sequence
	Modes         [3]Mode
	Tables        [3][]byte // the table descriptions of Described, or the symbol of OneSymbol, as they are in the frame
}

// The three codes of a sequence, in the order of the frame.
const (
	literalCode = iota
	offsetCode
	matchCode
)

// Distances are the last three distances, the latest first.
type Distances [3]uint32

// Initial are the distances at the start of a frame.
var Initial = Distances{1, 4, 8}

// Take gives the distance a sequence means and remembers it. It is 0 when the sequence means none.
func (d *Distances) Take(s Sequence) uint32 {
	if s.Value > 3 {
		*d = Distances{s.Value - 3, d[0], d[1]}
		return d[0]
	}
	which := s.Value
	if s.Literals == 0 {
		which++
	}
	switch which {
	case 2:
		d[0], d[1] = d[1], d[0]
	case 3:
		*d = Distances{d[2], d[0], d[1]}
	case 4:
		*d = Distances{d[0] - 1, d[0], d[1]}
	}
	return d[0]
}

func corrupt(format string, args ...any) error { return fault.New(fault.Corrupt, format, args...) }
