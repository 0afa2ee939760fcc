// Package dm speaks the kernel's device-mapper interface: ioctls on /dev/mapper/control.
//
// Start with [Create], which makes a mapped block device and lets it run, and [Table], which reads back
// what the kernel maps, so that a program can see the root hash that is enforced rather than the one it
// was told. [Verity] describes a dm-verity target. The package loads no modules, knows no partitions and makes no
// device nodes: devtmpfs makes /dev/dm-N. It follows linux/dm-ioctl.h, version 4, and the kernel's
// admin-guide/device-mapper/verity.rst.
package dm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"conifer.dev/conifer/internal/fault"
)

// Control is the node that the ioctls go to; devtmpfs makes it when dm-mod is there.
const Control = "/dev/mapper/control"

// Target is one row of a device's table: a run of sectors of 512 bytes, and what answers for them.
type Target struct {
	StartSectors  uint64
	LengthSectors uint64
	Type          string
	Parameters    string
}

// The commands and flags of linux/dm-ioctl.h that are used here.
const (
	cmdCreate  = 3
	cmdRemove  = 4
	cmdSuspend = 6 // without flagSuspend it resumes
	cmdLoad    = 9
	cmdTable   = 12

	flagReadOnly    = 1 << 0
	flagStatusTable = 1 << 4
	flagBufferFull  = 1 << 8

	requestBytes = 64 << 10 // for header and table together
)

// Create makes the device /dev/dm-N with a read-only table and starts it. It returns the device number. A
// device whose table the kernel refuses is removed again.
func Create(name, uuid string, targets ...Target) (device uint64, err error) {
	control, err := os.OpenFile(Control, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer control.Close()
	answer, err := call(control, cmdCreate, request{name: name, uuid: uuid})
	if err != nil {
		return 0, fmt.Errorf("create device %s: %w", name, err)
	}
	if _, err := call(control, cmdLoad, request{name: name, flags: flagReadOnly, targets: targets}); err != nil {
		call(control, cmdRemove, request{name: name})
		return 0, fmt.Errorf("load table of %s: %w", name, err)
	}
	if _, err := call(control, cmdSuspend, request{name: name}); err != nil {
		call(control, cmdRemove, request{name: name})
		return 0, fmt.Errorf("start device %s: %w", name, err)
	}
	return answer.header.Device, nil
}

// Table returns what the kernel maps for the device of that name.
func Table(name string) ([]Target, error) {
	control, err := os.OpenFile(Control, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	answer, err := call(control, cmdTable, request{name: name, flags: flagStatusTable})
	if err != nil {
		return nil, fmt.Errorf("read table of %s: %w", name, err)
	}
	return answer.targets()
}

// call sends one request and returns the kernel's answer.
func call(control *os.File, command uintptr, r request) (*answer, error) {
	buffer, err := r.encode()
	if err != nil {
		return nil, err
	}
	// _IOWR(DM_IOCTL, command, struct dm_ioctl)
	number := uintptr(3<<30|headerBytes<<16|0xfd<<8) | command
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), number, uintptr(unsafe.Pointer(&buffer[0]))); errno != 0 {
		return nil, os.NewSyscallError("ioctl", errno)
	}
	a := &answer{buffer: buffer}
	if _, err := binary.Decode(buffer, binary.LittleEndian, &a.header); err != nil {
		return nil, err
	}
	if a.header.Flags&flagBufferFull != 0 {
		return nil, fault.New(fault.Unsupported, "the kernel's answer is longer than %d bytes", len(buffer))
	}
	return a, nil
}

// text is a C string in a field.
func text(field []byte) string {
	before, _, _ := bytes.Cut(field, []byte{0})
	return string(before)
}
