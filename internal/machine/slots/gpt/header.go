package gpt

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"conifer.dev/conifer/internal/fault"
)

const headerSize = 92

var signature = [8]byte{'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'}

// header is the layout on the disk, little endian (UEFI specification, section 5.3.2).
type header struct {
	Signature    [8]byte
	Revision     uint32
	HeaderSize   uint32
	HeaderCRC    uint32
	_            uint32
	MyLBA        uint64
	AlternateLBA uint64
	FirstUsable  uint64
	LastUsable   uint64
	DiskGUID     [16]byte
	EntriesLBA   uint64
	EntryCount   uint32
	EntrySize    uint32
	EntriesCRC   uint32
}

func (h *header) encode() []byte {
	h.HeaderCRC = 0
	b, _ := binary.Append(nil, binary.LittleEndian, h) // a struct of fixed size always encodes
	h.HeaderCRC = crc32.ChecksumIEEE(b)
	binary.LittleEndian.PutUint32(b[16:], h.HeaderCRC)
	return b
}

// readHeader reads and checks the header at lba of a disk of sectors.
func readHeader(r io.ReaderAt, sectorSize int64, lba, sectors uint64) (*header, error) {
	b := make([]byte, headerSize)
	if n, err := r.ReadAt(b, int64(lba)*sectorSize); n < headerSize {
		return nil, fault.New(fault.Corrupt, "read partition table header at sector %d: %w", lba, err)
	}
	var h header
	if _, err := binary.Decode(b, binary.LittleEndian, &h); err != nil {
		return nil, fault.New(fault.Corrupt, "read partition table header: %w", err)
	}
	if h.Signature != signature {
		return nil, fault.New(fault.Corrupt, "partition table header at sector %d starts with %q, want %q", lba, h.Signature, signature)
	}
	clear(b[16:20])
	if crc := crc32.ChecksumIEEE(b); crc != h.HeaderCRC {
		return nil, fault.New(fault.Corrupt, "partition table header at sector %d has checksum %08x, want %08x", lba, crc, h.HeaderCRC)
	}
	return &h, h.check(sectorSize, lba, sectors)
}

// check refuses a header whose numbers point outside the disk or into each other.
func (h *header) check(sectorSize int64, lba, sectors uint64) error {
	tableSectors := (uint64(h.EntryCount)*entrySize + uint64(sectorSize) - 1) / uint64(sectorSize)
	switch {
	case h.Revision != 0x00010000 || h.HeaderSize != headerSize:
		return fault.New(fault.Unsupported, "partition table has revision %#x and a header of %d bytes, want 0x10000 and %d", h.Revision, h.HeaderSize, headerSize)
	case h.EntrySize != entrySize || h.EntryCount < minEntryCount || h.EntryCount > maxEntryCount:
		return fault.New(fault.Unsupported, "partition table has %d entries of %d bytes, want at most %d of %d", h.EntryCount, h.EntrySize, maxEntryCount, entrySize)
	case h.MyLBA != lba:
		return fault.New(fault.Corrupt, "partition table header at sector %d says it is at %d", lba, h.MyLBA)
	case h.AlternateLBA == lba || h.AlternateLBA < 1 || h.AlternateLBA >= sectors:
		return fault.New(fault.Corrupt, "partition table header at sector %d has its copy at %d of %d", lba, h.AlternateLBA, sectors)
	case h.FirstUsable > h.LastUsable || h.LastUsable >= sectors || h.FirstUsable < 2:
		return fault.New(fault.Corrupt, "partition table uses sectors %d to %d of %d", h.FirstUsable, h.LastUsable, sectors)
	case h.EntriesLBA < 2 || h.EntriesLBA >= sectors || tableSectors > sectors-h.EntriesLBA:
		return fault.New(fault.Corrupt, "partition table entries at sector %d are outside the disk of %d", h.EntriesLBA, sectors)
	case h.EntriesLBA <= h.LastUsable && h.EntriesLBA+tableSectors > h.FirstUsable:
		return fault.New(fault.Corrupt, "partition table entries at sector %d are inside the usable sectors", h.EntriesLBA)
	case lba >= h.FirstUsable && lba <= h.LastUsable || lba >= h.EntriesLBA && lba < h.EntriesLBA+tableSectors:
		return fault.New(fault.Corrupt, "partition table header at sector %d is inside what it describes", lba)
	}
	return nil
}
