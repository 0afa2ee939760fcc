package bootsim

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/slots/gpt"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/release"
)

// Violation is something that must never be on the disk of a machine, whenever it was cut.
type Violation struct{ What string }

func (v *Violation) Error() string { return "violation: " + v.What }

func violation(format string, args ...any) error { return &Violation{fmt.Sprintf(format, args...)} }

// maxAttempts is more than the tries of all entries together.
const maxAttempts = 10

// Boot starts the machine. It returns faultdisk.ErrOff when the power is cut meanwhile, and a *Violation when no whole
// release boots, or a boot entry is chosen that cannot.
func (m *Machine) Boot() error {
	m.Version, m.hash = "", ""
	for range maxAttempts {
		m.BootID++
		uki, err := m.firmware()
		if err != nil {
			return err
		}
		version, hash, ok := readUKI(uki.content)
		if !ok {
			return violation("the boot entry %s of %d bytes is not whole", uki.name, len(uki.content))
		}
		if err := m.initrd(hash); err != nil {
			return fmt.Errorf("%s: %w", uki.name, err)
		}
		if m.Broken[version] {
			continue
		}
		m.Version, m.hash = version, fmt.Sprintf("%x", hash)
		return nil
	}
	return violation("no release started in %d attempts; boot entries: %s", maxAttempts, m.ESP.Describe())
}

// candidate is a file that systemd-boot offers. Its names are read with code of their own.
type candidate struct {
	name    string
	version string
	counted bool
	left    int
	done    int
	content []byte
}

// firmware is the firmware and systemd-boot: it chooses an entry, counts the try, and loads the file.
func (m *Machine) firmware() (candidate, error) {
	once, err := m.takeOnce()
	if err != nil {
		return candidate{}, err
	}
	list, err := m.candidates()
	if err != nil {
		return candidate{}, err
	}
	if len(list) == 0 {
		return candidate{}, violation("there is no boot entry; files: %s", m.ESP.Describe())
	}
	slices.SortStableFunc(list, prefer)
	chosen := list[0]
	if i := slices.IndexFunc(list, func(c candidate) bool { return c.matches(once) }); i >= 0 {
		chosen = list[i]
	}
	if !chosen.counted {
		return chosen, nil
	}
	after := fmt.Sprintf("conifer_%s+%d-%d.efi", chosen.version, max(chosen.left-1, 0), chosen.done+1)
	if err := m.ESP.Rename(chosen.name, after); err != nil {
		return chosen, err
	}
	return chosen, m.ESP.Sync()
}

// prefer is the order of systemd-boot: entries without tries last, then the newest version, then the most tries.
func prefer(a, b candidate) int {
	if badA, badB := a.counted && a.left == 0, b.counted && b.left == 0; badA != badB {
		if badA {
			return 1
		}
		return -1
	}
	if c := release.Compare(b.version, a.version); c != 0 {
		return c
	}
	return b.left - a.left
}

// candidates are the files that systemd-boot takes for UKIs: those that end in .efi and begin like a program.
func (m *Machine) candidates() ([]candidate, error) {
	infos, err := m.ESP.List()
	if err != nil {
		return nil, err
	}
	var list []candidate
	for _, info := range infos {
		base, ok := strings.CutSuffix(info.Name, ".efi")
		if !ok || strings.HasPrefix(info.Name, ".") {
			continue
		}
		file, err := m.ESP.Open(info.Name)
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(file)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(string(content), "MZ") {
			if len(content) > 0 {
				return nil, violation("%s holds garbage", info.Name)
			}
			continue
		}
		c := candidate{name: info.Name, content: content}
		c.version, c.left, c.done, c.counted = parseName(strings.TrimPrefix(base, "conifer_"))
		list = append(list, c)
	}
	return list, nil
}

func parseName(base string) (version string, left, done int, counted bool) {
	version, counter, counted := strings.Cut(base, "+")
	if !counted {
		return version, 0, 0, false
	}
	leftText, doneText, _ := strings.Cut(counter, "-")
	left, _ = strconv.Atoi(leftText)
	done, _ = strconv.Atoi(doneText)
	return version, left, done, true
}

// initrd is the kernel and the initrd: they read the partition table, find root and verity by their GUIDs, and
// check every block.
func (m *Machine) initrd(hash [32]byte) error {
	table, err := gpt.Read(m.Disk, m.Disk.SizeBytes())
	if err != nil {
		if errors.Is(err, faultdisk.ErrOff) {
			return faultdisk.ErrOff
		}
		return violation("the kernel reads no partition table: %v", err)
	}
	rootUUID, verityUUID := slots.UUIDs(hash)
	root, tree := m.byUUID(table, rootUUID), m.byUUID(table, verityUUID)
	if root == nil || tree == nil {
		return violation("the initrd finds no partitions for the root hash %x", hash)
	}
	if err := verity.Verify(root, tree, hash); err != nil {
		return violation("dm-verity: %v", err)
	}
	return nil
}

func (m *Machine) byUUID(table *gpt.Table, uuid gpt.GUID) *faultdisk.Disk {
	for i, e := range table.Entries {
		if e.Used() && e.Unique == uuid {
			return m.partitions[i+1]
		}
	}
	return nil
}
