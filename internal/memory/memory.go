// Package memory lets a process that writes what a payload makes do with little of it: a machine's memory belongs to its applications, and
// the delta of a kernel needs more than all else that an agent does (docs/design/delta.md).
package memory

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// LimitBytes is what such a process should tell the garbage collector (debug.SetMemoryLimit), so that it collects in time.
const LimitBytes = 52 << 20

// Spare gives back to the kernel the pages of the program itself, most of which only its start needed: what is needed again comes back
// by itself. It also declines huge pages, of which half would stay unused, where the kernel gives them unasked. An error means that
// the process goes on with more memory, and no more than that.
func Spare() error {
	huge := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0)
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return errors.Join(huge, err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return errors.Join(huge, err)
	}
	for _, r := range mapped(string(maps), program) {
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, r.start, r.end-r.start, unix.MADV_PAGEOUT); e != 0 {
			err = errors.Join(err, os.NewSyscallError("madvise", e))
		}
	}
	return errors.Join(huge, err)
}

// region is some of the memory of the process.
type region struct{ start, end uintptr }

// mapped is where a file is mapped that is not written to, by proc_pid_maps(5).
func mapped(maps, file string) []region {
	var all []region
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		if len(fields) < 6 || strings.Contains(fields[1], "w") || !strings.HasSuffix(line, " "+file+"\n") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err == nil && err2 == nil && start < end {
			all = append(all, region{uintptr(start), uintptr(end)})
		}
	}
	return all
}
