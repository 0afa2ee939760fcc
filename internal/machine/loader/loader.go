// Package loader tells systemd-boot which boot entry to start next, once.
//
// Start with [Loader.StartOnce]; [Loader.Check] says beforehand whether this machine's boot loader can be told at all. Both
// go through EFI variables, which the kernel shows as the files of efivarfs. The package never changes what boots for good,
// and knows no releases: package slots names their entries.
//
// It follows systemd's Boot Loader Interface (systemd.io/BOOT_LOADER_INTERFACE).
package loader

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"conifer.dev/conifer/internal/fault"
)

// Folder is where systemd mounts efivarfs.
const Folder = "/sys/firmware/efi/efivars"

// The variables of the Boot Loader Interface that are used here, as efivarfs names them.
const (
	vendor       = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
	featuresFile = "LoaderFeatures-" + vendor
	onceFile     = "LoaderEntryOneShot-" + vendor
)

// featureOnce is the bit of LoaderFeatures that says: LoaderEntryOneShot is honored.
const featureOnce = 1 << 3

// attributeBytes is the size of the attributes that efivarfs puts before a value: a little-endian number.
const attributeBytes = 4

// The attributes of a variable that survives a reset and is seen by both the boot loader and the kernel.
const lasting = 1<<0 | 1<<1 | 1<<2

// immutable is FS_IMMUTABLE_FL of linux/fs.h.
const immutable = 0x10

// Loader is the boot loader that has started this machine; the zero value is the real one.
type Loader struct{ Folder string }

func (l Loader) path(name string) string { return filepath.Join(cmp.Or(l.Folder, Folder), name) }

// Check gives an error of kind Unsupported when the boot loader cannot be told anything: one that is not systemd-boot,
// a firmware without EFI, or one whose variables nobody can change.
func (l Loader) Check() error {
	text, err := os.ReadFile(l.path(featuresFile))
	if errors.Is(err, fs.ErrNotExist) {
		return unsupported("there is no EFI variable LoaderFeatures in %s", filepath.Dir(l.path(featuresFile)))
	}
	if err != nil {
		return unsupported("read LoaderFeatures: %w", err)
	}
	if len(text) != attributeBytes+8 || binary.LittleEndian.Uint64(text[attributeBytes:])&featureOnce == 0 {
		return unsupported("the boot loader does not know LoaderEntryOneShot: its LoaderFeatures are %x", text)
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(l.path(onceFile)), &stat); err != nil {
		return unsupported("look at the EFI variables: %w", os.NewSyscallError("statfs", err))
	}
	if stat.Flags&unix.ST_RDONLY != 0 {
		return unsupported("the EFI variables are read-only")
	}
	return nil
}

func unsupported(format string, args ...any) error {
	return fault.New(fault.Unsupported, format, args...).
		WithHint("A release that is older than the running one boots only by an EFI variable: use UEFI with systemd-boot, and variables that can be written.")
}

// StartOnce has the boot loader start the entry whose id the pattern matches, at the next boot and not again. The boot
// loader removes the variable before it starts anything, so a boot that fails is not repeated.
func (l Loader) StartOnce(pattern string) error {
	if err := l.Check(); err != nil {
		return err
	}
	value := encode(pattern)
	if old, err := os.ReadFile(l.path(onceFile)); err == nil && bytes.Equal(old, value) {
		return nil
	}
	if err := l.forget(); err != nil {
		return classify("remove LoaderEntryOneShot", err)
	}
	if err := l.write(value); err != nil {
		return classify("write LoaderEntryOneShot", err)
	}
	got, err := os.ReadFile(l.path(onceFile))
	if err != nil {
		return classify("read LoaderEntryOneShot back", err)
	}
	if !bytes.Equal(got, value) {
		return fault.New(fault.Internal, "LoaderEntryOneShot reads back as %x, want %x", got, value)
	}
	return nil
}

// encode makes the content of a file of efivarfs: attributes, then UTF-16 that ends with a zero.
func encode(text string) []byte {
	value := binary.LittleEndian.AppendUint32(nil, lasting)
	for _, unit := range append(utf16.Encode([]rune(text)), 0) {
		value = binary.LittleEndian.AppendUint16(value, unit)
	}
	return value
}

// forget removes what somebody has told the boot loader before.
func (l Loader) forget() error {
	path := l.path(onceFile)
	err := unprotect(path)
	if err == nil {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// unprotect takes the flag from a variable that keeps people from removing it by accident: efivarfs gives it to all
// variables that it does not know to be harmless.
func unprotect(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	flags, err := unix.IoctlGetUint32(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	switch {
	case errors.Is(err, unix.ENOTTY):
		return nil // a file system that has no such flags
	case err != nil:
		return os.NewSyscallError("ioctl", err)
	case flags&immutable == 0:
		return nil
	}
	return os.NewSyscallError("ioctl", unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, int(flags&^immutable)))
}

// write makes the variable in one call: the firmware takes it whole or not at all.
func (l Loader) write(value []byte) error {
	file, err := os.OpenFile(l.path(onceFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(value)
	return errors.Join(err, file.Close())
}

func classify(what string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fault.New(fault.Exhausted, "%s: %w", what, err).WithHint("The firmware has no room for variables; remove some in its setup.")
	}
	return fault.New(fault.Internal, "%s: %w", what, err)
}
