package delta

import (
	"bufio"
	"io"
	"runtime"
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

// largeContentBytes is from when on the room that a content takes counts.
const largeContentBytes = 1 << 20

// frame makes the region of a frame.
func (w *walk) frame(r *Region) error {
	f := r.Frame
	old := newContent(ContentLimit(f.OldSizeBytes))
	if err := unpack(old, f.Kind, io.NewSectionReader(w.old, f.OldAt, f.OldSizeBytes)); err != nil {
		return err
	}
	// A large content has models of its own, so that they are gone when it is packed, which needs the room.
	inner := &walk{c: w.c, old: newPassing(old, f.Content.Pieces), residue: w.residue, buffers: w.buffers}
	if f.Kind == Zstd {
		inner.residue = &residue{c: w.c}
	}
	made := newContent(MaxContentBytes)
	if w.in != nil {
		// A writer walks through the new content, and what it says of it is what a reader will have.
		if err := unpack(made, f.Kind, io.NewSectionReader(w.in, w.pos, r.SizeBytes)); err != nil {
			return err
		}
		inner.in = made
	} else {
		inner.out = made
	}
	if err := inner.region(&f.Content); err != nil {
		return err
	}
	w.c.Shed()
	if old, inner = nil, nil; made.SizeBytes() >= largeContentBytes {
		runtime.GC() // what is packed needs the room now, not when it is noticed
	}
	plain := zframe.NewPages(MaxContentBytes)
	if err := made.moveTo(plain); err != nil {
		return err
	}
	out := &exactly{w: w.out, left: r.SizeBytes}
	if err := w.pack(f, plain, out); err != nil {
		return err
	}
	if out.left != 0 {
		return fault.New(fault.Corrupt, "delta has a frame that comes out %d bytes too short", out.left)
	}
	w.pos += r.SizeBytes
	return nil
}

// store is a content that grows.
type store interface {
	io.Writer
	io.ReaderAt
	SizeBytes() int64
}

// unpack adds the content of a frame to a store. No input gives an empty content.
func unpack(c store, kind FrameKind, in *io.SectionReader) error {
	if in.Size() == 0 {
		return nil
	}
	if kind == Zstd {
		return (&unpacker{store: c}).zstd(in)
	}
	z, err := gzframe.NewReader(in, MaxContentBytes)
	if err != nil {
		return err
	}
	_, err = io.Copy(c, z)
	return err
}

// unpacker carries out the sequences of a Zstandard frame.
type unpacker struct {
	store
	distances zframe.Distances
	copying   [4096]byte
}

func (c *unpacker) zstd(in io.Reader) error {
	r, err := zframe.NewReader(bufio.NewReaderSize(in, bufferSizeBytes), MaxContentBytes)
	if err != nil {
		return err
	}
	c.distances = zframe.Initial
	for {
		b, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.block(b); err != nil {
			return err
		}
	}
}

// block adds the content of a block.
func (c *unpacker) block(b *zframe.Block) error {
	if b.Kind == zframe.RLE {
		return c.repeat(b.Literals, b.Size)
	}
	literals := b.Literals
	for _, s := range b.Sequences {
		if _, err := c.Write(literals[:s.Literals]); err != nil {
			return err
		}
		literals = literals[s.Literals:]
		if err := c.match(int64(c.distances.Take(s)), int64(s.Match)); err != nil {
			return err
		}
	}
	_, err := c.Write(literals)
	return err
}

func (c *unpacker) repeat(b []byte, n int) error {
	for range n {
		if _, err := c.Write(b[:1]); err != nil {
			return err
		}
	}
	return nil
}

// match adds n bytes again that were added so far before.
func (c *unpacker) match(distance, n int64) error {
	if distance < 1 || distance > c.SizeBytes() {
		return fault.New(fault.Corrupt, "frame copies from %d bytes before byte %d", distance, c.SizeBytes())
	}
	for n > 0 {
		part := min(n, distance, int64(len(c.copying)))
		b := c.copying[:part]
		if _, err := c.ReadAt(b, c.SizeBytes()-distance); err != nil {
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
func (w *walk) pack(f *Frame, made *zframe.Pages, out *exactly) error {
	if f.Kind == Gzip {
		return gzframe.Compress(out, io.NewSectionReader(made, 0, made.SizeBytes()), f.Gzip)
	}
	r := &zframe.Reparse{Content: made, Out: out}
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
	} else {
		f.Content.Pieces = nil // a reader's own; the room is needed
	}
	return r.Code(w.c)
}

// align says by the pieces of a content which places belong together.
type align struct {
	olds, news []run // by where they come from, none over another, and by where they go
}

// run is a run of bytes of two contents, neither of which is larger than [MaxContentBytes].
type run struct{ from, size, to uint32 }

func newAlign(r *Region) *align {
	moves, at := newMoves(r.Pieces, 0), int64(0)
	a := &align{olds: make([]run, 0, len(moves)), news: make([]run, 0, len(r.Pieces))}
	for _, m := range moves {
		a.olds = append(a.olds, run{uint32(m.from), uint32(m.size), uint32(m.to)})
	}
	for _, p := range r.Pieces {
		if p.From != New {
			a.news = append(a.news, run{uint32(p.From), uint32(p.SizeBytes), uint32(at)})
		}
		at += p.SizeBytes
	}
	return a
}

// ToOld implements zframe.Align.
func (a *align) ToOld(at int64) (old, length int64) {
	i := sort.Search(len(a.news), func(i int) bool { return int64(a.news[i].to) > at }) - 1
	if i < 0 {
		return 0, 0
	}
	r, into := a.news[i], at-int64(a.news[i].to)
	return int64(r.from) + into, max(int64(r.size)-into, 0)
}

// ToNew implements zframe.Align.
func (a *align) ToNew(old int64) (at, length int64) {
	i := sort.Search(len(a.olds), func(i int) bool { return int64(a.olds[i].from) > old }) - 1
	if i < 0 {
		return 0, 0
	}
	// What lies between two runs is taken to have gone with the first.
	r, end := a.olds[i], int64(MaxContentBytes)
	if i+1 < len(a.olds) {
		end = int64(a.olds[i+1].from)
	}
	return int64(r.to) + old - int64(r.from), end - old
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
