// Package erofs says where the files of an uncompressed erofs image lie: for every file, folder and link its inode and the parts of
// the image that hold its content.
//
// Start with [Read]. It follows the on-disk format of Linux (Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h): compact and
// extended inodes, and content that is flat, flat with the tail in the inode's block, or in chunks. Compressed content and
// whatever needs a feature that is not known here are refused or left out, never guessed. It trusts nothing: whatever the
// bytes, it ends, in an error of kind Corrupt or Unsupported when they are no image, and takes memory in proportion to them.
package erofs

import (
	"io"
	"io/fs"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Extent is a part of an image.
type Extent struct {
	Offset, SizeBytes int64
}

// End is the offset after the extent.
func (e Extent) End() int64 { return e.Offset + e.SizeBytes }

// Node is a file, a folder or a link.
type Node struct {
	Path  string // with slashes, and none at its beginning; the root's is empty. Of several hard links it is one.
	Type  fs.FileMode
	Inode Extent // with its attributes and its list of chunks

	// SizeBytes is how long the content is.
	SizeBytes int64

	// Content lies in these parts, in order. The parts are whole blocks but for a tail that lies after the inode, so they
	// may hold more bytes than the content. It is empty when there is none, or when it is compressed.
	Content []Extent
}

// Read finds all nodes, in the order of their inodes in the image.
func Read(image io.ReaderAt, sizeBytes int64) ([]Node, error) {
	r := &reader{image: image, sizeBytes: sizeBytes, seen: map[uint64]bool{}}
	if err := r.superblock(); err != nil {
		return nil, err
	}
	todo := []entry{{nid: r.rootNID}}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if r.seen[next.nid] {
			continue
		}
		r.seen[next.nid] = true
		node, err := r.node(next)
		if err != nil {
			return nil, err
		}
		if node.Type.IsDir() {
			if todo, err = r.folder(node, todo); err != nil {
				return nil, err
			}
		}
		r.nodes = append(r.nodes, *node)
	}
	slices.SortFunc(r.nodes, func(a, b Node) int { return int(min(max(a.Inode.Offset-b.Inode.Offset, -1), 1)) })
	return r.nodes, nil
}

// reader is at work on one image.
type reader struct {
	image     io.ReaderAt
	sizeBytes int64

	blockBits   uint // a block has 1<<blockBits bytes
	rootNID     uint64
	inodesStart int64

	nodes       []Node
	seen        map[uint64]bool
	pathBytes   int64 // of all paths together
	folderBytes int64 // of the content of all folders together
}

// entry is a name in a folder.
type entry struct {
	nid  uint64
	path string
}

// The limits that keep the work in proportion to the image: without them a few bytes could tell an endless tree.
const (
	maxPathBytes     = 4096
	maxAllPathsBytes = 256 << 20
)

func (r *reader) blockBytes() int64 { return 1 << r.blockBits }

// bytes reads a part of the image.
func (r *reader) bytes(e Extent) ([]byte, error) {
	if err := r.check(e); err != nil {
		return nil, err
	}
	b := make([]byte, e.SizeBytes)
	_, err := r.image.ReadAt(b, e.Offset)
	if err == io.EOF {
		err = nil // a reader may say so with the last byte
	}
	return b, err
}

func (r *reader) check(e Extent) error {
	if e.Offset < 0 || e.SizeBytes < 0 || e.SizeBytes > r.sizeBytes || e.Offset > r.sizeBytes-e.SizeBytes {
		return fault.New(fault.Corrupt, "erofs image of %d bytes says that there are %d at %d", r.sizeBytes, e.SizeBytes, e.Offset)
	}
	return nil
}

// join makes the path of a name in a folder, and counts it.
func (r *reader) join(folder, name string) (string, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return "", fault.New(fault.Corrupt, "erofs image has the name %q in %q", name, folder)
	}
	path := name
	if folder != "" {
		path = folder + "/" + name
	}
	r.pathBytes += int64(len(path))
	if len(path) > maxPathBytes || r.pathBytes > maxAllPathsBytes {
		return "", fault.New(fault.Corrupt, "erofs image has paths that are too long")
	}
	return path, nil
}
