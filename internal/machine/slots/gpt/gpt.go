// Package gpt reads and changes the GUID partition table of a disk: the labels and unique GUIDs of partitions
// that exist, in both copies of the table, and nothing else.
//
// Start with [Read], which believes the primary copy when it is whole and otherwise the backup, as the kernel does, and
// [Table.Write], which writes the two copies one after the other so that one of them is whole at any time. It
// makes, moves and removes no partitions, and refuses tables whose numbers leave the disk or whose partitions overlap.
// The format is that of the UEFI specification, section 5.3.
package gpt

import (
	"bytes"
	"hash/crc32"
	"io"
	"slices"

	"conifer.dev/conifer/internal/fault"
)

// Device is the whole disk.
type Device interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Table is a partition table. Entries are all places of the table in order; partition number n is Entries[n-1].
type Table struct {
	SectorSize int64
	DiskGUID   GUID
	Entries    []Entry

	primary, backup copyState
}

// copyState is one of the two copies of a table.
type copyState struct {
	header *header // never nil after Read: computed from the other copy where the disk has none
	whole  bool    // what is on the disk is valid and the same as the table
}

// Read finds the table of a disk of sizeBytes. Sectors have 512 or 4096 bytes.
func Read(disk io.ReaderAt, sizeBytes int64) (*Table, error) {
	t, err := read(disk, 512, sizeBytes)
	if err == nil {
		return t, nil
	}
	if t, err := read(disk, 4096, sizeBytes); err == nil {
		return t, nil
	}
	return nil, err
}

func read(disk io.ReaderAt, sectorSize, sizeBytes int64) (*Table, error) {
	sectors := uint64(max(sizeBytes, 0) / sectorSize)
	if sectors < 4 {
		return nil, fault.New(fault.Corrupt, "a disk of %d bytes has no room for a partition table", sizeBytes)
	}
	primary, primaryErr := readCopy(disk, sectorSize, 1, sectors)
	alternate := sectors - 1
	if primaryErr == nil {
		alternate = primary.primary.header.AlternateLBA
	}
	backup, backupErr := readCopy(disk, sectorSize, alternate, sectors)
	switch {
	case primaryErr == nil:
		primary.adoptBackup(backup, sectors)
		return primary, nil
	case backupErr == nil:
		// The primary header is always in sector 1; a backup that says otherwise is a leftover.
		if h := backup.primary.header; h.AlternateLBA != 1 {
			return nil, fault.New(fault.Corrupt, "backup partition table has its primary at sector %d, want 1", h.AlternateLBA)
		}
		return backup.asBackup(), nil
	}
	return nil, fault.New(fault.KindOf(primaryErr), "both copies of the partition table are damaged: %w; backup: %w", primaryErr, backupErr)
}

// readCopy reads the copy whose header is at lba, as if it were the primary.
func readCopy(disk io.ReaderAt, sectorSize int64, lba, sectors uint64) (*Table, error) {
	h, err := readHeader(disk, sectorSize, lba, sectors)
	if err != nil {
		return nil, err
	}
	b := make([]byte, h.EntryCount*entrySize)
	if n, err := disk.ReadAt(b, int64(h.EntriesLBA)*sectorSize); n < len(b) {
		return nil, fault.New(fault.Corrupt, "read partition table entries at sector %d: %w", h.EntriesLBA, err)
	}
	if crc := crc32.ChecksumIEEE(b); crc != h.EntriesCRC {
		return nil, fault.New(fault.Corrupt, "partition table entries at sector %d have checksum %08x, want %08x", h.EntriesLBA, crc, h.EntriesCRC)
	}
	t := &Table{SectorSize: sectorSize, DiskGUID: GUID(GUID(h.DiskGUID).swapped()), primary: copyState{h, true}}
	for ; len(b) > 0; b = b[entrySize:] {
		t.Entries = append(t.Entries, decodeEntry(b))
	}
	return t, t.check()
}

// check refuses partitions outside the usable sectors, and two that share a sector.
func (t *Table) check() error {
	h := t.primary.header
	var used []Entry
	for i, e := range t.Entries {
		if !e.Used() {
			continue
		}
		if e.FirstLBA > e.LastLBA || e.FirstLBA < h.FirstUsable || e.LastLBA > h.LastUsable {
			return fault.New(fault.Corrupt, "partition %d has sectors %d to %d, usable are %d to %d", i+1, e.FirstLBA, e.LastLBA, h.FirstUsable, h.LastUsable)
		}
		used = append(used, e)
	}
	slices.SortFunc(used, func(a, b Entry) int {
		if a.FirstLBA < b.FirstLBA {
			return -1
		}
		return 1
	})
	for i := 1; i < len(used); i++ {
		if used[i].FirstLBA <= used[i-1].LastLBA {
			return fault.New(fault.Corrupt, "two partitions share sector %d", used[i].FirstLBA)
		}
	}
	return nil
}

// adoptBackup takes over the place of the backup copy, or computes it where there is none.
func (t *Table) adoptBackup(backup *Table, sectors uint64) {
	h := t.primary.header
	if backup != nil && len(backup.Entries) == len(t.Entries) {
		own := backup.primary.header
		t.backup.header = t.copyHeader(own.MyLBA, 1, own.EntriesLBA)
		t.backup.whole = own.AlternateLBA == 1 && bytes.Equal(t.backup.header.encode(), own.encode())
		return
	}
	t.backup.header = t.copyHeader(h.AlternateLBA, 1, t.entriesBefore(h.AlternateLBA))
}

// asBackup turns a table that was read as if primary into one whose primary copy is damaged.
func (t *Table) asBackup() *Table {
	t.backup = t.primary
	t.primary = copyState{header: t.copyHeader(1, t.backup.header.MyLBA, 2)}
	return t
}

// copyHeader is the header of another copy of the same table.
func (t *Table) copyHeader(myLBA, alternateLBA, entriesLBA uint64) *header {
	h := *t.primary.header
	h.MyLBA, h.AlternateLBA, h.EntriesLBA = myLBA, alternateLBA, entriesLBA
	return &h
}

// entriesBefore is where the entries of a backup go: directly before its header.
func (t *Table) entriesBefore(lba uint64) uint64 {
	return lba - uint64((int64(len(t.Entries))*entrySize+t.SectorSize-1)/t.SectorSize)
}

// Whole reports which copies on the disk are valid and hold this table.
func (t *Table) Whole() (primary, backup bool) { return t.primary.whole, t.backup.whole }
