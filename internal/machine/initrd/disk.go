package initrd

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/slots/gpt"
)

// disk is a block device with a partition table.
type disk struct {
	name  string // "vda"
	table *gpt.Table
}

// system is where the kernel shows its devices: / in truth, another folder in a test.
type system struct{ folder string }

func (s system) path(name string) string { return filepath.Join(s.folder, name) }

// disks lists the whole block devices that are there now.
func (s system) disks() ([]string, error) {
	entries, err := os.ReadDir(s.path("sys/class/block"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // No driver has made one yet.
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		_, err := os.Stat(s.path("sys/class/block/" + entry.Name() + "/partition"))
		if errors.Is(err, fs.ErrNotExist) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// readTable reads a disk's partition table as the kernel does with the option gpt.
func (s system) readTable(name string) (*gpt.Table, error) {
	f, err := os.Open(s.path("dev/" + name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return gpt.Read(f, size)
}

// node is the device node of a partition by its number, once the kernel has made it.
func (s system) node(disk string, number int) (string, bool) {
	files, err := filepath.Glob(s.path("sys/class/block/" + disk + "*/partition"))
	if err != nil {
		return "", false
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		name := filepath.Base(filepath.Dir(file))
		own := strings.TrimPrefix(strings.TrimPrefix(name, disk), "p") == strconv.Itoa(number)
		if err == nil && own && strings.TrimSpace(string(text)) == strconv.Itoa(number) {
			return s.path("dev/" + name), true
		}
	}
	return "", false
}

// find gives the number of the first partition that is wanted.
func find(table *gpt.Table, wanted func(gpt.Entry) bool) (number int, ok bool) {
	for i, entry := range table.Entries {
		if entry.Used() && wanted(entry) {
			return i + 1, true
		}
	}
	return 0, false
}

func withGUID(guid [16]byte) func(gpt.Entry) bool {
	return func(e gpt.Entry) bool { return e.Unique == guid }
}

func ofType(kind gpt.GUID) func(gpt.Entry) bool {
	return func(e gpt.Entry) bool { return e.Type == kind }
}

// findRoot waits for a disk with both partitions of the root, and loads one driver after the other until it is there.
func (b *boot) findRoot() error {
	unreadable := map[string]error{}
	for end := time.Now().Add(deviceTimeout); time.Now().Before(end); {
		names, err := b.system.disks()
		if err != nil {
			return err
		}
		for _, name := range names {
			if found, err := b.tryDisk(name); found {
				return nil
			} else if err != nil {
				unreadable[name] = err
			}
		}
		loaded, err := b.loadDriver()
		if err != nil {
			return err
		}
		if !loaded {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return b.noRoot(unreadable)
}

// tryDisk looks for data and tree on one disk: a second disk may be a copy of the first, and the two must not mix.
func (b *boot) tryDisk(name string) (bool, error) {
	table, err := b.system.readTable(name)
	if err != nil {
		return false, err
	}
	b.disk = disk{name, table}
	var found [2]bool
	b.root, found[0] = b.partition(withGUID(b.options.rootGUID()))
	b.tree, found[1] = b.partition(withGUID(b.options.treeGUID()))
	return found[0] && found[1], nil
}

// partition finds the device node of a partition on the root's disk.
func (b *boot) partition(wanted func(gpt.Entry) bool) (node string, ok bool) {
	number, ok := find(b.disk.table, wanted)
	if !ok {
		return "", false
	}
	return b.system.node(b.disk.name, number)
}

func (b *boot) noRoot(unreadable map[string]error) error {
	err := fault.New(fault.NotFound, "no disk has the partitions %s and %s", b.options.rootGUID(), b.options.treeGUID())
	for name, why := range unreadable {
		err = fault.New(fault.NotFound, "%w; %s: %w", err, name, why)
	}
	return err
}
