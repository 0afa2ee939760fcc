package gpt

import (
	"hash/crc32"

	"conifer.dev/conifer/internal/fault"
)

// Write makes the table durable in both copies. Of the two copies on the disk, at least one is whole at any time:
// the one that is damaged is written first, else the backup, and the second follows after a sync.
func (t *Table) Write(disk Device) error {
	order := []*copyState{&t.backup, &t.primary}
	if !t.primary.whole {
		order = []*copyState{&t.primary, &t.backup}
	}
	entries := t.encodeEntries()
	for _, c := range order {
		if err := t.writeCopy(disk, c, entries); err != nil {
			return err
		}
	}
	return nil
}

// Repair writes the copies that are not whole, and reports whether there were any.
func (t *Table) Repair(disk Device) (bool, error) {
	repaired := false
	entries := t.encodeEntries()
	for _, c := range []*copyState{&t.primary, &t.backup} {
		if c.whole {
			continue
		}
		if err := t.writeCopy(disk, c, entries); err != nil {
			return repaired, err
		}
		repaired = true
	}
	return repaired, nil
}

func (t *Table) encodeEntries() []byte {
	b := make([]byte, len(t.Entries)*entrySize)
	for i := range t.Entries {
		t.Entries[i].encode(b[i*entrySize:])
	}
	return b
}

// writeCopy writes the entries and the header of one copy, and syncs.
func (t *Table) writeCopy(disk Device, c *copyState, entries []byte) error {
	if err := c.header.fits(t.SectorSize, len(entries)); err != nil {
		return err
	}
	c.whole = false
	c.header.EntriesCRC = crc32.ChecksumIEEE(entries)
	if _, err := disk.WriteAt(entries, int64(c.header.EntriesLBA)*t.SectorSize); err != nil {
		return err
	}
	sector := make([]byte, t.SectorSize)
	copy(sector, c.header.encode())
	if _, err := disk.WriteAt(sector, int64(c.header.MyLBA)*t.SectorSize); err != nil {
		return err
	}
	if err := disk.Sync(); err != nil {
		return err
	}
	c.whole = true
	return nil
}

// fits refuses a place that would overwrite partitions or the other copy: the place of a damaged copy is computed
// from the other one, and the disk may not have kept room for it. The primary stands before the usable
// sectors, the backup after them.
func (h *header) fits(sectorSize int64, entriesBytes int) error {
	end := h.EntriesLBA + uint64((int64(entriesBytes)+sectorSize-1)/sectorSize)
	before := h.MyLBA == 1 && h.EntriesLBA >= 2 && end > h.EntriesLBA && end <= h.FirstUsable
	after := h.EntriesLBA > h.LastUsable && end > h.EntriesLBA && end <= h.MyLBA
	if before || after {
		return nil
	}
	return fault.New(fault.Corrupt, "there is no room for a copy of the partition table at sector %d", h.EntriesLBA)
}
