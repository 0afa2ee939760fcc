// Package folder is the one way in which the machine changes files that must never be half written: a folder
// whose every change can be made durable, so that a test can put a file system behind it that stops after
// any write.
//
// Start with [Replace], which writes aside, syncs, renames and syncs the folder, and [Read]. [OpenDir] is a real
// folder, [OpenVolume] one at the top of a file system whose renames are not atomic, such as the EFI system
// partition. The package follows no link out of its folder and makes no folders.
package folder

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"conifer.dev/conifer/internal/fault"
)

// Folder is a flat folder of files. A change is durable only after Sync, and the content of a file only
// after its own Sync.
type Folder interface {
	List() ([]Info, error) // files only, sorted by name
	Open(name string) (Content, error)
	Create(name string) (File, error) // empties a file that exists
	Rename(from, to string) error     // replaces a file that exists
	Remove(name string) error
	Sync() error
	FreeBytes() (int64, error) // for new content in this folder
}

// Content is a file that is being read, in order or anywhere.
type Content interface {
	io.ReadCloser
	io.ReaderAt
}

// File is a file that is being written.
type File interface {
	io.WriteCloser
	Sync() error
}

// Info describes one file.
type Info struct {
	Name      string
	SizeBytes int64
}

// aside is the name under which the next content of a file is written.
func aside(name string) string { return "." + name + ".tmp" }

// Replace gives the file new content, so that after a stop at any point it has the old content or the new
// one. When it returns nil, the new content is durable.
func Replace(f Folder, name string, content []byte) error {
	temp := aside(name)
	if err := write(f, temp, content); err != nil {
		return Classify("write "+temp, err)
	}
	if err := f.Rename(temp, name); err != nil {
		return Classify("rename "+temp, err)
	}
	return Classify("sync the folder of "+name, f.Sync())
}

func write(f Folder, name string, content []byte) error {
	file, err := f.Create(name)
	if err != nil {
		return err
	}
	if _, err = file.Write(content); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// Read gives the content of a file of at most limitBytes. A file that is not there is NotFound.
func Read(f Folder, name string, limitBytes int64) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, Classify("read "+name, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, limitBytes+1))
	if err != nil {
		return nil, Classify("read "+name, err)
	}
	if int64(len(content)) > limitBytes {
		return nil, fault.New(fault.Corrupt, "%s has more than %d bytes", name, limitBytes)
	}
	return content, nil
}

// Classify gives an error of the operating system its kind, and a person the hint that goes with it. It
// returns nil for nil, and keeps the kind of an error that has one.
func Classify(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fault.New(fault.Exhausted, "%s: %w", what, err).WithHint("Free space on that file system.")
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS):
		return fault.New(fault.Internal, "%s: %w", what, err).WithHint("The disk may be failing; see the kernel's log.")
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "%s: %w", what, err)
	}
	return fault.New(fault.KindOf(err), "%s: %w", what, err)
}
