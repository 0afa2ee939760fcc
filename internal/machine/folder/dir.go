package folder

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a folder of the operating system.
type Dir struct {
	root  *os.Root
	whole bool // Sync makes the whole file system durable
}

// OpenDir opens the folder at path.
func OpenDir(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, Classify("open folder", err)
	}
	return &Dir{root: root}, nil
}

// OpenVolume is OpenDir for a folder on a small file system of its own, where Sync writes out everything: on
// FAT a rename touches the allocation table and the folder, and no journal keeps them together.
func OpenVolume(path string) (*Dir, error) {
	d, err := OpenDir(path)
	if d != nil {
		d.whole = true
	}
	return d, err
}

// Close lets go of the folder.
func (d *Dir) Close() error { return d.root.Close() }

// List gives the folder's files, sorted by name.
func (d *Dir) List() ([]Info, error) {
	top, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer top.Close()
	entries, err := top.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var infos []Info
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, err
		}
		infos = append(infos, Info{Name: entry.Name(), SizeBytes: info.Size()})
	}
	return infos, nil
}

// Open reads a file from the disk, not from memory, as far as the kernel allows: pages that are clean are dropped first.
func (d *Dir) Open(name string) (Content, error) {
	file, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	// It is advice; a kernel that does not take it gives the same bytes.
	_ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
	return file, nil
}

// Create makes or empties a file. On a volume of its own the files are large, and written at the disk's pace.
func (d *Dir) Create(name string) (File, error) {
	file, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil || !d.whole {
		return file, err
	}
	return &paced{file: file}, nil
}

// Rename gives a file another name.
func (d *Dir) Rename(from, to string) error { return d.root.Rename(from, to) }

// Remove removes a file.
func (d *Dir) Remove(name string) error { return d.root.Remove(name) }

// Sync makes creations, renames and removals durable.
func (d *Dir) Sync() error {
	top, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	if d.whole {
		return os.NewSyscallError("syncfs", unix.Syncfs(int(top.Fd())))
	}
	return top.Sync()
}

// FreeBytes is what the file system has for new content.
func (d *Dir) FreeBytes() (int64, error) {
	top, err := d.root.Open(".")
	if err != nil {
		return 0, err
	}
	defer top.Close()
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(top.Fd()), &stat); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(stat.Bavail) * stat.Bsize, nil
}
