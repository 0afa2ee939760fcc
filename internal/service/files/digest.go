package files

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// digested is a file's digest, and what the file looked like when it was computed.
type digested struct {
	sizeBytes int64
	modified  time.Time
	sum       [sha256.Size]byte
}

// digests remembers the digest of files, so that each is read for it once. An upload has its digest from the start;
// after a restart it is computed when somebody first asks.
type digests struct {
	hashing sync.Mutex // held while a file is read, so that many who ask for one file read it once
	mu      sync.Mutex
	known   map[string]digested
}

// of is the digest of the opened file, which is left at its start. Files that change are small, and read each time: two
// contents may have one size and, within a tick of the clock, one time.
func (d *digests) of(name string, file *os.File, info fs.FileInfo) (sum [sha256.Size]byte, err error) {
	if changes(name) {
		return read(file)
	}
	if sum, ok := d.remembered(name, info); ok {
		return sum, nil
	}
	d.hashing.Lock()
	defer d.hashing.Unlock()
	if sum, ok := d.remembered(name, info); ok {
		return sum, nil
	}
	if sum, err = read(file); err == nil {
		d.remember(name, info, sum)
	}
	return sum, err
}

func (d *digests) remembered(name string, info fs.FileInfo) ([sha256.Size]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.known[name]
	return k.sum, ok && k.sizeBytes == info.Size() && k.modified.Equal(info.ModTime())
}

func (d *digests) remember(name string, info fs.FileInfo, sum [sha256.Size]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[name] = digested{info.Size(), info.ModTime(), sum}
}

func read(file *os.File) (sum [sha256.Size]byte, err error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return sum, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return [sha256.Size]byte(hash.Sum(nil)), err
}
