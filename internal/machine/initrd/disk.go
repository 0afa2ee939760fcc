package initrd

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// partition is a block device as sysfs describes it.
type partition struct {
	device string // "vda2"
	disk   string // "vda"
	uuid   string // PARTUUID
	label  string // PARTLABEL
}

func (p partition) node() string { return "/dev/" + p.device }

// partitions lists what the kernel knows now.
func partitions(sys string) ([]partition, error) {
	entries, err := filepath.Glob(filepath.Join(sys, "class/block/*/partition"))
	if err != nil {
		return nil, err
	}
	var list []partition
	for _, entry := range entries {
		folder := filepath.Dir(entry)
		real, err := filepath.EvalSymlinks(folder)
		if err != nil {
			continue // It went away while we looked.
		}
		p := partition{device: filepath.Base(folder), disk: filepath.Base(filepath.Dir(real))}
		if p.readEvent(filepath.Join(folder, "uevent")) == nil {
			list = append(list, p)
		}
	}
	return list, nil
}

func (p *partition) readEvent(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch key {
		case "PARTUUID":
			p.uuid = value
		case "PARTNAME":
			p.label = value
		}
	}
	return lines.Err()
}

// findRoot waits for both partitions of the root and loads drivers while it waits.
func (b *boot) findRoot() error {
	for end := time.Now().Add(deviceTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err := b.loadDrivers(); err != nil {
			return err
		}
		list, err := partitions(b.sys)
		if err != nil {
			return err
		}
		if b.chooseRoot(list) {
			return nil
		}
	}
	return fault.New(fault.NotFound, "no disk has partitions %s and %s", b.options.rootUUID(), b.options.treeUUID())
}

// chooseRoot takes data and tree from one disk: a second disk may be a copy of the first.
func (b *boot) chooseRoot(list []partition) bool {
	for _, root := range list {
		for _, tree := range list {
			if root.disk == tree.disk && root.uuid == b.options.rootUUID() && tree.uuid == b.options.treeUUID() {
				b.root, b.tree = root, tree
				return true
			}
		}
	}
	return false
}

// sibling finds the partition with a label on the root's disk.
func (b *boot) sibling(label string) (partition, bool, error) {
	list, err := partitions(b.sys)
	if err != nil {
		return partition{}, false, err
	}
	for _, p := range list {
		if p.disk == b.root.disk && p.label == label {
			return p, true, nil
		}
	}
	return partition{}, false, nil
}
