package initrd

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// systemd is the process 1 of the verified root.
const systemd = "/usr/lib/systemd/systemd"

// handOver empties the initramfs, whose files would hold memory for as long as the machine runs, makes the new root
// the root, and becomes systemd. It returns only when that is impossible.
func handOver() error {
	if err := emptyInitramfs("/", newRoot); err != nil {
		return err
	}
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	err := unix.Exec(systemd, append([]string{systemd}, os.Args[1:]...), os.Environ())
	return &os.PathError{Op: "start", Path: systemd, Err: err}
}

// emptyInitramfs removes everything below folder but the mount point keep. The links to /dev and its like go with
// the rest: os.RemoveAll follows none.
func emptyInitramfs(folder, keep string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if path == keep {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}
