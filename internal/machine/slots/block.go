package slots

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
)

// Block is a block device of the operating system, or an image file.
type Block struct {
	*os.File
	sizeBytes int64
}

// OpenBlock opens a block device with os.O_RDWR or os.O_RDONLY.
func OpenBlock(path string, flag int) (*Block, error) {
	file, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, folder.Classify("open disk", err)
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		file.Close()
		return nil, folder.Classify("size of "+path, err)
	}
	return &Block{file, size}, nil
}

// WriteAt implements io.WriterAt, at the disk's pace.
func (b *Block) WriteAt(p []byte, offset int64) (int, error) {
	return folder.WriteAtPaced(b.File, p, offset)
}

// forgetBytes is from when on a read is taken for one of many that go through a whole slot once.
const forgetBytes = 64 << 10

// ReadAt implements io.ReaderAt. What is read in large parts does not stay in the kernel's memory.
func (b *Block) ReadAt(p []byte, offset int64) (int, error) {
	n, err := b.File.ReadAt(p, offset)
	if n >= forgetBytes {
		folder.Forget(b.File, offset, int64(n))
	}
	return n, err
}

// SizeBytes is the size of the device.
func (b *Block) SizeBytes() int64 { return b.sizeBytes }

// OpenESP opens the folder of boot entries on the EFI system partition that is mounted at path.
func OpenESP(path string) (*folder.Dir, error) {
	return folder.OpenVolume(filepath.Join(path, "EFI", "Linux"))
}

// System is where the operating system shows its devices; the zero value is the real one.
type System struct {
	Dev string // "/dev"
	Sys string // "/sys"
}

// OpenSystem opens the slots of the machine this program runs on: the disk that holds the running root's partition,
// and the EFI system partition mounted at espPath.
func (sys System) OpenSystem(espPath, runningRootHash string) (*Slots, error) {
	hash, err := ParseRootHash(runningRootHash)
	if err != nil {
		return nil, err
	}
	root, _ := UUIDs(hash)
	name, err := sys.diskOf(root.String())
	if err != nil {
		return nil, err
	}
	esp, err := OpenESP(espPath)
	if err != nil {
		return nil, err
	}
	disk, err := OpenBlock(sys.dev(name), os.O_RDWR)
	if err != nil {
		esp.Close()
		return nil, err
	}
	part := func(number, flag int) (Device, error) { return OpenBlock(sys.dev(partitionName(name, number)), flag) }
	s, err := Open(disk, part, esp, runningRootHash)
	if err != nil {
		disk.Close()
		esp.Close()
	}
	return s, err
}

func (sys System) dev(name string) string {
	if sys.Dev == "" {
		return filepath.Join("/dev", name)
	}
	return filepath.Join(sys.Dev, name)
}

// diskOf gives the name of the disk with a partition of that GUID: the folder above the partition's in sysfs.
func (sys System) diskOf(uuid string) (string, error) {
	link := sys.dev(filepath.Join("disk/by-partuuid", uuid))
	device, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", folder.Classify("find the running root's partition", err)
	}
	base := sys.Sys
	if base == "" {
		base = "/sys"
	}
	node, err := filepath.EvalSymlinks(filepath.Join(base, "class/block", filepath.Base(device)))
	if err != nil {
		return "", folder.Classify("find the running root's disk", err)
	}
	if _, err := os.Stat(filepath.Join(node, "partition")); err != nil {
		return "", fault.New(fault.Unsupported, "%s is not a partition of a disk", device)
	}
	return filepath.Base(filepath.Dir(node)), nil
}

// partitionName is the kernel's name of a partition: a disk whose name ends in a digit has a p before the number.
func partitionName(disk string, number int) string {
	if disk != "" && strings.ContainsRune("0123456789", rune(disk[len(disk)-1])) {
		return fmt.Sprintf("%sp%d", disk, number)
	}
	return fmt.Sprintf("%s%d", disk, number)
}
