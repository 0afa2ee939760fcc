package delta

import (
	"bufio"
	"io"
	"sort"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/entropy"
	"conifer.dev/conifer/internal/wire/gzframe"
	"conifer.dev/conifer/internal/wire/zframe"
)

// Frame is what a region holds when it is the compressed form of some content. Two versions of it have nothing in common, so the delta
// is one of the contents, and the reader compresses the new one again, to the same bytes.
type Frame struct {
	Kind                FrameKind
	OldAt, OldSizeBytes int64 // where the old image has a frame of the same kind; 0, 0 when it has none that is like this one
	// Content tells the content; its pieces are copied from the content of the old frame, and all its offsets count from there.
	Content Region
	// Gzip is how a gzip file was made.
	Gzip gzframe.Header
}

// FrameKind is how the content of a frame is compressed.
type FrameKind byte

// The kinds of frame.
const (
	Gzip FrameKind = iota // a gzip file as GNU gzip makes it (docs/protocol/gzframe.md)
	Zstd                  // a Zstandard frame (docs/protocol/zframe.md)
	frameKinds
)

// MaxContentBytes is the most that a frame can hold, so that a reader can hold the old and the new content.
const MaxContentBytes = 96 << 20

// ContentLimit is the most that a frame of a size can hold: deflate cannot do better, and what Zstandard holds beyond is
// nothing that files hold. So the work is in proportion to what is written.
func ContentLimit(sizeBytes int64) int64 { return min(MaxContentBytes, 64<<10+1032*sizeBytes) }

// frame codes where a frame of a size is and what it holds.
func (p *planCoder) frame(told *Frame, sizeBytes int64) (*Frame, error) {
	f := &Frame{}
	if told != nil {
		*f = *told
	}
	f.Kind = FrameKind(entropy.Tree(p.c, p.frameKind, 2, uint32(f.Kind), planLimit))
	if f.Kind >= frameKinds {
		return nil, fault.New(fault.Corrupt, "delta has a frame of the unknown kind %d", f.Kind)
	}
	f.OldAt, f.OldSizeBytes = p.frameAt.near(p.c, f.OldAt, p.expects), p.frameSize.code(p.c, f.OldSizeBytes)
	if f.OldAt < 0 || f.OldAt > p.oldSizeBytes || f.OldSizeBytes > p.oldSizeBytes-f.OldAt {
		return nil, fault.New(fault.Corrupt, "delta has a frame of %d bytes at %d of an old image of %d", f.OldSizeBytes, f.OldAt, p.oldSizeBytes)
	}
	if f.Kind == Gzip {
		f.Gzip.Level = int(p.count.Code(p.c, uint64(f.Gzip.Level)))
		f.Gzip.ModTime = uint32(p.place.Code(p.c, uint64(f.Gzip.ModTime)))
		f.Gzip.Name = p.text(f.Gzip.Name)
	}
	// The old content is not known yet: who reads beyond its end is found out when it happens.
	expects, oldSizeBytes := p.expects, p.oldSizeBytes
	p.expects, p.oldSizeBytes = 0, MaxContentBytes
	content, err := p.region(told.content(), ContentLimit(sizeBytes))
	if err != nil {
		return nil, err
	}
	f.Content = *content
	p.expects, p.oldSizeBytes = max(expects, f.OldAt+f.OldSizeBytes), oldSizeBytes
	if content.Frame != nil {
		return nil, fault.New(fault.Corrupt, "delta has a frame in a frame")
	}
	return f, nil
}

func (f *Frame) content() *Region {
	if f == nil {
		return nil
	}
	return &f.Content
}

// text codes up to 255 bytes.
func (p *planCoder) text(s string) string {
	b := resized([]byte(s), p.many(len(s), 255))
	for i := range b {
		b[i] = byte(p.c.Bits(8, uint32(b[i])))
	}
	return string(b)
}

// frame makes the region of a frame.
func (w *walk) frame(r *Region) error {
	f := r.Frame
	old, err := w.unpack(f.Kind, io.NewSectionReader(w.old, f.OldAt, f.OldSizeBytes), f.OldSizeBytes)
	if err != nil {
		return err
	}
	// A large content has models of its own, so that they are gone when it is packed, which needs the room.
	inner := &walk{c: w.c, old: endless{old}, residue: w.residue, buffers: w.buffers}
	if f.Kind == Zstd {
		inner.residue = &residue{c: w.c}
	}
	made := newContent(MaxContentBytes)
	if w.in != nil {
		// A writer walks through the new content, and what it says of it is what a reader will have.
		if made, err = w.unpack(f.Kind, io.NewSectionReader(w.in, w.pos, r.SizeBytes), r.SizeBytes); err != nil {
			return err
		}
		inner.in = made
	} else {
		inner.out = made
	}
	if err := inner.region(&f.Content); err != nil {
		return err
	}
	inner.old, inner.residue = nil, nil
	out := &exactly{w: w.out, left: r.SizeBytes}
	old = nil // what is packed needs the room
	if err := w.pack(f, made, out); err != nil {
		return err
	}
	if out.left != 0 {
		return fault.New(fault.Corrupt, "delta has a frame that comes out %d bytes too short", out.left)
	}
	w.pos += r.SizeBytes
	return nil
}

// unpack reads a frame's content.
func (w *walk) unpack(kind FrameKind, in io.Reader, sizeBytes int64) (*content, error) {
	c := newContent(ContentLimit(sizeBytes))
	if sizeBytes == 0 {
		return c, nil
	}
	if kind == Zstd {
		return c, unpackZstd(c, in)
	}
	z, err := gzframe.NewReader(in, MaxContentBytes)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(c, z)
	return c, err
}

// unpackZstd carries out the sequences of a frame.
func unpackZstd(c *content, in io.Reader) error {
	r, err := zframe.NewReader(bufio.NewReaderSize(in, bufferSizeBytes), MaxContentBytes)
	if err != nil {
		return err
	}
	distances := zframe.Initial
	for {
		b, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.block(b, &distances); err != nil {
			return err
		}
	}
}

// block adds the content of a block.
func (c *content) block(b *zframe.Block, distances *zframe.Distances) error {
	if b.Kind == zframe.RLE {
		return c.repeat(b.Literals, b.Size)
	}
	literals := b.Literals
	for _, s := range b.Sequences {
		if _, err := c.Write(literals[:s.Literals]); err != nil {
			return err
		}
		literals = literals[s.Literals:]
		if err := c.match(int64(distances.Take(s)), int64(s.Match)); err != nil {
			return err
		}
	}
	_, err := c.Write(literals)
	return err
}

func (c *content) repeat(b []byte, n int) error {
	for range n {
		if _, err := c.Write(b[:1]); err != nil {
			return err
		}
	}
	return nil
}

// match adds n bytes again that were added so far before.
func (c *content) match(distance, n int64) error {
	if distance < 1 || distance > c.sizeBytes() {
		return fault.New(fault.Corrupt, "frame copies from %d bytes before byte %d", distance, c.sizeBytes())
	}
	for n > 0 {
		part := min(n, distance, int64(len(c.copying)))
		b := c.copying[:part]
		if _, err := c.ReadAt(b, c.sizeBytes()-distance); err != nil {
			return err
		}
		if _, err := c.Write(b); err != nil {
			return err
		}
		n -= part
	}
	return nil
}

// pack makes a frame of its content. A writer of data throws a gzip file away, having found out before that it comes out right; of a
// Zstandard frame it tells what the content does not.
func (w *walk) pack(f *Frame, made *content, out *exactly) error {
	if f.Kind == Gzip {
		return gzframe.Compress(out, io.NewSectionReader(made, 0, made.sizeBytes()), f.Gzip)
	}
	r := &zframe.Reparse{Content: made.expand(), Out: out}
	var err error
	if f.OldSizeBytes > 0 {
		old := io.NewSectionReader(w.old, f.OldAt, f.OldSizeBytes)
		r.Old = &zframe.Old{Frame: old, SizeBytes: f.OldSizeBytes, ContentLimitBytes: MaxContentBytes, Align: newAlign(&f.Content)}
	}
	if w.in != nil {
		if r.Frame, err = zframe.NewReader(io.NewSectionReader(w.in, w.pos, out.left), MaxContentBytes); err != nil {
			return err
		}
		out.left = 0
	}
	return r.Code(w.c)
}

// align says by the pieces of a content which places belong together.
type align struct {
	moves
	pieces []moved // by where they go
}

func newAlign(r *Region) *align {
	a := &align{moves: newMoves(r.Pieces, 0)}
	at := int64(0)
	for _, p := range r.Pieces {
		if p.From != New {
			a.pieces = append(a.pieces, moved{p.From, p.SizeBytes, at})
		}
		at += p.SizeBytes
	}
	return a
}

// ToOld implements zframe.Align.
func (a *align) ToOld(at int64) (old, length int64) {
	i := sort.Search(len(a.pieces), func(i int) bool { return a.pieces[i].to > at }) - 1
	if i < 0 || at >= a.pieces[i].to+a.pieces[i].size {
		return 0, 0
	}
	return a.pieces[i].from + at - a.pieces[i].to, a.pieces[i].to + a.pieces[i].size - at
}

// ToNew implements zframe.Align.
func (a *align) ToNew(old int64) (at, length int64) {
	i := sort.Search(len(a.moves), func(i int) bool { return a.moves[i].from > old }) - 1
	if i < 0 {
		return 0, 0
	}
	m := a.moves[i]
	// What lies between two runs is taken to have gone with the first.
	length = MaxContentBytes - old
	if i+1 < len(a.moves) {
		length = a.moves[i+1].from - old
	}
	return m.to + old - m.from, length
}

// endless is an old content of which nobody knew how long it is.
type endless struct{ *content }

// ReadAt implements io.ReaderAt.
func (e endless) ReadAt(b []byte, offset int64) (int, error) {
	n, err := e.content.ReadAt(b, offset)
	if err == io.EOF {
		err = fault.New(fault.Corrupt, "delta reads byte %d of a content of %d", offset+int64(len(b)), e.sizeBytes())
	}
	return n, err
}

// exactly passes on so many bytes and no more. Without a writer it only counts.
type exactly struct {
	w    io.Writer
	left int64
}

// Write implements io.Writer.
func (e *exactly) Write(b []byte) (int, error) {
	if int64(len(b)) > e.left {
		return 0, fault.New(fault.Corrupt, "delta has a frame that comes out too long")
	}
	e.left -= int64(len(b))
	if e.w == nil {
		return len(b), nil
	}
	return e.w.Write(b)
}
