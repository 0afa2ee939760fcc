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
	return zstds(old, new, at)
}

// zstdMagic begins a Zstandard frame.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// zstds finds the Zstandard frames in a file, and takes those of the old one in the same order for what they are made of.
func zstds(old, new []byte, at erofs.Node) (all []framed) {
	before := zstdFrames(old)
	for i, now := range zstdFrames(new) {
		f := &delta.Frame{Kind: delta.Zstd}
		var was []byte
		if i < len(before) {
			was = before[i].plain
			f.OldAt, f.OldSizeBytes = at.Content[0].Offset+before[i].at, before[i].size
		}
		_, r := alike(was, now.plain, Pieces(was, now.plain))
		f.Content = *r
		all = append(all, framed{now.at, now.size, f})
	}
	return all
}

// compressed is a frame in a file, and what is compressed in it.
type compressed struct {
	at, size int64
	plain    []byte
}

// minZstdBytes is from when on a Zstandard frame is worth its own region.
const minZstdBytes = 16 << 10

func zstdFrames(file []byte) (all []compressed) {
	for at := 0; ; {
		next := bytes.Index(file[at:], zstdMagic)
		if next < 0 {
			return all
		}
		at += next
		size, plain, ok := delta.Restorable(file[at:])
		if !ok || size < minZstdBytes {
			at++
			continue
		}
		all = append(all, compressed{int64(at), size, plain})
		at += int(size)
	}
}

// gzipped takes the whole of a gzip file.
func gzipped(old, new []byte, at erofs.Node) []framed {
	plain, header, ok := gzframe.Restorable(new)
	if !ok || len(plain) == 0 || int64(len(plain)) > delta.ContentLimit(int64(len(new))) {
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
