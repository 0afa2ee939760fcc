package verity

import (
	"bytes"
	"io"

	"conifer.dev/conifer/internal/fault"
)

// Verify reads the tree from hash and every data block it covers from data, and checks all of them against
// root, as the kernel does when the blocks are read. Its errors are Corrupt.
func Verify(data, hash io.ReaderAt, root [DigestSize]byte) error {
	sb, err := ReadSuperblock(hash)
	if err != nil {
		return err
	}
	v := &verifier{hasher: newHasher(sb.Salt), block: make([]byte, BlockSize)}
	want := root[:]
	levels := levelBlocks(sb.DataBlocks)
	offset := int64(BlockSize)
	for i := len(levels) - 1; i >= 0; i-- {
		if want, err = v.level(hash, offset, levels[i], want); err != nil {
			return fault.New(fault.KindOf(err), "level %d of the verity tree: %w", i, err)
		}
		offset += levels[i] * BlockSize
	}
	return v.data(data, sb.DataBlocks, want)
}

type verifier struct {
	hasher *hasher
	block  []byte
	digest [DigestSize]byte
}

// check reads the block at offset and compares its digest.
func (v *verifier) check(r io.ReaderAt, offset int64, want []byte) error {
	if n, err := r.ReadAt(v.block, offset); n < BlockSize {
		return fault.New(fault.Corrupt, "read block at byte %d: %w", offset, err)
	}
	v.hasher.blocks(v.digest[:], v.block)
	if !bytes.Equal(v.digest[:], want[:DigestSize]) {
		return fault.New(fault.Corrupt, "block at byte %d has digest %x, want %x", offset, v.digest, want[:DigestSize])
	}
	return nil
}

// level checks count hash blocks against the digests in want, and gives the digests they hold.
func (v *verifier) level(r io.ReaderAt, offset, count int64, want []byte) ([]byte, error) {
	if int64(len(want)) < count*DigestSize {
		return nil, fault.New(fault.Corrupt, "%d hash blocks have %d bytes of digests above them", count, len(want))
	}
	var below []byte
	for i := range count {
		if err := v.check(r, offset+i*BlockSize, want[i*DigestSize:]); err != nil {
			return nil, err
		}
		below = append(below, v.block...)
	}
	return below, nil
}

func (v *verifier) data(r io.ReaderAt, count int64, want []byte) error {
	for i := range count {
		if err := v.check(r, i*BlockSize, want[i*DigestSize:]); err != nil {
			return fault.New(fault.KindOf(err), "data: %w", err)
		}
	}
	return nil
}
