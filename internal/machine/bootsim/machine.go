// Package bootsim is a machine for tests: a disk, an EFI system partition and /var that stop after any write, and
// a firmware, boot loader, kernel and initrd that do with them what the real ones do.
//
// Start with [NewMachine] and [Machine.Boot]; [Drive] boots again and again, with an agent in between, until the
// agent has nothing left to do. Whatever the machine finds that the real one could not boot is an error of type
// *Violation. The package is used by tests only.
package bootsim

import (
	"fmt"
	"os"
	"syscall"

	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/slots/gpttest"
	"conifer.dev/conifer/internal/machine/verity"
)

// The numbers of the partitions.
const (
	partRootA = 2 // and 3, its verity
	partRootB = 4 // and 5
)

// Machine is a machine that has booted a release, or is off.
type Machine struct {
	Power *faultdisk.Power
	Disk  *faultdisk.Disk // the whole disk
	ESP   *faultdisk.Folder
	Var   *faultdisk.Folder // the agent's state
	// Variables are those of the firmware, nil when nobody can write them. The real ones change in one step, which is one of
	// those that a file has here.
	Variables *faultdisk.Folder

	BootID  int
	Version string // of the release that runs, "" when none does
	hash    string // its root hash

	// Broken names releases whose system dies before the agent starts.
	Broken map[string]bool

	partitions map[int]*faultdisk.Disk
}

// NewMachine makes a machine with a committed release in slot A, and another one in slot B unless it is nil. Slots
// hold slotBlocks blocks.
func NewMachine(seed uint64, inA, inB *Release, slotBlocks int, espBytes int64) (*Machine, error) {
	power := faultdisk.NewPower(seed)
	m := &Machine{Power: power, Broken: map[string]bool{}, partitions: map[int]*faultdisk.Disk{}}
	m.ESP = faultdisk.NewFAT(power, espBytes)
	m.Var = faultdisk.NewJournaled(power, 1<<20)
	m.Variables = faultdisk.NewJournaled(power, 1<<10)
	if err := m.fill(partRootA, inA, slotBlocks); err != nil {
		return nil, err
	}
	if err := m.fill(partRootB, inB, slotBlocks); err != nil {
		return nil, err
	}
	m.Disk = faultdisk.NewDisk(power, m.table(inA, inB))
	return m, nil
}

// fill makes the two partitions of a slot, and the boot entry of what is in it.
func (m *Machine) fill(number int, r *Release, slotBlocks int) error {
	root := make([]byte, slotBlocks*verity.BlockSize)
	tree := make([]byte, verity.HashSize(int64(slotBlocks)))
	if r != nil {
		if len(r.Root) > len(root) {
			return fmt.Errorf("a root of %d bytes in a slot of %d", len(r.Root), len(root))
		}
		copy(root, r.Root)
		copy(tree, r.TreeBytes)
		m.ESP.Put("conifer_"+r.Version+".efi", r.UKI)
	}
	m.partitions[number] = faultdisk.NewDisk(m.Power, root)
	m.partitions[number+1] = faultdisk.NewDisk(m.Power, tree)
	return nil
}

// table lays out a disk. The partitions' sectors lie behind each other as they would on a real disk; their content is
// in devices of their own, each with its own cache, as the kernel has them.
func (m *Machine) table(inA, inB *Release) []byte {
	rows := []gpttest.Partition{{Type: gpttest.ESP, Name: "esp", Unique: "00000000-0000-0000-0000-000000000001", First: 64, Last: 64}}
	rows = append(rows, slotRows(inA, "a")...)
	rows = append(rows, slotRows(inB, "b")...)
	at := rows[0].Last + 1
	for i := 1; i < len(rows); i++ {
		rows[i].First, rows[i].Last = at, at+uint64(m.partitions[i+1].SizeBytes()/512)-1
		at = rows[i].Last + 1
	}
	disk := make([]byte, (at+40)*512)
	gpttest.Write(disk, 512, rows)
	return disk
}

func slotRows(r *Release, empty string) []gpttest.Partition {
	root := gpttest.Partition{Type: gpttest.Root, Name: slots.EmptyLabel, Unique: "00000000-0000-0000-0000-00000000010" + empty}
	tree := gpttest.Partition{Type: gpttest.Verity, Name: slots.EmptyLabel, Unique: "00000000-0000-0000-0000-00000000020" + empty}
	if r != nil {
		rootUUID, treeUUID := slots.UUIDs(r.Tree.Root)
		root.Name, tree.Name = "conifer_"+r.Version, "conifer_"+r.Version
		root.Unique, tree.Unique = rootUUID.String(), treeUUID.String()
	}
	return []gpttest.Partition{root, tree}
}

// Slots opens the slots of the release that runs, as the agent does.
func (m *Machine) Slots() (*slots.Slots, error) {
	return slots.Open(m.Disk, m.OpenPartition, m.ESP, m.hash)
}

// RootHash is that of the release that runs, as it stands on the kernel command line.
func (m *Machine) RootHash() string { return m.hash }

// OpenPartition opens a partition as a device of the kernel.
func (m *Machine) OpenPartition(number, flag int) (slots.Device, error) {
	d := m.partitions[number]
	if d == nil {
		return nil, fmt.Errorf("there is no partition %d", number)
	}
	if flag == os.O_RDONLY {
		return readOnly{d}, nil
	}
	return d, nil
}

// readOnly is a device that was opened for reading.
type readOnly struct{ *faultdisk.Disk }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, syscall.EBADF }

// Partition is the device of a partition, for tests that look or damage.
func (m *Machine) Partition(number int) *faultdisk.Disk { return m.partitions[number] }
