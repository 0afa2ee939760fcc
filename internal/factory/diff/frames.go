package diff

import (
	"bytes"

	"conifer.dev/conifer/internal/factory/diff/erofs"
	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/gzframe"
)

// framed is a part of a content that is the compressed form of something, and comes back bit for bit when that is compressed again.
type framed struct {
	at    int64 // in the content
	size  int64
	frame *delta.Frame
}

// minFrameBytes is from when on a frame is worth its own region.
const minFrameBytes = 512

// frames finds what is compressed in a new content, and what of the old content, which lies at a node, it is made of.
func frames(old, new []byte, at erofs.Node) []framed {
	if len(new) < minFrameBytes || len(at.Content) != 1 {
		return nil
	}
	if bytes.HasPrefix(new, []byte("\x1f\x8b")) {
		return gzipped(old, new, at)
	}
	return nil
}

// gzipped takes the whole of a gzip file.
func gzipped(old, new []byte, at erofs.Node) []framed {
	plain, header, ok := gzframe.Restorable(new)
	if !ok || len(plain) == 0 || len(plain) > delta.MaxContentBytes {
		return nil
	}
	f := &delta.Frame{Kind: delta.Gzip, Gzip: header}
	before, err := gzframe.Plain(old[:min(at.SizeBytes, int64(len(old)))])
	if err == nil {
		f.OldAt, f.OldSizeBytes = at.Content[0].Offset, at.SizeBytes
	}
	_, r := alike(before, plain, Pieces(before, plain))
	f.Content = *r
	return []framed{{0, int64(len(new)), f}}
}
