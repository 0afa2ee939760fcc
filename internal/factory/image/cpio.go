package image

import (
	"fmt"
	"io"
	"path"
)

// cpioWriter writes an initramfs in the "new ASCII" format (070701) of the kernel's driver-api/early-userspace/buffer-format.rst. Times are
// zero and inode numbers count up, so that equal files give equal bytes.
type cpioWriter struct {
	w       io.Writer
	inode   int
	folders map[string]bool
	err     error
}

func newCPIO(w io.Writer) *cpioWriter { return &cpioWriter{w: w, folders: map[string]bool{".": true}} }

// Types of files in a mode.
const (
	cpioFolder = 0o040000
	cpioFile   = 0o100000
)

// file adds a file, after the folders it needs.
func (c *cpioWriter) file(name string, mode int, data []byte) {
	c.folder(path.Dir(name))
	c.entry(name, cpioFile|mode, data)
}

func (c *cpioWriter) folder(name string) {
	if c.folders[name] {
		return
	}
	c.folder(path.Dir(name))
	c.folders[name] = true
	c.entry(name, cpioFolder|0o755, nil)
}

func (c *cpioWriter) entry(name string, mode int, data []byte) {
	c.inode++
	const links = 1
	fields := []int{c.inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0}
	header := "070701"
	for _, field := range fields {
		header += fmt.Sprintf("%08X", field)
	}
	c.put([]byte(header + name + "\x00"))
	c.put(data)
}

// put writes b and pads it to four bytes, as header with name and data both are.
func (c *cpioWriter) put(b []byte) {
	if c.err != nil {
		return
	}
	if _, c.err = c.w.Write(b); c.err == nil {
		_, c.err = c.w.Write(make([]byte, -len(b)&3))
	}
}

// close ends the archive.
func (c *cpioWriter) close() error {
	c.entry("TRAILER!!!", 0, nil)
	return c.err
}
