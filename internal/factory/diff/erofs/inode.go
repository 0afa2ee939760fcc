package erofs

import (
	"encoding/binary"
	"io/fs"

	"conifer.dev/conifer/internal/fault"
)

var le = binary.LittleEndian

// The superblock lies behind the first KiB, where a boot loader may be.
const (
	superblockOffset = 1024
	superblockBytes  = 128
	magic            = 0xe0f5e1e2
)

// featureChunks is the only incompatible feature that is followed here. The others are about compressed content, about more
// than one device, and about larger numbers.
const featureChunks = 0x4

func (r *reader) superblock() error {
	b, err := r.bytes(Extent{superblockOffset, superblockBytes})
	if err != nil {
		return err
	}
	if got := le.Uint32(b); got != magic {
		return fault.New(fault.Unsupported, "image begins with %08x, which is not erofs", got)
	}
	if features := le.Uint32(b[80:]); features&^featureChunks != 0 {
		return fault.New(fault.Unsupported, "erofs image has the features %#x", features)
	}
	r.blockBits = uint(b[12])
	if r.blockBits < 9 || r.blockBits > 16 {
		return fault.New(fault.Corrupt, "erofs image has blocks of 2^%d bytes", r.blockBits)
	}
	r.rootNID = uint64(le.Uint16(b[14:]))
	r.inodesStart = int64(le.Uint32(b[40:])) << r.blockBits
	return nil
}

// The sizes of the two kinds of inode; a number of an inode counts in compact ones.
const (
	compactBytes  = 32
	extendedBytes = 64
	maxNID        = 1 << 40
)

// The layouts of content (i_format, bits 1 to 3).
const (
	layoutPlain  = 0
	layoutInline = 2
	layoutChunks = 4
)

// node reads an inode.
func (r *reader) node(e entry) (*Node, error) {
	if e.nid > maxNID {
		return nil, fault.New(fault.Corrupt, "erofs image has the inode %d", e.nid)
	}
	node := &Node{Path: e.path, Inode: Extent{r.inodesStart + int64(e.nid)*compactBytes, compactBytes}}
	b, err := r.bytes(node.Inode)
	if err != nil {
		return nil, err
	}
	format := le.Uint16(b)
	size := uint64(le.Uint32(b[8:]))
	if format&1 != 0 {
		node.Inode.SizeBytes = extendedBytes
		size = le.Uint64(b[8:])
	}
	if size > 1<<62 {
		return nil, fault.New(fault.Corrupt, "erofs inode %d has %d bytes", e.nid, size)
	}
	node.Type, node.SizeBytes = fileType(le.Uint16(b[4:])), int64(size)
	if count := int64(le.Uint16(b[2:])); count > 0 {
		node.Inode.SizeBytes += 12 + 4*(count-1) // a header of 12 bytes, and then words
	}
	if err := r.check(node.Inode); err != nil {
		return nil, err
	}
	if !node.Type.IsDir() && !node.Type.IsRegular() && node.Type != fs.ModeSymlink {
		return node, nil
	}
	return node, r.content(node, int(format>>1&7), le.Uint32(b[16:]))
}

// fileType reads the type of a mode as stat(2) gives it.
func fileType(mode uint16) fs.FileMode {
	switch mode >> 12 {
	case 4:
		return fs.ModeDir
	case 8:
		return 0
	case 10:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}

// content finds where the content of a node is; where is the word of the inode that says so.
func (r *reader) content(node *Node, layout int, where uint32) error {
	size := node.SizeBytes
	switch {
	case size == 0:
		return nil
	case layout == layoutPlain:
		whole := Extent{int64(where) << r.blockBits, r.roundUp(size)}
		return r.add(node, whole)
	case layout == layoutInline:
		tail := size & (r.blockBytes() - 1)
		if size > tail {
			if err := r.add(node, Extent{int64(where) << r.blockBits, size - tail}); err != nil {
				return err
			}
		}
		if tail == 0 {
			return nil
		}
		return r.add(node, Extent{node.Inode.End(), tail})
	case layout == layoutChunks:
		return r.chunks(node, where)
	}
	return nil // compressed
}

func (r *reader) roundUp(size int64) int64 {
	return (size + r.blockBytes() - 1) &^ (r.blockBytes() - 1)
}

// add appends a part to the content of a node, joined with the last one where they touch.
func (r *reader) add(node *Node, e Extent) error {
	if err := r.check(e); err != nil {
		return err
	}
	if n := len(node.Content); n > 0 && node.Content[n-1].End() == e.Offset {
		node.Content[n-1].SizeBytes += e.SizeBytes
		return nil
	}
	node.Content = append(node.Content, e)
	return nil
}

// The words of a list of chunks (i_u.c.format).
const (
	chunkBitsMask = 0x1f
	chunkIndexes  = 0x20 // entries of eight bytes, the last four of which are the block
	noBlock       = 0xffffffff
)

// chunks reads the list of chunks that follows an inode. A file with holes has no content here: what it reads as is nowhere.
func (r *reader) chunks(node *Node, format uint32) error {
	entryBytes := int64(4)
	if format&chunkIndexes != 0 {
		entryBytes = 8
	}
	bits := r.blockBits + uint(format&chunkBitsMask)
	count := (node.SizeBytes-1)>>bits + 1
	start := (node.Inode.End() + entryBytes - 1) &^ (entryBytes - 1)
	if count > r.sizeBytes/entryBytes {
		return fault.New(fault.Corrupt, "erofs file %s has %d chunks", node.Path, count)
	}
	list, err := r.bytes(Extent{start, count * entryBytes})
	if err != nil {
		return err
	}
	node.Inode.SizeBytes = start + count*entryBytes - node.Inode.Offset
	for left := node.SizeBytes; len(list) > 0; list = list[entryBytes:] {
		block := le.Uint32(list[entryBytes-4:])
		if block == noBlock {
			node.Content = nil
			return nil
		}
		n := min(int64(1)<<bits, left)
		left -= n
		if err := r.add(node, Extent{int64(block) << r.blockBits, r.roundUp(n)}); err != nil {
			return err
		}
	}
	return nil
}
