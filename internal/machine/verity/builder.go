package verity

import (
	"io"
	"sync"

	"conifer.dev/conifer/internal/fault"
)

// Builder collects the digests of data blocks. Its methods may be called from several goroutines, each with
// blocks of its own. It holds 32 bytes for each data block.
type Builder struct {
	dataBlocks int64
	hasher     *hasher
	zero       [DigestSize]byte // the digest of a block of zeros

	mu     sync.Mutex
	leaves []byte // digests in the order of the blocks, padded to whole hash blocks
	hashed []bool // which blocks have a digest
	left   int64  // how many have none
}

// NewBuilder starts a tree over dataBlocks blocks.
func NewBuilder(dataBlocks int64, salt []byte) (*Builder, error) {
	if _, err := (Superblock{DataBlocks: dataBlocks, Salt: salt}).Encode(); err != nil {
		return nil, err
	}
	b := &Builder{dataBlocks: dataBlocks, hasher: newHasher(salt), left: dataBlocks, hashed: make([]bool, dataBlocks)}
	padded := (dataBlocks + digestsPerBlock - 1) / digestsPerBlock * digestsPerBlock
	b.leaves = make([]byte, padded*DigestSize)
	b.hasher.blocks(b.zero[:], make([]byte, BlockSize))
	return b, nil
}

// checkRange refuses blocks outside the data.
func (b *Builder) checkRange(first, count int64) error {
	if first < 0 || count < 0 || first > b.dataBlocks || count > b.dataBlocks-first {
		return fault.New(fault.Invalid, "blocks %d to %d are outside the %d blocks of the verity tree", first, first+count, b.dataBlocks)
	}
	return nil
}

// Add hashes the whole blocks in data, which stand at block number first. Hashing a block again replaces
// its digest.
func (b *Builder) Add(first int64, data []byte) error {
	if len(data)%BlockSize != 0 {
		return fault.New(fault.Invalid, "%d bytes are no whole number of verity blocks", len(data))
	}
	count := int64(len(data) / BlockSize)
	if err := b.checkRange(first, count); err != nil {
		return err
	}
	b.hasher.blocks(b.leaves[first*DigestSize:(first+count)*DigestSize], data)
	b.mark(first, count)
	return nil
}

// AddZeros is Add for count blocks of zeros, without hashing them.
func (b *Builder) AddZeros(first, count int64) error {
	if err := b.checkRange(first, count); err != nil {
		return err
	}
	for i := first; i < first+count; i++ {
		copy(b.leaves[i*DigestSize:], b.zero[:])
	}
	b.mark(first, count)
	return nil
}

func (b *Builder) mark(first, count int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := first; i < first+count; i++ {
		if !b.hashed[i] {
			b.hashed[i] = true
			b.left--
		}
	}
}

// Finish computes the levels above the leaves. It refuses a tree with blocks that were never hashed.
func (b *Builder) Finish() (*Tree, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left > 0 {
		return nil, fault.New(fault.Invalid, "%d of %d blocks were never hashed", b.left, b.dataBlocks)
	}
	t := &Tree{dataBlocks: b.dataBlocks, salt: b.hasher.salt}
	level := b.leaves
	for _, blocks := range levelBlocks(b.dataBlocks) {
		t.levels = append(t.levels, level)
		padded := (blocks + digestsPerBlock - 1) / digestsPerBlock * digestsPerBlock
		above := make([]byte, padded*DigestSize)
		b.hasher.blocks(above[:blocks*DigestSize], level)
		level = above
	}
	t.Root = [DigestSize]byte(level)
	return t, nil
}

// Tree is a finished hash tree.
type Tree struct {
	Root [DigestSize]byte

	dataBlocks int64
	salt       []byte
	levels     [][]byte // leaves first
}

// SizeBytes is what WriteTo writes.
func (t *Tree) SizeBytes() int64 { return HashSize(t.dataBlocks) }

// WriteTree writes the superblock with the UUID and then the levels, the top first, from offset 0 of w.
func (t *Tree) WriteTree(w io.WriterAt, uuid [16]byte) error {
	block, err := Superblock{UUID: uuid, DataBlocks: t.dataBlocks, Salt: t.salt}.Encode()
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(block, 0); err != nil {
		return err
	}
	offset := int64(BlockSize)
	for i := len(t.levels) - 1; i >= 0; i-- {
		if _, err := w.WriteAt(t.levels[i], offset); err != nil {
			return err
		}
		offset += int64(len(t.levels[i]))
	}
	return nil
}
