package initrd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/dm"
	"conifer.dev/conifer/internal/machine/slots/gpt"
	"conifer.dev/conifer/internal/machine/verity"
)

const (
	rootName = "root" // of the device-mapper device
	rootNode = "/dev/mapper/root"
	hardened = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
)

// mount is a step of mountAll.
type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func mountAll(list []mount) error {
	for _, m := range list {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.source, m.target, err)
		}
	}
	return nil
}

func mountKernelFileSystems() error {
	for _, folder := range []string{"/proc", "/sys", "/dev", "/run", newRoot} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	return mountAll([]mount{
		{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755"},
		{"proc", "/proc", "proc", hardened, ""},
		{"sysfs", "/sys", "sysfs", hardened, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	})
}

// openRoot makes /dev/mapper/root, which the kernel answers only with bytes under the root hash.
func (b *boot) openRoot() error {
	tree, err := os.Open(b.tree)
	if err != nil {
		return err
	}
	defer tree.Close()
	super, err := verity.ReadSuperblock(tree)
	if err != nil {
		return err
	}
	device, err := dm.Create(rootName, "CONIFER-VERITY-root", dm.Verity(dm.Root{
		Data: b.root, Tree: b.tree, DataBlocks: super.DataBlocks, Hash: b.options.rootHash[:], Salt: super.Salt,
	}))
	if err != nil {
		return err
	}
	return os.Symlink(fmt.Sprintf("../dm-%d", unix.Minor(device)), rootNode)
}

// mountRoot mounts the verified root, and moves the kernel's file systems into it so that its own programs can run.
func mountRoot() error {
	list := []mount{{rootNode, newRoot, "erofs", unix.MS_RDONLY, ""}}
	for _, folder := range []string{"/dev", "/proc", "/sys", "/run"} {
		list = append(list, mount{folder, newRoot + folder, "", unix.MS_MOVE, ""})
	}
	if err := mountAll(list); err != nil {
		return err
	}
	for _, folder := range []string{"/dev", "/proc", "/sys", "/run"} {
		if err := os.RemoveAll(folder); err != nil { // The kernel's own archive puts a node into /dev.
			return err
		}
		if err := os.Symlink(newRoot+folder, folder); err != nil {
			return err
		}
	}
	return nil
}

// makeVar lets the root's systemd-repart make the partition when there is none. It formats before it writes the
// table, so a partition that is there is whole, and it moves the backup table to the end of a larger disk.
func (b *boot) makeVar() error {
	if _, ok := b.partition(ofType(gpt.TypeVar)); ok {
		return nil
	}
	if err := b.modules.load("loop"); err != nil {
		return err
	}
	say(levelNotice, "making /var on %s", b.disk.name)
	repart := exec.Command("/usr/bin/systemd-repart", "--dry-run=no", "--pretty=no", "/dev/"+b.disk.name)
	repart.Env = []string{"PATH=/usr/bin:/usr/sbin", "TMPDIR=/run"}
	repart.SysProcAttr = &syscall.SysProcAttr{Chroot: newRoot}
	repart.Dir = "/"
	if out, err := repart.CombinedOutput(); err != nil {
		return fault.New(fault.Internal, "systemd-repart: %w: %s", err, out)
	}
	table, err := b.system.readTable(b.disk.name)
	b.disk.table = table
	return err
}

// mountVar mounts /var without delayed allocation: with it, ext4 writes a file's name long before its bytes, and after a power cut
// whatever was not synced is an empty file under a whole name. Container storage does not survive that: a layer whose link is empty
// keeps its image from ever starting again. Without it what is on the disk is always what was there at one moment.
func (b *boot) mountVar() error {
	node, ok := b.partition(ofType(gpt.TypeVar))
	if !ok {
		return fault.New(fault.NotFound, "disk %s has no partition for /var", b.disk.name)
	}
	if err := b.nameDevices(); err != nil {
		return err
	}
	return mountAll([]mount{{node, newRoot + "/var", "ext4", unix.MS_NOSUID | unix.MS_NODEV, "nodelalloc"}})
}

// nameDevices leaves links in /run/conifer for the running system: `disk`, and `esp` for efi.mount. They name the
// disk that the root came from, where a label could mean another one.
func (b *boot) nameDevices() error {
	folder := "/run/conifer"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.Symlink("/dev/"+b.disk.name, filepath.Join(folder, "disk")); err != nil {
		return err
	}
	esp, ok := b.partition(ofType(gpt.TypeESP))
	if !ok {
		return fault.New(fault.NotFound, "disk %s has no EFI system partition", b.disk.name)
	}
	return os.Symlink(esp, filepath.Join(folder, "esp"))
}

// mountWritable makes the few places outside /var writable that hold a machine's own state.
func mountWritable() error {
	state := newRoot + "/var/lib/conifer/etc"
	home := newRoot + "/var/roothome"
	for folder, mode := range map[string]os.FileMode{state + "/upper": 0o755, state + "/work": 0o700, home: 0o700} {
		if err := os.MkdirAll(folder, mode); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s/etc,upperdir=%s/upper,workdir=%s/work", newRoot, state, state)
	return mountAll([]mount{
		{"etc", newRoot + "/etc", "overlay", unix.MS_NOSUID | unix.MS_NODEV, layers},
		{home, newRoot + "/root", "", unix.MS_BIND, ""},
		{"tmpfs", newRoot + "/tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=50%,nr_inodes=1m"},
	})
}
