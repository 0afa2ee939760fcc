package slots

import (
	"io"
	"os"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
)

// RunningPartitions opens the two partitions of the release that runs, for reading. They are read as they are on the disk and not
// through dm-verity, which makes the kernel panic where a block is wrong (package dm): who reads them verifies what comes of it.
func (s *Slots) RunningPartitions() (root, verity io.ReaderAt, err error) {
	return s.openSlot(s.running, os.O_RDONLY)
}

// RunningUKI opens the boot entry of the release that runs, and gives its size.
func (s *Slots) RunningUKI() (folder.Content, int64, error) {
	version := s.RunningVersion()
	e, err := s.entry(version)
	if err != nil {
		return nil, 0, err
	}
	if e == nil {
		return nil, 0, fault.New(fault.NotFound, "the running release %s has no boot entry", version)
	}
	file, err := s.esp.Open(e.Names[0])
	return file, e.SizeBytes, folder.Classify("open "+e.Names[0], err)
}
