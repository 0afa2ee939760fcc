package delta

import (
	"io"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/entropy"
	"conifer.dev/conifer/internal/wire/gzframe"
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

// frame codes where a frame is and what it holds.
func (p *planCoder) frame(told *Frame) (*Frame, error) {
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
	content, err := p.region(told.content(), MaxContentBytes)
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
	inner := &walk{c: w.c, old: endless{old}, residue: w.residue, buffers: w.buffers}
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
	out := &exactly{w: w.out, left: r.SizeBytes}
	if err := w.pack(f, old, made, out); err != nil {
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
	c := newContent(MaxContentBytes)
	if sizeBytes == 0 {
		return c, nil
	}
	if kind == Gzip {
		z, err := gzframe.NewReader(in, MaxContentBytes)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(c, z)
		return c, err
	}
	return nil, fault.New(fault.Corrupt, "delta has a frame of the unknown kind %d", kind)
}

// pack makes a frame of its content. A writer throws it away, having found out before that it comes out right.
func (w *walk) pack(f *Frame, _, made *content, out io.Writer) error {
	return gzframe.Compress(out, io.NewSectionReader(made, 0, made.sizeBytes()), f.Gzip)
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
