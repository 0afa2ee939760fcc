package diff

import (
	"cmp"
	"io"
	"slices"

	"conifer.dev/conifer/internal/factory/diff/erofs"
	"conifer.dev/conifer/internal/fault"
)

// layout is an image and what is where in it.
type layout struct {
	Image
	nodes []erofs.Node
	spans []span // which cover the image in order
}

// span is a part of an image that is part of one node, or of none.
type span struct {
	erofs.Extent
	kind kind
	node int   // in nodes; of a gap none
	at   int64 // of content: where in the content of the node it begins
}

type kind int

const (
	gap kind = iota
	inode
	content
)

// gapNodeBytes is from when on a part of an image that no file holds counts as a file without a name.
const gapNodeBytes = 4096

// newLayout reads what is where in an image.
func newLayout(image Image) (*layout, error) {
	l := &layout{Image: image}
	var err error
	if l.nodes, err = erofs.Read(image, image.SizeBytes); err != nil && fault.KindOf(err) == fault.Internal {
		return nil, err
	}
	l.cover(l.extents())
	return l, nil
}

// extents are the parts of all nodes, in the order of the image.
func (l *layout) extents() []span {
	var all []span
	for i, n := range l.nodes {
		all = append(all, span{n.Inode, inode, i, 0})
		at := int64(0)
		for _, e := range n.Content {
			all = append(all, span{e, content, i, at})
			at += e.SizeBytes
		}
	}
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.Offset, b.Offset) })
	return all
}

// cover makes spans of the extents, which may overlap where files share blocks: what comes first has them.
func (l *layout) cover(all []span) {
	done := int64(0)
	for _, s := range all {
		if s.End() <= done {
			continue
		}
		if behind := done - s.Offset; behind > 0 {
			s.Offset, s.SizeBytes, s.at = done, s.SizeBytes-behind, s.at+behind
			if s.kind == inode {
				s.kind = gap
			}
		}
		l.gap(done, s.Offset)
		l.spans = append(l.spans, s)
		done = s.End()
	}
	l.gap(done, l.SizeBytes)
}

func (l *layout) gap(start, end int64) {
	e := erofs.Extent{Offset: start, SizeBytes: end - start}
	switch {
	case e.SizeBytes == 0:
	case e.SizeBytes < gapNodeBytes:
		l.spans = append(l.spans, span{Extent: e})
	default:
		l.spans = append(l.spans, span{Extent: e, kind: content, node: len(l.nodes)})
		l.nodes = append(l.nodes, erofs.Node{SizeBytes: e.SizeBytes, Content: []erofs.Extent{e}})
	}
}

// read reads a part of the image.
func (l *layout) read(e erofs.Extent) ([]byte, error) {
	b := make([]byte, e.SizeBytes)
	n, err := l.ReadAt(b, e.Offset)
	if n == len(b) {
		return b, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// content reads the whole content of a node, with what fills up its last block.
func (l *layout) content(node int) ([]byte, error) {
	var all []byte
	for _, e := range l.nodes[node].Content {
		b, err := l.read(e)
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = b
		} else {
			all = append(all, b...)
		}
	}
	return all, nil
}

// contentBytes is how long content is.
func contentBytes(n erofs.Node) int64 {
	sum := int64(0)
	for _, e := range n.Content {
		sum += e.SizeBytes
	}
	return sum
}
