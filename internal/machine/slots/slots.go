// Package slots is the machine's two places for a release, and the boot entries that choose between them:
// labels and GUIDs in the partition table, and files on the EFI system partition.
//
// Start with [Open]. An update calls [Slots.RetireOther], writes into [Slots.OtherPartitions], then [Slots.Label] and
// [Slots.AddEntry]; after the reboot [Slots.Commit] or [Slots.Remove]. Every method is durable when it returns nil, may be
// repeated, and refuses what would leave the machine without a whole release to boot. None of them ever
// writes to the running slot. docs/design/install.md says why every stop between two writes is safe.
//
// It follows the Discoverable Partitions Specification and systemd's Automatic Boot Assessment. Its methods are
// for one goroutine at a time.
package slots

import (
	"encoding/hex"
	"io"
	"os"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots/gpt"
	"conifer.dev/conifer/internal/wire/release"
)

// Device is a disk or a partition.
type Device interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Disk is the whole disk, whose size places the backup partition table.
type Disk interface {
	Device
	SizeBytes() int64
}

// Opener opens a partition of the disk by its number, with os.O_RDWR or, what is only read, with os.O_RDONLY.
type Opener func(number, flag int) (Device, error)

// ESP is the folder EFI/Linux of the EFI system partition, see [OpenESP]. It is FAT: a cut during a rename may leave
// the old name, the new one, both or neither.
type ESP = folder.Folder

// Slot is one of the two places for a release.
type Slot int

// The slots, in the order of the partition table.
const (
	A Slot = iota
	B
)

func (s Slot) String() string { return string("AB"[s&1]) }

// SlotInfo is what the partition table says about a slot.
type SlotInfo struct {
	Slot                     Slot
	Version                  string // "" when the slot is empty or its two labels are not those of one release
	RootUUID, VerityUUID     string
	RootNumber, VerityNumber int // partition numbers
	RootSizeBytes            int64
	VeritySizeBytes          int64
}

// Slots is the machine's slots and boot entries.
type Slots struct {
	disk    Disk
	part    Opener
	esp     ESP
	table   *gpt.Table
	pairs   [2]pair
	running Slot
	hash    [32]byte // root hash of the running release
}

// Open reads the partition table and finds the slot of the release that runs, by its root hash.
func Open(disk Disk, part Opener, esp ESP, runningRootHash string) (*Slots, error) {
	s := &Slots{disk: disk, part: part, esp: esp}
	hash, err := ParseRootHash(runningRootHash)
	if err != nil {
		return nil, err
	}
	s.hash = hash
	if s.table, s.pairs, err = readPairs(disk); err != nil {
		return nil, err
	}
	root, verity := UUIDs(hash)
	for slot, p := range s.pairs {
		if s.table.Entries[p.root].Unique == root && s.table.Entries[p.verity].Unique == verity {
			s.running = Slot(slot)
			return s, s.checkRunningLabel()
		}
	}
	return nil, fault.New(fault.NotFound, "no slot has the root hash %s of the running release", runningRootHash)
}

// checkRunningLabel refuses a running slot without a version: nobody could tell its boot entry from the others.
func (s *Slots) checkRunningLabel() error {
	if s.Info(s.running).Version == "" {
		return fault.New(fault.Invalid, "the running slot %v is labelled %q, want conifer_<version>", s.running, s.table.Entries[s.pairs[s.running].root].Name())
	}
	return nil
}

// ParseRootHash reads a root hash as it stands on the kernel command line.
func ParseRootHash(text string) ([32]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 32 {
		return [32]byte{}, fault.New(fault.Invalid, "root hash %q is not 32 bytes of hex", text)
	}
	return [32]byte(b), nil
}

// UUIDs are the partition GUIDs of a release: the first and the last 16 bytes of its root hash.
func UUIDs(rootHash [32]byte) (root, verity gpt.GUID) {
	return gpt.GUID(rootHash[:16]), gpt.GUID(rootHash[16:])
}

// Running is the slot of the release that runs.
func (s *Slots) Running() Slot { return s.running }

// Other is the slot that the next update goes to.
func (s *Slots) Other() Slot { return 1 - s.running }

// Info says what is in a slot.
func (s *Slots) Info(slot Slot) SlotInfo {
	p := s.pairs[slot&1]
	root, verity := s.table.Entries[p.root], s.table.Entries[p.verity]
	info := SlotInfo{
		Slot:     slot,
		RootUUID: root.Unique.String(), VerityUUID: verity.Unique.String(),
		RootNumber: p.root + 1, VerityNumber: p.verity + 1,
		RootSizeBytes:   s.sizeBytes(root),
		VeritySizeBytes: s.sizeBytes(verity),
	}
	if version, ok := strings.CutPrefix(root.Name(), labelPrefix); ok && root.Name() == verity.Name() && release.ValidVersion(version) {
		info.Version = version
	}
	return info
}

func (s *Slots) sizeBytes(e gpt.Entry) int64 {
	return int64(e.LastLBA-e.FirstLBA+1) * s.table.SectorSize
}

// RunningVersion is the version of the release that runs.
func (s *Slots) RunningVersion() string { return s.Info(s.running).Version }

// OtherPartitions opens the two partitions of the slot that does not run, for writing.
func (s *Slots) OtherPartitions() (root, verity Device, err error) {
	return s.openSlot(s.Other(), os.O_RDWR)
}

func (s *Slots) openSlot(slot Slot, flag int) (root, verity Device, err error) {
	info := s.Info(slot)
	if root, err = s.openPartition(info.RootNumber, info.RootSizeBytes, flag); err != nil {
		return nil, nil, err
	}
	if verity, err = s.openPartition(info.VerityNumber, info.VeritySizeBytes, flag); err != nil {
		Close(root)
		return nil, nil, err
	}
	return root, verity, nil
}

// openPartition refuses a device that is not the partition of the table: the kernel may have read another table.
func (s *Slots) openPartition(number int, wantBytes int64, flag int) (Device, error) {
	device, err := s.part(number, flag)
	if err != nil {
		return nil, folder.Classify("open partition", err)
	}
	if sized, ok := device.(Disk); ok && sized.SizeBytes() != wantBytes {
		Close(device)
		return nil, fault.New(fault.Conflict, "partition %d has %d bytes, the partition table says %d", number, sized.SizeBytes(), wantBytes).
			WithHint("Reboot, so that the kernel reads the partition table again.")
	}
	return device, nil
}

// Close closes a device that can be closed.
func Close(device any) {
	if c, ok := device.(io.Closer); ok {
		c.Close()
	}
}
