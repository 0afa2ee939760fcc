// Package initrd is the /init of a machine: it opens the verified root and starts systemd in it.
//
// Start with [Main], the whole program, and [boot.run], the list of its steps: load the drivers of the disk, find the
// two partitions that the root hash names, open dm-verity over them, mount the root, make or mount /var, lay
// the overlay over /etc, and hand over. There is no shell, no udev and no second way: whatever fails is
// said on the console, and the machine starts again, so that the boot loader counts the attempt
// (Automatic Boot Assessment). Partitions follow the Discoverable Partitions Specification.
package initrd

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	newRoot       = "/sysroot"
	deviceTimeout = 30 * time.Second
	readingTime   = 5 * time.Second // for a person at the console, before a failed boot starts again
)

// boot is what one step learns for the next.
type boot struct {
	system  system
	options options
	modules *modules
	disk    disk   // that the root is on
	root    string // node of the data partition
	tree    string // node of its verity tree
}

// Main runs as process 1. It does not return: it becomes systemd, or starts the machine again.
func Main() {
	began := time.Now()
	b := &boot{system: system{"/"}}
	err := b.run()
	if err == nil {
		say(levelNotice, "root %x is open after %s", b.options.rootHash, time.Since(began).Round(time.Millisecond))
		err = handOver()
	}
	say(levelAlert, "cannot start the system: %v", err)
	say(levelAlert, "the machine starts again in %s", readingTime)
	unix.Sync()
	time.Sleep(readingTime)
	unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// run is everything up to the hand-over, in order.
func (b *boot) run() error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"mount the kernel's file systems", mountKernelFileSystems},
		{"read the command line", b.readCommandLine},
		{"load modules", b.loadModules},
		{"find the root partitions", b.findRoot},
		{"open the root with dm-verity", b.openRoot},
		{"mount the root", mountRoot},
		{"make /var", b.makeVar},
		{"mount /var", b.mountVar},
		{"mount what /var holds", mountWritable},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// Levels of syslog, as /dev/kmsg takes them. With "quiet" only the alert reaches the console.
const (
	levelAlert  = 1
	levelNotice = 5
)

// say writes to the kernel's log, which the journal keeps and every console shows.
func say(level int, format string, args ...any) {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		fmt.Printf("conifer-initrd: "+format+"\n", args...)
		return
	}
	defer f.Close()
	fmt.Fprintf(f, "<%d>conifer-initrd: %s\n", level, fmt.Sprintf(format, args...))
}
