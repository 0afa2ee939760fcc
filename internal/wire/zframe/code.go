package zframe

import (
	"io"

	"conifer.dev/conifer/internal/wire/entropy"
)

// Reparse writes or reads what the content of a frame does not tell of the frame: how it was cut into blocks, literals and matches.
// A writer gives the frame, a reader gets it written to out. Both have the content, and may have an older frame whose content
// is like it. The work grows with the content; docs/protocol/zframe.md has the bounds.
// Errors of kind Corrupt are those of the coded data.
type Reparse struct {
	Content *Pages
	Frame   *Reader   // of a writer
	Out     io.Writer // of a reader
	Old     *Old      // nil for none
}

// Code does it.
func (r *Reparse) Code(c *entropy.Coder) error {
	s := &session{c: c, content: r.Content, models: newModels(), writing: newShape(), current: Initial}
	r.Content.close()
	if r.Old != nil {
		parse, err := openOld(r.Old)
		if err != nil {
			return err
		}
		s.guide = &oldGuide{parse: parse}
	}
	var blocks []Block
	if !c.Reading() {
		var err error
		if blocks, err = readAll(r.Frame); err != nil {
			return err
		}
		s.header, s.checksum = r.Frame.Header, r.Frame.Checksum
	}
	if err := s.codeHeader(); err != nil {
		return err
	}
	if c.Reading() {
		var err error
		if s.out, err = NewWriter(r.Out, s.header); err != nil {
			return err
		}
	}
	s.latest = newLatest(s.content)
	return s.run(blocks)
}

// readAll takes a frame apart, and leaves out the literals, which the content has too.
func readAll(r *Reader) ([]Block, error) {
	var blocks []Block
	for {
		b, err := r.Next()
		if err == io.EOF {
			return blocks, nil
		}
		if err != nil {
			return nil, err
		}
		c := *b
		c.Literals = nil
		c.Tree = append([]byte(nil), b.Tree...)
		c.Sequences = append([]Sequence(nil), b.Sequences...)
		for i, t := range b.Tables {
			c.Tables[i] = append([]byte(nil), t...)
		}
		blocks = append(blocks, c)
	}
}

// session tells or restores one frame: the same code does both.
type session struct {
	c        *entropy.Coder
	content  *Pages
	header   Header
	checksum uint32
	guide    *oldGuide
	latest   *latest
	models   *models
	out      *Writer // of a reader
	writing  shape

	anchor    int // the content before it is in blocks and sequences
	end       int // of the block
	empty     int // blocks without content so far
	wasted    int // bytes that were the same and not matched, so far
	current   Distances
	sequences []Sequence // of the block
	literals  []byte     // of the block
	listed    []option   // of the last place that was asked for
}

// run codes all blocks, and the checksum.
func (s *session) run(blocks []Block) error {
	for last := false; !last; {
		var b Block
		if !s.c.Reading() {
			b, blocks = blocks[0], blocks[1:]
		}
		if err := s.block(&b); err != nil {
			return err
		}
		if s.c.Overrun() {
			return s.c.Err()
		}
		last = b.Last
	}
	if s.anchor < s.content.size {
		return corrupt("frame ends %d bytes before its content", s.content.size-s.anchor)
	}
	if s.guide != nil && s.guide.err != nil {
		return s.guide.err
	}
	if !s.header.Checksum {
		return nil
	}
	if s.checksum = s.c.Bits(32, s.checksum); s.out != nil {
		return s.out.WriteChecksum(s.checksum)
	}
	return nil
}

// codeHeader codes the header of the frame as it is.
func (s *session) codeHeader() error {
	told := make([]byte, maxHeader)
	copy(told, s.header.Bytes)
	told[0] = byte(s.c.Bits(8, uint32(told[0])))
	if headerSize(told[0]) > maxHeader {
		return corrupt("frame needs a dictionary")
	}
	b := told[:headerSize(told[0])]
	for i := 1; i < len(b); i++ {
		b[i] = byte(s.c.Bits(8, uint32(b[i])))
	}
	h, err := parseHeader(b)
	s.header = h
	return err
}

// number codes a number that is at most most; there is none when that is below zero.
func (s *session) number(n *entropy.Number, value, most int) (int, error) {
	got := n.Code(s.c, uint64(value))
	if most < 0 || got > uint64(most) {
		return 0, corrupt("number is %d, at most %d is allowed", got, most)
	}
	return int(got), nil
}

// flag codes whether something is so.
func (s *session) flag(p *entropy.Prob, is bool) bool { return p.Code(s.c, truth(is), modelLimit) == 1 }

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
