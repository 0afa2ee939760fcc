package faultdisk

import (
	"fmt"
	"io"
)

const (
	sectorSize = 512  // is written whole or not at all
	pageSize   = 4096 // what counts as one write: the kernel writes back page by page
)

// Disk is a block device with a volatile write cache.
type Disk struct {
	power   *Power
	durable content
	current content
	pending []write
}

// content is the bytes of a device. They are copied before the first change, for most tests change little.
type content struct {
	b     []byte
	owned bool
}

func (c *content) put(p []byte, offset int64) {
	if !c.owned {
		c.b, c.owned = append([]byte(nil), c.b...), true
	}
	copy(c.b[offset:], p)
}

// write is one page or less in the cache.
type write struct {
	offset int64
	data   []byte
}

// NewDisk makes a device that holds b, whose length is a multiple of a sector, and never changes b itself.
func NewDisk(power *Power, b []byte) *Disk {
	d := &Disk{power: power, durable: content{b: b}, current: content{b: b}}
	power.mu.Lock()
	defer power.mu.Unlock()
	power.parts = append(power.parts, d)
	return d
}

// SizeBytes is the size of the device.
func (d *Disk) SizeBytes() int64 { return int64(len(d.current.b)) }

// ReadAt implements io.ReaderAt.
func (d *Disk) ReadAt(p []byte, offset int64) (int, error) {
	d.power.mu.Lock()
	defer d.power.mu.Unlock()
	if d.power.off {
		return 0, ErrOff
	}
	if offset < 0 || offset >= int64(len(d.current.b)) {
		return 0, io.EOF
	}
	n := copy(p, d.current.b[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt. Every page counts as a write of its own.
func (d *Disk) WriteAt(p []byte, offset int64) (int, error) {
	d.power.mu.Lock()
	defer d.power.mu.Unlock()
	if offset < 0 || offset+int64(len(p)) > int64(len(d.current.b)) || offset%sectorSize != 0 || len(p)%sectorSize != 0 {
		return 0, fmt.Errorf("faultdisk: write of %d bytes at %d of %d", len(p), offset, len(d.current.b))
	}
	done := 0
	for done < len(p) {
		page := p[done:min(len(p), done+pageSize)]
		record, err := d.power.write()
		if record {
			at := offset + int64(done)
			d.current.put(page, at)
			d.pending = append(d.pending, write{at, append([]byte(nil), page...)})
		}
		if err != nil {
			return done, err
		}
		done += len(page)
	}
	return done, nil
}

// Sync makes all writes durable.
func (d *Disk) Sync() error {
	d.power.mu.Lock()
	defer d.power.mu.Unlock()
	if _, err := d.power.write(); err != nil {
		return err
	}
	for _, w := range d.pending {
		d.durable.put(w.data, w.offset)
	}
	d.pending = nil
	return nil
}

// settle keeps, loses or tears the writes in the cache, sector by sector.
func (d *Disk) settle() {
	for i, w := range d.pending {
		for at := 0; at < len(w.data); at += sectorSize {
			if d.power.keeps(i, len(d.pending), at/sectorSize, len(w.data)/sectorSize) {
				d.durable.put(w.data[at:at+sectorSize], w.offset+int64(at))
			}
		}
	}
	d.pending = nil
	if d.current.owned {
		copy(d.current.b, d.durable.b)
	}
}
