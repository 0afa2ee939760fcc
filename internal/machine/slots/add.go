package slots

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
)

// AddEntry writes the UKI of the release in the other slot, which write gives, as a boot entry with a number of tries. The
// file is written under a name that no boot loader looks at, synced, read back and compared, and only then gets its name. The slot
// must have been labelled for the release.
func (s *Slots) AddEntry(version string, write func(io.Writer) error, size int64, sha256hex string, tries int) error {
	if err := s.checkNew(version, tries); err != nil {
		return err
	}
	if err := s.clearFor(version); err != nil {
		return err
	}
	free, err := s.esp.FreeBytes()
	if err != nil {
		return folder.Classify("space on the EFI system partition", err)
	}
	if err := checkESPSpace(size, free); err != nil {
		return err
	}
	temp := tempName(version)
	if err := s.writeUKI(temp, write, size, sha256hex); err != nil {
		return errors.Join(err, s.dropTemp(temp))
	}
	final := entryName{version: version, counted: true, left: tries}.String()
	if err := s.esp.Rename(temp, final); err != nil {
		return folder.Classify("name boot entry "+final, err)
	}
	return folder.Classify("sync boot entries", s.esp.Sync())
}

func (s *Slots) checkNew(version string, tries int) error {
	if err := CheckVersion(version); err != nil {
		return err
	}
	if tries < 1 || tries > maxTries {
		return fault.New(fault.Invalid, "a boot entry with %d tries", tries)
	}
	if got := s.Info(s.Other()).Version; got != version || sameFile(version, s.RunningVersion()) {
		return fault.New(fault.Conflict, "add the boot entry of %s: slot %v holds %q", version, s.Other(), got)
	}
	return s.checkCommitted("add the boot entry of " + version)
}

// clearFor removes what an earlier attempt left.
func (s *Slots) clearFor(version string) error {
	files, stale, err := s.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if sameFile(f.version, version) {
			stale = append(stale, f.Info)
		}
	}
	return s.removeFiles(namesOf(stale))
}

// writeUKI writes a file, makes it durable and reads it back.
func (s *Slots) writeUKI(name string, write func(io.Writer) error, size int64, sha256hex string) error {
	file, err := s.esp.Create(name)
	if err != nil {
		return folder.Classify("create "+name, err)
	}
	err = fillUKI(file, write, size, sha256hex)
	if err == nil {
		err = folder.Classify("sync "+name, file.Sync())
	}
	err = errors.Join(err, folder.Classify("close "+name, file.Close()))
	if err == nil {
		err = folder.Classify("sync boot entries", s.esp.Sync())
	}
	if err != nil {
		return err
	}
	return s.readBack(name, size, sha256hex)
}

// fillUKI has exactly size bytes with the digest written. The error of write keeps its kind.
func fillUKI(file io.Writer, write func(io.Writer) error, size int64, sha256hex string) error {
	sum := sha256.New()
	out := &limited{io.MultiWriter(sum, file), size}
	if err := write(out); err != nil {
		return folder.Classify("write boot entry", err)
	}
	return checkUKI("UKI", size-out.left, size, sum.Sum(nil), sha256hex)
}

// limited takes no more bytes than are left.
type limited struct {
	io.Writer
	left int64
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, fault.New(fault.Corrupt, "UKI has at least %d bytes more than it should", int64(len(p))-l.left)
	}
	n, err := l.Writer.Write(p)
	l.left -= int64(n)
	return n, err
}

// readBack compares what is on the disk: a boot loader verifies nothing where Secure Boot is off.
func (s *Slots) readBack(name string, size int64, sha256hex string) error {
	file, err := s.esp.Open(name)
	if err != nil {
		return folder.Classify("read back "+name, err)
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	if err != nil {
		return folder.Classify("read back "+name, err)
	}
	return checkUKI("UKI read back from the disk", n, size, sum.Sum(nil), sha256hex)
}

func checkUKI(what string, n, size int64, sum []byte, sha256hex string) error {
	want, err := hex.DecodeString(sha256hex)
	if err != nil {
		return fault.New(fault.Invalid, "sha256 %q is not hex", sha256hex)
	}
	if n != size {
		return fault.New(fault.Corrupt, "%s has %d bytes, want %d", what, n, size)
	}
	if !bytes.Equal(sum, want) {
		return fault.New(fault.Corrupt, "%s has digest %x, want %s", what, sum, sha256hex)
	}
	return nil
}

// dropTemp makes room again after an entry could not be written. The next attempt would do so too.
func (s *Slots) dropTemp(name string) error {
	if _, temps, err := s.files(); err != nil || len(temps) == 0 {
		return err
	}
	return s.removeFiles([]string{name})
}
