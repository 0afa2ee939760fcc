package zframe

import "conifer.dev/conifer/internal/wire/entropy"

// shape is how the literals and the codes of blocks are stored, and what is learned of it.
type shape struct {
	literals []entropy.Prob // by the last kind of literals
	format   []entropy.Prob // by the kind
	modes    []entropy.Prob // by code and last mode
	bytes    []entropy.Prob // of descriptions, by which and by how far in
	count    *entropy.Number

	lastLiterals LiteralKind
	lastModes    [3]Mode
}

func newShape() shape {
	return shape{
		literals: make([]entropy.Prob, 4*4), format: make([]entropy.Prob, 4*4), modes: make([]entropy.Prob, 3*4*4),
		bytes: make([]entropy.Prob, 4*8*256), count: entropy.NewNumber(),
	}
}

// describe codes how the literals and sequences of a block are stored.
func (s *session) describe(b *Block) error {
	h := &s.writing
	b.LiteralKind = LiteralKind(entropy.Tree(s.c, h.literals[h.lastLiterals*4:][:4], 2, uint32(b.LiteralKind), modelLimit))
	h.lastLiterals = b.LiteralKind
	b.LiteralFormat = byte(entropy.Tree(s.c, h.format[b.LiteralKind*4:][:4], 2, uint32(b.LiteralFormat), modelLimit))
	if b.LiteralKind == TreeLiterals {
		b.Tree = s.description(b.Tree, 3)
	}
	if len(b.Sequences) == 0 {
		return nil
	}
	for i := range b.Modes {
		b.Modes[i] = Mode(entropy.Tree(s.c, h.modes[(i*4+int(h.lastModes[i]))*4:][:4], 2, uint32(b.Modes[i]), modelLimit))
		h.lastModes[i] = b.Modes[i]
		if b.Modes[i] == OneSymbol || b.Modes[i] == Described {
			b.Tables[i] = s.description(b.Tables[i], i)
		}
	}
	return nil
}

// description codes the bytes of a table's or tree's description.
func (s *session) description(told []byte, which int) []byte {
	n := min(int(s.writing.count.Code(s.c, uint64(len(told)))), 255)
	b := make([]byte, n)
	copy(b, told)
	for i := range b {
		b[i] = byte(entropy.Tree(s.c, s.writing.bytes[(which*8+min(i, 7))*256:][:256], 8, uint32(b[i]), modelLimit))
	}
	return b
}
