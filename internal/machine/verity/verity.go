// Package verity computes and reads dm-verity hash trees: the Merkle tree that lets the kernel check every
// block of a root partition against one root hash.
//
// Start with [NewBuilder]: it hashes data blocks in any order, from several goroutines, while they are
// written, and [Builder.Finish] gives the root hash and the tree as `veritysetup format` lays it out.
// [ReadSuperblock] reads the description that stands before a tree, and [Verify] checks a whole partition.
//
// The package knows one shape only and refuses every other: superblock version 1, hash type 1 (the salt before
// the data), SHA-256, and blocks of 4096 bytes. It opens no device. The format is that of the kernel's
// Documentation/admin-guide/device-mapper/verity.rst and of cryptsetup's superblock.
package verity

import (
	"crypto/sha256"
	"hash"
	"sync"
)

const (
	// BlockSize is the size of data and hash blocks in bytes.
	BlockSize = 4096
	// DigestSize is the size of one digest in bytes.
	DigestSize = sha256.Size
	// digestsPerBlock is the fan-out of the tree.
	digestsPerBlock = BlockSize / DigestSize
	// maxDataBlocks bounds what a superblock may claim: 16 TiB of data.
	maxDataBlocks = 1 << 32
)

// hasher makes digests of one salt. It keeps hash states for reuse, so that a block costs no allocation.
type hasher struct {
	salt   []byte
	states sync.Pool
}

func newHasher(salt []byte) *hasher {
	h := &hasher{salt: append([]byte(nil), salt...)}
	h.states.New = func() any { return sha256.New() }
	return h
}

// blocks writes the digest of each block of data to out, one after the other.
func (h *hasher) blocks(out, data []byte) {
	state := h.states.Get().(hash.Hash)
	defer h.states.Put(state)
	for len(data) > 0 {
		state.Reset()
		state.Write(h.salt)
		state.Write(data[:BlockSize])
		state.Sum(out[:0])
		out, data = out[DigestSize:], data[BlockSize:]
	}
}

// levelBlocks gives the number of hash blocks of each level, leaves first. One data block has no level: its
// own digest is the root hash.
func levelBlocks(dataBlocks int64) []int64 {
	var levels []int64
	for n := dataBlocks; n > 1; {
		n = (n + digestsPerBlock - 1) / digestsPerBlock
		levels = append(levels, n)
	}
	return levels
}

// HashSize is the size in bytes of the superblock and the tree over dataBlocks blocks: what a verity
// partition must hold at least.
func HashSize(dataBlocks int64) int64 {
	total := int64(1)
	for _, n := range levelBlocks(dataBlocks) {
		total += n
	}
	return total * BlockSize
}
