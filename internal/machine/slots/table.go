package slots

import (
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots/gpt"
)

// labelPrefix begins the partition labels and boot entries of our releases.
const labelPrefix = "conifer_"

// EmptyLabel is the label of a slot that holds no release.
const EmptyLabel = "_empty"

// pair is the place of a slot's partitions in the table.
type pair struct{ root, verity int }

// architectures are the type GUIDs of root and verity that a disk may have.
var architectures = [][2]gpt.GUID{
	{gpt.TypeRootX86, gpt.TypeVerityX86},
	{gpt.TypeRootARM64, gpt.TypeVerityARM64},
}

// readPairs finds the two slots in the table of a disk.
func readPairs(disk Disk) (*gpt.Table, [2]pair, error) {
	table, err := gpt.Read(disk, disk.SizeBytes())
	if err != nil {
		return nil, [2]pair{}, fault.New(fault.KindOf(err), "read slot table: %w", err)
	}
	for _, types := range architectures {
		roots, verities := ofType(table, types[0]), ofType(table, types[1])
		if len(roots) == 0 && len(verities) == 0 {
			continue
		}
		if len(roots) != 2 || len(verities) != 2 {
			return nil, [2]pair{}, fault.New(fault.Unsupported, "the disk has %d root and %d verity partitions, want 2 and 2", len(roots), len(verities))
		}
		return table, [2]pair{{roots[0], verities[0]}, {roots[1], verities[1]}}, nil
	}
	return nil, [2]pair{}, fault.New(fault.NotFound, "the disk has no root partitions")
}

func ofType(table *gpt.Table, kind gpt.GUID) []int {
	var places []int
	for i, e := range table.Entries {
		if e.Type == kind {
			places = append(places, i)
		}
	}
	return places
}

// Damaged reports that one of the two copies of the partition table is not whole; see Repair.
func (s *Slots) Damaged() bool {
	primary, backup := s.table.Whole()
	return !primary || !backup
}

// Repair writes the copy of the partition table that is not whole from the one that is.
func (s *Slots) Repair() error {
	table, pairs, err := readPairs(s.disk)
	if err != nil {
		return err
	}
	if _, err := table.Repair(s.disk); err != nil {
		return folder.Classify("repair partition table", err)
	}
	s.table, s.pairs = table, pairs
	return nil
}

// Label gives the other slot the GUIDs and labels of a release, in the backup table first and then in the
// primary. From here the initrd of that release finds its partitions.
func (s *Slots) Label(version string, rootHash [32]byte) error {
	if err := s.CheckRelease(version, rootHash); err != nil {
		return err
	}
	table, pairs, err := readPairs(s.disk)
	if err != nil {
		return err
	}
	root, verity := UUIDs(rootHash)
	other := pairs[s.Other()]
	label := labelPrefix + version
	if err := mark(&table.Entries[other.root], root, label); err != nil {
		return err
	}
	if err := mark(&table.Entries[other.verity], verity, label); err != nil {
		return err
	}
	if err := table.Write(s.disk); err != nil {
		return folder.Classify("write partition table", err)
	}
	s.table, s.pairs = table, pairs
	return nil
}

func mark(e *gpt.Entry, unique gpt.GUID, label string) error {
	e.Unique = unique
	return e.SetName(label)
}

// CheckRelease refuses a release that cannot be in the other slot: one whose version makes no label or boot entry,
// and the one that runs, for two slots with the same GUIDs are one too many.
func (s *Slots) CheckRelease(version string, rootHash [32]byte) error {
	if err := CheckVersion(version); err != nil {
		return err
	}
	if rootHash == s.hash || sameFile(version, s.RunningVersion()) {
		return fault.New(fault.Conflict, "release %s is the one that runs", version)
	}
	return nil
}

// CheckRoom refuses a release whose root, tree or UKI does not fit. It counts the space of the boot entries
// that RetireOther will remove, so that a release that can never fit is refused before anything is removed.
func (s *Slots) CheckRoom(rootBytes, verityBytes, ukiBytes int64) error {
	const hint = "Make the disk again from an image with larger partitions."
	info := s.Info(s.Other())
	if rootBytes > info.RootSizeBytes {
		return fault.New(fault.Exhausted, "root needs %d bytes, slot %v has %d", rootBytes, info.Slot, info.RootSizeBytes).WithHint(hint)
	}
	if verityBytes > info.VeritySizeBytes {
		return fault.New(fault.Exhausted, "verity needs %d bytes, slot %v has %d", verityBytes, info.Slot, info.VeritySizeBytes).WithHint(hint)
	}
	free, err := s.esp.FreeBytes()
	if err != nil {
		return folder.Classify("space on the EFI system partition", err)
	}
	stale, err := s.staleFiles()
	if err != nil {
		return err
	}
	for _, f := range stale {
		free += f.SizeBytes
	}
	return checkESPSpace(ukiBytes, free)
}

// espMarginBytes is left free for the folder itself and for rounding to clusters.
const espMarginBytes = 64 << 10

func checkESPSpace(needBytes, freeBytes int64) error {
	if needBytes+espMarginBytes > freeBytes {
		return fault.New(fault.Exhausted, "the boot entry needs %d bytes, the EFI system partition has %d", needBytes, freeBytes).
			WithHint("Remove files that are not Conifer's from /efi.")
	}
	return nil
}
