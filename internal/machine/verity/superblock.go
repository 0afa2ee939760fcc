package verity

import (
	"bytes"
	"encoding/binary"
	"io"

	"conifer.dev/conifer/internal/fault"
)

// Superblock stands in the first block of a verity partition and describes the tree behind it. It is not
// covered by the root hash: a wrong one makes the kernel refuse every block, never accept one.
type Superblock struct {
	UUID       [16]byte
	DataBlocks int64
	Salt       []byte // at most 256 bytes
}

// rawSuperblock is the layout on disk, little endian, 512 bytes.
type rawSuperblock struct {
	Signature     [8]byte
	Version       uint32
	HashType      uint32
	UUID          [16]byte
	Algorithm     [32]byte
	DataBlockSize uint32
	HashBlockSize uint32
	DataBlocks    uint64
	SaltSize      uint16
	_             [6]byte
	Salt          [256]byte
	_             [168]byte
}

const rawSize = 512

var (
	signature = [8]byte{'v', 'e', 'r', 'i', 't', 'y'}
	algorithm = [32]byte{'s', 'h', 'a', '2', '5', '6'}
)

// UUIDFromRoot is the superblock's UUID for a tree with the root hash, so that equal trees give equal bytes:
// the hash's first 16 bytes in the form of RFC 9562, version 8.
func UUIDFromRoot(root [DigestSize]byte) [16]byte {
	uuid := [16]byte(root[:16])
	uuid[6] = uuid[6]&0x0f | 0x80
	uuid[8] = uuid[8]&0x3f | 0x80
	return uuid
}

// ReadSuperblock reads the superblock at the start of a verity partition. Its errors are Corrupt where the
// bytes are no superblock, and Unsupported for a shape this package does not know.
func ReadSuperblock(r io.ReaderAt) (Superblock, error) {
	var text [rawSize]byte
	if n, err := r.ReadAt(text[:], 0); n < rawSize {
		return Superblock{}, fault.New(fault.Corrupt, "read verity superblock: %d of %d bytes: %w", n, rawSize, err)
	}
	var raw rawSuperblock
	if _, err := binary.Decode(text[:], binary.LittleEndian, &raw); err != nil {
		return Superblock{}, fault.New(fault.Corrupt, "read verity superblock: %w", err)
	}
	if err := raw.check(); err != nil {
		return Superblock{}, err
	}
	return Superblock{
		UUID:       raw.UUID,
		DataBlocks: int64(raw.DataBlocks),
		Salt:       bytes.Clone(raw.Salt[:raw.SaltSize]),
	}, nil
}

func (raw *rawSuperblock) check() error {
	switch {
	case raw.Signature != signature:
		return fault.New(fault.Corrupt, "verity superblock starts with %q, want %q", raw.Signature, signature)
	case raw.Version != 1 || raw.HashType != 1:
		return fault.New(fault.Unsupported, "verity superblock has version %d and hash type %d, want 1 and 1", raw.Version, raw.HashType)
	case raw.Algorithm != algorithm:
		return fault.New(fault.Unsupported, "verity superblock has algorithm %q, want sha256", bytes.TrimRight(raw.Algorithm[:], "\x00"))
	case raw.DataBlockSize != BlockSize || raw.HashBlockSize != BlockSize:
		return fault.New(fault.Unsupported, "verity superblock has blocks of %d and %d bytes, want %d", raw.DataBlockSize, raw.HashBlockSize, BlockSize)
	case raw.DataBlocks == 0 || raw.DataBlocks > maxDataBlocks:
		return fault.New(fault.Corrupt, "verity superblock covers %d blocks, want 1 to %d", raw.DataBlocks, int64(maxDataBlocks))
	case int(raw.SaltSize) > len(raw.Salt):
		return fault.New(fault.Corrupt, "verity superblock has a salt of %d bytes, want at most %d", raw.SaltSize, len(raw.Salt))
	}
	return nil
}

// Encode gives the first block of a verity partition: the superblock, then zeros.
func (s Superblock) Encode() ([]byte, error) {
	raw := rawSuperblock{
		Signature: signature, Version: 1, HashType: 1, UUID: s.UUID, Algorithm: algorithm,
		DataBlockSize: BlockSize, HashBlockSize: BlockSize,
		DataBlocks: uint64(s.DataBlocks), SaltSize: uint16(min(len(s.Salt), 1<<16-1)),
	}
	copy(raw.Salt[:], s.Salt)
	if err := raw.check(); err != nil {
		return nil, err
	}
	block := make([]byte, BlockSize)
	if _, err := binary.Encode(block, binary.LittleEndian, &raw); err != nil {
		return nil, err
	}
	return block, nil
}
